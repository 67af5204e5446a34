/* server/handlers.h: what the server answers of itself, without blocking. */
#ifndef SERVER_HANDLERS_H
#define SERVER_HANDLERS_H

#include "api/api.h"

/* GET /health/live: 200 {"status":"ok"} as long as the process answers. */
void handle_live(struct call *, const struct api_context *, const struct http_request *, struct http_response *);
/* GET /health/ready: 200 {"status":"ok"}, or 503 when no more requests should be sent here: {"status":"draining"}
 * when the process is about to end, {"status":"no_model"} when it has none and should. */
void handle_ready(struct call *, const struct api_context *, const struct http_request *, struct http_response *);
/* GET /health: the same, and what is served. */
void handle_health(struct call *, const struct api_context *, const struct http_request *, struct http_response *);
/* GET /metrics: the registry as Prometheus text (version 0.0.4). */
void handle_metrics(struct call *, const struct api_context *, const struct http_request *,
                    struct http_response *);
/* GET / and the files it needs, which are built into the program. */
void handle_page(struct call *, const struct api_context *, const struct http_request *, struct http_response *);

/* Appends a registry's metrics, and those of the process, as Prometheus text. */
void metrics_print(const struct metric_registry *registry, struct buffer *out);

/* A file of the page, made by scripts/embed-files at build time. */
struct page_file {
    const char *path; /* "/" or "/assets/…" */
    const char *content_type;
    const unsigned char *bytes;
    size_t len;
    const char *etag; /* quoted, from the content */
};
extern const struct page_file PAGE_FILES[];
extern const size_t PAGE_FILE_COUNT;

#endif
