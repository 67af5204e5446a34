/* test_proxies.c: which proxies are trusted, the clients that they name, and the connections of each peer. */
#include "test_support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server/peers.h"

static struct proxies parse(const char *text)
{
    struct proxies p;
    struct dp_error error;
    if (proxies_parse(text, &p, &error) != DP_OK)
        fail_msg("%s", error.message);
    return p;
}

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage out = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(&out, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(&out, &v6, sizeof v6);
    else
        out.ss_family = AF_UNIX;
    return out;
}

static bool has(const struct proxies *p, const char *text)
{
    const struct sockaddr_storage from = address(text);
    uint8_t bytes[ADDRESS_BYTES];
    proxies_address((const struct sockaddr *)&from, bytes);
    return proxies_have(p, bytes);
}

static void test_proxies_are_addresses_and_ranges(void **state)
{
    (void)state;
    const struct proxies p = parse(" 10.0.0.0/8,192.0.2.7\t2001:db8::/33 ::1 ");
    assert_int_equal(p.count, 4);
    assert_true(has(&p, "10.255.1.2") && has(&p, "192.0.2.7") && has(&p, "2001:db8:7fff::1") && has(&p, "::1"));
    assert_true(has(&p, "::ffff:10.1.1.1")); /* an IPv4 client of an IPv6 socket */
    assert_false(has(&p, "11.0.0.1") || has(&p, "192.0.2.8") || has(&p, "2001:db8:8000::1") || has(&p, "::2"));
    assert_false(has(&p, "a Unix socket"));
    const struct proxies all = parse("0.0.0.0/0"), none = parse("");
    assert_true(has(&all, "1.2.3.4"));
    assert_false(has(&all, "::1") || has(&none, "127.0.0.1"));
}

static void test_proxies_that_are_wrong_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8",
        "::1/129",   "1.2.3.4:80",  "/8",        "10.0.0.0/8x", "10.0.0.0/99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct proxies p;
        struct dp_error error;
        assert_int_equal(proxies_parse(wrong[i], &p, &error), DP_INVALID);
        assert_non_null(strstr(error.message, wrong[i]));
    }
}

/* Returns the client of a head with these lines of X-Forwarded-For, or "" if it names none. */
static const char *client_of(const struct proxies *p, const char *first, const char *second)
{
    static char out[ADDRESS_TEXT_MAX];
    static struct head head;
    head.count = 0;
    head.fields[head.count++] = (struct head_field){span_str("X-Forwarded-For"), span_str(first)};
    head.fields[head.count++] = (struct head_field){span_str("Host"), span_str("9.9.9.9")};
    if (second)
        head.fields[head.count++] = (struct head_field){span_str("x-forwarded-FOR"), span_str(second)};
    return proxies_client(p, &head, out) ? out : "";
}

/* What the client itself has sent stands at the left: it is never believed. */
static void test_proxies_name_the_last_address_that_is_no_proxy(void **state)
{
    (void)state;
    const struct proxies p = parse("10.0.0.0/8 fd00::/8");
    assert_string_equal(client_of(&p, "203.0.113.9", NULL), "203.0.113.9");
    assert_string_equal(client_of(&p, "1.1.1.1, 203.0.113.9 , 10.1.1.1,10.2.2.2", NULL), "203.0.113.9");
    assert_string_equal(client_of(&p, "1.1.1.1", "203.0.113.9, 10.1.1.1"), "203.0.113.9");
    assert_string_equal(client_of(&p, "203.0.113.9", "10.1.1.1"), "203.0.113.9");
    assert_string_equal(client_of(&p, "203.0.113.9:4711, [fd00::1]:80", NULL), "203.0.113.9");
    assert_string_equal(client_of(&p, "[2001:db8::5]:443", NULL), "2001:db8::5");
    assert_string_equal(client_of(&p, "10.3.3.3, 10.1.1.1", NULL), "10.3.3.3"); /* all are proxies: the first */
    assert_string_equal(client_of(&p, "1.1.1.1, unknown, 10.1.1.1", NULL), "10.1.1.1");
    assert_string_equal(client_of(&p, "1.1.1.1, <script>", NULL), "");
    assert_string_equal(client_of(&p, "", NULL), "");
    assert_string_equal(client_of(&p, "[", NULL), "");
    assert_string_equal(client_of(&p, ",,", NULL), "");
    char lengthy[300];
    memset(lengthy, '1', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    assert_string_equal(client_of(&p, lengthy, NULL), "");
}

static struct peer *enter(struct peers *p, const char *text, bool anyway)
{
    const struct sockaddr_storage from = address(text);
    return peers_enter(p, (const struct sockaddr *)&from, anyway);
}

static void leave(struct peers *p, const char *text)
{
    const struct sockaddr_storage from = address(text);
    peers_leave(p, (const struct sockaddr *)&from);
}

static void test_peers_have_a_share_each(void **state)
{
    (void)state;
    static struct peers p;
    struct dp_error error;
    const struct proxies trusted = parse("10.0.0.1");
    assert_int_equal(peers_init(&p, &trusted, 2, &error), DP_OK);
    const struct peer *first = enter(&p, "192.0.2.1", false);
    assert_ptr_equal(enter(&p, "192.0.2.1", false), first);
    assert_null(enter(&p, "192.0.2.1", false));
    assert_ptr_equal(enter(&p, "192.0.2.1", true), first);
    assert_int_equal(first->open, 3);
    assert_non_null(enter(&p, "192.0.2.2", false)); /* another address is another peer */
    leave(&p, "192.0.2.2");
    for (int i = 0; i < 3; i++)
        leave(&p, "192.0.2.1");
    assert_non_null(enter(&p, "192.0.2.1", false));
    leave(&p, "192.0.2.1");
    const struct peer *network = enter(&p, "2001:db8::1", false); /* 64 bits of IPv6 are one peer */
    assert_ptr_equal(enter(&p, "2001:db8::ffff:1", false), network);
    assert_null(enter(&p, "2001:db8::2", false));
    assert_non_null(enter(&p, "2001:db8:0:1::1", false));
    leave(&p, "2001:db8:0:1::1");
    leave(&p, "2001:db8::1");
    leave(&p, "2001:db8::1");
    for (int i = 0; i < 5; i++) {
        assert_non_null(enter(&p, "10.0.0.1", false));
        assert_non_null(enter(&p, "a Unix socket", false));
    }
    for (int i = 0; i < 5; i++) {
        leave(&p, "10.0.0.1");
        leave(&p, "a Unix socket");
    }
    for (size_t i = 0; i < PEERS_HEADS; i++)
        assert_null(p.heads[i]);
    test_alloc_fail_at(1);
    assert_null(enter(&p, "192.0.2.1", true));
    test_alloc_fail_at(0);
    leave(&p, "192.0.2.1"); /* has none: nothing happens */
    peers_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxies_are_addresses_and_ranges),
        cmocka_unit_test(test_proxies_that_are_wrong_are_refused),
        cmocka_unit_test(test_proxies_name_the_last_address_that_is_no_proxy),
        cmocka_unit_test(test_peers_have_a_share_each),
    };
    return test_run(tests);
}
