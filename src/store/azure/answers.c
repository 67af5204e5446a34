/* azure/answers.c: parses the answers of Azure's blob service (see answers.h). */
#include "store/azure/answers.h"

#include "base/url.h"
#include "base/utf8.h"
#include "base/xml.h"

enum { WORDS_MAX = 512 }; /* maximum bytes of a text that messages may quote a part of */

/* Reads a <Name>. A name that XML cannot hold is percent-encoded, and has the attribute Encoded="true". */
static enum dp_status read_name_of(struct xml_reader *r, struct arena *arena, struct span *out,
                                   struct dp_error *error)
{
    bool encoded = xml_has_attribute(r, "Encoded", "true");
    if (!xml_read_text(r, arena, out) || !encoded)
        return DP_OK;
    uint8_t *plain = arena_alloc(arena, out->len + 1);
    size_t len;
    if (!plain)
        return dp_fail_nomem(error, "a listing");
    if (!percent_decode(*out, false, plain, &len))
        return dp_fail(error, DP_IO, "a name in the store's listing is not percent-encoded, although it says so");
    *out = span_of(plain, len);
    return DP_OK;
}

/* Reads the <Properties> of a blob. */
static void read_properties(struct xml_reader *r, struct arena *arena, struct store_entry *entry, bool *is_folder)
{
    struct span name, text;
    while (xml_next_child(r, &name)) {
        if (span_equal_str(name, "Content-Length")) {
            xml_read_u64(r, arena, &entry->size);
        } else if (span_equal_str(name, "ResourceType")) {
            xml_read_text(r, arena, &text);
            *is_folder = span_equal_str(text, "directory");
        } else {
            xml_skip(r);
        }
    }
}

/* Reads a <Blob> or a <BlobPrefix>, and appends it to the page. */
static enum dp_status read_blob(struct xml_reader *r, struct arena *arena, bool is_prefix,
                                struct bucket_page *page, struct dp_error *error)
{
    struct store_entry entry = {.is_prefix = is_prefix};
    struct span name;
    bool is_folder = false;
    enum dp_status status = DP_OK;
    while (status == DP_OK && xml_next_child(r, &name)) {
        if (span_equal_str(name, "Name"))
            status = read_name_of(r, arena, &entry.key, error);
        else if (!is_prefix && span_equal_str(name, "Properties"))
            read_properties(r, arena, &entry, &is_folder);
        else
            xml_skip(r);
    }
    return status == DP_OK && !is_folder && !xml_failed(r) ? bucket_page_append(arena, page, &entry, error)
                                                           : status;
}

enum dp_status azure_parse_page(struct span body, struct arena *arena, struct bucket_page *out,
                                struct dp_error *error)
{
    struct xml_reader r;
    struct span name;
    enum dp_status status = DP_OK;
    xml_reader_init(&r, body);
    if (xml_enter(&r, &name) && !span_equal_str(name, "EnumerationResults"))
        return dp_fail(error, DP_IO, "the store answers a listing with <%.*s>",
                       SPAN_FMT(utf8_shown(name, XML_NAME_MAX_BYTES)));
    while (status == DP_OK && xml_next_child(&r, &name)) {
        if (span_equal_str(name, "Blobs")) {
            while (status == DP_OK && xml_next_child(&r, &name)) {
                bool is_prefix = span_equal_str(name, "BlobPrefix");
                if (is_prefix || span_equal_str(name, "Blob"))
                    status = read_blob(&r, arena, is_prefix, out, error);
                else
                    xml_skip(&r);
            }
        } else if (span_equal_str(name, "NextMarker")) {
            xml_read_text(&r, arena, &out->next);
        } else {
            xml_skip(&r);
        }
    }
    if (status == DP_OK && xml_failed(&r))
        status = xml_error(&r, error);
    if (status != DP_OK)
        return status;
    out->truncated = out->next.len > 0;
    bucket_page_sort(out);
    return DP_OK;
}

bool azure_error_parse(struct span body, struct arena *arena, struct azure_error *out)
{
    struct xml_reader r;
    struct span name;
    *out = (struct azure_error){0};
    xml_reader_init(&r, body);
    if (!xml_enter(&r, &name) || !span_equal_str(name, "Error"))
        return false;
    while (xml_next_child(&r, &name)) {
        struct span *to = span_equal_str(name, "Code")                        ? &out->code
                          : span_equal_str(name, "Message")                   ? &out->message
                          : span_equal_str(name, "AuthenticationErrorDetail") ? &out->detail
                                                                              : NULL;
        if (!to)
            xml_skip(&r);
        else if (xml_read_text(&r, arena, to))
            *to = utf8_shown(*to, WORDS_MAX);
    }
    return !xml_failed(&r) && out->code.len;
}
