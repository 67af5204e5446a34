/* index/query/news.h: log entries that a query has found and that its view does not have yet.
 *
 * To append entries to a view takes a round, for the ids of the rows that they replace. A query over a view with an
 * empty tail puts that off: it measures the rows of the entries beside the view, reads the id blocks in the round of
 * its documents, drops the rows that are replaced, and appends the entries then. Nobody else sees them before.
 */
#ifndef INDEX_NEWS_H
#define INDEX_NEWS_H

#include "index/query/masking.h"
#include "index/query/tail_scan.h"

/* Entries that follow the last one of a view. Each has records that the view's manifest knows. */
struct log_news {
    struct wal_entry **entries; /* [count], retained */
    size_t count;
    bool applied; /* the view has them now */
};

enum { NEWS_MAX = 64 }; /* entries that a query may put off */

void log_news_release(struct log_news *news);
/* Returns whether a query over the view may put these entries off. */
bool log_news_can_wait(struct view *view, struct wal_entry *const *entries, size_t count);
/* Finds the best rows of the entries. *moved: the view has entries meanwhile, so the query must begin again. The caller
 * holds the view's lock. */
enum dp_status log_news_scan(struct call *call, const struct view *view, const struct log_news *news,
                             const struct tail_search *search, struct tail_hit **hits, size_t *count, bool *moved);

/* The search for the rows that the entries replace. */
struct news_search {
    struct masking masking;
    struct id_searching *ids; /* or NULL: no block may hold an id */
};

/* Asks the round for the id blocks. *full: they do not fit, and there is nothing to end. */
enum dp_status news_search_ask(struct call *call, struct round *round, struct view *view,
                               const struct log_news *news, struct news_search *out, bool *full);
/* Finds the replaced rows in the blocks that the round has read. */
enum dp_status news_search_take(struct news_search *search);
/* Returns whether an entry replaces the row of the segment. */
bool news_search_has(const struct news_search *search, size_t segment, uint32_t row);
/* Appends the entries to the view, unless it has them meanwhile. */
enum dp_status news_search_apply(struct news_search *search, struct log_news *news);
void news_search_end(struct news_search *search);

#endif
