/* embed/model_dir.h: finds the folder of a model. */
#ifndef EMBED_MODEL_DIR_H
#define EMBED_MODEL_DIR_H

#include "base/arena.h"
#include "base/error.h"

/* `path` itself when it is a folder; otherwise the snapshot of the model named `path` in the offline hub cache:
 * $HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub. A name without an organisation is looked up as
 * sentence-transformers/NAME. *folder and *name live in the arena. *name is the last part of the path; for a model
 * of the hub, even by its snapshot's path, it is "org/name", or "name" if the organisation is
 * sentence-transformers. */
enum dp_status model_dir_find(const char *path, struct arena *arena, const char **folder, const char **name,
                              struct dp_error *error);

/* The path of that cache, which need not exist; in the arena. NULL: no memory. */
const char *model_dir_hub(struct arena *arena);

/* Names ("org/name") of the models in the cache that have a snapshot, sorted. Empty without a cache. */
enum { MODEL_DIR_NAMES_MAX = 1000 };
enum dp_status model_dir_list_hub(struct arena *arena, const char ***names, size_t *count, struct dp_error *error);

/* Paths of the folders in `folder` that have a config.json, sorted. */
enum dp_status model_dir_list(const char *folder, struct arena *arena, const char ***paths, size_t *count,
                              struct dp_error *error);

#endif
