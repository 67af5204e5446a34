/* attach.c: loads rows without vectors, notes the FAISS file that has their vectors, and counts which ids fit. */
#include "service/attach.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/url.h"
#include "os/gate.h"
#include "service/full_text.h"
#include "service/ingest.h"
#include "service/ingest_batch.h"
#include "service/ingest_row.h"
#include "service/service_impl.h"

enum {
    ROW_ARENA_MAX = 64 << 20, /* for one line */
    COUNTED_TOGETHER = 8192   /* ids that are looked up in one round */
};

/* ---- the URL ---------------------------------------------------------------------------------------------- */

enum dp_status attach_check_url(struct call *call, struct span text)
{
    struct url url;
    if (!url_split(text, &url))
        return call_fail(call, DP_INVALID,
                         "the namespace needs the whole URL of the FAISS file: file:///…, s3://…, gs://…, az://…, "
                         "https://…");
    if (url.userinfo.data || url.query.data || url.fragment.data)
        return call_fail(
            call, DP_INVALID,
            "the URL of the FAISS file is stored in the namespace, so it must have no user, password, "
            "query or fragment: give credentials to the programs that search");
    if (text.len > INDEX_URL_MAX)
        return call_fail(call, DP_INVALID, "the URL of the FAISS file has %zu bytes, more than %d", text.len,
                         INDEX_URL_MAX);
    return DP_OK;
}

/* ---- the rows --------------------------------------------------------------------------------------------- */

/* The load of the rows of a file. */
struct attach_load {
    struct call *call;
    struct index_loader *loader;
    struct arena arena; /* of one line */
    struct buffer scratch;
    uint64_t rows;
};

static enum dp_status load_line(struct attach_load *l, struct span line, uint64_t number)
{
    struct ingest_row row = {.line = number};
    arena_reset(&l->arena);
    enum dp_status status = ingest_row_parse(line, &l->arena, &l->scratch, &row, &l->call->error);
    if (status == DP_OK && row.vector)
        status = call_fail(l->call, DP_INVALID, "\"vector\" is given, but the FAISS file has the vectors");
    if (status == DP_OK && (row.id.is_string || row.id.number > INT64_MAX))
        status = call_fail(l->call, DP_INVALID, "\"id\" must be a whole number below 2^63, as ids in FAISS files");
    if (status == DP_OK)
        status = index_load_row(l->call, l->loader, row.id, NULL, 0, row.attributes);
    l->rows += status == DP_OK;
    return status == DP_INVALID || status == DP_TOO_LARGE ? ingest_at_line(l->call, number) : status;
}

static enum dp_status load_lines(struct attach_load *l, struct line_reader *lines)
{
    enum dp_status status = DP_OK;
    struct span line;
    while (status == DP_OK && line_reader_next(lines, &line, &l->call->error)) {
        if (span_trim(line, " \t").len)
            status = load_line(l, line, lines->number);
    }
    status = status == DP_OK ? l->call->error.status : status;
    if (status == DP_OK && l->rows == 0)
        status = call_fail(l->call, DP_INVALID, "there are no rows to attach");
    return status;
}

static enum dp_status load_rows(struct call *call, struct service *s, const struct attach_request *request,
                                struct attach_summary *out)
{
    const struct index_vectors none = {.dim = 0};
    struct index_load_summary loaded;
    struct attach_load l = {.call = call};
    char options[FULL_TEXT_OPTIONS_ROOM];
    enum dp_status status =
        service_full_text_options(call, s->store, request->namespace, request->language, options);
    if (status == DP_OK)
        status = index_load_begin_write(call, s->store, request->namespace, &(struct index_life){0}, &none,
                                        s->team, &l.loader);
    if (status != DP_OK)
        return status;
    arena_init(&l.arena, ROW_ARENA_MAX);
    buffer_init(&l.scratch, 2 * (size_t)INGEST_LINE_MAX);
    index_load_declare(l.loader, span_str(FULL_TEXT_ATTRIBUTE), span_str(options));
    status = load_lines(&l, request->rows);
    if (status == DP_OK)
        status = index_load_commit(call, l.loader, &loaded);
    else
        index_load_abort(l.loader);
    out->loaded = l.rows;
    buffer_deinit(&l.scratch);
    arena_deinit(&l.arena);
    return status;
}

/* ---- the count -------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Counts which of the ids[count], in ascending order and perhaps several times, have rows. */
static enum dp_status count_joined(struct call *call, struct index_reader *reader, const int64_t *ids,
                                   size_t count, struct attach_summary *out)
{
    const struct index_query none = {.top_k = 1};
    uint64_t *batch = mem_calloc(COUNTED_TOGETHER, sizeof *batch); /* different ids */
    size_t *times = mem_calloc(COUNTED_TOGETHER, sizeof *times);   /* how many vectors have them */
    bool *found = mem_calloc(COUNTED_TOGETHER, sizeof *found);
    enum dp_status status = batch && times && found ? DP_OK : call_nomem(call, "the ids of a FAISS file");
    for (size_t i = 0; i < count && status == DP_OK;) {
        size_t n = 0;
        while (i < count && n < COUNTED_TOGETHER) {
            const size_t begin = i;
            while (i < count && ids[i] == ids[begin])
                i++;
            if (ids[begin] < 0) { /* no row can have such an id */
                out->vectors_without_row += i - begin;
                continue;
            }
            batch[n] = (uint64_t)ids[begin];
            times[n++] = i - begin;
        }
        status = index_rows(call, reader, batch, n, &none, found, NULL);
        for (size_t at = 0; at < n && status == DP_OK; at++) {
            out->joined += found[at];
            out->vectors_without_row += found[at] ? 0 : times[at];
        }
    }
    mem_free(batch);
    mem_free(times);
    mem_free(found);
    return status;
}

static enum dp_status count_ids(struct call *call, struct service *s, const struct attach_request *request,
                                struct attach_summary *out)
{
    const struct faiss_ivf_info info = faiss_index_info(request->index);
    struct index_reader *reader = NULL;
    struct index_stats stats;
    int64_t *ids = mem_calloc((size_t)info.listed + 1, sizeof *ids);
    enum dp_status status =
        ids ? faiss_index_ids(call, request->index, ids) : call_nomem(call, "the ids of a file");
    if (status == DP_OK && info.listed)
        qsort(ids, (size_t)info.listed, sizeof *ids, by_number);
    if (status == DP_OK)
        status = index_open(call, s->store, request->namespace, &reader);
    if (status == DP_OK)
        status = index_stats(call, reader, &stats);
    if (status == DP_OK) {
        out->vectors = info.listed;
        out->rows = stats.rows;
        status = count_joined(call, reader, ids, (size_t)info.listed, out);
    }
    index_close(reader);
    mem_free(ids);
    return status;
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

/* Notes the file in the namespace. */
static enum dp_status note_file(struct call *call, struct service *s, const struct attach_request *request)
{
    const struct faiss_ivf_info info = faiss_index_info(request->index);
    const struct index_external external = {.url = request->url,
                                            .version = faiss_index_version(request->index),
                                            .size = info.file_bytes,
                                            .vectors = info.listed,
                                            .dim = (uint32_t)info.dim_in,
                                            .metric = info.codec->metric == VECTOR_L2 ? INDEX_EUCLIDEAN_SQUARED
                                                                                      : INDEX_COSINE};
    const struct index_alteration change = {.external = &external};
    return index_alter(call, s->store, request->namespace, &change);
}

enum dp_status service_attach(struct call *call, struct service *s, const struct attach_request *request,
                              struct attach_summary *out)
{
    const struct index_vectors none = {.dim = 0};
    *out = (struct attach_summary){.rows = 0};
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = index_check_name(request->namespace, &call->error);
    if (status == DP_OK)
        status = gate_enter(call, GATE_WRITE, request->namespace);
    if (status == DP_OK)
        status = attach_check_url(call, request->url);
    if (status == DP_OK && request->rows)
        status = index_create(call, s->store, request->namespace, &none, NULL, NULL);
    if (status == DP_OK) /* first: it refuses a namespace that has vectors */
        status = note_file(call, s, request);
    if (status == DP_OK && request->rows)
        status = load_rows(call, s, request, out);
    return status == DP_OK ? count_ids(call, s, request, out) : status;
}
