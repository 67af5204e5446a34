/* tail_scan.c: measures the live rows of a tail and keeps the nearest.
 *
 * It skips a row whose codes (index/wal/codes.h) show that it cannot be among the nearest. A heap finds the distance of the k-th row. Rows at exactly this distance are sorted by their ids, and the first of
 * them fill the places that nearer rows leave.
 */
#include "index/query/tail_scan.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "index/query/exact.h"
#include "vector/topk.h"

static int compare_tail_hits(const void *a, const void *b)
{
    const struct tail_hit *left = a, *right = b;
    if (left->dist != right->dist)
        return left->dist < right->dist ? -1 : 1;
    return span_compare(left->record->key, right->record->key);
}

/* The state of one tail_scan(). */
struct tail_scanning {
    struct call *call;
    const struct tail *tail;
    struct wal_code_query query;
    struct topk top;
    float *bounds;        /* lower bounds of the distances of one entry's vectors */
    struct tail_hit *all; /* [count]: rows that were among the best when they came */
    size_t count;
};

/* Returns whether the bounds[windows] of a row allow that it is among the best so far. */
static bool may_be_near(const struct topk *top, const float *bounds, uint32_t windows)
{
    if (top->count < top->k)
        return true;
    for (uint32_t i = 0; i < windows; i++) {
        if (!(bounds[i] > top->hits[0].score)) /* also for NaN, when the codes of huge numbers overflow */
            return true;
    }
    return false;
}

/* Measures the live rows of an entry that have vectors. *row: position of its first row in the tail; gets that of the
 * next entry's. */
static void measure_entry(struct tail_scanning *s, const struct wal_entry *entry, size_t *row)
{
    const float *bounds = s->bounds;
    wal_codes_bound(&entry->codes, &s->query, s->bounds);
    for (size_t i = 0; i < entry->count; i++) {
        const struct wal_record *record = &entry->records[i];
        if (record->kind != WAL_ROW && record->kind != WAL_DELETED)
            continue;
        bool live = tail_row_is_live(&s->tail->rows[(*row)++]) && record->windows;
        if (live && may_be_near(&s->top, bounds, record->windows)) {
            float dist =
                exact_distance(s->query.metric, s->query.vector, record->vectors, record->windows, s->query.dim);
            if (topk_admits(&s->top, dist)) {
                topk_push(&s->top, dist, (int64_t)s->count);
                s->all[s->count++] = (struct tail_hit){record, dist};
            }
        }
        bounds += record->windows;
    }
}

static enum dp_status measure_tail(struct tail_scanning *s)
{
    size_t most = 0, row = 0;
    for (size_t i = 0; i < s->tail->entry_count; i++) {
        size_t count = s->tail->entries[i]->codes.count;
        most = count > most ? count : most;
    }
    s->bounds = mem_alloc((most + 1) * sizeof *s->bounds);
    if (!s->bounds)
        return call_nomem(s->call, "a search of the log");
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->tail->entry_count && status == DP_OK; i++) {
        measure_entry(s, s->tail->entries[i], &row);
        status = call_check(s->call);
    }
    return status;
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
    size_t k = tail->live < top_k ? (size_t)tail->live : top_k;
    *hits = NULL;
    *count = 0;
    if (k == 0)
        return DP_OK;
    struct tail_scanning s = {.call = call, .tail = tail, .query = wal_code_query_of(metric, query, dim)};
    s.all = mem_alloc((size_t)tail->live * sizeof *s.all);
    enum dp_status status =
        s.all ? topk_init(&s.top, k, false, &call->error) : call_nomem(call, "a search of the log");
    if (status == DP_OK)
        status = measure_tail(&s);
    if (status == DP_OK) {
        *count = choose_hits(&s.top, s.all, s.count, k);
        *hits = arena_array(call->arena, *count + 1, sizeof **hits);
        if (!*hits)
            status = call_nomem(call, "a search of the log");
        else
            memcpy(*hits, s.all, *count * sizeof **hits);
    }
    topk_deinit(&s.top);
    mem_free(s.bounds);
    mem_free(s.all);
    return status;
}
