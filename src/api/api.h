/* api/api.h: the dialects. Each translates its clients' JSON into service structs and back, and writes errors in their
 * shape. Handlers block as the service does, so the server runs them on request threads.
 */
#ifndef API_API_H
#define API_API_H

#include "api/http.h"
#include "service/service.h"

struct api_context {
    struct service *service;
    const _Atomic bool *draining; /* true: the process is ending; NULL: never */
    bool needs_model;             /* without a model the server is not ready */
};

/* Answers the request. Errors become answers too. */
typedef void (*api_handler)(struct call *call, const struct api_context *api, const struct http_request *request,
                            struct http_response *response);

/* Answers if that needs no waiting. Otherwise it does nothing and returns false, and the server runs the handler.
 * When the call's gate (os/gate.h) refuses, the server answers in the dialect's shape. */
typedef bool (*api_attempt)(struct call *call, const struct api_context *api, const struct http_request *request,
                            struct http_response *response);

/* How a dialect writes errors. Both functions replace the content of the response. `code` is a short name
 * ("not_found"). */
struct api_dialect {
    const char *name; /* in metrics and logs */
    void (*error)(struct http_response *response, unsigned status, const char *code, const char *message);
    /* Writes the error of a reached limit, which ends at reset_at ("2026-12-01T00:00:00Z"). NULL: uses `error`. */
    void (*limited)(struct http_response *response, unsigned status, const char *code, const char *message,
                    const char *reset_at);
};

extern const struct api_dialect api_fastembed; /* also for health and unknown paths */
extern const struct api_dialect api_openai;
/* Writes FastEmbed's shape of errors, for dialects without their own: {"error": code, "message": sentence}. */
void api_fastembed_error(struct http_response *response, unsigned status, const char *code, const char *message);
extern const struct api_dialect api_turbopuffer;
extern const struct api_dialect api_faiss;
extern const struct api_dialect api_admin;

/* Answers with the call's error, in the dialect's shape. */
void api_fail(const struct call *call, const struct api_dialect *dialect, struct http_response *response);
/* Completes an answer whose JSON has been written. Answers with an error if the JSON was too large. */
void api_finish(struct call *call, const struct api_dialect *dialect, struct http_response *response);
/* Returns the error code of an HTTP status: "invalid_request", "not_found", … A 503 has one of two codes: "overloaded" if
 * this server has too much to do or too little memory, "unavailable" if something else that the request needs is
 * missing, such as the store. `why` decides that. */
const char *api_error_code(unsigned status, enum dp_status why);

/* Serves operators: opens models again. */
void admin_reload_models(struct call *, const struct api_context *, const struct http_request *,
                         struct http_response *);

/* /v1/embed and /v1/embed/batch */
void fastembed_embed(struct call *, const struct api_context *, const struct http_request *,
                     struct http_response *);

bool fastembed_embed_cached(struct call *, const struct api_context *, const struct http_request *,
                            struct http_response *);

void openai_embeddings(struct call *, const struct api_context *, const struct http_request *,
                       struct http_response *);
bool openai_embeddings_cached(struct call *, const struct api_context *, const struct http_request *,
                              struct http_response *);
void openai_models(struct call *, const struct api_context *, const struct http_request *, struct http_response *);
void openai_model(struct call *, const struct api_context *, const struct http_request *, struct http_response *);

/* /v1/indexes: open an index, list all, describe one, close, search */
void faiss_open(struct call *, const struct api_context *, const struct http_request *, struct http_response *);
void faiss_list(struct call *, const struct api_context *, const struct http_request *, struct http_response *);
void faiss_describe(struct call *, const struct api_context *, const struct http_request *,
                    struct http_response *);
void faiss_close(struct call *, const struct api_context *, const struct http_request *, struct http_response *);
void faiss_search_index(struct call *, const struct api_context *, const struct http_request *,
                        struct http_response *);

void turbopuffer_query(struct call *, const struct api_context *, const struct http_request *,
                       struct http_response *);
void turbopuffer_namespaces(struct call *, const struct api_context *, const struct http_request *,
                            struct http_response *);
void turbopuffer_metadata(struct call *, const struct api_context *, const struct http_request *,
                          struct http_response *);
void turbopuffer_schema(struct call *, const struct api_context *, const struct http_request *,
                        struct http_response *);
void turbopuffer_warm(struct call *, const struct api_context *, const struct http_request *,
                      struct http_response *);
void turbopuffer_explain(struct call *, const struct api_context *, const struct http_request *,
                         struct http_response *);
void turbopuffer_recall(struct call *, const struct api_context *, const struct http_request *,
                        struct http_response *);
/* Requests that change a namespace. */
void turbopuffer_write(struct call *, const struct api_context *, const struct http_request *,
                       struct http_response *);
void turbopuffer_delete(struct call *, const struct api_context *, const struct http_request *,
                        struct http_response *);
void turbopuffer_change_metadata(struct call *, const struct api_context *, const struct http_request *,
                                 struct http_response *);
void turbopuffer_change_schema(struct call *, const struct api_context *, const struct http_request *,
                               struct http_response *);

#endif
