/* embed/model_dir.h: finds the folder of a model. */
#ifndef EMBED_MODEL_DIR_H
#define EMBED_MODEL_DIR_H

#include "base/arena.h"
#include "base/error.h"

/* `path` itself when it is a folder; otherwise the snapshot of the model named `path` in the offline hub
 * cache: $HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub. A name without an organisation is
 * looked up as sentence-transformers/NAME. The answer and the model's name live in the arena: the last part of the path;
 * of a model of the hub, also by the path of its snapshot, "org/name", or "name" of sentence-transformers' own. */
enum dp_status model_dir_find(const char *path, struct arena *arena, const char **folder, const char **name,
                              struct dp_error *error);

/* Where that cache is, whether or not it is there; in the arena. NULL: no memory. */
const char *model_dir_hub(struct arena *arena);

/* The models in the cache that have a snapshot, by name ("org/name"), sorted. None where there is no cache. */
enum { MODEL_DIR_NAMES_MAX = 1000 };
enum dp_status model_dir_list_hub(struct arena *arena, const char ***names, size_t *count, struct dp_error *error);

/* The folders in `folder` that have a config.json, by path, sorted. */
enum dp_status model_dir_list(const char *folder, struct arena *arena, const char ***paths, size_t *count,
                              struct dp_error *error);

#endif
