/* s3/write.c: puts and removals, and the probe that comes before the first write.
 *
 * Dipper's promises about concurrent writers rest on conditional puts, but some stores accept the conditions and
 * ignore them. So before the first write through a store, the probe puts an object below ".dipper/", where no key
 * lies, and tries to break two conditions on it. If the store ignores one, Dipper never writes to that store.
 */
#include "base/url.h"
#include "os/random.h"
#include "store/s3/s3.h"

static const char NOBODY[] = "\"00000000000000000000000000000000\""; /* an ETag that no object has */
static const char PROBE_BODY[] = "Dipper asks whether this store keeps the conditions of puts.\n";

/* Makes a PUT with a condition. `header` must live as long as the request. */
static enum dp_status put_request(struct call *call, struct s3_store *s3, struct span key, struct span body,
                                  enum store_condition condition, struct span etag,
                                  struct transport_header *header, struct transport_request *req)
{
    *req = (struct transport_request){.method = HTTP_PUT, .body = body};
    if (condition == STORE_IF_ABSENT)
        *header = (struct transport_header){span_str("If-None-Match"), span_str("*")};
    if (condition == STORE_IF_VERSION)
        *header = (struct transport_header){span_str("If-Match"), etag};
    if (condition != STORE_ANY) {
        req->headers = header;
        req->header_count = 1;
        req->once = true;
    }
    return s3_request(call, s3, key, NULL, 0, req);
}

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

/* ---- the probe -------------------------------------------------------------------------------------- */

static enum dp_status probe_put(struct call *call, struct s3_store *s3, struct span key,
                                enum store_condition condition, struct span etag, struct transport_request *req,
                                bool *unmet)
{
    struct transport_header header;
    enum dp_status status = put_request(call, s3, key, span_str(PROBE_BODY), condition, etag, &header, req);
    if (status == DP_OK)
        status = s3_send(call, s3, req);
    *unmet = status == DP_OK && is_unmet(call, req, condition);
    store_bytes_release(&req->bytes);
    return status;
}

/* Puts the object `key`, which the caller removes afterwards, and tries to break two conditions on it. Sets
 * *ignores to a part of a message if the store ignores or refuses conditions, else to NULL. */
static enum dp_status probe_ask(struct call *call, struct s3_store *s3, struct span key, const char **ignores)
{
    struct transport_request req;
    struct transport_header header;
    bool unmet;
    *ignores = NULL;
    /* If the first put has landed and its answer was lost, the store must refuse a retry. */
    enum dp_status status =
        put_request(call, s3, key, span_str(PROBE_BODY), STORE_IF_ABSENT, (struct span){0}, &header, &req);
    if (status == DP_OK)
        status = s3_send(call, s3, &req);
    if (status == DP_OK && req.code == 501)
        *ignores = "does not take If-None-Match";
    else if (status == DP_OK && req.code / 100 != 2 && !(req.code == 412 && req.maybe_landed))
        status = s3_explain(&s3->source, call, &req, &call->error);
    store_bytes_release(&req.bytes);
    if (status != DP_OK || *ignores)
        return status;
    status = probe_put(call, s3, key, STORE_IF_ABSENT, (struct span){0}, &req, &unmet);
    if (status == DP_OK && !unmet)
        *ignores = "ignores If-None-Match";
    if (status != DP_OK || *ignores)
        return status;
    status = probe_put(call, s3, key, STORE_IF_VERSION, span_str(NOBODY), &req, &unmet);
    if (status == DP_OK && !unmet)
        *ignores = req.code == 501 ? "does not take If-Match" : "ignores If-Match";
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

enum dp_status s3_probe(struct call *call, struct s3_store *s3)
{
    if (is_google(s3))
        return call_fail(call, DP_UNSUPPORTED,
                         "%s: Google drops the conditions of puts that come by S3's protocol, so writers could "
                         "overwrite each other: write to gs://%.*s",
                         s3->root, SPAN_FMT(s3->bucket));
    int known = atomic_load_explicit(&s3->probe, memory_order_relaxed);
    const char *ignores = NULL;
    if (known == S3_PROBE_OPEN) {
        /* Two callers may run the probe at once, so each uses a different object. */
        char ulid[ULID_LEN + 1];
        enum dp_status status = os_ulid(ulid, &call->error);
        if (status != DP_OK)
            return status;
        const char *key = arena_printf(call->arena, ".dipper/probe-%s", ulid);
        if (!key)
            return call_nomem(call, "a name");
        status = probe_ask(call, s3, span_str(key), &ignores);
        struct dp_error error = call->error;
        bool may_be_there = status == DP_OK || status == DP_UNKNOWN;
        if (may_be_there && s3_remove(call, &s3->base, span_str(key)) == DP_NOMEM)
            return DP_NOMEM;
        call->error = error;      /* if the removal failed otherwise, a small object stays */
        if (status == DP_UNKNOWN) /* only the probe's outcome is unknown: the caller's put was not sent */
            status = call_restatus(call, DP_UNAVAILABLE);
        if (status != DP_OK)
            return status;
        known = ignores ? S3_PROBE_IGNORES : S3_PROBE_KEEPS;
        atomic_store_explicit(&s3->probe, known, memory_order_relaxed);
        dp_error_clear(&call->error);
    }
    if (known == S3_PROBE_KEEPS)
        return DP_OK;
    return call_fail(
        call, DP_UNSUPPORTED,
        "%s: the store at %s %s, so writers could overwrite each other: Dipper reads there, but does not "
        "write",
        s3->root, s3->endpoint, ignores ? ignores : "ignores the conditions of puts");
}

/* ---- puts ------------------------------------------------------------------------------------------- */

/* Judges the answer to a put. */
static enum dp_status judge_put(struct call *call, struct s3_store *s3, struct store_put *put,
                                const struct transport_request *req)
{
    put->date_ms = http_answer_date(req);
    if (req->code / 100 == 2) {
        if (http_version_of(req->etag, (struct span){0}, false, 0, &put->version))
            return DP_OK;
        return call_fail(call, DP_UNKNOWN, "%s/%.*s: the store took the object, but sent no ETag", s3->root,
                         SPAN_FMT(put->key));
    }
    /* An earlier try may have landed, or may land yet, whatever the answer to the last try. */
    if (req->maybe_landed) {
        s3_explain(&s3->source, call, req, &call->error);
        return call_fail(call, DP_UNKNOWN,
                         "%s/%.*s: an answer was lost, so the object may or may not be ours (the last try: %s)",
                         s3->root, SPAN_FMT(put->key), call->error.message);
    }
    if (put->condition == STORE_ANY || !is_unmet(call, req, put->condition))
        return s3_explain(&s3->source, call, req, &call->error);
    if (put->condition == STORE_IF_ABSENT)
        return call_fail(call, DP_EXISTS, "%.*s exists already", SPAN_FMT(put->key));
    return call_fail(call, DP_CONFLICT, "%.*s %s", SPAN_FMT(put->key),
                     req->code == 404 ? "is gone" : "was changed by another writer");
}

enum dp_status s3_put(struct call *call, struct store *store, struct store_put *put)
{
    struct s3_store *s3 = s3_of(store);
    struct transport_request req;
    struct transport_header header;
    struct span etag = {0};
    if (put->condition == STORE_IF_VERSION) {
        etag = http_version_etag(put->expected);
        if (!etag.len) /* a version of another store, or no version: no object here has it */
            etag = span_str(NOBODY);
    }
    enum dp_status status = s3_probe(call, s3);
    if (status == DP_OK)
        status = put_request(call, s3, put->key, put->body, put->condition, etag, &header, &req);
    if (status != DP_OK)
        return status;
    status = s3_send(call, s3, &req);
    if (status == DP_OK)
        status = judge_put(call, s3, put, &req);
    store_bytes_release(&req.bytes);
    return status;
}

enum dp_status s3_remove(struct call *call, struct store *store, struct span key)
{
    struct s3_store *s3 = s3_of(store);
    struct transport_request req = {.method = HTTP_DELETE};
    enum dp_status status = s3_request(call, s3, key, NULL, 0, &req);
    if (status == DP_OK)
        status = s3_send(call, s3, &req);
    if (status == DP_OK && req.code / 100 != 2) {
        status = s3_explain(&s3->source, call, &req, &call->error);
        if (status == DP_NOT_FOUND) /* the object is gone, as it should be */
            status = DP_OK;
        else if (req.maybe_landed) {
            dp_error_prefix(&call->error, "an answer was lost, so the object may or may not be removed");
            status = call_restatus(call, DP_UNKNOWN);
        }
    }
    store_bytes_release(&req.bytes);
    return status;
}
