/* os/supervisor.h: what a supervisor such as systemd gives to a service: an open socket, and a place to report to.
 *
 * Both are environment variables and plain system calls (sd_listen_fds(3), sd_notify(3)), so no library is needed.
 */
#ifndef OS_SUPERVISOR_H
#define OS_SUPERVISOR_H

#include "base/error.h"

/* Returns the socket that the supervisor opened for this process, which is then the caller's, or -1 if there is
 * none. DP_INVALID: there are several, or it is no listening socket of streams. Not safe beside another thread that
 * reads the environment. */
enum dp_status os_supervisor_socket(int *fd, struct dp_error *error);

/* Reports a state, such as "READY=1". Without a supervisor it does nothing; nothing can fail that the caller could
 * mend. Any thread. */
void os_supervisor_tell(const char *state);

#endif
