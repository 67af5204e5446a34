/* nearest.c: a heap knows the `want`-th smallest distance so far. A trim removes the rows that are farther away. */
#include "index/query/nearest.h"

#include "base/alloc.h"
#include "base/array.h"

enum { SLACK = 4096 }; /* a trim begins at 2 * want + SLACK rows */

enum dp_status nearest_init(struct nearest *n, size_t want, struct dp_error *error)
{
    *n = (struct nearest){.want = want};
    return topk_init(&n->top, want, false, error);
}

void nearest_deinit(struct nearest *n)
{
    topk_deinit(&n->top);
    mem_free(n->rows);
}

void nearest_trim(struct nearest *n)
{
    size_t kept = 0;
    if (n->top.count < n->want)
        return;
    float worst = n->top.hits[0].score; /* the root of a full heap */
    for (size_t i = 0; i < n->count; i++) {
        if (n->rows[i].dist <= worst)
            n->rows[kept++] = n->rows[i];
    }
    n->count = kept;
}

enum dp_status nearest_offer(struct nearest *n, const struct near_row *row, struct dp_error *error)
{
    if (!topk_admits(&n->top, row->dist))
        return DP_OK;
    if (n->count == n->room && n->count >= 2 * n->want + SLACK)
        nearest_trim(n);
    struct near_row *rows = array_reserve(n->rows, n->count, &n->room, sizeof *rows, 256);
    if (!rows)
        return dp_fail_nomem(error, "nearest rows");
    n->rows = rows;
    n->rows[n->count] = *row;
    topk_push(&n->top, row->dist, (int64_t)n->count++);
    return DP_OK;
}
