/* service/ingest_row.h: parses one line of an ingested stream. Private to ingest. */
#ifndef SERVICE_INGEST_ROW_H
#define SERVICE_INGEST_ROW_H

#include "base/buffer.h"
#include "index/index.h"

enum { INGEST_ATTRIBUTES_MAX = 256 };

struct ingest_row {
    uint64_t line; /* line number, from 1 */
    struct index_id id;
    struct span text;    /* data NULL: the row has none */
    const float *vector; /* NULL: the row has none */
    size_t dim;
    struct span attributes; /* a JSON object of all fields except id and vector */
};

/* Parses a line, which may lack both text and vector. Spans point into the arena, which must hold the line too.
 * Overwrites `scratch`. DP_INVALID says what is wrong with the line. */
enum dp_status ingest_row_parse(struct span line, struct arena *arena, struct buffer *scratch,
                                struct ingest_row *row, struct dp_error *error);

#endif
