/* index/segment/write.h: writes a .dpr object from beginning to end. segment/write.c has its grammar. */
#ifndef INDEX_SEGMENT_WRITE_H
#define INDEX_SEGMENT_WRITE_H

#include "base/checksum.h"
#include "index/segment/object_writer.h"
#include "index/segment/segment.h"

struct ZSTD_CCtx_s;
struct ZSTD_CDict_s;

/* The sizes and checksums of the .ivf object of the segment. */
struct segment_lists {
    uint64_t ivf_size, ivf_head, ivf_head_checksum; /* bytes of the object, and of its head */
    uint32_t nlist;
    const uint32_t *rows;      /* [nlist]: rows of each list */
    const uint64_t *checksums; /* [nlist]: checksum of each list */
};

/* An optional section that a load writes. */
struct optional_section {
    bool there;
    struct buffer bytes;            /* of a hot section */
    struct buffer packed;           /* these bytes as a zstd frame; empty: that would not be shorter */
    uint64_t offset, len, checksum; /* of a cold section, in the object */
};

/* A .dpr object that a load writes. Its owner thread calls segment_write_begin(), then segment_write_vectors() for
 * all rows, optionally segment_write_dictionary(), segment_write_document() for all rows, segment_write_id() for all
 * sorted ids, optionally segment_write_piece() and segment_add_section(), and segment_write_end(). */
struct segment_writer {
    struct object_writer object;
    struct ulid id;
    uint32_t dim;
    uint64_t rows, vectors;                  /* rows and vectors that segment_write_vectors() wrote */
    uint64_t documents, ids;                 /* documents and ids written so far */
    uint64_t documents_at, ids_at, ids_end;  /* offsets of the sections DOCS and IDXS, and behind IDXS */
    uint32_t window_row;                     /* the latest row in `windows` */
    struct buffer windows, frames, id_index; /* the hot sections WIND, DFRM (its entries) and IBLK */
    struct buffer raw, stored, ids_block;    /* the current blocks: documents, compressed documents, ids */
    uint32_t raw_first_row, ids_entries;     /* first row in `raw`; ids in `ids_block` */
    uint64_t frame_count, raw_bytes;         /* document blocks, and bytes of documents, written so far */
    struct ZSTD_CCtx_s *zstd;
    struct ZSTD_CDict_s *dictionary; /* for the documents; or NULL */
    uint8_t *filter;
    size_t filter_len;
    struct optional_section sections[SECTION_KINDS];
    enum section_kind open;         /* the cold optional section that is being written; SECTION_KINDS: none */
    struct checksum64_state summed; /* of its bytes so far */
};

/* Begins the object `key` of a segment with `rows` rows. The caller deinits the writer, also after a failure. */
enum dp_status segment_write_begin(struct call *call, struct segment_writer *w, struct store *store,
                                   const struct object_key *key, const struct ulid *id, uint32_t dim,
                                   uint64_t rows);
/* Writes the vectors of the next row: float[count][dim]; count may be 0. */
enum dp_status segment_write_vectors(struct call *call, struct segment_writer *w, const float *vectors,
                                     size_t count);
/* Makes a dictionary of at most max bytes for the documents, before the first one. samples: `count` typical documents,
 * one after another. If they are too few or too odd, the segment gets no dictionary. */
enum dp_status segment_write_dictionary(struct call *call, struct segment_writer *w, struct span samples,
                                        const size_t *sizes, size_t count, size_t max);
/* Writes the document of the next row: its id key and its attributes. */
enum dp_status segment_write_document(struct call *call, struct segment_writer *w, struct span key,
                                      struct span json);
/* Writes the next id key in sorted order, and its row number. */
enum dp_status segment_write_id(struct call *call, struct segment_writer *w, struct span key, uint32_t row);
/* Appends bytes to a cold optional section. The pieces of one section follow one another. The section's checksum,
 * which a verification checks, covers all its pieces. To read a part of the section takes checksums inside its bytes. */
enum dp_status segment_write_piece(struct call *call, struct segment_writer *w, enum section_kind kind,
                                   struct span bytes);
/* Returns the bytes of an optional section so far: where the next piece begins. */
uint64_t segment_section_len(const struct segment_writer *w, enum section_kind kind);
/* Appends bytes to an optional section of the hot part, and compresses the section if that makes it shorter. */
enum dp_status segment_add_section(struct call *call, struct segment_writer *w, enum section_kind kind,
                                   struct span bytes);
/* Adds a whole section, as segment_add_section() does, unless more than `max` bytes of the hot part would be needed. */
enum dp_status segment_offer_section(struct call *call, struct segment_writer *w, enum section_kind kind,
                                     struct span bytes, size_t max, bool *taken);
/* Returns how many bytes the hot part can still take in optional sections, if the segment has nlist lists. */
size_t segment_hot_left(const struct segment_writer *w, uint32_t nlist);
/* Writes the hot part, makes the object visible, and describes the segment in *listed. */
enum dp_status segment_write_end(struct call *call, struct segment_writer *w, const struct segment_lists *lists,
                                 struct manifest_segment *listed);
void segment_writer_deinit(struct segment_writer *w);

#endif
