/* test_maxscore.c: a search that skips finds the same rows with the same scores, to the bit, as one that scores every
 * row. It does so over several segments, with rows masked, with all rows that tie for the last place, and whatever k
 * is. */
#include "test_support.h"

#include <stdlib.h>

#include "base/splitmix.h"
#include "text/bm25.h"
#include "text/maxscore.h"
#include "text_corpus.h"

enum {
    SEGMENTS = 3,
    ROWS = 9000,
    WORDS = 150,
    TERMS_MAX = 12,
    GROUPS_MAX = 3,
    K_MAX = 100,
    NARROW_ROWS = 2560,
    TIES_MAX = SEGMENTS * ROWS
};

static struct corpus segments[SEGMENTS];
static uint64_t allowed[SEGMENTS][ROWS / 64 + 1];
static struct scored_row expected[SEGMENTS * ROWS];

struct words_query {
    size_t count, groups;
    uint32_t column[TERMS_MAX], word[TERMS_MAX];
    struct text_clause clauses[TERMS_MAX];
    double group_weights[GROUPS_MAX];
    bool largest, masked;
};

static double uniform(uint64_t *seed)
{
    return (double)(splitmix64_next(seed) >> 11) * 0x1p-53;
}

static uint32_t df_of(uint32_t column, uint32_t word)
{
    uint32_t df = 0;
    for (size_t s = 0; s < SEGMENTS; s++) {
        for (uint32_t row = 0; row < ROWS; row++)
            df += corpus_tf(&segments[s], column, word, row) > 0;
    }
    return df;
}

static void draw_query(struct words_query *q, uint64_t *seed)
{
    static const double k1s[] = {1.2, 0.5, 0}, bs[] = {0.75, 0, 1};
    /* beyond what a float can hold, in one query: rough scores are bounds all the same */
    static const double scales[] = {1, 1e-200, 1e-40, 1e-20, 1e20, 1e40, 1e200};
    *q = (struct words_query){.count = 1 + splitmix64_next(seed) % TERMS_MAX,
                              .groups = 1 + splitmix64_next(seed) % GROUPS_MAX,
                              .largest = splitmix64_next(seed) % 4 == 0,
                              .masked = splitmix64_next(seed) % 2};
    const bool scaled = splitmix64_next(seed) % 4 == 0;
    double k1 = k1s[splitmix64_next(seed) % 3], b = bs[splitmix64_next(seed) % 3];
    for (size_t i = 0; i < q->count; i++) {
        uint32_t column = (uint32_t)(splitmix64_next(seed) % CORPUS_COLUMNS);
        double x = uniform(seed);
        uint64_t filled = 0, lengths = 0;
        q->column[i] = column;
        q->word[i] = (uint32_t)(x * x * (WORDS + 5)); /* the last five are nowhere */
        for (size_t s = 0; s < SEGMENTS; s++) {
            filled += segments[s].index.columns[column].filled;
            lengths += segments[s].index.columns[column].lengths;
        }
        uint32_t df = q->word[i] < WORDS ? df_of(column, q->word[i]) : 0;
        q->clauses[i] = (struct text_clause){.group = (uint32_t)(i * q->groups / q->count),
                                             .weight = bm25_idf(filled, df) * (1 + (double)(i % 3)) *
                                                       (scaled ? scales[splitmix64_next(seed) % 7] : 1),
                                             .average = (double)lengths / (double)filled,
                                             .k1 = k1,
                                             .b = b};
    }
    for (size_t g = 0; g < q->groups; g++)
        q->group_weights[g] = g == 2 ? 1 : 3 * uniform(seed);
}

static double score_of_row(const struct words_query *q, const struct corpus *c, uint32_t row)
{
    double groups[GROUPS_MAX] = {0}, total = 0;
    for (size_t i = 0; i < q->count; i++) {
        const struct text_clause *clause = &q->clauses[i];
        uint32_t length = bm25_length_of(bm25_code_of(c->lengths[(size_t)q->column[i] * ROWS + row]));
        uint32_t tf = q->word[i] < WORDS ? corpus_tf(c, q->column[i], q->word[i], row) : 0;
        groups[clause->group] += bm25_term(clause->weight, tf, length, clause->average, clause->k1, clause->b);
    }
    for (size_t g = 0; g < q->groups; g++) {
        double part = groups[g] * q->group_weights[g];
        total = !q->largest ? total + part : part > total ? part : total;
    }
    return total;
}

static int in_order(const void *a, const void *b)
{
    const struct scored_row *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

/* Scores every row. Returns how many have a score. */
static size_t search_all(const struct words_query *q)
{
    size_t count = 0;
    for (uint32_t s = 0; s < SEGMENTS; s++) {
        for (uint32_t row = 0; row < ROWS; row++) {
            if (q->masked && !(allowed[s][row / 64] >> (row % 64) & 1))
                continue;
            double score = score_of_row(q, &segments[s], row);
            if (score > 0)
                expected[count++] = (struct scored_row){score, s, row};
        }
    }
    qsort(expected, count, sizeof *expected, in_order);
    return count;
}

/* Searches with the index. Returns how many postings it looked at. */
static uint64_t search_index(struct words_query *q, struct arena *arena, struct text_top *top, uint64_t *postings)
{
    static struct postings lists[TERMS_MAX];
    uint64_t scored = 0;
    char text[16];
    for (uint32_t s = 0; s < SEGMENTS; s++) {
        struct dp_error error = {0};
        struct text_search search = {.clauses = q->clauses,
                                     .count = q->count,
                                     .group_weights = q->group_weights,
                                     .group_count = q->groups,
                                     .largest = q->largest,
                                     .source = s,
                                     .rows = ROWS,
                                     .allowed = q->masked ? allowed[s] : NULL};
        for (size_t i = 0; i < q->count; i++) {
            bool found = corpus_open(&segments[s], q->column[i], corpus_word(q->word[i], text), &lists[i]);
            q->clauses[i].list = found ? &lists[i] : NULL;
            *postings += found ? lists[i].df : 0;
        }
        if (text_search_run(arena, &search, top, &error) != DP_OK)
            fail_msg("%s", error.message);
        scored += search.scored;
    }
    return scored;
}

static void check_top(struct text_top *top, size_t count, bool with_ties)
{
    size_t want = top->k < count ? top->k : count, ties = want;
    text_top_sort(top);
    assert_int_equal(top->count, want);
    for (size_t i = 0; i < want; i++) {
        assert_int_equal(top->rows[i].source, expected[i].source);
        assert_int_equal(top->rows[i].row, expected[i].row);
        assert_memory_equal(&top->rows[i].score, &expected[i].score, sizeof(double));
    }
    while (with_ties && want && ties < count && expected[ties].score == expected[want - 1].score)
        ties++;
    if (!with_ties)
        return;
    assert_false(top->ties_lost);
    assert_int_equal(top->tie_count, ties - want);
    qsort(top->ties, top->tie_count, sizeof *top->ties, in_order);
    for (size_t i = 0; i < top->tie_count; i++) {
        assert_int_equal(top->ties[i].source, expected[want + i].source);
        assert_int_equal(top->ties[i].row, expected[want + i].row);
    }
}

static void test_maxscore_is_exhaustive_search(void **state)
{
    static const size_t ks[] = {1, 2, 10, K_MAX};
    static const struct text_build_limits shapes[SEGMENTS] = {
        {0}, {.inline_df = 100, .lengths_len = 1}, {.memory = 100000, .inline_df = 500}};
    uint64_t seed = 42, scored = 0, postings = 0;
    struct dp_error error = {0};
    (void)state;
    for (size_t s = 0; s < SEGMENTS; s++) {
        corpus_init(&segments[s], s + 100, ROWS, WORDS, 12, &shapes[s]);
        for (uint32_t row = 0; row < ROWS; row++)
            allowed[s][row / 64] |= (uint64_t)(splitmix64_next(&seed) % 3 == 0) << (row % 64);
    }
    for (int turn = 0; turn < 120; turn++) {
        struct words_query q;
        draw_query(&q, &seed);
        size_t count = search_all(&q);
        for (size_t i = 0; i < 2 * sizeof ks / sizeof *ks; i++) {
            struct arena arena;
            struct text_top top;
            bool with_ties = i % 2;
            arena_init(&arena, 1 << 26);
            assert_int_equal(text_top_init(&top, &arena, ks[i / 2], with_ties ? TIES_MAX : 0, &error), DP_OK);
            uint64_t all = 0, looked = search_index(&q, &arena, &top, &all);
            check_top(&top, count, with_ties);
            scored += i == 4 ? looked : 0; /* top 10 */
            postings += i == 4 ? all : 0;
            arena_deinit(&arena);
        }
    }
    print_message("top 10: %llu of %llu postings looked at\n", (unsigned long long)scored,
                  (unsigned long long)postings);
    for (size_t s = 0; s < SEGMENTS; s++)
        corpus_deinit(&segments[s]);
}

/* ---- bounds ------------------------------------------------------------------------------------------ */

/* Makes a list whose rows have the shortest length where `is_short` says so, else the longest. */
static void make_list(struct arena *arena, struct buffer *bytes, const uint32_t *rows, const bool *is_short,
                      uint32_t count, struct postings *out)
{
    uint32_t tfs[3 * POSTINGS_BLOCK];
    uint8_t codes[3 * POSTINGS_BLOCK];
    struct dp_error error = {0};
    for (uint32_t i = 0; i < count; i++) {
        tfs[i] = 1;
        codes[i] = is_short[i] ? 0 : UINT8_MAX;
    }
    postings_encode(bytes, rows, tfs, codes, count, true);
    assert_int_equal(postings_open(arena, buffer_span(bytes), count, NARROW_ROWS, NULL, out, &error), DP_OK);
}

/* A term gives some rows a billion times what it gives to others, and a rare term decides between these. What the rare
 * one can add must not be lost in the rounding of a sum with the large one: its block would be passed over. */
static void test_maxscore_bounds_hold_beside_a_much_larger_one(void **state)
{
    (void)state;
    const double longest = bm25_term(1, 1, bm25_length_of(UINT8_MAX), 1, 1, 1);
    for (int turn = 0; turn < 64; turn++) {
        static uint32_t rows[3 * POSTINGS_BLOCK];
        static bool is_short[3 * POSTINGS_BLOCK];
        const uint32_t last_row = 2048 + POSTINGS_BLOCK, early[] = {300, 301};
        const bool all_short[] = {true, true};
        struct buffer bytes[3];
        struct postings lists[3];
        struct arena arena;
        struct text_top top;
        struct dp_error error = {0};
        const double rare = longest * (1 + turn / 100.0), best = longest + rare, one = 1;
        struct text_clause clauses[3] = {{.weight = 1}, {.weight = rare}, {.weight = best * (1 - 1e-8)}};
        arena_init(&arena, 1 << 26);
        for (uint32_t i = 0; i < 3 * POSTINGS_BLOCK; i++) {
            rows[i] = i < POSTINGS_BLOCK ? i : 2048 + i - POSTINGS_BLOCK; /* in two windows */
            is_short[i] = i == 0 || i == POSTINGS_BLOCK;
        }
        for (int i = 0; i < 3; i++)
            buffer_init(&bytes[i], 1 << 20);
        make_list(&arena, &bytes[0], rows, is_short, 3 * POSTINGS_BLOCK, &lists[0]);
        make_list(&arena, &bytes[1], &last_row, all_short, 1, &lists[1]);
        make_list(&arena, &bytes[2], early, all_short, 2, &lists[2]);
        for (int i = 0; i < 3; i++) {
            clauses[i].list = &lists[i];
            clauses[i].average = clauses[i].k1 = clauses[i].b = 1;
        }
        struct text_search search = {
            .clauses = clauses, .count = 3, .group_weights = &one, .group_count = 1, .rows = NARROW_ROWS};
        assert_int_equal(text_top_init(&top, &arena, 3, 0, &error), DP_OK);
        assert_int_equal(text_search_run(&arena, &search, &top, &error), DP_OK);
        text_top_sort(&top);
        assert_int_equal(top.count, 3);
        assert_int_equal(top.rows[0].row, 0);
        assert_int_equal(top.rows[1].row, 2048);
        if (top.rows[2].row != last_row || top.rows[2].score != best)
            fail_msg("turn %d: row %u", turn, top.rows[2].row);
        for (int i = 0; i < 3; i++)
            buffer_deinit(&bytes[i]);
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maxscore_is_exhaustive_search),
        cmocka_unit_test(test_maxscore_bounds_hold_beside_a_much_larger_one),
    };
    return test_run(tests);
}
