/* service/served_model.h: a model that answers requests: its embedder, its names, and what begins its cache keys.
 *
 * Counted: whoever embeds holds one of its references, so a service may let go of a model while requests still use it.
 * Nothing but the count changes after served_model_new; the embedder has locks of its own. The vectors' cache belongs to
 * the service, because models may share it: its keys name the model.
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
    bool is_borrowed; /* `model` outlives this */
    struct embedder *embedder;
    const struct tokenizer *tokenizer;
    struct service_model facts;
    struct span *aliases; /* the array's allocation also holds their bytes */
    size_t alias_count;
    /* The special tokens that frame a text: first those before it, then those behind it. */
    int32_t special[SERVED_SPECIAL_MAX];
    size_t special_before, special_count;
    struct sha256_state key_prefix; /* state after hashing the model's part of a cache key */
};

/* Wraps the options' model with one reference. Takes over options->model, also on failure. `team` must outlive it.
 * DP_INVALID: the options leave no room for a text's tokens; DP_UNSUPPORTED: too many special tokens. */
enum dp_status served_model_new(const struct service_options *options, struct team *team,
                                struct served_model **out, struct dp_error *error);
struct served_model *served_model_retain(struct served_model *m); /* NULL is fine */
void served_model_release(struct served_model *m);                /* NULL is fine; the last one frees the model */

/* Whether the model answers to this name: its own, an alias, or the form with or without "org/". */
bool served_model_is(const struct served_model *m, struct span name);

/* Registers the embedder's metrics, and dipper_model_info. */
enum dp_status served_model_add_metrics(struct served_model *m, struct metric_registry *registry,
                                        struct dp_error *error);

/* service_embed with this model. */
enum dp_status served_model_embed(struct call *call, struct service *s, struct served_model *m,
                                  const struct embed_request *request, struct embed_response *response);

#endif
