/* bert_config.c: parses config.json. */
#include "embed/folder/bert_config.h"

#include "embed/folder/settings_json.h"

/* Refuses a boolean field that is true. */
static void expect_off(struct json_reader *r, struct span key, const char *why)
{
    bool on = false;
    if (json_peek(r) != JSON_BOOL)
        json_skip(r);
    else if (json_read_bool(r, &on) && on)
        json_reject(r, DP_UNSUPPORTED, "%.*s is true: %s", SPAN_FMT(key), why);
}

/* Reads the activation between a layer's two feed-forward matrices. Refuses all but the exact GELU, which has two
 * names. */
static void read_activation(struct json_reader *r, struct arena *arena, struct span key)
{
    struct span value;
    if (json_read_string(r, arena, &value) && !span_equal_str(value, "gelu") &&
        !span_equal_str(value, "gelu_python"))
        json_reject(r, DP_UNSUPPORTED, "%.*s \"%.*s\": the native engine has only \"gelu\"", SPAN_FMT(key),
                    SPAN_FMT(value));
}

/* Refuses a model with its own Python code: the code may compute something else than the model's type says. */
static void refuse_own_code(struct json_reader *r, struct arena *arena)
{
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        if (span_equal_str(key, "AutoModel"))
            json_reject(r, DP_UNSUPPORTED,
                        "auto_map: the model has Python code (AutoModel), which the native engine cannot run");
        else
            json_skip(r);
    }
}

/* Returns whether `key` is a field that says what the model computes. If so, reads it, and refuses a value that
 * the native engine lacks. */
static bool read_kind(struct json_reader *r, struct arena *arena, struct span key)
{
    if (span_equal_str(key, "hidden_act"))
        read_activation(r, arena, key);
    else if (span_equal_str(key, "position_embedding_type") && json_peek(r) == JSON_STRING)
        settings_expect(r, arena, key, "absolute");
    else if (span_equal_str(key, "is_decoder"))
        expect_off(r, key, "the native engine has encoders, in which each token sees all others");
    else if (span_equal_str(key, "add_cross_attention"))
        expect_off(r, key, "the native engine has no cross-attention");
    else if (span_equal_str(key, "auto_map") && json_peek(r) == JSON_OBJECT)
        refuse_own_code(r, arena);
    else if (span_equal_str(key, "quantization_config") && json_peek(r) != JSON_NULL)
        json_reject(r, DP_UNSUPPORTED,
                    "quantization_config: quantised weights are not supported; use the original model");
    else
        return false;
    return true;
}

enum dp_status bert_config_parse(struct span json, struct arena *arena, struct bert_config *config,
                                 struct dp_error *error)
{
    *config = (struct bert_config){.epsilon = 1e-12f, .types = 2}; /* transformers' defaults */
    struct json_reader r;
    struct span key;
    bool has_type = false;
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        if (read_kind(&r, arena, key))
            continue;
        if (span_equal_str(key, "model_type"))
            has_type = settings_expect(&r, arena, key, "bert");
        else if (span_equal_str(key, "type_vocab_size"))
            settings_u32(&r, &config->types);
        else if (span_equal_str(key, "hidden_size"))
            settings_u32(&r, &config->hidden);
        else if (span_equal_str(key, "num_hidden_layers"))
            settings_u32(&r, &config->layers);
        else if (span_equal_str(key, "num_attention_heads"))
            settings_u32(&r, &config->heads);
        else if (span_equal_str(key, "intermediate_size"))
            settings_u32(&r, &config->intermediate);
        else if (span_equal_str(key, "vocab_size"))
            settings_u32(&r, &config->vocab);
        else if (span_equal_str(key, "max_position_embeddings"))
            settings_u32(&r, &config->positions);
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
        return settings_fail(&r, "config.json", error);
    config->max_tokens = config->positions;
    enum dp_status status = bert_config_check(config, error);
    if (status != DP_OK)
        dp_error_prefix(error, "config.json");
    return status;
}

/* Returns whether models of this type give the first token the position after the padding's id. Their tokens never
 * use the positions up to that id. */
static bool has_offset_positions(struct span type)
{
    static const char *const types[] = {"roberta", "xlm-roberta", "camembert", "mpnet"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (span_equal_str(type, types[i]))
            return true;
    return false;
}

enum dp_status bert_config_parse_classes(struct span json, struct arena *arena, struct span *model_type,
                                         struct span *tokenizer_class, struct dp_error *error)
{
    struct json_reader r;
    struct span key;
    *model_type = *tokenizer_class = span_of(NULL, 0);
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        bool is_type = span_equal_str(key, "model_type");
        if ((is_type || span_equal_str(key, "tokenizer_class")) && json_peek(&r) == JSON_STRING)
            json_read_string(&r, arena, is_type ? model_type : tokenizer_class);
        else
            json_skip(&r);
    }
    return json_failed(&r) ? settings_fail(&r, "config.json", error) : DP_OK;
}

enum dp_status bert_config_parse_outline(struct span json, struct arena *arena, struct bert_config *config,
                                         struct dp_error *error)
{
    *config = (struct bert_config){.vocab = 0};
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
            settings_u32(&r, &config->vocab);
        else if (span_equal_str(key, "max_position_embeddings") || span_equal_str(key, "n_positions"))
            settings_u32(&r, &config->positions);
        else if (span_equal_str(key, "pad_token_id") && json_peek(&r) == JSON_NUMBER)
            settings_u32(&r, &padding);
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
        return settings_fail(&r, "config.json", error);
    config->positions -= config->positions > 0 ? (uint32_t)taken : 0;
    config->max_tokens = config->positions;
    return DP_OK;
}

static enum dp_status check_range(const char *what, uint32_t value, uint32_t most, struct dp_error *error)
{
    if (value >= 1 && value <= most)
        return DP_OK;
    return dp_fail(error, DP_UNSUPPORTED, "%s is %u; between 1 and %u is supported", what, value, most);
}

enum dp_status bert_config_check(const struct bert_config *config, struct dp_error *error)
{
    const struct {
        const char *what;
        uint32_t value, most;
    } checks[] = {{"hidden_size", config->hidden, MODEL_HIDDEN_MAX},
                  {"num_hidden_layers", config->layers, MODEL_LAYERS_MAX},
                  {"num_attention_heads", config->heads, config->hidden},
                  {"intermediate_size", config->intermediate, MODEL_INTERMEDIATE_MAX},
                  {"vocab_size", config->vocab, MODEL_VOCAB_MAX},
                  {"type_vocab_size", config->types, MODEL_TYPES_MAX},
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
