/* local/read.c: reads batches of ranges from a local folder.
 *
 * local_read takes a batch in slices of SLICE requests, which bounds open files and the stack. It opens each
 * object of a slice once, stats it, reads it and stats it again, and never delivers an object that changed in
 * between. Our own writers replace files by rename, so an open file stays one version; the second stat catches
 * other programs that write in place. After a change local_read reads the request again, except that a pinned read
 * of a large object returns DP_STALE.
 *
 * Ranges in the page cache are read one after another, which costs less than waking a thread. The kernel gets all
 * other ranges at once (POSIX_FADV_WILLNEED queues the device reads without waiting), so that these reads run in
 * parallel while we wait for the first; docs/internals/store.md has the figures.
 */
#include "store/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/clock.h"

enum { SLICE = 64, TRIES = 4, CHUNK = 8 << 20 };

/* One range of a file to read. */
struct local_fetch {
    int fd;
    struct store_block *block; /* NULL: unused, or zero bytes */
    uint64_t offset;
    size_t filled;
    int failed;   /* errno */
    bool cut;     /* the file ended early, so it has changed */
    bool skipped; /* the call ended before the read */
};

/* An object that a slice reads. */
struct local_object {
    struct span key;
    int fd;
    struct stat before;
    bool hashed; /* the object is small: its requests share one read of the whole object */
    bool changed;
    struct local_fetch whole; /* if hashed: the read of the whole object */
    struct store_version version;
};

/* Up to SLICE requests of a batch, and their open objects. */
struct local_slice {
    struct call *call;
    struct local_store *local;
    struct store_read_req *reqs;
    size_t n;
    struct local_object objects[SLICE];
    size_t object_count;
    int object_of[SLICE];              /* each request's position in `objects`; -1: the request is settled */
    struct local_fetch fetches[SLICE]; /* for each request of a large object */
};

static size_t fetch_len(const struct local_fetch *f)
{
    return f->block ? store_block_len(f->block) - f->filled : 0;
}

/* Reads the bytes in the page cache. Returns whether the device must be read for the rest. */
static bool fetch_cached(struct local_fetch *f)
{
    while (fetch_len(f)) {
        struct iovec to = {store_block_data(f->block) + f->filled, fetch_len(f)};
        ssize_t got = preadv2(f->fd, &to, 1, (off_t)(f->offset + f->filled), RWF_NOWAIT);
        if (got <= 0)
            return true; /* not in memory, not supported, at the end, or interrupted: fetch_rest finds out */
        f->filled += (size_t)got;
    }
    return false;
}

static void fetch_ahead(const struct local_fetch *f)
{
    if (fetch_len(f))
        posix_fadvise(f->fd, (off_t)(f->offset + f->filled), (off_t)fetch_len(f), POSIX_FADV_WILLNEED);
}

static void fetch_rest(struct call *call, struct local_fetch *f)
{
    while (fetch_len(f)) {
        if (call_check(call) != DP_OK) {
            f->skipped = true;
            return;
        }
        size_t want = fetch_len(f) < CHUNK ? fetch_len(f) : CHUNK;
        ssize_t got = pread(f->fd, store_block_data(f->block) + f->filled, want, (off_t)(f->offset + f->filled));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            f->failed = errno;
            return;
        }
        if (got == 0) {
            f->cut = true;
            return;
        }
        f->filled += (size_t)got;
    }
}

/* Finds the open object of the request's key, or opens it. Returns NULL when the request has failed. */
static struct local_object *find_object(struct local_slice *s, struct store_read_req *req)
{
    for (size_t i = s->object_count; i-- > 0;)
        if (span_equal(s->objects[i].key, req->key))
            return &s->objects[i];
    struct local_object *o = &s->objects[s->object_count];
    *o = (struct local_object){.key = req->key};
    int failed = local_open_object(s->local, req->key, &o->fd, &o->before);
    if (failed) {
        req->status = local_fail(s->local, failed, "read", req->key, &req->error);
        return NULL;
    }
    s->object_count++;
    o->hashed = o->before.st_size <= LOCAL_HASHED_MAX;
    if (!o->hashed)
        local_version_of_file(&o->before, &o->version);
    return o;
}

static enum dp_status fetch_begin(const struct local_slice *s, struct local_fetch *f, int fd, uint64_t offset,
                                  uint64_t len, struct dp_error *error)
{
    *f = (struct local_fetch){.fd = fd, .offset = offset};
    if (len == 0)
        return DP_OK;
    f->block = len > SIZE_MAX ? NULL : store_block_pool_take(s->local->blocks, (size_t)len);
    return f->block ? DP_OK : dp_fail_nomem(error, "bytes of an object");
}

/* Opens the object of request i and prepares its read. */
static void begin_request(struct local_slice *s, size_t i)
{
    struct store_read_req *req = &s->reqs[i];
    s->object_of[i] = -1;
    struct local_object *o = find_object(s, req);
    if (!o)
        return;
    uint64_t size = (uint64_t)o->before.st_size, len;
    if (o->hashed) {
        if (!o->whole.block)
            req->status = fetch_begin(s, &o->whole, o->fd, 0, size, &req->error);
    } else {
        if (store_read_settled(req, &o->version, size))
            return;
        req->status = store_range_len(req, size, &len, &req->error);
        if (req->status == DP_OK)
            req->status = fetch_begin(s, &s->fetches[i], o->fd, req->offset, len, &req->error);
    }
    if (req->status == DP_OK)
        s->object_of[i] = (int)(o - s->objects);
}

/* Reads all prepared ranges: first from the page cache, then from the device. */
static void run_fetches(struct local_slice *s)
{
    struct local_fetch *cold[2 * SLICE];
    size_t count = 0;
    for (size_t i = 0; i < s->object_count; i++)
        if (fetch_cached(&s->objects[i].whole))
            cold[count++] = &s->objects[i].whole;
    for (size_t i = 0; i < s->n; i++)
        if (fetch_cached(&s->fetches[i]))
            cold[count++] = &s->fetches[i];
    for (size_t i = 0; count > 1 && i < count; i++)
        fetch_ahead(cold[i]);
    for (size_t i = 0; i < count; i++)
        fetch_rest(s->call, cold[i]);
}

/* Stats each object again, and sets the versions of small ones. */
static void end_objects(struct local_slice *s)
{
    for (size_t i = 0; i < s->object_count; i++) {
        struct local_object *o = &s->objects[i];
        struct stat after;
        o->changed = o->whole.cut || fstat(o->fd, &after) != 0 || !local_same_file(&o->before, &after);
        if (o->hashed && !o->changed) {
            const struct store_block *block = o->whole.block;
            struct span bytes =
                block ? span_of(store_block_data(o->whole.block), store_block_len(block)) : span_of(NULL, 0);
            local_version_of_bytes(bytes, &o->version);
        }
    }
}

/* Answers request i. Returns true when its object changed and must be read again. */
static bool end_request(struct local_slice *s, size_t i)
{
    struct store_read_req *req = &s->reqs[i];
    struct local_object *o = &s->objects[s->object_of[i]];
    struct local_fetch *f = o->hashed ? &o->whole : &s->fetches[i];
    if (f->skipped) {
        req->status = s->call->error.status;
        req->error = s->call->error;
        return false;
    }
    if (f->failed) {
        req->status = local_fail(s->local, f->failed, "read", req->key, &req->error);
        return false;
    }
    if (o->changed || f->cut) {
        if (o->hashed || !req->pinned || req->if_changed)
            return true; /* the content of a small object decides whether it still has the pinned version */
        req->status = dp_fail(&req->error, DP_STALE, "%.*s changed while it was read", SPAN_FMT(req->key));
        return false;
    }
    if (o->hashed) {
        uint64_t len;
        if (store_read_settled(req, &o->version, (uint64_t)o->before.st_size))
            return false;
        req->status = store_range_len(req, req->size, &len, &req->error);
        if (req->status == DP_OK)
            req->bytes = store_block_bytes(f->block, req->offset, len);
    } else if (f->block) {
        req->bytes = store_block_bytes(f->block, 0, store_block_len(f->block));
    }
    return false;
}

/* Reads the requests that `wanted` marks, and unmarks those that need no further read. Returns whether a marked
 * one is left. */
static bool read_slice(struct local_slice *s, bool wanted[SLICE])
{
    bool again = false;
    s->object_count = 0;
    for (size_t i = 0; i < s->n; i++) {
        s->object_of[i] = -1;
        s->fetches[i] = (struct local_fetch){.fd = -1};
        if (wanted[i])
            begin_request(s, i);
    }
    run_fetches(s);
    end_objects(s);
    for (size_t i = 0; i < s->n; i++) {
        wanted[i] = s->object_of[i] >= 0 && end_request(s, i);
        again |= wanted[i];
        store_block_release(s->fetches[i].block);
    }
    for (size_t i = 0; i < s->object_count; i++) {
        store_block_release(s->objects[i].whole.block);
        close(s->objects[i].fd);
    }
    return again;
}

void local_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    struct local_slice s;
    s.call = call;
    s.local = local_of(store);
    for (size_t start = 0; start < n; start += SLICE) {
        bool wanted[SLICE] = {false};
        s.reqs = reqs + start;
        s.n = n - start < SLICE ? n - start : SLICE;
        bool asked[SLICE];
        for (size_t i = 0; i < s.n; i++)
            asked[i] = wanted[i] = s.reqs[i].status == DP_OK;
        int tries = 1;
        while (read_slice(&s, wanted) && tries < TRIES)
            tries++;
        for (size_t i = 0; i < s.n; i++)
            if (wanted[i])
                s.reqs[i].status = dp_fail(&s.reqs[i].error, DP_STALE, "%.*s keeps changing while it is read",
                                           SPAN_FMT(s.reqs[i].key));
        int64_t date_ms = os_wall_ms();
        for (size_t i = 0; i < s.n; i++)
            if (asked[i])
                s.reqs[i].date_ms = date_ms;
    }
}

enum dp_status local_head(struct call *call, struct store *store, struct span key, struct store_info *out)
{
    struct local_store *local = local_of(store);
    for (int tries = 0; tries < TRIES; tries++) {
        int fd;
        struct stat before, after;
        int failed = local_open_object(local, key, &fd, &before);
        if (failed)
            return local_fail(local, failed, "read", key, &call->error);
        enum dp_status status = local_version(local, fd, &before, key, &out->version, &call->error);
        out->size = (uint64_t)before.st_size;
        bool same = fstat(fd, &after) == 0 && local_same_file(&before, &after);
        close(fd);
        if (same || (status != DP_OK && status != DP_STALE))
            return status;
    }
    *out = (struct store_info){0};
    return call_fail(call, DP_STALE, "%.*s keeps changing while it is read", SPAN_FMT(key));
}
