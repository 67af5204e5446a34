/* fuzz_api_faiss.c: any bytes as the body of a search of an index. Behind a '+', they are the body of a request
 * to open one. Behind a '=', they are rules for URLs, a line end, and a URL. */
#include "api_fuzz.h"

#include <assert.h>

#include "service/url_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match(struct span text)
{
    const uint8_t *line = text.len ? memchr(text.data, '\n', text.len) : NULL;
    struct span rules = span_of(text.data, line ? (size_t)(line - text.data) : text.len);
    struct span url = line ? span_of(line + 1, text.len - rules.len - 1) : span_of(NULL, 0);
    struct url_rules *made;
    struct dp_error error;
    struct arena arena;
    struct url_permit permit;
    if (url_rules_new(rules, &made, &error) != DP_OK)
        return;
    arena_init(&arena, 1 << 20);
    enum dp_status status = url_rules_check(made, url, &arena, &permit, &error);
    assert(status != DP_OK || url_rules_count(made) > 0);
    /* An allowed URL never climbs to a parent folder, however it is spelled. */
    for (size_t i = 0; status == DP_OK && i + 3 < url.len && url.data[i] != '?'; i++)
        assert(memcmp(url.data + i, "/../", 4) != 0 && url.data[i] != '\\' && url.data[i] != '#');
    arena_deinit(&arena);
    url_rules_free(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span rest = span_of(data + (size > 0), size - (size > 0));
    if (size > 0 && data[0] == '=')
        match(rest);
    else if (size > 0 && data[0] == '+')
        fuzz_ask(faiss_open, NULL, span_of(NULL, 0), rest); /* without rules, the service opens no URL */
    else
        fuzz_ask(faiss_search_index, "none", span_of(NULL, 0), span_of(data, size));
    return 0;
}
