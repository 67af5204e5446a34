/* id_search.c: looks up id keys in the id blocks of segments.
 *
 * The id keys and the id blocks of a segment are both sorted, so one walk over the keys visits the blocks in order.
 */
#include "index/query/id_search.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "index/query/snapshot.h"
#include "index/round.h"
#include "index/segment/key_filter.h"

enum { BLOCKS_MAX = 1024 }; /* id blocks in memory at a time */

/* An id block to read, and the keys that it may hold: keys[from] to keys[to - 1]. */
struct wanted_block {
    size_t segment, block;
    size_t from, to;
    size_t read; /* handle of the block in `round` */
};

/* The state of one id_search(). */
struct id_searching {
    struct call *call;
    const struct searched_segment *segments;
    const struct span *keys;
    size_t key_count;
    id_found_fn *found;
    void *context;
    struct round own, *round; /* `round` is `own` or the caller's, which the search neither reads nor releases */
    bool full;                /* the blocks do not fit into the caller's round */
    struct wanted_block *wanted; /* [BLOCKS_MAX], of which `count` are in use */
    size_t count;
};

/* Compares the block's keys with the wanted ones. */
static enum dp_status walk_block(struct id_searching *s, const struct wanted_block *w, struct span bytes)
{
    struct id_walk walk = id_walk_over(s->segments[w->segment].hot, bytes);
    struct span key;
    uint32_t row;
    size_t at = w->from;
    while (at < w->to && id_walk_next(&walk, &key, &row)) {
        for (; at < w->to; at++) {
            int order = span_compare(s->keys[at], key);
            if (order > 0)
                break;
            enum dp_status status = order == 0 ? s->found(s->context, w->segment, at, row) : DP_OK;
            if (status)
                return status;
        }
    }
    if (walk.at.failed)
        return call_fail(s->call, DP_CORRUPT, "id block %zu is malformed", w->block);
    return DP_OK;
}

static enum dp_status search_block(struct id_searching *s, const struct wanted_block *w)
{
    const struct searched_segment *segment = &s->segments[w->segment];
    const struct store_read_req *read = round_answer(s->round, w->read);
    enum dp_status status = snapshot_check_read(read, segment->hot->size, &s->call->error);
    if (status)
        return status;
    status = segment_check_ids(segment->hot, w->block, read->bytes.span, &s->call->error);
    if (status == DP_OK)
        status = walk_block(s, w, read->bytes.span);
    if (status == DP_CORRUPT)
        dp_error_prefix(&s->call->error, "%s", segment->key->text);
    return status;
}

static enum dp_status search_blocks(struct id_searching *s)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->count && status == DP_OK; i++)
        status = search_block(s, &s->wanted[i]);
    return status;
}

/* Reads the wanted blocks in one round, searches them and forgets them. */
static enum dp_status search_wanted(struct id_searching *s)
{
    enum dp_status status = round_read(s->round);
    if (status == DP_OK)
        status = search_blocks(s);
    round_release(s->round);
    s->count = 0;
    return status;
}

/* Makes room for one more block. */
static enum dp_status make_room(struct id_searching *s, const struct id_block *block)
{
    if (s->count < BLOCKS_MAX && round_takes(s->round, block->stored, 1))
        return DP_OK;
    s->full = s->round != &s->own;
    return s->full ? DP_OK : search_wanted(s);
}

/* Wants the blocks of one segment that may hold a key. Searches the wanted ones whenever its own round is full. */
static enum dp_status search_segment(struct id_searching *s, size_t segment)
{
    const struct searched_segment *at = &s->segments[segment];
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->key_count && status == DP_OK && !s->full; i++) {
        if (at->hot->filter.len && !key_filter_maybe(at->hot->filter, s->keys[i]))
            continue;
        size_t block = segment_id_block_of(at->hot, s->keys[i]);
        if (block == at->hot->id_count)
            continue;
        struct wanted_block *last = s->count ? &s->wanted[s->count - 1] : NULL;
        if (last && last->segment == segment && last->block == block) {
            last->to = i + 1;
            continue;
        }
        const struct id_block *b = &at->hot->ids[block];
        status = make_room(s, b);
        const struct store_read_req req = {
            .key = object_key_span(at->key), .offset = b->offset, .len = b->stored, .pinned = at->version};
        if (status == DP_OK && !s->full)
            s->wanted[s->count++] = (struct wanted_block){segment, block, i, i + 1, round_ask(s->round, &req)};
    }
    return status;
}

/* Makes a search that reads the blocks in `round`, or in a separate round if `round` is NULL. Returns NULL if
 * memory runs out. */
static struct id_searching *new_search(struct call *call, struct round *round,
                                       const struct searched_segment *segments, const struct span *keys,
                                       size_t key_count, id_found_fn *found, void *context)
{
    struct id_searching *s = mem_calloc(1, sizeof *s);
    struct wanted_block *wanted = mem_alloc(BLOCKS_MAX * sizeof *wanted);
    if (!s || !wanted) {
        mem_free(s);
        mem_free(wanted);
        return NULL;
    }
    *s = (struct id_searching){.call = call,
                               .segments = segments,
                               .keys = keys,
                               .key_count = key_count,
                               .found = found,
                               .context = context,
                               .round = round ? round : &s->own,
                               .wanted = wanted};
    return s;
}

enum dp_status id_search(struct call *call, struct store *store, uint64_t round_bytes,
                         const struct searched_segment *segments, size_t segment_count, const struct span *keys,
                         size_t key_count, id_found_fn *found, void *context)
{
    enum dp_status status = DP_OK;
    if (segment_count == 0 || key_count == 0)
        return DP_OK;
    struct id_searching *s = new_search(call, NULL, segments, keys, key_count, found, context);
    if (!s)
        return call_nomem(call, "a search for ids");
    round_init(&s->own, call, store, round_bytes);
    for (size_t i = 0; i < segment_count && status == DP_OK; i++)
        status = search_segment(s, i);
    if (status == DP_OK && s->count)
        status = search_wanted(s);
    round_deinit(&s->own);
    id_search_free(s);
    return status;
}

enum dp_status id_search_ask(struct call *call, struct round *round, const struct searched_segment *segments,
                             size_t segment_count, const struct span *keys, size_t key_count, id_found_fn *found,
                             void *context, struct id_searching **out, bool *full)
{
    enum dp_status status = DP_OK;
    const size_t asked = round->count;
    const uint64_t bytes = round->bytes;
    *out = NULL;
    *full = false;
    struct id_searching *s = new_search(call, round, segments, keys, key_count, found, context);
    if (!s)
        return call_nomem(call, "a search for ids");
    for (size_t i = 0; i < segment_count && status == DP_OK && !s->full; i++)
        status = search_segment(s, i);
    *full = s->full;
    if (status != DP_OK || s->full || s->count == 0) {
        round->count = asked;
        round->bytes = bytes;
        id_search_free(s);
        return status;
    }
    *out = s;
    return DP_OK;
}

enum dp_status id_search_take(struct id_searching *s)
{
    return search_blocks(s);
}

void id_search_free(struct id_searching *s)
{
    if (s)
        mem_free(s->wanted);
    mem_free(s);
}
