/* filtered.c: compares the bytes that two ways to answer a query with a filter would read.
 *
 * If few rows match, it is cheapest to read their vectors. Most of these lie apart and need a separate range each. So
 * each vector counts RANGES_SPARSE_GAP bytes more: a store merges ranges over such gaps, because a request costs
 * about as much as so many bytes. If many rows match, it is cheaper to read their codes, which lie list by list, and
 * then the vectors of a few candidates.
 */
#include "index/query/filtered.h"

#include "base/alloc.h"
#include "index/query/probe.h"
#include "index/query/reader.h"
#include "index/query/settle.h"
#include "os/lanes.h"
#include "store/ranges.h"

/* Returns what it costs to read `count` of `all` vectors: at most all. */
static uint64_t vectors_cost(const struct query_run *run, uint64_t count, uint64_t all)
{
    const uint64_t len = segment_vector_len(run->query->dim);
    const uint64_t apart = count * (len + RANGES_SPARSE_GAP);
    return apart < all * len ? apart : all * len;
}

enum dp_status filtered_plan(struct query_run *run, bool exact, struct index_plan *out)
{
    const struct filter_bits *allowed = run->allowed;
    const size_t segments = run->snapshot->manifest.segment_count;
    struct probe_numbers numbers;
    uint64_t vectors = 0;
    bool first = false;
    struct probe *probes = arena_calloc(run->call->arena, segments + 1, sizeof *probes);
    *out = (struct index_plan){.rule = INDEX_RULE_EXACT, .matches = allowed->total};
    if (!probes)
        return call_nomem(run->call, "a query");
    for (size_t i = 0; i < segments; i++) {
        const struct segment_hot *hot = &run->snapshot->segments[i].segment->hot;
        probes[i].hidden = allowed->matches[i] == 0;
        if (probes[i].hidden)
            continue;
        /* A row with several windows counts as many vectors. */
        uint64_t windows = (hot->vectors + hot->rows - 1) / hot->rows;
        out->exact_bytes += vectors_cost(run, allowed->matches[i] * windows, hot->vectors);
        vectors += hot->vectors;
    }
    if (exact || vectors == 0)
        return DP_OK;
    enum dp_status status = probe_choose(run, probes, &numbers);
    if (status)
        return status;
    for (size_t i = 0; i < segments; i++)
        first = first || probes[i].first;
    out->list_bytes = numbers.bytes + vectors_cost(run, query_want(run->query, first), vectors);
    out->lists = numbers.lists;
    out->all_lists = numbers.all_lists;
    out->listed = numbers.matches;
    if (out->list_bytes < out->exact_bytes) {
        out->rule = INDEX_RULE_LISTS;
        run->probes = probes;
    }
    return DP_OK;
}

/* ---- beside the question whether the view is current --------------------------------------------------------- */

/* What the parts of filtered_refresh() share. */
struct refreshing {
    struct index_reader *reader;
    struct view *view, *next;
    const struct index_scan *scan;
    struct filtered_rows *rows;
};

/* Finds the rows that match. A failure counts only if the view is current, and then comes again; a lack of memory
 * counts at once. */
static enum dp_status find_rows(struct call *call, struct refreshing *r)
{
    struct filtered_rows *rows = r->rows;
    enum dp_status status = view_settle(call, r->view);
    rows->at = view_position(r->view);
    if (status == DP_OK)
        status = live_rows_take_all(call, r->view, &rows->live);
    if (status == DP_OK)
        status = filter_bits_make(call, &rows->live, r->scan, &rows->bits);
    rows->found = status == DP_OK;
    if (status == DP_NOMEM)
        return status;
    dp_error_clear(&call->error);
    return DP_OK;
}

/* The filter runs on the caller's thread, because it may ask the caller's call whether it has time. */
static enum dp_status refresh_part(struct call *call, void *ctx, size_t part)
{
    struct refreshing *r = ctx;
    if (part == 1)
        return view_refresh(call, r->reader, r->view, &r->next);
    return find_rows(call, r);
}

enum dp_status filtered_refresh(struct call *call, struct index_reader *reader, struct view *view,
                                const struct index_scan *scan, struct view **next, struct filtered_rows *out)
{
    struct refreshing r = {.reader = reader, .view = view, .scan = scan, .rows = out};
    *out = (struct filtered_rows){.view = view_retain(view)};
    enum dp_status status = lanes_run(call, 2, refresh_part, &r);
    if (status != DP_OK)
        view_release(r.next);
    *next = status == DP_OK ? r.next : NULL;
    return status;
}

bool filtered_take(struct filtered_rows *rows, struct view *view, struct live_rows *live, struct filter_bits *bits)
{
    if (!rows->found || rows->view != view || view_position(view).last != rows->at.last)
        return false;
    *live = rows->live;
    *bits = rows->bits;
    rows->found = false;
    rows->live = (struct live_rows){.view = NULL};
    rows->bits = (struct filter_bits){.segment_count = 0};
    return true;
}

void filtered_rows_deinit(struct filtered_rows *rows)
{
    filter_bits_deinit(&rows->bits);
    if (rows->live.view)
        live_rows_deinit(&rows->live);
    view_release(rows->view);
    rows->view = NULL;
}
