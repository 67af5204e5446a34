/* index/round.h: a round: ranges that are read together, bounded in bytes.
 *
 * Whatever the size of a namespace, a query or an opening holds one round at a time: it asks for ranges while the
 * round takes them, reads, uses the answers, and releases them before it asks for more. round_ask returns a handle,
 * by which round_answer finds the answer after round_read.
 *
 *       while (more && round_takes(&r, len, 1))
 *           handle = round_ask(&r, &range);
 *       status = round_read(&r);
 *       … round_answer(&r, handle)->bytes …
 *       round_release(&r);
 *
 * One owner thread.
 */
#ifndef INDEX_ROUND_H
#define INDEX_ROUND_H

#include "store/store.h"

#define ROUND_BYTES_MAX ((uint64_t)256 << 20)

enum {
    /* Charged for each range beside its own bytes: a remote store reads gaps of this length along (store/ranges.h). */
    ROUND_GAP = 64 * 1024
};

struct round {
    struct call *call;
    struct store *store;
    uint64_t bytes_max, bytes; /* charged so far */
    struct store_read_req *reqs;
    size_t count, room;
    enum dp_status status; /* DP_NOMEM: a range found no memory */
};

/* bytes_max 0: ROUND_BYTES_MAX. */
void round_init(struct round *r, struct call *call, struct store *store, uint64_t bytes_max);
void round_deinit(struct round *r);

/* Whether `ranges` more ranges of so many bytes together fit. A round to which nothing was charged takes anything. */
bool round_takes(const struct round *r, uint64_t bytes, size_t ranges);
/* Adds a range, whether it fits or not, and returns its handle. Its key and pin must outlive the round. round_read
 * reports a failure. */
size_t round_ask(struct round *r, const struct store_read_req *req);
/* Reads the ranges, if there are any. DP_OK even where some of them failed: each answer has its own status. DP_NOMEM for
 * a range that could not be asked for; DP_CANCELLED and DP_DEADLINE. */
enum dp_status round_read(struct round *r);
/* The answer to a range, until round_release. */
const struct store_read_req *round_answer(const struct round *r, size_t handle);
/* The status of an answer; a failure becomes the call's error. */
enum dp_status round_check(struct round *r, size_t handle);
/* Moves an answer out of the round; the caller releases it. */
struct store_read_req round_take(struct round *r, size_t handle);
/* Releases the answers: the round is empty again, and their handles mean nothing. */
void round_release(struct round *r);

#endif
