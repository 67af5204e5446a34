/* random.c: random bytes from getrandom(2), and ULIDs (github.com/ulid/spec). */
#include "os/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "os/clock.h"

enum dp_status os_random(void *out, size_t len, struct dp_error *error)
{
    uint8_t *to = out;
    while (len) {
        ssize_t got = getrandom(to, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return dp_fail(error, DP_IO, "the system gives no random bytes: %s", strerror(errno));
        to += got;
        len -= (size_t)got;
    }
    return DP_OK;
}

enum dp_status os_ulid(char out[ULID_LEN + 1], struct dp_error *error)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint8_t bytes[16];
    enum dp_status status = os_random(bytes + 6, sizeof bytes - 6, error);
    if (status != DP_OK)
        return status;
    uint64_t ms = (uint64_t)os_wall_ms();
    for (int i = 5; i >= 0; i--, ms >>= 8)
        bytes[i] = (uint8_t)ms;
    /* 26 characters of 5 bits hold 130 bits, so the first character has only the upper 3 of the 128 bits. */
    unsigned __int128 value = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        value = value << 8 | bytes[i];
    for (int i = ULID_LEN - 1; i >= 0; i--, value >>= 5)
        out[i] = alphabet[(unsigned)value & 31];
    out[ULID_LEN] = '\0';
    return DP_OK;
}
