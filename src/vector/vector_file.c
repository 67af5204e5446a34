/* vector_file.c: reading .npy and .fvecs.
 *
 *   npy    = "\x93NUMPY", u8 major, u8 minor, u16 (major 1) or u32 length, header of that length, the numbers
 *   header = a Python dictionary: 'descr', 'fortran_order', 'shape', in any order, as NumPy prints it
 */
#include "vector/vector_file.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"

enum { MAGIC_BYTES = 8, DIGITS_MAX = 18 };

static const char magic[] = "\x93NUMPY";

/* The text behind "'key':" and spaces, up to the end; empty when there is none. */
static struct span value_of(struct span header, const char *key)
{
    char quoted[24];
    size_t len = (size_t)snprintf(quoted, sizeof quoted, "'%s':", key);
    for (size_t at = 0; at + len <= header.len; at++)
        if (memcmp(header.data + at, quoted, len) == 0) {
            struct span value = span_of(header.data + at + len, header.len - at - len);
            while (value.len > 0 && *value.data == ' ')
                value = span_of(value.data + 1, value.len - 1);
            return value;
        }
    return span_of(NULL, 0);
}

/* A number of at most DIGITS_MAX digits off the front; false when there is none. */
static bool take_number(struct span *text, uint64_t *out)
{
    size_t digits = 0;
    *out = 0;
    while (digits < text->len && digits < DIGITS_MAX && text->data[digits] >= '0' && text->data[digits] <= '9')
        *out = *out * 10 + (uint64_t)(text->data[digits++] - '0');
    *text = span_of(text->data + digits, text->len - digits);
    return digits > 0;
}

/* "(3, 4)" or "(4,)": rows and dimensions. */
static bool parse_shape(struct span text, uint64_t *count, uint64_t *dim)
{
    if (text.len == 0 || *text.data != '(')
        return false;
    text = span_of(text.data + 1, text.len - 1);
    if (!take_number(&text, dim) || text.len == 0 || *text.data != ',')
        return false;
    text = span_of(text.data + 1, text.len - 1);
    while (text.len > 0 && *text.data == ' ')
        text = span_of(text.data + 1, text.len - 1);
    *count = 1;
    if (text.len > 0 && *text.data == ')')
        return true;
    *count = *dim;
    return take_number(&text, dim) && text.len > 0 && *text.data == ')';
}

static enum dp_status make_room(struct vector_file *out, uint64_t count, uint64_t dim, struct dp_error *error)
{
    out->count = (size_t)count;
    out->dim = (size_t)dim;
    out->values = mem_alloc((size_t)count * (size_t)dim * sizeof(float));
    return out->values != NULL ? DP_OK : dp_fail_nomem(error, "vectors");
}

static enum dp_status parse_npy(struct span bytes, const char *name, struct vector_file *out,
                                struct dp_error *error)
{
    struct cursor c = cursor_over(bytes);
    uint64_t count = 0, dim = 0, numbers;
    cursor_bytes(&c, 6);
    uint8_t major = cursor_u8(&c);
    cursor_u8(&c);
    uint32_t len = major == 1 ? cursor_u16(&c) : cursor_u32(&c);
    struct span header = cursor_bytes(&c, len);
    if (c.failed || major < 1 || major > 3)
        return dp_fail(error, DP_INVALID, "%s: its .npy header is cut short or of a version that is not known",
                       name);
    struct span type = value_of(header, "descr");
    bool doubles = span_starts_with(type, span_str("'<f8'"));
    if (!doubles && !span_starts_with(type, span_str("'<f4'")))
        return dp_fail(error, DP_INVALID,
                       "%s: its numbers are %.*s; make them float32: numpy.save(…, x.astype('<f4'))", name,
                       type.len > 8 ? 8 : SPAN_FMT(type));
    if (!span_starts_with(value_of(header, "fortran_order"), span_str("False")))
        return dp_fail(error, DP_INVALID, "%s: its order is not C's; save numpy.ascontiguousarray(…)", name);
    if (!parse_shape(value_of(header, "shape"), &count, &dim) || dim < 1)
        return dp_fail(error, DP_INVALID, "%s: its shape must be (vectors, dimensions) or (dimensions,)", name);
    size_t size = doubles ? sizeof(double) : sizeof(float);
    if (__builtin_mul_overflow(count, dim, &numbers) || numbers > c.rest.len / size ||
        numbers * size != c.rest.len)
        return dp_fail(error, DP_INVALID,
                       "%s: %" PRIu64 " vectors of %" PRIu64
                       " dimensions do not take the %zu bytes behind its header",
                       name, count, dim, c.rest.len);
    enum dp_status status = make_room(out, count, dim, error);
    if (status == DP_OK && !doubles && numbers > 0)
        memcpy(out->values, c.rest.data, c.rest.len);
    for (size_t i = 0; status == DP_OK && doubles && i < numbers; i++)
        out->values[i] = (float)cursor_f64(&c);
    return status;
}

static enum dp_status parse_fvecs(struct span bytes, const char *name, struct vector_file *out,
                                  struct dp_error *error)
{
    struct cursor c = cursor_over(bytes);
    int32_t dim = cursor_i32(&c);
    uint64_t row = 4 + 4 * (uint64_t)(dim > 0 ? dim : 0);
    if (c.failed || dim < 1 || bytes.len % row != 0)
        return dp_fail(error, DP_INVALID,
                       "%s: it is neither .npy nor .fvecs: %zu bytes are not whole vectors of %" PRId32
                       " dimensions",
                       name, bytes.len, dim);
    enum dp_status status = make_room(out, bytes.len / row, (uint64_t)dim, error);
    for (size_t i = 0; status == DP_OK && i < out->count; i++) {
        struct cursor vector = cursor_over(span_of(bytes.data + i * row, (size_t)row));
        int32_t d = cursor_i32(&vector);
        if (d != dim)
            return dp_fail(error, DP_INVALID, "%s: vector %zu has %" PRId32 " dimensions, the first %" PRId32,
                           name, i, d, dim);
        memcpy(out->values + i * (size_t)dim, vector.rest.data, vector.rest.len);
    }
    return status;
}

enum dp_status vector_file_parse(struct span bytes, const char *name, struct vector_file *out,
                                 struct dp_error *error)
{
    *out = (struct vector_file){0};
    bool npy = bytes.len >= MAGIC_BYTES && memcmp(bytes.data, magic, sizeof magic - 1) == 0;
    enum dp_status status = npy ? parse_npy(bytes, name, out, error) : parse_fvecs(bytes, name, out, error);
    if (status != DP_OK)
        vector_file_deinit(out);
    return status;
}

void vector_file_deinit(struct vector_file *file)
{
    mem_free(file->values);
    *file = (struct vector_file){0};
}
