/* test_redis_cache.c: URLs of Redis servers, checks of their replies, and absent servers.
 * tests/e2e/test_embed_cache.py starts real servers. */
#include "test_support.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

#include "embed/redis_cache.h"
#include "embed/cache/redis_server.h"

static void test_embed_redis_urls_that_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *user, *password;
        uint16_t port;
        unsigned database;
    } cases[] = {
        {"redis://localhost", "localhost", "", "", 6379, 0},
        {"redis://localhost/", "localhost", "", "", 6379, 0},
        {"redis://10.0.0.1:7000/15", "10.0.0.1", "", "", 7000, 15},
        {"redis://:secret@r-1.example.org:1", "r-1.example.org", "", "secret", 1, 0},
        {"redis://me:p%40%2F%3a%25@host", "host", "me", "p@/:%", 6379, 0},
        {"redis://:a:b@host", "host", "", "a:b", 6379, 0},
        {"redis://[::1]:65535/2", "::1", "", "", 65535, 2},
        {"redis://[fe80::1%eth0]", "fe80::1%eth0", "", "", 6379, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct redis_url url;
        struct dp_error error = {.status = DP_OK};
        if (redis_url_parse(span_str(cases[i].text), &url, &error) != DP_OK)
            fail_msg("%s: %s", cases[i].text, error.message);
        assert_string_equal(url.host, cases[i].host);
        assert_string_equal(url.user, cases[i].user);
        assert_string_equal(url.password, cases[i].password);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.database, cases[i].database);
    }
}

static void test_embed_redis_urls_that_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "localhost",
        "redis:",
        "redis://",
        "redis:///1",
        "redis://host:",
        "redis://host:0",
        "redis://host:65536",
        "redis://host:1x",
        "redis://host/x",
        "redis://host/65537",
        "redis://host/1/2",
        "redis://:hush@",
        "redis://[::1",
        "redis://[::1]x",
        "redis://[]",
        "redis://h o",
        "redis://me@host",
        "redis://:%zz@host",
        "redis://:%4@host",
        "redis://:%00@host",
        "redis://:a@b@host",
        "REDIS://host",
        "redis://host?x=1",
        "redis://:99999999999999999999@",
        "redis://host:99999999999999999999",
    };
    struct redis_url url;
    struct dp_error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (redis_url_parse(span_str(cases[i]), &url, &error) != DP_INVALID)
            fail_msg("\"%s\" was not refused", cases[i]);
        assert_null(strstr(error.message, "hush"));
    }
    assert_int_equal(redis_url_parse(span_str("rediss://host"), &url, &error), DP_UNSUPPORTED);
    assert_non_null(strstr(error.message, "TLS"));
    assert_int_equal(redis_url_parse(span_str("unix:///run/redis.sock"), &url, &error), DP_UNSUPPORTED);
}

static void test_embed_redis_url_lists(void **state)
{
    (void)state;
    static struct redis_url urls[REDIS_SERVERS_MAX];
    struct dp_error error;
    size_t count;
    assert_int_equal(redis_url_parse_list(span_str("redis://a , redis://a/1,redis://a:1"), urls, &count, &error),
                     DP_OK);
    assert_int_equal(count, 3);
    assert_int_equal(urls[1].database, 1);
    static const char *const bad[] = {"", ",", "redis://a,", "redis://a,redis://b,redis://a:6379/0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(redis_url_parse_list(span_str(bad[i]), urls, &count, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "server 3 is the same as server 1"));
    char many[REDIS_SERVERS_MAX * 16 + 32] = "";
    for (int i = 0; i <= REDIS_SERVERS_MAX; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "%sredis://h%d", i ? "," : "", i);
    assert_int_equal(redis_url_parse_list(span_str(many), urls, &count, &error), DP_INVALID);
}

static void test_embed_redis_values_are_finite_and_of_the_right_length(void **state)
{
    (void)state;
    float v[4] = {0, -1, 1e38F, 1e-45F};
    assert_true(redis_cache_value_is_vector(span_of(v, sizeof v), 4));
    assert_false(redis_cache_value_is_vector(span_of(v, sizeof v), 3));
    assert_false(redis_cache_value_is_vector(span_of(v, sizeof v), 5));
    assert_false(redis_cache_value_is_vector(span_of(v, sizeof v - 1), 4));
    assert_false(redis_cache_value_is_vector(span_of(v, 0), 4));
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        v[3] = bad[i];
        assert_false(redis_cache_value_is_vector(span_of(v, sizeof v), 4));
    }
}

/* A line of a few bytes may announce two billion elements. Such a reply fails; other replies are read. */
static void test_embed_redis_replies_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        bool good;
    } cases[] = {
        {"*2\r\n$1\r\na\r\n$-1\r\n", true}, {"*0\r\n", true},        {"*-1\r\n", true},
        {"-OOM no room\r\n", true},         {"*65536\r\n", true},    {"*65537\r\n", false},
        {"*2147483647\r\n", false},         {"*1\r\n*1\r\n", false}, {"*4294967296\r\n", false},
    };
    struct redis_objects objects;
    assert_true(redis_objects_init(&objects));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        redisReader *reader = redisReaderCreate();
        void *reply = NULL;
        assert_non_null(reader);
        redis_bound_reader(reader, &objects);
        assert_int_equal(redisReaderFeed(reader, cases[i].reply, strlen(cases[i].reply)), REDIS_OK);
        if ((redisReaderGetReply(reader, &reply) == REDIS_OK) != cases[i].good)
            fail_msg("%s: %s", cases[i].reply, cases[i].good ? "refused" : "taken");
        if (reply != NULL)
            freeReplyObject(reply);
        redisReaderFree(reader);
    }
}

static void test_embed_redis_refused_writes_are_not_failures(void **state)
{
    (void)state;
    assert_true(redis_reply_refuses_writes("OOM command not allowed when used memory > 'maxmemory'."));
    assert_true(redis_reply_refuses_writes("READONLY You can't write against a read only replica."));
    assert_true(redis_reply_refuses_writes("MISCONF Redis is configured to save RDB snapshots"));
    assert_true(redis_reply_refuses_writes("NOPERM this user has no permissions"));
    assert_false(redis_reply_refuses_writes("LOADING Redis is loading the dataset in memory"));
    assert_false(redis_reply_refuses_writes("NOAUTH Authentication required."));
    assert_false(redis_reply_refuses_writes("OOMPH"));
    assert_false(redis_reply_refuses_writes(""));
}

static const struct metric *metric_named(const struct metric_registry *r, const char *name)
{
    const struct metric *m = r->first;
    while (m && strcmp(m->name, name) != 0)
        m = m->next;
    assert_non_null(m);
    return m;
}

/* If no server listens, every read is a miss at once, and the cache rarely tries to connect. */
static void test_embed_absent_redis_is_a_miss(void **state)
{
    (void)state;
    static const float v[4] = {1, 2, 3, 4};
    const struct redis_cache_options options = {
        .urls = span_str("redis://127.0.0.1:1,redis://127.0.0.1:2"), .ttl_s = 60, .timeouts = {100, 100}};
    struct metric_registry metrics;
    struct redis_cache *cache;
    struct arena arena;
    struct call call;
    struct cache_key keys[100];
    struct redis_read reads[100];
    float got[4];
    metric_registry_init(&metrics);
    arena_init(&arena, 1 << 24);
    call_init(&call, &arena);
    assert_int_equal(redis_cache_new(&options, &metrics, &cache, &call.error), DP_OK);
    for (size_t i = 0; i < 100; i++) {
        memset(&keys[i], (int)i, sizeof keys[i]);
        reads[i] = (struct redis_read){.key = &keys[i], .vector = got, .found = true};
    }
    for (int again = 0; again < 50; again++) {
        redis_cache_read(&call, cache, reads, 100, 4);
        for (size_t i = 0; i < 100; i++)
            assert_false(reads[i].found);
        redis_cache_write(cache, &keys[again], v, 4);
    }
    redis_cache_free(cache);
    assert_true(call.cost.cache_ns > 0);
    assert_int_equal(atomic_load(&metric_named(&metrics, "dipper_embed_cache_l2_dropped_total")->value), 50);
    assert_int_equal(atomic_load(&metric_named(&metrics, "dipper_embed_cache_l2_written_total")->value), 0);
    assert_int_equal(atomic_load(&metric_named(&metrics, "dipper_embed_cache_l2_waiting")->value), 0);
    assert_true(atomic_load(&metric_named(&metrics, "dipper_embed_cache_l2_errors_total")->value) >= 2);
    arena_deinit(&arena);
    metric_registry_deinit(&metrics);
}

static void test_embed_redis_survives_every_failed_allocation(void **state)
{
    (void)state;
    const struct redis_cache_options options = {
        .urls = span_str("redis://127.0.0.1:1"), .ttl_s = 60, .timeouts = {100, 100}};
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct metric_registry metrics;
        struct redis_cache *cache;
        struct dp_error error;
        metric_registry_init(&metrics);
        test_alloc_fail_at(n);
        enum dp_status status = redis_cache_new(&options, &metrics, &cache, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        if (status == DP_OK)
            redis_cache_free(cache);
        metric_registry_deinit(&metrics);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed_redis_urls_that_are_understood),
        cmocka_unit_test(test_embed_redis_urls_that_are_refused),
        cmocka_unit_test(test_embed_redis_url_lists),
        cmocka_unit_test(test_embed_redis_values_are_finite_and_of_the_right_length),
        cmocka_unit_test(test_embed_redis_replies_are_bounded),
        cmocka_unit_test(test_embed_redis_refused_writes_are_not_failures),
        cmocka_unit_test(test_embed_absent_redis_is_a_miss),
        cmocka_unit_test(test_embed_redis_survives_every_failed_allocation),
    };
    return test_run(tests);
}
