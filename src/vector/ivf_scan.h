/* vector/ivf_scan.h: scores an inverted list against a query.
 *
 * A scan works on list bytes that the store has fetched; it does no I/O and takes no lock. It decodes codes in
 * registers. It scores a block of vectors at a time, and looks one by one only at scores that are good enough for
 * the heap.
 */
#ifndef VECTOR_IVF_SCAN_H
#define VECTOR_IVF_SCAN_H

#include "base/error.h"
#include "base/span.h"
#include "base/workspace.h"
#include "vector/id_filter.h"
#include "vector/ivf_codec.h"
#include "vector/topk.h"

/* Encodes x float[dim], of the list with this centroid, into codec->code_size bytes. Only for IVF_FLAT and
 * IVF_SQ8. residual: float[dim] of scratch; may be NULL when codes are not by residual. */
void ivf_encode(const struct ivf_codec *codec, const float *x, const float *centroid, float *residual,
                uint8_t *code);

/* Returns whether scans estimate scores first, and compute a score by all bits only if its estimate may beat the
 * worst hit. */
bool ivf_codec_estimates(const struct ivf_codec *codec);

/* Maps the numbers in lists to ids: number i to the little-endian int64 at ids + 8 i. */
struct id_map {
    const uint8_t *ids; /* NULL: the numbers are the ids */
    uint64_t count;
    bool only_filters; /* hits keep their numbers; filters see ids */
};

/* A query prepared for a codec, with the values that depend on both. One thread may use it at a time. */
struct ivf_query {
    const struct ivf_codec *codec;
    const float *vector; /* float[dim]; belongs to the caller */
    struct id_map map;
    struct workspace memory; /* memory of the arrays below */
    /* flat and scalar codes */
    float *weight;    /* weights (inner product) or steps (L2) of the codes */
    float *base;      /* the vector that code 0 stands for */
    float *offset;    /* L2: the vector from which scans of the present list subtract codes */
    float query_bias; /* inner product of query and base */
    float bias;       /* term of every score of the present list */
    /* product quantizer and fast scan */
    float *residual;        /* float[dim]: query minus the present list's centroid */
    float *table;           /* float[m][1 << bits] */
    const float *constants; /* constants of the present list's vectors, or NULL */
    float *norms;           /* fast: |r|² of each entry r of the quantizer */
    float *products;        /* fast: the query's inner products with these entries */
    uint8_t *lut;           /* fast: the rounded table, uint8_t[2 pairs][16] */
    float scale;            /* fast: factor of table and biases */
    float least;            /* fast: the score that sum 0 stands for */
    float least_bias;       /* fast: the bias that rounds to 0 */
    uint16_t lut_bias;      /* fast: the rounded bias of the present list */
    float edge_of;          /* PQ fast: the worst score for which `edge` holds; NaN: for none */
    int32_t edge;           /* PQ fast: the last sum that reaches edge_of; inner products: the first one */
    /* RaBitQ */
    uint8_t *rounded; /* [dim]: the residual in query_bits */
    uint8_t *planes;  /* [query_bits][sign bytes]: the bits of `rounded`, plane by plane */
    uint8_t *signs;   /* fast: one vector's sign bits */
    float c1, c2, c34, product_scale;
    float to_centroid; /* |query - centroid|² */
    float norm;        /* |query|², for inner products */
    float dot;         /* query · centroid, for inner products */
};

enum { IVF_SCAN_ROWS = 64 }; /* maximum vectors that a scan scores at once */

/* Prepares a query. codec and vector must outlive it. DP_NOMEM. */
enum dp_status ivf_query_init(struct ivf_query *query, const struct ivf_codec *codec, const float *vector,
                              struct dp_error *error);
void ivf_query_deinit(struct ivf_query *query);

/* Prepares the query for the lists that will be scanned: fast-scan codecs round their tables to the span of these
 * lists. These codecs need the call before the first ivf_scan_list; for others it does nothing.
 *
 *   centroids  float[nlist][dim];  lists  [count] */
void ivf_query_probe(struct ivf_query *query, const float *centroids, const uint32_t *lists, size_t count);

/* Scans one list into `top`, keeping the best top->k.
 *
 * centroid  float[dim] of the list; used, and needed, only when codes are by residual
 * constants float[n], where the codec has them (pq_has_constants); else NULL
 * codes     ivf_codec_list_bytes(n) bytes;  ids  n little-endian int64
 * filter    ids to keep, or NULL
 *
 * Fails with DP_CORRUPT when the spans are not whole numbers of codes and ids or do not match, or when the
 * query's map lacks the number of a vector that the scan had to look at. */
enum dp_status ivf_scan_list(struct ivf_query *query, const float *centroid, const float *constants,
                             struct span codes, struct span ids, const struct id_filter *filter, struct topk *top,
                             struct dp_error *error);

/* Scans vectors that lie in no list and have no ids: the first one has number `first`, the next one first + 1.
 *
 *   codes  n * codec->code_size bytes, neither in blocks nor by residual */
enum dp_status ivf_scan_rows(struct ivf_query *query, struct span codes, uint64_t first,
                             const struct id_filter *filter, struct topk *top, struct dp_error *error);

#endif
