/* embed/native/native_engine.h: makes an engine of our own encoder. */
#ifndef EMBED_NATIVE_ENGINE_H
#define EMBED_NATIVE_ENGINE_H

#include "embed/native/encoder.h"

/* Makes the engine. The encoder must outlive it. DP_NOMEM. */
enum dp_status native_engine_new(const struct encoder *encoder, struct engine **out, struct dp_error *error);

#endif
