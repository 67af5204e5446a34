/* index.c: parses the sections of a text index, finds the piece of a term, and reads pieces. */
#include "text/index.h"

#include "base/checksum.h"
#include "text/term_key.h"

enum { COLUMN_LEN = 28, ENTRY_LEN_MIN = 3 };

static enum dp_status damaged(struct dp_error *error, const char *what)
{
    return dp_fail(error, DP_CORRUPT, "the text index is damaged: %s", what);
}

uint64_t text_piece_checksum(struct span bytes, uint64_t number)
{
    return checksum64(bytes) ^ (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Reads a key behind the one before it, in place. */
static bool read_key(struct cursor *c, uint8_t key[TERM_KEY_MAX], uint32_t *len)
{
    uint64_t shared = cursor_varint(c), rest = cursor_varint(c);
    if (c->failed || shared > *len || rest > TERM_KEY_MAX - shared)
        return false;
    struct span bytes = cursor_bytes(c, rest);
    if (c->failed)
        return false;
    if (rest)
        memcpy(key + shared, bytes.data, (size_t)rest);
    *len = (uint32_t)(shared + rest);
    return true;
}

/* Reads the pieces of TDIC, or of POST, which have a df. */
static enum dp_status read_pieces(struct arena *arena, struct cursor *c, const struct text_index *index,
                                  bool terms, struct text_piece **out, uint32_t *count, uint64_t *total,
                                  struct dp_error *error)
{
    uint8_t key[TERM_KEY_MAX];
    uint32_t key_len = 0;
    *count = cursor_u32(c);
    if (c->failed || *count > c->rest.len / ENTRY_LEN_MIN)
        return damaged(error, "it says more pieces than it has");
    *out = arena_array(arena, (size_t)*count + 1, sizeof **out);
    if (!*out)
        return dp_fail_nomem(error, "a text index");
    for (uint32_t i = 0; i < *count; i++) {
        struct text_piece *piece = &(*out)[i];
        if (!read_key(c, key, &key_len))
            return damaged(error, "a key");
        uint64_t df = terms ? cursor_varint(c) : 0, len = cursor_varint(c);
        if (c->failed || len <= TEXT_PIECE_SUM || len > UINT32_MAX || df > index->rows || (terms && df == 0))
            return damaged(error, "a piece");
        *piece =
            (struct text_piece){arena_copy(arena, span_of(key, key_len)), *total, (uint32_t)len, (uint32_t)df};
        if (!piece->key.data)
            return dp_fail_nomem(error, "a text index");
        if (i && span_compare(piece[-1].key, piece->key) >= 0)
            return damaged(error, "its keys do not ascend");
        *total += len;
    }
    return c->rest.len ? damaged(error, "bytes behind its last piece") : DP_OK;
}

static enum dp_status read_columns(struct arena *arena, struct cursor *c, struct text_index *out,
                                   struct dp_error *error)
{
    out->rows = cursor_u32(c);
    out->inline_df = cursor_u32(c);
    out->column_count = cursor_u16(c);
    out->with_codes = cursor_u16(c) != 0;
    if (c->failed || out->column_count > c->rest.len / COLUMN_LEN)
        return damaged(error, "it says more columns than it has");
    out->columns = arena_array(arena, (size_t)out->column_count + 1, sizeof *out->columns);
    if (!out->columns)
        return dp_fail_nomem(error, "a text index");
    for (uint32_t i = 0; i < out->column_count; i++) {
        struct text_index_column *column = &out->columns[i];
        column->attribute = cursor_u32(c);
        column->settings = cursor_u64(c);
        column->filled = cursor_u64(c);
        column->lengths = cursor_u64(c);
        if (column->filled > out->rows || column->lengths > (uint64_t)out->rows * INT32_MAX)
            return damaged(error, "the statistics of a column");
    }
    return DP_OK;
}

enum dp_status text_index_open(struct arena *arena, uint32_t rows, struct span tidx, struct span tfrq,
                               struct span lens, struct text_index *out, struct dp_error *error)
{
    struct cursor c = cursor_over(tidx), frequent = cursor_over(tfrq);
    *out = (struct text_index){0};
    enum dp_status status = read_columns(arena, &c, out, error);
    if (status == DP_OK && out->rows != rows)
        status = damaged(error, "it is of another number of rows");
    if (status == DP_OK && lens.len != (out->with_codes ? 0 : (uint64_t)out->column_count * rows))
        status = damaged(error, "the number of its lengths");
    if (status == DP_OK)
        status = read_pieces(arena, &c, out, false, &out->blocks, &out->block_count, &out->terms_len, error);
    if (status == DP_OK)
        status = read_pieces(arena, &frequent, out, true, &out->frequent, &out->frequent_count, &out->postings_len,
                             error);
    out->codes = out->with_codes ? NULL : lens.data;
    return status;
}

int64_t text_index_column(const struct text_index *index, uint32_t attribute, uint64_t settings)
{
    for (uint32_t i = 0; i < index->column_count; i++) {
        if (index->columns[i].attribute == attribute && index->columns[i].settings == settings)
            return i;
    }
    return -1;
}

int64_t text_index_column_of(const struct text_index *index, uint64_t settings)
{
    for (uint32_t i = 0; i < index->column_count; i++) {
        if (index->columns[i].settings == settings)
            return i;
    }
    return -1;
}

/* Returns how many pieces have a key that is at most `key`. */
static uint32_t pieces_up_to(const struct text_piece *pieces, uint32_t count, struct span key)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (span_compare(pieces[middle].key, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct term_place text_index_find(const struct text_index *index, uint32_t column, struct span token)
{
    struct term_key key;
    term_key_set(&key, column, token);
    uint32_t n = pieces_up_to(index->frequent, index->frequent_count, term_key_span(&key));
    if (n && span_equal(index->frequent[n - 1].key, term_key_span(&key)))
        return (struct term_place){TEXT_IN_POSTINGS, n - 1, &index->frequent[n - 1]};
    n = pieces_up_to(index->blocks, index->block_count, term_key_span(&key));
    if (n == 0)
        return (struct term_place){TEXT_NOWHERE, 0, NULL};
    return (struct term_place){TEXT_IN_BLOCK, n - 1, &index->blocks[n - 1]};
}

/* Returns how many pieces have a key that is before `prefix`, or begins with it. */
static uint32_t pieces_through(const struct text_piece *pieces, uint32_t count, struct span prefix)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct span key = pieces[middle].key;
        if (span_compare(span_of(key.data, key.len < prefix.len ? key.len : prefix.len), prefix) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct term_range text_index_range(const struct text_index *index, uint32_t column, struct span prefix)
{
    struct term_range range;
    struct term_key key;
    term_key_set(&key, column, prefix);
    const struct span from = term_key_span(&key);
    range.frequent = pieces_up_to(index->frequent, index->frequent_count, from);
    if (range.frequent && span_equal(index->frequent[range.frequent - 1].key, from))
        range.frequent--;
    range.frequent_count = pieces_through(index->frequent, index->frequent_count, from) - range.frequent;
    range.block = pieces_up_to(index->blocks, index->block_count, from);
    range.block -= range.block > 0; /* the block before may end with such terms */
    range.block_count = pieces_through(index->blocks, index->block_count, from) - range.block;
    return range;
}

/* ---- pieces ------------------------------------------------------------------------------------------ */

/* Checks the checksum of a piece. *body: the bytes behind it. */
static enum dp_status open_piece(struct span bytes, uint32_t number, struct span *body, struct dp_error *error)
{
    struct cursor c = cursor_over(bytes);
    uint64_t sum = cursor_u64(&c);
    *body = c.rest;
    if (c.failed || sum != text_piece_checksum(c.rest, number))
        return damaged(error, "a piece has another checksum");
    return DP_OK;
}

enum dp_status text_block_begin(struct text_block_reader *r, struct span bytes, uint32_t number,
                                struct dp_error *error)
{
    struct span body;
    enum dp_status status = open_piece(bytes, number, &body, error);
    *r = (struct text_block_reader){.rest = cursor_over(body)};
    return status;
}

/* Reads an entry. *shared: how many bytes its key has of the key before; *rest: the others. */
static bool read_entry(struct text_block_reader *r, size_t *shared, struct span *rest)
{
    if (r->rest.failed || r->rest.rest.len == 0)
        return false;
    const uint64_t begin = cursor_varint(&r->rest);
    *rest = cursor_bytes(&r->rest, cursor_varint(&r->rest));
    const uint64_t df = cursor_varint(&r->rest);
    r->list = cursor_bytes(&r->rest, cursor_varint(&r->rest));
    if (begin > r->key_len || rest->len > TERM_KEY_MAX - begin || df > UINT32_MAX)
        r->rest.failed = true;
    *shared = (size_t)begin;
    r->key_len = (uint32_t)(begin + rest->len);
    r->df = (uint32_t)df;
    return !r->rest.failed;
}

bool text_block_next(struct text_block_reader *r)
{
    size_t shared;
    struct span rest;
    if (!read_entry(r, &shared, &rest))
        return false;
    if (rest.len)
        memcpy(r->key + shared, rest.data, rest.len);
    return true;
}

/* Goes to the entry of a key. Compares the bytes alone that can decide: `same` says how many bytes the key before, which
 * is smaller, has in common with the key. */
static bool find_entry(struct text_block_reader *r, struct span key)
{
    size_t shared, same = 0;
    struct span rest;
    while (read_entry(r, &shared, &rest)) {
        if (shared > same)
            continue; /* it differs from the key where the one before does */
        if (shared < same)
            return false; /* it is greater than the one before where that agrees with the key */
        const size_t most = rest.len < key.len - same ? rest.len : key.len - same;
        size_t n = 0;
        while (n < most && rest.data[n] == key.data[same + n])
            n++;
        same += n;
        if (n == rest.len && same == key.len)
            return true;
        if (n < rest.len && (same == key.len || rest.data[n] > key.data[same]))
            return false;
    }
    return false;
}

enum dp_status term_place_open(struct arena *arena, const struct text_index *index, const struct term_place *place,
                               struct span bytes, uint32_t column, struct span token, bool *found,
                               struct postings *out, struct dp_error *error)
{
    const uint8_t *codes = index->codes ? index->codes + (size_t)column * index->rows : NULL;
    struct term_key key;
    struct span list;
    enum dp_status status;
    *found = place->where == TEXT_IN_POSTINGS;
    if (place->where == TEXT_NOWHERE)
        return DP_OK;
    if (*found) {
        status = open_piece(bytes, place->number, &list, error);
        return status == DP_OK ? postings_open(arena, list, place->piece->df, index->rows, codes, out, error)
                               : status;
    }
    struct text_block_reader r;
    status = text_block_begin(&r, bytes, place->number, error);
    term_key_set(&key, column, token);
    *found = status == DP_OK && find_entry(&r, term_key_span(&key));
    if (status == DP_OK && r.rest.failed)
        status = damaged(error, "a block of terms");
    return *found ? postings_open(arena, r.list, r.df, index->rows, codes, out, error) : status;
}

/* ---- prefixes ---------------------------------------------------------------------------------------- */

/* Adds the rows of a list to the set. */
static enum dp_status add_rows(struct arena *arena, const struct text_index *index, struct span list, uint32_t df,
                               const uint8_t *codes, uint64_t *set, struct dp_error *error)
{
    struct postings postings;
    enum dp_status status = postings_open(arena, list, df, index->rows, codes, &postings, error);
    return status == DP_OK && !postings_add_rows(&postings, set) ? damaged(error, "the postings of a term")
                                                                 : status;
}

/* Adds the rows of the terms of a block that begin with `key`. */
static enum dp_status add_block(struct arena *arena, const struct text_index *index, struct span bytes,
                                uint32_t number, struct span key, const uint8_t *codes, uint64_t *set,
                                struct dp_error *error)
{
    struct text_block_reader r;
    enum dp_status status = text_block_begin(&r, bytes, number, error);
    while (status == DP_OK && text_block_next(&r)) {
        if (span_starts_with(span_of(r.key, r.key_len), key))
            status = add_rows(arena, index, r.list, r.df, codes, set, error);
    }
    return status == DP_OK && r.rest.failed ? damaged(error, "a block of terms") : status;
}

enum dp_status term_range_rows(struct arena *arena, const struct text_index *index, const struct term_range *range,
                               const struct span *blocks, const struct span *frequent, uint32_t column,
                               struct span prefix, uint64_t *set, struct dp_error *error)
{
    const uint8_t *codes = index->codes ? index->codes + (size_t)column * index->rows : NULL;
    struct term_key key;
    enum dp_status status = DP_OK;
    term_key_set(&key, column, prefix);
    for (uint32_t i = 0; i < range->block_count && status == DP_OK; i++)
        status = add_block(arena, index, blocks[i], range->block + i, term_key_span(&key), codes, set, error);
    for (uint32_t i = 0; i < range->frequent_count && status == DP_OK; i++) {
        struct span list;
        status = open_piece(frequent[i], range->frequent + i, &list, error);
        if (status == DP_OK)
            status = add_rows(arena, index, list, index->frequent[range->frequent + i].df, codes, set, error);
    }
    return status;
}
