/* index/load/train.h: gives a segment's writer samples of its documents, for a dictionary. */
#ifndef INDEX_LOAD_TRAIN_H
#define INDEX_LOAD_TRAIN_H

#include "index/load/build.h"

/* Makes the dictionary of the segment's documents, if they are long enough to pay for one. */
enum dp_status load_train_dictionary(struct call *call, const struct segment_build *b, struct segment_writer *w);

#endif
