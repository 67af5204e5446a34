/* vector/ivf_kinds.h: a table of functions for each kind of codec. Private to this room.
 *
 * ivf_scan.c calls begin once per query, probe once when the query's lists are known, enter for each list, and
 * score for each block of a list.
 */
#ifndef VECTOR_IVF_KINDS_H
#define VECTOR_IVF_KINDS_H

#include <string.h>

#include "vector/ivf_scan.h"

/* The functions of one kind. */
struct ivf_kind {
    /* Allocates query->memory and computes the values that depend on the query alone. */
    enum dp_status (*begin)(struct ivf_query *query, struct dp_error *error);
    /* Prepares the query for all lists that will be scanned. May be NULL. */
    void (*probe)(struct ivf_query *query, const float *centroids, const uint32_t *lists, size_t count);
    /* Prepares the query for the list with this centroid. May be NULL. */
    void (*enter)(struct ivf_query *query, const float *centroid);
    /* Sets scores[i] to the score of vector first + i of a list, for i < n ≤ IVF_SCAN_ROWS. NaN: the vector must
     * not become a hit. first is a multiple of IVF_SCAN_ROWS. Returns false, and sets no score, if it finds at
     * little cost that none reaches `worst`: is at least as good. */
    bool (*score)(struct ivf_query *query, const uint8_t *codes, size_t first, size_t n, float worst,
                  float *scores);
    /* NULL: scores are final. Otherwise they are estimates, and this function replaces an estimate by the score of
     * all bits. Returns false when the error bound beside the vector's code shows that the vector cannot beat
     * `worst`. */
    bool (*refine)(struct ivf_query *query, const uint8_t *codes, size_t row, float worst, float *score);
};

#define IVF_KIND_DECLARATION(kind, functions) extern const struct ivf_kind ivf_kind_##functions;
IVF_CODEC_KINDS(IVF_KIND_DECLARATION)

/* Allocates query->memory for the arrays that lay_out() takes from it. */
enum dp_status ivf_query_allocate(struct ivf_query *query, void (*lay_out)(struct ivf_query *query),
                                  struct dp_error *error);

/* ---- RaBitQ: shared by both layouts (rabitq.c) ---------------------------------------------------------- */

/* The factors that lie beside a vector's sign bits. */
struct rabitq_factors {
    float norm;       /* |x - c|², less |x|² for inner products */
    float multiplier; /* factor of the inner product with the signs */
    float error;      /* more than one bit: error of the estimate, in units of |q - c| */
};
static inline struct rabitq_factors rabitq_factors_at(const struct ivf_codec *codec, const uint8_t *factors)
{
    float values[3] = {0};
    memcpy(values, factors, codec->bits == 1 ? 8 : 12);
    return (struct rabitq_factors){values[0], values[1], values[2]};
}
/* Takes memory for the query's residual, its rounded values and its planes. */
void rabitq_lay_out(struct ivf_query *query);
/* Prepares the query for a list: the residual, its norms, and `rounded` if queries are rounded. */
void rabitq_enter(struct ivf_query *query, const float *centroid);
/* Returns the score that follows from `dot`, the inner product of the residual and a vector's signs. */
static inline float rabitq_score(const struct ivf_query *query, struct rabitq_factors factors, float dot)
{
    float distance = factors.norm + query->to_centroid - 2.0f * factors.multiplier * dot;
    if (query->codec->metric == VECTOR_INNER_PRODUCT)
        return -0.5f * (distance - query->norm);
    return distance > 0.0f ? distance : 0.0f;
}
/* Returns whether a vector with this estimate may beat `worst`. */
bool rabitq_may_beat(const struct ivf_query *query, struct rabitq_factors factors, float estimate, float worst);
/* Returns the score by all bits. `factors` is the argument of rabitq_factors_at. */
float rabitq_full_score(const struct ivf_query *query, const uint8_t *signs, const uint8_t *factors);

/* ---- fast scan: shared by PQ and RaBitQ (fast_scan.c) --------------------------------------------------- */

/* The widths from which fast_scale makes the scale of a query's tables. */
struct fast_span {
    float widest;  /* widest span of one part's table */
    float longest; /* longest span of a list's sums */
};
/* Returns `least` plus the least value of each part of a table float[m][16]. Adds the parts' spans to *spans, and
 * raises *widest to the widest of them. */
float fast_table_least(const float *table, size_t m, float least, float *spans, float *widest);
/* Returns the scale of tables: the smaller of 255 / widest and 65535 / longest; 0 when neither is finite. */
float fast_scale(struct fast_span span);
/* Computes the 16-bit sums of rows [first, first + n) of the present list, and adds the list's bias. first is a
 * multiple of 32. */
void fast_sums(const struct ivf_query *query, const uint8_t *codes, size_t first, size_t n,
               uint16_t sums[IVF_SCAN_ROWS]);
/* Returns the step of sums: a sum stands for the score least + sum * step. */
static inline float fast_step(const struct ivf_query *query)
{
    return query->scale > 0.0f ? 1.0f / query->scale : 0.0f;
}

#endif
