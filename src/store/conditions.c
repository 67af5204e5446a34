/* conditions.c: asks a remote store whether it keeps the conditions of puts (see conditions.h). */
#include "store/conditions.h"

#include "os/random.h"

static const char PROBE_BODY[] = "Dipper asks whether this store keeps the conditions of puts.\n";

static enum dp_status probe_put(struct call *call, struct store *store, const struct conditions_probe *probe,
                                struct span key, enum store_condition condition)
{
    struct store_put put = {
        .key = key, .body = span_str(PROBE_BODY), .condition = condition, .expected = &probe->nobody};
    dp_error_clear(&call->error);
    return probe->put(call, store, &put);
}

/* Puts the object `key`, which the caller removes afterwards, and tries to break two conditions on it. Sets
 * *ignores to a part of a message if the store ignores or refuses conditions, else to NULL. */
static enum dp_status probe_ask(struct call *call, struct store *store, const struct conditions_probe *probe,
                                struct span key, const char **ignores)
{
    *ignores = NULL;
    enum dp_status status = probe_put(call, store, probe, key, STORE_IF_ABSENT);
    if (status == DP_UNKNOWN) /* it may have landed: a second put makes it certain that the object exists */
        status = probe_put(call, store, probe, key, STORE_IF_ABSENT);
    if (status == DP_UNSUPPORTED)
        *ignores = "does not take If-None-Match";
    if (*ignores)
        return DP_OK;
    if (status != DP_OK && status != DP_EXISTS)
        return status;
    status = probe_put(call, store, probe, key, STORE_IF_ABSENT);
    if (status == DP_OK)
        *ignores = "ignores If-None-Match";
    if (status != DP_EXISTS)
        return status;
    status = probe_put(call, store, probe, key, STORE_IF_VERSION);
    if (status == DP_OK || status == DP_UNSUPPORTED)
        *ignores = status == DP_OK ? "ignores If-Match" : "does not take If-Match";
    return *ignores || status == DP_CONFLICT ? DP_OK : status;
}

enum dp_status store_conditions(struct call *call, struct store *store, const struct conditions_probe *probe,
                                _Atomic int *known)
{
    int answer = atomic_load_explicit(known, memory_order_relaxed);
    const char *ignores = NULL;
    if (answer == CONDITIONS_UNASKED) {
        /* Two callers may ask at once, so each uses a different object. */
        char ulid[ULID_LEN + 1];
        enum dp_status status = os_ulid(ulid, &call->error);
        if (status != DP_OK)
            return status;
        const char *key = arena_printf(call->arena, ".dipper/probe-%s", ulid);
        if (!key)
            return call_nomem(call, "a name");
        status = probe_ask(call, store, probe, span_str(key), &ignores);
        struct dp_error error = call->error;
        bool may_be_there = status == DP_OK || status == DP_UNKNOWN;
        if (may_be_there && probe->remove(call, store, span_str(key)) == DP_NOMEM)
            return DP_NOMEM;
        call->error = error;      /* if the removal failed otherwise, a small object stays */
        if (status == DP_UNKNOWN) /* only the probe's outcome is unknown: the caller's put was not sent */
            status = call_restatus(call, DP_UNAVAILABLE);
        if (status != DP_OK)
            return status;
        answer = ignores ? CONDITIONS_IGNORED : CONDITIONS_KEPT;
        atomic_store_explicit(known, answer, memory_order_relaxed);
        dp_error_clear(&call->error);
    }
    if (answer == CONDITIONS_KEPT)
        return DP_OK;
    return call_fail(
        call, DP_UNSUPPORTED,
        "%s: the store at %s %s, so writers could overwrite each other: Dipper reads there, but does not write",
        probe->root, probe->place, ignores ? ignores : "ignores the conditions of puts");
}
