/* index/wal/member.h: one write, checked by its own thread before a group takes it.
 *
 * Whatever does not depend on the newest rows is done here: ids become id keys, vectors are checked, and the
 * attributes must be known to the manifest, because no log entry may name one that the manifest lacks.
 */
#ifndef INDEX_WAL_MEMBER_H
#define INDEX_WAL_MEMBER_H

#include "index/manifest/manifest.h"
#include "index/wal/commit_group.h"
#include "index/wal/entry.h"
#include "index/wal/write_key.h"

/* Maximum bytes of the records of one write, by wal_row_bytes(). */
enum { WAL_ROWS_MAX = WAL_ENTRY_MAX - WAL_HEAD_LEN - WAL_CHECKSUM_LEN };

/* The rows that a filter of a write has found. */
struct chosen_rows {
    const struct index_choice *choice;
    struct span *keys; /* [count]: id keys, in no order */
    bool *applied;     /* [count]: whether the write has changed the row */
    size_t count, room;
    bool more; /* more rows match than the write takes */
};

/* A write in its namespace's queue. Its memory is in the arena of its call. */
struct write_member {
    struct group_member queued;
    const struct index_write *write;
    struct span *keys;      /* [write->count]: id keys */
    struct span *documents; /* [write->count]: attributes, "{}" for none */
    struct span patch;      /* attributes of write->patch, "{}" for none */
    struct chosen_rows deletes, patches;
    struct write_key key;        /* of a write with a key: its id and its request */
    uint64_t chosen_at;          /* number of the newest log entry before the filters chose rows */
    struct ulid incarnation;     /* life of the namespace that the write was checked for */
    struct index_vectors vector; /* dimension and metric of its vectors; `model` and `fingerprint` are empty */
    /* The outcome. While a group has taken the member, the outcome belongs to the leader. */
    enum dp_status status;
    struct dp_error error;
    struct index_write_result result;
};

/* Checks a write for a namespace with the manifest `m`. Sets *learns if the write names an attribute that the manifest
 * lacks, or the manifest lacks the feature "log": then write_learn() must come first. Fails as index_write() does. */
enum dp_status write_prepare(struct call *call, const struct manifest *m, const struct index_write *write,
                             struct write_member *out, bool *learns);
/* Brings the attributes of a prepared write, and the feature "log", into the manifest by a swap. Fails with DP_CONFLICT
 * when the namespace has another incarnation now. */
enum dp_status write_learn(struct call *call, struct store *store, struct span name, const struct write_member *m,
                           const struct index_clock *clock);

#endif
