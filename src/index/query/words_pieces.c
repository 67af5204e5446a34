/* words_pieces.c: chooses the pieces of text indexes that a search needs, and reads them. */
#include "index/query/words_pieces.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/array.h"
#include "index/row_text.h"
#include "text/maxscore.h"

#define ARENA_MAX ((size_t)1 << 30)

/* ---- what a search is about ---------------------------------------------------------------------------- */

/* Returns whether the expression's BM25s are few and short enough. */
static bool terms_fit(const struct rank_words *form, const struct rank *rank)
{
    size_t terms = 0;
    for (size_t g = 0; g < form->count; g++)
        terms += form->groups[g].node->term_count;
    for (size_t i = 0; i < rank->text_count; i++) {
        const struct rank_text *text = &rank->texts[i];
        for (size_t p = 0; p < text->prefix_count; p++) {
            if (text->tokens[text->prefixes[p]].text.len > TERM_PREFIX_MAX)
                return false;
        }
    }
    return terms <= TEXT_CLAUSES_MAX;
}

/* Finds the column of a text in each segment. Returns false if one is missing. */
static bool find_columns(struct words_search *w, size_t number)
{
    const struct rank_text *text = &w->rank->texts[number];
    const uint64_t wanted = row_text_column(text->attribute, &text->settings);
    for (size_t s = 0; s < w->segment_count; s++) {
        const struct text_index *index = words_segment(w, s)->words;
        if (w->hidden[s])
            continue;
        const int64_t column = index ? text_index_column_of(index, wanted) : -1;
        if (column < 0)
            return false;
        w->columns[s * w->rank->text_count + number] = (uint32_t)column;
    }
    return true;
}

/* Returns whether the namespace has the attribute of a text with the settings of the rank. */
static bool settings_hold(const struct words_search *w, const struct rank_text *text)
{
    const struct attribute *a = schema_find(&w->run->snapshot->manifest.schema, text->attribute->name);
    struct text_settings now;
    struct dp_error error;
    bool found = false;
    return a && row_text_settings(a, &now, &found, &error) == DP_OK && found && now.k1 == text->settings.k1 &&
           now.b == text->settings.b && now.k3 == text->settings.k3 &&
           text_settings_hash(&now) == text_settings_hash(&text->settings);
}

/* Notes which segments do not count now, because their load is not attached. */
static void note_hidden(struct words_search *w)
{
    view_lock(w->run->view);
    w->attached = w->run->view->locked.attached;
    for (size_t s = 0; s < w->segment_count; s++)
        w->hidden[s] = view_hides(w->run->view, s);
    view_unlock(w->run->view);
}

/* ---- pieces -------------------------------------------------------------------------------------------- */

static enum dp_status add_piece(struct words_search *w, size_t segment, bool postings, uint32_t number)
{
    const struct text_index *index = words_segment(w, segment)->words;
    struct words_piece *pieces = array_reserve(w->pieces, w->piece_count, &w->piece_room, sizeof *pieces, 64);
    if (!pieces)
        return call_nomem(w->run->call, "a search of words");
    w->pieces = pieces;
    pieces[w->piece_count++] =
        (struct words_piece){.segment = (uint32_t)segment,
                             .number = number,
                             .postings = postings,
                             .piece = postings ? &index->frequent[number] : &index->blocks[number]};
    return DP_OK;
}

/* Adds the pieces of a prefix. */
static enum dp_status add_range(struct words_search *w, size_t segment, const struct term_range *range)
{
    enum dp_status status = DP_OK;
    for (uint32_t i = 0; i < range->block_count && status == DP_OK; i++)
        status = add_piece(w, segment, false, range->block + i);
    for (uint32_t i = 0; i < range->frequent_count && status == DP_OK; i++)
        status = add_piece(w, segment, true, range->frequent + i);
    return status;
}

static enum dp_status place_tokens(struct words_search *w, size_t segment, size_t number)
{
    const struct rank_text *text = &w->rank->texts[number];
    const struct text_index *index = words_segment(w, segment)->words;
    const uint32_t column = w->columns[segment * w->rank->text_count + number];
    struct words_token *tokens = w->tokens + segment * w->token_count + w->first_token[number];
    enum dp_status status = DP_OK;
    for (size_t t = 0; t < text->count && status == DP_OK; t++) {
        if (text->tokens[t].prefix) {
            tokens[t].range = text_index_range(index, column, text->tokens[t].text);
            status = add_range(w, segment, &tokens[t].range);
            continue;
        }
        tokens[t].place = text_index_find(index, column, text->tokens[t].text);
        if (tokens[t].place.where != TEXT_NOWHERE)
            status = add_piece(w, segment, tokens[t].place.where == TEXT_IN_POSTINGS, tokens[t].place.number);
    }
    return status;
}

static int compare_pieces(const void *a, const void *b)
{
    const struct words_piece *left = a, *right = b;
    if (left->segment != right->segment)
        return left->segment < right->segment ? -1 : 1;
    if (left->postings != right->postings)
        return left->postings ? 1 : -1;
    return left->number < right->number ? -1 : left->number > right->number;
}

/* Sorts the pieces and drops repetitions. Returns whether they are few enough. */
static bool sort_pieces(struct words_search *w)
{
    uint64_t bytes = 0;
    size_t kept = 0;
    if (w->piece_count)
        qsort(w->pieces, w->piece_count, sizeof *w->pieces, compare_pieces);
    for (size_t i = 0; i < w->piece_count; i++) {
        if (kept && compare_pieces(&w->pieces[kept - 1], &w->pieces[i]) == 0)
            continue;
        w->pieces[kept++] = w->pieces[i];
        bytes += w->pieces[i].piece->len;
    }
    w->piece_count = kept;
    return bytes <= WORDS_BYTES_MAX;
}

/* Returns whether the pieces of prefixes have few enough bytes. */
static bool prefixes_fit(const struct words_search *w)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < w->segment_count * w->token_count; i++) {
        const struct term_range *range = &w->tokens[i].range;
        const struct text_index *index = words_segment(w, i / w->token_count)->words;
        for (uint32_t p = 0; p < range->block_count; p++)
            bytes += index->blocks[range->block + p].len;
        for (uint32_t p = 0; p < range->frequent_count; p++)
            bytes += index->frequent[range->frequent + p].len;
    }
    return bytes <= WORDS_PREFIX_BYTES_MAX;
}

static enum dp_status choose_pieces(struct words_search *w)
{
    enum dp_status status = DP_OK;
    for (size_t s = 0; s < w->segment_count; s++) {
        for (size_t i = 0; i < w->rank->text_count && status == DP_OK && !w->hidden[s]; i++)
            status = place_tokens(w, s, i);
    }
    return status;
}

static bool make_arrays(struct words_search *w)
{
    const size_t segments = w->segment_count + 1, texts = w->rank->text_count + 1;
    w->first_token = arena_array(&w->arena, texts, sizeof *w->first_token);
    w->columns = arena_calloc(&w->arena, segments * texts, sizeof *w->columns);
    w->hidden = arena_calloc(&w->arena, segments, sizeof *w->hidden);
    w->allowed = arena_calloc(&w->arena, segments, sizeof(uint64_t *));
    if (!w->first_token || !w->columns || !w->hidden || !w->allowed)
        return false;
    for (size_t i = 0; i < w->rank->text_count; i++) {
        w->first_token[i] = w->token_count;
        w->token_count += w->rank->texts[i].count;
    }
    w->tokens = arena_calloc(&w->arena, segments * (w->token_count + 1), sizeof *w->tokens);
    return w->tokens != NULL;
}

/* Chooses the pieces. *fits: whether the indexes can answer. */
static enum dp_status plan_search(struct words_search *w, bool *fits)
{
    if (!make_arrays(w))
        return call_nomem(w->run->call, "a search of words");
    note_hidden(w);
    *fits = true;
    for (size_t i = 0; i < w->rank->text_count && *fits; i++)
        *fits = settings_hold(w, &w->rank->texts[i]) && find_columns(w, i);
    if (!*fits)
        return DP_OK;
    enum dp_status status = choose_pieces(w);
    *fits = status == DP_OK && prefixes_fit(w) && sort_pieces(w);
    return status;
}

enum dp_status words_begin(struct query_run *run, const struct index_scan *scan, struct words_search **out)
{
    struct rank_words form;
    bool fits;
    *out = NULL;
    enum dp_status status = rank_words_find(scan->rank, &form, &fits, &run->call->error);
    if (status != DP_OK || !fits || !terms_fit(&form, scan->rank))
        return status;
    struct words_search *w = mem_calloc(1, sizeof *w);
    if (!w)
        return call_nomem(run->call, "a search of words");
    *w = (struct words_search){.run = run,
                               .scan = scan,
                               .rank = scan->rank,
                               .form = form,
                               .segment_count = run->snapshot->manifest.segment_count};
    arena_init(&w->arena, ARENA_MAX);
    status = plan_search(w, &fits);
    if (status == DP_OK && fits)
        *out = w;
    else
        words_free(w);
    return status;
}

void words_free(struct words_search *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->taken; i++)
        store_read_release(&w->pieces[i].answer, 1);
    filter_bits_deinit(&w->bits);
    if (w->live.view)
        live_rows_deinit(&w->live);
    mem_free(w->pieces);
    arena_deinit(&w->arena);
    mem_free(w);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

bool words_ask(struct words_search *w, struct round *round)
{
    for (; w->asked < w->piece_count; w->asked++) {
        struct words_piece *p = &w->pieces[w->asked];
        const struct segment *segment = words_segment(w, p->segment);
        const struct segment_section *section =
            segment_section(&segment->hot, p->postings ? SECTION_POSTINGS : SECTION_TERMS);
        const struct store_read_req req = {.key = object_key_span(&segment->dpr_key),
                                           .offset = section->offset + p->piece->at,
                                           .len = (int64_t)p->piece->len,
                                           .pinned = &segment->dpr_version};
        if (!round_takes(round, p->piece->len, 1))
            return false;
        p->handle = round_ask(round, &req);
    }
    return true;
}

enum dp_status words_take(struct words_search *w, struct round *round)
{
    for (; w->taken < w->asked; w->taken++) {
        struct words_piece *p = &w->pieces[w->taken];
        enum dp_status status = fetch_check(round, words_segment(w, p->segment), p->handle);
        if (status)
            return status;
        p->answer = round_take(round, p->handle);
    }
    return DP_OK;
}

struct span words_bytes(const struct words_search *w, size_t segment, bool postings, uint32_t number)
{
    const struct words_piece wanted = {.segment = (uint32_t)segment, .number = number, .postings = postings};
    const struct words_piece *found =
        w->taken ? bsearch(&wanted, w->pieces, w->taken, sizeof wanted, compare_pieces) : NULL;
    return found ? found->answer.bytes.span : (struct span){0};
}
