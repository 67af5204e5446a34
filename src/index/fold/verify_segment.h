/* index/fold/verify_segment.h: verifies the objects of one segment. */
#ifndef INDEX_FOLD_VERIFY_SEGMENT_H
#define INDEX_FOLD_VERIFY_SEGMENT_H

#include "index/fold/verify.h"

/* Verifies the objects of one listed segment, and adds its live rows to v->live. Fails as index_verify() does. */
enum dp_status verify_segment(struct call *call, struct verification *v, const struct manifest_segment *listed);

#endif
