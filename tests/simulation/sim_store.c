/* sim_store.c: carries out requests at moments of virtual time, and spoils some of them. */
#include "sim_store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/checksum.h"
#include "sim_trap.h"
#include "store/implement.h"
#include "store/listing.h"

enum { BATCH_MAX = 512 };
static const int64_t MINUTE_NS = 60 * INT64_C(1000000000);
static const int64_t START_MS = INT64_C(1767225600000); /* 2026-01-01 */

struct sim_object {
    char *key;
    size_t key_len;
    struct store_block *body;
    struct store_version version;
};

/* A put that is carried out later. */
struct late_put {
    struct sim_store *store;
    void *op;
    struct store_put put;
    struct store_version expected;
    struct store_block *body;
    char key[STORE_KEY_MAX];
    bool is_trap, taken; /* trap: the put waits until its number was taken and is free again */
    int waits;           /* how many more times it may wait for that */
};

static struct sim_node *node_of(struct store *store)
{
    return (struct sim_node *)store;
}

int64_t sim_store_ms(const struct sim_store *store)
{
    return START_MS + store->sim->now_ns / SIM_NS_PER_MS;
}

size_t sim_store_faults(const struct sim_store *store)
{
    const struct sim_counts *c = &store->counts;
    return (size_t)(c->errors + c->lost + c->late + c->twice + c->stalls + c->crashes);
}

/* ---- objects ----------------------------------------------------------------------------------------- */

static size_t lower_bound(const struct sim_store *store, struct span key)
{
    size_t low = 0, high = store->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct sim_object *o = &store->objects[middle];
        if (span_compare(span_of(o->key, o->key_len), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct sim_object *find_object(const struct sim_store *store, struct span key)
{
    size_t at = lower_bound(store, key);
    if (at == store->count || !span_equal(span_of(store->objects[at].key, store->objects[at].key_len), key))
        return NULL;
    return &store->objects[at];
}

struct span sim_store_get(const struct sim_store *store, struct span key)
{
    const struct sim_object *o = find_object(store, key);
    return o ? span_of(store_block_data(o->body), store_block_len(o->body)) : (struct span){0};
}

static struct store_block *copy_body(struct span body)
{
    struct store_block *block = store_block_new(body.len);
    assert(block);
    if (body.len)
        memcpy(store_block_data(block), body.data, body.len);
    return block;
}

static void set_object(struct sim_store *store, struct span key, struct span body, struct store_version *version)
{
    struct sim_object *o = find_object(store, key);
    if (!o) {
        if (store->count == store->room) {
            store->room = store->room ? 2 * store->room : 64;
            store->objects = realloc(store->objects, store->room * sizeof *store->objects);
            assert(store->objects);
        }
        size_t at = lower_bound(store, key);
        o = &store->objects[at];
        memmove(o + 1, o, (store->count - at) * sizeof *o);
        store->count++;
        *o = (struct sim_object){.key = malloc(key.len), .key_len = key.len};
        assert(o->key);
        memcpy(o->key, key.data, key.len);
    }
    store_block_release(o->body);
    o->body = copy_body(body);
    /* As with S3's ETags, the same bytes put again have the same version. */
    uint64_t sum = checksum64(body);
    for (unsigned i = 0; i < 16; i++)
        o->version.token[i] = "0123456789abcdef"[sum >> (60 - 4 * i) & 15];
    o->version.len = 16;
    *version = o->version;
}

static void remove_object(struct sim_store *store, struct span key)
{
    struct sim_object *o = find_object(store, key);
    if (!o)
        return;
    if (store->removing)
        store->removing(store->watcher, key);
    size_t at = (size_t)(o - store->objects);
    free(o->key);
    store_block_release(o->body);
    store->count--;
    memmove(o, o + 1, (store->count - at) * sizeof *o);
}

/* Carries out a put now. DP_OK, DP_EXISTS or DP_CONFLICT. */
static enum dp_status carry_out(struct sim_store *store, void *op, struct store_put *put)
{
    const struct sim_object *o = find_object(store, put->key);
    put->date_ms = sim_store_ms(store);
    if (put->condition == STORE_IF_ABSENT && o)
        return DP_EXISTS;
    if (put->condition == STORE_IF_VERSION && (!o || !store_version_equal(&o->version, put->expected)))
        return DP_CONFLICT;
    if (store->putting)
        store->putting(store->watcher, op, put->key, put->body);
    set_object(store, put->key, put->body, &put->version);
    return DP_OK;
}

/* ---- faults ------------------------------------------------------------------------------------------ */

/* Returns whether a fault happens now; it happens once in `of` times on average. */
static bool goes_wrong(struct sim_store *store, unsigned of)
{
    return of && !store->calm && sim_chance(store->sim, 1, of);
}

/* Returns how long a request is on its way. Some stall. */
static int64_t travel_ns(struct sim_store *store)
{
    if (goes_wrong(store, store->faults.stall)) {
        store->counts.stalls++;
        return sim_span(store->sim, store->faults.stall_least_ns, store->faults.stall_most_ns);
    }
    return sim_span(store->sim, SIM_NS_PER_MS, 200 * SIM_NS_PER_MS);
}

/* Like travel_ns(), but never stalls. */
static int64_t short_travel_ns(struct sim_store *store)
{
    return sim_span(store->sim, SIM_NS_PER_MS, 200 * SIM_NS_PER_MS);
}

static enum dp_status fail_crashed(struct call *call)
{
    return call_fail(call, DP_CANCELLED, "the process has crashed");
}

/* Crashes the process at some requests. */
static void perhaps_crash(struct sim_node *node)
{
    if (node->crashed || !goes_wrong(node->store, node->store->faults.crash))
        return;
    node->crashed = true;
    node->store->counts.crashes++;
    sim_note(node->store->sim, "%s CRASHES", node->name);
}

/* Lets a request travel to the store. Returns whether it arrives. */
static enum dp_status reach_store(struct call *call, struct sim_node *node)
{
    perhaps_crash(node);
    if (node->crashed)
        return fail_crashed(call);
    node->store->counts.requests++;
    sim_sleep(node->store->sim, travel_ns(node->store));
    if (goes_wrong(node->store, node->store->faults.error)) {
        node->store->counts.errors++;
        return call_fail(call, DP_UNAVAILABLE, "the store does not answer");
    }
    return DP_OK;
}

/* Lets the answer travel back. Returns whether the process still runs. */
static enum dp_status reach_node(struct call *call, struct sim_node *node)
{
    sim_sleep(node->store->sim, travel_ns(node->store));
    perhaps_crash(node);
    return node->crashed ? fail_crashed(call) : DP_OK;
}

static void happen_late(void *context)
{
    struct late_put *late = context;
    if (late->is_trap && late->waits-- > 0 && !trap_is_over(late->store, late->put.key, &late->taken)) {
        sim_later(late->store->sim, MINUTE_NS / 4, happen_late, late);
        return;
    }
    enum dp_status status = carry_out(late->store, late->op, &late->put);
    late->store->counts.late_landed += status == DP_OK;
    sim_note(late->store->sim, "a late put of %.*s is carried out: %s", SPAN_FMT(late->put.key),
             dp_status_name(status));
    store_block_release(late->body);
    free(late);
}

/* Keeps a copy of the put for later. */
static void put_later(struct sim_store *store, void *op, const struct store_put *put, bool is_trap)
{
    struct late_put *late = calloc(1, sizeof *late);
    assert(late);
    *late = (struct late_put){
        .store = store, .op = op, .put = *put, .body = copy_body(put->body), .is_trap = is_trap, .waits = 4 * 240};
    memcpy(late->key, put->key.data, put->key.len);
    late->put.key = span_of(late->key, put->key.len);
    late->put.body = span_of(store_block_data(late->body), put->body.len);
    if (put->expected) {
        late->expected = *put->expected;
        late->put.expected = &late->expected;
    }
    int64_t wait_ns = is_trap ? MINUTE_NS / 4 : sim_span(store->sim, SIM_NS_PER_MS, 240 * MINUTE_NS);
    sim_later(store->sim, wait_ns, happen_late, late);
}

/* ---- operations -------------------------------------------------------------------------------------- */

static void answer_read(struct sim_store *store, struct store_read_req *req)
{
    const struct sim_object *o = find_object(store, req->key);
    uint64_t len;
    req->date_ms = sim_store_ms(store) / 1000 * 1000;
    if (!o) {
        req->status = dp_fail(&req->error, DP_NOT_FOUND, "there is no such object");
        return;
    }
    if (store_read_settled(req, &o->version, store_block_len(o->body)))
        return;
    req->status = store_range_len(req, req->size, &len, &req->error);
    if (req->status == DP_OK)
        req->bytes = store_block_bytes(o->body, req->offset, len);
    if (req->status == DP_OK && store->reading)
        store->reading(store->watcher, store->sim->current->op, req->key,
                       span_of(store_block_data(o->body), store_block_len(o->body)));
}

/* A request of a batch that is on its way. */
struct travelling_read {
    size_t at;
    int64_t arrives_ns;
};

static int compare_travelling(const void *a, const void *b)
{
    const struct travelling_read *left = a, *right = b;
    if (left->arrives_ns != right->arrives_ns)
        return left->arrives_ns < right->arrives_ns ? -1 : 1;
    return left->at < right->at ? -1 : 1;
}

static void fail_read(struct store_read_req *req, enum dp_status status, const char *why)
{
    store_bytes_release(&req->bytes);
    req->status = dp_fail(&req->error, status, "%.*s: %s", SPAN_FMT(req->key), why);
}

static void sim_read(struct call *call, struct store *base, struct store_read_req *reqs, size_t n)
{
    struct sim_node *node = node_of(base);
    struct sim_store *store = node->store;
    struct sim *sim = store->sim;
    struct travelling_read order[BATCH_MAX];
    (void)call;
    assert(n <= BATCH_MAX);
    if (n == 1)
        trap_hold_read(node, reqs->key);
    perhaps_crash(node);
    for (size_t i = 0; i < n; i++)
        order[i] = (struct travelling_read){i, sim->now_ns + (node->crashed ? 0 : short_travel_ns(store))};
    if (!node->crashed) /* one of them may stall, so that hours lie between two reads of a round */
        order[sim_below(sim, n)].arrives_ns = sim->now_ns + travel_ns(store);
    qsort(order, n, sizeof *order, compare_travelling);
    for (size_t i = 0; i < n; i++) {
        struct store_read_req *req = &reqs[order[i].at];
        if (req->status != DP_OK || node->crashed)
            continue;
        store->counts.requests++;
        if (order[i].arrives_ns > sim->now_ns)
            sim_sleep(sim, order[i].arrives_ns - sim->now_ns);
        if (goes_wrong(store, store->faults.error * (unsigned)(1 + n / 8))) {
            store->counts.errors++;
            fail_read(req, DP_UNAVAILABLE, "the store does not answer");
        } else {
            answer_read(store, req);
        }
        if (n < 8 || req->status != DP_NOT_FOUND)
            sim_note(sim, "GET %.*s: %s%s, %zu bytes", SPAN_FMT(req->key), dp_status_name(req->status),
                     req->unchanged ? " unchanged" : "", req->bytes.span.len);
    }
    if (!node->crashed)
        sim_sleep(sim, travel_ns(store));
    perhaps_crash(node);
    for (size_t i = 0; i < n && node->crashed; i++)
        fail_read(&reqs[i], DP_CANCELLED, "the process has crashed");
}

static enum dp_status sim_head(struct call *call, struct store *base, struct span key, struct store_info *out)
{
    struct sim_node *node = node_of(base);
    enum dp_status status = reach_store(call, node);
    if (status)
        return status;
    const struct sim_object *o = find_object(node->store, key);
    if (o)
        *out = (struct store_info){store_block_len(o->body), o->version};
    status = reach_node(call, node);
    if (status == DP_OK && !o)
        status = call_fail(call, DP_NOT_FOUND, "there is no object %.*s", SPAN_FMT(key));
    return status;
}

/* Carries out a put that has arrived, in one of the ways in which that can go. Returns the answer. */
static enum dp_status answer_put(struct call *call, struct sim_node *node, struct store_put *put)
{
    struct sim_store *store = node->store;
    struct sim *sim = store->sim;
    void *op = sim->current->op;
    enum sim_trap trap = trap_put(node, put);
    if (trap == TRAP_KEEP || goes_wrong(store, store->faults.late)) {
        store->counts.late++;
        sim_note(sim, "PUT %.*s: the store keeps it for later", SPAN_FMT(put->key));
        put_later(store, op, put, trap == TRAP_KEEP);
        return call_fail(call, DP_UNKNOWN, "no answer");
    }
    bool twice = goes_wrong(store, store->faults.twice),
         lost = trap == TRAP_LOSE || goes_wrong(store, store->faults.lost);
    if (twice) {
        store->counts.twice++;
        put_later(store, op, put, false);
    }
    enum dp_status status = carry_out(store, op, put);
    store->counts.puts++;
    store->counts.put_refused += status != DP_OK;
    sim_note(sim, "PUT %.*s (%zu bytes): %s%s%s", SPAN_FMT(put->key), put->body.len, dp_status_name(status),
             twice ? ", again later" : "", lost ? ", the answer is lost" : "");
    if (lost || (twice && status != DP_OK)) { /* a refusal may come from the put's own first try */
        store->counts.lost++;
        put->version = (struct store_version){0};
        put->date_ms = 0;
        return call_fail(call, DP_UNKNOWN, "no answer");
    }
    if (status == DP_EXISTS)
        return call_fail(call, status, "%.*s exists already", SPAN_FMT(put->key));
    if (status != DP_OK)
        return call_fail(call, status, "%.*s was changed by another writer", SPAN_FMT(put->key));
    return DP_OK;
}

static enum dp_status sim_put(struct call *call, struct store *base, struct store_put *put)
{
    struct sim_node *node = node_of(base);
    trap_hold_put(node, put->key);
    enum dp_status status = reach_store(call, node);
    if (status)
        return status;
    enum dp_status answer = answer_put(call, node, put);
    struct dp_error error = call->error;
    status = reach_node(call, node);
    if (status)
        return status;
    call->error = error;
    return answer;
}

/* A listing is no single moment: time passes between the keys. */
static enum dp_status sim_list(struct call *call, struct store *base, struct span prefix, struct span after,
                               bool folders, size_t max, struct store_listing *out)
{
    struct sim_node *node = node_of(base);
    struct sim_store *store = node->store;
    struct store_lister lister;
    char at[STORE_KEY_MAX];
    size_t at_len = 0;
    bool full = false;
    enum dp_status status = reach_store(call, node);
    store_lister_init(&lister, call, prefix, after, folders, max, out);
    for (size_t i = status ? 0 : lower_bound(store, prefix); status == DP_OK && !full && i < store->count;) {
        const struct sim_object *o = &store->objects[i];
        struct span key = span_of(o->key, o->key_len);
        if (!span_starts_with(key, prefix))
            break;
        status = store_lister_add(&lister, key, store_block_len(o->body), &full);
        memcpy(at, key.data, key.len);
        at_len = key.len;
        if (sim_chance(store->sim, 1, 4))
            sim_sleep(store->sim, sim_span(store->sim, SIM_NS_PER_MS, 1000 * SIM_NS_PER_MS));
        i = lower_bound(store, span_of(at, at_len));
        i += find_object(store, span_of(at, at_len)) != NULL;
    }
    sim_note(store->sim, "LIST %.*s: %zu", SPAN_FMT(prefix), out->count);
    return status == DP_OK ? reach_node(call, node) : status;
}

static enum dp_status sim_remove(struct call *call, struct store *base, struct span key)
{
    struct sim_node *node = node_of(base);
    enum dp_status status = reach_store(call, node);
    if (status)
        return status;
    sim_note(node->store->sim, "DELETE %.*s", SPAN_FMT(key));
    remove_object(node->store, key);
    return reach_node(call, node);
}

struct sim_upload {
    struct store_upload base;
    struct buffer body;
    size_t key_len;
    char key[STORE_KEY_MAX];
};

static enum dp_status sim_upload_begin(struct call *call, struct store *base, struct span key,
                                       struct store_upload **out)
{
    struct sim_upload *u = calloc(1, sizeof *u);
    (void)call;
    assert(u);
    u->base.store = base;
    buffer_init(&u->body, SIZE_MAX / 2);
    u->key_len = key.len;
    memcpy(u->key, key.data, key.len);
    *out = &u->base;
    return DP_OK;
}

static enum dp_status sim_upload_write(struct call *call, struct store_upload *upload, struct span bytes)
{
    struct sim_upload *u = (struct sim_upload *)upload;
    buffer_append(&u->body, bytes);
    return buffer_check(&u->body, "an upload", &call->error);
}

static void sim_upload_abort(struct store_upload *upload)
{
    struct sim_upload *u = (struct sim_upload *)upload;
    buffer_deinit(&u->body);
    free(u);
}

static enum dp_status sim_upload_finish(struct call *call, struct store_upload *upload,
                                        struct store_version *version)
{
    struct sim_upload *u = (struct sim_upload *)upload;
    struct store_put put = {.key = span_of(u->key, u->key_len), .body = buffer_span(&u->body)};
    enum dp_status status = sim_put(call, upload->store, &put);
    *version = put.version;
    sim_upload_abort(upload);
    return status;
}

static void sim_free(struct store *base)
{
    (void)base;
}

static const struct store_ops SIM_OPS = {
    .scheme = "sim",
    .read = sim_read,
    .head = sim_head,
    .put = sim_put,
    .list = sim_list,
    .remove = sim_remove,
    .upload_begin = sim_upload_begin,
    .upload_write = sim_upload_write,
    .upload_finish = sim_upload_finish,
    .upload_abort = sim_upload_abort,
    .free = sim_free,
};

void sim_store_init(struct sim_store *store, struct sim *sim)
{
    *store = (struct sim_store){.sim = sim};
}

void sim_store_deinit(struct sim_store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        free(store->objects[i].key);
        store_block_release(store->objects[i].body);
    }
    free(store->objects);
}

/* ---- nodes ------------------------------------------------------------------------------------------- */

static int64_t node_now_ns(void *context)
{
    const struct sim_node *node = context;
    return node->store->sim->now_ns + node->boot_ns;
}

static int64_t node_wall_ms(void *context)
{
    const struct sim_node *node = context;
    return sim_store_ms(node->store) + node->skew_ms;
}

static enum dp_status node_wait(void *context, struct call *call, int64_t ms)
{
    struct sim_node *node = context;
    if (!node->crashed)
        sim_sleep(node->store->sim, ms * SIM_NS_PER_MS);
    return node->crashed ? fail_crashed(call) : DP_OK;
}

static enum dp_status node_random(void *context, void *out, size_t len, struct dp_error *error)
{
    struct sim_node *node = context;
    uint8_t *bytes = out;
    (void)error;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)sim_next(node->store->sim);
    return DP_OK;
}

static void set_clocks(struct sim_node *node)
{
    struct sim *sim = node->store->sim;
    node->boot_ns = (int64_t)sim_below(sim, 1000) * 1000000000;
    node->skew_ms =
        sim_chance(sim, 1, 4) ? (int64_t)sim_below(sim, 7200000) - 3600000 : (int64_t)sim_below(sim, 2000) - 1000;
}

void sim_node_init(struct sim_node *node, struct sim_store *store, const char *name)
{
    *node = (struct sim_node){.base = {.ops = &SIM_OPS}, .store = store, .name = name};
    pthread_mutex_init(&node->process.lock, NULL);
    node->clock = (struct index_clock){node_now_ns, node_wall_ms, node_wait, node_random, node, &node->process};
    set_clocks(node);
}

void sim_node_deinit(struct sim_node *node)
{
    pthread_mutex_destroy(&node->process.lock);
}

void sim_node_restart(struct sim_node *node)
{
    node->crashed = false;
    node->process.locked.ulid_ms = 0;
    set_clocks(node);
}
