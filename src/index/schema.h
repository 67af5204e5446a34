/* index/schema.h: the attributes of a namespace and the types of their values.
 *
 * Types are learnt from rows. An attribute has one type; null fits all. An int becomes a float when a fraction
 * appears (and []int a []float); every other change contradicts. An empty array fits every array. The first commit of
 * an attribute gives it a number, which stays; number 1 is the vector.
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

struct attribute {
    uint32_t number;
    enum attribute_type type;
    struct span name;
};

/* Ascending by number. Names lie in an arena of the owner. */
struct schema {
    size_t count;
    struct attribute attributes[SCHEMA_ATTRIBUTES_MAX];
};

const char *attribute_type_name(enum attribute_type type); /* "string", "[]int", … */
bool attribute_type_parse(struct span name, enum attribute_type *out);

/* DP_INVALID for a name that is empty, too long, reserved or not UTF-8. */
enum dp_status schema_check_name(struct span name, struct dp_error *error);
struct attribute *schema_find(struct schema *schema, struct span name);

/* Joins the attributes of one row, a JSON object, and copies new names to `arena`. `scratch` is for keys with
 * escapes. On failure the schema stays as it was. */
enum dp_status schema_learn(struct schema *schema, struct arena *arena, struct span object, struct arena *scratch,
                            struct dp_error *error);
/* Joins the attributes of `from`. `into` keeps its numbers, and gives new ones to new attributes. */
enum dp_status schema_join(struct schema *into, struct arena *arena, const struct schema *from,
                           struct dp_error *error);

#endif
