/* filter/uuid.h: UUIDs (RFC 9562) as 16 bytes and as text. */
#ifndef FILTER_UUID_H
#define FILTER_UUID_H

#include "base/span.h"

enum { UUID_BYTES = 16, UUID_TEXT_LEN = 36 };

/* Parses 8-4-4-4-12 hexadecimal digits of either case, or the 32 digits without hyphens. Returns false for any
 * other text. */
bool uuid_parse(struct span text, uint8_t out[UUID_BYTES]);
/* Writes 8-4-4-4-12 lower-case digits, without a NUL. */
void uuid_format(const uint8_t bytes[UUID_BYTES], char out[UUID_TEXT_LEN]);

#endif
