/* deleted.c: reads and writes .del objects; deleted.h has their grammar. */
#include "index/segment/deleted.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/checksum.h"

enum dp_status row_set_init(struct row_set *set, uint64_t rows, struct dp_error *error)
{
    *set = (struct row_set){.rows = rows, .bits = mem_calloc((size_t)(rows / 8 + 1), 1)};
    return set->bits ? DP_OK : dp_fail_nomem(error, "a set of rows");
}

void row_set_deinit(struct row_set *set)
{
    mem_free(set->bits);
    *set = (struct row_set){0};
}

void row_set_join(struct row_set *into, const struct row_set *from)
{
    into->count = 0;
    for (uint64_t byte = 0; byte <= into->rows / 8; byte++) {
        into->bits[byte] |= from->bits[byte];
        into->count += (uint64_t)__builtin_popcount(into->bits[byte]);
    }
}

void deleted_write(const struct row_set *set, const struct ulid *segment, struct buffer *out)
{
    size_t start = out->len;
    buffer_append_str(out, DELETED_MAGIC);
    buffer_u32(out, DELETED_VERSION);
    buffer_append(out, ulid_span(segment));
    buffer_u16(out, 0);
    buffer_u64(out, set->rows);
    buffer_u64(out, set->count);
    uint64_t before = 0;
    for (uint64_t row = 0; row < set->rows; row++) {
        if (row % 8 == 0 && set->bits[row / 8] == 0) {
            row += 7;
            continue;
        }
        if (!row_set_has(set, row))
            continue;
        buffer_varint(out, row - before);
        before = row;
    }
    if (out->status == DP_OK)
        buffer_u64(out, checksum64(span_of(out->data + start, out->len - start)));
}

enum dp_status deleted_parse(struct span bytes, const struct ulid *segment, uint64_t rows, uint64_t count,
                             struct row_set *set, struct dp_error *error)
{
    if (bytes.len < DELETED_FIXED_LEN)
        return dp_fail(error, DP_CORRUPT, "%zu bytes are too few for deleted rows", bytes.len);
    struct cursor tail = cursor_over(span_of(bytes.data + bytes.len - FORMAT_CHECKSUM_LEN, FORMAT_CHECKSUM_LEN));
    struct span covered = span_of(bytes.data, bytes.len - FORMAT_CHECKSUM_LEN);
    if (cursor_u64(&tail) != checksum64(covered))
        return dp_fail(error, DP_CORRUPT, "its checksum does not fit");
    struct cursor c = cursor_over(covered);
    if (!span_equal_str(cursor_bytes(&c, FORMAT_MAGIC_LEN), DELETED_MAGIC))
        return dp_fail(error, DP_CORRUPT, "it does not begin with the magic bytes of deleted rows");
    uint32_t version = cursor_u32(&c);
    if (version != DELETED_VERSION)
        return dp_fail(error, DP_UNSUPPORTED, "it has format version %" PRIu32 "; this build reads %d", version,
                       DELETED_VERSION);
    if (!span_equal(cursor_bytes(&c, ULID_LEN), ulid_span(segment)) || cursor_u16(&c) != 0 ||
        cursor_u64(&c) != rows || cursor_u64(&c) != count)
        return dp_fail(error, DP_CORRUPT, "it does not belong to segment %s as the manifest lists it",
                       segment->text);
    enum dp_status status = row_set_init(set, rows, error);
    if (status)
        return status;
    uint64_t row = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t gap = cursor_varint(&c);
        if (c.failed || (gap == 0 && i > 0) || gap >= rows || row + gap >= rows) {
            row_set_deinit(set);
            return dp_fail(error, DP_CORRUPT, "deleted row number %" PRIu64 " is not in order", i);
        }
        row += gap;
        row_set_add(set, row);
    }
    if (c.rest.len != 0) {
        row_set_deinit(set);
        return dp_fail(error, DP_CORRUPT, "%zu bytes follow the deleted rows", c.rest.len);
    }
    return DP_OK;
}
