/* test_named_list.c: lists of values with names, as --model takes them. */
#include "test_support.h"

#include <stdio.h>

#include "config/named_list.h"

/* Writes the pieces of a list as "name:value;…". */
static const char *pieces(const char *list)
{
    static char text[256];
    struct span rest = span_str(list);
    struct named_value piece;
    size_t len = 0;
    text[0] = '\0';
    while (named_list_next(&rest, &piece))
        len += (size_t)snprintf(text + len, sizeof text - len, "%.*s:%.*s;", SPAN_FMT(piece.name),
                                SPAN_FMT(piece.value));
    return text;
}

static void test_named_list_takes_a_path_alone(void **state)
{
    (void)state;
    assert_string_equal(pieces(""), "");
    assert_string_equal(pieces("/models/mini"), ":/models/mini;");
    assert_string_equal(pieces("/models/a,b"), ":/models/a,b;");
    assert_string_equal(pieces("./a=b"), ":./a=b;");
    assert_false(named_list_has_name(span_str("./a=b")));
}

static void test_named_list_takes_names(void **state)
{
    (void)state;
    assert_string_equal(pieces("mini="), "mini:;");
    assert_string_equal(pieces("mini=,org/large=/m/x"), "mini:;org/large:/m/x;");
    assert_string_equal(pieces("a=/x,y,b=z"), "a:/x,y;b:z;"); /* a path may have a comma */
    assert_string_equal(pieces("a=/x=y"), "a:/x=y;");
    assert_string_equal(pieces("/m,b=/n"), ":/m;b:/n;"); /* a default without a name, and another model */
    assert_true(named_list_has_name(span_str("a=")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named_list_takes_a_path_alone),
        cmocka_unit_test(test_named_list_takes_names),
    };
    return test_run(tests);
}
