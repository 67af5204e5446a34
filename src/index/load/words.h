/* index/load/words.h: writes the text index of a segment: TDIC, POST, TIDX, TFRQ and LENS (text/index.h). */
#ifndef INDEX_LOAD_WORDS_H
#define INDEX_LOAD_WORDS_H

#include "index/load/build.h"

/* Writes the sections, if an attribute of loader->indexed has full-text search. The index has a column for each of
 * these attributes. If the hot part has no room for what belongs there, the segment gets no text index. */
enum dp_status load_write_words(struct call *call, const struct segment_build *b, struct segment_writer *w);

#endif
