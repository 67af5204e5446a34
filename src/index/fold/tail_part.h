/* index/fold/tail_part.h: the part of a tail that one fold moves.
 *
 * A fold copies the vectors that it moves, so it takes at most so many rows and bytes that its memory stays small, however long
 * the tail is. The first entries of a tail are such a part: the fold moves wal_floor behind the last of them.
 */
#ifndef INDEX_FOLD_TAIL_PART_H
#define INDEX_FOLD_TAIL_PART_H

#include "index/wal/tail.h"

struct tail_part {
    const struct wal_record **newest; /* [count]: the newest record of each id, in no order */
    size_t count;
    bool whole;           /* it is all of the tail */
    uint64_t last, chain; /* unless it is whole: number and hash of its last entry */
};

/* Takes the first part of a tail that has an entry. rows_max: most rows, but for those of one entry; 0: as many as suit a fold.
 * The records stay those of the tail's entries. The caller holds the lock of the tail, and deinits *out, also after a failure. */
enum dp_status tail_part_take(const struct tail *tail, uint64_t rows_max, struct tail_part *out,
                              struct dp_error *error);
void tail_part_deinit(struct tail_part *part);

#endif
