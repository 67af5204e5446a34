/* index/schema_row.h: rows of a write become documents in normal form. */
#ifndef INDEX_SCHEMA_ROW_H
#define INDEX_SCHEMA_ROW_H

#include "index/schema.h"

/* Checks the attributes of one row, the JSON object `object` without "id" and "vector", against the schema, and
 * sets *out to the document: the same attributes in normal form, without null. In the document of a patch, null
 * stays, because it clears the attribute. The schema is the request's own copy, with its memory in `arena`:
 * attributes that it lacks are learned from their values, and such an attribute may still widen in later rows of
 * the request. null and [] teach nothing and are left out. A patch of a vector attribute is refused.
 *
 * Fails with DP_INVALID, DP_TOO_LARGE or DP_NOMEM; the schema may then have learned from part of the row. */
enum dp_status schema_normalize(struct schema *schema, struct arena *arena, struct span object, bool patch,
                                struct span *out, struct dp_error *error);
/* Sets *out to the document as answers show it, the document itself or a copy in `arena`: without dropped
 * attributes, and with the vectors of its attributes as arrays of numbers, or as base64 of little-endian float32. */
enum dp_status schema_show(const struct schema *schema, struct arena *arena, struct span document, bool base64,
                           struct span *out, struct dp_error *error);

#endif
