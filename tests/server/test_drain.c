/* test_drain.c: long requests: a full queue, clients that leave, time limits, and the server's end.
 *
 * A list of the test's store waits until the test lets it go, or until its call is cancelled or late. So a request to
 * /v1/namespaces is in progress exactly as long as a test wants.
 */
#include "socket_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/clock.h"

#define LIST "GET /v1/namespaces HTTP/1.1\r\nHost: a\r\n\r\n"

static _Atomic int inside; /* listings that wait */
static _Atomic bool let_go;

static enum dp_status wait_in_list(struct call *call, struct store *store, struct span prefix, struct span after,
                                   bool folders, size_t max, struct store_listing *out)
{
    (void)store;
    (void)prefix;
    (void)after;
    (void)folders;
    (void)max;
    *out = (struct store_listing){.count = 0};
    atomic_fetch_add(&inside, 1);
    enum dp_status status;
    while ((status = call_check(call)) == DP_OK && !atomic_load(&let_go))
        sched_yield();
    atomic_fetch_sub(&inside, 1);
    return status;
}

static void free_store(struct store *store)
{
    mem_free(store);
}

static const struct store_ops SLOW = {.scheme = "slow", .list = wait_in_list, .free = free_store};

static struct service *slow_service(void)
{
    struct dp_error error;
    struct service *service;
    struct service_options options = {.threads = 1, .store = mem_calloc(1, sizeof(struct store))};
    assert_non_null(options.store);
    options.store->ops = &SLOW;
    atomic_store(&let_go, false);
    assert_int_equal(service_new(&options, &service, &error), DP_OK);
    return service;
}

/* Waits until `count` listings wait in the store. If they never do, the time limit ends the test. */
static void until_inside(int count)
{
    while (atomic_load(&inside) != count)
        sched_yield();
}

static void test_server_refuses_at_once_when_the_queue_is_full(void **state)
{
    (void)state;
    struct service *service = slow_service();
    struct server *server = start_server(service, (struct server_options){.request_threads = 1, .queue_max = 1});
    int first = dial(server), second = dial(server), third;
    send_text(first, LIST);
    until_inside(1);
    send_text(second, LIST); /* waits in the queue */
    const char *refused = NULL;
    for (int i = 0; i < 100 && !refused; i++) {
        /* One request waits in the queue, and the server refuses the other, in either order. */
        enum heard end;
        third = dial(server);
        send_text(third, LIST);
        const char *heard = hear(third, 100, &end);
        refused = strstr(heard, "HTTP/1.1 503") ? heard : NULL;
        close(third);
    }
    assert_non_null(refused);
    assert_non_null(strstr(refused, "Retry-After: 1"));
    assert_non_null(strstr(refused, "{\"status\":\"error\""));
    /* The server still answers routes that never block. */
    int health = dial(server);
    send_text(health, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(hear_answer(health), "200 OK"));
    atomic_store(&let_go, true);
    assert_non_null(strstr(hear_answer(first), "200 OK"));
    close(first);
    close(second);
    close(health);
    server_stop(server);
    service_free(service);
}

static void test_server_notices_clients_that_leave(void **state)
{
    (void)state;
    struct service *service = slow_service();
    struct server *server = start_server(service, (struct server_options){.request_threads = 4});
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = dial(server);
        send_text(fds[i], LIST);
    }
    until_inside(4);
    close(fds[0]);
    close(fds[1]);
    until_inside(2);
    close(fds[2]);
    close(fds[3]);
    until_inside(0);
    server_stop(server);
    service_free(service);
}

/* The server does not wait for the rest of a body, even if the last bytes and the end of the stream come in one
 * packet. */
static void test_server_notices_clients_that_leave_amid_a_body(void **state)
{
    (void)state;
    static const char part[] = "POST /v1/embed HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"text\":";
    struct service *service = slow_service();
    struct server *server = start_server(service, (struct server_options){.request_threads = 1});
    for (int i = 0; i < 20; i++) {
        int fd = dial(server);
        assert_int_equal(send(fd, part, sizeof part - 1, MSG_MORE), sizeof part - 1);
        close(fd);
    }
    /* The server counts a request when it has ended. */
    int fd = dial(server);
    const char *counts;
    do {
        send_text(fd, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        counts = hear_answer(fd);
    } while (!strstr(counts, "dipper_http_requests_total{route=\"/v1/embed\",status=\"ok\"} 20\n"));
    assert_non_null(strstr(counts, "dipper_http_requests_in_flight 1\n"));
    close(fd);
    server_stop(server);
    service_free(service);
}

static void test_server_limits_the_time_of_requests(void **state)
{
    (void)state;
    struct service *service = slow_service();
    struct server *server = start_server(service, (struct server_options){.request_timeout_ms = 50});
    int fd = dial(server);
    send_text(fd, LIST);
    assert_non_null(strstr(hear_answer(fd), "HTTP/1.1 504"));
    send_text(fd, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"); /* the connection still works */
    assert_non_null(strstr(hear_answer(fd), "200 OK"));
    close(fd);
    server_stop(server);
    service_free(service);
}

/* The time of a request includes its wait for a thread, and a client may set less of it. */
static void test_server_counts_the_time_from_the_end_of_the_request(void **state)
{
    (void)state;
    static const char hasty[] = "GET /v1/namespaces HTTP/1.1\r\nHost: a\r\nX-Request-Timeout: 0.05\r\n\r\n";
    static const char wrong[] = "GET /v1/namespaces HTTP/1.1\r\nHost: a\r\nX-Request-Timeout: soon\r\n\r\n";
    struct service *service = slow_service();
    struct server *server =
        start_server(service, (struct server_options){.request_threads = 1, .request_timeout_ms = 300});
    int first = dial(server), second = dial(server), third = dial(server);
    const int64_t began_ns = os_now_ns();
    send_text(first, LIST);
    until_inside(1);
    send_text(second, hasty);
    const char *late = hear_answer(first);
    assert_non_null(strstr(late, "HTTP/1.1 504"));
    assert_non_null(strstr(late, "(the limit is 0.3 s: --request-timeout)"));
    late = hear_answer(second); /* it had no time left when the thread was free */
    assert_non_null(strstr(late, "HTTP/1.1 504"));
    assert_non_null(strstr(late, "(the limit is 0.05 s: the header X-Request-Timeout)"));
    assert_true(os_now_ns() - began_ns < INT64_C(60000000000));
    send_text(third, wrong);
    assert_non_null(strstr(hear_answer(third), "HTTP/1.1 400"));
    close(first);
    close(second);
    close(third);
    server_stop(server);
    service_free(service);
}

/* Requests that wait for a store that hangs hold up no embedding. */
static void test_server_embeds_while_the_store_hangs(void **state)
{
    (void)state;
    static const char embed[] = "POST /v1/embed HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n{\"text\":\"a\"}";
    struct service *service = slow_service();
    struct server *server = start_server(service, (struct server_options){.request_threads = 1});
    int first = dial(server), second = dial(server), third = dial(server);
    send_text(first, LIST);
    until_inside(1);
    send_text(second, LIST); /* waits for the thread of queries */
    send_text(third, embed);
    assert_non_null(strstr(hear_answer(third), "model")); /* this service has none, and says so at once */
    assert_int_equal(atomic_load(&inside), 1);
    atomic_store(&let_go, true);
    assert_non_null(strstr(hear_answer(first), "200 OK"));
    assert_non_null(strstr(hear_answer(second), "200 OK"));
    close(first);
    close(second);
    close(third);
    server_stop(server);
    service_free(service);
}

static void *stop(void *server)
{
    server_stop(server);
    return NULL;
}

/* A request in progress gets its answer, and its connection is closed after it. */
static void test_server_drains_before_it_ends(void **state)
{
    (void)state;
    struct service *service = slow_service();
    struct server *server = start_server(service, (struct server_options){.drain_timeout_ms = 60000});
    pthread_t stopping;
    int fd = dial(server), idle = dial(server);
    enum heard end;
    send_text(idle, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(hear_answer(idle), "200 OK"));
    send_text(fd, LIST);
    until_inside(1);
    assert_int_equal(pthread_create(&stopping, NULL, stop, server), 0);
    /* While the server drains, it answers /health on open connections with "draining". */
    const char *health;
    do {
        send_text(idle, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
        health = hear_answer(idle);
    } while (strstr(health, "200 OK"));
    assert_non_null(strstr(health, "{\"status\":\"draining\""));
    atomic_store(&let_go, true);
    const char *answer = hear(fd, 30000, &end);
    assert_non_null(strstr(answer, "200 OK"));
    assert_non_null(strstr(answer, "Connection: close"));
    assert_int_equal(end, HEARD_CLOSED);
    pthread_join(stopping, NULL);
    close(fd);
    close(idle);
    service_free(service);
}

/* The server ends while each I/O thread is busy with new connections. */
static void test_server_ends_while_clients_come(void **state)
{
    enum { SERVERS = 30, CLIENTS = 6 };
    (void)state;
    struct service *service = slow_service();
    for (int i = 0; i < SERVERS; i++) {
        struct server *server = start_server(service, (struct server_options){.io_threads = 2});
        int fds[CLIENTS];
        for (int c = 0; c < CLIENTS; c++) {
            fds[c] = dial(server);
            send_text(fds[c], "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        server_stop(server);
        for (int c = 0; c < CLIENTS; c++)
            close(fds[c]);
    }
    service_free(service);
}

/* When the limit of connections is reached and none is idle, a new client waits until another one leaves. */
static void test_server_lets_clients_wait_when_there_are_too_many(void **state)
{
    (void)state;
    struct service *service = slow_service();
    struct server *server = start_server(service, (struct server_options){.io_threads = 2, .connections_max = 2});
    static const char ask[] = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    int first = dial(server), second = dial(server);
    send_text(first, ask);
    assert_non_null(strstr(hear_answer(first), "200 OK"));
    send_text(first, "GET /health HTTP/1.1\r\n"); /* the rest is to come */
    send_text(second, ask);
    assert_non_null(strstr(hear_answer(second), "200 OK"));
    send_text(second, "GET /health HTTP/1.1\r\n");
    usleep(100000); /* the server reads the request lines */
    int third = dial(server);
    enum heard end;
    send_text(third, ask);
    assert_string_equal(hear(third, 100, &end), "");
    assert_int_equal(end, HEARD_NOTHING);
    close(first);
    assert_non_null(strstr(hear_answer(third), "200 OK"));
    close(second);
    close(third);
    server_stop(server);
    service_free(service);
}

/* When all connections are in use, the one that is idle for the longest time makes room. */
static void test_server_ends_idle_connections_when_clients_wait(void **state)
{
    (void)state;
    struct service *service = slow_service();
    struct server *server = start_server(service, (struct server_options){.io_threads = 2, .connections_max = 4});
    static const char ask[] = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    int fds[40];
    enum heard end;
    for (size_t i = 0; i < 40; i++) {
        fds[i] = dial(server);
        send_text(fds[i], ask);
        assert_non_null(strstr(hear_answer(fds[i]), "200 OK"));
    }
    assert_string_equal(hear(fds[0], 5000, &end), "");
    assert_int_not_equal(end, HEARD_NOTHING); /* closed */
    send_text(fds[39], ask);
    assert_non_null(strstr(hear_answer(fds[39]), "200 OK"));
    for (size_t i = 0; i < 40; i++)
        close(fds[i]);
    server_stop(server);
    service_free(service);
}

/* Sends the head of a request without its end on `count` connections. */
static void begin_requests(struct server *server, int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fds[i] = dial(server);
        send_text(fds[i], "GET /health/live HTTP/1.1\r\n");
    }
    usleep(200000); /* the server reads the request lines */
}

/* One address gets at most its share of the connections, and what it is refused says so. A trusted proxy asks for
 * many clients, so it has no share. */
static void test_server_bounds_the_connections_of_a_peer(void **state)
{
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        struct service *service = slow_service();
        struct server *server = start_server(
            service, (struct server_options){.connections_max = 16,
                                             .peer_connections_max = 3,
                                             .trusted_proxies = trusted ? "10.0.0.0/8, 127.0.0.0/8" : NULL});
        int fds[4];
        enum heard end;
        begin_requests(server, fds, 3);
        fds[3] = dial(server); /* sends nothing: bytes that nobody reads could take the answer along */
        const char *heard = hear(fds[3], 500, &end);
        assert_int_equal(strstr(heard, "HTTP/1.1 429") != NULL, !trusted);
        assert_int_equal(end, trusted ? HEARD_NOTHING : HEARD_CLOSED);
        send_text(fds[0], "Host: a\r\n\r\n");
        assert_non_null(strstr(hear_answer(fds[0]), "200 OK"));
        if (!trusted) { /* the first is idle now, and makes room for the next */
            int next = dial(server);
            send_text(next, "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_non_null(strstr(hear_answer(next), "200 OK"));
            close(next);
        }
        for (size_t i = 0; i < 4; i++)
            close(fds[i]);
        server_stop(server);
        service_free(service);
    }
}

/* A request that takes longer than --drain-timeout gets a 503 that says why. */
static void test_server_cancels_requests_that_outlast_the_drain(void **state)
{
    (void)state;
    struct service *service = slow_service();
    struct server *server =
        start_server(service, (struct server_options){.drain_timeout_ms = 1, .request_threads = 1});
    pthread_t stopping;
    int fd = dial(server), waiting = dial(server);
    enum heard end;
    send_text(fd, LIST);
    until_inside(1);
    send_text(waiting, LIST);
    assert_int_equal(pthread_create(&stopping, NULL, stop, server), 0);
    const char *answer = hear(fd, 30000, &end);
    assert_non_null(strstr(answer, "HTTP/1.1 503"));
    assert_non_null(strstr(answer, "the server is ending"));
    pthread_join(stopping, NULL);
    close(fd);
    close(waiting);
    service_free(service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_refuses_at_once_when_the_queue_is_full),
        cmocka_unit_test(test_server_notices_clients_that_leave),
        cmocka_unit_test(test_server_notices_clients_that_leave_amid_a_body),
        cmocka_unit_test(test_server_limits_the_time_of_requests),
        cmocka_unit_test(test_server_counts_the_time_from_the_end_of_the_request),
        cmocka_unit_test(test_server_embeds_while_the_store_hangs),
        cmocka_unit_test(test_server_drains_before_it_ends),
        cmocka_unit_test(test_server_ends_while_clients_come),
        cmocka_unit_test(test_server_lets_clients_wait_when_there_are_too_many),
        cmocka_unit_test(test_server_ends_idle_connections_when_clients_wait),
        cmocka_unit_test(test_server_bounds_the_connections_of_a_peer),
        cmocka_unit_test(test_server_cancels_requests_that_outlast_the_drain),
    };
    return test_run(tests);
}
