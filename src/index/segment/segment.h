/* index/segment/segment.h: a segment's .dpr object, which holds all of its rows but the codes of their vectors.
 *
 * Its grammar is the head comment of segment/write.c and docs/internals/segment.md. The hot part, at the object's
 * end, is read whole when a segment is opened, and says where everything else lies. The rest is read in ranges; each
 * has a checksum in the hot part or beside its bytes.
 */
#ifndef INDEX_SEGMENT_H
#define INDEX_SEGMENT_H

#include "base/arena.h"
#include "index/manifest/manifest.h"
#include "index/segment/format.h"

/* A block of documents. Blocks with one first_row hold the pieces of one long document. */
struct document_block {
    uint64_t offset; /* in the object */
    uint64_t checksum;
    uint32_t first_row;
    uint32_t stored, raw; /* bytes when compressed, and when not */
};

/* A block of sorted ids. */
struct id_block {
    uint64_t offset;
    uint64_t checksum;
    uint32_t stored;
    uint32_t entries;
    struct span first; /* its first key */
};

/* A row with more than one vector. */
struct window_run {
    uint32_t row;
    uint32_t extra;  /* vectors beyond the first */
    uint64_t before; /* extra vectors of all rows before this one */
};

/* A hot part, parsed. Immutable. */
struct segment_hot {
    struct arena arena; /* memory of the arrays below */
    struct ulid id;
    uint32_t dim;
    uint64_t rows, vectors, size;
    uint64_t vectors_offset;
    struct span filter; /* key_filter.h */
    uint64_t ivf_size, ivf_head, ivf_head_checksum;
    uint32_t nlist;
    uint32_t *list_rows;        /* [nlist]: rows that a list owns; rows are numbered list by list */
    uint64_t *list_checksums;   /* [nlist]: of the list's bytes in the .ivf */
    struct window_run *windows; /* ascending by row */
    size_t window_count;
    struct document_block *documents;
    size_t document_count;
    struct id_block *ids;
    size_t id_count;
};

/* Initialises *out from the hot part of the segment that `listed` lists. On failure there is nothing to free:
 * DP_CORRUPT, DP_UNSUPPORTED, DP_NOMEM. */
enum dp_status segment_parse_hot(struct span bytes, const struct manifest_segment *listed, uint32_t dim,
                                 struct segment_hot *out, struct dp_error *error);
void segment_hot_deinit(struct segment_hot *hot);

/* ---- vectors ------------------------------------------------------------------------------------------ */

/* Finds the vectors of a row: *count of them from number *first on. */
void segment_vectors_of(const struct segment_hot *hot, uint64_t row, uint64_t *first, uint64_t *count);
/* XXH3-64 of the floats' bytes, mixed with the vector's number so that no vector stands for another. */
uint64_t segment_vector_checksum(struct span floats, uint64_t number);

/* ---- documents ---------------------------------------------------------------------------------------- */

/* Blocks that hold one row, or some rows together. */
struct document_run {
    size_t first, count; /* blocks */
    uint32_t first_row, rows;
    uint64_t offset, len; /* bytes in the object */
};
struct document_run segment_documents_of(const struct segment_hot *hot, uint64_t row);

struct segment_document {
    struct span key;  /* the row's id, see id.h */
    struct span json; /* its attributes */
};
/* Decompresses a run whose stored bytes were read into `arena`, and verifies them. */
enum dp_status segment_inflate(const struct segment_hot *hot, const struct document_run *run, struct span stored,
                               struct arena *arena, struct span *raw, struct dp_error *error);
/* Finds the document of a row of the run. DP_CORRUPT when it is not there. */
enum dp_status segment_find_document(const struct document_run *run, struct span raw, uint64_t row,
                                     struct segment_document *out, struct dp_error *error);

/* ---- ids ---------------------------------------------------------------------------------------------- */

/* The number of the block that would hold the key; id_count when the key sorts before all. */
size_t segment_id_block_of(const struct segment_hot *hot, struct span key);
/* Verifies a block that was read. */
enum dp_status segment_check_ids(const struct segment_hot *hot, size_t block, struct span bytes,
                                 struct dp_error *error);

/* Walks a verified block. */
struct id_walk {
    struct cursor at;
    uint64_t rows;
};
struct id_walk id_walk_over(const struct segment_hot *hot, struct span bytes);
/* False at the end, or (walk->at.failed) where the block is malformed. */
bool id_walk_next(struct id_walk *walk, struct span *key, uint32_t *row);

#endif
