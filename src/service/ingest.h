/* service/ingest.h: rows of a JSON-lines stream into a namespace.
 *
 * A line is {"id": 7 or "seven", "text": "…", …attributes} or {"id": …, "vector": [numbers], …attributes}. The
 * text stays an attribute of the row; the vector does not. All of a stream is committed, or none: the first
 * line that cannot be used ends the load with its number in the message.
 */
#ifndef SERVICE_INGEST_H
#define SERVICE_INGEST_H

#include "os/file.h"
#include "service/service.h"

enum {
    INGEST_LINE_MAX = 16 << 20,
    INGEST_ATTRIBUTE_NAME_MAX = 128,
    INGEST_WINDOW_OVERLAP = 32, /* tokens that neighbouring windows of a long text share */
};

struct ingest_progress {
    uint64_t rows;  /* added so far */
    uint64_t bytes; /* of the stream, read so far */
    uint64_t tokens;
    double rows_per_s; /* over the whole load */
    bool committing;   /* all rows are read; segments are being written */
};

struct ingest_options {
    struct span namespace;
    enum index_metric metric;
    /* Called after each batch (a fraction of a second), by a thread of the load, never by two at once; NULL: nobody
     * listens. */
    void (*progress)(void *ctx, const struct ingest_progress *progress);
    void *progress_ctx;
    /* Called by another thread than the caller's, at most once, when the load has failed: ends a read of the stream
     * that waits for more. NULL: the failure is answered when the read returns. */
    void (*wake)(void *ctx);
    void *wake_ctx;
    size_t batch_rows; /* 0: chosen */
};

struct ingest_summary {
    struct index_load_summary load;
    uint64_t rows;
    uint64_t bytes;      /* read */
    uint64_t long_texts; /* texts over the model's limit, split into windows */
    uint64_t windows;    /* vectors of all rows */
    uint64_t tokens;     /* embedded */
    int64_t total_ns, embed_ns, commit_ns;
};

/* Reads `in` to its end, on the calling thread, and commits; two more threads embed and load meanwhile. What is wrong
 * first in the stream is what is answered. DP_INVALID: a line is wrong, "line 7: …"; DP_CANCELLED: the call was; the
 * namespace is then as it was. An empty stream is DP_INVALID. */
enum dp_status service_ingest(struct call *call, struct service *service, struct line_reader *in,
                              const struct ingest_options *options, struct ingest_summary *summary);

#endif
