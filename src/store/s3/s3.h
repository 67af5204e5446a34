/* s3.h: the parts that the files of the S3 store (store/s3/) share; private to this room.
 *
 * A root is s3://bucket or s3://bucket/prefix; an object's name in the bucket is the prefix, '/' and its key.
 * Only the atomics below change after the store is open, so any thread may use it.
 */
#ifndef STORE_S3_H
#define STORE_S3_H

#include "base/arena.h"
#include "store/http/fetch.h"
#include "store/implement.h"
#include "store/s3/credentials.h"
#include "store/s3/sigv4.h"

enum {
    S3_KEY_MAX = 1024,       /* bytes of a name in a bucket */
    S3_PART_BYTES = 8 << 20, /* bytes of a part of an upload; S3 demands at least 5 MiB */
    S3_PARTS_MAX = 10000,
    S3_PARAMETERS_MAX = 8,
    S3_URL_MAX = 8 << 10,
    S3_ANSWER_MAX = 4 << 20 /* bytes of a listing or another answer in XML */
};

struct s3_store {
    struct store base;
    struct http_source source; /* for reads */
    struct range_limits limits;
    struct credentials *credentials;
    struct trust *trust;              /* certificates; NULL: the transport's choice */
    _Atomic int conditions;           /* enum store_conditions */
    _Atomic bool has_bucket;          /* an answer showed that the bucket exists */
    _Atomic bool loses_names;         /* listings that start behind a name may miss names: see s3/list.c */
    _Atomic(struct s3_place *) moved; /* where the bucket turned out to be; NULL: where the settings say */
    /* Texts live in the arena. */
    struct arena arena;
    struct span bucket, prefix; /* the prefix is empty or ends in '/' */
    /* Of the settings; s3_region and s3_origin tell the present ones. */
    struct span region;
    bool at_amazon;        /* the endpoint is Amazon's for the region */
    struct span origin;    /* "https://bucket.s3.eu-west-1.amazonaws.com" */
    struct span base_path; /* before names: "/", or "/bucket/" */
    const char *root;      /* "s3://bucket/prefix", for messages */
    const char *endpoint;  /* for messages: "https://s3.eu-west-1.amazonaws.com" */
};

static inline struct s3_store *s3_of(struct store *store)
{
    return (struct s3_store *)store;
}

/* Opens a bucket, or the part of it below a prefix: `name` is "bucket" or "bucket/prefix". `settings`: NULL is
 * fine. */
enum dp_status store_s3_open(struct call *call, struct span name, const struct store_options *options,
                             const struct s3_settings *settings, struct store **out);

/* ---- where the bucket is (s3/place.c) --------------------------------------------------------------- */

struct span s3_region(const struct s3_store *s3);
struct span s3_origin(const struct s3_store *s3);
/* Takes the region in which an answer says that the bucket is. At Amazon, later requests go there; elsewhere only their
 * signatures change. Returns whether that is news: then the request may be sent again. */
bool s3_move(struct s3_store *s3, struct span region);
void s3_free_places(struct s3_store *s3);

/* ---- requests (s3/request.c) ------------------------------------------------------------------------ */

/* The data that sign a request: `ctx` of the transport's request. Lives in the call's arena. */
struct s3_request {
    struct s3_store *s3;
    struct span key;  /* name of the object below the root; empty: the bucket itself */
    struct span path; /* of the URL, not escaped */
    struct sigv4_pair query[S3_PARAMETERS_MAX];
    size_t query_count;
    char payload_hash[SIGV4_SIGNATURE_LEN + 1];
    bool error_in_body; /* a 200 may hold an error: look for one */
    bool keys_expire;
    uint64_t keys; /* serial number of the credentials that signed the last try */
};

/* Makes `req` a request for the object `key` (empty: the bucket itself) with these query parameters; each try
 * signs it. The caller sets the body before this call, and the method and other options before or after it. */
enum dp_status s3_request(struct call *call, struct s3_store *s3, struct span key, const struct sigv4_pair *query,
                          size_t query_count, struct transport_request *req);
/* Prepares a read: the `aim` function of struct http_source. */
enum dp_status s3_aim(struct http_source *source, struct call *call, struct span key,
                      struct transport_request *req);
/* Sends one request. DP_OK: an answer came, whatever its code. */
enum dp_status s3_send(struct call *call, struct s3_store *s3, struct transport_request *req);

/* ---- errors (s3/error.c) ---------------------------------------------------------------------------- */

/* Explains an answer that is not a success. */
enum dp_status s3_explain(struct http_source *source, struct call *call, const struct transport_request *req,
                          struct dp_error *error);
/* Returns whether a refusal may be the answer for a missing object: a 403 with the code AccessDenied. */
bool s3_hides_missing(struct call *call, const struct transport_request *req);
/* Judges whether an answer is final, and learns from it about the store. */
enum http_verdict s3_inspect(struct call *call, struct transport_request *req);

/* ---- the rest of the contract ------------------------------------------------------------------------- */

/* Asks once whether the store keeps the conditions of puts. DP_UNSUPPORTED if it does not: then the caller must not
 * write to it. */
enum dp_status s3_conditions(struct call *call, struct s3_store *s3);

enum dp_status s3_put(struct call *call, struct store *store, struct store_put *put);
enum dp_status s3_remove(struct call *call, struct store *store, struct span key);
enum dp_status s3_list(struct call *call, struct store *store, struct span prefix, struct span after, bool folders,
                       size_t max, struct store_listing *out);
enum dp_status s3_upload_begin(struct call *call, struct store *store, struct span key, struct store_upload **out);
enum dp_status s3_upload_finish(struct call *call, struct store_upload *upload, struct store_version *version);
void s3_upload_abort(struct store_upload *upload);

#endif
