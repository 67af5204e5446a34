/* test_quota.c: limits of a month and a minute: batches, several nodes on one database, crashes, the turn of a month,
 * and a database that does not answer. */
#include "account_fixture.h"

#include <pthread.h>
#include <stdio.h>

#include "account/lease.h"
#include "os/clock.h"

enum { BATCH = 8, LIMIT = 100 }; /* the batch and the FREE tier of fixture_options */

static struct accounts *open_node(const char *url)
{
    struct account_options options = fixture_options(url);
    options.tiers[TIER_FREE].requests_a_minute = 0;
    return fixture_open(&options);
}

static struct account_options open_options(const char *url, bool open, int timeout_ms)
{
    struct account_options options = fixture_options(url);
    options.open = open;
    options.database_timeout_ms = timeout_ms;
    return options;
}

/* Uses one embedding after another until one is refused. Returns how many it used. */
static int64_t use_up(struct accounts *a, const char *key)
{
    int64_t used = 0;
    while (fixture_use(a, key, 1) == ACCOUNT_FINE)
        used++;
    return used;
}

/* ---- counting --------------------------------------------------------------------------------------- */

static void test_quota_ends_at_the_limit_exactly(void **state)
{
    (void)state;
    struct accounts *a = open_node(fixture_database());
    const struct new_key *key = fixture_key(a, "a@b", TIER_FREE);
    assert_int_equal(use_up(a, key->text), LIMIT);
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_MONTH_OVER);
    assert_int_equal(accounts_settle(a), DP_OK);
    assert_int_equal(fixture_used(a, "a@b"), LIMIT);
    assert_int_equal(fixture_sql(a, "SELECT embeddings FROM key_usage"), LIMIT);
    accounts_close(a);
}

/* Requests with many texts: more than a batch, exactly the rest of the month, and more than the rest. */
static void test_quota_is_all_or_nothing_for_a_request(void **state)
{
    (void)state;
    struct accounts *a = open_node(fixture_database());
    const struct new_key *key = fixture_key(a, "a@b", TIER_FREE);
    assert_int_equal(fixture_use(a, key->text, LIMIT + 1), ACCOUNT_MONTH_OVER);
    assert_int_equal(fixture_use(a, key->text, 60), ACCOUNT_FINE);
    assert_int_equal(fixture_use(a, key->text, 41), ACCOUNT_MONTH_OVER);
    assert_int_equal(fixture_use(a, key->text, 40), ACCOUNT_FINE);
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_MONTH_OVER);
    accounts_close(a);
}

static void test_quota_gives_back_failed_embeddings(void **state)
{
    (void)state;
    struct accounts *a = open_node(fixture_database());
    const struct new_key *key = fixture_key(a, "a@b", TIER_FREE);
    struct account_pass pass;
    assert_int_equal(fixture_show(a, key->text, &pass), ACCOUNT_GRANTED);
    assert_int_equal(account_spend(account_call(), &pass, 30), ACCOUNT_GRANTED);
    assert_int_equal(accounts_settle(a), DP_OK); /* the usage may be in the database already */
    account_give_back(&pass);
    account_give_back(&pass); /* the second time does nothing */
    account_leave(&pass);
    account_call_end();
    assert_int_equal(accounts_settle(a), DP_OK);
    assert_int_equal(fixture_used(a, "a@b"), 0);
    assert_int_equal(use_up(a, key->text), LIMIT);
    accounts_close(a);
}

static void test_quota_reports_the_remaining_embeddings(void **state)
{
    (void)state;
    struct accounts *a = open_node(fixture_database());
    const struct new_key *key = fixture_key(a, "a@b", TIER_FREE);
    struct account_pass pass;
    assert_int_equal(fixture_show(a, key->text, &pass), ACCOUNT_GRANTED);
    account_look(&pass);
    assert_false(pass.has_view); /* no query to the database yet */
    assert_int_equal(account_spend(account_call(), &pass, 3), ACCOUNT_GRANTED);
    account_look(&pass);
    assert_int_equal(pass.view.limit, LIMIT);
    assert_int_equal(pass.view.reset_ms, month_begins_ms(2026 * 12 + 11)); /* December begins */
    assert_int_equal(pass.view.remaining, LIMIT - 3);
    account_leave(&pass);
    account_call_end();
    accounts_close(a);
}

/* The keys of a user share one monthly limit. */
static void test_quota_is_shared_by_the_keys_of_a_user(void **state)
{
    (void)state;
    struct accounts *a = open_node(fixture_database());
    const struct new_key *one = fixture_key(a, "a@b", TIER_FREE), *two = fixture_key(a, "a@b", TIER_FREE);
    assert_int_equal(fixture_use(a, one->text, 70), ACCOUNT_FINE);
    assert_int_equal(fixture_use(a, two->text, 70), ACCOUNT_MONTH_OVER);
    assert_int_equal(fixture_use(a, two->text, 30), ACCOUNT_FINE);
    assert_int_equal(accounts_settle(a), DP_OK);
    assert_int_equal(fixture_sql(a, "SELECT CAST(SUM(embeddings) AS BIGINT) FROM key_usage"), LIMIT);
    assert_int_equal(fixture_sql(a, "SELECT COUNT(*) FROM key_usage"), 2);
    accounts_close(a);
}

static void test_quota_limits_each_minute(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key(a, "a@b", TIER_FREE);
    atomic_store(&fixture_wall_ms, FIXTURE_NOW_MS);
    for (int minute = 0; minute < 2; minute++) {
        for (int i = 0; i < 20; i++)
            assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
        struct account_pass pass;
        assert_int_equal(fixture_show(a, key->text, &pass), ACCOUNT_REFUSED);
        assert_int_equal(pass.reason, ACCOUNT_MINUTE_OVER);
        assert_int_equal(pass.view.limit, 20);
        assert_int_equal(pass.view.remaining, 0);
        assert_int_equal(pass.view.reset_ms, FIXTURE_NOW_MS + (minute + 1) * 60000);
        account_leave(&pass);
        fixture_pass_seconds(60);
    }
    accounts_close(a);
}

static void test_quota_begins_anew_each_month(void **state)
{
    (void)state;
    struct accounts *a = open_node(fixture_database());
    const struct new_key *key = fixture_key(a, "a@b", TIER_FREE);
    const int64_t december = month_begins_ms(2026 * 12 + 11);
    atomic_store(&fixture_wall_ms, december - 1);
    assert_int_equal(use_up(a, key->text), LIMIT);
    struct account_pass pass;
    assert_int_equal(fixture_show(a, key->text, &pass), ACCOUNT_GRANTED); /* the pass begins in November */
    atomic_store(&fixture_wall_ms, december);
    assert_int_equal(use_up(a, key->text), LIMIT);
    pass.spent = 5; /* as if November had counted them */
    pass.month = 2026 * 12 + 10;
    account_give_back(&pass); /* adds nothing to December */
    account_leave(&pass);
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_MONTH_OVER);
    assert_int_equal(accounts_settle(a), DP_OK);
    assert_int_equal(fixture_used(a, "a@b"), LIMIT);
    assert_int_equal(fixture_sql(a, "SELECT used FROM usage WHERE month = 24322"), LIMIT);
    assert_int_equal(fixture_sql(a, "SELECT CAST(SUM(reserved) AS BIGINT) FROM usage"), 0);
    accounts_close(a);
    atomic_store(&fixture_wall_ms, FIXTURE_NOW_MS);
}

/* If the clock is wrong for a while, the usage of each month stays counted. */
static void test_quota_months_that_come_again_go_on_counting(void **state)
{
    (void)state;
    struct accounts *a = open_node(fixture_database());
    const struct new_key *key = fixture_key(a, "a@b", TIER_FREE);
    static const int64_t months[] = {10, 11, 10, 22, 10, 11};
    for (size_t i = 0; i < sizeof months / sizeof *months; i++) {
        atomic_store(&fixture_wall_ms, month_begins_ms(2026 * 12 + months[i]) + 3600000);
        for (int n = 0; n < 3; n++)
            assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
        assert_int_equal(accounts_settle(a), DP_OK);
    }
    assert_int_equal(fixture_sql(a, "SELECT used FROM usage WHERE month = 24322"), 9);
    assert_int_equal(fixture_sql(a, "SELECT used FROM usage WHERE month = 24323"), 6);
    assert_int_equal(fixture_sql(a, "SELECT used FROM usage WHERE month = 24334"), 3);
    assert_int_equal(use_up(a, key->text), LIMIT - 6); /* the rest of December */
    accounts_close(a);
    atomic_store(&fixture_wall_ms, FIXTURE_NOW_MS);
}

/* A node forgets a user when it remembers none of the user's keys. */
static void test_quota_users_who_come_again_go_on_counting(void **state)
{
    (void)state;
    struct accounts *a = open_node(fixture_database());
    for (int i = 1; i <= 3; i++) {
        const struct new_key *key = fixture_key(a, "a@b", TIER_FREE);
        struct key_record record;
        for (int n = 0; n < 5; n++)
            assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
        assert_int_equal(records_revoke(account_call(), accounts_database(a), span_str(key->id), span_str("fe_"),
                                        FIXTURE_NOW_MS, &record),
                         DP_OK);
        fixture_pass_seconds(61);
        assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_WRONG_KEY);
        assert_int_equal(accounts_settle(a), DP_OK); /* gives back the held embeddings */
        assert_int_equal(accounts_settle(a), DP_OK); /* forgets the user */
        assert_int_equal(fixture_used(a, "a@b"), 5 * i);
    }
    accounts_close(a);
}

/* If a node does not use the rest of its lease for some seconds, that rest goes back to the month. */
static void test_quota_unused_leases_go_back(void **state)
{
    (void)state;
    struct accounts *a = open_node(fixture_database());
    const struct new_key *key = fixture_key(a, "a@b", TIER_FREE);
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
    assert_int_equal(accounts_settle(a), DP_OK);
    assert_true(fixture_sql(a, "SELECT reserved FROM usage") > 0);
    fixture_pass_seconds(10);
    assert_int_equal(accounts_settle(a), DP_OK);
    assert_int_equal(fixture_sql(a, "SELECT reserved FROM usage"), 0);
    assert_int_equal(fixture_used(a, "a@b"), 1);
    assert_int_equal(use_up(a, key->text), LIMIT - 1);
    accounts_close(a);
}

/* ---- several nodes ---------------------------------------------------------------------------------- */

struct client {
    pthread_t thread;
    struct accounts *node;
    const char *key;
    int64_t used;
};

static void *run_client(void *context)
{
    struct client *client = context;
    struct arena arena;
    struct call call;
    struct account_pass pass = {.reason = ACCOUNT_FINE};
    arena_init(&arena, 16 << 20);
    /* If the queue of new keys is full, the client tries again. */
    while (pass.reason != ACCOUNT_MONTH_OVER) {
        arena_reset(&arena);
        call_init(&call, &arena);
        enum account_verdict verdict = accounts_admit(&call, client->node, span_str(client->key), &pass);
        if (verdict == ACCOUNT_GRANTED)
            verdict = account_try_spend(&pass, 1);
        if (verdict == ACCOUNT_WAIT)
            verdict = account_spend(&call, &pass, 1);
        if (verdict == ACCOUNT_GRANTED)
            client->used++;
        enum account_reason reason = pass.reason;
        account_leave(&pass);
        pass.reason = reason;
    }
    arena_deinit(&arena);
    return NULL;
}

static void test_quota_many_clients_of_two_nodes_never_overrun(void **state)
{
    (void)state;
    enum { CLIENTS = 64 };
    static struct client clients[CLIENTS];
    const char *url = fixture_database();
    struct account_options options = fixture_options(url);
    options.tiers[TIER_PRO].embeddings_a_month = 5000;
    struct accounts *nodes[2] = {fixture_open(&options), fixture_open(&options)};
    const char *key = fixture_key(nodes[0], "a@b", TIER_PRO)->text;
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.node = nodes[i % 2], .key = key};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
    int64_t used = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        used += clients[i].used;
    }
    /* Together the clients never exceed the limit. They may use less: embeddings that one node holds are not available
     * to the clients of the other node. */
    assert_true(used <= 5000 && used >= 5000 - 2 * BATCH - CLIENTS);
    assert_int_equal(accounts_settle(nodes[0]), DP_OK);
    assert_int_equal(accounts_settle(nodes[1]), DP_OK);
    assert_int_equal(fixture_used(nodes[0], "a@b"), used);
    accounts_close(nodes[0]);
    fixture_pass_seconds(2); /* then the node asks the database again after a refusal */
    assert_int_equal(use_up(nodes[1], key), 5000 - used);
    accounts_close(nodes[1]);
}

/* A crashed node held a lease and had not written all its usage. */
static void test_quota_of_a_dead_node_returns_when_its_lease_ends(void **state)
{
    (void)state;
    const char *url = fixture_database();
    struct accounts *a = open_node(url);
    const char *key = fixture_key(a, "a@b", TIER_FREE)->text;
    assert_int_equal(fixture_use(a, key, 20), ACCOUNT_FINE);
    assert_int_equal(accounts_settle(a), DP_OK);
    /* The lease that another node left behind: 10 used and written, 30 held. */
    fixture_sql(a, "UPDATE usage SET used = used + 10, reserved = reserved + 30");
    char sql[300];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO leases (user_id, month, node, spent, held, expires_at) SELECT id, 24322, 'dead', 10, 30, "
        "%lld FROM users",
        (long long)atomic_load(&fixture_wall_ms) + 1000);
    fixture_sql(a, sql);
    assert_int_equal(use_up(a, key), LIMIT - 20 - 10 - 30);
    fixture_pass_seconds(2); /* now the node counts as dead */
    assert_int_equal(use_up(a, key), 30);
    assert_int_equal(accounts_settle(a), DP_OK);
    assert_int_equal(fixture_used(a, "a@b"), LIMIT);
    assert_int_equal(fixture_sql(a, "SELECT held FROM leases WHERE node = 'dead'"), 0);
    fixture_pass_seconds(3 * 86400);
    assert_int_equal(lease_sweep(account_call(), accounts_database(a), atomic_load(&fixture_wall_ms)), DP_OK);
    assert_int_equal(fixture_sql(a, "SELECT COUNT(*) FROM leases WHERE node = 'dead'"), 0);
    accounts_close(a);
    atomic_store(&fixture_wall_ms, FIXTURE_NOW_MS);
}

/* The answer of a settlement was lost, so the node settles again. */
static enum dp_status settle_twice(struct call *call, struct db_transaction *t, void *context)
{
    struct lease_settlement *s = context;
    enum dp_status status = lease_settle(call, t, s);
    return status == DP_OK ? lease_settle(call, t, s) : status;
}

static void test_quota_a_settlement_may_be_repeated(void **state)
{
    (void)state;
    struct accounts *a = open_node(fixture_database());
    fixture_key(a, "a@b", TIER_FREE);
    struct key_records keys;
    assert_int_equal(records_list(account_call(), accounts_database(a), span_str(""), &keys), DP_OK);
    char id[ULID_LEN + 1] = "";
    memcpy(id, keys.keys[0].user_id.data, ULID_LEN);
    struct lease_settlement s = {.user_id = span_str(id),
                                 .node = span_str("n"),
                                 .month = 24322,
                                 .limit = LIMIT,
                                 .spent = 12,
                                 .in_hand = 4,
                                 .need = 5,
                                 .now_ms = FIXTURE_NOW_MS,
                                 .expires_ms = FIXTURE_NOW_MS + 1000};
    assert_int_equal(database_transact(account_call(), accounts_database(a), settle_twice, &s), DP_OK);
    assert_int_equal(s.held, 5);
    assert_int_equal(s.beyond, LIMIT - 12 - 5);
    assert_int_equal(fixture_sql(a, "SELECT used FROM usage"), 12);
    assert_int_equal(fixture_sql(a, "SELECT reserved FROM usage"), 5);
    accounts_close(a);
}

/* ---- a database that does not answer ---------------------------------------------------------------- */

struct away {
    void (*then)(struct accounts *a, const char *key);
    struct accounts *a;
    const char *key;
};

/* Locks the table that every settlement needs, and runs the test meanwhile. So the database does not answer any
 * settlement. */
static enum dp_status hold(struct call *call, struct db_transaction *t, void *context)
{
    struct away *away = context;
    enum dp_status status = db_is_postgres(t) ? db_run(call, t, "LOCK TABLE usage", NULL, 0, NULL) : DP_OK;
    if (status == DP_OK)
        away->then(away->a, away->key);
    return status;
}

static void while_away(const char *url, struct accounts *a, const char *key,
                       void (*then)(struct accounts *, const char *))
{
    struct arena arena;
    struct call call;
    struct away away = {then, a, key};
    struct database *db = NULL;
    const struct database_options options = {.url = url, .pool_min = 1, .pool_max = 1, .timeout_ms = 20000};
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    assert_int_equal(database_open(&call, &options, &db), DP_OK);
    assert_int_equal(database_transact(&call, db, hold, &away), DP_OK);
    database_close(db);
    arena_deinit(&arena);
}

/* Settles when the database is back. The pool notices that half a second later. */
static void settle_at_last(struct accounts *a)
{
    const int64_t until_ns = os_now_ns() + 60 * 1000000000LL;
    while (accounts_settle(a) != DP_OK)
        assert_true(os_now_ns() < until_ns);
}

static void use_what_is_in_hand(struct accounts *a, const char *key)
{
    struct account_pass pass;
    int64_t used = 0;
    for (enum account_verdict verdict = ACCOUNT_GRANTED; verdict == ACCOUNT_GRANTED; used++) {
        assert_int_equal(accounts_try(a, span_str(key), &pass), ACCOUNT_GRANTED);
        verdict = account_try_spend(&pass, 1);
        account_leave(&pass);
    }
    assert_int_equal(used, BATCH); /* one was used before, and the last one was refused */
    assert_int_equal(fixture_use(a, key, 1), ACCOUNT_AWAY);
    assert_true(accounts_settle(a) != DP_OK);
}

static void test_quota_fails_closed(void **state)
{
    (void)state;
    struct account_options options = open_options(fixture_database(), false, 250);
    options.tiers[TIER_FREE] = (struct tier_limits){LIMIT * 10, 0};
    struct accounts *a = fixture_open(&options);
    const char *key = fixture_key(a, "a@b", TIER_FREE)->text;
    assert_int_equal(fixture_use(a, key, 1), ACCOUNT_FINE);
    while_away(options.database_url, a, key, use_what_is_in_hand);
    settle_at_last(a);
    assert_int_equal(fixture_use(a, key, 1), ACCOUNT_FINE); /* the database is back */
    settle_at_last(a);
    assert_int_equal(fixture_used(a, "a@b"), BATCH + 1);
    accounts_close(a);
}

static void use_thirty(struct accounts *a, const char *key)
{
    for (int i = 0; i < 3; i++)
        assert_int_equal(fixture_use(a, key, 10), ACCOUNT_FINE);
}

static void test_quota_fails_open_when_configured_and_still_counts(void **state)
{
    (void)state;
    struct account_options options = open_options(fixture_database(), true, 250);
    options.tiers[TIER_FREE] = (struct tier_limits){25, 0};
    struct accounts *a = fixture_open(&options);
    const char *key = fixture_key(a, "a@b", TIER_FREE)->text;
    assert_int_equal(fixture_use(a, key, 1), ACCOUNT_FINE);
    while_away(options.database_url, a, key, use_thirty);
    settle_at_last(a);
    assert_int_equal(fixture_used(a, "a@b"), 31);
    assert_int_equal(fixture_use(a, key, 1), ACCOUNT_MONTH_OVER);
    accounts_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quota_ends_at_the_limit_exactly),
        cmocka_unit_test(test_quota_is_all_or_nothing_for_a_request),
        cmocka_unit_test(test_quota_gives_back_failed_embeddings),
        cmocka_unit_test(test_quota_reports_the_remaining_embeddings),
        cmocka_unit_test(test_quota_is_shared_by_the_keys_of_a_user),
        cmocka_unit_test(test_quota_limits_each_minute),
        cmocka_unit_test(test_quota_begins_anew_each_month),
        cmocka_unit_test(test_quota_months_that_come_again_go_on_counting),
        cmocka_unit_test(test_quota_users_who_come_again_go_on_counting),
        cmocka_unit_test(test_quota_unused_leases_go_back),
        cmocka_unit_test(test_quota_many_clients_of_two_nodes_never_overrun),
        cmocka_unit_test(test_quota_of_a_dead_node_returns_when_its_lease_ends),
        cmocka_unit_test(test_quota_a_settlement_may_be_repeated),
        cmocka_unit_test(test_quota_fails_closed),
        cmocka_unit_test(test_quota_fails_open_when_configured_and_still_counts),
    };
    return test_run(tests);
}
