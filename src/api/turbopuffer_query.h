/* api/turbopuffer_query.h: the body of a turbopuffer v2 query. Private to the dialect. */
#ifndef API_TURBOPUFFER_QUERY_H
#define API_TURBOPUFFER_QUERY_H

#include "service/service.h"

struct turbopuffer_query {
    struct query_request query; /* its top_k includes the rows to skip */
    uint32_t offset;
    const struct span *exclude; /* attributes to omit from the rows */
    size_t exclude_count;
};

/* Parses a query, with spans and arrays in the call's arena. DP_INVALID names the field and the reason; DP_UNSUPPORTED:
 * turbopuffer knows the field, this version does not. */
enum dp_status turbopuffer_parse_query(struct call *call, struct span body, struct turbopuffer_query *out);

#endif
