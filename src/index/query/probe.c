/* probe.c: orders lists by the distances of their centroids, and takes the nearest ones. */
#include "index/query/probe.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "faiss/probe.h"
#include "vector/distance.h"

enum {
    FIRST_WHOLE = 1 << 20, /* if all codes of one bit have at most this many bytes, a query reads all */
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

/* The shape of the choice among the lists of all segments with codes of one bit. */
struct probe_pool {
    struct query_run *run;
    struct probe *probes;
    struct pooled_list *lists; /* [count] */
    size_t count;
    double vectors, squares; /* of the segments: the sum, and the sum of squares */
    uint64_t bytes;          /* of their codes */
};

/* A list that may be chosen. */
struct pooled_list {
    float far; /* smaller is nearer */
    uint32_t segment, list;
    double vectors, live; /* in the list; an estimate of how many of these are of live rows */
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

/* Chooses the lists of segment i. If the query gives nprobe, chooses that many. Else begins with the default number, and
 * doubles it until the lists hold PROBED_FACTOR vectors of live rows for each row of the answer, or all lists are
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

/* ---- codes of one bit --------------------------------------------------------------------------------- */

static int nearest_first(const void *a, const void *b)
{
    const struct pooled_list *left = a, *right = b;
    if (left->far != right->far)
        return left->far < right->far ? -1 : 1;
    if (left->segment != right->segment)
        return left->segment < right->segment ? -1 : 1;
    return (left->list > right->list) - (left->list < right->list);
}

/* Adds the lists of segment i to the pool, unless they are empty. */
static void pool_lists(struct probe_pool *pool, size_t i)
{
    enum { BLOCK = 64 };
    const struct query_run *run = pool->run;
    const struct segment *segment = segment_at(run, i);
    const float *centroids = faiss_ivf_centroids(segment->ivf);
    const bool cosine = run->snapshot->manifest.vectors.metric == INDEX_COSINE;
    const size_t dim = segment->hot.dim, nlist = segment->hot.nlist;
    const double live = live_share(run, i);
    float scores[BLOCK];
    for (size_t begin = 0; begin < nlist; begin += BLOCK) {
        size_t count = nlist - begin < BLOCK ? nlist - begin : BLOCK;
        distance_rows(cosine ? VECTOR_INNER_PRODUCT : VECTOR_L2, run->vector, centroids + begin * dim, count, dim,
                      scores);
        for (size_t l = 0; l < count; l++) {
            const uint32_t list = (uint32_t)(begin + l);
            const double vectors = (double)segment->first_codes->lists[list].count;
            if (vectors > 0)
                pool->lists[pool->count++] = (struct pooled_list){cosine ? -scores[l] : scores[l], (uint32_t)i,
                                                                  list, vectors, vectors * live};
        }
    }
}

/* Returns how many vectors the query scans.
 *
 * In one segment of N vectors this is FIRST_ROOTS square roots of the 2 √N lists. Rows that are spread over S segments of
 * equal size are in fewer lists for their number, so the query scans S^SPREAD_POWER times as many. (With segments of
 * several sizes, S is their effective number.) docs/internals/segment.md has the figures. */
static double pool_budget(const struct probe_pool *pool)
{
    double segments = pool->vectors * pool->vectors / pool->squares;
    double share = FIRST_ROOTS / sqrt(2 * sqrt(pool->vectors)) * pow(segments, SPREAD_POWER);
    return pool->bytes <= FIRST_WHOLE || share >= 1 ? pool->vectors : share * pool->vectors;
}

/* Chooses the nearest lists of the pool, until they hold the budget, and enough vectors of live rows. */
static enum dp_status choose_pooled(struct probe_pool *pool)
{
    struct query_run *run = pool->run;
    const double budget = pool_budget(pool), needed = (double)PROBED_FACTOR * run->query->top_k;
    double vectors = 0, live = 0;
    size_t chosen = 0;
    enum dp_status status = DP_OK;
    qsort(pool->lists, pool->count, sizeof *pool->lists, nearest_first);
    for (; chosen < pool->count && (vectors < budget || live < needed); chosen++) {
        const struct pooled_list *list = &pool->lists[chosen];
        vectors += list->vectors;
        live += list->live;
        pool->probes[list->segment].count++;
    }
    for (size_t i = 0; i < run->snapshot->manifest.segment_count && status == DP_OK; i++) {
        struct probe *probe = &pool->probes[i];
        if (!probe->first)
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

/* Chooses among the lists of all segments that have codes of one bit. */
static enum dp_status choose_first(struct query_run *run, struct probe *probes)
{
    const size_t segments = run->snapshot->manifest.segment_count;
    struct probe_pool pool = {.run = run, .probes = probes};
    size_t lists = 0;
    for (size_t i = 0; i < segments; i++)
        lists += probes[i].first ? segment_at(run, i)->hot.nlist : 0;
    if (lists == 0)
        return DP_OK;
    pool.lists = arena_array(run->call->arena, lists, sizeof *pool.lists);
    if (!pool.lists)
        return call_nomem(run->call, "a query");
    for (size_t i = 0; i < segments; i++) {
        if (!probes[i].first)
            continue;
        const struct segment_hot *hot = &segment_at(run, i)->hot;
        pool.vectors += (double)hot->vectors;
        pool.squares += (double)hot->vectors * (double)hot->vectors;
        pool.bytes += segment_section(hot, SECTION_FIRST_CODES)->len;
        pool_lists(&pool, i);
    }
    return choose_pooled(&pool);
}

enum dp_status probe_choose(struct query_run *run, struct probe *probes)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < run->snapshot->manifest.segment_count && status == DP_OK; i++) {
        const struct segment *segment = segment_at(run, i);
        if (!segment->ivf || probes[i].hidden)
            continue; /* no row has a vector, or no row counts */
        probes[i].first = segment->first_codes && !run->query->nprobe;
        if (!probes[i].first)
            status = choose_lists(run, i, &probes[i]);
    }
    return status == DP_OK ? choose_first(run, probes) : status;
}
