/* setting_value.c: converts values of settings from and to text, and describes the allowed values. */
#include "config/settings.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/masked_url.h"
#include "base/utf8.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* The largest unit comes first, so that printing finds the shortest text. The last entry is for a number without a
 * unit. */
static const struct unit BYTE_UNITS[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}};
static const struct unit DURATION_UNITS[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {"", 1000}};
enum { UNIT_COUNT = 5 };

static const struct unit *units_of(const struct setting *s)
{
    return s->type == SETTING_BYTES ? BYTE_UNITS : DURATION_UNITS;
}

/* Reads the decimal integer at the beginning of `text`. Returns its length, or 0 if it is missing or overflows. */
static size_t parse_integer(struct span text, uint64_t *out)
{
    size_t at = 0;
    *out = 0;
    for (; at < text.len && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, text.data[at] - '0', out))
            return 0;
    return at;
}

static bool parse_quantity(const struct setting *s, struct span text, uint64_t *out)
{
    if (s->or_none && span_equal_str(text, "none")) {
        *out = SETTING_NONE;
        return true;
    }
    size_t len = parse_integer(text, out);
    if (len == 0)
        return false;
    struct span unit = span_of(text.data + len, text.len - len);
    if (s->type == SETTING_INTEGER)
        return unit.len == 0 && *out >= s->min && *out <= s->max;
    for (size_t i = 0; i < UNIT_COUNT; i++)
        if (span_equal_str(unit, units_of(s)[i].name))
            return !__builtin_mul_overflow(*out, units_of(s)[i].factor, out) && *out >= s->min && *out <= s->max;
    return false;
}

static bool parse_boolean(struct span text, bool *out)
{
    static const char *const words[] = {"true", "1", "yes", "on", "false", "0", "no", "off"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (text.len == strlen(words[i]) && strncasecmp((const char *)text.data, words[i], text.len) == 0) {
            *out = i < 4;
            return true;
        }
    }
    return false;
}

/* Returns whether the text is UTF-8 without control characters. */
static bool is_plain_text(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    return utf8_valid(text);
}

/* Splits "address:port"; an IPv6 address needs brackets. */
static bool parse_listen(const struct setting *s, struct span text, struct span *host, uint64_t *port)
{
    size_t colon = text.len;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon < 2 || text.len > s->max || !is_plain_text(text))
        return false;
    struct span digits = span_of(text.data + colon, text.len - colon);
    *host = span_of(text.data, colon - 1);
    if (host->data[0] == '[') {
        if (host->len < 3 || host->data[host->len - 1] != ']')
            return false;
        *host = span_of(host->data + 1, host->len - 2);
    } else if (memchr(host->data, ':', host->len)) {
        return false;
    }
    return digits.len && parse_integer(digits, port) == digits.len && *port <= UINT16_MAX;
}

/* Copies text into the const char * at `offset`. */
static enum dp_status store_text(void *target, size_t offset, struct span text, struct arena *arena)
{
    struct span kept = arena_copy(arena, text);
    const char *pointer = (const char *)kept.data;
    if (!pointer)
        return DP_NOMEM;
    memcpy((char *)target + offset, &pointer, sizeof pointer);
    return DP_OK;
}

static const char *load_text(const void *target, size_t offset)
{
    const char *text;
    memcpy(&text, (const char *)target + offset, sizeof text);
    return text ? text : "";
}

/* Stores `value` in an integer field of `size` bytes. It fits: a test checks each range of the table. */
static void store_integer(void *place, size_t size, uint64_t value)
{
    uint16_t two = (uint16_t)value;
    uint32_t four = (uint32_t)value;
    assert(size == sizeof two || size == sizeof four || size == sizeof value);
    memcpy(place, size == sizeof two ? &two : size == sizeof four ? (void *)&four : &value, size);
}

static uint64_t load_integer(const void *place, size_t size)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    if (size == sizeof two) {
        memcpy(&two, place, size);
        return two;
    }
    if (size == sizeof four) {
        memcpy(&four, place, size);
        return four;
    }
    memcpy(&eight, place, sizeof eight);
    return eight;
}

enum dp_status setting_store(const struct setting *s, void *target, struct span text, struct arena *arena)
{
    char *place = (char *)target + s->offset;
    uint64_t number = 0;
    bool flag = false;
    struct span host;
    switch (s->type) {
    case SETTING_TEXT:
        if (text.len < s->min || text.len > s->max || !is_plain_text(text))
            return DP_INVALID;
        return store_text(target, s->offset, text, arena);
    case SETTING_INTEGER:
    case SETTING_BYTES:
    case SETTING_DURATION:
        if (!parse_quantity(s, text, &number))
            return DP_INVALID;
        store_integer(place, s->size, number);
        return DP_OK;
    case SETTING_BOOLEAN:
        if (!parse_boolean(text, &flag))
            return DP_INVALID;
        memcpy(place, &flag, sizeof flag);
        return DP_OK;
    case SETTING_CHOICE:
        while (s->choices[number] && !span_equal_str(text, s->choices[number]))
            number++;
        if (!s->choices[number])
            return DP_INVALID;
        memcpy(place, &s->choices[number], sizeof s->choices[number]);
        return DP_OK;
    case SETTING_LISTEN:
        if (!parse_listen(s, text, &host, &number))
            return DP_INVALID;
        store_integer((char *)target + s->port_offset, sizeof(uint16_t), number);
        return store_text(target, s->offset, host, arena);
    }
    return DP_INVALID;
}

/* Prints a quantity in the largest unit that divides it. */
static void print_quantity(const struct setting *s, uint64_t value, char *out, size_t size)
{
    const struct unit *unit = units_of(s);
    if (s->or_none && value == SETTING_NONE) {
        snprintf(out, size, "none");
        return;
    }
    while (value % unit->factor != 0)
        unit++;
    snprintf(out, size, "%" PRIu64 "%s", value / unit->factor, value ? unit->name : "");
}

void setting_mask(const struct setting *s, struct span text, struct buffer *out)
{
    if (s->secret)
        buffer_append_str(out, text.len ? "(hidden)" : "");
    else if (s->secret_in_url)
        masked_url_append(out, text);
    else
        buffer_append(out, text);
}

void setting_print(const struct setting *s, const void *target, struct buffer *out)
{
    const char *place = (const char *)target + s->offset;
    char quantity[32];
    bool flag;
    const char *text;
    switch (s->type) {
    case SETTING_TEXT:
    case SETTING_CHOICE: setting_mask(s, span_str(load_text(target, s->offset)), out); return;
    case SETTING_BOOLEAN:
        memcpy(&flag, place, sizeof flag);
        buffer_append_str(out, flag ? "true" : "false");
        return;
    case SETTING_INTEGER: buffer_printf(out, "%" PRIu64, load_integer(place, s->size)); return;
    case SETTING_BYTES:
    case SETTING_DURATION:
        print_quantity(s, load_integer(place, s->size), quantity, sizeof quantity);
        buffer_append_str(out, quantity);
        return;
    case SETTING_LISTEN:
        text = load_text(target, s->offset);
        buffer_printf(out, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text,
                      (unsigned)load_integer((const char *)target + s->port_offset, sizeof(uint16_t)));
        return;
    }
}

void setting_allowed(const struct setting *s, char out[SETTING_ALLOWED_MAX])
{
    char low[32], high[32];
    size_t len;
    switch (s->type) {
    case SETTING_TEXT:
        snprintf(out, SETTING_ALLOWED_MAX, "%s %" PRIu64 " bytes of UTF-8 without control characters",
                 s->min ? "1 to" : "at most", s->max);
        return;
    case SETTING_INTEGER:
        snprintf(out, SETTING_ALLOWED_MAX, "a whole number from %" PRIu64 " to %" PRIu64, s->min, s->max);
        return;
    case SETTING_BOOLEAN: snprintf(out, SETTING_ALLOWED_MAX, "true, yes, on or 1; or false, no, off or 0"); return;
    case SETTING_LISTEN:
        snprintf(out, SETTING_ALLOWED_MAX, "ADDRESS:PORT, as 127.0.0.1:8000 or [::1]:8000");
        return;
    case SETTING_CHOICE:
        len = (size_t)snprintf(out, SETTING_ALLOWED_MAX, "one of");
        for (size_t i = 0; s->choices[i] && len < SETTING_ALLOWED_MAX; i++)
            len += (size_t)snprintf(out + len, SETTING_ALLOWED_MAX - len, "%s %s", i ? "," : "", s->choices[i]);
        return;
    case SETTING_BYTES:
    case SETTING_DURATION:
        print_quantity(s, s->min, low, sizeof low);
        print_quantity(s, s->max, high, sizeof high);
        snprintf(out, SETTING_ALLOWED_MAX, "%s from %s to %s%s",
                 s->type == SETTING_BYTES ? "a number of bytes (or with KiB, MiB, GiB)"
                                          : "a number of seconds (or with ms, s, m, h)",
                 low, high, s->or_none ? ", or none" : "");
        return;
    }
}
