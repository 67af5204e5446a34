/* embed/model_dir.h: finds the folder of a model. */
#ifndef EMBED_MODEL_DIR_H
#define EMBED_MODEL_DIR_H

#include "base/arena.h"
#include "base/error.h"

/* `path` itself when it is a folder; otherwise the snapshot of the model named `path` in the offline hub
 * cache: $HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub. A name without an organisation is
 * looked up as sentence-transformers/NAME. The answer and the model's short name live in the arena. */
enum dp_status model_dir_find(const char *path, struct arena *arena, const char **folder, const char **name,
                              struct dp_error *error);

#endif
