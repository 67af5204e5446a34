/* server/auth.h: who asks, and what they may do: the part of the chain between the limits of a request and its handler. */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include "server/exchange.h"

/* The route is found and the head is sound: grants or refuses what can be judged at once; else ex->auth_waits is set. A
 * server without accounts refuses what web pages of other sites ask. */
void auth_begin(struct exchange *ex);
/* On a thread that may block: judges what had to wait. */
void auth_wait(struct exchange *ex);
/* The handler has answered: a refusal of the quota becomes the answer, and what failed is not counted. */
void auth_after(struct exchange *ex);
/* Adds the headers that tell what is left. */
void auth_headers(struct exchange *ex);
void auth_end(struct exchange *ex);

/* The key that a request shows, in any of the ways that clients have; data NULL: none. */
struct span auth_key_of(const struct head *head);

#endif
