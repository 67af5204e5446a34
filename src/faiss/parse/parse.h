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

#include "faiss/ivf_file.h"
#include "faiss/parse/source.h"

enum {
    PARSE_NESTING_MAX = 4,  /* wrappers around an inverted file */
    PARSE_DIM_MAX = 1 << 20 /* dimensions of a transform: not all of them have so many floats in the file */
};

struct faiss_parser {
    struct faiss_source source;
    struct faiss_ivf *ivf;
    uint32_t kind;       /* fourcc of the inverted file */
    uint64_t tail_bytes; /* of the file's end, which are not lists */
};

/* A fourcc for a message: unprintable bytes as \xNN. */
enum { FOURCC_TEXT_MAX = 17 };
const char *parse_fourcc_text(uint32_t fourcc, char text[FOURCC_TEXT_MAX]);

enum dp_status parse_u32(struct faiss_parser *p, const char *what, uint64_t ahead, uint32_t *out);
/* A count of elements of `size` bytes that lie in the file. */
enum dp_status parse_count(struct faiss_parser *p, const char *what, uint64_t size, uint64_t ahead,
                           uint64_t *count);
/* Takes the memory of count elements of `size` bytes out of what heads may have, to be given back with the file:
 * DP_TOO_LARGE when that is not left. */
enum dp_status parse_reserve(struct faiss_parser *p, const char *what, uint64_t count, size_t size);
/* The same, and allocates them, zeroed; DP_NOMEM. */
enum dp_status parse_alloc(struct faiss_parser *p, const char *what, uint64_t count, size_t size, void *out);
/* Allocates and copies count elements of `size` bytes, which lie in the file. */
enum dp_status parse_array(struct faiss_parser *p, const char *what, uint64_t count, size_t size, uint64_t ahead,
                           void *out);

/* DP_UNSUPPORTED for a file that begins with this fourcc: what it is, and what to do. */
enum dp_status parse_refuse_file(struct faiss_parser *p, uint32_t fourcc);
/* The same for a part of one: "its quantizer is" an inverted multi-index. others: what is supported there. */
enum dp_status parse_refuse_part(struct faiss_parser *p, const char *what, uint32_t fourcc, const char *others);
/* "L1", … */
const char *parse_metric_name(int32_t metric);

struct index_header {
    int32_t d;
    int64_t ntotal;
    int32_t metric;
};
enum { PARSE_HEADER_BYTES = 33 }; /* behind the fourcc */
/* Reads and checks the header of an index, behind its fourcc. */
enum dp_status parse_header(struct faiss_parser *p, const char *what, uint64_t ahead, struct index_header *out);

enum dp_status parse_transforms(struct faiss_parser *p);
enum dp_status parse_ivf_header(struct faiss_parser *p);
enum dp_status parse_codec(struct faiss_parser *p);
enum dp_status parse_lists(struct faiss_parser *p);
/* A scalar quantizer's fields and ranges; `after` more bytes follow. */
enum dp_status parse_scalar_quantizer(struct faiss_parser *p, uint64_t after);
/* An index without lists, of kind p->kind, behind its fourcc. */
enum dp_status parse_flat(struct faiss_parser *p);
/* What refines the index before it. ivf->refine.dim and .transforms are known. */
enum dp_status parse_refinement(struct faiss_parser *p);
/* The bytes of a refinement; false: too many for a number. */
bool parse_refinement_bytes(uint64_t ntotal, uint64_t d, uint64_t *bytes);

/* What is likely to follow a part, so that one round takes it all. nlist and dim are known and checked. */
uint64_t parse_codec_ahead(const struct faiss_parser *p);
uint64_t parse_lists_ahead(const struct faiss_parser *p);

/* Parses a file from its first byte into *ivf, whose name, memory and file_bytes are set and whose other fields are zero.
 * The caller frees it, also when this fails. */
enum dp_status parse_file(struct faiss_source *source, struct faiss_ivf *ivf);

#endif
