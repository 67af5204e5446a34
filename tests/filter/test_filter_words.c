/* test_filter_words.c: the filters Fuzzy, ContainsAllTokens, ContainsAnyToken and ContainsTokenSequence at their edges.
 * tests/filter/test_filter_agree.py compares random ones with a second reading of the rules. */
#include "test_support.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "filter/filter.h"
#include "filter/fuzzy.h"
#include "filter/tokens.h"

#define NAME(text)                                \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

static struct attribute attributes[] = {
    {.name = NAME("s"),
     .type = ATTRIBUTE_STRING,
     .unfiltered = true,
     .options = NAME("{\"full_text_search\":true,\"fuzzy\":true}")},
    {.name = NAME("l"),
     .type = ATTRIBUTE_STRINGS,
     .unfiltered = true,
     .options = NAME("{\"full_text_search\":true,\"fuzzy\":true}")},
    {.name = NAME("stems"),
     .type = ATTRIBUTE_STRING,
     .unfiltered = true,
     .options = NAME("{\"full_text_search\":{\"stemming\":true,\"remove_stopwords\":true}}")},
    {.name = NAME("pre"),
     .type = ATTRIBUTE_STRINGS,
     .unfiltered = true,
     .options = NAME("{\"full_text_search\":{\"tokenizer\":\"pre_tokenized_array\"}}")},
    {.name = NAME("plain"), .type = ATTRIBUTE_STRING},
    {.name = NAME("n"), .type = ATTRIBUTE_INT},
};
static struct schema schema = {
    .count = sizeof attributes / sizeof *attributes, .attributes = attributes, .id_kind = ID_UINT};
static const uint8_t id_7[] = {1, 0, 0, 0, 0, 0, 0, 0, 7};
static struct arena test_arena;

static int begin_arena(void **state)
{
    (void)state;
    arena_init(&test_arena, (size_t)64 << 20);
    return 0;
}

static int end_arena(void **state)
{
    (void)state;
    arena_deinit(&test_arena);
    return 0;
}

static bool matches(const char *filter, const char *document)
{
    struct filter *f;
    struct dp_error error = {0};
    struct filter_watch watch = {.call = NULL};
    const struct filter_row row = {span_of(id_7, sizeof id_7), span_str(document)};
    if (filter_parse(&test_arena, span_str(filter), &schema, true, &f, &error) != DP_OK)
        fail_msg("%s: %s", filter, error.message);
    bool match = filter_match(f, &row, NULL, &watch);
    assert_int_equal(watch.status, DP_OK);
    return match;
}

static void test_filter_tokens_of_a_text(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *document;
        bool match;
    } rules[] = {
        {"[\"s\",\"ContainsAllTokens\",\"fox Brown\"]", "{\"s\":\"The quick brown FOX.\"}", true},
        {"[\"s\",\"ContainsAllTokens\",[\"fox\",\"quick brown\"]]", "{\"s\":\"The quick brown fox\"}", true},
        {"[\"s\",\"ContainsAllTokens\",\"fox cat\"]", "{\"s\":\"The quick brown fox\"}", false},
        {"[\"s\",\"ContainsAllTokens\",\"fox fox\"]", "{\"s\":\"a fox\"}", true},
        {"[\"s\",\"ContainsAnyToken\",\"cat fox\"]", "{\"s\":\"The quick brown fox\"}", true},
        {"[\"s\",\"ContainsAnyToken\",\"cat dog\"]", "{\"s\":\"The quick brown fox\"}", false},
        {"[\"s\",\"ContainsTokenSequence\",\"quick brown\"]", "{\"s\":\"The quick, brown fox\"}", true},
        {"[\"s\",\"ContainsTokenSequence\",\"brown quick\"]", "{\"s\":\"The quick brown fox\"}", false},
        {"[\"s\",\"ContainsTokenSequence\",\"quick fox\"]", "{\"s\":\"The quick brown fox\"}", false},
        {"[\"s\",\"ContainsTokenSequence\",\"a a b\"]", "{\"s\":\"a a a b\"}", true},
        {"[\"s\",\"ContainsTokenSequence\",[\"a\",\"b\"]]", "{\"s\":\"c a b\"}", true},
        {"[\"s\",\"ContainsAllTokens\",\"bro\"]", "{\"s\":\"brown\"}", false},
        {"[\"s\",\"ContainsAllTokens\",\"fox bro\",{\"last_as_prefix\":true}]", "{\"s\":\"brown fox\"}", true},
        {"[\"s\",\"ContainsAllTokens\",\"bro fox\",{\"last_as_prefix\":true}]", "{\"s\":\"brown fox\"}", false},
        {"[\"s\",\"ContainsAnyToken\",\"zz bro\",{\"last_as_prefix\":true}]", "{\"s\":\"brown\"}", true},
        {"[\"s\",\"ContainsAllTokens\",\"a a\",{\"last_as_prefix\":true}]", "{\"s\":\"a\"}", true},
        {"[\"s\",\"ContainsTokenSequence\",\"a a\",{\"last_as_prefix\":true}]", "{\"s\":\"a ab\"}", true},
        {"[\"s\",\"ContainsTokenSequence\",\"a a\",{\"last_as_prefix\":true}]", "{\"s\":\"a ba\"}", false},
        {"[\"s\",\"ContainsTokenSequence\",\"a\",{\"last_as_prefix\":false}]", "{\"s\":\"ab\"}", false},
        {"[\"s\",\"ContainsAllTokens\",\"\"]", "{\"s\":\"brown\"}", false},
        {"[\"s\",\"ContainsAllTokens\",[]]", "{\"s\":\"brown\"}", false},
        {"[\"s\",\"ContainsTokenSequence\",\" . \",{\"last_as_prefix\":true}]", "{\"s\":\"brown\"}", false},
        {"[\"Not\",[\"s\",\"ContainsAllTokens\",\"a\"]]", "{}", true},
        {"[\"s\",\"ContainsAllTokens\",\"a\"]", "{\"s\":null}", false},
        {"[\"s\",\"ContainsAnyToken\",\"a\"]", "{\"s\":\"\"}", false},
        {"[\"s\",\"ContainsAllTokens\",\"one two\"]", "{\"s\":\"one\\n\\u0074wo\"}", true},
        {"[\"s\",\"ContainsTokenSequence\",\"one two\"]", "{\"s\":\"one\\n\\u0074wo\"}", true},
        {"[\"nowhere\",\"ContainsAllTokens\",\"a\"]", "{\"nowhere\":\"a\"}", false},
        {"[\"l\",\"ContainsAllTokens\",\"a b\"]", "{\"l\":[\"x a\",\"b\"]}", true},
        {"[\"l\",\"ContainsTokenSequence\",\"a b\"]", "{\"l\":[\"x a\",\"b\"]}", false},
        {"[\"l\",\"ContainsTokenSequence\",\"a b\"]", "{\"l\":[\"x\",\"a\",\"y a b\"]}", true},
        {"[\"l\",\"ContainsAnyToken\",\"a b\"]", "{\"l\":[]}", false},
        {"[\"stems\",\"ContainsAllTokens\",\"the walrus\"]", "{\"stems\":\"Walruses are large\"}", true},
        {"[\"stems\",\"ContainsTokenSequence\",\"war and peace\"]", "{\"stems\":\"about war or peace\"}", true},
        {"[\"stems\",\"ContainsTokenSequence\",\"war and peace\"]", "{\"stems\":\"about war, peace\"}", false},
        {"[\"stems\",\"ContainsTokenSequence\",\"war peace\"]", "{\"stems\":\"war and peace\"}", false},
        {"[\"stems\",\"ContainsTokenSequence\",\"the\"]", "{\"stems\":\"the\"}", false},
        {"[\"pre\",\"ContainsAllTokens\",[\"A b\"]]", "{\"pre\":[\"x\",\"A b\"]}", true},
        {"[\"pre\",\"ContainsAllTokens\",[\"A\"]]", "{\"pre\":[\"a\",\"A b\"]}", false},
        {"[\"pre\",\"ContainsTokenSequence\",[\"x\",\"y\"]]", "{\"pre\":[\"x\",\"y\"]}", false},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (matches(rules[i].filter, rules[i].document) != rules[i].match)
            fail_msg("%s %s: not %d", rules[i].filter, rules[i].document, rules[i].match);
    }
}

/* A sequence of 64, 65 and 130 words, whose state needs one, two and three elements. */
static void test_filter_long_sequences(void **state)
{
    (void)state;
    static const size_t lengths[] = {63, 64, 65, 128, 129, 130, TOKENS_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (int prefix = 0; prefix < 2; prefix++) {
            struct buffer filter, document;
            buffer_init(&filter, 1 << 20);
            buffer_init(&document, 1 << 20);
            buffer_append_str(&filter, "[\"s\",\"ContainsTokenSequence\",\"");
            buffer_append_str(&document, "{\"s\":\"w0 w1 w0");
            for (size_t w = 0; w < lengths[i]; w++) {
                buffer_printf(&filter, " w%zu", w);
                buffer_printf(&document, " w%zu", w);
            }
            buffer_append_str(&filter, prefix ? "\",{\"last_as_prefix\":true}]" : "\"]");
            buffer_append(&filter, span_of("", 1));
            struct buffer longer;
            buffer_init(&longer, 1 << 20);
            buffer_append(&longer, buffer_span(&document));
            buffer_append(&longer, span_of("x\"}", 4));
            buffer_append(&document, span_of(" y\"}", 5));
            assert_true(matches((const char *)filter.data, (const char *)document.data));
            assert_int_equal(matches((const char *)filter.data, (const char *)longer.data), prefix);
            buffer_deinit(&longer);
            buffer_deinit(&filter);
            buffer_deinit(&document);
        }
    }
}

#define ONE_ERROR "{\"max_edit_distance\":[{\"min_query_chars\":6,\"distance\":1}]}"
#define TWO_ERRORS                                                    \
    "{\"max_edit_distance\":[{\"min_query_chars\":9,\"distance\":2}," \
    "{\"min_query_chars\":3,\"distance\":0},{\"min_query_chars\":6,\"distance\":1}],\"case_sensitive\":false}"

static void test_filter_fuzzy(void **state)
{
    (void)state;
    static const struct {
        const char *query, *options, *text;
        bool match;
    } rules[] = {
        {"walrus", ONE_ERROR, "a walrus!", true},
        {"walrus", ONE_ERROR, "a walus!", true},
        {"walrus", ONE_ERROR, "a wallrus!", true},
        {"walrus", ONE_ERROR, "a wolrus!", true},
        {"walrus", ONE_ERROR, "a wolruz!", false},
        {"walrus", ONE_ERROR, "a Walrus!", true},
        {"walrus", ONE_ERROR, "a WAlrus!", false},
        {"walru", ONE_ERROR, "a walru!", false}, /* shorter than the first step */
        {"", ONE_ERROR, "", false},
        {"walrus", ONE_ERROR, "", false},
        {"walrus", ONE_ERROR, "alrus", true},
        {"walrus", ONE_ERROR, "wal\\u0072us", true},
        {"\u00e9l\u00e9phant", ONE_ERROR, "el\u00e9phant", true},
        {"\u00e9l\u00e9phant", TWO_ERRORS, "\u00c9LEPHANT", true},
        {"walruses!", TWO_ERRORS, "WLRUSS!", true},
        {"walruses!", TWO_ERRORS, "WLRUS!", false},
        {"walrus", TWO_ERRORS, "WLRS", false},
        {"fox", TWO_ERRORS, "a FOX", true},
        {"fox", TWO_ERRORS, "a fx", false},
        {"fo", TWO_ERRORS, "fo", false},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char filter[512], document[256];
        snprintf(filter, sizeof filter, "[\"s\",\"Fuzzy\",\"%s\",%s]", rules[i].query, rules[i].options);
        snprintf(document, sizeof document, "{\"s\":\"%s\"}", rules[i].text);
        if (matches(filter, document) != rules[i].match)
            fail_msg("%s %s: not %d", filter, document, rules[i].match);
        snprintf(filter, sizeof filter, "[\"l\",\"Fuzzy\",\"%s\",%s]", rules[i].query, rules[i].options);
        snprintf(document, sizeof document, "{\"l\":[\"#\",\"%s\"]}", rules[i].text);
        assert_int_equal(matches(filter, document), rules[i].match);
    }
    assert_false(matches("[\"s\",\"Fuzzy\",\"walrus\"," ONE_ERROR "]", "{}"));
    assert_false(matches("[\"nowhere\",\"Fuzzy\",\"walrus\"," ONE_ERROR "]", "{\"nowhere\":\"walrus\"}"));
}

static void test_filter_refuses_wrong_words(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"[\"plain\",\"ContainsAllTokens\",\"a\"]", "declare it with \"full_text_search\": true"},
        {"[\"plain\",\"Fuzzy\",\"a\",{}]", "declare it with \"fuzzy\": true"},
        {"[\"n\",\"ContainsAnyToken\",\"a\"]", "\"full_text_search\""},
        {"[\"id\",\"ContainsAnyToken\",\"a\"]", "for attributes of strings"},
        {"[\"nowhere\",\"ContainsAnyToken\",7]", "takes a string or an array of strings, not a number"},
        {"[\"s\",\"ContainsAnyToken\",null]", "not null"},
        {"[\"s\",\"ContainsAnyToken\",[1]]", "expected a string"},
        {"[\"s\",\"ContainsAnyToken\"]", "no operand"},
        {"[\"s\",\"ContainsAnyToken\",\"a\",7]", "\"s\": the value of ContainsAnyToken"},
        {"[\"s\",\"ContainsAnyToken\",\"a\",{\"x\":true}]", "no option \"x\""},
        {"[\"s\",\"ContainsAnyToken\",\"a\",{\"last_as_prefix\":1}]", "expected"},
        {"[\"s\",\"ContainsAnyToken\",\"a\",{},1]", "too many elements"},
        {"[\"s\",\"ContainsAnyToken\",{\"$ref_new\":\"s\"}]", "not an object"},
        {"[\"pre\",\"ContainsAllTokens\",\"a\"]", "takes an array of strings, not a string"},
        {"[\"s\",\"Fuzzy\",\"abcdef\"]", "\"s\": the value of Fuzzy: max_edit_distance is missing"},
        {"[\"s\",\"Fuzzy\",\"abcdef\",{}]", "max_edit_distance is missing"},
        {"[\"s\",\"Fuzzy\",[\"abcdef\"],{}]", "takes a string, not an array"},
        {"[\"s\",\"Fuzzy\",\"abcdef\",[]]", "expected an object"},
        {"[\"s\",\"Fuzzy\",\"abcdef\",{\"max_edit_distance\":2}]", "expected an array"},
        {"[\"s\",\"Fuzzy\",\"abcdef\",{\"max_edit_distance\":[{\"distance\":1}]}]", "at least 3"},
        {"[\"s\",\"Fuzzy\",\"abcdef\",{\"max_edit_distance\":[{\"min_query_chars\":5,\"distance\":1}]}]",
         "at least 3"},
        {"[\"s\",\"Fuzzy\",\"abcdef\",{\"max_edit_distance\":[{\"min_query_chars\":50,\"distance\":3}]}]",
         "0 to 2"},
        {"[\"s\",\"Fuzzy\",\"abcdef\",{\"max_edit_distance\":[{\"min_query_chars\":50}]}]", "0 to 2"},
        {"[\"s\",\"Fuzzy\",\"abcdef\",{\"max_edit_distance\":[{\"x\":50}]}]", "no field \"x\""},
        {"[\"s\",\"Fuzzy\",\"abcdef\",{\"max_edit_distance\":[],\"y\":1}]", "no option \"y\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct filter *f;
        struct dp_error error = {0};
        enum dp_status status = filter_parse(&test_arena, span_str(bad[i][0]), &schema, true, &f, &error);
        if (status != DP_INVALID || !strstr(error.message, bad[i][1]))
            fail_msg("%s: %d %s", bad[i][0], status, error.message);
    }
}

/* Parses a filter whose text is `count` times `part`. */
static enum dp_status parse_long(const char *before, const char *part, size_t count, const char *after,
                                 struct dp_error *error)
{
    struct buffer text;
    struct filter *f;
    buffer_init(&text, 1 << 20);
    buffer_append_str(&text, before);
    for (size_t i = 0; i < count; i++)
        buffer_append_str(&text, part);
    buffer_append_str(&text, after);
    enum dp_status status = filter_parse(&test_arena, buffer_span(&text), &schema, true, &f, error);
    buffer_deinit(&text);
    return status;
}

static void test_filter_words_have_maxima(void **state)
{
    (void)state;
    static const char tokens[] = "[\"s\",\"ContainsAllTokens\",\"", fuzzy[] = "[\"s\",\"Fuzzy\",\"";
    struct dp_error error = {0};
    assert_int_equal(parse_long(tokens, "a ", TOKENS_MAX, "\"]", &error), DP_OK);
    assert_int_equal(parse_long(tokens, "a ", TOKENS_MAX + 1, "\"]", &error), DP_INVALID);
    assert_non_null(strstr(error.message, "more than 1024 words"));
    assert_int_equal(parse_long(tokens, "a", FILTER_TEXT_MAX, "\"]", &error), DP_OK);
    assert_int_equal(parse_long(tokens, "a", FILTER_TEXT_MAX + 1, "\"]", &error), DP_INVALID);
    assert_non_null(strstr(error.message, "at most 8192 bytes"));
    assert_int_equal(parse_long("[\"s\",\"ContainsAllTokens\",[\"a\"", ",\"\"", FILTER_LIST_MAX, "]]", &error),
                     DP_INVALID);
    assert_non_null(strstr(error.message, "at most 10000 values"));
    assert_int_equal(parse_long(fuzzy, "a", FUZZY_CHARS_MAX, "\"," ONE_ERROR "]", &error), DP_OK);
    assert_int_equal(parse_long(fuzzy, "a", FUZZY_CHARS_MAX + 1, "\"," ONE_ERROR "]", &error), DP_INVALID);
    assert_non_null(strstr(error.message, "more than 1024 characters"));
}

/* A match says so when it had no memory. */
static void test_filter_words_survive_failed_allocations(void **state)
{
    (void)state;
    static const char text[] =
        "[\"And\",[[\"stems\",\"ContainsAllTokens\",[\"war\",\"walruses\"],{\"last_as_prefix\":true}],"
        "[\"s\",\"ContainsTokenSequence\",\"one two\"],[\"s\",\"Fuzzy\",\"onettwo\"," ONE_ERROR "]]]";
    const struct filter_row row = {span_of(id_7, sizeof id_7),
                                   span_str("{\"stems\":\"war and walruses\",\"s\":\"one two\\none\"}")};
    for (size_t n = 1;; n++) {
        struct arena arena;
        struct filter *f;
        struct dp_error error = {0};
        struct filter_watch watch = {.call = NULL};
        arena_init(&arena, 4 << 20);
        test_alloc_fail_at(n);
        enum dp_status status = filter_parse(&arena, span_str(text), &schema, true, &f, &error);
        bool match = status == DP_OK && filter_match(f, &row, NULL, &watch), fired = test_alloc_fired();
        test_alloc_fail_at(0);
        arena_deinit(&arena);
        assert_int_equal(status ? status : watch.status, fired ? DP_NOMEM : DP_OK);
        assert_int_equal(match, !fired);
        if (!fired)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_filter_tokens_of_a_text, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_long_sequences, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_fuzzy, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_refuses_wrong_words, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_words_have_maxima, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_words_survive_failed_allocations, begin_arena, end_arena),
    };
    return test_run(tests);
}
