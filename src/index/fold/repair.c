/* fold/repair.c: makes a damaged namespace readable again.
 *
 *   1. verify all; read what is left of the damaged segments, and count;
 *   2. ask whether to go on; put a copy of the manifest beside it;
 *   3. read the damaged segments again, build segments of their rows, and replace them by one swap. Each
 *      pending load with damaged segments needs one more swap. The load stays pending, so its place in the log
 *      stays, too;
 *   4. for each gap of the log: fold the entries before it, take the numbers of missing entries, so that no late writer's entry
 *      comes into the gap and is acknowledged, and raise wal_floor behind it by a swap.
 *
 * A repair takes no lock. If another process has changed a damaged segment or wal_floor since the repair verified the
 * manifest, the repair's swap fails with DP_CONFLICT. The swaps that the repair has made before stay.
 */
#include "index/fold/salvage.h"

#include <inttypes.h>
#include <stdlib.h>

#include "index/load/row_change.h"
#include "index/query/reader.h"
#include "index/upkeep.h"

enum {
    VECTORS_MEMORY = 64 << 20,
    DOCUMENTS_MEMORY = 32 << 20,
    FILLED_MAX = 1024 /* missing entries of one gap whose numbers a repair takes */
};

/* One repair. */
struct repair {
    struct verification v;
    const struct index_repair_options *options;
    struct index_repair_result *result;
    struct index_loader *loader;
    struct row_change change;
    const struct log_gap *gap; /* the gap that the present swap skips */
    size_t load, first;        /* the pending load of the present swap; its first segment in v.damaged_pending */
};

static enum dp_status fail_changed(struct call *call, const struct repair *r)
{
    return call_fail(call, DP_CONFLICT, "namespace \"%.*s\" was changed during its repair: repair it again",
                     SPAN_FMT(r->v.name));
}

/* ---- what is left ---------------------------------------------------------------------------------------- */

/* Reads all damaged segments. The loader, unless it is NULL, gets their rows. */
static enum dp_status salvage_all(struct call *call, struct repair *r, struct index_loader *loader,
                                  struct salvage *s)
{
    enum dp_status status = DP_OK;
    *s = (struct salvage){.v = &r->v, .loader = loader, .context = r->options->context};
    if (!loader)
        s->lost = r->options->lost;
    for (size_t i = 0; i < r->v.manifest.segment_count && status == DP_OK; i++) {
        if (r->v.damaged[i])
            status = salvage_segment(call, s, &r->v.manifest.segments[i]);
    }
    return status;
}

/* Reads the damaged segments of pending load number r->load. The loader, unless it is NULL, gets their rows. */
static enum dp_status salvage_load(struct call *call, struct repair *r, struct index_loader *loader,
                                   struct salvage *s)
{
    const struct manifest_pending *p = &r->v.manifest.pending[r->load];
    enum dp_status status = DP_OK;
    s->loader = loader;
    for (size_t i = 0; i < p->segment_count && status == DP_OK; i++) {
        if (r->v.damaged_pending[r->first + i])
            status = salvage_segment(call, s, &p->segments[i]);
    }
    return status;
}

/* These two go to pending load number 0, and to the next one. They return false if there is no such load. */
static bool first_load(struct repair *r)
{
    r->load = r->first = 0;
    return r->v.manifest.pending_count > 0;
}

static bool next_load(struct repair *r)
{
    r->first += r->v.manifest.pending[r->load].segment_count;
    return ++r->load < r->v.manifest.pending_count;
}

static size_t count_damaged(const struct repair *r)
{
    size_t count = 0;
    for (size_t i = 0; i < r->v.manifest.pending[r->load].segment_count; i++)
        count += r->v.damaged_pending[r->first + i];
    return count;
}

static enum dp_status plan_repair(struct call *call, struct repair *r)
{
    struct index_repair_result *result = r->result;
    struct salvage s;
    if (r->v.written_count)
        qsort(r->v.written, r->v.written_count, sizeof *r->v.written, verify_compare_hashes);
    enum dp_status status = salvage_all(call, r, NULL, &s);
    for (size_t i = 0; i < r->v.manifest.segment_count; i++)
        result->segments += r->v.damaged[i];
    for (bool more = first_load(r); more && status == DP_OK; more = next_load(r)) {
        status = salvage_load(call, r, NULL, &s);
        result->pending += count_damaged(r);
    }
    for (size_t i = 0; i < r->v.log.gap_count; i++)
        result->entries += r->v.log.gaps[i].last - r->v.log.gaps[i].first + 1;
    result->kept = s.kept;
    result->lost = s.rows;
    result->unnamed = s.unnamed;
    result->back = s.back;
    return status;
}

/* Puts the text of the manifest beside it, under a name with its sequence. */
static enum dp_status keep_manifest(struct call *call, const struct repair *r)
{
    struct object_key manifest;
    key_of_manifest(&manifest, r->v.name);
    struct store_read_req req = {.key = object_key_span(&manifest), .len = STORE_TO_END};
    char *copy = arena_printf(call->arena, "%.*s/manifest.before-repair-%" PRIu64 ".json", SPAN_FMT(r->v.name),
                              r->v.manifest.sequence);
    if (!copy)
        return call_nomem(call, "a repair");
    enum dp_status status = store_read(call, r->v.store, &req, 1);
    if (status == DP_OK) {
        struct store_put put = {.key = span_str(copy), .body = req.bytes.span, .condition = STORE_IF_ABSENT};
        status = store_put(call, r->v.store, &put);
    }
    store_read_release(&req, 1);
    if (status != DP_EXISTS)
        return status;
    dp_error_clear(&call->error);
    return DP_OK;
}

/* ---- segments -------------------------------------------------------------------------------------------- */

static enum dp_status begin_build(struct call *call, struct repair *r)
{
    const struct manifest *m = &r->v.manifest;
    enum dp_status status =
        loader_new(call, r->v.store, r->v.name, &m->vectors, r->options->team, NULL, &r->loader);
    if (status)
        return status;
    struct index_loader *l = r->loader;
    l->target.incarnation = m->incarnation;
    l->target.joins = true;
    l->target.horizon = m->horizon;
    l->target.segments_listed = m->segment_count;
    l->target.segments_max = MANIFEST_SEGMENTS_MAX;
    l->segment_rows = SEGMENT_ROWS_MAX;
    l->indexed = &m->schema;
    spill_deinit(&l->waiting.vectors);
    spill_deinit(&l->waiting.documents);
    spill_init(&l->waiting.vectors, VECTORS_MEMORY);
    spill_init(&l->waiting.documents, DOCUMENTS_MEMORY);
    return DP_OK;
}

static bool is_same_segment(const struct manifest_segment *a, const struct manifest_segment *b)
{
    return ulid_equal(&a->id, &b->id) && a->has_deleted == b->has_deleted &&
           (!a->has_deleted || ulid_equal(&a->deletion, &b->deletion));
}

static bool is_damaged(const struct repair *r, const struct manifest_segment *listed)
{
    for (size_t i = 0; i < r->v.manifest.segment_count; i++) {
        if (r->v.damaged[i] && is_same_segment(&r->v.manifest.segments[i], listed))
            return true;
    }
    return false;
}

static enum dp_status apply_segments(struct call *call, void *context, struct manifest *m, bool exists,
                                     bool *needed)
{
    struct repair *r = context;
    size_t kept = 0;
    *needed = true;
    if (!exists || !ulid_equal(&m->incarnation, &r->v.manifest.incarnation))
        return fail_changed(call, r);
    for (size_t i = 0; i < m->segment_count; i++) {
        if (!is_damaged(r, &m->segments[i]))
            m->segments[kept++] = m->segments[i];
    }
    if (m->segment_count - kept != r->result->segments)
        return fail_changed(call, r);
    m->segment_count = kept;
    return object_log_status(call, row_change_apply(call, &r->change, m));
}

static void note_repair_sent(void *context)
{
    struct repair *r = context;
    if (r->loader)
        r->loader->log.sent = true;
}

static bool shows_segments(const void *context, const struct manifest *m)
{
    const struct repair *r = context;
    return row_change_shows(&r->change, m);
}

static const struct manifest_edit segments_edit = {apply_segments, note_repair_sent, shows_segments, false};

static enum dp_status swap_repair(struct call *call, struct repair *r, const struct manifest_edit *edit)
{
    struct manifest after;
    enum dp_status status = manifest_swap(call, r->v.store, r->v.name, edit, r, NULL, &after);
    if (status)
        return status;
    r->result->done = true;
    manifest_deinit(&after);
    return DP_OK;
}

static enum dp_status replace_segments(struct call *call, struct repair *r)
{
    struct salvage s;
    enum dp_status status = begin_build(call, r);
    if (status == DP_OK)
        status = salvage_all(call, r, r->loader, &s);
    if (status == DP_OK && r->loader->waiting.count)
        status = load_build_segment(call, r->loader);
    if (status)
        return status;
    r->change = (struct row_change){.store = r->v.store,
                                    .name = r->v.name,
                                    .arena = &r->loader->arena,
                                    .log = &r->loader->log,
                                    .segments = r->loader->segments,
                                    .segment_count = r->loader->segment_count};
    return swap_repair(call, r, &segments_edit);
}

/* ---- pending loads --------------------------------------------------------------------------------------- */

/* Returns the load of the present swap in a manifest, or NULL. */
static struct manifest_pending *find_pending(const struct repair *r, const struct manifest *m)
{
    for (size_t i = 0; i < m->pending_count; i++) {
        if (ulid_equal(&m->pending[i].load, &r->v.manifest.pending[r->load].load))
            return &m->pending[i];
    }
    return NULL;
}

static bool is_damaged_pending(const struct repair *r, const struct ulid *segment)
{
    const struct manifest_pending *p = &r->v.manifest.pending[r->load];
    bool damaged = false;
    for (size_t i = 0; i < p->segment_count && !damaged; i++)
        damaged = r->v.damaged_pending[r->first + i] && ulid_equal(&p->segments[i].id, segment);
    return damaged;
}

/* Replaces the damaged segments of a load. The load may have no segment afterwards. It stays pending, because its
 * loader may attach it. */
static enum dp_status apply_pending(struct call *call, void *context, struct manifest *m, bool exists,
                                    bool *needed)
{
    struct repair *r = context;
    const struct index_loader *l = r->loader;
    struct manifest_pending *p = exists ? find_pending(r, m) : NULL;
    *needed = true;
    if (!p || !ulid_equal(&m->incarnation, &r->v.manifest.incarnation))
        return fail_changed(call, r);
    struct manifest_segment *all = arena_array(&m->arena, p->segment_count + l->segment_count + 1, sizeof *all);
    if (!all)
        return call_nomem(call, "a manifest");
    size_t kept = 0;
    for (size_t i = 0; i < p->segment_count; i++) {
        if (!is_damaged_pending(r, &p->segments[i].id))
            all[kept++] = p->segments[i];
    }
    if (p->segment_count - kept != count_damaged(r))
        return fail_changed(call, r);
    for (size_t i = 0; i < l->segment_count; i++)
        all[kept++] = l->segments[i];
    qsort(all, kept, sizeof *all, manifest_compare_segments);
    p->segments = all;
    p->segment_count = kept;
    const struct row_change added = {.segments = l->segments, .segment_count = l->segment_count};
    return object_log_status(call, row_change_check_horizon(call, &added, m));
}

static bool shows_pending(const void *context, const struct manifest *m)
{
    const struct repair *r = context;
    const struct manifest_pending *p = find_pending(r, m);
    bool shows = p != NULL;
    for (size_t i = 0; shows && i < p->segment_count; i++)
        shows = !is_damaged_pending(r, &p->segments[i].id);
    return shows;
}

static const struct manifest_edit pending_edit = {apply_pending, note_repair_sent, shows_pending, false};

static void end_build(struct repair *r)
{
    if (r->loader) {
        object_log_remove(&r->loader->log, r->v.store); /* unless the repair has sent a manifest */
        loader_free(r->loader);
    }
    r->loader = NULL;
}

static enum dp_status replace_pending(struct call *call, struct repair *r)
{
    struct salvage s = {.v = &r->v};
    enum dp_status status = begin_build(call, r);
    if (status == DP_OK)
        status = salvage_load(call, r, r->loader, &s);
    if (status == DP_OK && r->loader->waiting.count)
        status = load_build_segment(call, r->loader);
    if (status == DP_OK)
        status = swap_repair(call, r, &pending_edit);
    end_build(r);
    return status;
}

static enum dp_status repair_loads(struct call *call, struct repair *r)
{
    enum dp_status status = DP_OK;
    for (bool more = first_load(r); more && status == DP_OK; more = next_load(r)) {
        if (count_damaged(r))
            status = replace_pending(call, r);
    }
    return status;
}

/* ---- the log --------------------------------------------------------------------------------------------- */

static enum dp_status apply_skip(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    struct repair *r = context;
    *needed = true;
    if (!exists || !ulid_equal(&m->incarnation, &r->v.manifest.incarnation) || m->wal_floor + 1 != r->gap->first)
        return fail_changed(call, r);
    m->wal_floor = r->gap->last;
    m->wal_chain = r->gap->chain;
    m->wal_gone = r->gap->last; /* an entry that a late writer puts into the gap is not acknowledged (rule L2) */
    return DP_OK;
}

static bool shows_skip(const void *context, const struct manifest *m)
{
    const struct repair *r = context;
    return ulid_equal(&m->incarnation, &r->v.manifest.incarnation) && m->wal_floor >= r->gap->last;
}

static const struct manifest_edit skip_edit = {apply_skip, note_repair_sent, shows_skip, false};

/* Folds the entries before a gap, which are good. */
static enum dp_status fold_before(struct call *call, const struct repair *r, const struct log_gap *gap)
{
    /* The fold gives up no abandoned load: the "void" entry would lie in the gap. */
    const struct index_fold_options options = {.team = r->options->team, .load_ms = INT64_MAX};
    struct index_fold_result folded;
    struct index_reader *reader = NULL;
    enum dp_status status = reader_open_until(call, r->v.store, r->v.name, gap->first - 1, &reader);
    if (status == DP_OK)
        status = index_fold(call, reader, &options, &folded);
    index_close(reader);
    return status;
}

/* Puts objects that are no entries where entries are missing. Fails with DP_CONFLICT if somebody else has put an
 * entry there since the verification: that entry may be acknowledged, so the repair must not pass it. The
 * collector removes these objects. */
static enum dp_status fill_gap(struct call *call, const struct repair *r, const struct log_gap *gap)
{
    uint64_t filled = 0;
    enum dp_status status = DP_OK;
    if (gap->missing == 0 || gap->last - gap->first >= FILLED_MAX)
        return DP_OK;
    for (uint64_t number = gap->first; number <= gap->last && status == DP_OK; number++) {
        struct object_key key;
        key_of_wal(&key, r->v.name, &r->v.manifest.incarnation, number);
        struct store_put put = {.key = object_key_span(&key),
                                .body = span_str("a repair has passed this missing entry\n"),
                                .condition = STORE_IF_ABSENT};
        status = store_put(call, r->v.store, &put);
        filled += status == DP_OK;
        if (status == DP_EXISTS) { /* a damaged entry, or a late one */
            dp_error_clear(&call->error);
            status = DP_OK;
        }
    }
    return status == DP_OK && filled != gap->missing ? fail_changed(call, r) : status;
}

static enum dp_status skip_gaps(struct call *call, struct repair *r)
{
    uint64_t floor = r->v.manifest.wal_floor;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < r->v.log.gap_count && status == DP_OK; i++) {
        r->gap = &r->v.log.gaps[i];
        if (r->gap->first > floor + 1)
            status = fold_before(call, r, r->gap);
        if (status == DP_OK)
            status = object_log_status(call, fill_gap(call, r, r->gap));
        if (status == DP_OK)
            status = swap_repair(call, r, &skip_edit);
        floor = r->gap->last;
    }
    return status;
}

/* ---- keys of writes -------------------------------------------------------------------------------------- */

static enum dp_status apply_forget(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    const struct repair *r = context;
    if (!exists || !ulid_equal(&m->incarnation, &r->v.manifest.incarnation))
        return fail_changed(call, r);
    *needed = m->keys.size && ulid_equal(&m->keys.id, &r->v.manifest.keys.id);
    if (*needed)
        m->keys = (struct manifest_keys){0};
    return DP_OK;
}

static bool shows_forget(const void *context, const struct manifest *m)
{
    const struct repair *r = context;
    return ulid_equal(&m->incarnation, &r->v.manifest.incarnation) &&
           !ulid_equal(&m->keys.id, &r->v.manifest.keys.id);
}

/* Removes the object with the keys of writes from the manifest. A write with one of these keys then counts again
 * if it is sent again. */
static const struct manifest_edit forget_edit = {apply_forget, note_repair_sent, shows_forget, false};

/* ---- the repair ------------------------------------------------------------------------------------------ */

static enum dp_status repair_all(struct call *call, struct repair *r)
{
    const struct index_repair_options *o = r->options;
    enum dp_status status = plan_repair(call, r);
    if (status || (r->result->segments + r->result->pending + r->result->entries == 0 && !r->v.keys_damaged))
        return status;
    if (!o->agree(o->context, r->result))
        return DP_OK;
    status = keep_manifest(call, r);
    if (status == DP_OK && r->v.keys_damaged)
        status = swap_repair(call, r, &forget_edit);
    if (status == DP_OK)
        status = repair_loads(call, r);
    if (status == DP_OK && r->result->segments)
        status = replace_segments(call, r);
    return status == DP_OK ? skip_gaps(call, r) : status;
}

enum dp_status index_repair(struct call *call, struct store *store, struct span name,
                            const struct index_repair_options *options, struct index_repair_result *result)
{
    struct repair r = {.v = {.store = store,
                             .name = name,
                             .fault = options->fault,
                             .context = options->context,
                             .result = &result->found},
                       .options = options,
                       .result = result};
    bool readable;
    *result = (struct index_repair_result){.done = false};
    enum dp_status status = verify_namespace(call, &r.v, &readable);
    if (status == DP_OK && readable)
        status = repair_all(call, &r);
    row_change_deinit(&r.change);
    end_build(&r);
    verify_end(&r.v);
    return status;
}
