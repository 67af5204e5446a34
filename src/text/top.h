/* text/top.h: the rows with the highest scores, of several sources, and the rows that tie with the last of them.
 *
 * A source is a segment, or the tail of the log. Ids order rows with equal scores, and this room knows no ids; so a top
 * keeps the rows that score as much as the k-th, up to a maximum, and its user sorts them.
 */
#ifndef TEXT_TOP_H
#define TEXT_TOP_H

#include "base/arena.h"
#include "base/error.h"

struct scored_row {
    double score;
    uint32_t source, row;
};

/* The best k rows so far. One owner thread. */
struct text_top {
    size_t k, count;
    struct scored_row *rows; /* [k]: a heap with the worst row at its root; after text_top_sort() in order */
    size_t ties_max, tie_count;
    struct scored_row *ties; /* [ties_max]: other rows with the score of the root */
    bool ties_lost;          /* more rows tie than it keeps: those of later sources and rows are left out */
};

enum dp_status text_top_init(struct text_top *top, struct arena *arena, size_t k, size_t ties_max,
                             struct dp_error *error);
/* Offers a row; rows with score 0 or less are left out. */
void text_top_offer(struct text_top *top, struct scored_row row);
/* Returns whether a row of at most this score may belong to the answer or its ties. A top that keeps no ties expects
 * sources and rows in ascending order, so a later row that ties with the last one does not belong to it. */
static inline bool text_top_takes(const struct text_top *top, double score)
{
    if (top->count < top->k)
        return score > 0;
    return top->k && (top->ties_max ? score >= top->rows[0].score : score > top->rows[0].score);
}
/* Puts the rows in order: the highest score first, then by source and row. */
void text_top_sort(struct text_top *top);

#endif
