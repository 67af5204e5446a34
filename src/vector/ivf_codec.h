/* vector/ivf_codec.h: the codecs of inverted files, and the layout of a list's codes in memory. */
#ifndef VECTOR_IVF_CODEC_H
#define VECTOR_IVF_CODEC_H

#include "vector/distance.h"

/* The kinds of codecs. Each row names a kind and its functions: ivf_kind_NAME (vector/ivf_kinds.h). */
#define IVF_CODEC_KINDS(ROW)                                                                                 \
    ROW(IVF_FLAT, flat)                         /* floats */                                                 \
    ROW(IVF_SQ8, scalar)                        /* 8 bits for each dimension, with a range (vector/sq8.h) */ \
    ROW(IVF_SQ4, scalar)                        /* 4 bits for each dimension: FAISS's QT_4bit */             \
    ROW(IVF_SQ6, scalar)                        /* 6 bits for each dimension: QT_6bit */                     \
    ROW(IVF_FP16, scalar)                       /* IEEE halves: QT_fp16 */                                   \
    ROW(IVF_BF16, scalar)                       /* the upper halves of floats: QT_bf16 */                    \
    ROW(IVF_PQ, pq)                             /* product quantizer */                                      \
    ROW(IVF_PQ_FAST, pq_fast)                   /* product quantizer of 4 bits, interleaved blocks */        \
    ROW(IVF_RABITQ, rabitq)                     /* RaBitQ, 1 bit a dimension */                              \
    ROW(IVF_RABITQ_BITS, rabitq_bits)           /* RaBitQ, 2 … 9 bits a dimension */                       \
    ROW(IVF_RABITQ_FAST, rabitq_fast)           /* RaBitQ, 1 bit, in interleaved blocks */                   \
    ROW(IVF_RABITQ_FAST_BITS, rabitq_fast_bits) /* RaBitQ, 2 … 9 bits, the first in interleaved blocks */

#define IVF_KIND_VALUE(kind, functions) kind,
enum ivf_codec_kind { IVF_CODEC_KINDS(IVF_KIND_VALUE) };

/* The FAISS quantizer that made scalar codes, where their kind does not say it. */
enum ivf_scalar_form {
    IVF_SCALAR_RANGES,  /* a range for each dimension */
    IVF_SCALAR_UNIFORM, /* one range for all dimensions: QT_8bit_uniform, QT_4bit_uniform */
    IVF_SCALAR_DIRECT,  /* the code is the value, 0 to 255: QT_8bit_direct */
    IVF_SCALAR_SIGNED   /* the code is the value plus 128: QT_8bit_direct_signed */
};

/* The meaning of a list's codes. */
struct ivf_codec {
    enum ivf_codec_kind kind;
    enum vector_metric metric;
    size_t dim;
    size_t code_size;          /* bytes of one vector's code; for blocked kinds, a vector's share of a block */
    bool by_residual;          /* codes hold x - centroid */
    enum ivf_scalar_form form; /* for scalar codes */
    /* SQ4, SQ6, SQ8: float[2][dim], the least value and the range of each dimension, for every form.
     * PQ: float[m][dim / m][1 << bits], with the entries side by side (vector/pq.h). */
    const float *trained;
    size_t m;           /* PQ: parts of a vector */
    size_t bits;        /* bits of an index (PQ) or of a dimension (RaBitQ) */
    size_t query_bits;  /* RaBitQ: bits to which scans round queries; 0: no rounding (never 0 for fast kinds) */
    bool centered;      /* RaBitQ fast: scans round queries symmetrically around 0 */
    bool precomputed;   /* PQ fast, L2, by residual: FAISS uses precomputed tables (scan_pq_fast.c) */
    size_t block_rows;  /* blocked kinds: vectors of a block, a multiple of 32; otherwise 0 */
    size_t block_bytes; /* bytes of a block */
    size_t pairs;       /* pairs of 4-bit indexes of a vector: a block begins with pairs * block_rows bytes */
};

/* Returns the bytes of the codes of a list of n vectors. The caller must have bounded n. */
static inline uint64_t ivf_codec_list_bytes(const struct ivf_codec *codec, uint64_t n)
{
    if (codec->block_rows == 0)
        return n * codec->code_size;
    return (n + codec->block_rows - 1) / codec->block_rows * codec->block_bytes;
}

/* Return sizes in bytes for RaBitQ: of a vector's sign bits, of its other bits, and of all that lies beside the
 * sign bits: 2 floats for one bit; 3 floats, the other bits and 2 floats for more. */
static inline size_t rabitq_sign_bytes(size_t dim)
{
    return (dim + 7) / 8;
}
static inline size_t rabitq_extra_bytes(size_t dim, size_t bits)
{
    return (dim * (bits - 1) + 7) / 8;
}
static inline size_t rabitq_factor_bytes(size_t dim, size_t bits)
{
    return bits == 1 ? 8 : 12 + rabitq_extra_bytes(dim, bits) + 8;
}

#endif
