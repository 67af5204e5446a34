/* lanes.c: threads that do the parts of one call. */
#include "os/lanes.h"

#include "os/thread.h"

/* The parts of a call. */
struct lanes {
    lanes_fn *fn;
    void *ctx;
    size_t count, step; /* number of parts, and of lanes */
    atomic_bool failed;
};

/* A thread that does every step-th part, so that the number of rounds does not depend on the scheduler. */
struct lane {
    struct lanes *all;
    struct arena arena;
    struct call call;
    enum dp_status status;
    size_t part; /* the next one, or the one that failed */
    bool started;
    pthread_t thread;
};

static void *do_parts(void *context)
{
    struct lane *lane = context;
    struct lanes *all = lane->all;
    while (lane->part < all->count && !atomic_load(&all->failed)) {
        lane->status = all->fn(&lane->call, all->ctx, lane->part);
        if (lane->status != DP_OK) {
            atomic_store(&all->failed, true);
            break;
        }
        lane->part += all->step;
    }
    return NULL;
}

/* Adds the costs and the results of the lanes to the call, and chooses the failure. */
static enum dp_status gather(struct call *call, struct lane *lanes, size_t count)
{
    const uint64_t rounds = call->cost.rounds;
    const struct lane *failed = NULL;
    call->cost.rounds = 0; /* so that call_merge() finds the longest chain */
    for (size_t i = 0; i < count; i++) {
        call_merge(call, &lanes[i].call);
        if (lanes[i].status == DP_OK && !arena_adopt(call->arena, &lanes[i].arena))
            lanes[i].status = call_nomem(&lanes[i].call, "the results of a call");
        if (lanes[i].status != DP_OK && (!failed || lanes[i].part < failed->part))
            failed = &lanes[i];
    }
    call->cost.rounds += rounds;
    if (!failed)
        return DP_OK;
    call->error = failed->call.error;
    return failed->status;
}

enum dp_status lanes_run(struct call *call, size_t count, lanes_fn *fn, void *ctx)
{
    const size_t most = count < LANES_AT_ONCE ? count : LANES_AT_ONCE;
    struct lanes all = {.fn = fn, .ctx = ctx, .count = count, .step = most};
    struct lane lanes[LANES_AT_ONCE];
    if (count == 0)
        return DP_OK;
    if (count == 1)
        return fn(call, ctx, 0);
    for (size_t i = 0; i < most; i++) {
        struct lane *lane = &lanes[i];
        *lane = (struct lane){.all = &all, .part = i};
        arena_init(&lane->arena, call->arena->max - call->arena->used);
        call_child(call, &lane->call, &lane->arena);
        if (i > 0)
            lane->started = os_thread_start(&lane->thread, "dipper-lane", do_parts, lane) == 0;
    }
    lanes[0].call.poll = call->poll; /* it runs on the thread of the call's owner */
    lanes[0].call.poll_ctx = call->poll_ctx;
    lanes[0].call.poll_ns = call->poll_ns;
    do_parts(&lanes[0]);
    for (size_t i = 1; i < most; i++) {
        if (lanes[i].started)
            call_join(call, lanes[i].thread);
        else
            do_parts(&lanes[i]);
    }
    enum dp_status status = gather(call, lanes, most);
    for (size_t i = 0; i < most; i++)
        arena_deinit(&lanes[i].arena);
    return status;
}
