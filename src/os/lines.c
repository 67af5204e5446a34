/* lines.c: reads lines of a stream into one bounded buffer. */
#include "os/file.h"

#include <errno.h>
#include <inttypes.h>

/* Beginnings of files that people mistake for lines of text, and how to get lines from them. A longer beginning
 * comes before a shorter one that it contains. */
static const struct {
    const char *bytes;
    size_t len;
    const char *what;
} FOREIGN[] = {
    {"\x1f\x8b", 2, "gzip data: unpack it first, with gzip -dc"},
    {"\x28\xb5\x2f\xfd", 4, "Zstandard data: unpack it first, with zstd -dc"},
    {"BZh", 3, "bzip2 data: unpack it first, with bzip2 -dc"},
    {"\xfd"
     "7zXZ",
     5, "xz data: unpack it first, with xz -dc"},
    {"PK\x03\x04", 4, "a zip file (an office document is one, too): unpack or export it first"},
    {"\xff\xfe\0\0", 4, "UTF-32: convert it first, with iconv -f UTF-32 -t UTF-8"},
    {"\0\0\xfe\xff", 4, "UTF-32: convert it first, with iconv -f UTF-32 -t UTF-8"},
    {"\xff\xfe", 2, "UTF-16: convert it first, with iconv -f UTF-16 -t UTF-8"},
    {"\xfe\xff", 2, "UTF-16: convert it first, with iconv -f UTF-16 -t UTF-8"},
    {"{\0", 2, "UTF-16: convert it first, with iconv -f UTF-16LE -t UTF-8"},
    {"\0{", 2, "UTF-16: convert it first, with iconv -f UTF-16BE -t UTF-8"},
    {"\x93NUMPY", 6, "numpy's .npy: vectors, not text"},
    {"PAR1", 4, "a Parquet file: export it as JSON lines first"},
    {"SQLite format 3\0", 16, "an SQLite database: export it as JSON lines first"},
    {"%PDF-", 5, "a PDF: take its text out first"},
};

/* Says which kind of file begins with `line`; NULL: no known kind, so probably lines of text. */
static const char *foreign_kind(struct span line)
{
    for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++)
        if (span_starts_with(line, span_of(FOREIGN[i].bytes, FOREIGN[i].len)))
            return FOREIGN[i].what;
    return NULL;
}

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

/* Returns the next byte or EOF. Repeats a read that a signal interrupted. */
static int input_next_byte(FILE *in)
{
    for (;;) {
        errno = 0;
        int byte = getc_unlocked(in);
        if (byte != EOF || !ferror(in) || errno != EINTR)
            return byte;
        clearerr(in);
    }
}

/* Appends a byte; fast while there is room. A failed buffer is full, so it stays unchanged. */
static inline void line_append(struct buffer *b, int byte)
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
    int byte = input_next_byte(r->in);
    if (byte == EOF && !ferror(r->in))
        return false;
    r->number++;
    bool last_was_cr = false; /* a CR belongs to the line only if more bytes of the line follow */
    for (; byte != EOF && byte != '\n'; byte = input_next_byte(r->in)) {
        if (last_was_cr)
            line_append(b, '\r');
        last_was_cr = byte == '\r';
        if (!last_was_cr)
            line_append(b, byte);
    }
    if (ferror(r->in)) {
        dp_fail(error, errno == ECANCELED ? DP_CANCELLED : DP_IO, "cannot read line %" PRIu64 ": %s", r->number,
                strerror(errno));
        return false;
    }
    const char *foreign = r->number == 1 ? foreign_kind(span_of(b->data, b->len)) : NULL;
    if (foreign) {
        dp_fail(error, DP_INVALID, "the input is not lines of text, but %s", foreign);
        return false;
    }
    if (b->status == DP_TOO_LARGE) {
        dp_fail(error, DP_TOO_LARGE, "line %" PRIu64 " is longer than the limit of %zu bytes", r->number, b->max);
        return false;
    }
    if (b->status != DP_OK) {
        dp_fail_nomem(error, "a line");
        return false;
    }
    *line = buffer_span(b);
    return true;
}
