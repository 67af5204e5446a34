/* sq8.c: trains and encodes eight bits a dimension, with the same bits as FAISS's ScalarQuantizer (QT_8bit,
 * RS_minmax). */
#include "vector/sq8.h"

#include <math.h>

void sq8_train_begin(float *trained, size_t dim)
{
    for (size_t i = 0; i < dim; i++) {
        trained[i] = INFINITY;
        trained[dim + i] = -INFINITY;
    }
}

void sq8_train_add(float *trained, size_t dim, const float *x, size_t n)
{
    float *least = trained, *most = trained + dim;
    for (; n > 0; n--, x += dim)
        for (size_t i = 0; i < dim; i++) { /* a comparison with NaN is false */
            least[i] = x[i] < least[i] ? x[i] : least[i];
            most[i] = x[i] > most[i] ? x[i] : most[i];
        }
}

void sq8_train_end(float *trained, size_t dim)
{
    for (size_t i = 0; i < dim; i++) {
        float *least = &trained[i], *most = &trained[dim + i];
        if (*least > *most)
            *least = *most = 0.0f;
        *most -= *least; /* the file has the width, not the largest value */
    }
}

void sq8_encode(const float *trained, size_t dim, const float *x, uint8_t *code)
{
    for (size_t i = 0; i < dim; i++) {
        float width = trained[dim + i];
        float place = width != 0.0f ? (x[i] - trained[i]) / width : 0.0f;
        place = place > 0.0f ? place : 0.0f; /* 0 for NaN, too */
        place = place < 1.0f ? place : 1.0f;
        code[i] = (uint8_t)(255.0f * place);
    }
}
