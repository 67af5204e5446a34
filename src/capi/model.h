/* capi/model.h: the model behind the handle, for the other files of the C API. */
#ifndef CAPI_MODEL_H
#define CAPI_MODEL_H

#include <dipper/dipper.h>

#include "embed/embedder.h"

/* An open model. It never changes after opening. */
struct dp_model {
    struct dp_runtime *runtime; /* the caller's; outlives the model */
    struct model *model;
    struct embedder *embedder;
};

/* Embeds count texts into float out[count][dim].
 *
 * lengths  bytes of each text; NULL: they are NUL-terminated */
enum dp_status capi_model_embed(struct call *call, struct dp_model *model, enum text_kind kind,
                                const char *const *texts, const size_t *lengths, size_t count, bool normalize,
                                float *out);

#endif
