/* index/query/reader.h: an open namespace, shared by its queries. */
#ifndef INDEX_READER_H
#define INDEX_READER_H

#include <pthread.h>

#include "index/query/snapshot.h"

/* How many times a reader reads the manifest again because a listed object is missing. After that, the namespace
 * counts as damaged. */
enum { READER_RELOADS = 2 };

/* An open namespace. Any thread may use it. */
struct index_reader {
    struct store *store;
    struct span name;     /* owned */
    uint64_t round_bytes; /* maximum bytes of a round; 0: ROUND_BYTES_MAX (index/round.h) */
    const struct index_clock *clock;
    pthread_mutex_t lock; /* guards `current`, and `seen` of each snapshot */
    struct snapshot *current;
};

/* Opens a namespace like index_open(), with a maximum of bytes per round (0: ROUND_BYTES_MAX) and by this clock. */
enum dp_status reader_open(struct call *call, struct store *store, struct span name, uint64_t round_bytes,
                           const struct index_clock *clock, struct index_reader **out);
/* Returns the current snapshot; the caller releases it. */
struct snapshot *reader_snapshot(struct index_reader *reader);
/* Makes `s` the current snapshot unless the present one is newer; takes over one reference.
 *
 * When one read of the manifest began after the answer to the other, its manifest is newer. The sequences do not
 * matter then, since a restored bucket has a smaller sequence. When the two reads overlapped, the larger sequence
 * is newer within one incarnation. Between two incarnations, the read that began later is newer. */
void reader_install(struct index_reader *reader, struct snapshot *s);
/* Notes that the read `seen` found the manifest of `s` unchanged. */
void reader_confirm(struct index_reader *reader, struct snapshot *s, struct manifest_read seen);
/* Reads the manifest again and opens its snapshot, in two rounds. Fails with DP_CORRUPT when a listed object stays
 * missing. The caller releases *out. */
enum dp_status reader_reload(struct call *call, struct index_reader *reader, struct snapshot **out);

#endif
