/* test_sockets.c: sends hostile and clumsy requests over real connections. */
#include "socket_fixture.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"

#define EMBED "POST /v1/embed HTTP/1.1\r\nHost: a\r\n"
#define BODY  "{\"text\":\"cat\"}" /* 14 bytes */

static struct service *service;
static struct server *server;

static int set_up(void **state)
{
    (void)state;
    service = fixture_service(NULL, true);
    server = start_server(
        service, (struct server_options){.body_max = 4000, .head_timeout_ms = 400, .body_timeout_ms = 500});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_stop(server);
    service_free(service);
    return 0;
}

/* libmicrohttpd hides these bytes of a request line from its caller. '|' stands for a NUL. */
static void test_server_refuses_hidden_bytes_in_a_request_line(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "GET /health|foo HTTP/1.1",
        "GET /v1/namespaces|?prefix=a HTTP/1.1",
        "GET /v1/namespaces?prefix=a|b HTTP/1.1",
        "GET| /health HTTP/1.1",
        "G|ET /health HTTP/1.1",
        "GET /health| HTTP/1.1",
        "GET /health HTTP/1.1|",
        "GET |/health HTTP/1.1",
        "GET /health HTTP|/1.1",
        "GET  /health HTTP/1.1",
        "GET /health  HTTP/1.1",
        "GET\t/health HTTP/1.1",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char request[300];
        enum heard end;
        snprintf(request, sizeof request, "%s\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: smuggled\r\n\r\n",
                 lines[i]);
        const size_t len = strlen(request);
        for (size_t j = 0; j < len; j++)
            if (request[j] == '|')
                request[j] = '\0';
        int fd = dial(server);
        send_bytes(fd, request, len);
        const char *answer = hear(fd, 2000, &end);
        close(fd);
        if (end == HEARD_NOTHING || strstr(answer, "200 OK"))
            fail_msg("%s got this answer: %s", lines[i], answer);
    }
}

/* The server closes the connection after a refusal, so that nothing behind it counts as a request. */
static void test_server_refuses_ambiguous_requests(void **state)
{
    (void)state;
    static const struct {
        const char *request, *status;
    } cases[] = {
        {EMBED "Content-Length: 14\r\nTransfer-Encoding: chunked\r\n\r\n" BODY, "400"},
        {EMBED "Transfer-Encoding: chunked\r\nContent-Length: 14\r\n\r\n0\r\n\r\n", "400"},
        {EMBED "Content-Length: 14\r\nContent-Length: 14\r\n\r\n" BODY, "400"},
        {EMBED "Content-Length: 14\r\nContent-Length: 0\r\n\r\n" BODY, "400"},
        {EMBED "Content-Length: +14\r\n\r\n" BODY, "400"},
        {EMBED "Content-Length: -1\r\n\r\n" BODY, "400"},
        {EMBED "Content-Length: 14, 14\r\n\r\n" BODY, "400"},
        {EMBED "Content-Length: 0xe\r\n\r\n" BODY, "400"},
        {EMBED "Content-Length: 14 0\r\n\r\n" BODY, "400"},
        {EMBED "Content-Length:\r\n\r\n" BODY, "400"},
        {EMBED "Content-Length: 99999999999999999999999\r\n\r\n" BODY, "413"},
        {EMBED "Content-Length : 14\r\n\r\n" BODY, "400"},
        {EMBED "Content-Length\t: 14\r\n\r\n" BODY, "400"},
        {EMBED "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
        {EMBED "Transfer-Encoding: xchunked\r\n\r\n" BODY, "501"},
        {EMBED "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"},
        {EMBED "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
        {EMBED "Transfer-Encoding: chunked\r\n\r\nzz\r\n" BODY "\r\n0\r\n\r\n", "400"},
        {EMBED "Transfer-Encoding: chunked\r\n\r\n-1\r\n" BODY "\r\n0\r\n\r\n", "400"},
        {EMBED "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" BODY "\r\n0\r\n\r\n", "413"},
        {EMBED "Content-Length: 1\r\n 4\r\n\r\n" BODY, "400"}, /* folded */
        {EMBED " X: y\r\nContent-Length: 14\r\n\r\n" BODY, "400"},
        {EMBED ": x\r\nContent-Length: 14\r\n\r\n" BODY, "400"},
        {EMBED "nonsense\r\n\r\n", "400"},
        {EMBED "X: a\rb\r\nContent-Length: 14\r\n\r\n" BODY, "400"},
        {"GET /health HTTP/1.1\r\n\r\n", "400"},
        {"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
        {"GET /health HTTP/1.1\nHost: a\n\n", "400"},
        {"GET /health HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "400"},
        {"GET /health HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[600];
        enum heard end;
        snprintf(request, sizeof request, "%sGET /health HTTP/1.1\r\nHost: smuggled\r\n\r\n", cases[i].request);
        const char *answer = converse(server, request, &end);
        if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || strncmp(answer + 9, cases[i].status, 3) != 0 ||
            end == HEARD_NOTHING || strstr(answer, "200 OK"))
            fail_msg("%s\ngot this answer: %s", cases[i].request, answer);
    }
    /* A NUL cannot be in a C string. */
    static const char nul[] = EMBED "X: a\0b\r\nContent-Length: 14\r\n\r\n" BODY;
    enum heard end;
    int fd = dial(server);
    send_bytes(fd, nul, sizeof nul - 1);
    assert_non_null(strstr(hear(fd, 300, &end), "HTTP/1.1 400"));
    assert_int_not_equal(end, HEARD_NOTHING);
    close(fd);
}

static void test_server_bounds_heads(void **state)
{
    (void)state;
    static char request[120000];
    enum heard end;
    int len = snprintf(request, sizeof request, "GET /health HTTP/1.1\r\nHost: a\r\nX: ");
    memset(request + len, 'x', 100000);
    strcpy(request + len + 100000, "\r\n\r\n");
    int fd = dial(server);
    send(fd, request, strlen(request), MSG_NOSIGNAL);
    assert_non_null(strstr(hear(fd, 300, &end), "HTTP/1.1 431"));
    assert_int_not_equal(end, HEARD_NOTHING);
    close(fd);
    char *at = request + snprintf(request, sizeof request, "GET /health HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 101; i++)
        at += sprintf(at, "X%d: y\r\n", i);
    strcpy(at, "\r\n");
    assert_non_null(strstr(converse(server, request, &end), "HTTP/1.1 431"));
    assert_int_equal(end, HEARD_CLOSED);
}

static void test_server_bounds_bodies(void **state)
{
    (void)state;
    enum heard end;
    assert_non_null(strstr(converse(server, EMBED "Content-Length: 99999999\r\n\r\n{", &end), "HTTP/1.1 413"));
    assert_int_not_equal(end, HEARD_NOTHING);
    /* If a body is a little too large, the server reads and discards it, and the connection stays open. */
    static char body[5000];
    memset(body, ' ', sizeof body);
    int fd = dial(server);
    send_text(fd, EMBED "Content-Length: 5000\r\n\r\n");
    send_bytes(fd, body, sizeof body);
    assert_non_null(strstr(hear_answer(fd), "HTTP/1.1 413"));
    send_text(fd, EMBED "Transfer-Encoding: chunked\r\n\r\n1388\r\n");
    send_bytes(fd, body, sizeof body);
    send_text(fd, "\r\n0\r\n\r\n");
    assert_non_null(strstr(hear_answer(fd), "HTTP/1.1 413"));
    send_text(fd, EMBED "Content-Length: 14\r\n\r\n" BODY);
    assert_non_null(strstr(hear_answer(fd), "HTTP/1.1 200"));
    close(fd);
}

static void test_server_continues_when_asked(void **state)
{
    (void)state;
    enum heard end;
    int fd = dial(server);
    send_text(fd, EMBED "Content-Length: 14\r\nExpect: 100-continue\r\n\r\n");
    assert_string_equal(hear(fd, 300, &end), "HTTP/1.1 100 Continue\r\n\r\n");
    send_text(fd, BODY);
    assert_non_null(strstr(hear_answer(fd), "HTTP/1.1 200 OK"));
    close(fd);
    const char *answer = converse(server, EMBED "Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n", &end);
    assert_non_null(strstr(answer, "HTTP/1.1 413"));
    assert_null(strstr(answer, "100 Continue"));
}

static void test_server_answers_pipelined_requests_in_order(void **state)
{
    (void)state;
    int fd = dial(server);
    for (int i = 0; i < 20; i++)
        send_text(fd, EMBED "Content-Length: 14\r\n\r\n" BODY "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
                            "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        assert_non_null(strstr(hear_answer(fd), "\"tokens\":3"));
        assert_non_null(strstr(hear_answer(fd), "\"status\":\"ok\""));
        assert_non_null(strstr(hear_answer(fd), "HTTP/1.1 404"));
    }
    close(fd);
}

/* Sends a request byte by byte, twice on one connection. */
static void test_server_reads_byte_by_byte(void **state)
{
    (void)state;
    static const char request[] = "POST /v1/embed?a=%20b HTTP/1.1\r\nHost: a\r\nCookie: a=b; c=d\r\nEmpty:\r\n"
                                  "Padded:  x  \r\nTransfer-Encoding: chunked\r\n\r\ne\r\n" BODY "\r\n0\r\n\r\n";
    int fd = dial(server), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof request - 1; i++)
            send_bytes(fd, request + i, 1);
        assert_non_null(strstr(hear_answer(fd), "\"tokens\":3"));
    }
    close(fd);
}

static void test_server_speaks_http_1_0_and_head(void **state)
{
    (void)state;
    enum heard end;
    const char *answer = converse(server, "GET /health HTTP/1.0\r\n\r\n", &end);
    assert_non_null(strstr(answer, "200 OK"));
    assert_int_equal(end, HEARD_CLOSED);
    answer = converse(server, "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &end);
    assert_non_null(strstr(answer, "\"status\":\"ok\""));
    assert_int_equal(end, HEARD_CLOSED);
    answer = converse(server, "HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n", &end);
    assert_non_null(strstr(answer, "200 OK"));
    assert_non_null(strstr(answer, "Content-Length: "));
    assert_null(strstr(answer, "status"));
    assert_int_equal(end, HEARD_NOTHING);
}

/* A head and a body have a time limit, even if the client keeps sending. */
static void test_server_cuts_slow_clients(void **state)
{
    (void)state;
    static const char *const beginnings[] = {"", "GET /hea", "GET /health HTTP/1.1\r\nHost: a\r\n",
                                             EMBED "Content-Length: 3000\r\n\r\n",
                                             EMBED "Transfer-Encoding: chunked\r\n\r\n400\r\n"};
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        int64_t began = os_now_ns();
        int fd = dial(server);
        enum heard end = HEARD_NOTHING;
        send_text(fd, beginnings[i]);
        /* Sends a byte every 20 ms until the server closes the connection. */
        while (end == HEARD_NOTHING) {
            if (beginnings[i][0])
                send(fd, "x", 1, MSG_NOSIGNAL);
            hear(fd, 20, &end);
            assert_true(os_now_ns() - began < INT64_C(20) * 1000000000);
        }
        assert_true(os_now_ns() - began > INT64_C(200) * 1000000);
        close(fd);
    }
}

static void test_server_listens_only_on_permitted_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        enum dp_status status;
    } cases[] = {
        {"127.0.0.1", DP_INVALID},    {"127.0.0.1:", DP_INVALID},
        {"127.0.0.1:x", DP_INVALID},  {"127.0.0.1:65536", DP_INVALID},
        {"127.0.0.1:-1", DP_INVALID}, {"::1:8000", DP_INVALID},
        {"[::1:8000", DP_INVALID},    {"", DP_INVALID},
        {"0.0.0.0:0", DP_DENIED},     {":0", DP_DENIED},
        {"192.0.2.1:0", DP_DENIED},   {"256.1.1.1:0", DP_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct server_options options = {.listen = cases[i].address};
        struct dp_error error = {.status = DP_OK};
        struct server *none;
        enum dp_status status = server_start(&options, service, &none, &error);
        if (status != cases[i].status)
            fail_msg("%s: %s, %s", cases[i].address, dp_status_name(status), error.message);
        assert_null(none);
    }
    /* The address is in use. */
    struct server_options taken = {.listen = server_url(server) + strlen("http://")};
    struct dp_error error;
    struct server *none;
    assert_int_equal(server_start(&taken, service, &none, &error), DP_IO);
    assert_non_null(strstr(error.message, taken.listen));
    struct server *open = start_server(service, (struct server_options){.listen = ":0", .insecure = true});
    assert_non_null(strstr(server_url(open), "http://0.0.0.0:"));
    server_stop(open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_refuses_hidden_bytes_in_a_request_line),
        cmocka_unit_test(test_server_refuses_ambiguous_requests),
        cmocka_unit_test(test_server_bounds_heads),
        cmocka_unit_test(test_server_bounds_bodies),
        cmocka_unit_test(test_server_continues_when_asked),
        cmocka_unit_test(test_server_answers_pipelined_requests_in_order),
        cmocka_unit_test(test_server_reads_byte_by_byte),
        cmocka_unit_test(test_server_speaks_http_1_0_and_head),
        cmocka_unit_test(test_server_cuts_slow_clients),
        cmocka_unit_test(test_server_listens_only_on_permitted_addresses),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down));
}
