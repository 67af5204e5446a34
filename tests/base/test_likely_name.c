/* test_likely_name.c: which of the offered names a mistyped one means. */
#include "test_support.h"

#include <string.h>

#include "base/likely_name.h"

static const char *guess(const char *given, const char *const *names)
{
    struct likely_name likely = likely_name_of(span_str(given));
    for (; *names; names++)
        likely_name_offer(&likely, *names);
    return likely.name;
}

static void test_base_likely_name_is_near(void **state)
{
    static const char *const names[] = {"index", "search", "serve", "embed", "index-worker", "a", NULL};
    (void)state;
    assert_string_equal(guess("search", names), "search");
    assert_string_equal(guess("serch", names), "search");   /* a byte is missing */
    assert_string_equal(guess("seearch", names), "search"); /* one is too many */
    assert_string_equal(guess("saerch", names), "search");  /* two have changed places */
    assert_string_equal(guess("sevre", names), "serve");
    assert_string_equal(guess("indexworker", names), "index-worker");
    assert_string_equal(guess("indexx", names), "index");
    assert_string_equal(guess("b", names), "a");
}

static void test_base_likely_name_is_not_guessed(void **state)
{
    static const char *const names[] = {"index", "search", NULL};
    char longer[LIKELY_NAME_MAX + 2];
    (void)state;
    assert_null(guess("", names));
    assert_null(guess("sea", names));
    assert_null(guess("idxen", names));
    assert_null(guess("frobnicate", names));
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    const char *const same[] = {longer, NULL};
    assert_null(guess(longer, same));
    longer[sizeof longer - 2] = '\0';
    assert_ptr_equal(guess(longer, same), longer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_likely_name_is_near),
        cmocka_unit_test(test_base_likely_name_is_not_guessed),
    };
    return test_run(tests);
}
