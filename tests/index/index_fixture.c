/* index_fixture.c: makes rows from their numbers, loads them, and searches them exhaustively. */
#include "index_fixture.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- worlds ------------------------------------------------------------------------------------------ */

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    arena_init(&w->arena, 512 << 20);
    call_init(&w->call, &w->arena);
    w->dim = FIXTURE_DIM;
    return w;
}

struct store *fixture_memory(struct world *w)
{
    static unsigned number;
    char url[64];
    struct store *store;
    snprintf(url, sizeof url, "mem://index-%u", ++number);
    assert_int_equal(store_open(&w->call, span_str(url), true, &store), DP_OK);
    return store;
}

int world_in_memory(void **state)
{
    struct world *w = world_new();
    w->store = test_store_wrap(fixture_memory(w));
    *state = w;
    return 0;
}

int world_in_folder(void **state)
{
    struct world *w = world_new();
    struct store *store;
    assert_int_equal(store_open(&w->call, span_str(test_tmpdir()), true, &store), DP_OK);
    w->store = test_store_wrap(store);
    *state = w;
    return 0;
}

int world_close(void **state)
{
    struct world *w = *state;
    store_free(w->store);
    arena_deinit(&w->arena);
    free(w);
    return 0;
}

void world_reset(struct world *w)
{
    arena_reset(&w->arena);
    call_init(&w->call, &w->arena);
    test_store_reset(w->store);
}

/* ---- rows -------------------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood, 2014) */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Nearly normal: the sum of four uniform values, scaled to variance 1. */
static float next_normal(uint64_t *state)
{
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (double)(next_random(state) >> 11) / 9007199254740992.0 - 0.5;
    return (float)(sum * 1.7320508);
}

static void draw(const struct world *w, uint64_t seed, float *out)
{
    uint64_t state = seed * UINT64_C(0x2545f4914f6cdd1d) + 99;
    uint64_t centre = next_random(&state) % FIXTURE_CENTRES * 7919 + 13;
    for (uint32_t d = 0; d < w->dim; d++)
        out[d] = next_normal(&centre) + 0.6F * next_normal(&state);
}

size_t fixture_windows(const struct world *w, uint64_t row)
{
    return w->windows && row % 7 == 3 ? 2 + row % (FIXTURE_WINDOWS_MAX - 1) : 1;
}

void fixture_vector(const struct world *w, uint64_t row, size_t window, unsigned edition, float *out)
{
    draw(w, row * 31 + window * 1000003 + edition * UINT64_C(77777777), out);
}

void fixture_query(const struct world *w, uint64_t number, float *out)
{
    draw(w, UINT64_C(0xabcdef0000) + number, out);
}

struct index_id fixture_id(uint64_t row, char text[32])
{
    if (row % 3)
        return (struct index_id){.number = row};
    snprintf(text, 32, "row-%" PRIu64, row);
    return (struct index_id){.is_string = true, .text = span_str(text)};
}

uint64_t fixture_row_of(struct index_id id)
{
    if (!id.is_string)
        return id.number % 3 ? id.number : UINT64_MAX;
    char text[INDEX_ID_MAX + 1];
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(id.text));
    return strncmp(text, "row-", 4) == 0 ? strtoull(text + 4, NULL, 10) : UINT64_MAX;
}

const char *fixture_attributes(uint64_t row, unsigned edition, char text[256])
{
    snprintf(text, 256,
             "{\"title\": \"row %" PRIu64 "\",\"edition\":%u,\"even\":%s,\"tags\":[\"a\",\"b%" PRIu64
             "\"],\"price\":%" PRIu64 ".5,\"gone\":null}",
             row, edition, row % 2 ? "false" : "true", row % 5, row);
    return text;
}

/* ---- loading ----------------------------------------------------------------------------------------- */

struct index_vectors fixture_vectors(const struct world *w)
{
    return (struct index_vectors){.dim = w->dim,
                                  .metric = w->metric,
                                  .model = span_str("test-model"),
                                  .fingerprint = span_str("0123456789abcdef0123456789abcdef")};
}

static int64_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

static enum dp_status no_wait(void *ctx, struct call *call, int64_t ms)
{
    (void)ctx, (void)ms;
    return call_check(call);
}

static enum dp_status begin(struct world *w, const char *name, struct index_loader **loader)
{
    static struct index_clock timeless;
    struct index_vectors vectors = fixture_vectors(w);
    timeless = index_system_clock;
    timeless.now_ns = no_time;
    timeless.wait = no_wait;
    return load_begin(&w->call, w->store, span_str(name), &vectors, NULL, w->clock ? w->clock : &timeless, loader);
}

struct index_loader *fixture_begin(struct world *w, const char *name)
{
    struct index_loader *loader;
    if (begin(w, name, &loader) != DP_OK)
        fail_msg("beginning to load %s: %s", name, w->call.error.message);
    return loader;
}

enum dp_status fixture_add(struct world *w, struct index_loader *loader, uint64_t from, uint64_t to,
                           unsigned edition)
{
    enum dp_status status = DP_OK;
    float *x = malloc(FIXTURE_WINDOWS_MAX * w->dim * sizeof *x);
    assert_non_null(x);
    for (uint64_t row = from; row < to && status == DP_OK; row++) {
        char id[32], attributes[256];
        size_t windows = fixture_windows(w, row);
        for (size_t i = 0; i < windows; i++)
            fixture_vector(w, row, i, edition, x + i * w->dim);
        status = index_load_row(&w->call, loader, fixture_id(row, id), x, windows,
                                span_str(fixture_attributes(row, edition, attributes)));
    }
    free(x);
    return status;
}

enum dp_status fixture_load(struct world *w, const char *name, uint64_t from, uint64_t to, unsigned edition,
                            struct index_load_summary *summary)
{
    struct index_loader *loader;
    enum dp_status status = begin(w, name, &loader);
    if (status)
        return status;
    status = fixture_add(w, loader, from, to, edition);
    if (status) {
        index_load_abort(loader);
        return status;
    }
    return index_load_commit(&w->call, loader, summary);
}

struct index_load_summary fixture_must_load(struct world *w, const char *name, uint64_t from, uint64_t to,
                                            unsigned edition)
{
    struct index_load_summary summary;
    enum dp_status status = fixture_load(w, name, from, to, edition, &summary);
    if (status)
        fail_msg("loading %s: %s", name, w->call.error.message);
    assert_int_equal(summary.rows, to - from);
    return summary;
}

struct index_reader *fixture_open(struct world *w, const char *name)
{
    struct index_reader *reader;
    if (index_open(&w->call, w->store, span_str(name), &reader) != DP_OK)
        fail_msg("opening %s: %s", name, w->call.error.message);
    return reader;
}

void fixture_copy(struct world *w, struct store *from, struct store *to)
{
    struct store_listing page = {.truncated = true};
    struct span after = {0};
    while (page.truncated) {
        assert_int_equal(store_list(&w->call, from, span_str(""), after, false, 1000, &page), DP_OK);
        for (size_t i = 0; i < page.count; i++) {
            struct store_read_req req = {.key = page.entries[i].key, .len = STORE_TO_END};
            assert_int_equal(store_read(&w->call, from, &req, 1), DP_OK);
            struct store_put put = {.key = req.key, .body = req.bytes.span};
            assert_int_equal(store_put(&w->call, to, &put), DP_OK);
            store_read_release(&req, 1);
            after = page.entries[i].key;
        }
    }
}

/* ---- exhaustive search --------------------------------------------------------------------------------- */

static unsigned edition_of(const struct expected *e, uint64_t row)
{
    return row >= e->newer_from && row < e->newer_to ? e->newer_edition : e->edition;
}

float fixture_distance(const struct world *w, const struct expected *e, uint64_t row, const float *query)
{
    float *x = malloc(w->dim * sizeof *x);
    double best = INFINITY;
    assert_non_null(x);
    for (size_t window = 0; window < fixture_windows(w, row); window++) {
        double dot = 0, xx = 0, qq = 0, square = 0;
        fixture_vector(w, row, window, edition_of(e, row), x);
        for (uint32_t d = 0; d < w->dim; d++) {
            double a = x[d], b = query[d];
            dot += a * b;
            xx += a * a;
            qq += b * b;
            square += (a - b) * (a - b);
        }
        double dist = w->metric == INDEX_COSINE ? 1 - dot / sqrt(xx * qq) : square;
        best = dist < best ? dist : best;
    }
    free(x);
    return (float)best;
}

static int by_value(const void *a, const void *b)
{
    const float *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Checks that the hit has the distance and the attributes of its row. */
static void check_hit(const struct world *w, const struct expected *e, const float *query,
                      const struct index_hit *hit)
{
    uint64_t row = fixture_row_of(hit->id);
    assert_true(row < e->rows || (row >= e->newer_from && row < e->newer_to));
    float dist = fixture_distance(w, e, row, query);
    if (fabsf(dist - hit->dist) > 1e-4F * (1 + dist))
        fail_msg("row %" PRIu64 ": distance %g, expected %g", row, (double)hit->dist, (double)dist);
    char text[256];
    assert_true(span_equal_str(hit->attributes, fixture_attributes(row, edition_of(e, row), text)));
}

double fixture_check_answers(struct world *w, struct index_reader *reader, const struct expected *e,
                             size_t queries, uint32_t k, uint32_t nprobe)
{
    float *query = malloc(w->dim * sizeof *query);
    uint64_t rows = e->rows > e->newer_to ? e->rows : e->newer_to;
    float *all = malloc(rows * sizeof *all);
    size_t found = 0, wanted = 0;
    assert_non_null(query);
    assert_non_null(all);
    for (size_t q = 0; q < queries; q++) {
        struct index_answer answer;
        fixture_query(w, q, query);
        struct index_query ask = {
            .vector = query, .dim = w->dim, .top_k = k, .nprobe = nprobe, .all_attributes = true};
        arena_reset(&w->arena);
        if (index_query(&w->call, reader, &ask, &answer) != DP_OK)
            fail_msg("query %zu: %s", q, w->call.error.message);
        size_t count = 0;
        for (uint64_t row = 0; row < rows; row++) {
            if (row < e->rows || row >= e->newer_from)
                all[count++] = fixture_distance(w, e, row, query);
        }
        qsort(all, count, sizeof *all, by_value);
        assert_true(answer.count <= k);
        size_t want = count < k ? count : k;
        wanted += want;
        for (size_t i = 0; i < answer.count; i++) {
            check_hit(w, e, query, &answer.hits[i]);
            assert_true(i == 0 || answer.hits[i - 1].dist <= answer.hits[i].dist);
            for (size_t j = 0; j < i; j++)
                assert_int_not_equal(fixture_row_of(answer.hits[i].id), fixture_row_of(answer.hits[j].id));
            found += answer.hits[i].dist <= all[want - 1] + 1e-5F * (1 + all[want - 1]);
        }
    }
    free(query);
    free(all);
    return (double)found / (double)wanted;
}
