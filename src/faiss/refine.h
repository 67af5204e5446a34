/* faiss/refine.h: re-ranks the candidates of a search exactly, with the flat part of a file that has one
 * (faiss_ivf_info.refined). */
#ifndef FAISS_REFINE_H
#define FAISS_REFINE_H

#include "faiss/ivf.h"
#include "vector/topk.h"

/* Reads the candidates' floats, in rounds of at most SEARCH_ROUND_BYTES_MAX, and scores them exactly.
 *
 * query       float[dim_in]
 * candidates  the vectors' numbers, as faiss_ivf_search gives them; this function changes their order
 * top         out: the best vectors, with exact scores and ids */
enum dp_status faiss_ivf_refine(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                                const float *query, struct topk *candidates, struct topk *top);

#endif
