/* vector_cache.c: the memory tier: shards, each with a table, a queue, and the flights of missing vectors. */
#include "embed/vector_cache.h"

#include <assert.h>
#include <pthread.h>

#include "base/alloc.h"

enum {
    SHARDS_MAX = 16,
    SHARD_VECTORS_MIN = 256,   /* minimum vectors of a shard; a small cache has fewer shards */
    SHARD_BYTES_MIN = 1 << 20, /* minimum bytes of a shard; a small cache has fewer shards */
    BUCKETS_MIN = 64,
    BLOCK_OVERHEAD = 32, /* extra bytes of each allocation: bucket and allocator's header */
    TEXT_PART = 8,       /* a printed form may take at most 1/8 of a shard's bytes */
};

struct vector_entry {
    struct vector_entry *next_in_bucket, *newer, *older;
    struct cache_key key;
    struct vector_facts facts;
    struct flight flight; /* the flight's users hold pointers to the entry */
    bool in_table, kept, marked;
    uint32_t dim;
    uint32_t text_len[VECTOR_FORMS];
    uint8_t *text[VECTOR_FORMS]; /* NULL: not printed yet */
    float vector[];
};

/* A part of the cache, chosen by a byte of the key. `lock` guards all fields. */
struct vector_shard {
    pthread_mutex_t lock;
    pthread_cond_t landed;
    struct vector_entry **buckets;
    size_t bucket_count, entry_count;
    struct vector_entry *newest, *oldest, *hand; /* the queue of kept entries; eviction continues at `hand` */
    size_t kept, kept_max;
    uint64_t bytes, bytes_max;
};

struct vector_cache {
    struct metric *evictions, *entries, *bytes;
    size_t shard_count;
    struct vector_shard shards[];
};

/* ---- beginning and end ---- */

static bool shard_init(struct vector_shard *s, size_t vectors, uint64_t bytes)
{
    *s = (struct vector_shard){.kept_max = vectors, .bytes_max = bytes, .bucket_count = BUCKETS_MIN};
    s->buckets = mem_calloc(BUCKETS_MIN, sizeof(struct vector_entry *));
    if (!s->buckets)
        return false;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->landed, NULL);
    return true;
}

static void entry_free(struct vector_entry *e)
{
    for (size_t form = 0; form < VECTOR_FORMS; form++)
        mem_free(e->text[form]);
    mem_free(e);
}

static void shard_deinit(struct vector_shard *s)
{
    if (!s->buckets)
        return;
    for (size_t i = 0; i < s->bucket_count; i++)
        for (struct vector_entry *e = s->buckets[i], *next; e; e = next) {
            assert(e->flight.users == 0);
            next = e->next_in_bucket;
            entry_free(e);
        }
    mem_free(s->buckets);
    pthread_cond_destroy(&s->landed);
    pthread_mutex_destroy(&s->lock);
}

enum dp_status vector_cache_new(size_t vectors, uint64_t bytes, struct vector_cache **out, struct dp_error *error)
{
    size_t shards = SHARDS_MAX;
    while (shards > 1 && (vectors / shards < SHARD_VECTORS_MIN || bytes / shards < SHARD_BYTES_MIN))
        shards /= 2;
    struct vector_cache *cache = mem_calloc(1, sizeof *cache + shards * sizeof cache->shards[0]);
    *out = NULL;
    if (!cache)
        return dp_fail_nomem(error, "the embedding cache");
    cache->shard_count = shards;
    for (size_t i = 0; i < shards; i++)
        if (!shard_init(&cache->shards[i], vectors / shards, bytes / shards)) {
            vector_cache_free(cache);
            return dp_fail_nomem(error, "the embedding cache");
        }
    *out = cache;
    return DP_OK;
}

void vector_cache_free(struct vector_cache *cache)
{
    for (size_t i = 0; cache && i < cache->shard_count; i++)
        shard_deinit(&cache->shards[i]);
    mem_free(cache);
}

enum dp_status vector_cache_add_metrics(struct vector_cache *cache, struct metric_registry *r,
                                        struct dp_error *error)
{
    cache->evictions = metric_counter(r, "dipper_embed_cache_evictions_total", "",
                                      "Vectors evicted from the memory tier to make room.");
    cache->entries = metric_gauge(r, "dipper_embed_cache_entries", "", "Vectors in the memory tier.");
    cache->bytes = metric_gauge(r, "dipper_embed_cache_bytes", "",
                                "Bytes of the memory tier: vectors, their printed forms, and bookkeeping.");
    return cache->evictions && cache->entries && cache->bytes ? DP_OK : dp_fail_nomem(error, "metrics");
}

/* ---- the table: callers hold the shard's lock ---- */

static struct vector_shard *shard_of(struct vector_cache *cache, const struct cache_key *key)
{
    return &cache->shards[key->bytes[0] & (cache->shard_count - 1)];
}

static struct vector_entry **bucket_of_key(const struct vector_shard *s, const struct cache_key *key)
{
    uint64_t hash; /* a key is a digest, so any eight of its bytes are a hash */
    memcpy(&hash, key->bytes + 8, sizeof hash);
    return &s->buckets[hash & (s->bucket_count - 1)];
}

static struct vector_entry *find_entry(const struct vector_shard *s, const struct cache_key *key)
{
    struct vector_entry *e = *bucket_of_key(s, key);
    while (e && memcmp(&e->key, key, sizeof *key) != 0)
        e = e->next_in_bucket;
    return e;
}

static void into_table(struct vector_shard *s, struct vector_entry *e)
{
    struct vector_entry **to = bucket_of_key(s, &e->key);
    e->next_in_bucket = *to;
    *to = e;
    e->in_table = true;
}

static void out_of_table(struct vector_shard *s, struct vector_entry *e)
{
    struct vector_entry **at = bucket_of_key(s, &e->key);
    while (*at != e)
        at = &(*at)->next_in_bucket;
    *at = e->next_in_bucket;
    e->in_table = false;
    s->entry_count--;
}

/* Doubles the buckets when there are as many entries as buckets. If memory runs out, the chains grow instead. */
static void make_buckets(struct vector_shard *s)
{
    if (s->entry_count < s->bucket_count)
        return;
    struct vector_entry **old = s->buckets, **buckets;
    size_t old_count = s->bucket_count;
    buckets = mem_calloc(2 * old_count, sizeof(struct vector_entry *));
    if (!buckets)
        return;
    s->buckets = buckets;
    s->bucket_count *= 2;
    for (size_t i = 0; i < old_count; i++)
        for (struct vector_entry *e = old[i], *next; e; e = next) {
            next = e->next_in_bucket;
            into_table(s, e);
        }
    mem_free(old);
}

/* ---- the queue: callers hold the shard's lock ---- */

static uint64_t weight_of(const struct vector_entry *e)
{
    uint64_t weight = sizeof *e + e->dim * sizeof(float) + BLOCK_OVERHEAD;
    for (size_t form = 0; form < VECTOR_FORMS; form++)
        weight += e->text[form] ? e->text_len[form] + BLOCK_OVERHEAD : 0;
    return weight;
}

static void count_bytes(struct vector_cache *cache, struct vector_shard *s, uint64_t plus, uint64_t minus)
{
    s->bytes = s->bytes + plus - minus;
    metric_add(cache->bytes, (int64_t)(plus - minus));
}

static void evict_entry(struct vector_cache *cache, struct vector_shard *s, struct vector_entry *e)
{
    *(e->newer ? &e->newer->older : &s->newest) = e->older;
    *(e->older ? &e->older->newer : &s->oldest) = e->newer;
    e->kept = false;
    s->kept--;
    count_bytes(cache, s, 0, weight_of(e));
    metric_add(cache->entries, -1);
    metric_add(cache->evictions, 1);
    out_of_table(s, e);
    if (e->flight.users == 0)
        entry_free(e);
}

/* Evicts entries, except `but`, until there is room for `vectors` more vectors and `bytes` more bytes. The shard must
 * be able to hold that many. The hand passes the entries from old to new: a marked entry stays, but loses its mark. */
static void make_shard_room(struct vector_cache *cache, struct vector_shard *s, size_t vectors, uint64_t bytes,
                            const struct vector_entry *but)
{
    while (s->kept + vectors > s->kept_max || s->bytes + bytes > s->bytes_max) {
        struct vector_entry *e = s->hand ? s->hand : s->oldest;
        s->hand = e->newer;
        if (e->marked || e == but)
            e->marked = false;
        else
            evict_entry(cache, s, e);
    }
}

static void keep_entry(struct vector_cache *cache, struct vector_shard *s, struct vector_entry *e)
{
    uint64_t weight = weight_of(e);
    make_shard_room(cache, s, 1, weight, NULL);
    e->kept = true;
    e->older = s->newest;
    e->newer = NULL;
    *(s->newest ? &s->newest->newer : &s->oldest) = e;
    s->newest = e;
    s->kept++;
    count_bytes(cache, s, weight, 0);
    metric_add(cache->entries, 1);
}

/* ---- asking: these functions take the lock ---- */

static void deliver_vector(const struct vector_entry *e, struct arena *arena, struct vector_read *read)
{
    const uint8_t *text = arena ? e->text[read->form] : NULL;
    uint8_t *copy = text ? arena_alloc(arena, e->text_len[read->form]) : NULL;
    assert(e->dim == read->dim);
    read->facts = e->facts;
    read->text = span_of(copy, copy ? e->text_len[read->form] : 0);
    if (copy)
        memcpy(copy, text, e->text_len[read->form]);
    else
        memcpy(read->vector, e->vector, e->dim * sizeof(float));
}

bool vector_cache_read(struct vector_cache *cache, const struct cache_key *key, struct arena *arena,
                       struct vector_read *read)
{
    struct vector_shard *s = shard_of(cache, key);
    pthread_mutex_lock(&s->lock);
    struct vector_entry *e = find_entry(s, key);
    bool hit = e && e->kept;
    if (hit) {
        e->marked = true;
        deliver_vector(e, arena, read);
    }
    pthread_mutex_unlock(&s->lock);
    return hit;
}

static struct vector_entry *take_off(struct vector_shard *s, const struct cache_key *key, uint32_t dim)
{
    struct vector_entry *e = mem_calloc(1, sizeof *e + dim * sizeof(float));
    if (!e)
        return NULL;
    e->key = *key;
    e->dim = dim;
    flight_begin(&e->flight);
    make_buckets(s);
    into_table(s, e);
    s->entry_count++;
    return e;
}

enum flight_answer vector_cache_ask(struct vector_cache *cache, const struct cache_key *key, struct arena *arena,
                                    struct vector_read *read, struct vector_entry **entry)
{
    struct vector_shard *s = shard_of(cache, key);
    enum flight_answer answer;
    pthread_mutex_lock(&s->lock);
    struct vector_entry *e = find_entry(s, key);
    if (!e) {
        e = take_off(s, key, read->dim);
        answer = e ? FLIGHT_LEAD : FLIGHT_NOMEM;
    } else if (e->kept) {
        e->marked = true;
        deliver_vector(e, arena, read);
        answer = FLIGHT_HIT;
    } else {
        e->marked = true; /* two requests want it, so it counts as read */
        flight_join(&e->flight);
        answer = FLIGHT_WAIT;
    }
    *entry = e;
    pthread_mutex_unlock(&s->lock);
    return answer;
}

/* Frees an entry that has no user and is not in the table. */
static void drop_if_unused(struct vector_entry *e)
{
    if (e->flight.users == 0 && !e->in_table)
        entry_free(e);
}

void vector_cache_land(struct vector_cache *cache, struct vector_entry *e, const float *vector,
                       const struct vector_facts *facts)
{
    struct vector_shard *s = shard_of(cache, &e->key);
    pthread_mutex_lock(&s->lock);
    if (vector) {
        memcpy(e->vector, vector, e->dim * sizeof(float));
        e->facts = *facts;
    }
    flight_land(&e->flight, &s->landed, vector != NULL);
    if (vector && s->kept_max > 0 && weight_of(e) <= s->bytes_max)
        keep_entry(cache, s, e);
    else
        out_of_table(s, e);
    drop_if_unused(e);
    pthread_mutex_unlock(&s->lock);
}

enum flight_end vector_cache_wait(struct call *call, struct vector_cache *cache, struct vector_entry *e,
                                  struct vector_read *read)
{
    struct vector_shard *s = shard_of(cache, &e->key);
    pthread_mutex_lock(&s->lock);
    enum flight_end end = flight_wait(call, &e->flight, &s->landed, &s->lock);
    if (end == FLIGHT_LANDED)
        deliver_vector(e, NULL, read);
    flight_leave(&e->flight);
    drop_if_unused(e);
    pthread_mutex_unlock(&s->lock);
    return end;
}

void vector_cache_leave(struct vector_cache *cache, struct vector_entry *e)
{
    struct vector_shard *s = shard_of(cache, &e->key);
    pthread_mutex_lock(&s->lock);
    flight_leave(&e->flight);
    drop_if_unused(e);
    pthread_mutex_unlock(&s->lock);
}

void vector_cache_attach(struct vector_cache *cache, const struct cache_key *key, enum vector_form form,
                         struct span text)
{
    struct vector_shard *s = shard_of(cache, key);
    uint64_t weight = text.len + BLOCK_OVERHEAD;
    if (weight > s->bytes_max / TEXT_PART)
        return;
    uint8_t *copy = mem_alloc(text.len);
    if (!copy)
        return;
    memcpy(copy, text.data, text.len);
    pthread_mutex_lock(&s->lock);
    struct vector_entry *e = find_entry(s, key);
    if (e && e->kept && !e->text[form] && weight_of(e) + weight <= s->bytes_max) {
        make_shard_room(cache, s, 0, weight, e);
        e->text[form] = copy;
        e->text_len[form] = (uint32_t)text.len;
        count_bytes(cache, s, weight, 0);
        copy = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    mem_free(copy);
}
