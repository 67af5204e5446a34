/* fold/collect.c: the collector (rules L1, L4, L8, L9 and L10 of docs/internals/wal.md). Only it removes log entries,
 * and objects that a manifest has listed; a load, import, fold, merge or repair may remove objects of its own that no
 * manifest has listed.
 *
 * A collection takes the step "remove" if there is a batch, else "let go". If it removes the last of a batch, it takes
 * "let go" too:
 *
 *   let go   read the manifest, list all objects below the name, and read the manifest again. Garbage is what
 *            neither of the two manifests needs:
 *              - log entries up to wal_floor;
 *              - log entries of all lives of the name but the live one;
 *              - other objects that the manifest neither lists nor has pending, that none of its pins keeps, and that
 *                are older than the lag.
 *            If the manifest's wal_gone or horizon does not cover the garbage yet, one swap raises them. The names that
 *            the manifest then covers become the batch. The batch keeps the store's time at which it answered with this
 *            manifest.
 *   remove   when a grace has passed since that time, by the store's clock and by this host's, remove the batch.
 *
 * Before it lists the objects, "let go" removes from the manifest the pins that no branch needs (fold/unpin.h).
 *
 * A manifest that has let an object go never lists it again: commits check the horizon, and numbers of entries
 * only rise. It gets no pin of that object either: a branching adds a pin only while the manifest still lists or
 * pins the object. The grace is for readers and writers that still hold an older manifest. The batch lives in
 * memory only. When the process ends, its successor lists again.
 *
 * In a local folder a manifest may be visible and not durable. So the batch counts only once store_settle() has made
 * the manifest durable.
 *
 * The store's clock dates the answers, since hosts' clocks may be wrong. An answer without a date lets nothing go.
 */
#include "index/upkeep.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "index/fold/unpin.h"
#include "index/manifest/pins.h"
#include "index/manifest/swap.h"

enum {
    LIST_PAGE = 1000,
    BATCH_MAX = 10000,
    REMOVE_MAX = 5000, /* maximum removals of one collection: its caller may have other work to do */
    BATCH_ARENA_MAX = 16 * 1024 * 1024,
    NS_PER_MS = 1000000,
    HELD_MS = 60 * 1000 /* a writer whose entry is folded at once has this long to read the manifest */
};

/* An object that may be garbage, or a run of log entries: the numbers name.number to `last`. */
struct garbage {
    struct parsed_name name;
    uint64_t last;
};

/* Objects that a manifest has let go. */
struct collect_batch {
    struct arena arena;
    struct garbage *names; /* [count] */
    size_t count;
    int64_t date_ms; /* the store's time of the manifest's answer; 0: there is no batch */
    int64_t now_ns;  /* this host's time before the read of the manifest was sent */
};

struct index_collector {
    struct store *store;
    struct span name; /* owned */
    struct collect_batch batch;
    /* wal_floor at the latest collection that let something go, or checked whether it could. */
    struct ulid floor_of; /* the incarnation */
    uint64_t floor;
};

/* One collection. */
struct collection {
    struct index_collector *collector;
    const struct index_collect_options *options;
    int64_t grace_ms, lag_ms;
    struct manifest manifest; /* as the latest read found it */
    bool exists;
    struct pin_set pins; /* the objects of its pins */
    struct manifest_answer answer;
    int64_t begun_ns;      /* when the latest read of the manifest began */
    struct garbage *found; /* [found_count]: what may be garbage, in the call's arena */
    size_t found_count;
    bool held;           /* this collection leaves folded entries to the next one */
    uint64_t gone;       /* wal_gone to reach */
    struct ulid horizon; /* horizon to reach */
    struct ulid *unused; /* [unused_count]: pins to remove from the manifest */
    size_t unused_count;
    struct index_collect_result *result;
};

enum dp_status index_collector_new(struct store *store, struct span name, struct index_collector **out,
                                   struct dp_error *error)
{
    struct index_collector *c = mem_calloc(1, sizeof *c);
    uint8_t *copy = mem_alloc(name.len + 1);
    *out = NULL;
    if (!c || !copy) {
        mem_free(c);
        mem_free(copy);
        return dp_fail_nomem(error, "a collector");
    }
    memcpy(copy, name.data, name.len);
    c->store = store;
    c->name = span_of(copy, name.len);
    arena_init(&c->batch.arena, BATCH_ARENA_MAX);
    *out = c;
    return DP_OK;
}

void index_collector_free(struct index_collector *c)
{
    if (!c)
        return;
    arena_deinit(&c->batch.arena);
    mem_free((void *)(uintptr_t)c->name.data);
    mem_free(c);
}

static void forget_batch(struct collect_batch *b)
{
    arena_reset(&b->arena);
    b->names = NULL;
    b->count = 0;
    b->date_ms = 0;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static enum dp_status read_once(struct call *call, struct collection *c)
{
    manifest_deinit(&c->manifest);
    c->begun_ns = index_now_ns(c->options->clock);
    enum dp_status status =
        manifest_load_any(call, c->collector->store, c->collector->name, &c->manifest, &c->answer);
    c->exists = status == DP_OK;
    if (!c->exists)
        c->manifest = (struct manifest){0};
    if (status == DP_NOT_FOUND) {
        dp_error_clear(&call->error);
        status = DP_OK;
    }
    c->result->sequence = c->exists ? c->manifest.sequence : 0;
    if (status == DP_OK && c->exists)
        status = pin_set_read(call, c->collector->store, c->collector->name, &c->manifest, &c->pins);
    return status;
}

/* Reads the manifest and its pins. Another collector may have removed the .pin object of a pin that a newer
 * manifest does not have. So a missing .pin object is damage only if the manifest has not changed. */
static enum dp_status read_now(struct call *call, struct collection *c)
{
    enum dp_status status = read_once(call, c);
    for (uint64_t before = 0; status == DP_STALE && c->exists && c->manifest.sequence != before;) {
        before = c->manifest.sequence;
        dp_error_clear(&call->error);
        status = read_once(call, c);
    }
    return status == DP_STALE && c->exists ? call_restatus(call, DP_CORRUPT) : status;
}

/* ---- garbage --------------------------------------------------------------------------------------------- */

/* Returns whether the latest manifest lists the object, has it pending, or has a pin that keeps it. */
static bool is_needed(const struct collection *c, const struct parsed_name *object)
{
    return c->exists &&
           (manifest_lists(&c->manifest, c->collector->name, object) || pin_set_has(&c->pins, object));
}

static bool is_of_live(const struct collection *c, const struct parsed_name *object)
{
    return c->exists && c->manifest.state == NAMESPACE_LIVE &&
           ulid_equal(&c->manifest.incarnation, &object->incarnation);
}

/* Returns whether the latest manifest has let the object go.
 *
 * The horizon covers each object found that the manifest did not need when plan_swap() looked. An object above it was
 * needed then, and had not been needed before the listing: so a swap listed it, and another took it away since. An
 * object is listed by one swap only, so nobody will list it again, and it could go as well. The test of the horizon
 * makes a rule of what follows from the others. */
static bool is_let_go(const struct collection *c, const struct parsed_name *object)
{
    if (!c->exists)
        return false;
    if (object->kind == OBJECT_WAL)
        return !is_of_live(c, object) || object->number <= c->manifest.wal_gone;
    return memcmp(object->born.text, c->manifest.horizon.text, ULID_LEN) <= 0 && !is_needed(c, object);
}

/* Adds a listed object to those that may be garbage. Entries that follow each other become one run. Skips
 * objects that are too young, and objects that the manifest needs (the one that was read before the listing). A
 * later collection judges them again. */
static void add_found(struct collection *c, const struct parsed_name *o)
{
    struct garbage *before = c->found_count ? &c->found[c->found_count - 1] : NULL;
    if (o->kind == OBJECT_WAL) {
        if (is_of_live(c, o) && o->number > c->manifest.wal_floor)
            return;
        if (before && before->name.kind == OBJECT_WAL && before->last + 1 == o->number &&
            ulid_equal(&before->name.incarnation, &o->incarnation)) {
            before->last++;
            return;
        }
    } else if (is_needed(c, o)) {
        return;
    } else if (ulid_ms(&o->born) + c->lag_ms > c->answer.date_ms) {
        c->result->young++;
        return;
    }
    if (c->found_count < BATCH_MAX)
        c->found[c->found_count++] = (struct garbage){*o, o->number};
}

/* Lists the objects below the name. Objects that do not fit into the batch wait for a later collection. */
static enum dp_status list_objects(struct call *call, struct collection *c)
{
    struct span name = c->collector->name, after = {0};
    char *prefix = arena_printf(call->arena, "%.*s/", SPAN_FMT(name));
    c->found = arena_array(call->arena, BATCH_MAX, sizeof *c->found);
    if (!prefix || !c->found)
        return call_nomem(call, "a list of objects");
    struct store_listing page = {.truncated = true};
    while (page.truncated && c->found_count < BATCH_MAX) {
        struct parsed_name parsed;
        enum dp_status status =
            store_list(call, c->collector->store, span_str(prefix), after, false, LIST_PAGE, &page);
        if (status || page.count == 0)
            return status;
        for (size_t i = 0; i < page.count; i++) {
            if (object_name_parse(page.entries[i].key, name, &parsed))
                add_found(c, &parsed);
        }
        after = page.entries[page.count - 1].key;
    }
    return DP_OK;
}

/* Returns the number up to which folded entries may be let go. */
static uint64_t gone_limit(const struct collection *c)
{
    const struct index_collector *memory = c->collector;
    if (c->options->at_once)
        return c->manifest.wal_floor;
    bool known = ulid_equal(&memory->floor_of, &c->manifest.incarnation);
    return known && memory->floor < c->manifest.wal_floor ? memory->floor : known ? c->manifest.wal_floor : 0;
}

/* Finds out how far wal_gone and the horizon must rise to cover the garbage. The horizon rises to the ULID of the
 * youngest garbage object. All garbage objects are older than the lag. */
static void plan_swap(struct collection *c)
{
    uint64_t limit = gone_limit(c);
    c->gone = c->manifest.wal_gone;
    c->horizon = c->manifest.horizon;
    for (size_t i = 0; i < c->found_count; i++) {
        const struct garbage *g = &c->found[i];
        const struct parsed_name *o = &g->name;
        if (o->kind != OBJECT_WAL) {
            if (!is_needed(c, o) && memcmp(o->born.text, c->horizon.text, ULID_LEN) > 0)
                c->horizon = o->born;
        } else if (is_of_live(c, o)) {
            uint64_t last = g->last < limit ? g->last : limit;
            if (last >= o->number && last > c->gone)
                c->gone = last;
            c->held = c->held || (g->last > limit && limit < c->manifest.wal_floor);
        }
    }
}

static bool needs_swap(const struct collection *c)
{
    return c->gone > c->manifest.wal_gone || memcmp(c->horizon.text, c->manifest.horizon.text, ULID_LEN) > 0;
}

/* ---- the swap -------------------------------------------------------------------------------------------- */

static bool is_unused(const struct collection *c, const struct ulid *pin)
{
    bool unused = false;
    for (size_t i = 0; i < c->unused_count && !unused; i++)
        unused = ulid_equal(&c->unused[i], pin);
    return unused;
}

/* Removes the unused pins from the manifest. Returns whether there was one. */
static bool drop_unused(const struct collection *c, struct manifest *m)
{
    size_t kept = 0, before = m->pin_count;
    for (size_t i = 0; i < before; i++) {
        if (!is_unused(c, &m->pins[i].id))
            m->pins[kept++] = m->pins[i];
    }
    m->pin_count = kept;
    return kept < before;
}

static bool has_unused(const struct collection *c, const struct manifest *m)
{
    bool has = false;
    for (size_t i = 0; i < m->pin_count && !has; i++)
        has = is_unused(c, &m->pins[i].id);
    return has;
}

static enum dp_status apply_letting_go(struct call *call, void *context, struct manifest *m, bool exists,
                                       bool *needed)
{
    const struct collection *c = context;
    (void)call;
    *needed = !exists;
    if (!exists) { /* the name has no manifest, so it gets a tombstone */
        manifest_end_life(m);
        return DP_OK;
    }
    if (memcmp(c->horizon.text, m->horizon.text, ULID_LEN) > 0) {
        m->horizon = c->horizon;
        *needed = true;
    }
    if (ulid_equal(&m->incarnation, &c->manifest.incarnation) && c->gone > m->wal_gone &&
        c->gone <= m->wal_floor) {
        m->wal_gone = c->gone;
        *needed = true;
    }
    *needed = drop_unused(c, m) || *needed;
    return DP_OK;
}

static void note_collect_sent(void *context)
{
    (void)context; /* the collector adds no objects */
}

static bool shows_collection(const void *context, const struct manifest *m)
{
    const struct collection *c = context;
    return !has_unused(c, m) && memcmp(m->horizon.text, c->horizon.text, ULID_LEN) >= 0 &&
           (!ulid_equal(&m->incarnation, &c->manifest.incarnation) || m->wal_gone >= c->gone);
}

static const struct manifest_edit collect_edit = {apply_letting_go, note_collect_sent, shows_collection, true};

static enum dp_status raise_limits(struct call *call, struct collection *c)
{
    struct manifest after;
    enum dp_status status =
        manifest_swap(call, c->collector->store, c->collector->name, &collect_edit, c, c->options->clock, &after);
    if (status)
        return status;
    manifest_deinit(&after);
    return read_now(call, c);
}

/* Removes from the manifest the pins that no branch needs. An object that only these pins kept is garbage from
 * then on. */
static enum dp_status drop_pins(struct call *call, struct collection *c)
{
    const struct unpin_search search = {.store = c->collector->store,
                                        .name = c->collector->name,
                                        .m = &c->manifest,
                                        .clock = c->options->clock,
                                        .date_ms = c->answer.date_ms,
                                        .lag_ms = c->lag_ms};
    if (!c->exists || c->manifest.pin_count == 0)
        return DP_OK;
    c->unused = arena_array(call->arena, c->manifest.pin_count, sizeof *c->unused);
    if (!c->unused)
        return call_nomem(call, "pins");
    enum dp_status status = unpin_find(call, &search, c->unused, &c->unused_count);
    c->gone = c->manifest.wal_gone;
    c->horizon = c->manifest.horizon;
    if (status == DP_OK && c->unused_count)
        status = raise_limits(call, c);
    c->unused_count = 0;
    return status;
}

/* ---- the two steps --------------------------------------------------------------------------------------- */

/* Makes sure that no crash brings back a manifest that needs the batch: the manifest that was read may be visible
 * and not durable. */
static enum dp_status settle_batch(struct call *call, struct collection *c)
{
    struct object_key manifest;
    key_of_manifest(&manifest, c->collector->name);
    enum dp_status status = store_settle(call, c->collector->store, object_key_span(&manifest));
    if (status)
        forget_batch(&c->collector->batch);
    return status;
}

/* Makes the batch of the names that the latest manifest has let go. */
static enum dp_status keep_batch(struct call *call, struct collection *c)
{
    struct collect_batch *b = &c->collector->batch;
    b->names = arena_array(&b->arena, c->found_count + 1, sizeof *b->names);
    if (!b->names)
        return call_nomem(call, "a collection");
    for (size_t i = 0; i < c->found_count; i++) {
        struct garbage g = c->found[i];
        if (!is_let_go(c, &g.name))
            continue;
        if (is_of_live(c, &g.name) && g.last > c->manifest.wal_gone && g.name.kind == OBJECT_WAL)
            g.last = c->manifest.wal_gone;
        b->names[b->count++] = g;
    }
    b->date_ms = c->answer.date_ms;
    b->now_ns = c->begun_ns;
    if (b->count && b->date_ms)
        return settle_batch(call, c);
    forget_batch(b);
    return DP_OK;
}

static enum dp_status let_go(struct call *call, struct collection *c)
{
    enum dp_status status = read_now(call, c);
    if (status || c->answer.date_ms == 0)
        return status;
    status = drop_pins(call, c);
    if (status == DP_OK)
        status = list_objects(call, c);
    if (status == DP_OK && c->found_count)
        status = read_now(call, c); /* this read follows the listing, so an entry of an ended life is garbage */
    if (status == DP_OK && c->found_count && !c->exists)
        status = raise_limits(call, c);
    if (status || c->found_count == 0 || c->answer.date_ms == 0)
        return status;
    plan_swap(c);
    if (needs_swap(c))
        status = raise_limits(call, c);
    if (status)
        return status;
    c->collector->floor_of = c->manifest.incarnation;
    c->collector->floor = c->manifest.wal_floor;
    return keep_batch(call, c);
}

/* Returns how much of the grace is left, in milliseconds; 0: the batch may be removed. */
static int64_t grace_left(const struct collection *c)
{
    const struct collect_batch *b = &c->collector->batch;
    int64_t by_store = c->answer.date_ms ? c->answer.date_ms - b->date_ms : 0;
    int64_t by_host = (index_now_ns(c->options->clock) - b->now_ns) / NS_PER_MS;
    int64_t passed = by_store < by_host ? by_store : by_host;
    return passed >= c->grace_ms ? 0 : c->grace_ms - (passed > 0 ? passed : 0);
}

/* Removes an object. If the answer is unclear and the object is still there, a later collection lists it again. */
static enum dp_status remove_key(struct call *call, struct collection *c, const struct object_key *key,
                                 uint64_t *removed)
{
    enum dp_status status = store_remove(call, c->collector->store, object_key_span(key));
    if (status && status != DP_UNKNOWN && status != DP_NOT_DURABLE)
        return status;
    ++*removed;
    return call_check(call);
}

/* Removes the last object of the batch. If the batch ends with a run of entries, removes the first entry of the
 * run. */
static enum dp_status remove_next(struct call *call, struct collection *c, struct collect_batch *b)
{
    struct garbage *g = &b->names[b->count - 1];
    struct object_key key = g->name.key;
    enum dp_status status = DP_OK;
    bool is_entry = g->name.kind == OBJECT_WAL;
    if (is_entry)
        key_of_wal(&key, c->collector->name, &g->name.incarnation, g->name.number);
    if (is_let_go(c, &g->name))
        status = remove_key(call, c, &key, is_entry ? &c->result->entries : &c->result->objects);
    if (status == DP_OK && is_entry && g->name.number < g->last)
        g->name.number++;
    else if (status == DP_OK)
        b->count--;
    return status;
}

static enum dp_status remove_batch(struct call *call, struct collection *c)
{
    struct collect_batch *b = &c->collector->batch;
    enum dp_status status = DP_OK;
    for (int i = 0; i < REMOVE_MAX && b->count && status == DP_OK; i++)
        status = remove_next(call, c, b);
    if (b->count == 0)
        forget_batch(b);
    return status;
}

static uint64_t count_batch(const struct collect_batch *b)
{
    uint64_t count = 0;
    for (size_t i = 0; i < b->count; i++)
        count += b->names[i].last - b->names[i].name.number + 1;
    return count;
}

static enum dp_status take_step(struct call *call, struct collection *c)
{
    struct collect_batch *b = &c->collector->batch;
    enum dp_status status = DP_OK;
    if (b->date_ms) {
        status = read_now(call, c);
        if (status == DP_OK && grace_left(c) == 0)
            status = remove_batch(call, c);
    }
    if (status == DP_OK && b->date_ms == 0)
        status = let_go(call, c);
    c->result->waiting = count_batch(b);
    if (b->date_ms)
        c->result->due_ms = grace_left(c);
    else if (c->held)
        c->result->due_ms = HELD_MS;
    else if (c->result->young || c->manifest.pin_count) /* a branch may be deleted at any time */
        c->result->due_ms = c->lag_ms / 24;
    return status;
}

enum dp_status index_collect(struct call *call, struct index_collector *collector,
                             const struct index_collect_options *options, struct index_collect_result *result)
{
    static const struct index_collect_options defaults;
    struct collection c = {.collector = collector, .options = options ? options : &defaults, .result = result};
    *result = (struct index_collect_result){.due_ms = -1};
    c.grace_ms = c.options->grace_ms ? c.options->grace_ms : INDEX_GRACE_MS;
    c.lag_ms = c.options->lag_ms ? c.options->lag_ms : INDEX_LAG_MS;
    manifest_init(&c.manifest);
    enum dp_status status = take_step(call, &c);
    manifest_deinit(&c.manifest);
    return status;
}
