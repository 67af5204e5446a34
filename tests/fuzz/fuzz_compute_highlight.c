/* fuzz_compute_highlight.c: two lines, a highlight as JSON and the attributes of a row. Checked beyond memory safety:
 * a refusal has a sentence; fragments are JSON, and at most as many as asked for.
 */
#include <assert.h>
#include <string.h>

#include "service/compute_highlight.h"
#include "text/highlight.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_fragments(struct call *call, const struct compute_highlight *highlight, struct span attributes)
{
    struct buffer text;
    struct json_writer w;
    struct json_reader r;
    size_t count = 0;
    buffer_init(&text, 1 << 26);
    json_writer_init(&w, &text);
    if (compute_highlight_write(call, highlight, attributes, &w) == DP_OK) {
        json_reader_init(&r, buffer_span(&text));
        json_enter_array(&r);
        for (; json_next_item(&r); count++)
            json_skip(&r);
        assert(json_end(&r) && count <= HIGHLIGHT_FRAGMENTS_MAX);
    } else {
        assert(call->error.message[0]);
    }
    buffer_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    const struct span json = span_of(data, line ? (size_t)(line - data) : size);
    const struct span row = line ? span_of(line + 1, size - json.len - 1) : (struct span){0};
    struct attribute attributes[] = {
        {.name = span_str("s"),
         .type = ATTRIBUTE_STRING,
         .options = span_str("{\"full_text_search\":{\"stemming\":true}}")},
        {.name = span_str("v"), .type = ATTRIBUTE_STRING, .options = span_str("{\"full_text_search\":true}")},
        {.name = span_str("n"), .type = ATTRIBUTE_INT}};
    const struct schema schema = {.count = 3, .attributes = attributes, .id_kind = ID_UINT};
    const struct query_request request = {
        .rank = size % 2 ? QUERY_SCORED : QUERY_ORDERED,
        .score =
            span_str("[\"Sum\",[[\"s\",\"BM25\",\"a fox\",{\"last_as_prefix\":true}],[\"v\",\"BM25\",\"b\"]]]")};
    struct compute_highlight *highlight;
    struct json_reader r;
    struct arena arena;
    struct call call;
    struct span word, name;
    arena_init(&arena, 1 << 26);
    call_init(&call, &arena);
    json_reader_init(&r, json);
    if (json_enter_array(&r) && json_next_item(&r) && json_read_string(&r, &arena, &word) && json_next_item(&r) &&
        json_read_string(&r, &arena, &name)) {
        if (compute_highlight_read(&call, &request, &schema, name, &r, &highlight) == DP_OK)
            write_fragments(&call, highlight, row);
        else
            assert(call.error.message[0]);
    }
    arena_deinit(&arena);
    return 0;
}
