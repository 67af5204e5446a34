/* test_config_docs.c: docs/configuration.md and .env.example are up to date with the table of settings.
 *
 * With the argument `reference` or `env` the program prints that file instead. scripts/gen-config-docs uses that.
 */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "os/file.h"

static void expect_file(const char *name, void (*print)(FILE *))
{
    char *text = NULL, path[4096];
    size_t len = 0;
    const char *source = getenv("DIPPER_SOURCE");
    assert_non_null(source);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    print(out);
    fclose(out);
    snprintf(path, sizeof path, "%s/%s", source, name);
    struct buffer file;
    struct dp_error error = {0};
    buffer_init(&file, 1 << 20);
    if (os_read_file(path, &file, &error) != DP_OK)
        fail_msg("%s", error.message);
    bool current = span_equal(buffer_span(&file), span_of(text, len));
    buffer_deinit(&file);
    free(text);
    if (!current)
        fail_msg("%s differs from the table of settings: run scripts/gen-config-docs", name);
}

static void test_config_reference_is_current(void **state)
{
    (void)state;
    expect_file("docs/configuration.md", config_print_reference);
}

static void test_config_env_example_is_current(void **state)
{
    (void)state;
    expect_file(".env.example", config_print_env_example);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_reference_is_current),
        cmocka_unit_test(test_config_env_example_is_current),
    };
    if (argc == 2 && strcmp(argv[1], "reference") == 0) {
        config_print_reference(stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "env") == 0) {
        config_print_env_example(stdout);
        return 0;
    }
    return test_run(tests);
}
