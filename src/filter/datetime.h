/* filter/datetime.h: points in time as ISO 8601 text and as milliseconds.
 *
 *   2024-03-01                       midnight UTC
 *   2024-03-01T10:20                 UTC
 *   2024-03-01 10:20:30.123456789    a fraction of up to nine digits, rounded down to milliseconds
 *   2024-03-01T10:20:30+05:30        or +0530, +05, Z
 *
 * The date is mandatory. The year is 0001 to 9999, both as written and in UTC. A minute has 60 seconds: leap
 * seconds are refused.
 */
#ifndef FILTER_DATETIME_H
#define FILTER_DATETIME_H

#include "base/span.h"

enum { DATETIME_TEXT_LEN = 30 };

/* Sets *ms to the milliseconds since 1970 in UTC, rounded down. Returns false for any other text. */
bool datetime_parse(struct span text, int64_t *ms);
/* Writes "2024-03-01T00:00:00.000000000Z", without a NUL. These texts sort as their times. `ms` is a result of
 * datetime_parse(). */
void datetime_format(int64_t ms, char out[DATETIME_TEXT_LEN]);

#endif
