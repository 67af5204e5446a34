/* server/process_metrics.h: the process's own metrics, under the names that Prometheus's client libraries use. */
#ifndef SERVER_PROCESS_METRICS_H
#define SERVER_PROCESS_METRICS_H

#include "base/buffer.h"

/* Reads process_* and dipper_build_info from the system and appends them as Prometheus text. Leaves out figures
 * that the system does not give. */
void process_metrics_print(struct buffer *out);

#endif
