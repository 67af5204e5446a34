/* encoder.c: runs the BERT encoder (Devlin et al. 2018; Vaswani et al. 2017 for the layers).
 *
 * All texts of a run lie end to end in one matrix of rows, without padding. Linear layers and norms work on
 * blocks of rows, small enough that a block's feed-forward activations stay in the L2 cache while the weights
 * stream by; attention works per text and head. In int8 each row is quantised right before the layer that
 * multiplies it, so only the products are int8: sums, norms, attention and pooling are fp32.
 */
#include "embed/encoder.h"

#include <math.h>

#include "base/alloc.h"
#include "simd/simd.h"

enum { BLOCK_ROWS = 48 }; /* a multiple of the kernels' row tiles */

struct encoder_workspace {
    size_t rows;
    float *hidden;          /* [rows][stride(hidden)]: the residual stream */
    float *qkv;             /* [rows][stride(3 hidden)] */
    float *context;         /* [rows][stride(hidden)]: what attention gathered */
    float *wide;            /* [BLOCK_ROWS][stride(intermediate)] */
    float *narrow;          /* [BLOCK_ROWS][stride(hidden)] */
    float *head;            /* attention's scratch */
    uint8_t *q;             /* [BLOCK_ROWS][depth of the widest layer] */
    float *q_scale, *q_low; /* [BLOCK_ROWS] */
    uint8_t memory[];
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

struct encoder_workspace *encoder_workspace_new(const struct encoder *encoder, size_t rows)
{
    const struct model_config *c = &encoder->config;
    size_t narrow = encoder_stride(c->hidden), qkv = encoder_stride((size_t)3 * c->hidden),
           wide = encoder_stride(c->intermediate),
           depth = larger(encoder_depth(c->hidden), encoder_depth(c->intermediate));
    size_t head = attention_scratch(larger(rows, 1), c->hidden / c->heads);
    /* Sizes in floats, each a whole number of cache lines. Bounds: rows <= 8192 and the limits of
     * model_config.h keep every product far below SIZE_MAX. */
    size_t sizes[] = {rows * narrow,
                      rows * qkv,
                      rows * narrow,
                      BLOCK_ROWS * wide,
                      BLOCK_ROWS * narrow,
                      encoder_stride(head),
                      encoder_stride((BLOCK_ROWS * depth + 3) / 4),
                      encoder_stride(BLOCK_ROWS),
                      encoder_stride(BLOCK_ROWS)};
    size_t total = 0, parts = sizeof sizes / sizeof *sizes;
    for (size_t i = 0; i < parts; i++)
        total += sizes[i];
    size_t header = (sizeof(struct encoder_workspace) + 63) / 64 * 64;
    struct encoder_workspace *w = mem_aligned_alloc(64, header + total * sizeof(float));
    if (w == NULL)
        return NULL;
    /* Columns past a layer's width are multiplied by zero weights: they must be numbers. */
    memset(w, 0, header + total * sizeof(float));
    float *at[sizeof sizes / sizeof *sizes];
    at[0] = (float *)(void *)((uint8_t *)w + header);
    for (size_t i = 1; i < parts; i++)
        at[i] = at[i - 1] + sizes[i - 1];
    w->rows = rows;
    w->hidden = at[0];
    w->qkv = at[1];
    w->context = at[2];
    w->wide = at[3];
    w->narrow = at[4];
    w->head = at[5];
    w->q = (uint8_t *)at[6];
    w->q_scale = at[7];
    w->q_low = at[8];
    return w;
}

void encoder_workspace_free(struct encoder_workspace *w)
{
    mem_free(w);
}

/* What a run carries through its steps. */
struct run {
    const struct encoder *encoder;
    const struct encoder_kernels *kernels;
    struct encoder_workspace *w;
    size_t hidden_stride, qkv_stride, wide_stride;
};

/* out = act(x W + b) for a block of at most BLOCK_ROWS rows of `width` floats. */
static void dense(const struct run *run, const float *x, size_t x_stride, size_t rows, size_t width,
                  const union dense_layer *layer, enum encoder_activation act, float *out, size_t out_stride)
{
    struct encoder_workspace *w = run->w;
    if (!run->encoder->int8) {
        run->kernels->linear_fp32(x, x_stride, rows, &layer->fp32, 0, layer->fp32.n / ENCODER_BLOCK_N, act, out,
                                  out_stride);
        return;
    }
    struct u8_rows quantized = {layer->int8.k, w->q, w->q_scale, w->q_low};
    for (size_t r = 0; r < rows; r++) {
        uint8_t *q = w->q + r * quantized.k;
        struct float_range range = run->kernels->range(x + r * x_stride, width);
        w->q_low[r] = range.least;
        w->q_scale[r] = run->kernels->quantize(x + r * x_stride, width, range, q);
        memset(q + width, 0, quantized.k - width);
    }
    run->kernels->linear_int8(&quantized, rows, &layer->int8, 0, layer->int8.n / ENCODER_BLOCK_N, act, out,
                              out_stride);
}

/* x = layer_norm(x + y) for a block of rows of the residual stream. */
static void add_norm(const struct run *run, float *x, const float *y, size_t rows, const struct norm_weights *norm)
{
    for (size_t r = 0; r < rows; r++)
        run->kernels->add_layer_norm(x + r * run->hidden_stride, y == NULL ? NULL : y + r * run->hidden_stride,
                                     norm->gamma, norm->beta, run->encoder->config.epsilon,
                                     run->encoder->config.hidden, x + r * run->hidden_stride);
}

/* The sum of word, position and type embeddings of each token, normalised. */
static void embed_tokens(const struct run *run, const struct encoder_item *item, float *x)
{
    const struct encoder *e = run->encoder;
    size_t hidden = e->config.hidden;
    for (size_t t = 0; t < item->count; t++) {
        size_t id = (size_t)item->ids[t];
        float *row = x + t * run->hidden_stride;
        const float *position = e->positions + t * hidden;
        if (e->int8)
            run->kernels->add_int8_row(e->words_int8 + id * hidden, e->words_scale[id], position, hidden, row);
        else
            for (size_t i = 0; i < hidden; i++)
                row[i] = e->words_fp32[id * hidden + i] + position[i];
    }
    add_norm(run, x, NULL, item->count, &e->embedding_norm);
}

static void attend(const struct run *run, const struct encoder_item *items, size_t n)
{
    const struct model_config *c = &run->encoder->config;
    size_t first = 0, head_dim = c->hidden / c->heads;
    for (size_t i = 0; i < n; i++) {
        for (size_t h = 0; h < c->heads; h++) {
            const float *q = run->w->qkv + first * run->qkv_stride + h * head_dim;
            run->kernels->attention(&(struct attention_head){
                .tokens = items[i].count,
                .head_dim = head_dim,
                .scale = 1.0f / sqrtf((float)head_dim),
                .q = q,
                .k = q + c->hidden,
                .v = q + (size_t)2 * c->hidden,
                .stride = run->qkv_stride,
                .out = run->w->context + first * run->hidden_stride + h * head_dim,
                .out_stride = run->hidden_stride,
                .scratch = run->w->head,
            });
        }
        first += items[i].count;
    }
}

static void run_layer(const struct run *run, const struct encoder_layer *layer, const struct encoder_item *items,
                      size_t n, size_t rows)
{
    struct encoder_workspace *w = run->w;
    size_t hidden = run->encoder->config.hidden, intermediate = run->encoder->config.intermediate;
    for (size_t r = 0; r < rows; r += BLOCK_ROWS) {
        size_t block = rows - r < BLOCK_ROWS ? rows - r : BLOCK_ROWS;
        dense(run, w->hidden + r * run->hidden_stride, run->hidden_stride, block, hidden, &layer->qkv,
              ENCODER_LINEAR, w->qkv + r * run->qkv_stride, run->qkv_stride);
    }
    attend(run, items, n);
    for (size_t r = 0; r < rows; r += BLOCK_ROWS) {
        size_t block = rows - r < BLOCK_ROWS ? rows - r : BLOCK_ROWS;
        float *x = w->hidden + r * run->hidden_stride;
        dense(run, w->context + r * run->hidden_stride, run->hidden_stride, block, hidden, &layer->attention_out,
              ENCODER_LINEAR, w->narrow, run->hidden_stride);
        add_norm(run, x, w->narrow, block, &layer->attention_norm);
        dense(run, x, run->hidden_stride, block, hidden, &layer->ffn_in, ENCODER_GELU, w->wide, run->wide_stride);
        dense(run, w->wide, run->wide_stride, block, intermediate, &layer->ffn_out, ENCODER_LINEAR, w->narrow,
              run->hidden_stride);
        add_norm(run, x, w->narrow, block, &layer->ffn_norm);
    }
}

static void pool(const struct run *run, const float *x, size_t tokens, float *out)
{
    size_t hidden = run->encoder->config.hidden;
    switch (run->encoder->config.pooling) {
    case POOLING_MEAN: run->kernels->mean_rows(x, run->hidden_stride, tokens, hidden, out); break;
    case POOLING_CLS: memcpy(out, x, hidden * sizeof *out); break;
    case POOLING_LAST: memcpy(out, x + (tokens - 1) * run->hidden_stride, hidden * sizeof *out); break;
    case POOLING_MAX:
        for (size_t i = 0; i < hidden; i++) {
            out[i] = x[i];
            for (size_t t = 1; t < tokens; t++)
                out[i] = x[t * run->hidden_stride + i] > out[i] ? x[t * run->hidden_stride + i] : out[i];
        }
        break;
    }
}

void encoder_run(const struct encoder *encoder, struct encoder_workspace *w, const struct encoder_item *items,
                 size_t n)
{
    const struct model_config *c = &encoder->config;
    const struct run run = {encoder,
                            simd_ops()->encoder,
                            w,
                            encoder_stride(c->hidden),
                            encoder_stride((size_t)3 * c->hidden),
                            encoder_stride(c->intermediate)};
    size_t rows = 0;
    for (size_t i = 0; i < n; i++) {
        embed_tokens(&run, &items[i], w->hidden + rows * run.hidden_stride);
        rows += items[i].count;
    }
    for (size_t l = 0; l < c->layers; l++)
        run_layer(&run, &encoder->layers[l], items, n, rows);
    rows = 0;
    for (size_t i = 0; i < n; i++) {
        pool(&run, w->hidden + rows * run.hidden_stride, items[i].count, items[i].out);
        rows += items[i].count;
    }
}
