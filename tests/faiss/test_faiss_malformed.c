/* test_faiss_malformed.c: a broken file gives an error, or a search within its bounds, never a crash. */
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

/* Opens the bytes, and searches all lists if that works. Returns the status of the opening. Checks for any file,
 * however broken: few rounds, no byte read twice, no memory beyond the file's size, and an error that names the
 * file. */
static enum dp_status open_and_search(struct span bytes, size_t guess)
{
    struct memory_file file = {.bytes = bytes};
    struct faiss_reader reader = memory_reader(&file);
    struct faiss_ivf *ivf;
    size_t before = test_alloc_bytes();
    reader.name = "broken.ivf";
    call_init(&call, &arena);
    test_alloc_mark();
    enum dp_status status = faiss_ivf_open(&call, &reader, guess, &ivf);
    assert_int_equal(status, call.error.status);
    assert_true(file.rounds <= 64);
    assert_true(file.read <= bytes.len);
    assert_true(test_alloc_peak() - before <= 8 * bytes.len + 16384);
    assert_int_equal(file.unreleased, 0);
    if (status != DP_OK) {
        assert_null(ivf);
        assert_true(status == DP_CORRUPT || status == DP_UNSUPPORTED);
        assert_true(strlen(call.error.message) > 20);
        assert_non_null(strstr(call.error.message, "broken.ivf: "));
        return status;
    }
    struct faiss_ivf_info info = faiss_ivf_info(ivf);
    float *query = calloc(info.dim_in, sizeof *query);
    struct topk top;
    assert_non_null(query);
    assert_int_equal(topk_init(&top, 5, vector_larger_is_better(info.codec->metric), NULL), DP_OK);
    enum dp_status searched = faiss_ivf_search(&call, ivf, &reader, query, (size_t)info.nlist, NULL, &top);
    assert_true(searched == DP_OK || searched == DP_CORRUPT);
    if (searched == DP_OK && info.refined) {
        struct topk refined;
        assert_int_equal(topk_init(&refined, 3, top.larger_is_better, NULL), DP_OK);
        searched = faiss_ivf_refine(&call, ivf, &reader, query, &top, &refined);
        assert_true(searched == DP_OK || searched == DP_CORRUPT);
        topk_deinit(&refined);
    }
    if (searched != DP_OK)
        assert_non_null(strstr(call.error.message, "broken.ivf: "));
    assert_int_equal(file.unreleased, 0);
    topk_deinit(&top);
    free(query);
    faiss_ivf_free(ivf);
    return status;
}

static const char *const files[] = {"faiss/sq8-ip-sparse.ivf",
                                    "faiss/flat-l2-sparse.ivf",
                                    "faiss/flat-l2-d1.ivf",
                                    "faiss/flat-l2-empty.ivf",
                                    "faiss/fp16-l2-d9.ivf",
                                    "faiss/hadamard-sq4.ivf",
                                    "faiss/hnsw-ip.ivf",
                                    "faiss/idmap2-sq8-ip.ivf",
                                    "faiss/idmap-pca-hnsw-pq.ivf",
                                    "faiss/norm-remap-flat.ivf",
                                    "faiss/opq-pq.ivf",
                                    "faiss/pcaw-sq8-ip.ivf",
                                    "faiss/pq-ip-x5.ivf",
                                    "faiss/pqfsr-l2-64.ivf",
                                    "faiss/rabitq-l2.ivf",
                                    "faiss/rabitq3-ip.ivf",
                                    "faiss/rabitqfs2-ip.ivf",
                                    "faiss/rabitqfs-sparse.ivf",
                                    "faiss/sq6-ip-d11.ivf",
                                    "faiss/sq8-uniform-l2.ivf",
                                    "faiss/only-idmap-flat-ip.ivf",
                                    "faiss/only-sq8-rflat.ivf",
                                    "faiss/rflat-idmap-pca-sq8-ip.ivf"};
enum { FILES = sizeof files / sizeof *files };

static void test_faiss_every_truncation_is_corrupt(void **state)
{
    (void)state;
    size_t cases = 0;
    for (size_t f = 0; f < FILES; f++) {
        struct span bytes = test_data(files[f]);
        assert_int_equal(open_and_search(bytes, 0), DP_OK);
        for (size_t len = 0; len < bytes.len; len++, cases++) {
            uint8_t *copy = malloc(len + 1); /* a block for itself, so that a sanitizer sees a read past its end */
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

/* Sets each field of each kind's head to each of these values. */
static void test_faiss_impossible_fields_are_refused(void **state)
{
    (void)state;
    static const uint64_t values[] = {0,          UINT64_MAX, INT64_MAX,          (uint64_t)INT64_MAX + 1,
                                      UINT32_MAX, INT32_MAX,  UINT64_MAX / 8 + 1, UINT64_MAX / 4,
                                      1000000,    1u << 31,   1ull << 61,         1ull << 62};
    size_t cases = 0;
    for (size_t f = 0; f < FILES; f++) {
        struct span bytes = test_data(files[f]);
        uint8_t *copy = malloc(bytes.len);
        assert_non_null(copy);
        struct faiss_ivf *ivf;
        assert_int_equal(faiss_ivf_parse_head(bytes, bytes.len, &ivf, NULL), DP_OK);
        struct faiss_ivf_info info = faiss_ivf_info(ivf);
        size_t head = (size_t)info.head_bytes, step = f < 2 ? 1 : 1 + head / 400;
        bool plain = info.transforms == 0 && !info.id_map;
        faiss_ivf_free(ivf);
        for (size_t at = 4; at + 8 <= head; at += at < 200 ? 1 : step)
            for (size_t v = 0; v < sizeof values / sizeof *values; v++, cases++) {
                memcpy(copy, bytes.data, bytes.len);
                memcpy(copy + at, &values[v], v < 5 ? 8 : 4);
                open_and_search(span_of(copy, bytes.len), 60 + v * 40);
                if (plain && (at == 37 || at == 4)) /* nlist and d: only the true value is possible */
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

/* A header as FAISS writes it. */
static void put_header(struct buffer *b, const char *fourcc)
{
    buffer_append_str(b, fourcc);
    buffer_u32(b, 8);
    buffer_u64(b, 0);
    buffer_u64(b, 1 << 20);
    buffer_u64(b, 1 << 20);
    buffer_u8(b, 1);
    buffer_u32(b, 1);
}

/* Wrappers in wrappers, up to the end of a long file. */
static void test_faiss_endless_nesting_is_refused(void **state)
{
    (void)state;
    static const char *const wrapper[] = {"IxPT", "IxMp", "IxM2"};
    for (size_t w = 0; w < 4; w++) {
        struct buffer b;
        buffer_init(&b, 1 << 22);
        for (size_t depth = 0; depth < 5000; depth++) {
            const char *fourcc = w < 3 ? wrapper[w] : wrapper[depth % 2];
            put_header(&b, fourcc);
            if (strcmp(fourcc, "IxPT") == 0)
                buffer_u32(&b, 0); /* no transforms */
        }
        assert_int_equal(open_and_search(buffer_span(&b), 0), DP_UNSUPPORTED);
        assert_true(strstr(call.error.message, "nested") || strstr(call.error.message, "id map inside another"));
        buffer_deinit(&b);
    }
    /* Too many transforms. */
    struct buffer b;
    buffer_init(&b, 1 << 22);
    put_header(&b, "IxPT");
    buffer_u32(&b, 1000000);
    buffer_append_zeros(&b, 100000);
    assert_int_equal(open_and_search(buffer_span(&b), 0), DP_UNSUPPORTED);
    assert_non_null(strstr(call.error.message, "1000000 transforms"));
    buffer_deinit(&b);
}

/* The error of a truncated file names the field within which the file ends. */
static void test_faiss_truncation_names_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        size_t len;
        const char *says;
    } cases[] = {{"faiss/flat-l2-d16.ivf", 3, "within its kind"},
                 {"faiss/flat-l2-d16.ivf", 36, "within the index"},
                 {"faiss/flat-l2-d16.ivf", 50, "within the number of lists"},
                 {"faiss/flat-l2-d16.ivf", 80, "within the quantizer"},
                 {"faiss/flat-l2-d16.ivf", 300, "within the centroids"},
                 {"faiss/sq8-l2-d16.ivf", 98 + 512 + 12, "within the scalar quantizer"},
                 {"faiss/sq8-l2-d16.ivf", 98 + 512 + 60, "within the scalar quantizer's ranges"},
                 {"faiss/pca-flat.ivf", 120, "within the PCA's"},
                 {"faiss/hnsw-flat.ivf", 110, "the HNSW level probabilities"},
                 {"faiss/idmap-flat.ivf", 4340, "id map"},
                 {"faiss/pq-l2-d12.ivf", 400, "within the product quantizer"},
                 {"faiss/rabitq-l2.ivf", 500, "within the RaBitQ parameters"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span bytes = test_data(cases[i].file);
        assert_int_equal(open_and_search(span_of(bytes.data, cases[i].len), 0), DP_CORRUPT);
        if (strstr(call.error.message, cases[i].says) == NULL)
            fail_msg("%s, %zu bytes: %s", cases[i].file, cases[i].len, call.error.message);
    }
}

/* Searches survive whatever the lists hold: NaN floats, negative ids. */
static void test_faiss_lists_of_ones_are_searched(void **state)
{
    (void)state;
    for (size_t f = 0; f < FILES; f++) {
        struct span bytes = test_data(files[f]);
        uint8_t *copy = malloc(bytes.len);
        struct faiss_ivf *ivf;
        assert_non_null(copy);
        memcpy(copy, bytes.data, bytes.len);
        assert_int_equal(faiss_ivf_parse_head(bytes, bytes.len, &ivf, NULL), DP_OK);
        struct faiss_ivf_info info = faiss_ivf_info(ivf);
        for (uint32_t l = 0; l < info.nlist; l++) {
            struct faiss_list_range range = faiss_ivf_list_range(ivf, l);
            size_t ids = info.codec->block_rows > 0 ? (size_t)range.count * 8 + 8 : 0;
            if (range.len > 0)
                memset(copy + range.offset + ids, 0xff, (size_t)range.len - ids);
        }
        faiss_ivf_free(ivf);
        assert_int_equal(open_and_search(span_of(copy, bytes.len), 0), DP_OK);
        free(copy);
    }
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
    assert_int_equal(ivf_scan_list(&ready, centroid, NULL, four, eight, NULL, &top, NULL), DP_CORRUPT);
    assert_int_equal(ivf_scan_list(&ready, centroid, NULL, five, none, NULL, &top, NULL), DP_CORRUPT);
    assert_int_equal(ivf_scan_list(&ready, centroid, NULL, five, four, NULL, &top, NULL), DP_CORRUPT);
    assert_int_equal(ivf_scan_list(&ready, centroid, NULL, five, eight, NULL, &top, NULL), DP_OK);
    assert_int_equal(ivf_scan_list(&ready, centroid, NULL, none, none, NULL, &top, NULL), DP_OK);
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
        cmocka_unit_test_setup_teardown(test_faiss_endless_nesting_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_truncation_names_the_field, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_lists_of_ones_are_searched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_failing_reader_is_reported, set_up, tear_down),
    };
    return test_run(tests);
}
