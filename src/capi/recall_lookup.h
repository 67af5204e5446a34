/* capi/recall_lookup.h: an index's recall table, which the first search by recall reads. */
#ifndef CAPI_RECALL_LOOKUP_H
#define CAPI_RECALL_LOOKUP_H

#include "faiss/recall.h"

/* Thread-safe: if two threads ask first at the same time, both read the table and one of them keeps it. */
struct recall_lookup;

/* url        of the file; copied; NULL: none
 * table_url  of its table; copied; NULL: beside the file. If both are NULL, searches by recall are refused
 *
 * DP_NOMEM. */
enum dp_status recall_lookup_new(const char *url, const char *table_url, struct recall_lookup **out,
                                 struct dp_error *error);
void recall_lookup_free(struct recall_lookup *lookup); /* NULL is fine */

/* Finds the smallest nprobe with which the index reached `recall`. DP_INVALID if `recall` is not above 0 and at most 1,
 * or if there is no place for a table; else as recall_load and recall_nprobe. */
enum dp_status recall_lookup_nprobe(struct call *call, struct recall_lookup *lookup,
                                    const struct faiss_index *index, double recall, size_t *nprobe);

#endif
