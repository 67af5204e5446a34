/* socket_fixture.c: raw sockets to a server. */
#include "socket_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEARD_MAX = 1 << 20, PATIENCE_MS = 30000, SILENCE_MS = 300 };

static char text[HEARD_MAX];

struct server *start_server(struct service *service, struct server_options options)
{
    struct dp_error error;
    struct server *server;
    if (!options.listen)
        options.listen = "127.0.0.1:0";
    options.allowed_hosts = "a smuggled"; /* the hosts of the tests' requests */
    if (server_start(&options, service, &server, &error) != DP_OK)
        fail_msg("%s", error.message);
    return server;
}

int dial(const struct server *server)
{
    const char *port = strrchr(server_url(server), ':');
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void send_bytes(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += sent;
        len -= (size_t)sent;
    }
}

void send_text(int fd, const char *what)
{
    send_bytes(fd, what, strlen(what));
}

/* Reads once, within a time limit. Returns the length, 0 at the end, -1 on a reset, -2 if nothing came. */
static ssize_t receive(int fd, char *to, size_t size, int ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, ms) == 0)
        return -2;
    return recv(fd, to, size, 0);
}

const char *hear(int fd, int ms, enum heard *end)
{
    size_t len = 0;
    for (;;) {
        ssize_t n = receive(fd, text + len, sizeof text - 1 - len, ms);
        if (n > 0) {
            len += (size_t)n;
            continue;
        }
        if (end)
            *end = n == 0 ? HEARD_CLOSED : n == -1 ? HEARD_RESET : HEARD_NOTHING;
        text[len] = '\0';
        return text;
    }
}

const char *hear_answer(int fd)
{
    size_t len = 0, wanted = 0;
    for (;;) {
        text[len] = '\0';
        char *body = strstr(text, "\r\n\r\n");
        if (body && !wanted) {
            char *length = strcasestr(text, "\r\nContent-Length: ");
            assert_true(length && length < body);
            wanted = (size_t)(body + 4 - text) + strtoul(length + 18, NULL, 10);
        }
        if (wanted && len == wanted)
            return text;
        /* Reads one byte at a time, because later bytes belong to the next answer. */
        ssize_t n = receive(fd, text + len, 1, PATIENCE_MS);
        if (n <= 0)
            fail_msg("the answer is incomplete: %zu bytes came: %s", len, text);
        len += (size_t)n;
    }
}

const char *converse(const struct server *server, const char *what, enum heard *end)
{
    int fd = dial(server);
    send_text(fd, what);
    const char *heard = hear(fd, SILENCE_MS, end);
    close(fd);
    return heard;
}
