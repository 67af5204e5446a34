/* test_text_index.c: a text index gives the postings that went in, in each of its shapes, and finds damage. */
#include "test_support.h"

#include "base/splitmix.h"
#include "text/bm25.h"
#include "text_corpus.h"

/* The limits make all shapes of an index: one run or many, terms in blocks or by themselves, lengths apart or not. */
static const struct text_build_limits shapes[] = {
    {0},
    {.memory = 20000},
    {.inline_df = 100},
    {.inline_df = 300, .lengths_len = 1},
    {.memory = 50000, .inline_df = 1, .frequent_len = 300, .lengths_len = 1},
    {.inline_df = 1},
};

static void check_list(struct corpus *c, uint32_t column, uint32_t word, const struct postings *list)
{
    static struct postings_run run;
    uint32_t next = 0, df = 0;
    for (uint32_t b = 0; b < list->block_count; b++) {
        const struct postings_block *block = &list->blocks[b];
        assert_true(postings_decode(list, b, &run));
        assert_int_equal(run.count, block->count);
        for (uint32_t i = 0; i < run.count; i++, df++) {
            bool covered = false;
            while (next < c->rows && !corpus_tf(c, column, word, next))
                next++;
            assert_int_equal(run.rows[i], next);
            assert_int_equal(run.tfs[i], corpus_tf(c, column, word, next));
            assert_int_equal(run.codes[i], bm25_code_of(c->lengths[(size_t)column * c->rows + next]));
            assert_true(next >= block->before && next <= block->last);
            for (uint32_t j = 0; j < block->impacts; j++)
                covered |= block->impact[j].tf >= run.tfs[i] && block->impact[j].code <= run.codes[i];
            assert_true(covered);
            next++;
        }
    }
    while (next < c->rows)
        assert_int_equal(corpus_tf(c, column, word, next++), 0);
    assert_int_equal(list->df, df);
}

static void test_text_index_has_the_postings_that_went_in(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        struct corpus c;
        struct postings list;
        char text[16];
        corpus_init(&c, s + 1, 3000, 200, 20, &shapes[s]);
        assert_int_equal(text_index_column(&c.index, 9, 78), 1);
        assert_int_equal(text_index_column(&c.index, 9, 77), -1);
        for (uint32_t column = 0; column < CORPUS_COLUMNS; column++) {
            uint64_t filled = 0, lengths = 0;
            for (uint32_t row = 0; row < c.rows; row++) {
                filled += c.lengths[(size_t)column * c.rows + row] > 0;
                lengths += bm25_length_of(bm25_code_of(c.lengths[(size_t)column * c.rows + row]));
            }
            assert_int_equal(c.index.columns[column].filled, filled);
            assert_int_equal(c.index.columns[column].lengths, lengths);
            for (uint32_t word = 0; word < c.words; word++) {
                if (corpus_open(&c, column, corpus_word(word, text), &list))
                    check_list(&c, column, word, &list);
                else
                    for (uint32_t row = 0; row < c.rows; row++)
                        assert_int_equal(corpus_tf(&c, column, word, row), 0);
            }
            assert_false(corpus_open(&c, column, span_str("w"), &list));
            assert_false(corpus_open(&c, column, span_str("x"), &list));
            assert_false(corpus_open(&c, column, span_str(""), &list));
        }
        corpus_deinit(&c);
    }
}

/* Lists of each density: packed gaps, bit sets, rows without a gap, high frequencies. */
static void test_text_postings_of_each_density_come_back(void **state)
{
    enum { ROWS = 60000 };
    static uint32_t rows[ROWS], tfs[ROWS];
    static uint8_t codes[ROWS];
    static struct postings_run run;
    static const uint32_t steps[] = {1, 2, 3, 9, 200};
    uint64_t seed = 5;
    struct arena arena;
    struct buffer bytes;
    (void)state;
    arena_init(&arena, 1 << 24);
    buffer_init(&bytes, 1 << 24);
    for (uint32_t shape = 0; shape < 20; shape++) {
        uint32_t count = 0, row = (uint32_t)(splitmix64_next(&seed) % 9);
        struct postings list;
        struct dp_error error = {0};
        while (row < ROWS && count < 2000) {
            rows[count] = row;
            tfs[count] = shape % 3 == 2 && count % 300 == 7 ? UINT32_MAX
                                                            : 1 + (uint32_t)(splitmix64_next(&seed) % (shape + 1));
            codes[count++] = (uint8_t)splitmix64_next(&seed);
            row += 1 + (uint32_t)(splitmix64_next(&seed) % steps[shape % 5]);
        }
        buffer_clear(&bytes);
        postings_encode(&bytes, rows, tfs, codes, count, true);
        assert_int_equal(postings_open(&arena, buffer_span(&bytes), count, ROWS, NULL, &list, &error), DP_OK);
        for (uint32_t b = 0, at = 0; b < list.block_count; b++, at += run.count) {
            assert_true(postings_decode(&list, b, &run));
            assert_memory_equal(run.rows, rows + at, run.count * sizeof *rows);
            assert_memory_equal(run.tfs, tfs + at, run.count * sizeof *tfs);
            assert_memory_equal(run.codes, codes + at, run.count);
        }
    }
    buffer_deinit(&bytes);
    arena_deinit(&arena);
}

static void test_text_index_finds_each_changed_byte_of_its_pieces(void **state)
{
    struct corpus c;
    struct dp_error error = {0};
    char text[16];
    (void)state;
    corpus_init(&c, 8, 400, 60, 9, &(struct text_build_limits){.inline_df = 50});
    for (uint32_t word = 0; word < 60; word += 7) {
        struct span token = corpus_word(word, text);
        struct term_place place = text_index_find(&c.index, 0, token);
        struct buffer *part = place.where == TEXT_IN_BLOCK ? &c.tdic : &c.post;
        uint8_t *at = part->data + place.piece->at;
        for (uint32_t i = 0; i < place.piece->len; i += 1 + i / 64) {
            struct postings list;
            bool found;
            at[i] ^= 1;
            assert_int_equal(term_place_open(&c.arena, &c.index, &place, span_of(at, place.piece->len), 0, token,
                                             &found, &list, &error),
                             DP_CORRUPT);
            at[i] ^= 1;
        }
    }
    corpus_deinit(&c);
}

static void test_text_index_may_be_empty(void **state)
{
    struct text_builder *b;
    struct dp_error error = {0};
    struct corpus c = {0};
    (void)state;
    corpus_init(&c, 1, 1, 1, 1, NULL);
    assert_int_equal(c.index.block_count, 0);
    corpus_deinit(&c);
    assert_int_equal(text_builder_new(NULL, 0, 0, NULL, &b, &error), DP_OK);
    assert_int_equal(text_builder_row(b, 0, &error), DP_INVALID);
    text_builder_free(b);
}

static enum dp_status drop(void *context, struct span piece, struct dp_error *error)
{
    (void)context;
    (void)piece;
    (void)error;
    return DP_OK;
}

/* Builds a small index of several runs, whose parts go nowhere but into memory, and opens it. */
static enum dp_status build_and_open(struct dp_error *error)
{
    static const struct text_column columns[] = {{1, 1}};
    static const struct text_build_limits limits = {.memory = 3000, .inline_df = 2};
    struct text_sink sink = {drop, drop, NULL};
    struct text_builder *b = NULL;
    struct text_index index;
    struct arena arena;
    struct buffer hot[3];
    char text[16];
    arena_init(&arena, 1 << 24);
    for (int i = 0; i < 3; i++)
        buffer_init(&hot[i], 1 << 24);
    enum dp_status status = text_builder_new(columns, 1, 100, &limits, &b, error);
    for (uint32_t row = 0; row < 100 && status == DP_OK; row++) {
        status = text_builder_row(b, row, error);
        for (uint32_t word = 0; word < 20 && status == DP_OK; word++)
            status = text_builder_token(b, 0, corpus_word(word * row % 60, text), error);
    }
    if (status == DP_OK)
        status = text_builder_finish(b, &sink, &hot[0], &hot[1], &hot[2], error);
    text_builder_free(b);
    if (status == DP_OK)
        status = text_index_open(&arena, 100, buffer_span(&hot[0]), buffer_span(&hot[1]), buffer_span(&hot[2]),
                                 &index, error);
    for (int i = 0; i < 3; i++)
        buffer_deinit(&hot[i]);
    arena_deinit(&arena);
    return status;
}

static void test_text_index_survives_each_failed_allocation(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct dp_error error = {0};
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = build_and_open(&error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(test_alloc_live(), before);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_index_has_the_postings_that_went_in),
        cmocka_unit_test(test_text_postings_of_each_density_come_back),
        cmocka_unit_test(test_text_index_finds_each_changed_byte_of_its_pieces),
        cmocka_unit_test(test_text_index_may_be_empty),
        cmocka_unit_test(test_text_index_survives_each_failed_allocation),
    };
    return test_run(tests);
}
