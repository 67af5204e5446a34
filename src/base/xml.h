/* base/xml.h: a bounded pull reader for XML, which object stores answer with.
 *
 * It knows elements, text, the five named and all numeric character references, CDATA, comments and processing
 * instructions; it drops namespace prefixes. It refuses document types (so no entity can be
 * declared), nesting deeper than XML_DEPTH_MAX and tags that do not match. It allocates only for text that it must
 * decode, in the caller's arena.
 *
 * Walking a document:
 *     xml_reader_init(&r, body);
 *     xml_enter(&r, &name);
 *     while (xml_next_child(&r, &name)) {
 *         if (span_equal_str(name, "Key")) xml_read_text(&r, arena, &key);
 *         else xml_skip(&r);
 *     }
 *     if (xml_failed(&r)) return xml_error(&r, error);
 * Each child must be read, skipped or walked before the next. Errors stick: after the first, every call answers
 * false.
 */
#ifndef BASE_XML_H
#define BASE_XML_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

enum { XML_DEPTH_MAX = 16, XML_NAME_MAX_BYTES = 128 };

struct xml_reader {
    struct span text;
    size_t at;                       /* next unread byte */
    unsigned depth;                  /* open elements */
    struct span open[XML_DEPTH_MAX]; /* names of the open elements, with prefixes */
    bool empty;                      /* the innermost element was written <a/>, without an end tag */
    struct span attributes;          /* of the element entered last, as written */
    enum dp_status status;           /* first failure */
    size_t failed_at;
    const char *why;
};

void xml_reader_init(struct xml_reader *r, struct span text);
/* Enters the document's root element. */
bool xml_enter(struct xml_reader *r, struct span *name);
/* Enters the next element inside the open one; skips text. Returns false at the open element's end, which it
 * consumes, and on failure. */
bool xml_next_child(struct xml_reader *r, struct span *name);
/* Returns whether the element entered last has the attribute NAME="VALUE", written without escapes. */
bool xml_has_attribute(const struct xml_reader *r, const char *name, const char *value);
/* Reads the text of the open element and consumes its end. Fails on an element inside. */
bool xml_read_text(struct xml_reader *r, struct arena *arena, struct span *out);
/* Reads the text of the open element as a decimal number. */
bool xml_read_u64(struct xml_reader *r, struct arena *arena, uint64_t *out);
/* Consumes the rest of the open element. */
bool xml_skip(struct xml_reader *r);

static inline bool xml_failed(const struct xml_reader *r)
{
    return r->status != DP_OK;
}
/* Fills `error` from the first failure: DP_IO "… at byte N", or DP_NOMEM. */
enum dp_status xml_error(const struct xml_reader *r, struct dp_error *error);

#endif
