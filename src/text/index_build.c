/* index_build.c: gathers tokens into runs, and writes an index of the merged runs. */
#include "text/index_build.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/array.h"
#include "base/checksum.h"
#include "base/map.h"
#include "text/bm25.h"
#include "text/index.h"
#include "text/index_runs.h"
#include "text/postings.h"
#include "text/term_key.h"

enum {
    MEMORY_DEFAULT = 32 << 20,
    INLINE_DF_DEFAULT = 1024,
    HOT_DEFAULT = 1 << 20,
    PIECE = 28,       /* bytes of waiting postings in a chunk */
    TERM_EXTRA = 160, /* bytes beside its key that a waiting term takes, with its part of the map */
    TERMS_MAX = 1 << 28,
    CHUNKS_FIRST = 256,
    DOUBLINGS = 20,
    FREQUENT_EXTRA = 8, /* bytes of a term in TFRQ beside its key */
    BLOCKS_WANTED = 4096,
    LIST_MAX = INT32_MAX
};

/* Bytes of waiting postings. Chunks of a term form a chain; chunk 0 is none. */
struct text_chunk {
    uint32_t next;
    uint8_t bytes[PIECE];
};

struct waiting_term {
    struct span key;
    uint32_t head, tail, used; /* first and last chunk of the term; bytes used of the last one */
    uint32_t len, df;          /* bytes and postings in all chunks of the term */
    uint32_t next_row;         /* the row behind the last posting in them */
    uint32_t row, tf;          /* the posting that grows; tf 0: none */
};

struct text_builder {
    struct text_column *columns;
    uint32_t column_count, rows, row;
    bool begun;
    struct text_build_limits limits;
    uint32_t *lengths;       /* [column_count]: tokens of the current row */
    uint8_t *codes;          /* [column_count][rows] */
    uint64_t *sums, *filled; /* [column_count]: decoded lengths of all rows; rows with a token */
    struct arena keys;
    struct map map; /* key → position in `terms` */
    struct waiting_term *terms;
    size_t term_count, term_capacity;
    struct text_chunk *chunks;
    size_t chunk_count, chunk_capacity;
    struct text_runs runs;
};

static void forget_terms(struct text_builder *b)
{
    map_deinit(&b->map);
    map_init(&b->map, TERMS_MAX);
    arena_reset(&b->keys);
    b->term_count = 0;
    b->chunk_count = 1;
}

enum dp_status text_builder_new(const struct text_column *columns, uint32_t count, uint32_t rows,
                                const struct text_build_limits *limits, struct text_builder **out,
                                struct dp_error *error)
{
    struct text_builder *b = mem_calloc(1, sizeof *b);
    if (!b)
        return dp_fail_nomem(error, "a text index");
    if (limits)
        b->limits = *limits;
    b->limits.memory = b->limits.memory ? b->limits.memory : MEMORY_DEFAULT;
    b->limits.inline_df = b->limits.inline_df ? b->limits.inline_df : INLINE_DF_DEFAULT;
    b->limits.frequent_len = b->limits.frequent_len ? b->limits.frequent_len : HOT_DEFAULT;
    b->limits.lengths_len = b->limits.lengths_len ? b->limits.lengths_len : HOT_DEFAULT;
    b->column_count = count;
    b->rows = rows;
    text_runs_init(&b->runs);
    arena_init(&b->keys, SIZE_MAX);
    map_init(&b->map, TERMS_MAX);
    b->chunk_count = 1;
    b->columns = mem_calloc((size_t)count + 1, sizeof *b->columns);
    b->lengths = mem_calloc((size_t)count + 1, sizeof *b->lengths);
    b->codes = mem_calloc((size_t)count + 1, rows);
    b->sums = mem_calloc((size_t)count + 1, sizeof *b->sums);
    b->filled = mem_calloc((size_t)count + 1, sizeof *b->filled);
    if (!b->columns || !b->lengths || !b->codes || !b->sums || !b->filled || count > UINT16_MAX) {
        text_builder_free(b);
        return count > UINT16_MAX ? dp_fail(error, DP_TOO_LARGE, "a text index has at most 65,535 columns")
                                  : dp_fail_nomem(error, "a text index");
    }
    if (count)
        memcpy(b->columns, columns, count * sizeof *columns);
    *out = b;
    return DP_OK;
}

void text_builder_free(struct text_builder *b)
{
    if (!b)
        return;
    text_runs_deinit(&b->runs);
    arena_deinit(&b->keys);
    map_deinit(&b->map);
    mem_free(b->terms);
    mem_free(b->chunks);
    mem_free(b->columns);
    mem_free(b->lengths);
    mem_free(b->codes);
    mem_free(b->sums);
    mem_free(b->filled);
    mem_free(b);
}

/* ---- waiting postings -------------------------------------------------------------------------------- */

static enum dp_status put_byte(struct text_builder *b, struct waiting_term *t, uint8_t byte,
                               struct dp_error *error)
{
    if (t->tail == 0 || t->used == PIECE) {
        struct text_chunk *chunks =
            array_reserve(b->chunks, b->chunk_count, &b->chunk_capacity, sizeof *chunks, CHUNKS_FIRST);
        if (!chunks)
            return dp_fail_nomem(error, "a text index");
        b->chunks = chunks;
        uint32_t fresh = (uint32_t)b->chunk_count++;
        chunks[fresh].next = 0;
        if (t->tail)
            chunks[t->tail].next = fresh;
        else
            t->head = fresh;
        t->tail = fresh;
        t->used = 0;
    }
    b->chunks[t->tail].bytes[t->used++] = byte;
    t->len++;
    return DP_OK;
}

static enum dp_status put_varint(struct text_builder *b, struct waiting_term *t, uint32_t value,
                                 struct dp_error *error)
{
    enum dp_status status = DP_OK;
    for (; value >= 0x80 && status == DP_OK; value >>= 7)
        status = put_byte(b, t, (uint8_t)(value | 0x80), error);
    return status == DP_OK ? put_byte(b, t, (uint8_t)value, error) : status;
}

/* Puts the growing posting of a term into its chunks. */
static enum dp_status end_posting(struct text_builder *b, struct waiting_term *t, struct dp_error *error)
{
    if (t->tf == 0)
        return DP_OK;
    enum dp_status status = put_varint(b, t, t->row - t->next_row, error);
    if (status == DP_OK)
        status = put_varint(b, t, t->tf, error);
    t->next_row = t->row + 1;
    t->df++;
    t->tf = 0;
    return status;
}

static int term_by_key(const void *a, const void *b)
{
    const struct waiting_term *left = a, *right = b;
    return span_compare(left->key, right->key);
}

static enum dp_status write_waiting(struct text_builder *b, struct waiting_term *t, struct buffer *head,
                                    struct dp_error *error)
{
    enum dp_status status = end_posting(b, t, error);
    uint32_t left = t->len;
    buffer_clear(head);
    buffer_u16(head, (uint16_t)t->key.len);
    buffer_append(head, t->key);
    buffer_u32(head, t->df);
    buffer_u32(head, t->len);
    for (uint32_t at = t->head; at && left; at = b->chunks[at].next) {
        uint32_t part = left < PIECE ? left : PIECE;
        buffer_append(head, span_of(b->chunks[at].bytes, part));
        left -= part;
    }
    if (status == DP_OK)
        status = buffer_check(head, "a run of postings", error);
    return status == DP_OK ? text_runs_append(&b->runs, buffer_span(head), error) : status;
}

/* Moves all waiting postings into a run. */
static enum dp_status write_run(struct text_builder *b, struct dp_error *error)
{
    struct buffer head;
    if (b->term_count == 0)
        return DP_OK;
    enum dp_status status = text_runs_begin(&b->runs, error);
    buffer_init(&head, LIST_MAX);
    qsort(b->terms, b->term_count, sizeof *b->terms, term_by_key);
    for (size_t i = 0; i < b->term_count && status == DP_OK; i++)
        status = write_waiting(b, &b->terms[i], &head, error);
    buffer_deinit(&head);
    forget_terms(b);
    return status;
}

/* ---- rows and tokens --------------------------------------------------------------------------------- */

static void end_row(struct text_builder *b)
{
    for (uint32_t c = 0; c < b->column_count; c++) {
        if (!b->lengths[c])
            continue;
        uint8_t code = bm25_code_of(b->lengths[c]);
        b->codes[(size_t)c * b->rows + b->row] = code;
        b->sums[c] += bm25_length_of(code);
        b->filled[c]++;
        b->lengths[c] = 0;
    }
}

enum dp_status text_builder_row(struct text_builder *b, uint32_t row, struct dp_error *error)
{
    if (row >= b->rows || (b->begun && row <= b->row))
        return dp_fail(error, DP_INVALID, "row %u of a text index comes too late", row);
    end_row(b);
    b->row = row;
    b->begun = true;
    size_t held = b->chunk_count * sizeof(struct text_chunk) + b->term_count * TERM_EXTRA + b->keys.used;
    return held > b->limits.memory ? write_run(b, error) : DP_OK;
}

static enum dp_status find_term(struct text_builder *b, const struct term_key *key, struct waiting_term **out,
                                struct dp_error *error)
{
    uint64_t *place = map_find(&b->map, term_key_span(key));
    if (place) {
        *out = &b->terms[*place];
        return DP_OK;
    }
    struct waiting_term *terms =
        array_reserve(b->terms, b->term_count, &b->term_capacity, sizeof *terms, CHUNKS_FIRST);
    struct span copy = arena_copy(&b->keys, term_key_span(key));
    if (terms)
        b->terms = terms;
    if (!terms || !copy.data)
        return dp_fail_nomem(error, "a text index");
    enum dp_status status = map_put(&b->map, copy, b->term_count, &place, NULL, error);
    if (status)
        return status;
    *out = &b->terms[b->term_count++];
    **out = (struct waiting_term){.key = copy};
    return DP_OK;
}

enum dp_status text_builder_token(struct text_builder *b, uint32_t column, struct span token,
                                  struct dp_error *error)
{
    struct waiting_term *t = NULL;
    struct term_key key;
    term_key_set(&key, column, token);
    enum dp_status status = find_term(b, &key, &t, error);
    if (status == DP_OK && t->tf && t->row != b->row)
        status = end_posting(b, t, error);
    if (status)
        return status;
    t->row = b->row;
    t->tf += t->tf < UINT32_MAX;
    b->lengths[column] += b->lengths[column] < UINT32_MAX;
    return DP_OK;
}

/* ---- the index --------------------------------------------------------------------------------------- */

/* An index that is being written. */
struct text_writer {
    struct text_builder *builder;
    const struct text_sink *sink;
    struct text_merged term;
    bool with_codes; /* postings have the lengths of their rows */
    size_t block_len;
    struct buffer block, list,
        entries;     /* the current block of TDIC; a list; blocks or frequent terms in the hot part */
    uint32_t count;  /* of `entries` */
    uint64_t pieces; /* written to the current cold part */
    uint8_t *codes;  /* of the rows of a term */
    size_t codes_room;
    struct term_key last, separator; /* the last key in the block or in TFRQ; the last one in TIDX */
};

/* Raises inline_df until the terms above it fit TFRQ. */
static enum dp_status choose_inline_df(struct text_writer *w, struct dp_error *error)
{
    struct text_builder *b = w->builder;
    uint64_t lens[DOUBLINGS] = {0};
    uint32_t chosen = 0;
    enum dp_status status = text_runs_rewind(&b->runs, error);
    while (status == DP_OK && text_runs_next(&b->runs, false, &w->term, error)) {
        for (uint32_t i = 0; i < DOUBLINGS && w->term.df > (uint64_t)b->limits.inline_df << i; i++)
            lens[i] += w->term.key.len + FREQUENT_EXTRA;
    }
    while (chosen + 1 < DOUBLINGS && lens[chosen] > b->limits.frequent_len)
        chosen++;
    b->limits.inline_df <<= chosen;
    return status;
}

/* Appends the key behind the one before it: what it has in common with that one, and the rest. */
static void put_key(struct buffer *out, struct span key, struct term_key *before)
{
    size_t shared = term_key_shared(key, term_key_span(before));
    buffer_varint(out, shared);
    buffer_varint(out, key.len - shared);
    buffer_append(out, span_of(key.data + shared, key.len - shared));
    memcpy(before->bytes, key.data, key.len);
    before->len = (uint32_t)key.len;
}

static enum dp_status encode_term(struct text_writer *w, struct dp_error *error)
{
    const struct text_merged *term = &w->term;
    const uint8_t *codes =
        w->builder->codes + (size_t)(term->key.data[0] << 8 | term->key.data[1]) * w->builder->rows;
    if (term->df > w->codes_room) {
        mem_free(w->codes);
        w->codes = mem_alloc(term->room);
        w->codes_room = w->codes ? term->room : 0;
    }
    if (!w->codes)
        return dp_fail_nomem(error, "the postings of a term");
    for (size_t i = 0; i < term->df; i++)
        w->codes[i] = codes[term->rows[i]];
    buffer_clear(&w->list);
    postings_encode(&w->list, term->rows, term->tfs, w->codes, (uint32_t)term->df, w->with_codes);
    return buffer_check(&w->list, "the postings of a term", error);
}

static enum dp_status put_piece(struct text_writer *w, text_piece_fn *fn, struct span bytes,
                                struct dp_error *error)
{
    struct buffer sum;
    buffer_init(&sum, sizeof(uint64_t));
    buffer_u64(&sum, text_piece_checksum(bytes, w->pieces++));
    enum dp_status status = buffer_check(&sum, "a text index", error);
    if (status == DP_OK)
        status = fn(w->sink->context, buffer_span(&sum), error);
    buffer_deinit(&sum);
    return status == DP_OK ? fn(w->sink->context, bytes, error) : status;
}

static enum dp_status end_block(struct text_writer *w, struct dp_error *error)
{
    enum dp_status status = buffer_check(&w->block, "a block of terms", error);
    if (w->block.len == 0)
        return status;
    if (status == DP_OK)
        status = put_piece(w, w->sink->terms, buffer_span(&w->block), error);
    buffer_varint(&w->entries, w->block.len + sizeof(uint64_t));
    w->count++;
    buffer_clear(&w->block);
    return status;
}

/* Puts a term and its list into TDIC. */
static enum dp_status put_inline(struct text_writer *w, struct dp_error *error)
{
    struct span key = w->term.key;
    enum dp_status status = DP_OK;
    if (w->block.len && w->block.len + key.len + w->list.len > w->block_len)
        status = end_block(w, error);
    if (w->block.len == 0) {
        size_t shared = term_key_shared(key, term_key_span(&w->last));
        put_key(&w->entries, span_of(key.data, w->count ? shared + 1 : 0), &w->separator);
        w->last.len = 0;
    }
    put_key(&w->block, key, &w->last);
    buffer_varint(&w->block, w->term.df);
    buffer_varint(&w->block, w->list.len);
    buffer_append(&w->block, buffer_span(&w->list));
    return status;
}

static enum dp_status put_frequent(struct text_writer *w, struct dp_error *error)
{
    put_key(&w->entries, w->term.key, &w->last);
    buffer_varint(&w->entries, w->term.df);
    buffer_varint(&w->entries, w->list.len + sizeof(uint64_t));
    w->count++;
    return put_piece(w, w->sink->postings, buffer_span(&w->list), error);
}

/* Writes TDIC, or POST if `frequent`, and appends what the hot part says about it. */
static enum dp_status write_part(struct text_writer *w, bool frequent, struct buffer *hot, struct dp_error *error)
{
    struct text_builder *b = w->builder;
    w->count = 0;
    w->pieces = 0;
    w->last.len = w->separator.len = 0;
    buffer_clear(&w->entries);
    enum dp_status status = text_runs_rewind(&b->runs, error);
    /* Most terms are rare, so a pass over the frequent ones unpacks them all in vain; it is a small part of a build. */
    while (status == DP_OK && text_runs_next(&b->runs, true, &w->term, error)) {
        if ((w->term.df > b->limits.inline_df) != frequent)
            continue;
        status = encode_term(w, error);
        if (status == DP_OK)
            status = frequent ? put_frequent(w, error) : put_inline(w, error);
    }
    if (status == DP_OK)
        status = b->runs.status;
    if (status == DP_OK)
        status = end_block(w, error);
    buffer_u32(hot, w->count);
    buffer_append(hot, buffer_span(&w->entries));
    return status == DP_OK ? buffer_check(&w->entries, "a text index", error) : status;
}

static void write_columns(const struct text_builder *b, bool with_codes, struct buffer *tidx)
{
    buffer_u32(tidx, b->rows);
    buffer_u32(tidx, b->limits.inline_df);
    buffer_u16(tidx, (uint16_t)b->column_count);
    buffer_u16(tidx, with_codes);
    for (uint32_t c = 0; c < b->column_count; c++) {
        buffer_u32(tidx, b->columns[c].attribute);
        buffer_u64(tidx, b->columns[c].settings);
        buffer_u64(tidx, b->filled[c]);
        buffer_u64(tidx, b->sums[c]);
    }
}

static enum dp_status write_index(struct text_writer *w, struct buffer *tidx, struct buffer *tfrq,
                                  struct buffer *lens, struct dp_error *error)
{
    struct text_builder *b = w->builder;
    size_t codes = (size_t)b->column_count * b->rows;
    enum dp_status status = choose_inline_df(w, error);
    w->with_codes = codes > b->limits.lengths_len;
    w->block_len = (size_t)(b->runs.bytes.len / BLOCKS_WANTED);
    if (w->block_len < TEXT_BLOCK_MIN)
        w->block_len = TEXT_BLOCK_MIN;
    if (w->block_len > TEXT_BLOCK_WANTED_MAX)
        w->block_len = TEXT_BLOCK_WANTED_MAX;
    write_columns(b, w->with_codes, tidx);
    if (status == DP_OK)
        status = write_part(w, false, tidx, error);
    if (status == DP_OK)
        status = write_part(w, true, tfrq, error);
    if (!w->with_codes)
        buffer_append(lens, span_of(b->codes, codes));
    if (status == DP_OK)
        status = buffer_check(tidx, "a text index", error);
    if (status == DP_OK)
        status = buffer_check(tfrq, "a text index", error);
    return status == DP_OK ? buffer_check(lens, "a text index", error) : status;
}

enum dp_status text_builder_finish(struct text_builder *b, const struct text_sink *sink, struct buffer *tidx,
                                   struct buffer *tfrq, struct buffer *lens, struct dp_error *error)
{
    struct text_writer w = {.builder = b, .sink = sink};
    end_row(b);
    enum dp_status status = write_run(b, error);
    buffer_init(&w.block, LIST_MAX);
    buffer_init(&w.list, LIST_MAX);
    buffer_init(&w.entries, LIST_MAX);
    if (status == DP_OK)
        status = write_index(&w, tidx, tfrq, lens, error);
    buffer_deinit(&w.block);
    buffer_deinit(&w.list);
    buffer_deinit(&w.entries);
    mem_free(w.codes);
    text_merged_deinit(&w.term);
    return status;
}
