/* test_index_words.c: segments have a text index of their rows: what loads, folds and merges write. */
#include "index_fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/splitmix.h"
#include "index/fold/row_scan.h"
#include "index/query/reader.h"
#include "index/row_text.h"
#include "index/schema_declare.h"
#include "index/segment/words.h"
#include "index/upkeep.h"
#include "text/bm25.h"

enum { ROWS = 400, WORDS = 150, TEXT_MAX = 2000 };

/* ---- rows ---------------------------------------------------------------------------------------------- */

static const char declaration[] =
    "{\"text\":{\"type\":\"string\",\"full_text_search\":true},"
    "\"tags\":{\"type\":\"[]string\",\"full_text_search\":{\"tokenizer\":\"pre_tokenized_array\"}},"
    "\"other\":{\"type\":\"string\",\"full_text_search\":{\"stemming\":true,\"case_sensitive\":true}},"
    "\"plain\":\"string\"}";

/* Writes the attributes of a row: texts of words of which the first ones are frequent, and values that are missing, null or
 * empty. */
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
    assert_int_equal(index_create(&w->call, w->store, span_str(name), &vectors, &schema), DP_OK);
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

/* Compares all segments, and checks that a reader has the index of each. */
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
    index_load_full_text(loader, span_str("text"));
    fill(w, loader, 0, 100, 0);
    check_namespace(w, "rows", 1);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_words_are_those_of_the_documents),
        IN_MEMORY(test_index_words_of_folded_writes),
        IN_MEMORY(test_index_words_of_a_load_that_brings_the_attribute),
    };
    return test_run(tests);
}
