/* service/full_text.h: the index options of the attribute "text", which `dipper index` declares. */
#ifndef SERVICE_FULL_TEXT_H
#define SERVICE_FULL_TEXT_H

#include "index/index.h"

/* The attribute for which `dipper index` declares full-text search. */
#define FULL_TEXT_ATTRIBUTE "text"
/* Its language, unless the user names another one. */
#define FULL_TEXT_LANGUAGE  "english"
/* The name that stands for no language: words stay as they are. */
#define FULL_TEXT_NONE      "none"

enum { FULL_TEXT_OPTIONS_ROOM = 128 };

/* Writes the index options of texts in a language: full-text search with its stems, and without its stop words.
 * docs/benchmarks/words.md has what both are worth. Fails with DP_INVALID if there is no such language. */
enum dp_status full_text_options(const char *language, char out[FULL_TEXT_OPTIONS_ROOM], struct dp_error *error);

/* Writes the index options of the attribute "text" in the language `wanted` (NULL: FULL_TEXT_LANGUAGE). Fails with
 * DP_INVALID if a user wants another language than the namespace `name` has already: its texts have been cut into
 * words by that one. */
enum dp_status service_full_text_options(struct call *call, struct store *store, struct span name,
                                         const char *wanted, char out[FULL_TEXT_OPTIONS_ROOM]);

/* Declares the attribute "text" of a namespace that an older `dipper index` has made: if a model of ours has embedded
 * it, and nobody has declared an option of the attribute. Its language is FULL_TEXT_LANGUAGE. *declared: whether the
 * call has declared it. Segments get their text index by the next merge. Leaves a read-only namespace as it is. Fails
 * as index_alter() does. */
enum dp_status service_declare_full_text(struct call *call, struct store *store, struct span name,
                                         struct index_reader *reader, bool *declared);

#endif
