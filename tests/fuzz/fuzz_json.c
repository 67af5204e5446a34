/* fuzz_json.c: the JSON reader and writer on any bytes.
 *
 * Checked beyond memory safety: the reader accepts the writer's copy of any document that it accepted, and the copy has
 * an equal structure; skipping a value and walking it agree; printed numbers read back bit by bit. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies the next value to the writer. Returns false when the reader refuses it. */
static bool copy_value(struct json_reader *r, struct json_writer *w, struct arena *arena)
{
    struct span text;
    double number;
    int64_t integer;
    bool flag;
    switch (json_peek(r)) {
    case JSON_NULL: json_null(w); return json_read_null(r);
    case JSON_BOOL:
        flag = false;
        json_read_bool(r, &flag);
        json_bool(w, flag);
        return !json_failed(r);
    case JSON_NUMBER: {
        struct json_reader ahead = *r;
        if (json_read_i64(&ahead, &integer)) {
            *r = ahead;
            json_i64(w, integer);
            return true;
        }
        if (!json_read_double(r, &number))
            return false;
        json_double(w, number);
        return true;
    }
    case JSON_STRING:
        if (!json_read_string(r, arena, &text))
            return false;
        json_string(w, text);
        return true;
    case JSON_ARRAY:
        if (!json_enter_array(r))
            return false; /* nested too deeply */
        json_begin_array(w);
        while (json_next_item(r))
            if (!copy_value(r, w, arena))
                return false;
        if (!json_failed(r))
            json_end_array(w);
        return !json_failed(r);
    case JSON_OBJECT:
        if (!json_enter_object(r))
            return false; /* nested too deeply */
        json_begin_object(w);
        while (json_next_key(r, arena, &text)) {
            json_key_span(w, text);
            if (!copy_value(r, w, arena))
                return false;
        }
        if (!json_failed(r))
            json_end_object(w);
        return !json_failed(r);
    case JSON_NOTHING: break;
    }
    return json_skip(r); /* the reader refuses it with a message */
}

/* Reads all of `text` and writes it again. Returns false when it is not a JSON document. */
static bool rewrite(struct span text, struct buffer *out, struct arena *arena)
{
    struct json_reader r;
    struct json_writer w;
    json_reader_init(&r, text);
    json_writer_init(&w, out);
    return copy_value(&r, &w, arena) && json_end(&r);
}

static void check_numbers(const uint8_t *data, size_t size)
{
    struct json_reader r;
    char text[25];
    if (size >= sizeof(double)) {
        double v, back;
        memcpy(&v, data, sizeof v);
        json_reader_init(&r, span_of(text, json_format_double(v, text)));
        if (v - v == 0) {
            assert(json_read_double(&r, &back) && json_end(&r));
            assert(memcmp(&v, &back, sizeof v) == 0);
        }
    }
    if (size >= sizeof(float)) {
        float v, back;
        memcpy(&v, data, sizeof v);
        json_reader_init(&r, span_of(text, json_format_float(v, text)));
        if (v - v == 0) {
            assert(json_read_float(&r, &back) && json_end(&r));
            assert(memcmp(&v, &back, sizeof v) == 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct arena arena;
    struct buffer once, twice;
    struct json_reader r;
    struct dp_error error;
    arena_init(&arena, 1 << 26);
    buffer_init(&once, 1 << 26);
    buffer_init(&twice, 1 << 26);

    json_reader_init(&r, text);
    bool skipped = json_skip(&r) && json_end(&r);
    if (!skipped) {
        assert(json_error(&r, &error) != DP_OK && error.message[0] && r.failed_at <= size);
        assert(!json_skip(&r) && json_peek(&r) == JSON_NOTHING);
    }
    bool walked = rewrite(text, &once, &arena);
    assert(!walked || skipped); /* walking also refuses numbers out of range */
    if (walked) {
        assert(once.status == DP_OK);
        assert(rewrite(buffer_span(&once), &twice, &arena));
        assert(span_equal(buffer_span(&once), buffer_span(&twice)));
    }
    check_numbers(data, size);
    buffer_deinit(&once);
    buffer_deinit(&twice);
    arena_deinit(&arena);
    return 0;
}
