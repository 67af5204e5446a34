/* index/load/spill.h: bytes that wait until a segment is built: in memory at first, in a file when they are many.
 *
 * The file lies in $TMPDIR (else /var/tmp) and has no name, so that nothing stays however the process ends. One owner
 * thread.
 */
#ifndef INDEX_SPILL_H
#define INDEX_SPILL_H

#include "base/buffer.h"

struct spill {
    struct buffer memory; /* all bytes while fd < 0; then those not yet written to the file */
    size_t memory_max;
    int fd;
    uint64_t len; /* bytes in all */
    void *mapped; /* the file, between spill_view and spill_clear */
    size_t mapped_len;
};

void spill_init(struct spill *s, size_t memory_max);
void spill_deinit(struct spill *s);
enum dp_status spill_append(struct spill *s, struct span bytes, struct dp_error *error);
/* All bytes side by side, aligned for any type. Valid until the next call on `s`. */
enum dp_status spill_view(struct spill *s, struct span *out, struct dp_error *error);
/* Empties it. */
void spill_clear(struct spill *s);

#endif
