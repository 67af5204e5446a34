/* service/models.h: the models of a service: the default one, and others that requests name.
 *
 * The default model is open for as long as the service. Another one is opened by the first request that names it. If
 * the open models then take more memory than the operator allows, those are closed that no request has used for
 * longest; the default model stays. A reload opens the files again beside the version that serves, tests the new
 * version, and puts it in the other's place. A request holds a reference to the version that it began with, so no
 * request sees both, and the memory of a version comes back after its last request.
 *
 * Only one model is opened at a time, so reloads queue up, and the end of a server does not wait for the queue. The lock
 * is a leaf: nobody opens or frees a model while holding it.
 */
#ifndef SERVICE_MODELS_H
#define SERVICE_MODELS_H

#include <pthread.h>

#include "index/index.h"
#include "service/served_model.h"

/* A model that the operator named. */
struct model_slot {
    struct span name; /* as the operator named it; empty: requests use the model's own name */
    /* The lock of `models` guards these fields. */
    struct served_model *current; /* a counted reference; NULL: not open */
    char fingerprint[65];         /* of the version that was open last; "": none was */
    int64_t used_ns;              /* when a request last used it */
    int64_t retry_ns;             /* before this time a broken model is not tried again */
    struct dp_error error;        /* why it could not be opened */
};

struct models {
    /* Not changed after models_init. */
    struct model_slot *slots; /* [count]; slot 0 is the default */
    size_t count;
    struct model_sources sources;
    struct served_options served; /* what all served models have in common */
    struct embedder_metrics embedder_metrics;
    struct metric *opened, *evicted, *reloaded, *refused;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* `opening` is false again */
    bool opening;           /* a thread opens a model */
    bool reloads_ended;     /* reloads that have not begun fail */
};

/* Opens the default model of the options and takes over options->model and the context of options->sources, also on
 * failure. The options may have no model: then every request for one fails. */
enum dp_status models_init(struct models *models, const struct service_options *options, struct team *team,
                           struct metric_registry *registry, struct dp_error *error);
void models_deinit(struct models *models); /* no thread may use the models; a zeroed struct is fine */

/* Each of these functions gives a reference, which the caller releases with served_model_release.
 * models_try: never waits. NULL: there is no such model, or it is not open. An empty name means the default model.
 * models_borrow: opens the model if necessary. DP_NOT_FOUND: no model has this name; DP_UNSUPPORTED: there is no model
 * at all; DP_UNAVAILABLE: the model cannot be opened, and call->retry_ns says when it is tried again.
 * models_borrow_for: the model that made the vectors of a namespace, or else the default one. */
struct served_model *models_try(struct models *models, struct span name);
enum dp_status models_borrow(struct call *call, struct models *models, struct span name,
                             struct served_model **out);
enum dp_status models_borrow_for(struct call *call, struct models *models, const struct index_vectors *vectors,
                                 struct served_model **out);

/* Describes a model without opening it; the spans are in the arena. False: there is none, or no memory is left. */
bool models_describe(struct models *models, size_t place, struct arena *arena, struct service_model *out);
/* Returns the place of the model with this name, or models->count. */
size_t models_place(struct models *models, struct span name);

/* Reloads the model with this name, or all open models if the name is empty. See service_reload. */
enum dp_status models_reload(struct call *call, struct models *models, struct span name,
                             struct model_change **changes, size_t *count);
/* Ends reloads, those that wait included. See service_end_reloads. */
void models_end_reloads(struct models *models);

#endif
