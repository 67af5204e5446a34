/* text/highlight.h: the parts of a text that show best why it was found.
 *
 * A text is cut into fragments:
 *
 *   sentence   up to . ! ? or its like in other scripts, and the quotes and brackets behind it, where white space follows; a
 *              full stop before a small letter of ASCII ends none. An empty line ends a sentence, too.
 *   paragraph  up to an empty line
 *   word       a token
 *   none       the whole text
 *
 * White space around a fragment is left out. The fragments with the highest scores come first: BM25, where the text
 * is the collection and its fragments are the documents. A term that is a prefix scores 1. Fragments without any term
 * are left out; if there are no terms, the first fragments come.
 */
#ifndef TEXT_HIGHLIGHT_H
#define TEXT_HIGHLIGHT_H

#include "base/arena.h"
#include "text/settings.h"

enum highlight_split { HIGHLIGHT_SENTENCE, HIGHLIGHT_PARAGRAPH, HIGHLIGHT_WORD, HIGHLIGHT_NONE };
enum highlight_unit { HIGHLIGHT_UTF_8, HIGHLIGHT_UTF_16, HIGHLIGHT_CODEPOINTS };

enum { HIGHLIGHT_FRAGMENTS_MAX = 1024 };

struct highlight_term {
    struct span text; /* a token, as the settings make it */
    bool prefix;      /* tokens that begin with it count */
};

struct highlight_request {
    const struct text_settings *settings;
    const struct highlight_term *terms; /* [count] */
    size_t count;
    enum highlight_split split;
    enum highlight_unit unit; /* of the ranges */
    uint32_t limit;           /* of fragments: 1 to HIGHLIGHT_FRAGMENTS_MAX */
};

/* From `begin` to before `end`, in the text. */
struct highlight_range {
    uint32_t begin, end;
};

struct highlight_fragment {
    struct span text;
    struct highlight_range range;
    const struct highlight_range *matches; /* [match_count]: words that are terms, ascending */
    size_t match_count;
};

/* Finds the best fragments of a text. They are in `arena` and point into the text. Fails with DP_NOMEM or
 * DP_TOO_LARGE. */
enum dp_status highlight_text(struct arena *arena, const struct highlight_request *request, struct span text,
                              struct highlight_fragment **out, size_t *count, struct dp_error *error);

#endif
