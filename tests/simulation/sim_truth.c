/* sim_truth.c: makes states of the puts that the store carries out, and compares answers with them. */
#include "sim_truth.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/manifest/manifest.h"
#include "index/wal/entry.h"

/* ---- rows -------------------------------------------------------------------------------------------- */

struct index_id sim_id(unsigned id)
{
    return (struct index_id){.number = id + 1};
}

void sim_vector(sim_value value, float out[SIM_DIM])
{
    uint32_t v = (uint32_t)value;
    for (unsigned i = 0; i < SIM_DIM; i++)
        out[i] = (float)((v >> (4 * i)) & 15U);
}

static uint32_t number_after(struct span document, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i + len < document.len; i++) {
        uint32_t number = 0;
        if (memcmp(document.data + i, name, len) != 0)
            continue;
        for (i += len; i < document.len && document.data[i] >= '0' && document.data[i] <= '9'; i++)
            number = 10 * number + (uint32_t)(document.data[i] - '0');
        return number;
    }
    return 0;
}

sim_value sim_value_of(struct span document)
{
    return (sim_value)number_after(document, "\"p\":") << 32 | number_after(document, "\"v\":");
}

/* Returns whether a request is carried out on a row with this value. A deletion of a missing row is, though it changes
 * nothing. */
static bool takes_effect(const struct sim_op *op, const struct sim_request *request, sim_value row)
{
    if (row == 0)
        return request->kind == SIM_UPSERT || (request->kind == SIM_DELETE && op->below[SIM_DELETE] == 0);
    return op->below[request->kind] == 0 || (uint32_t)row < op->below[request->kind];
}

void sim_apply(struct sim_state *state, const struct sim_op *op, bool applied[SIM_REQUESTS_MAX])
{
    for (size_t i = 0; i < op->count; i++) {
        const struct sim_request *request = &op->requests[i];
        sim_value *row = &state->rows[request->id];
        applied[i] = takes_effect(op, request, *row);
        if (!applied[i])
            continue;
        if (request->kind == SIM_UPSERT)
            *row = request->value;
        else if (request->kind == SIM_PATCH)
            *row = (sim_value)request->value << 32 | (uint32_t)*row;
        else
            *row = 0;
    }
}

/* ---- events ------------------------------------------------------------------------------------------ */

static struct sim *sim_of(const struct sim_truth *truth)
{
    return truth->store->sim;
}

static const struct sim_state *state_now(const struct sim_truth *truth)
{
    return &truth->states[truth->count - 1];
}

/* Makes a moment: a copy of the state before, for the caller to change. */
static struct sim_state *add_state(struct sim_truth *truth)
{
    if (truth->count == truth->room) {
        truth->room = truth->room ? 2 * truth->room : 256;
        truth->states = realloc(truth->states, truth->room * sizeof *truth->states);
        assert(truth->states);
    }
    truth->states[truth->count] = truth->count ? truth->states[truth->count - 1] : (struct sim_state){0};
    return &truth->states[truth->count++];
}

/* Notes that an operation is in the history now. */
static void land_op(struct sim_truth *truth, struct sim_op *op)
{
    op->event = truth->count - 1;
    op->life = truth->counts.lives;
    if (++op->landed > 1)
        sim_fail(sim_of(truth), "an operation of %s is in the history twice", op->who);
}

/* Returns the load that an entry attaches or makes void; NULL: it is about no load, or about an unknown one. */
static struct sim_op *load_of(const struct sim_truth *truth, const struct wal_entry *entry)
{
    struct sim_op *op = wal_entry_names_load(entry) ? truth->ops : NULL;
    while (op && !(op->kind == SIM_LOAD && ulid_equal(&op->load, &entry->records[0].load)))
        op = op->next;
    return op;
}

/* Applies the records of an entry to a state. Returns false for a record that no request makes. */
static bool apply_entry(const struct sim_truth *truth, const struct wal_entry *entry, struct sim_state *state)
{
    struct sim_op *load = load_of(truth, entry);
    bool applied[SIM_REQUESTS_MAX];
    if (load && entry->records[0].kind == WAL_ATTACH && !load->is_void)
        sim_apply(state, load, applied);
    for (size_t i = 0; i < entry->count && !load; i++) {
        const struct wal_record *record = &entry->records[i];
        unsigned id = 0;
        while (id < SIM_IDS && !span_equal(record->key, id_key_span(&truth->keys[id])))
            id++;
        if (id == SIM_IDS || (record->kind != WAL_ROW && record->kind != WAL_DELETED))
            return false;
        state->rows[id] = record->kind == WAL_ROW ? sim_value_of(record->document) : 0;
        float vector[SIM_DIM];
        sim_vector(state->rows[id], vector);
        if (record->kind == WAL_ROW &&
            (record->windows != 1 || memcmp(record->vectors, vector, sizeof vector) != 0))
            return false;
    }
    return true;
}

/* Adds the state that a read may see if the read does not know yet that the life has ended. */
static void add_ghost(struct sim_truth *truth, struct sim_life *life, const struct wal_entry *entry)
{
    if (truth->ghost_count == truth->ghost_room) {
        truth->ghost_room = truth->ghost_room ? 2 * truth->ghost_room : 16;
        truth->ghosts = realloc(truth->ghosts, truth->ghost_room * sizeof *truth->ghosts);
        assert(truth->ghosts);
    }
    apply_entry(truth, entry, &life->state);
    life->entries++;
    truth->ghosts[truth->ghost_count++] = (struct sim_ghost){life->state, life->end};
}

static void watch_late_entry(struct sim_truth *truth, const struct wal_entry *entry)
{
    for (size_t i = 0; i < truth->life_count; i++) {
        struct sim_life *life = &truth->lives[i];
        if (ulid_equal(&entry->head.incarnation, &life->incarnation) && entry->head.number == life->entries + 1)
            add_ghost(truth, life, entry);
    }
}

/* Keeps the life that ends now. */
static void end_life(struct sim_truth *truth)
{
    if (truth->life_count == truth->life_room) {
        truth->life_room = truth->life_room ? 2 * truth->life_room : 16;
        truth->lives = realloc(truth->lives, truth->life_room * sizeof *truth->lives);
        assert(truth->lives);
    }
    truth->lives[truth->life_count++] =
        (struct sim_life){truth->incarnation, truth->count, truth->entries, *state_now(truth)};
    *add_state(truth) = (struct sim_state){0};
    truth->counts.deaths++;
}

/* ---- groups ------------------------------------------------------------------------------------------ */

/* Returns whether record `record` is what a request for `id` writes, which makes the row `row`. */
static bool is_record_of(const struct sim_truth *truth, const struct wal_record *record, unsigned id,
                         sim_value row)
{
    if (!span_equal(record->key, id_key_span(&truth->keys[id])))
        return false;
    return row ? record->kind == WAL_ROW && sim_value_of(record->document) == row : record->kind == WAL_DELETED;
}

/* Compares the records of an entry, from *at on, with what a write makes of `state`, and carries the write out there. */
static bool match_write(const struct sim_truth *truth, const struct wal_entry *entry, size_t *at,
                        const struct sim_op *op, struct sim_state *state)
{
    bool applied[SIM_REQUESTS_MAX];
    sim_apply(state, op, applied);
    for (size_t i = 0; i < op->count; i++) {
        unsigned id = op->requests[i].id;
        if (applied[i] &&
            (*at == entry->count || !is_record_of(truth, &entry->records[(*at)++], id, state->rows[id])))
            return false;
    }
    return true;
}

/* Returns whether a write of a group takes part: a write that was checked for another life is refused. */
static bool takes_part(const struct sim_op *op, const struct wal_entry *entry)
{
    return ulid_equal(&op->incarnation, &entry->head.incarnation);
}

/* Returns whether the entry holds just what the writes of a group make of `state`, in their order. */
static bool match_group(const struct sim_truth *truth, const struct sim_group *group,
                        const struct wal_entry *entry, struct sim_state state)
{
    size_t at = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct sim_op *op = group->members[i];
        if (takes_part(op, entry) && !match_write(truth, entry, &at, op, &state))
            return false;
    }
    return at > 0 && at == entry->count;
}

/* Notes which writes of a group the entry holds. */
static void land_writes(struct sim_truth *truth, const struct sim_group *group, const struct wal_entry *entry,
                        struct sim_state state)
{
    size_t landed = 0;
    for (size_t i = 0; i < group->count; i++) {
        struct sim_op *op = group->members[i];
        bool applied[SIM_REQUESTS_MAX], any = false;
        if (!takes_part(op, entry))
            continue;
        sim_apply(&state, op, applied);
        for (size_t k = 0; k < op->count; k++)
            any |= applied[k];
        op->idle = !any;
        if (!any)
            continue;
        memcpy(op->applied, applied, sizeof applied);
        op->number = entry->head.number;
        land_op(truth, op);
        landed++;
    }
    truth->counts.groups += landed > 1;
}

/* Finds the group that the entry holds, and notes that its writes landed. A put that is carried out late may be one
 * of a former group of its leader. Returns false if the entry is of no group. */
static bool land_group(struct sim_truth *truth, const struct sim_op *leader, const struct sim_state *before,
                       const struct wal_entry *entry)
{
    const struct sim_group *group = leader->groups;
    while (group && !match_group(truth, group, entry, *before))
        group = group->next;
    if (group)
        land_writes(truth, group, entry, *before);
    return group != NULL;
}

static bool is_pending(const struct sim_truth *truth, const struct ulid *load)
{
    bool pending = false;
    for (size_t i = 0; truth->has_manifest && i < truth->manifest.pending_count; i++)
        pending = pending || ulid_equal(&truth->manifest.pending[i].load, load);
    return pending;
}

/* An entry decides about a load. Only the first one may, and an attached load must be pending. */
static void watch_load_entry(struct sim_truth *truth, struct sim_op *op, const struct wal_entry *entry)
{
    struct sim_op *load = load_of(truth, entry);
    struct sim_state *state = add_state(truth);
    bool attaches = entry->records[0].kind == WAL_ATTACH;
    truth->entries++;
    truth->counts.entries++;
    if (!load || (attaches && load != op)) {
        sim_fail(sim_of(truth), "%s decides about a load that is not its own", op ? op->who : "?");
        return;
    }
    if (load->landed || load->is_void)
        sim_fail(sim_of(truth), "the log decides twice about a load of %s", load->who);
    if (attaches && !is_pending(truth, &load->load))
        sim_fail(sim_of(truth), "%s attaches a load that is not pending", op->who);
    apply_entry(truth, entry, state);
    load->is_void = !attaches;
    if (attaches)
        land_op(truth, load);
    truth->counts.attached += attaches;
    truth->counts.voids += !attaches;
}

static void watch_entry(struct sim_truth *truth, struct sim_op *op, uint64_t number, struct span body)
{
    struct wal_entry *entry;
    struct dp_error error;
    if (wal_entry_parse(body, &entry, &error)) {
        sim_fail(sim_of(truth), "%s puts a log entry that nobody can read: %s", op ? op->who : "?", error.message);
        return;
    }
    if (!ulid_equal(&entry->head.incarnation, &truth->incarnation) || !state_now(truth)->live) {
        watch_late_entry(truth, entry);
        wal_entry_release(entry);
        return;
    }
    if (number <= truth->entries) {
        truth->counts.zombies++;
        if (number > truth->gone)
            sim_fail(sim_of(truth), "log entry %" PRIu64 " was put twice, though wal_gone is %" PRIu64, number,
                     truth->gone);
    } else if (number > truth->entries + 1) {
        sim_fail(sim_of(truth), "%s puts log entry %" PRIu64 " behind a hole: the log ends with %" PRIu64,
                 op ? op->who : "?", number, truth->entries);
    } else if (wal_entry_names_load(entry)) {
        watch_load_entry(truth, op, entry);
    } else if (!op || op->kind != SIM_WRITE) {
        sim_fail(sim_of(truth), "a log entry by nobody who writes");
    } else {
        struct sim_state before = *state_now(truth), *state = add_state(truth);
        truth->entries++;
        truth->counts.entries++;
        if (!apply_entry(truth, entry, state) || !land_group(truth, op, &before, entry))
            sim_fail(sim_of(truth),
                     "log entry %" PRIu64 " of %s is not what its requests make of the state before it", number,
                     op->who);
    }
    wal_entry_release(entry);
}

static bool lists_new_segment(const struct manifest *m, const struct manifest *before)
{
    for (size_t i = 0; i < m->segment_count; i++) {
        bool old = false;
        for (size_t k = 0; before && k < before->segment_count && !old; k++)
            old = ulid_equal(&before->segments[k].id, &m->segments[i].id);
        if (!old)
            return true;
    }
    return false;
}

static void watch_lives(struct sim_truth *truth, const struct manifest *m, struct sim_op *op)
{
    bool was = state_now(truth)->live, is = m->state == NAMESPACE_LIVE;
    bool another = truth->sequence && !ulid_equal(&m->incarnation, &truth->incarnation);
    if (was && (!is || another)) {
        if (op && op->kind == SIM_DROP && op->has_first && !ulid_equal(&op->first, &truth->incarnation))
            sim_fail(sim_of(truth), "%s deletes another life than the one that it read first", op->who);
        end_life(truth);
        if (op && op->kind == SIM_DROP)
            land_op(truth, op);
    }
    if (is && (!was || another)) {
        *add_state(truth) = (struct sim_state){.live = true};
        truth->counts.lives++;
        truth->entries = truth->floor = truth->gone = 0;
        truth->incarnation = m->incarnation;
        if (op && op->kind == SIM_CREATE)
            land_op(truth, op);
    }
}

static void watch_manifest(struct sim_truth *truth, struct sim_op *op, struct span body)
{
    struct manifest m;
    struct dp_error error;
    if (manifest_parse(body, &m, &error)) {
        sim_fail(sim_of(truth), "a manifest that nobody can read: %s", error.message);
        return;
    }
    if (m.sequence <= truth->sequence)
        sim_fail(sim_of(truth), "manifest %" PRIu64 " after %" PRIu64, m.sequence, truth->sequence);
    watch_lives(truth, &m, op);
    bool logs = m.features & MANIFEST_FEATURE_LOG;
    for (size_t i = 0; i < m.pending_count && op && op->kind == SIM_LOAD; i++) {
        if (!is_pending(truth, &m.pending[i].load))
            op->load = m.pending[i].load;
    }
    if (op && op->kind == SIM_LOAD && !logs &&
        lists_new_segment(&m, truth->has_manifest ? &truth->manifest : NULL)) {
        sim_apply(add_state(truth), op, op->applied);
        truth->counts.loads++;
        land_op(truth, op);
    }
    if (m.state == NAMESPACE_LIVE) {
        if (m.wal_floor < truth->floor || m.wal_gone < truth->gone || m.wal_floor > truth->entries)
            sim_fail(sim_of(truth),
                     "wal_floor %" PRIu64 " → %" PRIu64 ", wal_gone %" PRIu64 " → %" PRIu64 " of %" PRIu64,
                     truth->floor, m.wal_floor, truth->gone, m.wal_gone, truth->entries);
        truth->counts.floors += m.wal_floor > truth->floor;
        truth->counts.gones += m.wal_gone > truth->gone;
        truth->floor = m.wal_floor;
        truth->gone = m.wal_gone;
    }
    truth->sequence = m.sequence;
    truth->counts.swaps++;
    if (truth->has_manifest)
        manifest_deinit(&truth->manifest);
    truth->manifest = m;
    truth->has_manifest = true;
}

/* Finds the number in "<namespace>/<incarnation>/wal/<number>" of the present life. */
static bool entry_number(struct span key, uint64_t *number)
{
    static const char FOLDER[] = "/wal/";
    for (size_t i = 0; i + sizeof FOLDER - 1 < key.len; i++) {
        if (memcmp(key.data + i, FOLDER, sizeof FOLDER - 1) != 0)
            continue;
        *number = 0;
        for (i += sizeof FOLDER - 1; i < key.len; i++)
            *number = 10 * *number + (uint64_t)(key.data[i] - '0');
        return true;
    }
    return false;
}

/* Returns whether an object is one of the namespace, and not of a branch. */
static bool is_below(const struct sim_truth *truth, struct span key)
{
    size_t len = strlen(truth->name);
    return key.len > len && memcmp(key.data, truth->name, len) == 0 && key.data[len] == '/';
}

static void watch_put(void *watcher, void *op, struct span key, struct span body)
{
    static const char MANIFEST[] = "/manifest.json";
    struct sim_truth *truth = watcher;
    uint64_t number;
    if (!is_below(truth, key))
        return;
    bool is_manifest = key.len > sizeof MANIFEST - 1 &&
                       memcmp(key.data + key.len - (sizeof MANIFEST - 1), MANIFEST, sizeof MANIFEST - 1) == 0;
    if (is_manifest)
        watch_manifest(truth, op, body);
    else if (entry_number(key, &number))
        watch_entry(truth, op, number, body);
}

/* Notes the life that a deletion reads first. */
static void watch_read(void *watcher, void *operation, struct span key, struct span body)
{
    struct sim_truth *truth = watcher;
    struct sim_op *op = operation;
    struct object_key manifest_key;
    struct manifest m;
    struct dp_error error;
    if (!op || op->kind != SIM_DROP || op->has_first)
        return;
    key_of_manifest(&manifest_key, span_str(truth->name));
    if (!span_equal(object_key_span(&manifest_key), key) || manifest_parse(body, &m, &error))
        return;
    op->has_first = m.state == NAMESPACE_LIVE;
    op->first = m.incarnation;
    manifest_deinit(&m);
}

/* A search for a key among the objects that a manifest lists. */
struct key_search {
    const struct manifest *m;
    struct span name, key;
};

static enum dp_status find_key(void *context, const struct manifest_object *object)
{
    const struct key_search *search = context;
    struct object_key key;
    const struct object_home home = manifest_home(search->m, search->name, object->owner);
    key_of_object(&key, home.name, home.incarnation, object);
    return span_equal(object_key_span(&key), search->key) ? DP_EXISTS : DP_OK;
}

/* Checks that a live manifest of `name` does not list an object that is removed. */
static void check_unlisted(struct sim_truth *truth, const char *name, const struct manifest *m, struct span key)
{
    struct key_search search = {m, span_str(name), key};
    if (m->state == NAMESPACE_LIVE && manifest_for_each_object(m, find_key, &search))
        sim_fail(sim_of(truth), "%.*s is removed, but the manifest of %s lists it", SPAN_FMT(key), name);
}

static void check_branches_lack(struct sim_truth *truth, struct span key)
{
    for (size_t i = 0; truth->branches && truth->branches[i]; i++) {
        const char *name = truth->branches[i];
        struct object_key manifest_key;
        struct dp_error error;
        struct manifest m;
        key_of_manifest(&manifest_key, span_str(name));
        struct span body = sim_store_get(truth->store, object_key_span(&manifest_key));
        if (!body.data || manifest_parse(body, &m, &error))
            continue;
        check_unlisted(truth, name, &m, key);
        manifest_deinit(&m);
    }
}

/* Checks that nobody removes what the manifest lists, or an entry that may be needed. */
static void watch_removal(void *watcher, struct span key)
{
    struct sim_truth *truth = watcher;
    const struct manifest *m = &truth->manifest;
    uint64_t number;
    if (truth->has_manifest)
        check_unlisted(truth, truth->name, m, key);
    check_branches_lack(truth, key);
    if (!truth->has_manifest || !is_below(truth, key))
        return;
    bool of_life = span_starts_with(span_of(key.data + strlen(truth->name) + 1, key.len - strlen(truth->name) - 1),
                                    ulid_span(&truth->incarnation));
    if (entry_number(key, &number)) {
        truth->counts.entries_deleted++;
        if (m->state == NAMESPACE_LIVE && of_life && number > m->wal_gone)
            sim_fail(sim_of(truth), "log entry %" PRIu64 " is removed, but wal_gone is %" PRIu64, number,
                     m->wal_gone);
    } else {
        truth->counts.objects_deleted++;
    }
}

/* ---- operations -------------------------------------------------------------------------------------- */

void truth_init(struct sim_truth *truth, struct sim_store *store, const char *name)
{
    *truth = (struct sim_truth){.store = store, .name = name};
    add_state(truth);
    for (unsigned i = 0; i < SIM_IDS; i++) {
        struct dp_error error;
        enum dp_status status = id_encode(sim_id(i), &truth->keys[i], &error);
        assert(status == DP_OK);
        (void)status;
    }
    store->putting = watch_put;
    store->removing = watch_removal;
    store->reading = watch_read;
    store->watcher = truth;
}

void truth_deinit(struct sim_truth *truth)
{
    while (truth->ops) {
        struct sim_op *op = truth->ops;
        truth->ops = op->next;
        sim_groups_free(op);
        free(op);
    }
    if (truth->has_manifest)
        manifest_deinit(&truth->manifest);
    free(truth->ghosts);
    free(truth->lives);
    free(truth->states);
}

struct sim_op *truth_begin(struct sim_truth *truth, int kind, const char *who)
{
    struct sim_op *op = calloc(1, sizeof *op);
    assert(op);
    *op = (struct sim_op){.kind = (unsigned)kind, .who = who, .truth = truth, .next = truth->ops};
    truth->ops = op;
    return op;
}

void truth_end(struct sim_truth *truth, struct sim_op *op, enum dp_status status, bool crashed)
{
    if (status == DP_OK) {
        truth->counts.acknowledged++;
        if (op->landed == 0 && op->kind == SIM_LOAD)
            sim_fail(sim_of(truth), "%s was told that an operation is done, and it is not in the history",
                     op->who);
        if (op->landed && op->event > truth->need)
            truth->need = op->event;
    } else if (status == DP_CONFLICT && op->landed &&
               (op->life != truth->counts.lives || !state_now(truth)->live)) {
        truth->counts.died++; /* its namespace was deleted, and the operation with it */
    } else if (crashed || status == DP_UNKNOWN || status == DP_NOT_DURABLE) {
        truth->counts.unknown++;
    } else {
        truth->counts.refused++;
        op->refused = true;
    }
}

void truth_check_write(struct sim_truth *truth, const struct sim_op *op, uint64_t number, const bool *applied,
                       size_t from)
{
    bool expected[SIM_REQUESTS_MAX];
    if (number != 0 && (op->landed != 1 || op->number != number)) {
        sim_fail(sim_of(truth),
                 "%s was told that its write is entry %" PRIu64 ", but it is entry %" PRIu64 " (%u times)",
                 op->who, number, op->number, op->landed);
    } else if (number == 0 && op->landed) {
        sim_fail(sim_of(truth), "%s was told that it wrote nothing, but it wrote entry %" PRIu64, op->who,
                 op->number);
    } else if (number != 0) {
        for (size_t i = 0; i < op->count; i++)
            if (applied[i] != op->applied[i])
                sim_fail(sim_of(truth), "%s was told that request %zu of entry %" PRIu64 " was %scarried out",
                         op->who, i, number, applied[i] ? "" : "not ");
    } else if (!op->idle) { /* else it met a state between two writes of a group */
        for (size_t at = from; at < truth->count; at++) {
            struct sim_state after = truth->states[at];
            bool any = false;
            sim_apply(&after, op, expected);
            for (size_t i = 0; i < op->count; i++)
                any |= expected[i];
            if (after.live && !any)
                return;
        }
        sim_fail(sim_of(truth), "%s was told that it had nothing to write, and that was never so", op->who);
    }
}

/* ---- reads ------------------------------------------------------------------------------------------- */

static bool is_state(const struct sim_state *a, const struct sim_state *b)
{
    return a->live == b->live && (!a->live || memcmp(a->rows, b->rows, sizeof a->rows) == 0);
}

static void describe_state(const struct sim_state *state, char out[256])
{
    size_t len = 0;
    out[0] = '\0';
    if (!state->live)
        snprintf(out, 256, "no namespace");
    for (unsigned i = 0; i < SIM_IDS && state->live && len < 220; i++)
        if (state->rows[i])
            len += (size_t)snprintf(out + len, 256 - len, " %u=%" PRIu32 "/%" PRIu32, i + 1,
                                    (uint32_t)state->rows[i], (uint32_t)(state->rows[i] >> 32));
}

void truth_check_read(struct sim_truth *truth, const struct sim_state *seen, size_t from, const char *who)
{
    for (size_t i = truth->count; i-- > from;)
        if (is_state(&truth->states[i], seen))
            return;
    for (size_t i = 0; i < truth->ghost_count; i++)
        if (from < truth->ghosts[i].end && is_state(&truth->ghosts[i].state, seen)) {
            truth->counts.ghosts_seen++;
            return;
        }
    char got[256], now[256];
    const char *ever = "never was";
    for (size_t i = 0; i < from; i++)
        if (is_state(&truth->states[i], seen))
            ever = "was once, before the read began";
    describe_state(seen, got);
    describe_state(state_now(truth), now);
    sim_fail(sim_of(truth), "%s read a state that %s:%s; states %zu to %zu were possible, the last is%s", who,
             ever, got, from, truth->count - 1, now);
}

void truth_check_end(struct sim_truth *truth)
{
    for (const struct sim_op *op = truth->ops; op; op = op->next)
        if (op->refused && op->landed)
            sim_fail(sim_of(truth), "%s was told that an operation failed, but it was carried out", op->who);
}
