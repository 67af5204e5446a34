/* test_ranges.c: how the ranges of a batch become requests, over a scripted store instead of a network. */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/ranges.h"
#include "test_store.h"

enum { FETCHES_MAX = 512 };

/* One request, as a remote store would get it. */
struct asked {
    uint64_t offset;
    int64_t len;
};

struct fixture {
    struct arena arena;
    struct call call;
    struct store *store; /* the scripted store over a memory store */
    struct range_limits limits;
    struct asked asked[FETCHES_MAX];
    size_t asked_count, rounds;
    void (*between)(struct fixture *f, size_t fetch); /* runs before each fetch of a round; NULL: nothing */
    unsigned changes;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.limits = {.merge_gap = 10, .split_at = 100}};
    arena_init(&f.arena, 1 << 20);
    call_init(&f.call, &f.arena);
    assert_int_equal(store_open(&f.call, span_str("mem://ranges"), true, &f.store), DP_OK);
    f.store = test_store_wrap(f.store);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    arena_deinit(&f->arena);
    return 0;
}

static struct store_version put(struct fixture *f, const char *key, struct span body)
{
    struct store_put put = {.key = span_str(key), .body = body};
    assert_int_equal(store_put(&f->call, f->store, &put), DP_OK);
    return put.version;
}

/* ---- a fetch as a server would answer it ------------------------------------------------------------------ */

/* Reads [offset, end) of the object's present content, through the scripted store. */
static void read_part(struct fixture *f, struct range_fetch *r, const struct store_info *info)
{
    uint64_t end = r->len == STORE_TO_END ? info->size : r->offset + (uint64_t)r->len;
    if (end > info->size)
        end = info->size;
    struct store_read_req req = {.key = r->key, .offset = r->offset, .len = (int64_t)(end - r->offset)};
    f->store->ops->read(&f->call, f->store, &req, 1);
    r->status = req.status;
    r->error = req.error;
    r->got = req.bytes.span.len;
    r->version = req.version;
    if (r->len == STORE_TO_END)
        r->bytes = store_bytes_retain(req.bytes);
    else if (r->got)
        memcpy(r->into, req.bytes.span.data, r->got);
    store_bytes_release(&req.bytes);
}

static void answer(struct fixture *f, struct range_fetch *r)
{
    struct store *inner = test_store_inner(f->store);
    struct store_info info;
    struct call call;
    call_init(&call, &f->arena);
    r->status = inner->ops->head(&call, inner, r->key, &info);
    r->error = call.error;
    if (r->status != DP_OK)
        return;
    r->size = info.size;
    bool same = r->pinned && store_version_equal(r->pinned, &info.version);
    if (r->pinned && !r->if_changed && !same) {
        r->status = dp_fail(&r->error, DP_STALE, "not the pinned version (test)");
    } else if (r->if_changed && same) {
        r->unchanged = true;
    } else if (r->len == 0) {
        r->version = info.version;
    } else if (r->offset < info.size || (r->offset == 0 && r->len == STORE_TO_END)) {
        read_part(f, r, &info);
    } /* otherwise the answer is a 416, which has only the size */
}

static void fetch(void *ctx, struct call *call, struct range_fetch *fetches, size_t n)
{
    struct fixture *f = ctx;
    (void)call;
    f->rounds++;
    for (size_t i = 0; i < n; i++) {
        assert_true(f->asked_count < FETCHES_MAX);
        f->asked[f->asked_count++] = (struct asked){fetches[i].offset, fetches[i].len};
        if (f->between)
            f->between(f, i);
        answer(f, &fetches[i]);
    }
}

/* Does what store_read does, over `fetch`. */
static enum dp_status read_all(struct fixture *f, struct store_read_req *reqs, size_t n)
{
    f->asked_count = f->rounds = 0;
    f->call.cost = (struct call_cost){0};
    for (size_t i = 0; i < n; i++) {
        reqs[i].status = DP_OK;
        reqs[i].bytes = (struct store_bytes){0};
        reqs[i].unchanged = false;
        reqs[i].version = (struct store_version){0};
    }
    ranges_read(&f->call, &f->limits, reqs, n, fetch, f);
    for (size_t i = 0; i < n; i++)
        if (reqs[i].status != DP_OK)
            return reqs[i].status;
    return DP_OK;
}

static struct store_read_req range(const char *key, uint64_t offset, int64_t len)
{
    return (struct store_read_req){.key = span_str(key), .offset = offset, .len = len};
}

static void expect_asked(const struct fixture *f, const char *text)
{
    char got[2048] = "";
    for (size_t i = 0, at = 0; i < f->asked_count && at < sizeof got; i++)
        at += (size_t)snprintf(got + at, sizeof got - at, "%s%llu+%lld", i ? " " : "",
                               (unsigned long long)f->asked[i].offset, (long long)f->asked[i].len);
    assert_string_equal(got, text);
}

static void expect_bytes(const struct store_read_req *req, const uint8_t *object)
{
    assert_int_equal(req->status, DP_OK);
    assert_int_equal(req->bytes.span.len, req->len);
    if (req->len)
        assert_memory_equal(req->bytes.span.data, object + req->offset, (size_t)req->len);
}

static uint8_t object[1000];

static struct store_version put_object(struct fixture *f)
{
    for (size_t i = 0; i < sizeof object; i++)
        object[i] = (uint8_t)(i * 2654435761u >> 11);
    return put(f, "k", span_of(object, sizeof object));
}

/* ---- merging and splitting -------------------------------------------------------------------------------- */

static void test_ranges_merge_when_close(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    struct store_read_req reqs[5] = {range("k", 50, 10), range("k", 0, 10), range("k", 20, 20), range("k", 5, 3),
                                     range("k", 71, 9)};
    assert_int_equal(read_all(f, reqs, 5), DP_OK);
    expect_asked(f, "0+60 71+9"); /* merge_gap is 10: gaps of 10 merge, a gap of 11 does not */
    assert_int_equal(f->rounds, 1);
    assert_int_equal(f->call.cost.rounds, 0); /* store_read counts the first round */
    for (size_t i = 0; i < 5; i++) {
        expect_bytes(&reqs[i], object);
        assert_int_equal(reqs[i].size, sizeof object);
        assert_int_not_equal(reqs[i].version.len, 0);
    }
    assert_ptr_equal(reqs[0].bytes.block, reqs[1].bytes.block);
    store_read_release(reqs, 5);
}

static void test_ranges_merge_only_one_version_of_one_object(void **state)
{
    struct fixture *f = *state;
    struct store_version version = put_object(f);
    put(f, "other", span_of(object, sizeof object));
    struct store_read_req reqs[4] = {range("k", 0, 10), range("k", 10, 10), range("other", 10, 10),
                                     range("k", 20, 10)};
    reqs[1].pinned = &version;
    reqs[3].pinned = &version;
    assert_int_equal(read_all(f, reqs, 4), DP_OK);
    expect_asked(f, "0+10 10+20 10+10");
    for (size_t i = 0; i < 4; i++)
        expect_bytes(&reqs[i], object);
    store_read_release(reqs, 4);
}

static void test_ranges_merge_no_further_than_one_request(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    struct store_read_req reqs[4] = {range("k", 0, 60), range("k", 60, 40), range("k", 100, 10),
                                     range("k", 90, 10)};
    assert_int_equal(read_all(f, reqs, 4), DP_OK);
    expect_asked(f, "0+100 100+10");
    for (size_t i = 0; i < 4; i++)
        expect_bytes(&reqs[i], object);
    store_read_release(reqs, 4);
}

static void test_ranges_split_when_long(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    struct store_read_req reqs[3] = {range("k", 7, 250), range("k", 300, 100), range("k", 20, 100)};
    assert_int_equal(read_all(f, reqs, 3), DP_OK);
    expect_asked(f, "7+100 107+100 207+50 300+100"); /* the third range lies inside the first */
    assert_int_equal(f->rounds, 1);
    for (size_t i = 0; i < 3; i++)
        expect_bytes(&reqs[i], object);
    store_read_release(reqs, 3);
}

static void test_ranges_neither_merge_nor_split_when_told(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    const struct store_options none = {.merge_gap = STORE_NEVER, .split_at = STORE_NEVER};
    struct dp_error error;
    assert_int_equal(range_limits_of(&none, &f->limits, &error), DP_OK);
    struct store_read_req reqs[3] = {range("k", 0, 10), range("k", 0, 10), range("k", 10, 500)};
    assert_int_equal(read_all(f, reqs, 3), DP_OK);
    expect_asked(f, "0+10 0+10 10+500");
    for (size_t i = 0; i < 3; i++)
        expect_bytes(&reqs[i], object);
    store_read_release(reqs, 3);
}

static void test_ranges_limits_of_options(void **state)
{
    struct fixture *f = *state;
    struct dp_error error;
    assert_int_equal(range_limits_of(NULL, &f->limits, &error), DP_OK);
    assert_int_equal(f->limits.merge_gap, 64 << 10);
    assert_int_equal(f->limits.split_at, 8 << 20);
    const struct store_options own = {.merge_gap = 5, .split_at = 6}, bad = {.merge_gap = -2};
    assert_int_equal(range_limits_of(&own, &f->limits, &error), DP_OK);
    assert_int_equal(f->limits.merge_gap, 5);
    assert_int_equal(f->limits.split_at, 6);
    assert_int_equal(range_limits_of(&bad, &f->limits, &error), DP_INVALID);
}

/* Reads `count` sparse ranges of 10 bytes: `wide` of the gaps are `wider` bytes, the others, behind them, `narrow`.
 * Checks how many requests the store gets. */
static void expect_sparse(struct fixture *f, size_t count, size_t wide, uint64_t wider, uint64_t narrow,
                          size_t requests)
{
    enum { LEN = 10 };
    uint64_t at = 0;
    struct store_read_req *reqs = calloc(count, sizeof *reqs);
    uint8_t *bytes = calloc(1, count * (wider + LEN));
    for (size_t i = 0; i < count; i++) {
        reqs[i] = range("large", at, LEN);
        reqs[i].sparse = true;
        at += LEN + (i < wide ? wider : narrow);
    }
    put(f, "large", span_of(bytes, count * (wider + LEN)));
    assert_int_equal(read_all(f, reqs, count), DP_OK);
    assert_int_equal(f->asked_count, requests);
    assert_int_equal(f->rounds, 1);
    store_read_release(reqs, count);
    free(reqs);
    free(bytes);
}

static void test_ranges_that_are_sparse_merge_over_small_gaps(void **state)
{
    struct fixture *f = *state;
    f->limits = (struct range_limits){RANGES_MERGE_GAP, RANGES_SPLIT_AT};
    expect_sparse(f, 40, 20, RANGES_SPARSE_GAP + 1, RANGES_SPARSE_GAP, 21);
    f->limits.merge_gap = 5;
    expect_sparse(f, 4, 2, 6, 5, 3);
    f->limits.merge_gap = UINT64_MAX;
    expect_sparse(f, 4, 2, 1, 0, 4);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Batches of any shape give the bytes that the store itself gives. */
static void test_ranges_deliver_the_asked_bytes(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    for (uint32_t seed = 1; seed <= 300; seed++) {
        uint32_t r = seed;
        struct store_read_req reqs[40], plain[40];
        size_t n = 1 + next_random(&r) % 40;
        f->limits =
            (struct range_limits){.merge_gap = next_random(&r) % 4 ? next_random(&r) % 50 : UINT64_MAX,
                                  .split_at = next_random(&r) % 4 ? 20 + next_random(&r) % 200 : UINT64_MAX};
        for (size_t i = 0; i < n; i++) {
            uint64_t offset = next_random(&r) % 1010;
            int64_t len = next_random(&r) % 10 ? next_random(&r) % 120 : next_random(&r) % 3 - 1;
            if (next_random(&r) % 4 && offset < 1000 && len > (int64_t)(1000 - offset))
                len = (int64_t)(1000 - offset);
            reqs[i] = plain[i] = range("k", offset, len);
        }
        read_all(f, reqs, n);
        store_read(&f->call, test_store_inner(f->store), plain, n);
        for (size_t i = 0; i < n; i++) {
            if (reqs[i].status != plain[i].status)
                fail_msg("seed %u, %llu+%lld: %s", seed, (unsigned long long)reqs[i].offset,
                         (long long)reqs[i].len, dp_status_name(reqs[i].status));
            assert_true(span_equal(reqs[i].bytes.span, plain[i].bytes.span));
            if (reqs[i].status != DP_OK)
                continue;
            assert_int_equal(reqs[i].size, plain[i].size);
            assert_true(store_version_equal(&reqs[i].version, &plain[i].version));
        }
        store_read_release(reqs, n);
        store_read_release(plain, n);
    }
}

/* ---- ends of objects -------------------------------------------------------------------------------------- */

static void test_ranges_to_the_end(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    struct store_read_req reqs[3] = {range("k", 0, STORE_TO_END), range("k", 990, STORE_TO_END),
                                     range("k", 1000, STORE_TO_END)};
    assert_int_equal(read_all(f, reqs, 3), DP_OK);
    assert_int_equal(reqs[0].bytes.span.len, 1000);
    assert_int_equal(reqs[1].bytes.span.len, 10);
    assert_int_equal(reqs[2].bytes.span.len, 0);
    assert_true(store_version_equal(&reqs[2].version, &reqs[0].version));
    /* an answer without bytes has no version, so a request of 0 bytes asks for it */
    expect_asked(f, "0+-1 990+-1 1000+-1 1000+0");
    assert_int_equal(f->rounds, 2);
    assert_int_equal(f->call.cost.rounds, 1);
    store_read_release(reqs, 3);
}

static void test_ranges_past_the_end(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    struct store_read_req reqs[5] = {range("k", 950, 50), range("k", 955, 46), range("k", 1001, 5),
                                     range("k", 900, 300), range("k", UINT64_MAX, 1)};
    assert_int_equal(read_all(f, reqs, 5), DP_INVALID);
    expect_bytes(&reqs[0], object);
    for (size_t i = 1; i < 5; i++) {
        assert_int_equal(reqs[i].status, DP_INVALID);
        assert_int_equal(reqs[i].bytes.span.len, 0);
        assert_non_null(strstr(reqs[i].error.message, "k"));
    }
    assert_int_equal(f->rounds, 1);
    store_read_release(reqs, 5);
}

/* Before an answer has confirmed a length, it decides neither how much is allocated nor how many requests are
 * sent. */
static void test_ranges_do_not_believe_huge_lengths(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    struct store_read_req req = range("k", 10, INT64_MAX - 10);
    assert_int_equal(read_all(f, &req, 1), DP_INVALID);
    expect_asked(f, "10+0");
    req = range("none", 0, (int64_t)1 << 40);
    assert_int_equal(read_all(f, &req, 1), DP_NOT_FOUND);
    expect_asked(f, "0+0");
}

static void test_ranges_confirm_large_lengths_first(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = RANGES_BLIND_MAX + 5 };
    uint8_t *huge = calloc(SIZE, 1);
    huge[SIZE - 1] = 9;
    struct store_version version = put(f, "huge", span_of(huge, SIZE));
    f->limits.split_at = 32 << 20;
    struct store_read_req req = range("huge", 0, SIZE);
    assert_int_equal(read_all(f, &req, 1), DP_OK);
    assert_int_equal(f->asked_count, 4);
    assert_int_equal(f->asked[0].len, 0);
    assert_int_equal(req.bytes.span.len, SIZE);
    assert_int_equal(req.bytes.span.data[SIZE - 1], 9);
    assert_int_equal(f->call.cost.rounds, 1);
    store_read_release(&req, 1);
    req.pinned = &version;
    req.if_changed = true;
    assert_int_equal(read_all(f, &req, 1), DP_OK);
    assert_true(req.unchanged);
    assert_int_equal(f->asked_count, 1);
    put(f, "huge", span_of(huge, SIZE));
    assert_int_equal(read_all(f, &req, 1), DP_OK);
    assert_false(req.unchanged);
    assert_int_equal(req.bytes.span.len, SIZE);
    store_read_release(&req, 1);
    free(huge);
}

/* ---- versions --------------------------------------------------------------------------------------------- */

/* Another writer replaces the object before the second request of each of the first `changes` rounds. */
static void change_between(struct fixture *f, size_t at)
{
    static const uint8_t fills[] = {0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x11, 0x22};
    if (at != 1 || f->changes == 0)
        return;
    f->changes--;
    memset(object, fills[f->changes % 8], sizeof object);
    struct call call;
    call_init(&call, &f->arena);
    struct store_put put = {.key = span_str("k"), .body = span_of(object, sizeof object)};
    assert_int_equal(store_put(&call, test_store_inner(f->store), &put), DP_OK);
}

static void test_ranges_never_mix_versions(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    f->between = change_between;
    f->changes = 2;
    struct store_read_req reqs[2] = {range("k", 0, 250), range("k", 110, 30)};
    assert_int_equal(read_all(f, reqs, 2), DP_OK);
    expect_bytes(&reqs[0], object);
    assert_int_equal(f->changes, 0);
    assert_int_equal(f->rounds, 3);
    assert_int_equal(f->call.cost.rounds, 2);
    store_read_release(reqs, 2);
    f->changes = 1000;
    assert_int_equal(read_all(f, reqs, 1), DP_STALE);
    assert_non_null(strstr(reqs[0].error.message, "keeps changing"));
    assert_true(f->rounds <= 10);
}

static void test_ranges_pinned_parts_are_stale(void **state)
{
    struct fixture *f = *state;
    struct store_version version = put_object(f);
    f->between = change_between;
    f->changes = 1;
    struct store_read_req reqs[2] = {range("k", 0, 250), range("k", 10, 20)};
    reqs[0].pinned = reqs[1].pinned = &version;
    uint8_t before = object[15];
    assert_int_equal(read_all(f, reqs, 2), DP_STALE);
    assert_int_equal(reqs[0].status, DP_STALE);
    assert_null(reqs[0].bytes.block);
    assert_int_equal(reqs[1].status, DP_OK); /* its part was read before the change */
    assert_int_equal(reqs[1].bytes.span.data[5], before);
    assert_int_equal(f->rounds, 1);
    store_read_release(reqs, 2);
}

static void test_ranges_if_changed(void **state)
{
    struct fixture *f = *state;
    struct store_version version = put_object(f);
    struct store_read_req reqs[2] = {range("k", 0, STORE_TO_END), range("k", 5, 20)};
    for (size_t i = 0; i < 2; i++) {
        reqs[i].pinned = &version;
        reqs[i].if_changed = true;
    }
    assert_int_equal(read_all(f, reqs, 2), DP_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_true(reqs[i].unchanged);
        assert_null(reqs[i].bytes.block);
        assert_true(store_version_equal(&reqs[i].version, &version));
    }
    struct store_version next = put_object(f);
    assert_int_equal(read_all(f, reqs, 2), DP_OK);
    assert_int_equal(reqs[0].bytes.span.len, 1000);
    expect_bytes(&reqs[1], object);
    assert_true(store_version_equal(&reqs[1].version, &next));
    assert_false(reqs[0].unchanged);
    store_read_release(reqs, 2);
}

/* ---- failures --------------------------------------------------------------------------------------------- */

static void test_ranges_failures_reach_only_their_ranges(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    /* Two ranges merge. One has three parts, of which the second fails. One lies in the failing part, one in
     * the first. The last is of a missing object. */
    struct store_read_req reqs[6] = {range("k", 0, 10),   range("k", 15, 10),  range("k", 300, 300),
                                     range("k", 420, 10), range("k", 310, 20), range("none", 0, 5)};
    test_store_fail_at(f->store, TEST_STORE_READ, 3, DP_UNAVAILABLE, false);
    assert_int_equal(read_all(f, reqs, 6), DP_UNAVAILABLE);
    expect_asked(f, "0+25 300+100 400+100 500+100 0+5");
    expect_bytes(&reqs[0], object);
    expect_bytes(&reqs[1], object);
    assert_int_equal(reqs[2].status, DP_UNAVAILABLE);
    assert_int_equal(reqs[3].status, DP_UNAVAILABLE);
    expect_bytes(&reqs[4], object);
    assert_int_equal(reqs[5].status, DP_NOT_FOUND);
    store_read_release(reqs, 6);
}

static void test_ranges_leave_refused_requests_alone(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    struct store_read_req reqs[2] = {range("k", 0, 10), range("../k", 0, 10)};
    f->asked_count = 0;
    reqs[0].status = DP_OK;
    reqs[0].bytes = (struct store_bytes){0};
    reqs[1].status = DP_INVALID;
    ranges_read(&f->call, &f->limits, reqs, 2, fetch, f);
    expect_asked(f, "0+10");
    assert_int_equal(reqs[1].status, DP_INVALID);
    store_read_release(reqs, 1);
}

static void test_ranges_survive_failed_allocations(void **state)
{
    struct fixture *f = *state;
    put_object(f);
    size_t n = 1;
    for (;; n = test_alloc_next(n)) {
        struct store_read_req reqs[4] = {range("k", 0, 250), range("k", 300, 10), range("k", 500, STORE_TO_END),
                                         range("k", 1000, STORE_TO_END)};
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = read_all(f, reqs, 4);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        store_read_release(reqs, 4);
        assert_int_equal(test_alloc_live(), before);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
    }
    assert_true(n > 5);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_ranges_merge_when_close),
        CASE(test_ranges_merge_only_one_version_of_one_object),
        CASE(test_ranges_merge_no_further_than_one_request),
        CASE(test_ranges_split_when_long),
        CASE(test_ranges_neither_merge_nor_split_when_told),
        CASE(test_ranges_limits_of_options),
        CASE(test_ranges_that_are_sparse_merge_over_small_gaps),
        CASE(test_ranges_deliver_the_asked_bytes),
        CASE(test_ranges_to_the_end),
        CASE(test_ranges_past_the_end),
        CASE(test_ranges_do_not_believe_huge_lengths),
        CASE(test_ranges_confirm_large_lengths_first),
        CASE(test_ranges_never_mix_versions),
        CASE(test_ranges_pinned_parts_are_stale),
        CASE(test_ranges_if_changed),
        CASE(test_ranges_failures_reach_only_their_ranges),
        CASE(test_ranges_leave_refused_requests_alone),
        CASE(test_ranges_survive_failed_allocations),
    };
    return test_run(tests);
}
