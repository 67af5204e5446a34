/* index/load/first_codes.h: writes RBQ1, the codes of one bit (vector/first_stage.h) of a segment's vectors. */
#ifndef INDEX_LOAD_FIRST_CODES_H
#define INDEX_LOAD_FIRST_CODES_H

#include "index/load/build.h"

/* Writes the section, if the segment has enough vectors of enough dimensions. */
enum dp_status load_write_first_codes(struct call *call, const struct segment_build *b, struct segment_writer *w);

#endif
