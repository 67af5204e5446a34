/* fuzz_azure.c: any bytes as a root, a connection string, a listing or an error of Azure's blob service. The result is an
 * error or values within bounds, never a crash. The first byte chooses the parser. */
#include <stdlib.h>

#include "store/azure/answers.h"
#include "store/azure/connection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_status(enum dp_status status, const struct dp_error *error)
{
    if (status != DP_OK && error->message[0] == '\0')
        abort();
}

/* The settings take texts that end with a NUL. */
static void check_connection(struct span text, struct arena *arena)
{
    struct azure_root root = {.container = span_str("container")};
    struct azure_connection c = {0};
    struct dp_error error = {0};
    const char *copy = (const char *)arena_copy(arena, text).data;
    const struct azure_settings settings = {.connection_string = copy};
    enum dp_status status = azure_connection_find(&settings, &root, arena, &c, &error);
    check_status(status, &error);
    if (status == DP_OK && (!c.account.len || !c.endpoint.len || memchr(c.endpoint.data, '@', c.endpoint.len)))
        abort();
    if (status == DP_OK && c.credential == AZURE_SHARED_KEY && !c.key.len)
        abort();
}

static void check_root(struct span text, struct arena *arena)
{
    struct azure_root root;
    struct azure_connection c;
    struct dp_error error = {0};
    const struct azure_settings settings = {.account = "account", .account_key = "aHVzaA=="};
    enum dp_status status = azure_root_parse("az", text, &root, &error);
    check_status(status, &error);
    if (status != DP_OK)
        return;
    if (!root.container.len || (root.prefix.len && root.prefix.data[root.prefix.len - 1] == '/'))
        abort();
    status = azure_connection_find(&settings, &root, arena, &c, &error);
    check_status(status, &error);
    /* A key goes to no other account. */
    if (status == DP_OK && c.credential == AZURE_SHARED_KEY && !span_equal_str(c.account, "account"))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct dp_error error = {0};
    struct azure_error said;
    struct bucket_page page = {0};
    if (size == 0)
        return 0;
    struct span text = span_of(data + 1, size - 1);
    arena_init(&arena, 16 << 20);
    switch (data[0] % 4) {
    case 0: check_connection(text, &arena); break;
    case 1: check_root(text, &arena); break;
    case 2: {
        enum dp_status status = azure_parse_page(text, &arena, &page, &error);
        check_status(status, &error);
        for (size_t i = 0; i < page.count && status == DP_OK; i++)
            if (page.entries[i].key.len > text.len ||
                (i && span_compare(page.entries[i - 1].key, page.entries[i].key) > 0))
                abort();
        break;
    }
    default:
        if (azure_error_parse(text, &arena, &said) && said.code.len == 0)
            abort();
        break;
    }
    arena_deinit(&arena);
    return 0;
}
