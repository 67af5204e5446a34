/* capi/recall_lookup.h: the recall table of an index of the C API, read when a search first asks for a recall. */
#ifndef CAPI_RECALL_LOOKUP_H
#define CAPI_RECALL_LOOKUP_H

#include "faiss/recall.h"

/* Thread-safe: two threads that ask first at the same time both read it, and one keeps it. */
struct recall_lookup;

/* url: of the file, copied; table_url: of its table, NULL: beside it. Both NULL: searches by recall are refused.
 * DP_NOMEM. */
enum dp_status recall_lookup_new(const char *url, const char *table_url, struct recall_lookup **out,
                                 struct dp_error *error);
void recall_lookup_free(struct recall_lookup *lookup); /* NULL is fine */

/* The smallest nprobe with which the index reached `recall`. As recall_load and recall_nprobe; DP_INVALID for what is
 * no recall. */
enum dp_status recall_lookup_nprobe(struct call *call, struct recall_lookup *lookup,
                                    const struct faiss_index *index, double recall, size_t *nprobe);

#endif
