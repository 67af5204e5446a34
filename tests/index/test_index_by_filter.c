/* test_index_by_filter.c: writes that delete and patch the rows that match a filter: the order of their steps, how many
 * rows they take, and what they do to rows that others change meanwhile.
 */
#include "index_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/filter.h"
#include "index/upkeep.h"

enum { LOADED = 60, FAR = 1000 };

static const struct filter *parse_filter(struct world *w, struct index_reader *reader, const char *json)
{
    struct schema schema;
    struct filter *filter = NULL;
    if (index_schema(&w->call, reader, &schema) != DP_OK ||
        filter_parse(&w->arena, span_str(json), &schema, false, &filter, &w->call.error) != DP_OK)
        fail_msg("%s: %s", json, w->call.error.message);
    return filter;
}

static bool match_row(void *ctx, struct span key, struct span document)
{
    const struct filter_row row = {.id = key, .document = document};
    struct filter_watch watch = {.call = NULL};
    return filter_match(ctx, &row, NULL, &watch);
}

/* The number of rows that match, as a reader that opens now sees it. */
static size_t count_rows(struct world *w, const char *json)
{
    struct index_reader *reader = fixture_open(w, "rows");
    const struct filter *filter = parse_filter(w, reader, json);
    struct index_scan scan = {.query.top_k = INDEX_TOP_K_MAX,
                              .match = match_row,
                              .match_ctx = (void *)(uintptr_t)filter,
                              .order_by = span_str("id")};
    struct index_answer answer;
    if (index_scan(&w->call, reader, &scan, &answer) != DP_OK)
        fail_msg("%s: %s", json, w->call.error.message);
    index_close(reader);
    return answer.count;
}

/* Rows of a segment, and a row of the log, whose id is FAR. */
static struct index_reader *begin_rows(struct world *w)
{
    fixture_must_load(w, "rows", 0, LOADED, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    float vector[FIXTURE_DIM];
    fixture_vector(w, FAR, 0, 0, vector);
    const struct index_write_row row = {.id.number = FAR,
                                        .vectors = vector,
                                        .windows = 1,
                                        .attributes = span_str("{\"even\":true,\"price\":1000.5,\"a\":7}")};
    const struct index_write write = {.rows = &row, .count = 1, .dim = w->dim};
    struct index_write_result result;
    assert_int_equal(index_write(&w->call, reader, &write, &result), DP_OK);
    return reader;
}

static struct index_write_result must_write(struct world *w, struct index_reader *reader,
                                            const struct index_write *write)
{
    struct index_write_result result;
    if (index_write(&w->call, reader, write, &result) != DP_OK)
        fail_msg("writing: %s", w->call.error.message);
    return result;
}

/* ---- the steps ------------------------------------------------------------------------------------------------- */

static void test_index_by_filter_deletes_then_patches_then_writes_rows(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    float vector[FIXTURE_DIM];
    fixture_vector(w, 5, 0, 0, vector);
    const struct index_write_row rows[] = {
        {.id.number = 5,
         .vectors = vector,
         .windows = 1,
         .attributes = span_str("{\"a\":1}")},                                       /* deleted before */
        {.kind = INDEX_PATCH, .id.number = 7, .attributes = span_str("{\"a\":2}")},  /* deleted before */
        {.kind = INDEX_PATCH, .id.number = 22, .attributes = span_str("{\"a\":3}")}, /* patched before */
        {.kind = INDEX_DELETE, .id.number = 28},                                     /* patched before */
    };
    const struct index_write write = {
        .deletes.filter = parse_filter(w, reader, "[\"price\",\"Lt\",10]"),
        .patches.filter = parse_filter(w, reader, "[\"even\",\"Eq\",true]"),
        .patch = {.kind = INDEX_PATCH, .attributes = span_str("{\"tags\":null,\"seen\":true}")},
        .wants_ids = true,
        .rows = rows,
        .count = 4,
        .dim = w->dim};
    struct index_write_result r = must_write(w, reader, &write);
    assert_int_equal(r.deleted, 11); /* 0 to 9, and 28 */
    assert_int_equal(r.patched, 27); /* 10, 12, … 58, FAR, and 22 again */
    assert_int_equal(r.upserted, 1);
    assert_int_equal(r.number, 2);
    assert_false(r.remaining);
    assert_true(r.applied[0] && !r.applied[1] && r.applied[2] && r.applied[3]);
    assert_int_equal(r.deleted_id_count, 10);
    assert_int_equal(r.patched_id_count, 26);
    assert_int_equal(count_rows(w, "[\"price\",\"Lt\",10]"), 1); /* row 5 has no price now */
    assert_int_equal(count_rows(w, "[\"seen\",\"Eq\",true]"), 25);
    assert_int_equal(count_rows(w, "[\"And\",[[\"seen\",\"Eq\",true],[\"tags\",\"NotEq\",null]]]"), 0);
    assert_int_equal(count_rows(w, "[\"And\",[[\"a\",\"Eq\",3],[\"id\",\"Eq\",22],[\"seen\",\"Eq\",true]]]"), 1);
    assert_int_equal(count_rows(w, "[\"id\",\"In\",[7,28]]"), 0);
    assert_int_equal(count_rows(w, "[\"a\",\"Eq\",1]"), 1);
    /* No row matches any more, so nothing is put. */
    const struct index_write none = {.deletes.filter = parse_filter(w, reader, "[\"price\",\"Eq\",3.5]")};
    r = must_write(w, reader, &none);
    assert_int_equal(r.deleted + r.number, 0);
    index_close(reader);
}

/* The condition of a row sees the row as the patch by filter has left it. */
static void test_index_by_filter_comes_before_conditions(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    float vector[FIXTURE_DIM];
    fixture_vector(w, 5, 0, 0, vector);
    const struct index_write_row row = {
        .id.number = 5, .vectors = vector, .windows = 1, .attributes = span_str("{\"a\":1}")};
    struct index_write write = {.patches.filter = parse_filter(w, reader, "[\"id\",\"Eq\",5]"),
                                .patch = {.kind = INDEX_PATCH, .attributes = span_str("{\"price\":0.5}")},
                                .upsert_condition = parse_filter(w, reader, "[\"price\",\"Eq\",5.5]"),
                                .rows = &row,
                                .count = 1,
                                .dim = w->dim};
    struct index_write_result r = must_write(w, reader, &write);
    assert_int_equal(r.patched, 1);
    assert_int_equal(r.upserted, 0);
    write.upsert_condition = parse_filter(w, reader, "[\"price\",\"Eq\",0.5]");
    r = must_write(w, reader, &write);
    assert_int_equal(r.patched + r.upserted, 2);
    assert_int_equal(count_rows(w, "[\"a\",\"Eq\",1]"), 1);
    index_close(reader);
}

/* ---- others --------------------------------------------------------------------------------------------------- */

/* A write of another node. It comes after our write has chosen its rows by filter and before our write puts its log
 * entry. */
struct intruder {
    struct world *w;
    struct index_reader *reader; /* of the other node */
    const struct index_write *write;
    bool folds; /* it folds the log after its write */
    bool came;
};

static void intrude(void *ctx, const struct test_store_op *op)
{
    struct intruder *i = ctx;
    if (i->came || op->kind != TEST_STORE_PUT || !strstr(op->key, "/wal/"))
        return;
    struct arena arena;
    struct call call;
    struct index_write_result result;
    struct index_fold_result report;
    i->came = true;
    arena_init(&arena, 64 << 20);
    call_init(&call, &arena);
    if (index_write(&call, i->reader, i->write, &result) != DP_OK ||
        (i->folds && index_fold(&call, i->reader, NULL, &report) != DP_OK))
        fail_msg("the other node: %s", call.error.message);
    arena_deinit(&arena);
}

/* Rows 20 and 23 no longer match when the write takes effect. Row 55 matches only then, so the write does not touch
 * it. */
static void test_index_by_filter_judges_again_what_others_changed(void **state)
{
    struct world *w = *state;
    const struct index_write_row changes[] = {
        {.kind = INDEX_PATCH, .id.number = 20, .attributes = span_str("{\"price\":500.5}")},
        {.kind = INDEX_DELETE, .id.number = 23},
        {.kind = INDEX_PATCH, .id.number = 55, .attributes = span_str("{\"price\":21.5}")},
    };
    const struct index_write other = {.rows = changes, .count = 3, .dim = w->dim};
    for (int round = 0; round < 4; round++) {
        store_free(w->store);
        w->store = test_store_wrap(fixture_memory(w));
        struct index_reader *reader = begin_rows(w);
        struct intruder intruder = {
            .w = w, .reader = fixture_open(w, "rows"), .write = &other, .folds = round % 2};
        const struct filter *filter =
            parse_filter(w, reader, "[\"And\",[[\"price\",\"Gt\",20],[\"price\",\"Lt\",30]]]");
        const bool patches = round >= 2;
        const struct index_write write = {
            .deletes.filter = patches ? NULL : filter,
            .patches.filter = patches ? filter : NULL,
            .patch = {.kind = INDEX_PATCH, .attributes = span_str("{\"seen\":true}")},
            .dim = w->dim};
        test_store_hook(w->store, intrude, &intruder);
        struct index_write_result r = must_write(w, reader, &write);
        test_store_hook(w->store, NULL, NULL);
        assert_true(intruder.came);
        assert_int_equal(r.deleted + r.patched, 8); /* 20 to 29 without 20 and 23 */
        assert_int_equal(count_rows(w, "[\"id\",\"Eq\",20]"), 1);
        assert_int_equal(count_rows(w, "[\"id\",\"Eq\",55]"), 1);
        assert_int_equal(count_rows(w, "[\"seen\",\"Eq\",true]"), patches ? 8 : 0);
        assert_int_equal(count_rows(w, "[\"price\",\"Lt\",1000]"), LOADED - 1 - (patches ? 0 : 8));
        index_close(intruder.reader);
        index_close(reader);
    }
}

/* If no row has an attribute, a filter treats it as null. If another write adds the attribute before this one takes
 * effect, this one fails. */
static void test_index_by_filter_fails_when_its_attribute_came_meanwhile(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w), *other = fixture_open(w, "rows");
    struct schema schema;
    assert_int_equal(index_schema(&w->call, reader, &schema), DP_OK);
    struct index_write write = {.deletes.filter = parse_filter(w, reader, "[\"new\",\"Eq\",null]"),
                                .uncertain = true,
                                .attributes = schema.count};
    assert_false(filter_knows_all(write.deletes.filter));
    const struct index_write_row row = {
        .kind = INDEX_PATCH, .id.number = 1, .attributes = span_str("{\"new\":1}")};
    must_write(w, other, &(struct index_write){.rows = &row, .count = 1});
    struct index_write_result r;
    assert_int_equal(index_write(&w->call, reader, &write, &r), DP_CONFLICT);
    assert_non_null(strstr(w->call.error.message, "new attributes"));
    dp_error_clear(&w->call.error);
    assert_int_equal(count_rows(w, "[\"id\",\"NotEq\",null]"), LOADED + 1);
    index_close(other);
    index_close(reader);
}

/* ---- how many rows -------------------------------------------------------------------------------------------- */

/* Fills a namespace without vectors with `count` rows {"n": 1}. */
static struct index_reader *fill(struct world *w, size_t count, size_t at_once)
{
    struct index_write_row *rows = calloc(at_once, sizeof *rows);
    assert_non_null(rows);
    const struct index_vectors none = {.dim = 0};
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &none, NULL, NULL), DP_OK);
    struct index_reader *reader = fixture_open(w, "rows");
    for (size_t i = 0; i < count; i += at_once) {
        size_t part = count - i < at_once ? count - i : at_once;
        for (size_t k = 0; k < part; k++)
            rows[k] = (struct index_write_row){.id.number = i + k, .attributes = span_str("{\"n\":1}")};
        must_write(w, reader, &(struct index_write){.rows = rows, .count = part});
        world_reset(w);
    }
    free(rows);
    return reader;
}

static void refuse(struct world *w, struct index_reader *reader, const struct index_write *write,
                   const char *words)
{
    struct index_write_result r;
    assert_int_equal(index_write(&w->call, reader, write, &r), DP_INVALID);
    if (!strstr(w->call.error.message, words))
        fail_msg("expected \"%s\", not: %s", words, w->call.error.message);
    dp_error_clear(&w->call.error);
}

static void test_index_limit_of_rows_that_a_filter_patches(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = fill(w, INDEX_PATCHED_MAX + 1, INDEX_PATCHED_MAX);
    struct index_write write = {.patches.filter = parse_filter(w, reader, "[\"n\",\"Eq\",1]"),
                                .patch = {.kind = INDEX_PATCH, .attributes = span_str("{\"n\":2}")}};
    refuse(w, reader, &write, "more than 50000 rows");
    write.patches.partial = true;
    struct index_write_result r = must_write(w, reader, &write);
    assert_int_equal(r.patched, INDEX_PATCHED_MAX);
    assert_true(r.remaining);
    write.patches.partial = false;
    r = must_write(w, reader, &write);
    assert_int_equal(r.patched, 1);
    assert_false(r.remaining);
    write.patches.filter = parse_filter(w, reader, "[\"id\",\"Lt\",50000]");
    assert_int_equal(must_write(w, reader, &write).patched, INDEX_PATCHED_MAX);
    index_close(reader);
}

static void test_index_limit_of_rows_that_a_filter_deletes(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = fill(w, INDEX_DELETED_MAX + 1, 128 * 1024);
    struct index_write write = {.deletes.filter = parse_filter(w, reader, "[\"n\",\"Eq\",1]")};
    refuse(w, reader, &write, "more than 262144 rows");
    write.deletes.partial = true;
    struct index_write_result r = must_write(w, reader, &write);
    assert_int_equal(r.deleted, INDEX_DELETED_MAX);
    assert_true(r.remaining);
    r = must_write(w, reader, &write);
    assert_int_equal(r.deleted, 1);
    assert_false(r.remaining);
    index_close(reader);
}

/* Rows of 1 MiB: a log entry has no room for 16 of them. */
static void test_index_by_filter_patches_as_many_bytes_as_an_entry_holds(void **state)
{
    struct world *w = *state;
    enum { ROWS = 20, BYTES = 1 << 20 };
    char *text = malloc(BYTES);
    assert_non_null(text);
    memset(text, 'x', BYTES);
    memcpy(text, "{\"t\":\"", 6);
    memcpy(text + BYTES - 2, "\"}", 2);
    const struct index_vectors none = {.dim = 0};
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &none, NULL, NULL), DP_OK);
    struct index_reader *reader = fixture_open(w, "rows");
    for (size_t i = 0; i < ROWS; i++) {
        const struct index_write_row row = {.id.number = i, .attributes = span_of(text, BYTES)};
        must_write(w, reader, &(struct index_write){.rows = &row, .count = 1});
    }
    free(text);
    struct index_write write = {.patches.filter = parse_filter(w, reader, "[\"a\",\"Eq\",null]"),
                                .patch = {.kind = INDEX_PATCH, .attributes = span_str("{\"a\":2}")}};
    refuse(w, reader, &write, "rows of more than 16 MiB");
    write.patches.partial = true;
    struct index_write_result r = must_write(w, reader, &write);
    assert_int_equal(r.patched, 15);
    assert_true(r.remaining);
    write.patches.filter = parse_filter(w, reader, "[\"a\",\"Eq\",null]");
    r = must_write(w, reader, &write);
    assert_int_equal(r.patched, 5);
    assert_false(r.remaining);
    index_close(reader);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_by_filter_deletes_then_patches_then_writes_rows),
        IN_MEMORY(test_index_by_filter_comes_before_conditions),
        IN_MEMORY(test_index_by_filter_judges_again_what_others_changed),
        IN_MEMORY(test_index_by_filter_fails_when_its_attribute_came_meanwhile),
        IN_MEMORY(test_index_limit_of_rows_that_a_filter_patches),
        IN_MEMORY(test_index_limit_of_rows_that_a_filter_deletes),
        IN_MEMORY(test_index_by_filter_patches_as_many_bytes_as_an_entry_holds),
    };
    return test_run(tests);
}
