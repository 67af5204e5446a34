/* column.c: writes and parses the summary of columns. column.h has the grammar. */
#include "filter/column.h"

/* Numbers of types in a summary. */
enum {
    STORED_NONE,
    STORED_STRING,
    STORED_INT,
    STORED_FLOAT,
    STORED_BOOL,
    STORED_UINT,
    STORED_UUID,
    STORED_DATETIME,
    STORED_ARRAY = 16, /* is added for arrays of these */
    COLUMN_MIN = 3     /* bytes of a column's shortest entry */
};

static const enum attribute_type stored_types[] = {
    [STORED_STRING] = ATTRIBUTE_STRING,     [STORED_INT] = ATTRIBUTE_INT,   [STORED_FLOAT] = ATTRIBUTE_FLOAT,
    [STORED_BOOL] = ATTRIBUTE_BOOL,         [STORED_UINT] = ATTRIBUTE_UINT, [STORED_UUID] = ATTRIBUTE_UUID,
    [STORED_DATETIME] = ATTRIBUTE_DATETIME,
};

static uint8_t stored_type(enum attribute_type type)
{
    const bool array = attribute_is_array(type);
    const enum attribute_type item = attribute_item_type(type);
    for (int i = STORED_STRING; i <= STORED_DATETIME; i++) {
        if (stored_types[i] == item)
            return (uint8_t)(i + (array ? STORED_ARRAY : 0));
    }
    return STORED_NONE;
}

static bool parse_type(uint8_t stored, enum attribute_type *out)
{
    const uint8_t item = stored & (STORED_ARRAY - 1);
    if (item < STORED_STRING || item > STORED_DATETIME || stored > STORED_ARRAY + STORED_DATETIME)
        return false;
    *out = stored >= STORED_ARRAY ? attribute_array_type(stored_types[item]) : stored_types[item];
    return true;
}

void columns_put_head(uint64_t rows, bool complete, size_t count, struct buffer *out)
{
    buffer_varint(out, rows);
    buffer_u8(out, complete);
    buffer_varint(out, count);
}

void column_put(const struct attribute_column *column, size_t page_count, struct buffer *out)
{
    buffer_varint(out, column->name.len);
    buffer_append(out, column->name);
    buffer_u8(out, column->stored ? stored_type(column->type) : STORED_NONE);
    if (!column->stored)
        return;
    buffer_varint(out, column->nulls);
    buffer_varint(out, column->odd);
    buffer_u64(out, column->least);
    buffer_u64(out, column->greatest);
    buffer_varint(out, column->entries);
    buffer_varint(out, column->dictionary.len);
    for (size_t i = 0; i < page_count; i++) {
        buffer_varint(out, column->pages[i].len);
        buffer_u8(out, column->pages[i].low);
        buffer_u8(out, column->pages[i].high);
    }
}

/* Places a piece of `len` bytes behind the ones before it. Returns false if it is too long. */
static bool place_piece(struct columns *columns, uint64_t len, uint64_t max, struct column_piece *out)
{
    if (len > max)
        return false;
    out->offset = columns->bytes;
    out->len = (uint32_t)len;
    columns->bytes += len + COLUMN_SUM;
    return true;
}

/* Reads what follows the type of a column with pages. Returns DP_CORRUPT or DP_NOMEM after a failure. */
static enum dp_status take_numbers(struct cursor *c, struct columns *columns, struct arena *arena,
                                   struct attribute_column *out)
{
    out->nulls = cursor_varint(c);
    out->odd = cursor_varint(c);
    out->least = cursor_u64(c);
    out->greatest = cursor_u64(c);
    const uint64_t entries = cursor_varint(c), dictionary = cursor_varint(c);
    if (c->failed || out->nulls > columns->rows || out->odd > columns->rows - out->nulls ||
        entries > COLUMN_ENTRIES_MAX || (entries == 0) != (dictionary == 0) ||
        columns->page_count > c->rest.len / 3)
        return DP_CORRUPT;
    out->entries = (uint32_t)entries;
    if (dictionary && !place_piece(columns, dictionary, COLUMN_DICTIONARY_MAX, &out->dictionary))
        return DP_CORRUPT;
    out->pages = arena_calloc(arena, columns->page_count + 1, sizeof *out->pages);
    if (!out->pages)
        return DP_NOMEM;
    for (size_t i = 0; i < columns->page_count; i++) {
        const uint64_t len = cursor_varint(c);
        out->pages[i].low = cursor_u8(c);
        out->pages[i].high = cursor_u8(c);
        if (c->failed || len == 0 || !place_piece(columns, len, COLUMN_PAGE_MAX, &out->pages[i]))
            return DP_CORRUPT;
    }
    return DP_OK;
}

static enum dp_status take_column(struct cursor *c, struct columns *columns, struct arena *arena,
                                  struct attribute_column *out)
{
    out->name = cursor_bytes(c, cursor_varint(c));
    const uint8_t type = cursor_u8(c);
    if (c->failed || out->name.len == 0)
        return DP_CORRUPT;
    out->stored = type != STORED_NONE;
    if (!out->stored)
        return DP_OK;
    return parse_type(type, &out->type) ? take_numbers(c, columns, arena, out) : DP_CORRUPT;
}

enum dp_status columns_parse(struct span bytes, uint64_t rows, struct arena *arena, struct columns *out,
                             struct dp_error *error)
{
    struct cursor c = cursor_over(bytes);
    enum dp_status status = DP_OK;
    *out = (struct columns){.rows = cursor_varint(&c)};
    const unsigned complete = cursor_u8(&c);
    const uint64_t count = cursor_varint(&c);
    out->complete = complete == 1;
    out->page_count = column_page_count(out->rows);
    if (c.failed || out->rows != rows || complete > 1 || count > COLUMNS_MAX || count > c.rest.len / COLUMN_MIN)
        status = DP_CORRUPT;
    if (status == DP_OK) {
        out->columns = arena_calloc(arena, (size_t)count + 1, sizeof *out->columns);
        status = out->columns ? DP_OK : DP_NOMEM;
    }
    for (; status == DP_OK && out->count < count; out->count++)
        status = take_column(&c, out, arena, &out->columns[out->count]);
    if (status == DP_NOMEM)
        return dp_fail_nomem(error, "the summary of columns");
    if (status != DP_OK || c.rest.len != 0)
        return dp_fail(error, DP_CORRUPT, "the summary of columns is malformed");
    return DP_OK;
}

const struct attribute_column *columns_find(const struct columns *columns, struct span name)
{
    for (size_t i = 0; i < columns->count; i++) {
        if (span_equal(columns->columns[i].name, name))
            return &columns->columns[i];
    }
    return NULL;
}
