/* filter/document.h: walks over a document: a JSON object from a segment or the log.
 *
 * The syntax was checked before the document was stored, so the walk trusts it. The walk stays within its bytes,
 * whatever they are: from bytes that are not JSON it gives some pairs, or none.
 */
#ifndef FILTER_DOCUMENT_H
#define FILTER_DOCUMENT_H

#include "base/span.h"

struct document_walk {
    const uint8_t *at, *end;
};

/* A member of a document: two parts of its text. */
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

/* Gives the characters of a text one by one. */
struct text_bytes {
    const uint8_t *at, *end;
    bool escaped;
    uint8_t character[4]; /* the bytes of the latest escape, while text_next_byte() gives them */
    size_t given, length;
};

/* `escaped`: the text is what stands between the quotes of a JSON string, with its escapes. */
static inline struct text_bytes text_bytes_of(struct span text, bool escaped)
{
    const uint8_t *end = text.len ? text.data + text.len : text.data;
    return (struct text_bytes){.at = text.data, .end = end, .escaped = escaped};
}

/* Returns the next byte of UTF-8, or -1 at the end. */
int text_next_byte(struct text_bytes *t);
/* Returns the next character, or -1 at the end; U+FFFD for bytes that are no UTF-8. */
int32_t text_next_scalar(struct text_bytes *t);
/* Compares the characters of two texts as bytes of UTF-8. `a_escaped`, `b_escaped`: the text is what stands
 * between the quotes of a JSON string, with its escapes. */
int text_compare(struct span a, bool a_escaped, struct span b, bool b_escaped);

#endif
