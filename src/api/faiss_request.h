/* api/faiss_request.h: the bodies of requests to indexes. The dialect's own. */
#ifndef API_FAISS_REQUEST_H
#define API_FAISS_REQUEST_H

#include "service/indexes.h"

/* {"name", "url", "cluster_data_offset"?, "n_clusters"?, "recall_table"?} */
enum dp_status faiss_parse_open(struct call *call, struct span body, struct index_source *out);
/* {"vectors" or "texts", "k"?, "nprobe" or "recall"?, "keep"?, "skip"?}; the name is left to the caller. Both read spans and arrays
 * into the call's arena. DP_INVALID, with the field and the reason. */
enum dp_status faiss_parse_search(struct call *call, struct span body, struct index_search *out);

#endif
