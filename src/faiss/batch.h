/* faiss/batch.h: searches one file for several queries at once, list by list. */
#ifndef FAISS_BATCH_H
#define FAISS_BATCH_H

#include "faiss/probe.h"

enum { FAISS_BATCH_MAX = 64 }; /* maximum queries of a batch */

/* Searches for queries float[count][dim_in], count ≤ FAISS_BATCH_MAX, and puts the hits of query q into tops[q].
 * Reads a list once even if several queries probe it, and scans it for all of them while it is in the processor's
 * cache. Each query gets the answer that faiss_ivf_search gives, if faiss_ivf_any_order is true for the file. */
enum dp_status faiss_ivf_search_batch(struct call *call, const struct faiss_ivf *ivf,
                                      const struct faiss_reader *reader, const float *queries, size_t count,
                                      size_t nprobe, const struct id_filter *filter, struct topk *tops);

#endif
