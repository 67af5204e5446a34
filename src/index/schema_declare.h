/* index/schema_declare.h: declarations of attributes, as a write's "schema" or POST …/schema has them.
 *
 *   {"name": "string", "when": {"type": "datetime", "filterable": false}, "old": {"drop": true},
 *    "id": "uuid", "vector": {"type": "[384]f32", "ann": true}}
 */
#ifndef INDEX_SCHEMA_DECLARE_H
#define INDEX_SCHEMA_DECLARE_H

#include "index/schema.h"

/* What a declaration says beyond attributes. */
struct schema_changes {
    bool changed;    /* whether the schema differs from before */
    bool dropped;    /* whether an attribute was dropped */
    uint32_t dim;    /* of "vector"; 0: not declared */
    bool has_metric; /* whether "ann" of "vector" gives a metric */
    enum index_metric metric;
};

/* Joins the declarations of the JSON object `json` to the schema. `vectors` are those that the namespace has;
 * NULL or dim 0: none yet. A known attribute keeps the options that its declaration does not name. A dropped
 * attribute stays in the schema with `dropped` set: its name stays taken, and readers leave it out of
 * documents. Declaring the kind of the ids sets it if it is ID_ANY: the caller knows whether there are rows
 * already.
 *
 * Fails with DP_INVALID (another type, an unknown type or option), DP_UNSUPPORTED (sparse vectors, vectors of
 * several vectors), DP_TOO_LARGE or DP_NOMEM; then the schema does not change. The sentence names the
 * attribute. */
enum dp_status schema_declare(struct schema *schema, const struct index_vectors *vectors, struct arena *arena,
                              struct span json, struct schema_changes *changes, struct dp_error *error);

#endif
