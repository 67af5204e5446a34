/* text/postings.h: the rows of one term, packed. postings.c has the grammar.
 *
 * A list has its postings in ascending order of rows, in blocks of 256 and a last shorter one. Each block says, by at
 * most four impacts, what its best postings can be, so that a search skips a block whose best is not good enough. An
 * impact is a (frequency, length code) pair; each posting of the block has some impact with at least its frequency and
 * at most its length. Where a block has fewer than four impacts, each of them is one of its postings.
 */
#ifndef TEXT_POSTINGS_H
#define TEXT_POSTINGS_H

#include "base/arena.h"
#include "base/buffer.h"

enum { POSTINGS_BLOCK = 256, POSTINGS_IMPACTS_MAX = 4 };

struct postings_impact {
    uint32_t tf;
    uint8_t code; /* of a length: bm25.h */
};

/* One block of a list: where its bytes are, and what they can give. */
struct postings_block {
    uint32_t before, last; /* the rows of the block are in [before, last] */
    uint32_t at, len;      /* bytes of the list */
    uint32_t count, impacts;
    struct postings_impact impact[POSTINGS_IMPACTS_MAX];
};

/* An open list. The bytes must live as long as it. */
struct postings {
    struct span bytes;
    uint32_t df, rows;    /* postings; rows of the index */
    const uint8_t *codes; /* [rows]: length codes, or NULL where the list has them */
    uint32_t block_count;
    struct postings_block *blocks; /* [block_count], in the arena */
};

/* The postings of one block. Rows behind `count` are UINT32_MAX. */
struct postings_run {
    uint32_t count;
    uint32_t rows[POSTINGS_BLOCK], tfs[POSTINGS_BLOCK];
    uint8_t codes[POSTINGS_BLOCK];
};

/* Appends a list. `rows` ascends; each tf is at least 1. with_codes: the list has the codes of its rows. */
void postings_encode(struct buffer *out, const uint32_t *rows, const uint32_t *tfs, const uint8_t *codes,
                     uint32_t count, bool with_codes);
/* Opens a list of `df` postings over an index of `rows` rows. Fails with DP_CORRUPT or DP_NOMEM. */
enum dp_status postings_open(struct arena *arena, struct span bytes, uint32_t df, uint32_t rows,
                             const uint8_t *codes, struct postings *out, struct dp_error *error);
/* Unpacks a block. Returns false if its bytes are damaged. */
bool postings_decode(const struct postings *list, uint32_t block, struct postings_run *out);
/* Adds the rows to a set, which has a bit for each row. Returns false if the list's bytes are damaged. */
bool postings_add_rows(const struct postings *list, uint64_t *set);

#endif
