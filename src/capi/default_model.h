/* capi/default_model.h: finds the model that comes with Dipper. */
#ifndef CAPI_DEFAULT_MODEL_H
#define CAPI_DEFAULT_MODEL_H

#include "embed/model.h"

/* Opens the model that is linked into this program, or else the first file there is: beside the library, in the data
 * folder beside the library's folder, in the configured data folder. DP_NOT_FOUND lists the files that were looked for;
 * else as model_open_dir. */
enum dp_status default_model_open(enum model_precision precision, struct model **out, struct dp_error *error);

#endif
