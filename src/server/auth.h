/* server/auth.h: who asks, and what they may do: stands between the limits of a request and its handler.
 *
 * Takes a request's head, route and names, and answers a verdict. It knows nothing of exchanges: whoever asks acts on
 * the verdict, and has the refusal written into the response. An auth belongs to one request, and to one thread at a
 * time.
 */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include "account/accounts.h"
#include "os/gate.h"
#include "server/head.h"
#include "server/routes.h"

/* Of a server. */
struct auth_rules {
    struct accounts *accounts; /* NULL: nobody needs a key */
    bool watch_needs_key;      /* /health and /metrics too */
    const char *cors_origin;   /* pages of this site may ask, "*": of any; NULL: of none */
};

enum auth_verdict { AUTH_GRANTED, AUTH_REFUSED, AUTH_WAIT };

/* What is judged. Lives as long as its request. */
struct auth_subject {
    const struct head *head;
    const struct route *route;
    const struct http_request *http; /* the names in the path and in the query */
    struct arena *arena;
};

/* Zeroed: nobody's. */
struct auth {
    const struct auth_rules *rules;
    struct auth_subject subject;
    struct account_pass pass;
    struct gate gate; /* what the handler may come to; its context is this struct, which must not move */
    bool is_foreign;  /* refused because a web page of another site asks */
};

/* Judges what can be judged without blocking, and gives the call its gate where the server has accounts. A server
 * without accounts refuses requests from web pages of other sites. AUTH_WAIT: auth_admit must be called. */
enum auth_verdict auth_try(struct auth *a, const struct auth_rules *rules, const struct auth_subject *subject,
                           struct call *call);
/* On a thread that may block. AUTH_GRANTED or AUTH_REFUSED. */
enum auth_verdict auth_admit(struct call *call, struct auth *a);
/* Whether the gate refused the handler something that the key may not do or pay. */
bool auth_gate_refused(const struct auth *a);
/* Answers with the refusal, in the dialect's shape. */
void auth_write_refusal(const struct auth *a, const struct api_dialect *dialect, struct http_response *response);
/* The request failed: what it spent is not counted. */
void auth_give_back(struct auth *a);
/* Adds the X-RateLimit headers. */
void auth_add_headers(struct auth *a, struct http_response *response);
/* Ends the request; the auth is zeroed. */
void auth_end(struct auth *a);

/* The key that a request shows, in any of the ways that clients have; data NULL: none. */
struct span auth_key_of(const struct head *head);

#endif
