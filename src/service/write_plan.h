/* service/write_plan.h: what a write makes of a namespace's schema, and its rows in normal form. Private to the service.
 *
 * Planning reads and changes nothing outside the call's arena, so a write can be planned anew over a newer schema.
 */
#ifndef SERVICE_WRITE_PLAN_H
#define SERVICE_WRITE_PLAN_H

#include "index/schema.h"
#include "service/served_model.h"
#include "service/write.h"

/* A namespace before a write. */
struct write_base {
    struct schema schema;
    struct index_vectors vectors; /* dim 0: no row has a vector */
    bool exists;
    bool has_rows;
};

enum { WRITE_NO_ATTRIBUTE = UINT32_MAX };

struct write_plan {
    struct schema schema;         /* after the request */
    struct index_vectors vectors; /* after the request */
    bool changed;                 /* the namespace must learn schema and vectors before it gets the rows */
    uint32_t
        source; /* position in the request's attributes of the one that is embedded; WRITE_NO_ATTRIBUTE: none */
};

/* Plans what the request says beyond its attributes' values. `model`: the one that embeds; NULL: none. DP_INVALID,
 * DP_UNSUPPORTED or DP_TOO_LARGE: the request does not fit the namespace, or contradicts itself. */
enum dp_status write_plan_schema(struct call *call, const struct write_request *request,
                                 const struct write_base *base, const struct served_model *model,
                                 struct write_plan *out);

/* The rows of a write as the index takes them, and the texts to embed. */
struct write_batch {
    struct index_write_row *rows; /* [request->row_count + 1]: the rows, then the patch by a filter */
    struct embed_input *texts;    /* [text_count] */
    size_t *text_rows;            /* [text_count]: position of the row that gets the vector */
    size_t text_count;
    uint64_t bytes; /* of all ids, documents and vectors */
};

/* Makes the rows, and adds to the plan's schema the attributes that nobody has declared. DP_INVALID names the row and the
 * attribute. */
enum dp_status write_plan_rows(struct call *call, const struct write_request *request, struct write_plan *plan,
                               struct write_batch *out);

#endif
