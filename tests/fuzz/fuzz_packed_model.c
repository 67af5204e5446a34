/* fuzz_packed_model.c: any bytes as a packed model. Checksums refuse nearly all inputs, so an input whose first
 * byte is odd first gets a correct length and correct checksums of the parts in its table. A model that opens
 * must embed a text without leaving its memory.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "embed/native/packed_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, 8);
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
}

/* Corrects the checksums of the header and of each section that lies inside the bytes. */
static void mend(uint8_t *bytes, size_t len)
{
    uint32_t header_bytes;
    if (len < PACKED_FIXED_BYTES + 8)
        return;
    memcpy(bytes, PACKED_MAGIC, 8);
    memcpy(&header_bytes, bytes + 12, 4);
    put_u64(bytes + 16, len);
    if (header_bytes < PACKED_FIXED_BYTES + 8 || header_bytes > len)
        return;
    for (size_t at = PACKED_FIXED_BYTES; at + PACKED_ENTRY_BYTES <= header_bytes - 8; at += PACKED_ENTRY_BYTES) {
        struct span section;
        if (span_sub(span_of(bytes, len), get_u64(bytes + at), get_u64(bytes + at + 8), &section))
            put_u64(bytes + at + 16, checksum64(section));
    }
    put_u64(bytes + header_bytes - 8, checksum64(span_of(bytes, header_bytes - 8)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t len = size - 1;
    uint8_t *bytes = aligned_alloc(PACKED_ALIGN, (len + PACKED_ALIGN) / PACKED_ALIGN * PACKED_ALIGN);
    assert(bytes != NULL);
    memcpy(bytes, data + 1, len);
    if (data[0] & 1)
        mend(bytes, len);

    struct packed_model model;
    struct dp_error error = {.status = DP_OK};
    if (packed_model_open(span_of(bytes, len), &model, &error) != DP_OK) {
        assert(error.status != DP_OK && error.message[0]);
        free(bytes);
        return 0;
    }
    const struct bert_config *c = &model.encoder.config;
    int32_t ids[3] = {0, (int32_t)(c->vocab - 1), 0};
    size_t count = c->max_tokens < 3 ? c->max_tokens : 3;
    float *out = calloc(c->hidden, sizeof *out);
    void *w = encoder_workspace_new(&model.encoder, count);
    assert(out != NULL && w != NULL);
    encoder_run(&model.encoder, NULL, &w, &(struct engine_item){ids, count, out, 0}, 1);
    encoder_workspace_free(w);
    free(out);
    packed_model_close(&model);
    free(bytes);
    return 0;
}
