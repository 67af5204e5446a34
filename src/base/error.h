/* base/error.h: filling a `struct dp_error`; see include/dipper/status.h for the statuses. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>

#include <dipper/status.h>

/* Records `status` and a printf-style sentence in `error` (may be NULL) and returns `status`, so that a
 * failing function ends with `return dp_fail(error, DP_CORRUPT, "…")`. Long messages are cut. */
enum dp_status dp_fail(struct dp_error *error, enum dp_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum dp_status dp_vfail(struct dp_error *error, enum dp_status status, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
/* Changes the status and keeps the sentence; returns `status`. `error` may be NULL. */
enum dp_status dp_restatus(struct dp_error *error, enum dp_status status);

/* Records DP_NOMEM for a failed allocation, with a sentence that names `what`. */
enum dp_status dp_fail_nomem(struct dp_error *error, const char *what);

/* Records the errno of a system call on `path`: ENOENT → DP_NOT_FOUND, EACCES/EPERM/EROFS → DP_DENIED, ENOSPC/EDQUOT
 * → DP_FULL, ENOMEM → DP_NOMEM, others → DP_IO. */
enum dp_status dp_fail_errno(struct dp_error *error, int errno_value, const char *doing, const char *path);

/* Puts the printf-style text and ": " before the message in `error` (may be NULL). */
void dp_error_prefix(struct dp_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Clears `error` to success. */
void dp_error_clear(struct dp_error *error);

#endif
