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
    uint8_t random[ULID_RANDOM_LEN];
    enum dp_status status = os_random(random, sizeof random, error);
    if (status == DP_OK)
        os_ulid_of((uint64_t)os_wall_ms(), random, out);
    return status;
}

void os_ulid_of(uint64_t ms, const uint8_t random[ULID_RANDOM_LEN], char out[ULID_LEN + 1])
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    /* 26 characters of 5 bits hold 130 bits, so the first character has only the upper 3 of the 128 bits. */
    unsigned __int128 value = ms & ((UINT64_C(1) << 48) - 1);
    for (size_t i = 0; i < ULID_RANDOM_LEN; i++)
        value = value << 8 | random[i];
    for (int i = ULID_LEN - 1; i >= 0; i--, value >>= 5)
        out[i] = alphabet[(unsigned)value & 31];
    out[ULID_LEN] = '\0';
}
