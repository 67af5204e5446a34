/* names.c: lists the namespaces of a store, which are the folders with a live manifest. */
#include "index/index.h"

#include "index/manifest/manifest.h"
#include "index/round.h"

enum { PAGE = 256 };

/* A folder. If it has a manifest that is no tombstone, it is a namespace. */
struct folder {
    struct span name;
    struct object_key manifest_key;
    size_t manifest; /* handle of the read of its manifest */
};

static size_t ask_manifests(struct round *round, const struct store_listing *page, struct folder *folders)
{
    size_t count = 0;
    for (size_t i = 0; i < page->count; i++) {
        const struct store_entry *e = &page->entries[i];
        struct span name = span_of(e->key.data, e->key.len - 1);
        if (!e->is_prefix || index_check_name(name, NULL) != DP_OK)
            continue;
        struct folder *f = &folders[count++];
        f->name = name;
        key_of_manifest(&f->manifest_key, name);
        const struct store_read_req req = {
            .key = object_key_span(&f->manifest_key), .len = MANIFEST_STATE_WITHIN, .clip = true};
        f->manifest = round_ask(round, &req);
    }
    return count;
}

/* Adds those folders of a page that are namespaces, at most `max` in all. Reads in one round. */
static enum dp_status add_namespaces(struct call *call, struct store *store, const struct store_listing *page,
                                     struct index_names *out, size_t max)
{
    struct round round;
    struct folder *folders = arena_array(call->arena, page->count, sizeof *folders);
    if (!folders)
        return call_nomem(call, "a list of namespaces");
    round_init(&round, call, store, 0);
    size_t count = ask_manifests(&round, page, folders);
    enum dp_status status = count ? round_read(&round) : DP_OK;
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        const struct store_read_req *there = round_answer(&round, folders[i].manifest);
        if (there->status == DP_NOT_FOUND ||
            (there->status == DP_OK && manifest_peek_state(there->bytes.span) == NAMESPACE_DELETED))
            continue;
        if (there->status != DP_OK && there->status != DP_INVALID) /* DP_INVALID: the manifest is empty */
            status = round_check(&round, folders[i].manifest);
        else if (out->count == max)
            out->truncated = true;
        else
            out->names[out->count++] = folders[i].name;
    }
    round_deinit(&round);
    return status;
}

enum dp_status index_list(struct call *call, struct store *store, struct span prefix, struct span after,
                          size_t max, struct index_names *out)
{
    struct store_listing page = {.truncated = true};
    *out = (struct index_names){.names = arena_array(call->arena, max + 1, sizeof *out->names)};
    struct span from = {0};
    if (after.len) {
        char *folder = arena_printf(call->arena, "%.*s/", SPAN_FMT(after));
        if (folder)
            from = span_str(folder);
    }
    if (!out->names || (after.len && !from.data))
        return call_nomem(call, "a list of namespaces");
    while (page.truncated && !out->truncated) {
        enum dp_status status = store_list(call, store, prefix, from, true, PAGE, &page);
        if (status || page.count == 0)
            return status;
        status = add_namespaces(call, store, &page, out, max);
        if (status)
            return status;
        from = page.entries[page.count - 1].key;
    }
    return DP_OK;
}
