/* key_memory.c: a set-associative table: a digest may lie in any of the WAYS places of its set. */
#include "account/key_memory.h"

#include <openssl/crypto.h>
#include <pthread.h>

#include "base/alloc.h"

enum { PARTS = 64, WAYS = 8 };

struct memory_place {
    bool taken;
    uint8_t digest[SIPHASH_BYTES];
    struct account_key *key;
    int64_t since_ns;
};

struct memory_part {
    pthread_mutex_t lock;        /* guards the places */
    struct memory_place *places; /* [sets][WAYS] */
};

struct key_memory {
    size_t sets; /* of each part; a power of two */
    struct memory_part parts[PARTS];
};

/* ---- keys ------------------------------------------------------------------------------------------- */

struct account_key *account_key_new(struct quotas *quotas, const struct key_record *record, int64_t checked_ns)
{
    struct account_key *key = record->id.len <= ULID_LEN && record->hash.len <= KEY_HASH_MAX
                                  ? mem_calloc(1, sizeof *key + record->namespaces.len)
                                  : NULL;
    if (!key)
        return NULL;
    key->quotas = quotas;
    key->user = quota_user_get(quotas, record->user_id, record->tier);
    key->count = key->user ? quota_key_count(quotas, key->user, record->id) : NULL;
    if (!key->count) {
        if (key->user)
            quota_user_release(quotas, key->user);
        mem_free(key);
        return NULL;
    }
    memcpy(key->id, record->id.data, record->id.len);
    memcpy(key->hash, record->hash.data, record->hash.len);
    if (record->namespaces.len)
        memcpy(key->bytes, record->namespaces.data, record->namespaces.len);
    key->namespaces = span_of(key->bytes, record->namespaces.len);
    key->rights = record->rights;
    key->expires_ms = record->expires_ms;
    atomic_store(&key->refs, 1);
    atomic_store(&key->checked_ns, checked_ns);
    return key;
}

struct account_key *account_key_hold(struct account_key *key)
{
    atomic_fetch_add_explicit(&key->refs, 1, memory_order_relaxed);
    return key;
}

void account_key_release(struct account_key *key)
{
    if (!key || atomic_fetch_sub(&key->refs, 1) > 1)
        return;
    quota_user_release(key->quotas, key->user);
    mem_free(key);
}

/* ---- the table -------------------------------------------------------------------------------------- */

enum dp_status key_memory_new(size_t keys, struct key_memory **out, struct dp_error *error)
{
    *out = NULL;
    struct key_memory *m = mem_calloc(1, sizeof *m);
    if (!m)
        return dp_fail_nomem(error, "the memory of keys");
    m->sets = 1;
    while (m->sets * PARTS * WAYS < keys)
        m->sets *= 2;
    bool good = true;
    for (size_t i = 0; i < PARTS; i++) {
        pthread_mutex_init(&m->parts[i].lock, NULL);
        m->parts[i].places = mem_calloc(m->sets * WAYS, sizeof(struct memory_place));
        good = good && m->parts[i].places;
    }
    if (!good) {
        key_memory_free(m);
        return dp_fail_nomem(error, "the memory of keys");
    }
    *out = m;
    return DP_OK;
}

void key_memory_free(struct key_memory *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < PARTS; i++) {
        for (size_t j = 0; m->parts[i].places && j < m->sets * WAYS; j++)
            account_key_release(m->parts[i].places[j].key);
        mem_free(m->parts[i].places);
        pthread_mutex_destroy(&m->parts[i].lock);
    }
    mem_free(m);
}

/* Finds the part and the set of a digest. Clients cannot predict digests, so they cannot fill one set. */
static struct memory_place *set_of(struct key_memory *m, const uint8_t digest[SIPHASH_BYTES],
                                   struct memory_part **part)
{
    uint32_t bits;
    memcpy(&bits, digest + 1, sizeof bits);
    *part = &m->parts[digest[0] % PARTS];
    return (*part)->places + (bits & (m->sets - 1)) * WAYS;
}

/* Finds the digest's place in its set; NULL: it has none. The caller holds the part's lock. */
static struct memory_place *find_place(struct memory_place *set, const uint8_t digest[SIPHASH_BYTES])
{
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].taken && CRYPTO_memcmp(set[i].digest, digest, SIPHASH_BYTES) == 0)
            return &set[i];
    return NULL;
}

bool key_memory_find(struct key_memory *m, const uint8_t digest[SIPHASH_BYTES], struct account_key **out,
                     int64_t *since_ns)
{
    struct memory_part *part;
    struct memory_place *set = set_of(m, digest, &part);
    pthread_mutex_lock(&part->lock);
    const struct memory_place *place = find_place(set, digest);
    if (place) {
        *since_ns = place->since_ns;
        if (out)
            *out = place->key ? account_key_hold(place->key) : NULL;
    }
    pthread_mutex_unlock(&part->lock);
    return place != NULL;
}

void key_memory_put(struct key_memory *m, const uint8_t digest[SIPHASH_BYTES], struct account_key *key,
                    int64_t now_ns)
{
    struct memory_part *part;
    struct memory_place *set = set_of(m, digest, &part);
    pthread_mutex_lock(&part->lock);
    struct memory_place *place = find_place(set, digest);
    for (size_t i = 0; !place && i < WAYS; i++)
        if (!set[i].taken)
            place = &set[i];
    if (!place) {
        place = set;
        for (size_t i = 1; i < WAYS; i++)
            if (set[i].since_ns < place->since_ns)
                place = &set[i];
    }
    struct account_key *before = place->key;
    *place = (struct memory_place){.taken = true, .key = key ? account_key_hold(key) : NULL, .since_ns = now_ns};
    memcpy(place->digest, digest, SIPHASH_BYTES);
    pthread_mutex_unlock(&part->lock);
    account_key_release(before);
}

void key_memory_forget(struct key_memory *m, const uint8_t digest[SIPHASH_BYTES])
{
    struct memory_part *part;
    struct memory_place *set = set_of(m, digest, &part);
    struct account_key *before = NULL;
    pthread_mutex_lock(&part->lock);
    struct memory_place *place = find_place(set, digest);
    if (place) {
        before = place->key;
        *place = (struct memory_place){.taken = false};
    }
    pthread_mutex_unlock(&part->lock);
    account_key_release(before);
}
