/* safetensors.c: parses the header of a .safetensors file and reads its float tensors.
 *
 * The bytes come from outside. The parser checks every length and offset against the file before it uses them, and
 * checks the product of a shape for overflow. Format: https://github.com/huggingface/safetensors (README,
 * "Format").
 */
#include "embed/folder/safetensors.h"

#include <inttypes.h>
#include <math.h>

#include "base/json.h"

static const struct {
    const char *name;
    enum tensor_type type;
    unsigned bytes;
} types[] = {
    {"F32", TENSOR_F32, 4},    {"F16", TENSOR_F16, 2},   {"BF16", TENSOR_BF16, 2}, {"F64", TENSOR_OTHER, 8},
    {"I64", TENSOR_OTHER, 8},  {"U64", TENSOR_OTHER, 8}, {"I32", TENSOR_OTHER, 4}, {"U32", TENSOR_OTHER, 4},
    {"I16", TENSOR_OTHER, 2},  {"U16", TENSOR_OTHER, 2}, {"I8", TENSOR_OTHER, 1},  {"U8", TENSOR_OTHER, 1},
    {"BOOL", TENSOR_OTHER, 1},
};

/* Reads a shape, and sets t->count to its product. */
static bool read_shape(struct json_reader *r, struct tensor *t)
{
    if (!json_enter_array(r))
        return false;
    t->dims = 0;
    t->count = 1;
    while (json_next_item(r)) {
        uint64_t size;
        if (!json_read_u64(r, &size))
            return false;
        if (t->dims == TENSOR_DIMS_MAX || __builtin_mul_overflow(t->count, size, &t->count)) {
            json_reject(r, DP_CORRUPT, "the shape is too large");
            return false;
        }
        t->shape[t->dims++] = size;
    }
    return !json_failed(r);
}

/* Reads one tensor's object. Rejects a tensor whose bytes are not t->count elements, or do not lie within
 * `data`. */
static void read_tensor(struct json_reader *r, struct arena *arena, struct span data, struct tensor *t)
{
    bool has_type = false, has_shape = false, has_offsets = false;
    uint64_t offsets[2] = {0, 0}, bytes;
    unsigned element = 1;
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        if (span_equal_str(key, "dtype") && json_read_string(r, arena, &t->type_name)) {
            size_t i = 0, n = sizeof types / sizeof *types;
            while (i < n && !span_equal_str(t->type_name, types[i].name))
                i++;
            if (i == n) {
                json_reject(r, DP_UNSUPPORTED, "unknown dtype %.*s", SPAN_FMT(t->type_name));
                return;
            }
            t->type = types[i].type;
            element = types[i].bytes;
            has_type = true;
        } else if (span_equal_str(key, "shape")) {
            has_shape = read_shape(r, t);
        } else if (span_equal_str(key, "data_offsets")) {
            uint64_t offset;
            size_t n = 0;
            json_enter_array(r);
            for (; json_next_item(r); n++)
                if (json_read_u64(r, &offset) && n < 2)
                    offsets[n] = offset;
            has_offsets = n == 2;
        } else {
            json_skip(r);
        }
    }
    if (json_failed(r))
        return;
    if (!has_type || !has_shape || !has_offsets)
        json_reject(r, DP_CORRUPT, "a tensor lacks dtype, shape or two data_offsets");
    else if (__builtin_mul_overflow(t->count, element, &bytes) || offsets[1] < offsets[0] ||
             offsets[1] - offsets[0] != bytes)
        json_reject(r, DP_CORRUPT, "tensor %.*s: shape and data_offsets disagree", SPAN_FMT(t->name));
    else if (!span_sub(data, offsets[0], bytes, &t->data))
        json_reject(r, DP_CORRUPT, "tensor %.*s ends past the file; is it truncated?", SPAN_FMT(t->name));
}

enum dp_status safetensors_parse(struct span file, struct arena *arena, struct safetensors *out,
                                 struct dp_error *error)
{
    struct cursor c = cursor_over(file);
    uint64_t header_len = cursor_u64(&c);
    struct span header = cursor_bytes(&c, header_len);
    if (c.failed)
        return dp_fail(error, DP_CORRUPT,
                       "not a safetensors file, or a truncated one: its %zu bytes hold no header", file.len);
    struct span data = c.rest;

    /* Count the names first, so that the header's length bounds the memory for the table. */
    struct json_reader r;
    struct span key;
    size_t count = 0;
    json_reader_init(&r, header);
    r.depth_max = 4;
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key) && count <= TENSORS_MAX) {
        count++;
        json_skip(&r);
    }
    if (!json_failed(&r) && count > TENSORS_MAX)
        return dp_fail(error, DP_TOO_LARGE, "a safetensors file of more than %d tensors", TENSORS_MAX);
    if (!json_failed(&r))
        json_end(&r);
    if (json_failed(&r)) {
        enum dp_status status = json_error(&r, error);
        dp_error_prefix(error, "safetensors header");
        return status;
    }

    struct tensor *tensors = arena_calloc(arena, count + 1, sizeof *tensors);
    if (!tensors)
        return dp_fail_nomem(error, "a safetensors header");
    size_t n = 0;
    json_reader_init(&r, header);
    r.depth_max = 4;
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        if (span_equal_str(key, "__metadata__")) {
            json_skip(&r);
            continue;
        }
        tensors[n].name = key;
        read_tensor(&r, arena, data, &tensors[n]);
        n++;
    }
    if (json_failed(&r)) {
        enum dp_status status = json_error(&r, error);
        dp_error_prefix(error, "safetensors header");
        return status;
    }
    *out = (struct safetensors){tensors, n};
    return DP_OK;
}

const struct tensor *safetensors_find(const struct safetensors *st, const char *name)
{
    for (size_t i = 0; i < st->count; i++)
        if (span_equal_str(st->tensors[i].name, name))
            return &st->tensors[i];
    return NULL;
}

static float float_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Returns an IEEE half-precision number as a float, exactly. */
static float float_from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31)
        return float_from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent != 0)
        return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f;
    return sign ? -small : small;
}

enum dp_status tensor_read(const struct tensor *t, uint64_t first, uint64_t count, float *out,
                           struct dp_error *error)
{
    if (t->type == TENSOR_OTHER)
        return dp_fail(error, DP_UNSUPPORTED, "tensor %.*s is %.*s; supported are F32, F16 and BF16",
                       SPAN_FMT(t->name), SPAN_FMT(t->type_name));
    if (first > t->count || count > t->count - first)
        return dp_fail(error, DP_CORRUPT, "tensor %.*s has %" PRIu64 " elements, fewer than its model needs",
                       SPAN_FMT(t->name), t->count);
    bool finite = true;
    for (uint64_t i = 0; i < count; i++) {
        uint16_t half;
        switch (t->type) {
        case TENSOR_F32: memcpy(&out[i], t->data.data + (first + i) * 4, 4); break;
        case TENSOR_F16:
            memcpy(&half, t->data.data + (first + i) * 2, 2);
            out[i] = float_from_half(half);
            break;
        default: memcpy(&half, t->data.data + (first + i) * 2, 2); out[i] = float_from_bits((uint32_t)half << 16);
        }
        finite &= isfinite(out[i]) != 0;
    }
    if (!finite)
        return dp_fail(error, DP_CORRUPT, "tensor %.*s holds an infinite or NaN value", SPAN_FMT(t->name));
    return DP_OK;
}
