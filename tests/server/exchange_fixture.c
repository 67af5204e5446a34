/* exchange_fixture.c: requests with keys through the whole chain, without sockets. */
#include "exchange_fixture.h"

#include <stdio.h>

struct service *chain_service;
struct exchange_context chain_context;
struct exchange chain_exchange;
struct accounts *chain_accounts;
static _Atomic bool draining;

int chain_set_up(void **state)
{
    (void)state;
    struct dp_error error;
    chain_service = fixture_service(NULL, true);
    fixture_index(chain_service, "things", FIXTURE_ROWS);
    fixture_call_end();
    struct account_options options = fixture_options(fixture_database());
    options.registry = service_metrics(chain_service);
    chain_accounts = fixture_open(&options);
    chain_context = (struct exchange_context){.api = {.service = chain_service, .draining = &draining},
                                              .body_max = 100000,
                                              .bodies.max = 1 << 20,
                                              .answers.max = 1 << 20,
                                              .spilled.max = 1 << 20,
                                              .large_body_max = 100000,
                                              .request_timeout_ms = 60000,
                                              .auth.accounts = chain_accounts};
    assert_int_equal(exchange_context_init(&chain_context, service_metrics(chain_service), &error), DP_OK);
    exchange_init(&chain_exchange, &chain_context);
    return 0;
}

int chain_tear_down(void **state)
{
    (void)state;
    exchange_deinit(&chain_exchange);
    exchange_context_deinit(&chain_context);
    accounts_close(chain_accounts);
    service_free(chain_service);
    return 0;
}

void exchange_begin_with(struct exchange *ex, const char *method, const char *target, const char *headers)
{
    struct head *head = &ex->head;
    assert_true(exchange_line(ex, span_str(target)));
    *head = (struct head){.method = span_str(method), .version = span_str("HTTP/1.1")};
    head->fields[head->count++] = (struct head_field){span_str("Host"), span_str("a")};
    while (*headers) {
        const char *colon = strchr(headers, ':'), *end = strchr(headers, '\n');
        head->fields[head->count++] = (struct head_field){span_of(headers, (size_t)(colon - headers)),
                                                          span_of(colon + 1, (size_t)(end - colon - 1))};
        headers = end + 1;
    }
    exchange_begin(ex);
}

void chain_begin(const char *method, const char *target, const char *headers)
{
    exchange_begin_with(&chain_exchange, method, target, headers);
}

bool chain_ask(const char *method, const char *target, const char *headers, const char *body)
{
    chain_begin(method, target, headers);
    if (*body && !chain_exchange.must_close) {
        const enum exchange_next next = exchange_body(&chain_exchange, span_str(body));
        assert_int_not_equal(next, EXCHANGE_CUT);
        if (next == EXCHANGE_JUDGE)
            exchange_judge(&chain_exchange);
    }
    if (exchange_try(&chain_exchange))
        return true;
    exchange_run(&chain_exchange);
    return false;
}

bool chain_ask_with(const char *key, const char *method, const char *target, const char *body)
{
    char headers[200] = "";
    if (key)
        snprintf(headers, sizeof headers, "Authorization: Bearer %s\n", key);
    return chain_ask(method, target, headers, body);
}

const char *chain_header(const char *name)
{
    for (size_t i = 0; i < chain_exchange.response.header_count; i++)
        if (strcmp(chain_exchange.response.headers[i].name, name) == 0)
            return chain_exchange.response.headers[i].value;
    return NULL;
}

void chain_assert_answer(unsigned status, const char *holds)
{
    const struct http_response *response = &chain_exchange.response;
    struct span body = exchange_answer(&chain_exchange);
    if (response->status != status || (holds[0] && !memmem(body.data, body.len, holds, strlen(holds))))
        fail_msg("expected status %u and %s, but %s %.*s got %u: %.*s", status, holds, chain_exchange.method,
                 SPAN_FMT(chain_exchange.target), response->status, SPAN_FMT(body));
    exchange_end(&chain_exchange, true);
    assert_null(chain_exchange.auth.pass.key);
    assert_int_equal(atomic_load(&chain_context.bodies.held), 0);
}
