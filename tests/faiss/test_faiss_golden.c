/* test_faiss_golden.c: searches of files that faiss-cpu made give FAISS's answers; refusals name the kinds that we
 * do not read. tests/golden/make_faiss_golden.py describes the data. */
#include "faiss_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faiss/ids.h"

struct answers {
    struct cursor c;
    uint32_t queries, d, k, searches;
    float largest; /* the largest squared length of a vector in the index */
    const uint8_t *vectors;
};

static struct span golden(const char *name, const char *suffix)
{
    char path[128];
    snprintf(path, sizeof path, "faiss/%s.%s", name, suffix);
    return test_data(path);
}

static struct answers read_answers(struct span bytes)
{
    struct answers a = {.c = cursor_over(bytes)};
    assert_memory_equal(cursor_bytes(&a.c, 8).data, "DPFAISS1", 8);
    a.queries = cursor_u32(&a.c);
    a.d = cursor_u32(&a.c);
    a.k = cursor_u32(&a.c);
    a.searches = cursor_u32(&a.c);
    a.largest = cursor_f32(&a.c);
    a.vectors = cursor_bytes(&a.c, (uint64_t)a.queries * a.d * sizeof(float)).data;
    assert_false(a.c.failed);
    return a;
}

/* Compares one query's hits with FAISS's: equal distances rank by rank, and equal ids but for ties. */
static void compare_hits(const struct topk *top, uint32_t k, const int32_t *ids, const float *distances,
                         float tolerance)
{
    size_t expected = 0;
    while (expected < k && ids[expected] >= 0)
        expected++;
    assert_int_equal(top->count, expected);
    for (size_t i = 0; i < expected; i++) {
        float allowed = tolerance + 1e-4f * fabsf(distances[i]);
        assert_true(fabsf(top->hits[i].score - distances[i]) <= allowed);
        size_t found = 0;
        while (found < expected && ids[found] != top->hits[i].id)
            found++;
        /* An id that FAISS left out must tie with its last. */
        assert_true(found < expected ? fabsf(distances[found] - distances[i]) <= allowed
                                     : fabsf(distances[expected - 1] - top->hits[i].score) <= allowed);
    }
}

/* A whole search; in a file with a flat part it refines the candidates, in one more round. */
static enum dp_status search_whole(struct call *call, const struct faiss_ivf *ivf,
                                   const struct faiss_reader *reader, const float *query, uint32_t nprobe,
                                   struct topk *top)
{
    struct faiss_ivf_info info = faiss_ivf_info(ivf);
    struct topk candidates;
    if (!info.refined)
        return faiss_ivf_search(call, ivf, reader, query, nprobe, NULL, top);
    size_t room = (size_t)((double)top->k * (double)info.k_factor);
    assert_int_equal(topk_init(&candidates, room, top->larger_is_better, NULL), DP_OK);
    enum dp_status status = faiss_ivf_search(call, ivf, reader, query, nprobe, NULL, &candidates);
    if (status == DP_OK)
        status = faiss_ivf_refine(call, ivf, reader, query, &candidates, top);
    topk_deinit(&candidates);
    return status;
}

static void search_as_faiss_did(struct call *call, const struct faiss_ivf *ivf, struct memory_file *file,
                                struct answers *a, uint32_t nprobe)
{
    struct faiss_reader reader = memory_reader(file);
    struct faiss_ivf_info info = faiss_ivf_info(ivf);
    size_t answers_len = (size_t)a->queries * a->k;
    int32_t *ids = malloc(answers_len * sizeof *ids);
    float *distances = malloc(answers_len * sizeof *distances), *query = malloc(a->d * sizeof *query);
    assert_true(ids && distances && query);
    memcpy(ids, cursor_bytes(&a->c, answers_len * sizeof *ids).data, answers_len * sizeof *ids);
    memcpy(distances, cursor_bytes(&a->c, answers_len * sizeof *distances).data, answers_len * sizeof *distances);
    for (uint32_t q = 0; q < a->queries; q++) {
        struct topk top;
        memcpy(query, a->vectors + (size_t)q * a->d * sizeof *query, a->d * sizeof *query);
        assert_int_equal(topk_init(&top, a->k, vector_larger_is_better(info.codec->metric), NULL), DP_OK);
        size_t rounds = file->rounds, ranges = file->ranges;
        assert_int_equal(search_whole(call, ivf, &reader, query, nprobe, &top), DP_OK);
        assert_true(file->rounds - rounds <= (info.refined ? 2 : 1));
        assert_true(file->ranges - ranges <= nprobe + (info.refined ? (size_t)(a->k * (double)info.k_factor) : 0));
        assert_int_equal(file->unreleased, 0);
        topk_sort(&top);
        float length = distance_pair(VECTOR_INNER_PRODUCT, query, query, a->d);
        compare_hits(&top, a->k, ids + (size_t)q * a->k, distances + (size_t)q * a->k,
                     1e-5f * (length + a->largest));
        topk_deinit(&top);
    }
    free(ids);
    free(distances);
    free(query);
}

static int compare_ids(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* The ids of a file are those that a search of all lists finds. */
static void check_ids(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                      const struct memory_file *file)
{
    const struct faiss_ivf_info info = faiss_ivf_info(ivf);
    const size_t n = (size_t)info.listed;
    float *query = calloc(info.dim_in, sizeof *query);
    int64_t *ids = calloc(n + 1, sizeof *ids), *found = calloc(n + 1, sizeof *found);
    struct topk top;
    assert_true(query && ids && found);
    for (size_t i = 0; i < info.dim_in; i++)
        query[i] = 0.1f + (float)i;
    assert_int_equal(faiss_ivf_ids(call, ivf, reader, ids), DP_OK);
    assert_int_equal(file->unreleased, 0);
    if (!info.refined && n) { /* there, hits are numbers */
        assert_int_equal(topk_init(&top, n, vector_larger_is_better(info.codec->metric), NULL), DP_OK);
        assert_int_equal(faiss_ivf_search(call, ivf, reader, query, (size_t)info.nlist, NULL, &top), DP_OK);
        assert_int_equal(top.count, n);
        for (size_t i = 0; i < n; i++)
            found[i] = top.hits[i].id;
        qsort(ids, n, sizeof *ids, compare_ids);
        qsort(found, n, sizeof *found, compare_ids);
        assert_memory_equal(ids, found, n * sizeof *ids);
        topk_deinit(&top);
    }
    free(query);
    free(ids);
    free(found);
}

/* Opens a golden file in at most `rounds` rounds, and searches it as FAISS did. */
static struct faiss_ivf_info check_kind(const char *name, const char *fourcc, size_t rounds)
{
    struct arena arena;
    struct call call;
    struct memory_file file = {.bytes = golden(name, "ivf")};
    struct faiss_reader reader = memory_reader(&file);
    struct faiss_ivf *ivf;
    struct answers a = read_answers(golden(name, "answers"));
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    if (faiss_ivf_open(&call, &reader, 0, &ivf) != DP_OK)
        fail_msg("%s: %s", name, call.error.message);
    struct faiss_ivf_info info = faiss_ivf_info(ivf);
    assert_int_equal(info.dim_in, a.d);
    assert_string_equal(info.fourcc, fourcc);
    assert_int_equal(info.open_rounds, file.rounds);
    assert_int_equal(info.open_bytes, file.read);
    assert_true(file.rounds <= rounds);
    for (uint32_t s = 0; s < a.searches; s++)
        search_as_faiss_did(&call, ivf, &file, &a, cursor_u32(&a.c));
    assert_false(a.c.failed);
    assert_int_equal(a.c.rest.len, 0);
    check_ids(&call, ivf, &reader, &file);
    faiss_ivf_free(ivf);
    arena_deinit(&arena);
    info.codec = NULL;
    return info;
}

static void check_golden(const char *name, bool by_residual)
{
    struct span bytes = golden(name, "ivf");
    struct faiss_ivf *ivf;
    assert_int_equal(faiss_ivf_parse_head(bytes, bytes.len, &ivf, NULL), DP_OK);
    struct faiss_ivf_info info = faiss_ivf_info(ivf);
    assert_int_equal(info.codec->by_residual, by_residual);
    assert_int_equal(info.head_bytes + info.ntotal * (info.codec->code_size + 8), bytes.len);
    check_kind(name, info.codec->kind == IVF_FLAT ? "IwFl" : "IwSq", 2);
    faiss_ivf_free(ivf);
}

static void test_faiss_flat_agrees(void **state)
{
    (void)state;
    check_golden("flat-l2-d1", false);
    check_golden("flat-l2-d16", false);
    check_golden("flat-ip-d33", false);
}

static void test_faiss_sq8_by_residual_agrees(void **state)
{
    (void)state;
    check_golden("sq8-l2-d16", true);
    check_golden("sq8-l2-d31", true);
    check_golden("sq8-ip-d48", true);
}

static void test_faiss_sq8_without_residual_agrees(void **state)
{
    (void)state;
    check_golden("sq8-direct-l2-d20", false);
    check_golden("sq8-direct-ip-d64", false);
}

static void test_faiss_sparse_and_empty_lists_agree(void **state)
{
    (void)state;
    check_golden("flat-l2-sparse", false);
    check_golden("sq8-ip-sparse", true);
    check_golden("flat-l2-empty", false);
}

/* FAISS counts a vector with a NaN, or with L2 an infinity, but puts it into no list. */
static void test_faiss_vectors_in_no_list_are_normal(void **state)
{
    (void)state;
    static const struct {
        const char *name, *fourcc;
    } files[] = {{"nan-flat", "IwFl"}, {"nan-idmap-pq-ip", "IwPQ"}, {"nan-pqfs", "IwPf"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct faiss_ivf_info info = check_kind(files[i].name, files[i].fourcc, 5);
        assert_int_equal(info.ntotal, 60);
        assert_int_equal(info.listed, 57);
    }
}

/* A header that counts fewer vectors than the lists hold is damaged. */
static void test_faiss_lists_of_more_than_the_header_counts_are_refused(void **state)
{
    (void)state;
    struct span bytes = golden("nan-flat", "ivf");
    uint8_t *copy = malloc(bytes.len);
    struct faiss_ivf *ivf;
    struct dp_error error;
    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.len);
    copy[8] = 57; /* ntotal */
    assert_int_equal(faiss_ivf_parse_head(span_of(copy, bytes.len), bytes.len, &ivf, &error), DP_OK);
    faiss_ivf_free(ivf);
    copy[8] = 56;
    assert_int_equal(faiss_ivf_parse_head(span_of(copy, bytes.len), bytes.len, &ivf, &error), DP_CORRUPT);
    assert_non_null(strstr(error.message, "its lists hold 57 vectors, its header counts 56"));
    free(copy);
}

static void test_faiss_direct_map_is_skipped(void **state)
{
    (void)state;
    check_golden("flat-l2-direct-map", false);
}

static void test_faiss_scalar_kinds_agree(void **state)
{
    (void)state;
    check_kind("sq4-l2-d13", "IwSq", 2);
    check_kind("sq6-ip-d11", "IwSq", 2);
    check_kind("fp16-l2-d9", "IwSq", 2);
    check_kind("bf16-ip-d9", "IwSq", 2);
    check_kind("sq8-uniform-l2", "IwSq", 2);
    check_kind("sq4-uniform-ip", "IwSq", 2);
    check_kind("sq8-bytes-l2-d16", "IwSq", 2);
    check_kind("sq8-signed-ip-d16", "IwSq", 2);
    check_kind("sq8-signed-l2-d5", "IwSq", 2);
}

static void test_faiss_product_quantizers_agree(void **state)
{
    (void)state;
    check_kind("pq-l2-d12", "IwPQ", 2);
    check_kind("pq-ip-x5", "IwPQ", 2);
    check_kind("pq-l2-x8", "IwPQ", 2);
}

static void test_faiss_fast_scan_agrees(void **state)
{
    (void)state;
    check_kind("pqfs-l2", "IwPf", 5);
    check_kind("pqfs-ip-odd", "IwPf", 5);
    check_kind("pqfsr-l2-64", "IwPf", 5);
    check_kind("pqfsr-ip", "IwPf", 5);
}

static void test_faiss_rabitq_agrees(void **state)
{
    (void)state;
    check_kind("rabitq-l2", "Iwrq", 2);
    check_kind("rabitq-ip", "Iwrq", 2);
    check_kind("rabitq4-l2", "Iwrr", 2);
    check_kind("rabitq3-ip", "Iwrr", 2);
    check_kind("rabitqfs-l2", "Iwrn", 5);
    check_kind("rabitqfs-ip-64", "Iwrn", 5);
    check_kind("rabitqfs4-l2", "Iwrn", 5);
    check_kind("rabitqfs2-ip", "Iwrn", 5);
    check_kind("rabitqfs-sparse", "Iwrn", 5);
}

static void test_faiss_wrappers_and_quantizers_agree(void **state)
{
    (void)state;
    assert_true(check_kind("idmap-flat", "IwFl", 3).id_map);
    assert_true(check_kind("idmap2-sq8-ip", "IwSq", 3).id_map);
    assert_int_equal(check_kind("pca-flat", "IwFl", 5).transforms, 1);
    check_kind("pcaw-sq8-ip", "IwSq", 5);
    check_kind("opq-pq", "IwPQ", 5);
    check_kind("rr-rabitq", "Iwrq", 5);
    assert_int_equal(check_kind("norm-remap-flat", "IwFl", 5).transforms, 2);
    check_kind("hadamard-sq4", "IwSq", 5);
    assert_true(check_kind("hnsw-flat", "IwFl", 5).hnsw);
    check_kind("hnsw-ip", "IwSq", 5);
    check_kind("idmap-pca-hnsw-pq", "IwPQ", 6);
}

static void test_faiss_indexes_without_lists_agree(void **state)
{
    (void)state;
    struct faiss_ivf_info info = check_kind("only-flat-l2", "IxF2", 1);
    assert_true(info.flat && info.nlist == 1 && info.ntotal == 100 && info.data_bytes == 100 * 6 * 4);
    assert_true(check_kind("only-idmap-flat-ip", "IxFI", 2).id_map);
    assert_int_equal(check_kind("only-pca-flat", "IxF2", 5).transforms, 1);
    assert_int_equal(check_kind("only-sq8-ip", "IxSQ", 1).data_bytes, 100 * 6);
}

static void test_faiss_flat_parts_refine_as_faiss_does(void **state)
{
    (void)state;
    struct faiss_ivf_info info = check_kind("rflat-sq4-l2", "IwSq", 4);
    assert_true(info.refined && info.k_factor == 2.5f && info.listed == 99);
    info = check_kind("rflat-idmap-pca-sq8-ip", "IwSq", 7);
    assert_true(info.refined && info.id_map && info.transforms == 1);
    info = check_kind("only-sq8-rflat", "IxSQ", 3);
    assert_true(info.refined && info.flat);
}

/* A file opens in few rounds, wherever the first read ends. */
static void test_faiss_opens_from_any_first_read(void **state)
{
    (void)state;
    static const char *const names[] = {
        "sq4-l2-d13",        "pq-ip-x5",        "pqfs-l2",        "rabitq4-l2",
        "rabitqfs2-ip",      "idmap-flat",      "opq-pq",         "hnsw-flat",
        "idmap-pca-hnsw-pq", "norm-remap-flat", "pcaw-sq8-ip",    "rr-rabitq",
        "pq-l2-x8",          "only-pca-flat",   "only-sq8-rflat", "rflat-idmap-pca-sq8-ip"};
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct span bytes = golden(names[i], "ivf");
        size_t most = 0;
        for (size_t guess = 1; guess < bytes.len; guess++) {
            struct memory_file file = {.bytes = bytes};
            struct faiss_reader reader = memory_reader(&file);
            struct faiss_ivf *ivf;
            if (faiss_ivf_open(&call, &reader, guess, &ivf) != DP_OK)
                fail_msg("%s from %zu: %s", names[i], guess, call.error.message);
            assert_int_equal(file.unreleased, 0);
            assert_true(file.read <= bytes.len); /* reads no byte twice */
            most = file.rounds > most ? file.rounds : most;
            faiss_ivf_free(ivf);
        }
        print_message("%s: at most %zu rounds\n", names[i], most);
        assert_true(most <= 12);
    }
    arena_deinit(&arena);
}

static void test_faiss_opens_in_two_rounds(void **state)
{
    (void)state;
    static const char *const names[] = {"flat-l2-d16", "flat-l2-sparse", "sq8-ip-d48", "sq8-l2-d31"};
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct span bytes = golden(names[i], "ivf");
        struct faiss_ivf *ivf;
        /* If the first read contains the number of centroids, opening takes at most two rounds. It reads list data
         * only inside the first read, or where full list sizes would lie if the sizes are sparse. */
        for (size_t guess = 98; guess < 2000; guess++) {
            struct memory_file file = {.bytes = bytes};
            struct faiss_reader reader = memory_reader(&file);
            assert_int_equal(faiss_ivf_open(&call, &reader, guess, &ivf), DP_OK);
            assert_true(file.rounds <= 2);
            struct faiss_ivf_info info = faiss_ivf_info(ivf);
            size_t head = (size_t)info.head_bytes, most = head + 8 * (size_t)info.nlist;
            assert_true(file.read >= head && (file.read <= guess || file.read <= most || file.read == bytes.len));
            assert_int_equal(file.unreleased, 0);
            faiss_ivf_free(ivf);
        }
        for (size_t guess = 1; guess < 98; guess++) {
            struct memory_file file = {.bytes = bytes};
            struct faiss_reader reader = memory_reader(&file);
            assert_int_equal(faiss_ivf_open(&call, &reader, guess, &ivf), DP_OK);
            assert_true(file.rounds <= 4);
            faiss_ivf_free(ivf);
        }
    }
    arena_deinit(&arena);
}

static void test_faiss_probe_is_exact(void **state)
{
    (void)state;
    struct span bytes = golden("flat-l2-sparse", "ivf");
    struct faiss_ivf *ivf;
    uint32_t lists[24];
    size_t count;
    assert_int_equal(faiss_ivf_parse_head(bytes, bytes.len, &ivf, NULL), DP_OK);
    const float *centroids = faiss_ivf_centroids(ivf), *query = centroids + 5 * 7;
    assert_int_equal(faiss_ivf_probe(ivf, query, 99, lists, &count, NULL), DP_OK);
    assert_int_equal(count, 24);
    assert_int_equal(lists[0], 5);
    for (size_t i = 1; i < count; i++)
        assert_true(distance_pair(VECTOR_L2, query, centroids + lists[i - 1] * 7, 7) <=
                    distance_pair(VECTOR_L2, query, centroids + lists[i] * 7, 7));
    assert_int_equal(faiss_ivf_probe(ivf, query, 0, lists, &count, NULL), DP_OK);
    assert_int_equal(count, 0);
    faiss_ivf_free(ivf);
}

static void test_faiss_other_kinds_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *says;
    } refused[] = {{"pqr", "'IwQR'"}, {"tqmse", "type 13"}, {"refine", "'IxSQ'"},  {"nsg", "'INSf'"},
                   {"itq", "'Viqt'"}, {"hnsw", "'IHNf'"},   {"residual", "'IwRQ'"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct span bytes = golden(refused[i].name, "refused");
        struct dp_error error = {0};
        struct faiss_ivf *ivf;
        assert_int_equal(faiss_ivf_parse_head(bytes, bytes.len, &ivf, &error), DP_UNSUPPORTED);
        assert_null(ivf);
        assert_non_null(strstr(error.message, refused[i].says));
        assert_non_null(strstr(error.message, "supported: "));
        assert_true(strlen(error.message) < DP_ERROR_MESSAGE_MAX - 1); /* not cut off */
    }
    struct dp_error error = {0};
    struct faiss_ivf *ivf;
    assert_int_equal(faiss_ivf_parse_head(span_str("\x89PNG and so on"), 14, &ivf, &error), DP_UNSUPPORTED);
    assert_non_null(strstr(error.message, "'\\x89PNG'"));
}

/* Files that people open by mistake: the error names the kind of file, and a remedy. */
static void test_faiss_other_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *is, *remedy;
    } files[] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n", "git-lfs", "git lfs pull"},
        {"\n <!DOCTYPE HTML><html><head>", "HTML page", "login"},
        {"\xef\xbb\xbf<html lang=en>", "HTML page", "login"},
        {"<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code></Error>", "object store", "download it again"},
        {"<Error><Code>AccessDenied</Code></Error>", "object store", "download it again"},
        {"<?xml version=\"1.0\"?><svg/>", "XML", "the right file"},
        {"\x1f\x8b\x08\x08....", "gzip", "gunzip"},
        {"\x28\xb5\x2f\xfd....", "zstd", "zstd -d"},
        {"\xfd\x37zXZ.", "xz", "xz -d"},
        {"PK\x03\x04......", ".npz", "unzip"},
        {"\x93NUMPY\x01...", ".npy", "dipper faiss build"},
        {"PAR1\x15\x04", "Parquet", "numpy.save"},
        {" [{\"id\": 1}]", "JSON", "numpy.save"},
        {"\x80\x04\x95\x01", "pickle", "index.faiss"},
        {"SQLite format 3.", "SQLite", "numpy.save"},
        {"0.1,0.2,0.3\n0.4,0.5,0.6\n", "text", "numpy.save"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct dp_error error = {0};
        struct faiss_ivf *ivf;
        struct span bytes = span_str(files[i].bytes);
        assert_int_equal(faiss_ivf_parse_head(bytes, bytes.len, &ivf, &error), DP_UNSUPPORTED);
        if (strstr(error.message, files[i].is) == NULL || strstr(error.message, files[i].remedy) == NULL)
            fail_msg("%s", error.message);
    }
}

/* The refusal of a kind names a way out. */
static void test_faiss_refusals_say_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *name, *says;
    } refused[] = {{"hnsw", "it is an HNSW graph"},
                   {"hnsw", "reconstruct_n()), then `dipper faiss build"},
                   {"pqr", "IVFPQR"},
                   {"nsg", "its quantizer is an NSG graph"},
                   {"itq", "a transform is an ITQ transform"},
                   {"residual", "residual quantizer codes"},
                   {"refine", "which ',RFlat' makes"},
                   {"metric", "metric 2 (L1)"},
                   {"ondisk", "OnDiskInvertedLists"},
                   {"binary", "binary index"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct span bytes = golden(refused[i].name, "refused");
        struct dp_error error = {0};
        struct faiss_ivf *ivf;
        assert_int_equal(faiss_ivf_parse_head(bytes, bytes.len, &ivf, &error), DP_UNSUPPORTED);
        if (strstr(error.message, refused[i].says) == NULL)
            fail_msg("%s: %s", refused[i].name, error.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faiss_flat_agrees),
        cmocka_unit_test(test_faiss_sq8_by_residual_agrees),
        cmocka_unit_test(test_faiss_sq8_without_residual_agrees),
        cmocka_unit_test(test_faiss_sparse_and_empty_lists_agree),
        cmocka_unit_test(test_faiss_vectors_in_no_list_are_normal),
        cmocka_unit_test(test_faiss_lists_of_more_than_the_header_counts_are_refused),
        cmocka_unit_test(test_faiss_direct_map_is_skipped),
        cmocka_unit_test(test_faiss_scalar_kinds_agree),
        cmocka_unit_test(test_faiss_product_quantizers_agree),
        cmocka_unit_test(test_faiss_fast_scan_agrees),
        cmocka_unit_test(test_faiss_rabitq_agrees),
        cmocka_unit_test(test_faiss_wrappers_and_quantizers_agree),
        cmocka_unit_test(test_faiss_indexes_without_lists_agree),
        cmocka_unit_test(test_faiss_flat_parts_refine_as_faiss_does),
        cmocka_unit_test(test_faiss_opens_from_any_first_read),
        cmocka_unit_test(test_faiss_opens_in_two_rounds),
        cmocka_unit_test(test_faiss_probe_is_exact),
        cmocka_unit_test(test_faiss_other_kinds_are_refused_by_name),
        cmocka_unit_test(test_faiss_other_files_are_named),
        cmocka_unit_test(test_faiss_refusals_say_what_to_do),
    };
    return test_run(tests);
}
