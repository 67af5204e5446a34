/* api/turbopuffer_query.h: the body of a turbopuffer v2 query, and of several queries in one request. Private to the
 * dialect. */
#ifndef API_TURBOPUFFER_QUERY_H
#define API_TURBOPUFFER_QUERY_H

#include "service/aggregate.h"
#include "service/fuse.h"
#include "service/service.h"

enum { TURBOPUFFER_QUERIES_MAX = 16 }; /* at most FUSE_LANES_MAX */

struct turbopuffer_query {
    struct query_request query;         /* its top_k includes the rows to skip */
    struct aggregate_request aggregate; /* of QUERY_AGGREGATED; query.aggregate points to it */
    uint32_t offset;
    const struct span *exclude; /* attributes to omit from the rows */
    size_t exclude_count;
};

/* How the answers to several queries become one. */
struct turbopuffer_fusion {
    bool asked; /* the request has "rerank_by" */
    double rank_constant;
    double weights[FUSE_LANES_MAX]; /* of the queries */
    size_t weight_count;            /* 0: each weighs 1 */
    uint32_t limit;                 /* of the fused rows, those to skip included; 0: all */
    uint32_t offset;
};

struct turbopuffer_queries {
    struct turbopuffer_query *queries; /* [count], count ≥ 1 */
    size_t count;
    bool is_multi; /* the request has "queries" */
    struct turbopuffer_fusion fusion;
    bool base64; /* encoding of vectors in the answer; false: arrays of numbers */
};

/* Parses a request, with spans and arrays in the call's arena. DP_INVALID names the field and the reason; *malformed
 * says whether the body is no query at all (HTTP 422) or breaks a rule (400). DP_UNSUPPORTED: turbopuffer knows the
 * field, this version does not. */
enum dp_status turbopuffer_parse_query(struct call *call, struct span body, struct turbopuffer_queries *out,
                                       bool *malformed);

/* Writes "aggregations" or "aggregation_groups". */
void turbopuffer_print_aggregates(struct json_writer *w, const struct aggregate_request *request,
                                  const struct aggregate_answer *answer);

/* A request to measure the recall of a namespace. */
struct turbopuffer_recall {
    uint32_t num;   /* number of rows whose vectors are the queries */
    uint32_t top_k; /* of each query */
    struct span filters;
    bool ground_truth; /* the answer has the true neighbours */
};
enum dp_status turbopuffer_parse_recall(struct call *call, struct span body, struct turbopuffer_recall *out,
                                        bool *malformed);

#endif
