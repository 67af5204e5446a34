/* faiss/parse/parse.h: the parser of a FAISS file's head. Only src/faiss/ may include it. parse_file is for all of
 * src/faiss/; everything else is for the parser's own files.
 *
 * The parser reads a file in order, part by part. These files parse the parts, in this order:
 *
 *   parse/index.c      wrappers (IxPT, IxMp, IxRF) around an inverted file or a flat index; behind it, the id map
 *   parse/transform.c  the transforms of an IxPT
 *   parse/header.c     the IVF header: the quantizer with its centroids, the direct map
 *   parse/codec.c      the codec; the table of kinds
 *   parse/lists.c      the places of the lists
 *   parse/flat.c       indexes without lists, in place of the three files before; the refinement of an index
 *   parse/refuse.c     refuses all other kinds
 */
#ifndef FAISS_PARSE_H
#define FAISS_PARSE_H

#include "faiss/ivf_file.h"
#include "faiss/parse/source.h"

enum {
    PARSE_NESTING_MAX = 4, /* maximum wrappers around an index */
    /* Maximum dimensions of a transform. RmDT and VNrm need this bound, because their bytes do not grow
     * with the dimensions. */
    PARSE_DIM_MAX = 1 << 20
};

struct faiss_parser;

/* A kind of index. We read inverted files that have a `codec`, and refuse the other kinds. */
struct parse_kind {
    char fourcc[5];
    /* For a kind that we read: codec() parses the codec and sets the codes' name. The codec's fields probably
     * have bytes + dim_bytes * dim + guess_bytes() bytes in the file. guess_bytes may be NULL. */
    enum dp_status (*codec)(struct faiss_parser *p);
    uint64_t bytes, dim_bytes;
    uint64_t (*guess_bytes)(const struct faiss_parser *p);
    bool blocks; /* lists of this kind are block lists */
    /* For a kind that we refuse: its name in messages, and what the user can do. */
    const char *name, *way;
};
/* Returns the kind of a fourcc; NULL for flat indexes, wrappers and unknown kinds. */
const struct parse_kind *parse_find_kind(uint32_t fourcc);
extern const char parse_supported[]; /* names the kinds that we read, in messages */

struct faiss_parser {
    struct faiss_source source;
    struct faiss_ivf *ivf;
    uint32_t fourcc;               /* kind of the inverted file or the flat index */
    const struct parse_kind *kind; /* the entry of `fourcc` in the table; NULL for a flat index */
    uint64_t tail_bytes;           /* bytes behind the index: its wrappers' ids and refinements */
};

/* Writes a fourcc for a message, with unprintable bytes as \xNN. Returns `text`. */
enum { FOURCC_TEXT_MAX = 17 };
const char *parse_fourcc_text(uint32_t fourcc, char text[FOURCC_TEXT_MAX]);

enum dp_status parse_u32(struct faiss_parser *p, const char *what, uint64_t ahead, uint32_t *out);
/* Reads a u64 count of elements of `size` bytes each, and checks that the file has room for the elements. */
enum dp_status parse_count(struct faiss_parser *p, const char *what, uint64_t size, uint64_t ahead,
                           uint64_t *count);
/* Reserves memory for count elements of `size` bytes within the bound on heads (head_memory.h), until the file is
 * freed. Errors: DP_TOO_LARGE (the bound). */
enum dp_status parse_reserve(struct faiss_parser *p, const char *what, uint64_t count, size_t size);
/* Reserves and allocates count zeroed elements of `size` bytes. Errors: DP_TOO_LARGE (the bound), DP_NOMEM. */
enum dp_status parse_alloc(struct faiss_parser *p, const char *what, uint64_t count, size_t size, void *out);
/* Reads count elements of `size` bytes into memory that it allocates. */
enum dp_status parse_array(struct faiss_parser *p, const char *what, uint64_t count, size_t size, uint64_t ahead,
                           void *out);

/* Fails with DP_UNSUPPORTED for a file of kind p->fourcc, which has no parser. The message names the kind and says
 * what to do. */
enum dp_status parse_refuse_file(struct faiss_parser *p);
/* Fails with DP_UNSUPPORTED for a part of a file.
 *
 * what    begins the message, such as "its quantizer is"; the part's kind follows
 * others  the supported kinds */
enum dp_status parse_refuse_part(struct faiss_parser *p, const char *what, uint32_t fourcc, const char *others);
/* Returns FAISS's name of a metric, such as "L1". */
const char *parse_metric_name(int32_t metric);

struct index_header {
    int32_t d;
    int64_t ntotal;
    int32_t metric;
};
enum { PARSE_HEADER_BYTES = 33 }; /* bytes of a header without its fourcc */
/* Reads and checks the header of an index, behind its fourcc. */
enum dp_status parse_header(struct faiss_parser *p, const char *what, uint64_t ahead, struct index_header *out);

enum dp_status parse_transforms(struct faiss_parser *p);
enum dp_status parse_ivf_header(struct faiss_parser *p);
/* Sets the codec to plain floats. */
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

/* Return the bytes that the codec or the lists probably take, so that one round reads them with the part before.
 * nlist and dim must be known and checked. */
uint64_t parse_codec_ahead(const struct faiss_parser *p);
uint64_t parse_lists_ahead(const struct faiss_parser *p);

/* Parses a file from its first byte into *ivf. The caller has set ivf's name, memory and file_bytes, and zeroed
 * the other fields. The caller frees *ivf, also after a failure. */
enum dp_status parse_file(struct faiss_source *source, struct faiss_ivf *ivf);

#endif
