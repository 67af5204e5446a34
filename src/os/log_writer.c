/* log_writer.c: sends log lines to stderr, without making their authors wait for a slow reader.
 *
 * Other processes may use the same pipe or terminal, and a flag of an open file holds for all of them. So the writer
 * opens a pipe or terminal anew, and only the new file does not block. For a socket, each send has its own flag.
 */
#include "os/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "os/clock.h"
#include "os/thread.h"

enum { LOOK_EVERY_MS = 50 };

/* The process has one stderr, and so one writer. */
static struct log_writer {
    _Atomic bool active;
    _Atomic bool lags; /* lines wait, or the thread sends some: a new line must wait behind them */
    _Atomic int64_t dropped;
    int fd;
    bool is_socket, json;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;
    struct buffer waiting;
    int64_t reported; /* dropped lines that the log has mentioned */
    int64_t end_ns;   /* when the thread gives up; INT64_MAX: never */
    bool has_thread, stopping;
    pthread_t thread;
} writer = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

/* Writes what the reader takes at once. Returns the number of bytes; 0: the reader takes none now; -1: it is gone
 * or failed. */
static ssize_t write_now(const void *bytes, size_t len)
{
    ssize_t sent;
    do {
        sent = writer.is_socket ? send(writer.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                : write(writer.fd, bytes, len);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : sent;
}

/* Returns the length of the first whole lines of `bytes`, at most LOG_PIECE_MAX. */
static size_t whole_lines(struct span bytes)
{
    if (bytes.len <= LOG_PIECE_MAX)
        return bytes.len;
    const uint8_t *end = memrchr(bytes.data, '\n', LOG_PIECE_MAX);
    return end ? (size_t)(end - bytes.data) + 1 : LOG_PIECE_MAX;
}

static bool is_late(void)
{
    pthread_mutex_lock(&writer.lock);
    const bool late = os_now_ns() >= writer.end_ns;
    pthread_mutex_unlock(&writer.lock);
    return late;
}

/* Sends everything, unless the reader is gone or the time is up. */
static void send_all(struct span bytes)
{
    while (bytes.len) {
        const ssize_t sent = write_now(bytes.data, whole_lines(bytes));
        if (sent < 0 || is_late())
            return;
        bytes = span_of(bytes.data + sent, bytes.len - (size_t)sent);
        if (sent == 0) {
            struct pollfd fd = {.fd = writer.fd, .events = POLLOUT};
            poll(&fd, 1, LOOK_EVERY_MS);
        }
    }
}

/* Appends a line that says how many were dropped. The caller holds the lock. */
static void report_dropped(void)
{
    const int64_t dropped = atomic_load(&writer.dropped);
    char utc[25];
    if (dropped == writer.reported)
        return;
    os_format_utc(os_wall_ms(), utc);
    buffer_printf(
        &writer.waiting, "%s%s%s%" PRId64 " log lines were dropped here: nobody read the log in time%s\n",
        writer.json ? "{\"time\":\"" : "", utc, writer.json ? "\",\"level\":\"warn\",\"message\":\"" : " warn ",
        dropped - writer.reported, writer.json ? "\"}" : "");
    writer.reported = dropped;
}

static void *send_waiting(void *context)
{
    struct buffer sending;
    (void)context;
    buffer_init(&sending, LOG_WAITING_MAX);
    pthread_mutex_lock(&writer.lock);
    for (;;) {
        if (!writer.waiting.len)
            report_dropped();
        if (!writer.waiting.len)
            atomic_store(&writer.lags, false);
        while (!writer.waiting.len && !writer.stopping)
            pthread_cond_wait(&writer.work, &writer.lock);
        if (!writer.waiting.len)
            break;
        const struct buffer lines = writer.waiting;
        writer.waiting = sending;
        sending = lines;
        pthread_mutex_unlock(&writer.lock);
        send_all(buffer_span(&sending));
        buffer_clear(&sending);
        pthread_mutex_lock(&writer.lock);
    }
    pthread_mutex_unlock(&writer.lock);
    buffer_deinit(&sending);
    return NULL;
}

/* Keeps a line, or the rest of one, for the thread. */
static void keep(struct span line)
{
    pthread_mutex_lock(&writer.lock);
    if (!writer.has_thread && !writer.stopping)
        writer.has_thread = os_thread_start(&writer.thread, "dipper-log", send_waiting, NULL) == 0;
    const bool has_room =
        writer.has_thread && !writer.stopping && line.len <= LOG_WAITING_MAX - writer.waiting.len;
    if (has_room)
        buffer_append(&writer.waiting, line);
    if (!has_room || writer.waiting.status != DP_OK) {
        atomic_fetch_add(&writer.dropped, 1);
        writer.waiting.status = DP_OK; /* an append that failed has added nothing */
    } else {
        atomic_store(&writer.lags, true);
        pthread_cond_signal(&writer.work);
    }
    pthread_mutex_unlock(&writer.lock);
}

bool log_writer_send(const char *line, size_t len)
{
    if (!atomic_load(&writer.active))
        return false;
    ssize_t sent = atomic_load(&writer.lags) ? 0 : write_now(line, len);
    if (sent >= 0 && (size_t)sent < len)
        keep(span_of(line + sent, len - (size_t)sent));
    return true;
}

void log_writer_start(bool json)
{
    struct stat kind;
    if (atomic_load(&writer.active) || fstat(STDERR_FILENO, &kind) != 0)
        return;
    writer.json = json;
    writer.is_socket = S_ISSOCK(kind.st_mode);
    if (!writer.is_socket && !S_ISFIFO(kind.st_mode) && !isatty(STDERR_FILENO))
        return;
    writer.fd = writer.is_socket ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
                                 : open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (writer.fd < 0)
        return;
    buffer_init(&writer.waiting, LOG_WAITING_MAX);
    writer.stopping = false;
    writer.end_ns = INT64_MAX;
    atomic_store(&writer.active, true);
}

void log_writer_stop(int64_t ms)
{
    if (!atomic_load(&writer.active))
        return;
    pthread_mutex_lock(&writer.lock);
    writer.stopping = true;
    writer.end_ns = os_now_ns() + ms * 1000000;
    pthread_cond_signal(&writer.work);
    pthread_mutex_unlock(&writer.lock);
    if (writer.has_thread)
        pthread_join(writer.thread, NULL);
    atomic_store(&writer.active, false);
    atomic_store(&writer.lags, false);
    writer.has_thread = false;
    buffer_deinit(&writer.waiting);
    close(writer.fd);
    writer.fd = -1;
}

const _Atomic int64_t *log_writer_dropped(void)
{
    return &writer.dropped;
}
