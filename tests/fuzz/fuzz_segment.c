/* fuzz_segment.c: any bytes as the hot part of a segment, as a block of ids, as a run of documents, as
 * deleted rows, and as the packed head of an .ivf. The target corrects the checksums, to reach the parsers behind them.
 *
 * Input: byte 0 chooses the kind; the rest is its bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "index/segment/deleted.h"
#include "index/segment/ivf_head.h"
#include "index/segment/key_filter.h"
#include "index/segment/segment.h"
#include "index/segment/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DIM = 4, HOT_OFFSET = 100000 };

static uint64_t read_u64(const uint8_t *at)
{
    struct cursor c = cursor_over(span_of(at, 8));
    return cursor_u64(&c);
}

static void write_u64(uint8_t *at, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

/* Corrects the checksums, and makes the listed numbers fit the bytes. */
static void mend_hot(uint8_t *bytes, size_t size, struct manifest_segment *listed)
{
    uint32_t count = bytes[SEGMENT_HOT_SECTIONS_AT] % 32;
    memset(bytes + SEGMENT_HOT_SECTIONS_AT, 0, 4);
    bytes[SEGMENT_HOT_SECTIONS_AT] = (uint8_t)count;
    size_t covered = SEGMENT_HOT_FIXED + count * SEGMENT_TABLE_ENTRY;
    listed->hot_offset = HOT_OFFSET;
    listed->hot_len = size;
    listed->dpr_size = HOT_OFFSET + size;
    listed->rows = read_u64(bytes + SEGMENT_HOT_ROWS_AT) % 5000;
    listed->vectors = read_u64(bytes + SEGMENT_HOT_VECTORS_AT) % 5000;
    write_u64(bytes + SEGMENT_HOT_ROWS_AT, listed->rows);
    write_u64(bytes + SEGMENT_HOT_VECTORS_AT, listed->vectors);
    write_u64(bytes + SEGMENT_HOT_SIZE_AT, listed->dpr_size);
    if (size < covered + FORMAT_CHECKSUM_LEN)
        return;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *entry = bytes + SEGMENT_HOT_FIXED + i * SEGMENT_TABLE_ENTRY;
        uint64_t offset = read_u64(entry + 8), len = read_u64(entry + 16);
        struct span section;
        if (memcmp(entry, section_types[SECTION_FILTER], SECTION_TYPE_LEN) == 0 && offset < HOT_OFFSET) {
            write_u64(entry + 8, HOT_OFFSET - key_filter_len(listed->rows)); /* before the hot part */
            write_u64(entry + 16, key_filter_len(listed->rows));
        }
        if (memcmp(entry, section_types[SECTION_LISTS], SECTION_TYPE_LEN) == 0 && offset >= HOT_OFFSET &&
            span_sub(span_of(bytes, size), offset - HOT_OFFSET, len, &section) && section.len >= 16) {
            listed->ivf_size = read_u64(section.data);
            listed->ivf_head = read_u64(section.data + 8);
        }
        if (offset >= HOT_OFFSET && span_sub(span_of(bytes, size), offset - HOT_OFFSET, len, &section))
            write_u64(entry + 24, checksum64(section));
    }
    write_u64(bytes + covered, checksum64(span_of(bytes, covered)));
}

/* Every look-up that a reader makes must stay inside the object. */
static void use_hot(const struct segment_hot *hot)
{
    for (uint64_t row = 0; row < hot->rows; row++) {
        uint64_t first, count;
        segment_vectors_of(hot, row, &first, &count);
        if (count == 0 || first + count > hot->vectors)
            abort();
        struct document_run run = segment_documents_of(hot, row);
        if (run.first + run.count > hot->document_count || run.first_row > row ||
            row - run.first_row >= run.rows || run.offset + run.len > HOT_OFFSET)
            abort();
    }
    for (size_t i = 0; i < hot->id_count; i++) {
        if (segment_id_block_of(hot, hot->ids[i].first) != i ||
            hot->ids[i].offset + hot->ids[i].stored > HOT_OFFSET)
            abort();
    }
}

/* No place of a term lies outside its section. */
static void use_words(const struct text_index *words)
{
    const struct term_place place = text_index_find(words, 0, span_str("word"));
    if (place.where == TEXT_IN_BLOCK && place.piece->at + place.piece->len > words->terms_len)
        abort();
    if (place.where == TEXT_IN_POSTINGS && place.piece->at + place.piece->len > words->postings_len)
        abort();
}

static void fuzz_hot(uint8_t *bytes, size_t size)
{
    struct manifest_segment listed = {0};
    struct segment_hot hot;
    struct dp_error error;
    if (size < SEGMENT_HOT_FIXED || !ulid_parse(span_of(bytes + SEGMENT_HOT_ULID_AT, ULID_LEN), &listed.id))
        return;
    mend_hot(bytes, size, &listed);
    if (segment_parse_hot(span_of(bytes, size), &listed, DIM, &hot, &error) != DP_OK)
        return;
    use_hot(&hot);
    struct text_index *words;
    if (segment_open_words(&hot, &words, &error) == DP_OK && words)
        use_words(words);
    segment_hot_deinit(&hot);
}

static void fuzz_ids(struct span bytes)
{
    struct segment_hot hot = {.rows = 1000};
    struct id_walk walk = id_walk_over(&hot, bytes);
    struct span key;
    uint32_t row;
    while (id_walk_next(&walk, &key, &row)) {
        if (row >= 1000 || key.data < bytes.data || key.data + key.len > bytes.data + bytes.len)
            abort();
    }
}

/* Decompresses the bytes as the only document block of a segment, and walks the result as documents. */
static void inflate(const struct segment_hot *hot, struct span stored)
{
    struct document_run run = {.count = 1, .rows = 100, .len = stored.len};
    struct segment_document document;
    struct arena arena;
    struct dp_error error;
    struct span raw;
    arena_init(&arena, 1 << 20);
    if (segment_inflate(hot, &run, stored, &arena, &raw, &error) == DP_OK)
        segment_find_document(&run, raw, 99, &document, &error);
    arena_deinit(&arena);
}

static void fuzz_documents(struct span bytes)
{
    struct document_block block = {.checksum = checksum64(bytes),
                                   .stored = (uint32_t)bytes.len,
                                   .raw = bytes.len ? bytes.data[0] * 16U + 1 : 1};
    struct segment_hot hot = {
        .format = SEGMENT_FORMAT_OLDEST, .rows = 100, .documents = &block, .document_count = 1};
    struct document_run run = {.rows = 100};
    struct segment_document document;
    struct dp_error error;
    inflate(&hot, bytes);
    segment_find_document(&run, bytes, 50, &document, &error); /* walks the bytes themselves too */
    uint8_t *frame = malloc(bytes.len + FORMAT_CHECKSUM_LEN);
    if (!frame)
        return;
    write_u64(frame, segment_piece_checksum(bytes, 0));
    if (bytes.len)
        memcpy(frame + FORMAT_CHECKSUM_LEN, bytes.data, bytes.len);
    hot.format = SEGMENT_FORMAT;
    block.stored = (uint32_t)bytes.len + FORMAT_CHECKSUM_LEN;
    inflate(&hot, span_of(frame, block.stored));
    free(frame);
}

static void fuzz_deleted(uint8_t *bytes, size_t size)
{
    struct ulid segment;
    struct row_set rows;
    struct dp_error error;
    if (size < DELETED_FIXED_LEN || !ulid_parse(span_of(bytes + DELETED_ULID_AT, ULID_LEN), &segment))
        return;
    write_u64(bytes + size - FORMAT_CHECKSUM_LEN, checksum64(span_of(bytes, size - FORMAT_CHECKSUM_LEN)));
    uint64_t count = read_u64(bytes + DELETED_COUNT_AT), all = read_u64(bytes + DELETED_ROWS_AT);
    if (all > 100000 || deleted_parse(span_of(bytes, size), &segment, all, count, &rows, &error) != DP_OK)
        return;
    if (rows.count != count)
        abort();
    row_set_deinit(&rows);
}

/* Byte 0 chooses how many lists the segment has. */
static void fuzz_centroids(struct span bytes)
{
    struct segment_hot hot = {.dim = DIM, .nlist = bytes.len ? bytes.data[0] % 8U + 1 : 1, .ivf_head = 4096};
    struct arena arena;
    struct call call;
    struct buffer head;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    buffer_init(&head, (size_t)hot.ivf_head);
    hot.sections[SECTION_CENTROIDS] = (struct segment_section){
        .there = true, .bytes = bytes.len ? span_of(bytes.data + 1, bytes.len - 1) : bytes};
    ivf_head_unpack(&call, &hot, VECTOR_L2, &head);
    buffer_deinit(&head);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t *copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data + 1, size - 1);
    size--;
    switch (data[0] % 5) {
    case 0: fuzz_hot(copy, size); break;
    case 1: fuzz_ids(span_of(copy, size)); break;
    case 2: fuzz_documents(span_of(copy, size)); break;
    case 3: fuzz_deleted(copy, size); break;
    default: fuzz_centroids(span_of(copy, size)); break;
    }
    free(copy);
    return 0;
}
