/* index/segment/format.h: the constants of .dpr and .del objects, for their writers, readers and fuzz target.
 *
 * segment/write.c has the grammar of a .dpr object, segment/deleted.h that of a .del object. All numbers in the
 * objects are little endian.
 */
#ifndef INDEX_SEGMENT_FORMAT_H
#define INDEX_SEGMENT_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#define SEGMENT_MAGIC     "DPRSEG1\n"
#define SEGMENT_HOT_MAGIC "DPRHOT1\n"
#define DELETED_MAGIC     "DPRDEL1\n"

enum {
    SEGMENT_FORMAT = 2,        /* the format that this build writes */
    SEGMENT_FORMAT_OLDEST = 1, /* the oldest one that it reads; format 1 has no optional sections */
    SECTION_VERSION = 1,
    SECTION_PACKED = 2, /* the version of an optional hot section whose bytes are a zstd frame */
    DELETED_VERSION = 1,
    FORMAT_MAGIC_LEN = 8,
    FORMAT_CHECKSUM_LEN = 8,

    /* Maxima. The parsers refuse an object that exceeds one. */
    SEGMENT_ROWS_MAX = 4 * 1000 * 1000,
    SEGMENT_HOT_MAX = 4 * 1024 * 1024,
    SEGMENT_SECTIONS_MAX = 64,
    SEGMENT_DICTIONARY_MAX = 32 * 1024,
    SEGMENT_CENTROIDS_MAX = 2 * 1024 * 1024,
    SEGMENT_BLOCK_MAX = 64 * 1024,    /* bytes of a document block before compression */
    SEGMENT_ID_BLOCK_MAX = 16 * 1024, /* bytes of an id block */

    /* Fewer vectors or dimensions get no first-stage codes. */
    FIRST_CODES_FROM = 2000,
    FIRST_CODES_DIM_MIN = 128,

    /* Lengths of parts of a .dpr object, in bytes. */
    SEGMENT_HEAD_LEN = FORMAT_MAGIC_LEN + 8, /* the bytes before the first section */
    SEGMENT_HOT_FIXED = 76,                  /* the bytes of the hot part before its table */
    SEGMENT_TABLE_ENTRY = 32,
    SECTION_TYPE_LEN = 4,
    LIST_FIXED = 32, /* the bytes of LIST before its entries */
    LIST_ENTRY = 12,
    DOCUMENT_ENTRY = 20,
    FRAME_TABLE_FIXED = 8, /* the bytes of DFRM before its entries */
    FRAME_ENTRY_MIN = 2,
    WINDOW_ENTRY_MIN = 2,
    ID_ENTRY_MIN = 17 + 2,   /* an entry of IBLK with the shortest id key */
    ID_ENTRY_MAX = 17 + 129, /* with the longest one */

    /* Offsets of fields in the hot part. */
    SEGMENT_HOT_SECTIONS_AT = 12,
    SEGMENT_HOT_ULID_AT = 16,
    SEGMENT_HOT_ROWS_AT = 52,
    SEGMENT_HOT_VECTORS_AT = 60,
    SEGMENT_HOT_SIZE_AT = 68,

    /* A .del object: bytes beside its row numbers, maximum bytes, offsets of fields. */
    DELETED_FIXED_LEN = 64,
    DELETED_LEN_MAX = DELETED_FIXED_LEN + 5 * SEGMENT_ROWS_MAX,
    DELETED_ULID_AT = 12,
    DELETED_ROWS_AT = 40,
    DELETED_COUNT_AT = 48
};

/* Sections of a .dpr object: cold ones, which readers read in ranges, then hot ones, which are in the hot part. */
enum section_kind {
    SECTION_VECTORS,
    SECTION_DOCUMENTS,
    SECTION_IDS,
    SECTION_FIRST_CODES, /* this section and all later cold ones are optional */
    SECTION_TERMS,
    SECTION_POSTINGS,
    SECTION_COLUMNS,
    SECTION_VALUES,
    SECTION_FILTER, /* this section and all later ones are in the hot part */
    SECTION_LISTS,
    SECTION_WINDOWS,
    SECTION_DOCUMENT_INDEX, /* of format 1 */
    SECTION_FRAMES,         /* of later formats */
    SECTION_ID_INDEX,
    SECTION_DICTIONARY, /* this section and all later ones are optional */
    SECTION_CENTROIDS,
    SECTION_TERM_INDEX,
    SECTION_FREQUENT_TERMS,
    SECTION_LENGTHS,
    SECTION_ATTRIBUTES,
    SECTION_KINDS
};

static const char section_types[SECTION_KINDS][SECTION_TYPE_LEN + 1] = {
    "VECS", "DOCS", "IDXS", "RBQ1", "TDIC", "POST", "ACOL", "AVAL", "FILT", "LIST",
    "WIND", "DBLK", "DFRM", "IBLK", "DICT", "CENT", "TIDX", "TFRQ", "LENS", "ASUM"};

static inline bool section_is_hot(enum section_kind kind)
{
    return kind >= SECTION_FILTER;
}

/* Returns whether a segment may lack the section. A reader does without it; a merge may make it. */
static inline bool section_is_optional(enum section_kind kind)
{
    return kind >= SECTION_DICTIONARY || (kind >= SECTION_FIRST_CODES && kind < SECTION_FILTER);
}

/* Returns whether a segment of the format must have the section. */
static inline bool section_is_required(enum section_kind kind, uint32_t format)
{
    enum section_kind unused = format == SEGMENT_FORMAT_OLDEST ? SECTION_FRAMES : SECTION_DOCUMENT_INDEX;
    return kind != unused && !section_is_optional(kind);
}

/* Returns the bytes of one vector in a .dpr object: its floats and a checksum. */
static inline uint64_t segment_vector_len(uint32_t dim)
{
    return (uint64_t)dim * 4 + FORMAT_CHECKSUM_LEN;
}
/* Returns the bytes of one vector in an .ivf list: its SQ8 code and its row number. */
static inline uint64_t segment_code_len(uint32_t dim)
{
    return (uint64_t)dim + 8;
}

#endif
