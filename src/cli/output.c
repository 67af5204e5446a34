/* output.c: writes bytes to standard output, and checks that each write succeeds.
 *
 * The program ignores SIGPIPE, because the clients of a server come and go. So a write into a pipe without a
 * reader fails with EPIPE. The command then stops, and output_end ends the program by SIGPIPE, as if it had not
 * been ignored. */
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
    if (fflush(stdout) != 0) /* so that earlier output of printf comes first */
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

/* Fills in the error of an earlier failed write. stdio does not keep the reason, so poll finds out whether the
 * reader left. */
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
