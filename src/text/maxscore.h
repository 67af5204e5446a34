/* text/maxscore.h: the best rows of one segment for a query of words, without a look at most of its postings.
 *
 * A query has groups, each a BM25 expression over one attribute; each group has clauses, one for each different term.
 * The score of a row is the sum of its groups' scores times their weights, or the largest of these products.
 *
 * The algorithm is MAXSCORE (Turtle and Flood, 1995) over windows of rows, with the bounds of blocks. In each window,
 * clauses that cannot reach the k-th best score so far, even together, are not essential: a row that has no other
 * clause cannot belong to the answer. The search adds up rough scores of the essential clauses (term_scan.h). A row
 * that may still reach the k-th score is looked up in all lists and scored exactly, by additions in the order of the
 * clauses. So a score is the same, bit by bit, whatever the search has skipped.
 */
#ifndef TEXT_MAXSCORE_H
#define TEXT_MAXSCORE_H

#include "text/postings.h"
#include "text/top.h"

enum { TEXT_CLAUSES_MAX = 1024 };

/* A term of a query. idf and average are those of all live rows, not of the segment. */
struct text_clause {
    const struct postings *list; /* in this segment; NULL: no row has the term */
    uint32_t group;
    double weight;         /* idf times the query's weight of the term; not negative */
    double average, k1, b; /* bm25_term() */
};

struct text_search {
    const struct text_clause *clauses; /* [count], by group */
    size_t count;
    const double *group_weights; /* [group_count]; not negative */
    size_t group_count;
    bool largest;            /* the largest group counts, not their sum */
    uint32_t source;         /* of the rows that are offered */
    uint32_t rows;           /* of the segment */
    const uint64_t *allowed; /* a bit for each row that counts: live and filtered. NULL: all */
    uint64_t scored;         /* out: postings that were looked at */
};

/* Offers the best rows of a segment to `top`, which may have rows of others. */
enum dp_status text_search_run(struct arena *arena, struct text_search *search, struct text_top *top,
                               struct dp_error *error);

#endif
