/* s3/upload.c: writes large objects in parts.
 *
 * An upload gathers bytes until a part is full. If it ends within its first part, it becomes an ordinary put; only
 * a second part begins a multipart upload, so a small object costs one request. A failed or aborted upload deletes
 * its parts from the store; otherwise they would stay there, invisible and paid for. An upload has one owner
 * thread.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/array.h"
#include "store/gather.h"
#include "store/http/run.h"
#include "store/s3/answers.h"
#include "store/s3/s3.h"

/* COMPLETION_MS: Amazon completes an upload within minutes, and meanwhile sends a blank from time to time. */
enum { ABORT_MS = 10000, COMPLETION_MS = 5 * 60 * 1000, ETAG_MAX = 128, ABORT_ARENA_BYTES = 1 << 20 };

struct upload_part {
    uint8_t len;
    char etag[ETAG_MAX];
};

struct s3_upload {
    struct gather gather;
    struct buffer id; /* empty: no multipart upload has begun */
    struct upload_part *parts;
    size_t count, capacity;
};

static struct s3_upload *s3_upload_of(struct store_upload *upload)
{
    return (struct s3_upload *)upload;
}

static void free_upload(struct s3_upload *u)
{
    gather_deinit(&u->gather);
    buffer_deinit(&u->id);
    mem_free(u->parts);
    mem_free(u);
}

/* Begins the multipart upload. If the answer is lost, the second try begins another upload, and the first one
 * stays unused until the store's own rules for unfinished uploads remove it. */
static enum dp_status begin_multipart(struct call *call, struct s3_upload *u)
{
    struct s3_store *s3 = s3_of(u->gather.base.store);
    const struct sigv4_pair query[] = {{span_str("uploads"), span_str("")}};
    struct transport_request req = {.method = HTTP_POST};
    struct span id;
    enum dp_status status = s3_request(call, s3, gather_key(&u->gather), query, 1, &req);
    if (status == DP_OK)
        status = s3_send(call, s3, &req);
    if (status == DP_OK && req.code != 200)
        status = s3_explain(&s3->source, call, &req, &call->error);
    if (status == DP_OK)
        status = s3_parse_upload_id(req.bytes.span, call->arena, &id, &call->error);
    if (status == DP_OK) {
        buffer_append(&u->id, id);
        status = buffer_check(&u->id, "an upload's id", &call->error);
    }
    store_bytes_release(&req.bytes);
    return status;
}

static enum dp_status reserve_part(struct call *call, struct s3_upload *u)
{
    if (u->count == S3_PARTS_MAX)
        return call_fail(call, DP_TOO_LARGE, "%.*s: an upload has at most %d parts of %d MiB",
                         SPAN_FMT(gather_key(&u->gather)), S3_PARTS_MAX, S3_PART_BYTES >> 20);
    struct upload_part *parts = array_reserve(u->parts, u->count, &u->capacity, sizeof *parts, 16);
    if (!parts)
        return call_nomem(call, "an upload");
    u->parts = parts;
    return DP_OK;
}

/* Sends the gathered bytes as the next part. */
static enum dp_status send_part(struct call *call, struct gather *gather)
{
    struct s3_upload *u = (struct s3_upload *)gather;
    struct s3_store *s3 = s3_of(u->gather.base.store);
    char number[16];
    enum dp_status status = u->id.len ? DP_OK : begin_multipart(call, u);
    if (status == DP_OK)
        status = reserve_part(call, u);
    if (status != DP_OK)
        return status;
    snprintf(number, sizeof number, "%zu", u->count + 1);
    const struct sigv4_pair query[] = {{span_str("partNumber"), span_str(number)},
                                       {span_str("uploadId"), buffer_span(&u->id)}};
    struct transport_request req = {.method = HTTP_PUT, .body = buffer_span(&u->gather.bytes)};
    status = s3_request(call, s3, gather_key(&u->gather), query, 2, &req);
    if (status == DP_OK)
        status = s3_send(call, s3, &req);
    if (status == DP_UNKNOWN) /* no reader sees a part, so a try with an unclear outcome does no harm */
        status = call_restatus(call, DP_UNAVAILABLE);
    if (status == DP_OK && req.code != 200)
        status = s3_explain(&s3->source, call, &req, &call->error);
    struct upload_part *part = &u->parts[u->count];
    if (status == DP_OK && (req.etag.len == 0 || req.etag.len > sizeof part->etag))
        status = call_fail(call, DP_IO, "%.*s: the store sent no ETag for a part of the upload",
                           SPAN_FMT(gather_key(&u->gather)));
    if (status == DP_OK) {
        part->len = (uint8_t)req.etag.len;
        memcpy(part->etag, req.etag.data, req.etag.len);
        u->count++;
        buffer_clear(&u->gather.bytes);
    }
    store_bytes_release(&req.bytes);
    return status;
}

enum dp_status s3_upload_begin(struct call *call, struct store *store, struct span key, struct store_upload **out)
{
    struct s3_store *s3 = s3_of(store);
    enum dp_status status = s3_conditions(call, s3);
    if (status != DP_OK)
        return status;
    struct s3_upload *u = mem_calloc(1, sizeof *u);
    if (!u)
        return call_nomem(call, "an upload");
    gather_init(&u->gather, store, key, S3_PART_BYTES, send_part);
    buffer_init(&u->id, S3_URL_MAX);
    *out = &u->gather.base;
    return DP_OK;
}

/* Appends the list of parts that a completion sends, as XML. */
static void append_parts(const struct s3_upload *u, struct buffer *out)
{
    buffer_append_str(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < u->count; i++) {
        buffer_printf(out, "<Part><PartNumber>%zu</PartNumber><ETag>", i + 1);
        for (size_t k = 0; k < u->parts[i].len; k++) {
            char c = u->parts[i].etag[k];
            const char *escaped = c == '"' ? "&quot;" : c == '&' ? "&amp;" : c == '<' ? "&lt;" : NULL;
            if (escaped)
                buffer_append_str(out, escaped);
            else
                buffer_u8(out, (uint8_t)c);
        }
        buffer_append_str(out, "</ETag></Part>");
    }
    buffer_append_str(out, "</CompleteMultipartUpload>");
}

/* Takes the object's version from the answer to the completion, or fails; a 200 may hold an error. */
static enum dp_status judge_completion(struct call *call, struct s3_upload *u, const struct transport_request *req,
                                       struct store_version *version)
{
    struct s3_store *s3 = s3_of(u->gather.base.store);
    struct aws_error e;
    struct span etag;
    if (aws_error_parse(req->bytes.span, call->arena, &e) || req->code != 200) {
        enum dp_status refused = s3_explain(&s3->source, call, req, &call->error);
        return !req->maybe_landed ? refused
                                  : call_fail(call, DP_UNKNOWN,
                                              "%s/%.*s: an answer was lost, so the upload may or may not be "
                                              "complete (the last try: %s)",
                                              s3->root, SPAN_FMT(gather_key(&u->gather)), call->error.message);
    }
    enum dp_status status = s3_parse_completed(req->bytes.span, call->arena, &etag, &call->error);
    if (status == DP_OK && !http_version_of(etag, (struct span){0}, false, 0, version))
        status = call_fail(call, DP_IO, "the answer has no ETag");
    if (status != DP_OK) {
        dp_error_prefix(&call->error, "%s/%.*s: the upload was sent, but", s3->root,
                        SPAN_FMT(gather_key(&u->gather)));
        status = call_restatus(call, DP_UNKNOWN);
    }
    return status;
}

static enum dp_status complete_multipart(struct call *call, struct s3_upload *u, struct store_version *version)
{
    struct s3_store *s3 = s3_of(u->gather.base.store);
    const struct sigv4_pair query[] = {{span_str("uploadId"), buffer_span(&u->id)}};
    struct buffer body;
    buffer_init(&body, S3_ANSWER_MAX);
    append_parts(u, &body);
    struct transport_request req = {
        .method = HTTP_POST, .body = buffer_span(&body), .once = true, .slow_ms = COMPLETION_MS};
    enum dp_status status = buffer_check(&body, "an upload's parts", &call->error);
    if (status == DP_OK)
        status = s3_request(call, s3, gather_key(&u->gather), query, 1, &req);
    if (status == DP_OK) {
        ((struct s3_request *)req.ctx)->error_in_body = true;
        status = s3_send(call, s3, &req);
    }
    if (status == DP_OK)
        status = judge_completion(call, u, &req, version);
    if (status == DP_OK)
        buffer_clear(&u->id); /* no parts are left to remove */
    store_bytes_release(&req.bytes);
    buffer_deinit(&body);
    return status;
}

enum dp_status s3_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version)
{
    struct s3_upload *u = s3_upload_of(upload);
    enum dp_status status = DP_OK;
    if (u->id.len == 0) {
        status = gather_put(call, &u->gather, version);
        free_upload(u);
        return status;
    }
    if (u->gather.bytes.len)
        status = send_part(call, &u->gather);
    if (status == DP_OK)
        status = complete_multipart(call, u, version);
    if (status == DP_UNKNOWN) /* the object may be complete, so do not remove the upload */
        buffer_clear(&u->id);
    s3_upload_abort(upload);
    return status;
}

void s3_upload_abort(struct store_upload *upload)
{
    struct s3_upload *u = s3_upload_of(upload);
    if (u->id.len) {
        /* The caller's deadline may have passed, so the removal gets a new deadline. If the removal fails, the
         * store's own rules for unfinished uploads remove the parts. */
        struct s3_store *s3 = s3_of(upload->store);
        const struct sigv4_pair query[] = {{span_str("uploadId"), buffer_span(&u->id)}};
        struct transport_request req = {.method = HTTP_DELETE};
        struct arena arena;
        struct call call;
        arena_init(&arena, ABORT_ARENA_BYTES);
        call_init(&call, &arena);
        call_limit_ms(&call, ABORT_MS);
        if (s3_request(&call, s3, gather_key(&u->gather), query, 1, &req) == DP_OK)
            s3_send(&call, s3, &req);
        store_bytes_release(&req.bytes);
        arena_deinit(&arena);
    }
    free_upload(u);
}
