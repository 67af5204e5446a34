/* embed/native/smoothing.h: finds divisors for the channels of the residual stream, for products in int8.
 *
 * A few channels are ten times as large as the others, and the int8 range of a row must cover these large values.
 * So we divide each channel by a number, and multiply its weights by that number. The products stay the same, but
 * the other channels get more of the int8 levels (Xiao et al. 2023, SmoothQuant). The norm before the matrix
 * includes the divisors, so the division costs nothing. The norm after the matrix multiplies the residual stream by
 * the divisors again before it adds the stream.
 */
#ifndef EMBED_SMOOTHING_H
#define EMBED_SMOOTHING_H

#include "embed/native/encoder.h"
#include "embed/folder/model_source.h"

struct smoothing {
    size_t hidden;
    float *scale; /* [layers][STREAM_KINDS][hidden] */
};

/* Finds the divisors of a folder's model, from its weights and from the sizes of its channels in a run over random
 * tokens. A folder gives equal divisors on every machine. The run is in fp32 and needs the memory for fp32
 * weights. */
enum dp_status smoothing_find(const struct model_source *source, struct smoothing *out, struct dp_error *error);
void smoothing_free(struct smoothing *s);

static inline const float *smoothing_of(const struct smoothing *s, size_t layer, enum stream_kind kind)
{
    return s->scale + (layer * STREAM_KINDS + kind) * s->hidden;
}

#endif
