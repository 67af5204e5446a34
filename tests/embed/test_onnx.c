/* test_onnx.c: the ONNX Runtime engine on a tiny random BERT (tests/data/onnx): its vectors against numpy's, alone
 * and in batches, opening the library, refused graphs, failed allocations.
 *
 * Without ONNX Runtime's library (DIPPER_ONNXRUNTIME_LIBRARY names it), the tests that need it are skipped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test_support.h"

#include "base/alloc.h"
#include "base/json.h"
#include "cosine.h"
#include "embed/embedder.h"
#include "embed/folder/bert_config.h"
#include "embed/onnx_engine.h"
#include "embed/onnx/onnx_file.h"
#include "os/file.h"

enum { DIM = 16, TEXTS_MAX = 16, TOKENS = 24, VOCAB = 68, POOLINGS = 4 };

/* expected.json */
static struct {
    size_t count;
    struct tokens texts[TEXTS_MAX];
    float vectors[TEXTS_MAX][POOLINGS][DIM]; /* normalised */
    struct arena arena;
} expected;

static void read_vectors(struct json_reader *r, float vectors[POOLINGS][DIM])
{
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, &expected.arena, &key)) {
        enum model_pooling pooling = POOLING_MEAN;
        while (pooling < POOLING_LAST && !span_equal_str(key, model_pooling_name(pooling)))
            pooling++;
        json_enter_array(r);
        for (size_t d = 0; json_next_item(r); d++)
            json_read_float(r, &vectors[pooling][d]);
    }
}

static void read_ids(struct json_reader *r, struct tokens *text)
{
    int64_t id;
    text->ids = arena_calloc(&expected.arena, TOKENS, sizeof(int32_t));
    json_enter_array(r);
    while (json_next_item(r) && json_read_i64(r, &id))
        text->ids[text->count++] = (int32_t)id;
    text->total = text->count;
}

static int load(void **state)
{
    (void)state;
    struct json_reader r;
    struct span key;
    arena_init(&expected.arena, 1 << 20);
    json_reader_init(&r, test_data("onnx/expected.json"));
    json_enter_array(&r);
    for (; json_next_item(&r); expected.count++) {
        json_enter_object(&r);
        while (json_next_key(&r, &expected.arena, &key)) {
            if (span_equal_str(key, "ids"))
                read_ids(&r, &expected.texts[expected.count]);
            else if (span_equal_str(key, "vectors"))
                read_vectors(&r, expected.vectors[expected.count]);
            else
                json_skip(&r);
        }
    }
    json_end(&r);
    assert_false(json_failed(&r));
    assert_int_equal(expected.count, 8);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    arena_deinit(&expected.arena);
    return 0;
}

static const char *tiny(void)
{
    return test_data_path("onnx/tiny");
}

static const char *tiny_file(const char *name)
{
    static char path[4200];
    snprintf(path, sizeof path, "%s/onnx/%s", tiny(), name);
    return path;
}

static struct onnx_engine_options options_of(const char *file)
{
    return (struct onnx_engine_options){.library = getenv("DIPPER_ONNXRUNTIME_LIBRARY"),
                                        .file = tiny_file(file),
                                        .threads = 1,
                                        .max_tokens = TOKENS,
                                        .vocab = VOCAB,
                                        .pools = true,
                                        .pooling = POOLING_MEAN};
}

static void need_library(void)
{
    if (!onnx_engine_built() || getenv("DIPPER_ONNXRUNTIME_LIBRARY") == NULL)
        skip();
}

static struct engine *open_engine(const struct onnx_engine_options *options)
{
    struct dp_error error;
    struct engine *engine;
    if (onnx_engine_new(options, &engine, &error) != DP_OK)
        fail_msg("%s", error.message);
    return engine;
}

/* Embeds all expected texts, normalised. */
static void embed_all(const struct engine *engine, unsigned workers, float out[TEXTS_MAX][DIM])
{
    struct team *team;
    struct embedder *embedder;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    assert_int_equal(team_new(workers, &team, &call.error), DP_OK);
    assert_int_equal(embedder_new_over(engine, team, NULL, &embedder, &call.error), DP_OK);
    if (embedder_embed(&call, embedder, expected.texts, expected.count, true, out[0]) != DP_OK)
        fail_msg("%s", call.error.message);
    embedder_free(embedder);
    team_free(team);
    arena_deinit(&arena);
}

static void expect_vectors(const struct onnx_engine_options *options, enum model_pooling pooling, double least)
{
    float out[TEXTS_MAX][DIM];
    struct engine *engine = open_engine(options);
    assert_int_equal(engine->dim, DIM);
    embed_all(engine, 1, out);
    for (size_t i = 0; i < expected.count; i++) {
        double c = cosine_of(out[i], expected.vectors[i][pooling], DIM);
        if (!(c >= least))
            fail_msg("%s, text %zu, %s: cosine %.8f", options->file, i, model_pooling_name(pooling), c);
    }
    engine->ops->free(engine);
}

/* ---- vectors ---- */

static void test_onnx_pools_as_numpy(void **state)
{
    (void)state;
    need_library();
    for (enum model_pooling pooling = POOLING_MEAN; pooling <= POOLING_LAST; pooling++) {
        struct onnx_engine_options options = options_of("model.onnx");
        options.pooling = pooling;
        expect_vectors(&options, pooling, 0.999999);
    }
}

static void test_onnx_takes_the_usual_graphs(void **state)
{
    (void)state;
    need_library();
    static const char *const files[] = {"sentence.onnx", "only_sentence.onnx", "outside.onnx"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct onnx_engine_options options = options_of(files[i]);
        expect_vectors(&options, POOLING_MEAN, 0.999999);
        options.batch = 3; /* then a run pads texts and masks the padding */
        expect_vectors(&options, POOLING_MEAN, 0.999999);
    }
    struct onnx_engine_options options = options_of("sentence.onnx");
    options.pools = false; /* the graph pools, always with the mean */
    options.pooling = POOLING_CLS;
    expect_vectors(&options, POOLING_MEAN, 0.999999);
}

static void test_onnx_int8_is_near_fp32(void **state)
{
    (void)state;
    need_library();
    struct onnx_engine_options options = options_of("model_int8.onnx");
    expect_vectors(&options, POOLING_MEAN, 0.995);
}

/* A graph without a mask cannot know where a shorter text ends, so we never pad its texts. */
static void test_onnx_without_a_mask_runs_texts_alone(void **state)
{
    (void)state;
    need_library();
    float alone[TEXTS_MAX][DIM], batched[TEXTS_MAX][DIM];
    struct onnx_engine_options options = options_of("ids_only.onnx");
    struct engine *engine = open_engine(&options);
    embed_all(engine, 1, alone);
    engine->ops->free(engine);
    options.batch = 8;
    engine = open_engine(&options);
    embed_all(engine, 1, batched);
    engine->ops->free(engine);
    assert_memory_equal(alone, batched, expected.count * sizeof *alone);
}

static void test_onnx_text_does_not_depend_on_its_neighbours_or_threads(void **state)
{
    (void)state;
    need_library();
    static const char *const files[] = {"model.onnx", "model_int8.onnx"};
    for (size_t f = 0; f < 2; f++) {
        float first[TEXTS_MAX][DIM], again[TEXTS_MAX][DIM];
        for (unsigned threads = 1; threads <= 5; threads++) {
            struct onnx_engine_options options = options_of(files[f]);
            options.threads = threads;
            struct engine *engine = open_engine(&options);
            assert_true(engine->callers >= 1 && engine->callers <= threads);
            embed_all(engine, threads, threads == 1 ? first : again);
            engine->ops->free(engine);
            if (threads > 1)
                assert_memory_equal(first, again, expected.count * sizeof *first);
        }
    }
}

static void test_onnx_threads_are_shared_out(void **state)
{
    (void)state;
    need_library();
    static const struct {
        unsigned threads, a_text, callers;
    } cases[] = {{1, 0, 1}, {2, 0, 2}, {3, 0, 2}, {4, 0, 3}, {8, 0, 5}, {4, 1, 4}, {4, 4, 1}, {4, 9, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx_engine_options options = options_of("ids_only.onnx");
        options.threads = cases[i].threads;
        options.threads_a_text = cases[i].a_text;
        struct engine *engine = open_engine(&options);
        assert_int_equal(engine->callers, cases[i].callers);
        engine->ops->free(engine);
    }
}

/* ---- models ---- */

static struct model *open_model(const char *folder, const char *file)
{
    const struct onnx_options options = {
        .library = getenv("DIPPER_ONNXRUNTIME_LIBRARY"), .file = file, .threads = 1};
    struct dp_error error;
    struct model *model;
    if (model_open_onnx(folder, &options, &model, &error) != DP_OK)
        fail_msg("%s", error.message);
    return model;
}

static void test_onnx_model_describes_itself(void **state)
{
    (void)state;
    need_library();
    struct model *model = open_model(tiny(), NULL), *native;
    struct dp_error error;
    const struct model_info *info = model_info(model);
    assert_string_equal(info->name, "tiny");
    assert_int_equal(info->dim, DIM);
    assert_int_equal(info->max_tokens, TOKENS);
    assert_true(info->normalized);
    assert_int_equal(info->pooling, POOLING_MEAN);
    assert_non_null(strstr(info->engine, "onnx/model.onnx by ONNX Runtime 1."));
    assert_int_equal(model_open_dir(tiny(), MODEL_INT8, &native, &error), DP_OK);
    assert_string_not_equal(info->fingerprint, model_info(native)->fingerprint);
    model_free(native);

    /* Every file has a different fingerprint, which never changes. */
    static const char *const files[] = {"model.onnx", "int8", "sentence.onnx", "outside.onnx"};
    for (size_t i = 0; i < 4; i++) {
        struct model *other = open_model(tiny(), files[i]);
        assert_int_equal(strcmp(model_info(other)->fingerprint, info->fingerprint) == 0, i == 0);
        model_free(other);
    }
    model_free(model);
}

static void copy_file(const char *from, const char *to)
{
    struct buffer bytes;
    buffer_init(&bytes, 1 << 20);
    assert_int_equal(os_read_file(from, &bytes, NULL), DP_OK);
    assert_int_equal(os_write_file(to, buffer_span(&bytes), NULL), DP_OK);
    buffer_deinit(&bytes);
}

/* Writes a folder of the tiny model's files, with `text` in one of them. Returns its path. */
static const char *folder_with(const char *name, const char *file, const char *text)
{
    static char folder[4096];
    static const char *const files[] = {"config.json",           "modules.json",
                                        "tokenizer.json",        "sentence_bert_config.json",
                                        "onnx/model.onnx",       "onnx/only_sentence.onnx",
                                        "onnx/bad_outputs.onnx", "1_Pooling/config.json"};
    char from[4200], to[4200];
    snprintf(folder, sizeof folder, "%s/%s", test_tmpdir(), name);
    snprintf(to, sizeof to, "%s/onnx", folder);
    assert_int_equal(os_make_dirs(to, NULL), DP_OK);
    snprintf(to, sizeof to, "%s/1_Pooling", folder);
    assert_int_equal(os_make_dirs(to, NULL), DP_OK);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(from, sizeof from, "%s/%s", tiny(), files[i]);
        snprintf(to, sizeof to, "%s/%s", folder, files[i]);
        if (strcmp(files[i], file) != 0)
            copy_file(from, to);
        else if (text != NULL)
            assert_int_equal(os_write_file(to, span_str(text), NULL), DP_OK);
    }
    return folder;
}

static void test_onnx_model_of_any_type(void **state)
{
    (void)state;
    need_library();
    static const struct {
        const char *config;
        size_t max_tokens;
    } cases[] = {
        {"{\"model_type\":\"distilbert\",\"dim\":16,\"vocab_size\":68,\"max_position_embeddings\":20}", 20},
        {"{\"model_type\":\"mpnet\",\"vocab_size\":68,\"max_position_embeddings\":22,\"pad_token_id\":1}", 20},
        {"{\"model_type\":\"mpnet\",\"vocab_size\":68,\"max_position_embeddings\":22,\"pad_token_id\":null}", 20},
        {"{\"model_type\":\"new\",\"hidden_act\":\"swiglu\"}", TOKENS},
        {"{}", TOKENS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model *model = open_model(folder_with("types", "config.json", cases[i].config), NULL);
        assert_int_equal(model_info(model)->max_tokens, cases[i].max_tokens);
        model_free(model);
    }
    /* Without modules and limits: mean pooling, not normalised, 512 tokens. */
    folder_with("bare", "modules.json", NULL);
    struct model *model = open_model(folder_with("bare", "sentence_bert_config.json", "{}"), NULL);
    assert_int_equal(model_info(model)->max_tokens, 32);
    model_free(model);
}

static const char dense_modules[] =
    "[{\"idx\":0,\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},"
    "{\"idx\":1,\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"},"
    "{\"idx\":2,\"path\":\"2_Dense\",\"type\":\"sentence_transformers.models.Dense\"}]";

static void test_onnx_model_with_unknown_modules_needs_a_graph_that_pools(void **state)
{
    (void)state;
    need_library();
    const char *folder = folder_with("dense", "modules.json", dense_modules);
    model_free(open_model(folder, "only_sentence.onnx"));
    const struct onnx_options options = {.library = getenv("DIPPER_ONNXRUNTIME_LIBRARY"), .threads = 1};
    struct dp_error error;
    struct model *model;
    assert_int_equal(model_open_onnx(folder, &options, &model, &error), DP_UNSUPPORTED);
    assert_non_null(strstr(error.message, "Dense"));
    assert_non_null(strstr(error.message, "sentence_embedding"));
}

static void test_onnx_model_contradictions_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *says;
        enum dp_status status;
    } cases[] = {
        {"config.json", "{\"vocab_size\":", "config.json", DP_INVALID},
        {"config.json", NULL, "config.json", DP_NOT_FOUND},
        {"config.json", "{\"vocab_size\":9}", "embeddings", DP_CORRUPT},
        {"config.json", "{\"vocab_size\":99999999}", "vocab_size", DP_UNSUPPORTED},
        {"config.json", "{\"model_type\":\"roberta\",\"max_position_embeddings\":2}", "no room", DP_INVALID},
        {"config.json", "{\"model_type\":\"roberta\",\"max_position_embeddings\":2,\"pad_token_id\":4294967295}",
         "no room", DP_INVALID},
        {"config.json", "{\"max_position_embeddings\":2}", "special", DP_UNSUPPORTED},
        {"tokenizer.json", "{}", "pre_tokenizer", DP_UNSUPPORTED},
        {"tokenizer.json", NULL, "tokenizer.json", DP_NOT_FOUND},
        {"modules.json", "[", "modules.json", DP_INVALID},
        {"1_Pooling/config.json", NULL, "1_Pooling", DP_NOT_FOUND},
        {"onnx/model.onnx", NULL, "model.onnx", DP_NOT_FOUND},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[20];
        snprintf(name, sizeof name, "wrong%zu", i);
        const char *folder = folder_with(name, cases[i].file, cases[i].text);
        const struct onnx_options options = {.library = getenv("DIPPER_ONNXRUNTIME_LIBRARY"), .threads = 1};
        struct dp_error error;
        struct model *model;
        enum dp_status status = model_open_onnx(folder, &options, &model, &error);
        if (status != cases[i].status || strstr(error.message, cases[i].says) == NULL)
            fail_msg("case %zu: %s: %s", i, dp_status_name(status), error.message);
        assert_null(model);
    }
}

/* ---- which file ---- */

static void write_empty(const char *folder, const char *file)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    assert_int_equal(os_write_file(path, span_str("x"), NULL), DP_OK);
}

static void expect_file(const char *folder, const char *choice, const char *wanted)
{
    struct arena arena;
    struct dp_error error;
    const char *path, *name = NULL;
    arena_init(&arena, 1 << 16);
    enum dp_status status = onnx_file_find(folder, choice, &arena, &path, &name, &error);
    if (wanted == NULL)
        assert_int_equal(status, DP_NOT_FOUND);
    else if (status != DP_OK || strcmp(name, wanted) != 0)
        fail_msg("\"%s\": %s, wanted %s", choice, status == DP_OK ? name : error.message, wanted);
    arena_deinit(&arena);
}

static void test_onnx_file_is_chosen_by_rule(void **state)
{
    (void)state;
    char folder[4096], inner[4200];
    snprintf(folder, sizeof folder, "%s/choice", test_tmpdir());
    snprintf(inner, sizeof inner, "%s/onnx", folder);
    assert_int_equal(os_make_dirs(inner, NULL), DP_OK);
    expect_file(folder, "", NULL);
    expect_file(folder, "int8", NULL);
    write_empty(folder, "model_uint8.onnx");
    expect_file(folder, "", "model_uint8.onnx");
    write_empty(folder, "onnx/model_quantized.onnx");
    expect_file(folder, "", "onnx/model_quantized.onnx");
    expect_file(folder, "int8", "onnx/model_quantized.onnx");
    write_empty(folder, "onnx/model_int8.onnx");
    expect_file(folder, "int8", "onnx/model_int8.onnx");
    write_empty(folder, "model.onnx");
    expect_file(folder, "", "model.onnx");
    write_empty(folder, "onnx/model.onnx");
    expect_file(folder, "", "onnx/model.onnx");
    expect_file(folder, "int8", "onnx/model_int8.onnx");
    expect_file(folder, "model_quantized.onnx", "onnx/model_quantized.onnx");
    expect_file(folder, "model_O4.onnx", NULL);
}

static void test_onnx_digest_covers_the_weights_beside_the_file(void **state)
{
    (void)state;
    char folder[4096], path[4200];
    uint8_t digests[3][32];
    struct arena arena;
    snprintf(folder, sizeof folder, "%s/digest", test_tmpdir());
    assert_int_equal(os_make_dirs(folder, NULL), DP_OK);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < 3; i++) {
        write_empty(folder, i == 0 ? "model.onnx" : i == 1 ? "other.onnx" : "model.onnx_data");
        assert_int_equal(onnx_file_digest(path, &arena, digests[i], NULL), DP_OK);
    }
    assert_memory_equal(digests[0], digests[1], 32);
    assert_memory_not_equal(digests[1], digests[2], 32);
    arena_deinit(&arena);
}

/* ---- graphs that are refused ---- */

static void test_onnx_graph_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    need_library();
    static const struct {
        const char *file, *says;
    } cases[] = {
        {"bad_input_name.onnx", "position_ids"},
        {"bad_no_ids.onnx", "no input_ids"},
        {"bad_input_type.onnx", "input_ids as float of 2"},
        {"bad_input_rank.onnx", "input_ids as int64 of 1"},
        {"bad_fixed_tokens.onnx", "exactly 8 tokens"},
        {"bad_fixed_texts.onnx", "3 texts at once"},
        {"bad_output_type.onnx", "last_hidden_state, float16 of 3"},
        {"bad_outputs.onnx", "rows, float of 3 dimensions; others"},
        {"bad_shape.onnx", "(2, 1, 16)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx_engine_options options = options_of(cases[i].file);
        struct dp_error error;
        struct engine *engine;
        enum dp_status status = onnx_engine_new(&options, &engine, &error);
        assert_null(engine);
        if (status != DP_UNSUPPORTED || strstr(error.message, cases[i].says) == NULL ||
            strstr(error.message, cases[i].file) == NULL)
            fail_msg("%s: %s: %s", cases[i].file, dp_status_name(status), error.message);
    }
}

static void test_onnx_failing_run_is_an_error(void **state)
{
    (void)state;
    need_library();
    static const struct {
        const char *file, *says;
    } cases[] = {{"bad_small_table.onnx", "out of data bounds"}, {"bad_not_finite.onnx", "not finite"}};
    for (size_t i = 0; i < 2; i++) {
        struct onnx_engine_options options = options_of(cases[i].file);
        struct engine *engine = open_engine(&options);
        struct embedder *embedder;
        float out[TEXTS_MAX][DIM];
        struct arena arena;
        struct call call;
        arena_init(&arena, 1 << 16);
        call_init(&call, &arena);
        assert_int_equal(embedder_new_over(engine, NULL, NULL, &embedder, &call.error), DP_OK);
        assert_int_equal(embedder_embed(&call, embedder, expected.texts, expected.count, true, out[0]),
                         DP_CORRUPT);
        assert_non_null(strstr(call.error.message, cases[i].says));
        embedder_free(embedder);
        engine->ops->free(engine);
        arena_deinit(&arena);
    }
}

/* ---- the library ---- */

static void expect_library(const char *path, enum dp_status status, const char *says)
{
    char library[4096];
    snprintf(library, sizeof library, "%s", path); /* it may lie in a buffer that options_of uses */
    struct onnx_engine_options options = options_of("model.onnx");
    struct dp_error error;
    struct engine *engine;
    options.library = library;
    enum dp_status got = onnx_engine_new(&options, &engine, &error);
    if (got != status || strstr(error.message, says) == NULL)
        fail_msg("%s: %s: %s", path, dp_status_name(got), error.message);
    assert_null(engine);
}

static void test_onnx_library_is_asked_for_a_version_that_it_has(void **state)
{
    (void)state;
    if (!onnx_engine_built())
        skip();
    expect_library("/nowhere/libonnxruntime.so", DP_NOT_FOUND, "/nowhere/libonnxruntime.so");
    expect_library(test_data_path("onnx/expected.json"), DP_UNSUPPORTED, "expected.json");
    expect_library(getenv("DIPPER_KILL_SHIM"), DP_UNSUPPORTED, "no OrtGetApiBase");
    expect_library(getenv("DIPPER_OLD_ONNXRUNTIME"), DP_UNSUPPORTED, "is ONNX Runtime 1.11.0; 1.12 or later");
    expect_library(getenv("DIPPER_ODD_ONNXRUNTIME"), DP_UNSUPPORTED, "is ONNX Runtime 2.0.0-dev; 1.12 or later");
}

static void test_onnx_library_is_not_opened_if_it_would_report(void **state)
{
    (void)state;
    if (!onnx_engine_built())
        skip();
    static const char *const values[] = {NULL, "", "0"};
    for (size_t i = 0; i < 3; i++) {
        if (values[i] == NULL)
            unsetenv("ORT_DISABLE_TELEMETRY");
        else
            setenv("ORT_DISABLE_TELEMETRY", values[i], 1);
        expect_library(getenv("DIPPER_KILL_SHIM"), DP_DENIED, "ORT_DISABLE_TELEMETRY");
    }
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
}

static void test_onnx_build_without_the_engine_says_so(void **state)
{
    (void)state;
    struct onnx_engine_options options = options_of("model.onnx");
    struct dp_error error;
    struct engine *engine;
    if (onnx_engine_built())
        return;
    assert_int_equal(onnx_engine_new(&options, &engine, &error), DP_UNSUPPORTED);
    assert_non_null(strstr(error.message, "scripts/setup --with-onnxruntime"));
    assert_null(engine);
}

/* ---- memory ---- */

static void test_onnx_out_of_memory_is_an_error_without_a_leak(void **state)
{
    (void)state;
    need_library();
    const struct onnx_options options = {
        .library = getenv("DIPPER_ONNXRUNTIME_LIBRARY"), .file = "ids_only.onnx", .threads = 2};
    model_free(open_model(tiny(), "ids_only.onnx")); /* some memory is allocated once only */
    size_t before = test_alloc_live(), n = 1;
    for (;; n = test_alloc_next(n)) {
        struct dp_error error;
        struct model *model;
        test_alloc_fail_at(n);
        enum dp_status status = model_open_onnx(tiny(), &options, &model, &error);
        struct embedder *embedder = NULL;
        if (status == DP_OK)
            status = embedder_new(model, NULL, NULL, &embedder, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        embedder_free(embedder);
        model_free(model);
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        if (status != DP_NOMEM)
            fail_msg("allocation %zu: %s %s", n, dp_status_name(status), error.message);
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onnx_pools_as_numpy),
        cmocka_unit_test(test_onnx_takes_the_usual_graphs),
        cmocka_unit_test(test_onnx_int8_is_near_fp32),
        cmocka_unit_test(test_onnx_without_a_mask_runs_texts_alone),
        cmocka_unit_test(test_onnx_text_does_not_depend_on_its_neighbours_or_threads),
        cmocka_unit_test(test_onnx_threads_are_shared_out),
        cmocka_unit_test(test_onnx_model_describes_itself),
        cmocka_unit_test(test_onnx_model_of_any_type),
        cmocka_unit_test(test_onnx_model_with_unknown_modules_needs_a_graph_that_pools),
        cmocka_unit_test(test_onnx_model_contradictions_are_refused),
        cmocka_unit_test(test_onnx_file_is_chosen_by_rule),
        cmocka_unit_test(test_onnx_digest_covers_the_weights_beside_the_file),
        cmocka_unit_test(test_onnx_graph_that_does_not_fit_is_refused),
        cmocka_unit_test(test_onnx_failing_run_is_an_error),
        cmocka_unit_test(test_onnx_library_is_asked_for_a_version_that_it_has),
        cmocka_unit_test(test_onnx_library_is_not_opened_if_it_would_report),
        cmocka_unit_test(test_onnx_build_without_the_engine_says_so),
        cmocka_unit_test(test_onnx_out_of_memory_is_an_error_without_a_leak),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, load, unload));
}
