/* service/compute.h: the values that a query computes for each row of its answer. Private to the service.
 *
 *   value := score                                              a number (index/rank.h); BM25 counts all rows first
 *          | [attribute, "VectorDist", vector]                  the distance of the row's vector, by the namespace's metric
 *          | ["Highlight", attribute] | ["Highlight", attribute, {options}]
 *   options: "fragment_by": "sentence", "paragraph", "word" or "none"; "fragment_limit": 3; "include_offsets": "utf-8",
 *            "utf-16" or "codepoints"; "rank_fragments_by": a score over "$fragment", of which the tokens of BM25 count
 *
 * A highlight is an array of fragments (text/highlight.h), [{"text": …, "fragment_range": [begin, end],
 * "match_ranges": [[begin, end], …]}, …], the ranges only with include_offsets. Without rank_fragments_by, the tokens
 * are those that the query's rank_by looks for in the attribute.
 */
#ifndef SERVICE_COMPUTE_H
#define SERVICE_COMPUTE_H

#include "service/service.h"

/* Lets `query`, which begins as request->rows, include what the values need. */
enum dp_status compute_widen(struct call *call, const struct query_request *request, struct index_query *query);
/* Puts the values behind the attributes of each hit, and leaves out again what the request does not include. The hits
 * come from a query that compute_widen() widened. Fails with DP_INVALID, DP_NOMEM or DP_CORRUPT. */
enum dp_status compute_hits(struct call *call, struct index_reader *reader, const struct query_request *request,
                            struct index_answer *answer);

#endif
