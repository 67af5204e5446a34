/* test_cache.c: tests the memory cache of ranges: its answers, their costs, eviction, and many readers at once. */
#include "test_support.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "contract.h"
#include "store/store_cache.h"
#include "store/store_metrics.h"
#include "store/implement.h"
#include "test_store.h"

enum { KIB = 1 << 10, NEVER_MS = 60000, READERS = 64 };

/* ---- a store below the cache that waits and fails on command ------------------------------------------------------ */

struct gate {
    struct store base;
    struct store *inner;
    /* Called on the reader's thread: `before` each read, and `after` it, with the answered requests. */
    void (*before)(struct gate *g, struct call *call);
    void (*after)(struct gate *g, struct store_read_req *reqs, size_t n);
    void *ctx;
    _Atomic unsigned reads;
    _Atomic unsigned fail_first; /* reads 0 to fail_first - 1 fail with `failure` */
    enum dp_status failure;
};

static void gate_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    struct gate *g = (struct gate *)store;
    unsigned number = atomic_fetch_add(&g->reads, 1);
    if (g->before)
        g->before(g, call);
    if (number < g->fail_first) {
        for (size_t i = 0; i < n; i++)
            reqs[i].status = dp_fail(&reqs[i].error, g->failure, "scripted failure (test)");
        return;
    }
    g->inner->ops->read(call, g->inner, reqs, n);
    if (g->after)
        g->after(g, reqs, n);
}

static enum dp_status gate_put(struct call *call, struct store *store, struct store_put *put)
{
    struct store *inner = ((struct gate *)store)->inner;
    return inner->ops->put(call, inner, put);
}

static void gate_free(struct store *store)
{
    store_free(((struct gate *)store)->inner);
    free(store);
}

static const struct store_ops GATE_OPS = {.scheme = "gate", .read = gate_read, .put = gate_put, .free = gate_free};

/* ---- the fixture
 * --------------------------------------------------------------------------------------------------- */

struct fixture {
    struct arena arena;
    struct call call;
    struct metric_registry metrics;
    struct store *recorder; /* below the cache */
    struct gate *gate;      /* stands below the cache instead of the recorder, if a test needs it */
    struct store *store;
    uint64_t budget;
};

static struct store *open_memory(void)
{
    struct arena arena;
    struct call call;
    struct store *store;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    assert_int_equal(store_open(&call, span_str("mem://cache"), true, &store), DP_OK);
    arena_deinit(&arena);
    return store;
}

static struct store *cached(struct store *inner, uint64_t bytes, unsigned shards)
{
    struct dp_error error;
    struct store *store;
    const struct store_cache_options options = {.bytes = bytes, .shards = shards};
    assert_int_equal(store_cache_new(inner, &options, &store, &error), DP_OK);
    return store;
}

/* Closes the fixture's cache and opens a new one. */
static void open_cache(struct fixture *f, uint64_t bytes, unsigned shards, bool gated)
{
    store_free(f->store);
    metric_registry_deinit(&f->metrics);
    metric_registry_init(&f->metrics);
    f->recorder = NULL;
    f->gate = NULL;
    struct store *inner = open_memory();
    if (gated) {
        f->gate = calloc(1, sizeof *f->gate);
        assert_non_null(f->gate);
        f->gate->base.ops = &GATE_OPS;
        f->gate->inner = inner;
        inner = &f->gate->base;
    } else {
        inner = f->recorder = test_store_wrap(inner);
    }
    f->budget = bytes;
    f->store = cached(inner, bytes, shards);
    assert_int_equal(store_add_metrics(f->store, &f->metrics, &f->call.error), DP_OK);
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    arena_init(&f.arena, 64 << 20);
    call_init(&f.call, &f.arena);
    call_limit_ms(&f.call, NEVER_MS);
    open_cache(&f, 100 * KIB, 1, false);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    metric_registry_deinit(&f->metrics);
    arena_deinit(&f->arena);
    return 0;
}

static int64_t metric(struct fixture *f, const char *name)
{
    for (struct metric *m = f->metrics.first; m; m = m->next)
        if (strcmp(m->name, name) == 0)
            return atomic_load(&m->value);
    fail_msg("no metric %s", name);
    return -1;
}

#define HITS      "dipper_store_cache_hits_total"
#define WAITS     "dipper_store_cache_waits_total"
#define MISSES    "dipper_store_cache_misses_total"
#define EVICTIONS "dipper_store_cache_evictions_total"
#define BYTES     "dipper_store_cache_bytes"

/* Objects consist of rows of 16 bytes. Each row names its object's seed and its own offset. */
struct row {
    uint64_t seed, offset;
};

static struct store_version put_rows(struct call *call, struct store *store, const char *key, uint64_t seed,
                                     size_t len)
{
    struct row *rows = malloc(len);
    assert_non_null(rows);
    for (size_t i = 0; i < len / sizeof *rows; i++)
        rows[i] = (struct row){seed, i * sizeof *rows};
    struct store_put put = {.key = span_str(key), .body = span_of(rows, len)};
    if (store_put(call, store, &put) != DP_OK)
        fail_msg("%s", call->error.message);
    free(rows);
    return put.version;
}

/* Returns whether the bytes are the rows of `seed` that begin at `offset`. */
static bool are_rows(struct span bytes, uint64_t seed, uint64_t offset, size_t len)
{
    if (bytes.len != len)
        return false;
    for (size_t at = 0; at < len; at += sizeof(struct row)) {
        struct row row;
        memcpy(&row, bytes.data + at, sizeof row);
        if (row.seed != seed || row.offset != offset + at)
            return false;
    }
    return true;
}

static struct store_version fill(struct fixture *f, const char *key, size_t len)
{
    struct store_version version = put_rows(&f->call, f->store, key, 7, len);
    f->call.cost = (struct call_cost){0};
    if (f->recorder)
        test_store_reset(f->recorder);
    return version;
}

static struct store_read_req range(const char *key, uint64_t offset, int64_t len,
                                   const struct store_version *version)
{
    return (struct store_read_req){.key = span_str(key), .offset = offset, .len = len, .pinned = version};
}

/* Reads a range of an object that fill() made. Returns whether it was a hit. */
static bool reads_from_cache(struct fixture *f, const char *key, const struct store_version *version,
                             uint64_t offset, size_t len)
{
    uint64_t hits = f->call.cost.cache_hits, requests = f->call.cost.requests;
    struct store_read_req req = range(key, offset, (int64_t)len, version);
    if (store_read(&f->call, f->store, &req, 1) != DP_OK)
        fail_msg("%s", f->call.error.message);
    assert_true(are_rows(req.bytes.span, 7, offset, len));
    assert_true(store_version_equal(&req.version, version));
    store_read_release(&req, 1);
    hits = f->call.cost.cache_hits - hits;
    requests = f->call.cost.requests - requests;
    assert_int_equal(hits + requests, 1);
    assert_true((uint64_t)metric(f, BYTES) <= f->budget);
    return hits == 1;
}

/* ---- answers and costs
 * ---------------------------------------------------------------------------------------------- */

static void test_cache_hit_costs_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_version v = fill(f, "a", 64 * KIB);
    assert_false(reads_from_cache(f, "a", &v, 16, 1024));
    assert_int_equal(f->call.cost.rounds, 1);
    assert_int_equal(f->call.cost.bytes, 1024);
    assert_true(reads_from_cache(f, "a", &v, 16, 1024));
    assert_int_equal(f->call.cost.rounds, 1);
    assert_int_equal(f->call.cost.requests, 1);
    assert_int_equal(f->call.cost.bytes, 1024);
    assert_int_equal(f->call.cost.cache_hits, 1);
    assert_int_equal(test_store_counts(f->recorder).reads, 1);
    assert_int_equal(metric(f, HITS), 1);
    assert_int_equal(metric(f, MISSES), 1);
    assert_true(metric(f, BYTES) > 1024);
    struct store_read_req req = range("a", 60 * KIB, STORE_TO_END, &v);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
        assert_true(are_rows(req.bytes.span, 7, 60 * KIB, 4 * KIB));
        assert_int_equal(req.size, 64 * KIB);
        store_read_release(&req, 1);
    }
    assert_int_equal(f->call.cost.rounds, 2);
    assert_int_equal(f->call.cost.cache_hits, 2);
}

static void test_cache_hit_has_no_date(void **state)
{
    struct fixture *f = *state;
    struct store_version v = fill(f, "a", 64 * KIB);
    struct store_read_req req = range("a", 16, 1024, &v);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
        assert_int_equal(req.date_ms != 0, i == 0); /* the second time the cache answers */
        store_read_release(&req, 1);
    }
}

static void test_cache_batch_reads_all_misses_at_once(void **state)
{
    struct fixture *f = *state;
    struct store_version v = fill(f, "a", 64 * KIB);
    reads_from_cache(f, "a", &v, 0, 1024);
    reads_from_cache(f, "a", &v, 4096, 1024);
    f->call.cost = (struct call_cost){0};
    test_store_reset(f->recorder);
    struct store_read_req reqs[7] = {
        range("a", 8192, 512, &v),  range("a", 0, 1024, &v),   range("a", 16384, 512, &v),
        range("a", 4096, 1024, &v), range("a", 8192, 512, &v), /* twice in one batch */
        range("a", 32, 16, NULL),   range("", 0, 1, NULL),
    };
    assert_int_equal(store_read(&f->call, f->store, reqs, 7), DP_INVALID);
    for (size_t i = 0; i < 6; i++)
        assert_true(are_rows(reqs[i].bytes.span, 7, reqs[i].offset, (size_t)reqs[i].len));
    assert_int_equal(reqs[6].status, DP_INVALID);
    store_read_release(reqs, 7);
    size_t count;
    const struct test_store_op *log = test_store_log(f->recorder, &count);
    assert_int_equal(count, 1);
    assert_int_equal(log[0].requests, 3);
    assert_int_equal(f->call.cost.rounds, 1);
    assert_int_equal(f->call.cost.requests, 3);
    assert_int_equal(f->call.cost.bytes, 512 + 512 + 16);
    assert_int_equal(f->call.cost.cache_hits, 3);
}

static void test_cache_only_keeps_pinned_ranges(void **state)
{
    struct fixture *f = *state;
    struct store_version v = fill(f, "a", 1024), other = {.len = 1, .token = "x"};
    const struct {
        struct store_read_req req;
        enum dp_status status;
    } cases[] = {
        {range("a", 0, 16, NULL), DP_OK},
        {{.key = span_str("a"), .len = 16, .pinned = &v, .if_changed = true}, DP_OK},
        {range("a", 16, 0, &v), DP_OK},
        {range("a", 1024, STORE_TO_END, &v), DP_OK},
        {range("a", 0, 16, &other), DP_STALE},
        {range("a", 1020, 16, &v), DP_INVALID},
        {range("none", 0, 16, &v), DP_NOT_FOUND},
    };
    const size_t n = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < 2 * n; i++) {
        struct store_read_req req = cases[i / 2].req;
        assert_int_equal(store_read(&f->call, f->store, &req, 1), cases[i / 2].status);
        assert_int_equal(test_store_counts(f->recorder).reads, i + 1);
        store_read_release(&req, 1);
    }
    assert_int_equal(metric(f, BYTES), 0);
    assert_int_equal(f->call.cost.cache_hits, 0);
}

static void test_cache_keeps_ranges_of_immutable_objects(void **state)
{
    struct fixture *f = *state;
    struct store_version v = fill(f, "a", 1024);
    for (unsigned i = 0; i < 3; i++) {
        struct store_read_req req = {.key = span_str("a"), .offset = 16, .len = 96, .immutable = true};
        assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
        assert_true(are_rows(req.bytes.span, 7, 16, 96));
        assert_int_equal(req.size, 1024);
        store_read_release(&req, 1);
        assert_int_equal(test_store_counts(f->recorder).reads, 1);
        assert_int_equal(f->call.cost.cache_hits, i);
    }
    assert_false(reads_from_cache(f, "a", &v, 16, 96)); /* a pinned range is another one */
    fill(f, "a", 2048); /* a write through this store still makes the range unknown */
    struct store_read_req req = {.key = span_str("a"), .offset = 16, .len = 96, .immutable = true};
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
    assert_int_equal(req.size, 2048);
    store_read_release(&req, 1);
}

static void test_cache_passes_other_operations_on(void **state)
{
    struct fixture *f = *state;
    struct store_version v = fill(f, "a/b", 32);
    struct store_info info;
    struct store_listing listing;
    assert_int_equal(store_head(&f->call, f->store, span_str("a/b"), &info), DP_OK);
    assert_int_equal(info.size, 32);
    assert_true(store_version_equal(&info.version, &v));
    assert_int_equal(store_list(&f->call, f->store, span_str("a/"), span_str(""), false, 9, &listing), DP_OK);
    assert_int_equal(listing.count, 1);
    assert_int_equal(store_remove(&f->call, f->store, span_str("a/b")), DP_OK);
    assert_int_equal(f->call.cost.rounds, 3);
    assert_int_equal(f->call.cost.requests, 3);
}

static enum dp_status read_status(struct fixture *f, const char *key, const struct store_version *version)
{
    struct store_read_req req = range(key, 0, 512, version);
    enum dp_status status = store_read(&f->call, f->store, &req, 1);
    store_read_release(&req, 1);
    return status;
}

static void test_cache_forgets_written_objects(void **state)
{
    struct fixture *f = *state;
    struct store_version v = fill(f, "a", 1024), b = fill(f, "b", 1024);
    assert_false(reads_from_cache(f, "a", &v, 0, 512));
    assert_false(reads_from_cache(f, "b", &b, 0, 512));
    struct store_version next = put_rows(&f->call, f->store, "a", 8, 1024);
    assert_int_equal(read_status(f, "a", &v), DP_STALE);
    assert_int_equal(read_status(f, "a", &next), DP_OK);
    struct store_upload *upload;
    struct store_version last;
    assert_int_equal(store_upload_begin(&f->call, f->store, span_str("a"), &upload), DP_OK);
    assert_int_equal(store_upload_write(&f->call, upload, span_str("new")), DP_OK);
    assert_int_equal(read_status(f, "a", &next), DP_OK);
    assert_int_equal(store_upload_finish(&f->call, upload, &last), DP_OK);
    assert_int_equal(read_status(f, "a", &next), DP_STALE);
    assert_true(reads_from_cache(f, "b", &b, 0, 512)); /* the writes to "a" left "b" in the cache */
    assert_int_equal(store_remove(&f->call, f->store, span_str("b")), DP_OK);
    assert_int_equal(read_status(f, "b", &b), DP_NOT_FOUND);
    assert_int_equal(store_upload_begin(&f->call, f->store, span_str("c"), &upload), DP_OK);
    store_upload_abort(upload);
}

static void replace(struct gate *g, struct store_read_req *reqs, size_t n)
{
    struct fixture *f = g->ctx;
    (void)reqs, (void)n;
    g->after = NULL;
    put_rows(&f->call, f->store, "a", 8, 1024);
}

/* If an object is written while its answer is on the way, the cache delivers the answer but does not keep it. */
static void test_cache_does_not_keep_objects_written_meanwhile(void **state)
{
    struct fixture *f = *state;
    open_cache(f, 100 * KIB, 1, true);
    struct store_version v = fill(f, "a", 1024);
    f->gate->ctx = f;
    f->gate->after = replace;
    assert_int_equal(read_status(f, "a", &v), DP_OK);
    assert_int_equal(read_status(f, "a", &v), DP_STALE);
    assert_int_equal(metric(f, BYTES), 0);
}

/* ---- what is kept: S3-FIFO
 * ------------------------------------------------------------------------------------------ */

/* Beside ranges of this size, names are small. */
enum { UNIT = 4 * KIB };

static void read_all(struct fixture *f, const struct store_version *v, uint64_t from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        reads_from_cache(f, "a", v, from + i * UNIT, UNIT);
}

static size_t hits_of(struct fixture *f, const struct store_version *v, uint64_t from, size_t count)
{
    size_t hits = 0;
    for (size_t i = 0; i < count; i++)
        hits += reads_from_cache(f, "a", v, from + i * UNIT, UNIT);
    return hits;
}

enum { HOT = 40, SCAN_FROM = 100 * UNIT };

static void test_cache_scan_leaves_the_hot_ranges(void **state)
{
    struct fixture *f = *state;
    open_cache(f, 100 * UNIT, 1, false);
    struct store_version v = fill(f, "a", 2048 * UNIT);
    for (int i = 0; i < 3; i++)
        read_all(f, &v, 0, HOT);
    read_all(f, &v, SCAN_FROM, 1000); /* ten times the budget */
    assert_int_equal(hits_of(f, &v, 0, HOT), HOT);
    assert_true(metric(f, EVICTIONS) > 800);
}

/* A range that is requested once is evicted. If it is requested again while its ghost is known, it stays. */
static void test_cache_keeps_a_range_that_was_a_ghost(void **state)
{
    struct fixture *f = *state;
    open_cache(f, 100 * UNIT, 1, false);
    struct store_version v = fill(f, "a", 2048 * UNIT);
    read_all(f, &v, 0, 8);
    read_all(f, &v, SCAN_FROM, 100);
    assert_int_equal(hits_of(f, &v, 0, 8), 0); /* these reads put them into the main queue */
    read_all(f, &v, SCAN_FROM + 200 * UNIT, 100);
    assert_int_equal(hits_of(f, &v, 0, 8), 8);
    /* A long scan pushes out the ghosts too, so the ranges begin as unknown ones. */
    read_all(f, &v, 50 * UNIT, 8);
    read_all(f, &v, SCAN_FROM + 400 * UNIT, 1000);
    assert_int_equal(hits_of(f, &v, 50 * UNIT, 8), 0);
    read_all(f, &v, SCAN_FROM + 400 * UNIT, 100);
    assert_int_equal(hits_of(f, &v, 50 * UNIT, 8), 0);
}

/* The main queue evicts ranges that nobody requests any more. */
static void test_cache_follows_a_new_hot_set(void **state)
{
    struct fixture *f = *state;
    open_cache(f, 100 * UNIT, 1, false);
    struct store_version v = fill(f, "a", 2048 * UNIT);
    for (int i = 0; i < 6; i++)
        read_all(f, &v, 0, 80);
    for (int i = 0; i < 12; i++)
        read_all(f, &v, SCAN_FROM, 80);
    assert_int_equal(hits_of(f, &v, SCAN_FROM, 80), 80);
    assert_true(hits_of(f, &v, 0, 80) < 40);
}

static void test_cache_keeps_a_large_range_on_its_second_request(void **state)
{
    struct fixture *f = *state;
    open_cache(f, 100 * UNIT, 1, false);
    struct store_version v = fill(f, "a", 2048 * UNIT);
    /* The cache never keeps a range of more than half of the budget. */
    for (int i = 0; i < 3; i++)
        assert_false(reads_from_cache(f, "a", &v, 0, 51 * UNIT));
    assert_int_equal(metric(f, BYTES), 0);
    /* If there is room, it keeps a large range at the first request. */
    assert_false(reads_from_cache(f, "a", &v, 0, 40 * UNIT));
    assert_true(reads_from_cache(f, "a", &v, 0, 40 * UNIT));
    assert_true(reads_from_cache(f, "a", &v, 0, 40 * UNIT));
    for (int i = 0; i < 3; i++)
        read_all(f, &v, SCAN_FROM, HOT);
    /* A scan of large ranges does not flush what is hot. */
    for (uint64_t i = 0; i < 20; i++)
        reads_from_cache(f, "a", &v, 200 * UNIT + i * 48 * UNIT, 48 * UNIT);
    assert_int_equal(hits_of(f, &v, SCAN_FROM, HOT), HOT);
    /* Without room it keeps a large range at the second request. */
    assert_false(reads_from_cache(f, "a", &v, 1300 * UNIT, 30 * UNIT));
    assert_false(reads_from_cache(f, "a", &v, 1300 * UNIT, 30 * UNIT));
    assert_true(reads_from_cache(f, "a", &v, 1300 * UNIT, 30 * UNIT));
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void test_cache_stays_within_its_budget(void **state)
{
    struct fixture *f = *state;
    for (unsigned shards = 1; shards <= 4; shards *= 4) {
        open_cache(f, 200 * KIB, shards, false);
        struct store_version v = fill(f, "a", 2048 * KIB);
        size_t before = test_alloc_bytes();
        uint64_t random = 88172645463325252u;
        for (int i = 0; i < 20000; i++) {
            uint64_t r = next_random(&random);
            /* Requests a few ranges often and many rarely. Most are small; some are too large to be kept. */
            uint64_t which = (r >> 8) % (r % 4 == 0 ? 100000 : 300), mixed = which * 2654435761u >> 7;
            size_t len = 16 * (1 + mixed % (which % 64 == 0 ? 8 * KIB : 64));
            uint64_t offset = which * 16 % (1900 * KIB);
            reads_from_cache(f, "a", &v, offset, len);
            arena_reset(&f->arena);
            /* The allocator agrees with the gauge: the budget, and 64 KiB for the bucket arrays. */
            if (test_alloc_bytes() > before + 200 * KIB + 64 * KIB)
                fail_msg("%zu bytes after %d reads", test_alloc_bytes() - before, i);
        }
        assert_true(metric(f, EVICTIONS) > 1000 && metric(f, HITS) > 1000);
        assert_true(metric(f, BYTES) > 100 * KIB);
    }
}

static void test_cache_too_small_for_anything_still_reads(void **state)
{
    struct fixture *f = *state;
    for (uint64_t bytes = 0; bytes <= 1024; bytes += 64) {
        open_cache(f, bytes, 0, false);
        struct store_version v = fill(f, "a", 4096);
        for (int i = 0; i < 20; i++)
            reads_from_cache(f, "a", &v, (uint64_t)(i % 10) * 16, 16);
    }
}

/* ---- memory
 * ---------------------------------------------------------------------------------------------------------- */

static void test_cache_frees_nothing_in_use(void **state)
{
    struct fixture *f = *state;
    open_cache(f, 100 * UNIT, 1, false);
    struct store_version v = fill(f, "a", 2048 * UNIT);
    struct store_read_req held[8];
    for (size_t i = 0; i < 8; i++) {
        reads_from_cache(f, "a", &v, i * UNIT, UNIT);
        held[i] = range("a", i * UNIT, UNIT, &v);
        assert_int_equal(store_read(&f->call, f->store, &held[i], 1), DP_OK);
    }
    read_all(f, &v, SCAN_FROM, 1000);
    assert_int_equal(hits_of(f, &v, 0, 8), 0);
    for (size_t i = 0; i < 8; i++)
        assert_true(are_rows(held[i].bytes.span, 7, i * UNIT, UNIT));
    store_read_release(held, 8);
}

/* The store below may answer with a part of a larger block. Keeping the part must not keep the block. */
static void test_cache_keeps_no_more_than_the_range(void **state)
{
    struct fixture *f = *state;
    struct store_version v = fill(f, "large", 4096 * KIB);
    size_t before = test_alloc_bytes();
    assert_false(reads_from_cache(f, "large", &v, 0, KIB));
    assert_int_equal(store_remove(&f->call, test_store_inner(f->recorder), span_str("large")), DP_OK);
    assert_true(test_alloc_bytes() + 4000 * KIB < before);
    assert_true(reads_from_cache(f, "large", &v, 0, KIB)); /* the bytes of a pinned version stay right */
}

/* The cache takes over `inner`. */
static enum dp_status walk(struct fixture *f, struct call *call, struct store *inner, struct store **store,
                           bool *served)
{
    enum dp_status status =
        store_cache_new(inner, &(struct store_cache_options){.bytes = 20 * KIB}, store, &call->error);
    if (status != DP_OK)
        return status;
    struct store_put put = {.key = span_str("a"), .body = span_str("0123456789abcdef0123456789abcdef")};
    struct store_upload *upload;
    struct store_version version;
    if ((status = store_add_metrics(*store, &f->metrics, &call->error)) != DP_OK ||
        (status = store_put(call, *store, &put)) != DP_OK ||
        (status = store_upload_begin(call, *store, span_str("b"), &upload)) != DP_OK ||
        (status = store_upload_finish(call, upload, &version)) != DP_OK)
        return status;
    struct store_read_req reqs[3] = {range("a", 1, 2, &put.version), range("a", 0, STORE_TO_END, &put.version),
                                     range("a", 4, 4, NULL)};
    for (int i = 0; i < 2 && status == DP_OK; i++) {
        status = store_read(call, *store, reqs, 3);
        *served = status == DP_OK && span_equal_str(reqs[0].bytes.span, "12") && reqs[1].bytes.span.len == 32 &&
                  span_equal_str(reqs[2].bytes.span, "4567");
        store_read_release(reqs, 3);
    }
    return status;
}

/* A read fails with DP_NOMEM if memory for its answer is missing. If only memory for keeping is missing, it succeeds. */
static void test_cache_survives_failed_allocations(void **state)
{
    struct fixture *f = *state;
    size_t n = 1, refused = 0;
    for (;; n++) {
        struct arena arena;
        struct call call;
        struct store *store = NULL;
        bool served = false;
        arena_init(&arena, 1 << 20);
        call_init(&call, &arena);
        metric_registry_deinit(&f->metrics);
        metric_registry_init(&f->metrics);
        size_t before = test_alloc_live();
        struct store *inner = open_memory();
        test_alloc_fail_at(n);
        enum dp_status status = walk(f, &call, inner, &store, &served);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        store_free(store);
        metric_registry_deinit(&f->metrics);
        metric_registry_init(&f->metrics);
        arena_deinit(&arena);
        assert_int_equal(test_alloc_live(), before);
        if (status != DP_OK && (status != DP_NOMEM || !fired))
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), call.error.message);
        if (status == DP_OK)
            assert_true(served);
        refused += status == DP_NOMEM;
        if (!fired)
            break;
    }
    assert_true(refused > 8);
    open_cache(f, 100 * KIB, 1, false);
}

/* ---- many readers
 * ---------------------------------------------------------------------------------------------------- */

struct reader {
    pthread_t thread;
    struct fixture *f;
    const struct store_version *version;
    _Atomic bool cancelled;
    int deadline_ms;
    enum dp_status status;
    bool right;
    struct call_cost cost;
};

static void *read_one_range(void *context)
{
    struct reader *r = context;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    call_limit_ms(&call, r->deadline_ms ? r->deadline_ms : NEVER_MS);
    call.cancelled = &r->cancelled;
    struct store_read_req req = range("a", 1024, 4096, r->version);
    r->status = store_read(&call, r->f->store, &req, 1);
    r->right = are_rows(req.bytes.span, 7, 1024, 4096);
    store_read_release(&req, 1);
    r->cost = call.cost;
    arena_deinit(&arena);
    return NULL;
}

static void start(struct reader *readers, size_t n, struct fixture *f, const struct store_version *version)
{
    for (size_t i = 0; i < n; i++) {
        readers[i].f = f;
        readers[i].version = version;
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_one_range, &readers[i]), 0);
    }
}

/* Waits for the readers, and returns the number of those that got the range. */
static size_t join(struct reader *readers, size_t n)
{
    size_t right = 0;
    for (size_t i = 0; i < n; i++) {
        pthread_join(readers[i].thread, NULL);
        if (readers[i].status == DP_OK)
            assert_true(readers[i].right);
        right += readers[i].status == DP_OK;
    }
    return right;
}

/* Holds the first read until all others wait for it. */
static void hold_for_all(struct gate *g, struct call *call)
{
    struct fixture *f = g->ctx;
    (void)call;
    if (atomic_load(&g->reads) == 1)
        while (metric(f, WAITS) < READERS - 1)
            sched_yield();
}

static struct store_version open_gated(struct fixture *f, uint64_t budget)
{
    open_cache(f, budget, 1, true);
    f->gate->ctx = f;
    f->gate->before = hold_for_all;
    return fill(f, "a", 64 * KIB);
}

static void test_cache_fetches_once_for_many(void **state)
{
    struct fixture *f = *state;
    /* The range is kept in the first step, and too large to be kept in the second. Followers get it in both. */
    for (uint64_t budget = 100 * KIB; budget; budget = budget > 4 * KIB ? 4 * KIB : 0) {
        struct reader readers[READERS] = {0};
        struct store_version v = open_gated(f, budget);
        start(readers, READERS, f, &v);
        assert_int_equal(join(readers, READERS), READERS);
        assert_int_equal(f->gate->reads, 1);
        struct call_cost sum = {0};
        for (size_t i = 0; i < READERS; i++) {
            sum.rounds += readers[i].cost.rounds;
            sum.requests += readers[i].cost.requests;
            sum.bytes += readers[i].cost.bytes;
            sum.cache_hits += readers[i].cost.cache_hits;
        }
        assert_int_equal(sum.rounds, 1);
        assert_int_equal(sum.requests, 1);
        assert_int_equal(sum.bytes, 4096);
        assert_int_equal(sum.cache_hits, READERS - 1);
        assert_int_equal(metric(f, MISSES), 1);
    }
}

static void test_cache_failed_leader_fails_nobody_else(void **state)
{
    struct fixture *f = *state;
    static const enum dp_status failures[] = {DP_UNAVAILABLE, DP_CANCELLED, DP_DEADLINE, DP_NOMEM};
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        struct reader readers[READERS] = {0};
        struct store_version v = open_gated(f, 100 * KIB);
        f->gate->fail_first = 1;
        f->gate->failure = failures[i];
        start(readers, READERS, f, &v);
        assert_int_equal(join(readers, READERS), READERS - 1);
        for (size_t k = 0; k < READERS; k++)
            assert_true(readers[k].status == DP_OK || readers[k].status == failures[i]);
        assert_int_equal(f->gate->reads, 2); /* one of the followers led a second flight for all */
    }
}

/* If the store is down, each reader asks it at most once: it leads, or it reads alone after following two failed
 * flights. */
static void test_cache_persistent_failure_reaches_all(void **state)
{
    struct fixture *f = *state;
    struct reader readers[READERS] = {0};
    struct store_version v = open_gated(f, 100 * KIB);
    f->gate->fail_first = UINT32_MAX;
    f->gate->failure = DP_UNAVAILABLE;
    start(readers, READERS, f, &v);
    assert_int_equal(join(readers, READERS), 0);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(readers[i].status, DP_UNAVAILABLE);
    assert_true(f->gate->reads >= 2 && f->gate->reads <= READERS);
    assert_int_equal(metric(f, BYTES), 0);
    f->gate->fail_first = 0;
    assert_false(reads_from_cache(f, "a", &v, 1024, 4096));
}

static void hold_until_told(struct gate *g, struct call *call)
{
    (void)call;
    while (!atomic_load((_Atomic bool *)g->ctx))
        sched_yield();
}

static void test_cache_follower_obeys_its_deadline_and_cancel_flag(void **state)
{
    struct fixture *f = *state;
    struct reader leader = {0}, impatient = {.deadline_ms = 20}, cancelled = {0};
    struct store_version v = open_gated(f, 100 * KIB);
    _Atomic bool go_on = false;
    f->gate->ctx = (void *)&go_on;
    f->gate->before = hold_until_told;
    start(&leader, 1, f, &v);
    while (metric(f, MISSES) < 1)
        sched_yield();
    start(&impatient, 1, f, &v);
    assert_int_equal(join(&impatient, 1), 0);
    assert_int_equal(impatient.status, DP_DEADLINE);
    int64_t waited = metric(f, WAITS);
    start(&cancelled, 1, f, &v);
    while (metric(f, WAITS) == waited)
        sched_yield();
    atomic_store(&cancelled.cancelled, true);
    assert_int_equal(join(&cancelled, 1), 0);
    assert_int_equal(cancelled.status, DP_CANCELLED);
    atomic_store(&go_on, true);
    assert_int_equal(join(&leader, 1), 1);
    assert_int_equal(f->gate->reads, 1);
    f->gate->before = NULL;
    assert_true(reads_from_cache(f, "a", &v, 1024, 4096));
}

/* ---- churn
 * ------------------------------------------------------------------------------------------------------------ */

enum { CHURNERS = 8, HELD = 16, CHURN = 4000, OBJECTS = 4 };

struct churner {
    pthread_t thread;
    struct store *store;
    uint64_t random;
    unsigned wrong, read, stale;
};

static const char *const CHURN_KEYS[OBJECTS] = {"churn/0", "churn/1", "churn/2", "churn/3"};

/* Reads an object's current version, and the seed of its rows. */
static enum dp_status learn(struct call *call, struct store *store, const char *key, struct store_version *version,
                            uint64_t *seed)
{
    struct store_read_req req = range(key, 0, 16, NULL);
    enum dp_status status = store_read(call, store, &req, 1);
    if (status == DP_OK) {
        memcpy(seed, req.bytes.span.data, sizeof *seed);
        *version = req.version;
    }
    store_read_release(&req, 1);
    return status;
}

/* Reads batches of ranges, holds the latest ones for a while, and checks their bytes before it releases them. */
static void *churn(void *context)
{
    struct churner *c = context;
    struct arena arena;
    struct call call;
    struct store_read_req held[HELD] = {0};
    uint64_t held_seed[HELD] = {0}, seed[OBJECTS];
    struct store_version version[OBJECTS];
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    for (unsigned k = 0; k < OBJECTS; k++)
        c->wrong += learn(&call, c->store, CHURN_KEYS[k], &version[k], &seed[k]) != DP_OK;
    for (unsigned i = 0; i < CHURN && !c->wrong; i += 4) {
        unsigned at = i % HELD;
        arena_reset(&arena);
        for (unsigned k = at; k < at + 4; k++) {
            if (held[k].bytes.block &&
                !are_rows(held[k].bytes.span, held_seed[k], held[k].offset, (size_t)held[k].len))
                c->wrong++;
            store_read_release(&held[k], 1);
            uint64_t r = next_random(&c->random);
            unsigned object = (r >> 40) % OBJECTS;
            uint64_t block = (r >> 8) % (r % 2 ? 16 : 256);
            held[k] = range(CHURN_KEYS[object], block * 1024, (int64_t)16 << (block % 7), &version[object]);
            held_seed[k] = seed[object];
        }
        store_read(&call, c->store, &held[at], 4);
        for (unsigned k = at; k < at + 4; k++) {
            unsigned object = (unsigned)(held[k].key.data[6] - '0');
            c->read += held[k].status == DP_OK;
            c->wrong += held[k].status != DP_OK && held[k].status != DP_STALE;
            held[k].pinned = NULL;
            if (held[k].status == DP_STALE) {
                c->stale++;
                c->wrong += learn(&call, c->store, CHURN_KEYS[object], &version[object], &seed[object]) != DP_OK;
            }
        }
        if (next_random(&c->random) % 64 == 0)
            put_rows(&call, c->store, CHURN_KEYS[c->random % OBJECTS], c->random, 300 * KIB);
    }
    for (unsigned k = 0; k < HELD; k++)
        if (held[k].bytes.block &&
            !are_rows(held[k].bytes.span, held_seed[k], held[k].offset, (size_t)held[k].len))
            c->wrong++;
    store_read_release(held, HELD);
    arena_deinit(&arena);
    return NULL;
}

static void test_cache_many_readers_and_writers(void **state)
{
    struct fixture *f = *state;
    for (unsigned shards = 1; shards <= 4; shards *= 4) {
        struct churner churners[CHURNERS] = {0};
        open_cache(f, 64 * KIB, shards, false);
        for (unsigned k = 0; k < OBJECTS; k++)
            fill(f, CHURN_KEYS[k], 300 * KIB);
        for (unsigned i = 0; i < CHURNERS; i++) {
            churners[i] = (struct churner){.store = f->store, .random = 88172645463325252u + 977 * i};
            assert_int_equal(pthread_create(&churners[i].thread, NULL, churn, &churners[i]), 0);
        }
        unsigned read = 0, stale = 0;
        for (unsigned i = 0; i < CHURNERS; i++) {
            pthread_join(churners[i].thread, NULL);
            assert_int_equal(churners[i].wrong, 0);
            read += churners[i].read;
            stale += churners[i].stale;
        }
        assert_true(read > 1000 && stale > 0);
        assert_true(metric(f, EVICTIONS) > 1000 && metric(f, HITS) > 100);
        assert_true((uint64_t)metric(f, BYTES) <= f->budget);
    }
}

/* ---- opening
 * ----------------------------------------------------------------------------------------------------------- */

static void test_cache_is_for_remote_roots(void **state)
{
    struct fixture *f = *state;
    const struct store_options options = {.create = true, .cache_bytes = 1 << 20};
    const struct {
        const char *root, *scheme;
    } roots[] = {{test_tmpdir(), "file"}, {"mem://x", "mem"}, {"http://127.0.0.1:9/x", "cache"}};
    for (size_t i = 0; i < 3; i++) {
        struct store *store;
        assert_int_equal(store_open_with(&f->call, span_str(roots[i].root), &options, &store), DP_OK);
        assert_string_equal(store->ops->scheme, roots[i].scheme);
        assert_int_equal(store_add_metrics(store, &f->metrics, &f->call.error), DP_OK);
        store_free(store);
    }
    struct store *store;
    const struct store_cache_options odd = {.bytes = 1 << 20, .shards = 3};
    assert_int_equal(store_cache_new(open_memory(), &odd, &store, &f->call.error), DP_INVALID);
    assert_null(store);
}

/* Opens a cache over a new local folder, of which `path` gets the path of object "a". */
static void open_folder_cache(struct fixture *f, char path[PATH_MAX])
{
    const struct store_options options = {.create = true, .cache_bytes = 8 << 20, .cache_local = true};
    const char *root = test_tmpdir();
    store_free(f->store);
    metric_registry_deinit(&f->metrics);
    metric_registry_init(&f->metrics);
    assert_int_equal(store_open_with(&f->call, span_str(root), &options, &f->store), DP_OK);
    assert_string_equal(f->store->ops->scheme, "cache");
    assert_int_equal(store_add_metrics(f->store, &f->metrics, &f->call.error), DP_OK);
    snprintf(path, PATH_MAX, "%s/a", root);
    f->recorder = NULL;
}

/* Reads a range of object "a" until the cache answers: it does so once the tick of the file's time is over. */
static void read_until_hit(struct fixture *f, const struct store_version *v)
{
    for (uint64_t before = f->call.cost.cache_hits; f->call.cost.cache_hits == before;) {
        struct store_read_req req = range("a", 16, KIB, v);
        if (store_read(&f->call, f->store, &req, 1) != DP_OK) /* fails at the call's deadline at the latest */
            fail_msg("%s", f->call.error.message);
        assert_true(are_rows(req.bytes.span, 7, 16, KIB));
        store_read_release(&req, 1);
    }
}

static enum dp_status read_pinned(struct fixture *f, const struct store_version *v)
{
    struct store_read_req req = range("a", 16, KIB, v);
    enum dp_status status = store_read(&f->call, f->store, &req, 1);
    store_read_release(&req, 1);
    dp_error_clear(&f->call.error);
    return status;
}

static void overwrite_first_byte(const char *path)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fputc(1, file), 1);
    assert_int_equal(fclose(file), 0);
}

static void test_cache_over_a_folder_sees_that_another_program_changed_a_file(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    open_folder_cache(f, path);
    struct store_version v = put_rows(&f->call, f->store, "a", 7, 512 * KIB);
    f->call.cost = (struct call_cost){0};
    read_until_hit(f, &v);
    uint64_t requests = f->call.cost.requests;
    assert_int_equal(read_pinned(f, &v), DP_OK);
    assert_int_equal(f->call.cost.requests, requests);
    overwrite_first_byte(path); /* outside the range that the cache keeps */
    assert_int_equal(read_pinned(f, &v), DP_STALE);

    v = put_rows(&f->call, f->store, "a", 7, 512 * KIB);
    read_until_hit(f, &v);
    assert_int_equal(truncate(path, 4 * KIB), 0);
    assert_int_equal(read_pinned(f, &v), DP_STALE);

    v = put_rows(&f->call, f->store, "a", 7, 512 * KIB);
    read_until_hit(f, &v);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(read_pinned(f, &v), DP_NOT_FOUND);
}

/* Only a read can tell whether a small object is current, so the cache does not keep it. */
static void test_cache_over_a_folder_keeps_no_small_object(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    open_folder_cache(f, path);
    struct store_version v = put_rows(&f->call, f->store, "a", 7, 64 * KIB);
    for (int i = 0; i < 3; i++)
        assert_int_equal(read_pinned(f, &v), DP_OK);
    assert_int_equal(f->call.cost.cache_hits, 0);
    overwrite_first_byte(path);
    assert_int_equal(read_pinned(f, &v), DP_STALE);
}

/* A block of a folder's pool may hold twice the memory of its range; the budget counts all of it. */
static void test_cache_counts_the_memory_of_a_block(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    open_folder_cache(f, path);
    struct store_version v = put_rows(&f->call, f->store, "a", 7, 2048 * KIB);
    read_until_hit(f, &v);
    for (size_t kib = 1000, i = 0; i < 2; i++, kib = 600) {
        int64_t before = metric(f, BYTES);
        struct store_read_req req = range("a", (i + 1) * 16, (int64_t)(kib * KIB), &v);
        assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
        size_t held = store_block_capacity(req.bytes.block);
        store_read_release(&req, 1);
        assert_true(held >= kib * KIB);
        if (metric(f, BYTES) - before < (int64_t)held)
            fail_msg("%zu KiB: the block holds %zu bytes, the cache counts %lld", kib, held,
                     (long long)(metric(f, BYTES) - before));
    }
}

static void test_cache_is_shared_by_several_stores(void **state)
{
    struct fixture *f = *state;
    const struct store_cache_options options = {.bytes = f->budget, .shards = 1};
    struct store_cache *cache;
    struct store *stores[2];
    struct store_version versions[2];
    struct dp_error error;
    metric_registry_deinit(&f->metrics);
    metric_registry_init(&f->metrics);
    assert_int_equal(store_cache_make(&options, &cache, &error), DP_OK);
    assert_int_equal(store_cache_metrics(cache, &f->metrics, &error), DP_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(store_cache_over(cache, open_memory(), &stores[i], &error), DP_OK);
        versions[i] = put_rows(&f->call, stores[i], "a", 7 + i, 64 * KIB);
    }
    store_cache_release(cache);
    assert_true(store_version_equal(&versions[0], &versions[1])); /* the objects differ only in their stores */
    for (unsigned n = 0; n < 200; n++)
        for (size_t i = 0; i < 2; i++) {
            uint64_t offset = (n % 20) * (uint64_t)KIB;
            struct store_read_req req = range("a", offset, KIB, &versions[i]);
            assert_int_equal(store_read(&f->call, stores[i], &req, 1), DP_OK);
            assert_true(are_rows(req.bytes.span, 7 + i, offset, KIB));
            store_read_release(&req, 1);
            assert_true((uint64_t)metric(f, BYTES) <= f->budget); /* the budget bounds both stores together */
        }
    assert_true(metric(f, HITS) > 300);
    /* The ranges that a freed store leaves in the cache do not disturb the other store. */
    store_free(stores[0]);
    int64_t hits = metric(f, HITS);
    struct store_read_req req = range("a", 0, KIB, &versions[1]);
    assert_int_equal(store_read(&f->call, stores[1], &req, 1), DP_OK);
    assert_true(are_rows(req.bytes.span, 8, 0, KIB));
    assert_int_equal(metric(f, HITS), hits + 1);
    store_read_release(&req, 1);
    store_free(stores[1]);
}

/* ---- the contract
 * -------------------------------------------------------------------------------------------------------- */

static char *last_root;

static struct store *open_local(const char *root)
{
    struct arena arena;
    struct call call;
    struct store *store;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    assert_int_equal(store_open(&call, span_str(root), true, &store), DP_OK);
    arena_deinit(&arena);
    return store;
}

static struct store *open_cached_memory(void)
{
    return cached(open_memory(), 1 << 20, 0);
}

static struct store *open_cached_local(void)
{
    last_root = (char *)(uintptr_t)test_tmpdir();
    return cached(open_local(last_root), 64 << 20, 0);
}

/* The cache is so small that it always evicts. */
static struct store *open_tight(void)
{
    return cached(open_memory(), 2000, 2);
}

int main(void)
{
    const struct contract_store stores[] = {
        {.name = "cache over memory", .open = open_cached_memory, .holds_name_and_folder = true},
        {.name = "cache over a local folder", .open = open_cached_local},
        {.name = "tight cache over memory", .open = open_tight, .holds_name_and_folder = true},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        failed += contract_run(&stores[i]);
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_cache_hit_costs_nothing),
        CASE(test_cache_hit_has_no_date),
        CASE(test_cache_batch_reads_all_misses_at_once),
        CASE(test_cache_only_keeps_pinned_ranges),
        CASE(test_cache_keeps_ranges_of_immutable_objects),
        CASE(test_cache_passes_other_operations_on),
        CASE(test_cache_forgets_written_objects),
        CASE(test_cache_does_not_keep_objects_written_meanwhile),
        CASE(test_cache_scan_leaves_the_hot_ranges),
        CASE(test_cache_keeps_a_range_that_was_a_ghost),
        CASE(test_cache_follows_a_new_hot_set),
        CASE(test_cache_keeps_a_large_range_on_its_second_request),
        CASE(test_cache_stays_within_its_budget),
        CASE(test_cache_too_small_for_anything_still_reads),
        CASE(test_cache_frees_nothing_in_use),
        CASE(test_cache_keeps_no_more_than_the_range),
        CASE(test_cache_survives_failed_allocations),
        CASE(test_cache_fetches_once_for_many),
        CASE(test_cache_failed_leader_fails_nobody_else),
        CASE(test_cache_persistent_failure_reaches_all),
        CASE(test_cache_follower_obeys_its_deadline_and_cancel_flag),
        CASE(test_cache_many_readers_and_writers),
        CASE(test_cache_is_for_remote_roots),
        CASE(test_cache_over_a_folder_sees_that_another_program_changed_a_file),
        CASE(test_cache_over_a_folder_keeps_no_small_object),
        CASE(test_cache_counts_the_memory_of_a_block),
        CASE(test_cache_is_shared_by_several_stores),
    };
    failed += cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
    return test_finish(failed);
}
