/* bench_calls.c: measures one search of one query from C. bench/python_overhead.py loads it into its own process, so that
 * system calls take the same time in C and in Python (other threads make them slower). */
#include <dipper/dipper.h>

#include <stdio.h>
#include <time.h>

enum { K_MAX = 1000 };

__attribute__((visibility("default"))) double bench_calls(const char *path, const float *query, size_t nprobe,
                                                          size_t k, long calls);

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* Returns the microseconds of all calls, or -1. */
static double search_often(const struct dp_index *index, const float *query, size_t nprobe, size_t k, long calls)
{
    static float distances[K_MAX];
    static int64_t ids[K_MAX];
    const struct dp_index_search_options options = {.size = sizeof options, .nprobe = nprobe};
    struct dp_index_info info = {.size = sizeof info};
    const double began = now_us();
    struct dp_error error;
    struct dp_cost cost;

    if (dp_index_info(index, &info, &error) != DP_OK)
        return -1;
    for (long i = 0; i < calls; i++)
        if (dp_index_search(index, query, 1, info.dim, k, &options, ids, distances, &cost, &error) != DP_OK) {
            fprintf(stderr, "bench_calls: %s\n", error.message);
            return -1;
        }
    return now_us() - began;
}

/* Returns the mean microseconds of a call, after a tenth as many calls to warm up; below 0 on failure. k ≤ K_MAX. */
double bench_calls(const char *path, const float *query, size_t nprobe, size_t k, long calls)
{
    struct dp_index *index = NULL;
    struct dp_error error;
    double us = -1;

    if (k > K_MAX || dp_index_open(path, NULL, &index, &error) != DP_OK)
        return -1;
    if (search_often(index, query, nprobe, k, calls / 10) >= 0)
        us = search_often(index, query, nprobe, k, calls) / (double)calls;
    dp_index_close(index);
    return us;
}
