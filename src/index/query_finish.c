/* query_finish.c: the second round of a query: exact distances, ids and attributes.
 *
 * The full-precision vectors and the documents of all candidates are read in one batch. The vectors decide
 * the order; only the documents of rows that are answered are decompressed. Rows at the same distance are
 * ordered by id, so the ids of all rows at the last distance that counts are looked at.
 */
#include "index/query.h"

#include <stdlib.h>

#include "base/json.h"
#include "index/id.h"
#include "os/clock.h"
#include "vector/distance.h"

/* What was read for one candidate. */
struct fetched {
    const struct candidate *candidate;
    const struct segment *segment;
    uint64_t first_vector, vectors;
    struct document_run run;
    size_t vector_req, document_req;
    float dist;
    struct segment_document document;
};

struct finish {
    struct query_run *run;
    struct fetched *rows;
    size_t count;
    struct store_read_req *reqs;
    struct span *raw; /* [req_count]: documents once decompressed */
    size_t req_count;
};

static int by_place(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;
    if (left->segment != right->segment)
        return left->segment < right->segment ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

static enum dp_status plan(struct finish *f)
{
    struct query_run *run = f->run;
    struct arena *arena = run->call->arena;
    f->count = run->candidate_count;
    f->rows = arena_calloc(arena, f->count + 1, sizeof *f->rows);
    f->reqs = arena_calloc(arena, 2 * f->count + 1, sizeof *f->reqs);
    f->raw = arena_calloc(arena, 2 * f->count + 1, sizeof *f->raw);
    if (!f->rows || !f->reqs || !f->raw)
        return call_nomem(run->call, "a query");
    /* In the order of the objects, rows of one document run follow each other and share its request. */
    qsort(run->candidates, f->count, sizeof *run->candidates, by_place);
    for (size_t i = 0; i < f->count; i++) {
        struct fetched *r = &f->rows[i], *before = i ? r - 1 : NULL;
        r->candidate = &run->candidates[i];
        r->segment = run->snapshot->segments[r->candidate->segment].segment;
        const struct segment_hot *hot = &r->segment->hot;
        struct span key = object_key_span(&r->segment->dpr_key);
        segment_vectors_of(hot, r->candidate->row, &r->first_vector, &r->vectors);
        uint64_t len = segment_vector_len(hot->dim);
        r->vector_req = f->req_count;
        f->reqs[f->req_count++] = (struct store_read_req){.key = key,
                                                          .offset = hot->vectors_offset + r->first_vector * len,
                                                          .len = (int64_t)(r->vectors * len),
                                                          .pinned = &r->segment->dpr_version};
        r->run = segment_documents_of(hot, r->candidate->row);
        if (before && before->segment == r->segment && before->run.first == r->run.first) {
            r->document_req = before->document_req;
            continue;
        }
        r->document_req = f->req_count;
        f->reqs[f->req_count++] = (struct store_read_req){
            .key = key, .offset = r->run.offset, .len = (int64_t)r->run.len, .pinned = &r->segment->dpr_version};
    }
    return DP_OK;
}

/* The distance that is answered, from a metric's score. */
static float distance_of(enum index_metric metric, float score)
{
    float dist = metric == INDEX_COSINE ? 1.0F - score : score;
    return dist > 0.0F ? dist : 0.0F; /* rounding may leave a shade below */
}

/* The exact distance of a row: that of its nearest window. */
static enum dp_status measure(struct finish *f, struct fetched *r)
{
    const struct segment_hot *hot = &r->segment->hot;
    enum index_metric metric = f->run->snapshot->manifest.metric;
    struct span bytes = f->reqs[r->vector_req].bytes.span;
    size_t floats_len = (size_t)hot->dim * 4, len = (size_t)segment_vector_len(hot->dim);
    for (uint64_t v = 0; v < r->vectors; v++) {
        struct span floats = span_of(bytes.data + v * len, floats_len);
        struct cursor sum = cursor_over(span_of(bytes.data + v * len + floats_len, 8));
        if (cursor_u64(&sum) != segment_vector_checksum(floats, r->first_vector + v))
            return call_fail(f->run->call, DP_CORRUPT, "%s: the checksum of vector %llu does not fit",
                             r->segment->dpr_key.text, (unsigned long long)r->first_vector + v);
        float score;
        distance_rows(metric == INDEX_COSINE ? VECTOR_INNER_PRODUCT : VECTOR_L2, f->run->vector, floats.data, 1,
                      hot->dim, &score);
        float dist = distance_of(metric, score);
        if (v == 0 || dist < r->dist)
            r->dist = dist;
    }
    return DP_OK;
}

static int by_distance(const void *a, const void *b)
{
    const struct fetched *left = a, *right = b;
    if (left->dist != right->dist)
        return left->dist < right->dist ? -1 : 1;
    return span_compare(left->document.key, right->document.key); /* empty until documents are found */
}

/* Decompresses what holds the row, unless a row before needed it too. */
static enum dp_status find_document(struct finish *f, struct fetched *r)
{
    struct call *call = f->run->call;
    struct span *raw = &f->raw[r->document_req];
    enum dp_status status = DP_OK;
    if (!raw->data)
        status = segment_inflate(&r->segment->hot, &r->run, f->reqs[r->document_req].bytes.span, call->arena, raw,
                                 &call->error);
    if (status == DP_OK)
        status = segment_find_document(&r->run, *raw, r->candidate->row, &r->document, &call->error);
    struct index_id id;
    if (status == DP_OK && !id_decode(r->document.key, &id))
        status = call_fail(call, DP_CORRUPT, "row %u has an id that is none", (unsigned)r->candidate->row);
    if (status == DP_CORRUPT)
        dp_error_prefix(&call->error, "%s", r->segment->dpr_key.text);
    return status;
}

/* Puts the best top_k rows first, with their documents. */
static enum dp_status choose(struct finish *f, size_t *answered)
{
    size_t k = f->run->query->top_k, tied;
    for (size_t i = 0; i < f->count; i++) {
        enum dp_status status = measure(f, &f->rows[i]);
        if (status)
            return status;
    }
    qsort(f->rows, f->count, sizeof *f->rows, by_distance);
    k = k < f->count ? k : f->count;
    for (tied = k; k && tied < f->count && f->rows[tied].dist == f->rows[k - 1].dist; tied++)
        ;
    for (size_t i = 0; i < tied; i++) {
        enum dp_status status = find_document(f, &f->rows[i]);
        if (status)
            return status;
    }
    qsort(f->rows, tied, sizeof *f->rows, by_distance);
    *answered = k;
    return DP_OK;
}

static bool wanted(const struct index_query *q, struct span name)
{
    for (size_t i = 0; i < q->attribute_count; i++) {
        if (span_equal(q->attributes[i], name))
            return true;
    }
    return false;
}

/* The attributes that the query asks for, as they were given. */
static enum dp_status project(struct query_run *run, struct span json, struct span *out)
{
    const struct index_query *q = run->query;
    struct json_reader r;
    struct json_writer w;
    struct buffer text;
    struct span key, value;
    if (q->all_attributes || q->attribute_count == 0) {
        *out = q->all_attributes ? json : span_str("{}");
        return DP_OK;
    }
    buffer_init(&text, INDEX_DOCUMENT_MAX + 1024);
    json_reader_init(&r, json);
    json_writer_init(&w, &text);
    json_enter_object(&r);
    json_begin_object(&w);
    while (json_next_key(&r, run->call->arena, &key) && json_read_raw(&r, &value)) {
        if (!wanted(q, key))
            continue;
        json_key_span(&w, key);
        json_raw(&w, value);
    }
    json_end_object(&w);
    enum dp_status status =
        json_failed(&r) ? json_error(&r, &run->call->error) : buffer_check(&text, "attributes", &run->call->error);
    if (status == DP_OK) {
        *out = arena_copy(run->call->arena, buffer_span(&text));
        if (!out->data)
            status = call_nomem(run->call, "attributes");
    }
    buffer_deinit(&text);
    return status;
}

static enum dp_status answer(struct finish *f, size_t count, struct index_answer *out)
{
    out->hits = arena_calloc(f->run->call->arena, count + 1, sizeof *out->hits);
    if (!out->hits)
        return call_nomem(f->run->call, "an answer");
    for (size_t i = 0; i < count; i++) {
        struct fetched *r = &f->rows[i];
        struct index_hit *hit = &out->hits[i];
        id_decode(r->document.key, &hit->id); /* checked by find_document; its text is in the arena */
        hit->dist = r->dist;
        enum dp_status status = project(f->run, r->document.json, &hit->attributes);
        if (status)
            return status;
    }
    out->count = count;
    return DP_OK;
}

enum dp_status query_finish(struct query_run *run, struct index_answer *out)
{
    struct finish f = {.run = run};
    struct call *call = run->call;
    size_t count = 0;
    enum dp_status status = plan(&f);
    if (status)
        return status;
    if (f.req_count)
        store_read(call, run->store, f.reqs, f.req_count); /* each request is judged by itself */
    dp_error_clear(&call->error);
    status = call_check(call);
    int64_t begun = os_now_ns();
    for (size_t i = 0; i < f.count && status == DP_OK; i++) {
        const struct fetched *r = &f.rows[i];
        status = snapshot_check_read(&f.reqs[r->vector_req], r->segment->hot.size, &run->gone, &call->error);
        if (status == DP_OK)
            status = snapshot_check_read(&f.reqs[r->document_req], r->segment->hot.size, &run->gone, &call->error);
    }
    if (status == DP_OK)
        status = choose(&f, &count);
    if (status == DP_OK)
        status = answer(&f, count, out);
    store_read_release(f.reqs, f.req_count);
    call->cost.scan_ns += (uint64_t)(os_now_ns() - begun);
    return status;
}
