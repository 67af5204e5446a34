/* verify_words.c: walks over all terms of a text index in the order of their keys.
 *
 * It checks the checksum of each piece, the order of the keys, and that each list of postings is well-formed. The
 * frequencies of a row add up to its length, whose code must be the one of the index; rows and lengths add up to the
 * statistics of the column. The index and the documents must have the same tokens: for both, a hash of the term and
 * the row is added up once for each token, in any order.
 */
#include "index/fold/verify_words.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "base/splitmix.h"
#include "index/round.h"
#include "text/bm25.h"
#include "text/term_key.h"

enum {
    VALUE_MAX = 64 << 20, /* memory for the characters of one value */
    LISTS_MAX = 64 << 20, /* memory for the blocks of one list */
    PIECES_ROUND_BYTES = 8 << 20,
    COLUMN_LEN = 2 /* bytes of the column in a key */
};

/* ---- documents ----------------------------------------------------------------------------------------- */

/* The hash of a token of a row. */
static uint64_t token_hash(struct span key, uint32_t row)
{
    return splitmix64_mix(checksum64(key) + row * SPLITMIX64_STEP);
}

static enum dp_status open_column(struct call *call, struct words_check *check, uint32_t number,
                                  const struct attribute *attribute)
{
    const struct text_index_column *of = &check->index->columns[number];
    struct words_check_column *column = &check->columns[number];
    struct text_settings settings;
    bool found;
    enum dp_status status = row_text_settings(attribute, &settings, &found, &call->error);
    if (status != DP_OK || !found || row_text_column(attribute, &settings) != of->settings)
        return status;
    column->attribute = attribute;
    return text_analyzer_new(&settings, &column->analyzer, &call->error);
}

enum dp_status words_check_begin(struct call *call, struct words_check *check, struct segment_hot *hot,
                                 const struct schema *schema)
{
    *check = (struct words_check){0};
    arena_init(&check->scratch, VALUE_MAX);
    enum dp_status status = segment_open_words(hot, &check->index, &call->error);
    if (status != DP_OK || !check->index)
        return status;
    check->columns = mem_calloc((size_t)check->index->column_count + 1, sizeof *check->columns);
    if (!check->columns)
        return call_nomem(call, "a verification");
    for (uint32_t c = 0; c < check->index->column_count; c++) {
        for (size_t i = 0; i < schema->count && status == DP_OK; i++) {
            if (schema->attributes[i].number == check->index->columns[c].attribute)
                status = open_column(call, check, c, &schema->attributes[i]);
        }
    }
    return status;
}

/* For text_analyze: adds a token of a document. */
static bool add_token(void *ctx, const struct text_token *token)
{
    struct words_check *check = ctx;
    struct term_key key;
    term_key_set(&key, check->column, token->text);
    check->columns[check->column].documents += token_hash(term_key_span(&key), check->row);
    return true;
}

enum dp_status words_check_row(struct call *call, struct words_check *check, uint32_t row, struct span document)
{
    enum dp_status status = DP_OK;
    check->row = row;
    for (check->column = 0; check->index && check->column < check->index->column_count && status == DP_OK;
         check->column++) {
        const struct words_check_column *column = &check->columns[check->column];
        if (column->attribute)
            status = row_text_tokens(column->analyzer, column->attribute, document, &check->scratch, add_token,
                                     check, &call->error);
    }
    return status;
}

void words_check_deinit(struct words_check *check)
{
    for (uint32_t c = 0; check->columns && c < check->index->column_count; c++)
        text_analyzer_free(check->columns[c].analyzer);
    mem_free(check->columns);
    arena_deinit(&check->scratch);
}

/* ---- terms --------------------------------------------------------------------------------------------- */

/* The terms of TDIC or of POST, one after another. */
struct term_source {
    bool frequent; /* the terms are those of POST; false: of TDIC */
    const struct text_piece *pieces;
    uint32_t count, next;     /* pieces; number of the next one */
    uint32_t in_round, asked; /* number of the round's first piece; pieces of the round */
    uint64_t offset;          /* of the section in the object */
    struct span object;       /* the object's key */
    struct round round;
    struct text_block_reader block; /* of TDIC: the present piece */

    /* The present term. */
    bool ended;
    struct span key, list;
    uint32_t df;
};

static void begin_source(struct call *call, struct term_source *s, struct store *store,
                         const struct segment_hot *hot, struct span object, enum section_kind kind)
{
    const struct segment_section *section = segment_section(hot, kind);
    s->offset = section ? section->offset : 0;
    s->object = object;
    round_init(&s->round, call, store, PIECES_ROUND_BYTES);
}

/* Gives the bytes of the next piece. */
static enum dp_status next_piece(struct term_source *s, struct span *out)
{
    enum dp_status status = DP_OK;
    if (s->next == s->in_round + s->asked) {
        round_release(&s->round);
        s->in_round = s->next;
        for (s->asked = 0; s->next + s->asked < s->count; s->asked++) {
            const struct text_piece *piece = &s->pieces[s->next + s->asked];
            const struct store_read_req req = {
                .key = s->object, .offset = s->offset + piece->at, .len = (int64_t)piece->len};
            if (!round_takes(&s->round, piece->len, 1))
                break;
            round_ask(&s->round, &req);
        }
        status = round_read(&s->round);
    }
    if (status == DP_OK)
        status = round_check(&s->round, s->next - s->in_round);
    if (status == DP_OK)
        *out = round_answer(&s->round, s->next - s->in_round)->bytes.span;
    s->next++;
    return status;
}

static enum dp_status fail_words(struct call *call, const char *what)
{
    return call_fail(call, DP_CORRUPT, "its text index: %s", what);
}

/* Goes to the next frequent term: a piece of POST. */
static enum dp_status next_frequent(struct call *call, struct term_source *s)
{
    struct span bytes;
    const uint32_t number = s->next;
    enum dp_status status = next_piece(s, &bytes);
    if (status)
        return status;
    struct cursor c = cursor_over(bytes);
    const uint64_t sum = cursor_u64(&c);
    if (c.failed || sum != text_piece_checksum(c.rest, number))
        return fail_words(call, "the checksum of postings does not fit");
    s->key = s->pieces[number].key;
    s->df = s->pieces[number].df;
    s->list = c.rest;
    return DP_OK;
}

/* Goes to the first term of the next block of TDIC, which lies between the separators before and behind it. */
static enum dp_status enter_block(struct call *call, struct term_source *s)
{
    struct span bytes;
    const struct text_piece *piece = &s->pieces[s->next];
    if (s->next && span_compare(span_of(s->block.key, s->block.key_len), piece->key) >= 0)
        return fail_words(call, "a block of terms is not in order");
    enum dp_status status = next_piece(s, &bytes);
    if (status == DP_OK)
        status = text_block_begin(&s->block, bytes, s->next - 1, &call->error);
    if (status == DP_OK &&
        (!text_block_next(&s->block) || span_compare(span_of(s->block.key, s->block.key_len), piece->key) < 0))
        return fail_words(call, "a block of terms does not begin with its first one");
    return status;
}

/* Goes to the next term. */
static enum dp_status next_term(struct call *call, struct term_source *s)
{
    if (s->frequent || !text_block_next(&s->block)) {
        if (s->block.rest.failed)
            return fail_words(call, "a block of terms is malformed");
        s->ended = s->next == s->count;
        if (s->ended)
            return DP_OK;
        enum dp_status status = s->frequent ? next_frequent(call, s) : enter_block(call, s);
        if (status != DP_OK || s->frequent)
            return status;
    }
    s->key = span_of(s->block.key, s->block.key_len);
    s->df = s->block.df;
    s->list = s->block.list;
    return DP_OK;
}

/* ---- postings ------------------------------------------------------------------------------------------ */

/* The walk over the terms of both sections. */
struct words_walk {
    struct call *call;
    struct words_check *check;
    struct term_source sources[2];
    struct term_key last; /* the key before */
    uint32_t column;      /* of the present terms */
    uint32_t *lengths;    /* [rows]: tokens of each row in that column so far */
    uint8_t *codes;       /* [rows]: the codes that postings give, if the index has no LENS */
    struct arena arena;
};

/* Compares the rows of a column, all of whose terms are read, and goes to the next column. */
static enum dp_status end_column(struct words_walk *w)
{
    const struct text_index *index = w->check->index;
    const struct text_index_column *column = &index->columns[w->column];
    const struct words_check_column *sums = &w->check->columns[w->column];
    const uint8_t *codes = index->codes ? index->codes + (size_t)w->column * index->rows : w->codes;
    uint64_t filled = 0, lengths = 0;
    for (uint32_t row = 0; row < index->rows; row++) {
        const uint8_t code = w->lengths[row] ? bm25_code_of(w->lengths[row]) : 0;
        if (codes[row] != code)
            return call_fail(w->call, DP_CORRUPT, "its text index: row %" PRIu32 " has another length", row);
        filled += w->lengths[row] > 0;
        lengths += w->lengths[row] ? bm25_length_of(code) : 0;
    }
    if (filled != column->filled || lengths != column->lengths)
        return fail_words(w->call, "the statistics of a column do not fit its rows");
    if (sums->attribute && sums->documents != sums->postings)
        return call_fail(w->call, DP_CORRUPT,
                         "its text index: attribute \"%.*s\" has other tokens in the documents",
                         SPAN_FMT(sums->attribute->name));
    memset(w->lengths, 0, (size_t)index->rows * sizeof *w->lengths);
    memset(w->codes, 0, index->rows);
    w->column++;
    return DP_OK;
}

/* Adds the postings of a block. */
static enum dp_status add_postings(struct words_walk *w, const struct postings_run *run, struct span key)
{
    struct words_check_column *sums = &w->check->columns[w->column];
    for (uint32_t i = 0; i < run->count; i++) {
        const uint32_t row = run->rows[i];
        if (w->codes[row] && w->codes[row] != run->codes[i])
            return call_fail(w->call, DP_CORRUPT, "its text index: row %" PRIu32 " has two lengths", row);
        w->codes[row] = run->codes[i];
        w->lengths[row] += run->tfs[i] < UINT32_MAX - w->lengths[row] ? run->tfs[i] : 0;
        sums->postings += run->tfs[i] * token_hash(key, row);
    }
    return DP_OK;
}

/* Returns whether a block has a posting as good as an impact says. Where the impacts are fewer than they may be, a search
 * relies on each. */
static bool impact_is_posting(const struct postings_impact *impact, const struct postings_run *run)
{
    for (uint32_t i = 0; i < run->count; i++) {
        if (run->tfs[i] == impact->tf && run->codes[i] == impact->code)
            return true;
    }
    return false;
}

/* Returns whether the impacts of a block bound all its postings, and bound them tightly. */
static bool impacts_cover(const struct postings_block *block, const struct postings_run *run)
{
    for (uint32_t i = 0; i < run->count; i++) {
        bool covered = false;
        for (uint32_t j = 0; j < block->impacts; j++)
            covered |= block->impact[j].tf >= run->tfs[i] && block->impact[j].code <= run->codes[i];
        if (!covered)
            return false;
    }
    for (uint32_t j = 0; j < block->impacts && block->impacts < POSTINGS_IMPACTS_MAX; j++) {
        if (!impact_is_posting(&block->impact[j], run))
            return false;
    }
    return true;
}

static enum dp_status check_list(struct words_walk *w, const struct term_source *s)
{
    const struct text_index *index = w->check->index;
    struct postings list;
    struct postings_run run;
    const uint8_t *codes = index->codes ? index->codes + (size_t)w->column * index->rows : NULL;
    arena_reset(&w->arena);
    enum dp_status status = postings_open(&w->arena, s->list, s->df, index->rows, codes, &list, &w->call->error);
    for (uint32_t b = 0; status == DP_OK && b < list.block_count; b++) {
        if (!postings_decode(&list, b, &run) || !impacts_cover(&list.blocks[b], &run))
            return fail_words(w->call, "a block of postings is damaged");
        status = add_postings(w, &run, s->key);
    }
    return status;
}

/* Verifies the present term of a source. */
static enum dp_status check_term(struct words_walk *w, const struct term_source *s)
{
    const struct text_index *index = w->check->index;
    const uint32_t column = s->key.len >= COLUMN_LEN ? (uint32_t)s->key.data[0] << 8 | s->key.data[1] : UINT32_MAX;
    enum dp_status status = DP_OK;
    if (column >= index->column_count || span_compare(term_key_span(&w->last), s->key) >= 0)
        return fail_words(w->call, "its terms do not ascend");
    if ((s->df > index->inline_df) != s->frequent)
        return fail_words(w->call, "a term is in the wrong section");
    while (w->column < column && status == DP_OK)
        status = end_column(w);
    memcpy(w->last.bytes, s->key.data, s->key.len);
    w->last.len = (uint32_t)s->key.len;
    return status == DP_OK ? check_list(w, s) : status;
}

/* Returns the source whose present term comes first, or NULL at the end. */
static struct term_source *first_of(struct words_walk *w)
{
    struct term_source *a = &w->sources[0], *b = &w->sources[1];
    if (a->ended)
        return b->ended ? NULL : b;
    return b->ended || span_compare(a->key, b->key) < 0 ? a : b;
}

static enum dp_status walk_terms(struct words_walk *w)
{
    struct term_source *s;
    enum dp_status status = next_term(w->call, &w->sources[0]);
    if (status == DP_OK)
        status = next_term(w->call, &w->sources[1]);
    for (uint32_t n = 0; status == DP_OK && (s = first_of(w)) != NULL; n++) {
        status = check_term(w, s);
        if (status == DP_OK)
            status = next_term(w->call, s);
        if (status == DP_OK && n % 1024 == 0)
            status = call_check(w->call);
    }
    while (status == DP_OK && w->column < w->check->index->column_count)
        status = end_column(w);
    return status;
}

enum dp_status words_check_run(struct call *call, struct words_check *check, struct store *store,
                               const struct segment_hot *hot, struct span key)
{
    const struct text_index *index = check->index;
    if (!index)
        return DP_OK;
    struct words_walk w = {
        .call = call,
        .check = check,
        .sources = {{.pieces = index->blocks, .count = index->block_count},
                    {.frequent = true, .pieces = index->frequent, .count = index->frequent_count}}};
    begin_source(call, &w.sources[0], store, hot, key, SECTION_TERMS);
    begin_source(call, &w.sources[1], store, hot, key, SECTION_POSTINGS);
    arena_init(&w.arena, LISTS_MAX);
    w.lengths = mem_calloc((size_t)index->rows + 1, sizeof *w.lengths);
    w.codes = mem_calloc((size_t)index->rows + 1, 1);
    enum dp_status status = w.lengths && w.codes ? walk_terms(&w) : call_nomem(call, "a verification");
    round_deinit(&w.sources[0].round);
    round_deinit(&w.sources[1].round);
    arena_deinit(&w.arena);
    mem_free(w.lengths);
    mem_free(w.codes);
    return status;
}
