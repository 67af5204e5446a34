/* native_engine.c: implements the engine vtable with our own encoder. */
#include "embed/native/native_engine.h"

#include <math.h>

#include "base/alloc.h"

struct native_engine {
    struct engine base;
    const struct encoder *encoder;
};

static const struct encoder *encoder_of(const struct engine *engine)
{
    return ((const struct native_engine *)(const void *)engine)->encoder;
}

static enum dp_status native_workspace_new(const struct engine *engine, size_t rows, void **out,
                                           struct dp_error *error)
{
    *out = encoder_workspace_new(encoder_of(engine), rows);
    return !*out ? dp_fail_nomem(error, "an encoder's workspace") : DP_OK;
}

static void native_workspace_free(void *workspace)
{
    encoder_workspace_free(workspace);
}

static enum dp_status native_encode_together(const struct engine *engine, struct team *team,
                                             void *const *workspaces, const struct engine_item *items, size_t n,
                                             struct dp_error *error)
{
    encoder_run(encoder_of(engine), team, workspaces, items, n);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < engine->dim; d++)
            if (!isfinite(items[i].out[d]))
                return dp_fail(error, DP_CORRUPT, "the model's weights give vectors that are not finite");
    return DP_OK;
}

static enum dp_status native_encode(const struct engine *engine, void *workspace, const struct engine_item *items,
                                    size_t n, struct dp_error *error)
{
    return native_encode_together(engine, NULL, &workspace, items, n, error);
}

static void native_free(struct engine *engine)
{
    mem_free(engine);
}

static const struct engine_ops int8_ops = {"native int8", native_workspace_new, native_workspace_free,
                                           native_encode, native_free,          native_encode_together};
static const struct engine_ops fp32_ops = {"native fp32", native_workspace_new, native_workspace_free,
                                           native_encode, native_free,          native_encode_together};

enum dp_status native_engine_new(const struct encoder *encoder, struct engine **out, struct dp_error *error)
{
    struct native_engine *e = mem_alloc(sizeof *e);
    if (!e)
        return dp_fail_nomem(error, "an engine");
    const struct bert_config *c = &encoder->config;
    *e = (struct native_engine){{encoder->int8 ? &int8_ops : &fp32_ops, c->hidden, c->max_tokens, c->vocab, 0},
                                encoder};
    *out = &e->base;
    return DP_OK;
}
