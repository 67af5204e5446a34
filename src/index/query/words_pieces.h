/* words_pieces.h: a search by words, and the pieces of text indexes that it reads. */
#ifndef INDEX_QUERY_WORDS_PIECES_H
#define INDEX_QUERY_WORDS_PIECES_H

#include "index/query/filter_bits.h"
#include "index/query/query.h"
#include "index/rank_words.h"
#include "text/index.h"
#include "text/top.h"

/* Bytes of pieces that a search may read. With more, a scan answers. */
#define WORDS_BYTES_MAX        ((uint64_t)256 << 20)
/* Bytes of the pieces that a prefix needs, in all segments. */
#define WORDS_PREFIX_BYTES_MAX ((uint64_t)16 << 20)

/* A piece of a segment's index: of POST, or of TDIC. */
struct words_piece {
    uint32_t segment, number;
    bool postings;
    const struct text_piece *piece;
    size_t handle;
    struct store_read_req answer; /* after words_take() */
};

/* A token in one segment. */
struct words_token {
    struct term_place place; /* of a token that is no prefix */
    struct term_range range; /* of a prefix */
    bool found;              /* the segment has it; then `list` */
    struct postings list;
};

/* A search over one view. One owner thread. */
struct words_search {
    struct query_run *run;
    const struct index_scan *scan; /* its rank, and its filter if it has one */
    struct rank *rank;
    struct rank_words form;
    size_t segment_count, token_count; /* tokens of all texts of the rank */
    size_t *first_token;               /* [texts]: position of the text's first token */
    uint32_t *columns;                 /* [segments][texts]: its column in the segment's index */
    bool *hidden;                      /* [segments]: no row counts, because a load is not attached */
    size_t attached;                   /* loads that were attached when the pieces were chosen */
    struct words_token *tokens;        /* [segments][token_count] */
    struct words_piece *pieces;        /* [piece_count], by segment, kind and number, each once; owned */
    size_t piece_count, piece_room;
    size_t asked, taken; /* pieces that were asked for, and those that are here */
    struct arena arena;  /* what is above but the pieces; open lists */
    struct live_rows live;
    struct filter_bits bits; /* with a filter: the rows that match */
    uint64_t **allowed;      /* [segments]: a bit for each row that lives; NULL: all do */
    const uint32_t *matches; /* [match_count]: rows of the tail that have a token */
    size_t match_count;
    struct text_top top; /* a row of the tail has the source segment_count */
};

static inline const struct segment *words_segment(const struct words_search *w, size_t i)
{
    return w->run->snapshot->segments[i].segment;
}

/* Begins a search for the best rows of run->view by scan->rank that match scan's filter, as many as run->query says.
 * *out is NULL if a scan must answer: the expression has other parts than BM25 and what rank_words.h names, or a
 * segment has no index of an attribute by its present settings, or the pieces have too many bytes. The caller frees
 * *out. */
enum dp_status words_begin(struct query_run *run, const struct index_scan *scan, struct words_search **out);
void words_free(struct words_search *w); /* NULL is fine */

/* Asks the round for pieces until it is full. Returns whether it asked for all that are left. */
bool words_ask(struct words_search *w, struct round *round);
/* Keeps the pieces that the round has read. */
enum dp_status words_take(struct words_search *w, struct round *round);
/* Returns the bytes of a piece that was taken. */
struct span words_bytes(const struct words_search *w, size_t segment, bool postings, uint32_t number);

#endif
