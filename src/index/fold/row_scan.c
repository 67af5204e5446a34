/* row_scan.c: reads the rows of segments in rounds.
 *
 * A piece is a range of document runs of one segment and the vectors of the same rows: two ranges of the .dpr
 * object. A round reads as many pieces as fit. A piece ends at PIECE_BYTES, so that a round can hold some.
 */
#include "index/fold/row_scan.h"

#include "base/alloc.h"
#include "base/array.h"
#include "index/query/snapshot.h"

enum { PIECE_BYTES = 16 << 20, RUN_ARENA_MAX = 64 << 20 };

/* A range of rows of one segment. */
struct scan_piece {
    size_t segment;
    size_t block, blocks;    /* the piece's first document block; number of blocks */
    uint64_t row, end;       /* the piece has rows [row, end) */
    uint64_t vector;         /* number of its first vector */
    uint64_t offset, len;    /* of its documents in the .dpr */
    uint64_t vector_bytes;   /* of its vectors */
    size_t documents_handle; /* of the reads in the round */
    size_t vectors_handle;
};

/* The place where the next piece begins, and the pieces of the current round. */
struct scan_walk {
    struct call *call;
    struct row_scan *scan;
    struct round round;
    struct scan_piece *pieces;
    size_t count, room;
    size_t segment, block;
};

/* ---- opening --------------------------------------------------------------------------------------------- */

/* The reads of one segment's hot part and .del object in a round. */
struct asked_parts {
    size_t hot, deleted;
};

static struct asked_parts ask_parts(struct round *round, const struct scanned_segment *s)
{
    struct asked_parts asked = {0};
    const struct opening_range range = segment_opening_range(&s->listed, true);
    const struct store_read_req hot = {
        .key = object_key_span(&s->dpr_key), .offset = range.offset, .len = (int64_t)range.len};
    asked.hot = round_ask(round, &hot);
    if (!s->listed.has_deleted)
        return asked;
    const struct store_read_req deleted = {.key = object_key_span(&s->del_key),
                                           .len = (int64_t)s->listed.deleted_size};
    asked.deleted = round_ask(round, &deleted);
    return asked;
}

/* Judges a read of an object. A damaged object may have another size: the checksums decide about its parts. */
static enum dp_status check_part(const struct row_scan *scan, const struct store_read_req *read, uint64_t size,
                                 struct dp_error *error)
{
    return scan->lost && read->status == DP_OK ? DP_OK : snapshot_check_read(read, size, error);
}

bool row_scan_is_damage(enum dp_status status)
{
    return status == DP_CORRUPT || status == DP_STALE || status == DP_UNSUPPORTED;
}

static enum dp_status parse_deleted(struct row_scan *scan, struct round *round, const struct asked_parts *asked,
                                    struct scanned_segment *s)
{
    struct dp_error *error = &round->call->error;
    if (!s->listed.has_deleted)
        return row_set_init(&s->deleted, s->listed.rows, error);
    const struct store_read_req *deleted = round_answer(round, asked->deleted);
    enum dp_status status = check_part(scan, deleted, s->listed.deleted_size, error);
    if (status == DP_OK) {
        status = deleted_parse(deleted->bytes.span, &s->listed.id, s->listed.rows, s->listed.deleted_rows,
                               &s->deleted, error);
        if (status)
            dp_error_prefix(error, "%s", s->del_key.text);
    }
    if (!scan->lost || !row_scan_is_damage(status))
        return status;
    dp_error_clear(error);
    s->deleted_unknown = true;
    return row_set_init(&s->deleted, s->listed.rows, error);
}

static enum dp_status parse_parts(struct row_scan *scan, struct round *round, const struct asked_parts *asked,
                                  struct scanned_segment *s)
{
    struct dp_error *error = &round->call->error;
    const struct store_read_req *hot = round_answer(round, asked->hot);
    enum dp_status status = check_part(scan, hot, s->listed.dpr_size, error);
    if (status)
        return status;
    status = segment_parse_hot(hot->bytes.span, &s->listed, scan->dim, &s->hot, error);
    if (status) {
        dp_error_prefix(error, "%s", s->dpr_key.text);
        return status;
    }
    return parse_deleted(scan, round, asked, s);
}

/* Opens segments from *at on in one round, and moves *at behind them. */
static enum dp_status open_some(struct round *round, struct row_scan *scan, struct asked_parts *asked, size_t *at)
{
    size_t begin = *at;
    while (*at < scan->count) {
        const struct manifest_segment *listed = &scan->segments[*at].listed;
        if (!round_takes(round, segment_opening_range(listed, true).len + listed->deleted_size, 2))
            break;
        asked[*at] = ask_parts(round, &scan->segments[*at]);
        ++*at;
    }
    enum dp_status status = round_read(round);
    for (size_t i = begin; i < *at && status == DP_OK; i++)
        status = parse_parts(scan, round, &asked[i], &scan->segments[i]);
    round_release(round);
    return status;
}

static enum dp_status open_scan(struct call *call, struct store *store, struct span name, const struct manifest *m,
                                const struct manifest_segment *listed, size_t count, row_scan_lost_fn *lost,
                                struct row_scan *out)
{
    struct round round;
    *out = (struct row_scan){.store = store,
                             .name = name,
                             .incarnation = m->incarnation,
                             .dim = m->vectors.dim,
                             .count = count,
                             .lost = lost};
    arena_init(&out->scratch, RUN_ARENA_MAX);
    out->segments = mem_calloc(count + 1, sizeof *out->segments);
    struct asked_parts *asked = mem_calloc(count + 1, sizeof *asked);
    enum dp_status status = out->segments && asked ? DP_OK : call_nomem(call, "a scan of rows");
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        struct scanned_segment *s = &out->segments[i];
        s->listed = listed[i];
        struct object_home home = manifest_home(m, name, listed[i].owner);
        key_of_dpr(&s->dpr_key, home.name, home.incarnation, &listed[i].id);
        home = manifest_home(m, name, listed[i].deleted_owner);
        if (listed[i].has_deleted)
            key_of_del(&s->del_key, home.name, home.incarnation, &listed[i].id, &listed[i].deletion);
    }
    round_init(&round, call, store, SCAN_ROUND_BYTES);
    size_t at = 0;
    while (at < count && status == DP_OK)
        status = open_some(&round, out, asked, &at);
    round_deinit(&round);
    mem_free(asked);
    return status;
}

enum dp_status row_scan_open(struct call *call, struct store *store, struct span name, const struct manifest *m,
                             const struct manifest_segment *listed, size_t count, struct row_scan *out)
{
    return open_scan(call, store, name, m, listed, count, NULL, out);
}

enum dp_status row_scan_open_damaged(struct call *call, struct store *store, struct span name,
                                     const struct manifest *m, const struct manifest_segment *listed,
                                     row_scan_lost_fn *lost, struct row_scan *out)
{
    return open_scan(call, store, name, m, listed, 1, lost, out);
}

void row_scan_deinit(struct row_scan *scan)
{
    for (size_t i = 0; scan->segments && i < scan->count; i++) {
        segment_hot_deinit(&scan->segments[i].hot);
        row_set_deinit(&scan->segments[i].deleted);
    }
    mem_free(scan->segments);
    mem_free(scan->vectors);
    arena_deinit(&scan->scratch);
    *scan = (struct row_scan){0};
}

/* ---- pieces ---------------------------------------------------------------------------------------------- */

/* Makes the piece that begins at the walk's place. False: there are no more rows. */
static bool next_piece(const struct scan_walk *w, struct scan_piece *out)
{
    size_t segment = w->segment, block = w->block;
    if (segment < w->scan->count && block == w->scan->segments[segment].hot.document_count) {
        segment++;
        block = 0;
    }
    if (segment == w->scan->count)
        return false;
    const struct segment_hot *hot = &w->scan->segments[segment].hot;
    const struct document_block *first = &hot->documents[block];
    uint64_t last_vector, count;
    *out = (struct scan_piece){.segment = segment,
                               .block = block,
                               .row = first->first_row,
                               .end = first->first_row,
                               .offset = first->offset};
    segment_vectors_of(hot, out->row, &out->vector, &count);
    while (block + out->blocks < hot->document_count && out->len + out->vector_bytes < PIECE_BYTES) {
        struct document_run run = segment_documents_of(hot, hot->documents[block + out->blocks].first_row);
        out->blocks += run.count;
        out->len += run.len;
        out->end = (uint64_t)run.first_row + run.rows;
        segment_vectors_of(hot, out->end - 1, &last_vector, &count);
        out->vector_bytes = (last_vector + count - out->vector) * segment_vector_len(hot->dim);
    }
    return true;
}

static void ask_piece(struct scan_walk *w, struct scan_piece *p)
{
    const struct scanned_segment *s = &w->scan->segments[p->segment];
    const struct store_read_req documents = {
        .key = object_key_span(&s->dpr_key), .offset = p->offset, .len = (int64_t)p->len};
    const struct store_read_req vectors = {.key = object_key_span(&s->dpr_key),
                                           .offset =
                                               s->hot.vectors_offset + p->vector * segment_vector_len(s->hot.dim),
                                           .len = (int64_t)p->vector_bytes};
    p->documents_handle = round_ask(&w->round, &documents);
    if (p->vector_bytes)
        p->vectors_handle = round_ask(&w->round, &vectors);
}

/* Asks the round for pieces until it is full. *more: whether it asked for one. */
static enum dp_status ask_pieces(struct scan_walk *w, bool *more)
{
    struct scan_piece piece;
    w->count = 0;
    while (next_piece(w, &piece) && round_takes(&w->round, piece.len + piece.vector_bytes, 2)) {
        struct scan_piece *pieces = array_reserve(w->pieces, w->count, &w->room, sizeof *pieces, 16);
        if (!pieces)
            return call_nomem(w->call, "a scan of rows");
        w->pieces = pieces;
        ask_piece(w, &piece);
        w->pieces[w->count++] = piece;
        w->segment = piece.segment;
        w->block = piece.block + piece.blocks;
    }
    *more = w->count > 0;
    return DP_OK;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* Copies the vectors of a row out of the piece's bytes, and verifies their checksums. */
static enum dp_status take_vectors(struct scan_walk *w, const struct scan_piece *p, struct span bytes,
                                   struct scanned_row *row)
{
    struct row_scan *scan = w->scan;
    const struct segment_hot *hot = &scan->segments[p->segment].hot;
    uint64_t first, count, len = segment_vector_len(hot->dim);
    segment_vectors_of(hot, row->row, &first, &count);
    size_t floats = (size_t)count * hot->dim;
    if (floats > scan->vectors_room) {
        mem_free(scan->vectors);
        scan->vectors = mem_alloc(floats * sizeof(float));
        scan->vectors_room = scan->vectors ? floats : 0;
        if (!scan->vectors)
            return call_nomem(w->call, "a row's vectors");
    }
    for (uint64_t i = 0; i < count; i++) {
        struct span stored;
        if (!span_sub(bytes, (first + i - p->vector) * len, len, &stored))
            return call_fail(w->call, DP_CORRUPT, "the vectors of row %u lie outside their section", row->row);
        struct span numbers = span_of(stored.data, (size_t)hot->dim * sizeof(float));
        struct cursor sum = cursor_over(span_of(stored.data + numbers.len, FORMAT_CHECKSUM_LEN));
        if (cursor_u64(&sum) != segment_piece_checksum(numbers, first + i))
            return call_fail(w->call, DP_CORRUPT, "the checksum of a vector of row %u does not fit", row->row);
        memcpy(scan->vectors + i * hot->dim, numbers.data, numbers.len);
    }
    row->vectors = scan->vectors;
    row->windows = (uint32_t)count;
    return DP_OK;
}

/* Skips rows that cannot be read, if the scan is one of a damaged segment. Otherwise returns the failure. */
static enum dp_status lose_rows(struct scan_walk *w, enum dp_status failure, uint64_t row, uint64_t count,
                                void *context)
{
    if (!w->scan->lost || !row_scan_is_damage(failure))
        return failure;
    dp_error_clear(&w->call->error);
    return w->scan->lost(w->call, context, (uint32_t)row, (uint32_t)count);
}

/* Gives the rows of one document run. */
static enum dp_status give_run(struct scan_walk *w, const struct scan_piece *p, const struct document_run *run,
                               struct span stored, struct span vectors, row_scan_fn *fn, void *context)
{
    const struct scanned_segment *s = &w->scan->segments[p->segment];
    struct span raw;
    arena_reset(&w->scan->scratch);
    enum dp_status status = segment_inflate(&s->hot, run, stored, &w->scan->scratch, &raw, &w->call->error);
    if (status)
        return lose_rows(w, status, run->first_row, run->rows, context);
    struct cursor c = cursor_over(raw);
    for (uint32_t i = 0; i < run->rows && status == DP_OK; i++) {
        struct scanned_row row = {.segment = p->segment, .row = run->first_row + i};
        row.deleted = row_set_has(&s->deleted, row.row);
        row.key = cursor_bytes(&c, cursor_varint(&c));
        row.document = cursor_bytes(&c, cursor_varint(&c));
        if (c.failed) {
            status = call_fail(w->call, DP_CORRUPT, "row %u is not in its document block", row.row);
            return lose_rows(w, status, row.row, run->rows - i, context);
        }
        status = take_vectors(w, p, vectors, &row);
        status = status == DP_OK ? fn(w->call, context, &row) : lose_rows(w, status, row.row, 1, context);
    }
    if (status == DP_OK && c.rest.len && !w->scan->lost)
        return call_fail(w->call, DP_CORRUPT, "%zu bytes follow the document of row %u", c.rest.len,
                         run->first_row + run->rows - 1);
    return status;
}

static enum dp_status give_piece(struct scan_walk *w, const struct scan_piece *p, row_scan_fn *fn, void *context)
{
    const struct scanned_segment *s = &w->scan->segments[p->segment];
    struct dp_error *error = &w->call->error;
    const struct store_read_req *documents = round_answer(&w->round, p->documents_handle);
    const struct store_read_req *vectors = p->vector_bytes ? round_answer(&w->round, p->vectors_handle) : NULL;
    enum dp_status status = check_part(w->scan, documents, s->listed.dpr_size, error);
    if (status == DP_OK && vectors)
        status = check_part(w->scan, vectors, s->listed.dpr_size, error);
    if (status)
        return lose_rows(w, status, p->row, p->end - p->row, context);
    size_t block = p->block;
    while (block < p->block + p->blocks && status == DP_OK) {
        struct document_run run = segment_documents_of(&s->hot, s->hot.documents[block].first_row);
        struct span stored;
        if (!span_sub(documents->bytes.span, run.offset - p->offset, run.len, &stored))
            return call_fail(w->call, DP_CORRUPT, "%s: documents lie outside their section", s->dpr_key.text);
        status = give_run(w, p, &run, stored, vectors ? vectors->bytes.span : span_of(NULL, 0), fn, context);
        if (status == DP_CORRUPT)
            dp_error_prefix(error, "%s", s->dpr_key.text);
        block += run.count;
        if (status == DP_OK)
            status = call_check(w->call);
    }
    return status;
}

enum dp_status row_scan_run(struct call *call, struct row_scan *scan, row_scan_fn *fn, void *context)
{
    struct scan_walk w = {.call = call, .scan = scan};
    bool more = true;
    round_init(&w.round, call, scan->store, scan->round_bytes ? scan->round_bytes : SCAN_ROUND_BYTES);
    enum dp_status status = ask_pieces(&w, &more);
    while (more && status == DP_OK) {
        status = round_read(&w.round);
        for (size_t i = 0; i < w.count && status == DP_OK; i++)
            status = give_piece(&w, &w.pieces[i], fn, context);
        round_release(&w.round);
        if (status == DP_OK)
            status = ask_pieces(&w, &more);
    }
    round_deinit(&w.round);
    mem_free(w.pieces);
    return status;
}
