/* ranges.c: turns a batch of ranges into a round of requests, and the answers into the batch's results.
 *
 * Each request of the batch is a want. A pass sorts the open wants by key, pin and offset, joins neighbours into
 * groups, cuts groups into fetches, runs these as one round and settles as many wants as it can. Most batches need
 * one pass. Another pass follows when a want needed a look at the size first, when a range to the end began
 * exactly at the end (the answer then has no version), or when the object changed between two parts.
 */
#include "store/ranges.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { PASSES_MAX = 5 };

/* A request of the batch. */
struct range_want {
    struct store_read_req *req; /* NULL once settled */
    bool look;                  /* the next pass asks for version and size only */
    bool found;                 /* a look found `version`: the bytes must have it */
    struct store_version version;
};

/* Wants that are neighbours in one object, and the fetches for them. */
struct range_group {
    struct range_want *wants;
    size_t want_count;
    uint64_t offset, len; /* the range of the block; len 0 for a look and for a fetch to the end */
    struct store_block *block;
    struct range_fetch *fetches;
    size_t fetch_count;
};

/* One ranges_read: its open wants, and the groups and fetches of the present pass. */
struct range_plan {
    struct call *call;
    const struct range_limits *limits;
    struct range_want *wants;
    size_t want_count;
    struct range_group *groups;
    size_t group_count;
    struct range_fetch *fetches;
    size_t fetch_count, fetch_room;
};

enum dp_status range_limits_of(const struct store_options *options, struct range_limits *out,
                               struct dp_error *error)
{
    const int64_t gap = options ? options->merge_gap : 0, split = options ? options->split_at : 0;
    if (gap < STORE_NEVER || split < STORE_NEVER)
        return dp_fail(error, DP_INVALID, "ranges cannot merge at %" PRId64 " and split at %" PRId64 " bytes", gap,
                       split);
    out->merge_gap = gap == STORE_NEVER ? UINT64_MAX : gap ? (uint64_t)gap : RANGES_MERGE_GAP;
    out->split_at = split == STORE_NEVER ? UINT64_MAX : split ? (uint64_t)split : RANGES_SPLIT_AT;
    return DP_OK;
}

/* ---- planning --------------------------------------------------------------------------------------- */

static const struct store_version *pin_of(const struct range_want *w)
{
    return w->found ? &w->version : w->req->pinned;
}

/* Returns whether the want may share a request with neighbours. */
static bool want_is_plain(const struct range_want *w)
{
    return !w->look && w->req->len > 0 && (w->found || !w->req->if_changed);
}

static int compare_pins(const struct store_version *a, const struct store_version *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    return span_compare(span_of(a->token, a->len), span_of(b->token, b->len));
}

/* Orders wants by key, then plain wants first, then by pin and offset. */
static int compare_wants(const void *left, const void *right)
{
    const struct range_want *a = left, *b = right;
    int order = span_compare(a->req->key, b->req->key);
    if (order == 0)
        order = (int)want_is_plain(b) - (int)want_is_plain(a);
    if (order == 0)
        order = compare_pins(pin_of(a), pin_of(b));
    if (order == 0)
        order = (a->req->offset > b->req->offset) - (a->req->offset < b->req->offset);
    return order;
}

/* Returns whether two plain wants are of one object and one version. */
static bool wants_agree(const struct range_want *a, const struct range_want *b)
{
    return want_is_plain(a) && want_is_plain(b) && span_equal(a->req->key, b->req->key) &&
           compare_pins(pin_of(a), pin_of(b)) == 0;
}

/* Returns whether `w` may join the group. */
static bool group_joins(const struct range_plan *plan, const struct range_group *g, const struct range_want *w)
{
    const uint64_t most = plan->limits->split_at, end = g->offset + g->len;
    const bool sparse = w->req->sparse && w[-1].req->sparse;
    uint64_t gap = plan->limits->merge_gap;
    if (gap == UINT64_MAX || !wants_agree(&g->wants[0], w))
        return false;
    if (sparse && gap > RANGES_SPARSE_GAP)
        gap = RANGES_SPARSE_GAP;
    if (w->req->offset > end && w->req->offset - end > gap)
        return false;
    uint64_t w_end = w->req->offset + (uint64_t)w->req->len;
    uint64_t len = (w_end > end ? w_end : end) - g->offset;
    /* New bytes must not make the request longer than the maximum; a range inside the group adds no bytes. */
    return w_end <= end || len <= (most == UINT64_MAX ? RANGES_SPLIT_AT : most);
}

static void make_groups(struct range_plan *plan)
{
    plan->group_count = 0;
    for (size_t i = 0; i < plan->want_count; i++) {
        struct range_want *w = &plan->wants[i];
        uint64_t w_end = w->req->offset + (want_is_plain(w) ? (uint64_t)w->req->len : 0);
        struct range_group *g = plan->group_count ? &plan->groups[plan->group_count - 1] : NULL;
        if (g && group_joins(plan, g, w)) {
            g->want_count++;
            if (w_end > g->offset + g->len)
                g->len = w_end - g->offset;
            continue;
        }
        plan->groups[plan->group_count++] = (struct range_group){
            .wants = w, .want_count = 1, .offset = w->req->offset, .len = w_end - w->req->offset};
    }
}

/* Returns how many fetches a group becomes. */
static size_t parts_of(const struct range_plan *plan, const struct range_group *g)
{
    return g->len <= plan->limits->split_at ? 1 : (size_t)((g->len - 1) / plan->limits->split_at + 1);
}

/* Cuts the group into fetches, with a block for their bytes. A conditional range, which is one fetch, gets a block
 * too. */
static enum dp_status make_fetches(struct range_plan *plan, struct range_group *g, struct dp_error *error)
{
    const struct range_want *w = &g->wants[0];
    bool lone = !want_is_plain(w);
    int64_t lone_len = w->look ? 0 : w->req->len;
    g->fetches = plan->fetches + plan->fetch_count;
    g->fetch_count = lone ? 1 : parts_of(plan, g);
    uint64_t len = lone ? (lone_len > 0 ? (uint64_t)lone_len : 0) : g->len;
    if (len) {
        g->block = len > SIZE_MAX ? NULL : store_block_new((size_t)len);
        if (!g->block)
            return dp_fail_nomem(error, "bytes of an object");
    }
    for (size_t i = 0; i < g->fetch_count; i++) {
        uint64_t at = i * plan->limits->split_at, left = len - at;
        g->fetches[i] = (struct range_fetch){
            .key = w->req->key,
            .offset = g->offset + at,
            .len = lone ? lone_len : (int64_t)(left < plan->limits->split_at ? left : plan->limits->split_at),
            .pinned = pin_of(w),
            .if_changed = w->req->if_changed && !w->found,
            .into = g->block ? store_block_data(g->block) + at : NULL};
    }
    plan->fetch_count += g->fetch_count;
    return DP_OK;
}

/* ---- answers ---------------------------------------------------------------------------------------- */

static void settle_want(struct range_want *w, enum dp_status status, const struct dp_error *error)
{
    w->req->status = status;
    if (error)
        w->req->error = *error;
    w->req = NULL;
}

/* Finds the fetches [*first, *last) of the group that hold the want's bytes. */
static void fetches_of(const struct range_plan *plan, const struct range_group *g, const struct range_want *w,
                       size_t *first, size_t *last)
{
    *first = 0;
    *last = g->fetch_count;
    if (g->fetch_count < 2)
        return;
    *first = (size_t)((w->req->offset - g->offset) / plan->limits->split_at);
    *last = (size_t)((w->req->offset + (uint64_t)w->req->len - 1 - g->offset) / plan->limits->split_at) + 1;
}

/* Takes version and size from an answer. Returns true when they settle the want. */
static bool settle_by_version(struct range_want *w, const struct range_fetch *f)
{
    struct store_read_req *req = w->req;
    if (f->unchanged) {
        req->version = *req->pinned;
        req->size = f->size;
        req->unchanged = true;
        settle_want(w, DP_OK, NULL);
        return true;
    }
    if (!store_read_settled(req, &f->version, f->size))
        return false;
    settle_want(w, req->status, NULL);
    return true;
}

/* Settles a want after a look if it needs no bytes; otherwise the next pass reads it. */
static void answer_look(struct range_want *w, const struct range_fetch *f)
{
    struct store_read_req *req = w->req;
    uint64_t len;
    if (settle_by_version(w, f))
        return;
    req->status = store_range_len(req, f->size, &len, &req->error);
    if (req->status != DP_OK || len == 0) {
        settle_want(w, req->status, NULL);
        return;
    }
    if (req->len != STORE_TO_END)
        req->len = (int64_t)len; /* clip now that the object's size is known */
    w->look = false;
    w->found = true;
    w->version = f->version;
}

/* Returns the earliest of the fetches' dates; 0 if one is unknown. */
static int64_t earliest_date(const struct range_fetch *fetches, size_t n)
{
    int64_t date_ms = fetches[0].date_ms;
    for (size_t i = 1; i < n; i++)
        if (fetches[i].date_ms < date_ms)
            date_ms = fetches[i].date_ms;
    return date_ms;
}

/* Sets the want's status when a fetch brought fewer bytes than the want needs from that fetch. `end`: where the
 * want ends, counted from the group's offset. */
static void check_got(struct store_read_req *req, const struct range_group *g, const struct range_fetch *f,
                      uint64_t end)
{
    uint64_t at = f->offset - g->offset;
    uint64_t needed = end < at ? 0 : end - at < (uint64_t)f->len ? end - at : (uint64_t)f->len;
    if (f->got < needed)
        req->status = dp_fail(&req->error, DP_IO, "%.*s: %" PRIu64 " bytes came instead of %" PRIu64,
                              SPAN_FMT(req->key), f->got, needed);
}

/* Answers one want from the fetches of its group, or leaves it open for the next pass. */
static void answer_want(const struct range_plan *plan, const struct range_group *g, struct range_want *w)
{
    struct store_read_req *req = w->req;
    size_t first, last;
    fetches_of(plan, g, w, &first, &last);
    const struct range_fetch *one = &g->fetches[first];
    req->date_ms = earliest_date(one, last - first);
    for (size_t i = first; i < last; i++) {
        const struct range_fetch *f = &g->fetches[i];
        if (f->status == DP_STALE && w->found) { /* the object changed since the look: look again */
            w->found = false;
            w->look = true;
            return;
        }
        if (f->status != DP_OK) {
            req->maybe_missing = f->maybe_missing;
            settle_want(w, f->status, &f->error);
            return;
        }
        if (f->version.len && one->version.len && !store_version_equal(&f->version, &one->version) && !req->pinned)
            return; /* the object changed between two parts: the next pass reads it again */
    }
    if (w->look) {
        answer_look(w, one);
        return;
    }
    uint64_t len;
    if (!one->unchanged && one->version.len == 0) {
        /* No byte of the object lies in the range. That is an error unless the range begins at the end. */
        req->status = store_range_len(req, one->size, &len, &req->error);
        if (req->status != DP_OK)
            settle_want(w, req->status, NULL);
        else
            w->look = true;
        return;
    }
    for (size_t i = first; i < last; i++)
        if (req->pinned && !req->if_changed && g->fetches[i].version.len &&
            !store_version_equal(&g->fetches[i].version, req->pinned))
            one = &g->fetches[i]; /* the part that makes the want stale */
    if (settle_by_version(w, one))
        return;
    req->status = store_range_len(req, one->size, &len, &req->error);
    uint64_t skipped = req->offset - g->offset;
    for (size_t i = first; i < last && req->status == DP_OK && g->block; i++)
        check_got(req, g, &g->fetches[i], skipped + len);
    if (req->status == DP_OK && g->block) {
        req->bytes = store_block_bytes(g->block, skipped, len);
    } else if (req->status == DP_OK && one->got != len) {
        req->status = dp_fail(&req->error, DP_IO, "%.*s: %" PRIu64 " bytes came instead of %" PRIu64,
                              SPAN_FMT(req->key), one->got, len);
    } else if (req->status == DP_OK) {
        req->bytes = store_bytes_retain(one->bytes);
    }
    settle_want(w, req->status, NULL);
}

/* ---- passes ----------------------------------------------------------------------------------------- */

static void fail_all(struct range_plan *plan, enum dp_status status, const struct dp_error *error)
{
    for (size_t i = 0; i < plan->want_count; i++)
        if (plan->wants[i].req)
            settle_want(&plan->wants[i], status, error);
}

/* Runs one round for all open wants. */
static void run_pass(struct range_plan *plan, range_fetch_fn *fetch, void *ctx)
{
    struct dp_error error;
    qsort(plan->wants, plan->want_count, sizeof *plan->wants, compare_wants);
    make_groups(plan);
    size_t needed = 0;
    for (size_t i = 0; i < plan->group_count; i++)
        needed += parts_of(plan, &plan->groups[i]);
    plan->fetches = mem_calloc(needed, sizeof *plan->fetches);
    if (!plan->fetches) {
        dp_fail_nomem(&error, "requests");
        fail_all(plan, DP_NOMEM, &error);
        return;
    }
    plan->fetch_count = 0;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < plan->group_count && status == DP_OK; i++)
        status = make_fetches(plan, &plan->groups[i], &error);
    if (status == DP_OK) {
        fetch(ctx, plan->call, plan->fetches, plan->fetch_count);
        for (size_t i = 0; i < plan->group_count; i++)
            for (size_t k = 0; k < plan->groups[i].want_count; k++)
                answer_want(plan, &plan->groups[i], &plan->groups[i].wants[k]);
    } else {
        fail_all(plan, status, &error);
    }
    for (size_t i = 0; i < plan->group_count; i++)
        store_block_release(plan->groups[i].block);
    for (size_t i = 0; i < plan->fetch_count; i++)
        store_bytes_release(&plan->fetches[i].bytes);
    mem_free(plan->fetches);
}

/* Makes a want of each valid request, and fails the others. */
static void take_wants(struct range_plan *plan, struct store_read_req *reqs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct store_read_req *req = &reqs[i];
        if (req->status != DP_OK)
            continue;
        if (req->len < STORE_TO_END || req->offset > INT64_MAX ||
            (req->len > 0 && (uint64_t)req->len > INT64_MAX - req->offset)) {
            req->status = dp_fail(&req->error, DP_INVALID,
                                  "%.*s: %" PRId64 " bytes at offset %" PRIu64 " do not lie within any object",
                                  SPAN_FMT(req->key), req->len, req->offset);
            continue;
        }
        plan->wants[plan->want_count++] =
            (struct range_want){.req = req, .look = req->len == 0 || req->len > RANGES_BLIND_MAX};
    }
}

void ranges_read(struct call *call, const struct range_limits *limits, struct store_read_req *reqs, size_t n,
                 range_fetch_fn *fetch, void *ctx)
{
    struct range_plan plan = {.call = call,
                              .limits = limits,
                              .wants = mem_calloc(n, sizeof *plan.wants),
                              .groups = mem_calloc(n, sizeof *plan.groups)};
    struct dp_error error;
    if (!plan.wants || !plan.groups) {
        dp_fail_nomem(&error, "requests");
        for (size_t i = 0; i < n; i++)
            if (reqs[i].status == DP_OK) {
                reqs[i].status = DP_NOMEM;
                reqs[i].error = error;
            }
        goto out;
    }
    take_wants(&plan, reqs, n);
    for (unsigned passes = 0; plan.want_count; passes++) {
        if (passes == PASSES_MAX) {
            dp_fail(&error, DP_STALE, "%.*s keeps changing while it is read", SPAN_FMT(plan.wants[0].req->key));
            fail_all(&plan, DP_STALE, &error);
            break;
        }
        if (passes) {
            call->cost.rounds++;
            enum dp_status status = call_check(call);
            if (status != DP_OK) {
                fail_all(&plan, status, &call->error);
                break;
            }
        }
        run_pass(&plan, fetch, ctx);
        size_t open = 0;
        for (size_t i = 0; i < plan.want_count; i++)
            if (plan.wants[i].req)
                plan.wants[open++] = plan.wants[i];
        plan.want_count = open;
    }
out:
    mem_free(plan.wants);
    mem_free(plan.groups);
}
