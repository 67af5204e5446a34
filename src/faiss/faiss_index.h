/* faiss/faiss_index.h: a FAISS file as a whole: opened over a reader or at a URL, asked about, searched.
 *
 * What the command line, HTTP and the C API stand on. An index owns its reader. Each call's costs are in the
 * call: rounds, requests and bytes. How ranges are merged is the store's (store_options.merge_gap: STORE_NEVER
 * makes exactly one request for each probed list), as is a cache.
 */
#ifndef FAISS_FAISS_INDEX_H
#define FAISS_FAISS_INDEX_H

#include "faiss/ivf.h"
#include "store/store.h"
#include "vector/id_filter.h"

/* Immutable, so any number of threads may search it, when its reader lets them. */
struct faiss_index;

/* What the caller knows of the file; zeros: nothing. */
struct faiss_index_options {
    uint64_t
        cluster_data_offset; /* bytes before the list data: array lists without an id map open in one read then */
    uint64_t n_clusters;     /* the number of lists; DP_INVALID when the file has another */
    struct faiss_head_memory
        *memory; /* bounds what heads take (faiss/head_memory.h), outlives the index; NULL: no bound */
};

/* Opens the file behind `reader`, which becomes the index's: its `free` is called by faiss_index_free, or here
 * when this fails. options: may be NULL. */
enum dp_status faiss_index_open(struct call *call, const struct faiss_reader *reader,
                                const struct faiss_index_options *options, struct faiss_index **out);
/* The same for an object of a store: a path, file://, mem://, http(s)://, … store: may be NULL. */
enum dp_status faiss_index_open_url(struct call *call, struct span url, const struct store_options *store,
                                    const struct faiss_index_options *options, struct faiss_index **out);
void faiss_index_free(struct faiss_index *index); /* NULL is fine */

/* What the file is and what opening it read. Valid as long as the index. */
struct faiss_ivf_info faiss_index_info(const struct faiss_index *index);
/* Vectors in list l < nlist. */
uint64_t faiss_index_list_size(const struct faiss_index *index, uint32_t list);

/* How many queries faiss_index_search takes at once when it finds k neighbours of each: more are read for once. */
size_t faiss_index_together(const struct faiss_index *index, size_t k);

/* What tells the file from others of its size: a checksum of centroids and list sizes. */
uint64_t faiss_index_fingerprint(const struct faiss_index *index);

enum { FAISS_CODES_NAME_MAX = 48 };
/* The codec in FAISS's factory strings' words: "SQ8", "PQ16x4fs". Answers `text`, or a constant. */
const char *faiss_codes_name(const struct ivf_codec *codec, char text[FAISS_CODES_NAME_MAX]);

struct faiss_search {
    const float *queries; /* float[count][dim] */
    size_t count;
    size_t dim; /* must be the file's */
    size_t k;
    size_t nprobe;                  /* 0: the file's default; more than there are lists: all */
    const struct id_filter *filter; /* NULL: all ids */
    float
        k_factor;  /* of a file with a flat part: candidates for each neighbour, at least 1; 0: as the file says */
    bool scan_all; /* a flat file may be read whole, however large: FLAT_BYTES_MAX does not bound it */
};

/* What a search of a flat file reads at most, unless it may scan all. */
enum { FLAT_BYTES_MAX = 1 << 30 };

/* What one query cost. */
struct faiss_search_cost {
    uint64_t rounds, requests, bytes;
    uint64_t lists;      /* probed */
    int64_t duration_ns; /* of all of it */
};

/* Searches one query after the other, each in one round of reads, and one more where candidates are looked at again.
 * Over a reader in memory, and in a flat file, many are searched together: each is said to have cost its share of the
 * time, and the first of them what was read for all.
 *
 * ids        out, int64[count][k], best first; -1 where fewer were found, as in FAISS
 * distances  out, float[count][k]: squared L2 or inner products; where fewer were found the largest float, for
 * inner
 *            products the least
 * costs      out, [count], or NULL
 *
 * DP_INVALID for another dimension, k of 0 or a k_factor that cannot be; DP_TOO_LARGE for a flat file that must be allowed to
 * be read; what the reader answers; DP_CORRUPT for lists that contradict the
 * head. */
enum dp_status faiss_index_search(struct call *call, const struct faiss_index *index,
                                  const struct faiss_search *search, int64_t *ids, float *distances,
                                  struct faiss_search_cost *costs);

#endif
