/* faiss/ivf.h: an open FAISS file: its parsed head, and the places of its lists.
 *
 * Opening reads the head: header, centroids, list sizes. docs/internals/faiss.md lists the kinds of file that this
 * room reads. For any other kind, opening fails with DP_UNSUPPORTED, which names the kind. Bytes that
 * contradict each other are DP_CORRUPT. The file's size bounds the memory that opening takes. faiss/probe.h
 * chooses and scans lists; faiss/search.h does a whole search.
 */
#ifndef FAISS_IVF_H
#define FAISS_IVF_H

#include "faiss/reader.h"
#include "os/call.h"
#include "vector/ivf_codec.h"

struct faiss_head_memory;

/* An open file. It never changes, so any number of threads may use it. The fields are in faiss/ivf_file.h. */
struct faiss_ivf;

struct faiss_ivf_info {
    char fourcc[5];    /* the kind of the inverted file: "IwFl", "IwSq", … */
    const char *codes; /* the codec's name in FAISS's factory strings: "SQ8", "PQ16x4fs" */
    const struct ivf_codec *codec;
    size_t dim_in; /* dimensions of a query; the transforms turn them into codec->dim */
    size_t transforms;
    bool id_map;
    bool hnsw; /* the quantizer is an HNSW graph; a search ignores the graph and compares with all centroids */
    /* A flat file has no lists: its vectors lie one after another, and every search reads all data_bytes. Then
     * nlist is 1, however many pieces the file has (faiss_ivf_list_range). */
    bool flat;
    uint64_t data_bytes; /* bytes of all lists; flat: bytes of all vectors */
    bool refined;        /* the file has a flat part (",RFlat"), which faiss/refine.h reads */
    float k_factor;      /* refined: the file's number of candidates for each neighbour; else 0 */
    /* ntotal is the header's count; listed counts the vectors in lists, which searches can find. FAISS puts a
     * vector with a NaN into no list, but counts it. */
    uint64_t ntotal, listed;
    uint64_t nlist;
    uint64_t nprobe;     /* the file's default */
    uint64_t head_bytes; /* bytes before the list data (cluster_data_offset) */
    uint64_t file_bytes;
    uint64_t memory_bytes;            /* bytes of memory that the head takes while the file is open */
    uint64_t open_rounds, open_bytes; /* rounds and bytes that opening read */
};

/* Opens a file whose head has an unknown length. The first read takes `guess` bytes (0: 128 KiB), the next one the
 * exact rest. A file with array lists and a flat quantizer takes at most two rounds, unless it has a large direct
 * map. docs/internals/faiss.md has the rounds of the other kinds. */
enum dp_status faiss_ivf_open(struct call *call, const struct faiss_reader *reader, size_t guess,
                              struct faiss_ivf **out);
/* Opens a file within a bound on memory (faiss/head_memory.h; NULL: no bound). The bound must outlive the file.
 * DP_TOO_LARGE: the head would exceed the bound. */
enum dp_status faiss_ivf_open_within(struct call *call, const struct faiss_reader *reader, size_t guess,
                                     struct faiss_head_memory *memory, struct faiss_ivf **out);
/* Parses a head of known length: the first head.len bytes of a file of file_size bytes, up to the list data at
 * least. Keeps no pointer into `head`. A file with block lists or an id map needs all its bytes; with fewer it
 * is DP_CORRUPT. */
enum dp_status faiss_ivf_parse_head(struct span head, uint64_t file_size, struct faiss_ivf **out,
                                    struct dp_error *error);
void faiss_ivf_free(struct faiss_ivf *ivf);

/* Returns facts about the file. Their pointers are valid as long as the file is open. */
struct faiss_ivf_info faiss_ivf_info(const struct faiss_ivf *ivf);
/* Returns the centroids, float[nlist][codec->dim]; NULL for a flat file. */
const float *faiss_ivf_centroids(const struct faiss_ivf *ivf);

/* The place of a list in the file. For a flat file, `list` is the number of a piece: vectors that are read
 * together. The bytes are:
 *
 *   array list          codes, ids
 *   block list          ids, length of the codes, codes
 *   piece of flat file  codes */
struct faiss_list_range {
    uint64_t offset, len; /* bytes; an empty list has len 0 */
    uint64_t count;       /* vectors */
};
struct faiss_list_range faiss_ivf_list_range(const struct faiss_ivf *ivf, uint32_t list);

/* Returns whether a search gives the same answer in any order of its lists. With RaBitQ codes of several bits the
 * order can change the answer: FAISS looks more closely at a code only if the code's estimate beats the best hits so
 * far. */
bool faiss_ivf_any_order(const struct faiss_ivf *ivf);

#endif
