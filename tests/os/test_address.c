/* test_address.c: which addresses are public. */
#include "test_support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/address.h"

static struct sockaddr_storage parse(const char *text)
{
    struct sockaddr_storage out = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)&out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        out.ss_family = AF_INET;
    } else {
        out.ss_family = AF_INET6;
        if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
            fail_msg("%s", text);
    }
    return out;
}

static void expect_all(const char *const *texts, size_t count, bool public)
{
    for (size_t i = 0; i < count; i++) {
        struct sockaddr_storage address = parse(texts[i]);
        if (os_address_is_public((const struct sockaddr *)&address) != public)
            fail_msg("%s", texts[i]);
    }
}

static void test_address_public_ones_are_accepted(void **state)
{
    (void)state;
    static const char *const texts[] = {"1.1.1.1",         "8.8.8.8",        "9.255.255.255",   "11.0.0.0",
                                        "100.63.255.255",  "100.128.0.0",    "126.255.255.255", "128.0.0.0",
                                        "172.15.255.255",  "172.32.0.0",     "192.0.1.0",       "192.167.255.255",
                                        "198.17.255.255",  "198.20.0.0",     "223.255.255.255", "2606:4700::1111",
                                        "2001:4860::8888", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::8.8.8.8",
                                        "2a00::1",         "3ffe:ffff::1"};
    expect_all(texts, sizeof texts / sizeof *texts, true);
}

static void test_address_not_public_ones(void **state)
{
    (void)state;
    static const char *const texts[] = {"0.0.0.0",
                                        "10.1.2.3",
                                        "100.64.0.1",
                                        "100.127.255.255",
                                        "127.0.0.1",
                                        "127.255.255.255",
                                        "169.254.169.254",
                                        "172.16.0.1",
                                        "172.31.255.255",
                                        "192.0.0.1",
                                        "192.0.2.1",
                                        "192.168.1.1",
                                        "198.18.0.1",
                                        "198.19.255.255",
                                        "198.51.100.7",
                                        "203.0.113.7",
                                        "224.0.0.1",
                                        "255.255.255.255",
                                        "240.0.0.1",
                                        "::",
                                        "::1",
                                        "::ffff:127.0.0.1",
                                        "::ffff:10.0.0.1",
                                        "::127.0.0.1",
                                        "fe80::1",
                                        "fc00::1",
                                        "fd12:3456::1",
                                        "ff02::1",
                                        "2001:db8::1",
                                        "2001::1",
                                        "2002:7f00:1::1",
                                        "2002:a00:1::1",
                                        "64:ff9b::10.0.0.1",
                                        "64:ff9b:1::1",
                                        "3fff::1",
                                        "100::1",
                                        "5f00::1"};
    expect_all(texts, sizeof texts / sizeof *texts, false);
    const struct sockaddr_un local = {.sun_family = AF_UNIX};
    assert_false(os_address_is_public((const struct sockaddr *)&local));
}

static void test_address_sockets(void **state)
{
    (void)state;
    struct sockaddr_storage inside = parse("127.0.0.1"), outside = parse("8.8.8.8");
    assert_int_equal(os_socket_to_public((const struct sockaddr *)&inside, AF_INET, SOCK_STREAM, 0), -1);
    assert_int_equal(errno, EACCES);
    int fd = os_socket_to_public((const struct sockaddr *)&outside, AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_public_ones_are_accepted),
        cmocka_unit_test(test_address_not_public_ones),
        cmocka_unit_test(test_address_sockets),
    };
    return test_run(tests);
}
