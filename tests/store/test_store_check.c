/* test_store_check.c: what the check of a store's promises finds in stores that break them. */
#include "test_support.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "store/implement.h"
#include "store/store_check.h"
#include "store/store_memory.h"

/* A store over one in memory that can break each promise. */
struct broken {
    struct store base;
    struct store *inner;
    bool ignores_absent, ignores_version, changes_bytes, keeps_removed;
    unsigned puts;
};

static enum dp_status broken_put(struct call *call, struct store *store, struct store_put *put)
{
    struct broken *b = (struct broken *)store;
    struct store_put sent = *put;
    b->puts++;
    if ((b->ignores_absent && put->condition == STORE_IF_ABSENT) ||
        (b->ignores_version && put->condition == STORE_IF_VERSION))
        sent.condition = STORE_ANY;
    if (b->changes_bytes)
        sent.body = span_of(put->body.data, put->body.len - 1);
    enum dp_status status = b->inner->ops->put(call, b->inner, &sent);
    put->version = sent.version;
    put->date_ms = 0;
    return status;
}

static void broken_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    struct broken *b = (struct broken *)store;
    b->inner->ops->read(call, b->inner, reqs, n);
}

static enum dp_status broken_remove(struct call *call, struct store *store, struct span key)
{
    struct broken *b = (struct broken *)store;
    if (b->keeps_removed)
        return call_fail(call, DP_DENIED, "removing is not allowed");
    return b->inner->ops->remove(call, b->inner, key);
}

static const struct store_ops BROKEN_OPS = {
    .scheme = "broken", .put = broken_put, .read = broken_read, .remove = broken_remove};

static enum dp_status check(struct broken *b, struct store_check *out, char message[600])
{
    struct arena arena;
    struct call call;
    struct store_listing left;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    b->base.ops = &BROKEN_OPS;
    assert_int_equal(store_memory_open(&call, &b->inner), DP_OK);
    enum dp_status status = store_check_writes(&call, &b->base, out);
    snprintf(message, 600, "%s", call.error.message);
    assert_int_equal(call.error.status, status);
    assert_int_equal(store_list(&call, b->inner, span_str(""), span_str(""), false, 9, &left), DP_OK);
    assert_int_equal(left.count, out->left);
    if (out->left)
        assert_true(span_equal_str(left.entries[0].key, out->key));
    store_free(b->inner);
    arena_deinit(&arena);
    return status;
}

static void test_store_check_passes_a_store_that_keeps_its_promises(void **state)
{
    struct broken b = {.puts = 0};
    struct store_check out;
    char message[600];
    (void)state;
    assert_int_equal(check(&b, &out, message), DP_OK);
    assert_int_equal(b.puts, 4);
    assert_false(out.left);
    assert_false(out.has_clock); /* this store has no clock */
}

static void test_store_check_names_the_broken_promise(void **state)
{
    struct store_check out;
    char message[600];
    (void)state;
    assert_int_equal(check(&(struct broken){.ignores_absent = true}, &out, message), DP_UNSUPPORTED);
    assert_non_null(strstr(message, "if absent"));
    assert_int_equal(check(&(struct broken){.ignores_version = true}, &out, message), DP_UNSUPPORTED);
    assert_non_null(strstr(message, "if version"));
    assert_int_equal(check(&(struct broken){.changes_bytes = true}, &out, message), DP_UNSUPPORTED);
    assert_non_null(strstr(message, "other bytes"));
    assert_false(out.left);
    assert_int_equal(check(&(struct broken){.keeps_removed = true}, &out, message), DP_DENIED);
    assert_true(out.left);
    /* the first failure counts */
    assert_int_equal(check(&(struct broken){.ignores_absent = true, .keeps_removed = true}, &out, message),
                     DP_UNSUPPORTED);
    assert_true(out.left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_check_passes_a_store_that_keeps_its_promises),
        cmocka_unit_test(test_store_check_names_the_broken_promise),
    };
    return test_run(tests);
}
