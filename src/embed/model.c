/* model.c: opens models from packed bytes, packed files and folders. */
#include "embed/model_impl.h"

#include <sys/stat.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "embed/native/native_engine.h"
#include "embed/native/packed_writer.h"
#include "simd/simd.h"

static const size_t PACKED_MAX = (size_t)4 << 30;

void model_free(struct model *model)
{
    if (!model)
        return;
    if (model->engine)
        model->engine->ops->free(model->engine);
    tokenizer_free(model->tokenizer);
    prompts_free(&model->prompts);
    packed_model_close(&model->packed);
    fp32_model_close(&model->fp32);
    os_unmap(&model->file);
    mem_free(model->owned);
    mem_free(model);
}

const char *model_pooling_name(enum model_pooling pooling)
{
    static const char *const names[] = {"mean", "cls", "max", "last"};
    return names[pooling];
}

const struct model_info *model_info(const struct model *model)
{
    return &model->info;
}

const struct tokenizer *model_tokenizer(const struct model *model)
{
    return model->tokenizer;
}

const struct engine *model_engine(const struct model *model)
{
    return model->engine;
}

enum dp_status model_check_tokenizer(const struct tokenizer *tokenizer, const struct bert_config *config,
                                     const char *name, struct dp_error *error)
{
    if (tokenizer_id_limit(tokenizer) > config->vocab)
        return dp_fail(error, DP_CORRUPT,
                       "the tokenizer of model %s gives ids up to %u, the model has %u embeddings", name,
                       tokenizer_id_limit(tokenizer), config->vocab);
    if (tokenizer_special_count(tokenizer) >= config->max_tokens)
        return dp_fail(error, DP_UNSUPPORTED,
                       "model %s takes %u tokens, which leaves no room beside the special tokens", name,
                       config->max_tokens);
    return DP_OK;
}

enum dp_status model_set_info(struct model *model, const struct bert_config *config, const char *name,
                              const uint8_t fingerprint[32], const struct prompts *prompts, struct dp_error *error)
{
    memcpy(model->name, name, strlen(name) + 1);
    memcpy(model->own_fingerprint, fingerprint, 32);
    model->info = (struct model_info){
        .name = model->name,
        .dim = model->engine->dim,
        .max_tokens = model->engine->max_tokens,
        .fingerprint = model->fingerprint,
        .engine = model->engine->ops->name,
        .pooling = config->pooling,
        .normalized = config->normalize,
    };
    return model_take_prompts(model, prompts, error);
}

/* Does the last steps of opening a native model: checks, engine, info. The model must have its tokenizer. */
static enum dp_status finish_native(struct model *model, const struct encoder *encoder, const char *name,
                                    const uint8_t fingerprint[32], const struct prompts *prompts,
                                    struct dp_error *error)
{
    enum dp_status status = model_check_tokenizer(model->tokenizer, &encoder->config, name, error);
    if (status == DP_OK)
        status = native_engine_new(encoder, &model->engine, error);
    if (status == DP_OK)
        status = model_set_info(model, &encoder->config, name, fingerprint, prompts, error);
    if (status != DP_OK)
        return status;
    const struct bert_config *c = &encoder->config;
    model->info.precision = encoder->int8 ? MODEL_INT8 : MODEL_FP32;
    model->info.linear_ops = 2.0 * c->layers * c->hidden * (4.0 * c->hidden + 2.0 * c->intermediate);
    model->info.attention_ops = 4.0 * c->layers * c->hidden;
    return DP_OK;
}

static enum dp_status open_packed(struct model *model, struct span bytes, struct dp_error *error)
{
    if ((uintptr_t)bytes.data % PACKED_ALIGN != 0) {
        model->owned = mem_aligned_alloc(PACKED_ALIGN, bytes.len);
        if (!model->owned)
            return dp_fail_nomem(error, "a model");
        memcpy(model->owned, bytes.data, bytes.len);
        bytes.data = model->owned;
    }
    enum dp_status status = packed_model_open(bytes, &model->packed, error);
    if (status == DP_OK)
        status = tokenizer_open_packed(model->packed.tokenizer, &model->tokenizer, error);
    if (status == DP_OK)
        status = finish_native(model, &model->packed.encoder, model->packed.name, model->packed.fingerprint,
                               &model->packed.prompts, error);
    if (status == DP_OK)
        model->info.memory = bytes.len;
    return status;
}

enum dp_status model_begin(struct model **model, struct dp_error *error)
{
    enum dp_status status = simd_check(error);
    if (status != DP_OK)
        return status;
    *model = mem_calloc(1, sizeof **model);
    return !*model ? dp_fail_nomem(error, "a model") : DP_OK;
}

enum dp_status model_end(enum dp_status status, struct model *model, struct model **out)
{
    if (status != DP_OK) {
        model_free(model);
        model = NULL;
    }
    *out = model;
    return status;
}

enum dp_status model_open_memory(struct span packed, struct model **out, struct dp_error *error)
{
    struct model *model = NULL;
    enum dp_status status = model_begin(&model, error);
    if (status == DP_OK)
        status = open_packed(model, packed, error);
    return model_end(status, model, out);
}

static enum dp_status pack_source(const struct model_source *source, struct buffer *out, struct dp_error *error)
{
    struct tokenizer *tokenizer = NULL;
    struct buffer packed_tokenizer;
    buffer_init(&packed_tokenizer, PACKED_MAX);
    enum dp_status status = model_source_tokenizer(source, &tokenizer, error);
    if (status == DP_OK)
        status = tokenizer_serialize(tokenizer, &packed_tokenizer, error);
    if (status == DP_OK)
        status = packed_model_write(source, buffer_span(&packed_tokenizer), out, error);
    tokenizer_free(tokenizer);
    buffer_deinit(&packed_tokenizer);
    return status;
}

enum dp_status model_pack(const char *path, struct buffer *out, struct dp_error *error)
{
    struct model_source source;
    enum dp_status status = model_source_open(path, &source, error);
    if (status == DP_OK)
        status = pack_source(&source, out, error);
    model_source_close(&source);
    return status;
}

static enum dp_status open_fp32(struct model *model, const struct model_source *source, struct dp_error *error)
{
    enum dp_status status = model_source_tokenizer(source, &model->tokenizer, error);
    if (status == DP_OK)
        status = fp32_model_open(source, &model->fp32, error);
    if (status == DP_OK)
        status =
            finish_native(model, &model->fp32.encoder, source->name, source->fingerprint, &source->prompts, error);
    return status;
}

static enum dp_status open_source(struct model *model, const char *path, enum model_precision precision,
                                  struct dp_error *error)
{
    struct model_source source;
    struct buffer packed;
    buffer_init(&packed, PACKED_MAX);
    enum dp_status status = model_source_open(path, &source, error);
    if (status == DP_OK && precision == MODEL_FP32)
        status = open_fp32(model, &source, error);
    else if (status == DP_OK)
        status = pack_source(&source, &packed, error);
    model_source_close(&source);
    if (status == DP_OK && precision == MODEL_INT8) {
        if ((uintptr_t)packed.data % PACKED_ALIGN == 0) {
            model->owned = packed.data;
            struct span bytes = buffer_span(&packed);
            packed.data = NULL;
            packed.len = packed.cap = 0;
            status = open_packed(model, bytes, error);
        } else {
            status = open_packed(model, buffer_span(&packed), error); /* copies the bytes, to align them */
        }
    }
    buffer_deinit(&packed);
    return status;
}

enum dp_status model_open_dir(const char *path, enum model_precision precision, struct model **out,
                              struct dp_error *error)
{
    struct stat info;
    struct model *model = NULL;
    enum dp_status status = model_begin(&model, error);
    if (status != DP_OK)
        return model_end(status, model, out);
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
        status = open_source(model, path, precision, error);
        return model_end(status, model, out);
    }
    if (precision != MODEL_INT8)
        status = dp_fail(error, DP_UNSUPPORTED, "%s is a packed model, which has int8 weights only", path);
    if (status == DP_OK)
        status = os_load_file(path, &model->file, error); /* a new version may be written over the file in use */
    if (status == DP_OK)
        status = open_packed(model, model->file.bytes, error);
    if (status != DP_OK && status != DP_NOMEM)
        dp_error_prefix(error, "%s", path);
    return model_end(status, model, out);
}
