/* service/ingest.h: loads the rows of a JSON-lines stream into a namespace.
 *
 * A line is {"id": 7 or "seven", "text": "…", …attributes} or {"id": …, "vector": [numbers], …attributes}. The
 * text stays an attribute of the row; the vector does not. The load commits the whole stream or nothing: the
 * first bad line ends it, and the error has the line's number.
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
    uint64_t bytes; /* read from the stream so far */
    uint64_t tokens;
    double rows_per_s; /* over the whole load */
    bool committing;   /* all rows are read; segments are being written */
};

struct ingest_options {
    struct span namespace;
    enum index_metric metric;
    const char *language; /* of a new attribute "text": full_text_options(); NULL: FULL_TEXT_LANGUAGE */
    /* Called after each batch (a fraction of a second), by one thread at a time, which may be another than the
     * caller's. May be NULL. */
    void (*progress)(void *ctx, const struct ingest_progress *progress);
    void *progress_ctx;
    /* Called at most once, by another thread, when the load has failed. Must end a waiting read of the stream.
     * NULL: the failure waits until the read returns. */
    void (*wake)(void *ctx);
    void *wake_ctx;
    size_t batch_rows; /* rows of a batch; 0: the size of the team decides */
};

struct ingest_summary {
    struct index_load_summary load;
    uint64_t rows;
    uint64_t bytes;      /* bytes read from the stream */
    uint64_t long_texts; /* texts over the model's limit, split into windows */
    uint64_t windows;    /* windows of all rows; each has its own vector */
    uint64_t tokens;     /* tokens embedded */
    int64_t total_ns, embed_ns, commit_ns;
};

/* Reads `in` to its end on the calling thread, while two more threads embed and load. Then commits. Fails with
 * the first error in the stream's order. DP_INVALID: a line is wrong ("line 7: …"), or the stream has no line;
 * DP_CANCELLED: the call was cancelled. Both leave the namespace unchanged. */
enum dp_status service_ingest(struct call *call, struct service *service, struct line_reader *in,
                              const struct ingest_options *options, struct ingest_summary *summary);

#endif
