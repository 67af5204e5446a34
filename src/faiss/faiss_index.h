/* faiss/faiss_index.h: opens a FAISS file over a reader or at a URL, gives its facts, and searches it.
 *
 * The command line, HTTP and the C API use this header. An index owns its reader. It adds rounds, requests and
 * bytes to the costs of the struct call. The store merges near ranges; with STORE_NEVER as
 * store_options.merge_gap it sends exactly one request for each probed list. The store also contains the cache.
 */
#ifndef FAISS_FAISS_INDEX_H
#define FAISS_FAISS_INDEX_H

#include "faiss/ivf.h"
#include "store/store.h"
#include "vector/id_filter.h"

/* An open FAISS file. It never changes, so any number of threads may search it, if its reader is thread-safe. */
struct faiss_index;

/* Facts that the caller knows about the file. 0 or NULL in a field: the caller does not know it. */
struct faiss_index_options {
    /* Bytes before the list data. With it, a file with array lists and no id map opens in one read. */
    uint64_t cluster_data_offset;
    uint64_t n_clusters; /* the number of lists; DP_INVALID when the file has another number */
    /* A bound on the memory of heads (faiss/head_memory.h). It must outlive the index. NULL: no bound. */
    struct faiss_head_memory *memory;
};

/* Opens the file behind `reader`. The index owns the reader from now on: faiss_index_free calls its `free`, and so
 * does this function when it fails. options: may be NULL. */
enum dp_status faiss_index_open(struct call *call, const struct faiss_reader *reader,
                                const struct faiss_index_options *options, struct faiss_index **out);
/* Opens an object of a store: a path, file://, mem://, http(s)://, … store: may be NULL. */
enum dp_status faiss_index_open_url(struct call *call, struct span url, const struct store_options *store,
                                    const struct faiss_index_options *options, struct faiss_index **out);
void faiss_index_free(struct faiss_index *index); /* NULL is fine */

/* Returns facts about the file and its opening. Their pointers are valid as long as the index. */
struct faiss_ivf_info faiss_index_info(const struct faiss_index *index);
/* Returns the number of vectors in a list; list < nlist. */
uint64_t faiss_index_list_size(const struct faiss_index *index, uint32_t list);

/* Returns how many queries faiss_index_search searches together when each wants k neighbours. Such queries share
 * their reads. */
size_t faiss_index_together(const struct faiss_index *index, size_t k);

/* Returns the version of the file, as its store tells it; empty: it tells none. Valid as long as the index. */
struct span faiss_index_version(const struct faiss_index *index);
/* Reads the ids of all vectors that searches can find (faiss/ids.h). ids: out, int64[info.listed]. */
enum dp_status faiss_index_ids(struct call *call, const struct faiss_index *index, int64_t *ids);

/* Returns a checksum of centroids and list sizes, which tells the file from others of equal size. */
uint64_t faiss_index_fingerprint(const struct faiss_index *index);

struct faiss_search {
    const float *queries; /* float[count][dim] */
    size_t count;
    size_t dim; /* must be the file's dim_in */
    size_t k;
    size_t nprobe;                  /* lists to probe; 0: the file's default; more than the file has: all */
    const struct id_filter *filter; /* NULL: all ids */
    float k_factor; /* for a file with a flat part: candidates for each neighbour, ≥ 1; 0: the file's k_factor */
    bool scan_all;  /* allows the search of a flat file of more than FLAT_BYTES_MAX */
};

/* Maximum bytes of vectors that a search of a flat file reads, unless scan_all is set. */
enum { FLAT_BYTES_MAX = 1 << 30 };

/* The costs of one query. */
struct faiss_search_cost {
    uint64_t rounds, requests, bytes;
    uint64_t lists;      /* number of lists that the query probed */
    int64_t duration_ns; /* from the start of the query to its end */
};

/* Searches for one query after another, each in one round of reads, or in two if the file has a flat part. Over a
 * reader in memory, and in a flat file, searches for up to FAISS_BATCH_MAX queries together. Then each query's
 * cost has an equal share of the time, and the first query's cost has all reads.
 *
 * ids        out, int64[count][k], best first; -1 after the last hit, as in FAISS
 * distances  out, float[count][k]: squared L2 distances or inner products; after the last hit the largest float,
 *            or the least one for inner products
 * costs      out, [count], or NULL
 *
 * DP_INVALID for another dimension, k of 0 or an impossible k_factor; DP_TOO_LARGE for a flat file that needs
 * scan_all; the reader's status; DP_CORRUPT for lists that contradict the head. */
enum dp_status faiss_index_search(struct call *call, const struct faiss_index *index,
                                  const struct faiss_search *search, int64_t *ids, float *distances,
                                  struct faiss_search_cost *costs);

#endif
