/* model_onnx.c: opens a model folder whose encoder is an ONNX file. */
#include "embed/model_impl.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checksum.h"
#include "embed/folder/model_source.h"
#include "embed/onnx_engine.h"
#include "embed/onnx/onnx_file.h"
#include "os/cpu.h"

enum { TOKENS_USUAL = 512 }; /* maximum tokens of a text, if the folder does not say */

/* Fills the fields that the folder does not give. */
static void complete_config(struct bert_config *c, const struct tokenizer *tokenizer)
{
    if (c->vocab == 0)
        c->vocab = tokenizer_id_limit(tokenizer);
    if (c->max_tokens == 0 || c->max_tokens == UINT32_MAX)
        c->max_tokens = TOKENS_USUAL;
    if (c->max_tokens > MODEL_TOKENS_MAX)
        c->max_tokens = MODEL_TOKENS_MAX;
}

/* Computes the fingerprint: SHA-256 over the digest of the graph, the digest of tokenizer.json, and the parameters
 * that shape a vector. It always differs from a native model's fingerprint, because equal weights in another graph
 * give close vectors, not equal ones. */
static enum dp_status make_onnx_fingerprint(const struct model_source *s, const char *file, struct arena *arena,
                                            unsigned batch, uint8_t fingerprint[32], struct dp_error *error)
{
    struct {
        uint8_t graph[32], tokenizer[32];
        char parameters[256];
    } parts;
    memset(&parts, 0, sizeof parts);
    enum dp_status status = onnx_file_digest(file, arena, parts.graph, error);
    if (status != DP_OK)
        return status;
    sha256(buffer_span(&s->tokenizer_json), parts.tokenizer);
    const struct bert_config *c = &s->config;
    char mark[64];
    snprintf(parts.parameters, sizeof parts.parameters, "onnx max_tokens=%u pooling=%s normalize=%d batch=%u%s",
             c->max_tokens, s->no_pooling.status == DP_OK ? model_pooling_name(c->pooling) : "graph", c->normalize,
             batch, model_source_tokenizer_mark(s, mark));
    sha256(span_of(&parts, sizeof parts), fingerprint);
    return DP_OK;
}

/* Refuses a model whose pooling leaves out the prompt's tokens if its graph pools by itself: the graph cannot do
 * that. */
static enum dp_status check_prompts(const struct model_source *s, const struct engine *engine,
                                    struct dp_error *error)
{
    if (!s->prompts.are_skipped || onnx_engine_pools(engine))
        return DP_OK;
    return dp_fail(
        error, DP_UNSUPPORTED,
        "model %s: include_prompt is false, but the graph pools by itself: export it with last_hidden_state",
        s->folder);
}

static enum dp_status open_onnx_folder(struct model *model, struct model_source *s,
                                       const struct onnx_options *options, struct dp_error *error)
{
    const char *path = NULL, *name = NULL;
    struct stat info;
    uint8_t fingerprint[32];
    unsigned batch = options->batch > 0 ? options->batch : 1;
    enum dp_status status = model_source_tokenizer(s, &model->tokenizer, error);
    if (status != DP_OK)
        return status;
    complete_config(&s->config, model->tokenizer);
    status = model_check_tokenizer(model->tokenizer, &s->config, s->name, error);
    if (status == DP_OK)
        status = onnx_file_find(s->transformer, options->file, &s->arena, &path, &name, error);
    if (status != DP_OK)
        return status;
    const struct onnx_engine_options engine = {
        .library = options->library,
        .file = path,
        .threads = options->threads > 0 ? options->threads : os_cpu_count(),
        .threads_a_text = options->threads_a_text,
        .batch = batch,
        .max_tokens = s->config.max_tokens,
        .vocab = s->config.vocab,
        .pools = s->no_pooling.status == DP_OK,
        .pooling = s->config.pooling,
    };
    status = onnx_engine_new(&engine, &model->engine, error);
    if (status == DP_UNSUPPORTED && !engine.pools && s->no_pooling.message[0] != '\0')
        dp_error_prefix(error, "%s", s->no_pooling.message);
    if (status == DP_OK)
        status = check_prompts(s, model->engine, error);
    if (status == DP_OK)
        status = make_onnx_fingerprint(s, path, &s->arena, batch, fingerprint, error);
    if (status == DP_OK)
        status = model_set_info(model, &s->config, s->name, fingerprint, &s->prompts, error);
    if (status != DP_OK)
        return status;
    snprintf(model->engine_name, sizeof model->engine_name, "%.60s by %s", name,
             onnx_engine_library(model->engine));
    model->info.engine = model->engine_name;
    model->info.precision = MODEL_FP32;
    model->info.memory = stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
    return DP_OK;
}

enum dp_status model_open_onnx(const char *path, const struct onnx_options *options, struct model **out,
                               struct dp_error *error)
{
    struct model_source source;
    struct model *model = NULL;
    enum dp_status status = model_begin(&model, error);
    if (status != DP_OK)
        return model_end(status, model, out);
    status = model_source_open_outline(path, &source, error);
    if (status == DP_OK)
        status = open_onnx_folder(model, &source, options, error);
    model_source_close(&source);
    return model_end(status, model, out);
}
