/* faiss/ivf_read.h: opening a FAISS inverted file and searching it where it lies.
 *
 * Opening reads the head: header, centroids, list sizes. Searching reads the probed lists, all in one round.
 * What is read today: IVF with a flat quantizer, Flat or SQ8 codes, L2 or inner product, array lists with
 * full or sparse sizes (docs/internals/faiss.md); anything else is DP_UNSUPPORTED and named. Bytes that
 * contradict themselves are DP_CORRUPT; memory taken is bounded by the file's size.
 */
#ifndef FAISS_IVF_READ_H
#define FAISS_IVF_READ_H

#include "os/call.h"
#include "vector/ivf_scan.h"

/* An open file: the head, parsed. Immutable, so any number of threads may use it. */
struct faiss_ivf;

struct faiss_ivf_info {
    char fourcc[5]; /* "IwFl", "IwSq" */
    const struct ivf_codec *codec;
    uint64_t ntotal;
    uint64_t nlist;
    uint64_t nprobe;     /* the file's default */
    uint64_t head_bytes; /* bytes before the list data (cluster_data_offset) */
    uint64_t file_bytes;
};

/* Parses a head of known length: the first head.len bytes of a file of file_size bytes, reaching at least to
 * the list data. Nothing of `head` is kept. */
enum dp_status faiss_ivf_parse_head(struct span head, uint64_t file_size, struct faiss_ivf **out,
                                    struct dp_error *error);
void faiss_ivf_free(struct faiss_ivf *ivf);
struct faiss_ivf_info faiss_ivf_info(const struct faiss_ivf *ivf);
/* float[nlist][dim] */
const float *faiss_ivf_centroids(const struct faiss_ivf *ivf);

/* The nprobe lists nearest to query float[dim], nearest first, by the quantizer's metric; ties: the smaller
 * list first. lists: out, room for nprobe; *count ≤ nprobe. DP_NOMEM. */
enum dp_status faiss_ivf_probe(const struct faiss_ivf *ivf, const float *query, size_t nprobe, uint32_t *lists,
                               size_t *count, struct dp_error *error);

/* Where a list lies. An empty list has len 0. */
struct faiss_list_range {
    uint64_t offset, len; /* bytes of the file: count codes, then count ids */
    uint64_t count;
};
struct faiss_list_range faiss_ivf_list_range(const struct faiss_ivf *ivf, uint32_t list);

/* Scans one list whose bytes (all of its range) have been fetched. query: made by ivf_query_init with the
 * file's codec. DP_CORRUPT when the bytes are not as long as the list. */
enum dp_status faiss_ivf_scan(const struct faiss_ivf *ivf, struct ivf_query *query, uint32_t list,
                              struct span bytes, const struct id_filter *filter, struct topk *top,
                              struct dp_error *error);

/* ---- over a reader of ranges ------------------------------------------------------------------------- */

struct faiss_range {
    uint64_t offset;
    size_t len;
    struct span bytes; /* out: len bytes */
    void *owner;       /* the reader's own */
};

/* Reads ranges of one file. */
struct faiss_reader {
    uint64_t size; /* of the file */
    /* Reads all ranges at once: one round. On success all bytes are there until `release`. */
    enum dp_status (*read)(struct call *call, void *ctx, struct faiss_range *ranges, size_t n);
    /* Gives back the bytes of ranges that were read. */
    void (*release)(void *ctx, struct faiss_range *ranges, size_t n);
    void *ctx;
};

/* Opens a file whose head length is not known: a first read of `guess` bytes (0: 128 KiB), then the exact
 * rest. Two rounds at most, unless the file carries a direct map. */
enum dp_status faiss_ivf_open(struct call *call, const struct faiss_reader *reader, size_t guess,
                              struct faiss_ivf **out);

/* The whole search of one query: probes, reads the lists in one round, scans. top: made with the metric's
 * direction; unsorted at return. */
enum dp_status faiss_ivf_search(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                                const float *query, size_t nprobe, const struct id_filter *filter,
                                struct topk *top);

#endif
