/* os/log.h: log lines to stderr for operators, as text or JSON. Thread-safe; one write(2) for each line. */
#ifndef OS_LOG_H
#define OS_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_setup(enum log_level least, bool json);
/* Writes a printf-style message. In JSON: {"time":…,"level":…,"message":…}. Control characters are escaped. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes a log line that the caller has formatted, and adds the newline. (The access log makes its own JSON.) */
void log_line(const char *line);

#endif
