/* index/wal/patch.h: patches of documents. */
#ifndef INDEX_WAL_PATCH_H
#define INDEX_WAL_PATCH_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

/* Makes a document in `arena`: the old one, with the attributes of `patch` replaced; null removes an attribute.
 * Both are JSON objects, and no attribute occurs twice in one. Fails with DP_CORRUPT when the document is no such
 * object, with DP_INVALID when the patch is not, with DP_TOO_LARGE for more than INDEX_DOCUMENT_MAX bytes, or with
 * DP_NOMEM. */
enum dp_status document_patch(struct span document, struct span patch, struct arena *arena, struct span *out,
                              struct dp_error *error);

#endif
