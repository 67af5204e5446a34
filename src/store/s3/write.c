/* s3/write.c: puts and removals. */
#include "base/url.h"
#include "store/conditions.h"
#include "store/http/outcome.h"
#include "store/s3/s3.h"

static const char NOBODY[] = "\"00000000000000000000000000000000\""; /* an ETag that no object has */

/* ---- puts ------------------------------------------------------------------------------------------- */

/* Returns whether the answer says that the condition did not hold. A missing object has no version, so it breaks
 * "if version". */
static bool is_unmet(struct call *call, const struct transport_request *req, enum store_condition condition)
{
    struct aws_error e;
    if (req->code == 412)
        return true;
    bool said = aws_error_parse(req->bytes.span, call->arena, &e);
    if (req->code == 409) /* another writer was writing at the moment of each try */
        return span_equal_str(e.code, "ConditionalRequestConflict");
    return req->code == 404 && condition == STORE_IF_VERSION && (!said || span_equal_str(e.code, "NoSuchKey"));
}

/* Judges the answer to a put. */
static enum dp_status judge_put(struct call *call, struct s3_store *s3, struct store_put *put,
                                const struct transport_request *req)
{
    put->date_ms = http_answer_date(req);
    if (req->code / 100 == 2)
        return http_put_version(call, s3->root, put, req);
    const enum put_refusal refusal = !is_unmet(call, req, put->condition) ? PUT_REFUSED
                                     : req->code == 404                   ? PUT_GONE
                                                                          : PUT_UNMET;
    return http_put_refused(call, &s3->source, s3->root, put, req, refusal);
}

/* Puts an object, without asking first whether the store keeps conditions. */
static enum dp_status put_object(struct call *call, struct store *store, struct store_put *put)
{
    struct s3_store *s3 = s3_of(store);
    struct transport_header header;
    struct transport_request req = {
        .method = HTTP_PUT, .body = put->body, .headers = &header, .once = put->condition != STORE_ANY};
    if (put->condition == STORE_IF_ABSENT)
        header = (struct transport_header){span_str("If-None-Match"), span_str("*")};
    if (put->condition == STORE_IF_VERSION) {
        struct span etag = http_version_etag(put->expected);
        if (!etag.len) /* a version of another store, or no version: no object here has it */
            etag = span_str(NOBODY);
        header = (struct transport_header){span_str("If-Match"), etag};
    }
    req.header_count = put->condition != STORE_ANY;
    enum dp_status status = s3_request(call, s3, put->key, NULL, 0, &req);
    if (status == DP_OK)
        status = s3_send(call, s3, &req);
    if (status == DP_OK)
        status = judge_put(call, s3, put, &req);
    store_bytes_release(&req.bytes);
    return status;
}

/* Returns whether the store is Google's, which answers to S3's protocol and drops the conditions of puts. */
static bool is_google(const struct s3_store *s3)
{
    static const char HOST[] = "storage.googleapis.com";
    struct span host = url_host_header(s3->origin);
    size_t len = sizeof HOST - 1;
    return host.len >= len && span_equal_str(span_of(host.data + host.len - len, len), HOST);
}

enum dp_status s3_conditions(struct call *call, struct s3_store *s3)
{
    struct conditions_probe probe = {
        .put = put_object, .remove = s3_remove, .root = s3->root, .place = s3->endpoint};
    if (is_google(s3))
        return call_fail(call, DP_UNSUPPORTED,
                         "%s: Google drops the conditions of puts that come by S3's protocol, so writers could "
                         "overwrite each other: write to gs://%.*s",
                         s3->root, SPAN_FMT(s3->bucket));
    http_version_of(span_str(NOBODY), (struct span){0}, false, 0, &probe.nobody);
    return store_conditions(call, &s3->base, &probe, &s3->conditions);
}

enum dp_status s3_put(struct call *call, struct store *store, struct store_put *put)
{
    enum dp_status status = s3_conditions(call, s3_of(store));
    return status == DP_OK ? put_object(call, store, put) : status;
}

/* ---- removals --------------------------------------------------------------------------------------- */

enum dp_status s3_remove(struct call *call, struct store *store, struct span key)
{
    struct s3_store *s3 = s3_of(store);
    struct transport_request req = {.method = HTTP_DELETE};
    enum dp_status status = s3_request(call, s3, key, NULL, 0, &req);
    if (status == DP_OK)
        status = s3_send(call, s3, &req);
    if (status == DP_OK)
        status = http_removed(call, &s3->source, &req);
    store_bytes_release(&req.bytes);
    return status;
}
