/* token_sets.c: finds the pieces of the text indexes that a filter needs, reads them, and makes a set of rows of each
 * comparison. */
#include "index/query/token_sets.h"

#include "base/alloc.h"
#include "base/array.h"
#include "filter/filter_node.h"
#include "filter/tokens.h"
#include "index/query/reader.h"
#include "index/row_text.h"
#include "text/index.h"
#include "text/term_key.h"

enum { NODES_MAX = 16, LISTS_MAX = 256 << 20 /* memory of the open lists of one comparison */ };
#define SETS_BYTES_MAX   ((uint64_t)64 << 20) /* memory of all sets */
#define PREFIX_BYTES_MAX ((uint64_t)16 << 20) /* that one prefix needs in a segment */

/* A piece of a segment's index. */
struct token_piece {
    size_t segment;
    uint32_t number;
    bool postings;
    uint32_t len;
    uint64_t at;
    size_t handle;
    struct store_read_req answer; /* once it is read */
};

/* A comparison in one segment. */
struct token_task {
    const struct filter_node *node;
    struct tokens_shown shown;
    size_t segment;
    uint32_t column;
    size_t first; /* of its pieces; those of a token, or of the prefix, follow those of the one before */
    uint64_t *rows;
};

struct token_run {
    struct call *call;
    const struct live_rows *live;
    struct arena *arena;
    const struct filter_node *nodes[NODES_MAX]; /* [node_count]: comparisons over tokens */
    uint64_t columns[NODES_MAX];                /* [node_count]: as row_text_column() */
    size_t node_count;
    struct token_task *tasks; /* [task_count], by segment */
    size_t task_count, task_room;
    struct token_piece *pieces; /* [piece_count] */
    size_t piece_count, piece_room, taken;
    uint64_t bytes; /* of the sets */
};

static const struct segment *segment_of(const struct token_run *r, size_t i)
{
    return r->live->view->base->segments[i].segment;
}

/* ---- what to read --------------------------------------------------------------------------------------- */

/* Finds the comparisons over tokens, at most NODES_MAX. */
static void find_nodes(struct token_run *r, const struct filter_node *node)
{
    for (size_t i = 0; i < node->count; i++)
        find_nodes(r, node->children[i]);
    if (node->op != FILTER_TEXT || !node->slot->known || !text_condition_tokens(node->operand.text) ||
        r->node_count == NODES_MAX)
        return;
    const struct attribute attribute = {.name = node->slot->name};
    struct tokens_shown shown;
    tokens_show(text_condition_tokens(node->operand.text), &shown);
    r->columns[r->node_count] = row_text_column(&attribute, shown.settings);
    r->nodes[r->node_count++] = node;
}

/* Returns whether the keys of all tokens say the tokens whole. */
static bool tokens_fit(const struct token_query *tokens, const struct tokens_shown *shown)
{
    for (size_t i = 0; i < shown->count; i++) {
        if (tokens_text(tokens, i).len > TERM_PREFIX_MAX)
            return false;
    }
    return !shown->has_prefix || shown->prefix.len <= TERM_PREFIX_MAX;
}

static enum dp_status add_piece(struct token_run *r, size_t segment, bool postings, uint32_t number)
{
    const struct text_index *index = segment_of(r, segment)->words;
    const struct text_piece *piece = postings ? &index->frequent[number] : &index->blocks[number];
    struct token_piece *pieces = array_reserve(r->pieces, r->piece_count, &r->piece_room, sizeof *pieces, 64);
    if (!pieces)
        return call_nomem(r->call, "the tokens of a filter");
    r->pieces = pieces;
    pieces[r->piece_count++] = (struct token_piece){
        .segment = segment, .number = number, .postings = postings, .len = piece->len, .at = piece->at};
    return DP_OK;
}

/* Returns the bytes of the pieces of a prefix. */
static uint64_t range_bytes(const struct text_index *index, const struct term_range *range)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < range->block_count; i++)
        bytes += index->blocks[range->block + i].len;
    for (uint32_t i = 0; i < range->frequent_count; i++)
        bytes += index->frequent[range->frequent + i].len;
    return bytes;
}

/* Adds the pieces of a comparison: those of its tokens, then those of its prefix. */
static enum dp_status add_pieces(struct token_run *r, const struct token_task *task)
{
    const struct token_query *tokens = text_condition_tokens(task->node->operand.text);
    const struct text_index *index = segment_of(r, task->segment)->words;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < task->shown.count && status == DP_OK; i++) {
        const struct term_place place = text_index_find(index, task->column, tokens_text(tokens, i));
        if (place.where != TEXT_NOWHERE)
            status = add_piece(r, task->segment, place.where == TEXT_IN_POSTINGS, place.number);
    }
    if (!task->shown.has_prefix)
        return status;
    const struct term_range range = text_index_range(index, task->column, task->shown.prefix);
    for (uint32_t i = 0; i < range.block_count && status == DP_OK; i++)
        status = add_piece(r, task->segment, false, range.block + i);
    for (uint32_t i = 0; i < range.frequent_count && status == DP_OK; i++)
        status = add_piece(r, task->segment, true, range.frequent + i);
    return status;
}

/* Adds a comparison in a segment, if its index knows the attribute and the set is cheap. */
static enum dp_status add_task(struct token_run *r, size_t n, size_t segment)
{
    const struct filter_node *node = r->nodes[n];
    const struct text_index *index = segment_of(r, segment)->words;
    const struct token_query *tokens = text_condition_tokens(node->operand.text);
    struct token_task task = {.node = node, .segment = segment, .first = r->piece_count};
    tokens_show(tokens, &task.shown);
    const int64_t column = text_index_column_of(index, r->columns[n]);
    if (column < 0 || !tokens_fit(tokens, &task.shown))
        return DP_OK;
    task.column = (uint32_t)column;
    if (task.shown.has_prefix) {
        const struct term_range range = text_index_range(index, task.column, task.shown.prefix);
        if (range_bytes(index, &range) > PREFIX_BYTES_MAX)
            return DP_OK;
    }
    const size_t words = column_page_count(index->rows) * COLUMN_PAGE_WORDS;
    if (r->bytes + words * sizeof *task.rows > SETS_BYTES_MAX)
        return DP_OK;
    r->bytes += words * sizeof *task.rows;
    task.rows = arena_calloc(r->arena, words + 1, sizeof *task.rows);
    struct token_task *tasks = array_reserve(r->tasks, r->task_count, &r->task_room, sizeof *tasks, 16);
    if (tasks)
        r->tasks = tasks;
    if (!task.rows || !tasks)
        return call_nomem(r->call, "the tokens of a filter");
    tasks[r->task_count++] = task;
    return add_pieces(r, &task);
}

/* ---- reading -------------------------------------------------------------------------------------------- */

/* Asks for pieces from number `from` on until the round is full. Returns the number behind the last one. */
static size_t ask_pieces(struct token_run *r, struct round *round, size_t from)
{
    for (; from < r->piece_count; from++) {
        struct token_piece *p = &r->pieces[from];
        const struct segment *segment = segment_of(r, p->segment);
        const struct segment_section *section =
            segment_section(&segment->hot, p->postings ? SECTION_POSTINGS : SECTION_TERMS);
        const struct store_read_req req = {.key = object_key_span(&segment->dpr_key),
                                           .offset = section->offset + p->at,
                                           .len = (int64_t)p->len,
                                           .pinned = &segment->dpr_version};
        if (!round_takes(round, p->len, 1))
            break;
        p->handle = round_ask(round, &req);
    }
    return from;
}

static enum dp_status read_pieces(struct token_run *r)
{
    const struct index_reader *reader = r->live->view->reader;
    struct round round;
    enum dp_status status = DP_OK;
    round_init(&round, r->call, reader->store, reader->round_bytes);
    while (r->taken < r->piece_count && status == DP_OK) {
        const size_t end = ask_pieces(r, &round, r->taken);
        status = round_read(&round);
        for (; r->taken < end && status == DP_OK; r->taken += status == DP_OK) {
            struct token_piece *p = &r->pieces[r->taken];
            status = fetch_check(&round, segment_of(r, p->segment), p->handle);
            if (status == DP_OK)
                p->answer = round_take(&round, p->handle);
        }
        round_release(&round);
    }
    round_deinit(&round);
    return status;
}

/* ---- sets ----------------------------------------------------------------------------------------------- */

/* Adds the rows of a token. *piece is the next piece of the comparison. */
static enum dp_status add_token(struct token_run *r, const struct token_task *task, struct span token,
                                struct arena *scratch, const struct token_piece **piece, uint64_t *set)
{
    const struct text_index *index = segment_of(r, task->segment)->words;
    const struct term_place place = text_index_find(index, task->column, token);
    struct postings list;
    bool found;
    if (place.where == TEXT_NOWHERE)
        return DP_OK;
    enum dp_status status = term_place_open(scratch, index, &place, (*piece)++->answer.bytes.span, task->column,
                                            token, &found, &list, &r->call->error);
    if (status == DP_OK && found && !postings_add_rows(&list, set))
        return call_fail(r->call, DP_CORRUPT, "the postings of a term are damaged");
    return status;
}

/* Adds the rows of the prefix. */
static enum dp_status add_prefix(struct token_run *r, const struct token_task *task, struct arena *scratch,
                                 const struct token_piece *piece, uint64_t *set)
{
    const struct text_index *index = segment_of(r, task->segment)->words;
    const struct term_range range = text_index_range(index, task->column, task->shown.prefix);
    const size_t count = (size_t)range.block_count + range.frequent_count;
    struct span *bytes = arena_array(scratch, count + 1, sizeof *bytes);
    if (!bytes)
        return call_nomem(r->call, "the tokens of a filter");
    for (size_t i = 0; i < count; i++)
        bytes[i] = piece[i].answer.bytes.span;
    return term_range_rows(scratch, index, &range, bytes, bytes + range.block_count, task->column,
                           task->shown.prefix, set, &r->call->error);
}

/* Makes the set of a comparison: rows with all of its tokens, or with any of them. */
static enum dp_status make_set(struct token_run *r, const struct token_task *task, struct arena *scratch)
{
    const struct token_query *tokens = text_condition_tokens(task->node->operand.text);
    const size_t words = column_page_count(segment_of(r, task->segment)->words->rows) * COLUMN_PAGE_WORDS;
    const size_t count = task->shown.count + task->shown.has_prefix;
    const struct token_piece *piece = r->pieces + task->first;
    enum dp_status status = DP_OK;
    uint64_t *set = arena_array(scratch, words + 1, sizeof *set);
    if (!set)
        return call_nomem(r->call, "the tokens of a filter");
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        const bool adds = i == 0 || task->shown.rule == TOKENS_ANY;
        uint64_t *to = adds ? task->rows : set;
        if (!adds)
            memset(set, 0, words * sizeof *set);
        status = i < task->shown.count ? add_token(r, task, tokens_text(tokens, i), scratch, &piece, to)
                                       : add_prefix(r, task, scratch, piece, to);
        for (size_t w = 0; w < words && !adds; w++)
            task->rows[w] &= set[w];
    }
    if (status == DP_CORRUPT)
        dp_error_prefix(&r->call->error, "%s", segment_of(r, task->segment)->dpr_key.text);
    return status == DP_OK ? call_check(r->call) : status;
}

static enum dp_status make_sets(struct token_run *r, struct token_sets *out)
{
    struct column_set *sets = arena_array(r->arena, r->task_count + 1, sizeof *sets);
    enum dp_status status = sets ? DP_OK : call_nomem(r->call, "the tokens of a filter");
    struct arena scratch;
    arena_init(&scratch, LISTS_MAX);
    for (size_t i = 0; i < r->task_count && status == DP_OK; i++) {
        const struct token_task *task = &r->tasks[i];
        struct token_sets *of = &out[task->segment];
        status = make_set(r, task, &scratch);
        sets[i] = (struct column_set){task->node, task->rows, task->shown.rule != TOKENS_SEQUENCE};
        if (of->count++ == 0)
            of->list = &sets[i];
        arena_reset(&scratch);
    }
    arena_deinit(&scratch);
    return status;
}

enum dp_status token_sets_make(struct call *call, const struct live_rows *live, const struct filter *filter,
                               const bool *wanted, struct arena *arena, struct token_sets *out)
{
    struct token_run r = {.call = call, .live = live, .arena = arena};
    enum dp_status status = DP_OK;
    bool searched = false;
    for (size_t s = 0; s < live->view->base->manifest.segment_count; s++) {
        out[s] = (struct token_sets){NULL, 0};
        if (!wanted[s] || !segment_of(&r, s)->words)
            continue;
        if (!searched)
            find_nodes(&r, filter->root);
        searched = true;
        for (size_t i = 0; i < r.node_count && status == DP_OK; i++)
            status = add_task(&r, i, s);
    }
    if (status == DP_OK)
        status = read_pieces(&r);
    if (status == DP_OK && r.task_count)
        status = make_sets(&r, out);
    for (size_t i = 0; i < r.taken; i++)
        store_read_release(&r.pieces[i].answer, 1);
    mem_free(r.pieces);
    mem_free(r.tasks);
    return status;
}
