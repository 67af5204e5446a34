/* test_engine.c: compares the default model's vectors with those of sentence-transformers, and with each other:
 * alone, in any batch, on any number of threads, by any instruction set.
 *
 * One test measures int8 over all 425 Cranfield texts. The other tests take every fifth or every third text, and
 * builds with sanitizers take every 85th, so that slow processors need not compute for minutes.
 */
#include <stdio.h>

#include "test_support.h"

#include "base/alloc.h"
#include "cosine.h"
#include "embed/embedder.h"
#include "embedding_golden.h"
#include "simd/encoder.h"
#include "simd/simd.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static bool few; /* a build with sanitizers: test every 85th text */
static struct golden golden;
static size_t step; /* we test every step-th text */

static int load(void **state)
{
    (void)state;
    golden = golden_load();
    few = SANITIZED;
    assert_int_equal(golden.count, 425);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    golden_free(&golden);
    return 0;
}

/* Tests every wanted-th text from here on. */
static void choose(size_t wanted)
{
    step = few ? 85 : wanted;
}

/* Embeds the chosen texts in one call into out[n][dim]. Returns n. */
static size_t embed_chosen(const struct model *model, unsigned workers, float *out)
{
    struct tokens *chosen = mem_calloc(golden.count, sizeof *chosen);
    size_t n = 0;
    for (size_t i = 0; i < golden.count; i += step)
        chosen[n++] = golden.texts[i];

    struct dp_error error;
    struct team *team;
    struct embedder *embedder;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    assert_int_equal(team_new(workers, &team, &error), DP_OK);
    assert_int_equal(embedder_new(model, team, NULL, &embedder, &error), DP_OK);
    assert_int_equal(embedder_embed(&call, embedder, chosen, n, true, out), DP_OK);
    assert_true(call.cost.tokens > 0);
    embedder_free(embedder);
    team_free(team);
    arena_deinit(&arena);
    mem_free(chosen);
    return n;
}

static double least_cosine(const float *vectors, size_t n, double *mean)
{
    double least = 1;
    *mean = 0;
    for (size_t i = 0; i < n; i++) {
        double cosine = cosine_of(vectors + i * golden.dim, golden.vectors + i * step * golden.dim, golden.dim);
        least = cosine < least ? cosine : least;
        *mean += cosine / (double)n;
    }
    return least;
}

static void check_fidelity(enum model_precision precision, size_t wanted, size_t texts, double bar)
{
    struct dp_error error;
    struct model *model;
    if (model_open_dir(golden_model(), precision, &model, &error) != DP_OK)
        fail_msg("%s", error.message);
    float *vectors = mem_calloc(golden.count * golden.dim, sizeof *vectors);
    double mean;
    choose(wanted);
    size_t n = embed_chosen(model, 2, vectors);
    double least = least_cosine(vectors, n, &mean);
    print_message("%s, %s: %zu texts, cosine to sentence-transformers: least %.7f, mean %.7f\n",
                  model_info(model)->engine, simd_ops()->name, n, least, mean);
    assert_int_equal(n, few ? 5 : texts);
    assert_true(least >= bar);
    mem_free(vectors);
    model_free(model);
}

static void test_embed_fp32_equals_sentence_transformers(void **state)
{
    (void)state;
    check_fidelity(MODEL_FP32, 5, 85, 0.99999);
}

static void test_embed_int8_is_close_to_sentence_transformers(void **state)
{
    (void)state;
    check_fidelity(MODEL_INT8, 1, 425, 0.998);
}

static void test_embed_model_describes_itself(void **state)
{
    (void)state;
    struct dp_error error;
    struct model *model;
    assert_int_equal(model_open_dir(golden_model(), MODEL_INT8, &model, &error), DP_OK);
    const struct model_info *info = model_info(model);
    assert_string_equal(info->name, "all-MiniLM-L6-v2");
    assert_int_equal(info->dim, 384);
    assert_int_equal(info->max_tokens, 256);
    assert_int_equal(strlen(info->fingerprint), 64);
    assert_int_equal(info->pooling, POOLING_MEAN);
    assert_true(info->normalized);
    model_free(model);
}

/* One text at a time, and all in one call on one, two and three threads, give equal bits. */
static void test_embed_vectors_do_not_depend_on_batch_or_threads(void **state)
{
    (void)state;
    struct dp_error error;
    struct model *model;
    assert_int_equal(model_open_dir(golden_model(), MODEL_INT8, &model, &error), DP_OK);
    size_t dim = golden.dim;
    float *one = mem_calloc(golden.count * dim, sizeof *one), *many = mem_calloc(golden.count * dim, sizeof *many);
    choose(3);
    size_t n = embed_chosen(model, 1, one);
    for (unsigned workers = 2; workers <= 3; workers++) {
        assert_int_equal(embed_chosen(model, workers, many), n);
        assert_memory_equal(one, many, n * dim * sizeof *one);
    }

    struct embedder *embedder;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    assert_int_equal(embedder_new(model, NULL, NULL, &embedder, &error), DP_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(embedder_embed(&call, embedder, &golden.texts[i * step], 1, true, many), DP_OK);
        assert_memory_equal(one + i * dim, many, dim * sizeof *many);
    }
    embedder_free(embedder);
    arena_deinit(&arena);
    mem_free(one);
    mem_free(many);
    model_free(model);
}

/* Texts of all lengths, each by one, two and three threads together, give equal bits, in int8 and fp32. */
static void check_together(enum model_precision precision, size_t every)
{
    struct dp_error error;
    struct model *model;
    assert_int_equal(model_open_dir(golden_model(), precision, &model, &error), DP_OK);
    const struct engine *engine = model_engine(model);
    float *want = mem_calloc(3 * engine->dim, sizeof *want), *out = mem_calloc(3 * engine->dim, sizeof *out);
    void *workspaces[3];
    struct team *teams[3];
    for (unsigned t = 0; t < 3; t++) {
        assert_int_equal(engine->ops->workspace_new(engine, 300, &workspaces[t], &error), DP_OK);
        assert_int_equal(team_new(t + 1, &teams[t], &error), DP_OK);
    }
    for (size_t i = 0; i + 3 < golden.count && i < (few ? 4 * every : golden.count); i += every) {
        struct engine_item items[3];
        size_t n = 0, tokens = 0; /* one text, or a few if they are short */
        for (; n < 3 && tokens + golden.texts[i + n].count <= (n == 0 ? 300 : 80); n++) {
            items[n] = (struct engine_item){golden.texts[i + n].ids, golden.texts[i + n].count,
                                            want + n * engine->dim, 0};
            tokens += items[n].count;
        }
        assert_int_equal(engine->ops->encode(engine, workspaces[0], items, n, &error), DP_OK);
        for (size_t k = 0; k < n; k++)
            items[k].out = out + k * engine->dim;
        for (unsigned t = 0; t < 3; t++) {
            memset(out, 0, n * engine->dim * sizeof *out);
            assert_int_equal(engine->ops->encode_together(engine, teams[t], workspaces, items, n, &error), DP_OK);
            assert_memory_equal(out, want, n * engine->dim * sizeof *out);
        }
    }
    for (unsigned t = 0; t < 3; t++) {
        engine->ops->workspace_free(workspaces[t]);
        team_free(teams[t]);
    }
    mem_free(want);
    mem_free(out);
    model_free(model);
}

static void test_embed_together_gives_the_same_bits(void **state)
{
    (void)state;
    check_together(MODEL_INT8, 12);
    check_together(MODEL_FP32, 67);
}

/* A warm embedder allocates nothing, for any number and length of texts. */
static void test_embed_allocates_nothing_when_warm(void **state)
{
    (void)state;
    struct dp_error error;
    struct model *model;
    struct team *team;
    struct embedder *embedder;
    struct arena arena;
    struct call call;
    assert_int_equal(model_open_dir(golden_model(), MODEL_INT8, &model, &error), DP_OK);
    assert_int_equal(team_new(2, &team, &error), DP_OK);
    assert_int_equal(embedder_new(model, team, NULL, &embedder, &error), DP_OK);
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    float *out = mem_calloc(60 * golden.dim, sizeof *out);
    size_t before = test_alloc_count();
    for (size_t n = 1; n <= 60; n = n * 3 + 1)
        assert_int_equal(embedder_embed(&call, embedder, golden.texts + (few ? 0 : 200), n, true, out), DP_OK);
    assert_int_equal(test_alloc_count(), before);
    mem_free(out);
    embedder_free(embedder);
    team_free(team);
    arena_deinit(&arena);
    model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed_fp32_equals_sentence_transformers),
        cmocka_unit_test(test_embed_int8_is_close_to_sentence_transformers),
        cmocka_unit_test(test_embed_model_describes_itself),
        cmocka_unit_test(test_embed_vectors_do_not_depend_on_batch_or_threads),
        cmocka_unit_test(test_embed_together_gives_the_same_bits),
        cmocka_unit_test(test_embed_allocates_nothing_when_warm),
    };
    return test_finish(cmocka_run_group_tests_name("engine", tests, load, unload));
}
