/* model_fixture.c: compares a namespace with a model that knows each row. */
#include "model_fixture.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/splitmix.h"
#include "index/id.h"
#include "index/query/lookup.h"
#include "index/query/reader.h"

uint64_t model_draw(uint64_t *state, uint64_t below)
{
    return splitmix64_next(state) % below;
}

float model_distance(const struct world *w, const struct model *m, uint64_t row, const float *query)
{
    const struct expected e = {.rows = UINT64_MAX, .edition = m->edition[row]};
    return fixture_distance(w, &e, row, query);
}

int model_hits_by_distance(const void *a, const void *b)
{
    const struct model_hit *left = a, *right = b;
    return left->dist < right->dist ? -1 : left->dist > right->dist;
}

static size_t rank_model(const struct world *w, const struct model *m, const float *query, struct model_hit *out)
{
    size_t count = 0;
    for (uint64_t row = 0; row < MODEL_ROWS; row++) {
        if (m->live[row] && !m->bare[row])
            out[count++] = (struct model_hit){row, model_distance(w, m, row, query)};
    }
    qsort(out, count, sizeof *out, model_hits_by_distance);
    return count;
}

uint64_t model_live(const struct model *m)
{
    uint64_t count = 0;
    for (uint64_t row = 0; row < MODEL_ROWS; row++)
        count += m->live[row];
    return count;
}

/* Checks that the answer holds the best k rows of the model, as they are now. */
static void check_answer(struct world *w, const struct model *m, const float *query, uint32_t k,
                         const struct index_answer *answer)
{
    static struct model_hit all[MODEL_ROWS];
    size_t count = rank_model(w, m, query, all);
    assert_int_equal(answer->count, count < k ? count : k);
    assert_int_equal(answer->approx_rows, model_live(m));
    for (size_t i = 0; i < answer->count; i++) {
        char text[256];
        const struct index_hit *hit = &answer->hits[i];
        uint64_t row = fixture_row_of(hit->id);
        assert_true(row < MODEL_ROWS && m->live[row]);
        if (!span_equal_str(hit->attributes, fixture_attributes(row, m->edition[row], text)))
            fail_msg("row %" PRIu64 " has %.*s, not edition %u", row, SPAN_FMT(hit->attributes), m->edition[row]);
        float slack = 1e-4F * (1 + all[i].dist), dist = model_distance(w, m, row, query);
        if (hit->dist > all[i].dist + slack || hit->dist < dist - slack || hit->dist > dist + slack)
            fail_msg("hit %zu: row %" PRIu64 " at %g; the model has row %" PRIu64 " at %g", i, row,
                     (double)hit->dist, all[i].row, (double)all[i].dist);
        for (size_t j = 0; j < i; j++)
            assert_true(fixture_row_of(answer->hits[j].id) != row);
    }
}

void model_ask(struct world *w, struct index_reader *reader, const struct model *m, uint64_t *random)
{
    float query[FIXTURE_DIM];
    struct index_answer answer;
    fixture_query(w, model_draw(random, 1000), query);
    struct index_query q = {.vector = query,
                            .dim = FIXTURE_DIM,
                            .top_k =
                                (uint32_t)(1 + model_draw(random, model_draw(random, 4) ? 20 : MODEL_ROWS + 10)),
                            .nprobe = 1000000,
                            .all_attributes = true};
    arena_reset(&w->arena);
    if (index_query(&w->call, reader, &q, &answer) != DP_OK)
        fail_msg("%s", w->call.error.message);
    check_answer(w, m, query, q.top_k, &answer);
}

void model_check_stats(struct world *w, struct index_reader *reader, const struct model *m)
{
    struct index_stats stats;
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    assert_int_equal(stats.rows, model_live(m));
}

/* ---- lookups ----------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const struct id_key *left = a, *right = b;
    return span_compare(id_key_span(left), id_key_span(right));
}

/* Checks the vectors of a found row, bit by bit. */
static void check_vectors(const struct world *w, uint64_t row, unsigned edition, const struct found_row *found)
{
    float x[FIXTURE_DIM];
    assert_int_equal(found->windows, fixture_windows(w, row));
    for (uint32_t i = 0; i < found->windows; i++) {
        fixture_vector(w, row, i, edition, x);
        assert_memory_equal(found->vectors + i * FIXTURE_DIM, x, sizeof x);
    }
}

static void check_found(const struct world *w, const struct model *m, struct span key, enum lookup_parts parts,
                        const struct found_row *found)
{
    struct index_id id;
    char text[256];
    assert_true(id_decode(key, NULL, &id));
    uint64_t row = fixture_row_of(id);
    if (row >= MODEL_ROWS || !m->live[row]) {
        assert_int_equal(found->where, ROW_NONE);
        return;
    }
    assert_int_not_equal(found->where, ROW_NONE);
    if (parts != LOOKUP_PLACES)
        assert_true(span_equal_str(found->document, fixture_attributes(row, m->edition[row], text)));
    if (parts == LOOKUP_WHOLE && m->bare[row])
        assert_true(found->windows == 0 && !found->vectors);
    else if (parts == LOOKUP_WHOLE)
        check_vectors(w, row, m->edition[row], found);
}

void model_look_up(struct world *w, struct index_reader *reader, const struct model *m, uint64_t *random)
{
    static struct id_key keys[MODEL_ROWS + 20];
    static struct span spans[MODEL_ROWS + 20];
    static struct found_row found[MODEL_ROWS + 20];
    size_t count = 0;
    enum lookup_parts parts = (enum lookup_parts)model_draw(random, 3);
    uint64_t share = 1 + model_draw(random, 20);
    for (uint64_t row = 0; row < MODEL_ROWS + 20; row++) {
        char text[32];
        if (model_draw(random, share) == 0)
            assert_int_equal(id_encode(fixture_id(row, text), &keys[count++], NULL), DP_OK);
    }
    qsort(keys, count, sizeof *keys, by_key);
    for (size_t i = 0; i < count; i++)
        spans[i] = id_key_span(&keys[i]);
    struct view *view = reader_view(reader);
    struct view_position at;
    if (index_lookup(&w->call, view, spans, count, parts, found, &at) != DP_OK)
        fail_msg("%s", w->call.error.message);
    assert_int_equal(at.last, view_position(view).last);
    for (size_t i = 0; i < count; i++)
        check_found(w, m, spans[i], parts, &found[i]);
    view_release(view);
}

/* ---- entries --------------------------------------------------------------------------------------------- */

void model_put_entry(struct fixture_log *log, struct model *m, uint64_t *random, unsigned *edition)
{
    log_entry(log);
    for (uint64_t n = model_draw(random, 12); n > 0; n--) {
        uint64_t row = model_draw(random, MODEL_ROWS);
        bool deletes = model_draw(random, 3) == 0, bare = !deletes && model_draw(random, 6) == 0;
        if (deletes)
            log_deleted(log, row);
        else if (bare)
            log_vectorless_row(log, row, ++*edition);
        else
            log_row(log, row, ++*edition);
        m->live[row] = !deletes;
        m->bare[row] = bare;
        m->edition[row] = *edition;
    }
    log_put(log);
}

void model_load(struct world *w, struct model *m, uint64_t from, uint64_t to, unsigned edition)
{
    fixture_must_load(w, "rows", from, to, edition);
    for (uint64_t row = from; row < to; row++) {
        m->live[row] = true;
        m->bare[row] = false;
        m->edition[row] = edition;
    }
}
