/* tokenizer_config.c: parses tokenizer_config.json. */
#include "embed/folder/tokenizer_config.h"

#include "embed/folder/settings_json.h"

struct tokenizer_config tokenizer_config_usual(void)
{
    return (struct tokenizer_config){.max_tokens = UINT32_MAX, .lowercase = true, .chinese_chars = true};
}

/* Refuses a boolean field that is true. */
static void expect_off(struct json_reader *r, struct span key)
{
    bool on = false;
    if (json_peek(r) != JSON_BOOL)
        json_skip(r);
    else if (json_read_bool(r, &on) && on)
        json_reject(r, DP_UNSUPPORTED, "\"%.*s\" is not supported", SPAN_FMT(key));
}

static void read_field(struct json_reader *r, struct arena *arena, struct span key, struct tokenizer_config *out)
{
    bool is_null = json_peek(r) == JSON_NULL;
    if (span_equal_str(key, "model_max_length") || span_equal_str(key, "max_len")) {
        settings_limit(r, &out->max_tokens);
    } else if (span_equal_str(key, "tokenizer_class") && !is_null) {
        json_read_string(r, arena, &out->class);
    } else if (span_equal_str(key, "do_lower_case") && !is_null) {
        json_read_bool(r, &out->lowercase);
    } else if (span_equal_str(key, "tokenize_chinese_chars") && !is_null) {
        json_read_bool(r, &out->chinese_chars);
    } else if (span_equal_str(key, "strip_accents") && !is_null) {
        out->has_strip_accents = true;
        json_read_bool(r, &out->strip_accents);
    } else if (span_equal_str(key, "truncation_side") && !is_null) {
        settings_expect(r, arena, key, "right");
    } else if (span_equal_str(key, "add_bos_token") || span_equal_str(key, "add_eos_token") ||
               span_equal_str(key, "split_special_tokens")) {
        expect_off(r, key);
    } else {
        json_skip(r);
    }
}

enum dp_status tokenizer_config_parse(struct span json, struct arena *arena, struct tokenizer_config *out,
                                      struct dp_error *error)
{
    struct json_reader r;
    struct span key;
    *out = tokenizer_config_usual();
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key))
        read_field(&r, arena, key, out);
    if (!json_failed(&r))
        json_end(&r);
    return json_failed(&r) ? settings_fail(&r, "tokenizer_config.json", error) : DP_OK;
}

/* Returns whether transformers' class for this tokenizer builds its BertNormalizer from tokenizer_config.json. If
 * the folder gives no class, the model's type decides. */
static bool builds_its_normalizer(struct span class, struct span model_type)
{
    static const char *const classes[] = {
        "BertTokenizer",       "DistilBertTokenizer",  "MPNetTokenizer",    "ElectraTokenizer",
        "MobileBertTokenizer", "SqueezeBertTokenizer", "ConvBertTokenizer", "LayoutLMTokenizer",
        "RetriBertTokenizer",  "RealmTokenizer",       "FunnelTokenizer",   "LxmertTokenizer",
    };
    static const char *const types[] = {"bert",        "distilbert",    "mpnet",      "electra",   "mobilebert",
                                        "squeezebert", "convbert",      "layoutlm",   "retribert", "realm",
                                        "nomic_bert",  "megatron-bert", "ernie",      "nezha",     "funnel",
                                        "lxmert",      "qdqbert",       "visual_bert"};
    if (class.len == 0)
        return span_one_of(model_type, types, sizeof types / sizeof *types);
    if (class.len > 4 && span_equal_str(span_of(class.data + class.len - 4, 4), "Fast"))
        class.len -= 4;
    return span_one_of(class, classes, sizeof classes / sizeof *classes);
}

struct tokenizer_changes tokenizer_config_changes(const struct tokenizer_config *config, struct span model_type,
                                                  struct span model_class)
{
    if (!builds_its_normalizer(config->class.len > 0 ? config->class : model_class, model_type))
        return (struct tokenizer_changes){.replace_normalizer = false};
    return (struct tokenizer_changes){
        .replace_normalizer = true,
        .chinese_chars = config->chinese_chars,
        .lowercase = config->lowercase,
        .strip_accents = config->has_strip_accents ? config->strip_accents : config->lowercase,
    };
}
