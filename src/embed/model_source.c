/* model_source.c: opens a model folder and hands out its tensors as floats, shapes checked. */
#include "embed/model_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "embed/model_dir.h"
#include "os/file.h"

static const size_t SMALL_FILE_MAX = (size_t)4 << 20, TOKENIZER_FILE_MAX = (size_t)128 << 20,
                    WEIGHTS_FILE_MAX = (size_t)4 << 30, ARENA_MAX = (size_t)64 << 20;

/* Reads one small file of the folder into the arena. A file that is not there: *json is empty, DP_OK, unless
 * `needed`. */
static enum dp_status read_json(struct model_source *s, const char *folder, const char *file, bool needed,
                                struct span *json, struct dp_error *error)
{
    struct buffer text;
    buffer_init(&text, SMALL_FILE_MAX);
    *json = span_of(NULL, 0);
    enum dp_status status;
    const char *path = arena_printf(&s->arena, "%s/%s", folder, file);
    if (path == NULL) {
        status = dp_fail_nomem(error, file);
        goto out;
    }
    status = os_read_file(path, &text, error);
    if (status == DP_NOT_FOUND && !needed) {
        dp_error_clear(error);
        status = DP_OK;
        goto out;
    }
    if (status != DP_OK)
        goto out;
    *json = arena_copy(&s->arena, buffer_span(&text));
    if (json->data == NULL)
        status = dp_fail_nomem(error, file);
out:
    buffer_deinit(&text);
    return status;
}

/* "1_Pooling", of modules.json, becomes part of a path: one plain folder name. */
static bool is_plain_name(struct span name)
{
    return name.len > 0 && name.len < 100 && memchr(name.data, '/', name.len) == NULL &&
           memchr(name.data, '\0', name.len) == NULL && name.data[0] != '.';
}

/* modules.json and the pooling module's config.json. */
static enum dp_status read_modules(struct model_source *s, struct dp_error *error)
{
    struct span json, pooling_folder;
    enum dp_status status = read_json(s, s->folder, "modules.json", false, &json, error);
    if (status != DP_OK || json.data == NULL)
        return status;
    status = model_config_parse_modules(json, &s->arena, &s->config, &pooling_folder, error);
    if (status != DP_OK)
        return status;
    if (!is_plain_name(pooling_folder))
        return dp_fail(error, DP_INVALID, "modules.json: the pooling module's path is not a folder's name");
    const char *file = arena_printf(&s->arena, "%.*s/config.json", SPAN_FMT(pooling_folder));
    if (file == NULL)
        return dp_fail_nomem(error, "a path");
    status = read_json(s, s->folder, file, true, &json, error);
    if (status == DP_OK)
        status = model_config_parse_pooling(json, &s->arena, &s->config, error);
    return status;
}

/* config.json, which `parse` understands, and sentence_bert_config.json. */
static enum dp_status read_sizes(struct model_source *s,
                                 enum dp_status (*parse)(struct span, struct arena *, struct model_config *,
                                                         struct dp_error *),
                                 struct dp_error *error)
{
    struct span json;
    enum dp_status status = read_json(s, s->folder, "config.json", true, &json, error);
    if (status == DP_OK)
        status = parse(json, &s->arena, &s->config, error);
    if (status == DP_OK)
        status = read_json(s, s->folder, "sentence_bert_config.json", false, &json, error);
    if (status == DP_OK && json.data != NULL)
        status = model_config_parse_sentence(json, &s->arena, &s->config, error);
    return status;
}

static enum dp_status read_configs(struct model_source *s, struct dp_error *error)
{
    enum dp_status status = read_sizes(s, model_config_parse, error);
    return status == DP_OK ? read_modules(s, error) : status;
}

/* The same of a model of any type. Modules that are not known need not be, when the graph does their work. */
static enum dp_status read_outline(struct model_source *s, struct dp_error *error)
{
    enum dp_status status = read_sizes(s, model_config_parse_outline, error);
    if (status != DP_OK)
        return status;
    status = read_modules(s, &s->no_pooling);
    if (status != DP_OK && status != DP_UNSUPPORTED && error != NULL)
        *error = s->no_pooling;
    return status == DP_UNSUPPORTED ? DP_OK : status;
}

/* SHA-256 over the digests of weights and tokenizer.json and the parameters that shape a vector. */
static void make_fingerprint(struct model_source *s)
{
    struct {
        uint8_t weights[32], tokenizer[32];
        char parameters[256];
    } parts;
    memset(&parts, 0, sizeof parts);
    sha256(buffer_span(&s->weights), parts.weights);
    sha256(buffer_span(&s->tokenizer_json), parts.tokenizer);
    const struct model_config *c = &s->config;
    snprintf(parts.parameters, sizeof parts.parameters,
             "bert layers=%u heads=%u epsilon=%.9g max_tokens=%u pooling=%s normalize=%d", c->layers, c->heads,
             (double)c->epsilon, c->max_tokens, model_pooling_name(c->pooling), c->normalize);
    sha256(span_of(&parts, sizeof parts), s->fingerprint);
}

/* Base models name tensors "embeddings.…", models with a head "bert.embeddings.…". */
static enum dp_status find_prefix(struct model_source *s, struct dp_error *error)
{
    static const char *const prefixes[] = {"", "bert."};
    char name[80];
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%sembeddings.word_embeddings.weight", prefixes[i]);
        s->prefix = prefixes[i];
        if (safetensors_find(&s->tensors, name) != NULL)
            return DP_OK;
    }
    return dp_fail(error, DP_UNSUPPORTED,
                   "model.safetensors has no embeddings.word_embeddings.weight: not a BERT encoder");
}

/* The folder, its configuration and its tokenizer. */
static enum dp_status open_folder(const char *path,
                                  enum dp_status (*read)(struct model_source *, struct dp_error *),
                                  struct model_source *s, struct dp_error *error)
{
    memset(s, 0, sizeof *s);
    arena_init(&s->arena, ARENA_MAX);
    buffer_init(&s->weights, WEIGHTS_FILE_MAX);
    buffer_init(&s->tokenizer_json, TOKENIZER_FILE_MAX);

    const char *name, *file;
    enum dp_status status = model_dir_find(path, &s->arena, &s->folder, &name, error);
    if (status != DP_OK)
        return status;
    snprintf(s->name, sizeof s->name, "%s", name);
    status = read(s, error);
    if (status != DP_OK) {
        dp_error_prefix(error, "model %s", s->folder);
        return status;
    }
    file = arena_printf(&s->arena, "%s/tokenizer.json", s->folder);
    if (file == NULL)
        return dp_fail_nomem(error, "a path");
    return os_read_file(file, &s->tokenizer_json, error);
}

enum dp_status model_source_open_outline(const char *path, struct model_source *s, struct dp_error *error)
{
    return open_folder(path, read_outline, s, error);
}

enum dp_status model_source_open_settings(const char *path, struct model_source *s, struct dp_error *error)
{
    return open_folder(path, read_configs, s, error);
}

enum dp_status model_source_open(const char *path, struct model_source *s, struct dp_error *error)
{
    enum dp_status status = model_source_open_settings(path, s, error);
    if (status != DP_OK)
        return status;
    const char *file = arena_printf(&s->arena, "%s/model.safetensors", s->folder);
    if (file == NULL)
        return dp_fail_nomem(error, "a path");
    status = os_read_file(file, &s->weights, error);
    if (status != DP_OK)
        return status;
    status = safetensors_parse(buffer_span(&s->weights), &s->arena, &s->tensors, error);
    if (status == DP_OK)
        status = find_prefix(s, error);
    if (status != DP_OK) {
        dp_error_prefix(error, "%s", file);
        return status;
    }
    make_fingerprint(s);
    return DP_OK;
}

void model_source_close(struct model_source *s)
{
    buffer_deinit(&s->weights);
    buffer_deinit(&s->tokenizer_json);
    arena_deinit(&s->arena);
}

/* The tensor prefix + name, which must have the shape [rows][columns], or [columns] when rows is 0. */
static enum dp_status find_tensor(const struct model_source *s, const char *name, size_t rows, size_t columns,
                                  const struct tensor **out, struct dp_error *error)
{
    char full[160];
    snprintf(full, sizeof full, "%s%s", s->prefix, name);
    const struct tensor *t = safetensors_find(&s->tensors, full);
    /* Weights converted from TensorFlow call a norm's scale and shift gamma and beta. */
    size_t len = strlen(full);
    if (t == NULL && strstr(full, "LayerNorm.weight") != NULL)
        snprintf(full + len - strlen("weight"), sizeof full - len, "gamma");
    else if (t == NULL && strstr(full, "LayerNorm.bias") != NULL)
        snprintf(full + len - strlen("bias"), sizeof full - len, "beta");
    if (t == NULL)
        t = safetensors_find(&s->tensors, full);
    if (t == NULL)
        return dp_fail(error, DP_CORRUPT, "model.safetensors of %s lacks the tensor %s", s->name, full);
    bool fits = rows == 0 ? t->dims == 1 && t->shape[0] == columns
                          : t->dims == 2 && t->shape[0] == rows && t->shape[1] == columns;
    if (!fits)
        return dp_fail(error, DP_CORRUPT, "tensor %s of %s does not have the shape that config.json says", full,
                       s->name);
    *out = t;
    return DP_OK;
}

static enum dp_status read_tensor(const struct model_source *s, const char *name, size_t rows, size_t columns,
                                  float *out, struct dp_error *error)
{
    const struct tensor *t = NULL;
    enum dp_status status = find_tensor(s, name, rows, columns, &t, error);
    return status == DP_OK ? tensor_read(t, 0, t->count, out, error) : status;
}

enum dp_status model_source_words(const struct model_source *s, size_t first, size_t count, float *words,
                                  struct dp_error *error)
{
    const struct tensor *t = NULL;
    const struct model_config *c = &s->config;
    enum dp_status status = find_tensor(s, "embeddings.word_embeddings.weight", c->vocab, c->hidden, &t, error);
    return status == DP_OK ? tensor_read(t, first * c->hidden, count * c->hidden, words, error) : status;
}

enum dp_status model_source_positions(const struct model_source *s, float *positions, struct dp_error *error)
{
    const struct model_config *c = &s->config;
    const struct tensor *t = NULL, *types = NULL;
    float *type = mem_alloc(c->hidden * sizeof *type);
    if (type == NULL)
        return dp_fail_nomem(error, "a model");
    enum dp_status status =
        find_tensor(s, "embeddings.position_embeddings.weight", c->positions, c->hidden, &t, error);
    if (status == DP_OK)
        status = tensor_read(t, 0, (uint64_t)c->max_tokens * c->hidden, positions, error);
    /* BERT has two token types, others one; a text has type 0 throughout. */
    if (status == DP_OK)
        status = find_tensor(s, "embeddings.token_type_embeddings.weight", 2, c->hidden, &types, NULL) == DP_OK
                     ? DP_OK
                     : find_tensor(s, "embeddings.token_type_embeddings.weight", 1, c->hidden, &types, error);
    if (status == DP_OK)
        status = tensor_read(types, 0, c->hidden, type, error);
    for (size_t i = 0; status == DP_OK && i < (size_t)c->max_tokens * c->hidden; i++)
        positions[i] += type[i % c->hidden];
    mem_free(type);
    return status;
}

static enum dp_status read_norm(const struct model_source *s, const char *name, float *gamma, float *beta,
                                struct dp_error *error)
{
    char full[120];
    snprintf(full, sizeof full, "%s.weight", name);
    enum dp_status status = read_tensor(s, full, 0, s->config.hidden, gamma, error);
    snprintf(full, sizeof full, "%s.bias", name);
    return status == DP_OK ? read_tensor(s, full, 0, s->config.hidden, beta, error) : status;
}

enum dp_status model_source_embedding_norm(const struct model_source *s, float *gamma, float *beta,
                                           struct dp_error *error)
{
    return read_norm(s, "embeddings.LayerNorm", gamma, beta, error);
}

enum dp_status model_source_norm(const struct model_source *s, unsigned layer, enum norm_kind kind, float *gamma,
                                 float *beta, struct dp_error *error)
{
    char name[80];
    snprintf(name, sizeof name, "encoder.layer.%u.%s", layer,
             kind == NORM_ATTENTION ? "attention.output.LayerNorm" : "output.LayerNorm");
    return read_norm(s, name, gamma, beta, error);
}

static enum dp_status read_dense(const struct model_source *s, unsigned layer, const char *part, size_t n,
                                 size_t k, float *weight, float *bias, struct dp_error *error)
{
    char name[80];
    snprintf(name, sizeof name, "encoder.layer.%u.%s.weight", layer, part);
    enum dp_status status = read_tensor(s, name, n, k, weight, error);
    snprintf(name, sizeof name, "encoder.layer.%u.%s.bias", layer, part);
    return status == DP_OK ? read_tensor(s, name, 0, n, bias, error) : status;
}

enum dp_status model_source_dense(const struct model_source *s, unsigned layer, enum dense_kind kind,
                                  float *weight, float *bias, struct dp_error *error)
{
    static const char *const parts[] = {
        [DENSE_ATTENTION_OUT] = "attention.output.dense",
        [DENSE_FFN_IN] = "intermediate.dense",
        [DENSE_FFN_OUT] = "output.dense",
    };
    static const char *const qkv[] = {"attention.self.query", "attention.self.key", "attention.self.value"};
    size_t n, k, hidden = s->config.hidden;
    dense_shape(&s->config, kind, &n, &k);
    if (kind != DENSE_QKV)
        return read_dense(s, layer, parts[kind], n, k, weight, bias, error);
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < 3 && status == DP_OK; i++)
        status =
            read_dense(s, layer, qkv[i], hidden, hidden, weight + i * hidden * hidden, bias + i * hidden, error);
    return status;
}
