/* dipper/status.h: what every function of the library answers when it can fail.
 *
 * A function returns `enum dp_status` (0 is success, negative otherwise) and fills a caller's
 * `struct dp_error` with one sentence that a user can act on. Stable since 0.1.
 */
#ifndef DIPPER_STATUS_H
#define DIPPER_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

enum dp_status {
    DP_OK = 0,
    DP_INVALID = -1,      /* the caller's input is wrong; the message says what to change */
    DP_NOT_FOUND = -2,    /* no such object, namespace, file or model */
    DP_EXISTS = -3,       /* a put "if absent" met an object that is there */
    DP_CONFLICT = -4,     /* a put "if version" met another version */
    DP_STALE = -5,        /* a pinned object changed while it was read */
    DP_CORRUPT = -6,      /* stored bytes fail a checksum or a bound */
    DP_UNSUPPORTED = -7,  /* well formed, but of a kind this build does not read */
    DP_DENIED = -8,       /* permission refused by the system or the store */
    DP_IO = -9,           /* the system or the network failed */
    DP_UNAVAILABLE = -10, /* try again later: the store or a peer does not answer */
    DP_OVERLOADED = -11,  /* a queue of ours is full; try again later */
    DP_DEADLINE = -12,    /* the call's deadline passed */
    DP_CANCELLED = -13,   /* the call was cancelled */
    DP_UNKNOWN = -14,     /* a write whose outcome cannot be told */
    DP_TOO_LARGE = -15,   /* a limit was exceeded; the message names it */
    DP_NOMEM = -16,       /* an allocation failed */
    DP_FULL = -17,        /* no space left where data must be written */

    /* A write is visible, but the store could not make it durable: a crash of the host may undo it. Reading it back
     * proves nothing, for the bytes may come from memory alone. */
    DP_NOT_DURABLE = -18
};

/* Room for a sentence with an object's name and the offending value in it. */
#define DP_ERROR_MESSAGE_MAX 512

struct dp_error {
    enum dp_status status;
    char message[DP_ERROR_MESSAGE_MAX]; /* NUL-terminated UTF-8; empty on success */
};

/* A short lower-case name of a status ("not_found"); never NULL. Thread-safe. */
const char *dp_status_name(enum dp_status status);

#ifdef __cplusplus
}
#endif

#endif
