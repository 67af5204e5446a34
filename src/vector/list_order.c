/* list_order.c: orders lists by bisection.
 *
 * The centroids are sorted along the line between two of them that lie far apart, and cut in the middle; then each
 * half is ordered in turn. A half begins with its end that is nearer to the half before. Sums are doubles in a fixed
 * order, so every machine makes the same order of the same centroids.
 */
#include "vector/list_order.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* A list, and where it lies on the line. */
struct placed_list {
    double place;
    uint32_t list;
};

/* The state of one list_order_near(). */
struct list_ordering {
    const float *centroids;
    size_t dim;
    struct placed_list *all; /* [n], in the order so far */
};

static const float *centroid_of(const struct list_ordering *o, size_t at)
{
    return o->centroids + o->all[at].list * o->dim;
}

static double squared_distance(const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        double gap = (double)a[i] - (double)b[i];
        sum += gap * gap;
    }
    return sum;
}

/* Returns the list of [begin, end) that is farthest from a point. */
static const float *farthest(const struct list_ordering *o, size_t begin, size_t end, const float *from)
{
    const float *best = from;
    double most = -1;
    for (size_t i = begin; i < end; i++) {
        double distance = squared_distance(centroid_of(o, i), from, o->dim);
        if (distance > most) {
            most = distance;
            best = centroid_of(o, i);
        }
    }
    return best;
}

static int compare_placed(const void *a, const void *b)
{
    const struct placed_list *left = a, *right = b;
    if (left->place != right->place)
        return left->place < right->place ? -1 : 1;
    return left->list < right->list ? -1 : left->list > right->list;
}

/* Orders [begin, end). before: the centroid before `begin`, or NULL. */
static void order_part(const struct list_ordering *o, size_t begin, size_t end, const float *before)
{
    while (end - begin > 1) {
        const float *first = farthest(o, begin, end, centroid_of(o, begin));
        const float *last = farthest(o, begin, end, first);
        if (before && squared_distance(before, last, o->dim) < squared_distance(before, first, o->dim)) {
            const float *swap = first;
            first = last;
            last = swap;
        }
        for (size_t i = begin; i < end; i++)
            o->all[i].place = squared_distance(centroid_of(o, i), first, o->dim) -
                              squared_distance(centroid_of(o, i), last, o->dim);
        qsort(o->all + begin, end - begin, sizeof *o->all, compare_placed);
        size_t middle = begin + (end - begin) / 2;
        order_part(o, begin, middle, before);
        begin = middle;
        before = centroid_of(o, middle - 1);
    }
}

enum dp_status list_order_near(const float *centroids, size_t n, size_t dim, uint32_t *order,
                               struct dp_error *error)
{
    struct list_ordering o = {centroids, dim, mem_calloc(n + 1, sizeof(struct placed_list))};
    if (!o.all)
        return dp_fail_nomem(error, "the order of lists");
    for (size_t i = 0; i < n; i++)
        o.all[i].list = (uint32_t)i;
    order_part(&o, 0, n, NULL);
    for (size_t i = 0; i < n; i++)
        order[i] = o.all[i].list;
    mem_free(o.all);
    return DP_OK;
}

enum dp_status list_order_apply(float *centroids, size_t n, size_t dim, uint32_t *order, float *room,
                                struct dp_error *error)
{
    uint32_t *place = mem_calloc(n + 1, sizeof *place);
    if (!place)
        return dp_fail_nomem(error, "the order of lists");
    for (size_t i = 0; i < n; i++)
        place[order[i]] = (uint32_t)i;
    size_t bytes = dim * sizeof *centroids;
    for (size_t i = 0; i < n; i++) {
        /* Fills the hole at i from its source, then the hole there, and so on around the cycle. */
        size_t hole = i;
        memcpy(room, centroids + i * dim, bytes);
        while (order[hole] != i && order[hole] != hole) {
            size_t from = order[hole];
            memcpy(centroids + hole * dim, centroids + from * dim, bytes);
            order[hole] = (uint32_t)hole;
            hole = from;
        }
        memcpy(centroids + hole * dim, room, bytes);
        order[hole] = (uint32_t)hole;
    }
    memcpy(order, place, n * sizeof *order);
    mem_free(place);
    return DP_OK;
}
