/* test_index_far_filters.c: queries with a filter that only rows far from the query match. Their ten nearest lie all over
 * these rows, in lists whose centroids are about equally far.
 */
#include "index_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/splitmix.h"
#include "index/query/reader.h"

enum { DIM = 128, CLUSTERS = 50, LARGE = 8000, SMALL = 2100, ROWS = LARGE + 2 * SMALL, WRITTEN = 30 };
enum { ALL = ROWS + WRITTEN, K = 10, QUERIES = 12 };

/* The rows, in clusters that overlap: row r is of cluster r % CLUSTERS. */
struct clustered {
    float centres[CLUSTERS][DIM], rows[ALL][DIM];
};

/* A query, and the rows that its filter lets pass: those of some clusters. */
struct far_query {
    float vector[DIM], dist[ALL];
    bool cluster[CLUSTERS];
};

static float drawn(uint64_t *state)
{
    double sum = 0; /* of four uniform numbers: nearly normal */
    for (int i = 0; i < 4; i++)
        sum += (double)(splitmix64_next(state) >> 11) / 9007199254740992.0 - 0.5;
    return (float)(sum * 1.7320508);
}

static void make_rows(struct clustered *c)
{
    uint64_t state = 5;
    for (size_t i = 0; i < CLUSTERS; i++)
        for (size_t d = 0; d < DIM; d++)
            c->centres[i][d] = 0.5F * drawn(&state);
    for (size_t row = 0; row < ALL; row++)
        for (size_t d = 0; d < DIM; d++)
            c->rows[row][d] = c->centres[row % CLUSTERS][d] + drawn(&state);
}

static void load_rows(struct world *w, const struct clustered *c, size_t from, size_t to)
{
    struct index_load_summary summary;
    struct index_loader *loader = fixture_begin(w, "rows");
    for (size_t row = from; row < to; row++) {
        char text[64];
        snprintf(text, sizeof text, "{\"cluster\": %zu}", row % CLUSTERS);
        const struct index_id id = {.number = row};
        assert_int_equal(index_load_row(&w->call, loader, id, c->rows[row], 1, span_str(text)), DP_OK);
    }
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
}

/* Loads three segments, and writes the last rows into the log. */
static struct index_reader *open_rows(struct world *w, const struct clustered *c)
{
    static struct index_write_row rows[WRITTEN];
    static char texts[WRITTEN][64];
    struct index_write_result result;
    w->dim = DIM;
    load_rows(w, c, 0, LARGE);
    load_rows(w, c, LARGE, LARGE + SMALL);
    load_rows(w, c, LARGE + SMALL, ROWS);
    for (size_t i = 0; i < WRITTEN; i++) {
        snprintf(texts[i], sizeof texts[i], "{\"cluster\": %zu}", (ROWS + i) % CLUSTERS);
        rows[i] = (struct index_write_row){.kind = INDEX_UPSERT,
                                           .id = {.number = ROWS + i},
                                           .vectors = c->rows[ROWS + i],
                                           .windows = 1,
                                           .attributes = span_str(texts[i])};
    }
    struct index_reader *reader = fixture_open(w, "rows");
    const struct index_write write = {.rows = rows, .count = WRITTEN, .dim = DIM};
    assert_int_equal(index_write(&w->call, reader, &write, &result), DP_OK);
    reader->whole_bytes = 1; /* a budget instead of all lists */
    return reader;
}

static float distance(enum index_metric metric, const float *a, const float *b)
{
    double dot = 0, aa = 0, bb = 0, square = 0;
    for (size_t d = 0; d < DIM; d++) {
        dot += (double)a[d] * b[d];
        aa += (double)a[d] * a[d];
        bb += (double)b[d] * b[d];
        square += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
    }
    return (float)(metric == INDEX_COSINE ? 1 - dot / sqrt(aa * bb) : square);
}

/* Makes a query near one cluster, whose filter lets the `count` clusters pass that are farthest from it. */
static void make_query(const struct clustered *c, enum index_metric metric, uint64_t number, size_t count,
                       struct far_query *q)
{
    uint64_t state = number + 1000;
    float dist[CLUSTERS];
    for (size_t d = 0; d < DIM; d++)
        q->vector[d] = c->centres[number * 7 % CLUSTERS][d] + drawn(&state);
    for (size_t row = 0; row < ALL; row++)
        q->dist[row] = distance(metric, q->vector, c->rows[row]);
    for (size_t i = 0; i < CLUSTERS; i++)
        dist[i] = distance(metric, q->vector, c->centres[i]);
    for (size_t i = 0; i < CLUSTERS; i++) {
        size_t farther = 0;
        for (size_t j = 0; j < CLUSTERS; j++)
            farther += dist[j] > dist[i];
        q->cluster[i] = farther < count;
    }
}

static bool match_cluster(void *ctx, struct span key, struct span document)
{
    const struct far_query *q = ctx;
    char text[64];
    (void)key;
    assert_true(document.len < sizeof text);
    memcpy(text, document.data, document.len);
    text[document.len] = 0;
    return q->cluster[strtoull(strchr(text, ':') + 1, NULL, 10)];
}

static int by_value(const void *a, const void *b)
{
    const float *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* Runs the query, and checks that it answers rows that match. Returns how many of the nearest ones are among them. */
static size_t count_found(struct world *w, struct index_reader *reader, struct far_query *q)
{
    static float all[ALL];
    struct index_answer answer;
    size_t count = 0, found = 0;
    const struct index_scan scan = {.query = {.vector = q->vector, .dim = DIM, .top_k = K, .all_attributes = true},
                                    .match = match_cluster,
                                    .match_ctx = q};
    for (size_t row = 0; row < ALL; row++) {
        if (q->cluster[row % CLUSTERS])
            all[count++] = q->dist[row];
    }
    qsort(all, count, sizeof *all, by_value);
    if (index_scan(&w->call, reader, &scan, &answer) != DP_OK)
        fail_msg("%s", w->call.error.message);
    assert_int_equal(answer.plan.rule, INDEX_RULE_LISTS);
    assert_int_equal(answer.plan.matches, count);
    assert_true(answer.plan.lists < answer.plan.all_lists);
    assert_int_equal(answer.count, K);
    for (size_t i = 0; i < K; i++) {
        const uint64_t row = answer.hits[i].id.number;
        assert_true(row < ALL && q->cluster[row % CLUSTERS]);
        found += q->dist[row] <= all[K - 1] * 1.00001F;
    }
    return found;
}

static void check_recall(void **state, enum index_metric metric)
{
    struct world *w = *state;
    struct clustered *c = malloc(sizeof *c);
    struct far_query *q = calloc(1, sizeof *q);
    assert_true(c && q);
    w->metric = metric;
    make_rows(c);
    struct index_reader *reader = open_rows(w, c);
    static const size_t counts[] = {5, 12, 25};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        size_t found = 0;
        for (uint64_t number = 0; number < QUERIES; number++) {
            make_query(c, metric, number, counts[i], q);
            world_reset(w);
            found += count_found(w, reader, q);
        }
        printf("the farthest %zu of %d clusters: %zu of %d\n", counts[i], CLUSTERS, found, K * QUERIES);
        assert_true(found * 100 >= (size_t)93 * K * QUERIES);
    }
    index_close(reader);
    free(c);
    free(q);
}

static void test_index_far_filters_by_cosine(void **state)
{
    check_recall(state, INDEX_COSINE);
}

static void test_index_far_filters_by_distance(void **state)
{
    check_recall(state, INDEX_EUCLIDEAN_SQUARED);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_far_filters_by_cosine),
        IN_MEMORY(test_index_far_filters_by_distance),
    };
    return test_run(tests);
}
