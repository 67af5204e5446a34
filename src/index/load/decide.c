/* load/decide.c: puts an entry about a load. */
#include "index/load/decide.h"

#include "index/query/reader.h"
#include "index/wal/append.h"

enum {
    DECIDE_TRIES = 256,      /* how often other writers may be first */
    DECIDE_EAGER_TRIES = 16, /* the first tries, between which there is no wait */
    DECIDE_WAIT_MAX_MS = 20
};

static enum dp_status decide_wait(struct call *call, const struct index_clock *clock, int tries)
{
    uint64_t random = 0;
    if (tries < DECIDE_EAGER_TRIES)
        return call_check(call);
    index_random(clock, &random, sizeof random, NULL);
    return index_wait(clock, call, (int64_t)(random % (DECIDE_WAIT_MAX_MS + 1)));
}

static enum dp_status fail_life_ended(struct call *call, struct load_decision *d)
{
    d->ended = true;
    return call_fail(
        call, DP_CONFLICT,
        "namespace \"%.*s\" was removed while rows were loaded into it; none of them was kept: load again",
        SPAN_FMT(d->reader->name));
}

/* Brings the view up to date. */
static enum dp_status refresh_decision(struct call *call, struct load_decision *d)
{
    struct view *newer = NULL;
    if (!d->view)
        d->view = reader_view(d->reader);
    enum dp_status status = view_refresh(call, d->reader, d->view, &newer);
    if (status == DP_NOT_FOUND)
        return fail_life_ended(call, d);
    if (status)
        return status;
    view_release(d->view);
    d->view = newer;
    return ulid_equal(&newer->base->manifest.incarnation, &d->incarnation) ? DP_OK : fail_life_ended(call, d);
}

/* Returns whether the load has the segments that its loader made: a repair may have replaced some, without rows that
 * were lost. */
static bool has_own_segments(const struct load_decision *d, const struct snapshot_load *load)
{
    const struct manifest_segment *base = d->view->base->manifest.segments + load->first;
    bool own = d->segment_count == load->count;
    for (size_t i = 0; i < d->segment_count && own; i++)
        own = manifest_has_segment(base, load->count, &d->segments[i].id);
    return own;
}

/* Returns whether the load is pending and the log has not decided about it; sets d->fate. *at: the view's newest
 * entry at that moment. */
static bool is_open(struct load_decision *d, struct view_position *at)
{
    const struct snapshot *base = d->view->base;
    bool pending = false;
    d->fate = LOAD_OPEN;
    view_lock(d->view);
    *at = d->view->locked.at;
    for (size_t i = 0; i < base->load_count; i++) {
        if (ulid_equal(&base->loads[i].load, &d->load)) {
            pending = !d->segments || has_own_segments(d, &base->loads[i]);
            d->fate = d->view->locked.fates[i];
        }
    }
    view_unlock(d->view);
    return pending && d->fate == LOAD_OPEN;
}

/* Adds an acknowledged entry to the reader's view. When that fails, the next look reads the entry from the store. */
static void show_decision(struct call *call, struct load_decision *d, struct span bytes)
{
    struct wal_entry *entry;
    enum dp_status status = wal_entry_parse(bytes, &entry, &call->error);
    if (status == DP_OK)
        status = view_apply(call, d->view, entry);
    wal_entry_release(entry);
    if (status)
        atomic_store(&d->reader->outdated, true);
    dp_error_clear(&call->error);
}

/* Puts the entry once. *again: another writer was first. */
static enum dp_status put_decision(struct call *call, struct load_decision *d, const struct view_position *at,
                                   struct wal_encoder *encoder, bool *again)
{
    const struct manifest *m = &d->view->base->manifest;
    struct wal_head head = {.incarnation = m->incarnation, .number = at->last + 1, .chain = at->chain};
    struct wal_appended appended;
    struct span bytes;
    enum dp_status status = ulid_new(d->reader->clock, &m->horizon, 0, &head.id, &call->error);
    if (status)
        return status;
    wal_encode_begin(encoder, &head);
    wal_encode_load(encoder, d->kind, &d->load);
    status = wal_encode_end(encoder, &bytes, &call->error);
    if (status)
        return status;
    const struct wal_put put = {.name = d->reader->name,
                                .incarnation = &head.incarnation,
                                .number = head.number,
                                .bytes = bytes,
                                .known = &d->view->base->version,
                                .clock = d->reader->clock};
    d->rows_before = view_counts(d->view).rows;
    status = wal_append(call, d->reader->store, &put, &appended);
    d->ended = appended.ended;
    *again = status == DP_OK && appended.lost;
    if (status != DP_OK || !appended.unchanged)
        atomic_store(&d->reader->outdated, true);
    if (status != DP_OK || *again)
        return status;
    d->number = head.number;
    d->fate = d->kind == WAL_ATTACH ? LOAD_ATTACHED : LOAD_VOID;
    show_decision(call, d, bytes);
    return DP_OK;
}

enum dp_status load_decide(struct call *call, struct load_decision *d)
{
    struct wal_encoder encoder;
    bool again = true;
    enum dp_status status = DP_OK;
    wal_encoder_init(&encoder);
    for (int tries = 0; again && status == DP_OK && tries < DECIDE_TRIES; tries++) {
        struct view_position at;
        dp_error_clear(&call->error);
        status = decide_wait(call, d->reader->clock, tries);
        if (status == DP_OK)
            status = refresh_decision(call, d);
        again = status == DP_OK && is_open(d, &at);
        if (again)
            status = put_decision(call, d, &at, &encoder, &again);
    }
    if (status == DP_OK && again)
        status = call_fail(call, DP_CONFLICT,
                           "namespace \"%.*s\": other writers were first %d times: try again when fewer write",
                           SPAN_FMT(d->reader->name), DECIDE_TRIES);
    wal_encoder_deinit(&encoder);
    if (status) {
        view_release(d->view);
        d->view = NULL;
    }
    return status;
}
