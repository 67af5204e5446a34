/* top.c: a heap of the best k rows, and beside it the rows that tie with its root. */
#include "text/top.h"

#include <stdlib.h>

enum dp_status text_top_init(struct text_top *top, struct arena *arena, size_t k, size_t ties_max,
                             struct dp_error *error)
{
    *top = (struct text_top){.k = k, .ties_max = ties_max};
    top->rows = arena_array(arena, k + 1, sizeof *top->rows);
    top->ties = arena_array(arena, ties_max + 1, sizeof *top->ties);
    return top->rows && top->ties ? DP_OK : dp_fail_nomem(error, "the best rows");
}

/* Returns whether `a` comes before `b`. */
static bool is_before(const struct scored_row *a, const struct scored_row *b)
{
    if (a->score != b->score)
        return a->score > b->score;
    return a->source != b->source ? a->source < b->source : a->row < b->row;
}

/* Puts `row` at the root of the heap, in place of the one there, and down to its place. */
static void sift_down(struct text_top *top, struct scored_row row)
{
    size_t at = 0;
    for (size_t child = 1; child < top->count; child = 2 * at + 1) {
        if (child + 1 < top->count && is_before(&top->rows[child], &top->rows[child + 1]))
            child++;
        if (!is_before(&row, &top->rows[child]))
            break;
        top->rows[at] = top->rows[child];
        at = child;
    }
    top->rows[at] = row;
}

static void sift_up(struct text_top *top, struct scored_row row)
{
    size_t at = top->count++;
    while (at > 0 && is_before(&top->rows[(at - 1) / 2], &row)) {
        top->rows[at] = top->rows[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    top->rows[at] = row;
}

static void keep_tie(struct text_top *top, const struct scored_row *row)
{
    if (top->tie_count < top->ties_max)
        top->ties[top->tie_count++] = *row;
    else
        top->ties_lost = true;
}

void text_top_offer(struct text_top *top, struct scored_row row)
{
    if (!(row.score > 0) || top->k == 0)
        return;
    if (top->count < top->k) {
        sift_up(top, row);
        return;
    }
    struct scored_row last = top->rows[0];
    if (!is_before(&row, &last)) {
        if (row.score == last.score)
            keep_tie(top, &row);
        return;
    }
    sift_down(top, row);
    if (top->rows[0].score !=
        last.score) { /* nobody ties with the new last row: it was alone, or all tie above it */
        top->tie_count = 0;
        top->ties_lost = false;
    } else {
        keep_tie(top, &last);
    }
}

static int compare_rows(const void *a, const void *b)
{
    return is_before(a, b) ? -1 : is_before(b, a);
}

void text_top_sort(struct text_top *top)
{
    qsort(top->rows, top->count, sizeof *top->rows, compare_rows);
}
