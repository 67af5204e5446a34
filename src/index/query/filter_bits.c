/* filter_bits.c: makes the sets of rows that match a filter, by reading the documents of all rows. */
#include "index/query/filter_bits.h"

#include "base/alloc.h"
#include "base/array.h"

/* The state of one filter_bits_make(). */
struct bits_maker {
    struct call *call;
    const struct live_rows *live;
    const struct index_scan *scan;
    struct filter_bits *out;
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

/* Reads the documents of all rows. */
static enum dp_status scan_documents(struct bits_maker *m)
{
    const struct snapshot *base = m->live->view->base;
    uint64_t bytes = 0;
    bool *wanted = mem_calloc(m->out->segment_count + 1, sizeof *wanted);
    if (!wanted)
        return call_nomem(m->call, "rows that match");
    for (size_t i = 0; i < m->out->segment_count; i++) {
        const struct row_set *mask = &m->live->masks[i];
        wanted[i] = !mask->bits || mask->count < mask->rows;
        bytes += wanted[i] ? base->segments[i].segment->hot.document_bytes : 0;
    }
    enum dp_status status = live_rows_check(m->call, m->live->rows, bytes);
    if (status == DP_OK)
        status = live_rows_walk_some(m->call, m->live, wanted, take_bit, m);
    mem_free(wanted);
    return status;
}

enum dp_status filter_bits_make(struct call *call, const struct live_rows *live, const struct index_scan *scan,
                                struct filter_bits *out)
{
    struct bits_maker m = {call, live, scan, out};
    const size_t segments = live->view->base->manifest.segment_count;
    *out = (struct filter_bits){.segment_count = segments,
                                .segments = mem_calloc(segments + 1, sizeof *out->segments),
                                .matches = mem_calloc(segments + 1, sizeof *out->matches),
                                .tail = mem_calloc(live->tail_count + 1, sizeof *out->tail)};
    if (!out->segments || !out->matches || !out->tail)
        return call_nomem(call, "rows that match");
    match_tail(&m);
    return scan->match ? scan_documents(&m) : take_all_rows(&m);
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
