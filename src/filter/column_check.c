/* column_check.c: compares a column with the documents. A column may say nothing about a value, but nothing wrong. */
#include "filter/column_check.h"

#include "base/alloc.h"
#include "filter/column_key.h"
#include "filter/document.h"

enum { UNESCAPED_MAX = 16 * 1024 * 1024 };

enum dp_status column_check_init(struct column_check *check, const struct attribute_column *column,
                                 struct span dictionary, struct dp_error *error)
{
    struct cursor c = cursor_over(dictionary);
    enum dp_status status = DP_OK;
    *check = (struct column_check){.column = column, .page_number = SIZE_MAX};
    map_init(&check->codes, (size_t)column->entries + 1);
    buffer_init(&check->unescaped, UNESCAPED_MAX);
    check->entries = mem_calloc((size_t)column->entries + 1, sizeof *check->entries);
    if (!check->entries)
        return dp_fail_nomem(error, "a column");
    for (uint32_t i = 0; i < column->entries && status == DP_OK; i++) {
        bool twice = false;
        check->entries[i] = cursor_bytes(&c, cursor_varint(&c));
        status = map_put(&check->codes, check->entries[i], i, NULL, &twice, error);
        if (c.failed || twice)
            return dp_fail(error, DP_CORRUPT, "the dictionary of a column is malformed");
    }
    if (status == DP_OK && c.rest.len)
        return dp_fail(error, DP_CORRUPT, "the dictionary of a column is malformed");
    return status;
}

void column_check_deinit(struct column_check *check)
{
    map_deinit(&check->codes);
    column_page_deinit(&check->page);
    buffer_deinit(&check->unescaped);
    mem_free(check->entries);
}

enum dp_status column_check_page(struct column_check *check, struct span bytes, size_t rows,
                                 struct dp_error *error)
{
    check->page_number++;
    check->row = check->key = 0;
    return column_page_read(bytes, attribute_is_array(check->column->type), rows, &check->page, error);
}

/* Returns whether the summary allows the key in the page. */
static bool is_in_span(const struct column_check *check, uint64_t key)
{
    const struct attribute_column *c = check->column;
    const struct column_piece *page = &c->pages[check->page_number];
    if (key < c->least || key > c->greatest)
        return false;
    const uint8_t bucket = column_bucket(c->least, c->greatest, key);
    return bucket >= page->low && bucket <= page->high;
}

/* Returns whether the key is that of the value, or of the element. */
static bool key_fits(struct column_check *check, uint64_t key, struct span value)
{
    const enum attribute_type item = attribute_item_type(check->column->type);
    struct span text;
    uint64_t wanted;
    if (!is_in_span(check, key))
        return false;
    if (!column_is_text(item))
        return column_key_of(item, value, &wanted) && wanted == key;
    if (!column_text_of(value, &check->unescaped, &text))
        return false;
    const uint64_t *code = map_find(&check->codes, text);
    return key == (code ? *code : COLUMN_HASHED | column_hash(text));
}

static bool array_fits(struct column_check *check, struct span value)
{
    const struct column_page *page = &check->page;
    struct document_walk walk = document_begin(value);
    const uint64_t count = page->counts[check->row];
    struct span item;
    uint64_t found = 0;
    bool fits = value.data[0] == '[';
    while (fits && document_next_item(&walk, &item))
        fits = found < count && key_fits(check, page->keys[check->key + found++], item);
    check->key += (size_t)count;
    return fits && found == count;
}

bool column_check_row(struct column_check *check, struct span value)
{
    const struct column_page *page = &check->page;
    const size_t row = check->row;
    const bool null = page->nulls[row / 64] >> (row % 64) & 1, odd = page->odd[row / 64] >> (row % 64) & 1;
    const bool wanted = value.len == 0 || span_equal_str(value, "null");
    bool fits = odd || null == wanted;
    check->nulls += null && !odd;
    check->odd += odd;
    if (fits && !odd && !null)
        fits = attribute_is_array(check->column->type) ? array_fits(check, value)
                                                       : key_fits(check, page->keys[row], value);
    check->row++;
    return fits;
}
