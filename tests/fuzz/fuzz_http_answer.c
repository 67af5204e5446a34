/* fuzz_http_answer.c: any answer to any request, as libcurl hands it over. No byte is written past the
 * requested range, and an accepted range is the requested one. Input: the first bytes describe the request;
 * then header lines up to an empty one, then the body. */
#include <stdlib.h>

#include "base/alloc.h"
#include "store/block.h"
#include "store/http/try.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INTO = 300, FIRST_BYTES = 6 };

static struct span take_line(struct span *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->data) + 1 : rest->len;
    struct span line = span_of(rest->data, len);
    *rest = span_of(rest->data + len, rest->len - len);
    return line;
}

static void check(const struct http_try *t, const uint8_t *guard, bool accepted)
{
    const struct transport_request *req = t->asked.req;
    if (t->came.sink.len > t->came.sink.room)
        abort();
    if (req->into && *guard != 0x5a)
        abort();
    if (!req->into && t->came.sink.room > (req->max_body ? req->max_body : INTO))
        abort();
    if (accepted && t->came.decided && t->came.code == 206 && req->method == HTTP_GET) {
        if (!t->came.size_known || !t->came.expected_known || t->came.expected == 0 ||
            t->came.size <= (req->ranged ? req->offset : 0))
            abort();
        if (req->ranged && req->len > 0 && t->came.expected + t->asked.at > (uint64_t)req->len)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t into[INTO + 1];
    if (size < FIRST_BYTES)
        return 0;
    struct transport_request req = {.method = data[0] % 5, .ranged = data[1] & 1, .offset = data[2]};
    req.len = data[1] & 2 ? HTTP_LEN_TO_END : 1 + data[3];
    req.max_body = INTO;
    if (data[1] & 4)
        req.if_match = span_str("\"v\"");
    if (data[1] & 8) {
        req.into = into;
        req.into_len = req.len > 0 ? (size_t)req.len : INTO;
        into[req.into_len] = 0x5a;
    }
    struct http_try t;
    http_try_init(&t, &req);
    if ((data[1] & 16) && req.method == HTTP_GET && req.len > 1) { /* resumes after the first byte */
        t.asked.at = 1;
        t.asked.first_head = span_str("ETag: \"v\"\r\n");
        t.came.sink = (struct http_sink){.data = req.into, .room = req.into_len, .len = 1};
        if (!req.into) {
            t.came.sink.block = store_block_new(INTO);
            if (!t.came.sink.block)
                abort();
            t.came.sink.data = store_block_data(t.came.sink.block);
            t.came.sink.room = INTO;
        }
    }
    struct span rest = span_of(data + FIRST_BYTES, size - FIRST_BYTES);
    bool going = http_try_take_head(&t, span_str("HTTP/1.1 "));
    while (going && rest.len && !(t.came.decided)) {
        struct span line = take_line(&rest);
        going = http_try_take_head(&t, line);
    }
    while (going && rest.len) {
        size_t len = rest.len < 1u + data[4] ? rest.len : 1u + data[4];
        going = http_try_take_body(&t, span_of(rest.data, len));
        rest = span_of(rest.data + len, rest.len - len);
    }
    check(&t, &into[req.into_len], going);
    http_sink_drop(&t.came.sink);
    http_try_deinit(&t);
    return 0;
}
