/* index/round.h: a round: ranges that one store_read() reads together, bounded in bytes.
 *
 * A query or a snapshot_open() holds one round at a time, so its memory does not grow with the namespace. It asks
 * for ranges until the round is full, reads them, uses the answers, and releases them before it asks for more.
 * round_ask() returns a handle, for which round_answer() gives the answer after round_read().
 *
 *       while (more && round_takes(&r, len, 1))
 *           handle = round_ask(&r, &range);
 *       status = round_read(&r);
 *       … round_answer(&r, handle)->bytes …
 *       round_release(&r);
 *
 * A round has one owner thread.
 */
#ifndef INDEX_ROUND_H
#define INDEX_ROUND_H

#include "store/store.h"

#define ROUND_BYTES_MAX ((uint64_t)256 << 20)

enum {
    /* Bytes that a round counts for each range beside its length, since a remote store may also read a gap of this
     * length (store/ranges.h). */
    ROUND_GAP = 64 * 1024
};

/* The ranges of one round, and their answers. */
struct round {
    struct call *call;
    struct store *store;
    uint64_t bytes_max, bytes;   /* maximum bytes, and bytes counted so far */
    struct store_read_req *reqs; /* [count] */
    size_t count, room;
    enum dp_status status; /* DP_NOMEM after memory ran out in a round_ask() */
};

/* Makes an empty round of at most bytes_max bytes; 0: ROUND_BYTES_MAX. */
void round_init(struct round *r, struct call *call, struct store *store, uint64_t bytes_max);
void round_deinit(struct round *r);

/* Returns whether `ranges` more ranges, of `bytes` bytes together, fit. They always fit into an empty round. */
bool round_takes(const struct round *r, uint64_t bytes, size_t ranges);
/* Adds a range, even if it does not fit, and returns its handle. The round uses req->key and req->pinned until its
 * end. round_read() reports a lack of memory. */
size_t round_ask(struct round *r, const struct store_read_req *req);
/* Makes a range that was added `len` bytes longer, even if that does not fit. */
void round_extend(struct round *r, size_t handle, uint64_t len);
/* Reads all ranges. Returns DP_OK even when a range failed: each answer has its own status. Fails with DP_NOMEM
 * when round_ask() had no memory, with DP_CANCELLED or with DP_DEADLINE. */
enum dp_status round_read(struct round *r);
/* Returns the answer of a range. It is valid until round_release(). */
const struct store_read_req *round_answer(const struct round *r, size_t handle);
/* Returns the status of an answer. Copies a failure to the call's error. */
enum dp_status round_check(struct round *r, size_t handle);
/* Moves an answer out of the round; the caller releases it. */
struct store_read_req round_take(struct round *r, size_t handle);
/* Releases the answers. The round is empty again, and old handles are invalid. */
void round_release(struct round *r);

#endif
