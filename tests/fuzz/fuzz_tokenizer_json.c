/* fuzz_tokenizer_json.c: any bytes as a tokenizer.json.
 *
 * Checked beyond memory safety: a refusal has a message. A tokenizer that opens also opens from its packed form,
 * gives equal encodings there, and gives only ids below its limit.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const texts[] = {"", "a ab abc [SEP]b  [MASK] foo Foo",
                                    "\xc3\x89t\xc3\xa9 \xe4\xb8\xad\xe6\x96\x87 \xff"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tokenizer *t = NULL, *twin = NULL;
    struct dp_error error = {.status = DP_OK};
    if (tokenizer_open(span_of(data, size), &t, &error)) {
        assert(!t && error.status != DP_OK && error.message[0]);
        assert(error.status != DP_CORRUPT); /* DP_CORRUPT is for packed forms only */
        return 0;
    }
    struct buffer packed;
    struct arena arena;
    buffer_init(&packed, 1 << 28);
    arena_init(&arena, 1 << 28);
    assert(tokenizer_serialize(t, &packed, &error) == DP_OK);
    assert(tokenizer_open_packed(buffer_span(&packed), &twin, &error) == DP_OK);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct tokens a, b;
        assert(tokenizer_encode(t, span_str(texts[i]), 0, &arena, &a, &error) == DP_OK);
        assert(tokenizer_encode(twin, span_str(texts[i]), 0, &arena, &b, &error) == DP_OK);
        assert(a.count == b.count && a.total == a.count);
        for (size_t k = 0; k < a.count; k++)
            assert(a.ids[k] == b.ids[k] && (uint32_t)a.ids[k] < tokenizer_id_limit(t));
    }
    arena_deinit(&arena);
    buffer_deinit(&packed);
    tokenizer_free(t);
    tokenizer_free(twin);
    return 0;
}
