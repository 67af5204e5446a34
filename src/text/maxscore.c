/* maxscore.c: searches window by window: bounds the terms, gathers the essential ones, looks up the others. */
#include "text/maxscore.h"

#include "text/bm25.h"

enum { WINDOW = 2048, CODES = 256 };

/* A bound stays a bound after any order of a few hundred additions. */
static const double SLACK = 1 + 1e-10;

/* A reader of a list that goes forward. */
struct term_cursor {
    uint32_t block;   /* the current block */
    uint32_t decoded; /* the block in `run`; UINT32_MAX: none */
    uint32_t at;      /* position in `run`: rows before it are done */
    struct postings_run run;
};

/* A clause with a list, while it is searched. */
struct searched_term {
    const struct text_clause *clause;
    double group_weight;
    double bound, window_bound;      /* of the clause's score in the segment and in the window, by group_weight */
    double *block_bounds;            /* [block_count] */
    double norms[CODES];             /* k1 * (1 - b + b * length / average), of each length code */
    struct term_cursor scan, lookup; /* what gathers rows; what scores rows of a list that is not essential */
    bool gathered;          /* whether it is essential in the window; then the fields below have its rows */
    uint32_t found, passed; /* rows found in the window; those before the row that is scored */
    uint16_t *found_at;     /* [WINDOW]: rows minus the first row of the window */
    double *found_scores;   /* [WINDOW] */
};

struct text_run_state {
    struct text_search *search;
    struct text_top *top;
    struct searched_term *terms;  /* [count], in the order of the clauses */
    struct searched_term **order; /* [count]: by window_bound */
    double *below;                /* [count + 1]: the sum of the first window bounds */
    size_t count;
    double *groups; /* [group_count] of scratch */
    double sums[WINDOW];
    uint64_t seen[WINDOW / 64];
    bool damaged;
};

static double score_of(const struct searched_term *t, uint32_t tf, uint8_t code)
{
    return t->clause->weight * tf / (tf + t->norms[code]);
}

static enum dp_status prepare_term(struct arena *arena, const struct text_search *search, struct searched_term *t,
                                   const struct text_clause *clause)
{
    const struct postings *list = clause->list;
    t->clause = clause;
    t->group_weight = search->group_weights[clause->group];
    t->bound = t->window_bound = 0;
    t->scan.block = t->scan.at = t->lookup.block = t->lookup.at = 0;
    t->scan.decoded = t->lookup.decoded = UINT32_MAX;
    for (uint32_t code = 0; code < CODES; code++) {
        double relative = clause->average > 0 ? bm25_length_of((uint8_t)code) / clause->average : 1;
        t->norms[code] = clause->k1 * (1 - clause->b + clause->b * relative);
    }
    t->block_bounds = arena_array(arena, list->block_count, sizeof *t->block_bounds);
    t->found_at = arena_array(arena, WINDOW, sizeof *t->found_at);
    t->found_scores = arena_array(arena, WINDOW, sizeof *t->found_scores);
    if (!t->block_bounds || !t->found_at || !t->found_scores)
        return DP_NOMEM;
    for (uint32_t b = 0; b < list->block_count; b++) {
        double best = 0;
        for (uint32_t i = 0; i < list->blocks[b].impacts; i++) {
            double score = score_of(t, list->blocks[b].impact[i].tf, list->blocks[b].impact[i].code);
            best = score > best ? score : best;
        }
        t->block_bounds[b] = best * t->group_weight * SLACK;
        t->bound = t->block_bounds[b] > t->bound ? t->block_bounds[b] : t->bound;
    }
    return DP_OK;
}

/* Unpacks the current block, unless it is already. Returns false if it is damaged. */
static bool unpack_block(struct text_run_state *s, const struct searched_term *t, struct term_cursor *c)
{
    if (c->decoded == c->block)
        return true;
    c->decoded = c->block;
    c->at = 0;
    if (!postings_decode(t->clause->list, c->block, &c->run)) {
        s->damaged = true;
        return false;
    }
    s->search->scored += c->run.count;
    return true;
}

/* Goes to the first posting at `row` or behind it. Returns whether it is of `row`. */
static bool look_up(struct text_run_state *s, struct searched_term *t, uint32_t row)
{
    const struct postings *list = t->clause->list;
    struct term_cursor *c = &t->lookup;
    while (c->block < list->block_count && list->blocks[c->block].last < row)
        c->block++;
    if (c->block == list->block_count || list->blocks[c->block].before > row || !unpack_block(s, t, c))
        return false;
    while (c->run.rows[c->at] < row) /* the last row of the block is not before `row` */
        c->at++;
    return c->run.rows[c->at] == row;
}

/* The score of a row for one clause. */
static double score_term(struct text_run_state *s, struct searched_term *t, uint32_t from, uint32_t row)
{
    if (!t->gathered) {
        const struct postings_run *run = &t->lookup.run;
        return look_up(s, t, row) ? score_of(t, run->tfs[t->lookup.at], run->codes[t->lookup.at]) : 0;
    }
    while (t->passed < t->found && t->found_at[t->passed] < row - from)
        t->passed++;
    return t->passed < t->found && t->found_at[t->passed] == row - from ? t->found_scores[t->passed] : 0;
}

/* The exact score of a row of the window that begins at `from`. */
static double score_row(struct text_run_state *s, uint32_t from, uint32_t row)
{
    double total = 0;
    for (size_t g = 0; g < s->search->group_count; g++)
        s->groups[g] = 0;
    for (size_t i = 0; i < s->count && !s->damaged; i++) {
        struct searched_term *t = &s->terms[i];
        s->groups[t->clause->group] += score_term(s, t, from, row);
    }
    for (size_t g = 0; g < s->search->group_count; g++) {
        double part = s->groups[g] * s->search->group_weights[g];
        if (!s->search->largest)
            total += part;
        else if (part > total)
            total = part;
    }
    return total;
}

/* The first row at `from` or behind it that a list may have; exact if its block is unpacked. */
static uint32_t next_row(struct searched_term *t, uint32_t from)
{
    const struct postings *list = t->clause->list;
    struct term_cursor *c = &t->scan;
    while (c->block < list->block_count && list->blocks[c->block].last < from)
        c->block++;
    if (c->block == list->block_count)
        return UINT32_MAX;
    if (c->decoded != c->block)
        return list->blocks[c->block].before > from ? list->blocks[c->block].before : from;
    while (c->run.rows[c->at] < from) /* the last row of the block is not before `from` */
        c->at++;
    return c->run.rows[c->at];
}

/* Returns the first row, `from` or later, that an essential list may have; or UINT32_MAX. The bounds of whole lists
 * decide here which lists are essential; search_window() looks closer. */
static uint32_t first_row(const struct text_run_state *s, uint32_t from)
{
    double sum = 0;
    uint32_t first = UINT32_MAX;
    for (size_t i = 0; i < s->count; i++) {
        sum += s->order[i]->bound;
        if (!text_top_takes(s->top, sum * SLACK))
            continue;
        uint32_t row = next_row(s->order[i], from);
        first = row < first ? row : first;
    }
    return first;
}

/* Sorts the clauses by a bound; they are few, and nearly sorted from one window to the next. */
static void sort_terms(struct text_run_state *s, bool by_window)
{
    for (size_t i = 1; i < s->count; i++) {
        struct searched_term *t = s->order[i];
        double bound = by_window ? t->window_bound : t->bound;
        size_t at = i;
        for (; at > 0 && (by_window ? s->order[at - 1]->window_bound : s->order[at - 1]->bound) > bound; at--)
            s->order[at] = s->order[at - 1];
        s->order[at] = t;
    }
}

/* Finds the bound of each clause in [from, end), and drops blocks before it. */
static void bound_window(struct text_run_state *s, uint32_t from, uint32_t end)
{
    for (size_t i = 0; i < s->count; i++) {
        struct searched_term *t = &s->terms[i];
        const struct postings *list = t->clause->list;
        while (t->scan.block < list->block_count && list->blocks[t->scan.block].last < from)
            t->scan.block++;
        t->window_bound = 0;
        t->gathered = false;
        t->found = t->passed = 0;
        for (uint32_t b = t->scan.block; b < list->block_count && list->blocks[b].before < end; b++)
            t->window_bound = t->block_bounds[b] > t->window_bound ? t->block_bounds[b] : t->window_bound;
    }
}

/* Adds the scores of a list in [from, end) to the sums. others: the window bounds of all other lists. A block that
 * cannot reach an answer even with them is skipped: then no row in its range can. */
static void gather_term(struct text_run_state *s, struct searched_term *t, uint32_t from, uint32_t end,
                        double others)
{
    const struct postings *list = t->clause->list;
    struct term_cursor *c = &t->scan;
    uint32_t last = c->block;
    t->gathered = true;
    for (; c->block < list->block_count && list->blocks[c->block].before < end; c->block++) {
        last = c->block;
        if (!text_top_takes(s->top, (t->block_bounds[c->block] + others) * SLACK))
            continue;
        if (!unpack_block(s, t, c))
            return;
        while (c->at < c->run.count && c->run.rows[c->at] < from)
            c->at++;
        for (; c->at < c->run.count && c->run.rows[c->at] < end; c->at++) {
            uint32_t at = c->run.rows[c->at] - from;
            double score = score_of(t, c->run.tfs[c->at], c->run.codes[c->at]);
            t->found_at[t->found] = (uint16_t)at;
            t->found_scores[t->found++] = score;
            s->sums[at] += t->group_weight * score;
            s->seen[at / 64] |= UINT64_C(1) << (at % 64);
        }
    }
    c->block = last;
}

static bool is_allowed(const struct text_search *search, uint32_t row)
{
    return !search->allowed || (search->allowed[row / 64] >> (row % 64) & 1);
}

/* Returns whether a row with this sum over the essential clauses may be good enough. It looks the row up in the
 * others, the most valuable first, as long as those that are left may still lift it. */
static bool may_answer(struct text_run_state *s, size_t essential, uint32_t from, uint32_t row, double sum)
{
    for (size_t i = essential; text_top_takes(s->top, (sum + s->below[i]) * SLACK) && !s->damaged; i--) {
        if (i == 0)
            return is_allowed(s->search, row);
        sum += s->order[i - 1]->group_weight * score_term(s, s->order[i - 1], from, row);
    }
    return false;
}

/* Offers the gathered rows that may be good enough, and clears the window. */
static void offer_rows(struct text_run_state *s, size_t essential, uint32_t from)
{
    for (uint32_t word = 0; word < WINDOW / 64; word++) {
        for (; s->seen[word]; s->seen[word] &= s->seen[word] - 1) {
            uint32_t at = word * 64 + (uint32_t)__builtin_ctzll(s->seen[word]), row = from + at;
            double sum = s->sums[at];
            s->sums[at] = 0;
            if (!may_answer(s, essential, from, row, sum))
                continue;
            double score = score_row(s, from, row);
            if (!s->damaged)
                text_top_offer(s->top, (struct scored_row){score, s->search->source, row});
        }
    }
}

static void search_window(struct text_run_state *s, uint32_t from, uint32_t end)
{
    size_t essential = 0;
    bound_window(s, from, end);
    sort_terms(s, true);
    s->below[0] = 0;
    for (size_t i = 0; i < s->count; i++)
        s->below[i + 1] = s->below[i] + s->order[i]->window_bound;
    while (essential < s->count && !text_top_takes(s->top, s->below[essential + 1] * SLACK))
        essential++;
    for (size_t i = essential; i < s->count && !s->damaged; i++)
        gather_term(s, s->order[i], from, end, s->below[s->count] - s->order[i]->window_bound);
    if (essential < s->count)
        offer_rows(s, essential, from);
    sort_terms(s, false);
}

static enum dp_status prepare(struct arena *arena, struct text_run_state *s)
{
    struct text_search *search = s->search;
    s->terms = arena_array(arena, search->count + 1, sizeof *s->terms);
    s->order = arena_array(arena, search->count + 1, sizeof(void *));
    s->below = arena_array(arena, search->count + 1, sizeof *s->below);
    s->groups = arena_array(arena, search->group_count + 1, sizeof *s->groups);
    if (!s->terms || !s->order || !s->below || !s->groups)
        return DP_NOMEM;
    for (size_t i = 0; i < search->count; i++) {
        if (!search->clauses[i].list)
            continue;
        s->order[s->count] = &s->terms[s->count];
        if (prepare_term(arena, search, &s->terms[s->count++], &search->clauses[i]) != DP_OK)
            return DP_NOMEM;
    }
    sort_terms(s, false);
    return DP_OK;
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
    if (prepare(arena, s) != DP_OK)
        return dp_fail_nomem(error, "a search of words");
    for (uint32_t from = first_row(s, 0); from < search->rows && !s->damaged;) {
        uint32_t end = search->rows - from > WINDOW ? from + WINDOW : search->rows;
        search_window(s, from, end);
        from = first_row(s, end);
    }
    return s->damaged ? dp_fail(error, DP_CORRUPT, "the postings of a term are damaged") : DP_OK;
}
