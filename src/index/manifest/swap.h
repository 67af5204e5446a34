/* index/manifest/swap.h: the one way to change a manifest: read it, edit it, put it under the condition that it is still the one
 * that was read, and find out what became of a put that had no clear answer.
 */
#ifndef INDEX_SWAP_H
#define INDEX_SWAP_H

#include "index/manifest/manifest.h"

enum {
    SWAP_TRIES = 32,
    SWAP_WAIT_BASE_MS = 50,           /* the first wait is at most this long; each doubles the next */
    SWAP_WAIT_CAP_MS = 5000,          /* longest wait between two tries */
    SWAP_LOOK_MAX_MS = 5 * 60 * 1000, /* a look that begins later than this after a lost put decides nothing */
    SWAP_SETTLE_MS = 5000             /* for the last look, after the caller's call has ended */
};

/* What a change does. `context` is manifest_swap's. */
struct manifest_edit {
    /* Edits the manifest that is there (or, without one, an empty one, whose incarnation and vectors it sets). Objects
     * that the new manifest lists must be written when it returns. *needed = false: nothing is to be changed. DP_STALE: an
     * object that *m lists is gone, so *m is old; other failures end the swap. */
    enum dp_status (*apply)(struct call *call, void *context, struct manifest *m, bool exists, bool *needed);
    /* The manifest was put, whatever was answered: from now on, what it lists may be listed. Not called for a put that found
     * the store full when a look confirms that it left nothing: who has written objects should be able to make room. */
    void (*sent)(void *context);
    /* Whether a manifest lists something that only this change adds. */
    bool (*shows)(const void *context, const struct manifest *m);
};

/* Time, for tests to replace. */
struct swap_clock {
    int64_t (*now_ns)(void *ctx); /* counts while the host sleeps */
    /* DP_OK when that time has passed, or why the call ended. */
    enum dp_status (*wait)(void *ctx, struct call *call, int64_t ms);
    void *ctx;
};

/* Changes the manifest of `name`, and starts anew over what another writer left where that was first: up to SWAP_TRIES
 * times, with waits of random length between them. `clock` may be NULL: the system's.
 *
 * DP_OK             the change is made, or was not needed; *out is the manifest, for the caller to deinit
 * DP_UNKNOWN        the put was sent, and it cannot be told whether it was or will be carried out
 * DP_NOT_DURABLE    the new manifest can be read, but the store cannot promise to keep it
 * DP_CONFLICT       other writers were first each time
 * DP_TOO_LARGE      the manifest has no room for the change
 * DP_CORRUPT        an object that the manifest lists is missing
 * else              as apply or the store failed; the change is not made, nor will it be */
enum dp_status manifest_swap(struct call *call, struct store *store, struct span name, const struct ulid *writer,
                             const struct manifest_edit *edit, void *context, const struct swap_clock *clock,
                             struct manifest *out);

#endif
