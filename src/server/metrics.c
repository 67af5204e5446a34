/* metrics.c: a registry as Prometheus text, version 0.0.4.
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json.h"
#include "os/clock.h"
#include "server/handlers.h"

static void print_double(struct buffer *out, double v)
{
    char text[25];
    buffer_append(out, span_of(text, json_format_double(v, text)));
}

/* name{labels} or name{labels,more}; either part may be empty. */
static void print_name(struct buffer *out, const struct metric *m, const char *suffix, const char *more)
{
    buffer_printf(out, "%s%s", m->name, suffix);
    if (m->labels[0] || more[0])
        buffer_printf(out, "{%s%s%s}", m->labels, m->labels[0] && more[0] ? "," : "", more);
    buffer_u8(out, ' ');
}

static void print_histogram(struct buffer *out, const struct metric *m)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= m->bound_count; i++) {
        char bound[25], more[40];
        count += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        if (i < m->bound_count)
            snprintf(more, sizeof more, "le=\"%.*s\"", (int)json_format_double(m->bounds[i], bound), bound);
        print_name(out, m, "_bucket", i < m->bound_count ? more : "le=\"+Inf\"");
        buffer_printf(out, "%llu\n", (unsigned long long)count);
    }
    print_name(out, m, "_sum", "");
    print_double(out, (double)atomic_load_explicit(&m->sum_nano, memory_order_relaxed) * 1e-9);
    buffer_u8(out, '\n');
    print_name(out, m, "_count", "");
    buffer_printf(out, "%llu\n", (unsigned long long)count);
}

static void print_registry(const struct metric_registry *registry, struct buffer *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const char *family = "";
    for (const struct metric *m = registry->first; m; m = m->next) {
        if (strcmp(family, m->name) != 0)
            buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, kinds[m->kind]);
        family = m->name;
        if (m->kind == METRIC_HISTOGRAM) {
            print_histogram(out, m);
            continue;
        }
        print_name(out, m, "", "");
        buffer_printf(out, "%lld\n", (long long)atomic_load_explicit(&m->value, memory_order_relaxed));
    }
}

static void print_one(struct buffer *out, const char *name, const char *kind, const char *help, double value)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, kind, name);
    print_double(out, value);
    buffer_u8(out, '\n');
}

/* The second number of /proc/self/statm; 0 where that cannot be read. */
static long resident_pages(void)
{
    char line[128], *second;
    FILE *in = fopen("/proc/self/statm", "re");
    if (!in)
        return 0;
    bool got = fgets(line, sizeof line, in) != NULL;
    fclose(in);
    if (!got)
        return 0;
    strtol(line, &second, 10);
    return strtol(second, NULL, 10);
}

static unsigned open_files(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the folder itself */
}

/* The names that Prometheus's own client libraries use. */
static void print_process(struct buffer *out)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    print_one(out, "process_cpu_seconds_total", "counter", "Processor time of the process.", cpu);
    print_one(out, "process_resident_memory_bytes", "gauge", "Memory of the process in RAM.",
              (double)resident_pages() * (double)sysconf(_SC_PAGESIZE));
    print_one(out, "process_open_fds", "gauge", "Open file descriptors of the process.", open_files());
}

void metrics_print(const struct metric_registry *registry, struct buffer *out)
{
    print_registry(registry, out);
    print_process(out);
}

void handle_metrics(struct call *call, const struct api_context *api, const struct http_request *http,
                    struct http_response *response)
{
    (void)http;
    metrics_print(service_metrics(api->service), &response->body);
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (buffer_check(&response->body, "the metrics", &call->error) != DP_OK)
        api_fail(call, &api_fastembed, response);
}
