/* centroid_codes.c: rounds centroids to codes of eight bits. */
#include "vector/centroid_codes.h"

#include <math.h>

enum { CODE_MAX = 255 };

static void set_range(struct centroid_codes *out, const float *centroids, size_t i)
{
    float least = centroids[i], most = centroids[i];
    for (size_t c = 1; c < out->count; c++) {
        float value = centroids[c * out->dim + i];
        least = value < least ? value : least;
        most = value > most ? value : most;
    }
    out->least[i] = least;
    out->step[i] = (float)(((double)most - (double)least) / CODE_MAX);
}

void centroid_codes_round(struct centroid_codes *out, float *centroids)
{
    for (size_t i = 0; i < out->dim && out->count; i++)
        set_range(out, centroids, i);
    for (size_t c = 0; c < out->count; c++) {
        const float *from = centroids + c * out->dim;
        uint8_t *to = out->codes + c * out->dim;
        for (size_t i = 0; i < out->dim; i++) {
            double gap = (double)from[i] - (double)out->least[i];
            double code = out->step[i] > 0 ? gap / (double)out->step[i] : 0;
            to[i] = (uint8_t)lrint(code < CODE_MAX ? code : CODE_MAX);
        }
    }
    centroid_codes_decode(out, centroids);
}

void centroid_codes_decode(const struct centroid_codes *codes, float *centroids)
{
    for (size_t c = 0; c < codes->count; c++) {
        const uint8_t *from = codes->codes + c * codes->dim;
        float *to = centroids + c * codes->dim;
        for (size_t i = 0; i < codes->dim; i++)
            to[i] = (float)((double)codes->least[i] + (double)codes->step[i] * from[i]);
    }
}
