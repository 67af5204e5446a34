/* text/term_scan.h: one term while a segment is searched: what it can give, and the scores of its rows.
 *
 * A search goes through the segment in windows of rows. A term keeps the blocks that it has unpacked for the current
 * window, so each block is unpacked once, whether it is gathered or rows are looked up in it.
 *
 * There are two scores. The exact score is a double, the same bit by bit however a row was found. The rough score is a
 * float that is cheap to add up: the sum of a row's rough scores, times 1 + the slack of rough_slack(), is an upper
 * bound of its exact score times `scale`.
 */
#ifndef TEXT_TERM_SCAN_H
#define TEXT_TERM_SCAN_H

#include "text/maxscore.h"

enum {
    SCAN_WINDOW = 2048,        /* rows */
    SCAN_WINDOW_SPARSE = 8192, /* where postings are few */
    SCAN_GROUP = 16,           /* rows that share a mark */
    SCAN_RUNS = 16,            /* more than the blocks in a window, but for rare cases of SCAN_WINDOW_SPARSE */
    LENGTH_CODES = 256
};

/* k1 * (1 - b + b * length / average), of each length code. */
struct length_norms {
    double average, k1, b;
    double exact[LENGTH_CODES];
    float rough[LENGTH_CODES];
};

/* The sums of rough scores of the rows of a window. All zero between windows. */
struct rough_window {
    float *sums;    /* [rows] */
    uint8_t *marks; /* [rows / SCAN_GROUP]: 1: a row of the group has a sum */
};

struct term_scan {
    const struct text_clause *clause;
    const struct postings *list;
    const struct length_norms *norms;
    double group_weight;
    double bound, window_bound; /* of the exact score times group_weight: in the segment, in the window */
    double *block_bounds;       /* [block_count] */
    float rough_weight;
    uint32_t from, end;       /* the window */
    uint64_t window_postings; /* in the window, about */
    uint32_t block;           /* the first block that ends in the window or behind it */
    uint32_t lookup;          /* the block that look-ups have come to */
    uint32_t
        looked; /* look-ups in that block; after a few, `places` has the positions of its rows in the window */
    uint8_t *places;    /* [window]: the position of row `from` + i, if that row is there. In the arena */
    uint32_t known_row; /* the row whose exact score is `known`; UINT32_MAX: none */
    double known;
    uint32_t held[SCAN_RUNS];             /* the number of the block in each place; UINT32_MAX: none */
    struct postings_run *runs[SCAN_RUNS]; /* in the arena, made when first needed */
    struct arena *arena;
    uint64_t scored; /* postings that were unpacked */
    enum dp_status status;
};

void length_norms_set(struct length_norms *norms, const struct text_clause *clause);
/* Begins a clause that has a list. term_scan_scale() must be called before rough scores are added up. */
enum dp_status term_scan_init(struct term_scan *t, struct arena *arena, const struct text_clause *clause,
                              double group_weight, const struct length_norms *norms);
void term_scan_scale(struct term_scan *t, double scale);
float rough_slack(size_t terms);
/* Offers to `best` the scores, times the group's weight, that postings of the list are known to have. */
size_t term_scan_known_scores(const struct term_scan *t, double *best, size_t count, size_t k);

/* Goes to the window [from, end): drops blocks before it, and finds the term's bound there. */
void term_scan_window(struct term_scan *t, uint32_t from, uint32_t end);
/* The first row at `from` or behind it that the list may have; UINT32_MAX: none. */
uint32_t term_scan_next(struct term_scan *t, uint32_t from);
/* The bound of the block that has `row`, or 0. Rows ascend within a window. */
double term_scan_row_bound(struct term_scan *t, uint32_t row);
/* The exact score of a row; 0 if the list does not have it. */
double term_scan_score(struct term_scan *t, uint32_t row);
/* The exact score of a posting, which is remembered for term_scan_score(). */
double term_scan_score_at(struct term_scan *t, const struct postings_run *run, uint32_t at);
/* Returns an unpacked block, or NULL: then t->status says why. */
const struct postings_run *term_scan_unpack(struct term_scan *t, uint32_t block);
/* The positions in a run of the rows in [from, end). */
struct run_part {
    uint32_t first, last; /* `last` is behind the part */
};
struct run_part run_part_of(const struct postings_run *run, uint32_t from, uint32_t end);
/* Adds the rough scores of a part of a run to the sums. */
void term_scan_add(const struct term_scan *t, const struct postings_run *run, struct run_part part, uint32_t from,
                   struct rough_window *window);
/* Finds the rows of a part of a run whose rough score is at least `least`, by position. Returns how many. */
uint32_t term_scan_select(const struct term_scan *t, const struct postings_run *run, struct run_part part,
                          float least, uint16_t *out);

#endif
