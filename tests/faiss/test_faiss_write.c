/* test_faiss_write.c: written files can be read back, give good recall, and have the layout of the format. */
#include "faiss_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIFT_COUNT = 5000, SIFT_DIM = 128, QUERIES = 200, BASE = SIFT_COUNT - QUERIES, K = 10 };

struct fixture {
    struct arena arena;
    struct call call;
    struct buffer file;
};

static int set_up(void **state)
{
    static struct fixture f;
    arena_init(&f.arena, 1 << 20);
    call_init(&f.call, &f.arena);
    buffer_init(&f.file, 64 << 20);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    buffer_deinit(&f->file);
    arena_deinit(&f->arena);
    return 0;
}

static float *sift(bool normalized)
{
    struct span bytes = test_data("vectors/sift-5k.u8");
    assert_int_equal(bytes.len, SIFT_COUNT * SIFT_DIM);
    float *x = malloc(bytes.len * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < bytes.len; i++)
        x[i] = bytes.data[i];
    for (size_t r = 0; normalized && r < SIFT_COUNT; r++)
        assert_true(vector_normalize(x + r * SIFT_DIM, SIFT_DIM));
    return x;
}

/* Returns the part of the true ten nearest vectors that searches with nprobe find, averaged over the queries. */
static double recall(struct fixture *f, const float *x, enum vector_metric metric, enum ivf_codec_kind kind,
                     size_t nprobe)
{
    struct ivf_build *build;
    struct faiss_ivf *ivf;
    struct topk truth, top;
    size_t hits = 0;
    buffer_clear(&f->file);
    assert_int_equal(ivf_build_new(&f->call, NULL, x, BASE, SIFT_DIM, metric, kind, 64, 1, &build), DP_OK);
    assert_int_equal(write_build(&f->call, build, x, false, (struct faiss_sink){buffer_sink, &f->file}), DP_OK);
    ivf_build_free(build);
    struct memory_file file = {.bytes = buffer_span(&f->file)};
    struct faiss_reader reader = memory_reader(&file);
    assert_int_equal(faiss_ivf_open(&f->call, &reader, 0, &ivf), DP_OK);
    assert_int_equal(topk_init(&truth, K, vector_larger_is_better(metric), NULL), DP_OK);
    assert_int_equal(topk_init(&top, K, vector_larger_is_better(metric), NULL), DP_OK);
    for (size_t q = BASE; q < SIFT_COUNT; q++) {
        const float *query = x + q * SIFT_DIM;
        topk_clear(&truth);
        topk_clear(&top);
        for (size_t r = 0; r < BASE; r++)
            topk_push(&truth, distance_pair(metric, query, x + r * SIFT_DIM, SIFT_DIM), (int64_t)r);
        assert_int_equal(faiss_ivf_search(&f->call, ivf, &reader, query, nprobe, NULL, &top), DP_OK);
        for (size_t i = 0; i < top.count; i++)
            for (size_t j = 0; j < truth.count; j++)
                hits += top.hits[i].id == truth.hits[j].id;
    }
    topk_deinit(&truth);
    topk_deinit(&top);
    faiss_ivf_free(ivf);
    return (double)hits / (QUERIES * K);
}

static void test_faiss_recall_on_sift(void **state)
{
    float *x = sift(false);
    double flat = recall(*state, x, VECTOR_L2, IVF_FLAT, 16), sq8 = recall(*state, x, VECTOR_L2, IVF_SQ8, 16);
    double all = recall(*state, x, VECTOR_L2, IVF_FLAT, 64);
    print_message("recall R10@10, nlist 64, nprobe 16: Flat %.4f, SQ8 %.4f; nprobe 64: Flat %.4f\n", flat, sq8,
                  all);
    assert_true(flat >= 0.975);
    assert_true(sq8 >= 0.96);
    assert_true(all == 1.0);
    free(x);
}

static void test_faiss_recall_on_normalised_sift(void **state)
{
    float *x = sift(true);
    double flat = recall(*state, x, VECTOR_INNER_PRODUCT, IVF_FLAT, 16);
    double sq8 = recall(*state, x, VECTOR_INNER_PRODUCT, IVF_SQ8, 16);
    print_message("cosine R10@10, nlist 64, nprobe 16: Flat %.4f, SQ8 %.4f\n", flat, sq8);
    assert_true(flat >= 0.975);
    assert_true(sq8 >= 0.96);
    free(x);
}

/* A small build of SIFT vectors, written with new row numbers. */
static struct ivf_build *small_build(struct fixture *f, const float *x, enum ivf_codec_kind kind, size_t n,
                                     size_t dim)
{
    struct ivf_build *build;
    assert_int_equal(ivf_build_new(&f->call, NULL, x, n, dim, VECTOR_L2, kind, 5, 1, &build), DP_OK);
    assert_int_equal(write_build(&f->call, build, x, true, (struct faiss_sink){buffer_sink, &f->file}), DP_OK);
    return build;
}

static void test_faiss_list_data_begin_where_the_format_says(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t nlist, dim, begin;
    } figures[] = {{64, 128, 33419}, {100, 128, 52139}, {1024, 768, 3154059}};
    for (size_t i = 0; i < 3; i++) {
        struct faiss_ivf_spec spec = {.codec = {.kind = IVF_FLAT,
                                                .metric = VECTOR_L2,
                                                .dim = figures[i].dim,
                                                .code_size = 4 * figures[i].dim},
                                      .nlist = figures[i].nlist};
        assert_int_equal(faiss_ivf_head_bytes(&spec), figures[i].begin);
    }
    float *x = sift(false);
    ivf_build_free(small_build(f, x, IVF_SQ8, 300, 13));
    struct faiss_ivf *ivf;
    assert_int_equal(faiss_ivf_parse_head(buffer_span(&f->file), f->file.len, &ivf, NULL), DP_OK);
    struct faiss_ivf_info info = faiss_ivf_info(ivf);
    assert_int_equal(info.head_bytes + 300 * (13 + 8), f->file.len);
    assert_int_equal(info.nprobe, 1);
    /* Parsing needs the whole head, and no more. */
    struct faiss_ivf *again;
    struct span head = span_of(f->file.data, (size_t)info.head_bytes);
    assert_int_equal(faiss_ivf_parse_head(head, f->file.len, &again, NULL), DP_OK);
    faiss_ivf_free(again);
    head.len--;
    assert_int_equal(faiss_ivf_parse_head(head, f->file.len, &again, NULL), DP_CORRUPT);
    faiss_ivf_free(ivf);
    free(x);
}

static void test_faiss_row_numbers_are_list_major(void **state)
{
    struct fixture *f = *state;
    float *x = sift(false);
    struct ivf_build *build = small_build(f, x, IVF_FLAT, 300, 16);
    struct faiss_ivf *ivf;
    assert_int_equal(faiss_ivf_parse_head(buffer_span(&f->file), f->file.len, &ivf, NULL), DP_OK);
    bool seen[300] = {0};
    for (uint32_t l = 0; l < 5; l++) {
        struct faiss_list_range range = faiss_ivf_list_range(ivf, l);
        const uint8_t *bytes = f->file.data + range.offset;
        assert_int_equal(range.count, ivf_build_list_count(build, l));
        for (size_t i = 0; i < range.count; i++) {
            int64_t id;
            memcpy(&id, bytes + range.count * 64 + i * 8, 8);
            assert_int_equal(id, build->list_begin[l] + i);
            size_t row = build->rows[id] % 300;
            assert_int_equal(row, build->rows[id]);
            assert_false(seen[row]);
            seen[row] = true;
            assert_memory_equal(bytes + i * 64, x + row * 16, 64);
        }
    }
    faiss_ivf_free(ivf);
    ivf_build_free(build);
    free(x);
}

static void test_faiss_filter_keeps_and_skips(void **state)
{
    struct fixture *f = *state;
    float *x = sift(false);
    struct topk top;
    struct faiss_ivf *ivf;
    uint8_t keep[40] = {0}, skip[40] = {0};
    struct id_set kept = id_set_of_bits(span_of(keep, 30));    /* ids 0 to 239 */
    struct id_set skipped = id_set_of_bits(span_of(skip, 38)); /* ids 0 to 303 */
    ivf_build_free(small_build(f, x, IVF_SQ8, 300, 16));
    for (size_t id = 0; id < 240; id += 3)
        keep[id / 8] |= (uint8_t)(1u << id % 8);
    for (size_t id = 0; id < 300; id += 2)
        skip[id / 8] |= (uint8_t)(1u << id % 8);
    struct id_filter filters[] = {{.keeps = true, .keep = kept},
                                  {.skip = skipped},
                                  {.keeps = true, .keep = kept, .skip = skipped},
                                  {.keeps = true}};
    static const size_t expected[] = {80, 150, 40, 0};
    struct memory_file file = {.bytes = buffer_span(&f->file)};
    struct faiss_reader reader = memory_reader(&file);
    assert_int_equal(faiss_ivf_open(&f->call, &reader, 0, &ivf), DP_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(topk_init(&top, 400, false, NULL), DP_OK);
        assert_int_equal(faiss_ivf_search(&f->call, ivf, &reader, x, 5, &filters[i], &top), DP_OK);
        assert_int_equal(top.count, expected[i]);
        for (size_t h = 0; h < top.count; h++) {
            assert_true(!filters[i].keeps || (top.hits[h].id % 3 == 0 && top.hits[h].id < 240));
            assert_true(filters[i].skip.bits.len == 0 || top.hits[h].id % 2 == 1);
        }
        topk_deinit(&top);
    }
    faiss_ivf_free(ivf);
    free(x);
}

static void test_faiss_writer_refuses_wrong_lists(void **state)
{
    struct fixture *f = *state;
    float centroids[2][3] = {{0}};
    uint64_t sizes[2] = {1, 0}, huge[2] = {UINT64_MAX, 2};
    uint8_t codes[24] = {0}, ids[16] = {0};
    struct faiss_sink sink = {buffer_sink, &f->file};
    struct faiss_ivf_writer writer;
    struct faiss_ivf_spec spec = {.codec = {.kind = IVF_FLAT, .metric = VECTOR_L2, .dim = 3, .code_size = 12},
                                  .nlist = 2,
                                  .centroids = centroids[0],
                                  .list_sizes = sizes};
    assert_int_equal(faiss_ivf_write_begin(&f->call, &writer, &spec, sink), DP_OK);
    assert_int_equal(writer.head_bytes, f->file.len);
    assert_int_equal(faiss_ivf_write_end(&f->call, &writer), DP_INVALID);
    assert_int_equal(faiss_ivf_write_list(&f->call, &writer, span_of(codes, 24), span_of(ids, 16)), DP_INVALID);
    assert_int_equal(faiss_ivf_write_list(&f->call, &writer, span_of(codes, 12), span_of(ids, 16)), DP_INVALID);
    assert_int_equal(faiss_ivf_write_list(&f->call, &writer, span_of(codes, 12), span_of(ids, 8)), DP_OK);
    assert_int_equal(faiss_ivf_write_list_from(&f->call, &writer, span_of(codes, 0), 1), DP_OK);
    assert_int_equal(faiss_ivf_write_end(&f->call, &writer), DP_OK);
    assert_int_equal(faiss_ivf_write_list_from(&f->call, &writer, span_of(codes, 0), 1), DP_INVALID);

    spec.list_sizes = huge;
    assert_int_equal(faiss_ivf_file_bytes(&spec), 0);
    assert_int_equal(faiss_ivf_write_begin(&f->call, &writer, &spec, sink), DP_INVALID);
    spec.list_sizes = sizes;
    spec.codec.code_size = 3;
    assert_int_equal(faiss_ivf_write_begin(&f->call, &writer, &spec, sink), DP_INVALID);
}

static enum dp_status build_write_and_search(struct fixture *f, const float *x)
{
    struct ivf_build *build;
    struct faiss_ivf *ivf = NULL;
    struct topk top = {0};
    buffer_deinit(&f->file);
    buffer_init(&f->file, 1 << 20);
    enum dp_status status = ivf_build_new(&f->call, NULL, x, 200, 16, VECTOR_L2, IVF_SQ8, 4, 1, &build);
    if (status == DP_OK)
        status = write_build(&f->call, build, x, true, (struct faiss_sink){buffer_sink, &f->file});
    struct memory_file file = {.bytes = buffer_span(&f->file)};
    struct faiss_reader reader = memory_reader(&file);
    if (status == DP_OK)
        status = faiss_ivf_open(&f->call, &reader, 100, &ivf);
    if (status == DP_OK)
        status = topk_init(&top, 5, false, &f->call.error);
    if (status == DP_OK)
        status = faiss_ivf_search(&f->call, ivf, &reader, x, 2, NULL, &top);
    assert_int_equal(file.unreleased, 0);
    topk_deinit(&top);
    faiss_ivf_free(ivf);
    ivf_build_free(build);
    buffer_deinit(&f->file);
    buffer_init(&f->file, 1 << 20);
    return status;
}

static void test_faiss_survives_failed_allocations(void **state)
{
    struct fixture *f = *state;
    float *x = sift(false);
    size_t before = test_alloc_live(), n = 1;
    for (;; n = test_alloc_next(n)) {
        call_init(&f->call, &f->arena);
        test_alloc_fail_at(n);
        enum dp_status status = build_write_and_search(f, x);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        assert_int_equal(status, DP_NOMEM);
    }
    print_message("%zu allocations failed in turn\n", n - 1);
    assert_true(n > 20);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_faiss_recall_on_sift, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_recall_on_normalised_sift, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_list_data_begin_where_the_format_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_row_numbers_are_list_major, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_filter_keeps_and_skips, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_writer_refuses_wrong_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_survives_failed_allocations, set_up, tear_down),
    };
    return test_run(tests);
}
