/* test_json.c: the JSON reader and writer. */
#include "test_support.h"

#include "base/json.h"

static void test_base_json_walks_an_object(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct json_reader r;
    struct span key, text = {0};
    int64_t count = 0;
    double sum = 0;
    json_reader_init(&r, span_str(" {\"text\": \"a\\u00e9\\ud83d\\ude00\", \"skip\": [1, {\"x\": [true, null]}],"
                                  " \"count\": -12, \"v\": [1, 0.5, 1e2]} "));
    assert_true(json_enter_object(&r));
    while (json_next_key(&r, &arena, &key)) {
        if (span_equal_str(key, "text")) {
            json_read_string(&r, &arena, &text);
        } else if (span_equal_str(key, "count")) {
            json_read_i64(&r, &count);
        } else if (span_equal_str(key, "v")) {
            json_enter_array(&r);
            double v;
            while (json_next_item(&r) && json_read_double(&r, &v))
                sum += v;
        } else {
            json_skip(&r);
        }
    }
    assert_true(json_end(&r));
    assert_false(json_failed(&r));
    assert_true(span_equal_str(text, "a\u00e9\U0001F600"));
    assert_int_equal(count, -12);
    assert_true(sum == 101.5);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_json_walks_an_object),
    };
    return test_run(tests);
}
