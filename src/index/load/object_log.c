/* object_log.c: notes the objects of a load, and removes them. */
#include "index/load/object_log.h"

enum { REMOVE_ARENA_MAX = 64 * 1024 * 1024 };

enum dp_status object_log_note(struct call *call, struct object_log *log, const struct object_key *key)
{
    struct logged_object *o = arena_alloc(log->arena, sizeof *o);
    if (!o)
        return call_nomem(call, "a load");
    *o = (struct logged_object){*key, log->latest};
    log->latest = o;
    return DP_OK;
}

void object_log_remove(const struct object_log *log, struct store *store)
{
    struct arena arena;
    struct call own; /* the caller's call may have ended */
    if (log->sent)
        return;
    arena_init(&arena, REMOVE_ARENA_MAX);
    call_init(&own, &arena);
    call_limit_ms(&own, OBJECT_LOG_REMOVE_MS);
    for (const struct logged_object *o = log->latest; o && call_check(&own) == DP_OK; o = o->before)
        store_remove(&own, store, object_key_span(&o->key));
    arena_deinit(&arena);
}

enum dp_status object_log_status(struct call *call, enum dp_status status)
{
    switch (status) {
    case DP_NOT_DURABLE: return call_restatus(call, DP_IO);
    case DP_UNKNOWN: return call_restatus(call, DP_UNAVAILABLE);
    default: return status;
    }
}
