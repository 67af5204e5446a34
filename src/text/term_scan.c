/* term_scan.c: bounds, unpacks and scores the postings of one term, window by window. */
#include "text/term_scan.h"

#include "text/bm25.h"

/* A bound stays a bound after any order of a few hundred additions. */
static const double SLACK = 1 + 1e-10;

/* Each rough score differs by a few parts in 2^24 from its exact value, and so does each addition. */
static const float ROUGH_ERROR = 1.2e-7f;

/* Rough weights and norms are clamped to these, so that no rough score is too small for a float. Both clamps only raise
 * a score. */
static const float WEIGHT_LEAST = 1e-18f, NORM_MOST = 1e15f;

enum { LOOKUPS_FEW = 3 };

void length_norms_set(struct length_norms *norms, const struct text_clause *clause)
{
    norms->average = clause->average;
    norms->k1 = clause->k1;
    norms->b = clause->b;
    for (uint32_t code = 0; code < LENGTH_CODES; code++) {
        double relative = clause->average > 0 ? bm25_length_of((uint8_t)code) / clause->average : 1;
        double norm = clause->k1 * (1 - clause->b + clause->b * relative);
        norms->exact[code] = norm;
        norms->rough[code] = norm < (double)NORM_MOST ? (float)norm : NORM_MOST;
    }
}

static double exact_score(const struct term_scan *t, uint32_t tf, uint8_t code)
{
    return t->clause->weight * tf / (tf + t->norms->exact[code]);
}

/* ---- bounds ------------------------------------------------------------------------------------------ */

static void bound_blocks(struct term_scan *t)
{
    for (uint32_t b = 0; b < t->list->block_count; b++) {
        const struct postings_block *block = &t->list->blocks[b];
        double best = 0;
        for (uint32_t i = 0; i < block->impacts; i++) {
            double score = exact_score(t, block->impact[i].tf, block->impact[i].code);
            best = score > best ? score : best;
        }
        t->block_bounds[b] = best * t->group_weight * SLACK;
        t->bound = t->block_bounds[b] > t->bound ? t->block_bounds[b] : t->bound;
    }
}

enum dp_status term_scan_init(struct term_scan *t, struct arena *arena, const struct text_clause *clause,
                              double group_weight, const struct length_norms *norms)
{
    *t = (struct term_scan){.clause = clause,
                            .list = clause->list,
                            .norms = norms,
                            .group_weight = group_weight,
                            .known_row = UINT32_MAX,
                            .arena = arena};
    for (uint32_t i = 0; i < SCAN_RUNS; i++)
        t->held[i] = UINT32_MAX;
    t->block_bounds = arena_array(arena, t->list->block_count, sizeof *t->block_bounds);
    if (!t->block_bounds)
        return DP_NOMEM;
    bound_blocks(t);
    return DP_OK;
}

void term_scan_scale(struct term_scan *t, double scale)
{
    double weight = t->clause->weight * t->group_weight * scale;
    t->rough_weight = weight > (double)WEIGHT_LEAST ? (float)weight : WEIGHT_LEAST;
}

float rough_slack(size_t terms)
{
    return (float)(terms + 16) * ROUGH_ERROR;
}

/* Puts a score into a heap of the k best, whose root is the worst. */
static size_t keep_best(double *best, size_t count, size_t k, double score)
{
    size_t at;
    if (count < k) {
        for (at = count; at > 0 && best[(at - 1) / 2] > score; at = (at - 1) / 2)
            best[at] = best[(at - 1) / 2];
        best[at] = score;
        return count + 1;
    }
    if (score <= best[0])
        return count;
    at = 0;
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && best[child + 1] < best[child])
            child++;
        if (best[child] >= score)
            break;
        best[at] = best[child];
        at = child;
    }
    best[at] = score;
    return count;
}

size_t term_scan_known_scores(const struct term_scan *t, double *best, size_t count, size_t k)
{
    for (uint32_t b = 0; b < t->list->block_count; b++) {
        const struct postings_block *block = &t->list->blocks[b];
        if (block->impacts == POSTINGS_IMPACTS_MAX) /* neighbours may share one */
            continue;
        for (uint32_t i = 0; i < block->impacts; i++)
            count = keep_best(best, count, k,
                              exact_score(t, block->impact[i].tf, block->impact[i].code) * t->group_weight);
    }
    return count;
}

/* ---- windows ----------------------------------------------------------------------------------------- */

/* Returns how many postings of a block are in the window, if they lie evenly. */
static uint64_t postings_in_window(const struct term_scan *t, const struct postings_block *block)
{
    if (block->before >= t->from && block->last < t->end)
        return block->count;
    const uint32_t first = block->before > t->from ? block->before : t->from;
    const uint32_t last = block->last < t->end ? block->last : t->end - 1;
    return (uint64_t)block->count * (last - first + 1) / (block->last - block->before + UINT64_C(1));
}

void term_scan_window(struct term_scan *t, uint32_t from, uint32_t end)
{
    const struct postings *list = t->list;
    while (t->block < list->block_count && list->blocks[t->block].last < from)
        t->block++;
    t->from = from;
    t->end = end;
    t->lookup = t->block;
    t->looked = 0;
    t->window_bound = 0;
    t->window_postings = 0;
    for (uint32_t b = t->block; b < list->block_count && list->blocks[b].before < end; b++) {
        t->window_bound = t->block_bounds[b] > t->window_bound ? t->block_bounds[b] : t->window_bound;
        t->window_postings += postings_in_window(t, &list->blocks[b]);
    }
}

const struct postings_run *term_scan_unpack(struct term_scan *t, uint32_t block)
{
    const uint32_t place = block % SCAN_RUNS;
    if (t->held[place] == block)
        return t->runs[place];
    t->held[place] = UINT32_MAX;
    if (!t->runs[place])
        t->runs[place] = arena_alloc(t->arena, sizeof *t->runs[place]);
    if (!t->runs[place] || !postings_decode(t->list, block, t->runs[place])) {
        t->status = t->runs[place] ? DP_CORRUPT : DP_NOMEM;
        return NULL;
    }
    t->held[place] = block;
    t->scored += t->runs[place]->count;
    return t->runs[place];
}

/* Returns how many rows of a run are before `row`. */
static uint32_t rows_before(const struct postings_run *run, uint32_t row)
{
    const uint32_t *base = run->rows;
    for (uint32_t half = POSTINGS_BLOCK / 2; half; half /= 2)
        base += half & (0 - (uint32_t)(base[half - 1] < row)); /* without a branch */
    return (uint32_t)(base - run->rows) + (*base < row);
}

uint32_t term_scan_next(struct term_scan *t, uint32_t from)
{
    const struct postings *list = t->list;
    while (t->block < list->block_count && list->blocks[t->block].last < from)
        t->block++;
    if (t->block == list->block_count)
        return UINT32_MAX;
    if (t->held[t->block % SCAN_RUNS] == t->block) {
        const struct postings_run *run = t->runs[t->block % SCAN_RUNS];
        return run->rows[rows_before(run, from)]; /* the last row of the block is not before `from` */
    }
    return list->blocks[t->block].before > from ? list->blocks[t->block].before : from;
}

double term_scan_row_bound(struct term_scan *t, uint32_t row)
{
    const struct postings *list = t->list;
    while (t->lookup < list->block_count && list->blocks[t->lookup].last < row) {
        t->lookup++;
        t->looked = 0;
    }
    if (t->lookup == list->block_count || list->blocks[t->lookup].before > row)
        return 0;
    return t->block_bounds[t->lookup];
}

/* Notes the positions of the rows in the window. */
static void place_rows(struct term_scan *t, const struct postings_run *run)
{
    struct run_part part = run_part_of(run, t->from, t->end);
    for (uint32_t i = part.first; i < part.last; i++)
        t->places[run->rows[i] - t->from] = (uint8_t)i;
}

/* Returns the position of a row, if it is in the run; else any position. */
static uint32_t position_of(struct term_scan *t, const struct postings_run *run, uint32_t row)
{
    if (t->looked++ < LOOKUPS_FEW)
        return rows_before(run, row); /* the last row of the block is not before `row` */
    if (!t->places && !(t->places = arena_calloc(t->arena, SCAN_WINDOW_SPARSE, 1))) {
        t->status = DP_NOMEM;
        return 0;
    }
    if (t->looked == LOOKUPS_FEW + 1)
        place_rows(t, run);
    return t->places[row - t->from];
}

double term_scan_score_at(struct term_scan *t, const struct postings_run *run, uint32_t at)
{
    t->known_row = run->rows[at];
    t->known = exact_score(t, run->tfs[at], run->codes[at]);
    return t->known;
}

double term_scan_score(struct term_scan *t, uint32_t row)
{
    const struct postings_run *run = NULL;
    if (t->known_row == row)
        return t->known;
    t->known_row = row;
    t->known = 0;
    if (term_scan_row_bound(t, row) > 0)
        run = term_scan_unpack(t, t->lookup);
    uint32_t at = run ? position_of(t, run, row) : 0;
    return run && run->rows[at] == row ? term_scan_score_at(t, run, at) : 0;
}

/* ---- rough scores ------------------------------------------------------------------------------------ */

struct run_part run_part_of(const struct postings_run *run, uint32_t from, uint32_t end)
{
    struct run_part part = {0, run->count};
    if (run->rows[0] < from)
        part.first = rows_before(run, from);
    if (run->rows[run->count - 1] >= end)
        part.last = rows_before(run, end);
    return part;
}

void term_scan_add(const struct term_scan *t, const struct postings_run *run, struct run_part part, uint32_t from,
                   struct rough_window *window)
{
    const float weight = t->rough_weight, *norms = t->norms->rough;
    for (uint32_t i = part.first; i < part.last; i++) {
        uint32_t at = run->rows[i] - from;
        float tf = (float)run->tfs[i];
        window->sums[at] += weight * tf / (tf + norms[run->codes[i]]);
        window->marks[at / SCAN_GROUP] = 1;
    }
}

uint32_t term_scan_select(const struct term_scan *t, const struct postings_run *run, struct run_part part,
                          float least, uint16_t *out)
{
    const float weight = t->rough_weight * (1 + 4 * ROUGH_ERROR), *norms = t->norms->rough;
    uint32_t count = 0;
    for (uint32_t i = part.first; i < part.last; i++) {
        float tf = (float)run->tfs[i];
        out[count] = (uint16_t)i;
        count += weight * tf >= least * (tf + norms[run->codes[i]]);
    }
    return count;
}
