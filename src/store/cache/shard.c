/* cache/shard.c: a hash table of ranges, three queues of them, and the flights of missing ranges (see shard.h). */
#include "store/cache/shard.h"

#include <assert.h>

#include "base/alloc.h"

enum {
    BUCKETS_MIN = 64,
    SMALL_PART = 10,     /* the small queue gets 1/10 of the budget */
    GHOST_PART = 16,     /* names without bytes take at most 1/16 of the budget */
    ENTRY_PART = 2,      /* one range takes at most 1/2 of the budget */
    TABLE_OVERHEAD = 32, /* bytes of an entry's place in the buckets and of its header in the allocator */
};

enum entry_state {
    FLYING, /* a leader fetches the range */
    KEPT,   /* in the small or the main queue */
    GHOST,  /* in the ghost queue, without bytes */
    GONE    /* in no queue; only the users of its flight still have it */
};

struct cache_entry {
    struct cache_entry *next_in_bucket, *newer, *older;
    struct store_bytes bytes; /* set in the states KEPT and GONE */
    uint64_t size;            /* of the whole object */
    uint64_t store, offset;
    int64_t len;
    uint64_t hash;
    uint64_t weight; /* bytes that it counts in its queue: its cost, or for a ghost the cost before its eviction */
    const _Atomic uint32_t *generation_now;
    uint32_t generation;  /* value of *generation_now when the fetch began */
    struct flight flight; /* while it has users, the entry must not be freed */
    uint16_t key_len;
    uint8_t frequency, state;
    bool in_table, in_main, was_ghost;
    struct store_version version;
    uint8_t key[];
};

bool cache_shard_init(struct cache_shard *s, uint64_t budget, const struct cache_metrics *metrics)
{
    *s = (struct cache_shard){.budget = budget, .small_target = budget / SMALL_PART, .metrics = metrics};
    s->buckets = mem_calloc(BUCKETS_MIN, sizeof(struct cache_entry *));
    if (!s->buckets)
        return false;
    s->bucket_count = BUCKETS_MIN;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->landed, NULL);
    return true;
}

void cache_shard_deinit(struct cache_shard *s)
{
    if (!s->buckets)
        return;
    for (size_t i = 0; i < s->bucket_count; i++)
        for (struct cache_entry *e = s->buckets[i], *next; e; e = next) {
            assert(e->flight.users == 0);
            next = e->next_in_bucket;
            store_bytes_release(&e->bytes);
            mem_free(e);
        }
    mem_free(s->buckets);
    pthread_cond_destroy(&s->landed);
    pthread_mutex_destroy(&s->lock);
}

/* ---- the table: from here to ask_range the caller holds the lock ------------------------------------------- */

static struct cache_entry **entry_bucket(const struct cache_shard *s, uint64_t hash)
{
    return &s->buckets[hash & (s->bucket_count - 1)];
}

/* Doubles the buckets when there are as many entries. When out of memory, the chains grow instead. */
static void grow_table(struct cache_shard *s)
{
    if (s->entry_count < s->bucket_count)
        return;
    struct cache_entry **buckets = mem_calloc(2 * s->bucket_count, sizeof(struct cache_entry *));
    if (!buckets)
        return;
    struct cache_entry **old = s->buckets;
    size_t old_count = s->bucket_count;
    s->buckets = buckets;
    s->bucket_count *= 2;
    for (size_t i = 0; i < old_count; i++)
        for (struct cache_entry *e = old[i], *next; e; e = next) {
            next = e->next_in_bucket;
            struct cache_entry **to = entry_bucket(s, e->hash);
            e->next_in_bucket = *to;
            *to = e;
        }
    mem_free(old);
}

static bool is_range(const struct cache_entry *e, const struct cache_range *r)
{
    return e->hash == r->hash && e->store == r->store && e->offset == r->offset && e->len == r->len &&
           store_version_equal(&e->version, r->version) && span_equal(span_of(e->key, e->key_len), r->key);
}

static bool is_dead(const struct cache_entry *e)
{
    return e->generation != atomic_load(e->generation_now);
}

static void leave_table(struct cache_shard *s, struct cache_entry *e)
{
    struct cache_entry **at = entry_bucket(s, e->hash);
    while (*at != e)
        at = &(*at)->next_in_bucket;
    *at = e->next_in_bucket;
    e->in_table = false;
    s->entry_count--;
}

static struct cache_entry *entry_new(struct cache_shard *s, const struct cache_range *r)
{
    assert(r->key.len <= STORE_KEY_MAX);
    struct cache_entry *e = mem_alloc(sizeof *e + r->key.len);
    if (!e)
        return NULL;
    *e = (struct cache_entry){.store = r->store,
                              .offset = r->offset,
                              .len = r->len,
                              .hash = r->hash,
                              .generation_now = r->generation,
                              .key_len = (uint16_t)r->key.len,
                              .version = *r->version};
    memcpy(e->key, r->key.data, r->key.len);
    grow_table(s);
    struct cache_entry **to = entry_bucket(s, r->hash);
    e->next_in_bucket = *to;
    *to = e;
    e->in_table = true;
    s->entry_count++;
    return e;
}

/* ---- the queues ------------------------------------------------------------------------------------------ */

static uint64_t overhead_of(size_t key_len)
{
    return sizeof(struct cache_entry) + key_len + TABLE_OVERHEAD;
}

/* Returns the bytes that a kept entry takes. The block of its range may have more memory than the range needs. */
static uint64_t cost_of(const struct cache_entry *e)
{
    return overhead_of(e->key_len) + store_block_capacity(e->bytes.block);
}

static void count_used(struct cache_shard *s, uint64_t plus, uint64_t minus)
{
    s->used = s->used + plus - minus;
    metric_add(s->metrics->bytes, (int64_t)(plus - minus));
}

static void queue_push(struct cache_queue *q, struct cache_entry *e)
{
    e->older = q->newest;
    e->newer = NULL;
    *(q->newest ? &q->newest->newer : &q->oldest) = e;
    q->newest = e;
    q->bytes += e->weight;
}

static void queue_pull(struct cache_queue *q, struct cache_entry *e)
{
    *(e->newer ? &e->newer->older : &q->newest) = e->older;
    *(e->older ? &e->older->newer : &q->oldest) = e->newer;
    q->bytes -= e->weight;
}

static void drop_if_unused(struct cache_entry *e)
{
    if (e->flight.users > 0 || e->in_table)
        return;
    store_bytes_release(&e->bytes);
    mem_free(e);
}

/* Takes a kept entry out of its queue and the table. It is freed when it has no users. */
static void remove_kept(struct cache_shard *s, struct cache_entry *e)
{
    queue_pull(e->in_main ? &s->main : &s->small, e);
    count_used(s, 0, cost_of(e));
    metric_add(s->metrics->evictions, 1);
    leave_table(s, e);
    e->state = GONE;
    drop_if_unused(e);
}

static void remove_ghost(struct cache_shard *s, struct cache_entry *e)
{
    queue_pull(&s->ghost, e);
    s->ghost_overhead -= overhead_of(e->key_len);
    count_used(s, 0, overhead_of(e->key_len));
    leave_table(s, e);
    drop_if_unused(e);
}

/* Removes ghosts until the ranges that they stand for would fit into the main queue, and until their names fit
 * into their part of the budget. */
static void trim_ghosts(struct cache_shard *s)
{
    while (s->ghost.oldest && (s->ghost.bytes > s->budget - s->small_target ||
                               s->ghost_overhead > s->budget / GHOST_PART || s->used > s->budget))
        remove_ghost(s, s->ghost.oldest);
}

/* Turns an entry that is in no queue and has no users into a ghost. */
static void add_ghost(struct cache_shard *s, struct cache_entry *e, uint64_t weight)
{
    store_bytes_release(&e->bytes);
    e->state = GHOST;
    e->weight = weight;
    queue_push(&s->ghost, e);
    s->ghost_overhead += overhead_of(e->key_len);
    count_used(s, overhead_of(e->key_len), 0);
    trim_ghosts(s);
}

static void evict_small(struct cache_shard *s)
{
    struct cache_entry *e = s->small.oldest;
    if (is_dead(e) || (e->frequency <= 1 && e->flight.users > 0)) {
        remove_kept(s, e);
        return;
    }
    queue_pull(&s->small, e);
    if (e->frequency > 1) {
        e->frequency = 0;
        e->in_main = true;
        queue_push(&s->main, e);
        return;
    }
    count_used(s, 0, cost_of(e));
    metric_add(s->metrics->evictions, 1);
    add_ghost(s, e, e->weight);
}

static void evict_main(struct cache_shard *s)
{
    struct cache_entry *e = s->main.oldest;
    if (is_dead(e) || e->frequency == 0) {
        remove_kept(s, e);
        return;
    }
    e->frequency--;
    queue_pull(&s->main, e);
    queue_push(&s->main, e);
}

/* Evicts until `need` bytes are free. `need` is at most the budget. */
static void evict_for(struct cache_shard *s, uint64_t need)
{
    while (s->used + need > s->budget) {
        if (s->small.oldest && (s->small.bytes >= s->small_target || !s->main.oldest))
            evict_small(s);
        else if (s->main.oldest)
            evict_main(s);
        else
            remove_ghost(s, s->ghost.oldest);
    }
}

/* Takes an entry that is in no queue out of the table. It is freed when it has no users. */
static void let_go(struct cache_shard *s, struct cache_entry *e)
{
    if (e->in_table)
        leave_table(s, e);
    e->state = GONE;
    drop_if_unused(e);
}

/* Puts a landed entry into a queue if its range is worth the room. May free the entry. */
static void keep_entry(struct cache_shard *s, struct cache_entry *e)
{
    uint64_t cost = cost_of(e);
    bool known = e->was_ghost || e->frequency > 1;
    if (e->bytes.span.len > s->small_target && !known && s->used + cost > s->budget) {
        /* This range would evict ranges that callers ask for more often, so keep only its name for now. */
        if (e->flight.users == 0)
            add_ghost(s, e, cost);
        else
            let_go(s, e);
        return;
    }
    evict_for(s, cost);
    e->state = KEPT;
    e->weight = cost;
    e->in_main = e->was_ghost;
    if (e->in_main)
        e->frequency = 0;
    queue_push(e->in_main ? &s->main : &s->small, e);
    count_used(s, cost, 0);
}

/* ---- asking and landing ------------------------------------------------------------------------------------ */

static void deliver_bytes(const struct cache_entry *e, struct store_bytes *bytes, uint64_t *size)
{
    *bytes = store_bytes_retain(e->bytes);
    *size = e->size;
}

/* Returns the entry of a range; NULL if there is none or if the object may have changed since. Removes a dead
 * entry. */
static struct cache_entry *find_entry(struct cache_shard *s, const struct cache_range *range)
{
    struct cache_entry *e = *entry_bucket(s, range->hash);
    while (e && !is_range(e, range))
        e = e->next_in_bucket;
    if (!e || !is_dead(e))
        return e;
    if (e->state == KEPT)
        remove_kept(s, e);
    else if (e->state == GHOST)
        remove_ghost(s, e);
    else
        leave_table(s, e); /* its users began before the change, and may have the old bytes */
    return NULL;
}

static enum flight_answer ask_range(struct cache_shard *s, const struct cache_range *range,
                                    struct cache_entry **entry, struct store_bytes *bytes, uint64_t *size)
{
    struct cache_entry *e = find_entry(s, range);
    if (e && e->state != GHOST) {
        if (e->frequency < CACHE_FREQUENCY_MAX)
            e->frequency++;
        *entry = e;
        if (e->state == FLYING) {
            flight_join(&e->flight);
            return FLIGHT_WAIT;
        }
        deliver_bytes(e, bytes, size);
        return FLIGHT_HIT;
    }
    if (e) {
        queue_pull(&s->ghost, e);
        s->ghost_overhead -= overhead_of(e->key_len);
        count_used(s, 0, overhead_of(e->key_len));
        e->was_ghost = true;
    } else {
        e = entry_new(s, range);
        if (!e)
            return FLIGHT_NOMEM;
    }
    e->state = FLYING;
    e->frequency = 0;
    e->generation = atomic_load(e->generation_now);
    flight_begin(&e->flight);
    *entry = e;
    return FLIGHT_LEAD;
}

enum flight_answer cache_shard_ask(struct cache_shard *s, const struct cache_range *range,
                                   struct cache_entry **entry, struct store_bytes *bytes, uint64_t *size)
{
    pthread_mutex_lock(&s->lock);
    enum flight_answer answer = ask_range(s, range, entry, bytes, size);
    pthread_mutex_unlock(&s->lock);
    struct metric *const counted[] = {
        [FLIGHT_HIT] = s->metrics->hits, [FLIGHT_WAIT] = s->metrics->waits, [FLIGHT_LEAD] = s->metrics->misses};
    if (answer != FLIGHT_NOMEM)
        metric_add(counted[answer], 1);
    return answer;
}

bool cache_shard_takes(const struct cache_shard *s, const struct cache_range *range, uint64_t len)
{
    uint64_t overhead = overhead_of(range->key.len), most = s->budget / ENTRY_PART;
    return len > 0 && overhead <= most && len <= most - overhead;
}

void cache_shard_land(struct cache_shard *s, struct cache_entry *e, const struct store_bytes *bytes, uint64_t size,
                      bool kept)
{
    pthread_mutex_lock(&s->lock);
    if (bytes) {
        e->bytes = *bytes;
        e->size = size;
    }
    flight_land(&e->flight, &s->landed, bytes != NULL);
    if (e->in_table && bytes && kept && !is_dead(e))
        keep_entry(s, e);
    else
        let_go(s, e);
    pthread_mutex_unlock(&s->lock);
}

enum flight_end cache_shard_wait(struct call *call, struct cache_shard *s, struct cache_entry *e,
                                 struct store_bytes *bytes, uint64_t *size)
{
    pthread_mutex_lock(&s->lock);
    enum flight_end end = flight_wait(call, &e->flight, &s->landed, &s->lock);
    if (end == FLIGHT_LANDED)
        deliver_bytes(e, bytes, size);
    flight_leave(&e->flight);
    drop_if_unused(e);
    pthread_mutex_unlock(&s->lock);
    return end;
}
