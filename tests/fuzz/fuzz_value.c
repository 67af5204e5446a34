/* fuzz_value.c: a type, a newline, and any text as a value of this type. Checked beyond memory safety:
 * value_is_normal() accepts each normal form; a vector's normal form decodes; any other normal form is the normal form
 * of itself. */
#include <assert.h>
#include <stdlib.h>

#include "filter/value.h"
#include "filter/vector_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_normal(const struct attribute *a, struct span normal, struct arena *arena)
{
    struct span again = {0};
    assert(value_is_normal(a, normal, arena));
    if (a->type == ATTRIBUTE_VECTOR && !span_equal_str(normal, "null")) {
        float *numbers = arena_array(arena, a->dim, sizeof *numbers);
        assert(numbers && vector_of_normal(a, normal, numbers));
        return;
    }
    assert(value_normalize(a, normal, arena, &again, NULL) == DP_OK && span_equal(normal, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attribute a = {.name = span_str("x")};
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    struct arena arena;
    struct json_reader r;
    struct dp_error error = {0};
    struct span normal;
    enum attribute_type guess;
    bool known;
    if (!end || !attribute_type_parse(span_of(data, (size_t)(end - data)), &a) || a.dim > 64)
        return 0;
    struct span raw = span_of(end + 1, size - (size_t)(end + 1 - data));
    arena_init(&arena, 1 << 26);
    a.checked = size & 1;
    if (value_normalize(&a, raw, &arena, &normal, &error) == DP_OK)
        check_normal(&a, normal, &arena);
    else
        assert(error.message[0]);
    json_reader_init(&r, raw);
    if (value_infer(&r, &guess, &known) && known) {
        struct attribute guessed = {.type = guess, .name = a.name};
        json_reader_init(&r, raw);
        struct buffer out;
        buffer_init(&out, 1 << 26);
        assert(value_put(&guessed, &r, &arena, &out, &error) == DP_OK);
        check_normal(&guessed, buffer_span(&out), &arena);
        buffer_deinit(&out);
    }
    arena_deinit(&arena);
    return 0;
}
