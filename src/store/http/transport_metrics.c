/* transport_metrics.c: adds the counts of a transport to a registry of metrics. */
#include "base/metrics.h"
#include "store/http/transport.h"

enum dp_status transport_add_metrics(const struct transport *transport, struct metric_registry *r,
                                     struct dp_error *error)
{
    static const char *const classes[HTTP_CLASSES] = {"2xx", "3xx", "4xx", "5xx"};
    static const char answers[] = "dipper_store_http_answers_total",
                      answers_help[] =
                          "Answers of remote stores by class of status; \"none\": the try ended without one.";
    const struct transport_counts *c = transport_counts_of((struct transport *)(uintptr_t)transport);
    bool good = metric_of(r, METRIC_GAUGE, "dipper_store_http_in_flight", "", "Tries in flight to remote stores.",
                          &c->in_flight) &&
                metric_of(r, METRIC_COUNTER, "dipper_store_http_requests_total", "",
                          "Requests sent to remote stores; each try counts.", &c->tries) &&
                metric_of(r, METRIC_COUNTER, "dipper_store_http_retries_total", "",
                          "Tries that repeat a request after a failed try.", &c->retries) &&
                metric_of(r, METRIC_COUNTER, "dipper_store_http_hedges_total", "",
                          "GETs sent a second time because the answer was slow.", &c->hedges) &&
                metric_of(r, METRIC_COUNTER, "dipper_store_http_failures_total", "",
                          "Requests that failed after all their tries.", &c->failures) &&
                metric_of(r, METRIC_COUNTER, "dipper_store_http_received_bytes_total", "",
                          "Bytes of bodies that came from remote stores.", &c->received_bytes);
    for (size_t i = 0; good && i < HTTP_CLASSES; i++) {
        char labels[METRIC_LABELS_MAX] = "";
        metric_add_label(labels, "class", span_str(classes[i]));
        good = metric_of(r, METRIC_COUNTER, answers, labels, answers_help, &c->answers[i]) != NULL;
    }
    good = good && metric_of(r, METRIC_COUNTER, answers, "class=\"none\"", answers_help, &c->broken);
    return good ? DP_OK : dp_fail_nomem(error, "metrics");
}
