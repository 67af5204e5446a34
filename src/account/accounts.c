/* accounts.c: joins the parts of the room: the memory of keys, the checks of unknown keys, the quotas, and the
 * worker that writes usage.
 *
 * A remembered key is good for ACCOUNT_KEY_SECONDS. REFRESH_NS before the end, one request asks the database
 * whether the key was revoked, while other requests go on. The refresh needs no hash of the text: the digest that
 * found the key already proves the text. */
#include "account/accounts.h"

#include <pthread.h>

#include "account/key_checks.h"
#include "account/lease.h"
#include "account/schema.h"
#include "base/alloc.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/worker.h"

enum {
    KEYS_MAX = 16384,
    WRONG_KEYS_MAX = 16384,
    WAITING_MAX = 16,
    SETTLE_MS = 500,
    TIDY_ROUNDS = 60,    /* periods of settling between two tidyings of the pool */
    SWEEP_ROUNDS = 7200, /* periods of settling between two sweeps of old leases */
    ARENA_MAX = 16 << 20,
    CLOSE_MS = 5000,
};
static const int64_t KEY_NS = ACCOUNT_KEY_SECONDS * 1000000000LL;
static const int64_t REFRESH_NS = 15 * 1000000000LL;
static const int64_t WARN_NS = 60 * 1000000000LL;

struct accounts {
    struct account_options options;
    char *scheme_text;
    struct span scheme;
    uint8_t secret[SIPHASH_BYTES]; /* key of the digests; differs for each process */
    struct database *db;
    struct quotas *quotas;
    struct key_memory *right, *wrong;
    struct key_checks *checks;
    struct metric *granted, *refused[ACCOUNT_REASONS], *over[TIER_COUNT], *failures;
    pthread_mutex_t settle_lock; /* one thread settles at a time, and holds it while the database answers */
    struct worker *worker;
    int64_t warned_ns; /* time of the last warning; only the worker uses it */
};

static int64_t accounts_steady_ns(const struct accounts *a)
{
    return a->options.clock.steady_ns(a->options.clock.context);
}

static int64_t wall_ms(const struct accounts *a)
{
    return a->options.clock.wall_ms(a->options.clock.context);
}

/* ---- admitting -------------------------------------------------------------------------------------- */

static enum account_verdict refuse_pass(struct account_pass *pass, enum account_reason reason)
{
    struct accounts *a = pass->accounts;
    pass->reason = reason;
    metric_add(a->refused[reason], 1);
    if (pass->key && (reason == ACCOUNT_MINUTE_OVER || reason == ACCOUNT_MONTH_OVER)) {
        metric_add(a->over[atomic_load(&pass->key->user->tier)], 1);
        pass->view = reason == ACCOUNT_MONTH_OVER ? quota_view_month(a->quotas, pass->key->user)
                                                  : quota_view_minute(a->quotas, pass->key->user);
        pass->has_view = true;
    }
    return ACCOUNT_REFUSED;
}

/* Grants a right key; the pass takes over the reference. */
static enum account_verdict grant_pass(struct account_pass *pass, struct account_key *key)
{
    struct accounts *a = pass->accounts;
    if (key->expires_ms && key->expires_ms <= wall_ms(a)) {
        account_key_release(key);
        return refuse_pass(pass, ACCOUNT_WRONG_KEY);
    }
    pass->key = key;
    if (quota_take_request(a->quotas, key->user) != QUOTA_GRANTED)
        return refuse_pass(pass, ACCOUNT_MINUTE_OVER);
    atomic_fetch_add_explicit(&key->count->requests, 1, memory_order_relaxed);
    metric_add(a->granted, 1);
    return ACCOUNT_GRANTED;
}

/* Whether this request should ask the database about the key. The first one after KEY_NS - REFRESH_NS does, so
 * that others need not wait at KEY_NS. */
static bool is_to_refresh(struct account_key *key, int64_t age_ns)
{
    return age_ns > KEY_NS - REFRESH_NS && !atomic_exchange(&key->checking, true);
}

/* Judges by memory alone, without waiting. *stale: a reference to a remembered key that must be checked again. The
 * caller then clears its `checking`, or replaces the key in the memory. */
static enum account_verdict judge_by_memory(struct account_pass *pass, struct span text,
                                            uint8_t digest[SIPHASH_BYTES], struct account_key **stale)
{
    struct accounts *a = pass->accounts;
    struct account_key *key = NULL;
    int64_t since_ns;
    *stale = NULL;
    if (text.len == 0)
        return refuse_pass(pass, ACCOUNT_NO_KEY);
    if (!key_is_well_formed(a->scheme, text))
        return refuse_pass(pass, ACCOUNT_WRONG_KEY);
    siphash128(a->secret, text, digest);
    const int64_t now = accounts_steady_ns(a);
    if (key_memory_find(a->right, digest, &key, &since_ns)) {
        const int64_t age = now - atomic_load(&key->checked_ns);
        if (age < KEY_NS && !is_to_refresh(key, age))
            return grant_pass(pass, key);
        *stale = key;
        return ACCOUNT_WAIT;
    }
    if (key_memory_find(a->wrong, digest, NULL, &since_ns) && now - since_ns < KEY_NS)
        return refuse_pass(pass, ACCOUNT_WRONG_KEY);
    return ACCOUNT_WAIT;
}

enum account_verdict accounts_try(struct accounts *a, struct span text, struct account_pass *pass)
{
    uint8_t digest[SIPHASH_BYTES];
    struct account_key *stale;
    *pass = (struct account_pass){.accounts = a};
    enum account_verdict verdict = judge_by_memory(pass, text, digest, &stale);
    if (stale) {
        atomic_store(&stale->checking, false);
        account_key_release(stale);
    } else if (verdict == ACCOUNT_WAIT && key_checks_full(a->checks)) {
        verdict = refuse_pass(pass, ACCOUNT_BUSY);
    }
    return verdict;
}

/* Refuses because a check failed: too many run, or the database does not answer. */
static enum account_verdict refuse_failure(struct account_pass *pass, struct call *call)
{
    return refuse_pass(pass, call->error.status == DP_OVERLOADED ? ACCOUNT_BUSY : ACCOUNT_AWAY);
}

/* Checks a key that is not remembered. */
static enum account_verdict check_unknown_key(struct call *call, struct account_pass *pass, struct span text,
                                              const uint8_t digest[SIPHASH_BYTES])
{
    struct account_key *key;
    if (key_checks_run(call, pass->accounts->checks, text, digest, &key) != DP_OK)
        return refuse_failure(pass, call);
    return key ? grant_pass(pass, key) : refuse_pass(pass, ACCOUNT_WRONG_KEY);
}

/* Asks the database about a remembered key that is older than KEY_NS - REFRESH_NS. */
static enum account_verdict refresh_key(struct call *call, struct account_pass *pass, struct account_key *key,
                                        struct span text, const uint8_t digest[SIPHASH_BYTES])
{
    struct accounts *a = pass->accounts;
    struct key_records found;
    enum dp_status status = records_get(call, a->db, span_str(key->id), &found);
    if (status != DP_OK) {
        bool good = accounts_steady_ns(a) - atomic_load(&key->checked_ns) < KEY_NS ||
                    (a->options.open && (status == DP_UNAVAILABLE || status == DP_IO));
        atomic_store(&key->checking, false);
        if (good) {
            dp_error_clear(&call->error);
            return grant_pass(pass, key);
        }
        account_key_release(key);
        return refuse_failure(pass, call);
    }
    const struct key_record *record = found.count == 1 ? &found.keys[0] : NULL;
    if (!record || record->revoked_ms) {
        key_memory_forget(a->right, digest);
        key_memory_put(a->wrong, digest, NULL, accounts_steady_ns(a));
        account_key_release(key);
        return refuse_pass(pass, ACCOUNT_WRONG_KEY);
    }
    if (!span_equal_str(record->hash, key->hash)) { /* another program replaced the key */
        key_memory_forget(a->right, digest);
        account_key_release(key);
        return check_unknown_key(call, pass, text, digest);
    }
    /* The rights may have changed. Requests that hold the old key go on with the old rights. */
    struct account_key *fresh = account_key_new(a->quotas, record, accounts_steady_ns(a));
    if (!fresh)
        atomic_store(&key->checking, false);
    account_key_release(key);
    if (!fresh) {
        call_nomem(call, "an account");
        return refuse_failure(pass, call);
    }
    key_memory_put(a->right, digest, fresh, accounts_steady_ns(a));
    return grant_pass(pass, fresh);
}

enum account_verdict accounts_admit(struct call *call, struct accounts *a, struct span text,
                                    struct account_pass *pass)
{
    uint8_t digest[SIPHASH_BYTES];
    struct account_key *key;
    *pass = (struct account_pass){.accounts = a};
    enum account_verdict verdict = judge_by_memory(pass, text, digest, &key);
    if (verdict != ACCOUNT_WAIT)
        return verdict;
    if (key)
        return refresh_key(call, pass, key, text, digest);
    return check_unknown_key(call, pass, text, digest);
}

enum account_verdict account_may(struct account_pass *pass, unsigned right, struct span namespace)
{
    if (right && !(pass->key->rights & right))
        return refuse_pass(pass, ACCOUNT_NO_RIGHT);
    if (namespace.data && !namespaces_allow(pass->key->namespaces, namespace))
        return refuse_pass(pass, ACCOUNT_NO_NAMESPACE);
    return ACCOUNT_GRANTED;
}

bool account_sees(const struct account_pass *pass, struct span namespace)
{
    return namespaces_allow(pass->key->namespaces, namespace);
}

/* ---- spending --------------------------------------------------------------------------------------- */

static enum account_verdict answer_spending(struct account_pass *pass, int64_t embeddings)
{
    pass->spent += embeddings;
    pass->month = atomic_load(&pass->key->user->month);
    atomic_fetch_add_explicit(&pass->key->count->embeddings, embeddings, memory_order_relaxed);
    return ACCOUNT_GRANTED;
}

enum account_verdict account_try_spend(struct account_pass *pass, int64_t embeddings)
{
    switch (quota_try_spend(pass->accounts->quotas, pass->key->user, embeddings)) {
    case QUOTA_GRANTED: return answer_spending(pass, embeddings);
    case QUOTA_REFUSED: return refuse_pass(pass, ACCOUNT_MONTH_OVER);
    case QUOTA_WAIT: break;
    }
    return ACCOUNT_WAIT;
}

enum account_verdict account_spend(struct call *call, struct account_pass *pass, int64_t embeddings)
{
    enum quota_verdict verdict;
    if (quota_spend(call, pass->accounts->quotas, pass->key->user, embeddings, &verdict) != DP_OK)
        return refuse_failure(pass, call);
    return verdict == QUOTA_GRANTED ? answer_spending(pass, embeddings) : refuse_pass(pass, ACCOUNT_MONTH_OVER);
}

void account_give_back(struct account_pass *pass)
{
    if (pass->spent == 0)
        return;
    quota_give_back(pass->accounts->quotas, pass->key->user, pass->spent, pass->month);
    atomic_fetch_sub_explicit(&pass->key->count->embeddings, pass->spent, memory_order_relaxed);
    pass->spent = 0;
}

void account_leave(struct account_pass *pass)
{
    account_key_release(pass->key);
    *pass = (struct account_pass){.accounts = NULL};
}

const char *account_key_id(const struct account_pass *pass)
{
    return pass->key ? pass->key->id : NULL;
}

const char *account_tier_name(const struct account_pass *pass)
{
    return pass->key ? tier_name((enum account_tier)atomic_load(&pass->key->user->tier)) : NULL;
}

void account_look(struct account_pass *pass)
{
    if (!pass->key || pass->has_view)
        return;
    pass->view = quota_view_month(pass->accounts->quotas, pass->key->user);
    pass->has_view = pass->view.remaining >= 0;
}

/* ---- writing usage ---------------------------------------------------------------------------------- */

static enum dp_status settle_once(struct call *call, struct accounts *a, bool all)
{
    pthread_mutex_lock(&a->settle_lock);
    enum dp_status status = quotas_settle(call, a->quotas, all);
    pthread_mutex_unlock(&a->settle_lock);
    return status;
}

enum dp_status accounts_settle(struct accounts *a)
{
    struct arena arena;
    struct call call;
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    enum dp_status status = settle_once(&call, a, false);
    arena_deinit(&arena);
    return status;
}

/* Writes the rest of the usage at the end. */
static void settle_all(struct accounts *a)
{
    struct arena arena;
    struct call call;
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call_limit_ms(&call, CLOSE_MS);
    if (settle_once(&call, a, true) != DP_OK)
        log_write(LOG_WARN, "the last usage could not be written: %s", call.error.message);
    arena_deinit(&arena);
}

/* ---- the worker's tasks ------------------------------------------------------------------------------ */

static enum dp_status usage_task(struct call *call, void *ctx)
{
    struct accounts *a = ctx;
    enum dp_status status = settle_once(call, a, false);
    if (status == DP_OK)
        return DP_OK;
    metric_add(a->failures, 1);
    if (os_now_ns() - a->warned_ns > WARN_NS) {
        log_write(LOG_WARN, "usage cannot be written now; trying again: %s", call->error.message);
        a->warned_ns = os_now_ns();
    }
    return status;
}

static enum dp_status tidy_task(struct call *call, void *ctx)
{
    struct accounts *a = ctx;
    (void)call;
    database_tidy(a->db);
    return DP_OK;
}

static enum dp_status sweep_task(struct call *call, void *ctx)
{
    struct accounts *a = ctx;
    return lease_sweep(call, a->db, wall_ms(a)); /* after a failure, the next run sweeps these leases */
}

static enum dp_status start_usage_worker(struct call *call, struct accounts *a)
{
    const int64_t period_ms = a->options.settle_ms;
    enum dp_status status = worker_new(&a->worker, &call->error);
    if (status != DP_OK)
        return status;
    a->warned_ns = INT64_MIN / 2;
    worker_add(a->worker, &(struct worker_task){usage_task, a, period_ms, 0});
    worker_add(a->worker, &(struct worker_task){tidy_task, a, TIDY_ROUNDS * period_ms, 0});
    worker_add(a->worker, &(struct worker_task){sweep_task, a, SWEEP_ROUNDS * period_ms, 0});
    return worker_start(a->worker, "dipper-usage", &call->error);
}

/* ---- beginning and end ------------------------------------------------------------------------------ */

static int64_t system_wall_ms(void *context)
{
    (void)context;
    return os_wall_ms();
}

static int64_t system_steady_ns(void *context)
{
    (void)context;
    return os_now_ns();
}

/* Labels of dipper_auth_total. */
static const char *const RESULTS[ACCOUNT_REASONS] = {
    [ACCOUNT_NO_KEY] = "result=\"missing\"",
    [ACCOUNT_WRONG_KEY] = "result=\"invalid\"",
    [ACCOUNT_NO_RIGHT] = "result=\"forbidden\"",
    [ACCOUNT_NO_NAMESPACE] = "result=\"wrong_namespace\"",
    [ACCOUNT_MINUTE_OVER] = "result=\"minute_over\"",
    [ACCOUNT_MONTH_OVER] = "result=\"month_over\"",
    [ACCOUNT_BUSY] = "result=\"busy\"",
    [ACCOUNT_AWAY] = "result=\"unavailable\"",
};

static enum dp_status register_account_metrics(struct call *call, struct accounts *a)
{
    static const char *const tiers[TIER_COUNT] = {"tier=\"free\"", "tier=\"pro\"", "tier=\"scale\""};
    struct metric_registry *r = a->options.registry;
    static const char help[] = "Requests, by the result of checking their key.";
    if (!r)
        return DP_OK;
    a->granted = metric_counter(r, "dipper_auth_total", "result=\"granted\"", help);
    bool good = a->granted;
    for (int i = ACCOUNT_NO_KEY; i < ACCOUNT_REASONS; i++) {
        a->refused[i] = metric_counter(r, "dipper_auth_total", RESULTS[i], help);
        good = good && a->refused[i];
    }
    for (int i = 0; i < TIER_COUNT; i++) {
        a->over[i] = metric_counter(r, "dipper_rate_limit_exceeded_total", tiers[i],
                                    "Requests refused because a limit of their tier was reached.");
        good = good && a->over[i];
    }
    a->failures = metric_counter(r, "dipper_usage_write_failures_total", "",
                                 "Times that usage could not be written to the database.");
    good = good && a->failures;
    return good ? DP_OK : call_nomem(call, "metrics");
}

static void fill_defaults(struct accounts *a)
{
    struct account_options *o = &a->options;
    o->batch = o->batch ? o->batch : ACCOUNT_BATCH;
    o->keys_max = o->keys_max ? o->keys_max : KEYS_MAX;
    o->waiting_max = o->waiting_max ? o->waiting_max : WAITING_MAX;
    o->settle_ms = o->settle_ms ? o->settle_ms : SETTLE_MS;
    o->clock.wall_ms = o->clock.wall_ms ? o->clock.wall_ms : system_wall_ms;
    o->clock.steady_ns = o->clock.steady_ns ? o->clock.steady_ns : system_steady_ns;
}

static enum dp_status open_parts(struct call *call, struct accounts *a)
{
    const struct account_options *o = &a->options;
    const struct database_options database = {.url = o->database_url,
                                              .schema = o->database_schema,
                                              .pool_min = o->pool_min,
                                              .pool_max = o->pool_max,
                                              .timeout_ms = o->database_timeout_ms,
                                              .registry = o->registry};
    enum dp_status status = key_check_scheme(a->scheme, &call->error);
    if (status == DP_OK)
        status = os_random(a->secret, sizeof a->secret, &call->error);
    if (status == DP_OK)
        status = register_account_metrics(call, a);
    if (status == DP_OK)
        status = database_open(call, &database, &a->db);
    if (status == DP_OK)
        status = schema_migrate(call, a->db);
    struct quota_options quota = {.db = a->db, .batch = o->batch, .open = o->open, .clock = o->clock};
    memcpy(quota.tiers, o->tiers, sizeof quota.tiers);
    if (status == DP_OK)
        status = quotas_new(&quota, &a->quotas, &call->error);
    if (status == DP_OK)
        status = key_memory_new(o->keys_max, &a->right, &call->error);
    if (status == DP_OK)
        status = key_memory_new(WRONG_KEYS_MAX, &a->wrong, &call->error);
    const struct key_checks_options checks = {.db = a->db,
                                              .quotas = a->quotas,
                                              .right = a->right,
                                              .wrong = a->wrong,
                                              .scheme = a->scheme,
                                              .clock = o->clock,
                                              .waiting_max = o->waiting_max,
                                              .registry = o->registry};
    return status == DP_OK ? key_checks_new(&checks, &a->checks, &call->error) : status;
}

enum dp_status accounts_open(struct call *call, const struct account_options *options, struct accounts **out)
{
    *out = NULL;
    struct accounts *a = mem_calloc(1, sizeof *a + strlen(options->key_scheme) + 1);
    if (!a)
        return call_nomem(call, "accounts");
    a->options = *options;
    a->scheme_text = (char *)(a + 1);
    memcpy(a->scheme_text, options->key_scheme, strlen(options->key_scheme));
    a->scheme = span_str(a->scheme_text);
    fill_defaults(a);
    pthread_mutex_init(&a->settle_lock, NULL);
    enum dp_status status = open_parts(call, a);
    if (status == DP_OK && a->options.settle_ms > 0)
        status = start_usage_worker(call, a);
    if (status == DP_OK)
        *out = a;
    else
        accounts_close(a);
    return status;
}

void accounts_close(struct accounts *a)
{
    if (!a)
        return;
    worker_free(a->worker);
    key_checks_free(a->checks);
    key_memory_free(a->right);
    key_memory_free(a->wrong);
    if (a->quotas)
        settle_all(a);
    quotas_free(a->quotas);
    database_close(a->db);
    pthread_mutex_destroy(&a->settle_lock);
    mem_free(a);
}

struct database *accounts_database(struct accounts *a)
{
    return a->db;
}
