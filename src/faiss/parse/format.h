/* faiss/parse/format.h: numbers of the FAISS file format, for the parser and the writer (docs/internals/faiss.md).
 * */
#ifndef FAISS_FORMAT_H
#define FAISS_FORMAT_H

#include <stdint.h>

/* A fourcc as a little-endian u32, as the file stores it. */
#define FAISS_FOURCC(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

enum {
    /* inverted files that we write; parse/codec.c has the table of all that we read */
    FAISS_IVF_FLAT = FAISS_FOURCC('I', 'w', 'F', 'l'),
    FAISS_IVF_SQ = FAISS_FOURCC('I', 'w', 'S', 'q'),
    /* wrappers around an index */
    FAISS_PRE_TRANSFORM = FAISS_FOURCC('I', 'x', 'P', 'T'),
    FAISS_ID_MAP = FAISS_FOURCC('I', 'x', 'M', 'p'),
    FAISS_ID_MAP_2 = FAISS_FOURCC('I', 'x', 'M', '2'),
    FAISS_REFINE = FAISS_FOURCC('I', 'x', 'R', 'F'),
    /* transforms */
    FAISS_LINEAR = FAISS_FOURCC('L', 'T', 'r', 'a'), /* also OPQ */
    FAISS_ROTATION = FAISS_FOURCC('r', 'r', 'o', 't'),
    FAISS_PCA = FAISS_FOURCC('P', 'c', 'a', 'm'),
    FAISS_PCA_OLD = FAISS_FOURCC('P', 'c', 'A', 'm'),   /* has no epsilon */
    FAISS_PCA_OLDER = FAISS_FOURCC('P', 'C', 'A', 'm'), /* has neither epsilon nor balanced_bins */
    FAISS_NORMALIZE = FAISS_FOURCC('V', 'N', 'r', 'm'),
    FAISS_CENTER = FAISS_FOURCC('V', 'C', 'n', 't'),
    FAISS_REMAP = FAISS_FOURCC('R', 'm', 'D', 'T'),
    FAISS_HADAMARD = FAISS_FOURCC('H', 'R', 'o', 't'),
    /* quantizers, and indexes without lists */
    FAISS_FLAT_L2 = FAISS_FOURCC('I', 'x', 'F', '2'),
    FAISS_FLAT_IP = FAISS_FOURCC('I', 'x', 'F', 'I'),
    FAISS_FLAT_OLD = FAISS_FOURCC('I', 'x', 'F', 'l'), /* for both metrics */
    FAISS_SQ = FAISS_FOURCC('I', 'x', 'S', 'Q'),
    FAISS_HNSW_FLAT = FAISS_FOURCC('I', 'H', 'N', 'f'),
    /* inverted lists */
    FAISS_LISTS_ARRAY = FAISS_FOURCC('i', 'l', 'a', 'r'),
    FAISS_LISTS_BLOCK = FAISS_FOURCC('i', 'l', 'b', 'l'),
    FAISS_SIZES_FULL = FAISS_FOURCC('f', 'u', 'l', 'l'),
    FAISS_SIZES_SPARSE = FAISS_FOURCC('s', 'p', 'r', 's')
};

enum {
    FAISS_HEADER_BYTES = 37, /* fourcc, i32 d, i64 ntotal, 2 × i64, u8 is_trained, i32 metric */
    FAISS_DUMMY = 1 << 20,   /* the value that FAISS writes into the two unused i64 fields of a header */
    FAISS_QT_8BIT = 0,
    FAISS_QT_4BIT = 1,
    FAISS_QT_8BIT_UNIFORM = 2,
    FAISS_QT_4BIT_UNIFORM = 3,
    FAISS_QT_FP16 = 4,
    FAISS_QT_8BIT_DIRECT = 5,
    FAISS_QT_6BIT = 6,
    FAISS_QT_BF16 = 7,
    FAISS_QT_8BIT_DIRECT_SIGNED = 8,
    FAISS_RS_MINMAX = 0
};

#endif
