/* store.c: the front of every store. Checks the call and the keys, calls the store's own function, and counts the
 * costs.
 *
 * A read batch, a head, a put, a listing, a removal and the finish of an upload are one round each. These
 * functions keep no state, so any thread may call them.
 */
#include "store/implement.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "os/clock.h"
#include "store/store_metrics.h"

/* A local store keeps its lock and unfinished files in a folder of this name, so no key of any store may begin
 * with it. */
static const char RESERVED_PART[] = ".dipper";

bool store_version_equal(const struct store_version *a, const struct store_version *b)
{
    return a->len == b->len && memcmp(a->token, b->token, a->len) == 0;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    struct store_metrics *metrics = store->metrics;
    store->ops->free(store);
    mem_free(metrics);
}

/* ---- requests --------------------------------------------------------------------------------------- */

enum dp_status store_key_check(struct span key, struct dp_error *error)
{
    if (key.len == 0)
        return dp_fail(error, DP_INVALID, "an object's key is empty");
    if (key.len > STORE_KEY_MAX)
        return dp_fail(error, DP_INVALID, "an object's key has %zu bytes, more than %d", key.len, STORE_KEY_MAX);
    if (!utf8_valid(key))
        return dp_fail(error, DP_INVALID, "an object's key is not UTF-8");
    for (size_t i = 0; i < key.len; i++)
        if (key.data[i] < 0x20 || key.data[i] == 0x7f)
            return dp_fail(error, DP_INVALID, "an object's key has a control character (0x%02x) in it",
                           key.data[i]);
    for (size_t start = 0; start <= key.len;) {
        const uint8_t *slash = start < key.len ? memchr(key.data + start, '/', key.len - start) : NULL;
        size_t end = slash ? (size_t)(slash - key.data) : key.len;
        struct span part = span_of(key.data + start, end - start);
        if (part.len == 0 || span_equal_str(part, ".") || span_equal_str(part, ".."))
            return dp_fail(error, DP_INVALID, "key \"%.*s\" has an empty, \".\" or \"..\" part", SPAN_FMT(key));
        if (part.len > STORE_PART_MAX)
            return dp_fail(error, DP_INVALID, "key \"%.*s\" has a part of more than %d bytes", SPAN_FMT(key),
                           STORE_PART_MAX);
        if (start == 0 && span_equal_str(part, RESERVED_PART))
            return dp_fail(error, DP_INVALID, "key \"%.*s\" is reserved", SPAN_FMT(key));
        start = end + 1;
    }
    return DP_OK;
}

enum dp_status store_range_len(const struct store_read_req *req, uint64_t size, uint64_t *len,
                               struct dp_error *error)
{
    if (req->offset > size)
        return dp_fail(error, DP_INVALID, "%.*s: offset %" PRIu64 " lies past the end of %" PRIu64 " bytes",
                       SPAN_FMT(req->key), req->offset, size);
    const uint64_t left = size - req->offset;
    if (req->len == STORE_TO_END || (req->clip && req->len >= 0 && (uint64_t)req->len > left)) {
        *len = left;
        return DP_OK;
    }
    if (req->len < 0 || (uint64_t)req->len > left)
        return dp_fail(error, DP_INVALID,
                       "%.*s: %" PRId64 " bytes at offset %" PRIu64 " do not lie within its %" PRIu64 " bytes",
                       SPAN_FMT(req->key), req->len, req->offset, size);
    *len = (uint64_t)req->len;
    return DP_OK;
}

bool store_read_settled(struct store_read_req *req, const struct store_version *version, uint64_t size)
{
    req->version = *version;
    req->size = size;
    if (!req->pinned)
        return false;
    if (store_version_equal(req->pinned, version)) {
        req->unchanged = req->if_changed;
        return req->unchanged;
    }
    if (req->if_changed)
        return false;
    req->status = dp_fail(&req->error, DP_STALE, "%.*s has changed since it was opened", SPAN_FMT(req->key));
    return true;
}

/* ---- dispatch --------------------------------------------------------------------------------------- */

void store_count_request(struct call *call, const struct store *store)
{
    if (store->ops->counting == STORE_COUNTS_NOTHING)
        call->cost.requests++;
}

/* Counts an operation of one round, in the call and in the metrics. It began at `since` (os_now_ns() scale), moved
 * `bytes` and ended with `status`. */
static void count_round(struct call *call, const struct store *store, enum store_operation operation,
                        enum dp_status status, int64_t since, uint64_t bytes)
{
    int64_t ns = os_now_ns() - since;
    call->cost.rounds++;
    store_count_request(call, store);
    call->cost.store_ns += (uint64_t)ns;
    store_metrics_count(store->metrics, operation, status, ns, bytes);
}

void store_read_inner(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    store->ops->read(call, store, reqs, n);
    if (store->ops->counting != STORE_COUNTS_ALL)
        call->cost.rounds++;
    if (store->ops->counting != STORE_COUNTS_NOTHING)
        return;
    call->cost.requests += n;
    for (size_t i = 0; i < n; i++)
        call->cost.bytes += reqs[i].bytes.span.len;
}

enum dp_status store_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    if (n == 0)
        return DP_OK;
    enum dp_status status = call_check(call);
    for (size_t i = 0; i < n; i++) {
        struct store_read_req *req = &reqs[i];
        req->bytes = (struct store_bytes){0};
        req->size = 0;
        req->version = (struct store_version){0};
        req->unchanged = false;
        req->maybe_missing = false;
        req->date_ms = 0;
        if (status != DP_OK) {
            req->status = status;
            req->error = call->error;
            continue;
        }
        dp_error_clear(&req->error);
        req->status = store_key_check(req->key, &req->error);
        if (req->status == DP_OK && req->if_changed && !req->pinned)
            req->status = dp_fail(&req->error, DP_INVALID, "%.*s: if_changed needs a version", SPAN_FMT(req->key));
    }
    if (status != DP_OK)
        return status;
    int64_t since = os_now_ns();
    store_read_inner(call, store, reqs, n);
    int64_t ns = os_now_ns() - since;
    uint64_t bytes = 0;
    call->cost.store_ns += (uint64_t)ns;
    for (size_t i = 0; i < n; i++) {
        bytes += reqs[i].bytes.span.len;
        if (reqs[i].status != DP_OK && status == DP_OK) {
            status = reqs[i].status;
            call->error = reqs[i].error;
        }
    }
    store_metrics_count(store->metrics, STORE_OP_READ, status, ns, bytes);
    return status;
}

void store_read_release(struct store_read_req *reqs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        store_bytes_release(&reqs[i].bytes);
}

/* Checks the call and the key before an operation. */
static enum dp_status check_key(struct call *call, struct span key)
{
    enum dp_status status = call_check(call);
    return status == DP_OK ? store_key_check(key, &call->error) : status;
}

enum dp_status store_head(struct call *call, struct store *store, struct span key, struct store_info *out)
{
    *out = (struct store_info){0};
    enum dp_status status = check_key(call, key);
    if (status != DP_OK)
        return status;
    int64_t since = os_now_ns();
    status = store->ops->head(call, store, key, out);
    count_round(call, store, STORE_OP_HEAD, status, since, 0);
    return status;
}

enum dp_status store_put(struct call *call, struct store *store, struct store_put *put)
{
    put->version = (struct store_version){0};
    put->date_ms = 0;
    enum dp_status status = check_key(call, put->key);
    if (status == DP_OK && put->condition == STORE_IF_VERSION && !put->expected)
        status = call_fail(call, DP_INVALID, "%.*s: a put \"if version\" needs a version", SPAN_FMT(put->key));
    if (status != DP_OK)
        return status;
    int64_t since = os_now_ns();
    status = store->ops->put(call, store, put);
    count_round(call, store, STORE_OP_PUT, status, since, status == DP_OK ? put->body.len : 0);
    if (status == DP_OK)
        call->cost.bytes_written += put->body.len;
    return status;
}

enum dp_status store_list(struct call *call, struct store *store, struct span prefix, struct span after,
                          bool folders, size_t max, struct store_listing *out)
{
    *out = (struct store_listing){0};
    enum dp_status status = call_check(call);
    if (status != DP_OK)
        return status;
    int64_t since = os_now_ns();
    status = store->ops->list(call, store, prefix, after, folders, max, out);
    count_round(call, store, STORE_OP_LIST, status, since, 0);
    return status;
}

enum dp_status store_remove(struct call *call, struct store *store, struct span key)
{
    enum dp_status status = check_key(call, key);
    if (status != DP_OK)
        return status;
    int64_t since = os_now_ns();
    status = store->ops->remove(call, store, key);
    count_round(call, store, STORE_OP_REMOVE, status, since, 0);
    return status;
}

enum dp_status store_settle(struct call *call, struct store *store, struct span key)
{
    enum dp_status status = check_key(call, key);
    return status == DP_OK && store->ops->settle ? store->ops->settle(call, store, key) : status;
}

enum dp_status store_upload_begin(struct call *call, struct store *store, struct span key,
                                  struct store_upload **out)
{
    *out = NULL;
    enum dp_status status = check_key(call, key);
    return status == DP_OK ? store->ops->upload_begin(call, store, key, out) : status;
}

enum dp_status store_upload_write(struct call *call, struct store_upload *upload, struct span bytes)
{
    enum dp_status status = call_check(call);
    if (status != DP_OK)
        return status;
    int64_t since = os_now_ns();
    status = upload->store->ops->upload_write(call, upload, bytes);
    call->cost.store_ns += (uint64_t)(os_now_ns() - since);
    if (status == DP_OK) {
        call->cost.bytes_written += bytes.len;
        store_metrics_bytes(upload->store->metrics, STORE_OP_UPLOAD, bytes.len);
    }
    return status;
}

enum dp_status store_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version)
{
    *version = (struct store_version){0};
    struct store *store = upload->store;
    enum dp_status status = call_check(call);
    if (status != DP_OK) {
        store->ops->upload_abort(upload);
        return status;
    }
    int64_t since = os_now_ns();
    status = store->ops->upload_finish(call, upload, version);
    count_round(call, store, STORE_OP_UPLOAD, status, since, 0);
    return status;
}

void store_upload_abort(struct store_upload *upload)
{
    if (upload)
        upload->store->ops->upload_abort(upload);
}
