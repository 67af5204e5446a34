/* index/load/row_change.h: puts rows into a manifest: adds the segments that hold them, and marks as deleted
 * the rows of older segments that these rows supersede. Loads and folds make such changes.
 *
 * A row_change lives through all tries of one swap. Each try finds the rows of listed segments whose id keys are
 * among the change's, writes .del objects for these segments, and adds the change's own segments. If another swap
 * was first, the next try keeps the results for segments that the newer manifest still lists.
 */
#ifndef INDEX_ROW_CHANGE_H
#define INDEX_ROW_CHANGE_H

#include "index/load/object_log.h"
#include "index/load/supersede.h"

struct superseded; /* row_change.c */

/* A change of rows. It has one owner thread. */
struct row_change {
    struct store *store;
    struct span name; /* of the namespace */
    const struct index_clock *clock;
    struct arena *arena;     /* of the owner; for the lists below */
    struct object_log *log;  /* of the owner; notes the .del objects */
    const struct span *keys; /* [key_count], sorted: id keys whose rows in listed segments are superseded */
    size_t key_count;
    const struct manifest_segment *segments; /* [segment_count]: the segments to add */
    size_t segment_count;
    const struct schema *schema; /* attributes to join to the manifest's; NULL: none */

    /* Set by row_change_apply(). */
    struct superseded *superseded;
    uint64_t replaced; /* rows that the latest try found superseded and that were not deleted before */
};

/* Tells the change which rows of a segment it supersedes, so that it need not search that segment. Takes over
 * *rows. The caller has set the change's arena. DP_NOMEM. */
enum dp_status row_change_know(struct call *call, struct row_change *change, const struct ulid *segment,
                               struct row_set *rows);
/* Edits the manifest, for manifest_edit.apply. Fails with DP_STALE when a listed object is missing, with DP_CONFLICT
 * when the horizon has passed a segment of the change, and with DP_TOO_LARGE when the namespace would have too many
 * rows or segments. */
enum dp_status row_change_apply(struct call *call, struct row_change *change, struct manifest *m);
/* Fails with DP_CONFLICT when the horizon of `m` has passed a segment of a load: it may have been collected. */
enum dp_status row_change_check_horizon(struct call *call, const struct row_change *change,
                                        const struct manifest *m);
/* Returns whether the manifest lists a segment of the change, or has it pending. Nobody uses a segment's ULID twice,
 * so only a swap of this change can have listed it. */
bool row_change_shows(const struct row_change *change, const struct manifest *m);
void row_change_deinit(struct row_change *change);

/* Puts a .del object with the rows `all` of a segment of `m`, under a ULID after the horizon of `m`, and sets the
 * fields of *out that describe it. The horizon cannot move before the swap. */
enum dp_status put_deleted_rows(struct call *call, const struct index_clock *clock,
                                const struct segment_place *place, const struct manifest *m,
                                const struct row_set *all, struct object_log *log, struct manifest_segment *out);

#endif
