/* verify_columns.c: reads the pages of all columns beside the rows, and asks each column about each row. */
#include "index/fold/verify_columns.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "filter/document.h"

enum { CHECK_MEMORY = 256 << 20, CHECK_ROUND = 64 << 20 };

/* Reads one piece of each column: its dictionary, or page number `page`. handles[count]: SIZE_MAX for a column
 * without. */
static enum dp_status read_pieces(struct columns_check *check, bool dictionaries, size_t page, size_t *handles)
{
    const uint64_t begin = segment_section(check->hot, SECTION_COLUMNS)->offset;
    for (size_t i = 0; i < check->columns->count; i++) {
        const struct attribute_column *c = &check->columns->columns[i];
        const struct column_piece *piece = dictionaries ? &c->dictionary : c->stored ? &c->pages[page] : NULL;
        handles[i] = SIZE_MAX;
        if (!c->stored || !piece || piece->len == 0)
            continue;
        const struct store_read_req req = {
            .key = check->key, .offset = begin + piece->offset, .len = (int64_t)piece->len + COLUMN_SUM};
        handles[i] = round_ask(&check->round, &req);
    }
    return round_read(&check->round);
}

/* Gives a piece of column i that was read. */
static enum dp_status take_read(struct call *call, struct columns_check *check, size_t handle, uint64_t number,
                                struct span *out)
{
    *out = (struct span){0};
    if (handle == SIZE_MAX)
        return DP_OK;
    enum dp_status status = round_check(&check->round, handle);
    return status == DP_OK
               ? segment_check_column(round_answer(&check->round, handle)->bytes.span, number, out, &call->error)
               : status;
}

static enum dp_status begin_checks(struct call *call, struct columns_check *check, size_t *handles)
{
    enum dp_status status = read_pieces(check, true, 0, handles);
    for (size_t i = 0; i < check->columns->count && status == DP_OK; i++) {
        struct span read, copy;
        status = take_read(call, check, handles[i], columns_dictionary_number(i), &read);
        copy = status == DP_OK ? arena_copy(&check->arena, read) : (struct span){0};
        if (status == DP_OK && !copy.data)
            status = call_nomem(call, "a verification");
        if (status == DP_OK && check->columns->columns[i].stored)
            status = column_check_init(&check->checks[i], &check->columns->columns[i], copy, &call->error);
    }
    round_release(&check->round);
    return status;
}

enum dp_status columns_check_begin(struct call *call, struct columns_check *check, struct store *store,
                                   const struct segment_hot *hot, struct span key)
{
    *check = (struct columns_check){.hot = hot, .key = key};
    arena_init(&check->arena, CHECK_MEMORY);
    round_init(&check->round, call, store, CHECK_ROUND);
    enum dp_status status = segment_open_columns(hot, &check->arena, &check->columns, &call->error);
    if (status != DP_OK || !check->columns)
        return status;
    const size_t count = check->columns->count;
    size_t *handles = arena_array(&check->arena, count + 1, sizeof *handles);
    check->values = arena_array(&check->arena, count + 1, sizeof *check->values);
    check->checks = arena_calloc(&check->arena, count + 1, sizeof *check->checks);
    if (!handles || !check->values || !check->checks)
        return call_nomem(call, "a verification");
    return begin_checks(call, check, handles);
}

static enum dp_status next_pages(struct call *call, struct columns_check *check, size_t page)
{
    size_t *handles = mem_calloc(check->columns->count + 1, sizeof *handles);
    if (!handles)
        return call_nomem(call, "a verification");
    enum dp_status status = read_pieces(check, false, page, handles);
    for (size_t i = 0; i < check->columns->count && status == DP_OK; i++) {
        struct span read;
        status = take_read(call, check, handles[i], columns_page_number(i, page), &read);
        if (status == DP_OK && check->columns->columns[i].stored)
            status =
                column_check_page(&check->checks[i], read, column_page_rows(check->hot->rows, page), &call->error);
    }
    round_release(&check->round);
    mem_free(handles);
    return status;
}

/* Finds the values of the row. Fails if the summary does not name an attribute, and says that it names all. */
static enum dp_status find_row_values(struct call *call, struct columns_check *check, struct span document)
{
    const struct columns *columns = check->columns;
    struct document_walk walk = document_begin(document);
    struct document_member member;
    memset(check->values, 0, (columns->count + 1) * sizeof *check->values);
    while (document_next(&walk, &member)) {
        size_t i = 0;
        while (i < columns->count && !document_is_key(member.key, columns->columns[i].name))
            i++;
        if (i < columns->count && check->values[i].len == 0)
            check->values[i] = member.value;
        if (i == columns->count && columns->complete && !span_equal_str(member.value, "null"))
            return call_fail(call, DP_CORRUPT, "its columns do not know the attribute \"%.*s\"",
                             SPAN_FMT(member.key));
    }
    return DP_OK;
}

enum dp_status columns_check_row(struct call *call, struct columns_check *check, uint32_t row,
                                 struct span document)
{
    enum dp_status status = DP_OK;
    if (!check->columns)
        return DP_OK;
    if (row % COLUMN_PAGE_ROWS == 0)
        status = next_pages(call, check, row / COLUMN_PAGE_ROWS);
    if (status == DP_OK)
        status = find_row_values(call, check, document);
    for (size_t i = 0; i < check->columns->count && status == DP_OK; i++) {
        const struct attribute_column *c = &check->columns->columns[i];
        if (!c->stored || column_check_row(&check->checks[i], check->values[i]))
            continue;
        status = buffer_check(&check->checks[i].unescaped, "a text", &call->error);
        if (status == DP_OK)
            status = call_fail(call, DP_CORRUPT,
                               "its column of attribute \"%.*s\" has another value of row %" PRIu32
                               " than the document",
                               SPAN_FMT(c->name), row);
    }
    return status;
}

enum dp_status columns_check_end(struct call *call, const struct columns_check *check)
{
    for (size_t i = 0; check->columns && i < check->columns->count; i++) {
        const struct attribute_column *c = &check->columns->columns[i];
        if (c->stored && !column_check_end(&check->checks[i]))
            return call_fail(call, DP_CORRUPT, "the summary of attribute \"%.*s\" does not count its rows",
                             SPAN_FMT(c->name));
    }
    return DP_OK;
}

void columns_check_deinit(struct columns_check *check)
{
    if (!check->hot)
        return;
    for (size_t i = 0; check->columns && check->checks && i < check->columns->count; i++)
        column_check_deinit(&check->checks[i]);
    round_deinit(&check->round);
    arena_deinit(&check->arena);
}
