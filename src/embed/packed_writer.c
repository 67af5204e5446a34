/* packed_writer.c: quantises a model folder to int8 and writes its packed form.
 *
 * Every output channel of a matrix, and every row of the word table, gets its own scale: the largest size in
 * it becomes 127 (symmetric, rounded to nearest). Biases, norms and positions stay fp32. The arithmetic is
 * plain C, so the bytes do not depend on the machine that packs.
 */
#include <math.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "embed/packed_model.h"

/* q[i] = x[i] / scale, |q| <= 127; answers the scale. */
static float quantize_symmetric(const float *x, size_t count, int8_t *q)
{
    float most = 0.0f;
    for (size_t i = 0; i < count; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    float inverse = most > 1e-30f ? 127.0f / most : 0.0f;
    for (size_t i = 0; i < count; i++)
        q[i] = (int8_t)lrintf(x[i] * inverse);
    return most / 127.0f;
}

static enum dp_status write_words(const struct model_source *s, struct buffer *out, struct buffer *scales,
                                  struct dp_error *error)
{
    size_t hidden = s->config.hidden;
    float *row = mem_alloc(hidden * sizeof *row);
    if (row == NULL)
        return dp_fail_nomem(error, "a word's embedding");
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->config.vocab && status == DP_OK; i++) {
        uint8_t *codes = buffer_reserve(out, hidden);
        if (codes == NULL)
            break; /* remembered by the buffer */
        status = model_source_words(s, i, 1, row, error);
        if (status != DP_OK)
            break;
        buffer_f32(scales, quantize_symmetric(row, hidden, (int8_t *)codes));
        out->len += hidden;
    }
    mem_free(row);
    return status;
}

static void write_floats(struct buffer *out, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_f32(out, x[i]);
}

static enum dp_status write_positions(const struct model_source *s, struct buffer *out, struct dp_error *error)
{
    size_t count = (size_t)s->config.max_tokens * s->config.hidden;
    float *positions = mem_alloc(count * sizeof *positions);
    if (positions == NULL)
        return dp_fail_nomem(error, "the position embeddings");
    enum dp_status status = model_source_positions(s, positions, error);
    if (status == DP_OK)
        write_floats(out, positions, count);
    mem_free(positions);
    return status;
}

/* layer -1: the norm behind the embeddings. */
static enum dp_status write_norm(const struct model_source *s, int layer, enum norm_kind kind, struct buffer *out,
                                 struct dp_error *error)
{
    size_t hidden = s->config.hidden;
    float *norm = mem_alloc(2 * hidden * sizeof *norm);
    if (norm == NULL)
        return dp_fail_nomem(error, "a norm");
    enum dp_status status = layer < 0 ? model_source_embedding_norm(s, norm, norm + hidden, error)
                                      : model_source_norm(s, (unsigned)layer, kind, norm, norm + hidden, error);
    if (status == DP_OK)
        write_floats(out, norm, 2 * hidden);
    mem_free(norm);
    return status;
}

static enum dp_status write_dense(const struct model_source *s, unsigned layer, enum dense_kind kind,
                                  const struct packed_section *what, struct buffer *out, struct dp_error *error)
{
    size_t n, k, padded = what->n;
    dense_shape(&s->config, kind, &n, &k);
    enum dp_status status = DP_OK;
    float *weight = mem_alloc(n * k * sizeof *weight), *rows = mem_calloc(3 * padded, sizeof *rows);
    int8_t *codes = mem_alloc(k);
    float *scale = rows, *sum = rows == NULL ? NULL : rows + padded,
          *bias = rows == NULL ? NULL : rows + 2 * padded;
    if (weight == NULL || rows == NULL || codes == NULL) {
        status = dp_fail_nomem(error, "a matrix");
        goto out;
    }
    status = model_source_dense(s, layer, kind, weight, bias, error);
    if (status != DP_OK)
        goto out;
    size_t at = out->len;
    buffer_append_zeros(out, padded * what->k);
    if (out->status != DP_OK)
        goto out; /* remembered by the buffer */
    for (size_t c = 0; c < n; c++) {
        scale[c] = quantize_symmetric(weight + c * k, k, codes);
        uint8_t *panel = out->data + at + c / ENCODER_BLOCK_N * ENCODER_BLOCK_N * what->k;
        for (size_t i = 0; i < k; i++) {
            panel[(i / ENCODER_BLOCK_K * ENCODER_BLOCK_N + c % ENCODER_BLOCK_N) * ENCODER_BLOCK_K +
                  i % ENCODER_BLOCK_K] = (uint8_t)codes[i];
            sum[c] += (float)codes[i];
        }
    }
    write_floats(out, rows, 3 * padded);
out:
    mem_free(weight);
    mem_free(rows);
    mem_free(codes);
    return status;
}

static enum dp_status write_section(const struct model_source *s, size_t index, const struct packed_section *what,
                                    struct span tokenizer, struct buffer *scales, struct buffer *out,
                                    struct dp_error *error)
{
    switch (index) {
    case 0: buffer_append(out, tokenizer); return DP_OK;
    case 1: return write_words(s, out, scales, error);
    case 2: buffer_append(out, buffer_span(scales)); return DP_OK;
    case 3: return write_positions(s, out, error);
    case 4: return write_norm(s, -1, NORM_ATTENTION, out, error);
    default: break;
    }
    unsigned layer = (unsigned)((index - PACKED_SECTIONS_FIRST) / PACKED_SECTIONS_LAYER);
    switch ((index - PACKED_SECTIONS_FIRST) % PACKED_SECTIONS_LAYER) {
    case 0: return write_dense(s, layer, DENSE_QKV, what, out, error);
    case 1: return write_dense(s, layer, DENSE_ATTENTION_OUT, what, out, error);
    case 2: return write_norm(s, (int)layer, NORM_ATTENTION, out, error);
    case 3: return write_dense(s, layer, DENSE_FFN_IN, what, out, error);
    case 4: return write_dense(s, layer, DENSE_FFN_OUT, what, out, error);
    default: return write_norm(s, (int)layer, NORM_FFN, out, error);
    }
}

static void write_header(const struct model_source *s, uint64_t file_bytes, struct span table,
                         struct buffer *header)
{
    const struct model_config *c = &s->config;
    uint32_t name_len = (uint32_t)strlen(s->name);
    buffer_append_str(header, PACKED_MAGIC);
    buffer_u32(header, PACKED_VERSION);
    buffer_u32(header, (uint32_t)packed_header_bytes(c));
    buffer_u64(header, file_bytes);
    buffer_u32(header, (uint32_t)packed_section_count(c));
    buffer_u32(header, 0);
    buffer_append(header, span_of(s->fingerprint, 32));
    buffer_u32(header, c->hidden);
    buffer_u32(header, c->layers);
    buffer_u32(header, c->heads);
    buffer_u32(header, c->intermediate);
    buffer_u32(header, c->vocab);
    buffer_u32(header, c->max_tokens);
    buffer_f32(header, c->epsilon);
    buffer_u32(header, (uint32_t)c->pooling);
    buffer_u32(header, c->normalize);
    buffer_u32(header, name_len);
    buffer_append(header, span_of(s->name, name_len));
    buffer_append_zeros(header, MODEL_NAME_MAX - name_len);
    buffer_append(header, table);
    if (header->status != DP_OK)
        return;
    buffer_append_zeros(header, packed_header_bytes(c) - 8 - header->len);
    if (header->status == DP_OK)
        buffer_u64(header, checksum64(buffer_span(header)));
}

enum dp_status packed_model_write(const struct model_source *source, struct span tokenizer, struct buffer *out,
                                  struct dp_error *error)
{
    const struct model_config *c = &source->config;
    size_t start = out->len, header_bytes = packed_header_bytes(c);
    struct buffer scales, table, header;
    buffer_init(&scales, (size_t)c->vocab * 4);
    buffer_init(&table, packed_section_count(c) * PACKED_ENTRY_BYTES);
    buffer_init(&header, header_bytes);
    enum dp_status status = DP_OK;

    buffer_append_zeros(out, header_bytes);
    for (size_t i = 0; i < packed_section_count(c); i++) {
        struct packed_section what = packed_section(c, i);
        buffer_align(out, PACKED_ALIGN);
        size_t at = out->len;
        status = write_section(source, i, &what, tokenizer, &scales, out, error);
        if (status != DP_OK)
            goto out;
        status = buffer_check(out, "a packed model", error);
        if (status == DP_OK)
            status = buffer_check(&scales, "a packed model", error);
        if (status != DP_OK)
            goto out;
        struct span section = span_of(out->data + at, out->len - at);
        buffer_u64(&table, at - start);
        buffer_u64(&table, section.len);
        buffer_u64(&table, checksum64(section));
    }
    buffer_align(out, PACKED_ALIGN);
    write_header(source, out->len - start, buffer_span(&table), &header);
    status = buffer_check(out, "a packed model", error);
    if (status == DP_OK)
        status = buffer_check(&table, "a packed model", error);
    if (status == DP_OK)
        status = buffer_check(&header, "a packed model", error);
    if (status == DP_OK)
        memcpy(out->data + start, header.data, header.len);
out:
    buffer_deinit(&scales);
    buffer_deinit(&table);
    buffer_deinit(&header);
    return status;
}
