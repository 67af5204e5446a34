/* embed/native/fp32_model.h: an encoder with a model folder's weights in fp32, as a reference for int8. */
#ifndef EMBED_FP32_MODEL_H
#define EMBED_FP32_MODEL_H

#include "embed/native/encoder.h"
#include "embed/folder/model_source.h"

struct fp32_model {
    struct encoder encoder;
    float *memory; /* one allocation with all arrays of `encoder`, except its layers */
};

/* Copies the weights of an open folder into the kernels' layout; the caller may close the folder
 * afterwards. */
enum dp_status fp32_model_open(const struct model_source *source, struct fp32_model *out, struct dp_error *error);
void fp32_model_close(struct fp32_model *m);

#endif
