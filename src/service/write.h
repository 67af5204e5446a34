/* service/write.h: a write to a namespace, as clients send it: rows to upsert, patch and delete, with their
 * conditions. */
#ifndef SERVICE_WRITE_H
#define SERVICE_WRITE_H

#include "service/service.h"

enum {
    WRITE_ATTRIBUTES_MAX = 1024, /* maximum different attributes in one request */
    WRITE_KEY_TEXT_MAX = 255     /* maximum bytes of an idempotency key */
};

/* A value as the client wrote it: raw JSON. The schema decides what it may be. */
struct write_value {
    const uint8_t *raw;
    uint32_t len;
    uint32_t attribute; /* position of the attribute in the request's attributes */
};

static inline struct span write_value_span(const struct write_value *value)
{
    return span_of(value->raw, value->len);
}

/* WRITE_PATCH: values replace those of the row, and null clears. WRITE_DELETE: the row has an id only. */
enum write_kind { WRITE_UPSERT, WRITE_PATCH, WRITE_DELETE };

struct write_row {
    enum write_kind kind;
    struct index_id id;  /* a UUID is a string until the schema is known */
    const float *vector; /* float[dim], finite; NULL: none, or it is only in raw_vector */
    uint32_t dim;
    /* The vector as the client wrote it, if the request has too many vectors for memory: write_request.read_vector
     * parses it when the row is made. Empty: `vector` has it, or the row has no vector. */
    struct span raw_vector;
    uint32_t value_count;
    size_t first_value; /* position of its values in the request's values */
};

struct write_request {
    struct span namespace;
    const struct write_row *rows;
    size_t row_count;
    /* Parses the row's raw_vector, and sets its `vector` (in the call's arena) and `dim`. NULL: no row has a
     * raw_vector. */
    enum dp_status (*read_vector)(struct call *call, struct write_row *row);
    const struct write_value *values;
    const struct span *attributes; /* names of attributes, without "id" and "vector"; each occurs once */
    size_t attribute_count;
    /* Filters over the stored row, as JSON; empty: none. */
    struct span upsert_condition, patch_condition, delete_condition;
    /* Steps before the rows, in this order: delete the rows that match `delete_filter`; patch the rows that match
     * `patch_filter`. If more rows match than one write may change, a partial step changes only that many, and any
     * other step fails. */
    struct span delete_filter, patch_filter;
    struct write_row patch; /* the patch of the second step: kind WRITE_PATCH, no id */
    bool delete_partial, patch_partial;
    /* A write with this key counts once in 24 hours. The key has 1 to WRITE_KEY_TEXT_MAX bytes; empty: no key.
     * request_hash: a hash of what the client sent. */
    struct span key;
    uint64_t request_hash;
    /* The response must have the ids of the rows that the two steps changed. */
    bool wants_ids;
    struct span schema; /* {attribute: type or configuration}; empty: none */
    bool has_metric;
    enum index_metric metric;
    enum { CREATE_FOR_ROWS, CREATE_ALWAYS, CREATE_NEVER } create;
    bool disable_backpressure;
};

struct write_response {
    struct index_write_result rows; /* which rows were written */
    uint64_t embedded;              /* texts that were embedded */
    int64_t total_ns;               /* duration of service_write */
};

/* Call this before the body of a write is parsed. A write with a large body may wait for others (large_writes.h).
 * DP_OVERLOADED: too many wait. After success, call service_end_write with *large when the write is over. */
enum dp_status service_begin_write(struct call *call, struct service *service, size_t body_bytes, bool *large);
void service_end_write(struct service *service, bool large);

/* Writes rows, and creates a missing namespace if the request may. On DP_OK the rows are durable, and every later
 * strong query sees all of them. Texts of attributes with "embed" are embedded first; the call's gate counts them.
 *
 *   DP_NOT_FOUND    no such namespace, and the request does not create it
 *   DP_INVALID      the rows, the schema or a condition do not fit the namespace; the sentence names the row
 *   DP_UNSUPPORTED  the request needs something that this version, or this server without a model, lacks
 *   DP_TOO_LARGE    more than one log entry can hold. (A request that only upserts rows, without a key, without a condition
 *                   and without texts to embed, becomes a load instead)
 *   DP_OVERLOADED   too many rows wait to be indexed; the client tries again later
 *   DP_CONFLICT     others delete the namespace again and again. With rows.ended: somebody deleted it after the
 *                   write was sent. The client tries again later
 *   DP_DENIED       the namespace is read-only, or the gate refuses it
 *   others          as index_write() */
enum dp_status service_write(struct call *call, struct service *service, const struct write_request *request,
                             struct write_response *response);

/* ---- namespaces ----------------------------------------------------------------------------------------- */

/* Deletes a namespace with all rows. Its name is free at once. DP_NOT_FOUND: there is none. */
enum dp_status service_delete_namespace(struct call *call, struct service *service, struct span namespace);
/* Makes a namespace read-only, or writable again. */
enum dp_status service_set_read_only(struct call *call, struct service *service, struct span namespace,
                                     bool read_only);

#endif
