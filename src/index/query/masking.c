/* masking.c: finds the rows of segments that the tail of a view replaces or deletes, and masks them. */
#include "index/query/masking.h"

#include "base/alloc.h"
#include "base/array.h"
#include "index/query/reader.h"

void masking_deinit(struct masking *m)
{
    for (size_t i = 0; m->fresh && i < m->view->base->manifest.segment_count; i++)
        view_free_mask(m->fresh[i]);
    mem_free(m->fresh);
    mem_free(m->keys);
    mem_free(m->segments);
    mem_free(m->places);
    mem_free(m->rows);
}

enum dp_status masking_init(struct masking *m, struct call *call, struct view *view)
{
    size_t segments = view->base->manifest.segment_count + 1;
    *m = (struct masking){.call = call, .view = view};
    m->segments = mem_calloc(segments, sizeof *m->segments);
    m->places = mem_calloc(segments, sizeof *m->places);
    m->fresh = mem_calloc(segments, sizeof(struct row_set *));
    if (m->segments && m->places && m->fresh)
        return DP_OK;
    masking_deinit(m);
    return call_nomem(call, "rows of the log");
}

void masking_add_segment(struct masking *m, size_t place)
{
    const struct segment *segment = m->view->base->segments[place].segment;
    m->places[m->segment_count] = place;
    m->segments[m->segment_count++] =
        (struct searched_segment){&segment->dpr_key, &segment->dpr_version, &segment->hot};
}

void masking_add_segments(struct masking *m)
{
    for (size_t i = 0; i < m->view->base->manifest.segment_count; i++)
        masking_add_segment(m, i);
}

enum dp_status masking_add_key(struct masking *m, struct span key)
{
    struct span *keys = array_reserve(m->keys, m->key_count, &m->key_room, sizeof *keys, 64);
    if (!keys)
        return call_nomem(m->call, "rows of the log");
    m->keys = keys;
    m->keys[m->key_count++] = key;
    return DP_OK;
}

/* Adds a row that a search has found. */
static enum dp_status add_row(void *context, size_t segment, size_t key, uint32_t row)
{
    struct masking *m = context;
    struct masked_row *rows = array_reserve(m->rows, m->row_count, &m->row_room, sizeof *rows, 64);
    if (!rows)
        return call_nomem(m->call, "rows of the log");
    m->rows = rows;
    m->rows[m->row_count++] = (struct masked_row){m->places[segment], key, row};
    return DP_OK;
}

enum dp_status masking_make_masks(struct masking *m)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < m->row_count && status == DP_OK; i++) {
        size_t segment = m->rows[i].segment;
        if (!m->fresh[segment])
            status = view_make_mask(m->call, m->view, segment, &m->fresh[segment]);
    }
    return status;
}

enum dp_status masking_search(struct masking *m)
{
    const struct index_reader *reader = m->view->reader;
    m->key_count = span_sort_unique(m->keys, m->key_count);
    enum dp_status status = id_search(m->call, reader->store, reader->round_bytes, m->segments, m->segment_count,
                                      m->keys, m->key_count, add_row, m);
    return status == DP_OK ? masking_make_masks(m) : status;
}

enum dp_status masking_ask(struct masking *m, struct round *round, struct id_searching **ids, bool *full)
{
    *ids = NULL;
    *full = false;
    m->key_count = span_sort_unique(m->keys, m->key_count);
    if (m->segment_count == 0 || m->key_count == 0)
        return DP_OK;
    return id_search_ask(m->call, round, m->segments, m->segment_count, m->keys, m->key_count, add_row, m, ids,
                         full);
}

void masking_apply(struct masking *m)
{
    struct view *view = m->view;
    for (size_t i = 0; i < m->row_count; i++) {
        const struct masked_row *found = &m->rows[i];
        if (!tail_find(&view->locked.tail, m->keys[found->key]))
            continue; /* the row's entry could not be appended */
        struct row_set **mask = &view->locked.masks[found->segment];
        if (!*mask) {
            *mask = m->fresh[found->segment];
            m->fresh[found->segment] = NULL;
        }
        row_set_add(*mask, found->row);
    }
}
