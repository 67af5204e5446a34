/* faiss/search.h: searches a file for one query, over a reader of ranges. */
#ifndef FAISS_SEARCH_H
#define FAISS_SEARCH_H

#include "faiss/probe.h"

/* Maximum bytes of one round of reads; a search that needs more takes several. */
enum { SEARCH_ROUND_BYTES_MAX = 256 << 20 };

/* Searches for one query float[dim_in]: transforms it, chooses the lists, reads them in as few rounds as
 * SEARCH_ROUND_BYTES_MAX allows, and scans them.
 *
 * top  the caller makes it with the metric's direction. The search puts hits into it, unsorted, with the vectors'
 *      ids; if the file has a flat part, with the vectors' numbers, for faiss_ivf_refine */
enum dp_status faiss_ivf_search(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                                const float *query, size_t nprobe, const struct id_filter *filter,
                                struct topk *top);

/* Returns the end of the round that begins with lists[begin]: `count`, or less if SEARCH_ROUND_BYTES_MAX does not
 * allow all lists. A round has at least one list. */
size_t faiss_ivf_round(const struct faiss_ivf *ivf, const uint32_t *lists, size_t begin, size_t count);

#endif
