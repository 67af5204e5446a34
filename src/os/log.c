/* log.c: writes log lines to stderr.
 *
 * The logger builds a line in a fixed array on the stack and sends it with one write(2). So it needs no lock and
 * no memory, and lines of different threads never mix. It cuts a message that does not fit. Its only state is the
 * settings, which are atomics. In a server, log_writer.h keeps lines that the reader of the log does not take.
 */
#include "os/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "os/clock.h"
#include "os/log_writer.h"

enum { MESSAGE_MAX = 2048, LINE_MAX_BYTES = 4096 };

static _Atomic int least_level = LOG_INFO;
static _Atomic bool as_json;

void log_setup(enum log_level least, bool json)
{
    atomic_store(&least_level, (int)least);
    atomic_store(&as_json, json);
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    return names[level];
}

/* A line that log_write() builds. log_put() appends nothing when the bytes do not fit. */
struct log_line {
    char bytes[LINE_MAX_BYTES];
    size_t len;
};

static bool log_put(struct log_line *line, const void *bytes, size_t len)
{
    if (len > sizeof line->bytes - line->len)
        return false;
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
    return true;
}

static bool put_str(struct log_line *line, const char *text)
{
    return log_put(line, text, strlen(text));
}

/* Appends the message, and leaves `tail` bytes of the line free. Escapes control and hidden characters, for JSON
 * also quotes and backslashes. Replaces malformed UTF-8 with U+FFFD. */
static void put_message(struct log_line *line, const char *message, size_t tail, bool json)
{
    const uint8_t *at = (const uint8_t *)message, *end = at + strlen(message);
    while (at < end) {
        char escape[8];
        const void *piece = escape;
        size_t used = utf8_length(at, end), len;
        if (used == 0) {
            used = utf8_bad_length(at, end);
            piece = "\xef\xbf\xbd";
            len = 3;
        } else if (*at < 0x20 || *at == 0x7f) {
            len = (size_t)snprintf(escape, sizeof escape, json ? "\\u%04x" : "\\x%02x", *at);
        } else if (utf8_hidden(at, used)) {
            len = (size_t)snprintf(escape, sizeof escape, "\\u%04x", utf8_hidden(at, used));
        } else if (json && (*at == '"' || *at == '\\')) {
            escape[0] = '\\';
            escape[1] = (char)*at;
            len = 2;
        } else {
            piece = at;
            len = used;
        }
        if (len > sizeof line->bytes - line->len - tail || !log_put(line, piece, len))
            return;
        at += used;
    }
}

/* Sends the bytes with one write(2), or more after a short write. Ignores errors, since it cannot log them. */
static void send_line(const char *bytes, size_t len)
{
    if (log_writer_send(bytes, len))
        return;
    while (len) {
        ssize_t sent = write(STDERR_FILENO, bytes, len);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return;
        bytes += sent;
        len -= (size_t)sent;
    }
}

void log_write(enum log_level level, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    int kept_errno = errno;
    char message[MESSAGE_MAX], utc[25];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    os_format_utc(os_wall_ms(), utc);
    bool json = atomic_load_explicit(&as_json, memory_order_relaxed);
    struct log_line line;
    line.len = 0;
    put_str(&line, json ? "{\"time\":\"" : "");
    put_str(&line, utc);
    put_str(&line, json ? "\",\"level\":\"" : " ");
    put_str(&line, level_name(level));
    put_str(&line, json ? "\",\"message\":\"" : " ");
    const char *tail = json ? "\"}\n" : "\n";
    put_message(&line, message, strlen(tail), json);
    put_str(&line, tail);
    send_line(line.bytes, line.len);
    errno = kept_errno;
}

void log_line(const char *text)
{
    char line[LINE_MAX_BYTES];
    size_t len = strlen(text);
    if (len < sizeof line) {
        memcpy(line, text, len);
        line[len] = '\n';
        send_line(line, len + 1);
        return;
    }
    send_line(text, len); /* text and newline do not fit into `line`: two writes */
    send_line("\n", 1);
}
