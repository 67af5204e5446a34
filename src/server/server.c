/* server.c: assembles the parts of a server, and stops them in order. */
#include "server/server.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/cpu.h"
#include "os/log.h"
#include "server/http_mhd.h"
#include "server/listen.h"

#define SPILLED_MAX ((size_t)4 << 30)

enum {
    REQUEST_THREADS = 64,
    QUEUE_MAX = 256,
    CONNECTIONS_MAX = 1024,
    BODY_MAX = 32 << 20,
    LARGE_BODY_MAX = 256 << 20,
    BODIES_MAX = 512 << 20,
    HEAD_TIMEOUT_MS = 10000,
    BODY_TIMEOUT_MS = 60000,
    REQUEST_TIMEOUT_MS = 60000,
    SEND_TIMEOUT_MS = 60000,
    IDLE_TIMEOUT_MS = 75000,
    DRAIN_TIMEOUT_MS = 30000,
    FILES_A_THREAD = 2,     /* open files of one request */
    FILES_BESIDE = 64,      /* other open files: standard streams, epoll and event descriptors, logs */
    LAST_ANSWERS_MS = 2000, /* time to send the answers of cancelled requests */
};

struct server {
    struct exchange_context context;
    _Atomic bool draining;
    struct listener listener;
    struct connections connections;
    struct request_pools pools;
    struct http *http;
    struct tls *tls;
    int drain_timeout_ms;
    bool has_context, has_connections;
};

static int or_default(int value, int otherwise)
{
    return value > 0 ? value : otherwise;
}

/* Frees all parts that exist. The caller has already stopped `http`. */
static void destroy_server(struct server *s)
{
    request_pools_free(&s->pools);
    if (s->has_connections)
        connections_stop(&s->connections);
    if (s->has_context)
        exchange_context_deinit(&s->context);
    tls_free(s->tls);
    listen_forget(&s->listener);
    mem_free(s);
}

/* Returns the number of connections, at most `wanted`, that leaves enough open files for requests to read the
 * store. */
static unsigned connections_that_fit(unsigned wanted, unsigned request_threads)
{
    struct rlimit files;
    rlim_t beside = (rlim_t)request_threads * FILES_A_THREAD + FILES_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
        return wanted;
    rlim_t room = files.rlim_cur > 2 * beside ? files.rlim_cur - beside : files.rlim_cur / 2;
    if (room >= wanted)
        return wanted;
    log_write(LOG_WARN, "%ju open files are allowed (ulimit -n), so only %ju connections are accepted, not %u",
              (uintmax_t)files.rlim_cur, (uintmax_t)room, wanted);
    return (unsigned)room;
}

static enum dp_status open_tls(struct server *s, const struct server_options *o, struct dp_error *error)
{
    if (!o->tls_certificate && !o->tls_key)
        return DP_OK;
    if (!o->tls_certificate || !o->tls_key)
        return dp_fail(error, DP_INVALID,
                       "TLS needs both a certificate and its key: give --tls-cert and --tls-key");
    return tls_new(o->tls_certificate, o->tls_key, &s->tls, error);
}

static enum dp_status open_listener(struct server *s, const struct server_options *o, struct dp_error *error)
{
    const bool loopback_only = !o->insecure && !o->accounts;
    if (o->socket > 0)
        return listen_adopt(o->socket, loopback_only, &s->listener, error);
    if (o->unix_socket)
        return listen_open_unix(o->unix_socket, &s->listener, error);
    enum dp_status status = listen_open(o->listen, loopback_only, &s->listener, error);
    if (status != DP_OK && o->listen_origin)
        dp_error_prefix(error, "%s", o->listen_origin);
    return status;
}

/* Whether a client would shorten a path before it sends it: a part of it is "." or "..". */
static bool has_dots(struct span path)
{
    for (size_t begin = 0, i = 0; i <= path.len; i++) {
        if (i < path.len && path.data[i] != '/')
            continue;
        const struct span part = span_of(path.data + begin, i - begin);
        if (span_equal_str(part, ".") || span_equal_str(part, ".."))
            return true;
        begin = i + 1;
    }
    return false;
}

/* Checks the path before all routes and keeps it without a slash at its end. */
static enum dp_status set_base_path(struct exchange_context *c, const char *path, struct dp_error *error)
{
    struct span base = span_str(path ? path : "");
    if (base.len && base.data[base.len - 1] == '/')
        base.len--;
    bool good = base.len == 0 || (base.data[0] == '/' && !has_dots(base));
    for (size_t i = 0; good && i < base.len; i++)
        good = base.data[i] > ' ' && base.data[i] < 0x7f && !strchr("?#%\"\\<>", base.data[i]) &&
               (base.data[i] != '/' || i + 1 == base.len || base.data[i + 1] != '/');
    c->base_path = base;
    if (!good)
        return dp_fail(error, DP_INVALID,
                       "the base path \"%s\" is not a path such as /dipper: it begins with a slash, "
                       "and has no blanks, no dots alone, no escapes and no query",
                       path);
    const struct route *hidden = route_below(base);
    return !hidden ? DP_OK
                   : dp_fail(error, DP_INVALID,
                             "the base path \"%s\" would hide the server's own path %s: choose another, such as "
                             "/dipper%s",
                             path, hidden->pattern, path);
}

static enum dp_status start_server(struct server *s, const struct server_options *o, struct dp_error *error)
{
    unsigned io_threads = o->io_threads ? o->io_threads : os_cpu_count() >= 2 ? 2 : 1;
    unsigned request_threads = o->request_threads ? o->request_threads : REQUEST_THREADS;
    unsigned connections =
        connections_that_fit(o->connections_max ? o->connections_max : CONNECTIONS_MAX, request_threads);
    struct http_options http = {
        .io_threads = io_threads,
        .connections_max = connections < io_threads ? io_threads : connections,
        .proxies = &s->context.proxies,
        .head_timeout_ms = or_default(o->head_timeout_ms, HEAD_TIMEOUT_MS),
        .body_timeout_ms = or_default(o->body_timeout_ms, BODY_TIMEOUT_MS),
        .send_timeout_ms = or_default(o->send_timeout_ms, SEND_TIMEOUT_MS),
        .idle_timeout_ms = or_default(o->idle_timeout_ms, IDLE_TIMEOUT_MS),
    };
    const unsigned peer_connections = http.connections_max - http.connections_max / 4;
    http.peer_connections_max = o->peer_connections_max && o->peer_connections_max < peer_connections
                                    ? o->peer_connections_max
                                    : peer_connections;
    enum dp_status status = set_base_path(&s->context, o->base_path, error);
    if (status == DP_OK)
        status = open_tls(s, o, error);
    http.tls = s->tls;
    if (status == DP_OK)
        status = exchange_context_init(&s->context, service_metrics(s->context.api.service), error);
    s->has_context = status == DP_OK;
    if (status == DP_OK)
        status = request_pools_new(&s->pools, request_threads, o->queue_max ? o->queue_max : QUEUE_MAX,
                                   service_metrics(s->context.api.service), error);
    if (status == DP_OK) {
        status = connections_start(&s->connections, error);
        s->has_connections = status == DP_OK;
    }
    if (status == DP_OK)
        status = open_listener(s, o, error);
    if (status != DP_OK)
        return status;
    if (s->tls)
        listen_set_tls(&s->listener);
    s->context.is_tls = s->tls != NULL;
    s->context.auth.sites.checks_host =
        o->allowed_hosts || (!o->accounts && s->listener.loopback && !s->listener.is_unix);
    status = http_start(s->listener.fd, &http, &s->context, &s->pools, &s->connections, &s->http, error);
    if (status != DP_OK)
        close(s->listener.fd);
    return status;
}

enum dp_status server_start(const struct server_options *o, struct service *service, struct server **out,
                            struct dp_error *error)
{
    *out = NULL;
    struct server *s = mem_calloc(1, sizeof *s);
    if (!s)
        return dp_fail_nomem(error, "the server");
    s->context.api =
        (struct api_context){.service = service, .draining = &s->draining, .needs_model = o->needs_model};
    s->context.body_max = o->body_max ? o->body_max : BODY_MAX;
    s->context.large_body_max = o->large_body_max ? o->large_body_max : LARGE_BODY_MAX;
    s->context.bodies.max = s->context.answers.max = o->bodies_max ? o->bodies_max : BODIES_MAX;
    s->context.spilled.max = o->spilled_max ? o->spilled_max : SPILLED_MAX;
    s->context.request_timeout_ms = or_default(o->request_timeout_ms, REQUEST_TIMEOUT_MS);
    s->context.log = o->log;
    s->context.auth =
        (struct auth_rules){.accounts = o->accounts,
                            .watch_needs_key = o->watch_needs_key,
                            .sites = {.cors_origin = o->cors_origin, .allowed_hosts = o->allowed_hosts}};
    s->drain_timeout_ms = or_default(o->drain_timeout_ms, DRAIN_TIMEOUT_MS);
    enum dp_status status =
        proxies_parse(o->trusted_proxies ? o->trusted_proxies : "", &s->context.proxies, error);
    if (status == DP_OK)
        status = site_rules_check(&s->context.auth.sites, error);
    if (status == DP_OK)
        status = start_server(s, o, error);
    if (status != DP_OK)
        destroy_server(s);
    else
        *out = s;
    return status;
}

enum dp_status server_reload(struct server *s, struct dp_error *error)
{
    if (!s->tls)
        return DP_OK;
    enum dp_status status = tls_reload(s->tls, error);
    if (status == DP_OK)
        log_write(LOG_INFO, "the certificate was read again");
    return status;
}

const char *server_url(const struct server *s)
{
    return s->listener.url;
}

void server_stop(struct server *s)
{
    if (!s)
        return;
    atomic_store(&s->draining, true);
    service_end_reloads(s->context.api.service);
    http_quiesce(s->http);
    http_wait_idle(s->http, s->drain_timeout_ms);
    /* Cancels late requests. A thread of the pool ends when its request has ended. */
    http_cancel_all(s->http);
    request_pools_free(&s->pools);
    http_wait_idle(s->http, LAST_ANSWERS_MS);
    http_stop(s->http);
    destroy_server(s);
}
