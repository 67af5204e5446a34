/* service/write_plan.h: plans how a write changes a namespace's schema, and makes its rows in normal form. Private
 * to the service.
 *
 * Planning reads and changes nothing outside the call's arena, so a write can be planned anew over a newer schema.
 */
#ifndef SERVICE_WRITE_PLAN_H
#define SERVICE_WRITE_PLAN_H

#include "index/schema.h"
#include "service/models.h"
#include "service/write.h"

/* A namespace before a write. */
struct write_base {
    struct index_life life; /* "": the namespace does not exist */
    struct schema schema;
    struct index_vectors vectors; /* dim 0: no row has a vector */
    bool exists;
    bool has_rows;
    struct span file; /* the URL of the FAISS file that has the vectors; empty: there is none */
};

enum { WRITE_NO_ATTRIBUTE = UINT32_MAX, WRITE_EMBEDDINGS_MAX = 1 + SCHEMA_VECTORS_MAX };

/* An attribute of a request whose texts are embedded. Attributes are given by their position in the request's
 * list; WRITE_NO_ATTRIBUTE: the request does not have the attribute. */
struct write_embedding {
    uint32_t source;
    uint32_t target_position;   /* of `target`, if the request has it, too */
    struct span target;         /* name of the vector attribute that gets the vectors; empty: "vector" */
    struct served_model *model; /* NULL: the request has no text to embed */
};

/* The models that a write uses, so that all its tries use one version of each. */
struct write_models {
    struct models *all;
    struct served_model *of[WRITE_EMBEDDINGS_MAX]; /* [count]: counted references */
    size_t count;
};

struct write_plan {
    struct schema schema;         /* after the request */
    struct index_vectors vectors; /* after the request */
    bool changed;                 /* the namespace must learn schema and vectors before it gets the rows */
    struct write_embedding embeddings[WRITE_EMBEDDINGS_MAX];
    size_t embedding_count;
    /* The namespace has no "vector", and the request's metric differs from the namespace's. So new vector
     * attributes note the request's metric. */
    bool notes_metric;
    enum index_metric noted_metric;
};

/* Plans everything in the request but the values of attributes. Adds to `models` those that embed. DP_INVALID,
 * DP_UNSUPPORTED or DP_TOO_LARGE: the request does not fit the namespace, or contradicts itself. */
enum dp_status write_plan_schema(struct call *call, const struct write_request *request,
                                 const struct write_base *base, struct write_models *models,
                                 struct write_plan *out);

/* If the plan notes the request's metric, adds it to the options of the vector attributes from position `known` on. */
enum dp_status write_note_metric(const struct write_plan *plan, struct schema *schema, size_t known,
                                 struct arena *arena, struct dp_error *error);

/* The row and the attribute that get the vector of a text. */
struct text_place {
    size_t row;         /* position in the batch's rows */
    struct span target; /* the row's attribute; empty: "vector" */
    struct served_model *model;
};

/* The rows of a write as the index takes them, and the texts to embed. */
struct write_batch {
    struct index_write_row *rows; /* [request->row_count + 1]: the rows, then the patch by a filter */
    struct embed_input *texts;    /* [text_count] */
    struct text_place *places;    /* [text_count]: where each text's vector goes */
    size_t text_count;
    uint64_t bytes; /* of all ids, documents and vectors */
    /* The rows exceed one entry of the log and become a load. `rows` is undefined: write_plan_one() makes each row. */
    bool bulk;
};

/* Makes the rows, in `planned`, and adds to the plan's schema the attributes that nobody has declared. DP_INVALID
 * names the row and the attribute. A bulk write leaves nothing in `planned`. */
enum dp_status write_plan_rows(struct call *call, const struct write_request *request, struct write_plan *plan,
                               struct arena *planned, struct write_batch *out);
/* Makes row number `position` of a bulk write, in the call's arena. write_plan_rows() has succeeded. */
enum dp_status write_plan_one(struct call *call, const struct write_request *request, struct write_plan *plan,
                              size_t position, struct index_write_row *out);

/* Gives the rows of a batch the vectors of its texts: vectors[i] is the vector of texts[i]. */
enum dp_status write_take_vectors(struct call *call, struct write_batch *batch, const float *const *vectors);

#endif
