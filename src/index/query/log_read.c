/* log_read.c: asks for log entries by name, and parses the answers. */
#include "index/query/log_read.h"

#include <inttypes.h>

#include "base/alloc.h"

enum dp_status log_read_ask(struct round *round, struct span name, const struct ulid *incarnation, uint64_t first,
                            size_t count, struct log_read *out)
{
    struct arena *arena = round->call->arena;
    *out = (struct log_read){.incarnation = incarnation,
                             .first = first,
                             .count = count,
                             .keys = arena_array(arena, count + 1, sizeof *out->keys),
                             .handles = arena_array(arena, count + 1, sizeof *out->handles)};
    if (!out->keys || !out->handles)
        return call_nomem(round->call, "a read of the log");
    for (size_t i = 0; i < count; i++) {
        key_of_wal(&out->keys[i], name, incarnation, first + i);
        const struct store_read_req req = {
            .key = object_key_span(&out->keys[i]), .len = LOG_READ_LEN, .clip = true};
        out->handles[i] = round_ask(round, &req);
    }
    return DP_OK;
}

/* Counts the entries before the first absent one, and looks for a later one. */
static enum dp_status count_entries(struct round *round, const struct log_read *read, struct log_run *out)
{
    for (size_t i = 0; i < read->count; i++) {
        const struct store_read_req *answer = round_answer(round, read->handles[i]);
        if (store_read_missing(answer))
            out->ended = true;
        else if (answer->status && !out->ended)
            return round_check(round, read->handles[i]);
        else if (out->ended)
            out->hole = out->hole || answer->status == DP_OK;
        else
            out->count++;
    }
    return DP_OK;
}

/* Returns the latest date of the answers. */
static int64_t latest_date(const struct round *round, const struct log_read *read)
{
    int64_t latest = 0;
    for (size_t i = 0; i < read->count; i++) {
        int64_t date_ms = round_answer(round, read->handles[i])->date_ms;
        latest = date_ms > latest ? date_ms : latest;
    }
    return latest;
}

/* Reads the rest of the entries that are longer than LOG_READ_LEN: *rests[i] holds the rest of entry i. */
static enum dp_status read_rests(struct round *round, const struct log_read *read, const struct log_run *run,
                                 struct store_read_req *rests)
{
    size_t n = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct store_read_req *answer = round_answer(round, read->handles[i]);
        uint64_t have = answer->bytes.span.len;
        if (answer->size > WAL_ENTRY_MAX)
            return call_fail(round->call, DP_CORRUPT, "%s: %" PRIu64 " bytes are too many for a log entry",
                             read->keys[i].text, answer->size);
        if (answer->size > have)
            rests[n++] = (struct store_read_req){.key = object_key_span(&read->keys[i]),
                                                 .offset = have,
                                                 .len = (int64_t)(answer->size - have),
                                                 .pinned = &answer->version};
    }
    return n ? store_read(round->call, round->store, rests, n) : DP_OK;
}

static enum dp_status parse_entry_of(struct call *call, const struct log_read *read, size_t i, struct span bytes,
                                     struct wal_entry **out)
{
    enum dp_status status = wal_entry_parse(bytes, out, &call->error);
    if (status == DP_OK &&
        ((*out)->head.number != read->first + i || !ulid_equal(&(*out)->head.incarnation, read->incarnation))) {
        wal_entry_release(*out);
        status = call_fail(call, DP_CORRUPT, "it is another log entry than its name says");
    }
    if (status)
        dp_error_prefix(&call->error, "%s", read->keys[i].text);
    return status;
}

/* Parses entry i, whose bytes come from one read or, with a rest, from two. */
static enum dp_status parse_answer(struct round *round, const struct log_read *read, size_t i, struct span rest,
                                   struct wal_entry **out)
{
    struct span begin = round_answer(round, read->handles[i])->bytes.span;
    if (rest.len == 0)
        return parse_entry_of(round->call, read, i, begin, out);
    uint8_t *whole = mem_alloc(begin.len + rest.len);
    if (!whole)
        return call_nomem(round->call, "a log entry");
    memcpy(whole, begin.data, begin.len);
    memcpy(whole + begin.len, rest.data, rest.len);
    enum dp_status status = parse_entry_of(round->call, read, i, span_of(whole, begin.len + rest.len), out);
    mem_free(whole);
    return status;
}

static enum dp_status parse_run(struct round *round, const struct log_read *read, struct log_run *out,
                                const struct store_read_req *rests)
{
    size_t wanted = out->count, rest = 0;
    for (out->count = 0; out->count < wanted; out->count++) {
        const struct store_read_req *answer = round_answer(round, read->handles[out->count]);
        bool longer = answer->size > answer->bytes.span.len;
        struct span more = longer ? rests[rest++].bytes.span : (struct span){0};
        enum dp_status status = parse_answer(round, read, out->count, more, &out->entries[out->count]);
        if (status)
            return status;
    }
    return DP_OK;
}

enum dp_status log_read_take(struct round *round, const struct log_read *read, struct log_run *out)
{
    struct arena *arena = round->call->arena;
    *out = (struct log_run){.first = read->first, .ended = read->count == 0, .date_ms = latest_date(round, read)};
    enum dp_status status = count_entries(round, read, out);
    if (status)
        *out = (struct log_run){0};
    if (status || out->count == 0)
        return status;
    struct store_read_req *rests = arena_calloc(arena, out->count, sizeof *rests);
    out->entries = arena_calloc(arena, out->count, sizeof(struct wal_entry *));
    size_t count = out->count;
    if (!rests || !out->entries) {
        *out = (struct log_run){0};
        return call_nomem(round->call, "a read of the log");
    }
    status = read_rests(round, read, out, rests);
    if (status == DP_OK)
        status = parse_run(round, read, out, rests);
    store_read_release(rests, count);
    if (status)
        log_run_release(out);
    return status;
}

void log_run_release(struct log_run *run)
{
    for (size_t i = 0; i < run->count; i++)
        wal_entry_release(run->entries[i]);
    run->count = 0;
}
