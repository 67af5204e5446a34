/* faiss/probe.h: choosing the lists of an open file that a query scans, and scanning them. No I/O: the caller
 * fetches the bytes of the lists. */
#ifndef FAISS_PROBE_H
#define FAISS_PROBE_H

#include "faiss/ivf.h"
#include "vector/ivf_scan.h"

/* Takes a query float[dim_in] through the file's transforms. Returns the query itself when the file has none, else
 * `room`, float[faiss_ivf_transform_room()], holds the result. All other functions here want the result. */
size_t faiss_ivf_transform_room(const struct faiss_ivf *ivf);
const float *faiss_ivf_transform(const struct faiss_ivf *ivf, const float *query, float *room);
/* Applies the first `count` transforms only. */
const float *faiss_ivf_transform_first(const struct faiss_ivf *ivf, const float *query, size_t count, float *room);

/* How many lists a search with nprobe scans: at most all. A search of a flat file scans all its pieces, which
 * stand for lists below. */
size_t faiss_ivf_scanned(const struct faiss_ivf *ivf, size_t nprobe);

/* Finds the nprobe lists nearest to query float[codec->dim], nearest first, by the quantizer's metric; ties: the
 * smaller list first. A flat file answers its first nprobe pieces. lists: out, room for nprobe; *count ≤ nprobe.
 * DP_NOMEM. */
enum dp_status faiss_ivf_probe(const struct faiss_ivf *ivf, const float *query, size_t nprobe, uint32_t *lists,
                               size_t *count, struct dp_error *error);

/* Makes a query ready: ivf_query_init, the lists that it will scan (ivf_query_probe), the id map. */
enum dp_status faiss_ivf_query(const struct faiss_ivf *ivf, const float *query, const uint32_t *lists,
                               size_t count, struct ivf_query *out, struct dp_error *error);

/* Scans one list. bytes: all of its range.
 *
 * query  made by faiss_ivf_query; ivf_query_init with the file's codec will do when that is no fast-scan kind and the
 *        file has no id map
 *
 * DP_CORRUPT when there are more or fewer bytes than the list has. */
enum dp_status faiss_ivf_scan(const struct faiss_ivf *ivf, struct ivf_query *query, uint32_t list,
                              struct span bytes, const struct id_filter *filter, struct topk *top,
                              struct dp_error *error);

#endif
