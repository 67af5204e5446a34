/* server/route_metrics.h: how often each route was asked, how it ended, and how long that took. */
#ifndef SERVER_ROUTE_METRICS_H
#define SERVER_ROUTE_METRICS_H

#include "base/metrics.h"
#include "server/routes.h"

enum { STATUS_CLASSES = 3 }; /* below 400, 4xx, 5xx */

struct route_metrics {
    struct metric *requests[STATUS_CLASSES];
    struct metric *seconds;
};

/* Makes an array of ROUTE_COUNT + 1, to free with mem_free; the last is for requests without a route. */
enum dp_status route_metrics_new(struct metric_registry *registry, struct route_metrics **out,
                                 struct dp_error *error);
/* `route` NULL: none. */
void route_metrics_count(struct route_metrics *all, const struct route *route, unsigned status, double seconds);

#endif
