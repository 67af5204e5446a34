/* caller_reader.c: reads a FAISS file through a caller's function. Gives the function memory to fill, and
 * checks its answer. */
#include "capi/caller_reader.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"

/* The caller's reader of one FAISS file. */
struct caller_file {
    struct dp_reader own;
    char *name; /* a copy, or NULL */
};

static const char *caller_file_name(const struct caller_file *file)
{
    return file->name ? file->name : "FAISS file";
}

static void caller_file_free(void *ctx)
{
    struct caller_file *file = ctx;

    if (file->own.free_ctx)
        file->own.free_ctx(file->own.ctx);
    mem_free(file->name);
    mem_free(file);
}

static void release_caller_ranges(void *ctx, struct faiss_range *ranges, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        mem_free(ranges[i].owner);
        ranges[i].owner = NULL;
        ranges[i].bytes = span_of(NULL, 0);
    }
}

/* Allocates each range separately, because the index releases ranges one by one. */
static enum dp_status alloc_ranges(struct call *call, struct faiss_range *ranges, struct dp_range *asked, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ranges[i].owner = mem_alloc(ranges[i].len);
        if (!ranges[i].owner)
            return call_nomem(call, "the ranges of a FAISS file");
        asked[i] = (struct dp_range){.offset = ranges[i].offset, .len = ranges[i].len, .into = ranges[i].owner};
    }
    return DP_OK;
}

/* Fails the call with the file's name and the caller's sentence. An unknown status becomes DP_IO. */
static enum dp_status reader_failed(struct call *call, const struct caller_file *file, enum dp_status status,
                                    char *told)
{
    if (status > DP_OK || status < DP_NOT_DURABLE)
        status = DP_IO;
    told[DP_ERROR_MESSAGE_MAX - 1] = 0;
    return call_fail(call, status, "%s: the caller's reader failed: %s", caller_file_name(file),
                     *told ? told : dp_status_name(status));
}

static enum dp_status ask_reader(struct call *call, const struct caller_file *file, struct dp_range *asked,
                                 size_t n)
{
    char told[DP_ERROR_MESSAGE_MAX] = "";
    int left_ms = call_left_ms(call);
    enum dp_status status = file->own.read_ranges(file->own.ctx, asked, n, left_ms, told);

    if (status != DP_OK)
        return reader_failed(call, file, status, told);
    for (size_t i = 0; i < n; i++)
        if (asked[i].got != asked[i].len)
            return call_fail(
                call, DP_IO,
                "%s: the caller's reader answered %zu bytes of %zu at offset %" PRIu64 ", in a file of %" PRIu64,
                caller_file_name(file), asked[i].got, asked[i].len, asked[i].offset, file->own.file_bytes);
    status = call_check(call);
    if (status == DP_DEADLINE)
        return call_fail(call, status, "%s: the caller's reader took longer than the %d ms that were left",
                         caller_file_name(file), left_ms);
    return status;
}

static enum dp_status read_caller_ranges(struct call *call, void *ctx, struct faiss_range *ranges, size_t n)
{
    struct caller_file *file = ctx;
    struct dp_range *asked = mem_calloc(n, sizeof *asked);
    enum dp_status status = call_check(call);

    for (size_t i = 0; i < n; i++)
        ranges[i].owner = NULL;
    if (status == DP_OK && !asked)
        status = call_nomem(call, "the ranges of a FAISS file");
    if (status == DP_OK)
        status = alloc_ranges(call, ranges, asked, n);
    if (status == DP_OK) {
        call->cost.rounds++;
        call->cost.requests += n;
        status = ask_reader(call, file, asked, n);
    }
    for (size_t i = 0; status == DP_OK && i < n; i++) {
        ranges[i].bytes = span_of(ranges[i].owner, ranges[i].len);
        call->cost.bytes += ranges[i].len;
    }
    if (status != DP_OK)
        release_caller_ranges(NULL, ranges, n);
    mem_free(asked);
    return status;
}

static enum dp_status caller_file_new(struct call *call, const struct dp_reader *own, const char *name,
                                      struct caller_file **out)
{
    size_t len = name ? strlen(name) + 1 : 0;
    struct caller_file *file = NULL;
    char *copy = NULL;

    if (!own->read_ranges)
        return call_fail(call, DP_INVALID,
                         "%s: options.reader has no function to read it with: read_ranges is NULL",
                         name ? name : "FAISS file");
    file = mem_calloc(1, sizeof *file);
    if (file && len > 0)
        copy = mem_alloc(len);
    if (!file || (len > 0 && !copy)) {
        mem_free(file);
        return call_nomem(call, "a FAISS file");
    }
    if (copy)
        memcpy(copy, name, len);
    *file = (struct caller_file){.own = *own, .name = copy};
    *out = file;
    return DP_OK;
}

enum dp_status caller_reader_open(struct call *call, const struct dp_reader *own, const char *name,
                                  struct faiss_reader *out)
{
    struct caller_file *file = NULL;
    enum dp_status status = caller_file_new(call, own, name, &file);

    *out = (struct faiss_reader){0};
    if (status == DP_OK)
        *out = (struct faiss_reader){.size = own->file_bytes,
                                     .read = read_caller_ranges,
                                     .release = release_caller_ranges,
                                     .free = caller_file_free,
                                     .ctx = file,
                                     .name = file->name};
    else if (own->free_ctx)
        own->free_ctx(own->ctx);
    return status;
}
