/* service/external.h: queries of namespaces whose vectors are in a FAISS file where it lies (index/index.h,
 * struct index_external).
 *
 * A query searches the file for ids, and reads the rows that have these ids. Vectors without a row, and rows without a
 * vector, are no answers. A filter first chooses the rows, and the file is searched for their ids alone.
 *
 * Open files wait in a table of slots, so that the next query need not read their heads again. A user who can write the bucket
 * can name any URL in a namespace; so each opening asks the operator's rules (service/url_rules.h).
 */
#ifndef SERVICE_EXTERNAL_H
#define SERVICE_EXTERNAL_H

#include "faiss/faiss_index.h"
#include "service/service.h"
#include "service/slots.h"

enum {
    EXTERNAL_FILES_MAX = 16, /* open files that wait for the next query */
};

struct external_file; /* external_files.c */

/* Makes the table of open files. Fails with DP_NOMEM. The caller deinits the table, also after a failure. */
enum dp_status external_files_init(struct slots *files, struct dp_error *error);

/* Borrows the file that a namespace names; opens it if it does not wait. DP_DENIED: the rules do not permit its URL;
 * DP_STALE: somebody has replaced the file; or as faiss_index_open_url(). */
enum dp_status external_borrow(struct call *call, struct service *service, const struct index_external *external,
                               struct external_file **out);
/* Replaces the error of a call that found no such file, or another one: DP_STALE, with what to do. */
enum dp_status external_fail_replaced(struct call *call, const struct index_external *external);
const struct faiss_index *external_index(const struct external_file *file);
/* Gives a file back. `forget`: it has changed, so that the next query opens it anew. */
void external_give_back(struct service *service, struct external_file *file, bool forget);

/* Whether the query is for the vectors of the file. */
bool external_concerns(const struct query_request *request, const struct index_external *external);
/* Answers such a query from the reader's present state. `query` has the vector. Fails with DP_INVALID for a vector of
 * another dimension, with DP_UNSUPPORTED for a limit per attribute, or as external_borrow() and the store. */
enum dp_status external_query(struct call *call, struct service *service, struct index_reader *reader,
                              const struct index_external *external, const struct query_request *request,
                              const struct index_query *query, struct query_response *out);

#endif
