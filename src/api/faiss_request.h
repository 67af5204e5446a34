/* api/faiss_request.h: the bodies of requests to indexes. Private to the dialect. */
#ifndef API_FAISS_REQUEST_H
#define API_FAISS_REQUEST_H

#include "service/indexes.h"

/* {"name", "url", "cluster_data_offset"?, "n_clusters"?, "recall_table"?} */
enum dp_status faiss_parse_open(struct call *call, struct span body, struct index_source *out);
/* {"vectors" or "texts" and "model"?, "k"?, "nprobe" or "recall"?, "keep"?, "skip"?}; the caller sets the name. For both
 * functions, spans and arrays lie in the call's arena, and DP_INVALID names the field and the reason. */
enum dp_status faiss_parse_search(struct call *call, struct span body, struct index_search *out);

#endif
