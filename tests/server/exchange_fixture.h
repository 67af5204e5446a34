/* exchange_fixture.h: requests with keys through the whole chain, without sockets. */
#ifndef EXCHANGE_FIXTURE_H
#define EXCHANGE_FIXTURE_H

#include "service_fixture.h"

#include "account_fixture.h"
#include "server/exchange.h"

/* Begins an exchange with this head; `headers` are "name: value\n" lines beside Host. */
void exchange_begin_with(struct exchange *ex, const char *method, const char *target, const char *headers);

/* A server with accounts over a service with the namespace "things". chain_set_up makes new ones for each test. */
extern struct service *chain_service;
extern struct exchange_context chain_context;
extern struct exchange chain_exchange;
extern struct accounts *chain_accounts;

int chain_set_up(void **state);
int chain_tear_down(void **state);

/* Sends only the head of a request. `headers` are "name: value\n" lines beside Host. */
void chain_begin(const char *method, const char *target, const char *headers);
/* Sends a whole request. Returns true if the I/O thread answered it. */
bool chain_ask(const char *method, const char *target, const char *headers, const char *body);
/* Sends a whole request with an API key, or without one if `key` is NULL. */
bool chain_ask_with(const char *key, const char *method, const char *target, const char *body);
/* Returns a header of the answer, or NULL. */
const char *chain_header(const char *name);
/* Fails the test unless the answer has this status and contains this text. Ends the exchange. */
void chain_assert_answer(unsigned status, const char *holds);

#endif
