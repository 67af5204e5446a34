/* fuzz_http_exchange.c: any bytes as the line, headers and body of a request to the whole server chain. */
#include <stdlib.h>

#include "api_fuzz.h"
#include "server/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns the bytes up to `end`, and skips `end`. */
static struct span take(struct span *rest, uint8_t end)
{
    const uint8_t *at = rest->len ? memchr(rest->data, end, rest->len) : NULL;
    struct span part = span_of(rest->data, at ? (size_t)(at - rest->data) : rest->len);
    *rest = at ? span_of(at + 1, rest->len - part.len - 1) : span_of(NULL, 0);
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct exchange_context context;
    static struct exchange exchange;
    static bool begun;
    if (!begun) {
        struct dp_error error;
        context = (struct exchange_context){.api = {.service = fuzz_service()},
                                            .body_max = 4096,
                                            .bodies.max = 1 << 20,
                                            .answers.max = 1 << 20,
                                            .spilled.max = 1 << 20,
                                            .large_body_max = 16384,
                                            .request_timeout_ms = 60000};
        if (exchange_context_init(&context, service_metrics(fuzz_service()), &error) != DP_OK)
            abort();
        exchange_init(&exchange, &context);
        begun = true;
    }
    struct span rest = span_of(data, size), line = take(&rest, '\n');
    struct span method = take(&line, ' '), target = take(&line, ' ');
    exchange_line(&exchange, target);
    exchange.head = (struct head){.method = method, .version = line};
    while (rest.len) {
        struct span field = take(&rest, '\n');
        if (field.len == 0)
            break;
        exchange.head.too_many = exchange.head.count == HEAD_FIELDS_MAX;
        if (exchange.head.too_many)
            break;
        struct span name = take(&field, ':');
        exchange.head.fields[exchange.head.count++] = (struct head_field){name, field};
    }
    exchange.head.target_len = target.len;
    head_is_whole(&exchange.head, span_of(data, size));
    exchange_begin(&exchange);
    for (size_t i = 0; rest.len; i++) {
        size_t piece = rest.len < 7 ? rest.len : 7;
        if (!exchange_body(&exchange, span_of(rest.data, piece)))
            break;
        rest = span_of(rest.data + piece, rest.len - piece);
    }
    exchange_run(&exchange);
    if (exchange.response.status < 200 || exchange.response.status == 500)
        abort();
    exchange_end(&exchange, true);
    if (atomic_load(&context.bodies.held) != 0 || atomic_load(&context.in_flight) != 0)
        abort();
    return 0;
}
