/* vector/centroid_codes.h: centroids in eight bits for each dimension.
 *
 * In dimension i, a centroid is least[i] + step[i] * code, with a code from 0 to 255. So a dimension with small numbers
 * keeps its precision beside one with large numbers. Whoever decodes gets the same floats on every machine, bit by bit.
 */
#ifndef VECTOR_CENTROID_CODES_H
#define VECTOR_CENTROID_CODES_H

#include <stddef.h>
#include <stdint.h>

/* Centroids and their codes. The owner provides the arrays. */
struct centroid_codes {
    size_t count, dim;
    float *least, *step; /* [dim] */
    uint8_t *codes;      /* [count][dim] */
};

/* Sets the codes, and moves each centroid, float[count][dim], to what its code says. The floats must be finite. */
void centroid_codes_round(struct centroid_codes *out, float *centroids);
/* Decodes all centroids: float[count][dim]. */
void centroid_codes_decode(const struct centroid_codes *codes, float *centroids);

#endif
