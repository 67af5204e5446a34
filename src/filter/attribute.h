/* filter/attribute.h: the attributes of a namespace, and the types of their values.
 *
 * The room filter/ knows values as JSON text in normal form (filter/value.h) and expressions over them. It does no
 * I/O. docs/internals/attributes.md has the types and the normal forms.
 */
#ifndef FILTER_ATTRIBUTE_H
#define FILTER_ATTRIBUTE_H

#include "base/span.h"

enum attribute_type {
    ATTRIBUTE_STRING,
    ATTRIBUTE_INT,
    ATTRIBUTE_FLOAT,
    ATTRIBUTE_BOOL,
    ATTRIBUTE_UINT,
    ATTRIBUTE_UUID,
    ATTRIBUTE_DATETIME,
    ATTRIBUTE_BYTES,
    ATTRIBUTE_STRINGS,
    ATTRIBUTE_INTS,
    ATTRIBUTE_FLOATS,
    ATTRIBUTE_BOOLS,
    ATTRIBUTE_UINTS,
    ATTRIBUTE_UUIDS,
    ATTRIBUTE_DATETIMES,
    ATTRIBUTE_VECTOR
};

enum vector_element { ELEMENT_F32, ELEMENT_F16, ELEMENT_I8 };

enum {
    ATTRIBUTE_DIM_MAX = 16384, /* of a vector attribute */
    ATTRIBUTE_TYPE_ROOM = 16   /* bytes of the longest name of a type, with a NUL */
};

/* An attribute of a namespace. */
struct attribute {
    uint32_t number;
    enum attribute_type type;
    struct span name;
    struct span options; /* a JSON object of the index options that were declared; empty: none */
    uint32_t dim;        /* of a vector attribute; of others 0 */
    enum vector_element element;
    struct span fingerprint; /* of the model that embedded its vectors, hexadecimal; empty: no model did */
    bool unfiltered;         /* the options or the type keep this attribute out of filters and orders */
    bool checked;            /* its options say "filterable": true, so the values have a maximum */
    bool dropped;            /* the declaration {"drop": true} has ended it; its name stays taken */
    bool learned;            /* a value of the present request made it, so its type may still widen */
};

/* The kind of the ids of a namespace. ID_ANY: unknown, or several kinds. An id key (index/id.h) begins with the
 * number of its kind. */
enum id_kind { ID_ANY = 0, ID_UINT = 1, ID_STRING = 2, ID_UUID = 3 };

/* Attributes, ascending by number. An arena of the owner holds them and their spans. */
struct schema {
    size_t count;
    size_t room; /* elements that `attributes` has place for */
    struct attribute *attributes;
    enum id_kind id_kind;
    enum vector_element vector_element; /* of the attribute "vector" */
};

/* Writes the name of the attribute's type, "string", "[]int", "[384]f32", …, into `out`, and returns it. */
const char *attribute_type_print(const struct attribute *attribute, char out[ATTRIBUTE_TYPE_ROOM]);
/* Parses the name of a type into type, dim and element. Returns false for an unknown one. */
bool attribute_type_parse(struct span name, struct attribute *out);
/* Returns the type of the elements of an array type; for any other type, the type itself. */
enum attribute_type attribute_item_type(enum attribute_type type);
/* Returns the type of arrays of this type. No array holds bytes, vectors or arrays: for these, returns the type
 * itself. */
enum attribute_type attribute_array_type(enum attribute_type item);

static inline bool attribute_is_array(enum attribute_type type)
{
    return type >= ATTRIBUTE_STRINGS && type <= ATTRIBUTE_DATETIMES;
}

/* Bytes of one element of a vector. */
static inline size_t element_size(enum vector_element element)
{
    return element == ELEMENT_F32 ? 4 : element == ELEMENT_F16 ? 2 : 1;
}

/* Returns "any", "uint", "string" or "uuid". */
const char *id_kind_name(enum id_kind kind);
bool id_kind_parse(struct span name, enum id_kind *out);

/* Returns the attribute of this name, or NULL. A dropped attribute is found too. */
struct attribute *schema_find(const struct schema *schema, struct span name);

#endif
