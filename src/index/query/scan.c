/* query/scan.c: queries that look at every row: with a filter, by exact distance, or in the order of an attribute.
 *
 *   1. read the documents of all rows, if there is a filter or an order, and keep the rows that match;
 *   2. by distance: read the vectors of these rows, and keep the nearest. Other vector attributes than "vector" are in the
 *      documents, so their distances come with step 1;
 *   3. read documents and vectors of the answer.
 *
 * If the order is a score that depends on the words of all rows, step 1 happens twice: first to count the words.
 *
 * All of it is over the rows of one moment (index/query/live.h).
 */
#include "index/query/query.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/array.h"
#include "filter/document.h"
#include "filter/vector_value.h"
#include "index/query/exact.h"
#include "index/query/filter_bits.h"
#include "index/query/filtered.h"
#include "index/query/group.h"
#include "index/query/live.h"
#include "index/query/nearest.h"
#include "index/query/ranking.h"
#include "index/rank.h"
#include "index/schema_options.h"
#include "vector/distance.h"

enum {
    ROW_BYTES_MAX = 64 * 1024 * 1024 /* of the order and the group of one row */
};

/* The state of one index_scan() over one view. */
struct scan_run {
    struct call *call;
    const struct index_scan *scan;
    struct query_run run; /* makes the answer; run.query is the scan's query */
    struct live_rows live;
    struct fetch_place *places; /* [place_count]: rows of segments that match, in order */
    size_t place_count, place_room;
    const struct wal_record **records; /* [record_count]: rows of the tail that match */
    size_t record_count, record_room;
    uint32_t *place_groups, *record_groups; /* with a group_limit: numbers of the rows' groups */
    size_t place_group_room, record_group_room;
    struct group_numbers groups;
    struct buffer bytes; /* order and group of one row */
    struct nearest nearest;
    struct ranking ranking;
    struct filter_bits bits;      /* the rows that match, of a query by distance with a filter */
    const struct attribute *near; /* the vector attribute whose distances count; NULL: "vector", or none */
    enum index_metric metric;     /* of these distances */
    float *near_vector;           /* float[near->dim]: the value of one row */
};

/* ---- rows that match ----------------------------------------------------------------------------------- */

/* Notes the group of row number `at` of *groups, if the scan has groups. */
static enum dp_status keep_group(struct scan_run *s, uint32_t **groups, size_t at, size_t *room, uint32_t group)
{
    if (!s->scan->group)
        return DP_OK;
    uint32_t *grown = array_reserve(*groups, at, room, sizeof *grown, 1024);
    if (!grown)
        return call_nomem(s->call, "rows that match");
    *groups = grown;
    grown[at] = group;
    return DP_OK;
}

static enum dp_status keep_place(struct scan_run *s, struct fetch_place place, uint32_t group)
{
    struct fetch_place *places = array_reserve(s->places, s->place_count, &s->place_room, sizeof *places, 1024);
    if (!places)
        return call_nomem(s->call, "rows that match");
    s->places = places;
    enum dp_status status = keep_group(s, &s->place_groups, s->place_count, &s->place_group_room, group);
    if (status == DP_OK)
        s->places[s->place_count++] = place;
    return status;
}

static enum dp_status keep_record(struct scan_run *s, const struct wal_record *record, uint32_t group)
{
    const struct wal_record **records =
        array_reserve(s->records, s->record_count, &s->record_room, sizeof(struct wal_record *), 1024);
    if (!records)
        return call_nomem(s->call, "rows that match");
    s->records = records;
    enum dp_status status = keep_group(s, &s->record_groups, s->record_count, &s->record_group_room, group);
    if (status == DP_OK)
        s->records[s->record_count++] = record;
    return status;
}

static bool row_matches(const struct scan_run *s, const struct live_row *row)
{
    return !s->scan->match || s->scan->match(s->scan->match_ctx, row->key, row->document);
}

/* Appends the bytes of the row's order and of its group to s->bytes. Gives both; without an order or a group they are
 * empty. */
static enum dp_status order_row(struct scan_run *s, const struct live_row *row, struct span *order,
                                struct span *group)
{
    const struct index_scan *scan = s->scan;
    enum dp_status status = DP_OK;
    buffer_clear(&s->bytes);
    if (scan->order)
        status = scan->order(scan->order_ctx, row->key, row->document, &s->bytes);
    const size_t len = s->bytes.len;
    if (status == DP_OK && scan->group)
        status = scan->group(scan->group_ctx, row->key, row->document, &s->bytes);
    if (status == DP_OK)
        status = buffer_check(&s->bytes, "the order of rows", &s->call->error);
    *order = span_of(s->bytes.data, len);
    *group = span_of(len ? s->bytes.data + len : s->bytes.data, s->bytes.len - len);
    return status;
}

static enum dp_status take_match(void *context, const struct live_row *row)
{
    struct scan_run *s = context;
    struct span order, group;
    uint32_t number = 0;
    if (!row_matches(s, row))
        return DP_OK;
    enum dp_status status = s->scan->group ? order_row(s, row, &order, &group) : DP_OK;
    if (status == DP_OK && s->scan->group)
        status = group_number(&s->groups, group, &number, &s->call->error);
    if (status != DP_OK)
        return status;
    return row->record ? keep_record(s, row->record, number) : keep_place(s, row->place, number);
}

/* Keeps all rows, without reading their documents. */
static enum dp_status keep_all(struct scan_run *s)
{
    const struct snapshot *base = s->live.view->base;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < base->manifest.segment_count; i++) {
        for (uint32_t row = 0; row < base->segments[i].segment->hot.rows && status == DP_OK; row++) {
            if (live_rows_have(&s->live, i, row))
                status = keep_place(s, (struct fetch_place){(uint32_t)i, row}, 0);
        }
    }
    for (size_t i = 0; i < s->live.tail_count && status == DP_OK; i++)
        status = keep_record(s, s->live.tail[i], 0);
    return status;
}

/* ---- by distance --------------------------------------------------------------------------------------- */

static enum dp_status measure_place(void *context, size_t i, const struct fetched_row *fetched)
{
    struct scan_run *s = context;
    enum index_metric metric = s->run.snapshot->manifest.vectors.metric;
    struct near_row row = {.place = s->places[i], .group = s->place_groups ? s->place_groups[i] : 0};
    if (fetched->windows == 0)
        return DP_OK;
    for (uint32_t v = 0; v < fetched->windows; v++) {
        float dist =
            exact_distance(metric, s->run.vector, fetch_floats(fetched->segment, fetched->vectors, v).data, 1,
                           fetched->segment->hot.dim);
        if (v == 0 || dist < row.dist)
            row.dist = dist;
    }
    return nearest_offer(&s->nearest, &row, &s->call->error);
}

static enum dp_status measure_records(struct scan_run *s)
{
    const struct index_vectors *vectors = &s->run.snapshot->manifest.vectors;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->record_count && status == DP_OK; i++) {
        const struct wal_record *record = s->records[i];
        if (record->windows == 0)
            continue;
        const struct near_row row = {.record = record,
                                     .group = s->record_groups ? s->record_groups[i] : 0,
                                     .dist = exact_distance(vectors->metric, s->run.vector, record->vectors,
                                                            record->windows, vectors->dim)};
        status = nearest_offer(&s->nearest, &row, &s->call->error);
    }
    return status;
}

/* Makes the nearest rows the candidates of the query run, which makes the answer of them. */
static enum dp_status answer_nearest(struct scan_run *s, struct index_answer *out)
{
    struct query_run *run = &s->run;
    nearest_trim(&s->nearest);
    if (s->scan->group && !group_trim(&s->groups, s->scan->group_limit, s->scan->query.top_k, &s->nearest))
        return call_nomem(s->call, "an answer");
    size_t count = s->nearest.count;
    run->candidates = arena_array(s->call->arena, count + 1, sizeof *run->candidates);
    run->tail_hits = arena_array(s->call->arena, count + 1, sizeof *run->tail_hits);
    if (!run->candidates || !run->tail_hits)
        return call_nomem(s->call, "an answer");
    for (size_t i = 0; i < count; i++) {
        const struct near_row *row = &s->nearest.rows[i];
        if (row->record)
            run->tail_hits[run->tail_count++] = (struct tail_hit){row->record, row->dist};
        else
            run->candidates[run->candidate_count++] =
                (struct candidate){row->place.segment, row->place.row, row->dist};
    }
    return query_finish(run, out);
}

/* Answers by the exact distances of the rows that were kept. */
static enum dp_status answer_kept(struct scan_run *s, struct index_answer *out)
{
    const struct index_reader *reader = s->live.view->reader;
    enum dp_status status = nearest_init(
        &s->nearest, s->scan->group ? (size_t)s->live.rows + 1 : s->scan->query.top_k, &s->call->error);
    if (status == DP_OK)
        status = fetch_rows(s->call, reader->store, reader->round_bytes, s->run.snapshot, s->places,
                            s->place_count, FETCH_VECTORS, measure_place, s);
    if (status == DP_OK)
        status = measure_records(s);
    return status == DP_OK ? answer_nearest(s, out) : status;
}

/* Keeps the rows that match. */
static enum dp_status keep_matches(struct scan_run *s, const struct filter_bits *bits)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < bits->segment_count; i++) {
        const uint64_t rows = s->run.snapshot->segments[i].segment->hot.rows;
        for (uint64_t row = 0; status == DP_OK && filter_bits_next(bits, i, rows, &row); row++)
            status = keep_place(s, (struct fetch_place){(uint32_t)i, (uint32_t)row}, 0);
    }
    for (size_t i = 0; i < bits->tail_count && status == DP_OK; i++)
        status = keep_record(s, bits->tail[i], 0);
    return status;
}

/* Finds the rows that match, and then the nearest of these. */
static enum dp_status scan_filtered(struct scan_run *s, struct index_answer *out)
{
    struct query_run *run = &s->run;
    enum dp_status status = s->bits.segments ? DP_OK : filter_bits_make(s->call, &s->live, s->scan, &s->bits);
    run->allowed = &s->bits;
    if (status == DP_OK)
        status = filtered_plan(run, s->scan->exact, &out->plan);
    if (status == DP_OK && out->plan.rule == INDEX_RULE_LISTS) {
        status = query_score(run);
        if (status == DP_OK)
            status = query_finish(run, out);
    } else if (status == DP_OK) {
        status = keep_matches(s, &s->bits);
        if (status == DP_OK)
            status = answer_kept(s, out);
    }
    return status;
}

/* Whether the scan finds the rows that match first, and then the nearest of these. */
static bool is_filtered(const struct index_scan *scan)
{
    return scan->match && !scan->group && !scan->visit && !scan->rank && scan->query.vector && !scan->near.len;
}

static enum dp_status scan_by_distance(struct scan_run *s, struct index_answer *out)
{
    enum dp_status status = query_prepare(&s->run, s->metric);
    if (status == DP_OK && is_filtered(s->scan))
        return scan_filtered(s, out);
    if (status == DP_OK)
        status = s->scan->group ? filter_walk_rows(s->call, &s->live, s->scan, take_match, s) : keep_all(s);
    return status == DP_OK ? answer_kept(s, out) : status;
}

/* ---- by an attribute ----------------------------------------------------------------------------------- */

static int compare_keys(void *ctx, struct span a, struct span b)
{
    (void)ctx;
    return span_compare(a, b);
}

/* Finds the value of the attribute that orders the rows; empty: the document has none. */
static struct span ordering_value(const struct index_scan *scan, const struct live_row *row)
{
    struct span value;
    if (span_equal_str(scan->order_by, "id"))
        return row->key;
    return document_find(row->document, scan->order_by, &value) ? value : (struct span){0};
}

static enum dp_status rank_row(void *context, const struct live_row *row)
{
    struct scan_run *s = context;
    struct span value, group;
    if (!row_matches(s, row))
        return DP_OK;
    enum dp_status status = order_row(s, row, &value, &group);
    if (status == DP_OK && !s->scan->order)
        value = ordering_value(s->scan, row);
    return status == DP_OK ? ranking_offer(&s->ranking, row, value, group, &s->call->error) : status;
}

/* A row of the answer that a segment holds, and its position in the answer. */
struct ordered_place {
    struct fetch_place place;
    size_t hit;
};

/* The documents and vectors of an ordered answer. */
struct ordering {
    struct scan_run *s;
    struct index_hit *hits;
    struct ordered_place *order; /* ascending by place */
};

static enum dp_status take_ordered(void *context, size_t i, const struct fetched_row *row)
{
    struct ordering *o = context;
    const void *vector = row->windows ? fetch_floats(row->segment, row->vectors, 0).data : NULL;
    return query_make_hit(&o->s->run, row->key, row->document, vector, &o->hits[o->order[i].hit]);
}

static int compare_ordered(const void *a, const void *b)
{
    const struct ordered_place *left = a, *right = b;
    return fetch_compare_places(&left->place, &right->place);
}

/* Fills the hits of the tail's rows, and collects the places of the others. */
static enum dp_status fill_ordered(struct ordering *o, struct fetch_place *places, size_t *count)
{
    struct scan_run *s = o->s;
    enum dp_status status = DP_OK;
    *count = 0;
    for (size_t i = 0; i < s->ranking.count && status == DP_OK; i++) {
        const struct ranked_row *row = &s->ranking.rows[i];
        if (row->record)
            status = query_make_hit(&s->run, row->key, row->record->document, row->record->vectors, &o->hits[i]);
        else
            o->order[(*count)++] = (struct ordered_place){row->place, i};
    }
    if (*count)
        qsort(o->order, *count, sizeof *o->order, compare_ordered);
    for (size_t i = 0; i < *count; i++)
        places[i] = o->order[i].place;
    return status;
}

static enum dp_status answer_ordered(struct scan_run *s, struct index_answer *out)
{
    const struct index_reader *reader = s->live.view->reader;
    struct arena *arena = s->call->arena;
    enum dp_status status = ranking_sort(&s->ranking, &s->call->error);
    if (status)
        return status;
    size_t rows = s->ranking.count + 1, count;
    unsigned parts = FETCH_DOCUMENTS | (s->scan->query.with_vectors ? FETCH_VECTORS : 0);
    struct fetch_place *places = arena_array(arena, rows, sizeof *places);
    struct ordering o = {.s = s,
                         .hits = arena_calloc(arena, rows, sizeof *o.hits),
                         .order = arena_array(arena, rows, sizeof *o.order)};
    if (!o.hits || !o.order || !places)
        return call_nomem(s->call, "an answer");
    status = fill_ordered(&o, places, &count);
    if (status == DP_OK)
        status = fetch_rows(s->call, reader->store, reader->round_bytes, s->run.snapshot, places, count, parts,
                            take_ordered, &o);
    for (size_t i = 0; i < s->ranking.count; i++)
        o.hits[i].dist = (float)s->ranking.rows[i].dist;
    out->hits = o.hits;
    out->count = s->ranking.count;
    return status;
}

static enum dp_status scan_by_value(struct scan_run *s, struct index_answer *out)
{
    bool by_id = span_equal_str(s->scan->order_by, "id");
    s->ranking = (struct ranking){.want = s->scan->query.top_k,
                                  .group_limit = s->scan->group_limit,
                                  .descending = s->scan->descending && !s->scan->order,
                                  .copies = s->scan->order != NULL,
                                  .compare = by_id || s->scan->order ? compare_keys : s->scan->compare,
                                  .compare_ctx = s->scan->compare_ctx};
    enum dp_status status = filter_walk_rows(s->call, &s->live, s->scan, rank_row, s);
    return status == DP_OK ? answer_ordered(s, out) : status;
}

/* ---- by the distance of another vector attribute ---------------------------------------------------------- */

/* Finds the attribute that holds the vectors to compare with the query's vector. Fails if they cannot be compared. */
static enum dp_status find_near(struct scan_run *s)
{
    struct call *call = s->call;
    const struct manifest *m = &s->run.snapshot->manifest;
    const struct index_query *q = &s->scan->query;
    const struct span name = s->scan->near;
    const struct attribute *a = schema_find(&m->schema, name);
    char type[ATTRIBUTE_TYPE_ROOM];
    s->metric = m->vectors.metric;
    if (name.len == 0 || !q->vector)
        return DP_OK;
    if (!a || a->dropped)
        return call_fail(call, DP_INVALID, "rank_by: the namespace has no attribute \"%.*s\"", SPAN_FMT(name));
    if (a->type != ATTRIBUTE_VECTOR)
        return call_fail(call, DP_INVALID, "rank_by: attribute \"%.*s\" of type %s has no distance to a vector",
                         SPAN_FMT(name), attribute_type_print(a, type));
    if (a->dim != q->dim)
        return call_fail(call, DP_INVALID,
                         "rank_by: the query's vector has %" PRIu32 " dimensions; attribute \"%.*s\" has type %s",
                         q->dim, SPAN_FMT(name), attribute_type_print(a, type));
    if (q->fingerprint.len && a->fingerprint.len && !span_equal(q->fingerprint, a->fingerprint))
        return call_fail(call, DP_INVALID,
                         "rank_by: attribute \"%.*s\" holds vectors of another model than the query's",
                         SPAN_FMT(name));
    schema_ann_metric(a, &s->metric);
    s->near = a;
    s->near_vector = arena_array(call->arena, a->dim, sizeof *s->near_vector);
    return s->near_vector ? query_check_vector(call, q, s->metric) : call_nomem(call, "a query");
}

static enum dp_status rank_near(void *context, const struct live_row *row)
{
    struct scan_run *s = context;
    struct span value, order, group;
    if (!row_matches(s, row))
        return DP_OK;
    if (!document_find(row->document, s->near->name, &value) || span_equal_str(value, "null"))
        return DP_OK;
    if (!vector_of_normal(s->near, value, s->near_vector))
        return call_fail(s->call, DP_CORRUPT, "the value of attribute \"%.*s\" in a row is no vector of its type",
                         SPAN_FMT(s->near->name));
    float length = vector_length(s->near_vector, s->near->dim);
    if (s->metric == INDEX_COSINE && !(length > 0 && isfinite(length)))
        return DP_OK; /* the vector has no direction, so no cosine */
    float dist = exact_distance(s->metric, s->run.vector, s->near_vector, 1, s->near->dim);
    if (!isfinite(dist))
        return DP_OK;
    enum dp_status status = order_row(s, row, &order, &group);
    return status == DP_OK ? ranking_offer_near(&s->ranking, row, dist, group, &s->call->error) : status;
}

static enum dp_status scan_near(struct scan_run *s, struct index_answer *out)
{
    s->ranking =
        (struct ranking){.want = s->scan->query.top_k, .group_limit = s->scan->group_limit, .by_distance = true};
    enum dp_status status = query_prepare(&s->run, s->metric);
    if (status == DP_OK)
        status = filter_walk_rows(s->call, &s->live, s->scan, rank_near, s);
    return status == DP_OK ? answer_ordered(s, out) : status;
}

/* ---- by a score ------------------------------------------------------------------------------------------ */

static enum dp_status count_tokens(void *context, const struct live_row *row)
{
    struct scan_run *s = context;
    return rank_count(s->scan->rank, row->document, &s->call->error);
}

static enum dp_status rank_scored(void *context, const struct live_row *row)
{
    struct scan_run *s = context;
    struct span order, group;
    double score;
    if (!row_matches(s, row))
        return DP_OK;
    enum dp_status status = rank_score(s->scan->rank, row->key, row->document, &score, &s->call->error);
    if (status != DP_OK || !(score > 0))
        return status;
    status = order_row(s, row, &order, &group);
    return status == DP_OK ? ranking_offer_near(&s->ranking, row, -score, group, &s->call->error) : status;
}

static enum dp_status scan_by_score(struct scan_run *s, struct index_answer *out)
{
    struct rank *rank = s->scan->rank;
    s->ranking =
        (struct ranking){.want = s->scan->query.top_k, .group_limit = s->scan->group_limit, .by_distance = true};
    rank_reset(rank);
    enum dp_status status = rank_counts(rank) ? live_rows_walk(s->call, &s->live, count_tokens, s) : DP_OK;
    rank_begin(rank);
    if (status == DP_OK)
        status = filter_walk_rows(s->call, &s->live, s->scan, rank_scored, s);
    if (status == DP_OK)
        status = answer_ordered(s, out);
    for (size_t i = 0; status == DP_OK && i < out->count; i++)
        out->hits[i].dist = rank_dist(-s->ranking.rows[i].dist);
    return status;
}

/* ---- all rows that match ---------------------------------------------------------------------------------- */

static enum dp_status visit_row(void *context, const struct live_row *row)
{
    struct scan_run *s = context;
    return row_matches(s, row) ? s->scan->visit(s->scan->visit_ctx, row->key, row->document) : DP_OK;
}

/* Counts the rows that match, by the columns where these decide. */
static enum dp_status count_matches(struct scan_run *s)
{
    enum dp_status status = s->scan->match ? filter_bits_make(s->call, &s->live, s->scan, &s->bits) : DP_OK;
    *s->scan->count = s->scan->match ? s->bits.total : s->live.rows;
    return status;
}

static enum dp_status run_scan(struct scan_run *s, struct index_answer *out)
{
    if (s->scan->count)
        return count_matches(s);
    if (s->scan->visit) {
        s->scan->begin(s->scan->visit_ctx);
        return filter_walk_rows(s->call, &s->live, s->scan, visit_row, s);
    }
    if (s->scan->rank)
        return scan_by_score(s, out);
    if (s->near)
        return scan_near(s, out);
    return s->scan->query.vector ? scan_by_distance(s, out) : scan_by_value(s, out);
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

/* The request to index_scan(), and the place of its answer. */
struct scan_request {
    const struct index_scan *scan;
    struct index_answer *out;
    struct filtered_rows rows; /* if the scan is filtered by distance: the rows that match, or none yet */
};

/* Runs a scan over one view; `context` is its struct scan_request. Fails with DP_STALE when the view's manifest is
 * old. */
static enum dp_status scan_view(struct call *call, struct view *view, void *context)
{
    struct scan_request *request = context;
    const struct index_scan *scan = request->scan;
    struct index_answer *out = request->out;
    struct scan_run s = {.call = call,
                         .scan = scan,
                         .run = {.call = call,
                                 .store = view->reader->store,
                                 .query = &scan->query,
                                 .view = view,
                                 .snapshot = view->base,
                                 .round_bytes = view->reader->round_bytes}};
    bool documents = scan->match || scan->group || !scan->query.vector || scan->near.len;
    struct index_query count = {.top_k =
                                    scan->query.top_k}; /* for another attribute, find_near() checks the vector */
    buffer_init(&s.bytes, ROW_BYTES_MAX);
    group_numbers_init(&s.groups);
    enum dp_status status = query_check(call, scan->near.len ? &count : &scan->query, &view->base->manifest);
    if (status == DP_OK)
        status = find_near(&s);
    bool found = status == DP_OK && filtered_take(&request->rows, view, &s.live, &s.bits);
    if (status == DP_OK && !found)
        status = is_filtered(scan) || scan->count ? live_rows_take_all(call, view, &s.live)
                                                  : live_rows_take(call, view, documents, &s.live);
    if (status == DP_OK)
        status = run_scan(&s, out);
    out->approx_rows = s.live.rows;
    out->exhaustive_rows = out->plan.rule == INDEX_RULE_LISTS ? s.live.tail_count : s.live.rows;
    filter_bits_deinit(&s.bits);
    if (s.live.view)
        live_rows_deinit(&s.live);
    nearest_deinit(&s.nearest);
    ranking_deinit(&s.ranking);
    mem_free(s.places);
    mem_free(s.records);
    mem_free(s.place_groups);
    mem_free(s.record_groups);
    buffer_deinit(&s.bytes);
    group_numbers_deinit(&s.groups);
    return status;
}

enum dp_status index_scan(struct call *call, struct index_reader *reader, const struct index_scan *scan,
                          struct index_answer *out)
{
    struct scan_request request = {.scan = scan, .out = out};
    bool answered;
    enum dp_status status = index_words(call, reader, scan, &answered, out);
    if (status != DP_OK || answered)
        return status;
    struct view *view = reader_view(reader), *next;
    *out = (struct index_answer){0};
    if (!scan->query.eventual) {
        status = is_filtered(scan) ? filtered_refresh(call, reader, view, scan, &next, &request.rows)
                                   : view_refresh(call, reader, view, &next);
        view_release(view);
        view = status == DP_OK ? next : NULL;
    }
    if (status == DP_OK)
        status = reader_run(call, reader, &view, scan_view, &request);
    if (status == DP_OK) {
        dp_error_clear(&call->error);
        out->metric = view->base->manifest.vectors.metric;
        out->from_cache = true;
    }
    filtered_rows_deinit(&request.rows);
    view_release(view);
    return status;
}
