/* test_query_shapes.c: what each kind of query costs: rounds, requests and bytes, in a namespace that is the same
 * everywhere.
 *
 * The namespace has 5,500 rows in two segments, with codes of one bit, text indexes and columns; then also 100 rows
 * in the log. Components of vectors are small integers, so that distances are exact on every processor.
 *
 * Rounds are the longest chain of reads of which each needs the one before. Rounds and requests must be those of the
 * table. Bytes may differ by a sixteenth: documents and parts of the hot parts are zstd frames, whose length depends
 * on the version of that library. A query writes nothing.
 */
#include "test_store.h"
#include "test_support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/splitmix.h"
#include "service/aggregate.h"
#include "service/search.h"

enum {
    DIM = 128,
    CENTRES = 60,
    FIRST = 3000,
    ROWS = 5500,
    TAIL = 100,
    WORDS = 60,
    K = 10,
    MODES = 4,
    SHAPES = 10
};

/* ---- the namespace --------------------------------------------------------------------------------------- */

static void make_vector(uint64_t row, float *out)
{
    uint64_t centre = row * 7919 % CENTRES, noise = row + 1000;
    for (size_t i = 0; i < DIM; i++) {
        const float middle = (float)(splitmix64_next(&centre) % 41) - 20;
        out[i] = middle + (float)(splitmix64_next(&noise) % 17) - 8;
    }
}

/* Each row has a number, one of ten kinds, a word that no other row has, and twelve of the common words. */
static const char *make_attributes(uint64_t row, char text[512])
{
    uint64_t state = row;
    char *end = text + sprintf(text, "{\"number\":%" PRIu64 ",\"kind\":\"k%u\",\"text\":\"only%" PRIu64, row,
                               (unsigned)(splitmix64_next(&state) % 10), row);
    for (size_t i = 0; i < 12; i++)
        end +=
            sprintf(end, " word%u", (unsigned)(splitmix64_next(&state) % (1 + splitmix64_next(&state) % WORDS)));
    sprintf(end, "\"}");
    return text;
}

static void load_rows(struct call *call, struct store *store, uint64_t from, uint64_t to)
{
    const struct index_vectors vectors = {.dim = DIM, .metric = INDEX_EUCLIDEAN_SQUARED};
    struct index_load_summary summary;
    struct index_loader *loader;
    float x[DIM];
    char text[512];
    assert_int_equal(index_load_begin(call, store, span_str("rows"), &vectors, NULL, &loader), DP_OK);
    index_load_declare(loader, span_str("text"), span_str("{\"full_text_search\":true}"));
    for (uint64_t row = from; row < to; row++) {
        make_vector(row, x);
        assert_int_equal(index_load_row(call, loader, (struct index_id){.number = row}, x, 1,
                                        span_str(make_attributes(row, text))),
                         DP_OK);
    }
    assert_int_equal(index_load_commit(call, loader, &summary), DP_OK);
    assert_int_equal(summary.segments, 1);
}

/* Writes rows to the log, in one entry. */
static void write_tail(struct call *call, struct store *store)
{
    static struct index_write_row rows[TAIL];
    static float x[TAIL][DIM];
    static char texts[TAIL][512];
    struct index_write_result result;
    struct index_reader *reader;
    for (size_t i = 0; i < TAIL; i++) {
        make_vector(ROWS + i, x[i]);
        rows[i] = (struct index_write_row){.id = {.number = ROWS + i},
                                           .vectors = x[i],
                                           .windows = 1,
                                           .attributes = span_str(make_attributes(ROWS + i, texts[i]))};
    }
    const struct index_write write = {.rows = rows, .count = TAIL, .dim = DIM};
    assert_int_equal(index_open(call, store, span_str("rows"), &reader), DP_OK);
    assert_int_equal(index_write(call, reader, &write, &result), DP_OK);
    index_close(reader);
}

/* ---- the shapes ------------------------------------------------------------------------------------------ */

struct cost {
    uint64_t rounds, requests, bytes;
};

/* A kind of query: what it sets, how many rows answer it, and its costs as the first query of a program and as a
 * later one. */
struct shape {
    const char *name;
    void (*set)(struct query_request *q, enum search_rank *rank);
    size_t count;
    struct cost cold_strong, cold_eventual, warm_strong, warm_eventual;
};

static float question[DIM];

static void by_meaning(struct query_request *q, enum search_rank *rank)
{
    *rank = SEARCH_MEANING;
    q->rows.vector = question;
    q->rows.dim = DIM;
}

static void by_words(struct query_request *q, enum search_rank *rank, const char *words)
{
    *rank = SEARCH_WORDS;
    q->text = span_str(words);
}

static void set_meaning(struct query_request *q, enum search_rank *rank)
{
    by_meaning(q, rank);
}

static void set_rare_word(struct query_request *q, enum search_rank *rank)
{
    by_words(q, rank, "only1234");
}

static void set_words(struct query_request *q, enum search_rank *rank)
{
    by_words(q, rank, "word3 word17 word29 word41");
}

static void set_hybrid(struct query_request *q, enum search_rank *rank)
{
    by_meaning(q, rank);
    set_words(q, rank);
    *rank = SEARCH_HYBRID;
}

static void set_wide_filter(struct query_request *q, enum search_rank *rank)
{
    by_meaning(q, rank);
    q->filters = span_str("[\"kind\",\"Eq\",\"k3\"]");
}

static void set_narrow_filter(struct query_request *q, enum search_rank *rank)
{
    by_meaning(q, rank);
    q->filters = span_str("[\"number\",\"In\",[12,2345,4321]]");
}

static void set_exact(struct query_request *q, enum search_rank *rank)
{
    set_wide_filter(q, rank);
    q->rank = QUERY_EXACT;
    *rank = SEARCH_DEFAULT;
}

static void set_order(struct query_request *q, enum search_rank *rank)
{
    *rank = SEARCH_DEFAULT;
    q->rank = QUERY_ORDERED;
    q->rank_attribute = span_str("number");
    q->descending = true;
}

static void set_count(struct query_request *q, enum search_rank *rank)
{
    static const struct aggregate count = {.kind = AGGREGATE_COUNT, .label = {(const uint8_t *)"n", 1}};
    static const struct aggregate_request request = {.aggregates = &count, .count = 1, .limit = 1};
    *rank = SEARCH_DEFAULT;
    q->rank = QUERY_AGGREGATED;
    q->aggregate = &request;
    q->filters = span_str("[\"kind\",\"Eq\",\"k3\"]");
}

static void set_id(struct query_request *q, enum search_rank *rank)
{
    *rank = SEARCH_DEFAULT;
    q->rank = QUERY_ORDERED;
    q->rank_attribute = span_str("id");
    q->filters = span_str("[\"id\",\"Eq\",4321]");
}

/* clang-format off */
/* Each cost: rounds, requests, bytes. */
static const struct shape settled[SHAPES] = {
    /*                                                      first: strong     first: eventual   later: strong     later: eventual */
    {"nearest rows",                  set_meaning,       K, {4, 321,  229779}, {4, 320,  229779}, {2, 318,  201431}, {2, 317,  201431}},
    {"a word of one row",             set_rare_word,     1, {4,   7,   38276}, {4,   6,   38276}, {2,   4,    9928}, {2,   3,    9928}},
    {"four words",                    set_words,         K, {4,  22,   70223}, {4,  21,   70223}, {2,  19,   41875}, {2,  18,   41875}},
    {"nearest rows and four words",   set_hybrid,        K, {4, 534,  462901}, {4, 532,  462901}, {2, 531,  434553}, {2, 529,  434553}},
    {"nearest rows of a tenth",       set_wide_filter,   K, {5, 337,  301938}, {5, 336,  301938}, {3, 334,  273590}, {3, 333,  273590}},
    {"nearest rows of three",         set_narrow_filter, 3, {5,  15,   45041}, {5,  14,   45041}, {3,  12,   16693}, {3,  11,   16693}},
    {"exactly nearest of a tenth",    set_exact,         K, {6, 128, 1607068}, {5, 127, 1607068}, {4, 125, 1578720}, {3, 124, 1578720}},
    {"order by a number, descending", set_order,         K, {5,  15,  203169}, {4,  14,  203169}, {3,  12,  174821}, {2,  11,  174821}},
    {"count of a tenth",              set_count,         0, {4,   6,   31196}, {3,   5,   31196}, {2,   3,    2848}, {1,   2,    2848}},
    {"row of an id",                  set_id,            1, {5,   7,  189117}, {4,   6,  189117}, {3,   4,  160769}, {2,   3,  160769}},
};
/* The first query asks for many entries of the log, of which one is there, and looks up which rows those of the log
 * replace. A later one, if it is strong, asks for the next nine. */
static const struct shape with_tail[SHAPES] = {
    {"nearest rows",                  set_meaning,       K, {4, 396,  313145}, {4, 386,  313145}, {2, 327,  201431}, {2, 317,  201431}},
    {"a word of one row",             set_rare_word,     1, {4,  82,  121642}, {4,  72,  121642}, {2,  13,    9928}, {2,   3,    9928}},
    {"four words",                    set_words,         K, {4,  97,  153589}, {4,  87,  153589}, {2,  28,   41875}, {2,  18,   41875}},
    {"nearest rows and four words",   set_hybrid,        K, {4, 618,  546267}, {4, 598,  546267}, {2, 549,  434553}, {2, 529,  434553}},
    {"nearest rows of a tenth",       set_wide_filter,   K, {6, 412,  385304}, {6, 402,  385304}, {3, 343,  273590}, {3, 333,  273590}},
    {"nearest rows of three",         set_narrow_filter, 3, {6,  90,  128407}, {6,  80,  128407}, {3,  21,   16693}, {3,  11,   16693}},
    {"exactly nearest of a tenth",    set_exact,         K, {7, 203, 1690434}, {6, 193, 1690434}, {4, 134, 1578720}, {3, 124, 1578720}},
    {"order by a number, descending", set_order,         K, {5,  81,  270709}, {4,  71,  270709}, {2,  12,  158995}, {1,   2,  158995}},
    {"count of a tenth",              set_count,         0, {5,  81,  114562}, {4,  71,  114562}, {2,  12,    2848}, {1,   2,    2848}},
    {"row of an id",                  set_id,            1, {6,  82,  272483}, {5,  72,  272483}, {3,  13,  160769}, {2,   3,  160769}},
};
/* clang-format on */

/* ---- measuring ------------------------------------------------------------------------------------------- */

static struct store *open_store(const char *root)
{
    struct arena arena;
    struct call call;
    struct store *store = NULL;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    if (store_open(&call, span_str(root), true, &store) != DP_OK)
        fail_msg("%s", call.error.message);
    arena_deinit(&arena);
    return test_store_wrap(store);
}

static struct service *open_service(const char *root, struct store **store)
{
    struct service *s = NULL;
    struct dp_error error = {0};
    *store = open_store(root);
    const struct service_options options = {.threads = 1, .store = *store};
    if (service_new(&options, &s, &error) != DP_OK)
        fail_msg("%s", error.message);
    return s;
}

/* Runs one query. Returns what it cost by the call's account, which must be the store's. */
static struct cost ask(struct service *s, struct store *store, const struct shape *shape, bool eventual)
{
    struct query_request q = {.namespace = span_str("rows"), .rows = {.top_k = K, .all_attributes = true}};
    struct search_options how = {.rank = SEARCH_DEFAULT};
    struct query_response answer;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 28);
    call_init(&call, &arena);
    q.rows.eventual = eventual;
    shape->set(&q, &how.rank);
    test_store_reset(store);
    enum dp_status status = how.rank == SEARCH_DEFAULT ? service_query(&call, s, &q, &answer)
                                                       : service_search(&call, s, &q, &how, &answer);
    if (status != DP_OK)
        fail_msg("%s: %s", shape->name, call.error.message);
    if (q.rank != QUERY_AGGREGATED)
        assert_int_equal(answer.answer.count, shape->count);
    const struct test_store_counts counts = test_store_counts(store);
    const struct cost cost = {call.cost.rounds, call.cost.requests, call.cost.bytes};
    assert_int_equal(counts.writes, 0);
    assert_int_equal(counts.requests, cost.requests);
    assert_int_equal(counts.bytes_read, cost.bytes);
    assert_true(counts.rounds >= cost.rounds); /* a hybrid search has two lanes */
    arena_deinit(&arena);
    return cost;
}

static bool same_cost(const struct cost *real, const struct cost *wanted)
{
    const uint64_t most = real->bytes > wanted->bytes ? real->bytes : wanted->bytes;
    const uint64_t least = real->bytes > wanted->bytes ? wanted->bytes : real->bytes;
    return real->rounds == wanted->rounds && real->requests == wanted->requests && most - least <= most / 16;
}

/* Measures a shape, prints its line of the table, and compares it. */
static bool check_shape(const char *root, const struct shape *shape)
{
    struct cost real[MODES];
    const struct cost wanted[MODES] = {shape->cold_strong, shape->cold_eventual, shape->warm_strong,
                                       shape->warm_eventual};
    struct store *store;
    bool same = true;
    for (size_t eventual = 0; eventual < 2; eventual++) {
        struct service *s = open_service(root, &store);
        real[eventual] = ask(s, store, shape, eventual);
        real[2 + eventual] = ask(s, store, shape, eventual);
        service_free(s);
    }
    printf("\"%s\":", shape->name);
    for (size_t i = 0; i < MODES; i++) {
        printf(" {%" PRIu64 ", %" PRIu64 ", %" PRIu64 "}", real[i].rounds, real[i].requests, real[i].bytes);
        same = same && same_cost(&real[i], &wanted[i]);
    }
    printf("%s\n", same ? "" : " differs");
    return same;
}

/* Returns how many shapes do not cost what their table says. */
static size_t check_shapes(const char *root, const struct shape *shapes)
{
    size_t different = 0;
    for (size_t i = 0; i < SHAPES; i++)
        different += !check_shape(root, &shapes[i]);
    return different;
}

static void test_service_query_shapes_cost_what_the_tables_say(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    struct store *store = open_store(root);
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 28);
    call_init(&call, &arena);
    make_vector(CENTRES * 1000 + 7, question);
    load_rows(&call, store, 0, FIRST);
    load_rows(&call, store, FIRST, ROWS);
    size_t different = check_shapes(root, settled);
    write_tail(&call, store);
    different += check_shapes(root, with_tail);
    assert_int_equal(different, 0);
    arena_deinit(&arena);
    store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service_query_shapes_cost_what_the_tables_say),
    };
    return test_run(tests);
}
