/* embed/model_describe.h: what a model folder is, without opening its weights. */
#ifndef EMBED_MODEL_DESCRIBE_H
#define EMBED_MODEL_DESCRIBE_H

#include "base/arena.h"
#include "base/error.h"

struct model_description {
    const char *name, *folder;
    size_t dim;             /* 0: its files do not tell */
    size_t max_tokens;      /* likewise */
    struct dp_error native; /* why the native engine does not have it; DP_OK when it has */
    struct dp_error onnx;   /* the same of ONNX Runtime's, which also needs its library */
    const char *const *onnx_files;
    size_t onnx_file_count;
};

/* A folder, or a model's name in the offline hub cache; what is pointed to is in the arena. What an engine cannot do is
 * no failure. DP_NOT_FOUND, DP_NOMEM. */
enum dp_status model_describe(const char *path, struct arena *arena, struct model_description *out,
                              struct dp_error *error);

#endif
