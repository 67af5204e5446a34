/* gcs.h: the parts that the files of the Google Cloud Storage store (store/gcs/) share; private to this room.
 *
 * A root is gs://bucket or gs://bucket/prefix; an object's name in the bucket is the prefix, '/' and its key. Requests
 * speak the JSON API (version 1). An object's version is its generation. Only the atomics below change after the
 * store is open, so any thread may use it.
 */
#ifndef STORE_GCS_H
#define STORE_GCS_H

#include "base/arena.h"
#include "store/bucket_root.h"
#include "store/conditions.h"
#include "store/gcs/credentials.h"
#include "store/http/fetch.h"
#include "store/implement.h"

enum {
    GCS_NAME_MAX = 1024,       /* bytes of a name in a bucket */
    GCS_CHUNK_BYTES = 8 << 20, /* bytes of a part of an upload: a multiple of 256 KiB */
    GCS_URL_MAX = 16 << 10,
    GCS_ANSWER_MAX = 4 << 20 /* bytes of a listing or another answer in JSON */
};

struct gcs_store {
    struct store base;
    struct http_source source; /* for reads */
    struct range_limits limits;
    struct gcs_credentials *credentials;
    bool vouched;           /* the endpoint is Google's own, which keeps conditions */
    _Atomic int conditions; /* of another endpoint: enum store_conditions */
    /* Texts live in the arena. */
    struct arena arena;
    struct bucket_root root;
    struct span origin;       /* "https://storage.googleapis.com", for URLs and messages */
    struct span user_project; /* empty: none */
};

static inline struct gcs_store *gcs_of(struct store *store)
{
    return (struct gcs_store *)store;
}

/* Opens a bucket, or the part of it below a prefix: `name` is "bucket" or "bucket/prefix". `settings`: NULL is
 * fine. */
enum dp_status store_gcs_open(struct call *call, struct span name, const struct store_options *options,
                              const struct gcs_settings *settings, struct store **out);

/* ---- requests (gcs/request.c) ----------------------------------------------------------------------- */

/* What a request's URL names. */
enum gcs_place {
    GCS_OBJECT, /* /storage/v1/b/BUCKET/o/NAME */
    GCS_BUCKET, /* /storage/v1/b/BUCKET/o: its objects */
    GCS_UPLOAD  /* /upload/storage/v1/b/BUCKET/o?name=NAME */
};

struct gcs_parameter {
    const char *name;
    struct span value;
};

/* The data that authorize a request: `ctx` of the transport's request. Lives in the call's arena. */
struct gcs_request {
    struct gcs_store *gcs;
    enum gcs_place place;
    struct span key; /* name of the object below the root; empty: the bucket itself */
    bool has_token;  /* the last try had one */
    uint64_t serial; /* of that token */
};

/* Makes `req` a request for the object `key`, or for the bucket's objects, with these query parameters. */
enum dp_status gcs_request(struct call *call, struct gcs_store *gcs, enum gcs_place place, struct span key,
                           const struct gcs_parameter *query, size_t count, struct transport_request *req);
/* Makes `req` a request to the path and query of a URL that the store gave for an upload of `key`. It goes to the
 * store's own origin, whatever host the URL names. */
enum dp_status gcs_request_session(struct call *call, struct gcs_store *gcs, struct span key, struct span url,
                                   struct transport_request *req);
/* Prepares a read: the `aim` function of struct http_source. */
enum dp_status gcs_aim(struct http_source *source, struct call *call, struct span key,
                       struct transport_request *req);
enum dp_status gcs_pin(struct call *call, const struct store_version *version, bool if_changed,
                       struct transport_request *req);
bool gcs_version_of_answer(const struct transport_request *req, struct store_version *out);
/* Sends one request. DP_OK: an answer came, whatever its code. */
enum dp_status gcs_send(struct call *call, struct gcs_store *gcs, struct transport_request *req);
/* Returns the generation that a version holds; .len is 0 if it holds none. */
struct span gcs_generation(const struct store_version *version);
/* Makes a version from a generation, a number in decimal digits. Returns false for other texts. */
bool gcs_version(struct span generation, struct store_version *out);

/* ---- errors (gcs/error.c) --------------------------------------------------------------------------- */

enum dp_status gcs_explain(struct http_source *source, struct call *call, const struct transport_request *req,
                           struct dp_error *error);
bool gcs_hides_missing(struct call *call, const struct transport_request *req);
/* Judges whether an answer is final. */
enum http_verdict gcs_inspect(struct call *call, struct transport_request *req);
/* Returns whether an answer says that the bucket does not exist. */
bool gcs_lacks_bucket(struct call *call, const struct transport_request *req);

/* ---- the rest of the contract ------------------------------------------------------------------------- */

/* Finds out once whether the endpoint keeps conditions, unless it is Google's own. */
enum dp_status gcs_probe(struct call *call, struct gcs_store *gcs);

enum dp_status gcs_put(struct call *call, struct store *store, struct store_put *put);
enum dp_status gcs_remove(struct call *call, struct store *store, struct span key);
enum dp_status gcs_list(struct call *call, struct store *store, struct span prefix, struct span after,
                        bool folders, size_t max, struct store_listing *out);
enum dp_status gcs_upload_begin(struct call *call, struct store *store, struct span key,
                                struct store_upload **out);
enum dp_status gcs_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version);
void gcs_upload_abort(struct store_upload *upload);

#endif
