/* words.c: answers a query by words: runs the search, and reads the documents of the best rows.
 *
 * Ids order rows with equal scores, and ids are in documents. If few rows tie for the last place, their documents are
 * read together with those of the answer. If many rows tie, an extra round reads all their documents first, to
 * choose.
 */
#include "index/query/words.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "os/clock.h"

enum { TIES_READ = 64 }; /* rows that tie with the last place, and that are read with the answer */

/* A row that is in the answer, or that ties with its last one. */
struct words_row {
    double score;
    struct fetch_place place;
    const struct wal_record *record; /* of a row of the tail; else NULL */
    struct span key;
    struct index_hit hit;
};

struct words_rows {
    struct words_search *w;
    struct words_row *rows; /* [count]: those of segments by place, then those of the tail */
    size_t count, stored;   /* rows; those of segments */
    bool keys;              /* only their keys are wanted */
};

static int compare_places(const void *a, const void *b)
{
    const struct words_row *left = a, *right = b;
    if (left->record || right->record)
        return (left->record != NULL) - (right->record != NULL);
    return fetch_compare_places(&left->place, &right->place);
}

static int compare_rows(const void *a, const void *b)
{
    const struct words_row *left = a, *right = b;
    if (left->score != right->score)
        return left->score > right->score ? -1 : 1;
    return span_compare(left->key, right->key);
}

static void add_row(struct words_rows *r, const struct scored_row *scored)
{
    const struct words_search *w = r->w;
    struct words_row *row = &r->rows[r->count++];
    *row = (struct words_row){.score = scored->score};
    if (scored->source == w->segment_count)
        row->record = w->live.tail[scored->row];
    else
        row->place = (struct fetch_place){scored->source, scored->row};
}

/* Takes a row's key, and its document if that is wanted. */
static enum dp_status take_row(struct words_rows *r, struct words_row *row, struct span key, struct span document,
                               const void *vector)
{
    struct query_run *run = r->w->run;
    row->key = arena_copy(run->call->arena, key);
    if (!row->key.data)
        return call_nomem(run->call, "an answer");
    return r->keys ? DP_OK : query_make_hit(run, key, document, vector, &row->hit);
}

static enum dp_status take_fetched(void *context, size_t i, const struct fetched_row *row)
{
    struct words_rows *r = context;
    const void *vector = row->windows ? fetch_floats(row->segment, row->vectors, 0).data : NULL;
    return take_row(r, &r->rows[i], row->key, row->document, vector);
}

/* Reads the rows and sorts them. */
static enum dp_status read_rows(struct words_rows *r)
{
    struct query_run *run = r->w->run;
    const unsigned parts = FETCH_DOCUMENTS | (run->query->with_vectors && !r->keys ? FETCH_VECTORS : 0);
    struct fetch_place *places = arena_array(run->call->arena, r->count + 1, sizeof *places);
    if (!places)
        return call_nomem(run->call, "an answer");
    if (r->count)
        qsort(r->rows, r->count, sizeof *r->rows, compare_places);
    for (r->stored = 0; r->stored < r->count && !r->rows[r->stored].record; r->stored++)
        places[r->stored] = r->rows[r->stored].place;
    enum dp_status status = fetch_rows(run->call, run->store, run->round_bytes, run->snapshot, places, r->stored,
                                       parts, take_fetched, r);
    for (size_t i = r->stored; i < r->count && status == DP_OK; i++) {
        const struct wal_record *record = r->rows[i].record;
        status = take_row(r, &r->rows[i], record->key, record->document, record->vectors);
    }
    if (status == DP_OK && r->count)
        qsort(r->rows, r->count, sizeof *r->rows, compare_rows);
    return status;
}

/* Leaves of the rows those of the answer, if reading them all would cost too much. */
static enum dp_status choose_ties(struct words_rows *r)
{
    const struct text_top *top = &r->w->top;
    if (top->tie_count <= TIES_READ)
        return DP_OK;
    const double last = top->rows[0].score;
    size_t above = 0, all = r->count;
    for (size_t i = 0; i < all; i++) {
        if (r->rows[i].score > last) {
            const struct words_row row = r->rows[above];
            r->rows[above++] = r->rows[i];
            r->rows[i] = row;
        }
    }
    struct words_rows tied = {.w = r->w, .rows = r->rows + above, .count = all - above, .keys = true};
    enum dp_status status = read_rows(&tied);
    r->count = top->k;
    return status;
}

enum dp_status words_answer(struct words_search *w, struct index_answer *out)
{
    struct call *call = w->run->call;
    struct words_rows r = {.w = w};
    r.rows = arena_array(call->arena, w->top.count + w->top.tie_count + 1, sizeof *r.rows);
    out->hits = arena_calloc(call->arena, w->top.k + 1, sizeof *out->hits);
    if (!r.rows || !out->hits)
        return call_nomem(call, "an answer");
    for (size_t i = 0; i < w->top.count; i++)
        add_row(&r, &w->top.rows[i]);
    for (size_t i = 0; i < w->top.tie_count; i++)
        add_row(&r, &w->top.ties[i]);
    enum dp_status status = choose_ties(&r);
    if (status == DP_OK)
        status = read_rows(&r);
    out->count = w->top.count;
    out->plan = (struct index_plan){.rule = INDEX_RULE_WORDS, .lists = w->piece_count};
    for (size_t i = 0; i < w->piece_count; i++)
        out->plan.list_bytes += w->pieces[i].piece->len;
    for (size_t i = 0; i < out->count && status == DP_OK; i++) {
        out->hits[i] = r.rows[i].hit;
        out->hits[i].dist = rank_dist(w->form.factor * r.rows[i].score);
    }
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

/* The request to index_words(). */
struct words_request {
    const struct index_scan *scan;
    bool answered;
};

/* Reads the pieces. The first round also asks about the view. */
static enum dp_status read_pieces(struct query_run *run, struct words_search *w)
{
    struct round round;
    struct view_question question;
    bool check = run->check_current, done = false;
    round_init(&round, run->call, run->store, run->round_bytes);
    enum dp_status status = query_ask_view(run, &round, &question);
    while (status == DP_OK && run->outcome == QUERY_ANSWERED && !done) {
        done = words_ask(w, &round);
        status = query_read_round(run, &round, &question, check);
        if (status == DP_OK && run->outcome == QUERY_ANSWERED)
            status = words_take(w, &round);
        round_release(&round);
        check = false;
    }
    round_deinit(&round);
    return status;
}

/* Runs the search over one view. */
static enum dp_status run_words(struct query_run *run, struct index_answer *out)
{
    struct words_request *request = run->context;
    struct words_search *w = NULL;
    request->answered = false;
    enum dp_status status = query_check(run->call, run->query, &run->snapshot->manifest);
    if (status == DP_OK)
        status = words_begin(run, request->scan, &w);
    if (status == DP_OK && w)
        status = read_pieces(run, w);
    const int64_t begun = os_now_ns();
    if (status == DP_OK && w && run->outcome == QUERY_ANSWERED)
        status = words_find(w, &request->answered);
    run->call->cost.scan_ns += (uint64_t)(os_now_ns() - begun);
    if (status == DP_OK && request->answered && run->outcome == QUERY_ANSWERED)
        status = words_answer(w, out);
    words_free(w);
    return status;
}

enum dp_status index_words(struct call *call, struct index_reader *reader, const struct index_scan *scan,
                           bool *answered, struct index_answer *out)
{
    struct words_request request = {.scan = scan};
    *answered = false;
    *out = (struct index_answer){0};
    if (!scan->rank || scan->group || scan->visit)
        return DP_OK;
    enum dp_status status = query_over_views(call, reader, &scan->query, run_words, &request, out);
    *answered = request.answered;
    return status;
}
