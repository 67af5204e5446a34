/* service/ingest_batch.h: some hundred rows on their way into a namespace: read, then embedded, then loaded. Private
 * to ingest.
 *
 * A batch belongs to one stage at a time, and so to one thread (os/pipeline.h). What stops a stage is kept in the
 * batch behind the rows that came before it, so that the first thing wrong in the stream is what is reported, however
 * the threads run.
 */
#ifndef SERVICE_INGEST_BATCH_H
#define SERVICE_INGEST_BATCH_H

#include "service/ingest.h"
#include "service/ingest_row.h"
#include "service/service_impl.h"

/* A row's text, cut. */
struct row_windows {
    struct tokens *windows;
    size_t count;
};

struct ingest_batch {
    struct arena arena;          /* lines, rows, windows and vectors */
    struct ingest_row *rows;     /* [room] */
    struct row_windows *windows; /* [room] */
    size_t room, count;
    size_t total;           /* windows of all rows */
    const float **vectors;  /* [count]: of each row, float[its windows][dim] */
    struct dp_error error;  /* what is wrong behind the rows; status DP_OK: nothing */
    uint64_t bytes, tokens; /* read, embedded */
    int64_t embed_ns;
    uint64_t long_texts;
};

/* What the first row tells of all. Written by the reading stage before it passes the first batch. */
struct ingest_kind {
    bool known;
    bool own_vectors; /* rows bring their vectors */
    size_t dim;
};

/* The reading stage's. */
struct ingest_reader {
    struct call *call;
    const struct service *service;
    const struct served_model *model; /* NULL: rows must bring their vectors */
    struct line_reader *in;
    struct ingest_kind *kind;
    struct buffer scratch;
    bool ended; /* nothing is behind the batch that was read last */
};

/* Makes room for `rows` rows; false when out of memory. */
bool ingest_batch_init(struct ingest_batch *b, size_t rows);
void ingest_batch_deinit(struct ingest_batch *b);

/* Reads, parses and cuts up to b->room rows. */
void ingest_batch_read(struct ingest_reader *r, struct ingest_batch *b);
/* Computes the vectors of rows that have none. A failure takes the place of all rows. */
void ingest_batch_embed(struct call *call, const struct served_model *model, const struct ingest_kind *kind,
                        struct ingest_batch *b);
/* Adds the rows to the load, then fails with what is wrong behind them. Counts into the summary. */
enum dp_status ingest_batch_load(struct call *call, struct index_loader *loader, const struct ingest_batch *b,
                                 struct ingest_summary *summary);

/* Puts "line N: " before the call's error. */
enum dp_status ingest_at_line(struct call *call, uint64_t line);

#endif
