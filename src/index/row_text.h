/* index/row_text.h: the tokens of an attribute in one row. BM25 over documents and the text index of a segment both
 * take them from here, so they count the same tokens and lengths.
 */
#ifndef INDEX_ROW_TEXT_H
#define INDEX_ROW_TEXT_H

#include "base/arena.h"
#include "filter/attribute.h"
#include "text/analyzer.h"

/* Sets *out to the settings by which the attribute's texts become tokens. *found: whether the attribute has full-text
 * search. Fails with DP_INVALID or DP_NOMEM. */
enum dp_status row_text_settings(const struct attribute *attribute, struct text_settings *out, bool *found,
                                 struct dp_error *error);
/* Returns the mark by which a text index finds its column again: a hash of the attribute's name and of the settings
 * that decide which tokens a text gives. Attributes of one namespace never share a name, also when one is dropped. */
uint64_t row_text_column(const struct attribute *attribute, const struct text_settings *settings);

/* Gives the tokens of the attribute, a string or an array of strings, in a document, in order. A missing value and
 * null have none. Ends early when fn returns false. Resets `scratch`. Fails with DP_NOMEM, or with DP_CORRUPT for a
 * value that is no text. */
enum dp_status row_text_tokens(struct text_analyzer *analyzer, const struct attribute *attribute,
                               struct span document, struct arena *scratch, text_token_fn *fn, void *ctx,
                               struct dp_error *error);

#endif
