/* azure/write.c: puts and removals. */
#include "store/azure/azure.h"
#include "store/conditions.h"
#include "store/http/outcome.h"

static const char NOBODY[] = "\"0x0000000000000000\""; /* an ETag that no blob has */

/* ---- puts ------------------------------------------------------------------------------------------- */

/* Returns whether the answer says that the condition did not hold. A lease refuses with 412 too, but names itself. */
static bool is_unmet(struct call *call, const struct transport_request *req, enum store_condition condition)
{
    struct span code = azure_error_code(call, req);
    if (req->code == 412)
        return !code.len || span_equal_str(code, "ConditionNotMet");
    if (req->code == 409)
        return condition == STORE_IF_ABSENT && span_equal_str(code, "BlobAlreadyExists");
    return req->code == 404 && condition == STORE_IF_VERSION &&
           (!code.len || span_equal_str(code, "BlobNotFound"));
}

enum dp_status azure_judge_put(struct call *call, struct azure_store *azure, struct store_put *put,
                               const struct transport_request *req)
{
    put->date_ms = http_answer_date(req);
    if (req->code / 100 == 2)
        return http_put_version(call, azure->root, put, req);
    const enum put_refusal refusal = !is_unmet(call, req, put->condition) ? PUT_REFUSED
                                     : req->code == 404                   ? PUT_GONE
                                                                          : PUT_UNMET;
    return http_put_refused(call, &azure->source, azure->root, put, req, refusal);
}

/* Puts a block blob, without asking first whether the store keeps conditions. */
static enum dp_status put_blob(struct call *call, struct store *store, struct store_put *put)
{
    struct azure_store *azure = azure_of(store);
    struct transport_header headers[2] = {{span_str("x-ms-blob-type"), span_str("BlockBlob")}};
    struct transport_request req = {.method = HTTP_PUT, .headers = headers, .header_count = 1, .body = put->body};
    if (put->condition == STORE_IF_ABSENT)
        headers[req.header_count++] = (struct transport_header){span_str("If-None-Match"), span_str("*")};
    if (put->condition == STORE_IF_VERSION) {
        struct span etag = http_version_etag(put->expected);
        if (!etag.len) /* a version of another store, or no version: no object here has it */
            etag = span_str(NOBODY);
        headers[req.header_count++] = (struct transport_header){span_str("If-Match"), etag};
    }
    req.once = put->condition != STORE_ANY;
    enum dp_status status = azure_request(call, azure, put->key, NULL, 0, &req);
    if (status == DP_OK)
        status = azure_send(call, azure, &req);
    if (status == DP_OK)
        status = azure_judge_put(call, azure, put, &req);
    store_bytes_release(&req.bytes);
    return status;
}

enum dp_status azure_conditions(struct call *call, struct azure_store *azure)
{
    struct conditions_probe probe = {.put = put_blob,
                                     .remove = azure_remove,
                                     .root = azure->root,
                                     .place = (const char *)azure->connection.endpoint.data};
    http_version_of(span_str(NOBODY), (struct span){0}, false, 0, &probe.nobody);
    return store_conditions(call, &azure->base, &probe, &azure->conditions);
}

enum dp_status azure_put(struct call *call, struct store *store, struct store_put *put)
{
    enum dp_status status = azure_conditions(call, azure_of(store));
    return status == DP_OK ? put_blob(call, store, put) : status;
}

/* ---- removals --------------------------------------------------------------------------------------- */

/* Removes a blob with its snapshots: Azure refuses to remove a blob without them. */
enum dp_status azure_remove(struct call *call, struct store *store, struct span key)
{
    struct azure_store *azure = azure_of(store);
    const struct transport_header headers[] = {{span_str("x-ms-delete-snapshots"), span_str("include")}};
    struct transport_request req = {.method = HTTP_DELETE, .headers = headers, .header_count = 1};
    enum dp_status status = azure_request(call, azure, key, NULL, 0, &req);
    if (status == DP_OK)
        status = azure_send(call, azure, &req);
    if (status == DP_OK)
        status = http_removed(call, &azure->source, &req);
    store_bytes_release(&req.bytes);
    return status;
}
