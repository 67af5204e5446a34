/* faiss/search.h: the search of one query over a reader of ranges. */
#ifndef FAISS_SEARCH_H
#define FAISS_SEARCH_H

#include "faiss/probe.h"

/* Maximum bytes of one round of reads; a search that needs more takes several. */
enum { SEARCH_ROUND_BYTES_MAX = 256 << 20 };

/* Searches one query float[dim_in]: transforms it, probes, reads the lists in as few rounds as
 * SEARCH_ROUND_BYTES_MAX allows, scans them.
 *
 * top  made with the metric's direction; unsorted at return. It holds ids, or, when the file has a flat part, the
 *      vectors' numbers, for faiss_ivf_refine */
enum dp_status faiss_ivf_search(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                                const float *query, size_t nprobe, const struct id_filter *filter,
                                struct topk *top);

/* The end of the round that begins with lists[begin]: all lists up to lists[count - 1], or as many as
 * SEARCH_ROUND_BYTES_MAX allows, at least one. */
size_t faiss_ivf_round(const struct faiss_ivf *ivf, const uint32_t *lists, size_t begin, size_t count);

#endif
