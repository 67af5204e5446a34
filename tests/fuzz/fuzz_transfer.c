/* fuzz_transfer.c: any bytes as lines of an exported namespace. An accepted row, printed and parsed again, is the
 * same. */
#include <stdlib.h>

#include "index/id.h"
#include "service/transfer_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY_MAX = 1 << 28 };

static struct span print_row(const struct transfer_head *head, const struct index_transfer_row *row,
                             struct arena *arena, struct buffer *out)
{
    struct dp_error error;
    struct id_key key;
    buffer_clear(out);
    if (id_encode(row->id, &key, &error) != DP_OK)
        return (struct span){0};
    if (transfer_print_row(&head->schema, head->vectors.dim, row, arena, out, &error) != DP_OK)
        abort();
    return span_of(out->data, out->len - 1);
}

static void check_row(const struct transfer_head *head, struct span line, struct arena *arena)
{
    struct index_transfer_row row, again;
    struct dp_error error;
    struct buffer document, text, second;
    buffer_init(&document, MEMORY_MAX);
    buffer_init(&text, MEMORY_MAX);
    buffer_init(&second, MEMORY_MAX);
    if (transfer_parse_row(line, head, arena, &document, &row, &error) == DP_OK) {
        struct span printed = print_row(head, &row, arena, &text);
        if (printed.len) {
            if (transfer_parse_row(printed, head, arena, &document, &again, &error) != DP_OK ||
                again.windows != row.windows || !span_equal(print_row(head, &again, arena, &second), printed) ||
                memchr(printed.data, '\n', printed.len))
                abort();
        }
    }
    buffer_deinit(&document);
    buffer_deinit(&text);
    buffer_deinit(&second);
}

/* The first line is the head, the second one a row. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    size_t first = newline ? (size_t)(newline - data) : size;
    struct transfer_head head;
    struct dp_error error;
    struct arena arena;
    arena_init(&arena, MEMORY_MAX);
    if (transfer_parse_head(span_of(data, first), &arena, &head, &error) == DP_OK && newline)
        check_row(&head, span_of(newline + 1, size - first - 1), &arena);
    arena_deinit(&arena);
    return 0;
}
