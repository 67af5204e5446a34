/* test_capi.c: the public C API (include/dipper/dipper.h), through that header alone.
 *
 * Tests of meaning use the real model; all others use the tiny one (tiny_model.h).
 */
#include "test_support.h"

#include <dipper/dipper.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tiny_model.h"

enum { DIM = 384, THREADS = 4, PATH_BYTES = 4096 };

static const char ROWS[] = "{\"id\": 7, \"text\": \"the cat sat on the mat\", \"colour\": \"black\"}\n"
                           "{\"id\": \"boat\", \"text\": \"a sailing boat in the wind\"}\n"
                           "{\"id\": 9, \"text\": \"salt and pepper on the table\", \"n\": 3}\n";

/* The surroundings of a test: a runtime, a model, the folder of a bucket. */
struct world {
    struct dp_runtime *runtime;
    struct dp_model *model;
    char root[PATH_BYTES], model_path[PATH_BYTES];
};

/* Returns a path below a folder. The last three results stay valid. */
static const char *below(const char *folder, const char *name)
{
    static char paths[3][PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % 3];
    assert_true(snprintf(path, PATH_BYTES, "%s/%s", folder, name) < PATH_BYTES);
    return path;
}

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "wbe");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, strlen(text), out), strlen(text));
    assert_int_equal(fclose(out), 0);
}

static const char *rows_file(const char *text)
{
    const char *path = below(test_tmpdir(), "rows.jsonl");
    write_file(path, text);
    return path;
}

static struct world world_of(const char *model_path, unsigned threads)
{
    struct world w = {0};
    struct dp_runtime_options options = {.size = sizeof options, .threads = threads};
    struct dp_error error;
    snprintf(w.model_path, sizeof w.model_path, "%s", model_path);
    snprintf(w.root, sizeof w.root, "%s/bucket", test_tmpdir());
    assert_int_equal(dp_runtime_new(&options, &w.runtime, &error), DP_OK);
    if (dp_model_open(w.runtime, model_path, NULL, &w.model, &error) != DP_OK)
        fail_msg("%s", error.message);
    return w;
}

static struct world real_world(unsigned threads)
{
    char path[PATH_BYTES];
    const char *source = getenv("DIPPER_SOURCE");
    assert_non_null(source);
    snprintf(path, sizeof path, "%s/models/all-MiniLM-L6-v2", source);
    if (access(path, R_OK) != 0)
        fail_msg("%s is missing: run scripts/fetch-model", path);
    return world_of(path, threads);
}

static const char *tiny_model(void)
{
    static char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/tiny", test_tmpdir());
    assert_int_equal(mkdir(path, 0777), 0);
    tiny_model_write(path);
    return path;
}

static struct world tiny_world(unsigned threads)
{
    return world_of(tiny_model(), threads);
}

static void end_world(struct world *w)
{
    dp_model_close(w->model);
    dp_runtime_free(w->runtime);
}

static double dot(const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static const struct dp_embed_options raw_vectors = {.size = sizeof raw_vectors, .raw = true};

/* ---- embedding -------------------------------------------------------------------------------------- */

static void test_capi_embeds_by_meaning(void **state)
{
    (void)state;
    static const char *const texts[] = {"how do birds fly?", "the flight of birds", "invoice for printer paper"};
    static float out[3][DIM];
    struct world w = real_world(2);
    struct dp_error error;
    assert_string_equal(dp_model_name(w.model), "all-MiniLM-L6-v2");
    assert_int_equal(dp_model_dim(w.model), DIM);
    assert_int_equal(dp_model_max_tokens(w.model), 256);
    assert_int_equal(dp_embed(w.model, texts, 3, NULL, out[0], &error), DP_OK);
    for (int i = 0; i < 3; i++)
        assert_true(fabs(dot(out[i], out[i], DIM) - 1) < 1e-5);
    assert_true(dot(out[0], out[1], DIM) > 0.7);
    assert_true(dot(out[0], out[2], DIM) < 0.3);
    end_world(&w);
}

static void test_capi_embeds_the_same_alone_and_with_others(void **state)
{
    (void)state;
    enum { COUNT = 2500 }; /* more than one run embeds */
    struct world w = tiny_world(2);
    struct dp_error error;
    static char texts[COUNT][32];
    static const char *list[COUNT];
    static float out[COUNT][TINY_DIM], raw[TINY_DIM], alone[TINY_DIM];
    for (int i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof texts[i], "cat %d dog", i);
        list[i] = texts[i];
    }
    assert_int_equal(dp_embed(w.model, list, COUNT, NULL, out[0], &error), DP_OK);
    for (int i = 0; i < COUNT; i += 311) {
        assert_int_equal(dp_embed(w.model, &list[i], 1, NULL, alone, NULL), DP_OK);
        assert_memory_equal(alone, out[i], sizeof alone);
    }
    assert_int_equal(dp_embed(w.model, list, 1, &raw_vectors, raw, NULL), DP_OK);
    double length = sqrt(dot(raw, raw, TINY_DIM));
    assert_true(fabs(dot(raw, out[0], TINY_DIM) / length - 1) < 1e-5);
    assert_int_equal(dp_embed(w.model, list, 0, NULL, alone, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "count"));
    const char *empty = "";
    assert_int_equal(dp_embed(w.model, &empty, 1, NULL, alone, &error), DP_OK);
    end_world(&w);
}

static void test_capi_opens_models_from_memory(void **state)
{
    (void)state;
    struct world w = tiny_world(1);
    struct dp_error error;
    struct dp_model *other = (struct dp_model *)state; /* anything but NULL */
    static const char nonsense[4096] = "nonsense";
    struct dp_model_options memory = {.size = sizeof memory, .bytes = nonsense, .bytes_len = sizeof nonsense};
    assert_int_equal(dp_model_open(w.runtime, NULL, &memory, &other, &error), DP_CORRUPT);
    assert_null(other);
    memory.precision = DP_PRECISION_FP32;
    assert_int_equal(dp_model_open(w.runtime, NULL, &memory, &other, &error), DP_UNSUPPORTED);
    memory.precision = (enum dp_precision)2;
    assert_int_equal(dp_model_open(w.runtime, NULL, &memory, &other, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "precision 2"));
    memory = (struct dp_model_options){.size = sizeof memory, .bytes = nonsense};
    assert_int_equal(dp_model_open(w.runtime, NULL, &memory, &other, NULL), DP_CORRUPT);
    assert_int_equal(dp_model_open(w.runtime, w.model_path, &memory, &other, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "both set"));
    memory = (struct dp_model_options){.size = sizeof memory, .bytes_len = 1};
    assert_int_equal(dp_model_open(w.runtime, NULL, &memory, &other, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "bytes is NULL"));
    end_world(&w);
}

static void test_capi_opens_models_in_fp32(void **state)
{
    (void)state;
    static const struct dp_model_options defaults = {.size = sizeof defaults},
                                         fp32 = {.size = sizeof fp32, .precision = DP_PRECISION_FP32};
    static const char *const texts[] = {"how do birds fly?", "the flight of birds", "invoice for printer paper"};
    static float want[3][DIM], out[3][DIM];
    struct world w = real_world(1);
    struct dp_error error;
    struct dp_model *other;
    assert_int_equal(dp_embed(w.model, texts, 3, NULL, want[0], &error), DP_OK);
    assert_int_equal(dp_model_open(w.runtime, w.model_path, &defaults, &other, &error), DP_OK);
    assert_int_equal(dp_embed(other, texts, 3, NULL, out[0], &error), DP_OK);
    assert_memory_equal(out, want, sizeof out);
    dp_model_close(other);
    assert_int_equal(dp_model_open(w.runtime, w.model_path, &fp32, &other, &error), DP_OK);
    assert_int_equal(dp_embed(other, texts, 3, NULL, out[0], &error), DP_OK);
    for (int i = 0; i < 3; i++) {
        assert_memory_not_equal(out[i], want[i], sizeof out[i]);
        assert_true(dot(out[i], want[i], DIM) > 0.99); /* short texts differ most */
    }
    dp_model_close(other);
    assert_int_equal(dp_model_open(w.runtime, "/nowhere", &fp32, &other, &error), DP_NOT_FOUND);
    assert_null(other);
    end_world(&w);
}

static void test_capi_cuts_texts_into_tokens(void **state)
{
    (void)state;
    enum { WORDS = 2 * TINY_TOKENS };
    struct world w = tiny_world(1);
    struct dp_error error;
    static char words[WORDS * 4 + 1];
    for (int i = 0; i < WORDS; i++)
        memcpy(words + (size_t)i * 4, "cat ", 4);
    const char *texts[] = {"", "cat", words};
    int32_t ids[3 * TINY_TOKENS];
    size_t ends[3];
    assert_int_equal(dp_model_max_tokens(w.model), TINY_TOKENS);
    assert_int_equal(dp_tokenize(w.model, texts, 3, ids, 3 * TINY_TOKENS, ends, &error), DP_OK);
    assert_int_equal(ends[0], 2);
    assert_int_equal(ends[1], 5);
    assert_int_equal(ends[2], 5 + TINY_TOKENS); /* cut */
    static const int32_t first[] = {TINY_CLS, TINY_SEP, TINY_CLS, TINY_CAT, TINY_SEP, TINY_CLS, TINY_CAT};
    assert_memory_equal(ids, first, sizeof first);
    assert_int_equal(ids[ends[2] - 1], TINY_SEP);
    assert_int_equal(dp_tokenize(w.model, texts, 2, ids, 5, ends, NULL), DP_OK); /* exactly enough */
    assert_int_equal(dp_tokenize(w.model, texts, 2, ids, 4, ends, &error), DP_TOO_LARGE);
    assert_non_null(strstr(error.message, "text 1"));
    assert_int_equal(dp_tokenize(w.model, texts, 0, ids, 4, ends, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "count"));
    end_world(&w);
}

/* Counts how often dp_limits.cancelled was called. */
struct wish {
    unsigned asked;
    bool end;
};

static bool ask(void *ctx)
{
    struct wish *wish = ctx;
    wish->asked++;
    return wish->end;
}

static void test_capi_embedding_keeps_to_its_limits(void **state)
{
    (void)state;
    enum { MANY = 32768 };
    struct world w = tiny_world(2);
    struct dp_error error;
    struct wish wish = {.end = false};
    struct dp_embed_options limited = {.size = sizeof limited, .limits = {.cancelled = ask, .ctx = &wish}};
    const char **texts = malloc(MANY * sizeof *texts);
    float *out = malloc(MANY * TINY_DIM * sizeof *out), *want = malloc(MANY * TINY_DIM * sizeof *want);
    for (int i = 0; i < MANY; i++)
        texts[i] = i % 2 ? "cat and boat in the wind" : "salt";
    assert_int_equal(dp_embed(w.model, texts, MANY, NULL, want, &error), DP_OK);
    assert_int_equal(dp_embed(w.model, texts, MANY, &limited, out, &error), DP_OK);
    assert_memory_equal(out, want, MANY * TINY_DIM * sizeof *out);
    assert_true(wish.asked > 0); /* the call takes more than 20 ms */
    wish = (struct wish){.end = true};
    assert_int_equal(dp_embed(w.model, texts, MANY, &limited, out, &error), DP_CANCELLED);
    assert_int_equal(wish.asked, 1);
    limited.limits = (struct dp_limits){.timeout_ms = 1};
    assert_int_equal(dp_embed(w.model, texts, MANY, &limited, out, &error), DP_DEADLINE);
    free(texts);
    free(out);
    free(want);
    end_world(&w);
}

static void test_capi_embeds_texts_by_length(void **state)
{
    (void)state;
    static const char *const texts[] = {"cat and boat", "ca\0t"}, *const same[] = {"cat", "cat"};
    static const size_t lengths[] = {3, 4};
    float out[2][TINY_DIM], want[2][TINY_DIM];
    struct world w = tiny_world(1);
    struct dp_error error;
    const struct dp_embed_options by_length = {.size = sizeof by_length, .lengths = lengths};
    assert_int_equal(dp_embed(w.model, texts, 2, &by_length, out[0], &error), DP_OK);
    assert_int_equal(dp_embed(w.model, same, 2, NULL, want[0], &error), DP_OK);
    assert_memory_equal(out, want, sizeof out);
    end_world(&w);
}

/* ---- loading and searching --------------------------------------------------------------------------- */

static void index_rows(struct world *w, const char *rows)
{
    struct dp_error error;
    if (dp_namespace_load_file(w->model, w->root, "notes", rows_file(rows), NULL, NULL, &error) != DP_OK)
        fail_msg("%s", error.message);
}

static enum dp_status search_vector(struct dp_namespace *ns, const float *vector, size_t dim, size_t k,
                                    struct dp_results **out, struct dp_error *error)
{
    const struct dp_query query = {.size = sizeof query, .vector = vector, .dim = dim, .k = k};
    return dp_namespace_query(ns, &query, out, error);
}

static void test_capi_loads_and_finds(void **state)
{
    (void)state;
    struct world w = real_world(2);
    struct dp_error error;
    struct dp_load_summary summary = {.size = sizeof summary};
    struct dp_namespace *ns;
    struct dp_results *found;
    assert_int_equal(dp_namespace_load_file(w.model, w.root, "notes", rows_file(ROWS), NULL, &summary, &error),
                     DP_OK);
    assert_int_equal(summary.rows, 3);
    assert_int_equal(summary.total_rows, 3);
    assert_int_equal(summary.replaced, 0);
    assert_true(summary.bytes > 1000);
    assert_int_equal(dp_namespace_open(w.root, "notes", NULL, &ns, &error), DP_OK);
    assert_int_equal(dp_namespace_search(ns, w.model, "kitten", 2, &found, &error), DP_OK);
    assert_int_equal(dp_results_count(found), 2);
    assert_string_equal(dp_results_id(found, 0), "7");
    assert_true(dp_results_id_is_number(found, 0));
    assert_string_equal(dp_results_attributes(found, 0),
                        "{\"text\":\"the cat sat on the mat\",\"colour\":\"black\"}");
    assert_true(dp_results_dist(found, 0) > 0 && dp_results_dist(found, 0) < dp_results_dist(found, 1));
    struct dp_cost cost = dp_results_cost(found);
    assert_true(cost.rounds >= 1 && cost.rounds <= 4 && cost.requests >= cost.rounds && cost.bytes > 0);
    dp_namespace_close(ns);
    assert_string_equal(dp_results_id(found, 0), "7"); /* results outlive their namespace */
    dp_results_free(found);
    end_world(&w);
}

static void test_capi_search_sees_later_loads(void **state)
{
    (void)state;
    struct world w = tiny_world(2);
    struct dp_error error;
    struct dp_load_summary summary = {.size = sizeof summary};
    struct dp_namespace *ns;
    struct dp_results *found;
    index_rows(&w, ROWS);
    assert_int_equal(dp_namespace_open(w.root, "notes", NULL, &ns, &error), DP_OK);
    assert_int_equal(dp_namespace_search(ns, w.model, "flow of heat", 10, &found, &error), DP_OK);
    assert_int_equal(dp_results_count(found), 3);
    dp_results_free(found);
    assert_int_equal(
        dp_namespace_load_file(w.model, w.root, "notes",
                               rows_file("{\"id\":9,\"text\":\"flow of heat\"}\n{\"id\":10,\"text\":\"star\"}\n"),
                               NULL, &summary, &error),
        DP_OK);
    assert_int_equal(summary.replaced, 1);
    assert_int_equal(summary.total_rows, 4);
    assert_int_equal(dp_namespace_search(ns, w.model, "flow of heat", 10, &found, &error), DP_OK);
    assert_int_equal(dp_results_count(found), 4);
    assert_string_equal(dp_results_id(found, 0), "9");
    assert_string_equal(dp_results_attributes(found, 0), "{\"text\":\"flow of heat\"}");
    dp_results_free(found);
    float vector[TINY_DIM];
    const char *text = "star";
    assert_int_equal(dp_embed(w.model, &text, 1, NULL, vector, &error), DP_OK);
    assert_int_equal(search_vector(ns, vector, TINY_DIM, 1, &found, &error), DP_OK);
    assert_string_equal(dp_results_id(found, 0), "10");
    assert_true(dp_results_dist(found, 0) < 1e-5f);
    dp_results_free(found);
    dp_namespace_close(ns);
    end_world(&w);
}

/* A pipe that stays open: first nobody writes to it, then one row comes and no more. */
static void test_capi_loading_a_silent_pipe_ends_with_the_call(void **state)
{
    (void)state;
    struct world w = tiny_world(1);
    struct dp_error error;
    struct dp_load_options limited = {.size = sizeof limited, .limits = {.timeout_ms = 50}};
    const char *path = below(test_tmpdir(), "pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(dp_namespace_load_file(w.model, w.root, "n", path, &limited, NULL, &error), DP_DEADLINE);
    int pipe = open(path, O_RDWR);
    assert_true(pipe >= 0);
    static const char row[] = "{\"id\": 1, \"text\": \"cat\"}\n";
    assert_int_equal(write(pipe, row, sizeof row - 1), sizeof row - 1);
    assert_int_equal(dp_namespace_load_file(w.model, w.root, "n", path, &limited, NULL, &error), DP_DEADLINE);
    struct wish wish = {.end = true};
    limited.limits = (struct dp_limits){.cancelled = ask, .ctx = &wish};
    assert_int_equal(dp_namespace_load_file(w.model, w.root, "n", path, &limited, NULL, &error), DP_CANCELLED);
    assert_int_equal(wish.asked, 1);
    close(pipe);
    unlink(path);
    end_world(&w);
}

/* Searches, and returns the first row's number, or 0 if there is no row; *dist: its dist. */
static uint64_t find_first(struct dp_namespace *ns, const struct dp_query *query, float *dist)
{
    struct dp_results *found;
    struct dp_error error;
    if (dp_namespace_query(ns, query, &found, &error) != DP_OK)
        fail_msg("%s", error.message);
    uint64_t id = dp_results_count(found) ? strtoull(dp_results_id(found, 0), NULL, 10) : 0;
    *dist = dp_results_dist(found, 0);
    dp_results_free(found);
    return id;
}

static void test_capi_ranks_by_words_and_by_both(void **state)
{
    (void)state;
    struct world w = tiny_world(2);
    struct dp_namespace *ns;
    struct dp_results *found;
    struct dp_error error;
    float dist;
    index_rows(&w, "{\"id\": 1, \"text\": \"salt\", \"n\": 1}\n{\"id\": 2, \"text\": \"cat cat\", \"n\": 2}\n"
                   "{\"id\": 3, \"text\": \"cat sail\", \"n\": 3}\n");
    assert_int_equal(dp_namespace_open(w.root, "notes", NULL, &ns, &error), DP_OK);
    struct dp_query query = {.size = sizeof query, .text = "sail", .k = 3, .rank = DP_RANK_WORDS};
    assert_int_equal(find_first(ns, &query, &dist), 3); /* without a model */
    assert_true(dist > 0);
    query.text = "wind";
    assert_int_equal(find_first(ns, &query, &dist), 0);
    query.text = "cat";
    query.filters = "[\"n\", \"Gt\", 2]";
    assert_int_equal(find_first(ns, &query, &dist), 3);
    query.rank = DP_RANK_HYBRID;
    query.model = w.model;
    assert_int_equal(find_first(ns, &query, &dist), 3);
    assert_true(fabsf(dist - 2.0f / 61) < 1e-6f);
    query.fusion = DP_FUSION_CONVEX;
    query.words_share = 0.9;
    assert_int_equal(find_first(ns, &query, &dist), 3);
    assert_true(dist >= 0.9f && dist <= 1.0f);
    query.words_share = 1.5;
    assert_int_equal(dp_namespace_query(ns, &query, &found, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "between 0 and 1"));
    query = (struct dp_query){.size = sizeof query, .vector = &dist, .dim = 1, .k = 1, .rank = DP_RANK_WORDS};
    assert_int_equal(dp_namespace_query(ns, &query, &found, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "needs a text"));
    query.rank = (enum dp_rank)4;
    assert_int_equal(dp_namespace_query(ns, &query, &found, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "unknown"));
    dp_namespace_close(ns);
    end_world(&w);
}

static void test_capi_loading_and_searching_keep_to_their_limits(void **state)
{
    (void)state;
    enum { ROWS_MANY = 20000 };
    struct world w = tiny_world(2);
    struct dp_error error;
    struct wish wish = {.end = true};
    const struct dp_limits limits = {.cancelled = ask, .ctx = &wish};
    const struct dp_load_options load = {.size = sizeof load, .limits = limits};
    const struct dp_namespace_options limited = {.size = sizeof limited, .limits = limits};
    struct dp_namespace *ns;
    struct dp_results *found;
    char *many = malloc(ROWS_MANY * 64), *end = many;
    for (int i = 0; i < ROWS_MANY; i++)
        end += sprintf(end, "{\"id\": %d, \"text\": \"cat and boat\"}\n", i);
    assert_int_equal(dp_namespace_load_file(w.model, w.root, "many", rows_file(many), &load, NULL, &error),
                     DP_CANCELLED);
    assert_int_equal(dp_namespace_open(w.root, "many", NULL, &ns, &error), DP_NOT_FOUND);
    assert_int_equal(wish.asked, 1);
    free(many);
    index_rows(&w, ROWS);
    assert_int_equal(dp_namespace_open(w.root, "notes", &limited, &ns, &error), DP_OK);
    const struct dp_query query = {
        .size = sizeof query, .model = w.model, .text = "boat and", .text_len = 4, .k = 1};
    assert_int_equal(dp_namespace_query(ns, &query, &found, &error), DP_OK);
    assert_string_equal(dp_results_id(found, 0), "boat");
    assert_false(dp_results_id_is_number(found, 0));
    dp_results_free(found);
    static const struct dp_query nothing = {.size = sizeof nothing, .k = 1},
                                 no_model = {.size = sizeof no_model, .text = "boat", .k = 1};
    assert_int_equal(dp_namespace_query(ns, &nothing, &found, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "neither text nor vector"));
    assert_int_equal(dp_namespace_query(ns, &no_model, &found, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "needs a model"));
    assert_null(found);
    dp_namespace_close(ns);
    end_world(&w);
}

/* One of several users of the same handles. */
struct user {
    struct world *world;
    struct dp_namespace *ns;
    bool failed;
};

static void *use(void *context)
{
    struct user *u = context;
    static const char *const texts[] = {"cat", "boat and sail", "salt", "wind"};
    float first[4][TINY_DIM], again[4][TINY_DIM];
    u->failed = dp_embed(u->world->model, texts, 4, NULL, first[0], NULL) != DP_OK;
    for (int i = 0; i < 20 && !u->failed; i++) {
        struct dp_results *found;
        struct dp_error error;
        u->failed = dp_embed(u->world->model, texts, 4, NULL, again[0], &error) != DP_OK ||
                    memcmp(first, again, sizeof first) != 0 ||
                    dp_namespace_search(u->ns, u->world->model, texts[i % 4], 3, &found, &error) != DP_OK;
        if (!u->failed) {
            u->failed = dp_results_count(found) != 3;
            dp_results_free(found);
        }
    }
    return NULL;
}

static void test_capi_handles_serve_several_threads(void **state)
{
    (void)state;
    struct world w = tiny_world(2);
    struct dp_namespace *ns;
    struct user users[THREADS];
    pthread_t threads[THREADS];
    index_rows(&w, ROWS);
    assert_int_equal(dp_namespace_open(w.root, "notes", NULL, &ns, NULL), DP_OK);
    for (int i = 0; i < THREADS; i++) {
        users[i] = (struct user){&w, ns, false};
        assert_int_equal(pthread_create(&threads[i], NULL, use, &users[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(users[i].failed);
    }
    dp_namespace_close(ns);
    end_world(&w);
}

/* ---- errors ------------------------------------------------------------------------------------------ */

/* Each failure twice: with an error to fill, and with NULL. */
static void expect_open(struct world *w, const char *path, enum dp_status status, const char *says)
{
    struct dp_model *model = (struct dp_model *)w;
    struct dp_error error = {0};
    assert_int_equal(dp_model_open(w->runtime, path, NULL, &model, &error), status);
    assert_int_equal(error.status, status);
    if (!strstr(error.message, says))
        fail_msg("'%s' does not say '%s'", error.message, says);
    assert_null(model);
    model = (struct dp_model *)w;
    assert_int_equal(dp_model_open(w->runtime, path, NULL, &model, NULL), status);
    assert_null(model);
}

static void test_capi_names_what_is_wrong_with_a_model(void **state)
{
    (void)state;
    struct world w = tiny_world(1);
    const char *folder = test_tmpdir();
    expect_open(&w, below(folder, "nowhere"), DP_NOT_FOUND, "nowhere");
    expect_open(&w, folder, DP_NOT_FOUND, "config.json");
    write_file(below(folder, "file"), "no model");
    expect_open(&w, below(folder, "file"), DP_CORRUPT, "file");
    static const char *const files[] = {"config.json", "tokenizer.json", "model.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char copy[PATH_BYTES / 2];
        snprintf(copy, sizeof copy, "%s/model", test_tmpdir());
        assert_int_equal(mkdir(copy, 0777), 0);
        tiny_model_write(copy);
        write_file(below(copy, files[i]), "{\"what\":");
        struct dp_model *model;
        struct dp_error error;
        assert_int_not_equal(dp_model_open(w.runtime, copy, NULL, &model, &error), DP_OK);
        assert_non_null(strstr(error.message, files[i]));
        assert_int_not_equal(dp_model_open(w.runtime, copy, NULL, &model, NULL), DP_OK);
        assert_null(model);
    }
    end_world(&w);
}

static void expect_index(struct world *w, const char *name, const char *path, enum dp_status status,
                         const char *says)
{
    struct dp_error error = {0};
    assert_int_equal(dp_namespace_load_file(w->model, w->root, name, path, NULL, NULL, &error), status);
    assert_int_equal(error.status, status);
    if (!strstr(error.message, says))
        fail_msg("'%s' does not say '%s'", error.message, says);
    assert_int_equal(dp_namespace_load_file(w->model, w->root, name, path, NULL, NULL, NULL), status);
}

static void test_capi_names_what_is_wrong_with_rows(void **state)
{
    (void)state;
    struct world w = tiny_world(1);
    expect_index(&w, "notes", below(test_tmpdir(), "nowhere"), DP_NOT_FOUND, "nowhere");
    expect_index(&w, "notes", rows_file(""), DP_INVALID, "no rows");
    expect_index(&w, "notes", rows_file("{\"id\":1,\"text\":\"a\"}\n{\"id\":2}\n"), DP_INVALID, "line 2");
    expect_index(&w, "a/b", rows_file(ROWS), DP_INVALID, "name");
    struct dp_namespace *ns;
    assert_int_equal(dp_namespace_open(w.root, "notes", NULL, &ns, NULL),
                     DP_NOT_FOUND); /* none of them was loaded */
    assert_null(ns);
    end_world(&w);
}

static void expect_search(struct dp_namespace *ns, struct dp_model *model, size_t k, enum dp_status status,
                          const char *says)
{
    struct dp_results *found = (struct dp_results *)ns;
    struct dp_error error = {0};
    assert_int_equal(dp_namespace_search(ns, model, "cat", k, &found, &error), status);
    if (!strstr(error.message, says))
        fail_msg("'%s' does not say '%s'", error.message, says);
    assert_null(found);
    assert_int_equal(dp_namespace_search(ns, model, "cat", k, &found, NULL), status);
}

static void test_capi_names_what_is_wrong_with_a_search(void **state)
{
    (void)state;
    struct world w = tiny_world(1), real = real_world(1);
    struct dp_namespace *ns;
    struct dp_results *found;
    struct dp_error error;
    assert_int_equal(dp_namespace_open(w.root, "notes", NULL, &ns, &error), DP_NOT_FOUND);
    assert_non_null(strstr(error.message, w.root));
    index_rows(&w, ROWS);
    assert_int_equal(dp_namespace_open(w.root, "other", NULL, &ns, &error), DP_NOT_FOUND);
    assert_non_null(strstr(error.message, "other"));
    assert_int_equal(dp_namespace_open(w.root, "../notes", NULL, &ns, &error), DP_INVALID);
    assert_null(ns);
    assert_int_equal(dp_namespace_open(w.root, "notes", NULL, &ns, &error), DP_OK);
    expect_search(ns, w.model, 0, DP_INVALID, "0");
    expect_search(ns, w.model, SIZE_MAX, DP_INVALID, "");
    expect_search(ns, real.model, 3, DP_INVALID, "384");
    float vector[DIM] = {0};
    assert_int_equal(search_vector(ns, vector, DIM, 3, &found, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "384"));
    assert_null(found);
    assert_int_equal(search_vector(ns, vector, 0, 3, &found, NULL), DP_INVALID);
    /* A zero vector has no direction. */
    assert_int_equal(search_vector(ns, vector, TINY_DIM, 3, &found, NULL), DP_INVALID);
    vector[1] = NAN;
    assert_int_equal(search_vector(ns, vector, TINY_DIM, 3, &found, &error), DP_INVALID);
    assert_null(found);
    dp_namespace_close(ns);
    end_world(&w);
    end_world(&real);
}

/* Roots in S3 take their settings from the environment. */
static void test_capi_reads_the_settings_of_s3_from_the_environment(void **state)
{
    (void)state;
    struct dp_namespace *ns;
    struct dp_error error;
    setenv("S3_ENDPOINT_URL", "nonsense", 1);
    assert_int_equal(dp_namespace_open("s3://bucket/prefix", "n", NULL, &ns, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "S3_ENDPOINT_URL: write http://host:port"));
    assert_null(ns);
    setenv("S3_ENDPOINT_URL", "http://127.0.0.1:9", 1);
    setenv("AWS_ACCESS_KEY_ID", "id", 1);
    unsetenv("AWS_SECRET_ACCESS_KEY");
    assert_int_equal(dp_namespace_open("s3://bucket/prefix", "n", NULL, &ns, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not"));
    unsetenv("S3_ENDPOINT_URL");
    unsetenv("AWS_ACCESS_KEY_ID");
}

static void test_capi_closing_null_does_nothing(void **state)
{
    (void)state;
    dp_results_free(NULL);
    dp_namespace_close(NULL);
    dp_model_close(NULL);
    dp_runtime_free(NULL);
    assert_string_equal(dp_status_name(DP_NOT_FOUND), "not_found");
    struct dp_runtime *runtime;
    assert_int_equal(dp_runtime_new(NULL, &runtime, NULL), DP_OK);
    dp_runtime_free(runtime);
}

/* ---- failed allocations ------------------------------------------------------------------------------ */

/* Opens everything, loads, embeds, searches, and closes everything. */
static enum dp_status walk(const char *model_path, const char *root, const char *rows)
{
    struct dp_runtime_options options = {.size = sizeof options, .threads = 1};
    struct dp_runtime *runtime = NULL;
    struct dp_model *model = NULL;
    struct dp_namespace *ns = NULL;
    struct dp_results *found = NULL;
    struct dp_error error;
    const char *text = "cat";
    float vector[TINY_DIM];
    int32_t ids[TINY_TOKENS];
    size_t end;
    enum dp_status status = dp_runtime_new(&options, &runtime, &error);
    if (status == DP_OK)
        status = dp_model_open(runtime, model_path, NULL, &model, &error);
    if (status == DP_OK)
        status = dp_tokenize(model, &text, 1, ids, TINY_TOKENS, &end, &error);
    if (status == DP_OK)
        status = dp_embed(model, &text, 1, NULL, vector, &error);
    if (status == DP_OK)
        status = dp_namespace_load_file(model, root, "notes", rows, NULL, NULL, &error);
    if (status == DP_OK)
        status = dp_namespace_open(root, "notes", NULL, &ns, &error);
    if (status == DP_OK)
        status = dp_namespace_search(ns, model, text, 3, &found, &error);
    if (status == DP_OK)
        assert_int_equal(dp_results_count(found), 3);
    dp_results_free(found);
    dp_namespace_close(ns);
    dp_model_close(model);
    dp_runtime_free(runtime);
    return status;
}

static void test_capi_survives_every_failed_allocation(void **state)
{
    (void)state;
    const char *model = tiny_model();
    char rows[PATH_BYTES], root[PATH_BYTES];
    snprintf(rows, sizeof rows, "%s", rows_file(ROWS));
    snprintf(root, sizeof root, "%s/bucket", test_tmpdir());
    size_t before = test_alloc_live();
    for (size_t n = 1;; n = test_alloc_next(n)) {
        test_alloc_fail_at(n);
        enum dp_status status = walk(model, root, rows);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            print_message("%zu allocations failed in turn\n", n - 1);
            return;
        }
        if (status != DP_NOMEM && status != DP_UNKNOWN) /* UNKNOWN: the store was writing the manifest */
            fail_msg("allocation %zu: %s", n, dp_status_name(status));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capi_embeds_by_meaning),
        cmocka_unit_test(test_capi_embeds_the_same_alone_and_with_others),
        cmocka_unit_test(test_capi_opens_models_from_memory),
        cmocka_unit_test(test_capi_opens_models_in_fp32),
        cmocka_unit_test(test_capi_cuts_texts_into_tokens),
        cmocka_unit_test(test_capi_embedding_keeps_to_its_limits),
        cmocka_unit_test(test_capi_embeds_texts_by_length),
        cmocka_unit_test(test_capi_loading_a_silent_pipe_ends_with_the_call),
        cmocka_unit_test(test_capi_ranks_by_words_and_by_both),
        cmocka_unit_test(test_capi_loading_and_searching_keep_to_their_limits),
        cmocka_unit_test(test_capi_loads_and_finds),
        cmocka_unit_test(test_capi_search_sees_later_loads),
        cmocka_unit_test(test_capi_handles_serve_several_threads),
        cmocka_unit_test(test_capi_names_what_is_wrong_with_a_model),
        cmocka_unit_test(test_capi_names_what_is_wrong_with_rows),
        cmocka_unit_test(test_capi_names_what_is_wrong_with_a_search),
        cmocka_unit_test(test_capi_reads_the_settings_of_s3_from_the_environment),
        cmocka_unit_test(test_capi_closing_null_does_nothing),
        cmocka_unit_test(test_capi_survives_every_failed_allocation),
    };
    /* The tests make hundreds of loads, each with an fsync. So the files are in memory if the system has /dev/shm. */
    if (access("/dev/shm", W_OK | X_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    return test_run(tests);
}
