/* json_writer.c: the JSON writer.
 *
 * `has_items` of each open container and `after_key` decide about commas. The output buffer remembers failures
 * (base/buffer.h), so nobody checks after each value. Wrong nesting is our own mistake, which asserts find.
 */
#include "base/json.h"

#include <assert.h>

#include "base/base64.h"
#include "base/utf8.h"

enum { DOUBLE_MAX = 25, FLOATS_AT_ONCE = 64 };

void json_writer_init(struct json_writer *w, struct buffer *out)
{
    w->out = out;
    w->depth = 0;
    w->after_key = false;
}

/* Writes the comma that a value or key needs before it. */
static void write_comma(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0)
        return;
    if (w->has_items[w->depth - 1])
        buffer_u8(w->out, ',');
    w->has_items[w->depth - 1] = true;
}

static void begin_container(struct json_writer *w, char open)
{
    write_comma(w);
    assert(w->depth < JSON_DEPTH_MAX);
    buffer_u8(w->out, (uint8_t)open);
    w->has_items[w->depth++] = false;
}

static void end_container(struct json_writer *w, char close)
{
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    buffer_u8(w->out, (uint8_t)close);
}

void json_begin_object(struct json_writer *w)
{
    begin_container(w, '{');
}

void json_end_object(struct json_writer *w)
{
    end_container(w, '}');
}

void json_begin_array(struct json_writer *w)
{
    begin_container(w, '[');
}

void json_end_array(struct json_writer *w)
{
    end_container(w, ']');
}

/* Appends a byte that a JSON string may hold only as an escape. */
static void append_escape(struct buffer *out, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    static const char names[32] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    uint8_t escape[6] = {'\\', byte};
    size_t len = 2;
    if (byte < 0x20 && names[byte]) {
        escape[1] = (uint8_t)names[byte];
    } else if (byte < 0x20) {
        memcpy(escape, "\\u00", 4);
        escape[4] = (uint8_t)digits[byte >> 4];
        escape[5] = (uint8_t)digits[byte & 15];
        len = 6;
    }
    buffer_append(out, span_of(escape, len));
}

static void append_string(struct buffer *out, struct span text)
{
    static const uint8_t nothing[1];
    const uint8_t *at = text.len ? text.data : nothing, *stop = at + text.len;
    buffer_u8(out, '"');
    while (at < stop) {
        const uint8_t *run = at;
        size_t len;
        do { /* whole characters that need no escape */
            at += utf8_plain_length(at, stop);
            len = at < stop && *at >= 0x80 ? utf8_length(at, stop) : 0;
            at += len;
        } while (len);
        buffer_append(out, span_of(run, (size_t)(at - run)));
        if (at == stop)
            break;
        if (*at >= 0x80) {
            buffer_append_str(out, "\xef\xbf\xbd");
            at += utf8_bad_length(at, stop);
        } else {
            append_escape(out, *at++);
        }
    }
    buffer_u8(out, '"');
}

void json_key_span(struct json_writer *w, struct span key)
{
    assert(w->depth > 0 && !w->after_key);
    write_comma(w);
    append_string(w->out, key);
    buffer_u8(w->out, ':');
    w->after_key = true;
}

void json_key(struct json_writer *w, const char *key)
{
    json_key_span(w, span_str(key));
}

void json_string(struct json_writer *w, struct span text)
{
    write_comma(w);
    append_string(w->out, text);
}

void json_string_str(struct json_writer *w, const char *text)
{
    json_string(w, span_str(text));
}

/* Appends decimal digits, after a '-' when `negative`. */
static void append_integer(struct buffer *out, uint64_t magnitude, bool negative)
{
    uint8_t text[24];
    size_t at = sizeof text;
    do {
        text[--at] = (uint8_t)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude);
    if (negative)
        text[--at] = '-';
    buffer_append(out, span_of(text + at, sizeof text - at));
}

void json_i64(struct json_writer *w, int64_t v)
{
    write_comma(w);
    append_integer(w->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

void json_u64(struct json_writer *w, uint64_t v)
{
    write_comma(w);
    append_integer(w->out, v, false);
}

static void append_float(struct buffer *out, float v)
{
    char text[JSON_FLOAT_ROOM];
    buffer_append(out, span_of(text, json_format_float(v, text)));
}

void json_float(struct json_writer *w, float v)
{
    write_comma(w);
    append_float(w->out, v);
}

void json_double(struct json_writer *w, double v)
{
    char text[DOUBLE_MAX];
    write_comma(w);
    buffer_append(w->out, span_of(text, json_format_double(v, text)));
}

void json_floats(struct json_writer *w, const float *v, size_t count)
{
    struct buffer *out = w->out;
    write_comma(w);
    buffer_u8(out, '[');
    size_t done = 0;
    while (done < count) {
        size_t some = count - done < FLOATS_AT_ONCE ? count - done : FLOATS_AT_ONCE;
        size_t room = some * (JSON_FLOAT_MAX + 1) + JSON_FLOAT_ROOM - JSON_FLOAT_MAX;
        if (out->status != DP_OK)
            return;
        if (room >
            out->max - out->len) { /* near the maximum: the longest forms may not fit, but these floats may */
            append_float(out, v[done++]);
            if (done < count)
                buffer_u8(out, ',');
            continue;
        }
        char *to = (char *)buffer_reserve(out, room);
        if (!to)
            return;
        out->len += json_format_floats(v + done, some, to);
        done += some;
        out->len -= done == count; /* no comma after the last */
    }
    buffer_u8(out, ']');
}

void json_bool(struct json_writer *w, bool v)
{
    write_comma(w);
    buffer_append_str(w->out, v ? "true" : "false");
}

void json_null(struct json_writer *w)
{
    write_comma(w);
    buffer_append_str(w->out, "null");
}

void json_raw(struct json_writer *w, struct span json)
{
    write_comma(w);
    buffer_append(w->out, json);
}

void json_base64(struct json_writer *w, struct span bytes)
{
    json_raw(w, span_str("\"")); /* the writer sees a value begin, and puts its comma */
    base64_encode(bytes, w->out);
    buffer_append_str(w->out, "\"");
}

/* ---- fields ---- */

void json_field_str(struct json_writer *w, const char *key, const char *text)
{
    json_key(w, key);
    if (text)
        json_string_str(w, text);
    else
        json_null(w);
}

void json_field_span(struct json_writer *w, const char *key, struct span text)
{
    json_key(w, key);
    json_string(w, text);
}

void json_field_i64(struct json_writer *w, const char *key, int64_t v)
{
    json_key(w, key);
    json_i64(w, v);
}

void json_field_u64(struct json_writer *w, const char *key, uint64_t v)
{
    json_key(w, key);
    json_u64(w, v);
}

void json_field_float(struct json_writer *w, const char *key, float v)
{
    json_key(w, key);
    json_float(w, v);
}

void json_field_double(struct json_writer *w, const char *key, double v)
{
    json_key(w, key);
    json_double(w, v);
}

void json_field_bool(struct json_writer *w, const char *key, bool v)
{
    json_key(w, key);
    json_bool(w, v);
}

void json_field_null(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_null(w);
}

void json_field_raw(struct json_writer *w, const char *key, struct span json)
{
    json_key(w, key);
    json_raw(w, json);
}

void json_field_object(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_begin_object(w);
}

void json_field_array(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_begin_array(w);
}
