/* test_route_docs.c: the table of rights in docs/http-api.md is up to date with the table of routes.
 *
 * With an argument the program prints the page instead. scripts/gen-route-docs uses that.
 */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "os/file.h"
#include "server/routes.h"

static const char BEGIN[] = "<!-- scripts/gen-route-docs makes this table -->\n",
                  END[] = "<!-- end of the table -->\n";

static const char *right_words(const struct route *route)
{
    switch (route->right) {
    case RIGHT_OF_ANYONE: return "no key";
    case RIGHT_OF_WATCHER: return "no key, or any with `--protect-metrics`";
    case RIGHT_OF_KEY: return "any key";
    case RIGHT_TO_EMBED: return "`embed`";
    case RIGHT_TO_READ: return "`read`";
    case RIGHT_TO_WRITE: return "`write`";
    case RIGHT_TO_ADMIN: return "`admin`";
    case RIGHT_FORGOTTEN: break;
    }
    return "?";
}

static const char *scope_words(const struct route *route)
{
    switch (route->scope) {
    case SCOPE_NOTHING: return "";
    case SCOPE_PATH: return "the name in the path";
    case SCOPE_PATH_AND_BODY: return "the names in the path and in the body";
    case SCOPE_LIST: return "`?prefix=`";
    case SCOPE_EVERYTHING: return "none: only keys without prefixes";
    case SCOPE_FORGOTTEN: break;
    }
    return "?";
}

static void print_table(FILE *out)
{
    fputs(
        "| route | right that a key needs | name that a key's prefixes must allow | counts |\n|---|---|---|---|\n",
        out);
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        fprintf(out, "| `%s %s` | %s | %s | %s |\n", ROUTES[i].method, ROUTES[i].pattern, right_words(&ROUTES[i]),
                scope_words(&ROUTES[i]), ROUTES[i].price == PRICE_TEXTS ? "each text that is embedded" : "");
}

/* Returns the page as it is, or with a new table. The caller frees it. */
static char *page(bool made)
{
    const char *source = getenv("DIPPER_SOURCE");
    char path[4096], *text = NULL;
    size_t len = 0;
    struct buffer file;
    struct dp_error error = {0};
    snprintf(path, sizeof path, "%s/docs/http-api.md", source ? source : ".");
    buffer_init(&file, 1 << 20);
    if (os_read_file(path, &file, &error) != DP_OK) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    buffer_u8(&file, 0);
    const char *before = (const char *)file.data, *begin = strstr(before, BEGIN), *end = strstr(before, END);
    FILE *out = open_memstream(&text, &len);
    if (!out || !begin || !end || end < begin)
        abort();
    if (made) {
        fwrite(before, 1, (size_t)(begin - before) + sizeof BEGIN - 1, out);
        print_table(out);
        fputs(end, out);
    } else {
        fputs(before, out);
    }
    fclose(out);
    buffer_deinit(&file);
    return text;
}

static void test_route_docs_are_current(void **state)
{
    (void)state;
    char *made = page(true), *is = page(false);
    if (strcmp(made, is) != 0)
        fail_msg("docs/http-api.md differs from the table of routes: run scripts/gen-route-docs");
    free(made);
    free(is);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_route_docs_are_current)};
    if (argc == 2 && strcmp(argv[1], "page") == 0) {
        char *text = page(true);
        fputs(text, stdout);
        free(text);
        return 0;
    }
    return test_run(tests);
}
