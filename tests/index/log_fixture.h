/* log_fixture.h: puts log entries of a namespace into the store, as a writer does. */
#ifndef LOG_FIXTURE_H
#define LOG_FIXTURE_H

#include "index_fixture.h"

#include "index/wal/entry.h"

/* The log of a namespace, and the entry that is being made. */
struct fixture_log {
    struct world *world;
    const char *name;
    struct ulid incarnation;
    uint64_t next;  /* number of the entry that log_put() puts */
    uint64_t chain; /* hash of the entry before */
    struct wal_encoder encoder;
};

/* Changes a manifest and puts it, with the next sequence, as another node's swap does. */
void log_change_manifest(struct world *w, const char *name, void (*change)(void *context, struct manifest *m),
                         void *context);
/* Begins the log of a namespace that exists and has no log entry: gives its manifest the feature. */
void log_init(struct fixture_log *log, struct world *w, const char *name);
void log_deinit(struct fixture_log *log);
/* Begins an entry; then come rows and deletions; log_put() ends it and puts it. */
void log_entry(struct fixture_log *log);
/* Adds a row of the fixture in an edition (index_fixture.h). */
void log_row(struct fixture_log *log, uint64_t row, unsigned edition);
/* Adds such a row without a vector. */
void log_vectorless_row(struct fixture_log *log, uint64_t row, unsigned edition);
void log_deleted(struct fixture_log *log, uint64_t row);
/* Ends the entry and returns its bytes, valid until the next entry. */
struct span log_end(struct fixture_log *log);
/* Ends the entry and puts it under its number. */
void log_put(struct fixture_log *log);
/* Puts bytes as entry `number`. */
void log_put_bytes(struct fixture_log *log, uint64_t number, struct span bytes);

#endif
