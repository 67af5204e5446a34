/* index/schema.h: the attributes of a namespace and the types of their values.
 *
 * A load learns the types from its rows. An attribute has one type; null fits all types, and an empty array fits
 * all array types. An int attribute becomes float when a row has a fraction, and []int becomes []float. A row that
 * would need any other change is an error. The first commit of an attribute gives it a number, which never
 * changes. Number 1 is the vector.
 */
#ifndef INDEX_SCHEMA_H
#define INDEX_SCHEMA_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

enum { SCHEMA_ATTRIBUTES_MAX = 256, SCHEMA_NAME_MAX = 128 };

enum attribute_type {
    ATTRIBUTE_STRING,
    ATTRIBUTE_INT,
    ATTRIBUTE_FLOAT,
    ATTRIBUTE_BOOL,
    ATTRIBUTE_STRINGS,
    ATTRIBUTE_INTS,
    ATTRIBUTE_FLOATS,
    ATTRIBUTE_BOOLS
};

/* An attribute of a namespace. */
struct attribute {
    uint32_t number;
    enum attribute_type type;
    struct span name;
};

/* Attributes, ascending by number. An arena of the owner holds their names. */
struct schema {
    size_t count;
    struct attribute attributes[SCHEMA_ATTRIBUTES_MAX];
};

/* Returns "string", "[]int", … */
const char *attribute_type_name(enum attribute_type type);
/* Parses the name of a type. Returns false for an unknown one. */
bool attribute_type_parse(struct span name, enum attribute_type *out);

/* Fails with DP_INVALID for a name that is empty, too long, reserved or not UTF-8. */
enum dp_status schema_check_name(struct span name, struct dp_error *error);
/* Returns the attribute of this name, or NULL. */
struct attribute *schema_find(struct schema *schema, struct span name);

/* Joins the attributes of one row, the JSON object `object`, to the schema, and copies new names to `arena`. Names
 * with escapes need memory of `scratch`. Fails with DP_INVALID, DP_TOO_LARGE or DP_NOMEM; then the schema
 * does not change. */
enum dp_status schema_learn(struct schema *schema, struct arena *arena, struct span object, struct arena *scratch,
                            struct dp_error *error);
/* Joins the attributes of `from` to `into`, which keeps its numbers and gives the next ones to new attributes. */
enum dp_status schema_join(struct schema *into, struct arena *arena, const struct schema *from,
                           struct dp_error *error);

#endif
