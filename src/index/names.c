/* names.c: which namespaces a store holds: the folders that have a manifest. */
#include "index/index.h"

#include "index/object_name.h"

enum { PAGE = 256 };

/* The folders of one page, and whether each has a manifest: two rounds. */
static enum dp_status probe(struct call *call, struct store *store, const struct store_listing *page,
                            struct index_names *out, size_t max)
{
    struct store_read_req *reqs = arena_calloc(call->arena, page->count, sizeof *reqs);
    struct object_key *keys = arena_array(call->arena, page->count, sizeof *keys);
    struct span *names = arena_array(call->arena, page->count, sizeof *names);
    size_t count = 0;
    if (!reqs || !keys || !names)
        return call_nomem(call, "a list of namespaces");
    for (size_t i = 0; i < page->count; i++) {
        const struct store_entry *e = &page->entries[i];
        struct span name = span_of(e->key.data, e->key.len - 1);
        if (!e->is_prefix || index_check_name(name, NULL) != DP_OK)
            continue;
        key_of_manifest(&keys[count], name);
        names[count] = name;
        reqs[count] = (struct store_read_req){.key = object_key_span(&keys[count]), .len = 1};
        count++;
    }
    if (count == 0)
        return DP_OK;
    store_read(call, store, reqs, count); /* each is judged by itself */
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        if (reqs[i].status == DP_NOT_FOUND)
            continue;
        if (reqs[i].status != DP_OK && reqs[i].status != DP_INVALID) { /* an empty one is there, too */
            call->error = reqs[i].error;
            status = reqs[i].status;
        } else if (out->count == max)
            out->truncated = true;
        else
            out->names[out->count++] = names[i];
    }
    store_read_release(reqs, count);
    if (status == DP_OK)
        dp_error_clear(&call->error);
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
        if (status || (page.count && (status = probe(call, store, &page, out, max)) != DP_OK))
            return status;
        if (page.count == 0)
            break;
        from = page.entries[page.count - 1].key;
    }
    return DP_OK;
}
