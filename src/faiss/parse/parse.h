/* faiss/parse/parse.h: the parser of a file's head. Private to this room: parse_file is for the rest of the room,
 * all else for the parser's own files.
 *
 * The parser reads a file in order, part by part. Each part takes its fields from the source. The order, and the
 * file of each part:
 *
 *   parse/index.c      wrappers (IxPT, IxMp, IxRF) around an inverted file or a flat index; behind it, the id map
 *   parse/transform.c  the transforms of an IxPT
 *   parse/header.c     the IVF header: the quantizer with its centroids, the direct map
 *   parse/codec.c      the meaning of the codes; the table of kinds
 *   parse/lists.c      the places of the lists
 *   parse/flat.c       in place of the three before: indexes without lists; and the refinement of an index
 *   parse/refuse.c     refuses all other kinds
 */
#ifndef FAISS_PARSE_H
#define FAISS_PARSE_H

#include "faiss/ivf_file.h"
#include "faiss/parse/source.h"

enum {
    PARSE_NESTING_MAX = 4, /* wrappers around an inverted file */
    /* Dimensions of a transform; it bounds those whose size the file does not imply (RmDT, VNrm). */
    PARSE_DIM_MAX = 1 << 20
};

struct faiss_parser;

/* A kind of index. We read inverted files that have a `codec`, and refuse the other kinds. */
struct parse_kind {
    char fourcc[5];
    /* Of a kind that we read. codec() parses the meaning of the codes, and sets their name. The codec probably takes
     * bytes + dim_bytes * dim + guess_bytes() bytes of the file; guess_bytes may be NULL. */
    enum dp_status (*codec)(struct faiss_parser *p);
    uint64_t bytes, dim_bytes;
    uint64_t (*guess_bytes)(const struct faiss_parser *p);
    bool blocks; /* its lists are block lists */
    /* Of a kind that we refuse: its name for people, and what they can do. */
    const char *name, *way;
};
/* The row of a fourcc; NULL for flat indexes, wrappers and unknown kinds. */
const struct parse_kind *parse_find_kind(uint32_t fourcc);
extern const char parse_supported[]; /* the kinds that we read, for messages */

struct faiss_parser {
    struct faiss_source source;
    struct faiss_ivf *ivf;
    uint32_t fourcc;               /* of the inverted file or the flat index */
    const struct parse_kind *kind; /* the row of `fourcc`; NULL for a flat index */
    uint64_t tail_bytes;           /* behind the index: ids and refinements of its wrappers */
};

/* A fourcc for a message: unprintable bytes as \xNN. */
enum { FOURCC_TEXT_MAX = 17 };
const char *parse_fourcc_text(uint32_t fourcc, char text[FOURCC_TEXT_MAX]);

enum dp_status parse_u32(struct faiss_parser *p, const char *what, uint64_t ahead, uint32_t *out);
/* Reads a u64 count of elements of `size` bytes, and checks that so many bytes follow. */
enum dp_status parse_count(struct faiss_parser *p, const char *what, uint64_t size, uint64_t ahead,
                           uint64_t *count);
/* Reserves the memory of count elements of `size` bytes within the bound on heads, until the file is freed:
 * DP_TOO_LARGE beyond it. */
enum dp_status parse_reserve(struct faiss_parser *p, const char *what, uint64_t count, size_t size);
/* Reserves and allocates count zeroed elements of `size` bytes; DP_NOMEM. */
enum dp_status parse_alloc(struct faiss_parser *p, const char *what, uint64_t count, size_t size, void *out);
/* Reads count elements of `size` bytes into memory that it allocates. */
enum dp_status parse_array(struct faiss_parser *p, const char *what, uint64_t count, size_t size, uint64_t ahead,
                           void *out);

/* DP_UNSUPPORTED for a file of kind p->fourcc, which has no parser; the message says what it is, and what to do. */
enum dp_status parse_refuse_file(struct faiss_parser *p);
/* DP_UNSUPPORTED for a part of a file: "its quantizer is" an inverted multi-index. others: the supported kinds. */
enum dp_status parse_refuse_part(struct faiss_parser *p, const char *what, uint32_t fourcc, const char *others);
/* "L1", … */
const char *parse_metric_name(int32_t metric);

struct index_header {
    int32_t d;
    int64_t ntotal;
    int32_t metric;
};
enum { PARSE_HEADER_BYTES = 33 }; /* without the fourcc */
/* Reads and checks the header of an index, behind its fourcc. */
enum dp_status parse_header(struct faiss_parser *p, const char *what, uint64_t ahead, struct index_header *out);

enum dp_status parse_transforms(struct faiss_parser *p);
enum dp_status parse_ivf_header(struct faiss_parser *p);
/* Sets the codec to floats. */
enum dp_status parse_floats(struct faiss_parser *p);
enum dp_status parse_lists(struct faiss_parser *p);
/* Reads a scalar quantizer's fields and ranges; `after` more bytes follow. */
enum dp_status parse_scalar_quantizer(struct faiss_parser *p, uint64_t after);
/* Reads an index without lists, of kind p->fourcc, behind its fourcc. */
enum dp_status parse_flat(struct faiss_parser *p);
/* Reads the refinement of the index before it. ivf->refine.dim and .transforms are set already. */
enum dp_status parse_refinement(struct faiss_parser *p);
/* Computes the bytes of a refinement; false when they overflow. */
bool parse_refinement_bytes(uint64_t ntotal, uint64_t d, uint64_t *bytes);

/* The bytes that probably follow a part, so that one round reads them all. nlist and dim are known and checked. */
uint64_t parse_codec_ahead(const struct faiss_parser *p);
uint64_t parse_lists_ahead(const struct faiss_parser *p);

/* Parses a file from its first byte into *ivf, whose name, memory and file_bytes are set and whose other fields
 * are zero. The caller frees it, also when this fails. */
enum dp_status parse_file(struct faiss_source *source, struct faiss_ivf *ivf);

#endif
