/* account/tier.h: the tiers of accounts: limits for each user per month and per minute; months and dates. */
#ifndef ACCOUNT_TIER_H
#define ACCOUNT_TIER_H

#include "base/error.h"
#include "base/span.h"

enum account_tier { TIER_FREE, TIER_PRO, TIER_SCALE, TIER_COUNT };

struct tier_limits {
    int64_t embeddings_a_month; /* limit for each calendar month, in UTC */
    uint32_t requests_a_minute; /* 0: no limit */
};

const char *tier_name(enum account_tier tier); /* "free" */
/* Reads a tier's name, in upper or lower case. Returns false for an unknown name. */
bool tier_parse(struct span text, enum account_tier *out);

/* Returns the month of a Unix time in milliseconds, in UTC, as year * 12 + month - 1. */
int64_t month_of(int64_t wall_ms);
/* Returns the first moment of a month, in Unix milliseconds. */
int64_t month_begins_ms(int64_t month);
/* Print and read a month as "2026-11". month_parse returns false unless the text is a month from 1970 to 9999. */
void month_print(int64_t month, char out[16]);
bool month_parse(struct span text, int64_t *out);
/* Reads "2026-11-28" (its first moment) or "2026-11-28T12:00:00Z" as Unix milliseconds. Returns false for
 * other texts. */
bool date_parse(struct span text, int64_t *out);

#endif
