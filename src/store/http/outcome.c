/* outcome.c: judges the answers to puts and removals (see outcome.h). */
#include "store/http/outcome.h"

enum dp_status http_put_refused(struct call *call, struct http_source *source, const char *root,
                                const struct store_put *put, const struct transport_request *req,
                                enum put_refusal refusal)
{
    if (req->maybe_landed) {
        source->explain(source, call, req, &call->error);
        return call_fail(call, DP_UNKNOWN,
                         "%s/%.*s: an answer was lost, so the object may or may not be ours (the last try: %s)",
                         root, SPAN_FMT(put->key), call->error.message);
    }
    if (put->condition == STORE_ANY || refusal == PUT_REFUSED)
        return source->explain(source, call, req, &call->error);
    if (put->condition == STORE_IF_ABSENT)
        return call_fail(call, DP_EXISTS, "%.*s exists already", SPAN_FMT(put->key));
    return call_fail(call, DP_CONFLICT, "%.*s %s", SPAN_FMT(put->key),
                     refusal == PUT_GONE ? "is gone" : "was changed by another writer");
}

enum dp_status http_put_version(struct call *call, const char *root, struct store_put *put,
                                const struct transport_request *req)
{
    if (http_version_of(req->etag, (struct span){0}, false, 0, &put->version))
        return DP_OK;
    return call_fail(call, DP_UNKNOWN, "%s/%.*s: the store took the object, but sent no ETag", root,
                     SPAN_FMT(put->key));
}

enum dp_status http_removed(struct call *call, struct http_source *source, const struct transport_request *req)
{
    if (req->code / 100 == 2)
        return DP_OK;
    enum dp_status status = source->explain(source, call, req, &call->error);
    if (status == DP_NOT_FOUND)
        return DP_OK;
    if (!req->maybe_landed)
        return status;
    dp_error_prefix(&call->error, "an answer was lost, so the object may or may not be removed");
    return call_restatus(call, DP_UNKNOWN);
}
