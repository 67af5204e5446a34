/* key_checks.c: checks of keys, shared by all who ask for the same, and the one thread that runs bcrypt.
 *
 * A check is made by the first who asks; that thread looks into the database and, when there are candidates, puts the
 * check into the queue. `lock` guards the list, the queue and each check's state. A check is freed by the last who holds
 * it: its askers, and the list until it is done. The thread runs at a lower priority than those that answer requests. */
#include "account/key_checks.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/thread.h"

enum { CHECK_ARENA_MAX = 64 << 10, NICENESS = 10, SLICE_MS = 200 };

struct check {
    struct check *next;   /* of all checks that are not done */
    struct check *queued; /* next of the queue */
    unsigned refs;
    bool done;
    uint8_t digest[SIPHASH_BYTES];
    char text[KEY_TEXT_MAX]; /* wiped when done */
    size_t text_len;
    struct arena arena; /* of the candidates */
    struct key_records candidates;
    struct dp_error error; /* of the result */
    struct account_key *key;
};

struct key_checks {
    struct key_checks_options options;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct check *checks, *first, **last;
    unsigned count, waiting;
    bool closing, started;
    pthread_t thread;
    struct metric *runs, *depth;
};

static int64_t steady_ns(const struct key_checks *c)
{
    return c->options.clock.steady_ns(c->options.clock.context);
}

/* ---- one check; all under the lock ------------------------------------------------------------------ */

static void release(struct check *check)
{
    if (--check->refs > 0)
        return;
    account_key_release(check->key);
    arena_deinit(&check->arena);
    OPENSSL_cleanse(check->text, sizeof check->text);
    mem_free(check);
}

static void finish(struct key_checks *c, struct check *check)
{
    struct check **at = &c->checks;
    while (*at != check)
        at = &(*at)->next;
    *at = check->next;
    c->count--;
    metric_set(c->depth, c->count);
    check->done = true;
    OPENSSL_cleanse(check->text, sizeof check->text);
    pthread_cond_broadcast(&c->done);
    release(check);
}

/* The check of this digest, one reference the caller's; a new one when there is none (*mine). NULL: no place. */
static struct check *join(struct key_checks *c, struct span text, const uint8_t digest[SIPHASH_BYTES], bool *mine)
{
    unsigned same_prefix = 0;
    size_t shown = c->options.scheme.len + KEY_PREFIX_LEN;
    *mine = false;
    if (c->waiting >= c->options.waiting_max)
        return NULL;
    for (struct check *check = c->checks; check; check = check->next) {
        if (CRYPTO_memcmp(check->digest, digest, SIPHASH_BYTES) == 0) {
            check->refs++;
            return check;
        }
        same_prefix += memcmp(check->text, text.data, shown) == 0;
    }
    struct check *check =
        c->count < CHECKS_MAX && same_prefix < CHECKS_A_PREFIX_MAX ? mem_calloc(1, sizeof *check) : NULL;
    if (!check)
        return NULL;
    memcpy(check->digest, digest, SIPHASH_BYTES);
    memcpy(check->text, text.data, text.len);
    check->text_len = text.len;
    arena_init(&check->arena, CHECK_ARENA_MAX);
    check->refs = 2;
    check->next = c->checks;
    c->checks = check;
    c->count++;
    metric_set(c->depth, c->count);
    *mine = true;
    return check;
}

static void enqueue(struct key_checks *c, struct check *check)
{
    *c->last = check;
    c->last = &check->queued;
    pthread_cond_signal(&c->work);
}

/* ---- the thread ------------------------------------------------------------------------------------- */

/* bcrypt on each candidate, without the lock. */
static void verify(struct key_checks *c, struct check *check)
{
    const struct key_record *good = NULL;
    struct span text = span_of(check->text, check->text_len);
    for (size_t i = 0; i < check->candidates.count && !good && check->error.status == DP_OK; i++) {
        bool matches;
        metric_add(c->runs, 1);
        if (key_verify(text, check->candidates.keys[i].hash, &matches, &check->error) == DP_OK && matches)
            good = &check->candidates.keys[i];
    }
    if (check->error.status != DP_OK)
        return;
    if (!good) {
        key_memory_put(c->options.wrong, check->digest, NULL, steady_ns(c));
        return;
    }
    check->key = account_key_new(c->options.quotas, good, steady_ns(c));
    if (check->key)
        key_memory_put(c->options.right, check->digest, check->key, steady_ns(c));
    else
        dp_fail_nomem(&check->error, "an account");
}

static void *serve(void *context)
{
    struct key_checks *c = context;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    pthread_mutex_lock(&c->lock);
    while (!c->closing) {
        struct check *check = c->first;
        if (!check) {
            pthread_cond_wait(&c->work, &c->lock);
            continue;
        }
        c->first = check->queued;
        if (!c->first)
            c->last = &c->first;
        pthread_mutex_unlock(&c->lock);
        verify(c, check);
        pthread_mutex_lock(&c->lock);
        finish(c, check);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* ---- asking ----------------------------------------------------------------------------------------- */

/* Looks for candidates in the database, without the lock. True when bcrypt is to be run on them. */
static bool look_up(struct key_checks *c, struct check *check)
{
    struct call own; /* others may wait for the result too, so it does not end with the first asker's call */
    struct span prefix = key_prefix(c->options.scheme, span_of(check->text, check->text_len));
    call_init(&own, &check->arena);
    enum dp_status status = records_find(&own, c->options.db, prefix,
                                         c->options.clock.wall_ms(c->options.clock.context), &check->candidates);
    if (status != DP_OK)
        check->error = own.error;
    else if (check->candidates.count == 0)
        key_memory_put(c->options.wrong, check->digest, NULL, steady_ns(c));
    return status == DP_OK && check->candidates.count > 0;
}

/* Waits for the check's end, under the lock. */
static enum dp_status await(struct call *call, struct key_checks *c, struct check *check)
{
    enum dp_status status = DP_OK;
    c->waiting++;
    while (!check->done && (status = call_check(call)) == DP_OK) {
        int64_t until_ns = os_now_ns() + SLICE_MS * 1000000LL;
        struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                                 .tv_nsec = (long)(until_ns % 1000000000)};
        pthread_cond_clockwait(&c->done, &c->lock, CLOCK_MONOTONIC, &until);
    }
    c->waiting--;
    return status;
}

enum dp_status key_checks_run(struct call *call, struct key_checks *c, struct span text,
                              const uint8_t digest[SIPHASH_BYTES], struct account_key **out)
{
    bool mine;
    *out = NULL;
    pthread_mutex_lock(&c->lock);
    struct check *check = join(c, text, digest, &mine);
    if (!check) {
        pthread_mutex_unlock(&c->lock);
        return call_fail(call, DP_OVERLOADED, "too many keys are being looked at for the first time; try again");
    }
    if (mine) {
        pthread_mutex_unlock(&c->lock);
        bool run = look_up(c, check);
        pthread_mutex_lock(&c->lock);
        if (run)
            enqueue(c, check);
        else
            finish(c, check);
    }
    enum dp_status status = await(call, c, check);
    if (status == DP_OK && check->error.status != DP_OK)
        status = call_fail(call, check->error.status, "%s", check->error.message);
    if (status == DP_OK && check->key)
        *out = account_key_hold(check->key);
    release(check);
    pthread_mutex_unlock(&c->lock);
    return status;
}

bool key_checks_full(struct key_checks *c)
{
    pthread_mutex_lock(&c->lock);
    bool full = c->count >= CHECKS_MAX || c->waiting >= c->options.waiting_max;
    pthread_mutex_unlock(&c->lock);
    return full;
}

/* ---- beginning and end ------------------------------------------------------------------------------ */

enum dp_status key_checks_new(const struct key_checks_options *options, struct key_checks **out,
                              struct dp_error *error)
{
    *out = NULL;
    struct key_checks *c = mem_calloc(1, sizeof *c);
    if (!c)
        return dp_fail_nomem(error, "checks of keys");
    c->options = *options;
    c->last = &c->first;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    pthread_cond_init(&c->done, NULL);
    if (options->registry) {
        c->runs = metric_counter(options->registry, "dipper_bcrypt_total", "", "Runs of bcrypt to check keys.");
        c->depth = metric_gauge(options->registry, "dipper_bcrypt_queue", "",
                                "Keys that are being checked, or wait for that.");
        if (!c->runs || !c->depth)
            dp_fail_nomem(error, "metrics");
    }
    int failed = options->registry && !c->depth ? ENOMEM : os_thread_start(&c->thread, "dipper-bcrypt", serve, c);
    c->started = !failed;
    if (failed) {
        key_checks_free(c);
        return failed == ENOMEM ? dp_fail_nomem(error, "checks of keys")
                                : dp_fail(error, DP_UNAVAILABLE, "cannot start a thread: errno %d", failed);
    }
    *out = c;
    return DP_OK;
}

void key_checks_free(struct key_checks *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
    if (c->started)
        pthread_join(c->thread, NULL);
    while (c->checks) { /* whose askers have left */
        struct check *check = c->checks;
        c->checks = check->next;
        release(check);
    }
    pthread_cond_destroy(&c->done);
    pthread_cond_destroy(&c->work);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}
