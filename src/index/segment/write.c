/* segment/write.c: writes a .dpr object. This is its grammar; all numbers are little endian:
 *
 * object  := head VECS DOCS IDXS optional* FILT hot    without bytes between the parts
 * head    := "DPRSEG1\n" u32 format (2) u32 0
 *
 * VECS    := vector*                            full precision, in row order; windows of a row side by side
 * vector  := f32[dim] u64 checksum              XXH3-64 of the floats XOR (number + 1) * 0x9e3779b97f4a7c15
 * DOCS    := (u64 checksum, zstd frame)*        each of at most 64 KiB before compression; checksum: as of a vector
 *   raw   := (varint len, id key, varint len, JSON)*     rows in order; a longer document fills
 *                                               several frames of 64 KiB, without other documents
 * IDXS    := id block*                          sorted by key; each of at most 16 KiB
 *   block := (u8 len, id key, u32 row)*
 *
 * FILT    := block of 32 bytes*                 tells which ids the segment may hold (key_filter.h)
 *
 * hot     := fixed table u64 checksum section*  at most 4 MiB; the checksum covers fixed and table
 * fixed   := "DPRHOT1\n" u32 format (2) u32 sections, ULID (26 bytes) u16 0, u32 dim u32 0,
 *            u64 rows u64 vectors u64 object size
 * table   := (char[4] type, u32 version (1; 2: a hot optional section as a zstd frame), u64 offset, u64 length, u64 checksum)*
 *            offset: in the object; checksum: XXH3-64 of FILT or a hot section; 0 for VECS, DOCS and IDXS, because their
 *            vectors and blocks have checksums; of an optional section, hot or cold, that of all its bytes
 *
 * LIST    := u64 .ivf size, u64 .ivf head length, u64 checksum of that head, u32 nlist, u32 0,
 *            (u64 checksum of the list's bytes, u32 rows that it owns)[nlist]
 * WIND    := (varint row - row before, varint vectors - 1; 0 for a row without vector)*  rows with none or several
 * DFRM    := u64 bytes of all documents, (varint rows, varint bytes in DOCS)*   one for each frame of DOCS; 0 rows: it
 *            holds more of the document before
 * DICT    := the zstd dictionary of DOCS        optional, at most 32 KiB
 * CENT    := the head of the .ivf, packed       optional, at most 2 MiB (ivf_head.h)
 * IBLK    := (u64 checksum, u32 bytes, u32 entries, u8 len, first key)*        one for each id block
 *
 * The checksum of an id block or list is the XXH3-64 of its bytes.
 */
#include "index/segment/write.h"

#include <assert.h>

#include <zdict.h>
#include <zstd.h>

#include "base/alloc.h"
#include "index/segment/key_filter.h"

enum {
    ZSTD_LEVEL = 3,
    FRAME_TARGET = 8 * 1024, /* about the bytes of whole documents in a frame; a hit reads one frame */
    SAMPLES_MAX = 2000,      /* of a dictionary's statistics */
    DICTIONARY_MIN = 1024,
    PACKED_FROM = 1024, /* minimum bytes of an optional hot section that is compressed */
    PACKED_GAIN = 16,   /* the compressed section must be shorter by 1/16 */
    DOCUMENT_MAX = INDEX_DOCUMENT_MAX + 256,
    INDEX_MAX = SEGMENT_HOT_MAX
};

static void init_section(struct optional_section *s)
{
    buffer_init(&s->bytes, INDEX_MAX);
    buffer_init(&s->packed, ZSTD_COMPRESSBOUND((size_t)INDEX_MAX));
}

static void deinit_section(struct optional_section *s)
{
    buffer_deinit(&s->bytes);
    buffer_deinit(&s->packed);
}

enum dp_status segment_write_begin(struct call *call, struct segment_writer *w, struct store *store,
                                   const struct object_key *key, const struct ulid *id, uint32_t dim,
                                   uint64_t rows)
{
    *w = (struct segment_writer){.id = *id, .dim = dim, .filter_len = key_filter_len(rows), .open = SECTION_KINDS};
    object_writer_init(&w->object, store, key);
    buffer_init(&w->windows, INDEX_MAX);
    buffer_init(&w->frames, INDEX_MAX);
    buffer_init(&w->id_index, INDEX_MAX);
    buffer_init(&w->raw, DOCUMENT_MAX + FRAME_TARGET);
    buffer_init(&w->stored, FORMAT_CHECKSUM_LEN + ZSTD_COMPRESSBOUND(SEGMENT_BLOCK_MAX));
    buffer_init(&w->ids_block, SEGMENT_ID_BLOCK_MAX);
    for (enum section_kind kind = 0; kind < SECTION_KINDS; kind++)
        init_section(&w->sections[kind]);
    w->filter = mem_calloc(w->filter_len, 1);
    w->zstd = ZSTD_createCCtx();
    if (!w->filter || !w->zstd)
        return call_nomem(call, "a segment's writer");
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_dictIDFlag, 0);
    struct buffer bytes;
    buffer_init(&bytes, SEGMENT_HEAD_LEN);
    buffer_append_str(&bytes, SEGMENT_MAGIC);
    buffer_u32(&bytes, SEGMENT_FORMAT);
    buffer_u32(&bytes, 0);
    enum dp_status status = buffer_check(&bytes, "a segment's head", &call->error);
    if (status == DP_OK)
        status = object_write(call, &w->object, buffer_span(&bytes));
    buffer_deinit(&bytes);
    return status;
}

void segment_writer_deinit(struct segment_writer *w)
{
    object_writer_deinit(&w->object);
    buffer_deinit(&w->windows);
    buffer_deinit(&w->frames);
    buffer_deinit(&w->id_index);
    buffer_deinit(&w->raw);
    buffer_deinit(&w->stored);
    buffer_deinit(&w->ids_block);
    for (enum section_kind kind = 0; kind < SECTION_KINDS; kind++)
        deinit_section(&w->sections[kind]);
    mem_free(w->filter);
    ZSTD_freeCCtx(w->zstd);
    ZSTD_freeCDict(w->dictionary);
    w->filter = NULL;
    w->zstd = NULL;
    w->dictionary = NULL;
}

enum dp_status segment_write_vectors(struct call *call, struct segment_writer *w, const float *vectors,
                                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct span floats = span_of(vectors + i * w->dim, (size_t)w->dim * 4);
        enum dp_status status = object_write(call, &w->object, floats);
        if (status)
            return status;
        uint64_t sum = segment_piece_checksum(floats, w->vectors++);
        uint8_t bytes[FORMAT_CHECKSUM_LEN];
        for (int b = 0; b < FORMAT_CHECKSUM_LEN; b++)
            bytes[b] = (uint8_t)(sum >> (8 * b));
        status = object_write(call, &w->object, span_of(bytes, sizeof bytes));
        if (status)
            return status;
    }
    if (count != 1) {
        buffer_varint(&w->windows, w->rows - w->window_row);
        buffer_varint(&w->windows, count ? count - 1 : 0);
        w->window_row = (uint32_t)w->rows;
    }
    w->rows++;
    return DP_OK;
}

/* Fills `out` with samples from begin to end, as far as they fit, so that it has all kinds of documents. */
static void choose_content(struct span samples, const size_t *sizes, size_t count, struct buffer *out)
{
    size_t step = samples.len / out->max + 1;
    for (size_t i = 0, at = 0; i < count; at += sizes[i++]) {
        if (i % step == 0 && out->len + sizes[i] <= out->max)
            buffer_append(out, span_of(samples.data + at, sizes[i]));
    }
}

enum dp_status segment_write_dictionary(struct call *call, struct segment_writer *w, struct span samples,
                                        const size_t *sizes, size_t count, size_t max)
{
    const ZDICT_params_t parameters = {.compressionLevel = ZSTD_LEVEL};
    uint8_t dictionary[SEGMENT_DICTIONARY_MAX];
    struct buffer content;
    max = max < SEGMENT_DICTIONARY_MAX ? max : SEGMENT_DICTIONARY_MAX;
    if (max < DICTIONARY_MIN || count == 0)
        return DP_OK;
    buffer_init(&content, max - max / 8); /* the rest is for the statistics */
    choose_content(samples, sizes, count, &content);
    enum dp_status status = buffer_check(&content, "a dictionary", &call->error);
    size_t len = 0;
    if (status == DP_OK && content.len)
        len = ZDICT_finalizeDictionary(dictionary, max, content.data, content.len, samples.data, sizes,
                                       (unsigned)(count < SAMPLES_MAX ? count : SAMPLES_MAX), parameters);
    buffer_deinit(&content);
    if (status || len == 0 || ZDICT_isError(len))
        return status;
    w->dictionary = ZSTD_createCDict(dictionary, len, ZSTD_LEVEL);
    if (!w->dictionary || ZSTD_isError(ZSTD_CCtx_refCDict(w->zstd, w->dictionary)))
        return call_nomem(call, "a dictionary");
    return segment_add_section(call, w, SECTION_DICTIONARY, span_of(dictionary, len));
}

/* Compresses a frame of `rows` documents, or more of the document before (0), writes it, and adds its entry to the
 * frame table. */
static enum dp_status put_frame(struct call *call, struct segment_writer *w, struct span raw, uint64_t rows)
{
    buffer_clear(&w->stored);
    size_t room = ZSTD_compressBound(raw.len);
    uint8_t *to = buffer_reserve(&w->stored, FORMAT_CHECKSUM_LEN + room);
    enum dp_status status = buffer_check(&w->stored, "a document block", &call->error);
    if (status)
        return status;
    size_t len = ZSTD_compress2(w->zstd, to + FORMAT_CHECKSUM_LEN, room, raw.data, raw.len);
    if (ZSTD_isError(len))
        return call_nomem(call, "compressing documents");
    buffer_u64(&w->stored, segment_piece_checksum(span_of(to + FORMAT_CHECKSUM_LEN, len), w->frame_count++));
    w->stored.len += len;
    w->raw_bytes += raw.len;
    buffer_varint(&w->frames, rows);
    buffer_varint(&w->frames, w->stored.len);
    return object_write(call, &w->object, buffer_span(&w->stored));
}

static enum dp_status close_documents(struct call *call, struct segment_writer *w)
{
    struct span left = buffer_span(&w->raw);
    uint64_t rows = w->documents - w->raw_first_row;
    while (left.len) {
        size_t len = left.len > SEGMENT_BLOCK_MAX ? SEGMENT_BLOCK_MAX : left.len;
        enum dp_status status = put_frame(call, w, span_of(left.data, len), rows);
        if (status)
            return status;
        left = span_of(left.data + len, left.len - len);
        rows = 0;
    }
    buffer_clear(&w->raw);
    w->raw_first_row = (uint32_t)w->documents;
    return DP_OK;
}

enum dp_status segment_write_document(struct call *call, struct segment_writer *w, struct span key,
                                      struct span json)
{
    if (w->documents == 0)
        w->documents_at = w->object.size;
    if (w->raw.len && w->raw.len + key.len + json.len + 20 > FRAME_TARGET) {
        enum dp_status status = close_documents(call, w);
        if (status)
            return status;
    }
    buffer_varint(&w->raw, key.len);
    buffer_append(&w->raw, key);
    buffer_varint(&w->raw, json.len);
    buffer_append(&w->raw, json);
    enum dp_status status = buffer_check(&w->raw, "a document block", &call->error);
    w->documents++;
    if (status == DP_OK && w->raw.len >= FRAME_TARGET)
        status = close_documents(call, w);
    return status;
}

static enum dp_status close_ids(struct call *call, struct segment_writer *w)
{
    struct span block = buffer_span(&w->ids_block);
    if (block.len == 0)
        return DP_OK;
    buffer_u64(&w->id_index, checksum64(block));
    buffer_u32(&w->id_index, (uint32_t)block.len);
    buffer_u32(&w->id_index, w->ids_entries);
    buffer_append(&w->id_index, span_of(block.data, 1 + (size_t)block.data[0]));
    enum dp_status status = object_write(call, &w->object, block);
    buffer_clear(&w->ids_block);
    w->ids_entries = 0;
    return status;
}

enum dp_status segment_write_id(struct call *call, struct segment_writer *w, struct span key, uint32_t row)
{
    enum dp_status status = DP_OK;
    if (w->ids == 0) {
        status = close_documents(call, w);
        w->ids_at = w->object.size;
    }
    if (status == DP_OK && w->ids_block.len + 1 + key.len + 4 > SEGMENT_ID_BLOCK_MAX)
        status = close_ids(call, w);
    if (status)
        return status;
    buffer_u8(&w->ids_block, (uint8_t)key.len);
    buffer_append(&w->ids_block, key);
    buffer_u32(&w->ids_block, row);
    key_filter_add(w->filter, w->filter_len, key);
    w->ids_entries++;
    w->ids++;
    return buffer_check(&w->ids_block, "a block of ids", &call->error);
}

/* ---- optional sections ------------------------------------------------------------------------------------ */

/* Ends the ids or the cold section before. */
static enum dp_status close_cold(struct call *call, struct segment_writer *w)
{
    enum dp_status status = DP_OK;
    if (w->ids_end == 0) {
        status = close_ids(call, w);
        w->ids_end = w->object.size;
    }
    if (w->open != SECTION_KINDS)
        w->sections[w->open].checksum = checksum64_end(&w->summed);
    w->open = SECTION_KINDS;
    return status;
}

enum dp_status segment_write_piece(struct call *call, struct segment_writer *w, enum section_kind kind,
                                   struct span bytes)
{
    struct optional_section *s = &w->sections[kind];
    assert(section_is_optional(kind) && !section_is_hot(kind) && (w->open == kind || !s->there));
    if (w->open != kind) {
        enum dp_status status = close_cold(call, w);
        if (status)
            return status;
        s->there = true;
        s->offset = w->object.size;
        w->open = kind;
        checksum64_begin(&w->summed);
    }
    checksum64_update(&w->summed, bytes);
    s->len += bytes.len;
    return object_write(call, &w->object, bytes);
}

uint64_t segment_section_len(const struct segment_writer *w, enum section_kind kind)
{
    return section_is_hot(kind) ? w->sections[kind].bytes.len : w->sections[kind].len;
}

/* Compresses bytes, which replace what `out` has. Leaves it empty unless that makes them shorter. */
static enum dp_status pack_bytes(struct call *call, struct span bytes, struct buffer *out)
{
    buffer_clear(out);
    if (bytes.len < PACKED_FROM)
        return DP_OK;
    const size_t room = ZSTD_compressBound(bytes.len);
    uint8_t *to = buffer_reserve(out, room);
    enum dp_status status = buffer_check(out, "a section of a segment", &call->error);
    if (status != DP_OK)
        return status;
    const size_t len = ZSTD_compress(to, room, bytes.data, bytes.len, ZSTD_LEVEL);
    if (ZSTD_isError(len))
        return call_nomem(call, "compressing a section");
    out->len = len <= bytes.len - bytes.len / PACKED_GAIN ? len : 0;
    return DP_OK;
}

/* Returns the bytes of a hot section as the hot part has them. */
static const struct buffer *stored_bytes(const struct optional_section *s)
{
    return s->packed.len ? &s->packed : &s->bytes;
}

enum dp_status segment_add_section(struct call *call, struct segment_writer *w, enum section_kind kind,
                                   struct span bytes)
{
    struct optional_section *s = &w->sections[kind];
    assert(section_is_optional(kind) && section_is_hot(kind));
    s->there = true;
    buffer_append(&s->bytes, bytes);
    enum dp_status status = buffer_check(&s->bytes, "a section of a segment", &call->error);
    return status == DP_OK ? pack_bytes(call, buffer_span(&s->bytes), &s->packed) : status;
}

enum dp_status segment_offer_section(struct call *call, struct segment_writer *w, enum section_kind kind,
                                     struct span bytes, size_t max, bool *taken)
{
    struct optional_section *s = &w->sections[kind];
    enum dp_status status = segment_add_section(call, w, kind, bytes);
    *taken = status == DP_OK && stored_bytes(s)->len <= max;
    if (*taken)
        return DP_OK;
    s->there = false;
    buffer_clear(&s->bytes);
    buffer_clear(&s->packed);
    return status;
}

size_t segment_hot_left(const struct segment_writer *w, uint32_t nlist)
{
    size_t used = SEGMENT_HOT_FIXED + (size_t)SECTION_KINDS * SEGMENT_TABLE_ENTRY + FORMAT_CHECKSUM_LEN +
                  LIST_FIXED + (size_t)nlist * LIST_ENTRY + w->windows.len + FRAME_TABLE_FIXED + w->frames.len +
                  w->id_index.len + (w->ids_end ? 0 : ID_ENTRY_MAX);
    for (enum section_kind kind = 0; kind < SECTION_KINDS; kind++)
        used += stored_bytes(&w->sections[kind])->len;
    return used < SEGMENT_HOT_MAX ? SEGMENT_HOT_MAX - used : 0;
}

/* ---- the hot part ----------------------------------------------------------------------------------------- */

/* A section, for its entry in the table. */
struct written_section {
    enum section_kind kind;
    struct span bytes; /* the section's bytes if it is hot; data NULL: it is cold */
    bool packed;
    uint64_t offset, len, checksum; /* in the object */
};

/* Appends the hot part, which begins at byte `at` of the object. Sets offset and len of the hot sections. */
static void put_hot(const struct segment_writer *w, struct written_section *sections, uint32_t count, uint64_t at,
                    struct buffer *out)
{
    size_t start = out->len;
    uint64_t next = at + SEGMENT_HOT_FIXED + (uint64_t)count * SEGMENT_TABLE_ENTRY + FORMAT_CHECKSUM_LEN;
    for (uint32_t i = 0; i < count; i++) {
        if (!sections[i].bytes.data)
            continue;
        sections[i].offset = next;
        sections[i].len = sections[i].bytes.len;
        next += sections[i].len;
    }
    buffer_append_str(out, SEGMENT_HOT_MAGIC);
    buffer_u32(out, SEGMENT_FORMAT);
    buffer_u32(out, count);
    buffer_append(out, ulid_span(&w->id));
    buffer_u16(out, 0);
    buffer_u32(out, w->dim);
    buffer_u32(out, 0);
    buffer_u64(out, w->rows);
    buffer_u64(out, w->vectors);
    buffer_u64(out, next);
    for (uint32_t i = 0; i < count; i++) {
        buffer_append(out, span_of(section_types[sections[i].kind], SECTION_TYPE_LEN));
        buffer_u32(out, sections[i].packed ? SECTION_PACKED : SECTION_VERSION);
        buffer_u64(out, sections[i].offset);
        buffer_u64(out, sections[i].len);
        buffer_u64(out, sections[i].bytes.data ? checksum64(sections[i].bytes) : sections[i].checksum);
    }
    if (out->status == DP_OK)
        buffer_u64(out, checksum64(span_of(out->data + start, out->len - start)));
    for (uint32_t i = 0; i < count; i++)
        buffer_append(out, sections[i].bytes);
}

static enum dp_status put_lists(struct call *call, const struct segment_lists *lists, struct buffer *out)
{
    buffer_u64(out, lists->ivf_size);
    buffer_u64(out, lists->ivf_head);
    buffer_u64(out, lists->ivf_head_checksum);
    buffer_u32(out, lists->nlist);
    buffer_u32(out, 0);
    for (uint32_t i = 0; i < lists->nlist; i++) {
        buffer_u64(out, lists->checksums[i]);
        buffer_u32(out, lists->rows[i]);
    }
    return buffer_check(out, "a segment's lists", &call->error);
}

/* Fails when the buffer of a hot section has failed. */
static enum dp_status check_sections(struct call *call, const struct segment_writer *w)
{
    enum dp_status status = buffer_check(&w->windows, "a segment's windows", &call->error);
    if (status == DP_OK)
        status = buffer_check(&w->frames, "a segment's frames", &call->error);
    if (status == DP_OK)
        status = buffer_check(&w->id_index, "a segment's id index", &call->error);
    return status;
}

/* Returns the bytes of a hot section, whose data is never NULL. */
static struct span section_bytes(const struct buffer *bytes)
{
    static const uint8_t nothing[1];
    return bytes->len ? buffer_span(bytes) : span_of(nothing, 0);
}

/* Collects the sections and appends the hot part to `hot`. */
static enum dp_status put_sections(struct call *call, const struct segment_writer *w, const struct buffer *lists,
                                   const struct buffer *frames, struct buffer *hot)
{
    const struct span filter = span_of(w->filter, w->filter_len);
    struct written_section sections[SECTION_KINDS] = {
        {.kind = SECTION_VECTORS, .offset = SEGMENT_HEAD_LEN, .len = w->documents_at - SEGMENT_HEAD_LEN},
        {.kind = SECTION_DOCUMENTS, .offset = w->documents_at, .len = w->ids_at - w->documents_at},
        {.kind = SECTION_IDS, .offset = w->ids_at, .len = w->ids_end - w->ids_at},
        {.kind = SECTION_FILTER,
         .offset = w->object.size - filter.len,
         .len = filter.len,
         .checksum = checksum64(filter)},
        {.kind = SECTION_LISTS, .bytes = section_bytes(lists)},
        {.kind = SECTION_WINDOWS, .bytes = section_bytes(&w->windows)},
        {.kind = SECTION_FRAMES, .bytes = section_bytes(frames)},
        {.kind = SECTION_ID_INDEX, .bytes = section_bytes(&w->id_index)},
    };
    uint32_t count = 8;
    for (enum section_kind kind = 0; kind < SECTION_KINDS; kind++) {
        const struct optional_section *s = &w->sections[kind];
        if (s->there && section_is_hot(kind))
            sections[count++] = (struct written_section){
                .kind = kind, .bytes = section_bytes(stored_bytes(s)), .packed = s->packed.len > 0};
        else if (s->there)
            sections[count++] = (struct written_section){
                .kind = kind, .offset = s->offset, .len = s->len, .checksum = s->checksum};
    }
    put_hot(w, sections, count, w->object.size, hot);
    return buffer_check(hot, "a segment's hot part", &call->error);
}

enum dp_status segment_write_end(struct call *call, struct segment_writer *w, const struct segment_lists *lists,
                                 struct manifest_segment *listed)
{
    struct buffer list, frames, hot;
    buffer_init(&list, INDEX_MAX);
    buffer_init(&frames, INDEX_MAX);
    buffer_init(&hot, INDEX_MAX);
    enum dp_status status = close_cold(call, w);
    if (status == DP_OK)
        status = object_write(call, &w->object, span_of(w->filter, w->filter_len));
    uint64_t hot_offset = w->object.size;
    if (status == DP_OK)
        status = put_lists(call, lists, &list);
    if (status == DP_OK)
        status = check_sections(call, w);
    if (status == DP_OK) {
        buffer_u64(&frames, w->raw_bytes);
        buffer_append(&frames, buffer_span(&w->frames));
        status = buffer_check(&frames, "a segment's frames", &call->error);
    }
    if (status == DP_OK)
        status = put_sections(call, w, &list, &frames, &hot);
    if (status == DP_OK)
        status = object_write(call, &w->object, buffer_span(&hot));
    if (status == DP_OK)
        status = object_writer_finish(call, &w->object);
    if (status == DP_OK) {
        listed->id = w->id;
        listed->rows = w->rows;
        listed->vectors = w->vectors;
        listed->dpr_size = w->object.size;
        listed->hot_offset = hot_offset;
        listed->hot_len = hot.len;
        listed->ivf_size = lists->ivf_size;
        listed->ivf_head = lists->ivf_head;
        listed->centroids = w->sections[SECTION_CENTROIDS].there;
    }
    buffer_deinit(&list);
    buffer_deinit(&frames);
    buffer_deinit(&hot);
    return status;
}
