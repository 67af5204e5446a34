/* server/process_metrics.h: the process's own metrics, under the names that Prometheus's client libraries use. */
#ifndef SERVER_PROCESS_METRICS_H
#define SERVER_PROCESS_METRICS_H

#include "base/buffer.h"

/* Appends process_* and dipper_build_info as Prometheus text, read from the system now. What it does not tell is left
 * out. */
void process_metrics_print(struct buffer *out);

#endif
