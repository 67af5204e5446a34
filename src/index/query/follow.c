/* follow.c: reads the log behind a manifest. */
#include "index/query/follow.h"

#include "base/alloc.h"
#include "base/array.h"
#include "index/query/reader.h"

/* Fails with DP_STALE unless the log after the view's floor is whole under the manifest in `bytes` too. */
static enum dp_status check_still_whole(struct call *call, const struct view *view, struct span bytes)
{
    const struct snapshot *s = view->base;
    struct manifest m;
    enum dp_status status = manifest_parse(bytes, &m, &call->error);
    if (status) {
        dp_error_prefix(&call->error, "%s", s->manifest_key.text);
        return status;
    }
    if (m.state != NAMESPACE_LIVE || !ulid_equal(&m.incarnation, &s->manifest.incarnation) ||
        m.wal_gone > s->manifest.wal_floor)
        status = call_fail(call, DP_STALE, "%s: it changed while its log was read", s->manifest_key.text);
    manifest_deinit(&m);
    return status;
}

/* Reads the manifest, to check that no log entry was missing when the entries were read for the view (rule L3). */
static enum dp_status confirm_log(struct call *call, const struct view *view)
{
    const struct snapshot *s = view->base;
    struct store_read_req req = {
        .key = object_key_span(&s->manifest_key), .len = STORE_TO_END, .pinned = &s->version, .if_changed = true};
    enum dp_status status = store_read(call, view->reader->store, &req, 1);
    if (status == DP_OK && !req.unchanged)
        status = check_still_whole(call, view, req.bytes.span);
    store_read_release(&req, 1);
    return status;
}

/* Returns how many of `count` entries from `first` on the reader may ask for. */
static size_t until_end(const struct index_reader *reader, uint64_t first, size_t count)
{
    if (reader->log_end == 0)
        return count;
    uint64_t left = first <= reader->log_end ? reader->log_end - first + 1 : 0;
    return left < count ? (size_t)left : count;
}

/* Reads `count` entries after the view's last one. */
static enum dp_status read_entries(struct call *call, const struct view *view, uint64_t first, size_t count,
                                   struct log_run *run)
{
    const struct index_reader *reader = view->reader;
    struct round round;
    struct log_read read;
    *run = (struct log_run){0};
    count = until_end(reader, first, count);
    round_init(&round, call, reader->store, reader->round_bytes);
    enum dp_status status =
        log_read_ask(&round, reader->name, &view->base->manifest.incarnation, first, count, &read);
    if (status == DP_OK)
        status = round_read(&round);
    if (status == DP_OK)
        status = log_read_take(&round, &read, run);
    round_deinit(&round);
    return status;
}

/* Names the first missing entry of a log that has later ones. */
static enum dp_status fail_hole(struct call *call, const struct view *view, uint64_t number)
{
    struct object_key key;
    key_of_wal(&key, view->reader->name, &view->base->manifest.incarnation, number);
    return call_fail(call, DP_STALE, "%s: the log lacks this entry, but has later ones", key.text);
}

/* Entries that a view lacks, in order, from several rounds of reads. */
struct followed {
    struct wal_entry **entries; /* [count], retained */
    size_t count, room;
    int64_t date_ms; /* the store's clock at the latest answer; 0: unknown */
};

static void followed_release(struct followed *f)
{
    for (size_t i = 0; i < f->count; i++)
        wal_entry_release(f->entries[i]);
    mem_free(f->entries);
}

/* Moves the entries of a run to the others. */
static enum dp_status add_run(struct call *call, struct followed *f, struct log_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct wal_entry **entries =
            array_reserve(f->entries, f->count, &f->room, sizeof(struct wal_entry *), LOG_READ_FIRST);
        if (!entries)
            return call_nomem(call, "a log");
        f->entries = entries;
        f->entries[f->count++] = wal_entry_retain(run->entries[i]);
    }
    return DP_OK;
}

/* Reads entries from number `next` on, until one does not exist. `run`: those that are there already. */
static enum dp_status read_to_end(struct call *call, struct view *view, uint64_t next, struct log_run *run,
                                  struct followed *out)
{
    size_t count = run->count < LOG_READ_FIRST ? LOG_READ_FIRST : LOG_READ_MORE;
    /* The reads of a round are no single moment, so the first hole may be an entry that came meanwhile. */
    int holes = 0;
    for (;;) {
        if (run->date_ms > out->date_ms)
            out->date_ms = run->date_ms;
        bool fits = run->first != 0 && run->first <= next; /* another thread may have brought the view further */
        enum dp_status status = fits ? add_run(call, out, run) : DP_OK;
        if (fits && next < run->first + run->count)
            next = run->first + run->count;
        bool hole = fits && run->hole, ended = fits && run->ended && !hole;
        log_run_release(run);
        if (status == DP_OK && hole && holes++)
            status = fail_hole(call, view, next);
        if (status || ended)
            return status;
        status = read_entries(call, view, next, count, run);
        if (status)
            return status;
        count = LOG_READ_MORE;
    }
}

/* Whether answers about the log came so late after the read of the manifest that they do not count yet. */
static bool is_late(const struct view *view, const struct followed *f, const struct manifest_read *seen)
{
    bool by_store = seen->date_ms && (f->date_ms - seen->date_ms) > FOLLOW_GRACE_NS / 1000000;
    return by_store || reader_now_ns(view->reader) - seen->sent_ns > FOLLOW_GRACE_NS;
}

/* Moves the entries to `news` if they can wait. */
static enum dp_status put_off(struct call *call, struct view *view, struct followed *f, struct log_news *news)
{
    enum dp_status status = DP_OK;
    if (!log_news_can_wait(view, f->entries, f->count))
        return DP_OK;
    for (size_t i = 0; i < f->count && status == DP_OK; i++)
        status = view_check_entry(call, view, f->entries[i]);
    if (status != DP_OK)
        return status;
    *news = (struct log_news){.entries = f->entries, .count = f->count};
    *f = (struct followed){0};
    return DP_OK;
}

enum dp_status view_follow(struct call *call, struct view *view, struct log_run *run,
                           const struct manifest_read *seen, struct log_news *news)
{
    struct followed f = {0};
    enum dp_status status = read_to_end(call, view, view_position(view).last + 1, run, &f);
    log_run_release(run);
    /* Others see the view's entries as soon as they are applied, so the answers must count before that. */
    if (status == DP_OK && is_late(view, &f, seen))
        status = confirm_log(call, view);
    if (status == DP_OK && f.count && news)
        status = put_off(call, view, &f, news);
    if (status == DP_OK && f.count)
        status = view_apply_all(call, view, f.entries, f.count);
    followed_release(&f);
    return status;
}

enum dp_status view_open(struct call *call, const struct index_reader *reader, struct manifest *m,
                         const struct store_version *version, struct manifest_read seen, struct view *before,
                         struct view **out)
{
    struct snapshot *base;
    struct view *view;
    struct snapshot_log log = {.first = before ? view_next_after(before, m) : m->wal_floor + 1};
    if (m->features & MANIFEST_FEATURE_LOG)
        log.count = before ? LOG_READ_PROBE : LOG_READ_FIRST; /* an older view has most of the log */
    log.count = until_end(reader, log.first, log.count);
    enum dp_status status = snapshot_open(call, reader->store, reader->name, m, version, seen,
                                          before ? before->base : NULL, reader->round_bytes, &log, &base);
    if (status)
        return status;
    status = view_new(call, reader, base, &view);
    if (status) {
        log_run_release(&log.run);
        return status;
    }
    if (before) {
        atomic_store(&view->busy, atomic_load(&before->busy));
        status = view_inherit(call, view, before);
    }
    /* Nobody else has the view yet. An entry about a load needs the ids at once. */
    view->locked.unsettled = view->locked.unsettled || (!before && base->load_count == 0);
    if (status == DP_OK)
        status = view_follow(call, view, &log.run, &seen, NULL);
    if (view->locked.tail.row_count == 0)
        view->locked.unsettled = false;
    log_run_release(&log.run);
    if (status)
        view_release(view);
    else
        *out = view;
    return status;
}

/* ---- asking whether a view is current ------------------------------------------------------------------ */

enum dp_status current_ask(struct round *round, struct view *view, struct current_read *out)
{
    const struct snapshot *s = view->base;
    const struct store_read_req manifest = {
        .key = object_key_span(&s->manifest_key), .len = STORE_TO_END, .pinned = &s->version, .if_changed = true};
    *out = (struct current_read){.view = view, .manifest = round_ask(round, &manifest)};
    uint64_t last = view_position(view).last;
    size_t count = last > s->manifest.wal_floor ? LOG_READ_SOME : LOG_READ_PROBE;
    if (atomic_load(&view->busy))
        count = LOG_READ_BUSY;
    if (!(s->manifest.features & MANIFEST_FEATURE_LOG))
        count = 0;
    count = until_end(view->reader, last + 1, count);
    return log_read_ask(round, view->reader->name, &s->manifest.incarnation, last + 1, count, &out->log);
}

enum dp_status current_judge(struct round *round, const struct current_read *read, bool *changed,
                             struct store_read_req *newer, struct log_news *news)
{
    struct call *call = round->call;
    const struct store_read_req *manifest = round_answer(round, read->manifest);
    struct log_run run;
    *changed = false;
    if (manifest->status == DP_NOT_FOUND)
        return call_fail(call, DP_NOT_FOUND, "%s: the namespace is gone", read->view->base->manifest_key.text);
    if (manifest->status)
        return round_check(round, read->manifest);
    if (!manifest->unchanged) {
        *newer = round_take(round, read->manifest);
        *changed = true;
        return DP_OK;
    }
    struct manifest_read seen = read->seen;
    seen.date_ms = manifest->date_ms;
    enum dp_status status = log_read_take(round, &read->log, &run);
    if (status == DP_OK)
        atomic_store(&read->view->busy, run.count > 0);
    return status == DP_OK ? view_follow(call, read->view, &run, &seen, news) : status;
}

enum dp_status current_adopt(struct call *call, struct view *before, struct store_read_req *newer,
                             struct manifest_read seen, struct view **out)
{
    struct manifest m;
    enum dp_status status = manifest_parse(newer->bytes.span, &m, &call->error);
    if (status)
        dp_error_prefix(&call->error, "%s", before->base->manifest_key.text);
    else {
        m.date_ms = seen.date_ms = newer->date_ms;
        status = manifest_check_live(&m, before->reader->name, &call->error);
        if (status)
            manifest_deinit(&m);
    }
    if (status == DP_OK)
        status = view_open(call, before->reader, &m, &newer->version, seen, before, out);
    store_read_release(newer, 1);
    return status;
}
