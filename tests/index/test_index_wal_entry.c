/* test_index_wal_entry.c: log entries as bytes, and the tail that they make. */
#include "test_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/splitmix.h"
#include "index/id.h"
#include "index/query/exact.h"
#include "index/wal/tail.h"
#include "vector/distance.h"

enum { DIM = 3 };

static const struct ulid life = {"01HZZZZZZZZZZZZZZZZZZZZZZZ"}, own = {"01J00000000000000000000001"};

static struct id_key number_key(uint64_t number)
{
    struct id_key key;
    assert_int_equal(id_encode((struct index_id){.number = number}, &key, NULL), DP_OK);
    return key;
}

static struct wal_head head_of(uint64_t number, uint64_t chain)
{
    return (struct wal_head){.incarnation = life, .id = own, .number = number, .chain = chain, .dim = DIM};
}

static void put_row(struct wal_encoder *e, uint64_t id, const char *document)
{
    const float vector[DIM] = {(float)id, 0.5F, -1.0F};
    struct id_key key = number_key(id);
    wal_encode_row(e, id_key_span(&key), vector, 1, span_str(document));
}

static void put_deleted(struct wal_encoder *e, uint64_t id)
{
    struct id_key key = number_key(id);
    wal_encode_deleted(e, id_key_span(&key));
}

static struct wal_entry *parse_end(struct wal_encoder *e)
{
    struct wal_entry *entry;
    struct span bytes;
    assert_int_equal(wal_encode_end(e, &bytes, NULL), DP_OK);
    assert_int_equal(wal_entry_parse(bytes, &entry, NULL), DP_OK);
    return entry;
}

static struct wal_entry *sample_entry(struct wal_encoder *e)
{
    struct wal_head head = head_of(7, 123456789);
    wal_encode_begin(e, &head);
    put_row(e, 1, "{\"a\":1}");
    put_deleted(e, 2);
    wal_encode_load(e, WAL_ATTACH, &own);
    return parse_end(e);
}

static void test_index_wal_entry_gives_back_what_was_written(void **state)
{
    (void)state;
    struct wal_encoder e;
    wal_encoder_init(&e);
    struct wal_entry *entry = sample_entry(&e);
    assert_int_equal(entry->head.number, 7);
    assert_int_equal(entry->head.chain, 123456789);
    assert_true(ulid_equal(&entry->head.incarnation, &life) && ulid_equal(&entry->head.id, &own));
    assert_int_equal(entry->count, 3);
    assert_int_equal(entry->records[0].kind, WAL_ROW);
    assert_true(span_equal_str(entry->records[0].document, "{\"a\":1}"));
    assert_true(entry->records[0].vectors[0] == 1.0F && entry->records[0].vectors[2] == -1.0F);
    assert_int_equal(entry->records[1].kind, WAL_DELETED);
    struct id_key two = number_key(2);
    assert_true(span_equal(entry->records[1].key, id_key_span(&two)));
    assert_int_equal(entry->records[2].kind, WAL_ATTACH);
    assert_true(ulid_equal(&entry->records[2].load, &own));
    struct span object = buffer_span(&e.out), covered = span_of(object.data, object.len - WAL_CHECKSUM_LEN);
    assert_int_equal(entry->object_size, object.len);
    assert_int_equal(entry->hash, checksum64(covered));
    wal_entry_release(entry);
    wal_encoder_deinit(&e);
}

static void test_index_wal_entry_with_any_byte_flipped_or_cut_is_refused(void **state)
{
    (void)state;
    struct wal_encoder e;
    struct wal_entry *other;
    struct dp_error error;
    wal_encoder_init(&e);
    struct wal_entry *entry = sample_entry(&e);
    struct span object = buffer_span(&e.out);
    uint8_t *copy = malloc(object.len);
    assert_non_null(copy);
    for (size_t at = 0; at < object.len; at++) {
        memcpy(copy, object.data, object.len);
        copy[at] ^= 1;
        assert_int_equal(wal_entry_parse(span_of(copy, object.len), &other, &error), DP_CORRUPT);
        assert_int_equal(wal_entry_parse(span_of(object.data, at), &other, &error), DP_CORRUPT);
        assert_null(other);
    }
    free(copy);
    wal_entry_release(entry);
    wal_encoder_deinit(&e);
}

static void refuse_row(const float *vector, uint32_t dim, uint32_t windows, struct span key)
{
    struct wal_encoder e;
    struct wal_entry *entry;
    struct span bytes;
    struct dp_error error;
    struct wal_head head = head_of(1, 0);
    head.dim = dim;
    wal_encoder_init(&e);
    wal_encode_begin(&e, &head);
    wal_encode_row(&e, key, vector, windows, span_str("{}"));
    assert_int_equal(wal_encode_end(&e, &bytes, NULL), DP_OK);
    assert_int_equal(wal_entry_parse(bytes, &entry, &error), DP_CORRUPT);
    assert_non_null(strstr(error.message, "record 0"));
    wal_encoder_deinit(&e);
}

static void test_index_wal_entry_refuses_rows_that_no_writer_makes(void **state)
{
    (void)state;
    struct id_key key = number_key(1);
    const float nan_vector[DIM] = {0, NAN, 0}, infinite[DIM] = {INFINITY, 0, 0};
    refuse_row(nan_vector, DIM, 1, id_key_span(&key));
    refuse_row(infinite, DIM, 1, id_key_span(&key));
    refuse_row(nan_vector, 0, 1, id_key_span(&key)); /* a window without dimensions */
    refuse_row(NULL, DIM, 0, span_str("no key"));
    refuse_row(NULL, DIM, 0, span_str(""));
}

static void test_index_wal_entry_keeps_to_its_maximum(void **state)
{
    (void)state;
    struct wal_encoder e;
    struct span bytes;
    struct dp_error error;
    struct wal_head head = head_of(1, 0);
    struct id_key key = number_key(1);
    char *document = malloc(WAL_ENTRY_MAX);
    assert_non_null(document);
    memset(document, ' ', WAL_ENTRY_MAX);
    wal_encoder_init(&e);
    wal_encode_begin(&e, &head);
    wal_encode_row(&e, id_key_span(&key), NULL, 0, span_of(document, WAL_ENTRY_MAX - 200));
    assert_int_equal(wal_encode_end(&e, &bytes, NULL), DP_OK);
    wal_encode_begin(&e, &head);
    wal_encode_row(&e, id_key_span(&key), NULL, 0, span_of(document, WAL_ENTRY_MAX - 100));
    assert_int_equal(wal_encode_end(&e, &bytes, &error), DP_TOO_LARGE);
    wal_encoder_deinit(&e);
    free(document);
}

/* ---- tail --------------------------------------------------------------------------------------------- */

/* Appends entry `number` with two random records to the tail. states[id]: the id's newest state, 0 none, 1 row, 2
 * deleted. */
static void append_random(struct tail *tail, struct wal_encoder *e, uint64_t number, uint64_t *random, int *states,
                          int ids)
{
    char document[32];
    struct wal_head head = head_of(number, 0);
    wal_encode_begin(e, &head);
    for (int i = 0; i < 2; i++) {
        int id = (int)(splitmix64_next(random) % (uint64_t)ids);
        if (splitmix64_next(random) % 3) {
            snprintf(document, sizeof document, "{\"n\":%d}", (int)number);
            put_row(e, (uint64_t)id, document);
            states[id] = 1;
        } else {
            put_deleted(e, (uint64_t)id);
            states[id] = 2;
        }
    }
    struct wal_entry *entry = parse_end(e);
    assert_int_equal(tail_append(tail, entry, NULL), DP_OK);
    wal_entry_release(entry);
}

static void check_states(const struct tail *tail, const int *states, int ids)
{
    uint64_t live = 0;
    for (int id = 0; id < ids; id++) {
        struct id_key key = number_key((uint64_t)id);
        const struct tail_row *row = tail_find(tail, id_key_span(&key));
        assert_int_equal(row != NULL, states[id] != 0);
        if (row)
            assert_int_equal(row->record->kind == WAL_ROW, states[id] == 1);
        live += states[id] == 1;
    }
    assert_int_equal(tail->live, live);
}

static void test_index_wal_tail_knows_the_newest_row_of_each_id(void **state)
{
    (void)state;
    enum { IDS = 20, ENTRIES = 300, FLOOR = 200 };
    int states[IDS] = {0}, later[IDS] = {0};
    uint64_t random = 1;
    struct wal_encoder e;
    struct tail tail, kept;
    wal_encoder_init(&e);
    tail_init(&tail);
    for (uint64_t n = 1; n <= ENTRIES; n++) {
        append_random(&tail, &e, n, &random, states, IDS);
        check_states(&tail, states, IDS);
    }
    assert_int_equal(tail_keep_after(&tail, FLOOR, &kept, NULL), DP_OK);
    assert_int_equal(kept.entry_count, ENTRIES - FLOOR);
    assert_int_equal(kept.entries[0]->head.number, FLOOR + 1);
    for (size_t i = 0; i < kept.row_count; i++) {
        struct index_id id;
        assert_true(id_decode(kept.rows[i].record->key, NULL, &id)); /* none is a UUID */
        later[id.number] = kept.rows[i].record->kind == WAL_ROW ? 1 : 2;
    }
    check_states(&kept, later, IDS);
    tail_deinit(&tail);
    check_states(&kept, later, IDS); /* it holds its entries by itself */
    tail_deinit(&kept);
    wal_encoder_deinit(&e);
}

static void test_index_wal_tail_without_memory_stays_as_it_is(void **state)
{
    (void)state;
    struct wal_encoder e;
    struct tail tail;
    wal_encoder_init(&e);
    struct wal_entry *entry = sample_entry(&e);
    enum dp_status status;
    size_t n = 1;
    do {
        tail_init(&tail);
        test_alloc_fail_at(n++);
        status = tail_append(&tail, entry, NULL);
        test_alloc_fail_at(0);
        if (status != DP_OK) {
            assert_int_equal(status, DP_NOMEM);
            assert_int_equal(tail.entry_count + tail.row_count + tail.newest.count, 0);
        }
        tail_deinit(&tail);
    } while (status != DP_OK);
    assert_true(n > 3);
    wal_entry_release(entry);
    wal_encoder_deinit(&e);
}

/* Whatever the vectors, no bound is larger than the distance that an answer gives. */
static void test_index_wal_codes_bound_each_distance(void **state)
{
    (void)state;
    enum { CODES_DIM = 37, VECTORS = 64 };
    static const float scales[] = {1.0F, 1e-6F, 1e6F, 1e15F, 0.0F};
    static float x[VECTORS][CODES_DIM], query[CODES_DIM], bounds[VECTORS];
    uint64_t random = 5;
    double coarse_gap = 0, gap = 0;
    for (size_t step = 0; step < 400; step++) {
        enum index_metric metric = step % 2 ? INDEX_COSINE : INDEX_EUCLIDEAN_SQUARED;
        float scale = scales[step / 2 % 5];
        for (uint32_t i = 0; i < VECTORS * CODES_DIM; i++)
            x[i / CODES_DIM][i % CODES_DIM] =
                ((float)(splitmix64_next(&random) >> 40) / 8388608.0F - 1.0F) * scale;
        for (uint32_t i = 0; i < CODES_DIM; i++)
            query[i] =
                step % 3 ? x[step % VECTORS][i] : (float)(splitmix64_next(&random) >> 40) / 8388608.0F - 1.0F;
        if (metric == INDEX_COSINE && !vector_normalize(query, CODES_DIM))
            continue;
        struct wal_codes codes;
        assert_int_equal(wal_codes_init(&codes, x[0], VECTORS, CODES_DIM, NULL), DP_OK);
        struct wal_code_query q;
        assert_int_equal(wal_code_query_init(&q, metric, query, CODES_DIM, NULL), DP_OK);
        wal_codes_bound(&codes, &q, bounds);
        for (size_t v = 0; v < VECTORS; v++) {
            float dist = exact_distance(metric, query, x[v], 1, CODES_DIM);
            float better = wal_codes_refine(&codes, &q, v, bounds[v]);
            assert_false(bounds[v] > dist);
            assert_false(better > dist);
            if (metric == INDEX_COSINE && scale != 0.0F) { /* a vector of zeros has no bound */
                coarse_gap = dist - bounds[v] > coarse_gap ? dist - bounds[v] : coarse_gap;
                gap = dist - better > gap ? dist - better : gap;
            }
        }
        wal_code_query_deinit(&q);
        wal_codes_deinit(&codes);
    }
    printf("the bounds are at most %.3f and %.3f below the distances\n", coarse_gap, gap);
    assert_true(coarse_gap < 0.25 && gap < 0.04); /* the bounds are tight */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_wal_entry_gives_back_what_was_written),
        cmocka_unit_test(test_index_wal_entry_with_any_byte_flipped_or_cut_is_refused),
        cmocka_unit_test(test_index_wal_entry_refuses_rows_that_no_writer_makes),
        cmocka_unit_test(test_index_wal_entry_keeps_to_its_maximum),
        cmocka_unit_test(test_index_wal_tail_knows_the_newest_row_of_each_id),
        cmocka_unit_test(test_index_wal_tail_without_memory_stays_as_it_is),
        cmocka_unit_test(test_index_wal_codes_bound_each_distance),
    };
    return test_run(tests);
}
