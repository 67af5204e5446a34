/* tail_scan.c: finds the nearest live rows of a tail.
 *
 * The codes of the vectors (index/wal/codes.h) give a lower bound of each distance. The scan bounds all vectors, then
 * measures the rows of the k best bounds: the worst of their distances is almost that of the k-th row. It refines the
 * bounds that are not worse than that, and measures the rows whose refined bounds are not. A heap keeps the distance of
 * the k-th row so far. Rows at exactly this distance are sorted by their ids, and the first of them fill the places that
 * nearer rows leave.
 */
#include "index/query/tail_scan.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "index/query/exact.h"
#include "vector/topk.h"

enum {
    PLAIN_VECTORS = 64, /* with fewer vectors, bounds save nothing */
    NEAR_BLOCK = 256,   /* vectors to look at together … */
    NEAR_AHEAD = 8      /* … whose codes are on their way from memory at a time */
};

static int compare_tail_hits(const void *a, const void *b)
{
    const struct tail_hit *left = a, *right = b;
    if (left->dist != right->dist)
        return left->dist < right->dist ? -1 : 1;
    return span_compare(left->record->key, right->record->key);
}

/* The state of one search. */
struct tail_scanning {
    struct call *call;
    const struct tail *tail;
    enum index_metric metric;
    const float *query; /* float[dim] */
    uint32_t dim;
    struct wal_code_query coded; /* the query */
    struct topk top;
    struct tail_hit *all; /* [count]: rows that were among the best when they came */
    size_t count;
    uint8_t *measured; /* a bit for each row of the tail */
    float *bounds;     /* lower bounds of the distances of all vectors of the tail, in the order of the log */
};

/* Measures row number `row` of the tail unless that was done or the row is not live. */
static void measure_row(struct tail_scanning *s, size_t row)
{
    const struct tail_row *at = &s->tail->rows[row];
    const struct wal_record *record = at->record;
    uint8_t bit = (uint8_t)(1U << row % 8);
    if (!tail_row_is_live(at) || record->windows == 0 || (s->measured[row / 8] & bit))
        return;
    s->measured[row / 8] |= bit;
    float dist = exact_distance(s->metric, s->query, record->vectors, record->windows, s->dim);
    if (topk_admits(&s->top, dist)) {
        topk_push(&s->top, dist, (int64_t)s->count);
        s->all[s->count++] = (struct tail_hit){record, dist};
    }
}

static enum dp_status measure_all(struct tail_scanning *s)
{
    enum dp_status status = DP_OK;
    for (size_t row = 0; row < s->tail->row_count && status == DP_OK; row++) {
        measure_row(s, row);
        if (row % 1024 == 0)
            status = call_check(s->call);
    }
    return status;
}

/* ---- with bounds --------------------------------------------------------------------------------------- */

/* Bounds all vectors, and keeps the rows of the best bounds in `best`. */
static enum dp_status bound_all(struct tail_scanning *s, struct topk *best)
{
    float *bounds = s->bounds;
    size_t first = 0; /* row of the tail */
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->tail->entry_count && status == DP_OK; i++) {
        const struct wal_entry *entry = s->tail->entries[i];
        wal_codes_bound(&entry->codes, &s->coded, bounds);
        for (size_t v = 0; v < entry->codes.count; v++) {
            size_t row = first + entry->owners[v];
            if (topk_admits(best, bounds[v]) && tail_row_is_live(&s->tail->rows[row]))
                topk_push(best, bounds[v], (int64_t)row);
        }
        bounds += entry->codes.count;
        first += entry->rows;
        status = call_check(s->call);
    }
    return status;
}

/* Returns whether a vector with this bound may be among the best. A bound is NaN when codes of huge numbers overflow. */
static bool may_be_near(const struct tail_scanning *s, float bound)
{
    return s->top.count < s->top.k || !(bound > s->top.hits[0].score);
}

/* Measures the rows of some vectors of an entry that may be among the best. first: the entry's first row in the tail */
static void measure_near(struct tail_scanning *s, const struct wal_entry *entry, const float *bounds,
                         const size_t *near, size_t count, size_t first)
{
    for (size_t i = 0; i < count && i < NEAR_AHEAD; i++)
        wal_codes_prefetch(&entry->codes, near[i]);
    for (size_t i = 0; i < count; i++) {
        size_t v = near[i];
        if (i + NEAR_AHEAD < count)
            wal_codes_prefetch(&entry->codes, near[i + NEAR_AHEAD]);
        if (may_be_near(s, bounds[v]) && may_be_near(s, wal_codes_refine(&entry->codes, &s->coded, v, bounds[v])))
            measure_row(s, first + entry->owners[v]);
    }
}

/* Measures the rows of an entry that may be among the best. */
static void measure_entry(struct tail_scanning *s, const struct wal_entry *entry, const float *bounds,
                          size_t first)
{
    size_t near[NEAR_BLOCK], count = 0;
    for (size_t v = 0; v < entry->codes.count; v++) {
        if (may_be_near(s, bounds[v]))
            near[count++] = v;
        if (count == NEAR_BLOCK) {
            measure_near(s, entry, bounds, near, count, first);
            count = 0;
        }
    }
    measure_near(s, entry, bounds, near, count, first);
}

static enum dp_status measure_by_bounds(struct tail_scanning *s, size_t vectors)
{
    struct topk best = {0};
    enum dp_status status = wal_code_query_init(&s->coded, s->metric, s->query, s->dim, &s->call->error);
    s->bounds = mem_alloc(vectors * sizeof *s->bounds);
    if (status == DP_OK && !s->bounds)
        status = call_nomem(s->call, "a search of the log");
    if (status == DP_OK)
        status = topk_init(&best, s->top.k, false, &s->call->error);
    if (status == DP_OK)
        status = bound_all(s, &best);
    for (size_t i = 0; i < best.count && status == DP_OK; i++)
        measure_row(s, (size_t)best.hits[i].id);
    const float *bounds = s->bounds;
    size_t first = 0;
    for (size_t i = 0; i < s->tail->entry_count && status == DP_OK; i++) {
        const struct wal_entry *entry = s->tail->entries[i];
        measure_entry(s, entry, bounds, first);
        bounds += entry->codes.count;
        first += entry->rows;
        status = call_check(s->call);
    }
    topk_deinit(&best);
    wal_code_query_deinit(&s->coded);
    mem_free(s->bounds);
    return status;
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

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

/* plain: measure every row. */
static enum dp_status search_tail(struct tail_scanning *s, size_t top_k, bool plain, struct tail_hit **hits,
                                  size_t *count)
{
    const struct tail *tail = s->tail;
    size_t k = tail->live < top_k ? (size_t)tail->live : top_k, vectors = 0;
    *hits = NULL;
    *count = 0;
    if (k == 0)
        return DP_OK;
    for (size_t i = 0; i < tail->entry_count; i++)
        vectors += tail->entries[i]->codes.count;
    s->all = mem_alloc((size_t)tail->live * sizeof *s->all);
    s->measured = mem_calloc(tail->row_count / 8 + 1, 1);
    enum dp_status status = s->all && s->measured ? topk_init(&s->top, k, false, &s->call->error)
                                                  : call_nomem(s->call, "a search of the log");
    if (status == DP_OK)
        status = plain || vectors < PLAIN_VECTORS ? measure_all(s) : measure_by_bounds(s, vectors);
    if (status == DP_OK) {
        *count = choose_hits(&s->top, s->all, s->count, k);
        *hits = arena_array(s->call->arena, *count + 1, sizeof **hits);
        if (!*hits)
            status = call_nomem(s->call, "a search of the log");
        else
            memcpy(*hits, s->all, *count * sizeof **hits);
    }
    topk_deinit(&s->top);
    mem_free(s->measured);
    mem_free(s->all);
    return status;
}

enum dp_status tail_scan(struct call *call, const struct tail *tail, enum index_metric metric, const float *query,
                         uint32_t dim, size_t top_k, struct tail_hit **hits, size_t *count)
{
    struct tail_scanning s = {.call = call, .tail = tail, .metric = metric, .query = query, .dim = dim};
    return search_tail(&s, top_k, false, hits, count);
}

enum dp_status tail_scan_plainly(struct call *call, const struct tail *tail, enum index_metric metric,
                                 const float *query, uint32_t dim, size_t top_k, struct tail_hit **hits,
                                 size_t *count)
{
    struct tail_scanning s = {.call = call, .tail = tail, .metric = metric, .query = query, .dim = dim};
    return search_tail(&s, top_k, true, hits, count);
}
