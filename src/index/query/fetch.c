/* fetch.c: ranges of vectors and documents, and their checks. */
#include "index/query/fetch.h"

#include <inttypes.h>

#include "base/alloc.h"

enum {
    FETCH_ROWS_MAX = 64 * 1024,          /* rows of a round */
    FETCH_ARENA_MAX = 64 * 1024 * 1024,  /* bytes of a run of documents */
    FETCH_VECTORS_MAX = 4 * 1024 * 1024, /* maximum bytes of a range that has the vectors of several rows */
    FETCH_GAP_MAX = 8 * 1024             /* maximum bytes of other vectors between two rows of such a range */
};

static size_t ask_dpr(struct round *round, const struct segment *segment, uint64_t offset, uint64_t len)
{
    const struct store_read_req req = {.key = object_key_span(&segment->dpr_key),
                                       .offset = offset,
                                       .len = (int64_t)len,
                                       .pinned = &segment->dpr_version,
                                       .sparse = true};
    return round_ask(round, &req);
}

size_t fetch_ask_vectors(struct round *round, const struct segment *segment, uint64_t first, uint64_t count)
{
    uint64_t len = segment_vector_len(segment->hot.dim);
    return ask_dpr(round, segment, segment->hot.vectors_offset + first * len, count * len);
}

size_t fetch_ask_run(struct round *round, const struct segment *segment, const struct document_run *run)
{
    return ask_dpr(round, segment, run->offset, run->len);
}

enum dp_status fetch_check(struct round *round, const struct segment *segment, size_t handle)
{
    return snapshot_check_read(round_answer(round, handle), segment->hot.size, &round->call->error);
}

enum dp_status fetch_verify_vectors(struct call *call, const struct segment *segment, struct span vectors,
                                    uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct span floats = fetch_floats(segment, vectors, i);
        struct cursor sum = cursor_over(span_of(floats.data + floats.len, FORMAT_CHECKSUM_LEN));
        if (cursor_u64(&sum) != segment_piece_checksum(floats, first + i))
            return call_fail(call, DP_CORRUPT, "%s: the checksum of vector %" PRIu64 " does not fit",
                             segment->dpr_key.text, first + i);
    }
    return DP_OK;
}

/* ---- whole rows ---------------------------------------------------------------------------------------- */

/* The ranges of a row in the current round. */
struct fetch_ranges {
    struct document_run run;
    size_t run_read, vector_read; /* handles */
    uint64_t first, windows;      /* number of its first vector, and how many it has */
    uint64_t range_first;         /* number of the first vector that vector_read reads */
};

/* The state of one fetch_rows(). */
struct fetching {
    struct call *call;
    const struct snapshot *snapshot;
    const struct fetch_place *places;
    size_t count;
    unsigned parts;
    struct round round;
    struct fetch_ranges *ranges; /* [FETCH_ROWS_MAX]: those of the round */
    struct arena raw;            /* holds raw_run, the current run of documents, decompressed */
    struct span raw_run;
};

int fetch_compare_places(const void *a, const void *b)
{
    const struct fetch_place *left = a, *right = b;
    if (left->segment != right->segment)
        return left->segment < right->segment ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

static const struct segment *segment_of(const struct fetching *f, size_t i)
{
    return f->snapshot->segments[f->places[i].segment].segment;
}

/* Returns whether place i, of the round that begins at `begin`, lies in the run of the place before it. */
static bool shares_run(const struct fetching *f, size_t begin, size_t i)
{
    return i > begin && f->places[i - 1].segment == f->places[i].segment &&
           f->ranges[i - 1 - begin].run.first == f->ranges[i - begin].run.first;
}

/* Returns how many vectors the previous place's range must grow by to hold the vectors of place i too; 0: these need a
 * separate range. */
static uint64_t vectors_to_join(const struct fetching *f, size_t begin, size_t i)
{
    const struct fetch_ranges *r = &f->ranges[i - begin], *before = r - 1;
    uint64_t len = segment_vector_len(segment_of(f, i)->hot.dim);
    if (i == begin || f->places[i - 1].segment != f->places[i].segment || before->windows == 0)
        return 0;
    uint64_t end = before->first + before->windows, more = r->first + r->windows - end;
    bool near = (r->first - end) * len <= FETCH_GAP_MAX;
    return near && (r->first + r->windows - before->range_first) * len <= FETCH_VECTORS_MAX ? more : 0;
}

/* Asks for the vectors of place i. */
static void ask_place_vectors(struct fetching *f, size_t begin, size_t i, uint64_t joined)
{
    const struct segment *segment = segment_of(f, i);
    struct fetch_ranges *r = &f->ranges[i - begin];
    if (joined) {
        r->vector_read = r[-1].vector_read;
        r->range_first = r[-1].range_first;
        round_extend(&f->round, r->vector_read, joined * segment_vector_len(segment->hot.dim));
    } else {
        r->range_first = r->first;
        r->vector_read = fetch_ask_vectors(&f->round, segment, r->first, r->windows);
    }
}

/* Asks for place i. Returns false when the round is full. */
static bool ask_place(struct fetching *f, size_t begin, size_t i)
{
    const struct segment *segment = segment_of(f, i);
    if (i - begin == FETCH_ROWS_MAX)
        return false;
    struct fetch_ranges *r = &f->ranges[i - begin];
    r->run = segment_documents_of(&segment->hot, f->places[i].row);
    segment_vectors_of(&segment->hot, f->places[i].row, &r->first, &r->windows);
    bool run = (f->parts & FETCH_DOCUMENTS) && !shares_run(f, begin, i);
    bool vectors = (f->parts & FETCH_VECTORS) && r->windows;
    uint64_t joined = vectors ? vectors_to_join(f, begin, i) : 0;
    uint64_t wanted = joined ? joined : r->windows;
    uint64_t bytes = (run ? r->run.len : 0) + (vectors ? wanted * segment_vector_len(segment->hot.dim) : 0);
    if (!round_takes(&f->round, bytes, (size_t)run + (vectors && !joined)))
        return false;
    if (f->parts & FETCH_DOCUMENTS)
        r->run_read = run ? fetch_ask_run(&f->round, segment, &r->run) : r[-1].run_read;
    if (vectors)
        ask_place_vectors(f, begin, i, joined);
    return true;
}

static enum dp_status find_document(struct fetching *f, size_t begin, size_t i, struct fetched_row *out)
{
    const struct segment *segment = segment_of(f, i);
    const struct fetch_ranges *r = &f->ranges[i - begin];
    struct segment_document document;
    enum dp_status status = fetch_check(&f->round, segment, r->run_read);
    if (status)
        return status;
    if (!shares_run(f, begin, i)) {
        arena_reset(&f->raw);
        status = segment_inflate(&segment->hot, &r->run, round_answer(&f->round, r->run_read)->bytes.span, &f->raw,
                                 &f->raw_run, &f->call->error);
    }
    if (status == DP_OK)
        status = segment_find_document(&r->run, f->raw_run, f->places[i].row, &document, &f->call->error);
    if (status) {
        dp_error_prefix(&f->call->error, "%s", segment->dpr_key.text);
        return status;
    }
    out->key = document.key;
    out->document = document.json;
    return DP_OK;
}

static enum dp_status find_vectors(struct fetching *f, size_t begin, size_t i, struct fetched_row *out)
{
    const struct segment *segment = segment_of(f, i);
    const struct fetch_ranges *r = &f->ranges[i - begin];
    out->segment = segment;
    if (r->windows == 0)
        return DP_OK;
    enum dp_status status = fetch_check(&f->round, segment, r->vector_read);
    if (status)
        return status;
    uint64_t len = segment_vector_len(segment->hot.dim);
    struct span range = round_answer(&f->round, r->vector_read)->bytes.span;
    out->vectors = span_of(range.data + (r->first - r->range_first) * len, (size_t)(r->windows * len));
    out->windows = (uint32_t)r->windows;
    return fetch_verify_vectors(f->call, segment, out->vectors, r->first, r->windows);
}

/* Reads a round of places from *at on, and moves *at behind them. */
static enum dp_status fetch_round(struct fetching *f, size_t *at, fetched_fn *take, void *context)
{
    size_t begin = *at;
    while (*at < f->count && ask_place(f, begin, *at))
        (*at)++;
    enum dp_status status = round_read(&f->round);
    for (size_t i = begin; i < *at && status == DP_OK; i++) {
        struct fetched_row row = {0};
        if (f->parts & FETCH_DOCUMENTS)
            status = find_document(f, begin, i, &row);
        if (status == DP_OK && (f->parts & FETCH_VECTORS))
            status = find_vectors(f, begin, i, &row);
        if (status == DP_OK)
            status = take(context, i, &row);
    }
    round_release(&f->round);
    return status;
}

enum dp_status fetch_rows(struct call *call, struct store *store, uint64_t round_bytes, const struct snapshot *s,
                          const struct fetch_place *places, size_t count, unsigned parts, fetched_fn *take,
                          void *context)
{
    struct fetching f = {.call = call, .snapshot = s, .places = places, .count = count, .parts = parts};
    size_t room = count < FETCH_ROWS_MAX ? count : FETCH_ROWS_MAX;
    if (count == 0)
        return DP_OK;
    f.ranges = mem_calloc(room, sizeof *f.ranges);
    if (!f.ranges)
        return call_nomem(call, "rows");
    arena_init(&f.raw, FETCH_ARENA_MAX);
    round_init(&f.round, call, store, round_bytes);
    enum dp_status status = DP_OK;
    for (size_t at = 0; at < count && status == DP_OK;)
        status = fetch_round(&f, &at, take, context);
    round_deinit(&f.round);
    arena_deinit(&f.raw);
    mem_free(f.ranges);
    return status;
}
