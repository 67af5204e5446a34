/* fuzz_wal_entry.c: any bytes as a log entry. The target corrects the checksum, to reach the parser behind it. Checked
 * beyond memory safety: an accepted entry, encoded again, gives equal records; a tail accepts the entry; a copy that
 * lacks the last byte is refused. */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "index/wal/tail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_again(const struct wal_entry *entry, struct wal_encoder *e)
{
    wal_encode_begin(e, &entry->head);
    for (size_t i = 0; i < entry->count; i++) {
        const struct wal_record *r = &entry->records[i];
        switch (r->kind) {
        case WAL_ROW: wal_encode_row(e, r->key, r->vectors, r->windows, r->document); break;
        case WAL_DELETED: wal_encode_deleted(e, r->key); break;
        case WAL_KEY: wal_encode_write_key(e, r->document); break;
        default: wal_encode_load(e, r->kind, &r->load);
        }
    }
}

static void check_equal(const struct wal_entry *a, const struct wal_entry *b)
{
    if (a->count != b->count || a->head.number != b->head.number || a->head.chain != b->head.chain)
        abort();
    for (size_t i = 0; i < a->count; i++) {
        const struct wal_record *x = &a->records[i], *y = &b->records[i];
        size_t len = (size_t)x->windows * a->head.dim * sizeof(float);
        if (x->kind != y->kind || !span_equal(x->key, y->key) || !span_equal(x->document, y->document) ||
            x->windows != y->windows || (len && memcmp(x->vectors, y->vectors, len) != 0) ||
            !ulid_equal(&x->load, &y->load))
            abort();
    }
}

static void use_entry(struct wal_entry *entry)
{
    struct wal_encoder e;
    struct wal_entry *again;
    struct tail tail;
    struct span bytes;
    wal_encoder_init(&e);
    encode_again(entry, &e);
    if (wal_encode_end(&e, &bytes, NULL) != DP_OK || wal_entry_parse(bytes, &again, NULL) != DP_OK)
        abort();
    check_equal(entry, again);
    tail_init(&tail);
    if (tail_append(&tail, entry, NULL) != DP_OK || tail.live > tail.row_count || tail.row_count > entry->count)
        abort();
    tail_deinit(&tail);
    wal_entry_release(again);
    wal_encoder_deinit(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wal_entry *entry;
    uint8_t *copy = malloc(size + 1);
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (size >= WAL_CHECKSUM_LEN) {
        uint64_t sum = checksum64(span_of(copy, size - WAL_CHECKSUM_LEN));
        for (size_t i = 0; i < WAL_CHECKSUM_LEN; i++)
            copy[size - WAL_CHECKSUM_LEN + i] = (uint8_t)(sum >> (8 * i));
    }
    if (wal_entry_parse(span_of(copy, size), &entry, NULL) == DP_OK) {
        use_entry(entry);
        wal_entry_release(entry);
        if (wal_entry_parse(span_of(copy, size - 1), &entry, NULL) == DP_OK)
            abort();
    }
    free(copy);
    return 0;
}
