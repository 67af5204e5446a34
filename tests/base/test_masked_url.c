/* test_masked_url.c: shown URLs contain no secret, even if they are malformed. */
#include "test_support.h"

#include "base/masked_url.h"

static void expect(const char *text, const char *shown)
{
    struct buffer out;
    buffer_init(&out, 4096);
    masked_url_append(&out, span_str(text));
    if (!span_equal_str(buffer_span(&out), shown))
        fail_msg("\"%s\" is shown as \"%.*s\", not as \"%s\"", text, SPAN_FMT(buffer_span(&out)), shown);
    buffer_deinit(&out);
}

static void test_base_masked_url_hides_the_password(void **state)
{
    (void)state;
    expect("redis://:hunter2@cache:6379/1", "redis://:(hidden)@cache:6379/1");
    expect("postgresql://ada:hunter2@db/dipper?sslmode=require",
           "postgresql://ada:(hidden)@db/dipper?sslmode=require");
    expect("postgresql://ada:hun%40ter2@[::1]:5432/dipper", "postgresql://ada:(hidden)@[::1]:5432/dipper");
    expect("redis://:a@one:6379, redis://:b@two:6379,redis://three",
           "redis://:(hidden)@one:6379, redis://:(hidden)@two:6379,redis://three");
    expect("redis://:@cache", "redis://:(hidden)@cache");
}

static void test_base_masked_url_keeps_parts_without_secrets(void **state)
{
    (void)state;
    static const char *const plain[] = {"",
                                        "redis://cache:6379/0",
                                        "postgresql://ada@db/dipper",
                                        "postgresql:///dipper?host=/run/postgresql",
                                        "sqlite:////var/lib/dipper/accounts.db",
                                        "redis://[::1]:6379,redis://keys.example:1?db=1",
                                        "/srv/dipper",
                                        "://",
                                        "a://",
                                        "some-text",
                                        "mem://"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        expect(plain[i], plain[i]);
}

static void test_base_masked_url_hides_parameters(void **state)
{
    (void)state;
    expect("postgresql://db/dipper?user=ada&password=hunter2&sslmode=require",
           "postgresql://db/dipper?user=ada&password=(hidden)&sslmode=require");
    expect("https://h/k?X-Amz-Date=1&X-Amz-Signature=abc", "https://h/k?X-Amz-Date=1&X-Amz-Signature=(hidden)");
    expect("https://h/k?SIG=abc&sv=2", "https://h/k?SIG=(hidden)&sv=2");
    expect("host=db password=hunter2 dbname=x", "host=db password=(hidden)");
    expect("password=", "password=(hidden)");
    expect("https://h/k?token=a&b&c=1", "https://h/k?token=(hidden)&c=1");
    expect("https://h/k?token=a&&b", "https://h/k?token=(hidden)");
    expect("https://h/k?token=a&", "https://h/k?token=(hidden)");
}

/* Messages quote wrong values, so the password in a malformed URL must be hidden too. */
static void test_base_masked_url_hides_doubtful_parts(void **state)
{
    (void)state;
    expect("redis://:p@ss/wo?rd#1@cache", "redis://:(hidden)");
    expect("redis://:p@ss/word#1@cache", "redis://:(hidden)@cache");
    expect("redis://:p://w@cache", "redis://:(hidden)@cache");
    expect("redis:/:hunter2@cache", "(hidden)@cache");
    expect("hunter2@cache", "(hidden)@cache");
    expect("@", "(hidden)@");
    expect("postgresql://db:5432/dipper?password=hunter@2", "postgresql://db:(hidden)");
    expect("postgresql://db/dipper?password=hunter@2", "postgresql://db/dipper?password=(hidden)");
}

static void test_base_masked_url_fits_into_messages(void **state)
{
    (void)state;
    char out[MASKED_URL_MAX], url[1000] = "http://h/";
    assert_string_equal(masked_url(span_str("s3://u:hunter2@b/x\n"), out), "s3://u:(hidden)@b/x?");
    assert_string_equal(masked_url(span_str(""), out), "");
    while (strlen(url) + 3 < sizeof url)
        strcat(url, "\xc3\xa9");
    assert_int_equal(strlen(masked_url(span_str(url), out)), MASKED_URL_MAX - 1);
    strcpy(url, "http://h");
    while (strlen(url) + 3 < sizeof url)
        strcat(url, "\xc3\xa9");
    assert_int_equal(strlen(masked_url(span_str(url), out)), MASKED_URL_MAX - 2); /* no half characters */
}

static void test_base_url_shown_has_no_secret(void **state)
{
    (void)state;
    char out[URL_SHOWN_MAX];
    assert_string_equal(url_shown(span_str("https://key:secret@host:9/a/b?X-Amz-Signature=s#f"), out),
                        "https://host:9/a/b");
    assert_string_equal(url_shown(span_str("https://host?token=s"), out), "https://host");
    assert_string_equal(url_shown(span_str("secret"), out), "(no URL)");
    assert_string_equal(url_shown(span_str("http://[::1]:9/a@b"), out), "http://[::1]:(hidden)");
    assert_string_equal(url_shown(span_str("http://[::1]/a@b"), out), "http://[::1]/a@b");
    /* Passwords that are not percent-encoded. Up to the first '/', '?' or '#' they look like ports. */
    static const char *const bare[] = {"http://u:sec/ret@h/x", "http://u:sec?ret@h/x", "http://u:1/ret@h/x",
                                       "http://u:1?ret@h/x",   "http://[u:sec/ret@h",  "http://u:s#ret@h/x",
                                       "http://u:sec"};
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++)
        assert_string_equal(url_shown(span_str(bare[i]), out),
                            bare[i][7] == '[' ? "http://[u:(hidden)" : "http://u:(hidden)");
    char longer[400];
    memset(longer, 'a', sizeof longer);
    memcpy(longer, "http://h/", 9);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(strlen(url_shown(span_str(longer), out)), URL_SHOWN_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_masked_url_hides_the_password),
        cmocka_unit_test(test_base_masked_url_keeps_parts_without_secrets),
        cmocka_unit_test(test_base_masked_url_hides_parameters),
        cmocka_unit_test(test_base_masked_url_hides_doubtful_parts),
        cmocka_unit_test(test_base_masked_url_fits_into_messages),
        cmocka_unit_test(test_base_url_shown_has_no_secret),
    };
    return test_run(tests);
}
