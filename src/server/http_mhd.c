/* http_mhd.c: joins libmicrohttpd's connections with exchanges. Only this file includes that library.
 *
 * The library parses requests. Its I/O threads (epoll) call handle() with the head, with each piece of the
 * body, and at the end of the request. If the exchange may block, handle() suspends the connection and gives
 * the exchange to the pool, whose thread runs it and resumes the connection. The library calls handle() once
 * more, which queues the answer.
 *
 * This file and head.c refuse what version 0.9.75 accepts: a repeated Content-Length, one beside
 * Transfer-Encoding, blanks before a header's colon, and more (is_understood). connections.h adds deadlines for
 * a whole head or body, and watches suspended connections; the library does neither.
 */
#include "server/http_mhd.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/thread.h"
#include "server/acceptor.h"
#include "server/listen.h"

enum {
    CONNECTION_MEMORY = 32 << 10, /* bounds the head of a request */
    WARN_EVERY_S = 60,
    LOG_MAX = 256,
};

enum phase { PHASE_IDLE, PHASE_READING, PHASE_RUNNING, PHASE_READY };

struct connection {
    struct connection_link link;
    struct http *http;
    struct MHD_Connection *mhd;
    enum phase phase;         /* owned by the I/O thread; in PHASE_RUNNING by the pool's thread */
    int64_t body_deadline_ns; /* deadline of the whole body */
    size_t target_len;
    struct tls_identity *identity; /* what the server shows to this client; NULL: plain HTTP */
    struct exchange exchange;
};

struct http {
    struct MHD_Daemon *daemon;
    struct MHD_Response *spare; /* what a client gets if there is no memory for another answer */
    struct http_options options;
    struct exchange_context *context;
    struct request_pools *pools;
    struct connections *connections;
    /* `lock` guards `closed` and the hand-over to the pool. The end of a request signals `idle`. */
    pthread_mutex_t lock;
    pthread_cond_t idle;
    bool closed; /* the pool gets no more exchanges */
    _Atomic bool quiesced;
    int64_t warned_ns; /* when the log last said that no connection is left; owned by the acceptor's thread */
    struct peers peers;
    struct acceptor acceptor;
};

static int64_t from_now(int64_t ms)
{
    return os_now_ns() + ms * 1000000;
}

static void set_deadline(struct connection *c, int64_t ms)
{
    atomic_store_explicit(&c->link.deadline_ns, from_now(ms), memory_order_relaxed);
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* ---- connections ----------------------------------------------------------------------------------- */

static void connection_open(struct http *http, struct MHD_Connection *mhd, void **context)
{
    const union MHD_ConnectionInfo *fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *peer = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct connection *c = fd ? mem_calloc(1, sizeof *c) : NULL;
    *context = c; /* NULL: handle() cuts the connection */
    if (!c)
        return;
    c->http = http;
    c->mhd = mhd;
    c->identity = http->options.tls ? tls_take(http->options.tls) : NULL;
    exchange_init(&c->exchange, http->context);
    metric_add(http->context->connections, 1);
    const struct sockaddr *address = peer ? peer->client_addr : NULL;
    uint8_t bytes[ADDRESS_BYTES];
    proxies_address(address, bytes);
    c->exchange.is_proxied = proxies_have(http->options.proxies, bytes);
    listen_print_peer(address, c->exchange.peer, sizeof c->exchange.peer);
    connections_add(http->connections, &c->link, fd->connect_fd, peers_find(&http->peers, address),
                    from_now(http->options.head_timeout_ms));
}

static void connection_close(struct http *http, struct connection *c)
{
    if (!c)
        return;
    connections_remove(http->connections, &c->link);
    metric_add(http->context->connections, -1);
    exchange_deinit(&c->exchange);
    tls_give(c->identity);
    mem_free(c);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *http = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_open(http, mhd, context);
        return;
    }
    const union MHD_ConnectionInfo *peer = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    connection_close(http, *context);
    peers_leave(&http->peers, peer ? peer->client_addr : NULL);
    acceptor_closed(&http->acceptor);
}

/* Closes a connection of a peer that has too many, none of which is idle. */
static void refuse_connection(struct http *http, int fd)
{
    static const char answer[] =
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 99\r\n"
        "Retry-After: 1\r\nConnection: close\r\n\r\n"
        "{\"error\":\"rate_limit_exceeded\",\"message\":\"too many connections from this address are open at "
        "once\"}";
    char unread[1024]; /* a close with unread bytes would take the answer back */
    ssize_t sent = http->options.tls ? 0 : send(fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    sent = recv(fd, unread, sizeof unread, MSG_DONTWAIT);
    (void)sent;
    close(fd);
    metric_add(http->context->connections_refused, 1);
}

/* Gives a connection to the library, which chooses one of its threads. Returns false if the library cannot take
 * it, and has closed it. */
static bool take_connection(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    struct http *http = context;
    if (!peers_enter(&http->peers, peer, false)) {
        const bool ended = connections_end_idle(http->connections, peers_find(&http->peers, peer));
        metric_add(http->context->idle_closed, ended);
        if (!ended || !peers_enter(&http->peers, peer, true)) {
            refuse_connection(http, fd);
            return false;
        }
    }
    if (MHD_add_connection(http->daemon, fd, peer, peer_len) == MHD_YES)
        return true;
    peers_leave(&http->peers, peer);
    return false;
}

/* Has an idle connection closed, because a client waits and no connection is left. */
static void make_room(void *context)
{
    struct http *http = context;
    const int64_t now_ns = os_now_ns();
    metric_add(http->context->idle_closed, connections_end_idle(http->connections, NULL));
    if (http->warned_ns && now_ns - http->warned_ns < INT64_C(1000000000) * WARN_EVERY_S)
        return;
    http->warned_ns = now_ns;
    log_write(LOG_WARN,
              "all %u connections are in use (--max-connections): clients wait, and idle connections are closed",
              http->options.connections_max);
}

/* ---- requests --------------------------------------------------------------------------------------- */

/* Keeps the target of the request line, and starts the time limit of the head. */
static void *on_request_line(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct http *http = cls;
    struct connection *c = connection_of(mhd);
    if (c) {
        c->target_len = strlen(target);
        exchange_line(&c->exchange, span_of(target, c->target_len));
        atomic_store(&c->link.idle_ns, 0);
        set_deadline(c, http->options.head_timeout_ms);
    }
    return NULL;
}

static enum MHD_Result collect_field(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                     const char *value, size_t value_len)
{
    struct head *head = cls;
    (void)kind;
    head->too_many = head->count == HEAD_FIELDS_MAX;
    if (head->too_many)
        return MHD_NO;
    head->fields[head->count++] =
        (struct head_field){span_of(name, name_len), span_of(value, value ? value_len : 0)};
    return MHD_YES;
}

/* Makes the answer for when there is no memory to make one. */
static struct MHD_Response *make_spare(void)
{
    static char body[] = "{\"error\":\"overloaded\",\"message\":\"out of memory for the answer; try again\"}";
    struct MHD_Response *spare = MHD_create_response_from_buffer(sizeof body - 1, body, MHD_RESPMEM_PERSISTENT);
    if (spare && MHD_add_response_header(spare, "Content-Type", "application/json") == MHD_YES &&
        MHD_add_response_header(spare, "Retry-After", "1") == MHD_YES &&
        MHD_add_response_header(spare, "Connection", "close") == MHD_YES)
        return spare;
    if (spare)
        MHD_destroy_response(spare);
    return NULL;
}

static enum MHD_Result queue_without_memory(struct connection *c)
{
    c->exchange.response.status = 503; /* for the log */
    c->exchange.response.outcome = DP_NOMEM;
    return MHD_queue_response(c->mhd, 503, c->http->spare);
}

static enum MHD_Result queue_answer(struct connection *c)
{
    struct exchange *ex = &c->exchange;
    struct span body = exchange_answer(ex);
    atomic_store(&c->link.listening, false);
    set_deadline(c, c->http->options.send_timeout_ms);
    /* The exchange keeps the bytes: they live until the request has ended, longer than the library's response. */
    struct MHD_Response *answer =
        MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.data, MHD_RESPMEM_PERSISTENT);
    if (!answer)
        return queue_without_memory(c);
    bool good = true;
    if (ex->response.content_type)
        good = MHD_add_response_header(answer, "Content-Type", ex->response.content_type) == MHD_YES;
    for (size_t i = 0; good && i < ex->response.header_count; i++)
        good = MHD_add_response_header(answer, ex->response.headers[i].name, ex->response.headers[i].value) ==
               MHD_YES;
    if (good && (ex->must_close || atomic_load(&c->http->quiesced)))
        good = MHD_add_response_header(answer, "Connection", "close") == MHD_YES;
    enum MHD_Result result =
        good ? MHD_queue_response(c->mhd, ex->response.status, answer) : queue_without_memory(c);
    MHD_destroy_response(answer);
    return result;
}

/* Returns true if the library understood the head as the client sent it. Version 0.9.75 joins folded lines,
 * drops the rest of a value after a NUL, ends the head at a line that begins with a colon, and accepts bare LFs
 * as line ends. It ends method and target at a NUL, and skips blanks between them. But it parses in place and
 * tells where the head lies, so head_is_whole can see all of that. Version 1.0 is strict. */
static bool is_understood(struct connection *c, const struct head *head, const char *method)
{
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (head->too_many || strtoul(MHD_get_version(), NULL, 10) >= 1)
        return true;
    return size && head_is_whole(head, span_of(method, size->header_size));
}

static enum MHD_Result begin_exchange(struct connection *c, const char *method, const char *version)
{
    struct exchange *ex = &c->exchange;
    head_clear(&ex->head);
    ex->head.method = span_str(method);
    ex->head.version = span_str(version);
    ex->head.target_len = c->target_len;
    MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, collect_field, &ex->head);
    ex->head.ambiguous = !is_understood(c, &ex->head, method);
    c->phase = PHASE_READING;
    set_deadline(c, c->http->options.body_timeout_ms);
    c->body_deadline_ns = atomic_load_explicit(&c->link.deadline_ns, memory_order_relaxed);
    exchange_begin(ex);
    if (!ex->must_close)
        return MHD_YES;
    exchange_run(ex); /* only adds the headers that every answer has */
    return queue_answer(c);
}

/* Runs the exchange of a suspended connection, on a thread of the pool. */
static void run_suspended(void *context)
{
    struct connection *c = context;
    exchange_run(&c->exchange);
    connections_unwatch(c->http->connections, &c->link);
    c->phase = PHASE_READY;
    MHD_resume_connection(c->mhd);
}

/* Lets a suspended connection receive the rest of its body. */
static void resume_reading(struct connection *c)
{
    connections_unwatch(c->http->connections, &c->link);
    c->exchange.handed_ns = 0;
    c->phase = PHASE_READING;
    atomic_store(&c->link.listening, true);
    atomic_store_explicit(&c->link.deadline_ns, c->body_deadline_ns, memory_order_relaxed);
    MHD_resume_connection(c->mhd);
}

/* Judges the key of a suspended connection whose body is incomplete, on a thread of the pool. */
static void judge_suspended(void *context)
{
    struct connection *c = context;
    exchange_judge(&c->exchange);
    resume_reading(c);
}

/* Moves the received bytes of a suspended connection whose body is incomplete, on a thread of the pool. */
static void store_suspended(void *context)
{
    struct connection *c = context;
    exchange_store(&c->exchange);
    resume_reading(c);
}

/* Suspends the connection and hands its exchange to its pool. If that is impossible, answers 503 or 429 at once. */
static enum MHD_Result suspend_connection(struct connection *c, void (*run)(void *connection))
{
    struct http *http = c->http;
    atomic_store_explicit(&c->link.deadline_ns, INT64_MAX, memory_order_relaxed);
    atomic_store(&c->link.listening, false);
    c->phase = PHASE_RUNNING;
    c->exchange.handed_ns = os_now_ns();
    MHD_suspend_connection(c->mhd);
    connections_watch(http->connections, &c->link, &c->exchange.cancelled);
    pthread_mutex_lock(&http->lock);
    const bool closed = http->closed, given = !closed && request_pools_give(http->pools, &c->exchange, run, c);
    if (closed)
        exchange_refuse(&c->exchange, 503, DP_UNAVAILABLE, "the server is ending");
    pthread_mutex_unlock(&http->lock);
    if (!given)
        run(c);
    return MHD_YES;
}

/* Only the library's I/O thread changes this: MHD_resume_connection asks that thread to do it. */
static bool is_suspended(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_SUSPENDED);
    return info && info->suspended == MHD_YES;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                              const char *version, const char *piece, size_t *piece_len, void **context)
{
    struct connection *c = connection_of(mhd);
    (void)cls;
    (void)url;
    if (!c)
        return MHD_NO;
    if (!*context) {
        *context = c;
        return begin_exchange(c, method, version);
    }
    /* After a chunk that suspended the connection, the library passes the next chunk of its buffer. It keeps the
     * bytes that this call leaves, and passes them again when the connection is resumed. */
    if (is_suspended(mhd))
        return MHD_YES;
    if (*piece_len) {
        const enum exchange_next next = exchange_body(&c->exchange, span_of(piece, *piece_len));
        *piece_len = 0;
        if (next == EXCHANGE_JUDGE)
            return suspend_connection(c, judge_suspended);
        if (next == EXCHANGE_STORE)
            return suspend_connection(c, store_suspended);
        return next == EXCHANGE_MORE ? MHD_YES : MHD_NO;
    }
    if (c->phase == PHASE_READING) {
        if (!exchange_try(&c->exchange)) {
            if (request_pools_admit(c->http->pools, &c->exchange))
                return suspend_connection(c, run_suspended);
            exchange_run(&c->exchange); /* only adds the headers that every answer has */
        }
        c->phase = PHASE_READY;
    }
    return c->phase == PHASE_READY ? queue_answer(c) : MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct http *http = cls;
    struct connection *c = *context;
    (void)mhd;
    if (!c)
        return;
    *context = NULL;
    exchange_end(&c->exchange, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    c->phase = PHASE_IDLE;
    atomic_store(&c->link.listening, true);
    atomic_store(&c->link.idle_ns, os_now_ns());
    set_deadline(c, (int64_t)http->options.idle_timeout_ms + http->options.head_timeout_ms);
    pthread_mutex_lock(&http->lock);
    pthread_cond_broadcast(&http->idle);
    pthread_mutex_unlock(&http->lock);
}

/* ---- the daemon ------------------------------------------------------------------------------------- */

static void on_log(void *cls, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void on_log(void *cls, const char *format, va_list args)
{
    char message[LOG_MAX];
    (void)cls;
    int len = vsnprintf(message, sizeof message, format, args);
    while (len > 0 && len < (int)sizeof message && message[len - 1] == '\n')
        message[--len] = '\0';
    log_write(LOG_DEBUG, "http: %s", message);
}

/* routes.c decodes the target, because it must distinguish '/' from "%2F". */
static size_t leave_encoded(void *cls, struct MHD_Connection *mhd, char *text)
{
    (void)cls;
    (void)mhd;
    return strlen(text);
}

/* Shows the identity of the connection to its client, during the handshake. The library leaves its connection in the
 * session's pointer. */
static int show_identity(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                         const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **chain,
                         unsigned *length, gnutls_privkey_t *key)
{
    struct MHD_Connection *mhd = gnutls_session_get_ptr(session);
    struct connection *c = mhd ? connection_of(mhd) : NULL;
    (void)authorities;
    (void)authority_count;
    (void)algorithms;
    (void)algorithm_count;
    if (!c || !c->identity)
        return -1;
    tls_parts(c->identity, chain, length, key);
    return 0;
}

static struct MHD_Daemon *start_daemon(struct http *http)
{
    const struct http_options *o = &http->options;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG |
                     MHD_USE_NO_LISTEN_SOCKET;
    struct MHD_OptionItem pool[] = {{MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)o->io_threads, NULL},
                                    {MHD_OPTION_END, 0, NULL}};
    /* The acceptor enforces the limit. The library gets a higher one, because it counts the connections of each
     * thread separately, and counts a closed one for a moment longer. */
    unsigned most = 2 * (o->connections_max + o->io_threads);
    if (o->io_threads < 2) /* the library rejects a pool size of 1 */
        pool[0].option = MHD_OPTION_END;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)show_identity},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL}};
    if (o->tls)
        flags |= MHD_USE_TLS;
    else
        tls[0].option = MHD_OPTION_END;
    return MHD_start_daemon(flags, 0, NULL, NULL, handle, http, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                            MHD_OPTION_CONNECTION_LIMIT, most, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)(o->idle_timeout_ms + 999) / 1000, MHD_OPTION_NOTIFY_CONNECTION,
                            on_connection, http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
                            MHD_OPTION_URI_LOG_CALLBACK, on_request_line, http, MHD_OPTION_UNESCAPE_CALLBACK,
                            leave_encoded, NULL, MHD_OPTION_ARRAY, pool, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

enum dp_status http_start(int listen_fd, const struct http_options *options, struct exchange_context *context,
                          struct request_pools *pools, struct connections *connections, struct http **out,
                          struct dp_error *error)
{
    struct http *http = mem_calloc(1, sizeof *http);
    if (!http)
        return dp_fail_nomem(error, "the HTTP server");
    http->options = *options;
    http->context = context;
    http->pools = pools;
    http->connections = connections;
    pthread_mutex_init(&http->lock, NULL);
    pthread_cond_init(&http->idle, NULL);
    /* The library's threads must not receive signals. */
    struct os_signals kept;
    os_signals_block(&kept);
    enum dp_status status = peers_init(&http->peers, options->proxies, options->peer_connections_max, error);
    http->spare = status == DP_OK ? make_spare() : NULL;
    http->daemon = http->spare ? start_daemon(http) : NULL;
    os_signals_restore(&kept);
    if (status == DP_OK && !http->daemon)
        status = dp_fail(error, DP_UNAVAILABLE, "libmicrohttpd cannot start: no threads, files or memory left");
    if (status == DP_OK)
        status = acceptor_start(&http->acceptor, listen_fd, options->connections_max, take_connection, make_room,
                                http, error);
    if (status == DP_OK) {
        *out = http;
        return DP_OK;
    }
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    if (http->spare)
        MHD_destroy_response(http->spare);
    peers_deinit(&http->peers);
    pthread_cond_destroy(&http->idle);
    pthread_mutex_destroy(&http->lock);
    mem_free(http);
    return status;
}

void http_quiesce(struct http *http)
{
    atomic_store(&http->quiesced, true);
    acceptor_stop(&http->acceptor);
}

bool http_wait_idle(struct http *http, int ms)
{
    int64_t until_ns = from_now(ms);
    bool timed_out = false;
    pthread_mutex_lock(&http->lock);
    while (atomic_load(&http->context->in_flight) > 0 && !timed_out)
        timed_out = os_wait_until(&http->idle, &http->lock, until_ns);
    pthread_mutex_unlock(&http->lock);
    return atomic_load(&http->context->in_flight) == 0;
}

void http_cancel_all(struct http *http)
{
    pthread_mutex_lock(&http->lock);
    http->closed = true;
    pthread_mutex_unlock(&http->lock);
    connections_tell_all(http->connections);
}

void http_stop(struct http *http)
{
    if (!http)
        return;
    acceptor_stop(&http->acceptor);
    MHD_stop_daemon(http->daemon);
    MHD_destroy_response(http->spare);
    acceptor_deinit(&http->acceptor);
    peers_deinit(&http->peers);
    pthread_cond_destroy(&http->idle);
    pthread_mutex_destroy(&http->lock);
    mem_free(http);
}
