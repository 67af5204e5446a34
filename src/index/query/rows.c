/* query/rows.c: finds rows by their integer ids, for the face of the room. */
#include "base/alloc.h"
#include "index/id.h"
#include "index/query/lookup.h"
#include "index/query/query.h"

/* One index_rows(). */
struct rows_run {
    struct index_reader *reader;
    const uint64_t *ids;
    size_t count;
    const struct index_query *what;
    bool *found;
    struct index_hit *hits; /* [count], or NULL */
    struct id_key *keys;    /* [count] */
    struct span *spans;     /* [count] */
    struct found_row *rows; /* [count] */
};

static enum dp_status fill_hits(struct call *call, const struct rows_run *run, const struct schema *schema)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < run->count && status == DP_OK; i++) {
        run->hits[i] = (struct index_hit){.id = {.number = run->ids[i]}};
        if (run->found[i])
            status = query_project(call, run->what, schema, run->rows[i].document, &run->hits[i].attributes);
    }
    return status;
}

static enum dp_status look_up(struct call *call, struct view *view, void *context)
{
    struct rows_run *run = context;
    struct view_position at;
    enum dp_status status = index_lookup(call, view, run->spans, run->count,
                                         run->hits ? LOOKUP_DOCUMENTS : LOOKUP_PLACES, run->rows, &at);
    for (size_t i = 0; i < run->count && status == DP_OK; i++)
        run->found[i] = run->rows[i].where != ROW_NONE;
    return status == DP_OK && run->hits ? fill_hits(call, run, &view->base->manifest.schema) : status;
}

enum dp_status index_rows(struct call *call, struct index_reader *reader, const uint64_t *ids, size_t count,
                          const struct index_query *what, bool *found, struct index_hit *hits)
{
    struct rows_run run = {.reader = reader,
                           .ids = ids,
                           .count = count,
                           .what = what,
                           .found = found,
                           .hits = hits,
                           .keys = mem_calloc(count + 1, sizeof *run.keys),
                           .spans = mem_calloc(count + 1, sizeof *run.spans),
                           .rows = mem_calloc(count + 1, sizeof *run.rows)};
    enum dp_status status = run.keys && run.spans && run.rows ? DP_OK : call_nomem(call, "rows");
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        status = id_encode((struct index_id){.number = ids[i]}, &run.keys[i], &call->error);
        run.spans[i] = id_key_span(&run.keys[i]);
    }
    struct view *view = reader_view(reader);
    if (status == DP_OK)
        status = reader_run(call, reader, &view, look_up, &run);
    view_release(view);
    mem_free(run.rows);
    mem_free(run.spans);
    mem_free(run.keys);
    return status;
}

uint32_t index_default_nprobe(uint32_t nlist)
{
    return query_default_nprobe(nlist);
}
