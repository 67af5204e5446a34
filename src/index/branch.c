/* branch.c: makes branches (rule L10 of docs/internals/wal.md).
 *
 *   1. read the manifest of the branch's name: the name must have no manifest, or a tombstone;
 *   2. fold the source's log up to its newest entry, so that segments hold all of it;
 *   3. swap the source's manifest: add a pin of the objects that the source owns, and copy what the manifest lists;
 *   4. swap the manifest of each other owner of listed objects: add a pin of its objects. The owner's manifest must list or
 *      pin them all. If it does not, merges of the source have replaced them: start again;
 *   5. put the branch's manifest, on condition that the name is still as step 1 found it. If it is not, start again: a
 *      collector may have changed it, in order to remove the pins.
 *
 * A branch begins with an empty log, and lists no log entries of its source. So the source's wal_gone need not wait for
 * any branch, not even for one that nobody uses.
 *
 * If the process dies between 3 and 5, the pins stay. After the lag the owners' collectors put a new tombstone
 * under the branch's name, so that step 5 cannot succeed any more, and then remove the pins (index/fold/unpin.h).
 */
#include "index/branch.h"

#include "index/load/object_log.h"
#include "index/manifest/pins.h"
#include "index/manifest/swap.h"
#include "index/query/reader.h"
#include "index/upkeep.h"

enum { BRANCH_TRIES = 4, FOLD_TRIES = 4, TAKEN_MAX = 16 << 20 };

/* The things that a branch takes from its source: copies of parts of the source's manifest, in the branching's arena. */
struct taken_source {
    uint64_t sequence; /* of the source's manifest; 0: nothing is taken yet */
    uint32_t features;
    bool read_only;
    struct index_vectors vectors;
    struct index_external external;
    struct schema schema;
    struct manifest_segment *segments;
    size_t segment_count;
    struct manifest_owner *owners; /* [owner_count]: the owners that the branch's manifest will have */
    size_t owner_count;
    uint32_t source_owner; /* position of the source in `owners`, from 1; 0: the branch lists no object of it */
};

/* One try to make a branch. */
struct branching {
    struct store *store;
    struct span source, name;
    const struct index_branch_options *options;
    struct arena arena;
    bool existed;            /* step 1 found a manifest of the branch's name: a tombstone */
    uint64_t sequence;       /* of that manifest; 0: there was none */
    struct ulid incarnation; /* of the branch */
    struct ulid source_incarnation;
    uint64_t least; /* the branch must have all log entries of the source up to this number */
    struct taken_source taken;
    bool again;       /* somebody was first: make another try */
    struct span full; /* an owner that has the maximum of pins; empty: none */
};

static void ignore_sent(void *context)
{
    (void)context;
}

/* ---- the branch's name ----------------------------------------------------------------------------------- */

static enum dp_status fail_exists(struct call *call, const struct branching *b)
{
    return call_fail(call, DP_EXISTS, "namespace \"%.*s\" exists already", SPAN_FMT(b->name));
}

static enum dp_status look_at_name(struct call *call, struct branching *b)
{
    struct manifest m;
    struct manifest_answer answer;
    struct ulid horizon;
    enum dp_status status = manifest_load_any(call, b->store, b->name, &m, &answer);
    b->existed = status == DP_OK;
    if (!b->existed && status != DP_NOT_FOUND)
        return status;
    dp_error_clear(&call->error);
    if (!b->existed)
        manifest_init(&m);
    b->sequence = m.sequence;
    horizon = m.horizon;
    bool live = b->existed && m.state == NAMESPACE_LIVE;
    manifest_deinit(&m);
    if (live)
        return fail_exists(call, b);
    return ulid_new(b->options->clock, &horizon, answer.date_ms, &b->incarnation, &call->error);
}

/* ---- the source's log ------------------------------------------------------------------------------------ */

/* Notes what the reader's newest view shows, and gives its wal_floor. */
static enum dp_status note_source(struct call *call, struct branching *b, struct index_reader *reader, bool first,
                                  uint64_t *floor)
{
    struct view *view = reader_view(reader);
    const struct manifest *m = &view->base->manifest;
    enum dp_status status = DP_OK;
    if (first) {
        b->least = view_position(view).last;
        b->source_incarnation = m->incarnation;
    } else if (!ulid_equal(&m->incarnation, &b->source_incarnation))
        status = call_fail(call, DP_CONFLICT, "namespace \"%.*s\" was deleted meanwhile", SPAN_FMT(b->source));
    *floor = m->wal_floor;
    view_release(view);
    return status;
}

/* Folds until segments hold all entries that the log has now. One fold may move only a part of them. */
static enum dp_status fold_source(struct call *call, struct branching *b, struct index_reader *reader)
{
    const struct index_fold_options options = {.team = b->options->team};
    struct index_fold_result result;
    uint64_t floor = 0;
    int idle = 0; /* folds that moved nothing, because others were first */
    enum dp_status status = note_source(call, b, reader, true, &floor);
    while (status == DP_OK && floor < b->least && idle < FOLD_TRIES) {
        uint64_t before = floor;
        status = index_fold(call, reader, &options, &result);
        if (status == DP_OK)
            status = index_refresh(call, reader);
        if (status == DP_OK)
            status = note_source(call, b, reader, false, &floor);
        idle = floor > before ? 0 : idle + 1;
    }
    if (status == DP_OK && floor < b->least)
        return call_fail(call, DP_CONFLICT, "namespace \"%.*s\": its log could not be folded: try again",
                         SPAN_FMT(b->source));
    return status;
}

static enum dp_status prepare_source(struct call *call, struct branching *b)
{
    struct index_reader *reader = NULL;
    enum dp_status status = reader_open(call, b->store, b->source, 0, b->options->clock, &reader);
    if (status == DP_OK)
        status = fold_source(call, b, reader);
    index_close(reader);
    return status;
}

/* ---- taking ---------------------------------------------------------------------------------------------- */

/* Replaces *owner, a number of the source's manifest, by the owner's number in the branch's manifest. Adds the
 * owner there if the branch does not have it yet. map[*owner] is that number, or 0. */
static enum dp_status map_owner(struct call *call, struct branching *b, const struct manifest *m, uint32_t *map,
                                uint32_t *owner)
{
    struct taken_source *t = &b->taken;
    const struct object_home home = manifest_home(m, b->source, *owner);
    if (map[*owner] == 0) {
        if (t->owner_count == MANIFEST_OWNERS_MAX)
            return call_fail(call, DP_TOO_LARGE,
                             "namespace \"%.*s\" has segments of %d others, the maximum: compact it first",
                             SPAN_FMT(b->source), MANIFEST_OWNERS_MAX);
        t->owners[t->owner_count] = (struct manifest_owner){arena_copy(&b->arena, home.name), *home.incarnation};
        if (!t->owners[t->owner_count].name.data)
            return call_nomem(call, "a branch");
        map[*owner] = (uint32_t)++t->owner_count;
        if (*owner == 0)
            t->source_owner = map[0];
    }
    *owner = map[*owner];
    return DP_OK;
}

static enum dp_status take_segments(struct call *call, struct branching *b, const struct manifest *m)
{
    struct taken_source *t = &b->taken;
    uint32_t map[MANIFEST_OWNERS_MAX + 1] = {0};
    enum dp_status status = DP_OK;
    t->segments = arena_array(&b->arena, m->segment_count + 1, sizeof *t->segments);
    t->owners = arena_array(&b->arena, MANIFEST_OWNERS_MAX, sizeof *t->owners);
    if (!t->segments || !t->owners)
        return call_nomem(call, "a branch");
    for (size_t i = 0; i < m->segment_count && status == DP_OK; i++) {
        struct manifest_segment *s = &t->segments[i];
        *s = m->segments[i];
        status = map_owner(call, b, m, map, &s->owner);
        if (status == DP_OK && s->has_deleted)
            status = map_owner(call, b, m, map, &s->deleted_owner);
    }
    t->segment_count = m->segment_count;
    return status;
}

/* Copies what the branch takes from the source's manifest. */
static enum dp_status take_source(struct call *call, struct branching *b, const struct manifest *m)
{
    struct taken_source *t = &b->taken;
    arena_reset(&b->arena);
    *t = (struct taken_source){
        .features = m->features, .read_only = m->read_only, .vectors = m->vectors, .external = m->external};
    t->vectors.model = arena_copy(&b->arena, m->vectors.model);
    t->vectors.fingerprint = arena_copy(&b->arena, m->vectors.fingerprint);
    t->external.url = arena_copy(&b->arena, m->external.url);
    t->external.version = arena_copy(&b->arena, m->external.version);
    if (!t->vectors.model.data || !t->vectors.fingerprint.data || !t->external.url.data ||
        !t->external.version.data)
        return call_nomem(call, "a branch");
    enum dp_status status = schema_copy(&m->schema, &b->arena, &t->schema, &call->error);
    if (status == DP_OK)
        status = take_segments(call, b, m);
    if (status == DP_OK)
        t->sequence = m->sequence;
    return status;
}

/* ---- pins ------------------------------------------------------------------------------------------------ */

/* The swap that adds a pin to one owner. */
struct pinning {
    struct branching *b;
    uint32_t owner;    /* place among the branch's owners, from 1 */
    uint64_t sequence; /* of the manifest for which `pin` was written; 0: none */
    struct manifest_pin pin;
};

/* Lists the objects of one owner that the branch takes, in the call's arena. */
static enum dp_status list_owned(struct call *call, const struct branching *b, uint32_t owner,
                                 struct pinned_object **out, size_t *count)
{
    const struct taken_source *t = &b->taken;
    size_t n = 0;
    struct pinned_object *objects = arena_array(call->arena, 2 * t->segment_count + 1, sizeof *objects);
    if (!objects)
        return call_nomem(call, "a pin");
    for (size_t i = 0; i < t->segment_count; i++) {
        const struct manifest_segment *s = &t->segments[i];
        if (s->owner == owner)
            objects[n++] = (struct pinned_object){s->id, s->id};
        if (s->has_deleted && s->deleted_owner == owner)
            objects[n++] = (struct pinned_object){s->id, s->deletion};
    }
    *count = pin_sort(objects, n);
    *out = objects;
    return DP_OK;
}

/* Puts the .pin object for a pin in the owner's manifest *m. */
static enum dp_status put_pin(struct call *call, struct pinning *p, const struct manifest *m)
{
    const struct branching *b = p->b;
    const struct manifest_owner *owner = &b->taken.owners[p->owner - 1];
    struct pinned_object *objects;
    struct object_key key;
    struct buffer bytes;
    size_t count;
    p->pin = (struct manifest_pin){
        .incarnation = owner->incarnation, .branch = b->name, .branch_incarnation = b->incarnation};
    enum dp_status status = list_owned(call, b, p->owner, &objects, &count);
    if (status == DP_OK)
        status = ulid_new(b->options->clock, &m->horizon, manifest_store_ms(m, b->options->clock), &p->pin.id,
                          &call->error);
    if (status)
        return status;
    key_of_pin(&key, owner->name, &owner->incarnation, &p->pin.id);
    buffer_init(&bytes, PIN_LEN_MAX);
    pin_write(&p->pin, objects, count, &bytes);
    status = buffer_check(&bytes, "a pin", &call->error);
    p->pin.size = bytes.len;
    if (status == DP_OK) {
        struct store_put put = {
            .key = object_key_span(&key), .body = buffer_span(&bytes), .condition = STORE_IF_ABSENT};
        status = object_log_status(call, store_put(call, b->store, &put));
    }
    buffer_deinit(&bytes);
    if (status == DP_OK)
        p->sequence = m->sequence;
    return status;
}

/* Adds the pin to the owner's manifest. If an earlier try over the same manifest has sent a put that may still
 * come, this try adds the same pin. */
static enum dp_status add_pin(struct call *call, struct pinning *p, struct manifest *m)
{
    const struct manifest_owner *owner = &p->b->taken.owners[p->owner - 1];
    if (m->pin_count == MANIFEST_PINS_MAX) {
        p->b->full = arena_copy(call->arena, owner->name);
        return call_fail(
            call, DP_TOO_LARGE,
            "namespace \"%.*s\" has %d branches, the maximum: copy it instead, or compact or delete a "
            "branch, and collect the garbage of this namespace",
            SPAN_FMT(owner->name), MANIFEST_PINS_MAX);
    }
    enum dp_status status = p->sequence == m->sequence ? DP_OK : put_pin(call, p, m);
    if (status)
        return status;
    struct manifest_pin *pins = arena_array(&m->arena, m->pin_count + 1, sizeof *pins);
    if (!pins)
        return call_nomem(call, "a pin");
    size_t at = 0;
    while (at < m->pin_count && span_compare(ulid_span(&m->pins[at].id), ulid_span(&p->pin.id)) < 0)
        at++;
    for (size_t i = 0; i < m->pin_count; i++)
        pins[i < at ? i : i + 1] = m->pins[i];
    pins[at] = p->pin;
    m->pins = pins;
    m->pin_count++;
    return DP_OK;
}

static bool shows_pin(const void *context, const struct manifest *m)
{
    const struct pinning *p = context;
    for (size_t i = 0; i < m->pin_count && p->sequence; i++) {
        if (ulid_equal(&m->pins[i].id, &p->pin.id))
            return true;
    }
    return false;
}

/* Copies the state of the source, and adds a pin of the objects that the source owns. */
static enum dp_status apply_source_pin(struct call *call, void *context, struct manifest *m, bool exists,
                                       bool *needed)
{
    struct pinning *p = context;
    struct branching *b = p->b;
    if (!exists || !ulid_equal(&m->incarnation, &b->source_incarnation) || m->wal_floor < b->least)
        return call_fail(call, DP_CONFLICT, "namespace \"%.*s\" was deleted or restored meanwhile",
                         SPAN_FMT(b->source));
    if (b->taken.sequence != m->sequence) {
        b->taken.sequence = 0;
        enum dp_status status = take_source(call, b, m);
        if (status)
            return status;
    }
    p->owner = b->taken.source_owner;
    *needed = p->owner != 0;
    return *needed ? add_pin(call, p, m) : DP_OK;
}

/* Returns whether the manifest of the owner keeps all that the branch takes of it. */
static enum dp_status check_kept(struct call *call, const struct branching *b, uint32_t place,
                                 const struct manifest *m, bool *kept)
{
    const struct manifest_owner *owner = &b->taken.owners[place - 1];
    struct pinned_object *objects;
    struct pin_set pins = {0};
    size_t count;
    *kept = true;
    enum dp_status status = list_owned(call, b, place, &objects, &count);
    if (status == DP_OK)
        status = pin_set_read(call, b->store, owner->name, m, &pins);
    for (size_t i = 0; i < count && status == DP_OK && *kept; i++) {
        const struct parsed_name name = {.kind = OBJECT_DPR,
                                         .name = owner->name,
                                         .incarnation = owner->incarnation,
                                         .segment = objects[i].segment,
                                         .born = objects[i].born};
        *kept = manifest_lists(m, owner->name, &name) || pin_set_has(&pins, &name);
    }
    return status;
}

static enum dp_status apply_owner_pin(struct call *call, void *context, struct manifest *m, bool exists,
                                      bool *needed)
{
    struct pinning *p = context;
    bool kept = false;
    enum dp_status status = exists ? check_kept(call, p->b, p->owner, m, &kept) : DP_OK;
    *needed = kept;
    p->b->again = !kept;
    return status == DP_OK && kept ? add_pin(call, p, m) : status;
}

static const struct manifest_edit source_pin_edit = {apply_source_pin, ignore_sent, shows_pin, false};
static const struct manifest_edit owner_pin_edit = {apply_owner_pin, ignore_sent, shows_pin, true};

static enum dp_status swap_pin(struct call *call, struct branching *b, struct span name,
                               const struct manifest_edit *edit, struct pinning *p)
{
    struct manifest after;
    enum dp_status status = manifest_swap(call, b->store, name, edit, p, b->options->clock, &after);
    if (status == DP_OK)
        manifest_deinit(&after);
    return object_log_status(call, status); /* no reader sees a pin */
}

/* Adds a pin to each owner but the source. An earlier life of the branch's own name needs none: the branch's manifest
 * lists those objects itself. */
static enum dp_status pin_owners(struct call *call, struct branching *b)
{
    enum dp_status status = DP_OK;
    for (uint32_t place = 1; place <= b->taken.owner_count && status == DP_OK && !b->again; place++) {
        struct pinning p = {.b = b, .owner = place};
        struct span name = b->taken.owners[place - 1].name;
        if (place != b->taken.source_owner && !span_equal(name, b->name))
            status = swap_pin(call, b, name, &owner_pin_edit, &p);
    }
    return status;
}

/* ---- the branch ------------------------------------------------------------------------------------------ */

/* Checks that the tombstone's pins still keep what the branch takes from earlier lives of the branch's name. */
static enum dp_status check_own_lives(struct call *call, struct branching *b, const struct manifest *m)
{
    enum dp_status status = DP_OK;
    for (uint32_t place = 1; place <= b->taken.owner_count && status == DP_OK && !b->again; place++) {
        bool kept = true;
        if (span_equal(b->taken.owners[place - 1].name, b->name))
            status = check_kept(call, b, place, m, &kept);
        b->again = !kept;
    }
    return status;
}

static enum dp_status apply_branch(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    struct branching *b = context;
    const struct taken_source *t = &b->taken;
    *needed = false;
    if (exists && m->state == NAMESPACE_LIVE)
        return fail_exists(call, b);
    b->again = exists != b->existed || (exists && m->sequence != b->sequence);
    enum dp_status status = b->again ? DP_OK : check_own_lives(call, b, m);
    if (status || b->again)
        return status;
    *needed = true;
    manifest_begin_life(m, &b->incarnation);
    m->features = t->features;
    m->read_only = t->read_only;
    m->vectors = t->vectors;
    m->external = t->external;
    m->schema = t->schema;
    m->segments = t->segments;
    m->segment_count = t->segment_count;
    m->owners = t->owners;
    m->owner_count = t->owner_count;
    return DP_OK;
}

static bool shows_branch(const void *context, const struct manifest *m)
{
    const struct branching *b = context;
    return ulid_equal(&m->incarnation, &b->incarnation);
}

static const struct manifest_edit branch_edit = {apply_branch, ignore_sent, shows_branch, true};

static enum dp_status make_branch(struct call *call, struct branching *b, struct index_branch_result *result)
{
    struct manifest after;
    enum dp_status status = manifest_swap(call, b->store, b->name, &branch_edit, b, b->options->clock, &after);
    if (status)
        return status;
    if (!b->again)
        *result = (struct index_branch_result){manifest_rows(&after), after.segment_count};
    manifest_deinit(&after);
    return DP_OK;
}

static enum dp_status try_branch(struct call *call, struct branching *b, struct index_branch_result *result)
{
    struct pinning source = {.b = b};
    b->again = false;
    b->taken = (struct taken_source){0};
    enum dp_status status = look_at_name(call, b);
    if (status == DP_OK)
        status = prepare_source(call, b);
    if (status == DP_OK)
        status = swap_pin(call, b, b->source, &source_pin_edit, &source);
    if (status == DP_OK)
        status = pin_owners(call, b);
    if (status == DP_OK && !b->again)
        status = make_branch(call, b, result);
    return status;
}

/* Lets the owner's pins of deleted branches go, if it has the maximum. The objects that these pins kept stay for a
 * collector. */
static enum dp_status free_pins(struct call *call, struct branching *b)
{
    const struct index_collect_options options = {.clock = b->options->clock};
    struct index_collect_result result;
    struct index_collector *collector;
    const struct span owner = b->full;
    b->full = (struct span){0};
    b->again = true;
    dp_error_clear(&call->error);
    enum dp_status status = index_collector_new(b->store, owner, &collector, &call->error);
    if (status)
        return status;
    status = index_collect(call, collector, &options, &result);
    index_collector_free(collector);
    return status;
}

enum dp_status index_branch(struct call *call, struct store *store, struct span source, struct span name,
                            const struct index_branch_options *options, struct index_branch_result *result)
{
    static const struct index_branch_options defaults;
    struct branching b = {
        .store = store, .source = source, .name = name, .options = options ? options : &defaults};
    *result = (struct index_branch_result){0};
    enum dp_status status = index_check_name(source, &call->error);
    if (status == DP_OK)
        status = index_check_name(name, &call->error);
    if (status == DP_OK && span_equal(source, name))
        return call_fail(call, DP_INVALID,
                         "a namespace cannot be a branch of itself: give the branch another name");
    arena_init(&b.arena, TAKEN_MAX);
    b.again = true;
    for (int tries = 0; tries < BRANCH_TRIES && status == DP_OK && b.again; tries++) {
        status = try_branch(call, &b, result);
        if (status == DP_TOO_LARGE && b.full.len && tries == 0)
            status = free_pins(call, &b);
    }
    arena_deinit(&b.arena);
    if (status == DP_OK && b.again)
        return call_fail(call, DP_CONFLICT,
                         "namespace \"%.*s\": others changed it or its source each time: try again",
                         SPAN_FMT(name));
    return status;
}
