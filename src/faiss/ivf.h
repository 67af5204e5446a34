/* faiss/ivf.h: opening a FAISS inverted file and searching it where it lies.
 *
 * Opening reads the head: header, centroids, list sizes. Searching reads the probed lists, all in one round.
 * What kinds are read: docs/internals/faiss.md; anything else is DP_UNSUPPORTED and named. Bytes that contradict
 * themselves are DP_CORRUPT; memory taken is bounded by the file's size.
 */
#ifndef FAISS_IVF_H
#define FAISS_IVF_H

#include "faiss/reader.h"
#include "os/call.h"
#include "vector/ivf_scan.h"

struct faiss_head_memory;

/* An open file: the head, parsed. Immutable, so any number of threads may use it. */
struct faiss_ivf;

struct faiss_ivf_info {
    char fourcc[5]; /* of the inverted file: "IwFl", "IwSq", … */
    const struct ivf_codec *codec;
    size_t dim_in; /* of queries; codec->dim is what is left of it after the transforms */
    size_t transforms;
    bool id_map;
    bool hnsw; /* the quantizer is an HNSW graph, which we do not use */
    /* There are no lists: all vectors lie one after another, and every search reads data_bytes of them. nlist is 1. */
    bool flat;
    uint64_t data_bytes; /* of all lists, or of all vectors */
    bool refined;        /* it has a flat part (",RFlat"), which faiss_ivf_refine looks in */
    float k_factor;      /* refined: candidates for each neighbour, by the file; else 0 */
    uint64_t ntotal; /* by the header: FAISS counts there what it puts in no list, such as a vector with a NaN */
    uint64_t listed; /* in lists: what a search can find */
    uint64_t nlist;
    uint64_t nprobe;     /* the file's default */
    uint64_t head_bytes; /* bytes before the list data (cluster_data_offset) */
    uint64_t file_bytes;
    uint64_t memory_bytes;            /* of the head, as long as it is open */
    uint64_t open_rounds, open_bytes; /* what opening read */
};

/* Parses a head of known length: the first head.len bytes of a file of file_size bytes, reaching at least to
 * the list data. Nothing of `head` is kept. Files with block lists or an id map are DP_CORRUPT here unless all
 * their bytes are given. */
enum dp_status faiss_ivf_parse_head(struct span head, uint64_t file_size, struct faiss_ivf **out,
                                    struct dp_error *error);
void faiss_ivf_free(struct faiss_ivf *ivf);
struct faiss_ivf_info faiss_ivf_info(const struct faiss_ivf *ivf);
/* float[nlist][codec->dim] */
const float *faiss_ivf_centroids(const struct faiss_ivf *ivf);

/* Takes a query float[dim_in] through the file's transforms. Answers the query itself when there are none, else
 * `room` float[faiss_ivf_transform_room()] holds the result. The functions below want this. */
size_t faiss_ivf_transform_room(const struct faiss_ivf *ivf);
const float *faiss_ivf_transform(const struct faiss_ivf *ivf, const float *query, float *room);

/* How many lists a search with nprobe scans: at most all; of a flat file all its pieces, which stand for lists below. */
size_t faiss_ivf_scanned(const struct faiss_ivf *ivf, size_t nprobe);

/* The nprobe lists nearest to query float[codec->dim], nearest first, by the quantizer's metric; ties: the smaller
 * list first. Of a flat file the first nprobe pieces. lists: out, room for nprobe; *count ≤ nprobe. DP_NOMEM. */
enum dp_status faiss_ivf_probe(const struct faiss_ivf *ivf, const float *query, size_t nprobe, uint32_t *lists,
                               size_t *count, struct dp_error *error);

/* Where a list lies. An empty list has len 0. */
struct faiss_list_range {
    /* bytes of the file: arrays: codes, ids; blocks: ids, length of the codes, codes; flat: codes */
    uint64_t offset, len;
    uint64_t count;
};
struct faiss_list_range faiss_ivf_list_range(const struct faiss_ivf *ivf, uint32_t list);

/* Makes a query ready: ivf_query_init, the lists that it will scan (ivf_query_probe), the id map. */
enum dp_status faiss_ivf_query(const struct faiss_ivf *ivf, const float *query, const uint32_t *lists,
                               size_t count, struct ivf_query *out, struct dp_error *error);

/* Scans one list whose bytes (all of its range) have been fetched. query: made by faiss_ivf_query, or by
 * ivf_query_init with the file's codec when that is not of a fast-scan kind and the file has no id map.
 * DP_CORRUPT when the bytes are not as long as the list. */
enum dp_status faiss_ivf_scan(const struct faiss_ivf *ivf, struct ivf_query *query, uint32_t list,
                              struct span bytes, const struct id_filter *filter, struct topk *top,
                              struct dp_error *error);

/* ---- over a reader of ranges ------------------------------------------------------------------------- */

/* Opens a file whose head length is not known: a first read of `guess` bytes (0: 128 KiB), then the exact
 * rest. Two rounds at most for array lists and a flat quantizer, unless the file carries a large direct map; the
 * table of docs/internals/faiss.md has the others. */
enum dp_status faiss_ivf_open(struct call *call, const struct faiss_reader *reader, size_t guess,
                              struct faiss_ivf **out);
/* The same within a bound on memory (faiss/head_memory.h; NULL: none), which outlives the file: DP_TOO_LARGE. */
enum dp_status faiss_ivf_open_within(struct call *call, const struct faiss_reader *reader, size_t guess,
                                     struct faiss_head_memory *memory, struct faiss_ivf **out);

/* The whole search of one query float[dim_in]: transforms, probes, reads the lists in one round (in several when
 * they are more than 256 MiB), scans. top: made with the metric's direction; unsorted at return. Of a file with a flat
 * part it holds numbers for faiss_ivf_refine, of any other ids. */
enum dp_status faiss_ivf_search(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                                const float *query, size_t nprobe, const struct id_filter *filter,
                                struct topk *top);

/* The same for several queries float[count][dim_in], count ≤ FAISS_BATCH_MAX, list by list, so that a list which several
 * probe is read once, and is in the processor's cache for all but the first. What comes is the same. tops: [count] */
enum { FAISS_BATCH_MAX = 64 };
enum dp_status faiss_ivf_search_batch(struct call *call, const struct faiss_ivf *ivf,
                                      const struct faiss_reader *reader, const float *queries, size_t count,
                                      size_t nprobe, const struct id_filter *filter, struct topk *tops);
/* Looks at candidates more closely, by the flat part of a file that has one (info.refined): reads their floats
 * in one round (in several when they are more than 256 MiB).
 *
 * query       float[dim_in]
 * candidates  what faiss_ivf_search found: vectors' numbers. Their order is changed
 * top         out: their true scores, with their ids */
enum dp_status faiss_ivf_refine(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                                const float *query, struct topk *candidates, struct topk *top);

/* Whether answers stay the same when lists are scanned in any order, as a batch does. */
bool faiss_ivf_any_order(const struct faiss_ivf *ivf);

#endif
