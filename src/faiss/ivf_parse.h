/* ivf_parse.h: the head of an inverted file, parsed from a prefix of the file. Private to this room. */
#ifndef FAISS_IVF_PARSE_H
#define FAISS_IVF_PARSE_H

#include "faiss/ivf_read.h"

struct faiss_ivf {
    struct ivf_codec codec;
    char fourcc[5];
    uint64_t ntotal, nlist, nprobe;
    uint64_t head_bytes, file_bytes;
    enum vector_metric quantizer_metric;
    float *centroids;      /* float[nlist][dim] */
    float *trained;        /* codec.trained */
    uint64_t *list_offset; /* [nlist + 1]: where each list begins in the file; it ends where the next begins */
};

/* Parses a head from the first bytes of a file.
 *
 * DP_OK: *out is the parsed head. When the prefix ends before the head does, answers DP_OK with *out NULL and
 * *need the length of a prefix to come again with: longer than this one, and not beyond the file. */
enum dp_status faiss_ivf_parse(struct span prefix, uint64_t file_size, struct faiss_ivf **out, uint64_t *need,
                               struct dp_error *error);

#endif
