/* object_name.c: makes object names, and parses them. No other file does. */
#include "index/object_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WAL_NUMBER_LEN = 20 };

enum { ULID_TIME_LEN = 10 };
#define ULID_MS_MAX ((INT64_C(1) << 48) - 1)

bool ulid_parse(struct span text, struct ulid *out)
{
    if (text.len != ULID_LEN || text.data[0] > '7')
        return false;
    for (size_t i = 0; i < ULID_LEN; i++) {
        char c = (char)text.data[i];
        bool base32 =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z' && c != 'I' && c != 'L' && c != 'O' && c != 'U');
        if (!base32)
            return false;
    }
    memcpy(out->text, text.data, ULID_LEN);
    out->text[ULID_LEN] = 0;
    return true;
}

int64_t ulid_ms(const struct ulid *u)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    int64_t ms = 0;
    for (size_t i = 0; i < ULID_TIME_LEN; i++)
        ms = ms << 5 | (int64_t)(strchr(digits, u->text[i]) - digits);
    return ms;
}

enum dp_status ulid_new(const struct index_clock *clock, const struct ulid *after, int64_t now_ms,
                        struct ulid *out, struct dp_error *error)
{
    uint8_t random[ULID_RANDOM_LEN];
    enum dp_status status = index_random(clock, random, sizeof random, error);
    if (status)
        return status;
    int64_t ms = index_ulid_ms(clock, now_ms ? now_ms : index_wall_ms(clock)), least = ulid_ms(after) + 1;
    if (least > ULID_MS_MAX)
        return dp_fail(error, DP_CONFLICT, "no ULID comes after %s", after->text);
    os_ulid_of((uint64_t)(ms > least ? ms : least), random, out->text);
    return DP_OK;
}

/* Sets out->len. The text has room for every name, so snprintf() never cuts one. */
static void set_key_len(struct object_key *out, int len)
{
    out->len = len > 0 ? (size_t)len : 0;
}

void key_of_manifest(struct object_key *out, struct span name)
{
    set_key_len(out, snprintf(out->text, sizeof out->text, "%.*s/manifest.json", SPAN_FMT(name)));
}

void key_of_wal(struct object_key *out, struct span name, const struct ulid *incarnation, uint64_t number)
{
    enum { DIGITS = 20 };
    set_key_len(out, snprintf(out->text, sizeof out->text, "%.*s/%s/wal/00000000000000000000", SPAN_FMT(name),
                              incarnation->text));
    for (size_t i = 0; i < DIGITS; i++, number /= 10) /* a round names hundreds of entries */
        out->text[out->len - 1 - i] = (char)('0' + number % 10);
}

void key_of_ivf(struct object_key *out, struct span name, const struct ulid *incarnation,
                const struct ulid *segment)
{
    set_key_len(out, snprintf(out->text, sizeof out->text, "%.*s/%s/seg/%s.%d.ivf", SPAN_FMT(name),
                              incarnation->text, segment->text, VECTOR_ATTRIBUTE));
}

void key_of_dpr(struct object_key *out, struct span name, const struct ulid *incarnation,
                const struct ulid *segment)
{
    set_key_len(out, snprintf(out->text, sizeof out->text, "%.*s/%s/seg/%s.dpr", SPAN_FMT(name), incarnation->text,
                              segment->text));
}

void key_of_del(struct object_key *out, struct span name, const struct ulid *incarnation,
                const struct ulid *segment, const struct ulid *deletion)
{
    set_key_len(out, snprintf(out->text, sizeof out->text, "%.*s/%s/seg/%s.%s.del", SPAN_FMT(name),
                              incarnation->text, segment->text, deletion->text));
}

void key_of_pin(struct object_key *out, struct span name, const struct ulid *incarnation, const struct ulid *pin)
{
    set_key_len(out, snprintf(out->text, sizeof out->text, "%.*s/%s/pin/%s.pin", SPAN_FMT(name), incarnation->text,
                              pin->text));
}

void key_of_keys(struct object_key *out, struct span name, const struct ulid *incarnation, const struct ulid *keys)
{
    set_key_len(out, snprintf(out->text, sizeof out->text, "%.*s/%s/seg/%s.keys", SPAN_FMT(name),
                              incarnation->text, keys->text));
}

/* Takes `len` bytes from the front of *text. Returns false if it has fewer. */
static bool take_part(struct span *text, size_t len, struct span *out)
{
    if (!span_sub(*text, 0, len, out))
        return false;
    *text = span_of(text->data + len, text->len - len);
    return true;
}

static bool take_text(struct span *text, const char *expected)
{
    struct span part;
    return take_part(text, strlen(expected), &part) && span_equal_str(part, expected);
}

static bool take_ulid(struct span *text, struct ulid *out)
{
    struct span part;
    return take_part(text, ULID_LEN, &part) && ulid_parse(part, out);
}

static bool parse_number(struct span digits, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits.len; i++) {
        unsigned digit = digits.data[i] - (unsigned)'0';
        if (digit > 9 || *out > (UINT64_MAX - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    return digits.len == WAL_NUMBER_LEN;
}

static bool parse_segment_object(struct span rest, struct parsed_name *out)
{
    char ivf[16];
    snprintf(ivf, sizeof ivf, ".%d.ivf", VECTOR_ATTRIBUTE);
    if (!take_ulid(&rest, &out->segment))
        return false;
    out->born = out->segment;
    if (span_equal_str(rest, ivf)) {
        out->kind = OBJECT_IVF;
        return true;
    }
    if (span_equal_str(rest, ".dpr")) {
        out->kind = OBJECT_DPR;
        return true;
    }
    if (span_equal_str(rest, ".keys")) {
        out->kind = OBJECT_KEYS;
        return true;
    }
    out->kind = OBJECT_DEL;
    return take_text(&rest, ".") && take_ulid(&rest, &out->born) && span_equal_str(rest, ".del");
}

bool object_name_parse(struct span key, struct span name, struct parsed_name *out)
{
    struct span rest = key, folder;
    *out = (struct parsed_name){0};
    if (key.len >= sizeof out->key.text || !span_starts_with(key, name))
        return false;
    memcpy(out->key.text, key.data, key.len);
    out->key.len = key.len;
    out->name = name;
    rest = span_of(rest.data + name.len, rest.len - name.len);
    if (!take_text(&rest, "/") || !take_ulid(&rest, &out->incarnation) || !take_text(&rest, "/") ||
        !take_part(&rest, 4, &folder))
        return false;
    if (span_equal_str(folder, "wal/")) {
        out->kind = OBJECT_WAL;
        return parse_number(rest, &out->number);
    }
    if (span_equal_str(folder, "pin/")) {
        out->kind = OBJECT_PIN;
        return take_ulid(&rest, &out->born) && span_equal_str(rest, ".pin");
    }
    return span_equal_str(folder, "seg/") && parse_segment_object(rest, out);
}
