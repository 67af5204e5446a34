/* test_faiss_malformed.c: broken files end in an error or in a search within their bounds, never in a crash. */
#include "faiss_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct call call;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

/* Opens the bytes and, when that works, searches all lists. The status of the opening. */
static enum dp_status open_and_search(struct span bytes, size_t guess)
{
    struct memory_file file = {.bytes = bytes};
    struct faiss_reader reader = memory_reader(&file);
    struct faiss_ivf *ivf;
    call_init(&call, &arena);
    enum dp_status status = faiss_ivf_open(&call, &reader, guess, &ivf);
    assert_int_equal(status, call.error.status);
    assert_true(file.rounds <= 8);
    if (status != DP_OK) {
        assert_null(ivf);
        assert_true(status == DP_CORRUPT || status == DP_UNSUPPORTED);
        assert_true(strlen(call.error.message) > 20);
        return status;
    }
    struct faiss_ivf_info info = faiss_ivf_info(ivf);
    float *query = calloc(info.codec->dim, sizeof *query);
    struct topk top;
    assert_non_null(query);
    assert_int_equal(topk_init(&top, 5, vector_larger_is_better(info.codec->metric), NULL), DP_OK);
    assert_int_equal(faiss_ivf_search(&call, ivf, &reader, query, (size_t)info.nlist, NULL, &top), DP_OK);
    assert_int_equal(file.unreleased, 0);
    topk_deinit(&top);
    free(query);
    faiss_ivf_free(ivf);
    return status;
}

static const char *const files[] = {"faiss/sq8-ip-sparse.ivf", "faiss/flat-l2-sparse.ivf", "faiss/flat-l2-d1.ivf",
                                    "faiss/flat-l2-empty.ivf"};
enum { FILES = sizeof files / sizeof *files };

static void test_faiss_every_truncation_is_corrupt(void **state)
{
    (void)state;
    size_t cases = 0;
    for (size_t f = 0; f < FILES; f++) {
        struct span bytes = test_data(files[f]);
        assert_int_equal(open_and_search(bytes, 0), DP_OK);
        for (size_t len = 0; len < bytes.len; len++, cases++) {
            uint8_t *copy = malloc(len + 1); /* its own block, so that a sanitizer sees a read past its end */
            assert_non_null(copy);
            memcpy(copy, bytes.data, len);
            assert_int_equal(open_and_search(span_of(copy, len), 0), DP_CORRUPT);
            free(copy);
        }
    }
    print_message("%zu truncated files\n", cases);
}

static void test_faiss_every_flipped_byte_is_survived(void **state)
{
    (void)state;
    size_t cases = 0, refused = 0;
    static const uint8_t flips[] = {0xff, 0x80, 0x01};
    for (size_t f = 0; f < FILES; f++) {
        struct span bytes = test_data(files[f]);
        uint8_t *copy = malloc(bytes.len);
        assert_non_null(copy);
        memcpy(copy, bytes.data, bytes.len);
        for (size_t at = 0; at < bytes.len; at++)
            for (size_t flip = 0; flip < sizeof flips; flip++, cases++) {
                copy[at] ^= flips[flip];
                refused += open_and_search(span_of(copy, bytes.len), 0) != DP_OK;
                copy[at] ^= flips[flip];
            }
        free(copy);
    }
    print_message("%zu flipped bytes, %zu refused\n", cases, refused);
    assert_true(refused > 200);
}

/* Each field set to each of these, in a Flat file (head 199 bytes at most) and an SQ8 file. */
static void test_faiss_impossible_fields_are_refused(void **state)
{
    (void)state;
    static const uint64_t values[] = {0,          UINT64_MAX, INT64_MAX,          (uint64_t)INT64_MAX + 1,
                                      UINT32_MAX, INT32_MAX,  UINT64_MAX / 8 + 1, UINT64_MAX / 4,
                                      1000000,    1u << 31,   1ull << 61,         1ull << 62};
    size_t cases = 0;
    for (size_t f = 0; f < 2; f++) {
        struct span bytes = test_data(files[f]);
        uint8_t *copy = malloc(bytes.len);
        assert_non_null(copy);
        struct faiss_ivf *ivf;
        assert_int_equal(faiss_ivf_parse_head(bytes, bytes.len, &ivf, NULL), DP_OK);
        size_t head = (size_t)faiss_ivf_info(ivf).head_bytes;
        faiss_ivf_free(ivf);
        for (size_t at = 4; at + 8 <= head; at++)
            for (size_t v = 0; v < sizeof values / sizeof *values; v++, cases++) {
                memcpy(copy, bytes.data, bytes.len);
                memcpy(copy + at, &values[v], v < 5 ? 8 : 4);
                open_and_search(span_of(copy, bytes.len), 60 + v * 40);
                if (at == 37 || at == 4) /* nlist and d: nothing but the true value is possible */
                    assert_int_not_equal(call.error.status, DP_OK);
            }
        free(copy);
    }
    print_message("%zu impossible fields\n", cases);
}

static void test_faiss_nan_and_infinity_are_searched(void **state)
{
    (void)state;
    struct span bytes = test_data(files[0]);
    uint8_t *copy = malloc(bytes.len);
    assert_non_null(copy);
    static const float values[] = {NAN, INFINITY, -INFINITY, 3e38f};
    for (size_t v = 0; v < 4; v++) {
        memcpy(copy, bytes.data, bytes.len);
        for (size_t at = 98; at < 98 + 20 * 5 * sizeof(float); at += sizeof(float)) /* all centroids */
            memcpy(copy + at, &values[v], sizeof(float));
        assert_int_equal(open_and_search(span_of(copy, bytes.len), 0), DP_OK);
    }
    free(copy);
}

static void test_faiss_failing_reader_is_reported(void **state)
{
    (void)state;
    struct memory_file file = {.bytes = test_data(files[0])};
    struct faiss_reader reader = memory_reader(&file);
    struct faiss_ivf *ivf;
    file.fail = true;
    assert_int_equal(faiss_ivf_open(&call, &reader, 0, &ivf), DP_IO);
    file.fail = false;
    assert_int_equal(faiss_ivf_open(&call, &reader, 0, &ivf), DP_OK);
    struct topk top;
    float query[5] = {0};
    assert_int_equal(topk_init(&top, 5, true, NULL), DP_OK);
    file.fail = true;
    assert_int_equal(faiss_ivf_search(&call, ivf, &reader, query, 20, NULL, &top), DP_IO);
    assert_int_equal(file.unreleased, 0);

    struct ivf_query ready;
    assert_int_equal(ivf_query_init(&ready, faiss_ivf_info(ivf).codec, query, NULL), DP_OK);
    uint32_t list = 0;
    while (faiss_ivf_list_range(ivf, list).len == 0)
        list++;
    assert_int_equal(faiss_ivf_scan(ivf, &ready, list, span_of(file.bytes.data, 3), NULL, &top, NULL), DP_CORRUPT);
    const float *centroid = faiss_ivf_centroids(ivf);
    struct span five = span_of(file.bytes.data, 5), four = span_of(file.bytes.data, 4);
    struct span eight = span_of(file.bytes.data, 8), none = span_of(NULL, 0);
    assert_int_equal(ivf_scan_list(&ready, centroid, four, eight, NULL, &top, NULL), DP_CORRUPT);
    assert_int_equal(ivf_scan_list(&ready, centroid, five, none, NULL, &top, NULL), DP_CORRUPT);
    assert_int_equal(ivf_scan_list(&ready, centroid, five, four, NULL, &top, NULL), DP_CORRUPT);
    assert_int_equal(ivf_scan_list(&ready, centroid, five, eight, NULL, &top, NULL), DP_OK);
    assert_int_equal(ivf_scan_list(&ready, centroid, none, none, NULL, &top, NULL), DP_OK);
    ivf_query_deinit(&ready);
    topk_deinit(&top);
    faiss_ivf_free(ivf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_faiss_every_truncation_is_corrupt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_every_flipped_byte_is_survived, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_impossible_fields_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_nan_and_infinity_are_searched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_failing_reader_is_reported, set_up, tear_down),
    };
    return test_run(tests);
}
