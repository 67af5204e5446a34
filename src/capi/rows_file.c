/* rows_file.c: reads a file of rows as a stream that the call can cancel.
 *
 * A read waits at most LOOK_MS for bytes, then checks the call, and waits again. */
#include "capi/rows_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

enum { LOOK_MS = 20 };

static bool rows_are_wanted(struct rows_file *file)
{
    return call_check(file->call) == DP_OK && !atomic_load(&file->ended);
}

static ssize_t read_rows_bytes(void *cookie, char *to, size_t len)
{
    struct rows_file *file = cookie;
    struct pollfd ready = {.fd = file->fd, .events = POLLIN};
    ssize_t n = -1;
    int found = 0;
    while (n < 0) {
        if (!rows_are_wanted(file)) {
            errno = ECANCELED;
            return -1;
        }
        found = poll(&ready, 1, LOOK_MS);
        if (found > 0)
            n = read(file->fd, to, len);
        if ((found < 0 || (found > 0 && n < 0)) && errno != EINTR && errno != EAGAIN)
            return -1;
    }
    return n;
}

enum dp_status rows_file_open(struct rows_file *file, struct call *call, const char *path)
{
    /* With O_NONBLOCK, a named pipe opens before a writer has opened it. poll() then waits for the writer's bytes.
     * */
    *file = (struct rows_file){.call = call, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    if (file->fd < 0)
        return dp_fail_errno(&call->error, errno, "open", path);
    file->stream = fopencookie(file, "r", (cookie_io_functions_t){.read = read_rows_bytes});
    if (file->stream)
        return DP_OK;
    close(file->fd);
    return call_nomem(call, "the stream of rows");
}

void rows_file_close(struct rows_file *file)
{
    if (!file->stream)
        return;
    fclose(file->stream);
    close(file->fd);
    file->stream = NULL;
}

void rows_file_wake(void *file)
{
    atomic_store(&((struct rows_file *)file)->ended, true);
}
