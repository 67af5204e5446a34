/* test_supervisor.c: the sockets and messages of a supervisor such as systemd. tests/e2e/test_http_front.py hands a
 * socket to the program. */
#include "test_support.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/supervisor.h"

static void set_listen(const char *pid, const char *count)
{
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
}

static void test_os_supervisor_without_a_socket(void **state)
{
    (void)state;
    static const char *const counts[] = {"0", "-1", "", "x", "1x"};
    struct dp_error error;
    char own[32];
    int fd = 7;
    snprintf(own, sizeof own, "%ld", (long)getpid());
    unsetenv("LISTEN_PID");
    assert_int_equal(os_supervisor_socket(&fd, &error), DP_OK);
    assert_int_equal(fd, -1);
    set_listen("1", "1"); /* for another process */
    assert_int_equal(os_supervisor_socket(&fd, &error), DP_OK);
    assert_int_equal(fd, -1);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        set_listen(own, counts[i]);
        assert_int_equal(os_supervisor_socket(&fd, &error), DP_OK);
        assert_int_equal(fd, -1);
    }
    set_listen(own, "2");
    assert_int_equal(os_supervisor_socket(&fd, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "opened 2 sockets"));
    assert_null(getenv("LISTEN_FDS"));
}

/* Binds a socket of datagrams, tells it something, and checks what arrives. */
static void assert_told(const char *name, socklen_t name_len)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char heard[100] = "";
    memcpy(at.sun_path, name, name_len);
    if (name[0] == '@')
        at.sun_path[0] = '\0';
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&at, (socklen_t)offsetof(struct sockaddr_un, sun_path) + name_len), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    os_supervisor_tell("READY=1");
    assert_int_equal(recv(fd, heard, sizeof heard - 1, MSG_DONTWAIT), 7);
    assert_string_equal(heard, "READY=1");
    close(fd);
}

static void test_os_supervisor_hears_of_states(void **state)
{
    (void)state;
    char folder[] = "/tmp/dipper-supervisor-XXXXXX", name[100];
    assert_non_null(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/notify", folder);
    assert_told(name, (socklen_t)strlen(name));
    assert_int_equal(unlink(name), 0);
    os_supervisor_tell("READY=1"); /* the supervisor has gone */
    assert_int_equal(rmdir(folder), 0);
    snprintf(name, sizeof name, "@dipper-supervisor-%ld", (long)getpid());
    assert_told(name, (socklen_t)strlen(name));
    static const char *const wrong[] = {"", "/", "relative", "vsock:2:1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("NOTIFY_SOCKET", wrong[i], 1);
        os_supervisor_tell("READY=1");
    }
    unsetenv("NOTIFY_SOCKET");
    os_supervisor_tell("READY=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_supervisor_without_a_socket),
        cmocka_unit_test(test_os_supervisor_hears_of_states),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL));
}
