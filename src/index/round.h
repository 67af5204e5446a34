/* index/round.h: a round: ranges that are read together, bounded in bytes.
 *
 * Whatever a namespace's size, a query or an opening holds one round at a time: it asks for ranges while the round
 * takes them, reads, uses what came, and releases it before it asks for more. One owner thread.
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
};

/* bytes_max 0: ROUND_BYTES_MAX. */
void round_init(struct round *r, struct call *call, struct store *store, uint64_t bytes_max);
void round_deinit(struct round *r);

/* Whether `ranges` more ranges of so many bytes together fit. A round to which nothing was charged takes anything. */
bool round_takes(const struct round *r, uint64_t bytes, size_t ranges);
/* Adds a range, whether it fits or not; it is r->reqs[r->count - 1] then. Its key and pin must live on. DP_NOMEM. */
enum dp_status round_ask(struct round *r, const struct store_read_req *req);
/* Reads what was asked for, if anything. Each request is to be judged by itself: the call has no error afterwards. */
void round_read(struct round *r);
/* Releases what was read: the round is empty again. */
void round_release(struct round *r);

#endif
