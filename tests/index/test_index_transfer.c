/* test_index_transfer.c: an export gives each live row once and unchanged; an import makes a namespace of them, or
 * nothing. */
#include "log_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "index/copy.h"
#include "index/manifest/manifest.h"
#include "index/transfer.h"

enum { ROWS = 120 };

/* Receives an export, counts its rows and imports them into the namespace `to` (NULL: only counts). */
struct copying {
    struct world *w;
    const char *to;
    struct index_loader *loader;
    uint64_t announced, rows, vectorless, windows;
    uint64_t fail_at; /* fails at this row; 0: never */
};

static enum dp_status begin_copy(struct call *call, void *context, const struct index_transfer_head *head)
{
    struct copying *c = context;
    c->announced = head->rows;
    return c->to ? index_import_begin(call, c->w->store, span_str(c->to), head, NULL, &c->loader) : DP_OK;
}

static enum dp_status copy_row(struct call *call, void *context, const struct index_transfer_row *row)
{
    struct copying *c = context;
    c->rows++;
    c->vectorless += row->windows == 0;
    c->windows += row->windows;
    if (c->rows == c->fail_at)
        return call_fail(call, DP_IO, "the other end has failed");
    return c->to ? index_import_row(call, c->loader, row) : DP_OK;
}

static enum dp_status copy_rows(struct world *w, struct index_reader *reader, struct copying *c)
{
    const struct index_export_sink sink = {begin_copy, copy_row, c};
    c->w = w;
    world_reset(w);
    return index_export(&w->call, reader, &sink);
}

/* Makes a namespace of rows [0, ROWS): some in segments, some replaced, deleted or added by the log, one without
 * vector. */
static void make_source(struct world *w, struct fixture_log *log)
{
    fixture_must_load(w, "rows", 0, 60, 1);
    fixture_must_load(w, "rows", 50, 100, 2);
    log_init(log, w, "rows");
    log_entry(log);
    for (uint64_t row = 90; row < ROWS; row++)
        log_row(log, row, 3);
    log_deleted(log, 0);
    log_deleted(log, 101);
    log_put(log);
    log_entry(log);
    log_vectorless_row(log, 101, 4);
    log_row(log, 0, 1);
    log_put(log);
}

static void test_a_copy_has_the_same_rows(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct copying first = {.to = "copy"}, second = {0};
    struct index_load_summary summary;
    w->windows = true;
    make_source(w, &log);
    struct index_reader *reader = fixture_open(w, "rows");
    if (copy_rows(w, reader, &first) != DP_OK)
        fail_msg("%s", w->call.error.message);
    assert_int_equal(first.rows, ROWS);
    assert_int_equal(first.announced, ROWS);
    assert_int_equal(first.vectorless, 1);
    struct index_reader *none = NULL;
    assert_int_equal(index_open(&w->call, w->store, span_str("copy"), &none), DP_NOT_FOUND);
    world_reset(w);
    assert_int_equal(index_import_commit(&w->call, first.loader, &summary), DP_OK);
    assert_int_equal(summary.total_rows, ROWS);
    struct index_reader *copy = fixture_open(w, "copy");
    assert_int_equal(copy_rows(w, copy, &second), DP_OK);
    assert_int_equal(second.rows, ROWS);
    assert_int_equal(second.vectorless, 1);
    assert_int_equal(second.windows, first.windows);
    struct index_stats stats;
    assert_int_equal(index_stats(&w->call, copy, &stats), DP_OK);
    assert_true(stats.has_log);
    for (uint64_t q = 0; q < 5; q++) {
        float query[FIXTURE_DIM];
        struct index_answer a, b;
        fixture_query(w, q, query);
        const struct index_query ask = {
            .vector = query, .dim = w->dim, .top_k = ROWS, .nprobe = UINT32_MAX, .all_attributes = true};
        assert_int_equal(index_query(&w->call, reader, &ask, &a), DP_OK);
        assert_int_equal(index_query(&w->call, copy, &ask, &b), DP_OK);
        assert_int_equal(a.count, ROWS - 1);
        assert_int_equal(b.count, a.count);
        for (size_t i = 0; i < a.count; i++) {
            assert_int_equal(fixture_row_of(a.hits[i].id), fixture_row_of(b.hits[i].id));
            assert_true(a.hits[i].dist == b.hits[i].dist);
            assert_true(span_equal(a.hits[i].attributes, b.hits[i].attributes));
        }
    }
    index_close(reader);
    index_close(copy);
    log_deinit(&log);
}

/* An import that is cut short makes no namespace. An import into an existing namespace does not change it. */
static void test_an_import_makes_a_namespace_or_nothing(void **state)
{
    struct world *w = *state;
    struct copying cut = {.to = "copy", .fail_at = 20}, late = {.to = "copy"}, again = {.to = "copy"};
    struct index_load_summary summary;
    struct index_reader *none = NULL;
    fixture_must_load(w, "rows", 0, 40, 1);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(copy_rows(w, reader, &cut), DP_IO);
    index_load_abort(cut.loader);
    assert_int_equal(index_open(&w->call, w->store, span_str("copy"), &none), DP_NOT_FOUND);
    assert_int_equal(copy_rows(w, reader, &late), DP_OK);
    fixture_must_load(w, "copy", 0, 3, 5);
    assert_int_equal(index_import_commit(&w->call, late.loader, &summary), DP_CONFLICT);
    world_reset(w);
    assert_int_equal(copy_rows(w, reader, &again), DP_INVALID);
    assert_non_null(strstr(w->call.error.message, "already"));
    index_close(reader);
    reader = fixture_open(w, "copy");
    struct index_stats stats;
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    assert_int_equal(stats.rows, 3);
    index_close(reader);
}

/* A deleted name can be imported to, and rows must fit the schema. */
static void test_rows_must_fit_the_schema(void **state)
{
    struct world *w = *state;
    const float x[2] = {1, 2};
    struct schema schema = {.id_kind = ID_UINT};
    const struct index_transfer_head none = {.schema = &schema},
                                     flat = {.vectors = {.dim = 2, .metric = INDEX_EUCLIDEAN_SQUARED},
                                             .schema = &schema};
    const struct index_transfer_row text = {.id = {.is_string = true, .text = span_str("seven")},
                                            .document = span_str("{}")},
                                    vector = {.id = {.number = 1}, .vectors = x, .windows = 1},
                                    bare = {.id = {.number = 1}, .document = span_str("{\"a\":1}")};
    struct index_loader *loader;
    struct index_load_summary summary;
    fixture_must_load(w, "rows", 0, 3, 5);
    assert_int_equal(index_delete(&w->call, w->store, span_str("rows")), DP_OK);
    assert_int_equal(index_import_begin(&w->call, w->store, span_str("rows"), &none, NULL, &loader), DP_OK);
    assert_int_equal(index_import_row(&w->call, loader, &text), DP_INVALID);
    assert_int_equal(index_import_row(&w->call, loader, &vector), DP_INVALID);
    assert_int_equal(index_import_row(&w->call, loader, &bare), DP_OK);
    assert_int_equal(index_import_row(&w->call, loader, &bare), DP_INVALID);
    index_load_abort(loader);
    world_reset(w);
    assert_int_equal(index_import_begin(&w->call, w->store, span_str("rows"), &flat, NULL, &loader), DP_OK);
    assert_int_equal(index_import_row(&w->call, loader, &vector), DP_OK);
    assert_int_equal(index_import_commit(&w->call, loader, &summary), DP_OK);
    assert_int_equal(summary.total_rows, 1);
}

/* A copy has the settings of its source from its first manifest on, so no death of the copier leaves it without them. */
static void test_a_copy_begins_with_the_settings_of_its_source(void **state)
{
    struct world *w = *state;
    const struct index_vectors none = {.dim = 0};
    const struct index_external file = {.url = span_str("https://example.com/their.index"),
                                        .version = span_str("\"v1\""),
                                        .size = 1000,
                                        .vectors = 7,
                                        .dim = 16,
                                        .metric = INDEX_EUCLIDEAN_SQUARED};
    const struct index_alteration attach = {.external = &file}, lock = {.sets_read_only = true, .read_only = true};
    struct index_load_summary summary;
    struct manifest m;
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &none, NULL, NULL), DP_OK);
    assert_int_equal(index_alter(&w->call, w->store, span_str("rows"), &attach), DP_OK);
    assert_int_equal(index_alter(&w->call, w->store, span_str("rows"), &lock), DP_OK);
    assert_int_equal(index_copy(&w->call, w->store, span_str("rows"), w->store, span_str("copy"), NULL, &summary),
                     DP_OK);
    assert_int_equal(manifest_load(&w->call, w->store, span_str("copy"), &m, NULL), DP_OK);
    assert_int_equal(m.sequence, 1);
    assert_true(m.read_only);
    assert_true(span_equal(m.external.url, file.url) && span_equal(m.external.version, file.version));
    assert_int_equal(m.external.size, file.size);
    assert_int_equal(m.external.vectors, file.vectors);
    assert_int_equal(m.external.dim, file.dim);
    assert_int_equal(m.external.metric, file.metric);
    manifest_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_copy_has_the_same_rows, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_an_import_makes_a_namespace_or_nothing, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_rows_must_fit_the_schema, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_a_copy_begins_with_the_settings_of_its_source, world_in_memory,
                                        world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
