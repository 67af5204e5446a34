/* test_model.c: model folders and packed models: opening, refusals and their reasons, damage, failed allocations.
 *
 * Uses a tiny random BERT that the test writes, so that it can flip every byte of a packed model.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_support.h"

#include "base/alloc.h"
#include "cosine.h"
#include "embed/embedder.h"
#include "embed/model_describe.h"
#include "embed/model_dir.h"
#include "embed/native/packed_model.h"
#include "os/file.h"
#include "simd/simd.h"
#include "tiny_model.h"

static const char *const texts[] = {"sea", "seaside boat.", "calm sea, windy boat",
                                    "windy windy windy windy windy"};
enum { TEXTS = sizeof texts / sizeof *texts };

/* Opens a folder; fails the test if that fails. */
static struct model *open_model(const char *path, enum model_precision precision)
{
    struct dp_error error;
    struct model *model;
    if (model_open_dir(path, precision, &model, &error) != DP_OK)
        fail_msg("%s", error.message);
    return model;
}

static void embed_texts(const struct model *model, bool normalize, float *out)
{
    struct arena arena;
    struct call call;
    struct embedder *embedder;
    struct tokens tokens[TEXTS];
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    for (size_t i = 0; i < TEXTS; i++)
        assert_int_equal(tokenizer_encode(model_tokenizer(model), span_str(texts[i]),
                                          model_info(model)->max_tokens, &arena, &tokens[i], &call.error),
                         DP_OK);
    assert_int_equal(embedder_new(model, NULL, NULL, &embedder, &call.error), DP_OK);
    assert_int_equal(embedder_embed(&call, embedder, tokens, TEXTS, normalize, out), DP_OK);
    embedder_free(embedder);
    arena_deinit(&arena);
}

/* The packed tiny model, in aligned memory that the caller frees. */
static struct span pack_tiny(const char *folder)
{
    struct buffer packed;
    struct dp_error error;
    buffer_init(&packed, 1 << 20);
    if (model_pack(folder, &packed, &error) != DP_OK)
        fail_msg("%s", error.message);
    uint8_t *bytes = mem_aligned_alloc(64, packed.len);
    size_t len = packed.len;
    memcpy(bytes, packed.data, len);
    buffer_deinit(&packed);
    return span_of(bytes, len);
}

/* Runs first, before an instruction set is chosen, so that each child can choose one. */
static void test_model_vectors_do_not_depend_on_the_instruction_set(void **state)
{
    (void)state;
    const char *folder = tiny_model_write("isa", &(struct tiny_options){.seed = 3, .layers = 3});
    char path[4200];
    float first[2][TEXTS * TINY_HIDDEN];
    unsigned compared = 0;
    for (int isa = 0; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *ops = simd_ops_for((enum simd_isa)isa);
        if (ops == NULL)
            continue;
        snprintf(path, sizeof path, "%s/vectors", folder);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            float vectors[2][TEXTS * TINY_HIDDEN];
            setenv("DIPPER_SIMD", ops->name, 1);
            for (int p = 0; p < 2; p++) {
                struct model *model = open_model(folder, p == 0 ? MODEL_INT8 : MODEL_FP32);
                embed_texts(model, true, vectors[p]);
                model_free(model);
            }
            bool chosen = strcmp(simd_ops()->name, ops->name) == 0;
            _exit(chosen && os_write_file(path, span_of(vectors, sizeof vectors), NULL) == DP_OK ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        struct buffer vectors;
        buffer_init(&vectors, 1 << 20);
        assert_int_equal(os_read_file(path, &vectors, NULL), DP_OK);
        assert_int_equal(vectors.len, sizeof first);
        if (compared++ == 0)
            memcpy(first, vectors.data, sizeof first);
        assert_memory_equal(first, vectors.data, sizeof first);
        buffer_deinit(&vectors);
    }
    print_message("%u instruction sets compared\n", compared);
}

static void check_near(const char *name, const struct tiny_options *options)
{
    const char *folder = tiny_model_write(name, options);
    struct model *fp32 = open_model(folder, MODEL_FP32), *int8 = open_model(folder, MODEL_INT8);
    float a[TEXTS * TINY_HIDDEN], b[TEXTS * TINY_HIDDEN];
    embed_texts(fp32, true, a);
    embed_texts(int8, true, b);
    for (size_t i = 0; i < TEXTS; i++) {
        double cosine = cosine_of(a + i * TINY_HIDDEN, b + i * TINY_HIDDEN, TINY_HIDDEN);
        if (cosine <= 0.999)
            fail_msg("%s: text %zu: cosine %.6f", name, i, cosine);
    }
    model_free(fp32);
    model_free(int8);
}

static void test_model_int8_is_near_fp32(void **state)
{
    (void)state;
    const char *folder = tiny_model_write("near", &(struct tiny_options){.seed = 5, .layers = 2});
    struct model *fp32 = open_model(folder, MODEL_FP32), *int8 = open_model(folder, MODEL_INT8);
    float a[TEXTS * TINY_HIDDEN], b[TEXTS * TINY_HIDDEN];
    embed_texts(fp32, true, a);
    embed_texts(int8, true, b);
    for (size_t i = 0; i < TEXTS; i++) {
        assert_true(cosine_of(a + i * TINY_HIDDEN, b + i * TINY_HIDDEN, TINY_HIDDEN) > 0.999);
        assert_true(fabs(cosine_of(a + i * TINY_HIDDEN, a + i * TINY_HIDDEN, TINY_HIDDEN) - 1) < 1e-6);
    }
    assert_string_equal(model_info(fp32)->fingerprint, model_info(int8)->fingerprint);
    assert_string_equal(model_info(fp32)->engine, "native fp32");
    assert_string_equal(model_info(int8)->name, "near");
    assert_int_equal(model_info(int8)->dim, TINY_HIDDEN);
    assert_int_equal(model_info(int8)->max_tokens, TINY_TOKENS);
    model_free(fp32);
    model_free(int8);
}

static int size_of(int8_t w)
{
    return w < 0 ? -w : w;
}

/* Returns whether a matrix's weights are within the kernels' bounds (simd/encoder.h). */
static void check_bounds(const struct int8_linear *layer)
{
    for (size_t c = 0; c < layer->n; c++) {
        const int8_t *panel = layer->q + c / ENCODER_BLOCK_N * ENCODER_BLOCK_N * layer->k;
        int lane[2] = {0, 0}, sum = 0;
        int8_t before = 0;
        for (size_t i = 0; i < layer->k; i++) {
            int8_t w = panel[(i / ENCODER_BLOCK_K * ENCODER_BLOCK_N + c % ENCODER_BLOCK_N) * ENCODER_BLOCK_K +
                             i % ENCODER_BLOCK_K];
            if (i % INT8_CHUNK == 0)
                lane[0] = lane[1] = 0;
            lane[i / 2 % 2] += size_of(w);
            assert_true(lane[i / 2 % 2] <= INT8_LANE_MOST);
            if (i % 2 == 1 && (w < 0) == (before < 0))
                assert_true(size_of(w) + size_of(before) <= INT8_PAIR_MOST);
            before = w;
            sum += w;
        }
        assert_true((float)sum == layer->sum[c]);
    }
}

/* Weights of equal size would all be 127 and break every bound. */
static void test_model_packed_weights_keep_their_bounds(void **state)
{
    (void)state;
    for (int flat = 0; flat < 2; flat++) {
        const char *folder =
            tiny_model_write("bounds", &(struct tiny_options){.seed = 8, .layers = 2, .flat = flat == 1});
        struct span packed = pack_tiny(folder);
        struct packed_model opened;
        struct dp_error error;
        assert_int_equal(packed_model_open(packed, &opened, &error), DP_OK);
        for (size_t l = 0; l < 2; l++) {
            check_bounds(&opened.encoder.layers[l].qkv.int8);
            check_bounds(&opened.encoder.layers[l].attention_out.int8);
            check_bounds(&opened.encoder.layers[l].ffn_in.int8);
            check_bounds(&opened.encoder.layers[l].ffn_out.int8);
        }
        packed_model_close(&opened);
        mem_free((void *)(uintptr_t)packed.data);
    }
    check_near("bounds", &(struct tiny_options){.seed = 9, .layers = 2, .flat = true});
}

/* One channel is forty times as loud as the others. The packer divides it before the matrix that quantises it. */
static void test_model_loud_channel_is_divided(void **state)
{
    (void)state;
    const char *folder = tiny_model_write("loud", &(struct tiny_options){.seed = 10, .loud = 40.0f});
    struct span packed = pack_tiny(folder);
    struct packed_model opened;
    struct dp_error error;
    assert_int_equal(packed_model_open(packed, &opened, &error), DP_OK);
    const struct encoder_layer *layer = &opened.encoder.layers[0];
    for (size_t i = 0; i < TINY_HIDDEN; i++)
        if (i != 5) {
            assert_true(layer->ffn_norm.unscale[5] > 4.0f * layer->ffn_norm.unscale[i]);
            assert_true(layer->attention_norm.unscale[5] < 4.0f * layer->attention_norm.unscale[i]);
        }
    packed_model_close(&opened);
    mem_free((void *)(uintptr_t)packed.data);

    /* The next norm multiplies the channel again when it adds the stream, so vectors do not change. */
    check_near("loud", &(struct tiny_options){.seed = 10, .loud = 40.0f});
}

static void test_model_packed_form_gives_the_folders_vectors(void **state)
{
    (void)state;
    char path[4200];
    const char *folder = tiny_model_write("packed", &(struct tiny_options){.seed = 6});
    float a[TEXTS * TINY_HIDDEN], b[TEXTS * TINY_HIDDEN];
    struct model *model = open_model(folder, MODEL_INT8);
    embed_texts(model, false, a);
    model_free(model);

    struct span packed = pack_tiny(folder);
    struct dp_error error;
    assert_int_equal(model_open_memory(packed, &model, &error), DP_OK);
    embed_texts(model, false, b);
    assert_memory_equal(a, b, sizeof a);
    assert_string_equal(model_info(model)->name, "packed");
    model_free(model);

    /* Unaligned bytes, and a file. */
    uint8_t *moved = mem_alloc(packed.len + 1);
    memcpy(moved + 1, packed.data, packed.len);
    assert_int_equal(model_open_memory(span_of(moved + 1, packed.len), &model, &error), DP_OK);
    embed_texts(model, false, b);
    assert_memory_equal(a, b, sizeof a);
    model_free(model);
    mem_free(moved);
    snprintf(path, sizeof path, "%s/packed.dipper", test_tmpdir());
    assert_int_equal(os_write_file(path, packed, NULL), DP_OK);
    model = open_model(path, MODEL_INT8);
    embed_texts(model, false, b);
    assert_memory_equal(a, b, sizeof a);
    model_free(model);
    assert_int_equal(model_open_dir(path, MODEL_FP32, &model, &error), DP_UNSUPPORTED);
    mem_free((void *)(uintptr_t)packed.data);
}

/* Packing twice gives equal bytes. */
static void test_model_packing_is_reproducible(void **state)
{
    (void)state;
    const char *folder = tiny_model_write("again", &(struct tiny_options){.seed = 6});
    struct span a = pack_tiny(folder), b = pack_tiny(folder);
    assert_true(span_equal(a, b));
    mem_free((void *)(uintptr_t)a.data);
    mem_free((void *)(uintptr_t)b.data);
}

static void test_model_damaged_packed_byte_is_found(void **state)
{
    (void)state;
    struct span packed = pack_tiny(tiny_model_write("flip", &(struct tiny_options){.seed = 7}));
    uint8_t *bytes = (uint8_t *)(uintptr_t)packed.data;
    struct dp_error error;
    for (size_t i = 0; i < packed.len; i++) {
        struct model *model;
        uint8_t flip = (uint8_t)(1u << i % 8);
        bytes[i] ^= flip;
        enum dp_status status = model_open_memory(packed, &model, &error);
        if (status != DP_CORRUPT && !(status == DP_UNSUPPORTED && i >= 8 && i < 12))
            fail_msg("byte %zu: %s", i, dp_status_name(status));
        assert_true(error.message[0] != '\0');
        assert_null(model);
        bytes[i] ^= flip;
    }
    print_message("%zu bytes flipped\n", packed.len);
    mem_free(bytes);
}

static void test_model_truncated_packed_form_is_found(void **state)
{
    (void)state;
    struct span packed = pack_tiny(tiny_model_write("cut", &(struct tiny_options){.seed = 8}));
    struct dp_error error;
    struct model *model;
    for (size_t len = 0; len < packed.len; len += len < 2000 ? 1 : 37)
        assert_int_equal(model_open_memory(span_of(packed.data, len), &model, &error), DP_CORRUPT);
    uint8_t *longer = mem_aligned_alloc(64, packed.len + 64);
    memset(longer + packed.len, 0, 64);
    memcpy(longer, packed.data, packed.len);
    assert_int_equal(model_open_memory(span_of(longer, packed.len + 64), &model, &error), DP_CORRUPT);
    mem_free(longer);
    mem_free((void *)(uintptr_t)packed.data);
}

/* Opens a folder that must be refused; the message must hold `word`. */
static void refuse(const struct tiny_options *options, enum dp_status status, const char *word)
{
    const char *folder = tiny_model_write("refused", options);
    for (int p = 0; p < 2; p++) {
        struct dp_error error;
        struct model *model;
        enum dp_status got = model_open_dir(folder, p == 0 ? MODEL_INT8 : MODEL_FP32, &model, &error);
        if (got != status || strstr(error.message, word) == NULL)
            fail_msg("expected %s with '%s', got %s: %s", dp_status_name(status), word, dp_status_name(got),
                     got == DP_OK ? "" : error.message);
        assert_null(model);
        /* The refusal works without a struct dp_error. */
        assert_int_equal(model_open_dir(folder, p == 0 ? MODEL_INT8 : MODEL_FP32, &model, NULL), status);
        assert_null(model);
    }
}

#define CONFIG(change)                                                                                           \
    "{\"model_type\":\"bert\",\"hidden_act\":\"gelu\",\"hidden_size\":20,\"num_hidden_layers\":1,"               \
    "\"num_attention_heads\":2,\"intermediate_size\":36,\"vocab_size\":11,\"max_position_embeddings\":12" change \
    "}"

static void test_model_unsupported_is_refused_by_name(void **state)
{
    (void)state;
    refuse(&(struct tiny_options){.config = "{\"model_type\":\"roberta\"}"}, DP_UNSUPPORTED, "roberta");
    refuse(&(struct tiny_options){.config = CONFIG(",\"hidden_act\":\"relu\"")}, DP_UNSUPPORTED, "relu");
    refuse(&(struct tiny_options){.config = CONFIG(",\"position_embedding_type\":\"relative_key\"")},
           DP_UNSUPPORTED, "relative_key");
    refuse(&(struct tiny_options){.config = CONFIG(",\"num_attention_heads\":3")}, DP_UNSUPPORTED,
           "num_attention_heads 3");
    refuse(&(struct tiny_options){.config = CONFIG(",\"hidden_size\":0")}, DP_UNSUPPORTED, "hidden_size is 0");
    refuse(&(struct tiny_options){.config = CONFIG(",\"num_hidden_layers\":100000")}, DP_UNSUPPORTED,
           "num_hidden_layers");
    refuse(&(struct tiny_options){.config = CONFIG(",\"layer_norm_eps\":2")}, DP_UNSUPPORTED, "layer_norm_eps");
    refuse(&(struct tiny_options){.config = "{\"hidden_act\":\"gelu\"}"}, DP_UNSUPPORTED, "model_type");
    refuse(&(struct tiny_options){.pooling = "{\"pooling_mode_mean_sqrt_len_tokens\":true}"}, DP_UNSUPPORTED,
           "pooling_mode_mean_sqrt_len_tokens");
    refuse(
        &(struct tiny_options){.pooling = "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":true}"},
        DP_UNSUPPORTED, "2 pooling modes");
    refuse(&(struct tiny_options){.pooling = "{\"pooling_mode\":[\"cls\",\"mean\"]}"}, DP_UNSUPPORTED,
           "2 pooling modes");
    refuse(&(struct tiny_options){.pooling = "{\"pooling_mode\":\"weightedmean\"}"}, DP_UNSUPPORTED,
           "weightedmean");
    refuse(&(struct tiny_options){.config = CONFIG(",\"is_decoder\":true")}, DP_UNSUPPORTED, "is_decoder");
    refuse(&(struct tiny_options){.config = CONFIG(",\"add_cross_attention\":true")}, DP_UNSUPPORTED,
           "add_cross_attention");
    refuse(&(struct tiny_options){.config = CONFIG(",\"auto_map\":{\"AutoModel\":\"x.Y\"}")}, DP_UNSUPPORTED,
           "auto_map");
    refuse(&(struct tiny_options){.config = CONFIG(",\"quantization_config\":{}")}, DP_UNSUPPORTED,
           "quantization_config");
    refuse(&(struct tiny_options){.config = CONFIG(",\"hidden_act\":\"gelu_new\"")}, DP_UNSUPPORTED, "gelu_new");
    refuse(&(struct tiny_options){.sentence = "{\"query_length\":8}"}, DP_UNSUPPORTED, "query_length");
    refuse(&(struct tiny_options){.sentence = "{\"model_args\":{\"x\":1}}"}, DP_UNSUPPORTED, "model_args");
    refuse(&(struct tiny_options){.sentence = "{\"transformer_task\":\"fill-mask\"}"}, DP_UNSUPPORTED,
           "fill-mask");
    refuse(
        &(struct tiny_options){
            .modules =
                "[{\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},{\"path\":\"p\",\"type\":"
                "\"sentence_transformers.models.Dense\"}]"},
        DP_UNSUPPORTED, "models.Dense");
    refuse(&(struct tiny_options){.modules = "[{\"path\":\"\",\"type\":\"custom_st.Transformer\"}]"},
           DP_UNSUPPORTED, "custom_st.Transformer");
    refuse(
        &(struct tiny_options){
            .modules =
                "[{\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},{\"path\":\"..\",\"type\":"
                "\"sentence_transformers.models.Pooling\"}]"},
        DP_INVALID, "path");
}

static void test_model_contradictions_are_refused(void **state)
{
    (void)state;
    refuse(&(struct tiny_options){.config = "{"}, DP_INVALID, "config.json");
    refuse(&(struct tiny_options){.config = CONFIG(",\"intermediate_size\":32")}, DP_CORRUPT,
           "intermediate.dense.weight");
    refuse(&(struct tiny_options){.config = CONFIG(",\"vocab_size\":12")}, DP_CORRUPT, "word_embeddings");
    refuse(&(struct tiny_options){.config = CONFIG(",\"num_hidden_layers\":2")}, DP_CORRUPT, "encoder.layer.1");
    refuse(&(struct tiny_options){.sentence = "{\"max_seq_length\":2}"}, DP_INVALID,
           "a limit of 2 tokens has no room");
    refuse(&(struct tiny_options){.sentence = "{\"max_seq_length\":\"many\"}"}, DP_INVALID,
           "sentence_bert_config.json");
    refuse(&(struct tiny_options){.pooling = "{\"word_embedding_dimension\":8,\"pooling_mode_mean_tokens\":true}"},
           DP_INVALID, "embedding_dimension 8");
    refuse(&(struct tiny_options){.without = "encoder.layer.0.output.dense.bias"}, DP_CORRUPT,
           "encoder.layer.0.output.dense.bias");
    refuse(&(struct tiny_options){.without = "embeddings.word_embeddings.weight"}, DP_UNSUPPORTED,
           "word_embeddings");
    refuse(&(struct tiny_options){.not_finite = "encoder.layer.0.output.dense.weight"}, DP_CORRUPT, "finite");
    refuse(&(struct tiny_options){.tokenizer = "{"}, DP_INVALID, "tokenizer.json");
}

static void test_model_missing_files_are_named(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "tokenizer.json", "model.safetensors",
                                        "1_Pooling/config.json"};
    struct dp_error error;
    struct model *model;
    char path[4200];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *folder = tiny_model_write("missing", &(struct tiny_options){.seed = 1});
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(model_open_dir(folder, MODEL_INT8, &model, &error), DP_NOT_FOUND);
        assert_non_null(strstr(error.message, files[i]));
    }
    /* Files that sentence-transformers does not need. */
    const char *folder = tiny_model_write("plain", &(struct tiny_options){.seed = 1});
    snprintf(path, sizeof path, "%s/modules.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/sentence_bert_config.json", folder);
    unlink(path);
    model = open_model(folder, MODEL_INT8);
    assert_int_equal(model_info(model)->max_tokens, TINY_POSITIONS);
    assert_int_equal(model_info(model)->pooling, POOLING_MEAN);
    assert_false(model_info(model)->normalized);
    model_free(model);
    assert_int_equal(model_open_dir("/nowhere/at/all", MODEL_INT8, &model, &error), DP_NOT_FOUND);
}

static void test_model_reads_half_precision_and_prefixed_names(void **state)
{
    (void)state;
    float want[TEXTS * TINY_HIDDEN], got[TEXTS * TINY_HIDDEN];
    struct model *model = open_model(tiny_model_write("f32", &(struct tiny_options){.seed = 9}), MODEL_FP32);
    embed_texts(model, true, want);
    model_free(model);
    const struct tiny_options same[] = {{.seed = 9, .type = "F16", .prefix = "bert."},
                                        {.seed = 9, .type = "BF16"}};
    for (size_t i = 0; i < 2; i++) {
        model = open_model(tiny_model_write("half", &same[i]), MODEL_FP32);
        embed_texts(model, true, got);
        for (size_t t = 0; t < TEXTS; t++)
            assert_true(cosine_of(want + t * TINY_HIDDEN, got + t * TINY_HIDDEN, TINY_HIDDEN) >
                        (i == 0 ? 0.99999 : 0.999));
        model_free(model);
    }
}

static void test_model_pools_as_configured(void **state)
{
    (void)state;
    static const char *const modes[] = {"cls_token", "max_tokens", "lasttoken"};
    static const enum model_pooling poolings[] = {POOLING_CLS, POOLING_MAX, POOLING_LAST};
    float mean[TEXTS * TINY_HIDDEN], other[TEXTS * TINY_HIDDEN];
    struct model *model = open_model(tiny_model_write("mean", &(struct tiny_options){.seed = 10}), MODEL_INT8);
    embed_texts(model, false, mean);
    model_free(model);
    for (size_t i = 0; i < 3; i++) {
        char pooling[100];
        snprintf(pooling, sizeof pooling, "{\"pooling_mode_%s\":true}", modes[i]);
        model = open_model(tiny_model_write("pool", &(struct tiny_options){.seed = 10, .pooling = pooling}),
                           MODEL_INT8);
        assert_int_equal(model_info(model)->pooling, poolings[i]);
        embed_texts(model, false, other);
        model_free(model);
        assert_memory_not_equal(mean, other, sizeof mean);
        for (size_t d = 0; d < TINY_HIDDEN; d++)
            assert_true(poolings[i] != POOLING_MAX || other[d] >= mean[d]);
    }
}

/* models--sentence-transformers--NAME/snapshots/REVISION in the hub's cache. */
static void test_model_is_found_by_name_in_the_hub_cache(void **state)
{
    (void)state;
    char cache[4200], path[4600], from[4096];
    struct dp_error error;
    struct model *model;
    snprintf(from, sizeof from, "%s", tiny_model_write("source", &(struct tiny_options){.seed = 11}));
    snprintf(cache, sizeof cache, "%s/hub", test_tmpdir());
    setenv("HF_HUB_CACHE", cache, 1);
    snprintf(path, sizeof path, "%s/models--sentence-transformers--tiny/snapshots", cache);
    assert_int_equal(os_make_dirs(path, NULL), DP_OK);
    snprintf(path, sizeof path, "%s/models--sentence-transformers--tiny/snapshots/0123abcd", cache);
    assert_int_equal(symlink(from, path), 0);
    static const char *const names[] = {"tiny", "sentence-transformers/tiny"};
    for (size_t i = 0; i < 2; i++) {
        model = open_model(names[i], MODEL_INT8); /* the only snapshot */
        assert_string_equal(model_info(model)->name, "tiny");
        model_free(model);
    }
    snprintf(path, sizeof path, "%s/models--sentence-transformers--tiny/refs", cache);
    assert_int_equal(os_make_dirs(path, NULL), DP_OK);
    snprintf(path, sizeof path, "%s/models--sentence-transformers--tiny/refs/main", cache);
    assert_int_equal(os_write_file(path, span_str("0123abcd\n"), NULL), DP_OK);
    model = open_model("tiny", MODEL_INT8);
    model_free(model);
    assert_int_equal(model_open_dir("other", MODEL_INT8, &model, &error), DP_NOT_FOUND);
    assert_non_null(strstr(error.message, "models--sentence-transformers--other"));
    assert_int_equal(model_open_dir("../tiny", MODEL_INT8, &model, &error), DP_NOT_FOUND);
    unsetenv("HF_HUB_CACHE");
}

static void test_model_out_of_memory_is_an_error_without_a_leak(void **state)
{
    (void)state;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", tiny_model_write("memory", &(struct tiny_options){.seed = 12}));
    for (int precision = 0; precision < 2; precision++) {
        size_t before = test_alloc_live(), n = 1;
        for (;; n = test_alloc_next(n)) {
            struct dp_error error;
            struct model *model;
            test_alloc_fail_at(n);
            enum dp_status status =
                model_open_dir(folder, precision == 0 ? MODEL_INT8 : MODEL_FP32, &model, &error);
            bool fired = test_alloc_fired();
            test_alloc_fail_at(0);
            model_free(model);
            assert_int_equal(test_alloc_live(), before);
            if (!fired) {
                assert_int_equal(status, DP_OK);
                break;
            }
            if (status != DP_NOMEM)
                fail_msg("allocation %zu: %s %s", n, dp_status_name(status), error.message);
        }
        assert_true(n > 10);
    }
}

static void test_model_description_out_of_memory_is_an_error_without_a_leak(void **state)
{
    (void)state;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", test_data_path("onnx/tiny"));
    setenv("HF_HUB_CACHE", test_data_path("onnx"), 1); /* no cache, but a folder */
    size_t before = test_alloc_live(), n = 1;
    for (;; n = test_alloc_next(n)) {
        struct arena arena;
        struct dp_error error;
        struct model_description described = {.name = NULL};
        const char **names;
        size_t count = 0;
        arena_init(&arena, 1 << 24);
        test_alloc_fail_at(n);
        enum dp_status status = model_describe(folder, &arena, &described, &error);
        if (status == DP_OK)
            status = model_dir_list(test_data_path("onnx"), &arena, &names, &count, &error);
        if (status == DP_OK)
            status = model_dir_list_hub(&arena, &names, &count, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        arena_deinit(&arena);
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            assert_int_equal(described.native.status, DP_OK);
            assert_int_equal(described.onnx.status, DP_OK);
            break;
        }
        if (status != DP_NOMEM)
            fail_msg("allocation %zu: %s %s", n, dp_status_name(status), error.message);
    }
    assert_true(n > 20);
    unsetenv("HF_HUB_CACHE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_vectors_do_not_depend_on_the_instruction_set),
        cmocka_unit_test(test_model_int8_is_near_fp32),
        cmocka_unit_test(test_model_packed_weights_keep_their_bounds),
        cmocka_unit_test(test_model_loud_channel_is_divided),
        cmocka_unit_test(test_model_packed_form_gives_the_folders_vectors),
        cmocka_unit_test(test_model_packing_is_reproducible),
        cmocka_unit_test(test_model_damaged_packed_byte_is_found),
        cmocka_unit_test(test_model_truncated_packed_form_is_found),
        cmocka_unit_test(test_model_unsupported_is_refused_by_name),
        cmocka_unit_test(test_model_contradictions_are_refused),
        cmocka_unit_test(test_model_missing_files_are_named),
        cmocka_unit_test(test_model_reads_half_precision_and_prefixed_names),
        cmocka_unit_test(test_model_pools_as_configured),
        cmocka_unit_test(test_model_is_found_by_name_in_the_hub_cache),
        cmocka_unit_test(test_model_out_of_memory_is_an_error_without_a_leak),
        cmocka_unit_test(test_model_description_out_of_memory_is_an_error_without_a_leak),
    };
    return test_run(tests);
}
