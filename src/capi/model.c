/* model.c: implements the public C API of models (dp_model_…, dp_embed, dp_tokenize) with embed/model.h and
 * embed/embedder.h. */
#include "capi/model.h"

#include <string.h>

#include "base/alloc.h"
#include "capi/arguments.h"
#include "capi/call.h"
#include "capi/default_model.h"
#include "capi/runtime.h"

enum { TEXTS_PER_RUN = 1024 }; /* texts that dp_embed tokenizes and embeds together */

/* ---- opening ---------------------------------------------------------------------------------------- */

static enum dp_status model_options(const char *function, const struct dp_model_options *from,
                                    struct dp_model_options *to, struct dp_error *error)
{
    enum dp_status status = capi_options(error, function, "struct dp_model_options", from, to, sizeof *to);
    if (status != DP_OK)
        return status;
    if (to->precision != DP_PRECISION_INT8 && to->precision != DP_PRECISION_FP32)
        return dp_fail(error, DP_INVALID, "%s: precision %d is neither DP_PRECISION_INT8 nor DP_PRECISION_FP32",
                       function, (int)to->precision);
    if (!to->bytes && to->bytes_len > 0)
        return dp_fail(error, DP_INVALID, "%s: options.bytes is NULL, but bytes_len is %zu", function,
                       to->bytes_len);
    return DP_OK;
}

static enum model_precision precision_of(const struct dp_model_options *options)
{
    return options->precision == DP_PRECISION_FP32 ? MODEL_FP32 : MODEL_INT8;
}

static enum dp_status set_model_prompts(struct model *model, const struct dp_model_options *options,
                                        struct dp_error *error)
{
    const char *const given[TEXT_KINDS] = {[TEXT_PLAIN] = options->default_prompt,
                                           [TEXT_QUERY] = options->query_prompt,
                                           [TEXT_DOCUMENT] = options->document_prompt};
    struct span of[TEXT_KINDS];

    for (size_t i = 0; i < TEXT_KINDS; i++)
        of[i] = given[i] ? span_str(given[i]) : span_of(NULL, 0);
    return model_set_prompts(model, of, error);
}

/* Makes the handle of an opened model. Takes over `opened`, also on failure. */
static enum dp_status model_wrap(struct dp_runtime *runtime, struct model *opened,
                                 const struct dp_model_options *options, struct dp_model **out,
                                 struct dp_error *error)
{
    struct dp_model *model = mem_calloc(1, sizeof *model);
    enum dp_status status = DP_OK;

    if (!model) {
        model_free(opened);
        return dp_fail_nomem(error, "the model");
    }
    model->runtime = runtime;
    model->model = opened;
    status = set_model_prompts(opened, options, error);
    if (status == DP_OK)
        status = embedder_new(opened, runtime->team, NULL, &model->embedder, error);
    if (status == DP_OK)
        *out = model;
    else
        dp_model_close(model);
    return status;
}

static enum dp_status open_model_bytes(const struct dp_model_options *options, struct model **out,
                                       struct dp_error *error)
{
    if (options->precision != DP_PRECISION_INT8)
        return dp_fail(error, DP_UNSUPPORTED,
                       "dp_model_open: a packed model has int8 weights only; open its folder for fp32");
    return model_open_memory(span_of(options->bytes, options->bytes_len), out, error);
}

enum dp_status dp_model_open(struct dp_runtime *runtime, const char *path, const struct dp_model_options *options,
                             struct dp_model **out, struct dp_error *error)
{
    struct dp_model_options o;
    struct model *opened = NULL;
    enum dp_status status = capi_need(error, "dp_model_open", "runtime", runtime, "out", out, NULL);

    if (out)
        *out = NULL;
    if (status == DP_OK)
        status = model_options("dp_model_open", options, &o, error);
    if (status != DP_OK)
        return status;
    if (path && o.bytes)
        return dp_fail(error, DP_INVALID, "dp_model_open: path and options.bytes are both set; give one of them");
    if (!path && !o.bytes)
        return dp_fail(error, DP_INVALID,
                       "dp_model_open: path is NULL; name a model's folder or a packed model, or call "
                       "dp_model_open_default for the model that comes with Dipper");
    status = path ? model_open_dir(path, precision_of(&o), &opened, error) : open_model_bytes(&o, &opened, error);
    return status == DP_OK ? model_wrap(runtime, opened, &o, out, error) : status;
}

enum dp_status dp_model_open_default(struct dp_runtime *runtime, const struct dp_model_options *options,
                                     struct dp_model **out, struct dp_error *error)
{
    struct dp_model_options o;
    struct model *opened = NULL;
    enum dp_status status = capi_need(error, "dp_model_open_default", "runtime", runtime, "out", out, NULL);

    if (out)
        *out = NULL;
    if (status == DP_OK)
        status = model_options("dp_model_open_default", options, &o, error);
    if (status == DP_OK && o.bytes)
        status = dp_fail(error, DP_INVALID, "dp_model_open_default: options.bytes is set; dp_model_open takes it");
    if (status == DP_OK)
        status = default_model_open(precision_of(&o), &opened, error);
    return status == DP_OK ? model_wrap(runtime, opened, &o, out, error) : status;
}

void dp_model_close(struct dp_model *model)
{
    if (!model)
        return;
    embedder_free(model->embedder);
    model_free(model->model);
    mem_free(model);
}

const char *dp_model_name(const struct dp_model *model)
{
    return model ? model_info(model->model)->name : "";
}

size_t dp_model_dim(const struct dp_model *model)
{
    return model ? model_info(model->model)->dim : 0;
}

size_t dp_model_max_tokens(const struct dp_model *model)
{
    return model ? model_info(model->model)->max_tokens : 0;
}

/* ---- embedding -------------------------------------------------------------------------------------- */

enum dp_status capi_model_embed(struct call *call, struct dp_model *model, enum text_kind kind,
                                const char *const *texts, const size_t *lengths, size_t count, bool normalize,
                                float *out)
{
    const struct model_info *info = model_info(model->model);
    struct tokens *seqs = arena_calloc(call->arena, count, sizeof *seqs);

    if (!seqs)
        return call_nomem(call, "the texts' tokens");
    for (size_t i = 0; i < count; i++) {
        if (!texts[i] && (!lengths || lengths[i] > 0))
            return call_fail(call, DP_INVALID, "texts[%zu] is NULL", i);
        struct span text = lengths ? span_of(texts[i], lengths[i]) : span_str(texts[i]);
        enum dp_status status =
            model_encode(model->model, kind, text, info->max_tokens, call->arena, &seqs[i], &call->error);
        if (status != DP_OK)
            return status;
    }
    return embedder_embed(call, model->embedder, seqs, count, normalize, out);
}

static enum dp_status text_kind_of(enum dp_input input, enum text_kind *out, struct dp_error *error)
{
    static const enum text_kind kinds[] = {
        [DP_INPUT_TEXT] = TEXT_PLAIN, [DP_INPUT_QUERY] = TEXT_QUERY, [DP_INPUT_DOCUMENT] = TEXT_DOCUMENT};
    if ((unsigned)input > DP_INPUT_DOCUMENT)
        return dp_fail(error, DP_INVALID,
                       "dp_embed: input %d is not DP_INPUT_TEXT, DP_INPUT_QUERY or DP_INPUT_DOCUMENT", (int)input);
    *out = kinds[input];
    return DP_OK;
}

enum dp_status dp_embed(struct dp_model *model, const char *const *texts, size_t count,
                        const struct dp_embed_options *options, float *out, struct dp_error *error)
{
    struct dp_embed_options o;
    enum text_kind kind = TEXT_PLAIN;
    struct capi_call c;
    enum dp_status status = capi_need(error, "dp_embed", "model", model, "texts", texts, "out", out, NULL);

    if (status == DP_OK)
        status = capi_options(error, "dp_embed", "struct dp_embed_options", options, &o, sizeof o);
    if (status == DP_OK && count == 0)
        status = dp_fail(error, DP_INVALID, "dp_embed: count is 0; give at least one text");
    if (status == DP_OK)
        status = text_kind_of(o.input, &kind, error);
    if (status != DP_OK)
        return status;
    capi_begin(&c, &o.limits, CAPI_ROWS_ARENA_MAX);
    for (size_t done = 0; done < count && status == DP_OK; done += TEXTS_PER_RUN) {
        size_t n = count - done < TEXTS_PER_RUN ? count - done : TEXTS_PER_RUN;
        status = capi_model_embed(&c.call, model, kind, texts + done, o.lengths ? o.lengths + done : NULL, n,
                                  !o.raw, out + done * dp_model_dim(model));
        arena_reset(&c.arena);
    }
    return capi_end(&c, status, error);
}

enum dp_status dp_tokenize(const struct dp_model *model, const char *const *texts, size_t count, int32_t *ids,
                           size_t ids_max, size_t *ends, struct dp_error *error)
{
    struct arena arena;
    enum dp_status status =
        capi_need(error, "dp_tokenize", "model", model, "texts", texts, "ids", ids, "ends", ends, NULL);
    size_t used = 0;

    if (status != DP_OK)
        return status;
    if (count == 0)
        return dp_fail(error, DP_INVALID, "dp_tokenize: count is 0; give at least one text");
    arena_init(&arena, CAPI_ROWS_ARENA_MAX);
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        struct tokens tokens;
        if (!texts[i]) {
            status = dp_fail(error, DP_INVALID, "texts[%zu] is NULL", i);
            break;
        }
        status = model_encode(model->model, TEXT_PLAIN, span_str(texts[i]), dp_model_max_tokens(model), &arena,
                              &tokens, error);
        if (status == DP_OK && tokens.count > ids_max - used)
            status = dp_fail(error, DP_TOO_LARGE, "dp_tokenize: the tokens of text %zu do not fit; ids_max is %zu",
                             i, ids_max);
        if (status == DP_OK) {
            memcpy(ids + used, tokens.ids, tokens.count * sizeof *ids);
            used += tokens.count;
            ends[i] = used;
        }
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    return status;
}
