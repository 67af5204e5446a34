/* fold/choose.c: the choice of a merge's inputs, from the numbers in the manifest. */
#include "index/fold/choose.h"

#include <stdlib.h>

#include "index/segment/format.h"

/* These limits bound the total bytes of a merge's inputs, so that one segment can hold the output. segment_is_full() in
 * load/rows.c has other limits, for loads. Documents compress about eightfold at most. */
static const uint64_t hot_bytes_max = 3 * 1024 * 1024, vector_bytes_max = UINT64_C(2) << 30,
                      document_bytes_max = UINT64_C(512) << 20;

/* For each document or id block, an entry of the hot part; the rest is lists and fixed parts. */
enum { BLOCK_STORED = 512, HOT_FIXED = 64 * 1024 };

/* segment_is_full() (load/rows.c) counts WINDOW_COUNTED bytes of the hot part for each row without a vector or with
 * several, and about one byte, at most, for STORED_COUNTED bytes of documents and ids. */
enum { WINDOW_COUNTED = 5, STORED_COUNTED = 128 };

static uint64_t live_rows(const struct manifest_segment *s)
{
    return s->rows - s->deleted_rows;
}

static unsigned tier_of(const struct manifest_segment *s)
{
    unsigned tier = 0;
    for (uint64_t rows = live_rows(s); rows >= TIER_ROWS; rows /= TIER_FACTOR)
        tier++;
    return tier;
}

static bool is_half_deleted(const struct manifest_segment *s)
{
    return s->deleted_rows * 2 > s->rows;
}

static int compare_live(const void *a, const void *b, void *segments)
{
    const size_t *left = a, *right = b;
    const struct manifest_segment *all = segments;
    uint64_t x = live_rows(&all[*left]), y = live_rows(&all[*right]);
    if (x != y)
        return x < y ? -1 : 1;
    return *left < *right ? -1 : 1;
}

static int compare_positions(const void *a, const void *b)
{
    const size_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Estimates the bytes of the output's hot part without optional sections. hot: bytes of the inputs' hot parts;
 * stored: their bytes beside the vectors. Optional sections do not count, because the output gets only those for
 * which it has room. */
static uint64_t required_hot(uint64_t hot, uint64_t stored)
{
    const uint64_t estimate = stored / BLOCK_STORED + HOT_FIXED;
    return hot < estimate ? hot : estimate; /* the hot part of the output is smaller than those of the inputs */
}

/* Returns an upper bound of the number of live rows that have no vector, or several. */
static uint64_t window_rows(const struct manifest_segment *s)
{
    const uint64_t live = live_rows(s), apart = s->rows > s->vectors ? s->rows - s->vectors : s->vectors - s->rows;
    return apart < live ? apart : live;
}

/* Returns whether a loader would need a second segment because `windows` rows have no vector, or several. Then a
 * merge would write about as many segments as it had inputs, and these would be due again. */
static bool windows_overflow(uint64_t windows, uint64_t stored)
{
    return windows && windows * WINDOW_COUNTED + stored / STORED_COUNTED + HOT_FIXED > hot_bytes_max;
}

/* Returns whether a merge with other segments would give as many segments as it took. */
static bool is_closed(const struct manifest_segment *s)
{
    return s->full && !is_half_deleted(s);
}

static size_t count_open(const struct manifest *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->segment_count; i++)
        count += !is_closed(&m->segments[i]);
    return count;
}

/* Keeps the smallest ones of the `count` positions, as many as fit one segment and at most `most`. */
static size_t keep_fitting(const struct manifest *m, size_t *positions, size_t count, size_t most)
{
    uint64_t rows = 0, hot = 0, vectors = 0, documents = 0, windows = 0;
    size_t kept = 0;
    qsort_r(positions, count, sizeof *positions, compare_live, m->segments);
    for (; kept < count && kept < most; kept++) {
        const struct manifest_segment *s = &m->segments[positions[kept]];
        uint64_t vector_bytes = s->vectors * segment_vector_len(m->vectors.dim);
        rows += live_rows(s);
        hot += s->hot_len;
        windows += window_rows(s);
        vectors += vector_bytes;
        documents += s->dpr_size > vector_bytes ? s->dpr_size - vector_bytes : 0;
        if (kept &&
            (rows > SEGMENT_ROWS_MAX || required_hot(hot, documents) > hot_bytes_max ||
             windows_overflow(windows, documents) || vectors > vector_bytes_max || documents > document_bytes_max))
            break;
    }
    qsort(positions, kept, sizeof *positions, compare_positions);
    return kept;
}

static size_t choose_open(const struct manifest *m, size_t most, size_t *chosen)
{
    size_t count = 0;
    for (size_t i = 0; i < m->segment_count; i++) {
        if (!is_closed(&m->segments[i]))
            chosen[count++] = i;
    }
    return keep_fitting(m, chosen, count, most);
}

/* Chooses for MERGE_ALL: a full segment takes part only if rows of it are deleted. */
static size_t choose_all(const struct manifest *m, size_t *chosen)
{
    size_t count = 0;
    for (size_t i = 0; i < m->segment_count; i++) {
        if (!m->segments[i].full || m->segments[i].deleted_rows)
            chosen[count++] = i;
    }
    return keep_fitting(m, chosen, count, count);
}

static size_t choose_tier(const struct manifest *m, unsigned tier, size_t *chosen)
{
    size_t count = 0;
    for (size_t i = 0; i < m->segment_count; i++) {
        if (tier_of(&m->segments[i]) == tier && !is_closed(&m->segments[i]))
            chosen[count++] = i;
    }
    return count < TIER_WIDTH ? 0 : keep_fitting(m, chosen, count, count);
}

static size_t choose_half_deleted(const struct manifest *m, size_t *chosen)
{
    size_t count = 0;
    for (size_t i = 0; i < m->segment_count; i++) {
        if (is_half_deleted(&m->segments[i]))
            chosen[count++] = i;
    }
    return keep_fitting(m, chosen, count, count);
}

/* Returns whether the segments beside the largest one hold a good part of the rows, so that one merge of all of them
 * is worth its price. */
static bool is_worth_one(const struct manifest *m)
{
    uint64_t rows = 0, largest = 0;
    for (size_t i = 0; i < m->segment_count; i++) {
        uint64_t live = live_rows(&m->segments[i]);
        rows += live;
        largest = live > largest ? live : largest;
    }
    return rows <= MERGE_IDLE_ROWS && (rows - largest) * MERGE_IDLE_PART >= largest;
}

/* Chooses all segments if that is worth it; else the smallest ones whose merge leaves MERGE_IDLE_LISTED segments.
 * Chooses as many as one segment can hold, and none if they have more than MERGE_IDLE_ROWS live rows. */
static size_t choose_idle(const struct manifest *m, size_t *chosen)
{
    uint64_t rows = 0;
    const size_t kept = is_worth_one(m) ? 1 : MERGE_IDLE_LISTED, open = count_open(m);
    if (open <= kept)
        return 0;
    size_t count = choose_open(m, open - kept + 1, chosen);
    for (size_t i = 0; i < count; i++)
        rows += live_rows(&m->segments[chosen[i]]);
    return count > 1 && rows <= MERGE_IDLE_ROWS ? count : 0;
}

size_t merge_choose(const struct manifest *m, enum merge_effort effort, size_t *chosen)
{
    enum { TIERS = 8 }; /* the last one is beyond SEGMENT_ROWS_MAX */
    const size_t open = count_open(m);
    if (effort == MERGE_ALL) {
        size_t all = choose_all(m, chosen);
        return all > 1 || (all == 1 && m->segments[chosen[0]].deleted_rows) ? all : 0;
    }
    for (unsigned tier = 0; tier < TIERS; tier++) {
        size_t count = choose_tier(m, tier, chosen);
        if (count > 1)
            return count;
    }
    if (open > MERGE_LISTED_MAX) {
        size_t count = choose_open(m, open - MERGE_LISTED_MAX + TIER_WIDTH, chosen);
        if (count > 1)
            return count;
    }
    size_t small = effort == MERGE_IDLE ? choose_idle(m, chosen) : 0;
    return small ? small : choose_half_deleted(m, chosen);
}
