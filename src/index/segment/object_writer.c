/* object_writer.c: writes an object in parts of 8 MiB, which it gathers from small writes. */
#include "index/segment/object_writer.h"

enum { PART_LEN = 8 * 1024 * 1024 };

void object_writer_init(struct object_writer *w, struct store *store, const struct object_key *key)
{
    *w = (struct object_writer){.store = store, .key = *key};
    buffer_init(&w->waiting, PART_LEN);
}

static enum dp_status flush_part(struct call *call, struct object_writer *w)
{
    enum dp_status status = DP_OK;
    if (!w->upload)
        status = store_upload_begin(call, w->store, object_key_span(&w->key), &w->upload);
    if (status == DP_OK)
        status = store_upload_write(call, w->upload, buffer_span(&w->waiting));
    buffer_clear(&w->waiting);
    return status;
}

enum dp_status object_write(struct call *call, struct object_writer *w, struct span bytes)
{
    w->size += bytes.len;
    while (bytes.len) {
        size_t part = PART_LEN - w->waiting.len;
        if (part > bytes.len)
            part = bytes.len;
        buffer_append(&w->waiting, span_of(bytes.data, part));
        enum dp_status status = buffer_check(&w->waiting, "an object's part", &call->error);
        if (status)
            return status;
        bytes = span_of(bytes.data + part, bytes.len - part);
        if (w->waiting.len == PART_LEN)
            status = flush_part(call, w);
        if (status)
            return status;
    }
    return DP_OK;
}

/* Asks for the object after a put whose answer was lost. Nobody else writes an object of this name, so an object
 * of the right size is this writer's, and whole. Otherwise fails with DP_UNAVAILABLE, not DP_UNKNOWN: no manifest
 * lists the object yet, so the caller may treat the put as failed. */
static enum dp_status resolve_lost_answer(struct call *call, struct object_writer *w)
{
    const struct dp_error unknown = call->error;
    struct store_info info;
    dp_error_clear(&call->error);
    enum dp_status status = store_head(call, w->store, object_key_span(&w->key), &info);
    if (status == DP_OK && info.size == w->size)
        return DP_OK;
    call->error = unknown;
    return call_restatus(call, DP_UNAVAILABLE);
}

enum dp_status object_writer_finish(struct call *call, struct object_writer *w)
{
    if (!w->upload) {
        struct store_put put = {.key = object_key_span(&w->key), .body = buffer_span(&w->waiting)};
        enum dp_status put_status = store_put(call, w->store, &put);
        return put_status == DP_UNKNOWN ? resolve_lost_answer(call, w) : put_status;
    }
    enum dp_status status = w->waiting.len ? flush_part(call, w) : DP_OK;
    if (status)
        return status;
    struct store_version version;
    struct store_upload *upload = w->upload;
    w->upload = NULL;
    status = store_upload_finish(call, upload, &version);
    return status == DP_UNKNOWN ? resolve_lost_answer(call, w) : status;
}

void object_writer_deinit(struct object_writer *w)
{
    store_upload_abort(w->upload);
    w->upload = NULL;
    buffer_deinit(&w->waiting);
}
