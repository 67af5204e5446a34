/* service/transfer.h: writes a whole namespace (ids, vectors, attributes, schema) as a JSON-lines stream, and
 * reads it back.
 *
 * The first line is the head, each other line a row:
 *
 *   {"dipper_export": 1, "namespace": "films", "rows": 2, "distance_metric": "cosine_distance", "schema": {…}}
 *   {"id": 7, "vector": "AAAAPwAAAD8=", "title": "Harbour"}
 *
 * docs/guide-namespaces.md describes the fields.
 */
#ifndef SERVICE_TRANSFER_H
#define SERVICE_TRANSFER_H

#include "index/transfer.h"
#include "os/file.h"
#include "service/service.h"

/* A row of 4096 vectors of 16384 numbers has 358 MB of base 64. */
enum { TRANSFER_LINE_MAX = 512 << 20 };

/* Where an export writes its bytes. */
struct transfer_sink {
    enum dp_status (*write)(void *context, struct span bytes, struct dp_error *error);
    void *context;
};

/* The watcher of a transfer. */
struct transfer_progress {
    /* Called now and then, with the rows and the bytes of the stream so far. May be NULL. */
    void (*tell)(void *context, uint64_t rows, uint64_t bytes);
    void *context;
};

struct transfer_summary {
    uint64_t rows;
    uint64_t bytes;                 /* of the stream */
    struct span faiss_file;         /* URL of the file that keeps the vectors, in the call's arena; empty: none */
    struct index_load_summary load; /* of an import */
};

/* Writes the namespace as it is at one moment. DP_NOT_FOUND; or as index_export(). After a failure the stream is
 * incomplete. */
enum dp_status service_export(struct call *call, struct service *service, struct span namespace,
                              const struct transfer_sink *sink, const struct transfer_progress *progress,
                              struct transfer_summary *summary);
/* Makes a new namespace with all rows of the stream, or none after a failure. DP_INVALID: a line is wrong ("line
 * 7: …"), rows are missing, or the namespace exists. */
enum dp_status service_import(struct call *call, struct service *service, struct span namespace,
                              struct line_reader *in, const struct transfer_progress *progress,
                              struct transfer_summary *summary);

#endif
