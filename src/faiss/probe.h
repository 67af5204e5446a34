/* faiss/probe.h: chooses the lists of an open file that a query scans, and scans them. It does no I/O: the caller
 * fetches the bytes of the lists. */
#ifndef FAISS_PROBE_H
#define FAISS_PROBE_H

#include "faiss/ivf.h"
#include "vector/ivf_scan.h"

/* faiss_ivf_transform() applies the file's transforms to a query float[dim_in]. It returns the query itself when
 * the file has no transforms, else the result, which it writes to `room`, float[faiss_ivf_transform_room()]. All
 * other functions of this header take the transformed query. */
size_t faiss_ivf_transform_room(const struct faiss_ivf *ivf);
const float *faiss_ivf_transform(const struct faiss_ivf *ivf, const float *query, float *room);
/* Applies the first `count` transforms only. */
const float *faiss_ivf_transform_first(const struct faiss_ivf *ivf, const float *query, size_t count, float *room);

/* Returns how many lists a search with nprobe scans, at most nlist. In a flat file, pieces stand for lists, and a
 * search scans all of them. */
size_t faiss_ivf_scanned(const struct faiss_ivf *ivf, size_t nprobe);

/* Finds the nprobe lists nearest to query float[codec->dim], nearest first, by the quantizer's metric. Of two
 * equally near lists, the one with the smaller number comes first. For a flat file, returns its first nprobe
 * pieces. lists: out, room for nprobe; *count ≤ nprobe. Fails with DP_NOMEM. */
enum dp_status faiss_ivf_probe(const struct faiss_ivf *ivf, const float *query, size_t nprobe, uint32_t *lists,
                               size_t *count, struct dp_error *error);

/* Prepares `out` for scans of `lists`: calls ivf_query_init and ivf_query_probe, and sets the id map. */
enum dp_status faiss_ivf_query(const struct faiss_ivf *ivf, const float *query, const uint32_t *lists,
                               size_t count, struct ivf_query *out, struct dp_error *error);

/* Scans one list into `top`.
 *
 * query  prepared by faiss_ivf_query, or by ivf_query_init with the file's codec when the codec is no fast-scan
 *        kind and the file has no id map
 * bytes  the whole range of the list
 *
 * Fails with DP_CORRUPT when bytes.len is not the length of the list. */
enum dp_status faiss_ivf_scan(const struct faiss_ivf *ivf, struct ivf_query *query, uint32_t list,
                              struct span bytes, const struct id_filter *filter, struct topk *top,
                              struct dp_error *error);

#endif
