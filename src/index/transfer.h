/* index/transfer.h: gives all rows of a namespace, and makes a namespace of such rows.
 *
 * Ids, vectors and documents pass unchanged, with the schema and the kind of vectors. So a copy answers as its source
 * does.
 */
#ifndef INDEX_TRANSFER_H
#define INDEX_TRANSFER_H

#include "index/index.h"

/* A row as the namespace keeps it. */
struct index_transfer_row {
    struct index_id id;
    const float *vectors; /* float[windows][dim] */
    uint32_t windows;     /* 0: the row has no vector */
    struct span document; /* a JSON object; it may still have attributes that the schema has dropped */
};

/* What holds for all rows. */
struct index_transfer_head {
    struct index_vectors vectors;   /* dim 0: no row has a vector */
    struct index_external external; /* the FAISS file that has the vectors; url empty: there is none */
    const struct schema *schema;
    uint64_t rows;
    bool read_only;
};

/* Receives the rows of an export. The arguments of the functions are valid until the functions return. A status
 * other than DP_OK ends the export. */
struct index_export_sink {
    enum dp_status (*begin)(struct call *call, void *context, const struct index_transfer_head *head);
    enum dp_status (*row)(struct call *call, void *context, const struct index_transfer_row *row);
    void *context;
};

/* Brings the open namespace up to date, and gives all its rows as they are at that moment: those of segments by segment
 * and row number, then those of the log. Reads in rounds of bounded size, and verifies every checksum. DP_CONFLICT: the
 * export took so long that the collector has removed what other processes replaced meanwhile. */
enum dp_status index_export(struct call *call, struct index_reader *reader, const struct index_export_sink *sink);

/* Begins a load that makes a new namespace as `head` says, whose `rows` do not matter. DP_INVALID: there is a namespace
 * of this name. `team` may be NULL. */
enum dp_status index_import_begin(struct call *call, struct store *store, struct span name,
                                  const struct index_transfer_head *head, struct team *team,
                                  struct index_loader **out);
/* Adds a row, as index_load_row() does; a row may have no vector. DP_INVALID also for an id of another kind than the
 * schema's. After a failure the caller aborts the load (index_load_abort). */
enum dp_status index_import_row(struct call *call, struct index_loader *loader,
                                const struct index_transfer_row *row);
/* Makes the namespace and frees the loader, as index_load_commit() does. DP_CONFLICT: somebody else has made a
 * namespace of this name meanwhile. */
enum dp_status index_import_commit(struct call *call, struct index_loader *loader,
                                   struct index_load_summary *summary);

#endif
