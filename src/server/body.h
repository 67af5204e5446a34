/* server/body.h: the body of one request, from the pieces of the transport to one span for the handler.
 *
 * Received bytes wait as they came in `received`. On a route that takes large bodies, request_body_store
 * decompresses them into a spill (os/spill.h), and may block. A spill of more than BODY_MEMORY_MAX bytes is a
 * temporary file without a name. Other bodies are decompressed in memory, as soon as they are whole. Everything
 * that a body keeps counts against the quotas of the server.
 *
 * One owner thread at a time.
 */
#ifndef SERVER_BODY_H
#define SERVER_BODY_H

#include "os/call.h"
#include "os/spill.h"
#include "server/decode.h"

enum {
    BODY_RECEIVED_MAX = 1 << 20, /* received bytes of a large body that wait in memory */
    BODY_MEMORY_MAX = 8 << 20,   /* decompressed bytes of a large body that stay in memory */
};

/* Bytes that all requests share. Any thread may take and give. */
struct byte_quota {
    _Atomic size_t held;
    size_t max;
};

/* Returns false, and takes nothing, if `held` would exceed `max`. */
bool byte_quota_take(struct byte_quota *quota, size_t bytes);
void byte_quota_give(struct byte_quota *quota, size_t bytes);

struct request_body {
    struct byte_quota *memory, *disk; /* of the server */
    enum body_encoding encoding;
    size_t max; /* maximum bytes, received as well as decompressed */
    bool large;
    bool waits; /* the bytes so far are few and not counted: nobody has judged the request's key */
    struct buffer received;
    struct decoder *decoder;
    size_t window;       /* bytes of the decoder that are counted in memory_held */
    struct spill stored; /* decompressed bytes; only while has_stored */
    bool has_stored;
    size_t memory_held, disk_held; /* bytes that this body took from the quotas */
};

void request_body_init(struct request_body *b, struct byte_quota *memory, struct byte_quota *disk);
void request_body_deinit(struct request_body *b);
/* Begins the body of another request. `large`: the route takes large bodies. */
void request_body_begin(struct request_body *b, enum body_encoding encoding, size_t max, bool large);
/* Frees the body's memory and file, and gives back their bytes. Keeps the memory of a small one, at most
 * `kept_max` bytes. */
void request_body_clear(struct request_body *b, size_t kept_max);

/* Keeps a piece. DP_OVERLOADED: other bodies use up the memory; DP_NOMEM. */
enum dp_status request_body_keep(struct request_body *b, struct span piece, struct dp_error *error);
/* Counts the bytes that came while b->waits, and from now on all later bytes. DP_OVERLOADED. */
enum dp_status request_body_count(struct request_body *b, struct dp_error *error);
/* Returns true if request_body_store should move the received bytes before the next piece. */
bool request_body_is_full(const struct request_body *b);
/* Moves the received bytes. May block. DP_INVALID: they are not of the encoding; DP_TOO_LARGE: they are more than
 * b->max; DP_OVERLOADED: other bodies use up memory or disk; DP_FULL: the disk is full; DP_UNAVAILABLE: no
 * temporary file; or call_check's failure. */
enum dp_status request_body_store(struct call *call, struct request_body *b);
/* Gives the whole decompressed body; the span is valid until request_body_clear. May block, and fails as
 * request_body_store. */
enum dp_status request_body_finish(struct call *call, struct request_body *b, struct span *out);

#endif
