/* gather.c: gathers the bytes of an upload into parts (see gather.h). */
#include "store/gather.h"

void gather_init(struct gather *g, struct store *store, struct span key, size_t part_bytes,
                 enum dp_status (*send)(struct call *, struct gather *))
{
    g->base.store = store;
    buffer_init(&g->bytes, part_bytes);
    g->part_bytes = part_bytes;
    g->send = send;
    g->key_len = key.len;
    memcpy(g->key, key.data, key.len);
}

void gather_deinit(struct gather *g)
{
    buffer_deinit(&g->bytes);
}

struct span gather_key(const struct gather *g)
{
    return span_of(g->key, g->key_len);
}

enum dp_status gather_write(struct call *call, struct store_upload *upload, struct span bytes)
{
    struct gather *g = (struct gather *)upload;
    while (bytes.len) {
        if (g->bytes.len == g->part_bytes) {
            enum dp_status status = call_check(call);
            if (status == DP_OK)
                status = g->send(call, g);
            if (status != DP_OK)
                return status;
        }
        const size_t room = g->part_bytes - g->bytes.len, len = bytes.len < room ? bytes.len : room;
        buffer_append(&g->bytes, span_of(bytes.data, len));
        if (g->bytes.status != DP_OK)
            return buffer_check(&g->bytes, "an upload", &call->error);
        bytes = span_of(bytes.data + len, bytes.len - len);
    }
    return DP_OK;
}

enum dp_status gather_put(struct call *call, struct gather *g, struct store_version *version)
{
    struct store_put put = {.key = gather_key(g), .body = buffer_span(&g->bytes)};
    const enum dp_status status = g->base.store->ops->put(call, g->base.store, &put);
    *version = put.version;
    return status;
}
