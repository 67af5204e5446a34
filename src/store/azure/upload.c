/* azure/upload.c: writes large objects in blocks.
 *
 * An upload gathers bytes until a block is full. If it ends within its first block, it becomes an ordinary put; so a
 * small object costs one request. Blocks are invisible until Put Block List names them. A failed or aborted upload
 * sends nothing: Azure removes blocks without a list after a week, and has no request to remove them.
 *
 * The ids of blocks begin with a ULID of the upload, so that two uploads of one name never mix their blocks. An upload
 * has one owner thread.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "os/random.h"
#include "store/azure/azure.h"
#include "store/gather.h"
#include "store/http/run.h"

enum { COMPLETION_MS = 5 * 60 * 1000, NUMBER_DIGITS = 6, ID_PLAIN = ULID_LEN + NUMBER_DIGITS, LIST_MAX = 8 << 20 };

struct azure_upload {
    struct gather gather;
    char ulid[ULID_LEN + 1];
    unsigned blocks; /* that the store has */
};

static struct azure_upload *azure_upload_of(struct store_upload *upload)
{
    return (struct azure_upload *)upload;
}

/* Appends the id of a block: base 64, and of one length for all blocks, as Azure demands. */
static void append_block_id(const struct azure_upload *u, unsigned block, struct buffer *out)
{
    char plain[ID_PLAIN + 8];
    snprintf(plain, sizeof plain, "%.*s%0*u", ULID_LEN, u->ulid, NUMBER_DIGITS, block);
    base64_encode(span_of(plain, ID_PLAIN), out);
}

/* Sends the gathered bytes as the next block. */
static enum dp_status send_block(struct call *call, struct gather *gather)
{
    struct azure_upload *u = (struct azure_upload *)gather;
    struct azure_store *azure = azure_of(u->gather.base.store);
    struct buffer id;
    if (u->blocks == AZURE_BLOCKS_MAX)
        return call_fail(call, DP_TOO_LARGE, "%.*s: an upload has at most %d blocks of %d MiB",
                         SPAN_FMT(gather_key(&u->gather)), AZURE_BLOCKS_MAX, AZURE_BLOCK_BYTES >> 20);
    buffer_init(&id, 128);
    append_block_id(u, u->blocks, &id);
    const struct azure_parameter query[] = {{span_str("comp"), span_str("block")},
                                            {span_str("blockid"), buffer_span(&id)}};
    struct transport_request req = {.method = HTTP_PUT, .body = buffer_span(&u->gather.bytes)};
    enum dp_status status = buffer_check(&id, "a block's id", &call->error);
    if (status == DP_OK)
        status = azure_request(call, azure, gather_key(&u->gather), query, 2, &req);
    if (status == DP_OK)
        status = azure_send(call, azure, &req);
    if (status == DP_UNKNOWN) /* no reader sees a block, so a try with an unclear outcome does no harm */
        status = call_restatus(call, DP_UNAVAILABLE);
    if (status == DP_OK && req.code / 100 != 2)
        status = azure_explain(&azure->source, call, &req, &call->error);
    if (status == DP_OK) {
        u->blocks++;
        buffer_clear(&u->gather.bytes);
    }
    store_bytes_release(&req.bytes);
    buffer_deinit(&id);
    return status;
}

enum dp_status azure_upload_begin(struct call *call, struct store *store, struct span key,
                                  struct store_upload **out)
{
    enum dp_status status = azure_conditions(call, azure_of(store));
    if (status != DP_OK)
        return status;
    struct azure_upload *u = mem_calloc(1, sizeof *u);
    if (!u)
        return call_nomem(call, "an upload");
    gather_init(&u->gather, store, key, AZURE_BLOCK_BYTES, send_block);
    status = os_ulid(u->ulid, &call->error);
    if (status == DP_OK)
        *out = &u->gather.base;
    else
        azure_upload_abort(&u->gather.base);
    return status;
}

/* Makes the blocks one object. */
static enum dp_status commit_blocks(struct call *call, struct azure_upload *u, struct store_version *version)
{
    struct azure_store *azure = azure_of(u->gather.base.store);
    const struct azure_parameter query[] = {{span_str("comp"), span_str("blocklist")}};
    const struct transport_header headers[] = {{span_str("Content-Type"), span_str("application/xml")}};
    struct store_put put = {.key = gather_key(&u->gather)};
    struct buffer body;
    buffer_init(&body, LIST_MAX);
    buffer_append_str(&body, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for (unsigned i = 0; i < u->blocks; i++) {
        buffer_append_str(&body, "<Latest>");
        append_block_id(u, i, &body);
        buffer_append_str(&body, "</Latest>");
    }
    buffer_append_str(&body, "</BlockList>");
    struct transport_request req = {.method = HTTP_PUT,
                                    .headers = headers,
                                    .header_count = 1,
                                    .body = buffer_span(&body),
                                    .once = true,
                                    .slow_ms = COMPLETION_MS};
    enum dp_status status = buffer_check(&body, "an upload's blocks", &call->error);
    if (status == DP_OK)
        status = azure_request(call, azure, gather_key(&u->gather), query, 1, &req);
    if (status == DP_OK)
        status = azure_send(call, azure, &req);
    if (status == DP_OK)
        status = azure_judge_put(call, azure, &put, &req);
    *version = put.version;
    store_bytes_release(&req.bytes);
    buffer_deinit(&body);
    return status;
}

enum dp_status azure_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version)
{
    struct azure_upload *u = azure_upload_of(upload);
    enum dp_status status = DP_OK;
    if (u->blocks == 0) {
        status = gather_put(call, &u->gather, version);
    } else {
        if (u->gather.bytes.len)
            status = send_block(call, &u->gather);
        if (status == DP_OK)
            status = commit_blocks(call, u, version);
    }
    azure_upload_abort(upload);
    return status;
}

void azure_upload_abort(struct store_upload *upload)
{
    struct azure_upload *u = azure_upload_of(upload);
    gather_deinit(&u->gather);
    mem_free(u);
}
