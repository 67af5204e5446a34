/* bench_accounts.c: measures what a request with a warm key pays for its key and its quota, before any computing.
 *
 *     bench_accounts
 *
 * The key has the largest tier, is in memory, and has quota left. A request is accounts_try, account_may,
 * account_try_spend of one text, account_look and account_leave, as in the server. The database is SQLite in a temporary
 * folder. The room's own thread writes usage at the same time. The benchmark runs with one thread, and with several threads
 * that share one key, which is the worst case. It prints nanoseconds per request: the mean over all requests, and the median
 * and the maximum over slices of 200 requests. The mean includes requests that reserve quota in the database. Exits with 1 if
 * a mean is over 20 µs. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "account/accounts.h"
#include "os/clock.h"
#include "os/cpu.h"

enum { SLICES = 10000, REQUESTS = 200, THREADS_MAX = 4, BAR_NS = 20000 };

struct worker {
    pthread_t thread;
    struct accounts *accounts;
    struct span key;
    int64_t slices[SLICES]; /* mean nanoseconds per request of each slice */
};

static bool pay_request(struct accounts *a, struct span key)
{
    struct account_pass pass;
    bool good = accounts_try(a, key, &pass) == ACCOUNT_GRANTED &&
                account_may(&pass, RIGHT_EMBED, span_of(NULL, 0)) == ACCOUNT_GRANTED;
    if (good && account_try_spend(&pass, 1) == ACCOUNT_WAIT) { /* the batch is used up */
        struct arena arena;
        struct call call;
        arena_init(&arena, 1 << 20);
        call_init(&call, &arena);
        good = account_spend(&call, &pass, 1) == ACCOUNT_GRANTED;
        arena_deinit(&arena);
    }
    account_look(&pass);
    account_leave(&pass);
    return good;
}

static void *pay_requests(void *context)
{
    struct worker *w = context;
    for (size_t i = 0; i < SLICES; i++) {
        int64_t began = os_now_ns();
        for (int r = 0; r < REQUESTS; r++)
            if (!pay_request(w->accounts, w->key)) {
                fprintf(stderr, "bench_accounts: a request was refused\n");
                exit(1);
            }
        w->slices[i] = (os_now_ns() - began) / REQUESTS;
    }
    return NULL;
}

static int compare_times(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Measures with `threads` threads. Prints the figures, and returns the mean over all requests. */
static int64_t measure_threads(struct accounts *a, struct span key, unsigned threads)
{
    static struct worker workers[THREADS_MAX];
    static int64_t all[THREADS_MAX * SLICES];
    for (unsigned i = 0; i < threads; i++) {
        workers[i].accounts = a;
        workers[i].key = key;
        if (pthread_create(&workers[i].thread, NULL, pay_requests, &workers[i]) != 0)
            exit(1);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        for (size_t s = 0; s < SLICES; s++)
            all[i * SLICES + s] = workers[i].slices[s];
    }
    size_t count = (size_t)threads * SLICES;
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += all[i];
    int64_t mean = sum / (int64_t)count;
    qsort(all, count, sizeof *all, compare_times);
    printf("%u thread%s  mean %5lld ns  median %5lld ns  999 of 1,000 slices within %6lld ns  slowest slice %7lld "
           "ns\n",
           threads, threads == 1 ? " " : "s", (long long)mean, (long long)all[count / 2],
           (long long)all[count * 999 / 1000], (long long)all[count - 1]);
    return mean;
}

int main(void)
{
    char folder[] = "/tmp/bench_accounts.XXXXXX", url[128];
    struct arena arena;
    struct call call;
    struct accounts *a = NULL;
    struct new_key key;
    struct account_pass pass;
    if (!mkdtemp(folder))
        return 1;
    snprintf(url, sizeof url, "sqlite://%s/accounts.db", folder);
    const struct account_options options = {.database_url = url,
                                            .pool_min = 1,
                                            .pool_max = 4,
                                            .database_timeout_ms = 5000,
                                            .key_scheme = "fe_",
                                            .tiers = {[TIER_SCALE] = {INT64_C(1) << 40, 0}}};
    const struct key_wish wish = {.email = span_str("bench@example.org"),
                                  .has_tier = true,
                                  .tier = TIER_SCALE,
                                  .rights = RIGHT_ALL,
                                  .scheme = span_str("fe_")};
    arena_init(&arena, 1 << 26);
    call_init(&call, &arena);
    if (accounts_open(&call, &options, &a) != DP_OK ||
        records_create(&call, accounts_database(a), &wish, os_wall_ms(), &key) != DP_OK ||
        accounts_admit(&call, a, span_str(key.text), &pass) != ACCOUNT_GRANTED) {
        fprintf(stderr, "bench_accounts: %s\n", call.error.message);
        return 1;
    }
    account_leave(&pass);
    bool fast = true;
    for (unsigned threads = 1; threads <= THREADS_MAX && threads <= os_cpu_count(); threads *= 2)
        fast = measure_threads(a, span_str(key.text), threads) <= BAR_NS && fast;
    accounts_close(a);
    arena_deinit(&arena);
    static const char *const files[] = {"accounts.db", "accounts.db-wal", "accounts.db-shm"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(url, sizeof url, "%s/%s", folder, files[i]);
        unlink(url);
    }
    rmdir(folder);
    return !fast;
}
