/* api/turbopuffer_rows.h: the rows of a turbopuffer v2 write, given as rows, as columns or as ids. Private to the
 * dialect.
 */
#ifndef API_TURBOPUFFER_ROWS_H
#define API_TURBOPUFFER_ROWS_H

#include "api/turbopuffer_body.h"
#include "service/write.h"

/* Limits of one request, so that a large body needs little memory. */
enum {
    TURBOPUFFER_ROWS_MAX = 128 * 1024,
    TURBOPUFFER_VALUES_MAX = 1024 * 1024,
    TURBOPUFFER_VECTORS_MAX = 16 * 1024 * 1024, /* bytes of float32 vectors in memory; no log entry holds more */
    TURBOPUFFER_VECTORS_RAW = 1024 * 1024       /* after this many bytes, rows keep their vectors as text */
};

/* Collects the rows of one request. Everything lies in the call's arena. */
struct rows_parse {
    struct body_parse *body;
    struct json_reader *r; /* of the body */
    struct call *call;
    struct write_row *rows;
    struct write_value *values;
    struct span *attributes;
    /* [attribute]: mark of the last row with this attribute: 1 + the row's number; SIZE_MAX: the patch by a filter. */
    size_t *last_rows;
    float *floats; /* the vector that is being read */
    size_t row_count, row_capacity, value_count, value_capacity;
    size_t attribute_count, attribute_capacity, last_capacity, float_capacity;
    size_t vector_bytes; /* of all vectors so far */
    /* Expected position of the next attribute: most rows have the same keys in the same order. */
    size_t next_attribute;
};

void rows_parse_init(struct rows_parse *p, struct body_parse *body);
/* Each reads one value of the request. After a failure the reader has failed. */
void rows_read_rows(struct rows_parse *p, const char *field, enum write_kind kind);
void rows_read_columns(struct rows_parse *p, const char *field, enum write_kind kind);
void rows_read_deletes(struct rows_parse *p);
/* Reads an object of attributes, without "id" and "vector", into *out. */
void rows_read_patch(struct rows_parse *p, const char *field, struct write_row *out);
/* Moves the rows to the request. */
void rows_parse_finish(const struct rows_parse *p, struct write_request *out);

#endif
