/* words_find.h: the best rows by words, in the pieces that were read and in the tail. */
#ifndef INDEX_QUERY_WORDS_FIND_H
#define INDEX_QUERY_WORDS_FIND_H

#include "index/query/words_pieces.h"

enum {
    /* Rows that tie for the last place of an answer. Their ids are in their documents, so each costs a read. */
    WORDS_TIES_MAX = 64 * 1024
};

/* Finds the best rows, after the last words_take(), over a settled view. Sets run->outcome if the view got a load since
 * words_begin(). *found: whether it found them, else a scan must answer. */
enum dp_status words_find(struct words_search *w, bool *found);

#endif
