/* test_highlight.c: the fragments of a text that are shown, and the ranges of their words. */
#include "test_support.h"

#include "base/buffer.h"
#include "text/highlight.h"

static struct text_settings settings;
static struct arena test_arena;

static int begin_arena(void **state)
{
    (void)state;
    struct dp_error error;
    arena_init(&test_arena, (size_t)64 << 20);
    return text_settings_parse(span_str("{\"stemming\":true}"), &settings, &error);
}

static int end_arena(void **state)
{
    (void)state;
    arena_deinit(&test_arena);
    return 0;
}

/* Returns the fragments as "[begin,end)text{begin,end}{…}|…". */
static const char *show(const char *text, const char *const *words, enum highlight_split split,
                        enum highlight_unit unit, uint32_t limit)
{
    struct highlight_term terms[8];
    struct highlight_request request = {
        .settings = &settings, .terms = terms, .split = split, .unit = unit, .limit = limit};
    struct highlight_fragment *found;
    struct dp_error error = {0};
    struct buffer out;
    size_t count;
    for (; words && words[request.count]; request.count++) {
        const char *word = words[request.count];
        terms[request.count] = (struct highlight_term){span_str(word), false};
        if (word[0] == '^')
            terms[request.count] = (struct highlight_term){span_str(word + 1), true};
    }
    assert_int_equal(highlight_text(&test_arena, &request, span_str(text), &found, &count, &error), DP_OK);
    buffer_init(&out, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&out, "%s[%u,%u)", i ? "|" : "", found[i].range.begin, found[i].range.end);
        buffer_append(&out, found[i].text);
        for (size_t m = 0; m < found[i].match_count; m++)
            buffer_printf(&out, "{%u,%u}", found[i].matches[m].begin, found[i].matches[m].end);
    }
    buffer_append(&out, span_of("", 1));
    const char *shown = (const char *)arena_copy(&test_arena, buffer_span(&out)).data;
    buffer_deinit(&out);
    return shown;
}

static void test_highlight_sentences(void **state)
{
    (void)state;
    static const char *const none[] = {NULL}, *const fox[] = {"fox", NULL}, *const two[] = {"fox", "dog", NULL};
    static const char text[] = "  One fox. Two \"dogs!\" A fox e.g. a big one\nand 3.5 dogs?! End.\n \nNo stop  ";
    assert_string_equal(
        show(text, none, HIGHLIGHT_SENTENCE, HIGHLIGHT_UTF_8, 9),
        "[2,10)One fox.|[11,22)Two \"dogs!\"|[23,58)A fox e.g. a big one\nand 3.5 dogs?!|[59,63)End."
        "|[66,73)No stop");
    assert_string_equal(show(text, none, HIGHLIGHT_SENTENCE, HIGHLIGHT_UTF_8, 2),
                        "[2,10)One fox.|[11,22)Two \"dogs!\"");
    assert_string_equal(show(text, fox, HIGHLIGHT_SENTENCE, HIGHLIGHT_UTF_8, 1), "[2,10)One fox.{6,9}");
    assert_string_equal(show(text, two, HIGHLIGHT_SENTENCE, HIGHLIGHT_UTF_8, 9),
                        "[2,10)One fox.{6,9}|[11,22)Two \"dogs!\"{16,20}|[23,58)A fox e.g. a big one\nand 3.5 "
                        "dogs?!{25,28}{52,56}");
    assert_string_equal(show("\xe4\xb8\x80\xe3\x80\x82\xe4\xba\x8c\xe3\x80\x82", none, HIGHLIGHT_SENTENCE,
                             HIGHLIGHT_CODEPOINTS, 9),
                        "[0,2)\xe4\xb8\x80\xe3\x80\x82|[2,4)\xe4\xba\x8c\xe3\x80\x82");
    assert_string_equal(show(" . ", none, HIGHLIGHT_SENTENCE, HIGHLIGHT_UTF_8, 9), "[1,2).");
    assert_string_equal(show(" \n ", none, HIGHLIGHT_SENTENCE, HIGHLIGHT_UTF_8, 9), "");
    assert_string_equal(show("", none, HIGHLIGHT_NONE, HIGHLIGHT_UTF_8, 9), "");
}

static void test_highlight_other_fragments(void **state)
{
    (void)state;
    static const char *const fox[] = {"fox", NULL}, *const prefix[] = {"^fo", "fox", NULL},
                             *const cat[] = {"cat", NULL};
    static const char text[] = "One fox.\nTwo.\n\nThree foxes; four\xc2\xa0"
                               "food. \n\n\n Five.";
    assert_string_equal(show(text, fox, HIGHLIGHT_PARAGRAPH, HIGHLIGHT_UTF_8, 9),
                        "[0,13)One fox.\nTwo.{4,7}|[15,39)Three foxes; four\xc2\xa0"
                        "food.{21,26}");
    assert_string_equal(show(text, NULL, HIGHLIGHT_PARAGRAPH, HIGHLIGHT_UTF_8, 9),
                        "[0,13)One fox.\nTwo.|[15,39)Three foxes; four\xc2\xa0"
                        "food.|[44,49)Five.");
    assert_string_equal(show(text, prefix, HIGHLIGHT_WORD, HIGHLIGHT_UTF_8, 9),
                        "[4,7)fox{4,7}|[21,26)foxes{21,26}|[28,32)four{28,32}|[34,38)food{34,38}");
    assert_string_equal(show(text, NULL, HIGHLIGHT_WORD, HIGHLIGHT_UTF_8, 2), "[0,3)One|[4,7)fox");
    assert_string_equal(show("\n a fox \n\n b ", fox, HIGHLIGHT_NONE, HIGHLIGHT_UTF_8, 1),
                        "[2,12)a fox \n\n b{4,7}");
    assert_string_equal(show(text, cat, HIGHLIGHT_NONE, HIGHLIGHT_UTF_8, 1), "");
}

static void test_highlight_units(void **state)
{
    (void)state;
    static const char *const fox[] = {"fox", NULL};
    static const char text[] = "\xc3\xa9. \xf0\x9f\x98\x80 fox \xf0\x9f\x98\x80! fox";
    assert_string_equal(show(text, fox, HIGHLIGHT_SENTENCE, HIGHLIGHT_UTF_8, 9),
                        "[19,22)fox{19,22}|[4,18)\xf0\x9f\x98\x80 fox \xf0\x9f\x98\x80!{9,12}");
    assert_string_equal(show(text, fox, HIGHLIGHT_SENTENCE, HIGHLIGHT_UTF_16, 9),
                        "[14,17)fox{14,17}|[3,13)\xf0\x9f\x98\x80 fox \xf0\x9f\x98\x80!{6,9}");
    assert_string_equal(show(text, fox, HIGHLIGHT_SENTENCE, HIGHLIGHT_CODEPOINTS, 9),
                        "[12,15)fox{12,15}|[3,11)\xf0\x9f\x98\x80 fox \xf0\x9f\x98\x80!{5,8}");
}

static void test_highlight_survives_failed_allocations(void **state)
{
    (void)state;
    static const struct highlight_term terms[] = {{{(const uint8_t *)"fox", 3}, false}};
    const struct highlight_request request = {.settings = &settings, .terms = terms, .count = 1, .limit = 3};
    for (size_t n = 1;; n++) {
        struct arena arena;
        struct highlight_fragment *found;
        struct dp_error error = {0};
        size_t count;
        arena_init(&arena, 4 << 20);
        test_alloc_fail_at(n);
        enum dp_status status =
            highlight_text(&arena, &request, span_str("A fox. A dog. The fox fox."), &found, &count, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        assert_int_equal(count, fired ? 0 : 2);
        arena_deinit(&arena);
        if (!fired)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_highlight_sentences, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_highlight_other_fragments, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_highlight_units, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_highlight_survives_failed_allocations, begin_arena, end_arena),
    };
    return test_run(tests);
}
