/* packed_writer.c: quantises a model folder to int8 and writes its packed form.
 *
 * Every output channel of a matrix and every row of the word table has a scale, by which its largest absolute
 * value becomes 127 (symmetric, rounded to nearest). AVX2 adds up products in 16 bits, so the writer then lowers
 * those weights whose sums would overflow: a few in ten thousand. If a coarser scale for the whole channel (its
 * largest weight becomes less than 127) gives a smaller error, the writer takes that scale. Biases, norms and
 * positions stay fp32. The writer divides norms by the divisors of smoothing.h, and multiplies the matrices after
 * the norms by the same divisors. The bytes do not depend on the machine that packs.
 */
#include "embed/native/packed_writer.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "embed/native/smoothing.h"

/* Bounds of `steps`, the code that the largest absolute value of a row or a channel gets. */
enum { STEPS_MOST = 127, STEPS_LEAST = 63 };

static float greatest_size(const float *x, size_t count)
{
    float most = 0.0f;
    for (size_t i = 0; i < count; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    return most;
}

/* Writes q[i] = x[i] / scale, rounded, with the scale by which `most` becomes `steps`. Returns the scale. */
static float quantize_symmetric(const float *x, size_t count, float most, int steps, int8_t *q)
{
    float inverse = most > 1e-30f ? (float)steps / most : 0.0f;
    for (size_t i = 0; i < count; i++)
        q[i] = (int8_t)lrintf(x[i] * inverse);
    return most / (float)steps;
}

/* Lowers the largest absolute value by 1 until the sum of all `count` absolute values is at most `most`. Returns
 * whether it lowered any. */
static bool lower_sizes(int8_t *const *w, size_t count, int most)
{
    for (bool lowered = false;; lowered = true) {
        int8_t *largest = w[0];
        int sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += abs(*w[i]);
            if (abs(*w[i]) > abs(*largest))
                largest = w[i];
        }
        if (sum <= most)
            return lowered;
        *largest = (int8_t)(*largest > 0 ? *largest - 1 : *largest + 1);
    }
}

/* Lowers a channel's weights until they keep to INT8_PAIR_MOST and INT8_LANE_MOST. Returns whether it changed any.
 * k must be even. */
static bool keep_small(int8_t *w, size_t k)
{
    bool lowered = false;
    for (size_t i = 0; i < k; i += 2)
        if ((w[i] < 0) == (w[i + 1] < 0))
            lowered |= lower_sizes((int8_t *const[]){w + i, w + i + 1}, 2, INT8_PAIR_MOST);
    for (size_t chunk = 0; chunk < k; chunk += INT8_CHUNK)
        for (size_t lane = 0; lane < 2; lane++) {
            int8_t *meet[INT8_CHUNK / 2];
            size_t count = 0;
            for (size_t i = chunk; i < chunk + INT8_CHUNK && i < k; i++)
                if (i / 2 % 2 == lane)
                    meet[count++] = w + i;
            lowered |= count > 0 && lower_sizes(meet, count, INT8_LANE_MOST);
        }
    return lowered;
}

/* Quantises a channel of `count` weights into codes[k], with the scale of the least squared error. Leaves codes[count]
 * to codes[k - 1] alone; the caller has set them to 0. Returns the scale. */
static float quantize_channel(const float *x, size_t count, size_t k, int8_t *codes)
{
    float most = greatest_size(x, count);
    float scale = 0.0f;
    int nearest = STEPS_MOST, steps = STEPS_MOST;
    double least = INFINITY;
    for (;; steps -= 8) {
        scale = quantize_symmetric(x, count, most, steps, codes);
        bool lowered = keep_small(codes, k);
        double error = 0.0;
        for (size_t i = 0; i < count; i++) {
            double off = (double)x[i] - (double)scale * codes[i];
            error += off * off;
        }
        if (error < least) {
            least = error;
            nearest = steps;
        }
        if (!lowered || steps == STEPS_LEAST)
            break;
    }
    if (nearest != steps) {
        scale = quantize_symmetric(x, count, most, nearest, codes);
        keep_small(codes, k);
    }
    return scale;
}

static enum dp_status write_words(const struct model_source *s, struct buffer *out, struct buffer *scales,
                                  struct dp_error *error)
{
    size_t hidden = s->config.hidden;
    float *row = mem_alloc(hidden * sizeof *row);
    if (!row)
        return dp_fail_nomem(error, "a word's embedding");
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->config.vocab && status == DP_OK; i++) {
        uint8_t *codes = buffer_reserve(out, hidden);
        if (!codes)
            break; /* the buffer remembers the failure */
        status = model_source_words(s, i, 1, row, error);
        if (status != DP_OK)
            break;
        buffer_f32(scales,
                   quantize_symmetric(row, hidden, greatest_size(row, hidden), STEPS_MOST, (int8_t *)codes));
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
    if (!positions)
        return dp_fail_nomem(error, "the position embeddings");
    enum dp_status status = model_source_positions(s, positions, error);
    if (status == DP_OK)
        write_floats(out, positions, count);
    mem_free(positions);
    return status;
}

/* The divisors around a norm.
 *
 *   before  divisors of the residual stream that the norm adds; NULL: it adds none
 *   behind  divisors of its output; NULL: the model's last norm, whose output becomes the vectors */
struct around_norm {
    const float *before, *behind;
};

/* Writes a norm of a layer; layer -1: the norm of the embeddings. */
static enum dp_status write_norm(const struct model_source *s, int layer, enum norm_kind kind,
                                 struct around_norm around, struct buffer *out, struct dp_error *error)
{
    size_t hidden = s->config.hidden;
    float *norm = mem_alloc(2 * hidden * sizeof *norm);
    if (!norm)
        return dp_fail_nomem(error, "a norm");
    enum dp_status status = layer < 0 ? model_source_embedding_norm(s, norm, norm + hidden, error)
                                      : model_source_norm(s, (unsigned)layer, kind, norm, norm + hidden, error);
    if (status == DP_OK) {
        for (size_t i = 0; i < 2 * hidden && around.behind; i++)
            norm[i] /= around.behind[i % hidden];
        write_floats(out, norm, 2 * hidden);
        if (around.before)
            write_floats(out, around.before, hidden);
    }
    mem_free(norm);
    return status;
}

/* Writes a matrix as codes, scales, sums and bias. smooth: [k], factors of the input channels, or NULL. */
static enum dp_status write_dense(const struct model_source *s, unsigned layer, enum dense_kind kind,
                                  const float *smooth, const struct packed_section *what, struct buffer *out,
                                  struct dp_error *error)
{
    size_t n, k, padded = what->n;
    dense_shape(&s->config, kind, &n, &k);
    enum dp_status status = DP_OK;
    float *weight = mem_alloc(n * k * sizeof *weight), *rows = mem_calloc(3 * padded, sizeof *rows);
    int8_t *codes = mem_calloc(what->k, 1);
    float *scale = rows, *sum = !rows ? NULL : rows + padded, *bias = !rows ? NULL : rows + 2 * padded;
    if (!weight || !rows || !codes) {
        status = dp_fail_nomem(error, "a matrix");
        goto out;
    }
    status = model_source_dense(s, layer, kind, weight, bias, error);
    if (status != DP_OK)
        goto out;
    size_t at = out->len;
    buffer_append_zeros(out, padded * what->k);
    if (out->status != DP_OK)
        goto out; /* the buffer remembers the failure */
    for (size_t c = 0; c < n; c++) {
        for (size_t i = 0; i < k && smooth; i++)
            weight[c * k + i] *= smooth[i];
        scale[c] = quantize_channel(weight + c * k, k, what->k, codes);
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

static enum dp_status write_prompts(const struct model_source *s, struct buffer *out, struct dp_error *error)
{
    struct prompts bounded; /* prompts_copy refuses prompts that are too long for prompts_read */
    enum dp_status status = prompts_copy(&s->prompts, &bounded, error);
    if (status != DP_OK)
        return status;
    prompts_write(&bounded, out);
    prompts_free(&bounded);
    return DP_OK;
}

static enum dp_status write_section(const struct model_source *s, const struct smoothing *smoothing, size_t index,
                                    const struct packed_section *what, struct span tokenizer,
                                    struct buffer *scales, struct buffer *out, struct dp_error *error)
{
    const float *first = smoothing_of(smoothing, 0, STREAM_QKV);
    switch (index) {
    case 0: buffer_append(out, tokenizer); return DP_OK;
    case 1: return write_words(s, out, scales, error);
    case 2: buffer_append(out, buffer_span(scales)); return DP_OK;
    case 3: return write_positions(s, out, error);
    case 4: return write_norm(s, -1, NORM_ATTENTION, (struct around_norm){NULL, first}, out, error);
    case 5: return write_prompts(s, out, error);
    default: break;
    }
    unsigned layer = (unsigned)((index - PACKED_SECTIONS_FIRST) / PACKED_SECTIONS_LAYER);
    const float *qkv = smoothing_of(smoothing, layer, STREAM_QKV),
                *ffn_in = smoothing_of(smoothing, layer, STREAM_FFN_IN),
                *next = layer + 1 < s->config.layers ? smoothing_of(smoothing, layer + 1, STREAM_QKV) : NULL;
    switch ((index - PACKED_SECTIONS_FIRST) % PACKED_SECTIONS_LAYER) {
    case 0: return write_dense(s, layer, DENSE_QKV, qkv, what, out, error);
    case 1: return write_dense(s, layer, DENSE_ATTENTION_OUT, NULL, what, out, error);
    case 2: return write_norm(s, (int)layer, NORM_ATTENTION, (struct around_norm){qkv, ffn_in}, out, error);
    case 3: return write_dense(s, layer, DENSE_FFN_IN, ffn_in, what, out, error);
    case 4: return write_dense(s, layer, DENSE_FFN_OUT, NULL, what, out, error);
    default: return write_norm(s, (int)layer, NORM_FFN, (struct around_norm){ffn_in, next}, out, error);
    }
}

static void write_header(const struct model_source *s, uint64_t file_bytes, struct span table,
                         struct buffer *header)
{
    const struct bert_config *c = &s->config;
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
    const struct bert_config *c = &source->config;
    size_t start = out->len, header_bytes = packed_header_bytes(c);
    struct buffer scales, table, header;
    struct smoothing smoothing;
    enum dp_status status = smoothing_find(source, &smoothing, error);
    if (status != DP_OK)
        return status;
    buffer_init(&scales, (size_t)c->vocab * 4);
    buffer_init(&table, packed_section_count(c) * PACKED_ENTRY_BYTES);
    buffer_init(&header, header_bytes);

    buffer_append_zeros(out, header_bytes);
    for (size_t i = 0; i < packed_section_count(c); i++) {
        struct packed_section what = packed_section(c, i);
        buffer_align(out, PACKED_ALIGN);
        size_t at = out->len;
        status = write_section(source, &smoothing, i, &what, tokenizer, &scales, out, error);
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
    smoothing_free(&smoothing);
    buffer_deinit(&scales);
    buffer_deinit(&table);
    buffer_deinit(&header);
    return status;
}
