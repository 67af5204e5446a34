/* news.c: scores log entries beside the view that lacks them, and appends them later. */
#include "index/query/news.h"

#include <stdlib.h>

#include "base/alloc.h"

void log_news_release(struct log_news *news)
{
    for (size_t i = 0; i < news->count; i++)
        wal_entry_release(news->entries[i]);
    mem_free(news->entries);
    *news = (struct log_news){0};
}

/* Returns whether the entry with this number is the first one that the view can have. The caller holds the lock. */
static bool begins_tail(const struct view *view, uint64_t number)
{
    return view->locked.tail.entry_count == 0 && !view->locked.unsettled && view->locked.at.last + 1 == number;
}

bool log_news_can_wait(struct view *view, struct wal_entry *const *entries, size_t count)
{
    bool can = count && count <= NEWS_MAX && view->base->load_count == 0;
    for (size_t i = 0; i < count && can; i++)
        can = !wal_entry_names_load(entries[i]);
    view_lock(view);
    can = can && begins_tail(view, entries[0]->head.number);
    view_unlock(view);
    return can;
}

enum dp_status log_news_scan(struct call *call, const struct view *view, const struct log_news *news,
                             const struct tail_search *search, struct tail_hit **hits, size_t *count, bool *moved)
{
    struct tail tail;
    enum dp_status status = DP_OK;
    *moved = !begins_tail(view, news->entries[0]->head.number);
    if (*moved)
        return DP_OK;
    tail_init(&tail);
    for (size_t i = 0; i < news->count && status == DP_OK; i++)
        status = tail_append(&tail, news->entries[i], &call->error);
    if (status == DP_OK)
        status = tail_scan(call, &tail, search, hits, count);
    tail_deinit(&tail);
    return status;
}

/* ---- replaced rows ---------------------------------------------------------------------------------------- */

static enum dp_status add_entry_keys(struct masking *m, const struct wal_entry *entry)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < entry->count && status == DP_OK; i++) {
        const struct wal_record *record = &entry->records[i];
        if (record->kind == WAL_ROW || record->kind == WAL_DELETED)
            status = masking_add_key(m, record->key);
    }
    return status;
}

enum dp_status news_search_ask(struct call *call, struct round *round, struct view *view,
                               const struct log_news *news, struct news_search *out, bool *full)
{
    struct masking *m = &out->masking;
    *full = false;
    out->ids = NULL;
    enum dp_status status = masking_init(m, call, view);
    if (status != DP_OK)
        return status;
    masking_add_segments(m);
    for (size_t i = 0; i < news->count && status == DP_OK; i++)
        status = add_entry_keys(m, news->entries[i]);
    if (status == DP_OK)
        status = masking_ask(m, round, &out->ids, full);
    if (status != DP_OK || *full)
        news_search_end(out);
    return status;
}

static int compare_masked(const void *a, const void *b)
{
    const struct masked_row *left = a, *right = b;
    if (left->segment != right->segment)
        return left->segment < right->segment ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

enum dp_status news_search_take(struct news_search *search)
{
    struct masking *m = &search->masking;
    enum dp_status status = search->ids ? id_search_take(search->ids) : DP_OK;
    if (status == DP_OK && m->row_count)
        qsort(m->rows, m->row_count, sizeof *m->rows, compare_masked);
    return status == DP_OK ? masking_make_masks(m) : status;
}

bool news_search_has(const struct news_search *search, size_t segment, uint32_t row)
{
    const struct masking *m = &search->masking;
    const struct masked_row wanted = {.segment = segment, .row = row};
    return m->row_count && bsearch(&wanted, m->rows, m->row_count, sizeof *m->rows, compare_masked);
}

enum dp_status news_search_apply(struct news_search *search, struct log_news *news)
{
    struct masking *m = &search->masking;
    struct view *view = m->view;
    enum dp_status status = DP_OK;
    pthread_rwlock_wrlock(&view->locked.lock);
    const bool first = begins_tail(view, news->entries[0]->head.number);
    for (size_t i = 0; i < news->count && status == DP_OK && first; i++)
        status = view_append(m->call, view, news->entries[i]);
    if (first)
        masking_apply(m);
    view_unlock(view);
    /* Another thread may have brought a part of the entries, or more. */
    if (!first)
        status = view_apply_all(m->call, view, news->entries, news->count);
    news->applied = status == DP_OK;
    return status;
}

void news_search_end(struct news_search *search)
{
    id_search_free(search->ids);
    masking_deinit(&search->masking);
}
