/* memory_file.c: reads a range by pointing a span at the bytes in memory. */
#include "faiss/memory_file.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"

struct memory_file {
    struct span bytes;
    char name[]; /* ends with a NUL */
};

static enum dp_status read_memory(struct call *call, void *ctx, struct faiss_range *ranges, size_t n)
{
    const struct memory_file *file = ctx;
    for (size_t i = 0; i < n; i++) {
        ranges[i].owner = NULL;
        if (!span_sub(file->bytes, ranges[i].offset, ranges[i].len, &ranges[i].bytes))
            return call_fail(call, DP_INVALID, "%s: %zu bytes at offset %" PRIu64 " of a file of %zu", file->name,
                             ranges[i].len, ranges[i].offset, file->bytes.len);
    }
    return DP_OK;
}

static void release_memory(void *ctx, struct faiss_range *ranges, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        ranges[i].bytes = span_of(NULL, 0);
}

enum dp_status faiss_memory_reader(struct call *call, struct span bytes, const char *name,
                                   struct faiss_reader *out)
{
    const struct span text = span_str(name ? name : "FAISS file");
    struct memory_file *file = mem_calloc(1, sizeof *file + text.len + 1);
    *out = (struct faiss_reader){0};
    if (!file)
        return call_nomem(call, "a FAISS file");
    file->bytes = bytes;
    memcpy(file->name, text.data, text.len);
    *out = (struct faiss_reader){.size = bytes.len,
                                 .read = read_memory,
                                 .release = release_memory,
                                 .free = mem_free,
                                 .ctx = file,
                                 .name = file->name,
                                 .in_memory = true};
    return DP_OK;
}
