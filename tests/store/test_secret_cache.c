/* test_secret_cache.c: one secret that many threads share, renewed before it expires (src/store/auth/secret_cache.h),
 * and the answers of token endpoints (src/store/auth/oauth.h). */
#include "test_support.h"

#include <pthread.h>
#include <stdio.h>

#include "store/auth/oauth.h"
#include "store/auth/secret_cache.h"

enum { MINUTE = 60000, LIFE = 60 * MINUTE, THREADS = 16 };

/* The time at which each test begins, 2026-01-01T00:00:00Z, and the clock, which the tests move. */
static const int64_t BEGIN_MS = 1767225600000;
static _Atomic int64_t clock_ms;

static int64_t test_clock(void)
{
    return clock_ms;
}

/* A source of tokens "token 1", "token 2", …, each valid for an hour. */
struct source {
    _Atomic unsigned fetches;
    _Atomic bool down;
    _Atomic int running;
    struct secret_cache *refusing; /* during the fetch, the store refuses the first secret; NULL: it does not */
};

/* A caller whose secret was refused waits for the one that is being fetched, and never gets the refused one again. */
static void refuse_first(struct source *s)
{
    struct arena arena;
    struct call call;
    struct secret *secret;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    call_limit_ms(&call, 1);
    secret_cache_refused(s->refusing, 1);
    assert_int_equal(secret_cache_get(&call, s->refusing, &secret), DP_DEADLINE);
    arena_deinit(&arena);
}

static enum dp_status fetch_token(struct call *call, void *ctx, struct secret **out)
{
    struct source *s = ctx;
    assert_int_equal(atomic_fetch_add(&s->running, 1), 0); /* one thread at a time */
    char text[32];
    struct bearer_token *token = NULL;
    enum dp_status status;
    snprintf(text, sizeof text, "token-%u", ++s->fetches);
    if (s->refusing)
        refuse_first(s);
    if (s->down)
        status = call_fail(call, DP_UNAVAILABLE, "the source is down");
    else
        status = bearer_token_new("the source", span_str(text), clock_ms + LIFE, &token, &call->error);
    *out = token ? &token->base : NULL;
    atomic_fetch_sub(&s->running, 1);
    return status;
}

struct fixture {
    struct arena arena;
    struct call call;
    struct source source;
    struct secret_cache *cache;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    arena_init(&f.arena, 1 << 20);
    call_init(&f.call, &f.arena);
    clock_ms = BEGIN_MS;
    const struct secret_source source = {"the tokens", fetch_token, &f.source, test_clock};
    assert_int_equal(secret_cache_new(&source, &f.cache, &f.call.error), DP_OK);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    secret_cache_free(f->cache);
    arena_deinit(&f->arena);
    return 0;
}

static void expect_token(struct fixture *f, const char *want)
{
    struct secret *secret;
    if (secret_cache_get(&f->call, f->cache, &secret) != DP_OK)
        fail_msg("%s", f->call.error.message);
    if (!span_equal_str(((struct bearer_token *)secret)->text, want))
        fail_msg("%.*s is not %s", SPAN_FMT(((struct bearer_token *)secret)->text), want);
    secret_release(secret);
}

/* Three lives of a token, minute by minute. The source is down for the whole time in which the second renewal should
 * happen, and no caller notices. */
static void test_store_secrets_over_three_expiries(void **state)
{
    struct fixture *f = *state;
    for (int minute = 0; minute < 4 * 60; minute++) {
        clock_ms = BEGIN_MS + (int64_t)minute * MINUTE;
        f->source.down = minute >= 110 && minute < 114;
        struct secret *secret;
        assert_int_equal(secret_cache_get(&f->call, f->cache, &secret), DP_OK);
        assert_true(secret->expires_ms > clock_ms);
        secret_release(secret);
    }
    /* fetched in the minutes 0, 55, 110 to 113 (which failed), 114, 169, 224 */
    assert_int_equal(f->source.fetches, 9);
    expect_token(f, "token-9");
}

static void test_store_secrets_fail_when_expired_and_come_back(void **state)
{
    struct fixture *f = *state;
    struct secret *secret;
    expect_token(f, "token-1");
    f->source.down = true;
    clock_ms += LIFE;
    assert_int_equal(secret_cache_get(&f->call, f->cache, &secret), DP_UNAVAILABLE);
    assert_null(secret);
    assert_string_equal(f->call.error.message, "the source is down");
    f->source.down = false;
    expect_token(f, "token-3");
}

static void test_store_secrets_refused_and_doubted(void **state)
{
    struct fixture *f = *state;
    expect_token(f, "token-1");
    secret_cache_refused(f->cache, 1);
    expect_token(f, "token-2");
    secret_cache_refused(f->cache, 1); /* not in use any more */
    expect_token(f, "token-2");
    assert_true(secret_cache_doubted(f->cache, 1)); /* a newer one is here */
    assert_false(secret_cache_doubted(f->cache, 2));
    clock_ms += 10 * 1000;
    assert_true(secret_cache_doubted(f->cache, 2));
    f->source.down = true;
    expect_token(f, "token-2");
    f->source.down = false;
    clock_ms += 10 * 1000;
    expect_token(f, "token-4");
}

static void test_store_secrets_refused_while_a_new_one_comes(void **state)
{
    struct fixture *f = *state;
    expect_token(f, "token-1");
    f->source.refusing = f->cache;
    clock_ms += LIFE - MINUTE;
    expect_token(f, "token-2");
    f->source.refusing = NULL;
    expect_token(f, "token-2");
}

struct getter {
    pthread_t thread;
    struct secret_cache *cache;
    uint64_t serial;
};

static void *get_on_thread(void *context)
{
    struct getter *g = context;
    struct arena arena;
    struct call call;
    struct secret *secret;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    if (secret_cache_get(&call, g->cache, &secret) == DP_OK)
        g->serial = secret->serial;
    secret_release(secret);
    arena_deinit(&arena);
    return NULL;
}

static void test_store_secrets_fetched_once_for_many_threads(void **state)
{
    struct fixture *f = *state;
    for (uint64_t life = 1; life <= 3; life++, clock_ms += LIFE) {
        struct getter getters[THREADS];
        for (int i = 0; i < THREADS; i++) {
            getters[i] = (struct getter){.cache = f->cache};
            assert_int_equal(pthread_create(&getters[i].thread, NULL, get_on_thread, &getters[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(getters[i].thread, NULL);
            assert_int_equal(getters[i].serial, life);
        }
        assert_int_equal(f->source.fetches, life);
    }
}

/* ---- answers --------------------------------------------------------------------------------------------- */

static void test_store_oauth_tokens(void **state)
{
    struct fixture *f = *state;
    const struct {
        const char *body;
        int64_t expires_ms; /* 0: refused */
    } cases[] = {
        {"{\"access_token\":\"t\",\"expires_in\":3599,\"token_type\":\"Bearer\"}", BEGIN_MS + 3599000},
        {"{\"access_token\":\"t\",\"expires_in\":\"3599\",\"expires_on\":\"1\"}", BEGIN_MS + 3599000},
        {"{\"access_token\":\"t\",\"expires_on\":\"1767229200\"}", BEGIN_MS + LIFE},
        {"{\"access_token\":\"t\",\"expires_on\":\"09/14/2017 00:00:00 PM +00:00\"}", BEGIN_MS + 5 * MINUTE},
        {"{\"access_token\":\"t\"}", BEGIN_MS + 5 * MINUTE},
        {"{\"access_token\":\"t\",\"expires_in\":-1}", BEGIN_MS + 5 * MINUTE},
        {"{\"access_token\":\"t\",\"expires_in\":999999999999999999999999}", BEGIN_MS + (INT64_C(1000) << 40)},
        {"{\"access_token\":\"\"}", 0},
        {"{\"access_token\":\"a b\"}", 0},
        {"{\"access_token\":\"a\\r\\nX: y\"}", 0},
        {"{\"access_token\":7}", 0},
        {"{\"expires_in\":7}", 0},
        {"[]", 0},
        {"hush", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bearer_token *token = NULL;
        enum dp_status status =
            oauth_token_parse("the source", span_str(cases[i].body), BEGIN_MS, &f->arena, &token, &f->call.error);
        assert_int_equal(status, cases[i].expires_ms ? DP_OK : DP_IO);
        if (token) {
            assert_true(span_equal_str(token->text, "t"));
            if (token->base.expires_ms != cases[i].expires_ms)
                fail_msg("%s: %lld", cases[i].body, (long long)token->base.expires_ms);
            secret_release(&token->base);
        } else {
            assert_non_null(strstr(f->call.error.message, "the source"));
            assert_null(strstr(f->call.error.message, "hush"));
        }
    }
}

static void test_store_oauth_errors(void **state)
{
    struct fixture *f = *state;
    const struct {
        int code;
        const char *body;
        enum dp_status status;
        const char *says;
    } cases[] = {
        {400, "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT\\nSignature\"}", DP_DENIED,
         "the source gives no token: it answered 400 invalid_grant: Invalid JWT"},
        {403, "{\"error\":{\"code\":403,\"message\":\"Not allowed\",\"status\":\"PERMISSION_DENIED\"}}", DP_DENIED,
         "the source gives no token: it answered 403 PERMISSION_DENIED: Not allowed"},
        {404, "<html>", DP_DENIED, "the source gives no token: it answered 404"},
        {503, "{}", DP_UNAVAILABLE, "the source gives no token: it answered 503"},
        {429, "", DP_UNAVAILABLE, "the source gives no token: it answered 429"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(
            oauth_refused("the source", cases[i].code, span_str(cases[i].body), &f->arena, &f->call.error),
            cases[i].status);
        assert_string_equal(f->call.error.message, cases[i].says);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_store_secrets_over_three_expiries),
        CASE(test_store_secrets_fail_when_expired_and_come_back),
        CASE(test_store_secrets_refused_and_doubted),
        CASE(test_store_secrets_refused_while_a_new_one_comes),
        CASE(test_store_secrets_fetched_once_for_many_threads),
        CASE(test_store_oauth_tokens),
        CASE(test_store_oauth_errors),
    };
    return test_run(tests);
}
