/* test_faiss_index.c: files as a whole, over a caller's reader and in a store: the costs of opening and searching
 * in rounds, requests, bytes and memory. */
#include "faiss_test.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "faiss/faiss_index.h"
#include "faiss/parse/format.h"
#include "faiss/store_file.h"
#include "test_store.h"
#include "virtual_file.h"

enum { MIB = 1 << 20 };

static struct arena arena;
static struct call call;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 64 * MIB);
    call_init(&call, &arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void span_fill(const void *ctx, uint64_t offset, uint8_t *to, size_t len)
{
    virtual_put(*(const struct span *)ctx, 0, offset, to, len);
}

static void test_faiss_index_owns_its_reader(void **state)
{
    (void)state;
    struct span bytes = test_data("faiss/idmap-flat.ivf");
    struct virtual_file file = {.fill = span_fill, .ctx = &bytes};
    struct faiss_reader reader = virtual_reader(&file, bytes.len);
    struct faiss_index *index;
    size_t before = test_alloc_live();
    assert_int_equal(faiss_index_open(&call, &reader, NULL, &index), DP_OK);
    struct faiss_ivf_info info = faiss_index_info(index);
    assert_int_equal(info.ntotal, 100);
    uint64_t total = 0;
    for (uint32_t l = 0; l < info.nlist; l++)
        total += faiss_index_list_size(index, l);
    assert_int_equal(total, 100);
    assert_int_equal(file.unreleased, 0);
    assert_int_equal(file.frees, 0);
    faiss_index_free(index);
    assert_int_equal(file.frees, 1);
    reader.size /= 2;
    assert_int_equal(faiss_index_open(&call, &reader, NULL, &index), DP_CORRUPT);
    assert_null(index);
    assert_int_equal(file.frees, 2);
    assert_non_null(strstr(call.error.message, "virtual.ivf: "));
    struct faiss_index_options wrong = {.n_clusters = 6};
    reader.size = bytes.len;
    assert_int_equal(faiss_index_open(&call, &reader, &wrong, &index), DP_INVALID);
    assert_non_null(strstr(call.error.message, "5 lists, not 6"));
    assert_int_equal(file.frees, 3);
    assert_int_equal(file.unreleased, 0);
    assert_int_equal(test_alloc_live(), before);
}

static void test_faiss_index_fills_up_as_faiss_does(void **state)
{
    (void)state;
    struct span bytes = test_data("faiss/hnsw-ip.ivf");
    struct virtual_file file = {.fill = span_fill, .ctx = &bytes};
    struct faiss_reader reader = virtual_reader(&file, bytes.len);
    struct faiss_index *index;
    enum { K = 120, QUERIES = 2 };
    float queries[QUERIES][6] = {{1.0f, 0.5f}, {-1.0f, 0.25f, 2.0f}}, distances[QUERIES][K];
    int64_t ids[QUERIES][K];
    struct faiss_search_cost costs[QUERIES];
    struct faiss_search search = {.queries = &queries[0][0], .count = QUERIES, .dim = 6, .k = K, .nprobe = 999};
    assert_int_equal(faiss_index_open(&call, &reader, NULL, &index), DP_OK);
    assert_int_equal(faiss_index_search(&call, index, &search, &ids[0][0], &distances[0][0], costs), DP_OK);
    for (size_t q = 0; q < QUERIES; q++) {
        for (size_t i = 0; i < 100; i++) {
            assert_in_range(ids[q][i], 0, 99);
            assert_true(i == 0 || distances[q][i] <= distances[q][i - 1]);
        }
        for (size_t i = 100; i < K; i++) {
            assert_int_equal(ids[q][i], -1);
            assert_true(distances[q][i] == -FLT_MAX);
        }
        assert_int_equal(costs[q].rounds, 1);
        assert_int_equal(costs[q].lists, 12);
        assert_true(costs[q].requests >= 1 && costs[q].requests <= 12);
        assert_true(costs[q].duration_ns >= 0);
    }
    struct faiss_search wrong = search;
    wrong.dim = 7;
    assert_int_equal(faiss_index_search(&call, index, &wrong, &ids[0][0], &distances[0][0], NULL), DP_INVALID);
    assert_non_null(strstr(call.error.message, "7 dimensions"));
    wrong = search;
    wrong.k = 0;
    assert_int_equal(faiss_index_search(&call, index, &wrong, &ids[0][0], &distances[0][0], NULL), DP_INVALID);
    /* The filter leaves few ids. */
    uint8_t keep[2] = {0x90, 0x01};
    struct id_filter filter = {.keeps = true, .keep = id_set_of_bits(span_of(keep, sizeof keep))};
    search.filter = &filter;
    search.k = 5;
    assert_int_equal(faiss_index_search(&call, index, &search, &ids[0][0], &distances[0][0], NULL), DP_OK);
    for (size_t i = 0; i < 3; i++)
        assert_true(ids[0][i] == 4 || ids[0][i] == 7 || ids[0][i] == 8);
    assert_int_equal(ids[0][3], -1);
    faiss_index_free(index);
}

static void test_faiss_index_survives_any_failed_allocation(void **state)
{
    (void)state;
    static const char *const names[] = {"faiss/idmap-pca-hnsw-pq.ivf", "faiss/rabitqfs4-l2.ivf",
                                        "faiss/sq6-ip-d11.ivf",        "faiss/pqfsr-l2-64.ivf",
                                        "faiss/rabitq4-l2.ivf",        "faiss/norm-remap-flat.ivf",
                                        "faiss/only-flat-l2.ivf",      "faiss/rflat-idmap-pca-sq8-ip.ivf"};
    size_t fired = 0;
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        struct span bytes = test_data(names[f]);
        for (size_t n = 1;; n = test_alloc_next(n)) {
            struct virtual_file file = {.fill = span_fill, .ctx = &bytes};
            struct faiss_reader reader = virtual_reader(&file, bytes.len);
            struct faiss_index *index;
            float query[32] = {1.0f, 2.0f}, distances[3];
            int64_t ids[3];
            size_t before = test_alloc_live();
            test_alloc_fail_at(n);
            enum dp_status status = faiss_index_open(&call, &reader, NULL, &index);
            if (status == DP_OK) {
                const struct faiss_search search = {
                    .queries = query, .count = 1, .dim = faiss_index_info(index).dim_in, .k = 3, .nprobe = 4};
                status = faiss_index_search(&call, index, &search, ids, distances, NULL);
            }
            bool happened = test_alloc_fired();
            test_alloc_fail_at(0);
            faiss_index_free(index);
            assert_int_equal(file.unreleased, 0);
            assert_int_equal(file.frees, 1);
            assert_int_equal(test_alloc_live(), before);
            assert_int_equal(status, happened ? DP_NOMEM : DP_OK);
            if (!happened)
                break;
            fired++;
        }
    }
    print_message("%zu allocations failed in turn\n", fired);
}

/* ---- in a store ----------------------------------------------------------------------------------------- */

static struct store *store_with(struct span key, struct span bytes)
{
    struct store *inner;
    struct store_put put = {.key = key, .body = bytes};
    assert_int_equal(store_open(&call, span_str("mem://faiss-index"), true, &inner), DP_OK);
    assert_int_equal(store_put(&call, inner, &put), DP_OK);
    return test_store_wrap(inner);
}

static struct faiss_index *open_in(struct store *store, struct span key, const struct faiss_index_options *options,
                                   size_t first)
{
    struct faiss_reader reader;
    struct faiss_index *index = NULL;
    if (faiss_store_reader(&call, store, false, key, key, first, &reader) != DP_OK ||
        faiss_index_open(&call, &reader, options, &index) != DP_OK)
        fail_msg("%s", call.error.message);
    return index;
}

static void test_faiss_index_in_a_store_costs_what_it_says(void **state)
{
    (void)state;
    struct span key = span_str("a/file.ivf"), bytes = test_data("faiss/sq8-ip-d48.ivf");
    struct store *store = store_with(key, bytes);
    enum { K = 10, NPROBE = 3 };
    float query[48] = {1.0f}, distances[K];
    int64_t ids[K];
    struct faiss_ivf *ivf;
    assert_int_equal(faiss_ivf_parse_head(bytes, bytes.len, &ivf, NULL), DP_OK);
    uint64_t head = faiss_ivf_info(ivf).head_bytes;
    faiss_ivf_free(ivf);

    /* If the caller knows the offset and the number of lists, opening sends one request, exactly for the head. */
    struct faiss_index_options known = {.cluster_data_offset = head, .n_clusters = 8};
    test_store_reset(store);
    struct faiss_index *index = open_in(store, key, &known, (size_t)head);
    assert_int_equal(test_store_counts(store).rounds, 1);
    assert_int_equal(test_store_counts(store).requests, 1);
    assert_int_equal(test_store_counts(store).bytes_read, head);
    faiss_index_free(index);

    /* After a short first read, opening reads once more. */
    test_store_reset(store);
    struct faiss_index_options guess = {.cluster_data_offset = 200};
    index = open_in(store, key, &guess, 200);
    assert_int_equal(test_store_counts(store).rounds, 2);
    assert_int_equal(faiss_index_info(index).open_rounds, 2);
    assert_int_equal(test_store_counts(store).bytes_read, head);

    /* A search: one round, one request for each list, the bytes of the lists. */
    struct faiss_search search = {.queries = query, .count = 1, .dim = 48, .k = K, .nprobe = NPROBE};
    struct faiss_search_cost cost;
    test_store_reset(store);
    assert_int_equal(faiss_index_search(&call, index, &search, ids, distances, &cost), DP_OK);
    assert_int_equal(test_store_counts(store).rounds, 1);
    assert_int_equal(test_store_counts(store).requests, NPROBE);
    assert_int_equal(cost.rounds, 1);
    assert_int_equal(cost.requests, NPROBE);
    assert_int_equal(cost.bytes, test_store_counts(store).bytes_read);
    assert_int_equal(cost.bytes % 56, 0);

    /* After the object has changed, reads fail. */
    struct store_put put = {.key = key, .body = test_data("faiss/sq8-l2-d16.ivf")};
    assert_int_equal(store_put(&call, store, &put), DP_OK);
    assert_int_equal(faiss_index_search(&call, index, &search, ids, distances, &cost), DP_STALE);
    faiss_index_free(index);
    store_free(store);
}

static void test_faiss_index_opens_a_url(void **state)
{
    (void)state;
    char path[512];
    struct faiss_index *index;
    snprintf(path, sizeof path, "%s", test_data_path("faiss/rabitqfs2-ip.ivf"));
    if (faiss_index_open_url(&call, span_str(path), NULL, NULL, &index) != DP_OK)
        fail_msg("%s", call.error.message);
    assert_string_equal(faiss_index_info(index).fourcc, "Iwrn");
    faiss_index_free(index);
    snprintf(path, sizeof path, "%s", test_data_path("faiss/pqr.refused"));
    assert_int_equal(faiss_index_open_url(&call, span_str(path), NULL, NULL, &index), DP_UNSUPPORTED);
    assert_non_null(strstr(call.error.message, "pqr.refused: it is an IVF file of PQ codes refined by others"));
    snprintf(path, sizeof path, "%s/none.ivf", test_tmpdir());
    assert_int_equal(faiss_index_open_url(&call, span_str(path), NULL, NULL, &index), DP_NOT_FOUND);
    assert_null(index);
}

/* ---- budgets -------------------------------------------------------------------------------------------- */

/* 100,000 vectors of 768 floats in 1024 lists: 311 MB, of which only the head is in memory. */
struct large {
    struct buffer head;
    uint64_t size;
};

static enum dp_status head_sink(struct call *writing, void *ctx, struct span bytes)
{
    buffer_append(ctx, bytes);
    return buffer_check(ctx, "the test's head", &writing->error);
}

static void large_fill(const void *ctx, uint64_t offset, uint8_t *to, size_t len)
{
    const struct large *large = ctx;
    memset(to, 0, len);
    virtual_put(buffer_span(&large->head), 0, offset, to, len);
}

static void make_large(struct large *large, size_t dim, size_t nlist, uint64_t vectors)
{
    float *centroids = mem_calloc(nlist * dim, sizeof *centroids);
    uint64_t *sizes = mem_calloc(nlist, sizeof *sizes);
    assert_true(centroids && sizes);
    for (size_t l = 0; l < nlist; l++) {
        centroids[l * dim] = (float)l;
        sizes[l] = vectors / nlist + (l < vectors % nlist);
    }
    struct faiss_ivf_spec spec = {.codec = {.kind = IVF_FLAT, .dim = dim, .code_size = dim * sizeof(float)},
                                  .nlist = nlist,
                                  .centroids = centroids,
                                  .list_sizes = sizes};
    struct faiss_ivf_writer writer;
    buffer_init(&large->head, 128 * MIB);
    assert_int_equal(faiss_ivf_write_begin(&call, &writer, &spec, (struct faiss_sink){head_sink, &large->head}),
                     DP_OK);
    large->size = faiss_ivf_file_bytes(&spec);
    mem_free(centroids);
    mem_free(sizes);
}

static void test_faiss_index_large_file_within_its_budget(void **state)
{
    (void)state;
    struct large large;
    make_large(&large, 768, 1024, 100000);
    assert_int_equal(large.size, 311154059);
    struct virtual_file file = {.fill = large_fill, .ctx = &large};
    struct faiss_reader reader = virtual_reader(&file, large.size);
    struct faiss_index *index;
    size_t before = test_alloc_bytes(), centroids = 768 * 1024 * sizeof(float);
    test_alloc_mark();
    assert_int_equal(faiss_index_open(&call, &reader, NULL, &index), DP_OK);
    assert_int_equal(faiss_index_info(index).head_bytes, 3154059);
    assert_int_equal(file.rounds, 2);
    assert_int_equal(file.read, 3154059);
    assert_true(test_alloc_peak() - before <= centroids + MIB);

    float query[768] = {3.0f}, distances[10];
    int64_t ids[10];
    struct faiss_search search = {.queries = query, .count = 1, .dim = 768, .k = 10, .nprobe = 3};
    struct faiss_search_cost cost;
    file.read = file.rounds = 0;
    assert_int_equal(faiss_index_search(&call, index, &search, ids, distances, &cost), DP_OK);
    assert_int_equal(file.rounds, 1);
    assert_int_equal(cost.requests, 3);
    assert_true(file.read <= 1000000);
    assert_true(test_alloc_peak() - before <= centroids + MIB);
    /* A search of all lists takes rounds of 256 MiB. */
    search.nprobe = 1024;
    file.rounds = 0;
    assert_int_equal(faiss_index_search(&call, index, &search, ids, distances, &cost), DP_OK);
    assert_int_equal(file.rounds, 2);
    assert_true(test_alloc_peak() - before <= centroids + MIB);
    print_message("large: opening took %zu KiB beside the centroids\n",
                  (test_alloc_bytes() - before - centroids) / 1024);
    faiss_index_free(index);
    buffer_deinit(&large.head);
}

/* Centroids longer than a piece still come in one round. */
static void test_faiss_index_large_centroids_come_in_pieces(void **state)
{
    (void)state;
    struct large large;
    make_large(&large, 512, 40000, 40000); /* 82 MB */
    struct virtual_file file = {.fill = large_fill, .ctx = &large};
    struct faiss_reader reader = virtual_reader(&file, large.size);
    struct faiss_index *index;
    size_t before = test_alloc_bytes(), centroids = (size_t)512 * 40000 * sizeof(float);
    test_alloc_mark();
    assert_int_equal(faiss_index_open(&call, &reader, NULL, &index), DP_OK);
    assert_int_equal(file.rounds, 2);
    assert_int_equal(file.unreleased, 0);
    assert_true(file.longest <= 33 * MIB);
    assert_true(test_alloc_peak() - before <= centroids + MIB);
    faiss_index_free(index);
    buffer_deinit(&large.head);
}

/* An IwPf whose lists are blocks: NLIST lists of SIZE vectors, 16 dimensions in 4 parts. */
enum {
    NLIST = 48,
    SIZE = 100000,
    ROWS = 32,
    CODES = (SIZE + ROWS - 1) / ROWS * ROWS * 2,
    LIST = 8 + 8 * SIZE + 8 + CODES
};

struct blocks {
    struct buffer head;
};

static void blocks_fill(const void *ctx, uint64_t offset, uint8_t *to, size_t len)
{
    const struct blocks *blocks = ctx;
    uint64_t size = SIZE, codes = CODES;
    memset(to, 0, len);
    virtual_put(buffer_span(&blocks->head), 0, offset, to, len);
    for (uint64_t l = 0; l < NLIST; l++) {
        uint64_t begin = blocks->head.len + l * LIST;
        virtual_put(span_of(&size, 8), begin, offset, to, len);
        virtual_put(span_of(&codes, 8), begin + 8 + 8 * SIZE, offset, to, len);
    }
}

static void put_header(struct buffer *b, uint32_t fourcc, uint64_t ntotal)
{
    buffer_u32(b, fourcc);
    buffer_u32(b, 16);
    buffer_u64(b, ntotal);
    buffer_u64(b, FAISS_DUMMY);
    buffer_u64(b, FAISS_DUMMY);
    buffer_u8(b, 1);
    buffer_u32(b, VECTOR_L2);
}

static void put_blocks_head(struct buffer *b)
{
    put_header(b, FAISS_FOURCC('I', 'w', 'P', 'f'), (uint64_t)NLIST * SIZE);
    buffer_u64(b, NLIST);
    buffer_u64(b, 1);
    put_header(b, FAISS_FLAT_L2, NLIST);
    buffer_u64(b, NLIST * 16);
    for (size_t list = 0; list < NLIST; list++)
        for (size_t d = 0; d < 16; d++)
            buffer_f32(b, (float)list);
    buffer_u8(b, 0); /* no direct map */
    buffer_u64(b, 0);
    buffer_u8(b, 0);  /* not by residual */
    buffer_u64(b, 2); /* code size */
    buffer_u32(b, ROWS);
    buffer_u64(b, 4); /* m2 */
    buffer_u32(b, 0);
    buffer_u64(b, 0);
    buffer_u64(b, 16); /* product quantizer */
    buffer_u64(b, 4);
    buffer_u64(b, 4);
    buffer_u64(b, 16 * 16);
    for (size_t i = 0; i < 16 * 16; i++)
        buffer_f32(b, (float)(i % 7));
    buffer_u32(b, FAISS_LISTS_BLOCK);
    buffer_u64(b, NLIST);
    buffer_u64(b, UINT64_MAX);
    buffer_u64(b, ROWS);
    buffer_u64(b, ROWS * 2);
}

static void test_faiss_index_walks_blocks_in_little_memory(void **state)
{
    (void)state;
    struct blocks blocks;
    buffer_init(&blocks.head, MIB);
    put_blocks_head(&blocks.head);
    assert_int_equal(blocks.head.status, DP_OK);
    uint64_t size = blocks.head.len + (uint64_t)NLIST * LIST;
    struct virtual_file file = {.fill = blocks_fill, .ctx = &blocks};
    struct faiss_reader reader = virtual_reader(&file, size);
    struct faiss_index *index;
    size_t before = test_alloc_bytes();
    test_alloc_mark();
    if (faiss_index_open(&call, &reader, NULL, &index) != DP_OK)
        fail_msg("%s", call.error.message);
    assert_true(file.read <= size);
    assert_true(file.longest <= 5 * MIB);
    assert_true(test_alloc_peak() - before <= MIB); /* the file has 48 MB */
    print_message("blocks: %zu rounds, %.1f of %.1f MB read, %zu KiB taken at most\n", file.rounds,
                  (double)file.read / 1e6, (double)size / 1e6, (test_alloc_peak() - before) / 1024);
    float query[16] = {0}, distances[4];
    int64_t ids[4];
    struct faiss_search search = {.queries = query, .count = 1, .dim = 16, .k = 4, .nprobe = 2};
    file.rounds = file.ranges = 0;
    assert_int_equal(faiss_index_search(&call, index, &search, ids, distances, NULL), DP_OK);
    assert_int_equal(file.rounds, 1);
    assert_int_equal(file.ranges, 2);
    assert_int_equal(file.unreleased, 0);
    faiss_index_free(index);
    buffer_deinit(&blocks.head);
}

/* ---- a flat file: rows of zeros and one row of ones ------------------------------------------------------- */

enum { FLAT_DIM = 16, ONES = 4000000 };

struct flat {
    struct buffer head;
    uint64_t rows;
};

static void flat_fill(const void *ctx, uint64_t offset, uint8_t *to, size_t len)
{
    const struct flat *flat = ctx;
    float ones[FLAT_DIM];
    for (size_t i = 0; i < FLAT_DIM; i++)
        ones[i] = 1.0f;
    memset(to, 0, len);
    virtual_put(buffer_span(&flat->head), 0, offset, to, len);
    virtual_put(span_of(ones, sizeof ones), flat->head.len + (uint64_t)ONES * sizeof ones, offset, to, len);
}

static struct faiss_reader flat_reader(struct flat *flat, struct virtual_file *file, uint64_t rows)
{
    *flat = (struct flat){.rows = rows};
    buffer_init(&flat->head, MIB);
    put_header(&flat->head, FAISS_FLAT_L2, rows);
    buffer_u64(&flat->head, rows * FLAT_DIM);
    *file = (struct virtual_file){.fill = flat_fill, .ctx = flat};
    return virtual_reader(file, flat->head.len + rows * FLAT_DIM * sizeof(float));
}

/* Several queries share one reading of the file, in rounds of at most 256 MiB. The first query has the
 * cost of that reading. */
static void test_faiss_index_reads_a_flat_file_in_rounds(void **state)
{
    (void)state;
    enum { VECTORS = 264 * (1 << 20) / (FLAT_DIM * 4) };
    struct flat flat;
    struct virtual_file file;
    struct faiss_reader reader = flat_reader(&flat, &file, VECTORS);
    struct faiss_index *index;
    struct faiss_search_cost costs[3];
    float queries[3][FLAT_DIM] = {{0}}, distances[3][2];
    int64_t ids[3][2];
    assert_int_equal(faiss_index_open(&call, &reader, NULL, &index), DP_OK);
    assert_true(file.rounds == 1 && file.read <= 128 * 1024);
    for (size_t i = 0; i < FLAT_DIM; i++)
        queries[1][i] = 1.0f;
    struct faiss_search search = {.queries = queries[0], .count = 3, .dim = FLAT_DIM, .k = 2, .nprobe = 1};
    file.rounds = file.ranges = 0;
    file.read = 0;
    if (faiss_index_search(&call, index, &search, ids[0], distances[0], costs) != DP_OK)
        fail_msg("%s", call.error.message);
    assert_int_equal(file.rounds, 2);
    assert_int_equal(file.ranges, 33);
    assert_int_equal(file.read, (uint64_t)VECTORS * FLAT_DIM * 4);
    assert_true(file.longest <= 8 * MIB && file.unreleased == 0);
    assert_true(costs[0].rounds == 2 && costs[1].rounds == 0 && costs[2].rounds == 0 && costs[2].lists == 1);
    assert_true(ids[0][0] == 0 && ids[0][1] == 1 && ids[2][1] == 1 && distances[0][0] == 0.0f);
    assert_true(ids[1][0] == ONES && distances[1][0] == 0.0f && ids[1][1] == 0 && distances[1][1] == 16.0f);
    faiss_index_free(index);
    buffer_deinit(&flat.head);
}

/* Reads the first bytes, and fails beyond them. */
static enum dp_status read_the_head(struct call *reading, void *ctx, struct faiss_range *ranges, size_t n)
{
    if (ranges->offset == 0 && ranges->len <= 128 * 1024)
        return virtual_read(reading, ctx, ranges, n);
    return call_fail(reading, DP_IO, "this reader has a head alone");
}

static void test_faiss_index_reads_a_large_flat_file_only_with_scan_all(void **state)
{
    (void)state;
    enum { GIB_ROWS = (1 << 30) / (FLAT_DIM * 4) };
    for (uint64_t more = 0; more < 2; more++) {
        struct flat flat;
        struct virtual_file file;
        struct faiss_reader reader = flat_reader(&flat, &file, GIB_ROWS + more);
        struct faiss_index *index;
        float query[FLAT_DIM] = {0}, distance;
        int64_t id;
        struct faiss_search search = {.queries = query, .count = 1, .dim = FLAT_DIM, .k = 1};
        reader.read = read_the_head;
        assert_int_equal(faiss_index_open(&call, &reader, NULL, &index), DP_OK);
        enum dp_status status = faiss_index_search(&call, index, &search, &id, &distance, NULL);
        assert_int_equal(status, more ? DP_TOO_LARGE : DP_IO);
        if (more)
            assert_non_null(strstr(call.error.message, "dipper faiss build"));
        search.scan_all = true;
        assert_int_equal(faiss_index_search(&call, index, &search, &id, &distance, NULL), DP_IO);
        faiss_index_free(index);
        buffer_deinit(&flat.head);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_faiss_index_owns_its_reader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_index_fills_up_as_faiss_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_index_survives_any_failed_allocation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_index_in_a_store_costs_what_it_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_index_opens_a_url, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_index_large_file_within_its_budget, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_index_large_centroids_come_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_index_walks_blocks_in_little_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_index_reads_a_flat_file_in_rounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faiss_index_reads_a_large_flat_file_only_with_scan_all, set_up,
                                        tear_down),
    };
    return test_run(tests);
}
