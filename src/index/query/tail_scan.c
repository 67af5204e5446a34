/* tail_scan.c: finds the nearest live rows of a tail.
 *
 * The codes of the vectors (index/wal/codes.h) give a lower bound of each distance. The scan bounds all vectors, then
 * measures the rows of the k best bounds. The worst of these distances, the limit, is nearly the distance of the k-th
 * row. The scan refines the bounds within the limit, and measures the rows whose refined bounds are still within it. A
 * heap keeps the limit: the distance of the k-th row so far. Among rows at exactly this distance the smallest ids win.
 */
#include "index/query/tail_scan.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "index/query/exact.h"
#include "simd/scan.h"
#include "simd/simd.h"
#include "vector/topk.h"

enum {
    PLAIN_VECTORS = 64,  /* with fewer vectors, bounds save nothing */
    PART_VECTORS = 8192, /* vectors that one thread bounds at a time, or all of a larger entry */
    NEAR_AHEAD = 8       /* vectors whose codes are on their way from memory at a time */
};

static int compare_tail_hits(const void *a, const void *b)
{
    const struct tail_hit *left = a, *right = b;
    if (left->dist != right->dist)
        return left->dist < right->dist ? -1 : 1;
    return span_compare(left->record->key, right->record->key);
}

/* Some entries of the tail, whose vectors one thread bounds. */
struct bound_part {
    size_t entry, entries;  /* position of the first entry, and how many */
    size_t row;             /* first row in the tail */
    size_t vector, vectors; /* first vector in the order of the log, and how many */
    struct topk best;       /* rows of the best bounds */
    size_t near;            /* vectors that may be among the best */
};

/* The state of one search. */
struct tail_scanning {
    struct call *call;
    const struct tail *tail;
    const struct tail_search *search;
    struct wal_code_query coded; /* the query */
    struct topk top;
    struct tail_hit *all; /* [count]: rows that were among the best when they came */
    size_t count;
    uint8_t *measured;        /* a bit for each row of the tail */
    struct bound_part *parts; /* [part_count] */
    size_t part_count;
    float *bounds; /* lower bounds of the distances of all vectors of the tail, in the order of the log */
    /* [vectors of the tail]. The places of a part begin with its vectors that may be among the best; refine_near()
     * replaces these by their rows. */
    uint32_t *near;
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
    const struct tail_search *search = s->search;
    float dist = exact_distance(search->metric, search->query, record->vectors, record->windows, search->dim);
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

/* Divides the entries into parts. */
static enum dp_status plan_parts(struct tail_scanning *s)
{
    const struct tail *tail = s->tail;
    struct bound_part next = {0};
    s->parts = mem_calloc(tail->entry_count + 1, sizeof *s->parts);
    if (!s->parts)
        return call_nomem(s->call, "a search of the log");
    for (size_t i = 0; i < tail->entry_count; i++) {
        struct bound_part *part = &s->parts[s->part_count];
        if (part->entries == 0)
            *part = next;
        part->entries++;
        part->vectors += tail->entries[i]->codes.count;
        next.entry++;
        next.row += tail->entries[i]->rows;
        next.vector += tail->entries[i]->codes.count;
        if (part->vectors >= PART_VECTORS || i + 1 == tail->entry_count)
            s->part_count++;
    }
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->part_count && status == DP_OK; i++) {
        size_t k = s->parts[i].vectors < s->top.k ? s->parts[i].vectors : s->top.k;
        status = topk_init(&s->parts[i].best, k, false, &s->call->error);
    }
    return status;
}

/* Returns a bit for each of the `count` bounds that may be among the best of `top`. */
static uint64_t find_promising(const struct topk *top, const float *bounds, size_t count)
{
    uint64_t all = UINT64_MAX >> (SCAN_SCORES_MAX - count);
    return top->count < top->k ? all : simd_ops()->scan->reaching(bounds, count, top->hits[0].score, false);
}

/* Keeps the live rows of the best bounds of an entry, whose first row in the tail is `first`. */
static void keep_best(const struct tail_scanning *s, struct topk *best, const struct wal_entry *entry,
                      size_t first, const float *bounds)
{
    for (size_t from = 0; from < entry->codes.count; from += SCAN_SCORES_MAX) {
        size_t left = entry->codes.count - from, count = left < SCAN_SCORES_MAX ? left : SCAN_SCORES_MAX;
        uint64_t bits = find_promising(best, bounds + from, count);
        for (; bits; bits &= bits - 1) {
            size_t v = from + (size_t)__builtin_ctzll(bits), row = first + entry->owners[v];
            if (topk_admits(best, bounds[v]) && tail_row_is_live(&s->tail->rows[row]))
                topk_push(best, bounds[v], (int64_t)row);
        }
    }
}

/* Bounds the vectors of a part, and keeps the live rows of the best bounds. */
static void bound_vectors(void *context, size_t index, unsigned worker)
{
    (void)worker;
    struct tail_scanning *s = context;
    struct bound_part *part = &s->parts[index];
    float *bounds = s->bounds + part->vector;
    size_t first = part->row;
    for (size_t i = 0; i < part->entries; i++) {
        const struct wal_entry *entry = s->tail->entries[part->entry + i];
        wal_codes_bound(&entry->codes, &s->coded, bounds);
        keep_best(s, &part->best, entry, first, bounds);
        bounds += entry->codes.count;
        first += entry->rows;
    }
}

/* Measures the rows of the best bounds of all parts. */
static enum dp_status measure_best(struct tail_scanning *s)
{
    struct topk best;
    enum dp_status status = topk_init(&best, s->top.k, false, &s->call->error);
    for (size_t i = 0; i < s->part_count; i++) {
        const struct topk *of_part = &s->parts[i].best;
        for (size_t h = 0; h < of_part->count; h++)
            topk_push(&best, of_part->hits[h].score, of_part->hits[h].id);
    }
    for (size_t i = 0; i < best.count; i++)
        measure_row(s, (size_t)best.hits[i].id);
    topk_deinit(&best);
    return status;
}

/* Lists the vectors of an entry whose bounds may be among the best. Returns how many. */
static size_t list_near(const struct tail_scanning *s, const float *bounds, size_t vectors, uint32_t *near)
{
    size_t listed = 0;
    for (size_t from = 0; from < vectors; from += SCAN_SCORES_MAX) {
        size_t count = vectors - from < SCAN_SCORES_MAX ? vectors - from : SCAN_SCORES_MAX;
        for (uint64_t bits = find_promising(&s->top, bounds + from, count); bits; bits &= bits - 1)
            near[listed++] = (uint32_t)(from + (size_t)__builtin_ctzll(bits));
    }
    return listed;
}

/* Refines the bounds of the vectors near[count] of an entry. Replaces them by the rows of those that may still be among
 * the best, and returns how many. `first`: the entry's first row in the tail. */
static size_t refine_near(const struct tail_scanning *s, const struct wal_entry *entry, const float *bounds,
                          size_t first, uint32_t *near, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count && i < NEAR_AHEAD; i++)
        wal_codes_prefetch(&entry->codes, near[i]);
    for (size_t i = 0; i < count; i++) {
        uint32_t v = near[i];
        if (i + NEAR_AHEAD < count)
            wal_codes_prefetch(&entry->codes, near[i + NEAR_AHEAD]);
        float bound = wal_codes_refine(&entry->codes, &s->coded, v, bounds[v]);
        if (s->top.count < s->top.k || bound <= s->top.hits[0].score)
            near[kept++] = (uint32_t)first + entry->owners[v];
    }
    return kept;
}

/* Finds the rows of a part that may be among the best. */
static void find_near(void *context, size_t index, unsigned worker)
{
    (void)worker;
    struct tail_scanning *s = context;
    struct bound_part *part = &s->parts[index];
    const float *bounds = s->bounds + part->vector;
    uint32_t *near = s->near + part->vector;
    size_t first = part->row;
    for (size_t i = 0; i < part->entries; i++) {
        const struct wal_entry *entry = s->tail->entries[part->entry + i];
        size_t count = list_near(s, bounds, entry->codes.count, near + part->near);
        part->near += refine_near(s, entry, bounds, first, near + part->near, count);
        bounds += entry->codes.count;
        first += entry->rows;
    }
}

/* Runs fn on all parts, by the team if it is free. */
static enum dp_status run_parts(struct tail_scanning *s, void (*fn)(void *context, size_t index, unsigned worker))
{
    struct team *team = s->part_count > 1 ? s->search->team : NULL;
    if (!team_try_run(team, s->part_count, fn, s))
        team_run(NULL, s->part_count, fn, s);
    return call_check(s->call);
}

static enum dp_status measure_by_bounds(struct tail_scanning *s, size_t vectors)
{
    const struct tail_search *search = s->search;
    enum dp_status status =
        wal_code_query_init(&s->coded, search->metric, search->query, search->dim, &s->call->error);
    s->bounds = mem_alloc(vectors * sizeof *s->bounds);
    s->near = mem_alloc((vectors + 1) * sizeof *s->near);
    if (status == DP_OK && (!s->bounds || !s->near))
        status = call_nomem(s->call, "a search of the log");
    if (status == DP_OK)
        status = plan_parts(s);
    if (status == DP_OK)
        status = run_parts(s, bound_vectors);
    if (status == DP_OK)
        status = measure_best(s);
    if (status == DP_OK)
        status = run_parts(s, find_near);
    for (size_t i = 0; i < s->part_count && status == DP_OK; i++) {
        for (size_t k = 0; k < s->parts[i].near; k++)
            measure_row(s, s->near[s->parts[i].vector + k]);
    }
    for (size_t i = 0; i < s->part_count; i++)
        topk_deinit(&s->parts[i].best);
    wal_code_query_deinit(&s->coded);
    mem_free(s->parts);
    mem_free(s->bounds);
    mem_free(s->near);
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
static enum dp_status search_tail(struct tail_scanning *s, bool plain, struct tail_hit **hits, size_t *count)
{
    const struct tail *tail = s->tail;
    size_t k = tail->live < s->search->top_k ? (size_t)tail->live : s->search->top_k, vectors = 0;
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

enum dp_status tail_scan(struct call *call, const struct tail *tail, const struct tail_search *search,
                         struct tail_hit **hits, size_t *count)
{
    struct tail_scanning s = {.call = call, .tail = tail, .search = search};
    return search_tail(&s, false, hits, count);
}

enum dp_status tail_scan_plainly(struct call *call, const struct tail *tail, const struct tail_search *search,
                                 struct tail_hit **hits, size_t *count)
{
    struct tail_scanning s = {.call = call, .tail = tail, .search = search};
    return search_tail(&s, true, hits, count);
}
