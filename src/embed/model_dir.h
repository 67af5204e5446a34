/* embed/model_dir.h: finds the folder of a model. */
#ifndef EMBED_MODEL_DIR_H
#define EMBED_MODEL_DIR_H

#include "base/arena.h"
#include "base/error.h"

/* Finds a model's folder. If `path` is a folder, *folder is `path`. Otherwise `path` is a model's name, and
 * *folder is the model's snapshot in the offline hub cache: $HF_HUB_CACHE, else $HF_HOME/hub, else
 * ~/.cache/huggingface/hub. A name without an organisation means sentence-transformers/NAME.
 *
 * *name is the last part of the path. But for a model in the hub cache, *name is "org/name", or "name" if the
 * organisation is sentence-transformers; this also holds if `path` is the path of its snapshot. *folder and *name
 * live in the arena. */
enum dp_status model_dir_find(const char *path, struct arena *arena, const char **folder, const char **name,
                              struct dp_error *error);

/* Returns the path of the hub cache, in the arena. The cache need not exist. Returns NULL if memory runs out. */
const char *model_dir_hub(struct arena *arena);

/* Lists the names ("org/name") of the models in the hub cache that have a snapshot, sorted. *count is 0 if there
 * is no cache. */
enum { MODEL_DIR_NAMES_MAX = 1000 };
enum dp_status model_dir_list_hub(struct arena *arena, const char ***names, size_t *count, struct dp_error *error);

/* Lists the paths of the folders in `folder` that have a config.json, sorted. */
enum dp_status model_dir_list(const char *folder, struct arena *arena, const char ***paths, size_t *count,
                              struct dp_error *error);

#endif
