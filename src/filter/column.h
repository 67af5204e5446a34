/* filter/column.h: the attributes of a segment's rows as typed columns, which answer filters in place of documents.
 *
 * A column holds the values of one attribute as keys: numbers of 64 bits, in pages of COLUMN_PAGE_ROWS rows. A summary
 * says where each page lies, and gives the bounds of its keys. A program keeps the summary in memory, and reads the
 * pages that a filter needs. This room only makes and reads bytes: its callers store them, and add and check the
 * checksums.
 *
 *   summary := varint rows, u8 complete, varint columns, column*
 *   column  := varint length, name, u8 type, numbers?
 *   numbers := varint rows without a value, varint odd rows, u64 least key, u64 greatest key,
 *              varint entries, varint bytes of the dictionary, extent*
 *   extent  := varint bytes of the page, u8 low, u8 high
 *
 * `complete`: the summary names every attribute of which a row has a value. Type 0: the segment has no pages of this
 * attribute. low and high are bounds: all keys of the page lie between them. The way from the column's least key to its
 * greatest one is cut into 256 parts, and the bounds are numbers of parts. low > high: the page has no value.
 *
 *   pages      := (dictionary? page*)*     column by column; COLUMN_SUM bytes of the storage follow each
 *   dictionary := (varint length, text)*
 *   page       := u8 flags, nulls?, odd?, counts?, values
 *   counts     := packed                   of array attributes: elements of each row
 *   values     := packed                   one for each row; of array attributes: varint number of elements, packed
 *   packed     := u8 width, varint base, bits    each number minus the base, in `width` bits
 *
 * nulls and odd are bits, one for each row: rows without a value, and rows whose value is not of the attribute's
 * type. The document decides about an odd row. All rows of an opaque page are odd; it has flags alone.
 *
 * Keys of numbers, times and bools keep the order of the values. The key of a text is the number of its dictionary
 * entry. A text that has no entry has the key COLUMN_HASHED and 32 bits of its hash: then the document decides
 * whether the texts are equal.
 */
#ifndef FILTER_COLUMN_H
#define FILTER_COLUMN_H

#include "base/arena.h"
#include "base/buffer.h"
#include "filter/attribute.h"

enum {
    COLUMN_PAGE_ROWS = 4096,
    COLUMN_PAGE_WORDS = COLUMN_PAGE_ROWS / 64,
    COLUMN_SUM = 8,                     /* bytes of the storage behind each dictionary and page */
    COLUMNS_MAX = 1024,                 /* columns of one summary */
    COLUMN_ITEMS_MAX = 64 * 1024,       /* elements of arrays in one page; beyond them the page is opaque */
    COLUMN_ENTRIES_MAX = 32 * 1024,     /* texts of a dictionary */
    COLUMN_ENTRY_MAX = 64,              /* bytes of such a text */
    COLUMN_DICTIONARY_MAX = 128 * 1024, /* bytes of a dictionary */
    COLUMN_PAGE_MAX = 2 * 1024 * 1024   /* bytes of a page */
};

#define COLUMN_HASHED (UINT64_C(1) << 32)

/* Flags of a page. */
enum { COLUMN_HAS_NULLS = 1, COLUMN_HAS_ODD = 2, COLUMN_OPAQUE = 4 };

/* A dictionary or a page, as the summary knows it. */
struct column_piece {
    uint64_t offset; /* from the beginning of all pages */
    uint32_t len;    /* bytes, without COLUMN_SUM */
    uint8_t low, high;
};

/* A column, as the summary knows it. */
struct attribute_column {
    struct span name;
    bool stored; /* whether it has pages; else only `name` counts */
    enum attribute_type type;
    uint64_t nulls, odd;      /* rows without a value; rows about which the document decides */
    uint64_t least, greatest; /* keys; least > greatest: there is no value */
    uint32_t entries;
    struct column_piece dictionary; /* len 0: none */
    struct column_piece *pages;     /* [page_count] */
};

/* The columns of a segment. */
struct columns {
    uint64_t rows;
    bool complete;
    size_t page_count; /* of each column */
    size_t count;
    struct attribute_column *columns;
    uint64_t bytes; /* of all dictionaries and pages */
};

/* Parses a summary of a segment with `rows` rows into `arena`. Names point into `bytes`. Fails with DP_CORRUPT or
 * DP_NOMEM. */
enum dp_status columns_parse(struct span bytes, uint64_t rows, struct arena *arena, struct columns *out,
                             struct dp_error *error);
/* Returns the column of an attribute, or NULL. */
const struct attribute_column *columns_find(const struct columns *columns, struct span name);
/* Appends the beginning of a summary; its columns follow. */
void columns_put_head(uint64_t rows, bool complete, size_t count, struct buffer *out);
/* Appends a column with its pages. */
void column_put(const struct attribute_column *column, size_t page_count, struct buffer *out);
/* Returns how many pages `rows` rows have. */
static inline size_t column_page_count(uint64_t rows)
{
    return (size_t)((rows + COLUMN_PAGE_ROWS - 1) / COLUMN_PAGE_ROWS);
}
/* Returns the rows of page number `page`. */
static inline size_t column_page_rows(uint64_t rows, size_t page)
{
    uint64_t left = rows - (uint64_t)page * COLUMN_PAGE_ROWS;
    return left < COLUMN_PAGE_ROWS ? (size_t)left : COLUMN_PAGE_ROWS;
}

/* Returns in which of the 256 parts between the least and the greatest key a key lies. */
static inline uint8_t column_bucket(uint64_t least, uint64_t greatest, uint64_t key)
{
    return (uint8_t)((key - least) / (((greatest - least) >> 8) + 1));
}

/* ---- pages ----------------------------------------------------------------------------------------------- */

/* A page in memory. Reused for page after page. One owner thread. */
struct column_page {
    size_t rows;
    uint64_t nulls[COLUMN_PAGE_WORDS], odd[COLUMN_PAGE_WORDS]; /* row r is bit r % 64 of word r / 64 */
    uint64_t counts[COLUMN_PAGE_ROWS];                         /* of array attributes: elements of each row */
    uint64_t *keys; /* [key_count]: of each row; of array attributes: of each element */
    size_t key_count, key_room;
};

void column_page_deinit(struct column_page *page);
/* Makes room for another key. Returns false if memory runs out. */
bool column_page_reserve(struct column_page *page);
/* Writes a page, which replaces what `out` has. `array`: of an array attribute. */
void column_page_write(const struct column_page *page, bool array, bool opaque, struct buffer *out);
/* Reads a page of `rows` rows. Fails with DP_CORRUPT or DP_NOMEM. */
enum dp_status column_page_read(struct span bytes, bool array, size_t rows, struct column_page *out,
                                struct dp_error *error);

#endif
