/* s3/list.c: lists objects with ListObjectsV2.
 *
 * MinIO (still in 2026) loses names when a listing starts behind a given name: it counts names of neighbouring
 * folders, "a-b/" for "a/", towards the page although they lie before the start. A listing that starts at the
 * beginning and continues by tokens is complete. So s3_list reads a listing from MinIO from the beginning and
 * skips the names before the start.
 *
 * The listing leaves out names that cannot be keys ("a//b", markers "a/") and names below ".dipper". It asks for
 * percent-encoded names, because XML cannot hold all characters. A listing ends with an error when it makes no
 * progress: when a page names itself as the next one, or begins before the end of the previous page.
 */
#include "base/utf8.h"
#include "store/listing.h"
#include "store/s3/answers.h"
#include "store/s3/s3.h"

enum { PAGE_MAX = 1000 };

/* Returns the longest beginning of `text` that is valid UTF-8: stores refuse other text. */
static struct span utf8_part(struct span text)
{
    while (text.len && !utf8_valid(text))
        text.len--;
    return text;
}

/* Returns whether a key can begin with `prefix`: each whole part of it must be allowed in keys. */
static bool can_begin_a_key(struct span prefix)
{
    struct dp_error error;
    while (prefix.len && prefix.data[prefix.len - 1] != '/')
        prefix.len--;
    return prefix.len == 0 || store_key_check(span_of(prefix.data, prefix.len - 1), &error) == DP_OK;
}

/* Fetches one page: names after `after`, or the page with this token. */
static enum dp_status fetch_page(struct call *call, struct s3_store *s3, struct span prefix, struct span after,
                                 struct span token, bool folders, size_t most, struct transport_request *req,
                                 struct s3_page *page)
{
    struct sigv4_pair query[S3_PARAMETERS_MAX];
    size_t count = 0;
    const char *max_keys = arena_printf(call->arena, "%zu", most);
    if (!max_keys)
        return call_nomem(call, "a listing");
    query[count++] = (struct sigv4_pair){span_str("list-type"), span_str("2")};
    query[count++] = (struct sigv4_pair){span_str("encoding-type"), span_str("url")};
    query[count++] = (struct sigv4_pair){span_str("max-keys"), span_str(max_keys)};
    if (prefix.len)
        query[count++] = (struct sigv4_pair){span_str("prefix"), prefix};
    if (folders)
        query[count++] = (struct sigv4_pair){span_str("delimiter"), span_str("/")};
    if (token.len)
        query[count++] = (struct sigv4_pair){span_str("continuation-token"), token};
    else if (after.len)
        query[count++] = (struct sigv4_pair){span_str("start-after"), after};
    *req = (struct transport_request){.method = HTTP_GET};
    enum dp_status status = s3_request(call, s3, (struct span){0}, query, count, req);
    if (status == DP_OK)
        status = s3_send(call, s3, req);
    if (status != DP_OK)
        return status;
    if (req->code != 200)
        return s3_explain(&s3->source, call, req, &call->error);
    status = s3_parse_page(req->bytes.span, call->arena, page, &call->error);
    if (status != DP_OK)
        dp_error_prefix(&call->error, "%s", s3->root);
    return status;
}

/* Offers a page's entries to the lister. */
static enum dp_status offer_page(struct store_lister *lister, const struct s3_store *s3,
                                 const struct s3_page *page, bool *full)
{
    *full = false;
    for (size_t i = 0; i < page->count && !*full; i++) {
        const struct store_entry *e = &page->entries[i];
        struct dp_error ignored;
        if (!span_starts_with(e->key, s3->prefix))
            continue;
        struct span key = span_of(e->key.data + s3->prefix.len, e->key.len - s3->prefix.len);
        struct span name = key;
        if (e->is_prefix && name.len)
            name.len--;
        if (store_key_check(name, &ignored) != DP_OK)
            continue;
        enum dp_status status = store_lister_add(lister, key, e->size, full);
        if (status != DP_OK)
            return status;
    }
    return DP_OK;
}

/* Checks that a page continues after the previous one, which had this token and this last name. */
static enum dp_status check_progress(struct call *call, const struct s3_store *s3, const struct s3_page *page,
                                     struct span token, struct span last)
{
    if (page->count && span_compare(page->entries[0].key, last) < 0)
        return call_fail(call, DP_IO, "%s: the store lists \"%.*s\" behind \"%.*s\": its listings have no order",
                         s3->root, SPAN_FMT(page->entries[0].key), SPAN_FMT(last));
    if (page->truncated && span_equal(page->next, token))
        return call_fail(call, DP_IO,
                         "%s: the store's listing does not go on: a page names itself as the next one", s3->root);
    return DP_OK;
}

/* Puts the root's prefix before a name. */
static enum dp_status in_bucket(struct call *call, const struct s3_store *s3, struct span text, struct span *out)
{
    uint8_t *name = arena_alloc(call->arena, s3->prefix.len + text.len + 1);
    if (!name)
        return call_nomem(call, "a listing");
    if (s3->prefix.len)
        memcpy(name, s3->prefix.data, s3->prefix.len);
    if (text.len)
        memcpy(name + s3->prefix.len, text.data, text.len);
    *out = span_of(name, s3->prefix.len + text.len);
    return DP_OK;
}

enum dp_status s3_list(struct call *call, struct store *store, struct span prefix, struct span after, bool folders,
                       size_t max, struct store_listing *out)
{
    struct s3_store *s3 = s3_of(store);
    struct store_lister lister;
    struct span start = {0}, behind = {0}, token = {0}, last = {0};
    bool full = false, more = true;
    store_lister_init(&lister, call, prefix, after, folders, max, out);
    if (!can_begin_a_key(prefix) || prefix.len > STORE_KEY_MAX)
        return DP_OK;
    enum dp_status status = in_bucket(call, s3, utf8_part(prefix), &start);
    if (status == DP_OK && after.len)
        status = in_bucket(call, s3, utf8_part(after), &behind);
    for (unsigned pages = 0; status == DP_OK && more && !full; pages++) {
        struct transport_request req;
        struct s3_page page;
        bool mistrusted = atomic_load_explicit(&s3->loses_names, memory_order_relaxed);
        size_t left = max - out->count;
        if (mistrusted && after.len) {
            behind = (struct span){0};
            left = PAGE_MAX;
        }
        if (pages) {
            call->cost.rounds++;
            status = call_check(call);
            if (status != DP_OK)
                break;
        }
        status = fetch_page(call, s3, start, behind, token, folders, left < PAGE_MAX ? left + 1 : PAGE_MAX, &req,
                            &page);
        bool again = !mistrusted && behind.len && atomic_load_explicit(&s3->loses_names, memory_order_relaxed);
        if (status == DP_OK && !again)
            status = check_progress(call, s3, &page, token, last);
        if (status == DP_OK && !again)
            status = offer_page(&lister, s3, &page, &full);
        if (status == DP_OK && !again) {
            more = page.truncated;
            if (page.count)
                last = arena_copy(call->arena, page.entries[page.count - 1].key);
            token = arena_copy(call->arena, page.next);
            if (more && (!token.data || (page.count && !last.data)))
                status = call_nomem(call, "a listing");
        }
        store_bytes_release(&req.bytes);
    }
    return status;
}
