/* filter/scalar.h: single values that filters and orders compare. */
#ifndef FILTER_SCALAR_H
#define FILTER_SCALAR_H

#include "base/span.h"
#include "filter/attribute.h"

/* A null, a bool, a number, a text, or an id key (as text). It points into the JSON that it was read from. */
struct scalar {
    enum scalar_kind { SCALAR_NULL, SCALAR_BOOL, SCALAR_NUMBER, SCALAR_TEXT } kind;
    bool flag;     /* of a bool */
    bool whole;    /* the number is an integer of at most 64 bits, ± magnitude; false: it is `real` */
    bool negative; /* of a whole number */
    bool escaped;  /* whether the text has JSON's escapes */
    union {
        uint64_t magnitude;
        double real; /* finite */
    };
    struct span text;
};

/* Reads a value of a document for comparisons: a float as a double, an int or uint exactly. Anything that is no
 * scalar, such as null or an array, gives SCALAR_NULL. */
struct scalar scalar_of_json(enum attribute_type type, struct span value);
/* Reads the value of an attribute of a document: SCALAR_NULL if it has none. */
struct scalar scalar_of_document(const struct attribute *attribute, struct span document);
static inline struct scalar scalar_of_text(struct span text)
{
    return (struct scalar){.kind = text.len ? SCALAR_TEXT : SCALAR_NULL, .text = text};
}

/* Compares two scalars: null is the smallest, then come false, true, numbers by their exact values, texts by their
 * bytes. This is the order of rows by an attribute. */
int scalar_compare(const struct scalar *a, const struct scalar *b);

#endif
