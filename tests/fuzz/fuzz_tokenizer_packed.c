/* fuzz_tokenizer_packed.c: any bytes as a packed tokenizer, first unchanged, then with a correct magic, length
 * and checksum, so that the fuzzer gets past them. A tokenizer that opens must encode within bounds.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "embed/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "a ab abc [SEP]b  [MASK] foo Foo \xc3\x89t\xc3\xa9 \xe4\xb8\xad\xe6\x96\x87 \xff";

static void use(struct span packed)
{
    struct tokenizer *t = NULL;
    struct dp_error error;
    if (tokenizer_open_packed(packed, &t, &error)) {
        assert(!t && error.status == DP_CORRUPT);
        return;
    }
    struct arena arena;
    struct tokens k;
    arena_init(&arena, 1 << 24);
    if (tokenizer_encode(t, span_of(text, sizeof text - 1), 0, &arena, &k, &error) == DP_OK)
        for (size_t i = 0; i < k.count; i++) {
            struct span token;
            assert((uint32_t)k.ids[i] < tokenizer_id_limit(t));
            if (tokenizer_token(t, k.ids[i], &token))
                assert(token.len <= packed.len);
        }
    arena_deinit(&arena);
    tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    use(span_of(data, size));
    if (size < 80)
        return 0;
    uint8_t *copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    uint64_t length = size;
    memcpy(copy, "DPTOKEN1", 8);
    memcpy(copy + 16, &length, sizeof length);
    uint64_t sum = checksum64(span_of(copy + 16, size - 16));
    memcpy(copy + 8, &sum, sizeof sum);
    use(span_of(copy, size));
    free(copy);
    return 0;
}
