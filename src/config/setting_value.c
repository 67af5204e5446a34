/* setting_value.c: the values of settings: text to value, value to text, and what is allowed. */
#include "config/settings.h"

#include <inttypes.h>

#include "base/utf8.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* The largest first, so that printing finds the shortest text. The last one of each is what a number without a
 * unit is counted in. */
static const struct unit BYTE_UNITS[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}};
static const struct unit DURATION_UNITS[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {"", 1000}};
enum { UNIT_COUNT = 5 };

static const struct unit *units_of(const struct setting *s)
{
    return s->type == SETTING_BYTES ? BYTE_UNITS : DURATION_UNITS;
}

/* The decimal integer at the beginning of `text`; answers its length, 0 when there is none or it overflows. */
static size_t parse_integer(struct span text, int64_t *out)
{
    size_t at = text.len && text.data[0] == '-' ? 1 : 0, start = at;
    int64_t value = 0;
    for (; at < text.len && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, text.data[at] - '0', &value))
            return 0;
    if (at == start || (!start && value == INT64_MIN))
        return 0;
    *out = start ? value : -value;
    return at;
}

static bool parse_quantity(const struct setting *s, struct span text, int64_t *out)
{
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
        if (span_equal_str(text, words[i])) {
            *out = i < 4;
            return true;
        }
    }
    return false;
}

/* Whether the text may be a value at all: UTF-8 without control characters. */
static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    return utf8_valid(text);
}

/* Splits "address:port", where an IPv6 address stands in brackets. */
static bool parse_listen(const struct setting *s, struct span text, struct span *host, int64_t *port)
{
    size_t colon = text.len;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon < 2 || text.len > (size_t)s->max || !is_plain(text))
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
    return digits.len && parse_integer(digits, port) == digits.len && *port >= 0 && *port <= 65535;
}

void setting_allowed(const struct setting *s, char *out, size_t size)
{
    struct buffer low, high;
    struct setting plain = *s;
    int64_t bounds[2] = {s->min, s->max};
    switch (s->type) {
    case SETTING_TEXT:
        snprintf(out, size, "%" PRId64 " to %" PRId64 " bytes of UTF-8 without control characters", s->min,
                 s->max);
        return;
    case SETTING_INTEGER:
        snprintf(out, size, "a whole number from %" PRId64 " to %" PRId64, s->min, s->max);
        return;
    case SETTING_BOOLEAN: snprintf(out, size, "true or false"); return;
    case SETTING_LISTEN: snprintf(out, size, "ADDRESS:PORT, as 127.0.0.1:8000 or [::1]:8000"); return;
    case SETTING_CHOICE: {
        size_t len = (size_t)snprintf(out, size, "one of");
        for (size_t i = 0; s->choices[i] && len < size; i++)
            len += (size_t)snprintf(out + len, size - len, "%s %s", i ? "," : "", s->choices[i]);
        return;
    }
    case SETTING_BYTES:
    case SETTING_DURATION:
        buffer_init(&low, 64);
        buffer_init(&high, 64);
        plain.secret = false;
        plain.offset = 0;
        setting_print(&plain, &bounds[0], &low);
        setting_print(&plain, &bounds[1], &high);
        snprintf(out, size, "%s from %.*s to %.*s",
                 s->type == SETTING_BYTES ? "a number of bytes (or with KiB, MiB, GiB)"
                                          : "a number of seconds (or with ms, s, m, h)",
                 SPAN_FMT(buffer_span(&low)), SPAN_FMT(buffer_span(&high)));
        buffer_deinit(&low);
        buffer_deinit(&high);
        return;
    }
}

/* Copies text into the span at `offset`. */
static enum dp_status store_text(void *target, size_t offset, struct span text, struct arena *arena)
{
    struct span kept = arena_copy(arena, text);
    if (!kept.data)
        return DP_NOMEM;
    memcpy((char *)target + offset, &kept, sizeof kept);
    return DP_OK;
}

enum dp_status setting_store(const struct setting *s, void *target, struct span text, struct arena *arena,
                             char *allowed, size_t allowed_size)
{
    char *place = (char *)target + s->offset;
    int64_t number = 0;
    bool flag = false;
    struct span host;
    switch (s->type) {
    case SETTING_TEXT:
        if (text.len < (uint64_t)s->min || text.len > (uint64_t)s->max || !is_plain(text))
            break;
        return store_text(target, s->offset, text, arena);
    case SETTING_INTEGER:
    case SETTING_BYTES:
    case SETTING_DURATION:
        if (!parse_quantity(s, text, &number))
            break;
        memcpy(place, &number, sizeof number);
        return DP_OK;
    case SETTING_BOOLEAN:
        if (!parse_boolean(text, &flag))
            break;
        memcpy(place, &flag, sizeof flag);
        return DP_OK;
    case SETTING_CHOICE:
        while (s->choices[number] && !span_equal_str(text, s->choices[number]))
            number++;
        if (!s->choices[number])
            break;
        memcpy(place, &number, sizeof number);
        return DP_OK;
    case SETTING_LISTEN:
        if (!parse_listen(s, text, &host, &number))
            break;
        memcpy((char *)target + s->port_offset, &number, sizeof number);
        return store_text(target, s->offset, host, arena);
    }
    setting_allowed(s, allowed, allowed_size);
    return DP_INVALID;
}

static void print_quantity(const struct setting *s, int64_t value, struct buffer *out)
{
    const struct unit *unit = units_of(s);
    while (value % unit->factor != 0)
        unit++;
    buffer_printf(out, "%" PRId64 "%s", value / unit->factor, value ? unit->name : "");
}

void setting_print(const struct setting *s, const void *target, struct buffer *out)
{
    const char *place = (const char *)target + s->offset;
    struct span text;
    int64_t number;
    bool flag;
    switch (s->type) {
    case SETTING_TEXT:
        memcpy(&text, place, sizeof text);
        if (s->secret && text.len)
            text = span_str("(hidden)");
        buffer_append(out, text);
        return;
    case SETTING_BOOLEAN:
        memcpy(&flag, place, sizeof flag);
        buffer_append_str(out, flag ? "true" : "false");
        return;
    case SETTING_INTEGER:
    case SETTING_BYTES:
    case SETTING_DURATION:
    case SETTING_CHOICE:
        memcpy(&number, place, sizeof number);
        if (s->type == SETTING_CHOICE)
            buffer_append_str(out, s->choices[number]);
        else if (s->type == SETTING_INTEGER)
            buffer_printf(out, "%" PRId64, number);
        else
            print_quantity(s, number, out);
        return;
    case SETTING_LISTEN:
        memcpy(&text, place, sizeof text);
        memcpy(&number, (const char *)target + s->port_offset, sizeof number);
        bool bracketed = text.len && memchr(text.data, ':', text.len);
        buffer_printf(out, bracketed ? "[%.*s]:%" PRId64 : "%.*s:%" PRId64, SPAN_FMT(text), number);
        return;
    }
}
