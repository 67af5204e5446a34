/* fuzz_faiss.c: any bytes as a FAISS file. The target opens it with first reads of
 * several lengths, then searches every list.
 *
 * Checked beyond memory safety: opening over a reader and parsing the head agree, wherever the first read ends; no
 * byte is read twice; each list lies inside the file; few rounds. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "faiss/refine.h"
#include "faiss/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned rounds;
static uint64_t bytes_read;

static enum dp_status read_ranges(struct call *call, void *ctx, struct faiss_range *ranges, size_t n)
{
    const struct span *file = ctx;
    rounds++;
    for (size_t i = 0; i < n; i++) {
        bytes_read += ranges[i].len;
        if (!span_sub(*file, ranges[i].offset, ranges[i].len, &ranges[i].bytes))
            abort();
    }
    return call_check(call);
}

static void release_ranges(void *ctx, struct faiss_range *ranges, size_t n)
{
    (void)ctx;
    (void)ranges;
    (void)n;
}

static void search(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader)
{
    struct faiss_ivf_info info = faiss_ivf_info(ivf);
    float *query = calloc(info.dim_in, sizeof *query);
    struct topk top;
    uint64_t total = 0;
    assert(query != NULL);
    for (uint32_t l = 0; l < info.nlist; l++) {
        struct faiss_list_range range = faiss_ivf_list_range(ivf, l);
        assert(range.offset >= info.head_bytes && range.len <= info.file_bytes - range.offset);
        total += range.count;
    }
    assert(total == info.listed && total <= info.ntotal);
    query[0] = 1.0f;
    if (topk_init(&top, 5, vector_larger_is_better(info.codec->metric), NULL) == DP_OK) {
        uint8_t bits[4] = {0xa5, 0x0f, 0xff, 0x3c};
        struct id_filter filter = {.keeps = true, .keep = id_set_of_bits(span_of(bits, sizeof bits))};
        enum dp_status status = faiss_ivf_search(call, ivf, reader, query, (size_t)info.nlist, NULL, &top);
        assert(status == DP_OK || status == DP_CORRUPT); /* rows that the id map lacks, or bad block lengths */
        struct topk refined;
        if (status == DP_OK && info.refined && topk_init(&refined, 3, top.larger_is_better, NULL) == DP_OK) {
            status = faiss_ivf_refine(call, ivf, reader, query, &top, &refined);
            assert(status == DP_OK || status == DP_CORRUPT);
            topk_deinit(&refined);
        }
        topk_sort(&top);
        topk_clear(&top);
        status = faiss_ivf_search(call, ivf, reader, query, 3, &filter, &top);
        assert(status == DP_OK || status == DP_CORRUPT);
        for (size_t i = 0; !info.refined && i < top.count; i++)
            assert(id_filter_allows(&filter, top.hits[i].id));
        topk_deinit(&top);
    }
    free(query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span file = span_of(data, size);
    struct faiss_reader reader = {.size = size, .read = read_ranges, .release = release_ranges, .ctx = &file};
    struct faiss_ivf *whole, *ivf;
    struct dp_error error;
    struct arena arena;
    struct call call;
    enum dp_status expected = faiss_ivf_parse_head(file, size, &whole, &error);
    assert((expected == DP_OK) == (whole != NULL));
    arena_init(&arena, 1 << 20);
    for (size_t guess = 1; guess <= 4096; guess *= 16) {
        call_init(&call, &arena);
        rounds = 0;
        bytes_read = 0;
        enum dp_status status = faiss_ivf_open(&call, &reader, guess, &ivf);
        assert(rounds <= 128);
        assert(bytes_read <= size);
        assert(status == expected);
        if (status == DP_OK && guess == 4096)
            search(&call, ivf, &reader);
        faiss_ivf_free(ivf);
    }
    faiss_ivf_free(whole);
    arena_deinit(&arena);
    return 0;
}
