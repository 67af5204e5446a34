/* embed/native/native_engine.h: our own encoder as an engine. */
#ifndef EMBED_NATIVE_ENGINE_H
#define EMBED_NATIVE_ENGINE_H

#include "embed/native/encoder.h"

/* The encoder must outlive the engine. DP_NOMEM. */
enum dp_status native_engine_new(const struct encoder *encoder, struct engine **out, struct dp_error *error);

#endif
