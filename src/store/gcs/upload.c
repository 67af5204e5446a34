/* gcs/upload.c: writes large objects by resumable uploads.
 *
 * An upload gathers bytes until a chunk is full. If it ends within its first chunk, it becomes an ordinary put; only
 * a second chunk begins a session, so a small object costs one request. The store answers 308 to each chunk but the
 * last and says how far it has come; it may keep less than the whole chunk, then the rest is sent again. It ignores
 * bytes that it has already, so a chunk whose answer was lost may be sent twice. The object appears with the last
 * chunk. An upload has one owner thread.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "store/gather.h"
#include "store/gcs/answers.h"
#include "store/gcs/gcs.h"
#include "store/http/head.h"

enum { ABORT_MS = 10000, ABORT_ARENA_BYTES = 1 << 20, LOST_CHUNKS_MAX = 4 };

struct gcs_upload {
    struct gather gather;
    struct buffer session; /* its URL; empty: no session has begun */
    uint64_t kept;         /* bytes that the store has: the chunk begins there */
};

static struct gcs_upload *gcs_upload_of(struct store_upload *upload)
{
    return (struct gcs_upload *)upload;
}

static void free_upload(struct gcs_upload *u)
{
    gather_deinit(&u->gather);
    buffer_deinit(&u->session);
    mem_free(u);
}

/* Begins the session. If the answer is lost, the second try begins another one, and the store forgets the first
 * after a week. */
static enum dp_status begin_session(struct call *call, struct gcs_upload *u)
{
    struct gcs_store *gcs = gcs_of(u->gather.base.store);
    const struct gcs_parameter query[] = {{"uploadType", span_str("resumable")},
                                          {"fields", span_str("generation,size")}};
    const struct transport_header headers[] = {
        {span_str("X-Upload-Content-Type"), span_str("application/octet-stream")}};
    struct transport_request req = {.method = HTTP_POST, .headers = headers, .header_count = 1};
    enum dp_status status = gcs_request(call, gcs, GCS_UPLOAD, gather_key(&u->gather), query, 2, &req);
    if (status == DP_OK)
        status = gcs_send(call, gcs, &req);
    if (status == DP_OK && req.code / 100 != 2)
        status = gcs_explain(&gcs->source, call, &req, &call->error);
    if (status == DP_OK) {
        struct span location = http_head_find(req.head, "location");
        buffer_append(&u->session, location);
        status = buffer_check(&u->session, "an upload's URL", &call->error);
        if (status == DP_OK && !location.len)
            status = call_fail(call, DP_IO, "%s/%.*s: the store gave no URL for the upload", gcs->root.url,
                               SPAN_FMT(gather_key(&u->gather)));
    }
    store_bytes_release(&req.bytes);
    return status;
}

/* Reads "bytes=0-N" and returns N + 1, the number of bytes that the store keeps. A missing header means none.
 * Returns false for other texts. */
static bool parse_kept(struct span range, uint64_t *kept)
{
    static const char BEGIN[] = "bytes=0-";
    uint64_t last = 0;
    *kept = 0;
    if (!range.data)
        return true;
    if (!span_starts_with(range, span_str(BEGIN)) || range.len == sizeof BEGIN - 1 || range.len > 32)
        return false;
    for (size_t i = sizeof BEGIN - 1; i < range.len; i++) {
        if (range.data[i] < '0' || range.data[i] > '9' || last > UINT64_MAX / 16)
            return false;
        last = last * 10 + (range.data[i] - '0');
    }
    *kept = last + 1;
    return true;
}

/* Drops the bytes that the store keeps from the chunk. Fails if it keeps fewer than before, or more than were
 * sent. */
static enum dp_status take_progress(struct call *call, struct gcs_upload *u, const struct transport_request *req)
{
    uint64_t kept = 0;
    bool good = parse_kept(http_head_find(req->head, "range"), &kept);
    if (!good || kept < u->kept || kept - u->kept > u->gather.bytes.len)
        return call_fail(call, DP_UNAVAILABLE,
                         "%s/%.*s: the store lost bytes of the upload, or its answer is malformed: try again",
                         gcs_of(u->gather.base.store)->root.url, SPAN_FMT(gather_key(&u->gather)));
    size_t done = (size_t)(kept - u->kept);
    memmove(u->gather.bytes.data, u->gather.bytes.data + done, u->gather.bytes.len - done);
    u->gather.bytes.len -= done;
    u->kept = kept;
    return DP_OK;
}

/* Sends the gathered bytes once. `last`: they end the object. */
static enum dp_status send_once(struct call *call, struct gcs_upload *u, bool last, struct transport_request *req)
{
    char range[96];
    int len = snprintf(range, sizeof range, "bytes %" PRIu64 "-%" PRIu64 "/", u->kept,
                       u->kept + u->gather.bytes.len - 1);
    if (last)
        snprintf(range + len, sizeof range - (size_t)len, "%" PRIu64, u->kept + u->gather.bytes.len);
    else
        snprintf(range + len, sizeof range - (size_t)len, "*");
    struct transport_header *header = arena_alloc(call->arena, sizeof *header);
    if (!header)
        return call_nomem(call, "a request");
    *header = (struct transport_header){span_str("Content-Range"), arena_copy(call->arena, span_str(range))};
    *req = (struct transport_request){
        .method = HTTP_PUT, .headers = header, .header_count = 1, .body = buffer_span(&u->gather.bytes)};
    struct gcs_store *gcs = gcs_of(u->gather.base.store);
    enum dp_status status = gcs_request_session(call, gcs, gather_key(&u->gather), buffer_span(&u->session), req);
    return status == DP_OK ? gcs_send(call, gcs, req) : status;
}

/* Sends the gathered bytes. After the last chunk sets *version, which is NULL for the other chunks. */
static enum dp_status send_bytes(struct call *call, struct gcs_upload *u, struct store_version *version)
{
    struct gcs_store *gcs = gcs_of(u->gather.base.store);
    bool last = version, done = false, unclear = false;
    uint64_t total = u->kept + u->gather.bytes.len, size = 0;
    enum dp_status status = u->session.len ? DP_OK : begin_session(call, u);
    for (unsigned lost = 0; status == DP_OK && !done && u->gather.bytes.len;) {
        struct transport_request req = {0};
        uint64_t before = u->kept;
        status = send_once(call, u, last, &req);
        unclear |= last && req.maybe_landed;
        if (status == DP_UNKNOWN && !last) /* no reader sees a chunk, so an unclear outcome does no harm */
            status = call_restatus(call, DP_UNAVAILABLE);
        if (status == DP_OK && req.code == 308)
            status = take_progress(call, u, &req);
        else if (status == DP_OK && req.code / 100 == 2 && last)
            done = true;
        else if (status == DP_OK) {
            gcs_explain(&gcs->source, call, &req, &call->error);
            status = call_fail(call, DP_UNAVAILABLE, "%s/%.*s: the upload broke off: begin it again (%s)",
                               gcs->root.url, SPAN_FMT(gather_key(&u->gather)), call->error.message);
        }
        if (status == DP_OK && done)
            status = gcs_parse_object(req.bytes.span, call->arena, version, &size, &call->error);
        if (done && (status == DP_IO || (status == DP_OK && size != total)))
            status = call_fail(call, DP_UNKNOWN, "%s/%.*s: the upload was sent, but the answer is not that object",
                               gcs->root.url, SPAN_FMT(gather_key(&u->gather)));
        store_bytes_release(&req.bytes);
        if (status == DP_OK && !done && u->kept == before && ++lost == LOST_CHUNKS_MAX)
            status = call_fail(call, DP_UNAVAILABLE, "%s/%.*s: the store keeps no bytes of the upload: try again",
                               gcs->root.url, SPAN_FMT(gather_key(&u->gather)));
    }
    if (status == DP_OK && last && !done)
        status = call_fail(call, DP_UNKNOWN, "%s/%.*s: the store has all bytes, but did not end the upload",
                           gcs->root.url, SPAN_FMT(gather_key(&u->gather)));
    if (status != DP_OK && status != DP_UNKNOWN && unclear) { /* that try may end the upload yet */
        dp_error_prefix(&call->error, "%s/%.*s: an answer was lost, so the object may or may not be ours",
                        gcs->root.url, SPAN_FMT(gather_key(&u->gather)));
        status = call_restatus(call, DP_UNKNOWN);
    }
    return status;
}

/* Sends a chunk that is not the last. For gather_write. */
static enum dp_status send_chunk(struct call *call, struct gather *gather)
{
    return send_bytes(call, (struct gcs_upload *)gather, NULL);
}

enum dp_status gcs_upload_begin(struct call *call, struct store *store, struct span key, struct store_upload **out)
{
    enum dp_status status = gcs_probe(call, gcs_of(store));
    if (status != DP_OK)
        return status;
    struct gcs_upload *u = mem_calloc(1, sizeof *u);
    if (!u)
        return call_nomem(call, "an upload");
    gather_init(&u->gather, store, key, GCS_CHUNK_BYTES, send_chunk);
    buffer_init(&u->session, GCS_URL_MAX);
    *out = &u->gather.base;
    return DP_OK;
}

enum dp_status gcs_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version)
{
    struct gcs_upload *u = gcs_upload_of(upload);
    enum dp_status status;
    if (!u->session.len) {
        status = gather_put(call, &u->gather, version);
        free_upload(u);
        return status;
    }
    status = send_bytes(call, u, version);
    if (status == DP_OK || status == DP_UNKNOWN) /* there is no session to end, or the object may be complete */
        buffer_clear(&u->session);
    gcs_upload_abort(upload);
    return status;
}

void gcs_upload_abort(struct store_upload *upload)
{
    struct gcs_upload *u = gcs_upload_of(upload);
    if (u->session.len) {
        /* The caller's deadline may have passed, so the removal gets a new deadline. If it fails, the store forgets
         * the session after a week. */
        struct gcs_store *gcs = gcs_of(upload->store);
        struct transport_request req = {.method = HTTP_DELETE};
        struct arena arena;
        struct call call;
        arena_init(&arena, ABORT_ARENA_BYTES);
        call_init(&call, &arena);
        call_limit_ms(&call, ABORT_MS);
        if (gcs_request_session(&call, gcs, gather_key(&u->gather), buffer_span(&u->session), &req) == DP_OK)
            gcs_send(&call, gcs, &req);
        store_bytes_release(&req.bytes);
        arena_deinit(&arena);
    }
    free_upload(u);
}
