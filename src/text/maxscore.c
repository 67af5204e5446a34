/* maxscore.c: searches window by window: bounds the terms, adds up the essential ones, looks up the others. */
#include "text/maxscore.h"

#include <float.h>
#include <math.h>

#include "text/term_scan.h"

/* A bound stays a bound after any order of a few hundred additions. */
static const double SLACK = 1 + 1e-10;

static const double SCALED_LEAST = 1e-300; /* the inverse of a smaller total may be infinite */

enum {
    FLOOR_ROWS_MAX = 1024, /* a larger k begins without a floor */
    SPARSE = 16,           /* lists with fewer postings than one for so many rows are searched in large windows */
    LOOKUP_PRICE = 4       /* postings that can be added up while a list is looked into for one gathered row */
};

struct text_run_state {
    struct text_search *search;
    struct text_top *top;
    struct term_scan *terms;  /* [count], in the order of the clauses */
    struct term_scan **firm;  /* [count]: by bound */
    struct term_scan **order; /* [count]: by window_bound */
    double *below;            /* [count + 1]: the sum of the first window bounds */
    size_t count;
    double *groups; /* [group_count] of scratch */
    double floor;   /* no row with a lower score belongs to the answer */
    uint32_t window_rows;
    double scale; /* of rough scores */
    float slack;
    float least;   /* the least rough sum in the window that may belong to the answer */
    double others; /* what clauses that are not gathered can add to it */
    enum dp_status status;
    struct rough_window window;
};

/* Returns whether a row of at most this score may belong to the answer. */
static bool may_take(const struct text_run_state *s, double score)
{
    return score >= s->floor && text_top_takes(s->top, score);
}

/* Finds the least rough sum of a row that may belong to the answer. */
static void find_least_sum(struct text_run_state *s)
{
    const struct text_top *top = s->top;
    double least = top->count == top->k && top->k ? top->rows[0].score : 0;
    least =
        ((least > s->floor ? least : s->floor) / SLACK - s->others * SLACK) * s->scale * (1 - (double)s->slack);
    s->least = least > (double)FLT_MIN ? nextafterf((float)least, 0) : FLT_TRUE_MIN;
}

/* An upper bound of the exact sum of a row. */
static double exact_bound(const struct text_run_state *s, float rough)
{
    return (double)rough / s->scale * (1 + (double)s->slack);
}

/* The exact score of a row. */
static double score_row(struct text_run_state *s, uint32_t row)
{
    double total = 0;
    for (size_t g = 0; g < s->search->group_count; g++)
        s->groups[g] = 0;
    for (size_t i = 0; i < s->count; i++)
        s->groups[s->terms[i].clause->group] += term_scan_score(&s->terms[i], row);
    for (size_t g = 0; g < s->search->group_count; g++) {
        double part = s->groups[g] * s->search->group_weights[g];
        if (!s->search->largest)
            total += part;
        else if (part > total)
            total = part;
    }
    return total;
}

static bool is_allowed(const struct text_search *search, uint32_t row)
{
    return !search->allowed || (search->allowed[row / 64] >> (row % 64) & 1);
}

/* Offers a row whose gathered clauses add up to `sum` at most, if it is good enough. It looks the row up in the other
 * lists, the most valuable first, as long as those that are left may still lift it. */
static void offer_row(struct text_run_state *s, size_t others, uint32_t row, double sum)
{
    if (!is_allowed(s->search, row))
        return;
    for (size_t i = others; i > 0; i--) {
        struct term_scan *t = s->order[i - 1];
        if (!may_take(s, (sum + s->below[i]) * SLACK) ||
            !may_take(s, (sum + term_scan_row_bound(t, row) + s->below[i - 1]) * SLACK))
            return;
        sum += t->group_weight * term_scan_score(t, row);
    }
    if (!may_take(s, sum * SLACK))
        return;
    double score = score_row(s, row);
    if (s->status != DP_OK || !may_take(s, score))
        return;
    text_top_offer(s->top, (struct scored_row){score, s->search->source, row});
    find_least_sum(s);
}

/* Sorts the clauses by a bound; they are few, and nearly sorted from one window to the next. */
static void sort_terms(struct term_scan **order, size_t count, bool by_window)
{
    for (size_t i = 1; i < count; i++) {
        struct term_scan *t = order[i];
        double bound = by_window ? t->window_bound : t->bound;
        size_t at = i;
        for (; at > 0 && (by_window ? order[at - 1]->window_bound : order[at - 1]->bound) > bound; at--)
            order[at] = order[at - 1];
        order[at] = t;
    }
}

/* Returns the first row, `from` or later, that an essential list may have; or UINT32_MAX. The bounds of whole lists
 * decide here which lists are essential; search_window() looks closer. */
static uint32_t first_row(const struct text_run_state *s, uint32_t from)
{
    double sum = 0;
    uint32_t first = UINT32_MAX;
    for (size_t i = 0; i < s->count; i++) {
        sum += s->firm[i]->bound;
        if (!may_take(s, sum * SLACK))
            continue;
        uint32_t row = term_scan_next(s->firm[i], from);
        first = row < first ? row : first;
    }
    return first;
}

/* Unpacks the block of a term, unless no row of it can reach the answer with the help of others. */
static const struct postings_run *open_block(struct text_run_state *s, struct term_scan *t, uint32_t block,
                                             double others)
{
    if (!may_take(s, (t->block_bounds[block] + others) * SLACK))
        return NULL;
    const struct postings_run *run = term_scan_unpack(t, block);
    if (!run)
        s->status = t->status;
    return run;
}

/* Adds the rough scores of a list in [from, end) to the sums. others: the window bounds of all other lists. */
static void gather_term(struct text_run_state *s, struct term_scan *t, uint32_t from, uint32_t end, double others)
{
    const struct postings *list = t->list;
    for (uint32_t b = t->block; b < list->block_count && list->blocks[b].before < end; b++) {
        const struct postings_run *run = open_block(s, t, b, others);
        if (run)
            term_scan_add(t, run, run_part_of(run, from, end), from, &s->window);
    }
}

/* Counts the sums of a group that reach `least`, four at a time. Floats above 0 have the order of their bits. */
static uint32_t group_count(const float *sums, float least)
{
    typedef int32_t four __attribute__((vector_size(16)));
    four all[SCAN_GROUP / 4], count = {0};
    int32_t mark;
    memcpy(all, sums, sizeof all);
    memcpy(&mark, &least, sizeof mark);
    for (uint32_t i = 0; i < SCAN_GROUP / 4; i++)
        count -= all[i] >= mark; /* a lane that reaches it is -1 */
    return (uint32_t)(count[0] + count[1] + count[2] + count[3]);
}

/* Offers the rows of one group that may be good enough, and clears it. */
static void offer_group(struct text_run_state *s, size_t others, uint32_t from, uint32_t group)
{
    float *sums = s->window.sums + (size_t)group * SCAN_GROUP;
    if (group_count(sums, s->least)) {
        for (uint32_t i = 0; i < SCAN_GROUP; i++) {
            if (sums[i] >= s->least)
                offer_row(s, others, from + group * SCAN_GROUP + i, exact_bound(s, sums[i]));
        }
    }
    memset(sums, 0, SCAN_GROUP * sizeof *sums);
}

/* Offers the gathered rows that may be good enough, and clears the window. */
static void offer_rows(struct text_run_state *s, size_t others, uint32_t from)
{
    for (uint32_t g = 0; g < s->window_rows / SCAN_GROUP; g += 8) {
        uint64_t marks;
        memcpy(&marks, s->window.marks + g, sizeof marks);
        if (!marks)
            continue;
        memset(s->window.marks + g, 0, sizeof marks);
        for (; marks; marks &= marks - 1)
            offer_group(s, others, from, g + (uint32_t)__builtin_ctzll(marks) / 8);
    }
}

/* Offers the rows of the only essential list, in [from, end). */
static void offer_only(struct text_run_state *s, struct term_scan *t, uint32_t from, uint32_t end)
{
    const struct postings *list = t->list;
    const double others = s->below[s->count - 1];
    uint16_t found[POSTINGS_BLOCK];
    for (uint32_t b = t->block; b < list->block_count && list->blocks[b].before < end; b++) {
        const struct postings_run *run = open_block(s, t, b, others);
        if (!run)
            continue;
        uint32_t count = term_scan_select(t, run, run_part_of(run, from, end), s->least, found);
        for (uint32_t i = 0; i < count && s->status == DP_OK; i++) {
            uint32_t row = run->rows[found[i]];
            offer_row(s, s->count - 1, row, t->group_weight * term_scan_score_at(t, run, found[i]) * SLACK);
        }
    }
}

/* Counts gathered rows that may be good enough, up to about `most`. */
static uint64_t count_candidates(const struct text_run_state *s, uint64_t most)
{
    uint64_t count = 0, marks;
    for (uint32_t g = 0; g < s->window_rows / SCAN_GROUP && count < most; g += 8) {
        memcpy(&marks, s->window.marks + g, sizeof marks);
        for (; marks; marks &= marks - 1) {
            const uint32_t group = g + (uint32_t)__builtin_ctzll(marks) / 8;
            count += group_count(s->window.sums + (size_t)group * SCAN_GROUP, s->least);
        }
    }
    return count;
}

/* Gathers the clauses from `others` on, and then, one after another, clauses before them if their lists in the window are
 * not much longer than the rows that would be looked up in them: adding up a few postings takes less time than looking a
 * row up. Returns how many clauses are not gathered. */
static size_t gather_window(struct text_run_state *s, size_t others, uint32_t from, uint32_t end)
{
    uint64_t gathered = 0;
    for (size_t i = s->count; i > 0 && s->status == DP_OK; i--) {
        struct term_scan *t = s->order[i - 1];
        if (i <= others) {
            const uint64_t enough = t->window_postings / LOOKUP_PRICE + 1;
            s->others = s->below[i];
            find_least_sum(s);
            if (gathered < enough || count_candidates(s, enough) < enough)
                return i;
        }
        /* SLACK, because the difference may be far smaller than the rounding of the sum. */
        gather_term(s, t, from, end, s->below[s->count] * SLACK - t->window_bound);
        gathered += t->window_postings;
    }
    return 0;
}

static void search_window(struct text_run_state *s, uint32_t from, uint32_t end)
{
    size_t others = 0;
    for (size_t i = 0; i < s->count; i++)
        term_scan_window(&s->terms[i], from, end);
    sort_terms(s->order, s->count, true);
    for (size_t i = 0; i < s->count; i++)
        s->below[i + 1] = s->below[i] + s->order[i]->window_bound;
    while (others < s->count && !may_take(s, s->below[others + 1] * SLACK))
        others++;
    if (others == s->count)
        return;
    const struct term_scan *last = s->order[s->count - 1];
    bool only = others + 1 == s->count &&
                (others == 0 || s->order[others - 1]->window_postings > LOOKUP_PRICE * last->window_postings);
    others = only ? others : gather_window(s, others, from, end);
    s->others = s->below[others];
    find_least_sum(s);
    if (only)
        offer_only(s, s->order[others], from, end);
    else
        offer_rows(s, others, from);
}

/* ---- the whole --------------------------------------------------------------------------------------- */

/* Finds a score that k rows are known to have. Clauses have exact scores of some postings, and the others only add to
 * a row's score. */
static enum dp_status find_floor(struct arena *arena, struct text_run_state *s)
{
    const size_t k = s->top->k;
    if (k == 0 || k > FLOOR_ROWS_MAX || s->search->allowed)
        return DP_OK;
    double *best = arena_array(arena, k, sizeof *best);
    if (!best)
        return DP_NOMEM;
    for (size_t i = 0; i < s->count; i++) {
        if (s->terms[i].bound > s->floor && term_scan_known_scores(&s->terms[i], best, 0, k) == k &&
            best[0] > s->floor)
            s->floor = best[0];
    }
    return DP_OK;
}

/* Begins a term; terms with the same parameters share their norms. */
static enum dp_status prepare_term(struct arena *arena, struct text_run_state *s, const struct text_clause *clause)
{
    const struct length_norms *last = s->count ? s->terms[s->count - 1].norms : NULL;
    struct term_scan *t = &s->terms[s->count];
    if (!last || last->average != clause->average || last->k1 != clause->k1 || last->b != clause->b) {
        struct length_norms *norms = arena_alloc(arena, sizeof *norms);
        if (!norms)
            return DP_NOMEM;
        length_norms_set(norms, clause);
        last = norms;
    }
    s->firm[s->count] = s->order[s->count] = t;
    s->count++;
    return term_scan_init(t, arena, clause, s->search->group_weights[clause->group], last);
}

static enum dp_status prepare(struct arena *arena, struct text_run_state *s)
{
    const struct text_search *search = s->search;
    uint64_t postings = 0;
    double total = 0;
    s->terms = arena_array(arena, search->count + 1, sizeof *s->terms);
    s->firm = arena_array(arena, search->count + 1, sizeof(void *));
    s->order = arena_array(arena, search->count + 1, sizeof(void *));
    s->below = arena_array(arena, search->count + 1, sizeof *s->below);
    s->groups = arena_array(arena, search->group_count + 1, sizeof *s->groups);
    if (!s->terms || !s->firm || !s->order || !s->below || !s->groups)
        return DP_NOMEM;
    s->below[0] = 0;
    for (size_t i = 0; i < search->count; i++) {
        if (search->clauses[i].list && prepare_term(arena, s, &search->clauses[i]) != DP_OK)
            return DP_NOMEM;
    }
    for (size_t i = 0; i < s->count; i++) {
        total += s->terms[i].bound;
        postings += s->terms[i].list->df;
    }
    s->window_rows = postings > search->rows / SPARSE ? SCAN_WINDOW : SCAN_WINDOW_SPARSE;
    s->window.sums = arena_calloc(arena, s->window_rows, sizeof *s->window.sums);
    s->window.marks = arena_calloc(arena, s->window_rows / SCAN_GROUP, 1);
    if (!s->window.sums || !s->window.marks)
        return DP_NOMEM;
    s->scale = total > SCALED_LEAST ? 1 / total : 1;
    s->slack = rough_slack(s->count);
    for (size_t i = 0; i < s->count; i++)
        term_scan_scale(&s->terms[i], s->scale);
    sort_terms(s->firm, s->count, false);
    return find_floor(arena, s);
}

enum dp_status text_search_run(struct arena *arena, struct text_search *search, struct text_top *top,
                               struct dp_error *error)
{
    struct text_run_state *s = arena_calloc(arena, 1, sizeof *s);
    search->scored = 0;
    if (!s)
        return dp_fail_nomem(error, "a search of words");
    s->search = search;
    s->top = top;
    if (search->count > TEXT_CLAUSES_MAX)
        return dp_fail(error, DP_TOO_LARGE, "a query of words has at most %d different terms", TEXT_CLAUSES_MAX);
    s->status = prepare(arena, s);
    for (uint32_t from = first_row(s, 0); from < search->rows && s->status == DP_OK;) {
        uint32_t end = search->rows - from > s->window_rows ? from + s->window_rows : search->rows;
        search_window(s, from, end);
        from = first_row(s, end);
    }
    for (size_t i = 0; i < s->count; i++) {
        search->scored += s->terms[i].scored;
        s->status = s->status == DP_OK ? s->terms[i].status : s->status;
    }
    if (s->status == DP_NOMEM)
        return dp_fail_nomem(error, "a search of words");
    return s->status != DP_OK ? dp_fail(error, DP_CORRUPT, "the postings of a term are damaged") : DP_OK;
}
