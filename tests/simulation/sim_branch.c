/* sim_branch.c: makes, reads, changes and deletes branches, and compares what they hold with the states of their
 * sources. */
#include "sim_branch.h"

#include <inttypes.h>
#include <string.h>

#include "filter/filter.h"
#include "index/branch.h"
#include "index/lives.h"
#include "index/query/reader.h"
#include "index/upkeep.h"

static const char SOURCE[] = "ns";
static const char *const NAMES[BRANCH_NAMES + 1] = {"twig", "leaf", "bud", NULL};
static const int64_t LAG_MS = 30 * 60 * 1000;

void sim_branches_init(struct sim_branches *branches, struct sim_truth *truth)
{
    *branches = (struct sim_branches){0};
    truth->branches = NAMES;
}

void sim_state_of_answer(struct sim *sim, const struct index_answer *answer, struct sim_state *out)
{
    *out = (struct sim_state){.live = true};
    for (size_t i = 0; i < answer->count; i++) {
        const struct index_hit *hit = &answer->hits[i];
        uint64_t id = hit->id.number - 1;
        float vector[SIM_DIM];
        if (hit->id.is_string || id >= SIM_IDS || out->rows[id]) {
            sim_fail(sim, "an answer has id %" PRIu64 ", which is no id or comes twice", hit->id.number);
            return;
        }
        out->rows[id] = sim_value_of(hit->attributes);
        sim_vector(out->rows[id], vector);
        if (!hit->vector || memcmp(hit->vector, vector, sizeof vector) != 0)
            sim_fail(sim, "row %" PRIu64 " has the vector of another edition", hit->id.number);
    }
}

/* Fails the history for statuses that no fault of the store explains. */
static void check_branch_status(const struct branch_actor *by, enum dp_status status, const char *what,
                                const char *name)
{
    sim_note(by->sim, "%s %s: %s", what, name, dp_status_name(status));
    switch (status) {
    case DP_OK:
    case DP_EXISTS:
    case DP_NOT_FOUND:
    case DP_UNAVAILABLE:
    case DP_UNKNOWN:
    case DP_CONFLICT:
    case DP_OVERLOADED: break;
    default:
        if (!by->node->crashed)
            sim_fail(by->sim, "%s: %s %s: %s: %s", by->name, what, name, dp_status_name(status),
                     by->call->error.message);
    }
}

/* ---- reading ----------------------------------------------------------------------------------------- */

/* What a read of a branch found. */
struct branch_look {
    bool found;
    struct ulid incarnation;
    struct sim_state state;
};

static bool is_same(const struct sim_state *a, const struct sim_state *b)
{
    return memcmp(a->rows, b->rows, sizeof a->rows) == 0;
}

static const struct branch_life *find_life(const struct branch_actor *by, size_t n, const struct ulid *incarnation)
{
    const struct branch_life *lives = by->branches->names[n].lives;
    for (size_t i = 0; i < by->branches->names[n].life_count; i++) {
        if (ulid_equal(&lives[i].incarnation, incarnation))
            return &lives[i];
    }
    return NULL;
}

static void add_life(const struct branch_actor *by, size_t n, const struct ulid *incarnation,
                     const struct sim_state *state)
{
    size_t *count = &by->branches->names[n].life_count;
    if (*count < BRANCH_LIVES_MAX)
        by->branches->names[n].lives[(*count)++] = (struct branch_life){*incarnation, *state};
}

/* Checks that a branch holds a state of the source that was there between the moments `from` and now. */
static void check_taken(const struct branch_actor *by, size_t n, const struct sim_state *state, size_t from)
{
    bool was = false;
    for (size_t i = from; i < by->truth->count && !was; i++)
        was = by->truth->states[i].live && is_same(&by->truth->states[i], state);
    if (!was)
        sim_fail(by->sim, "branch %s holds what its source never held since state %zu of %zu", NAMES[n], from,
                 by->truth->count);
}

static enum dp_status ask_branch(const struct branch_actor *by, struct index_reader *reader,
                                 struct branch_look *look)
{
    static const float origin[SIM_DIM];
    const struct index_query query = {.vector = origin,
                                      .dim = SIM_DIM,
                                      .top_k = 1000,
                                      .nprobe = 1 << 16,
                                      .all_attributes = true,
                                      .with_vectors = true};
    struct index_answer answer;
    struct view *view = reader_view(reader);
    look->incarnation = view->base->manifest.incarnation;
    view_release(view);
    enum dp_status status = index_query(by->call, reader, &query, &answer);
    view = reader_view(reader);
    look->found = status == DP_OK && ulid_equal(&view->base->manifest.incarnation, &look->incarnation);
    view_release(view);
    if (look->found)
        sim_state_of_answer(by->sim, &answer, &look->state);
    return status;
}

/* Reads a branch; a known life must hold what it held before. The caller closes *reader, which may be NULL. */
static enum dp_status read_branch(const struct branch_actor *by, size_t n, struct branch_look *look,
                                  struct index_reader **reader)
{
    *look = (struct branch_look){0};
    *reader = NULL;
    enum dp_status status =
        reader_open(by->call, &by->node->base, span_str(NAMES[n]), 0, &by->node->clock, reader);
    if (status == DP_OK)
        status = ask_branch(by, *reader, look);
    check_branch_status(by, status, "reads", NAMES[n]);
    by->branches->counts.reads += look->found;
    by->branches->counts.absent += status == DP_NOT_FOUND;
    if (!look->found)
        return status;
    const struct branch_life *known = find_life(by, n, &look->incarnation);
    if (known && !is_same(&known->state, &look->state))
        sim_fail(by->sim, "branch %s does not hold what it held before", NAMES[n]);
    if (!known) {
        check_taken(by, n, &look->state, 0);
        add_life(by, n, &look->incarnation, &look->state);
    }
    return status;
}

static void act_read(const struct branch_actor *by, size_t n)
{
    struct branch_look look;
    struct index_reader *reader;
    read_branch(by, n, &look, &reader);
    index_close(reader);
}

/* ---- making and deleting ----------------------------------------------------------------------------- */

static const char *source_name(size_t source)
{
    return source == BRANCH_NAMES ? SOURCE : NAMES[source];
}

/* Makes a branch. *alone: nobody else could make one of this name meanwhile. */
static enum dp_status make_branch(const struct branch_actor *by, size_t source, size_t n, bool *alone)
{
    const struct index_branch_options options = {.clock = &by->node->clock};
    struct index_branch_result result;
    struct branch_name *name = &by->branches->names[n];
    uint64_t attempt = ++name->attempts;
    *alone = name->running++ == 0;
    by->node->branches = source_name(source);
    sim_note(by->sim, "branches %s to %s", source_name(source), NAMES[n]);
    enum dp_status status = index_branch(by->call, &by->node->base, span_str(source_name(source)),
                                         span_str(NAMES[n]), &options, &result);
    by->node->branches = NULL;
    name->running--;
    *alone = *alone && name->attempts == attempt;
    check_branch_status(by, status, "branches to", NAMES[n]);
    by->branches->counts.failed += status != DP_OK;
    return status;
}

/* Reads the branch that was just made. Returns whether nobody has read that life before. */
static bool read_made(const struct branch_actor *by, size_t n, struct branch_look *look)
{
    struct index_reader *reader;
    size_t lives = by->branches->names[n].life_count;
    uint64_t attempts = by->branches->names[n].attempts;
    read_branch(by, n, look, &reader);
    index_close(reader);
    return look->found && by->branches->names[n].life_count == lives + 1 &&
           by->branches->names[n].attempts == attempts;
}

/* Makes a branch of the namespace. It must hold what was acknowledged before. */
static void branch_source(const struct branch_actor *by, size_t n)
{
    struct branch_look look;
    size_t from = by->truth->need;
    bool alone;
    if (make_branch(by, BRANCH_NAMES, n, &alone) != DP_OK)
        return;
    by->branches->counts.made++;
    if (read_made(by, n, &look) && alone)
        check_taken(by, n, &look.state, from);
}

/* Makes a branch of a branch. It must hold what that one holds. */
static void branch_branch(const struct branch_actor *by, size_t source, size_t n)
{
    struct branch_look before, made, after;
    struct index_reader *reader;
    bool alone;
    read_branch(by, source, &before, &reader);
    index_close(reader);
    if (make_branch(by, source, n, &alone) != DP_OK)
        return;
    by->branches->counts.of_branches++;
    bool first = read_made(by, n, &made);
    read_branch(by, source, &after, &reader);
    index_close(reader);
    if (first && alone && before.found && after.found && ulid_equal(&before.incarnation, &after.incarnation) &&
        !is_same(&made.state, &before.state))
        sim_fail(by->sim, "branch %s does not hold what its source %s holds", NAMES[n], NAMES[source]);
}

static void act_delete(const struct branch_actor *by, size_t n)
{
    enum dp_status status = lives_delete(by->call, &by->node->base, span_str(NAMES[n]), &by->node->clock);
    check_branch_status(by, status, "deletes", NAMES[n]);
    by->branches->counts.deleted += status == DP_OK;
}

/* ---- changes that change nothing --------------------------------------------------------------------- */

/* Writes a row of the branch again, as it is. If the write reaches another life of the name, its condition holds only
 * where the row has the same value, so the write changes nothing there either. */
static enum dp_status rewrite_row(const struct branch_actor *by, struct index_reader *reader,
                                  const struct branch_look *look)
{
    unsigned id = (unsigned)sim_below(by->sim, SIM_IDS);
    uint32_t value = (uint32_t)look->state.rows[id];
    char *document = arena_printf(by->call->arena, "{\"v\":%" PRIu32 "}", value);
    char *condition = arena_printf(by->call->arena, "[\"v\",\"Eq\",%" PRIu32 "]", value);
    struct filter *filter = NULL;
    struct schema schema;
    struct index_write_result result;
    if (value == 0 || !document || !condition)
        return DP_OK;
    const struct index_write_row row = {.kind = INDEX_PATCH, .id = sim_id(id), .attributes = span_str(document)};
    struct index_write write = {.rows = &row, .count = 1};
    enum dp_status status = index_schema(by->call, reader, &schema);
    if (status == DP_OK)
        status = filter_parse(by->call->arena, span_str(condition), &schema, true, &filter, &by->call->error);
    write.patch_condition = filter;
    return status == DP_OK ? index_write(by->call, reader, &write, &result) : status;
}

/* `all`: most rows, and into a segment; else a few, perhaps into one. */
static void act_rewrite(const struct branch_actor *by, size_t n, bool all)
{
    struct branch_look look;
    struct index_reader *reader;
    struct index_fold_result folded;
    enum dp_status status = read_branch(by, n, &look, &reader);
    for (uint64_t i = all ? 2 * SIM_IDS : 1 + sim_below(by->sim, 3); i && look.found && status == DP_OK; i--)
        status = rewrite_row(by, reader, &look);
    if (look.found)
        check_branch_status(by, status, "rewrites", NAMES[n]);
    by->branches->counts.rewrites += look.found && status == DP_OK;
    if (look.found && status == DP_OK && (all || sim_chance(by->sim, 1, 2)))
        check_branch_status(by, index_fold(by->call, reader, NULL, &folded), "folds", NAMES[n]);
    index_close(reader);
}

static void act_merge(const struct branch_actor *by, size_t n)
{
    const struct index_merge_options options = {.clock = &by->node->clock, .everything = true};
    struct index_merge_result result;
    enum dp_status status = index_merge(by->call, &by->node->base, span_str(source_name(n)), &options, &result);
    check_branch_status(by, status, "merges", source_name(n));
}

/* Lets a collector take both of its steps, with the grace between them. */
static void collect_name(const struct branch_actor *by, const char *name)
{
    const struct index_collect_options options = {.clock = &by->node->clock, .lag_ms = LAG_MS, .at_once = true};
    struct index_collect_result result = {0};
    struct index_collector *collector;
    if (index_collector_new(&by->node->base, span_str(name), &collector, NULL) != DP_OK)
        return;
    enum dp_status status = index_collect(by->call, collector, &options, &result);
    if (status == DP_OK && result.due_ms > 0) {
        sim_sleep(by->sim, (result.due_ms + 1) * SIM_NS_PER_MS);
        status = index_collect(by->call, collector, &options, &result);
    }
    check_branch_status(by, status, "collects", name);
    index_collector_free(collector);
}

/* While a branching is held, takes away what it wants to list: its sources get other objects, and the old ones go.
 * Returns whether there was a branching. */
static bool undermine(const struct branch_actor *by)
{
    const char *held = by->node->store->held;
    size_t source = 0;
    if (!held)
        return false;
    while (source < BRANCH_NAMES && strcmp(NAMES[source], held) != 0)
        source++;
    by->branches->counts.undermined++;
    sim_note(by->sim, "undermines a branching of %s", held);
    if (source < BRANCH_NAMES) {
        act_rewrite(by, source, true);
        act_merge(by, source);
        collect_name(by, NAMES[source]);
    }
    act_merge(by, BRANCH_NAMES);
    sim_sleep(by->sim, LAG_MS * SIM_NS_PER_MS);
    collect_name(by, SOURCE);
    return true;
}

/* ---- acting ------------------------------------------------------------------------------------------ */

void sim_branch_act(const struct branch_actor *by)
{
    size_t n = sim_below(by->sim, BRANCH_NAMES), source = sim_below(by->sim, BRANCH_NAMES);
    if (by->node->store->faults.traps && sim_chance(by->sim, 1, 2) && undermine(by))
        return;
    if (by->node->store->faults.traps && n != source && by->branches->names[source].life_count &&
        sim_chance(by->sim, 1, 2)) {
        branch_branch(by, source, n);
        return;
    }
    switch (sim_below(by->sim, 13)) {
    case 0:
    case 1:
    case 2: branch_source(by, n); break;
    case 3:
    case 4: n == source ? branch_source(by, n) : branch_branch(by, source, n); break;
    case 5:
    case 6: act_delete(by, n); break;
    case 7: act_merge(by, n); break;
    case 8: collect_name(by, NAMES[n]); break;
    case 9:
    case 10: act_rewrite(by, n, false); break;
    default: act_read(by, n); break;
    }
}

void sim_branch_look(const struct branch_actor *by)
{
    for (int round = 0; round < 2; round++) {
        for (size_t n = 0; n < BRANCH_NAMES && !by->sim->failed; n++)
            act_read(by, n);
        sim_sleep(by->sim, 2 * LAG_MS * SIM_NS_PER_MS);
        collect_name(by, SOURCE);
        for (size_t n = 0; n < BRANCH_NAMES && !by->sim->failed; n++)
            collect_name(by, NAMES[n]);
    }
    for (size_t n = 0; n < BRANCH_NAMES && !by->sim->failed; n++)
        act_read(by, n);
}
