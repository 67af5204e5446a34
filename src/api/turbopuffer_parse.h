/* api/turbopuffer_parse.h: what the functions that read the fields of a turbopuffer query share. Private to the
 * dialect.
 */
#ifndef API_TURBOPUFFER_PARSE_H
#define API_TURBOPUFFER_PARSE_H

#include "api/turbopuffer_body.h"
#include "api/turbopuffer_query.h"

enum { WORD_SHOWN = 32 }; /* bytes of a client's word in a message */

struct query_parse {
    struct body_parse *body;
    struct json_reader *r; /* of the body */
    struct arena *arena;
    struct turbopuffer_queries *all;
    struct turbopuffer_query *query; /* the query that is being read */
    bool nested;                     /* the query is an element of "queries" */
};

void turbopuffer_take_rank_by(struct query_parse *p);
void turbopuffer_take_compute(struct query_parse *p);
void turbopuffer_take_aggregate_by(struct query_parse *p);
void turbopuffer_take_group_by(struct query_parse *p);

#endif
