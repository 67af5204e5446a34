/* test_scan_pq_fast.c: fast scans of product quantizers pass over blocks without a hit, and miss none.
 *
 * The oracle is a heap with room for all vectors: while a heap has room, a scan scores every block. The quantizer
 * has few entries that are small whole numbers, so many vectors tie; later vectors have smaller ids, so a vector
 * that only ties with the worst hit must replace it.
 */
#include "test_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vector/ivf_scan.h"

enum { PARTS = 4, ENTRIES = 16, ROWS = 1000, BLOCK = 32, LISTS = 3 };

struct quantized {
    struct ivf_codec codec;
    float trained[PARTS * ENTRIES];
    float centroids[LISTS * PARTS];
    uint8_t codes[LISTS][(ROWS + BLOCK - 1) / BLOCK * BLOCK * PARTS / 2];
    int64_t ids[LISTS][ROWS];
};

static uint32_t next_number(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void fill_quantized(struct quantized *q, enum vector_metric metric, bool by_residual, uint32_t seed)
{
    q->codec = (struct ivf_codec){.kind = IVF_PQ_FAST,
                                  .metric = metric,
                                  .dim = PARTS,
                                  .code_size = PARTS / 2,
                                  .by_residual = by_residual,
                                  .trained = q->trained,
                                  .m = PARTS,
                                  .bits = 4,
                                  .block_rows = BLOCK,
                                  .block_bytes = BLOCK * PARTS / 2,
                                  .pairs = PARTS / 2};
    for (size_t i = 0; i < PARTS * ENTRIES; i++)
        q->trained[i] = (float)(next_number(&seed) % 7);
    for (size_t i = 0; i < LISTS * PARTS; i++)
        q->centroids[i] = by_residual ? (float)(next_number(&seed) % 5) : 0.0f;
    for (size_t l = 0; l < LISTS; l++) {
        for (size_t i = 0; i < sizeof q->codes[l]; i++)
            q->codes[l][i] = (uint8_t)next_number(&seed);
        for (size_t i = 0; i < ROWS; i++)
            q->ids[l][i] = (int64_t)((LISTS - l) * ROWS - i);
    }
}

static void scan_lists(const struct quantized *q, const float *vector, struct topk *top)
{
    static const uint32_t lists[LISTS] = {0, 1, 2};
    struct ivf_query query;
    struct dp_error error;
    assert_int_equal(ivf_query_init(&query, &q->codec, vector, &error), DP_OK);
    ivf_query_probe(&query, q->centroids, lists, LISTS);
    for (size_t l = 0; l < LISTS; l++)
        assert_int_equal(ivf_scan_list(&query, q->centroids + l * PARTS, NULL,
                                       span_of(q->codes[l], sizeof q->codes[l]),
                                       span_of(q->ids[l], sizeof q->ids[l]), NULL, top, &error),
                         DP_OK);
    ivf_query_deinit(&query);
    topk_sort(top);
}

static void check_quantized(enum vector_metric metric, bool by_residual, uint32_t seed)
{
    static struct quantized q;
    static const size_t sizes[] = {1, 10, 100};
    float vector[PARTS];
    struct topk all, some;
    struct dp_error error;
    fill_quantized(&q, metric, by_residual, seed);
    for (size_t i = 0; i < PARTS; i++)
        vector[i] = (float)(next_number(&seed) % 9) - 2.0f;
    assert_int_equal(topk_init(&all, (size_t)LISTS * ROWS, metric == VECTOR_INNER_PRODUCT, &error), DP_OK);
    scan_lists(&q, vector, &all);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        assert_int_equal(topk_init(&some, sizes[s], metric == VECTOR_INNER_PRODUCT, &error), DP_OK);
        scan_lists(&q, vector, &some);
        assert_int_equal(some.count, sizes[s]);
        for (size_t i = 0; i < some.count; i++) {
            assert_int_equal(some.hits[i].id, all.hits[i].id);
            assert_memory_equal(&some.hits[i].score, &all.hits[i].score, sizeof(float));
        }
        topk_deinit(&some);
    }
    topk_deinit(&all);
}

static void test_vector_pq_fast_finds_the_best_of_all_blocks(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 50; seed++)
        for (int by_residual = 0; by_residual < 2; by_residual++) {
            check_quantized(VECTOR_L2, by_residual != 0, seed);
            check_quantized(VECTOR_INNER_PRODUCT, by_residual != 0, seed);
        }
}

/* Values beyond the floats make tables without a scale; then no block is passed over. */
static void test_vector_pq_fast_survives_values_without_a_scale(void **state)
{
    (void)state;
    static struct quantized q;
    static const float odd[] = {INFINITY, NAN, 3e38f};
    struct topk top;
    struct dp_error error;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        fill_quantized(&q, VECTOR_L2, false, 3);
        const float vector[PARTS] = {odd[i], 1.0f, 2.0f, 3.0f};
        assert_int_equal(topk_init(&top, 5, false, &error), DP_OK);
        scan_lists(&q, vector, &top);
        for (size_t h = 0; h < top.count; h++)
            assert_false(isnan(top.hits[h].score));
        topk_deinit(&top);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector_pq_fast_finds_the_best_of_all_blocks),
        cmocka_unit_test(test_vector_pq_fast_survives_values_without_a_scale),
    };
    return test_run(tests);
}
