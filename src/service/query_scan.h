/* service/query_scan.h: queries that look at every row: queries with filters, exact queries, queries for another
 * vector attribute than "vector", and queries that an attribute orders. Private to the service. */
#ifndef SERVICE_QUERY_SCAN_H
#define SERVICE_QUERY_SCAN_H

#include "filter/filter.h"
#include "service/service.h"

/* Sets request->rank_attribute of a query by distance to the attribute that holds the vectors. For an attribute
 * with "embed", this is the attribute into which its texts are embedded. */
enum dp_status query_find_target(struct call *call, struct index_reader *reader, struct query_request *request);
/* Returns the attribute whose vectors the query's vector is compared with; empty: "vector", or none. */
struct span query_near(const struct query_request *request);
/* Whether a vector orders the rows. */
static inline bool query_has_vector(const struct query_request *request)
{
    return request->rank == QUERY_NEAREST || request->rank == QUERY_EXACT;
}
/* Whether the query must look at every row. */
bool query_needs_scan(const struct query_request *request);

/* The filter of a scan. */
struct scan_filter {
    struct filter *filter;
    struct filter_watch watch; /* after the scan its status counts, too */
};
/* Parses a filter, and gives it to a scan. `filter` must live as long as the scan. DP_INVALID; DP_UNSUPPORTED. */
enum dp_status query_parse_filter(struct call *call, struct span json, const struct schema *schema,
                                  struct scan_filter *filter, struct index_scan *scan);

/* Answers a ranking by words without filters, groups and other orders from the text indexes alone. *answered: whether
 * it did; else query_scan() must answer from the newest state. */
enum dp_status query_words(struct call *call, struct index_reader *reader, const struct query_request *request,
                           const struct index_query *query, bool *answered, struct query_response *out);

/* Answers a query that needs a scan, from the reader's present state. `query` has the vector. DP_INVALID: a bad
 * filter, an attribute that cannot order rows, or a namespace that is too large to scan; DP_UNSUPPORTED: an
 * operator that needs an index. */
enum dp_status query_scan(struct call *call, struct index_reader *reader, const struct query_request *request,
                          const struct index_query *query, struct query_response *out);

#endif
