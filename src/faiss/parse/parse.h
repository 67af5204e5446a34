/* parse.h: what the parts of the parser share: the open file that they fill, and where they are. Private to this
 * room.
 *
 * A file is read in order, part by part; each part takes its fields from the source and is done. The order, and
 * the file that has the part:
 *
 *   parse/index.c      wrappers (IxPT, IxMp, IxRF) until an inverted file or a flat index; after it, the id map
 *   parse/transform.c  the transforms of an IxPT
 *   parse/header.c     the IVF header: the quantizer with its centroids, the direct map
 *   parse/codec.c      what the codes mean
 *   parse/lists.c      where the lists lie
 *   parse/kinds.c      refuses all others
 *   parse/flat.c       in place of the three before: indexes without lists; and what refines an index
 */
#ifndef FAISS_PARSE_H
#define FAISS_PARSE_H

#include <stdatomic.h>

#include "faiss/head_memory.h"
#include "faiss/ivf.h"
#include "faiss/parse/source.h"
#include "vector/transform.h"

enum {
    PARSE_TRANSFORMS_MAX = 16, /* in all of a file */
    PARSE_NESTING_MAX = 4,     /* wrappers around an inverted file */
    PARSE_DIM_MAX = 1 << 20    /* dimensions of a transform: not all of them have so many floats in the file */
};

/* The flat part of a refined index (",RFlat"): all vectors as floats, by their numbers. */
struct faiss_refinement {
    bool present;
    uint64_t offset; /* in the file: f32[ntotal][dim] */
    size_t dim;
    size_t transforms; /* the first so many are done to a query before it is compared with these */
    float k_factor;    /* for k neighbours k * k_factor candidates are looked at, unless a search says otherwise */
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
    /* There are no lists, but all vectors one after another from head_bytes on. Pieces of them, of piece_rows vectors,
     * stand for lists, and every search scans all: nlist counts them. No centroids then. */
    bool flat;
    uint64_t piece_rows;
    struct faiss_refinement refine;
    enum vector_metric quantizer_metric;
    float *centroids; /* float[nlist][dim]; flat: NULL */
    float *trained;   /* codec.trained */
    uint64_t
        *list_offset;    /* [nlist + 1]: where each list's bytes begin in the file; arrays: and end. flat: NULL */
    uint64_t *list_size; /* blocks: [nlist], vectors of each list; arrays: NULL */
    size_t dim_in;       /* of queries, before the transforms */
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

/* DP_UNSUPPORTED for a file that begins with this fourcc: what it is, and what to do. */
enum dp_status parse_refuse_file(struct parser *p, uint32_t fourcc);
/* The same for a part of one: "its quantizer is" an inverted multi-index. others: what is supported there. */
enum dp_status parse_refuse_part(struct parser *p, const char *what, uint32_t fourcc, const char *others);
/* "L1", … */
const char *parse_metric_name(int32_t metric);

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
/* A scalar quantizer's fields and ranges; `after` more bytes follow. */
enum dp_status parse_scalar_quantizer(struct parser *p, uint64_t after);
/* An index without lists, of kind p->kind, behind its fourcc. */
enum dp_status parse_flat(struct parser *p);
/* What refines the index before it. ivf->refine.dim and .transforms are known. */
enum dp_status parse_refinement(struct parser *p);
/* The bytes of a refinement; false: too many for a number. */
bool parse_refinement_bytes(uint64_t ntotal, uint64_t d, uint64_t *bytes);

/* What is likely to follow a part, so that one round takes it all. nlist and dim are known and checked. */
uint64_t parse_codec_ahead(const struct parser *p);
uint64_t parse_lists_ahead(const struct parser *p);

/* Takes a query float[dim_in] through the first `count` transforms. Answers the query itself for none, else where in
 * `room` float[faiss_ivf_transform_room()] the result is. */
const float *parse_transform_query(const struct faiss_ivf *ivf, const float *query, size_t count, float *room);

/* What one round of a search reads at most; a search that needs more takes several. */
enum { SEARCH_ROUND_BYTES_MAX = 256 << 20 };
/* How many of the lists [begin, count) are read in one round: all, unless they are uncommonly much. Answers the end. */
size_t faiss_ivf_round(const struct faiss_ivf *ivf, const uint32_t *lists, size_t begin, size_t count);

/* Parses a file. memory: bounds what it takes, or NULL. On success *out is owned by the caller. */
enum dp_status parse_file(struct faiss_source *source, struct faiss_head_memory *memory, struct faiss_ivf **out);

#endif
