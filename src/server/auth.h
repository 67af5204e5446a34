/* server/auth.h: checks the API key of a request, and whether the key may do what the request asks for.
 *
 * It judges the head, the route and the names of a request, and answers a verdict. It knows nothing of exchanges:
 * the caller acts on the verdict, and lets auth_write_refusal() write a refusal. A struct auth belongs to one
 * request, and to one thread at a time.
 */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include "account/accounts.h"
#include "os/gate.h"
#include "server/head.h"
#include "server/routes.h"
#include "server/sites.h"

/* The settings of a server. */
struct auth_rules {
    struct accounts *accounts; /* NULL: no request needs a key */
    bool watch_needs_key;      /* whether /health and /metrics need a key, too */
    struct site_rules sites;   /* which web sites a request may come from */
};

enum auth_verdict { AUTH_GRANTED, AUTH_REFUSED, AUTH_WAIT };

/* The request to judge. It lives as long as the request. */
struct auth_subject {
    const struct head *head;
    const struct route *route;
    const struct http_request *http; /* has the names in the path and in the query */
    struct arena *arena;
};

/* The check of one request. All zero: of no request. */
struct auth {
    const struct auth_rules *rules;
    struct auth_subject subject;
    struct account_pass pass;
    struct gate gate; /* the gate of the call; its context is this struct, which must not move */
    bool is_foreign;  /* whether auth_try() refused a request from a web page of another site */
};

/* Judges a request without blocking. If the server has accounts, sets call->gate. A server without accounts
 * refuses requests from web pages of other sites. AUTH_WAIT: the caller must call auth_admit(). */
enum auth_verdict auth_try(struct auth *a, const struct auth_rules *rules, const struct auth_subject *subject,
                           struct call *call);
/* Judges a request after AUTH_WAIT. It may block. Returns AUTH_GRANTED or AUTH_REFUSED. */
enum auth_verdict auth_admit(struct call *call, struct auth *a);
/* Returns whether the key was refused, or the gate refused the handler a name or embeddings. */
bool auth_gate_refused(const struct auth *a);
/* Writes the refusal into the response, in the shape of the dialect. */
void auth_write_refusal(const struct auth *a, const struct api_dialect *dialect, struct http_response *response);
/* Gives back the embeddings that a failed request has spent. */
void auth_give_back(struct auth *a);
/* Adds the X-RateLimit headers, if the key has limits. */
void auth_add_headers(struct auth *a, struct http_response *response);
/* Ends the check and zeroes *a. */
void auth_end(struct auth *a);

/* Returns the API key of the header Authorization, X-API-Key or Api-Key; data NULL: the request shows no key. */
struct span auth_key_of(const struct head *head);

#endif
