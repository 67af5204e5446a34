/* cache/cache.c: stores that keep ranges of other stores in memory. This file reads batches through the cache,
 * counts their costs, and invalidates ranges after writes.
 *
 * A hash of store, key, version and range chooses a range's shard (cache/shard.h), so one large object spreads
 * over all shards. A write must invalidate all ranges of its object, wherever they lie. So each key has a
 * generation, which it shares with the keys of the same hash. A write increments the generation. A range of an
 * older generation is dead: no later read gets it. If a fetch was under way during the write, the callers that
 * wait for the fetch get its bytes, but the cache does not keep them.
 */
#include "store/store_cache.h"

#include "base/alloc.h"
#include "base/checksum.h"
#include "store/cache/shard.h"

enum {
    SHARD_BYTES = 32 << 20,
    SHARDS_MAX = 64,
    GENERATIONS = 8192, /* a power of two */
    /* How often a call tries to share a range's fetch with other callers. If their fetches fail, it reads the
     * range without the cache. */
    SHARED_TRIES = 2
};

struct store_cache {
    _Atomic size_t owners;
    _Atomic uint64_t stores;      /* stores made over the cache so far; each gets a number */
    struct cache_metrics metrics; /* set before the first read */
    unsigned shard_count;
    _Atomic uint32_t generations[GENERATIONS];
    struct cache_shard shards[];
};

/* A store over a cache. */
struct cache_store {
    struct store base;
    struct store *inner;
    struct store_cache *cache;
    uint64_t number;
};

struct cache_upload {
    struct store_upload base;
    struct store_upload *inner;
    _Atomic uint32_t *generation;
};

static struct cache_store *cache_of(struct store *store)
{
    return (struct cache_store *)store;
}

static _Atomic uint32_t *generation_of(struct cache_store *c, uint64_t key_hash)
{
    return &c->cache->generations[(key_hash + c->number) & (GENERATIONS - 1)];
}

/* Invalidates the object's ranges. Callers do so after an operation that may have changed the object, whatever its
 * outcome. */
static void mark_changed(struct cache_store *c, struct span key)
{
    atomic_fetch_add(generation_of(c, checksum64(key)), 1);
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

/* The next step for one request of a batch. */
struct cache_plan {
    enum { SETTLED, TO_ASK, TO_PASS, TO_LEAD, TO_WAIT } step;
    struct cache_range range;
    struct cache_shard *shard;
    struct cache_entry *entry;
};

static bool is_kept_kind(const struct store_read_req *req)
{
    return (req->pinned || req->immutable) && !req->if_changed && req->len != 0;
}

/* The last look at the store below: whether the version that a request pins is current. */
struct cache_look {
    const struct store_read_req *req;
    bool current;
};

/* Returns whether the cache may answer a request. Neighbours with one key and version share a look. */
static bool is_current(const struct cache_store *c, const struct store_read_req *req, struct cache_look *last)
{
    if (!c->inner->ops->is_current || !req->pinned)
        return true;
    if (!last->req || last->req->pinned != req->pinned || !span_equal(last->req->key, req->key))
        *last = (struct cache_look){req, c->inner->ops->is_current(c->inner, req->key, req->pinned)};
    return last->current;
}

/* Returns the version of a range that the cache keeps. Ranges of an immutable object have none. */
static const struct store_version *kept_version(const struct store_read_req *req)
{
    static const struct store_version none;
    return req->pinned ? req->pinned : &none;
}

static void name_range(struct cache_store *c, const struct store_read_req *req, struct cache_plan *plan)
{
    const struct {
        uint64_t store, key, version, offset;
        int64_t len;
    } parts = {c->number, checksum64(req->key),
               checksum64(span_of(kept_version(req)->token, kept_version(req)->len)), req->offset, req->len};
    uint64_t hash = checksum64(span_of(&parts, sizeof parts));
    plan->range = (struct cache_range){.store = c->number,
                                       .key = req->key,
                                       .version = kept_version(req),
                                       .offset = req->offset,
                                       .len = req->len,
                                       .hash = hash,
                                       .generation = generation_of(c, parts.key)};
    plan->shard = &c->cache->shards[(hash >> 32) & (c->cache->shard_count - 1)];
}

static void fail_nomem(struct store_read_req *req, struct cache_plan *plan)
{
    plan->step = SETTLED;
    req->status = dp_fail_nomem(&req->error, "a range of the cache");
}

/* Settles a request whose range was in memory. */
static void settle_hit(struct call *call, struct store_read_req *req, struct cache_plan *plan)
{
    plan->step = SETTLED;
    req->version = *kept_version(req);
    call->cost.cache_hits++;
}

/* Asks the cache for a range. Returns whether it must be read. */
static bool ask_shard(struct call *call, struct store_read_req *req, struct cache_plan *plan)
{
    switch (cache_shard_ask(plan->shard, &plan->range, &plan->entry, &req->bytes, &req->size)) {
    case FLIGHT_HIT: settle_hit(call, req, plan); return false;
    case FLIGHT_WAIT: plan->step = TO_WAIT; return false;
    case FLIGHT_LEAD: plan->step = TO_LEAD; return true;
    case FLIGHT_NOMEM: break;
    }
    fail_nomem(req, plan);
    return false;
}

/* Lands a range that this call led, with the store's answer. */
static void land_range(const struct store_read_req *req, const struct cache_plan *plan)
{
    if (req->status != DP_OK || (req->pinned && !store_version_equal(&req->version, req->pinned))) {
        cache_shard_land(plan->shard, plan->entry, NULL, 0, false);
        return;
    }
    struct store_bytes bytes = store_bytes_retain(req->bytes);
    size_t len = bytes.span.len;
    bool keep = cache_shard_takes(plan->shard, &plan->range, len);
    /* A part of a larger block would keep the whole block alive, so copy it. If memory for the copy runs
     * out, the cache does not keep the range. */
    if (keep && store_block_len(bytes.block) != len) {
        struct store_block *own = store_block_new(len);
        keep = own != NULL;
        if (own) {
            memcpy(store_block_data(own), bytes.span.data, len);
            store_bytes_release(&bytes);
            bytes = store_block_bytes(own, 0, len);
            store_block_release(own);
        }
    }
    cache_shard_land(plan->shard, plan->entry, &bytes, req->size, keep);
}

/* Reads `count` ranges in one round: those that this call leads, and those that it reads without the cache
 * (TO_PASS). Lands those that it leads. */
static void fetch_ranges(struct call *call, struct cache_store *c, struct store_read_req *reqs,
                         struct cache_plan *plans, size_t n, size_t count)
{
    struct store_read_req *batch = mem_calloc(count, sizeof *batch);
    size_t at = 0;
    for (size_t i = 0; i < n && batch; i++)
        if (plans[i].step == TO_LEAD || plans[i].step == TO_PASS)
            batch[at++] = reqs[i];
    if (batch)
        store_read_inner(call, c->inner, batch, count);
    at = 0;
    for (size_t i = 0; i < n; i++) {
        bool lead = plans[i].step == TO_LEAD;
        if (!lead && plans[i].step != TO_PASS)
            continue;
        if (batch)
            reqs[i] = batch[at++];
        else
            fail_nomem(&reqs[i], &plans[i]);
        plans[i].step = SETTLED;
        if (lead)
            land_range(&reqs[i], &plans[i]);
    }
    mem_free(batch);
}

/* Waits for a range that another caller fetches. Returns whether to ask for it again. */
static bool wait_for(struct call *call, struct store_read_req *req, struct cache_plan *plan)
{
    switch (cache_shard_wait(call, plan->shard, plan->entry, &req->bytes, &req->size)) {
    case FLIGHT_LANDED: settle_hit(call, req, plan); return false;
    case FLIGHT_FAILED: plan->step = TO_ASK; return true;
    case FLIGHT_LEFT: break;
    }
    plan->step = SETTLED;
    req->status = call->error.status;
    req->error = call->error;
    return false;
}

static void cache_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    struct cache_store *c = cache_of(store);
    /* Allocated on the heap, because a call's arena may be too small for all its reads. */
    struct cache_plan *plans = mem_calloc(n, sizeof *plans);
    struct cache_look look = {0};
    for (size_t i = 0; i < n; i++) {
        if (reqs[i].status != DP_OK)
            continue;
        if (!plans) {
            reqs[i].status = dp_fail_nomem(&reqs[i].error, "a range of the cache");
            continue;
        }
        plans[i].step = is_kept_kind(&reqs[i]) && is_current(c, &reqs[i], &look) ? TO_ASK : TO_PASS;
        if (plans[i].step == TO_ASK)
            name_range(c, &reqs[i], &plans[i]);
    }
    bool again = plans != NULL;
    for (unsigned tries = 0; again; tries++) {
        size_t reading = 0;
        for (size_t i = 0; i < n; i++) {
            if (plans[i].step == TO_ASK && tries < SHARED_TRIES)
                reading += ask_shard(call, &reqs[i], &plans[i]);
            else if (plans[i].step == TO_ASK)
                plans[i].step = TO_PASS;
            reading += plans[i].step == TO_PASS;
        }
        if (reading)
            fetch_ranges(call, c, reqs, plans, n, reading);
        /* Wait only now: others may wait for the ranges that we led. */
        again = false;
        for (size_t i = 0; i < n; i++)
            again |= plans[i].step == TO_WAIT && wait_for(call, &reqs[i], &plans[i]);
    }
    mem_free(plans);
}

/* ---- the rest goes to the inner store ----------------------------------------------------------------------- */

static enum dp_status cache_head(struct call *call, struct store *store, struct span key, struct store_info *out)
{
    struct store *inner = cache_of(store)->inner;
    store_count_request(call, inner);
    return inner->ops->head(call, inner, key, out);
}

static enum dp_status cache_put(struct call *call, struct store *store, struct store_put *put)
{
    struct cache_store *c = cache_of(store);
    store_count_request(call, c->inner);
    enum dp_status status = c->inner->ops->put(call, c->inner, put);
    mark_changed(c, put->key);
    return status;
}

static enum dp_status cache_list(struct call *call, struct store *store, struct span prefix, struct span after,
                                 bool folders, size_t max, struct store_listing *out)
{
    struct store *inner = cache_of(store)->inner;
    store_count_request(call, inner);
    return inner->ops->list(call, inner, prefix, after, folders, max, out);
}

static enum dp_status cache_remove(struct call *call, struct store *store, struct span key)
{
    struct cache_store *c = cache_of(store);
    store_count_request(call, c->inner);
    enum dp_status status = c->inner->ops->remove(call, c->inner, key);
    mark_changed(c, key);
    return status;
}

static enum dp_status cache_upload_begin(struct call *call, struct store *store, struct span key,
                                         struct store_upload **out)
{
    struct cache_store *c = cache_of(store);
    struct cache_upload *upload = mem_alloc(sizeof *upload);
    if (!upload)
        return call_nomem(call, "an upload");
    *upload = (struct cache_upload){.base = {.store = store}, .generation = generation_of(c, checksum64(key))};
    enum dp_status status = c->inner->ops->upload_begin(call, c->inner, key, &upload->inner);
    if (status != DP_OK) {
        mem_free(upload);
        return status;
    }
    *out = &upload->base;
    return DP_OK;
}

static struct cache_upload *cache_upload_of(struct store_upload *upload)
{
    return (struct cache_upload *)upload;
}

static enum dp_status cache_upload_write(struct call *call, struct store_upload *upload, struct span bytes)
{
    struct store_upload *inner = cache_upload_of(upload)->inner;
    return inner->store->ops->upload_write(call, inner, bytes);
}

static enum dp_status cache_upload_finish(struct call *call, struct store_upload *upload,
                                          struct store_version *version)
{
    struct cache_upload *u = cache_upload_of(upload);
    store_count_request(call, u->inner->store);
    enum dp_status status = u->inner->store->ops->upload_finish(call, u->inner, version);
    atomic_fetch_add(u->generation, 1);
    mem_free(u);
    return status;
}

static void cache_upload_abort(struct store_upload *upload)
{
    struct cache_upload *u = cache_upload_of(upload);
    u->inner->store->ops->upload_abort(u->inner);
    mem_free(u);
}

static void cache_free(struct store *store)
{
    struct cache_store *c = cache_of(store);
    store_cache_release(c->cache);
    store_free(c->inner);
    mem_free(c);
}

static enum dp_status cache_add_metrics(struct store *store, struct metric_registry *registry,
                                        struct dp_error *error)
{
    struct cache_store *c = cache_of(store);
    enum dp_status status = store_cache_metrics(c->cache, registry, error);
    return status == DP_OK && c->inner->ops->add_metrics ? c->inner->ops->add_metrics(c->inner, registry, error)
                                                         : status;
}

static const struct store_ops CACHE_OPS = {
    .scheme = "cache",
    .counting = STORE_COUNTS_ALL,
    .read = cache_read,
    .head = cache_head,
    .put = cache_put,
    .list = cache_list,
    .remove = cache_remove,
    .upload_begin = cache_upload_begin,
    .upload_write = cache_upload_write,
    .upload_finish = cache_upload_finish,
    .upload_abort = cache_upload_abort,
    .free = cache_free,
    .add_metrics = cache_add_metrics,
};

/* ---- opening ------------------------------------------------------------------------------------------------ */

static unsigned shards_for(uint64_t bytes)
{
    unsigned shards = 1;
    while (shards < SHARDS_MAX && bytes / (2 * shards) >= SHARD_BYTES)
        shards *= 2;
    return shards;
}

enum dp_status store_cache_make(const struct store_cache_options *options, struct store_cache **out,
                                struct dp_error *error)
{
    unsigned shards = options->shards ? options->shards : shards_for(options->bytes);
    *out = NULL;
    if (shards > SHARDS_MAX || (shards & (shards - 1)) != 0)
        return dp_fail(error, DP_INVALID, "a cache has 1, 2, 4, … %d shards, not %u", SHARDS_MAX, shards);
    struct store_cache *c = mem_calloc(1, sizeof *c + shards * sizeof *c->shards);
    if (!c)
        return dp_fail_nomem(error, "a cache");
    atomic_init(&c->owners, 1);
    c->shard_count = shards;
    for (unsigned i = 0; i < shards; i++)
        if (!cache_shard_init(&c->shards[i], options->bytes / shards, &c->metrics)) {
            store_cache_release(c);
            return dp_fail_nomem(error, "a cache");
        }
    *out = c;
    return DP_OK;
}

struct store_cache *store_cache_retain(struct store_cache *c)
{
    if (c)
        atomic_fetch_add(&c->owners, 1);
    return c;
}

void store_cache_release(struct store_cache *c)
{
    if (!c || atomic_fetch_sub(&c->owners, 1) > 1)
        return;
    for (unsigned i = 0; i < c->shard_count; i++)
        cache_shard_deinit(&c->shards[i]);
    mem_free(c);
}

enum dp_status store_cache_over(struct store_cache *cache, struct store *inner, struct store **out,
                                struct dp_error *error)
{
    struct cache_store *c = mem_calloc(1, sizeof *c);
    *out = NULL;
    if (!c) {
        store_free(inner);
        return dp_fail_nomem(error, "a cache");
    }
    c->base.ops = &CACHE_OPS;
    c->inner = inner;
    c->cache = store_cache_retain(cache);
    c->number = atomic_fetch_add(&cache->stores, 1);
    *out = &c->base;
    return DP_OK;
}

enum dp_status store_cache_new(struct store *inner, const struct store_cache_options *options, struct store **out,
                               struct dp_error *error)
{
    struct store_cache *cache;
    enum dp_status status = store_cache_make(options, &cache, error);
    *out = NULL;
    if (status != DP_OK) {
        store_free(inner);
        return status;
    }
    status = store_cache_over(cache, inner, out, error);
    store_cache_release(cache);
    return status;
}

enum dp_status store_cache_metrics(struct store_cache *c, struct metric_registry *registry, struct dp_error *error)
{
    if (c->metrics.hits)
        return DP_OK; /* the metrics exist already */
    const struct cache_metrics m = {
        .hits =
            metric_counter(registry, "dipper_store_cache_hits_total", "", "Ranges that were in the memory cache."),
        .waits = metric_counter(registry, "dipper_store_cache_waits_total", "",
                                "Ranges that another request was fetching already."),
        .misses = metric_counter(registry, "dipper_store_cache_misses_total", "",
                                 "Ranges that were not in the memory cache and were fetched for it."),
        .evictions = metric_counter(registry, "dipper_store_cache_evictions_total", "",
                                    "Ranges that left the memory cache."),
        .bytes = metric_gauge(registry, "dipper_store_cache_bytes", "", "Memory that the cache holds."),
    };
    if (!m.hits || !m.waits || !m.misses || !m.evictions || !m.bytes)
        return dp_fail_nomem(error, "metrics");
    for (unsigned i = 0; i < c->shard_count; i++)
        metric_add(m.bytes, (int64_t)c->shards[i].used);
    c->metrics = m;
    return DP_OK;
}
