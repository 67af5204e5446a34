/* filter/document.h: walks over a document, which is a JSON object that a segment or the log has taken in
 * before.
 *
 * The walk trusts the syntax, which was checked then, and stays within its bytes whatever they are: of bytes
 * that are no JSON it gives some pairs, or none.
 */
#ifndef FILTER_DOCUMENT_H
#define FILTER_DOCUMENT_H

#include "base/span.h"

struct document_walk {
    const uint8_t *at, *end;
};

/* A member of a document, as it stands there. */
struct document_member {
    struct span key; /* between its quotes, with its escapes */
    struct span value;
};

static inline struct document_walk document_begin(struct span document)
{
    return (struct document_walk){document.data, document.len ? document.data + document.len : document.data};
}

/* Gives the next member. Returns false at the end. */
bool document_next(struct document_walk *walk, struct document_member *out);
/* Returns whether a member's key has this name. */
bool document_is_key(struct span key, struct span name);
/* Gives the value of this name. Returns false if there is none; a null counts as a value. */
bool document_find(struct span document, struct span name, struct span *value);
/* Gives the next element of an array that document_begin() was given. Returns false at its end. */
bool document_next_item(struct document_walk *walk, struct span *out);

/* Compares the characters of two texts as bytes of UTF-8. Each may have JSON's escapes, and stands between
 * quotes then. */
int text_compare(struct span a, bool a_escaped, struct span b, bool b_escaped);

#endif
