/* append.c: the protocol of one log number.
 *
 * A put with a clear success, or an entry that a look finds to be ours, is acknowledged by a read of the manifest
 * that begins afterwards. When a look finds another's entry, ours may have been there before: the collector may
 * have removed it, and a late put of a slow writer may have taken its place. So the race counts as lost in two
 * cases only. Either such a read of the manifest follows, and shows that no entry of our number may have been
 * removed. Or the store refused the put clearly, and the look ends within half the collector's grace after the put
 * was sent: an entry that was in the log then is still there.
 *
 * A look finds our entry by its bytes. If the number is free, the put may be on its way, so the same bytes are
 * sent again; at most one put of a number can succeed. No other number is sent meanwhile, because an entry behind
 * a hole is never read.
 *
 * Whatever ends a put counts as unclear, unless the store refused it. A refusal "exists" or "full" needs a look,
 * too: a proxy may have sent the put twice, and the store may have carried out the first copy.
 */
#include "index/wal/append.h"

#include <inttypes.h>
#include <stdio.h>

#include "index/query/follow.h"

enum { APPEND_ARENA_MAX = 64 * 1024 * 1024 };

/* What the last look found under the entry's number. */
enum append_look { LOOK_NO_ENTRY, LOOK_OURS, LOOK_OTHERS };

/* The state of one wal_append(). */
struct append {
    struct store *store;
    const struct wal_put *put;
    struct wal_appended *out;
    struct object_key key;

    bool open;       /* a put was sent, and its outcome is not known yet */
    bool unclear;    /* a put without a clear answer was sent: it may land late */
    int64_t sent_ns; /* when the first put was sent */
    enum append_look found;
};

static enum dp_status append_wait(struct call *call, const struct append *a, int tries)
{
    int64_t bound = APPEND_WAIT_BASE_MS;
    for (int i = 1; i < tries && bound < APPEND_WAIT_CAP_MS; i++)
        bound *= 2;
    if (bound > APPEND_WAIT_CAP_MS)
        bound = APPEND_WAIT_CAP_MS;
    uint64_t random = UINT64_MAX;
    index_random(a->put->clock, &random, sizeof random, NULL);
    int64_t ms = (int64_t)(random % (uint64_t)(bound + 1)), left = call_left_ms(call);
    return index_wait(a->put->clock, call, left >= 0 && left < ms ? left : ms);
}

static enum dp_status fail_unknown(struct call *call, const struct append *a, const char *why)
{
    char cause[DP_ERROR_MESSAGE_MAX / 2];
    snprintf(cause, sizeof cause, "%.250s", why);
    return call_fail(call, DP_UNKNOWN, "%s: the write was sent, but it is not known whether it is in the log (%s)",
                     a->key.text, cause);
}

/* ---- looks ------------------------------------------------------------------------------------------- */

/* Reads the entry under our number, and sets a->found. */
static enum dp_status look_at_entry(struct call *call, struct append *a)
{
    struct store_read_req req = {.key = object_key_span(&a->key), .len = STORE_TO_END};
    enum dp_status status = store_read(call, a->store, &req, 1);
    if (store_read_missing(&req)) { /* a read of the manifest follows, which shows whether the keys are good */
        dp_error_clear(&call->error);
        a->found = LOOK_NO_ENTRY;
        return DP_OK;
    }
    if (status)
        return status;
    a->found = span_equal(req.bytes.span, a->put->bytes) ? LOOK_OURS : LOOK_OTHERS;
    store_read_release(&req, 1);
    return DP_OK;
}

/* Fails because the life that the put was for is over. The put may have landed in it, so the write is not repeated. */
static enum dp_status fail_ended(struct call *call, struct append *a, const char *how)
{
    a->out->ended = true;
    return call_fail(call, DP_CONFLICT,
                     "namespace \"%.*s\" was %s while the write was on its way: it may have counted until then",
                     SPAN_FMT(a->put->name), how);
}

/* Returns DP_OK if the manifest lets an entry of our number count. */
static enum dp_status check_life(struct call *call, struct append *a, const struct manifest *m)
{
    if (m->state != NAMESPACE_LIVE)
        return fail_ended(call, a, "deleted");
    if (!ulid_equal(&m->incarnation, a->put->incarnation))
        return fail_ended(call, a, "deleted and made anew");
    if (m->wal_gone >= a->put->number)
        return fail_unknown(call, a, "entries of that age may have been removed meanwhile: the writer was slow");
    return DP_OK;
}

/* Reads the manifest, and checks that what the look found counts. No cache answers this read, and it joins no read
 * of others: it begins after the put returned. *settled: the failure is final. */
static enum dp_status look_at_manifest(struct call *call, struct append *a, bool *settled)
{
    struct object_key key;
    struct manifest m;
    const struct store_version *known = a->put->known;
    key_of_manifest(&key, a->put->name);
    struct store_read_req req = {
        .key = object_key_span(&key), .len = STORE_TO_END, .pinned = known, .if_changed = known != NULL};
    enum dp_status status = store_read(call, a->store, &req, 1);
    *settled = status == DP_NOT_FOUND;
    if (status == DP_NOT_FOUND)
        return fail_ended(call, a, "removed");
    if (status)
        return status;
    a->out->unchanged = req.unchanged;
    if (req.unchanged)
        return DP_OK;
    status = manifest_parse(req.bytes.span, &m, &call->error);
    store_read_release(&req, 1);
    if (status) {
        dp_error_prefix(&call->error, "%s", key.text);
        return status;
    }
    status = check_life(call, a, &m);
    *settled = status != DP_OK;
    manifest_deinit(&m);
    return status;
}

/* Returns whether an entry that was in the log when the first put was sent, or later, must still be there. */
static bool is_within_grace(const struct append *a)
{
    return index_now_ns(a->put->clock) - a->sent_ns < FOLLOW_GRACE_NS;
}

/* Finds out what became of the puts so far. */
static enum dp_status resolve(struct call *call, struct append *a, bool *settled)
{
    *settled = false;
    enum dp_status status = a->found == LOOK_OURS ? DP_OK : look_at_entry(call, a);
    if (status != DP_OK || (a->found == LOOK_OTHERS && !a->unclear && is_within_grace(a)))
        return status;
    return look_at_manifest(call, a, settled);
}

/* Looks once more after the last try, with a new deadline, as the caller's may have passed. */
static enum dp_status settle(struct call *call, struct append *a)
{
    struct arena arena;
    struct call own;
    bool settled;
    arena_init(&arena, APPEND_ARENA_MAX);
    call_init(&own, &arena);
    call_limit_ms(&own, APPEND_SETTLE_MS);
    own.patient = true;
    enum dp_status status = resolve(&own, a, &settled);
    if (settled)
        call->error = own.error;
    else if (status != DP_OK || a->found == LOOK_NO_ENTRY)
        status = fail_unknown(call, a, call->error.status ? call->error.message : own.error.message);
    else
        dp_error_clear(&call->error);
    arena_deinit(&arena);
    return status;
}

/* ---- one try ----------------------------------------------------------------------------------------- */

/* Returns whether this status of a put means that the store refused it for good. */
static bool is_clear_refusal(enum dp_status status)
{
    switch (status) {
    case DP_CONFLICT:
    case DP_INVALID:
    case DP_NOT_FOUND:
    case DP_UNSUPPORTED:
    case DP_DENIED:
    case DP_TOO_LARGE: return true;
    default: return false;
    }
}

/* Judges a free number after a put that ended with `status`. */
static enum dp_status judge_free(struct call *call, struct append *a, enum dp_status status,
                                 const struct dp_error *error, bool *again)
{
    if (status == DP_EXISTS) /* the entry that the put met is gone already */
        return fail_unknown(call, a, "its number was taken, and is free again");
    *again = a->unclear;
    call->error = *error;
    return status;
}

/* Puts the entry, unless a look has found it, and finds out what became of it. *again: it is not known yet. */
static enum dp_status append_once(struct call *call, struct append *a, bool *again)
{
    struct store_put put = {.key = object_key_span(&a->key), .body = a->put->bytes, .condition = STORE_IF_ABSENT};
    bool settled = false;
    *again = false;
    enum dp_status status = call_check(call);
    if (status)
        return status;
    if (a->found != LOOK_OURS)
        status = store_put(call, a->store, &put);
    if (status == DP_NOT_DURABLE || (is_clear_refusal(status) && !a->unclear)) {
        a->open = false;
        return status;
    }
    a->open = true;
    const struct dp_error error = call->error;
    if (status == DP_OK)
        a->found = LOOK_OURS;
    else if (status != DP_EXISTS && status != DP_FULL && !is_clear_refusal(status))
        a->unclear = true;
    dp_error_clear(&call->error);
    enum dp_status looked = resolve(call, a, &settled);
    *again = looked != DP_OK && !settled;
    if (looked == DP_OK && a->found == LOOK_NO_ENTRY)
        looked = judge_free(call, a, status, &error, again);
    a->open = *again;
    return looked;
}

enum dp_status wal_append(struct call *call, struct store *store, const struct wal_put *put,
                          struct wal_appended *out)
{
    struct append a = {
        .store = store, .put = put, .out = out, .sent_ns = index_now_ns(put->clock), .found = LOOK_NO_ENTRY};
    *out = (struct wal_appended){0};
    key_of_wal(&a.key, put->name, put->incarnation, put->number);
    bool again = true;
    enum dp_status status = DP_OK;
    for (int tries = 0; again && tries < APPEND_TRIES; tries++) {
        if (tries)
            status = append_wait(call, &a, tries);
        if (tries && status != DP_OK)
            break;
        dp_error_clear(&call->error);
        status = append_once(call, &a, &again);
    }
    if (a.open)
        status = settle(call, &a);
    out->lost = status == DP_OK && a.found == LOOK_OTHERS;
    return status;
}
