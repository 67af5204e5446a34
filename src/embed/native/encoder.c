/* encoder.c: runs the BERT encoder (Devlin et al. 2018; Vaswani et al. 2017 for the layers).
 *
 * All texts of a run lie end to end in one matrix of rows, without padding. Linear layers and norms work on blocks
 * of rows. A block is small, so its feed-forward activations stay in the L2 cache while the weights pass through.
 * Attention works on one text and head at a time. With int8 weights, the encoder quantises each row right before
 * its matrix product. Only the products are int8, or int16 in attention; everything else is fp32.
 */
#include "embed/native/encoder.h"

#include <math.h>

#include "base/alloc.h"
#include "base/workspace.h"
#include "simd/simd.h"

enum {
    BLOCK_ROWS = 48, /* divisible by the kernels' row tiles */
    /* Bounds on the use of a team. docs/internals/native-engine.md has the measurements. */
    TOGETHER_WORK = 20000000, /* for fewer multiplications than this, one thread is faster than a team */
    COLUMN_ROWS = 14,         /* maximum rows for which threads share columns */
    COLUMN_WEIGHTS = 2 << 20, /* weights that fit into a core's private cache; sharing columns needs more */
    PATIENCE_WORK = 1600,     /* wait 1 ns for sleeping workers per this many multiplications */
    PATIENCE_NS = 100000      /* maximum nanoseconds to wait for sleeping workers */
};

struct encoder_workspace {
    size_t rows;
    float *hidden;              /* [rows][stride(hidden)]: the residual stream */
    float *qkv;                 /* [rows][stride(3 hidden)] */
    float *context;             /* [rows][stride(hidden)]: the output of attention */
    float *wide;                /* [BLOCK_ROWS][stride(intermediate)] */
    float *narrow;              /* [BLOCK_ROWS][stride(hidden)] */
    float *head;                /* attention's scratch */
    uint8_t *q;                 /* [BLOCK_ROWS][depth of the widest layer] */
    float *q_scale, *q_low;     /* [BLOCK_ROWS] */
    size_t *first;              /* [rows]: the first row of each text */
    struct float_range *ranges; /* [BLOCK_ROWS]: for each row, the range of this thread's columns */
};

static size_t larger_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Takes the parts of a workspace for `rows` rows. While `space` only counts bytes, returns NULL. Else returns the
 * encoder's workspace, which is the first part.
 *
 * rows ≤ 8192 and the bounds in bert_config.h keep every product far below SIZE_MAX. */
static struct encoder_workspace *lay_out_workspace(struct workspace *space, const struct encoder *encoder,
                                                   size_t rows)
{
    const struct bert_config *c = &encoder->config;
    size_t narrow = encoder_stride(c->hidden), qkv = encoder_stride((size_t)3 * c->hidden),
           wide = encoder_stride(c->intermediate),
           depth = larger_size(encoder_depth(c->hidden), encoder_depth(c->intermediate));
    size_t head = attention_scratch(larger_size(rows, 1), c->hidden / c->heads);
    struct encoder_workspace *w = workspace_take(space, 1, sizeof *w), parts = {.rows = rows};
    parts.hidden = workspace_take(space, rows * narrow, sizeof(float));
    parts.qkv = workspace_take(space, rows * qkv, sizeof(float));
    parts.context = workspace_take(space, rows * narrow, sizeof(float));
    parts.wide = workspace_take(space, BLOCK_ROWS * wide, sizeof(float));
    parts.narrow = workspace_take(space, BLOCK_ROWS * narrow, sizeof(float));
    parts.head = workspace_take(space, head, sizeof(float));
    parts.q = workspace_take(space, BLOCK_ROWS, depth);
    parts.q_scale = workspace_take(space, BLOCK_ROWS, sizeof(float));
    parts.q_low = workspace_take(space, BLOCK_ROWS, sizeof(float));
    parts.first = workspace_take(space, rows, sizeof(size_t));
    parts.ranges = workspace_take(space, BLOCK_ROWS, sizeof(struct float_range));
    if (w)
        *w = parts;
    return w;
}

struct encoder_workspace *encoder_workspace_new(const struct encoder *encoder, size_t rows)
{
    struct workspace space = {0};
    lay_out_workspace(&space, encoder, rows);
    if (!workspace_allocate(&space))
        return NULL;
    /* The kernels multiply the columns past a layer's width by zero weights, so those columns must not be NaN. */
    memset(space.memory, 0, space.size);
    return lay_out_workspace(&space, encoder, rows); /* it begins the allocation, so freeing it frees all parts */
}

void encoder_workspace_free(struct encoder_workspace *w)
{
    mem_free(w);
}

/* The state of one encoder_run. */
struct encoding {
    const struct encoder *encoder;
    const struct encoder_kernels *kernels;
    void *const *workspaces;     /* the scratch of each worker */
    struct encoder_workspace *w; /* workspaces[0], which also holds the shared arrays */
    const struct engine_item *items;
    size_t n, rows;
    size_t hidden_stride, qkv_stride, wide_stride;
    size_t layer, end; /* layers done so far; layers done when this gathering ends */
    float *greatest;   /* the array of encoder_observe(), or NULL */
};

/* One thread's view of a run. */
struct encoding_part {
    const struct encoding *run;
    const struct team_member *self;
    struct encoder_workspace *own;
};

/* A range of rows or panels: [begin, end). */
struct extent {
    size_t begin, end;
};

/* Returns this thread's share of `count` rows or panels. */
static struct extent share_extent(const struct encoding_part *part, size_t count)
{
    return (struct extent){count * part->self->index / part->self->count,
                           count * (part->self->index + 1) / part->self->count};
}

static struct extent whole_extent(size_t count)
{
    return (struct extent){0, count};
}

/* ---- the parts of steps ---- */

/* Rows of `width` floats; the first row begins at `x`, each next one `stride` floats later. */
struct float_rows {
    float *x;
    size_t stride, width;
};

static struct float_rows hidden_rows(const struct encoding *run, float *x)
{
    return (struct float_rows){x, run->hidden_stride, run->encoder->config.hidden};
}

/* With int8 weights, quantises rows into w. Fills each row up with zeros to the depth of the kernels. */
static void quantize_rows(const struct encoding *run, struct encoder_workspace *w, struct float_rows from,
                          struct extent rows)
{
    size_t depth = encoder_depth(from.width);
    for (size_t r = rows.begin; run->encoder->int8 && r < rows.end; r++) {
        uint8_t *q = w->q + r * depth;
        const float *x = from.x + r * from.stride;
        struct float_range range = run->kernels->range(x, from.width);
        w->q_low[r] = range.least;
        w->q_scale[r] = run->kernels->quantize(x, from.width, range, q);
        memset(q + from.width, 0, depth - from.width);
    }
}

static size_t panels_of(const struct encoding *run, const union dense_layer *layer)
{
    return (run->encoder->int8 ? layer->int8.n : layer->fp32.n) / ENCODER_BLOCK_N;
}

/* Computes to = act(from W + b) for `rows` rows and the output channels of `panels`. With int8 weights it reads
 * the rows from w, where quantize_rows() has put them. */
static void multiply_panels(const struct encoding *run, const struct encoder_workspace *w,
                            const union dense_layer *layer, struct float_rows from, size_t rows,
                            struct extent panels, enum encoder_activation act, float *to, size_t to_stride)
{
    if (run->encoder->int8)
        run->kernels->linear_int8(&(struct u8_rows){layer->int8.k, w->q, w->q_scale, w->q_low}, rows, &layer->int8,
                                  panels.begin, panels.end, act, to, to_stride);
    else
        run->kernels->linear_fp32(from.x, from.stride, rows, &layer->fp32, panels.begin, panels.end, act, to,
                                  to_stride);
}

/* Computes x = layer_norm(x + y) for rows of the residual stream. y NULL: adds nothing. */
static void add_norm(const struct encoding *run, float *x, const float *y, struct extent rows,
                     const struct norm_weights *norm)
{
    size_t stride = run->hidden_stride;
    for (size_t r = rows.begin; r < rows.end; r++)
        run->kernels->add_layer_norm(x + r * stride, norm->unscale, !y ? NULL : y + r * stride, norm->gamma,
                                     norm->beta, run->encoder->config.epsilon, run->encoder->config.hidden,
                                     x + r * stride);
}

/* Writes the embedding of each token into the rows of x: the layer norm of the sum of the word's, the position's
 * and the type's embedding. */
static void embed_tokens(const struct encoding *run, const struct engine_item *item, float *x)
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
    add_norm(run, x, NULL, whole_extent(item->count), &e->embedding_norm);
}

static void attend_head(const struct encoding_part *part, size_t item, size_t head)
{
    const struct encoding *run = part->run;
    const struct bert_config *c = &run->encoder->config;
    size_t first = run->w->first[item], head_dim = c->hidden / c->heads;
    const float *q = run->w->qkv + first * run->qkv_stride + head * head_dim;
    const struct attention_head part_of_text = {
        .tokens = run->items[item].count,
        .head_dim = head_dim,
        .scale = 1.0f / sqrtf((float)head_dim),
        .q = q,
        .k = q + c->hidden,
        .v = q + (size_t)2 * c->hidden,
        .stride = run->qkv_stride,
        .out = run->w->context + first * run->hidden_stride + head * head_dim,
        .out_stride = run->hidden_stride,
        .scratch = part->own->head,
    };
    if (run->encoder->int8)
        run->kernels->attention_int16(&part_of_text);
    else
        run->kernels->attention(&part_of_text);
}

/* Computes attention for this thread's heads. Each thread gets about equally many heads of each text, because texts
 * differ in length. */
static void attend_share(const struct encoding_part *part)
{
    size_t heads = part->run->encoder->config.heads, count = part->self->count;
    for (size_t h = part->self->index; h < part->run->n * heads; h += count)
        attend_head(part, h / heads, h % heads);
}

/* ---- long texts, or one thread: each thread has a share of the rows ----
 *
 * From attention's output to the queries, keys and values of the next layer, a block of rows needs no other rows.
 * So the threads meet only twice per layer. */

/* In a run of encoder_observe(), keeps the greatest absolute value of each channel of the residual stream. */
static void observe_stream(const struct encoding *run, const struct encoder_layer *layer, enum stream_kind kind,
                           struct float_rows x, size_t rows)
{
    if (!run->greatest)
        return;
    size_t index = (size_t)(layer - run->encoder->layers) * STREAM_KINDS + kind;
    float *greatest = run->greatest + index * x.width;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < x.width; i++)
            greatest[i] = fmaxf(greatest[i], fabsf(x.x[r * x.stride + i]));
}

static void queries_of_block(const struct encoding_part *part, const struct encoder_layer *layer,
                             struct extent block)
{
    const struct encoding *run = part->run;
    size_t rows = block.end - block.begin;
    struct float_rows x = hidden_rows(run, run->w->hidden + block.begin * run->hidden_stride);
    observe_stream(run, layer, STREAM_QKV, x, rows);
    quantize_rows(run, part->own, x, whole_extent(rows));
    multiply_panels(run, part->own, &layer->qkv, x, rows, whole_extent(panels_of(run, &layer->qkv)),
                    ENCODER_LINEAR, run->w->qkv + block.begin * run->qkv_stride, run->qkv_stride);
}

static void rest_of_block(const struct encoding_part *part, const struct encoder_layer *layer, struct extent block)
{
    const struct encoding *run = part->run;
    struct encoder_workspace *own = part->own;
    size_t rows = block.end - block.begin;
    struct float_rows context = hidden_rows(run, run->w->context + block.begin * run->hidden_stride),
                      x = hidden_rows(run, run->w->hidden + block.begin * run->hidden_stride),
                      wide = {own->wide, run->wide_stride, run->encoder->config.intermediate};
    quantize_rows(run, own, context, whole_extent(rows));
    multiply_panels(run, own, &layer->attention_out, context, rows,
                    whole_extent(panels_of(run, &layer->attention_out)), ENCODER_LINEAR, own->narrow,
                    run->hidden_stride);
    add_norm(run, x.x, own->narrow, whole_extent(rows), &layer->attention_norm);
    observe_stream(run, layer, STREAM_FFN_IN, x, rows);
    quantize_rows(run, own, x, whole_extent(rows));
    multiply_panels(run, own, &layer->ffn_in, x, rows, whole_extent(panels_of(run, &layer->ffn_in)), ENCODER_GELU,
                    own->wide, run->wide_stride);
    quantize_rows(run, own, wide, whole_extent(rows));
    multiply_panels(run, own, &layer->ffn_out, wide, rows, whole_extent(panels_of(run, &layer->ffn_out)),
                    ENCODER_LINEAR, own->narrow, run->hidden_stride);
    add_norm(run, x.x, own->narrow, whole_extent(rows), &layer->ffn_norm);
}

static void layers_by_rows(const struct encoding_part *part, size_t begin, size_t end)
{
    const struct encoder_layer *layers = part->run->encoder->layers;
    struct extent mine = share_extent(part, part->run->rows);
    size_t blocks = (mine.end - mine.begin + BLOCK_ROWS - 1) / BLOCK_ROWS;
    for (size_t l = begin; l <= end; l++) {
        for (size_t b = 0; b < blocks; b++) {
            struct extent block = {mine.begin + (mine.end - mine.begin) * b / blocks,
                                   mine.begin + (mine.end - mine.begin) * (b + 1) / blocks};
            if (l > begin)
                rest_of_block(part, &layers[l - 1], block);
            if (l < end)
                queries_of_block(part, &layers[l], block);
        }
        if (l < end) {
            team_meet(part->self);
            attend_share(part);
            team_meet(part->self);
        }
    }
}

/* ---- short texts: each thread has a share of the columns ----
 *
 * For few rows, loading the weights takes longer than multiplying by them, so each thread reads only its share of
 * the weights. A thread stays in its columns (heads, output channels) as far as possible. It quantises its columns
 * after all threads have published their ranges. So only two things pass between processors: quantised bytes, and
 * the rows of floats that a norm sums. A column here is as wide as a panel. */

/* Quantises this thread's columns of all rows into the run's shared workspace. */
static void quantize_columns(const struct encoding_part *part, struct float_rows from, struct extent columns)
{
    const struct encoding *run = part->run;
    size_t depth = encoder_depth(from.width), first = columns.begin * ENCODER_BLOCK_N,
           end = columns.end * ENCODER_BLOCK_N < from.width ? columns.end * ENCODER_BLOCK_N : from.width;
    if (!run->encoder->int8)
        return;
    for (size_t r = 0; r < run->rows; r++)
        part->own->ranges[r] = run->kernels->range(from.x + r * from.stride + first, end - first);
    team_meet(part->self);
    for (size_t r = 0; r < run->rows; r++) {
        struct float_range range = part->own->ranges[r];
        for (unsigned i = 0; i < part->self->count; i++) {
            struct float_range other = ((const struct encoder_workspace *)run->workspaces[i])->ranges[r];
            range.least = other.least < range.least ? other.least : range.least;
            range.most = other.most > range.most ? other.most : range.most;
        }
        float scale = run->kernels->quantize(from.x + r * from.stride + first, end - first, range,
                                             run->w->q + r * depth + first);
        if (part->self->index == 0) {
            run->w->q_low[r] = range.least;
            run->w->q_scale[r] = scale;
        }
    }
}

/* Waits until all threads have quantised their columns of `from`, then computes this thread's columns of
 * to = act(from W + b). */
static void multiply_columns(const struct encoding_part *part, const union dense_layer *layer,
                             struct float_rows from, enum encoder_activation act, float *to, size_t to_stride)
{
    team_meet(part->self);
    multiply_panels(part->run, part->run->w, layer, from, part->run->rows,
                    share_extent(part, panels_of(part->run, layer)), act, to, to_stride);
}

static void layer_by_columns(const struct encoding_part *part, const struct encoder_layer *layer)
{
    const struct encoding *run = part->run;
    struct encoder_workspace *w = run->w;
    size_t hidden = run->encoder->config.hidden, panels = hidden / ENCODER_BLOCK_N;
    struct extent rows = share_extent(part, run->rows), columns = share_extent(part, panels);
    struct float_rows x = hidden_rows(run, w->hidden), context = hidden_rows(run, w->context),
                      wide = {w->wide, run->wide_stride, run->encoder->config.intermediate};

    quantize_rows(run, w, x, rows);
    team_meet(part->self);
    for (size_t i = 0; i < 3; i++) /* queries, keys and values of this thread's heads */
        multiply_panels(run, w, &layer->qkv, x, run->rows,
                        (struct extent){i * panels + columns.begin, i * panels + columns.end}, ENCODER_LINEAR,
                        w->qkv, run->qkv_stride);
    size_t heads = run->encoder->config.heads;
    for (size_t h = columns.begin * heads / panels; h < columns.end * heads / panels; h++)
        for (size_t i = 0; i < run->n; i++)
            attend_head(part, i, h);
    quantize_columns(part, context, columns);
    multiply_columns(part, &layer->attention_out, context, ENCODER_LINEAR, w->narrow, run->hidden_stride);
    team_meet(part->self);
    add_norm(run, w->hidden, w->narrow, rows, &layer->attention_norm);
    quantize_rows(run, w, x, rows);
    multiply_columns(part, &layer->ffn_in, x, ENCODER_GELU, w->wide, run->wide_stride);
    quantize_columns(part, wide, share_extent(part, panels_of(run, &layer->ffn_in)));
    multiply_columns(part, &layer->ffn_out, wide, ENCODER_LINEAR, w->narrow, run->hidden_stride);
    team_meet(part->self);
    add_norm(run, w->hidden, w->narrow, rows, &layer->ffn_norm);
}

/* Returns the number of weights of all layers, which is also the number of multiplications per row. */
static size_t weights_of(const struct bert_config *c)
{
    return (size_t)c->layers * c->hidden * ((size_t)4 * c->hidden + (size_t)2 * c->intermediate);
}

/* Returns whether the threads of a team share columns: for few rows and many weights, if each head lies within a
 * panel. */
static bool by_columns(const struct encoding *run)
{
    const struct bert_config *c = &run->encoder->config;
    return run->rows <= COLUMN_ROWS && weights_of(c) > COLUMN_WEIGHTS && c->hidden % ENCODER_BLOCK_N == 0 &&
           ENCODER_BLOCK_N % (c->hidden / c->heads) == 0 && c->intermediate % ENCODER_BLOCK_K == 0;
}

/* Returns how many nanoseconds to wait for sleeping workers: a fraction of the time that one thread would need. */
static int64_t patience_ns(const struct encoding *run)
{
    size_t wait = run->rows * weights_of(&run->encoder->config) / PATIENCE_WORK;
    return wait < PATIENCE_NS ? (int64_t)wait : PATIENCE_NS;
}

/* Runs all remaining layers. If some workers of the team are missing, runs one layer, so that they can join the
 * next. */
static void run_layers(void *ctx, const struct team_member *self)
{
    struct encoding *run = ctx;
    const struct encoding_part part = {run, self, run->workspaces[self->index]};
    size_t begin = run->layer, end = self->count < team_size(self->team) ? begin + 1 : run->encoder->config.layers;
    if (self->count == 1 || !by_columns(run))
        layers_by_rows(&part, begin, end);
    else
        for (size_t l = begin; l < end; l++)
            layer_by_columns(&part, &run->encoder->layers[l]);
    if (self->index == 0)
        run->end = end;
}

static void pool_rows(const struct encoding *run, const float *x, size_t tokens, float *out)
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

static void run_items(const struct encoder *encoder, struct team *team, void *const *workspaces,
                      const struct engine_item *items, size_t n, float *greatest)
{
    const struct bert_config *c = &encoder->config;
    struct encoder_workspace *w = workspaces[0];
    struct encoding run = {.encoder = encoder,
                           .kernels = simd_ops()->encoder,
                           .workspaces = workspaces,
                           .w = w,
                           .items = items,
                           .n = n,
                           .greatest = greatest,
                           .hidden_stride = encoder_stride(c->hidden),
                           .qkv_stride = encoder_stride((size_t)3 * c->hidden),
                           .wide_stride = encoder_stride(c->intermediate)};
    for (size_t i = 0; i < n; i++) {
        w->first[i] = run.rows;
        run.rows += items[i].count;
    }
    if (run.rows * weights_of(c) < TOGETHER_WORK)
        team = NULL;
    team_wake(team);
    for (size_t i = 0; i < n; i++)
        embed_tokens(&run, &items[i], w->hidden + w->first[i] * run.hidden_stride);
    while (run.layer < c->layers) {
        team_gather(team, run.layer == 0 ? patience_ns(&run) : 0, run_layers, &run);
        run.layer = run.end;
    }
    for (size_t i = 0; i < n; i++)
        pool_rows(&run, w->hidden + (w->first[i] + items[i].skip) * run.hidden_stride,
                  items[i].count - items[i].skip, items[i].out);
}

void encoder_run(const struct encoder *encoder, struct team *team, void *const *workspaces,
                 const struct engine_item *items, size_t n)
{
    run_items(encoder, team, workspaces, items, n, NULL);
}

void encoder_observe(const struct encoder *encoder, struct encoder_workspace *workspace,
                     const struct engine_item *item, float *greatest)
{
    void *const workspaces[] = {workspace};
    run_items(encoder, NULL, workspaces, item, 1, greatest);
}
