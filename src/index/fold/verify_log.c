/* verify_log.c: verifies the log entries after wal_floor: their bytes, numbers, and chain of hashes.
 *
 * After an entry that is missing or damaged the verification goes on: entries hold effects, which need no earlier
 * entry. The next good entry carries the hash of the entry before it, which is the last one of the gap.
 */
#include "index/fold/verify_log.h"

#include <inttypes.h>

#include "base/array.h"
#include "base/checksum.h"
#include "index/wal/entry.h"

enum {
    /* Maximum entries that it reads although no listing shows them: a listing takes time, so it may miss new entries. */
    GAP_READS_MAX = 1024
};

/* ---- gaps ------------------------------------------------------------------------------------------------ */

/* Whether the latest entry is in a gap. */
static bool ends_in_gap(const struct log_check *at)
{
    return at->gap_count && at->gaps[at->gap_count - 1].last == at->number;
}

/* Notes that the entries from the next one up to `last` are in a gap. */
static enum dp_status add_gap(struct call *call, struct log_check *at, uint64_t last, uint64_t chain, bool missing)
{
    if (!ends_in_gap(at)) {
        struct log_gap *gaps = array_reserve(at->gaps, at->gap_count, &at->gap_room, sizeof *gaps, 8);
        if (!gaps)
            return call_nomem(call, "a verification");
        at->gaps = gaps;
        at->gaps[at->gap_count++] = (struct log_gap){.first = at->number + 1};
    }
    at->gaps[at->gap_count - 1].missing += missing ? last - at->number : 0;
    at->gaps[at->gap_count - 1].last = at->number = last;
    at->gaps[at->gap_count - 1].chain = chain;
    return DP_OK;
}

/* ---- entries --------------------------------------------------------------------------------------------- */

/* Returns the hash that the bytes of a damaged entry end with: its own, unless the damage is there. */
static uint64_t last_hash(struct span bytes)
{
    if (bytes.len < WAL_HEAD_LEN + WAL_CHECKSUM_LEN)
        return checksum64(bytes);
    struct cursor c = cursor_over(span_of(bytes.data + bytes.len - WAL_CHECKSUM_LEN, WAL_CHECKSUM_LEN));
    return cursor_u64(&c);
}

/* Notes the ids that an entry names. */
static enum dp_status note_written(struct call *call, struct verification *v, const struct wal_entry *entry)
{
    for (size_t i = 0; i < entry->count; i++) {
        if (entry->records[i].key.len == 0)
            continue;
        uint64_t *written = array_reserve(v->written, v->written_count, &v->written_room, sizeof *written, 64);
        if (!written)
            return call_nomem(call, "a verification");
        v->written = written;
        v->written[v->written_count++] = checksum64(entry->records[i].key);
    }
    return DP_OK;
}

static enum dp_status parse_entry(struct call *call, struct verification *v, struct span bytes, uint64_t number)
{
    struct log_check *at = &v->log;
    struct wal_entry *entry = NULL;
    enum dp_status status = wal_entry_parse(bytes, &entry, &call->error);
    if (status)
        return status;
    bool gap = ends_in_gap(at);
    if (entry->head.number != number || !ulid_equal(&entry->head.incarnation, &v->manifest.incarnation))
        status = call_fail(call, DP_CORRUPT, "it is not entry %" PRIu64 " of this namespace", number);
    else if (!gap && entry->head.chain != at->hash)
        status = call_fail(call, DP_CORRUPT, "it does not carry the hash of the entry before it");
    if (status == DP_OK)
        status = note_written(call, v, entry);
    if (status == DP_OK) {
        if (gap)
            at->gaps[at->gap_count - 1].chain = entry->head.chain;
        at->number = number;
        at->hash = entry->hash;
        v->result->entries++;
    }
    wal_entry_release(entry);
    return status;
}

/* Verifies the next entry. */
static enum dp_status check_entry(struct call *call, struct verification *v, uint64_t number)
{
    struct object_key key;
    key_of_wal(&key, v->name, &v->manifest.incarnation, number);
    struct store_read_req req = {.key = object_key_span(&key), .len = STORE_TO_END};
    uint64_t chain = 0;
    enum dp_status status = store_read(call, v->store, &req, 1);
    const bool missing = status == DP_NOT_FOUND;
    if (missing)
        call_fail(call, DP_NOT_FOUND, "the log lacks this entry, but has later ones");
    if (status == DP_OK) {
        status = parse_entry(call, v, req.bytes.span, number);
        chain = status == DP_OK ? 0 : last_hash(req.bytes.span);
    }
    store_read_release(&req, 1);
    if (status == DP_OK)
        return DP_OK;
    status = verify_fault(call, v, key.text);
    return status == DP_OK ? add_gap(call, &v->log, number, chain, missing) : status;
}

/* Reports entries that no listing shows, and that are too many to read. */
static enum dp_status skip_entries(struct call *call, struct verification *v, uint64_t last)
{
    struct object_key key;
    key_of_wal(&key, v->name, &v->manifest.incarnation, v->log.number + 1);
    call_fail(call, DP_NOT_FOUND, "the log lacks the entries from this one to %" PRIu64 ", but has later ones",
              last);
    enum dp_status status = verify_fault(call, v, key.text);
    return status == DP_OK ? add_gap(call, &v->log, last, 0, true) : status;
}

enum dp_status verify_log_entry(struct call *call, struct verification *v, uint64_t number)
{
    enum dp_status status = DP_OK;
    if (number - v->log.number > GAP_READS_MAX)
        status = skip_entries(call, v, number - 1);
    while (v->log.number < number && status == DP_OK)
        status = check_entry(call, v, v->log.number + 1);
    return status;
}
