/* format.h: numbers of the FAISS file format that reading and writing share (docs/internals/faiss.md). */
#ifndef FAISS_FORMAT_H
#define FAISS_FORMAT_H

#include <stdint.h>

/* A fourcc as the little-endian u32 it is in the file. */
#define FAISS_FOURCC(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

enum {
    FAISS_IVF_FLAT = FAISS_FOURCC('I', 'w', 'F', 'l'),
    FAISS_IVF_SQ = FAISS_FOURCC('I', 'w', 'S', 'q'),
    FAISS_FLAT_L2 = FAISS_FOURCC('I', 'x', 'F', '2'),
    FAISS_FLAT_IP = FAISS_FOURCC('I', 'x', 'F', 'I'),
    FAISS_FLAT_OLD = FAISS_FOURCC('I', 'x', 'F', 'l'), /* either metric */
    FAISS_LISTS_ARRAY = FAISS_FOURCC('i', 'l', 'a', 'r'),
    FAISS_SIZES_FULL = FAISS_FOURCC('f', 'u', 'l', 'l'),
    FAISS_SIZES_SPARSE = FAISS_FOURCC('s', 'p', 'r', 's')
};

enum {
    FAISS_HEADER_BYTES = 37, /* fourcc, i32 d, i64 ntotal, 2 × i64, u8 is_trained, i32 metric */
    FAISS_DUMMY = 1 << 20,   /* what FAISS writes in the two unused fields */
    FAISS_QT_8BIT = 0,
    FAISS_RS_MINMAX = 0
};

#endif
