/* fold/export.c: gives all rows of a namespace as they are at one moment.
 *
 * The view of that moment says which rows of the segments count, and has the rows of the log. Other processes may
 * fold, merge and write meanwhile. The segments that they replace stay until a collector removes them, at least
 * for the collector's grace.
 */
#include "index/fold/row_scan.h"
#include "index/id.h"
#include "index/query/live.h"
#include "index/query/reader.h"
#include "index/transfer.h"

/* The state of one index_export(). */
struct export_run {
    const struct index_export_sink *sink;
    struct live_rows live;
};

static enum dp_status give_row(struct call *call, const struct export_run *e, struct span key,
                               struct index_transfer_row *row)
{
    char uuid[UUID_TEXT_LEN];
    if (!id_decode(key, uuid, &row->id))
        return call_fail(call, DP_CORRUPT, "a row has a malformed id");
    enum dp_status status = e->sink->row(call, e->sink->context, row);
    return status == DP_OK ? call_check(call) : status;
}

static enum dp_status give_scanned(struct call *call, void *context, const struct scanned_row *scanned)
{
    const struct export_run *e = context;
    if (!live_rows_have(&e->live, scanned->segment, scanned->row))
        return DP_OK;
    struct index_transfer_row row = {
        .vectors = scanned->vectors, .windows = scanned->windows, .document = scanned->document};
    return give_row(call, e, scanned->key, &row);
}

static enum dp_status give_segments(struct call *call, const struct view *view, struct export_run *e)
{
    const struct manifest *m = &view->base->manifest;
    const struct index_reader *reader = view->reader;
    struct row_scan scan;
    enum dp_status status =
        row_scan_open(call, reader->store, reader->name, m, m->segments, m->segment_count, &scan);
    scan.round_bytes = reader->round_bytes;
    if (status == DP_OK)
        status = row_scan_run(call, &scan, give_scanned, e);
    row_scan_deinit(&scan);
    return status;
}

static enum dp_status give_tail(struct call *call, struct export_run *e)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < e->live.tail_count && status == DP_OK; i++) {
        const struct wal_record *record = e->live.tail[i];
        struct index_transfer_row row = {
            .vectors = record->vectors, .windows = record->windows, .document = record->document};
        status = give_row(call, e, record->key, &row);
    }
    return status;
}

static enum dp_status export_view(struct call *call, struct view *view, const struct index_export_sink *sink)
{
    struct export_run e = {.sink = sink};
    const struct manifest *m = &view->base->manifest;
    enum dp_status status = live_rows_take_all(call, view, &e.live);
    const struct index_transfer_head head = {.vectors = m->vectors,
                                             .external = m->external,
                                             .schema = &m->schema,
                                             .rows = e.live.rows,
                                             .read_only = m->read_only};
    if (status == DP_OK)
        status = sink->begin(call, sink->context, &head);
    if (status == DP_OK)
        status = give_segments(call, view, &e);
    if (status == DP_OK)
        status = give_tail(call, &e);
    if (e.live.view)
        live_rows_deinit(&e.live);
    return status;
}

enum dp_status index_export(struct call *call, struct index_reader *reader, const struct index_export_sink *sink)
{
    struct view *before = reader_view(reader), *view = NULL;
    enum dp_status status = view_refresh(call, reader, before, &view);
    view_release(before);
    if (status)
        return status;
    status = export_view(call, view, sink);
    view_release(view);
    if (status != DP_STALE)
        return status;
    dp_error_prefix(&call->error, "an object of the namespace went away during the export: export it again");
    return call_restatus(call, DP_CONFLICT);
}
