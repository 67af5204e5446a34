/* faiss/faiss_index.h: a FAISS file as a whole: opening it over a reader or at a URL, its facts, searching it.
 *
 * The command line, HTTP and the C API use this header. An index owns its reader. Costs go to the struct call:
 * rounds, requests and bytes. The store merges ranges (store_options.merge_gap; STORE_NEVER makes exactly one
 * request for each probed list) and has the cache.
 */
#ifndef FAISS_FAISS_INDEX_H
#define FAISS_FAISS_INDEX_H

#include "faiss/ivf.h"
#include "store/store.h"
#include "vector/id_filter.h"

/* Immutable, so any number of threads may search it, if its reader is thread-safe. */
struct faiss_index;

/* Facts that the caller knows about the file; zeros: none. */
struct faiss_index_options {
    uint64_t
        cluster_data_offset; /* bytes before the list data; array lists without an id map then open in one read */
    uint64_t n_clusters;     /* the number of lists; DP_INVALID when the file has another */
    /* A bound on heads (faiss/head_memory.h), which outlives the index; NULL: no bound. */
    struct faiss_head_memory *memory;
};

/* Opens the file behind `reader`, which the index owns from now on: faiss_index_free calls its `free`, and so does
 * this function when it fails. options: may be NULL. */
enum dp_status faiss_index_open(struct call *call, const struct faiss_reader *reader,
                                const struct faiss_index_options *options, struct faiss_index **out);
/* Opens an object of a store: a path, file://, mem://, http(s)://, … store: may be NULL. */
enum dp_status faiss_index_open_url(struct call *call, struct span url, const struct store_options *store,
                                    const struct faiss_index_options *options, struct faiss_index **out);
void faiss_index_free(struct faiss_index *index); /* NULL is fine */

/* Facts about the file and its opening. Valid as long as the index. */
struct faiss_ivf_info faiss_index_info(const struct faiss_index *index);
/* Vectors in list l < nlist. */
uint64_t faiss_index_list_size(const struct faiss_index *index, uint32_t list);

/* How many queries faiss_index_search searches together when each wants k neighbours; they share their reads. */
size_t faiss_index_together(const struct faiss_index *index, size_t k);

/* A checksum of centroids and list sizes, which tells the file from others of its size. */
uint64_t faiss_index_fingerprint(const struct faiss_index *index);

struct faiss_search {
    const float *queries; /* float[count][dim] */
    size_t count;
    size_t dim; /* must be the file's */
    size_t k;
    size_t nprobe;                  /* 0: the file's default; more than there are lists: all */
    const struct id_filter *filter; /* NULL: all ids */
    float k_factor; /* for a file with a flat part: candidates for each neighbour, at least 1; 0: the file's */
    bool scan_all;  /* a flat file may be larger than FLAT_BYTES_MAX */
};

/* Maximum bytes of vectors that a search of a flat file reads, unless scan_all is set. */
enum { FLAT_BYTES_MAX = 1 << 30 };

/* The costs of one query. */
struct faiss_search_cost {
    uint64_t rounds, requests, bytes;
    uint64_t lists;      /* probed */
    int64_t duration_ns; /* of the query as a whole */
};

/* Searches query by query, each in one round of reads, or two for a file with a flat part. Over a reader in
 * memory, and in a flat file, searches up to FAISS_BATCH_MAX queries together: each gets its share of their time
 * as its cost, and the first one the reads of all.
 *
 * ids        out, int64[count][k], best first; -1 behind the last hit, as in FAISS
 * distances  out, float[count][k]: squared L2 or inner products; behind the last hit the largest float, for inner
 *            products the least
 * costs      out, [count], or NULL
 *
 * DP_INVALID for another dimension, k of 0 or an impossible k_factor; DP_TOO_LARGE for a flat file that needs
 * scan_all; the reader's status; DP_CORRUPT for lists that contradict the head. */
enum dp_status faiss_index_search(struct call *call, const struct faiss_index *index,
                                  const struct faiss_search *search, int64_t *ids, float *distances,
                                  struct faiss_search_cost *costs);

#endif
