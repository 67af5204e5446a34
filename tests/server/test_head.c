/* test_head.c: the server refuses heads whose framing is ambiguous. */
#include "test_support.h"

#include <stdio.h>

#include "server/head.h"

/* Fills a head from "Name: value\n" lines. The spans point into `text`. */
static void parse(struct head *head, const char *version, const char *text)
{
    *head = (struct head){.method = span_str("POST"), .version = span_str(version)};
    while (*text) {
        const char *colon = strchr(text, ':'), *end = strchr(text, '\n');
        head->fields[head->count++] = (struct head_field){span_of(text, (size_t)(colon - text)),
                                                          span_of(colon + 1, (size_t)(end - colon - 1))};
        text = end + 1;
    }
}

static void test_head_refuses_ambiguous_heads(void **state)
{
    (void)state;
    static const struct {
        const char *version, *fields;
        unsigned status;
    } cases[] = {
        {"HTTP/1.1", "Host: a\n", 0},
        {"HTTP/1.0", "", 0},
        {"HTTP/1.1", "Host: a\nContent-Length:0\n", 0},
        {"HTTP/1.1", "Host: a\nContent-Length:123456789012345678\n", 0},
        {"HTTP/1.1", "Host: a\nTransfer-Encoding: ChUnKeD \n", 0},
        {"HTTP/1.1", "Host: a\nExpect: 100-Continue\n", 0},
        {"HTTP/1.1", "Host: a\nX-Y!#$%&'*+-.^_`|~9:ok\tok\n", 0},
        {"HTTP/2.0", "Host: a\n", 505},
        {"", "Host: a\n", 505},
        {"HTTP/1.1", "", 400},
        {"HTTP/1.1", "Host: a\nHost: a\n", 400},
        {"HTTP/1.1", "Host: a\nIdempotency-Key: 1\n", 0},
        {"HTTP/1.1", "Host: a\nIdempotency-Key: 1\nidempotency-key: 2\n", 400},
        {"HTTP/1.1", "Host: a\nContent-Length:1\ncontent-length:1\n", 400},
        {"HTTP/1.1", "Host: a\nContent-Length:\n", 400},
        {"HTTP/1.1", "Host: a\nContent-Length: 1\n", 400}, /* the parser has removed the blanks */
        {"HTTP/1.1", "Host: a\nContent-Length:+1\n", 400},
        {"HTTP/1.1", "Host: a\nContent-Length:-1\n", 400},
        {"HTTP/1.1", "Host: a\nContent-Length:0x1\n", 400},
        {"HTTP/1.1", "Host: a\nContent-Length:1,1\n", 400},
        {"HTTP/1.1", "Host: a\nContent-Length:1234567890123456789\n", 400},
        {"HTTP/1.1", "Host: a\nContent-Length:1\nTransfer-Encoding:chunked\n", 400},
        {"HTTP/1.1", "Host: a\nTransfer-Encoding:chunked\nTransfer-Encoding:chunked\n", 400},
        {"HTTP/1.1", "Host: a\nTransfer-Encoding:gzip, chunked\n", 501},
        {"HTTP/1.1", "Host: a\nTransfer-Encoding:\n", 501},
        {"HTTP/1.0", "Transfer-Encoding:chunked\n", 400},
        {"HTTP/1.1", "Host: a\nExpect:200-ok\n", 417},
        {"HTTP/1.1", "Host: a\nContent-Length : 1\n", 400},
        {"HTTP/1.1", "Host: a\n X: 1\n", 400},
        {"HTTP/1.1", "Host: a\n: 1\n", 400},
        {"HTTP/1.1", "Host: a\nX(Y): 1\n", 400},
        {"HTTP/1.1", "Host: a\nX: a\rb\n", 400},
        {"HTTP/1.1", "Host: a\nX: a\x7f\n", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dp_error error = {.status = DP_OK};
        struct head head;
        parse(&head, cases[i].version, cases[i].fields);
        unsigned status = head_check(&head, &error);
        if (status != cases[i].status)
            fail_msg("%s %s: got status %u, expected %u", cases[i].version, cases[i].fields, status,
                     cases[i].status);
        assert_int_equal(error.status == DP_OK, status == 0);
    }
}

static void test_head_refuses_too_many_fields_and_misread_heads(void **state)
{
    (void)state;
    struct dp_error error;
    struct head head;
    parse(&head, "HTTP/1.1", "Host: a\n");
    head.too_many = true;
    assert_int_equal(head_check(&head, &error), 431);
    head.too_many = false;
    head.ambiguous = true;
    assert_int_equal(head_check(&head, &error), 400);
    head.ambiguous = false;
    head.method = span_str("GE T");
    assert_int_equal(head_check(&head, &error), 400);
}

static void test_head_finds_values_whatever_the_case(void **state)
{
    (void)state;
    struct dp_error error;
    struct head head;
    parse(&head, "HTTP/1.1", "HOST:a\nX-Request-ID: \t abc \nContent-Length:17\nEmpty:\n");
    assert_int_equal(head_check(&head, &error), 0);
    assert_true(head.has_length && head.content_length == 17 && !head.chunked);
    assert_true(span_equal_str(head_value(&head, "x-request-id"), "abc"));
    assert_non_null(head_value(&head, "empty").data);
    assert_null(head_value(&head, "x-request").data);
}

/* The parser writes a NUL over each CR, LF and colon after a field's name. '|' stands for a NUL here. */
static void test_head_is_whole_only_when_nothing_was_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        const char *fields[4]; /* names and values, in pairs */
        bool whole;
    } cases[] = {
        {"POST /|HTTP/1.1||A| x||B|y||||", {"A", "x", "B", "y"}, true},
        {"POST /|HTTP/1.1||A| \t||B|  y  ||||", {"A", "", "B", "y  "}, true},
        {"POST /|HTTP/1.1||||", {NULL}, true},
        {"POST /|HTTP/1.1||A|x|B|y||||", {"A", "x", "B", "y"}, false},    /* a bare LF */
        {"POST /|HTTP/1.1|A|x||B|y||||", {"A", "x", "B", "y"}, false},    /* a bare LF behind the request line */
        {"POST /|HTTP/1.1||A|x||B|y|||", {"A", "x", "B", "y"}, false},    /* a bare LF at the end */
        {"POST /|HTTP/1.1||A|x|z||B|y||||", {"A", "x", "B", "y"}, false}, /* a NUL in a value */
        {"POST /|HTTP/1.1||A|x||| z||", {"A", "x"}, false},               /* the parser took ": z" for the end */
        {"POST /|HTTP/1.1||A|x|| z||||", {"A", "x"}, false},              /* a folded line */
        {"POST /|HTTP/1.1||A|x||||B|y||", {"A", "x"}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char raw[100];
        size_t len = strlen(cases[i].raw);
        memcpy(raw, cases[i].raw, len);
        for (size_t j = 0; j < len; j++)
            if (raw[j] == '|')
                raw[j] = '\0';
        struct head head = {.method = span_of(raw, 4), .target_len = 1, .version = span_of(raw + 7, 8)};
        size_t at = 15;
        for (size_t j = 0; j < 4 && cases[i].fields[j]; j += 2) {
            const char *name = cases[i].fields[j], *value = cases[i].fields[j + 1];
            while (raw[at] != name[0])
                at++;
            struct span name_span = span_of(raw + at, strlen(name));
            at += name_span.len + 1;
            while (raw[at] == ' ' || raw[at] == '\t')
                at++;
            head.fields[head.count++] = (struct head_field){name_span, span_of(raw + at, strlen(value))};
            at += strlen(value);
        }
        if (head_is_whole(&head, span_of(raw, len)) != cases[i].whole)
            fail_msg("case %zu: %s", i, cases[i].raw);
        for (size_t cut = 0; cases[i].whole && cut < len; cut++)
            assert_false(head_is_whole(&head, span_of(raw, cut)));
    }
}

/* A NUL or a second blank in a request line hides a part of it from the parser. '|' stands for a NUL here. */
static void test_head_is_whole_only_when_its_line_is(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        size_t method_len, target_len, version_at;
        bool whole;
    } cases[] = {
        {"GET|/health|HTTP/1.1||||", 3, 7, 12, true},
        {"GET|/a b|HTTP/1.1||||", 3, 4, 9, true},          /* head_check refuses it later */
        {"GET|/health|foo|HTTP/1.1||||", 3, 7, 16, false}, /* a NUL in the target */
        {"GET||/health|HTTP/1.1||||", 3, 7, 13, false},    /* a NUL or a second blank after the method */
        {"GET|/health||HTTP/1.1||||", 3, 7, 13, false},    /* a NUL or a second blank after the target */
        {"G|T|/health|HTTP/1.1||||", 1, 7, 12, false},     /* a NUL in the method */
        {"|ET|/health|HTTP/1.1||||", 0, 7, 12, false},
        {"GET|/health|HTTP/1.1||||", 3, 6, 12, false},
        {"GET|/health|HTTP/1.1||||", 3, 8, 12, false},
        {"GET||HTTP/1.1||||", 3, 0, 5, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char raw[100];
        size_t len = strlen(cases[i].raw);
        for (size_t j = 0; j < len; j++)
            raw[j] = (char)(cases[i].raw[j] == '|' ? '\0' : cases[i].raw[j]);
        struct head head = {.method = span_of(raw, cases[i].method_len),
                            .target_len = cases[i].target_len,
                            .version = span_of(raw + cases[i].version_at, 8)};
        if (head_is_whole(&head, span_of(raw, len)) != cases[i].whole)
            fail_msg("case %zu: %s", i, cases[i].raw);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_refuses_ambiguous_heads),
        cmocka_unit_test(test_head_refuses_too_many_fields_and_misread_heads),
        cmocka_unit_test(test_head_finds_values_whatever_the_case),
        cmocka_unit_test(test_head_is_whole_only_when_nothing_was_skipped),
        cmocka_unit_test(test_head_is_whole_only_when_its_line_is),
    };
    return test_run(tests);
}
