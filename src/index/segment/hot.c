/* segment/hot.c: parses the hot part of a segment.
 *
 * It verifies the checksum of the fixed part and the table, then that of each section, before it uses their bytes.
 * The checksums find damage. The bounds checks find mistakes of the program that wrote the object, and keep a
 * forged object from causing reads outside it. The length of the hot part, at most 4 MiB, bounds the memory.
 */
#include "index/segment/segment.h"

#include <inttypes.h>

#include <zstd.h>

#include "base/checksum.h"
#include "index/segment/key_filter.h"

enum { ARENA_MAX = 128 * 1024 * 1024 };

/* The state of one segment_parse_hot(). */
struct hot_parser {
    struct span front; /* bytes read before the hot part, for the filter of ids; may be empty */
    struct span bytes; /* the hot part */
    const struct manifest_segment *listed;
    struct segment_hot *out;
    struct segment_section sections[SECTION_KINDS]; /* as the table describes them */
    bool packed[SECTION_KINDS];                     /* sections whose bytes lie unpacked in the arena */
    struct dp_error *error;
};

static enum dp_status fail_corrupt(struct hot_parser *p, const char *what)
{
    return dp_fail(p->error, DP_CORRUPT, "%s", what);
}

/* Returns whether the section is the filter of ids and lies before the hot part. In older segments it lies in it. */
static bool is_before_hot(const struct hot_parser *p, enum section_kind kind, const struct segment_section *s)
{
    return kind == SECTION_FILTER && s->offset < p->listed->hot_offset;
}

/* Decompresses the bytes of a section into the arena. */
static enum dp_status unpack_section(struct hot_parser *p, enum section_kind kind, struct segment_section *s)
{
    unsigned long long raw = ZSTD_getFrameContentSize(s->bytes.data, s->bytes.len);
    if (raw == 0 || raw > SEGMENT_HOT_MAX) /* zstd's two error values are above the maximum */
        return dp_fail(p->error, DP_CORRUPT, "section %s is malformed", section_types[kind]);
    uint8_t *to = arena_alloc(&p->out->arena, (size_t)raw);
    if (!to)
        return dp_fail_nomem(p->error, "a segment's section");
    if (ZSTD_decompress(to, (size_t)raw, s->bytes.data, s->bytes.len) != raw)
        return dp_fail(p->error, DP_CORRUPT, "section %s does not decompress", section_types[kind]);
    s->bytes = span_of(to, (size_t)raw);
    p->packed[kind] = true;
    return DP_OK;
}

static enum dp_status parse_entry(struct hot_parser *p, struct cursor *c)
{
    struct span type = cursor_bytes(c, SECTION_TYPE_LEN);
    uint32_t version = cursor_u32(c);
    struct segment_section s = {.offset = cursor_u64(c), .len = cursor_u64(c), .there = true};
    s.checksum = cursor_u64(c);
    enum section_kind kind = SECTION_VECTORS;
    while (kind < SECTION_KINDS && !span_equal_str(type, section_types[kind]))
        kind++;
    if (kind == SECTION_KINDS)
        return DP_OK; /* a section that this build does not use */
    const bool packed = version == SECTION_PACKED && section_is_hot(kind) && section_is_optional(kind);
    if (version != SECTION_VERSION && !packed)
        return dp_fail(p->error, DP_UNSUPPORTED, "section %s has version %" PRIu32 "; this build reads %d",
                       section_types[kind], version, SECTION_VERSION);
    if (p->sections[kind].there)
        return dp_fail(p->error, DP_CORRUPT, "section %s occurs twice", section_types[kind]);
    if (section_is_hot(kind) && !is_before_hot(p, kind, &s)) {
        uint64_t base = p->listed->hot_offset;
        if (s.offset < base || !span_sub(p->bytes, s.offset - base, s.len, &s.bytes) ||
            checksum64(s.bytes) != s.checksum)
            return dp_fail(p->error, DP_CORRUPT, "the checksum of section %s does not fit", section_types[kind]);
    } else if (s.offset < SEGMENT_HEAD_LEN || s.offset > p->listed->hot_offset ||
               s.len > p->listed->hot_offset - s.offset)
        return dp_fail(p->error, DP_CORRUPT, "section %s lies outside the object", section_types[kind]);
    enum dp_status status = packed ? unpack_section(p, kind, &s) : DP_OK;
    p->sections[kind] = s;
    return status;
}

static enum dp_status parse_table(struct hot_parser *p, uint32_t dim)
{
    struct segment_hot *out = p->out;
    struct cursor c = cursor_over(p->bytes);
    if (!span_equal_str(cursor_bytes(&c, FORMAT_MAGIC_LEN), SEGMENT_HOT_MAGIC))
        return fail_corrupt(p, "the hot part does not begin with its magic bytes");
    uint32_t format = cursor_u32(&c), count = cursor_u32(&c);
    if (format < SEGMENT_FORMAT_OLDEST || format > SEGMENT_FORMAT)
        return dp_fail(p->error, DP_UNSUPPORTED, "it has format version %" PRIu32 "; this build reads %d to %d",
                       format, SEGMENT_FORMAT_OLDEST, SEGMENT_FORMAT);
    out->format = format;
    if (count > SEGMENT_SECTIONS_MAX)
        return fail_corrupt(p, "it has too many sections");
    size_t covered = SEGMENT_HOT_FIXED + (size_t)count * SEGMENT_TABLE_ENTRY;
    struct span sum;
    if (!span_sub(p->bytes, covered, FORMAT_CHECKSUM_LEN, &sum))
        return fail_corrupt(p, "the hot part is too short");
    struct cursor at_sum = cursor_over(sum);
    if (cursor_u64(&at_sum) != checksum64(span_of(p->bytes.data, covered)))
        return fail_corrupt(p, "the checksum of its table does not fit");
    struct span id = cursor_bytes(&c, ULID_LEN);
    uint16_t zero = cursor_u16(&c);
    out->dim = cursor_u32(&c);
    uint32_t zeros = cursor_u32(&c);
    out->rows = cursor_u64(&c);
    out->vectors = cursor_u64(&c);
    out->size = cursor_u64(&c);
    if (!ulid_parse(id, &out->id) || !ulid_equal(&out->id, &p->listed->id) || zero != 0 || zeros != 0 ||
        (out->dim != dim && out->vectors) || out->rows != p->listed->rows || out->vectors != p->listed->vectors ||
        out->size != p->listed->dpr_size)
        return fail_corrupt(p, "it is not the segment that the manifest lists");
    out->dim = dim; /* a segment without a vector may be older than the first vector of its namespace */
    for (uint32_t i = 0; i < count; i++) {
        enum dp_status status = parse_entry(p, &c);
        if (status)
            return status;
    }
    for (enum section_kind kind = 0; kind < SECTION_KINDS; kind++) {
        if (!p->sections[kind].there && section_is_required(kind, format))
            return dp_fail(p->error, DP_CORRUPT, "section %s is missing", section_types[kind]);
    }
    return DP_OK;
}

/* Finds the bytes of the filter of ids. Leaves them empty if they lie before the hot part and were not read. */
static enum dp_status find_filter(struct hot_parser *p, struct span *filter)
{
    const struct segment_section *s = &p->sections[SECTION_FILTER];
    *filter = s->bytes;
    if (!is_before_hot(p, SECTION_FILTER, s))
        return DP_OK;
    if (s->offset + s->len != p->listed->hot_offset || s->len != key_filter_len(p->out->rows))
        return fail_corrupt(p, "section FILT does not lie before the hot part");
    if (p->front.len == 0)
        return DP_OK;
    if (!span_sub(p->front, p->front.len - s->len, s->len, filter) || checksum64(*filter) != s->checksum)
        return fail_corrupt(p, "the checksum of section FILT does not fit");
    return DP_OK;
}

static enum dp_status parse_vectors_and_filter(struct hot_parser *p)
{
    struct segment_hot *out = p->out;
    const struct segment_section *vectors = &p->sections[SECTION_VECTORS];
    if (vectors->len != out->vectors * segment_vector_len(out->dim)) /* manifest_check bounds the product */
        return fail_corrupt(p, "section VECS has the wrong length");
    out->vectors_offset = vectors->offset;
    struct span filter;
    enum dp_status status = find_filter(p, &filter);
    if (status)
        return status;
    const uint64_t len = p->sections[SECTION_FILTER].len;
    if (len == 0 || len % KEY_FILTER_BLOCK != 0)
        return fail_corrupt(p, "section FILT has the wrong length");
    if (filter.len == 0)
        return DP_OK;
    out->filter = arena_copy(&out->arena, filter);
    return out->filter.data ? DP_OK : dp_fail_nomem(p->error, "a segment's filter");
}

static enum dp_status parse_lists(struct hot_parser *p)
{
    struct segment_hot *out = p->out;
    struct cursor c = cursor_over(p->sections[SECTION_LISTS].bytes);
    out->ivf_size = cursor_u64(&c);
    out->ivf_head = cursor_u64(&c);
    out->ivf_head_checksum = cursor_u64(&c);
    out->nlist = cursor_u32(&c);
    uint32_t zero = cursor_u32(&c);
    if (c.failed || zero != 0 || c.rest.len != (uint64_t)out->nlist * LIST_ENTRY || out->nlist == 0)
        return fail_corrupt(p, "section LIST has the wrong length");
    if (out->ivf_size != p->listed->ivf_size || out->ivf_head != p->listed->ivf_head)
        return fail_corrupt(p, "section LIST and the manifest disagree about the .ivf object");
    out->list_rows = arena_array(&out->arena, out->nlist, sizeof *out->list_rows);
    out->list_checksums = arena_array(&out->arena, out->nlist, sizeof *out->list_checksums);
    if (!out->list_rows || !out->list_checksums)
        return dp_fail_nomem(p->error, "a segment's lists");
    uint64_t rows = 0;
    for (uint32_t i = 0; i < out->nlist; i++) {
        out->list_checksums[i] = cursor_u64(&c);
        out->list_rows[i] = cursor_u32(&c);
        rows += out->list_rows[i];
    }
    return rows == out->rows ? DP_OK : fail_corrupt(p, "the lists do not own all rows");
}

static enum dp_status parse_windows(struct hot_parser *p)
{
    struct segment_hot *out = p->out;
    struct span bytes = p->sections[SECTION_WINDOWS].bytes;
    out->windows = arena_array(&out->arena, bytes.len / WINDOW_ENTRY_MIN + 1, sizeof *out->windows);
    if (!out->windows)
        return dp_fail_nomem(p->error, "a segment's windows");
    struct cursor c = cursor_over(bytes);
    uint64_t row = 0, next = 0, first = 0; /* `first`: number of the first vector of row `next` */
    while (c.rest.len) {
        uint64_t gap = cursor_varint(&c), more = cursor_varint(&c);
        if (c.failed || gap >= out->rows || row + gap >= out->rows || (gap == 0 && out->window_count) ||
            more >= INDEX_WINDOWS_MAX)
            return fail_corrupt(p, "section WIND is malformed");
        row += gap;
        first += row - next;
        uint32_t vectors = more ? (uint32_t)more + 1 : 0;
        out->windows[out->window_count++] = (struct window_run){(uint32_t)row, vectors, first};
        first += vectors;
        next = row + 1;
    }
    return out->rows - next + first == out->vectors ? DP_OK
                                                    : fail_corrupt(p, "section WIND and the vectors disagree");
}

/* Parses the document index of format 1. */
static enum dp_status parse_document_index(struct hot_parser *p)
{
    struct segment_hot *out = p->out;
    const struct segment_section *stored = &p->sections[SECTION_DOCUMENTS];
    struct span bytes = p->sections[SECTION_DOCUMENT_INDEX].bytes;
    if (bytes.len == 0 || bytes.len % DOCUMENT_ENTRY != 0)
        return fail_corrupt(p, "section DBLK has the wrong length");
    out->document_count = bytes.len / DOCUMENT_ENTRY;
    out->documents = arena_array(&out->arena, out->document_count, sizeof *out->documents);
    if (!out->documents)
        return dp_fail_nomem(p->error, "a segment's document index");
    struct cursor c = cursor_over(bytes);
    uint64_t at = 0;
    for (size_t i = 0; i < out->document_count; i++) {
        struct document_block *b = &out->documents[i], *before = i ? b - 1 : NULL;
        b->checksum = cursor_u64(&c);
        b->first_row = cursor_u32(&c);
        b->stored = cursor_u32(&c);
        b->raw = cursor_u32(&c);
        b->offset = stored->offset + at;
        at += b->stored;
        out->document_bytes += b->raw;
        bool more = before && before->first_row == b->first_row; /* b is another piece of a long document */
        bool after_more = i > 1 && !more && before->first_row == before[-1].first_row;
        if (b->stored == 0 || b->raw == 0 || b->raw > SEGMENT_BLOCK_MAX || b->first_row >= out->rows ||
            (before ? b->first_row < before->first_row : b->first_row != 0) ||
            (after_more && b->first_row != before->first_row + 1) || (more && before->raw != SEGMENT_BLOCK_MAX))
            return fail_corrupt(p, "section DBLK is malformed");
    }
    const struct document_block *last = &out->documents[out->document_count - 1];
    if (out->document_count > 1 && last[-1].first_row == last->first_row && last->first_row + 1 != out->rows)
        return fail_corrupt(p, "section DBLK does not reach the last row");
    return at == stored->len ? DP_OK : fail_corrupt(p, "sections DOCS and DBLK disagree");
}

/* Parses the frame table of format 2. A frame without rows holds more of the document before. */
static enum dp_status parse_frames(struct hot_parser *p)
{
    struct segment_hot *out = p->out;
    const struct segment_section *stored = &p->sections[SECTION_DOCUMENTS];
    struct cursor c = cursor_over(p->sections[SECTION_FRAMES].bytes);
    out->document_bytes = cursor_u64(&c);
    out->documents = arena_array(&out->arena, c.rest.len / FRAME_ENTRY_MIN + 1, sizeof *out->documents);
    if (!out->documents)
        return dp_fail_nomem(p->error, "a segment's frames");
    uint64_t at = 0, row = 0, before = 0; /* the rows so far, and the rows of the document run before */
    while (c.rest.len && !c.failed) {
        uint64_t rows = cursor_varint(&c), len = cursor_varint(&c);
        if (c.failed || (rows == 0 && before != 1) || rows > out->rows - row || len <= FORMAT_CHECKSUM_LEN ||
            len > stored->len - at)
            return fail_corrupt(p, "section DFRM is malformed");
        before = rows ? rows : before;
        out->documents[out->document_count++] = (struct document_block){
            .offset = stored->offset + at, .first_row = (uint32_t)(rows ? row : row - 1), .stored = (uint32_t)len};
        row += rows;
        at += len;
    }
    return !c.failed && row == out->rows && at == stored->len ? DP_OK
                                                              : fail_corrupt(p, "sections DOCS and DFRM disagree");
}

static enum dp_status parse_documents(struct hot_parser *p)
{
    return p->out->format == SEGMENT_FORMAT_OLDEST ? parse_document_index(p) : parse_frames(p);
}

/* Makes the dictionary of the documents ready for use. */
static enum dp_status parse_dictionary(struct hot_parser *p)
{
    const struct segment_section *s = &p->sections[SECTION_DICTIONARY];
    if (!s->there)
        return DP_OK;
    if (s->bytes.len == 0 || s->bytes.len > SEGMENT_DICTIONARY_MAX)
        return fail_corrupt(p, "section DICT has the wrong length");
    p->out->dictionary = ZSTD_createDDict(s->bytes.data, s->bytes.len);
    return p->out->dictionary ? DP_OK : fail_corrupt(p, "section DICT is not a dictionary");
}

static enum dp_status parse_ids(struct hot_parser *p)
{
    struct segment_hot *out = p->out;
    const struct segment_section *stored = &p->sections[SECTION_IDS];
    struct span bytes = arena_copy(&out->arena, p->sections[SECTION_ID_INDEX].bytes); /* id keys point here */
    out->ids =
        arena_array(&out->arena, p->sections[SECTION_ID_INDEX].bytes.len / ID_ENTRY_MIN + 1, sizeof *out->ids);
    if (!out->ids || !bytes.data)
        return dp_fail_nomem(p->error, "a segment's id index");
    struct cursor c = cursor_over(bytes);
    uint64_t at = 0, entries = 0;
    while (c.rest.len) {
        struct id_block *b = &out->ids[out->id_count];
        b->checksum = cursor_u64(&c);
        b->stored = cursor_u32(&c);
        b->entries = cursor_u32(&c);
        b->first = cursor_bytes(&c, cursor_u8(&c));
        b->offset = stored->offset + at;
        if (c.failed || b->stored == 0 || b->stored > SEGMENT_ID_BLOCK_MAX || b->entries == 0 ||
            b->first.len < 2 || (out->id_count && span_compare(b[-1].first, b->first) >= 0))
            return fail_corrupt(p, "section IBLK is malformed");
        at += b->stored;
        entries += b->entries;
        out->id_count++;
    }
    if (at != stored->len || entries != out->rows)
        return fail_corrupt(p, "sections IDXS and IBLK disagree");
    return DP_OK;
}

/* Keeps the optional sections. Their rooms parse the bytes. */
static enum dp_status keep_sections(struct hot_parser *p)
{
    struct segment_hot *out = p->out;
    for (enum section_kind kind = 0; kind < SECTION_KINDS; kind++) {
        if (!section_is_optional(kind) || kind == SECTION_DICTIONARY || !p->sections[kind].there)
            continue;
        struct segment_section *s = &out->sections[kind];
        *s = p->sections[kind];
        if (!section_is_hot(kind) || p->packed[kind])
            continue;
        s->bytes = arena_copy(&out->arena, s->bytes);
        if (!s->bytes.data)
            return dp_fail_nomem(p->error, "a segment's section");
    }
    return DP_OK;
}

const struct segment_section *segment_section(const struct segment_hot *hot, enum section_kind kind)
{
    return hot->sections[kind].there ? &hot->sections[kind] : NULL;
}

struct opening_range segment_opening_range(const struct manifest_segment *listed, bool filter)
{
    uint64_t before = filter ? key_filter_len(listed->rows) : 0;
    before = before < listed->hot_offset ? before : listed->hot_offset;
    return (struct opening_range){listed->hot_offset - before, before + listed->hot_len};
}

enum dp_status segment_parse_hot(struct span bytes, const struct manifest_segment *listed, uint32_t dim,
                                 struct segment_hot *out, struct dp_error *error)
{
    *out = (struct segment_hot){0};
    arena_init(&out->arena, ARENA_MAX);
    struct hot_parser p = {.listed = listed, .out = out, .error = error};
    if (bytes.len && bytes.len >= listed->hot_len) {
        p.front = span_of(bytes.data, bytes.len - (size_t)listed->hot_len);
        p.bytes = span_of(bytes.data + p.front.len, (size_t)listed->hot_len);
    }
    enum dp_status status = p.bytes.data ? DP_OK : fail_corrupt(&p, "the hot part has the wrong length");
    if (status == DP_OK)
        status = parse_table(&p, dim);
    if (status == DP_OK)
        status = parse_vectors_and_filter(&p);
    if (status == DP_OK)
        status = parse_lists(&p);
    if (status == DP_OK)
        status = parse_windows(&p);
    if (status == DP_OK)
        status = parse_documents(&p);
    if (status == DP_OK)
        status = parse_dictionary(&p);
    if (status == DP_OK)
        status = parse_ids(&p);
    if (status == DP_OK)
        status = keep_sections(&p);
    if (status)
        segment_hot_deinit(out);
    return status;
}

void segment_hot_deinit(struct segment_hot *hot)
{
    ZSTD_freeDDict(hot->dictionary);
    arena_deinit(&hot->arena);
    *hot = (struct segment_hot){0};
}
