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

enum {
    BLOCK_ROWS = 48,  /* a multiple of the kernels' row tiles */
    CHANNEL_ROWS = 32 /* up to so many rows, a team shares out output channels */
};

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
    size_t *first;          /* [rows]: the first row of each text */
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
                      encoder_stride(BLOCK_ROWS),
                      encoder_stride(rows * sizeof(size_t) / sizeof(float))};
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
    w->first = (size_t *)(void *)at[9];
    return w;
}

void encoder_workspace_free(struct encoder_workspace *w)
{
    mem_free(w);
}

/* What a run carries through its steps. Each step is cut into pieces, which the team's workers take (team_run);
 * without a team the caller takes them all, one after the other. */
struct run {
    const struct encoder *encoder;
    const struct encoder_kernels *kernels;
    struct team *team;           /* or NULL */
    void *const *workspaces;     /* of each worker: its scratch */
    struct encoder_workspace *w; /* the first: it also holds what all share */
    const struct encoder_item *items;
    size_t n, rows;
    size_t hidden_stride, qkv_stride, wide_stride;
    /* The step's: */
    size_t pieces, block_rows;
    const struct encoder_layer *layer, *next;
    const struct product *product;
};

/* ---- what pieces are made of ---- */

/* out = act(x W + b) for at most BLOCK_ROWS rows of `width` floats. */
struct product {
    const union dense_layer *layer;
    const float *x;
    size_t rows, x_stride, width;
    enum encoder_activation act;
    float *out;
    size_t out_stride;
};

static void quantize(const struct run *run, struct encoder_workspace *w, const struct product *p)
{
    size_t k = p->layer->int8.k;
    for (size_t r = 0; run->encoder->int8 && r < p->rows; r++) {
        run->kernels->quantize_row(p->x + r * p->x_stride, p->width, w->q + r * k, &w->q_scale[r], &w->q_low[r]);
        memset(w->q + r * k + p->width, 0, k - p->width);
    }
}

static size_t panels_of(const struct run *run, const union dense_layer *layer)
{
    return (run->encoder->int8 ? layer->int8.n : layer->fp32.n) / ENCODER_BLOCK_N;
}

/* The output channels of the panels [begin, end), from rows quantised in `w`. */
static void multiply(const struct run *run, const struct encoder_workspace *w, const struct product *p,
                     size_t begin, size_t end)
{
    if (run->encoder->int8)
        run->kernels->linear_int8(&(struct u8_rows){p->layer->int8.k, w->q, w->q_scale, w->q_low}, p->rows,
                                  &p->layer->int8, begin, end, p->act, p->out, p->out_stride);
    else
        run->kernels->linear_fp32(p->x, p->x_stride, p->rows, &p->layer->fp32, begin, end, p->act, p->out,
                                  p->out_stride);
}

/* x = layer_norm(x + y) for rows of the residual stream. */
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

static void attend(const struct run *run, struct encoder_workspace *own, size_t item, size_t head)
{
    const struct model_config *c = &run->encoder->config;
    size_t first = run->w->first[item], head_dim = c->hidden / c->heads;
    const float *q = run->w->qkv + first * run->qkv_stride + head * head_dim;
    run->kernels->attention(&(struct attention_head){
        .tokens = run->items[item].count,
        .head_dim = head_dim,
        .scale = 1.0f / sqrtf((float)head_dim),
        .q = q,
        .k = q + c->hidden,
        .v = q + (size_t)2 * c->hidden,
        .stride = run->qkv_stride,
        .out = run->w->context + first * run->hidden_stride + head * head_dim,
        .out_stride = run->hidden_stride,
        .scratch = own->head,
    });
}

/* ---- the products of a layer, for `rows` rows from `first` on; scratch is w's ---- */

static struct product qkv_of(const struct run *run, const struct encoder_layer *layer, size_t first, size_t rows)
{
    return (struct product){&layer->qkv,
                            run->w->hidden + first * run->hidden_stride,
                            rows,
                            run->hidden_stride,
                            run->encoder->config.hidden,
                            ENCODER_LINEAR,
                            run->w->qkv + first * run->qkv_stride,
                            run->qkv_stride};
}

static struct product attention_out_of(const struct run *run, const struct encoder_workspace *w, size_t first,
                                       size_t rows)
{
    return (struct product){&run->layer->attention_out,
                            run->w->context + first * run->hidden_stride,
                            rows,
                            run->hidden_stride,
                            run->encoder->config.hidden,
                            ENCODER_LINEAR,
                            w->narrow,
                            run->hidden_stride};
}

static struct product ffn_in_of(const struct run *run, const struct encoder_workspace *w, size_t first,
                                size_t rows)
{
    return (struct product){&run->layer->ffn_in,
                            run->w->hidden + first * run->hidden_stride,
                            rows,
                            run->hidden_stride,
                            run->encoder->config.hidden,
                            ENCODER_GELU,
                            w->wide,
                            run->wide_stride};
}

static struct product ffn_out_of(const struct run *run, const struct encoder_workspace *w, size_t rows)
{
    return (struct product){&run->layer->ffn_out,
                            w->wide,
                            rows,
                            run->wide_stride,
                            run->encoder->config.intermediate,
                            ENCODER_LINEAR,
                            w->narrow,
                            run->hidden_stride};
}

/* ---- long texts: a piece is a block of rows, or a head ----
 *
 * A block passes from what attention gathered to the keys and values of the next layer without a look at other
 * rows: two steps a layer. */

static void whole_product(const struct run *run, struct encoder_workspace *w, struct product p)
{
    quantize(run, w, &p);
    multiply(run, w, &p, 0, panels_of(run, p.layer));
}

/* The rest of `layer` (NULL: there is none) and the beginning of `next` (the same). */
static void block_piece(void *ctx, size_t index, unsigned worker)
{
    const struct run *run = ctx;
    struct encoder_workspace *w = run->workspaces[worker];
    size_t first = index * run->block_rows,
           rows = run->rows - first < run->block_rows ? run->rows - first : run->block_rows;
    float *x = run->w->hidden + first * run->hidden_stride;
    if (run->layer != NULL) {
        whole_product(run, w, attention_out_of(run, w, first, rows));
        add_norm(run, x, w->narrow, rows, &run->layer->attention_norm);
        whole_product(run, w, ffn_in_of(run, w, first, rows));
        whole_product(run, w, ffn_out_of(run, w, rows));
        add_norm(run, x, w->narrow, rows, &run->layer->ffn_norm);
    }
    if (run->next != NULL)
        whole_product(run, w, qkv_of(run, run->next, first, rows));
}

/* A share of the heads of all texts. */
static void heads_piece(void *ctx, size_t index, unsigned worker)
{
    const struct run *run = ctx;
    size_t heads = run->encoder->config.heads, all = run->n * heads;
    for (size_t h = all * index / run->pieces; h < all * (index + 1) / run->pieces; h++)
        attend(run, run->workspaces[worker], h / heads, h % heads);
}

static void run_by_rows(struct run *run)
{
    size_t layers = run->encoder->config.layers, workers = team_size(run->team);
    size_t blocks = (run->rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    blocks = (blocks + workers - 1) / workers * workers;
    run->block_rows = (run->rows + blocks - 1) / blocks;
    blocks = (run->rows + run->block_rows - 1) / run->block_rows;
    run->pieces = run->n * run->encoder->config.heads;
    run->layer = NULL;
    for (size_t l = 0; l <= layers; l++) {
        run->next = l < layers ? &run->encoder->layers[l] : NULL;
        team_run(run->team, blocks, block_piece, run);
        if (run->next != NULL)
            team_run(run->team, run->pieces, heads_piece, run);
        run->layer = run->next;
    }
}

/* ---- short texts: a piece is a share of a layer's output channels ----
 *
 * Then each worker reads its share of the weights, which take longer to arrive than to multiply. What is left
 * between the products is little, and the caller does it alone. */

static void panels_piece(void *ctx, size_t index, unsigned worker)
{
    const struct run *run = ctx;
    size_t panels = panels_of(run, run->product->layer);
    (void)worker;
    multiply(run, run->w, run->product, panels * index / run->pieces, panels * (index + 1) / run->pieces);
}

static void shared_product(struct run *run, struct product p)
{
    size_t panels = panels_of(run, p.layer);
    quantize(run, run->w, &p);
    run->product = &p;
    run->pieces = team_size(run->team) < panels ? team_size(run->team) : panels;
    team_run(run->team, run->pieces, panels_piece, run);
}

static void run_by_channels(struct run *run)
{
    struct encoder_workspace *w = run->w;
    for (size_t l = 0; l < run->encoder->config.layers; l++) {
        run->layer = &run->encoder->layers[l];
        shared_product(run, qkv_of(run, run->layer, 0, run->rows));
        run->pieces = team_size(run->team);
        team_run(run->team, run->pieces, heads_piece, run);
        shared_product(run, attention_out_of(run, w, 0, run->rows));
        add_norm(run, w->hidden, w->narrow, run->rows, &run->layer->attention_norm);
        shared_product(run, ffn_in_of(run, w, 0, run->rows));
        shared_product(run, ffn_out_of(run, w, run->rows));
        add_norm(run, w->hidden, w->narrow, run->rows, &run->layer->ffn_norm);
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

void encoder_run(const struct encoder *encoder, struct team *team, void *const *workspaces,
                 const struct encoder_item *items, size_t n)
{
    const struct model_config *c = &encoder->config;
    struct encoder_workspace *w = workspaces[0];
    struct run run = {.encoder = encoder,
                      .kernels = simd_ops()->encoder,
                      .team = team,
                      .workspaces = workspaces,
                      .w = w,
                      .items = items,
                      .n = n,
                      .hidden_stride = encoder_stride(c->hidden),
                      .qkv_stride = encoder_stride((size_t)3 * c->hidden),
                      .wide_stride = encoder_stride(c->intermediate)};
    for (size_t i = 0; i < n; i++) {
        w->first[i] = run.rows;
        embed_tokens(&run, &items[i], w->hidden + run.rows * run.hidden_stride);
        run.rows += items[i].count;
    }
    if (team_size(team) > 1 && run.rows <= CHANNEL_ROWS)
        run_by_channels(&run);
    else
        run_by_rows(&run);
    for (size_t i = 0; i < n; i++)
        pool(&run, w->hidden + w->first[i] * run.hidden_stride, items[i].count, items[i].out);
}
