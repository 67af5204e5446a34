/* kmeans_tree.c: k-means in two levels.
 *
 * The first level divides a sample among r roots, r about the square root of k. The second level divides the vectors
 * of each root among its leaves; a root has as large a share of the k leaves as of the sample. So training costs what
 * two trainings with sqrt(k) centroids cost. Then each leaf moves to the mean of the sample's vectors that are
 * nearest to it, whatever their root.
 *
 * A vector looks for its leaf among the leaves of its root and some leaves of other roots: NEAR_FAMILIES times as
 * many as a root has on average. For each root, these are the leaves that were nearest to its vectors most often,
 * counted over a part of the sample. So most vectors find the nearest of all leaves.
 */
#include "vector/kmeans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum {
    TREE_FROM = 64, /* with fewer clusters there is one level */
    TREE_SAMPLES = 48,
    TREE_SAMPLES_MIN = 16,
    TREE_SAMPLES_LEAST = 8,        /* TREE_SAMPLES_MIN of a task that limits the sample's memory */
    TREE_SAMPLE_BYTES = 128 << 20, /* maximum memory of the sample, unless TREE_SAMPLES_MIN requires more */
    TREE_ITERATIONS = 6,
    TREE_PROBES = 8, /* vectors of the sample for each leaf that are compared with all leaves */
    TREE_POLISH = 3, /* times that the leaves move at the end */
    NEAR_FAMILIES = 6,
    SLICE_ROWS = 32 * 1024
};

struct kmeans_tree {
    struct call *call;
    struct team *team;
    const struct kmeans_task *task;
    float *sample; /* float[sampled][dim] */
    uint32_t *sample_list;
    size_t sampled;
    float *root;      /* float[roots][dim] */
    float *leaf;      /* float[task->k][dim] */
    size_t *family;   /* [roots + 1]: the first leaf of each root */
    uint32_t *near;   /* [roots][near_room]: leaves of other roots that are near each root */
    float *near_leaf; /* float[..][dim]: the leaves among which the vectors of one root choose */
    size_t roots, near_room;

    /* For one slice of vectors. */
    uint32_t *root_of; /* [SLICE_ROWS] */
    uint32_t *member;  /* [SLICE_ROWS]: its vectors, root by root */
    uint32_t *choice;  /* [SLICE_ROWS]: for the members of one root, positions in `near` */
    size_t *begin;     /* [roots + 1]: positions in `member` */
};

static void tree_deinit(struct kmeans_tree *t)
{
    mem_free(t->sample);
    mem_free(t->sample_list);
    mem_free(t->root);
    mem_free(t->family);
    mem_free(t->near);
    mem_free(t->near_leaf);
    mem_free(t->root_of);
    mem_free(t->member);
    mem_free(t->choice);
    mem_free(t->begin);
}

static float *tree_floats(size_t count, size_t dim)
{
    size_t floats;
    return mem_mul_ok(count, dim, &floats) ? mem_calloc(floats, sizeof(float)) : NULL;
}

static enum dp_status tree_init(struct kmeans_tree *t)
{
    const struct kmeans_task *task = t->task;
    const size_t k = task->k, bytes = k * task->dim * sizeof(float);
    const size_t least = task->sample_bytes ? TREE_SAMPLES_LEAST : TREE_SAMPLES_MIN;
    size_t samples = (task->sample_bytes ? task->sample_bytes : TREE_SAMPLE_BYTES) / bytes;
    samples = samples > TREE_SAMPLES ? TREE_SAMPLES : samples < least ? least : samples;
    t->sampled = task->n / samples < k ? task->n : k * samples;
    t->roots = (size_t)sqrt((double)k);
    t->near_room = NEAR_FAMILIES * k / t->roots;
    t->sample = tree_floats(t->sampled, task->dim);
    t->sample_list = mem_calloc(t->sampled, sizeof *t->sample_list);
    t->root = tree_floats(t->roots, task->dim);
    t->family = mem_calloc(t->roots + 1, sizeof *t->family);
    t->near = mem_calloc(t->roots * t->near_room, sizeof *t->near);
    t->root_of = mem_calloc(SLICE_ROWS, sizeof *t->root_of);
    t->member = mem_calloc(SLICE_ROWS, sizeof *t->member);
    t->choice = mem_calloc(SLICE_ROWS, sizeof *t->choice);
    t->begin = mem_calloc(t->roots + 1, sizeof *t->begin);
    if (!t->sample || !t->sample_list || !t->root || !t->family || !t->near || !t->root_of || !t->member ||
        !t->choice || !t->begin)
        return call_nomem(t->call, "k-means");
    return DP_OK;
}

/* Tells the task's watch that a slice of the vectors is done. */
static enum dp_status tell_tree(const struct kmeans_tree *t, double done)
{
    const struct kmeans_watch *watch = t->task->watch;
    if (!watch || watch->tell(watch->ctx, done))
        return call_check(t->call);
    return call_fail(t->call, DP_CANCELLED, "clustering was cancelled");
}

/* Copies the sample, in one walk over the vectors. Only the sample needs length 1: the nearest of centroids of length
 * 1 does not depend on a vector's own length. */
static enum dp_status take_sample(struct kmeans_tree *t)
{
    const struct kmeans_task *task = t->task;
    struct kmeans_choice choice = {task->seed, task->n, t->sampled};
    enum dp_status status = DP_OK;
    for (size_t i = 0, have = 0; i < task->n && status == DP_OK; i++) {
        if (kmeans_choose(&choice)) {
            float *to = t->sample + have++ * task->dim;
            memcpy(to, task->x + i * task->dim, task->dim * sizeof *to);
            if (task->scales)
                vector_normalize(to, task->dim);
        }
        if (i % SLICE_ROWS == SLICE_ROWS - 1)
            status = tell_tree(t, 0);
    }
    return status;
}

/* Returns how many leaves of other roots the vectors of a root are compared with. */
static size_t near_count(const struct kmeans_tree *t, size_t root)
{
    size_t others = t->task->k - (t->family[root + 1] - t->family[root]);
    return others < t->near_room ? others : t->near_room;
}

/* ---- assignment ---------------------------------------------------------------------------------------- */

/* For each member of one root, in x, finds the nearest of the root's own and near leaves. */
static enum dp_status assign_family(struct kmeans_tree *t, size_t root, const float *x, uint32_t *list)
{
    const struct kmeans_task *task = t->task;
    const uint32_t *near = t->near + root * t->near_room, *member = t->member + t->begin[root];
    size_t dim = task->dim, first = t->family[root], own = t->family[root + 1] - first,
           others = near_count(t, root);
    const struct kmeans_task part = {.x = x,
                                     .rows = member,
                                     .n = t->begin[root + 1] - t->begin[root],
                                     .dim = dim,
                                     .k = own + others,
                                     .metric = task->metric};
    if (part.n == 0)
        return DP_OK;
    memcpy(t->near_leaf, t->leaf + first * dim, own * dim * sizeof(float));
    for (size_t i = 0; i < others; i++)
        memcpy(t->near_leaf + (own + i) * dim, t->leaf + near[i] * dim, dim * sizeof(float));
    enum dp_status status = kmeans_assign_rows(t->call, t->team, &part, t->near_leaf, t->choice, NULL);
    for (size_t i = 0; i < part.n && status == DP_OK; i++)
        list[member[i]] = t->choice[i] < own ? (uint32_t)first + t->choice[i] : near[t->choice[i] - own];
    return status;
}

/* Finds the leaves of n vectors. */
static enum dp_status assign_leaves(struct kmeans_tree *t, const float *x, size_t n, uint32_t *list)
{
    const struct kmeans_task *task = t->task;
    enum dp_status status = DP_OK;
    for (size_t at = 0; at < n && status == DP_OK; at += SLICE_ROWS) {
        size_t rows = n - at < SLICE_ROWS ? n - at : SLICE_ROWS;
        const float *slice = x + at * task->dim;
        status = kmeans_assign(t->call, t->team, slice, rows, task->dim, t->root, t->roots, task->metric,
                               t->root_of, NULL);
        if (status == DP_OK)
            kmeans_group(t->root_of, rows, t->roots, t->member, t->begin);
        for (size_t root = 0; root < t->roots && status == DP_OK; root++)
            status = assign_family(t, root, slice, list + at);
        if (status == DP_OK)
            status = tell_tree(t, (double)(at + rows) / (double)n);
    }
    return status;
}

/* ---- training ------------------------------------------------------------------------------------------ */

/* A leaf and how near it is to a root. */
struct near_leaf {
    uint32_t hits; /* vectors of the root to which it is the nearest of all leaves */
    float score;   /* the smaller, the nearer */
    uint32_t leaf;
};

static int compare_near(const void *a, const void *b)
{
    const struct near_leaf *left = a, *right = b;
    if (left->hits != right->hits)
        return left->hits > right->hits ? -1 : 1;
    if (left->score != right->score)
        return left->score < right->score ? -1 : 1;
    return left->leaf < right->leaf ? -1 : left->leaf > right->leaf;
}

/* Compares a part of the sample with all leaves. hits[root][leaf]: how many vectors of the root have this nearest
 * leaf. */
static enum dp_status count_hits(struct kmeans_tree *t, uint32_t *hits)
{
    const struct kmeans_task *task = t->task;
    size_t step = t->sampled / (task->k * TREE_PROBES) + 1, count = (t->sampled + step - 1) / step;
    uint32_t *rows = mem_calloc(count, sizeof *rows), *root = mem_calloc(count, sizeof *root);
    struct kmeans_task part = {
        .x = t->sample, .rows = rows, .n = count, .dim = task->dim, .k = t->roots, .metric = task->metric};
    enum dp_status status = rows && root ? DP_OK : call_nomem(t->call, "k-means");
    for (size_t i = 0; i < count && status == DP_OK; i++)
        rows[i] = (uint32_t)(i * step);
    if (status == DP_OK)
        status = kmeans_assign_rows(t->call, t->team, &part, t->root, root, NULL);
    part.k = task->k;
    if (status == DP_OK)
        status = kmeans_assign_rows(t->call, t->team, &part, t->leaf, t->sample_list, NULL);
    for (size_t i = 0; i < count && status == DP_OK; i++)
        hits[root[i] * task->k + t->sample_list[i]]++;
    mem_free(rows);
    mem_free(root);
    return status;
}

/* Chooses the leaves of other roots that are near one root. all: [k] of scratch. */
static void choose_near(struct kmeans_tree *t, size_t root, const uint32_t *hits, struct near_leaf *all)
{
    size_t dim = t->task->dim, k = t->task->k, count = 0;
    for (size_t leaf = 0; leaf < k; leaf++) {
        if (leaf >= t->family[root] && leaf < t->family[root + 1])
            continue;
        float score = distance_pair(t->task->metric, t->root + root * dim, t->leaf + leaf * dim, dim);
        all[count++] = (struct near_leaf){hits[leaf], t->task->metric == VECTOR_INNER_PRODUCT ? -score : score,
                                          (uint32_t)leaf};
    }
    qsort(all, count, sizeof *all, compare_near);
    for (size_t i = 0; i < near_count(t, root); i++)
        t->near[root * t->near_room + i] = all[i].leaf;
}

static enum dp_status find_near(struct kmeans_tree *t)
{
    size_t k = t->task->k;
    struct near_leaf *all = mem_calloc(k, sizeof *all);
    uint32_t *hits = mem_calloc(t->roots * k, sizeof *hits);
    enum dp_status status = all && hits ? count_hits(t, hits) : call_nomem(t->call, "k-means");
    for (size_t root = 0; root < t->roots && status == DP_OK; root++)
        choose_near(t, root, hits + root * k, all);
    mem_free(all);
    mem_free(hits);
    return status;
}

/* Numbers the leaves root by root, and makes room for those that a vector is compared with. */
static enum dp_status place_families(struct kmeans_tree *t, const size_t *leaves)
{
    size_t most = 0;
    for (size_t root = 0; root < t->roots; root++) {
        t->family[root + 1] = t->family[root] + leaves[root];
        size_t count = leaves[root] + near_count(t, root);
        most = count > most ? count : most;
    }
    t->near_leaf = tree_floats(most, t->task->dim);
    return t->near_leaf ? DP_OK : call_nomem(t->call, "k-means");
}

/* Divides the leaves among the roots in proportion to their shares of the sample. Each further leaf goes to the
 * root that then has the most vectors per leaf. No root gets more leaves than it has vectors. */
static void share_leaves(const struct kmeans_tree *t, const size_t *begin, size_t *leaves)
{
    size_t left = t->task->k;
    for (size_t root = 0; root < t->roots; root++) {
        leaves[root] = begin[root + 1] > begin[root];
        left -= leaves[root];
    }
    for (; left > 0; left--) {
        size_t most = 0;
        double largest = 0;
        for (size_t root = 0; root < t->roots; root++) {
            size_t members = begin[root + 1] - begin[root];
            double share = leaves[root] < members ? (double)members / (double)(leaves[root] + 1) : 0;
            if (share > largest) {
                largest = share;
                most = root;
            }
        }
        leaves[most]++;
    }
}

/* Trains the leaves of all roots. */
static enum dp_status train_leaves(struct kmeans_tree *t, const uint32_t *member, const size_t *begin)
{
    const struct kmeans_task *task = t->task;
    enum dp_status status = DP_OK;
    for (size_t root = 0; root < t->roots && status == DP_OK; root++) {
        const struct kmeans_task part = {.x = t->sample,
                                         .rows = member + begin[root],
                                         .n = begin[root + 1] - begin[root],
                                         .dim = task->dim,
                                         .k = t->family[root + 1] - t->family[root],
                                         .metric = task->metric,
                                         .seed = task->seed + root,
                                         .samples = TREE_SAMPLES,
                                         .iterations = TREE_ITERATIONS};
        if (part.k)
            status = kmeans_run(t->call, t->team, &part, t->leaf + t->family[root] * task->dim);
    }
    return status;
}

/* Divides the sample among the roots, and each root's vectors among its leaves. */
static enum dp_status grow_leaves(struct kmeans_tree *t)
{
    const struct kmeans_task *task = t->task;
    uint32_t *member = mem_calloc(t->sampled, sizeof *member);
    size_t *begin = mem_calloc(t->roots + 1, sizeof *begin), *leaves = mem_calloc(t->roots, sizeof *leaves);
    enum dp_status status = member && begin && leaves ? DP_OK : call_nomem(t->call, "k-means");
    if (status == DP_OK)
        status = kmeans_assign(t->call, t->team, t->sample, t->sampled, task->dim, t->root, t->roots, task->metric,
                               t->sample_list, NULL);
    if (status == DP_OK) {
        kmeans_group(t->sample_list, t->sampled, t->roots, member, begin);
        share_leaves(t, begin, leaves);
        status = place_families(t, leaves);
    }
    if (status == DP_OK)
        status = train_leaves(t, member, begin);
    mem_free(member);
    mem_free(begin);
    mem_free(leaves);
    return status;
}

/* Moves a leaf to the mean of its members. */
static void move_leaf(struct kmeans_tree *t, const uint32_t *member, size_t count, float *to)
{
    size_t dim = t->task->dim;
    memset(to, 0, dim * sizeof *to);
    for (size_t m = 0; m < count; m++) {
        for (size_t i = 0; i < dim; i++)
            to[i] += t->sample[member[m] * dim + i];
    }
    for (size_t i = 0; i < dim; i++)
        to[i] /= (float)count;
    if (t->task->metric == VECTOR_INNER_PRODUCT)
        vector_normalize(to, dim);
}

/* Gives an empty leaf a member of the largest one: the vector in the middle of its order. */
static void fill_leaf(struct kmeans_tree *t, const uint32_t *member, const size_t *begin, size_t *left,
                      size_t empty)
{
    size_t dim = t->task->dim, largest = 0;
    for (size_t leaf = 1; leaf < t->task->k; leaf++)
        largest = left[leaf] > left[largest] ? leaf : largest;
    size_t middle = begin[largest] + left[largest] / 2;
    memcpy(t->leaf + empty * dim, t->sample + member[middle] * dim, dim * sizeof(float));
    left[largest] /= 2;
}

/* Moves each leaf to the mean of its members in the sample. */
static enum dp_status move_leaves(struct kmeans_tree *t)
{
    size_t dim = t->task->dim, k = t->task->k;
    uint32_t *member = mem_calloc(t->sampled, sizeof *member);
    size_t *begin = mem_calloc(k + 1, sizeof *begin), *left = mem_calloc(k, sizeof *left);
    enum dp_status status = member && begin && left ? DP_OK : call_nomem(t->call, "k-means");
    if (status == DP_OK)
        kmeans_group(t->sample_list, t->sampled, k, member, begin);
    for (size_t leaf = 0; leaf < k && status == DP_OK; leaf++) {
        left[leaf] = begin[leaf + 1] - begin[leaf];
        if (left[leaf])
            move_leaf(t, member + begin[leaf], left[leaf], t->leaf + leaf * dim);
    }
    for (size_t leaf = 0; leaf < k && status == DP_OK; leaf++) {
        if (begin[leaf + 1] == begin[leaf])
            fill_leaf(t, member, begin, left, leaf);
    }
    mem_free(member);
    mem_free(begin);
    mem_free(left);
    return status;
}

static enum dp_status train_tree(struct kmeans_tree *t)
{
    const struct kmeans_task root = {.x = t->sample,
                                     .n = t->sampled,
                                     .dim = t->task->dim,
                                     .k = t->roots,
                                     .metric = t->task->metric,
                                     .seed = t->task->seed,
                                     .samples = KMEANS_SAMPLES,
                                     .iterations = TREE_ITERATIONS};
    enum dp_status status = take_sample(t);
    if (status == DP_OK)
        status = kmeans_run(t->call, t->team, &root, t->root);
    if (status == DP_OK)
        status = grow_leaves(t);
    if (status == DP_OK)
        status = find_near(t);
    for (int i = 0; i < TREE_POLISH && status == DP_OK; i++) {
        status = assign_leaves(t, t->sample, t->sampled, t->sample_list);
        if (status == DP_OK)
            status = move_leaves(t);
    }
    return status == DP_OK ? find_near(t) : status;
}

/* Makes few clusters, in one level. */
static enum dp_status cluster_flat(struct kmeans_tree *t, uint32_t *list)
{
    const struct kmeans_task *task = t->task;
    const struct kmeans_task flat = {.x = t->sample,
                                     .n = t->sampled,
                                     .dim = task->dim,
                                     .k = task->k,
                                     .metric = task->metric,
                                     .seed = task->seed,
                                     .samples = TREE_SAMPLES,
                                     .iterations = TREE_ITERATIONS,
                                     .watch = task->watch};
    enum dp_status status = take_sample(t);
    if (status == DP_OK)
        status = kmeans_run(t->call, t->team, &flat, t->leaf);
    if (status == DP_OK)
        status = kmeans_assign(t->call, t->team, task->x, task->n, task->dim, t->leaf, task->k, task->metric, list,
                               NULL);
    return status;
}

enum dp_status kmeans_cluster(struct call *call, struct team *team, const struct kmeans_task *task,
                              float *centroids, uint32_t *list)
{
    struct kmeans_tree t = {.call = call, .team = team, .task = task, .leaf = centroids};
    if (task->k < 1 || task->k > task->n || task->dim < 1 || task->n > UINT32_MAX)
        return call_fail(call, DP_INVALID, "cannot make %zu clusters of %zu vectors of %zu dimensions", task->k,
                         task->n, task->dim);
    enum dp_status status = tree_init(&t);
    if (status == DP_OK && task->k < TREE_FROM)
        status = cluster_flat(&t, list);
    else if (status == DP_OK) {
        status = train_tree(&t);
        mem_free(t.sample);
        t.sample = NULL;
        if (status == DP_OK)
            status = assign_leaves(&t, task->x, task->n, list);
    }
    tree_deinit(&t);
    return status;
}
