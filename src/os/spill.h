/* os/spill.h: keeps bytes until a caller needs all of them: in memory first, and in a file once they exceed
 * memory_max.
 *
 * The file lies in $TMPDIR (else /var/tmp) and has no name, so it disappears however the process ends. One owner
 * thread.
 */
#ifndef OS_SPILL_H
#define OS_SPILL_H

#include "base/buffer.h"

struct spill {
    struct buffer memory; /* while fd < 0: all bytes; else the bytes that are not yet in the file */
    size_t memory_max;    /* maximum bytes in memory before there is a file */
    int fd;               /* the file, or -1 */
    uint64_t len;         /* number of all bytes */
    void *mapped;         /* the file, between spill_view and spill_clear */
    size_t mapped_len;
};

void spill_init(struct spill *s, size_t memory_max);
void spill_deinit(struct spill *s);
enum dp_status spill_append(struct spill *s, struct span bytes, struct dp_error *error);
/* Gives all bytes as one span, aligned for any type. The span is valid until the next spill_append, spill_view or
 * spill_clear. */
enum dp_status spill_view(struct spill *s, struct span *out, struct dp_error *error);
/* Returns whether the bytes are in memory, so that spill_view() maps no file. */
static inline bool spill_in_memory(const struct spill *s)
{
    return s->fd < 0;
}
/* Frees the memory in which spill_view() shows a file. The span stays valid: the system reads its bytes from the
 * file again when a thread uses them. Other threads may use the span meanwhile. */
void spill_unload(const struct spill *s);
/* Copies bytes that spill_view() has shown, without keeping the file in memory. Any thread may call it. */
enum dp_status spill_read(const struct spill *s, uint64_t at, size_t len, void *to, struct dp_error *error);
/* Drops all bytes. */
void spill_clear(struct spill *s);

#endif
