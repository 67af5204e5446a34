/* embed/embedded_model.h: the packed model that a program contains, if it contains one.
 *
 * The build assembles embedded_model.S twice: with the model's bytes for `dipper`, and without bytes for
 * `dipper-bare` and for a build that has no model. The library links neither object.
 */
#ifndef EMBED_EMBEDDED_MODEL_H
#define EMBED_EMBEDDED_MODEL_H

#include "base/span.h"

/* Start and end of the model's bytes, which are 64-byte aligned. Weak symbols: both are NULL in a program that
 * links neither object. */
extern const uint8_t embedded_model_begin[] __attribute__((weak)), embedded_model_end[] __attribute__((weak));

/* Returns the packed model's bytes; an empty span if this program contains no model. */
static inline struct span embedded_model_bytes(void)
{
    return span_of(embedded_model_begin, (size_t)(embedded_model_end - embedded_model_begin));
}

#endif
