/* tiny_model.c: writes a random BERT as a model folder. */
#include "tiny_model.h"

#include <math.h>
#include <stdio.h>

#include "test_support.h"

#include "os/file.h"

const char tiny_tokenizer[] =
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":["
    "{\"id\":0,\"content\":\"[UNK]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
    "\"special\":true}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
    "\"strip_accents\":null,\"lowercase\":true},"
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]},"
    "\"decoder\":null,"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"[PAD]\":3,\"sea\":4,\"##"
    "side\":5,"
    "\"boat\":6,\"wind\":7,\"##y\":8,\"calm\":9,\".\":10}}}";

static const char default_modules[] =
    "[{\"idx\":0,\"name\":\"0\",\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},"
    "{\"idx\":1,\"name\":\"1\",\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"},"
    "{\"idx\":2,\"name\":\"2\",\"path\":\"2_Normalize\",\"type\":\"sentence_transformers.models.Normalize\"}]";

/* The file in the making: header text and data. */
struct writer {
    const struct tiny_options *options;
    struct buffer header, data;
    uint64_t seed;
};

/* Near a normal distribution of width 1: the sum of four uniform values. */
static float next_random(struct writer *w)
{
    float sum = 0.0f;
    for (int i = 0; i < 4; i++) {
        w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
        sum += (float)(int32_t)(w->seed >> 32) / 2147483648.0f;
    }
    return sum * 0.87f;
}

static uint16_t to_half(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, exponent = bits >> 23 & 255, fraction = bits >> 13 & 1023;
    if (exponent < 113)
        return (uint16_t)(sign | (exponent < 103 ? 0 : ((fraction | 1024) >> (113 - exponent))));
    return (uint16_t)(sign | (exponent - 112) << 10 | fraction);
}

static void put_value(struct writer *w, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (w->options->type == NULL || strcmp(w->options->type, "F32") == 0)
        buffer_f32(&w->data, x);
    else
        buffer_u16(&w->data, strcmp(w->options->type, "F16") == 0 ? to_half(x) : (uint16_t)(bits >> 16));
}

/* columns 0: a vector of `rows` values near `around`; else a matrix of values of size 1 / sqrt(columns). */
static void put_tensor(struct writer *w, const char *name, unsigned rows, unsigned columns, float around)
{
    const struct tiny_options *o = w->options;
    char shape[40];
    if (columns > 0)
        snprintf(shape, sizeof shape, "%u,%u", rows, columns);
    else
        snprintf(shape, sizeof shape, "%u", rows);
    size_t begin = w->data.len, count = (size_t)rows * (columns > 0 ? columns : 1);
    float width = columns > 0 ? 1.0f / sqrtf((float)columns) : 0.1f;
    for (size_t i = 0; i < count; i++) {
        float random = next_random(w), x = around + width * random;
        if (o->flat && columns > 0)
            x = random < 0.0f ? -width : width;
        if (o->loud > 0.0f && i == 5 && strstr(name, "attention.output.LayerNorm.weight") != NULL)
            x *= o->loud;
        put_value(w, i == 0 && o->not_finite != NULL && strcmp(o->not_finite, name) == 0 ? NAN : x);
    }
    if (o->without != NULL && strcmp(o->without, name) == 0)
        return;
    buffer_printf(&w->header, "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                  w->header.len > 1 ? "," : "", o->prefix == NULL ? "" : o->prefix, name,
                  o->type == NULL ? "F32" : o->type, shape, begin, w->data.len);
}

static void put_norm(struct writer *w, const char *name)
{
    char full[120];
    snprintf(full, sizeof full, "%s.weight", name);
    put_tensor(w, full, TINY_HIDDEN, 0, 1.0f);
    snprintf(full, sizeof full, "%s.bias", name);
    put_tensor(w, full, TINY_HIDDEN, 0, 0.0f);
}

static void put_layer(struct writer *w, unsigned layer)
{
    static const struct {
        const char *name;
        unsigned n, k;
    } dense[] = {{"attention.self.query", TINY_HIDDEN, TINY_HIDDEN},
                 {"attention.self.key", TINY_HIDDEN, TINY_HIDDEN},
                 {"attention.self.value", TINY_HIDDEN, TINY_HIDDEN},
                 {"attention.output.dense", TINY_HIDDEN, TINY_HIDDEN},
                 {"intermediate.dense", TINY_INTERMEDIATE, TINY_HIDDEN},
                 {"output.dense", TINY_HIDDEN, TINY_INTERMEDIATE}};
    char name[100];
    for (size_t i = 0; i < sizeof dense / sizeof *dense; i++) {
        snprintf(name, sizeof name, "encoder.layer.%u.%s.weight", layer, dense[i].name);
        put_tensor(w, name, dense[i].n, dense[i].k, 0.0f);
        snprintf(name, sizeof name, "encoder.layer.%u.%s.bias", layer, dense[i].name);
        put_tensor(w, name, dense[i].n, 0, 0.0f);
    }
    snprintf(name, sizeof name, "encoder.layer.%u.attention.output.LayerNorm", layer);
    put_norm(w, name);
    snprintf(name, sizeof name, "encoder.layer.%u.output.LayerNorm", layer);
    put_norm(w, name);
}

static void write_text(const char *folder, const char *file, const char *text)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    assert_int_equal(os_write_file(path, span_str(text), NULL), DP_OK);
}

const char *tiny_model_write(const char *name, const struct tiny_options *options)
{
    static char folder[4096];
    char path[4200], config[600];
    uint32_t layers = options->layers > 0 ? options->layers : 1;
    snprintf(folder, sizeof folder, "%s/%s", test_tmpdir(), name);
    snprintf(path, sizeof path, "%s/1_Pooling", folder);
    assert_int_equal(os_make_dirs(path, NULL), DP_OK);

    struct writer w = {.options = options, .seed = options->seed};
    buffer_init(&w.header, 1 << 20);
    buffer_init(&w.data, 1 << 24);
    buffer_append_str(&w.header, "{");
    put_tensor(&w, "embeddings.word_embeddings.weight", TINY_VOCAB, TINY_HIDDEN, 0.0f);
    put_tensor(&w, "embeddings.position_embeddings.weight", TINY_POSITIONS, TINY_HIDDEN, 0.0f);
    put_tensor(&w, "embeddings.token_type_embeddings.weight", 2, TINY_HIDDEN, 0.0f);
    put_norm(&w, "embeddings.LayerNorm");
    for (unsigned l = 0; l < layers; l++)
        put_layer(&w, l);
    buffer_append_str(&w.header, "}");

    struct buffer file;
    buffer_init(&file, 1 << 25);
    buffer_u64(&file, w.header.len);
    buffer_append(&file, buffer_span(&w.header));
    buffer_append(&file, buffer_span(&w.data));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_int_equal(os_write_file(path, buffer_span(&file), NULL), DP_OK);
    buffer_deinit(&file);
    buffer_deinit(&w.header);
    buffer_deinit(&w.data);

    snprintf(
        config, sizeof config,
        "{\"model_type\":\"bert\",\"hidden_act\":\"gelu\",\"hidden_size\":%d,\"num_hidden_layers\":%u,"
        "\"num_attention_heads\":%d,\"intermediate_size\":%d,\"vocab_size\":%d,\"max_position_embeddings\":%d,"
        "\"layer_norm_eps\":1e-12,\"position_embedding_type\":\"absolute\"}",
        TINY_HIDDEN, layers, TINY_HEADS, TINY_INTERMEDIATE, TINY_VOCAB, TINY_POSITIONS);
    write_text(folder, "config.json", options->config != NULL ? options->config : config);
    snprintf(config, sizeof config, "{\"max_seq_length\": %d, \"do_lower_case\": false}", TINY_TOKENS);
    write_text(folder, "sentence_bert_config.json", options->sentence != NULL ? options->sentence : config);
    write_text(folder, "modules.json", options->modules != NULL ? options->modules : default_modules);
    write_text(folder, "1_Pooling/config.json",
               options->pooling != NULL ? options->pooling
                                        : "{\"word_embedding_dimension\":20,\"pooling_mode_cls_token\":false,"
                                          "\"pooling_mode_mean_tokens\":true,\"pooling_mode_max_tokens\":false}");
    write_text(folder, "tokenizer.json", options->tokenizer != NULL ? options->tokenizer : tiny_tokenizer);
    return folder;
}
