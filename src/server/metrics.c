/* metrics.c: prints a registry as Prometheus text, version 0.0.4.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * Prints a family that has a second name under both names. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "server/handlers.h"
#include "server/process_metrics.h"

enum { TEXT_USUAL_BYTES = 100 << 10 };

static void print_double(struct buffer *out, double v)
{
    char text[25];
    buffer_append(out, span_of(text, json_format_double(v, text)));
}

/* Prints name, suffix and {labels,more}. `suffix`, `labels` and `more` may be empty. */
static void print_name(struct buffer *out, const char *name, const char *suffix, const char *labels,
                       const char *more)
{
    buffer_printf(out, "%s%s", name, suffix);
    if (labels[0] || more[0])
        buffer_printf(out, "{%s%s%s}", labels, labels[0] && more[0] ? "," : "", more);
    buffer_u8(out, ' ');
}

static void print_histogram(struct buffer *out, const struct metric *m, const char *name)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= m->bound_count; i++) {
        char bound[25], more[40];
        count += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        if (i < m->bound_count)
            snprintf(more, sizeof more, "le=\"%.*s\"", (int)json_format_double(m->bounds[i], bound), bound);
        print_name(out, name, "_bucket", m->labels, i < m->bound_count ? more : "le=\"+Inf\"");
        buffer_printf(out, "%" PRIu64 "\n", count);
    }
    print_name(out, name, "_sum", m->labels, "");
    print_double(out, (double)atomic_load_explicit(&m->sum_nano, memory_order_relaxed) * 1e-9);
    buffer_u8(out, '\n');
    print_name(out, name, "_count", m->labels, "");
    buffer_printf(out, "%" PRIu64 "\n", count);
}

static void print_value(struct buffer *out, const struct metric *m)
{
    int64_t value = metric_value(m);
    if (m->nano)
        print_double(out, (double)value * 1e-9);
    else
        buffer_printf(out, "%" PRId64, value);
    buffer_u8(out, '\n');
}

/* Prints `m` and the metrics behind it that share its name, as one family called `name`. Returns the next one. */
static const struct metric *print_family(struct buffer *out, const struct metric *m, const char *name)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const char *family = m->name;
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, m->help, name, kinds[m->kind]);
    for (; m && strcmp(family, m->name) == 0; m = m->next) {
        if (m->kind == METRIC_HISTOGRAM) {
            print_histogram(out, m, name);
            continue;
        }
        print_name(out, name, "", m->labels, "");
        print_value(out, m);
    }
    return m;
}

/* Names that dashboards for FastEmbed use. */
static const struct {
    const char *name, *alias;
} ALIASES[] = {
    {"dipper_embed_requests_total", "fastembed_requests_total"},
    {"dipper_embed_request_seconds", "fastembed_request_latency_seconds"},
    {"dipper_inference_seconds", "fastembed_inference_latency_seconds"},
    {"dipper_embed_cache_hits_total", "fastembed_cache_hits_total"},
    {"dipper_embed_cache_misses_total", "fastembed_cache_misses_total"},
    {"dipper_text_tokens", "fastembed_token_count"},
    {"dipper_embed_errors_total", "fastembed_errors_total"},
    {"dipper_rate_limit_exceeded_total", "fastembed_rate_limit_exceeded_total"},
};

static const char *alias_of(const char *name)
{
    for (size_t i = 0; i < sizeof ALIASES / sizeof *ALIASES; i++)
        if (strcmp(ALIASES[i].name, name) == 0)
            return ALIASES[i].alias;
    return NULL;
}

void metrics_print(const struct metric_registry *registry, struct buffer *out)
{
    for (const struct metric *m = registry->first; m;) {
        const char *alias = alias_of(m->name);
        if (alias)
            print_family(out, m, alias);
        m = print_family(out, m, m->name);
    }
    process_metrics_print(out);
}

/* Prints the facts of the open models. Their labels change when a model is reloaded, so no registry holds them. */
static void print_models(struct call *call, struct service *service, struct buffer *out)
{
    struct service_model model;
    buffer_append_str(out, "# HELP dipper_model_info The models that are open.\n# TYPE dipper_model_info gauge\n");
    for (size_t i = 0; service_model_at(service, i, call->arena, &model); i++) {
        char labels[METRIC_LABELS_MAX] = "", dim[12];
        if (!model.loaded_s)
            continue;
        snprintf(dim, sizeof dim, "%u", (unsigned)model.dim);
        metric_add_label(labels, "model", model.name);
        metric_add_label(labels, "dim", span_str(dim));
        metric_add_label(labels, "fingerprint", model.fingerprint);
        print_name(out, "dipper_model_info", "", labels, "");
        buffer_append_str(out, "1\n"); /* the value never changes; the labels carry the facts */
    }
}

void handle_metrics(struct call *call, const struct api_context *api, const struct http_request *http,
                    struct http_response *response)
{
    (void)http;
    buffer_reserve(&response->body,
                   TEXT_USUAL_BYTES); /* at once, because doubling would allocate more than needed */
    metrics_print(service_metrics(api->service), &response->body);
    if (service_has_model(api->service))
        print_models(call, api->service, &response->body);
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (buffer_check(&response->body, "the metrics", &call->error) != DP_OK)
        api_fail(call, &api_fastembed, response);
}
