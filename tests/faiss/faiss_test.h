/* faiss_test.h: helpers of this room's tests: a file in memory behind a reader that counts, and writing a build to
 * memory. */
#ifndef FAISS_TEST_H
#define FAISS_TEST_H

#include "base/alloc.h"
#include "faiss/batch.h"
#include "faiss/refine.h"
#include "faiss/search.h"
#include "faiss/write.h"
#include "test_support.h"
#include "vector/ivf_build.h"

struct memory_file {
    struct span bytes;
    size_t rounds, ranges, read, unreleased;
    bool fail; /* makes reads fail */
};

static inline enum dp_status memory_read(struct call *call, void *ctx, struct faiss_range *ranges, size_t n)
{
    struct memory_file *file = ctx;
    file->rounds++;
    if (file->fail)
        return call_fail(call, DP_IO, "the test's reader fails");
    for (size_t i = 0; i < n; i++) {
        if (!span_sub(file->bytes, ranges[i].offset, ranges[i].len, &ranges[i].bytes))
            return call_fail(call, DP_IO, "a read beyond the file");
        file->ranges++;
        file->read += ranges[i].len;
    }
    file->unreleased += n;
    return DP_OK;
}

static inline void memory_release(void *ctx, struct faiss_range *ranges, size_t n)
{
    struct memory_file *file = ctx;
    (void)ranges;
    file->unreleased -= n;
}

static inline struct faiss_reader memory_reader(struct memory_file *file)
{
    return (struct faiss_reader){
        .size = file->bytes.len, .read = memory_read, .release = memory_release, .ctx = file};
}

/* A sink that appends to a struct buffer, its context. */
static inline enum dp_status buffer_sink(struct call *call, void *ctx, struct span bytes)
{
    buffer_append(ctx, bytes);
    return buffer_check(ctx, "the test's file", &call->error);
}

/* Writes a build. Ids are the numbers of the input rows, or the places in the lists when `renumber`. */
static inline enum dp_status write_build(struct call *call, const struct ivf_build *build, const float *x,
                                         bool renumber, struct faiss_sink sink)
{
    size_t dim = build->codec.dim;
    uint64_t *sizes = mem_calloc(build->nlist, sizeof *sizes);
    float *residual = mem_calloc(dim, sizeof *residual);
    uint8_t *codes = mem_calloc(build->count, build->codec.code_size);
    int64_t *ids = mem_calloc(build->count, sizeof *ids);
    enum dp_status status = DP_NOMEM;
    if (sizes != NULL && residual != NULL && codes != NULL && ids != NULL) {
        for (size_t l = 0; l < build->nlist; l++)
            sizes[l] = ivf_build_list_count(build, l);
        for (size_t p = 0; p < build->count; p++)
            ids[p] = build->rows[p];
        struct faiss_ivf_spec spec = {build->codec, build->nlist, 0, build->centroids, sizes};
        struct faiss_ivf_writer writer;
        status = faiss_ivf_write_begin(call, &writer, &spec, sink);
        for (size_t l = 0; status == DP_OK && l < build->nlist; l++) {
            size_t begin = build->list_begin[l], n = (size_t)sizes[l];
            ivf_build_encode(build, x, l, residual, codes);
            struct span code_span = span_of(codes, n * build->codec.code_size);
            status = renumber
                         ? faiss_ivf_write_list_from(call, &writer, code_span, (int64_t)begin)
                         : faiss_ivf_write_list(call, &writer, code_span, span_of(ids + begin, n * sizeof *ids));
        }
        if (status == DP_OK)
            status = faiss_ivf_write_end(call, &writer);
        if (status == DP_OK && writer.written != faiss_ivf_file_bytes(&spec))
            status = call_fail(call, DP_INVALID, "the file is not as long as faiss_ivf_file_bytes says");
    }
    mem_free(sizes);
    mem_free(residual);
    mem_free(codes);
    mem_free(ids);
    return status;
}

#endif
