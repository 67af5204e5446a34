/* http/try.c: turns one try of a request into options of libcurl, and takes its answer in callbacks.
 *
 * The callbacks run on the transport's loop. They judge the head as soon as it is complete, so a try with a wrong
 * version, a wrong range or a too large answer ends before its body arrives. Then they copy the bytes of the body
 * to their final place. No function here waits.
 */
#include "store/http/try.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "os/address.h"
#include "os/clock.h"
#include "store/implement.h"
#include "store/transport.h"
#include "store/http/head.h"

enum {
    SINK_FIRST = 64 << 10,
    RECEIVE_BUFFER = 64 << 10,
    EXPECT_MIN_BYTES = 64 << 10 /* of the body of a write that must not happen twice */
};

void http_try_init(struct http_try *t, const struct transport_request *req)
{
    *t = (struct http_try){.asked.req = req};
    buffer_init(&t->came.head, HTTP_HEAD_MAX);
    buffer_init(&t->came.error_body, HTTP_ERROR_BODY_MAX);
    buffer_init(&t->asked.url, HTTP_HEAD_MAX);
}

void http_try_deinit(struct http_try *t)
{
    curl_slist_free_all(t->asked.headers);
    t->asked.headers = NULL;
    buffer_deinit(&t->came.head);
    buffer_deinit(&t->came.error_body);
    buffer_deinit(&t->asked.url);
}

void http_sink_drop(struct http_sink *sink)
{
    store_block_release(sink->block);
    *sink = (struct http_sink){0};
}

struct span http_try_target(const struct http_try *t)
{
    return t->asked.url.len ? buffer_span(&t->asked.url) : t->asked.req->url;
}

/* ---- the request ------------------------------------------------------------------------------------ */

static bool append_line(struct http_try *t, const char *line)
{
    struct curl_slist *longer = curl_slist_append(t->asked.headers, line);
    if (longer)
        t->asked.headers = longer;
    return longer != NULL;
}

/* Returns whether a line of a curl_slist is the header `name`. */
static bool line_has_name(const char *line, const char *name)
{
    size_t len = strlen(name);
    return strncasecmp(line, name, len) == 0 && (line[len] == ':' || line[len] == ';');
}

static bool has_header(const struct http_try *t, const char *name)
{
    for (const struct curl_slist *h = t->asked.headers; h; h = h->next)
        if (line_has_name(h->data, name))
            return true;
    return false;
}

enum dp_status http_try_header(struct http_try *t, const char *name, struct span value, struct dp_error *error)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] == '\r' || value.data[i] == '\n' || value.data[i] == '\0')
            return dp_fail(error, DP_INVALID, "the value of header %s has a line end in it", name);
    struct buffer line;
    buffer_init(&line, HTTP_HEAD_MAX);
    /* libcurl sends "Name;" as a header without a value. */
    buffer_append_str(&line, name);
    buffer_append_str(&line, value.len ? ": " : ";");
    buffer_append(&line, value);
    buffer_u8(&line, 0);
    enum dp_status status = buffer_check(&line, "a request's header", error);
    if (status == DP_OK && !append_line(t, (const char *)line.data))
        status = dp_fail_nomem(error, "a request's header");
    buffer_deinit(&line);
    return status;
}

enum dp_status http_try_url(struct http_try *t, struct span url, struct dp_error *error)
{
    buffer_clear(&t->asked.url);
    buffer_append(&t->asked.url, url);
    return buffer_check(&t->asked.url, "a request's URL", error);
}

/* ---- callbacks -------------------------------------------------------------------------------------- */

static size_t on_head(char *data, size_t size, size_t n, void *context)
{
    return http_try_take_head(context, span_of(data, size * n)) ? size * n : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *context)
{
    return http_try_take_body(context, span_of(data, size * n)) ? size * n : 0;
}

static size_t on_upload(char *to, size_t size, size_t n, void *context)
{
    struct http_try *t = context;
    size_t left = t->asked.req->body.len - t->loop.upload_at, room = size * n;
    size_t len = left < room ? left : room;
    if (len)
        memcpy(to, t->asked.req->body.data + t->loop.upload_at, len);
    t->loop.upload_at += len;
    t->loop.moved += len;
    return len;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct http_try *t = context;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->asked.req->body.len)
        return CURL_SEEKFUNC_FAIL;
    t->loop.upload_at = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* libcurl calls it just before it sends the request. If a reused connection turns out to be dead, libcurl sends
 * the request again by itself; this callback prevents that for a request that must not be done twice. */
static int on_send(void *context, char *peer, char *local, int peer_port, int local_port)
{
    struct http_try *t = context;
    (void)peer, (void)local, (void)peer_port, (void)local_port;
    if (t->came.sent && t->asked.req->once) {
        t->came.fault = HTTP_FAULT_RESENT;
        return CURL_PREREQFUNC_ABORT;
    }
    t->came.sent++;
    t->loop.window_ns = t->loop.sent_ns = os_now_ns();
    t->loop.window_moved = t->loop.moved;
    return CURL_PREREQFUNC_OK;
}

/* Opens the socket of a connection if the peer's address is public. */
static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_try *t = context;
    (void)purpose;
    int fd = os_socket_to_public(&address->addr, address->family, address->socktype, address->protocol);
    if (fd < 0 && errno == EACCES)
        t->came.refused = true;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* ---- arming ----------------------------------------------------------------------------------------- */

static CURLcode arm_method(struct http_try *t)
{
    CURL *easy = t->asked.easy;
    const struct transport_request *req = t->asked.req;
    CURLcode code = CURLE_OK;
    switch (req->method) {
    case HTTP_GET: code = curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); break;
    case HTTP_HEAD: code = curl_easy_setopt(easy, CURLOPT_NOBODY, 1L); break;
    case HTTP_PUT:
        code = curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->body.len);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
        curl_easy_setopt(easy, CURLOPT_READDATA, t);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, t);
        break;
    case HTTP_POST:
        code = curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, req->body.len ? (const char *)req->body.data : "");
        break;
    case HTTP_DELETE: code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "DELETE"); break;
    }
    return code;
}

struct span http_method_name(enum http_method method)
{
    static const char *const NAMES[] = {[HTTP_GET] = "GET",
                                        [HTTP_HEAD] = "HEAD",
                                        [HTTP_PUT] = "PUT",
                                        [HTTP_POST] = "POST",
                                        [HTTP_DELETE] = "DELETE"};
    return span_str(NAMES[method]);
}

enum dp_status http_try_complete(struct http_try *t, struct dp_error *error)
{
    if (t->asked.complete)
        return DP_OK;
    t->asked.complete = true;
    const struct transport_request *req = t->asked.req;
    char text[64];
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < req->header_count && status == DP_OK; i++) {
        struct span name = req->headers[i].name;
        snprintf(text, sizeof text, "%.*s", SPAN_FMT(name));
        if (name.len >= sizeof text)
            return dp_fail(error, DP_INVALID, "header %.*s has too long a name", SPAN_FMT(name));
        if (!has_header(t, text))
            status = http_try_header(t, text, req->headers[i].value, error);
    }
    if (status == DP_OK && req->method == HTTP_GET && (req->ranged || t->asked.at)) {
        uint64_t first = (req->ranged ? req->offset : 0) + t->asked.at;
        if (req->ranged && req->len >= 0)
            snprintf(text, sizeof text, "bytes=%" PRIu64 "-%" PRIu64, first, req->offset + (uint64_t)req->len - 1);
        else
            snprintf(text, sizeof text, "bytes=%" PRIu64 "-", first);
        status = http_try_header(t, "Range", span_str(text), error);
    }
    struct span pin = req->if_match;
    if (t->asked.at && !pin.len)
        pin = http_head_find(t->asked.first_head, "etag");
    if (status == DP_OK && !req->version_header && pin.len && http_etag_is_strong(pin))
        status = http_try_header(t, "If-Match", pin, error);
    /* A store that refuses a large write should do so before it gets the body: if it closes the connection meanwhile, its
     * answer may be lost, and the outcome with it. */
    bool awaits = req->once && !req->unasked && req->body.len >= EXPECT_MIN_BYTES;
    if (status == DP_OK && !append_line(t, awaits ? "Expect: 100-continue" : "Expect:"))
        status = dp_fail_nomem(error, "a request's headers");
    if (status == DP_OK && req->method == HTTP_POST && !has_header(t, "Content-Type") &&
        !append_line(t, "Content-Type:"))
        status = dp_fail_nomem(error, "a request's headers");
    return status;
}

/* Sets the certificates to trust, unless libcurl shall use its own. */
static CURLcode arm_trust(CURL *easy, const struct trust *trust)
{
    const char *file = *trust->file ? trust->file : NULL, *folders = *trust->folders ? trust->folders : NULL;
    if (!trust->named)
        return CURLE_OK;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_CAPATH, folders);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, file);
    return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, folders) : code;
}

size_t http_try_headers(const struct http_try *t, struct transport_header *out, size_t room)
{
    size_t count = 0;
    for (const struct curl_slist *line = t->asked.headers; line; line = line->next) {
        const char *colon = strchr(line->data, ':');
        if (!colon || colon[1] == '\0') /* "Name:" keeps libcurl from adding the header */
            continue;
        if (count < room)
            out[count] = (struct transport_header){span_of(line->data, (size_t)(colon - line->data)),
                                                   span_trim(span_str(colon + 1), " ")};
        count++;
    }
    return count;
}

/* Sets the options for which libcurl copies or allocates, so they can fail. The other options fail only if libcurl
 * is older than our build requires. */
static enum dp_status arm_copied(struct http_try *t, const struct transport_options *options,
                                 const struct trust *trust, struct dp_error *error)
{
    CURL *easy = t->asked.easy;
    CURLcode code = CURLE_OK;
    struct buffer url;
    buffer_init(&url, HTTP_HEAD_MAX);
    buffer_append(&url, http_try_target(t));
    buffer_u8(&url, 0);
    enum dp_status status = buffer_check(&url, "a request's URL", error);
    if (status == DP_OK)
        code = curl_easy_setopt(easy, CURLOPT_URL, (const char *)url.data);
    buffer_deinit(&url);
    if (status != DP_OK)
        return status;
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_USERAGENT, "dipper");
    if (code == CURLE_OK)
        code = arm_trust(easy, trust);
    if (code == CURLE_OK)
        code = arm_method(t);
    if (code == CURLE_OK && (options->public_only || options->direct))
        code = curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (code == CURLE_OUT_OF_MEMORY)
        return dp_fail_nomem(error, "a request");
    return code == CURLE_OK
               ? DP_OK
               : dp_fail(error, DP_INVALID, "libcurl refuses the request: %s", curl_easy_strerror(code));
}

enum dp_status http_try_arm(struct http_try *t, const struct transport_options *options, const struct trust *trust,
                            struct dp_error *error)
{
    bool secure = span_starts_with(http_try_target(t), span_str("https:"));
    trust = t->asked.req->trust ? t->asked.req->trust : trust;
    if (secure && trust->status != DP_OK) {
        if (error)
            *error = trust->error;
        return trust->status;
    }
    enum dp_status status = http_try_complete(t, error);
    if (status != DP_OK)
        return status;
    CURL *easy = t->asked.easy;
    status = arm_copied(t, options, trust, error);
    if (status != DP_OK)
        return status;
    if (options->public_only) {
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->asked.headers);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->came.curl_error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_send);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* an aborted try does not wait for a name server */
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    /* HTTP/1.1, so each try has a connection for itself: over HTTP/2, parallel ranges would share one window. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    return DP_OK;
}

/* ---- the answer ------------------------------------------------------------------------------------- */

struct span http_shown_version(const struct transport_request *req, struct span head)
{
    return http_head_find(head, req->version_header ? req->version_header : "etag");
}

bool http_same_version(const struct transport_request *req, struct span first, struct span head)
{
    if (req->version_header) {
        struct span version = http_shown_version(req, first);
        return version.len && span_equal(version, http_shown_version(req, head));
    }
    struct span etag = http_head_find(first, "etag");
    if (etag.len)
        return http_etag_is_strong(etag) && span_equal(etag, http_head_find(head, "etag"));
    struct span modified = http_head_find(first, "last-modified");
    return modified.len && span_equal(modified, http_head_find(head, "last-modified"));
}

/* Reads the Content-Length. Returns false if it is missing or not a number. */
static bool content_length(struct span head, uint64_t *out)
{
    struct span value = http_head_find(head, "content-length");
    uint64_t sum = 0;
    if (value.len == 0 || value.len > 18)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        sum = sum * 10 + (value.data[i] - '0');
    }
    *out = sum;
    return true;
}

/* Judges a 206: it must hold exactly the requested range, or the part of it that lies before the object's end. */
static enum http_fault judge_partial(struct http_try *t, struct span head)
{
    const struct transport_request *req = t->asked.req;
    struct http_content_range range;
    if (!http_content_range_parse(http_head_find(head, "content-range"), &range) || !range.has_range ||
        !range.has_size)
        return HTTP_FAULT_BAD_RANGE;
    uint64_t first = (req->ranged ? req->offset : 0) + t->asked.at, last = range.size - 1;
    if (req->ranged && req->len >= 0 && req->offset + (uint64_t)req->len - 1 < last)
        last = req->offset + (uint64_t)req->len - 1;
    uint64_t length = range.last - range.first + 1, said;
    if (range.first != first || range.last != last || (content_length(head, &said) && said != length))
        return HTTP_FAULT_BAD_RANGE;
    t->came.expected = length;
    t->came.expected_known = true;
    t->came.size = range.size;
    t->came.size_known = true;
    return HTTP_FAULT_NONE;
}

/* Judges a 200 to a GET. For a ranged request it is right only if the range covers the whole object. */
static enum http_fault judge_whole(struct http_try *t, struct span head)
{
    const struct transport_request *req = t->asked.req;
    t->came.expected_known = content_length(head, &t->came.expected);
    t->came.size_known = t->came.expected_known;
    t->came.size = t->came.expected;
    if (!req->ranged)
        return HTTP_FAULT_NONE;
    if (req->offset || (req->len >= 0 && t->came.expected_known && t->came.expected > (uint64_t)req->len))
        return HTTP_FAULT_NO_RANGES;
    return HTTP_FAULT_NONE;
}

/* Returns the maximum number of body bytes in a 2xx answer. */
static uint64_t body_limit(const struct transport_request *req)
{
    if (req->into)
        return req->into_len;
    if (req->max_body)
        return req->max_body;
    return req->ranged && req->len >= 0 ? (uint64_t)req->len : HTTP_BODY_DEFAULT_MAX;
}

/* Makes room for the body that the head announces. */
static enum http_fault open_sink(struct http_try *t)
{
    struct http_sink *sink = &t->came.sink;
    uint64_t limit = body_limit(t->asked.req);
    if (t->came.expected_known && (t->came.expected > limit || sink->len > limit - t->came.expected))
        return HTTP_FAULT_BODY;
    if (t->asked.req->into && !t->asked.is_hedge) {
        sink->data = t->asked.req->into;
        sink->room = t->asked.req->into_len;
        return HTTP_FAULT_NONE;
    }
    if (sink->data)
        return HTTP_FAULT_NONE; /* a resumed read has its room already */
    sink->grows = !t->came.expected_known;
    uint64_t room = t->came.expected_known ? t->came.expected : limit < SINK_FIRST ? limit : SINK_FIRST;
    if (room == 0)
        return HTTP_FAULT_NONE;
    sink->block = room > SIZE_MAX ? NULL : store_block_new((size_t)room);
    if (!sink->block)
        return HTTP_FAULT_NOMEM;
    sink->data = store_block_data(sink->block);
    sink->room = (size_t)room;
    return HTTP_FAULT_NONE;
}

/* Judges a complete head. HTTP_FAULT_NONE: take the body. */
static enum http_fault judge_head(struct http_try *t)
{
    const struct transport_request *req = t->asked.req;
    struct span head = buffer_span(&t->came.head);
    if (t->came.head.status == DP_NOMEM)
        return HTTP_FAULT_NOMEM;
    if (t->came.head.status != DP_OK)
        return HTTP_FAULT_HEAD;
    bool reads = req->method == HTTP_GET || req->method == HTTP_HEAD;
    if (t->came.code / 100 != 2)
        return HTTP_FAULT_NONE;
    struct span version = http_shown_version(req, head);
    if (reads && req->if_match.len && version.len && !span_equal(version, req->if_match))
        return HTTP_FAULT_STALE;
    if (req->method == HTTP_HEAD) {
        t->came.size_known = content_length(head, &t->came.size);
        return HTTP_FAULT_NONE;
    }
    enum http_fault fault = HTTP_FAULT_NONE;
    if (req->method == HTTP_GET && t->came.code == 206) {
        if (!req->ranged && !t->asked.at)
            return HTTP_FAULT_BAD_RANGE; /* nobody asked for a part */
        if (t->asked.at && !http_same_version(req, t->asked.first_head, head))
            return HTTP_FAULT_CHANGED;
        fault = judge_partial(t, head);
    } else if (req->method == HTTP_GET) {
        /* The answer does not continue a resumed read (perhaps the server supports no ranges), so begin anew. */
        http_sink_drop(&t->came.sink);
        t->asked.at = 0;
        if (t->came.code == 200)
            fault = judge_whole(t, head);
        else
            t->came.expected_known = content_length(head, &t->came.expected);
    } else {
        t->came.expected_known = content_length(head, &t->came.expected);
    }
    return fault == HTTP_FAULT_NONE ? open_sink(t) : fault;
}

static bool decide_head(struct http_try *t)
{
    if (!t->came.decided) {
        t->came.decided = true;
        t->loop.decided_ns = os_now_ns();
        t->came.fault = judge_head(t);
    }
    return t->came.fault == HTTP_FAULT_NONE;
}

bool http_try_take_head(struct http_try *t, struct span line)
{
    t->loop.moved += line.len;
    if (t->came.decided || line.len == 0)
        return true; /* ignores trailer lines */
    if (span_starts_with(line, span_str("HTTP/"))) {
        const uint8_t *blank = memchr(line.data, ' ', line.len);
        buffer_clear(&t->came.head);
        t->came.code = 0;
        for (size_t i = blank ? (size_t)(blank - line.data) + 1 : line.len, digits = 0; i < line.len && digits < 3;
             i++, digits++) {
            if (line.data[i] < '0' || line.data[i] > '9')
                break;
            t->came.code = t->came.code * 10 + (line.data[i] - '0');
        }
        return true;
    }
    if (line.data[0] == '\r' || line.data[0] == '\n')
        return t->came.code < 200 || decide_head(t);
    buffer_append(&t->came.head, line);
    return t->came.head.status == DP_OK || decide_head(t);
}

/* Makes room for `len` more bytes of a body whose head announced no length. */
static enum http_fault grow_sink(struct http_try *t, size_t len)
{
    struct http_sink *sink = &t->came.sink;
    uint64_t limit = body_limit(t->asked.req), room = sink->room;
    if (len > limit || sink->len > limit - len)
        return t->asked.req->ranged ? HTTP_FAULT_NO_RANGES : HTTP_FAULT_BODY;
    while (room < sink->len + len)
        room = room ? 2 * room : SINK_FIRST;
    if (room > limit)
        room = limit;
    struct store_block *block = store_block_resize(sink->block, (size_t)room);
    if (!block)
        return HTTP_FAULT_NOMEM;
    sink->block = block;
    sink->data = store_block_data(block);
    sink->room = (size_t)room;
    return HTTP_FAULT_NONE;
}

bool http_try_take_body(struct http_try *t, struct span data)
{
    size_t len = data.len;
    t->loop.moved += len;
    t->came.body_len += len;
    if (!decide_head(t))
        return false;
    if (t->came.code / 100 != 2) {
        size_t room = HTTP_ERROR_BODY_MAX - t->came.error_body.len;
        buffer_append(&t->came.error_body, span_of(data.data, len < room ? len : room));
        if (t->came.error_body.status != DP_OK)
            t->came.fault = HTTP_FAULT_NOMEM;
        else if (len > room)
            t->came.fault = HTTP_FAULT_CUT;
        return t->came.fault == HTTP_FAULT_NONE;
    }
    struct http_sink *sink = &t->came.sink;
    if (len > sink->room - sink->len) {
        if (!sink->grows)
            t->came.fault = t->asked.req->ranged && t->came.code == 200 ? HTTP_FAULT_NO_RANGES : HTTP_FAULT_BODY;
        else
            t->came.fault = grow_sink(t, len);
        if (t->came.fault != HTTP_FAULT_NONE)
            return false;
    }
    if (len)
        memcpy(sink->data + sink->len, data.data, len);
    sink->len += len;
    return true;
}
