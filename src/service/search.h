/* service/search.h: searches a namespace by words, by meaning or by both, as the command line does. */
#ifndef SERVICE_SEARCH_H
#define SERVICE_SEARCH_H

#include "service/service.h"

/* SEARCH_MEANING: the distance to the text's vector. SEARCH_WORDS: BM25 of the attribute "text", whose schema must have
 * "full_text_search". SEARCH_HYBRID: both rankings, fused (service/fuse.h). */
enum search_rank { SEARCH_MEANING, SEARCH_WORDS, SEARCH_HYBRID };

enum {
    SEARCH_LANE_ROWS = 50, /* rows that each ranking of a hybrid search gives at least */
};

/* Parses "meaning", "words" or "hybrid". */
bool search_rank_parse(const char *name, enum search_rank *out);

/* Searches for request->text. The request's rank and score are set here. By words and by both, a hit's dist is its score,
 * and the first hit has the largest. Fails as service_query() does. */
enum dp_status service_search(struct call *call, struct service *service, const struct query_request *request,
                              enum search_rank rank, struct query_response *response);

#endif
