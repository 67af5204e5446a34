/* test_pattern_literal.c: which bytes every match of a pattern has, and that a search for them turns away only texts that do
 * not match. */
#include "test_support.h"

#include <stdio.h>

#include "base/splitmix.h"
#include "filter/pattern_literal.h"

enum { TURNS = 4000, TEXTS = 8 };

static struct pattern *parse(struct arena *arena, const char *text, char kind)
{
    struct pattern *pattern;
    struct dp_error error = {0};
    const struct span source = span_str(text);
    enum dp_status status = kind == 'r' ? regex_parse(arena, source, &pattern, &error)
                                        : glob_parse(arena, source, kind == 'i', &pattern, &error);
    if (status != DP_OK)
        fail_msg("%s: %s", text, error.message);
    return pattern;
}

static void test_pattern_literal_is_in_every_match(void **state)
{
    static const struct {
        char kind; /* r: regex, g: glob, i: glob without case */
        const char *pattern, *literal;
    } cases[] = {
        {'r', "timeout", "timeout"},
        {'r', "^GET /api/v[12]/rows", "GET /api/v"},
        {'r', "a(bc)?def", "def"},
        {'r', "(abc|abd)xy", "xy"},
        {'r', "abc|abd", ""},
        {'r', "(?:abc)+d", "abc"},
        {'r', "(?:abc)*d", "d"},
        {'r', "ab{0}c", "ac"},
        {'r', "x{3}y", "xxxy"},
        {'r', "x{0,2}yz", "yz"},
        {'r', "\\bdisk\\b full", " full"},
        {'r', "[a]b[^c]d", "ab"},
        {'r', "(?i)Error", "Error"},
        {'r',
         "(?i)stra\xc3\x9f"
         "e",
         "stra"},
        {'r',
         "stra\xc3\x9f"
         "e",
         "stra\xc3\x9f"
         "e"},
        {'r', "\xef\xbf\xbd", ""},
        {'r', ".*", ""},
        {'g', "/var/log/*.log", "/var/log/"},
        {'g', "*.{c,h}", "."},
        {'g', "**/build/*.o", "build/"},
        {'i', "*Invoice*", "Invoice"},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena, 1 << 24);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct pattern *pattern = parse(&arena, cases[i].pattern, cases[i].kind);
        if (!span_equal_str(pattern->literal, cases[i].literal))
            fail_msg("%s has the literal %.*s", cases[i].pattern, SPAN_FMT(pattern->literal));
        assert_true(pattern->literal.len == 0 ||
                    pattern->literal_without_case == (strstr(cases[i].pattern, "(?i)") || cases[i].kind == 'i'));
    }
    arena_deinit(&arena);
}

/* Appends parts of a regular expression. */
static void draw_regex(uint64_t *seed, char *out, size_t room, int depth)
{
    static const char *const atoms[] = {"a",    "b",    "ab", "ba", "A", "\xc3\xa9",
                                        "[ab]", "[^a]", ".",  "^",  "$", "\\b"};
    static const char *const tails[] = {"", "", "", "", "?", "*", "+", "{2}", "{0,2}", "{2,}"};
    const size_t parts = 1 + splitmix64_next(seed) % 4;
    for (size_t i = 0; i < parts; i++) {
        char group[128] = "";
        const char *tail = tails[splitmix64_next(seed) % (sizeof tails / sizeof *tails)];
        if (depth < 2 && splitmix64_next(seed) % 4 == 0) {
            draw_regex(seed, group, sizeof group, depth + 1);
            const char *other = splitmix64_next(seed) % 2 ? "|ab" : "";
            char text[160];
            snprintf(text, sizeof text, "(%s%s)%s", group, other, tail);
            strncat(out, text, room - strlen(out) - 1);
        } else {
            const char *atom = atoms[splitmix64_next(seed) % (sizeof atoms / sizeof *atoms)];
            const bool takes = atom[0] != '^' && atom[0] != '$' && atom[0] != '\\' && strlen(atom) != 2;
            char text[32];
            snprintf(text, sizeof text, "%s%s", atom, takes ? tail : "");
            strncat(out, text, room - strlen(out) - 1);
        }
    }
}

static size_t draw_text(uint64_t *seed, char out[32])
{
    static const char *const parts[] = {"a", "b", "A", "B", "\xc3\xa9", " ", "\n", "\xff"};
    size_t count = splitmix64_next(seed) % 8;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++)
        strcat(out, parts[splitmix64_next(seed) % (sizeof parts / sizeof *parts)]);
    return strlen(out);
}

static void test_pattern_literal_turns_away_no_match(void **state)
{
    uint64_t seed = 11;
    size_t turned_away = 0, matched = 0;
    (void)state;
    for (int turn = 0; turn < TURNS; turn++) {
        char source[256], text[32];
        struct arena arena;
        arena_init(&arena, 1 << 22);
        strcpy(source, splitmix64_next(&seed) % 3 == 0 ? "(?i)" : "");
        draw_regex(&seed, source, sizeof source - 8, 0);
        const struct pattern *pattern = parse(&arena, source, 'r');
        struct pattern without = *pattern;
        without.literal = (struct span){0};
        for (int i = 0; i < TEXTS; i++) {
            const size_t len = draw_text(&seed, text);
            struct filter_watch watch = {.call = NULL};
            const struct text_bytes bytes = text_bytes_of(span_of(text, len), false);
            const bool match = pattern_match(&without, bytes, &watch);
            if (pattern_match(pattern, bytes, &watch) != match)
                fail_msg("%s and '%s'", source, text);
            matched += match;
            turned_away += !pattern_literal_in(pattern, span_of(text, len));
        }
        arena_deinit(&arena);
    }
    assert_true(matched > TURNS && turned_away > TURNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern_literal_is_in_every_match),
        cmocka_unit_test(test_pattern_literal_turns_away_no_match),
    };
    return test_run(tests);
}
