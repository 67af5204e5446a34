/* test_map.c: the hash map. */
#include "test_support.h"

#include <stdio.h>

#include "base/map.h"

enum { KEYS = 5000 };

static char names[KEYS][8];

static struct span key_of(size_t i)
{
    return span_of(names[i], (size_t)snprintf(names[i], sizeof names[i], "k%zu", i));
}

static void test_base_map_finds_what_was_put(void **state)
{
    (void)state;
    struct map m;
    bool existing;
    uint64_t *value;
    map_init(&m, KEYS);
    assert_null(map_find(&m, span_str("k1")));
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(map_put(&m, key_of(i), i * 3, &value, &existing, NULL), DP_OK);
        assert_false(existing);
        assert_int_equal(*value, i * 3);
    }
    assert_int_equal(m.count, KEYS);
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(*map_find(&m, key_of(i)), i * 3);
    assert_null(map_find(&m, span_str("k5000")));
    assert_null(map_find(&m, span_str("")));
    map_deinit(&m);
    assert_null(map_find(&m, span_str("k1")));
}

static void test_base_map_put_keeps_the_first_value(void **state)
{
    (void)state;
    struct map m;
    bool existing;
    uint64_t *value;
    map_init(&m, 10);
    assert_int_equal(map_put(&m, span_of(NULL, 0), 1, NULL, NULL, NULL), DP_OK); /* the empty key is a key */
    assert_int_equal(map_put(&m, span_str(""), 2, &value, &existing, NULL), DP_OK);
    assert_true(existing);
    assert_int_equal(*value, 1);
    *value = 5;
    assert_int_equal(*map_find(&m, span_str("")), 5);
    assert_int_equal(m.count, 1);
    map_deinit(&m);
}

static void test_base_map_keeps_to_its_maximum(void **state)
{
    (void)state;
    struct map m;
    struct dp_error error;
    map_init(&m, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(map_put(&m, key_of(i), i, NULL, NULL, &error), DP_OK);
    assert_int_equal(map_put(&m, key_of(0), 9, NULL, NULL, &error), DP_OK);
    assert_int_equal(map_put(&m, key_of(3), 9, NULL, NULL, &error), DP_TOO_LARGE);
    assert_string_equal(error.message, "more than 3 different keys");
    map_deinit(&m);
}

static void test_base_map_survives_failed_allocations(void **state)
{
    (void)state;
    size_t before = test_alloc_live();
    for (size_t n = 1;; n++) {
        struct map m;
        struct dp_error error = {0};
        enum dp_status status = DP_OK;
        map_init(&m, KEYS);
        test_alloc_fail_at(n);
        size_t done = 0;
        while (done < 100 && status == DP_OK) {
            status = map_put(&m, key_of(done), done, NULL, NULL, &error);
            done += status == DP_OK;
        }
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        for (size_t i = 0; i < done; i++) /* earlier entries are still there */
            assert_int_equal(*map_find(&m, key_of(i)), i);
        map_deinit(&m);
        assert_int_equal(test_alloc_live(), before);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
    }
}

static void test_base_map_with_reserved_room_cannot_fail(void **state)
{
    (void)state;
    struct map m;
    struct dp_error error;
    map_init(&m, KEYS);
    assert_int_equal(map_put(&m, key_of(0), 0, NULL, NULL, NULL), DP_OK);
    assert_int_equal(map_reserve(&m, KEYS - 1, &error), DP_OK);
    test_alloc_fail_at(1);
    for (size_t i = 1; i < KEYS; i++)
        assert_int_equal(map_put(&m, key_of(i), i, NULL, NULL, NULL), DP_OK);
    test_alloc_fail_at(0);
    assert_int_equal(map_reserve(&m, 1, &error), DP_TOO_LARGE);
    assert_int_equal(*map_find(&m, key_of(KEYS - 1)), KEYS - 1);
    map_deinit(&m);
    map_init(&m, KEYS);
    test_alloc_fail_at(1);
    assert_int_equal(map_reserve(&m, 1, &error), DP_NOMEM);
    test_alloc_fail_at(0);
    map_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_map_finds_what_was_put),
        cmocka_unit_test(test_base_map_put_keeps_the_first_value),
        cmocka_unit_test(test_base_map_keeps_to_its_maximum),
        cmocka_unit_test(test_base_map_survives_failed_allocations),
        cmocka_unit_test(test_base_map_with_reserved_room_cannot_fail),
    };
    return test_run(tests);
}
