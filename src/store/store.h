/* store/store.h: the object store contract. A store is a vtable over named immutable bytes.
 *
 * Keys are UTF-8 names with '/' between parts, relative to the root the store was opened at; no empty,
 * "." or ".." part, no control character, at most STORE_KEY_MAX bytes and STORE_PART_MAX in a part; the first
 * part is not ".dipper". A local folder cannot hold both "a" and "a/b". Objects appear whole or not at all, and
 * a put that returned DP_OK is durable. Reads take a *batch* of ranges, because a query is rounds of parallel
 * reads.
 *
 * Every store passes tests/store/contract.c. All functions are thread-safe; a store lives until
 * store_free, which must come after the last call and the last store_bytes_release.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/span.h"
#include "os/call.h"
#include "store/trust.h"

enum { STORE_KEY_MAX = 1024, STORE_PART_MAX = 255, STORE_VERSION_MAX = 95 };

/* What tells one content of an object from another: an opaque token. len 0: none. */
struct store_version {
    uint8_t len;
    char token[STORE_VERSION_MAX];
};

bool store_version_equal(const struct store_version *a, const struct store_version *b);

/* Bytes that were read, shared and counted: they stay until the last release, whatever a cache does. */
struct store_block;
struct store_bytes {
    struct span span;
    struct store_block *block; /* NULL when empty */
};
struct store_bytes store_bytes_retain(struct store_bytes b);
void store_bytes_release(struct store_bytes *b); /* and empties it */

enum { STORE_TO_END = -1 }; /* as a length: up to the object's end */

struct store_read_req {
    /* in */
    struct span key;
    uint64_t offset;
    int64_t len; /* bytes, or STORE_TO_END */
    const struct store_version
        *pinned;     /* NULL, or the version that must still be there (or be in a cache: its bytes
                                         * are right, and newer ones may be there) */
    bool if_changed; /* with `pinned`: answer DP_OK and no bytes when unchanged */
    bool clip;       /* a range that runs past the object's end ends there; otherwise that is DP_INVALID */
    /* out */
    enum dp_status status; /* DP_OK, DP_NOT_FOUND, DP_STALE, DP_INVALID (range past the end), … */
    struct dp_error error;
    struct store_bytes bytes; /* exactly the range, less what is clipped; the caller releases it */
    uint64_t size;            /* of the whole object; of an unchanged one only if the store tells */
    struct store_version version;
    bool unchanged; /* if_changed only: the pinned version is current */
};

enum store_condition { STORE_ANY, STORE_IF_ABSENT, STORE_IF_VERSION };

struct store_info {
    uint64_t size;
    struct store_version version;
};

struct store_put {
    struct span key;
    struct span body;
    enum store_condition condition;
    const struct store_version *expected; /* STORE_IF_VERSION */
    struct store_version version;         /* out: of the new object */
};

struct store_entry {
    struct span key; /* in the call's arena */
    uint64_t size;   /* 0 for a common prefix */
    bool is_prefix;  /* key ends in '/': names below it were folded by the delimiter */
};

struct store_listing {
    struct store_entry *entries; /* ascending by key, in the call's arena */
    size_t count;
    bool truncated; /* more follow: list again after the last key */
};

/* A large object written in parts; it appears at finish. */
struct store_upload;

struct store;
struct metric_registry;

/* What a store adds to the call's costs itself. The front (store.c) adds the rest. */
enum store_counting {
    STORE_COUNTS_NOTHING,  /* the front counts each operation as one round and one request */
    STORE_COUNTS_REQUESTS, /* the requests that it sends and the bytes that it reads */
    STORE_COUNTS_ALL       /* the requests, the bytes, and the rounds of its reads: a cached read needs none */
};

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
    void (*upload_abort)(struct store_upload *); /* frees it; the object does not appear */
    void (*free)(struct store *);
    /* Adds what it knows of itself, besides what is counted of every store; NULL: nothing. */
    enum dp_status (*add_metrics)(struct store *, struct metric_registry *, struct dp_error *);
};

/* Implementations embed this first, zeroed but for `ops`. */
struct store {
    const struct store_ops *ops;
    struct store_metrics *metrics; /* store/store_metrics.h; owned; NULL: nobody asked */
};

struct transport; /* store/transport.h */

enum { STORE_NEVER = -1 }; /* for merge_gap and split_at */

/* The settings of one scheme: "s3" takes a struct s3_settings (store/s3_settings.h). */
struct store_settings {
    const char *scheme;
    const void *values;
};
enum { STORE_SETTINGS_MAX = 4 };

struct store_options {
    /* Of store_open_object: the local folder (an absolute path) that the object must lie below, with no symbolic link on
     * the way from there; DP_DENIED otherwise. NULL: anywhere. */
    const char *below;
    bool create;                 /* a local folder is made where there is none */
    struct trust_settings trust; /* of remote stores over https; those of `transport` where that is given */
    struct transport *transport; /* of remote stores, which keep it too; NULL: each opens its own */
    int64_t merge_gap;           /* remote: ranges of a batch at most this many bytes apart become one request;
                                  * 0: 64 KiB, STORE_NEVER: none do */
    int64_t split_at;            /* remote: longer ranges become several; 0: 8 MiB, STORE_NEVER: none do */
    struct store_settings settings[STORE_SETTINGS_MAX]; /* the first without a scheme ends them */
    uint64_t
        cache_bytes; /* remote: keep so many bytes of what was read in memory (store/store_cache.h); 0: none */
    struct store_cache
        *cache; /* remote, in place of cache_bytes: a cache that stores share, which they keep too */
};

/* Opens a root: a path, file:///path, mem://name, or http(s)://host/folder (read only). Unknown schemes: DP_UNSUPPORTED naming the ones this build
 * has. */
enum dp_status store_open_with(struct call *call, struct span url, const struct store_options *options,
                               struct store **out);
/* The same with nothing but `create`. */
enum dp_status store_open(struct call *call, struct span url, bool create, struct store **out);
/* Opens the store that the URL's object lies in, to be read, and says its key there (in the call's arena). An
 * http(s) URL, presigned ones too, is asked for as it stands. */
enum dp_status store_open_object(struct call *call, struct span url, const struct store_options *options,
                                 struct store **out, struct span *key);
void store_free(struct store *store);
/* Where the object of a URL lies on this host, in the call's arena: for a path and file:///path. *path is NULL for
 * the URLs of other stores. */
enum dp_status store_url_path(struct call *call, struct span url, const char **path);

/* Issues all at once and returns when all have ended. The answer is DP_OK when every request is DP_OK, else
 * the first failure's status with its error in the call. Counts one round, the requests (n; of a remote store those that were
 * sent, after merging, splitting and retries) and the bytes; of ranges that a cache had, none of these. */
enum dp_status store_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n);
/* Releases the bytes of n requests. */
void store_read_release(struct store_read_req *reqs, size_t n);
enum dp_status store_head(struct call *call, struct store *store, struct span key, struct store_info *out);
/* DP_EXISTS / DP_CONFLICT when the condition does not hold; DP_UNKNOWN when an earlier try may have landed;
 * DP_NOT_DURABLE when the object is visible but may not survive a crash of the host, which no read can tell. */
enum dp_status store_put(struct call *call, struct store *store, struct store_put *put);
/* Keys that begin with `prefix` and sort after `after`. With `folders`, what lies below the next '/' folds
 * into one entry. */
enum dp_status store_list(struct call *call, struct store *store, struct span prefix, struct span after,
                          bool folders, size_t max, struct store_listing *out);
/* Removing what is not there is DP_OK. A removal whose answer was lost is sent again, and the first one may be carried out
 * late: only names that are never used again may be removed (so never manifest.json). DP_UNKNOWN: it may be removed, now
 * or later. DP_NOT_DURABLE: it is gone, but a crash of the host may bring it back. */
enum dp_status store_remove(struct call *call, struct store *store, struct span key);
enum dp_status store_upload_begin(struct call *call, struct store *store, struct span key,
                                  struct store_upload **out);
/* On failure the upload must still be aborted. */
enum dp_status store_upload_write(struct call *call, struct store_upload *upload, struct span bytes);
/* Frees the upload, whatever it answers. */
enum dp_status store_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version);
void store_upload_abort(struct store_upload *upload); /* NULL is fine */

#endif
