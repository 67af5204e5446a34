/* supervisor.c: the protocols of systemd for services: LISTEN_PID with LISTEN_FDS, and NOTIFY_SOCKET. */
#include "os/supervisor.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_SOCKET = 3 };

/* Returns an environment variable as a number; -1: it is none. */
static long number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end = NULL;
    if (!text || *text < '0' || *text > '9')
        return -1;
    const long number = strtol(text, &end, 10);
    return *end == '\0' ? number : -1;
}

enum dp_status os_supervisor_socket(int *fd, struct dp_error *error)
{
    const long count = number_of("LISTEN_FDS");
    int listens = 0, type = 0;
    socklen_t size = sizeof listens;
    *fd = -1;
    if (number_of("LISTEN_PID") != (long)getpid() || count <= 0)
        return DP_OK;
    unsetenv("LISTEN_PID"); /* so that nobody takes the socket twice */
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (count > 1)
        return dp_fail(error, DP_INVALID, "the supervisor opened %ld sockets for this server, which serves one",
                       count);
    if (getsockopt(FIRST_SOCKET, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens ||
        getsockopt(FIRST_SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM)
        return dp_fail(error, DP_INVALID,
                       "the supervisor gave file descriptor %d to this server, which is no listening socket "
                       "(ListenStream=, Accept=no)",
                       FIRST_SOCKET);
    fcntl(FIRST_SOCKET, F_SETFD, FD_CLOEXEC);
    fcntl(FIRST_SOCKET, F_SETFL, fcntl(FIRST_SOCKET, F_GETFL) | O_NONBLOCK);
    *fd = FIRST_SOCKET;
    return DP_OK;
}

void os_supervisor_tell(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* a name without a file (unix(7)) */
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    (void)sent;
    close(fd);
}
