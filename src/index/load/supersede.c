/* supersede.c: looks up the ids of a load in an older segment.
 *
 * The id keys and the id blocks are both sorted, so one walk over the keys visits the blocks in order. One round
 * reads up to BATCH blocks.
 */
#include "index/load/supersede.h"

#include "index/round.h"
#include "index/segment/key_filter.h"

enum { BATCH = 256 };

/* An id block to read, and the keys that it may hold: keys[from] to keys[to - 1]. */
struct wanted_block {
    size_t block;
    size_t from, to;
    size_t read; /* handle of the block in `round` */
};

/* A search of one segment for the id keys of a load. */
struct id_search {
    struct call *call;
    const struct object_key *key; /* name of the .dpr object */
    const struct segment_hot *hot;
    const struct span *keys; /* id keys of the load, sorted */
    struct row_set *rows;    /* out: rows of the segment that have one of these keys */
    struct round round;
    struct wanted_block wanted[BATCH];
    size_t count;
};

static enum dp_status search_block(struct id_search *s, const struct wanted_block *w)
{
    struct span bytes = round_answer(&s->round, w->read)->bytes.span;
    enum dp_status status = round_check(&s->round, w->read);
    if (status == DP_OK)
        status = segment_check_ids(s->hot, w->block, bytes, &s->call->error);
    if (status)
        return status;
    struct id_walk walk = id_walk_over(s->hot, bytes);
    struct span key;
    uint32_t row;
    size_t at = w->from;
    while (at < w->to && id_walk_next(&walk, &key, &row)) {
        for (; at < w->to; at++) {
            int order = span_compare(s->keys[at], key);
            if (order > 0)
                break;
            if (order == 0)
                row_set_add(s->rows, row);
        }
    }
    if (walk.at.failed)
        return call_fail(s->call, DP_CORRUPT, "id block %zu is malformed", w->block);
    return DP_OK;
}

/* Reads the wanted blocks in one round, searches them and forgets them. */
static enum dp_status search_wanted(struct id_search *s)
{
    enum dp_status status = round_read(&s->round);
    for (size_t i = 0; i < s->count && status == DP_OK; i++)
        status = search_block(s, &s->wanted[i]);
    round_release(&s->round);
    s->count = 0;
    return status;
}

static enum dp_status search_ids(struct id_search *s, size_t n)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < n && status == DP_OK; i++) {
        if (!key_filter_maybe(s->hot->filter, s->keys[i]))
            continue;
        size_t block = segment_id_block_of(s->hot, s->keys[i]);
        if (block == s->hot->id_count)
            continue;
        if (s->count && s->wanted[s->count - 1].block == block) {
            s->wanted[s->count - 1].to = i + 1;
            continue;
        }
        if (s->count == BATCH)
            status = search_wanted(s);
        const struct id_block *b = &s->hot->ids[block];
        const struct store_read_req req = {.key = object_key_span(s->key), .offset = b->offset, .len = b->stored};
        s->wanted[s->count++] = (struct wanted_block){block, i, i + 1, round_ask(&s->round, &req)};
    }
    return status == DP_OK && s->count ? search_wanted(s) : status;
}

static enum dp_status find_rows(struct call *call, const struct segment_place *place, const struct object_key *key,
                                const struct segment_hot *hot, const struct span *keys, size_t n,
                                struct row_set *rows)
{
    struct id_search s = {.call = call, .key = key, .hot = hot, .keys = keys, .rows = rows};
    round_init(&s.round, call, place->store, 0);
    enum dp_status status = search_ids(&s, n);
    round_deinit(&s.round);
    return status;
}

/* Returns the status of a read. It becomes DP_STALE when the object is missing: then the manifest is old. */
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
        status = judge_read(call, &key, find_rows(call, place, &key, &hot, keys, n, rows));
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
