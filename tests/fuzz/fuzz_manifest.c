/* fuzz_manifest.c: any bytes as a manifest, with and without a fitting checksum. A manifest that parses is printed,
 * and its text parses to an equal one.
 */
#include <stdlib.h>

#include "index/manifest/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(struct span bytes)
{
    struct manifest m, again;
    struct buffer out;
    struct dp_error error;
    if (manifest_parse(bytes, &m, &error) != DP_OK)
        return;
    buffer_init(&out, (size_t)2 * MANIFEST_BYTES_MAX);
    if (manifest_write(&m, &out, &error) == DP_OK) {
        struct buffer second;
        if (manifest_parse(buffer_span(&out), &again, &error) != DP_OK)
            abort();
        buffer_init(&second, (size_t)2 * MANIFEST_BYTES_MAX);
        if (manifest_write(&again, &second, &error) != DP_OK ||
            !span_equal(buffer_span(&out), buffer_span(&second)))
            abort();
        buffer_deinit(&second);
        manifest_deinit(&again);
    }
    buffer_deinit(&out);
    manifest_deinit(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer fixed;
    struct span bytes = span_of(data, size);
    parse(bytes);
    /* The seeds are whole manifests. A mutation of the part before the tail gets a fitting checksum. */
    if (size >= MANIFEST_TAIL_LEN)
        bytes.len -= MANIFEST_TAIL_LEN;
    buffer_init(&fixed, MANIFEST_BYTES_MAX);
    buffer_append(&fixed, bytes);
    if (fixed.status == DP_OK && fixed.len)
        manifest_put_checksum(&fixed, 0);
    if (fixed.status == DP_OK)
        parse(buffer_span(&fixed));
    buffer_deinit(&fixed);
    return 0;
}
