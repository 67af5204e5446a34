/* os/clock.h: time. */
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

#include <stdint.h>

int64_t os_now_ns(void);                           /* monotonic */
int64_t os_boot_ns(void);                          /* monotonic; also counts while the host sleeps */
int64_t os_cpu_ns(void);                           /* processor time of all threads of this process */
int64_t os_wall_ms(void);                          /* Unix time in milliseconds */
void os_format_utc(int64_t wall_ms, char out[25]); /* "2026-01-31T12:00:00.000Z" */

#endif
