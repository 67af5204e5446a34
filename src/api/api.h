/* api/api.h: the dialects. Each turns its clients' JSON into service structs and back, and has its clients' shape
 * of errors. Handlers block as the service does, so the server runs them on request threads.
 */
#ifndef API_API_H
#define API_API_H

#include "api/http.h"
#include "service/service.h"

struct api_context {
    struct service *service;
    const _Atomic bool *draining; /* true: the process is about to end; NULL: never */
    bool needs_model;             /* not ready to be asked without a model */
};

/* Answers the request whatever happens: errors become answers too. */
typedef void (*api_handler)(struct call *call, const struct api_context *api, const struct http_request *request,
                            struct http_response *response);

/* Answers when that needs no waiting, or does nothing and answers false; then the handler is to be run. What the call's
 * gate refuses (os/gate.h) needs no answer of the handler's: the server makes it, in the dialect's shape. */
typedef bool (*api_attempt)(struct call *call, const struct api_context *api, const struct http_request *request,
                            struct http_response *response);

/* A dialect's shape of errors. Replaces what the response held. `code` is a short name ("not_found"). */
struct api_dialect {
    const char *name; /* of metrics and logs */
    void (*error)(struct http_response *response, unsigned status, const char *code, const char *message);
    /* The same of a limit that was reached, and when it is lifted ("2026-12-01T00:00:00Z"); NULL: no shape of its own. */
    void (*limited)(struct http_response *response, unsigned status, const char *code, const char *message,
                    const char *reset_at);
};

extern const struct api_dialect api_fastembed; /* also what is no client's own: health, unknown paths */
extern const struct api_dialect api_openai;
/* FastEmbed's shape of errors, for dialects that are no client's own: {"error": code, "message": sentence}. */
void api_fastembed_error(struct http_response *response, unsigned status, const char *code, const char *message);
extern const struct api_dialect api_turbopuffer;
extern const struct api_dialect api_faiss;

/* Answers with the call's error in the dialect's shape. */
void api_fail(const struct call *call, const struct api_dialect *dialect, struct http_response *response);
/* The code of an HTTP status: "invalid_request", "not_found", "overloaded", … */
const char *api_error_code(unsigned status);

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

/* /v1/indexes: open one, tell of all, of one, close, search */
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
/* Writes: answered with 400 and how rows come in instead. */
void turbopuffer_write(struct call *, const struct api_context *, const struct http_request *,
                       struct http_response *);

#endif
