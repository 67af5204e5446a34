/* faiss/refine.h: a second, exact look at the candidates of a search, in the flat part of a file that has one
 * (faiss_ivf_info.refined). */
#ifndef FAISS_REFINE_H
#define FAISS_REFINE_H

#include "faiss/ivf.h"
#include "vector/topk.h"

/* Reads the candidates' floats, in one round up to 256 MiB, and scores them exactly.
 *
 * query       float[dim_in]
 * candidates  the vectors' numbers, which faiss_ivf_search found; their order changes
 * top         out: exact scores, with the vectors' ids */
enum dp_status faiss_ivf_refine(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                                const float *query, struct topk *candidates, struct topk *top);

#endif
