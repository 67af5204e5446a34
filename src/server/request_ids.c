/* request_ids.c: keeps the ids that a client sends, or makes ids for its request. */
#include "server/request_ids.h"

#include <string.h>

#include "base/hex.h"

static bool is_hex(struct span text)
{
    uint64_t value;
    return hex_read_u64(text, &value);
}

static bool is_zeros(struct span text)
{
    size_t i = 0;
    while (i < text.len && text.data[i] == '0')
        i++;
    return i == text.len;
}

/* Copies the trace id from the client's traceparent. A traceparent is "00-", trace id, "-", parent id, "-",
 * flags: 32, 16 and 2 hexadecimal digits. Later versions may append more (W3C Trace Context, level 1, §3.2). A
 * malformed traceparent counts as absent. */
static void take_trace(const struct head *head, struct request_ids *out)
{
    enum { TRACE_AT = 3, PARENT_AT = TRACE_AT + TRACE_ID_LEN + 1, FLAGS_AT = PARENT_AT + 17, LEN = FLAGS_AT + 2 };
    struct span given = head_value(head, "traceparent");
    const uint8_t *at = given.data;
    out->trace[0] = '\0';
    if (given.len < LEN || (given.len > LEN && (at[LEN] != '-' || memcmp(at, "00", 2) == 0)))
        return;
    uint64_t id[2];
    struct span version = span_of(at, 2), trace = span_of(at + TRACE_AT, TRACE_ID_LEN),
                parent = span_of(at + PARENT_AT, 16), flags = span_of(at + FLAGS_AT, 2);
    if (at[TRACE_AT - 1] != '-' || at[PARENT_AT - 1] != '-' || at[FLAGS_AT - 1] != '-' || !is_hex(version) ||
        span_equal_str(version, "ff") || !hex_read_u64(span_of(trace.data, 16), &id[0]) ||
        !hex_read_u64(span_of(trace.data + 16, 16), &id[1]) || is_zeros(trace) || !is_hex(parent) ||
        is_zeros(parent) || !is_hex(flags))
        return;
    memcpy(out->trace, trace.data, TRACE_ID_LEN);
    out->trace[TRACE_ID_LEN] = '\0';
    memcpy(out->numbers, id, sizeof id);
}

/* Makes an id of 24 hexadecimal digits that is unique among the processes behind one address. */
static void make_id(uint64_t seed, uint64_t number, char id[REQUEST_ID_MAX + 1])
{
    const uint64_t high = seed + (number >> 32);
    uint8_t bytes[12];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(high >> (56 - 8 * i));
    for (unsigned i = 0; i < 4; i++)
        bytes[8 + i] = (uint8_t)(number >> (24 - 8 * i));
    hex_encode(span_of(bytes, sizeof bytes), id);
}

/* Returns whether logs and headers may safely repeat the id. */
static bool is_harmless(struct span id)
{
    bool good = id.len > 0 && id.len <= REQUEST_ID_MAX;
    for (size_t i = 0; good && i < id.len; i++) {
        uint8_t b = id.data[i];
        good = (b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || b == '-' ||
               b == '_' || b == '.';
    }
    return good;
}

void request_ids_choose(const struct head *head, uint64_t seed, uint64_t number, struct request_ids *out)
{
    struct span given = head_value(head, "x-request-id");
    out->numbers[0] = seed;
    out->numbers[1] = number;
    take_trace(head, out);
    if (!is_harmless(given)) {
        make_id(seed, number, out->id);
        return;
    }
    memcpy(out->id, given.data, given.len);
    out->id[given.len] = '\0';
}
