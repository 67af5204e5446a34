/* api/turbopuffer_query.h: the body of a turbopuffer v2 query. The dialect's own. */
#ifndef API_TURBOPUFFER_QUERY_H
#define API_TURBOPUFFER_QUERY_H

#include "service/service.h"

struct turbopuffer_query {
    struct query_request query; /* its top_k holds the rows to skip too */
    uint32_t offset;
    const struct span *exclude; /* attributes to leave out of the rows */
    size_t exclude_count;
};

/* Reads a query, its spans and arrays into the call's arena. DP_INVALID, with the field and the reason;
 * DP_UNSUPPORTED for what turbopuffer knows and this version does not. */
enum dp_status turbopuffer_parse_query(struct call *call, struct span body, struct turbopuffer_query *out);

#endif
