/* history.c: the actors of a history, and its course: some virtual hours with faults, then calm, then a last look.
 *
 * Each actor is a task that does one thing after another, in a process on a host of its own, with an index_reader.
 * Some writers share a process, so that their writes meet in groups. After a crash all of the process's memory
 * counts as lost, so the process opens another reader.
 */
#include "history.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/filter.h"
#include "index/lives.h"
#include "index/load/load.h"
#include "index/query/reader.h"
#include "index/schema_declare.h"
#include "index/upkeep.h"
#include "sim_branch.h"
#include "weather.h"

enum { ARENA_MAX = 512 << 20, STEPS_MAX = 400000, OPERATIONS_MAX = 400 };
static const int64_t SECOND_NS = INT64_C(1000000000);
static const char NAME[] = "ns";

struct history;

/* A process on a host: what its actors share. */
struct process {
    struct sim_node node;
    struct index_reader *reader;
    struct index_collector *collector;
    bool stale;     /* the reader is to be closed */
    unsigned users; /* actors that are doing something */
};

struct actor {
    struct history *history;
    struct process *process;
    bool owns_process;
    struct arena arena;
    struct call call;
    int64_t rest_ms; /* how long the actor rests now; 0: as long as it likes */
    void (*act)(struct actor *);
    char name[24];
};

struct history {
    struct sim sim;
    struct sim_store store;
    struct sim_truth truth;
    struct sim_branches branches;
    enum history_kind kind;
    struct actor *actors[HISTORY_ACTORS_MAX];
    size_t actor_count;
    size_t node_count;
    uint64_t operations;
    uint32_t last_value;
    int64_t pause_ns; /* the longest pause of an actor */
};

const char *history_kind_name(enum history_kind kind)
{
    static const char *const names[HISTORY_KINDS] = {"loads", "log", "lives", "branches"};
    return names[kind];
}

/* ---- actors ------------------------------------------------------------------------------------------ */

/* Begins a call, with nothing in its arena. */
static struct call *begin_call(struct actor *a)
{
    arena_reset(&a->arena);
    call_init(&a->call, &a->arena);
    return &a->call;
}

/* Fails the history for statuses that no fault of the store explains. */
static void check_status(struct actor *a, enum dp_status status, const char *what)
{
    switch (status) {
    case DP_OK:
    case DP_NOT_FOUND:
    case DP_UNAVAILABLE:
    case DP_UNKNOWN:
    case DP_CONFLICT:
    case DP_OVERLOADED: break;
    default:
        if (!a->process->node.crashed)
            sim_fail(&a->history->sim, "%s: %s: %s: %s", a->name, what, dp_status_name(status),
                     a->call.error.message);
    }
}

/* Forgets what the process has in memory. */
static void clear_process(struct process *p)
{
    index_close(p->reader);
    p->reader = NULL;
    index_collector_free(p->collector);
    p->collector = NULL;
    p->stale = false;
}

/* Opens the process's reader unless it is open. */
static enum dp_status open_reader(struct actor *a, struct call *call)
{
    struct process *p = a->process;
    struct index_reader *reader;
    if (p->reader)
        return DP_OK;
    enum dp_status status = reader_open(call, &p->node.base, span_str(NAME), 0, &p->node.clock, &reader);
    check_status(a, status, "open");
    if (status == DP_OK && p->reader)
        index_close(reader); /* another actor was first */
    else if (status == DP_OK)
        p->reader = reader;
    return status;
}

static bool goes_on(const struct history *h)
{
    bool enough = h->operations >= HISTORY_OPERATIONS_MIN && sim_store_faults(&h->store) >= HISTORY_FAULTS_MIN;
    return !h->sim.failed && !enough && h->operations < OPERATIONS_MAX;
}

/* Half of the pauses are short, so that actors meet. In some histories the other half lets the collector's grace
 * pass. */
static void rest(struct actor *a)
{
    struct sim *sim = &a->history->sim;
    int64_t ns =
        a->rest_ms ? a->rest_ms * SIM_NS_PER_MS
                   : sim_span(sim, SECOND_NS / 100, sim_chance(sim, 1, 2) ? 2 * SECOND_NS : a->history->pause_ns);
    a->rest_ms = 0;
    sim_sleep(sim, ns);
}

static void run_actor(void *context)
{
    struct actor *a = context;
    struct history *h = a->history;
    struct process *p = a->process;
    while (goes_on(h)) {
        rest(a);
        if (p->users == 0 && (p->stale || p->node.crashed))
            clear_process(p);
        if (p->users == 0 && p->node.crashed)
            sim_node_restart(&p->node);
        if (p->node.crashed)
            continue; /* other actors of the process have not ended yet */
        if (h->operations > HISTORY_OPERATIONS_MIN && sim_store_faults(&h->store) < HISTORY_FAULTS_MIN)
            h->store.faults.error = 20; /* a quiet history ends with some trouble */
        p->users++;
        h->operations++;
        a->act(a);
        h->sim.current->op = NULL;
        p->users--;
    }
}

/* Adds an actor, in a process of its own, or in that of the actor before. */
static void add_actor(struct history *h, const char *kind, void (*act)(struct actor *), bool joins)
{
    struct actor *a = calloc(1, sizeof *a);
    assert(a && h->actor_count < HISTORY_ACTORS_MAX);
    a->history = h;
    a->act = act;
    a->owns_process = !joins;
    snprintf(a->name, sizeof a->name, "%s %zu", kind, h->actor_count + 1);
    arena_init(&a->arena, ARENA_MAX);
    a->process = joins ? h->actors[h->actor_count - 1]->process : calloc(1, sizeof *a->process);
    assert(a->process);
    if (!joins)
        sim_node_init(&a->process->node, &h->store, a->name);
    h->node_count += !joins;
    h->actors[h->actor_count++] = a;
    sim_spawn(&h->sim, a->name, run_actor, a);
}

static void free_actor(struct actor *a)
{
    if (a->owns_process && !a->history->sim.failed)
        clear_process(a->process);
    if (a->owns_process) {
        sim_node_deinit(&a->process->node);
        free(a->process);
    }
    arena_deinit(&a->arena);
    free(a);
}

/* ---- reading ----------------------------------------------------------------------------------------- */

/* Asks for all rows and checks the answer. */
static void read_rows(struct actor *a, bool eventual)
{
    struct history *h = a->history;
    struct call *call = begin_call(a);
    struct index_answer answer;
    struct sim_state seen = {0};
    static const float origin[SIM_DIM];
    const struct index_query query = {.vector = origin,
                                      .dim = SIM_DIM,
                                      .top_k = 1000,
                                      .nprobe = 1 << 16,
                                      .eventual = eventual && a->process->reader,
                                      .all_attributes = true,
                                      .with_vectors = true};
    size_t from = query.eventual ? 0 : h->truth.need;
    sim_note(&h->sim, "%s read begins, state %zu or later", query.eventual ? "eventual" : "strong", from);
    enum dp_status status = open_reader(a, call);
    if (status == DP_OK)
        status = index_query(call, a->process->reader, &query, &answer);
    check_status(a, status, "query");
    if (status == DP_NOT_FOUND)
        a->process->stale = true;
    else if (status != DP_OK)
        return;
    if (status == DP_OK)
        sim_state_of_answer(&h->sim, &answer, &seen);
    h->truth.counts.absent_reads += status == DP_NOT_FOUND;
    h->truth.counts.strong_reads += !query.eventual;
    h->truth.counts.eventual_reads += query.eventual;
    truth_check_read(&h->truth, &seen, from, a->name);
}

static void act_reader(struct actor *a)
{
    read_rows(a, sim_chance(&a->history->sim, 1, 4));
}

/* ---- writing ----------------------------------------------------------------------------------------- */

static enum dp_status make_namespace(struct call *call, struct actor *a)
{
    static const char DECLARED[] = "{\"v\":\"uint\",\"p\":\"uint\"}";
    const struct index_vectors vectors = {.dim = SIM_DIM, .metric = INDEX_EUCLIDEAN_SQUARED};
    struct schema schema = {0};
    struct schema_changes changes;
    enum dp_status status = schema_declare(&schema, NULL, call->arena, span_str(DECLARED), &changes, &call->error);
    if (status == DP_OK)
        status = lives_create(call, &a->process->node.base, span_str(NAME), &vectors, &schema,
                              &a->process->node.clock, NULL);
    return status;
}

/* Makes the namespace, or deletes it. */
static void act_keeper(struct actor *a)
{
    struct history *h = a->history;
    bool drops = h->kind >= HISTORY_LIVES && sim_chance(&h->sim, 1, h->kind == HISTORY_LIVES ? 2 : 12);
    struct sim_op *op = truth_begin(&h->truth, drops ? SIM_DROP : SIM_CREATE, a->name);
    struct call *call = begin_call(a);
    h->sim.current->op = op;
    sim_note(&h->sim, drops ? "deletes the namespace" : "makes the namespace");
    enum dp_status status =
        drops ? lives_delete(call, &a->process->node.base, span_str(NAME), &a->process->node.clock)
              : make_namespace(call, a);
    check_status(a, status, drops ? "delete" : "create");
    sim_note(&h->sim, "%s: %s", drops ? "deletes the namespace" : "makes the namespace", dp_status_name(status));
    truth_end(&h->truth, op, status, a->process->node.crashed);
}

/* Returns a condition that some rows fulfil, or no row; 0: no condition. */
static uint32_t choose_condition(struct history *h)
{
    if (!sim_chance(&h->sim, 1, 4))
        return 0;
    return sim_chance(&h->sim, 1, 3) ? 1 : 1 + (uint32_t)sim_below(&h->sim, h->last_value + 1);
}

/* Makes requests for different ids. */
static void choose_requests(struct history *h, struct sim_op *op)
{
    for (size_t i = 0; i < sizeof op->below / sizeof *op->below; i++)
        op->below[i] = choose_condition(h);
    unsigned first = (unsigned)sim_below(&h->sim, SIM_IDS);
    op->count = 1 + sim_below(&h->sim, SIM_REQUESTS_MAX);
    for (size_t i = 0; i < op->count; i++) {
        uint64_t kind = sim_below(&h->sim, 5);
        op->requests[i] = (struct sim_request){.kind = kind < 3   ? SIM_UPSERT
                                                       : kind < 4 ? SIM_PATCH
                                                                  : SIM_DELETE,
                                               .id = (first + (unsigned)i) % SIM_IDS,
                                               .value = ++h->last_value};
    }
}

/* Makes the filter "v < below"; NULL for below 0. */
static enum dp_status make_condition(struct call *call, struct index_reader *reader, uint32_t below,
                                     const struct filter **out)
{
    struct schema schema;
    struct filter *filter = NULL;
    enum dp_status status = below ? index_schema(call, reader, &schema) : DP_OK;
    if (status == DP_OK && below) {
        const char *text = arena_printf(call->arena, "[\"v\",\"Lt\",%" PRIu32 "]", below);
        assert(text);
        status = filter_parse(call->arena, span_str(text), &schema, true, &filter, &call->error);
    }
    *out = filter;
    return status;
}

static enum dp_status write_rows(struct call *call, struct actor *a, const struct sim_op *op,
                                 struct index_write_result *result)
{
    struct index_write_row rows[SIM_REQUESTS_MAX];
    char documents[SIM_REQUESTS_MAX][32];
    float vectors[SIM_REQUESTS_MAX][SIM_DIM];
    static const enum index_write_kind kinds[] = {INDEX_UPSERT, INDEX_PATCH, INDEX_DELETE};
    for (size_t i = 0; i < op->count; i++) {
        const struct sim_request *request = &op->requests[i];
        const char *name = request->kind == SIM_PATCH ? "p" : "v";
        snprintf(documents[i], sizeof documents[i], "{\"%s\":%" PRIu32 "}", name, request->value);
        sim_vector(request->value, vectors[i]);
        rows[i] = (struct index_write_row){.kind = kinds[request->kind], .id = sim_id(request->id)};
        if (request->kind != SIM_DELETE)
            rows[i].attributes = span_str(documents[i]);
        if (request->kind == SIM_UPSERT) {
            rows[i].vectors = vectors[i];
            rows[i].windows = 1;
        }
    }
    struct index_write write = {.rows = rows, .count = op->count, .dim = SIM_DIM};
    enum dp_status status = open_reader(a, call);
    if (status == DP_OK)
        status = make_condition(call, a->process->reader, op->below[SIM_UPSERT], &write.upsert_condition);
    if (status == DP_OK)
        status = make_condition(call, a->process->reader, op->below[SIM_PATCH], &write.patch_condition);
    if (status == DP_OK)
        status = make_condition(call, a->process->reader, op->below[SIM_DELETE], &write.delete_condition);
    return status == DP_OK ? index_write(call, a->process->reader, &write, result) : status;
}

static void act_writer(struct actor *a)
{
    struct history *h = a->history;
    struct index_write_result result = {0};
    struct sim_op *op = truth_begin(&h->truth, SIM_WRITE, a->name);
    size_t from = h->truth.need;
    choose_requests(h, op);
    h->sim.current->op = op;
    sim_note(&h->sim, "writes %zu rows from value %" PRIu32, op->count, op->requests[0].value);
    enum dp_status status = write_rows(begin_call(a), a, op, &result);
    check_status(a, status, "write");
    sim_note(&h->sim, "the write ends: %s, entry %" PRIu64, dp_status_name(status), result.number);
    truth_end(&h->truth, op, status, a->process->node.crashed);
    if (status == DP_OK)
        truth_check_write(&h->truth, op, result.number, result.applied, from);
    else if (status == DP_NOT_FOUND || status == DP_CONFLICT)
        a->process->stale = true;
}

/* ---- loads and upkeep -------------------------------------------------------------------------------- */

static enum dp_status load_rows(struct call *call, struct actor *a, const struct sim_op *op)
{
    struct index_loader *loader;
    const struct index_vectors vectors = {.dim = SIM_DIM, .metric = INDEX_EUCLIDEAN_SQUARED};
    enum dp_status status =
        load_begin(call, &a->process->node.base, span_str(NAME), &vectors, NULL, &a->process->node.clock, &loader);
    if (status)
        return status;
    if (a->history->kind != HISTORY_LOADS && !loader->target.joins)
        status = DP_NOT_FOUND; /* there the keeper alone makes the namespace */
    for (size_t i = 0; i < op->count && status == DP_OK; i++) {
        char document[32];
        float vector[SIM_DIM];
        snprintf(document, sizeof document, "{\"v\":%" PRIu32 "}", op->requests[i].value);
        sim_vector(op->requests[i].value, vector);
        status = index_load_row(call, loader, sim_id(op->requests[i].id), vector, 1, span_str(document));
    }
    struct index_load_summary summary;
    if (status == DP_OK)
        return index_load_commit(call, loader, &summary);
    index_load_abort(loader);
    return status;
}

static void act_loader(struct actor *a)
{
    struct history *h = a->history;
    struct sim_op *op = truth_begin(&h->truth, SIM_LOAD, a->name);
    unsigned first = (unsigned)sim_below(&h->sim, SIM_IDS);
    op->count = 1 + sim_below(&h->sim, SIM_REQUESTS_MAX);
    for (size_t i = 0; i < op->count; i++)
        op->requests[i] = (struct sim_request){
            .kind = SIM_UPSERT, .id = (first + (unsigned)i) % SIM_IDS, .value = ++h->last_value};
    h->sim.current->op = op;
    sim_note(&h->sim, "loads %zu rows from value %" PRIu32, op->count, op->requests[0].value);
    enum dp_status status = load_rows(begin_call(a), a, op);
    check_status(a, status, "load");
    sim_note(&h->sim, "the load ends: %s", dp_status_name(status));
    truth_end(&h->truth, op, status, a->process->node.crashed);
}

static void act_merger(struct actor *a)
{
    struct index_merge_result result;
    const struct index_merge_options options = {.clock = &a->process->node.clock,
                                                .everything = sim_chance(&a->history->sim, 1, 2)};
    struct sim_op *op = truth_begin(&a->history->truth, SIM_UPKEEP, a->name);
    a->history->sim.current->op = op;
    enum dp_status status = index_merge(begin_call(a), &a->process->node.base, span_str(NAME), &options, &result);
    check_status(a, status, "merge");
    sim_note(&a->history->sim, "the merge ends: %s", dp_status_name(status));
}

static void act_folder(struct actor *a)
{
    struct history *h = a->history;
    struct index_fold_result result;
    struct call *call = begin_call(a);
    h->sim.current->op = truth_begin(&h->truth, SIM_UPKEEP, a->name);
    sim_note(&h->sim, "folds");
    enum dp_status status = open_reader(a, call);
    if (status == DP_OK && sim_chance(&h->sim, 1, 2))
        status = index_refresh(call, a->process->reader);
    const struct index_fold_options options = {.part_rows = sim_chance(&h->sim, 1, 2) ? 2 : 0,
                                               .load_ms = 20 * 60 * 1000};
    if (status == DP_OK)
        status = index_fold(call, a->process->reader, &options, &result);
    check_status(a, status, "fold");
    sim_note(&h->sim, "the fold ends: %s", dp_status_name(status));
    if (status == DP_NOT_FOUND)
        a->process->stale = true;
}

static void act_collector(struct actor *a)
{
    struct history *h = a->history;
    struct call *call = begin_call(a);
    struct index_collect_result result = {0};
    const struct index_collect_options options = {
        .clock = &a->process->node.clock, .lag_ms = 30 * 60 * 1000, .at_once = sim_chance(&h->sim, 1, 2)};
    h->sim.current->op = truth_begin(&h->truth, SIM_UPKEEP, a->name);
    sim_note(&h->sim, "collects");
    enum dp_status status = DP_OK;
    if (!a->process->collector)
        status = index_collector_new(&a->process->node.base, span_str(NAME), &a->process->collector, &call->error);
    if (status == DP_OK)
        status = index_collect(call, a->process->collector, &options, &result);
    check_status(a, status, "collect");
    sim_note(&h->sim, "the collection ends: %s, %" PRIu64 " entries, %" PRIu64 " objects, due in %" PRIi64 " ms",
             dp_status_name(status), result.entries, result.objects, result.due_ms);
    if (status == DP_OK && result.due_ms > 0 && sim_chance(&h->sim, 3, 4))
        a->rest_ms = result.due_ms;
}

/* ---- branches ---------------------------------------------------------------------------------------- */

static struct branch_actor branch_actor_of(struct actor *a)
{
    struct history *h = a->history;
    h->sim.current->op = truth_begin(&h->truth, SIM_UPKEEP, a->name);
    return (struct branch_actor){&h->sim, &h->truth, &h->branches, &a->process->node, begin_call(a), a->name};
}

static void act_brancher(struct actor *a)
{
    struct branch_actor by = branch_actor_of(a);
    sim_branch_act(&by);
}

/* ---- the course of a history ------------------------------------------------------------------------- */

/* When all is quiet: everybody must see the last state. */
static void run_last_look(void *context)
{
    struct actor *a = context;
    struct history *h = a->history;
    if (h->sim.failed)
        return;
    h->truth.need = h->truth.count - 1;
    read_rows(a, false);
    static void (*const upkeep[])(struct actor *) = {act_folder, act_merger, act_collector, act_collector};
    for (size_t i = 0; i < sizeof upkeep / sizeof *upkeep && h->truth.states[h->truth.count - 1].live; i++) {
        if (i == 0 && h->kind == HISTORY_LOADS)
            continue;
        upkeep[i](a);
        rest(a);
        read_rows(a, false);
    }
    if (h->kind == HISTORY_BRANCHES) {
        struct branch_actor by = branch_actor_of(a);
        sim_branch_look(&by);
    }
    truth_check_end(&h->truth);
}

static void look_at_end(struct history *h)
{
    struct actor *last = h->actors[0];
    if (h->sim.failed)
        return;
    h->store.calm = true;
    clear_process(last->process);
    sim_node_restart(&last->process->node);
    sim_spawn(&h->sim, "last look", run_last_look, last);
    sim_run(&h->sim, STEPS_MAX);
}

static void add_actors(struct history *h)
{
    static const struct {
        const char *name;
        void (*act)(struct actor *);
        unsigned least, most;
    } cast[HISTORY_KINDS][7] = {
        [HISTORY_LOADS] = {{"loader", act_loader, 2, 4},
                           {"reader", act_reader, 1, 3},
                           {"merger", act_merger, 0, 2},
                           {"collector", act_collector, 0, 2}},
        [HISTORY_LOG] = {{"keeper", act_keeper, 1, 1},
                         {"writer", act_writer, 2, 5},
                         {"reader", act_reader, 1, 3},
                         {"folder", act_folder, 1, 2},
                         {"merger", act_merger, 0, 2},
                         {"collector", act_collector, 1, 2}},
        [HISTORY_LIVES] = {{"keeper", act_keeper, 1, 3},
                           {"writer", act_writer, 2, 4},
                           {"reader", act_reader, 1, 2},
                           {"folder", act_folder, 0, 2},
                           {"merger", act_merger, 0, 1},
                           {"collector", act_collector, 0, 2}},
        [HISTORY_BRANCHES] = {{"keeper", act_keeper, 1, 1},
                              {"writer", act_writer, 1, 3},
                              {"reader", act_reader, 1, 1},
                              {"folder", act_folder, 0, 1},
                              {"merger", act_merger, 1, 2},
                              {"collector", act_collector, 1, 2},
                              {"brancher", act_brancher, 3, 5}},
    };
    for (size_t i = 0; i < 7 && cast[h->kind][i].name; i++) {
        unsigned most = cast[h->kind][i].most, least = cast[h->kind][i].least;
        bool shared = cast[h->kind][i].act == act_writer && sim_chance(&h->sim, 1, 2);
        uint64_t count = least + sim_below(&h->sim, most - least + 1);
        for (uint64_t n = 0; n < count; n++)
            add_actor(h, cast[h->kind][i].name, cast[h->kind][i].act, shared && n > 0);
    }
}

/* Half of the histories with a log also have loaders. */
static void add_loaders(struct history *h, uint64_t seed)
{
    bool logs = h->kind == HISTORY_LOG || h->kind == HISTORY_LIVES;
    for (uint64_t n = 0; logs && seed / 6 % 2 && n < 1 + seed / 12 % 2; n++)
        add_actor(h, "loader", act_loader, false);
}

void history_run(uint64_t seed, bool trace, struct history_result *out)
{
    struct history h = {0};
    sim_init(&h.sim, seed);
    h.sim.trace = trace;
    sim_store_init(&h.store, &h.sim);
    truth_init(&h.truth, &h.store, NAME);
    h.kind = seed % 6 == 5 ? HISTORY_BRANCHES : (enum history_kind)(seed % HISTORY_BRANCHES);
    sim_branches_init(&h.branches, &h.truth);
    choose_weather(&h.sim, seed, &h.store.faults, &h.pause_ns);
    add_actors(&h);
    add_loaders(&h, seed);
    sim_run(&h.sim, STEPS_MAX);
    look_at_end(&h);
    *out = (struct history_result){.seed = seed,
                                   .kind = h.kind,
                                   .operations = h.operations,
                                   .nodes = h.node_count,
                                   .faults = sim_store_faults(&h.store),
                                   .steps = h.sim.steps,
                                   .store = h.store.counts,
                                   .truth = {.counts = h.truth.counts},
                                   .branches = h.branches.counts,
                                   .failed = h.sim.failed};
    memcpy(out->failure, h.sim.failure, sizeof out->failure);
    for (size_t i = h.actor_count; i-- > 0;)
        free_actor(h.actors[i]); /* those who share a process come before its owner */
    truth_deinit(&h.truth);
    sim_store_deinit(&h.store);
    sim_deinit(&h.sim);
}
