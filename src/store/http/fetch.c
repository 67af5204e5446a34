/* http/fetch.c: turns range fetches into HTTP requests, and takes sizes, versions and errors from the answers. */
#include "store/http/fetch.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/masked_url.h"
#include "os/clock.h"
#include "store/http/head.h"
#include "store/http/refusal.h"
#include "store/http/run.h"

/* ---- versions --------------------------------------------------------------------------------------- */

static const char BY_DATE = '~'; /* begins versions that are not ETags; ETags begin with a quote */

bool http_version_of(struct span etag, struct span last_modified, bool size_known, uint64_t size,
                     struct store_version *out)
{
    *out = (struct store_version){0};
    if (http_etag_is_strong(etag) && etag.len <= STORE_VERSION_MAX) {
        memcpy(out->token, etag.data, etag.len);
        out->len = (uint8_t)etag.len;
        return true;
    }
    struct span tag = last_modified.len ? last_modified : etag; /* a weak ETag is better than nothing */
    if (!size_known || tag.len == 0 || tag.len > STORE_VERSION_MAX - 24)
        return false;
    int len = snprintf(out->token, sizeof out->token, "%c%.*s;%" PRIu64, BY_DATE, SPAN_FMT(tag), size);
    out->len = (uint8_t)len;
    return true;
}

struct span http_version_etag(const struct store_version *version)
{
    return version->len && version->token[0] == '"' ? span_of(version->token, version->len) : span_of(NULL, 0);
}

/* ---- errors ----------------------------------------------------------------------------------------- */

static const char *code_means(int code, enum dp_status *status)
{
    switch (code) {
    case 400: *status = DP_INVALID; return "the server does not understand the request";
    case 401: *status = DP_DENIED; return "the server asks for credentials";
    case 403: *status = DP_DENIED; return "the server refuses access; a presigned URL may have expired";
    case 404:
    case 410: *status = DP_NOT_FOUND; return "there is no such object";
    case 405:
    case 501: *status = DP_UNSUPPORTED; return "the server does not do this";
    case 409: *status = DP_CONFLICT; return "another request is changing the object";
    case 412: *status = DP_CONFLICT; return "the object was changed by another writer";
    case 413: *status = DP_TOO_LARGE; return "the server takes no object of this size";
    case 507: *status = DP_FULL; return "the store is full";
    default: *status = DP_IO; return NULL;
    }
}

enum dp_status http_answer_error(const struct transport_request *req, struct dp_error *error)
{
    char shown[URL_SHOWN_MAX], words[HTTP_REFUSAL_SHOWN_MAX];
    enum dp_status status;
    const char *why;
    url_shown(req->url, shown);
    const char *means = code_means(req->code, &status);
    http_refusal_shown(req, words);
    if (http_refusal_known(req, &why)) /* Azure answers 409 for an archived blob */
        return dp_fail(error, req->code == 409 ? DP_DENIED : status, "%s: %s (%d%s)", shown, why, req->code,
                       words);
    if (req->code == 403 && words[0])
        means = "the server refuses access; the object may be missing";
    if (means)
        return dp_fail(error, status, "%s: %s (%d%s)", shown, means, req->code, words);
    struct span location = http_head_find(req->head, "location");
    if (req->code / 100 == 3 && location.len) {
        char to[URL_SHOWN_MAX];
        return dp_fail(error, DP_UNSUPPORTED,
                       "%s: the server answers with a redirect (%d) to %s, which is not followed; give that URL",
                       shown, req->code, url_shown(location, to));
    }
    return dp_fail(error, status, "%s: unexpected HTTP status %d", shown, req->code);
}

int64_t http_answer_date(const struct transport_request *req)
{
    int64_t seconds;
    if (http_head_find(req->head, "age").data ||
        !http_date_parse(http_head_find(req->head, "date"), os_wall_ms() / 1000, &seconds) || seconds < 0)
        return 0;
    return seconds * 1000;
}

/* ---- requests --------------------------------------------------------------------------------------- */

/* The question that a request asks about an object. Some servers refuse a range behind the end without reporting
 * the size; then a look follows, which asks for size and version only. A look is a HEAD where the source allows
 * it, else a GET of the first byte. That GET also follows a refused HEAD, because the refusal gives no reason and
 * may concern HEADs only. An empty object has no first byte, so a GET of the whole object follows. */
enum fetch_question {
    ASK_RANGE,
    ASK_HEAD,
    ASK_FIRST, /* the first byte */
    ASK_WHOLE, /* the whole object, which seems to be empty */
    ASK_NOTHING
};

/* A fetch and its latest question. */
struct pending_fetch {
    struct range_fetch *fetch;
    enum fetch_question question;
    uint8_t byte; /* the byte that ASK_FIRST reads */
};

/* Pins a request by an ETag; with `if_changed`, adds that condition to the headers that `aim` has set. Does nothing for
 * a version that is no ETag. */
static enum dp_status pin_etag(struct call *call, const struct store_version *version, bool if_changed,
                               struct transport_request *req)
{
    struct span etag = http_version_etag(version);
    if (!if_changed)
        req->if_match = etag;
    if (!if_changed || !etag.len)
        return DP_OK;
    struct transport_header *headers = arena_array(call->arena, req->header_count + 1, sizeof *headers);
    if (!headers)
        return call_nomem(call, "a request's headers");
    if (req->header_count)
        memcpy(headers, req->headers, req->header_count * sizeof *headers);
    headers[req->header_count++] = (struct transport_header){span_str("If-None-Match"), etag};
    req->headers = headers;
    return DP_OK;
}

/* Makes the request for the fetch's question. */
static enum dp_status prepare_fetch(struct http_source *source, struct call *call, struct pending_fetch *flight,
                                    struct transport_request *req)
{
    const struct range_fetch *f = flight->fetch;
    *req = (struct transport_request){.method = HTTP_GET};
    enum dp_status status = source->aim(source, call, f->key, req);
    if (status != DP_OK)
        return status;
    switch (flight->question) {
    case ASK_RANGE:
        /* A request for the whole object has no range: an empty object has none, and every server sends whole
         * objects. */
        req->ranged = f->offset || f->len != STORE_TO_END;
        req->offset = f->offset;
        req->len = f->len == STORE_TO_END ? HTTP_LEN_TO_END : f->len;
        req->into = f->into;
        req->into_len = f->len == STORE_TO_END ? 0 : (size_t)f->len;
        req->max_body = f->len == STORE_TO_END ? RANGES_TO_END_MAX : 0;
        break;
    case ASK_HEAD: req->method = HTTP_HEAD; break;
    case ASK_FIRST:
        req->ranged = true;
        req->len = 1;
        req->into = &flight->byte;
        req->into_len = 1;
        break;
    default: req->max_body = 1; break;
    }
    if (!f->pinned)
        return DP_OK;
    return source->pin ? source->pin(call, f->pinned, f->if_changed, req)
                       : pin_etag(call, f->pinned, f->if_changed, req);
}

static enum fetch_question look_at(const struct http_source *source)
{
    return source->heads ? ASK_HEAD : ASK_FIRST;
}

/* Returns the question that follows this answer. */
static enum fetch_question next_question(const struct http_source *source, const struct pending_fetch *flight,
                                         const struct transport_request *req)
{
    int code = req->status == DP_OK ? req->code : 0;
    if (flight->question == ASK_HEAD && (code == 400 || code == 401 || code == 403 || code == 405 || code == 501))
        return ASK_FIRST;
    if (code != 416)
        return ASK_NOTHING;
    if (flight->question == ASK_RANGE)
        return req->size_known ? ASK_NOTHING : look_at(source);
    return flight->question == ASK_FIRST && req->size == 0 ? ASK_WHOLE : ASK_NOTHING;
}

static void finish_fetch(struct http_source *source, struct call *call, const struct pending_fetch *flight,
                         const struct transport_request *req)
{
    char shown[URL_SHOWN_MAX];
    struct range_fetch *f = flight->fetch;
    if (req->status != DP_OK) {
        f->status = req->status;
        f->error = req->error;
        return;
    }
    f->date_ms = http_answer_date(req);
    f->size = req->size;
    if (req->code == 304 && f->if_changed) {
        f->unchanged = true;
        return;
    }
    if (req->code == 416 && req->size_known)
        return; /* no byte of the object lies in the range */
    if (req->code != 200 && req->code != 206) {
        f->status =
            source->explain ? source->explain(source, call, req, &f->error) : http_answer_error(req, &f->error);
        f->maybe_missing = f->status == DP_DENIED && source->hides_missing && source->hides_missing(call, req);
        return;
    }
    if (!req->size_known && (flight->question == ASK_HEAD || flight->question == ASK_FIRST)) {
        f->status = dp_fail(&f->error, DP_UNSUPPORTED, "%s: the server does not report the object's size",
                            url_shown(req->url, shown));
        return;
    }
    if (!req->size_known)
        f->size = req->body_len; /* a whole object in chunked encoding */
    if (flight->question == ASK_RANGE) {
        f->got = req->body_len;
        if (f->len == STORE_TO_END)
            f->bytes = store_bytes_retain(req->bytes);
    }
    bool known = source->version_of ? source->version_of(req, &f->version)
                                    : http_version_of(req->etag, req->last_modified, true, f->size, &f->version);
    if (!known) {
        f->status =
            dp_fail(&f->error, DP_UNSUPPORTED,
                    "%s: the server sends neither ETag nor Last-Modified, so changes could not be detected",
                    url_shown(req->url, shown));
        store_bytes_release(&f->bytes);
    } else if (f->if_changed && store_version_equal(&f->version, f->pinned)) {
        f->unchanged = true; /* a server without ETags cannot check the condition */
        store_bytes_release(&f->bytes);
    }
}

/* Runs one round for `n` fetches. Moves those that must ask again to the front and returns their number. */
static size_t ask_round(struct http_source *source, struct call *call, struct pending_fetch *flights,
                        struct transport_request *reqs, size_t n)
{
    size_t count = 0, again = 0;
    for (size_t i = 0; i < n; i++) {
        struct range_fetch *f = flights[i].fetch;
        flights[count] = flights[i];
        f->status = prepare_fetch(source, call, &flights[count], &reqs[count]);
        if (f->status == DP_OK)
            count++;
        else
            f->error = call->error;
    }
    if (count)
        transport_run(call, source->transport, reqs, count);
    for (size_t i = 0; i < count; i++) {
        enum fetch_question next = next_question(source, &flights[i], &reqs[i]);
        if (next == ASK_NOTHING)
            finish_fetch(source, call, &flights[i], &reqs[i]);
        else
            flights[again++] = (struct pending_fetch){.fetch = flights[i].fetch, .question = next};
    }
    transport_release(reqs, count);
    return again;
}

void http_fetch(void *ctx, struct call *call, struct range_fetch *fetches, size_t n)
{
    struct http_source *source = ctx;
    struct transport_request *reqs = mem_calloc(n, sizeof *reqs);
    struct pending_fetch *flights = mem_calloc(n, sizeof *flights);
    for (size_t i = 0; i < n; i++) {
        if (reqs && flights)
            flights[i] = (struct pending_fetch){.fetch = &fetches[i],
                                                .question = fetches[i].len ? ASK_RANGE : look_at(source)};
        else
            fetches[i].status = dp_fail_nomem(&fetches[i].error, "requests");
    }
    if (reqs && flights)
        for (n = ask_round(source, call, flights, reqs, n); n; n = ask_round(source, call, flights, reqs, n))
            call->cost.rounds++;
    dp_error_clear(&call->error); /* each fetch has its own error */
    mem_free(reqs);
    mem_free(flights);
}

enum dp_status http_fetch_head(struct http_source *source, struct call *call, struct span key,
                               struct store_info *out)
{
    struct range_fetch look = {.key = key};
    http_fetch(source, call, &look, 1);
    store_bytes_release(&look.bytes);
    if (look.status != DP_OK) {
        call->error = look.error;
        return look.status;
    }
    *out = (struct store_info){.size = look.size, .version = look.version};
    return DP_OK;
}
