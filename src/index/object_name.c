/* object_name.c: makes object names. No other file does. */
#include "index/object_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

enum dp_status ulid_new(const struct ulid *after, struct ulid *out, struct dp_error *error)
{
    enum { TIME_LEN = 10 };
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    enum dp_status status = os_ulid(out->text, error);
    if (status || memcmp(out->text, after->text, ULID_LEN) > 0)
        return status;
    /* The clock is behind: take the time of `after` plus 1 ms, with the new random bits. */
    memcpy(out->text, after->text, TIME_LEN);
    for (int i = TIME_LEN - 1; i >= 0; i--) {
        const char *digit = strchr(digits, out->text[i]);
        bool last = i == 0 ? *digit >= '7' : digit[1] == 0;
        out->text[i] = last ? '0' : digit[1];
        if (!last)
            return DP_OK;
    }
    return dp_fail(error, DP_CONFLICT, "no ULID comes after %s", after->text);
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
    set_key_len(out, snprintf(out->text, sizeof out->text, "%.*s/%s/wal/%020" PRIu64, SPAN_FMT(name),
                              incarnation->text, number));
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
