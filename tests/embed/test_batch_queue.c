/* test_batch_queue.c: a simulation of clients of one embedder, on a virtual clock.
 *
 * A batch takes as long as its work says, so every run is the same, and no test waits.
 */
#include <stdlib.h>

#include "test_support.h"

#include "base/splitmix.h"
#include "embed/batch_queue.h"

enum {
    WORKERS = 2,
    TOKENS_MAX = 4096,
    CLIENTS_MAX = 130,
    TEXTS_MAX = 64, /* of one request */
    WAITS_MAX = 4000,
};
static const int64_t MS = 1000000;
static const struct batch_share WHOLE = {WORKERS, TOKENS_MAX}; /* the whole team computes each batch */
static const int64_t LONG_NS = 10000000;                       /* a text of 256 tokens on one worker */

/* A client with one request at a time: n texts of `tokens` tokens. After an answer it pauses, then asks again. */
struct sim_client {
    uint64_t number;
    size_t n, tokens;
    int64_t pause_ns;
    struct batch_request request;
    struct tokens seqs[TEXTS_MAX];
    size_t missing; /* texts of the request that were not computed yet */
    int64_t asks_ns, asked_ns;
    uint64_t work; /* computed so far */
    size_t answers;
    int64_t waits[WAITS_MAX];
};

struct sim {
    struct batch_queue queue;
    int64_t now_ns, longest_batch_ns;
    size_t client_count;
    struct sim_client *clients;
};

static void sim_begin(struct sim *s)
{
    *s = (struct sim){.clients = calloc(CLIENTS_MAX, sizeof *s->clients)};
    assert_non_null(s->clients);
    batch_queue_init(&s->queue, WORKERS);
}

static struct sim_client *sim_add(struct sim *s, uint64_t number, size_t n, size_t tokens, int64_t pause_ns)
{
    struct sim_client *c = &s->clients[s->client_count++];
    assert_true(s->client_count <= CLIENTS_MAX && n <= TEXTS_MAX);
    *c = (struct sim_client){.number = number, .n = n, .tokens = tokens, .pause_ns = pause_ns};
    for (size_t i = 0; i < n; i++)
        c->seqs[i] = (struct tokens){.count = tokens};
    return c;
}

/* Lets every client ask whose time has come. Returns the time at which the next one will. */
static int64_t sim_ask(struct sim *s)
{
    int64_t next_ns = INT64_MAX;
    for (size_t i = 0; i < s->client_count; i++) {
        struct sim_client *c = &s->clients[i];
        if (c->missing > 0)
            continue;
        if (c->asks_ns <= s->now_ns) {
            c->request = (struct batch_request){.seqs = c->seqs, .n = c->n, .client = c->number};
            c->missing = c->n;
            c->asked_ns = c->asks_ns > 0 ? c->asks_ns : s->now_ns;
            batch_queue_add(&s->queue, &c->request);
        } else if (c->asks_ns < next_ns) {
            next_ns = c->asks_ns;
        }
    }
    return next_ns;
}

static void sim_answer(struct sim *s, struct sim_client *c)
{
    if (c->answers < WAITS_MAX)
        c->waits[c->answers] = s->now_ns - c->asked_ns;
    c->answers++;
    c->asks_ns = s->now_ns + c->pause_ns;
}

static void sim_batch(struct sim *s)
{
    static struct batch_text texts[TOKENS_MAX];
    size_t tokens;
    uint64_t cost = 0;
    const size_t n = batch_queue_take(&s->queue, &WHOLE, texts, &tokens);
    assert_true(n > 0 && (tokens <= TOKENS_MAX || n == 1));
    for (size_t i = 0; i < n; i++)
        cost += batch_cost(texts[i].request->seqs[texts[i].place].count);
    const int64_t ns = (int64_t)((double)cost / (double)batch_cost(256) * (double)LONG_NS / WORKERS);
    batch_queue_took(&s->queue, WORKERS, cost, ns);
    s->now_ns += ns;
    s->longest_batch_ns = ns > s->longest_batch_ns ? ns : s->longest_batch_ns;
    for (size_t i = 0; i < n; i++) {
        struct sim_client *c =
            (struct sim_client *)((char *)texts[i].request - offsetof(struct sim_client, request));
        c->work += batch_cost(c->seqs[texts[i].place].count);
        if (--c->missing == 0)
            sim_answer(s, c);
    }
}

static void sim_run(struct sim *s, int64_t ns)
{
    while (s->now_ns < ns) {
        const int64_t next_ns = sim_ask(s);
        if (s->queue.first)
            sim_batch(s);
        else
            s->now_ns = next_ns < ns ? next_ns : ns;
    }
}

static int compare_waits(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Returns the wait that this share of a client's answers do not exceed. */
static int64_t wait_of(struct sim_client *c, double share)
{
    const size_t n = c->answers < WAITS_MAX ? c->answers : WAITS_MAX;
    assert_true(n > 0);
    qsort(c->waits, n, sizeof c->waits[0], compare_waits);
    return c->waits[(size_t)(share * (double)(n - 1))];
}

static void sim_end(struct sim *s)
{
    free(s->clients);
}

/* A single query beside endless bulk waits for the running batch at most, whether one client sends the bulk or a
 * hundred do, and takes little from it. */
static void test_batch_queue_single_queries_beside_bulk(void **state)
{
    (void)state;
    for (size_t bulks = 1; bulks <= 100; bulks += 99) {
        struct sim s;
        sim_begin(&s);
        for (size_t i = 0; i < bulks; i++)
            sim_add(&s, 100 + i, TEXTS_MAX, 256, 0);
        struct sim_client *single = sim_add(&s, 1, 1, 12, 7 * MS);
        sim_run(&s, 20000 * MS);
        assert_true(single->answers > 800);
        assert_true(wait_of(single, 0.5) < LONG_NS * 3 / 2);
        assert_true(wait_of(single, 1) < 2 * LONG_NS);
        assert_true(s.longest_batch_ns <= 15 * MS);
        uint64_t work = 0;
        for (size_t i = 0; i < bulks; i++)
            work += s.clients[i].work;
        const double alone = 20000.0 * (double)MS / (double)LONG_NS * WORKERS * (double)batch_cost(256);
        assert_true((double)work > 0.95 * alone);
        sim_end(&s);
    }
}

/* Clients get equal work, whatever the length and the number of their texts, and their number of requests. */
static void test_batch_queue_clients_get_equal_shares(void **state)
{
    (void)state;
    struct sim s;
    sim_begin(&s);
    for (size_t i = 0; i < 10; i++)
        sim_add(&s, 1, TEXTS_MAX, 250, 0); /* one client, ten requests at a time */
    sim_add(&s, 2, TEXTS_MAX, 250, 0);
    sim_add(&s, 3, TEXTS_MAX, 25, 0);
    sim_add(&s, 4, 5, 100, 0);
    sim_run(&s, 30000 * MS);
    uint64_t many = 0;
    for (size_t i = 0; i < 10; i++)
        many += s.clients[i].work;
    for (size_t i = 10; i < 13; i++) {
        assert_true((double)s.clients[i].work > 0.9 * (double)many);
        assert_true((double)s.clients[i].work < 1.1 * (double)many);
    }
    sim_end(&s);
}

/* Small requests share too: one client with sixty at a time does not delay one who asks once. */
static void test_batch_queue_small_requests_share(void **state)
{
    (void)state;
    struct sim s;
    sim_begin(&s);
    for (size_t i = 0; i < 60; i++)
        sim_add(&s, 1, 1, 200, 0);
    struct sim_client *single = sim_add(&s, 2, 1, 20, 3 * MS);
    sim_run(&s, 5000 * MS);
    assert_true(wait_of(single, 1) <= 31 * MS); /* the running turn, and its own */
    sim_end(&s);
}

/* Small requests without end leave a quarter of the time to large ones. */
static void test_batch_queue_large_requests_are_not_starved(void **state)
{
    (void)state;
    struct sim s;
    sim_begin(&s);
    for (size_t i = 0; i < 100; i++)
        sim_add(&s, 100 + i, 1, 100, 0);
    struct sim_client *bulk = sim_add(&s, 1, TEXTS_MAX, 256, 0);
    sim_run(&s, 20000 * MS);
    const double all = 20000.0 * (double)MS / (double)LONG_NS * WORKERS * (double)batch_cost(256);
    assert_true((double)bulk->work > 0.22 * all);
    assert_true((double)bulk->work < 0.28 * all);
    sim_end(&s);
}

/* A client that was away gets no arrears, and one that comes late is not behind those who were served long. */
static void test_batch_queue_newcomer_shares_from_now_on(void **state)
{
    (void)state;
    struct sim s;
    sim_begin(&s);
    struct sim_client *first = sim_add(&s, 1, TEXTS_MAX, 256, 0), *late = sim_add(&s, 2, TEXTS_MAX, 256, 0);
    late->asks_ns = 10000 * MS;
    sim_run(&s, 10000 * MS);
    const uint64_t before = first->work;
    assert_int_equal(late->work, 0);
    sim_run(&s, 20000 * MS);
    const double after = (double)(first->work - before);
    assert_true((double)late->work > 0.95 * after && (double)late->work < 1.05 * after);
    sim_end(&s);
}

/* The length of a turn follows the speed of the machine: a slow one computes a text for each worker at least. */
static void test_batch_queue_turn_follows_the_speed(void **state)
{
    (void)state;
    struct batch_queue q;
    batch_queue_init(&q, WORKERS);
    const uint64_t text = batch_cost(256);
    for (int i = 0; i < 100; i++)
        batch_queue_took(&q, WORKERS, text, MS);
    assert_in_range(q.turn_cost, 14 * text, 15 * text);
    for (int i = 0; i < 100; i++)
        batch_queue_took(&q, WORKERS, text, 100 * MS);
    assert_int_equal(q.turn_cost, 2 * text);
    batch_queue_took(&q, WORKERS, 10, 10000 * MS); /* too little work to say anything */
    assert_int_equal(q.turn_cost, 2 * text);
    struct tokens seqs[3] = {{.count = 256}, {.count = 256}, {.count = 10}};
    struct batch_request r = {.seqs = seqs, .n = 3};
    batch_queue_add(&q, &r);
    assert_in_range(batch_queue_ns(&q), 199 * MS, 205 * MS);
    batch_queue_remove(&q, &r);
    assert_int_equal(batch_queue_ns(&q), 0);
    assert_int_equal(q.waiting_tokens, 0);
}

/* Requests come, are taken and leave at random: no text is taken twice or forgotten, and the sums stay right. */
static void test_batch_queue_loses_no_text(void **state)
{
    (void)state;
    enum { REQUESTS = 40, STEPS = 20000 };
    static struct batch_text texts[TOKENS_MAX];
    static struct batch_request requests[REQUESTS];
    static struct tokens seqs[REQUESTS][TEXTS_MAX];
    static size_t taken[REQUESTS];
    struct batch_queue q;
    uint64_t random = 17;
    batch_queue_init(&q, WORKERS);
    for (size_t step = 0; step < STEPS; step++) {
        const size_t i = splitmix64_next(&random) % REQUESTS;
        struct batch_request *r = &requests[i];
        if (r->queued) {
            batch_queue_remove(&q, r);
        } else {
            *r = (struct batch_request){
                .seqs = seqs[i], .n = 1 + splitmix64_next(&random) % TEXTS_MAX, .client = i % 7};
            for (size_t t = 0; t < r->n; t++)
                seqs[i][t].count = 1 + splitmix64_next(&random) % 512;
            taken[i] = 0;
            batch_queue_add(&q, r);
        }
        size_t tokens, n = q.first ? batch_queue_take(&q, &WHOLE, texts, &tokens) : 0, left = 0;
        for (size_t t = 0; t < n; t++) {
            const size_t owner = (size_t)(texts[t].request - requests);
            assert_int_equal(texts[t].place, taken[owner]++);
            assert_int_equal(texts[t].request->small, texts[0].request->small);
        }
        for (size_t t = 0; t < REQUESTS; t++)
            left += requests[t].queued ? requests[t].tokens_left : 0;
        assert_int_equal(q.waiting_tokens, left);
        batch_queue_took(&q, WORKERS, batch_cost(256), (int64_t)(splitmix64_next(&random) % 50) * MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_queue_single_queries_beside_bulk),
        cmocka_unit_test(test_batch_queue_clients_get_equal_shares),
        cmocka_unit_test(test_batch_queue_small_requests_share),
        cmocka_unit_test(test_batch_queue_large_requests_are_not_starved),
        cmocka_unit_test(test_batch_queue_newcomer_shares_from_now_on),
        cmocka_unit_test(test_batch_queue_turn_follows_the_speed),
        cmocka_unit_test(test_batch_queue_loses_no_text),
    };
    return test_run(tests);
}
