/* test_accounts.c: how keys are made, checked, remembered, limited and revoked. */
#include "account_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account/key_checks.h"
#include "account/schema.h"

/* ---- keys ------------------------------------------------------------------------------------------- */

static void test_accounts_a_key_is_looked_up_once_and_then_remembered(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key(a, "Ada@Example.org", TIER_PRO);
    struct account_pass pass;
    assert_int_equal(accounts_try(a, span_str(key->text), &pass), ACCOUNT_WAIT);
    assert_int_equal(fixture_show(a, key->text, &pass), ACCOUNT_GRANTED);
    assert_string_equal(account_key_id(&pass), key->id);
    assert_string_equal(account_tier_name(&pass), "pro");
    account_leave(&pass);
    /* For a minute the key needs no look-up. */
    fixture_pass_seconds(40);
    assert_int_equal(accounts_try(a, span_str(key->text), &pass), ACCOUNT_GRANTED);
    account_leave(&pass);
    fixture_pass_seconds(21);
    assert_int_equal(accounts_try(a, span_str(key->text), &pass), ACCOUNT_WAIT);
    assert_int_equal(fixture_show(a, key->text, &pass), ACCOUNT_GRANTED);
    account_leave(&pass);
    accounts_close(a);
}

static void test_accounts_refuse_unknown_keys(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key(a, "a@b", TIER_FREE);
    struct account_pass pass;
    char wrong[KEY_TEXT_MAX + 1];
    /* A text without the form of a key is refused at once, without a look-up. */
    assert_int_equal(accounts_try(a, span_str(""), &pass), ACCOUNT_REFUSED);
    assert_int_equal(pass.reason, ACCOUNT_NO_KEY);
    static const char *const malformed[] = {"fe_", "x", "fe_' OR 1=1 --", "sk-123"};
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        assert_int_equal(accounts_try(a, span_str(malformed[i]), &pass), ACCOUNT_REFUSED);
        assert_int_equal(pass.reason, ACCOUNT_WRONG_KEY);
    }
    /* Changes one digit of the prefix (no such key), then one after it (bcrypt says no). Both refusals are remembered. */
    for (size_t at = 5; at <= 40; at += 35) {
        memcpy(wrong, key->text, sizeof wrong);
        wrong[at] = wrong[at] == 'a' ? 'b' : 'a';
        assert_int_equal(accounts_try(a, span_str(wrong), &pass), ACCOUNT_WAIT);
        assert_int_equal(fixture_show(a, wrong, &pass), ACCOUNT_REFUSED);
        assert_int_equal(pass.reason, ACCOUNT_WRONG_KEY);
        assert_int_equal(accounts_try(a, span_str(wrong), &pass), ACCOUNT_REFUSED);
        assert_int_equal(pass.reason, ACCOUNT_WRONG_KEY);
    }
    assert_null(account_key_id(&pass));
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
    accounts_close(a);
}

static void test_accounts_several_keys_may_share_a_prefix(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *one = fixture_key(a, "a@b", TIER_FREE), *two = fixture_key(a, "c@d", TIER_PRO);
    char sql[200];
    snprintf(sql, sizeof sql, "UPDATE api_keys SET prefix = '%.8s'", one->text + 3);
    fixture_sql(a, sql);
    struct account_pass pass;
    char same_prefix[KEY_TEXT_MAX + 1];
    memcpy(same_prefix, two->text, sizeof same_prefix);
    memcpy(same_prefix + 3, one->text + 3, 8); /* now the text of neither key */
    assert_int_equal(fixture_use(a, same_prefix, 1), ACCOUNT_WRONG_KEY);
    assert_int_equal(fixture_show(a, one->text, &pass), ACCOUNT_GRANTED);
    assert_string_equal(account_key_id(&pass), one->id);
    account_leave(&pass);
    struct key_record record;
    assert_int_equal(records_revoke(account_call(), accounts_database(a), span_of(one->text + 3, 8),
                                    span_str("fe_"), FIXTURE_NOW_MS, &record),
                     DP_CONFLICT);
    account_call_end();
    accounts_close(a);
}

static void revoke_key(struct accounts *a, const char *which)
{
    struct key_record record;
    assert_int_equal(records_revoke(account_call(), accounts_database(a), span_str(which), span_str("fe_"),
                                    atomic_load(&fixture_wall_ms), &record),
                     DP_OK);
    assert_true(record.revoked_ms > 0);
    account_call_end();
}

static void test_accounts_a_revoked_key_dies_within_the_minute(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key(a, "a@b", TIER_PRO);
    char shown[16];
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
    snprintf(shown, sizeof shown, "%.11s", key->text); /* as `dipper key list` shows it */
    revoke_key(a, shown);
    revoke_key(a, key->id); /* revoking it again changes nothing */
    fixture_pass_seconds(ACCOUNT_KEY_SECONDS);
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_WRONG_KEY);
    /* A revoked key that is not in memory is refused at once. */
    const struct new_key *unseen = fixture_key(a, "a@b", TIER_PRO);
    revoke_key(a, unseen->id);
    assert_int_equal(fixture_use(a, unseen->text, 1), ACCOUNT_WRONG_KEY);
    struct key_record record;
    assert_int_equal(
        records_revoke(account_call(), accounts_database(a), span_str("nothing"), span_str("fe_"), 1, &record),
        DP_NOT_FOUND);
    account_call_end();
    accounts_close(a);
}

/* One request looks the key up before its minute ends, so that no other request has to wait. */
static void test_accounts_look_a_key_up_again_before_its_minute_ends(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key(a, "a@b", TIER_PRO);
    struct account_pass pass;
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
    fixture_pass_seconds(50);
    assert_int_equal(accounts_try(a, span_str(key->text), &pass), ACCOUNT_WAIT);
    assert_int_equal(fixture_show(a, key->text, &pass), ACCOUNT_GRANTED);
    account_leave(&pass);
    fixture_pass_seconds(40); /* 90 s after the first look-up, 40 s after the second */
    assert_int_equal(accounts_try(a, span_str(key->text), &pass), ACCOUNT_GRANTED);
    account_leave(&pass);
    accounts_close(a);
}

/* The hash here is no bcrypt hash, so only the digest can accept the key. */
static void test_accounts_a_known_digest_decides_without_bcrypt(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key(a, "a@b", TIER_PRO);
    char wrong[KEY_TEXT_MAX + 1];
    memcpy(wrong, key->text, sizeof wrong);
    wrong[40] = wrong[40] == 'a' ? 'b' : 'a';
    fixture_sql(a, "UPDATE api_keys SET hash = 'none', digest_hash = 'none'");
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
    assert_int_equal(fixture_use(a, wrong, 1), ACCOUNT_WRONG_KEY);
    revoke_key(a, key->id);
    fixture_pass_seconds(ACCOUNT_KEY_SECONDS);
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_WRONG_KEY);
    accounts_close(a);
}

static void test_accounts_learn_the_digest_of_a_key_that_bcrypt_accepts(void **state)
{
    (void)state;
    static const char count[] = "SELECT COUNT(*) FROM api_keys WHERE digest_hash = hash AND digest IS NOT NULL";
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key(a, "a@b", TIER_PRO);
    assert_int_equal(fixture_sql(a, count), 1);
    fixture_sql(
        a, "UPDATE api_keys SET digest = NULL, digest_hash = NULL"); /* other programs make keys without digests */
    char wrong[KEY_TEXT_MAX + 1];
    memcpy(wrong, key->text, sizeof wrong);
    wrong[40] = wrong[40] == 'a' ? 'b' : 'a';
    assert_int_equal(fixture_use(a, wrong, 1), ACCOUNT_WRONG_KEY);
    assert_int_equal(fixture_sql(a, count), 0);
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
    accounts_close(a); /* waits until the bcrypt thread has written the digest */
    a = fixture_open(&options);
    assert_int_equal(fixture_sql(a, count), 1);
    fixture_sql(a, "UPDATE api_keys SET hash = 'none', digest_hash = 'none'");
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
    accounts_close(a);
}

/* Another program puts the hash of another key into the key's record. Then the digest of the first key is invalid. */
static void test_accounts_a_digest_ends_with_its_hash(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key(a, "a@b", TIER_PRO), *unseen = fixture_key(a, "b@b", TIER_PRO);
    char other[] = "fe_0000000011111111222222223333333344444444555555556666666677777777";
    char hash[KEY_HASH_MAX + 1], sql[300];
    struct dp_error error;
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
    assert_int_equal(key_hash(span_str(other), KEY_COST_TESTS, hash, &error), DP_OK);
    snprintf(sql, sizeof sql, "UPDATE api_keys SET prefix = '00000000', hash = '%s' WHERE id = '%s'", hash,
             key->id);
    fixture_sql(a, sql);
    snprintf(sql, sizeof sql, "UPDATE api_keys SET hash = '%s' WHERE id = '%s'", hash, unseen->id);
    fixture_sql(a, sql);
    assert_int_equal(fixture_use(a, other, 1), ACCOUNT_FINE);
    assert_int_equal(fixture_use(a, unseen->text, 1), ACCOUNT_WRONG_KEY);
    fixture_pass_seconds(ACCOUNT_KEY_SECONDS); /* until then the key is remembered */
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_WRONG_KEY);
    assert_int_equal(fixture_use(a, other, 1), ACCOUNT_FINE);
    accounts_close(a);
}

static void test_accounts_databases_of_the_first_version_are_upgraded(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key(a, "a@b", TIER_PRO);
    fixture_sql(a, "ALTER TABLE api_keys DROP COLUMN digest");
    fixture_sql(a, "ALTER TABLE api_keys DROP COLUMN digest_hash");
    fixture_sql(a, "DELETE FROM dipper_schema WHERE version > 1");
    accounts_close(a);
    a = fixture_open(&options);
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
    assert_int_equal(fixture_sql(a, "SELECT MAX(version) FROM dipper_schema"), SCHEMA_VERSION);
    accounts_close(a);
}

struct crowd {
    struct accounts *accounts;
    const char *key;
    enum account_reason reason;
};

static void *join_crowd(void *context)
{
    struct crowd *c = context;
    struct arena arena;
    struct call call;
    struct account_pass pass;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    accounts_admit(&call, c->accounts, span_str(c->key), &pass);
    c->reason = pass.reason;
    account_leave(&pass);
    arena_deinit(&arena);
    return NULL;
}

/* After a restart no key is in memory. */
static void test_accounts_many_new_keys_at_once_are_all_accepted(void **state)
{
    (void)state;
    enum { STRANGERS = 40 };
    static char texts[STRANGERS][KEY_TEXT_MAX + 1];
    static struct crowd crowd[STRANGERS];
    pthread_t threads[STRANGERS];
    struct account_options options = fixture_options(fixture_database());
    options.waiting_max = STRANGERS;
    struct accounts *a = fixture_open(&options);
    for (size_t i = 0; i < STRANGERS; i++) {
        memcpy(texts[i], fixture_key(a, "a@b", TIER_SCALE)->text, sizeof texts[i]);
        crowd[i] = (struct crowd){a, texts[i], ACCOUNT_REASONS};
    }
    for (size_t i = 0; i < STRANGERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, join_crowd, &crowd[i]), 0);
    for (size_t i = 0; i < STRANGERS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < STRANGERS; i++)
        assert_int_equal(crowd[i].reason, ACCOUNT_FINE);
    accounts_close(a);
}

static void test_accounts_keys_expire(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key_with(
        a, (struct key_wish){.email = span_str("a@b"), .expires_ms = atomic_load(&fixture_wall_ms) + 30000});
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
    fixture_pass_seconds(30); /* the key is still in memory */
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_WRONG_KEY);
    accounts_close(a);
    a = fixture_open(&options); /* a new server does not remember the key */
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_WRONG_KEY);
    accounts_close(a);
}

static void test_accounts_keys_have_only_their_rights_and_prefixes(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key_with(
        a, (struct key_wish){.email = span_str("a@b"), .rights = RIGHT_READ, .namespaces = span_str("team-,x")});
    struct account_pass pass;
    assert_int_equal(fixture_show(a, key->text, &pass), ACCOUNT_GRANTED);
    assert_int_equal(account_may(&pass, 0, span_of(NULL, 0)), ACCOUNT_GRANTED);
    assert_int_equal(account_may(&pass, RIGHT_READ, span_str("team-notes")), ACCOUNT_GRANTED);
    assert_int_equal(account_may(&pass, RIGHT_READ, span_str("other")), ACCOUNT_REFUSED);
    assert_int_equal(pass.reason, ACCOUNT_NO_NAMESPACE);
    assert_int_equal(account_may(&pass, RIGHT_EMBED, span_of(NULL, 0)), ACCOUNT_REFUSED);
    assert_int_equal(pass.reason, ACCOUNT_NO_RIGHT);
    account_leave(&pass);
    accounts_close(a);
}

/* A user has the tier of the last new key that named a tier. */
static void test_accounts_tiers_belong_to_users(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    assert_int_equal(fixture_key_with(a, (struct key_wish){.email = span_str("new@b")})->tier, TIER_FREE);
    const struct new_key *first = fixture_key(a, "a@b", TIER_PRO);
    assert_int_equal(fixture_key_with(a, (struct key_wish){.email = span_str("A@B")})->tier, TIER_PRO);
    struct account_pass pass;
    assert_int_equal(fixture_show(a, first->text, &pass), ACCOUNT_GRANTED);
    assert_string_equal(account_tier_name(&pass), "pro");
    account_leave(&pass);
    fixture_key(a, "a@b", TIER_SCALE);
    fixture_pass_seconds(61);
    assert_int_equal(fixture_show(a, first->text, &pass), ACCOUNT_GRANTED);
    assert_string_equal(account_tier_name(&pass), "scale");
    account_leave(&pass);
    assert_int_equal(fixture_sql(a, "SELECT COUNT(*) FROM users"), 2);
    accounts_close(a);
}

static void test_accounts_refuse_bad_wishes_for_keys(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    static const char *const bad[] = {"", "a", "@", "a@", "@b", "a b@c", "a@b\n", "a@\xff"};
    char long_name[NAME_MAX_BYTES + 2];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    struct new_key key;
    struct key_wish wish = {.scheme = span_str("fe_"), .cost = KEY_COST_TESTS, .rights = RIGHT_ALL};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wish.email = span_str(bad[i]);
        assert_int_equal(records_create(account_call(), accounts_database(a), &wish, 1, &key), DP_INVALID);
    }
    wish.email = span_str("a@b");
    wish.name = span_str(long_name);
    assert_int_equal(records_create(account_call(), accounts_database(a), &wish, 1, &key), DP_INVALID);
    wish.name = span_str("");
    wish.namespaces = span_str("a/b");
    assert_int_equal(records_create(account_call(), accounts_database(a), &wish, 1, &key), DP_INVALID);
    wish.namespaces = span_str("");
    wish.scheme = span_str("too-long-");
    assert_int_equal(records_create(account_call(), accounts_database(a), &wish, 1, &key), DP_INVALID);
    assert_int_equal(fixture_sql(a, "SELECT COUNT(*) FROM users"), 0);
    account_call_end();
    accounts_close(a);
}

/* No value becomes part of a statement. Values that look like SQL are stored and found unchanged. */
static void test_accounts_values_never_become_statements(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    static const char *const evil[] = {"';DROP/**/TABLE/**/users;--@x",      "\"@'",  "$1@$2",
                                       "a'||(SELECT(hash)FROM(api_keys))@b", "\\'@;", "%@_",
                                       "a@b');DELETE/**/FROM/**/users;--",   "?1@:a", "a@b\xe2\x80\xa8.org"};
    struct database *db = accounts_database(a);
    const size_t count = sizeof evil / sizeof *evil;
    struct key_records keys;
    struct key_record record;
    struct usage_rows usage;
    for (size_t i = 0; i < count; i++) {
        const struct new_key *key = fixture_key_with(
            a,
            (struct key_wish){.email = span_str(evil[i]), .name = span_str(evil[i]), .namespaces = span_str("n")});
        assert_int_equal(records_list(account_call(), db, span_str(evil[i]), &keys), DP_OK);
        assert_int_equal(keys.count, 1);
        assert_true(span_equal_str(keys.keys[0].id, key->id));
        assert_true(span_equal_str(keys.keys[0].name, evil[i]));
        assert_int_equal(records_usage(account_call(), db, 24322, span_str(evil[i]), span_str(""), false, &usage),
                         DP_OK);
        assert_int_equal(usage.count, 1);
        assert_int_equal(records_usage(account_call(), db, 24322, span_str(""), span_str(evil[i]), true, &usage),
                         DP_OK);
        assert_int_equal(usage.count, 0);
        assert_int_equal(records_get(account_call(), db, span_str(evil[i]), &keys), DP_OK);
        assert_int_equal(keys.count, 0);
        assert_int_equal(records_find(account_call(), db, span_str(evil[i]), 0, &keys), DP_OK);
        assert_int_equal(keys.count, 0);
        assert_int_equal(records_revoke(account_call(), db, span_str(evil[i]), span_str("fe_"), 1, &record),
                         DP_NOT_FOUND);
        assert_int_equal(fixture_use(a, evil[i], 1), ACCOUNT_WRONG_KEY);
    }
    assert_int_equal(records_list(account_call(), db, span_str(""), &keys), DP_OK);
    assert_int_equal(keys.count, count);
    account_call_end();
    accounts_close(a);
}

/* ---- the database ----------------------------------------------------------------------------------- */

static void test_accounts_refuse_a_newer_schema(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    fixture_sql(a, "INSERT INTO dipper_schema (version, applied_at) VALUES (1000, 0)");
    accounts_close(a);
    struct call *call = account_call();
    assert_int_equal(accounts_open(call, &options, &a), DP_UNSUPPORTED);
    assert_non_null(strstr(call->error.message, "version 1000"));
    account_call_end();
}

static void test_accounts_refuse_malformed_urls(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "sqlite://", "sqlite:///", "relative/path", "mysql://h/d", "sqlite://relative"};
    struct account_options options = fixture_options(NULL);
    struct accounts *a;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.database_url = bad[i];
        assert_int_equal(accounts_open(account_call(), &options, &a), DP_INVALID);
        assert_null(a);
    }
    options.database_url = "postgresql://u:hunter2@127.0.0.1:1/d";
    struct call *call = account_call();
    assert_int_equal(accounts_open(call, &options, &a), DP_UNAVAILABLE);
    assert_null(strstr(call->error.message, "hunter2"));
    options.database_url = "sqlite:///proc/nothing/here.db";
    assert_true(accounts_open(account_call(), &options, &a) != DP_OK);
    account_call_end();
}

static void test_accounts_sqlite_files_are_private_to_their_owner(void **state)
{
    (void)state;
    char url[600], path[580];
    snprintf(path, sizeof path, "%s/new/folder/a.db", test_tmpdir());
    snprintf(url, sizeof url, "sqlite://%s", path);
    struct account_options options = fixture_options(url);
    accounts_close(fixture_open(&options));
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    *strrchr(path, '/') = '\0';
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
}

/* Returns whether another process could lock the whole file, that is, whether no process holds a lock. */
static bool others_may_lock(const char *path)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDWR | O_CLOEXEC); /* closing it releases no lock of the parent */
        _exit(fd < 0 || fcntl(fd, F_GETLK, &lock) != 0 ? 2 : lock.l_type == F_UNLCK);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    return WEXITSTATUS(status) == 1;
}

static enum dp_status count_users(struct call *call, struct db_transaction *t, void *context)
{
    (void)context;
    return db_run(call, t, "SELECT COUNT(*) FROM users", NULL, 0, NULL);
}

/* If a process opens and closes the file without SQLite, it loses its locks, and the next process deletes the
 * write-ahead log. */
static void test_accounts_sqlite_keeps_its_locks_while_others_connect(void **state)
{
    (void)state;
    char url[600], path[580], log[600];
    snprintf(path, sizeof path, "%s/locks/a.db", test_tmpdir());
    snprintf(url, sizeof url, "sqlite://%s", path);
    snprintf(log, sizeof log, "%s-shm", path);
    struct account_options options = fixture_options(url);
    struct accounts *a = fixture_open(&options);
    fixture_key(a, "a@b", TIER_FREE);
    assert_false(others_may_lock(path));
    assert_false(others_may_lock(log));
    /* Opens more connections of the pool; then opens and closes a second pool in this process. */
    options.pool_min = 3;
    struct accounts *b = fixture_open(&options);
    assert_int_equal(database_read(account_call(), accounts_database(b), count_users, NULL), DP_OK);
    account_call_end();
    assert_false(others_may_lock(path));
    accounts_close(b);
    assert_false(others_may_lock(path));
    assert_false(others_may_lock(log));
    accounts_close(a);
    assert_true(others_may_lock(path));
}

static void test_accounts_a_damaged_file_is_refused(void **state)
{
    (void)state;
    char url[600], path[580];
    snprintf(path, sizeof path, "%s/damaged.db", test_tmpdir());
    snprintf(url, sizeof url, "sqlite://%s", path);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    for (int i = 0; i < 100; i++)
        fputs("this is no database, and never was. ", out);
    fclose(out);
    struct account_options options = fixture_options(url);
    struct accounts *a;
    assert_int_equal(accounts_open(account_call(), &options, &a), DP_CORRUPT);
    account_call_end();
}

/* ---- memory ----------------------------------------------------------------------------------------- */

static void test_accounts_a_warm_key_allocates_nothing(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    const struct new_key *key = fixture_key(a, "a@b", TIER_SCALE);
    struct account_pass pass;
    assert_int_equal(fixture_use(a, key->text, 1), ACCOUNT_FINE);
    size_t before = test_alloc_count();
    assert_int_equal(accounts_try(a, span_str(key->text), &pass), ACCOUNT_GRANTED);
    assert_int_equal(account_may(&pass, RIGHT_EMBED, span_of(NULL, 0)), ACCOUNT_GRANTED);
    assert_int_equal(account_try_spend(&pass, 1), ACCOUNT_GRANTED);
    account_look(&pass);
    account_leave(&pass);
    assert_int_equal(test_alloc_count(), before);
    accounts_close(a);
}

static void test_accounts_survive_failed_allocations(void **state)
{
    (void)state;
    struct account_options options = fixture_options(fixture_database());
    struct accounts *a = fixture_open(&options);
    struct new_key key = *fixture_key(a, "a@b", TIER_SCALE);
    accounts_close(a);
    for (size_t n = 1;; n++) {
        struct arena arena;
        struct call call;
        arena_init(&arena, 16 << 20);
        call_init(&call, &arena);
        struct account_pass pass = {.accounts = NULL};
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = accounts_open(&call, &options, &a);
        if (status == DP_OK) {
            if (accounts_admit(&call, a, span_str(key.text), &pass) == ACCOUNT_GRANTED)
                account_spend(&call, &pass, 1);
            accounts_settle(a);
        }
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        if (status == DP_OK)
            assert_true(fired || pass.reason == ACCOUNT_FINE);
        else
            assert_int_equal(status, DP_NOMEM);
        account_leave(&pass);
        accounts_close(a);
        arena_deinit(&arena);
        assert_int_equal(test_alloc_live(), before);
        if (!fired)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accounts_a_key_is_looked_up_once_and_then_remembered),
        cmocka_unit_test(test_accounts_refuse_unknown_keys),
        cmocka_unit_test(test_accounts_several_keys_may_share_a_prefix),
        cmocka_unit_test(test_accounts_a_revoked_key_dies_within_the_minute),
        cmocka_unit_test(test_accounts_look_a_key_up_again_before_its_minute_ends),
        cmocka_unit_test(test_accounts_a_known_digest_decides_without_bcrypt),
        cmocka_unit_test(test_accounts_learn_the_digest_of_a_key_that_bcrypt_accepts),
        cmocka_unit_test(test_accounts_a_digest_ends_with_its_hash),
        cmocka_unit_test(test_accounts_databases_of_the_first_version_are_upgraded),
        cmocka_unit_test(test_accounts_many_new_keys_at_once_are_all_accepted),
        cmocka_unit_test(test_accounts_keys_expire),
        cmocka_unit_test(test_accounts_keys_have_only_their_rights_and_prefixes),
        cmocka_unit_test(test_accounts_tiers_belong_to_users),
        cmocka_unit_test(test_accounts_refuse_bad_wishes_for_keys),
        cmocka_unit_test(test_accounts_values_never_become_statements),
        cmocka_unit_test(test_accounts_refuse_a_newer_schema),
        cmocka_unit_test(test_accounts_refuse_malformed_urls),
        cmocka_unit_test(test_accounts_sqlite_files_are_private_to_their_owner),
        cmocka_unit_test(test_accounts_sqlite_keeps_its_locks_while_others_connect),
        cmocka_unit_test(test_accounts_a_damaged_file_is_refused),
        cmocka_unit_test(test_accounts_a_warm_key_allocates_nothing),
        cmocka_unit_test(test_accounts_survive_failed_allocations),
    };
    return test_run(tests);
}
