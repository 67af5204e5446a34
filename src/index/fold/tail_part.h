/* index/fold/tail_part.h: the part of a tail that one fold moves.
 *
 * A fold copies the vectors that it moves. To bound its memory, it takes only the first entries of a long tail, and
 * moves wal_floor behind the last of them.
 */
#ifndef INDEX_FOLD_TAIL_PART_H
#define INDEX_FOLD_TAIL_PART_H

#include "index/wal/tail.h"

struct tail_part {
    const struct wal_record **newest; /* [count]: the newest record of each id, in no order */
    size_t count;
    bool whole;           /* the part is the whole tail */
    uint64_t last, chain; /* unless `whole`: number and hash of the part's last entry */
};

/* Takes the first part of a tail, which must have an entry. rows_max: maximum rows, but the part has at least one
 * entry; 0: as many as suit a fold. The records still belong to the tail's entries. The caller holds the tail's lock,
 * and deinits *out, also after a failure. */
enum dp_status tail_part_take(const struct tail *tail, uint64_t rows_max, struct tail_part *out,
                              struct dp_error *error);
void tail_part_deinit(struct tail_part *part);

#endif
