/* s3/error.c: decides for each error of S3 whether to try again, and explains it to the user.
 *
 * The names come from "Error responses", Amazon S3 API Reference, and from other stores. Messages keep the store's
 * own words where they may help.
 */
#include "store/http/head.h"
#include "store/s3/s3.h"

enum { SHOWN_MAX = 160 }; /* maximum bytes of a store's own words */

static const char *const TRY_AGAIN[] = {"InternalError",  "SlowDown",         "ServiceUnavailable",
                                        "RequestTimeout", "OperationAborted", "ConditionalRequestConflict"};
static const char *const EXPIRED[] = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"};

/* Learns from an answer whether the bucket exists and whether the store is MinIO. */
static void learn_from_answer(struct s3_store *s3, const struct transport_request *req, struct span code)
{
    bool from_bucket = req->code / 100 == 2 || req->code == 304 || req->code == 412 || req->code == 416 ||
                       span_equal_str(code, "NoSuchKey");
    if (from_bucket)
        atomic_store_explicit(&s3->has_bucket, true, memory_order_relaxed);
    if (span_starts_with(http_head_find(req->head, "server"), span_str("MinIO")))
        atomic_store_explicit(&s3->loses_names, true, memory_order_relaxed);
}

/* Learns the bucket's region from an answer that sends the request elsewhere. Returns whether that is news. */
static bool learn_region(struct s3_store *s3, const struct transport_request *req, const struct aws_error *e)
{
    static const char *const MISPLACED[] = {"AuthorizationHeaderMalformed", "PermanentRedirect",
                                            "TemporaryRedirect", "IllegalLocationConstraintException"};
    bool head = req->method == HTTP_HEAD && req->code == 400;
    if (req->code / 100 != 3 && !head && !span_one_of(e->code, MISPLACED, sizeof MISPLACED / sizeof *MISPLACED))
        return false;
    struct span region = http_head_find(req->head, "x-amz-bucket-region");
    return req->code != 304 && s3_move(s3, region.len ? region : e->region);
}

enum http_verdict s3_inspect(struct call *call, struct transport_request *req)
{
    struct s3_request *r = req->ctx;
    struct aws_error e = {0};
    bool success = req->code / 100 == 2;
    if (!success || r->error_in_body)
        aws_error_parse(req->bytes.span, call->arena, &e);
    learn_from_answer(r->s3, req, e.code);
    if (req->code == 416 && !req->size_known && e.size_known) {
        req->size = e.size;
        req->size_known = true;
    }
    /* The answer to a HEAD has no body that could say that the keys have expired. A 400 or 403 mostly has another
     * cause, so credentials_doubted limits the renewals. */
    bool maybe_expired = req->method == HTTP_HEAD && r->keys_expire && (req->code == 400 || req->code == 403);
    if (maybe_expired && credentials_doubted(r->s3->credentials, r->keys))
        return HTTP_RETRY_ONCE;
    if (!success && learn_region(r->s3, req, &e))
        return HTTP_RETRY_ONCE;
    if (span_one_of(e.code, EXPIRED, sizeof EXPIRED / sizeof *EXPIRED)) {
        credentials_refused(r->s3->credentials, r->keys);
        return HTTP_RETRY_ONCE;
    }
    if (span_one_of(e.code, TRY_AGAIN, sizeof TRY_AGAIN / sizeof *TRY_AGAIN))
        return HTTP_RETRY;
    return success ? HTTP_FINAL : HTTP_AS_USUAL;
}

/* ---- sentences -------------------------------------------------------------------------------------- */

/* Errors by name, each with its status and the sentence that follows "s3://…: " in the message. */
static const struct {
    const char *code;
    enum dp_status status;
    const char *sentence;
} KNOWN[] = {
    {"NoSuchKey", DP_NOT_FOUND, "there is no such object"},
    {"AccessDenied", DP_DENIED, "the keys in use may not do this there (AccessDenied)"},
    {"AllAccessDisabled", DP_DENIED, "the bucket is closed to everyone (AllAccessDisabled)"},
    {"AccountProblem", DP_DENIED, "the account has a problem (AccountProblem)"},
    {"InvalidAccessKeyId", DP_DENIED, "the store does not know the access key id: check AWS_ACCESS_KEY_ID"},
    {"XAdminUserNotFound", DP_DENIED, "the store does not know the access key id: check AWS_ACCESS_KEY_ID"},
    {"SignatureDoesNotMatch", DP_DENIED,
     "the secret access key is not that of the access key id: check AWS_SECRET_ACCESS_KEY"},
    {"ExpiredToken", DP_DENIED, "the session token has expired: get new keys (AWS_SESSION_TOKEN)"},
    {"InvalidToken", DP_DENIED, "the session token is not valid: check AWS_SESSION_TOKEN"},
    {"RequestTimeTooSkewed", DP_DENIED, "this machine's clock differs too much from the store's: set it right"},
    {"InvalidObjectState", DP_DENIED, "the object is archived: restore it first (InvalidObjectState)"},
    {"InvalidBucketName", DP_INVALID, "the bucket's name is not valid"},
    {"KeyTooLongError", DP_INVALID, "the name is too long for this store"},
    {"XMinioInvalidObjectName", DP_INVALID, "the store takes no such name"},
    {"XMinioParentIsObject", DP_INVALID, "a part of the name is an object, and this store keeps nothing below it"},
    {"ObjectParentIsFile", DP_INVALID, "a part of the name is an object, and this store keeps nothing below it"},
    {"ExistingObjectIsDirectory", DP_INVALID,
     "there are names below this one, and this store keeps no object beside"},
    {"EntityTooLarge", DP_TOO_LARGE, "the store takes no object of this size"},
    {"QuotaExceeded", DP_FULL, "the store's quota is used up"},
    {"XMinioStorageFull", DP_FULL, "the store is full"},
    {"NotImplemented", DP_UNSUPPORTED, "the store does not do this (NotImplemented)"},
    {"MethodNotAllowed", DP_UNSUPPORTED, "the store does not do this (MethodNotAllowed)"},
};

/* Cuts a store's own words to SHOWN_MAX bytes, between two characters. */
static struct span cut_words(struct span text)
{
    if (text.len > SHOWN_MAX) {
        text.len = SHOWN_MAX;
        while (text.len && (text.data[text.len] & 0xc0) == 0x80) /* cuts no character in two */
            text.len--;
    }
    return text;
}

/* Returns the name of the requested object, "s3://bucket/key", in the call's arena. */
static const char *object_name_of(struct call *call, const struct s3_request *r)
{
    const struct s3_store *s3 = r->s3;
    size_t base = s3->base_path.len;
    bool has_name = r->path.len > base;
    const char *name = has_name ? arena_printf(call->arena, "s3://%.*s/%.*s", SPAN_FMT(s3->bucket),
                                               (int)(r->path.len - base), (const char *)r->path.data + base)
                                : arena_printf(call->arena, "s3://%.*s", SPAN_FMT(s3->bucket));
    return name ? name : s3->root;
}

/* Fails because the bucket is not in the region that the signature names. */
static enum dp_status wrong_region(const struct s3_store *s3, struct span region, struct dp_error *error)
{
    if (region.len)
        return dp_fail(error, DP_INVALID, "s3://%.*s is in region %.*s, not %.*s: set AWS_REGION=%.*s",
                       SPAN_FMT(s3->bucket), SPAN_FMT(cut_words(region)), SPAN_FMT(s3->region),
                       SPAN_FMT(cut_words(region)));
    return dp_fail(error, DP_INVALID,
                   "s3://%.*s is not in region %.*s: set AWS_REGION, or S3_ENDPOINT_URL if it is not Amazon's",
                   SPAN_FMT(s3->bucket), SPAN_FMT(s3->region));
}

/* Explains why a HEAD failed. Sends a GET to find out, because the answer to a HEAD has no body with a reason. */
static enum dp_status explain_head(struct call *call, const struct transport_request *head, struct dp_error *error)
{
    const struct s3_request *r = head->ctx;
    struct s3_store *s3 = r->s3;
    struct transport_request get = {.method = HTTP_GET, .ranged = true, .len = 1};
    enum dp_status status = s3_request(call, s3, r->key, NULL, 0, &get);
    if (status == DP_OK)
        status = s3_send(call, s3, &get);
    if (status == DP_OK && get.code / 100 == 2 && head->code == 404) /* the object was put after the HEAD */
        status = dp_fail(error, DP_NOT_FOUND, "%s/%.*s: there is no such object", s3->root, SPAN_FMT(r->key));
    else if (status == DP_OK && get.code / 100 == 2)
        status = dp_fail(error, DP_UNAVAILABLE,
                         "%s/%.*s: the store answers %d to a HEAD, but gives the object: try again", s3->root,
                         SPAN_FMT(r->key), head->code);
    else if (status == DP_OK)
        status = s3_explain(&s3->source, call, &get, error);
    else
        *error = call->error;
    store_bytes_release(&get.bytes);
    return status;
}

enum dp_status s3_explain(struct http_source *source, struct call *call, const struct transport_request *req,
                          struct dp_error *error)
{
    (void)source;
    const struct s3_request *r = req->ctx;
    const struct s3_store *s3 = r->s3;
    const char *name = object_name_of(call, r);
    struct aws_error e;
    bool plain = req->code == 404 && atomic_load_explicit(&s3->has_bucket, memory_order_relaxed);
    if (req->method == HTTP_HEAD && !plain && req->code / 100 != 5)
        return explain_head(call, req, error);
    bool said = aws_error_parse(req->bytes.span, call->arena, &e);
    struct span region = e.region.len ? e.region : http_head_find(req->head, "x-amz-bucket-region");
    if (span_equal_str(e.code, "NoSuchBucket"))
        return dp_fail(error, DP_INVALID, "there is no bucket \"%.*s\" at %s: check its name%s",
                       SPAN_FMT(s3->bucket), s3->endpoint, ", and S3_ENDPOINT_URL if it is not Amazon's");
    if (req->code / 100 == 3 || span_equal_str(e.code, "AuthorizationHeaderMalformed") ||
        span_equal_str(e.code, "PermanentRedirect") ||
        span_equal_str(e.code, "IllegalLocationConstraintException"))
        return wrong_region(s3, region, error);
    for (size_t i = 0; said && i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (span_equal_str(e.code, KNOWN[i].code))
            return dp_fail(error, KNOWN[i].status, "%s: %s", name, KNOWN[i].sentence);
    if (req->code == 404 && !said)
        return dp_fail(error, DP_NOT_FOUND, "%s: there is no such object", name);
    enum dp_status status = req->code == 401 || req->code == 403   ? DP_DENIED
                            : req->code == 405 || req->code == 501 ? DP_UNSUPPORTED
                            : req->code == 507                     ? DP_FULL
                            : req->code >= 500 || req->code == 429 ? DP_UNAVAILABLE
                                                                   : DP_IO;
    if (said)
        return dp_fail(error, status, "%s: the store answers %d %.*s: %.*s", name, req->code,
                       SPAN_FMT(cut_words(e.code)), SPAN_FMT(cut_words(e.message)));
    return dp_fail(error, status, "%s: %s answers %d", name, s3->endpoint, req->code);
}

bool s3_hides_missing(struct call *call, const struct transport_request *req)
{
    struct aws_error e;
    return req->code == 403 && aws_error_parse(req->bytes.span, call->arena, &e) &&
           span_equal_str(e.code, "AccessDenied");
}
