/* verify_words.h: verifies the text index of a segment, and compares it with the documents. */
#ifndef INDEX_FOLD_VERIFY_WORDS_H
#define INDEX_FOLD_VERIFY_WORDS_H

#include "index/row_text.h"
#include "index/segment/words.h"
#include "store/store.h"

/* A column of the index. */
struct words_check_column {
    const struct attribute *attribute; /* NULL: the schema has other settings now, so no text is compared */
    struct text_analyzer *analyzer;
    uint64_t documents, postings; /* sums over all tokens, of the documents and of the index */
};

/* The verification of one segment's text index: words_check_begin(), words_check_row() for each row of the segment,
 * words_check_run(), words_check_deinit(). */
struct words_check {
    struct text_index *index; /* NULL: the segment has none */
    struct words_check_column *columns;
    uint32_t column; /* the column of the tokens that come now */
    uint32_t row;    /* the row of these tokens */
    struct arena scratch;
};

/* Opens the index. `hot` and `schema` must live as long as the check. Fails with DP_CORRUPT or DP_NOMEM. */
enum dp_status words_check_begin(struct call *call, struct words_check *check, struct segment_hot *hot,
                                 const struct schema *schema);
/* Notes the tokens of a row's document. */
enum dp_status words_check_row(struct call *call, struct words_check *check, uint32_t row, struct span document);
/* Reads the index from the .dpr object. Fails with DP_CORRUPT if it is damaged or says something else than the
 * documents. */
enum dp_status words_check_run(struct call *call, struct words_check *check, struct store *store,
                               const struct segment_hot *hot, struct span key);
void words_check_deinit(struct words_check *check); /* a check that has not begun is fine */

#endif
