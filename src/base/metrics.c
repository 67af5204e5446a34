/* metrics.c: registering metrics, and observing a value in a histogram. */
#include "base/metrics.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

const double METRIC_LATENCY_BOUNDS[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                        0.05,    0.1,    0.25,    0.5,    1,     2.5,    5,     10};
const size_t METRIC_LATENCY_BOUND_COUNT = sizeof METRIC_LATENCY_BOUNDS / sizeof *METRIC_LATENCY_BOUNDS;
const double METRIC_SIZE_BOUNDS[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
const size_t METRIC_SIZE_BOUND_COUNT = sizeof METRIC_SIZE_BOUNDS / sizeof *METRIC_SIZE_BOUNDS;

void metric_registry_init(struct metric_registry *r)
{
    *r = (struct metric_registry){0};
}

void metric_registry_deinit(struct metric_registry *r)
{
    for (struct metric *m = r->first, *next; m; m = next) {
        next = m->next;
        mem_free(m);
    }
    *r = (struct metric_registry){0};
}

static struct metric *registry_add(struct metric_registry *r, enum metric_kind kind, const char *name,
                                   const char *labels, const char *help)
{
    size_t labels_len = strlen(labels);
    assert(labels_len < METRIC_LABELS_MAX);
    struct metric *m = mem_calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->name = name;
    m->help = help;
    m->kind = kind;
    memcpy(m->labels, labels, labels_len + 1);
    if (r->last)
        r->last->next = m;
    else
        r->first = m;
    r->last = m;
    return m;
}

struct metric *metric_counter(struct metric_registry *r, const char *name, const char *labels, const char *help)
{
    return registry_add(r, METRIC_COUNTER, name, labels, help);
}

struct metric *metric_gauge(struct metric_registry *r, const char *name, const char *labels, const char *help)
{
    return registry_add(r, METRIC_GAUGE, name, labels, help);
}

struct metric *metric_histogram(struct metric_registry *r, const char *name, const char *labels, const char *help,
                                const double *bounds, size_t bound_count)
{
    assert(bound_count <= METRIC_BUCKETS_MAX);
    struct metric *m = registry_add(r, METRIC_HISTOGRAM, name, labels, help);
    if (!m)
        return NULL;
    m->bounds = bounds;
    m->bound_count = bound_count;
    return m;
}

struct metric *metric_seconds(struct metric_registry *r, const char *name, const char *labels, const char *help)
{
    struct metric *m = registry_add(r, METRIC_COUNTER, name, labels, help);
    if (m)
        m->nano = true;
    return m;
}

struct metric *metric_of(struct metric_registry *r, enum metric_kind kind, const char *name, const char *labels,
                         const char *help, const _Atomic int64_t *source)
{
    assert(kind != METRIC_HISTOGRAM);
    struct metric *m = registry_add(r, kind, name, labels, help);
    if (m)
        m->source = source;
    return m;
}

void metric_add_label(char labels[METRIC_LABELS_MAX], const char *name, struct span value)
{
    enum { LONGEST = 4, END = 2 }; /* LONGEST: bytes of one escaped character; END: the closing `"` and the NUL */
    const uint8_t *at = value.len ? value.data : (const uint8_t *)"", *end = at + value.len;
    size_t len = strlen(labels), name_len = strlen(name);
    assert(len + name_len + 3 + END < METRIC_LABELS_MAX);
    if (len)
        labels[len++] = ',';
    memcpy(labels + len, name, name_len);
    len += name_len;
    labels[len++] = '=';
    labels[len++] = '"';
    while (at < end && len + LONGEST + END <= METRIC_LABELS_MAX) {
        size_t character = utf8_length(at, end);
        if (character == 1 && (*at == '\\' || *at == '"' || *at == '\n')) {
            labels[len++] = '\\';
            labels[len++] = *at == '\n' ? 'n' : (char)*at;
        } else if (character) {
            memcpy(labels + len, at, character);
            len += character;
        } else {
            labels[len++] = '?';
            character = utf8_bad_length(at, end);
        }
        at += character;
    }
    labels[len++] = '"';
    labels[len] = '\0';
}

void metric_observe(struct metric *m, double value)
{
    if (!m || !(value >= 0))
        return; /* a negative time is a mistake of the clock; NaN would spoil the sum */
    size_t bucket = 0;
    while (bucket < m->bound_count && value > m->bounds[bucket])
        bucket++;
    double nano = value * 1e9;
    atomic_fetch_add_explicit(&m->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->sum_nano, nano < 0x1p63 ? (uint64_t)nano : (uint64_t)1 << 63,
                              memory_order_relaxed);
}
