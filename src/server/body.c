/* body.c: gathers the bytes of a request body, decompresses them and bounds what they use. */
#include "server/body.h"

#include "base/alloc.h"

bool byte_quota_take(struct byte_quota *quota, size_t bytes)
{
    size_t held = atomic_load(&quota->held);
    do {
        if (bytes > quota->max || held > quota->max - bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&quota->held, &held, held + bytes));
    return true;
}

void byte_quota_give(struct byte_quota *quota, size_t bytes)
{
    atomic_fetch_sub(&quota->held, bytes);
}

void request_body_init(struct request_body *b, struct byte_quota *memory, struct byte_quota *disk)
{
    *b = (struct request_body){.memory = memory, .disk = disk};
    buffer_init(&b->received, 0);
}

void request_body_deinit(struct request_body *b)
{
    request_body_clear(b, 0);
    buffer_deinit(&b->received);
}

void request_body_begin(struct request_body *b, enum body_encoding encoding, size_t max, bool large)
{
    b->encoding = encoding;
    b->max = max;
    b->large = large;
    b->received.max = max;
}

void request_body_clear(struct request_body *b, size_t kept_max)
{
    byte_quota_give(b->memory, b->memory_held);
    byte_quota_give(b->disk, b->disk_held);
    b->memory_held = b->disk_held = 0;
    b->waits = false;
    decoder_free(b->decoder);
    b->decoder = NULL;
    b->window = 0;
    if (b->has_stored)
        spill_deinit(&b->stored);
    b->has_stored = false;
    if (b->received.cap > kept_max)
        buffer_deinit(&b->received);
    buffer_clear(&b->received);
}

static enum dp_status hold_memory(struct request_body *b, size_t bytes, struct dp_error *error)
{
    if (!byte_quota_take(b->memory, bytes))
        return dp_fail(error, DP_OVERLOADED,
                       "the bodies of other requests fill the memory set aside for bodies; try again");
    b->memory_held += bytes;
    return DP_OK;
}

static enum dp_status hold_disk(struct request_body *b, size_t bytes, struct dp_error *error)
{
    if (!byte_quota_take(b->disk, bytes))
        return dp_fail(error, DP_OVERLOADED,
                       "the bodies of other requests fill the disk space set aside for bodies; try again");
    b->disk_held += bytes;
    return DP_OK;
}

enum dp_status request_body_keep(struct request_body *b, struct span piece, struct dp_error *error)
{
    enum dp_status status = b->waits ? DP_OK : hold_memory(b, piece.len, error);
    if (status != DP_OK)
        return status;
    buffer_append(&b->received, piece);
    return buffer_check(&b->received, "the body", error);
}

enum dp_status request_body_count(struct request_body *b, struct dp_error *error)
{
    if (!b->waits)
        return DP_OK;
    b->waits = false;
    return hold_memory(b, b->received.len, error);
}

bool request_body_is_full(const struct request_body *b)
{
    return b->large && b->received.len >= BODY_RECEIVED_MAX;
}

/* Counts `bytes` more decompressed bytes. The first BODY_MEMORY_MAX bytes of a large body count as memory until
 * the body is cleared. If it has more bytes, all of them lie in the file and count as disk. */
static enum dp_status hold_stored(struct request_body *b, size_t bytes, struct dp_error *error)
{
    const size_t before = (size_t)b->stored.len, after = before + bytes;
    if (!b->large)
        return hold_memory(b, bytes, error);
    enum dp_status status = DP_OK;
    if (before < BODY_MEMORY_MAX)
        status = hold_memory(b, (after < BODY_MEMORY_MAX ? after : BODY_MEMORY_MAX) - before, error);
    if (status == DP_OK && after > BODY_MEMORY_MAX)
        status = hold_disk(b, after - b->disk_held, error);
    return status;
}

/* Where the decoder's bytes go. */
struct body_sink {
    struct call *call;
    struct request_body *body;
};

static enum dp_status store_bytes(void *ctx, struct span bytes, struct dp_error *error)
{
    const struct body_sink *sink = ctx;
    struct request_body *b = sink->body;
    enum dp_status status = call_check(sink->call);
    if (status != DP_OK)
        return status;
    if (bytes.len > b->max - (size_t)b->stored.len)
        return dp_fail(error, DP_TOO_LARGE, "the body has more than %zu bytes when it is decompressed", b->max);
    status = hold_stored(b, bytes.len, error);
    if (status != DP_OK)
        return status;
    status = spill_append(&b->stored, bytes, error);
    /* A temporary folder that is missing or not writable is the server's fault, not the client's. */
    if (status != DP_OK && status != DP_FULL && status != DP_NOMEM)
        status = dp_restatus(error, DP_UNAVAILABLE);
    return status;
}

static enum dp_status begin_storing(struct request_body *b, struct dp_error *error)
{
    if (!b->has_stored) {
        spill_init(&b->stored, b->large ? BODY_MEMORY_MAX : b->max);
        b->has_stored = true;
    }
    if (b->encoding == ENCODING_IDENTITY || b->decoder)
        return DP_OK;
    b->decoder = decoder_new(b->encoding);
    return b->decoder ? DP_OK : dp_fail_nomem(error, "decompressing a body");
}

/* Decompresses what was received. Counts the decoder's window once it knows it: at most 8 MiB. */
static enum dp_status store_decoded(struct request_body *b, struct body_sink *sink, struct dp_error *error)
{
    enum dp_status status = decoder_feed(b->decoder, buffer_span(&b->received), store_bytes, sink, error);
    const size_t window = decoder_window(b->decoder);
    if (status == DP_OK && window > b->window) {
        status = hold_memory(b, window - b->window, error);
        b->window = window;
    }
    return status;
}

enum dp_status request_body_store(struct call *call, struct request_body *b)
{
    struct body_sink sink = {call, b};
    const struct span bytes = buffer_span(&b->received);
    enum dp_status status = begin_storing(b, &call->error);
    if (status == DP_OK && b->decoder)
        status = store_decoded(b, &sink, &call->error);
    else if (status == DP_OK && bytes.len)
        status = store_bytes(&sink, bytes, &call->error);
    if (status == DP_OK && b->large) {
        byte_quota_give(b->memory, bytes.len);
        b->memory_held -= bytes.len;
        buffer_clear(&b->received);
    }
    return status;
}

enum dp_status request_body_finish(struct call *call, struct request_body *b, struct span *out)
{
    *out = buffer_span(&b->received);
    if (!b->has_stored && (b->encoding == ENCODING_IDENTITY || out->len == 0))
        return DP_OK;
    enum dp_status status = request_body_store(call, b);
    if (status == DP_OK && b->decoder)
        status = decoder_end(b->decoder, &call->error);
    /* The window is not needed while the handler runs. */
    decoder_free(b->decoder);
    b->decoder = NULL;
    if (status == DP_OK)
        status = spill_view(&b->stored, out, &call->error);
    if (status == DP_IO || status == DP_NOT_FOUND || status == DP_DENIED)
        status = call_restatus(call, DP_UNAVAILABLE);
    return status;
}
