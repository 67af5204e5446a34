/* embed/model_describe.h: describes a model folder without opening its weights. */
#ifndef EMBED_MODEL_DESCRIBE_H
#define EMBED_MODEL_DESCRIBE_H

#include "base/arena.h"
#include "base/error.h"

struct model_description {
    const char *name, *folder;
    size_t dim;             /* 0: the files do not say */
    size_t max_tokens;      /* 0: the files do not say */
    struct dp_error native; /* why the native engine cannot run it, or DP_OK */
    struct dp_error onnx;   /* why ONNX Runtime cannot run it, or DP_OK if its library is there */
    const char *const *onnx_files;
    size_t onnx_file_count;
};

/* `path` is a folder or a model's name in the offline hub cache. Pointers lead into the arena. An engine that
 * cannot run the model is no failure. DP_NOT_FOUND, DP_NOMEM. */
enum dp_status model_describe(const char *path, struct arena *arena, struct model_description *out,
                              struct dp_error *error);

#endif
