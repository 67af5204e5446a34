/* load/by_log.c: the two steps of a load into a namespace with a log. */
#include "index/load/by_log.h"

#include <stdlib.h>

#include "index/load/decide.h"
#include "index/query/reader.h"
#include "index/upkeep.h"

enum { GIVE_UP_MS = 5000, GIVE_UP_ARENA_MAX = 64 * 1024 * 1024 };

/* ---- pending --------------------------------------------------------------------------------------------- */

enum dp_status by_log_add_pending(struct call *call, struct index_loader *l, const struct row_change *change,
                                  struct ulid *load, struct manifest *m)
{
    size_t count = m->pending_count;
    enum dp_status status = row_change_check_horizon(call, change, m);
    if (status == DP_OK && count == MANIFEST_PENDING_MAX)
        status = call_fail(call, DP_OVERLOADED, "namespace \"%.*s\" has %d pending loads: load again later",
                           SPAN_FMT(l->target.name), MANIFEST_PENDING_MAX);
    if (status == DP_OK && load->text[0] == 0)
        status = ulid_new(l->clock, &m->horizon, manifest_store_ms(m, l->clock), load, &call->error);
    if (status == DP_OK)
        status = schema_join(&m->schema, &m->arena, &l->schema, &call->error);
    if (status)
        return status;
    struct manifest_pending *pending = arena_array(&m->arena, count + 1, sizeof *pending);
    struct manifest_segment *segments = arena_array(&m->arena, l->segment_count, sizeof *segments);
    if (!pending || !segments)
        return call_nomem(call, "a manifest");
    if (count)
        memcpy(pending, m->pending, count * sizeof *pending);
    memcpy(segments, l->segments, l->segment_count * sizeof *segments);
    qsort(segments, l->segment_count, sizeof *segments, manifest_compare_segments);
    pending[count] = (struct manifest_pending){*load, manifest_store_ms(m, l->clock), segments, l->segment_count};
    m->pending = pending;
    m->pending_count = count + 1;
    if (m->vectors.dim == 0 && l->target.vectors.dim)
        m->vectors = l->target.vectors;
    return DP_OK;
}

/* ---- attaching ------------------------------------------------------------------------------------------- */

static enum dp_status open_log(struct call *call, const struct index_loader *l, struct index_reader **out)
{
    enum dp_status status = reader_open(call, l->store, l->target.name, 0, l->clock, out);
    if (status == DP_NOT_FOUND)
        return call_fail(
            call, DP_CONFLICT,
            "namespace \"%.*s\" was removed while rows were loaded into it; none of them was kept: load again",
            SPAN_FMT(l->target.name));
    return status;
}

/* Makes the load void, if that works within GIVE_UP_MS. If not, a fold does it when the load has been pending for
 * INDEX_LAG_MS. */
static void give_up(const struct index_loader *l, struct index_reader *reader, const struct ulid *load)
{
    struct arena arena;
    struct call own; /* the caller's call may have ended */
    struct load_decision decision = {
        .reader = reader, .incarnation = l->target.incarnation, .load = *load, .kind = WAL_VOID};
    arena_init(&arena, GIVE_UP_ARENA_MAX);
    call_init(&own, &arena);
    call_limit_ms(&own, GIVE_UP_MS);
    if (load_decide(&own, &decision) == DP_OK)
        view_release(decision.view);
    arena_deinit(&arena);
}

/* Folds the log, so that the load's segments are listed. Others do it later if that fails. */
static void fold_load(struct call *call, const struct index_loader *l, struct index_reader *reader)
{
    const struct index_fold_options options = {.team = l->team};
    struct index_fold_result result;
    index_fold(call, reader, &options, &result);
    dp_error_clear(&call->error);
}

enum dp_status by_log_attach(struct call *call, struct index_loader *l, const struct ulid *load,
                             struct index_load_summary *summary)
{
    struct index_reader *reader = NULL;
    struct load_decision decision = {.incarnation = l->target.incarnation,
                                     .load = *load,
                                     .kind = WAL_ATTACH,
                                     .segments = l->segments,
                                     .segment_count = l->segment_count};
    enum dp_status status = open_log(call, l, &reader);
    if (status)
        return status;
    decision.reader = reader;
    status = load_decide(call, &decision);
    if (status == DP_OK && decision.fate != LOAD_ATTACHED)
        status =
            call_fail(call, DP_CONFLICT,
                      "the load took so long that it was given up, or a repair of the namespace took rows out of "
                      "it; none of its rows was kept: load again");
    else if (status == DP_OK) {
        uint64_t rows = view_counts(decision.view).rows;
        summary->total_rows = rows;
        summary->replaced =
            decision.rows_before + l->key_count > rows ? decision.rows_before + l->key_count - rows : 0;
        if (!l->leaves_fold)
            fold_load(call, l, reader);
    } else if (status != DP_UNKNOWN && status != DP_NOT_DURABLE && !decision.ended)
        give_up(l, reader, load);
    view_release(decision.view);
    index_close(reader);
    return status;
}
