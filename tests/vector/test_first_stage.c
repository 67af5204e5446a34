/* test_first_stage.c: the codes of one bit keep the best vectors among few candidates, and have the same bytes
 * everywhere. */
#include "test_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/splitmix.h"
#include "vector/first_stage.h"

enum { VECTORS = 1003, DIM = 384, QUERIES = 20, K = 10, CANDIDATES = 100, OTHERS = 30 };

static float x[VECTORS][DIM], centroid[DIM];
static uint64_t state;

/* Returns a number of a distribution like the normal one. */
static float chance(void)
{
    float sum = 0.0f;
    for (int i = 0; i < 6; i++)
        sum += (float)(splitmix64_next(&state) >> 40) / (float)(1 << 24) - 0.5f;
    return sum;
}

static void make_vectors(void)
{
    state = 1;
    for (size_t d = 0; d < DIM; d++)
        centroid[d] = chance();
    for (size_t v = 0; v < VECTORS; v++) {
        for (size_t d = 0; d < DIM; d++)
            x[v][d] =
                centroid[d] + chance() * 16.0f / (float)(16 + d); /* texts' vectors vary in few directions, too */
        vector_normalize(x[v], DIM);
    }
    vector_normalize(centroid, DIM);
}

static uint8_t *encode(const struct first_stage *stage, const struct first_list *list)
{
    uint8_t *bytes = calloc(1, first_stage_len(stage, list) + 1);
    float *scratch = calloc(first_stage_scratch(stage), sizeof *scratch);
    first_stage_enter(stage, centroid, scratch);
    for (size_t i = 0; i < list->count; i++)
        first_stage_encode(stage, list, i, x[i], centroid, (uint32_t)(5000 + i), scratch, bytes);
    free(scratch);
    return bytes;
}

/* Scans a list of the vectors, the last OTHERS of them with rows of their own. */
static void scan(enum vector_metric metric, const float *query, size_t dim, const struct id_filter *filter,
                 struct topk *top)
{
    const struct first_stage stage = first_stage_of(metric, dim);
    const struct first_list list = {VECTORS, VECTORS - OTHERS, 0};
    struct first_query prepared;
    struct dp_error error;
    uint8_t *bytes = encode(&stage, &list);
    struct span span = span_of(bytes, first_stage_len(&stage, &list));
    assert_int_equal(first_query_init(&prepared, &stage, query, &error), DP_OK);
    assert_int_equal(first_stage_scan(&prepared, &list, centroid, span, filter, top, &error), DP_OK);
    span.len--;
    assert_int_equal(first_stage_scan(&prepared, &list, centroid, span, filter, top, &error), DP_CORRUPT);
    first_query_deinit(&prepared);
    free(bytes);
}

static size_t vector_of(int64_t row)
{
    return row >= 5000 ? (size_t)(row - 5000) : (size_t)row;
}

/* Returns how many of the K best vectors of a query are among its candidates. */
static size_t kept(enum vector_metric metric, const float *query)
{
    struct topk best, top;
    size_t found = 0;
    bool larger = vector_larger_is_better(metric);
    assert_int_equal(topk_init(&best, K, larger, NULL), DP_OK);
    assert_int_equal(topk_init(&top, CANDIDATES, larger, NULL), DP_OK);
    for (size_t v = 0; v < VECTORS; v++)
        topk_push(&best, distance_pair(metric, query, x[v], DIM), (int64_t)v);
    scan(metric, query, DIM, NULL, &top);
    for (size_t i = 0; i < top.count; i++)
        for (size_t j = 0; j < best.count; j++)
            found += (int64_t)vector_of(top.hits[i].id) == best.hits[j].id;
    topk_deinit(&best);
    topk_deinit(&top);
    return found;
}

static void test_vector_first_stage_keeps_the_best_vectors(void **unused)
{
    (void)unused;
    make_vectors();
    for (int metric = VECTOR_INNER_PRODUCT; metric <= VECTOR_L2; metric++) {
        size_t found = 0;
        for (size_t q = 0; q < QUERIES; q++) {
            float query[DIM];
            for (size_t d = 0; d < DIM; d++)
                query[d] = x[q * 7][d] + 0.01f * chance();
            vector_normalize(query, DIM);
            found += kept((enum vector_metric)metric, query);
        }
        assert_in_range(found, QUERIES * K * 95 / 100, QUERIES * K);
    }
}

/* Estimates of many vectors lie around the scores, for dimensions of all kinds. */
static void test_vector_first_stage_estimates_without_bias(void **unused)
{
    (void)unused;
    static const size_t dims[] = {8, 13, 64, 65, 200, 320, 384};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        for (int metric = VECTOR_INNER_PRODUCT; metric <= VECTOR_L2; metric++) {
            struct topk top;
            double bias = 0.0, spread = 0.0;
            make_vectors();
            assert_int_equal(topk_init(&top, VECTORS, metric == VECTOR_INNER_PRODUCT, NULL), DP_OK);
            scan((enum vector_metric)metric, x[3], dims[i], NULL, &top);
            assert_int_equal(top.count, VECTORS);
            for (size_t h = 0; h < top.count; h++) {
                size_t v = vector_of(top.hits[h].id);
                double score = (double)distance_pair((enum vector_metric)metric, x[3], x[v], dims[i]);
                bias += (double)top.hits[h].score - score;
                spread += fabs((double)top.hits[h].score - score);
            }
            assert_true(fabs(bias) / VECTORS < 0.01);
            assert_true(spread / VECTORS < 0.08);
            topk_deinit(&top);
        }
}

/* A vector's score does not depend on its place, and a filter keeps rows out. */
static void test_vector_first_stage_scores_each_place_alike(void **unused)
{
    (void)unused;
    static const size_t counts[] = {1, 31, 32, 33, 64, 95};
    const struct first_stage stage = first_stage_of(VECTOR_INNER_PRODUCT, DIM);
    struct first_query query;
    float *scratch = calloc(first_stage_scratch(&stage), sizeof *scratch), want = 0.0f;
    static const uint8_t second[] = {2};
    const struct id_filter skip_second = {.skip = id_set_of_bits(span_of(second, sizeof second))};
    make_vectors();
    assert_int_equal(first_query_init(&query, &stage, x[1], NULL), DP_OK);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        const struct first_list list = {counts[c], counts[c], 0};
        size_t len = first_stage_len(&stage, &list);
        uint8_t *bytes = calloc(1, len);
        struct topk top;
        first_stage_enter(&stage, centroid, scratch);
        for (size_t i = 0; i < list.count; i++)
            first_stage_encode(&stage, &list, i, x[0], centroid, 0, scratch, bytes);
        assert_int_equal(topk_init(&top, 200, true, NULL), DP_OK);
        assert_int_equal(first_stage_scan(&query, &list, centroid, span_of(bytes, len), &skip_second, &top, NULL),
                         DP_OK);
        assert_int_equal(top.count, list.count > 1 ? list.count - 1 : 1);
        want = c == 0 ? top.hits[0].score : want;
        for (size_t i = 0; i < top.count; i++) {
            assert_true(top.hits[i].score == want);
            assert_int_not_equal(top.hits[i].id, 1);
        }
        topk_deinit(&top);
        free(bytes);
    }
    first_query_deinit(&query);
    free(scratch);
}

/* Segments hold these bytes, so they may not change, on any machine. */
static void test_vector_first_stage_codes_have_these_bytes(void **unused)
{
    (void)unused;
    const struct first_stage stage = first_stage_of(VECTOR_L2, DIM);
    const struct first_list list = {VECTORS, VECTORS - OTHERS, 0};
    make_vectors();
    assert_int_equal(first_stage_len(&stage, &list), VECTORS * (DIM / 8 + 8) + OTHERS * 4);
    uint8_t *bytes = encode(&stage, &list);
    assert_int_equal(checksum64(span_of(bytes, first_stage_len(&stage, &list))), UINT64_C(0x3e1c3170811fbfe6));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector_first_stage_keeps_the_best_vectors),
        cmocka_unit_test(test_vector_first_stage_estimates_without_bias),
        cmocka_unit_test(test_vector_first_stage_scores_each_place_alike),
        cmocka_unit_test(test_vector_first_stage_codes_have_these_bytes),
    };
    return test_run(tests);
}
