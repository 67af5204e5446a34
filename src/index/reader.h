/* index/reader.h: an open namespace, shared by its queries. */
#ifndef INDEX_READER_H
#define INDEX_READER_H

#include <pthread.h>

#include "index/snapshot.h"

struct index_reader {
    struct store *store;
    struct span name;     /* owned */
    pthread_mutex_t lock; /* guards `current` */
    struct snapshot *current;
};

/* The current snapshot; the caller releases it. */
struct snapshot *reader_snapshot(struct index_reader *reader);
/* Makes `s` the current one unless that is newer; takes over one reference. */
void reader_install(struct index_reader *reader, struct snapshot *s);
/* Reads the manifest anew and opens what it lists: two rounds. The caller releases *out. */
enum dp_status reader_reload(struct call *call, struct index_reader *reader, struct snapshot **out);

#endif
