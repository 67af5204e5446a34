/* ranking.c: a binary heap of the first rows, with the last of them at its root. */
#include "index/query/ranking.h"

#include "base/alloc.h"
#include "base/array.h"

void ranking_deinit(struct ranking *r)
{
    for (size_t i = 0; i < r->count; i++)
        mem_free(r->rows[i].copy);
    mem_free(r->rows);
}

/* Returns an order < 0 when `a` comes before `b`. */
static int compare_ranked(const struct ranking *r, const struct ranked_row *a, const struct ranked_row *b)
{
    if (r->by_distance && a->dist != b->dist)
        return a->dist < b->dist ? -1 : 1;
    int order = (a->value.len != 0) - (b->value.len != 0); /* null is the smallest value */
    if (order == 0 && a->value.len)
        order = r->compare(r->compare_ctx, a->value, b->value);
    if (order)
        return r->descending ? -order : order;
    return span_compare(a->key, b->key);
}

static void swap_ranked(struct ranked_row *a, struct ranked_row *b)
{
    struct ranked_row kept = *a;
    *a = *b;
    *b = kept;
}

/* Moves row i up to its place. */
static void sift_up(struct ranking *r, size_t i)
{
    while (i > 0 && compare_ranked(r, &r->rows[(i - 1) / 2], &r->rows[i]) < 0) {
        swap_ranked(&r->rows[(i - 1) / 2], &r->rows[i]);
        i = (i - 1) / 2;
    }
}

/* Moves the root of the first `count` rows down to its place. */
static void sift_down(struct ranking *r, size_t count)
{
    size_t i = 0;
    for (;;) {
        size_t last = i, left = 2 * i + 1;
        if (left < count && compare_ranked(r, &r->rows[last], &r->rows[left]) < 0)
            last = left;
        if (left + 1 < count && compare_ranked(r, &r->rows[last], &r->rows[left + 1]) < 0)
            last = left + 1;
        if (last == i)
            return;
        swap_ranked(&r->rows[i], &r->rows[last]);
        i = last;
    }
}

/* Copies value and key of a segment's row, whose bytes do not last. */
static enum dp_status own_bytes(struct ranked_row *row, struct dp_error *error)
{
    row->copy = mem_alloc(row->value.len + row->key.len + 1);
    if (!row->copy)
        return dp_fail_nomem(error, "ordered rows");
    memcpy(row->copy, row->key.data, row->key.len);
    if (row->value.len)
        memcpy(row->copy + row->key.len, row->value.data, row->value.len);
    row->value.data = row->copy + row->key.len;
    row->key.data = row->copy;
    return DP_OK;
}

static enum dp_status offer_ranked(struct ranking *r, struct ranked_row *ranked, struct dp_error *error)
{
    bool full = r->count == r->want;
    if (full && (r->want == 0 || compare_ranked(r, ranked, &r->rows[0]) >= 0))
        return DP_OK;
    if (!full) {
        struct ranked_row *rows = array_reserve(r->rows, r->count, &r->room, sizeof *rows, 64);
        if (!rows)
            return dp_fail_nomem(error, "ordered rows");
        r->rows = rows;
    }
    enum dp_status status = ranked->record ? DP_OK : own_bytes(ranked, error);
    if (status)
        return status;
    if (full) {
        mem_free(r->rows[0].copy);
        r->rows[0] = *ranked;
        sift_down(r, r->count);
        return DP_OK;
    }
    r->rows[r->count] = *ranked;
    sift_up(r, r->count++);
    return DP_OK;
}

enum dp_status ranking_offer(struct ranking *r, const struct live_row *row, struct span value,
                             struct dp_error *error)
{
    bool null = span_equal_str(value, "null");
    struct ranked_row ranked = {
        .record = row->record, .place = row->place, .value = null ? (struct span){0} : value, .key = row->key};
    return offer_ranked(r, &ranked, error);
}

enum dp_status ranking_offer_near(struct ranking *r, const struct live_row *row, float dist,
                                  struct dp_error *error)
{
    struct ranked_row ranked = {.record = row->record, .place = row->place, .key = row->key, .dist = dist};
    return offer_ranked(r, &ranked, error);
}

void ranking_sort(struct ranking *r)
{
    for (size_t end = r->count; end > 1; end--) {
        swap_ranked(&r->rows[0], &r->rows[end - 1]);
        sift_down(r, end - 1);
    }
}
