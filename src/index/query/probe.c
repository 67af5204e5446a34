/* probe.c: orders lists by the distances of their centroids, and takes the nearest ones. With a filter, the lists that
 * promise most near matches for their bytes go first: many matches count as nearness does. */
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
    PROBED_FACTOR = 4,
    YIELD_STEPS = 40 /* at most, to find the distance of the nearest matches */
};
static const double NPROBE_ROOTS = 4.5;
/* With codes of one bit, a query reads FIRST_ROOTS square roots of the number of lists. */
static const double FIRST_ROOTS = 5.4;
static const double SPREAD_POWER = 0.2;
/* With a filter and a budget, a query reads lists until they promise YIELD_SHARE of the near matches, but for that no
 * more than YIELD_BYTES times the bytes of a query without a filter. The distances of a list's rows count as spread
 * ROW_SPREAD times as widely as those of the centroids: measured are 0.7 times, but their tails are wider than those of
 * a normal distribution. docs/benchmarks/filters.md has what these three numbers give. */
static const double ROW_SPREAD = 1.6;
static const double YIELD_SHARE = 0.98;
static const double YIELD_BYTES = 2.5;

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
    double weight; /* vectors that count against the budget */
    double sure;   /* how many rows of these are surely found, about */
    double yield;  /* with a filter and a budget: how many of the nearest matches are in the list, about */
    uint64_t bytes;
};

/* The choice among the lists of several segments. */
struct probe_pool {
    struct query_run *run;
    struct probe *probes;
    bool *pooled;              /* [segments]: whether its lists are in the pool */
    struct pooled_list *lists; /* [count] */
    double *spreads; /* [segments]: standard deviation of the distances of its centroids; later of its rows */
    size_t count;
    double vectors, squares; /* of the segments: the sum, and the sum of squares */
    double weight;           /* of all lists */
    uint64_t bytes;          /* of all lists */
    uint64_t every_byte;     /* of these and of the lists without a match */
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

/* By yields for each byte, and then by distances. */
static int richest_first(const void *a, const void *b)
{
    const struct pooled_list *left = a, *right = b;
    const double left_rate = left->yield * (double)right->bytes, right_rate = right->yield * (double)left->bytes;
    return left_rate != right_rate ? (left_rate > right_rate ? -1 : 1) : nearest_first(a, b);
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

/* Returns the standard deviation of `count` numbers with this sum and sum of squares. */
static double spread_of(double sum, double squares, size_t count)
{
    const double mean = sum / (double)count, variance = squares / (double)count - mean * mean;
    return variance > 0 ? sqrt(variance) : 0;
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
    double sum = 0, squares = 0;
    uint64_t row = 0;
    for (size_t begin = 0; begin < nlist; begin += BLOCK) {
        size_t count = nlist - begin < BLOCK ? nlist - begin : BLOCK;
        distance_rows(cosine ? VECTOR_INNER_PRODUCT : VECTOR_L2, run->vector, centroids + begin * dim, count, dim,
                      scores);
        for (size_t l = 0; l < count; l++) {
            struct pooled_list list = {
                .far = cosine ? -scores[l] : scores[l], .segment = (uint32_t)i, .list = (uint32_t)(begin + l)};
            sum += list.far;
            squares += (double)list.far * list.far;
            list.bytes = (uint64_t)probe_request(segment, pool->probes[i].first, list.list).len;
            pool->every_byte += list.bytes;
            weigh_list(run, &list, row);
            row += segment->hot.list_rows[list.list];
            if (!(list.weight > 0))
                continue;
            pool->weight += list.weight;
            pool->bytes += list.bytes;
            pool->lists[pool->count++] = list;
        }
    }
    pool->spreads[i] = spread_of(sum, squares, nlist);
    pool->vectors += (double)segment->hot.vectors;
    pool->squares += (double)segment->hot.vectors * (double)segment->hot.vectors;
}

/* Returns the share of the vectors that a query without a filter scans.
 *
 * In one segment of N vectors this is FIRST_ROOTS square roots of the 2 √N lists. Rows that are spread over S
 * segments of equal size are in fewer lists for their number, so the query scans S^SPREAD_POWER times as many. (With
 * segments of several sizes, S is their effective number.) docs/internals/segment.md has the figures. */
static double pool_share(const struct probe_pool *pool)
{
    const double segments = pool->vectors * pool->vectors / pool->squares;
    return FIRST_ROOTS / sqrt(2 * sqrt(pool->vectors)) * pow(segments, SPREAD_POWER);
}

/* Returns the weight that the query scans. The nearest of few matches lie farther from the query than the nearest of
 * all rows: where one of F rows matches, the query scans F^SPREAD_POWER times as large a share of the matches. */
static double pool_budget(const struct probe_pool *pool)
{
    const struct query_run *run = pool->run;
    const double factor = pool->vectors / pool->weight;
    const double share = pool_share(pool) * pow(factor > 1 ? factor : 1, SPREAD_POWER);
    const uint64_t set = run->view->reader->whole_bytes, whole = run->allowed ? ALLOWED_WHOLE : FIRST_WHOLE;
    const bool fits = pool->bytes <= (set ? set : whole);
    return fits || share >= 1 ? HUGE_VAL : share * pool->weight;
}

/* Sets each list's yield: how many of its matches are nearer than `far`, if their distances are spread normally
 * around the centroid's. Returns the sum. */
static double set_yields(struct probe_pool *pool, double far)
{
    double sum = 0;
    for (size_t i = 0; i < pool->count; i++) {
        struct pooled_list *list = &pool->lists[i];
        list->yield =
            list->weight / 2 * erfc(((double)list->far - far) / (pool->spreads[list->segment] * M_SQRT2));
        sum += list->yield;
    }
    return sum;
}

/* Sets the yields for the nearest matches, PROBED_FACTOR for each row of the answer. Returns their sum; 0 if the
 * distances of centroids say nothing.
 *
 * The rows of a list are spread around its centroid; how widely, no hot part says. Where a query's matches are far
 * away, the nearest of them are those that stray most from their centroids. So a list with many matches promises more
 * than a slightly nearer one with few. In a segment with fewer lists the rows are spread the more: the variance of
 * centroids and rows together is that of the other segments. */
static double find_yields(struct probe_pool *pool, size_t segments)
{
    const double wanted = (double)PROBED_FACTOR * pool->run->query->top_k;
    double most = 0, near = INFINITY, far = -INFINITY, sum = 0;
    for (size_t i = 0; i < segments; i++)
        most = pool->spreads[i] > most ? pool->spreads[i] : most;
    for (size_t i = 0; i < pool->count; i++) {
        near = pool->lists[i].far < near ? pool->lists[i].far : near;
        far = pool->lists[i].far > far ? pool->lists[i].far : far;
    }
    if (!(most > 0) || !isfinite(near) || !isfinite(far))
        return 0;
    for (size_t i = 0; i < segments; i++)
        pool->spreads[i] = sqrt((1 + ROW_SPREAD * ROW_SPREAD) * most * most - pool->spreads[i] * pool->spreads[i]);
    near -= 8 * ROW_SPREAD * most;
    far += 8 * ROW_SPREAD * most;
    for (int step = 0; step < YIELD_STEPS && (step == 0 || fabs(sum - wanted) > wanted / 16); step++) {
        const double middle = (near + far) / 2;
        sum = set_yields(pool, middle);
        *(sum < wanted ? &near : &far) = middle;
    }
    return sum;
}

/* Chooses lists of the pool, the nearest or the richest ones, until they hold the budget, and surely enough rows. */
static enum dp_status choose_pooled(struct probe_pool *pool, struct probe_numbers *out)
{
    struct query_run *run = pool->run;
    const size_t segments = run->snapshot->manifest.segment_count;
    const double budget = pool_budget(pool), needed = (double)PROBED_FACTOR * run->query->top_k;
    const bool rich = run->allowed && budget < HUGE_VAL;
    const double promised = rich ? YIELD_SHARE * find_yields(pool, segments) : 0;
    const double most = YIELD_BYTES * pool_share(pool) * (double)pool->every_byte;
    double weight = 0, sure = 0, yield = 0;
    size_t chosen = 0;
    enum dp_status status = DP_OK;
    qsort(pool->lists, pool->count, sizeof *pool->lists, rich ? richest_first : nearest_first);
    for (; chosen < pool->count; chosen++) {
        const struct pooled_list *list = &pool->lists[chosen];
        const bool promising = yield < promised && (double)(out->bytes + list->bytes) <= most;
        if (weight >= budget && sure >= needed && !promising)
            break;
        weight += list->weight;
        sure += list->sure;
        yield += list->yield;
        out->bytes += list->bytes;
        pool->probes[list->segment].count++;
    }
    out->lists = chosen;
    out->matches = (uint64_t)sure;
    for (size_t i = 0; i < segments && status == DP_OK; i++) {
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
    pool->spreads = arena_calloc(run->call->arena, segments, sizeof *pool->spreads);
    if (!pool->lists || !pool->spreads)
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
