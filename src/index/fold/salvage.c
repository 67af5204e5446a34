/* fold/salvage.c: reads the rows that are left of a damaged segment, and finds out the ids of the others. */
#include "index/fold/salvage.h"

#include <stdlib.h>

#include "base/checksum.h"
#include "index/id.h"

/* The salvage of one segment. */
struct segment_salvage {
    struct salvage *s;
    struct row_scan scan;
    struct row_set lost; /* rows that cannot be read and were not deleted */
    uint64_t named;      /* lost rows whose ids were found */
    uint64_t replaced;   /* named rows that the log has replaced or deleted */
    uint64_t shadowed;   /* rows whose ids have live rows in other segments */
};

static const struct scanned_segment *salvaged(const struct segment_salvage *g)
{
    return g->scan.segments;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static bool has_hash(const uint64_t *hashes, size_t count, struct span key)
{
    uint64_t hash = checksum64(key);
    return count && bsearch(&hash, hashes, count, sizeof hash, verify_compare_hashes);
}

static enum dp_status keep_scanned(struct call *call, void *context, const struct scanned_row *row)
{
    struct segment_salvage *g = context;
    struct salvage *s = g->s;
    if (row->deleted)
        return DP_OK;
    if (salvaged(g)->deleted_unknown && has_hash(s->v->live, s->v->live_count, row->key)) {
        g->shadowed++;
        return DP_OK;
    }
    s->kept++;
    if (!s->loader)
        return DP_OK;
    return load_take_row(call, s->loader, row->key, row->vectors, row->windows, row->document);
}

static enum dp_status note_lost(struct call *call, void *context, uint32_t row, uint32_t count)
{
    struct segment_salvage *g = context;
    (void)call;
    for (uint64_t i = row; i < (uint64_t)row + count && i < g->lost.rows; i++) {
        if (!row_set_has(&salvaged(g)->deleted, i))
            row_set_add(&g->lost, i);
    }
    return DP_OK;
}

/* ---- ids of lost rows ------------------------------------------------------------------------------------ */

static void name_lost(struct segment_salvage *g, struct span key, uint32_t row)
{
    struct salvage *s = g->s;
    struct index_id id;
    char uuid[UUID_TEXT_LEN];
    if (row >= g->lost.rows || !row_set_has(&g->lost, row) || !id_decode(key, uuid, &id))
        return;
    g->named++;
    if (has_hash(s->v->written, s->v->written_count, key)) {
        g->replaced++;
        return;
    }
    if (s->lost)
        s->lost(s->context, &id);
}

/* Looks for the ids of lost rows in one id block. A damaged block names none. */
static enum dp_status name_from_block(struct call *call, struct segment_salvage *g, size_t block)
{
    const struct scanned_segment *s = salvaged(g);
    struct store_read_req req = {
        .key = object_key_span(&s->dpr_key), .offset = s->hot.ids[block].offset, .len = s->hot.ids[block].stored};
    struct span key;
    uint32_t row;
    enum dp_status status = store_read(call, g->scan.store, &req, 1);
    if (status == DP_OK)
        status = segment_check_ids(&s->hot, block, req.bytes.span, &call->error);
    if (status == DP_OK) {
        struct id_walk walk = id_walk_over(&s->hot, req.bytes.span);
        while (id_walk_next(&walk, &key, &row))
            name_lost(g, key, row);
    }
    store_read_release(&req, 1);
    if (status == DP_CORRUPT || status == DP_INVALID || status == DP_NOT_FOUND) {
        dp_error_clear(&call->error);
        return DP_OK;
    }
    return status;
}

/* ---- the segment ----------------------------------------------------------------------------------------- */

static enum dp_status read_rows(struct call *call, struct segment_salvage *g,
                                const struct manifest_segment *listed)
{
    struct salvage *s = g->s;
    uint64_t before = s->kept;
    enum dp_status status = row_set_init(&g->lost, listed->rows, &call->error);
    if (status == DP_OK)
        status = row_scan_run(call, &g->scan, keep_scanned, g);
    for (size_t i = 0; i < salvaged(g)->hot.id_count && g->named < g->lost.count && status == DP_OK; i++)
        status = name_from_block(call, g, i);
    s->rows += g->lost.count - g->replaced;
    s->unnamed += g->lost.count - g->named;
    if (salvaged(g)->deleted_unknown && listed->deleted_rows > g->shadowed) {
        uint64_t most = listed->deleted_rows - g->shadowed;
        s->back += most < s->kept - before ? most : s->kept - before;
    }
    return status;
}

enum dp_status salvage_segment(struct call *call, struct salvage *s, const struct manifest_segment *listed)
{
    struct segment_salvage g = {.s = s};
    enum dp_status status =
        row_scan_open_damaged(call, s->v->store, s->v->name, &s->v->manifest, listed, note_lost, &g.scan);
    if (status == DP_OK) {
        status = read_rows(call, &g, listed);
    } else if (row_scan_is_damage(status)) {
        dp_error_clear(&call->error);
        s->rows += listed->rows - listed->deleted_rows;
        s->unnamed += listed->rows - listed->deleted_rows;
        status = DP_OK;
    }
    row_set_deinit(&g.lost);
    row_scan_deinit(&g.scan);
    return status;
}
