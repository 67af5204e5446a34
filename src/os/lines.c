/* lines.c: reads lines of a stream into one bounded buffer. */
#include "os/file.h"

#include <errno.h>

void line_reader_init(struct line_reader *r, FILE *in, size_t max_line)
{
    r->in = in;
    r->number = 0;
    buffer_init(&r->line, max_line);
}

void line_reader_deinit(struct line_reader *r)
{
    buffer_deinit(&r->line);
    r->in = NULL;
}

/* The next byte; a read that a signal interrupted is tried again. */
static int next_byte(FILE *in)
{
    for (;;) {
        errno = 0;
        int byte = getc_unlocked(in);
        if (byte != EOF || !ferror(in) || errno != EINTR)
            return byte;
        clearerr(in);
    }
}

/* Appends a byte; quickly while there is room. A buffer that has failed is full, so it stays as it is. */
static inline void append(struct buffer *b, int byte)
{
    if (b->len < b->cap)
        b->data[b->len++] = (uint8_t)byte;
    else
        buffer_u8(b, (uint8_t)byte);
}

bool line_reader_next(struct line_reader *r, struct span *line, struct dp_error *error)
{
    struct buffer *b = &r->line;
    dp_error_clear(error);
    buffer_clear(b);
    int byte = next_byte(r->in);
    if (byte == EOF && !ferror(r->in))
        return false;
    r->number++;
    bool last_was_cr = false; /* held back: it belongs to the line only when more of the line follows */
    for (; byte != EOF && byte != '\n'; byte = next_byte(r->in)) {
        if (last_was_cr)
            append(b, '\r');
        last_was_cr = byte == '\r';
        if (!last_was_cr)
            append(b, byte);
    }
    if (ferror(r->in)) {
        dp_fail(error, errno == ECANCELED ? DP_CANCELLED : DP_IO, "cannot read line %llu: %s",
                (unsigned long long)r->number, strerror(errno));
        return false;
    }
    if (b->status == DP_TOO_LARGE) {
        dp_fail(error, DP_TOO_LARGE, "line %llu is longer than the limit of %zu bytes",
                (unsigned long long)r->number, b->max);
        return false;
    }
    if (b->status != DP_OK) {
        dp_fail_nomem(error, "a line");
        return false;
    }
    *line = buffer_span(b);
    return true;
}
