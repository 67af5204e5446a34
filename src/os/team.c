/* team.c: the compute team.
 *
 * The team runs a loop or a gathering. A loop is fn, ctx, count, and a counter: each thread claims the next
 * position from it. The caller sets these fields, opens the loop gate, and works, too. When all positions are
 * claimed, it closes the gate and waits for the workers inside. A worker that wakes too late finds the gate closed
 * and sleeps again. So a short loop never waits for a thread that the scheduler has not run yet.
 *
 * A gathering uses the same gate. The workers that enter wait for the number of members. The caller waits a moment
 * for workers, closes the gate, and sets that number. A meeting counts arrivals; the last member releases the
 * others.
 *
 * gate: bit 31 is 1 while it is open; bits 15..30 are the number of the loop; bits 0..14 count the workers inside.
 * A worker enters when it adds one to an open gate (acquire: then it sees the caller's fields). It leaves when it
 * subtracts one (release: then the caller sees the worker's results).
 *
 * Threads sleep on separate futex words. A fixed order prevents lost wake-ups: a thread that wants to sleep first
 * counts itself among the sleepers, then reads the word again; a thread that wakes others first changes the word,
 * then reads the number of sleepers. All these operations are sequentially consistent.
 */
#include "os/team.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/thread.h"

enum {
    SPIN_NS = 50000,      /* spin this long before sleeping */
    SPINS_A_LOOK = 32,    /* pauses between two looks at the clock */
    ENTER_NS = 2000,      /* an awake worker needs at most this long to enter */
    WAKE_NS = 50000,      /* a worker that needs longer to enter has no processor */
    STALL_NS = 1000000,   /* a member that sleeps this long waits for one without a processor */
    CROWDED_NS = 50000000 /* after such a delay the team gathers no more for this long */
};

static const uint32_t GATE_OPEN = 1u << 31, GATE_LOOP = 1u << 15, GATE_INSIDE = (1u << 15) - 1;

struct team {
    /* The caller that holds `turn` writes these fields, while the gate is closed and no worker is inside. */
    void (*fn)(void *ctx, size_t index, unsigned worker);        /* of a loop; NULL: a gathering */
    void (*together)(void *ctx, const struct team_member *self); /* of a gathering */
    void *ctx;
    size_t count;

    _Alignas(64) _Atomic size_t next; /* the next position to claim */
    _Alignas(64) _Atomic uint32_t gate;
    _Atomic uint32_t caller_waits;      /* 1 while the caller sleeps on the gate */
    _Alignas(64) _Atomic uint32_t bell; /* rises when workers must wake; they sleep on it */
    _Atomic uint32_t sleepers;          /* workers that sleep or are about to sleep */
    _Atomic bool closing;

    /* State of a gathering, on one cache line. `members` is 0 until the number of members is known. */
    _Alignas(64) _Atomic uint32_t members;
    _Atomic uint32_t arrived;  /* arrivals at the next meeting */
    _Atomic uint32_t meetings; /* number of meetings so far */
    _Atomic uint32_t dozers;   /* members that sleep on `members` or `meetings`, or are about to sleep */

    _Alignas(64) pthread_mutex_t turn; /* the caller holds it for a whole loop or gathering */
    _Atomic int64_t crowded_until;     /* time of os_now_ns() until which the team must not gather */
    int64_t spin_ns;                   /* time to spin before sleep; 0: workers share processors */
    unsigned size;                     /* number of workers, with the caller */
    unsigned started;                  /* threads in `threads` */
    pthread_t threads[];
};

/* The argument of a new thread: its team and its worker number. */
struct compute_start {
    struct team *team;
    unsigned worker;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, uint32_t threads)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Claims positions, and calls fn for each, until none is left. */
static void claim_indices(struct team *team, unsigned worker)
{
    void (*fn)(void *, size_t, unsigned) = team->fn;
    void *ctx = team->ctx;
    size_t count = team->count;
    for (;;) {
        size_t index = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed);
        if (index >= count)
            return;
        fn(ctx, index, worker);
    }
}

/* Waits until *word differs from `seen`. Spins for spin_ns, then sleeps, and counts itself in *sleepers meanwhile.
 * Returns the nanoseconds asleep; 0 when it did not spin before. */
static int64_t await_change(struct team *team, _Atomic uint32_t *word, uint32_t seen, _Atomic uint32_t *sleepers)
{
    int64_t begin = 0, now = 0;
    while (team->spin_ns) {
        for (int i = 0; i < SPINS_A_LOOK; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != seen)
                return 0;
            pause_cpu();
        }
        now = os_now_ns();
        begin = begin ? begin : now;
        if (now - begin >= team->spin_ns)
            break;
    }
    atomic_fetch_add(sleepers, 1);
    while (atomic_load(word) == seen)
        futex_wait(word, seen);
    atomic_fetch_sub(sleepers, 1);
    return now ? os_now_ns() - now : 0;
}

/* Sets *word to `value` and wakes its sleepers. */
static void change_word(_Atomic uint32_t *word, uint32_t value, _Atomic uint32_t *sleepers)
{
    atomic_store(word, value);
    if (atomic_load(sleepers))
        futex_wake(word, INT_MAX);
}

/* Works in the loop or gathering of the open gate, unless this worker has already been in it. */
static void join_work(struct team *team, unsigned worker, uint32_t *seen_loop)
{
    uint32_t gate = atomic_load_explicit(&team->gate, memory_order_acquire);
    do {
        if (!(gate & GATE_OPEN) || (gate & ~GATE_INSIDE) == *seen_loop)
            return;
    } while (!atomic_compare_exchange_weak_explicit(&team->gate, &gate, gate + 1, memory_order_acquire,
                                                    memory_order_acquire));
    *seen_loop = gate & ~GATE_INSIDE;
    if (team->fn) {
        claim_indices(team, worker);
    } else {
        await_change(team, &team->members, 0, &team->dozers);
        struct team_member self = {team, (gate & GATE_INSIDE) + 1, atomic_load(&team->members)};
        team->together(team->ctx, &self);
    }
    uint32_t before = atomic_fetch_sub(&team->gate, 1);
    if (!(before & GATE_OPEN) && (before & GATE_INSIDE) == 1 && atomic_load(&team->caller_waits))
        futex_wake(&team->gate, 1);
}

static void *serve_team(void *context)
{
    struct compute_start self = *(struct compute_start *)context;
    struct team *team = self.team;
    mem_free(context);
    uint32_t seen_loop = 0; /* no loop: an open gate always has bit 31 */
    while (!atomic_load_explicit(&team->closing, memory_order_acquire)) {
        uint32_t bell = atomic_load(&team->bell);
        join_work(team, self.worker, &seen_loop);
        if (!atomic_load_explicit(&team->closing, memory_order_acquire))
            await_change(team, &team->bell, bell, &team->sleepers);
    }
    return NULL;
}

/* Wakes up to `wanted` sleeping workers. */
static void ring_workers(struct team *team, size_t wanted)
{
    atomic_fetch_add(&team->bell, 1);
    if (atomic_load(&team->sleepers))
        futex_wake(&team->bell, wanted > INT_MAX ? INT_MAX : (uint32_t)wanted);
}

/* Waits until all workers have left the closed gate. */
static void await_leavers(struct team *team)
{
    int64_t until = team->spin_ns ? os_now_ns() + team->spin_ns : 0;
    for (;;) {
        for (int i = 0; i < SPINS_A_LOOK; i++) {
            if (!(atomic_load_explicit(&team->gate, memory_order_acquire) & GATE_INSIDE))
                return;
            pause_cpu();
        }
        if (!team->spin_ns || os_now_ns() >= until)
            break;
    }
    atomic_store(&team->caller_waits, 1);
    for (;;) {
        uint32_t gate = atomic_load(&team->gate);
        if (!(gate & GATE_INSIDE))
            break;
        futex_wait(&team->gate, gate);
    }
    atomic_store(&team->caller_waits, 0);
}

/* Makes team_can_gather() false for CROWDED_NS, because other programs seem to need the processors. */
static void note_crowd(struct team *team)
{
    atomic_store_explicit(&team->crowded_until, os_now_ns() + CROWDED_NS, memory_order_relaxed);
}

static void open_gate(struct team *team, size_t wanted)
{
    uint32_t gate = atomic_load_explicit(&team->gate, memory_order_relaxed);
    atomic_store(&team->gate, (gate + GATE_LOOP) | GATE_OPEN);
    ring_workers(team, wanted);
}

/* Runs a loop. The caller has the turn, if there is a team. */
static void run_loop(struct team *team, size_t count, void (*fn)(void *ctx, size_t index, unsigned worker),
                     void *ctx)
{
    if (!team || team->started == 0 || count <= 1) {
        for (size_t i = 0; i < count; i++)
            fn(ctx, i, 0);
        return;
    }
    team->fn = fn;
    team->ctx = ctx;
    team->count = count;
    atomic_store_explicit(&team->next, 0, memory_order_relaxed);
    open_gate(team, count - 1);
    claim_indices(team, 0);
    atomic_fetch_and(&team->gate, ~GATE_OPEN);
    await_leavers(team);
}

void team_run(struct team *team, size_t count, void (*fn)(void *ctx, size_t index, unsigned worker), void *ctx)
{
    if (team)
        pthread_mutex_lock(&team->turn);
    run_loop(team, count, fn, ctx);
    if (team)
        pthread_mutex_unlock(&team->turn);
}

bool team_try_run(struct team *team, size_t count, void (*fn)(void *ctx, size_t index, unsigned worker), void *ctx)
{
    if (team && pthread_mutex_trylock(&team->turn))
        return false;
    run_loop(team, count, fn, ctx);
    if (team)
        pthread_mutex_unlock(&team->turn);
    return true;
}

/* Waits until all workers are inside the open gate, but at most for patience_ns. While a worker is awake, the
 * limit is at least ENTER_NS. If workers share processors, there is no limit, since a late worker is normal
 * then. */
static void await_entrants(struct team *team, int64_t patience_ns)
{
    int64_t begin = os_now_ns();
    while ((atomic_load_explicit(&team->gate, memory_order_relaxed) & GATE_INSIDE) < team->started) {
        bool all_asleep = atomic_load_explicit(&team->sleepers, memory_order_relaxed) >= team->started;
        int64_t limit = all_asleep || patience_ns > ENTER_NS ? patience_ns : ENTER_NS;
        if (!team->spin_ns)
            sched_yield();
        else if (os_now_ns() - begin >= limit)
            return;
        else
            pause_cpu();
    }
}

void team_gather(struct team *team, int64_t patience_ns, void (*fn)(void *ctx, const struct team_member *self),
                 void *ctx)
{
    if (!team) {
        fn(ctx, &(struct team_member){.count = 1});
        return;
    }
    pthread_mutex_lock(&team->turn);
    struct team_member self = {.team = team, .count = 1};
    if (team->started > 0) {
        team->fn = NULL;
        team->together = fn;
        team->ctx = ctx;
        atomic_store_explicit(&team->members, 0, memory_order_relaxed);
        open_gate(team, team->started);
        await_entrants(team, patience_ns);
        self.count += atomic_fetch_and(&team->gate, ~GATE_OPEN) & GATE_INSIDE;
        if (self.count <= team->started && patience_ns >= WAKE_NS)
            note_crowd(team);
        change_word(&team->members, self.count, &team->dozers);
    }
    fn(ctx, &self);
    if (team->started > 0)
        await_leavers(team);
    pthread_mutex_unlock(&team->turn);
}

void team_meet(const struct team_member *self)
{
    struct team *team = self->team;
    if (self->count == 1)
        return;
    uint32_t meeting = atomic_load_explicit(&team->meetings, memory_order_relaxed);
    if (atomic_fetch_add(&team->arrived, 1) + 1 < self->count) {
        if (await_change(team, &team->meetings, meeting, &team->dozers) >= STALL_NS)
            note_crowd(team);
    } else {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        change_word(&team->meetings, meeting + 1, &team->dozers);
    }
}

void team_wake(struct team *team)
{
    if (team && atomic_load(&team->sleepers))
        ring_workers(team, INT_MAX);
}

bool team_can_gather(const struct team *team)
{
    return team && team->started > 0 && team->spin_ns > 0 &&
           os_now_ns() >= atomic_load_explicit(&team->crowded_until, memory_order_relaxed);
}

/* Starts the thread of the next worker. Returns 0 or an errno. */
static int start_compute_thread(struct team *team)
{
    struct compute_start *start = mem_alloc(sizeof *start);
    if (!start)
        return ENOMEM;
    *start = (struct compute_start){team, team->started + 1};
    int failed = os_thread_start(&team->threads[team->started], "dipper-compute", serve_team, start);
    if (failed)
        mem_free(start);
    else
        team->started++;
    return failed;
}

enum dp_status team_new(unsigned workers, struct team **out, struct dp_error *error)
{
    *out = NULL;
    unsigned processors = os_cpu_count();
    if (workers == 0)
        workers = processors;
    if (workers > GATE_INSIDE)
        return dp_fail(error, DP_INVALID, "a team of %u workers; at most %u", workers, GATE_INSIDE);
    size_t size = sizeof(struct team) + (workers - 1) * sizeof(pthread_t);
    struct team *team = mem_aligned_alloc(64, size);
    if (!team)
        return dp_fail_nomem(error, "the compute team");
    memset(team, 0, size);
    pthread_mutex_init(&team->turn, NULL);
    team->size = workers;
    team->spin_ns = workers <= processors
                        ? SPIN_NS
                        : 0; /* with fewer processors than workers, spinning would slow the busy workers */
    while (team->started + 1 < workers) {
        int failed = start_compute_thread(team);
        if (failed) {
            team_free(team);
            if (failed == ENOMEM)
                return dp_fail_nomem(error, "the compute team");
            return dp_fail(error, DP_UNAVAILABLE, "cannot start a compute thread: %s", strerror(failed));
        }
    }
    *out = team;
    return DP_OK;
}

void team_free(struct team *team)
{
    if (!team)
        return;
    atomic_store(&team->closing, true);
    ring_workers(team, INT_MAX);
    for (unsigned i = 0; i < team->started; i++)
        pthread_join(team->threads[i], NULL);
    pthread_mutex_destroy(&team->turn);
    mem_free(team);
}

unsigned team_size(const struct team *team)
{
    return team ? team->size : 1;
}
