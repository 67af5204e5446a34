/* fuse.c: adds up the scores of each id, and sorts. */
#include "service/fuse.h"

#include <stdlib.h>

#include "base/map.h"
#include "index/id.h"

/* A fused row, and its id key. */
struct fuse_row {
    struct fused_hit fused;
    struct span key;
};

static int compare_rows(const void *a, const void *b)
{
    const struct fuse_row *left = a, *right = b;
    if (left->fused.score != right->fused.score)
        return left->fused.score > right->fused.score ? -1 : 1;
    return span_compare(left->key, right->key);
}

/* Adds the rows of lane number `lane` to rows[*count]; `places` has the place of each id key. */
static enum dp_status add_lane(struct call *call, const struct fuse_lane *from, size_t lane, double rank_constant,
                               struct map *places, struct fuse_row *rows, size_t *count)
{
    for (size_t i = 0; i < from->count; i++) {
        struct id_key key;
        uint64_t *place;
        bool existing;
        enum dp_status status = id_encode(from->hits[i].id, &key, &call->error);
        if (status)
            return status;
        struct span copy = arena_copy(call->arena, id_key_span(&key));
        if (!copy.data)
            return call_nomem(call, "fused rows");
        status = map_put(places, copy, *count, &place, &existing, &call->error);
        if (status)
            return status;
        if (!existing)
            rows[(*count)++] = (struct fuse_row){.fused = {.hit = from->hits[i], .lane = lane}, .key = copy};
        rows[*place].fused.score +=
            from->scores ? from->weight * from->scores[i] : from->weight / (rank_constant + (double)(i + 1));
    }
    return DP_OK;
}

enum dp_status fuse_lanes(struct call *call, const struct fuse_lane *lanes, size_t count, double rank_constant,
                          size_t limit, struct fused_hit **out, size_t *out_count)
{
    size_t most = 0, rows_count = 0;
    struct map places;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < count; i++)
        most += lanes[i].count;
    struct fuse_row *rows = arena_array(call->arena, most + 1, sizeof *rows);
    struct fused_hit *fused = arena_array(call->arena, most + 1, sizeof *fused);
    if (!rows || !fused)
        return call_nomem(call, "fused rows");
    map_init(&places, most + 1);
    for (size_t i = 0; i < count && status == DP_OK; i++)
        status = add_lane(call, &lanes[i], i, rank_constant, &places, rows, &rows_count);
    map_deinit(&places);
    if (rows_count)
        qsort(rows, rows_count, sizeof *rows, compare_rows);
    *out_count = rows_count < limit ? rows_count : limit;
    for (size_t i = 0; i < *out_count; i++) {
        fused[i] = rows[i].fused;
        fused[i].hit.dist = (float)fused[i].score;
    }
    *out = fused;
    return status;
}
