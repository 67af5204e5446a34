/* query/score.c: the first half of a query: finds the candidates.
 *
 * It reads, verifies and scans the lists that probe.c chooses: their codes of one bit, if the segment has such codes
 * and the query does not set nprobe; else those of the .ivf. Codes of one bit say less, so more rows are candidates
 * then. The scan skips rows that are deleted or that the log has replaced. It may find a row with several windows
 * several times; the row's best window counts. When such duplicates took the places of other rows, it scans the
 * lists, which are in memory, again with more room.
 *
 * One round (index/round.h) reads all lists. If they have more bytes than a round may read, several rounds read them.
 * The query keeps the best rows of each round and segment, so the answer does not depend on where rounds end.
 */
#include "index/query/query.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "faiss/probe.h"
#include "index/query/exact.h"
#include "index/query/filter_bits.h"
#include "index/query/probe.h"
#include "os/clock.h"

enum {
    OVERSAMPLE = 2,       /* candidates for each row of the answer */
    OVERSAMPLE_MORE = 10, /* candidates that a query has beyond these */
    /* With codes of one bit: FIRST_FACTOR candidates for each row of the answer, or FIRST_FACTOR_NARROW for vectors
     * of fewer than FIRST_WIDE dimensions, whose estimates have larger errors, and FIRST_MORE beyond these; but no
     * more than OVERSAMPLE and FIRST_MOST. For an answer of FIRST_ROWS rows and fewer as many as for FIRST_ROWS.
     * Rows behind those that are shown have FIRST_FACTOR_BEHIND. */
    FIRST_FACTOR = 6,
    FIRST_FACTOR_NARROW = 8,
    FIRST_FACTOR_BEHIND = 3,
    FIRST_WIDE = 256,
    FIRST_MORE = 20,
    FIRST_MOST = 620,
    FIRST_ROWS = 10,
    ALLOWED_VECTORS = 4 << 20, /* with a filter: maximum bytes of the vectors of the candidates */
    ROOM_FACTOR = 4            /* candidates in memory for each final candidate */
};

/* A place among all probed lists: a segment, and a position in its probe.lists. */
struct probe_place {
    size_t segment, list;
};

/* The state of the first half of a query. */
struct scoring {
    struct query_run *run;
    struct probe *probes; /* [segment_count]: the probed lists that are not empty */
    uint64_t entries;     /* vectors in all probed lists */
    struct round round;
    size_t want, room; /* maximum candidates at the end, and meanwhile */
    size_t attached;   /* loads that were attached when the lists were chosen */
    struct view_question question;
    bool first; /* the query reads codes of one bit */
    /* With run->allowed: how many vectors have estimated scores, and the sum of the estimates' standard deviations. */
    double estimates, errors;
    bool split; /* several rounds read the lists of one segment: a row may be a candidate twice */
};

/* Notes which segments do not count now, because their load is not attached. */
static void note_hidden(struct scoring *sc)
{
    const struct snapshot *s = sc->run->snapshot;
    view_lock(sc->run->view);
    sc->attached = sc->run->view->locked.attached;
    for (size_t i = s->listed_count; i < s->manifest.segment_count; i++)
        sc->probes[i].hidden = view_hides(sc->run->view, i);
    view_unlock(sc->run->view);
}

static enum dp_status plan_probes(struct scoring *sc)
{
    struct query_run *run = sc->run;
    const struct snapshot *s = run->snapshot;
    enum dp_status status = DP_OK;
    sc->probes = run->probes ? run->probes
                             : arena_calloc(run->call->arena, s->manifest.segment_count + 1, sizeof *sc->probes);
    if (!sc->probes)
        return call_nomem(run->call, "a query");
    if (!run->allowed)
        note_hidden(sc);
    if (!run->probes)
        status = probe_choose(run, sc->probes, NULL);
    for (size_t i = 0; i < s->manifest.segment_count && status == DP_OK; i++) {
        const struct probe *probe = &sc->probes[i];
        for (size_t p = 0; p < probe->count; p++)
            sc->entries += faiss_ivf_list_range(s->segments[i].segment->ivf, probe->lists[p]).count;
        sc->first = sc->first || probe->first;
    }
    return status;
}

/* Asks for the lists from *at on until the round is full. Moves *at behind the last one. */
static void ask_lists(struct scoring *sc, struct probe_place *at)
{
    const struct snapshot *s = sc->run->snapshot;
    for (; at->segment < s->manifest.segment_count; *at = (struct probe_place){at->segment + 1, 0}) {
        const struct segment *segment = s->segments[at->segment].segment;
        const struct probe *probe = &sc->probes[at->segment];
        for (; at->list < probe->count; at->list++) {
            const struct store_read_req req = probe_request(segment, probe->first, probe->lists[at->list]);
            if (!round_takes(&sc->round, (uint64_t)req.len, 1))
                return;
            probe->reads[at->list] = round_ask(&sc->round, &req);
        }
    }
}

/* Verifies the sizes and checksums of the lists that a round has read of segment i. */
static enum dp_status check_lists(struct scoring *sc, size_t i, const struct probe *probe)
{
    struct query_run *run = sc->run;
    const struct segment *segment = run->snapshot->segments[i].segment;
    for (size_t p = 0; p < probe->count; p++) {
        const struct store_read_req *list = round_answer(&sc->round, probe->reads[p]);
        uint64_t size = probe->first ? segment->hot.size : segment->hot.ivf_size;
        enum dp_status status = snapshot_check_read(list, size, &run->call->error);
        if (status)
            return status;
        if (probe->first) {
            status = first_codes_check(probe->lists[p], list->bytes.span, &run->call->error);
            if (status)
                return dp_error_prefix(&run->call->error, "%s", segment->dpr_key.text), status;
        } else if (checksum64(list->bytes.span) != segment->hot.list_checksums[probe->lists[p]])
            return call_fail(run->call, DP_CORRUPT, "%s: the checksum of list %" PRIu32 " does not fit",
                             segment->ivf_key.text, probe->lists[p]);
    }
    return DP_OK;
}

static int hits_by_row(const void *a, const void *b)
{
    const struct topk_hit *left = a, *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

/* Keeps one hit for each row, with its best score, sorted by row. Returns how many it kept. */
static size_t merge_windows(struct topk_hit *hits, size_t count, bool larger_is_better)
{
    size_t kept = 0;
    qsort(hits, count, sizeof *hits, hits_by_row);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || hits[kept - 1].id != hits[i].id)
            hits[kept++] = hits[i];
        else if (larger_is_better ? hits[i].score > hits[kept - 1].score : hits[i].score < hits[kept - 1].score)
            hits[kept - 1].score = hits[i].score;
    }
    return kept;
}

static int hits_larger_first(const void *a, const void *b)
{
    const struct topk_hit *left = a, *right = b;
    return left->score != right->score ? (left->score > right->score ? -1 : 1) : hits_by_row(a, b);
}

static int hits_smaller_first(const void *a, const void *b)
{
    const struct topk_hit *left = a, *right = b;
    return left->score != right->score ? (left->score < right->score ? -1 : 1) : hits_by_row(a, b);
}

/* Scans the codes of one bit of the lists of `probe`. */
static enum dp_status scan_first_codes(struct scoring *sc, const struct segment *segment,
                                       const struct probe *probe, const struct id_filter *filter, struct topk *top)
{
    struct call *call = sc->run->call;
    const struct first_codes *codes = segment->first_codes;
    const float *centroids = faiss_ivf_centroids(segment->ivf);
    struct first_query query;
    enum dp_status status = first_query_init(&query, &codes->stage, sc->run->vector, &call->error);
    if (status)
        return status;
    for (size_t p = 0; p < probe->count && status == DP_OK; p++) {
        uint32_t list = probe->lists[p];
        struct span bytes = round_answer(&sc->round, probe->reads[p])->bytes.span;
        status = first_stage_scan(&query, &codes->lists[list], centroids + (size_t)list * codes->stage.dim,
                                  span_of(bytes.data, bytes.len - FORMAT_CHECKSUM_LEN), filter, top, &call->error);
        if (status == DP_OK)
            status = call_check(call);
        if (status == DP_OK && sc->run->allowed) {
            sc->errors += first_stage_errors(&query, &codes->lists[list],
                                             span_of(bytes.data, bytes.len - FORMAT_CHECKSUM_LEN));
            sc->estimates += (double)codes->lists[list].count;
        }
    }
    first_query_deinit(&query);
    return status;
}

static enum dp_status scan_lists(struct scoring *sc, const struct segment *segment, const struct probe *probe,
                                 const struct id_filter *filter, struct topk *top)
{
    struct query_run *run = sc->run;
    struct ivf_query query;
    if (probe->count == 0)
        return DP_OK;
    if (probe->first)
        return scan_first_codes(sc, segment, probe, filter, top);
    enum dp_status status =
        ivf_query_init(&query, faiss_ivf_info(segment->ivf).codec, run->vector, &run->call->error);
    if (status)
        return status;
    for (size_t p = 0; p < probe->count && status == DP_OK; p++) {
        status =
            faiss_ivf_scan(segment->ivf, &query, probe->lists[p],
                           round_answer(&sc->round, probe->reads[p])->bytes.span, filter, top, &run->call->error);
        if (status == DP_OK)
            status = call_check(run->call);
    }
    ivf_query_deinit(&query);
    return status;
}

/* Scans the lists of `probe` in segment i, and adds their best `want` rows to the candidates. The caller holds the
 * view's lock. */
static enum dp_status score_segment(struct scoring *sc, size_t i, const struct probe *probe, size_t want)
{
    struct query_run *run = sc->run;
    const struct segment *segment = run->snapshot->segments[i].segment;
    const struct row_set *mask = run->allowed ? NULL : view_mask(run->view, i);
    struct id_filter filter = {0};
    uint64_t entries = 0;
    if (run->allowed)
        filter = (struct id_filter){.keeps = true, .keep = filter_bits_ids(run->allowed, i, segment->hot.rows)};
    if (mask)
        filter.skip = id_set_of_bits(span_of(mask->bits, (size_t)((mask->rows + 7) / 8)));
    for (size_t p = 0; p < probe->count; p++)
        entries += faiss_ivf_list_range(segment->ivf, probe->lists[p]).count;
    bool larger = run->snapshot->manifest.vectors.metric == INDEX_COSINE;
    for (size_t room = want;; room *= 2) {
        struct topk top;
        if (room > entries)
            room = (size_t)entries;
        enum dp_status status = topk_init(&top, room, larger, &run->call->error);
        if (status == DP_OK)
            status = scan_lists(sc, segment, probe, mask || run->allowed ? &filter : NULL, &top);
        size_t count = status ? 0 : top.count;
        if (count && segment->hot.window_count) {
            bool full = count == room;
            count = merge_windows(top.hits, count, larger);
            if (count < want && full && room < entries) { /* duplicates took the places of rows */
                topk_deinit(&top);
                continue;
            }
            qsort(top.hits, count, sizeof *top.hits, larger ? hits_larger_first : hits_smaller_first);
        }
        count = count < want ? count : want;
        for (size_t h = 0; h < count && status == DP_OK; h++) {
            if (top.hits[h].id < 0 || (uint64_t)top.hits[h].id >= segment->hot.rows)
                status = call_fail(run->call, DP_CORRUPT,
                                   "%s: a list names row %" PRId64 ", but the segment has only %" PRIu64 " rows",
                                   segment->ivf_key.text, top.hits[h].id, segment->hot.rows);
            else
                run->candidates[run->candidate_count++] =
                    (struct candidate){(uint32_t)i, (uint32_t)top.hits[h].id, top.hits[h].score};
        }
        topk_deinit(&top);
        return status;
    }
}

static int candidates_smaller_first(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;
    if (left->score != right->score)
        return left->score < right->score ? -1 : 1;
    if (left->segment != right->segment)
        return left->segment < right->segment ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

static int candidates_larger_first(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;
    return left->score != right->score ? (left->score > right->score ? -1 : 1) : candidates_smaller_first(a, b);
}

/* Compares by segment and row. */
static int compare_places(const struct candidate *left, const struct candidate *right)
{
    if (left->segment != right->segment)
        return left->segment < right->segment ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

static int places_larger_first(const void *a, const void *b)
{
    int order = compare_places(a, b);
    return order ? order : candidates_larger_first(a, b);
}

static int places_smaller_first(const void *a, const void *b)
{
    int order = compare_places(a, b);
    return order ? order : candidates_smaller_first(a, b);
}

/* Sorts the candidates, the best first, and keeps `want` of them. Each round has added its best `want` rows of a
 * segment, so the best rows of all are among the candidates, each with its best score. */
static void choose_candidates(struct scoring *sc)
{
    struct query_run *run = sc->run;
    struct candidate *c = run->candidates;
    bool larger = run->snapshot->manifest.vectors.metric == INDEX_COSINE;
    if (sc->split) {
        size_t kept = 0;
        qsort(c, run->candidate_count, sizeof *c, larger ? places_larger_first : places_smaller_first);
        for (size_t i = 0; i < run->candidate_count; i++) {
            if (kept == 0 || compare_places(&c[kept - 1], &c[i]) != 0)
                c[kept++] = c[i];
        }
        run->candidate_count = kept;
    }
    qsort(c, run->candidate_count, sizeof *c, larger ? candidates_larger_first : candidates_smaller_first);
    if (run->candidate_count > sc->want)
        run->candidate_count = sc->want;
}

size_t query_want(const struct index_query *query, bool first)
{
    const size_t rows = first && query->top_k < FIRST_ROWS ? FIRST_ROWS : query->top_k;
    const size_t factor = query->dim < FIRST_WIDE ? FIRST_FACTOR_NARROW : FIRST_FACTOR;
    const size_t most = rows * OVERSAMPLE + FIRST_MOST;
    size_t shown = query->shown > 0 && query->shown < rows ? query->shown : rows;
    shown = shown < FIRST_ROWS ? FIRST_ROWS : shown;
    const size_t many = shown * factor + (rows - shown) * FIRST_FACTOR_BEHIND + FIRST_MORE;
    return !first ? rows * OVERSAMPLE + OVERSAMPLE_MORE : many < most ? many : most;
}

/* Among the rows that a filter lets pass, the nearest ones may be far from the query, where many have almost the same
 * score. Keeps query_want() candidates, and all others whose estimates lie within ERRORS_KEPT standard deviations of
 * the one at place top_k. The candidates are in order. */
static void trim_candidates(struct scoring *sc)
{
    static const double ERRORS_KEPT = 4.5;
    struct query_run *run = sc->run;
    const struct candidate *c = run->candidates;
    const size_t least = query_want(run->query, sc->first), k = run->query->top_k;
    const double error = sc->estimates > 0 ? sc->errors / sc->estimates : 0;
    if (run->candidate_count <= least || run->candidate_count <= k)
        return;
    size_t kept = least > k ? least : k;
    while (kept < run->candidate_count &&
           fabs((double)c[kept].score - (double)c[k - 1].score) <= ERRORS_KEPT * error)
        kept++;
    run->candidate_count = kept;
}

/* Allocates room for ROOM_FACTOR times the final candidates, or for all vectors of the lists if those are
 * fewer. */
static enum dp_status make_candidate_room(struct scoring *sc)
{
    struct query_run *run = sc->run;
    sc->want = query_want(run->query, sc->first);
    if (run->allowed && sc->first) {
        const size_t most = ALLOWED_VECTORS / segment_vector_len(run->query->dim);
        const size_t usual = run->query->top_k * OVERSAMPLE + FIRST_MOST;
        sc->want = most > usual ? most : usual; /* trim_candidates() drops those that are not needed */
    }
    sc->room = sc->want * ROOM_FACTOR;
    if (sc->room > sc->entries)
        sc->room = (size_t)sc->entries + 1;
    run->candidates = arena_array(run->call->arena, sc->room, sizeof *run->candidates);
    run->candidate_count = 0;
    return run->candidates ? DP_OK : call_nomem(run->call, "a query");
}

/* Verifies and scores the lists of a round, from `begin` up to but not including `end`. */
static enum dp_status score_round(struct scoring *sc, struct probe_place begin, struct probe_place end)
{
    struct query_run *run = sc->run;
    for (size_t i = begin.segment; i < run->snapshot->manifest.segment_count && i <= end.segment; i++) {
        const struct probe *whole = &sc->probes[i];
        size_t from = i == begin.segment ? begin.list : 0, to = i == end.segment ? end.list : whole->count;
        if (from == to)
            continue; /* a segment without a vector has no arrays */
        struct probe part = {
            .lists = whole->lists + from, .reads = whole->reads + from, .count = to - from, .first = whole->first};
        sc->split = sc->split || part.count < whole->count;
        if (sc->room <= sc->entries && sc->room - run->candidate_count < sc->want)
            choose_candidates(sc);
        enum dp_status status = check_lists(sc, i, &part);
        if (status == DP_OK)
            status = score_segment(sc, i, &part, sc->want);
        if (status)
            return status;
    }
    return DP_OK;
}

/* Drops the candidates that the log has replaced since an earlier round scored them. The caller holds the view's
 * lock. */
static void drop_masked(struct query_run *run)
{
    size_t kept = 0;
    for (size_t i = 0; i < run->candidate_count; i++) {
        const struct candidate *c = &run->candidates[i];
        const struct row_set *mask = view_mask(run->view, c->segment);
        if (!mask || !row_set_has(mask, c->row))
            run->candidates[kept++] = *c;
    }
    run->candidate_count = kept;
}

/* Measures the rows of the tail that may be answers. */
static enum dp_status measure_allowed(struct query_run *run)
{
    const struct filter_bits *allowed = run->allowed;
    const struct index_vectors *vectors = &run->snapshot->manifest.vectors;
    run->tail_hits = arena_array(run->call->arena, allowed->tail_count + 1, sizeof *run->tail_hits);
    run->tail_count = 0;
    if (!run->tail_hits)
        return call_nomem(run->call, "a query");
    for (size_t i = 0; i < allowed->tail_count; i++) {
        const struct wal_record *record = allowed->tail[i];
        if (record->windows)
            run->tail_hits[run->tail_count++] =
                (struct tail_hit){record, exact_distance(vectors->metric, run->vector, record->vectors,
                                                         record->windows, vectors->dim)};
    }
    return DP_OK;
}

static enum dp_status search_tail(struct query_run *run)
{
    const struct tail_search search = {.metric = run->snapshot->manifest.vectors.metric,
                                       .query = run->vector,
                                       .dim = run->query->dim,
                                       .top_k = run->query->top_k,
                                       .team = run->query->team};
    if (run->allowed)
        return measure_allowed(run);
    drop_masked(run);
    if (run->news.count) {
        bool moved;
        enum dp_status status =
            log_news_scan(run->call, run->view, &run->news, &search, &run->tail_hits, &run->tail_count, &moved);
        run->outcome = moved ? QUERY_VIEW_MOVED : run->outcome;
        return status;
    }
    return tail_scan(run->call, &run->view->locked.tail, &search, &run->tail_hits, &run->tail_count);
}

/* Scores a round of lists, up to but not including `end`. The last round also searches the tail, so that the
 * candidates and the tail's rows are those of one moment. */
static enum dp_status score_view(struct scoring *sc, struct probe_place begin, struct probe_place end)
{
    struct query_run *run = sc->run;
    view_lock(run->view);
    enum dp_status status = score_round(sc, begin, end);
    if (!run->allowed && run->view->locked.attached != sc->attached)
        run->outcome = QUERY_VIEW_MOVED; /* the lists of the load were not chosen */
    else if (status == DP_OK && end.segment == run->snapshot->manifest.segment_count)
        status = search_tail(run);
    view_unlock(run->view);
    return status;
}

/* Reads and scores one round of lists from *at on. Moves *at behind them. `check`: also asks and judges whether
 * the view is current. */
static enum dp_status run_round(struct scoring *sc, struct probe_place *at, bool check)
{
    struct query_run *run = sc->run;
    struct call *call = run->call;
    struct probe_place begin = *at;
    enum dp_status status = DP_OK;
    if (begin.segment == 0 && begin.list == 0)
        status = query_ask_view(run, &sc->round, &sc->question);
    ask_lists(sc, at);
    if (status == DP_OK)
        status = query_read_round(run, &sc->round, &sc->question, check);
    int64_t begun = os_now_ns();
    if (status == DP_OK && run->outcome == QUERY_ANSWERED)
        status = score_view(sc, begin, *at);
    call->cost.scan_ns += (uint64_t)(os_now_ns() - begun);
    round_release(&sc->round);
    return status;
}

enum dp_status query_score(struct query_run *run)
{
    struct scoring sc = {.run = run};
    struct probe_place at = {0, 0};
    bool check = run->check_current;
    enum dp_status status = plan_probes(&sc);
    if (status == DP_OK)
        status = make_candidate_room(&sc);
    if (status)
        return status;
    round_init(&sc.round, run->call, run->store, run->round_bytes);
    do {
        status = run_round(&sc, &at, check);
        check = false;
    } while (status == DP_OK && run->outcome == QUERY_ANSWERED &&
             at.segment < run->snapshot->manifest.segment_count);
    round_deinit(&sc.round);
    run->candidate_most = sc.want;
    if (status == DP_OK && run->outcome == QUERY_ANSWERED)
        choose_candidates(&sc);
    if (status == DP_OK && run->allowed && sc.first)
        trim_candidates(&sc);
    return status;
}
