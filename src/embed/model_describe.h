/* embed/model_describe.h: describes a model folder without opening its weights. */
#ifndef EMBED_MODEL_DESCRIBE_H
#define EMBED_MODEL_DESCRIBE_H

#include "base/arena.h"
#include "base/error.h"

struct model_description {
    const char *name, *folder;
    size_t dim;             /* floats of a vector; 0: the files do not say */
    size_t max_tokens;      /* maximum tokens of a text; 0: the files do not say */
    struct dp_error native; /* the reason why the native engine cannot run the model, or DP_OK */
    struct dp_error onnx;   /* the reason why ONNX Runtime cannot run it, or DP_OK if its library is there */
    const char *const *onnx_files;
    size_t onnx_file_count;
};

/* Describes the model at `path`, a folder or a model's name in the offline hub cache. The pointers in *out lead
 * into the arena. Returns DP_OK even if no engine can run the model. DP_NOT_FOUND, DP_NOMEM. */
enum dp_status model_describe(const char *path, struct arena *arena, struct model_description *out,
                              struct dp_error *error);

#endif
