/* fuzz_safetensors.c: any bytes as a .safetensors file. The tensors of an accepted file lie inside it, and can
 * be found by name and read. The input is the header's JSON, a zero byte, and the data. The target puts the
 * header's length before it, so that the fuzzer need not find it. An input that begins with 0xff is a whole
 * file.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "embed/folder/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct span file)
{
    struct arena arena;
    struct safetensors st;
    struct dp_error error = {.status = DP_OK};
    arena_init(&arena, 1 << 24);
    if (safetensors_parse(file, &arena, &st, &error) != DP_OK) {
        assert(error.status != DP_OK && error.message[0]);
        arena_deinit(&arena);
        return;
    }
    for (size_t i = 0; i < st.count; i++) {
        const struct tensor *t = &st.tensors[i];
        float first, last;
        assert(t->data.len <= file.len);
        assert(t->data.len == 0 ||
               (t->data.data >= file.data && t->data.data + t->data.len <= file.data + file.len));
        if (t->count > 0) {
            tensor_read(t, 0, 1, &first, &error);
            tensor_read(t, t->count - 1, 1, &last, &error);
        }
        assert(tensor_read(t, t->count, 1, &first, &error) != DP_OK);
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 0xff) {
        check(span_of(data + 1, size - 1));
        return 0;
    }
    const uint8_t *end = size == 0 ? NULL : memchr(data, 0, size);
    uint64_t header = end == NULL ? size : (uint64_t)(end - data), rest = end == NULL ? 0 : size - header - 1;
    uint8_t *file = malloc(8 + header + rest);
    assert(file != NULL);
    memcpy(file, &header, 8);
    if (header > 0)
        memcpy(file + 8, data, header);
    if (rest > 0)
        memcpy(file + 8 + header, end + 1, rest);
    check(span_of(file, 8 + header + rest));
    free(file);
    return 0;
}
