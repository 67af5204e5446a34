/* service/search.h: searches a namespace by words, by meaning or by both, as the command line does. */
#ifndef SERVICE_SEARCH_H
#define SERVICE_SEARCH_H

#include "service/service.h"

/* SEARCH_MEANING: the distance to the text's vector. SEARCH_WORDS: BM25 of the attribute "text", whose schema must have
 * "full_text_search". SEARCH_HYBRID: both rankings, fused (service/fuse.h). SEARCH_DEFAULT: by both if the
 * namespace has vectors and text indexes of "text"; else by the one that it has, or by meaning. */
enum search_rank { SEARCH_DEFAULT, SEARCH_MEANING, SEARCH_WORDS, SEARCH_HYBRID };

/* How SEARCH_HYBRID makes one ranking of two. FUSION_RRF: by the ranks. FUSION_CONVEX: by the scores, each from 0 to
 * 1: the cosine (below 0: 0), and BM25 as a share of its largest. For other metrics than cosine, the row of the
 * largest distance has 0, and a distance of 0 has 1. A row that only one ranking has gets 0 for the other. */
enum search_fusion { FUSION_RRF, FUSION_CONVEX };

enum {
    SEARCH_LANE_ROWS = 50, /* rows that each ranking of a hybrid search gives at least */
};

struct search_options {
    enum search_rank rank;
    enum search_fusion fusion;
    /* The share of the words in a hybrid score, more than 0 and less than 1; 0: one half by ranks, 0.3 by scores. */
    double words_share;
};

/* Parses "meaning", "words" or "hybrid". */
bool search_rank_parse(const char *name, enum search_rank *out);
/* Parses "rrf" or "convex". */
bool search_fusion_parse(const char *name, enum search_fusion *out);

/* The name of a ranking, as search_rank_parse() takes it. */
const char *search_rank_name(enum search_rank rank);
/* The ranking that SEARCH_DEFAULT stands for in a namespace that has these (service_lanes_of()). */
enum search_rank search_default(bool meaning, bool words);

/* Searches for request->text; by meaning, for the vector of its rows if it has one. The request's rank and score are
 * set here. SEARCH_DEFAULT in the options becomes the ranking that it stands for. By words and by both, a hit's dist
 * is its score, and the first hit has the largest. Fails as service_query() does, and with DP_INVALID for a share out
 * of its range. */
enum dp_status service_search(struct call *call, struct service *service, const struct query_request *request,
                              struct search_options *options, struct query_response *response);

#endif
