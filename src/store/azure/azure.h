/* azure.h: the parts that the files of the Azure Blob store (store/azure/) share; private to this room.
 *
 * A root is az://container/prefix or abfss://container@account.dfs.core.windows.net/prefix; an object is the block
 * blob whose name is the prefix, '/' and its key. Only the atomics below change after the store is open, so any
 * thread may use it.
 */
#ifndef STORE_AZURE_H
#define STORE_AZURE_H

#include "base/arena.h"
#include "store/azure/connection.h"
#include "store/azure/shared_key.h"
#include "store/azure/tokens.h"
#include "store/http/fetch.h"
#include "store/implement.h"

enum {
    AZURE_NAME_MAX = 1024,       /* characters of a blob's name */
    AZURE_BLOCK_BYTES = 8 << 20, /* bytes of a block of an upload */
    AZURE_BLOCKS_MAX = 50000,
    AZURE_PARAMETERS_MAX = 8,
    AZURE_URL_MAX = 16 << 10,
    AZURE_ANSWER_MAX = 16 << 20, /* bytes of a listing: at most 5,000 names */
    AZURE_PAGE_MAX = 5000
};

struct azure_store {
    struct store base;
    struct http_source source; /* for reads */
    struct range_limits limits;
    struct azure_tokens *tokens; /* AZURE_TOKEN only */
    _Atomic int conditions;      /* enum store_conditions (store/conditions.h) */
    /* Texts live in the arena. */
    struct arena arena;
    struct azure_connection connection;
    struct span container, prefix; /* the prefix is empty or ends in '/' */
    struct span origin;            /* "https://account.blob.core.windows.net" */
    struct span base_path;         /* before names, percent-encoded: "/container/", or "/account/container/" */
    const char *root;              /* for messages: "az://container/prefix" */
};

static inline struct azure_store *azure_of(struct store *store)
{
    return (struct azure_store *)store;
}

/* Opens a container, or the part of it below a prefix. `name` is the root behind "://", `scheme` what stands before.
 * `settings`: NULL is fine. */
enum dp_status store_azure_open(struct call *call, const char *scheme, struct span name,
                                const struct store_options *options, const struct azure_settings *settings,
                                struct store **out);

/* ---- requests (azure/request.c) ---------------------------------------------------------------------- */

/* The data that sign a request: `ctx` of the transport's request. Lives in the call's arena. */
struct azure_request {
    struct azure_store *azure;
    struct span key;  /* name of the object below the root; empty: the container itself */
    struct span path; /* of the URL, percent-encoded */
    struct azure_parameter query[AZURE_PARAMETERS_MAX];
    size_t query_count;
    uint64_t token; /* serial number of the token of the last try */
};

/* Makes `req` a request for the object `key` (empty: the container itself) with these query parameters; each try
 * signs it. The caller may set the method, the body, headers and other options before or after this call. */
enum dp_status azure_request(struct call *call, struct azure_store *azure, struct span key,
                             const struct azure_parameter *query, size_t query_count,
                             struct transport_request *req);
/* Prepares a read: the `aim` function of struct http_source. */
enum dp_status azure_aim(struct http_source *source, struct call *call, struct span key,
                         struct transport_request *req);
/* Sends one request. DP_OK: an answer came, whatever its code. */
enum dp_status azure_send(struct call *call, struct azure_store *azure, struct transport_request *req);

/* ---- errors (azure/error.c) -------------------------------------------------------------------------- */

/* Explains an answer that is not a success. */
enum dp_status azure_explain(struct http_source *source, struct call *call, const struct transport_request *req,
                             struct dp_error *error);
/* Returns the name of the answer's error, or an empty span. */
struct span azure_error_code(struct call *call, const struct transport_request *req);
/* Judges whether an answer is final. */
enum http_verdict azure_inspect(struct call *call, struct transport_request *req);

/* ---- the rest of the contract ------------------------------------------------------------------------- */

/* Tests once whether the store honours conditions; DP_UNSUPPORTED if it does not. */
enum dp_status azure_conditions(struct call *call, struct azure_store *azure);

enum dp_status azure_put(struct call *call, struct store *store, struct store_put *put);
enum dp_status azure_remove(struct call *call, struct store *store, struct span key);
/* Judges the answer to a put, or to the completion of an upload. */
enum dp_status azure_judge_put(struct call *call, struct azure_store *azure, struct store_put *put,
                               const struct transport_request *req);
enum dp_status azure_list(struct call *call, struct store *store, struct span prefix, struct span after,
                          bool folders, size_t max, struct store_listing *out);
enum dp_status azure_upload_begin(struct call *call, struct store *store, struct span key,
                                  struct store_upload **out);
enum dp_status azure_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version);
void azure_upload_abort(struct store_upload *upload);

#endif
