/* auth.c: judges the key of a request before its handler runs, and provides the gate of the request's call
 * (os/gate.h). Both depend on the route's fields only, never on its pattern. No message, log or metric has a
 * key's text: only src/account looks at it. */
#include "server/auth.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "os/clock.h"

/* Returns the key of "Bearer KEY" (RFC 6750), with the scheme in any case. Data NULL: the value has another
 * form. */
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
    [ACCOUNT_NO_RIGHT] = {403, DP_DENIED, "the API key lacks the right to do that"},
    [ACCOUNT_NO_NAMESPACE] = {403, DP_DENIED,
                              "the API key may not touch that namespace, only those whose names begin with "
                              "its prefixes (a list of namespaces needs such a \"prefix\")"},
    [ACCOUNT_MINUTE_OVER] = {429, DP_OVERLOADED, "too many requests in this minute for the tier of the API key"},
    [ACCOUNT_MONTH_OVER] = {429, DP_OVERLOADED,
                            "the embeddings of this month are used up for the tier of the API key"},
    [ACCOUNT_BUSY] = {503, DP_OVERLOADED, "too many new API keys are being checked; try again"},
    [ACCOUNT_AWAY] = {503, DP_UNAVAILABLE, "the accounts' database does not answer; try again"},
};

/* Answers 429 and says when the limit ends: in the Retry-After header, and in the body if the dialect has a
 * field for it. */
static void write_limit(const struct auth *a, const struct api_dialect *dialect, const char *message,
                        struct http_response *response)
{
    struct arena *arena = a->subject.arena;
    const int64_t reset_ms = a->pass.view.reset_ms, now_ms = os_wall_ms();
    char moment[25];
    os_format_utc(reset_ms, moment);
    const char *reset_at = arena_printf(arena, "%.19sZ", moment);
    int64_t seconds = reset_ms > now_ms ? (reset_ms - now_ms + 999) / 1000 : 1;
    if (dialect->limited && reset_at)
        dialect->limited(response, 429, api_error_code(429, DP_OVERLOADED), message, reset_at);
    else
        dialect->error(response, 429, api_error_code(429, DP_OVERLOADED), message);
    http_add_header(response, "Retry-After", arena_printf(arena, "%" PRId64, seconds));
}

static void write_foreign(const struct api_dialect *dialect, struct http_response *response)
{
    dialect->error(response, 403, api_error_code(403, DP_DENIED),
                   "a web page of another site may not ask this server, which asks nobody for a key: its operator "
                   "can permit the site with --cors-origin, or ask for keys with --auth");
    response->outcome = DP_DENIED;
}

void auth_write_refusal(const struct auth *a, const struct api_dialect *dialect, struct http_response *response)
{
    const enum account_reason reason = a->pass.reason;
    const unsigned status = REFUSALS[reason].status;
    if (a->is_foreign) {
        write_foreign(dialect, response);
        return;
    }
    if (status == 429)
        write_limit(a, dialect, REFUSALS[reason].message, response);
    else
        dialect->error(response, status, api_error_code(status, REFUSALS[reason].outcome),
                       REFUSALS[reason].message);
    if (status == 401)
        http_add_header(response, "WWW-Authenticate", "Bearer");
    if (status == 503)
        http_add_header(response, "Retry-After", "1");
    response->outcome = REFUSALS[reason].outcome;
}

/* ---- the chain -------------------------------------------------------------------------------------- */

/* Returns the right that a key needs for a route; 0: none. */
static unsigned right_of(const struct route *route)
{
    switch (route->right) {
    case RIGHT_TO_EMBED: return RIGHT_EMBED;
    case RIGHT_TO_READ: return RIGHT_READ;
    case RIGHT_TO_WRITE: return RIGHT_WRITE;
    case RIGHT_TO_ADMIN: return RIGHT_ADMIN;
    case RIGHT_OF_ANYONE:
    case RIGHT_OF_WATCHER:
    case RIGHT_OF_KEY: return 0;
    case RIGHT_FORGOTTEN: break;
    }
    return ~0U; /* routes_check refuses such a route */
}

/* Returns the name, or the prefix of names, that the request touches; data NULL: none. */
static struct span scope_of(const struct auth_subject *subject)
{
    struct dp_error error;
    struct span prefix;
    switch (subject->route->scope) {
    case SCOPE_NOTHING: return span_of(NULL, 0);
    case SCOPE_PATH:
    case SCOPE_PATH_AND_BODY: return subject->http->args[0];
    case SCOPE_LIST: /* a malformed query counts as a request for all names; the handler refuses it */
        if (http_query_arg(subject->http, subject->arena, "prefix", &prefix, &error) == DP_OK && prefix.data)
            return prefix;
        break;
    case SCOPE_EVERYTHING:
    case SCOPE_FORGOTTEN: break;
    }
    return span_str("");
}

/* ---- the gate of the call ---------------------------------------------------------------------------- */

static enum gate_answer gate_answer_of(enum account_verdict verdict)
{
    return verdict == ACCOUNT_GRANTED ? GATE_GRANTED : verdict == ACCOUNT_REFUSED ? GATE_REFUSED : GATE_WAIT;
}

static enum gate_answer auth_enter(void *context, enum gate_use use, struct span name)
{
    struct auth *a = context;
    const enum route_scope scope = a->subject.route->scope;
    const bool by_path = scope == SCOPE_PATH && span_equal(name, a->subject.http->args[0]);
    if (!a->pass.key || (!by_path && scope != SCOPE_PATH_AND_BODY && scope != SCOPE_EVERYTHING))
        return GATE_REFUSED;
    return gate_answer_of(account_may(&a->pass, use == GATE_READ ? RIGHT_READ : RIGHT_WRITE, name));
}

static enum gate_answer auth_list(void *context, struct span prefix)
{
    struct auth *a = context;
    if (!a->pass.key || a->subject.route->scope != SCOPE_LIST)
        return GATE_REFUSED;
    return gate_answer_of(account_may(&a->pass, RIGHT_READ, prefix.data ? prefix : span_str("")));
}

static bool auth_sees(void *context, struct span name)
{
    const struct auth *a = context;
    return a->pass.key && account_sees(&a->pass, name);
}

static enum gate_answer auth_spend(void *context, struct call *call, size_t texts)
{
    struct auth *a = context;
    if (!a->pass.key || a->subject.route->price != PRICE_TEXTS)
        return GATE_REFUSED;
    return gate_answer_of(call ? account_spend(call, &a->pass, (int64_t)texts)
                               : account_try_spend(&a->pass, (int64_t)texts));
}

/* ---- verdicts ---------------------------------------------------------------------------------------- */

/* Judges whether a granted key may use the route. */
static enum auth_verdict judge_route(struct auth *a, enum account_verdict verdict)
{
    if (verdict == ACCOUNT_GRANTED)
        verdict = account_may(&a->pass, right_of(a->subject.route), scope_of(&a->subject));
    return verdict == ACCOUNT_REFUSED ? AUTH_REFUSED : AUTH_GRANTED;
}

enum auth_verdict auth_try(struct auth *a, const struct auth_rules *rules, const struct auth_subject *subject,
                           struct call *call)
{
    const enum route_right right = subject->route->right;
    a->rules = rules;
    a->subject = *subject;
    if (!rules->accounts) {
        a->is_foreign = right > RIGHT_OF_WATCHER &&
                        site_is_foreign(&rules->sites, subject->head, span_str(subject->route->method));
        return a->is_foreign ? AUTH_REFUSED : AUTH_GRANTED;
    }
    a->gate =
        (struct gate){.enter = auth_enter, .list = auth_list, .sees = auth_sees, .spend = auth_spend, .ctx = a};
    call->gate = &a->gate; /* also for routes that need no key: their handlers may touch nothing */
    if (right == RIGHT_OF_ANYONE || (right == RIGHT_OF_WATCHER && !rules->watch_needs_key))
        return AUTH_GRANTED;
    enum account_verdict verdict = accounts_try(rules->accounts, auth_key_of(subject->head), &a->pass);
    return verdict == ACCOUNT_WAIT ? AUTH_WAIT : judge_route(a, verdict);
}

enum auth_verdict auth_admit(struct call *call, struct auth *a)
{
    return judge_route(a, accounts_admit(call, a->rules->accounts, auth_key_of(a->subject.head), &a->pass));
}

bool auth_gate_refused(const struct auth *a)
{
    return a->pass.reason != ACCOUNT_FINE;
}

void auth_give_back(struct auth *a)
{
    account_give_back(&a->pass);
}

void auth_add_headers(struct auth *a, struct http_response *response)
{
    account_look(&a->pass);
    if (!a->pass.has_view)
        return;
    const struct quota_view *view = &a->pass.view;
    struct arena *arena = a->subject.arena;
    http_add_header(response, "X-RateLimit-Limit", arena_printf(arena, "%" PRId64, view->limit));
    http_add_header(response, "X-RateLimit-Remaining", arena_printf(arena, "%" PRId64, view->remaining));
    http_add_header(response, "X-RateLimit-Reset", arena_printf(arena, "%" PRId64, view->reset_ms / 1000));
}

void auth_end(struct auth *a)
{
    account_leave(&a->pass);
    *a = (struct auth){.rules = NULL};
}
