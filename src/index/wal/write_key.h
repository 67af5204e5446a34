/* index/wal/write_key.h: keys that make writes count once, in the log and in .keys objects.
 *
 * A client that may send a write twice gives it a key. The log entry of the write holds the key, and what the write
 * did. A fold moves the keys of its entries into a .keys object, which the manifest lists and which also has the keys
 * of earlier folds. So before a write is judged, its key is looked up in the tail and in that object. A write whose
 * key is there is not made again. Keys count for WRITE_KEY_MS; of more than WRITE_KEYS_MAX folded keys the oldest are
 * dropped.
 *
 * The object, little endian:
 *    0  8   "DPRKEY1\n"
 *    8  u32 format version, 1
 *   12  u32 count of keys
 *   16  26  ULID of the object
 *   42  26  ULID of the incarnation
 *   68      count × a key, ascending by id, none twice
 *  end  u64 XXH3-64 of all bytes before
 *
 * A key, in this object and in a log entry: 16 bytes id; u64 hash of the request; u64 Unix time in ms; u32 rows
 * upserted, u32 patched, u32 deleted; u8 1 if more rows matched a partial filter, else 0.
 */
#ifndef INDEX_WRITE_KEY_H
#define INDEX_WRITE_KEY_H

#include "index/manifest/manifest.h"
#include "index/wal/entry.h"

#define WRITE_KEYS_MAGIC "DPRKEY1\n"
#define WRITE_KEY_MS     (INT64_C(24) * 3600 * 1000)

enum {
    WRITE_KEYS_VERSION = 1,
    WRITE_KEYS_FIXED_LEN = 76, /* bytes of an object beside its keys */
    WRITE_KEYS_MAX = 1000 * 1000
};

struct write_key {
    uint8_t id[WAL_KEY_ID_LEN]; /* the first half of the SHA-256 of the client's key */
    uint64_t request;           /* hash of the request: the key is for this one only */
    int64_t at_ms;              /* when it was written, by the store's clock */
    uint32_t upserted, patched, deleted;
    bool remaining;
};

/* Sets the id of a client's key. */
void write_key_identify(struct span key, struct write_key *out);
/* Writes the key as a log record or an object has it. */
void write_key_put(const struct write_key *key, uint8_t out[WAL_KEY_LEN]);
/* Reads a key. Returns false for bytes that write_key_put() never makes. */
bool write_key_get(struct span bytes, struct write_key *out);
/* Reads the key of a record of kind WAL_KEY. */
struct write_key write_key_of(const struct wal_record *record);

/* The keys of a .keys object. */
struct key_set {
    struct write_key *keys; /* [count], owned, ascending by id */
    size_t count;
};

void key_set_deinit(struct key_set *set);
/* Returns the key of this id, or NULL. */
const struct write_key *key_set_find(const struct key_set *set, const uint8_t id[WAL_KEY_ID_LEN]);
/* Sorts keys and keeps the newest of each id. Drops those that are older than WRITE_KEY_MS at now_ms, and then the
 * oldest until `most` are left. Returns how many are left. */
size_t key_set_settle(struct write_key *keys, size_t count, int64_t now_ms, size_t most);
/* Appends the object `id` of an incarnation. The keys are settled. */
void key_set_write(const struct key_set *set, const struct ulid *id, const struct ulid *incarnation,
                   struct buffer *out);
/* Initialises *out from the object that the manifest `m` lists. Fails with DP_CORRUPT, DP_UNSUPPORTED or DP_NOMEM; then
 * *out is empty. */
enum dp_status key_set_parse(struct span bytes, const struct manifest *m, struct key_set *out,
                             struct dp_error *error);
/* Reads the object that the manifest of the namespace `name` lists; *out is empty if it lists none. Fails with DP_STALE
 * when the object is missing, or as key_set_parse() does. The caller deinits *out. */
enum dp_status key_set_read(struct call *call, struct store *store, struct span name, const struct manifest *m,
                            struct key_set *out);

#endif
