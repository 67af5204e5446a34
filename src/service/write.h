/* service/write.h: a write to a namespace, as clients send it: rows to upsert, patch and delete, and what must hold. */
#ifndef SERVICE_WRITE_H
#define SERVICE_WRITE_H

#include "index/index.h"

enum { WRITE_ATTRIBUTES_MAX = 1024 }; /* maximum different attributes in one request */

/* A value as the client wrote it: raw JSON. The schema decides what it may be. */
struct write_value {
    const uint8_t *raw;
    uint32_t len;
    uint32_t attribute; /* its position in the request's attributes */
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
    const float *vector; /* float[dim], finite; NULL: none */
    uint32_t dim;
    uint32_t value_count;
    size_t first_value; /* position of its values in the request's values */
};

struct write_request {
    struct span namespace;
    const struct write_row *rows;
    size_t row_count;
    const struct write_value *values;
    const struct span *attributes; /* names of attributes, without "id" and "vector"; each occurs once */
    size_t attribute_count;
    /* Filters over the stored row, as JSON; empty: none. */
    struct span upsert_condition, patch_condition, delete_condition;
    struct span schema; /* {attribute: type or configuration}; empty: none */
    bool has_metric;
    enum index_metric metric;
    enum { CREATE_FOR_ROWS, CREATE_ALWAYS, CREATE_NEVER } create;
    bool disable_backpressure;
};

#endif
