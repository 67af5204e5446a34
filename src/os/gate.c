/* gate.c: asks the gate of a call, and turns its refusals into errors with a sentence. */
#include "os/gate.h"

enum { NAME_SHOWN_MAX = 128 };

enum dp_status gate_enter(struct call *call, enum gate_use use, struct span name)
{
    const struct gate *gate = call->gate;
    if (!gate || gate->enter(gate->ctx, use, name) == GATE_GRANTED)
        return DP_OK;
    return call_fail(call, DP_DENIED, "\"%.*s\" may not be %s by this client",
                     name.len < NAME_SHOWN_MAX ? (int)name.len : NAME_SHOWN_MAX, (const char *)name.data,
                     use == GATE_READ ? "read" : "written");
}

enum dp_status gate_list(struct call *call, struct span prefix)
{
    const struct gate *gate = call->gate;
    if (!gate || gate->list(gate->ctx, prefix) == GATE_GRANTED)
        return DP_OK;
    return call_fail(call, DP_DENIED, "names that begin so may not be listed by this client");
}

bool gate_sees(const struct call *call, struct span name)
{
    return !call->gate || call->gate->sees(call->gate->ctx, name);
}

enum dp_status gate_spend(struct call *call, size_t texts)
{
    const struct gate *gate = call->gate;
    if (!gate || gate->spend(gate->ctx, call, texts) == GATE_GRANTED)
        return DP_OK;
    if (call->error.status != DP_OK)
        return call->error.status;
    return call_fail(call, DP_OVERLOADED, "%zu more texts may not be embedded for this client", texts);
}

enum gate_answer gate_try_spend(struct call *call, size_t texts)
{
    const struct gate *gate = call->gate;
    return gate ? gate->spend(gate->ctx, NULL, texts) : GATE_GRANTED;
}
