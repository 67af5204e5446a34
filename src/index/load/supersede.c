/* supersede.c: looks up the ids of a load in an older segment. */
#include "index/load/supersede.h"

#include "index/query/id_search.h"

static enum dp_status add_superseded(void *context, size_t segment, size_t key, uint32_t row)
{
    struct row_set *rows = context;
    (void)segment, (void)key;
    row_set_add(rows, row);
    return DP_OK;
}

/* Returns the status of a read. It becomes DP_STALE when the object is missing: then the manifest is old. */
static enum dp_status judge_read(struct call *call, const struct object_key *key, enum dp_status status)
{
    if (status != DP_NOT_FOUND && status != DP_STALE)
        return status;
    return call_fail(call, DP_STALE, "%s: the manifest lists it, but it is missing", key->text);
}

enum dp_status supersede_find(struct call *call, const struct segment_place *place, const struct span *keys,
                              size_t n, struct row_set *rows)
{
    struct object_key key;
    struct segment_hot hot;
    *rows = (struct row_set){0};
    const struct object_home home = manifest_home(place->manifest, place->name, place->listed->owner);
    key_of_dpr(&key, home.name, home.incarnation, &place->listed->id);
    const struct opening_range range = segment_opening_range(place->listed, true);
    struct store_read_req req = {.key = object_key_span(&key), .offset = range.offset, .len = (int64_t)range.len};
    enum dp_status status = judge_read(call, &key, store_read(call, place->store, &req, 1));
    if (status)
        return status;
    status = segment_parse_hot(req.bytes.span, place->listed, place->manifest->vectors.dim, &hot, &call->error);
    store_read_release(&req, 1);
    if (status) {
        dp_error_prefix(&call->error, "%s", key.text);
        return status;
    }
    const struct searched_segment segment = {&key, NULL, &hot};
    status = row_set_init(rows, hot.rows, &call->error);
    if (status == DP_OK)
        status = id_search(call, place->store, 0, &segment, 1, keys, n, add_superseded, rows);
    if (status)
        row_set_deinit(rows);
    segment_hot_deinit(&hot);
    return status;
}

enum dp_status supersede_read_deleted(struct call *call, const struct segment_place *place, struct row_set *rows)
{
    const struct manifest_segment *s = place->listed;
    if (!s->has_deleted)
        return row_set_init(rows, s->rows, &call->error);
    struct object_key key;
    const struct object_home home = manifest_home(place->manifest, place->name, s->deleted_owner);
    key_of_del(&key, home.name, home.incarnation, &s->id, &s->deletion);
    struct store_read_req req = {.key = object_key_span(&key), .len = (int64_t)s->deleted_size};
    enum dp_status status = judge_read(call, &key, store_read(call, place->store, &req, 1));
    if (status)
        return status;
    status = deleted_parse(req.bytes.span, &s->id, s->rows, s->deleted_rows, rows, &call->error);
    if (status)
        dp_error_prefix(&call->error, "%s", key.text);
    store_read_release(&req, 1);
    return status;
}
