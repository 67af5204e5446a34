/* service/service.h: what the product does, free of any transport: a request struct in, a response struct out.
 *
 * A service owns the model, the store and the compute team of a process, the open namespaces (a bounded cache)
 * and the registry of metrics. Results live in the call's arena; costs are in the call. All functions but
 * service_new and service_free are thread-safe; they may block, so only request threads call them.
 *
 * Names and texts are a client's as far as the call's gate says (os/gate.h): whatever touches a namespace or an open
 * index fails with DP_DENIED where the gate refuses it, and whatever embeds fails with DP_OVERLOADED where it may not
 * be paid.
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "base/metrics.h"
#include "embed/prompts.h"
#include "embed/redis_cache.h"
#include "embed/vector_cache.h"
#include "index/index.h"
#include "os/call.h"
#include "os/team.h"
#include "store/store.h"

struct model;
struct service;
struct indexes_options; /* service/indexes.h */

enum {
    SERVICE_BATCH_MAX = 2048,     /* inputs of one embedding request */
    SERVICE_AT_ONCE_MAX = 16,     /* inputs that service_embed_cached takes: printing many takes its time */
    SERVICE_READERS_MAX = 64,     /* open namespaces, unless set */
    SERVICE_NAMES_MAX = 1000,     /* namespaces of one page */
    SERVICE_STALENESS_MAX_S = 60, /* of an eventual query that names no limit of its own */
};

/* Vectors that requests have computed. Without a cache nothing is kept, and requests for one text at a time each compute
 * it. */
struct embed_cache_options {
    bool enabled;
    size_t vectors;                   /* maximum of the memory tier */
    uint64_t bytes;                   /* maximum of the memory tier */
    struct redis_cache_options redis; /* the second tier; no URLs: none */
};

struct service_options {
    struct model *model;          /* becomes the service's, even on failure; NULL: nothing can be embedded */
    struct store *store;          /* becomes the service's, even on failure; NULL: no namespaces */
    struct model *borrowed_model; /* instead of `model`: stays the caller's and outlives the service */
    unsigned threads;             /* of the compute team; 0: one a processor */
    struct team *borrowed_team;   /* instead of `threads`: the caller's, and outlives the service */
    size_t readers_max;           /* 0: SERVICE_READERS_MAX */
    size_t batch_max;             /* inputs of one embedding request; 0: SERVICE_BATCH_MAX */
    uint32_t max_tokens;          /* of one text; 0, or more than the model takes: the model's own limit */
    const struct indexes_options *indexes; /* of FAISS files that clients may open; NULL: none */
    const struct span *model_aliases;      /* more names the model answers to; copied */
    size_t model_alias_count;
    struct embed_cache_options cache;
    bool token_input; /* whether clients may send token ids of the model in place of texts */
};

enum dp_status service_new(const struct service_options *options, struct service **out, struct dp_error *error);
void service_free(struct service *service); /* NULL is fine; no call may be in progress */

struct metric_registry *service_metrics(struct service *service);
struct team *service_team(struct service *service);
struct store *service_store(struct service *service); /* NULL: none */

/* ---- embedding -------------------------------------------------------------------------------------- */

/* What clients may know of the loaded model. Spans live as long as the service. */
struct service_model {
    struct span name;        /* "all-MiniLM-L6-v2" */
    struct span fingerprint; /* hexadecimal */
    uint32_t dim;
    uint32_t max_tokens; /* of one text, special tokens included */
    int64_t loaded_s;    /* Unix time */
};
bool service_model(const struct service *service, struct service_model *out); /* false: none is loaded */
/* Whether the loaded model answers to this name. */
bool service_model_is(const struct service *service, struct span name);

/* Whether clients may send token ids in place of texts. */
bool service_takes_tokens(const struct service *service);

/* One thing to embed: a text, or tokens that the client made. */
struct embed_input {
    struct span text;
    const int32_t *ids; /* NULL: the text is meant. Without special tokens, these are added. */
    size_t id_count;
};

struct embed_request {
    const struct embed_input *inputs;
    size_t count;        /* 1..batch_max */
    enum text_kind kind; /* what the texts are for: which of the model's prompts is written before each */
    bool normalize;      /* to unit length; false: the pooled vector as it is */
    bool refuse_long;    /* a text over the model's limit fails with DP_TOO_LARGE instead of being cut */
    uint32_t dimensions; /* the first so many of each vector; 0: all */
    /* How the caller will print the vectors: the cache keeps those that are asked for again in this form too. */
    enum vector_form form;
};

struct embed_item {
    uint32_t tokens; /* that were embedded, special ones included */
    uint32_t total;  /* of the whole text */
    bool truncated;
    bool cached;
};

struct embed_response {
    const float *vectors; /* float[count][dim], but for those with a text */
    const struct span
        *texts; /* of the form that was asked for; [i].data NULL: print vector i. NULL: none has one */
    const struct embed_item *items;
    uint32_t dim;
    uint64_t tokens;
    size_t truncated; /* how many items are */
};

/* DP_INVALID: no input, too many, an empty text, token ids where they are not taken, a token the model does not know,
 * dimensions out of range;
 * DP_TOO_LARGE: see refuse_long; DP_UNSUPPORTED: no model is loaded. */
enum dp_status service_embed(struct call *call, struct service *service, const struct embed_request *request,
                             struct embed_response *response);

/* What the cache's memory alone can answer. */
enum embed_cached {
    EMBED_NOT_CACHED, /* a vector is missing, the request has a fault or many inputs, or to know takes waiting */
    EMBED_CACHED,     /* answered */
    EMBED_REFUSED,    /* every vector is there, but the call's gate refuses to count them */
};

/* Answers a request of at most SERVICE_AT_ONCE_MAX inputs whose vectors all lie in the memory tier of the cache. Never
 * waits, and fills no error: for the threads of the server's I/O. */
enum embed_cached service_embed_cached(struct call *call, struct service *service,
                                       const struct embed_request *request, struct embed_response *response);

/* ---- searching -------------------------------------------------------------------------------------- */

struct query_request {
    struct span namespace;
    struct index_query rows; /* vector NULL: the text is embedded */
    struct span text;
    uint32_t staleness_s; /* how old an eventual answer may be; 0: SERVICE_STALENESS_MAX_S */
    bool check_metric;    /* fail with DP_INVALID unless the namespace measures by `metric` */
    enum index_metric metric;
};

struct query_response {
    struct index_answer answer;
    int64_t total_ns; /* from entering service_query; the stages are in the call's costs */
};

/* DP_NOT_FOUND: no such namespace; DP_INVALID: a bad name, vector or text; DP_UNSUPPORTED: a text without a
 * model, or a namespace of another model. */
enum dp_status service_query(struct call *call, struct service *service, const struct query_request *request,
                             struct query_response *response);

/* Names that begin with `prefix` and sort after `after` (a page's last name, or empty), at most `max`. */
enum dp_status service_namespaces(struct call *call, struct service *service, struct span prefix,
                                  struct span after, size_t max, struct index_names *out);

struct namespace_info {
    struct index_stats stats;
    struct span schema; /* a JSON object in turbopuffer's shape */
};
enum dp_status service_namespace_info(struct call *call, struct service *service, struct span namespace,
                                      struct namespace_info *out);

/* Opens the namespace, so that its first query finds it warm. */
enum dp_status service_warm(struct call *call, struct service *service, struct span namespace);

#endif
