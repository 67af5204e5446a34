/* test_column.c: columns say of no row anything else than its document does, whatever the filter is, and decide about
 * nearly all rows; and damaged columns are errors.
 */
#include "test_support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/column_build.h"
#include "filter/column_check.h"
#include "filter/column_key.h"
#include "filter/column_match.h"
#include "filter/datetime.h"
#include "filter/document.h"
#include "filter/filter.h"

enum { ROWS = COLUMN_PAGE_ROWS + 700, FILTERS = 150, COLUMNS = 13, DOCUMENT_ROOM = 640 };

static const char *const words[] = {"alps",       "bay",         "cape", "dune", "east \\\"end\\\"",
                                    "f\\u00f6hr", "gr\xc3\xbcn", ""};

/* ---- the rows -------------------------------------------------------------------------------------------- */

static struct attribute attributes[] = {
    {.type = ATTRIBUTE_INT, .name = {(const uint8_t *)"int", 3}},
    {.type = ATTRIBUTE_UINT, .name = {(const uint8_t *)"uint", 4}},
    {.type = ATTRIBUTE_FLOAT, .name = {(const uint8_t *)"real", 4}},
    {.type = ATTRIBUTE_BOOL, .name = {(const uint8_t *)"bool", 4}},
    {.type = ATTRIBUTE_STRING, .name = {(const uint8_t *)"few", 3}},
    {.type = ATTRIBUTE_STRING, .name = {(const uint8_t *)"many", 4}},
    {.type = ATTRIBUTE_DATETIME, .name = {(const uint8_t *)"time", 4}},
    {.type = ATTRIBUTE_UUID, .name = {(const uint8_t *)"uuid", 4}},
    {.type = ATTRIBUTE_STRINGS, .name = {(const uint8_t *)"tags", 4}},
    {.type = ATTRIBUTE_INTS, .name = {(const uint8_t *)"ints", 4}},
    {.type = ATTRIBUTE_INT,
     .name = {(const uint8_t *)"wide", 4}}, /* the column is of ints, the filter sees floats */
    {.type = ATTRIBUTE_STRING, .name = {(const uint8_t *)"mixed", 5}},
    {.type = ATTRIBUTE_INT, .name = {(const uint8_t *)"rising", 6}},
};

/* Rows, their columns, and the schema that filters are parsed with. */
struct table {
    struct schema schema;
    struct attribute attributes[COLUMNS + 1];
    char (*documents)[DOCUMENT_ROOM];
    struct arena arena;
    struct columns columns;
    struct buffer summary, storage;
    uint64_t asked, seen; /* rows whose documents decide, and all rows */
};

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 33) % below;
}

static int64_t large(uint64_t *seed)
{
    static const int64_t edges[] = {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_C(9007199254740993)};
    return draw(seed, 3) ? (int64_t)draw(seed, 100) - 50 : edges[draw(seed, 6)];
}

/* Appends a member, unless the row has none of this name. */
#define MEMBER(...) (draw(seed, 6) ? (size_t)snprintf(to + len, DOCUMENT_ROOM - len, __VA_ARGS__) : 0)

static void print_document(uint64_t *seed, size_t row, char *to)
{
    char time[DATETIME_TEXT_LEN + 1] = {0};
    size_t len = (size_t)snprintf(to, DOCUMENT_ROOM, "{\"rising\":%zu", row);
    datetime_format((int64_t)draw(seed, 50) * 86400000, time);
    len += MEMBER(",\"int\":%" PRId64, large(seed));
    len += MEMBER(",\"uint\":%" PRIu64, draw(seed, 2) ? draw(seed, 60) : UINT64_MAX - draw(seed, 3));
    len += MEMBER(",\"real\":%d.%d", (int)draw(seed, 100) - 50, (int)draw(seed, 2) * 5);
    len += MEMBER(",\"bool\":%s", draw(seed, 2) ? "true" : "false");
    len += MEMBER(",\"few\":\"%s\"", words[draw(seed, 8)]);
    len += MEMBER(",\"many\":\"%s %zu\"", words[draw(seed, 8)], row);
    len += MEMBER(",\"time\":\"%s\"", time);
    len += MEMBER(",\"uuid\":\"00000000-0000-0000-0000-%012" PRIx64 "\"", draw(seed, 30));
    len += MEMBER(",\"tags\":[\"%s\",\"%s\"]", words[draw(seed, 8)], words[draw(seed, 8)]);
    len += draw(seed, 2) ? MEMBER(",\"ints\":[%" PRId64 ",%d]", large(seed), (int)draw(seed, 9))
                         : MEMBER(",\"ints\":[]");
    len += MEMBER(",\"wide\":%" PRId64, large(seed));
    len +=
        draw(seed, 9) ? MEMBER(",\"mixed\":\"%s\"", words[draw(seed, 8)]) : MEMBER(",\"mixed\":%d", 7); /* odd */
    snprintf(to + len, DOCUMENT_ROOM - len, "}");
}

/* ---- the columns ----------------------------------------------------------------------------------------- */

static enum dp_status keep_page(void *context, struct span page, struct dp_error *error)
{
    struct buffer *out = context;
    buffer_append(out, page);
    buffer_append_zeros(out, COLUMN_SUM);
    return buffer_check(out, "pages", error);
}

static struct span value_of(const char *document, struct span name)
{
    struct span value = {0};
    document_find(span_str(document), name, &value);
    return value;
}

static void build_column(struct table *t, const struct attribute *attribute)
{
    struct column_builder b;
    struct buffer pages;
    struct dp_error error = {0};
    buffer_init(&pages, 1 << 24);
    column_builder_init(&b, attribute, keep_page, &pages);
    for (size_t row = 0; row < ROWS; row++)
        assert_int_equal(column_builder_add(&b, value_of(t->documents[row], attribute->name), &error), DP_OK);
    assert_int_equal(column_builder_end(&b, &error), DP_OK);
    if (column_builder_dictionary(&b).len)
        keep_page(&t->storage, column_builder_dictionary(&b), &error);
    buffer_append(&t->storage, buffer_span(&pages));
    assert_int_equal(b.page_count, column_page_count(ROWS));
    column_put(&b.column, b.page_count, &t->summary);
    column_builder_deinit(&b);
    buffer_deinit(&pages);
}

static struct table *make_table(uint64_t seed)
{
    struct table *t = calloc(1, sizeof *t);
    struct dp_error error = {0};
    t->documents = calloc(ROWS, sizeof *t->documents);
    for (size_t row = 0; row < ROWS; row++)
        print_document(&seed, row, t->documents[row]);
    arena_init(&t->arena, 1 << 28);
    buffer_init(&t->summary, 1 << 24);
    buffer_init(&t->storage, 1 << 24);
    columns_put_head(ROWS, true, COLUMNS, &t->summary);
    for (size_t i = 0; i < COLUMNS; i++)
        build_column(t, &attributes[i]);
    if (columns_parse(buffer_span(&t->summary), ROWS, &t->arena, &t->columns, &error) != DP_OK)
        fail_msg("%s", error.message);
    assert_int_equal(t->columns.bytes, t->storage.len);
    memcpy(t->attributes, attributes, sizeof attributes);
    for (size_t i = 0; i < COLUMNS; i++) {
        if (span_equal_str(t->attributes[i].name, "wide"))
            t->attributes[i].type = ATTRIBUTE_FLOAT;
        t->attributes[i].options = span_str("{\"regex\":true,\"full_text_search\":true}");
    }
    t->attributes[COLUMNS] = (struct attribute){.type = ATTRIBUTE_INT, .name = span_str("later")};
    t->schema = (struct schema){.attributes = t->attributes, .count = COLUMNS + 1, .id_kind = ID_UINT};
    return t;
}

static void free_table(struct table *t)
{
    arena_deinit(&t->arena);
    buffer_deinit(&t->summary);
    buffer_deinit(&t->storage);
    free(t->documents);
    free(t);
}

/* ---- filters --------------------------------------------------------------------------------------------- */

#define ONE_OF(names) names[draw(seed, sizeof(names) / sizeof *(names))]
#define PRINT(...)    (size_t) snprintf(to, room, __VA_ARGS__)

static size_t print_of_arrays(uint64_t *seed, char *to, size_t room)
{
    static const char *const one[] = {"Contains", "NotContains", "AnyLt", "AnyLte", "AnyGt", "AnyGte"};
    static const char *const some[] = {"ContainsAny", "NotContainsAny", "In", "Eq", "NotEq"};
    const char *a = ONE_OF(words), *b = ONE_OF(words);
    const int64_t n = large(seed);
    switch (draw(seed, 6)) {
    case 0: return PRINT("[\"tags\",\"%s\",\"%s\"]", ONE_OF(one), a);
    case 1: return PRINT("[\"tags\",\"%s\",[\"%s\",\"%s\"]]", ONE_OF(some), a, b);
    case 2: return PRINT("[\"tags\",\"Glob\",\"%c*\"]", "abcx"[draw(seed, 4)]);
    case 3: return PRINT("[\"ints\",\"%s\",%" PRId64 "]", ONE_OF(one), n);
    case 4: return PRINT("[\"ints\",\"%s\",[%" PRId64 ",%d]]", ONE_OF(some), n, (int)draw(seed, 9));
    default: return PRINT("[\"ints\",\"%s\",[]]", draw(seed, 2) ? "Eq" : "NotEq");
    }
}

static size_t print_comparison(uint64_t *seed, char *to, size_t room)
{
    static const char *const orders[] = {"Lt", "Lte", "Gt", "Gte", "Eq", "NotEq"};
    static const char *const numbers[] = {"int", "real", "wide", "later", "rising"};
    static const char *const texts[] = {"few", "many", "mixed"};
    static const char *const names[] = {"int",  "uint", "real", "bool", "few",   "many",  "time",
                                        "uuid", "tags", "ints", "wide", "mixed", "later", "none"};
    static const char *const globs[] = {"Glob", "NotGlob", "IGlob", "NotIGlob"};
    const int64_t n = large(seed);
    const char *word = ONE_OF(words), *number = ONE_OF(numbers), *text = ONE_OF(texts), *order = ONE_OF(orders);
    switch (draw(seed, 15)) {
    case 0: return PRINT("[\"%s\",\"%s\",%" PRId64 "]", number, order, n);
    case 1: return PRINT("[\"%s\",\"%s\",%d.5]", number, order, (int)draw(seed, 90) - 45);
    case 2: return PRINT("[\"%s\",\"%s\",[%" PRId64 ",3,%d,3.5]]", number, n & 1 ? "In" : "NotIn", n, (int)n & 31);
    case 3: return PRINT("[\"uint\",\"%s\",%" PRIu64 "]", order, draw(seed, 2) ? draw(seed, 60) : UINT64_MAX - 1);
    case 4: return PRINT("[\"%s\",\"%s\",\"%s\"]", text, order, word);
    case 5: return PRINT("[\"%s\",\"%s\",[\"%s\",\"bay\",null]]", text, n & 1 ? "In" : "NotIn", word);
    case 6: return PRINT("[\"%s\",\"%s\",\"%c*\"]", text, ONE_OF(globs), "abcx"[draw(seed, 4)]);
    case 7: return PRINT("[\"many\",\"%s\",\"%s %d\"]", n & 1 ? "Eq" : "NotEq", word, (int)draw(seed, ROWS));
    case 8: return PRINT("[\"%s\",\"%s\",null]", ONE_OF(names), n & 1 ? "Eq" : "NotEq");
    case 9: return PRINT("[\"time\",\"%s\",\"1970-01-%02d\"]", order, 1 + (int)draw(seed, 30));
    case 10: return PRINT("[\"uuid\",\"%s\",\"00000000-0000-0000-0000-%012" PRIx64 "\"]", order, draw(seed, 30));
    case 11: return PRINT("[\"bool\",\"%s\",%s]", order, n & 1 ? "true" : "false");
    case 12: return PRINT("[\"few\",\"Regex\",\"^[a-d].*%c\"]", "eyx"[draw(seed, 3)]);
    case 13:
        return PRINT("[\"%s\",\"ContainsAllTokens\",\"%s\"]", draw(seed, 2) ? "few" : "tags",
                     n & 1 ? "east end" : "bay");
    default: return print_of_arrays(seed, to, room);
    }
}

static size_t print_filter(uint64_t *seed, unsigned depth, char *to, size_t room)
{
    const uint64_t kind = depth < 3 ? draw(seed, 6) : 5;
    if (kind > 2)
        return print_comparison(seed, to, room);
    size_t len = PRINT("[\"%s\",", kind == 0 ? "And" : kind == 1 ? "Or" : "Not");
    if (kind == 2) {
        len += print_filter(seed, depth + 1, to + len, room - len);
        return len + (size_t)snprintf(to + len, room - len, "]");
    }
    for (uint64_t i = 0, count = 1 + draw(seed, 3); i < count; i++) {
        len += (size_t)snprintf(to + len, room - len, "%s", i ? "," : "[");
        len += print_filter(seed, depth + 1, to + len, room - len);
    }
    return len + (size_t)snprintf(to + len, room - len, "]]");
}

/* ---- the comparison -------------------------------------------------------------------------------------- */

static bool has_row(const uint64_t *words_of, size_t row)
{
    return words_of[row / 64] >> (row % 64) & 1;
}

static void check_page(struct table *t, const struct filter *filter, const char *text, size_t page,
                       const struct column_bits *bits)
{
    struct filter_watch watch = {.call = NULL};
    for (size_t i = 0; i < column_page_rows(ROWS, page); i++) {
        const size_t number = page * COLUMN_PAGE_ROWS + i;
        const struct filter_row row = {.id = span_of("\1\0\0\0\0\0\0\0\7", 9),
                                       .document = span_str(t->documents[number])};
        const bool match = filter_match(filter, &row, NULL, &watch), yes = has_row(bits->yes, i),
                   maybe = has_row(bits->maybe, i);
        if ((yes && !match) || (match && !maybe))
            fail_msg("%s: row %zu %s: matches %d, the columns say %d to %d", text, number, t->documents[number],
                     match, yes, maybe);
        t->asked += maybe && !yes;
        t->seen++;
    }
    for (size_t i = column_page_rows(ROWS, page); i < COLUMN_PAGE_ROWS; i++)
        assert_false(has_row(bits->maybe, i));
}

static struct span piece_of(const struct table *t, const struct column_piece *piece)
{
    return span_of(t->storage.data + piece->offset, piece->len);
}

/* Fills the bits of a page that nobody reads. */
static void fill_fate(enum column_fate fate, size_t page, struct column_bits *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < column_page_rows(ROWS, page); i++) {
        out->yes[i / 64] |= (uint64_t)(fate == COLUMN_ALL) << (i % 64);
        out->maybe[i / 64] |= (uint64_t)(fate != COLUMN_NONE) << (i % 64);
    }
}

/* Checks a filter. Returns how many pages were read. */
static size_t check_filter(struct table *t, const char *text)
{
    struct span dictionaries[COLUMNS] = {{0}}, pages[COLUMNS];
    struct filter_watch watch = {.call = NULL};
    struct dp_error error = {0};
    struct column_plan *plan;
    struct column_bits bits;
    struct filter *filter;
    struct arena arena;
    size_t read = 0;
    arena_init(&arena, 1 << 26);
    if (filter_parse(&arena, span_str(text), &t->schema, false, &filter, &error) != DP_OK)
        fail_msg("%s: %s", text, error.message);
    assert_int_equal(column_plan_new(&arena, filter, &t->columns, NULL, 0, &plan, &error), DP_OK);
    for (size_t i = 0; i < plan->used_count; i++) {
        if (plan->used[i]->dictionary.len)
            dictionaries[i] = piece_of(t, &plan->used[i]->dictionary);
    }
    if (column_plan_start(plan, dictionaries, &watch, &error) != DP_OK)
        fail_msg("%s: %s", text, error.message);
    for (size_t page = 0; page < t->columns.page_count; page++) {
        const enum column_fate fate = plan->fates[page];
        for (size_t i = 0; i < plan->used_count; i++)
            pages[i] = piece_of(t, &plan->used[i]->pages[page]);
        fill_fate(fate, page, &bits);
        if (fate == COLUMN_READ && column_plan_page(plan, page, pages, &bits, &error) != DP_OK)
            fail_msg("%s: %s", text, error.message);
        read += fate == COLUMN_READ;
        check_page(t, filter, text, page, &bits);
    }
    column_plan_deinit(plan);
    arena_deinit(&arena);
    return read;
}

static void test_column_filters_agree_with_documents(void **state)
{
    struct table *t = make_table(1);
    uint64_t seed = 11;
    char text[4096];
    (void)state;
    for (size_t i = 0; i < FILTERS; i++) {
        print_filter(&seed, 0, text, sizeof text);
        check_filter(t, text);
    }
    printf("%zu rows of documents, %zu bytes of summary, %zu of pages; documents decide about %.2f %%\n",
           (size_t)ROWS, t->summary.len, t->storage.len, 100.0 * (double)t->asked / (double)t->seen);
    assert_true(t->asked < t->seen / 8);
    free_table(t);
}

static void test_column_decides_without_documents(void **state)
{
    static const char *const decided[] = {
        "[\"int\",\"Lt\",7]",
        "[\"few\",\"Glob\",\"a*\"]",
        "[\"few\",\"In\",[\"alps\",\"x\"]]",
        "[\"tags\",\"Contains\",\"bay\"]",
        "[\"time\",\"Gte\",\"1970-01-09\"]",
        "[\"real\",\"Eq\",3.5]",
        "[\"later\",\"Eq\",null]",
        "[\"ints\",\"Eq\",[]]",
        "[\"bool\",\"NotEq\",true]",
        "[\"uuid\",\"Lt\",\"00000000-0000-0000-0000-000000000009\"]",
    };
    struct table *t = make_table(2);
    (void)state;
    for (size_t i = 0; i < sizeof decided / sizeof *decided; i++) {
        check_filter(t, decided[i]);
        if (t->asked)
            fail_msg("%s asks for %" PRIu64 " documents", decided[i], t->asked);
    }
    /* A name that no row has is no hash of these rows, and one that a row has asks for few documents. */
    check_filter(t, "[\"many\",\"Eq\",\"nobody\"]");
    assert_int_equal(t->asked, 0);
    check_filter(t, "[\"many\",\"Eq\",\"alps 77\"]");
    assert_true(t->asked <= 2);
    free_table(t);
}

static void test_column_summary_leaves_out_pages(void **state)
{
    struct table *t = make_table(3);
    (void)state;
    assert_int_equal(check_filter(t, "[\"rising\",\"Gt\",4500]"), 1);
    assert_int_equal(check_filter(t, "[\"rising\",\"Lt\",-1]"), 0);
    assert_int_equal(check_filter(t, "[\"rising\",\"Gte\",0]"), 0);
    assert_int_equal(check_filter(t, "[\"And\",[[\"rising\",\"Lt\",9],[\"few\",\"Eq\",\"bay\"]]]"), 1);
    assert_int_equal(check_filter(t, "[\"Not\",[\"rising\",\"Lt\",10000]]"), 0);
    assert_int_equal(check_filter(t, "[\"later\",\"Gt\",1]"), 0);
    free_table(t);
}

/* ---- damage ---------------------------------------------------------------------------------------------- */

static void test_column_damage_is_an_error_or_harmless(void **state)
{
    struct table *t = make_table(4);
    struct column_page page = {.rows = 0};
    struct dp_error error = {0};
    uint64_t seed = 5;
    (void)state;
    for (int i = 0; i < 400; i++) {
        struct columns columns;
        const size_t at = (size_t)draw(&seed, t->summary.len), cut = (size_t)draw(&seed, t->summary.len);
        const uint8_t kept = t->summary.data[at];
        t->summary.data[at] ^= (uint8_t)(1 + draw(&seed, 255));
        arena_reset(&t->arena);
        columns_parse(buffer_span(&t->summary), ROWS, &t->arena, &columns, &error);
        t->summary.data[at] = kept;
        assert_int_equal(columns_parse(span_of(t->summary.data, cut), ROWS, &t->arena, &columns, &error),
                         DP_CORRUPT);
    }
    arena_reset(&t->arena);
    assert_int_equal(columns_parse(buffer_span(&t->summary), ROWS, &t->arena, &t->columns, &error), DP_OK);
    for (int i = 0; i < 2000; i++) {
        const struct attribute_column *c = &t->columns.columns[draw(&seed, COLUMNS)];
        const struct span bytes = piece_of(t, &c->pages[draw(&seed, 2)]);
        uint8_t *copy = malloc(bytes.len);
        memcpy(copy, bytes.data, bytes.len);
        copy[draw(&seed, draw(&seed, 2) ? bytes.len : 12)] ^= (uint8_t)(1 + draw(&seed, 255));
        const size_t len = draw(&seed, 2) ? bytes.len : (size_t)draw(&seed, bytes.len);
        column_page_read(span_of(copy, len), attribute_is_array(c->type), COLUMN_PAGE_ROWS, &page, &error);
        free(copy);
    }
    column_page_deinit(&page);
    free_table(t);
}

/* Compares a column with the documents of a table. Returns how many rows differ. */
static size_t compare_column(const struct table *t, size_t number, const struct table *rows)
{
    const struct attribute_column *c = &t->columns.columns[number];
    struct column_check check;
    struct dp_error error = {0};
    size_t differ = 0;
    const struct span dictionary = c->dictionary.len ? piece_of(t, &c->dictionary) : (struct span){0};
    assert_int_equal(column_check_init(&check, c, dictionary, &error), DP_OK);
    for (size_t row = 0; row < ROWS; row++) {
        const size_t page = row / COLUMN_PAGE_ROWS;
        if (row % COLUMN_PAGE_ROWS == 0)
            assert_int_equal(
                column_check_page(&check, piece_of(t, &c->pages[page]), column_page_rows(ROWS, page), &error),
                DP_OK);
        differ += !column_check_row(&check, value_of(rows->documents[row], c->name));
    }
    assert_true(column_check_end(&check));
    column_check_deinit(&check);
    return differ;
}

static void test_column_check_tells_other_documents(void **state)
{
    struct table *t = make_table(6), *other = make_table(7);
    (void)state;
    for (size_t i = 0; i < COLUMNS; i++) {
        const bool rising = span_equal_str(attributes[i].name, "rising"); /* every table has the same */
        assert_int_equal(compare_column(t, i, t), 0);
        if (!rising)
            assert_true(compare_column(t, i, other) > ROWS / 4);
    }
    free_table(t);
    free_table(other);
}

/* The summaries of 4 million rows with 50 attributes leave room in a hot part of 4 MiB. */
static void test_column_summary_is_small(void **state)
{
    enum { MANY = 4000000, ATTRIBUTES = 50 };
    const size_t pages = column_page_count(MANY);
    struct attribute_column c = {
        .name = span_str("an_attribute_with_a_name"), .stored = true, .type = ATTRIBUTE_INT};
    struct buffer summary;
    (void)state;
    c.pages = calloc(pages, sizeof *c.pages);
    for (size_t i = 0; i < pages; i++)
        c.pages[i] = (struct column_piece){.len = 16000, .low = 0, .high = 255};
    buffer_init(&summary, 1 << 24);
    columns_put_head(MANY, true, ATTRIBUTES, &summary);
    for (size_t i = 0; i < ATTRIBUTES; i++)
        column_put(&c, pages, &summary);
    printf("%d rows, %d attributes: %zu bytes of summary\n", MANY, ATTRIBUTES, summary.len);
    assert_true(summary.len < 320 * 1024);
    buffer_deinit(&summary);
    free(c.pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_column_filters_agree_with_documents),
        cmocka_unit_test(test_column_decides_without_documents),
        cmocka_unit_test(test_column_summary_leaves_out_pages),
        cmocka_unit_test(test_column_damage_is_an_error_or_harmless),
        cmocka_unit_test(test_column_check_tells_other_documents),
        cmocka_unit_test(test_column_summary_is_small),
    };
    return test_run(tests);
}
