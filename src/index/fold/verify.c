/* fold/verify.c: verifies a namespace: its manifest, the objects that it lists, and its log. */
#include "index/fold/verify_owners.h"
#include "index/fold/verify_segment.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "index/wal/entry.h"

enum { LIST_PAGE = 1000 };

/* ---- faults ---------------------------------------------------------------------------------------------- */

enum dp_status verify_fault(struct call *call, struct verification *v, const char *object)
{
    switch (call->error.status) {
    case DP_CORRUPT:
    case DP_STALE:
    case DP_NOT_FOUND:
    case DP_INVALID:
    case DP_UNSUPPORTED: break;
    default: return call->error.status;
    }
    v->result->faults++;
    v->fault(v->context, object, call->error.message);
    dp_error_clear(&call->error);
    return DP_OK;
}

/* ---- segments -------------------------------------------------------------------------------------------- */

static enum dp_status count_object(void *context, const struct manifest_object *object)
{
    struct verification *v = context;
    (void)object;
    v->result->objects++;
    return DP_OK;
}

static int compare_hashes(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Finds ids that two live rows have. Two ids of one hash would be reported, too; that happens once in 2^64 pairs. */
static enum dp_status check_duplicates(struct call *call, struct verification *v, const char *manifest)
{
    uint64_t twice = 0;
    if (v->live_count)
        qsort(v->live, v->live_count, sizeof *v->live, compare_hashes);
    for (size_t i = 1; i < v->live_count; i++)
        twice += v->live[i] == v->live[i - 1];
    if (!twice)
        return DP_OK;
    call_fail(call, DP_CORRUPT, "%" PRIu64 " ids have more than one live row", twice);
    return verify_fault(call, v, manifest);
}

static enum dp_status check_segments(struct call *call, struct verification *v, const char *manifest)
{
    enum dp_status status = DP_OK;
    v->result->segments = v->manifest.segment_count;
    manifest_for_each_object(&v->manifest, count_object, v);
    for (size_t i = 0; i < v->manifest.segment_count && status == DP_OK; i++)
        status = verify_segment(call, v, &v->manifest.segments[i]);
    return status == DP_OK ? check_duplicates(call, v, manifest) : status;
}

/* ---- the log --------------------------------------------------------------------------------------------- */

/* The place in the log up to which it is verified. */
struct log_check {
    uint64_t number; /* of the latest entry */
    uint64_t hash;   /* its hash */
    bool broken;     /* a fault hides what follows */
};

static enum dp_status parse_entry(struct call *call, struct verification *v, struct span bytes,
                                  struct log_check *at, uint64_t number)
{
    struct wal_entry *entry = NULL;
    enum dp_status status = wal_entry_parse(bytes, &entry, &call->error);
    if (status)
        return status;
    if (entry->head.number != number || !ulid_equal(&entry->head.incarnation, &v->manifest.incarnation))
        status = call_fail(call, DP_CORRUPT, "it is not entry %" PRIu64 " of this namespace", number);
    else if (entry->head.chain != at->hash)
        status = call_fail(call, DP_CORRUPT, "it does not carry the hash of the entry before it");
    at->number = number;
    at->hash = entry->hash;
    v->result->entries++;
    wal_entry_release(entry);
    return status;
}

/* Verifies one listed entry after the floor. */
static enum dp_status check_entry(struct call *call, struct verification *v, struct log_check *at,
                                  const struct parsed_name *name)
{
    if (at->broken)
        return DP_OK;
    struct store_read_req req = {.key = object_key_span(&name->key), .len = STORE_TO_END};
    enum dp_status status = DP_OK;
    if (name->number != at->number + 1)
        status = call_fail(call, DP_CORRUPT, "entry %" PRIu64 " before it is missing", at->number + 1);
    if (status == DP_OK)
        status = store_read(call, v->store, &req, 1);
    if (status == DP_OK)
        status = parse_entry(call, v, req.bytes.span, at, name->number);
    store_read_release(&req, 1);
    at->broken = status != DP_OK;
    return status == DP_OK ? DP_OK : verify_fault(call, v, name->key.text);
}

static bool is_kept(const struct verification *v, const struct parsed_name *name)
{
    return manifest_lists(&v->manifest, v->name, name) || pin_set_has(&v->pins, name);
}

/* Checks the objects of one page of the listing: verifies entries after the floor, and counts unlisted objects. */
static enum dp_status check_page(struct call *call, struct verification *v, struct log_check *at,
                                 const struct store_listing *page)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < page->count && status == DP_OK; i++) {
        struct parsed_name name;
        if (!object_name_parse(page->entries[i].key, v->name, &name))
            continue;
        bool ours = ulid_equal(&name.incarnation, &v->manifest.incarnation);
        if (name.kind == OBJECT_WAL && ours && name.number > v->manifest.wal_floor)
            status = check_entry(call, v, at, &name);
        else if (name.kind == OBJECT_WAL || !is_kept(v, &name))
            v->result->unlisted++;
    }
    return status;
}

static enum dp_status check_listing(struct call *call, struct verification *v)
{
    struct log_check at = {v->manifest.wal_floor, v->manifest.wal_chain, false};
    struct store_listing page = {.truncated = true};
    char *prefix = arena_printf(call->arena, "%.*s/", SPAN_FMT(v->name));
    struct span after = {0};
    if (!prefix)
        return call_nomem(call, "a verification");
    while (page.truncated) {
        enum dp_status status = store_list(call, v->store, span_str(prefix), after, false, LIST_PAGE, &page);
        if (status == DP_OK)
            status = check_page(call, v, &at, &page);
        if (status || page.count == 0)
            return status;
        after = page.entries[page.count - 1].key;
    }
    return DP_OK;
}

/* ---- the namespace --------------------------------------------------------------------------------------- */

enum dp_status index_verify(struct call *call, struct store *store, struct span name, index_fault_fn *fault,
                            void *context, struct index_verify_result *result)
{
    struct verification v = {.store = store, .name = name, .fault = fault, .context = context, .result = result};
    struct object_key manifest;
    *result = (struct index_verify_result){0};
    enum dp_status status = index_check_name(name, &call->error);
    if (status)
        return status;
    key_of_manifest(&manifest, name);
    status = manifest_load(call, store, name, &v.manifest, NULL);
    if (status == DP_CORRUPT || status == DP_UNSUPPORTED)
        return verify_fault(call, &v, manifest.text);
    if (status)
        return status;
    status = pin_set_read(call, store, name, &v.manifest, &v.pins);
    if (status)
        status = verify_fault(call, &v, manifest.text);
    if (status == DP_OK)
        status = check_segments(call, &v, manifest.text);
    if (status == DP_OK)
        status = verify_owners(call, &v, manifest.text);
    if (status == DP_OK)
        status = check_listing(call, &v);
    mem_free(v.live);
    manifest_deinit(&v.manifest);
    return status;
}
