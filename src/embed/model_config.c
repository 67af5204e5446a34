/* model_config.c: parses the small JSON files of a model folder. */
#include "embed/model_config.h"

#include "base/json.h"

const char *model_pooling_name(enum model_pooling pooling)
{
    static const char *const names[] = {"mean", "cls", "max", "last"};
    return names[pooling];
}

static enum dp_status fail_json(const struct json_reader *r, const char *file, struct dp_error *error)
{
    enum dp_status status = json_error(r, error);
    dp_error_prefix(error, "%s", file);
    return status;
}

static bool read_u32(struct json_reader *r, uint32_t *out)
{
    uint64_t value;
    if (!json_read_u64(r, &value))
        return false;
    *out = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    return true;
}

/* Reads a string that must be `only`; anything else is refused by name. */
static bool expect_string(struct json_reader *r, struct arena *arena, const char *key, const char *only)
{
    struct span value;
    if (!json_read_string(r, arena, &value))
        return false;
    if (!span_equal_str(value, only))
        json_reject(r, DP_UNSUPPORTED, "%s \"%.*s\": the native engine has only \"%s\"", key, SPAN_FMT(value),
                    only);
    return !json_failed(r);
}

enum dp_status model_config_parse(struct span json, struct arena *arena, struct model_config *config,
                                  struct dp_error *error)
{
    *config = (struct model_config){.epsilon = 1e-12f};
    struct json_reader r;
    struct span key;
    bool has_type = false;
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        if (span_equal_str(key, "model_type"))
            has_type = expect_string(&r, arena, "model_type", "bert");
        else if (span_equal_str(key, "hidden_act"))
            expect_string(&r, arena, "hidden_act", "gelu");
        else if (span_equal_str(key, "position_embedding_type") && json_peek(&r) == JSON_STRING)
            expect_string(&r, arena, "position_embedding_type", "absolute");
        else if (span_equal_str(key, "hidden_size"))
            read_u32(&r, &config->hidden);
        else if (span_equal_str(key, "num_hidden_layers"))
            read_u32(&r, &config->layers);
        else if (span_equal_str(key, "num_attention_heads"))
            read_u32(&r, &config->heads);
        else if (span_equal_str(key, "intermediate_size"))
            read_u32(&r, &config->intermediate);
        else if (span_equal_str(key, "vocab_size"))
            read_u32(&r, &config->vocab);
        else if (span_equal_str(key, "max_position_embeddings"))
            read_u32(&r, &config->positions);
        else if (span_equal_str(key, "layer_norm_eps"))
            json_read_float(&r, &config->epsilon);
        else
            json_skip(&r);
    }
    if (!json_failed(&r))
        json_end(&r);
    if (!json_failed(&r) && !has_type)
        json_reject(&r, DP_UNSUPPORTED, "no model_type: the native engine reads \"bert\"");
    if (json_failed(&r))
        return fail_json(&r, "config.json", error);
    config->max_tokens = config->positions;
    enum dp_status status = model_config_check(config, error);
    if (status != DP_OK)
        dp_error_prefix(error, "config.json");
    return status;
}

/* Types whose positions begin behind the padding's id: so many are not for tokens. */
static bool has_offset_positions(struct span type)
{
    static const char *const types[] = {"roberta", "xlm-roberta", "camembert", "mpnet"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (span_equal_str(type, types[i]))
            return true;
    return false;
}

enum dp_status model_config_parse_outline(struct span json, struct arena *arena, struct model_config *config,
                                          struct dp_error *error)
{
    *config = (struct model_config){.vocab = 0};
    struct json_reader r;
    struct span key, type = span_of(NULL, 0);
    uint32_t padding = 1;
    uint64_t taken = 0;
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        if (span_equal_str(key, "model_type"))
            json_read_string(&r, arena, &type);
        else if (span_equal_str(key, "vocab_size"))
            read_u32(&r, &config->vocab);
        else if (span_equal_str(key, "max_position_embeddings") || span_equal_str(key, "n_positions"))
            read_u32(&r, &config->positions);
        else if (span_equal_str(key, "pad_token_id") && json_peek(&r) == JSON_NUMBER)
            read_u32(&r, &padding);
        else
            json_skip(&r);
    }
    if (!json_failed(&r))
        json_end(&r);
    if (!json_failed(&r) && config->vocab > MODEL_VOCAB_MAX)
        json_reject(&r, DP_UNSUPPORTED, "vocab_size is %u; up to %d is supported", config->vocab, MODEL_VOCAB_MAX);
    taken = has_offset_positions(type) ? (uint64_t)padding + 1 : 0;
    if (!json_failed(&r) && config->positions > 0 && config->positions <= taken)
        json_reject(&r, DP_INVALID, "max_position_embeddings %u leaves no room behind pad_token_id %u",
                    config->positions, padding);
    if (json_failed(&r))
        return fail_json(&r, "config.json", error);
    config->positions -= config->positions > 0 ? (uint32_t)taken : 0;
    config->max_tokens = config->positions;
    return DP_OK;
}

/* The part behind the last dot of "sentence_transformers.models.Pooling". */
static struct span last_word(struct span type)
{
    for (size_t i = type.len; i > 0; i--)
        if (type.data[i - 1] == '.')
            return span_of(type.data + i, type.len - i);
    return type;
}

enum dp_status model_config_parse_modules(struct span json, struct arena *arena, struct model_config *config,
                                          struct span *pooling_folder, struct dp_error *error)
{
    struct json_reader r;
    bool has_pooling = false;
    *pooling_folder = span_of(NULL, 0);
    config->normalize = false;
    json_reader_init(&r, json);
    json_enter_array(&r);
    for (unsigned i = 0; json_next_item(&r); i++) {
        struct span key, type = span_of(NULL, 0), path = span_of(NULL, 0);
        json_enter_object(&r);
        while (json_next_key(&r, arena, &key)) {
            if (span_equal_str(key, "type"))
                json_read_string(&r, arena, &type);
            else if (span_equal_str(key, "path"))
                json_read_string(&r, arena, &path);
            else
                json_skip(&r);
        }
        if (json_failed(&r))
            break;
        struct span module = last_word(type);
        if (i == 0 && span_equal_str(module, "Transformer") && path.len == 0)
            continue;
        if (i == 1 && span_equal_str(module, "Pooling")) {
            has_pooling = true;
            *pooling_folder = path;
        } else if (i > 1 && span_equal_str(module, "Normalize")) {
            config->normalize = true;
        } else {
            json_reject(&r, DP_UNSUPPORTED,
                        "module %u is %.*s: the native engine has Transformer, Pooling, then Normalize", i,
                        SPAN_FMT(type));
        }
    }
    if (!json_failed(&r))
        json_end(&r);
    if (!json_failed(&r) && !has_pooling)
        json_reject(&r, DP_UNSUPPORTED, "no Pooling module");
    return json_failed(&r) ? fail_json(&r, "modules.json", error) : DP_OK;
}

enum dp_status model_config_parse_pooling(struct span json, struct arena *arena, struct model_config *config,
                                          struct dp_error *error)
{
    static const struct {
        const char *key;
        enum model_pooling pooling;
    } modes[] = {{"pooling_mode_mean_tokens", POOLING_MEAN},
                 {"pooling_mode_cls_token", POOLING_CLS},
                 {"pooling_mode_max_tokens", POOLING_MAX},
                 {"pooling_mode_lasttoken", POOLING_LAST}};
    struct json_reader r;
    struct span key;
    unsigned chosen = 0;
    uint32_t width = config->hidden;
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        if (span_equal_str(key, "word_embedding_dimension")) {
            read_u32(&r, &width);
            continue;
        }
        bool on = false;
        if (!span_starts_with(key, span_str("pooling_mode_"))) {
            json_skip(&r);
            continue;
        }
        if (!json_read_bool(&r, &on) || !on)
            continue;
        size_t i = 0, n = sizeof modes / sizeof *modes;
        while (i < n && !span_equal_str(key, modes[i].key))
            i++;
        if (i == n) {
            json_reject(&r, DP_UNSUPPORTED, "%.*s: mean, cls, max and last token are supported", SPAN_FMT(key));
            break;
        }
        config->pooling = modes[i].pooling;
        chosen++;
    }
    if (!json_failed(&r))
        json_end(&r);
    if (!json_failed(&r) && chosen != 1)
        json_reject(&r, DP_UNSUPPORTED, "%u pooling modes are chosen; exactly one is supported", chosen);
    if (!json_failed(&r) && config->hidden != 0 && width != config->hidden)
        json_reject(&r, DP_INVALID, "word_embedding_dimension %u is not the model's hidden_size %u", width,
                    config->hidden);
    return json_failed(&r) ? fail_json(&r, "pooling config.json", error) : DP_OK;
}

enum dp_status model_config_parse_sentence(struct span json, struct arena *arena, struct model_config *config,
                                           struct dp_error *error)
{
    struct json_reader r;
    struct span key;
    uint32_t most = UINT32_MAX;
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        if (span_equal_str(key, "max_seq_length") && json_peek(&r) != JSON_NULL)
            read_u32(&r, &most);
        else
            json_skip(&r);
    }
    if (!json_failed(&r))
        json_end(&r);
    if (!json_failed(&r) && most < 3)
        json_reject(&r, DP_INVALID, "max_seq_length %u has no room for a word", most);
    if (json_failed(&r))
        return fail_json(&r, "sentence_bert_config.json", error);
    if (config->max_tokens == 0 || most < config->max_tokens)
        config->max_tokens = most;
    return DP_OK;
}

static enum dp_status check_range(const char *what, uint32_t value, uint32_t most, struct dp_error *error)
{
    if (value >= 1 && value <= most)
        return DP_OK;
    return dp_fail(error, DP_UNSUPPORTED, "%s is %u; between 1 and %u is supported", what, value, most);
}

enum dp_status model_config_check(const struct model_config *config, struct dp_error *error)
{
    const struct {
        const char *what;
        uint32_t value, most;
    } checks[] = {{"hidden_size", config->hidden, MODEL_HIDDEN_MAX},
                  {"num_hidden_layers", config->layers, MODEL_LAYERS_MAX},
                  {"num_attention_heads", config->heads, config->hidden},
                  {"intermediate_size", config->intermediate, MODEL_INTERMEDIATE_MAX},
                  {"vocab_size", config->vocab, MODEL_VOCAB_MAX},
                  {"max_position_embeddings", config->positions, MODEL_TOKENS_MAX},
                  {"the number of tokens", config->max_tokens, config->positions}};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        enum dp_status status = check_range(checks[i].what, checks[i].value, checks[i].most, error);
        if (status != DP_OK)
            return status;
    }
    if (config->hidden % config->heads != 0)
        return dp_fail(error, DP_UNSUPPORTED, "num_attention_heads %u does not divide hidden_size %u",
                       config->heads, config->hidden);
    if (!(config->epsilon >= 0.0f && config->epsilon < 1.0f))
        return dp_fail(error, DP_UNSUPPORTED, "layer_norm_eps is not between 0 and 1");
    return DP_OK;
}
