/* recall_measure.c: finds the exact answers first, then searches with a rising nprobe until the recall hardly
 * rises.
 *
 * recall_measure() takes its queries from the vectors of the index, and ignores a query's own vector in the
 * answers. Such queries are as good as vectors outside the index, since one vector hardly moves a centroid of
 * hundreds. The exact search reads the source block by block. Each compute worker takes QUERIES_A_TASK queries and
 * compares them with ROWS_A_TURN rows at a time, which stay in the first-level cache for all these queries.
 */
#include "faiss/recall_measure.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "vector/kmeans.h"
#include "vector/topk.h"

enum {
    QUERIES_MOST = 400,
    QUERIES_LEAST = 100,
    BLOCK_BYTES = 8 << 20,
    QUERIES_A_TASK = 16,
    ROWS_A_TURN = 48,
    FOUND = RECALL_K + 1 /* neighbours to ask a search for: one may be the query itself */
};
static const double PRODUCTS_MOST = 2.5e10;
static const double ENOUGH = 0.9995; /* the recall at which measuring ends */

struct recall_run {
    const struct faiss_index *index;
    enum vector_metric metric;
    size_t dim, count, k; /* count: queries; k: true neighbours of each query, at most RECALL_K */
    float *queries;       /* float[count][dim] */
    uint64_t *rows;       /* [count]: the row number of each query in the source */
    int64_t *self;        /* [count]: the id of each query; -1: not in the index */
    int64_t *truth;       /* [count][RECALL_K]: ids of the true neighbours */
    struct topk *tops;    /* [count] */
    const float *block;   /* float[block_count][dim]: vectors of the source */
    uint64_t block_begin;
    size_t block_count;
    const struct recall_watch *watch;
};

static enum dp_status report_measured(struct call *call, const struct recall_run *m, double done)
{
    if (!m->watch || m->watch->tell(m->watch->ctx, done))
        return call_check(call);
    return call_fail(call, DP_CANCELLED, "measuring was cancelled");
}

static enum dp_status make_measure_room(struct call *call, struct recall_run *m)
{
    m->queries = mem_calloc(m->count, m->dim * sizeof *m->queries);
    m->rows = mem_calloc(m->count, sizeof *m->rows);
    m->self = mem_calloc(m->count, sizeof *m->self);
    m->truth = mem_calloc(m->count, RECALL_K * sizeof *m->truth);
    m->tops = mem_calloc(m->count, sizeof *m->tops);
    if (!m->queries || !m->rows || !m->self || !m->truth || !m->tops)
        return call_nomem(call, "measuring recall");
    return DP_OK;
}

static void free_measure_room(struct recall_run *m)
{
    for (size_t q = 0; m->tops && q < m->count; q++)
        topk_deinit(&m->tops[q]);
    mem_free(m->queries);
    mem_free(m->rows);
    mem_free(m->self);
    mem_free(m->truth);
    mem_free(m->tops);
}

/* ---- the truth ----------------------------------------------------------------------------------------- */

static enum dp_status choose_queries(struct call *call, struct recall_run *m, const struct vector_source *source,
                                     const int64_t *ids, uint64_t seed)
{
    struct kmeans_choice choice = {seed, source->count, m->count};
    enum dp_status status = DP_OK;
    size_t q = 0;
    for (uint64_t row = 0; q < m->count; row++)
        if (kmeans_choose(&choice))
            m->rows[q++] = row;
    for (q = 0; status == DP_OK && q < m->count; q++) {
        const float *x;
        float *to = m->queries + q * m->dim;
        status = source->read(call, source->ctx, m->rows[q], 1, to, &x);
        if (status == DP_OK && x != to)
            memcpy(to, x, m->dim * sizeof *to);
        m->self[q] = ids ? ids[m->rows[q]] : (int64_t)m->rows[q];
        if (status == DP_OK)
            status = topk_init(&m->tops[q], m->k, vector_larger_is_better(m->metric), &call->error);
    }
    return status;
}

/* Compares the block's vectors with the QUERIES_A_TASK queries of `task`. */
static void compare_block(void *ctx, size_t task, unsigned worker)
{
    struct recall_run *m = ctx;
    float scores[ROWS_A_TURN];
    size_t begin = task * QUERIES_A_TASK,
           end = begin + QUERIES_A_TASK < m->count ? begin + QUERIES_A_TASK : m->count;
    (void)worker;
    for (size_t r = 0; r < m->block_count; r += ROWS_A_TURN) {
        size_t rows = m->block_count - r < ROWS_A_TURN ? m->block_count - r : ROWS_A_TURN;
        for (size_t q = begin; q < end; q++) {
            distance_rows(m->metric, m->queries + q * m->dim, m->block + r * m->dim, rows, m->dim, scores);
            for (size_t i = 0; i < rows; i++)
                if (topk_admits(&m->tops[q], scores[i]) && m->block_begin + r + i != m->rows[q])
                    topk_push(&m->tops[q], scores[i], (int64_t)(m->block_begin + r + i));
        }
    }
}

static enum dp_status find_truth(struct call *call, struct team *team, struct recall_run *m,
                                 const struct vector_source *source, const int64_t *ids, float *room, size_t rows)
{
    enum dp_status status = DP_OK;
    for (uint64_t first = 0; status == DP_OK && first < source->count; first += rows) {
        m->block_begin = first;
        m->block_count = source->count - first < rows ? (size_t)(source->count - first) : rows;
        status = source->read(call, source->ctx, first, m->block_count, room, &m->block);
        if (status == DP_OK)
            team_run(team, (m->count + QUERIES_A_TASK - 1) / QUERIES_A_TASK, compare_block, m);
        if (status == DP_OK)
            status = report_measured(call, m, 0.5 * (double)(first + m->block_count) / (double)source->count);
    }
    for (size_t q = 0; status == DP_OK && q < m->count; q++)
        for (size_t i = 0; i < m->tops[q].count; i++) {
            int64_t row = m->tops[q].hits[i].id;
            m->truth[q * RECALL_K + i] = ids ? ids[row] : row;
        }
    return status;
}

/* ---- the searches -------------------------------------------------------------------------------------- */

/* Counts the true neighbours of query q among the first k ids of found[FOUND], without the query itself. */
static size_t count_hits(const struct recall_run *m, size_t q, const int64_t *found)
{
    size_t hits = 0, taken = 0;
    for (size_t i = 0; i < FOUND && taken < m->k; i++) {
        if (found[i] < 0 || found[i] == m->self[q])
            continue;
        taken++;
        for (size_t t = 0; t < m->k; t++)
            if (m->truth[q * RECALL_K + t] == found[i]) {
                hits++;
                break;
            }
    }
    return hits;
}

static enum dp_status search_with(struct call *call, const struct recall_run *m, size_t nprobe, double *recall)
{
    int64_t ids[FOUND];
    float distances[FOUND];
    enum dp_status status = DP_OK;
    size_t hits = 0;
    for (size_t q = 0; status == DP_OK && q < m->count; q++) {
        const struct faiss_search search = {
            .queries = m->queries + q * m->dim, .count = 1, .dim = m->dim, .k = FOUND, .nprobe = nprobe};
        status = faiss_index_search(call, m->index, &search, ids, distances, NULL);
        hits += status == DP_OK ? count_hits(m, q, ids) : 0;
    }
    *recall = (double)hits / (double)(m->count * m->k);
    return status;
}

/* Returns nprobe plus a quarter of it, rounded up. */
static uint64_t next_nprobe(uint64_t nprobe)
{
    return nprobe + (nprobe + 3) / 4;
}

/* Measures the recall of a rising nprobe, one point of the table per step. Stops at the recall ENOUGH, at nlist,
 * or when three steps hardly raise the recall. */
static enum dp_status raise_nprobe(struct call *call, const struct recall_run *m, struct recall_table *table)
{
    uint64_t nlist = faiss_index_info(m->index).nlist;
    enum dp_status status = DP_OK;
    for (uint64_t nprobe = 1; status == DP_OK && table->count < RECALL_POINTS_MAX;) {
        struct recall_point *point = &table->points[table->count];
        point->nprobe = nprobe;
        status = search_with(call, m, (size_t)nprobe, &point->recall);
        table->count++;
        if (status == DP_OK)
            status = report_measured(call, m, fmin(1.0, 0.5 + 0.5 * log1p((double)nprobe) / log1p((double)nlist)));
        bool is_flat = table->count > 3 && point->recall - point[-3].recall < 1 - ENOUGH && point->recall > 0.9;
        if (nprobe >= nlist || point->recall >= ENOUGH || is_flat)
            break;
        nprobe = next_nprobe(nprobe) < nlist ? next_nprobe(nprobe) : nlist;
    }
    return status;
}

static struct recall_table empty_table(const struct recall_run *m)
{
    return (struct recall_table){.file_bytes = faiss_index_info(m->index).file_bytes,
                                 .fingerprint = faiss_index_fingerprint(m->index),
                                 .k = m->k,
                                 .queries = m->count};
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static size_t query_count(const struct vector_source *source)
{
    double fit = PRODUCTS_MOST / ((double)source->count * (double)source->dim);
    size_t queries = fit > QUERIES_MOST ? QUERIES_MOST : fit > QUERIES_LEAST ? (size_t)fit : QUERIES_LEAST;
    return source->count < queries ? (size_t)source->count : queries;
}

enum dp_status recall_measure(struct call *call, struct team *team, const struct vector_source *source,
                              const int64_t *ids, const struct faiss_index *index, uint64_t seed,
                              const struct recall_watch *watch, struct recall_table *table)
{
    struct recall_run m = {.index = index,
                           .metric = faiss_index_info(index).codec->metric,
                           .dim = source->dim,
                           .count = query_count(source),
                           .k = source->count > RECALL_K ? RECALL_K
                                : source->count > 0      ? (size_t)source->count - 1
                                                         : 0,
                           .watch = watch};
    size_t row = m.dim * sizeof(float), rows = row < BLOCK_BYTES ? BLOCK_BYTES / row : 1;
    *table = (struct recall_table){0};
    if (m.k == 0)
        return DP_OK;
    float *room = mem_calloc(rows, row);
    enum dp_status status = room ? make_measure_room(call, &m) : call_nomem(call, "measuring recall");
    if (status == DP_OK)
        status = choose_queries(call, &m, source, ids, seed);
    if (status == DP_OK)
        status = find_truth(call, team, &m, source, ids, room, rows);
    if (status == DP_OK) {
        *table = empty_table(&m);
        status = raise_nprobe(call, &m, table);
    }
    free_measure_room(&m);
    mem_free(room);
    return status;
}

enum dp_status recall_calibrate(struct call *call, const struct faiss_index *index, const float *queries,
                                size_t count, const struct recall_watch *watch, struct recall_table *table)
{
    struct faiss_ivf_info info = faiss_index_info(index);
    struct recall_run m = {.index = index,
                           .metric = info.codec->metric,
                           .dim = info.dim_in,
                           .count = count,
                           .k = info.listed < RECALL_K ? (size_t)info.listed : RECALL_K,
                           .watch = watch};
    *table = (struct recall_table){0};
    if (info.flat)
        return call_fail(
            call, DP_INVALID,
            "it is a flat index: each search scans all of it, so its recall is 1 and there is nothing to "
            "measure");
    if (count < 1 || m.k == 0)
        return call_fail(call, DP_INVALID, "there is nothing to measure with %zu queries and %zu neighbours",
                         count, m.k);
    enum dp_status status = make_measure_room(call, &m);
    float distances[RECALL_K];
    for (size_t q = 0; status == DP_OK && q < count; q++) {
        memcpy(m.queries + q * m.dim, queries + q * m.dim, m.dim * sizeof *queries);
        m.self[q] = -1;
        const struct faiss_search all = {
            .queries = queries + q * m.dim, .count = 1, .dim = m.dim, .k = m.k, .nprobe = (size_t)info.nlist};
        status = faiss_index_search(call, index, &all, m.truth + q * RECALL_K, distances, NULL);
        if (status == DP_OK)
            status = report_measured(call, &m, 0.5 * (double)(q + 1) / (double)count);
    }
    if (status == DP_OK) {
        *table = empty_table(&m);
        status = raise_nprobe(call, &m, table);
    }
    free_measure_room(&m);
    return status;
}
