/* service/transfer_line.h: the lines of an exported namespace: makes them and parses them. Private to transfer. */
#ifndef SERVICE_TRANSFER_LINE_H
#define SERVICE_TRANSFER_LINE_H

#include "index/schema.h"
#include "index/transfer.h"

enum { TRANSFER_VERSION = 1 };

/* The first line. */
struct transfer_head {
    struct span namespace;          /* the exported one */
    struct index_vectors vectors;   /* dim 0: no row has a vector */
    struct index_external external; /* the FAISS file that has the vectors; url empty: there is none */
    struct schema schema;
    bool has_rows; /* whether the head counts the rows */
    uint64_t rows;
};

/* Appends the head as a line. */
void transfer_print_head(struct span namespace, const struct index_transfer_head *head, struct buffer *out);
/* Parses the first line. *head points into `arena` and the line. DP_INVALID says what is wrong with it. */
enum dp_status transfer_parse_head(struct span line, struct arena *arena, struct transfer_head *head,
                                   struct dp_error *error);

/* Appends a row as a line, without the attributes that the schema has dropped. Takes temporary memory from
 * `scratch`. */
enum dp_status transfer_print_row(const struct schema *schema, uint32_t dim, const struct index_transfer_row *row,
                                  struct arena *scratch, struct buffer *out, struct dp_error *error);
/* Parses a row. *row points into `arena`, which must hold the line too, and into `document`. DP_INVALID says what
 * is wrong with the line. */
enum dp_status transfer_parse_row(struct span line, const struct transfer_head *head, struct arena *arena,
                                  struct buffer *document, struct index_transfer_row *row, struct dp_error *error);

#endif
