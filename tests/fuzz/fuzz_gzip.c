/* fuzz_gzip.c: any bytes as a gzip or zstd stream (the first byte says which, and the size of the pieces), decompressed
 * to at most 64 KiB. */
#include <stdlib.h>

#include "server/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 64 << 10 };
    static struct byte_quota memory = {.max = 64 << 20}, disk = {.max = 1 << 20};
    struct dp_error error;
    struct arena arena;
    struct call call;
    struct request_body body;
    struct span out;
    if (size == 0)
        return 0;
    const bool large = data[0] & 2;
    const size_t piece = (size_t)(data[0] >> 2) + 1;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    request_body_init(&body, &memory, &disk);
    request_body_begin(&body, data[0] & 1 ? ENCODING_ZSTD : ENCODING_GZIP, MOST, large);
    bool good = size - 1 <= MOST;
    for (size_t at = 1; good && at < size; at += piece) {
        good =
            request_body_keep(&body, span_of(data + at, size - at < piece ? size - at : piece), &error) == DP_OK;
        if (good && large)
            good = request_body_store(&call, &body) == DP_OK;
    }
    if (good && request_body_finish(&call, &body, &out) == DP_OK && out.len > MOST)
        abort();
    request_body_deinit(&body);
    arena_deinit(&arena);
    if (atomic_load(&memory.held) || atomic_load(&disk.held))
        abort();
    return 0;
}
