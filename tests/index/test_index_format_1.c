/* test_index_format_1.c: segments of format 1, which an older build wrote (tests/data/segment-1), are read and
 * verified, and a merge writes their rows in the newest format.
 */
#include "index_fixture.h"

#include <stdio.h>
#include <string.h>

#include "index/segment/format.h"
#include "index/upkeep.h"
#include "index/verify.h"

enum { ROWS = 60, NEW_FROM = 20, NEW_TO = 30, OLD_DIM = 4, SEGMENTS = 2, ALL_LISTS = 1000 };

static const struct expected rows = {ROWS, 0, NEW_FROM, NEW_TO, 1};

#define HOME "old/01M8NHWQGE6ZHDX39ZES098W6F/seg/"
static const char *const objects[] = {
    "old/manifest.json",
    HOME "01M8NHWQGFWGBPDWPTKM0GFXB6.1.ivf",
    HOME "01M8NHWQGFWGBPDWPTKM0GFXB6.dpr",
    HOME "01M8NHWQGFWGBPDWPTKM0GFXB6.01M8NHWQGJDEZ0WMPM8E1Y69MA.del",
    HOME "01M8NHWQGH3XBHK5ZHJ6J963Y6.1.ivf",
    HOME "01M8NHWQGH3XBHK5ZHJ6J963Y6.dpr",
};

static int old_world(void **state)
{
    int failed = world_in_memory(state);
    struct world *w = *state;
    w->dim = OLD_DIM;
    w->windows = true;
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        char name[256];
        snprintf(name, sizeof name, "segment-1/%s", objects[i]);
        struct store_put put = {.key = span_str(objects[i]), .body = test_data(name)};
        assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
    }
    return failed;
}

static void check_rows(struct world *w)
{
    struct index_reader *reader = fixture_open(w, "old");
    assert_true(fixture_check_answers(w, reader, &rows, 10, 20, ALL_LISTS) >= 0.999);
    index_close(reader);
}

static void refuse_fault(void *context, const char *object, const char *fault)
{
    (void)context;
    fail_msg("%s: %s", object, fault);
}

static void verify_rows(struct world *w, uint64_t segments)
{
    struct index_verify_result result;
    assert_int_equal(index_verify(&w->call, w->store, span_str("old"), refuse_fault, NULL, &result), DP_OK);
    assert_int_equal(result.faults, 0);
    assert_int_equal(result.segments, segments);
    assert_int_equal(result.rows, ROWS);
}

/* Returns the format in the head of a .dpr object. */
static uint32_t format_of(struct world *w, struct span key)
{
    struct store_read_req req = {.key = key, .len = SEGMENT_HEAD_LEN};
    assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
    struct cursor head = cursor_over(req.bytes.span);
    cursor_bytes(&head, FORMAT_MAGIC_LEN);
    uint32_t format = cursor_u32(&head);
    store_read_release(&req, 1);
    return format;
}

/* Counts the .dpr objects that have the format. */
static size_t count_format(struct world *w, uint32_t format)
{
    struct store_listing page;
    size_t count = 0;
    assert_int_equal(store_list(&w->call, w->store, span_str("old/"), span_str(""), false, 1000, &page), DP_OK);
    for (size_t i = 0; i < page.count; i++) {
        struct span key = page.entries[i].key;
        bool dpr = key.len > 4 && memcmp(key.data + key.len - 4, ".dpr", 4) == 0;
        count += dpr && format_of(w, key) == format;
    }
    return count;
}

static void test_index_reads_and_verifies_format_1(void **state)
{
    struct world *w = *state;
    assert_int_equal(count_format(w, SEGMENT_FORMAT_OLDEST), SEGMENTS);
    check_rows(w);
    verify_rows(w, SEGMENTS);
}

static void test_index_a_load_replaces_rows_of_format_1(void **state)
{
    struct world *w = *state;
    fixture_must_load(w, "old", 0, 10, 0);
    assert_int_equal(count_format(w, SEGMENT_FORMAT), 1);
    check_rows(w);
    verify_rows(w, SEGMENTS + 1);
}

static void test_index_a_merge_rewrites_format_1(void **state)
{
    struct world *w = *state;
    const struct index_merge_options options = {.everything = true};
    struct index_merge_result result;
    assert_int_equal(index_merge(&w->call, w->store, span_str("old"), &options, &result), DP_OK);
    assert_int_equal(result.inputs, SEGMENTS);
    assert_int_equal(count_format(w, SEGMENT_FORMAT), 1);
    check_rows(w);
    verify_rows(w, 1);
}

#define OLD(test) cmocka_unit_test_setup_teardown(test, old_world, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OLD(test_index_reads_and_verifies_format_1),
        OLD(test_index_a_load_replaces_rows_of_format_1),
        OLD(test_index_a_merge_rewrites_format_1),
    };
    return test_run(tests);
}
