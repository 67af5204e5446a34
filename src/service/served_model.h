/* service/served_model.h: a model that answers requests, with its embedder, its names and the start of its cache
 * keys.
 *
 * It counts its references. Each request that embeds holds one, so a service may release a model while requests
 * still use it. After served_model_new only the count changes; the embedder has its own locks. The embedding
 * cache belongs to the service, because several models may share it: a cache key names its model.
 */
#ifndef SERVICE_SERVED_MODEL_H
#define SERVICE_SERVED_MODEL_H

#include "embed/embedder.h"
#include "embed/model.h"
#include "embed/tokenizer.h"
#include "embed/vector_cache.h"
#include "service/service.h"

enum { SERVED_SPECIAL_MAX = 8 };

struct served_model {
    _Atomic size_t references;
    struct model *model;
    bool is_borrowed; /* the caller owns `model`, which outlives this struct */
    struct embedder *embedder;
    const struct tokenizer *tokenizer;
    struct service_model facts;
    struct span *aliases; /* one allocation holds the array and the names' bytes */
    size_t alias_count;
    /* The special tokens that frame a text: first those before it, then those behind it. */
    int32_t special[SERVED_SPECIAL_MAX];
    size_t special_before, special_count;
    struct sha256_state key_prefix; /* SHA-256 state after the model's part of a cache key */
};

/* Wraps the options' model with one reference. Takes over options->model, also on failure. `team` must outlive it.
 * DP_INVALID: the options leave no room for a text's tokens; DP_UNSUPPORTED: too many special tokens. */
enum dp_status served_model_new(const struct service_options *options, struct team *team,
                                struct served_model **out, struct dp_error *error);
struct served_model *served_model_retain(struct served_model *m); /* NULL is fine */
void served_model_release(struct served_model *m);                /* NULL is fine; the last one frees the model */

/* Returns whether the model has this name: the name in `facts`, an alias, or the form with or without "org/". */
bool served_model_is(const struct served_model *m, struct span name);

/* Registers the embedder's metrics, and dipper_model_info. */
enum dp_status served_model_add_metrics(struct served_model *m, struct metric_registry *registry,
                                        struct dp_error *error);
#endif
