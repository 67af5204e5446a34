/* service/ingest_batch.h: reads, embeds and loads some hundred rows together. Private to ingest.
 *
 * A batch belongs to one stage at a time, so to one thread (os/pipeline.h). When an error stops a stage, the
 * batch keeps the error behind the rows that precede it. So the load reports the first error in the stream,
 * whichever thread is faster.
 */
#ifndef SERVICE_INGEST_BATCH_H
#define SERVICE_INGEST_BATCH_H

#include "service/ingest.h"
#include "service/ingest_row.h"
#include "service/service_impl.h"

/* The windows of a row's text. */
struct row_windows {
    struct tokens *windows;
    size_t count;
};

struct ingest_batch {
    struct arena arena;          /* lines, rows, windows and vectors */
    struct ingest_row *rows;     /* [room] */
    struct row_windows *windows; /* [room] */
    size_t room, count;
    size_t total;           /* number of windows of all rows */
    const float **vectors;  /* [count]: for each row float[windows][dim] */
    struct dp_error error;  /* error of the row that follows the last one; status DP_OK: none */
    uint64_t bytes, tokens; /* bytes read, tokens embedded */
    int64_t embed_ns;
    uint64_t long_texts;
};

/* Properties that all rows share and the first row decides. The reading stage writes them before it passes on
 * the first batch. */
struct ingest_kind {
    bool known;
    bool own_vectors; /* rows bring their vectors */
    size_t dim;
};

/* State of the reading stage. */
struct ingest_reader {
    struct call *call;
    const struct service *service;
    const struct served_model *model; /* NULL: rows must bring their vectors */
    struct line_reader *in;
    struct ingest_kind *kind;
    struct buffer scratch;
    bool ended; /* the stage has read the last batch */
};

/* Allocates room for `rows` rows; false when out of memory. */
bool ingest_batch_init(struct ingest_batch *b, size_t rows);
void ingest_batch_deinit(struct ingest_batch *b);

/* Reads, parses and cuts up to b->room rows. */
void ingest_batch_read(struct ingest_reader *r, struct ingest_batch *b);
/* Computes the vectors of rows that bring none. A failure drops all rows of the batch and becomes its error. */
void ingest_batch_embed(struct call *call, const struct served_model *model, const struct ingest_kind *kind,
                        struct ingest_batch *b);
/* Adds the rows to the load, and counts them in the summary. Then fails with the batch's error, if it has one. */
enum dp_status ingest_batch_load(struct call *call, struct index_loader *loader, const struct ingest_batch *b,
                                 struct ingest_summary *summary);

/* Puts "line N: " before the call's error. */
enum dp_status ingest_at_line(struct call *call, uint64_t line);

#endif
