/* gcs/write.c: puts and removals. A condition is a parameter of the URL: the generation that the object must have, 0 for
 * "no object". */
#include "store/gcs/answers.h"
#include "store/gcs/gcs.h"
#include "store/http/outcome.h"

/* A generation that no object has: generations are microseconds of the time of the put. */
static const char NOBODY[] = "1";

/* Judges the answer to a put. */
static enum dp_status judge_put(struct call *call, struct gcs_store *gcs, struct store_put *put,
                                const struct transport_request *req)
{
    uint64_t size = 0;
    put->date_ms = http_answer_date(req);
    if (req->code / 100 == 2) {
        enum dp_status status = gcs_parse_object(req->bytes.span, call->arena, &put->version, &size, &call->error);
        if (status == DP_OK && size != put->body.len)
            status = call_fail(call, DP_IO, "the store took %zu bytes, but says that the object has %llu",
                               put->body.len, (unsigned long long)size);
        if (status == DP_OK || status == DP_NOMEM)
            return status;
        dp_error_prefix(&call->error, "%s/%.*s: the store took the object, but", gcs->root.url,
                        SPAN_FMT(put->key));
        return call_restatus(call, DP_UNKNOWN);
    }
    const bool gone = req->code == 404 && put->condition == STORE_IF_VERSION && !gcs_lacks_bucket(call, req);
    return http_put_refused(call, &gcs->source, gcs->root.url, put, req,
                            gone               ? PUT_GONE
                            : req->code == 412 ? PUT_UNMET
                                               : PUT_REFUSED);
}

/* Puts without a probe. */
static enum dp_status put_object(struct call *call, struct store *store, struct store_put *put)
{
    static const struct transport_header TYPE[] = {
        {{(const uint8_t *)"Content-Type", 12}, {(const uint8_t *)"application/octet-stream", 24}}};
    struct gcs_store *gcs = gcs_of(store);
    struct gcs_parameter query[] = {
        {"uploadType", span_str("media")}, {"fields", span_str("generation,size")}, {"ifGenerationMatch", {0}}};
    struct span *generation = &query[2].value;
    if (put->condition == STORE_IF_ABSENT)
        *generation = span_str("0");
    if (put->condition == STORE_IF_VERSION)
        *generation = gcs_generation(put->expected);
    if (put->condition == STORE_IF_VERSION && !generation->len)
        *generation = span_str(NOBODY);
    struct transport_request req = {
        .method = HTTP_POST, .headers = TYPE, .header_count = 1, .body = put->body, .once = true};
    enum dp_status status =
        gcs_request(call, gcs, GCS_UPLOAD, put->key, query, put->condition == STORE_ANY ? 2 : 3, &req);
    if (status != DP_OK)
        return status;
    status = gcs_send(call, gcs, &req);
    if (status == DP_OK)
        status = judge_put(call, gcs, put, &req);
    store_bytes_release(&req.bytes);
    return status;
}

enum dp_status gcs_probe(struct call *call, struct gcs_store *gcs)
{
    if (gcs->vouched)
        return DP_OK;
    struct conditions_probe probe = {
        .put = put_object, .remove = gcs_remove, .root = gcs->root.url, .place = (const char *)gcs->origin.data};
    gcs_version(span_str(NOBODY), &probe.nobody);
    return store_conditions(call, &gcs->base, &probe, &gcs->conditions);
}

enum dp_status gcs_put(struct call *call, struct store *store, struct store_put *put)
{
    enum dp_status status = gcs_probe(call, gcs_of(store));
    return status == DP_OK ? put_object(call, store, put) : status;
}

enum dp_status gcs_remove(struct call *call, struct store *store, struct span key)
{
    struct gcs_store *gcs = gcs_of(store);
    struct transport_request req = {.method = HTTP_DELETE};
    enum dp_status status = gcs_request(call, gcs, GCS_OBJECT, key, NULL, 0, &req);
    if (status == DP_OK)
        status = gcs_send(call, gcs, &req);
    if (status == DP_OK)
        status = http_removed(call, &gcs->source, &req);
    store_bytes_release(&req.bytes);
    return status;
}
