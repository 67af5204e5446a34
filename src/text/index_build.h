/* text/index_build.h: makes the text index of one segment: TIDX, TFRQ and LENS for its hot part, TDIC and POST for
 * its cold parts. text/index.h has their grammar.
 *
 * Rows come in ascending order, each with the tokens of all columns. Postings wait in memory up to a maximum; then they
 * go to a file as a sorted run (os/spill.h), and the end merges the runs. So the memory of a build is that maximum, a
 * byte for each row and column, and the postings of one term. A builder has one owner thread.
 */
#ifndef TEXT_INDEX_BUILD_H
#define TEXT_INDEX_BUILD_H

#include "base/buffer.h"

/* The facts about one column that the index stores. */
struct text_column {
    uint32_t attribute; /* the number that the schema gives to the attribute */
    uint64_t settings;  /* a hash of the analysis settings */
};

/* Where the cold parts go: first all pieces of TDIC, then all of POST. */
typedef enum dp_status text_piece_fn(void *context, struct span piece, struct dp_error *error);
struct text_sink {
    text_piece_fn *terms, *postings;
    void *context;
};

/* Limits of the memory of a build, and sizes of the parts of an index. Zero fields stand for the defaults. */
struct text_build_limits {
    size_t memory;       /* bytes of waiting postings; 32 MiB */
    uint32_t inline_df;  /* terms in at most this many rows have their postings in TDIC; 1,024 */
    size_t frequent_len; /* bytes of TFRQ, about; 1 MiB: inline_df doubles until it fits */
    size_t lengths_len;  /* bytes of LENS; 1 MiB: a larger one is left out, and postings have the lengths */
};

struct text_builder;
enum dp_status text_builder_new(const struct text_column *columns, uint32_t count, uint32_t rows,
                                const struct text_build_limits *limits, struct text_builder **out,
                                struct dp_error *error);
void text_builder_free(struct text_builder *b); /* NULL is fine */
/* Begins a row. Rows without a token need not begin. */
enum dp_status text_builder_row(struct text_builder *b, uint32_t row, struct dp_error *error);
/* Adds a token of the row that began last. */
enum dp_status text_builder_token(struct text_builder *b, uint32_t column, struct span token,
                                  struct dp_error *error);
/* Writes the cold parts to the sink and appends the hot ones to the three buffers. LENS may stay empty. The builder
 * can then only be freed. */
enum dp_status text_builder_finish(struct text_builder *b, const struct text_sink *sink, struct buffer *tidx,
                                   struct buffer *tfrq, struct buffer *lens, struct dp_error *error);

#endif
