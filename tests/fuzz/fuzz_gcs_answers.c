/* fuzz_gcs_answers.c: any bytes as an answer of Google Cloud Storage, or as a file of Google's credentials. The result is
 * an error or values within bounds, never a crash. The first byte chooses the parser. */
#include <stdlib.h>

#include "store/gcs/answers.h"
#include "store/gcs/credentials_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_page(struct span body, struct arena *arena, struct dp_error *error)
{
    struct bucket_page page = {0};
    enum dp_status status = gcs_parse_page(body, arena, &page, error);
    for (size_t i = 0; i < page.count && status == DP_OK; i++)
        if (!page.entries[i].key.len || page.entries[i].key.len > body.len ||
            (i && span_compare(page.entries[i - 1].key, page.entries[i].key) > 0))
            abort();
    if (status != DP_OK && error->message[0] == '\0')
        abort();
}

static void check_file(struct span body, struct arena *arena, struct dp_error *error)
{
    struct google_file file;
    enum dp_status status = google_file_parse("the file", body, arena, &file, error);
    if (status != DP_OK && error->message[0] == '\0')
        abort();
    if (status != DP_OK)
        return;
    if (!file.token_url.len || file.source_header_count > GOOGLE_HEADERS_MAX ||
        file.delegate_count > GOOGLE_DELEGATES_MAX)
        abort();
    if (file.kind == GOOGLE_IMPERSONATED)
        google_file_parse("the file", file.source_credentials, arena, &file, error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct dp_error error = {0};
    struct store_version version;
    struct gcs_error said;
    struct span text;
    uint64_t len;
    if (size == 0)
        return 0;
    struct span body = span_of(data + 1, size - 1);
    arena_init(&arena, 16 << 20);
    switch (data[0] % 5) {
    case 0: check_page(body, &arena, &error); break;
    case 1:
        if (gcs_parse_object(body, &arena, &version, &len, &error) == DP_OK && !version.len)
            abort();
        break;
    case 2:
        gcs_error_parse(body, &arena, &said);
        if (memchr(said.message.data ? said.message.data : data, '\n', said.message.len))
            abort();
        break;
    case 3: check_file(body, &arena, &error); break;
    default:
        if (google_field_parse("the text", body, span_str("token"), &arena, &text, &error) == DP_OK && !text.len)
            abort();
        break;
    }
    arena_deinit(&arena);
    return 0;
}
