/* account/key_memory.h: remembers keys for a while, so that a request with a known key costs one hash and one
 * look-up.
 *
 * The memory finds a key by a keyed hash of its text, and does not store the text. The table has a fixed size: a new
 * entry replaces the oldest entry of its set. Thread-safe; each part of the table has a lock, held briefly. */
#ifndef ACCOUNT_KEY_MEMORY_H
#define ACCOUNT_KEY_MEMORY_H

#include "account/quota.h"
#include "account/records.h"
#include "account/siphash.h"

/* A right key. Freed with its last reference. */
struct account_key {
    _Atomic unsigned refs;
    struct quotas *quotas;
    struct quota_user *user;
    struct key_count *count;
    char id[ULID_LEN + 1];
    char hash[KEY_HASH_MAX + 1]; /* the stored hash at the time of the check */
    unsigned rights;
    int64_t expires_ms; /* 0: never */
    _Atomic int64_t checked_ns;
    _Atomic bool checking; /* a thread asks the database whether the key is still good */
    struct span namespaces;
    uint8_t bytes[]; /* `namespaces` points to them */
};

/* Makes a key from its record. The caller owns one reference. NULL: out of memory. */
struct account_key *account_key_new(struct quotas *quotas, const struct key_record *record, int64_t checked_ns);
struct account_key *account_key_hold(struct account_key *key);
void account_key_release(struct account_key *key); /* NULL is fine */

struct key_memory;

/* Makes a memory for about `keys` keys. */
enum dp_status key_memory_new(size_t keys, struct key_memory **out, struct dp_error *error);
void key_memory_free(struct key_memory *m); /* NULL is fine */

/* Whether the memory has the digest, and since when. *out gets a reference to the key, or NULL for a wrong key.
 * `out` may be NULL. */
bool key_memory_find(struct key_memory *m, const uint8_t digest[SIPHASH_BYTES], struct account_key **out,
                     int64_t *since_ns);
/* Remembers a key (NULL: a wrong key). The memory takes one more reference. */
void key_memory_put(struct key_memory *m, const uint8_t digest[SIPHASH_BYTES], struct account_key *key,
                    int64_t now_ns);
void key_memory_forget(struct key_memory *m, const uint8_t digest[SIPHASH_BYTES]);

#endif
