/* index/segment/segment.h: a segment's .dpr object, which holds the rows, without the codes of their vectors.
 *
 * The head comment of segment/write.c and docs/internals/segment.md give its grammar. To open a segment, a program
 * reads the hot part, which is the end of the object. The hot part tells where all else is. Later reads fetch
 * ranges; each range has a checksum in the hot part or beside its bytes.
 */
#ifndef INDEX_SEGMENT_H
#define INDEX_SEGMENT_H

#include "base/arena.h"
#include "index/manifest/manifest.h"
#include "index/segment/format.h"

/* A document block. Blocks with the same first_row hold the pieces of one long document. */
struct document_block {
    uint64_t offset; /* of its first byte in the object */
    uint32_t first_row;
    uint32_t stored; /* bytes */

    /* Of format 1. Blocks of later formats begin with their checksum, and say how many bytes they hold. */
    uint64_t checksum; /* of its bytes */
    uint32_t raw;      /* bytes decompressed */
};

/* An id block: sorted id keys, each with its row number. */
struct id_block {
    uint64_t offset; /* of its first byte in the object */
    uint64_t checksum;
    uint32_t stored;   /* bytes */
    uint32_t entries;  /* id keys */
    struct span first; /* the block's first id key */
};

/* A row with no vector, or with more than one. */
struct window_run {
    uint32_t row;
    uint32_t vectors; /* of the row; not 1 */
    uint64_t first;   /* number of its first vector, or of the next row's if it has none */
};

/* An optional section of a segment. */
struct segment_section {
    bool there;
    struct span bytes;    /* of a hot section, verified and decompressed */
    uint64_t offset, len; /* in the object */
    uint64_t checksum;    /* of all bytes. To read a part of a cold section takes checksums inside the section. */
};

struct ZSTD_DDict_s;

/* A parsed hot part. It does not change after segment_parse_hot(). */
struct segment_hot {
    struct arena arena; /* owns the arrays below */
    struct ulid id;
    uint32_t format; /* SEGMENT_FORMAT_OLDEST to SEGMENT_FORMAT */
    uint32_t dim;
    uint64_t rows, vectors, size;                   /* size: bytes of the .dpr object */
    uint64_t vectors_offset;                        /* where the first vector begins in the .dpr object */
    struct span filter;                             /* for key_filter_maybe(); len 0: its bytes were not read */
    uint64_t ivf_size, ivf_head, ivf_head_checksum; /* bytes of the .ivf object and of its head */
    uint32_t nlist;
    uint32_t *list_rows;        /* [nlist]: rows of each list; row numbers rise list by list */
    uint64_t *list_checksums;   /* [nlist]: checksum of each list's bytes in the .ivf object */
    struct window_run *windows; /* [window_count], ascending by row */
    size_t window_count;
    struct document_block *documents;
    size_t document_count;
    uint64_t document_bytes;         /* of all documents decompressed */
    struct ZSTD_DDict_s *dictionary; /* for the documents; or NULL */
    struct id_block *ids;
    size_t id_count;
    struct segment_section sections[SECTION_KINDS]; /* the optional ones; see segment_section() */
};

/* The bytes that open a segment: the end of its .dpr object. */
struct opening_range {
    uint64_t offset, len;
};
/* Returns the range of the hot part, with the filter of ids if it is wanted. */
struct opening_range segment_opening_range(const struct manifest_segment *listed, bool filter);
/* Initialises *out from the bytes of an opening range of the segment that `listed` lists. Fails with DP_CORRUPT,
 * DP_UNSUPPORTED or DP_NOMEM; then there is nothing to free. */
enum dp_status segment_parse_hot(struct span bytes, const struct manifest_segment *listed, uint32_t dim,
                                 struct segment_hot *out, struct dp_error *error);
void segment_hot_deinit(struct segment_hot *hot);
/* Returns an optional section, or NULL if the segment has none of this kind. */
const struct segment_section *segment_section(const struct segment_hot *hot, enum section_kind kind);

/* ---- vectors ------------------------------------------------------------------------------------------ */

/* Finds the vectors of a row: *count of them from number *first on. */
void segment_vectors_of(const struct segment_hot *hot, uint64_t row, uint64_t *first, uint64_t *count);
/* Returns the XXH3-64 of the bytes of a vector or a document block, mixed with its number. So a piece at the place of
 * another one has the wrong checksum. */
uint64_t segment_piece_checksum(struct span bytes, uint64_t number);

/* ---- documents ---------------------------------------------------------------------------------------- */

/* Document blocks that hold whole rows: one block with some rows, or all blocks of one long document. */
struct document_run {
    size_t first, count; /* number of the run's first document block; number of blocks */
    uint32_t first_row, rows;
    uint64_t offset, len; /* bytes in the object */
};
/* Returns the run that holds the document of a row. */
struct document_run segment_documents_of(const struct segment_hot *hot, uint64_t row);

/* The document of a row, and its id. */
struct segment_document {
    struct span key;  /* the id key of the row, see id.h */
    struct span json; /* the attributes of the row */
};
/* Verifies `stored`, the compressed bytes of a run, and decompresses them into `arena`. Fails with DP_CORRUPT or
 * DP_NOMEM. */
enum dp_status segment_inflate(const struct segment_hot *hot, const struct document_run *run, struct span stored,
                               struct arena *arena, struct span *raw, struct dp_error *error);
/* Finds the document of a row in the decompressed run. Fails with DP_CORRUPT when the run does not hold it. */
enum dp_status segment_find_document(const struct document_run *run, struct span raw, uint64_t row,
                                     struct segment_document *out, struct dp_error *error);

/* ---- ids ---------------------------------------------------------------------------------------------- */

/* Returns the number of the id block that may hold the key; id_count when the key sorts before all ids. */
size_t segment_id_block_of(const struct segment_hot *hot, struct span key);
/* Verifies the bytes of an id block. Fails with DP_CORRUPT. */
enum dp_status segment_check_ids(const struct segment_hot *hot, size_t block, struct span bytes,
                                 struct dp_error *error);

/* A walk over the entries of a verified id block. */
struct id_walk {
    struct cursor at;
    uint64_t rows;
};
struct id_walk id_walk_over(const struct segment_hot *hot, struct span bytes);
/* Reads the next entry. Returns false at the end of the block; also at a malformed entry, and then
 * walk->at.failed. */
bool id_walk_next(struct id_walk *walk, struct span *key, uint32_t *row);

#endif
