/* sim.c: events in a heap, and tasks that take turns by swapcontext. */
#include "sim.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "os/thread.h"

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#ifdef SIM_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
/* swapcontext asks the system for the signal mask each time. A long jump does not, but programs that check their
 * stacks forbid it. */
#if !defined(SIM_ASAN) && !defined(_FORTIFY_SOURCE)
#define SIM_JUMPS 1
#endif

enum { STACK_BYTES = 1 << 20, STACKS_KEPT = 32 };

/* Stacks of ended tasks, for the next ones. */
static uint8_t *kept_stacks[STACKS_KEPT];
static size_t kept_count;
static struct sim *running;        /* the world whose events happen now */
static struct sim_task *beginning; /* the task that is entered for the first time */

static uint8_t *take_stack(void)
{
    if (kept_count)
        return kept_stacks[--kept_count];
    uint8_t *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(stack != MAP_FAILED);
    mprotect(stack, 4096, PROT_NONE);
    return stack;
}

static void give_stack(uint8_t *stack)
{
    if (kept_count < STACKS_KEPT)
        kept_stacks[kept_count++] = stack;
    else
        munmap(stack, STACK_BYTES);
}

void sim_init(struct sim *sim, uint64_t seed)
{
    *sim = (struct sim){.random = seed};
}

void sim_deinit(struct sim *sim)
{
    while (sim->tasks) {
        struct sim_task *task = sim->tasks;
        sim->tasks = task->next;
        give_stack(task->stack);
        free(task);
    }
    free(sim->events);
}

/* ---- events ------------------------------------------------------------------------------------------ */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap_events(struct sim_event *a, struct sim_event *b)
{
    struct sim_event kept = *a;
    *a = *b;
    *b = kept;
}

static void push_event(struct sim *sim, int64_t ns, struct sim_event event)
{
    if (sim->event_count == sim->event_room) {
        sim->event_room = sim->event_room ? 2 * sim->event_room : 64;
        sim->events = realloc(sim->events, sim->event_room * sizeof *sim->events);
        assert(sim->events);
    }
    event.at_ns = sim->now_ns + (ns > 0 ? ns : 0);
    event.order = sim->order++;
    size_t i = sim->event_count++;
    sim->events[i] = event;
    for (; i > 0 && is_before(&sim->events[i], &sim->events[(i - 1) / 2]); i = (i - 1) / 2)
        swap_events(&sim->events[i], &sim->events[(i - 1) / 2]);
}

static struct sim_event pop_event(struct sim *sim)
{
    struct sim_event first = sim->events[0];
    sim->events[0] = sim->events[--sim->event_count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < sim->event_count; child++)
            if (is_before(&sim->events[child], &sim->events[least]))
                least = child;
        if (least == i)
            return first;
        swap_events(&sim->events[i], &sim->events[least]);
        i = least;
    }
}

void sim_later(struct sim *sim, int64_t ns, void (*happen)(void *context), void *context)
{
    push_event(sim, ns, (struct sim_event){.happen = happen, .context = context});
}

/* ---- tasks ------------------------------------------------------------------------------------------- */

static void leave_task(struct sim *sim, struct sim_task *task)
{
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(task->ended ? NULL : &task->fake_stack, sim->home_stack, sim->home_stack_size);
#endif
#ifdef SIM_JUMPS
    if (_setjmp(task->left) == 0)
        _longjmp(sim->left, 1);
#else
    swapcontext(&task->here, &sim->home);
#endif
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(task->fake_stack, &sim->home_stack, &sim->home_stack_size);
#endif
}

static void begin_task(void)
{
    struct sim_task *task = beginning;
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(NULL, &task->sim->home_stack, &task->sim->home_stack_size);
#endif
    task->run(task->context);
    task->ended = true;
    leave_task(task->sim, task);
}

static void enter_task(struct sim *sim, struct sim_task *task)
{
    sim->current = task;
    beginning = task;
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(&sim->home_fake_stack, task->stack, STACK_BYTES);
#endif
#ifdef SIM_JUMPS
    if (_setjmp(sim->left) == 0) {
        if (task->begun)
            _longjmp(task->left, 1);
        task->begun = true;
        setcontext(&task->here);
    }
#else
    swapcontext(&sim->home, &task->here);
#endif
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(sim->home_fake_stack, NULL, NULL);
#endif
    sim->current = NULL;
}

struct sim_task *sim_spawn(struct sim *sim, const char *name, void (*run)(void *context), void *context)
{
    struct sim_task *task = calloc(1, sizeof *task);
    assert(task);
    *task = (struct sim_task){.sim = sim, .name = name, .run = run, .context = context, .next = sim->tasks};
    sim->tasks = task;
    task->stack = take_stack();
    getcontext(&task->here);
    task->here.uc_stack.ss_sp = task->stack;
    task->here.uc_stack.ss_size = STACK_BYTES;
    task->here.uc_link = NULL;
    makecontext(&task->here, begin_task, 0);
    push_event(sim, 0, (struct sim_event){.task = task});
    return task;
}

void sim_sleep(struct sim *sim, int64_t ns)
{
    struct sim_task *task = sim->current;
    push_event(sim, ns, (struct sim_event){.task = task});
    leave_task(sim, task);
}

void sim_run(struct sim *sim, uint64_t steps_max)
{
    running = sim;
    while (sim->event_count && !sim->failed) {
        struct sim_event event = pop_event(sim);
        sim->now_ns = event.at_ns;
        if (++sim->steps > steps_max)
            sim_fail(sim, "the history does not end");
        else if (event.task)
            enter_task(sim, event.task);
        else
            event.happen(event.context);
    }
    running = NULL;
}

void *sim_current_op(void)
{
    return running && running->current ? running->current->op : NULL;
}

/* ---- waiting of one task for another ------------------------------------------------------------------ */

/* The linker puts this in the place of os_wait_until (--wrap): a task that waits for another one lets time pass. */
bool sim_wait_until(pthread_cond_t *changed, pthread_mutex_t *lock,
                    int64_t until_ns) __asm__("__wrap_os_wait_until");
bool real_wait_until(pthread_cond_t *changed, pthread_mutex_t *lock,
                     int64_t until_ns) __asm__("__real_os_wait_until");

bool sim_wait_until(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t until_ns)
{
    if (!running || !running->current)
        return real_wait_until(changed, lock, until_ns);
    struct sim_task *task = running->current;
    if (until_ns !=
        INT64_MAX) { /* a short wait with a limit: it lasts as long in each run, whatever the real clock says */
        pthread_mutex_unlock(lock);
        sim_sleep(running, 2 * SIM_NS_PER_MS);
        pthread_mutex_lock(lock);
        return true;
    }
    /* Longer and longer, as the other one may be stalled for hours. */
    bool again = task->waited_ns == running->now_ns && task->wait_ns > 0;
    int64_t longest = INT64_C(60000) * SIM_NS_PER_MS;
    task->wait_ns = !again ? SIM_NS_PER_MS : task->wait_ns < longest ? 2 * task->wait_ns : longest;
    pthread_mutex_unlock(lock);
    sim_sleep(running, task->wait_ns);
    pthread_mutex_lock(lock);
    task->waited_ns = running->now_ns;
    return false;
}

/* ---- randomness -------------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood, 2014) */
uint64_t sim_next(struct sim *sim)
{
    uint64_t z = (sim->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
    return sim_next(sim) % bound;
}

bool sim_chance(struct sim *sim, uint64_t n, uint64_t of)
{
    return sim_below(sim, of) < n;
}

int64_t sim_span(struct sim *sim, int64_t least, int64_t most)
{
    unsigned powers = 0;
    while (powers < 62 && least <= most >> (powers + 1))
        powers++;
    int64_t base = least << sim_below(sim, powers + 1);
    int64_t ns = base + (int64_t)sim_below(sim, (uint64_t)base);
    return ns < most ? ns : most;
}

/* ---- telling ----------------------------------------------------------------------------------------- */

void sim_note(struct sim *sim, const char *format, ...)
{
    if (!sim->trace)
        return;
    va_list arguments;
    fprintf(stderr, "%12.3f s  %-12s ", (double)sim->now_ns / 1e9, sim->current ? sim->current->name : "-");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    if (sim->failed)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim->failure, sizeof sim->failure, format, arguments);
    va_end(arguments);
    sim->failed = true;
    sim_note(sim, "BROKEN: %s", sim->failure);
}
