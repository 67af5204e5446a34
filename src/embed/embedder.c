/* embedder.c: the threads that want vectors, and the batches that the leading one computes on the team.
 *
 * One mutex guards the queue (batch_queue.h). Each request lies on its caller's stack. The leading thread owns the
 * batch arrays until it clears `leading`; a thread that computes alone owns those of its place. No thread computes while
 * it holds the mutex.
 */
#include "embed/embedder.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "embed/batch_queue.h"
#include "os/clock.h"
#include "simd/encoder.h"
#include "simd/simd.h"

enum {
    JOB_TOKENS_MAX = 256, /* maximum tokens of a job, unless one text has more */
    JOB_TOKENS_MIN = 64,  /* a smaller job costs more to hand over than to compute */
    JOBS_A_WORKER = 8,    /* jobs of a full batch, per worker */
    TOGETHER_TAX = 16,    /* the team needs 1/16 more work for a job than one thread does */
};

/* One call of embedder_embed. The queue's lock guards all fields except the constant ones. */
struct embedder_request {
    struct batch_request turn; /* the first field */
    bool normalize;            /* constant */
    float *out;                /* constant; the jobs of a batch write the floats */
    int64_t asked_ns;          /* constant */
    size_t running;            /* texts in running batches */
    bool leads;                /* its thread computes a batch */
    bool failed;               /* `error` says why */
    struct dp_error error;
    pthread_cond_t changed;
};

/* Consecutive items of a batch. One worker computes them, or the whole team does. */
struct embedder_job {
    size_t first, count;
    size_t cost;           /* the sum of its texts' batch_cost() */
    struct dp_error error; /* status DP_OK until the job fails */
};

/* The texts of a batch, in parallel arrays. */
struct embedder_batch {
    struct batch_text *texts;  /* the request of each item, and its place there */
    struct engine_item *items; /* what the engine computes */
};

struct embedder {
    const struct engine *engine;
    struct team *team;
    size_t queue_max, batch_tokens, job_rows, items_max, jobs_max;
    /* Threads that may compute batches alone at one time; 0: the engine allows too few callers. */
    size_t alone_max;

    struct embedder_metrics metrics; /* NULL, or set before the first request */

    struct {
        pthread_mutex_t lock;
        struct batch_queue waiting;
        bool leading; /* a thread leads the team: it owns `leader`. Then nobody computes alone. */
        size_t alone; /* threads that compute a batch alone */
        bool *taken;  /* [alone_max]: one of them owns alone[i] */
        struct embedder_counts counts;
    } queue;

    /* The batch and its scratch. The leading thread owns them. */
    struct {
        struct embedder_batch batch; /* [items_max] */
        struct embedder_job *jobs;   /* [jobs_max] */
        void **workspaces;           /* [team size]; [i] also belongs to the owner of alone[i] */
        size_t *loads;               /* [team size]: each worker's cost, as plan_jobs assigns them */
        /* For an engine that allows few callers at once: */
        size_t job_count;       /* number of jobs that the callers share */
        atomic_size_t next_job; /* position of the first job that no caller has taken */
    } leader;
    struct embedder_batch *alone; /* [alone_max], each [job_rows] */
};

static size_t team_workers(const struct embedder *e)
{
    return !e->team ? 1 : team_size(e->team);
}

enum dp_status embedder_new(const struct model *model, struct team *team, const struct embedder_limits *limits,
                            struct embedder **out, struct dp_error *error)
{
    return embedder_new_over(model_engine(model), team, limits, out, error);
}

static bool new_batch(struct embedder_batch *batch, size_t items)
{
    batch->texts = mem_calloc(items, sizeof *batch->texts);
    batch->items = mem_calloc(items, sizeof *batch->items);
    return batch->texts && batch->items;
}

static void free_batch(struct embedder_batch *batch)
{
    mem_free(batch->texts);
    mem_free(batch->items);
}

static bool new_batches(struct embedder *e)
{
    bool good = new_batch(&e->leader.batch, e->items_max);
    e->queue.taken = mem_calloc(e->alone_max + 1, sizeof *e->queue.taken);
    e->alone = mem_calloc(e->alone_max + 1, sizeof *e->alone);
    good = good && e->queue.taken && e->alone;
    for (size_t i = 0; i < e->alone_max && good; i++)
        good = new_batch(&e->alone[i], e->job_rows);
    return good;
}

enum dp_status embedder_new_over(const struct engine *engine, struct team *team,
                                 const struct embedder_limits *limits, struct embedder **out,
                                 struct dp_error *error)
{
    struct embedder *e = mem_calloc(1, sizeof *e);
    *out = NULL;
    if (!e)
        return dp_fail_nomem(error, "an embedder");
    e->engine = engine;
    e->team = team;
    e->queue_max = limits && limits->queue_tokens > 0 ? limits->queue_tokens : (size_t)1 << 20;
    e->job_rows = e->engine->max_tokens > JOB_TOKENS_MAX ? e->engine->max_tokens : JOB_TOKENS_MAX;
    e->batch_tokens = team_workers(e) * JOBS_A_WORKER * JOB_TOKENS_MAX;
    e->items_max = e->batch_tokens; /* every text has a token */
    /* Of two neighbouring jobs, one has at least JOB_TOKENS_MIN tokens, or both together exceed job_rows. */
    e->jobs_max = e->batch_tokens / JOB_TOKENS_MIN * 2 + 2;
    pthread_mutex_init(&e->queue.lock, NULL);
    batch_queue_init(&e->queue.waiting, team_workers(e));
    if (team_workers(e) > 1 && (engine->callers == 0 || engine->callers >= team_workers(e)))
        e->alone_max = team_workers(e);

    enum dp_status status = DP_OK;
    e->leader.jobs = mem_calloc(e->jobs_max, sizeof *e->leader.jobs);
    e->leader.workspaces = mem_calloc(team_workers(e), sizeof(void *));
    e->leader.loads = mem_calloc(team_workers(e), sizeof *e->leader.loads);
    if (!new_batches(e) || !e->leader.jobs || !e->leader.workspaces || !e->leader.loads)
        status = dp_fail_nomem(error, "an embedder");
    for (size_t i = 0; i < team_workers(e) && status == DP_OK; i++)
        status = e->engine->ops->workspace_new(e->engine, e->job_rows, &e->leader.workspaces[i], error);
    if (status != DP_OK) {
        embedder_free(e);
        return status;
    }
    *out = e;
    return DP_OK;
}

void embedder_free(struct embedder *e)
{
    if (!e)
        return;
    for (size_t i = 0; e->leader.workspaces && i < team_workers(e); i++)
        if (e->leader.workspaces[i])
            e->engine->ops->workspace_free(e->leader.workspaces[i]);
    mem_free(e->leader.workspaces);
    for (size_t i = 0; e->alone && i < e->alone_max; i++)
        free_batch(&e->alone[i]);
    mem_free(e->alone);
    mem_free(e->queue.taken);
    free_batch(&e->leader.batch);
    mem_free(e->leader.jobs);
    mem_free(e->leader.loads);
    pthread_mutex_destroy(&e->queue.lock);
    mem_free(e);
}

enum dp_status embedder_metrics_add(struct embedder_metrics *m, struct metric_registry *r, struct dp_error *error)
{
    static const char jobs[] = "dipper_batch_jobs_total",
                      jobs_help[] =
                          "Jobs of batches; by: one thread of the compute team computed the job alone, or "
                          "the whole team together.";
    m->seconds = metric_histogram(r, "dipper_inference_seconds", "", "Time that the model took for a batch.",
                                  METRIC_LATENCY_BOUNDS, METRIC_LATENCY_BOUND_COUNT);
    m->texts = metric_histogram(r, "dipper_batch_texts", "", "Texts that were computed as one batch.",
                                METRIC_SIZE_BOUNDS, METRIC_SIZE_BOUND_COUNT);
    m->tokens = metric_histogram(r, "dipper_batch_tokens", "", "Tokens that were computed as one batch.",
                                 METRIC_SIZE_BOUNDS, METRIC_SIZE_BOUND_COUNT);
    m->alone = metric_counter(r, jobs, "by=\"thread\"", jobs_help);
    m->together = metric_counter(r, jobs, "by=\"team\"", jobs_help);
    m->waiting = metric_gauge(r, "dipper_embedder_waiting_tokens", "",
                              "Tokens that wait for a batch, as of the last change.");
    m->wait_seconds = metric_histogram(r, "dipper_embedder_wait_seconds", "",
                                       "Time from asking for vectors until the last text was taken into a batch.",
                                       METRIC_LATENCY_BOUNDS, METRIC_LATENCY_BOUND_COUNT);
    m->refused = metric_counter(r, "dipper_embedder_refused_total", "",
                                "Requests for vectors that found too many tokens waiting.");
    bool all = m->seconds && m->texts && m->tokens && m->alone && m->together && m->waiting && m->wait_seconds &&
               m->refused;
    return all ? DP_OK : dp_fail_nomem(error, "metrics");
}

void embedder_set_metrics(struct embedder *e, const struct embedder_metrics *metrics)
{
    e->metrics = *metrics;
}

void embedder_read_counts(const struct embedder *embedder, struct embedder_counts *out)
{
    struct embedder *e = (struct embedder *)(uintptr_t)embedder; /* only the lock changes */
    pthread_mutex_lock(&e->queue.lock);
    *out = e->queue.counts;
    out->waiting_tokens = e->queue.waiting.waiting_tokens;
    pthread_mutex_unlock(&e->queue.lock);
}

/* ---- the queue; callers hold the lock ---- */

static void show_waiting(struct embedder *e)
{
    metric_set(e->metrics.waiting, (int64_t)e->queue.waiting.waiting_tokens);
}

static bool is_done(const struct embedder_request *r)
{
    return !r->turn.queued && r->running == 0;
}

/* Returns the request of an item of the batch. */
static struct embedder_request *owner_of(const struct embedder_batch *batch, size_t i)
{
    return (struct embedder_request *)batch->texts[i].request; /* `turn` is its first field */
}

/* Takes the texts of the next batch. Returns how many it took, and sets *tokens to the sum of their tokens. */
static size_t take_batch(struct embedder *e, const struct batch_share *share, struct embedder_batch *batch,
                         int64_t now, size_t *tokens)
{
    const size_t n = batch_queue_take(&e->queue.waiting, share, batch->texts, tokens);
    for (size_t i = 0; i < n; i++) {
        const size_t place = batch->texts[i].place;
        struct embedder_request *r = owner_of(batch, i);
        const struct tokens *seq = &r->turn.seqs[place];
        batch->items[i] = (struct engine_item){seq->ids, seq->count, r->out + place * e->engine->dim, seq->skip};
        r->running++;
        if (place + 1 == r->turn.n)
            metric_observe(e->metrics.wait_seconds, (double)(now - r->asked_ns) * 1e-9);
    }
    show_waiting(e);
    e->queue.counts.texts += n;
    e->queue.counts.tokens += *tokens;
    e->queue.counts.batches += n > 0;
    return n;
}

/* ---- the batch; only the leading thread calls these functions ---- */

/* Cuts items[0..n) into jobs of at most job_rows tokens each, and returns their number. A job takes half of a
 * worker's share of the remaining tokens. So the last jobs are small, and the workers end at about the same time
 * (guided self-scheduling: C. Polychronopoulos and D. Kuck, 1987). */
static size_t cut_jobs(struct embedder *e, size_t n, size_t tokens)
{
    size_t workers = team_workers(e), shares = workers > 1 ? 2 * workers : 1, jobs = 0;
    size_t held = 0, target = 0, left = tokens;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || held >= target || held + e->leader.batch.items[i].count > e->job_rows) {
            left -= held;
            target = (left + shares - 1) / shares;
            target = target < JOB_TOKENS_MIN ? JOB_TOKENS_MIN : target;
            target = target > JOB_TOKENS_MAX ? JOB_TOKENS_MAX : target;
            e->leader.jobs[jobs].first = i;
            e->leader.jobs[jobs].count = 0;
            e->leader.jobs[jobs].cost = 0;
            e->leader.jobs[jobs++].error.status = DP_OK;
            held = 0;
        }
        e->leader.jobs[jobs - 1].count++;
        e->leader.jobs[jobs - 1].cost += batch_cost(e->leader.batch.items[i].count);
        held += e->leader.batch.items[i].count;
    }
    return jobs;
}

/* Returns how many jobs, from the first on, the workers should compute side by side. The whole team then computes
 * the other jobs together, one after another. The function estimates the cost for each number and returns the
 * cheapest number. The estimate assumes that an idle worker takes the next job. */
static size_t plan_jobs(struct embedder *e, size_t jobs)
{
    size_t workers = team_workers(e), left = 0, longest = 0, best = 0;
    if (!e->engine->ops->encode_together || !team_can_gather(e->team))
        return jobs;
    for (size_t w = 0; w < workers; w++)
        e->leader.loads[w] = 0;
    for (size_t j = 0; j < jobs; j++)
        left += e->leader.jobs[j].cost;
    size_t least = left + left / TOGETHER_TAX;
    for (size_t j = 0; j < jobs; j++) {
        size_t idlest = 0, cost = e->leader.jobs[j].cost;
        for (size_t w = 1; w < workers; w++)
            idlest = e->leader.loads[w] < e->leader.loads[idlest] ? w : idlest;
        e->leader.loads[idlest] += cost;
        longest = e->leader.loads[idlest] > longest ? e->leader.loads[idlest] : longest;
        left -= cost;
        if (longest * workers + left + left / TOGETHER_TAX < least) {
            least = longest * workers + left + left / TOGETHER_TAX;
            best = j + 1;
        }
    }
    return best;
}

static void normalize_job(const struct embedder *e, const struct embedder_batch *batch,
                          const struct embedder_job *job)
{
    for (size_t i = job->first; i < job->first + job->count; i++)
        if (owner_of(batch, i)->normalize)
            simd_ops()->encoder->normalize(batch->items[i].out, e->engine->dim);
}

/* Counts the job's texts as done in their requests, and wakes the requests that are done, while other jobs of the
 * batch still run. Nobody looks at these requests afterwards, because they may be gone. */
static void finish_job(struct embedder *e, const struct embedder_batch *batch, const struct embedder_job *job)
{
    if (job->error.status == DP_OK)
        normalize_job(e, batch, job);
    pthread_mutex_lock(&e->queue.lock);
    for (size_t i = job->first; i < job->first + job->count; i++) {
        struct embedder_request *r = owner_of(batch, i);
        if (job->error.status != DP_OK && !r->failed) {
            r->failed = true;
            r->error = job->error;
        }
        if (--r->running == 0 && !r->turn.queued)
            pthread_cond_signal(&r->changed);
    }
    pthread_mutex_unlock(&e->queue.lock);
}

/* Computes a job on this thread. `worker`: whose workspace it uses. */
static void compute_job(struct embedder *e, const struct embedder_batch *batch, struct embedder_job *job,
                        size_t worker)
{
    e->engine->ops->encode(e->engine, e->leader.workspaces[worker], batch->items + job->first, job->count,
                           &job->error);
    finish_job(e, batch, job);
}

static void run_job(void *ctx, size_t index, unsigned worker)
{
    struct embedder *e = ctx;
    compute_job(e, &e->leader.batch, &e->leader.jobs[index], worker);
}

static void run_job_together(struct embedder *e, struct embedder_job *job)
{
    e->engine->ops->encode_together(e->engine, e->team, e->leader.workspaces, e->leader.batch.items + job->first,
                                    job->count, &job->error);
    finish_job(e, &e->leader.batch, job);
}

/* Computes one job after another until none is left. A few compute workers run this at once, for an engine that
 * has threads and allows few callers. */
static void run_jobs_in_turn(void *ctx, size_t caller, unsigned worker)
{
    struct embedder *e = ctx;
    (void)caller;
    size_t j = atomic_fetch_add(&e->leader.next_job, 1);
    for (; j < e->leader.job_count; j = atomic_fetch_add(&e->leader.next_job, 1))
        run_job(e, j, worker);
}

static void run_jobs(struct embedder *e, size_t jobs)
{
    if (e->engine->callers == 0 || e->engine->callers >= team_workers(e)) {
        team_run(e->team, jobs, run_job, e);
        return;
    }
    e->leader.job_count = jobs;
    atomic_store(&e->leader.next_job, 0);
    team_run(e->team, e->engine->callers < jobs ? e->engine->callers : jobs, run_jobs_in_turn, e);
}

static void count_batch(struct embedder *e, size_t texts, size_t tokens, size_t alone, size_t together, int64_t ns)
{
    metric_observe(e->metrics.seconds, (double)ns * 1e-9);
    metric_observe(e->metrics.texts, (double)texts);
    metric_observe(e->metrics.tokens, (double)tokens);
    metric_add(e->metrics.alone, (int64_t)alone);
    metric_add(e->metrics.together, (int64_t)together);
}

/* Runs one batch on the team. The caller holds the lock; this function releases it while it computes. */
static void lead_batch(struct embedder *e)
{
    const struct batch_share all = {team_workers(e), e->batch_tokens};
    int64_t began = os_now_ns();
    size_t tokens, n = take_batch(e, &all, &e->leader.batch, began, &tokens);
    uint64_t cost = 0;
    e->queue.leading = true;
    pthread_mutex_unlock(&e->queue.lock);
    size_t jobs = cut_jobs(e, n, tokens), alone = plan_jobs(e, jobs);
    run_jobs(e, alone);
    for (size_t j = alone; j < jobs; j++)
        run_job_together(e, &e->leader.jobs[j]);
    for (size_t j = 0; j < jobs; j++)
        cost += e->leader.jobs[j].cost;
    const int64_t ns = os_now_ns() - began;
    count_batch(e, n, tokens, alone, jobs - alone, ns);
    pthread_mutex_lock(&e->queue.lock);
    batch_queue_took(&e->queue.waiting, all.workers, cost, ns);
    e->queue.leading = false;
}

/* ---- batches of threads that compute alone ---- */

/* Whether one more thread may compute a batch alone. A batch of the team begins when its last worker is awake and ends with
 * its slowest job. If as many small requests wait as there are workers, their threads keep all processors busy without
 * these two waits. The caller holds the lock. */
static bool may_compute_alone(const struct embedder *e)
{
    return !e->queue.leading && e->queue.alone < e->alone_max &&
           (e->queue.alone > 0 || e->queue.waiting.waiting[true] >= e->alone_max);
}

/* Wakes a thread that waits and may lead now. The caller holds the lock. */
static void wake_leader(struct embedder *e)
{
    if (e->queue.leading || (e->queue.alone > 0 && e->queue.alone == e->alone_max))
        return;
    struct embedder_request *r = (struct embedder_request *)e->queue.waiting.first;
    while (r && r->leads)
        r = (struct embedder_request *)r->turn.behind;
    if (r)
        pthread_cond_signal(&r->changed);
}

/* Computes one batch on this thread, whose request is `r`. The caller holds the lock; this function releases it while it
 * computes. */
static void compute_alone(struct embedder *e, struct embedder_request *r)
{
    const size_t idle = e->alone_max - e->queue.alone, part = e->queue.waiting.waiting_tokens / idle;
    struct batch_share one = {1, part < JOB_TOKENS_MIN ? JOB_TOKENS_MIN : part};
    const int64_t began = os_now_ns();
    struct embedder_job job = {.first = 0};
    size_t place = 0, tokens;
    if (one.tokens_max > e->job_rows)
        one.tokens_max = e->job_rows;
    while (e->queue.taken[place])
        place++;
    struct embedder_batch *batch = &e->alone[place];
    job.count = take_batch(e, &one, batch, began, &tokens);
    e->queue.taken[place] = r->leads = true;
    e->queue.alone++;
    wake_leader(e);
    pthread_mutex_unlock(&e->queue.lock);
    for (size_t i = 0; i < job.count; i++)
        job.cost += batch_cost(batch->items[i].count);
    compute_job(e, batch, &job, place);
    const int64_t ns = os_now_ns() - began;
    count_batch(e, job.count, tokens, 1, 0, ns);
    pthread_mutex_lock(&e->queue.lock);
    batch_queue_took(&e->queue.waiting, one.workers, job.cost, ns);
    e->queue.taken[place] = r->leads = false;
    e->queue.alone--;
}

/* ---- the asking thread ---- */

static enum dp_status check_sequences(struct call *call, const struct embedder *e, const struct tokens *seqs,
                                      size_t n, size_t *tokens)
{
    *tokens = 0;
    for (size_t i = 0; i < n; i++) {
        if (seqs[i].count == 0 || seqs[i].count > e->engine->max_tokens)
            return call_fail(call, DP_INVALID, "text %zu has %zu tokens; this model takes 1 to %zu", i,
                             seqs[i].count, e->engine->max_tokens);
        if (seqs[i].skip >= seqs[i].count)
            return call_fail(call, DP_INVALID, "text %zu has no token behind its prompt", i);
        for (size_t t = 0; t < seqs[i].count; t++)
            if (seqs[i].ids[t] < 0 || (size_t)seqs[i].ids[t] >= e->engine->vocab)
                return call_fail(call, DP_INVALID, "text %zu has the token id %d; this model has ids 0 to %zu", i,
                                 seqs[i].ids[t], e->engine->vocab - 1);
        *tokens += seqs[i].count;
    }
    return DP_OK;
}

/* Leads batches, or waits for other leaders, until the request is done or its call has ended. The caller holds the
 * lock. */
static enum dp_status wait_until_done(struct call *call, struct embedder *e, struct embedder_request *r)
{
    enum dp_status status = DP_OK;
    while (!is_done(r)) {
        /* A running batch writes into the caller's memory, so wait for its end even after a failure. */
        if (status == DP_OK)
            status = call_check(call);
        if (status == DP_OK && r->failed)
            status = DP_CORRUPT;
        if (status != DP_OK && r->turn.queued) {
            batch_queue_remove(&e->queue.waiting, &r->turn);
            show_waiting(e);
        } else if (r->turn.queued && may_compute_alone(e)) {
            compute_alone(e, r);
        } else if (r->turn.queued && !e->queue.leading && e->queue.alone == 0) {
            lead_batch(e);
        } else if (status != DP_OK) {
            pthread_cond_wait(&r->changed, &e->queue.lock);
        } else {
            if (!r->turn.queued)
                wake_leader(e); /* another thread took its texts, so it will lead no more */
            call_wait(call, &r->changed, &e->queue.lock);
        }
    }
    wake_leader(e);
    return status;
}

/* Queues the request and waits until it is done, unless too much waits already. */
static enum dp_status queue_request(struct call *call, struct embedder *e, struct embedder_request *r)
{
    struct batch_queue *q = &e->queue.waiting;
    enum dp_status status;
    pthread_mutex_lock(&e->queue.lock);
    if (q->waiting_tokens > e->queue_max) {
        e->queue.counts.refused++;
        metric_add(e->metrics.refused, 1);
        status = call_fail(call, DP_OVERLOADED, "%zu tokens are waiting to be embedded already; try again later",
                           q->waiting_tokens);
        call->retry_ns = batch_queue_ns(q);
    } else {
        batch_queue_add(q, &r->turn);
        show_waiting(e);
        status = wait_until_done(call, e, r);
    }
    pthread_mutex_unlock(&e->queue.lock);
    return status;
}

enum dp_status embedder_embed_some(struct call *call, struct embedder *e, const struct tokens *seqs, size_t n,
                                   bool normalize, float *out, size_t *done)
{
    size_t tokens;
    int64_t begin = os_now_ns();
    *done = 0;
    enum dp_status status = check_sequences(call, e, seqs, n, &tokens);
    if (status == DP_OK)
        status = call_check(call);
    if (status != DP_OK || n == 0)
        return status;

    struct embedder_request r = {.turn = {.seqs = seqs, .n = n, .client = call->client},
                                 .normalize = normalize,
                                 .out = out,
                                 .asked_ns = begin};
    pthread_cond_init(&r.changed, NULL);
    status = queue_request(call, e, &r);
    pthread_cond_destroy(&r.changed);
    if (r.failed)
        status = call_fail(call, r.error.status, "%s", r.error.message);
    else
        *done = r.turn.next;
    if (status == DP_OK)
        call->cost.tokens += tokens;
    call->cost.embed_ns += (uint64_t)(os_now_ns() - begin);
    return status;
}

enum dp_status embedder_embed(struct call *call, struct embedder *e, const struct tokens *seqs, size_t n,
                              bool normalize, float *out)
{
    size_t done;
    return embedder_embed_some(call, e, seqs, n, normalize, out, &done);
}
