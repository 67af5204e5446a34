/* query_score.c: the first round of a query: which rows may be the answer.
 *
 * In each segment the nprobe lists nearest to the query are read, verified and scanned; deleted rows are
 * masked before they can take a place. A row with several windows may be found several times: its best window
 * counts, and where duplicates have pushed out other rows, the lists (which are in memory) are scanned again
 * with more room.
 */
#include "index/query.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "os/clock.h"

enum {
    OVERSAMPLE = 2,      /* candidates for each answer … */
    OVERSAMPLE_MORE = 10 /* … and some more */
};
static const double NPROBE_ROOTS = 4.5;

uint32_t query_default_nprobe(uint32_t nlist)
{
    /* The share of lists that must be read falls as lists get more: 4.5 square roots. */
    double nprobe = ceil(NPROBE_ROOTS * sqrt((double)nlist));
    return nprobe < (double)nlist ? (uint32_t)nprobe : nlist;
}

/* The probed lists of one segment, and their requests. */
struct probe {
    uint32_t *lists;
    size_t count;
    struct store_read_req *reqs; /* [count]; an empty list has no key */
};

static enum dp_status plan(struct query_run *run, struct probe *probes, size_t *total)
{
    const struct snapshot *s = run->snapshot;
    *total = 0;
    for (size_t i = 0; i < s->manifest.segment_count; i++) {
        const struct segment *segment = s->segments[i].segment;
        uint32_t nlist = segment->hot.nlist;
        uint32_t nprobe = run->query->nprobe ? run->query->nprobe : query_default_nprobe(nlist);
        nprobe = nprobe < nlist ? nprobe : nlist;
        probes[i].lists = arena_array(run->call->arena, nprobe, sizeof *probes[i].lists);
        if (!probes[i].lists)
            return call_nomem(run->call, "a query");
        enum dp_status status = faiss_ivf_probe(segment->ivf, run->vector, nprobe, probes[i].lists,
                                                &probes[i].count, &run->call->error);
        if (status)
            return status;
        size_t kept = 0;
        for (size_t p = 0; p < probes[i].count; p++) {
            if (faiss_ivf_list_range(segment->ivf, probes[i].lists[p]).len)
                probes[i].lists[kept++] = probes[i].lists[p];
        }
        probes[i].count = kept;
        *total += kept;
    }
    return DP_OK;
}

static void ask(const struct query_run *run, struct probe *probes, struct store_read_req *reqs)
{
    const struct snapshot *s = run->snapshot;
    for (size_t i = 0; i < s->manifest.segment_count; i++) {
        const struct segment *segment = s->segments[i].segment;
        probes[i].reqs = reqs;
        for (size_t p = 0; p < probes[i].count; p++) {
            struct faiss_list_range range = faiss_ivf_list_range(segment->ivf, probes[i].lists[p]);
            *reqs++ = (struct store_read_req){.key = object_key_span(&segment->ivf_key),
                                              .offset = range.offset,
                                              .len = (int64_t)range.len,
                                              .pinned = &segment->ivf_version};
        }
    }
}

/* Verifies the lists of a segment. */
static enum dp_status check_lists(struct query_run *run, size_t i, const struct probe *probe)
{
    const struct segment *segment = run->snapshot->segments[i].segment;
    for (size_t p = 0; p < probe->count; p++) {
        enum dp_status status =
            snapshot_check_read(&probe->reqs[p], segment->hot.ivf_size, &run->gone, &run->call->error);
        if (status)
            return status;
        if (checksum64(probe->reqs[p].bytes.span) != segment->hot.list_checksums[probe->lists[p]])
            return call_fail(run->call, DP_CORRUPT, "%s: the checksum of list %" PRIu32 " does not fit",
                             segment->ivf_key.text, probe->lists[p]);
    }
    return DP_OK;
}

static int by_row(const void *a, const void *b)
{
    const struct topk_hit *left = a, *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

/* Keeps each row's best score; the order is by row afterwards. */
static size_t merge_windows(struct topk_hit *hits, size_t count, bool larger_is_better)
{
    size_t kept = 0;
    qsort(hits, count, sizeof *hits, by_row);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || hits[kept - 1].id != hits[i].id)
            hits[kept++] = hits[i];
        else if (larger_is_better ? hits[i].score > hits[kept - 1].score : hits[i].score < hits[kept - 1].score)
            hits[kept - 1].score = hits[i].score;
    }
    return kept;
}

static int larger_first(const void *a, const void *b)
{
    const struct topk_hit *left = a, *right = b;
    return left->score != right->score ? (left->score > right->score ? -1 : 1) : by_row(a, b);
}

static int smaller_first(const void *a, const void *b)
{
    const struct topk_hit *left = a, *right = b;
    return left->score != right->score ? (left->score < right->score ? -1 : 1) : by_row(a, b);
}

static enum dp_status scan(struct query_run *run, const struct segment *segment, const struct probe *probe,
                           const struct id_filter *filter, struct topk *top)
{
    struct ivf_query query;
    enum dp_status status =
        ivf_query_init(&query, faiss_ivf_info(segment->ivf).codec, run->vector, &run->call->error);
    if (status)
        return status;
    for (size_t p = 0; p < probe->count && status == DP_OK; p++) {
        status = faiss_ivf_scan(segment->ivf, &query, probe->lists[p], probe->reqs[p].bytes.span, filter, top,
                                &run->call->error);
        if (status == DP_OK)
            status = call_check(run->call);
    }
    ivf_query_deinit(&query);
    return status;
}

/* Adds the best `want` rows of one segment to the candidates. */
static enum dp_status score_segment(struct query_run *run, size_t i, const struct probe *probe, size_t want)
{
    const struct snapshot_segment *s = &run->snapshot->segments[i];
    const struct segment *segment = s->segment;
    struct id_filter filter = {0};
    uint64_t entries = 0;
    if (s->deleted)
        filter.skip = id_set_of_bits(span_of(s->deleted->set.bits, (size_t)((s->deleted->set.rows + 7) / 8)));
    for (size_t p = 0; p < probe->count; p++)
        entries += faiss_ivf_list_range(segment->ivf, probe->lists[p]).count;
    bool larger = run->snapshot->manifest.metric == INDEX_COSINE;
    for (size_t room = want;; room *= 2) {
        struct topk top;
        if (room > entries)
            room = (size_t)entries;
        enum dp_status status = topk_init(&top, room, larger, &run->call->error);
        if (status == DP_OK)
            status = scan(run, segment, probe, s->deleted ? &filter : NULL, &top);
        size_t count = status ? 0 : top.count;
        if (count && segment->hot.window_count) {
            bool full = count == room;
            count = merge_windows(top.hits, count, larger);
            if (count < want && full && room < entries) { /* windows took rows' places */
                topk_deinit(&top);
                continue;
            }
            qsort(top.hits, count, sizeof *top.hits, larger ? larger_first : smaller_first);
        }
        count = count < want ? count : want;
        for (size_t h = 0; h < count && status == DP_OK; h++) {
            if (top.hits[h].id < 0 || (uint64_t)top.hits[h].id >= segment->hot.rows)
                status = call_fail(run->call, DP_CORRUPT, "%s: a list holds row %" PRId64 " of %" PRIu64,
                                   segment->ivf_key.text, top.hits[h].id, segment->hot.rows);
            else
                run->candidates[run->candidate_count++] =
                    (struct candidate){(uint32_t)i, (uint32_t)top.hits[h].id, top.hits[h].score};
        }
        topk_deinit(&top);
        return status;
    }
}

static int ascending(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;
    if (left->score != right->score)
        return left->score < right->score ? -1 : 1;
    if (left->segment != right->segment)
        return left->segment < right->segment ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

static int descending(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;
    return left->score != right->score ? (left->score > right->score ? -1 : 1) : ascending(a, b);
}

/* Judges the two requests that tell whether the snapshot is current. */
static enum dp_status check_current(struct query_run *run, struct store_read_req *manifest,
                                    const struct store_read_req *wal)
{
    if (manifest->status == DP_NOT_FOUND)
        return call_fail(run->call, DP_NOT_FOUND, "%s: the namespace is gone", run->snapshot->manifest_key.text);
    if (manifest->status) {
        run->call->error = manifest->error;
        return manifest->status;
    }
    if (!manifest->unchanged) {
        run->newer = *manifest;
        *manifest = (struct store_read_req){0};
        run->changed = true;
        return DP_OK;
    }
    run->confirmed = true;
    return snapshot_check_wal(wal, &run->call->error);
}

static enum dp_status score_all(struct query_run *run, const struct probe *probes)
{
    size_t segments = run->snapshot->manifest.segment_count;
    size_t want = (size_t)run->query->top_k * OVERSAMPLE + OVERSAMPLE_MORE, room;
    if (!mem_mul_ok(want, segments + 1, &room))
        return call_nomem(run->call, "a query");
    /* No segment gives more rows than were read of it. */
    uint64_t entries = 1;
    for (size_t i = 0; i < segments; i++) {
        for (size_t p = 0; p < probes[i].count; p++)
            entries += faiss_ivf_list_range(run->snapshot->segments[i].segment->ivf, probes[i].lists[p]).count;
    }
    room = room < entries ? room : (size_t)entries;
    run->candidates = arena_array(run->call->arena, room, sizeof *run->candidates);
    run->candidate_count = 0;
    if (!run->candidates)
        return call_nomem(run->call, "a query");
    for (size_t i = 0; i < segments; i++) {
        enum dp_status status = check_lists(run, i, &probes[i]);
        if (status == DP_OK && probes[i].count)
            status = score_segment(run, i, &probes[i], want);
        if (status)
            return status;
    }
    bool larger = run->snapshot->manifest.metric == INDEX_COSINE;
    qsort(run->candidates, run->candidate_count, sizeof *run->candidates, larger ? descending : ascending);
    if (run->candidate_count > want)
        run->candidate_count = want;
    return DP_OK;
}

enum dp_status query_score(struct query_run *run)
{
    struct call *call = run->call;
    const struct snapshot *s = run->snapshot;
    struct probe *probes = arena_calloc(call->arena, s->manifest.segment_count + 1, sizeof *probes);
    size_t total;
    if (!probes)
        return call_nomem(call, "a query");
    enum dp_status status = plan(run, probes, &total);
    if (status)
        return status;
    size_t count = total;
    struct store_read_req *reqs = arena_calloc(call->arena, total + 2, sizeof *reqs);
    if (!reqs)
        return call_nomem(call, "a query");
    ask(run, probes, reqs);
    if (run->check_current) {
        reqs[count++] = (struct store_read_req){.key = object_key_span(&s->manifest_key),
                                                .len = STORE_TO_END,
                                                .pinned = &s->version,
                                                .if_changed = true};
        reqs[count++] = (struct store_read_req){.key = object_key_span(&s->wal_key), .len = 1};
    }
    run->seen.sent_ns = os_now_ns();
    if (count)
        store_read(call, run->store, reqs, count); /* each request is judged by itself */
    run->seen.answered_ns = os_now_ns();
    dp_error_clear(&call->error);
    if ((status = call_check(call)) == DP_OK && run->check_current)
        status = check_current(run, &reqs[total], &reqs[total + 1]);
    int64_t begun = os_now_ns();
    if (status == DP_OK && !run->changed)
        status = score_all(run, probes);
    call->cost.scan_ns += (uint64_t)(os_now_ns() - begun);
    store_read_release(reqs, count);
    return status;
}
