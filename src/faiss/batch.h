/* faiss/batch.h: several queries over one file, list by list. */
#ifndef FAISS_BATCH_H
#define FAISS_BATCH_H

#include "faiss/probe.h"

enum { FAISS_BATCH_MAX = 64 }; /* queries */

/* Searches queries float[count][dim_in], count ≤ FAISS_BATCH_MAX. A list that several queries probe is read once,
 * and stays in the processor's cache for all but the first of them. Answers as faiss_ivf_search does, query by
 * query, for files that faiss_ivf_any_order admits. tops: [count] */
enum dp_status faiss_ivf_search_batch(struct call *call, const struct faiss_ivf *ivf,
                                      const struct faiss_reader *reader, const float *queries, size_t count,
                                      size_t nprobe, const struct id_filter *filter, struct topk *tops);

#endif
