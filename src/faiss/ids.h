/* faiss/ids.h: reads the ids of all vectors of an open file. */
#ifndef FAISS_IDS_H
#define FAISS_IDS_H

#include "faiss/ivf.h"

/* Reads the ids of all vectors that searches can find, list by list, without their codes, in rounds of at most
 * SEARCH_ROUND_BYTES_MAX. ids: out, int64[info.listed]. Fails as the reader does, or with DP_CORRUPT. */
enum dp_status faiss_ivf_ids(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                             int64_t *ids);

#endif
