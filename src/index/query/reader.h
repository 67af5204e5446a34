/* index/query/reader.h: an open namespace, shared by its queries. */
#ifndef INDEX_READER_H
#define INDEX_READER_H

#include <pthread.h>

#include "index/query/snapshot.h"

/* How often the manifest is read anew because objects that it lists are missing. Then they count as damage. */
enum { READER_RELOADS = 2 };

struct index_reader {
    struct store *store;
    struct span name;     /* owned */
    uint64_t round_bytes; /* maximum bytes of a round; 0: ROUND_BYTES_MAX (index/round.h) */
    pthread_mutex_t lock; /* guards `current`, and `seen` of each snapshot */
    struct snapshot *current;
};

/* As index_open, with a maximum of bytes for each round. */
enum dp_status reader_open(struct call *call, struct store *store, struct span name, uint64_t round_bytes,
                           struct index_reader **out);
/* The current snapshot; the caller releases it. */
struct snapshot *reader_snapshot(struct index_reader *reader);
/* Makes `s` the current snapshot unless the present one is newer; takes over one reference. The newer manifest is the
 * one whose read was sent after the other's was answered, whatever their sequences: a bucket that was restored goes
 * back, and an earlier life may be opened late. Between reads that overlapped, the sequence decides within one life,
 * else the time of sending. */
void reader_install(struct index_reader *reader, struct snapshot *s);
/* Notes that another read has found the manifest of `s`. */
void reader_confirm(struct index_reader *reader, struct snapshot *s, struct manifest_read seen);
/* Reads the manifest anew and opens what it lists: two rounds. The caller releases *out. */
enum dp_status reader_reload(struct call *call, struct index_reader *reader, struct snapshot **out);

#endif
