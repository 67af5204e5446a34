/* sentence_config.c: parses the files that sentence-transformers adds to a model folder. */
#include "embed/folder/sentence_config.h"

#include <string.h>

#include "base/json.h"
#include "embed/folder/settings_json.h"

/* ---- modules.json ---------------------------------------------------------------------------------------- */

/* Returns "Pooling" for "sentence_transformers.models.Pooling": the part after the last dot. Returns the whole
 * name of a class that is code in the model. */
static struct span module_of(struct span type)
{
    for (size_t i = type.len; span_starts_with(type, span_str("sentence_transformers.")) && i > 0; i--)
        if (type.data[i - 1] == '.')
            return span_of(type.data + i, type.len - i);
    return type;
}

/* Returns whether a module's path, such as "1_Pooling", is a plain folder name, which cannot lead out of the
 * model's folder. */
static bool is_plain_name(struct span name)
{
    return name.len > 0 && name.len < 100 && !memchr(name.data, '/', name.len) &&
           !memchr(name.data, '\\', name.len) && !memchr(name.data, '\0', name.len) && name.data[0] != '.';
}

struct sentence_module {
    struct span type, path;
};

static void read_module(struct json_reader *r, struct arena *arena, struct sentence_module *m)
{
    struct span key;
    *m = (struct sentence_module){.path = span_of(NULL, 0)};
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        if (span_equal_str(key, "type"))
            json_read_string(r, arena, &m->type);
        else if (span_equal_str(key, "path"))
            json_read_string(r, arena, &m->path);
        else
            json_skip(r);
    }
}

/* Notes a module at position `place` of the file. False if the module is unknown, or not supported in this
 * place. */
static bool take_module(struct sentence_modules *out, unsigned place, const struct sentence_module *m)
{
    struct span module = module_of(m->type);
    if (place == 0 && span_equal_str(module, "Transformer")) {
        out->transformer = m->path;
    } else if (place == 1 && span_equal_str(module, "Pooling")) {
        out->pooling = m->path;
    } else if (place > 1 && span_equal_str(module, "Normalize")) {
        out->normalizes = true;
        out->normalize = m->path;
    } else {
        return place > 0 && span_equal_str(module, "Dropout"); /* it drops nothing outside training */
    }
    return true;
}

enum dp_status sentence_modules_parse(struct span json, struct arena *arena, struct sentence_modules *out,
                                      struct dp_error *error)
{
    struct json_reader r;
    struct sentence_module m;
    bool has_pooling = false;
    *out = (struct sentence_modules){.normalizes = false};
    json_reader_init(&r, json);
    json_enter_array(&r);
    for (unsigned i = 0; json_next_item(&r); i++) {
        read_module(&r, arena, &m);
        if (json_failed(&r))
            break;
        bool may_be_empty = i == 0; /* the Transformer may lie in the model's folder itself */
        if (!(may_be_empty && m.path.len == 0) && !is_plain_name(m.path))
            json_reject(&r, DP_INVALID, "the path of module %u is not a folder's name", i);
        else if (!take_module(out, i, &m))
            json_reject(&r, DP_UNSUPPORTED,
                        "module %u is %.*s: supported are Transformer, Pooling, then Normalize", i,
                        SPAN_FMT(m.type));
        has_pooling = has_pooling || i == 1;
    }
    if (!json_failed(&r))
        json_end(&r);
    if (!json_failed(&r) && !has_pooling)
        json_reject(&r, DP_UNSUPPORTED, "no Pooling module");
    return json_failed(&r) ? settings_fail(&r, "modules.json", error) : DP_OK;
}

/* ---- pooling --------------------------------------------------------------------------------------------- */

static const struct {
    const char *flag, *name;
    int pooling; /* enum model_pooling, or -1: no engine of ours computes it */
} MODES[] = {
    {"pooling_mode_cls_token", "cls", POOLING_CLS},
    {"pooling_mode_max_tokens", "max", POOLING_MAX},
    {"pooling_mode_mean_tokens", "mean", POOLING_MEAN},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", -1},
    {"pooling_mode_weightedmean_tokens", "weightedmean", -1},
    {"pooling_mode_lasttoken", "lasttoken", POOLING_LAST},
};
enum { MODE_COUNT = sizeof MODES / sizeof *MODES };

/* The modes that a file chooses in one of the two spellings: "pooling_mode", or one boolean per mode. */
struct chosen_modes {
    unsigned count;
    enum model_pooling pooling;
};

static void choose_mode(struct json_reader *r, struct span key, bool is_flag, struct chosen_modes *out)
{
    for (size_t i = 0; i < MODE_COUNT; i++) {
        if (!span_equal_str(key, is_flag ? MODES[i].flag : MODES[i].name))
            continue;
        if (MODES[i].pooling < 0)
            break;
        out->pooling = (enum model_pooling)MODES[i].pooling;
        out->count++;
        return;
    }
    json_reject(r, DP_UNSUPPORTED, "%.*s: mean, cls, max and last token are supported", SPAN_FMT(key));
}

/* Reads "mean", or an array of modes. */
static void read_modes(struct json_reader *r, struct arena *arena, struct chosen_modes *out)
{
    struct span mode;
    *out = (struct chosen_modes){.count = 0};
    if (json_peek(r) == JSON_STRING) {
        if (json_read_string(r, arena, &mode))
            choose_mode(r, mode, false, out);
        return;
    }
    json_enter_array(r);
    while (json_next_item(r) && json_read_string(r, arena, &mode))
        choose_mode(r, mode, false, out);
}

enum dp_status sentence_pooling_parse(struct span json, struct arena *arena, struct bert_config *config,
                                      bool *skips_prompt, struct dp_error *error)
{
    struct json_reader r;
    struct span key;
    struct chosen_modes modes = {.count = 0}, flags = {.count = 0};
    bool has_modes = false, on = true;
    uint32_t width = config->hidden;
    *skips_prompt = false;
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        if (span_equal_str(key, "word_embedding_dimension") || span_equal_str(key, "embedding_dimension")) {
            settings_u32(&r, &width);
        } else if (span_equal_str(key, "pooling_mode")) {
            has_modes = true;
            read_modes(&r, arena, &modes);
        } else if (span_starts_with(key, span_str("pooling_mode_"))) {
            if (json_read_bool(&r, &on) && on)
                choose_mode(&r, key, true, &flags);
        } else if (span_equal_str(key, "include_prompt")) {
            if (json_read_bool(&r, &on))
                *skips_prompt = !on;
        } else {
            json_skip(&r);
        }
    }
    if (!json_failed(&r))
        json_end(&r);
    struct chosen_modes chosen = has_modes ? modes : flags; /* the library too prefers "pooling_mode" */
    if (!json_failed(&r) && chosen.count > 1)
        json_reject(&r, DP_UNSUPPORTED, "%u pooling modes are chosen; exactly one is supported", chosen.count);
    if (!json_failed(&r) && has_modes && chosen.count == 0)
        json_reject(&r, DP_INVALID, "pooling_mode is an empty array");
    if (!json_failed(&r) && config->hidden != 0 && width != config->hidden)
        json_reject(&r, DP_INVALID, "embedding_dimension %u is not the model's hidden_size %u", width,
                    config->hidden);
    config->pooling = chosen.count > 0 ? chosen.pooling : POOLING_MEAN;
    return json_failed(&r) ? settings_fail(&r, "pooling config.json", error) : DP_OK;
}

enum dp_status sentence_normalize_parse(struct span json, struct arena *arena, struct dp_error *error)
{
    struct json_reader r;
    struct span key;
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        bool named = span_equal_str(key, "module_input_name") || span_equal_str(key, "module_output_name");
        if (named && json_peek(&r) != JSON_NULL)
            settings_expect(&r, arena, key, "sentence_embedding");
        else
            json_skip(&r);
    }
    if (!json_failed(&r))
        json_end(&r);
    return json_failed(&r) ? settings_fail(&r, "config.json of Normalize", error) : DP_OK;
}

/* ---- sentence_bert_config.json --------------------------------------------------------------------------- */

/* Reads an object of arguments for the library's classes. Skips arguments that change no vector, takes
 * "model_max_length", and refuses any other. */
static void read_arguments(struct json_reader *r, struct arena *arena, struct span of, uint32_t *most)
{
    static const char *const harmless[] = {
        "trust_remote_code",
        "local_files_only",
        "use_fast",
        "torch_dtype",
        "dtype",
        "attn_implementation",
        "padding_side",
        "use_safetensors",
        "add_pooling_layer",
        "low_cpu_mem_usage",
        "revision",
        "device_map",
        "padding",
        "cache_dir",
        "token",
        "subfolder",
    };
    struct span key;
    if (json_peek(r) == JSON_NULL) {
        json_skip(r);
        return;
    }
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        if (span_equal_str(key, "model_max_length"))
            settings_limit(r, most);
        else if (span_one_of(key, harmless, sizeof harmless / sizeof *harmless))
            json_skip(r);
        else
            json_reject(r, DP_UNSUPPORTED, "\"%.*s\" in \"%.*s\" is not supported", SPAN_FMT(key), SPAN_FMT(of));
    }
}

/* Reads {"text": {"method": "forward", "method_output_name": "last_hidden_state"}} and refuses other values. */
static void read_modalities(struct json_reader *r, struct arena *arena)
{
    struct span key, inner;
    bool has_text = false;
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        if (!span_equal_str(key, "text")) {
            json_skip(r);
            continue;
        }
        has_text = true;
        json_enter_object(r);
        while (json_next_key(r, arena, &inner)) {
            if (span_equal_str(inner, "method"))
                settings_expect(r, arena, inner, "forward");
            else if (span_equal_str(inner, "method_output_name") && json_peek(r) == JSON_STRING)
                settings_expect(r, arena, inner, "last_hidden_state");
            else
                json_skip(r);
        }
    }
    if (!json_failed(r) && !has_text)
        json_reject(r, DP_UNSUPPORTED, "modality_config has no \"text\"");
}

/* Refuses a field unless it is null or an empty object. */
static void read_unset(struct json_reader *r, struct span key)
{
    struct span value;
    if (json_read_raw(r, &value) && !span_equal_str(value, "null") && !span_equal_str(value, "{}"))
        json_reject(r, DP_UNSUPPORTED, "\"%.*s\" is not supported", SPAN_FMT(key));
}

static void read_setting(struct json_reader *r, struct arena *arena, struct span key, uint32_t *sentence,
                         uint32_t *arguments, struct sentence_settings *out)
{
    static const char *const bags[] = {"model_args",       "model_kwargs", "tokenizer_args",
                                       "processor_kwargs", "config_args",  "config_kwargs"};
    static const char *const unset[] = {"query_length", "document_length", "query_expansion", "processing_kwargs",
                                        "tokenizer_name_or_path"};
    if (span_equal_str(key, "max_seq_length"))
        settings_limit(r, sentence);
    else if (span_equal_str(key, "do_lower_case") && json_peek(r) != JSON_NULL)
        json_read_bool(r, &out->lowercases);
    else if (span_equal_str(key, "transformer_task"))
        settings_expect(r, arena, key, "feature-extraction");
    else if (span_equal_str(key, "module_output_name") && json_peek(r) == JSON_STRING)
        settings_expect(r, arena, key, "token_embeddings");
    else if (span_equal_str(key, "modality_config") && json_peek(r) == JSON_OBJECT)
        read_modalities(r, arena);
    else if (span_one_of(key, bags, sizeof bags / sizeof *bags))
        read_arguments(r, arena, key, arguments);
    else if (span_one_of(key, unset, sizeof unset / sizeof *unset))
        read_unset(r, key);
    else
        json_skip(r);
}

enum dp_status sentence_settings_parse(struct span json, struct arena *arena, struct sentence_settings *out,
                                       struct dp_error *error)
{
    struct json_reader r;
    struct span key;
    uint32_t sentence = 0, arguments = 0;
    *out = (struct sentence_settings){.max_tokens = 0};
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key))
        read_setting(&r, arena, key, &sentence, &arguments, out);
    if (!json_failed(&r))
        json_end(&r);
    out->max_tokens = arguments > 0 ? arguments : sentence; /* the library prefers the arguments too */
    return json_failed(&r) ? settings_fail(&r, "sentence_bert_config.json", error) : DP_OK;
}
