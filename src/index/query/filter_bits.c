/* filter_bits.c: makes the sets of rows that match a filter.
 *
 *   1. read the columns that the filter needs, where segments have them (column_read.c);
 *   2. read the documents of rows about which the columns cannot decide. If they are many, read those of the whole segment, as
 *      for a segment without columns.
 */
#include "index/query/filter_bits.h"

#include "base/alloc.h"
#include "base/array.h"
#include "index/query/column_read.h"
#include "index/query/reader.h"

enum {
    /* If more than OPEN_MIN rows of a segment, and more than 1/OPEN_PART of its rows, need their documents, all
     * documents of the segment are read. */
    OPEN_MIN = 64,
    OPEN_PART = 16,
    OPEN_BYTES = 8 * 1024 /* about the bytes that are read for the document of one row */
};

/* The state of one filter_bits_make(). */
struct bits_maker {
    struct call *call;
    const struct live_rows *live;
    const struct index_scan *scan;
    struct filter_bits *out;
    bool *wanted;             /* [segment_count]: whose documents are all read */
    struct fetch_place *open; /* [open_count]: rows whose documents decide, in order */
    size_t open_count, open_room;
    live_row_fn *fn; /* of filter_walk_rows(); else NULL */
    void *fn_context;
};

static uint64_t rows_of(const struct bits_maker *m, size_t segment)
{
    return m->live->view->base->segments[segment].segment->hot.rows;
}

/* Adds a row of a segment. */
static enum dp_status add_place(struct bits_maker *m, struct fetch_place place)
{
    uint64_t **words = &m->out->segments[place.segment];
    if (!*words)
        *words = mem_calloc((size_t)(rows_of(m, place.segment) / 64 + 1), sizeof **words);
    if (!*words)
        return call_nomem(m->call, "rows that match");
    (*words)[place.row / 64] |= UINT64_C(1) << (place.row % 64);
    m->out->matches[place.segment]++;
    m->out->total++;
    return DP_OK;
}

static bool bits_match(const struct bits_maker *m, struct span key, struct span document)
{
    return !m->scan->match || m->scan->match(m->scan->match_ctx, key, document);
}

static enum dp_status take_bit(void *context, const struct live_row *row)
{
    struct bits_maker *m = context;
    return bits_match(m, row->key, row->document) ? add_place(m, row->place) : DP_OK;
}

static void match_tail(struct bits_maker *m)
{
    for (size_t i = 0; i < m->live->tail_count; i++) {
        const struct wal_record *record = m->live->tail[i];
        if (bits_match(m, record->key, record->document))
            m->out->tail[m->out->tail_count++] = record;
    }
    m->out->total += m->out->tail_count;
}

/* Adds all rows of the segments, without reading documents. */
static enum dp_status take_all_rows(struct bits_maker *m)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < m->out->segment_count; i++) {
        for (uint32_t row = 0; row < rows_of(m, i) && status == DP_OK; row++) {
            if (live_rows_have(m->live, i, row))
                status = add_place(m, (struct fetch_place){(uint32_t)i, row});
        }
    }
    return status;
}

/* ---- columns ------------------------------------------------------------------------------------------- */

static enum dp_status add_open(struct bits_maker *m, struct fetch_place place)
{
    struct fetch_place *open = array_reserve(m->open, m->open_count, &m->open_room, sizeof *open, 256);
    if (!open)
        return call_nomem(m->call, "rows that match");
    m->open = open;
    m->open[m->open_count++] = place;
    return DP_OK;
}

/* For columns_match: takes the rows of a page that match or may match. A walk needs the documents of both. */
static enum dp_status take_column_bits(void *context, size_t segment, size_t page, const struct column_bits *bits)
{
    struct bits_maker *m = context;
    enum dp_status status = DP_OK;
    for (size_t word = 0; word < COLUMN_PAGE_WORDS; word++) {
        for (uint64_t left = bits->maybe[word]; left && status == DP_OK; left &= left - 1) {
            const unsigned bit = (unsigned)__builtin_ctzll(left);
            const uint64_t row = (uint64_t)page * COLUMN_PAGE_ROWS + word * 64 + bit;
            const struct fetch_place place = {(uint32_t)segment, (uint32_t)row};
            if (!live_rows_have(m->live, segment, row))
                continue;
            status = !m->fn && (bits->yes[word] >> bit & 1) ? add_place(m, place) : add_open(m, place);
        }
    }
    return status;
}

/* Forgets what columns told about a segment. */
static void forget_segment(struct bits_maker *m, size_t segment)
{
    mem_free(m->out->segments[segment]);
    m->out->segments[segment] = NULL;
    m->out->total -= m->out->matches[segment];
    m->out->matches[segment] = 0;
}

/* If the documents of many rows of a segment decide, reads those of all its rows. */
static void walk_open_segments(struct bits_maker *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->open_count;) {
        const size_t begin = i, segment = m->open[i].segment;
        while (i < m->open_count && m->open[i].segment == segment)
            i++;
        m->wanted[segment] = i - begin > OPEN_MIN && i - begin > rows_of(m, segment) / OPEN_PART;
        if (m->wanted[segment]) {
            forget_segment(m, segment);
        } else {
            memmove(m->open + kept, m->open + begin, (i - begin) * sizeof *m->open);
            kept += i - begin;
        }
    }
    m->open_count = kept;
}

/* ---- documents ----------------------------------------------------------------------------------------- */

/* For fetch_rows: a row that columns left open. */
static enum dp_status take_open(void *context, size_t i, const struct fetched_row *row)
{
    struct bits_maker *m = context;
    return bits_match(m, row->key, row->document) ? add_place(m, m->open[i]) : DP_OK;
}

/* Reads the documents of the rows that columns left open, and of the segments without columns. */
static enum dp_status scan_documents(struct bits_maker *m)
{
    const struct index_reader *reader = m->live->view->reader;
    const struct snapshot *base = m->live->view->base;
    uint64_t rows = m->open_count + m->live->tail_count, bytes = m->open_count * (uint64_t)OPEN_BYTES;
    for (size_t i = 0; i < m->out->segment_count; i++) {
        bytes += m->wanted[i] ? base->segments[i].segment->hot.document_bytes : 0;
        rows += m->wanted[i] ? rows_of(m, i) - m->live->masks[i].count : 0;
    }
    enum dp_status status = live_rows_check(m->call, rows, bytes);
    if (status == DP_OK)
        status = live_rows_walk_some(m->call, m->live, m->wanted, take_bit, m);
    if (status == DP_OK)
        status = fetch_rows(m->call, reader->store, reader->round_bytes, base, m->open, m->open_count,
                            FETCH_DOCUMENTS, take_open, m);
    return status;
}

/* Sets m->wanted for the segments that have rows. */
static enum dp_status find_wanted_segments(struct bits_maker *m)
{
    const size_t segments = m->live->view->base->manifest.segment_count;
    m->wanted = mem_calloc(segments + 1, sizeof *m->wanted);
    if (!m->wanted)
        return call_nomem(m->call, "rows that match");
    for (size_t i = 0; i < segments; i++) {
        const struct row_set *mask = &m->live->masks[i];
        m->wanted[i] = !mask->bits || mask->count < mask->rows;
    }
    return DP_OK;
}

static enum dp_status match_segments(struct bits_maker *m)
{
    enum dp_status status = find_wanted_segments(m);
    if (status == DP_OK && m->scan->filter)
        status = columns_match(m->call, m->live, m->scan->filter, m->wanted, take_column_bits, m);
    if (status == DP_OK) {
        walk_open_segments(m);
        status = scan_documents(m);
    }
    mem_free(m->wanted);
    mem_free(m->open);
    return status;
}

enum dp_status filter_bits_make(struct call *call, const struct live_rows *live, const struct index_scan *scan,
                                struct filter_bits *out)
{
    struct bits_maker m = {.call = call, .live = live, .scan = scan, .out = out};
    const size_t segments = live->view->base->manifest.segment_count;
    *out = (struct filter_bits){.segment_count = segments,
                                .segments = mem_calloc(segments + 1, sizeof *out->segments),
                                .matches = mem_calloc(segments + 1, sizeof *out->matches),
                                .tail = mem_calloc(live->tail_count + 1, sizeof(struct wal_record *))};
    if (!out->segments || !out->matches || !out->tail)
        return call_nomem(call, "rows that match");
    match_tail(&m);
    return scan->match ? match_segments(&m) : take_all_rows(&m);
}

/* ---- a walk over rows that may match --------------------------------------------------------------------- */

/* For fetch_rows: gives a row to the function of the walk. */
static enum dp_status give_candidate(void *context, size_t i, const struct fetched_row *fetched)
{
    struct bits_maker *m = context;
    const struct live_row row = {.place = m->open[i], .key = fetched->key, .document = fetched->document};
    return m->fn(m->fn_context, &row);
}

/* Reads the documents of the candidates alone if they are few, else those of the segments that have some. */
static enum dp_status give_candidates(struct bits_maker *m)
{
    const struct index_reader *reader = m->live->view->reader;
    bool whole = m->open_count > OPEN_MIN && m->open_count > m->live->rows / OPEN_PART;
    for (size_t i = 0; i < m->live->view->base->manifest.segment_count; i++)
        whole = whole || m->wanted[i];
    if (!whole)
        return fetch_rows(m->call, reader->store, reader->round_bytes, m->live->view->base, m->open, m->open_count,
                          FETCH_DOCUMENTS, give_candidate, m);
    for (size_t i = 0; i < m->open_count; i++)
        m->wanted[m->open[i].segment] = true;
    return live_rows_walk_some(m->call, m->live, m->wanted, m->fn, m->fn_context);
}

enum dp_status filter_walk_rows(struct call *call, const struct live_rows *live, const struct index_scan *scan,
                                live_row_fn *fn, void *context)
{
    struct bits_maker m = {.call = call, .live = live, .scan = scan, .fn = fn, .fn_context = context};
    if (!scan->filter)
        return live_rows_walk(call, live, fn, context);
    enum dp_status status = find_wanted_segments(&m);
    if (status == DP_OK)
        status = columns_match(call, live, scan->filter, m.wanted, take_column_bits, &m);
    if (status == DP_OK)
        status = give_candidates(&m);
    mem_free(m.wanted);
    mem_free(m.open);
    return status == DP_OK ? live_rows_walk_tail(live, fn, context) : status;
}

void filter_bits_deinit(struct filter_bits *bits)
{
    for (size_t i = 0; bits->segments && i < bits->segment_count; i++)
        mem_free(bits->segments[i]);
    mem_free(bits->segments);
    mem_free(bits->matches);
    mem_free(bits->tail);
    *bits = (struct filter_bits){0};
}

/* Returns the bits of word number `word` that stand for rows [first, end). */
static uint64_t bits_within(uint64_t word, uint64_t first, uint64_t end)
{
    uint64_t begin = word * 64, mask = UINT64_MAX;
    if (first > begin)
        mask &= UINT64_MAX << (first - begin);
    if (end < begin + 64)
        mask &= ~(UINT64_MAX << (end - begin));
    return mask;
}

uint64_t filter_bits_count(const struct filter_bits *bits, size_t segment, uint64_t first, uint64_t count)
{
    const uint64_t *words = bits->segments[segment], end = first + count;
    uint64_t matches = 0;
    if (!words || count == 0)
        return 0;
    for (uint64_t word = first / 64; word <= (end - 1) / 64; word++)
        matches += (uint64_t)__builtin_popcountll(words[word] & bits_within(word, first, end));
    return matches;
}

bool filter_bits_next(const struct filter_bits *bits, size_t segment, uint64_t rows, uint64_t *row)
{
    const uint64_t *words = bits->segments[segment];
    if (!words || *row >= rows)
        return false;
    for (uint64_t word = *row / 64; word * 64 < rows; word++) {
        uint64_t left = words[word] & bits_within(word, *row, rows);
        if (left) {
            *row = word * 64 + (uint64_t)__builtin_ctzll(left);
            return true;
        }
    }
    return false;
}
