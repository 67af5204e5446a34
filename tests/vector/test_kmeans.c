/* test_kmeans.c: finds clusters, gives equal results at any number of threads, and leaves no centroid unused. */
#include "test_support.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "os/clock.h"
#include "vector/kmeans.h"

enum { N = 700, DIM = 19, K = 70 };

struct fixture {
    struct arena arena;
    struct call call;
    float x[N][DIM], centroids[K][DIM], score[N];
    uint32_t list[N];
};
static struct fixture f;

static float chance(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (float)((double)(*seed >> 11) / 9007199254740992.0 - 0.5);
}

/* Vectors around `centers` far apart points. */
static void fill(size_t centers)
{
    uint64_t seed = 99;
    float middle[K][DIM];
    for (size_t c = 0; c < centers; c++)
        for (size_t i = 0; i < DIM; i++)
            middle[c][i] = chance(&seed) * 20.0f;
    for (size_t r = 0; r < N; r++)
        for (size_t i = 0; i < DIM; i++)
            f.x[r][i] = middle[r % centers][i] + chance(&seed);
}

static int set_up(void **state)
{
    (void)state;
    arena_init(&f.arena, 1 << 20);
    call_init(&f.call, &f.arena);
    fill(10);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&f.arena);
    return 0;
}

static void train(struct team *team, size_t n, size_t k, enum vector_metric metric, uint64_t seed)
{
    assert_int_equal(kmeans_train(&f.call, team, f.x[0], n, DIM, k, metric, seed, f.centroids[0]), DP_OK);
}

static void test_vector_kmeans_assigns_the_nearest(void **state)
{
    (void)state;
    for (int metric = 0; metric < 2; metric++) {
        train(NULL, N, K, (enum vector_metric)metric, 1);
        assert_int_equal(kmeans_assign(&f.call, NULL, f.x[0], N, DIM, f.centroids[0], K,
                                       (enum vector_metric)metric, f.list, f.score),
                         DP_OK);
        for (size_t r = 0; r < N; r++) {
            float best = metric == VECTOR_L2 ? INFINITY : -INFINITY;
            for (size_t c = 0; c < K; c++) {
                float score = distance_pair((enum vector_metric)metric, f.x[r], f.centroids[c], DIM);
                best = metric == VECTOR_L2 ? fminf(best, score) : fmaxf(best, score);
            }
            assert_true(f.list[r] < K);
            assert_true(f.score[r] ==
                        distance_pair((enum vector_metric)metric, f.x[r], f.centroids[f.list[r]], DIM));
            assert_true(fabsf(f.score[r] - best) <= 1e-3f);
        }
    }
}

static void test_vector_kmeans_finds_clusters(void **state)
{
    (void)state;
    double sum = 0;
    train(NULL, N, 30, VECTOR_L2, 7);
    assert_int_equal(kmeans_assign(&f.call, NULL, f.x[0], N, DIM, f.centroids[0], 30, VECTOR_L2, f.list, f.score),
                     DP_OK);
    for (size_t r = 0; r < N; r++)
        sum += (double)f.score[r];
    /* The noise around each centre is uniform, of width 1. If every cluster has its centroid, the mean squared
     * distance is DIM / 12. */
    assert_true(sum / N < DIM / 12.0 * 1.05);
}

/* Clusters quickly, and returns the mean squared distance to the centroids. */
static float cluster(struct team *team, enum vector_metric metric)
{
    const struct kmeans_task task = {.x = f.x[0], .n = N, .dim = DIM, .k = K, .metric = metric, .seed = 3};
    float sum = 0;
    assert_int_equal(kmeans_cluster(&f.call, team, &task, f.centroids[0], f.list), DP_OK);
    for (size_t r = 0; r < N; r++) {
        assert_true(f.list[r] < K);
        sum += distance_pair(VECTOR_L2, f.x[r], f.centroids[f.list[r]], DIM);
    }
    return sum / N;
}

static void test_vector_kmeans_clusters_quickly_and_almost_as_well(void **state)
{
    (void)state;
    float full = 0;
    train(NULL, N, K, VECTOR_L2, 3);
    assert_int_equal(kmeans_assign(&f.call, NULL, f.x[0], N, DIM, f.centroids[0], K, VECTOR_L2, f.list, f.score),
                     DP_OK);
    for (size_t r = 0; r < N; r++)
        full += f.score[r] / N;
    float quick = cluster(NULL, VECTOR_L2);
    assert_true(quick < full * 1.1F);
    for (int metric = 0; metric < 2; metric++) {
        struct team *team = NULL;
        float expected[K][DIM];
        uint32_t lists[N];
        cluster(NULL, (enum vector_metric)metric);
        memcpy(expected, f.centroids, sizeof expected);
        memcpy(lists, f.list, sizeof lists);
        assert_int_equal(team_new(3, &team, NULL), DP_OK);
        cluster(team, (enum vector_metric)metric);
        assert_memory_equal(expected, f.centroids, sizeof expected);
        assert_memory_equal(lists, f.list, sizeof lists);
        team_free(team);
    }
}

/* Makes k clusters of k equal vectors, for each k up to K. More clusters than vectors are refused. */
static void test_vector_kmeans_clusters_vectors_that_are_alike(void **state)
{
    (void)state;
    for (size_t r = 0; r < N; r++)
        memcpy(f.x[r], f.x[0], sizeof f.x[0]);
    for (size_t k = 1; k <= K; k++) {
        const struct kmeans_task task = {.x = f.x[0], .n = k, .dim = DIM, .k = k, .metric = VECTOR_L2};
        assert_int_equal(kmeans_cluster(&f.call, NULL, &task, f.centroids[0], f.list), DP_OK);
        for (size_t r = 0; r < k; r++)
            assert_true(f.list[r] < k);
    }
    const struct kmeans_task task = {.x = f.x[0], .n = 65, .dim = DIM, .k = 66, .metric = VECTOR_L2};
    assert_int_equal(kmeans_cluster(&f.call, NULL, &task, f.centroids[0], f.list), DP_INVALID);
}

static void test_vector_kmeans_clusters_directions_whatever_the_lengths(void **state)
{
    (void)state;
    static const size_t ks[] = {1, 30, K};
    struct kmeans_task task = {
        .x = f.x[0], .n = N, .dim = DIM, .metric = VECTOR_INNER_PRODUCT, .seed = 3, .scales = true};
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        uint32_t lists[N];
        size_t equal = 0;
        task.k = ks[i];
        assert_int_equal(kmeans_cluster(&f.call, NULL, &task, f.centroids[0], lists), DP_OK);
        for (size_t r = 0; r < N; r++) {
            for (size_t d = 0; d < DIM; d++)
                f.x[r][d] *= r % 2 ? 1000.0F : 0.001F;
        }
        assert_int_equal(kmeans_cluster(&f.call, NULL, &task, f.centroids[0], f.list), DP_OK);
        for (size_t r = 0; r < N; r++)
            equal += f.list[r] == lists[r];
        for (size_t c = 0; c < task.k; c++)
            assert_true(fabsf(distance_pair(VECTOR_INNER_PRODUCT, f.centroids[c], f.centroids[c], DIM) - 1) <
                        1e-4F);
        assert_true(equal > N * 9 / 10); /* rounding may move a few vectors to another list */
    }
}

static bool stop_at_once(void *ctx, double done)
{
    (void)ctx, (void)done;
    return false;
}

static void test_vector_kmeans_clustering_ends_when_its_watch_says_so(void **state)
{
    (void)state;
    const struct kmeans_watch watch = {stop_at_once, NULL};
    const struct kmeans_task task = {
        .x = f.x[0], .n = N, .dim = DIM, .k = K, .metric = VECTOR_L2, .watch = &watch};
    assert_int_equal(kmeans_cluster(&f.call, NULL, &task, f.centroids[0], f.list), DP_CANCELLED);
}

static void test_vector_kmeans_is_the_same_at_any_number_of_threads(void **state)
{
    (void)state;
    float expected[K][DIM];
    uint32_t lists[N];
    for (int metric = 0; metric < 2; metric++)
        for (unsigned workers = 0; workers <= 3; workers++) {
            struct team *team = NULL;
            if (workers > 0)
                assert_int_equal(team_new(workers, &team, NULL), DP_OK);
            train(team, N, K, (enum vector_metric)metric, 5);
            assert_int_equal(kmeans_assign(&f.call, team, f.x[0], N, DIM, f.centroids[0], K,
                                           (enum vector_metric)metric, f.list, NULL),
                             DP_OK);
            if (workers == 0) {
                memcpy(expected, f.centroids, sizeof expected);
                memcpy(lists, f.list, sizeof lists);
            }
            assert_memory_equal(expected, f.centroids, sizeof expected);
            assert_memory_equal(lists, f.list, sizeof lists);
            team_free(team);
        }
    train(NULL, N, K, VECTOR_INNER_PRODUCT, 6); /* another seed gives other centroids */
    assert_memory_not_equal(expected, f.centroids, sizeof expected);
}

static void test_vector_kmeans_samples_many_vectors(void **state)
{
    (void)state;
    float expected[2][DIM];
    train(NULL, N, 2, VECTOR_L2, 3); /* N > 2 * KMEANS_SAMPLES */
    memcpy(expected, f.centroids, sizeof expected);
    train(NULL, N, 2, VECTOR_L2, 3);
    assert_memory_equal(expected, f.centroids, sizeof expected);
}

static void test_vector_kmeans_uses_every_centroid(void **state)
{
    (void)state;
    unsigned used[K] = {0};
    fill(2); /* most starting centroids lie in the same two clouds */
    train(NULL, N, K, VECTOR_L2, 11);
    assert_int_equal(kmeans_assign(&f.call, NULL, f.x[0], N, DIM, f.centroids[0], K, VECTOR_L2, f.list, NULL),
                     DP_OK);
    for (size_t r = 0; r < N; r++)
        used[f.list[r]]++;
    size_t empty = 0;
    for (size_t c = 0; c < K; c++)
        empty += used[c] == 0;
    assert_true(empty <= 1);
}

static void test_vector_kmeans_spherical_centroids_have_length_one(void **state)
{
    (void)state;
    train(NULL, N, K, VECTOR_INNER_PRODUCT, 2);
    for (size_t c = 0; c < K; c++)
        assert_true(fabsf(distance_pair(VECTOR_INNER_PRODUCT, f.centroids[c], f.centroids[c], DIM) - 1.0f) <
                    1e-5f);
}

static void test_vector_kmeans_takes_degenerate_input(void **state)
{
    (void)state;
    train(NULL, K, K, VECTOR_L2, 1); /* as many clusters as vectors: they are the centroids */
    for (size_t r = 0; r < K; r++) {
        size_t c = 0;
        while (c < K && memcmp(f.x[r], f.centroids[c], sizeof f.x[r]) != 0)
            c++;
        assert_true(c < K);
    }
    memset(f.x, 0, sizeof f.x); /* all equal, and of length 0 */
    for (int metric = 0; metric < 2; metric++) {
        train(NULL, N, K, (enum vector_metric)metric, 1);
        assert_int_equal(kmeans_assign(&f.call, NULL, f.x[0], N, DIM, f.centroids[0], K,
                                       (enum vector_metric)metric, f.list, f.score),
                         DP_OK);
        for (size_t c = 0; c < K; c++)
            for (size_t i = 0; i < DIM; i++)
                assert_true(f.centroids[c][i] == 0.0f);
    }
    f.x[3][2] = NAN; /* may be useless, but must not crash */
    train(NULL, N, K, VECTOR_L2, 1);
    assert_int_equal(kmeans_assign(&f.call, NULL, f.x[0], 0, DIM, f.centroids[0], K, VECTOR_L2, f.list, NULL),
                     DP_OK);

    float *centroids = f.centroids[0], *x = f.x[0];
    assert_int_equal(kmeans_train(&f.call, NULL, x, 5, DIM, 6, VECTOR_L2, 1, centroids), DP_INVALID);
    assert_int_equal(kmeans_train(&f.call, NULL, x, 5, DIM, 0, VECTOR_L2, 1, centroids), DP_INVALID);
    assert_int_equal(kmeans_train(&f.call, NULL, x, 5, 0, 2, VECTOR_L2, 1, centroids), DP_INVALID);
    assert_int_equal(kmeans_assign(&f.call, NULL, x, 5, DIM, centroids, 0, VECTOR_L2, f.list, NULL), DP_INVALID);
}

static void test_vector_kmeans_obeys_the_call(void **state)
{
    (void)state;
    _Atomic bool cancelled = true;
    f.call.cancelled = &cancelled;
    assert_int_equal(kmeans_train(&f.call, NULL, f.x[0], N, DIM, K, VECTOR_L2, 1, f.centroids[0]), DP_CANCELLED);
    call_init(&f.call, &f.arena);
    f.call.deadline_ns = os_now_ns() - 1;
    assert_int_equal(kmeans_assign(&f.call, NULL, f.x[0], N, DIM, f.centroids[0], K, VECTOR_L2, f.list, NULL),
                     DP_DEADLINE);
}

static void test_vector_kmeans_survives_failed_allocations(void **state)
{
    (void)state;
    const struct kmeans_task task = {.x = f.x[0], .n = 200, .dim = DIM, .k = 64, .metric = VECTOR_L2};
    for (int what = 0; what < 4; what++)
        for (size_t n = 1;; n++) {
            size_t before = test_alloc_live();
            call_init(&f.call, &f.arena);
            test_alloc_fail_at(n);
            enum dp_status status =
                what == 3 ? kmeans_cluster(&f.call, NULL, &task, f.centroids[0], f.list)
                : what == 2
                    ? kmeans_assign(&f.call, NULL, f.x[0], N, DIM, f.centroids[0], K, VECTOR_L2, f.list, NULL)
                    : kmeans_train(&f.call, NULL, f.x[0], N, DIM, what == 0 ? K : 2, VECTOR_L2, 1, f.centroids[0]);
            bool fired = test_alloc_fired();
            test_alloc_fail_at(0);
            assert_int_equal(test_alloc_live(), before);
            if (!fired) {
                assert_int_equal(status, DP_OK);
                break;
            }
            assert_int_equal(status, DP_NOMEM);
            assert_int_equal(f.call.error.status, DP_NOMEM);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_vector_kmeans_assigns_the_nearest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_finds_clusters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_is_the_same_at_any_number_of_threads, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_clusters_quickly_and_almost_as_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_clusters_vectors_that_are_alike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_clusters_directions_whatever_the_lengths, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_clustering_ends_when_its_watch_says_so, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_samples_many_vectors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_uses_every_centroid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_spherical_centroids_have_length_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_takes_degenerate_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_obeys_the_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vector_kmeans_survives_failed_allocations, set_up, tear_down),
    };
    return test_run(tests);
}
