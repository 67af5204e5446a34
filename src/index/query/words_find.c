/* words_find.c: finds the best rows in the pieces that were read, and in the tail.
 *
 *   1. copy which rows live, and with a filter, find those that match;
 *   2. count: in how many live rows each token is, and how long these rows are;
 *   3. search the postings of each segment (text/maxscore.h), then score the rows of the tail.
 *
 * More rows may tie for the last place than it keeps. Then step 3 happens again with more room for them.
 */
#include "index/query/words_find.h"

#include <inttypes.h>

#include "text/bm25.h"
#include "text/maxscore.h"

enum {
    TIES_FIRST = 256, /* rows that tie for the last place, in the first search */
    TIES_FACTOR = 16  /* how many times more in the next one */
};
#define SCRATCH_MAX ((size_t)256 << 20) /* of one segment's search */

static struct words_token *tokens_of(const struct words_search *w, size_t segment, size_t text)
{
    return w->tokens + segment * w->token_count + w->first_token[text];
}

static bool has_live_rows(const struct words_search *w, size_t segment)
{
    const struct row_set *mask = &w->live.masks[segment];
    return !w->hidden[segment] && (!mask->bits || mask->count < mask->rows);
}

/* Returns a bit for each row of a segment that may be in the answer; NULL: all may. */
static const uint64_t *allowed_rows(const struct words_search *w, size_t segment)
{
    return w->scan->match ? w->bits.segments[segment] : w->allowed[segment];
}

/* Returns whether a row of a segment may be in the answer. */
static bool may_answer(const struct words_search *w, size_t segment)
{
    return has_live_rows(w, segment) && (!w->scan->match || w->bits.segments[segment]);
}

static bool record_matches(const struct words_search *w, const struct wal_record *record)
{
    return !w->scan->match || w->scan->match(w->scan->match_ctx, record->key, record->document);
}

/* ---- which rows live ------------------------------------------------------------------------------------ */

/* Turns a mask into a bit for each row that lives. */
static enum dp_status make_allowed(struct words_search *w, size_t segment)
{
    const struct row_set *mask = &w->live.masks[segment];
    const size_t bytes = (size_t)(mask->rows / 8 + 1);
    if (!mask->bits || mask->count == 0)
        return DP_OK;
    uint64_t *allowed = arena_calloc(&w->arena, bytes / 8 + 1, sizeof *allowed);
    if (!allowed)
        return call_nomem(w->run->call, "a search of words");
    for (size_t i = 0; i < bytes; i++)
        allowed[i / 8] |= (uint64_t)(uint8_t)~mask->bits[i] << (i % 8 * 8);
    w->allowed[segment] = allowed;
    return DP_OK;
}

/* Copies which rows live. *same: the view has the loads that words_begin() saw. */
static enum dp_status take_live(struct words_search *w, bool *same)
{
    struct view *view = w->run->view;
    enum dp_status status = live_rows_take_all(w->run->call, view, &w->live);
    view_lock(view);
    *same = view->locked.attached == w->attached;
    view_unlock(view);
    for (size_t s = 0; s < w->segment_count && status == DP_OK && *same; s++)
        status = make_allowed(w, s);
    return status;
}

/* ---- lists ---------------------------------------------------------------------------------------------- */

/* Makes a list of the rows in `set`, each with frequency 1. */
static enum dp_status list_of_set(struct words_search *w, const uint64_t *set, uint32_t rows,
                                  struct words_token *token)
{
    const uint32_t words = rows / 64 + 1;
    uint32_t count = 0, at = 0;
    struct buffer bytes;
    for (uint32_t i = 0; i < words; i++)
        count += (uint32_t)__builtin_popcountll(set[i]);
    token->found = count > 0;
    if (!count)
        return DP_OK;
    uint32_t *numbers = arena_array(&w->arena, count, sizeof *numbers);
    uint32_t *tfs = arena_array(&w->arena, count, sizeof *tfs);
    uint8_t *codes = arena_calloc(&w->arena, count, sizeof *codes);
    if (!numbers || !tfs || !codes)
        return call_nomem(w->run->call, "a search of words");
    for (uint32_t i = 0; i < words; i++) {
        for (uint64_t bits = set[i]; bits; bits &= bits - 1) {
            numbers[at] = i * 64 + (uint32_t)__builtin_ctzll(bits);
            tfs[at++] = 1;
        }
    }
    buffer_init(&bytes, INT32_MAX);
    postings_encode(&bytes, numbers, tfs, codes, count, true);
    enum dp_status status = buffer_check(&bytes, "a search of words", &w->run->call->error);
    struct span copy = status == DP_OK ? arena_copy(&w->arena, buffer_span(&bytes)) : (struct span){0};
    buffer_deinit(&bytes);
    if (status == DP_OK && !copy.data)
        status = call_nomem(w->run->call, "a search of words");
    return status == DP_OK ? postings_open(&w->arena, copy, count, rows, NULL, &token->list, &w->run->call->error)
                           : status;
}

/* Makes the list of the rows that have a token with the prefix. */
static enum dp_status open_prefix(struct words_search *w, size_t segment, uint32_t column, struct span prefix,
                                  struct words_token *token)
{
    const struct text_index *index = words_segment(w, segment)->words;
    const struct term_range *range = &token->range;
    struct span *blocks = arena_array(&w->arena, (size_t)range->block_count + 1, sizeof *blocks);
    struct span *frequent = arena_array(&w->arena, (size_t)range->frequent_count + 1, sizeof *frequent);
    uint64_t *set = arena_calloc(&w->arena, (size_t)index->rows / 64 + 1, sizeof *set);
    if (!blocks || !frequent || !set)
        return call_nomem(w->run->call, "a search of words");
    for (uint32_t i = 0; i < range->block_count; i++)
        blocks[i] = words_bytes(w, segment, false, range->block + i);
    for (uint32_t i = 0; i < range->frequent_count; i++)
        frequent[i] = words_bytes(w, segment, true, range->frequent + i);
    enum dp_status status =
        term_range_rows(&w->arena, index, range, blocks, frequent, column, prefix, set, &w->run->call->error);
    return status == DP_OK ? list_of_set(w, set, index->rows, token) : status;
}

static enum dp_status open_list(struct words_search *w, size_t segment, size_t number, size_t t)
{
    const struct rank_token *token = &w->rank->texts[number].tokens[t];
    const uint32_t column = w->columns[segment * w->rank->text_count + number];
    struct words_token *here = &tokens_of(w, segment, number)[t];
    if (token->prefix)
        return open_prefix(w, segment, column, token->text, here);
    const struct span bytes =
        here->place.where == TEXT_NOWHERE
            ? (struct span){0}
            : words_bytes(w, segment, here->place.where == TEXT_IN_POSTINGS, here->place.number);
    return term_place_open(&w->arena, words_segment(w, segment)->words, &here->place, bytes, column, token->text,
                           &here->found, &here->list, &w->run->call->error);
}

/* ---- counts --------------------------------------------------------------------------------------------- */

/* Returns whether a row in [from, to] is masked. */
static bool any_masked(const struct row_set *mask, uint32_t from, uint32_t to)
{
    for (uint32_t byte = from / 8; byte <= to / 8; byte++) {
        if (mask->bits[byte])
            return true;
    }
    return false;
}

/* Counts the postings of rows that live. */
static enum dp_status count_rows(struct words_search *w, size_t segment, const struct postings *list,
                                 uint64_t *rows)
{
    const struct row_set *mask = &w->live.masks[segment];
    struct postings_run run;
    *rows = list->df;
    for (uint32_t b = 0; w->allowed[segment] && b < list->block_count; b++) {
        if (!any_masked(mask, list->blocks[b].before, list->blocks[b].last))
            continue;
        if (!postings_decode(list, b, &run))
            return call_fail(w->run->call, DP_CORRUPT, "the postings of a term are damaged");
        for (uint32_t i = 0; i < run.count; i++)
            *rows -= row_set_has(mask, run.rows[i]);
    }
    return DP_OK;
}

/* Adds the rows with a token in the text, and their lengths, of a segment. */
static void count_lengths(struct words_search *w, size_t segment, size_t number)
{
    struct rank_text *text = &w->rank->texts[number];
    const struct text_index *index = words_segment(w, segment)->words;
    const struct row_set *mask = &w->live.masks[segment];
    const uint32_t column = w->columns[segment * w->rank->text_count + number];
    uint64_t rows = index->columns[column].filled, lengths = index->columns[column].lengths;
    if (w->allowed[segment] && index->codes) {
        const uint8_t *codes = index->codes + (size_t)column * index->rows;
        for (uint32_t row = 0; row < index->rows; row++) {
            const bool lost = row_set_has(mask, row) && codes[row];
            rows -= lost;
            lengths -= lost ? bm25_length_of(codes[row]) : 0;
        }
    } else if (w->allowed[segment]) {
        const double live = (double)(mask->rows - mask->count) / (double)mask->rows;
        rows = (uint64_t)((double)rows * live + 0.5);
        lengths = (uint64_t)((double)lengths * live + 0.5);
    }
    text->rows += rows;
    text->lengths += lengths;
}

/* Opens the lists of a segment and adds up what it has. */
static enum dp_status count_segment(struct words_search *w, size_t segment)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < w->rank->text_count && status == DP_OK; i++) {
        struct rank_text *text = &w->rank->texts[i];
        for (size_t t = 0; t < text->count && status == DP_OK; t++) {
            const struct words_token *token = &tokens_of(w, segment, i)[t];
            uint64_t rows = 0;
            status = open_list(w, segment, i, t);
            if (status == DP_OK && token->found)
                status = count_rows(w, segment, &token->list, &rows);
            text->tokens[t].rows += rows;
        }
        if (status == DP_OK)
            count_lengths(w, segment, i);
    }
    if (status == DP_CORRUPT)
        dp_error_prefix(&w->run->call->error, "%s", words_segment(w, segment)->dpr_key.text);
    return status == DP_OK ? call_check(w->run->call) : status;
}

/* Returns whether the row that was counted last has a token of the query. */
static bool row_has_token(const struct rank *rank)
{
    for (size_t i = 0; i < rank->text_count; i++) {
        for (size_t t = 0; t < rank->texts[i].count; t++) {
            if (rank->texts[i].tokens[t].in_row)
                return true;
        }
    }
    return false;
}

static enum dp_status count_tail(struct words_search *w)
{
    uint32_t *matches = arena_array(&w->arena, w->live.tail_count + 1, sizeof *matches);
    enum dp_status status = matches ? DP_OK : call_nomem(w->run->call, "a search of words");
    for (size_t i = 0; i < w->live.tail_count && status == DP_OK; i++) {
        status = rank_count(w->rank, w->live.tail[i]->document, &w->run->call->error);
        if (status == DP_OK && row_has_token(w->rank) && record_matches(w, w->live.tail[i]))
            matches[w->match_count++] = (uint32_t)i;
        if (status == DP_OK && i % 256 == 0)
            status = call_check(w->run->call);
    }
    w->matches = matches;
    return status;
}

static enum dp_status count_all(struct words_search *w)
{
    enum dp_status status = DP_OK;
    rank_reset(w->rank);
    for (size_t s = 0; s < w->segment_count && status == DP_OK; s++) {
        if (has_live_rows(w, s))
            status = count_segment(w, s);
    }
    if (status == DP_OK)
        status = count_tail(w);
    rank_begin(w->rank);
    return status;
}

/* ---- the search ----------------------------------------------------------------------------------------- */

/* Makes the clauses of the query in one segment. */
static void make_clauses(const struct words_search *w, size_t segment, struct text_clause *clauses)
{
    for (size_t g = 0; g < w->form.count; g++) {
        const struct rank_node *node = w->form.groups[g].node;
        const struct rank_text *text = &w->rank->texts[node->text];
        for (size_t i = 0; i < node->term_count; i++) {
            const struct rank_token *token = &text->tokens[node->terms[i].token];
            const struct words_token *here = &tokens_of(w, segment, node->text)[node->terms[i].token];
            struct text_clause *c = clauses++;
            *c = (struct text_clause){.list = here->found ? &here->list : NULL,
                                      .group = (uint32_t)g,
                                      .weight = 1, /* without k1, a prefix scores just that */
                                      .average = text->average};
            if (token->prefix)
                continue;
            c->weight = bm25_repeat(node->terms[i].times, text->settings.k3) * token->idf;
            c->k1 = text->settings.k1;
            c->b = text->settings.b;
        }
    }
}

static enum dp_status search_segment(struct words_search *w, size_t segment, struct arena *scratch)
{
    struct text_search search = {.group_count = w->form.count,
                                 .largest = w->form.largest,
                                 .source = (uint32_t)segment,
                                 .rows = words_segment(w, segment)->words->rows,
                                 .allowed = allowed_rows(w, segment)};
    for (size_t g = 0; g < w->form.count; g++)
        search.count += w->form.groups[g].node->term_count;
    struct text_clause *clauses = arena_array(scratch, search.count + 1, sizeof *clauses);
    double *weights = arena_array(scratch, w->form.count + 1, sizeof *weights);
    if (!clauses || !weights)
        return call_nomem(w->run->call, "a search of words");
    make_clauses(w, segment, clauses);
    for (size_t g = 0; g < w->form.count; g++)
        weights[g] = w->form.groups[g].weight;
    search.clauses = clauses;
    search.group_weights = weights;
    enum dp_status status = text_search_run(scratch, &search, &w->top, &w->run->call->error);
    if (status == DP_CORRUPT)
        dp_error_prefix(&w->run->call->error, "%s", words_segment(w, segment)->dpr_key.text);
    return status == DP_OK ? call_check(w->run->call) : status;
}

static enum dp_status search_tail(struct words_search *w)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < w->match_count && status == DP_OK; i++) {
        const struct wal_record *record = w->live.tail[w->matches[i]];
        struct scored_row row = {.source = (uint32_t)w->segment_count, .row = w->matches[i]};
        status = rank_score_part(w->rank, w->form.node, record->key, record->document, &row.score,
                                 &w->run->call->error);
        if (status == DP_OK)
            text_top_offer(&w->top, row);
        if (status == DP_OK && i % 256 == 0)
            status = call_check(w->run->call);
    }
    return status;
}

/* Finds the best rows, with at most `ties` others that tie with the last of them. */
static enum dp_status search_all(struct words_search *w, size_t ties)
{
    struct arena scratch;
    arena_init(&scratch, SCRATCH_MAX);
    enum dp_status status = text_top_init(&w->top, &w->arena, w->run->query->top_k, ties, &w->run->call->error);
    for (size_t s = 0; s < w->segment_count && status == DP_OK; s++) {
        if (may_answer(w, s))
            status = search_segment(w, s, &scratch);
        arena_reset(&scratch);
    }
    arena_deinit(&scratch);
    return status == DP_OK ? search_tail(w) : status;
}

enum dp_status words_find(struct words_search *w, bool *found)
{
    bool same = false;
    *found = true;
    enum dp_status status = take_live(w, &same);
    if (status == DP_OK && !same)
        w->run->outcome = QUERY_VIEW_MOVED;
    if (status != DP_OK || !same)
        return status;
    if (w->scan->match)
        status = filter_bits_make(w->run->call, &w->live, w->scan, &w->bits);
    if (status == DP_OK)
        status = count_all(w);
    for (size_t ties = TIES_FIRST; status == DP_OK && ties <= WORDS_TIES_MAX; ties *= TIES_FACTOR) {
        status = search_all(w, ties);
        if (status != DP_OK || !w->top.ties_lost)
            return status;
    }
    *found = false;
    return status;
}
