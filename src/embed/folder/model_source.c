/* model_source.c: opens a model folder, checks the shapes of its tensors, and gives them as floats. */
#include "embed/folder/model_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "embed/model.h"
#include "embed/model_dir.h"
#include "embed/folder/sentence_config.h"
#include "embed/folder/tokenizer_config.h"
#include "os/file.h"

static const size_t SMALL_FILE_MAX = (size_t)4 << 20, TOKENIZER_FILE_MAX = (size_t)128 << 20,
                    WEIGHTS_FILE_MAX = (size_t)4 << 30, ARENA_MAX = (size_t)64 << 20;

/* Reads one small file of the folder into the arena. If the file is missing and not `needed`, returns DP_OK and
 * leaves *json empty. */
static enum dp_status read_json(struct model_source *s, const char *folder, const char *file, bool needed,
                                struct span *json, struct dp_error *error)
{
    struct buffer text;
    buffer_init(&text, SMALL_FILE_MAX);
    *json = span_of(NULL, 0);
    enum dp_status status;
    const char *path = arena_printf(&s->arena, "%s/%s", folder, file);
    if (!path) {
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
    if (!json->data)
        status = dp_fail_nomem(error, file);
out:
    buffer_deinit(&text);
    return status;
}

/* Reads a file in a module's folder; "" is the model's folder. */
static enum dp_status read_module_json(struct model_source *s, struct span module, const char *file, bool needed,
                                       struct span *json, struct dp_error *error)
{
    const char *path = module.len > 0 ? arena_printf(&s->arena, "%.*s/%s", SPAN_FMT(module), file) : file;
    return !path ? dp_fail_nomem(error, "a path") : read_json(s, s->folder, path, needed, json, error);
}

/* Reads the files of the Pooling and Normalize modules, which say how the vectors of tokens become one. */
static enum dp_status read_pooling(struct model_source *s, const struct sentence_modules *modules,
                                   struct dp_error *error)
{
    struct span json;
    enum dp_status status = read_module_json(s, modules->pooling, "config.json", true, &json, error);
    if (status == DP_OK)
        status = sentence_pooling_parse(json, &s->arena, &s->config, &s->prompts.are_skipped, error);
    if (status != DP_OK || !modules->normalizes)
        return status;
    s->config.normalize = true;
    status = read_module_json(s, modules->normalize, "config.json", false, &json, error);
    return status == DP_OK && json.data ? sentence_normalize_parse(json, &s->arena, error) : status;
}

/* Reads the transformer module's settings. Older versions of sentence-transformers named the file after the
 * model's type. */
static enum dp_status read_sentence_settings(struct model_source *s, struct sentence_settings *out,
                                             struct dp_error *error)
{
    static const char *const files[] = {"sentence_bert_config.json",       "sentence_roberta_config.json",
                                        "sentence_distilbert_config.json", "sentence_camembert_config.json",
                                        "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
                                        "sentence_xlnet_config.json"};
    struct span json = span_of(NULL, 0);
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files && status == DP_OK && !json.data; i++)
        status = read_json(s, s->transformer, files[i], false, &json, error);
    return status == DP_OK && json.data ? sentence_settings_parse(json, &s->arena, out, error) : status;
}

/* Sets max_tokens to the limit in sentence-transformers' settings. If these give no limit, uses the tokenizer's
 * limit, as sentence-transformers does. Caps max_tokens at the number of positions; sentence-transformers has no
 * such check. */
static void set_max_tokens(struct bert_config *config, uint32_t sentence, uint32_t tokenizer)
{
    uint32_t most = sentence > 0 ? sentence : tokenizer;
    if (config->positions == 0 || most < config->positions)
        config->max_tokens = most;
}

/* Reads config.json with `parse`, and the files that change the tokenizer. */
static enum dp_status read_transformer(struct model_source *s,
                                       enum dp_status (*parse)(struct span, struct arena *, struct bert_config *,
                                                               struct dp_error *),
                                       const struct sentence_settings *sentence, struct dp_error *error)
{
    struct tokenizer_config tokenizer = tokenizer_config_usual();
    struct span json, type, class;
    enum dp_status status = read_json(s, s->transformer, "config.json", true, &json, error);
    if (status == DP_OK)
        status = parse(json, &s->arena, &s->config, error);
    if (status == DP_OK)
        status = bert_config_parse_classes(json, &s->arena, &type, &class, error);
    if (status == DP_OK)
        status = read_json(s, s->transformer, "tokenizer_config.json", false, &json, error);
    if (status == DP_OK && json.data)
        status = tokenizer_config_parse(json, &s->arena, &tokenizer, error);
    if (status != DP_OK)
        return status;
    set_max_tokens(&s->config, sentence->max_tokens, tokenizer.max_tokens);
    s->changes = tokenizer_config_changes(&tokenizer, type, class);
    s->changes.lowercase_first = sentence->lowercases;
    return DP_OK;
}

/* Refuses a folder with an adapter. The adapter changes the vectors, and no other file mentions it. */
static enum dp_status refuse_adapter(const struct model_source *s, struct dp_error *error)
{
    char path[4200];
    struct stat info;
    snprintf(path, sizeof path, "%s/adapter_config.json", s->transformer);
    if (stat(path, &info) != 0)
        return DP_OK;
    return dp_fail(
        error, DP_UNSUPPORTED,
        "it has adapter_config.json: adapters are not supported. Merge it into the model with Python's peft "
        "(merge_and_unload) and save that");
}

/* Reads modules.json, and sets *given to whether the folder has it. Sets the transformer's folder even if a later
 * module is unknown. */
static enum dp_status read_modules(struct model_source *s, struct sentence_modules *modules, bool *given,
                                   struct dp_error *error)
{
    struct span json;
    *modules = (struct sentence_modules){.normalizes = false};
    s->transformer = s->folder;
    enum dp_status status = read_json(s, s->folder, "modules.json", false, &json, error);
    *given = status == DP_OK && json.data;
    if (*given)
        status = sentence_modules_parse(json, &s->arena, modules, error);
    if ((status == DP_OK || status == DP_UNSUPPORTED) && modules->transformer.len > 0)
        s->transformer = arena_printf(&s->arena, "%s/%.*s", s->folder, SPAN_FMT(modules->transformer));
    return !s->transformer ? dp_fail_nomem(error, "a path") : status;
}

static enum dp_status read_prompts(struct model_source *s, struct dp_error *error)
{
    struct span json;
    enum dp_status status = read_json(s, s->folder, "config_sentence_transformers.json", false, &json, error);
    return status == DP_OK && json.data ? prompts_parse(json, &s->arena, &s->prompts, error) : status;
}

static enum dp_status fail_pooling(const struct model_source *s, struct dp_error *error)
{
    if (error)
        *error = s->no_pooling;
    return s->no_pooling.status;
}

/* Reads all small files of the folder. An outline may have unknown modules, because the engine's graph may contain
 * them. */
static enum dp_status read_configs(struct model_source *s, struct dp_error *error)
{
    struct sentence_modules modules;
    struct sentence_settings sentence = {.max_tokens = 0};
    bool given = false;
    enum dp_status status = read_modules(s, &modules, &given, &s->no_pooling);
    bool are_known = status == DP_OK;
    if (!are_known && !(s->is_outline && status == DP_UNSUPPORTED))
        return fail_pooling(s, error);
    status = refuse_adapter(s, error);
    if (status == DP_OK && given)
        status = read_sentence_settings(s, &sentence, error);
    if (status == DP_OK)
        status =
            read_transformer(s, s->is_outline ? bert_config_parse_outline : bert_config_parse, &sentence, error);
    if (status == DP_OK && given)
        status = read_prompts(s, error);
    if (status != DP_OK || !given || !are_known)
        return status;
    status = read_pooling(s, &modules, &s->no_pooling);
    return status == DP_OK || (s->is_outline && status == DP_UNSUPPORTED) ? DP_OK : fail_pooling(s, error);
}

/* Sets the fingerprint: SHA-256 over the digest of the weights, the digest of tokenizer.json, and the parameters
 * that shape a vector. */
static void make_native_fingerprint(struct model_source *s)
{
    struct {
        uint8_t weights[32], tokenizer[32];
        char parameters[256];
    } parts;
    memset(&parts, 0, sizeof parts);
    sha256(buffer_span(&s->weights), parts.weights);
    sha256(buffer_span(&s->tokenizer_json), parts.tokenizer);
    const struct bert_config *c = &s->config;
    char mark[64];
    snprintf(parts.parameters, sizeof parts.parameters,
             "bert layers=%u heads=%u epsilon=%.9g max_tokens=%u pooling=%s normalize=%d%s", c->layers, c->heads,
             (double)c->epsilon, c->max_tokens, model_pooling_name(c->pooling), c->normalize,
             model_source_tokenizer_mark(s, mark));
    sha256(span_of(&parts, sizeof parts), s->fingerprint);
}

enum dp_status model_source_tokenizer(const struct model_source *s, struct tokenizer **out, struct dp_error *error)
{
    return tokenizer_open_changed(buffer_span(&s->tokenizer_json), &s->changes, out, error);
}

/* The mark is empty for the normalizer of bert-base-uncased, which most models have. */
const char *model_source_tokenizer_mark(const struct model_source *s, char out[64])
{
    const struct tokenizer_changes *c = &s->changes;
    out[0] = '\0';
    if (!c->replace_normalizer)
        snprintf(out, 64, " normalizer=file%s", c->lowercase_first ? " lowercase_first" : "");
    else if (!c->chinese_chars || !c->lowercase || !c->strip_accents)
        snprintf(out, 64, " normalizer=%d%d%d%s", c->chinese_chars, c->lowercase, c->strip_accents,
                 c->lowercase_first ? " lowercase_first" : "");
    return out;
}

/* Finds the prefix of the tensors' names: base models have "embeddings.…", models with a head have
 * "bert.embeddings.…". */
static enum dp_status find_prefix(struct model_source *s, struct dp_error *error)
{
    static const char *const prefixes[] = {"", "bert."};
    char name[80];
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%sembeddings.word_embeddings.weight", prefixes[i]);
        s->prefix = prefixes[i];
        if (safetensors_find(&s->tensors, name))
            return DP_OK;
    }
    return dp_fail(error, DP_UNSUPPORTED,
                   "model.safetensors has no embeddings.word_embeddings.weight: not a BERT encoder");
}

static bool has_file(const char *folder, const char *file)
{
    char path[4200];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return stat(path, &info) == 0;
}

/* A file that a folder may have instead of a needed one, and the user's remedy. */
struct file_substitute {
    const char *file, *remedy;
};

#define SAVE_AGAIN "write it with Python's transformers: "

static const struct file_substitute NO_WEIGHTS[] = {
    {"model.safetensors.index.json",
     "it has weights in several files: " SAVE_AGAIN
     "AutoModel.from_pretrained(DIR).save_pretrained(DIR, max_shard_size=\"1TB\")"},
    {"pytorch_model.bin",
     "it has pytorch_model.bin: " SAVE_AGAIN "AutoModel.from_pretrained(DIR).save_pretrained(DIR)"},
    {"pytorch_model.bin.index.json",
     "it has weights in several pytorch_model-….bin: " SAVE_AGAIN
     "AutoModel.from_pretrained(DIR).save_pretrained(DIR, max_shard_size=\"1TB\")"},
    {"tf_model.h5", "it has weights for TensorFlow (tf_model.h5): get those for PyTorch"},
    {"flax_model.msgpack", "it has weights for Flax (flax_model.msgpack): get those for PyTorch"},
};

static const struct file_substitute NO_TOKENIZER[] = {
    {"vocab.txt", "it has vocab.txt alone: " SAVE_AGAIN "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"},
    {"sentencepiece.bpe.model",
     "its tokenizer is SentencePiece's (sentencepiece.bpe.model), which is not supported"},
    {"spiece.model", "its tokenizer is SentencePiece's (spiece.model), which is not supported"},
    {"tokenizer.model", "its tokenizer is SentencePiece's (tokenizer.model), which is not supported"},
    {"merges.txt", "its tokenizer is a byte-pair encoding (merges.txt), which is not supported"},
};

/* Fails because `file` is missing. The error names the substitute that the folder has, and its remedy. */
static enum dp_status explain_missing(const char *folder, const char *file, const struct file_substitute *known,
                                      size_t count, struct dp_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (has_file(folder, known[i].file))
            return dp_fail(error, DP_NOT_FOUND, "model %s has no %s; %s", folder, file, known[i].remedy);
    return dp_fail(error, DP_NOT_FOUND, "there is no %s/%s", folder, file);
}

/* Reads a needed file of the transformer's folder. */
static enum dp_status read_needed(const struct model_source *s, const char *file,
                                  const struct file_substitute *known, size_t count, struct buffer *out,
                                  struct dp_error *error)
{
    char path[4200];
    if (!has_file(s->transformer, file))
        return explain_missing(s->transformer, file, known, count, error);
    snprintf(path, sizeof path, "%s/%s", s->transformer, file);
    return os_read_file(path, out, error);
}

/* Opens the folder, its configuration and its tokenizer. */
static enum dp_status open_folder(const char *path, bool is_outline, struct model_source *s,
                                  struct dp_error *error)
{
    memset(s, 0, sizeof *s);
    s->is_outline = is_outline;
    arena_init(&s->arena, ARENA_MAX);
    buffer_init(&s->weights, WEIGHTS_FILE_MAX);
    buffer_init(&s->tokenizer_json, TOKENIZER_FILE_MAX);

    const char *name;
    enum dp_status status = model_dir_find(path, &s->arena, &s->folder, &name, error);
    if (status != DP_OK)
        return status;
    snprintf(s->name, sizeof s->name, "%s", name);
    status = read_configs(s, error);
    if (status != DP_OK) {
        dp_error_prefix(error, "model %s", s->folder);
        return status;
    }
    return read_needed(s, "tokenizer.json", NO_TOKENIZER, sizeof NO_TOKENIZER / sizeof *NO_TOKENIZER,
                       &s->tokenizer_json, error);
}

enum dp_status model_source_open_outline(const char *path, struct model_source *s, struct dp_error *error)
{
    return open_folder(path, true, s, error);
}

enum dp_status model_source_open_settings(const char *path, struct model_source *s, struct dp_error *error)
{
    return open_folder(path, false, s, error);
}

enum dp_status model_source_check_weights(const struct model_source *s, struct dp_error *error)
{
    if (has_file(s->transformer, "model.safetensors"))
        return DP_OK;
    return explain_missing(s->transformer, "model.safetensors", NO_WEIGHTS, sizeof NO_WEIGHTS / sizeof *NO_WEIGHTS,
                           error);
}

enum dp_status model_source_open(const char *path, struct model_source *s, struct dp_error *error)
{
    enum dp_status status = model_source_open_settings(path, s, error);
    if (status == DP_OK)
        status = read_needed(s, "model.safetensors", NO_WEIGHTS, sizeof NO_WEIGHTS / sizeof *NO_WEIGHTS,
                             &s->weights, error);
    if (status != DP_OK)
        return status;
    status = safetensors_parse(buffer_span(&s->weights), &s->arena, &s->tensors, error);
    if (status == DP_OK)
        status = find_prefix(s, error);
    if (status != DP_OK) {
        dp_error_prefix(error, "%s/model.safetensors", s->transformer);
        return status;
    }
    make_native_fingerprint(s);
    return DP_OK;
}

void model_source_close(struct model_source *s)
{
    buffer_deinit(&s->weights);
    buffer_deinit(&s->tokenizer_json);
    arena_deinit(&s->arena);
}

/* Finds the tensor prefix + name. DP_CORRUPT unless its shape is [rows][columns], or [columns] when rows is 0. */
static enum dp_status find_tensor(const struct model_source *s, const char *name, size_t rows, size_t columns,
                                  const struct tensor **out, struct dp_error *error)
{
    char full[160];
    snprintf(full, sizeof full, "%s%s", s->prefix, name);
    const struct tensor *t = safetensors_find(&s->tensors, full);
    /* Weights that came from TensorFlow name a norm's scale and shift gamma and beta. */
    size_t len = strlen(full);
    if (!t && strstr(full, "LayerNorm.weight"))
        snprintf(full + len - strlen("weight"), sizeof full - len, "gamma");
    else if (!t && strstr(full, "LayerNorm.bias"))
        snprintf(full + len - strlen("bias"), sizeof full - len, "beta");
    if (!t)
        t = safetensors_find(&s->tensors, full);
    if (!t)
        return dp_fail(error, DP_CORRUPT, "model.safetensors of %s lacks the tensor %s", s->name, full);
    bool fits = rows == 0 ? t->dims == 1 && t->shape[0] == columns
                          : t->dims == 2 && t->shape[0] == rows && t->shape[1] == columns;
    if (!fits)
        return dp_fail(error, DP_CORRUPT, "tensor %s of %s does not have the shape that config.json says", full,
                       s->name);
    *out = t;
    return DP_OK;
}

static enum dp_status read_matrix(const struct model_source *s, const char *name, size_t rows, size_t columns,
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
    const struct bert_config *c = &s->config;
    enum dp_status status = find_tensor(s, "embeddings.word_embeddings.weight", c->vocab, c->hidden, &t, error);
    return status == DP_OK ? tensor_read(t, first * c->hidden, count * c->hidden, words, error) : status;
}

enum dp_status model_source_positions(const struct model_source *s, float *positions, struct dp_error *error)
{
    const struct bert_config *c = &s->config;
    const struct tensor *t = NULL, *types = NULL;
    float *type = mem_alloc(c->hidden * sizeof *type);
    if (!type)
        return dp_fail_nomem(error, "a model");
    enum dp_status status =
        find_tensor(s, "embeddings.position_embeddings.weight", c->positions, c->hidden, &t, error);
    if (status == DP_OK)
        status = tensor_read(t, 0, (uint64_t)c->max_tokens * c->hidden, positions, error);
    /* All tokens of a text have type 0. */
    if (status == DP_OK)
        status = find_tensor(s, "embeddings.token_type_embeddings.weight", c->types, c->hidden, &types, error);
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
    enum dp_status status = read_matrix(s, full, 0, s->config.hidden, gamma, error);
    snprintf(full, sizeof full, "%s.bias", name);
    return status == DP_OK ? read_matrix(s, full, 0, s->config.hidden, beta, error) : status;
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
    enum dp_status status = read_matrix(s, name, n, k, weight, error);
    snprintf(name, sizeof name, "encoder.layer.%u.%s.bias", layer, part);
    return status == DP_OK ? read_matrix(s, name, 0, n, bias, error) : status;
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
