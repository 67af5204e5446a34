/* test_toml.c: the TOML subset for settings, and refusals that name the line. */
#include "test_support.h"

#include <stdio.h>

#include "config/toml.h"

/* Values as "key=type:text;…". */
struct seen {
    char text[2048];
    size_t len;
};

static enum dp_status note(void *ctx, struct span key, const struct toml_value *value, struct dp_error *error)
{
    struct seen *seen = ctx;
    if (span_equal_str(key, "refused"))
        return dp_fail(error, DP_DENIED, "refused at %u", value->line);
    int len = snprintf(seen->text + seen->len, sizeof seen->text - seen->len, "%.*s@%u=%c:%.*s;", SPAN_FMT(key),
                       value->line, "sib"[value->type], SPAN_FMT(value->text));
    seen->len += (size_t)len;
    return DP_OK;
}

static enum dp_status read_span(struct span text, struct seen *seen, struct dp_error *error)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    *seen = (struct seen){.len = 0};
    const struct toml_sink sink = {note, seen};
    enum dp_status status = toml_read("f.toml", text, &arena, &sink, error);
    arena_deinit(&arena);
    return status;
}

static void expect(const char *text, const char *values)
{
    struct seen seen;
    struct dp_error error = {0};
    enum dp_status status = read_span(span_str(text), &seen, &error);
    if (status != DP_OK)
        fail_msg("%s: %s", text, error.message);
    assert_string_equal(seen.text, values);
}

static void refuse(const char *text, enum dp_status status, const char *part)
{
    struct seen seen;
    struct dp_error error = {0};
    assert_int_equal(read_span(span_str(text), &seen, &error), status);
    if (!strstr(error.message, part))
        fail_msg("%s: \"%s\" does not contain \"%s\"", text, error.message, part);
}

static void test_config_toml_reads_values(void **state)
{
    (void)state;
    expect("", "");
    expect("# only a comment", "");
    expect("\xef\xbb\xbf\r\n\t \r\n", "");
    expect("a = 1\nb = \"two\" # c\nc=true\nd = false", "a@1=i:1;b@2=s:two;c@3=b:true;d@4=b:false;");
    expect("root = '/a b\\n'\r\n[server]\r\nport = 8_0\r\n[ x . y ] # t\nz.w = -0\n",
           "root@1=s:/a b\\n;server.port@3=i:80;x.y.z.w@5=i:-0;");
    expect("a = +12\nb = -1_000\nc-d_9 = 0", "a@1=i:12;b@2=i:-1000;c-d_9@3=i:0;");
    expect("s = \"\\b\\t\\n\\f\\r\\\"\\\\ \\u00e9 \\U0001F600\"",
           "s@1=s:\b\t\n\f\r\"\\ \xc3\xa9 \xf0\x9f\x98\x80;");
    expect("s = \"\"\nt = ''\nu = \"#\"", "s@1=s:;t@2=s:;u@3=s:#;");
    expect("[a]\n[b]\nx = 1\n[a.c]\nx = 2", "b.x@3=i:1;a.c.x@5=i:2;");
}

static void test_config_toml_refuses_with_the_line(void **state)
{
    (void)state;
    refuse("x", DP_INVALID, "f.toml, line 1");
    refuse("a = 1\n\n= 2", DP_INVALID, "line 3");
    refuse("a =", DP_INVALID, "line 1");
    refuse("a = 1 2", DP_INVALID, "text follows the value");
    refuse("a = true1", DP_INVALID, "text follows the value");
    refuse("a = yes", DP_INVALID, "expected a string");
    refuse("a = 01", DP_INVALID, "expected a string");
    refuse("a = 1__0", DP_INVALID, "expected a string");
    refuse("a = 1_", DP_INVALID, "expected a string");
    refuse("a = _1", DP_INVALID, "expected a string");
    refuse("a = --1", DP_INVALID, "expected a string");
    refuse("a = -", DP_INVALID, "expected a string");
    refuse("a = 1.5", DP_UNSUPPORTED, "decimal integers");
    refuse("a = 0x10", DP_UNSUPPORTED, "decimal integers");
    refuse("a = 1e3", DP_UNSUPPORTED, "decimal integers");
    refuse("a = \"x", DP_INVALID, "no end quote");
    refuse("a = 'x\n'", DP_INVALID, "line 1");
    refuse("a = \"\\x\"", DP_INVALID, "escape");
    refuse("a = \"\\u12\"", DP_INVALID, "escape");
    refuse("a = \"\\ud800\"", DP_INVALID, "escape");
    refuse("a = \"\\u0000\"", DP_INVALID, "escape");
    refuse("a = \"\\U00110000\"", DP_INVALID, "escape");
    refuse("a = \"\\", DP_INVALID, "escape");
    refuse("a = \"\"\"x\"\"\"", DP_UNSUPPORTED, "multi-line strings");
    refuse("a = '''x'''", DP_UNSUPPORTED, "multi-line strings");
    refuse("a = [1]", DP_UNSUPPORTED, "arrays");
    refuse("a = {x = 1}", DP_UNSUPPORTED, "inline tables");
    refuse("[[a]]", DP_UNSUPPORTED, "arrays of tables");
    refuse("\"a\" = 1", DP_UNSUPPORTED, "quoted keys");
    refuse("[a", DP_INVALID, "[table]");
    refuse("[a] x", DP_INVALID, "[table]");
    refuse("[]", DP_INVALID, "expected a key");
    refuse("a..b = 1", DP_INVALID, "expected a key");
    refuse("a = 1\na = 2", DP_INVALID, "line 2: a is given twice");
    refuse("[t]\na = 1\n[u]\n[t]", DP_INVALID, "line 4: [t] is given twice");
    refuse("t.a = 1\n[t]\na = 2", DP_INVALID, "line 3: t.a is given twice");
    refuse("a = \"\xff\"", DP_INVALID, "not UTF-8");
    refuse("a = 1 # \x01", DP_INVALID, "control character");
    refuse("a = 1\r\rb = 2", DP_INVALID, "control character");
    refuse("a = 1\n refused = 2\nb = x", DP_DENIED, "refused at 2");
}

static void test_config_toml_bounds_keys(void **state)
{
    (void)state;
    char text[2 * TOML_KEY_MAX_BYTES + 32];
    memset(text, 'k', sizeof text);
    memcpy(text + TOML_KEY_MAX_BYTES + 4, " = 1", 5);
    refuse(text, DP_TOO_LARGE, "too long");
    static const char rest[] = "]\nkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk = 1";
    text[0] = '[';
    memcpy(text + TOML_KEY_MAX_BYTES - 20, rest, sizeof rest);
    struct seen seen;
    struct dp_error error = {0};
    assert_int_equal(read_span(span_of("a = \"\0\"", 7), &seen, &error), DP_INVALID);
}

static void test_config_toml_survives_failed_allocations(void **state)
{
    (void)state;
    struct span text = span_str("[a]\nb = \"x\"\nc = 'y'\nd = 12\ne = true\n");
    for (size_t n = 1;; n++) {
        struct seen seen;
        struct dp_error error = {0};
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = read_span(text, &seen, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(test_alloc_live(), before);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_toml_reads_values),
        cmocka_unit_test(test_config_toml_refuses_with_the_line),
        cmocka_unit_test(test_config_toml_bounds_keys),
        cmocka_unit_test(test_config_toml_survives_failed_allocations),
    };
    return test_run(tests);
}
