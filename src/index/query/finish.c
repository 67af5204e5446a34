/* query/finish.c: the second half of a query: exact distances, ids and attributes. Rows of the tail join the
 * candidates here. They are in memory, with their distances, so nothing is read for them.
 *
 * One round reads the full-precision vectors and the documents of all candidates. The vectors decide the order.
 * Ids break ties of distance. So it decompresses only the documents of the best top_k rows and of all rows at
 * the top_k-th distance.
 *
 * When these reads exceed the bytes of a round (index/round.h), or the candidates are many, rounds of vectors come
 * first, as many as needed. Then come rounds with only the documents that it decompresses. It decompresses one run of
 * documents after another into one arena, and copies the ids and attributes of the answer out of it.
 */
#include "index/query/query.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "index/id.h"
#include "index/query/exact.h"
#include "index/query/fetch.h"
#include "index/schema_row.h"
#include "os/clock.h"

enum {
    RUN_ARENA_MAX = 64 * 1024 * 1024,
    WHOLE_ROWS =
        620 /* a round reads the documents of twice top_k and as many more candidates beside their vectors */
};

/* A candidate, its ranges, and its exact distance, id and attributes. A row of the tail has a record instead of
 * ranges. */
struct fetched {
    const struct wal_record *record;   /* NULL for a row of a segment */
    const struct candidate *candidate; /* NULL for a row of the tail */
    const struct segment *segment;
    uint64_t first_vector, vectors;    /* number of its first vector, and how many it has */
    struct document_run run;           /* the documents that share compressed bytes with its document */
    size_t vector_read, document_read; /* handles of the reads of its vectors and of its run */
    float dist;                        /* exact distance */
    struct span key;                   /* the row's id key; empty until find_document() */
    struct span attributes;            /* the attributes that the query includes */
    const float *vector;               /* the first vector, if the query includes it */
};

/* The state of the second half of a query. */
struct finish {
    struct query_run *run;
    struct round round;
    struct fetched *rows; /* [count + tail_count]: rows of segments, then rows of the tail */
    size_t count, tail_count;
    bool whole;                  /* vectors and documents fit together into one round */
    struct news_search replaced; /* of rows that run->news replaces */
    struct arena raw;            /* holds raw_run, which is the current run of documents, decompressed */
    struct span raw_run;
};

static int candidates_by_place(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;
    if (left->segment != right->segment)
        return left->segment < right->segment ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

/* Sorts rows of the tail behind all others. */
static int rows_by_candidate(const void *a, const void *b)
{
    const struct fetched *left = a, *right = b;
    if (left->record || right->record)
        return (left->record != NULL) - (right->record != NULL);
    return candidates_by_place(left->candidate, right->candidate);
}

/* Returns whether both rows have the same run of documents. One read serves neighbours of a run. */
static bool same_run(const struct fetched *a, const struct fetched *b)
{
    return a->segment == b->segment && a->run.first == b->run.first;
}

static uint64_t vector_bytes(const struct fetched *r)
{
    return r->vectors * segment_vector_len(r->segment->hot.dim);
}

/* Makes the rows, in the order of segments and row numbers, and sets f->whole. */
static enum dp_status plan_reads(struct finish *f)
{
    struct query_run *run = f->run;
    uint64_t bytes = f->round.bytes;
    size_t ranges = 0;
    f->count = run->candidate_count;
    f->tail_count = run->tail_count;
    f->rows = arena_calloc(run->call->arena, f->count + f->tail_count + 1, sizeof *f->rows);
    if (!f->rows)
        return call_nomem(run->call, "a query");
    qsort(run->candidates, f->count, sizeof *run->candidates, candidates_by_place);
    for (size_t i = 0; i < f->count; i++) {
        struct fetched *r = &f->rows[i];
        r->candidate = &run->candidates[i];
        r->segment = run->snapshot->segments[r->candidate->segment].segment;
        segment_vectors_of(&r->segment->hot, r->candidate->row, &r->first_vector, &r->vectors);
        r->run = segment_documents_of(&r->segment->hot, r->candidate->row);
        bool shared = i > 0 && same_run(r - 1, r);
        bytes += vector_bytes(r) + (shared ? 0 : r->run.len);
        ranges += shared ? 1 : 2;
    }
    for (size_t i = 0; i < f->tail_count; i++) {
        const struct tail_hit *hit = &run->tail_hits[i];
        f->rows[f->count + i] =
            (struct fetched){.record = hit->record, .dist = hit->dist, .key = hit->record->key};
    }
    f->whole = bytes <= f->round.bytes_max && ranges <= (f->round.bytes_max - bytes) / ROUND_GAP &&
               f->count <= (size_t)run->query->top_k * 2 + WHOLE_ROWS;
    return DP_OK;
}

/* Asks for the row's run of documents. `before`: the row of the previous ask_document(), or NULL. */
static void ask_document(struct finish *f, const struct fetched *before, struct fetched *r)
{
    r->document_read =
        before && same_run(before, r) ? before->document_read : fetch_ask_run(&f->round, r->segment, &r->run);
}

/* Copies float[dim], the first vector of a row, into the call's arena if the query includes it. */
static enum dp_status include_vector(struct finish *f, const void *floats, struct fetched *r)
{
    size_t len = (size_t)f->run->query->dim * sizeof(float);
    if (!f->run->query->with_vectors)
        return DP_OK;
    float *copy = arena_alloc(f->run->call->arena, len);
    if (!copy)
        return call_nomem(f->run->call, "the vectors of an answer");
    memcpy(copy, floats, len);
    r->vector = copy;
    return DP_OK;
}

/* Verifies a row's vectors and computes its exact distance, which is that of its nearest window. */
static enum dp_status measure_row(struct finish *f, struct fetched *r)
{
    enum index_metric metric = f->run->snapshot->manifest.vectors.metric;
    struct span bytes = round_answer(&f->round, r->vector_read)->bytes.span;
    enum dp_status status = fetch_verify_vectors(f->run->call, r->segment, bytes, r->first_vector, r->vectors);
    for (uint64_t v = 0; v < r->vectors && status == DP_OK; v++) {
        struct span floats = fetch_floats(r->segment, bytes, v);
        float dist = exact_distance(metric, f->run->vector, floats.data, 1, r->segment->hot.dim);
        if (v == 0 || dist < r->dist)
            r->dist = dist;
    }
    return status == DP_OK ? include_vector(f, bytes.data, r) : status;
}

static int rows_by_distance(const void *a, const void *b)
{
    const struct fetched *left = a, *right = b;
    if (left->dist != right->dist)
        return left->dist < right->dist ? -1 : 1;
    return span_compare(left->key, right->key); /* keys of segment rows are empty before find_documents() */
}

static bool is_included(const struct index_query *q, struct span name)
{
    for (size_t i = 0; i < q->attribute_count; i++) {
        if (span_equal(q->attributes[i], name))
            return true;
    }
    return false;
}

enum dp_status query_project(struct call *call, const struct index_query *q, const struct schema *schema,
                             struct span json, struct span *out)
{
    struct json_reader r;
    struct json_writer w;
    struct buffer text;
    struct span key, value;
    if (q->all_attributes || q->attribute_count == 0) {
        *out = q->all_attributes ? arena_copy(call->arena, json) : span_str("{}");
        return out->data ? schema_show(schema, call->arena, *out, q->base64, out, &call->error)
                         : call_nomem(call, "attributes");
    }
    buffer_init(&text, INDEX_DOCUMENT_MAX + 1024);
    json_reader_init(&r, json);
    json_writer_init(&w, &text);
    json_enter_object(&r);
    json_begin_object(&w);
    while (json_next_key(&r, call->arena, &key) && json_read_raw(&r, &value)) {
        if (!is_included(q, key))
            continue;
        json_key_span(&w, key);
        json_raw(&w, value);
    }
    json_end_object(&w);
    enum dp_status status =
        json_failed(&r) ? json_error(&r, &call->error) : buffer_check(&text, "attributes", &call->error);
    if (status == DP_OK) {
        *out = arena_copy(call->arena, buffer_span(&text));
        if (!out->data)
            status = call_nomem(call, "attributes");
    }
    buffer_deinit(&text);
    if (status == DP_OK)
        status = schema_show(schema, call->arena, *out, q->base64, out, &call->error);
    return status;
}

/* Copies a row's id key and attributes out of its run of documents. Decompresses the run, unless `before` (or
 * NULL) has the same run. */
static enum dp_status find_document(struct finish *f, const struct fetched *before, struct fetched *r)
{
    struct call *call = f->run->call;
    struct segment_document document;
    enum dp_status status = DP_OK;
    if (!before || !same_run(before, r)) {
        arena_reset(&f->raw);
        status = segment_inflate(&r->segment->hot, &r->run, round_answer(&f->round, r->document_read)->bytes.span,
                                 &f->raw, &f->raw_run, &call->error);
    }
    if (status == DP_OK)
        status = segment_find_document(&r->run, f->raw_run, r->candidate->row, &document, &call->error);
    if (status == DP_OK && !id_key_valid(document.key))
        status = call_fail(call, DP_CORRUPT, "row %" PRIu32 " has a malformed id; the segment is damaged",
                           r->candidate->row);
    if (status == DP_CORRUPT)
        dp_error_prefix(&call->error, "%s", r->segment->dpr_key.text);
    if (status)
        return status;
    r->key = arena_copy(call->arena, document.key);
    return r->key.data ? query_project(f->run->call, f->run->query, &f->run->snapshot->manifest.schema,
                                       document.json, &r->attributes)
                       : call_nomem(call, "an answer");
}

/* ---- rounds ------------------------------------------------------------------------------------------- */

/* Computes the distances of all rows. Reads their vectors and documents in one round, or the vectors alone in
 * several. */
static enum dp_status measure_all(struct finish *f)
{
    enum dp_status status = DP_OK;
    for (size_t begin = 0, end; begin < f->count && status == DP_OK; begin = end) {
        for (end = begin; end < f->count; end++) {
            struct fetched *r = &f->rows[end];
            if (!f->whole && !round_takes(&f->round, vector_bytes(r), 1))
                break;
            r->vector_read = fetch_ask_vectors(&f->round, r->segment, r->first_vector, r->vectors);
            if (f->whole)
                ask_document(f, end ? r - 1 : NULL, r);
        }
        status = round_read(&f->round);
        int64_t begun = os_now_ns();
        for (size_t i = begin; i < end && status == DP_OK; i++) {
            struct fetched *r = &f->rows[i];
            status = fetch_check(&f->round, r->segment, r->vector_read);
            if (status == DP_OK && f->whole)
                status = fetch_check(&f->round, r->segment, r->document_read);
            if (status == DP_OK)
                status = measure_row(f, r);
        }
        f->run->call->cost.scan_ns += (uint64_t)(os_now_ns() - begun);
        if (!f->whole)
            round_release(&f->round);
    }
    return status;
}

static enum dp_status take_documents(struct finish *f, size_t begin, size_t end)
{
    enum dp_status status = DP_OK;
    int64_t begun = os_now_ns();
    for (size_t i = begin; i < end && status == DP_OK; i++) {
        struct fetched *r = &f->rows[i];
        if (!f->whole)
            status = fetch_check(&f->round, r->segment, r->document_read);
        if (status == DP_OK)
            status = find_document(f, i > begin ? r - 1 : NULL, r);
    }
    f->run->call->cost.scan_ns += (uint64_t)(os_now_ns() - begun);
    return status;
}

/* Finds the documents of the first `count` rows, which must be in the order of segments and row numbers. */
static enum dp_status find_documents(struct finish *f, size_t count)
{
    if (f->whole)
        return take_documents(f, 0, count);
    enum dp_status status = DP_OK;
    for (size_t begin = 0, end; begin < count && status == DP_OK; begin = end) {
        for (end = begin; end < count; end++) {
            struct fetched *r = &f->rows[end];
            bool shared = end > begin && same_run(r - 1, r);
            if (!shared && !round_takes(&f->round, r->run.len, 1))
                break;
            ask_document(f, end > begin ? r - 1 : NULL, r);
        }
        status = round_read(&f->round);
        if (status == DP_OK)
            status = take_documents(f, begin, end);
        round_release(&f->round);
    }
    return status;
}

/* Finds the attributes of rows[from] to rows[to - 1], which are rows of the tail. */
static enum dp_status take_tail_rows(struct finish *f, size_t from, size_t to)
{
    enum dp_status status = DP_OK;
    for (size_t i = from; i < to && status == DP_OK; i++) {
        struct fetched *r = &f->rows[i];
        r->key = arena_copy(f->run->call->arena, r->record->key);
        status = r->key.data ? query_project(f->run->call, f->run->query, &f->run->snapshot->manifest.schema,
                                             r->record->document, &r->attributes)
                             : call_nomem(f->run->call, "an answer");
        if (status == DP_OK)
            status = include_vector(f, r->record->vectors, r);
    }
    return status;
}

/* Moves the best top_k rows to the front and finds their documents. *answered: how many there are. */
static enum dp_status choose_rows(struct finish *f, size_t *answered)
{
    size_t all = f->count + f->tail_count, k = f->run->query->top_k, tied, stored = 0;
    qsort(f->rows, all, sizeof *f->rows, rows_by_distance);
    k = k < all ? k : all;
    for (tied = k; k && tied < all && f->rows[tied].dist == f->rows[k - 1].dist; tied++)
        ;
    qsort(f->rows, tied, sizeof *f->rows, rows_by_candidate);
    while (stored < tied && !f->rows[stored].record)
        stored++;
    enum dp_status status = find_documents(f, stored);
    if (status == DP_OK)
        status = take_tail_rows(f, stored, tied);
    qsort(f->rows, tied, sizeof *f->rows, rows_by_distance);
    *answered = k;
    return status;
}

enum dp_status query_id(struct call *call, struct span key, struct index_id *out)
{
    char *uuid = id_key_kind(key) == ID_UUID ? arena_alloc(call->arena, UUID_TEXT_LEN) : NULL;
    if (id_key_kind(key) == ID_UUID && !uuid)
        return call_nomem(call, "an answer");
    if (!id_decode(key, uuid, out))
        return call_fail(call, DP_CORRUPT, "a row has a malformed id; its segment is damaged");
    return DP_OK;
}

enum dp_status query_make_hit(struct query_run *run, struct span key, struct span document, const void *vector,
                              struct index_hit *hit)
{
    struct arena *arena = run->call->arena;
    const struct manifest *m = &run->snapshot->manifest;
    const size_t len = (size_t)m->vectors.dim * sizeof(float);
    const struct span copy = arena_copy(arena, key);
    enum dp_status status = copy.data ? query_id(run->call, copy, &hit->id) : call_nomem(run->call, "an answer");
    if (status == DP_OK && vector && run->query->with_vectors) {
        float *floats = arena_alloc(arena, len);
        if (!floats)
            return call_nomem(run->call, "the vectors of an answer");
        memcpy(floats, vector, len);
        hit->vector = floats;
    }
    return status == DP_OK ? query_project(run->call, run->query, &m->schema, document, &hit->attributes) : status;
}

static enum dp_status fill_answer(struct finish *f, size_t count, struct index_answer *out)
{
    out->hits = arena_calloc(f->run->call->arena, count + 1, sizeof *out->hits);
    if (!out->hits)
        return call_nomem(f->run->call, "an answer");
    for (size_t i = 0; i < count; i++) {
        struct fetched *r = &f->rows[i];
        struct index_hit *hit = &out->hits[i];
        enum dp_status status = query_id(f->run->call, r->key, &hit->id);
        if (status)
            return status;
        hit->dist = r->dist;
        hit->attributes = r->attributes;
        hit->vector = r->vector;
    }
    out->count = count;
    return DP_OK;
}

/* ---- entries that the view lacks ------------------------------------------------------------------------- */

/* Appends the entries to the view now, in a round of their own. The run begins again over the view that has them. */
static enum dp_status begin_again(struct finish *f)
{
    struct query_run *run = f->run;
    run->outcome = QUERY_VIEW_MOVED;
    enum dp_status status = view_apply_all(run->call, run->view, run->news.entries, run->news.count);
    run->news.applied = status == DP_OK;
    return status;
}

/* Drops the rows that the entries replace, and appends the entries to the view. */
static enum dp_status take_news(struct finish *f)
{
    struct query_run *run = f->run;
    size_t kept = 0;
    enum dp_status status = f->count ? DP_OK : round_read(&f->round); /* otherwise measure_all() has read it */
    if (status == DP_OK)
        status = news_search_take(&f->replaced);
    if (status == DP_OK)
        status = news_search_apply(&f->replaced, &run->news);
    if (status != DP_OK)
        return status;
    for (size_t i = 0; i < f->count + f->tail_count; i++) {
        const struct candidate *c = f->rows[i].candidate;
        if (!c || !news_search_has(&f->replaced, c->segment, c->row))
            f->rows[kept++] = f->rows[i];
    }
    const size_t dropped = f->count + f->tail_count - kept;
    f->count -= dropped;
    /* If few candidates are left and there may be others, the run finds these over the view as it is now. */
    const bool few = kept < run->query->top_k || f->count * 2 < run->candidate_most;
    if (dropped && few && run->candidate_count == run->candidate_most)
        run->outcome = QUERY_VIEW_MOVED;
    return DP_OK;
}

/* Reads all that the answer needs, with the ids of rows that entries replace. */
static enum dp_status measure_news(struct finish *f)
{
    struct query_run *run = f->run;
    bool full;
    enum dp_status status = news_search_ask(run->call, &f->round, run->view, &run->news, &f->replaced, &full);
    if (status == DP_OK && full)
        return begin_again(f);
    if (status != DP_OK)
        return status;
    status = plan_reads(f);
    if (status == DP_OK && !f->whole)
        status = begin_again(f);
    else if (status == DP_OK) {
        status = measure_all(f);
        if (status == DP_OK)
            status = take_news(f);
    }
    news_search_end(&f->replaced);
    return status;
}

enum dp_status query_finish(struct query_run *run, struct index_answer *out)
{
    struct finish f = {.run = run};
    size_t count = 0;
    round_init(&f.round, run->call, run->store, run->round_bytes);
    arena_init(&f.raw, RUN_ARENA_MAX);
    enum dp_status status = run->news.count ? measure_news(&f) : plan_reads(&f);
    if (status == DP_OK && !run->news.count)
        status = measure_all(&f);
    if (status == DP_OK && run->outcome == QUERY_ANSWERED) {
        status = choose_rows(&f, &count);
        if (status == DP_OK)
            status = fill_answer(&f, count, out);
    }
    arena_deinit(&f.raw);
    round_deinit(&f.round);
    return status;
}
