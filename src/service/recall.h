/* service/recall.h: measures how many of the true neighbours the queries of a namespace find. */
#ifndef SERVICE_RECALL_H
#define SERVICE_RECALL_H

#include "service/service.h"

struct recall_request {
    struct span namespace;
    uint32_t num;        /* rows whose vectors are the queries: those with the smallest ids */
    uint32_t top_k;      /* of each query */
    struct span filters; /* a filter as JSON that queries and rows must pass; empty: none */
};

/* One query: the vector of a row. */
struct recall_query {
    const float *vector;       /* float[dim] */
    struct index_answer found; /* what a query finds */
    struct index_answer exact; /* the true neighbours */
};

struct recall_response {
    struct recall_query *queries; /* [count], in the call's arena */
    size_t count;
    uint32_t dim;
    double recall; /* mean share of the true neighbours that queries find; 1 without queries */
};

/* Measures the recall. Each query also looks at every row, so this is slow. DP_INVALID: a bad filter, no vectors, or
 * too many rows to look at. */
enum dp_status service_recall(struct call *call, struct service *service, const struct recall_request *request,
                              struct recall_response *response);

#endif
