/* vector/ivf_kinds.h: a table of functions for each way of coding vectors. Private to this room.
 *
 * A query calls begin once, probe once when its lists are known, enter for each list, and score for each block of a
 * list.
 */
#ifndef VECTOR_IVF_KINDS_H
#define VECTOR_IVF_KINDS_H

#include <string.h>

#include "vector/ivf_scan.h"

struct ivf_kind {
    /* Allocates query->memory and computes what depends on the query alone. */
    enum dp_status (*begin)(struct ivf_query *query, struct dp_error *error);
    /* Looks at all lists that will be scanned. May be NULL. */
    void (*probe)(struct ivf_query *query, const float *centroids, const uint32_t *lists, size_t count);
    /* Prepares the query for the list with this centroid. May be NULL. */
    void (*enter)(struct ivf_query *query, const float *centroid);
    /* scores[i] = the score of vector first + i of a list, for n ≤ IVF_SCAN_ROWS. NaN: the vector must not be
     * answered. first is a multiple of IVF_SCAN_ROWS. */
    void (*score)(struct ivf_query *query, const uint8_t *codes, size_t first, size_t n, float *scores);
    /* NULL: scores are exact. Otherwise they are estimates, and this makes one exact. False when the vector cannot
     * beat `worst`, by the bound that comes with its code. */
    bool (*refine)(struct ivf_query *query, const uint8_t *codes, size_t row, float worst, float *score);
};

#define IVF_KIND_DECLARATION(kind, functions) extern const struct ivf_kind ivf_kind_##functions;
IVF_CODEC_KINDS(IVF_KIND_DECLARATION)

/* Allocates query->memory for the arrays that lay_out() takes from it. */
enum dp_status ivf_query_allocate(struct ivf_query *query, void (*lay_out)(struct ivf_query *query),
                                  struct dp_error *error);

/* ---- RaBitQ: what both layouts share (rabitq.c) --------------------------------------------------------- */

/* The factors that lie beside a vector's sign bits. */
struct rabitq_factors {
    float norm;       /* |x - c|², less |x|² for inner products */
    float multiplier; /* of the inner product with the signs */
    float error;      /* more than one bit: error of the estimate, in units of |q - c| */
};
static inline struct rabitq_factors rabitq_factors_at(const struct ivf_codec *codec, const uint8_t *factors)
{
    float values[3] = {0};
    memcpy(values, factors, codec->bits == 1 ? 8 : 12);
    return (struct rabitq_factors){values[0], values[1], values[2]};
}
/* Takes the query's residual in its three forms. */
void rabitq_lay_out(struct ivf_query *query);
/* Prepares the query for a list: the residual, its norms, and `rounded` if queries are rounded. */
void rabitq_enter(struct ivf_query *query, const float *centroid);
/* The score from the inner product `dot` of the residual and a vector's signs. */
static inline float rabitq_score(const struct ivf_query *query, struct rabitq_factors factors, float dot)
{
    float distance = factors.norm + query->to_centroid - 2.0f * factors.multiplier * dot;
    if (query->codec->metric == VECTOR_INNER_PRODUCT)
        return -0.5f * (distance - query->norm);
    return distance > 0.0f ? distance : 0.0f;
}
/* Whether a vector with this estimate may beat `worst`. */
bool rabitq_may_beat(const struct ivf_query *query, struct rabitq_factors factors, float estimate, float worst);
/* The score by all bits. factors: as rabitq_factors_at */
float rabitq_full_score(const struct ivf_query *query, const uint8_t *signs, const uint8_t *factors);

/* ---- fast scan: what both kinds share (fast_scan.c) ----------------------------------------------------- */

struct fast_span {
    float widest;  /* widest span of one part's table */
    float longest; /* longest span of a list's sums */
};
/* `least` plus the least value of each part of a table float[m][16]. Their spans are added to *spans, and
 * *widest is the widest so far. */
float fast_table_least(const float *table, size_t m, float least, float *spans, float *widest);
/* The scale of tables: 255 / widest or 65535 / longest, whichever is less; 0 when neither is finite. */
float fast_scale(struct fast_span span);
/* Computes the 16-bit sums of rows [first, first + n) of a list, with the present list's bias. first is a multiple of
 * 32. */
void fast_sums(const struct ivf_query *query, const uint8_t *codes, size_t first, size_t n,
               uint16_t sums[IVF_SCAN_ROWS]);
/* A sum stands for least + sum * step. */
static inline float fast_step(const struct ivf_query *query)
{
    return query->scale > 0.0f ? 1.0f / query->scale : 0.0f;
}

#endif
