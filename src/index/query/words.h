/* index/query/words.h: the best rows by words (BM25), from the text indexes of segments and the rows of the tail.
 *
 * A search has two steps, so that its reads may share rounds with those of others:
 *
 *       words_begin()                               chooses the pieces of the indexes that it needs
 *       while (words_ask(w, &round) …) words_take() reads them, mostly in one round
 *       words_find()                                over a settled view: counts, and finds the best rows
 *       words_answer()                              reads their documents
 *
 * Every row of the view counts, as in a scan: the numbers of rows with a token and the lengths are those of all
 * segments, less the rows that are deleted or replaced, plus the tail. Only where a segment has no LENS, its lost rows
 * count as average ones in the number of rows and in the lengths. Scores and their order are those of a scan.
 */
#ifndef INDEX_QUERY_WORDS_H
#define INDEX_QUERY_WORDS_H

#include "index/query/words_find.h"

/* Makes the answer from the rows that words_find() found: reads their documents. */
enum dp_status words_answer(struct words_search *w, struct index_answer *out);

#endif
