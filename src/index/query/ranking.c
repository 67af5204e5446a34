/* ranking.c: a binary heap of the first rows, with the last of them at its root. */
#include "index/query/ranking.h"

#include "base/alloc.h"
#include "base/array.h"
#include "base/map.h"

enum { GROUPED_SLACK = 4096 }; /* rows of a ranking with group_limit beyond twice `want`, before it drops some */

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

/* Moves row i of the first `count` rows down to its place. */
static void sift_down_from(struct ranking *r, size_t i, size_t count)
{
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

/* Copies key, value and group, whose bytes do not last. */
static enum dp_status own_bytes(struct ranked_row *row, struct dp_error *error)
{
    enum { PARTS = 3 };
    struct span *parts[PARTS] = {&row->key, &row->value, &row->group};
    uint8_t *at = mem_alloc(row->key.len + row->value.len + row->group.len + 1);
    if (!at)
        return dp_fail_nomem(error, "ordered rows");
    row->copy = at;
    for (size_t i = 0; i < PARTS; i++) {
        if (parts[i]->len)
            memcpy(at, parts[i]->data, parts[i]->len);
        parts[i]->data = at;
        at += parts[i]->len;
    }
    return DP_OK;
}

static enum dp_status make_room(struct ranking *r, struct dp_error *error)
{
    struct ranked_row *rows = array_reserve(r->rows, r->count, &r->room, sizeof *rows, 64);
    if (!rows)
        return dp_fail_nomem(error, "ordered rows");
    r->rows = rows;
    return DP_OK;
}

/* Makes a heap of the rows and sorts it. */
static void sort_rows(struct ranking *r)
{
    for (size_t i = r->count / 2; r->group_limit && i > 0; i--)
        sift_down_from(r, i - 1, r->count);
    for (size_t end = r->count; end > 1; end--) {
        swap_ranked(&r->rows[0], &r->rows[end - 1]);
        sift_down_from(r, 0, end - 1);
    }
}

/* Sorts the rows and drops those that cannot be in the answer. */
static enum dp_status prune(struct ranking *r, struct dp_error *error)
{
    struct map groups;
    size_t kept = 0, i = 0;
    enum dp_status status = DP_OK;
    sort_rows(r);
    map_init(&groups, r->count + 1);
    for (; i < r->count && kept < r->want && status == DP_OK; i++) {
        uint64_t *rows;
        bool existing;
        struct ranked_row row = r->rows[i];
        status = map_put(&groups, row.group, 0, &rows, &existing, error);
        if (status)
            break;
        r->rows[i].copy = NULL;
        if ((*rows)++ < r->group_limit)
            r->rows[kept++] = row; /* its bytes stay, and so does the key in the map */
        else
            mem_free(row.copy);
    }
    for (; i < r->count; i++)
        mem_free(r->rows[i].copy);
    map_deinit(&groups);
    r->count = kept;
    return status;
}

static enum dp_status offer_grouped(struct ranking *r, struct ranked_row *ranked, struct dp_error *error)
{
    enum dp_status status = DP_OK;
    if (r->count >= 2 * r->want + GROUPED_SLACK)
        status = prune(r, error);
    if (status == DP_OK)
        status = make_room(r, error);
    if (status == DP_OK)
        status = own_bytes(ranked, error);
    if (status == DP_OK)
        r->rows[r->count++] = *ranked;
    return status;
}

static enum dp_status offer_ranked(struct ranking *r, struct ranked_row *ranked, struct dp_error *error)
{
    bool full = r->count == r->want;
    enum dp_status status = DP_OK;
    if (r->group_limit)
        return offer_grouped(r, ranked, error);
    if (full && (r->want == 0 || compare_ranked(r, ranked, &r->rows[0]) >= 0))
        return DP_OK;
    if (!full)
        status = make_room(r, error);
    if (status == DP_OK && (r->copies || !ranked->record))
        status = own_bytes(ranked, error);
    if (status)
        return status;
    if (full) {
        mem_free(r->rows[0].copy);
        r->rows[0] = *ranked;
        sift_down_from(r, 0, r->count);
        return DP_OK;
    }
    r->rows[r->count] = *ranked;
    sift_up(r, r->count++);
    return DP_OK;
}

enum dp_status ranking_offer(struct ranking *r, const struct live_row *row, struct span value, struct span group,
                             struct dp_error *error)
{
    bool null = span_equal_str(value, "null");
    struct ranked_row ranked = {.record = row->record,
                                .place = row->place,
                                .value = null ? (struct span){0} : value,
                                .key = row->key,
                                .group = group};
    return offer_ranked(r, &ranked, error);
}

enum dp_status ranking_offer_near(struct ranking *r, const struct live_row *row, double dist, struct span group,
                                  struct dp_error *error)
{
    struct ranked_row ranked = {
        .record = row->record, .place = row->place, .key = row->key, .dist = dist, .group = group};
    return offer_ranked(r, &ranked, error);
}

enum dp_status ranking_sort(struct ranking *r, struct dp_error *error)
{
    if (r->group_limit)
        return prune(r, error);
    sort_rows(r);
    return DP_OK;
}
