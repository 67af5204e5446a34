/* store/store.h: the contract of all object stores. A store holds named bytes behind a table of functions.
 *
 * Keys are UTF-8 names with '/' between parts, relative to the root of the store. No part is empty, "." or "..";
 * no character is a control character; a key has at most STORE_KEY_MAX bytes and a part STORE_PART_MAX; the first
 * part is not ".dipper". A local folder cannot hold both "a" and "a/b". Objects appear whole or not at all, and a
 * put that returned DP_OK is durable. Reads take a *batch* of ranges, because a query is a few rounds of parallel
 * reads.
 *
 * Every store passes tests/store/contract.c. All functions are thread-safe. A store lives until store_free, which
 * must come after the last call and the last store_bytes_release.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/span.h"
#include "os/call.h"
#include "store/trust.h"

enum { STORE_KEY_MAX = 1024, STORE_PART_MAX = 255, STORE_VERSION_MAX = 95 };

/* Identifies one content of an object; an opaque token. len 0: no version. */
struct store_version {
    uint8_t len;
    char token[STORE_VERSION_MAX];
};

bool store_version_equal(const struct store_version *a, const struct store_version *b);

/* Bytes that were read. They are shared and counted, and stay until the last release, whatever a cache does. */
struct store_block;
struct store_bytes {
    struct span span;
    struct store_block *block; /* NULL when empty */
};
struct store_bytes store_bytes_retain(struct store_bytes b);
void store_bytes_release(struct store_bytes *b); /* also empties it */

enum { STORE_TO_END = -1 }; /* as a length: up to the object's end */

/* One range of a read batch. */
struct store_read_req {
    /* in */
    struct span key;
    uint64_t offset;
    int64_t len; /* bytes, or STORE_TO_END */
    /* NULL, or the version to read. A cache may answer with this version's bytes after the object has changed. */
    const struct store_version *pinned;
    /* Without `pinned`: nobody ever overwrites the object, so a cache may keep its ranges, and answer with them. */
    bool immutable;
    bool if_changed; /* with `pinned`: return DP_OK and no bytes when unchanged */
    /* The range is one of many small ones that lie apart. A remote store merges it with its neighbour only if the gap
     * between them is small (RANGES_SPARSE_GAP, store/ranges.h). */
    bool sparse;
    bool clip; /* cut a range at the object's end; false: a range past the end is DP_INVALID */
    /* out */
    enum dp_status status; /* DP_OK, DP_NOT_FOUND, DP_STALE, DP_INVALID (range past the end), … */
    struct dp_error error;
    struct store_bytes bytes; /* exactly the range, or its clipped part; the caller releases it */
    uint64_t size;            /* bytes of the whole object; if `unchanged`, 0 unless the store reports them */
    struct store_version version;
    bool unchanged; /* if_changed only: the pinned version is current */
    /* DP_DENIED only: the store may have refused the read because the object is missing. S3 gives this refusal to
     * a client without the right to list. Any other DP_DENIED says nothing about the object. */
    bool maybe_missing;
    /* The store's clock when it answered (Unix milliseconds; an HTTP store gives whole seconds). 0: unknown, for
     * example because a cache answered or no answer came. */
    int64_t date_ms;
};

enum store_condition { STORE_ANY, STORE_IF_ABSENT, STORE_IF_VERSION };

/* The size in bytes and the version of an object. */
struct store_info {
    uint64_t size;
    struct store_version version;
};

/* One put: the object, its condition, and the version that it gets. */
struct store_put {
    struct span key;
    struct span body;
    enum store_condition condition;
    const struct store_version *expected; /* for STORE_IF_VERSION: the version that the object must have */
    struct store_version version;         /* out: the version of the new object */
    int64_t date_ms;                      /* out: as in struct store_read_req, also when the condition failed */
};

/* An object or a folder in a listing. */
struct store_entry {
    struct span key; /* in the call's arena */
    uint64_t size;   /* 0 for a common prefix */
    bool is_prefix;  /* a folder: the key ends in '/' and stands for all keys below it */
};

/* The answer to store_list. */
struct store_listing {
    struct store_entry *entries; /* ascending by key, in the call's arena */
    size_t count;
    bool truncated; /* more keys follow: list again after the last one */
};

/* A large object that the caller writes in parts. The object appears when the upload finishes. */
struct store_upload;

struct store;
struct metric_registry;

/* The costs that a store itself adds to the call. The front (store.c) adds the others. */
enum store_counting {
    STORE_COUNTS_NOTHING,  /* the front counts each operation as one round and one request */
    STORE_COUNTS_REQUESTS, /* the store counts the requests that it sends and the bytes that it reads */
    STORE_COUNTS_ALL       /* it also counts the rounds of its reads: a cached read needs no round */
};

/* The functions of one kind of store. The functions below call them. */
struct store_ops {
    const char *scheme;
    enum store_counting counting;
    void (*read)(struct call *, struct store *, struct store_read_req *, size_t n);
    enum dp_status (*head)(struct call *, struct store *, struct span key, struct store_info *out);
    enum dp_status (*put)(struct call *, struct store *, struct store_put *put);
    enum dp_status (*list)(struct call *, struct store *, struct span prefix, struct span after, bool folders,
                           size_t max, struct store_listing *out);
    enum dp_status (*remove)(struct call *, struct store *, struct span key);
    enum dp_status (*upload_begin)(struct call *, struct store *, struct span key, struct store_upload **out);
    enum dp_status (*upload_write)(struct call *, struct store_upload *, struct span bytes);
    enum dp_status (*upload_finish)(struct call *, struct store_upload *, struct store_version *version);
    void (*upload_abort)(struct store_upload *); /* frees the upload; the object does not appear */
    void (*free)(struct store *);
    /* Returns whether a read that pins `version` would succeed now. A cache asks it before it answers ranges from
     * memory. NULL: a cache answers without asking, because asking costs as much as reading. */
    bool (*is_current)(struct store *, struct span key, const struct store_version *version);
    /* As store_settle(). NULL: everything that a read returns is durable. */
    enum dp_status (*settle)(struct call *, struct store *, struct span key);
    /* Adds the metrics that only this kind of store has; store.c adds those of all kinds. NULL: there are none. */
    enum dp_status (*add_metrics)(struct store *, struct metric_registry *, struct dp_error *);
};

/* An open store. Each implementation embeds it as its first field, zeroed except `ops`. */
struct store {
    const struct store_ops *ops;
    struct store_metrics *metrics; /* store/store_metrics.h; owned; NULL: the front counts nothing */
};

struct transport; /* store/transport.h */

enum { STORE_NEVER = -1 }; /* for merge_gap and split_at */

/* The settings of one scheme: "s3" takes a struct s3_settings (store/s3_settings.h), "gs" a struct gcs_settings
 * (store/gcs_settings.h). */
struct store_settings {
    const char *scheme;
    const void *values;
};
enum { STORE_SETTINGS_MAX = 4 };

/* Settings of a store to open. "Remote" marks those for stores that send requests. */
struct store_options {
    /* For store_open_object: the local folder (an absolute path) that the object must lie below, without symbolic
     * links on the way; DP_DENIED otherwise. NULL: any folder. */
    const char *below;
    bool create;                 /* make a local folder that does not exist */
    struct trust_settings trust; /* for https; requests over `transport` follow the trust of that transport */
    struct transport *transport; /* for remote stores, each of which becomes an owner; NULL: each opens one */
    /* Remote: two ranges of a batch become one request if the gap between them has at most this many bytes. 0: 64
     * KiB; STORE_NEVER: ranges do not merge. */
    int64_t merge_gap;
    /* Remote: a range longer than this many bytes becomes several requests. 0: 8 MiB; STORE_NEVER: no range
     * does. */
    int64_t split_at;
    struct store_settings settings[STORE_SETTINGS_MAX]; /* the first one without a scheme ends the array */
    uint64_t cache_bytes;      /* remote: bytes of a memory cache (store/store_cache.h); 0: no cache */
    struct store_cache *cache; /* remote: a shared cache; each store becomes an owner; replaces cache_bytes */
    bool cache_local;          /* the cache serves a local folder too */
};

/* Opens a root: a path, file:///path, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix,
 * http(s)://host/folder (read only) or mem://name.
 * DP_UNSUPPORTED for another scheme; the message lists these. */
enum dp_status store_open_with(struct call *call, struct span url, const struct store_options *options,
                               struct store **out);
/* Opens a root with no other option than `create`. */
enum dp_status store_open(struct call *call, struct span url, bool create, struct store **out);
/* Opens the store of one object for reading, and sets the object's key (in the call's arena). An http(s) URL,
 * presigned or not, is requested byte for byte. */
enum dp_status store_open_object(struct call *call, struct span url, const struct store_options *options,
                                 struct store **out, struct span *key);
void store_free(struct store *store);
/* Sets *path, in the call's arena, to the local path of the object that a path or file:///path names, and to NULL
 * for URLs of other stores. */
enum dp_status store_url_path(struct call *call, struct span url, const char **path);

/* Reads n ranges in parallel. Returns DP_OK when every request is DP_OK, else the first failure's status with its
 * error in the call. Counts one round, the requests (n; for a remote store those that it sends after merging and
 * splitting, with retries) and the bytes. A range that comes from a cache costs nothing. */
enum dp_status store_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n);
/* Releases the bytes of n requests. */
void store_read_release(struct store_read_req *reqs, size_t n);
/* Returns whether this answer may mean that the object is missing, for a client with or without the right to list.
 * Use it only if the client has just read another object beside this one: otherwise the client may have no right
 * to read either of them. */
static inline bool store_read_missing(const struct store_read_req *req)
{
    return req->status == DP_NOT_FOUND || (req->status == DP_DENIED && req->maybe_missing);
}
enum dp_status store_head(struct call *call, struct store *store, struct span key, struct store_info *out);
/* Puts an object. DP_EXISTS or DP_CONFLICT when the condition does not hold; DP_UNKNOWN when the store may have
 * carried out an earlier try; DP_NOT_DURABLE when the object is visible but may not survive a crash of the host,
 * which no read shows. */
enum dp_status store_put(struct call *call, struct store *store, struct store_put *put);
/* Lists at most `max` keys that begin with `prefix` and sort after `after`. With `folders`, all keys below the
 * next '/' become one entry. */
enum dp_status store_list(struct call *call, struct store *store, struct span prefix, struct span after,
                          bool folders, size_t max, struct store_listing *out);
/* Removes an object; DP_OK if it is missing. After an unclear answer the store sends the removal again, so the
 * first one may be carried out late. So remove only names that are never used again (never manifest.json).
 * DP_UNKNOWN: the object is removed now, or later, or not. DP_NOT_DURABLE: it is gone, but a crash of the host may
 * bring it back. */
enum dp_status store_remove(struct call *call, struct store *store, struct span key);
/* Makes durable what a read of the key returns now: after DP_OK no crash of the host brings back what was there
 * before. Call it before you remove things that the object no longer names. A put may be visible but not durable,
 * because its writer was killed or could not sync the folder. Remote stores do nothing. DP_NOT_DURABLE: the folder
 * cannot be synced. */
enum dp_status store_settle(struct call *call, struct store *store, struct span key);
enum dp_status store_upload_begin(struct call *call, struct store *store, struct span key,
                                  struct store_upload **out);
/* Appends bytes to the object. After a failure the caller must still abort the upload. */
enum dp_status store_upload_write(struct call *call, struct store_upload *upload, struct span bytes);
/* Makes the object appear, and sets its version. Frees the upload, also on failure. */
enum dp_status store_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version);
void store_upload_abort(struct store_upload *upload); /* NULL is fine */

#endif
