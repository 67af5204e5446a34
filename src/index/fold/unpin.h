/* index/fold/unpin.h: finds the pins of a namespace that no branch needs (rule L10 of docs/internals/wal.md). */
#ifndef INDEX_UNPIN_H
#define INDEX_UNPIN_H

#include "index/clock.h"
#include "index/manifest/manifest.h"

/* A search for those pins of a manifest that no branch needs any more. */
struct unpin_search {
    struct store *store;
    struct span name;         /* of the namespace that has the pins */
    const struct manifest *m; /* the namespace's manifest, with the pins */
    const struct index_clock *clock;
    int64_t date_ms, lag_ms; /* the store's time; the age at which a pin without a branch is given up */
};

/* Puts the ids of the pins that no branch needs, and none ever will, into unused[*count], which has room for all pins.
 *
 * A branching puts the branch's manifest only over the state that the name had before the pin was added. So a pin
 * without a branch is given up only after that state has ended: if the name has no manifest, or a tombstone, this
 * function puts another tombstone first. */
enum dp_status unpin_find(struct call *call, const struct unpin_search *search, struct ulid *unused,
                          size_t *count);

#endif
