/* topk.c: a bounded binary heap with its worst hit at the root. */
#include "vector/topk.h"

#include "base/alloc.h"

enum dp_status topk_init(struct topk *top, size_t k, bool larger_is_better, struct dp_error *error)
{
    *top = (struct topk){.k = k, .larger_is_better = larger_is_better};
    size_t size;
    if (mem_mul_ok(k, sizeof *top->hits, &size))
        top->hits = mem_alloc(size);
    if (top->hits)
        return DP_OK;
    top->k = 0;
    return dp_fail_nomem(error, "the best hits");
}

void topk_deinit(struct topk *top)
{
    mem_free(top->hits);
    *top = (struct topk){0};
}

void topk_clear(struct topk *top)
{
    top->count = 0;
    top->sorted = false;
}

/* Moves `hit` down from the hole at position `at`, in a heap of `count` hits, until no child is worse than
 * `hit`. */
static void sift_down(const struct topk *top, size_t count, size_t at, struct topk_hit hit)
{
    struct topk_hit *hits = top->hits;
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && topk_before(top, hits[child], hits[child + 1]))
            child++;
        if (!topk_before(top, hit, hits[child]))
            break;
        hits[at] = hits[child];
        at = child;
    }
    hits[at] = hit;
}

void topk_push(struct topk *top, float score, int64_t id)
{
    if (!topk_admits(top, score))
        return;
    struct topk_hit hit = {id, score}, *hits = top->hits;
    if (top->count == top->k) {
        if (topk_before(top, hit, hits[0]))
            sift_down(top, top->count, 0, hit);
        return;
    }
    size_t at = top->count++;
    while (at > 0 && topk_before(top, hits[(at - 1) / 2], hit)) {
        hits[at] = hits[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    hits[at] = hit;
}

void topk_sort(struct topk *top)
{
    if (top->sorted)
        return;
    for (size_t count = top->count; count > 1;) {
        struct topk_hit last = top->hits[--count];
        top->hits[count] = top->hits[0];
        sift_down(top, count, 0, last);
    }
    top->sorted = true;
}
