/* key_checks.c: checks of keys, shared by all askers for one key, and the one thread that runs bcrypt.
 *
 * The first asker makes the check: the asker's thread reads the database and compares digests. If candidates without
 * a digest are left, the thread puts the check into the queue. The check's flight (os/flight.h) counts the holders of
 * the check: the askers, and the list until the check is done. The thread of bcrypt has a lower priority than request
 * threads. */
#include "account/key_checks.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/flight.h"
#include "os/thread.h"

enum {
    CHECK_ARENA_MAX = 64 << 10,
    NICENESS = 10,
    PLACE_MS = 100, /* an asker waits this long for a place; a check without bcrypt takes about 1 ms */
    LEARN_ARENA_MAX = 64 << 10
};

struct key_check {
    struct key_check *next;   /* list of all checks that are not done */
    struct key_check *queued; /* next check in the queue */
    struct flight flight;     /* lands when the check is done; the list and each asker are users */
    bool in_queue;            /* waits for bcrypt, or bcrypt runs */
    uint8_t digest[SIPHASH_BYTES];
    char text[KEY_TEXT_MAX]; /* wiped when done */
    size_t text_len;
    struct arena arena;               /* holds the candidates */
    struct key_records candidates;    /* keys with this prefix; after look_up only those without a digest */
    const struct key_record *learned; /* the candidate that bcrypt found right */
    struct dp_error error;            /* the result, if the check failed */
    struct account_key *key;
};

struct key_checks {
    struct key_checks_options options;
    struct {
        pthread_mutex_t lock;
        pthread_cond_t work; /* a check was queued, or the thread is to end */
        pthread_cond_t done; /* flights of checks land */
        pthread_cond_t left; /* a place became free */
        struct key_check *checks, *first, **last;
        unsigned queued;  /* checks in the queue, with the one for which bcrypt runs */
        unsigned inside;  /* askers that have a place */
        unsigned hopeful; /* askers that wait for a place */
        bool closing;
    } locked;
    bool started;
    pthread_t thread;
    struct metric *runs, *depth;
};

static const char NO_PLACE[] = "too many unknown keys are being checked; try again";

static int64_t checks_steady_ns(const struct key_checks *c)
{
    return c->options.clock.steady_ns(c->options.clock.context);
}

/* ---- one check; all under the lock ------------------------------------------------------------------ */

static void free_unused_check(struct key_check *check)
{
    if (check->flight.users > 0)
        return;
    account_key_release(check->key);
    arena_deinit(&check->arena);
    OPENSSL_cleanse(check->text, sizeof check->text);
    mem_free(check);
}

static void release_check(struct key_check *check)
{
    flight_leave(&check->flight);
    free_unused_check(check);
}

static void finish_check(struct key_checks *c, struct key_check *check)
{
    struct key_check **at = &c->locked.checks;
    while (*at != check)
        at = &(*at)->next;
    *at = check->next;
    c->locked.queued -= check->in_queue;
    metric_set(c->depth, c->locked.queued);
    OPENSSL_cleanse(check->text, sizeof check->text);
    flight_land(&check->flight, &c->locked.done, check->error.status == DP_OK);
    free_unused_check(check);
}

/* Finds the check of this digest, or makes one (*mine). The caller gets a reference. NULL: out of memory. */
static struct key_check *join_check(struct key_checks *c, struct span text, const uint8_t digest[SIPHASH_BYTES],
                                    bool *mine)
{
    *mine = false;
    for (struct key_check *check = c->locked.checks; check; check = check->next) {
        if (CRYPTO_memcmp(check->digest, digest, SIPHASH_BYTES) == 0) {
            flight_join(&check->flight);
            return check;
        }
    }
    struct key_check *check = mem_calloc(1, sizeof *check);
    if (!check)
        return NULL;
    memcpy(check->digest, digest, SIPHASH_BYTES);
    memcpy(check->text, text.data, text.len);
    check->text_len = text.len;
    arena_init(&check->arena, CHECK_ARENA_MAX);
    flight_begin(&check->flight);
    flight_join(&check->flight);
    check->next = c->locked.checks;
    c->locked.checks = check;
    *mine = true;
    return check;
}

static bool has_place_in_queue(const struct key_checks *c, const struct key_check *wanted)
{
    const size_t shown = c->options.scheme.len + KEY_PREFIX_LEN;
    unsigned same_prefix = 0;
    for (const struct key_check *check = c->locked.checks; check; check = check->next)
        same_prefix += check->in_queue && memcmp(check->text, wanted->text, shown) == 0;
    return c->locked.queued < CHECKS_MAX && same_prefix < CHECKS_A_PREFIX_MAX;
}

/* Hands the check to the thread, or ends it if the queue is full. */
static void enqueue_check(struct key_checks *c, struct key_check *check)
{
    if (!has_place_in_queue(c, check)) {
        dp_fail(&check->error, DP_OVERLOADED, "%s", NO_PLACE);
        finish_check(c, check);
        return;
    }
    check->in_queue = true;
    metric_set(c->depth, ++c->locked.queued);
    *c->locked.last = check;
    c->locked.last = &check->queued;
    pthread_cond_signal(&c->locked.work);
}

/* ---- the thread ------------------------------------------------------------------------------------- */

/* Sets the result: the key of the record `good`, or a wrong key (NULL). The caller does not hold the lock. */
static void conclude_check(struct key_checks *c, struct key_check *check, const struct key_record *good)
{
    if (!good) {
        key_memory_put(c->options.wrong, check->digest, NULL, checks_steady_ns(c));
        return;
    }
    check->key = account_key_new(c->options.quotas, good, checks_steady_ns(c));
    if (check->key)
        key_memory_put(c->options.right, check->digest, check->key, checks_steady_ns(c));
    else
        dp_fail_nomem(&check->error, "an account");
}

/* Runs bcrypt on each candidate, without the lock. */
static void verify_candidates(struct key_checks *c, struct key_check *check)
{
    struct span text = span_of(check->text, check->text_len);
    for (size_t i = 0; i < check->candidates.count && !check->learned && check->error.status == DP_OK; i++) {
        bool matches;
        metric_add(c->runs, 1);
        if (key_verify(text, check->candidates.keys[i].hash, &matches, &check->error) == DP_OK && matches)
            check->learned = &check->candidates.keys[i];
    }
    if (check->error.status == DP_OK)
        conclude_check(c, check, check->learned);
}

/* Stores the digest of a key that bcrypt found right. If that fails, bcrypt runs again next time. */
static void learn_digest(struct key_checks *c, const struct key_record *record, const char *digest)
{
    struct arena arena;
    struct call call;
    arena_init(&arena, LEARN_ARENA_MAX);
    call_init(&call, &arena);
    records_learn_digest(&call, c->options.db, record->id, record->hash, span_str(digest));
    arena_deinit(&arena);
}

static void *serve_checks(void *context)
{
    struct key_checks *c = context;
    char digest[KEY_DIGEST_LEN + 1];
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    pthread_mutex_lock(&c->locked.lock);
    while (!c->locked.closing) {
        struct key_check *check = c->locked.first;
        if (!check) {
            pthread_cond_wait(&c->locked.work, &c->locked.lock);
            continue;
        }
        c->locked.first = check->queued;
        if (!c->locked.first)
            c->locked.last = &c->locked.first;
        pthread_mutex_unlock(&c->locked.lock);
        verify_candidates(c, check);
        if (check->learned)
            key_digest(span_of(check->text, check->text_len), digest);
        pthread_mutex_lock(&c->locked.lock);
        flight_join(&check->flight);
        finish_check(c, check); /* before learn_digest, so that no asker waits for the database */
        pthread_mutex_unlock(&c->locked.lock);
        if (check->learned)
            learn_digest(c, check->learned, digest);
        pthread_mutex_lock(&c->locked.lock);
        release_check(check);
    }
    pthread_mutex_unlock(&c->locked.lock);
    return NULL;
}

/* ---- asking ----------------------------------------------------------------------------------------- */

/* Compares the key with the known digests; keeps the candidates that have none. */
static const struct key_record *compare_digests(struct key_check *check)
{
    struct key_record *others = arena_calloc(&check->arena, check->candidates.count + 1, sizeof *others);
    struct span text = span_of(check->text, check->text_len);
    size_t count = 0;
    if (!others) {
        dp_fail_nomem(&check->error, "keys");
        return NULL;
    }
    for (size_t i = 0; i < check->candidates.count; i++) {
        const struct key_record *record = &check->candidates.keys[i];
        if (record->digest.len == 0)
            others[count++] = *record;
        else if (key_digest_matches(text, record->digest))
            return record;
    }
    check->candidates = (struct key_records){others, count};
    return NULL;
}

/* Reads the database, without the lock. True if bcrypt must run on the candidates. */
static bool look_up(struct key_checks *c, struct key_check *check)
{
    /* Other askers wait for the result too, so the end of the first asker's call must not end the read. */
    struct call own;
    struct span prefix = key_prefix(c->options.scheme, span_of(check->text, check->text_len));
    call_init(&own, &check->arena);
    enum dp_status status = records_find(&own, c->options.db, prefix,
                                         c->options.clock.wall_ms(c->options.clock.context), &check->candidates);
    if (status != DP_OK) {
        check->error = own.error;
        return false;
    }
    const struct key_record *good = compare_digests(check);
    if (check->error.status != DP_OK)
        return false;
    if (good || check->candidates.count == 0) {
        conclude_check(c, check, good);
        return false;
    }
    return true;
}

/* Takes a place, under the lock. DP_OVERLOADED: no place became free within PLACE_MS. */
static enum dp_status take_check_place(struct call *call, struct key_checks *c)
{
    const int64_t until_ns = os_now_ns() + PLACE_MS * 1000000LL;
    const unsigned max = c->options.waiting_max;
    enum dp_status status = DP_OK;
    c->locked.hopeful++;
    while (status == DP_OK && c->locked.inside >= max && os_now_ns() < until_ns) {
        status = call_check(call);
        if (status == DP_OK)
            os_wait_until(&c->locked.left, &c->locked.lock, until_ns);
    }
    c->locked.hopeful--;
    if (status == DP_OK && c->locked.inside >= max)
        status = call_fail(call, DP_OVERLOADED, "%s", NO_PLACE);
    if (status == DP_OK)
        c->locked.inside++;
    return status;
}

static void leave_check_place(struct key_checks *c)
{
    c->locked.inside--;
    pthread_cond_signal(&c->locked.left);
}

/* Waits for the result of a check, to which the caller holds a reference. `mine`: makes the check first. The caller
 * holds the lock. */
static enum dp_status result_of(struct call *call, struct key_checks *c, struct key_check *check, bool mine,
                                struct account_key **out)
{
    if (mine) {
        pthread_mutex_unlock(&c->locked.lock);
        bool run = look_up(c, check);
        pthread_mutex_lock(&c->locked.lock);
        if (run)
            enqueue_check(c, check);
        else
            finish_check(c, check);
    }
    switch (flight_wait(call, &check->flight, &c->locked.done, &c->locked.lock)) {
    case FLIGHT_LEFT: return call->error.status;
    case FLIGHT_FAILED: return call_fail(call, check->error.status, "%s", check->error.message);
    case FLIGHT_LANDED: break;
    }
    if (check->key)
        *out = account_key_hold(check->key);
    return DP_OK;
}

enum dp_status key_checks_run(struct call *call, struct key_checks *c, struct span text,
                              const uint8_t digest[SIPHASH_BYTES], struct account_key **out)
{
    bool mine;
    *out = NULL;
    pthread_mutex_lock(&c->locked.lock);
    enum dp_status status = take_check_place(call, c);
    if (status == DP_OK) {
        struct key_check *check = join_check(c, text, digest, &mine);
        status = check ? result_of(call, c, check, mine, out) : call_nomem(call, "a check of a key");
        if (check)
            release_check(check);
        leave_check_place(c);
    }
    pthread_mutex_unlock(&c->locked.lock);
    return status;
}

bool key_checks_full(struct key_checks *c)
{
    pthread_mutex_lock(&c->locked.lock);
    bool full = c->locked.inside >= c->options.waiting_max && c->locked.hopeful > 0;
    pthread_mutex_unlock(&c->locked.lock);
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
    c->locked.last = &c->locked.first;
    pthread_mutex_init(&c->locked.lock, NULL);
    pthread_cond_init(&c->locked.work, NULL);
    pthread_cond_init(&c->locked.done, NULL);
    pthread_cond_init(&c->locked.left, NULL);
    if (options->registry) {
        c->runs = metric_counter(options->registry, "dipper_bcrypt_total", "", "Runs of bcrypt to check keys.");
        c->depth = metric_gauge(options->registry, "dipper_bcrypt_queue", "",
                                "Keys that bcrypt is checking, or that wait for it.");
    }
    const bool counted = !options->registry || (c->runs && c->depth);
    int failed = counted ? os_thread_start(&c->thread, "dipper-bcrypt", serve_checks, c) : ENOMEM;
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
    pthread_mutex_lock(&c->locked.lock);
    c->locked.closing = true;
    pthread_cond_broadcast(&c->locked.work);
    pthread_mutex_unlock(&c->locked.lock);
    if (c->started)
        pthread_join(c->thread, NULL);
    while (c->locked.checks) { /* checks whose askers have left */
        struct key_check *check = c->locked.checks;
        c->locked.checks = check->next;
        release_check(check);
    }
    pthread_cond_destroy(&c->locked.left);
    pthread_cond_destroy(&c->locked.done);
    pthread_cond_destroy(&c->locked.work);
    pthread_mutex_destroy(&c->locked.lock);
    mem_free(c);
}
