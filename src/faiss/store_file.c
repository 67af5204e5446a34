/* store_file.c: reads ranges of one version of an object. */
#include "faiss/store_file.h"

#include "base/alloc.h"

struct store_file {
    struct store *store;
    bool owned;
    uint8_t *key; /* key.len bytes, then the name and a NUL */
    size_t key_len;
    struct store_version version;
    struct store_bytes first; /* the object's first bytes; empty once the file is open */
};

static void free_store_file(void *ctx)
{
    struct store_file *file = ctx;
    store_bytes_release(&file->first);
    if (file->owned)
        store_free(file->store);
    mem_free(file->key);
    mem_free(file);
}

static void release_object(void *ctx, struct faiss_range *ranges, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        struct store_bytes bytes = {ranges[i].bytes, ranges[i].owner};
        store_bytes_release(&bytes);
        ranges[i].bytes = span_of(NULL, 0);
        ranges[i].owner = NULL;
    }
}

/* Answers a range from file->first. Returns false when these bytes do not hold the whole range. */
static bool answer_from_first(struct store_file *file, struct faiss_range *range)
{
    struct store_bytes part = file->first;
    if (!span_sub(file->first.span, range->offset, range->len, &part.span))
        return false;
    part = store_bytes_retain(part);
    range->bytes = part.span;
    range->owner = part.block;
    return true;
}

static enum dp_status read_object(struct call *call, void *ctx, struct faiss_range *ranges, size_t n)
{
    struct store_file *file = ctx;
    if (n == 1 && answer_from_first(file, ranges))
        return DP_OK;
    struct store_read_req *reqs = mem_calloc(n, sizeof *reqs);
    if (!reqs)
        return call_nomem(call, "the ranges of a FAISS file");
    for (size_t i = 0; i < n; i++)
        reqs[i] = (struct store_read_req){.key = span_of(file->key, file->key_len),
                                          .offset = ranges[i].offset,
                                          .len = (int64_t)ranges[i].len,
                                          .pinned = file->version.len > 0 ? &file->version : NULL};
    enum dp_status status = store_read(call, file->store, reqs, n);
    for (size_t i = 0; status == DP_OK && i < n; i++) {
        ranges[i].bytes = reqs[i].bytes.span;
        ranges[i].owner = reqs[i].bytes.block;
    }
    if (status != DP_OK)
        store_read_release(reqs, n);
    mem_free(reqs);
    return status;
}

/* Reads the object's first `first_bytes` bytes, or all when it has fewer. Keeps its version; sets *size. */
static enum dp_status read_object_head(struct call *call, struct store_file *file, size_t first_bytes,
                                       uint64_t *size)
{
    struct store_read_req req = {
        .key = span_of(file->key, file->key_len), .len = (int64_t)first_bytes, .clip = true};
    enum dp_status status = store_read(call, file->store, &req, 1);
    file->first = req.bytes;
    file->version = req.version;
    *size = req.size;
    return status;
}

enum dp_status faiss_store_reader(struct call *call, struct store *store, bool owned, struct span key,
                                  struct span name, size_t first_bytes, struct faiss_reader *out)
{
    struct store_file *file = mem_calloc(1, sizeof *file);
    uint8_t *text = mem_alloc(key.len + name.len + 1);
    *out = (struct faiss_reader){0};
    if (!file || !text) {
        mem_free(file);
        mem_free(text);
        if (owned)
            store_free(store);
        return call_nomem(call, "a FAISS file");
    }
    memcpy(text, key.data, key.len);
    if (name.len > 0)
        memcpy(text + key.len, name.data, name.len);
    text[key.len + name.len] = 0;
    *file = (struct store_file){.store = store, .owned = owned, .key = text, .key_len = key.len};
    *out = (struct faiss_reader){.read = read_object,
                                 .release = release_object,
                                 .free = free_store_file,
                                 .ctx = file,
                                 .name = (const char *)(text + key.len)};
    enum dp_status status = read_object_head(call, file, first_bytes, &out->size);
    out->version = span_of(file->version.token, file->version.len);
    if (status == DP_OK)
        return DP_OK;
    free_store_file(file);
    *out = (struct faiss_reader){0};
    return status;
}

void faiss_store_reader_opened(struct faiss_reader *reader)
{
    struct store_file *file = reader->ctx;
    store_bytes_release(&file->first);
}
