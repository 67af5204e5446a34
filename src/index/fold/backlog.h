/* index/fold/backlog.h: claims to work in the background. */
#ifndef INDEX_FOLD_BACKLOG_H
#define INDEX_FOLD_BACKLOG_H

#include "index/manifest/manifest.h"

/* Claims one kind of work for a node (NULL: claims nothing), from the manifest's swap on. A claim is a hint: a node
 * that ignores it repeats work and harms nothing. */
void claim_work(struct manifest *m, enum claim_kind kind, const struct ulid *node,
                const struct index_clock *clock);

#endif
