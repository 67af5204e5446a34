/* supersede.c: looks up the ids of a load in an older segment.
 *
 * Keys and blocks are both sorted, so one walk over the keys visits the blocks in order. Blocks are read in
 * batches, each one round.
 */
#include "index/load/supersede.h"

#include "base/alloc.h"
#include "index/segment/key_filter.h"

enum { BATCH = 256 };

/* A block to be read, and the keys that may be in it: keys[from, to). */
struct wanted {
    size_t block;
    size_t from, to;
};

static enum dp_status search_block(struct call *call, const struct segment_hot *hot, const struct wanted *w,
                                   struct span bytes, const struct span *keys, struct row_set *rows)
{
    enum dp_status status = segment_check_ids(hot, w->block, bytes, &call->error);
    if (status)
        return status;
    struct id_walk walk = id_walk_over(hot, bytes);
    struct span key;
    uint32_t row;
    size_t at = w->from;
    while (at < w->to && id_walk_next(&walk, &key, &row)) {
        int order;
        while (at < w->to && (order = span_compare(keys[at], key)) <= 0) {
            if (order == 0)
                row_set_add(rows, row);
            at++;
        }
    }
    if (walk.at.failed)
        return call_fail(call, DP_CORRUPT, "id block %zu is malformed", w->block);
    return DP_OK;
}

static enum dp_status search_batch(struct call *call, const struct segment_place *place,
                                   const struct object_key *key, const struct segment_hot *hot,
                                   const struct wanted *wanted, size_t count, const struct span *keys,
                                   struct row_set *rows)
{
    struct store_read_req *reqs = mem_calloc(count, sizeof *reqs);
    if (!reqs)
        return call_nomem(call, "looking up ids");
    for (size_t i = 0; i < count; i++) {
        const struct id_block *b = &hot->ids[wanted[i].block];
        reqs[i] = (struct store_read_req){.key = object_key_span(key), .offset = b->offset, .len = b->stored};
    }
    enum dp_status status = store_read(call, place->store, reqs, count);
    for (size_t i = 0; i < count && status == DP_OK; i++)
        status = search_block(call, hot, &wanted[i], reqs[i].bytes.span, keys, rows);
    store_read_release(reqs, count);
    mem_free(reqs);
    return status;
}

static enum dp_status search(struct call *call, const struct segment_place *place, const struct object_key *key,
                             const struct segment_hot *hot, const struct span *keys, size_t n,
                             struct row_set *rows)
{
    struct wanted wanted[BATCH];
    size_t count = 0;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < n; i++) {
        if (!key_filter_maybe(hot->filter, keys[i]))
            continue;
        size_t block = segment_id_block_of(hot, keys[i]);
        if (block == hot->id_count)
            continue;
        if (count && wanted[count - 1].block == block) {
            wanted[count - 1].to = i + 1;
            continue;
        }
        if (count == BATCH) {
            status = call_check(call);
            if (status == DP_OK)
                status = search_batch(call, place, key, hot, wanted, count, keys, rows);
            if (status)
                return status;
            count = 0;
        }
        wanted[count++] = (struct wanted){block, i, i + 1};
    }
    return count ? search_batch(call, place, key, hot, wanted, count, keys, rows) : DP_OK;
}

/* What a missing or replaced object means: the manifest that lists it is old. */
static enum dp_status judge_read(struct call *call, const struct object_key *key, enum dp_status status)
{
    if (status != DP_NOT_FOUND && status != DP_STALE)
        return status;
    return call_fail(call, DP_STALE, "%s: the manifest lists it, but it is missing", key->text);
}

enum dp_status supersede_find(struct call *call, const struct segment_place *place, const struct span *keys,
                              size_t n, struct row_set *rows)
{
    struct object_key key;
    struct segment_hot hot;
    *rows = (struct row_set){0};
    key_of_dpr(&key, place->name, &place->incarnation, &place->listed->id);
    struct store_read_req req = {
        .key = object_key_span(&key), .offset = place->listed->hot_offset, .len = (int64_t)place->listed->hot_len};
    enum dp_status status = judge_read(call, &key, store_read(call, place->store, &req, 1));
    if (status)
        return status;
    status = segment_parse_hot(req.bytes.span, place->listed, place->dim, &hot, &call->error);
    store_read_release(&req, 1);
    if (status) {
        dp_error_prefix(&call->error, "%s", key.text);
        return status;
    }
    status = row_set_init(rows, hot.rows, &call->error);
    if (status == DP_OK)
        status = judge_read(call, &key, search(call, place, &key, &hot, keys, n, rows));
    if (status) {
        row_set_deinit(rows);
        if (status == DP_CORRUPT)
            dp_error_prefix(&call->error, "%s", key.text);
    }
    segment_hot_deinit(&hot);
    return status;
}

enum dp_status supersede_read_deleted(struct call *call, const struct segment_place *place, struct row_set *rows)
{
    const struct manifest_segment *s = place->listed;
    if (!s->has_deleted)
        return row_set_init(rows, s->rows, &call->error);
    struct object_key key;
    key_of_del(&key, place->name, &place->incarnation, &s->id, &s->deletion);
    struct store_read_req req = {.key = object_key_span(&key), .len = (int64_t)s->deleted_size};
    enum dp_status status = judge_read(call, &key, store_read(call, place->store, &req, 1));
    if (status)
        return status;
    status = deleted_parse(req.bytes.span, &s->id, s->rows, s->deleted_rows, rows, &call->error);
    if (status)
        dp_error_prefix(&call->error, "%s", key.text);
    store_read_release(&req, 1);
    return status;
}
