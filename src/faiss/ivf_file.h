/* faiss/ivf_file.h: the fields of an open file. Private to src/faiss/: parse/ fills them, searches read them. */
#ifndef FAISS_IVF_FILE_H
#define FAISS_IVF_FILE_H

#include <stdatomic.h>

#include "faiss/head_memory.h"
#include "faiss/ivf.h"
#include "vector/transform.h"

enum {
    FAISS_TRANSFORMS_MAX = 16, /* maximum transforms of a file */
    FAISS_LENGTH_BYTES = 8     /* bytes of the length of a block list's codes, which lies between ids and codes */
};

/* The flat part of a refined index (",RFlat"): all vectors as floats, in the order of their numbers. */
struct faiss_refinement {
    bool present;
    uint64_t offset; /* offset of the floats in the file: f32[ntotal][dim] */
    size_t dim;
    size_t transforms; /* a query for these floats needs only this many transforms, the file's first ones */
    /* A search for k neighbours looks at k * k_factor candidates, unless it names another factor. */
    float k_factor;
};

struct faiss_ivf {
    struct ivf_codec codec;
    char fourcc[5];  /* the kind of the inverted file: "IwSq" */
    char codes[48];  /* the codec's name: "SQ8", "PQ16x4fs" */
    char *name;      /* the file's name, for errors */
    uint64_t ntotal; /* vectors that the header counts */
    uint64_t listed; /* vectors in lists, at most ntotal */
    uint64_t nlist, nprobe;
    uint64_t head_bytes, file_bytes;
    bool hnsw;
    /* A flat file has no lists and no centroids: its vectors lie one after another from head_bytes on. Pieces of
     * piece_rows vectors stand for lists. nlist counts the pieces, and every search scans all of them. */
    bool flat;
    uint64_t piece_rows;
    struct faiss_refinement refine;
    enum vector_metric quantizer_metric;
    float *centroids; /* float[nlist][dim]; flat: NULL */
    float *trained;   /* codec.trained */
    /* [nlist + 1]: the offset of each list in the file; the last element is the end of the lists. Flat file:
     * NULL. */
    uint64_t *list_offset;
    uint64_t *list_size; /* block lists: [nlist], vectors of each list; array lists: NULL */
    size_t dim_in;       /* dimensions of a query before the transforms */
    struct vector_transform transforms[FAISS_TRANSFORMS_MAX];
    size_t transform_count;
    uint8_t *id_map;                  /* int64[ntotal], or NULL */
    struct faiss_head_memory *memory; /* the bound on memory_bytes, or NULL */
    uint64_t memory_bytes;            /* bytes of the arrays of this struct */
    /* [nlist]: the constants of each list (vector/pq.h); NULL for a codec that has none. The thread that first
     * scans a list makes its constants. No other field changes after parsing. */
    _Atomic(float *) *constants;
    uint64_t open_rounds, open_bytes;
};

#endif
