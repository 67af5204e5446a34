/* service/upkeep.c: finds namespaces with work to do, does it, and waits longer after failures. */
#include "service/upkeep.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/metrics.h"
#include "index/upkeep.h"
#include "os/clock.h"
#include "os/gate.h"
#include "os/log.h"
#include "os/thread.h"
#include "os/worker.h"

enum {
    ARENA_MAX = 256 << 20,
    LIST_PAGE = 1000,
    MS = 1000000,        /* nanoseconds */
    RETRY_MIN_MS = 1000, /* wait after the first failure; each further one doubles it */
    RETRY_MAX_MS = 5 * 60000,
    FORBIDDEN_MS = 30 * 60000, /* wait when the store takes no writes */
    REST_MS = 30000,           /* a namespace that has not changed for this long counts as idle */
    COLLECT_AFTER_MS = 60000,  /* time from a change of the manifest to a look for garbage */
    ROOT_PERIOD_MS = 30000,    /* UPKEEP_ROOT: time between two listings of the root */
    LOOK_MIN_MS = 2000,        /* UPKEEP_ROOT: minimum and maximum time between two looks at a namespace */
    LOOK_MAX_MS = 60000,
    /* A backlog of this many times the due size or age is folded even if another node has claimed the fold. */
    CLAIMS_END = 8
};

/* When to try a kind of work again. */
struct upkeep_pause {
    int64_t until_ns;
    unsigned failures; /* in a row */
};

/* A namespace. Nobody removes one before upkeep_free(). */
struct upkeep_item {
    struct span name;
    struct upkeep_item *next;
    struct { /* owned by the thread that folds */
        struct upkeep_pause pause;
        int64_t tail_since_ns; /* when the thread first saw entries that wait; 0: none wait */
        int64_t look_ns;       /* UPKEEP_ROOT: next look at the store */
        int64_t changed_ns;    /* UPKEEP_ROOT: when a look last found something new */
        uint64_t sequence, entries;
    } fold;
    struct { /* owned by the thread that merges and collects */
        struct upkeep_pause merge_pause, collect_pause;
        struct index_collector *collector;
        uint64_t seen;                                      /* the manifest at the latest look */
        int64_t seen_ns;                                    /* when it was first seen */
        uint64_t sequence;                                  /* the manifest that the latest collection has seen */
        int64_t collect_ns;                                 /* time of the next collection; 0: none is planned */
        enum { TIDY_NEW, TIDY_OPEN, TIDY_CLOSED } was_open; /* the reader at the latest look */
    } tidy;
};

struct upkeep {
    struct upkeep_options options;
    struct ulid node;
    struct worker *folder, *tidier;
    _Atomic bool closing;
    struct {
        pthread_mutex_t lock;
        struct arena arena; /* items and their names */
        struct map names;   /* name → 0 */
        struct upkeep_item *items;
    } locked;
    bool yields;       /* the merging thread has begun its first run, which lowers its priority with UPKEEP_OPEN */
    int64_t listed_ns; /* UPKEEP_ROOT: when the folding thread last listed the root; 0: never */
    struct metric *folds, *folded_rows, *merges, *merged_rows, *removed, *failures;
};

/* ---- calls ----------------------------------------------------------------------------------------------- */

/* One piece of work. It has a separate call, which upkeep_free() cancels. */
struct upkeep_call {
    struct arena arena;
    struct call call;
};

static struct call *begin_call(struct upkeep *u, struct upkeep_call *c)
{
    arena_init(&c->arena, ARENA_MAX);
    call_init(&c->call, &c->arena);
    c->call.cancelled = &u->closing;
    return &c->call;
}

static void end_call(struct upkeep_call *c)
{
    arena_deinit(&c->arena);
}

static bool is_paused(const struct upkeep_pause *p)
{
    return p->until_ns > os_now_ns();
}

/* Plans the next try: now after a success, later after a failure. Logs only the first of several failures in a row. */
static void judge_work(struct upkeep *u, struct upkeep_pause *p, const char *what, const struct upkeep_item *item,
                       struct call *call, enum dp_status status)
{
    if (status == DP_OK || status == DP_NOT_FOUND) {
        *p = (struct upkeep_pause){0};
        return;
    }
    if (status == DP_CANCELLED)
        return;
    metric_add(u->failures, 1);
    bool forbidden = status == DP_DENIED || status == DP_UNSUPPORTED; /* this node may only read */
    int64_t wait = RETRY_MIN_MS;
    for (unsigned i = 0; i < p->failures && wait < RETRY_MAX_MS; i++)
        wait *= 2;
    if (forbidden)
        wait = FORBIDDEN_MS;
    uint64_t random = 0;
    os_random(&random, sizeof random, NULL);
    wait +=
        (int64_t)(random % (uint64_t)(wait / 2 + 1)); /* so that nodes that failed together do not meet again */
    if (p->failures++ == 0)
        log_write(forbidden ? LOG_INFO : LOG_WARN, "%s namespace \"%.*s\": %s", what, SPAN_FMT(item->name),
                  call->error.message);
    p->until_ns = os_now_ns() + wait * MS;
}

/* ---- namespaces ------------------------------------------------------------------------------------------ */

static struct upkeep_item *first_item(struct upkeep *u)
{
    pthread_mutex_lock(&u->locked.lock);
    struct upkeep_item *first = u->locked.items;
    pthread_mutex_unlock(&u->locked.lock);
    return first;
}

/* Adds a namespace unless it is there. If memory runs out, a later pass tries again. */
static void add_item(struct upkeep *u, struct span name)
{
    pthread_mutex_lock(&u->locked.lock);
    if (!map_find(&u->locked.names, name)) {
        struct upkeep_item *item = arena_calloc(&u->locked.arena, 1, sizeof *item);
        struct span copy = arena_copy(&u->locked.arena, name);
        if (item && copy.data && map_put(&u->locked.names, copy, 0, NULL, NULL, NULL) == DP_OK) {
            item->name = copy;
            item->next = u->locked.items;
            u->locked.items = item;
        }
    }
    pthread_mutex_unlock(&u->locked.lock);
}

static void add_open(struct upkeep *u, struct call *call)
{
    size_t max = u->options.readers->slots.max;
    struct span *names = arena_array(call->arena, max, sizeof *names);
    size_t count = names ? readers_names(u->options.readers, call->arena, names, max) : 0;
    for (size_t i = 0; i < count; i++)
        add_item(u, names[i]);
}

/* Adds each folder of the root whose name may be a namespace's. */
static enum dp_status add_root(struct upkeep *u, struct call *call)
{
    struct store_listing page = {.truncated = true};
    struct span after = {0};
    while (page.truncated) {
        enum dp_status status = store_list(call, u->options.store, span_str(""), after, true, LIST_PAGE, &page);
        if (status || page.count == 0)
            return status;
        for (size_t i = 0; i < page.count; i++) {
            struct span key = page.entries[i].key;
            after = key;
            if (!page.entries[i].is_prefix || key.len < 2)
                continue;
            struct span name = span_of(key.data, key.len - 1);
            if (index_check_name(name, NULL) == DP_OK)
                add_item(u, name);
        }
    }
    return DP_OK;
}

/* Finds namespaces. Returns the status of listing the root. */
static enum dp_status find_items(struct upkeep *u)
{
    struct upkeep_call c;
    struct call *call = begin_call(u, &c);
    enum dp_status status = DP_OK;
    if (u->options.scope == UPKEEP_OPEN)
        add_open(u, call);
    else if (u->listed_ns == 0 || os_now_ns() - u->listed_ns >= ROOT_PERIOD_MS * (int64_t)MS) {
        u->listed_ns = os_now_ns();
        status = add_root(u, call);
        if (status && status != DP_CANCELLED)
            log_write(LOG_WARN, "listing the root: %s", call->error.message);
    }
    end_call(&c);
    return status;
}

/* Borrows the reader of a namespace. With UPKEEP_OPEN, a namespace that is not open gives DP_OK and *out = NULL. */
static enum dp_status borrow(struct upkeep *u, struct call *call, const struct upkeep_item *item,
                             struct reader_slot **out)
{
    *out = NULL;
    if (u->options.scope == UPKEEP_ROOT)
        return readers_borrow(call, u->options.readers, u->options.store, GATE_READ, item->name, out);
    *out = readers_borrow_open(u->options.readers, item->name);
    return DP_OK;
}

static void give_back(struct upkeep *u, struct reader_slot *slot, enum dp_status status)
{
    if (slot)
        readers_give_back(u->options.readers, slot, status == DP_NOT_FOUND || status == DP_CORRUPT);
}

/* ---- folding --------------------------------------------------------------------------------------------- */

/* Notes what a look has found, and plans the next one: soon while the namespace changes, later when it rests. */
static void plan_look(struct upkeep_item *item, const struct index_backlog *b)
{
    int64_t now = os_now_ns();
    if (b->sequence != item->fold.sequence || b->entries != item->fold.entries)
        item->fold.changed_ns = now;
    item->fold.sequence = b->sequence;
    item->fold.entries = b->entries;
    int64_t rest = (now - item->fold.changed_ns) / 8;
    rest = rest < LOOK_MIN_MS * (int64_t)MS ? LOOK_MIN_MS * (int64_t)MS : rest;
    item->fold.look_ns = now + (rest > LOOK_MAX_MS * (int64_t)MS ? LOOK_MAX_MS * (int64_t)MS : rest);
    if (b->entries == 0)
        item->fold.tail_since_ns = 0;
    else if (item->fold.tail_since_ns == 0)
        item->fold.tail_since_ns = now;
}

static bool fold_is_due(const struct upkeep_item *item, const struct index_backlog *b)
{
    uint64_t times = b->fold_claimed ? CLAIMS_END : 1;
    if (b->entries == 0)
        return b->abandoned > 0 && !b->fold_claimed;
    return b->entries >= times * UPKEEP_FOLD_ENTRIES || b->bytes >= times * UPKEEP_FOLD_BYTES ||
           os_now_ns() - item->fold.tail_since_ns >= (int64_t)times * UPKEEP_FOLD_AGE_MS * MS;
}

static enum dp_status fold_reader(struct upkeep *u, struct call *call, struct upkeep_item *item,
                                  struct index_reader *reader)
{
    const struct index_fold_options options = {.team = u->options.team, .node = &u->node};
    struct index_backlog backlog;
    struct index_fold_result result;
    bool ask = u->options.scope == UPKEEP_ROOT;
    enum dp_status status = index_backlog(call, reader, &u->node, ask, &backlog);
    if (status)
        return status;
    plan_look(item, &backlog);
    if (!fold_is_due(item, &backlog))
        return DP_OK;
    status = index_fold(call, reader, &options, &result);
    if (status == DP_OK) {
        item->fold.tail_since_ns = 0;
        metric_add(u->folds, result.entries > 0);
        metric_add(u->folded_rows, (int64_t)result.rows);
    }
    return status;
}

static void fold_item(struct upkeep *u, struct upkeep_item *item)
{
    struct upkeep_call c;
    struct reader_slot *slot;
    if (is_paused(&item->fold.pause) || (u->options.scope == UPKEEP_ROOT && item->fold.look_ns > os_now_ns()))
        return;
    struct call *call = begin_call(u, &c);
    enum dp_status status = borrow(u, call, item, &slot);
    if (slot)
        status = fold_reader(u, call, item, slot->reader);
    give_back(u, slot, status);
    if (status == DP_NOT_FOUND)
        item->fold.look_ns = os_now_ns() + LOOK_MAX_MS * (int64_t)MS;
    judge_work(u, &item->fold.pause, "folding", item, call, status);
    end_call(&c);
}

enum dp_status upkeep_fold(struct upkeep *u)
{
    enum dp_status status = find_items(u);
    for (struct upkeep_item *item = first_item(u); item && !atomic_load(&u->closing); item = item->next)
        fold_item(u, item);
    return status;
}

static enum dp_status run_folds(struct call *call, void *ctx)
{
    (void)call;
    return upkeep_fold(ctx);
}

/* ---- merging --------------------------------------------------------------------------------------------- */

static enum dp_status merge_reader(struct upkeep *u, struct call *call, const struct upkeep_item *item,
                                   struct index_reader *reader, const struct index_backlog *b)
{
    struct index_backlog after;
    bool rests = b->entries == 0 && os_now_ns() - item->tidy.seen_ns >= REST_MS * (int64_t)MS;
    const struct index_merge_options options = {.team = u->options.team, .node = &u->node, .idle = rests};
    struct index_merge_result result = {0};
    if ((!b->merge_due && !(rests && b->idle_due)) || b->merge_claimed)
        return DP_OK;
    enum dp_status status = index_merge(call, u->options.store, item->name, &options, &result);
    metric_add(u->merges, result.inputs > 0);
    metric_add(u->merged_rows, (int64_t)result.rows);
    /* DP_CONFLICT is no failure: another node has merged first, so go on and read its result. */
    if (status && status != DP_CONFLICT)
        return status;
    dp_error_clear(&call->error);
    return index_backlog(call, reader, &u->node, true, &after); /* the reader sees the merged segments */
}

/* Merges what is due in an open namespace, and plans a collection if its manifest has changed. */
static void merge_item(struct upkeep *u, struct upkeep_item *item)
{
    struct upkeep_call c;
    struct reader_slot *slot = NULL;
    struct index_backlog backlog;
    struct call *call = begin_call(u, &c);
    enum dp_status status = DP_OK;
    slot = readers_borrow_open(u->options.readers, item->name);
    if (slot) {
        status = index_backlog(call, slot->reader, &u->node, false, &backlog);
        if (status == DP_OK && backlog.sequence != item->tidy.seen) {
            item->tidy.seen = backlog.sequence;
            item->tidy.seen_ns = os_now_ns();
        }
        if (status == DP_OK && backlog.sequence != item->tidy.sequence && item->tidy.collect_ns == 0)
            item->tidy.collect_ns = os_now_ns() + COLLECT_AFTER_MS * (int64_t)MS;
        if (status == DP_OK && !is_paused(&item->tidy.merge_pause))
            status = merge_reader(u, call, item, slot->reader, &backlog);
    } else if (item->tidy.was_open != TIDY_CLOSED && item->tidy.collect_ns == 0)
        item->tidy.collect_ns =
            os_now_ns() + COLLECT_AFTER_MS * (int64_t)MS; /* a deleted namespace, or one without a manifest */
    item->tidy.was_open = slot ? TIDY_OPEN : TIDY_CLOSED;
    give_back(u, slot, status);
    judge_work(u, &item->tidy.merge_pause, "merging", item, call, status);
    end_call(&c);
}

/* ---- collecting ------------------------------------------------------------------------------------------ */

static enum dp_status collect_once(struct upkeep *u, struct call *call, struct upkeep_item *item)
{
    struct index_collect_result result;
    enum dp_status status = DP_OK;
    if (!item->tidy.collector)
        status = index_collector_new(u->options.store, item->name, &item->tidy.collector, &call->error);
    if (status == DP_OK)
        status = index_collect(call, item->tidy.collector, NULL, &result);
    if (status)
        return status;
    metric_add(u->removed, (int64_t)(result.entries + result.objects));
    item->tidy.sequence = result.sequence;
    item->tidy.collect_ns = result.due_ms < 0 ? 0 : os_now_ns() + (result.due_ms + RETRY_MIN_MS) * MS;
    return DP_OK;
}

static void collect_item(struct upkeep *u, struct upkeep_item *item)
{
    struct upkeep_call c;
    if (item->tidy.collect_ns == 0 || item->tidy.collect_ns > os_now_ns() || is_paused(&item->tidy.collect_pause))
        return;
    struct call *call = begin_call(u, &c);
    enum dp_status status = collect_once(u, call, item);
    judge_work(u, &item->tidy.collect_pause, "collecting garbage of", item, call, status);
    end_call(&c);
}

void upkeep_tidy(struct upkeep *u)
{
    for (struct upkeep_item *item = first_item(u); item && !atomic_load(&u->closing); item = item->next) {
        merge_item(u, item);
        collect_item(u, item);
    }
}

static enum dp_status run_tidying(struct call *call, void *ctx)
{
    struct upkeep *u = ctx;
    (void)call;
    if (!u->yields && u->options.scope == UPKEEP_OPEN)
        os_thread_yields(); /* requests of clients run first */
    u->yields = true;
    upkeep_tidy(u);
    return DP_OK;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static enum dp_status register_metrics(struct upkeep *u, struct dp_error *error)
{
    struct metric_registry *r = u->options.metrics;
    u->folds = metric_counter(r, "dipper_folds_total", "", "Folds of a log into segments.");
    u->folded_rows = metric_counter(r, "dipper_folded_rows_total", "", "Rows that folds wrote.");
    u->merges = metric_counter(r, "dipper_merges_total", "", "Merges of segments.");
    u->merged_rows = metric_counter(r, "dipper_merged_rows_total", "", "Rows that merges wrote.");
    u->removed =
        metric_counter(r, "dipper_removed_objects_total", "", "Log entries and objects that were removed.");
    u->failures =
        metric_counter(r, "dipper_upkeep_failures_total", "", "Folds, merges and collections that failed.");
    if (!u->folds || !u->folded_rows || !u->merges || !u->merged_rows || !u->removed || !u->failures)
        return dp_fail_nomem(error, "metrics");
    return DP_OK;
}

static enum dp_status start_worker(struct worker **out, const char *name, const struct worker_task *task,
                                   struct dp_error *error)
{
    enum dp_status status = worker_new(out, error);
    if (status)
        return status;
    worker_add(*out, task);
    return worker_start(*out, name, error);
}

enum dp_status upkeep_new(const struct upkeep_options *options, struct upkeep **out, struct dp_error *error)
{
    struct upkeep *u = mem_calloc(1, sizeof *u);
    *out = NULL;
    if (!u)
        return dp_fail_nomem(error, "work in the background");
    u->options = *options;
    pthread_mutex_init(&u->locked.lock, NULL);
    arena_init(&u->locked.arena, ARENA_MAX);
    map_init(&u->locked.names, UPKEEP_NAMESPACES_MAX);
    const struct worker_task folds = {.run = run_folds, .ctx = u, .period_ms = UPKEEP_FOLD_PERIOD_MS};
    const struct worker_task tidying = {.run = run_tidying, .ctx = u, .period_ms = UPKEEP_TIDY_PERIOD_MS};
    enum dp_status status = os_ulid(u->node.text, error);
    if (status == DP_OK)
        status = register_metrics(u, error);
    if (status == DP_OK && !options->no_threads)
        status = start_worker(&u->folder, "dipper-fold", &folds, error);
    if (status == DP_OK && !options->no_threads)
        status = start_worker(&u->tidier, "dipper-tidy", &tidying, error);
    if (status) {
        upkeep_free(u);
        return status;
    }
    *out = u;
    return DP_OK;
}

void upkeep_free(struct upkeep *u)
{
    if (!u)
        return;
    atomic_store(&u->closing, true);
    worker_free(u->folder);
    worker_free(u->tidier);
    for (struct upkeep_item *item = u->locked.items; item; item = item->next)
        index_collector_free(item->tidy.collector);
    map_deinit(&u->locked.names);
    arena_deinit(&u->locked.arena);
    pthread_mutex_destroy(&u->locked.lock);
    mem_free(u);
}
