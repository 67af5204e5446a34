/* column_build.c: makes pages of values, and a dictionary of the first texts that come.
 *
 * The dictionary is open while texts repeat: when most texts of the first page differ, or after some later page too
 * many have come only once, it takes no more. Later texts then are hashes. So common texts have entries, and a column
 * of names or sentences has no dictionary.
 */
#include "filter/column_build.h"

#include "base/array.h"
#include "filter/column_key.h"
#include "filter/document.h"

enum {
    TEXTS_MAX = 8 * 1024 * 1024,     /* bytes of the texts of a dictionary in memory */
    UNESCAPED_MAX = 16 * 1024 * 1024 /* bytes of one text */
};

void column_builder_init(struct column_builder *b, const struct attribute *attribute, column_page_fn *take,
                         void *context)
{
    *b = (struct column_builder){.column = {.name = attribute->name,
                                            .stored = true,
                                            .type = attribute->type,
                                            .least = UINT64_MAX,
                                            .greatest = 0},
                                 .array = attribute_is_array(attribute->type),
                                 .text = column_is_text(attribute_item_type(attribute->type)),
                                 .take = take,
                                 .context = context};
    map_init(&b->dictionary.codes, COLUMN_ENTRIES_MAX);
    arena_init(&b->dictionary.texts, TEXTS_MAX);
    buffer_init(&b->dictionary.bytes, COLUMN_DICTIONARY_MAX);
    buffer_init(&b->bytes, COLUMN_PAGE_MAX);
    buffer_init(&b->unescaped, UNESCAPED_MAX);
}

void column_builder_deinit(struct column_builder *b)
{
    map_deinit(&b->dictionary.codes);
    arena_deinit(&b->dictionary.texts);
    buffer_deinit(&b->dictionary.bytes);
    mem_free(b->dictionary.hashes);
    column_page_deinit(&b->page);
    mem_free(b->spans);
    mem_free(b->column.pages);
    buffer_deinit(&b->bytes);
    buffer_deinit(&b->unescaped);
}

/* ---- texts ----------------------------------------------------------------------------------------------- */

/* Adds a text to the dictionary. *key is its code. */
static enum dp_status add_entry(struct column_dictionary *d, struct span text, uint64_t *key,
                                struct dp_error *error)
{
    uint32_t *hashes = array_reserve(d->hashes, d->count, &d->room, sizeof *hashes, 64);
    const struct span copy = hashes ? arena_copy(&d->texts, text) : (struct span){0};
    if (hashes)
        d->hashes = hashes;
    if (!copy.data)
        return dp_fail_nomem(error, "a column");
    enum dp_status status = map_put(&d->codes, copy, d->count, NULL, NULL, error);
    if (status)
        return status;
    buffer_varint(&d->bytes, text.len);
    buffer_append(&d->bytes, text);
    d->hashes[d->count] = column_hash(text);
    *key = d->count++;
    return buffer_check(&d->bytes, "a column", error);
}

static enum dp_status text_key(struct column_builder *b, struct span text, uint64_t *key, struct dp_error *error)
{
    struct column_dictionary *d = &b->dictionary;
    const uint64_t *code = d->count ? map_find(&d->codes, text) : NULL;
    *key = code ? *code : COLUMN_HASHED | column_hash(text);
    if (code || d->closed || text.len > COLUMN_ENTRY_MAX)
        return DP_OK;
    if (d->count == COLUMN_ENTRIES_MAX || d->bytes.len + COLUMN_ENTRY_MAX + 2 > COLUMN_DICTIONARY_MAX) {
        d->closed = true;
        return DP_OK;
    }
    return add_entry(d, text, key, error);
}

/* Closes the dictionary when most texts come only once. Drops it if they do so in the first page. */
static void judge_dictionary(struct column_builder *b)
{
    struct column_dictionary *d = &b->dictionary;
    struct column_page *page = &b->page;
    if (!b->text || d->closed)
        return;
    if (b->page_count == 0 && d->count > 64 && d->count > page->key_count / 2) {
        for (size_t i = 0; i < page->key_count; i++) {
            if (page->keys[i] < COLUMN_HASHED)
                page->keys[i] = COLUMN_HASHED | d->hashes[page->keys[i]];
        }
        d->count = 0;
        d->closed = true;
    } else if (d->count > 1024 && d->count > b->rows / 4) {
        d->closed = true;
    }
}

/* ---- pages ----------------------------------------------------------------------------------------------- */

/* Notes the least and the greatest key of the page. */
static enum dp_status note_span(struct column_builder *b, struct dp_error *error)
{
    void *spans = array_reserve(b->spans, b->page_count, &b->span_room, sizeof *b->spans, 16);
    if (spans)
        b->spans = spans;
    struct column_piece *pages = array_reserve(b->column.pages, b->page_count, &b->piece_room, sizeof *pages, 16);
    if (pages)
        b->column.pages = pages;
    if (!spans || !pages)
        return dp_fail_nomem(error, "a column");
    uint64_t least = UINT64_MAX, greatest = 0;
    const struct column_page *p = &b->page;
    for (size_t i = 0; i < p->key_count && !b->opaque; i++) {
        if (!b->array && ((p->nulls[i / 64] | p->odd[i / 64]) >> (i % 64) & 1))
            continue;
        least = p->keys[i] < least ? p->keys[i] : least;
        greatest = p->keys[i] > greatest ? p->keys[i] : greatest;
    }
    b->spans[b->page_count].least = least;
    b->spans[b->page_count].greatest = greatest;
    b->column.least = least < b->column.least ? least : b->column.least;
    b->column.greatest = greatest > b->column.greatest ? greatest : b->column.greatest;
    pages[b->page_count] = (struct column_piece){0};
    return DP_OK;
}

static enum dp_status end_page(struct column_builder *b, struct dp_error *error)
{
    struct column_page *page = &b->page;
    judge_dictionary(b);
    for (size_t i = 0; i < COLUMN_PAGE_WORDS; i++) {
        b->column.nulls += b->opaque ? 0 : (uint64_t)__builtin_popcountll(page->nulls[i]);
        b->column.odd += b->opaque ? 0 : (uint64_t)__builtin_popcountll(page->odd[i]);
    }
    b->column.odd += b->opaque ? page->rows : 0;
    enum dp_status status = note_span(b, error);
    if (status)
        return status;
    column_page_write(page, b->array, b->opaque, &b->bytes);
    status = buffer_check(&b->bytes, "a page of a column", error);
    if (status == DP_OK) {
        b->column.pages[b->page_count].len = (uint32_t)b->bytes.len;
        b->page_count++;
        status = b->take(b->context, buffer_span(&b->bytes), error);
    }
    page->rows = 0;
    page->key_count = 0;
    memset(page->nulls, 0, sizeof page->nulls);
    memset(page->odd, 0, sizeof page->odd);
    b->opaque = false;
    return status;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* Finds the key of one value, or of one element. *odd: it has none. */
static enum dp_status find_key(struct column_builder *b, struct span value, uint64_t *key, bool *odd,
                               struct dp_error *error)
{
    struct span text;
    *key = 0;
    if (!b->text) {
        *odd = !column_key_of(attribute_item_type(b->column.type), value, key);
        return DP_OK;
    }
    *odd = !column_text_of(value, &b->unescaped, &text);
    if (*odd)
        return DP_OK;
    enum dp_status status = buffer_check(&b->unescaped, "a text", error);
    return status == DP_OK ? text_key(b, text, key, error) : status;
}

static enum dp_status add_key(struct column_builder *b, uint64_t key, struct dp_error *error)
{
    if (!column_page_reserve(&b->page))
        return dp_fail_nomem(error, "a column");
    b->page.keys[b->page.key_count++] = key;
    return DP_OK;
}

/* Adds the elements of an array. */
static enum dp_status add_array(struct column_builder *b, struct span value, bool *odd, struct dp_error *error)
{
    struct column_page *page = &b->page;
    struct document_walk walk = document_begin(value);
    const size_t begin = page->key_count;
    enum dp_status status = DP_OK;
    struct span item;
    *odd = value.data[0] != '[';
    while (!*odd && !b->opaque && status == DP_OK && document_next_item(&walk, &item)) {
        uint64_t key;
        status = find_key(b, item, &key, odd, error);
        if (page->key_count == COLUMN_ITEMS_MAX)
            b->opaque = true;
        else if (status == DP_OK && !*odd)
            status = add_key(b, key, error);
    }
    if (*odd)
        page->key_count = begin;
    page->counts[page->rows] = page->key_count - begin;
    return status;
}

enum dp_status column_builder_add(struct column_builder *b, struct span value, struct dp_error *error)
{
    struct column_page *page = &b->page;
    const bool null = value.len == 0 || span_equal_str(value, "null");
    const uint64_t bit = UINT64_C(1) << (page->rows % 64);
    enum dp_status status = DP_OK;
    bool odd = false;
    uint64_t key = 0;
    page->counts[page->rows] = 0;
    if (!null && b->array)
        status = add_array(b, value, &odd, error);
    else if (!null)
        status = find_key(b, value, &key, &odd, error);
    if (status == DP_OK && !b->array)
        status = add_key(b, key, error);
    if (status)
        return status;
    page->nulls[page->rows / 64] |= null ? bit : 0;
    page->odd[page->rows / 64] |= odd ? bit : 0;
    page->rows++;
    b->rows++;
    return page->rows == COLUMN_PAGE_ROWS ? end_page(b, error) : DP_OK;
}

enum dp_status column_builder_end(struct column_builder *b, struct dp_error *error)
{
    enum dp_status status = b->page.rows ? end_page(b, error) : DP_OK;
    struct attribute_column *c = &b->column;
    for (size_t i = 0; i < b->page_count && status == DP_OK; i++) {
        struct column_piece *piece = &c->pages[i];
        const bool empty = b->spans[i].least > b->spans[i].greatest;
        piece->low = empty ? 1 : column_bucket(c->least, c->greatest, b->spans[i].least);
        piece->high = empty ? 0 : column_bucket(c->least, c->greatest, b->spans[i].greatest);
    }
    c->entries = (uint32_t)b->dictionary.count;
    c->dictionary.len = (uint32_t)column_builder_dictionary(b).len;
    return status;
}
