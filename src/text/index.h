/* text/index.h: the text index of one segment, as a search reads it.
 *
 *     TIDX    := u32 rows, u32 inline_df, u16 columns, u16 with_codes, column{columns}, u32 blocks, block{blocks}
 *     column  := u32 attribute, u64 settings, u64 rows with a token, u64 sum of their lengths
 *     block   := key, varint len                        of TDIC; no key in an earlier block is as large as this one
 *     TFRQ    := u32 terms, (key, varint df, varint len){terms}            terms in more than inline_df rows
 *     LENS    := (u8 code{rows}){columns}               lengths (bm25.h); empty if with_codes: then postings have them
 *     TDIC    := (u64 checksum, entry{…}){blocks}
 *     entry   := key, varint df, varint len, list       terms in at most inline_df rows
 *     POST    := (u64 checksum, list){terms}            one piece for each term of TFRQ, in the same order
 *     key     := varint shared, varint len, bytes       behind the first `shared` bytes of the key before; term_key.h
 *
 * Keys ascend. A list is that of postings.h. A len of TIDX or TFRQ counts the checksum, which is XXH3-64 of the bytes
 * behind it, XOR (number + 1) * 0x9e3779b97f4a7c15, so that no piece stands for another. TIDX, TFRQ and LENS lie in
 * the hot part, which has their checksums; so the hot part alone says where each term is, and no term needs two reads.
 */
#ifndef TEXT_INDEX_H
#define TEXT_INDEX_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"
#include "text/postings.h"

enum {
    TEXT_BLOCK_MIN = 4 * 1024,         /* bytes of a block of terms, about, in a small index */
    TEXT_BLOCK_WANTED_MAX = 64 * 1024, /* and in a large one */
    TEXT_PIECE_SUM = 8,                /* bytes of a checksum */
    TERM_PREFIX_MAX = 238              /* of a longer token, a key has these bytes and a checksum (term_key.h) */
};

struct text_index_column {
    uint32_t attribute;
    uint64_t settings;
    uint64_t filled, lengths; /* rows with a token; the sum of their lengths */
};

/* One piece of TDIC or POST. */
struct text_piece {
    struct span key; /* the separator before a block; the term */
    uint64_t at;     /* offset in TDIC or POST */
    uint32_t len, df;
};

struct text_index {
    uint32_t rows, inline_df, column_count, block_count, frequent_count;
    bool with_codes;
    struct text_index_column *columns;
    struct text_piece *blocks, *frequent; /* in the arena, as their keys */
    uint64_t terms_len, postings_len;     /* bytes of TDIC and POST */
    const uint8_t *codes;                 /* [columns][rows] in LENS, or NULL */
};

/* Where the postings of a term are, if the index has any. */
struct term_place {
    enum { TEXT_NOWHERE, TEXT_IN_BLOCK, TEXT_IN_POSTINGS } where;
    uint32_t number; /* of the block, or of the frequent term */
    const struct text_piece *piece;
};

/* Opens an index of a segment of `rows` rows. The three spans must live as long as the index. Fails with DP_CORRUPT or
 * DP_NOMEM. */
enum dp_status text_index_open(struct arena *arena, uint32_t rows, struct span tidx, struct span tfrq,
                               struct span lens, struct text_index *out, struct dp_error *error);
/* Returns the column of an attribute that was analysed by these settings, or -1. */
int64_t text_index_column(const struct text_index *index, uint32_t attribute, uint64_t settings);
/* Returns the first column with these settings, of whatever attribute, or -1. */
int64_t text_index_column_of(const struct text_index *index, uint64_t settings);
struct term_place text_index_find(const struct text_index *index, uint32_t column, struct span token);
/* The pieces that have all terms of a column that begin with a prefix. */
struct term_range {
    uint32_t block, block_count;       /* the first block, and how many; they may have other terms, too */
    uint32_t frequent, frequent_count; /* the first frequent term, and how many */
};
/* `prefix` has at most TERM_PREFIX_MAX bytes, so the keys of all its terms begin with it. */
struct term_range text_index_range(const struct text_index *index, uint32_t column, struct span prefix);
/* Opens the postings of a token in the bytes of its piece. *found: whether the term is there; without it the index has
 * no row with the token. The bytes must live as long as the list. */
enum dp_status term_place_open(struct arena *arena, const struct text_index *index, const struct term_place *place,
                               struct span bytes, uint32_t column, struct span token, bool *found,
                               struct postings *out, struct dp_error *error);
/* Adds to `set`, a bit for each row of the index, the rows of all terms of the range that begin with the prefix.
 * `bytes`: those of the blocks, and those of the frequent terms. */
enum dp_status term_range_rows(struct arena *arena, const struct text_index *index, const struct term_range *range,
                               const struct span *blocks, const struct span *frequent, uint32_t column,
                               struct span prefix, uint64_t *set, struct dp_error *error);
uint64_t text_piece_checksum(struct span bytes, uint64_t number);

/* The terms of a block, one after another. */
struct text_block_reader {
    struct cursor rest;
    uint8_t key[256]; /* TERM_KEY_MAX */
    uint32_t key_len, df;
    struct span list;
};
/* Checks the checksum of a block and goes before its first term. */
enum dp_status text_block_begin(struct text_block_reader *r, struct span bytes, uint32_t number,
                                struct dp_error *error);
/* Goes to the next term. Returns false at the end, or if the block is damaged: then r->rest.failed. */
bool text_block_next(struct text_block_reader *r);

#endif
