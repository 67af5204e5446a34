/* test_prompts.c: prompts before texts, and their effect on tokens, windows, pooling and fingerprints.
 * tests/python/test_model_folders.py compares the vectors with sentence-transformers'. */
#include <stdio.h>
#include <stdlib.h>

#include "test_support.h"

#include "base/alloc.h"
#include "embed/embedder.h"
#include "os/file.h"
#include "tiny_model.h"

static const char PROMPTS[] =
    "{\"prompts\":{\"query\":\"calm \",\"passage\":\"wind boat \"},\"default_prompt_name\":null}";

/* A folder of the tiny model with that config_sentence_transformers.json. */
static const char *write_model(const char *name, const char *prompts)
{
    char path[4200];
    const char *folder = tiny_model_write(name, &(struct tiny_options){.seed = 4});
    snprintf(path, sizeof path, "%s/config_sentence_transformers.json", folder);
    assert_int_equal(os_write_file(path, span_str(prompts), NULL), DP_OK);
    return folder;
}

static struct model *open_model(const char *folder)
{
    struct dp_error error;
    struct model *model;
    if (model_open_dir(folder, MODEL_INT8, &model, &error) != DP_OK)
        fail_msg("%s", error.message);
    return model;
}

/* Checks that `text`, as a text of this kind, gets the tokens that `whole` gets without a prompt. */
static void assert_reads(const struct model *model, enum text_kind kind, const char *text, const char *whole)
{
    struct arena arena;
    struct tokens got, want;
    arena_init(&arena, 1 << 20);
    assert_int_equal(model_encode(model, kind, span_str(text), TINY_TOKENS, &arena, &got, NULL), DP_OK);
    assert_int_equal(tokenizer_encode(model_tokenizer(model), span_str(whole), TINY_TOKENS, &arena, &want, NULL),
                     DP_OK);
    assert_int_equal(got.count, want.count);
    assert_memory_equal(got.ids, want.ids, want.count * sizeof *want.ids);
    assert_int_equal(got.skip, 0);
    arena_deinit(&arena);
}

static void test_embed_prompts_of_a_folder_are_written_before_texts(void **state)
{
    (void)state;
    struct model *model = open_model(write_model("prompts", PROMPTS));
    assert_reads(model, TEXT_PLAIN, "sea", "sea");
    assert_reads(model, TEXT_QUERY, "sea", "calm sea");
    assert_reads(model, TEXT_QUERY, "", "calm ");
    assert_reads(model, TEXT_DOCUMENT, "sea", "wind boat sea"); /* "passage", as there is no "document" */
    assert_reads(model, TEXT_DOCUMENT, "sea sea sea sea sea sea sea", "wind boat sea sea sea sea sea sea sea");
    const struct span of[TEXT_KINDS] = {[TEXT_PLAIN] = span_str("windy "), [TEXT_DOCUMENT] = span_str("")};
    assert_int_equal(model_set_prompts(model, of, NULL), DP_OK);
    assert_reads(model, TEXT_PLAIN, "sea", "windy sea");
    assert_reads(model, TEXT_QUERY, "sea", "calm sea");
    assert_reads(model, TEXT_DOCUMENT, "sea", "sea");
    model_free(model);
}

static void test_embed_prompts_are_in_the_packed_form(void **state)
{
    (void)state;
    struct buffer packed;
    struct model *model, *folder;
    buffer_init(&packed, 1 << 20);
    const char *path = write_model("packed", PROMPTS);
    assert_int_equal(model_pack(path, &packed, NULL), DP_OK);
    assert_int_equal(model_open_memory(buffer_span(&packed), &model, NULL), DP_OK);
    folder = open_model(path);
    assert_reads(model, TEXT_QUERY, "sea", "calm sea");
    assert_reads(model, TEXT_DOCUMENT, "sea", "wind boat sea");
    assert_string_equal(model_info(model)->fingerprint, model_info(folder)->fingerprint);
    model_free(model);
    model_free(folder);
    buffer_deinit(&packed);
}

/* Stored vectors depend on the prompts of plain texts and of documents, and on whether they are pooled. */
static void test_embed_prompts_change_the_fingerprint(void **state)
{
    (void)state;
    static const char *const same[] = {"{}", "{\"prompts\":{\"query\":\"calm \"}}",
                                       "{\"prompts\":{\"document\":\"\"}}"};
    static const char *const others[] = {
        "{\"prompts\":{\"document\":\"calm \"}}", "{\"prompts\":{\"document\":\"calm\"}}",
        "{\"prompts\":{\"query\":\"calm \"},\"default_prompt_name\":\"query\"}",
        "{\"prompts\":{\"document\":\"calm \"},\"default_prompt_name\":\"document\"}"};
    char seen[8][65];
    size_t count = 0;
    struct model *model = open_model(tiny_model_write("bare", &(struct tiny_options){.seed = 4}));
    snprintf(seen[count++], 65, "%s", model_info(model)->fingerprint);
    model_free(model);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        model = open_model(write_model("same", same[i]));
        assert_string_equal(model_info(model)->fingerprint, seen[0]);
        model_free(model);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        model = open_model(write_model("other", others[i]));
        snprintf(seen[count++], 65, "%s", model_info(model)->fingerprint);
        model_free(model);
    }
    model = open_model(
        tiny_model_write("skipped", &(struct tiny_options){.seed = 4, .pooling = "{\"include_prompt\":false}"}));
    const struct span of[TEXT_KINDS] = {[TEXT_DOCUMENT] = span_str("calm ")};
    assert_int_equal(model_set_prompts(model, of, NULL), DP_OK);
    snprintf(seen[count++], 65, "%s", model_info(model)->fingerprint);
    model_free(model);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
}

static void test_embed_prompts_begin_each_window(void **state)
{
    (void)state;
    static const char *const texts[] = {"sea", "sea boat wind calm sea",
                                        "sea boat wind calm sea boat wind calm sea boat", ""};
    struct arena arena;
    struct tokens *windows, prompt, whole;
    size_t count;
    struct model *model = open_model(write_model("windows", PROMPTS));
    const struct tokenizer *t = model_tokenizer(model);
    arena_init(&arena, 1 << 20);
    assert_int_equal(tokenizer_encode(t, span_str("wind boat "), 0, &arena, &prompt, NULL), DP_OK);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(model_windows(model, TEXT_DOCUMENT, span_str(texts[i]), TINY_TOKENS, 1, &arena, &windows,
                                       &count, NULL),
                         DP_OK);
        assert_int_equal(model_encode(model, TEXT_DOCUMENT, span_str(texts[i]), 0, &arena, &whole, NULL), DP_OK);
        assert_int_equal(count > 1, whole.count > TINY_TOKENS);
        for (size_t w = 0; w < count; w++) {
            assert_in_range(windows[w].count, prompt.count, TINY_TOKENS);
            assert_memory_equal(windows[w].ids, prompt.ids, (prompt.count - 1) * sizeof *prompt.ids);
            assert_int_equal(windows[w].ids[windows[w].count - 1], prompt.ids[prompt.count - 1]);
            assert_int_equal(windows[w].total, whole.total);
        }
        if (count == 1)
            assert_memory_equal(windows[0].ids, whole.ids, whole.count * sizeof *whole.ids);
    }
    arena_deinit(&arena);
    model_free(model);
}

static void test_embed_prompts_that_are_skipped_leave_a_token(void **state)
{
    (void)state;
    struct arena arena;
    struct tokens tokens;
    struct model *model = open_model(
        tiny_model_write("skip", &(struct tiny_options){.seed = 4, .pooling = "{\"include_prompt\":false}"}));
    const struct span of[TEXT_KINDS] = {[TEXT_QUERY] = span_str("wind boat ")};
    arena_init(&arena, 1 << 20);
    assert_int_equal(model_set_prompts(model, of, NULL), DP_OK);
    assert_int_equal(model_encode(model, TEXT_QUERY, span_str("sea"), TINY_TOKENS, &arena, &tokens, NULL), DP_OK);
    assert_int_equal(tokens.skip, 3); /* [CLS] wind boat */
    assert_int_equal(model_encode(model, TEXT_PLAIN, span_str("sea"), TINY_TOKENS, &arena, &tokens, NULL), DP_OK);
    assert_int_equal(tokens.skip, 0);
    assert_int_equal(model_encode(model, TEXT_QUERY, span_str("sea"), 3, &arena, &tokens, NULL), DP_OK);
    assert_int_equal(tokens.skip, 2); /* of [CLS] wind [SEP] */
    arena_deinit(&arena);
    model_free(model);
}

static void test_embed_impossible_prompts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *prompts, *says;
        enum dp_status status;
    } cases[] = {
        {"{\"prompts\":{\"query\":\"sea sea sea sea sea sea sea sea\"}}", "leaves no room", DP_INVALID},
        {"{\"prompts\":{},\"default_prompt_name\":\"passage\"}", "\"passage\" is not among", DP_INVALID},
        {"{\"prompts\":{\"a\":7}}", "config_sentence_transformers.json", DP_INVALID},
        {"{\"model_type\":\"CrossEncoder\"}", "CrossEncoder", DP_UNSUPPORTED},
        {"{\"truncate_dim\":8}", "truncate_dim", DP_UNSUPPORTED},
        {"[]", "config_sentence_transformers.json", DP_INVALID},
    };
    struct dp_error error;
    struct model *model;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(model_open_dir(write_model("bad", cases[i].prompts), MODEL_INT8, &model, &error),
                         cases[i].status);
        if (strstr(error.message, cases[i].says) == NULL)
            fail_msg("%s: %s", cases[i].prompts, error.message);
    }
    char *longest = malloc(PROMPT_MAX + 2);
    assert_non_null(longest);
    memset(longest, ' ', PROMPT_MAX + 1);
    longest[PROMPT_MAX + 1] = '\0';
    model = open_model(write_model("long", PROMPTS));
    const struct span of[TEXT_KINDS] = {[TEXT_QUERY] = span_str(longest)};
    assert_int_equal(model_set_prompts(model, of, &error), DP_TOO_LARGE);
    assert_reads(model, TEXT_QUERY, "sea", "calm sea"); /* unchanged */
    model_free(model);
    free(longest);
}

static void test_embed_prompts_out_of_memory_is_an_error_without_a_leak(void **state)
{
    (void)state;
    char folder[4200];
    snprintf(folder, sizeof folder, "%s", write_model("memory", PROMPTS));
    const struct span of[TEXT_KINDS] = {[TEXT_PLAIN] = span_str("windy ")};
    size_t before = test_alloc_live();
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct dp_error error = {.status = DP_OK};
        struct arena arena;
        struct tokens tokens, *windows;
        struct model *model = NULL;
        size_t count;
        arena_init(&arena, 1 << 20);
        test_alloc_fail_at(n);
        enum dp_status status = model_open_dir(folder, MODEL_INT8, &model, &error);
        if (status == DP_OK)
            status = model_set_prompts(model, of, &error);
        if (status == DP_OK)
            status = model_encode(model, TEXT_PLAIN, span_str("sea"), TINY_TOKENS, &arena, &tokens, &error);
        if (status == DP_OK)
            status = model_windows(model, TEXT_DOCUMENT, span_str("sea boat sea boat sea boat sea boat"),
                                   TINY_TOKENS, 0, &arena, &windows, &count, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        model_free(model);
        arena_deinit(&arena);
        assert_int_equal(test_alloc_live(), before);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed_prompts_of_a_folder_are_written_before_texts),
        cmocka_unit_test(test_embed_prompts_are_in_the_packed_form),
        cmocka_unit_test(test_embed_prompts_change_the_fingerprint),
        cmocka_unit_test(test_embed_prompts_begin_each_window),
        cmocka_unit_test(test_embed_prompts_that_are_skipped_leave_a_token),
        cmocka_unit_test(test_embed_impossible_prompts_are_refused),
        cmocka_unit_test(test_embed_prompts_out_of_memory_is_an_error_without_a_leak),
    };
    return test_run(tests);
}
