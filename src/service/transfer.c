/* transfer.c: writes a namespace as lines, and makes a namespace of such lines. */
#include "service/transfer.h"

#include <inttypes.h>

#include "os/gate.h"
#include "service/attach.h"
#include "service/service_impl.h"
#include "service/transfer_line.h"

enum {
    WRITE_BYTES = 1 << 20, /* an export writes pieces of this size */
    ROW_ARENA_MAX = 1 << 30,
    TELL_ROWS = 256
};

static void tell_progress(const struct transfer_progress *progress, const struct transfer_summary *s)
{
    if (progress && progress->tell && s->rows % TELL_ROWS == 0)
        progress->tell(progress->context, s->rows, s->bytes);
}

/* ---- export -------------------------------------------------------------------------------------------- */

struct export_stream {
    struct span namespace;
    const struct transfer_sink *sink;
    const struct transfer_progress *progress;
    struct transfer_summary *summary;
    const struct schema *schema;
    uint32_t dim;
    struct buffer lines;
    struct arena scratch; /* for one row */
};

static enum dp_status write_lines(struct call *call, struct export_stream *e)
{
    struct span bytes = buffer_span(&e->lines);
    enum dp_status status = buffer_check(&e->lines, "an export", &call->error);
    if (status == DP_OK && bytes.len)
        status = e->sink->write(e->sink->context, bytes, &call->error);
    e->summary->bytes += bytes.len;
    buffer_clear(&e->lines);
    return status;
}

static enum dp_status export_head(struct call *call, void *context, const struct index_transfer_head *head)
{
    struct export_stream *e = context;
    e->schema = head->schema;
    e->dim = head->vectors.dim;
    e->summary->faiss_file = arena_copy(call->arena, head->external.url);
    if (!e->summary->faiss_file.data)
        return call_nomem(call, "an export");
    transfer_print_head(e->namespace, head, &e->lines);
    return buffer_check(&e->lines, "an export", &call->error);
}

static enum dp_status export_row(struct call *call, void *context, const struct index_transfer_row *row)
{
    struct export_stream *e = context;
    arena_reset(&e->scratch);
    enum dp_status status = transfer_print_row(e->schema, e->dim, row, &e->scratch, &e->lines, &call->error);
    e->summary->rows++;
    if (status == DP_OK && e->lines.len >= WRITE_BYTES)
        status = write_lines(call, e);
    tell_progress(e->progress, e->summary);
    return status;
}

enum dp_status service_export(struct call *call, struct service *s, struct span namespace,
                              const struct transfer_sink *sink, const struct transfer_progress *progress,
                              struct transfer_summary *summary)
{
    struct export_stream e = {.namespace = namespace, .sink = sink, .progress = progress, .summary = summary};
    const struct index_export_sink rows = {export_head, export_row, &e};
    struct reader_slot *slot;
    *summary = (struct transfer_summary){.rows = 0};
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = readers_borrow(call, &s->readers, s->store, GATE_READ, namespace, &slot);
    if (status)
        return status;
    arena_init(&e.scratch, ROW_ARENA_MAX);
    buffer_init(&e.lines, WRITE_BYTES + (size_t)TRANSFER_LINE_MAX);
    status = index_export(call, slot->reader, &rows);
    if (status == DP_OK)
        status = write_lines(call, &e);
    readers_give_back(&s->readers, slot, status == DP_NOT_FOUND);
    buffer_deinit(&e.lines);
    arena_deinit(&e.scratch);
    return status;
}

/* ---- import -------------------------------------------------------------------------------------------- */

struct import_stream {
    struct call *call;
    struct service *service;
    struct line_reader *in;
    const struct transfer_progress *progress;
    struct transfer_summary *summary;
    struct transfer_head head;
    struct arena scratch; /* for one row */
    struct buffer document;
    struct index_loader *loader;
};

static enum dp_status at_line(struct import_stream *i, enum dp_status status)
{
    if (status == DP_INVALID || status == DP_UNSUPPORTED || status == DP_TOO_LARGE)
        dp_error_prefix(&i->call->error, "line %" PRIu64, i->in->number);
    return status;
}

/* Reads the next line. *more is false at the end of the stream. */
static enum dp_status next_line(struct import_stream *i, struct span *line, bool *more)
{
    struct dp_error error = {.status = DP_OK};
    *more = line_reader_next(i->in, line, &error);
    if (*more)
        i->summary->bytes += line->len + 1;
    if (error.status == DP_OK)
        return DP_OK;
    i->call->error = error;
    return at_line(i, error.status);
}

static enum dp_status import_head(struct import_stream *i, struct span namespace)
{
    struct call *call = i->call;
    struct span line;
    bool more;
    enum dp_status status = next_line(i, &line, &more);
    if (status == DP_OK && !more)
        status = call_fail(call, DP_INVALID, "the file is empty");
    if (status)
        return status;
    struct span kept = arena_copy(call->arena, line);
    if (!kept.data)
        return call_nomem(call, "the head of an export");
    status = transfer_parse_head(kept, call->arena, &i->head, &call->error);
    if (status == DP_OK && i->head.external.url.len)
        status = attach_check_url(call, i->head.external.url);
    if (status)
        return at_line(i, status);
    i->summary->faiss_file = i->head.external.url;
    const struct index_transfer_head head = {
        .vectors = i->head.vectors, .external = i->head.external, .schema = &i->head.schema};
    return index_import_begin(call, i->service->store, namespace, &head, i->service->team, &i->loader);
}

static enum dp_status import_line(struct import_stream *i, struct span line)
{
    struct index_transfer_row row;
    arena_reset(&i->scratch);
    enum dp_status status = transfer_parse_row(line, &i->head, &i->scratch, &i->document, &row, &i->call->error);
    if (status == DP_OK)
        status = index_import_row(i->call, i->loader, &row);
    i->summary->rows += status == DP_OK;
    return at_line(i, status);
}

static enum dp_status import_rows(struct import_stream *i)
{
    struct span line;
    bool more = true;
    enum dp_status status = DP_OK;
    while (more && status == DP_OK) {
        status = next_line(i, &line, &more);
        if (status == DP_OK && more && span_trim(line, " \t").len)
            status = import_line(i, line);
        tell_progress(i->progress, i->summary);
    }
    if (status == DP_OK && i->head.has_rows && i->head.rows != i->summary->rows)
        status = call_fail(i->call, DP_INVALID,
                           "the file has %" PRIu64 " rows, but its head says %" PRIu64
                           ": it was cut or edited (a head without \"rows\" lets it pass)",
                           i->summary->rows, i->head.rows);
    return status;
}

enum dp_status service_import(struct call *call, struct service *s, struct span namespace, struct line_reader *in,
                              const struct transfer_progress *progress, struct transfer_summary *summary)
{
    struct import_stream i = {.call = call, .service = s, .in = in, .progress = progress, .summary = summary};
    *summary = (struct transfer_summary){.rows = 0};
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = index_check_name(namespace, &call->error);
    if (status == DP_OK)
        status = gate_enter(call, GATE_WRITE, namespace);
    if (status)
        return status;
    arena_init(&i.scratch, ROW_ARENA_MAX);
    buffer_init(&i.document, 2 * (size_t)INDEX_DOCUMENT_MAX);
    status = import_head(&i, namespace);
    if (status == DP_OK)
        status = import_rows(&i);
    if (status == DP_OK) {
        struct index_loader *loader = i.loader;
        i.loader = NULL; /* the commit frees it, even on failure */
        status = index_import_commit(call, loader, &summary->load);
    }
    index_load_abort(i.loader);
    buffer_deinit(&i.document);
    arena_deinit(&i.scratch);
    return status;
}
