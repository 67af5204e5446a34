/* index/segment/write.h: writes a .dpr object from beginning to end. segment/write.c has its grammar. */
#ifndef INDEX_SEGMENT_WRITE_H
#define INDEX_SEGMENT_WRITE_H

#include "index/segment/object_writer.h"
#include "index/segment/segment.h"

struct ZSTD_CCtx_s;

/* The sizes and checksums of the .ivf object of the segment. */
struct segment_lists {
    uint64_t ivf_size, ivf_head, ivf_head_checksum; /* bytes of the object, and of its head */
    uint32_t nlist;
    const uint32_t *rows;      /* [nlist]: rows of each list */
    const uint64_t *checksums; /* [nlist]: checksum of each list */
};

/* A .dpr object that a load writes. Its owner thread calls segment_write_begin(), then segment_write_vectors() for
 * all rows, segment_write_document() for all rows, segment_write_id() for all sorted ids, and
 * segment_write_end(). */
struct segment_writer {
    struct object_writer object;
    struct ulid id;
    uint32_t dim;
    uint64_t rows, vectors;                          /* rows and vectors that segment_write_vectors() wrote */
    uint64_t documents, ids;                         /* documents and ids written so far */
    uint64_t documents_at, ids_at;                   /* offsets of the sections DOCS and IDXS */
    uint32_t window_row;                             /* the latest row in `windows` */
    struct buffer windows, document_index, id_index; /* the hot sections WIND, DBLK and IBLK */
    struct buffer raw, stored, ids_block;            /* the current blocks: documents, compressed documents, ids */
    uint32_t raw_first_row, ids_entries;             /* first row in `raw`; ids in `ids_block` */
    struct ZSTD_CCtx_s *zstd;
    uint8_t *filter;
    size_t filter_len;
};

/* Begins the object `key` of a segment with `rows` rows. The caller deinits the writer, also after a failure. */
enum dp_status segment_write_begin(struct call *call, struct segment_writer *w, struct store *store,
                                   const struct object_key *key, const struct ulid *id, uint32_t dim,
                                   uint64_t rows);
/* Writes the vectors of the next row: float[count][dim]; count may be 0. */
enum dp_status segment_write_vectors(struct call *call, struct segment_writer *w, const float *vectors,
                                     size_t count);
/* Writes the document of the next row: its id key and its attributes. */
enum dp_status segment_write_document(struct call *call, struct segment_writer *w, struct span key,
                                      struct span json);
/* Writes the next id key in sorted order, and its row number. */
enum dp_status segment_write_id(struct call *call, struct segment_writer *w, struct span key, uint32_t row);
/* Writes the hot part, makes the object visible, and describes the segment in *listed. */
enum dp_status segment_write_end(struct call *call, struct segment_writer *w, const struct segment_lists *lists,
                                 struct manifest_segment *listed);
void segment_writer_deinit(struct segment_writer *w);

#endif
