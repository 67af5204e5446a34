/* vector/ivf_scan.h: scores an inverted list against a query.
 *
 * Works on list bytes that the store has fetched; does no I/O and takes no lock. Codes are decoded in registers.
 * Scores come a block of vectors at a time, and only those that could get in are looked at one by one.
 */
#ifndef VECTOR_IVF_SCAN_H
#define VECTOR_IVF_SCAN_H

#include "base/error.h"
#include "base/span.h"
#include "base/workspace.h"
#include "vector/id_filter.h"
#include "vector/ivf_codec.h"
#include "vector/topk.h"

/* Encodes x float[dim], of the list with this centroid, into codec->code_size bytes. For IVF_FLAT and IVF_SQ8 alone.
 * residual: float[dim] of scratch; may be NULL when codes are not by residual. */
void ivf_encode(const struct ivf_codec *codec, const float *x, const float *centroid, float *residual,
                uint8_t *code);

/* Whether scans estimate scores, and compute one exactly only when its estimate beats the worst hit so far. */
bool ivf_codec_estimates(const struct ivf_codec *codec);

/* Maps the numbers in lists to ids: number i to the little-endian int64 at ids + 8 i. */
struct id_map {
    const uint8_t *ids; /* NULL: the numbers are the ids */
    uint64_t count;
    bool only_filters; /* hits keep their numbers; filters see ids */
};

/* A query prepared for a codec: values that depend on both are computed once. One thread at a time. */
struct ivf_query {
    const struct ivf_codec *codec;
    const float *vector; /* float[dim], the caller's */
    struct id_map map;
    struct workspace memory; /* of the arrays below */
    /* flat and scalar codes */
    float *weight;    /* weights (inner product) or steps (L2) of the codes */
    float *base;      /* the vector that code 0 stands for */
    float *offset;    /* codes are subtracted from it (L2), for the present list */
    float query_bias; /* inner product of query and base */
    float bias;       /* added to every score of the present list */
    /* product quantizer and fast scan */
    float *residual;        /* float[dim]: query minus the present list's centroid */
    float *table;           /* float[m][1 << bits] */
    const float *constants; /* of the present list's vectors, or NULL */
    float *norms;           /* fast: |r|² of each part of the quantizer */
    float *products;        /* fast: the query's inner products with them */
    uint8_t *lut;           /* fast: the rounded table, uint8_t[2 pairs][16] */
    float scale;            /* fast: factor of table and biases */
    float least;            /* fast: the score that sum 0 stands for */
    float least_bias;
    uint16_t lut_bias; /* fast: of the present list */
    /* RaBitQ */
    uint8_t *rounded; /* [dim]: the residual in query_bits */
    uint8_t *planes;  /* [query_bits][sign bytes]: the bits of `rounded`, plane by plane */
    uint8_t *signs;   /* fast: one vector's sign bits */
    float c1, c2, c34, product_scale;
    float to_centroid; /* |query - centroid|² */
    float norm;        /* |query|², for inner products */
    float dot;         /* query · centroid, for inner products */
};

enum { IVF_SCAN_ROWS = 64 }; /* vectors that are scored at once */

/* codec and vector must outlive the query. DP_NOMEM. */
enum dp_status ivf_query_init(struct ivf_query *query, const struct ivf_codec *codec, const float *vector,
                              struct dp_error *error);
void ivf_query_deinit(struct ivf_query *query);

/* Prepares the query for the lists that will be scanned: fast-scan codecs round their tables to the span of these.
 * They need it before the first ivf_scan_list; for other codecs it does nothing.
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
 * Fails with DP_CORRUPT when the spans are not whole numbers of codes and ids, do not match, or the number of a vector
 * that could get in is not in the query's map. */
enum dp_status ivf_scan_list(struct ivf_query *query, const float *centroid, const float *constants,
                             struct span codes, struct span ids, const struct id_filter *filter, struct topk *top,
                             struct dp_error *error);

/* Scans vectors that lie in no list and have no ids: their numbers count from `first` on.
 *
 *   codes  n * codec->code_size bytes, neither in blocks nor by residual */
enum dp_status ivf_scan_rows(struct ivf_query *query, struct span codes, uint64_t first,
                             const struct id_filter *filter, struct topk *top, struct dp_error *error);

#endif
