/* error.c: fills the caller's `struct dp_error`.
 *
 * A message is formatted into a buffer first, so it may quote the message that it replaces. A long message is cut
 * at a whole UTF-8 character.
 */
#include "base/error.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Removes the last UTF-8 character of `text` if some of its bytes did not fit into the array. */
static void trim_cut_character(char *text, size_t len)
{
    size_t start = len;
    while (start > 0 && len - start < 4 && ((uint8_t)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    uint8_t lead = (uint8_t)text[start - 1];
    size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (len - (start - 1) < need)
        text[start - 1] = '\0';
}

enum dp_status dp_vfail(struct dp_error *error, enum dp_status status, const char *format, va_list args)
{
    if (!error)
        return status;
    char message[DP_ERROR_MESSAGE_MAX];
    int written = vsnprintf(message, sizeof message, format, args);
    if (written < 0)
        message[0] = '\0';
    else if ((size_t)written >= sizeof message)
        trim_cut_character(message, sizeof message - 1);
    error->status = status;
    memcpy(error->message, message, sizeof message);
    return status;
}

enum dp_status dp_fail(struct dp_error *error, enum dp_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    dp_vfail(error, status, format, args);
    va_end(args);
    return status;
}

enum dp_status dp_restatus(struct dp_error *error, enum dp_status status)
{
    if (error)
        error->status = status;
    return status;
}

enum dp_status dp_fail_nomem(struct dp_error *error, const char *what)
{
    return dp_fail(error, DP_NOMEM, "out of memory for %s", what);
}

enum dp_status dp_fail_errno(struct dp_error *error, int errno_value, const char *doing, const char *path)
{
    enum dp_status status = DP_IO;
    switch (errno_value) {
    case ENOENT: status = DP_NOT_FOUND; break;
    case EACCES:
    case EPERM:
    case EROFS: status = DP_DENIED; break;
    case ENOSPC:
    case EDQUOT: status = DP_FULL; break;
    case ENOMEM: status = DP_NOMEM; break;
    default: break;
    }
    char reason[128];
    return dp_fail(error, status, "cannot %s %s: %s", doing, path, strerror_r(errno_value, reason, sizeof reason));
}

void dp_error_prefix(struct dp_error *error, const char *format, ...)
{
    if (!error)
        return;
    char prefix[DP_ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    if (written >= 0)
        dp_fail(error, error->status, "%s: %s", prefix, error->message);
}

void dp_error_clear(struct dp_error *error)
{
    if (!error)
        return;
    error->status = DP_OK;
    error->message[0] = '\0';
}

__attribute__((visibility("default"))) const char *dp_status_name(enum dp_status status)
{
    switch (status) {
    case DP_OK: return "ok";
    case DP_INVALID: return "invalid";
    case DP_NOT_FOUND: return "not_found";
    case DP_EXISTS: return "exists";
    case DP_CONFLICT: return "conflict";
    case DP_STALE: return "stale";
    case DP_CORRUPT: return "corrupt";
    case DP_UNSUPPORTED: return "unsupported";
    case DP_DENIED: return "denied";
    case DP_IO: return "io";
    case DP_UNAVAILABLE: return "unavailable";
    case DP_OVERLOADED: return "overloaded";
    case DP_DEADLINE: return "deadline";
    case DP_CANCELLED: return "cancelled";
    case DP_UNKNOWN: return "unknown";
    case DP_TOO_LARGE: return "too_large";
    case DP_NOMEM: return "nomem";
    case DP_FULL: return "full";
    case DP_NOT_DURABLE: return "not_durable";
    }
    return "unknown_status";
}
