/* vector/sq8.h: trains and encodes codes of eight bits for each dimension, as FAISS's QT_8bit with range
 * RS_minmax.
 *
 * trained is float[2][dim], as in a FAISS file: the least value (vmin) of each dimension, then the width of each
 * range (vdiff).
 *
 *       code = floor(255 * clamp((x - vmin) / vdiff, 0, 1))      (0 where vdiff is 0)
 *       x'   = vmin + vdiff * (code + 0.5) / 255
 */
#ifndef VECTOR_SQ8_H
#define VECTOR_SQ8_H

#include <stddef.h>
#include <stdint.h>

/* Train over a stream: begin, add all vectors, end. Training skips NaN; a dimension without any value gets the
 * range [0, 0]. */
void sq8_train_begin(float *trained, size_t dim);
void sq8_train_add(float *trained, size_t dim, const float *x, size_t n);
void sq8_train_end(float *trained, size_t dim);

/* Encodes one vector into dim bytes. NaN becomes code 0. */
void sq8_encode(const float *trained, size_t dim, const float *x, uint8_t *code);

#endif
