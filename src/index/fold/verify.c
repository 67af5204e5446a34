/* fold/verify.c: verifies a namespace: its manifest, the objects that it lists, and its log. */
#include "index/fold/verify_log.h"
#include "index/fold/verify_owners.h"
#include "index/fold/verify_segment.h"
#include "index/wal/write_key.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"

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

int verify_compare_hashes(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Finds ids that two live rows have. Two ids of one hash would be reported, too; that happens once in 2^64 pairs. */
static enum dp_status check_duplicates(struct call *call, struct verification *v, const char *manifest)
{
    uint64_t twice = 0;
    if (v->live_count)
        qsort(v->live, v->live_count, sizeof *v->live, verify_compare_hashes);
    for (size_t i = 1; i < v->live_count; i++)
        twice += v->live[i] == v->live[i - 1];
    if (!twice)
        return DP_OK;
    call_fail(call, DP_CORRUPT, "%" PRIu64 " ids have more than one live row", twice);
    return verify_fault(call, v, manifest);
}

/* Verifies the segments of loads that wait for their place in the log. Their rows do not count yet. */
static enum dp_status check_pending(struct call *call, struct verification *v)
{
    const struct manifest *m = &v->manifest;
    size_t live = v->live_count;
    uint64_t rows = v->result->rows;
    size_t count = 0, at = 0;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < m->pending_count; i++)
        count += m->pending[i].segment_count;
    v->damaged_pending = mem_calloc(count + 1, sizeof *v->damaged_pending);
    if (!v->damaged_pending)
        return call_nomem(call, "a verification");
    for (size_t i = 0; i < m->pending_count; i++) {
        for (size_t k = 0; k < m->pending[i].segment_count && status == DP_OK; k++) {
            uint64_t before = v->result->faults;
            status = verify_segment(call, v, &m->pending[i].segments[k]);
            v->damaged_pending[at++] = v->result->faults != before;
        }
    }
    v->live_count = live;
    v->result->rows = rows;
    return status;
}

static enum dp_status check_segments(struct call *call, struct verification *v, const char *manifest)
{
    enum dp_status status = DP_OK;
    v->result->segments = v->manifest.segment_count;
    manifest_for_each_object(&v->manifest, count_object, v);
    v->damaged = mem_calloc(v->manifest.segment_count + 1, sizeof *v->damaged);
    if (!v->damaged)
        return call_nomem(call, "a verification");
    for (size_t i = 0; i < v->manifest.segment_count && status == DP_OK; i++) {
        uint64_t before = v->result->faults;
        status = verify_segment(call, v, &v->manifest.segments[i]);
        v->damaged[i] = v->result->faults != before;
    }
    if (status == DP_OK)
        status = check_duplicates(call, v, manifest);
    return status == DP_OK ? check_pending(call, v) : status;
}

/* ---- the listing ----------------------------------------------------------------------------------------- */

static bool is_kept(const struct verification *v, const struct parsed_name *name)
{
    return manifest_lists(&v->manifest, v->name, name) || pin_set_has(&v->pins, name);
}

/* Checks the objects of one page of the listing: verifies entries after the floor, and counts unlisted objects. */
static enum dp_status check_page(struct call *call, struct verification *v, const struct store_listing *page)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < page->count && status == DP_OK; i++) {
        struct parsed_name name;
        if (!object_name_parse(page->entries[i].key, v->name, &name))
            continue;
        bool ours = ulid_equal(&name.incarnation, &v->manifest.incarnation);
        if (name.kind == OBJECT_WAL && ours && name.number > v->manifest.wal_floor)
            status = name.number > v->log.number ? verify_log_entry(call, v, name.number) : DP_OK;
        else if (name.kind == OBJECT_WAL || !is_kept(v, &name))
            v->result->unlisted++;
    }
    return status;
}

static enum dp_status check_listing(struct call *call, struct verification *v)
{
    v->log.number = v->manifest.wal_floor;
    v->log.hash = v->manifest.wal_chain;
    struct store_listing page = {.truncated = true};
    char *prefix = arena_printf(call->arena, "%.*s/", SPAN_FMT(v->name));
    struct span after = {0};
    if (!prefix)
        return call_nomem(call, "a verification");
    while (page.truncated) {
        enum dp_status status = store_list(call, v->store, span_str(prefix), after, false, LIST_PAGE, &page);
        if (status == DP_OK)
            status = check_page(call, v, &page);
        if (status || page.count == 0)
            return status;
        after = page.entries[page.count - 1].key;
    }
    return DP_OK;
}

/* Reads the keys of writes that the manifest lists. */
static enum dp_status check_keys(struct call *call, struct verification *v)
{
    struct object_key key;
    struct key_set keys;
    enum dp_status status = key_set_read(call, v->store, v->name, &v->manifest, &keys);
    key_set_deinit(&keys);
    v->result->objects += v->manifest.keys.size > 0;
    if (status == DP_OK)
        return DP_OK;
    v->keys_damaged = row_scan_is_damage(status);
    if (v->keys_damaged)
        call_restatus(call, DP_CORRUPT);
    key_of_keys(&key, v->name, &v->manifest.incarnation, &v->manifest.keys.id);
    return verify_fault(call, v, key.text);
}

/* ---- the namespace --------------------------------------------------------------------------------------- */

enum dp_status verify_namespace(struct call *call, struct verification *v, bool *readable)
{
    struct object_key manifest;
    *v->result = (struct index_verify_result){0};
    *readable = false;
    enum dp_status status = index_check_name(v->name, &call->error);
    if (status)
        return status;
    key_of_manifest(&manifest, v->name);
    status = manifest_load(call, v->store, v->name, &v->manifest, NULL);
    if (status == DP_CORRUPT || status == DP_UNSUPPORTED)
        return verify_fault(call, v, manifest.text);
    if (status)
        return status;
    status = pin_set_read_newest(call, v->store, v->name, &v->manifest, &v->pins);
    if (v->manifest.state != NAMESPACE_LIVE)
        return manifest_check_live(&v->manifest, v->name, &call->error);
    *readable = true;
    if (status)
        status = verify_fault(call, v, manifest.text);
    if (status == DP_OK)
        status = check_keys(call, v);
    if (status == DP_OK)
        status = check_segments(call, v, manifest.text);
    if (status == DP_OK)
        status = verify_owners(call, v, manifest.text);
    return status == DP_OK ? check_listing(call, v) : status;
}

void verify_end(struct verification *v)
{
    mem_free(v->live);
    mem_free(v->written);
    mem_free(v->damaged);
    mem_free(v->damaged_pending);
    mem_free(v->log.gaps);
    manifest_deinit(&v->manifest);
    *v = (struct verification){0};
}

enum dp_status index_verify(struct call *call, struct store *store, struct span name, index_fault_fn *fault,
                            void *context, struct index_verify_result *result)
{
    struct verification v = {.store = store, .name = name, .fault = fault, .context = context, .result = result};
    bool readable;
    enum dp_status status = verify_namespace(call, &v, &readable);
    verify_end(&v);
    return status;
}
