/* vector/centroid_codes.h: centroids in four or eight bits for each dimension.
 *
 * In dimension i, a centroid is least[i] + step[i] * code, with a code below 2^bits. So a dimension with small
 * numbers keeps its precision beside one with large numbers. If the centroids are spread about evenly over each
 * dimension's range, four bits are enough: queries choose equally good lists (docs/benchmarks/first-stage.md).
 * Decoding gives the same floats on every machine, bit by bit.
 */
#ifndef VECTOR_CENTROID_CODES_H
#define VECTOR_CENTROID_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CENTROID_FEW_BITS = 4, CENTROID_MORE_BITS = 8 };

/* Centroids and their codes. The owner provides the arrays. */
struct centroid_codes {
    size_t count, dim;
    unsigned bits;       /* CENTROID_FEW_BITS or CENTROID_MORE_BITS */
    float *least, *step; /* [dim] */
    uint8_t *codes;      /* [count][dim] */
};

/* Sets bits and codes, and moves each centroid, float[count][dim], to what its code says. The floats must be finite. */
void centroid_codes_round(struct centroid_codes *out, float *centroids);
/* Decodes all centroids: float[count][dim]. */
void centroid_codes_decode(const struct centroid_codes *codes, float *centroids);

#endif
