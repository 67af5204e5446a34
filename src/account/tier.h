/* account/tier.h: tiers: what users may do in a month and in a minute. */
#ifndef ACCOUNT_TIER_H
#define ACCOUNT_TIER_H

#include "base/error.h"
#include "base/span.h"

enum account_tier { TIER_FREE, TIER_PRO, TIER_SCALE, TIER_COUNT };

struct tier_limits {
    int64_t embeddings_a_month; /* UTC */
    uint32_t requests_a_minute; /* 0: any number */
};

const char *tier_name(enum account_tier tier); /* "free" */
/* Reads a name in any case. False for an unknown name. */
bool tier_parse(struct span text, enum account_tier *out);

/* year * 12 + month - 1 of a Unix time, UTC. */
int64_t month_of(int64_t wall_ms);
/* The beginning of a month in Unix milliseconds. */
int64_t month_begins_ms(int64_t month);
/* A month as "2026-11" and back. False for anything but a month of the years 1970 to 9999. */
void month_print(int64_t month, char out[16]);
bool month_parse(struct span text, int64_t *out);
/* Reads "2026-11-28" (its first moment) or "2026-11-28T12:00:00Z" as Unix milliseconds. */
bool date_parse(struct span text, int64_t *out);

#endif
