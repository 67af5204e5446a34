/* embed/embedded_model.h: the packed model in the program, if it carries one.
 *
 * embedded_model.S is assembled twice: with the model's bytes for `dipper`, without bytes for `dipper-bare` and
 * for a build that has no model. The library has neither.
 */
#ifndef EMBED_EMBEDDED_MODEL_H
#define EMBED_EMBEDDED_MODEL_H

#include "base/span.h"

/* The bytes between the two symbols are 64-byte aligned. Weak: both are NULL in a program that links neither object. */
extern const uint8_t embedded_model_begin[] __attribute__((weak)), embedded_model_end[] __attribute__((weak));

/* The packed model's bytes; empty if this program carries none. */
static inline struct span embedded_model_bytes(void)
{
    return span_of(embedded_model_begin, (size_t)(embedded_model_end - embedded_model_begin));
}

#endif
