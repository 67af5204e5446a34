/* round.c: collects the ranges of a round, counts their bytes, and reads them. */
#include "index/round.h"

#include "base/alloc.h"
#include "base/array.h"

void round_init(struct round *r, struct call *call, struct store *store, uint64_t bytes_max)
{
    *r = (struct round){.call = call, .store = store, .bytes_max = bytes_max ? bytes_max : ROUND_BYTES_MAX};
}

void round_deinit(struct round *r)
{
    round_release(r);
    mem_free(r->reqs);
    *r = (struct round){0};
}

bool round_takes(const struct round *r, uint64_t bytes, size_t ranges)
{
    uint64_t left = r->bytes < r->bytes_max ? r->bytes_max - r->bytes : 0;
    return r->bytes == 0 || (bytes <= left && ranges <= (left - bytes) / ROUND_GAP);
}

size_t round_ask(struct round *r, const struct store_read_req *req)
{
    struct store_read_req *reqs = array_reserve(r->reqs, r->count, &r->room, sizeof *reqs, 16);
    if (!reqs) {
        r->status = call_nomem(r->call, "a round of reads");
        return 0;
    }
    r->reqs = reqs;
    r->reqs[r->count] = *req;
    r->bytes += (req->len > 0 ? (uint64_t)req->len : 0) + ROUND_GAP;
    return r->count++;
}

void round_extend(struct round *r, size_t handle, uint64_t len)
{
    if (r->status)
        return; /* round_ask() had no memory for it */
    r->reqs[handle].len += (int64_t)len;
    r->bytes += len;
}

enum dp_status round_read(struct round *r)
{
    if (r->status)
        return r->status;
    if (r->count)
        store_read(r->call, r->store, r->reqs, r->count);
    dp_error_clear(&r->call->error);
    return call_check(r->call);
}

const struct store_read_req *round_answer(const struct round *r, size_t handle)
{
    return &r->reqs[handle];
}

enum dp_status round_check(struct round *r, size_t handle)
{
    if (r->reqs[handle].status)
        r->call->error = r->reqs[handle].error;
    return r->reqs[handle].status;
}

struct store_read_req round_take(struct round *r, size_t handle)
{
    struct store_read_req answer = r->reqs[handle];
    r->reqs[handle] = (struct store_read_req){0};
    return answer;
}

void round_release(struct round *r)
{
    store_read_release(r->reqs, r->count);
    r->count = 0;
    r->bytes = 0;
    r->status = DP_OK;
}
