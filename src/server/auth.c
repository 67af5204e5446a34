/* auth.c: the keys of requests, in front of the handlers, and the gate of each call behind them (os/gate.h). Both ask the
 * route's fields alone, never its pattern. A key's text goes to src/account and nowhere else: no message, log or metric
 * has it. */
#include "server/auth.h"

#include <string.h>
#include <strings.h>

#include "os/clock.h"

/* "Bearer KEY", as RFC 6750 says; the scheme's letters may be of either case. */
static struct span bearer_of(struct span value)
{
    static const char scheme[] = "Bearer ";
    const size_t len = sizeof scheme - 1;
    if (value.len <= len || strncasecmp((const char *)value.data, scheme, len) != 0)
        return span_of(NULL, 0);
    struct span key = span_of(value.data + len, value.len - len);
    while (key.len && key.data[0] == ' ')
        key = span_of(key.data + 1, key.len - 1);
    return key;
}

struct span auth_key_of(const struct head *head)
{
    struct span key = bearer_of(head_value(head, "authorization"));
    if (!key.data)
        key = head_value(head, "x-api-key");
    if (!key.data)
        key = head_value(head, "api-key");
    return key;
}

/* ---- refusals --------------------------------------------------------------------------------------- */

static const struct {
    unsigned status;
    enum dp_status outcome;
    const char *message;
} REFUSALS[ACCOUNT_REASONS] = {
    [ACCOUNT_NO_KEY] = {401, DP_DENIED,
                        "this server asks for an API key: send \"Authorization: Bearer YOUR_KEY\""},
    [ACCOUNT_WRONG_KEY] = {401, DP_DENIED, "the API key is not valid: it is unknown, revoked or expired"},
    [ACCOUNT_NO_RIGHT] = {403, DP_DENIED, "the API key may not do that: it lacks the right"},
    [ACCOUNT_NO_NAMESPACE] = {403, DP_DENIED,
                              "the API key may not touch that namespace, only those whose names begin as "
                              "it allows (a list of namespaces needs such a \"prefix\")"},
    [ACCOUNT_MINUTE_OVER] = {429, DP_OVERLOADED, "too many requests in this minute for the tier of the API key"},
    [ACCOUNT_MONTH_OVER] = {429, DP_OVERLOADED,
                            "the embeddings of this month are used up for the tier of the API key"},
    [ACCOUNT_BUSY] = {503, DP_OVERLOADED, "too many API keys are being looked at for the first time; try again"},
    [ACCOUNT_AWAY] = {503, DP_UNAVAILABLE, "the accounts' database does not answer; try again"},
};

/* When a limit is lifted, for clients: the header's seconds, and the moment itself. */
static void refuse_limit(struct exchange *ex, const char *message)
{
    const struct api_dialect *dialect = ex->match.dialect;
    const int64_t reset_ms = ex->pass.view.reset_ms, now_ms = os_wall_ms();
    char moment[25];
    os_format_utc(reset_ms, moment);
    const char *reset_at = arena_printf(&ex->arena, "%.19sZ", moment);
    int64_t seconds = reset_ms > now_ms ? (reset_ms - now_ms + 999) / 1000 : 1;
    if (dialect->limited && reset_at)
        dialect->limited(&ex->response, 429, api_error_code(429), message, reset_at);
    else
        dialect->error(&ex->response, 429, api_error_code(429), message);
    http_add_header(&ex->response, "Retry-After", arena_printf(&ex->arena, "%lld", (long long)seconds));
    ex->refused = true;
}

static void refuse(struct exchange *ex)
{
    const enum account_reason reason = ex->pass.reason;
    const unsigned status = REFUSALS[reason].status;
    if (status == 429)
        refuse_limit(ex, REFUSALS[reason].message);
    else
        exchange_refuse(ex, status, REFUSALS[reason].outcome, REFUSALS[reason].message);
    if (status == 401)
        http_add_header(&ex->response, "WWW-Authenticate", "Bearer");
    ex->response.outcome = REFUSALS[reason].outcome;
}

/* ---- the chain -------------------------------------------------------------------------------------- */

/* Which right of a key a route wants; 0: any key will do. */
static unsigned right_of(const struct route *route)
{
    switch (route->right) {
    case RIGHT_TO_EMBED: return RIGHT_EMBED;
    case RIGHT_TO_READ: return RIGHT_READ;
    case RIGHT_TO_WRITE: return RIGHT_WRITE;
    case RIGHT_OF_ANYONE:
    case RIGHT_OF_WATCHER:
    case RIGHT_OF_KEY: return 0;
    case RIGHT_FORGOTTEN: break;
    }
    return ~0U; /* the server does not start with such a route */
}

/* The name, or the beginning of names, that a route's scope begins with; data NULL: it touches none. */
static struct span scope_of(struct exchange *ex)
{
    struct dp_error error;
    struct span prefix;
    switch (ex->match.route->scope) {
    case SCOPE_NOTHING: return span_of(NULL, 0);
    case SCOPE_PATH:
    case SCOPE_PATH_AND_BODY: return ex->http.args[0];
    case SCOPE_LIST: /* the handler answers a malformed query; here it counts as asking for all */
        if (http_query_arg(&ex->http, &ex->arena, "prefix", &prefix, &error) == DP_OK && prefix.data)
            return prefix;
        break;
    case SCOPE_EVERYTHING:
    case SCOPE_FORGOTTEN: break;
    }
    return span_str("");
}

/* ---- the gate of the call: what the handler comes to ------------------------------------------------- */

static enum gate_answer gate_answer_of(enum account_verdict verdict)
{
    return verdict == ACCOUNT_GRANTED ? GATE_GRANTED : verdict == ACCOUNT_REFUSED ? GATE_REFUSED : GATE_WAIT;
}

static enum gate_answer enter(void *context, enum gate_use use, struct span name)
{
    struct exchange *ex = context;
    const enum route_scope scope = ex->match.route->scope;
    const bool by_path = scope == SCOPE_PATH && span_equal(name, ex->http.args[0]);
    if (!ex->pass.key || (!by_path && scope != SCOPE_PATH_AND_BODY && scope != SCOPE_EVERYTHING))
        return GATE_REFUSED;
    return gate_answer_of(account_may(&ex->pass, use == GATE_READ ? RIGHT_READ : RIGHT_WRITE, name));
}

static enum gate_answer list(void *context, struct span prefix)
{
    struct exchange *ex = context;
    if (!ex->pass.key || ex->match.route->scope != SCOPE_LIST)
        return GATE_REFUSED;
    return gate_answer_of(account_may(&ex->pass, RIGHT_READ, prefix.data ? prefix : span_str("")));
}

static bool sees(void *context, struct span name)
{
    const struct exchange *ex = context;
    return ex->pass.key && account_sees(&ex->pass, name);
}

static enum gate_answer spend(void *context, struct call *call, size_t texts)
{
    struct exchange *ex = context;
    if (!ex->pass.key || ex->match.route->price != PRICE_TEXTS)
        return GATE_REFUSED;
    return gate_answer_of(call ? account_spend(call, &ex->pass, (int64_t)texts)
                               : account_try_spend(&ex->pass, (int64_t)texts));
}

/* What follows from a key's verdict. */
static void judge(struct exchange *ex, enum account_verdict verdict)
{
    if (verdict == ACCOUNT_GRANTED)
        verdict = account_may(&ex->pass, right_of(ex->match.route), scope_of(ex));
    if (verdict == ACCOUNT_REFUSED)
        refuse(ex);
}

/* Whether a web page of another site asks, which browsers say (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/).
 * Links to the page are followed from anywhere. */
static bool is_foreign_page(const struct exchange *ex)
{
    const struct span site = head_value(&ex->head, "sec-fetch-site");
    const struct span origin = head_value(&ex->head, "origin");
    const char *allowed = ex->context->cors_origin;
    if (!site.data || span_equal_str(site, "same-origin") || span_equal_str(site, "none"))
        return false;
    if (allowed && (strcmp(allowed, "*") == 0 || span_equal_str(origin, allowed)))
        return false;
    return strcmp(ex->match.route->method, "GET") != 0 ||
           !span_equal_str(head_value(&ex->head, "sec-fetch-mode"), "navigate");
}

void auth_begin(struct exchange *ex)
{
    struct exchange_context *c = ex->context;
    const enum route_right right = ex->match.route->right;
    if (!c->accounts) {
        if (right > RIGHT_OF_WATCHER && is_foreign_page(ex))
            exchange_refuse(ex, 403, DP_DENIED,
                            "a web page of another site may not ask this server, which asks nobody for a key: its "
                            "operator permits the site with --cors-origin, or asks for keys with --auth");
        return;
    }
    ex->gate = (struct gate){.enter = enter, .list = list, .sees = sees, .spend = spend, .ctx = ex};
    ex->call.gate = &ex->gate; /* also where nobody is asked for a key: such a handler comes to nothing */
    if (right == RIGHT_OF_ANYONE || (right == RIGHT_OF_WATCHER && !c->watch_needs_key))
        return;
    enum account_verdict verdict = accounts_try(c->accounts, auth_key_of(&ex->head), &ex->pass);
    if (verdict == ACCOUNT_WAIT)
        ex->auth_waits = true;
    else
        judge(ex, verdict);
}

void auth_wait(struct exchange *ex)
{
    if (!ex->auth_waits)
        return;
    ex->auth_waits = false;
    judge(ex, accounts_admit(&ex->call, ex->context->accounts, auth_key_of(&ex->head), &ex->pass));
}

void auth_after(struct exchange *ex)
{
    if (ex->pass.reason != ACCOUNT_FINE && !ex->refused)
        refuse(ex);
    if (ex->response.status >= 400)
        account_give_back(&ex->pass);
}

void auth_headers(struct exchange *ex)
{
    account_look(&ex->pass);
    if (!ex->pass.has_view)
        return;
    const struct quota_view *view = &ex->pass.view;
    struct arena *arena = &ex->arena;
    http_add_header(&ex->response, "X-RateLimit-Limit", arena_printf(arena, "%lld", (long long)view->limit));
    http_add_header(&ex->response, "X-RateLimit-Remaining",
                    arena_printf(arena, "%lld", (long long)view->remaining));
    http_add_header(&ex->response, "X-RateLimit-Reset",
                    arena_printf(arena, "%lld", (long long)(view->reset_ms / 1000)));
}

void auth_end(struct exchange *ex)
{
    account_leave(&ex->pass);
    ex->auth_waits = false;
}
