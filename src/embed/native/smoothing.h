/* embed/native/smoothing.h: what the channels of the residual stream are divided by where a matrix multiplies them in int8.
 *
 * A few channels are ten times as large as the others, and a row's range must hold them. Dividing each channel by
 * something, and multiplying its weights by the same, leaves the products as they are and the levels to the other
 * channels (Xiao et al. 2023, SmoothQuant). The divisors go into the norm before the matrix, so that dividing costs
 * nothing; the norm behind it multiplies by them again as it adds the residual stream.
 */
#ifndef EMBED_SMOOTHING_H
#define EMBED_SMOOTHING_H

#include "embed/native/encoder.h"
#include "embed/folder/model_source.h"

struct smoothing {
    size_t hidden;
    float *scale; /* [layers][STREAM_KINDS][hidden] */
};

/* Finds the divisors of a folder's model: by how large its channels become in a run over random tokens, and by its
 * weights. The same folder gives the same ones on every machine. Embeds in fp32, so it takes the memory of that. */
enum dp_status smoothing_find(const struct model_source *source, struct smoothing *out, struct dp_error *error);
void smoothing_free(struct smoothing *s);

static inline const float *smoothing_of(const struct smoothing *s, size_t layer, enum stream_kind kind)
{
    return s->scale + (layer * STREAM_KINDS + kind) * s->hidden;
}

#endif
