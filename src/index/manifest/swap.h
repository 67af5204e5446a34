/* index/manifest/swap.h: the one way to change a manifest.
 *
 * A swap reads the manifest, edits it, and puts it on condition that nobody changed the manifest meanwhile. If
 * the put gets no clear answer, the swap finds out whether the store carried it out.
 */
#ifndef INDEX_SWAP_H
#define INDEX_SWAP_H

#include "index/manifest/manifest.h"

enum {
    SWAP_TRIES = 32,
    SWAP_WAIT_BASE_MS = 50,           /* maximum of the first wait; each try doubles it */
    SWAP_WAIT_CAP_MS = 5000,          /* maximum wait between two tries */
    SWAP_LOOK_MAX_MS = 5 * 60 * 1000, /* a look that begins this long after a lost put decides nothing */
    SWAP_SETTLE_MS = 5000             /* time for the last look, which does not count for the caller's deadline */
};

/* A change. Each function gets the `context` of manifest_swap. */
struct manifest_edit {
    /* Edits the manifest that exists, or an empty one. With makes_lives *m may be a tombstone, and apply may begin or end
     * a life (manifest_begin_life). Objects that the new
     * manifest lists must be written when it returns. *needed = false: nothing needs to change. DP_STALE: an
     * object that *m lists is gone, so *m is old; any other failure ends the swap. */
    enum dp_status (*apply)(struct call *call, void *context, struct manifest *m, bool exists, bool *needed);
    /* The swap calls this after each put, whatever the answer: from now on the store may hold a manifest that
     * lists the change's objects. Exception: the store was full, and a look has confirmed that it does not hold
     * the new manifest. Then the caller may remove its objects to make room. */
    void (*sent)(void *context);
    /* Whether a manifest lists something that this change alone adds. */
    bool (*shows)(const void *context, const struct manifest *m);
    /* Whether apply also takes a tombstone or no manifest. If not, the swap fails there with DP_NOT_FOUND. */
    bool makes_lives;
};

/* Changes the manifest of `name`. Where another writer was first, it starts again over that writer's manifest: up
 * to SWAP_TRIES times, with waits of random length between.
 *
 *   DP_OK             the change is made, or was not needed; *out is the manifest, which the caller deinits
 *   DP_UNKNOWN        the swap sent the put, and cannot find out whether the store carries it out
 *   DP_NOT_DURABLE    the new manifest can be read, but the store cannot promise to keep it
 *   DP_CONFLICT       other writers were first each time
 *   DP_TOO_LARGE      the manifest has no room for the change
 *   DP_CORRUPT        an object that the manifest lists is missing
 *   any other         from apply or the store; the change is not made, and never will be */
enum dp_status manifest_swap(struct call *call, struct store *store, struct span name,
                             const struct manifest_edit *edit, void *context, const struct index_clock *clock,
                             struct manifest *out);

#endif
