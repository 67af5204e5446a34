/* route_metrics.c: the HTTP metrics by route. */
#include "server/route_metrics.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static const char *const CLASSES[STATUS_CLASSES] = {"ok", "4xx", "5xx"};

static const char *pattern_of(size_t i)
{
    return i < ROUTE_COUNT ? ROUTES[i].pattern : "none";
}

/* Returns the first route with the pattern of route i, because the methods of a path share their metrics. */
static size_t first_of(size_t i)
{
    size_t first = 0;
    while (strcmp(pattern_of(first), pattern_of(i)) != 0)
        first++;
    return first;
}

enum dp_status route_metrics_new(struct metric_registry *registry, struct route_metrics **out,
                                 struct dp_error *error)
{
    char labels[METRIC_LABELS_MAX];
    struct route_metrics *all = mem_calloc(ROUTE_COUNT + 1, sizeof *all);
    bool good = all != NULL;
    /* The registry prints metrics in the order of their registration, so each family is registered as a whole. */
    for (size_t i = 0; good && i <= ROUTE_COUNT; i++)
        for (size_t c = 0; good && first_of(i) == i && c < STATUS_CLASSES; c++) {
            snprintf(labels, sizeof labels, "route=\"%s\",status=\"%s\"", pattern_of(i), CLASSES[c]);
            all[i].requests[c] = metric_counter(registry, "dipper_http_requests_total", labels, "HTTP requests.");
            good = all[i].requests[c] != NULL;
        }
    for (size_t i = 0; good && i <= ROUTE_COUNT; i++) {
        if (first_of(i) != i) {
            all[i] = all[first_of(i)];
            continue;
        }
        snprintf(labels, sizeof labels, "route=\"%s\"", pattern_of(i));
        all[i].seconds = metric_histogram(registry, "dipper_http_request_seconds", labels,
                                          "Time from a request's line to the end of its answer.",
                                          METRIC_LATENCY_BOUNDS, METRIC_LATENCY_BOUND_COUNT);
        good = all[i].seconds != NULL;
    }
    if (!good) {
        mem_free(all);
        return dp_fail_nomem(error, "metrics");
    }
    *out = all;
    return DP_OK;
}

void route_metrics_count(struct route_metrics *all, const struct route *route, unsigned status, double seconds)
{
    struct route_metrics *m = &all[route ? (size_t)(route - ROUTES) : ROUTE_COUNT];
    metric_add(m->requests[status < 400 ? 0 : status < 500 ? 1 : 2], 1);
    metric_observe(m->seconds, seconds);
}
