/* test_exchange.c: the steps from head to answer of every request, without sockets; and the server's own answers. */
#include "exchange_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "server/handlers.h"

enum { BODIES_MAX = 1 << 20 }; /* the metrics are a large answer */

static struct service *service;
static struct exchange_context context;
static struct exchange exchange;
static _Atomic bool draining;

static int set_up(void **state)
{
    (void)state;
    struct dp_error error;
    service = fixture_service(NULL, true);
    fixture_index(service, "things", FIXTURE_ROWS);
    context = (struct exchange_context){.api = {.service = service, .draining = &draining},
                                        .body_max = 1000,
                                        .bodies.max = BODIES_MAX,
                                        .answers.max = BODIES_MAX,
                                        .spilled.max = BODIES_MAX,
                                        .large_body_max = 4000,
                                        .request_timeout_ms = 60000};
    assert_int_equal(exchange_context_init(&context, service_metrics(service), &error), DP_OK);
    exchange_init(&exchange, &context);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    exchange_deinit(&exchange);
    exchange_context_deinit(&context);
    service_free(service);
    return 0;
}

/* Begins one exchange; assert_answer() ends it. `headers` are "name: value\n" lines beside Host. */
static void begin(const char *method, const char *target, const char *headers)
{
    exchange_begin_with(&exchange, method, target, headers);
}

static void request(const char *method, const char *target, const char *headers, struct span body)
{
    begin(method, target, headers);
    if (body.len && !exchange.must_close)
        assert_true(exchange_body(&exchange, body));
    exchange_run(&exchange);
}

static const char *header(const char *name)
{
    for (size_t i = 0; i < exchange.response.header_count; i++)
        if (strcmp(exchange.response.headers[i].name, name) == 0)
            return exchange.response.headers[i].value;
    return NULL;
}

static void assert_answer(unsigned status, const char *holds)
{
    struct span body = exchange_answer(&exchange);
    if (exchange.response.status != status || (holds[0] && !memmem(body.data, body.len, holds, strlen(holds))))
        fail_msg("expected status %u and %s, but got %u: %.*s", status, holds, exchange.response.status,
                 SPAN_FMT(body));
    assert_non_null(header("X-Request-Id"));
    assert_non_null(header("Server-Timing"));
    exchange_end(&exchange, true);
    assert_int_equal(atomic_load(&context.in_flight), 0);
    assert_int_equal(atomic_load(&context.bodies.held), 0);
    assert_int_equal(atomic_load(&context.spilled.held), 0);
    assert_int_equal(atomic_load(&context.answers.held), 0);
}

static void test_exchange_routes_requests(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target;
        unsigned status;
        const char *holds;
    } cases[] = {
        {"GET", "/health", 200, "{\"status\":\"ok\",\"model\":\"tiny\",\"namespaces\":true}"},
        {"HEAD", "/health", 200, ""},
        {"GET", "/health?x=1", 200, "ok"},
        {"GET", "http://example.org/health", 200, "ok"},
        {"GET", "http://example.org", 200, "<!doctype html>"},
        {"GET", "http://example.org?x=/health", 200, "<!doctype html>"},
        {"GET", "http://example.org?", 200, "<!doctype html>"},
        {"GET", "http://", 200, "<!doctype html>"},
        {"GET", "http:/health", 400, "malformed"},
        {"GET", "?x", 400, "malformed"},
        {"GET", "/", 200, "<!doctype html>"},
        {"GET", "/assets/app.js", 200, "use strict"},
        {"GET", "/assets/nothing.js", 404, "not_found"},
        {"GET", "/metrics", 200, "# TYPE dipper_http_requests_total counter"},
        {"GET", "/v1/models", 200, "tiny"},
        {"GET", "/v1/models/sentence-transformers%2Ftiny", 200, "sentence-transformers/tiny"},
        {"GET", "/v1/models/a/b", 404, "{\"error\":{\"message\""},
        {"GET", "/v1/models/", 404, "{\"error\":{\"message\""},
        {"GET", "/v1/models/%zz", 400, "badly encoded"},
        {"GET", "/v1/models/%ff", 400, "UTF-8"},
        {"GET", "/v1/namespaces", 200, "{\"namespaces\":[{\"id\":\"things\"}]}"},
        {"GET", "/v2/namespaces/th%69ngs/metadata", 200, "\"approx_row_count\":3"},
        {"GET", "/nowhere", 404, "{\"error\":\"not_found\",\"message\""},
        {"GET", "/v2/nowhere", 404, "{\"status\":\"error\",\"error\""},
        {"GET", "//health", 404, ""},
        {"GET", "/health/", 404, ""},
        {"GET", "health", 400, "malformed"},
        {"GET", "", 400, "malformed"},
        {"GET", "*", 404, ""},
        {"GET", "/a b", 400, "malformed"},
        {"GET", "/v1/embed", 405, "method_not_allowed"},
        {"PUT", "/v2/namespaces/things", 405, "{\"status\":\"error\""},
        {"DELETE", "/v2/namespaces/nothing", 404, "{\"status\":\"error\""},
        {"POST", "/v2/namespaces/things", 422, "{\"status\":\"error\""},
        {"PATCH", "/v1/namespaces/things/metadata", 422, "{\"status\":\"error\""},
        {"POST", "/v1/namespaces/things/schema", 422, "{\"status\":\"error\""},
        {"BREW", "/health", 405, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        request(cases[i].method, cases[i].target, "", span_str(""));
        assert_answer(cases[i].status, cases[i].holds);
    }
    request("GET", "/v1/embed", "", span_str(""));
    assert_string_equal(header("Allow"), "POST, OPTIONS");
    assert_answer(405, "");
}

/* If a base URL lacks "/v1" or has it twice, or if a path is misspelled, the answer suggests the right path. It has the
 * shape that the client understands. */
static void test_exchange_hints_at_the_path_that_was_meant(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *holds;
    } cases[] = {
        {"POST", "/embeddings",
         "{\"error\":{\"message\":\"there is nothing at this path; did you mean POST /v1/embeddings? Set the "
         "client's base URL to "
         "http://a/v1\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"not_found\"}}"},
        {"GET", "/models", "did you mean GET /v1/models? Set"},
        {"GET", "/models/tiny", "did you mean GET /v1/models/tiny? Set"},
        {"POST", "/v1//embeddings",
         "{\"error\":{\"message\":\"there is nothing at this path; did you mean POST /v1/embeddings?"},
        {"POST", "//v1/embeddings", "did you mean POST /v1/embeddings?"},
        {"POST", "/v1/embeddings/", "did you mean POST /v1/embeddings?"},
        {"POST", "/v1/v1/embeddings", "did you mean POST /v1/embeddings?"},
        {"POST", "/api/v1/embeddings", "did you mean POST /v1/embeddings?"},
        {"POST", "/V1/Embeddings", "did you mean POST /v1/embeddings?"},
        {"GET", "/embeddings", "did you mean POST /v1/embeddings?"},
        {"POST", "/embed",
         "{\"error\":\"not_found\",\"message\":\"there is nothing at this path; did you mean POST /v1/embed?\"}"},
        {"GET", "/namespaces",
         "{\"status\":\"error\",\"error\":\"there is nothing at this path; did you mean GET /v1/namespaces?\"}"},
        {"POST", "/namespaces/things/query", "did you mean POST /v2/namespaces/things/query?"},
        {"GET", "/v2/namespaces/th%69ngs/metadata/", "did you mean GET /v2/namespaces/th%69ngs/metadata?"},
        {"GET", "/search/health", "did you mean GET /health?"},
        {"GET", "/nowhere", "\"there is nothing at this path\""},
        {"GET", "/a/b/c/d/e/f/g/h/i/j", "\"there is nothing at this path\""},
        {"GET", "//", "\"there is nothing at this path\""},
        {"GET", "/favicon.ico", "\"there is nothing at this path\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        request(cases[i].method, cases[i].target, "", span_str(""));
        assert_answer(404, cases[i].holds);
    }
    begin("POST", "/embeddings", "");
    exchange_end(&exchange, true);
    struct head *head = &exchange.head;
    assert_true(exchange_line(&exchange, span_str("/embeddings")));
    *head = (struct head){.method = span_str("POST"), .version = span_str("HTTP/1.1"), .count = 1};
    head->fields[0] = (struct head_field){span_str("Host"), span_str("<b>\"x")};
    exchange_begin(&exchange);
    exchange_run(&exchange);
    assert_answer(404, "http://HOST:PORT/v1");
}

/* A proxy may leave its path before the routes, or remove it. */
static void test_exchange_knows_its_base_path(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        unsigned status;
    } cases[] = {{"/dip/health", 200},  {"/health", 200},       {"/dip/", 200},      {"/", 200},
                 {"/dip?q=x", 308},     {"/dip", 308},          {"/dipper", 404},    {"/dip/dip/health", 404},
                 {"/dip//health", 404}, {"http://a/dip/", 200}, {"/DIP/health", 404}};
    context.base_path = span_str("/dip");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        request("GET", cases[i].target, "", span_str(""));
        if (cases[i].status == 308)
            assert_string_equal(header("Location"), "/dip/");
        assert_answer(cases[i].status, "");
    }
    request("POST", "/dip/embeddings", "", span_str(""));
    assert_answer(404, "http://a/dip/v1");
    context.is_tls = true;
    request("POST", "/dip/embeddings", "", span_str(""));
    assert_answer(404, "https://a/dip/v1");
    request("GET", "https://a/dip/health", "", span_str(""));
    assert_answer(200, "");
    context.is_tls = false;
    request("GET", "https://a/dip/health", "", span_str(""));
    assert_answer(400, "");
    context.base_path = span_of(NULL, 0);
}

static void test_exchange_answers_options(void **state)
{
    (void)state;
    request("OPTIONS", "/health", "", span_str(""));
    assert_string_equal(header("Allow"), "GET, HEAD, OPTIONS");
    assert_null(header("Access-Control-Allow-Origin"));
    assert_answer(204, "");
    request("OPTIONS", "*", "", span_str(""));
    assert_answer(204, "");
    request("OPTIONS", "/nowhere", "", span_str(""));
    assert_answer(404, "");
    context.auth.sites.cors_origin = "https://example.org";
    request("OPTIONS", "/v1/embed", "Origin: https://example.org\n", span_str(""));
    assert_string_equal(header("Access-Control-Allow-Origin"), "https://example.org");
    assert_string_equal(header("Access-Control-Allow-Methods"), "GET, HEAD, POST, PATCH, DELETE, OPTIONS");
    assert_answer(204, "");
    context.auth.sites.cors_origin = NULL;
}

/* Browsers send the origin of a request. A server without keys refuses requests from pages of other sites. */
static void test_exchange_refuses_pages_of_other_sites(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *headers;
        unsigned status;
    } cases[] = {
        {"POST", "/v1/embed", "", 200}, /* not from a browser */
        {"POST", "/v1/embed", "Origin: http://evil.example\nContent-Type: application/json\n", 200},
        {"POST", "/v1/embed", "Origin: http://evil.example\nContent-Type: text/plain\n", 403}, /* an old browser */
        {"POST", "/v1/embed", "Origin: http://a\nContent-Type: text/plain\n", 200}, /* the search page in one */
        {"POST", "/v1/embed", "Sec-Fetch-Site: same-origin\nOrigin: http://127.0.0.1:8000\n", 200},
        {"POST", "/v1/embed", "Sec-Fetch-Site: none\n", 200}, /* typed by the user */
        {"POST", "/v1/embed", "Sec-Fetch-Site: cross-site\nContent-Type: text/plain\n", 403},
        {"POST", "/v1/embed", "Sec-Fetch-Site: same-site\n", 403}, /* another port of this host */
        {"POST", "/v1/embed", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\n", 403}, /* a form */
        {"POST", "/v1/embeddings", "Sec-Fetch-Site: cross-site\n", 403},
        {"POST", "/v1/indexes", "Sec-Fetch-Site: cross-site\n", 403},
        {"POST", "/v2/namespaces/things/query", "Sec-Fetch-Site: cross-site\n", 403},
        {"GET", "/v1/namespaces/things/hint_cache_warm", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\n",
         403},
        {"GET", "/v1/namespaces", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors\n", 403},
        {"GET", "/v1/namespaces", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\n", 200},
        {"GET", "/", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\n", 200},
        {"GET", "/health", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\n", 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        request(cases[i].method, cases[i].target, cases[i].headers, span_str("{\"text\":\"cat\"}"));
        assert_answer(cases[i].status, "");
    }
    static const char headers[] = "Sec-Fetch-Site: cross-site\nOrigin: https://good.example\n";
    static const struct {
        const char *origin;
        unsigned status;
    } permitted[] = {{"https://good.example", 200}, {"*", 200}, {"https://other.example", 403}};
    for (size_t i = 0; i < sizeof permitted / sizeof *permitted; i++) {
        context.auth.sites.cors_origin = permitted[i].origin;
        request("POST", "/v1/embed", headers, span_str("{\"text\":\"cat\"}"));
        assert_answer(permitted[i].status, "");
    }
    context.auth.sites.cors_origin = NULL;
}

static void test_exchange_runs_handlers(void **state)
{
    (void)state;
    begin("POST", "/v1/embed", "");
    /* The body comes in pieces. */
    assert_true(exchange_body(&exchange, span_str("{\"text\":")));
    assert_true(exchange_body(&exchange, span_str("\"cat\"}")));
    assert_int_equal(atomic_load(&context.bodies.held), 14);
    assert_int_equal(atomic_load(&context.in_flight), 1);
    assert_false(exchange_try(&exchange)); /* an attempt would block */
    exchange_run(&exchange);
    assert_non_null(strstr(header("Server-Timing"), "embed;dur="));
    assert_answer(200, "\"tokens\":3");
    begin("GET", "/health", "");
    assert_true(exchange_try(&exchange));
    assert_answer(200, "ok");
    request("POST", "/v1/embed", "", span_str("{\"text\":7}"));
    assert_answer(400, "invalid_request");
}

/* If a text's vector is in memory, the I/O thread answers. The bytes equal those of a request thread, and the exchange
 * allocates nothing. */
static void test_exchange_answers_cached_texts_at_once(void **state)
{
    (void)state;
    static const char *const asked[][2] = {
        {"/v1/embed", "{\"text\":\"cat dog\"}"},
        {"/v1/embed/batch", "{\"texts\":[\"cat\",\"dog\"],\"normalize\":true}"},
        {"/v1/embeddings", "{\"model\":\"tiny\",\"input\":\"cat wing\",\"encoding_format\":\"base64\"}"},
        {"/v1/embeddings", "{\"model\":\"tiny\",\"input\":[\"cat wing\",\"sail\"]}"},
    };
    struct service *cached = fixture_cached_service(100), *without = context.api.service;
    context.api.service = cached;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        bool fastembed = i < 2;
        char first[2000];
        size_t allocations = 0, vectors = 0;
        for (int turn = 0; turn < 8; turn++) {
            if (turn == 6)
                allocations = test_alloc_count();
            begin("POST", asked[i][0], "");
            exchange_body(&exchange, span_str(asked[i][1]));
            assert_int_equal(exchange_try(&exchange), turn > 0);
            if (turn == 0)
                exchange_run(&exchange);
            struct span body = exchange_answer(&exchange);
            if (turn == 0) {
                const uint8_t *end = memmem(body.data, body.len, fastembed ? "\"model\"" : "\"usage\"", 7);
                assert_non_null(end);
                vectors = (size_t)(end - body.data);
                assert_true(vectors < sizeof first);
                memcpy(first, body.data, vectors);
            }
            assert_true(body.len > vectors && memcmp(first, body.data, vectors) == 0);
            assert_answer(200, !fastembed ? "" : turn ? "\"cached\":true" : "\"cached\":false");
        }
        assert_int_equal(test_alloc_count(), allocations);
    }
    /* The I/O thread answers nothing else: no bad, compressed, long or uncached request. */
    static const char *const others[] = {"{\"text\":\"sail sail\"}", "{\"text\":\"\"}", "{\"text\":7}", "{"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        begin("POST", "/v1/embed", "");
        exchange_body(&exchange, span_str(others[i]));
        assert_false(exchange_try(&exchange));
        exchange_run(&exchange);
        assert_answer(i ? 400 : 200, "");
    }
    context.api.service = without;
    service_free(cached);
}

static void test_exchange_keeps_harmless_ids(void **state)
{
    (void)state;
    static const struct {
        const char *headers, *id;
    } cases[] = {
        {"X-Request-Id: abc-12.3_Z\n", "abc-12.3_Z"},
        {"X-Request-Id: a b\n", NULL},
        {"X-Request-Id: \n", NULL},
        {"X-Request-Id: \"};\n", NULL},
        {"X-Request-Id: 01234567890123456789012345678901234567890123456789012345678901234\n", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        request("GET", "/health", cases[i].headers, span_str(""));
        if (cases[i].id)
            assert_string_equal(header("X-Request-Id"), cases[i].id);
        else
            assert_int_equal(strspn(header("X-Request-Id"), "0123456789abcdef"), 24);
        assert_answer(200, "");
    }
}

/* W3C Trace Context: well-formed headers are taken over; others count as absent. */
static void test_exchange_takes_over_traces(void **state)
{
    (void)state;
#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"
    static const struct {
        const char *header;
        bool good;
    } cases[] = {
        {"00-" TRACE "-" PARENT "-01", true},
        {"00-" TRACE "-" PARENT "-00", true},
        {"cc-" TRACE "-" PARENT "-01", true},
        {"cc-" TRACE "-" PARENT "-01-what comes later", true},
        {"cc-" TRACE "-" PARENT "-01.what", false},
        {"00-" TRACE "-" PARENT "-01-what", false},
        {"ff-" TRACE "-" PARENT "-01", false},
        {"00-00000000000000000000000000000000-" PARENT "-01", false},
        {"00-" TRACE "-0000000000000000-01", false},
        {"00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01", false},
        {"00-" TRACE "-" PARENT "-0g", false},
        {"00-" TRACE "-" PARENT "-1", false},
        {"00_" TRACE "-" PARENT "-01", false},
        {"00-" TRACE "_" PARENT "-01", false},
        {"0x-" TRACE "-" PARENT "-01", false},
        {"00-" TRACE "-" PARENT, false},
        {"00", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[160];
        snprintf(line, sizeof line, "traceparent: %s\n", cases[i].header);
        request("GET", "/health", line, span_str(""));
        assert_string_equal(exchange.ids.trace, cases[i].good ? TRACE : "");
        assert_int_equal(exchange.call.trace_id[0] == 0x0af7651916cd43dd &&
                             exchange.call.trace_id[1] == 0x8448eb211c80319c,
                         cases[i].good);
        assert_answer(200, "");
    }
}

static double metric_named(const char *name)
{
    char line[256];
    struct buffer text;
    buffer_init(&text, 1 << 20);
    metrics_print(service_metrics(service), &text);
    buffer_u8(&text, 0);
    int len = snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr((const char *)text.data, line);
    if (!at)
        fail_msg("there is no metric %s", name);
    double value = strtod(at + len, NULL);
    buffer_deinit(&text);
    return value;
}

/* All dialects share one set of counts, which has two names. */
static void test_exchange_counts_requests_for_embeddings(void **state)
{
    (void)state;
#define EIGHT "cat cat cat cat cat cat cat cat "
    static const struct {
        const char *target, *body, *counted, *error_type;
        unsigned status;
    } cases[] = {
        {"/v1/embed", "{\"text\":\"cat\"}", "requests_total{status=\"200\",cached=\"false\"}", NULL, 200},
        {"/v1/embed/batch", "{\"texts\":[\"cat\",\"dog\"]}", "requests_total{status=\"200\",cached=\"false\"}",
         NULL, 200},
        {"/v1/embeddings", "{\"model\":\"tiny\",\"input\":\"cat\"}",
         "requests_total{status=\"200\",cached=\"false\"}", NULL, 200},
        {"/v1/embed", "{", "requests_total{status=\"400\",cached=\"false\"}", "invalid_request", 400},
        {"/v1/embeddings", "{\"model\":\"huge\",\"input\":\"cat\"}",
         "requests_total{status=\"404\",cached=\"false\"}", "model_not_found", 404},
        {"/v1/embed", "{\"truncate\":false,\"text\":\"" EIGHT EIGHT EIGHT EIGHT EIGHT "\"}",
         "requests_total{status=\"400\",cached=\"false\"}", "text_too_long", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char names[4][160];
        double before[4];
        const char *const prefixes[] = {"dipper_embed", "fastembed"};
        for (size_t p = 0; p < 2; p++) {
            snprintf(names[2 * p], sizeof names[0], "%s_%s", prefixes[p], cases[i].counted);
            snprintf(names[2 * p + 1], sizeof names[0], "%s_errors_total{error_type=\"%s\"}", prefixes[p],
                     cases[i].error_type ? cases[i].error_type : "other");
        }
        for (size_t n = 0; n < 4; n++)
            before[n] = metric_named(names[n]);
        double timed = metric_named("fastembed_request_latency_seconds_count");
        request("POST", cases[i].target, "", span_str(cases[i].body));
        assert_answer(cases[i].status, "");
        for (size_t n = 0; n < 4; n++)
            assert_int_equal((int)(metric_named(names[n]) - before[n]), n % 2 == 0 || cases[i].error_type != NULL);
        assert_int_equal((int)(metric_named("fastembed_request_latency_seconds_count") - timed), 1);
    }
}

/* A request counts as cached if the costs of its call show only cached vectors. */
static void test_exchange_counts_cached_answers(void **state)
{
    (void)state;
    static const struct call_cost whole = {.texts = 2, .cached_texts = 2}, half = {.texts = 2, .cached_texts = 1};
    static const char cached[] = "fastembed_requests_total{status=\"200\",cached=\"true\"}",
                      fresh[] = "fastembed_requests_total{status=\"200\",cached=\"false\"}";
    struct http_response response = {.status = 200};
    double before[] = {metric_named(cached), metric_named(fresh)};
    embed_metrics_count(&context.embed_metrics, &response, &whole, 0.001);
    assert_int_equal((int)(metric_named(cached) - before[0]), 1);
    assert_int_equal((int)(metric_named(fresh) - before[1]), 0);
    embed_metrics_count(&context.embed_metrics, &response, &half, 0.001);
    assert_int_equal((int)(metric_named(cached) - before[0]), 1);
    assert_int_equal((int)(metric_named(fresh) - before[1]), 1);
}

/* A server is live while it answers. It is ready from when it has its model until it drains. */
static void test_exchange_health_is_live_and_ready(void **state)
{
    (void)state;
    struct service *whole = service, *bare = fixture_service(NULL, false);
    request("GET", "/health/live", "", span_str(""));
    assert_answer(200, "{\"status\":\"ok\"}");
    request("GET", "/health/ready", "", span_str(""));
    assert_answer(200, "{\"status\":\"ok\"}");
    atomic_store(&draining, true);
    request("GET", "/health/live", "", span_str(""));
    assert_answer(200, "{\"status\":\"ok\"}");
    request("GET", "/health/ready", "", span_str(""));
    assert_string_equal(header("Cache-Control"), "no-store");
    assert_answer(503, "{\"status\":\"draining\"}");
    atomic_store(&draining, false);
    context.api.service = bare;
    request("GET", "/health", "", span_str(""));
    assert_answer(200, "{\"status\":\"ok\",\"model\":null,");
    context.api.needs_model = true;
    request("GET", "/health", "", span_str(""));
    assert_answer(503, "{\"status\":\"no_model\",\"model\":null,");
    request("GET", "/health/ready", "", span_str(""));
    assert_answer(503, "{\"status\":\"no_model\"}");
    request("GET", "/health/live", "", span_str(""));
    assert_answer(200, "{\"status\":\"ok\"}");
    context.api.service = whole;
    request("GET", "/health/ready", "", span_str(""));
    assert_answer(200, "{\"status\":\"ok\"}");
    context.api.needs_model = false;
    service_free(bare);
}

static void test_exchange_tells_where_the_time_went(void **state)
{
    (void)state;
    request("POST", "/v1/embed", "", span_str("{\"text\":\"cat\"}"));
    const char *timing = header("Server-Timing");
    assert_non_null(strstr(timing, "tokenize;dur="));
    assert_non_null(strstr(timing, ", embed;dur="));
    assert_non_null(strstr(timing, ", total;dur="));
    assert_null(strstr(timing, "queue"));
    double embed = strtod(strstr(timing, "embed;dur=") + 10, NULL);
    double total = strtod(strstr(timing, "total;dur=") + 10, NULL);
    assert_true(embed <= total && total < 60000);
    assert_int_equal((int64_t)(embed * 1000 + 0.5), exchange.call.cost.embed_ns / 1000);
    assert_answer(200, "");
    begin("POST", "/v1/embed", "");
    exchange_body(&exchange, span_str("{\"text\":\"cat\"}"));
    exchange.handed_ns = exchange.began_ns; /* as if the transport had handed it to another thread */
    exchange_run(&exchange);
    assert_int_equal(strncmp(header("Server-Timing"), "queue;dur=", 10), 0);
    assert_answer(200, "");
}

static void test_exchange_bounds_bodies(void **state)
{
    (void)state;
    static const char piece[600] = "";
    begin("POST", "/v1/embed", "Content-Length:1001\n");
    assert_true(exchange.refused);
    assert_false(exchange.must_close); /* small enough to read and discard */
    assert_true(exchange_body(&exchange, span_of(piece, sizeof piece)));
    exchange_run(&exchange);
    assert_answer(413, "1001 bytes, but at most 1000");

    begin("POST", "/v1/embed", "Content-Length:100000\n");
    assert_true(exchange.must_close);
    exchange_run(&exchange);
    assert_answer(413, "request_too_large");

    begin("POST", "/v1/embed", "Content-Length:1001\nExpect:100-continue\n");
    assert_true(exchange.must_close); /* it gets the refusal instead of "100 Continue" */
    exchange_run(&exchange);
    assert_answer(413, "");

    begin("POST", "/v1/embeddings", "Transfer-Encoding:chunked\n");
    bool go_on = true;
    for (int i = 0; i < 6; i++)
        go_on = exchange_body(&exchange, span_of(piece, sizeof piece));
    assert_true(go_on);
    for (int i = 0; i < 4; i++)
        go_on = exchange_body(&exchange, span_of(piece, sizeof piece));
    assert_false(go_on); /* the body is too long already */
    exchange_run(&exchange);
    assert_answer(413, "{\"error\":{\"message\":\"the body has more than 1000 bytes\"");

    context.bodies.max = 500;
    begin("POST", "/v1/embed", "");
    assert_true(exchange_body(&exchange, span_of(piece, sizeof piece)));
    exchange_run(&exchange);
    assert_string_equal(header("Retry-After"), "1");
    assert_answer(503, "overloaded");
    context.bodies.max = BODIES_MAX;
}

static struct span gzip(const char *text, size_t repeat, uint8_t *out, size_t size)
{
    z_stream z = {.zalloc = NULL};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = out;
    z.avail_out = (unsigned)size;
    for (size_t i = 0; i <= repeat; i++) {
        z.next_in = (Bytef *)(uintptr_t)text;
        z.avail_in = i < repeat ? (unsigned)strlen(text) : 0;
        deflate(&z, i < repeat ? Z_NO_FLUSH : Z_FINISH);
    }
    size_t len = size - z.avail_out;
    deflateEnd(&z);
    return span_of(out, len);
}

static void test_exchange_unpacks_gzip(void **state)
{
    (void)state;
    uint8_t bytes[4000];
    struct span packed = gzip("{\"text\":\"cat\"}", 1, bytes, sizeof bytes);
    request("POST", "/v1/embed", "Content-Encoding: gzip\n", packed);
    assert_answer(200, "\"tokens\":3");
    request("POST", "/v1/embed", "Content-Encoding: identity\n", span_str("{\"text\":\"cat\"}"));
    assert_answer(200, "\"tokens\":3");
    request("POST", "/v1/embed", "Content-Encoding: GZip\n", packed);
    assert_answer(200, "\"tokens\":3");
    request("POST", "/v1/embed", "Content-Encoding: x-gzip\n", packed);
    assert_answer(200, "\"tokens\":3");
    request("POST", "/v1/embed", "Content-Encoding: br\n", packed);
    assert_answer(415, "unsupported_media_type");
    request("POST", "/v1/embed", "Content-Encoding: gzip\n", span_of(packed.data, packed.len - 1));
    assert_answer(400, "not a whole gzip stream");
    request("POST", "/v1/embed", "Content-Encoding: gzip\n", span_str("plain"));
    assert_answer(400, "not a whole gzip stream");
    memcpy(bytes + packed.len, "x", 1);
    request("POST", "/v1/embed", "Content-Encoding: gzip\n", span_of(bytes, packed.len + 1));
    assert_answer(400, "not a whole gzip stream");
    /* Unpacking stops at the limit. */
    packed = gzip("                    ", 20000, bytes, sizeof bytes);
    assert_true(packed.len < 1000);
    request("POST", "/v1/embed", "Content-Encoding: gzip\n", packed);
    assert_answer(413, "request_too_large");
}

/* Compresses long answers of turbopuffer's routes, for clients that ask. */
static void test_exchange_compresses_answers(void **state)
{
    (void)state;
    static const char target[] = "/v2/namespaces/things/query";
    const struct span large =
        span_str("{\"rank_by\":[\"vector\",\"ANN\",[\"Embed\",\"cat\"]],\"include_attributes\":true}");
    const struct span small = span_str("{\"rank_by\":[\"id\",\"asc\"],\"limit\":1}");
    request("POST", target, "Accept-Encoding: gzip\n", large);
    assert_string_equal(header("Content-Encoding"), "gzip");
    assert_string_equal(header("Vary"), "Accept-Encoding");
    const size_t packed = exchange_answer(&exchange).len;
    assert_answer(200, "\x1f\x8b");
    request("POST", target, "Accept-Encoding: identity\n", large);
    assert_null(header("Content-Encoding"));
    assert_true(exchange_answer(&exchange).len > packed);
    assert_answer(200, "\"rows\":[");
    request("POST", target, "Accept-Encoding: gzip\n", small);
    assert_null(header("Content-Encoding"));
    assert_answer(200, "\"rows\":[");
    /* without memory for the stream, the server sends the answer uncompressed */
    context.answers.max = 100 << 10;
    request("POST", target, "Accept-Encoding: gzip\n", large);
    assert_null(header("Content-Encoding"));
    assert_answer(200, "\"rows\":[");
    context.answers.max = BODIES_MAX;
    request("GET", "/metrics", "Accept-Encoding: gzip\n", span_str(""));
    assert_null(header("Content-Encoding"));
    assert_answer(200, "dipper_");
}

static void test_exchange_unpacks_zstd(void **state)
{
    (void)state;
    uint8_t bytes[4000];
    static char blanks[1001];
    memset(blanks, ' ', sizeof blanks);
    size_t len = ZSTD_compress(bytes, sizeof bytes, "{\"text\":\"cat\"}", 14, 3);
    request("POST", "/v1/embed", "Content-Encoding: zstd\n", span_of(bytes, len));
    assert_answer(200, "\"tokens\":3");
    request("POST", "/v1/embed", "Content-Encoding: zstd\n", span_of(bytes, len - 1));
    assert_answer(400, "not a whole zstd stream");
    request("POST", "/v1/embed", "Content-Encoding: gzip\n", span_of(bytes, len));
    assert_answer(400, "not a whole gzip stream");
    len = ZSTD_compress(bytes, sizeof bytes, blanks, 1000, 3);
    request("POST", "/v1/embed", "Content-Encoding: zstd\n", span_of(bytes, len));
    assert_answer(400, "");
    len = ZSTD_compress(bytes, sizeof bytes, blanks, 1001, 3);
    request("POST", "/v1/embed", "Content-Encoding: zstd\n", span_of(bytes, len));
    assert_answer(413, "more than 1000 bytes");
}

/* A route that writes rows has a limit of its own, here 4000 bytes. */
static void test_exchange_takes_larger_bodies_of_writes(void **state)
{
    (void)state;
    static const char piece[2000] = "";
    static const char target[] = "/v2/namespaces/things";
    begin("POST", target, "Content-Length:4000\n");
    assert_false(exchange.refused);
    exchange_body(&exchange, span_of(piece, sizeof piece));
    exchange_body(&exchange, span_of(piece, sizeof piece));
    assert_int_equal(exchange.body.received.len, 4000);
    exchange_end(&exchange, false);

    begin("POST", target, "Content-Length:4001\n");
    assert_true(exchange.refused && exchange.must_close); /* at once: the server does not read so much */
    exchange_run(&exchange);
    assert_answer(413, "4001 bytes, but at most 4000");

    begin("POST", target, "Transfer-Encoding:chunked\n");
    exchange_body(&exchange, span_of(piece, sizeof piece));
    exchange_body(&exchange, span_of(piece, sizeof piece));
    assert_false(exchange.refused);
    assert_int_equal(exchange_body(&exchange, span_str("x")), EXCHANGE_MORE);
    assert_true(exchange.refused);
    assert_int_equal(atomic_load(&context.bodies.held), 0);
    exchange_run(&exchange);
    assert_answer(413, "more than 4000 bytes");

    begin("POST", "/v2/namespaces/things/query", "Content-Length:4000\n");
    exchange_run(&exchange);
    assert_answer(413, "at most 1000");
}

/* After each megabyte, the transport hands the received bytes to another thread. */
static void test_exchange_stores_large_bodies(void **state)
{
    (void)state;
    static char piece[BODY_RECEIVED_MAX];
    const size_t before = test_alloc_live();
    memset(piece, ' ', sizeof piece);
    context.large_body_max = 10 * sizeof piece;
    context.bodies.max = context.spilled.max = 10 * sizeof piece;
    for (int end = 0; end < 3; end++) {
        begin("POST", "/v2/namespaces/things", "");
        for (int i = 0; i < 10; i++) {
            assert_int_equal(exchange_body(&exchange, span_of(piece, sizeof piece)), EXCHANGE_STORE);
            if (i == 7)
                assert_int_equal(atomic_load(&context.spilled.held), 0);
            exchange_store(&exchange);
        }
        assert_int_equal(atomic_load(&context.spilled.held), 10 * sizeof piece);
        assert_int_equal(atomic_load(&context.bodies.held), BODY_MEMORY_MAX);
        assert_true(exchange.body.stored.fd >= 0);
        if (end == 0) /* the client leaves before the end */
            exchange_end(&exchange, false);
        if (end == 1) { /* … while a thread stores */
            atomic_store(&exchange.cancelled, true);
            exchange_store(&exchange);
            exchange_run(&exchange);
            exchange_end(&exchange, false);
        }
        if (end == 2) { /* one byte beyond the limit */
            exchange_body(&exchange, span_str("x"));
            exchange_run(&exchange);
            assert_answer(413, "more than 10485760 bytes");
        }
        assert_int_equal(atomic_load(&context.spilled.held), 0);
        assert_int_equal(atomic_load(&context.bodies.held), 0);
        assert_false(exchange.body.has_stored);
    }
    begin("POST", "/v2/namespaces/things", "");
    context.spilled.max = BODY_MEMORY_MAX;
    for (int i = 0; i < 9; i++) {
        exchange_body(&exchange, span_of(piece, sizeof piece));
        exchange_store(&exchange);
    }
    assert_true(exchange.refused);
    exchange_run(&exchange);
    assert_string_equal(header("Retry-After"), "1");
    assert_answer(503, "disk space set aside");
    context.bodies.max = BODIES_MAX;
    assert_true(test_alloc_live() <= before);
}

static void test_exchange_counts_what_it_unpacks(void **state)
{
    (void)state;
    uint8_t bytes[4000];
    struct span packed =
        gzip("{\"text\":\"cat\"}                                        ", 10, bytes, sizeof bytes);
    context.bodies.max = packed.len + 539;
    request("POST", "/v1/embed", "Content-Encoding: gzip\n", packed);
    assert_answer(503, "overloaded");
    context.bodies.max = packed.len + 540;
    request("POST", "/v1/embed", "Content-Encoding: gzip\n", packed);
    assert_answer(400, "expected the end"); /* all ten objects were unpacked, and one was expected */
    /* The stream states a smaller size than it has. */
    bytes[(packed.len - 4) % sizeof bytes] = 1;
    request("POST", "/v1/embed", "Content-Encoding: gzip\n", packed);
    assert_answer(400, "not a whole gzip stream");
    context.bodies.max = BODIES_MAX;
}

static void test_exchange_serves_the_page_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAGE_FILE_COUNT; i++) {
        char headers[100];
        request("GET", PAGE_FILES[i].path, "", span_str(""));
        assert_string_equal(exchange.response.content_type, PAGE_FILES[i].content_type);
        const char *policy = header("Content-Security-Policy");
        assert_non_null(strstr(policy, "default-src 'none'"));
        assert_null(strstr(policy, "unsafe"));
        assert_string_equal(header("X-Content-Type-Options"), "nosniff");
        snprintf(headers, sizeof headers, "If-None-Match:%s\n", header("ETag"));
        assert_answer(200, "");
        request("GET", PAGE_FILES[i].path, headers, span_str(""));
        assert_int_equal(exchange_answer(&exchange).len, 0);
        assert_answer(304, "");
    }
}

static void test_exchange_counts_requests(void **state)
{
    (void)state;
    request("POST", "/v1/embed", "", span_str("{\"text\":\"cat\"}"));
    assert_answer(200, "");
    request("GET", "/metrics", "", span_str(""));
    struct span text = exchange_answer(&exchange);
    static const char *const lines[] = {
        "\ndipper_http_requests_total{route=\"/v1/embed\",status=\"ok\"} ",
        "\ndipper_http_requests_total{route=\"none\",status=\"4xx\"} ",
        "\ndipper_http_request_seconds_bucket{route=\"/v1/embed\",le=\"+Inf\"} ",
        "\ndipper_http_request_seconds_count{route=\"/v1/embed\"} ",
        "\ndipper_http_requests_in_flight 1\n",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_open_fds ",
        "\nprocess_max_fds ",
        "\nprocess_cpu_seconds_total ",
        "\nprocess_virtual_memory_bytes ",
        "\nprocess_start_time_seconds ",
        "\nprocess_threads ",
        "\ndipper_build_info{version=\"",
        "\ndipper_model_info{model=\"tiny\",dim=\"",
        "\n# TYPE dipper_embed_seconds histogram\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!memmem(text.data, text.len, lines[i], strlen(lines[i])))
            fail_msg("the metrics lack %s", lines[i]);
    /* Each family has one TYPE line. */
    struct span type = span_str("# TYPE dipper_http_requests_total ");
    const uint8_t *first = memmem(text.data, text.len, type.data, type.len);
    assert_non_null(first);
    assert_null(memmem(first + 1, (size_t)(text.data + text.len - first - 1), type.data, type.len));
    assert_string_equal(exchange.response.content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert_answer(200, "");
}

static void test_exchange_of_a_client_that_left_computes_nothing(void **state)
{
    (void)state;
    begin("POST", "/v1/embed", "");
    exchange_body(&exchange, span_str("{\"text\":\"cat\"}"));
    atomic_store(&exchange.cancelled, true);
    exchange_run(&exchange);
    assert_int_equal(exchange.call.cost.tokens, 0);
    assert_answer(499, "client_closed_request");
    begin("POST", "/v1/embed", "");
    exchange_body(&exchange, span_str("{\"text\":\"cat\"}"));
    atomic_store(&exchange.cancelled, true);
    atomic_store(&draining, true);
    exchange_run(&exchange);
    assert_answer(503, "the server is ending");
    request("GET", "/health", "", span_str(""));
    assert_answer(503, "{\"status\":\"draining\"");
    atomic_store(&draining, false);
}

static void test_exchange_forgets_large_memory(void **state)
{
    (void)state;
    context.body_max = 1 << 20;
    context.bodies.max = 1 << 20;
    exchange_deinit(&exchange);
    exchange_init(&exchange, &context);
    size_t before = test_alloc_live();
    static char body[200000];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = i % 2 ? 'a' : ' ';
    memcpy(body, "{\"text\":\"", 9);
    memcpy(body + sizeof body - 12, "\"}", 2);
    request("POST", "/v1/embed", "", span_of(body, sizeof body - 10));
    assert_answer(200, "truncated");
    assert_true(exchange.body.received.cap <= EXCHANGE_KEPT_MAX);
    assert_true(exchange.arena.used <= EXCHANGE_KEPT_MAX);
    assert_true(test_alloc_live() <= before + 3);
}

/* Answers that slow clients do not read have a limit of memory in all. */
static void test_exchange_bounds_the_memory_of_unread_answers(void **state)
{
    (void)state;
    static char body[20000];
    size_t len = (size_t)sprintf(body, "{\"texts\":[\"cat\"");
    for (size_t i = 1; i < 2000; i++, len += 6)
        memcpy(body + len, ",\"cat\"", 6);
    len += (size_t)sprintf(body + len, "]}");
    context.body_max = sizeof body;
    context.answers.max = 10 << 20;
    exchange_deinit(&exchange);
    exchange_init(&exchange, &context);
    request("POST", "/v1/embed/batch", "X-Request-Id: mine\n", span_of(body, len));
    assert_int_equal(atomic_load(&context.bodies.held), 0); /* the body is freed */
    size_t held = atomic_load(&context.answers.held);
    assert_true(held > exchange.response.body.len && held > 2 * EXCHANGE_KEPT_MAX);
    assert_answer(200, "\"embeddings\"");
    context.answers.max = held - 1;
    request("POST", "/v1/embed/batch", "X-Request-Id: mine\n", span_of(body, len));
    assert_true(exchange.response.body.cap + exchange.arena.used < EXCHANGE_KEPT_MAX);
    assert_string_equal(header("X-Request-Id"), "mine");
    assert_string_equal(header("Retry-After"), "1");
    assert_answer(503, "overloaded");
    request("POST", "/v1/embed", "", span_str("{\"text\":\"cat\"}")); /* a small answer always has room */
    assert_answer(200, "\"tokens\":3");
}

static void test_access_log_shows_no_control_characters(void **state)
{
    (void)state;
    static const enum access_log_format forms[] = {ACCESS_LOG_TEXT, ACCESS_LOG_JSON};
    char path[4096], text[4096];
    snprintf(path, sizeof path, "%s/access", test_tmpdir());
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), kept = dup(STDERR_FILENO);
    assert_true(file >= 0 && kept >= 0 && dup2(file, STDERR_FILENO) >= 0);
    for (size_t i = 0; i < 2; i++) {
        context.log = forms[i];
        request("\x1b[31mX\xff", "/", "", span_str(""));
        exchange_end(&exchange, true);
        request("GET", "/\xc2\x9b\xff", "", span_str(""));
        exchange_end(&exchange, true);
        request("GET", "/a\xe2\x80\xae\xc3\xa9\x7f\"", "", span_str(""));
        exchange_end(&exchange, true);
    }
    dup2(kept, STDERR_FILENO);
    close(kept);
    ssize_t len = pread(file, text, sizeof text - 1, 0);
    close(file);
    assert_true(len > 0);
    text[len] = '\0';
    context.log = ACCESS_LOG_OFF;
    assert_non_null(strstr(text, " \\x1b[31mX\\xff / 400 "));
    assert_non_null(strstr(text, " GET /\\xc2\\x9b\\xff 404 "));
    assert_non_null(strstr(text, "\"method\":\"\\u001b[31mX\xef\xbf\xbd\""));
    assert_non_null(strstr(text, "\"path\":\"/\\u009b\xef\xbf\xbd\""));
    assert_non_null(strstr(text, "\"path\":\"/a\\u202e\xc3\xa9\\u007f\\\"\""));
    size_t lines = 0;
    for (ssize_t i = 0; i < len; i++) {
        lines += text[i] == '\n';
        assert_true(text[i] == '\n' || (uint8_t)text[i] >= ' ');
    }
    assert_int_equal(lines, 6);
}

/* The access log shows refused targets without queries and passwords. */
static void test_access_log_shows_refused_targets(void **state)
{
    (void)state;
    static const struct {
        const char *target, *path;
    } cases[] = {
        {"/a b?secret", "\"/a b\""},
        {"health?secret", "\"health\""},
        {"", "\"\""},
        {"ftp://me:secret@host/file?secret", "\"/file\""},
        {"ftp://me:secret@host", "\"\""},
        {"http://me:secret@host?secret/x", "\"/\""}, /* accepted as / */
        {"me:secret@host:443", "\"@host:443\""},
        {"/\x01#secret", "\"/\\u0001\""},
    };
    char path[4096], text[8192];
    snprintf(path, sizeof path, "%s/refused", test_tmpdir());
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), kept = dup(STDERR_FILENO);
    assert_true(file >= 0 && kept >= 0 && dup2(file, STDERR_FILENO) >= 0);
    context.log = ACCESS_LOG_JSON;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        request("GET", cases[i].target, "", span_str(""));
        exchange_end(&exchange, true);
    }
    dup2(kept, STDERR_FILENO);
    close(kept);
    context.log = ACCESS_LOG_OFF;
    ssize_t len = pread(file, text, sizeof text - 1, 0);
    close(file);
    assert_true(len > 0);
    text[len] = '\0';
    assert_null(strstr(text, "secret"));
    const char *at = text;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        at = strstr(at, "\"path\":");
        assert_non_null(at);
        at += strlen("\"path\":");
        if (strncmp(at, cases[i].path, strlen(cases[i].path)) != 0)
            fail_msg("%s is logged as %.40s", cases[i].target, at);
    }
}

/* When any one allocation fails, the client still gets an answer, and nothing leaks. */
static void test_exchange_survives_every_failed_allocation(void **state)
{
    (void)state;
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct exchange ex;
        exchange_init(&ex, &context);
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        exchange_line(&ex, span_str("/v2/namespaces/things/query"));
        ex.head = (struct head){.method = span_str("POST"), .version = span_str("HTTP/1.1"), .count = 1};
        ex.head.fields[0] = (struct head_field){span_str("Host"), span_str("a")};
        exchange_begin(&ex);
        exchange_body(&ex, span_str("{\"rank_by\":[\"vector\",\"ANN\",[\"Embed\",\"cat\"]]}"));
        exchange_run(&ex);
        unsigned status = ex.response.status;
        exchange_end(&ex, true);
        exchange_deinit(&ex);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_true(status == 200 || status == 503);
        assert_int_equal(atomic_load(&context.bodies.held), 0);
        assert_true(test_alloc_live() >= before);
        if (!fired) {
            assert_int_equal(status, 200);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange_routes_requests),
        cmocka_unit_test(test_exchange_hints_at_the_path_that_was_meant),
        cmocka_unit_test(test_exchange_knows_its_base_path),
        cmocka_unit_test(test_exchange_answers_options),
        cmocka_unit_test(test_exchange_refuses_pages_of_other_sites),
        cmocka_unit_test(test_exchange_runs_handlers),
        cmocka_unit_test(test_exchange_answers_cached_texts_at_once),
        cmocka_unit_test(test_exchange_keeps_harmless_ids),
        cmocka_unit_test(test_exchange_takes_over_traces),
        cmocka_unit_test(test_exchange_counts_requests_for_embeddings),
        cmocka_unit_test(test_exchange_counts_cached_answers),
        cmocka_unit_test(test_exchange_health_is_live_and_ready),
        cmocka_unit_test(test_exchange_tells_where_the_time_went),
        cmocka_unit_test(test_exchange_bounds_bodies),
        cmocka_unit_test(test_exchange_unpacks_gzip),
        cmocka_unit_test(test_exchange_compresses_answers),
        cmocka_unit_test(test_exchange_unpacks_zstd),
        cmocka_unit_test(test_exchange_takes_larger_bodies_of_writes),
        cmocka_unit_test(test_exchange_stores_large_bodies),
        cmocka_unit_test(test_exchange_counts_what_it_unpacks),
        cmocka_unit_test(test_exchange_serves_the_page_strictly),
        cmocka_unit_test(test_exchange_counts_requests),
        cmocka_unit_test(test_exchange_of_a_client_that_left_computes_nothing),
        cmocka_unit_test(test_exchange_forgets_large_memory),
        cmocka_unit_test(test_exchange_bounds_the_memory_of_unread_answers),
        cmocka_unit_test(test_access_log_shows_no_control_characters),
        cmocka_unit_test(test_access_log_shows_refused_targets),
        cmocka_unit_test(test_exchange_survives_every_failed_allocation),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down));
}
