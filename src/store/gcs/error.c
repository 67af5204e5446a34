/* gcs/error.c: decides for each error of Google Cloud Storage whether to try again, and explains it to the user.
 *
 * The reasons come from "HTTP status and error codes for JSON", Cloud Storage reference. An answer to a request for
 * the bytes of an object has no reason, only a line of text; then the code and this line count. Messages keep the
 * store's own words.
 */
#include "base/utf8.h"
#include "store/gcs/answers.h"
#include "store/gcs/gcs.h"

static const char *const TOO_FAST[] = {"rateLimitExceeded", "userRateLimitExceeded"};

/* Whether a text contains a word. Both are short. */
static bool contains(struct span text, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++)
        if (memcmp(text.data + i, word, len) == 0)
            return true;
    return false;
}

/* Returns whether a 404 concerns the bucket: its message says so, or the request names no object that could be
 * missing. */
static bool lacks_bucket(const struct transport_request *req, const struct gcs_error *e)
{
    const struct gcs_request *r = req->ctx;
    return req->code == 404 && ((r->place != GCS_OBJECT && !contains(e->message, "No such object")) ||
                                contains(e->message, "bucket does not exist"));
}

bool gcs_lacks_bucket(struct call *call, const struct transport_request *req)
{
    struct gcs_error e;
    gcs_error_parse(req->bytes.span, call->arena, &e);
    return lacks_bucket(req, &e);
}

enum http_verdict gcs_inspect(struct call *call, struct transport_request *req)
{
    struct gcs_request *r = req->ctx;
    if (req->code / 100 == 2)
        return HTTP_FINAL;
    if (req->code == 401 && r->has_token) {
        gcs_credentials_refused(r->gcs->credentials, r->serial);
        return HTTP_RETRY_ONCE;
    }
    struct gcs_error e = {0};
    if (req->code == 403)
        gcs_error_parse(req->bytes.span, call->arena, &e);
    return span_one_of(e.reason, TOO_FAST, sizeof TOO_FAST / sizeof *TOO_FAST) ? HTTP_RETRY : HTTP_AS_USUAL;
}

static enum dp_status status_of(int code)
{
    switch (code) {
    case 400: return DP_INVALID;
    case 401:
    case 403: return DP_DENIED;
    case 404:
    case 410: return DP_NOT_FOUND;
    case 405:
    case 501: return DP_UNSUPPORTED;
    case 409:
    case 412: return DP_CONFLICT;
    case 413: return DP_TOO_LARGE;
    case 507: return DP_FULL;
    default: return code >= 500 || code == 408 || code == 429 ? DP_UNAVAILABLE : DP_IO;
    }
}

enum dp_status gcs_explain(struct http_source *source, struct call *call, const struct transport_request *req,
                           struct dp_error *error)
{
    (void)source;
    const struct gcs_request *r = req->ctx;
    const struct gcs_store *gcs = r->gcs;
    const char *slash = r->key.len ? "/" : "";
    struct gcs_error e;
    gcs_error_parse(req->bytes.span, call->arena, &e);
    const char *colon = e.message.len ? ": " : "";
    if (lacks_bucket(req, &e))
        return dp_fail(error, DP_INVALID, "there is no bucket \"%.*s\" at %.*s: check its name",
                       SPAN_FMT(gcs->root.bucket), SPAN_FMT(gcs->origin));
    if (req->code == 404)
        return dp_fail(error, DP_NOT_FOUND, "%s/%.*s: there is no such object", gcs->root.url, SPAN_FMT(r->key));
    if (req->code == 400 && contains(e.message, "requester pays"))
        return dp_fail(error, DP_INVALID,
                       "%s: who asks this bucket pays: set GOOGLE_CLOUD_QUOTA_PROJECT to your project",
                       gcs->root.url);
    if (req->code == 401 && r->has_token)
        return dp_fail(error, DP_DENIED, "%s%s%.*s: the store refuses the token, and also a fresh one%s%.*s",
                       gcs->root.url, slash, SPAN_FMT(r->key), colon, SPAN_FMT(e.message));
    if (req->code == 401)
        return dp_fail(error, DP_DENIED,
                       "%s%s%.*s: the store asks for credentials, and requests carry none: unset "
                       "DIPPER_GCS_ANONYMOUS or STORAGE_EMULATOR_HOST%s%.*s",
                       gcs->root.url, slash, SPAN_FMT(r->key), colon, SPAN_FMT(e.message));
    if (req->code == 403 && !e.message.len)
        return dp_fail(error, DP_DENIED,
                       "%s%s%.*s: access denied, and %.*s does not say why: is it a Google Cloud "
                       "Storage?",
                       gcs->root.url, slash, SPAN_FMT(r->key), SPAN_FMT(gcs->origin));
    if (req->code == 403)
        return dp_fail(error, DP_DENIED, "%s%s%.*s: access denied: %.*s", gcs->root.url, slash, SPAN_FMT(r->key),
                       SPAN_FMT(e.message));
    return dp_fail(error, status_of(req->code), "%s%s%.*s: the store answers %d%s%.*s%s%.*s", gcs->root.url, slash,
                   SPAN_FMT(r->key), req->code, e.reason.len ? " " : "", SPAN_FMT(e.reason), colon,
                   SPAN_FMT(e.message));
}

/* Without the right to list, a client gets the same answer for a missing object as for one that it may not read. */
bool gcs_hides_missing(struct call *call, const struct transport_request *req)
{
    (void)call;
    return req->code == 401 || req->code == 403;
}
