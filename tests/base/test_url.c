/* test_url.c: splitting URLs, and percent-encoding. */
#include "test_support.h"

#include "base/hex.h"
#include "base/url.h"

/* `expected` is "-" if the part is absent, and "" if it is present but empty. */
static void assert_part(const char *url, const char *what, struct span part, const char *expected)
{
    bool absent = strcmp(expected, "-") == 0;
    if (absent ? part.data != NULL : !part.data || !span_equal_str(part, expected))
        fail_msg("%s: the %s is \"%.*s\", not %s", url, what, SPAN_FMT(part), expected);
}

static void test_base_url_split(void **state)
{
    (void)state;
    static const struct {
        const char *url, *scheme, *userinfo, *host, *port, *path, *query, *fragment;
    } cases[] = {
        {"http://host", "http", "-", "host", "-", "", "-", "-"},
        {"http://host/", "http", "-", "host", "-", "/", "-", "-"},
        {"https://u:p@host:8443/a/b?c=d&e#f?g", "https", "u:p", "host", "8443", "/a/b", "c=d&e", "f?g"},
        {"http://host?", "http", "-", "host", "-", "", "", "-"},
        {"http://host#?x", "http", "-", "host", "-", "", "-", "?x"},
        {"http://host/?#", "http", "-", "host", "-", "/", "", ""},
        {"http://host/a@b:1", "http", "-", "host", "-", "/a@b:1", "-", "-"},
        {"http://u@v@host", "http", "u@v", "host", "-", "", "-", "-"},
        {"http://@host:", "http", "", "host", "", "", "-", "-"},
        {"http://[::1]:9000/x", "http", "-", "[::1]", "9000", "/x", "-", "-"},
        {"http://[::1]", "http", "-", "[::1]", "-", "", "-", "-"},
        {"http://[::1]x:9", "http", "-", "[::1]x", "9", "", "-", "-"},
        {"http://[::1", "http", "-", "[", ":1", "", "-", "-"},
        {"http://a:b:80", "http", "-", "a", "b:80", "", "-", "-"},
        {"file:///x", "file", "-", "", "-", "/x", "-", "-"},
        {"a+b-c.9://", "a+b-c.9", "-", "", "-", "", "-", "-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct url url;
        assert_true(url_split(span_str(cases[i].url), &url));
        assert_part(cases[i].url, "scheme", url.scheme, cases[i].scheme);
        assert_part(cases[i].url, "userinfo", url.userinfo, cases[i].userinfo);
        assert_part(cases[i].url, "host", url.host, cases[i].host);
        assert_part(cases[i].url, "port", url.port, cases[i].port);
        assert_part(cases[i].url, "path", url.path, cases[i].path);
        assert_part(cases[i].url, "query", url.query, cases[i].query);
        assert_part(cases[i].url, "fragment", url.fragment, cases[i].fragment);
    }
}

static void test_base_url_split_wants_a_scheme(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "", "nothing", "/a/b", "http:/x", "http:", "://x", "1a://x", "-a://x", "a b://x"};
    struct url url;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (url_split(span_str(cases[i]), &url) || url.host.data || url.path.data)
            fail_msg("%s", cases[i]);
    assert_false(url_split(span_of(NULL, 0), &url));
}

static void test_base_url_port(void **state)
{
    (void)state;
    uint16_t port;
    assert_true(url_port(span_str("1"), &port));
    assert_int_equal(port, 1);
    assert_true(url_port(span_str("65535"), &port));
    assert_int_equal(port, 65535);
    static const char *const wrong[] = {"", "0", "65536", "99999", "131072", "655360", "-1", "+1", "8o", " 80"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (url_port(span_str(wrong[i]), &port))
            fail_msg("%s", wrong[i]);
}

static void test_base_url_host_header(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"http://host/x", "host"},
        {"http://host:80/x", "host"},
        {"https://host:80/x", "host:80"},
        {"https://host:443", "host"},
        {"http://u:p@host:8080?q", "host:8080"},
        {"http://u@v@host/x@y", "host"},
        {"http://[::1]:9000/x", "[::1]:9000"},
        {"http://[::1]:80/x", "[::1]"},
        {"http:///x", ""},
        {"http://:80/x", ""},
        {"ftp://host:443/x", "host:443"},
        {"nothing", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!span_equal_str(url_host_header(span_str(cases[i][0])), cases[i][1]))
            fail_msg("%s", cases[i][0]);
}

static void test_base_percent_decode(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool plus;
        const char *expected; /* NULL if decoding fails */
    } cases[] = {
        {"", false, ""},       {"a%2fb%2F", false, "a/b/"}, {"a+b", true, "a b"},
        {"a+b", false, "a+b"}, {"%25%32%35", true, "%25"},  {"%", false, NULL},
        {"%4", false, NULL},   {"a%4", false, NULL},        {"%4g", false, NULL},
        {"%g4", false, NULL},  {"%%41", false, NULL},       {"%+4", true, NULL},
    };
    uint8_t out[32];
    size_t len;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool good = percent_decode(span_str(cases[i].text), cases[i].plus, out, &len);
        if (good != (cases[i].expected != NULL) || (good && !span_equal_str(span_of(out, len), cases[i].expected)))
            fail_msg("%s", cases[i].text);
    }
    assert_int_equal(percent_decode_loosely(span_str("%41%4%zz%"), out), 7);
    assert_memory_equal(out, "A%4%zz%", 7);
}

static void test_base_percent_decoding_undoes_encoding(void **state)
{
    (void)state;
    uint8_t all[256], encoded[3 * sizeof all], decoded[3 * sizeof all];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    for (int keep_slash = 0; keep_slash < 2; keep_slash++) {
        size_t len, count = percent_encode(span_of(all, sizeof all), keep_slash, encoded);
        assert_int_equal(count, 3 * sizeof all - 2 * (66 + (size_t)keep_slash));
        assert_int_equal(memchr(encoded, '/', count) != NULL, keep_slash);
        assert_true(percent_decode(span_of(encoded, count), true, decoded, &len));
        assert_true(span_equal(span_of(decoded, len), span_of(all, sizeof all)));
    }
    struct buffer out;
    buffer_init(&out, 1000);
    percent_append(&out, span_str("a b/\xc3\xa9"), true);
    percent_append(&out, span_of(NULL, 0), true);
    percent_append(&out, span_str("/~"), false);
    assert_true(span_equal_str(span_of(out.data, out.len), "a%20b/%C3%A9%2F~"));
    buffer_deinit(&out);
}

static void test_base_hex(void **state)
{
    (void)state;
    char text[9];
    uint64_t value;
    hex_encode(span_of("\x00\x9f\xa0\xff", 4), text);
    assert_string_equal(text, "009fa0ff");
    assert_true(hex_read_u64(span_str(text), &value));
    assert_int_equal(value, 0x9fa0ff);
    assert_true(hex_read_u64(span_str("ffffffffffffffff"), &value));
    assert_int_equal(value, UINT64_MAX);
    static const char *const wrong[] = {"", "0x1", "A", "g", "00000000000000001", " 1", "1:"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (hex_read_u64(span_str(wrong[i]), &value))
            fail_msg("%s", wrong[i]);
    unsigned digits = 0;
    for (unsigned c = 0; c < 256; c++)
        digits += hex_digit((uint8_t)c) >= 0;
    assert_int_equal(digits, 22);
    assert_int_equal(hex_digit('F'), 15);
    assert_int_equal(hex_digit('a'), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_url_split),
        cmocka_unit_test(test_base_url_split_wants_a_scheme),
        cmocka_unit_test(test_base_url_port),
        cmocka_unit_test(test_base_url_host_header),
        cmocka_unit_test(test_base_percent_decode),
        cmocka_unit_test(test_base_percent_decoding_undoes_encoding),
        cmocka_unit_test(test_base_hex),
    };
    return test_run(tests);
}
