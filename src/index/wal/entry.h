/* index/wal/entry.h: a log entry, in memory and as an object.
 *
 * An entry is one group commit: the effects of some writes on rows, whole rows or deleted ids. The writer of entry n
 * has computed its effects over the state at entry n - 1, so a replay needs nothing but the entry. Each entry holds
 * the hash of the entry before it, so a reader finds a missing or foreign entry.
 *
 * The object, little endian:
 *    0  8   "DPRWAL1\n"
 *    8  u32 format version, 1
 *   12  u32 flags, 0
 *   16  26  ULID of the namespace's incarnation
 *   42  26  ULID of this entry; no two entries have the same
 *   68  u64 number, from 1
 *   76  u64 hash of entry number - 1; for entry 1, wal_chain_start()
 *   84  u32 dimensions of the vectors; 0: no record has a vector
 *   88  u32 count of records
 *   92      records:
 *             u8 kind (enum wal_kind)
 *             row      varint length, id key; varint windows; varint length of the document;
 *                      f32[windows][dim]; document
 *             deleted  varint length, id key
 *             attach   26  ULID of the load
 *             void     26  ULID of the load
 *             key      45  key of a write of this entry (wal/write_key.h)
 *  end  u64 XXH3-64 of all bytes before: the entry's hash
 *
 * A record changes what the records before it, and the entries before this one, have left.
 */
#ifndef INDEX_WAL_ENTRY_H
#define INDEX_WAL_ENTRY_H

#include <stdatomic.h>

#include "base/buffer.h"
#include "index/object_name.h"
#include "index/wal/codes.h"

#define WAL_MAGIC "DPRWAL1\n"

enum {
    WAL_VERSION = 1,
    WAL_HEAD_LEN = 92,    /* bytes before the records */
    WAL_CHECKSUM_LEN = 8, /* bytes after the records */
    WAL_COUNT_AT = 88,    /* offset of the count of records */
    WAL_ENTRY_MAX = 16 * 1024 * 1024,
    WAL_RECORDS_MAX = 1 << 20,
    WAL_KEY_ID_LEN = 16,
    WAL_KEY_LEN = WAL_KEY_ID_LEN + 8 + 8 + 3 * 4 + 1 /* bytes of a key of a write */
};

enum wal_kind { WAL_ROW = 1, WAL_DELETED = 2, WAL_ATTACH = 3, WAL_VOID = 4, WAL_KEY = 5 };

/* One effect. */
struct wal_record {
    enum wal_kind kind;
    struct span key;      /* WAL_ROW, WAL_DELETED: the id key of the row; WAL_KEY: the id of the key */
    uint32_t windows;     /* WAL_ROW: vectors of the row; 0: it has none */
    const float *vectors; /* WAL_ROW: float[windows][dim] */
    struct span
        document;     /* WAL_ROW: the attributes of the row, a JSON object in normal form; WAL_KEY: its bytes */
    struct ulid load; /* WAL_ATTACH, WAL_VOID: a load that the manifest lists as pending */
};

/* The head of an entry. */
struct wal_head {
    struct ulid incarnation, id;
    uint64_t number;
    uint64_t chain; /* hash of entry number - 1 */
    uint32_t dim;
};

/* A parsed entry. It does not change, and counts its references. */
struct wal_entry {
    _Atomic unsigned references;
    struct wal_head head;
    uint64_t hash;
    struct wal_record *records; /* [count]; spans point into `text` */
    size_t count;
    float *vectors;         /* the vectors of all records, in their order */
    struct wal_codes codes; /* of these vectors */
    uint32_t *owners;       /* [codes.count]: position of each vector's row among the rows and deletions */
    size_t rows;            /* records that are rows or deletions */
    uint8_t *text;          /* id keys and documents of all records */
    size_t object_size;     /* bytes of the object */
};

/* Returns the chain of entry 1: a hash of the incarnation's ULID. */
uint64_t wal_chain_start(const struct ulid *incarnation);

/* Initialises *out from the bytes of an object, and keeps none of these bytes. Fails with DP_CORRUPT, DP_UNSUPPORTED
 * for another format version or flags, or DP_NOMEM; then *out is NULL. The caller releases *out. */
enum dp_status wal_entry_parse(struct span bytes, struct wal_entry **out, struct dp_error *error);
/* Returns whether the entry attaches a load or makes it void. Such an entry has one record. */
static inline bool wal_entry_names_load(const struct wal_entry *entry)
{
    return entry->count == 1 && (entry->records[0].kind == WAL_ATTACH || entry->records[0].kind == WAL_VOID);
}
struct wal_entry *wal_entry_retain(struct wal_entry *entry);
void wal_entry_release(struct wal_entry *entry); /* NULL is fine */

/* ---- writing ------------------------------------------------------------------------------------------ */

/* Makes the bytes of an entry. The functions that add a record return no error: wal_encode_end() reports it. */
struct wal_encoder {
    struct buffer out;
    uint32_t dim, count;
};

void wal_encoder_init(struct wal_encoder *e);
void wal_encoder_deinit(struct wal_encoder *e);
/* Begins an entry; forgets the one before. */
void wal_encode_begin(struct wal_encoder *e, const struct wal_head *head);
/* Adds a row: vectors float[windows][dim], or windows 0. */
void wal_encode_row(struct wal_encoder *e, struct span key, const float *vectors, uint32_t windows,
                    struct span document);
void wal_encode_deleted(struct wal_encoder *e, struct span key);
/* Adds WAL_ATTACH or WAL_VOID of a load. */
void wal_encode_load(struct wal_encoder *e, enum wal_kind kind, const struct ulid *load);
/* Returns the maximum bytes that wal_encode_row() adds for such a row. */
size_t wal_row_bytes(struct span key, uint32_t windows, uint32_t dim, struct span document);
/* Adds the key of a write. */
void wal_encode_write_key(struct wal_encoder *e, struct span bytes);
/* Returns the maximum bytes that wal_encode_deleted() adds. */
size_t wal_deleted_bytes(struct span key);
/* Ends the entry; *bytes is valid until the next call on `e`. DP_TOO_LARGE: it has more than WAL_ENTRY_MAX bytes or
 * WAL_RECORDS_MAX records. */
enum dp_status wal_encode_end(struct wal_encoder *e, struct span *bytes, struct dp_error *error);

#endif
