/* filter/vector_value.c: reads vectors in both forms of the wire, and rounds them to what the attribute stores. */
#include "filter/vector_value.h"

#include <inttypes.h>
#include <math.h>

#include "base/base64.h"

enum { CHUNK = 1024 }; /* elements that are encoded or decoded at once; a multiple of 3 is not needed */

bool half_of_float(float number, uint16_t *out)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff, half;
    if (size >= 0x477ff000) /* 65520, which rounds to infinity; or NaN */
        return false;
    if (size >= 0x38800000) { /* a normal half: 2^-14 or more */
        half = (size + 0xfff + (size >> 13 & 1) - 0x38000000) >> 13;
    } else if (size <= 0x33000000) { /* 2^-25 or less */
        half = 0;
    } else { /* in units of 2^-24 */
        uint32_t shift = 126 - (size >> 23), digits = (size & 0x7fffff) | 0x800000;
        uint32_t rest = digits & ((1u << shift) - 1), middle = 1u << (shift - 1);
        half = digits >> shift;
        half += rest > middle || (rest == middle && (half & 1));
    }
    *out = (uint16_t)(sign | half);
    return true;
}

float float_of_half_bits(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float size = exponent == 0    ? ldexpf((float)fraction, -24)
                 : exponent == 31 ? (fraction ? NAN : INFINITY)
                                  : ldexpf((float)(fraction + 1024), exponent - 25);
    return half >> 15 ? -size : size;
}

/* A vector on its way from JSON. */
struct vector_reading {
    struct json_reader *r;
    struct span name;
    uint32_t dim; /* 0: any */
    struct arena *arena;
    float *numbers;
    uint32_t count;
    struct dp_error *error;
};

static enum dp_status fail_json(const struct vector_reading *v)
{
    enum dp_status status = json_error(v->r, v->error);
    dp_error_prefix(v->error, "attribute \"%.*s\"", SPAN_FMT(v->name));
    return status;
}

/* Takes memory for `count` components. */
static enum dp_status expect_count(struct vector_reading *v, size_t count)
{
    if (v->dim && count != v->dim)
        return dp_fail(v->error, DP_INVALID, "attribute \"%.*s\" has vectors of %" PRIu32 " dimensions, not %zu",
                       SPAN_FMT(v->name), v->dim, count);
    if (count == 0 || count > ATTRIBUTE_DIM_MAX)
        return dp_fail(v->error, DP_INVALID, "attribute \"%.*s\": a vector has 1 to %d dimensions, not %zu",
                       SPAN_FMT(v->name), ATTRIBUTE_DIM_MAX, count);
    v->numbers = arena_array(v->arena, count, sizeof *v->numbers);
    v->count = (uint32_t)count;
    return v->numbers ? DP_OK : dp_fail_nomem(v->error, "a vector");
}

static enum dp_status read_numbers(struct vector_reading *v)
{
    struct json_reader ahead = *v->r;
    size_t count = 0;
    json_enter_array(&ahead);
    while (json_next_item(&ahead) && json_skip(&ahead))
        count++;
    if (json_failed(&ahead)) {
        *v->r = ahead;
        return fail_json(v);
    }
    enum dp_status status = expect_count(v, count);
    if (status)
        return status;
    json_enter_array(v->r);
    for (size_t i = 0; json_next_item(v->r); i++) {
        if (!json_read_float(v->r, &v->numbers[i]))
            return fail_json(v);
    }
    return DP_OK;
}

static enum dp_status read_base64(struct vector_reading *v)
{
    struct span text;
    if (!json_read_string(v->r, v->arena, &text))
        return fail_json(v);
    size_t room = text.len / 4 * 3 + 3, len = 0;
    if (text.len > base64_length((size_t)ATTRIBUTE_DIM_MAX * sizeof(float)))
        return dp_fail(v->error, DP_INVALID, "attribute \"%.*s\": a vector has 1 to %d dimensions",
                       SPAN_FMT(v->name), ATTRIBUTE_DIM_MAX);
    uint8_t *bytes = arena_alloc(v->arena, room);
    if (!bytes)
        return dp_fail_nomem(v->error, "a vector");
    if (!base64_decode(text, bytes, &len) || len % sizeof(float) != 0)
        return dp_fail(v->error, DP_INVALID,
                       "attribute \"%.*s\": a vector is an array of numbers or base64 of little-endian float32",
                       SPAN_FMT(v->name));
    enum dp_status status = expect_count(v, len / sizeof(float));
    if (status)
        return status;
    struct cursor c = cursor_over(span_of(bytes, len));
    for (uint32_t i = 0; i < v->count; i++)
        v->numbers[i] = cursor_f32(&c);
    return DP_OK;
}

/* Rounds each component to the element. */
static enum dp_status round_components(struct vector_reading *v, enum vector_element element)
{
    for (uint32_t i = 0; i < v->count; i++) {
        float number = v->numbers[i];
        uint16_t half = 0;
        if (!isfinite(number))
            return dp_fail(v->error, DP_INVALID,
                           "attribute \"%.*s\": component %" PRIu32 " of a vector is not a finite number",
                           SPAN_FMT(v->name), i);
        if (element == ELEMENT_F16 && !half_of_float(number, &half))
            return dp_fail(v->error, DP_INVALID,
                           "attribute \"%.*s\": component %" PRIu32 " is %g, which does not fit an f16",
                           SPAN_FMT(v->name), i, (double)number);
        if (element == ELEMENT_I8 && !(number >= -128 && number <= 127 && number == (float)(int)number))
            return dp_fail(v->error, DP_INVALID,
                           "attribute \"%.*s\": component %" PRIu32
                           " is %g, but an i8 is a whole number from -128 to 127",
                           SPAN_FMT(v->name), i, (double)number);
        if (element == ELEMENT_F16)
            v->numbers[i] = float_of_half_bits(half);
    }
    return DP_OK;
}

enum dp_status vector_read(struct json_reader *r, struct span name, uint32_t dim, enum vector_element element,
                           struct arena *arena, float **out, uint32_t *count, struct dp_error *error)
{
    struct vector_reading v = {.r = r, .name = name, .dim = dim, .arena = arena, .error = error};
    enum json_type type = json_peek(r);
    enum dp_status status;
    if (type == JSON_ARRAY) {
        status = read_numbers(&v);
    } else if (type == JSON_STRING) {
        status = read_base64(&v);
    } else {
        if (type == JSON_NOTHING)
            json_skip(r); /* this makes the reader fail, with a message */
        if (json_failed(r))
            return fail_json(&v);
        return dp_fail(error, DP_INVALID,
                       "attribute \"%.*s\": a vector is an array of numbers or base64 of little-endian float32, "
                       "not %s",
                       SPAN_FMT(name), json_type_name(type));
    }
    if (status == DP_OK)
        status = round_components(&v, element);
    *out = v.numbers;
    *count = v.count;
    return status;
}

/* Appends one component, which round_components() has rounded, as a stored element. */
static void put_element(struct buffer *out, enum vector_element element, float number)
{
    uint16_t half = 0;
    switch (element) {
    case ELEMENT_F32: buffer_f32(out, number); break;
    case ELEMENT_F16:
        half_of_float(number, &half);
        buffer_u16(out, half);
        break;
    case ELEMENT_I8: buffer_u8(out, (uint8_t)(int8_t)number); break;
    }
}

enum dp_status vector_put(const struct attribute *attribute, struct json_reader *r, struct arena *arena,
                          struct buffer *out, struct dp_error *error)
{
    float *numbers;
    uint32_t count;
    enum dp_status status =
        vector_read(r, attribute->name, attribute->dim, attribute->element, arena, &numbers, &count, error);
    if (status)
        return status;
    struct buffer bytes;
    buffer_init(&bytes, (size_t)ATTRIBUTE_DIM_MAX * sizeof(float));
    for (uint32_t i = 0; i < count; i++)
        put_element(&bytes, attribute->element, numbers[i]);
    status = buffer_check(&bytes, "a vector", error);
    if (status == DP_OK) {
        buffer_u8(out, '"');
        base64_encode(buffer_span(&bytes), out);
        buffer_u8(out, '"');
    }
    buffer_deinit(&bytes);
    return status;
}

static float take_element(struct cursor *c, enum vector_element element)
{
    switch (element) {
    case ELEMENT_F32: return cursor_f32(c);
    case ELEMENT_F16: return float_of_half_bits(cursor_u16(c));
    case ELEMENT_I8: break;
    }
    return (float)(int8_t)cursor_u8(c);
}

bool vector_of_normal(const struct attribute *attribute, struct span normal, float *out)
{
    size_t len = attribute->dim * element_size(attribute->element), chars = base64_length(len), at = 0, done = 0;
    uint8_t bytes[3 * CHUNK + 3], kept[4] = {0};
    size_t kept_count = 0, size = element_size(attribute->element);
    if (normal.len != chars + 2 || normal.data[0] != '"' || normal.data[normal.len - 1] != '"')
        return false;
    while (at < chars) {
        size_t part = chars - at < (size_t)4 * CHUNK ? chars - at : (size_t)4 * CHUNK, count = 0;
        if (!base64_decode(span_of(normal.data + 1 + at, part), bytes, &count))
            return false;
        at += part;
        if (at < chars && count != part / 4 * 3)
            return false; /* padding in the middle */
        for (size_t i = 0; i < count; i++) {
            kept[kept_count++] = bytes[i];
            if (kept_count < size)
                continue;
            struct cursor c = cursor_over(span_of(kept, size));
            if (done == attribute->dim)
                return false;
            out[done++] = take_element(&c, attribute->element);
            if (!isfinite(out[done - 1]))
                return false;
            kept_count = 0;
        }
    }
    return done == attribute->dim && kept_count == 0;
}
