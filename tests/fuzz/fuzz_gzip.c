/* fuzz_gzip.c: any bytes as a gzip stream, decompressed to at most 64 KiB. */
#include <stdlib.h>

#include "server/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 64 << 10 };
    struct dp_error error;
    struct buffer out;
    buffer_init(&out, MOST);
    inflate_gzip(span_of(data, size), &out, &error);
    if (out.len > MOST)
        abort();
    buffer_deinit(&out);
    return 0;
}
