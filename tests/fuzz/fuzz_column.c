/* fuzz_column.c: a byte that chooses the filter, u16 length, a summary of columns, and the bytes of dictionaries and
 * pages. Checked beyond memory safety: a row that certainly matches is one that may match; a page that was read and
 * written is the same page.
 */
#include <assert.h>
#include <stdlib.h>

#include "filter/column_match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 9000, USED_MAX = 8 };

static const char *const filters[] = {
    "[\"i\",\"Lt\",5]",
    "[\"And\",[[\"s\",\"Eq\",\"a\"],[\"i\",\"In\",[1,2]]]]",
    "[\"Or\",[[\"s\",\"Glob\",\"a*\"],[\"l\",\"Contains\",\"b\"]]]",
    "[\"Not\",[\"n\",\"Eq\",[1,2]]]",
    "[\"Or\",[[\"f\",\"Gte\",0.5],[\"t\",\"Lt\",\"1999-01-01\"],[\"b\",\"Eq\",true]]]",
    "[\"l\",\"Eq\",[\"a\",\"b\"]]",
};

static struct attribute attributes[] = {
    {.type = ATTRIBUTE_INT, .name = {(const uint8_t *)"i", 1}},
    {.type = ATTRIBUTE_STRING, .name = {(const uint8_t *)"s", 1}},
    {.type = ATTRIBUTE_STRINGS, .name = {(const uint8_t *)"l", 1}},
    {.type = ATTRIBUTE_INTS, .name = {(const uint8_t *)"n", 1}},
    {.type = ATTRIBUTE_FLOAT, .name = {(const uint8_t *)"f", 1}},
    {.type = ATTRIBUTE_DATETIME, .name = {(const uint8_t *)"t", 1}},
    {.type = ATTRIBUTE_BOOL, .name = {(const uint8_t *)"b", 1}},
};

/* Gives the bytes of a piece. Returns false if the input has not that many. */
static bool piece_of(struct span storage, const struct column_piece *piece, struct span *out)
{
    *out = (struct span){0};
    return piece->len == 0 || span_sub(storage, piece->offset, piece->len, out);
}

/* Reads the page of a column, writes it, and reads what was written. */
static void read_twice(struct span bytes, bool array, size_t rows)
{
    struct column_page first = {.rows = 0}, second = {.rows = 0};
    struct dp_error error = {0};
    struct buffer again;
    buffer_init(&again, COLUMN_PAGE_MAX);
    if (column_page_read(bytes, array, rows, &first, &error) == DP_OK && !(bytes.data[0] & COLUMN_OPAQUE)) {
        column_page_write(&first, array, false, &again);
        assert(again.status == DP_OK);
        assert(column_page_read(buffer_span(&again), array, rows, &second, &error) == DP_OK);
        assert(first.key_count == second.key_count);
        for (size_t i = 0; i < rows && !array; i++) {
            bool skipped = (second.nulls[i / 64] | second.odd[i / 64]) >> (i % 64) & 1;
            assert(skipped || first.keys[i] == second.keys[i]);
        }
    }
    column_page_deinit(&first);
    column_page_deinit(&second);
    buffer_deinit(&again);
}

static void match_pages(struct column_plan *plan, struct span storage)
{
    struct span dictionaries[USED_MAX], pages[USED_MAX];
    struct filter_watch watch = {.call = NULL};
    struct dp_error error = {0};
    struct column_bits bits;
    bool there = plan->used_count <= USED_MAX;
    for (size_t i = 0; i < plan->used_count && there; i++)
        there = piece_of(storage, &plan->used[i]->dictionary, &dictionaries[i]);
    if (!there || column_plan_start(plan, dictionaries, &watch, &error) != DP_OK)
        return;
    for (size_t page = 0; page < plan->columns->page_count; page++) {
        for (size_t i = 0; i < plan->used_count; i++) {
            if (!piece_of(storage, &plan->used[i]->pages[page], &pages[i]))
                return;
            read_twice(pages[i], attribute_is_array(plan->used[i]->type),
                       column_page_rows(plan->columns->rows, page));
        }
        if (column_plan_page(plan, page, pages, &bits, &error) != DP_OK)
            return;
        for (size_t i = 0; i < COLUMN_PAGE_WORDS; i++)
            assert((bits.yes[i] & ~bits.maybe[i]) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct schema schema = {.attributes = attributes, .count = sizeof attributes / sizeof *attributes};
    struct cursor c = cursor_over(span_of(data, size));
    const char *text = filters[cursor_u8(&c) % (sizeof filters / sizeof *filters)];
    const struct span summary = cursor_bytes(&c, cursor_u16(&c));
    struct cursor head = cursor_over(summary);
    const uint64_t rows = cursor_varint(&head);
    struct column_plan *plan = NULL;
    struct dp_error error = {0};
    struct columns columns;
    struct filter *filter;
    struct arena arena;
    if (c.failed || rows > ROWS_MAX)
        return 0;
    arena_init(&arena, 1 << 26);
    if (filter_parse(&arena, span_str(text), &schema, false, &filter, &error) != DP_OK)
        abort();
    if (columns_parse(summary, rows, &arena, &columns, &error) != DP_OK)
        assert(error.message[0]);
    else if (column_plan_new(&arena, filter, &columns, NULL, 0, &plan, &error) == DP_OK)
        match_pages(plan, c.rest);
    column_plan_deinit(plan);
    arena_deinit(&arena);
    return 0;
}
