/* wal/tail.c: keeps the entries of a tail, and the newest row of each id. */
#include "index/wal/tail.h"

#include "base/alloc.h"
#include "base/array.h"

void tail_init(struct tail *tail)
{
    *tail = (struct tail){0};
    map_init(&tail->newest, TAIL_ROWS_MAX);
    map_init(&tail->keys, TAIL_ROWS_MAX);
}

void tail_deinit(struct tail *tail)
{
    for (size_t i = 0; i < tail->entry_count; i++)
        wal_entry_release(tail->entries[i]);
    mem_free(tail->entries);
    mem_free(tail->rows);
    map_deinit(&tail->newest);
    map_deinit(&tail->keys);
    *tail = (struct tail){0};
}

/* Makes room for an entry and its records, so that the rest of tail_append() cannot fail. */
static enum dp_status reserve_tail(struct tail *tail, const struct wal_entry *entry, struct dp_error *error)
{
    if (entry->count > TAIL_ROWS_MAX - tail->row_count)
        return dp_fail(error, DP_TOO_LARGE, "the log has more than %d rows that no segment holds", TAIL_ROWS_MAX);
    struct wal_entry **entries =
        array_reserve(tail->entries, tail->entry_count, &tail->entry_room, sizeof(struct wal_entry *), 16);
    if (!entries)
        return dp_fail_nomem(error, "a log entry");
    tail->entries = entries;
    while (tail->row_room - tail->row_count < entry->count) {
        struct tail_row *rows =
            array_reserve(tail->rows, tail->row_room, &tail->row_room, sizeof *tail->rows, entry->count);
        if (!rows)
            return dp_fail_nomem(error, "rows of the log");
        tail->rows = rows;
    }
    size_t keys = 0;
    for (size_t i = 0; i < entry->count; i++)
        keys += entry->records[i].kind == WAL_KEY;
    enum dp_status status = keys ? map_reserve(&tail->keys, keys, error) : DP_OK;
    return status == DP_OK ? map_reserve(&tail->newest, entry->count, error) : status;
}

static void append_key(struct tail *tail, const struct wal_record *record)
{
    uint64_t *newest;
    map_put(&tail->keys, record->key, 0, &newest, NULL, NULL); /* there is room */
    *newest = (uint64_t)(uintptr_t)record;
}

static void append_tail_row(struct tail *tail, const struct wal_entry *entry, const struct wal_record *record)
{
    uint64_t *newest;
    bool existing;
    map_put(&tail->newest, record->key, tail->row_count, &newest, &existing, NULL); /* there is room */
    if (existing) {
        struct tail_row *before = &tail->rows[*newest];
        tail->live -= tail_row_is_live(before);
        before->superseded = true;
        *newest = tail->row_count;
    }
    tail->rows[tail->row_count++] = (struct tail_row){record, entry->head.number, false};
    tail->live += record->kind == WAL_ROW;
}

enum dp_status tail_append(struct tail *tail, struct wal_entry *entry, struct dp_error *error)
{
    enum dp_status status = reserve_tail(tail, entry, error);
    if (status)
        return status;
    tail->entries[tail->entry_count++] = wal_entry_retain(entry);
    tail->bytes += entry->object_size;
    for (size_t i = 0; i < entry->count; i++) {
        const struct wal_record *record = &entry->records[i];
        if (record->kind == WAL_ROW || record->kind == WAL_DELETED)
            append_tail_row(tail, entry, record);
        else if (record->kind == WAL_KEY)
            append_key(tail, record);
    }
    return DP_OK;
}

const struct tail_row *tail_find(const struct tail *tail, struct span key)
{
    const uint64_t *newest = map_find(&tail->newest, key);
    return newest && !tail->rows[*newest].superseded ? &tail->rows[*newest] : NULL;
}

const struct wal_record *tail_find_key(const struct tail *tail, struct span id)
{
    const uint64_t *found = map_find(&tail->keys, id);
    return found ? (const struct wal_record *)(uintptr_t)*found : NULL;
}

void tail_supersede(struct tail *tail, size_t row)
{
    tail->live -= tail_row_is_live(&tail->rows[row]);
    tail->rows[row].superseded = true;
}

enum dp_status tail_keep_after(const struct tail *from, uint64_t floor, struct tail *out, struct dp_error *error)
{
    tail_init(out);
    for (size_t i = 0; i < from->entry_count; i++) {
        if (from->entries[i]->head.number <= floor)
            continue;
        enum dp_status status = tail_append(out, from->entries[i], error);
        if (status) {
            tail_deinit(out);
            return status;
        }
    }
    return DP_OK;
}
