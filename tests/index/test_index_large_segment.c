/* test_index_large_segment.c: the hot part of the largest segments has room for what belongs there.
 *
 *     make large-segment ROWS=4000000
 *
 * The writers of a load write a .dpr object into a store that only counts bytes. There is no clustering, and no
 * first-stage codes: lists, centroids and vectors are invented, and rows share 4,096 documents of 50 attributes in a
 * random order, so that no more than these are in memory. The writers leave out what has no room: LENS. `make check`
 * writes few rows; the sizes that it prints are those of such a segment.
 */
#include "test_support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/splitmix.h"
#include "filter/column.h"
#include "index/index.h"
#include "index/load/centroids.h"
#include "index/load/columns.h"
#include "index/load/train.h"
#include "index/load/words.h"
#include "index/schema_declare.h"
#include "store/implement.h"

enum {
    DIM = 384,
    FEW_ROWS = 40000,
    ATTRIBUTES = 50,
    DOCUMENTS = 4096,
    DOCUMENT_ROOM = 2048,
    WORDS = 20000,
    KEY = 9
};

/* ---- a store that counts --------------------------------------------------------------------------------- */

static uint64_t stored; /* bytes */

static enum dp_status count_put(struct call *call, struct store *store, struct store_put *put)
{
    (void)call;
    (void)store;
    stored += put->body.len;
    return DP_OK;
}

static enum dp_status count_begin(struct call *call, struct store *store, struct span key,
                                  struct store_upload **out)
{
    (void)call;
    (void)key;
    *out = malloc(sizeof **out);
    assert_non_null(*out);
    (*out)->store = store;
    return DP_OK;
}

static enum dp_status count_write(struct call *call, struct store_upload *upload, struct span bytes)
{
    (void)call;
    (void)upload;
    stored += bytes.len;
    return DP_OK;
}

static void count_abort(struct store_upload *upload)
{
    free(upload);
}

static enum dp_status count_finish(struct call *call, struct store_upload *upload, struct store_version *version)
{
    (void)call;
    (void)version;
    free(upload);
    return DP_OK;
}

static const struct store_ops COUNTING = {.scheme = "count",
                                          .put = count_put,
                                          .upload_begin = count_begin,
                                          .upload_write = count_write,
                                          .upload_finish = count_finish,
                                          .upload_abort = count_abort};

/* ---- rows ------------------------------------------------------------------------------------------------ */

static const char *const types[] = {"int",      "uint", "float",    "bool",  "string",
                                    "datetime", "uuid", "[]string", "[]int", "string"};

/* Declares the attributes: a text with full-text search, and 49 that filters may use, of all types. */
static void declare(struct arena *arena, struct schema *schema)
{
    const struct index_vectors vectors = {.dim = DIM, .metric = INDEX_EUCLIDEAN_SQUARED};
    static char text[ATTRIBUTES * 64];
    struct schema_changes changes;
    struct dp_error error = {0};
    char *end =
        text + sprintf(text, "{\"text\":{\"type\":\"string\",\"full_text_search\":true,\"filterable\":true}");
    for (unsigned i = 1; i < ATTRIBUTES; i++)
        end += sprintf(end, ",\"attribute_%u\":\"%s\"", i, types[i % 10]);
    sprintf(end, "}");
    if (schema_declare(schema, &vectors, arena, span_str(text), &changes, &error) != DP_OK)
        fail_msg("%s", error.message);
    assert_int_equal(schema->count, ATTRIBUTES);
}

/* Appends an attribute's value: few different strings, or numbers, times and ids that hardly repeat. */
static char *put_value(char *end, unsigned i, uint64_t *state)
{
    const uint64_t r = splitmix64_next(state);
    switch (i % 10) {
    case 0: return end + sprintf(end, "%d", (int)(r % 2000000) - 1000000);
    case 1: return end + sprintf(end, "%u", (unsigned)(r % 1000));
    case 2: return end + sprintf(end, "%.3f", (double)(r % 10000000) / 1000);
    case 3: return end + sprintf(end, "%s", r % 2 ? "true" : "false");
    case 4: return end + sprintf(end, "\"kind %u\"", (unsigned)(r % 40));
    case 5:
        return end + sprintf(end, "\"2024-%02u-%02uT%02u:00:00Z\"", (unsigned)(1 + r % 12),
                             (unsigned)(1 + r / 16 % 28), (unsigned)(r / 1024 % 24));
    case 6: return end + sprintf(end, "\"%08x-0000-4000-8000-%012" PRIx64 "\"", (unsigned)r, r >> 16);
    case 7: return end + sprintf(end, "[\"tag %u\",\"tag %u\"]", (unsigned)(r % 30), (unsigned)(r / 64 % 30));
    case 8: return end + sprintf(end, "[%u,%u]", (unsigned)(r % 100), (unsigned)(r / 128 % 100));
    default: return end + sprintf(end, "\"name %016" PRIx64 "\"", r);
    }
}

static size_t make_document(uint64_t number, char out[DOCUMENT_ROOM])
{
    uint64_t state = number;
    char *end = out + sprintf(out, "{\"text\":\"");
    for (uint64_t i = 5 + splitmix64_next(&state) % 20; i > 0; i--)
        end +=
            sprintf(end, "word%u ", (unsigned)(splitmix64_next(&state) % (1 + splitmix64_next(&state) % WORDS)));
    end += sprintf(end, "\"");
    for (unsigned i = 1; i < ATTRIBUTES; i++) {
        if (splitmix64_next(&state) % 8 == 0)
            continue;
        end += sprintf(end, ",\"attribute_%u\":", i);
        end = put_value(end, i, &state);
    }
    return (size_t)(end + sprintf(end, "}") - out);
}

/* ---- the segment ----------------------------------------------------------------------------------------- */

/* What a load knows about a segment that it builds. */
struct large {
    struct index_loader loader;
    struct segment_build build;
    struct ivf_build ivf;
    struct schema schema;
    struct buffer documents;
    uint64_t starts[DOCUMENTS + 1];
    uint32_t *rows_of_lists;
    uint64_t *checksums;
};

/* Invents lists of equal length, and centroids of eight bits, the longer form. */
static void make_lists(struct large *l, size_t rows)
{
    struct ivf_build *ivf = &l->ivf;
    const size_t nlist = 2 * ivf_auto_nlist(rows);
    struct centroid_codes *codes = &ivf->centroid_codes;
    *ivf = (struct ivf_build){.codec = {.kind = IVF_SQ8,
                                        .metric = VECTOR_L2,
                                        .dim = DIM,
                                        .code_size = DIM,
                                        .by_residual = true,
                                        .trained = calloc(2 * DIM, sizeof(float))},
                              .nlist = nlist,
                              .count = rows,
                              .centroids = calloc(nlist * DIM, sizeof(float))};
    *codes = (struct centroid_codes){.count = nlist,
                                     .dim = DIM,
                                     .bits = CENTROID_MORE_BITS,
                                     .least = calloc(DIM, sizeof(float)),
                                     .step = calloc(DIM, sizeof(float)),
                                     .codes = malloc(nlist * DIM)};
    uint64_t state = 1;
    for (size_t i = 0; i < nlist * DIM; i++)
        codes->codes[i] = (uint8_t)splitmix64_next(&state);
    l->build.list_sizes = calloc(nlist, sizeof *l->build.list_sizes);
    l->rows_of_lists = calloc(nlist, sizeof *l->rows_of_lists);
    l->checksums = calloc(nlist, sizeof *l->checksums);
    for (size_t i = 0; i < nlist; i++) {
        l->checksums[i] = splitmix64_next(&state);
        l->build.list_sizes[i] = rows / nlist + (i < rows % nlist);
        l->rows_of_lists[i] = (uint32_t)l->build.list_sizes[i];
    }
    l->build.ivf = ivf;
}

static void make_rows(struct large *l, struct arena *arena, size_t rows)
{
    char text[DOCUMENT_ROOM];
    buffer_init(&l->documents, (size_t)DOCUMENTS * DOCUMENT_ROOM);
    for (size_t i = 0; i < DOCUMENTS; i++) {
        buffer_append(&l->documents, span_of((const uint8_t *)text, make_document(i, text)));
        l->starts[i + 1] = l->documents.len;
    }
    struct waiting_rows *waiting = &l->loader.waiting;
    declare(arena, &l->schema);
    l->loader.indexed = &l->schema;
    l->loader.target.vectors.dim = DIM;
    spill_init(&waiting->documents, 32 << 20);
    waiting->rows = calloc(rows, sizeof *waiting->rows);
    waiting->count = rows;
    l->build.loader = &l->loader;
    l->build.documents = buffer_span(&l->documents);
    l->build.order = malloc(rows * sizeof *l->build.order);
    assert_true(waiting->rows && l->build.order);
    uint64_t state = 5;
    for (size_t i = 0; i < rows; i++) {
        const size_t document = splitmix64_next(&state) % DOCUMENTS;
        waiting->rows[i].document = l->starts[document];
        waiting->rows[i].document_len = (uint32_t)(l->starts[document + 1] - l->starts[document]);
        waiting->rows[i].windows = 1;
        l->build.order[i] = (uint32_t)i;
    }
}

static void free_large(struct large *l)
{
    buffer_deinit(&l->documents);
    spill_deinit(&l->loader.waiting.documents);
    free(l->loader.waiting.rows);
    free(l->build.order);
    free(l->build.list_sizes);
    free(l->rows_of_lists);
    free(l->checksums);
    free((void *)(uintptr_t)l->ivf.codec.trained);
    free(l->ivf.centroids);
    free(l->ivf.centroid_codes.least);
    free(l->ivf.centroid_codes.step);
    free(l->ivf.centroid_codes.codes);
}

static struct span key_of(uint64_t row, uint8_t key[KEY])
{
    key[0] = 1;
    for (size_t i = 1; i < KEY; i++)
        key[i] = (uint8_t)(row >> (8 * (KEY - 1 - i)));
    return span_of(key, KEY);
}

/* Writes the object, but for the hot part. */
static enum dp_status write_parts(struct call *call, struct large *l, struct segment_writer *w,
                                  struct store *store)
{
    const struct ulid id = {"AAAAAAAAAAAAAAAAAAAAAAAAAA"};
    struct object_key name;
    float x[DIM] = {0};
    uint8_t key[KEY];
    const size_t rows = l->loader.waiting.count;
    key_of_dpr(&name, span_str("rows"), &id, &id);
    enum dp_status status = segment_write_begin(call, w, store, &name, &id, DIM, rows);
    for (size_t r = 0; r < rows && status == DP_OK; r++) {
        x[r % DIM] = (float)r;
        status = segment_write_vectors(call, w, x, 1);
    }
    if (status == DP_OK)
        status = load_train_dictionary(call, &l->build, w);
    for (size_t r = 0; r < rows && status == DP_OK; r++) {
        const struct waiting_row *row = &l->loader.waiting.rows[r];
        status = segment_write_document(call, w, key_of(r, key),
                                        span_of(l->documents.data + row->document, row->document_len));
    }
    for (size_t r = 0; r < rows && status == DP_OK; r++)
        status = segment_write_id(call, w, key_of(r, key), (uint32_t)r);
    if (status == DP_OK)
        status = load_write_centroids(call, &l->build, w);
    if (status == DP_OK)
        status = load_write_words(call, &l->build, w);
    return status == DP_OK ? load_write_columns(call, &l->build, w) : status;
}

/* ---- sizes ----------------------------------------------------------------------------------------------- */

static void print_sizes(const struct segment_writer *w, size_t nlist, const struct manifest_segment *listed)
{
    uint64_t sizes[SECTION_KINDS] = {[SECTION_VECTORS] = w->documents_at - SEGMENT_HEAD_LEN,
                                     [SECTION_DOCUMENTS] = w->ids_at - w->documents_at,
                                     [SECTION_IDS] = w->ids_end - w->ids_at,
                                     [SECTION_FILTER] = w->filter_len,
                                     [SECTION_LISTS] = LIST_FIXED + nlist * LIST_ENTRY,
                                     [SECTION_WINDOWS] = w->windows.len,
                                     [SECTION_FRAMES] = FRAME_TABLE_FIXED + w->frames.len,
                                     [SECTION_ID_INDEX] = w->id_index.len};
    for (enum section_kind kind = 0; kind < SECTION_KINDS; kind++) {
        const struct optional_section *section = &w->sections[kind];
        if (section->there)
            sizes[kind] = section->packed.len ? section->packed.len : section->bytes.len + section->len;
        if (sizes[kind])
            printf("%s %s: %" PRIu64 " bytes\n", section_is_hot(kind) && kind != SECTION_FILTER ? "hot" : "cold",
                   section_types[kind], sizes[kind]);
    }
    printf("%" PRIu64 " rows: the hot part has %" PRIu64 " of %d bytes, the object %" PRIu64 "\n", listed->rows,
           listed->hot_len, SEGMENT_HOT_MAX, listed->dpr_size);
}

/* Returns how many attributes have a column. */
static size_t count_columns(const struct segment_writer *w, struct arena *arena)
{
    struct columns columns;
    struct dp_error error = {0};
    size_t count = 0;
    const struct span summary = buffer_span(&w->sections[SECTION_ATTRIBUTES].bytes);
    assert_int_equal(columns_parse(summary, w->rows, arena, &columns, &error), DP_OK);
    for (size_t i = 0; i < columns.count; i++)
        count += columns.columns[i].stored;
    return count;
}

static void test_index_large_segment_fits_its_hot_part(void **state)
{
    static const enum section_kind wanted[] = {SECTION_CENTROIDS, SECTION_TERM_INDEX, SECTION_FREQUENT_TERMS,
                                               SECTION_ATTRIBUTES, SECTION_DICTIONARY};
    (void)state;
    struct store store = {.ops = &COUNTING};
    struct manifest_segment listed = {0};
    struct segment_writer w;
    struct large *l = calloc(1, sizeof *l);
    struct arena arena;
    struct call call;
    const char *text = getenv("LARGE_SEGMENT_ROWS");
    const size_t rows = text && *text ? strtoul(text, NULL, 10) : FEW_ROWS;
    assert_in_range(rows, 2000, SEGMENT_ROWS_MAX);
    arena_init(&arena, 1 << 28);
    call_init(&call, &arena);
    make_rows(l, &arena, rows);
    make_lists(l, rows);
    if (write_parts(&call, l, &w, &store) != DP_OK)
        fail_msg("%s", call.error.message);
    const size_t columns = count_columns(&w, &arena);
    const struct segment_lists lists = {
        .nlist = (uint32_t)l->ivf.nlist, .rows = l->rows_of_lists, .checksums = l->checksums};
    if (segment_write_end(&call, &w, &lists, &listed) != DP_OK)
        fail_msg("%s", call.error.message);
    printf("%zu of %d attributes have a column\n", columns, ATTRIBUTES);
    print_sizes(&w, l->ivf.nlist, &listed);
    assert_int_equal(stored, listed.dpr_size);
    assert_int_equal(listed.rows, rows);
    assert_true(listed.hot_len <= SEGMENT_HOT_MAX);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_true(w.sections[wanted[i]].there);
    /* The largest segments have room for all columns, and none for LENS. */
    assert_int_equal(columns, ATTRIBUTES);
    assert_true(rows != FEW_ROWS || w.sections[SECTION_LENGTHS].there);
    segment_writer_deinit(&w);
    free_large(l);
    free(l);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_large_segment_fits_its_hot_part),
    };
    return test_run(tests);
}
