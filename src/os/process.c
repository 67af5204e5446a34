/* process.c: runs another program (see process.h). */
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"

extern char **environ;

enum { LOOK_MS = 20 }; /* how often we look for a cancelled call, and for the end of a silent program */

struct process {
    pid_t pid;
    int out, err; /* our ends of its pipes; -1: at the end */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Starts the program. The ends of its pipes in `theirs` stay open in this process only until it has started. */
static int spawn(const char *const *argv, const int theirs[2], pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (failed) {
        posix_spawn_file_actions_destroy(&actions);
        return failed;
    }
    sigemptyset(&none); /* our threads block all signals, and ignore SIGPIPE */
    sigfillset(&all);
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    failed = failed ? failed : posix_spawn_file_actions_adddup2(&actions, theirs[0], STDOUT_FILENO);
    failed = failed ? failed : posix_spawn_file_actions_adddup2(&actions, theirs[1], STDERR_FILENO);
    failed = failed ? failed : posix_spawnattr_setsigmask(&attributes, &none);
    failed = failed ? failed : posix_spawnattr_setsigdefault(&attributes, &all);
    failed = failed ? failed : posix_spawnattr_setpgroup(&attributes, 0);
    failed = failed ? failed
                    : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                                POSIX_SPAWN_SETPGROUP);
    /* execve takes char *const *, but changes nothing. */
    failed = failed
                 ? failed
                 : posix_spawnp(pid, argv[0], &actions, &attributes, (char *const *)(const void *)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static enum dp_status start_process(struct call *call, const char *const *argv, struct process *p)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    *p = (struct process){.out = -1, .err = -1};
    /* Where a child cannot share our memory (under QEMU), posix_spawnp() does not learn that the program is missing. */
    if (strchr(argv[0], '/') && access(argv[0], X_OK) != 0)
        return dp_fail_errno(&call->error, errno, "run", argv[0]);
    int failed = pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0 ? 0 : errno;
    if (!failed && (fcntl(out[0], F_SETFL, O_NONBLOCK) != 0 || fcntl(err[0], F_SETFL, O_NONBLOCK) != 0))
        failed = errno;
    if (!failed)
        failed = spawn(argv, (const int[2]){out[1], err[1]}, &p->pid);
    close_fd(&out[1]);
    close_fd(&err[1]);
    if (failed) {
        close_fd(&out[0]);
        close_fd(&err[0]);
        return dp_fail_errno(&call->error, failed, "run", argv[0]);
    }
    p->out = out[0];
    p->err = err[0];
    return DP_OK;
}

/* Takes bytes from a pipe, if there are some; closes it at its end. `cut`: drops what exceeds the buffer. */
static void take_output(int *fd, struct buffer *into, bool cut)
{
    uint8_t bytes[4096];
    if (*fd < 0)
        return;
    ssize_t len = read(*fd, bytes, sizeof bytes);
    if (len > 0) {
        size_t room = into->max - into->len;
        buffer_append(into, span_of(bytes, cut && (size_t)len > room ? room : (size_t)len));
    } else if (len == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_fd(fd);
    }
}

/* Looks whether the program has ended. */
static bool has_ended(const struct process *p, struct process_end *end)
{
    int status;
    pid_t got = waitpid(p->pid, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    end->unknown = got < 0;
    end->status = got > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return true;
}

enum dp_status process_run(struct call *call, const char *const *argv, int limit_ms, struct buffer *out,
                           struct buffer *err, struct process_end *end)
{
    struct process p;
    bool ended = false;
    *end = (struct process_end){0};
    enum dp_status status = call_check(call);
    if (status == DP_OK)
        status = start_process(call, argv, &p);
    if (status != DP_OK)
        return status;
    int64_t until_ns = os_now_ns() + (int64_t)limit_ms * 1000000;
    while (status == DP_OK && !ended) {
        struct pollfd fds[2] = {{.fd = p.out, .events = POLLIN}, {.fd = p.err, .events = POLLIN}};
        poll(fds, 2, LOOK_MS);
        take_output(&p.out, out, false);
        take_output(&p.err, err, true);
        ended = p.out < 0 && p.err < 0 && has_ended(&p, end);
        status = call_check(call);
        if (status == DP_OK && out->status == DP_TOO_LARGE)
            status = call_fail(call, DP_TOO_LARGE, "%s printed more than %zu bytes", argv[0], out->max);
        if (status == DP_OK && out->status != DP_OK)
            status = call_nomem(call, "a program's output");
        if (status == DP_OK && !ended && os_now_ns() > until_ns)
            status = call_fail(call, DP_UNAVAILABLE, "%s did not end within %d seconds", argv[0], limit_ms / 1000);
    }
    if (!ended) {
        kill(-p.pid, SIGKILL);
        while (!has_ended(&p, end))
            poll(NULL, 0, 1);
    }
    close_fd(&p.out);
    close_fd(&p.err);
    return status;
}
