/* onnx_engine.c: an engine (embed/engine.h) that computes with ONNX Runtime.
 *
 * Threads: all runs share ONNX Runtime's pool, which has threads_a_text - 1 threads. At most engine.callers
 * threads call onnx_encode() at once, so that together with the pool at most `threads` threads compute. So a
 * single text gets threads_a_text threads, and many texts get all threads.
 *
 * By default a run has one text. If a graph quantises its activations dynamically, the other texts of a run change
 * the scale, and so a text's vector.
 */
#include "embed/onnx_engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "embed/onnx/onnx_session.h"

struct onnx_engine {
    struct engine base;
    struct onnx_session session;
    char library[48];
    size_t batch;
    bool is_pooled_here;
    enum model_pooling pooling;
};

/* The inputs of one run: each is int32 or int64 [batch][max_tokens], as the graph takes it. */
struct onnx_workspace {
    void *inputs[ONNX_INPUTS];
};

static const struct onnx_engine *engine_of(const struct engine *engine)
{
    return (const struct onnx_engine *)(const void *)engine;
}

bool onnx_engine_built(void)
{
    return true;
}

const char *onnx_engine_library(const struct engine *engine)
{
    return engine_of(engine)->library;
}

bool onnx_engine_pools(const struct engine *engine)
{
    return engine_of(engine)->is_pooled_here;
}

static void onnx_workspace_free(void *workspace)
{
    struct onnx_workspace *w = workspace;
    if (!w)
        return;
    for (size_t i = 0; i < ONNX_INPUTS; i++)
        mem_free(w->inputs[i]);
    mem_free(w);
}

/* Makes a workspace for one run. It ignores `rows`, the tokens of a whole job, because a run has at most `batch`
 * texts. */
static enum dp_status onnx_workspace_new(const struct engine *engine, size_t rows, void **out,
                                         struct dp_error *error)
{
    (void)rows;
    const struct onnx_engine *e = engine_of(engine);
    struct onnx_workspace *w = mem_calloc(1, sizeof *w);
    *out = NULL;
    bool whole = w;
    for (size_t i = 0; i < ONNX_INPUTS && whole; i++) {
        w->inputs[i] = mem_calloc(e->batch * engine->max_tokens, sizeof(int64_t));
        whole = w->inputs[i];
    }
    if (!whole) {
        onnx_workspace_free(w);
        return dp_fail_nomem(error, "an encoder's workspace");
    }
    *out = w;
    return DP_OK;
}

static void put_input(const struct onnx_session *s, struct onnx_workspace *w, enum onnx_input kind, size_t at,
                      int32_t value)
{
    if (s->is_int32[kind])
        ((int32_t *)w->inputs[kind])[at] = value;
    else
        ((int64_t *)w->inputs[kind])[at] = value;
}

/* Writes n texts into the inputs, one after another. Pads each to `tokens` tokens, and masks the padding. */
static void fill_inputs(const struct onnx_session *s, struct onnx_workspace *w, const struct engine_item *items,
                        size_t n, size_t tokens)
{
    for (size_t i = 0; i < n; i++)
        for (size_t t = 0; t < tokens; t++) {
            bool there = t < items[i].count;
            put_input(s, w, ONNX_IDS, i * tokens + t, there ? items[i].ids[t] : 0);
            put_input(s, w, ONNX_MASK, i * tokens + t, there);
            put_input(s, w, ONNX_TYPES, i * tokens + t, 0);
        }
}

/* Pools rows[count][dim] into out[dim]. */
static void pool_tokens(enum model_pooling pooling, const float *rows, size_t count, size_t dim, float *out)
{
    size_t first = pooling == POOLING_LAST ? count - 1 : 0, last = pooling == POOLING_CLS ? 0 : count - 1;
    memcpy(out, rows + first * dim, dim * sizeof *out);
    for (size_t r = first + 1; r <= last; r++)
        for (size_t d = 0; d < dim; d++) {
            float x = rows[r * dim + d];
            out[d] = pooling == POOLING_MAX ? (x > out[d] ? x : out[d]) : out[d] + x;
        }
    for (size_t d = 0; d < dim && pooling == POOLING_MEAN; d++)
        out[d] /= (float)count;
}

static enum dp_status run_texts(const struct onnx_engine *e, struct onnx_workspace *w,
                                const struct engine_item *items, size_t n, struct dp_error *error)
{
    size_t tokens = 0, dim = e->base.dim;
    for (size_t i = 0; i < n; i++)
        tokens = items[i].count > tokens ? items[i].count : tokens;
    struct onnx_result result;
    fill_inputs(&e->session, w, items, n, tokens);
    enum dp_status status = onnx_session_run(&e->session, w->inputs, n, tokens, &result, error);
    if (status == DP_OK && result.dim != dim)
        status = dp_fail(error, DP_CORRUPT, "the graph gave %zu dimensions, and %zu before", result.dim, dim);
    for (size_t i = 0; i < n && status == DP_OK; i++) {
        if (e->is_pooled_here)
            pool_tokens(e->pooling, result.vectors + (i * tokens + items[i].skip) * dim,
                        items[i].count - items[i].skip, dim, items[i].out);
        else
            memcpy(items[i].out, result.vectors + i * dim, dim * sizeof(float));
        for (size_t d = 0; d < dim && status == DP_OK; d++)
            if (!isfinite(items[i].out[d]))
                status = dp_fail(error, DP_CORRUPT, "the graph gives vectors that are not finite");
    }
    onnx_session_release(&e->session, &result);
    return status;
}

static enum dp_status onnx_encode(const struct engine *engine, void *workspace, const struct engine_item *items,
                                  size_t n, struct dp_error *error)
{
    const struct onnx_engine *e = engine_of(engine);
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < n && status == DP_OK; i += e->batch)
        status = run_texts(e, workspace, items + i, n - i < e->batch ? n - i : e->batch, error);
    return status;
}

static void onnx_free(struct engine *engine)
{
    struct onnx_engine *e = (struct onnx_engine *)(void *)engine;
    if (!e)
        return;
    onnx_session_close(&e->session);
    mem_free(e);
}

static const struct engine_ops ops = {"onnx",      onnx_workspace_new, onnx_workspace_free,
                                      onnx_encode, onnx_free,          NULL};

/* Runs the graph once over two tokens, to find failures early and to learn the dimension of its vectors. */
static enum dp_status probe_graph(struct onnx_engine *e, struct dp_error *error)
{
    static const int32_t ids[2] = {0, 0};
    const struct engine_item item = {ids, e->base.max_tokens < 2 ? 1 : 2, NULL, 0};
    struct onnx_result result;
    void *w = NULL;
    enum dp_status status = onnx_workspace_new(&e->base, 0, &w, error);
    if (status != DP_OK)
        return status;
    fill_inputs(&e->session, w, &item, 1, item.count);
    status = onnx_session_run(&e->session, ((struct onnx_workspace *)w)->inputs, 1, item.count, &result, error);
    if (status == DP_OK)
        e->base.dim = result.dim;
    onnx_session_release(&e->session, &result);
    onnx_workspace_free(w);
    return status;
}

enum dp_status onnx_engine_new(const struct onnx_engine_options *options, struct engine **out,
                               struct dp_error *error)
{
    struct onnx_library library;
    unsigned threads = options->threads > 0 ? options->threads : 1;
    unsigned a_text = options->threads_a_text > 0 ? options->threads_a_text : (threads + 1) / 2;
    a_text = a_text > threads ? threads : a_text;
    *out = NULL;
    enum dp_status status = onnx_library_open(options->library, &library, error);
    if (status != DP_OK)
        return status;
    struct onnx_engine *e = mem_calloc(1, sizeof *e);
    if (!e)
        return dp_fail_nomem(error, "an engine");
    e->base = (struct engine){&ops, 0, options->max_tokens, options->vocab, threads - a_text + 1};
    snprintf(e->library, sizeof e->library, "ONNX Runtime %s", library.version);
    e->batch = options->batch > 0 ? options->batch : 1;
    e->pooling = options->pooling;
    status = onnx_session_open(&library, options->file, a_text, options->pools, &e->session, error);
    e->is_pooled_here = e->session.is_per_token;
    if (!e->session.takes[ONNX_MASK])
        e->batch = 1; /* without a mask the graph cannot know where a shorter text ends */
    if (status == DP_OK && e->session.fixed_texts > 1)
        status = dp_fail(error, DP_UNSUPPORTED,
                         "the graph takes %zu texts at once; export it with a dynamic axis of texts",
                         e->session.fixed_texts);
    if (e->session.fixed_texts == 1)
        e->batch = 1;
    if (status == DP_OK)
        status = probe_graph(e, error);
    if (status != DP_OK) {
        dp_error_prefix(error, "%s", options->file);
        onnx_free(&e->base);
        return status;
    }
    *out = &e->base;
    return DP_OK;
}
