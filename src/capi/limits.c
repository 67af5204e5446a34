/* limits.c: a caller's limits become the call's deadline, and the flag that its threads look at. */
#include "capi/limits.h"

static void ask_caller(void *ctx)
{
    struct limits *limits = ctx;

    if (limits->asked->cancelled(limits->asked->ctx))
        atomic_store_explicit(&limits->cancelled, true, memory_order_relaxed);
}

void limits_set(struct limits *limits, const struct dp_limits *asked, struct call *call)
{
    limits->asked = asked;
    atomic_init(&limits->cancelled, false);
    if (!asked)
        return;
    if (asked->timeout_ms > 0)
        call_limit_ms(call, asked->timeout_ms > INT64_MAX ? INT64_MAX : (int64_t)asked->timeout_ms);
    if (asked->cancelled)
        call_poll(call, ask_caller, limits, &limits->cancelled);
}
