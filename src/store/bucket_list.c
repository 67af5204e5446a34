/* bucket_list.c: lists a bucket or container page by page (see bucket_list.h). */
#include "store/bucket_list.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/utf8.h"
#include "store/implement.h"
#include "store/listing.h"

enum { IDLE_PAGES_MAX = 1000 };

/* ---- pages ------------------------------------------------------------------------------------------ */

enum dp_status bucket_page_append(struct arena *arena, struct bucket_page *page, const struct store_entry *entry,
                                  struct dp_error *error)
{
    struct store_entry *entries =
        arena_reserve(arena, page->entries, page->count, &page->capacity, sizeof *entries, 64);
    if (!entries)
        return dp_fail_nomem(error, "a listing");
    page->entries = entries;
    page->entries[page->count++] = *entry;
    return DP_OK;
}

static int compare_entries(const void *a, const void *b)
{
    return span_compare(((const struct store_entry *)a)->key, ((const struct store_entry *)b)->key);
}

void bucket_page_sort(struct bucket_page *page)
{
    for (size_t i = 1; i < page->count; i++)
        if (compare_entries(&page->entries[i - 1], &page->entries[i]) > 0) {
            qsort(page->entries, page->count, sizeof *page->entries, compare_entries);
            return;
        }
}

/* Offers a page's entries to the lister. Skips names that are not later than `last`, the last name of the previous page,
 * and names that come twice. */
static enum dp_status offer_page(struct store_lister *lister, const struct bucket *bucket,
                                 const struct bucket_page *page, struct span last, bool *full)
{
    *full = false;
    for (size_t i = 0; i < page->count && !*full; last = page->entries[i++].key) {
        const struct store_entry *e = &page->entries[i];
        struct dp_error ignored;
        if (span_compare(e->key, last) <= 0 || !span_starts_with(e->key, bucket->prefix))
            continue;
        struct span key = span_of(e->key.data + bucket->prefix.len, e->key.len - bucket->prefix.len);
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

/* Checks that a page continues after the previous one, which had this token and this last name. *idle counts pages
 * without a later name; a store sends few of them in a row, unless its tokens go round in circles. */
static enum dp_status check_progress(struct call *call, const struct bucket *bucket,
                                     const struct bucket_page *page, struct span token, struct span last,
                                     unsigned *idle)
{
    bool later = page->count && span_compare(page->entries[page->count - 1].key, last) > 0;
    *idle = later ? 0 : *idle + 1;
    if (*idle > IDLE_PAGES_MAX && page->truncated)
        return call_fail(call, DP_IO, "%s: the store's listing does not go on: %d pages brought no new name",
                         bucket->root, IDLE_PAGES_MAX);
    if (page->count && span_compare(page->entries[0].key, last) < 0)
        return call_fail(call, DP_IO, "%s: the store lists \"%.*s\" behind \"%.*s\": its listings have no order",
                         bucket->root, SPAN_FMT(page->entries[0].key), SPAN_FMT(last));
    if (page->truncated && span_equal(page->next, token))
        return call_fail(call, DP_IO,
                         "%s: the store's listing does not go on: a page names itself as the next one",
                         bucket->root);
    return DP_OK;
}

/* ---- listings --------------------------------------------------------------------------------------- */

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

/* Puts the root's prefix before a name. */
static enum dp_status in_bucket(struct call *call, const struct bucket *bucket, struct span text, struct span *out)
{
    struct span prefix = bucket->prefix;
    uint8_t *name = arena_alloc(call->arena, prefix.len + text.len + 1);
    if (!name)
        return call_nomem(call, "a listing");
    if (prefix.len)
        memcpy(name, prefix.data, prefix.len);
    if (text.len)
        memcpy(name + prefix.len, text.data, text.len);
    *out = span_of(name, prefix.len + text.len);
    return DP_OK;
}

/* Keeps what the next page needs of this one: its token and its last name. */
static enum dp_status keep_place(struct call *call, const struct bucket_page *page, struct span *token,
                                 struct span *last)
{
    if (page->count)
        *last = arena_copy(call->arena, page->entries[page->count - 1].key);
    *token = arena_copy(call->arena, page->next);
    return page->truncated && (!token->data || (page->count && !last->data)) ? call_nomem(call, "a listing")
                                                                             : DP_OK;
}

enum dp_status bucket_list(struct call *call, const struct bucket *bucket, struct span prefix, struct span after,
                           bool folders, size_t max, struct store_listing *out)
{
    struct store_lister lister;
    struct bucket_page_req req = {.folders = folders};
    struct span last = {0};
    bool full = false, more = true;
    unsigned idle = 0;
    store_lister_init(&lister, call, prefix, after, folders, max, out);
    if (!can_begin_a_key(prefix) || prefix.len > STORE_KEY_MAX)
        return DP_OK;
    enum dp_status status = in_bucket(call, bucket, utf8_part(prefix), &req.prefix);
    if (status == DP_OK && after.len)
        status = in_bucket(call, bucket, utf8_part(after), &req.behind);
    for (unsigned pages = 0; status == DP_OK && more && !full; pages++) {
        struct bucket_page page = {0};
        bool from_start = after.len && !bucket->begins_behind(bucket);
        size_t left = max - out->count;
        req.most = from_start || left >= bucket->page_max ? bucket->page_max : left + 1;
        if (from_start || req.token.len)
            req.behind = (struct span){0};
        if (pages) {
            call->cost.rounds++;
            status = call_check(call);
        }
        if (status == DP_OK)
            status = bucket->fetch(call, bucket, &req, &page);
        /* The answer may have shown that the store cannot begin behind a name: then ask again, from the start. */
        bool again = req.behind.len && !bucket->begins_behind(bucket);
        if (status == DP_OK && !again)
            status = check_progress(call, bucket, &page, req.token, last, &idle);
        if (status == DP_OK && !again)
            status = offer_page(&lister, bucket, &page, last, &full);
        if (status == DP_OK && !again)
            status = keep_place(call, &page, &req.token, &last);
        if (status == DP_OK && !again)
            more = page.truncated;
        store_bytes_release(&page.bytes);
    }
    return status;
}
