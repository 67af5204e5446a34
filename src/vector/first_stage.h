/* vector/first_stage.h: codes of one bit for each dimension, which choose the candidates of a search.
 *
 * They are RaBitQ's codes (Gao and Long: RaBitQ. SIGMOD 2024) of residuals r = x - c, where c is the centroid of the
 * vector's list. A seeded rotation mixes the dimensions; the code is the signs s, -1 or 1, of the rotated residual
 * r'. With q' and c' the rotated query and centroid:
 *
 *     (q - c) · r  ≈  f (q' - c') · s,   f = |r|² / sum |r'[i]|
 *     inner product:  q · x     ≈  q · c  +  f (q' · s)  +  g,       g = c · r - f (c' · s)
 *     squared L2:     |q - x|²  ≈  |q - c|²  -  2 f (q' · s)  +  g,  g = |r|² + 2 f (c' · s)
 *
 * f and g are stored. So a query is rotated once, for all lists.
 *
 * Sums of floats run in one order, so every machine makes the same codes and the same scores. Nothing here does I/O.
 */
#ifndef VECTOR_FIRST_STAGE_H
#define VECTOR_FIRST_STAGE_H

#include "base/error.h"
#include "base/span.h"
#include "base/workspace.h"
#include "vector/distance.h"
#include "vector/id_filter.h"
#include "vector/topk.h"

/* The shape of the codes. */
struct first_stage {
    enum vector_metric metric;
    size_t dim;
    size_t padded; /* rotated dimensions: dim, rounded up */
    size_t block;  /* dimensions that one Hadamard transform mixes: a power of two that divides `padded` */
    size_t pairs;  /* bytes of a code */
};
struct first_stage first_stage_of(enum vector_metric metric, size_t dim);

/* The coded vectors of one list, without alignment:
 *
 *     codes    for each 32 vectors: `pairs` times 32 bytes, laid out as simd/scan.h's group_sums reads them; then the
 *              codes of the last vectors, fewer than 32, one after another
 *     factors  f and g of each vector, as floats
 *     rows     u32 for each vector from `own` on
 *
 * Vector i < own belongs to row first_row + i. */
struct first_list {
    size_t count, own; /* vectors; own ≤ count */
    uint32_t first_row;
};
/* Returns the bytes of a list. */
size_t first_stage_len(const struct first_stage *stage, const struct first_list *list);
/* Returns how many floats of scratch first_stage_enter() and first_stage_encode() need. */
size_t first_stage_scratch(const struct first_stage *stage);
/* Prepares the scratch for the vectors of a list. */
void first_stage_enter(const struct first_stage *stage, const float *centroid, float *scratch);
/* Writes vector i of the entered list, x float[dim], into the list's bytes, which are zero before the first vector.
 * row: used only from `own` on */
void first_stage_encode(const struct first_stage *stage, const struct first_list *list, size_t i, const float *x,
                        const float *centroid, uint32_t row, float *scratch, uint8_t *bytes);

/* A query prepared for scans. One thread may use it at a time. */
struct first_query {
    struct first_stage stage;
    const float *vector; /* float[dim]; belongs to the caller */
    uint8_t *lut;        /* [2 pairs][16]: sums of four components that a nibble selects, rounded */
    float least, step;   /* the selected components sum up to least + step * (sum of entries) */
    float total;         /* the sum of all rotated components */
    float length;        /* of the vector */
    struct workspace memory;
};
/* Fails with DP_NOMEM; then there is nothing to free. */
enum dp_status first_query_init(struct first_query *query, const struct first_stage *stage, const float *vector,
                                struct dp_error *error);
void first_query_deinit(struct first_query *query);
/* Offers the rows of a list to `top`, with estimates of their scores. filter: rows to keep, or NULL. Fails with
 * DP_CORRUPT when the bytes are not as many as the list needs. */
enum dp_status first_stage_scan(const struct first_query *query, const struct first_list *list,
                                const float *centroid, struct span bytes, const struct id_filter *filter,
                                struct topk *top, struct dp_error *error);
/* Returns the sum of the standard deviations of the list's estimates, about. `bytes`: as first_stage_scan() took
 * them. */
double first_stage_errors(const struct first_query *query, const struct first_list *list, struct span bytes);

#endif
