/* index/segment/write.h: writing a .dpr object in one pass. See segment/write.c for its grammar. */
#ifndef INDEX_SEGMENT_WRITE_H
#define INDEX_SEGMENT_WRITE_H

#include "index/segment/object_writer.h"
#include "index/segment/segment.h"

struct ZSTD_CCtx_s;

/* The .ivf object of the segment. */
struct segment_lists {
    uint64_t ivf_size, ivf_head, ivf_head_checksum;
    uint32_t nlist;
    const uint32_t *rows;      /* [nlist] */
    const uint64_t *checksums; /* [nlist] */
};

/* One owner thread, which calls in this order: begin; vectors of each row; documents of each row; ids, sorted; end. */
struct segment_writer {
    struct object_writer object;
    struct ulid id;
    uint32_t dim;
    uint64_t rows, vectors;                          /* written so far */
    uint64_t documents, ids;                         /* rows written so far */
    uint64_t documents_at, ids_at;                   /* where these sections begin */
    uint32_t window_row;                             /* the latest row in the table of windows */
    struct buffer windows, document_index, id_index; /* hot sections */
    struct buffer raw, stored, ids_block;
    uint32_t raw_first_row, ids_entries;
    struct ZSTD_CCtx_s *zstd;
    uint8_t *filter;
    size_t filter_len;
};

/* rows: how many rows will follow. */
enum dp_status segment_write_begin(struct call *call, struct segment_writer *w, struct store *store,
                                   const struct object_key *key, const struct ulid *id, uint32_t dim,
                                   uint64_t rows);
/* The next row's vectors: float[count][dim], count ≥ 1. */
enum dp_status segment_write_vectors(struct call *call, struct segment_writer *w, const float *vectors,
                                     size_t count);
/* The next row's id (its key) and attributes. */
enum dp_status segment_write_document(struct call *call, struct segment_writer *w, struct span key,
                                      struct span json);
/* The next id in order, and its row. */
enum dp_status segment_write_id(struct call *call, struct segment_writer *w, struct span key, uint32_t row);
/* Makes the object visible, and fills its numbers into `listed`. */
enum dp_status segment_write_end(struct call *call, struct segment_writer *w, const struct segment_lists *lists,
                                 struct manifest_segment *listed);
void segment_writer_deinit(struct segment_writer *w);

#endif
