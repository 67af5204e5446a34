/* fold/fold_keys.c: moves keys of writes from the log into the namespace's .keys object. */
#include "index/fold/fold_keys.h"

#include "base/alloc.h"

enum dp_status fold_keys_take(const struct tail *tail, uint64_t last, struct key_set *out, struct dp_error *error)
{
    size_t count = 0;
    *out = (struct key_set){0};
    if (tail->keys.count == 0)
        return DP_OK;
    for (size_t i = 0; i < tail->entry_count; i++)
        count += tail->entries[i]->count;
    out->keys = mem_calloc(count + 1, sizeof *out->keys);
    if (!out->keys)
        return dp_fail_nomem(error, "keys of writes");
    for (size_t i = 0; i < tail->entry_count && tail->entries[i]->head.number <= last; i++) {
        const struct wal_entry *entry = tail->entries[i];
        for (size_t r = 0; r < entry->count; r++) {
            if (entry->records[r].kind == WAL_KEY)
                out->keys[out->count++] = write_key_of(&entry->records[r]);
        }
    }
    return DP_OK;
}

/* Adds the keys of the base to `moved`, and drops keys that are too old or too many (key_set_settle()). */
static enum dp_status join_keys(struct call *call, const struct index_reader *reader, const struct manifest *m,
                                struct key_set *moved)
{
    struct key_set before;
    enum dp_status status = key_set_read(call, reader->store, reader->name, m, &before);
    if (status)
        return status;
    struct write_key *all = mem_calloc(moved->count + before.count + 1, sizeof *all);
    if (all) {
        memcpy(all, moved->keys, moved->count * sizeof *all);
        if (before.count)
            memcpy(all + moved->count, before.keys, before.count * sizeof *all);
        mem_free(moved->keys);
        moved->keys = all;
        moved->count =
            key_set_settle(all, moved->count + before.count, manifest_store_ms(m, reader->clock), WRITE_KEYS_MAX);
    }
    key_set_deinit(&before);
    return all ? DP_OK : call_nomem(call, "keys of writes");
}

enum dp_status fold_keys_write(struct call *call, const struct index_reader *reader, const struct view *view,
                               struct object_log *log, struct key_set *moved, struct manifest_keys *out)
{
    const struct manifest *m = &view->base->manifest;
    struct manifest_keys made = {.size = 0};
    struct object_key key;
    struct buffer bytes;
    buffer_init(&bytes, WRITE_KEYS_FIXED_LEN + (size_t)WRITE_KEYS_MAX * WAL_KEY_LEN);
    enum dp_status status = join_keys(call, reader, m, moved);
    if (status == DP_OK)
        status = ulid_new(reader->clock, &m->horizon, manifest_store_ms(m, reader->clock), &made.id, &call->error);
    if (status == DP_OK) {
        key_set_write(moved, &made.id, &m->incarnation, &bytes);
        status = buffer_check(&bytes, "keys of writes", &call->error);
    }
    made.count = moved->count;
    made.size = bytes.len;
    key_of_keys(&key, reader->name, &m->incarnation, &made.id);
    if (status == DP_OK)
        status = object_log_note(call, log, &key);
    if (status == DP_OK) {
        struct store_put put = {
            .key = object_key_span(&key), .body = buffer_span(&bytes), .condition = STORE_IF_ABSENT};
        status = object_log_status(call, store_put(call, reader->store, &put));
    }
    if (status == DP_OK) {
        log->bytes += made.size;
        *out = made;
    }
    buffer_deinit(&bytes);
    return status;
}

enum dp_status fold_keys_list(struct call *call, const struct manifest_keys *made, struct manifest *m)
{
    if (span_compare(ulid_span(&made->id), ulid_span(&m->horizon)) <= 0)
        return call_fail(call, DP_CONFLICT, "the fold took so long that the collector may have removed its keys");
    m->keys = *made;
    return DP_OK;
}
