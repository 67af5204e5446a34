/* test_index_write.c: writes through the log: what they do to rows, what they cost, and what becomes of them when
 * answers are lost and others write, too.
 */
#include "index_fixture.h"
#include "test_alloc.h"

#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "filter/filter.h"
#include "index/id.h"
#include "index/manifest/swap.h"
#include "index/query/lookup.h"
#include "index/query/reader.h"
#include "index/upkeep.h"
#include "index/wal/entry.h"

enum { LOADED = 60, TEXT_MAX = 512 };

/* ---- a namespace to write to ---------------------------------------------------------------------------------- */

/* A clock whose waits take no time. */
static int64_t eager_now(void *ctx)
{
    (void)ctx;
    return index_now_ns(NULL);
}

static int64_t eager_wall(void *ctx)
{
    (void)ctx;
    return index_wall_ms(NULL);
}

static enum dp_status eager_wait(void *ctx, struct call *call, int64_t ms)
{
    (void)ctx, (void)ms;
    sched_yield();
    return call_check(call);
}

static enum dp_status eager_random(void *ctx, void *out, size_t len, struct dp_error *error)
{
    (void)ctx;
    return index_random(NULL, out, len, error);
}

static const struct index_clock eager = {
    .now_ns = eager_now, .wall_ms = eager_wall, .wait = eager_wait, .random = eager_random};

static struct index_reader *open_reader(struct world *w)
{
    struct index_reader *reader;
    if (reader_open(&w->call, w->store, span_str("rows"), 0, &eager, &reader) != DP_OK)
        fail_msg("opening: %s", w->call.error.message);
    return reader;
}

/* One row to write, with the vector of the fixture's row number `id`. */
struct one {
    float vector[FIXTURE_DIM];
    char document[TEXT_MAX];
    struct index_write_row row;
    struct index_write write;
};

static const struct index_write *one_row(const struct world *w, struct one *o, enum index_write_kind kind,
                                         uint64_t id, const char *document)
{
    fixture_vector(w, id, 0, 0, o->vector);
    snprintf(o->document, sizeof o->document, "%s", document);
    o->row = (struct index_write_row){.kind = kind,
                                      .id = {.number = id},
                                      .vectors = kind == INDEX_UPSERT ? o->vector : NULL,
                                      .windows = kind == INDEX_UPSERT,
                                      .attributes = span_str(o->document)};
    if (kind == INDEX_DELETE)
        o->row.attributes = (struct span){0};
    o->write = (struct index_write){.rows = &o->row, .count = 1, .dim = w->dim};
    return &o->write;
}

static enum dp_status write_one(struct world *w, struct index_reader *reader, enum index_write_kind kind,
                                uint64_t id, const char *document, struct index_write_result *result)
{
    struct one o;
    call_init(&w->call, &w->arena);
    enum dp_status status = index_write(&w->call, reader, one_row(w, &o, kind, id, document), result);
    assert_int_equal(status, w->call.error.status);
    return status;
}

static struct index_write_result must_write(struct world *w, struct index_reader *reader,
                                            enum index_write_kind kind, uint64_t id, const char *document)
{
    struct index_write_result result;
    if (write_one(w, reader, kind, id, document, &result) != DP_OK)
        fail_msg("writing: %s", w->call.error.message);
    return result;
}

/* The document of a row, as a strong look by another node sees it; NULL: there is no such row. */
static const char *document_of(struct world *w, uint64_t id)
{
    struct index_reader *reader = open_reader(w);
    struct view *view = reader_view(reader);
    struct id_key key;
    struct found_row found;
    struct view_position at;
    static char text[TEXT_MAX];
    assert_int_equal(id_encode((struct index_id){.number = id}, &key, NULL), DP_OK);
    const struct span keys[] = {id_key_span(&key)};
    assert_int_equal(index_lookup(&w->call, view, keys, 1, LOOKUP_WHOLE, &found, &at), DP_OK);
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(found.document));
    bool exists = found.where != ROW_NONE;
    if (exists) { /* no write of these tests changes a vector */
        float x[FIXTURE_DIM], length = 0;
        fixture_vector(w, id, 0, 0, x);
        for (uint32_t d = 0; d < w->dim; d++)
            length += found.vectors[d] * x[d];
        assert_int_equal(found.windows, 1);
        assert_true(length > 0);
    }
    view_release(view);
    index_close(reader);
    return exists ? text : NULL;
}

static void expect_document(struct world *w, uint64_t id, const char *document)
{
    const char *found = document_of(w, id);
    if (!found || !document ? found != document : strcmp(found, document) != 0)
        fail_msg("row %" PRIu64 " is %s, expected %s", id, found ? found : "missing",
                 document ? document : "none");
}

static size_t puts_in_log(struct world *w)
{
    size_t count, puts = 0;
    const struct test_store_op *ops = test_store_log(w->store, &count);
    for (size_t i = 0; i < count; i++)
        puts += ops[i].kind == TEST_STORE_PUT && strstr(ops[i].key, "/wal/");
    return puts;
}

static struct index_reader *begin_rows(struct world *w)
{
    fixture_must_load(w, "rows", 0, LOADED, 0);
    struct index_reader *reader = open_reader(w);
    must_write(w, reader, INDEX_UPSERT, 1000, "{\"a\":1}"); /* the log's feature, and the attribute */
    test_store_reset(w->store);
    return reader;
}

/* ---- what a write does ---------------------------------------------------------------------------------------- */

static void test_index_write_upserts_patches_and_deletes(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    struct index_write_result r = must_write(w, reader, INDEX_UPSERT, 7, "{\"a\":2,\"b\":\"x\"}");
    assert_int_equal(r.upserted, 1);
    assert_int_equal(r.number, 2);
    assert_true(r.applied[0]);
    expect_document(w, 7, "{\"a\":2,\"b\":\"x\"}"); /* it replaces a loaded row */
    r = must_write(w, reader, INDEX_PATCH, 7, "{\"b\":null,\"c\":[\"y\"],\"a\":3}");
    assert_int_equal(r.patched, 1);
    expect_document(w, 7, "{\"a\":3,\"c\":[\"y\"]}");
    r = must_write(w, reader, INDEX_PATCH, 8, "{\"title\":\"new\"}"); /* a loaded row */
    assert_int_equal(r.patched, 1);
    expect_document(w, 8, "{\"title\":\"new\",\"edition\":0,\"even\":true,\"tags\":[\"a\",\"b3\"],\"price\":8.5}");
    r = must_write(w, reader, INDEX_DELETE, 7, "");
    assert_int_equal(r.deleted, 1);
    expect_document(w, 7, NULL);
    r = must_write(w, reader, INDEX_PATCH, 7, "{\"a\":4}");
    assert_int_equal(r.patched, 0);
    assert_int_equal(r.number, 0);
    assert_false(r.applied[0]);
    expect_document(w, 7, NULL);
    expect_document(w, 1000, "{\"a\":1}");
    index_close(reader);
}

/* ---- conditions ------------------------------------------------------------------------------------------------- */

static const struct filter *parse_condition(struct world *w, struct index_reader *reader, const char *json)
{
    struct view *view = reader_view(reader);
    struct filter *filter;
    if (filter_parse(&w->arena, span_str(json), &view->base->manifest.schema, true, &filter, &w->call.error) !=
        DP_OK)
        fail_msg("%s: %s", json, w->call.error.message);
    view_release(view);
    return filter;
}

/* Writes under one condition for all kinds; returns the rows that were written. */
static uint64_t write_if(struct world *w, struct index_reader *reader, const char *condition,
                         enum index_write_kind kind, uint64_t id, const char *document)
{
    struct one o;
    struct index_write_result r;
    call_init(&w->call, &w->arena);
    one_row(w, &o, kind, id, document);
    o.write.upsert_condition = o.write.patch_condition = o.write.delete_condition =
        parse_condition(w, reader, condition);
    if (index_write(&w->call, reader, &o.write, &r) != DP_OK)
        fail_msg("writing: %s", w->call.error.message);
    assert_int_equal(r.upserted + r.patched + r.deleted, r.applied[0]);
    return r.applied[0];
}

static void test_index_write_if_a_condition_holds(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    static const char newer[] = "[\"a\",\"Lt\",{\"$ref_new\":\"a\"}]", absent[] = "[\"id\",\"Eq\",null]";
    /* A row that is missing: an upsert is written, a patch and a deletion are not. */
    assert_int_equal(write_if(w, reader, newer, INDEX_PATCH, 3000, "{\"a\":1}"), 0);
    assert_int_equal(write_if(w, reader, newer, INDEX_DELETE, 3000, ""), 0);
    assert_int_equal(write_if(w, reader, newer, INDEX_UPSERT, 3000, "{\"a\":5}"), 1);
    expect_document(w, 3000, "{\"a\":5}");
    assert_int_equal(write_if(w, reader, absent, INDEX_UPSERT, 3000, "{\"a\":9}"), 0); /* insert if absent */
    assert_int_equal(write_if(w, reader, newer, INDEX_UPSERT, 3000, "{\"a\":5}"), 0);
    assert_int_equal(write_if(w, reader, newer, INDEX_PATCH, 3000, "{\"a\":4}"), 0);
    assert_int_equal(write_if(w, reader, newer, INDEX_PATCH, 3000, "{\"a\":6}"), 1);
    expect_document(w, 3000, "{\"a\":6}");
    assert_int_equal(write_if(w, reader, newer, INDEX_UPSERT, 3000, "{\"a\":7}"), 1);
    expect_document(w, 3000, "{\"a\":7}");
    /* For a deletion the incoming row is null, and nothing is less than null. */
    assert_int_equal(write_if(w, reader, newer, INDEX_DELETE, 3000, ""), 0);
    assert_int_equal(write_if(w, reader, "[\"a\",\"Gt\",7]", INDEX_DELETE, 3000, ""), 0);
    assert_int_equal(write_if(w, reader, "[\"a\",\"Gte\",7]", INDEX_DELETE, 3000, ""), 1);
    expect_document(w, 3000, NULL);
    /* A row of a segment. */
    assert_int_equal(write_if(w, reader, "[\"title\",\"Eq\",\"row 9\"]", INDEX_DELETE, 10, ""), 0);
    assert_int_equal(write_if(w, reader, "[\"title\",\"Eq\",\"row 10\"]", INDEX_DELETE, 10, ""), 1);
    expect_document(w, 10, NULL);
    index_close(reader);
}

/* A condition sees the entry that another node has put, whether the row existed before that entry or not. */
static void test_index_write_judges_conditions_over_the_newest_row(void **state)
{
    struct world *w = *state;
    static const char newer[] = "[\"a\",\"Lt\",{\"$ref_new\":\"a\"}]";
    struct index_reader *first = begin_rows(w), *second = open_reader(w);
    must_write(w, first, INDEX_UPSERT, 5, "{\"a\":10}");
    assert_int_equal(write_if(w, second, newer, INDEX_UPSERT, 5, "{\"a\":9}"), 0); /* row 5 existed before */
    must_write(w, first, INDEX_UPSERT, 3001, "{\"a\":10}");
    assert_int_equal(write_if(w, second, newer, INDEX_UPSERT, 3001, "{\"a\":9}"), 0); /* new to the second node */
    assert_int_equal(write_if(w, second, newer, INDEX_UPSERT, 3001, "{\"a\":11}"), 1);
    expect_document(w, 3001, "{\"a\":11}");
    index_close(first);
    index_close(second);
}

static void test_index_write_alone_costs_two_round_trips(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    must_write(w, reader, INDEX_UPSERT, 1001, "{\"a\":1}"); /* reads the manifest that the first write changed */
    for (uint64_t id = 1002; id < 1010; id++) {
        test_store_reset(w->store);
        must_write(w, reader, INDEX_UPSERT, id, "{\"a\":1}");
        assert_int_equal(w->call.cost.rounds, 2);
        assert_int_equal(w->call.cost.requests, 2);
        assert_int_equal(test_store_counts(w->store).requests, 2);
        assert_int_equal(puts_in_log(w), 1);
    }
    index_close(reader);
}

static void test_index_write_nothing_costs_nothing(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    const struct index_write nothing = {.dim = w->dim};
    struct index_write_result r;
    call_init(&w->call, &w->arena);
    assert_int_equal(index_write(&w->call, reader, &nothing, &r), DP_OK);
    assert_int_equal(r.number, 0);
    assert_int_equal(test_store_counts(w->store).requests, 0);
    index_close(reader);
}

static void test_index_write_brings_new_attributes_into_the_manifest_first(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    size_t count, manifest_at = 0, entry_at = 0;
    must_write(w, reader, INDEX_UPSERT, 1, "{\"fresh\":true}");
    const struct test_store_op *ops = test_store_log(w->store, &count);
    for (size_t i = 0; i < count; i++) {
        if (ops[i].kind == TEST_STORE_PUT)
            *(strstr(ops[i].key, "/wal/") ? &entry_at : &manifest_at) = i + 1;
    }
    assert_true(manifest_at > 0 && manifest_at < entry_at);
    struct manifest m;
    assert_int_equal(manifest_load(&w->call, w->store, span_str("rows"), &m, NULL), DP_OK);
    assert_true(m.features & MANIFEST_FEATURE_LOG);
    assert_non_null(schema_find(&m.schema, span_str("fresh")));
    manifest_deinit(&m);
    index_close(reader);
}

/* ---- what it refuses -------------------------------------------------------------------------------------------- */

static void refuse(struct world *w, struct index_reader *reader, const struct index_write *write,
                   enum dp_status status, const char *words)
{
    struct index_write_result r;
    call_init(&w->call, &w->arena);
    enum dp_status got = index_write(&w->call, reader, write, &r);
    if (got != status || !strstr(w->call.error.message, words))
        fail_msg("expected %s with \"%s\", not %s: %s", dp_status_name(status), words, dp_status_name(got),
                 w->call.error.message);
    assert_int_equal(r.number, 0);
}

static void test_index_write_refuses_bad_rows(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    struct one a, b;
    one_row(w, &a, INDEX_UPSERT, 1, "{}");
    const struct index_write_row twice[] = {a.row, {.kind = INDEX_DELETE, .id = {.number = 1}}};
    refuse(w, reader, &(struct index_write){.rows = twice, .count = 2, .dim = w->dim}, DP_INVALID,
           "id 1 occurs twice");
    one_row(w, &b, INDEX_UPSERT, 2, "{}");
    b.vector[3] = NAN;
    refuse(w, reader, &b.write, DP_INVALID, "id 2: its vector has a component (number 3) that is not finite");
    memset(b.vector, 0, sizeof b.vector);
    refuse(w, reader, &b.write, DP_INVALID, "length zero");
    one_row(w, &b, INDEX_UPSERT, 2, "{}");
    b.write.dim = 3;
    refuse(w, reader, &b.write, DP_INVALID, "has 3 dimensions; the namespace holds vectors of 24");
    one_row(w, &b, INDEX_UPSERT, 2, "{}");
    b.row.windows = 0;
    refuse(w, reader, &b.write, DP_INVALID, "id 2: it has no vector");
    one_row(w, &b, INDEX_UPSERT, 2, "{\"a\":\"text\",\"z\":1}");
    refuse(w, reader, &b.write, DP_INVALID, "\"a\"");
    one_row(w, &b, INDEX_UPSERT, 2, "{\"$z\":1}");
    refuse(w, reader, &b.write, DP_INVALID, "reserved");
    one_row(w, &b, INDEX_UPSERT, 2, "[1]");
    refuse(w, reader, &b.write, DP_INVALID, "");
    assert_int_equal(puts_in_log(w), 0);
    index_close(reader);
}

static char *long_document(size_t len)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text, "{\"t\":\"", 6);
    memcpy(text + len - 2, "\"}", 3);
    return text;
}

static void test_index_write_has_limits(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    struct one o[3];
    struct index_write_row rows[3];
    char *text = long_document(INDEX_DOCUMENT_MAX + 1);
    one_row(w, &o[0], INDEX_UPSERT, 1, "{}");
    o[0].row.attributes = span_of(text, INDEX_DOCUMENT_MAX + 1);
    refuse(w, reader, &o[0].write, DP_TOO_LARGE, "8388608");
    free(text);
    text = long_document(INDEX_DOCUMENT_MAX);
    for (size_t i = 0; i < 3; i++) {
        one_row(w, &o[i], INDEX_UPSERT, i, "{}");
        o[i].row.attributes = span_of(text, INDEX_DOCUMENT_MAX - 1000);
        o[i].row.attributes.len = INDEX_DOCUMENT_MAX;
        rows[i] = o[i].row;
    }
    refuse(w, reader, &(struct index_write){.rows = rows, .count = 2, .dim = w->dim}, DP_TOO_LARGE,
           "more than 16777116: split it");
    const struct index_write alone = {.rows = rows, .count = 1, .dim = w->dim};
    struct index_write_result r;
    call_init(&w->call, &w->arena);
    assert_int_equal(index_write(&w->call, reader, &alone, &r), DP_OK);
    /* A patch of the largest row. */
    struct one patch;
    one_row(w, &patch, INDEX_PATCH, 0, "{\"a\":5}");
    refuse(w, reader, &patch.write, DP_TOO_LARGE, "a patched row's attributes");
    free(text);
    index_close(reader);
}

static enum dp_status set_read_only(struct call *call, void *context, struct manifest *m, bool exists,
                                    bool *needed)
{
    (void)call, (void)needed;
    assert_true(exists);
    m->read_only = *(bool *)context;
    return DP_OK;
}

static void nothing_sent(void *context)
{
    (void)context;
}

static bool shows_nothing(const void *context, const struct manifest *m)
{
    (void)context, (void)m;
    return false;
}

static void make_read_only(struct world *w, bool read_only)
{
    static const struct manifest_edit edit = {
        .apply = set_read_only, .sent = nothing_sent, .shows = shows_nothing};
    struct manifest m;
    assert_int_equal(manifest_swap(&w->call, w->store, span_str("rows"), &edit, &read_only, &eager, &m), DP_OK);
    manifest_deinit(&m);
}

static void test_index_write_keeps_off_a_namespace_that_is_read_only(void **state)
{
    struct world *w = *state;
    make_read_only((fixture_must_load(w, "rows", 0, LOADED, 0), w), true);
    struct index_reader *reader = open_reader(w);
    struct one o;
    refuse(w, reader, one_row(w, &o, INDEX_UPSERT, 1, "{}"), DP_DENIED, "read-only");
    make_read_only(w, false);
    must_write(w, reader, INDEX_UPSERT, 1, "{\"edition\":1}");
    make_read_only(w, true);
    must_write(w, reader, INDEX_UPSERT, 2,
               "{\"edition\":1}"); /* it was on its way: the next one sees the setting */
    refuse(w, reader, one_row(w, &o, INDEX_UPSERT, 3, "{}"), DP_DENIED, "read-only");
    index_close(reader);
}

static enum dp_status delete_it(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    (void)call, (void)context, (void)exists, (void)needed;
    manifest_end_life(m);
    return DP_OK;
}

static void test_index_write_finds_its_namespace_deleted(void **state)
{
    struct world *w = *state;
    static const struct manifest_edit edit = {
        .apply = delete_it, .sent = nothing_sent, .shows = shows_nothing, .makes_lives = true};
    struct index_reader *reader = begin_rows(w);
    struct manifest m;
    struct one o;
    must_write(w, reader, INDEX_UPSERT, 2, "{}");
    assert_int_equal(manifest_swap(&w->call, w->store, span_str("rows"), &edit, NULL, &eager, &m), DP_OK);
    manifest_deinit(&m);
    refuse(w, reader, one_row(w, &o, INDEX_UPSERT, 1, "{}"), DP_CONFLICT, "deleted");
    refuse(w, reader, one_row(w, &o, INDEX_UPSERT, 1, "{}"), DP_NOT_FOUND, "");
    index_close(reader);
}

/* A write that was sent says so; one that was refused before does not. */
static void test_index_write_says_that_its_life_ended_on_the_way(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    struct index_write_result r;
    const struct index_vectors vectors = {.dim = w->dim, .metric = w->metric};
    must_write(w, reader, INDEX_UPSERT, 2, "{}");
    assert_int_equal(index_delete(&w->call, w->store, span_str("rows")), DP_OK);
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &vectors, NULL, NULL), DP_OK);
    assert_int_equal(write_one(w, reader, INDEX_UPSERT, 1, "{}", &r), DP_CONFLICT);
    assert_true(r.ended);
    assert_int_equal(write_one(w, reader, INDEX_UPSERT, 1, "{}", &r), DP_CONFLICT);
    assert_false(r.ended); /* it was checked for the old life, and the look before the put found the new one */
    must_write(w, reader, INDEX_UPSERT, 1, "{}");
    assert_int_equal(index_delete(&w->call, w->store, span_str("rows")), DP_OK);
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &vectors, NULL, NULL), DP_OK);
    must_write(w, reader, INDEX_UPSERT, 1,
               "{\"fresh\":1}"); /* nothing was sent before the manifest was asked to learn */
    index_close(reader);
}

/* Rows that were made for one life, say by the model of its schema, never go to another one. */
static void test_index_write_goes_to_its_life_alone(void **state)
{
    struct world *w = *state;
    struct one o;
    struct index_reader *reader = begin_rows(w);
    struct index_write_result r;
    struct index_stats stats;
    struct index_life life;
    const struct index_vectors vectors = {.dim = w->dim, .metric = w->metric};
    must_write(w, reader, INDEX_UPSERT, 2, "{}");
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    assert_int_equal(index_delete(&w->call, w->store, span_str("rows")), DP_OK);
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &vectors, NULL, &life), DP_OK);
    assert_string_not_equal(life.id, stats.life.id);
    assert_int_equal(index_refresh(&w->call, reader), DP_OK); /* the reader knows the new life */
    const struct index_alteration change = {.life = stats.life, .sets_read_only = true, .read_only = true};
    assert_int_equal(index_alter(&w->call, w->store, span_str("rows"), &change), DP_CONFLICT);
    struct index_write write = *one_row(w, &o, INDEX_UPSERT, 1, "{}");
    write.life = stats.life;
    test_store_reset(w->store);
    call_init(&w->call, &w->arena);
    assert_int_equal(index_write(&w->call, reader, &write, &r), DP_CONFLICT);
    assert_false(r.ended);
    assert_int_equal(w->call.cost.bytes_written, 0);
    write.life = life;
    call_init(&w->call, &w->arena);
    assert_int_equal(index_write(&w->call, reader, &write, &r), DP_OK);
    index_close(reader);
}

/* So do the rows of a write that is too large for the log. */
static void test_index_write_loads_into_its_life_alone(void **state)
{
    struct world *w = *state;
    struct index_loader *loader;
    struct index_life first, second;
    const struct index_vectors vectors = {.dim = w->dim, .metric = w->metric};
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &vectors, NULL, &first), DP_OK);
    assert_int_equal(index_delete(&w->call, w->store, span_str("rows")), DP_OK);
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &vectors, NULL, &second), DP_OK);
    const struct {
        const struct index_life *life;
        enum dp_status status;
    } cases[] = {{&first, DP_CONFLICT}, {&second, DP_OK}, {&(struct index_life){""}, DP_OK}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        call_init(&w->call, &w->arena);
        assert_int_equal(
            index_load_begin_write(&w->call, w->store, span_str("rows"), cases[i].life, &vectors, NULL, &loader),
            cases[i].status);
        assert_int_equal(loader != NULL, cases[i].status == DP_OK);
        index_load_abort(loader);
    }
}

/* ---- queries over an old view ---------------------------------------------------------------------------------- */

static enum dp_status query_one(struct world *w, struct index_reader *reader, uint32_t dim, bool eventual,
                                struct index_answer *answer)
{
    float vector[FIXTURE_DIM];
    fixture_vector(w, 1, 0, 0, vector);
    const struct index_query q = {.vector = vector, .dim = dim, .top_k = 3, .eventual = eventual};
    call_init(&w->call, &w->arena);
    return index_query(&w->call, reader, &q, answer);
}

static void test_index_write_is_found_by_a_reader_with_an_old_view(void **state)
{
    struct world *w = *state;
    struct index_vectors vectors = {.dim = 0, .metric = w->metric};
    struct index_answer answer;
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &vectors, NULL, NULL), DP_OK);
    struct index_reader *reader = open_reader(w);
    vectors.dim = w->dim;
    const struct index_alteration change = {.vectors = &vectors};
    assert_int_equal(index_alter(&w->call, w->store, span_str("rows"), &change), DP_OK);
    struct index_reader *writer = open_reader(w);
    must_write(w, writer, INDEX_UPSERT, 1, "{}");
    assert_int_equal(query_one(w, reader, w->dim, true, &answer), DP_INVALID);
    assert_int_equal(w->call.cost.rounds, 0);
    assert_int_equal(query_one(w, reader, w->dim, false, &answer), DP_OK);
    assert_int_equal(answer.count, 1);
    index_close(writer);
    /* In the next life the vectors have other dimensions. */
    assert_int_equal(index_delete(&w->call, w->store, span_str("rows")), DP_OK);
    vectors.dim = w->dim - 1;
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &vectors, NULL, NULL), DP_OK);
    assert_int_equal(query_one(w, reader, vectors.dim, false, &answer), DP_OK);
    assert_int_equal(answer.count, 0);
    assert_int_equal(query_one(w, reader, w->dim, false, &answer), DP_INVALID);
    index_close(reader);
}

static void test_index_write_is_refused_when_too_many_entries_wait(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    struct one o;
    for (uint64_t i = 1; i < 1024; i++) {
        struct index_write_result ok;
        world_reset(w);
        one_row(w, &o, INDEX_UPSERT, i % 9, "{\"a\":1}");
        o.write.unthrottled = true; /* a writer that waits its turn would need a minute */
        assert_int_equal(index_write(&w->call, reader, &o.write, &ok), DP_OK);
    }
    refuse(w, reader, one_row(w, &o, INDEX_UPSERT, 1, "{}"), DP_OVERLOADED, "1024 log entries");
    o.write.unthrottled = true;
    struct index_write_result r;
    call_init(&w->call, &w->arena);
    assert_int_equal(index_write(&w->call, reader, &o.write, &r), DP_OK);
    one_row(w, &o, INDEX_PATCH, 1, "{}");
    o.write.unthrottled = true;
    refuse(w, reader, &o.write, DP_OVERLOADED, "1025 log entries");
    index_close(reader);
}

/* Appends `count` entries, and returns how long the next group will wait for the group before it. */
static int64_t hold_after(struct world *w, struct index_reader *reader, int count)
{
    for (int i = 0; i < count; i++)
        must_write(w, reader, INDEX_UPSERT, (uint64_t)(i % 9 + 1), "{}");
    pthread_mutex_lock(&reader->group.lock);
    int64_t hold_ns = reader->group.locked.hold_ns;
    pthread_mutex_unlock(&reader->group.lock);
    return hold_ns;
}

static void test_index_write_slows_down_where_segments_pile_up(void **state)
{
    enum { SEGMENTS = 50, BURST = 66 }; /* nobody merges; so many entries wait while a fold runs */
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    struct index_fold_result folded;
    assert_int_equal(hold_after(w, reader, BURST), 0);
    for (int i = 0; i < SEGMENTS; i++) {
        call_init(&w->call, &w->arena);
        assert_int_equal(index_fold(&w->call, reader, NULL, &folded), DP_OK);
        must_write(w, reader, INDEX_UPSERT, 100 + (uint64_t)i, "{}");
    }
    call_init(&w->call, &w->arena);
    assert_int_equal(index_fold(&w->call, reader, NULL, &folded), DP_OK);
    assert_int_equal(hold_after(w, reader, 9), 0); /* no burst */
    int64_t hold_ns = hold_after(w, reader, BURST);
    assert_true(hold_ns > 0 && hold_ns < 10 * 1000 * 1000);
    index_close(reader);
}

/* ---- other nodes ------------------------------------------------------------------------------------------------ */

static void test_index_write_judges_again_over_the_entry_of_another_node(void **state)
{
    struct world *w = *state;
    struct index_reader *first = begin_rows(w), *second = open_reader(w);
    must_write(w, first, INDEX_UPSERT, 5, "{\"a\":1,\"b\":\"x\"}");
    struct index_write_result r = must_write(w, second, INDEX_PATCH, 5, "{\"a\":2}");
    assert_int_equal(r.patched, 1);
    expect_document(w, 5, "{\"a\":2,\"b\":\"x\"}");
    must_write(w, first, INDEX_DELETE, 5, "");
    /* Nothing is to be put, which proves nothing: the node looks first. */
    r = must_write(w, second, INDEX_PATCH, 5, "{\"a\":3}");
    assert_int_equal(r.patched, 0);
    must_write(w, first, INDEX_UPSERT, 6, "{\"a\":1}");
    r = must_write(w, second, INDEX_PATCH, 6, "{\"a\":4}");
    assert_int_equal(r.patched, 1);
    expect_document(w, 6, "{\"a\":4}");
    index_close(first);
    index_close(second);
}

/* ---- answers that are lost -------------------------------------------------------------------------------------- */

static void swallow_entries(void *ctx, const struct test_store_op *op)
{
    if (op->kind == TEST_STORE_PUT)
        test_store_fate_at(ctx, "", 1, TEST_STORE_LATE, DP_UNKNOWN);
}

/* The next write takes the number whose outcome is unknown. One of the two lands; no entry lies behind a hole. */
static void test_index_write_after_an_unknown_one_takes_its_number(void **state)
{
    struct world *w = *state;
    for (int landed = 0; landed < 2; landed++) {
        struct index_write_result r;
        store_free(w->store);
        w->store = test_store_wrap(fixture_memory(w));
        struct index_reader *reader = begin_rows(w);
        must_write(w, reader, INDEX_UPSERT, 1001, "{\"a\":1}");
        test_store_hook(w->store, swallow_entries, w->store);
        assert_int_equal(write_one(w, reader, INDEX_UPSERT, 1, "{\"a\":1}", &r), DP_UNKNOWN);
        test_store_hook(w->store, NULL, NULL);
        if (landed)
            assert_int_equal(test_store_deliver(w->store, &w->call), DP_OK);
        r = must_write(w, reader, INDEX_UPSERT, 2, "{\"a\":2}");
        assert_int_equal(r.number, landed ? 4 : 3);
        if (!landed)
            assert_int_equal(test_store_deliver(w->store, &w->call), DP_EXISTS);
        expect_document(w, 2, "{\"a\":2}");
        const char *found = document_of(w, 1);
        assert_int_equal(landed, strcmp(found, "{\"a\":1}") == 0);
        index_close(reader);
    }
}

static void test_index_write_that_is_not_durable_is_told_so(void **state)
{
    struct world *w = *state;
    struct index_write_result r;
    struct index_reader *reader = begin_rows(w);
    must_write(w, reader, INDEX_UPSERT, 1001, "{\"a\":1}");
    test_store_fail_at(w->store, TEST_STORE_PUT, 1, DP_NOT_DURABLE, true);
    assert_int_equal(write_one(w, reader, INDEX_UPSERT, 1, "{\"a\":1}", &r), DP_NOT_DURABLE);
    assert_int_equal(must_write(w, reader, INDEX_UPSERT, 2, "{\"a\":2}").number, 4);
    expect_document(w, 1, "{\"a\":1}");
    index_close(reader);
}

/* ---- groups ----------------------------------------------------------------------------------------------------- */

enum { CROWD = 12 };

struct crowd_write {
    struct world *w;
    struct index_reader *reader;
    uint64_t id;
    const _Atomic bool *cancelled;
    enum dp_status status;
    struct index_write_result result;
};

static void *crowd_run(void *ctx)
{
    struct crowd_write *c = ctx;
    struct arena arena;
    struct call call;
    struct one o;
    arena_init(&arena, 16 << 20);
    call_init(&call, &arena);
    call.cancelled = c->cancelled;
    c->status = index_write(&call, c->reader, one_row(c->w, &o, INDEX_UPSERT, c->id, "{\"a\":7}"), &c->result);
    c->result.applied = NULL;
    arena_deinit(&arena);
    return NULL;
}

static size_t waiting_in(struct index_reader *reader)
{
    size_t count = 0;
    pthread_mutex_lock(&reader->group.lock);
    for (const struct group_member *m = reader->group.locked.first; m; m = m->next)
        count++;
    pthread_mutex_unlock(&reader->group.lock);
    return count;
}

/* Holds the first put until so many writes wait. */
struct gathering {
    struct index_reader *reader;
    size_t waiting;
    _Atomic bool *cancel; /* then set, until one writer has left; or NULL */
    atomic_bool done;
};

static void gather(void *ctx, const struct test_store_op *op)
{
    struct gathering *g = ctx;
    if (g->done || op->kind != TEST_STORE_PUT)
        return;
    g->done = true;
    while (waiting_in(g->reader) < g->waiting)
        sched_yield();
    if (!g->cancel)
        return;
    atomic_store(g->cancel, true);
    while (waiting_in(g->reader) == g->waiting)
        sched_yield();
}

static void run_crowd(struct world *w, struct index_reader *reader, struct crowd_write *crowd, size_t count,
                      _Atomic bool *cancel)
{
    pthread_t threads[CROWD];
    struct gathering g = {.reader = reader, .waiting = count - 1, .cancel = cancel};
    test_store_hook(w->store, gather, &g);
    for (size_t i = 0; i < count; i++) {
        /* The first write leads alone; the one that is cancelled comes later. */
        crowd[i] = (struct crowd_write){
            .w = w, .reader = reader, .id = 2000 + i, .cancelled = i == count - 1 ? cancel : NULL};
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &crowd[i]), 0);
        while (i == 0 && !g.done)
            sched_yield();
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    test_store_hook(w->store, NULL, NULL);
}

static void test_index_write_many_share_an_entry(void **state)
{
    struct world *w = *state;
    struct crowd_write crowd[CROWD];
    struct index_reader *reader = begin_rows(w);
    must_write(w, reader, INDEX_UPSERT, 1001, "{\"a\":1}");
    test_store_reset(w->store);
    run_crowd(w, reader, crowd, CROWD, NULL);
    assert_int_equal(puts_in_log(w), 2);
    for (size_t i = 0; i < CROWD; i++) {
        assert_int_equal(crowd[i].status, DP_OK);
        assert_int_equal(crowd[i].result.upserted, 1);
        assert_int_equal(crowd[i].result.number, i == 0 ? 3 : 4);
        expect_document(w, 2000 + i, "{\"a\":7}");
    }
    index_close(reader);
}

static void test_index_write_that_waits_leaves_when_it_is_cancelled(void **state)
{
    struct world *w = *state;
    struct crowd_write crowd[4];
    _Atomic bool cancel = false;
    struct index_reader *reader = begin_rows(w);
    must_write(w, reader, INDEX_UPSERT, 1001, "{\"a\":1}");
    run_crowd(w, reader, crowd, 4, &cancel);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(crowd[i].status, i == 3 ? DP_CANCELLED : DP_OK);
    expect_document(w, 2002, "{\"a\":7}");
    expect_document(w, 2003, NULL);
    index_close(reader);
}

/* ---- no memory -------------------------------------------------------------------------------------------------- */

/* A write that has no memory is not made. When memory fails after the acknowledgement, the write is made, and the
 * view reads its entry later. */
static void test_index_write_without_memory(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    size_t refused = 0, n = 1;
    uint64_t last = 1;
    must_write(w, reader, INDEX_UPSERT, 8, "{\"a\":1}");
    for (bool fired = true; fired; n = test_alloc_next(n)) {
        struct index_write_result r;
        char text[32], expected[32];
        snprintf(text, sizeof text, "{\"a\":%zu}", n);
        arena_reset(&w->arena);
        test_alloc_fail_at(n);
        enum dp_status status = write_one(w, reader, INDEX_PATCH, 8, text, &r);
        fired = test_alloc_fired();
        test_alloc_fail_at(0);
        if (status != DP_OK && status != DP_NOMEM)
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), w->call.error.message);
        refused += status == DP_NOMEM;
        last = status == DP_OK ? n : last;
        snprintf(expected, sizeof expected, "{\"a\":%" PRIu64 "}", last);
        expect_document(w, 8, expected);
    }
    printf("%zu of %zu failed allocations end the write\n", refused, n - 2);
    assert_true(refused > 5 && n > refused + 5);
    index_close(reader);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_write_upserts_patches_and_deletes),
        IN_MEMORY(test_index_write_if_a_condition_holds),
        IN_MEMORY(test_index_write_judges_conditions_over_the_newest_row),
        IN_MEMORY(test_index_write_alone_costs_two_round_trips),
        IN_MEMORY(test_index_write_nothing_costs_nothing),
        IN_MEMORY(test_index_write_brings_new_attributes_into_the_manifest_first),
        IN_MEMORY(test_index_write_refuses_bad_rows),
        IN_MEMORY(test_index_write_has_limits),
        IN_MEMORY(test_index_write_keeps_off_a_namespace_that_is_read_only),
        IN_MEMORY(test_index_write_finds_its_namespace_deleted),
        IN_MEMORY(test_index_write_says_that_its_life_ended_on_the_way),
        IN_MEMORY(test_index_write_goes_to_its_life_alone),
        IN_MEMORY(test_index_write_loads_into_its_life_alone),
        IN_MEMORY(test_index_write_is_found_by_a_reader_with_an_old_view),
        IN_MEMORY(test_index_write_is_refused_when_too_many_entries_wait),
        IN_MEMORY(test_index_write_slows_down_where_segments_pile_up),
        IN_MEMORY(test_index_write_judges_again_over_the_entry_of_another_node),
        IN_MEMORY(test_index_write_after_an_unknown_one_takes_its_number),
        IN_MEMORY(test_index_write_that_is_not_durable_is_told_so),
        IN_MEMORY(test_index_write_many_share_an_entry),
        IN_MEMORY(test_index_write_that_waits_leaves_when_it_is_cancelled),
        IN_MEMORY(test_index_write_without_memory),
    };
    return test_run(tests);
}
