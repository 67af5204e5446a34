/* test_url_rules.c: the URLs that clients may open, and all known tricks to reach other URLs. */
#include "test_support.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "service/url_rules.h"

/* Checks a URL against rules. *below is in a static buffer, "" when there is no folder. */
static enum dp_status check(const char *rules, const char *url, enum url_reach *reach, const char **below,
                            struct dp_error *error)
{
    static char kept[256];
    struct url_permit permit;
    struct url_rules *made;
    struct arena arena;
    if (url_rules_new(span_str(rules), &made, error) != DP_OK)
        fail_msg("%s: %s", rules, error->message);
    arena_init(&arena, 1 << 20);
    enum dp_status status = url_rules_check(made, span_str(url), &arena, &permit, error);
    snprintf(kept, sizeof kept, "%s", permit.below ? permit.below : "");
    *reach = permit.reach;
    *below = kept;
    arena_deinit(&arena);
    url_rules_free(made);
    return status;
}

static void allows(const char *rules, const char *url, enum url_reach expected)
{
    enum url_reach reach;
    struct dp_error error;
    const char *below;
    if (check(rules, url, &reach, &below, &error) != DP_OK)
        fail_msg("%s must allow %s, but refuses it: %s", rules, url, error.message);
    assert_int_equal(reach, expected);
}

static void refuses(const char *rules, const char *url)
{
    enum url_reach reach;
    struct dp_error error;
    const char *below;
    enum dp_status status = check(rules, url, &reach, &below, &error);
    if (status != DP_DENIED && status != DP_INVALID)
        fail_msg("%s must refuse %s, but the status is %d", rules, url, (int)status);
    assert_null(strstr(error.message, "secret"));
}

static void test_service_url_rules_allow_urls_below(void **state)
{
    (void)state;
    const char *rules = "https://data.example.com/faiss  http://cdn.example.com:8080/a/,s3://bucket/indexes/\n"
                        "file:///srv/faiss https://h.example.com/v-* gs://bucket/indexes/ az://container/indexes/";
    allows(rules, "https://data.example.com/faiss", URL_PUBLIC);
    allows(rules, "https://data.example.com/faiss/a.ivf", URL_PUBLIC);
    allows(rules, "https://data.example.com/faiss/a.ivf?X-Amz-Signature=secret", URL_PUBLIC);
    allows(rules, "https://data.example.com/faiss?X-Amz-Signature=secret", URL_PUBLIC);
    allows(rules, "https://data.example.com:443/faiss/a.ivf", URL_PUBLIC);
    allows(rules, "https://DATA.Example.COM/faiss/a%20b.ivf", URL_PUBLIC);
    allows(rules, "https://data.example.com/%66aiss/a.ivf", URL_PUBLIC);
    allows(rules, "http://cdn.example.com:8080/a/b/c", URL_PUBLIC);
    allows(rules, "s3://bucket/indexes/a.ivf", URL_BUCKET);
    allows(rules, "s3://bucket/indexes/a b%2e.ivf", URL_BUCKET); /* object names have no escapes */
    allows(rules, "gs://bucket/indexes/a b%2e.ivf", URL_BUCKET);
    allows(rules, "az://container/indexes/a.ivf", URL_BUCKET);
    allows(rules, "file:///srv/faiss/a%20b.ivf", URL_LOCAL);
    allows(rules, "https://h.example.com/v-1/a.ivf", URL_PUBLIC);
    allows(rules, "https://data.example.com/faiss/...", URL_PUBLIC); /* an odd name, but not a parent folder */
    allows(rules, "https://data.example.com/faiss/100%2525.ivf", URL_PUBLIC);
}

static void test_service_url_rules_refuse_the_neighbours(void **state)
{
    (void)state;
    const char *rules = "https://data.example.com/faiss http://cdn.example.com:8080/a/ s3://bucket/indexes/ "
                        "file:///srv/faiss gs://other/";
    static const char *const urls[] = {"https://data.example.com/",
                                       "https://data.example.com",
                                       "https://data.example.com/faissx",
                                       "https://data.example.com/faiss-private/a.ivf",
                                       "https://data.example.com/FAISS/a.ivf",
                                       "http://data.example.com/faiss/a.ivf",
                                       "https://data.example.com:80/faiss/a.ivf",
                                       "https://data.example.com:8443/faiss/a.ivf",
                                       "http://cdn.example.com/a/b",
                                       "http://cdn.example.com:8080/a",
                                       "http://cdn.example.com:80800/a/b",
                                       "http://cdn.example.com:/a/b",
                                       "http://cdn.example.com:8080x/a/b",
                                       "https://data.example.com.evil.example/faiss/a.ivf",
                                       "https://evil.example/data.example.com/faiss/a.ivf",
                                       "https://evildata.example.com/faiss/a.ivf",
                                       "https://data.example.com./faiss/a.ivf",
                                       "s3://bucket2/indexes/a",
                                       "s3://bucket/other/a",
                                       "s3://bucket/indexesx/a",
                                       "s3://Bucket/indexes/a",
                                       "gs://bucket/indexes/a",
                                       "az://container/indexes/a",
                                       "gs://Other/a",
                                       "s3://other/a",
                                       "file:///srv/faissx/a",
                                       "file:///etc/passwd",
                                       "file://host/srv/faiss/a",
                                       "file:/srv/faiss/a",
                                       "/srv/faiss/a",
                                       "srv/faiss/a",
                                       "mem://x",
                                       "ftp://data.example.com/faiss/a",
                                       "gopher://data.example.com/faiss",
                                       "HTTPS://data.example.com/faiss/a",
                                       "https:/data.example.com/faiss/a",
                                       "https:data.example.com/faiss/a",
                                       "//data.example.com/faiss/a",
                                       "",
                                       " https://data.example.com/faiss/a",
                                       "dict://127.0.0.1:11211/stat"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        refuses(rules, urls[i]);
    refuses("", "https://data.example.com/faiss/a");
}

static void test_service_url_rules_refuse_ambiguous_urls(void **state)
{
    (void)state;
    const char *rules = "https://data.example.com/faiss/ s3://bucket/indexes/ file:///srv/faiss/";
    static const char *const urls[] = {
        /* paths that climb */
        "https://data.example.com/faiss/../admin", "https://data.example.com/faiss/..",
        "https://data.example.com/faiss/./a", "https://data.example.com/faiss/%2e%2e/admin",
        "https://data.example.com/faiss/%2E./admin", "https://data.example.com/faiss/.%2e/admin",
        "https://data.example.com/faiss/%252e%252e/admin", "https://data.example.com/faiss/%25252e%25252e/admin",
        "https://data.example.com/faiss/..%2fadmin", "https://data.example.com/faiss/..%252fadmin",
        "https://data.example.com/faiss/a%2f..%2f..%2fadmin", "https://data.example.com/faiss/a%5c..%5cadmin",
        "https://data.example.com/faiss/..\\admin", "https://data.example.com/faiss/..;/admin",
        "https://data.example.com/faiss/..;x=y/admin", "https://data.example.com/faiss/%2e%2e%3b/admin",
        "https://data.example.com/faiss/%25252525252525252e%2e/a", "https://data.example.com/faiss/a%00.ivf",
        "https://data.example.com/faiss/a%0d%0aHost:%20x", "https://data.example.com/faiss/%",
        "https://data.example.com/faiss/%2", "https://data.example.com/faiss/%zz", "s3://bucket/indexes/../secret",
        "s3://bucket/indexes/./a", "s3://bucket/indexes/a?versionId=secret", "s3://bucket/indexes/..\\a",
        "file:///srv/faiss/../../etc/passwd", "file:///srv/faiss/%2e%2e/a", "file:///srv/faiss/..%2fa",
        "file:///srv/faiss/a?b", "file:///srv/faiss/a#b", "file:///srv/faiss/a%00b",
        /* other hosts in disguise */
        "https://data.example.com@evil.example/faiss/a", "https://user:secret@data.example.com/faiss/a",
        "https://evil.example#@data.example.com/faiss/a", "https://evil.example?@data.example.com/faiss/a",
        "https://evil.example\\@data.example.com/faiss/a", "https://evil.example:443@data.example.com/faiss/a",
        "https://data.example.com#/faiss/a", "https://data.example.com/faiss/a#b",
        "https://data.example.com%2eevil.example/faiss/a", "https://data.example.com%00.evil.example/faiss/a",
        "https://data.example.com\t/faiss/a", "https://data.example.com /faiss/a",
        "https://data.example.com/faiss/\n", "https://data.example.com/faiss/\x7f",
        "https://data.example.com/faiss/\xc3\xa4", "https://d\xc3\xa4ta.example.com/faiss/a", "https:///faiss/a",
        "https://:443/faiss/a", "https://[::1/faiss/a", "https://[]/faiss/a", "https://[::1]x/faiss/a",
        "https://*/faiss/a", "https://data..example.com/faiss/a", "https://.data.example.com/faiss/a",
        "private+https://data.example.com/faiss/a"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        refuses(rules, urls[i]);
    /* Rules that allow any host refuse such URLs too. */
    refuses("https://*", "https://user:secret@evil.example/a");
    refuses("https://*", "https://evil.example/a/../b");
}

static void test_service_url_rules_say_which_addresses_are_allowed(void **state)
{
    (void)state;
    allows("http://127.0.0.1:9000/a", "http://127.0.0.1:9000/a/b", URL_ANY);
    allows("http://localhost/a", "http://LOCALHOST/a/b", URL_ANY);
    allows("http://[fd00::1]:9000/", "http://[FD00::1]:9000/a", URL_ANY);
    allows("http://minio.internal:9000/", "http://minio.internal:9000/a", URL_PUBLIC);
    allows("private+http://minio.internal:9000/", "http://minio.internal:9000/a", URL_ANY);
    allows("http://minio.internal/a private+http://minio.internal/a/b", "http://minio.internal/a/c", URL_PUBLIC);
    allows("http://minio.internal/a private+http://minio.internal/a/b", "http://minio.internal/a/b", URL_ANY);
    /* A wildcard permits public addresses only. */
    allows("http://*", "http://127.0.0.1/latest/meta-data", URL_PUBLIC);
    allows("http://*:9000/", "http://[::1]:9000/", URL_PUBLIC);
    allows("http://*.example.com", "http://a.b.example.com/x", URL_PUBLIC);
    allows("http://*.localhost", "http://a.localhost/x", URL_PUBLIC);
    refuses("http://*.example.com", "http://example.com/x");
    refuses("http://*.example.com", "http://xexample.com/x");
    refuses("http://*.example.com", "http://example.com.evil.example/x");
    refuses("http://127.0.0.1/", "http://127.0.0.2/");
    refuses("http://127.0.0.1/", "http://127.1/");
    refuses("http://127.0.0.1/", "http://0x7f000001/");
    refuses("http://127.0.0.1/", "http://2130706433/");
    refuses("http://127.0.0.1/", "http://[::ffff:127.0.0.1]/");
}

static void test_service_url_rules_that_are_wrong_stop_the_start(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *says;
    } wrong[] = {
        {"example.com/a", "must begin with"},
        {"https://", "host"},
        {"https://a.*.example.com", "host"},
        {"https://*example.com/", "'*'"},
        {"https://user@example.com/", "user or password"},
        {"https://example.com/a?b", "not have a query"},
        {"https://example.com/../a", "'..'"},
        {"s3://", "bucket"},
        {"gs://", "after gs:// comes the name of a bucket"},
        {"az://container@account.dfs.core.windows.net", "after az:// comes the name of a bucket"},
        {"abfss://container@account.dfs.core.windows.net", "it must begin with"},
        {"private+s3://bucket", "private+"},
        {"file://srv", "three slashes"},
        {"https://ok.example.com https://x:99999/", "port"},
        {"*", "must begin with"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct url_rules *rules;
        struct dp_error error;
        assert_int_equal(url_rules_new(span_str(wrong[i].rule), &rules, &error), DP_INVALID);
        if (!strstr(error.message, wrong[i].says) || !strstr(error.message, "rule \""))
            fail_msg("%s: %s", wrong[i].rule, error.message);
        assert_null(rules);
    }
    struct url_rules *rules;
    struct dp_error error;
    char *many = calloc(300, 11);
    assert_non_null(many);
    for (int i = 0; i < 300; i++)
        memcpy(many + 10 * i, "s3://buck ", 10);
    assert_int_equal(url_rules_new(span_str(many), &rules, &error), DP_INVALID);
    free(many);
    assert_int_equal(url_rules_new(span_str(" ,, \n"), &rules, &error), DP_OK);
    assert_int_equal(url_rules_count(rules), 0);
    url_rules_free(rules);
}

static void test_service_url_rules_survive_failed_allocations(void **state)
{
    (void)state;
    bool fired = true;
    for (size_t n = 1; fired; n = test_alloc_next(n)) {
        struct url_rules *rules;
        struct arena arena;
        struct url_permit permit;
        struct dp_error error;
        arena_init(&arena, 1 << 20);
        test_alloc_fail_at(n);
        enum dp_status status = url_rules_new(span_str("https://a.example/b s3://c"), &rules, &error);
        if (status == DP_OK)
            status = url_rules_check(rules, span_str("https://a.example/b/c"), &arena, &permit, &error);
        fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        url_rules_free(rules);
        arena_deinit(&arena);
    }
}

/* A rule for files names a folder. Whoever opens the file refuses symbolic links below that folder. */
static void test_service_url_rules_name_a_folder(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"file:///srv/faiss", "file:///srv/faiss/a/b.ivf", "/srv/faiss"},
        {"file:///srv/faiss/", "file:///srv/faiss/a.ivf", "/srv/faiss"},
        {"file:///srv/a.ivf", "file:///srv/a.ivf", "/srv"},
        {"file:///srv/v-*", "file:///srv/v-1/a.ivf", "/srv"},
        {"file:///", "file:///srv/a.ivf", "/"},
        {"file:///a%20b", "file:///a%20b/c.ivf", "/a b"},
        {"file:///srv file:///srv/link file:///s*", "file:///srv/link/a.ivf", "/srv/link"},
        {"https://h.example/a", "https://h.example/a/b", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum url_reach reach;
        const char *below;
        struct dp_error error;
        if (check(cases[i][0], cases[i][1], &reach, &below, &error) != DP_OK)
            fail_msg("%s: %s", cases[i][1], error.message);
        assert_string_equal(below, cases[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service_url_rules_allow_urls_below),
        cmocka_unit_test(test_service_url_rules_refuse_the_neighbours),
        cmocka_unit_test(test_service_url_rules_refuse_ambiguous_urls),
        cmocka_unit_test(test_service_url_rules_say_which_addresses_are_allowed),
        cmocka_unit_test(test_service_url_rules_that_are_wrong_stop_the_start),
        cmocka_unit_test(test_service_url_rules_name_a_folder),
        cmocka_unit_test(test_service_url_rules_survive_failed_allocations),
    };
    return test_run(tests);
}
