/* test_index_object_log.c: a load that is given up removes the objects that it noted, unless a manifest may list
 * them. */
#include "index_fixture.h"

enum { OBJECTS = 3 };

/* Writes and notes OBJECTS objects, and writes one that is not noted. */
static void write_some(struct world *w, struct object_log *log)
{
    struct object_key keys[OBJECTS + 1];
    for (size_t i = 0; i <= OBJECTS; i++) {
        struct ulid incarnation = {"00000000000000000000000000"};
        key_of_wal(&keys[i], span_str("rows"), &incarnation, i);
        if (i < OBJECTS)
            assert_int_equal(object_log_note(&w->call, log, &keys[i]), DP_OK);
        struct store_put put = {.key = object_key_span(&keys[i]), .body = span_str("bytes")};
        assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
    }
}

static size_t count_objects(struct world *w)
{
    struct store_listing page;
    assert_int_equal(store_list(&w->call, w->store, span_str(""), span_str(""), false, 100, &page), DP_OK);
    return page.count;
}

static void test_index_noted_objects_are_removed(void **state)
{
    struct world *w = *state;
    struct object_log log = {.arena = &w->arena};
    write_some(w, &log);
    object_log_remove(&log, w->store);
    assert_int_equal(count_objects(w), 1);
}

static void test_index_objects_that_a_sent_manifest_lists_stay(void **state)
{
    struct world *w = *state;
    struct object_log log = {.arena = &w->arena};
    write_some(w, &log);
    log.sent = true;
    object_log_remove(&log, w->store);
    assert_int_equal(count_objects(w), OBJECTS + 1);
}

static void test_index_a_failed_write_of_an_unlisted_object_leaves_nothing_unknown(void **state)
{
    struct world *w = *state;
    static const enum dp_status cases[][2] = {
        {DP_OK, DP_OK}, {DP_UNKNOWN, DP_UNAVAILABLE}, {DP_NOT_DURABLE, DP_IO}, {DP_FULL, DP_FULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i][0] != DP_OK)
            call_fail(&w->call, cases[i][0], "test");
        assert_int_equal(object_log_status(&w->call, cases[i][0]), cases[i][1]);
        assert_int_equal(w->call.error.status, cases[i][1]);
    }
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_noted_objects_are_removed),
        IN_MEMORY(test_index_objects_that_a_sent_manifest_lists_stay),
        IN_MEMORY(test_index_a_failed_write_of_an_unlisted_object_leaves_nothing_unknown),
    };
    return test_run(tests);
}
