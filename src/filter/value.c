/* filter/value.c: checks values against the types of their attributes, and prints their normal forms. */
#include "filter/value.h"

#include "base/base64.h"
#include "filter/datetime.h"
#include "filter/uuid.h"
#include "filter/vector_value.h"
#include "filter/whole_number.h"

enum { BASE64_CHUNK = 4096 }; /* characters that are checked at once; a multiple of 4 */

/* A value on its way into normal form. */
struct value_printing {
    const struct attribute *attribute;
    struct json_reader *r;
    struct arena *arena;
    struct buffer *out;
    struct dp_error *error;
};

/* Fails with the error of the reader. */
static enum dp_status fail_text(const struct value_printing *p)
{
    enum dp_status status = json_error(p->r, p->error);
    dp_error_prefix(p->error, "attribute \"%.*s\"", SPAN_FMT(p->attribute->name));
    return status;
}

/* Fails because the value does not fit the type. `found` says what the value is. */
static enum dp_status fail_type(const struct value_printing *p, const char *found)
{
    char type[ATTRIBUTE_TYPE_ROOM];
    return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\" has type %s, but the value is %s",
                   SPAN_FMT(p->attribute->name), attribute_type_print(p->attribute, type), found);
}

/* Fails unless the next value has this type of JSON. */
static enum dp_status expect_json(const struct value_printing *p, enum json_type type)
{
    enum json_type found = json_peek(p->r);
    if (found == type)
        return DP_OK;
    if (found == JSON_NOTHING)
        json_skip(p->r); /* this makes the reader fail, with a message */
    return json_failed(p->r) ? fail_text(p) : fail_type(p, json_type_name(found));
}

/* Consumes a string, and sets *text to its characters. */
static enum dp_status take_text(const struct value_printing *p, struct span *text)
{
    enum dp_status status = expect_json(p, JSON_STRING);
    if (status)
        return status;
    return json_read_string(p->r, p->arena, text) ? DP_OK : fail_text(p);
}

static enum dp_status put_string(const struct value_printing *p)
{
    struct json_reader before = *p->r;
    struct span raw, text;
    enum dp_status status = expect_json(p, JSON_STRING);
    if (status)
        return status;
    if (!json_read_raw(p->r, &raw))
        return fail_text(p);
    if (!memchr(raw.data, '\\', raw.len)) {
        buffer_append(p->out, raw);
        return DP_OK;
    }
    *p->r = before;
    status = take_text(p, &text);
    if (status == DP_OK) {
        struct json_writer w;
        json_writer_init(&w, p->out);
        json_string(&w, text);
    }
    return status;
}

/* Consumes a whole number of the range of int, or of uint. */
static enum dp_status put_whole(const struct value_printing *p, bool is_signed)
{
    struct span raw;
    struct json_number n;
    uint64_t magnitude;
    struct json_writer w;
    enum dp_status status = expect_json(p, JSON_NUMBER);
    if (status)
        return status;
    if (!json_read_raw(p->r, &raw))
        return fail_text(p);
    json_number_scan(raw, &n);
    enum whole whole = whole_of_number(&n, &magnitude);
    if (whole == WHOLE_NOT)
        return fail_type(p, "a number with a fraction");
    uint64_t max = !is_signed ? UINT64_MAX : (uint64_t)INT64_MAX + n.negative;
    if (whole == WHOLE_OUT_OF_RANGE || magnitude > max || (!is_signed && n.negative && magnitude))
        return fail_type(p, is_signed ? "a number outside -2^63 to 2^63 - 1" : "a number outside 0 to 2^64 - 1");
    json_writer_init(&w, p->out);
    if (n.negative && magnitude)
        json_i64(&w, (int64_t)(0 - magnitude));
    else
        json_u64(&w, magnitude);
    return DP_OK;
}

static enum dp_status put_float(const struct value_printing *p)
{
    double number;
    struct json_writer w;
    enum dp_status status = expect_json(p, JSON_NUMBER);
    if (status)
        return status;
    if (!json_read_double(p->r, &number))
        return fail_text(p);
    json_writer_init(&w, p->out);
    json_double(&w, number);
    return DP_OK;
}

static enum dp_status put_bool(const struct value_printing *p)
{
    bool flag;
    enum dp_status status = expect_json(p, JSON_BOOL);
    if (status)
        return status;
    if (!json_read_bool(p->r, &flag))
        return fail_text(p);
    buffer_append_str(p->out, flag ? "true" : "false");
    return DP_OK;
}

static enum dp_status put_uuid(const struct value_printing *p)
{
    struct span text;
    uint8_t bytes[UUID_BYTES];
    char normal[UUID_TEXT_LEN + 2];
    enum dp_status status = take_text(p, &text);
    if (status)
        return status;
    if (!uuid_parse(text, bytes))
        return fail_type(p, "a string that is not a UUID such as \"769c134d-07b8-4225-954a-b6cc5ffc320c\"");
    normal[0] = normal[UUID_TEXT_LEN + 1] = '"';
    uuid_format(bytes, normal + 1);
    buffer_append(p->out, span_of(normal, sizeof normal));
    return DP_OK;
}

static enum dp_status put_datetime(const struct value_printing *p)
{
    struct span text;
    int64_t ms;
    char normal[DATETIME_TEXT_LEN + 2];
    enum dp_status status = take_text(p, &text);
    if (status)
        return status;
    if (!datetime_parse(text, &ms))
        return fail_type(p, "a string that is not a time such as \"2024-03-01T12:30:00Z\"");
    normal[0] = normal[DATETIME_TEXT_LEN + 1] = '"';
    datetime_format(ms, normal + 1);
    buffer_append(p->out, span_of(normal, sizeof normal));
    return DP_OK;
}

/* Returns whether the text is base64; its padding may be missing. */
static bool is_base64(struct span text)
{
    uint8_t bytes[BASE64_CHUNK / 4 * 3 + 3];
    size_t len;
    for (size_t at = 0; at < text.len; at += BASE64_CHUNK) {
        size_t part = text.len - at < BASE64_CHUNK ? text.len - at : BASE64_CHUNK;
        if (!base64_decode(span_of(text.data + at, part), bytes, &len))
            return false;
        if (at + part < text.len && len != part / 4 * 3)
            return false; /* padding in the middle */
    }
    return true;
}

static enum dp_status put_bytes(const struct value_printing *p)
{
    struct span text;
    enum dp_status status = take_text(p, &text);
    if (status)
        return status;
    if (!is_base64(text))
        return fail_type(p, "a string that is not base64");
    buffer_u8(p->out, '"');
    buffer_append(p->out, text);
    for (size_t i = text.len; i % 4 != 0; i++)
        buffer_u8(p->out, '=');
    buffer_u8(p->out, '"');
    return DP_OK;
}

static enum dp_status put_scalar(const struct value_printing *p, enum attribute_type type)
{
    size_t before = p->out->len;
    enum dp_status status = DP_OK;
    switch (type) {
    case ATTRIBUTE_STRING: status = put_string(p); break;
    case ATTRIBUTE_INT: status = put_whole(p, true); break;
    case ATTRIBUTE_UINT: status = put_whole(p, false); break;
    case ATTRIBUTE_FLOAT: status = put_float(p); break;
    case ATTRIBUTE_BOOL: status = put_bool(p); break;
    case ATTRIBUTE_UUID: status = put_uuid(p); break;
    case ATTRIBUTE_DATETIME: status = put_datetime(p); break;
    case ATTRIBUTE_BYTES: status = put_bytes(p); break;
    case ATTRIBUTE_VECTOR:
    default: status = vector_put(p->attribute, p->r, p->arena, p->out, p->error); break;
    }
    if (status == DP_OK && p->attribute->checked && p->out->len - before > VALUE_CHECKED_MAX + 2)
        status = dp_fail(p->error, DP_TOO_LARGE,
                         "attribute \"%.*s\" is declared filterable, so a value has at most %d bytes, not %zu",
                         SPAN_FMT(p->attribute->name), VALUE_CHECKED_MAX, p->out->len - before);
    return status;
}

static enum dp_status put_array(const struct value_printing *p, enum attribute_type item)
{
    enum dp_status status = expect_json(p, JSON_ARRAY);
    if (status)
        return status;
    if (!json_enter_array(p->r))
        return fail_text(p);
    buffer_u8(p->out, '[');
    for (size_t i = 0; json_next_item(p->r); i++) {
        if (i)
            buffer_u8(p->out, ',');
        if (json_peek(p->r) == JSON_NULL)
            return fail_type(p, "an array with null");
        status = put_scalar(p, item);
        if (status)
            return status;
    }
    buffer_u8(p->out, ']');
    return json_failed(p->r) ? fail_text(p) : DP_OK;
}

enum dp_status value_put(const struct attribute *attribute, struct json_reader *r, struct arena *arena,
                         struct buffer *out, struct dp_error *error)
{
    const struct value_printing p = {attribute, r, arena, out, error};
    size_t before = out->len;
    enum dp_status status;
    if (json_peek(r) == JSON_NULL) {
        if (!json_read_null(r))
            return fail_text(&p);
        buffer_append_str(out, "null");
        return DP_OK;
    }
    if (attribute_is_array(attribute->type))
        status = put_array(&p, attribute_item_type(attribute->type));
    else
        status = put_scalar(&p, attribute->type);
    if (status == DP_OK && out->len - before > VALUE_BYTES_MAX)
        status = dp_fail(error, DP_TOO_LARGE, "attribute \"%.*s\": a value has at most %d bytes, not %zu",
                         SPAN_FMT(attribute->name), VALUE_BYTES_MAX, out->len - before);
    return status;
}

enum dp_status value_normalize(const struct attribute *attribute, struct span raw, struct arena *arena,
                               struct span *out, struct dp_error *error)
{
    struct json_reader r;
    struct buffer text;
    json_reader_init(&r, raw);
    buffer_init(&text, (size_t)2 * VALUE_BYTES_MAX + 64);
    enum dp_status status = value_put(attribute, &r, arena, &text, error);
    if (status == DP_OK && !json_end(&r)) {
        status = json_error(&r, error);
        dp_error_prefix(error, "attribute \"%.*s\"", SPAN_FMT(attribute->name));
    }
    if (status == DP_OK)
        status = buffer_check(&text, "an attribute's value", error);
    if (status == DP_OK && span_equal(buffer_span(&text), raw)) {
        *out = raw;
    } else if (status == DP_OK) {
        *out = arena_copy(arena, buffer_span(&text));
        if (!out->data)
            status = dp_fail_nomem(error, "an attribute's value");
    }
    buffer_deinit(&text);
    return status;
}

bool value_is_normal(const struct attribute *attribute, struct span raw, struct arena *arena)
{
    struct span normal;
    if (attribute->type == ATTRIBUTE_VECTOR && !span_equal_str(raw, "null")) {
        float *numbers = arena_array(arena, attribute->dim, sizeof *numbers);
        return numbers && vector_of_normal(attribute, raw, numbers);
    }
    return value_normalize(attribute, raw, arena, &normal, NULL) == DP_OK && span_equal(normal, raw);
}

/* Finds the type of a string, a number or a bool. Returns false for any other value. */
static bool infer_scalar(struct json_reader *r, enum attribute_type *out)
{
    struct json_reader before = *r;
    int64_t whole;
    double number;
    switch (json_peek(r)) {
    case JSON_STRING: *out = ATTRIBUTE_STRING; return json_skip(r);
    case JSON_BOOL: *out = ATTRIBUTE_BOOL; return json_skip(r);
    case JSON_NUMBER:
        *out = ATTRIBUTE_INT;
        if (json_read_i64(r, &whole))
            return true;
        *r = before;
        *out = ATTRIBUTE_FLOAT;
        return json_read_double(r, &number);
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
    case JSON_NOTHING:
    default: return false;
    }
}

bool value_infer(struct json_reader *r, enum attribute_type *out, bool *known)
{
    *known = false;
    *out = ATTRIBUTE_STRING;
    if (json_peek(r) == JSON_NULL)
        return json_read_null(r);
    if (json_peek(r) != JSON_ARRAY) {
        *known = true;
        return infer_scalar(r, out);
    }
    enum attribute_type type = ATTRIBUTE_STRING, item;
    if (!json_enter_array(r))
        return false;
    while (json_next_item(r)) {
        if (!infer_scalar(r, &item))
            return false;
        bool numbers = (type == ATTRIBUTE_INT && item == ATTRIBUTE_FLOAT) ||
                       (type == ATTRIBUTE_FLOAT && item == ATTRIBUTE_INT);
        if (*known && type != item && !numbers)
            return false;
        type = *known && numbers ? ATTRIBUTE_FLOAT : item;
        *known = true;
    }
    *out = attribute_array_type(type);
    return !json_failed(r);
}
