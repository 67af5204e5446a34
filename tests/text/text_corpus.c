/* text_corpus.c: see text_corpus.h. */
#include "text_corpus.h"

#include <stdio.h>

#include "base/splitmix.h"
#include "test_support.h"

struct span corpus_word(uint32_t word, char text[16])
{
    int len = snprintf(text, 16, "w%u", word);
    return span_of(text, (size_t)len);
}

static enum dp_status gather(void *context, struct span piece, struct dp_error *error)
{
    (void)error;
    buffer_append(context, piece);
    return DP_OK;
}

static enum dp_status gather_terms(void *context, struct span piece, struct dp_error *error)
{
    struct corpus *c = context;
    assert_int_equal(c->post.len, 0);
    return gather(&c->tdic, piece, error);
}

static enum dp_status gather_postings(void *context, struct span piece, struct dp_error *error)
{
    struct corpus *c = context;
    return gather(&c->post, piece, error);
}

/* Draws a word; small numbers are more frequent. */
static uint32_t draw(uint64_t *state, uint32_t words)
{
    double x = (double)(splitmix64_next(state) >> 11) * 0x1p-53;
    uint32_t word = (uint32_t)(words * x * x * x * x);
    return word < words ? word : words - 1;
}

static void fill(struct corpus *c, struct text_builder *b, uint64_t seed, uint32_t length)
{
    char text[16];
    struct dp_error error = {0};
    for (uint32_t row = 0; row < c->rows; row++) {
        if (splitmix64_next(&seed) % 13 == 0)
            continue; /* a row without a token */
        assert_int_equal(text_builder_row(b, row, &error), DP_OK);
        for (uint32_t column = 0; column < CORPUS_COLUMNS; column++) {
            uint32_t tokens = (uint32_t)(splitmix64_next(&seed) % (length * (column + 1)));
            for (uint32_t i = 0; i < tokens; i++) {
                uint32_t word = draw(&seed, c->words);
                assert_int_equal(text_builder_token(b, column, corpus_word(word, text), &error), DP_OK);
                c->tfs[((size_t)column * c->words + word) * c->rows + row]++;
            }
            c->lengths[(size_t)column * c->rows + row] = tokens;
        }
    }
}

void corpus_init(struct corpus *c, uint64_t seed, uint32_t rows, uint32_t words, uint32_t length,
                 const struct text_build_limits *limits)
{
    const struct text_column columns[CORPUS_COLUMNS] = {{3, 77}, {9, 78}};
    struct text_sink sink = {gather_terms, gather_postings, c};
    struct text_builder *b;
    struct dp_error error = {0};
    *c = (struct corpus){.rows = rows, .words = words};
    arena_init(&c->arena, (size_t)1 << 30);
    struct buffer *buffers[CORPUS_PARTS] = {&c->tdic, &c->post, &c->tidx, &c->tfrq, &c->lens};
    for (size_t i = 0; i < CORPUS_PARTS; i++)
        buffer_init(buffers[i], (size_t)1 << 30);
    c->tfs = arena_calloc(&c->arena, (size_t)CORPUS_COLUMNS * words * rows, sizeof *c->tfs);
    c->lengths = arena_calloc(&c->arena, (size_t)CORPUS_COLUMNS * rows, sizeof *c->lengths);
    assert_non_null(c->tfs);
    assert_non_null(c->lengths);
    assert_int_equal(text_builder_new(columns, CORPUS_COLUMNS, rows, limits, &b, &error), DP_OK);
    fill(c, b, seed, length);
    assert_int_equal(text_builder_finish(b, &sink, &c->tidx, &c->tfrq, &c->lens, &error), DP_OK);
    text_builder_free(b);
    enum dp_status status = text_index_open(&c->arena, rows, buffer_span(&c->tidx), buffer_span(&c->tfrq),
                                            buffer_span(&c->lens), &c->index, &error);
    if (status)
        fail_msg("%s", error.message);
    assert_int_equal(c->index.terms_len, c->tdic.len);
    assert_int_equal(c->index.postings_len, c->post.len);
}

void corpus_deinit(struct corpus *c)
{
    struct buffer *buffers[CORPUS_PARTS] = {&c->tdic, &c->post, &c->tidx, &c->tfrq, &c->lens};
    for (size_t i = 0; i < CORPUS_PARTS; i++)
        buffer_deinit(buffers[i]);
    arena_deinit(&c->arena);
}

bool corpus_open(struct corpus *c, uint32_t column, struct span token, struct postings *out)
{
    struct term_place place = text_index_find(&c->index, column, token);
    struct dp_error error = {0};
    struct span bytes = {0};
    bool found;
    if (place.where == TEXT_IN_BLOCK)
        assert_true(span_sub(buffer_span(&c->tdic), place.piece->at, place.piece->len, &bytes));
    if (place.where == TEXT_IN_POSTINGS)
        assert_true(span_sub(buffer_span(&c->post), place.piece->at, place.piece->len, &bytes));
    enum dp_status status =
        term_place_open(&c->arena, &c->index, &place, bytes, column, token, &found, out, &error);
    if (status)
        fail_msg("%s", error.message);
    return found;
}
