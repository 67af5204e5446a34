/* s3/answers.c: parses the answers of S3 in XML: pages of a listing, uploads begun and completed. */
#include "store/s3/answers.h"

#include "base/url.h"
#include "base/xml.h"

/* Undoes encoding-type=url: %XX, and '+' for a space. */
static enum dp_status unescape_name(struct arena *arena, struct span *text, struct dp_error *error)
{
    uint8_t *out = arena_alloc(arena, text->len + 1);
    size_t len;
    if (!out)
        return dp_fail_nomem(error, "a listing");
    if (!percent_decode(*text, true, out, &len))
        return dp_fail(error, DP_IO,
                       "a name in the store's listing is not percent-encoded, although the listing says so");
    *text = span_of(out, len);
    return DP_OK;
}

/* Reads the element <Contents> or <CommonPrefixes>. */
static void read_entry(struct xml_reader *r, struct arena *arena, bool is_prefix, struct store_entry *entry)
{
    struct span name;
    *entry = (struct store_entry){.is_prefix = is_prefix};
    while (xml_next_child(r, &name)) {
        if (span_equal_str(name, is_prefix ? "Prefix" : "Key"))
            xml_read_text(r, arena, &entry->key);
        else if (!is_prefix && span_equal_str(name, "Size"))
            xml_read_u64(r, arena, &entry->size);
        else
            xml_skip(r);
    }
}

enum dp_status s3_parse_page(struct span body, struct arena *arena, struct bucket_page *out,
                             struct dp_error *error)
{
    struct xml_reader r;
    struct span name, text;
    bool escaped = false;
    enum dp_status status = DP_OK;
    xml_reader_init(&r, body);
    if (xml_enter(&r, &name) && !span_equal_str(name, "ListBucketResult"))
        return dp_fail(error, DP_IO, "the store answers a listing with <%.*s>", SPAN_FMT(name));
    while (status == DP_OK && xml_next_child(&r, &name)) {
        if (span_equal_str(name, "Contents") || span_equal_str(name, "CommonPrefixes")) {
            struct store_entry entry;
            read_entry(&r, arena, span_equal_str(name, "CommonPrefixes"), &entry);
            status = bucket_page_append(arena, out, &entry, error);
        } else if (span_equal_str(name, "IsTruncated")) {
            xml_read_text(&r, arena, &text);
            out->truncated = span_equal_str(text, "true");
        } else if (span_equal_str(name, "NextContinuationToken")) {
            xml_read_text(&r, arena, &out->next);
        } else if (span_equal_str(name, "EncodingType")) {
            xml_read_text(&r, arena, &text);
            escaped = span_equal_str(text, "url");
        } else {
            xml_skip(&r);
        }
    }
    if (status == DP_OK && xml_failed(&r))
        status = xml_error(&r, error);
    for (size_t i = 0; i < out->count && status == DP_OK && escaped; i++)
        status = unescape_name(arena, &out->entries[i].key, error);
    if (status == DP_OK)
        bucket_page_sort(out);
    if (status == DP_OK && out->truncated && out->next.len == 0)
        status = dp_fail(error, DP_IO, "the store's listing is truncated, but has no token for the next page");
    return status;
}

/* Reads the text of the first element `wanted` inside the element `root`. */
static enum dp_status parse_element(struct span body, const char *root, const char *wanted, struct arena *arena,
                                    struct span *out, struct dp_error *error)
{
    struct xml_reader r;
    struct span name;
    *out = (struct span){0};
    xml_reader_init(&r, body);
    if (xml_enter(&r, &name) && !span_equal_str(name, root))
        return dp_fail(error, DP_IO, "the store answers with <%.*s>, not <%s>", SPAN_FMT(name), root);
    while (xml_next_child(&r, &name)) {
        if (out->len == 0 && span_equal_str(name, wanted))
            xml_read_text(&r, arena, out);
        else
            xml_skip(&r);
    }
    if (xml_failed(&r))
        return xml_error(&r, error);
    if (out->len == 0)
        return dp_fail(error, DP_IO, "the store's <%s> has no <%s>", root, wanted);
    return DP_OK;
}

enum dp_status s3_parse_upload_id(struct span body, struct arena *arena, struct span *id, struct dp_error *error)
{
    return parse_element(body, "InitiateMultipartUploadResult", "UploadId", arena, id, error);
}

enum dp_status s3_parse_completed(struct span body, struct arena *arena, struct span *etag, struct dp_error *error)
{
    return parse_element(body, "CompleteMultipartUploadResult", "ETag", arena, etag, error);
}
