/* parse.h: what the parts of the parser share: the open file that they fill, and where they are. Private to this
 * room.
 *
 * A file is read in order, part by part; each part takes its fields from the source and is done. The order, and
 * the file that has the part:
 *
 *   parse_index.c      wrappers (IxPT, IxMp) until an inverted file; after it, the id map
 *   parse_transform.c  the transforms of an IxPT
 *   parse_header.c     the IVF header: the quantizer with its centroids, the direct map
 *   parse_codec.c      what the codes mean
 *   parse_lists.c      where the lists lie
 */
#ifndef FAISS_PARSE_H
#define FAISS_PARSE_H

#include <stdatomic.h>

#include "faiss/head_memory.h"
#include "faiss/ivf_read.h"
#include "faiss/source.h"
#include "vector/transform.h"

enum {
    PARSE_TRANSFORMS_MAX = 16, /* in all of a file */
    PARSE_NESTING_MAX = 4,     /* wrappers around an inverted file */
    PARSE_DIM_MAX = 1 << 20    /* dimensions of a transform: not all of them have so many floats in the file */
};

struct faiss_ivf {
    struct ivf_codec codec;
    char fourcc[5];  /* of the inverted file */
    char *name;      /* of the file, for errors */
    uint64_t ntotal; /* by the header */
    uint64_t listed; /* vectors in lists, at most ntotal */
    uint64_t nlist, nprobe;
    uint64_t head_bytes, file_bytes;
    bool hnsw;
    enum vector_metric quantizer_metric;
    float *centroids;      /* float[nlist][dim] */
    float *trained;        /* codec.trained */
    uint64_t *list_offset; /* [nlist + 1]: where each list's bytes begin in the file; arrays: and end */
    uint64_t *list_size;   /* blocks: [nlist], vectors of each list; arrays: NULL */
    size_t dim_in;         /* of queries, before the transforms */
    struct vector_transform transforms[PARSE_TRANSFORMS_MAX];
    size_t transform_count;
    uint8_t *id_map;                  /* int64[ntotal], or NULL */
    struct faiss_head_memory *memory; /* that bounds it; NULL: none does */
    uint64_t memory_bytes;            /* of the arrays above */
    /* [nlist], or NULL when the codec has none: each list's constants (vector/pq.h), made when it is first scanned. The
     * one part that changes, once for each list, by whichever thread is first. */
    _Atomic(float *) *constants;
    uint64_t open_rounds, open_bytes;
};

struct parser {
    struct faiss_source source;
    struct faiss_ivf *ivf;
    uint32_t kind;       /* fourcc of the inverted file */
    uint64_t tail_bytes; /* of the file's end, which are not lists */
};

/* A fourcc for a message: unprintable bytes as \xNN. */
enum { FOURCC_TEXT_MAX = 17 };
const char *parse_fourcc_text(uint32_t fourcc, char text[FOURCC_TEXT_MAX]);

enum dp_status parse_u32(struct parser *p, const char *what, uint64_t ahead, uint32_t *out);
/* A count of elements of `size` bytes that lie in the file. */
enum dp_status parse_count(struct parser *p, const char *what, uint64_t size, uint64_t ahead, uint64_t *count);
/* Takes the memory of count elements of `size` bytes out of what heads may have, to be given back with the file:
 * DP_TOO_LARGE when that is not left. */
enum dp_status parse_reserve(struct parser *p, const char *what, uint64_t count, size_t size);
/* The same, and allocates them, zeroed; DP_NOMEM. */
enum dp_status parse_alloc(struct parser *p, const char *what, uint64_t count, size_t size, void *out);
/* Allocates and copies count elements of `size` bytes, which lie in the file. */
enum dp_status parse_array(struct parser *p, const char *what, uint64_t count, size_t size, uint64_t ahead,
                           void *out);

struct index_header {
    int32_t d;
    int64_t ntotal;
    int32_t metric;
};
enum { PARSE_HEADER_BYTES = 33 }; /* behind the fourcc */
/* Reads and checks the header of an index, behind its fourcc. */
enum dp_status parse_header(struct parser *p, const char *what, uint64_t ahead, struct index_header *out);

enum dp_status parse_transforms(struct parser *p);
enum dp_status parse_ivf_header(struct parser *p);
enum dp_status parse_codec(struct parser *p);
enum dp_status parse_lists(struct parser *p);

/* What is likely to follow a part, so that one round takes it all. nlist and dim are known and checked. */
uint64_t parse_codec_ahead(const struct parser *p);
uint64_t parse_lists_ahead(const struct parser *p);

/* Parses a file. memory: bounds what it takes, or NULL. On success *out is owned by the caller. */
enum dp_status parse_file(struct faiss_source *source, struct faiss_head_memory *memory, struct faiss_ivf **out);

#endif
