/* faiss/ivf_file.h: the fields of an open file. Private to this room: parse/ fills them, searches read them. */
#ifndef FAISS_IVF_FILE_H
#define FAISS_IVF_FILE_H

#include <stdatomic.h>

#include "faiss/head_memory.h"
#include "faiss/ivf.h"
#include "vector/transform.h"

enum {
    FAISS_TRANSFORMS_MAX = 16, /* in all of a file */
    FAISS_LENGTH_BYTES = 8     /* the length of a block list's codes, which lies between its ids and its codes */
};

/* The flat part of a refined index (",RFlat"): all vectors as floats, by their numbers. */
struct faiss_refinement {
    bool present;
    uint64_t offset; /* in the file: f32[ntotal][dim] */
    size_t dim;
    size_t transforms; /* a query goes through this many transforms before it is compared with the floats */
    float
        k_factor; /* a search for k neighbours looks at k * k_factor candidates, unless it names another factor */
};

struct faiss_ivf {
    struct ivf_codec codec;
    char fourcc[5];  /* of the inverted file */
    char codes[48];  /* the codec's name: "SQ8", "PQ16x4fs" */
    char *name;      /* of the file, for errors */
    uint64_t ntotal; /* by the header */
    uint64_t listed; /* vectors in lists, at most ntotal */
    uint64_t nlist, nprobe;
    uint64_t head_bytes, file_bytes;
    bool hnsw;
    /* A flat file has no lists: its vectors lie one after another from head_bytes on. Pieces of piece_rows vectors
     * stand for lists, every search scans all of them, and nlist counts them. It has no centroids. */
    bool flat;
    uint64_t piece_rows;
    struct faiss_refinement refine;
    enum vector_metric quantizer_metric;
    float *centroids; /* float[nlist][dim]; flat: NULL */
    float *trained;   /* codec.trained */
    /* [nlist + 1]: the offset of each list in the file; arrays: the last one is the end. flat: NULL */
    uint64_t *list_offset;
    uint64_t *list_size; /* blocks: [nlist], vectors of each list; arrays: NULL */
    size_t dim_in;       /* of queries, before the transforms */
    struct vector_transform transforms[FAISS_TRANSFORMS_MAX];
    size_t transform_count;
    uint8_t *id_map;                  /* int64[ntotal], or NULL */
    struct faiss_head_memory *memory; /* the bound on memory_bytes, or NULL */
    uint64_t memory_bytes;            /* of the arrays */
    /* [nlist], or NULL for codecs without: each list's constants (vector/pq.h). The thread that first scans a list
     * makes them; all other fields stay as parsed. */
    _Atomic(float *) *constants;
    uint64_t open_rounds, open_bytes;
};

#endif
