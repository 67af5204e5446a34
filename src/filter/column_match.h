/* filter/column_match.h: matches rows by their columns.
 *
 *       status = column_plan_new(arena, filter, &columns, &plan, error);
 *       … read the dictionaries and those pages of plan->used[] whose fate is COLUMN_READ …
 *       status = column_plan_start(plan, dictionaries, &watch, error);
 *       for each such page
 *           status = column_plan_page(plan, page, bytes, &bits, error);
 *       column_plan_deinit(plan);
 *
 * A row that is in bits.yes matches, and one that is not in bits.maybe does not. The documents of the others decide:
 * they have a value that the columns do not show, or the filter asks for something that columns do not tell.
 */
#ifndef FILTER_COLUMN_MATCH_H
#define FILTER_COLUMN_MATCH_H

#include "filter/column.h"
#include "filter/filter.h"

/* What the summary tells about the rows of a page. */
enum column_fate {
    COLUMN_NONE, /* no row matches */
    COLUMN_ALL,  /* each row matches */
    COLUMN_ASK,  /* the documents of all rows decide */
    COLUMN_READ  /* the pages of the used columns tell more */
};

struct column_node;
struct filter_node;

/* The rows that an index of tokens has found for one comparison: row r is bit r % 64 of word r / 64 of the set. */
struct column_set {
    const struct filter_node *node;
    const uint64_t *rows; /* COLUMN_PAGE_WORDS words for each page */
    bool exact;           /* a row of the set matches; else its document decides. No other row matches */
};

/* A filter over the columns of one segment, in an arena. One owner thread. */
struct column_plan {
    struct arena *arena;
    const struct filter *filter;
    const struct columns *columns;
    const struct column_set *sets; /* [set_count] */
    size_t set_count;
    const struct attribute_column **used; /* [used_count]: columns that the filter needs */
    size_t used_count;
    uint8_t *fates;             /* enum column_fate [columns->page_count] */
    struct column_page **pages; /* [used_count]: the present page of each */
    struct column_node *root;
};

/* Rows of a page: row r is bit r % 64 of word r / 64. yes is a part of maybe. */
struct column_bits {
    uint64_t yes[COLUMN_PAGE_WORDS], maybe[COLUMN_PAGE_WORDS];
};

/* Makes a plan in `arena`; filter, columns and sets[set_count] live as long. Fails with DP_NOMEM. The caller deinits
 * *out unless it is NULL. */
enum dp_status column_plan_new(struct arena *arena, const struct filter *filter, const struct columns *columns,
                               const struct column_set *sets, size_t set_count, struct column_plan **out,
                               struct dp_error *error);
void column_plan_deinit(struct column_plan *plan); /* NULL is fine */
/* Takes the dictionaries of the used columns; of a column without one, an empty span. Looks for the filter's texts in
 * them. Fails with DP_CORRUPT or DP_NOMEM, or with watch->status when the call ends. */
enum dp_status column_plan_start(struct column_plan *plan, const struct span *dictionaries,
                                 struct filter_watch *watch, struct dp_error *error);
/* Matches the rows of a page. bytes[used_count]: the pages of the used columns. Fails with DP_CORRUPT or DP_NOMEM. */
enum dp_status column_plan_page(struct column_plan *plan, size_t page, const struct span *bytes,
                                struct column_bits *out, struct dp_error *error);

#endif
