/* vector/pq.h: computes the tables of product quantizers.
 *
 * A vector's table has an entry for each centroid of each part, so that the score of a code is a sum of look-ups.
 * The quantizer's entries lie side by side in memory (ivf_codec.trained), so that one sweep makes many entries of
 * a table.
 */
#ifndef VECTOR_PQ_H
#define VECTOR_PQ_H

#include "base/error.h"
#include "vector/ivf_codec.h"

/* Transposes centroids from FAISS's order, float[m][entries][part], to float[m][part][entries], in place.
 * DP_NOMEM. */
enum dp_status pq_turn(float *centroids, size_t m, size_t entries, size_t part, struct dp_error *error);

/* Fills table float[m][1 << bits] with the scores of each part of vector float[dim] and the quantizer's entries
 * for that part. */
void pq_table(const struct ivf_codec *codec, enum vector_metric metric, const float *vector, float *table);

/* Returns whether the codec has constants: terms of a score that depend only on the vector and its list. It has
 * them for L2 by residual. With r the coded residual and c the list's centroid
 *
 *       |q - c - r|² = |q - c|² - 2 q·r + (|r|² + 2 c·r)
 *
 * The last term is the vector's constant; -2 q·r has one table for all lists. */
bool pq_has_constants(const struct ivf_codec *codec);

/* Computes the constants of n codes of the list with this centroid into out float[n]. DP_NOMEM. */
enum dp_status pq_constants(const struct ivf_codec *codec, const float *centroid, const uint8_t *codes, size_t n,
                            float *out, struct dp_error *error);

#endif
