/* exchange.c: takes each request through its steps: framing, ids, route, limits, key, body, handler, timing,
 * and at the end metrics and the access log. */
#include "server/exchange.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/splitmix.h"
#include "base/utf8.h"
#include "os/clock.h"
#include "os/log_writer.h"
#include "os/random.h"
#include "server/encode.h"
#include "server/route_hint.h"
#include "server/route_metrics.h"
#include "server/server_timing.h"
#include "server/time_limit.h"

/* The server reads and discards the body of a refused request up to this multiple of the limit of small bodies, so
 * that the client can read the answer. It cuts the connection of a longer body. */
enum { SWALLOW_FACTOR = 4 };

enum dp_status exchange_context_init(struct exchange_context *c, struct metric_registry *registry,
                                     struct dp_error *error)
{
    enum dp_status status = routes_check(error);
    if (status == DP_OK)
        status = os_random(&c->id_seed, sizeof c->id_seed, error);
    if (status != DP_OK)
        return status;
    c->in_flight_gauge = metric_gauge(registry, "dipper_http_requests_in_flight", "",
                                      "Requests between their head and the end of their answer.");
    c->request_bytes = metric_counter(registry, "dipper_http_request_bytes_total", "", "Bytes of request bodies.");
    c->response_bytes = metric_counter(registry, "dipper_http_response_bytes_total", "", "Bytes of answers.");
    c->connections = metric_gauge(registry, "dipper_http_connections", "", "Open connections.");
    c->connections_refused = metric_counter(registry, "dipper_http_connections_refused_total", "",
                                            "Connections refused because their peer had too many.");
    c->idle_closed = metric_counter(registry, "dipper_http_idle_closed_total", "",
                                    "Idle connections closed because others waited.");
    const struct metric *dropped =
        metric_of(registry, METRIC_COUNTER, "dipper_log_lines_dropped_total", "",
                  "Log lines that were dropped because nobody read the log in time.", log_writer_dropped());
    if (!c->in_flight_gauge || !c->request_bytes || !c->response_bytes || !c->connections || !dropped ||
        !c->connections_refused || !c->idle_closed)
        return dp_fail_nomem(error, "metrics");
    status = embed_metrics_add(&c->embed_metrics, registry, error);
    return status == DP_OK ? route_metrics_new(registry, &c->metrics, error) : status;
}

void exchange_context_deinit(struct exchange_context *c)
{
    mem_free(c->metrics);
}

void exchange_init(struct exchange *ex, struct exchange_context *context)
{
    memset(ex, 0, sizeof *ex);
    ex->context = context;
    ex->number = atomic_fetch_add(&context->last_number, 1) + 1;
    arena_init(&ex->arena, EXCHANGE_ARENA_MAX);
    buffer_init(&ex->line, EXCHANGE_KEPT_MAX);
    request_body_init(&ex->body, &context->bodies, &context->spilled);
    http_response_init(&ex->response);
}

void exchange_deinit(struct exchange *ex)
{
    auth_end(&ex->auth);
    arena_deinit(&ex->arena);
    buffer_deinit(&ex->line);
    request_body_deinit(&ex->body);
    http_response_deinit(&ex->response);
}

bool exchange_line(struct exchange *ex, struct span target)
{
    ex->began_ns = os_now_ns();
    buffer_clear(&ex->line);
    buffer_append(&ex->line, target);
    ex->target = buffer_span(&ex->line);
    return ex->line.status == DP_OK;
}

void exchange_refuse(struct exchange *ex, unsigned status, enum dp_status why, const char *message)
{
    const struct api_dialect *dialect = ex->match.dialect ? ex->match.dialect : &api_fastembed;
    dialect->error(&ex->response, status, api_error_code(status, why), message);
    ex->response.outcome = why;
    if (status == 405)
        http_add_header(&ex->response, "Allow", ex->match.allow);
    if (status == 503 || status == 429)
        http_add_retry(&ex->response, &ex->arena, ex->call.retry_ns);
    ex->refused = true;
}

static struct span get_header(const void *context, const char *name)
{
    return head_value(context, name);
}

/* Returns the target without "http://host", which clients put in front of it when they talk to a proxy; or without
 * "https://host" on a server with TLS. Any other server would speak for a site that it is not. */
static struct span without_authority(struct span target, bool is_tls)
{
    const bool secure = is_tls && span_starts_with(target, span_str("https://"));
    size_t at = secure ? sizeof "https://" - 1 : sizeof "http://" - 1;
    if (!secure && !span_starts_with(target, span_str("http://")))
        return target;
    while (at < target.len && target.data[at] != '/' && target.data[at] != '?')
        at++;
    return span_of(target.data + at, target.len - at);
}

/* Returns the path behind the server's base path. Keeps a path that lacks it: a proxy may remove the base path, and
 * health checks come without it. */
static struct span without_base(struct span path, struct span base)
{
    if (base.len == 0 || !span_starts_with(path, base) || (path.len > base.len && path.data[base.len] != '/'))
        return path;
    return span_of(path.data + base.len, path.len - base.len); /* empty: the base path itself */
}

/* Sends a browser from "/dipper" to "/dipper/", because the page's links are relative. */
static void redirect_to_base(struct exchange *ex)
{
    http_response_clear(&ex->response);
    ex->response.status = 308;
    http_add_header(&ex->response, "Location",
                    arena_printf(&ex->arena, "%.*s/", SPAN_FMT(ex->context->base_path)));
    ex->refused = true; /* the answer is complete */
}

/* Splits the request line's target into path and query. Returns false if it is malformed. */
static bool split_target(struct exchange *ex)
{
    struct span target = without_authority(ex->target, ex->context->is_tls);
    const bool bare = target.data != ex->target.data && (target.len == 0 || target.data[0] == '?');
    if (!bare && (target.len == 0 || (target.data[0] != '/' && !span_equal_str(target, "*"))))
        return false;
    for (size_t i = 0; i < target.len; i++)
        if (target.data[i] <= ' ' || target.data[i] == 0x7f)
            return false;
    const uint8_t *mark = target.len ? memchr(target.data, '?', target.len) : NULL;
    size_t len = mark ? (size_t)(mark - target.data) : target.len;
    ex->http.path = bare ? span_str("/") : span_of(target.data, len);
    ex->http.path = without_base(ex->http.path, ex->context->base_path);
    ex->http.query = mark ? span_of(mark + 1, target.len - len - 1) : span_of(NULL, 0);
    return true;
}

static void answer_options(struct exchange *ex, bool any)
{
    http_response_clear(&ex->response);
    ex->response.status = 204;
    http_add_header(&ex->response, "Allow", any ? "GET, HEAD, POST, PATCH, DELETE, OPTIONS" : ex->match.allow);
    site_add_preflight(&ex->context->auth.sites, &ex->head, &ex->arena, &ex->response);
    ex->refused = true; /* the answer is complete */
}

static void refuse_method(struct exchange *ex)
{
    char message[96];
    snprintf(message, sizeof message, "this path does not allow that method, only %s", ex->match.allow);
    exchange_refuse(ex, 405, DP_INVALID, message);
}

/* Returns the Host header if it is safe to show, else a placeholder. */
static struct span shown_host(const struct exchange *ex)
{
    struct span host = head_value(&ex->head, "host");
    bool good = host.len > 0 && host.len < 100;
    for (size_t i = 0; good && i < host.len; i++)
        good = host.data[i] < 0x80 && host.data[i] > ' ' && !strchr("\"\\<>&'`", host.data[i]);
    return good ? host : span_str("HOST:PORT");
}

/* Returns the scheme by which the client called: this server's, or the one that a trusted proxy says it was called by. */
static const char *shown_scheme(const struct exchange *ex)
{
    const struct span said = head_value(&ex->head, "x-forwarded-proto");
    const bool secure =
        ex->context->is_tls || (ex->is_proxied && span_equal_ignoring_case(said, span_str("https")));
    return secure ? "https" : "http";
}

/* Returns the base URL of this server for clients, up to its "/v1". NULL: no memory is left. */
static const char *shown_base_url(const struct exchange *ex, struct arena *arena)
{
    return arena_printf(arena, "%s://%.*s%.*s", shown_scheme(ex), SPAN_FMT(shown_host(ex)),
                        SPAN_FMT(ex->context->base_path));
}

/* Answers that the path does not exist. If it looks like a misspelt route, or like a route without the "/v1"
 * that the client's base URL lacks, the answer suggests that route, in the dialect of the route's clients. */
static void refuse_path(struct exchange *ex)
{
    struct route_hint hint;
    const char *message = NULL;
    if (route_hint(ex->method, ex->http.path, &ex->arena, &hint)) {
        const char *base = hint.route->dialect == &api_openai ? shown_base_url(ex, &ex->arena) : NULL;
        ex->match.dialect = hint.route->dialect;
        message = arena_printf(&ex->arena, "there is nothing at this path; did you mean %s %s?%s%s%s",
                               hint.route->method, hint.path, base ? " Set the client's base URL to " : "",
                               base ? base : "", base ? "/v1" : "");
    }
    exchange_refuse(ex, 404, DP_NOT_FOUND, message ? message : "there is nothing at this path");
}

/* Finds the route, or answers that there is none. */
static void find_route(struct exchange *ex)
{
    bool options = strcmp(ex->method, "OPTIONS") == 0;
    if (ex->http.path.len == 0) {
        redirect_to_base(ex);
        return;
    }
    if (options && span_equal_str(ex->http.path, "*")) {
        answer_options(ex, true);
        return;
    }
    switch (route_find(ex->method, ex->http.path, &ex->arena, &ex->match)) {
    case ROUTE_FOUND:
        memcpy(ex->http.args, ex->match.args, sizeof ex->http.args);
        for (size_t i = 0; i < HTTP_ARGS_MAX; i++)
            if (!utf8_valid(ex->http.args[i]))
                exchange_refuse(ex, 400, DP_INVALID, "the path holds bytes that are not UTF-8");
        break;
    case ROUTE_NO_METHOD:
        if (options)
            answer_options(ex, false);
        else
            refuse_method(ex);
        break;
    case ROUTE_NO_PATH: refuse_path(ex); break;
    case ROUTE_BAD_PATH: exchange_refuse(ex, 400, DP_INVALID, "the path is badly encoded"); break;
    case ROUTE_NOMEM: exchange_refuse(ex, 503, DP_NOMEM, "out of memory"); break;
    }
}

/* Refuses a request that calls the server by an unknown name: a web page may have rebound its own name to this
 * server's address, and its browser then takes the page and the server for one site. */
static void judge_host(struct exchange *ex)
{
    if (site_knows_host(&ex->context->auth.sites, &ex->head))
        return;
    const struct span host = shown_host(ex);
    const char *message = arena_printf(
        &ex->arena,
        "this server does not answer to the host %.*s, only to addresses, localhost and the names of its "
        "setting --allowed-hosts",
        SPAN_FMT(host));
    exchange_refuse(ex, 403, DP_DENIED, message ? message : "this server does not answer to that host");
}

/* Judges the declared length and the encoding of the body. */
static void begin_body(struct exchange *ex)
{
    const struct route *route = ex->match.route;
    const bool large = route && route->body == BODY_LARGE;
    const size_t most = large ? ex->context->large_body_max : ex->context->body_max;
    enum body_encoding encoding;
    char message[96];
    const bool known = decode_find(head_value(&ex->head, "content-encoding"), &encoding);
    request_body_begin(&ex->body, encoding, most, large);
    if (ex->head.content_length > most) {
        snprintf(message, sizeof message, "the body has %" PRIu64 " bytes, but at most %zu are allowed",
                 ex->head.content_length, most);
        exchange_refuse(ex, 413, DP_TOO_LARGE, message);
        if (large || ex->head.content_length / SWALLOW_FACTOR > most)
            ex->must_close = true;
    } else if (!known) {
        exchange_refuse(ex, 415, DP_UNSUPPORTED,
                        "this server knows no Content-Encoding but \"gzip\" and \"zstd\"");
    }
}

/* Answers with the refusal of the key. */
static void refuse_key(struct exchange *ex)
{
    auth_write_refusal(&ex->auth, ex->match.dialect, &ex->response);
    ex->refused = true;
}

static void judge_key(struct exchange *ex)
{
    const struct auth_subject subject = {&ex->head, ex->match.route, &ex->http, &ex->arena};
    const enum auth_verdict verdict = auth_try(&ex->auth, &ex->context->auth, &subject, &ex->call);
    ex->auth_waits = verdict == AUTH_WAIT;
    if (verdict == AUTH_REFUSED)
        refuse_key(ex);
}

/* Judges the key if judge_key had to leave that for later. May block. */
static void judge_key_late(struct exchange *ex)
{
    if (!ex->auth_waits)
        return;
    ex->auth_waits = false;
    if (auth_admit(&ex->call, &ex->auth) == AUTH_REFUSED)
        refuse_key(ex);
}

/* Runs after the handler. If the gate refused something, that refusal becomes the answer. A failed request gets
 * back what it spent. */
static void settle_key(struct exchange *ex)
{
    if (auth_gate_refused(&ex->auth) && !ex->refused)
        refuse_key(ex);
    if (ex->response.status >= 400)
        auth_give_back(&ex->auth);
}

/* Takes the time limit that the client sets. */
static void begin_time(struct exchange *ex)
{
    const struct span header = head_value(&ex->head, "x-request-timeout");
    if (header.data && !time_limit_read(header, &ex->timeout_ms))
        exchange_refuse(ex, 400, DP_INVALID,
                        "the header X-Request-Timeout has to be a number of seconds, such as 2.5");
}

void exchange_begin(struct exchange *ex)
{
    struct dp_error error = {.status = DP_OK};
    ex->active = true;
    atomic_fetch_add(&ex->context->in_flight, 1);
    metric_add(ex->context->in_flight_gauge, 1);
    call_init(&ex->call, &ex->arena);
    ex->call.cancelled = &ex->cancelled;
    ex->timeout_ms = ex->context->request_timeout_ms;
    size_t method_len = ex->head.method.len < sizeof ex->method ? ex->head.method.len : sizeof ex->method - 1;
    memcpy(ex->method, ex->head.method.data, method_len);
    ex->method[method_len] = '\0';
    ex->http = (struct http_request){.method = ex->method, .header = get_header, .header_ctx = &ex->head};
    request_ids_choose(&ex->head, ex->context->id_seed, atomic_fetch_add(&ex->context->next_id, 1), &ex->ids);
    memcpy(ex->call.trace_id, ex->ids.numbers, sizeof ex->call.trace_id);
    ex->client[0] = '\0';
    if (ex->is_proxied)
        proxies_client(&ex->context->proxies, &ex->head, ex->client);
    unsigned refused = head_check(&ex->head, &error);
    if (refused) {
        exchange_refuse(ex, refused, error.status, error.message);
        ex->must_close = true;
    } else if (ex->line.status != DP_OK) {
        exchange_refuse(ex, 503, DP_NOMEM, "out of memory");
    } else if (!split_target(ex)) {
        exchange_refuse(ex, 400, DP_INVALID, "the request's target is malformed");
        ex->must_close = true;
    } else {
        find_route(ex);
        if (!ex->refused)
            judge_host(ex);
        if (!ex->refused)
            begin_time(ex);
        if (!ex->refused)
            begin_body(ex);
        if (!ex->refused)
            judge_key(ex);
        ex->body.waits = ex->auth_waits;
    }
    /* A refused client that waits for "100 Continue" gets the answer instead, and the connection closes. */
    if (ex->refused && ex->head.expects_continue)
        ex->must_close = true;
}

/* Sets the call's deadline. The time begins when the request is whole, so it includes the wait for a thread. */
static void limit_time(struct exchange *ex)
{
    const int64_t from_ns = ex->handed_ns ? ex->handed_ns : os_now_ns();
    ex->call.deadline_ns = from_ns + (int64_t)ex->timeout_ms * 1000000;
}

/* Says which limit ended a request, in place of the error without it. */
static void explain_time(struct exchange *ex)
{
    if (ex->response.outcome != DP_DEADLINE || ex->call.error.status != DP_DEADLINE)
        return;
    const char *message = arena_printf(
        &ex->arena, "%s (the limit is %g s: %s)", ex->call.error.message, ex->timeout_ms / 1000.0,
        ex->timeout_ms < ex->context->request_timeout_ms ? "the header X-Request-Timeout" : "--request-timeout");
    if (message)
        exchange_refuse(ex, 504, DP_DEADLINE, message);
}

static void forget_body(struct exchange *ex)
{
    request_body_clear(&ex->body, EXCHANGE_KEPT_MAX);
}

/* Answers that the body cannot be kept. */
static void refuse_body(struct exchange *ex, const struct dp_error *error)
{
    exchange_refuse(ex, http_status_of(error->status), error->status, error->message);
    forget_body(ex);
}

/* Returns true if the client of a refused request has sent so much more that its connection must be cut. */
static bool swallowed_enough(const struct exchange *ex)
{
    const uint64_t kept = ex->body.large ? ex->body.max : 0;
    return ex->body_received > kept && (ex->body_received - kept) / SWALLOW_FACTOR > ex->context->body_max;
}

/* Keeps a piece of the body, or refuses the request. Before the key is judged, the kept bytes are few and do
 * not count against the limit of all bodies, so that clients without a key cannot use it up. */
static void take_piece(struct exchange *ex, uint64_t before, struct span bytes)
{
    const struct route *route = ex->match.route;
    struct dp_error error = {.status = DP_OK};
    if (bytes.len > ex->body.max - before)
        dp_fail(&error, DP_TOO_LARGE, "the body has more than %zu bytes", ex->body.max);
    else if (route && route->body != BODY_DROPPED)
        request_body_keep(&ex->body, bytes, &error);
    if (error.status != DP_OK)
        refuse_body(ex, &error);
}

enum exchange_next exchange_body(struct exchange *ex, struct span bytes)
{
    const uint64_t before = ex->body_received;
    ex->body_received += bytes.len;
    if (ex->refused)
        return swallowed_enough(ex) ? EXCHANGE_CUT : EXCHANGE_MORE;
    take_piece(ex, before, bytes);
    if (!ex->refused && ex->auth_waits && ex->body.received.len > EXCHANGE_UNJUDGED_MAX)
        return EXCHANGE_JUDGE;
    return !ex->refused && request_body_is_full(&ex->body) ? EXCHANGE_STORE : EXCHANGE_MORE;
}

void exchange_judge(struct exchange *ex)
{
    const int64_t deadline_ns = ex->call.deadline_ns;
    struct dp_error error;
    if (!ex->refused) {
        limit_time(ex);
        judge_key_late(ex);
        ex->call.deadline_ns = deadline_ns; /* the time limit of the handler begins later */
    }
    if (ex->refused)
        forget_body(ex);
    else if (request_body_count(&ex->body, &error) != DP_OK)
        refuse_body(ex, &error);
}

void exchange_store(struct exchange *ex)
{
    const int64_t deadline_ns = ex->call.deadline_ns;
    if (ex->refused) {
        forget_body(ex);
        return;
    }
    limit_time(ex);
    if (request_body_store(&ex->call, &ex->body) != DP_OK)
        refuse_body(ex, &ex->call.error);
    ex->call.deadline_ns = deadline_ns; /* the time limit of the handler begins later */
}

uint64_t exchange_client(const struct exchange *ex)
{
    const char *name = ex->auth.pass.key ? account_key_id(&ex->auth.pass) : ex->client;
    if (!*name)
        return ex->number;
    uint64_t number = 0;
    for (const char *at = name; *at; at++)
        number = splitmix64_mix(number ^ (unsigned char)*at);
    return number | UINT64_C(1) << 63; /* no connection has this bit */
}

/* Runs the handler on the whole body. */
static void run_handler(struct exchange *ex)
{
    struct span body;
    if (request_body_finish(&ex->call, &ex->body, &body) != DP_OK) {
        refuse_body(ex, &ex->call.error);
        return;
    }
    ex->http.body = body;
    ex->call.client = exchange_client(ex);
    ex->match.route->handler(&ex->call, &ex->context->api, &ex->http, &ex->response);
    ex->http.body = span_of(NULL, 0);
}

/* Counts a large answer, and the arena that it was made from, against the limit of all answers that clients
 * have not read yet. Refuses the request above that limit. Does not count small answers, because every
 * connection may keep that much memory anyway. */
static void hold_answer(struct exchange *ex)
{
    struct exchange_context *c = ex->context;
    size_t bytes = ex->arena.used + ex->response.body.cap;
    if (bytes <= 2 * (size_t)EXCHANGE_KEPT_MAX)
        return;
    if (byte_quota_take(&c->answers, bytes)) {
        ex->answer_held = bytes;
        return;
    }
    http_response_deinit(&ex->response);
    http_response_init(&ex->response);
    arena_deinit(&ex->arena);
    arena_init(&ex->arena, EXCHANGE_ARENA_MAX);
    exchange_refuse(ex, 503, DP_OVERLOADED,
                    "answers that other clients have yet to read fill the memory set aside "
                    "for answers; try again");
}

/* Compresses a long answer if its route permits that and the client asks for it. */
static void compress_answer(struct exchange *ex)
{
    const struct route *route = ex->match.route;
    struct buffer *body = &ex->response.body;
    if (!route || !(route->flags & ROUTE_PACKS) || ex->response.static_body.data || body->len < ENCODE_LEAST)
        return;
    http_add_header(&ex->response, "Vary", "Accept-Encoding");
    const enum body_encoding encoding = encode_choose(head_value(&ex->head, "accept-encoding"));
    const size_t room = encode_room(encoding, body->len);
    if (encoding == ENCODING_IDENTITY || !byte_quota_take(&ex->context->answers, room))
        return;
    if (encode_body(encoding, body))
        http_add_header(&ex->response, "Content-Encoding", encoding == ENCODING_ZSTD ? "zstd" : "gzip");
    byte_quota_give(&ex->context->answers, room);
}

/* Discards the body, and adds the headers that every answer has. */
static void finish_answer(struct exchange *ex, int64_t started_ns)
{
    forget_body(ex);
    server_timing_add(&ex->response, &ex->arena, &ex->call.cost, ex->began_ns,
                      ex->handed_ns ? (uint64_t)(started_ns - ex->handed_ns) : 0);
    auth_add_headers(&ex->auth, &ex->response);
    http_add_header(&ex->response, "X-Request-Id", ex->ids.id);
    http_add_header(&ex->response, "X-Content-Type-Options", "nosniff");
    site_add_cors(&ex->context->auth.sites, &ex->head, &ex->arena, &ex->response);
}

/* Tries to answer on the I/O thread. Returns false if a request thread must answer, as for every large body:
 * parsing one here would delay other connections. */
static bool attempt_answer(struct exchange *ex)
{
    const struct route *route = ex->match.route;
    if (!route->attempt || ex->body.received.len > EXCHANGE_ATTEMPT_MAX || ex->body.encoding != ENCODING_IDENTITY)
        return false;
    ex->http.body = buffer_span(&ex->body.received);
    bool answered = route->attempt(&ex->call, &ex->context->api, &ex->http, &ex->response);
    ex->http.body = span_of(NULL, 0);
    if (answered) {
        hold_answer(ex);
        settle_key(ex);
        finish_answer(ex, 0);
    } else {
        dp_error_clear(&ex->call.error);
    }
    return answered;
}

bool exchange_try(struct exchange *ex)
{
    if (!ex->refused && ex->auth_waits)
        return false;
    if (!ex->refused && ex->match.route && (ex->match.route->flags & ROUTE_BLOCKS))
        return attempt_answer(ex);
    exchange_run(ex);
    return true;
}

void exchange_run(struct exchange *ex)
{
    int64_t started_ns = ex->handed_ns ? os_now_ns() : 0;
    if (!ex->refused) {
        limit_time(ex);
        judge_key_late(ex);
    }
    if (!ex->refused) {
        /* while the request waited, the client has left, or the server has begun to end */
        if (call_check(&ex->call) != DP_OK)
            api_fail(&ex->call, ex->match.dialect, &ex->response);
        else
            run_handler(ex);
        explain_time(ex);
        hold_answer(ex);
        if (ex->response.outcome == DP_CANCELLED && atomic_load(ex->context->api.draining))
            exchange_refuse(ex, 503, DP_UNAVAILABLE, "the server is ending");
        settle_key(ex);
        compress_answer(ex);
    }
    finish_answer(ex, started_ns);
}

struct span exchange_answer(const struct exchange *ex)
{
    return ex->response.static_body.data ? ex->response.static_body : buffer_span(&ex->response.body);
}

static void log_access(const struct exchange *ex, double seconds, bool sent)
{
    const struct account_pass *pass = &ex->auth.pass;
    const struct access_entry entry = {.id = ex->ids.id,
                                       .trace = ex->ids.trace,
                                       .peer = ex->client[0] ? ex->client : ex->peer,
                                       .method = ex->method,
                                       .path = ex->http.path,
                                       .target = ex->target,
                                       .route = ex->match.route ? ex->match.route->pattern : NULL,
                                       .status = ex->response.status,
                                       .outcome = ex->response.outcome,
                                       .seconds = seconds,
                                       .bytes_in = ex->body_received,
                                       .bytes_out = exchange_answer(ex).len,
                                       .key = pass->key ? account_key_id(pass) : NULL,
                                       .tier = pass->key ? account_tier_name(pass) : NULL,
                                       .cost = &ex->call.cost,
                                       .sent = sent};
    access_log(ex->context->log, &entry);
}

void exchange_end(struct exchange *ex, bool sent)
{
    struct exchange_context *c = ex->context;
    if (ex->active) {
        double seconds = (double)(os_now_ns() - ex->began_ns) * 1e-9;
        route_metrics_count(c->metrics, ex->match.route, ex->response.status, seconds);
        if (ex->match.route && (ex->match.route->flags & ROUTE_EMBEDS))
            embed_metrics_count(&c->embed_metrics, &ex->response, &ex->call.cost, seconds);
        metric_add(c->request_bytes, (int64_t)ex->body_received);
        metric_add(c->response_bytes, (int64_t)exchange_answer(ex).len);
        log_access(ex, seconds, sent);
        metric_add(c->in_flight_gauge, -1);
        atomic_fetch_sub(&c->in_flight, 1);
    }
    auth_end(&ex->auth);
    ex->auth_waits = false;
    forget_body(ex);
    byte_quota_give(&c->answers, ex->answer_held);
    ex->answer_held = 0;
    ex->active = ex->refused = ex->must_close = false;
    ex->body_received = 0;
    ex->handed_ns = 0;
    atomic_store(&ex->cancelled, false);
    ex->match = (struct route_match){.route = NULL};
    ex->target = span_of(NULL, 0);
    if (ex->response.body.cap > EXCHANGE_KEPT_MAX) {
        http_response_deinit(&ex->response);
        http_response_init(&ex->response);
    }
    http_response_clear(&ex->response);
    if (ex->arena.used > EXCHANGE_KEPT_MAX) {
        arena_deinit(&ex->arena);
        arena_init(&ex->arena, EXCHANGE_ARENA_MAX);
    } else {
        arena_reset(&ex->arena);
    }
}
