/* gcs/answers.c: listings, object resources and errors in JSON (see gcs/answers.h). */
#include "store/gcs/answers.h"

#include "base/json.h"
#include "base/utf8.h"
#include "store/gcs/gcs.h"

enum { SHOWN_MAX = 240 }; /* maximum bytes of the store's own words in messages */

/* The fields that we read of an object. Numbers of 64 bits are strings. */
struct object_fields {
    struct span name, size, generation;
};

static void read_object(struct json_reader *r, struct arena *arena, struct object_fields *out)
{
    struct span key;
    *out = (struct object_fields){0};
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        struct span *to = span_equal_str(key, "name")         ? &out->name
                          : span_equal_str(key, "size")       ? &out->size
                          : span_equal_str(key, "generation") ? &out->generation
                                                              : NULL;
        if (to)
            json_read_string(r, arena, to);
        else
            json_skip(r);
    }
}

static bool parse_size(struct span digits, uint64_t *out)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9' || sum > (UINT64_MAX - 9) / 10)
            return false;
        sum = sum * 10 + (digits.data[i] - '0');
    }
    *out = sum;
    return digits.len > 0;
}

/* ---- listings --------------------------------------------------------------------------------------- */

static enum dp_status read_items(struct json_reader *r, struct arena *arena, struct bucket_page *page,
                                 struct dp_error *error)
{
    enum dp_status status = DP_OK;
    json_enter_array(r);
    while (status == DP_OK && json_next_item(r)) {
        struct object_fields o;
        struct store_entry entry = {0};
        read_object(r, arena, &o);
        if (json_failed(r))
            break;
        if (!o.name.len || !parse_size(o.size, &entry.size))
            return dp_fail(error, DP_IO, "the listing has an object without a name or a size");
        entry.key = o.name;
        status = bucket_page_append(arena, page, &entry, error);
    }
    return status;
}

static enum dp_status read_prefixes(struct json_reader *r, struct arena *arena, struct bucket_page *page,
                                    struct dp_error *error)
{
    enum dp_status status = DP_OK;
    json_enter_array(r);
    while (status == DP_OK && json_next_item(r)) {
        struct store_entry entry = {.is_prefix = true};
        if (!json_read_string(r, arena, &entry.key))
            break;
        if (!entry.key.len || entry.key.data[entry.key.len - 1] != '/')
            return dp_fail(error, DP_IO, "the listing has a prefix that does not end in '/'");
        status = bucket_page_append(arena, page, &entry, error);
    }
    return status;
}

/* Fails with the reader's error: the answer is not the JSON that it should be. */
static enum dp_status json_fail(const struct json_reader *r, struct dp_error *error)
{
    enum dp_status status = json_error(r, error);
    if (status == DP_NOMEM)
        return status;
    dp_error_prefix(error, "the store's answer is malformed");
    return dp_restatus(error, DP_IO);
}

enum dp_status gcs_parse_page(struct span body, struct arena *arena, struct bucket_page *page,
                              struct dp_error *error)
{
    struct json_reader r;
    struct span key;
    enum dp_status status = DP_OK;
    json_reader_init(&r, body);
    json_enter_object(&r);
    while (status == DP_OK && json_next_key(&r, arena, &key)) {
        if (span_equal_str(key, "items"))
            status = read_items(&r, arena, page, error);
        else if (span_equal_str(key, "prefixes"))
            status = read_prefixes(&r, arena, page, error);
        else if (span_equal_str(key, "nextPageToken"))
            json_read_string(&r, arena, &page->next);
        else
            json_skip(&r);
    }
    if (status != DP_OK)
        return status;
    json_end(&r);
    if (json_failed(&r))
        return json_fail(&r, error);
    page->truncated = page->next.len > 0;
    bucket_page_sort(page);
    return DP_OK;
}

/* ---- objects ---------------------------------------------------------------------------------------- */

enum dp_status gcs_parse_object(struct span body, struct arena *arena, struct store_version *version,
                                uint64_t *size, struct dp_error *error)
{
    struct json_reader r;
    struct object_fields o;
    *version = (struct store_version){0};
    json_reader_init(&r, body);
    read_object(&r, arena, &o);
    json_end(&r);
    if (json_failed(&r))
        return json_fail(&r, error);
    if (!parse_size(o.size, size) || !gcs_version(o.generation, version))
        return dp_fail(error, DP_IO, "the answer has no size or no generation");
    return DP_OK;
}

/* ---- errors ----------------------------------------------------------------------------------------- */

/* Reads the reason of the first error of the list. */
static void read_reasons(struct json_reader *r, struct arena *arena, struct gcs_error *out)
{
    struct span key;
    json_enter_array(r);
    while (json_next_item(r)) {
        json_enter_object(r);
        while (json_next_key(r, arena, &key))
            if (span_equal_str(key, "reason") && !out->reason.len && json_peek(r) == JSON_STRING)
                json_read_string(r, arena, &out->reason);
            else
                json_skip(r);
    }
}

static void read_error(struct json_reader *r, struct arena *arena, struct gcs_error *out)
{
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, arena, &key))
        if (span_equal_str(key, "message") && json_peek(r) == JSON_STRING)
            json_read_string(r, arena, &out->message);
        else if (span_equal_str(key, "errors") && json_peek(r) == JSON_ARRAY)
            read_reasons(r, arena, out);
        else
            json_skip(r);
}

void gcs_error_parse(struct span body, struct arena *arena, struct gcs_error *out)
{
    struct json_reader r;
    struct span key;
    *out = (struct gcs_error){0};
    json_reader_init(&r, body);
    if (json_peek(&r) == JSON_OBJECT) {
        json_enter_object(&r);
        while (json_next_key(&r, arena, &key))
            if (span_equal_str(key, "error") && json_peek(&r) == JSON_OBJECT)
                read_error(&r, arena, out);
            else
                json_skip(&r);
        json_end(&r);
        if (json_failed(&r))
            *out = (struct gcs_error){0};
    } else if (body.len && body.data[0] != '<') {
        out->message = body;
    }
    out->reason = utf8_shown(out->reason, SHOWN_MAX);
    out->message = utf8_shown(out->message, SHOWN_MAX);
}
