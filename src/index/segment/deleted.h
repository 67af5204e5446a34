/* index/segment/deleted.h: the deleted rows of a segment, in memory and as a .del object.
 *
 * The object, little endian:
 *    0  8   "DPRDEL1\n"
 *    8  u32 format version, 1
 *   12  26  ULID of the segment
 *   38  u16 0
 *   40  u64 rows of the segment
 *   48  u64 count of deleted rows
 *   56      count LEB128 numbers: the first row, then each row minus the row before
 *  end  u64 XXH3-64 of all bytes before
 */
#ifndef INDEX_DELETED_H
#define INDEX_DELETED_H

#include "base/buffer.h"
#include "index/object_name.h"
#include "index/segment/format.h"

/* A set of rows of a segment. Row i is bit i % 8 of byte i / 8. */
struct row_set {
    uint64_t rows, count; /* rows of the segment; rows in the set */
    uint8_t *bits;        /* rows / 8 + 1 bytes */
};

/* Makes an empty set for a segment of `rows` rows. Fails with DP_NOMEM. */
enum dp_status row_set_init(struct row_set *set, uint64_t rows, struct dp_error *error);
void row_set_deinit(struct row_set *set);

static inline bool row_set_has(const struct row_set *set, uint64_t row)
{
    return row < set->rows && (set->bits[row / 8] >> (row % 8) & 1) != 0;
}

/* Adds a row, which must be < set->rows. Returns false when the set already had it. */
static inline bool row_set_add(struct row_set *set, uint64_t row)
{
    if (row_set_has(set, row))
        return false;
    set->bits[row / 8] |= (uint8_t)(1u << (row % 8));
    set->count++;
    return true;
}

/* Adds the rows of another set for the same segment. */
void row_set_join(struct row_set *into, const struct row_set *from);

/* Appends the .del object of a segment. */
void deleted_write(const struct row_set *set, const struct ulid *segment, struct buffer *out);
/* Initialises *set from the .del object of a segment with `rows` rows, `count` of them deleted. Fails with
 * DP_CORRUPT, DP_UNSUPPORTED or DP_NOMEM; then there is nothing to free. */
enum dp_status deleted_parse(struct span bytes, const struct ulid *segment, uint64_t rows, uint64_t count,
                             struct row_set *set, struct dp_error *error);

#endif
