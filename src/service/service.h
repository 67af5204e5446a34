/* service/service.h: the functions of the product, independent of any transport. They take request structs and
 * fill response structs.
 *
 * A service owns the model, the store and the compute team of a process, the open namespaces (a bounded cache)
 * and the registry of metrics. Results live in the call's arena; costs are in the call. All functions but
 * service_new and service_free are thread-safe. Functions that take a call may block, so only request threads
 * call them. The exception is service_embed_cached, which never waits.
 *
 * Each function that takes a call asks its gate (os/gate.h). A function that touches a namespace or an open index
 * fails with DP_DENIED when the gate refuses that name. A function that embeds fails with DP_OVERLOADED when the
 * gate refuses to count its texts.
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "base/metrics.h"
#include "embed/prompts.h"
#include "embed/redis_cache.h"
#include "embed/vector_cache.h"
#include "index/index.h"
#include "os/call.h"
#include "os/gate.h"
#include "os/team.h"
#include "service/upkeep.h"
#include "store/store.h"

struct model;
struct service;
struct indexes_options;  /* service/indexes.h */
struct aggregate_answer; /* service/aggregate.h */

enum {
    SERVICE_BATCH_MAX = 2048, /* maximum inputs of one embedding request */
    /* maximum inputs of service_embed_cached: to print more takes too long for an I/O thread */
    SERVICE_AT_ONCE_MAX = 16,
    SERVICE_READERS_MAX = 64,     /* maximum number of open namespaces, unless the options set one */
    SERVICE_NAMES_MAX = 1000,     /* maximum namespaces in one page of a listing */
    SERVICE_STALENESS_MAX_S = 60, /* maximum age of an eventual answer, in seconds, unless the request sets one */
};

/* Options of the cache of computed vectors. Without the cache, simultaneous requests for one text each compute
 * its vector. */
struct embed_cache_options {
    bool enabled;
    size_t vectors;                   /* maximum vectors in the memory tier */
    uint64_t bytes;                   /* maximum bytes in the memory tier */
    struct redis_cache_options redis; /* the second tier; without URLs there is no second tier */
};

/* The models that a service can open by name. Place 0 is the default model. */
struct model_sources {
    size_t count;             /* 0: none */
    const struct span *names; /* [count]: names in requests; only the default may have an empty name; copied */
    enum dp_status (*open)(void *context, size_t place, struct model **out, struct dp_error *error);
    void (*free)(void *context); /* NULL: nothing to free */
    void *context;               /* owned, even after a failure */
    uint64_t memory_max;         /* maximum bytes of all open models; 0: no limit */
};

struct service_options {
    struct model *model;                   /* the default model; owned, even after a failure */
    struct model_sources sources;          /* models that requests name, and the default one if `model` is NULL */
    struct store *store;                   /* owned, even after a failure; NULL: no namespaces */
    struct model *borrowed_model;          /* in place of `model`: must outlive the service */
    unsigned threads;                      /* number of compute workers; 0: one for each processor */
    struct team *borrowed_team;            /* in place of `threads`: must outlive the service */
    size_t readers_max;                    /* maximum open namespaces; 0: SERVICE_READERS_MAX */
    size_t batch_max;                      /* maximum inputs of one embedding request; 0: SERVICE_BATCH_MAX */
    uint32_t max_tokens;                   /* maximum tokens of one text, if below the model's; 0: the model's */
    const struct indexes_options *indexes; /* FAISS files that clients may open; NULL: none */
    const struct span *model_aliases;      /* more names of the model; copied */
    size_t model_alias_count;
    struct embed_cache_options cache;
    enum upkeep_scope upkeep; /* which namespaces the service looks after in the background */
    bool token_input;         /* clients may send the model's token ids in place of texts */
};

enum dp_status service_new(const struct service_options *options, struct service **out, struct dp_error *error);
void service_free(struct service *service); /* NULL is fine; no call may be in progress */

struct metric_registry *service_metrics(struct service *service);
struct team *service_team(struct service *service);
struct store *service_store(struct service *service); /* NULL: none */

/* ---- embedding -------------------------------------------------------------------------------------- */

/* Facts about a model that clients may know. */
struct service_model {
    struct span name;        /* "all-MiniLM-L6-v2" */
    struct span fingerprint; /* hexadecimal */
    uint32_t dim;
    uint32_t max_tokens; /* maximum tokens of one text, with special tokens */
    int64_t loaded_s;    /* Unix time of loading, seconds; 0: the model is not open, and only its name is known */
    const char *engine;  /* "native int8" */
    uint64_t memory;     /* bytes of its weights */
};
/* These functions describe the default model, the one at a place (0 is the default), or the one with a name. They open
 * no model, and never wait. False: there is none, or no memory is left. */
bool service_model(struct service *service, struct arena *arena, struct service_model *out);
bool service_model_at(struct service *service, size_t place, struct arena *arena, struct service_model *out);
bool service_model_named(struct service *service, struct span name, struct arena *arena,
                         struct service_model *out);
bool service_has_model(const struct service *service);
/* Describes the model with this name (empty: the default one), which it opens if necessary. DP_NOT_FOUND: there is none;
 * DP_UNAVAILABLE: it cannot be opened. */
enum dp_status service_open_model(struct call *call, struct service *service, struct span name,
                                  struct service_model *out);

/* A model that a reload has opened. */
struct model_change {
    struct service_model after;
    struct span before; /* fingerprint of the version before; empty: none was open */
    int64_t ms;         /* time to open and test it */
};
/* Opens the files of the model with this name (empty: of all open models) again, and replaces the version that serves
 * if the new one passes its test. Requests in progress keep the version that they began with. *changes lists the
 * models that were replaced, also after a failure. DP_CONFLICT: a model cannot be opened or fails its test, and its old
 * version goes on serving; DP_NOT_FOUND: there is no such model; DP_UNSUPPORTED: the model has no files. */
enum dp_status service_reload_models(struct call *call, struct service *service, struct span name,
                                     struct model_change **changes, size_t *count);
/* Ends reloads because the process is about to end: those that wait, and all later ones, fail with DP_UNAVAILABLE. A
 * version that is being opened is not interrupted. Any thread. */
void service_end_reloads(struct service *service);

/* Returns whether clients may send token ids in place of texts. */
bool service_takes_tokens(const struct service *service);

/* A text, or token ids that the client made. */
struct embed_input {
    struct span text;
    const int32_t *ids; /* NULL: embeds `text`. The service adds missing special tokens. */
    size_t id_count;
};

struct embed_request {
    struct span model; /* name; empty: the default model */
    const struct embed_input *inputs;
    size_t count;        /* 1..batch_max */
    enum text_kind kind; /* decides which of the model's prompts precedes each text */
    bool normalize;      /* scales vectors to unit length; false: keeps the pooled vectors */
    bool refuse_long;    /* a text over the model's limit fails with DP_TOO_LARGE instead of being cut */
    uint32_t dimensions; /* keeps this many leading numbers of each vector; 0: all */
    /* The form in which the caller prints vectors. The cache also keeps this form of repeatedly requested
     * vectors. */
    enum vector_form form;
};

struct embed_item {
    uint32_t tokens; /* number of embedded tokens, with special tokens */
    uint32_t total;  /* number of tokens of the whole text */
    bool truncated;
    bool cached;
};

struct embed_response {
    const float *vectors; /* float[count][dim]; undefined where `texts` has a printed vector */
    /* [count]: printed vectors in the request's form. An element with data NULL has none, so the caller prints
     * the vector. NULL: no vector is printed. */
    const struct span *texts;
    const struct embed_item *items;
    uint32_t dim;
    uint64_t tokens;
    size_t truncated;  /* number of truncated items */
    struct span model; /* name of the model, in the call's arena */
};

/* Embeds the inputs. DP_INVALID: no input, too many, an empty text, token ids where they are not allowed, an
 * unknown token, dimensions out of range; DP_TOO_LARGE: see refuse_long; DP_UNSUPPORTED: no model is loaded;
 * DP_NOT_FOUND: no model has this name. */
enum dp_status service_embed(struct call *call, struct service *service, const struct embed_request *request,
                             struct embed_response *response);

/* The outcome of service_embed_cached. */
enum embed_cached {
    EMBED_NOT_CACHED, /* a vector is missing, the request is invalid or large, or the gate would have to wait */
    EMBED_CACHED,     /* the response is complete */
    EMBED_REFUSED,    /* the cache has every vector, but the call's gate refuses to count the texts */
};

/* Answers a request of at most SERVICE_AT_ONCE_MAX inputs if the memory tier of the cache has all their
 * vectors. Never waits and sets no error, so I/O threads may call it. */
enum embed_cached service_embed_cached(struct call *call, struct service *service,
                                       const struct embed_request *request, struct embed_response *response);

/* ---- searching -------------------------------------------------------------------------------------- */

/* What orders the rows of an answer. QUERY_NEAREST: the distance to a vector, among the rows of the probed lists.
 * QUERY_EXACT: the distance to a vector, among all rows. QUERY_ORDERED: the values of attributes. QUERY_SCORED: a
 * score, the largest first. QUERY_AGGREGATED: nothing, the answer has aggregates in place of rows. */
enum query_rank { QUERY_NEAREST, QUERY_EXACT, QUERY_ORDERED, QUERY_SCORED, QUERY_AGGREGATED };

/* An attribute that orders rows behind others. */
struct query_order {
    struct span attribute;
    bool descending;
};
enum { QUERY_ORDERS_MAX = 8 };

/* A value that is computed for each row of the answer: its label, and a score expression (index/rank.h), a VectorDist
 * or a Highlight (service/compute.h) as JSON. */
struct query_compute {
    struct span label, expression;
};
enum { QUERY_COMPUTES_MAX = 256 };

struct query_request {
    struct span namespace;
    struct index_query rows; /* vector NULL: the service embeds `text` */
    struct span text;
    struct span model; /* of `text`; empty: the model that made the vectors, else the default one */
    enum query_rank rank;
    /* The attribute whose vectors are compared, or whose values order the rows; empty: "vector". */
    struct span rank_attribute;
    bool descending;
    const struct query_order *orders; /* [order_count]: several attributes in place of rank_attribute */
    size_t order_count;
    struct span score;      /* of QUERY_SCORED: an expression as JSON (index/rank.h) */
    const struct span *per; /* [per_count]: the answer has at most per_limit rows of each tuple of values */
    size_t per_count;
    uint32_t per_limit;
    const struct query_compute
        *computes; /* [compute_count]: what each row of the answer has beside its attributes */
    size_t compute_count;
    const struct aggregate_request *aggregate; /* of QUERY_AGGREGATED; service/aggregate.h */
    struct span filters;                       /* a filter as JSON; empty: none */
    bool with_vectors;                         /* the answer has the rows' vectors */
    uint32_t staleness_s; /* maximum age of an eventual answer, seconds; 0: SERVICE_STALENESS_MAX_S */
    bool check_metric;    /* fails with DP_INVALID unless the namespace has `metric` */
    enum index_metric metric;
};

struct query_response {
    struct index_answer answer;
    struct aggregate_answer *aggregates; /* of QUERY_AGGREGATED, in the call's arena */
    uint32_t dim;                        /* of the rows' vectors */
    int64_t total_ns; /* duration of service_query; the call's costs say how long its stages took */
};

/* Searches a namespace. DP_NOT_FOUND: no such namespace; DP_INVALID: a bad name, vector or text;
 * DP_UNSUPPORTED: a text without a loaded model, or a namespace of another model. */
enum dp_status service_query(struct call *call, struct service *service, const struct query_request *request,
                             struct query_response *response);

/* Whether the namespace, in the state that is open, has vectors that those of the loaded model may be
 * compared with, and whether text indexes answer rankings by the words of its
 * attribute "text". Opens the namespace if it is not open. */
enum dp_status service_lanes_of(struct call *call, struct service *service, struct span namespace, bool *meaning,
                                bool *words);

/* Answers several queries of one namespace, side by side (os/lanes.h): their reads take the same rounds. Each sees
 * the newest state of the namespace. If another call writes meanwhile, one query may see the write and another not. */
enum dp_status service_queries(struct call *call, struct service *service, const struct query_request *requests,
                               size_t count, struct query_response *responses);

/* Lists at most `max` names that begin with `prefix` and sort after `after` (the last name of the page before, or
 * empty). */
enum dp_status service_namespaces(struct call *call, struct service *service, struct span prefix,
                                  struct span after, size_t max, struct index_names *out);

struct namespace_info {
    struct index_stats stats;
    struct span schema; /* a JSON object in turbopuffer's shape */
    bool words;         /* text indexes answer rankings by the words of its attribute "text" */
    bool external;      /* a FAISS file has its vectors */
    bool meaning;       /* it has vectors, and a vector of the loaded model may be compared with them */
};
/* Describes the newest state of a namespace. `use`: the right that the client needs: GATE_WRITE if the description
 * answers the client's own change. */
enum dp_status service_namespace_info(struct call *call, struct service *service, enum gate_use use,
                                      struct span namespace, struct namespace_info *out);

/* Opens the namespace, so that its first query is fast. */
enum dp_status service_warm(struct call *call, struct service *service, struct span namespace);

#endif
