/* capi/default_model.h: finds the model that comes with Dipper. */
#ifndef CAPI_DEFAULT_MODEL_H
#define CAPI_DEFAULT_MODEL_H

#include "embed/model.h"

/* Opens the model that is linked into this program. If none is linked, opens the first packed model that
 * exists: beside the library, in the data folder that belongs to the library's folder, or in the configured
 * data folder.
 *
 * DP_NOT_FOUND: none exists; DP_UNSUPPORTED: the linked model has int8 weights only; or as model_open_dir. */
enum dp_status default_model_open(enum model_precision precision, struct model **out, struct dp_error *error);

#endif
