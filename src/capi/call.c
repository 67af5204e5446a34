/* call.c: gives a call the deadline and the cancel flag that the limits of the API's caller ask for. */
#include "capi/call.h"

static void ask_caller(void *ctx)
{
    struct capi_call *c = ctx;

    if (c->limits.cancelled(c->limits.ctx))
        atomic_store_explicit(&c->cancelled, true, memory_order_relaxed);
}

void capi_begin(struct capi_call *c, const struct dp_limits *limits, size_t arena_max)
{
    c->limits = limits ? *limits : (struct dp_limits){.timeout_ms = 0};
    atomic_init(&c->cancelled, false);
    arena_init(&c->arena, arena_max);
    call_init(&c->call, &c->arena);
    if (c->limits.timeout_ms > 0)
        call_limit_ms(&c->call, c->limits.timeout_ms > INT64_MAX ? INT64_MAX : (int64_t)c->limits.timeout_ms);
    if (c->limits.cancelled)
        call_poll(&c->call, ask_caller, c, &c->cancelled);
}

enum dp_status capi_end(struct capi_call *c, enum dp_status status, struct dp_error *error)
{
    if (status != DP_OK && error)
        *error = c->call.error;
    arena_deinit(&c->arena);
    return status;
}

void capi_unlimit(struct capi_call *c)
{
    c->call.poll = NULL;
    c->call.cancelled = NULL;
    c->call.deadline_ns = INT64_MAX;
}
