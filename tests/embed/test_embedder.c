/* test_embedder.c: the embedder's queue: who waits, who leads, who is refused.
 *
 * A fake engine gives vectors that name their text, and can hold a batch in the middle, so that no test depends on
 * timing.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "test_support.h"

#include "base/alloc.h"
#include "embed/embedder.h"
#include "os/clock.h"

enum { DIM = 4, TOKENS_MAX = 300, VOCAB = 1000, FAILING_ID = 666 };

struct gate_engine {
    struct engine base;
    _Atomic bool held;           /* encode waits at the gate */
    sem_t inside, gate;          /* a run posts `inside` when it begins, then waits for `gate` */
    _Atomic int runs, most_runs; /* runs in progress; the most at one time */
};

static enum dp_status gate_workspace_new(const struct engine *engine, size_t rows, void **out,
                                         struct dp_error *error)
{
    (void)engine;
    *out = mem_alloc(rows);
    return *out == NULL ? dp_fail_nomem(error, "a workspace") : DP_OK;
}

/* out = {first id, number of tokens, 3, 4}. */
static enum dp_status gate_encode(const struct engine *engine, void *workspace, const struct engine_item *items,
                                  size_t n, struct dp_error *error)
{
    (void)workspace;
    struct gate_engine *g = (struct gate_engine *)(uintptr_t)engine;
    int runs = ++g->runs;
    for (int most = g->most_runs; runs > most && !atomic_compare_exchange_weak(&g->most_runs, &most, runs);) {}
    if (g->held) {
        sem_post(&g->inside);
        sem_wait(&g->gate);
    }
    g->runs--;
    for (size_t i = 0; i < n; i++) {
        if (items[i].ids[0] == FAILING_ID)
            return dp_fail(error, DP_CORRUPT, "the failing id");
        items[i].out[0] = (float)items[i].ids[0];
        items[i].out[1] = (float)items[i].count;
        items[i].out[2] = 3;
        items[i].out[3] = 4;
    }
    return DP_OK;
}

static void gate_free(struct engine *engine)
{
    (void)engine;
}

static const struct engine_ops gate_ops = {"gate", gate_workspace_new, mem_free, gate_encode, gate_free, NULL};

static void gate_init(struct gate_engine *g, bool held)
{
    g->base = (struct engine){&gate_ops, DIM, TOKENS_MAX, VOCAB, 0};
    g->held = held;
    g->runs = g->most_runs = 0;
    sem_init(&g->inside, 0, 0);
    sem_init(&g->gate, 0, 0);
}

static struct embedder *new_embedder(const struct gate_engine *g, struct team *team, size_t queue_tokens)
{
    struct embedder *e;
    struct dp_error error;
    const struct embedder_limits limits = {queue_tokens};
    assert_int_equal(embedder_new_over(&g->base, team, &limits, &e, &error), DP_OK);
    return e;
}

/* A requesting thread: n texts of `length` tokens that begin with id, id + 1, … */
struct asker {
    struct embedder *embedder;
    size_t n, length;
    int32_t id;
    _Atomic bool cancelled;
    int64_t deadline_ns;
    pthread_t thread;
    enum dp_status status;
    struct call_cost cost;
    bool right; /* every vector belongs to its text */
};

static void *ask(void *context)
{
    struct asker *a = context;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 24);
    call_init(&call, &arena);
    call.cancelled = &a->cancelled;
    if (a->deadline_ns != 0)
        call.deadline_ns = a->deadline_ns;
    struct tokens *seqs = arena_calloc(&arena, a->n, sizeof *seqs);
    float *out = arena_calloc(&arena, a->n * DIM, sizeof *out);
    for (size_t i = 0; i < a->n; i++) {
        seqs[i].ids = arena_calloc(&arena, a->length, sizeof(int32_t));
        seqs[i].ids[0] = a->id + (int32_t)i;
        seqs[i].count = seqs[i].total = a->length;
    }
    a->status = embedder_embed(&call, a->embedder, seqs, a->n, false, out);
    a->right = true;
    for (size_t i = 0; i < a->n; i++)
        a->right &= out[i * DIM] == (float)(a->id + (int32_t)i) && out[i * DIM + 1] == (float)a->length;
    a->cost = call.cost;
    arena_deinit(&arena);
    return NULL;
}

static void start(struct asker *a, struct embedder *e, size_t n, size_t length, int32_t id)
{
    *a = (struct asker){.embedder = e, .n = n, .length = length, .id = id, .deadline_ns = a->deadline_ns};
    assert_int_equal(pthread_create(&a->thread, NULL, ask, a), 0);
}

static void join(struct asker *a)
{
    assert_int_equal(pthread_join(a->thread, NULL), 0);
}

/* Yields until `tokens` wait in the queue. */
static void await_waiting(const struct embedder *e, size_t tokens)
{
    struct embedder_counts counts;
    do {
        sched_yield();
        embedder_read_counts(e, &counts);
    } while (counts.waiting_tokens != tokens);
}

static void test_embed_every_text_gets_its_vector(void **state)
{
    (void)state;
    struct gate_engine g;
    struct team *team;
    struct dp_error error;
    gate_init(&g, false);
    assert_int_equal(team_new(3, &team, &error), DP_OK);
    struct embedder *e = new_embedder(&g, team, 0);
    /* More tokens than a batch holds, from several threads at once. */
    struct asker askers[4] = {0};
    for (int32_t i = 0; i < 4; i++)
        start(&askers[i], e, 150, i == 0 ? 1 : (size_t)(i * 90), i * 160);
    for (size_t i = 0; i < 4; i++) {
        join(&askers[i]);
        assert_int_equal(askers[i].status, DP_OK);
        assert_true(askers[i].right);
        assert_int_equal(askers[i].cost.tokens, askers[i].n * askers[i].length);
    }
    struct embedder_counts counts;
    embedder_read_counts(e, &counts);
    assert_int_equal(counts.texts, 600);
    assert_int_equal(counts.tokens, 150 * (1 + 90 + 180 + 270));
    assert_int_equal(counts.waiting_tokens, 0);
    embedder_free(e);
    team_free(team);
}

static void test_embed_requests_that_wait_form_one_batch(void **state)
{
    (void)state;
    struct gate_engine g;
    gate_init(&g, true);
    struct embedder *e = new_embedder(&g, NULL, 0);
    struct asker first = {0}, waiting[3] = {0};
    start(&first, e, 1, 10, 1);
    sem_wait(&g.inside); /* its batch is running */
    for (int32_t i = 0; i < 3; i++) {
        start(&waiting[i], e, 1, 5, 10 * (i + 1));
        await_waiting(e, (size_t)(i + 1) * 5);
    }
    g.held = false;
    sem_post(&g.gate);
    join(&first);
    for (size_t i = 0; i < 3; i++) {
        join(&waiting[i]);
        assert_int_equal(waiting[i].status, DP_OK);
        assert_true(waiting[i].right);
    }
    struct embedder_counts counts;
    embedder_read_counts(e, &counts);
    assert_int_equal(counts.batches, 2);
    embedder_free(e);
}

/* While the team computes, as many small requests as it has workers begin to wait. Then each of two threads computes half of
 * them alone, and neither waits for the other. */
static void test_embed_small_requests_that_wait_are_computed_side_by_side(void **state)
{
    (void)state;
    enum { WAITING = 4, LENGTH = 60, WORKERS = 2 };
    struct gate_engine g;
    struct team *team;
    gate_init(&g, true);
    assert_int_equal(team_new(WORKERS, &team, NULL), DP_OK);
    struct embedder *e = new_embedder(&g, team, 0);
    struct asker first = {0}, large = {0}, waiting[WAITING] = {{0}};
    start(&first, e, 1, 10, 1);
    sem_wait(&g.inside);
    for (int32_t i = 0; i < WAITING; i++) {
        start(&waiting[i], e, 1, LENGTH, 10 * (i + 1));
        await_waiting(e, (size_t)(i + 1) * LENGTH);
    }
    sem_post(&g.gate);
    sem_wait(&g.inside); /* two batches run at once: */
    sem_wait(&g.inside);
    struct embedder_counts counts;
    embedder_read_counts(e, &counts);
    assert_int_equal(counts.batches, 3);
    assert_int_equal(counts.waiting_tokens, 0);
    start(&large, e, 20, LENGTH, 100); /* waits for one of them, and the team for both */
    await_waiting(e, 20 * LENGTH);
    g.held = false;
    sem_post(&g.gate);
    sem_post(&g.gate);
    join(&first);
    join(&large);
    assert_true(large.right);
    for (size_t i = 0; i < WAITING; i++) {
        join(&waiting[i]);
        assert_true(waiting[i].right);
    }
    assert_int_equal(g.most_runs, WORKERS);
    embedder_free(e);
    team_free(team);
}

/* Many clients, and some of them leave while their texts wait or run. */
static void test_embed_no_request_is_forgotten(void **state)
{
    (void)state;
    enum { ASKERS = 24, ROUNDS = 40, WORKERS = 3 };
    struct gate_engine g;
    struct team *team;
    gate_init(&g, false);
    assert_int_equal(team_new(WORKERS, &team, NULL), DP_OK);
    struct embedder *e = new_embedder(&g, team, 0);
    for (int32_t round = 0; round < ROUNDS; round++) {
        struct asker askers[ASKERS] = {{0}};
        for (int32_t i = 0; i < ASKERS; i++)
            start(&askers[i], e, i % 5 == 0 ? 30 : 1, (size_t)(i * 7 + round) % 90 + 1,
                  30 * i + 1 < FAILING_ID - 30 ? 30 * i + 1 : i);
        for (size_t i = 0; i < ASKERS; i += 6)
            atomic_store(&askers[i].cancelled, true);
        for (size_t i = 0; i < ASKERS; i++) {
            join(&askers[i]);
            assert_true(askers[i].status == DP_OK ? askers[i].right : i % 6 == 0);
        }
    }
    struct embedder_counts counts;
    embedder_read_counts(e, &counts);
    assert_int_equal(counts.waiting_tokens, 0);
    embedder_free(e);
    team_free(team);
}

static const struct metric *metric_named(const struct metric_registry *r, const char *name)
{
    const struct metric *m = r->first;
    while (m && strcmp(m->name, name) != 0)
        m = m->next;
    assert_non_null(m);
    return m;
}

static size_t observed(const struct metric *m)
{
    size_t count = 0;
    for (size_t i = 0; i <= m->bound_count; i++)
        count += m->buckets[i];
    return count;
}

/* Metrics: texts, tokens and time of each batch, waiting times, waiting tokens, refusals. */
static void test_embed_metrics_tell_of_batches(void **state)
{
    (void)state;
    struct gate_engine g;
    struct metric_registry r;
    struct embedder_metrics metrics;
    struct dp_error error;
    gate_init(&g, true);
    metric_registry_init(&r);
    struct embedder *e = new_embedder(&g, NULL, 40);
    assert_int_equal(embedder_metrics_add(&metrics, &r, &error), DP_OK);
    embedder_set_metrics(e, &metrics);
    struct asker first = {0}, second = {0}, third = {0};
    start(&first, e, 1, 10, 1);
    sem_wait(&g.inside);
    start(&second, e, 3, 20, 2);
    await_waiting(e, 60);
    assert_int_equal(metric_value(metric_named(&r, "dipper_embedder_waiting_tokens")), 60);
    start(&third, e, 1, 1, 3);
    join(&third);
    assert_int_equal(metric_value(metric_named(&r, "dipper_embedder_refused_total")), 1);
    g.held = false;
    sem_post(&g.gate);
    join(&first);
    join(&second);
    assert_int_equal(metric_value(metric_named(&r, "dipper_embedder_waiting_tokens")), 0);
    assert_int_equal(observed(metric_named(&r, "dipper_inference_seconds")), 2);
    assert_int_equal(observed(metric_named(&r, "dipper_batch_texts")), 2);
    assert_int_equal(metric_named(&r, "dipper_batch_texts")->sum_nano, 4000000000);
    assert_int_equal(metric_named(&r, "dipper_batch_tokens")->sum_nano, 70000000000);
    assert_int_equal(observed(metric_named(&r, "dipper_embedder_wait_seconds")), 2);
    assert_int_equal(metric_value(metric_named(&r, "dipper_batch_jobs_total")), 2);
    embedder_free(e);
    metric_registry_deinit(&r);
}

static void test_embed_full_queue_refuses_at_once(void **state)
{
    (void)state;
    struct gate_engine g;
    gate_init(&g, true);
    struct embedder *e = new_embedder(&g, NULL, 40);
    struct asker first = {0}, second = {0}, third = {0};
    start(&first, e, 1, 10, 1);
    sem_wait(&g.inside);
    start(&second, e, 1, 50, 2); /* a request's own tokens do not count */
    await_waiting(e, 50);
    start(&third, e, 1, 1, 3);
    join(&third);
    assert_int_equal(third.status, DP_OVERLOADED);
    g.held = false;
    sem_post(&g.gate);
    join(&first);
    join(&second);
    assert_int_equal(first.status, DP_OK);
    assert_int_equal(second.status, DP_OK);
    struct embedder_counts counts;
    embedder_read_counts(e, &counts);
    assert_int_equal(counts.refused, 1);
    embedder_free(e);
}

static void test_embed_waiting_request_can_be_cancelled(void **state)
{
    (void)state;
    struct gate_engine g;
    gate_init(&g, true);
    struct embedder *e = new_embedder(&g, NULL, 0);
    struct asker first = {0}, cancelled = {0}, late = {.deadline_ns = os_now_ns() + 2000000};
    start(&first, e, 1, 10, 1);
    sem_wait(&g.inside);
    start(&cancelled, e, 2, 7, 5);
    await_waiting(e, 14);
    atomic_store(&cancelled.cancelled, true);
    join(&cancelled);
    assert_int_equal(cancelled.status, DP_CANCELLED);
    start(&late, e, 1, 5, 2);
    join(&late);
    assert_int_equal(late.status, DP_DEADLINE);
    struct embedder_counts counts;
    embedder_read_counts(e, &counts);
    assert_int_equal(counts.waiting_tokens, 0);
    /* A cancelled request waits for its texts in a running batch, and then fails. */
    atomic_store(&first.cancelled, true);
    g.held = false;
    sem_post(&g.gate);
    join(&first);
    assert_int_equal(first.status, DP_OK); /* its only text was done */
    embedder_free(e);
}

static void test_embed_failed_text_fails_its_request(void **state)
{
    (void)state;
    struct gate_engine g;
    gate_init(&g, false);
    struct embedder *e = new_embedder(&g, NULL, 0);
    struct asker bad = {0}, good = {0};
    start(&bad, e, 3, 250, FAILING_ID - 1);
    join(&bad);
    assert_int_equal(bad.status, DP_CORRUPT);
    start(&good, e, 3, 250, 1);
    join(&good);
    assert_int_equal(good.status, DP_OK);
    assert_true(good.right);
    embedder_free(e);
}

static void test_embed_refuses_texts_and_ids_beyond_the_model(void **state)
{
    (void)state;
    struct gate_engine g;
    struct arena arena;
    struct call call;
    float out[DIM];
    int32_t ids[TOKENS_MAX + 1] = {0};
    gate_init(&g, false);
    struct embedder *e = new_embedder(&g, NULL, 0);
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    struct tokens seq = {.ids = ids, .count = 0};
    assert_int_equal(embedder_embed(&call, e, &seq, 1, true, out), DP_INVALID);
    seq.count = TOKENS_MAX + 1;
    assert_int_equal(embedder_embed(&call, e, &seq, 1, true, out), DP_INVALID);
    seq.count = 2;
    ids[1] = VOCAB;
    assert_int_equal(embedder_embed(&call, e, &seq, 1, true, out), DP_INVALID);
    ids[1] = -1;
    assert_int_equal(embedder_embed(&call, e, &seq, 1, true, out), DP_INVALID);
    ids[1] = VOCAB - 1;
    assert_int_equal(embedder_embed(&call, e, &seq, 1, true, out), DP_OK);
    assert_true(out[3] < 1.0f); /* normalised */
    assert_int_equal(embedder_embed(&call, e, NULL, 0, true, NULL), DP_OK);
    embedder_free(e);
    arena_deinit(&arena);
}

static void test_embed_out_of_memory_is_an_error_without_a_leak(void **state)
{
    (void)state;
    struct gate_engine g;
    struct dp_error error;
    gate_init(&g, false);
    size_t before = test_alloc_live();
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct embedder *e;
        test_alloc_fail_at(n);
        enum dp_status status = embedder_new_over(&g.base, NULL, NULL, &e, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        embedder_free(e);
        assert_int_equal(test_alloc_live(), before);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
    }
}

/* If an engine allows few callers, that many threads of the team do all jobs. */
static void test_embed_engine_is_called_by_as_many_threads_as_it_allows(void **state)
{
    (void)state;
    enum { TEXTS = 40, LENGTH = 200, WORKERS = 4 }; /* one job per text */
    for (size_t callers = 1; callers <= WORKERS; callers++) {
        struct gate_engine g;
        struct team *team;
        gate_init(&g, true);
        g.base.callers = callers;
        assert_int_equal(team_new(WORKERS, &team, NULL), DP_OK);
        struct embedder *e = new_embedder(&g, team, 0);
        struct asker a = {.deadline_ns = 0};
        start(&a, e, TEXTS, LENGTH, 100);
        for (size_t i = 0; i < callers; i++) /* all callers begin, and meet at the gate */
            sem_wait(&g.inside);
        g.held = false;
        for (size_t i = 0; i < callers; i++)
            sem_post(&g.gate);
        join(&a);
        assert_int_equal(a.status, DP_OK);
        assert_true(a.right);
        assert_int_equal(g.most_runs, callers);
        embedder_free(e);
        team_free(team);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed_every_text_gets_its_vector),
        cmocka_unit_test(test_embed_requests_that_wait_form_one_batch),
        cmocka_unit_test(test_embed_small_requests_that_wait_are_computed_side_by_side),
        cmocka_unit_test(test_embed_no_request_is_forgotten),
        cmocka_unit_test(test_embed_metrics_tell_of_batches),
        cmocka_unit_test(test_embed_full_queue_refuses_at_once),
        cmocka_unit_test(test_embed_waiting_request_can_be_cancelled),
        cmocka_unit_test(test_embed_failed_text_fails_its_request),
        cmocka_unit_test(test_embed_refuses_texts_and_ids_beyond_the_model),
        cmocka_unit_test(test_embed_out_of_memory_is_an_error_without_a_leak),
        cmocka_unit_test(test_embed_engine_is_called_by_as_many_threads_as_it_allows),
    };
    return test_run(tests);
}
