/* view.c: keeps a view's tail and masks. */
#include "index/query/view.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/array.h"
#include "index/query/attach.h"
#include "index/query/masking.h"
#include "index/query/reader.h"

/* ---- one view ------------------------------------------------------------------------------------------ */

/* Initialises the locks. That of the tail prefers a waiting writer to later readers: queries never stop, so a writer
 * would else wait for ever. */
static int init_view_locks(struct view *view)
{
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
#ifdef __GLIBC__
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    int failed = pthread_rwlock_init(&view->locked.lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    pthread_mutex_init(&view->turn.lock, NULL);
    pthread_cond_init(&view->turn.ended, NULL);
    return failed;
}

enum dp_status view_make_mask(struct call *call, const struct view *view, size_t i, struct row_set **out)
{
    const struct deleted_rows *deleted = view->base->segments[i].deleted;
    struct row_set *mask = mem_calloc(1, sizeof *mask);
    enum dp_status status = mask ? DP_OK : call_nomem(call, "a mask of rows");
    if (status == DP_OK)
        status = row_set_init(mask, view->base->manifest.segments[i].rows, &call->error);
    if (status) {
        mem_free(mask);
        return status;
    }
    if (deleted) {
        memcpy(mask->bits, deleted->set.bits, (size_t)(mask->rows / 8 + 1));
        mask->count = deleted->set.count;
    }
    *out = mask;
    return DP_OK;
}

/* Masks all rows of pending loads. */
static enum dp_status hide_loads(struct call *call, struct view *view)
{
    enum dp_status status = DP_OK;
    for (size_t i = view->base->listed_count; i < view->base->manifest.segment_count && status == DP_OK; i++) {
        struct row_set **mask = &view->locked.masks[i];
        status = view_make_mask(call, view, i, mask);
        for (uint64_t row = 0; status == DP_OK && row < (*mask)->rows; row++)
            row_set_add(*mask, row);
    }
    return status;
}

enum dp_status view_new(struct call *call, const struct index_reader *reader, struct snapshot *base,
                        struct view **out)
{
    struct view *view = mem_calloc(1, sizeof *view);
    struct row_set **masks = mem_calloc(base->manifest.segment_count + 1, sizeof(struct row_set *));
    enum load_fate *fates = mem_calloc(base->load_count + 1, sizeof *fates);
    if (!view || !masks || !fates || init_view_locks(view)) {
        mem_free(view);
        mem_free(masks);
        mem_free(fates);
        snapshot_release(base);
        return call_nomem(call, "a namespace");
    }
    const struct manifest *m = &base->manifest;
    atomic_init(&view->references, 1);
    view->reader = reader;
    view->base = base;
    view->locked.masks = masks;
    view->locked.fates = fates;
    view->locked.at = (struct view_position){m->wal_floor, m->wal_chain};
    atomic_init(&view->last, m->wal_floor);
    tail_init(&view->locked.tail);
    enum dp_status status = hide_loads(call, view);
    if (status)
        view_release(view);
    else
        *out = view;
    return status;
}

struct view *view_retain(struct view *view)
{
    atomic_fetch_add(&view->references, 1);
    return view;
}

void view_free_mask(struct row_set *mask)
{
    if (mask)
        row_set_deinit(mask);
    mem_free(mask);
}

void view_release(struct view *view)
{
    if (!view || atomic_fetch_sub(&view->references, 1) != 1)
        return;
    for (size_t i = 0; i < view->base->manifest.segment_count; i++)
        view_free_mask(view->locked.masks[i]);
    mem_free(view->locked.masks);
    mem_free(view->locked.fates);
    tail_deinit(&view->locked.tail);
    pthread_rwlock_destroy(&view->locked.lock);
    pthread_mutex_destroy(&view->turn.lock);
    pthread_cond_destroy(&view->turn.ended);
    snapshot_release(view->base);
    mem_free(view);
}

void view_lock(struct view *view)
{
    pthread_rwlock_rdlock(&view->locked.lock);
}

void view_unlock(struct view *view)
{
    pthread_rwlock_unlock(&view->locked.lock);
}

const struct row_set *view_mask(const struct view *view, size_t i)
{
    const struct deleted_rows *deleted = view->base->segments[i].deleted;
    if (view->locked.masks[i])
        return view->locked.masks[i];
    return deleted ? &deleted->set : NULL;
}

bool fates_hide(const struct snapshot *base, const enum load_fate *fates, size_t i)
{
    for (size_t n = 0; n < base->load_count && i >= base->listed_count; n++) {
        const struct snapshot_load *load = &base->loads[n];
        if (i >= load->first && i - load->first < load->count)
            return fates[n] != LOAD_ATTACHED;
    }
    return false;
}

bool view_hides(const struct view *view, size_t i)
{
    return fates_hide(view->base, view->locked.fates, i);
}

struct view_position view_position(struct view *view)
{
    view_lock(view);
    struct view_position at = view->locked.at;
    view_unlock(view);
    return at;
}

struct view_counts view_counts(struct view *view)
{
    const struct manifest *m = &view->base->manifest;
    view_lock(view);
    const struct tail *tail = &view->locked.tail;
    struct view_counts counts = {.at = view->locked.at,
                                 .rows = tail->live,
                                 .tail_rows = tail->row_count,
                                 .tail_entries = tail->entry_count,
                                 .tail_bytes = tail->bytes};
    for (size_t i = 0; i < m->segment_count; i++) {
        const struct row_set *mask = view_mask(view, i);
        counts.rows += m->segments[i].rows - (mask ? mask->count : 0);
    }
    view_unlock(view);
    return counts;
}

/* ---- applying entries ---------------------------------------------------------------------------------- */

/* Adds the ids that an entry names and the tail does not have. An id in the tail was looked up before. */
static enum dp_status add_new_keys(struct masking *m, const struct wal_entry *entry)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < entry->count && status == DP_OK; i++) {
        const struct wal_record *record = &entry->records[i];
        bool names = record->kind == WAL_ROW || record->kind == WAL_DELETED;
        if (names && !tail_find(&m->view->locked.tail, record->key))
            status = masking_add_key(m, record->key);
    }
    return status;
}

/* Fails with DP_STALE and the name of a log entry. */
static enum dp_status fail_entry(struct call *call, const struct view *view, uint64_t number, const char *why)
{
    struct object_key key;
    key_of_wal(&key, view->reader->name, &view->base->manifest.incarnation, number);
    return call_fail(call, DP_STALE, "%s: %s", key.text, why);
}

enum dp_status view_check_entry(struct call *call, const struct view *view, const struct wal_entry *entry)
{
    const struct manifest *m = &view->base->manifest;
    uint64_t number = entry->head.number;
    if (!ulid_equal(&entry->head.incarnation, &m->incarnation))
        return fail_entry(call, view, number, "the log entry belongs to another incarnation of the namespace");
    if (entry->head.dim != 0 && entry->head.dim != m->vectors.dim)
        return fail_entry(call, view, number, "its vectors do not have the dimensions that the manifest says");
    for (size_t i = 0; i < entry->count && !wal_entry_names_load(entry); i++) {
        if (entry->records[i].kind == WAL_ATTACH || entry->records[i].kind == WAL_VOID)
            return call_fail(
                call, DP_UNSUPPORTED,
                "log entry %" PRIu64 " has a load beside other records, which this version cannot read", number);
    }
    return DP_OK;
}

enum dp_status view_append(struct call *call, struct view *view, struct wal_entry *entry)
{
    struct view_position *at = &view->locked.at;
    if (entry->head.number <= at->last)
        return DP_OK;
    if (entry->head.number != at->last + 1)
        return fail_entry(call, view, at->last + 1, "the log lacks this entry, but has later ones");
    if (entry->head.chain != at->chain)
        return fail_entry(call, view, entry->head.number, "it does not follow the log entry before it");
    enum dp_status status = tail_append(&view->locked.tail, entry, &call->error);
    if (status == DP_OK) {
        *at = (struct view_position){entry->head.number, entry->hash};
        atomic_store(&view->last, entry->head.number);
    }
    return status;
}

/* Applies entries of rows and deletions. *moved: nothing was done, because another thread changed the view meanwhile.
 * It may have attached a load, whose rows replace those of earlier entries. */
static enum dp_status try_apply_rows(struct call *call, struct view *view, struct wal_entry *const *entries,
                                     size_t count, bool *moved)
{
    struct masking m;
    enum dp_status status = masking_init(&m, call, view);
    *moved = false;
    if (status)
        return status;
    view_lock(view);
    uint64_t last = view->locked.at.last;
    const bool unsettled = view->locked.unsettled; /* view_settle() looks up these ids, too */
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        status = view_check_entry(call, view, entries[i]);
        if (status == DP_OK && entries[i]->head.number > view->locked.at.last && !unsettled)
            status = add_new_keys(&m, entries[i]);
    }
    view_unlock(view);
    masking_add_segments(&m);
    if (status == DP_OK)
        status = masking_search(&m);
    if (status == DP_OK) {
        pthread_rwlock_wrlock(&view->locked.lock);
        *moved = view->locked.at.last != last || view->locked.unsettled != unsettled;
        for (size_t i = 0; i < count && status == DP_OK && !*moved; i++)
            status = view_append(call, view, entries[i]);
        if (!*moved)
            masking_apply(&m);
        view_unlock(view);
    }
    masking_deinit(&m);
    return status;
}

static enum dp_status apply_rows(struct call *call, struct view *view, struct wal_entry *const *entries,
                                 size_t count)
{
    enum dp_status status;
    bool moved;
    do
        status = try_apply_rows(call, view, entries, count, &moved);
    while (status == DP_OK && moved);
    return status;
}

/* Applies an entry that attaches a load or makes it void. */
static enum dp_status apply_load_entry(struct call *call, struct view *view, struct wal_entry *entry)
{
    struct attachment a;
    enum dp_status status = view_check_entry(call, view, entry);
    if (status == DP_OK)
        status = attachment_prepare(call, view, entry, &a);
    if (status)
        return status;
    pthread_rwlock_wrlock(&view->locked.lock);
    bool next = view->locked.at.last < entry->head.number;
    status = view_append(call, view, entry);
    if (status == DP_OK && next)
        attachment_apply(&a);
    view_unlock(view);
    attachment_deinit(&a);
    return status;
}

enum dp_status view_apply_all(struct call *call, struct view *view, struct wal_entry *const *entries, size_t count)
{
    enum dp_status status = DP_OK;
    for (size_t at = 0, end; at < count && status == DP_OK; at = end) {
        for (end = at; end < count && !wal_entry_names_load(entries[end]); end++)
            ;
        if (end > at)
            status = apply_rows(call, view, entries + at, end - at);
        else
            status = apply_load_entry(call, view, entries[end++]);
    }
    return status;
}

enum dp_status view_apply(struct call *call, struct view *view, struct wal_entry *entry)
{
    return view_apply_all(call, view, &entry, 1);
}

/* ---- over another manifest ----------------------------------------------------------------------------- */

/* The entries that a new view gets from an older one. */
struct inheritance {
    struct wal_entry **entries; /* [count], retained: those after the new floor */
    size_t count;
    bool unsettled; /* the older view's masks may lack rows */
    bool loads;     /* one of the entries attaches a load or makes it void */
};

static void inheritance_release(struct inheritance *kept)
{
    for (size_t i = 0; i < kept->count; i++)
        wal_entry_release(kept->entries[i]);
    mem_free(kept->entries);
}

/* Returns whether the tail of `from` is the log after the floor of the manifest `to`. The manifests of one
 * incarnation, as long as they go forward, have one log. The caller holds the lock. */
static bool tail_holds(const struct view *from, const struct manifest *to)
{
    const struct manifest *m = &from->base->manifest;
    return ulid_equal(&m->incarnation, &to->incarnation) && to->sequence >= m->sequence &&
           to->wal_floor >= m->wal_floor && to->wal_floor <= from->locked.at.last;
}

uint64_t view_next_after(struct view *from, const struct manifest *to)
{
    view_lock(from);
    uint64_t last = tail_holds(from, to) ? from->locked.at.last : to->wal_floor;
    view_unlock(from);
    return last + 1;
}

/* Returns the position of the base's segment i in `from`, or SIZE_MAX. */
static size_t find_shared(const struct view *view, size_t i, const struct view *from)
{
    for (size_t k = 0; k < from->base->manifest.segment_count; k++) {
        if (from->base->segments[k].segment == view->base->segments[i].segment)
            return k;
    }
    return SIZE_MAX;
}

/* Gives segment i the rows of `mask` too. A row that was replaced once stays replaced, so no row of an older mask
 * is wrong. */
static enum dp_status inherit_mask(struct call *call, struct view *view, size_t i, const struct row_set *mask)
{
    struct row_set **own = &view->locked.masks[i];
    enum dp_status status = view_make_mask(call, view, i, own);
    if (status)
        return status;
    row_set_join(*own, mask);
    return DP_OK;
}

static void drop_masks(struct view *view)
{
    for (size_t i = 0; i < view->base->listed_count; i++) {
        view_free_mask(view->locked.masks[i]);
        view->locked.masks[i] = NULL;
    }
}

/* Copies the entries after the new floor and the masks of shared segments, all at one moment. */
static enum dp_status take_inheritance(struct call *call, struct view *view, struct view *from,
                                       struct inheritance *kept)
{
    const struct tail *tail = &from->locked.tail;
    uint64_t floor = view->base->manifest.wal_floor;
    enum dp_status status = DP_OK;
    *kept = (struct inheritance){0};
    view_lock(from);
    kept->unsettled = from->locked.unsettled;
    if (tail_holds(from, &view->base->manifest) && floor < from->locked.at.last) {
        kept->entries = mem_calloc(tail->entry_count + 1, sizeof(struct wal_entry *));
        status = kept->entries ? DP_OK : call_nomem(call, "a namespace's log");
        for (size_t i = 0; i < tail->entry_count && status == DP_OK; i++) {
            if (tail->entries[i]->head.number <= floor)
                continue;
            kept->loads = kept->loads || wal_entry_names_load(tail->entries[i]);
            kept->entries[kept->count++] = wal_entry_retain(tail->entries[i]);
        }
        /* If no kept entry is about a load, all pending loads stay hidden, and the masks of listed segments still hold. */
        for (size_t i = 0; i < view->base->listed_count && status == DP_OK && !kept->loads; i++) {
            size_t k = find_shared(view, i, from);
            if (k != SIZE_MAX && from->locked.masks[k] && !view_hides(from, k))
                status = inherit_mask(call, view, i, from->locked.masks[k]);
        }
    }
    view_unlock(from);
    return status;
}

/* Masks the rows that the tail replaces in segments that `from` (or NULL) does not have. Nobody else has the view
 * yet. */
static enum dp_status mask_new_segments(struct call *call, struct view *view, const struct view *from)
{
    const struct tail *tail = &view->locked.tail;
    struct masking m;
    enum dp_status status = masking_init(&m, call, view);
    if (status)
        return status;
    for (size_t i = 0; i < view->base->listed_count; i++) {
        if (!from || find_shared(view, i, from) == SIZE_MAX)
            masking_add_segment(&m, i);
    }
    for (size_t i = 0; m.segment_count && i < tail->row_count && status == DP_OK; i++) {
        if (!tail->rows[i].superseded)
            status = masking_add_key(&m, tail->rows[i].record->key);
    }
    if (status == DP_OK)
        status = masking_search(&m);
    if (status == DP_OK)
        masking_apply(&m);
    masking_deinit(&m);
    return status;
}

enum dp_status view_inherit(struct call *call, struct view *view, struct view *from)
{
    struct inheritance kept;
    enum dp_status status = take_inheritance(call, view, from, &kept);
    /* The first kept entry carries the hash of the entry at the floor. The new manifest must have the same
     * hash. */
    if (kept.count && kept.entries[0]->head.chain != view->locked.at.chain)
        drop_masks(view);
    else if (kept.loads)
        status = view_apply_all(call, view, kept.entries, kept.count);
    else if (kept.count) {
        for (size_t i = 0; i < kept.count && status == DP_OK; i++)
            status = view_append(call, view, kept.entries[i]);
        view->locked.unsettled = kept.unsettled && view->base->load_count == 0;
        if (status == DP_OK && !view->locked.unsettled)
            status = mask_new_segments(call, view, kept.unsettled ? NULL : from);
    }
    inheritance_release(&kept);
    return status;
}
