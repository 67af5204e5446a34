/* server/embed_metrics.h: metrics of requests for embeddings, of all dialects. */
#ifndef SERVER_EMBED_METRICS_H
#define SERVER_EMBED_METRICS_H

#include "api/http.h"
#include "base/metrics.h"

enum { EMBED_STATUSES = 14, EMBED_ERROR_TYPES = 16 };

struct embed_metrics {
    struct metric *fresh[EMBED_STATUSES]; /* by status; the last for all others */
    struct metric *cached;                /* 200, every vector from the cache */
    struct metric *seconds;
    struct metric *errors[EMBED_ERROR_TYPES]; /* by code; the last for all others */
};

enum dp_status embed_metrics_add(struct embed_metrics *m, struct metric_registry *registry,
                                 struct dp_error *error);
/* Counts one answer and the cost of its call. */
void embed_metrics_count(struct embed_metrics *m, const struct http_response *response,
                         const struct call_cost *cost, double seconds);

#endif
