/* vector_file.c: reading .npy and .fvecs.
 *
 *   npy    = "\x93NUMPY", u8 major, u8 minor, u16 (major 1) or u32 length, header of that length, the numbers
 *   header = a Python dictionary: 'descr', 'fortran_order', 'shape', in any order, as NumPy prints it
 */
#include "vector/vector_file.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they lie in the file");

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

static enum dp_status parse_npy(struct span head, uint64_t file_bytes, const char *name, struct vector_layout *out,
                                struct dp_error *error)
{
    static const struct {
        const char *descr;
        enum vector_type type;
        size_t size;
    } types[] = {{"'<f4'", VECTOR_F32, 4}, {"'<f8'", VECTOR_F64, 8}, {"'<i8'", VECTOR_I64, 8}};
    struct cursor c = cursor_over(head);
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
    size_t t = 0;
    while (t < 3 && !span_starts_with(type, span_str(types[t].descr)))
        t++;
    if (t == 3)
        return dp_fail(error, DP_INVALID,
                       "%s: its numbers are %.*s; make them float32: numpy.save(…, x.astype('<f4'))", name,
                       type.len > 8 ? 8 : SPAN_FMT(type));
    if (!span_starts_with(value_of(header, "fortran_order"), span_str("False")))
        return dp_fail(error, DP_INVALID, "%s: its order is not C's; save numpy.ascontiguousarray(…)", name);
    if (!parse_shape(value_of(header, "shape"), &count, &dim) || dim < 1)
        return dp_fail(error, DP_INVALID, "%s: its shape must be (vectors, dimensions) or (dimensions,)", name);
    uint64_t size = types[t].size, rest = file_bytes - c.offset;
    if (dim > INT32_MAX || __builtin_mul_overflow(count, dim, &numbers) || numbers > rest / size ||
        numbers * size != rest)
        return dp_fail(error, DP_INVALID,
                       "%s: %" PRIu64 " vectors of %" PRIu64 " dimensions do not take the %" PRIu64
                       " bytes behind its header",
                       name, count, dim, rest);
    *out = (struct vector_layout){.type = types[t].type,
                                  .count = count,
                                  .dim = (size_t)dim,
                                  .begin = c.offset,
                                  .row_bytes = (size_t)(dim * size)};
    return DP_OK;
}

static enum dp_status parse_fvecs(struct span head, uint64_t file_bytes, const char *name,
                                  struct vector_layout *out, struct dp_error *error)
{
    struct cursor c = cursor_over(head);
    int32_t dim = cursor_i32(&c);
    uint64_t row = 4 + 4 * (uint64_t)(dim > 0 ? dim : 0);
    if (c.failed || dim < 1 || file_bytes % row != 0)
        return dp_fail(error, DP_INVALID,
                       "%s: it is neither .npy nor .fvecs: %" PRIu64 " bytes are not whole vectors of %" PRId32
                       " dimensions",
                       name, file_bytes, dim);
    *out = (struct vector_layout){
        .type = VECTOR_FVECS, .count = file_bytes / row, .dim = (size_t)dim, .row_bytes = (size_t)row};
    return DP_OK;
}

enum dp_status vector_layout_parse(struct span head, uint64_t file_bytes, const char *name,
                                   struct vector_layout *out, struct dp_error *error)
{
    *out = (struct vector_layout){0};
    bool npy = head.len >= MAGIC_BYTES && memcmp(head.data, magic, sizeof magic - 1) == 0;
    return npy ? parse_npy(head, file_bytes, name, out, error) : parse_fvecs(head, file_bytes, name, out, error);
}

enum dp_status vector_layout_take(const struct vector_layout *layout, struct span bytes, uint64_t first,
                                  const char *name, float *out, struct dp_error *error)
{
    size_t dim = layout->dim, count = bytes.len / layout->row_bytes;
    for (size_t r = 0; r < count; r++, out += dim) {
        struct cursor row = cursor_over(span_of(bytes.data + r * layout->row_bytes, layout->row_bytes));
        int32_t d = layout->type == VECTOR_FVECS ? cursor_i32(&row) : 0;
        if (layout->type == VECTOR_FVECS && d != (int32_t)dim)
            return dp_fail(error, DP_INVALID, "%s: vector %" PRIu64 " has %" PRId32 " dimensions, the first %zu",
                           name, first + r, d, dim);
        if (layout->type == VECTOR_F64)
            for (size_t i = 0; i < dim; i++)
                out[i] = (float)cursor_f64(&row);
        else
            memcpy(out, row.rest.data, dim * sizeof *out);
    }
    return DP_OK;
}

enum dp_status vector_layout_want_floats(const struct vector_layout *layout, const char *name,
                                         struct dp_error *error)
{
    if (layout->type != VECTOR_I64)
        return DP_OK;
    return dp_fail(error, DP_INVALID,
                   "%s: its numbers are '<i8'; make them float32: numpy.save(…, x.astype('<f4'))", name);
}

enum dp_status vector_file_parse(struct span bytes, const char *name, struct vector_file *out,
                                 struct dp_error *error)
{
    struct vector_layout layout;
    struct span head = span_of(bytes.data, bytes.len < VECTOR_HEAD_MAX ? bytes.len : VECTOR_HEAD_MAX);
    *out = (struct vector_file){0};
    enum dp_status status = vector_layout_parse(head, bytes.len, name, &layout, error);
    if (status == DP_OK)
        status = vector_layout_want_floats(&layout, name, error);
    if (status != DP_OK)
        return status;
    out->count = (size_t)layout.count;
    out->dim = layout.dim;
    out->values = mem_alloc(out->count * out->dim * sizeof(float));
    struct span rows = span_of(bytes.data + layout.begin, bytes.len - (size_t)layout.begin);
    status = out->values != NULL ? vector_layout_take(&layout, rows, 0, name, out->values, error)
                                 : dp_fail_nomem(error, "vectors");
    if (status != DP_OK)
        vector_file_deinit(out);
    return status;
}

enum dp_status vector_ids_parse(struct span bytes, const char *name, int64_t **out, size_t *count,
                                struct dp_error *error)
{
    struct vector_layout layout;
    struct span head = span_of(bytes.data, bytes.len < VECTOR_HEAD_MAX ? bytes.len : VECTOR_HEAD_MAX);
    *out = NULL;
    *count = 0;
    enum dp_status status = vector_layout_parse(head, bytes.len, name, &layout, error);
    if (status != DP_OK)
        return status;
    if (layout.type != VECTOR_I64 || (layout.count != 1 && layout.dim != 1))
        return dp_fail(error, DP_INVALID, "%s: ids are int64[n]: numpy.save(…, ids.astype('<i8'))", name);
    size_t n = (size_t)layout.count * layout.dim;
    *out = mem_alloc(n * sizeof **out);
    if (*out == NULL)
        return dp_fail_nomem(error, "ids");
    *count = n;
    if (n > 0)
        memcpy(*out, bytes.data + layout.begin, n * sizeof **out);
    return DP_OK;
}

void vector_file_deinit(struct vector_file *file)
{
    mem_free(file->values);
    *file = (struct vector_file){0};
}
