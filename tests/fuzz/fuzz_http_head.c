/* fuzz_http_head.c: any bytes as the head of an answer and as header values. Parsed values lie within bounds. */
#include <stdlib.h>

#include "store/http/fetch.h"
#include "store/http/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct span whole, struct span part)
{
    if (part.len && (part.data < whole.data || part.data + part.len > whole.data + whole.len))
        abort();
}

static void check_values(struct span value)
{
    struct http_content_range range;
    struct store_version version;
    uint64_t seconds;
    int64_t date;
    if (http_content_range_parse(value, &range)) {
        if (!range.has_range && !range.has_size)
            abort();
        if (range.has_range && (range.last < range.first || (range.has_size && range.last >= range.size)))
            abort();
    } else if (range.has_range || range.has_size) {
        abort();
    }
    http_retry_after_parse(value, 784111777, &seconds);
    http_date_parse(value, 784111777, &date);
    http_etag_is_strong(value);
    if (http_version_of(value, value, true, UINT64_MAX, &version)) {
        if (version.len == 0 || version.len > STORE_VERSION_MAX)
            abort();
        struct span etag = http_version_etag(&version);
        if (etag.len && !span_equal(etag, value))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"etag",          "content-range",  "retry-after",
                                        "last-modified", "content-length", "date"};
    struct span head = span_of(data, size);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct span value = http_head_find(head, names[i]);
        check_inside(head, value);
        check_values(value);
    }
    check_values(head);
    return 0;
}
