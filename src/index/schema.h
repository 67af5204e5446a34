/* index/schema.h: the schema of a namespace: how rows and declarations change it.
 *
 * A load learns the types from its rows. An attribute has one type; null fits all types, and an empty array
 * fits all array types. An int attribute becomes float when a row of a load has a fraction, and []int becomes
 * []float. A row that would need any other change is an error. Types that no value shows (uint, uuid, datetime,
 * bytes, vectors) come by declaration (index/schema_declare.h); a load then brings their values in normal form.
 * The first commit of an attribute gives it a number, which never changes. Number 1 is the vector.
 */
#ifndef INDEX_SCHEMA_H
#define INDEX_SCHEMA_H

#include "base/arena.h"
#include "base/json.h"
#include "filter/attribute.h"
#include "index/index.h"

enum {
    SCHEMA_ATTRIBUTES_MAX = 1024,
    SCHEMA_NAME_MAX = 128,
    SCHEMA_VECTORS_MAX = 8 /* vector attributes beside "vector" */
};

/* Fails with DP_INVALID for a name that is empty, too long, reserved or not UTF-8. */
enum dp_status schema_check_name(struct span name, struct dp_error *error);

/* Makes *out a copy of `from`, with all its memory in `arena`. No attribute of the copy counts as learned. */
enum dp_status schema_copy(const struct schema *from, struct arena *arena, struct schema *out,
                           struct dp_error *error);
/* Adds an attribute, which gets the next number; the schema has none of its name. Name and options are copied to
 * `arena`. */
enum dp_status schema_add(struct schema *schema, struct arena *arena, const struct attribute *attribute,
                          struct dp_error *error);

/* Joins the attributes of one row of a load, the JSON object `object`, to the schema, and copies new names to
 * `arena`. Needs memory of `scratch`. Fails with DP_INVALID, DP_TOO_LARGE or DP_NOMEM; then the schema does not
 * change. */
enum dp_status schema_learn(struct schema *schema, struct arena *arena, struct span object, struct arena *scratch,
                            struct dp_error *error);
/* Joins the attributes of `from` to `into`, which keeps its numbers and options, and gives the next numbers to
 * new attributes. If `from` alone has a kind of ids, or elements of "vector" other than f32, `into` gets them.
 * DP_INVALID if the kinds of ids or the types of an attribute differ. */
enum dp_status schema_join(struct schema *into, struct arena *arena, const struct schema *from,
                           struct dp_error *error);

/* Fails with DP_INVALID for a value of another type than the attribute's. `may_widen`: an int attribute may become
 * float, and []int may become []float. */
enum dp_status schema_widen(struct attribute *known, enum attribute_type seen, bool may_widen,
                            struct dp_error *error);

/* Writes the schema as turbopuffer does: {"name": {"type": "string", "filterable": true, …}, …}, with "id" if
 * its kind is known, and with "vector" if `vectors` is not NULL and has dimensions. */
void schema_print(const struct schema *schema, const struct index_vectors *vectors, struct json_writer *w);

#endif
