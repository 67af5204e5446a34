/* embed/embedded_model.h: the packed model that is linked into the program, if there is one.
 *
 * embedded_model.S is assembled twice: with the model's bytes for `dipper`, with none for `dipper-bare` and for a
 * build without a model. The library carries neither.
 */
#ifndef EMBED_EMBEDDED_MODEL_H
#define EMBED_EMBEDDED_MODEL_H

#include "base/span.h"

/* 64-byte aligned; between the two symbols. */
extern const uint8_t embedded_model_begin[], embedded_model_end[];

/* The packed model's bytes; empty when this program carries none. */
static inline struct span embedded_model_bytes(void)
{
    return span_of(embedded_model_begin, (size_t)(embedded_model_end - embedded_model_begin));
}

#endif
