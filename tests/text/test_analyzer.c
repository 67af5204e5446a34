/* test_analyzer.c: words against the standard's own test, stems against another build of Snowball, and the settings. */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/analyzer.h"
#include "text/unicode.h"
#include "text/word_break.h"

static FILE *open_data(const char *name)
{
    FILE *file = fopen(test_data_path(name), "r");
    assert_non_null(file);
    return file;
}

/* Reads a line of the standard's test, such as "÷ 0061 × 0308 ÷ 0020 ÷ # …": the text, and whether a boundary is
 * before each of its bytes and at its end. Returns its length. */
static size_t read_boundaries(char *line, uint8_t *text, bool *boundary)
{
    size_t len = 0;
    bool before = false;
    memset(boundary, 0, 256);
    line[strcspn(line, "#\n")] = 0;
    for (char *word = strtok(line, " \t"); word; word = strtok(NULL, " \t")) {
        if (strcmp(word, "÷") == 0 || strcmp(word, "×") == 0) {
            before = strcmp(word, "÷") == 0;
            boundary[len] = before;
        } else {
            len += utf8_encode((uint32_t)strtoul(word, NULL, 16), text + len);
        }
    }
    return len;
}

static void test_words_end_where_the_standard_says(void **state)
{
    FILE *file = open_data("text/WordBreakTest.txt");
    char line[4096];
    size_t cases = 0;
    (void)state;
    while (fgets(line, sizeof line, file)) {
        uint8_t text[256];
        bool boundary[256];
        char copy[4096];
        snprintf(copy, sizeof copy, "%s", line);
        size_t len = read_boundaries(line, text, boundary);
        if (len == 0)
            continue;
        cases++;
        for (const uint8_t *at = text, *end = text + len; at < end;) {
            const uint8_t *stop = word_segment_at(at, end).end;
            for (const uint8_t *p = at + 1; p <= stop; p++) {
                if (boundary[p - text] != (p == stop))
                    fail_msg("byte %d of: %s", (int)(p - text), copy);
            }
            at = stop;
        }
    }
    fclose(file);
    assert_true(cases > 1800);
}

struct tokens {
    char text[4096];
    uint32_t positions[64];
    size_t count;
};

static bool take_token(void *ctx, const struct text_token *token)
{
    struct tokens *t = ctx;
    size_t len = strlen(t->text);
    snprintf(t->text + len, sizeof t->text - len, "%s%.*s", len ? "|" : "", SPAN_FMT(token->text));
    t->positions[t->count++] = token->position;
    return t->count < 64;
}

static struct tokens tokens_of(const char *option, const char *text)
{
    struct text_settings settings;
    struct text_analyzer *a;
    struct dp_error error = {0};
    struct tokens t = {.count = 0};
    uint32_t position = 0;
    assert_int_equal(text_settings_parse(span_str(option), &settings, &error), DP_OK);
    assert_int_equal(text_analyzer_new(&settings, &a, &error), DP_OK);
    assert_int_equal(text_analyze(a, span_str(text), &position, take_token, &t, &error), DP_OK);
    text_analyzer_free(a);
    return t;
}

static void check_tokens(const char *option, const char *text, const char *expected)
{
    struct tokens t = tokens_of(option, text);
    assert_string_equal(t.text, expected);
}

static void test_the_kinds_of_ascii_are_those_of_the_table(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 128; c++)
        assert_int_equal(ascii_kinds[c], unicode_word_kind(c));
}

static void test_stems_are_those_of_snowball(void **state)
{
    FILE *file = open_data("text/stems.tsv");
    char line[1024], option[256];
    size_t count = 0;
    (void)state;
    while (fgets(line, sizeof line, file)) {
        char *language = strtok(line, "\t\n"), *word = strtok(NULL, "\t\n"), *stem = strtok(NULL, "\t\n");
        struct text_settings settings;
        struct dp_error error = {0};
        snprintf(option, sizeof option, "{\"language\": \"%s\", \"stemming\": true, \"tokenizer\": \"word_v4\"}",
                 language);
        assert_int_equal(text_settings_parse(span_str(option), &settings, &error), DP_OK);
        settings.tokenizer = TEXT_PRE_TOKENIZED; /* the word is one token, whatever its characters */
        struct text_analyzer *a;
        struct tokens t = {.count = 0};
        uint32_t position = 0;
        assert_int_equal(text_analyzer_new(&settings, &a, &error), DP_OK);
        assert_int_equal(text_analyze(a, span_str(word), &position, take_token, &t, &error), DP_OK);
        text_analyzer_free(a);
        assert_string_equal(t.text, stem ? stem : "");
        count++;
    }
    fclose(file);
    assert_true(count > 900);
}

static void test_each_tokenizer_cuts_as_documented(void **state)
{
    const char *text = "Can't stop: 3.14 of 北京大学 in C3PO — naïve 👩‍👩‍👧 🇫🇷!";
    (void)state;
    check_tokens("true", text, "can't|stop|3.14|of|北|京|大|学|in|c3po|naïve|👩‍👩‍👧|🇫🇷");
    check_tokens("{\"tokenizer\":\"word_v3\"}", text,
                 "can't|stop|3.14|of|北|京|大|学|in|c3po|naïve|👩‍👩‍👧|🇫🇷");
    check_tokens("{\"tokenizer\":\"word_v2\"}", text,
                 "can|t|stop|3|14|of|北|京|大|学|in|c3po|naïve|👩‍👩‍👧|🇫🇷");
    check_tokens("{\"tokenizer\":\"word_v1\"}", text,
                 "can|t|stop|3|14|of|北京大学|in|c3po|naïve|👩‍👩‍👧|🇫🇷");
    check_tokens("{\"tokenizer\":\"word_v0\"}", text, "can|t|stop|3|14|of|北京大学|in|c3po|naïve");
    check_tokens("{\"tokenizer\":\"pre_tokenized_array\"}", "As It Is", "As It Is");
}

static void test_the_settings_change_tokens(void **state)
{
    (void)state;
    check_tokens("{\"case_sensitive\":true}", "Über ALL", "Über|ALL");
    check_tokens("true", "ÜBER Straße", "über|straße");
    check_tokens("{\"ascii_folding\":true}", "ÜBER Straße Œuvre Ångström", "uber|strasse|oeuvre|angstrom");
    check_tokens("{\"stemming\":true}", "baking loaves", "bake|loav");
    check_tokens("{\"stemming\":true,\"language\":\"german\"}", "die Häuser", "die|haus");
    check_tokens("{\"remove_stopwords\":true}", "How do I bake a loaf", "bake|loaf");
    check_tokens("{\"remove_stopwords\":true}", "it isn't the computer of the fire page, it’s AI",
                 "computer|fire|page|ai");
    check_tokens("{\"max_token_length\":3}", "a abc abcd äö", "a|abc");
    struct tokens t = tokens_of("{\"remove_stopwords\":true}", "the cat and the dog");
    assert_int_equal(t.count, 2);
    assert_int_equal(t.positions[0], 1);
    assert_int_equal(t.positions[1], 4);
}

static void test_bytes_that_are_not_utf8_end_a_word(void **state)
{
    (void)state;
    check_tokens("true", "one\xfftwo\xc3", "one|two");
}

/* What a character of ASCII is without a look-up, is what the tables say. */
static void test_ascii_is_as_the_tables_say(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 128; c++) {
        const uint8_t byte = (uint8_t)c;
        const struct text_char read = text_char_at(&byte, &byte + 1);
        assert_int_equal(read.scalar, c);
        assert_int_equal(read.len, 1);
        assert_int_equal(read.kind, unicode_word_kind(c));
    }
}

static void test_only_a_change_of_tokens_changes_the_hash(void **state)
{
    static const char *const different[] = {
        "true",
        "{\"tokenizer\":\"word_v1\"}",
        "{\"stemming\":true}",
        "{\"stemming\":true,\"language\":\"french\"}",
        "{\"remove_stopwords\":true}",
        "{\"case_sensitive\":true}",
        "{\"ascii_folding\":true}",
        "{\"max_token_length\":20}",
    };
    enum { COUNT = sizeof different / sizeof *different };
    uint64_t hashes[COUNT];
    struct text_settings s;
    struct dp_error error = {0};
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(text_settings_parse(span_str(different[i]), &s, &error), DP_OK);
        hashes[i] = text_settings_hash(&s);
        for (size_t j = 0; j < i; j++)
            assert_true(hashes[i] != hashes[j]);
    }
    assert_int_equal(text_settings_parse(span_str("{\"k1\":2,\"b\":0.5,\"language\":\"french\"}"), &s, &error),
                     DP_OK);
    assert_true(text_settings_hash(&s) == hashes[0]);
}

static void test_bad_settings_are_refused_by_name(void **state)
{
    static const char *const bad[] = {
        "false",
        "1",
        "{\"tokenizer\":\"word_v9\"}",
        "{\"k1\":0}",
        "{\"b\":2}",
        "{\"max_token_length\":255}",
        "{\"color\":1}",
        "{\"stemming\":1}",
        "{",
        "true false",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct text_settings s;
        struct dp_error error = {0};
        assert_int_equal(text_settings_parse(span_str(bad[i]), &s, &error), DP_INVALID);
        assert_true(error.message[0] != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_end_where_the_standard_says),
        cmocka_unit_test(test_the_kinds_of_ascii_are_those_of_the_table),
        cmocka_unit_test(test_stems_are_those_of_snowball),
        cmocka_unit_test(test_each_tokenizer_cuts_as_documented),
        cmocka_unit_test(test_the_settings_change_tokens),
        cmocka_unit_test(test_bytes_that_are_not_utf8_end_a_word),
        cmocka_unit_test(test_ascii_is_as_the_tables_say),
        cmocka_unit_test(test_only_a_change_of_tokens_changes_the_hash),
        cmocka_unit_test(test_bad_settings_are_refused_by_name),
    };
    return test_run(tests);
}
