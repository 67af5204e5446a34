/* write.c: writes to a namespace.
 *
 * Each write is checked on its own thread and joins its reader's group (wal/commit_group.h). The leader of a group
 * judges its writes over the view (wal/effects.h), puts one entry behind the view's last one (wal/append.h), and adds
 * the entry to the view. When another node was first, it brings the view up to date and judges everything again.
 *
 * The put proves that the view was current: nobody else had put that number. A group that has nothing to put has no
 * such proof, so its view must have been brought up to date since the group was taken.
 */
#include <inttypes.h>

#include "index/query/follow.h"
#include "index/query/query.h"
#include "index/query/reader.h"
#include "index/wal/append.h"
#include "index/wal/choose_rows.h"
#include "index/wal/effects.h"

enum {
    COMMIT_TRIES = 64,       /* how often other writers may be first */
    COMMIT_EAGER_TRIES = 3,  /* the first tries, between which there is no wait */
    COMMIT_WAIT_STEP_MS = 5, /* the maximum wait grows by this with each try */
    WRITE_LOOKS = 2,         /* how often a write is checked, over newer manifests */
    /* New writes are refused when more than this waits to be folded. */
    UNFOLDED_ENTRIES_MAX = 1024,
    UNFOLDED_ROWS_MAX = 1000 * 1000
};
static const uint64_t unfolded_bytes_max = UINT64_C(2) * 1000 * 1000 * 1000;

/* index_write() slows writers down long before it refuses writes. It measures the unfolded log in levels: level 1
 * is the size, in entries, rows or bytes, that the log has when folding keeps up with the writes. */
enum {
    PACE_ENTRIES = 256,
    PACE_ROWS = 64 * 1024,
    PACE_BYTES = 128 << 20,
    PACE_SEGMENTS = 48,  /* and the segments that merges take, while they keep up with the folds */
    PACE_GATHER_MS = 20, /* from level PACE_GATHER_FROM on, to make larger entries */
    PACE_HOLD_MS = 20,   /* per group at level 2; it grows with the square of level - 1 */
    PACE_HOLD_MS_MAX = 250
};

static const double PACE_GATHER_FROM = 0.25;

/* The commit of one group. */
struct write_commit {
    struct call *call;
    struct index_reader *reader;
    struct write_member *first;
    struct view *view;
    size_t judged;              /* members that are judged, from the first on */
    bool look;                  /* the next try brings the view up to date first */
    bool current;               /* it was brought up to date since the group was taken */
    bool ended;                 /* the entry was sent, and the life of the namespace is over */
    enum dp_status keys_status; /* DP_OK, or why this try cannot judge members that have a key */
    struct dp_error keys_error;
    struct wal_encoder encoder;
};

static struct write_member *member_after(const struct write_member *m)
{
    return (struct write_member *)m->queued.next;
}

/* ---- the view ---------------------------------------------------------------------------------------- */

/* Returns whether the view's manifest was read so long ago that a put might come too late. */
static bool is_old(struct index_reader *reader, const struct view *view)
{
    pthread_mutex_lock(&reader->lock);
    int64_t sent_ns = view->base->seen.sent_ns;
    pthread_mutex_unlock(&reader->lock);
    return reader_now_ns(reader) - sent_ns >= FOLLOW_GRACE_NS;
}

/* Brings *view up to date. */
static enum dp_status refresh_view(struct call *call, struct index_reader *reader, struct view **view)
{
    struct view *newer = NULL;
    atomic_store(&reader->outdated, false); /* before the look: a change during the look sets it again */
    enum dp_status status = view_refresh(call, reader, *view, &newer);
    if (status) {
        atomic_store(&reader->outdated, true);
        return status;
    }
    view_release(*view);
    *view = newer;
    return DP_OK;
}

static enum dp_status take_view(struct write_commit *c)
{
    view_release(c->view);
    c->view = reader_view(c->reader);
    if (!c->look && !atomic_load(&c->reader->outdated) && !is_old(c->reader, c->view))
        return DP_OK;
    enum dp_status status = refresh_view(c->call, c->reader, &c->view);
    c->look = status != DP_OK;
    c->current = c->current || status == DP_OK;
    return status;
}

/* ---- judging ----------------------------------------------------------------------------------------- */

static bool has_choices(const struct index_write *write)
{
    return write->deletes.filter || write->patches.filter;
}

static bool is_plain(const struct index_write *write)
{
    if (write->upsert_condition || write->patch_condition || write->delete_condition || has_choices(write))
        return false;
    for (size_t i = 0; i < write->count; i++) {
        if (write->rows[i].kind == INDEX_PATCH)
            return false;
    }
    return true;
}

/* Returns DP_OK if the namespace takes the write now. */
static enum dp_status admit(struct call *call, const struct view *view, const struct view_counts *tail,
                            const struct write_member *m)
{
    const struct manifest *manifest = &view->base->manifest;
    const struct span name = view->reader->name;
    if (!ulid_equal(&manifest->incarnation, &m->incarnation) || manifest->vectors.dim != m->vector.dim)
        return call_fail(call, DP_CONFLICT, "namespace \"%.*s\" was deleted or made anew during the write",
                         SPAN_FMT(name));
    if (manifest->read_only)
        return call_fail(call, DP_DENIED, "namespace \"%.*s\" is read-only", SPAN_FMT(name));
    if (m->write->uncertain && manifest->schema.count != m->write->attributes)
        return call_fail(call, DP_CONFLICT,
                         "namespace \"%.*s\" got new attributes during the write, and the write names one that "
                         "was missing before",
                         SPAN_FMT(name));
    if (m->write->unthrottled && is_plain(m->write))
        return DP_OK;
    if (tail->tail_entries >= UNFOLDED_ENTRIES_MAX || tail->tail_rows > UNFOLDED_ROWS_MAX ||
        tail->tail_bytes > unfolded_bytes_max)
        return call_fail(call, DP_OVERLOADED,
                         "namespace \"%.*s\" has %" PRIu64 " log entries with %" PRIu64 " rows (%" PRIu64
                         " MB) that no segment holds yet: write again when they are folded",
                         SPAN_FMT(name), tail->tail_entries, tail->tail_rows, tail->tail_bytes / 1000000);
    return DP_OK;
}

/* Returns DP_OK if the member can be judged. */
static enum dp_status admit_member(struct write_commit *c, const struct view_counts *tail,
                                   const struct write_member *m)
{
    enum dp_status status = admit(c->call, c->view, tail, m);
    if (status || m->write->key.len == 0 || c->keys_status == DP_OK)
        return status;
    c->call->error = c->keys_error;
    return c->keys_status;
}

/* Judges members until the entry is full. */
static void judge_members(struct write_commit *c, struct effects *e)
{
    const struct view_counts tail = view_counts(c->view);
    c->judged = 0;
    for (struct write_member *m = c->first; m; m = member_after(m)) {
        m->status = admit_member(c, &tail, m);
        m->error = c->call->error;
        dp_error_clear(&c->call->error);
        if (m->status == DP_OK && !effects_add(c->call, e, m))
            return;
        c->judged++;
    }
}

/* ---- the entry --------------------------------------------------------------------------------------- */

static enum dp_status encode_entry(struct write_commit *c, const struct effects *e, struct wal_head *head,
                                   struct span *bytes)
{
    const struct manifest *manifest = &c->view->base->manifest;
    *head =
        (struct wal_head){.incarnation = manifest->incarnation, .number = e->at.last + 1, .chain = e->at.chain};
    for (size_t i = 0; i < e->count && !head->dim; i++)
        head->dim = e->records[i].windows ? manifest->vectors.dim : 0;
    enum dp_status status = ulid_new(c->reader->clock, &manifest->horizon, 0, &head->id, &c->call->error);
    if (status)
        return status;
    wal_encode_begin(&c->encoder, head);
    for (size_t i = 0; i < e->count; i++) {
        const struct wal_record *r = &e->records[i];
        if (r->kind == WAL_KEY)
            wal_encode_write_key(&c->encoder, r->document);
        else if (r->kind == WAL_DELETED)
            wal_encode_deleted(&c->encoder, r->key);
        else
            wal_encode_row(&c->encoder, r->key, r->vectors, r->windows, r->document);
    }
    return wal_encode_end(&c->encoder, bytes, &c->call->error);
}

/* Adds an acknowledged entry to the reader's view. When that fails, the next look reads the entry from the store. */
static void show_entry(struct write_commit *c, struct span bytes)
{
    struct wal_entry *entry;
    struct view *now = reader_view(c->reader);
    enum dp_status status = wal_entry_parse(bytes, &entry, &c->call->error);
    if (status == DP_OK)
        status = view_apply(c->call, now, entry);
    wal_entry_release(entry);
    view_release(now);
    if (status)
        atomic_store(&c->reader->outdated, true);
    dp_error_clear(&c->call->error);
}

static void number_members(struct write_commit *c, uint64_t number)
{
    struct write_member *m = c->first;
    for (size_t i = 0; i < c->judged; i++, m = member_after(m)) {
        const struct index_write_result *r = &m->result;
        if (m->status == DP_OK && !r->repeated && r->upserted + r->patched + r->deleted > 0)
            m->result.number = number;
    }
}

/* Puts the entry. *again: another node's entry has the number. */
static enum dp_status put_entry(struct write_commit *c, const struct effects *e, bool *again)
{
    struct wal_head head;
    struct wal_appended appended;
    struct span bytes;
    enum dp_status status = encode_entry(c, e, &head, &bytes);
    if (status)
        return status;
    const struct wal_put put = {.name = c->reader->name,
                                .incarnation = &head.incarnation,
                                .number = head.number,
                                .bytes = bytes,
                                .known = &c->view->base->version,
                                .clock = c->reader->clock};
    status = wal_append(c->call, c->reader->store, &put, &appended);
    *again = status == DP_OK && appended.lost;
    c->look = *again;
    c->ended = appended.ended;
    if (status != DP_OK || !appended.unchanged)
        atomic_store(&c->reader->outdated, true);
    if (status != DP_OK || *again)
        return status;
    number_members(c, head.number);
    show_entry(c, bytes);
    return DP_OK;
}

/* ---- the group --------------------------------------------------------------------------------------- */

/* Reads the keys of writes that the view's base has, if a member has a key and they are not in memory. */
static enum dp_status find_folded(struct write_commit *c, const struct key_set **out)
{
    struct index_reader *reader = c->reader;
    const struct manifest *m = &c->view->base->manifest;
    bool any = false;
    for (const struct write_member *member = c->first; member && !any; member = member_after(member))
        any = member->write->key.len > 0;
    if (!any || m->keys.size == 0)
        return DP_OK;
    if (!ulid_equal(&reader->folded.id, &m->keys.id)) {
        key_set_deinit(&reader->folded.set);
        reader->folded.id = (struct ulid){0};
        enum dp_status status = key_set_read(c->call, reader->store, reader->name, m, &reader->folded.set);
        if (status) /* the newest manifest still lists a missing object: it is damaged */
            return status == DP_STALE && c->current ? call_restatus(c->call, DP_CORRUPT) : status;
        reader->folded.id = m->keys.id;
    }
    *out = &reader->folded.set;
    return DP_OK;
}

/* Judges the members and puts their entry. *again: the view was not the newest. */
static enum dp_status try_commit(struct write_commit *c, bool *again)
{
    struct effects e = {.view = NULL};
    *again = false;
    arena_reset(c->call->arena);
    enum dp_status status = take_view(c);
    if (status)
        return status;
    const struct key_set *folded = NULL;
    status = find_folded(c, &folded);
    c->keys_status = status == DP_STALE ? DP_OK : status;
    c->keys_error = c->call->error;
    if (status != DP_STALE) { /* after a failure, only the members without a key are judged */
        dp_error_clear(&c->call->error);
        status = effects_begin(c->call, c->view, folded, c->first, &e);
    }
    if (status == DP_STALE) { /* a listed object is gone */
        c->look = *again = true;
        status = DP_OK;
    } else if (status == DP_OK) {
        judge_members(c, &e);
        if (e.count > 0)
            status = put_entry(c, &e, again);
        else {
            *again = !c->current || view_position(c->view).last != e.at.last;
            c->look = !c->current;
        }
    }
    effects_deinit(&e);
    return status;
}

static enum dp_status commit_wait(const struct write_commit *c, int tries)
{
    uint64_t random = 0;
    if (tries < COMMIT_EAGER_TRIES)
        return call_check(c->call);
    index_random(c->reader->clock, &random, sizeof random, NULL);
    return index_wait(c->reader->clock, c->call, (int64_t)(random % (uint64_t)(tries * COMMIT_WAIT_STEP_MS + 1)));
}

/* Gives the outcome of the group to each member that was judged, unless this member failed by itself. */
static size_t end_members(struct write_commit *c, enum dp_status status)
{
    size_t count = 0;
    for (struct write_member *m = c->first; m && (c->judged == 0 || count < c->judged); m = member_after(m)) {
        if (status != DP_OK && (c->judged == 0 || m->status == DP_OK)) {
            m->status = status;
            m->error = c->call->error;
            m->result.ended = c->ended;
        }
        count++;
    }
    return count;
}

/* Returns the number of listed segments that a merge may take. */
static size_t count_mergeable(const struct snapshot *base)
{
    size_t count = 0;
    for (size_t i = 0; i < base->listed_count; i++)
        count += !base->manifest.segments[i].full;
    return count;
}

/* Slows writers down as the unfolded log grows, so that index_write() seldom has to refuse a write. While the log is
 * folded, also slows them down where merges do not keep up, so that queries do not read ever more segments. */
static void pace_writers(struct index_reader *reader, struct view *view)
{
    const struct view_counts tail = view_counts(view);
    double level = (double)tail.tail_entries / PACE_ENTRIES, rows = (double)tail.tail_rows / PACE_ROWS,
           bytes = (double)tail.tail_bytes / PACE_BYTES;
    level = rows > level ? rows : level;
    level = bytes > level ? bytes : level;
    const bool gathers = level > PACE_GATHER_FROM;
    double segments = gathers ? (double)count_mergeable(view->base) / PACE_SEGMENTS : 0;
    level = segments > level ? segments : level;
    double hold_ms = level > 1 ? PACE_HOLD_MS * (level - 1) * (level - 1) : 0;
    hold_ms = hold_ms < PACE_HOLD_MS_MAX ? hold_ms : PACE_HOLD_MS_MAX;
    commit_group_pace(&reader->group, gathers ? PACE_GATHER_MS * INT64_C(1000000) : 0, (int64_t)(hold_ms * 1e6));
}

static size_t commit_writes(struct call *call, void *context, struct group_member *first)
{
    struct write_commit c = {.call = call, .reader = context, .first = (struct write_member *)first};
    bool again = true;
    enum dp_status status = DP_OK;
    wal_encoder_init(&c.encoder);
    for (int tries = 0; again && status == DP_OK && tries < COMMIT_TRIES; tries++) {
        dp_error_clear(&call->error);
        status = commit_wait(&c, tries);
        if (status == DP_OK)
            status = try_commit(&c, &again);
    }
    if (status == DP_OK && again)
        status = call_fail(call, DP_CONFLICT,
                           "namespace \"%.*s\": other writers were first %d times: try again when fewer write",
                           SPAN_FMT(c.reader->name), COMMIT_TRIES);
    wal_encoder_deinit(&c.encoder);
    if (c.view)
        pace_writers(c.reader, c.view);
    view_release(c.view);
    return end_members(&c, status);
}

/* Checks the write over the reader's view. If the write does not suit that view, checks it over a newer one. */
static enum dp_status prepare_write(struct call *call, struct index_reader *reader,
                                    const struct index_write *write, struct write_member *m)
{
    struct view *view = reader_view(reader);
    enum dp_status status = DP_CONFLICT;
    for (int looks = 0; looks < WRITE_LOOKS && status == DP_CONFLICT; looks++) {
        bool learns = false;
        if (looks)
            status = refresh_view(call, reader, &view);
        if (looks && status != DP_OK)
            break;
        const struct manifest *manifest = &view->base->manifest;
        dp_error_clear(&call->error);
        status = write_prepare(call, manifest, write, m, &learns);
        if (status == DP_INVALID && write->dim != manifest->vectors.dim && looks + 1 < WRITE_LOOKS)
            status = DP_CONFLICT; /* the namespace may have got its vectors meanwhile */
        if (status == DP_OK && learns) {
            status = write_learn(call, reader->store, reader->name, m, reader->clock);
            atomic_store(&reader->outdated, true);
        }
    }
    view_release(view);
    return status;
}

static enum dp_status choose_in_view(struct call *call, struct view *view, void *context)
{
    return write_choose_rows(call, view, context);
}

/* Finds the rows that the write's filters choose, in the newest view. */
static enum dp_status choose_rows(struct call *call, struct index_reader *reader, struct write_member *m)
{
    struct view *view = reader_view(reader);
    enum dp_status status = refresh_view(call, reader, &view);
    if (status == DP_OK)
        status = reader_run(call, reader, &view, choose_in_view, m);
    view_release(view);
    return status;
}

/* Gives the ids of the chosen rows that were changed. */
static enum dp_status give_ids(struct call *call, const struct chosen_rows *rows, struct index_id **out,
                               size_t *count)
{
    struct index_id *ids = arena_array(call->arena, rows->count + 1, sizeof *ids);
    enum dp_status status = ids ? DP_OK : call_nomem(call, "the ids of a write");
    *out = ids;
    *count = 0;
    for (size_t i = 0; i < rows->count && status == DP_OK; i++) {
        if (rows->applied[i])
            status = query_id(call, rows->keys[i], &ids[(*count)++]);
    }
    return status;
}

/* Joins the group, unless there is nothing to write, and takes the outcome. */
static enum dp_status commit_member(struct call *call, struct index_reader *reader, struct write_member *m)
{
    if (m->write->count + m->deletes.count + m->patches.count == 0 && m->write->key.len == 0) {
        m->status = DP_OK;
        m->result.remaining = m->deletes.more || m->patches.more;
        return DP_OK;
    }
    m->queued.hurries = m->write->unthrottled && is_plain(m->write);
    enum dp_status status = commit_group_join(call, &reader->group, &m->queued, commit_writes, reader);
    if (status == DP_OK && m->status != DP_OK) {
        status = m->status;
        call->error = m->error;
    }
    return status;
}

enum dp_status index_write(struct call *call, struct index_reader *reader, const struct index_write *write,
                           struct index_write_result *out)
{
    struct write_member m = {.status = DP_OK};
    *out = (struct index_write_result){0};
    enum dp_status status = prepare_write(call, reader, write, &m);
    if (status == DP_OK && has_choices(write))
        status = choose_rows(call, reader, &m);
    if (status == DP_OK)
        status = commit_member(call, reader, &m);
    if (status) {
        out->ended = m.result.ended;
        return status;
    }
    *out = m.result;
    if (write->wants_ids)
        status = give_ids(call, &m.deletes, &out->deleted_ids, &out->deleted_id_count);
    if (status == DP_OK && write->wants_ids)
        status = give_ids(call, &m.patches, &out->patched_ids, &out->patched_id_count);
    return status;
}
