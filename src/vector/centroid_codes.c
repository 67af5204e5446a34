/* centroid_codes.c: rounds centroids to codes of four bits or, where these lose too much, of eight. */
#include "vector/centroid_codes.h"

#include <math.h>

/* Four bits lose too much if errors / spread is more than this. errors: the mean square of the rounding errors.
 * spread: the square of the mean distance of centroids from their mean. In a normal distribution the ratio is 1/70
 * with 100 lists and 1/31 with 4,000 lists. */
static const double ERROR_MAX = 1.0 / 20;

static float decode(const struct centroid_codes *codes, size_t c, size_t i)
{
    return (float)((double)codes->least[i] + (double)codes->step[i] * codes->codes[c * codes->dim + i]);
}

/* Codes dimension i of all centroids. */
static void code_dimension(struct centroid_codes *out, const float *centroids, size_t i)
{
    const int most_code = (1 << out->bits) - 1;
    float least = centroids[i], most = centroids[i];
    for (size_t c = 1; c < out->count; c++) {
        float value = centroids[c * out->dim + i];
        least = value < least ? value : least;
        most = value > most ? value : most;
    }
    out->least[i] = least;
    out->step[i] = (float)(((double)most - (double)least) / most_code);
    for (size_t c = 0; c < out->count; c++) {
        double gap = (double)centroids[c * out->dim + i] - (double)least;
        double code = out->step[i] > 0 ? gap / (double)out->step[i] : 0;
        out->codes[c * out->dim + i] = (uint8_t)lrint(code < most_code ? code : most_code);
    }
}

static void code_all(struct centroid_codes *out, const float *centroids, unsigned bits)
{
    out->bits = bits;
    for (size_t i = 0; i < out->dim && out->count; i++)
        code_dimension(out, centroids, i);
}

/* Returns whether the codes are near enough to the centroids. The spread is the square of the mean distance, not the
 * mean of the squares. So one list far from all others cannot hide the losses of the others. */
static bool are_near(const struct centroid_codes *codes, const float *centroids)
{
    double errors = 0, spread = 0;
    const double count = (double)codes->count;
    for (size_t i = 0; i < codes->dim; i++) {
        double mean = 0, distance = 0;
        for (size_t c = 0; c < codes->count; c++)
            mean += (double)centroids[c * codes->dim + i] / count;
        for (size_t c = 0; c < codes->count; c++) {
            double value = (double)centroids[c * codes->dim + i];
            double error = value - (double)decode(codes, c, i);
            errors += error * error / count;
            distance += fabs(value - mean) / count;
        }
        spread += distance * distance;
    }
    return errors <= spread * ERROR_MAX;
}

void centroid_codes_round(struct centroid_codes *out, float *centroids)
{
    code_all(out, centroids, CENTROID_FEW_BITS);
    if (!are_near(out, centroids))
        code_all(out, centroids, CENTROID_MORE_BITS);
    centroid_codes_decode(out, centroids);
}

void centroid_codes_decode(const struct centroid_codes *codes, float *centroids)
{
    for (size_t c = 0; c < codes->count; c++) {
        for (size_t i = 0; i < codes->dim; i++)
            centroids[c * codes->dim + i] = decode(codes, c, i);
    }
}
