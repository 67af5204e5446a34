/* embed_metrics.c: counts requests for embeddings by status, by whether the cache had all vectors, and by error. */
#include "server/embed_metrics.h"

#include <stdio.h>
#include <string.h>

#include "api/api.h"

static const unsigned STATUSES[EMBED_STATUSES - 1] = {200, 400, 401, 402, 403, 404, 413,
                                                      415, 429, 499, 500, 503, 504};

/* The error codes of api_error_code and of the dialects. */
static const char *const ERROR_TYPES[EMBED_ERROR_TYPES - 1] = {"invalid_request",
                                                               "text_too_long",
                                                               "invalid_api_key",
                                                               "permission_denied",
                                                               "not_found",
                                                               "model_not_found",
                                                               "method_not_allowed",
                                                               "request_timeout",
                                                               "request_too_large",
                                                               "unsupported_media_type",
                                                               "rate_limit_exceeded",
                                                               "client_closed_request",
                                                               "overloaded",
                                                               "unavailable",
                                                               "timeout",
                                                               "internal_error"};

static struct metric *add_status(struct metric_registry *registry, const char *status, const char *cached)
{
    char labels[METRIC_LABELS_MAX] = "";
    metric_add_label(labels, "status", span_str(status));
    metric_add_label(labels, "cached", span_str(cached));
    return metric_counter(registry, "dipper_embed_requests_total", labels,
                          "Requests for embeddings, by HTTP status, and whether the cache had every vector.");
}

enum dp_status embed_metrics_add(struct embed_metrics *m, struct metric_registry *registry, struct dp_error *error)
{
    bool good = true;
    for (size_t i = 0; good && i < EMBED_STATUSES; i++) {
        char status[12] = "other";
        if (i < EMBED_STATUSES - 1)
            snprintf(status, sizeof status, "%u", STATUSES[i]);
        m->fresh[i] = add_status(registry, status, "false");
        good = m->fresh[i];
    }
    if (good) {
        m->cached = add_status(registry, "200", "true");
        m->seconds = metric_histogram(registry, "dipper_embed_request_seconds", "",
                                      "Time from the line of a request for embeddings to the end of its answer.",
                                      METRIC_LATENCY_BOUNDS, METRIC_LATENCY_BOUND_COUNT);
        good = m->cached && m->seconds;
    }
    for (size_t i = 0; good && i < EMBED_ERROR_TYPES; i++) {
        char labels[METRIC_LABELS_MAX] = "";
        metric_add_label(labels, "error_type", span_str(i < EMBED_ERROR_TYPES - 1 ? ERROR_TYPES[i] : "other"));
        m->errors[i] = metric_counter(registry, "dipper_embed_errors_total", labels,
                                      "Requests for embeddings that were answered with an error.");
        good = m->errors[i];
    }
    return good ? DP_OK : dp_fail_nomem(error, "metrics");
}

void embed_metrics_count(struct embed_metrics *m, const struct http_response *response,
                         const struct call_cost *cost, double seconds)
{
    size_t status = 0, type = 0;
    metric_observe(m->seconds, seconds);
    while (status < EMBED_STATUSES - 1 && STATUSES[status] != response->status)
        status++;
    bool cached = response->status == 200 && cost->texts > 0 && cost->cached_texts == cost->texts;
    metric_add(cached ? m->cached : m->fresh[status], 1);
    if (response->status < 400)
        return;
    const char *code =
        response->error_code ? response->error_code : api_error_code(response->status, response->outcome);
    while (type < EMBED_ERROR_TYPES - 1 && strcmp(ERROR_TYPES[type], code) != 0)
        type++;
    metric_add(m->errors[type], 1);
}
