/* embed/native/smoothing.h: divisors of the residual stream's channels, for products in int8.
 *
 * A few channels are ten times as large as the others, and a row's range must hold them. Dividing each channel by
 * a number, and multiplying its weights by that number, does not change the products, but leaves more levels to
 * the other channels (Xiao et al. 2023, SmoothQuant). The divisors go into the norm before the matrix, so division
 * costs nothing; the norm behind it multiplies by them again when it adds the residual stream.
 */
#ifndef EMBED_SMOOTHING_H
#define EMBED_SMOOTHING_H

#include "embed/native/encoder.h"
#include "embed/folder/model_source.h"

struct smoothing {
    size_t hidden;
    float *scale; /* [layers][STREAM_KINDS][hidden] */
};

/* Finds the divisors of a folder's model, from its channels' sizes in a run over random tokens and from its
 * weights. A folder gives equal divisors on every machine. It embeds in fp32 and needs the memory for that. */
enum dp_status smoothing_find(const struct model_source *source, struct smoothing *out, struct dp_error *error);
void smoothing_free(struct smoothing *s);

static inline const float *smoothing_of(const struct smoothing *s, size_t layer, enum stream_kind kind)
{
    return s->scale + (layer * STREAM_KINDS + kind) * s->hidden;
}

#endif
