/* server/embed_metrics.h: counts requests for embeddings of all dialects. */
#ifndef SERVER_EMBED_METRICS_H
#define SERVER_EMBED_METRICS_H

#include "api/http.h"
#include "base/metrics.h"

enum { EMBED_STATUSES = 14, EMBED_ERROR_TYPES = 17 };

/* The metrics, which the registry owns. */
struct embed_metrics {
    struct metric *fresh[EMBED_STATUSES];     /* by HTTP status; the last one counts all other statuses */
    struct metric *cached;                    /* status 200, and all vectors came from the cache */
    struct metric *seconds;                   /* duration of each request */
    struct metric *errors[EMBED_ERROR_TYPES]; /* by error code; the last one counts all other codes */
};

/* Adds the metrics to a registry. Fails with DP_NOMEM. */
enum dp_status embed_metrics_add(struct embed_metrics *m, struct metric_registry *registry,
                                 struct dp_error *error);
/* Counts one answer and the cost of its call. */
void embed_metrics_count(struct embed_metrics *m, const struct http_response *response,
                         const struct call_cost *cost, double seconds);

#endif
