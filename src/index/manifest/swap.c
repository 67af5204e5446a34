/* swap.c: changes a manifest by compare-and-swap.
 *
 * A put without a clear answer is "lost". A look, which reads the manifest again, tells whether the store carried
 * it out:
 *   made       the manifest has the writer with the sequence of the put, or lists something that only this change adds;
 *   not made   the manifest has another version than the put expected, and has the writers of all swaps since;
 *   open       the manifest has the expected version, so the put may still be on its way. The swap sends the
 *              change once more, since at most one put on one version can succeed;
 *   undecided  all else, or the look came more than SWAP_LOOK_MAX_MS after the put: the swap ends with DP_UNKNOWN.
 *
 * A put that the store refused, because another was first or the store was full, needs a look, too: a proxy may
 * have sent it twice, and the store may have carried out the first copy. But a refused put is no longer on its
 * way, so the expected version means "not made".
 *
 * Waits follow "full jitter" (Brooker, Exponential Backoff and Jitter, 2015): uniform between 0 and a bound that
 * doubles.
 */
#include "index/manifest/swap.h"

#include <stdio.h>

#include "base/alloc.h"

enum { NS_PER_MS = 1000000, SETTLE_ARENA_MAX = 64 * 1024 * 1024 };

/* A put that no look has judged: its answer was lost, or the store refused it because another put was first or the
 * store was full. */
struct lost_put {
    bool is;      /* whether there is such a put; if not, the fields below mean nothing */
    bool refused; /* the store refused it, or its second copy; it is no longer on its way */
    bool expects; /* whether it expected a manifest, of version `expected`; false: it expected none */
    struct store_version expected;
    uint64_t sequence; /* sequence of the manifest that it would replace */
    int64_t sent_ns;
};

/* The state of one manifest_swap(). */
struct swap {
    struct store *store;
    struct span name;
    struct ulid writer;
    const struct manifest_edit *edit;
    void *context;
    const struct index_clock *clock;

    struct manifest manifest;     /* as read, then as edited */
    bool exists;                  /* whether the last read found a manifest */
    struct store_version version; /* version of the manifest that the last read found */
    struct lost_put lost;
    bool sent;  /* whether a put was sent */
    bool made;  /* whether it is known that the store carried the change out, once and for all */
    bool full;  /* the store refused the last put as full */
    bool stale; /* an object that the manifest of version stale_version lists is missing */
    struct store_version stale_version;
};

static enum dp_status wait_before_try(struct call *call, const struct swap *s, int tries)
{
    int64_t bound = SWAP_WAIT_BASE_MS;
    for (int i = 1; i < tries && bound < SWAP_WAIT_CAP_MS; i++)
        bound *= 2;
    if (bound > SWAP_WAIT_CAP_MS)
        bound = SWAP_WAIT_CAP_MS;
    uint64_t random = UINT64_MAX;
    index_random(s->clock, &random, sizeof random, NULL);
    int64_t ms = (int64_t)(random % (uint64_t)(bound + 1)), left = call_left_ms(call);
    return index_wait(s->clock, call, left >= 0 && left < ms ? left : ms);
}

/* ---- looks ------------------------------------------------------------------------------------------- */

enum look { LOOK_MADE, LOOK_NOT_MADE, LOOK_OPEN, LOOK_UNDECIDED };

/* Judges the earlier puts of this swap by a manifest whose read began at begun_ns. */
static enum look judge_look(const struct swap *s, const struct manifest *m, bool exists,
                            const struct store_version *version, int64_t begun_ns)
{
    const struct lost_put *lost = &s->lost;
    if (exists && s->edit->shows(s->context, m))
        return LOOK_MADE;
    if (!lost->is)
        return LOOK_NOT_MADE;
    const struct manifest_writer *writer = exists ? manifest_find_writer(m, &s->writer) : NULL;
    if (writer &&
        writer->sequence > lost->sequence) /* a greater sequence: a copy of this process uses our writer */
        return writer->sequence == lost->sequence + 1 ? LOOK_MADE : LOOK_UNDECIDED;
    if (!lost->refused && begun_ns - lost->sent_ns > (int64_t)SWAP_LOOK_MAX_MS * NS_PER_MS)
        return LOOK_UNDECIDED;
    if (lost->expects == exists && (!exists || store_version_equal(&lost->expected, version)))
        return lost->refused ? LOOK_NOT_MADE : LOOK_OPEN;
    if (exists && !manifest_covers(m, lost->sequence))
        return LOOK_UNDECIDED;
    return LOOK_NOT_MADE;
}

/* Reads the manifest into *m. Where there is none, initialises *m as empty and sets *exists to false. */
static enum dp_status read_manifest(struct call *call, const struct swap *s, struct manifest *m, bool *exists,
                                    struct manifest_answer *answer)
{
    enum dp_status status = manifest_load_any(call, s->store, s->name, m, answer);
    *exists = status == DP_OK;
    if (status != DP_NOT_FOUND)
        return status;
    dp_error_clear(&call->error);
    manifest_init(m);
    m->date_ms = answer->date_ms;
    return DP_OK;
}

static enum dp_status fail_unknown(struct call *call, const struct swap *s)
{
    char why[DP_ERROR_MESSAGE_MAX / 2];
    snprintf(why, sizeof why, "%.250s",
             call->error.status ? call->error.message : "too many swaps were made since");
    return call_fail(call, DP_UNKNOWN,
                     "%.*s/manifest.json: the swap was sent, but it is not known whether it was carried out (%s)",
                     SPAN_FMT(s->name), why);
}

/* Takes one more look after a failure with a lost put, and returns the final status of the swap. It uses a call
 * with a new deadline, as the caller's may have passed. */
static enum dp_status settle_lost_put(struct call *call, struct swap *s, enum dp_status status)
{
    struct arena arena;
    struct call own;
    struct manifest m;
    struct manifest_answer answer;
    bool exists;
    enum look look = LOOK_UNDECIDED;
    arena_init(&arena, SETTLE_ARENA_MAX);
    call_init(&own, &arena);
    call_limit_ms(&own, SWAP_SETTLE_MS);
    own.patient = true;
    int64_t begun = index_now_ns(s->clock);
    if (read_manifest(&own, s, &m, &exists, &answer) == DP_OK) {
        look = judge_look(s, &m, exists, &answer.version, begun);
        if (look == LOOK_MADE) {
            manifest_deinit(&s->manifest);
            s->manifest = m;
        } else
            manifest_deinit(&m);
    }
    arena_deinit(&arena);
    switch (look) {
    case LOOK_MADE:
        s->made = true;
        dp_error_clear(&call->error);
        return DP_OK;
    case LOOK_NOT_MADE: return status == DP_UNKNOWN ? call_restatus(call, DP_UNAVAILABLE) : status;
    default: return fail_unknown(call, s);
    }
}

/* ---- one try ----------------------------------------------------------------------------------------- */

/* Returns whether this status of a put means that the store refused it. After any other failure the put counts as
 * lost, so a store need not know which failed puts it may have carried out. */
static bool is_refusal(enum dp_status status)
{
    switch (status) {
    case DP_EXISTS:
    case DP_CONFLICT:
    case DP_INVALID:
    case DP_NOT_FOUND:
    case DP_UNSUPPORTED:
    case DP_DENIED:
    case DP_TOO_LARGE:
    case DP_FULL: return true;
    default: return false;
    }
}

static enum dp_status put_manifest(struct call *call, struct swap *s, struct span body, bool *again)
{
    struct object_key key;
    key_of_manifest(&key, s->name);
    struct store_put put = {.key = object_key_span(&key),
                            .body = body,
                            .condition = s->exists ? STORE_IF_VERSION : STORE_IF_ABSENT,
                            .expected = &s->version};
    enum dp_status status = call_check(call);
    if (status)
        return status; /* nothing was sent */
    int64_t sent = index_now_ns(s->clock);
    s->sent = true;
    status = store_put(call, s->store, &put);
    s->made = status == DP_OK;
    s->full = status == DP_FULL;
    if (!s->full)
        s->edit->sent(s->context);
    bool beaten = status == DP_CONFLICT || status == DP_EXISTS, refused = beaten || s->full;
    *again = beaten || status == DP_UNKNOWN;
    if ((refused && !s->lost.is) || (status != DP_OK && !is_refusal(status)))
        s->lost = (struct lost_put){.is = true,
                                    .refused = refused,
                                    .expects = s->exists,
                                    .expected = s->version,
                                    .sequence = s->manifest.sequence - 1,
                                    .sent_ns = sent};
    return status;
}

/* Sets the sequence, the time and the writer of the manifest, and puts it. */
static enum dp_status write_manifest(struct call *call, struct swap *s, bool *again)
{
    struct manifest *m = &s->manifest;
    struct buffer bytes;
    int64_t now = manifest_store_ms(m, s->clock);
    m->sequence++;
    m->updated_ms = now > m->updated_ms ? now : m->updated_ms;
    if (m->created_ms == 0)
        m->created_ms = m->updated_ms;
    enum dp_status status = manifest_add_writer(m, &s->writer, &call->error);
    if (status == DP_OK &&
        manifest_check(m, &call->error) != DP_OK) /* the edit is at fault; the store is not damaged */
        status = call_restatus(call, DP_TOO_LARGE);
    if (status)
        return status;
    buffer_init(&bytes, MANIFEST_BYTES_MAX * 2);
    status = manifest_write(m, &bytes, &call->error);
    if (status == DP_OK)
        status = put_manifest(call, s, buffer_span(&bytes), again);
    buffer_deinit(&bytes);
    return status;
}

/* Judges an edit that missed a listed object. The manifest was old, so *again becomes true; but when a second read
 * found the same version, the object is lost: DP_CORRUPT. */
static enum dp_status judge_stale(struct call *call, struct swap *s, bool *again)
{
    *again = !s->stale || !store_version_equal(&s->stale_version, &s->version);
    s->stale = true;
    s->stale_version = s->version;
    return *again ? DP_STALE : call_restatus(call, DP_CORRUPT);
}

static enum dp_status fail_no_life(struct call *call, const struct swap *s)
{
    return call_fail(call, DP_NOT_FOUND, "there is no namespace \"%.*s\"", SPAN_FMT(s->name));
}

static enum dp_status try_swap(struct call *call, struct swap *s, bool *again)
{
    bool needed = true;
    struct manifest_answer answer;
    *again = false;
    manifest_deinit(&s->manifest);
    int64_t begun = index_now_ns(s->clock);
    enum dp_status status = read_manifest(call, s, &s->manifest, &s->exists, &answer);
    if (status)
        return status;
    s->version = answer.version;
    switch (judge_look(s, &s->manifest, s->exists, &s->version, begun)) {
    case LOOK_MADE: s->made = true; return DP_OK;
    case LOOK_UNDECIDED: return DP_UNKNOWN; /* manifest_swap() calls settle_lost_put() */
    case LOOK_NOT_MADE: s->lost.is = false; break;
    case LOOK_OPEN: break;
    }
    if (!s->edit->makes_lives)
        status = s->exists ? manifest_check_live(&s->manifest, s->name, &call->error) : fail_no_life(call, s);
    if (status)
        return status;
    status = s->edit->apply(call, s->context, &s->manifest, s->exists, &needed);
    if (status == DP_STALE)
        return judge_stale(call, s, again);
    if (status || !needed)
        return status;
    return write_manifest(call, s, again);
}

enum dp_status manifest_swap(struct call *call, struct store *store, struct span name,
                             const struct manifest_edit *edit, void *context, const struct index_clock *clock,
                             struct manifest *out)
{
    struct swap s = {.store = store, .name = name, .edit = edit, .context = context, .clock = clock};
    static const struct ulid zero = {"00000000000000000000000000"};
    bool again = true;
    enum dp_status status = DP_OK;
    if (!index_take_writer(clock, s.writer.text))
        status = ulid_new(clock, &zero, 0, &s.writer, &call->error);
    if (status)
        return status;
    manifest_init(&s.manifest);
    for (int tries = 0; again; tries++) {
        if (tries)
            status = wait_before_try(call, &s, tries);
        if (tries && status != DP_OK)
            break;
        dp_error_clear(&call->error);
        status = try_swap(call, &s, &again);
        if (again && tries + 1 == SWAP_TRIES) {
            if (status != DP_UNKNOWN)
                status =
                    call_fail(call, DP_CONFLICT,
                              "%.*s/manifest.json: other writers were first %d times: try again when fewer write",
                              SPAN_FMT(name), SWAP_TRIES);
            break;
        }
    }
    if (status != DP_OK && status != DP_NOT_DURABLE && s.lost.is)
        status = settle_lost_put(call, &s, status);
    if (s.full && status != DP_FULL)
        edit->sent(context);
    if (s.made || !s.sent) /* a writer whose put may come late is never used again */
        index_give_writer(clock, s.writer.text);
    if (status == DP_OK)
        *out = s.manifest;
    else
        manifest_deinit(&s.manifest);
    return status;
}
