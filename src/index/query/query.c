/* query.c: checks a query, runs it over a view, and repeats it when the view's manifest was old.
 *
 * The first round of a strong query reads, beside the lists, the next log entry and, if it changed, the manifest.
 * When nothing changed, two rounds answer the query. When there is a next log entry, the query reads and applies
 * entries until there is no further one; if the view had none, it applies them in its last round (index/query/news.h). When the manifest changed, the reader opens the new view and the query runs
 * over that; it needs no further check. When a listed object is missing, the reader reads the manifest again, up to
 * READER_RELOADS times.
 *
 * A strong query that does not suit a view is not refused at once, because the view may be old: the view is brought
 * up to date first, and the query is checked again.
 */
#include "index/query/query.h"
#include "index/query/settle.h"

#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "vector/distance.h"

enum dp_status query_check(struct call *call, const struct index_query *q, const struct manifest *m)
{
    if (q->top_k == 0 || q->top_k > INDEX_TOP_K_MAX)
        return call_fail(call, DP_INVALID, "top_k must be 1 to %d, not %" PRIu32, INDEX_TOP_K_MAX, q->top_k);
    if (!q->vector)
        return DP_OK;
    if (m->vectors.dim == 0)
        return call_fail(call, DP_INVALID, "the namespace has no vectors yet, so nothing can be near the query's");
    if (q->dim != m->vectors.dim)
        return call_fail(
            call, DP_INVALID,
            "the query's vector has %" PRIu32 " dimensions; the namespace's have %" PRIu32 "%s%s%.*s%s", q->dim,
            m->vectors.dim,
            q->fingerprint.len || m->vectors.model.len ? ": it holds vectors of another model" : "",
            m->vectors.model.len ? ", \"" : "", SPAN_FMT(m->vectors.model), m->vectors.model.len ? "\"" : "");
    if (q->fingerprint.len && m->vectors.fingerprint.len && !span_equal(q->fingerprint, m->vectors.fingerprint))
        return call_fail(
            call, DP_INVALID,
            "the namespace was embedded by model \"%.*s\" (fingerprint %.16s); the query was embedded by "
            "another (fingerprint %.*s)",
            SPAN_FMT(m->vectors.model), (const char *)m->vectors.fingerprint.data,
            (int)(q->fingerprint.len > 16 ? 16 : q->fingerprint.len), (const char *)q->fingerprint.data);
    return query_check_vector(call, q, m->vectors.metric);
}

enum dp_status query_check_vector(struct call *call, const struct index_query *q, enum index_metric metric)
{
    for (uint32_t i = 0; i < q->dim; i++) {
        if (!isfinite(q->vector[i]))
            return call_fail(call, DP_INVALID, "component %" PRIu32 " of the query's vector is not finite", i);
        if (metric != INDEX_COSINE && fabsf(q->vector[i]) > INDEX_COMPONENT_MAX)
            return call_fail(call, DP_INVALID, "component %" PRIu32 " of the query's vector is more than %g", i,
                             (double)INDEX_COMPONENT_MAX);
    }
    return DP_OK;
}

enum dp_status query_prepare(struct query_run *run, enum index_metric metric)
{
    size_t dim = run->query->dim;
    float *copy = arena_array(run->call->arena, dim, sizeof *copy);
    if (!copy)
        return call_nomem(run->call, "a query");
    memcpy(copy, run->query->vector, dim * sizeof *copy);
    run->vector = copy;
    if (metric == INDEX_COSINE && !vector_normalize(copy, dim))
        return call_fail(
            run->call, DP_INVALID,
            "the query's vector has length zero (or too large a length), so it has no direction, which cosine "
            "distance needs");
    return DP_OK;
}

/* Runs the query over run->view; sets run->outcome. */
static enum dp_status run_over(struct query_run *run, struct index_answer *out)
{
    enum dp_status status = query_check(run->call, run->query, &run->snapshot->manifest);
    if (status == DP_OK)
        status = query_prepare(run, run->snapshot->manifest.vectors.metric);
    if (status == DP_INVALID && run->check_current)
        run->outcome = QUERY_REFUSED;
    run->may_put_off = true;
    if (status == DP_OK)
        status = query_score(run);
    if (status == DP_OK && run->outcome == QUERY_ANSWERED)
        status = query_finish(run, out);
    if (run->news.count && !run->news.applied)
        run->confirmed = false; /* the view lacks them */
    log_news_release(&run->news);
    return status;
}

/* ---- the first round ------------------------------------------------------------------------------------- */

enum dp_status query_ask_view(struct query_run *run, struct round *round, struct view_question *out)
{
    *out = (struct view_question){.settling = NULL};
    return view_settle_ask(round, run->view, &out->settling);
}

/* Masks the rows that the id blocks of the round name. If entries came meanwhile, looks up their ids, too. Another thread
 * may settle the view: its round is beside this one, so the wait for it is none. */
static enum dp_status settle(struct query_run *run, struct view_question *question)
{
    const struct call_cost before = run->call->cost;
    enum dp_status status = question->settling ? view_settle_take(question->settling) : DP_OK;
    question->settling = NULL;
    if (status == DP_OK)
        status = view_settle(run->call, run->view);
    if (run->call->cost.requests == before.requests)
        run->call->cost.rounds = before.rounds;
    return status;
}

/* Reads the answer to the question whether the view is current. */
static enum dp_status judge_view(struct query_run *run, struct round *round, struct view_question *question)
{
    bool changed;
    question->current.seen = run->seen;
    enum dp_status status =
        current_judge(round, &question->current, &changed, &run->newer, run->may_put_off ? &run->news : NULL);
    if (status == DP_OK && changed)
        run->outcome = QUERY_MANIFEST_CHANGED;
    run->confirmed = status == DP_OK && !changed;
    return status;
}

enum dp_status query_read_round(struct query_run *run, struct round *round, struct view_question *question,
                                bool check)
{
    enum dp_status status = check ? current_ask(round, run->view, &question->current) : DP_OK;
    run->seen.sent_ns = check ? reader_now_ns(run->view->reader) : run->seen.sent_ns;
    if (status == DP_OK)
        status = round_read(round);
    run->seen.answered_ns = check ? reader_now_ns(run->view->reader) : run->seen.answered_ns;
    if (status == DP_OK)
        status = settle(run, question);
    if (status == DP_OK && check)
        status = judge_view(run, round, question);
    view_settle_drop(question->settling);
    question->settling = NULL;
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

/* Opens the next view after a run that gave no answer. It is current: its manifest was read during this query. */
static enum dp_status find_next(struct query_run *run, struct index_reader *reader, struct view **out)
{
    enum dp_status status = DP_STALE;
    dp_error_clear(&run->call->error);
    if (run->outcome == QUERY_REFUSED)
        return view_refresh(run->call, reader, run->view, out);
    if (run->outcome == QUERY_MANIFEST_CHANGED)
        status = current_adopt(run->call, run->view, &run->newer, run->seen, out);
    if (status == DP_STALE)
        status = reader_reload(run->call, reader, out);
    return status;
}

enum dp_status query_over_views(struct call *call, struct index_reader *reader, const struct index_query *query,
                                query_run_fn *fn, void *context, struct index_answer *out)
{
    struct view *view = reader_view(reader), *next = NULL;
    enum dp_status status = DP_OK;
    *out = (struct index_answer){0};
    bool moved = false;
    int reloads = 0;
    for (;; reloads++) {
        struct query_run run = {.call = call,
                                .store = reader->store,
                                .query = query,
                                .view = view,
                                .snapshot = view->base,
                                .round_bytes = reader->round_bytes,
                                .check_current = !query->eventual && reloads == 0,
                                .context = context};
        status = fn(&run, out);
        if (status == DP_STALE)
            run.outcome = QUERY_OBJECT_GONE;
        if (run.confirmed)
            reader_confirm(reader, view, run.seen);
        if (run.outcome == QUERY_VIEW_MOVED && status == DP_OK) {
            reloads--; /* run again over the view as it is now */
            continue;
        }
        if (run.outcome == QUERY_ANSWERED || reloads == READER_RELOADS)
            break;
        status = find_next(&run, reader, &next);
        if (status)
            break;
        reader_install(reader, view_retain(next));
        moved = reader_moved(view, next);
        view_release(view);
        view = next;
    }
    if (status == DP_STALE)
        status = reader_fail_stale(call, moved);
    if (status == DP_OK) {
        dp_error_clear(&call->error);
        out->metric = view->base->manifest.vectors.metric;
        struct view_counts counts = view_counts(view);
        out->approx_rows = counts.rows;
        out->exhaustive_rows = counts.tail_rows;
        out->from_cache = reloads == 0;
    }
    view_release(view);
    return status;
}

enum dp_status index_query(struct call *call, struct index_reader *reader, const struct index_query *query,
                           struct index_answer *out)
{
    return query_over_views(call, reader, query, run_over, NULL, out);
}
