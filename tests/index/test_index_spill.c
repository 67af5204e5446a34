/* test_index_spill.c: loads that are larger than their memory: rows go into several segments. */
#include "index_fixture.h"

#include <string.h>

#include "index/load/load.h"

/* A load in which a segment is full after `segment_rows` rows. */
static struct index_load_summary load_cut(struct world *w, uint64_t from, uint64_t to, unsigned edition,
                                          size_t segment_rows)
{
    struct index_vectors vectors = fixture_vectors(w);
    struct index_loader *loader;
    struct index_load_summary summary;
    float x[FIXTURE_WINDOWS_MAX * FIXTURE_DIM];
    assert_int_equal(index_load_begin(&w->call, w->store, span_str("rows"), &vectors, NULL, &loader), DP_OK);
    loader->segment_rows = segment_rows;
    for (uint64_t row = from; row < to; row++) {
        char id[32], attributes[256];
        size_t windows = fixture_windows(w, row);
        for (size_t i = 0; i < windows; i++)
            fixture_vector(w, row, i, edition, x + i * w->dim);
        assert_int_equal(index_load_row(&w->call, loader, fixture_id(row, id), x, windows,
                                        span_str(fixture_attributes(row, edition, attributes))),
                         DP_OK);
    }
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    return summary;
}

static void test_index_a_load_may_fill_several_segments(void **state)
{
    struct world *w = *state;
    w->windows = true;
    struct index_load_summary summary = load_cut(w, 0, 1000, 0, 300);
    assert_int_equal(summary.segments, 4);
    assert_int_equal(summary.total_rows, 1000);
    summary = load_cut(w, 500, 1250, 1, 200);
    assert_int_equal(summary.segments, 4);
    assert_int_equal(summary.replaced, 500);
    assert_int_equal(summary.total_rows, 1250);
    struct index_reader *reader = fixture_open(w, "rows");
    struct expected e = {.rows = 1000, .newer_from = 500, .newer_to = 1250, .newer_edition = 1};
    assert_true(fixture_check_answers(w, reader, &e, 20, 10, 0) >= 0.999);
    assert_true(fixture_check_answers(w, reader, &e, 1, 2000, 0) == 1.0);
    struct index_stats stats;
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    assert_int_equal(stats.segments, 2 + 4); /* two of the older ones have no row left */
    index_close(reader);
}

/* The segments do not depend on how many threads build them. */
static void test_index_a_team_builds_the_same_lists(void **state)
{
    struct world *w = *state;
    struct team *team;
    struct span ivf[2] = {{0}};
    struct store_bytes kept[2];
    assert_int_equal(team_new(3, &team, NULL), DP_OK);
    for (int i = 0; i < 2; i++) {
        struct index_vectors vectors = fixture_vectors(w);
        struct index_loader *loader;
        struct index_load_summary summary;
        struct store_listing page;
        float x[FIXTURE_DIM];
        const char *name = i ? "many" : "one";
        assert_int_equal(index_load_begin(&w->call, w->store, span_str(name), &vectors, i ? team : NULL, &loader),
                         DP_OK);
        for (uint64_t row = 0; row < 5000; row++) {
            fixture_vector(w, row, 0, 0, x);
            assert_int_equal(
                index_load_row(&w->call, loader, (struct index_id){.number = row}, x, 1, span_str("")), DP_OK);
        }
        assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
        assert_int_equal(store_list(&w->call, w->store, span_str(name), span_str(""), false, 10, &page), DP_OK);
        for (size_t o = 0; o < page.count; o++) {
            if (memcmp(page.entries[o].key.data + page.entries[o].key.len - 4, ".ivf", 4) != 0)
                continue;
            struct store_read_req req = {.key = page.entries[o].key, .len = STORE_TO_END};
            assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
            kept[i] = req.bytes;
            ivf[i] = req.bytes.span;
        }
    }
    assert_true(ivf[0].len > 100000 && span_equal(ivf[0], ivf[1]));
    store_bytes_release(&kept[0]);
    store_bytes_release(&kept[1]);
    team_free(team);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_a_load_may_fill_several_segments),
        IN_MEMORY(test_index_a_team_builds_the_same_lists),
    };
    return test_run(tests);
}
