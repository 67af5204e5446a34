/* fuzz_filter.c: three lines: a schema (names and types with blanks between them), a filter, a document.
 * Checked beyond memory safety: a filter and its negation never agree; matching a row twice gives the same answer.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "filter/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ATTRIBUTES = 16 };

/* Takes the next part up to `mark`. */
static struct span take(struct span *rest, uint8_t mark)
{
    const uint8_t *end = rest->len ? memchr(rest->data, mark, rest->len) : NULL;
    struct span part = end ? span_of(rest->data, (size_t)(end - rest->data)) : *rest;
    *rest = end ? span_of(end + 1, rest->len - part.len - 1) : (struct span){0};
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size), names = take(&rest, '\n'), text = take(&rest, '\n');
    struct attribute attributes[ATTRIBUTES] = {0};
    struct schema schema = {.attributes = attributes, .id_kind = (enum id_kind)(size % 4)};
    static const uint8_t id[] = {1, 0, 0, 0, 0, 0, 0, 0, 7};
    const struct filter_row row = {span_of(id, sizeof id), rest},
                            next = {span_of(id, sizeof id), span_str("{\"a\":1}")};
    struct filter_watch watch = {.call = NULL};
    struct filter *f, *negated;
    struct dp_error error = {0};
    struct arena arena;
    struct buffer other;
    while (names.len && schema.count < ATTRIBUTES) {
        struct attribute *a = &attributes[schema.count];
        a->name = take(&names, ' ');
        a->options =
            span_str("{\"full_text_search\":{\"stemming\":true},\"regex\":true,\"glob\":true,\"fuzzy\":true}");
        if (a->name.len && !schema_find(&schema, a->name) && attribute_type_parse(take(&names, ' '), a))
            schema.count++;
    }
    arena_init(&arena, 1 << 26);
    buffer_init(&other, 1 << 24);
    if (filter_parse(&arena, text, &schema, true, &f, &error) == DP_OK) {
        bool match = filter_match(f, &row, &next, &watch);
        assert(match == filter_match(f, &row, &next, &watch));
        filter_match(f, &row, NULL, &watch);
        filter_match(f, &next, &row, &watch);
        buffer_append_str(&other, "[\"Not\",");
        buffer_append(&other, text);
        buffer_append_str(&other, "]");
        if (filter_parse(&arena, buffer_span(&other), &schema, true, &negated, &error) == DP_OK)
            assert(filter_match(negated, &row, &next, &watch) != match);
    } else {
        assert(error.message[0]);
    }
    buffer_deinit(&other);
    arena_deinit(&arena);
    return 0;
}
