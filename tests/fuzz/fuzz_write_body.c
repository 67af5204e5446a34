/* fuzz_write_body.c: three lines: an id, a row's attributes, a request. Checked beyond memory safety: the printed
 * body is one JSON object, and its last field is "upsert_rows" with exactly one row. So no text can add a row.
 */
#include <stdlib.h>

#include "base/json.h"
#include "capi/write_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES = 3 };

/* Returns the number of rows of "upsert_rows" if that is the last field, else 0. Aborts unless the text is one
 * JSON object. */
static size_t count_printed_rows(struct span body, struct arena *arena)
{
    struct json_reader r;
    struct span key;
    size_t rows = 0;
    json_reader_init(&r, body);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        rows = 0;
        if (!span_equal_str(key, "upsert_rows") || json_peek(&r) != JSON_ARRAY) {
            json_skip(&r);
            continue;
        }
        json_enter_array(&r);
        for (; json_next_item(&r); rows++)
            json_skip(&r);
    }
    if (!json_end(&r))
        abort();
    return rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + LINES), *lines[LINES] = {text, NULL, NULL};
    const float vector[] = {1, -2.5f};
    struct buffer body;
    struct arena arena;
    struct call call;
    size_t line = 0;
    if (!text)
        return 0;
    for (size_t i = 0; i < size; i++) {
        bool ends = data[i] == '\n' && line + 1 < LINES;
        text[i] = ends || !data[i] ? '\0' : (char)data[i];
        if (ends)
            lines[++line] = text + i + 1;
    }
    text[size] = '\0';
    const char *const names[] = {lines[0]}, *const attributes[] = {lines[1]};
    const struct dp_write write = {.size = sizeof write,
                                   .count = 1,
                                   .names = names,
                                   .vectors = size % 2 ? vector : NULL,
                                   .dim = 2,
                                   .attributes = attributes,
                                   .request = lines[2]};
    arena_init(&arena, 1 << 26);
    call_init(&call, &arena);
    buffer_init(&body, 1 << 26);
    if (write_body_print(&call, &write, &body) == DP_OK && count_printed_rows(buffer_span(&body), &arena) != 1)
        abort();
    buffer_deinit(&body);
    arena_deinit(&arena);
    free(text);
    return 0;
}
