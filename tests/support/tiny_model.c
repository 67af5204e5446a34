/* tiny_model.c: writes a model folder in the Hugging Face / sentence-transformers layout. */
#include "tiny_model.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INTERMEDIATE = 32, TENSORS_MAX = 32 };

static const char *const WORDS[] = {TINY_WORDS};

static FILE *open_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "wbe");
    if (!out) {
        perror(path);
        abort();
    }
    return out;
}

static void close_file(FILE *out)
{
    if (fclose(out) != 0) {
        perror("the tiny model");
        abort();
    }
}

static void write_text(const char *folder, const char *name, const char *text)
{
    FILE *out = open_file(folder, name);
    fputs(text, out);
    close_file(out);
}

static void write_tokenizer(const char *folder)
{
    FILE *out = open_file(folder, "tokenizer.json");
    fputs("{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[", out);
    static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    for (int i = 0; i < 5; i++)
        fprintf(out,
                "%s{\"id\":%d,\"special\":true,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,"
                "\"rstrip\":false,\"normalized\":false}",
                i ? "," : "", i, special[i]);
    fputs("],\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
          "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
          "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
          "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
          "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":["
          "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
          "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}},"
          "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":1}}],\"special_tokens\":{"
          "\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[2],\"tokens\":[\"[CLS]\"]},"
          "\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[3],\"tokens\":[\"[SEP]\"]}}},"
          "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
          "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
          "\"max_input_chars_per_word\":100,\"vocab\":{",
          out);
    for (int i = 0; i < 5; i++)
        fprintf(out, "%s\"%s\":%d", i ? "," : "", special[i], i);
    for (int i = 0; i < 26; i++)
        fprintf(out, ",\"%c\":%d,\"##%c\":%d", 'a' + i, 5 + i, 'a' + i, 31 + i);
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++)
        fprintf(out, ",\"%s\":%zu", WORDS[i], TINY_CAT + i);
    fputs("}}}", out);
    close_file(out);
}

struct tensor {
    char name[80];
    unsigned rows, columns; /* columns 0: the tensor has one dimension */
};

struct tensors {
    struct tensor all[TENSORS_MAX];
    size_t count;
};

static void add(struct tensors *t, const char *name, unsigned rows, unsigned columns)
{
    struct tensor *tensor = &t->all[t->count++];
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->rows = rows;
    tensor->columns = columns;
}

static void add_dense(struct tensors *t, const char *name, unsigned rows, unsigned columns)
{
    char full[80];
    snprintf(full, sizeof full, "encoder.layer.0.%s.weight", name);
    add(t, full, rows, columns);
    snprintf(full, sizeof full, "encoder.layer.0.%s.bias", name);
    add(t, full, rows, 0);
}

static size_t elements(const struct tensor *t)
{
    return (size_t)t->rows * (t->columns ? t->columns : 1);
}

/* Fixed pseudo-random numbers, uniform in about ±0.3. */
static float next_weight(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return ((float)(*state >> 8) / 16777216.0F - 0.5F) * 0.6F;
}

static void write_weights(const char *folder)
{
    struct tensors t = {.count = 0};
    add(&t, "embeddings.word_embeddings.weight", TINY_VOCAB, TINY_DIM);
    add(&t, "embeddings.position_embeddings.weight", TINY_TOKENS, TINY_DIM);
    add(&t, "embeddings.token_type_embeddings.weight", 2, TINY_DIM);
    add(&t, "embeddings.LayerNorm.weight", TINY_DIM, 0);
    add(&t, "embeddings.LayerNorm.bias", TINY_DIM, 0);
    add_dense(&t, "attention.self.query", TINY_DIM, TINY_DIM);
    add_dense(&t, "attention.self.key", TINY_DIM, TINY_DIM);
    add_dense(&t, "attention.self.value", TINY_DIM, TINY_DIM);
    add_dense(&t, "attention.output.dense", TINY_DIM, TINY_DIM);
    add_dense(&t, "attention.output.LayerNorm", TINY_DIM, 0);
    add_dense(&t, "intermediate.dense", INTERMEDIATE, TINY_DIM);
    add_dense(&t, "output.dense", TINY_DIM, INTERMEDIATE);
    add_dense(&t, "output.LayerNorm", TINY_DIM, 0);

    char header[8192];
    size_t len = 0, offset = 0;
    for (size_t i = 0; i < t.count; i++) {
        const struct tensor *tensor = &t.all[i];
        char shape[32];
        if (tensor->columns)
            snprintf(shape, sizeof shape, "%u,%u", tensor->rows, tensor->columns);
        else
            snprintf(shape, sizeof shape, "%u", tensor->rows);
        size_t end = offset + elements(tensor) * sizeof(float);
        len += (size_t)snprintf(header + len, sizeof header - len,
                                "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                                i ? "," : "{", tensor->name, shape, offset, end);
        offset = end;
    }
    len += (size_t)snprintf(header + len, sizeof header - len, "}");

    FILE *out = open_file(folder, "model.safetensors");
    uint64_t length = len;
    uint32_t state = 7;
    fwrite(&length, sizeof length, 1, out);
    fwrite(header, 1, len, out);
    for (size_t i = 0; i < t.count; i++) {
        const struct tensor *tensor = &t.all[i];
        const char *kind = strstr(tensor->name, "LayerNorm.weight");
        for (size_t j = 0; j < elements(tensor); j++) {
            float v = next_weight(&state) + (kind ? 1.0F : 0.0F);
            fwrite(&v, sizeof v, 1, out);
        }
    }
    close_file(out);
}

void tiny_model_write(const char *folder)
{
    char pooling[PATH_MAX], config[512];
    snprintf(pooling, sizeof pooling, "%s/1_Pooling", folder);
    if (mkdir(pooling, 0700) != 0) {
        perror(pooling);
        abort();
    }
    snprintf(config, sizeof config,
             "{\"architectures\":[\"BertModel\"],\"hidden_act\":\"gelu\",\"hidden_size\":%d,"
             "\"intermediate_size\":%d,\"layer_norm_eps\":1e-12,\"max_position_embeddings\":%d,"
             "\"model_type\":\"bert\",\"num_attention_heads\":2,\"num_hidden_layers\":1,"
             "\"position_embedding_type\":\"absolute\",\"type_vocab_size\":2,\"vocab_size\":%d}",
             TINY_DIM, INTERMEDIATE, TINY_TOKENS, TINY_VOCAB);
    write_text(folder, "config.json", config);
    write_text(
        folder, "modules.json",
        "[{\"idx\":0,\"name\":\"0\",\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},"
        "{\"idx\":1,\"name\":\"1\",\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"},"
        "{\"idx\":2,\"name\":\"2\",\"path\":\"2_Normalize\","
        "\"type\":\"sentence_transformers.models.Normalize\"}]");
    write_text(folder, "1_Pooling/config.json",
               "{\"word_embedding_dimension\":16,\"pooling_mode_cls_token\":false,"
               "\"pooling_mode_mean_tokens\":true,\"pooling_mode_max_tokens\":false,"
               "\"pooling_mode_mean_sqrt_len_tokens\":false}");
    snprintf(config, sizeof config, "{\"max_seq_length\":%d,\"do_lower_case\":false}", TINY_TOKENS);
    write_text(folder, "sentence_bert_config.json", config);
    write_tokenizer(folder);
    write_weights(folder);
}
