/* base/metrics.h: counters, gauges and histograms as plain atomics. The server prints them.
 *
 * A registry lists metrics in the order in which they were added. One thread adds all metrics at the start. Then
 * any thread updates them, wait-free, by one or two atomic additions. Units are Prometheus's: seconds and bytes.
 * Times are counted in nanoseconds and printed as seconds.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>

#include "base/error.h"
#include "base/span.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum { METRIC_BUCKETS_MAX = 24, METRIC_LABELS_MAX = 256 };

struct metric {
    const char *name; /* "dipper_requests_total" */
    const char *help;
    char labels[METRIC_LABELS_MAX]; /* `status="200",dialect="openai"`, or empty */
    enum metric_kind kind;
    bool nano;                     /* a counter of nanoseconds */
    const _Atomic int64_t *source; /* counter, gauge: a value elsewhere; NULL: `value` */
    _Atomic int64_t value;         /* counter, gauge */
    const double *bounds;          /* histogram: upper bounds, ascending */
    size_t bound_count;
    /* buckets[i] counts values in (bounds[i-1], bounds[i]]; buckets[bound_count] counts values above all bounds */
    _Atomic uint64_t buckets[METRIC_BUCKETS_MAX + 1];
    _Atomic uint64_t sum_nano; /* sum of observations * 1e9 */
    struct metric *next;
};

struct metric_registry {
    struct metric *first, *last;
};

void metric_registry_init(struct metric_registry *r);
void metric_registry_deinit(struct metric_registry *r);

/* Adds a metric; name, help and bounds must outlive the registry. NULL when out of memory. Metrics of one
 * name must be added one after another (they print as one family). */
struct metric *metric_counter(struct metric_registry *r, const char *name, const char *labels, const char *help);
struct metric *metric_gauge(struct metric_registry *r, const char *name, const char *labels, const char *help);
struct metric *metric_histogram(struct metric_registry *r, const char *name, const char *labels, const char *help,
                                const double *bounds, size_t bound_count);
/* A counter of nanoseconds, which prints as seconds. */
struct metric *metric_seconds(struct metric_registry *r, const char *name, const char *labels, const char *help);
/* A counter or gauge whose value is counted elsewhere; `source` must outlive the last printing of the registry. */
struct metric *metric_of(struct metric_registry *r, enum metric_kind kind, const char *name, const char *labels,
                         const char *help, const _Atomic int64_t *source);

/* Appends name="value" to a list of labels, after a comma if necessary. The value may be any bytes: it is escaped,
 * '?' replaces bytes that are not UTF-8, and it is cut if the labels are full. */
void metric_add_label(char labels[METRIC_LABELS_MAX], const char *name, struct span value);

static inline void metric_add(struct metric *m, int64_t by)
{
    if (m)
        atomic_fetch_add_explicit(&m->value, by, memory_order_relaxed);
}
static inline int64_t metric_value(const struct metric *m)
{
    return atomic_load_explicit(m->source ? m->source : &m->value, memory_order_relaxed);
}
static inline void metric_set(struct metric *m, int64_t to)
{
    if (m)
        atomic_store_explicit(&m->value, to, memory_order_relaxed);
}
/* Counts a value ≥ 0 in its bucket; NULL, negative values and NaN are ignored. */
void metric_observe(struct metric *m, double value);

/* Bucket bounds in seconds from 50 µs to 10 s. */
extern const double METRIC_LATENCY_BOUNDS[];
extern const size_t METRIC_LATENCY_BOUND_COUNT;
/* Bucket bounds of counts: 1, 2, 4, … 8,192. */
extern const double METRIC_SIZE_BOUNDS[];
extern const size_t METRIC_SIZE_BOUND_COUNT;

#endif
