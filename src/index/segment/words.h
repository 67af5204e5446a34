/* index/segment/words.h: the text index of a segment (text/index.h), as its hot part describes it. */
#ifndef INDEX_SEGMENT_WORDS_H
#define INDEX_SEGMENT_WORDS_H

#include "index/segment/segment.h"
#include "text/index.h"

/* Makes *out, in hot->arena, for a segment that has a text index; else *out is NULL. A piece of TDIC lies in the
 * object where section SECTION_TERMS begins, plus its `at`; one of POST, where SECTION_POSTINGS begins. Fails with
 * DP_CORRUPT or DP_NOMEM. */
enum dp_status segment_open_words(struct segment_hot *hot, struct text_index **out, struct dp_error *error);

#endif
