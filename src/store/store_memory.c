/* store_memory.c: a store in this process's memory, for tests and experiments.
 *
 * A mutex (a leaf) guards an array of objects, sorted by key. Bodies are blocks, so a read shares them and copies
 * nothing; a put replaces the block, and readers keep the old one. Each put takes the store's next number as the
 * object's version.
 */
#include "store/store_memory.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/buffer.h"
#include "os/clock.h"
#include "store/implement.h"
#include "store/listing.h"

struct memory_object {
    uint8_t *key;
    size_t key_len;
    struct store_block *body;
    struct store_version version;
};

struct memory_store {
    struct store base;
    struct {
        pthread_mutex_t lock;
        struct memory_object *objects; /* ascending by key */
        size_t count, capacity;
        uint64_t last_version;
    } locked;
};

struct memory_upload {
    struct store_upload base;
    struct buffer body;
    size_t key_len;
    uint8_t key[STORE_KEY_MAX];
};

static struct memory_store *memory_store_of(struct store *store)
{
    return (struct memory_store *)store;
}

/* Returns the position of the first object whose key is ≥ `key`. */
static size_t lower_bound(const struct memory_store *m, struct span key)
{
    size_t low = 0, high = m->locked.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct memory_object *o = &m->locked.objects[middle];
        if (span_compare(span_of(o->key, o->key_len), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Returns the object of that key, or NULL. Sets *at to its position, or to the one at which to insert it. */
static struct memory_object *memory_find(struct memory_store *m, struct span key, size_t *at)
{
    *at = lower_bound(m, key);
    if (*at == m->locked.count)
        return NULL;
    struct memory_object *o = &m->locked.objects[*at];
    return span_equal(span_of(o->key, o->key_len), key) ? o : NULL;
}

static void read_one(struct memory_store *m, struct store_read_req *req)
{
    size_t at;
    const struct memory_object *o = memory_find(m, req->key, &at);
    if (!o) {
        req->status = dp_fail(&req->error, DP_NOT_FOUND, "there is no object %.*s", SPAN_FMT(req->key));
        return;
    }
    if (store_read_settled(req, &o->version, store_block_len(o->body)))
        return;
    uint64_t len;
    req->status = store_range_len(req, req->size, &len, &req->error);
    if (req->status == DP_OK)
        req->bytes = store_block_bytes(o->body, req->offset, len);
}

static void memory_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    (void)call;
    struct memory_store *m = memory_store_of(store);
    pthread_mutex_lock(&m->locked.lock);
    for (size_t i = 0; i < n; i++)
        if (reqs[i].status == DP_OK) {
            read_one(m, &reqs[i]);
            reqs[i].date_ms = os_wall_ms();
        }
    pthread_mutex_unlock(&m->locked.lock);
}

static enum dp_status memory_head(struct call *call, struct store *store, struct span key, struct store_info *out)
{
    struct memory_store *m = memory_store_of(store);
    size_t at;
    pthread_mutex_lock(&m->locked.lock);
    const struct memory_object *o = memory_find(m, key, &at);
    if (o)
        *out = (struct store_info){.size = store_block_len(o->body), .version = o->version};
    pthread_mutex_unlock(&m->locked.lock);
    return o ? DP_OK : call_fail(call, DP_NOT_FOUND, "there is no object %.*s", SPAN_FMT(key));
}

/* Checks the put's condition against the object `now` (NULL: there is no object). */
static enum dp_status check_condition(struct call *call, const struct store_put *put,
                                      const struct memory_object *now)
{
    if (put->condition == STORE_IF_ABSENT && now)
        return call_fail(call, DP_EXISTS, "%.*s exists already", SPAN_FMT(put->key));
    if (put->condition == STORE_IF_VERSION && !now)
        return call_fail(call, DP_CONFLICT, "%.*s is gone", SPAN_FMT(put->key));
    if (put->condition == STORE_IF_VERSION && !store_version_equal(&now->version, put->expected))
        return call_fail(call, DP_CONFLICT, "%.*s was changed by another writer", SPAN_FMT(put->key));
    return DP_OK;
}

/* Makes room for one more object. Returns false when out of memory. */
static bool reserve_object(struct memory_store *m)
{
    struct memory_object *objects =
        array_reserve(m->locked.objects, m->locked.count, &m->locked.capacity, sizeof *objects, 16);
    if (!objects)
        return false;
    m->locked.objects = objects;
    return true;
}

/* Puts `body`, which the store owns on success. The caller holds the lock. */
static enum dp_status put_locked(struct call *call, struct memory_store *m, struct store_put *put,
                                 struct store_block *body)
{
    size_t at;
    struct memory_object *o = memory_find(m, put->key, &at);
    enum dp_status status = check_condition(call, put, o);
    if (status != DP_OK)
        return status;
    if (!o) {
        uint8_t *key = mem_alloc(put->key.len);
        if (!key || !reserve_object(m)) {
            mem_free(key);
            return call_nomem(call, "an object in memory");
        }
        memcpy(key, put->key.data, put->key.len);
        o = &m->locked.objects[at];
        memmove(o + 1, o, (m->locked.count - at) * sizeof *o);
        m->locked.count++;
        *o = (struct memory_object){.key = key, .key_len = put->key.len};
    }
    store_block_release(o->body);
    o->body = body;
    int len = snprintf(o->version.token, sizeof o->version.token, "m%" PRIx64, ++m->locked.last_version);
    o->version.len = (uint8_t)len;
    put->version = o->version;
    return DP_OK;
}

static enum dp_status memory_put(struct call *call, struct store *store, struct store_put *put)
{
    struct memory_store *m = memory_store_of(store);
    struct store_block *body = store_block_new(put->body.len);
    if (!body)
        return call_nomem(call, "an object in memory");
    if (put->body.len)
        memcpy(store_block_data(body), put->body.data, put->body.len);
    pthread_mutex_lock(&m->locked.lock);
    enum dp_status status = put_locked(call, m, put, body);
    put->date_ms = os_wall_ms();
    pthread_mutex_unlock(&m->locked.lock);
    if (status != DP_OK)
        store_block_release(body);
    return status;
}

static enum dp_status memory_list(struct call *call, struct store *store, struct span prefix, struct span after,
                                  bool folders, size_t max, struct store_listing *out)
{
    struct memory_store *m = memory_store_of(store);
    struct store_lister lister;
    store_lister_init(&lister, call, prefix, after, folders, max, out);
    enum dp_status status = DP_OK;
    bool full = false;
    pthread_mutex_lock(&m->locked.lock);
    for (size_t i = lower_bound(m, prefix); i < m->locked.count && status == DP_OK && !full; i++) {
        const struct memory_object *o = &m->locked.objects[i];
        struct span key = span_of(o->key, o->key_len);
        if (!span_starts_with(key, prefix))
            break;
        status = store_lister_add(&lister, key, store_block_len(o->body), &full);
    }
    pthread_mutex_unlock(&m->locked.lock);
    return status;
}

static enum dp_status memory_remove(struct call *call, struct store *store, struct span key)
{
    (void)call;
    struct memory_store *m = memory_store_of(store);
    size_t at;
    pthread_mutex_lock(&m->locked.lock);
    struct memory_object *o = memory_find(m, key, &at);
    if (o) {
        mem_free(o->key);
        store_block_release(o->body);
        m->locked.count--;
        memmove(o, o + 1, (m->locked.count - at) * sizeof *o);
    }
    pthread_mutex_unlock(&m->locked.lock);
    return DP_OK;
}

static enum dp_status memory_upload_begin(struct call *call, struct store *store, struct span key,
                                          struct store_upload **out)
{
    struct memory_upload *u = mem_alloc(sizeof *u);
    if (!u)
        return call_nomem(call, "an upload");
    u->base.store = store;
    buffer_init(&u->body, SIZE_MAX / 2);
    u->key_len = key.len;
    memcpy(u->key, key.data, key.len);
    *out = &u->base;
    return DP_OK;
}

static enum dp_status memory_upload_write(struct call *call, struct store_upload *upload, struct span bytes)
{
    struct memory_upload *u = (struct memory_upload *)upload;
    buffer_append(&u->body, bytes);
    return buffer_check(&u->body, "an upload", &call->error);
}

static void memory_upload_abort(struct store_upload *upload)
{
    struct memory_upload *u = (struct memory_upload *)upload;
    buffer_deinit(&u->body);
    mem_free(u);
}

static enum dp_status memory_upload_finish(struct call *call, struct store_upload *upload,
                                           struct store_version *version)
{
    struct memory_upload *u = (struct memory_upload *)upload;
    struct store_put put = {.key = span_of(u->key, u->key_len), .body = buffer_span(&u->body)};
    enum dp_status status = buffer_check(&u->body, "an upload", &call->error);
    if (status == DP_OK)
        status = memory_put(call, upload->store, &put);
    *version = put.version;
    memory_upload_abort(upload);
    return status;
}

static void memory_free(struct store *store)
{
    struct memory_store *m = memory_store_of(store);
    for (size_t i = 0; i < m->locked.count; i++) {
        mem_free(m->locked.objects[i].key);
        store_block_release(m->locked.objects[i].body);
    }
    mem_free(m->locked.objects);
    pthread_mutex_destroy(&m->locked.lock);
    mem_free(m);
}

static const struct store_ops MEMORY_OPS = {
    .scheme = "mem",
    .read = memory_read,
    .head = memory_head,
    .put = memory_put,
    .list = memory_list,
    .remove = memory_remove,
    .upload_begin = memory_upload_begin,
    .upload_write = memory_upload_write,
    .upload_finish = memory_upload_finish,
    .upload_abort = memory_upload_abort,
    .free = memory_free,
};

enum dp_status store_memory_open(struct call *call, struct store **out)
{
    struct memory_store *m = mem_calloc(1, sizeof *m);
    if (!m)
        return call_nomem(call, "a store in memory");
    m->base.ops = &MEMORY_OPS;
    pthread_mutex_init(&m->locked.lock, NULL);
    *out = &m->base;
    return DP_OK;
}
