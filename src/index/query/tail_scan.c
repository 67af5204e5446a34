/* tail_scan.c: measures all live rows of a tail and keeps the nearest.
 *
 * A heap finds the distance of the k-th row. Rows at exactly this distance are sorted by their ids, and the first of
 * them fill the places that nearer rows leave.
 */
#include "index/query/tail_scan.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "index/query/exact.h"
#include "vector/topk.h"

enum { CHECK_ROWS = 1024 }; /* rows between two looks whether the call has ended */

static int compare_tail_hits(const void *a, const void *b)
{
    const struct tail_hit *left = a, *right = b;
    if (left->dist != right->dist)
        return left->dist < right->dist ? -1 : 1;
    return span_compare(left->record->key, right->record->key);
}

/* Measures the live rows with vectors: all[*count]. Pushes the distances to `top`. */
static enum dp_status measure_tail(struct call *call, const struct tail *tail, enum index_metric metric,
                                   const float *query, uint32_t dim, struct topk *top, struct tail_hit *all,
                                   size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < tail->row_count; i++) {
        const struct wal_record *record = tail->rows[i].record;
        enum dp_status status = i % CHECK_ROWS == 0 ? call_check(call) : DP_OK;
        if (status)
            return status;
        if (!tail_row_is_live(&tail->rows[i]) || record->windows == 0)
            continue;
        float dist = exact_distance(metric, query, record->vectors, record->windows, dim);
        if (topk_admits(top, dist)) {
            all[(*count)++] = (struct tail_hit){record, dist};
            topk_push(top, dist, (int64_t)i);
        }
    }
    return DP_OK;
}

/* Keeps the best k of the rows that came into the heap, with ids as the tie-breaker. Returns how many. */
static size_t choose_hits(const struct topk *top, struct tail_hit *all, size_t count, size_t k)
{
    if (count <= k)
        return count;
    float worst = top->hits[0].score; /* the heap is full, and its root is its worst hit */
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (all[i].dist <= worst)
            all[kept++] = all[i];
    }
    if (kept > k)
        qsort(all, kept, sizeof *all, compare_tail_hits);
    return kept < k ? kept : k;
}

enum dp_status tail_scan(struct call *call, const struct tail *tail, enum index_metric metric, const float *query,
                         uint32_t dim, size_t top_k, struct tail_hit **hits, size_t *count)
{
    size_t k = tail->live < top_k ? (size_t)tail->live : top_k, measured = 0;
    *hits = NULL;
    *count = 0;
    if (k == 0)
        return DP_OK;
    struct topk top;
    struct tail_hit *all = mem_alloc((size_t)tail->live * sizeof *all);
    if (!all)
        return call_nomem(call, "a search of the log");
    enum dp_status status = topk_init(&top, k, false, &call->error);
    if (status) {
        mem_free(all);
        return status;
    }
    status = measure_tail(call, tail, metric, query, dim, &top, all, &measured);
    if (status == DP_OK) {
        *count = choose_hits(&top, all, measured, k);
        *hits = arena_array(call->arena, *count + 1, sizeof **hits);
        if (!*hits)
            status = call_nomem(call, "a search of the log");
        else
            memcpy(*hits, all, *count * sizeof **hits);
    }
    topk_deinit(&top);
    mem_free(all);
    return status;
}
