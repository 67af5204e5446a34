/* index/query/log_read.h: reads log entries by their names, in a round that may also read other things.
 *
 * Nobody lists the log: a reader asks for the next numbers, and the first number without an object is the end. S3
 * refuses the read of a missing object to a client without the right to list. So a refusal counts as "no object" if the
 * store says that the object may be missing (store_read_missing()). A call that reads the log has read the manifest in
 * the same round or in an earlier one, so the client's keys and rights were good then. Any other refusal fails.
 */
#ifndef INDEX_LOG_READ_H
#define INDEX_LOG_READ_H

#include "index/round.h"
#include "index/wal/entry.h"

enum {
    /* Bytes of an entry that the first read asks for; a second read gets the rest. So a round of LOG_READ_MORE
     * entries has a bound. */
    LOG_READ_LEN = 512 * 1024,
    LOG_READ_PROBE = 1,  /* entries that a strong query asks for if segments hold the whole log */
    LOG_READ_SOME = 9,   /* entries that a strong query asks for if the log has some that no segment holds */
    LOG_READ_BUSY = 16,  /* entries that a strong query asks for if the query before found new ones */
    LOG_READ_FIRST = 64, /* entries that opening asks for; also a query, once it has found a new entry */
    LOG_READ_MORE = 256  /* entries of each later round */
};

/* Entries that a round reads: numbers first, first + 1, … They belong to the call's arena. */
struct log_read {
    const struct ulid *incarnation;
    uint64_t first;
    size_t count;
    struct object_key *keys; /* [count] */
    size_t *handles;         /* [count] */
};

/* Parsed entries with the numbers first, first + 1, …; numbers and incarnation are checked, hashes are not. */
struct log_run {
    uint64_t first;
    struct wal_entry **entries; /* [count], in the call's arena; log_run_release() releases them */
    size_t count;
    bool ended;      /* the entry after them does not exist */
    bool hole;       /* the entry after them does not exist, but a later entry does */
    int64_t date_ms; /* the store's clock at the latest answer, also at one that says "no entry"; 0: unknown */
};

/* Asks the round for `count` entries from `first` on. If the namespace has no log, `count` is 0. The incarnation must
 * outlive the round. */
enum dp_status log_read_ask(struct round *round, struct span name, const struct ulid *incarnation, uint64_t first,
                            size_t count, struct log_read *out);
/* Parses the answers. Reads the rest of long entries, in one more round. Fails with DP_CORRUPT or DP_UNSUPPORTED and
 * the name of an entry, or as the store does. */
enum dp_status log_read_take(struct round *round, const struct log_read *read, struct log_run *out);
void log_run_release(struct log_run *run);

#endif
