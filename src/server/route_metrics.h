/* server/route_metrics.h: counts the requests of each route by outcome, and measures their time. */
#ifndef SERVER_ROUTE_METRICS_H
#define SERVER_ROUTE_METRICS_H

#include "base/metrics.h"
#include "server/routes.h"

enum { STATUS_CLASSES = 3 }; /* below 400, 4xx, 5xx */

/* The metrics of one route. */
struct route_metrics {
    struct metric *requests[STATUS_CLASSES];
    struct metric *seconds;
};

/* Makes an array of ROUTE_COUNT + 1 structs; the last one is for requests without a route. The caller frees it
 * with mem_free. */
enum dp_status route_metrics_new(struct metric_registry *registry, struct route_metrics **out,
                                 struct dp_error *error);
/* Counts a request that took `seconds`. route NULL: the request had no route. */
void route_metrics_count(struct route_metrics *all, const struct route *route, unsigned status, double seconds);

#endif
