/* ivf_scan.c: scores lists block by block with the functions of their codec's kind, and offers the scores to the
 * heap. */
#include "vector/ivf_scan.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "simd/scan.h"
#include "simd/simd.h"
#include "vector/ivf_kinds.h"
#include "vector/sq8.h"

#define IVF_KIND_ROW(kind, functions) [kind] = &ivf_kind_##functions,
static const struct ivf_kind *const ivf_kinds[] = {IVF_CODEC_KINDS(IVF_KIND_ROW)};

bool ivf_codec_estimates(const struct ivf_codec *codec)
{
    return ivf_kinds[codec->kind]->refine;
}

void ivf_encode(const struct ivf_codec *codec, const float *x, const float *centroid, float *residual,
                uint8_t *code)
{
    if (codec->kind == IVF_FLAT) {
        memcpy(code, x, codec->code_size);
        return;
    }
    if (codec->by_residual) {
        for (size_t i = 0; i < codec->dim; i++)
            residual[i] = x[i] - centroid[i];
        x = residual;
    }
    sq8_encode(codec->trained, codec->dim, x, code);
}

_Static_assert((int)IVF_SCAN_ROWS == (int)SCAN_SCORES_MAX, "one step looks through all scores of a block");

enum dp_status ivf_query_allocate(struct ivf_query *query, void (*lay_out)(struct ivf_query *query),
                                  struct dp_error *error)
{
    lay_out(query);
    if (!workspace_allocate(&query->memory))
        return dp_fail_nomem(error, "a query's tables");
    lay_out(query);
    return DP_OK;
}

enum dp_status ivf_query_init(struct ivf_query *query, const struct ivf_codec *codec, const float *vector,
                              struct dp_error *error)
{
    *query = (struct ivf_query){.codec = codec, .vector = vector};
    return ivf_kinds[codec->kind]->begin(query, error);
}

void ivf_query_deinit(struct ivf_query *query)
{
    workspace_deinit(&query->memory);
    *query = (struct ivf_query){0};
}

void ivf_query_probe(struct ivf_query *query, const float *centroids, const uint32_t *lists, size_t count)
{
    const struct ivf_kind *kind = ivf_kinds[query->codec->kind];
    if (kind->probe)
        kind->probe(query, centroids, lists, count);
}

static int64_t load_id(const uint8_t *ids, uint64_t index)
{
    int64_t id;
    memcpy(&id, ids + index * sizeof id, sizeof id);
    return id;
}

static enum dp_status check_list(const struct ivf_codec *codec, struct span codes, struct span ids,
                                 struct dp_error *error)
{
    size_t n = ids.len / sizeof(int64_t);
    if (codec->block_rows == 0 && codes.len % codec->code_size != 0)
        return dp_fail(error, DP_CORRUPT, "list of %zu bytes is not a whole number of %zu-byte codes", codes.len,
                       codec->code_size);
    if (ids.len % sizeof(int64_t) != 0 || ivf_codec_list_bytes(codec, n) != codes.len)
        return dp_fail(error, DP_CORRUPT, "list of %zu bytes of codes has %zu bytes of ids, not 8 for each code",
                       codes.len, ids.len);
    return DP_OK;
}

/* A block of a list: vectors [first, first + n). */
struct block {
    const uint8_t *codes; /* codes of the whole list */
    const uint8_t *ids;   /* ids of the whole list; NULL: vectors have consecutive numbers */
    uint64_t number;      /* number of the list's first vector, if ids is NULL */
    const struct id_filter *filter;
    size_t first, n;
};

/* A vector's number in a hit, and its id for filters. */
struct named_vector {
    int64_t answer, id;
};

static enum dp_status name_vector(const struct ivf_query *query, const struct block *block, size_t i,
                                  struct named_vector *out, struct dp_error *error)
{
    size_t index = block->first + i;
    int64_t number = block->ids ? load_id(block->ids, index) : (int64_t)(block->number + index);
    *out = (struct named_vector){number, number};
    if (!query->map.ids)
        return DP_OK;
    if (number < 0 || (uint64_t)number >= query->map.count)
        return dp_fail(error, DP_CORRUPT, "a list holds number %" PRId64 ", the id map has %" PRIu64, number,
                       query->map.count);
    out->id = load_id(query->map.ids, (uint64_t)number);
    out->answer = query->map.only_filters ? number : out->id;
    return DP_OK;
}

/* Sets *some to whether the filter lets any vector of the block pass. Fails as name_vector does. */
static enum dp_status has_allowed(const struct ivf_query *query, const struct block *block, bool *some,
                                  struct dp_error *error)
{
    enum dp_status status = DP_OK;
    *some = !block->filter;
    for (size_t i = 0; status == DP_OK && !*some && i < block->n; i++) {
        struct named_vector named;
        status = name_vector(query, block, i, &named, error);
        *some = status == DP_OK && id_filter_allows(block->filter, named.id);
    }
    return status;
}

/* Offers one vector to the heap. Its score is an estimate, or good enough for the heap. */
static enum dp_status offer_vector(struct ivf_query *query, const struct ivf_kind *kind, const struct block *block,
                                   size_t i, float score, struct topk *top, struct dp_error *error)
{
    struct named_vector named;
    enum dp_status status = name_vector(query, block, i, &named, error);
    if (status != DP_OK || (block->filter && !id_filter_allows(block->filter, named.id)))
        return status;
    if (!kind->refine || kind->refine(query, block->codes, block->first + i, topk_worst(top, FLT_MAX), &score))
        topk_push(top, score, named.answer);
    return DP_OK;
}

/* Offers a block to the heap, whose worst score is `worst`. One comparison of all scores finds those that are good
 * enough; estimates need a look at each vector. */
static enum dp_status offer_block(struct ivf_query *query, const struct ivf_kind *kind, const struct block *block,
                                  float worst, const float *scores, struct topk *top, struct dp_error *error)
{
    enum dp_status status = DP_OK;
    uint64_t left = block->n < 64 ? ((uint64_t)1 << block->n) - 1 : UINT64_MAX;
    if (!kind->refine)
        left = simd_ops()->scan->reaching(scores, block->n, worst, top->larger_is_better);
    for (; status == DP_OK && left != 0; left &= left - 1) {
        size_t i = (size_t)__builtin_ctzll(left);
        if (kind->refine || topk_admits(top, scores[i]))
            status = offer_vector(query, kind, block, i, scores[i], top, error);
    }
    return status;
}

/* Scans a list of n vectors. The caller sets all fields of `list` but `first` and `n`. */
static enum dp_status scan_blocks(struct ivf_query *query, const float *centroid, struct block list, size_t n,
                                  struct topk *top, struct dp_error *error)
{
    const struct ivf_kind *kind = ivf_kinds[query->codec->kind];
    enum dp_status status = DP_OK;
    float scores[IVF_SCAN_ROWS];
    if (n == 0)
        return DP_OK;
    if (kind->enter)
        kind->enter(query, centroid);
    for (size_t first = 0; status == DP_OK && first < n; first += IVF_SCAN_ROWS) {
        size_t rows = n - first < IVF_SCAN_ROWS ? n - first : IVF_SCAN_ROWS;
        struct block block = list;
        bool some;
        block.first = first;
        block.n = rows;
        status = has_allowed(query, &block, &some, error);
        if (status == DP_OK && some) {
            float worst = topk_worst(top, INFINITY);
            if (kind->score(query, block.codes, first, rows, worst, scores))
                status = offer_block(query, kind, &block, worst, scores, top, error);
        }
    }
    return status;
}

enum dp_status ivf_scan_list(struct ivf_query *query, const float *centroid, const float *constants,
                             struct span codes, struct span ids, const struct id_filter *filter, struct topk *top,
                             struct dp_error *error)
{
    enum dp_status status = check_list(query->codec, codes, ids, error);
    if (status != DP_OK)
        return status;
    query->constants = constants;
    return scan_blocks(query, centroid, (struct block){.codes = codes.data, .ids = ids.data, .filter = filter},
                       ids.len / sizeof(int64_t), top, error);
}

enum dp_status ivf_scan_rows(struct ivf_query *query, struct span codes, uint64_t first,
                             const struct id_filter *filter, struct topk *top, struct dp_error *error)
{
    size_t size = query->codec->code_size;
    if (codes.len % size != 0)
        return dp_fail(error, DP_CORRUPT, "%zu bytes of vectors are not a whole number of %zu-byte codes",
                       codes.len, size);
    query->constants = NULL;
    return scan_blocks(query, NULL, (struct block){.codes = codes.data, .number = first, .filter = filter},
                       codes.len / size, top, error);
}
