/* test_filter.c: what filters match at the edges, and what is refused by name.
 * tests/filter/test_filter_agree.py compares thousands of random filters with a second reading of the rules. */
#include "test_support.h"

#include <stdio.h>

#include "base/alloc.h"
#include "filter/document.h"
#include "filter/filter.h"
#include "filter/pattern.h"
#include "filter/scalar.h"

static struct attribute attributes[] = {
    {.name = {(const uint8_t *)"s", 1}, .type = ATTRIBUTE_STRING},
    {.name = {(const uint8_t *)"n", 1}, .type = ATTRIBUTE_INT},
    {.name = {(const uint8_t *)"f", 1}, .type = ATTRIBUTE_FLOAT},
    {.name = {(const uint8_t *)"u", 1}, .type = ATTRIBUTE_UINT},
    {.name = {(const uint8_t *)"t", 1}, .type = ATTRIBUTE_DATETIME},
    {.name = {(const uint8_t *)"uu", 2}, .type = ATTRIBUTE_UUID},
    {.name = {(const uint8_t *)"tags", 4}, .type = ATTRIBUTE_STRINGS},
    {.name = {(const uint8_t *)"raw", 3}, .type = ATTRIBUTE_BYTES, .unfiltered = true},
    {.name = {(const uint8_t *)"body", 4}, .type = ATTRIBUTE_STRING, .unfiltered = true},
    {.name = {(const uint8_t *)"path", 4},
     .type = ATTRIBUTE_STRING,
     .unfiltered = true,
     .options = {(const uint8_t *)"{\"regex\":true,\"glob\":true,\"fuzzy\":true}", 39}},
    {.name = {(const uint8_t *)"gone", 4}, .type = ATTRIBUTE_INT, .dropped = true},
    {.name = {(const uint8_t *)"And", 3}, .type = ATTRIBUTE_INT},
    {.name = {(const uint8_t *)"v", 1}, .type = ATTRIBUTE_VECTOR, .dim = 2, .unfiltered = true},
};
static struct schema schema = {.count = sizeof attributes / sizeof *attributes, .attributes = attributes};
static struct arena test_arena;

static int begin_arena(void **state)
{
    (void)state;
    arena_init(&test_arena, (size_t)64 << 20);
    schema.id_kind = ID_UINT;
    return 0;
}

static int end_arena(void **state)
{
    (void)state;
    arena_deinit(&test_arena);
    return 0;
}

static const uint8_t id_7[] = {1, 0, 0, 0, 0, 0, 0, 0, 7};

static bool matches(const char *filter, const char *document, const char *incoming)
{
    struct filter *f;
    struct dp_error error = {0};
    const struct filter_row row = {span_of(id_7, sizeof id_7), span_str(document)};
    const struct filter_row next = {span_of(id_7, sizeof id_7), span_str(incoming ? incoming : "")};
    if (filter_parse(&test_arena, span_str(filter), &schema, true, &f, &error) != DP_OK)
        fail_msg("%s: %s", filter, error.message);
    struct filter_watch watch = {.call = NULL};
    bool match = filter_match(f, &row, incoming ? &next : NULL, &watch);
    assert_int_equal(watch.status, DP_OK);
    return match;
}

/* What each operator says of a row without a value, and with one. */
static void test_filter_null_is_the_smallest_value(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        bool missing, two;
    } rules[] = {
        {"[\"n\",\"Eq\",null]", true, false},
        {"[\"n\",\"NotEq\",null]", false, true},
        {"[\"n\",\"Eq\",2]", false, true},
        {"[\"n\",\"NotEq\",2]", true, false},
        {"[\"n\",\"Lt\",3]", true, true},
        {"[\"n\",\"Lte\",1]", true, false},
        {"[\"n\",\"Gt\",-9]", false, true},
        {"[\"n\",\"Gte\",-9]", false, true},
        {"[\"n\",\"Lt\",null]", false, false},
        {"[\"n\",\"Lte\",null]", true, false},
        {"[\"n\",\"Gt\",null]", false, true},
        {"[\"n\",\"Gte\",null]", true, true},
        {"[\"n\",\"In\",[]]", false, false},
        {"[\"n\",\"NotIn\",[]]", true, true},
        {"[\"n\",\"In\",[2,null]]", true, true},
        {"[\"n\",\"NotIn\",[2]]", true, false},
        {"[\"Not\",[\"n\",\"Gt\",1]]", true, false},
        {"[\"And\",[]]", true, true},
        {"[\"Or\",[]]", false, false},
        {"[\"nowhere\",\"Eq\",null]", true, true},
        {"[\"nowhere\",\"Lt\",1]", true, true},
        {"[\"nowhere\",\"Contains\",1]", false, false},
        {"[\"gone\",\"Eq\",null]", true, true},
        {"[\"And\",\"Eq\",null]", true, true},
        {"[\"id\",\"Eq\",null]", false, false},
        {"[\"id\",\"In\",[6,7]]", true, true},
        {"[\"tags\",\"Eq\",null]", true, false},
        {"[\"tags\",\"NotContains\",\"z\"]", true, true},
        {"[\"tags\",\"Eq\",[]]", false, true},
        {"[\"tags\",\"AnyLt\",\"z\"]", false, false},
        {"[\"tags\",\"NotContainsAny\",[\"z\"]]", true, true},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        bool missing = matches(rules[i].filter, "{}", NULL);
        bool two = matches(rules[i].filter, "{\"n\":2,\"tags\":[],\"gone\":5}", NULL);
        if (missing != rules[i].missing || two != rules[i].two)
            fail_msg("%s: %d %d", rules[i].filter, missing, two);
    }
}

static void test_filter_compares_normal_forms(void **state)
{
    (void)state;
    static const char document[] =
        " { \"\\u0073\" : \"a\\u0000\\ud83d\\ude00\\n\\\"}\" ,\"x\":{\"n\":[1,\"]}\"]}, \"n\" : 9007199254740993,"
        "\"f\":9007199254740992,\"u\":18446744073709551615,\"t\":\"2024-03-01T00:00:00.000000000Z\","
        "\"uu\":\"769c134d-07b8-4225-954a-b6cc5ffc320c\", \"tags\" : [ \"a\" , \"b,]\\\"\" ] } ";
    static const char *const good[] = {
        "[\"s\",\"Eq\",\"a\\u0000\xf0\x9f\x98\x80\\n\\\"}\"]",
        "[\"s\",\"Gt\",\"a\"]",
        "[\"n\",\"Eq\",9007199254740993]",
        "[\"n\",\"Gt\",9007199254740992]",
        "[\"n\",\"Gt\",9007199254740992.5]",
        "[\"n\",\"Lt\",1e300]",
        "[\"n\",\"Gt\",-1e300]",
        "[\"f\",\"Eq\",9007199254740993]", /* as doubles they are equal */
        "[\"u\",\"Eq\",18446744073709551615]",
        "[\"u\",\"Gt\",18446744073709551614]",
        "[\"u\",\"Lt\",18446744073709551616]",
        "[\"u\",\"Gt\",-1]",
        "[\"t\",\"Eq\",\"2024-03-01\"]",
        "[\"t\",\"Gte\",\"2024-03-01T01:00:00+01:00\"]",
        "[\"t\",\"Lt\",\"2024-03-01T00:00:00.001\"]",
        "[\"uu\",\"Eq\",\"769C134D07B84225954AB6CC5FFC320C\"]",
        "[\"tags\",\"Contains\",\"b,]\\\"\"]",
        "[\"tags\",\"In\",\"a\"]",
        "[\"tags\",\"Eq\",[\"a\",\"b,]\\\"\"]]",
        "[\"n\",\"Gt\",{\"$ref_new\":\"f\"}]",
        "[\"u\",\"In\",[1,{\"$ref_new\":\"n\"}]]",
        "[\"tags\",\"ContainsAny\",{\"$ref_new\":\"tags\"}]",
        "[\"tags\",\"Contains\",{\"$ref_new\":\"s\"}]",
        "[\"id\",\"Eq\",{\"$ref_new\":\"id\"}]",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!matches(
                good[i], document,
                "{\"f\":9007199254740992,\"n\":18446744073709551615,\"tags\":[\"z\",\"a\"],\"s\":\"\\u0061\"}"))
            fail_msg("%s does not match", good[i]);
    }
    assert_false(matches("[\"n\",\"Eq\",{\"$ref_new\":\"n\"}]", "{\"n\":1}", NULL));
    assert_true(matches("[\"n\",\"Eq\",{\"$ref_new\":\"n\"}]", "{}", NULL));
}

static void test_filter_globs(void **state)
{
    (void)state;
    static const struct {
        const char *glob, *text; /* JSON */
        bool matches, without_case;
    } globs[] = {
        {"", "", true, true},
        {"", "a", false, false},
        {"abc", "abc", true, true},
        {"abc", "abcd", false, false},
        {"abc", "ABC", false, true},
        {"\u00e9t\u0434*", "\u00c9T\u0414x", false, true},
        {"*", "", true, true},
        {"*", "a/b\\n", true, true},
        {"a*c", "abbc", true, true},
        {"a*c", "abcb", false, false},
        {"a?c", "a\\\"c", true, true},
        {"a?c",
         "a\xf0\x9f\x98\x80"
         "c",
         true, true},
        {"a?c", "a\\u0001c", true, true},
        {"a?c", "ac", false, false},
        {"[a-c]x", "bx", true, true},
        {"[a-c]x", "Bx", false, true},
        {"[!a-c]x", "bx", false, false},
        {"[^a-c]x", "dx", true, true},
        {"[]a]", "]", true, true},
        {"[a-]", "-", true, true},
        {"[-a]", "-", true, true},
        {"{a,bc}d", "bcd", true, true},
        {"{a,bc}d", "abcd", false, false},
        {"{a,{b,c}}d", "cd", true, true},
        {"{,a}", "", false, false},
        {"{}b", "b", true, true},
        {"a,b", "a,b", true, true},
        {"\\\\*", "*", true, true},
        {"\\\\*", "a", false, false},
        {"**", "a/b", true, true},
        {"**/a", "a", true, true},
        {"**/a", "b/c/a", true, true},
        {"**/a", "ba", false, false},
        {"**/**/a", "a", true, true},
        {"a/**", "a/b/c", true, true},
        {"a/**", "a", false, false},
        {"a/**/b", "a/b", true, true},
        {"a/**/b", "a/x/y/b", true, true},
        {"a/**/b", "axb", false, false},
        {"a/**/**/b", "a/b", true, true},
        {"a**b", "a/b", true, true},
        {"{**/a,x/**}", "x/y", true, true},
    };
    for (size_t i = 0; i < sizeof globs / sizeof *globs; i++) {
        static const char *const operators[] = {"Glob", "NotGlob", "IGlob", "NotIGlob"};
        char document[128], filter[128];
        for (int o = 0; o < 4; o++) {
            bool wanted = (o < 2 ? globs[i].matches : globs[i].without_case) != (o % 2 == 1);
            snprintf(filter, sizeof filter, "[\"s\",\"%s\",\"%s\"]", operators[o], globs[i].glob);
            snprintf(document, sizeof document, "{\"s\":\"%s\"}", globs[i].text);
            if (matches(filter, document, NULL) != wanted)
                fail_msg("%s %s: not %d", filter, document, wanted);
            snprintf(filter, sizeof filter, "[\"tags\",\"%s\",\"%s\"]", operators[o], globs[i].glob);
            snprintf(document, sizeof document, "{\"tags\":[\"#\\u0002#\",\"%s\"]}", globs[i].text);
            if (globs[i].matches && matches(filter, document, NULL) != wanted)
                fail_msg("%s %s: not %d", filter, document, wanted);
        }
    }
    assert_false(matches("[\"s\",\"Glob\",\"*\"]", "{}", NULL));
    assert_true(matches("[\"s\",\"NotGlob\",\"*\"]", "{}", NULL));
    assert_false(matches("[\"tags\",\"IGlob\",\"*\"]", "{\"tags\":[]}", NULL));
    assert_false(matches("[\"nowhere\",\"Glob\",\"*\"]", "{\"nowhere\":\"a\"}", NULL));
    assert_false(matches("[\"gone\",\"Glob\",\"*\"]", "{\"gone\":\"a\"}", NULL));
    assert_true(matches("[\"path\",\"Glob\",\"*.c\"]", "{\"path\":\"a/b.c\"}", NULL));
}

static void test_filter_regexes(void **state)
{
    (void)state;
    static const struct {
        const char *regex, *text; /* JSON */
        bool matches;
    } regexes[] = {
        {"", "", true},
        {"b", "abc", true},
        {"^b", "abc", false},
        {"^abc$", "abc", true},
        {"c$", "abc\\n", false},
        {"(?m)c$", "abc\\nd", true},
        {"(?m)^d", "abc\\nd", true},
        {"^(a|bc|)d$", "bcd", true},
        {"^(a|bc|)d$", "d", true},
        {"^(a|bc|)d$", "ad", true},
        {"^(a|bc|)d$", "bd", false},
        {"^(?:ab)*$", "ababab", true},
        {"^(?:ab)*$", "aba", false},
        {"^(?<x>ab)+$", "", false},
        {"^(?P<x>ab)+?$", "abab", true},
        {"^a?b$", "b", true},
        {"^a{2}$", "aa", true},
        {"^a{2}$", "aaa", false},
        {"^a{2,}$", "aaaaa", true},
        {"^a{2,}$", "a", false},
        {"^a{0,2}$", "", true},
        {"^a{0,2}$", "aa", true},
        {"^a{0,2}$", "aaa", false},
        {"^a{1,3}$", "aaa", true},
        {"^a{1,3}$", "aaaa", false},
        {"^a{0,}b$", "aab", true},
        {"^xa{0}b$", "xb", true},
        {"^(a*)*$", "aaab", false},
        {"^(a|b|c){3}$", "cab", true},
        {"a.c", "a\\nc", false},
        {"(?s)a.c", "a\\nc", true},
        {"a.c",
         "a\xf0\x9f\x98\x80"
         "c",
         true},
        {"(?i)ABC\u00e9", "abc\u00c9", true},
        {"a(?i)b(?-i)c", "aBc", true},
        {"a(?i:b)c", "aBC", false},
        {"(a(?i)b)c", "aBC", false},
        {"\\\\w+fish", "goldfish", true},
        {"^\\\\d\\\\D\\\\s\\\\S$", "1a\\tb", true},
        {"^[\\\\D]$", "7", false},
        {"^[^\\\\W_]$", "_", false},
        {"\\\\bcat\\\\b", "a cat.", true},
        {"\\\\bcat\\\\b", "concat", false},
        {"\\\\Bcat", "concat", true},
        {"\\\\Aa\\\\z", "a", true},
        {"^[a-c\\\\-x]+$", "a-x", true},
        {"^[]a]$", "]", true},
        {"^[^a-c]$", "\\n", true},
        {"(?i)^[^a-c]$", "B", false},
        {"^[[:alpha:][:digit:]]+$", "a1", true},
        {"^[[:^alpha:]]$", "a", false},
        {"^[[:cntrl:]]$", "\\u0000", true},
        {"^\\\\x41\\\\u0042\\\\x{1F600}$", "AB\xf0\x9f\x98\x80", true},
        {"^\\\\.\\\\*\\\\[\\\\\\\\$", ".*[\\\\", true},
        {"^\\\\t\\\\n$", "\\t\\n", true},
    };
    for (size_t i = 0; i < sizeof regexes / sizeof *regexes; i++) {
        char document[128], filter[128];
        snprintf(filter, sizeof filter, "[\"path\",\"Regex\",\"%s\"]", regexes[i].regex);
        snprintf(document, sizeof document, "{\"path\":\"%s\"}", regexes[i].text);
        if (matches(filter, document, NULL) != regexes[i].matches)
            fail_msg("%s %s: not %d", filter, document, regexes[i].matches);
    }
    assert_false(matches("[\"path\",\"Regex\",\"\"]", "{}", NULL));
}

static void test_filter_refuses_wrong_regexes(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"(?=a)", "look-around"},
        {"(?!a)", "look-around"},
        {"(?<=a)", "look-around"},
        {"(?<!a)", "look-around"},
        {"(a)\\\\1", "back-references"},
        {"(?P=x)", "back-references"},
        {"\\\\pL", "properties"},
        {"a**b(", "without"},
        {"(a", "without"},
        {"a)", "without"},
        {"[a", "a class without"},
        {"[z-a]", "ends before"},
        {"*a", "nothing to repeat"},
        {"{2}", "nothing to repeat"},
        {"a{", "without numbers"},
        {"a{3,2}", "less than"},
        {"a{1001}", "1000 repetitions"},
        {"a{99}{99}", "1024 steps"},
        {"\\\\q", "no escape"},
        {"\\\\xZZ", "hexadecimal"},
        {"\\\\x{110000}", "too large"},
        {"[a&&b]", "operators"},
        {"[a[b]]", "a class within"},
        {"[[:nix:]]", "no such name"},
        {"(?x)a", "not i, s or m"},
        {"(?", "not i, s or m"},
        {"(?<a", "without"},
        {"a\\\\", "at its end"},
        {"[\\\\b]", "in a class"},
        {"\\\\u{d800}", "too large"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct filter *f;
        struct dp_error error = {0};
        char text[64];
        snprintf(text, sizeof text, "[\"path\",\"Regex\",\"%s\"]", bad[i][0]);
        enum dp_status status = filter_parse(&test_arena, span_str(text), &schema, true, &f, &error);
        if (status != DP_INVALID || !strstr(error.message, bad[i][1]) ||
            !strstr(error.message, "attribute \"path\": the value of Regex: "))
            fail_msg("%s: %d %s", text, status, error.message);
    }
}

static void test_filter_refuses_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *words;
        enum dp_status status;
    } bad[] = {
        {"", "a filter: expected an array", DP_INVALID},
        {"{}", "expected an array", DP_INVALID},
        {"[]", "cut short", DP_INVALID},
        {"[\"n\"]", "cut short", DP_INVALID},
        {"[\"n\",\"Eq\"]", "Eq has no operand", DP_INVALID},
        {"[\"n\",\"Eq\",1,2]", "Eq has too many elements", DP_INVALID},
        {"[\"n\",\"Eq\",1] x", "a filter", DP_INVALID},
        {"[1,\"Eq\",1]", "expected a string", DP_INVALID},
        {"[\"n\",1,1]", "expected a string", DP_INVALID},
        {"[\"n\",\"eq\",1]", "\"n\": there is no filter operator \"eq\"", DP_INVALID},
        {"[\"s\",\"Glob\",\"a[b\"]", "\"s\": the value of Glob: a class without", DP_INVALID},
        {"[\"s\",\"Glob\",\"a[\"]", "class without", DP_INVALID},
        {"[\"s\",\"Glob\",\"[a-\"]", "class without", DP_INVALID},
        {"[\"s\",\"Glob\",\"[z-a]\"]", "ends before it begins", DP_INVALID},
        {"[\"s\",\"Glob\",\"{a,b\"]", "without \"}\"", DP_INVALID},
        {"[\"s\",\"Glob\",\"a}\"]", "without \"{\"", DP_INVALID},
        {"[\"s\",\"Glob\",\"a\\\\\"]", "at its end", DP_INVALID},
        {"[\"s\",\"Glob\",1]", "Glob takes a string, not a number", DP_INVALID},
        {"[\"s\",\"Glob\",null]", "Glob takes a string, not null", DP_INVALID},
        {"[\"s\",\"Glob\",{\"$ref_new\":\"s\"}]", "Glob takes a string, not an object", DP_INVALID},
        {"[\"s\",\"Glob\",\"a\",\"b\"]", "the value of Glob: too many elements", DP_INVALID},
        {"[\"n\",\"NotIGlob\",\"a*\"]", "NotIGlob is for attributes of strings", DP_INVALID},
        {"[\"id\",\"Glob\",\"a*\"]", "Glob is for attributes of strings", DP_INVALID},
        {"[\"body\",\"Glob\",\"a*\"]", "\"body\" is not filterable", DP_INVALID},
        {"[\"s\",\"Regex\",\"a\"]", "declare it with \"regex\": true", DP_INVALID},
        {"[\"path\",\"Eq\",\"a\"]", "\"path\" is not filterable", DP_INVALID},
        {"[\"n\",\"Eq\",\"1\"]", "\"n\" has type int, but the value is a string", DP_INVALID},
        {"[\"n\",\"Eq\",true]", "\"n\" has type int", DP_INVALID},
        {"[\"n\",\"Eq\",[1]]", "\"n\" has type int, but the value is an array", DP_INVALID},
        {"[\"n\",\"Eq\",NaN]", "byte", DP_INVALID},
        {"[\"n\",\"Eq\",1e400]", "out of range", DP_INVALID},
        {"[\"s\",\"Eq\",1]", "\"s\" has type string", DP_INVALID},
        {"[\"s\",\"Eq\",\"\\ud800\"]", "lone surrogate", DP_INVALID},
        {"[\"t\",\"Lt\",\"soon\"]", "\"t\" has type datetime", DP_INVALID},
        {"[\"uu\",\"Eq\",\"soon\"]", "\"uu\" has type uuid", DP_INVALID},
        {"[\"n\",\"In\",1]", "In takes an array, not a number", DP_INVALID},
        {"[\"n\",\"In\",null]", "In takes an array, not null", DP_INVALID},
        {"[\"n\",\"In\",[\"x\"]]", "\"n\" has type int", DP_INVALID},
        {"[\"n\",\"Contains\",1]", "Contains is for attributes of arrays", DP_INVALID},
        {"[\"n\",\"AnyLt\",1]", "AnyLt is for attributes of arrays", DP_INVALID},
        {"[\"tags\",\"Lt\",\"a\"]", "Lt is for attributes without arrays", DP_INVALID},
        {"[\"tags\",\"Eq\",\"a\"]", "use Contains for one element", DP_INVALID},
        {"[\"tags\",\"Contains\",null]", "Contains does not take null", DP_INVALID},
        {"[\"tags\",\"AnyGt\",null]", "AnyGt does not take null", DP_INVALID},
        {"[\"raw\",\"Eq\",\"AQ==\"]", "values of type bytes cannot be filtered", DP_INVALID},
        {"[\"v\",\"Eq\",null]", "values of type [2]f32 cannot be filtered", DP_INVALID},
        {"[\"vector\",\"Eq\",null]", "vectors cannot be filtered", DP_INVALID},
        {"[\"body\",\"Eq\",\"x\"]", "\"body\" is not filterable", DP_INVALID},
        {"[\"n\",\"Eq\",{\"x\":1}]", "which is not {\"$ref_new\"", DP_INVALID},
        {"[\"n\",\"Eq\",{}]", "which is not {\"$ref_new\"", DP_INVALID},
        {"[\"n\",\"Eq\",{\"$ref_new\":1}]", "expected a string", DP_INVALID},
        {"[\"n\",\"Eq\",{\"$ref_new\":\"n\",\"b\":1}]", "has one field", DP_INVALID},
        {"[\"n\",\"Eq\",{\"$ref_new\":\"s\"}]", "have types that do not compare", DP_INVALID},
        {"[\"n\",\"Eq\",{\"$ref_new\":\"id\"}]", "have types that do not compare", DP_INVALID},
        {"[\"n\",\"Eq\",{\"$ref_new\":\"body\"}]", "do not compare", DP_INVALID},
        {"[\"s\",\"Eq\",{\"$ref_new\":\"tags\"}]", "cannot take \"tags\", which is an array", DP_INVALID},
        {"[\"s\",\"In\",{\"$ref_new\":\"s\"}]", "cannot take \"s\", which is no array", DP_INVALID},
        {"[\"s\",\"In\",[{\"$ref_new\":\"tags\"}]]", "cannot be one of a list", DP_INVALID},
        {"[\"id\",\"Eq\",\"7\"]", "\"id\" has type uint, but a filter compares it with a string", DP_INVALID},
        {"[\"id\",\"Eq\",-1]", "non-negative", DP_INVALID},
        {"[\"id\",\"Contains\",1]", "Contains is for attributes of arrays", DP_INVALID},
        {"[\"And\",[[\"n\",\"Eq\",1]],1]", "And has too many elements", DP_INVALID},
        {"[\"Or\",[1]]", "expected an array", DP_INVALID},
        {"[\"Not\",[\"n\",\"Eq\",1],2]", "Not has too many elements", DP_INVALID},
        {"[\"Not\",[]]", "cut short", DP_INVALID},
        {"[\"s\",\"ContainsTokenSequence\",\"a\"]", "declare it with \"full_text_search\": true", DP_INVALID},
        {"[\"nowhere\",\"Eq\",[1]]", "\"nowhere\" is compared with an array", DP_INVALID},
    };
    attributes[8].unfiltered = true;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct filter *f;
        struct dp_error error = {0};
        if (strstr(bad[i].filter, "$ref_new\":\"body"))
            attributes[8].unfiltered = false; /* a string beside an int */
        enum dp_status status = filter_parse(&test_arena, span_str(bad[i].filter), &schema, true, &f, &error);
        attributes[8].unfiltered = true;
        if (status != bad[i].status || !strstr(error.message, bad[i].words))
            fail_msg("%s: %d %s", bad[i].filter, status, error.message);
    }
    struct filter *f;
    struct dp_error error;
    assert_int_equal(
        filter_parse(&test_arena, span_str("[\"n\",\"Eq\",{\"$ref_new\":\"n\"}]"), &schema, false, &f, &error),
        DP_INVALID);
    assert_non_null(strstr(error.message, "stands only in the conditions of a write"));
}

static void test_filter_ids_have_one_kind(void **state)
{
    (void)state;
    static const struct {
        enum id_kind kind;
        const char *operand;
        bool good;
    } ids[] = {
        {ID_ANY, "7", true},        {ID_ANY, "\"7\"", true},
        {ID_UINT, "7", true},       {ID_STRING, "7", false},
        {ID_STRING, "\"7\"", true}, {ID_UUID, "\"7\"", false},
        {ID_UUID, "7", false},      {ID_UUID, "\"769C134D07B84225954AB6CC5FFC320C\"", true},
        {ID_UINT, "true", false},   {ID_ANY, "[1]", false},
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct filter *f;
        struct dp_error error;
        char text[128];
        snprintf(text, sizeof text, "[\"id\",\"Gt\",%s]", ids[i].operand);
        schema.id_kind = ids[i].kind;
        enum dp_status status = filter_parse(&test_arena, span_str(text), &schema, true, &f, &error);
        if ((status == DP_OK) != ids[i].good)
            fail_msg("%s %s: %s", id_kind_name(ids[i].kind), text, error.message);
    }
}

/* Parses a pattern of `count` times `part`. */
static enum dp_status parse_pattern(const char *operator, const char * part, size_t count, struct dp_error *error)
{
    struct buffer text;
    struct filter *f;
    buffer_init(&text, 1 << 20);
    buffer_printf(&text, "[\"path\",\"%s\",\"", operator);
    for (size_t i = 0; i < count; i++)
        buffer_append_str(&text, part);
    buffer_append_str(&text, "\"]");
    enum dp_status status = filter_parse(&test_arena, buffer_span(&text), &schema, true, &f, error);
    buffer_deinit(&text);
    return status;
}

static void test_filter_patterns_have_maxima(void **state)
{
    (void)state;
    struct dp_error error = {0};
    assert_int_equal(parse_pattern("Glob", "a", PATTERN_STEPS_MAX - 2, &error), DP_OK); /* the end is two steps */
    assert_int_equal(parse_pattern("Glob", "a", PATTERN_STEPS_MAX - 1, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "more than 1024 steps"));
    assert_int_equal(parse_pattern("Glob", "*", FILTER_TEXT_MAX, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "more than 1024 steps"));
    assert_int_equal(parse_pattern("Glob", "a", FILTER_TEXT_MAX + 1, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "at most 8192 bytes"));
    assert_int_equal(parse_pattern("Glob", "{", PATTERN_DEPTH_MAX + 1, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "64 groups"));
    assert_int_equal(parse_pattern("Glob", "{", PATTERN_DEPTH_MAX, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "without \"}\""));
}

/* A call ends a match that would take many seconds, and the match says so. */
static void test_filter_matches_end_with_their_call(void **state)
{
    (void)state;
    const size_t len = 4 << 20;
    struct filter *f;
    struct dp_error error = {0};
    struct arena arena;
    struct call call;
    struct buffer document;
    buffer_init(&document, len + 64);
    buffer_append_str(&document, "{\"path\":\"");
    for (size_t i = 0; i < len; i++)
        buffer_append_str(&document, "a");
    buffer_append_str(&document, "\"}");
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    call_limit_ms(&call, 20);
    struct filter_watch watch = {.call = &call};
    const struct filter_row row = {span_of(id_7, sizeof id_7), buffer_span(&document)};
    const struct filter_row small = {span_of(id_7, sizeof id_7), span_str("{\"path\":\"ab\"}")};
    assert_int_equal(
        filter_parse(&test_arena, span_str("[\"path\",\"Regex\",\"(a?){400}[bc]\"]"), &schema, true, &f, &error),
        DP_OK);
    assert_true(filter_match(f, &small, NULL, &watch));
    assert_false(filter_match(f, &row, NULL, &watch));
    assert_int_equal(watch.status, DP_DEADLINE);
    assert_int_equal(call.error.status, DP_DEADLINE);
    assert_false(filter_match(f, &small, NULL, &watch));
    buffer_deinit(&document);
    arena_deinit(&arena);
}

enum many { CONDITIONS, LIST, NAMES };

/* Parses a filter of `count` conditions, of one list with `count` numbers, or over `count` attributes. */
static enum dp_status parse_many(enum many many, size_t count)
{
    struct buffer text;
    struct filter *f;
    struct dp_error error;
    buffer_init(&text, (size_t)16 << 20);
    buffer_append_str(&text, many == LIST ? "[\"n\",\"In\",[" : "[\"And\",[");
    for (size_t i = 0; i < count; i++) {
        buffer_append_str(&text, i ? "," : "");
        if (many == CONDITIONS)
            buffer_append_str(&text, "[\"n\",\"Eq\",1]");
        else if (many == LIST)
            buffer_printf(&text, "%zu", i);
        else
            buffer_printf(&text, "[\"a%zu\",\"Eq\",1]", i);
    }
    buffer_append_str(&text, "]]");
    enum dp_status status = filter_parse(&test_arena, buffer_span(&text), &schema, true, &f, &error);
    buffer_deinit(&text);
    arena_reset(&test_arena);
    return status;
}

static void test_filter_limits_hold_at_them_and_one_beyond(void **state)
{
    (void)state;
    assert_int_equal(parse_many(CONDITIONS, FILTER_NODES_MAX - 1), DP_OK); /* And counts too */
    assert_int_equal(parse_many(CONDITIONS, FILTER_NODES_MAX), DP_INVALID);
    assert_int_equal(parse_many(LIST, FILTER_LIST_MAX), DP_OK);
    assert_int_equal(parse_many(LIST, FILTER_LIST_MAX + 1), DP_INVALID);
    assert_int_equal(parse_many(NAMES, FILTER_ATTRIBUTES_MAX), DP_OK);
    assert_int_equal(parse_many(NAMES, FILTER_ATTRIBUTES_MAX + 1), DP_INVALID);
    struct buffer deep;
    buffer_init(&deep, 1 << 16);
    for (int levels = 63; levels <= 64; levels++) {
        struct filter *f;
        struct dp_error error;
        buffer_clear(&deep);
        for (int i = 0; i < levels; i++)
            buffer_append_str(&deep, "[\"Not\",");
        buffer_append_str(&deep, "[\"n\",\"Eq\",1]");
        for (int i = 0; i < levels; i++)
            buffer_append_str(&deep, "]");
        enum dp_status status = filter_parse(&test_arena, buffer_span(&deep), &schema, true, &f, &error);
        assert_int_equal(status, levels == 63 ? DP_OK : DP_INVALID);
    }
    buffer_deinit(&deep);
}

/* Whatever the bytes of a document are, a walk stays within them. */
static void test_filter_walks_over_any_bytes(void **state)
{
    (void)state;
    static const char text[] = "{\"a\\\"\":\"x\\\\\",\"n\":[1,{\"b\":\"]\"},2],\"s\":\"\\ud800\\u12\",\"z\":tru";
    for (size_t cut = 0; cut < sizeof text; cut++) {
        uint8_t *copy = mem_alloc(cut ? cut : 1);
        struct document_walk w;
        struct document_member m;
        struct span item, value;
        memcpy(copy, text, cut);
        for (w = document_begin(span_of(copy, cut)); document_next(&w, &m);) {
            text_compare(m.key, true, span_str("a\""), false);
            struct scalar s = scalar_of_json(ATTRIBUTE_STRING, m.value);
            scalar_compare(&s, &s);
            for (struct document_walk inner = document_begin(m.value); document_next_item(&inner, &item);)
                ;
        }
        document_find(span_of(copy, cut), span_str("z"), &value);
        mem_free(copy);
    }
    struct span value;
    assert_true(document_find(span_str(text), span_str("a\""), &value) && span_equal_str(value, "\"x\\\\\""));
    assert_true(document_find(span_str(text), span_str("n"), &value) &&
                span_equal_str(value, "[1,{\"b\":\"]\"},2]"));
    assert_false(document_find(span_str(text), span_str("a\\\""), &value));
}

static void test_filter_survives_failed_allocations(void **state)
{
    (void)state;
    static const char text[] =
        "[\"And\",[[\"s\",\"In\",[\"\\u0061\",{\"$ref_new\":\"s\"}]],[\"Not\",[\"t\",\"Lt\","
        "\"2024-03-01\"]],[\"tags\",\"ContainsAny\",[\"a\",\"b\"]],[\"id\",\"Gt\",5],[\"s\",\"Glob\",\"[a-z]*\"]]"
        "]";
    for (size_t n = 1;; n++) {
        struct arena arena;
        struct filter *f;
        struct dp_error error = {0};
        arena_init(&arena, 4 << 20);
        test_alloc_fail_at(n);
        enum dp_status status = filter_parse(&arena, span_str(text), &schema, true, &f, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        arena_deinit(&arena);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_filter_null_is_the_smallest_value, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_compares_normal_forms, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_globs, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_regexes, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_refuses_wrong_regexes, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_refuses_by_name, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_ids_have_one_kind, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_limits_hold_at_them_and_one_beyond, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_patterns_have_maxima, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_filter_matches_end_with_their_call, begin_arena, end_arena),
        cmocka_unit_test(test_filter_walks_over_any_bytes),
        cmocka_unit_test_setup_teardown(test_filter_survives_failed_allocations, begin_arena, end_arena),
    };
    return test_run(tests);
}
