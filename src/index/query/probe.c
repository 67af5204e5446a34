/* probe.c: orders lists by the distances of their centroids, and takes the nearest ones. */
#include "index/query/probe.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "faiss/probe.h"
#include "index/query/filter_bits.h"
#include "vector/distance.h"

enum {
    /* If the codes have at most this many bytes together, a query reads all: those of one bit; with a filter. */
    FIRST_WHOLE = 1 << 20,
    ALLOWED_WHOLE = 4 << 20,
    /* Vectors of live rows that the probed lists should hold for each row of the answer. */
    PROBED_FACTOR = 4
};
static const double NPROBE_ROOTS = 4.5;
/* With codes of one bit, a query reads FIRST_ROOTS square roots of the number of lists. */
static const double FIRST_ROOTS = 5.4;
static const double SPREAD_POWER = 0.2;

uint32_t query_default_nprobe(uint32_t nlist)
{
    /* The more lists there are, the smaller the share of lists that a query must read: 4.5 square roots. */
    double nprobe = ceil(NPROBE_ROOTS * sqrt((double)nlist));
    return nprobe < (double)nlist ? (uint32_t)nprobe : nlist;
}

/* A list that may be chosen. */
struct pooled_list {
    float far; /* smaller is nearer */
    uint32_t segment, list;
    double weight,
        sure; /* vectors that count against the budget; how many rows of these are surely found, about */
    uint64_t bytes;
};

/* The choice among the lists of several segments. */
struct probe_pool {
    struct query_run *run;
    struct probe *probes;
    bool *pooled;              /* [segments]: whether its lists are in the pool */
    struct pooled_list *lists; /* [count] */
    size_t count;
    double vectors, squares; /* of the segments: the sum, and the sum of squares */
    double weight;           /* of all lists */
    uint64_t bytes;          /* of all lists */
};

static const struct segment *segment_at(const struct query_run *run, size_t i)
{
    return run->snapshot->segments[i].segment;
}

/* ---- the .ivf's codes --------------------------------------------------------------------------------- */

/* Returns the share of the segment's rows that live. */
static double live_share(const struct query_run *run, size_t i)
{
    const struct manifest_segment *listed = &run->snapshot->manifest.segments[i];
    return listed->rows ? (double)(listed->rows - listed->deleted_rows) / (double)listed->rows : 0;
}

/* Makes room for the lists of one segment. */
static enum dp_status make_lists(struct query_run *run, struct probe *probe, size_t count)
{
    probe->lists = arena_array(run->call->arena, count + 1, sizeof *probe->lists);
    probe->reads = arena_array(run->call->arena, count + 1, sizeof *probe->reads);
    return probe->lists && probe->reads ? DP_OK : call_nomem(run->call, "a query");
}

/* Chooses the lists of segment i. If the query gives nprobe, chooses that many. Else begins with the default number,
 * and doubles it until the lists hold PROBED_FACTOR vectors of live rows for each row of the answer, or all lists are
 * chosen. Here the lists' share of live rows counts as that of the segment. */
static enum dp_status choose_lists(struct query_run *run, size_t i, struct probe *probe)
{
    const struct faiss_ivf *ivf = segment_at(run, i)->ivf;
    const double live = live_share(run, i), needed = live > 0 ? PROBED_FACTOR * run->query->top_k / live : 0;
    uint32_t nlist = segment_at(run, i)->hot.nlist;
    uint32_t nprobe = run->query->nprobe ? run->query->nprobe : query_default_nprobe(nlist);
    for (;; nprobe *= 2) {
        uint64_t held = 0;
        size_t kept = 0;
        nprobe = nprobe < nlist ? nprobe : nlist;
        enum dp_status status = make_lists(run, probe, nprobe);
        if (status == DP_OK)
            status = faiss_ivf_probe(ivf, run->vector, nprobe, probe->lists, &probe->count, &run->call->error);
        if (status)
            return status;
        for (size_t p = 0; p < probe->count; p++) {
            held += faiss_ivf_list_range(ivf, probe->lists[p]).count;
            if (faiss_ivf_list_range(ivf, probe->lists[p]).len)
                probe->lists[kept++] = probe->lists[p];
        }
        probe->count = kept;
        if (run->query->nprobe || nprobe == nlist || (double)held >= needed)
            return DP_OK;
    }
}

/* ---- one budget for several segments ------------------------------------------------------------------- */

struct store_read_req probe_request(const struct segment *segment, bool first, uint32_t list)
{
    if (first) {
        const uint64_t *offsets = segment->first_codes->offsets;
        return (struct store_read_req){.key = object_key_span(&segment->dpr_key),
                                       .offset = offsets[list],
                                       .len = (int64_t)(offsets[list + 1] - offsets[list]),
                                       .pinned = &segment->dpr_version,
                                       .sparse = true};
    }
    struct faiss_list_range range = faiss_ivf_list_range(segment->ivf, list);
    return (struct store_read_req){.key = object_key_span(&segment->ivf_key),
                                   .offset = range.offset,
                                   .len = (int64_t)range.len,
                                   .immutable = true};
}

static int nearest_first(const void *a, const void *b)
{
    const struct pooled_list *left = a, *right = b;
    if (left->far != right->far)
        return left->far < right->far ? -1 : 1;
    if (left->segment != right->segment)
        return left->segment < right->segment ? -1 : 1;
    return (left->list > right->list) - (left->list < right->list);
}

/* Sets the weight of a list whose rows begin at number `row`. Without a filter all of its vectors count. With one,
 * the rows of the list that match do, and of its vectors of other rows the share of the segment's rows that match. */
static void weigh_list(const struct query_run *run, struct pooled_list *list, uint64_t row)
{
    const struct segment *segment = segment_at(run, list->segment);
    const double vectors = (double)faiss_ivf_list_range(segment->ivf, list->list).count;
    list->weight = vectors;
    list->sure = vectors * live_share(run, list->segment);
    if (!run->allowed)
        return;
    const uint64_t own = list_own_rows(&segment->hot, list->list);
    const double share = (double)run->allowed->matches[list->segment] / (double)segment->hot.rows;
    list->sure = (double)filter_bits_count(run->allowed, list->segment, row, own);
    list->weight = list->sure + (vectors > (double)own ? (vectors - (double)own) * share : 0);
}

/* Adds the lists of segment i to the pool, unless they are of no weight. */
static void pool_lists(struct probe_pool *pool, size_t i)
{
    enum { BLOCK = 64 };
    const struct query_run *run = pool->run;
    const struct segment *segment = segment_at(run, i);
    const float *centroids = faiss_ivf_centroids(segment->ivf);
    const bool cosine = run->snapshot->manifest.vectors.metric == INDEX_COSINE;
    const size_t dim = segment->hot.dim, nlist = segment->hot.nlist;
    float scores[BLOCK];
    uint64_t row = 0;
    for (size_t begin = 0; begin < nlist; begin += BLOCK) {
        size_t count = nlist - begin < BLOCK ? nlist - begin : BLOCK;
        distance_rows(cosine ? VECTOR_INNER_PRODUCT : VECTOR_L2, run->vector, centroids + begin * dim, count, dim,
                      scores);
        for (size_t l = 0; l < count; l++) {
            struct pooled_list list = {
                .far = cosine ? -scores[l] : scores[l], .segment = (uint32_t)i, .list = (uint32_t)(begin + l)};
            weigh_list(run, &list, row);
            row += segment->hot.list_rows[list.list];
            if (!(list.weight > 0))
                continue;
            list.bytes = (uint64_t)probe_request(segment, pool->probes[i].first, list.list).len;
            pool->weight += list.weight;
            pool->bytes += list.bytes;
            pool->lists[pool->count++] = list;
        }
    }
    pool->vectors += (double)segment->hot.vectors;
    pool->squares += (double)segment->hot.vectors * (double)segment->hot.vectors;
}

/* Returns the weight that the query scans.
 *
 * In one segment of N vectors this is FIRST_ROOTS square roots of the 2 √N lists. Rows that are spread over S
 * segments of equal size are in fewer lists for their number, so the query scans S^SPREAD_POWER times as many. (With
 * segments of several sizes, S is their effective number.) The nearest of few matches lie farther from the query than
 * the nearest of all rows: where one of F rows matches, the query scans F^SPREAD_POWER times as large a share of the
 * matches. docs/internals/segment.md has the figures. */
static double pool_budget(const struct probe_pool *pool)
{
    const struct query_run *run = pool->run;
    const double segments = pool->vectors * pool->vectors / pool->squares, factor = pool->vectors / pool->weight;
    const double share =
        FIRST_ROOTS / sqrt(2 * sqrt(pool->vectors)) * pow(segments * (factor > 1 ? factor : 1), SPREAD_POWER);
    const uint64_t set = run->view->reader->whole_bytes, whole = run->allowed ? ALLOWED_WHOLE : FIRST_WHOLE;
    const bool fits = pool->bytes <= (set ? set : whole);
    return fits || share >= 1 ? HUGE_VAL : share * pool->weight;
}

/* Chooses the nearest lists of the pool, until they hold the budget, and surely enough rows. */
static enum dp_status choose_pooled(struct probe_pool *pool, struct probe_numbers *out)
{
    struct query_run *run = pool->run;
    const double budget = pool_budget(pool), needed = (double)PROBED_FACTOR * run->query->top_k;
    double weight = 0, sure = 0;
    size_t chosen = 0;
    enum dp_status status = DP_OK;
    qsort(pool->lists, pool->count, sizeof *pool->lists, nearest_first);
    for (; chosen < pool->count && (weight < budget || sure < needed); chosen++) {
        const struct pooled_list *list = &pool->lists[chosen];
        weight += list->weight;
        sure += list->sure;
        out->bytes += list->bytes;
        pool->probes[list->segment].count++;
    }
    out->lists = chosen;
    out->matches = (uint64_t)sure;
    for (size_t i = 0; i < run->snapshot->manifest.segment_count && status == DP_OK; i++) {
        struct probe *probe = &pool->probes[i];
        if (!pool->pooled[i])
            continue;
        status = make_lists(run, probe, probe->count);
        probe->count = 0;
    }
    for (size_t i = 0; i < chosen && status == DP_OK; i++) {
        struct probe *probe = &pool->probes[pool->lists[i].segment];
        probe->lists[probe->count++] = pool->lists[i].list;
    }
    return status;
}

/* Chooses among the lists of the segments that are marked as pooled. */
static enum dp_status choose_together(struct probe_pool *pool, struct probe_numbers *out)
{
    struct query_run *run = pool->run;
    const size_t segments = run->snapshot->manifest.segment_count;
    for (size_t i = 0; i < segments; i++)
        out->all_lists += pool->pooled[i] ? segment_at(run, i)->hot.nlist : 0;
    if (out->all_lists == 0)
        return DP_OK;
    pool->lists = arena_array(run->call->arena, (size_t)out->all_lists, sizeof *pool->lists);
    if (!pool->lists)
        return call_nomem(run->call, "a query");
    for (size_t i = 0; i < segments; i++) {
        if (pool->pooled[i])
            pool_lists(pool, i);
    }
    return choose_pooled(pool, out);
}

enum dp_status probe_choose(struct query_run *run, struct probe *probes, struct probe_numbers *out)
{
    const size_t segments = run->snapshot->manifest.segment_count;
    struct probe_numbers numbers = {0};
    struct probe_pool pool = {
        .run = run, .probes = probes, .pooled = arena_calloc(run->call->arena, segments + 1, sizeof *pool.pooled)};
    enum dp_status status = pool.pooled ? DP_OK : call_nomem(run->call, "a query");
    for (size_t i = 0; i < segments && status == DP_OK; i++) {
        const struct segment *segment = segment_at(run, i);
        if (!segment->ivf || probes[i].hidden)
            continue; /* no row has a vector, or no row counts */
        probes[i].first = segment->first_codes && !run->query->nprobe;
        pool.pooled[i] = probes[i].first || run->allowed;
        if (!pool.pooled[i])
            status = choose_lists(run, i, &probes[i]);
    }
    if (status == DP_OK)
        status = choose_together(&pool, &numbers);
    if (out)
        *out = numbers;
    return status;
}
