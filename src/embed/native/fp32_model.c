/* fp32_model.c: lays a folder's weights out for the fp32 kernels.
 *
 * One allocation holds every array: word and position tables, then layer by layer each matrix as panels
 * [n/64][k][64] with its bias, and the norms.
 */
#include "embed/native/fp32_model.h"

#include <string.h>

#include "base/alloc.h"
#include "os/huge.h"

/* Returns the number of floats of one dense layer: its panels and its bias. */
static size_t dense_floats(const struct bert_config *c, enum dense_kind kind)
{
    size_t n, k;
    dense_shape(c, kind, &n, &k);
    return encoder_stride(n) * k + encoder_stride(n);
}

static size_t all_floats(const struct bert_config *c)
{
    size_t norm = 2 * encoder_stride(c->hidden), layer = 2 * norm;
    for (int kind = 0; kind < DENSE_KINDS; kind++)
        layer += dense_floats(c, (enum dense_kind)kind);
    return encoder_stride((size_t)c->vocab * c->hidden) + encoder_stride((size_t)c->max_tokens * c->hidden) +
           norm + c->layers * layer;
}

/* Hands out the next `count` floats, rounded up to whole cache lines. */
static float *take_array(float **next, size_t count)
{
    float *taken = *next;
    *next += encoder_stride(count);
    return taken;
}

/* Reads a dense layer and lays it out as panels. scratch: room for the floats of the layer's matrix. */
static enum dp_status lay_out_dense(const struct model_source *s, unsigned layer, enum dense_kind kind,
                                    float *scratch, float **next, struct fp32_linear *out, struct dp_error *error)
{
    size_t n, k;
    dense_shape(&s->config, kind, &n, &k);
    float *w = take_array(next, encoder_stride(n) * k), *bias = take_array(next, n);
    *out = (struct fp32_linear){encoder_stride(n), k, w, bias};
    enum dp_status status = model_source_dense(s, layer, kind, scratch, bias, error);
    if (status != DP_OK)
        return status;
    for (size_t c = 0; c < n; c++) {
        float *panel = w + c / ENCODER_BLOCK_N * ENCODER_BLOCK_N * k + c % ENCODER_BLOCK_N;
        for (size_t i = 0; i < k; i++)
            panel[i * ENCODER_BLOCK_N] = scratch[c * k + i];
    }
    return DP_OK;
}

static enum dp_status read_layer(const struct model_source *s, unsigned index, float *scratch, float **next,
                                 struct encoder_layer *layer, struct dp_error *error)
{
    union dense_layer *dense[] = {
        [DENSE_QKV] = &layer->qkv,
        [DENSE_ATTENTION_OUT] = &layer->attention_out,
        [DENSE_FFN_IN] = &layer->ffn_in,
        [DENSE_FFN_OUT] = &layer->ffn_out,
    };
    struct norm_weights *norms[] = {[NORM_ATTENTION] = &layer->attention_norm, [NORM_FFN] = &layer->ffn_norm};
    for (int kind = 0; kind < DENSE_KINDS; kind++) {
        enum dp_status status =
            lay_out_dense(s, index, (enum dense_kind)kind, scratch, next, &dense[kind]->fp32, error);
        if (status != DP_OK)
            return status;
    }
    for (int kind = 0; kind < NORM_KINDS; kind++) {
        float *gamma = take_array(next, s->config.hidden), *beta = take_array(next, s->config.hidden);
        *norms[kind] = (struct norm_weights){gamma, beta, NULL};
        enum dp_status status = model_source_norm(s, index, (enum norm_kind)kind, gamma, beta, error);
        if (status != DP_OK)
            return status;
    }
    return DP_OK;
}

enum dp_status fp32_model_open(const struct model_source *source, struct fp32_model *out, struct dp_error *error)
{
    const struct bert_config *c = &source->config;
    struct encoder *e = &out->encoder;
    size_t bytes = all_floats(c) * sizeof(float), largest = 0;
    for (int kind = 0; kind < DENSE_KINDS; kind++) {
        size_t floats = dense_floats(c, (enum dense_kind)kind);
        largest = floats > largest ? floats : largest;
    }
    memset(out, 0, sizeof *out);
    e->config = *c;
    float *scratch = mem_alloc(largest * sizeof *scratch);
    e->layers = mem_calloc(c->layers, sizeof *e->layers);
    out->memory = os_huge_alloc(bytes);
    enum dp_status status = DP_OK;
    if (!scratch || !e->layers || !out->memory) {
        status = dp_fail_nomem(error, "a model");
        goto out;
    }
    memset(out->memory, 0, bytes); /* the columns that fill up a panel must be zero */

    float *next = out->memory;
    float *words = take_array(&next, (size_t)c->vocab * c->hidden);
    float *positions = take_array(&next, (size_t)c->max_tokens * c->hidden);
    float *gamma = take_array(&next, c->hidden), *beta = take_array(&next, c->hidden);
    e->words_fp32 = words;
    e->positions = positions;
    e->embedding_norm = (struct norm_weights){gamma, beta, NULL};
    status = model_source_words(source, 0, c->vocab, words, error);
    if (status == DP_OK)
        status = model_source_positions(source, positions, error);
    if (status == DP_OK)
        status = model_source_embedding_norm(source, gamma, beta, error);
    for (unsigned l = 0; l < c->layers && status == DP_OK; l++)
        status = read_layer(source, l, scratch, &next, &e->layers[l], error);
out:
    mem_free(scratch);
    if (status != DP_OK)
        fp32_model_close(out);
    return status;
}

void fp32_model_close(struct fp32_model *m)
{
    mem_free(m->memory);
    mem_free(m->encoder.layers);
    memset(m, 0, sizeof *m);
}
