/* clone.c: makes branches and copies for a client. */
#include "service/clone.h"

#include "index/branch.h"
#include "index/copy.h"
#include "os/clock.h"
#include "os/gate.h"
#include "service/service_impl.h"

static enum dp_status check_clone(struct call *call, struct service *s, const struct clone_request *q)
{
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = index_check_name(q->source, &call->error);
    if (status == DP_OK)
        status = index_check_name(q->namespace, &call->error);
    if (status == DP_OK)
        status = gate_enter(call, GATE_READ, q->source);
    if (status == DP_OK)
        status = gate_enter(call, GATE_WRITE, q->namespace);
    if (status == DP_OK && span_equal(q->source, q->namespace))
        return call_fail(call, DP_INVALID, "a namespace cannot be made out of itself: name another source");
    return status;
}

static enum dp_status clone_once(struct call *call, struct service *s, const struct clone_request *q,
                                 uint64_t *rows)
{
    const struct index_branch_options options = {.team = s->team};
    struct index_branch_result branch = {0};
    struct index_load_summary copy = {0};
    enum dp_status status = q->copies
                                ? index_copy(call, s->store, q->source, s->store, q->namespace, s->team, &copy)
                                : index_branch(call, s->store, q->source, q->namespace, &options, &branch);
    *rows = q->copies ? copy.total_rows : branch.rows;
    return status;
}

enum dp_status service_clone(struct call *call, struct service *s, const struct clone_request *request,
                             struct clone_response *response)
{
    int64_t began = os_now_ns();
    *response = (struct clone_response){0};
    enum dp_status status = check_clone(call, s, request);
    if (status == DP_OK)
        status = clone_once(call, s, request, &response->rows);
    if (status == DP_EXISTS)
        status = call_fail(call, DP_INVALID,
                           "destination namespace already exists: \"%.*s\"; delete it first, or name another one",
                           SPAN_FMT(request->namespace));
    if (status == DP_TOO_LARGE && !request->copies) /* the source has too many branches */
        status = call_restatus(call, DP_INVALID);
    if (status == DP_NOT_FOUND)
        known_names_tell(call, &s->known_names, s->store);
    response->total_ns = os_now_ns() - began;
    return status;
}
