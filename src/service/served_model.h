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

struct embedder_metrics;

enum { SERVED_SPECIAL_MAX = 8 };

/* How to make a served model. */
struct served_options {
    struct model *model;          /* owned, also after a failure */
    struct model *borrowed_model; /* in place of `model`: must outlive the served model */
    struct span name;             /* the name in requests and answers; empty: the model's own */
    const struct span *aliases;   /* [alias_count]: more names; copied */
    size_t alias_count;
    uint32_t max_tokens;                    /* maximum tokens of one text, if below the model's; 0: the model's */
    struct team *team;                      /* must outlive the served model */
    const struct embedder_metrics *metrics; /* NULL: none */
};

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

/* Wraps a model with one reference. DP_INVALID: the options leave no room for a text's tokens; DP_UNSUPPORTED: too many
 * special tokens. */
enum dp_status served_model_new(const struct served_options *options, struct served_model **out,
                                struct dp_error *error);
struct served_model *served_model_retain(struct served_model *m); /* NULL is fine */
void served_model_release(struct served_model *m);                /* NULL is fine; the last one frees the model */

/* Returns whether the model has this name: the name in `facts`, its own name, an alias, or the form of the first two
 * with or without "org/". */
bool served_model_is(const struct served_model *m, struct span name);
/* Returns whether `asked` is `name`, or its form with or without "org/". False for an empty name. */
bool served_name_is(struct span name, struct span asked);
/* Replaces the spans of some facts by copies in the arena. False: no memory. */
bool served_facts_copy(struct service_model *facts, struct arena *arena);

/* Embeds two sentences, and checks that their vectors are finite, have length 1 and differ. DP_CORRUPT: they do
 * not. */
enum dp_status served_model_test(struct call *call, struct served_model *m);
#endif
