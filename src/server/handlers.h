/* server/handlers.h: handlers of the server itself, which never block. */
#ifndef SERVER_HANDLERS_H
#define SERVER_HANDLERS_H

#include "api/api.h"

/* GET /health/live: 200 {"status":"ok"} as long as the process answers. */
void handle_live(struct call *, const struct api_context *, const struct http_request *, struct http_response *);
/* GET /health/ready: 200 {"status":"ok"}, or 503 when the process should get no requests: {"status":"draining"}
 * before it ends, {"status":"no_model"} while it lacks a model that it should have. */
void handle_ready(struct call *, const struct api_context *, const struct http_request *, struct http_response *);
/* GET /health: the answer of /health/ready, with the name of the model, and whether the server serves namespaces. */
void handle_health(struct call *, const struct api_context *, const struct http_request *, struct http_response *);
/* GET /metrics: the registry as Prometheus text (version 0.0.4). */
void handle_metrics(struct call *, const struct api_context *, const struct http_request *,
                    struct http_response *);
/* GET / and GET /assets/…: the search page, whose files are built into the program. */
void handle_page(struct call *, const struct api_context *, const struct http_request *, struct http_response *);

/* Appends the metrics of a registry and of the process as Prometheus text. */
void metrics_print(const struct metric_registry *registry, struct buffer *out);

/* A file of the page, made by scripts/embed-files at build time. */
struct page_file {
    const char *path; /* "/" or "/assets/…" */
    const char *content_type;
    const unsigned char *bytes;
    size_t len;
    const char *etag; /* with quotes; made from the content */
};
extern const struct page_file PAGE_FILES[];
extern const size_t PAGE_FILE_COUNT;

#endif
