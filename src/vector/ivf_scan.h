/* vector/ivf_scan.h: scoring an inverted list against a query.
 *
 * Reads list bytes that the store has already fetched; does no I/O and takes no lock. Codes are decoded in
 * registers; scores come a block of vectors at a time, and only those that could get in are looked at one by one.
 */
#ifndef VECTOR_IVF_SCAN_H
#define VECTOR_IVF_SCAN_H

#include "base/error.h"
#include "base/span.h"
#include "base/workspace.h"
#include "vector/id_filter.h"
#include "vector/ivf_codec.h"
#include "vector/topk.h"

/* Encodes (IVF_FLAT and IVF_SQ8 alone) x float[dim] of the list with this centroid into codec->code_size bytes.
 * residual: float[dim] of scratch (may be NULL when codes are not by residual). */
void ivf_encode(const struct ivf_codec *codec, const float *x, const float *centroid, float *residual,
                uint8_t *code);

/* What the numbers that lists hold stand for: number i for the little-endian int64 at ids + 8 i. */
struct id_map {
    const uint8_t *ids; /* NULL: the numbers are the ids */
    uint64_t count;
    bool only_filters; /* hits keep their numbers; filters see ids all the same */
};

/* A query made ready for a codec: what depends on both is computed once. Used by one thread at a time. */
struct ivf_query {
    const struct ivf_codec *codec;
    const float *vector; /* float[dim], the caller's */
    struct id_map map;
    struct workspace memory; /* of the arrays below */
    /* flat and scalar codes */
    float *weight;    /* weights (inner product) or steps (L2) of the codes */
    float *base;      /* the vector that code 0 stands for */
    float *offset;    /* what codes are subtracted from (L2), for the present list */
    float query_bias; /* inner product of query and base */
    float bias;       /* what is added to every score of the present list */
    /* product quantizer and fast scan */
    float *residual;        /* float[dim]: of the query and the present list */
    float *table;           /* float[m][1 << bits] */
    const float *constants; /* of the present list's vectors, or NULL */
    float *norms;           /* fast: |r|² of each part of the quantizer */
    float *products;        /* fast: the query's inner products with them */
    uint8_t *lut;           /* fast: the rounded table, uint8_t[2 pairs][16] */
    float scale;            /* fast: what table and biases were multiplied by */
    float least;            /* fast: what a score of 0 stands for */
    float least_bias;
    uint16_t lut_bias; /* fast: of the present list */
    /* RaBitQ */
    uint8_t *rounded; /* [dim]: the residual in query_bits */
    uint8_t *planes;  /* [query_bits][sign bytes]: the same, bit by bit */
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

/* Tells the query which lists will be scanned: fast-scan codecs round their tables to what these span. Needed for
 * them before the first ivf_scan_list; for others it does nothing.
 *
 * centroids  float[nlist][dim];  lists  [count] */
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

/* The same for vectors that lie in no list and have no ids: they are numbered from `first` on.
 *
 * codes  n * codec->code_size bytes, neither in blocks nor by residual */
enum dp_status ivf_scan_rows(struct ivf_query *query, struct span codes, uint64_t first,
                             const struct id_filter *filter, struct topk *top, struct dp_error *error);

#endif
