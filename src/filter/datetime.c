/* filter/datetime.c: parses and prints points in time. It counts days by H. Hinnant's "chrono-compatible low-level
 * date algorithms", in the proleptic Gregorian calendar. */
#include "filter/datetime.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, MINUTE_MS = 60 * 1000, FRACTION_DIGITS_MAX = 9 };

#define FIRST_MS (-INT64_C(62135596800000)) /* 0001-01-01T00:00:00 */
#define LAST_MS  INT64_C(253402300799999)   /* 9999-12-31T23:59:59.999 */

struct time_text {
    const uint8_t *at, *end;
};

/* Reads exactly `digits` digits. Returns -1 if they are not there. */
static int take_number(struct time_text *t, int digits)
{
    int value = 0;
    if (t->end - t->at < digits)
        return -1;
    for (int i = 0; i < digits; i++, t->at++) {
        if (*t->at < '0' || *t->at > '9')
            return -1;
        value = value * 10 + (*t->at - '0');
    }
    return value;
}

/* Reads one of the characters of `any`. */
static bool take_char(struct time_text *t, const char *any)
{
    if (t->at == t->end || *t->at == 0 || !strchr(any, *t->at))
        return false;
    t->at++;
    return true;
}

static int64_t days_of_date(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = (y >= 0 ? y : y - 399) / 400, year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static int days_of_month(int year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool take_date(struct time_text *t, int64_t *days)
{
    int year = take_number(t, 4);
    if (year < 1 || !take_char(t, "-"))
        return false;
    int month = take_number(t, 2);
    if (month < 1 || month > 12 || !take_char(t, "-"))
        return false;
    int day = take_number(t, 2);
    if (day < 1 || day > days_of_month(year, month))
        return false;
    *days = days_of_date(year, month, day);
    return true;
}

/* Reads up to nine digits behind the point. */
static bool take_fraction(struct time_text *t, int64_t *ms)
{
    int digits = 0, value = 0;
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++, digits++) {
        if (digits < 3)
            value = value * 10 + (*t->at - '0');
    }
    for (int i = digits; i < 3; i++)
        value *= 10;
    *ms = value;
    return digits >= 1 && digits <= FRACTION_DIGITS_MAX;
}

static bool take_clock(struct time_text *t, int64_t *ms)
{
    int hour = take_number(t, 2), second = 0;
    int64_t fraction = 0;
    if (hour < 0 || hour > 23 || !take_char(t, ":"))
        return false;
    int minute = take_number(t, 2);
    if (minute < 0 || minute > 59)
        return false;
    if (take_char(t, ":")) {
        second = take_number(t, 2);
        if (second < 0 || second > 59 || (take_char(t, ".") && !take_fraction(t, &fraction)))
            return false;
    }
    *ms = ((int64_t)hour * 60 + minute) * MINUTE_MS + (int64_t)second * 1000 + fraction;
    return true;
}

/* Reads a zone, if there is one. *ms is how far its clocks are ahead of UTC. */
static bool take_zone(struct time_text *t, int64_t *ms)
{
    *ms = 0;
    if (t->at == t->end || take_char(t, "Zz"))
        return true;
    bool behind = take_char(t, "-");
    if (!behind && !take_char(t, "+"))
        return false;
    int hour = take_number(t, 2), minute = 0;
    if (hour < 0 || hour > 23)
        return false;
    if (take_char(t, ":") || t->at < t->end)
        minute = take_number(t, 2);
    if (minute < 0 || minute > 59)
        return false;
    *ms = ((int64_t)hour * 60 + minute) * MINUTE_MS;
    if (behind)
        *ms = -*ms;
    return true;
}

bool datetime_parse(struct span text, int64_t *ms)
{
    struct time_text t = {text.data, text.data + text.len};
    int64_t days, clock = 0, zone = 0;
    if (text.len == 0 || !take_date(&t, &days))
        return false;
    if (t.at < t.end && (!take_char(&t, "Tt ") || !take_clock(&t, &clock) || !take_zone(&t, &zone)))
        return false;
    *ms = days * DAY_MS + clock - zone;
    return t.at == t.end && *ms >= FIRST_MS && *ms <= LAST_MS;
}

static void put_digits(char *out, int64_t value, int digits)
{
    while (digits > 0) {
        out[--digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

void datetime_format(int64_t ms, char out[DATETIME_TEXT_LEN])
{
    static const char pattern[DATETIME_TEXT_LEN + 1] = "0000-00-00T00:00:00.000000000Z";
    int64_t since = ms - FIRST_MS; /* ≥ 0 */
    int64_t days = since / DAY_MS - 719162 + 719468, clock = since % DAY_MS;
    int64_t era = days / 146097, day_of_era = days % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153, month = shifted < 10 ? shifted + 3 : shifted - 9;
    memcpy(out, pattern, DATETIME_TEXT_LEN);
    put_digits(out, year_of_era + era * 400 + (month <= 2), 4);
    put_digits(out + 5, month, 2);
    put_digits(out + 8, day_of_year - (153 * shifted + 2) / 5 + 1, 2);
    put_digits(out + 11, clock / (60 * MINUTE_MS), 2);
    put_digits(out + 14, clock / MINUTE_MS % 60, 2);
    put_digits(out + 17, clock / 1000 % 60, 2);
    put_digits(out + 20, clock % 1000, 3);
}
