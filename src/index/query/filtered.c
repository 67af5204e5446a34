/* filtered.c: compares the bytes of both rules.
 *
 * Few matches: it is cheapest to read their vectors. Each is a range of its own, unless they lie close together, so each counts
 * RANGES_SPARSE_GAP bytes more: a store merges ranges over such gaps, because a request is worth about as many bytes. Many
 * matches: their codes lie list by list, and few of them, the candidates, need their vectors.
 */
#include "index/query/filtered.h"

#include "base/alloc.h"
#include "index/query/filter_bits.h"
#include "index/query/probe.h"
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
