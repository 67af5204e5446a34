/* test_index_segment.c: what a segment's writer puts into a .dpr object, its parser finds: also the optional
 * sections. */
#include "index_fixture.h"

#include <string.h>

#include "index/id.h"
#include "index/segment/key_filter.h"
#include "index/segment/write.h"

enum { ROWS = 3, SEGMENT_DIM = 2, PIECES = 3, PIECE_LEN = 1000 };

/* A segment of ROWS rows, as its writer made it. */
struct written {
    struct manifest_segment listed;
    struct object_key key;
    struct span bytes; /* of the object */
};

static void write_piece(struct world *w, struct segment_writer *to, enum section_kind kind, uint8_t value)
{
    uint8_t piece[PIECE_LEN];
    memset(piece, value, sizeof piece);
    assert_int_equal(segment_write_piece(&w->call, to, kind, span_of(piece, sizeof piece)), DP_OK);
}

static void write_rows(struct world *w, struct segment_writer *to)
{
    static const float vectors[ROWS][SEGMENT_DIM] = {{1, 2}, {3, 4}, {5, 6}};
    struct id_key keys[ROWS];
    for (uint32_t row = 0; row < ROWS; row++) {
        assert_int_equal(id_encode((struct index_id){.number = row}, &keys[row], &w->call.error), DP_OK);
        assert_int_equal(segment_write_vectors(&w->call, to, vectors[row], 1), DP_OK);
    }
    for (uint32_t row = 0; row < ROWS; row++)
        assert_int_equal(segment_write_document(&w->call, to, id_key_span(&keys[row]), span_str("{}")), DP_OK);
    for (uint32_t row = 0; row < ROWS; row++)
        assert_int_equal(segment_write_id(&w->call, to, id_key_span(&keys[row]), row), DP_OK);
}

/* Begins a segment whose .dpr object is out->key. */
static void begin_segment(struct world *w, struct segment_writer *to, uint64_t rows, struct written *out)
{
    struct ulid segment;
    assert_true(ulid_parse(span_str("01M8NHWQGE6ZHDX39ZES098W6F"), &segment));
    key_of_dpr(&out->key, span_str("rows"), &segment, &segment);
    assert_int_equal(segment_write_begin(&w->call, to, w->store, &out->key, &segment, SEGMENT_DIM, rows), DP_OK);
}

static void end_segment(struct world *w, struct segment_writer *to, const struct segment_lists *lists,
                        struct written *out)
{
    assert_int_equal(segment_write_end(&w->call, to, lists, &out->listed), DP_OK);
    segment_writer_deinit(to);
    struct store_read_req req = {.key = object_key_span(&out->key), .len = STORE_TO_END};
    assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
    out->bytes = arena_copy(&w->arena, req.bytes.span);
    store_read_release(&req, 1);
}

/* Writes a segment; `optional`: with two cold optional sections and two hot ones, of which one is empty. */
static void write_segment(struct world *w, bool optional, struct written *out)
{
    static const uint32_t list_rows[1] = {ROWS};
    static const uint64_t list_checksums[1] = {7};
    const struct segment_lists lists = {100, 50, 1, 1, list_rows, list_checksums};
    struct segment_writer to;
    begin_segment(w, &to, ROWS, out);
    write_rows(w, &to);
    if (optional) {
        for (int i = 0; i < PIECES; i++)
            write_piece(w, &to, SECTION_FIRST_CODES, (uint8_t)i);
        assert_int_equal(segment_section_len(&to, SECTION_FIRST_CODES), PIECES * PIECE_LEN);
        write_piece(w, &to, SECTION_VALUES, 9);
        size_t left = segment_hot_left(&to, 1);
        assert_int_equal(segment_add_section(&w->call, &to, SECTION_LENGTHS, span_str("one ")), DP_OK);
        assert_int_equal(segment_add_section(&w->call, &to, SECTION_LENGTHS, span_str("two")), DP_OK);
        assert_int_equal(segment_add_section(&w->call, &to, SECTION_ATTRIBUTES, span_str("")), DP_OK);
        assert_int_equal(segment_hot_left(&to, 1), left - strlen("one two"));
    }
    end_segment(w, &to, &lists, out);
}

static struct span hot_bytes(const struct written *s)
{
    return span_of(s->bytes.data + s->listed.hot_offset, s->listed.hot_len);
}

/* Returns the filter of ids and the hot part. */
static struct span opening_bytes(const struct written *s)
{
    const struct opening_range range = segment_opening_range(&s->listed, true);
    return span_of(s->bytes.data + range.offset, (size_t)range.len);
}

static void check_cold(const struct written *s, const struct segment_hot *hot, enum section_kind kind,
                       uint64_t len, uint8_t first)
{
    const struct segment_section *section = segment_section(hot, kind);
    struct span bytes;
    assert_non_null(section);
    assert_int_equal(section->len, len);
    assert_true(span_sub(s->bytes, section->offset, section->len, &bytes));
    assert_int_equal(bytes.data[0], first);
    assert_true(checksum64(bytes) == section->checksum);
}

static void test_segment_has_the_optional_sections_that_were_written(void **state)
{
    struct world *w = *state;
    struct written s = {0};
    struct segment_hot hot;
    write_segment(w, true, &s);
    assert_int_equal(segment_parse_hot(hot_bytes(&s), &s.listed, SEGMENT_DIM, &hot, &w->call.error), DP_OK);
    assert_int_equal(hot.format, SEGMENT_FORMAT);
    assert_int_equal(hot.rows, ROWS);
    check_cold(&s, &hot, SECTION_FIRST_CODES, PIECES * PIECE_LEN, 0);
    check_cold(&s, &hot, SECTION_VALUES, PIECE_LEN, 9);
    assert_true(span_equal_str(segment_section(&hot, SECTION_LENGTHS)->bytes, "one two"));
    assert_int_equal(segment_section(&hot, SECTION_ATTRIBUTES)->bytes.len, 0);
    assert_null(segment_section(&hot, SECTION_TERMS));
    assert_null(segment_section(&hot, SECTION_VECTORS)); /* every segment has it: its fields are in segment_hot */
    segment_hot_deinit(&hot);
}

/* Adds `len` bytes to a hot optional section; `random`: so that nothing makes them shorter. */
static void add_hot(struct world *w, struct segment_writer *to, enum section_kind kind, size_t len, bool random)
{
    uint8_t bytes[4 * PIECE_LEN];
    uint64_t seed = 5;
    for (size_t i = 0; i < len; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        bytes[i] = (uint8_t)(random ? seed >> 56 : i / 100);
    }
    assert_int_equal(segment_add_section(&w->call, to, kind, span_of(bytes, len)), DP_OK);
}

static void test_segment_packs_hot_sections_that_become_shorter(void **state)
{
    static const uint32_t list_rows[1] = {ROWS};
    static const uint64_t list_checksums[1] = {7};
    const struct segment_lists lists = {100, 50, 1, 1, list_rows, list_checksums};
    struct world *w = *state;
    struct written s = {0};
    struct segment_writer to;
    struct segment_hot hot;
    begin_segment(w, &to, ROWS, &s);
    write_rows(w, &to);
    add_hot(w, &to, SECTION_LENGTHS, 4 * PIECE_LEN, false);
    add_hot(w, &to, SECTION_TERM_INDEX, 3 * PIECE_LEN, true);
    add_hot(w, &to, SECTION_ATTRIBUTES, PIECE_LEN, false);
    end_segment(w, &to, &lists, &s);
    assert_int_equal(segment_parse_hot(hot_bytes(&s), &s.listed, SEGMENT_DIM, &hot, &w->call.error), DP_OK);
    const struct segment_section *lengths = segment_section(&hot, SECTION_LENGTHS);
    const struct segment_section *terms = segment_section(&hot, SECTION_TERM_INDEX);
    assert_int_equal(lengths->bytes.len, 4 * PIECE_LEN);
    assert_true(lengths->len < PIECE_LEN); /* in the object */
    for (size_t i = 0; i < lengths->bytes.len; i++)
        assert_int_equal(lengths->bytes.data[i], i / 100);
    assert_int_equal(terms->bytes.len, 3 * PIECE_LEN);
    assert_int_equal(terms->len, 3 * PIECE_LEN);
    assert_int_equal(segment_section(&hot, SECTION_ATTRIBUTES)->len, PIECE_LEN); /* too short to be packed */
    segment_hot_deinit(&hot);
}

static void test_segment_needs_no_optional_section(void **state)
{
    struct world *w = *state;
    struct written s = {0};
    struct segment_hot hot;
    write_segment(w, false, &s);
    assert_int_equal(segment_parse_hot(hot_bytes(&s), &s.listed, SEGMENT_DIM, &hot, &w->call.error), DP_OK);
    assert_int_equal(hot.id_count, 1);
    segment_hot_deinit(&hot);
}

static void test_segment_opens_with_and_without_its_filter_of_ids(void **state)
{
    struct world *w = *state;
    struct written s = {0};
    struct segment_hot hot;
    struct id_key key;
    write_segment(w, false, &s);
    struct span all = arena_copy(&w->arena, opening_bytes(&s));
    const size_t filter = all.len - (size_t)s.listed.hot_len;
    assert_int_equal(filter, KEY_FILTER_BLOCK);
    assert_int_equal(segment_parse_hot(all, &s.listed, SEGMENT_DIM, &hot, &w->call.error), DP_OK);
    assert_int_equal(hot.filter.len, filter);
    assert_int_equal(id_encode((struct index_id){.number = 2}, &key, &w->call.error), DP_OK);
    assert_true(key_filter_maybe(hot.filter, id_key_span(&key)));
    segment_hot_deinit(&hot);
    assert_int_equal(segment_parse_hot(hot_bytes(&s), &s.listed, SEGMENT_DIM, &hot, &w->call.error), DP_OK);
    assert_int_equal(hot.filter.len, 0);
    segment_hot_deinit(&hot);
    for (size_t at = 0; at < filter; at++) {
        uint8_t *byte = (uint8_t *)(uintptr_t)all.data + at;
        *byte ^= 1;
        assert_int_equal(segment_parse_hot(all, &s.listed, SEGMENT_DIM, &hot, &w->call.error), DP_CORRUPT);
        *byte ^= 1;
        const struct span cut = span_of(all.data + at + 1, all.len - at - 1);
        assert_int_equal(segment_parse_hot(cut, &s.listed, SEGMENT_DIM, &hot, &w->call.error),
                         at + 1 == filter ? DP_OK : DP_CORRUPT);
        if (at + 1 == filter)
            segment_hot_deinit(&hot);
    }
}

static void test_segment_finds_every_changed_byte_of_its_hot_part(void **state)
{
    struct world *w = *state;
    struct written s = {0};
    write_segment(w, true, &s);
    struct span hot_part = arena_copy(&w->arena, hot_bytes(&s));
    uint8_t *bytes = (uint8_t *)(uintptr_t)hot_part.data;
    for (size_t at = 0; at < hot_part.len; at++) {
        struct segment_hot hot;
        bytes[at] ^= 0x20;
        enum dp_status status = segment_parse_hot(hot_part, &s.listed, SEGMENT_DIM, &hot, &w->call.error);
        bytes[at] ^= 0x20;
        if (status != DP_CORRUPT && status != DP_UNSUPPORTED)
            fail_msg("a changed byte at %zu gives %s", at, dp_status_name(status));
        dp_error_clear(&w->call.error);
    }
}

/* ---- documents -------------------------------------------------------------------------------------------- */

enum { DOCUMENTS = 300, LONG_ROW = 100, LONG_LEN = 200 * 1000, SAMPLES = 100, DICTIONARY = 8192 };

/* Makes the document of a row. One document is longer than a frame can be. */
static struct span document_of(struct world *w, uint32_t row)
{
    if (row == LONG_ROW) {
        char *text = arena_alloc(&w->arena, LONG_LEN);
        assert_non_null(text);
        for (size_t i = 0; i < LONG_LEN; i++)
            text[i] = (char)('a' + i * i % 23);
        return span_of(text, LONG_LEN);
    }
    return span_str(arena_printf(&w->arena,
                                 "{\"package\":\"lib%u\",\"section\":\"libs\",\"text\":\"a shared library for "
                                 "the number %u, which other programs use\",\"size\":%u}",
                                 row, row * 7919, row * 104729));
}

static void write_documents(struct world *w, struct segment_writer *to)
{
    size_t sizes[SAMPLES];
    struct buffer samples;
    buffer_init(&samples, 1 << 20);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        struct span document = document_of(w, i);
        sizes[i] = document.len;
        buffer_append(&samples, document);
    }
    for (uint32_t row = 0; row < DOCUMENTS; row++)
        assert_int_equal(segment_write_vectors(&w->call, to, NULL, 0), DP_OK);
    assert_int_equal(segment_write_dictionary(&w->call, to, buffer_span(&samples), sizes, SAMPLES, DICTIONARY),
                     DP_OK);
    buffer_deinit(&samples);
    for (uint32_t row = 0; row < DOCUMENTS; row++) {
        struct id_key key;
        assert_int_equal(id_encode((struct index_id){.number = row}, &key, &w->call.error), DP_OK);
        assert_int_equal(segment_write_document(&w->call, to, id_key_span(&key), document_of(w, row)), DP_OK);
    }
    for (uint32_t row = 0; row < DOCUMENTS; row++) {
        struct id_key key;
        assert_int_equal(id_encode((struct index_id){.number = row}, &key, &w->call.error), DP_OK);
        assert_int_equal(segment_write_id(&w->call, to, id_key_span(&key), row), DP_OK);
    }
}

static enum dp_status read_document(struct world *w, const struct written *s, const struct segment_hot *hot,
                                    uint32_t row, struct segment_document *out)
{
    struct document_run run = segment_documents_of(hot, row);
    struct span stored, raw;
    assert_true(span_sub(s->bytes, run.offset, run.len, &stored));
    enum dp_status status = segment_inflate(hot, &run, stored, &w->arena, &raw, &w->call.error);
    return status == DP_OK ? segment_find_document(&run, raw, row, out, &w->call.error) : status;
}

static void test_segment_documents_lie_in_frames_with_a_dictionary(void **state)
{
    static const uint32_t list_rows[1] = {DOCUMENTS};
    static const uint64_t list_checksums[1];
    struct world *w = *state;
    const struct segment_lists lists = {0, 0, 0, 1, list_rows, list_checksums};
    struct written s = {0};
    struct segment_writer to;
    struct segment_hot hot;
    begin_segment(w, &to, DOCUMENTS, &s);
    write_documents(w, &to);
    end_segment(w, &to, &lists, &s);
    assert_int_equal(segment_parse_hot(hot_bytes(&s), &s.listed, SEGMENT_DIM, &hot, &w->call.error), DP_OK);
    assert_non_null(hot.dictionary);
    assert_true(hot.document_bytes > LONG_LEN);
    for (uint32_t row = 0; row < DOCUMENTS; row++) {
        struct segment_document document;
        struct document_run run = segment_documents_of(&hot, row);
        assert_true(row == LONG_ROW ? run.rows == 1 && run.count == 4 : run.count == 1);
        assert_int_equal(read_document(w, &s, &hot, row, &document), DP_OK);
        assert_true(span_equal(document.json, document_of(w, row)));
    }
    segment_hot_deinit(&hot);
}

/* A frame at the place of another one has a checksum that does not fit. */
static void test_segment_notices_a_frame_at_the_wrong_place(void **state)
{
    static const uint32_t list_rows[1] = {DOCUMENTS};
    static const uint64_t list_checksums[1];
    struct world *w = *state;
    const struct segment_lists lists = {0, 0, 0, 1, list_rows, list_checksums};
    struct written s = {0};
    struct segment_writer to;
    struct segment_hot hot;
    struct segment_document document;
    begin_segment(w, &to, DOCUMENTS, &s);
    write_documents(w, &to);
    end_segment(w, &to, &lists, &s);
    assert_int_equal(segment_parse_hot(hot_bytes(&s), &s.listed, SEGMENT_DIM, &hot, &w->call.error), DP_OK);
    hot.documents[0].offset = hot.documents[1].offset;
    hot.documents[0].stored = hot.documents[1].stored;
    assert_int_equal(read_document(w, &s, &hot, 0, &document), DP_CORRUPT);
    segment_hot_deinit(&hot);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_segment_has_the_optional_sections_that_were_written),
        IN_MEMORY(test_segment_packs_hot_sections_that_become_shorter),
        IN_MEMORY(test_segment_needs_no_optional_section),
        IN_MEMORY(test_segment_opens_with_and_without_its_filter_of_ids),
        IN_MEMORY(test_segment_documents_lie_in_frames_with_a_dictionary),
        IN_MEMORY(test_segment_notices_a_frame_at_the_wrong_place),
        IN_MEMORY(test_segment_finds_every_changed_byte_of_its_hot_part),
    };
    return test_run(tests);
}
