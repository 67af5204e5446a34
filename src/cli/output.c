/* output.c: writes to standard output, and checks that they succeed.
 *
 * The program ignores SIGPIPE, since a server's peers come and go, so a write into a pipe without a reader fails
 * with EPIPE. The command then stops, and at its end sends itself the signal that would have ended it. */
#include "cli/output.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/args.h"

static _Atomic bool reader_left;

static enum dp_status write_failed(int errno_value, struct dp_error *error)
{
    if (errno_value == EPIPE)
        atomic_store(&reader_left, true);
    return dp_fail_errno(error, errno_value, "write", "standard output");
}

enum dp_status output_write(struct span bytes, struct dp_error *error)
{
    if (fflush(stdout) != 0) /* keeps the order with printf */
        return write_failed(errno, error);
    while (bytes.len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes.data, bytes.len);
        if (n < 0 && errno != EINTR)
            return write_failed(errno, error);
        if (n > 0)
            bytes = span_of(bytes.data + n, bytes.len - (size_t)n);
    }
    return DP_OK;
}

bool output_reader_left(void)
{
    return atomic_load(&reader_left);
}

/* Reports an earlier failed write of stdio, which does not keep the reason. */
static void failed_before(struct dp_error *error)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    if (poll(&out, 1, 0) == 1 && (out.revents & POLLERR))
        write_failed(EPIPE, error);
    else
        dp_fail(error, DP_IO, "cannot write standard output: the disk is full, or the other end has failed");
}

int output_end(int status)
{
    struct dp_error error = {.status = DP_OK};
    if (ferror(stdout))
        failed_before(&error);
    else if (fflush(stdout) != 0)
        write_failed(errno, &error);
    if (output_reader_left()) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (error.status == DP_OK)
        return status;
    fprintf(stderr, "dipper: %s\n", error.message);
    return status == CLI_OK ? CLI_FAILED : status;
}
