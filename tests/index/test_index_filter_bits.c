/* test_index_filter_bits.c: the sets of rows that match a filter equal what a walk over all documents finds, over
 * several segments with replaced and deleted rows and over the log.
 */
#include "index_fixture.h"
#include "test_alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/filter.h"
#include "index/clock.h"
#include "index/fold/verify_columns.h"
#include "index/query/filter_bits.h"
#include "index/query/reader.h"
#include "index/schema.h"
#include "index/segment/columns.h"
#include "index/segment/format.h"
#include "index/upkeep.h"
#include "index/verify.h"

enum { ROWS = 700, NEWER_FROM = 500, NEWER_TO = 900, WRITTEN = 60, DELETED = 25, FILTERS = 120 };

static const char *const places[] = {"alps", "bay", "cape", "dune", "east \\\"end\\\"", "f\\u00f6hr"};

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* The attributes of a row: some are missing, and some depend on the edition. */
static void print_row(uint64_t row, unsigned edition, char text[512])
{
    uint64_t r = row * 2654435761u + edition * 40503u;
    size_t len = (size_t)snprintf(text, 512, "{\"name\":\"row %" PRIu64 "\"", row);
    if (r % 3)
        len += (size_t)snprintf(text + len, 512 - len, ",\"n\":%" PRId64, (int64_t)(r >> 5 & 127) - 40);
    if (r % 5)
        len += (size_t)snprintf(text + len, 512 - len, ",\"f\":%d.25", (int)(r >> 7 & 63) - 30);
    if (r % 7)
        len += (size_t)snprintf(text + len, 512 - len, ",\"place\":\"%s\"", places[(r >> 9) % 6]);
    if (r % 11)
        len += (size_t)snprintf(text + len, 512 - len, ",\"tags\":[\"%s\",\"t%d\"]", places[(r >> 12) % 6],
                                (int)(r >> 16 & 15));
    if (r % 13)
        len += (size_t)snprintf(text + len, 512 - len, ",\"nums\":[%d,%d,7]", (int)(r >> 8 & 31),
                                (int)(r >> 14 & 31));
    if (r % 17)
        len += (size_t)snprintf(text + len, 512 - len, ",\"ok\":%s", r >> 20 & 1 ? "true" : "false");
    if (r % 19) /* words of which some are in many rows and others in few */
        len += (size_t)snprintf(text + len, 512 - len, ",\"body\":\"common w%d w%d rare%" PRIu64 " w%d\"",
                                (int)(r >> 6 & 15), (int)(r >> 11 & 15), row / 2, (int)(r >> 17 & 31));
    snprintf(text + len, 512 - len, "}");
}

static void load_rows(struct world *w, uint64_t from, uint64_t to, unsigned edition)
{
    struct index_loader *loader = fixture_begin(w, "rows");
    struct index_load_summary summary;
    float x[FIXTURE_DIM];
    char text[512], id[32];
    index_load_declare(loader, span_str("body"), span_str("{\"full_text_search\":true}"));
    for (uint64_t row = from; row < to; row++) {
        fixture_vector(w, row, 0, edition, x);
        print_row(row, edition, text);
        if (index_load_row(&w->call, loader, fixture_id(row, id), x, 1, span_str(text)) != DP_OK)
            fail_msg("row %" PRIu64 ": %s", row, w->call.error.message);
    }
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
}

/* Rows [0, NEWER_TO) in two segments, of which the log replaces some and deletes others. */
static struct index_reader *make_rows(struct world *w)
{
    static struct index_write_row rows[WRITTEN + DELETED];
    static float x[WRITTEN][FIXTURE_DIM];
    static char texts[WRITTEN][512], ids[WRITTEN + DELETED][32];
    struct index_write_result result;
    load_rows(w, 0, ROWS, 0);
    load_rows(w, NEWER_FROM, NEWER_TO, 1);
    struct index_reader *reader = fixture_open(w, "rows");
    memset(rows, 0, sizeof rows);
    for (uint64_t i = 0; i < WRITTEN + DELETED; i++) {
        const uint64_t row = i * 11;
        rows[i].id = fixture_id(row, ids[i]);
        rows[i].kind = i < WRITTEN ? INDEX_UPSERT : INDEX_DELETE;
        if (i >= WRITTEN)
            continue;
        fixture_vector(w, row, 0, 2, x[i]);
        print_row(row, 2, texts[i]);
        rows[i].vectors = x[i];
        rows[i].windows = 1;
        rows[i].attributes = span_str(texts[i]);
    }
    const struct index_write write = {.rows = rows, .count = WRITTEN + DELETED, .dim = w->dim};
    if (index_write(&w->call, reader, &write, &result) != DP_OK)
        fail_msg("writing: %s", w->call.error.message);
    return reader;
}

/* ---- filters --------------------------------------------------------------------------------------------- */

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 33) % below;
}

static const char *one_of(uint64_t *seed, const char *const *names, uint64_t count)
{
    return names[draw(seed, count)];
}

/* Writes one comparison with an attribute. Most of these comparisons match some rows. */
static size_t print_comparison(uint64_t *seed, char *to, size_t room)
{
    static const char *const orders[] = {"Lt", "Lte", "Gt", "Gte", "Eq", "NotEq"};
    static const char *const anys[] = {"AnyLt", "AnyLte", "AnyGt", "AnyGte", "Contains", "NotContains"};
    static const char *const globs[] = {"Glob", "NotGlob", "IGlob", "NotIGlob"};
    static const char *const tokens[] = {"ContainsAllTokens", "ContainsAnyToken", "ContainsTokenSequence"};
    static const char *const nulls[] = {"n", "f", "place", "tags", "nums", "ok", "missing"};
    const char *place = one_of(seed, places, 6), *other = one_of(seed, places, 6);
    int n = (int)draw(seed, 140) - 45, m = (int)draw(seed, 140) - 45;
    switch (draw(seed, 17)) {
    case 0: return (size_t)snprintf(to, room, "[\"n\",\"%s\",%d]", one_of(seed, orders, 6), n);
    case 1: return (size_t)snprintf(to, room, "[\"n\",\"%s\",%d.5]", one_of(seed, orders, 6), n);
    case 2: return (size_t)snprintf(to, room, "[\"f\",\"%s\",%d.25]", one_of(seed, orders, 6), n / 2);
    case 3: return (size_t)snprintf(to, room, "[\"n\",\"%s\",[%d,%d,7]]", n & 1 ? "In" : "NotIn", n, m);
    case 4: return (size_t)snprintf(to, room, "[\"place\",\"%s\",\"%s\"]", one_of(seed, orders, 6), place);
    case 5: return (size_t)snprintf(to, room, "[\"place\",\"%s\",[\"%s\",\"x\"]]", n & 1 ? "In" : "NotIn", place);
    case 6: return (size_t)snprintf(to, room, "[\"place\",\"%s\",\"%c*\"]", one_of(seed, globs, 4), 'a' + (m & 7));
    case 7: return (size_t)snprintf(to, room, "[\"name\",\"%s\",\"row %d\"]", one_of(seed, orders, 6), n * 7);
    case 8:
        return (size_t)snprintf(to, room, "[\"%s\",\"%s\",null]", one_of(seed, nulls, 7), n & 1 ? "Eq" : "NotEq");
    case 9: return (size_t)snprintf(to, room, "[\"tags\",\"%s\",\"%s\"]", one_of(seed, anys, 6), place);
    case 10:
        return (size_t)snprintf(to, room, "[\"tags\",\"%s\",[\"%s\",\"t%d\"]]", n & 1 ? "Eq" : "ContainsAny",
                                other, n & 15);
    case 11: return (size_t)snprintf(to, room, "[\"nums\",\"%s\",%d]", one_of(seed, anys, 6), m / 3);
    case 12:
        return (size_t)snprintf(to, room, "[\"ok\",\"%s\",%s]", one_of(seed, orders, 6), n & 1 ? "true" : "false");
    case 13: return (size_t)snprintf(to, room, "[\"id\",\"NotIn\",[%d,\"%d\"]]", n + 45, m);
    case 14:
        return (size_t)snprintf(to, room, "[\"body\",\"%s\",\"w%d w%d\"]", one_of(seed, tokens, 3), n & 15,
                                m & 15);
    case 15:
        return (size_t)snprintf(to, room, "[\"body\",\"%s\",\"w%d rare%d\",{\"last_as_prefix\":%s}]",
                                one_of(seed, tokens, 3), n & 15, m & 63, m & 64 ? "true" : "false");
    default: return (size_t)snprintf(to, room, "[\"body\",\"%s\",\"nowhere common ,\"]", one_of(seed, tokens, 3));
    }
}

/* Writes a filter of a few comparisons. */
static size_t print_filter(uint64_t *seed, unsigned depth, char *to, size_t room)
{
    uint64_t kind = depth < 3 ? draw(seed, 5) : 4;
    if (kind > 2)
        return print_comparison(seed, to, room);
    size_t len = (size_t)snprintf(to, room, "[\"%s\",", kind == 0 ? "And" : kind == 1 ? "Or" : "Not");
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

static enum dp_status match_status; /* of the last match that failed */

static bool match_row(void *ctx, struct span key, struct span document)
{
    const struct filter_row row = {.id = key, .document = document};
    struct filter_watch watch = {.call = NULL};
    const bool matches = filter_match(ctx, &row, NULL, &watch);
    match_status = watch.status ? watch.status : match_status;
    return matches;
}

/* ---- the comparison -------------------------------------------------------------------------------------- */

/* Compares the sets with the rows that a walk finds. */
struct comparison {
    struct filter *filter; /* NULL: every row */
    const struct filter_bits *bits;
    const char *text;
    uint64_t found, in_tail;
    uint64_t counts[8];
};

static enum dp_status compare_row(void *context, const struct live_row *row)
{
    struct comparison *c = context;
    bool match = !c->filter || match_row(c->filter, row->key, row->document);
    c->found += match;
    if (row->record) {
        bool in_set = c->in_tail < c->bits->tail_count && c->bits->tail[c->in_tail] == row->record;
        if (in_set != match)
            fail_msg("%s: a row of the log: %s", c->text, match ? "missing" : "too many");
        c->in_tail += match;
        return DP_OK;
    }
    c->counts[row->place.segment] += match;
    if (filter_bits_has(c->bits, row->place.segment, row->place.row) != match)
        fail_msg("%s: segment %" PRIu32 ", row %" PRIu32 " %.*s: %s", c->text, row->place.segment, row->place.row,
                 SPAN_FMT(row->document), match ? "missing" : "too many");
    return DP_OK;
}

static void compare_counts(const struct comparison *c, const struct live_rows *live)
{
    assert_int_equal(c->bits->total, c->found);
    assert_int_equal(c->bits->tail_count, c->in_tail);
    for (size_t i = 0; i < c->bits->segment_count; i++) {
        const uint64_t rows = live->view->base->segments[i].segment->hot.rows;
        uint64_t steps = 0;
        assert_int_equal(c->bits->matches[i], c->counts[i]);
        assert_int_equal(filter_bits_count(c->bits, i, 0, rows), c->counts[i]);
        assert_int_equal(filter_bits_count(c->bits, i, 0, rows / 3) +
                             filter_bits_count(c->bits, i, rows / 3, rows - rows / 3),
                         c->counts[i]);
        for (uint64_t row = 0; filter_bits_next(c->bits, i, rows, &row); row++, steps++)
            assert_true(filter_bits_has(c->bits, i, row));
        assert_int_equal(steps, c->counts[i]);
    }
}

/* Makes the sets of a filter, or of all rows if `text` is NULL, and compares them with a walk. */
static void check_filter(struct world *w, struct index_reader *reader, const char *text)
{
    struct index_scan scan = {.query.top_k = 1};
    struct comparison c = {.text = text ? text : "all rows"};
    struct filter_bits bits;
    struct live_rows live;
    struct schema schema;
    world_reset(w);
    assert_int_equal(index_schema(&w->call, reader, &schema), DP_OK);
    if (text && filter_parse(&w->arena, span_str(text), &schema, false, &c.filter, &w->call.error) != DP_OK)
        fail_msg("%s: %s", text, w->call.error.message);
    if (text)
        scan =
            (struct index_scan){.query.top_k = 1, .match = match_row, .match_ctx = c.filter, .filter = c.filter};
    struct view *view = reader_view(reader);
    assert_int_equal(live_rows_take_all(&w->call, view, &live), DP_OK);
    if (filter_bits_make(&w->call, &live, &scan, &bits) != DP_OK)
        fail_msg("%s: %s", c.text, w->call.error.message);
    c.bits = &bits;
    assert_int_equal(live_rows_walk(&w->call, &live, compare_row, &c), DP_OK);
    compare_counts(&c, &live);
    filter_bits_deinit(&bits);
    live_rows_deinit(&live);
    view_release(view);
}

static void check_filters(struct world *w, struct index_reader *reader, size_t count)
{
    uint64_t seed = 7;
    char text[4096];
    check_filter(w, reader, NULL);
    for (size_t i = 0; i < count; i++) {
        print_filter(&seed, 0, text, sizeof text);
        check_filter(w, reader, text);
    }
}

static void test_index_filter_bits_are_the_rows_that_match(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = make_rows(w);
    check_filters(w, reader, FILTERS);
    index_close(reader);
}

/* The result does not depend on the maximum bytes of a round. */
static void test_index_filter_bits_come_in_rounds(void **state)
{
    static const uint64_t rounds[] = {1, 70000, 140000};
    struct world *w = *state;
    struct index_reader *reader;
    index_close(make_rows(w));
    for (size_t i = 0; i < sizeof rounds / sizeof *rounds; i++) {
        assert_int_equal(
            reader_open(&w->call, w->store, span_str("rows"), rounds[i], &index_system_clock, &reader), DP_OK);
        check_filters(w, reader, FILTERS / 6);
        index_close(reader);
    }
}

/* Folds and merges write columns, too. */
static void test_index_filter_bits_hold_after_a_fold_and_a_merge(void **state)
{
    struct world *w = *state;
    struct index_fold_result folded;
    struct index_merge_result merged;
    const struct index_merge_options options = {.everything = true};
    struct index_reader *reader = make_rows(w);
    assert_int_equal(index_fold(&w->call, reader, NULL, &folded), DP_OK);
    index_close(reader);
    reader = fixture_open(w, "rows");
    check_filters(w, reader, FILTERS / 4);
    index_close(reader);
    assert_int_equal(index_merge(&w->call, w->store, span_str("rows"), &options, &merged), DP_OK);
    reader = fixture_open(w, "rows");
    check_filters(w, reader, FILTERS / 4);
    index_close(reader);
}

/* ---- what is read ---------------------------------------------------------------------------------------- */

enum { MANY = 9000 };

/* Returns the bytes that the sets of a filter cost. *rounds: the rounds. */
static uint64_t bytes_of(struct world *w, struct index_reader *reader, const char *text, uint64_t *rounds)
{
    struct index_scan scan = {.query.top_k = 1, .match = match_row};
    struct filter *filter;
    struct filter_bits bits;
    struct live_rows live;
    struct schema schema;
    world_reset(w);
    assert_int_equal(index_schema(&w->call, reader, &schema), DP_OK);
    assert_int_equal(filter_parse(&w->arena, span_str(text), &schema, false, &filter, &w->call.error), DP_OK);
    scan.match_ctx = filter;
    scan.filter = filter;
    struct view *view = reader_view(reader);
    assert_int_equal(live_rows_take_all(&w->call, view, &live), DP_OK);
    if (filter_bits_make(&w->call, &live, &scan, &bits) != DP_OK)
        fail_msg("%s: %s", text, w->call.error.message);
    printf("%s: %" PRIu64 " rows, %" PRIu64 " rounds, %" PRIu64 " bytes\n", text, bits.total,
           (uint64_t)w->call.cost.rounds, (uint64_t)w->call.cost.bytes);
    filter_bits_deinit(&bits);
    live_rows_deinit(&live);
    view_release(view);
    *rounds = w->call.cost.rounds;
    return w->call.cost.bytes;
}

static void test_index_filter_bits_read_columns_alone(void **state)
{
    struct world *w = *state;
    uint64_t rounds;
    load_rows(w, 0, MANY, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    /* Numbers of 7 bits and the bits of rows without a value, in three pages. */
    assert_in_range(bytes_of(w, reader, "[\"n\",\"Lt\",-35]", &rounds), MANY, MANY + 200);
    assert_int_equal(rounds, 1);
    /* Codes of 3 bits, and a dictionary of six places. */
    assert_in_range(bytes_of(w, reader, "[\"place\",\"Glob\",\"d*\"]", &rounds), MANY / 2, MANY / 2 + 300);
    assert_int_equal(rounds, 1);
    /* Hashes of 32 bits for names, and the document of the row. */
    assert_in_range(bytes_of(w, reader, "[\"name\",\"Eq\",\"row 77\"]", &rounds), 4 * MANY, 4 * MANY + 5000);
    assert_int_equal(rounds, 2);
    /* The summary says that there is no such number. */
    assert_int_equal(bytes_of(w, reader, "[\"n\",\"Gt\",1000]", &rounds), 0);
    assert_int_equal(rounds, 0);
    /* The pieces of the text index with two tokens. */
    assert_in_range(bytes_of(w, reader, "[\"body\",\"ContainsAllTokens\",\"w7 rare77\"]", &rounds), 1000, 20000);
    assert_int_equal(rounds, 1);
    /* The same, and the documents of the rows that have both somewhere. */
    assert_in_range(bytes_of(w, reader, "[\"body\",\"ContainsTokenSequence\",\"rare77 w7\"]", &rounds), 1000,
                    40000);
    assert_in_range(rounds, 1, 2);
    /* No segment has the token. */
    assert_in_range(bytes_of(w, reader, "[\"Not\",[\"body\",\"ContainsAnyToken\",\"zzz\"]]", &rounds), 0, 20000);
    index_close(reader);
}

/* Changes a byte of the section of columns. */
static void damage_columns(struct world *w, uint64_t share)
{
    struct store_listing page;
    assert_int_equal(store_list(&w->call, w->store, span_str(""), span_str(""), false, 1000, &page), DP_OK);
    for (size_t i = 0; i < page.count; i++) {
        struct store_read_req req = {.key = page.entries[i].key, .len = STORE_TO_END};
        if (req.key.len < 4 || memcmp(req.key.data + req.key.len - 4, ".dpr", 4) != 0)
            continue;
        assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
        const size_t len = req.bytes.span.len;
        uint8_t *bytes = malloc(len);
        memcpy(bytes, req.bytes.span.data, len);
        store_read_release(&req, 1);
        for (size_t at = len - SEGMENT_TABLE_ENTRY; at > 0; at--) {
            uint64_t place[2];
            memcpy(place, bytes + at + 8, sizeof place);
            if (memcmp(bytes + at, "ACOL\1\0\0\0", 8) == 0 && place[0] < at) {
                bytes[place[0] + place[1] * share / 100] ^= 1;
                break;
            }
        }
        struct store_put put = {.key = req.key, .body = span_of(bytes, len)};
        assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
        free(bytes);
    }
}

static void test_index_filter_bits_notice_a_changed_column(void **state)
{
    struct world *w = *state;
    struct index_scan scan = {.query.top_k = 1, .match = match_row, .order_by = span_str("id")};
    struct filter_bits bits;
    struct live_rows live;
    struct schema schema;
    struct filter *filter;
    load_rows(w, 0, 50, 0);
    damage_columns(w, 2);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(index_schema(&w->call, reader, &schema), DP_OK);
    assert_int_equal(
        filter_parse(&w->arena, span_str("[\"name\",\"Eq\",\"x\"]"), &schema, false, &filter, &w->call.error),
        DP_OK);
    scan.match_ctx = filter;
    scan.filter = filter;
    struct view *view = reader_view(reader);
    assert_int_equal(live_rows_take_all(&w->call, view, &live), DP_OK);
    assert_int_equal(filter_bits_make(&w->call, &live, &scan, &bits), DP_CORRUPT);
    assert_non_null(strstr(w->call.error.message, ".dpr: the checksum of a column"));
    filter_bits_deinit(&bits);
    live_rows_deinit(&live);
    view_release(view);
    index_close(reader);
}

/* ---- verification ---------------------------------------------------------------------------------------- */

static void no_fault(void *context, const char *object, const char *message)
{
    (void)context;
    fail_msg("%s: %s", object, message);
}

/* The walk of a segment that is compared with its columns; row `odd` gets another document. */
struct verifying {
    struct world *w;
    struct columns_check check;
    uint32_t odd;
    const char *document;
};

static enum dp_status verify_row(void *context, const struct live_row *row)
{
    struct verifying *v = context;
    struct span document = row->place.row == v->odd ? span_str(v->document) : row->document;
    return columns_check_row(&v->w->call, &v->check, row->place.row, document);
}

/* Compares the columns with the documents. The document of row `odd` is replaced by another one. */
static enum dp_status verify_with(struct world *w, struct index_reader *reader, uint32_t odd, const char *document)
{
    struct verifying v = {.w = w, .odd = odd, .document = document};
    struct view *view = reader_view(reader);
    const struct segment *segment = view->base->segments[0].segment;
    struct live_rows live;
    world_reset(w);
    assert_int_equal(live_rows_take_all(&w->call, view, &live), DP_OK);
    enum dp_status status =
        columns_check_begin(&w->call, &v.check, w->store, &segment->hot, object_key_span(&segment->dpr_key));
    if (status == DP_OK)
        status = live_rows_walk(&w->call, &live, verify_row, &v);
    if (status == DP_OK)
        status = columns_check_end(&w->call, &v.check);
    columns_check_deinit(&v.check);
    live_rows_deinit(&live);
    view_release(view);
    return status;
}

static void test_index_columns_are_verified(void **state)
{
    static const char *const others[] = {
        "{\"name\":\"row 9999\"}", "{\"name\":null}",    "{\"n\":5000}",    "{\"place\":\"nowhere\"}",
        "{\"tags\":[\"alps\"]}",   "{\"nums\":[1,2,8]}", "{\"new one\":1}", "{\"ok\":7}",
    };
    struct world *w = *state;
    struct index_verify_result result;
    load_rows(w, 0, ROWS, 0);
    assert_int_equal(index_verify(&w->call, w->store, span_str("rows"), no_fault, NULL, &result), DP_OK);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(verify_with(w, reader, UINT32_MAX, NULL), DP_OK);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(verify_with(w, reader, 300, others[i]), DP_CORRUPT);
        assert_non_null(strstr(w->call.error.message, "column"));
    }
    index_close(reader);
}

/* ---- failed allocations ---------------------------------------------------------------------------------- */

static enum dp_status make_sets(struct world *w, const struct live_rows *live, const struct index_scan *scan)
{
    struct filter_bits bits;
    match_status = DP_OK;
    enum dp_status status = filter_bits_make(&w->call, live, scan, &bits);
    filter_bits_deinit(&bits);
    return status ? status : match_status;
}

static void test_index_filter_bits_survive_failed_allocations(void **state)
{
    static const char filter_text[] =
        "[\"Or\",[[\"n\",\"In\",[1,2]],[\"place\",\"Eq\",\"f\\u00f6hr\"],[\"name\","
        "\"Eq\",\"row 5\"],[\"tags\",\"Glob\",\"a*\"],[\"body\",\"ContainsAnyToken\","
        "\"w3 rare1\",{\"last_as_prefix\":true}]]]";
    struct world *w = *state;
    struct index_reader *reader = make_rows(w);
    struct view *view = reader_view(reader);
    struct index_scan scan = {.query.top_k = 1, .match = match_row};
    struct filter *filter;
    struct live_rows live;
    struct schema schema;
    bool fired = true;
    size_t failed = 0;
    assert_int_equal(index_schema(&w->call, reader, &schema), DP_OK);
    assert_int_equal(filter_parse(&w->arena, span_str(filter_text), &schema, false, &filter, &w->call.error),
                     DP_OK);
    scan.match_ctx = filter;
    scan.filter = filter;
    assert_int_equal(live_rows_take_all(&w->call, view, &live), DP_OK);
    for (size_t n = 1; fired; n = test_alloc_next(n)) {
        const size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = make_sets(w, &live, &scan);
        fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        assert_int_equal(test_alloc_live(), before);
        failed += fired;
        dp_error_clear(&w->call.error);
    }
    printf("%zu allocations\n", failed);
    assert_true(failed > 15);
    live_rows_deinit(&live);
    view_release(view);
    index_close(reader);
}

/* ---- older segments -------------------------------------------------------------------------------------- */

static enum dp_status add_number(void *context, struct schema *schema, struct arena *arena, struct dp_error *error)
{
    const struct attribute n = {.type = ATTRIBUTE_INT, .name = span_str("n")};
    (void)context;
    return schema_add(schema, arena, &n, error);
}

/* Compacts. Returns how many segments were written anew. */
static uint64_t compact(struct world *w)
{
    const struct index_merge_options options = {.everything = true};
    struct index_merge_result merged;
    assert_int_equal(index_merge(&w->call, w->store, span_str("rows"), &options, &merged), DP_OK);
    return merged.inputs;
}

static void test_index_a_compaction_writes_columns_that_are_missing(void **state)
{
    struct world *w = *state;
    const struct index_alteration change = {.edit_schema = add_number};
    struct index_loader *loader = fixture_begin(w, "rows");
    struct index_load_summary summary;
    float x[FIXTURE_DIM];
    char id[32];
    for (uint64_t row = 0; row < 20; row++) {
        fixture_vector(w, row, 0, 0, x);
        assert_int_equal(index_load_row(&w->call, loader, fixture_id(row, id), x, 1, span_str("{}")), DP_OK);
    }
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    assert_int_equal(compact(w), 0);
    assert_int_equal(index_alter(&w->call, w->store, span_str("rows"), &change), DP_OK);
    struct index_reader *reader = fixture_open(w, "rows");
    check_filter(w, reader, "[\"n\",\"Eq\",null]");
    assert_int_equal(w->call.cost.rounds, 2); /* those of the sets, and of the walk that they are compared with */
    index_close(reader);
    assert_int_equal(compact(w), 1);
    assert_int_equal(compact(w), 0);
    reader = fixture_open(w, "rows");
    check_filter(w, reader, "[\"n\",\"Eq\",null]");
    assert_int_equal(w->call.cost.rounds, 1);
    index_close(reader);
}

/* ---- scans ----------------------------------------------------------------------------------------------- */

/* Compares a scan that may use columns with one that reads all documents. Returns the bytes that the first one read. */
static uint64_t compare_scans(struct world *w, struct index_reader *reader, const char *text)
{
    struct index_scan scan = {
        .query = {.top_k = 5000, .eventual = true}, .match = match_row, .order_by = span_str("id")};
    struct index_answer with, without;
    struct filter *filter;
    struct schema schema;
    world_reset(w);
    assert_int_equal(index_schema(&w->call, reader, &schema), DP_OK);
    if (filter_parse(&w->arena, span_str(text), &schema, false, &filter, &w->call.error) != DP_OK)
        fail_msg("%s: %s", text, w->call.error.message);
    scan.match_ctx = filter;
    assert_int_equal(index_scan(&w->call, reader, &scan, &without), DP_OK);
    const uint64_t before = w->call.cost.bytes;
    scan.filter = filter;
    assert_int_equal(index_scan(&w->call, reader, &scan, &with), DP_OK);
    if (with.count != without.count)
        fail_msg("%s: %zu rows, not %zu", text, with.count, without.count);
    for (size_t i = 0; i < with.count; i++)
        assert_int_equal(fixture_row_of(with.hits[i].id), fixture_row_of(without.hits[i].id));
    return w->call.cost.bytes - before;
}

static void test_index_scans_read_documents_that_may_match(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = make_rows(w);
    uint64_t seed = 23;
    char text[4096];
    for (size_t i = 0; i < FILTERS; i++) {
        print_filter(&seed, 0, text, sizeof text);
        compare_scans(w, reader, text);
    }
    /* Few rows match the one filter, and no row the other. */
    const uint64_t few = compare_scans(w, reader, "[\"And\",[[\"n\",\"Eq\",7],[\"ok\",\"Eq\",true]]]"),
                   none = compare_scans(w, reader, "[\"n\",\"Gt\",1000]"),
                   all = compare_scans(w, reader, "[\"name\",\"NotEq\",\"x\"]");
    printf("bytes of scans: %" PRIu64 " for few rows, %" PRIu64 " for none, %" PRIu64 " for all\n", few, none,
           all);
    assert_true(few < all / 2 && none == 0);
    index_close(reader);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

enum { MANY_COLUMNS = 120, MANY_ROWS = 4200 };

/* The pages of many columns wait in one temporary file; the section has them column by column. */
static void test_index_many_columns_wait_in_one_file(void **state)
{
    struct world *w = *state;
    struct index_loader *loader = fixture_begin(w, "rows");
    struct spill *documents = &loader->waiting.documents;
    struct index_load_summary summary;
    struct index_verify_result result;
    float x[FIXTURE_DIM];
    char text[MANY_COLUMNS * 24], id[32];
    uint64_t seed = 1;
    spill_deinit(documents);
    spill_init(documents, 1); /* the least that there is: less than the pages have */
    for (uint64_t row = 0; row < MANY_ROWS; row++) {
        char *end = text;
        for (unsigned i = 0; i < MANY_COLUMNS; i++)
            end += sprintf(end, "%c\"a%u\":%" PRIu64, i ? ',' : '{', i, draw(&seed, 1 << 24));
        sprintf(end, "}");
        fixture_vector(w, row, 0, 0, x);
        assert_int_equal(index_load_row(&w->call, loader, fixture_id(row, id), x, 1, span_str(text)), DP_OK);
    }
    assert_true(MANY_ROWS * MANY_COLUMNS * 3 > documents->memory_max);
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    assert_int_equal(index_verify(&w->call, w->store, span_str("rows"), no_fault, NULL, &result), DP_OK);
    struct index_reader *reader = fixture_open(w, "rows");
    struct view *view = reader_view(reader);
    const struct segment_hot *hot = &view->base->segments[0].segment->hot;
    struct columns *columns;
    assert_int_equal(segment_open_columns(hot, w->call.arena, &columns, &w->call.error), DP_OK);
    assert_int_equal(columns->count, MANY_COLUMNS);
    for (size_t i = 0; i < columns->count; i++)
        assert_true(columns->columns[i].stored);
    view_release(view);
    index_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_filter_bits_are_the_rows_that_match),
        IN_MEMORY(test_index_filter_bits_come_in_rounds),
        IN_MEMORY(test_index_filter_bits_hold_after_a_fold_and_a_merge),
        IN_MEMORY(test_index_filter_bits_read_columns_alone),
        IN_MEMORY(test_index_filter_bits_notice_a_changed_column),
        IN_MEMORY(test_index_scans_read_documents_that_may_match),
        IN_MEMORY(test_index_columns_are_verified),
        IN_MEMORY(test_index_many_columns_wait_in_one_file),
        IN_MEMORY(test_index_a_compaction_writes_columns_that_are_missing),
        IN_MEMORY(test_index_filter_bits_survive_failed_allocations),
    };
    return test_run(tests);
}
