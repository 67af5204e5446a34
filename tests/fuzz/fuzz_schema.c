/* fuzz_schema.c: two declarations and a row, a line each. Checked beyond memory safety: declaring a printed schema
 * again changes nothing; the document of a row without vectors, read as a row, gives an equal document.
 */
#include <assert.h>
#include <stdlib.h>

#include "index/schema_declare.h"
#include "index/schema_row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span take_line(struct span *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    struct span line = end ? span_of(rest->data, (size_t)(end - rest->data)) : *rest;
    *rest = end ? span_of(end + 1, rest->len - line.len - 1) : (struct span){0};
    return line;
}

/* Prints the schema and declares the printed text again. This must change nothing. */
static void check_again(struct schema *schema, struct arena *arena)
{
    struct buffer text;
    struct json_writer w;
    struct schema again = {0};
    struct schema_changes changes;
    struct dp_error error = {0};
    buffer_init(&text, 1 << 26);
    json_writer_init(&w, &text);
    schema_print(schema, NULL, &w);
    assert(text.status == DP_OK);
    assert(schema_declare(&again, NULL, arena, buffer_span(&text), &changes, &error) == DP_OK);
    assert(schema_join(&again, arena, schema, &error) == DP_OK);
    assert(schema_declare(&again, NULL, arena, buffer_span(&text), &changes, &error) == DP_OK && !changes.changed);
    buffer_deinit(&text);
}

static void check_row(struct schema *schema, struct span row, struct arena *arena)
{
    struct span document, again;
    struct dp_error error = {0};
    bool has_vector = false;
    if (schema_normalize(schema, arena, row, false, &document, &error) != DP_OK) {
        assert(error.message[0]);
        return;
    }
    for (size_t i = 0; i < schema->count; i++) /* base64 of f16 cannot be read again as float32 */
        has_vector |= schema->attributes[i].type == ATTRIBUTE_VECTOR;
    if (!has_vector) {
        assert(schema_normalize(schema, arena, document, false, &again, &error) == DP_OK);
        assert(span_equal(document, again));
    }
    assert(schema_show(schema, arena, document, row.len & 1, &again, &error) == DP_OK);
    assert(has_vector || span_equal(document, again));
    assert(schema_learn(schema, arena, document, arena, &error) == DP_OK);
    schema_normalize(schema, arena, row, true, &document, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size), first = take_line(&rest), second = take_line(&rest);
    struct schema schema = {0};
    struct schema_changes changes;
    struct dp_error error = {0};
    struct arena arena;
    arena_init(&arena, 1 << 26);
    if (schema_declare(&schema, NULL, &arena, first, &changes, &error) == DP_OK)
        check_again(&schema, &arena);
    else
        assert(error.message[0] && schema.count == 0);
    if (schema_declare(&schema, NULL, &arena, second, &changes, &error) == DP_OK)
        check_again(&schema, &arena);
    check_row(&schema, rest, &arena);
    arena_deinit(&arena);
    return 0;
}
