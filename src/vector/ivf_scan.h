/* vector/ivf_scan.h: what an inverted list's codes mean, and scoring a list against a query.
 *
 * Reads list bytes that the store has already fetched; does no I/O and takes no lock. Codes are decoded in
 * registers, never into memory.
 */
#ifndef VECTOR_IVF_SCAN_H
#define VECTOR_IVF_SCAN_H

#include "base/error.h"
#include "base/span.h"
#include "vector/distance.h"
#include "vector/topk.h"

enum ivf_codec_kind { IVF_FLAT, IVF_SQ8 };

struct ivf_codec {
    enum ivf_codec_kind kind;
    enum vector_metric metric;
    size_t dim;
    size_t code_size;     /* bytes of one vector: 4 * dim or dim */
    bool by_residual;     /* codes hold x - centroid (SQ8 only) */
    const float *trained; /* SQ8: float[2 * dim], see vector/sq8.h; else NULL */
};

/* Encodes x float[dim] of the list with this centroid into codec->code_size bytes. residual: float[dim] of
 * scratch (may be NULL when codes are not by residual). */
void ivf_encode(const struct ivf_codec *codec, const float *x, const float *centroid, float *residual,
                uint8_t *code);

/* Which ids may be answered. Bit i is bit i % 8 of byte i / 8. */
struct id_filter {
    struct span keep; /* data not NULL: only ids whose bit is set; ids past its end are left out */
    struct span skip; /* ids whose bit is set are left out; ids past its end are not */
};

static inline bool id_filter_bit(struct span bits, int64_t id)
{
    return id >= 0 && (uint64_t)id / 8 < bits.len && (bits.data[id / 8] >> (id % 8) & 1) != 0;
}

static inline bool id_filter_allows(const struct id_filter *filter, int64_t id)
{
    if (filter->keep.data != NULL && !id_filter_bit(filter->keep, id))
        return false;
    return !id_filter_bit(filter->skip, id);
}

/* A query made ready for a codec: what depends on both is computed once. Used by one thread at a time. */
struct ivf_query {
    const struct ivf_codec *codec;
    const float *vector; /* float[dim], the caller's */
    float *weight;       /* SQ8: weights (inner product) or steps (L2) of the codes */
    float *base;         /* SQ8: the vector that code 0 stands for */
    float *offset;       /* SQ8 and L2: what codes are subtracted from, for the present list */
    float bias;          /* SQ8 inner product: of query and base */
};

/* codec and vector must outlive the query. DP_NOMEM. */
enum dp_status ivf_query_init(struct ivf_query *query, const struct ivf_codec *codec, const float *vector,
                              struct dp_error *error);
void ivf_query_deinit(struct ivf_query *query);

/* Scans one list into `top`, keeping the best top->k.
 *
 * centroid  float[dim] of the list; used, and needed, only when codes are by residual
 * codes     n * code_size bytes;  ids  n little-endian int64
 * filter    ids to keep, or NULL
 *
 * Fails with DP_CORRUPT when the spans are not whole numbers of codes and ids, or do not match. */
enum dp_status ivf_scan_list(struct ivf_query *query, const float *centroid, struct span codes, struct span ids,
                             const struct id_filter *filter, struct topk *top, struct dp_error *error);

#endif
