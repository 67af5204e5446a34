/* faiss_caller.c: compares answers rank by rank; ties may come in any order. */
#include "test_support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capi_calls.h"
#include "faiss_caller.h"

struct span faiss_golden(const char *name, const char *suffix)
{
    char path[NAME_BYTES];
    snprintf(path, sizeof path, "faiss/%s.%s", name, suffix);
    return test_data(path);
}

static float *floats_of(struct span bytes)
{
    float *floats = malloc(bytes.len);
    assert_non_null(floats);
    memcpy(floats, bytes.data, bytes.len);
    return floats;
}

struct answers faiss_answers(const char *name)
{
    struct answers a = {.rest = cursor_over(faiss_golden(name, "answers"))};
    assert_memory_equal(cursor_bytes(&a.rest, 8).data, "DPFAISS1", 8);
    a.count = cursor_u32(&a.rest);
    a.d = cursor_u32(&a.rest);
    a.k = cursor_u32(&a.rest);
    a.searches = cursor_u32(&a.rest);
    a.largest = cursor_f32(&a.rest);
    a.queries = floats_of(cursor_bytes(&a.rest, (uint64_t)a.count * a.d * sizeof(float)));
    assert_false(a.rest.failed);
    assert_true((size_t)a.count * a.k <= ANSWERS_MAX);
    return a;
}

static void wait_ms(int64_t ms)
{
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000 <= ms);
}

static enum dp_status read_ranges(void *ctx, struct dp_range *ranges, size_t count, int64_t timeout_ms,
                                  char *message)
{
    struct caller *caller = ctx;
    bool act = ++caller->calls == caller->act_at;
    assert_true(count > 0);
    if (act)
        caller->told_ms = timeout_ms;
    if (act && caller->slow)
        wait_ms(timeout_ms);
    if (act && caller->status != DP_OK) {
        if (caller->sentence)
            snprintf(message, DP_ERROR_MESSAGE_MAX, "%s", caller->sentence);
        return caller->status;
    }
    for (size_t i = 0; i < count; i++) {
        struct span part = {0};
        assert_true(span_sub(caller->bytes, ranges[i].offset, ranges[i].len, &part));
        assert_int_equal(ranges[i].got, 0);
        assert_true(part.len > 0);
        memcpy(ranges[i].into, part.data, part.len);
        ranges[i].got = part.len;
        caller->ranges++;
    }
    if (act)
        ranges[count - 1].got -= caller->short_by;
    return DP_OK;
}

void caller_free(void *ctx)
{
    ((struct caller *)ctx)->frees++;
}

enum dp_status caller_try(struct caller *caller, const struct dp_index_options *options, struct dp_index **out,
                          struct dp_error *error)
{
    return open_reader(caller->bytes.len, read_ranges, caller, caller_free, options, out, error);
}

struct dp_index *caller_open(struct caller *caller, const struct dp_index_options *options)
{
    struct dp_index *index;
    struct dp_error error;
    if (caller_try(caller, options, &index, &error) != DP_OK)
        fail_msg("%s", error.message);
    return index;
}

struct dp_index *open_faiss_url(const char *url, const struct dp_index_options *options)
{
    struct dp_index *index;
    struct dp_error error;
    if (dp_index_open(url, options, &index, &error) != DP_OK)
        fail_msg("%s: %s", url, error.message);
    return index;
}

enum dp_status search_answers(const struct dp_index *index, const struct answers *a, size_t nprobe, int64_t *ids,
                              float *distances, struct dp_error *error)
{
    return search_lists(index, a->queries, a->count, a->d, a->k, nprobe, ids, distances, NULL, error);
}

/* Compares one query's answer with FAISS's: equal distances rank by rank, equal ids except for ties. */
static void compare_row(const struct answers *a, bool l2, const int64_t *ids, const float *distances,
                        const int32_t *faiss_ids, const float *faiss_distances, float tolerance)
{
    size_t expected = 0;
    while (expected < a->k && faiss_ids[expected] >= 0)
        expected++;
    for (size_t i = 0; i < expected; i++) {
        float allowed = tolerance + 1e-4f * fabsf(faiss_distances[i]);
        assert_true(fabsf(distances[i] - faiss_distances[i]) <= allowed);
        size_t at = 0;
        while (at < expected && faiss_ids[at] != ids[i])
            at++;
        /* An id that FAISS does not have must tie with FAISS's last one. */
        assert_true(fabsf(distances[i] - faiss_distances[at < expected ? at : expected - 1]) <= allowed);
    }
    for (size_t i = expected; i < a->k; i++) {
        assert_int_equal(ids[i], -1);
        assert_true(distances[i] == (l2 ? FLT_MAX : -FLT_MAX));
    }
}

size_t agree_with_faiss(const struct dp_index *index, const char *name)
{
    static int64_t ids[ANSWERS_MAX];
    static float distances[ANSWERS_MAX];
    struct answers a = faiss_answers(name);
    struct dp_error error;
    bool l2 = index_info(index).metric == DP_METRIC_L2;
    size_t row = a.k * sizeof(int32_t);
    assert_int_equal(index_info(index).dim, a.d);
    for (uint32_t s = 0; s < a.searches; s++) {
        uint32_t nprobe = cursor_u32(&a.rest);
        const uint8_t *faiss_ids = cursor_bytes(&a.rest, a.count * row).data;
        const uint8_t *faiss_distances = cursor_bytes(&a.rest, a.count * row).data;
        assert_false(a.rest.failed);
        if (search_answers(index, &a, nprobe, ids, distances, &error) != DP_OK)
            fail_msg("%s: %s", name, error.message);
        for (uint32_t q = 0; q < a.count; q++) {
            int32_t row_ids[ANSWERS_MAX];
            float row_distances[ANSWERS_MAX], length = 0;
            memcpy(row_ids, faiss_ids + q * row, row);
            memcpy(row_distances, faiss_distances + q * row, row);
            for (uint32_t i = 0; i < a.d; i++)
                length += a.queries[q * a.d + i] * a.queries[q * a.d + i];
            compare_row(&a, l2, ids + (size_t)q * a.k, distances + (size_t)q * a.k, row_ids, row_distances,
                        1e-5f * (length + a.largest));
        }
    }
    free(a.queries);
    return (size_t)a.searches * a.count;
}
