/* dipper/status.h: the answer of every function that can fail.
 *
 * Such a function returns `enum dp_status` (0 is success, negative otherwise) and fills the caller's
 * `struct dp_error` with one sentence that a user can act on. Since 0.1.
 */
#ifndef DIPPER_STATUS_H
#define DIPPER_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define DP_API __attribute__((visibility("default")))
#else
#define DP_API
#endif

/* Numbers never change; a later version may add more. */
enum dp_status {
    DP_OK = 0,
    DP_INVALID = -1,      /* the caller's input is wrong; the message says what to change */
    DP_NOT_FOUND = -2,    /* no such object, namespace, file or model */
    DP_EXISTS = -3,       /* a write "if absent" found an object */
    DP_CONFLICT = -4,     /* a write "if unchanged" found another version */
    DP_STALE = -5,        /* the object changed while it was being read */
    DP_CORRUPT = -6,      /* stored bytes fail a checksum or a bound */
    DP_UNSUPPORTED = -7,  /* well formed, but of a kind that this build does not read */
    DP_DENIED = -8,       /* the system or the store refused permission */
    DP_IO = -9,           /* the system or the network failed */
    DP_UNAVAILABLE = -10, /* the store or a peer does not answer; try again later */
    DP_OVERLOADED = -11,  /* a queue inside the library is full; try again later */
    DP_DEADLINE = -12,    /* the time limit of the call passed */
    DP_CANCELLED = -13,   /* the call was cancelled */
    DP_UNKNOWN = -14,     /* nobody can tell whether a write happened */
    DP_TOO_LARGE = -15,   /* a limit was exceeded; the message names it */
    DP_NOMEM = -16,       /* an allocation failed */
    DP_FULL = -17,        /* no space is left for the data */

    /* A write is visible, but the store could not make it durable: a crash of the host may undo it. Reading it back
     * proves nothing, because the bytes may come from memory. */
    DP_NOT_DURABLE = -18
};

/* Bytes of a message: enough for an object's name and the offending value. */
#define DP_ERROR_MESSAGE_MAX 512

/* This struct never grows. */
struct dp_error {
    enum dp_status status;
    char message[DP_ERROR_MESSAGE_MAX]; /* NUL-terminated UTF-8; empty on success */
};

/* A short lower-case name of a status ("not_found"); never NULL. Thread-safe. */
DP_API const char *dp_status_name(enum dp_status status);

#ifdef __cplusplus
}
#endif

#endif
