/* unpin.c: judges each pin by the manifest of its branch.
 *
 *   no manifest            the branching goes on, or has failed: after the lag, a tombstone ends it
 *   tombstone of the branch                              unused
 *   tombstone of another life                            as without a manifest
 *   live, the branch       used while it lists an object of the pin's incarnation; it will never list one again
 *   live, another life     unused: the state on which the branching could make its branch is over
 *   malformed              used
 */
#include "index/fold/unpin.h"

#include "index/manifest/swap.h"

enum pin_verdict { PIN_USED, PIN_UNUSED, PIN_WAITS };

/* One pin, and what is known about its branch. */
struct pin_check {
    const struct unpin_search *search;
    const struct manifest_pin *pin;
    enum pin_verdict verdict;
};

/* A search for objects of the pin's incarnation in the manifest of the branch. */
struct owned_search {
    const struct pin_check *check;
    const struct manifest *branch;
    bool found;
};

static enum dp_status compare_owned(void *context, const struct manifest_object *o)
{
    struct owned_search *s = context;
    const struct pin_check *c = s->check;
    struct object_home home = manifest_home(s->branch, c->pin->branch, o->owner);
    s->found =
        s->found || (ulid_equal(home.incarnation, &c->pin->incarnation) && span_equal(home.name, c->search->name));
    return DP_OK;
}

static enum pin_verdict judge_pin(const struct pin_check *c, const struct manifest *branch, bool exists)
{
    struct owned_search s = {c, branch, false};
    bool ours = exists && ulid_equal(&branch->incarnation, &c->pin->branch_incarnation);
    if (!exists || (branch->state == NAMESPACE_DELETED && !ours))
        return PIN_WAITS;
    if (branch->state == NAMESPACE_DELETED || !ours)
        return PIN_UNUSED;
    manifest_for_each_object(branch, compare_owned, &s);
    return s.found ? PIN_USED : PIN_UNUSED;
}

/* ---- ending a branching ---------------------------------------------------------------------------------- */

static enum dp_status apply_bar(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    struct pin_check *c = context;
    (void)call;
    c->verdict = judge_pin(c, m, exists);
    *needed = c->verdict == PIN_WAITS;
    if (*needed && !exists)
        manifest_end_life(m); /* makes a tombstone; if there is one, the swap only gives it a new version */
    return DP_OK;
}

static void note_bar_sent(void *context)
{
    (void)context;
}

static bool shows_bar(const void *context, const struct manifest *m)
{
    (void)context, (void)m;
    return false;
}

static const struct manifest_edit bar_edit = {apply_bar, note_bar_sent, shows_bar, true};

/* Makes the branch unable to appear, unless it is there by now. */
static enum dp_status bar_branch(struct call *call, struct pin_check *c)
{
    struct manifest after;
    enum dp_status status =
        manifest_swap(call, c->search->store, c->pin->branch, &bar_edit, c, c->search->clock, &after);
    if (status)
        return status;
    manifest_deinit(&after);
    if (c->verdict == PIN_WAITS)
        c->verdict = PIN_UNUSED;
    return DP_OK;
}

/* ---- all pins -------------------------------------------------------------------------------------------- */

static enum dp_status check_pin(struct call *call, struct pin_check *c)
{
    const struct unpin_search *s = c->search;
    struct manifest branch;
    enum dp_status status = manifest_load_any(call, s->store, c->pin->branch, &branch, NULL);
    bool exists = status == DP_OK;
    c->verdict = PIN_USED;
    if (status == DP_CORRUPT || status == DP_UNSUPPORTED) {
        dp_error_clear(&call->error);
        return DP_OK;
    }
    if (!exists && status != DP_NOT_FOUND)
        return status;
    dp_error_clear(&call->error);
    if (!exists)
        branch = (struct manifest){0};
    c->verdict = judge_pin(c, &branch, exists);
    manifest_deinit(&branch);
    if (c->verdict == PIN_WAITS && s->date_ms && ulid_ms(&c->pin->id) + s->lag_ms <= s->date_ms)
        return bar_branch(call, c);
    return DP_OK;
}

enum dp_status unpin_find(struct call *call, const struct unpin_search *search, struct ulid *unused, size_t *count)
{
    enum dp_status status = DP_OK;
    *count = 0;
    for (size_t i = 0; i < search->m->pin_count && status == DP_OK; i++) {
        struct pin_check c = {.search = search, .pin = &search->m->pins[i]};
        status = check_pin(call, &c);
        if (status == DP_OK && c.verdict == PIN_UNUSED)
            unused[(*count)++] = c.pin->id;
    }
    return status;
}
