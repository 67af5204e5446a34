/* clock.c: the system's clock, and the memory of this process. */
#include "index/clock.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"

enum { SLICE_MS = 20, NS_PER_MS = 1000000 };

static int64_t boot_now_ns(void *ctx)
{
    (void)ctx;
    return os_boot_ns();
}

static int64_t wall_now_ms(void *ctx)
{
    (void)ctx;
    return os_wall_ms();
}

/* Waits ms milliseconds in slices. Returns early when the call is cancelled or its deadline has passed. */
static enum dp_status wait_in_slices(void *ctx, struct call *call, int64_t ms)
{
    (void)ctx;
    enum dp_status status = call_check(call);
    for (int64_t end = os_now_ns() + ms * NS_PER_MS, left = ms * NS_PER_MS; left > 0 && status == DP_OK;
         left = end - os_now_ns()) {
        int64_t slice = left < SLICE_MS * NS_PER_MS ? left : SLICE_MS * NS_PER_MS;
        struct timespec pause = {.tv_nsec = (long)slice};
        nanosleep(&pause, NULL);
        status = call_check(call);
    }
    return status;
}

static enum dp_status system_random(void *ctx, void *out, size_t len, struct dp_error *error)
{
    (void)ctx;
    return os_random(out, len, error);
}

static struct index_process this_process = {.lock = PTHREAD_MUTEX_INITIALIZER};

const struct index_clock index_system_clock = {boot_now_ns,   wall_now_ms, wait_in_slices,
                                               system_random, NULL,        &this_process};

static const struct index_clock *or_system(const struct index_clock *clock)
{
    return clock ? clock : &index_system_clock;
}

int64_t index_now_ns(const struct index_clock *clock)
{
    clock = or_system(clock);
    return clock->now_ns(clock->ctx);
}

int64_t index_wall_ms(const struct index_clock *clock)
{
    clock = or_system(clock);
    return clock->wall_ms(clock->ctx);
}

enum dp_status index_wait(const struct index_clock *clock, struct call *call, int64_t ms)
{
    clock = or_system(clock);
    return clock->wait(clock->ctx, call, ms);
}

enum dp_status index_random(const struct index_clock *clock, void *out, size_t len, struct dp_error *error)
{
    clock = or_system(clock);
    return clock->random(clock->ctx, out, len, error);
}

int64_t index_ulid_ms(const struct index_clock *clock, int64_t now_ms)
{
    struct index_process *process = or_system(clock)->process;
    if (!process)
        return now_ms;
    pthread_mutex_lock(&process->lock);
    int64_t ms = now_ms > process->locked.ulid_ms ? now_ms : process->locked.ulid_ms + 1;
    process->locked.ulid_ms = ms;
    pthread_mutex_unlock(&process->lock);
    return ms;
}

/* Forgets the writers that a fork has from its parent. */
static void own_writers(struct index_process *process)
{
    int64_t self = getpid();
    if (process->locked.owner != self)
        process->locked.writer_count = 0;
    process->locked.owner = self;
}

bool index_take_writer(const struct index_clock *clock, char out[ULID_LEN + 1])
{
    struct index_process *process = or_system(clock)->process;
    bool found = false;
    if (!process)
        return false;
    pthread_mutex_lock(&process->lock);
    own_writers(process);
    if (process->locked.writer_count) {
        memcpy(out, process->locked.writers[--process->locked.writer_count], ULID_LEN + 1);
        found = true;
    }
    pthread_mutex_unlock(&process->lock);
    return found;
}

void index_give_writer(const struct index_clock *clock, const char writer[ULID_LEN + 1])
{
    struct index_process *process = or_system(clock)->process;
    if (!process)
        return;
    pthread_mutex_lock(&process->lock);
    own_writers(process);
    if (process->locked.writer_count < INDEX_WRITERS_MAX)
        memcpy(process->locked.writers[process->locked.writer_count++], writer, ULID_LEN + 1);
    pthread_mutex_unlock(&process->lock);
}
