/* call.c: deadlines, cancellation, errors and costs of calls. */
#include "os/call.h"

#include <limits.h>
#include <time.h>

#include "os/clock.h"
#include "os/thread.h"

enum { NS_PER_MS = 1000000, NS_PER_S = 1000000000, POLL_NS = 20 * NS_PER_MS };

void call_init(struct call *call, struct arena *arena)
{
    *call = (struct call){.deadline_ns = INT64_MAX, .arena = arena};
}

void call_limit_ms(struct call *call, int64_t ms)
{
    int64_t left_ns, deadline;
    if (__builtin_mul_overflow(ms, NS_PER_MS, &left_ns) || __builtin_add_overflow(os_now_ns(), left_ns, &deadline))
        deadline = ms < 0 ? 0 : INT64_MAX;
    if (deadline < call->deadline_ns)
        call->deadline_ns = deadline;
}

void call_poll(struct call *call, void (*poll)(void *ctx), void *ctx, const _Atomic bool *flag)
{
    call->cancelled = flag;
    call->poll = poll;
    call->poll_ctx = ctx;
    call->poll_ns = os_now_ns() + POLL_NS;
}

static void ask_poll(struct call *call)
{
    int64_t now = os_now_ns();
    if (now < call->poll_ns)
        return;
    call->poll(call->poll_ctx);
    call->poll_ns = os_now_ns() + POLL_NS;
}

static bool is_cancelled(const struct call *call)
{
    return call->cancelled && atomic_load_explicit(call->cancelled, memory_order_relaxed);
}

enum dp_status call_check(struct call *call)
{
    if (call->poll && !is_cancelled(call))
        ask_poll(call);
    if (is_cancelled(call))
        return dp_fail(&call->error, DP_CANCELLED, "the call was cancelled");
    if (call->deadline_ns != INT64_MAX && os_now_ns() >= call->deadline_ns)
        return dp_fail(&call->error, DP_DEADLINE, "the call's deadline has passed");
    return DP_OK;
}

int call_left_ms(const struct call *call)
{
    if (call->deadline_ns == INT64_MAX)
        return -1;
    int64_t now = os_now_ns();
    if (now >= call->deadline_ns)
        return 0;
    /* Round up, so that a sleeper wakes after the deadline, not just before it. */
    int64_t ms = (call->deadline_ns - now - 1) / NS_PER_MS + 1;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

void call_wait(const struct call *call, pthread_cond_t *changed, pthread_mutex_t *lock)
{
    int64_t until_ns = call->deadline_ns;
    if (call->cancelled) {
        int64_t look_ns = os_now_ns() + POLL_NS;
        until_ns = look_ns < until_ns ? look_ns : until_ns;
    }
    os_wait_until(changed, lock, until_ns);
}

void call_join(struct call *call, pthread_t thread)
{
    bool joined = false;
    while (!joined && call->poll && call_check(call) == DP_OK) {
        int64_t look_ns = os_now_ns() + POLL_NS;
        const struct timespec until = {.tv_sec = look_ns / NS_PER_S, .tv_nsec = look_ns % NS_PER_S};
        joined = pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0;
    }
    if (!joined)
        pthread_join(thread, NULL);
}

enum dp_status call_fail(struct call *call, enum dp_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    dp_vfail(&call->error, status, format, args);
    va_end(args);
    return status;
}

enum dp_status call_restatus(struct call *call, enum dp_status status)
{
    return dp_restatus(&call->error, status);
}

enum dp_status call_nomem(struct call *call, const char *what)
{
    return dp_fail_nomem(&call->error, what);
}

void call_child(const struct call *parent, struct call *child, struct arena *arena)
{
    *child = (struct call){
        .deadline_ns = parent->deadline_ns,
        .cancelled = parent->cancelled,
        .patient = parent->patient,
        .trace_id = {parent->trace_id[0], parent->trace_id[1]},
        .client = parent->client,
        .gate = parent->gate,
        .arena = arena,
    };
}

void call_merge(struct call *parent, const struct call *child)
{
    struct call_cost *to = &parent->cost;
    const struct call_cost *from = &child->cost;
    if (from->rounds > to->rounds)
        to->rounds = from->rounds;
    to->requests += from->requests;
    to->bytes += from->bytes;
    to->bytes_written += from->bytes_written;
    to->cache_hits += from->cache_hits;
    to->tokens += from->tokens;
    to->texts += from->texts;
    to->cached_texts += from->cached_texts;
    to->text_tokens += from->text_tokens;
    to->store_ns += from->store_ns;
    to->tokenize_ns += from->tokenize_ns;
    to->cache_ns += from->cache_ns;
    to->embed_ns += from->embed_ns;
    to->scan_ns += from->scan_ns;
    if (parent->error.status == DP_OK && child->error.status != DP_OK)
        parent->error = child->error;
    if (child->retry_ns > parent->retry_ns)
        parent->retry_ns = child->retry_ns;
}
