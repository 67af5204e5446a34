/* bench_puts.c: puts small objects into a store, for bench/clouds.py.
 *
 *     bench_puts ROOT THREADS PAIRS BYTES
 *
 * Each thread puts PAIRS pairs of objects of BYTES bytes: one without a condition, and one if its name is absent. The
 * store comes from the settings of the environment. Prints JSON: the puts, their wall time, and the processor time of
 * this process meanwhile, in seconds. Opening, and the store's check of conditions, are not counted. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "os/clock.h"
#include "os/random.h"
#include "service/store_settings.h"

enum { THREADS_MAX = 64, KEY_MAX = 128, LIMIT_MS = 300000 };

static struct {
    struct store *store;
    char run[ULID_LEN + 1]; /* part of every name, so that no run meets the objects of another */
    size_t pairs;
    struct span body;
} shared;

static void die(const struct call *call)
{
    fprintf(stderr, "bench_puts: %s\n", call->error.message);
    exit(1);
}

static void put(struct call *call, const char *kind, size_t thread, size_t i, enum store_condition condition)
{
    char key[KEY_MAX];
    snprintf(key, sizeof key, "%s/%s-%zu-%zu", shared.run, kind, thread, i);
    struct store_put one = {.key = span_str(key), .body = shared.body, .condition = condition};
    if (store_put(call, shared.store, &one) != DP_OK)
        die(call);
}

static void *put_pairs(void *context)
{
    const size_t thread = (size_t)(uintptr_t)context;
    for (size_t i = 0; i < shared.pairs; i++) {
        struct arena arena;
        struct call call;
        arena_init(&arena, 1 << 20);
        call_init(&call, &arena);
        call_limit_ms(&call, LIMIT_MS);
        put(&call, "any", thread, i, STORE_ANY);
        put(&call, "absent", thread, i, STORE_IF_ABSENT);
        arena_deinit(&arena);
    }
    return NULL;
}

static double processor_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    struct arena arena;
    struct call call;
    if (argc != 5) {
        fprintf(stderr, "usage: bench_puts ROOT THREADS PAIRS BYTES\n");
        return 2;
    }
    const size_t count = strtoul(argv[2], NULL, 10), bytes = strtoul(argv[4], NULL, 10);
    uint8_t *body = calloc(1, bytes + 1);
    if (count == 0 || count > THREADS_MAX || !body)
        return 2;
    shared.pairs = strtoul(argv[3], NULL, 10);
    shared.body = span_of(body, bytes);
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    if (os_ulid(shared.run, &call.error) != DP_OK ||
        store_open_by_environment(&call, span_str(argv[1]), false, 0, &shared.store) != DP_OK)
        die(&call);
    put(&call, "first", 0, 0, STORE_IF_ABSENT); /* the store checks once that conditions hold */
    const int64_t began = os_now_ns();
    const double before = processor_seconds();
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, put_pairs, (void *)(uintptr_t)i) != 0)
            return 1;
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("{\"puts\": %zu, \"wall\": %.6f, \"processor\": %.6f}\n", count * shared.pairs * 2,
           (double)(os_now_ns() - began) / 1e9, processor_seconds() - before);
    store_free(shared.store);
    arena_deinit(&arena);
    free(body);
    return 0;
}
