/* input.c: makes a stdio stream of a file descriptor. A signal or another thread can end its reads. */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/interrupt.h"

static ssize_t input_read(void *cookie, char *to, size_t len)
{
    struct input *input = cookie;
    struct pollfd ready = {.fd = input->fd, .events = POLLIN};
    ssize_t n;

    if (input->idle && poll(&ready, 1, 0) == 0 && !input->idle(input->ctx))
        return 0;
    do {
        if (!interrupt_wait_readable(input->fd, input->wake_fd)) {
            errno = ECANCELED;
            return -1;
        }
        n = read(input->fd, to, len);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    return n;
}

static void close_files(const struct input *input)
{
    if (input->fd != STDIN_FILENO)
        close(input->fd);
    if (input->wake_fd >= 0)
        close(input->wake_fd);
}

/* Opens input->stream. On failure it stays NULL. */
static void open_stream(struct input *input, const char *path, struct dp_error *error)
{
    input->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (input->wake_fd < 0) {
        dp_fail_errno(error, errno, "make an eventfd to read", path);
        return;
    }
    input->stream = fopencookie(input, "r", (cookie_io_functions_t){.read = input_read});
    if (!input->stream)
        dp_fail_nomem(error, "the input stream");
}

enum dp_status input_open(struct input *input, const char *path, struct dp_error *error)
{
    bool is_stdin = strcmp(path, "-") == 0;
    struct stat st;

    *input = (struct input){.wake_fd = -1};
    input->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (input->fd < 0)
        return dp_fail_errno(error, errno, "open", path);
    if (fstat(input->fd, &st) == 0 && S_ISDIR(st.st_mode))
        dp_fail(error, DP_INVALID, "cannot read %s: it is a folder", is_stdin ? "standard input" : path);
    else
        open_stream(input, path, error);
    if (input->stream)
        return DP_OK;
    close_files(input);
    return error->status;
}

void input_close(struct input *input)
{
    if (!input->stream)
        return;
    fclose(input->stream);
    close_files(input);
    input->stream = NULL;
}

void input_wake(void *ctx)
{
    const struct input *input = ctx;
    uint64_t one = 1;

    while (write(input->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {}
}
