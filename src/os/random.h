/* os/random.h: random bytes from the system, and ULIDs. */
#ifndef OS_RANDOM_H
#define OS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Fills `out` with `len` random bytes of the system. Fails with DP_IO. */
enum dp_status os_random(void *out, size_t len, struct dp_error *error);

enum { ULID_LEN = 26, ULID_RANDOM_LEN = 10 };
/* Writes a new ULID (48 bits of Unix milliseconds, 80 random bits, Crockford base 32) and a NUL. */
enum dp_status os_ulid(char out[ULID_LEN + 1], struct dp_error *error);
/* Writes the ULID of these milliseconds, of which it takes the lower 48 bits, and of these random bytes. */
void os_ulid_of(uint64_t ms, const uint8_t random[ULID_RANDOM_LEN], char out[ULID_LEN + 1]);

#endif
