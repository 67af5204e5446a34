/* test_index_limits.c: a namespace takes what is at a limit, and refuses what is beyond. docs/limits.md lists the
 * limits. */
#include "log_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/id.h"
#include "index/manifest/manifest.h"
#include "index/query/reader.h"
#include "index/segment/format.h"
#include "index/wal/entry.h"
#include "os/clock.h"

static const float ones[FIXTURE_DIM] = {1, 1, 1};

static void expect_refusal(struct world *w, enum dp_status status, enum dp_status wanted, const char *words)
{
    if (status != wanted || !strstr(w->call.error.message, words))
        fail_msg("expected %s with \"%s\", not %s: %s", dp_status_name(wanted), words, dp_status_name(status),
                 w->call.error.message);
}

static void test_index_limit_of_ids(void **state)
{
    struct world *w = *state;
    struct index_loader *loader = fixture_begin(w, "rows");
    char text[INDEX_ID_MAX + 1];
    memset(text, 'x', sizeof text);
    struct index_id id = {.is_string = true, .text = span_of(text, INDEX_ID_MAX)};
    assert_int_equal(index_load_row(&w->call, loader, id, ones, 1, span_str("")), DP_OK);
    id.text.len++;
    expect_refusal(w, index_load_row(&w->call, loader, id, ones, 1, span_str("")), DP_INVALID,
                   "1 to 128 bytes, not 129");
    /* The limit is of bytes: 64 letters of two bytes. */
    for (size_t i = 0; i < INDEX_ID_MAX; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    id.text.len = INDEX_ID_MAX;
    assert_int_equal(index_load_row(&w->call, loader, id, ones, 1, span_str("")), DP_OK);
    const struct index_id last = {.number = UINT64_MAX};
    assert_int_equal(index_load_row(&w->call, loader, last, ones, 1, span_str("")), DP_OK);
    index_load_abort(loader);
}

static void test_index_limit_of_dimensions(void **state)
{
    struct world *w = *state;
    struct index_loader *loader;
    struct index_load_summary summary;
    static float x[INDEX_DIM_MAX] = {1};
    struct index_vectors vectors = fixture_vectors(w);
    vectors.dim = INDEX_DIM_MAX;
    assert_int_equal(index_load_begin(&w->call, w->store, span_str("wide"), &vectors, NULL, &loader), DP_OK);
    assert_int_equal(index_load_row(&w->call, loader, (struct index_id){.number = 1}, x, 1, span_str("{\"a\":1}")),
                     DP_OK);
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    vectors.dim++;
    expect_refusal(w, index_load_begin(&w->call, w->store, span_str("wider"), &vectors, NULL, &loader), DP_INVALID,
                   "not 16385");
}

static void test_index_limit_of_windows(void **state)
{
    struct world *w = *state;
    struct index_loader *loader = fixture_begin(w, "rows");
    const struct index_id id = {.number = 1};
    float *x = malloc((INDEX_WINDOWS_MAX + 1) * FIXTURE_DIM * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < (INDEX_WINDOWS_MAX + 1) * FIXTURE_DIM; i++)
        x[i] = 1;
    expect_refusal(w, index_load_row(&w->call, loader, id, x, INDEX_WINDOWS_MAX + 1, span_str("")), DP_INVALID,
                   "1 to 4096 vectors, not 4097");
    assert_int_equal(index_load_row(&w->call, loader, id, x, INDEX_WINDOWS_MAX, span_str("")), DP_OK);
    index_load_abort(loader);
    free(x);
}

static void test_index_limit_of_documents(void **state)
{
    struct world *w = *state;
    struct index_loader *loader = fixture_begin(w, "rows");
    struct index_load_summary summary;
    char *document = malloc(INDEX_DOCUMENT_MAX + 1);
    assert_non_null(document);
    for (size_t beyond = 0; beyond < 2; beyond++) {
        const size_t len = INDEX_DOCUMENT_MAX + beyond;
        memset(document, 'x', len);
        memcpy(document, "{\"a\":\"", 6);
        memcpy(document + len - 2, "\"}", 2);
        enum dp_status status =
            index_load_row(&w->call, loader, (struct index_id){.number = beyond}, ones, 1, span_of(document, len));
        if (beyond)
            expect_refusal(w, status, DP_TOO_LARGE, "8388608");
        else
            assert_int_equal(status, DP_OK);
    }
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    assert_int_equal(summary.total_rows, 1);
    free(document);
}

static void test_index_limit_of_attributes(void **state)
{
    (void)state;
    struct arena arena;
    struct dp_error error;
    struct schema schema = {0};
    char name[SCHEMA_NAME_MAX + 2];
    arena_init(&arena, 8 << 20);
    memset(name, 'x', sizeof name);
    assert_int_equal(schema_check_name(span_of(name, SCHEMA_NAME_MAX), &error), DP_OK);
    assert_int_equal(schema_check_name(span_of(name, SCHEMA_NAME_MAX + 1), &error), DP_INVALID);
    assert_non_null(strstr(error.message, "1 to 128 bytes, not 129"));
    for (size_t i = 0; i <= SCHEMA_ATTRIBUTES_MAX; i++) {
        snprintf(name, sizeof name, "a%zu", i);
        const struct attribute a = {.type = ATTRIBUTE_INT, .name = span_str(name)};
        assert_int_equal(schema_add(&schema, &arena, &a, &error),
                         i < SCHEMA_ATTRIBUTES_MAX ? DP_OK : DP_TOO_LARGE);
    }
    assert_non_null(strstr(error.message, "1024"));
    assert_int_equal(schema.count, SCHEMA_ATTRIBUTES_MAX);
    arena_deinit(&arena);
}

static void test_index_limit_of_vector_attributes(void **state)
{
    (void)state;
    struct arena arena;
    struct dp_error error;
    struct schema schema = {0};
    struct attribute a = {.type = ATTRIBUTE_VECTOR, .dim = 2};
    char name[8];
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i <= SCHEMA_VECTORS_MAX; i++) {
        snprintf(name, sizeof name, "v%zu", i);
        a.name = span_str(name);
        assert_int_equal(schema_add(&schema, &arena, &a, &error), i < SCHEMA_VECTORS_MAX ? DP_OK : DP_TOO_LARGE);
    }
    assert_non_null(strstr(error.message, "attribute \"v8\": a namespace has at most 8 vector attributes"));
    schema.attributes[0].dropped = true;
    assert_int_equal(schema_add(&schema, &arena, &a, &error), DP_OK);
    arena_deinit(&arena);
}

/* Makes the ULID of a number. */
static struct ulid ulid_of(const char *prefix, unsigned number)
{
    struct ulid id;
    snprintf(id.text, sizeof id.text, "%-22.22s%c%c%c%c", prefix, '0' + number / 1000, '0' + number / 100 % 10,
             '0' + number / 10 % 10, '0' + number % 10);
    return id;
}

static void fill_manifest(struct manifest *m)
{
    manifest_init(m);
    m->sequence = 1;
    m->vectors.dim = 10;
    m->created_ms = m->updated_ms = 1700000000000;
    m->incarnation = ulid_of("01ARZ3NDEKTSV4RRFFQ69G", 0);
    m->wal_chain = wal_chain_start(&m->incarnation);
}

static struct manifest_segment segment_of(unsigned number, uint64_t rows)
{
    return (struct manifest_segment){.id = ulid_of("01BX5ZZKBKACTAV9WEVGEM", number),
                                     .rows = rows,
                                     .dpr_size = 1000,
                                     .hot_offset = 300,
                                     .hot_len = 700};
}

/* Checks a manifest with `count` segments of SEGMENT_ROWS_MAX rows, and one of `last` rows. */
static enum dp_status check_rows(unsigned count, uint64_t last, struct dp_error *error)
{
    struct manifest_segment segments[17];
    struct manifest m;
    fill_manifest(&m);
    for (unsigned i = 0; i <= count; i++)
        segments[i] = segment_of(i, i < count ? SEGMENT_ROWS_MAX : last);
    m.segments = segments;
    m.segment_count = count + 1;
    return manifest_check(&m, error);
}

static void test_index_limit_of_rows(void **state)
{
    (void)state;
    struct dp_error error;
    assert_int_equal(check_rows(0, SEGMENT_ROWS_MAX, &error), DP_OK);
    assert_int_equal(check_rows(0, SEGMENT_ROWS_MAX + 1, &error), DP_CORRUPT);
    assert_int_equal(check_rows(15, SEGMENT_ROWS_MAX, &error), DP_OK); /* 64,000,000 in all */
    assert_int_equal(check_rows(16, 1, &error), DP_CORRUPT);
    assert_non_null(strstr(error.message, "64000001 rows are more than a namespace's 64000000"));
}

static void test_index_limit_of_a_manifest(void **state)
{
    (void)state;
    struct manifest m, back;
    struct dp_error error;
    struct buffer text;
    char *options = malloc(MANIFEST_BYTES_MAX);
    assert_non_null(options);
    struct attribute a = {.number = 2, .type = ATTRIBUTE_STRING, .name = span_str("a")};
    fill_manifest(&m);
    m.schema.attributes = &a;
    m.schema.count = 1;
    buffer_init(&text, 2 * MANIFEST_BYTES_MAX);
    size_t pad = 100;
    for (int i = 0; i < 3; i++) {
        memset(options, 'x', pad);
        memcpy(options, "{\"x\":\"", 6);
        memcpy(options + pad - 2, "\"}", 2);
        a.options = span_of(options, pad);
        buffer_clear(&text);
        assert_int_equal(manifest_write(&m, &text, &error), i < 2 ? DP_OK : DP_TOO_LARGE);
        if (i == 0)
            pad += MANIFEST_BYTES_MAX - text.len;
        if (i == 1) {
            assert_int_equal(text.len, MANIFEST_BYTES_MAX);
            buffer_append_str(&text, " ");
            assert_int_equal(manifest_parse(buffer_span(&text), &back, &error), DP_CORRUPT);
            assert_non_null(strstr(error.message, "262144"));
        }
        pad += i == 1;
    }
    buffer_deinit(&text);
    free(options);
}

static void test_index_limit_of_pending_loads(void **state)
{
    (void)state;
    static struct manifest_pending pending[MANIFEST_PENDING_MAX + 1];
    static struct manifest_segment segments[MANIFEST_PENDING_MAX + 1];
    struct manifest m, back;
    struct dp_error error;
    struct buffer text;
    fill_manifest(&m);
    m.features = MANIFEST_FEATURE_LOG;
    for (unsigned i = 0; i <= MANIFEST_PENDING_MAX; i++) {
        segments[i] = segment_of(i, 1);
        pending[i] = (struct manifest_pending){.load = ulid_of("01BX5ZZKBKACTAV9WEVGED", i),
                                               .at_ms = 1699999999000,
                                               .segments = &segments[i],
                                               .segment_count = 1};
    }
    m.pending = pending;
    buffer_init(&text, 2 * MANIFEST_BYTES_MAX);
    for (unsigned beyond = 0; beyond < 2; beyond++) {
        m.pending_count = MANIFEST_PENDING_MAX + beyond;
        buffer_clear(&text);
        assert_int_equal(manifest_write(&m, &text, &error), DP_OK);
        assert_int_equal(manifest_parse(buffer_span(&text), &back, &error), beyond ? DP_CORRUPT : DP_OK);
        if (!beyond) {
            assert_int_equal(back.pending_count, MANIFEST_PENDING_MAX);
            manifest_deinit(&back);
        }
    }
    assert_non_null(strstr(error.message, "more than 256 pending loads"));
    buffer_deinit(&text);
}

static struct wal_head head_of(uint32_t dim)
{
    struct wal_head head = {.number = 1, .chain = 0, .dim = dim};
    memcpy(head.incarnation.text, "01HZZZZZZZZZZZZZZZZZZZZZZZ", ULID_LEN);
    memcpy(head.id.text, "01J00000000000000000000001", ULID_LEN);
    return head;
}

static void test_index_limit_of_an_entry(void **state)
{
    (void)state;
    struct wal_encoder e;
    struct span bytes;
    struct dp_error error;
    struct id_key key;
    const struct wal_head head = head_of(0);
    /* Two rows, because a document has at most 8 MiB. */
    const size_t first = INDEX_DOCUMENT_MAX - 100;
    char *document = malloc(INDEX_DOCUMENT_MAX);
    assert_non_null(document);
    memset(document, ' ', INDEX_DOCUMENT_MAX);
    assert_int_equal(id_encode((struct index_id){.number = 1}, &key, NULL), DP_OK);
    wal_encoder_init(&e);
    size_t second = 1 << 22;
    for (int i = 0; i < 3; i++) {
        wal_encode_begin(&e, &head);
        wal_encode_row(&e, id_key_span(&key), NULL, 0, span_of(document, first));
        wal_encode_row(&e, id_key_span(&key), NULL, 0, span_of(document, second));
        const enum dp_status status = wal_encode_end(&e, &bytes, &error);
        assert_int_equal(status, i < 2 ? DP_OK : DP_TOO_LARGE);
        if (i == 0)
            second += WAL_ENTRY_MAX - bytes.len;
        if (i == 1)
            assert_int_equal(bytes.len, WAL_ENTRY_MAX);
        second += i == 1;
    }
    wal_encode_begin(&e, &head);
    for (uint64_t i = 0; i < WAL_RECORDS_MAX; i++)
        wal_encode_deleted(&e, id_key_span(&key));
    assert_int_equal(wal_encode_end(&e, &bytes, &error), DP_OK);
    wal_encode_begin(&e, &head);
    for (uint64_t i = 0; i <= WAL_RECORDS_MAX; i++)
        wal_encode_deleted(&e, id_key_span(&key));
    assert_int_equal(wal_encode_end(&e, &bytes, &error), DP_TOO_LARGE);
    wal_encoder_deinit(&e);
    free(document);
}

/* Puts `count` records into the log, with the ids from `from` on: deletions, or rows without vectors. */
static void put_records(struct fixture_log *log, uint64_t from, uint64_t count, bool deletions)
{
    for (uint64_t i = 0; i < count;) {
        log_entry(log);
        for (uint64_t in_entry = 0; in_entry < 200000 && i < count; in_entry++, i++) {
            struct id_key key;
            assert_int_equal(id_encode((struct index_id){.number = from + i}, &key, NULL), DP_OK);
            if (deletions)
                wal_encode_deleted(&log->encoder, id_key_span(&key));
            else
                wal_encode_row(&log->encoder, id_key_span(&key), NULL, 0, span_str("{}"));
        }
        log_put(log);
    }
}

static enum dp_status write_row(struct world *w, struct index_reader *reader, uint64_t id)
{
    const struct index_write_row row = {
        .kind = INDEX_UPSERT, .id = {.number = id}, .vectors = ones, .windows = 1, .attributes = span_str("{}")};
    const struct index_write write = {.rows = &row, .count = 1, .dim = w->dim};
    struct index_write_result result;
    world_reset(w);
    return index_write(&w->call, reader, &write, &result);
}

/* A deadline that passes while the leader of a group waits fails the write, which says why. */
static void test_index_limit_of_time_while_writers_are_held(void **state)
{
    struct world *w = *state;
    fixture_must_load(w, "rows", 0, 10, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(write_row(w, reader, 1), DP_OK);
    const struct index_write_row row = {
        .kind = INDEX_UPSERT, .id = {.number = 2}, .vectors = ones, .windows = 1, .attributes = span_str("{}")};
    const struct index_write write = {.rows = &row, .count = 1, .dim = w->dim};
    struct index_write_result result;
    world_reset(w);
    const int64_t now = os_now_ns(), hold = INT64_C(3600) * 1000000000;
    commit_group_pace(&reader->group, 0, hold);
    reader->group.locked.ended_ns = now + INT64_C(100) * 1000000 - hold;
    w->call.deadline_ns = now + INT64_C(50) * 1000000;
    expect_refusal(w, index_write(&w->call, reader, &write, &result), DP_DEADLINE, "deadline");
    assert_int_equal(w->call.error.status, DP_DEADLINE);
    index_close(reader);
}

/* Writes are refused while more than a million rows and deletions wait for a fold. */
static void test_index_limit_of_unfolded_rows(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    fixture_must_load(w, "rows", 0, 10, 0);
    log_init(&log, w, "rows");
    put_records(&log, 1000, 999999, true);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(write_row(w, reader, 1), DP_OK);
    assert_int_equal(write_row(w, reader, 2), DP_OK); /* exactly a million waited before it */
    expect_refusal(w, write_row(w, reader, 3), DP_OVERLOADED, "1000001 rows");
    index_close(reader);
    log_deinit(&log);
}

/* Asks for the first row in the order `order_by`, so the scan looks at every row. */
static enum dp_status scan_all(struct world *w, struct index_reader *reader, const char *order_by)
{
    const struct index_scan scan = {.query = {.top_k = 1}, .order_by = span_str(order_by)};
    struct index_answer answer;
    world_reset(w);
    enum dp_status status = index_scan(&w->call, reader, &scan, &answer);
    assert_true(status != DP_OK || answer.count == 1);
    return status;
}

static void test_index_limit_of_scanned_rows(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    fixture_must_load(w, "rows", 0, 10, 0);
    log_init(&log, w, "rows");
    put_records(&log, 1000, 1000000 - 10, false);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(scan_all(w, reader, "id"), DP_OK);
    put_records(&log, 2000000, 1, false);
    expect_refusal(w, scan_all(w, reader, "id"), DP_INVALID, "the namespace has 1000001 rows");
    index_close(reader);
    log_deinit(&log);
}

/* Documents count with a few bytes of their frame, so the limit lies between 31 and 33 documents of 8 MiB. */
static void test_index_limit_of_scanned_documents(void **state)
{
    struct world *w = *state;
    char *document = malloc(INDEX_DOCUMENT_MAX);
    assert_non_null(document);
    memset(document, 'x', INDEX_DOCUMENT_MAX);
    memcpy(document, "{\"a\":1,\"b\":\"", 12);
    memcpy(document + INDEX_DOCUMENT_MAX - 2, "\"}", 2);
    for (uint64_t count = 31, from = 0; count <= 33; from = count, count += 2) {
        struct index_load_summary summary;
        struct index_loader *loader = fixture_begin(w, "rows");
        for (uint64_t i = from; i < count; i++)
            assert_int_equal(index_load_row(&w->call, loader, (struct index_id){.number = i}, ones, 1,
                                            span_of(document, INDEX_DOCUMENT_MAX)),
                             DP_OK);
        assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
        struct index_reader *reader = fixture_open(w, "rows");
        if (count == 31)
            assert_int_equal(scan_all(w, reader, "id"), DP_OK);
        else
            expect_refusal(w, scan_all(w, reader, "id"), DP_INVALID, "1000000 rows and 256 MiB of attributes");
        index_close(reader);
    }
    free(document);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_limit_of_ids),
        IN_MEMORY(test_index_limit_of_dimensions),
        IN_MEMORY(test_index_limit_of_windows),
        IN_MEMORY(test_index_limit_of_documents),
        cmocka_unit_test(test_index_limit_of_attributes),
        cmocka_unit_test(test_index_limit_of_vector_attributes),
        cmocka_unit_test(test_index_limit_of_rows),
        cmocka_unit_test(test_index_limit_of_a_manifest),
        cmocka_unit_test(test_index_limit_of_pending_loads),
        cmocka_unit_test(test_index_limit_of_an_entry),
        IN_MEMORY(test_index_limit_of_time_while_writers_are_held),
        IN_MEMORY(test_index_limit_of_unfolded_rows),
        IN_MEMORY(test_index_limit_of_scanned_rows),
        IN_MEMORY(test_index_limit_of_scanned_documents),
    };
    return test_run(tests);
}
