/* test_json_writer.c: the JSON writer, and that the JSON reader accepts its output. */
#include "test_support.h"

#include <math.h>

#include "base/json.h"

static void assert_text(const struct buffer *b, const char *expected)
{
    assert_int_equal(b->status, DP_OK);
    if (!span_equal_str(buffer_span(b), expected))
        fail_msg("wrote %.*s", SPAN_FMT(buffer_span(b)));
}

static void write_everything(struct json_writer *w)
{
    static const float floats[] = {0.5f, -1.0f, 1e-7f, NAN};
    json_begin_object(w);
    json_key(w, "a");
    json_begin_array(w);
    json_end_array(w);
    json_key_span(w, span_str("b\""));
    json_begin_object(w);
    json_key(w, "c");
    json_null(w);
    json_end_object(w);
    json_key(w, "d");
    json_begin_array(w);
    json_i64(w, INT64_MIN);
    json_u64(w, UINT64_MAX);
    json_i64(w, 0);
    json_bool(w, true);
    json_bool(w, false);
    json_string_str(w, "x");
    json_raw(w, span_str("[1]"));
    json_float(w, 0.1f);
    json_double(w, 0.1);
    json_floats(w, floats, 4);
    json_floats(w, NULL, 0);
    json_begin_object(w);
    json_end_object(w);
    json_end_array(w);
    json_end_object(w);
}

static const char EVERYTHING[] =
    "{\"a\":[],\"b\\\"\":{\"c\":null},\"d\":[-9223372036854775808,18446744073709551615,0,"
    "true,false,\"x\",[1],0.1,0.1,[0.5,-1,1e-7,null],[],{}]}";

static void test_base_json_writer_puts_commas_where_they_belong(void **state)
{
    (void)state;
    struct buffer b;
    struct json_writer w;
    buffer_init(&b, 10000);
    json_writer_init(&w, &b);
    write_everything(&w);
    assert_text(&b, EVERYTHING);
    buffer_deinit(&b);
}

static void test_base_json_writer_escapes_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        const char *written;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain text, long enough for words", 33, "\"plain text, long enough for words\""},
        {"\"\\/", 3, "\"\\\"\\\\/\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"a\xff"
         "b",
         3,
         "\"a\xef\xbf\xbd"
         "b\""},
        {"\xe2\x82", 2, "\"\xef\xbf\xbd\""},
        {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    struct buffer b;
    buffer_init(&b, 10000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_writer w;
        buffer_clear(&b);
        json_writer_init(&w, &b);
        json_string(&w, span_of(cases[i].text, cases[i].len));
        assert_text(&b, cases[i].written);
    }
    buffer_deinit(&b);
}

/* Any bytes, written as a string, can be read back. Valid UTF-8 comes back unchanged. */
static void test_base_json_writer_strings_read_back(void **state)
{
    (void)state;
    struct buffer b;
    struct arena arena;
    buffer_init(&b, 10000);
    arena_init(&arena, 1 << 20);
    uint64_t seed = 88172645463325252;
    for (int round = 0; round < 20000; round++) {
        uint8_t text[24];
        for (size_t i = 0; i < sizeof text; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[i] = (uint8_t)(round % 2 ? (seed >> 56) & 0x7f : seed >> 56);
        }
        struct json_writer w;
        struct json_reader r;
        struct span s;
        buffer_clear(&b);
        json_writer_init(&w, &b);
        json_string(&w, span_of(text, (size_t)round % sizeof text));
        json_reader_init(&r, buffer_span(&b));
        assert_true(json_read_string(&r, &arena, &s) && json_end(&r));
        if (round % 2)
            assert_true(span_equal(s, span_of(text, (size_t)round % sizeof text)));
        arena_reset(&arena);
    }
    buffer_deinit(&b);
    arena_deinit(&arena);
}

/* The writer writes the numbers of a vector in blocks. Near the buffer's maximum it writes one at a time, so that it
 * can fill the last byte. */
static void test_base_json_floats_fill_a_buffer_exactly(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    float v[COUNT];
    for (int i = 0; i < COUNT; i++)
        v[i] = (float)i * 0.25f;
    struct buffer whole, tight;
    struct json_writer w;
    buffer_init(&whole, 1 << 20);
    json_writer_init(&w, &whole);
    json_floats(&w, v, COUNT);
    assert_int_equal(whole.status, DP_OK);

    buffer_init(&tight, whole.len);
    json_writer_init(&w, &tight);
    json_floats(&w, v, COUNT);
    assert_int_equal(tight.status, DP_OK);
    assert_true(span_equal(buffer_span(&tight), buffer_span(&whole)));
    buffer_deinit(&tight);

    buffer_init(&tight, whole.len - 1);
    json_writer_init(&w, &tight);
    json_floats(&w, v, COUNT);
    assert_int_equal(tight.status, DP_TOO_LARGE);
    buffer_deinit(&tight);
    buffer_deinit(&whole);
}

static void test_base_json_writer_survives_failed_allocations(void **state)
{
    (void)state;
    size_t before = test_alloc_live();
    for (size_t n = 1;; n++) {
        struct buffer b;
        struct json_writer w;
        buffer_init(&b, 10000);
        json_writer_init(&w, &b);
        test_alloc_fail_at(n);
        for (int i = 0; i < 5; i++)
            write_everything(&w);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(buffer_check(&b, "x", NULL), fired ? DP_NOMEM : DP_OK);
        buffer_deinit(&b);
        assert_int_equal(test_alloc_live(), before);
        if (!fired)
            break;
    }
}

static void test_base_json_writer_fields(void **state)
{
    (void)state;
    struct buffer out;
    struct json_writer w;
    buffer_init(&out, 1000);
    json_writer_init(&w, &out);
    json_begin_object(&w);
    json_field_str(&w, "str", "a\"b");
    json_field_str(&w, "no", NULL);
    json_field_span(&w, "span", span_of("xyz", 2));
    json_field_i64(&w, "i64", INT64_MIN);
    json_field_u64(&w, "u64", UINT64_MAX);
    json_field_float(&w, "float", 0.1f);
    json_field_double(&w, "double", 0.1);
    json_field_bool(&w, "bool", true);
    json_field_null(&w, "null");
    json_field_raw(&w, "raw", span_str("[1]"));
    json_field_object(&w, "object");
    json_field_array(&w, "array");
    json_end_array(&w);
    json_end_object(&w);
    json_end_object(&w);
    assert_int_equal(out.status, DP_OK);
    assert_true(span_equal_str(
        buffer_span(&out), "{\"str\":\"a\\\"b\",\"no\":null,\"span\":\"xy\",\"i64\":-9223372036854775808,"
                           "\"u64\":18446744073709551615,\"float\":0.1,\"double\":0.1,\"bool\":true,\"null\":null,"
                           "\"raw\":[1],\"object\":{\"array\":[]}}"));
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_json_writer_puts_commas_where_they_belong),
        cmocka_unit_test(test_base_json_writer_escapes_strings),
        cmocka_unit_test(test_base_json_writer_strings_read_back),
        cmocka_unit_test(test_base_json_floats_fill_a_buffer_exactly),
        cmocka_unit_test(test_base_json_writer_survives_failed_allocations),
        cmocka_unit_test(test_base_json_writer_fields),
    };
    return test_run(tests);
}
