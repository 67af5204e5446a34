/* index/fold/loads.h: what a fold does with loads: it lists those that the log attaches, and removes the void ones
 * from the manifest.
 *
 * A fold knows which rows of its view's segments a load replaces, but keeps no ids of the load. So it cannot go on
 * over a manifest that lists other segments; then it starts again (tests/models/m10_loads.py).
 *
 * A fold may read the void of a load that became pending after the fold's manifest. It must not pass the void while the
 * newest manifest has the load pending: the load would be open again, and the log could decide about it twice.
 */
#ifndef INDEX_FOLD_LOADS_H
#define INDEX_FOLD_LOADS_H

#include "index/query/view.h"

/* What the log says about the pending loads of a view, at the entry up to which a fold goes. */
struct folded_loads {
    const struct snapshot *base;
    enum load_fate *fates; /* [base->load_count], in the call's arena */
    size_t settled;        /* how many are not LOAD_OPEN */
    struct ulid *younger;  /* [younger_count], in the call's arena: void loads that the base does not have */
    size_t younger_count;
};

/* Copies what the view says now. The fold goes up to entry `last`. The caller holds the view's lock. */
enum dp_status folded_loads_take(struct call *call, const struct view *view, uint64_t last,
                                 struct folded_loads *out);
/* Returns whether segment i of the base does not count. */
bool folded_loads_hide(const struct folded_loads *loads, size_t i);
/* Returns whether a fold may go on over the manifest `m`: no younger load is pending there; and no load is settled,
 * or `m` has the base's floor and lists only segments of the base, and the attached loads have the segments that they
 * have in the base. */
bool folded_loads_fit(const struct folded_loads *loads, const struct manifest *m);
/* Lists the attached loads in `m`, and removes them and the void ones from its pending loads. Fails with
 * DP_CORRUPT when an attached load is not pending. */
enum dp_status folded_loads_settle(struct call *call, const struct folded_loads *loads, struct manifest *m);
/* Returns the rows of the attached loads. */
uint64_t folded_loads_rows(const struct folded_loads *loads);

/* Returns the number of loads that have been pending for INDEX_LAG_MS without an entry about them. */
size_t fold_count_abandoned(struct view *view, int64_t now_ms);
/* Puts "void" entries for loads that have been pending for `after_ms` without an entry. *view, which is current, may
 * become a newer one. Leaves the loads to a later fold when other writers are first each time, and where the reader's
 * log ends before lost entries. */
enum dp_status fold_give_up_abandoned(struct call *call, struct index_reader *reader, int64_t after_ms,
                                      struct view **view);

#endif
