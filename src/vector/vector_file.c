/* vector_file.c: reads the numbers of a file of vectors or ids.
 *
 * vector_header.c reads the headers. This file reads numbers byte by byte, so that neither alignment nor byte
 * order matters; it copies little-endian floats.
 */
#include "vector/vector_file.h"

#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are copied as they lie in the file");

/* Returns the bits of the number at `at`, whatever its byte order, as an integer. */
static uint64_t bits_of(const struct vector_layout *layout, const uint8_t *at)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < layout->size; i++)
        bits |= (uint64_t)at[layout->big_endian ? layout->size - 1 - i : i] << (8 * i);
    return bits;
}

static float float_of_half(uint64_t half)
{
    int exponent = (int)(half >> 10 & 31);
    float fraction = (float)(half & 1023), size;
    if (exponent == 0)
        size = ldexpf(fraction, -24);
    else if (exponent < 31)
        size = ldexpf(fraction + 1024.0f, exponent - 25);
    else
        size = fraction != 0.0f ? NAN : INFINITY;
    return half >> 15 != 0 ? -size : size;
}

static float float_of(const struct vector_layout *layout, const uint8_t *at)
{
    uint64_t bits = bits_of(layout, at);
    uint32_t low = (uint32_t)bits;
    float single;
    double twice;
    switch (layout->type) {
    case VECTOR_F16: return float_of_half(bits);
    case VECTOR_F32: memcpy(&single, &low, sizeof single); return single;
    case VECTOR_F64: memcpy(&twice, &bits, sizeof twice); return (float)twice;
    case VECTOR_I8: return (float)(int8_t)(uint8_t)bits;
    case VECTOR_I16: return (float)(int16_t)(uint16_t)bits;
    case VECTOR_I32: return (float)(int32_t)low;
    case VECTOR_I64: return (float)(int64_t)bits;
    case VECTOR_BOOL: return bits != 0 ? 1.0f : 0.0f;
    case VECTOR_U8:
    case VECTOR_U16:
    case VECTOR_U32:
    case VECTOR_U64: break;
    }
    return (float)bits;
}

bool vector_layout_is_plain(const struct vector_layout *layout)
{
    return layout->type == VECTOR_F32 && !layout->big_endian && !layout->columns && layout->prefix == 0;
}

enum dp_status vector_layout_take(const struct vector_layout *layout, struct span bytes, uint64_t first,
                                  const char *name, float *out, struct dp_error *error)
{
    size_t dim = layout->dim, count = bytes.len / layout->row_bytes;
    bool floats = layout->type == VECTOR_F32 && !layout->big_endian;
    for (size_t r = 0; r < count; r++, out += dim) {
        struct cursor row = cursor_over(span_of(bytes.data + r * layout->row_bytes, layout->row_bytes));
        int32_t d = layout->prefix > 0 ? cursor_i32(&row) : (int32_t)dim;
        if (d != (int32_t)dim)
            return dp_fail(error, DP_INVALID, "%s: vector %" PRIu64 " has %" PRId32 " dimensions, the first %zu",
                           name, first + r, d, dim);
        if (floats)
            memcpy(out, row.rest.data, dim * sizeof *out);
        else
            for (size_t i = 0; i < dim; i++)
                out[i] = float_of(layout, row.rest.data + i * layout->size);
    }
    return DP_OK;
}

uint64_t vector_layout_column_at(const struct vector_layout *layout, size_t column, uint64_t first)
{
    return layout->begin + (column * layout->count + first) * layout->size;
}

void vector_layout_take_column(const struct vector_layout *layout, struct span bytes, size_t column, float *out)
{
    for (size_t r = 0; r < bytes.len / layout->size; r++)
        out[r * layout->dim + column] = float_of(layout, bytes.data + r * layout->size);
}

enum dp_status vector_file_parse(struct span bytes, const char *name, struct vector_file *out,
                                 struct dp_error *error)
{
    struct vector_layout layout;
    struct span head = span_of(bytes.data, bytes.len < VECTOR_HEAD_MAX ? bytes.len : VECTOR_HEAD_MAX);
    *out = (struct vector_file){0};
    enum dp_status status = vector_layout_parse(head, bytes.len, name, &layout, error);
    if (status != DP_OK)
        return status;
    out->count = (size_t)layout.count;
    out->dim = layout.dim;
    out->values = mem_alloc(out->count * out->dim * sizeof(float));
    if (!out->values) {
        *out = (struct vector_file){0};
        return dp_fail_nomem(error, "vectors");
    }
    struct span numbers = span_of(bytes.data + layout.begin, bytes.len - (size_t)layout.begin);
    if (!layout.columns)
        status = vector_layout_take(&layout, numbers, 0, name, out->values, error);
    for (size_t c = 0; layout.columns && c < layout.dim; c++)
        vector_layout_take_column(
            &layout, span_of(bytes.data + vector_layout_column_at(&layout, c, 0), out->count * layout.size), c,
            out->values);
    if (status != DP_OK)
        vector_file_deinit(out);
    return status;
}

static bool is_whole(enum vector_type type)
{
    return type >= VECTOR_I8 && type <= VECTOR_U64;
}

static int64_t id_of(const struct vector_layout *layout, const uint8_t *at)
{
    uint64_t bits = bits_of(layout, at);
    switch (layout->type) {
    case VECTOR_I8: return (int8_t)(uint8_t)bits;
    case VECTOR_I16: return (int16_t)(uint16_t)bits;
    case VECTOR_I32: return (int32_t)(uint32_t)bits;
    default: return (int64_t)bits;
    }
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
    if (!is_whole(layout.type) || layout.prefix > 0 || (layout.count != 1 && layout.dim != 1))
        return dp_fail(error, DP_INVALID,
                       "%s: ids are whole numbers in one dimension: numpy.save(…, ids.astype('<i8'))", name);
    size_t n = (size_t)layout.count * layout.dim;
    int64_t *ids = mem_alloc(n * sizeof *ids);
    if (!ids)
        return dp_fail_nomem(error, "ids");
    for (size_t i = 0; i < n; i++) {
        ids[i] = id_of(&layout, bytes.data + layout.begin + i * layout.size);
        if (layout.type == VECTOR_U64 && ids[i] < 0) {
            uint64_t id = (uint64_t)ids[i];
            mem_free(ids);
            return dp_fail(error, DP_INVALID, "%s: id %zu is %" PRIu64 "; ids are less than 2^63", name, i, id);
        }
    }
    *out = ids;
    *count = n;
    return DP_OK;
}

void vector_file_deinit(struct vector_file *file)
{
    mem_free(file->values);
    *file = (struct vector_file){0};
}
