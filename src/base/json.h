/* base/json.h: a bounded JSON pull reader and a JSON writer (RFC 8259).
 *
 * The reader walks a span of UTF-8 and never allocates: it returns strings raw, and unescapes them on demand into
 * an arena. It refuses what the RFC refuses (trailing commas, bare control characters, lone surrogates, invalid
 * UTF-8, leading zeros, trailing bytes), nesting deeper than its limit, and numbers longer than JSON_NUMBER_MAX
 * characters. Every error names the byte offset.
 *
 * Walking an object:
 *     json_enter_object(r);
 *     while (json_next_key(r, arena, &key)) {
 *         if (span_equal_str(key, "text")) json_read_string(r, arena, &text);
 *         else json_skip(r);
 *     }
 *     if (json_failed(r)) return json_error(r, error);
 * Errors stick: after the first, every call returns false or zero, so a parser may check once.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/span.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT, JSON_NOTHING };

enum { JSON_DEPTH_MAX = 64, JSON_NUMBER_MAX = 400 };

struct json_reader {
    struct span text;
    size_t at;                         /* offset of the next unread byte */
    unsigned depth;                    /* number of open objects and arrays */
    unsigned depth_max;                /* JSON_DEPTH_MAX unless lowered */
    uint8_t is_object[JSON_DEPTH_MAX]; /* for each open container: whether it is an object */
    uint8_t has_items[JSON_DEPTH_MAX];
    enum dp_status status; /* first failure, or DP_OK */
    size_t failed_at;      /* byte offset of the first failure */
    char why[120];
};

void json_reader_init(struct json_reader *r, struct span text);

/* Returns the type of the next value without consuming it; JSON_NOTHING after a failure or at the end. */
enum json_type json_peek(struct json_reader *r);

bool json_enter_object(struct json_reader *r); /* fails if the next value is not an object */
bool json_enter_array(struct json_reader *r);
/* Reads the next key of the open object and unescapes it. A key with escapes is copied to `arena`; if that is
 * NULL, such a key fails. Returns false on failure, and at the end of the object, which it consumes. */
bool json_next_key(struct json_reader *r, struct arena *arena, struct span *key);
/* Returns true if the open array has another element to read. Returns false on failure, and at the end of the
 * array, which it consumes. */
bool json_next_item(struct json_reader *r);

/* Each of these functions consumes one value. It fails if the value has another type: "expected …, found … at byte
 * …". */
bool json_read_string(struct json_reader *r, struct arena *arena, struct span *out);
bool json_read_bool(struct json_reader *r, bool *out);
bool json_read_i64(struct json_reader *r, int64_t *out); /* refuses 1.0 and 1e3: integers only */
bool json_read_u64(struct json_reader *r, uint64_t *out);
bool json_read_double(struct json_reader *r, double *out); /* rounds correctly; fails if out of range */
bool json_read_float(struct json_reader *r, float *out);   /* rounds the decimal once, not by way of double */
bool json_read_null(struct json_reader *r);
/* Consumes one value of any type and returns its raw text. */
bool json_read_raw(struct json_reader *r, struct span *out);
bool json_skip(struct json_reader *r);
/* Consumes white space up to the end of the text. Fails if anything else is left. */
bool json_end(struct json_reader *r);

static inline bool json_failed(const struct json_reader *r)
{
    return r->status != DP_OK;
}
/* Makes the reader fail at the current value, with the caller's own complaint. */
void json_reject(struct json_reader *r, enum dp_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Fills `error` with the first failure: "… at byte N". */
enum dp_status json_error(const struct json_reader *r, struct dp_error *error);

const char *json_type_name(enum json_type type); /* "an object", "a string", … */

/* A JSON writer. It appends to a buffer, and keeps track of commas and of nesting (at most JSON_DEPTH_MAX). */
struct json_writer {
    struct buffer *out;
    unsigned depth;
    uint8_t has_items[JSON_DEPTH_MAX];
    bool after_key;
};

void json_writer_init(struct json_writer *w, struct buffer *out);
void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_key_span(struct json_writer *w, struct span key);
void json_string(struct json_writer *w, struct span text); /* invalid UTF-8 becomes U+FFFD */
void json_string_str(struct json_writer *w, const char *text);
void json_i64(struct json_writer *w, int64_t v);
void json_u64(struct json_writer *w, uint64_t v);
/* Write the fewest digits that read back as v; null for NaN and infinities. */
void json_float(struct json_writer *w, float v);
void json_double(struct json_writer *w, double v);
void json_floats(struct json_writer *w, const float *v, size_t count); /* an array */
/* Writes bytes as a string of base 64. */
void json_base64(struct json_writer *w, struct span bytes);
void json_bool(struct json_writer *w, bool v);
void json_null(struct json_writer *w);
void json_raw(struct json_writer *w, struct span json); /* a value that is already JSON */

/* Each of these functions writes a key of the open object and its value. */
void json_field_str(struct json_writer *w, const char *key, const char *text); /* NULL: null */
void json_field_span(struct json_writer *w, const char *key, struct span text);
void json_field_i64(struct json_writer *w, const char *key, int64_t v);
void json_field_u64(struct json_writer *w, const char *key, uint64_t v);
void json_field_float(struct json_writer *w, const char *key, float v);
void json_field_double(struct json_writer *w, const char *key, double v);
void json_field_bool(struct json_writer *w, const char *key, bool v);
void json_field_null(struct json_writer *w, const char *key);
void json_field_raw(struct json_writer *w, const char *key, struct span json);
void json_field_object(struct json_writer *w, const char *key); /* the caller ends it with json_end_object() */
void json_field_array(struct json_writer *w, const char *key);

enum {
    JSON_FLOAT_MAX = 16,  /* bytes of the longest float */
    JSON_FLOAT_ROOM = 19, /* bytes that writing a float may touch: the writer cuts zeros at the end afterwards */
};

/* Write the fewest digits that read back as v, without a NUL: at most JSON_FLOAT_MAX bytes for a float, 25 for a
 * double. Return the length. */
size_t json_format_float(float v, char out[JSON_FLOAT_ROOM]);
size_t json_format_double(double v, char out[25]);
/* Writes `count` floats, each with a comma after it, into out[count * (JSON_FLOAT_MAX + 1) + 3]. Returns the
 * length. */
size_t json_format_floats(const float *v, size_t count, char *out);

#endif
