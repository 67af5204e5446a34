/* capi/recall_lookup.h: the recall table of an index. The first search by recall reads it. */
#ifndef CAPI_RECALL_LOOKUP_H
#define CAPI_RECALL_LOOKUP_H

#include "faiss/recall.h"

/* The URL of a recall table, and the table after the first search has read it. Thread-safe: two threads may
 * read the table at the same time; the lookup keeps the table of the faster one. */
struct recall_lookup;

/* Makes a lookup that has not read its table yet.
 *
 * url        of the FAISS file; copied; NULL: it has none
 * table_url  of the recall table; copied; NULL: the table lies beside the file
 *
 * If both are NULL, recall_lookup_nprobe fails with DP_INVALID. DP_NOMEM. */
enum dp_status recall_lookup_new(const char *url, const char *table_url, struct recall_lookup **out,
                                 struct dp_error *error);
void recall_lookup_free(struct recall_lookup *lookup); /* NULL is fine */

/* Finds the smallest nprobe with which the index reached `recall`. DP_INVALID: `recall` is not above 0 and at
 * most 1, or both URLs are NULL; or as recall_load and recall_nprobe. */
enum dp_status recall_lookup_nprobe(struct call *call, struct recall_lookup *lookup,
                                    const struct faiss_index *index, double recall, size_t *nprobe);

#endif
