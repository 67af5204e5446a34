/* test_index_words.c: segments have a text index of their rows: what loads, folds and merges write. */
#include "index_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/splitmix.h"
#include "index/fold/row_scan.h"
#include "index/query/reader.h"
#include "index/row_text.h"
#include "index/schema_declare.h"
#include "index/segment/words.h"
#include "index/upkeep.h"
#include "index/verify.h"
#include "text/bm25.h"

enum { ROWS = 400, WORDS = 150, TEXT_MAX = 2000 };

/* ---- rows ---------------------------------------------------------------------------------------------- */

static const char declaration[] =
    "{\"text\":{\"type\":\"string\",\"full_text_search\":true},"
    "\"tags\":{\"type\":\"[]string\",\"full_text_search\":{\"tokenizer\":\"pre_tokenized_array\"}},"
    "\"other\":{\"type\":\"string\",\"full_text_search\":{\"stemming\":true,\"case_sensitive\":true}},"
    "\"plain\":\"string\"}";

/* Writes the attributes of a row: texts of words of which the first ones are frequent, and values that are missing,
 * null or empty. */
static const char *attributes_of(uint64_t row, unsigned edition, char text[TEXT_MAX])
{
    uint64_t seed = row * 100 + edition;
    char *end = text + sprintf(text, "{\"plain\":\"not indexed\"");
    if (row % 11 != 3) {
        end += sprintf(end, ",\"text\":\"Common");
        for (uint64_t n = splitmix64_next(&seed) % 40; n > 0; n--)
            end += sprintf(end, " Words%u",
                           (unsigned)(splitmix64_next(&seed) % (1 + splitmix64_next(&seed) % WORDS)));
        end += sprintf(end, "\"");
    }
    if (row % 7 == 0)
        end += sprintf(end, ",\"tags\":%s", row % 2 ? "null" : "[]");
    else
        end += sprintf(end, ",\"tags\":[\"a tag\",\"tag %u\",\"a tag\"]", (unsigned)(row % 5));
    if (row % 3 == 0)
        end += sprintf(end, ",\"other\":\"Running \\u00dcbungen, running %u\"", (unsigned)(row % 13));
    sprintf(end, "}");
    return text;
}

/* Adds rows to a load and commits it. */
static void fill(struct world *w, struct index_loader *loader, uint64_t from, uint64_t to, unsigned edition)
{
    struct index_load_summary summary;
    char id[32], text[TEXT_MAX];
    float vector[FIXTURE_DIM];
    for (uint64_t row = from; row < to; row++) {
        fixture_vector(w, row, 0, edition, vector);
        assert_int_equal(index_load_row(&w->call, loader, fixture_id(row, id), vector, 1,
                                        span_str(attributes_of(row, edition, text))),
                         DP_OK);
    }
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    world_reset(w);
}

static void load_rows(struct world *w, const char *name, uint64_t from, uint64_t to, unsigned edition)
{
    fill(w, fixture_begin(w, name), from, to, edition);
}

/* Makes the namespace with the attributes of `declaration`. */
static void declare(struct world *w, const char *name)
{
    const struct index_vectors vectors = fixture_vectors(w);
    struct schema schema = {0};
    struct schema_changes changes;
    assert_int_equal(schema_declare(&schema, &vectors, &w->arena, span_str(declaration), &changes, &w->call.error),
                     DP_OK);
    assert_int_equal(index_create(&w->call, w->store, span_str(name), &vectors, &schema, NULL), DP_OK);
    world_reset(w);
}

static void write_rows(struct world *w, struct index_reader *reader, uint64_t from, uint64_t to, unsigned edition)
{
    enum { MOST = 100 };
    static char ids[MOST][32], texts[MOST][TEXT_MAX];
    static float vectors[MOST][FIXTURE_DIM];
    struct index_write_row rows[MOST];
    struct index_write_result result;
    assert_true(to - from <= MOST);
    for (uint64_t i = 0; i < to - from; i++) {
        fixture_vector(w, from + i, 0, edition, vectors[i]);
        rows[i] = (struct index_write_row){.id = fixture_id(from + i, ids[i]),
                                           .vectors = vectors[i],
                                           .windows = 1,
                                           .attributes = span_str(attributes_of(from + i, edition, texts[i]))};
    }
    const struct index_write write = {.rows = rows, .count = to - from, .dim = w->dim};
    assert_int_equal(index_write(&w->call, reader, &write, &result), DP_OK);
    world_reset(w);
}

/* ---- the comparison ------------------------------------------------------------------------------------ */

/* A segment whose rows are compared with its text index. */
struct words_check {
    struct world *world;
    struct scanned_segment *segment;
    struct text_index *index;
    const struct schema *schema;
    struct arena arena, scratch;
    uint8_t *object;
    uint64_t postings; /* that the rows have: pairs of a row and a token of it */

    /* Of the present value. */
    struct counted {
        struct span token;
        uint32_t times;
    } counted[128];
    uint32_t count, length;
};

static bool count_token(void *ctx, const struct text_token *token)
{
    struct words_check *c = ctx;
    uint32_t i = 0;
    while (i < c->count && !span_equal(c->counted[i].token, token->text))
        i++;
    if (i == c->count)
        c->counted[c->count++] = (struct counted){arena_copy(&c->scratch, token->text), 0};
    c->counted[i].times++;
    c->length++;
    return true;
}

/* Returns the bytes of a piece. */
static struct span piece_of(const struct words_check *c, bool terms, const struct text_piece *piece)
{
    const struct segment_section *section =
        segment_section(&c->segment->hot, terms ? SECTION_TERMS : SECTION_POSTINGS);
    return span_of(c->object + section->offset + piece->at, piece->len);
}

static void check_posting(struct words_check *c, uint32_t column, const struct counted *counted, uint32_t row)
{
    static struct postings_run run;
    struct postings list;
    bool found, here = false;
    const struct term_place place = text_index_find(c->index, column, counted->token);
    assert_int_not_equal(place.where, TEXT_NOWHERE);
    assert_int_equal(term_place_open(&c->arena, c->index, &place,
                                     piece_of(c, place.where == TEXT_IN_BLOCK, place.piece), column,
                                     counted->token, &found, &list, &c->world->call.error),
                     DP_OK);
    assert_true(found);
    for (uint32_t b = 0; b < list.block_count; b++) {
        if (row < list.blocks[b].before || row > list.blocks[b].last)
            continue;
        assert_true(postings_decode(&list, b, &run));
        for (uint32_t i = 0; i < run.count; i++) {
            if (run.rows[i] != row)
                continue;
            assert_int_equal(run.tfs[i], counted->times);
            assert_int_equal(run.codes[i], bm25_code_of(c->length));
            here = true;
        }
    }
    assert_true(here);
    arena_reset(&c->arena);
}

static enum dp_status check_row(struct call *call, void *context, const struct scanned_row *row)
{
    struct words_check *c = context;
    (void)call;
    for (size_t i = 0; i < c->schema->count; i++) {
        const struct attribute *a = &c->schema->attributes[i];
        struct text_settings settings;
        struct text_analyzer *analyzer;
        struct arena value;
        bool found;
        assert_int_equal(row_text_settings(a, &settings, &found, &c->world->call.error), DP_OK);
        if (!found)
            continue;
        int64_t column = text_index_column(c->index, a->number, row_text_column(a, &settings));
        assert_true(column >= 0);
        arena_init(&value, 1 << 20);
        c->count = c->length = 0;
        assert_int_equal(text_analyzer_new(&settings, &analyzer, &c->world->call.error), DP_OK);
        assert_int_equal(
            row_text_tokens(analyzer, a, row->document, &value, count_token, c, &c->world->call.error), DP_OK);
        for (uint32_t t = 0; t < c->count; t++)
            check_posting(c, (uint32_t)column, &c->counted[t], row->row);
        c->postings += c->count;
        text_analyzer_free(analyzer);
        arena_deinit(&value);
        arena_reset(&c->scratch);
    }
    return DP_OK;
}

/* Returns the number of postings of all terms. */
static uint64_t count_postings(struct words_check *c)
{
    uint64_t postings = 0;
    for (uint32_t i = 0; i < c->index->frequent_count; i++)
        postings += c->index->frequent[i].df;
    for (uint32_t i = 0; i < c->index->block_count; i++) {
        struct text_block_reader r;
        assert_int_equal(text_block_begin(&r, piece_of(c, true, &c->index->blocks[i]), i, &c->world->call.error),
                         DP_OK);
        while (text_block_next(&r))
            postings += r.df;
        assert_false(r.rest.failed);
    }
    return postings;
}

/* Compares the text index of a segment with its documents: each token of each row has its posting, and there are no
 * others. */
static void check_segment(struct world *w, const char *name, const struct manifest *m,
                          const struct manifest_segment *listed)
{
    struct words_check c = {.world = w, .schema = &m->schema};
    struct row_scan scan;
    arena_init(&c.arena, 1 << 26);
    arena_init(&c.scratch, 1 << 20);
    assert_int_equal(row_scan_open(&w->call, w->store, span_str(name), m, listed, 1, &scan), DP_OK);
    c.segment = &scan.segments[0];
    assert_int_equal(segment_open_words(&c.segment->hot, &c.index, &w->call.error), DP_OK);
    assert_non_null(c.index);
    struct store_read_req req = {.key = object_key_span(&c.segment->dpr_key), .len = STORE_TO_END};
    assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
    c.object = (uint8_t *)(uintptr_t)req.bytes.span.data;
    assert_int_equal(row_scan_run(&w->call, &scan, check_row, &c), DP_OK);
    assert_int_equal(c.postings, count_postings(&c));
    assert_true(c.postings > listed->rows);
    store_read_release(&req, 1);
    row_scan_deinit(&scan);
    arena_deinit(&c.arena);
    arena_deinit(&c.scratch);
}

/* Receives a fault: keeps the sentence of the first one. */
static void note_fault(void *context, const char *object, const char *fault)
{
    char *first = context;
    (void)object;
    if (!*first)
        snprintf(first, TEXT_MAX, "%s", fault);
}

/* Verifies a namespace. Returns the first fault, "" if there is none. */
static const char *verify(struct world *w, const char *name)
{
    static char fault[TEXT_MAX];
    struct index_verify_result result;
    fault[0] = '\0';
    assert_int_equal(index_verify(&w->call, w->store, span_str(name), note_fault, fault, &result), DP_OK);
    world_reset(w);
    return fault;
}

/* Compares all segments, checks that a reader has the index of each, and verifies the namespace. */
static void check_namespace(struct world *w, const char *name, size_t segments)
{
    struct manifest m;
    assert_int_equal(manifest_load(&w->call, w->store, span_str(name), &m, NULL), DP_OK);
    assert_int_equal(m.segment_count, segments);
    for (size_t i = 0; i < m.segment_count; i++)
        check_segment(w, name, &m, &m.segments[i]);
    manifest_deinit(&m);
    struct index_reader *reader = fixture_open(w, name);
    for (size_t i = 0; i < segments; i++)
        assert_non_null(reader->current->base->segments[i].segment->words);
    index_close(reader);
    world_reset(w);
    assert_string_equal(verify(w, name), "");
}

/* ---- damage -------------------------------------------------------------------------------------------- */

/* The .dpr object of a namespace of one segment. */
struct dpr {
    struct object_key key;
    uint8_t *bytes;
    size_t len, hot; /* hot: where the hot part begins */
};

static struct dpr take_dpr(struct world *w, const char *name)
{
    struct dpr dpr = {0};
    struct manifest m;
    assert_int_equal(manifest_load(&w->call, w->store, span_str(name), &m, NULL), DP_OK);
    assert_int_equal(m.segment_count, 1);
    key_of_dpr(&dpr.key, span_str(name), &m.incarnation, &m.segments[0].id);
    dpr.hot = (size_t)m.segments[0].hot_offset;
    struct store_read_req req = {.key = object_key_span(&dpr.key), .len = STORE_TO_END};
    assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
    dpr.len = req.bytes.span.len;
    dpr.bytes = malloc(dpr.len);
    memcpy(dpr.bytes, req.bytes.span.data, dpr.len);
    store_read_release(&req, 1);
    manifest_deinit(&m);
    return dpr;
}

/* Returns the entry of a section in the table, and its bytes. */
static uint8_t *find_section(const struct dpr *dpr, enum section_kind kind, struct span *bytes)
{
    uint64_t at, len;
    uint8_t *entry = dpr->bytes + dpr->hot + SEGMENT_HOT_FIXED;
    while (memcmp(entry, section_types[kind], SECTION_TYPE_LEN) != 0)
        entry += SEGMENT_TABLE_ENTRY;
    memcpy(&at, entry + 8, sizeof at);
    memcpy(&len, entry + 16, sizeof len);
    *bytes = span_of(dpr->bytes + at, (size_t)len);
    return entry;
}

/* Puts the object with right checksums of a section and of the table. */
static void put_dpr(struct world *w, const struct dpr *dpr, enum section_kind kind)
{
    struct span bytes;
    uint32_t sections;
    uint8_t *entry = find_section(dpr, kind, &bytes), *hot = dpr->bytes + dpr->hot;
    uint64_t sum = checksum64(bytes);
    memcpy(entry + 24, &sum, sizeof sum);
    memcpy(&sections, hot + SEGMENT_HOT_SECTIONS_AT, sizeof sections);
    size_t len = SEGMENT_HOT_FIXED + (size_t)sections * SEGMENT_TABLE_ENTRY;
    sum = checksum64(span_of(hot, len));
    memcpy(hot + len, &sum, sizeof sum);
    struct store_put put = {.key = object_key_span(&dpr->key), .body = span_of(dpr->bytes, dpr->len)};
    assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
}

/* Flips a bit of byte `at` of a section, and makes all checksums fit. piece: NULL, or the piece of the index with the
 * byte. */
static void flip(struct world *w, const struct dpr *dpr, enum section_kind kind, size_t at,
                 const struct text_piece *piece, uint64_t number)
{
    struct span bytes;
    find_section(dpr, kind, &bytes);
    uint8_t *section = dpr->bytes + (bytes.data - dpr->bytes);
    section[at] ^= 1;
    if (piece) {
        uint8_t *begin = section + piece->at;
        const uint64_t sum =
            text_piece_checksum(span_of(begin + TEXT_PIECE_SUM, piece->len - TEXT_PIECE_SUM), number);
        memcpy(begin, &sum, sizeof sum);
    }
    put_dpr(w, dpr, kind);
}

/* Verifies the namespace while a bit is flipped. Returns the first fault. */
static const char *verify_flipped(struct world *w, const struct dpr *dpr, enum section_kind kind, size_t at,
                                  const struct text_piece *piece, uint64_t number)
{
    flip(w, dpr, kind, at, piece, number);
    const char *fault = verify(w, "rows");
    flip(w, dpr, kind, at, piece, number);
    return fault;
}

/* Opens the text index in the object. `hot` must be deinited. */
static struct text_index *open_index(struct world *w, const struct dpr *dpr, struct segment_hot *hot)
{
    struct manifest m;
    struct text_index *index;
    assert_int_equal(manifest_load(&w->call, w->store, span_str("rows"), &m, NULL), DP_OK);
    assert_int_equal(segment_parse_hot(span_of(dpr->bytes + dpr->hot, dpr->len - dpr->hot), &m.segments[0],
                                       m.vectors.dim, hot, &w->call.error),
                     DP_OK);
    assert_int_equal(segment_open_words(hot, &index, &w->call.error), DP_OK);
    manifest_deinit(&m);
    return index;
}

static void ignore_fault(void *context, const char *object, const char *fault)
{
    (void)context, (void)object, (void)fault;
}

static bool agree(void *context, const struct index_repair_result *plan)
{
    (void)context, (void)plan;
    return true;
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void merge(struct world *w, const char *name)
{
    struct index_merge_result result;
    assert_int_equal(index_merge(&w->call, w->store, span_str(name),
                                 &(struct index_merge_options){.everything = true}, &result),
                     DP_OK);
    assert_true(result.inputs > 0);
    world_reset(w);
}

static void test_index_words_are_those_of_the_documents(void **state)
{
    struct world *w = *state;
    declare(w, "rows");
    load_rows(w, "rows", 0, ROWS, 1);
    load_rows(w, "rows", ROWS / 2, ROWS + 50, 2);
    check_namespace(w, "rows", 2);
    merge(w, "rows");
    check_namespace(w, "rows", 1);
}

static void test_index_words_of_folded_writes(void **state)
{
    struct world *w = *state;
    struct index_fold_result folded;
    declare(w, "rows");
    load_rows(w, "rows", 0, 50, 1);
    struct index_reader *reader = fixture_open(w, "rows");
    write_rows(w, reader, 30, 100, 2);
    assert_int_equal(index_fold(&w->call, reader, NULL, &folded), DP_OK);
    assert_int_equal(folded.rows, 70);
    index_close(reader);
    world_reset(w);
    check_namespace(w, "rows", 2);
    merge(w, "rows");
    check_namespace(w, "rows", 1);
}

static void test_index_words_of_a_load_that_brings_the_attribute(void **state)
{
    struct world *w = *state;
    struct index_loader *loader = fixture_begin(w, "rows");
    index_load_declare(loader, span_str("text"), span_str("{\"full_text_search\":true}"));
    fill(w, loader, 0, 100, 0);
    check_namespace(w, "rows", 1);
}

/* Whatever the index says else than the documents, a verification tells, although all checksums fit. */
static void test_index_words_are_verified(void **state)
{
    struct world *w = *state;
    struct segment_hot hot;
    declare(w, "rows");
    load_rows(w, "rows", 0, 100, 1);
    struct dpr dpr = take_dpr(w, "rows");
    const struct text_index *index = open_index(w, &dpr, &hot);
    assert_int_equal(index->block_count, 1);
    for (size_t at = TEXT_PIECE_SUM; at < index->blocks[0].len; at += 37)
        assert_string_not_equal(verify_flipped(w, &dpr, SECTION_TERMS, at, &index->blocks[0], 0), "");
    assert_non_null(strstr(verify_flipped(w, &dpr, SECTION_TERMS, 40, NULL, 0), "checksum"));
    for (size_t at = 0; at < 300; at += 61)
        assert_non_null(strstr(verify_flipped(w, &dpr, SECTION_LENGTHS, at, NULL, 0), "has another length"));
    const size_t filled = 12 + 12; /* of the first column in TIDX */
    assert_non_null(strstr(verify_flipped(w, &dpr, SECTION_TERM_INDEX, filled, NULL, 0), "the statistics"));
    assert_string_not_equal(verify_flipped(w, &dpr, SECTION_TERM_INDEX, 0, NULL, 0), "");
    segment_hot_deinit(&hot);
    free(dpr.bytes);
}

static void test_index_words_of_frequent_terms_are_verified(void **state)
{
    struct world *w = *state;
    struct segment_hot hot;
    w->dim = 2;
    declare(w, "rows");
    load_rows(w, "rows", 0, 1300, 1);
    struct dpr dpr = take_dpr(w, "rows");
    const struct text_index *index = open_index(w, &dpr, &hot);
    assert_true(index->frequent_count > 0);
    assert_string_equal(verify(w, "rows"), "");
    const struct text_piece *piece = &index->frequent[0];
    for (size_t at = piece->len - 1; at > piece->len - 400; at -= 57)
        assert_string_not_equal(verify_flipped(w, &dpr, SECTION_POSTINGS, at, piece, 0), "");
    segment_hot_deinit(&hot);
    free(dpr.bytes);
}

static void test_index_words_come_back_by_a_repair(void **state)
{
    struct world *w = *state;
    struct segment_hot hot;
    struct index_repair_result result;
    declare(w, "rows");
    load_rows(w, "rows", 0, 100, 1);
    struct dpr dpr = take_dpr(w, "rows");
    const struct text_index *index = open_index(w, &dpr, &hot);
    flip(w, &dpr, SECTION_TERMS, TEXT_PIECE_SUM + 20, &index->blocks[0], 0);
    assert_string_not_equal(verify(w, "rows"), "");
    const struct index_repair_options options = {.fault = ignore_fault, .agree = agree};
    assert_int_equal(index_repair(&w->call, w->store, span_str("rows"), &options, &result), DP_OK);
    assert_true(result.done);
    assert_int_equal(result.kept, 100);
    assert_int_equal(result.lost, 0);
    world_reset(w);
    check_namespace(w, "rows", 1);
    segment_hot_deinit(&hot);
    free(dpr.bytes);
}

/* Gives an attribute full-text search with these settings. */
static enum dp_status set_full_text(void *context, struct schema *schema, struct arena *arena,
                                    struct dp_error *error)
{
    const struct index_vectors none = {0};
    struct schema_changes changes;
    return schema_declare(schema, &none, arena, span_str(context), &changes, error);
}

static void alter(struct world *w, char *json)
{
    const struct index_alteration change = {.edit_schema = set_full_text, .context = json};
    assert_int_equal(index_alter(&w->call, w->store, span_str("rows"), &change), DP_OK);
}

/* Merges as a compaction does. Returns how many merges had something to do. */
static size_t compact(struct world *w)
{
    const struct index_merge_options options = {.everything = true};
    struct index_merge_result result = {.inputs = 1};
    size_t merges = 0;
    while (result.inputs) {
        assert_int_equal(index_merge(&w->call, w->store, span_str("rows"), &options, &result), DP_OK);
        merges += result.inputs > 0;
        world_reset(w);
    }
    return merges;
}

/* An older namespace gets its text index by a compaction, and a namespace with other settings than before a new one. */
static void test_index_words_come_by_a_compaction(void **state)
{
    struct world *w = *state;
    load_rows(w, "rows", 0, 100, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_null(reader->current->base->segments[0].segment->words);
    index_close(reader);
    assert_int_equal(compact(w), 0);
    alter(w, "{\"text\":{\"type\":\"string\",\"full_text_search\":true}}");
    assert_string_equal(verify(w, "rows"), "");
    assert_int_equal(compact(w), 1);
    check_namespace(w, "rows", 1);
    assert_int_equal(compact(w), 0);
    alter(w, "{\"text\":{\"type\":\"string\",\"full_text_search\":{\"case_sensitive\":true}}}");
    assert_string_equal(verify(w, "rows"), "");
    assert_int_equal(compact(w), 1);
    check_namespace(w, "rows", 1);
    alter(w, "{\"other\":{\"type\":\"string\",\"full_text_search\":true}}");
    load_rows(w, "rows", 100, 150, 0);
    assert_int_equal(compact(w), 1);
    check_namespace(w, "rows", 1);
    assert_int_equal(compact(w), 0);
}

/* If the lengths of rows need more than 1 MiB, the postings have them. */
static void test_index_words_have_lengths_without_lens(void **state)
{
    enum { ATTRIBUTES = 1000, MANY_ROWS = 1100 };
    struct world *w = *state;
    struct index_load_summary summary;
    char *json = malloc(100 * ATTRIBUTES), *end = json, id[32], text[TEXT_MAX];
    float vector[FIXTURE_DIM];
    w->dim = 2;
    for (int i = 0; i < ATTRIBUTES; i++)
        end += sprintf(end, "%s\"a%d\":{\"type\":\"string\",\"full_text_search\":true}", i ? "," : "{", i);
    strcpy(end, "}");
    const struct index_vectors vectors = fixture_vectors(w);
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &vectors, NULL, NULL), DP_OK);
    alter(w, json);
    struct index_loader *loader = fixture_begin(w, "rows");
    for (uint64_t row = 0; row < MANY_ROWS; row++) {
        fixture_vector(w, row, 0, 1, vector);
        snprintf(text, sizeof text, "{\"a%u\":\"common words%u words%u\",\"a7\":\"common\"}",
                 8 + (unsigned)row % 900, (unsigned)row % 5, (unsigned)row % 5);
        assert_int_equal(index_load_row(&w->call, loader, fixture_id(row, id), vector, 1, span_str(text)), DP_OK);
    }
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    world_reset(w);
    struct index_reader *reader = fixture_open(w, "rows");
    const struct text_index *index = reader->current->base->segments[0].segment->words;
    assert_true(index->with_codes);
    assert_null(index->codes);
    assert_int_equal(index->column_count, ATTRIBUTES);
    assert_int_equal(index->columns[7].filled, MANY_ROWS);
    index_close(reader);
    assert_string_equal(verify(w, "rows"), "");
    free(json);
}

static enum dp_status load_five_rows(struct world *w)
{
    const struct index_vectors vectors = fixture_vectors(w);
    struct index_loader *loader;
    struct index_load_summary summary;
    char id[32], text[TEXT_MAX];
    float vector[FIXTURE_DIM];
    enum dp_status status = index_load_begin(&w->call, w->store, span_str("rows"), &vectors, NULL, &loader);
    if (status)
        return status;
    for (uint64_t row = 0; row < 5 && status == DP_OK; row++) {
        fixture_vector(w, row, 0, 1, vector);
        status = index_load_row(&w->call, loader, fixture_id(row, id), vector, 1,
                                span_str(attributes_of(row, 1, text)));
    }
    if (status == DP_OK)
        return index_load_commit(&w->call, loader, &summary);
    index_load_abort(loader);
    return status;
}

static enum dp_status open_and_verify(struct world *w)
{
    struct index_reader *reader;
    struct index_verify_result result;
    char fault[TEXT_MAX] = "";
    enum dp_status status = index_open(&w->call, w->store, span_str("rows"), &reader);
    if (status)
        return status;
    index_close(reader);
    status = index_verify(&w->call, w->store, span_str("rows"), note_fault, fault, &result);
    assert_string_equal(fault, "");
    return status;
}

/* Runs fn with each of its allocations failing in turn. Returns how many there are. */
static size_t fail_allocations(struct world *w, enum dp_status (*fn)(struct world *w), bool loads)
{
    for (size_t n = 1;; n++) {
        world_reset(w);
        if (loads) {
            store_free(w->store);
            w->store = test_store_wrap(fixture_memory(w));
            declare(w, "rows");
        }
        arena_deinit(&w->arena);
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = fn(w);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        arena_deinit(&w->arena);
        assert_true(test_alloc_live() <= before + (loads ? 64 : 0)); /* the objects of a store in memory */
        if (!fired) {
            assert_int_equal(status, DP_OK);
            return n - 1;
        }
        if (status != DP_NOMEM && status != DP_OK &&
            !(loads && (status == DP_UNKNOWN || status == DP_UNAVAILABLE))) /* the swap was sent */
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), w->call.error.message);
        if (loads)
            assert_string_equal(verify(w, "rows"), "");
    }
}

static void test_index_words_survive_failed_allocations(void **state)
{
    struct world *w = *state;
    size_t load = fail_allocations(w, load_five_rows, true);
    check_namespace(w, "rows", 1);
    size_t opening = fail_allocations(w, open_and_verify, false);
    printf("%zu allocations of a load, %zu of opening and verifying\n", load, opening);
    assert_true(load > 100 && opening > 50);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_words_are_those_of_the_documents),
        IN_MEMORY(test_index_words_of_folded_writes),
        IN_MEMORY(test_index_words_of_a_load_that_brings_the_attribute),
        IN_MEMORY(test_index_words_are_verified),
        IN_MEMORY(test_index_words_of_frequent_terms_are_verified),
        IN_MEMORY(test_index_words_come_back_by_a_repair),
        IN_MEMORY(test_index_words_come_by_a_compaction),
        IN_MEMORY(test_index_words_have_lengths_without_lens),
        IN_MEMORY(test_index_words_survive_failed_allocations),
    };
    return test_run(tests);
}
