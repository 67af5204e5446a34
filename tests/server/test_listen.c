/* test_listen.c: Unix sockets, and sockets of a supervisor. test_sockets.c listens on addresses. */
#include "test_support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/listen.h"

static char folder[40], path[80];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dipper-listen-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder); /* fails if a test left a file there */
}

static bool connects(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool good = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return good;
}

static void test_listen_on_a_unix_socket(void **state)
{
    (void)state;
    struct listener first, second;
    struct dp_error error;
    char url[100];
    snprintf(url, sizeof url, "unix:%s", path);
    assert_int_equal(listen_open_unix(path, &first, &error), DP_OK);
    assert_string_equal(first.url, url);
    assert_true(first.loopback && first.is_unix && connects());
    assert_int_equal(listen_open_unix(path, &second, &error), DP_IO);
    assert_non_null(strstr(error.message, "another program does"));
    assert_true(connects());
    close(first.fd); /* as if the process had been killed: the file stays */
    assert_false(connects());
    assert_int_equal(listen_open_unix(path, &second, &error), DP_OK);
    assert_true(connects());
    close(second.fd);
    if (first.inode != second.inode) { /* a file system may use the number again at once */
        listen_forget(&first);
        assert_int_equal(access(path, F_OK), 0);
    }
    listen_forget(&second);
    assert_int_not_equal(access(path, F_OK), 0);
    listen_forget(&second);
}

static void test_listen_leaves_other_files_alone(void **state)
{
    (void)state;
    struct listener listener;
    struct dp_error error;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_not_equal(listen_open_unix(path, &listener, &error), DP_OK);
    assert_int_equal(unlink(path), 0);
    char longest[200];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(listen_open_unix(longest, &listener, &error), DP_INVALID);
    assert_int_equal(listen_open_unix("", &listener, &error), DP_INVALID);
}

static int open_tcp(uint32_t address)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void test_listen_adopts_a_socket(void **state)
{
    (void)state;
    struct listener listener;
    struct dp_error error;
    int fd = open_tcp(INADDR_LOOPBACK);
    assert_int_equal(listen_adopt(fd, true, &listener, &error), DP_OK);
    assert_true(listener.loopback && !listener.is_unix);
    assert_int_equal(strncmp(listener.url, "http://127.0.0.1:", 17), 0);
    close(fd);
    fd = open_tcp(INADDR_ANY);
    assert_int_equal(listen_adopt(fd, true, &listener, &error), DP_DENIED);
    assert_int_equal(listen_adopt(fd, false, &listener, &error), DP_OK);
    assert_false(listener.loopback);
    close(fd);
    struct listener made;
    assert_int_equal(listen_open_unix(path, &made, &error), DP_OK);
    assert_int_equal(listen_adopt(made.fd, true, &listener, &error), DP_OK);
    assert_true(listener.loopback && listener.is_unix);
    assert_string_equal(listener.url, made.url);
    listen_forget(&listener); /* the supervisor made the file */
    assert_int_equal(access(path, F_OK), 0);
    close(made.fd);
    listen_forget(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_listen_on_a_unix_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listen_leaves_other_files_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listen_adopts_a_socket, set_up, tear_down),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL));
}
