/* auth/secret_cache.c: many threads share a secret; one thread at a time fetches a new one (see
 * auth/secret_cache.h). */
#include "store/auth/secret_cache.h"

#include <pthread.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/log.h"

enum {
    FETCH_ARENA_BYTES = 4 << 20,
    EARLY_MS = 5 * 60 * 1000, /* renew a secret this long before it expires, or after half of a shorter life */
    /* pause after a failed renewal; also how long ago the last fetch must be before a doubt renews the secret */
    AGAIN_MS = 10 * 1000,
};

struct secret_cache {
    struct secret_source source;
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct secret *secret; /* NULL: not fetched yet, or refused */
        int64_t renew_ms;      /* Unix time of the next renewal */
        int64_t fetched_ms;    /* Unix time at which the last fetch ended */
        bool fetching;
        uint64_t fetches;        /* fetches that have ended */
        struct dp_error failure; /* error of the last fetch; DP_OK if it succeeded */
    } locked;
};

enum dp_status secret_cache_new(const struct secret_source *source, struct secret_cache **out,
                                struct dp_error *error)
{
    struct secret_cache *c = *out = mem_calloc(1, sizeof *c);
    if (!c)
        return dp_fail_nomem(error, source->what);
    c->source = *source;
    if (!c->source.wall_ms)
        c->source.wall_ms = os_wall_ms;
    pthread_mutex_init(&c->locked.lock, NULL);
    pthread_cond_init(&c->locked.changed, NULL);
    return DP_OK;
}

void secret_cache_free(struct secret_cache *c)
{
    if (!c)
        return;
    secret_release(c->locked.secret);
    pthread_cond_destroy(&c->locked.changed);
    pthread_mutex_destroy(&c->locked.lock);
    mem_free(c);
}

/* Returns the Unix time in milliseconds at which to renew a secret that was fetched at `now`. */
static int64_t renewal_ms(const struct secret *secret, int64_t now)
{
    if (secret->expires_ms == INT64_MAX)
        return INT64_MAX;
    int64_t half = (secret->expires_ms - now) / 2;
    return secret->expires_ms - (half < EARLY_MS ? half : EARLY_MS);
}

/* Waits until the running fetch or the call ends. The caller holds the lock. */
static enum dp_status wait_for_fetch(struct call *call, struct secret_cache *c)
{
    uint64_t before = c->locked.fetches;
    while (c->locked.fetches == before) {
        enum dp_status status = call_check(call);
        if (status != DP_OK)
            return status;
        call_wait(call, &c->locked.changed, &c->locked.lock);
    }
    /* The failure of the fetch is ours too, unless only its deadline passed or its call was cancelled. */
    enum dp_status failed = c->locked.failure.status;
    if (failed == DP_OK || failed == DP_DEADLINE || failed == DP_CANCELLED)
        return DP_OK;
    call->error = c->locked.failure;
    return failed;
}

/* Fetches a secret for all threads and stores the result. The caller holds the lock and has seen that no other
 * thread fetches; this function releases the lock while it fetches. */
static enum dp_status fetch_for_all(struct call *call, struct secret_cache *c)
{
    struct secret *fresh = NULL, *old = NULL;
    struct arena arena;
    struct call child;
    bool late = false;
    c->locked.fetching = true;
    pthread_mutex_unlock(&c->locked.lock);
    arena_init(&arena, FETCH_ARENA_BYTES);
    call_child(call, &child, &arena); /* the costs of the fetch do not count for the request */
    enum dp_status status = c->source.fetch(&child, c->source.ctx, &fresh);
    arena_deinit(&arena);
    pthread_mutex_lock(&c->locked.lock);
    int64_t now = c->source.wall_ms();
    c->locked.fetching = false;
    c->locked.fetches++;
    c->locked.fetched_ms = now;
    c->locked.failure = child.error;
    c->locked.failure.status = status;
    if (status == DP_OK && fresh->expires_ms <= now) {
        c->locked.failure.status = status =
            dp_fail(&c->locked.failure, DP_DENIED, "%s: what was fetched has expired already", c->source.what);
        secret_release(fresh);
    }
    if (status == DP_OK) {
        old = c->locked.secret;
        fresh->serial = c->locked.fetches;
        c->locked.secret = fresh;
        c->locked.renew_ms = renewal_ms(fresh, now);
    } else if (c->locked.secret && now < c->locked.secret->expires_ms) {
        c->locked.renew_ms = now + AGAIN_MS;
        late = true;
        status = DP_OK;
    } else {
        call->error = c->locked.failure;
    }
    pthread_cond_broadcast(&c->locked.changed);
    secret_release(old);
    if (late) {
        pthread_mutex_unlock(&c->locked.lock);
        log_write(LOG_WARN, "%s could not be renewed yet: %s", c->source.what, child.error.message);
        pthread_mutex_lock(&c->locked.lock);
    }
    return status;
}

enum dp_status secret_cache_get(struct call *call, struct secret_cache *c, struct secret **out)
{
    enum dp_status status = DP_OK;
    *out = NULL;
    pthread_mutex_lock(&c->locked.lock);
    while (status == DP_OK && !*out) {
        int64_t now = c->source.wall_ms();
        bool good = c->locked.secret && now < c->locked.secret->expires_ms;
        if (good && (now < c->locked.renew_ms || c->locked.fetching))
            *out = secret_retain(c->locked.secret);
        else if (c->locked.fetching)
            status = wait_for_fetch(call, c);
        else
            status = fetch_for_all(call, c);
    }
    pthread_mutex_unlock(&c->locked.lock);
    return status;
}

void secret_cache_refused(struct secret_cache *c, uint64_t serial)
{
    struct secret *old = NULL;
    pthread_mutex_lock(&c->locked.lock);
    /* Also during a fetch: then callers wait for its end. */
    if (c->locked.secret && c->locked.secret->serial == serial) {
        old = c->locked.secret;
        c->locked.secret = NULL;
    }
    pthread_mutex_unlock(&c->locked.lock);
    secret_release(old);
}

bool secret_cache_doubted(struct secret_cache *c, uint64_t serial)
{
    pthread_mutex_lock(&c->locked.lock);
    bool others = c->locked.secret && c->locked.secret->serial != serial;
    int64_t now = c->source.wall_ms();
    if (!others && c->locked.secret && !c->locked.fetching && now - c->locked.fetched_ms >= AGAIN_MS) {
        c->locked.renew_ms = now;
        others = true;
    }
    pthread_mutex_unlock(&c->locked.lock);
    return others;
}
