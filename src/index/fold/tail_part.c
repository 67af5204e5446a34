/* fold/tail_part.c: the part of a tail that one fold moves. */
#include "index/fold/tail_part.h"

#include "base/alloc.h"

enum { PART_ROWS = 64 * 1024 };
static const uint64_t part_bytes = 64 << 20;

static bool names_rows_only(const struct wal_entry *entry)
{
    bool rows_only = true;
    for (size_t i = 0; i < entry->count && rows_only; i++)
        rows_only = entry->records[i].kind != WAL_ATTACH && entry->records[i].kind != WAL_VOID;
    return rows_only;
}

/* Returns how many entries the part has, at least one. A tail that commits a load is one part: what the load replaces
 * is not known for a part of the tail. */
static size_t count_entries(const struct tail *tail, uint64_t rows_max)
{
    size_t rows = 0, count = 0;
    uint64_t bytes = 0;
    for (; count < tail->entry_count; count++) {
        rows += tail->entries[count]->count;
        bytes += tail->entries[count]->object_size;
        if (count > 0 && (rows > (rows_max ? rows_max : PART_ROWS) || bytes > part_bytes))
            break;
    }
    bool whole = count == tail->entry_count;
    for (size_t i = 0; i < tail->entry_count && !whole; i++)
        whole = !names_rows_only(tail->entries[i]);
    return whole ? tail->entry_count : count;
}

/* Takes the newest row of each id in the part. A row after the part may have replaced it. */
static enum dp_status take_part_rows(const struct tail *tail, struct tail_part *part, struct dp_error *error)
{
    struct map newest; /* id key → position in part->newest */
    enum dp_status status = DP_OK;
    map_init(&newest, TAIL_ROWS_MAX);
    for (size_t i = 0; i < tail->row_count && tail->rows[i].entry <= part->last && status == DP_OK; i++) {
        uint64_t *at;
        bool existing;
        status = map_put(&newest, tail->rows[i].record->key, part->count, &at, &existing, error);
        if (status == DP_OK)
            part->newest[existing ? *at : part->count++] = tail->rows[i].record;
    }
    map_deinit(&newest);
    return status;
}

enum dp_status tail_part_take(const struct tail *tail, uint64_t rows_max, struct tail_part *out,
                              struct dp_error *error)
{
    size_t entries = count_entries(tail, rows_max);
    *out = (struct tail_part){.whole = entries == tail->entry_count};
    out->newest = mem_calloc(tail->row_count + 1, sizeof(struct wal_record *));
    if (!out->newest)
        return dp_fail_nomem(error, "a fold");
    if (!out->whole) {
        out->last = tail->entries[entries - 1]->head.number;
        out->chain = tail->entries[entries - 1]->hash;
        return take_part_rows(tail, out, error);
    }
    for (size_t i = 0; i < tail->row_count; i++) {
        if (!tail->rows[i].superseded)
            out->newest[out->count++] = tail->rows[i].record;
    }
    return DP_OK;
}

void tail_part_deinit(struct tail_part *part)
{
    mem_free(part->newest);
    *part = (struct tail_part){0};
}
