/* service/query_scan.h: queries that look at every row: with filters, exact ones, and those that an attribute orders.
 * Private to the service. */
#ifndef SERVICE_QUERY_SCAN_H
#define SERVICE_QUERY_SCAN_H

#include "service/service.h"

/* Whether the query must look at every row. */
bool query_needs_scan(const struct query_request *request);

/* Answers such a query from the reader's state as it is. `query` has the vector. DP_INVALID: a bad filter, an attribute
 * that cannot order, or a namespace that is too large to look at; DP_UNSUPPORTED: an operator that needs an index. */
enum dp_status query_scan(struct call *call, struct index_reader *reader, const struct query_request *request,
                          const struct index_query *query, struct index_answer *out);

#endif
