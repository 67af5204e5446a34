/* store_check.c: puts, puts again under conditions, reads and removes one object. */
#include "store/store_check.h"

#include <stdio.h>
#include <string.h>

#include "os/clock.h"
#include "os/random.h"

static struct store_put put_of(const struct store_check *c, const char *body, enum store_condition condition,
                               const struct store_version *expected)
{
    return (struct store_put){
        .key = span_str(c->key), .body = span_str(body), .condition = condition, .expected = expected};
}

/* Puts under a condition that does not hold. */
static enum dp_status put_in_vain(struct call *call, struct store *store, struct store_put put,
                                  const char *condition)
{
    enum dp_status status = store_put(call, store, &put);
    if (status == DP_EXISTS || status == DP_CONFLICT) {
        dp_error_clear(&call->error);
        return DP_OK;
    }
    if (status != DP_OK)
        return status;
    return call_fail(
        call, DP_UNSUPPORTED,
        "the store carries out puts whose condition (%s) does not hold, so two writers would overwrite "
        "each other: use a store that keeps conditional puts",
        condition);
}

static enum dp_status read_back(struct call *call, struct store *store, const struct store_check *c,
                                const struct store_version *version, const char *body)
{
    struct store_read_req req = {.key = span_str(c->key), .len = STORE_TO_END, .pinned = version};
    enum dp_status status = store_read(call, store, &req, 1);
    if (status == DP_OK && !span_equal_str(req.bytes.span, body))
        status = call_fail(call, DP_UNSUPPORTED, "the store gives back other bytes than were put");
    store_read_release(&req, 1);
    return status;
}

static enum dp_status try_writes(struct call *call, struct store *store, struct store_check *c)
{
    struct store_put first = put_of(c, "first", STORE_IF_ABSENT, NULL);
    const int64_t sent_ms = os_wall_ms();
    enum dp_status status = store_put(call, store, &first);
    if (status != DP_OK)
        return status;
    c->left = true;
    c->has_clock = first.date_ms != 0;
    c->clock_ms = first.date_ms - (sent_ms + os_wall_ms()) / 2;
    status = put_in_vain(call, store, put_of(c, "other", STORE_IF_ABSENT, NULL), "if absent");
    struct store_put second = put_of(c, "second", STORE_IF_VERSION, &first.version);
    if (status == DP_OK)
        status = store_put(call, store, &second);
    if (status == DP_OK)
        status = put_in_vain(call, store, put_of(c, "third", STORE_IF_VERSION, &first.version), "if version");
    return status == DP_OK ? read_back(call, store, c, &second.version, "second") : status;
}

enum dp_status store_check_writes(struct call *call, struct store *store, struct store_check *out)
{
    char id[ULID_LEN + 1];
    *out = (struct store_check){.left = false};
    enum dp_status status = os_ulid(id, &call->error);
    if (status != DP_OK)
        return status;
    snprintf(out->key, sizeof out->key, ".check-%s", id);
    status = try_writes(call, store, out);
    const struct dp_error first = call->error;
    if (out->left) {
        dp_error_clear(&call->error);
        out->left = store_remove(call, store, span_str(out->key)) != DP_OK;
        if (status != DP_OK)
            call->error = first;
        else if (out->left)
            status = call->error.status;
    }
    return status;
}
