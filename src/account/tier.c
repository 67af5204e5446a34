/* tier.c: the names of tiers, and months.
 *
 * The algorithms for days are from Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013). */
#include "account/tier.h"

#include <stdio.h>
#include <strings.h>

static const int64_t DAY_MS = 86400000;

static const char *const NAMES[TIER_COUNT] = {"free", "pro", "scale"};

const char *tier_name(enum account_tier tier)
{
    return NAMES[tier];
}

bool tier_parse(struct span text, enum account_tier *out)
{
    for (int i = 0; i < TIER_COUNT; i++)
        if (text.len == strlen(NAMES[i]) && strncasecmp((const char *)text.data, NAMES[i], text.len) == 0) {
            *out = (enum account_tier)i;
            return true;
        }
    return false;
}

/* Days since 1970-01-01 of a date; months 1 to 12. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int64_t month_of(int64_t wall_ms)
{
    int64_t days = (wall_ms >= 0 ? wall_ms : wall_ms - DAY_MS + 1) / DAY_MS + 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
    int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * years + years / 4 - years / 100), shifted = (5 * of_year + 2) / 153;
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    return (years + era * 400 + (month <= 2)) * 12 + month - 1;
}

int64_t month_begins_ms(int64_t month)
{
    return days_of(month / 12, month % 12 + 1, 1) * DAY_MS;
}

void month_print(int64_t month, char out[16])
{
    snprintf(out, 16, "%04u-%02u", (unsigned)(month / 12) % 10000, (unsigned)(month % 12) % 100 + 1);
}

/* Takes a number of exactly `digits` digits from the front of *text. */
static bool take_digits(struct span *text, size_t digits, int64_t *out)
{
    *out = 0;
    if (text->len < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (text->data[i] < '0' || text->data[i] > '9')
            return false;
        *out = *out * 10 + (text->data[i] - '0');
    }
    *text = span_of(text->data + digits, text->len - digits);
    return true;
}

static bool take_char(struct span *text, char c)
{
    if (text->len == 0 || text->data[0] != (uint8_t)c)
        return false;
    *text = span_of(text->data + 1, text->len - 1);
    return true;
}

static bool take_month(struct span *text, int64_t *out)
{
    int64_t year, month;
    if (!take_digits(text, 4, &year) || !take_char(text, '-') || !take_digits(text, 2, &month))
        return false;
    *out = year * 12 + month - 1;
    return year >= 1970 && month >= 1 && month <= 12;
}

bool month_parse(struct span text, int64_t *out)
{
    return take_month(&text, out) && text.len == 0;
}

bool date_parse(struct span text, int64_t *out)
{
    int64_t month, day, hour = 0, minute = 0, second = 0;
    if (!take_month(&text, &month) || !take_char(&text, '-') || !take_digits(&text, 2, &day))
        return false;
    if (text.len && (!take_char(&text, 'T') || !take_digits(&text, 2, &hour) || !take_char(&text, ':') ||
                     !take_digits(&text, 2, &minute) || !take_char(&text, ':') ||
                     !take_digits(&text, 2, &second) || !take_char(&text, 'Z')))
        return false;
    int64_t begins = month_begins_ms(month);
    *out = begins + (day - 1) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000;
    return text.len == 0 && day >= 1 && begins + day * DAY_MS <= month_begins_ms(month + 1) && hour < 24 &&
           minute < 60 && second < 60;
}
