/* test_schema.c: declarations make and change attributes, or are refused by name; ids become id keys and come
 * back.
 */
#include "test_support.h"

#include <stdio.h>

#include "index_fixture.h"

#include "index/id.h"
#include "index/schema_declare.h"
#include "index/schema_options.h"
#include "index/schema_row.h"

static struct arena test_arena;

static int begin_arena(void **state)
{
    (void)state;
    arena_init(&test_arena, (size_t)64 << 20);
    return 0;
}

static int end_arena(void **state)
{
    (void)state;
    arena_deinit(&test_arena);
    return 0;
}

static void declare(struct schema *schema, const char *json, struct schema_changes *changes)
{
    struct dp_error error = {0};
    if (schema_declare(schema, NULL, &test_arena, span_str(json), changes, &error) != DP_OK)
        fail_msg("%s: %s", json, error.message);
}

static void expect_refusal(struct schema *schema, const char *json, enum dp_status wanted, const char *words)
{
    struct dp_error error = {0};
    struct schema_changes changes;
    size_t count = schema->count;
    enum dp_status status = schema_declare(schema, NULL, &test_arena, span_str(json), &changes, &error);
    if (status != wanted || !strstr(error.message, words) || error.status != wanted)
        fail_msg("%s: %s: %s", json, dp_status_name(status), error.message);
    assert_int_equal(schema->count, count);
}

static void expect_printed(const struct schema *schema, const char *wanted)
{
    struct buffer text;
    struct json_writer w;
    buffer_init(&text, 1 << 20);
    json_writer_init(&w, &text);
    schema_print(schema, NULL, &w);
    buffer_u8(&text, 0);
    assert_string_equal((const char *)text.data, wanted);
    buffer_deinit(&text);
}

static void test_schema_declares_attributes(void **state)
{
    (void)state;
    struct schema schema = {0};
    struct schema_changes changes;
    declare(&schema,
            "{\"a\": \"string\", \"b\": {\"type\": \"[]uuid\"}, \"c\": {\"type\": \"[3]i8\", \"ann\": true},"
            " \"d\": {\"type\": \"string\", \"full_text_search\": { \"language\" : \"french\", \"k1\": 1.5 } },"
            " \"e\": {\"filterable\": false, \"type\": \"int\"},"
            " \"f\": {\"type\": \"string\", \"regex\": true, \"glob\": false, \"filterable\": true},"
            " \"g\": {\"type\": \"string\", \"embed\": {\"model\": \"m\", \"dims\": 384}},"
            " \"id\": \"uuid\", \"vector\": {\"type\": \"[384]f16\", \"ann\": {\"distance_metric\": "
            "\"euclidean_squared\"}}}",
            &changes);
    assert_true(changes.changed && changes.has_metric);
    assert_int_equal(changes.dim, 384);
    assert_int_equal(changes.metric, INDEX_EUCLIDEAN_SQUARED);
    assert_int_equal(schema.vector_element, ELEMENT_F16);
    expect_printed(&schema,
                   "{\"id\":{\"type\":\"uuid\"},\"a\":{\"type\":\"string\",\"filterable\":true},"
                   "\"b\":{\"type\":\"[]uuid\",\"filterable\":true},\"c\":{\"type\":\"[3]i8\",\"ann\":true},"
                   "\"d\":{\"type\":\"string\",\"filterable\":false,\"full_text_search\":{\"language\":\"french\","
                   "\"k1\":1.5}},\"e\":{\"type\":\"int\",\"filterable\":false},"
                   "\"f\":{\"type\":\"string\",\"filterable\":true,\"regex\":true},"
                   "\"g\":{\"type\":\"string\",\"filterable\":true,\"embed\":{\"model\":\"m\",\"dims\":384}}}");
    struct span value;
    assert_true(schema_option(&schema.attributes[6], "embed", &value));
    assert_true(span_equal_str(value, "{\"model\":\"m\",\"dims\":384}"));
    assert_false(schema_option(&schema.attributes[0], "embed", &value));
    assert_true(schema.attributes[5].checked && !schema.attributes[0].checked);
    /* The same again changes nothing. */
    declare(&schema, "{\"a\": {\"type\": \"string\"}, \"d\": \"string\", \"id\": {\"type\": \"uuid\"}}", &changes);
    assert_false(changes.changed);
}

static void test_schema_changes_in_place(void **state)
{
    (void)state;
    struct schema schema = {0};
    struct schema_changes changes;
    declare(&schema, "{\"a\": \"string\", \"b\": \"int\"}", &changes);
    declare(&schema, "{\"a\": {\"type\": \"string\", \"full_text_search\": true}}", &changes);
    assert_true(changes.changed && schema.attributes[0].unfiltered);
    declare(&schema, "{\"a\": {\"type\": \"string\", \"filterable\": true, \"embed\": \"m\"}}", &changes);
    assert_false(schema.attributes[0].unfiltered);
    expect_refusal(&schema, "{\"a\": {\"type\": \"string\", \"embed\": \"n\"}}", DP_INVALID,
                   "\"embed\" cannot change");
    declare(&schema, "{\"a\": {\"type\": \"string\", \"embed\": null, \"full_text_search\": false}}", &changes);
    expect_printed(&schema, "{\"a\":{\"type\":\"string\",\"filterable\":true},\"b\":{\"type\":\"int\","
                            "\"filterable\":true}}");
    expect_refusal(&schema, "{\"a\": \"int\"}", DP_INVALID, "has type string, which cannot become int");
    declare(&schema, "{\"b\": {\"drop\": true}, \"c\": \"float\"}", &changes);
    assert_true(changes.dropped && schema.attributes[1].dropped);
    expect_printed(&schema, "{\"a\":{\"type\":\"string\",\"filterable\":true},\"c\":{\"type\":\"float\","
                            "\"filterable\":true}}");
    expect_refusal(&schema, "{\"b\": \"int\"}", DP_INVALID, "was dropped");
    expect_refusal(&schema, "{\"z\": {\"drop\": true}}", DP_INVALID, "no such attribute");
    declare(&schema, "{\"id\": \"string\"}", &changes);
    expect_refusal(&schema, "{\"id\": \"uint\"}", DP_INVALID, "\"id\" has type string");
}

static void test_schema_refuses_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *json, *words;
        enum dp_status status;
    } bad[] = {
        {"[]", "expected an object", DP_INVALID},
        {"{\"a\": 7}", "\"a\": a declaration is a type", DP_INVALID},
        {"{\"a\": null}", "\"a\": a declaration is a type", DP_INVALID},
        {"{\"a\": {}}", "\"type\" is missing", DP_INVALID},
        {"{\"a\": {\"type\": 7}}", "\"a\": expected a string", DP_INVALID},
        {"{\"a\": \"text\"}", "\"text\" is not a type", DP_INVALID},
        {"{\"a\": \"[]bytes\"}", "is not a type", DP_INVALID},
        {"{\"a\": \"{}f16\"}", "\"a\": sparse vectors are not supported", DP_UNSUPPORTED},
        {"{\"a\": \"[][12]f32\"}", "types such as [][N]f32 are not supported", DP_UNSUPPORTED},
        {"{\"a\": {\"type\": \"[3]f32\", \"ann\": false}}", "\"ann\" must be true", DP_INVALID},
        {"{\"a\": {\"type\": \"[3]f32\", \"ann\": {\"late_interaction\": true}}}", "an attribute has one vector",
         DP_INVALID},
        {"{\"a\": {\"type\": \"[3]f32\", \"ann\": {\"metric\": 1}}}", "\"ann\" has no field \"metric\"",
         DP_INVALID},
        {"{\"a\": {\"type\": \"[3]f32\", \"filterable\": true}}", "cannot be filtered", DP_INVALID},
        {"{\"a\": {\"type\": \"int\", \"ann\": true}}", "\"ann\" does not go with its type, int", DP_INVALID},
        {"{\"a\": {\"type\": \"int\", \"regex\": true}}", "\"regex\" does not go", DP_INVALID},
        {"{\"a\": {\"type\": \"int\", \"embed\": \"m\"}}", "\"embed\" does not go", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"embed\": {\"dims\": 3}}}", "needs a \"model\"", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"embed\": 7}}", "\"embed\" must be", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"sparse_knn\": {}}}", "sparse vectors", DP_UNSUPPORTED},
        {"{\"a\": {\"type\": \"string\", \"fulltext\": true}}", "no option \"fulltext\"", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"filterable\": null}}", "\"filterable\" must be", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"filterable\": 1}}", "\"filterable\" must be", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"glob\": \"x\"}}", "\"glob\" must be true or false", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"glob\": true, \"glob\": true}}", "\"glob\" occurs twice", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"type\": \"int\"}}", "\"type\" occurs twice", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"full_text_search\": 1}}", "must be true or an object", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"full_text_search\": {\"b\": 2}}}", "\"b\" of \"full_text_search\"",
         DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"full_text_search\": {\"k1\": 0}}}", "positive", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"full_text_search\": {\"language\": \"latin\"}}}", "languages",
         DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"full_text_search\": {\"max_token_length\": 255}}}", "1 to 254",
         DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"full_text_search\": {\"stem\": true}}}", "no field \"stem\"",
         DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"full_text_search\": {\"b\": 1, \"b\": 1}}}", "\"b\" occurs twice",
         DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"full_text_search\": {\"tokenizer\": \"pre_tokenized_array\"}}}",
         "takes []string", DP_INVALID},
        {"{\"a\": {\"type\": \"string\", \"drop\": true}}", "\"drop\" allows no other field beside it",
         DP_INVALID},
        {"{\"a\": {\"drop\": false}}", "\"drop\" can only be true", DP_INVALID},
        {"{\"a\": \"int\", \"a\": \"int\"}", "declared twice", DP_INVALID},
        {"{\"id\": \"uint\", \"id\": \"uint\"}", "declared twice", DP_INVALID},
        {"{\"id\": \"float\"}", "ids have type uint, string or uuid", DP_INVALID},
        {"{\"id\": {\"drop\": true}}", "cannot be dropped", DP_INVALID},
        {"{\"vector\": \"string\"}", "its type is [N]f32", DP_INVALID},
        {"{\"vector\": {\"drop\": true}}", "cannot be dropped", DP_INVALID},
        {"{\"$a\": \"int\"}", "reserved", DP_INVALID},
        {"{\"\": \"int\"}", "1 to 128 bytes", DP_INVALID},
        {"{\"a\": \"int\"", "a schema", DP_INVALID},
        {"{\"a\": \"int\"} x", "a schema", DP_INVALID},
        {"{\"a\": {\"type\": \"int\", \"filterable\": tru}}", "\"a\"", DP_INVALID},
    };
    struct schema schema = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_refusal(&schema, bad[i].json, bad[i].status, bad[i].words);
}

static void test_schema_vectors_cannot_change(void **state)
{
    (void)state;
    struct schema schema = {0};
    struct schema_changes changes;
    struct dp_error error;
    const struct index_vectors vectors = {.dim = 8, .metric = INDEX_COSINE};
    static const char *const wrong[] = {
        "{\"vector\": \"[9]f32\"}", "{\"vector\": \"[8]f16\"}",
        "{\"vector\": {\"type\": \"[8]f32\", \"ann\": {\"distance_metric\": \"euclidean_squared\"}}}"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(schema_declare(&schema, &vectors, &test_arena, span_str(wrong[i]), &changes, &error),
                         DP_INVALID);
    assert_int_equal(schema_declare(&schema, &vectors, &test_arena,
                                    span_str("{\"vector\": {\"type\": \"[8]f32\", \"ann\": true}}"), &changes,
                                    &error),
                     DP_OK);
    assert_false(changes.changed);
}

static void test_schema_has_room_for_1024_attributes(void **state)
{
    (void)state;
    struct schema schema = {0}, copy, joined = {0};
    struct dp_error error = {0};
    struct buffer text;
    struct schema_changes changes;
    buffer_init(&text, 1 << 20);
    for (int i = 0; i < SCHEMA_ATTRIBUTES_MAX; i++)
        buffer_printf(&text, "%s\"a%d\": \"int\"", i ? "," : "{", i);
    buffer_u8(&text, '}');
    assert_int_equal(schema_declare(&schema, NULL, &test_arena, buffer_span(&text), &changes, &error), DP_OK);
    assert_int_equal(schema.count, SCHEMA_ATTRIBUTES_MAX);
    assert_int_equal(schema.attributes[SCHEMA_ATTRIBUTES_MAX - 1].number, SCHEMA_ATTRIBUTES_MAX + 1);
    expect_refusal(&schema, "{\"b\": \"int\"}", DP_TOO_LARGE, "at most 1024 attributes");
    assert_int_equal(schema_copy(&schema, &test_arena, &copy, &error), DP_OK);
    assert_int_equal(schema_join(&joined, &test_arena, &copy, &error), DP_OK);
    assert_int_equal(joined.count, SCHEMA_ATTRIBUTES_MAX);
    buffer_deinit(&text);
}

static void test_schema_joins_kinds_and_types(void **state)
{
    (void)state;
    struct schema a = {0}, b = {0};
    struct schema_changes changes;
    struct dp_error error = {0};
    declare(&a, "{\"x\": \"[3]f32\", \"y\": \"int\", \"id\": \"uint\"}", &changes);
    declare(&b, "{\"x\": \"[4]f32\"}", &changes);
    assert_int_equal(schema_join(&a, &test_arena, &b, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "has type [3]f32, not [4]f32"));
    b = (struct schema){0};
    declare(&b, "{\"id\": \"string\"}", &changes);
    assert_int_equal(schema_join(&a, &test_arena, &b, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "ids have type uint, not string"));
    b = (struct schema){0};
    declare(&b, "{\"vector\": \"[3]f16\"}", &changes);
    assert_int_equal(schema_join(&a, &test_arena, &b, &error), DP_OK);
    assert_int_equal(a.vector_element, ELEMENT_F16);
    b = (struct schema){0};
    declare(&b, "{\"y\": {\"type\": \"datetime\"}}", &changes);
    assert_int_equal(schema_join(&a, &test_arena, &b, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "\"y\" has type int"));
}

/* A load brings values of declared types in normal form only. */
static void test_schema_loads_obey_declarations(void **state)
{
    (void)state;
    struct schema schema = {0};
    struct schema_changes changes;
    struct dp_error error = {0};
    struct arena scratch;
    arena_init(&scratch, 1 << 20);
    declare(&schema, "{\"t\": \"datetime\", \"u\": \"uint\", \"v\": \"[2]f16\", \"o\": \"int\"}", &changes);
    declare(&schema, "{\"o\": {\"drop\": true}}", &changes);
    static const char good[] = "{\"t\":\"2024-03-01T00:00:00.000000000Z\",\"u\":18446744073709551615,"
                               "\"v\":\"ADz/ew==\",\"n\":1}";
    static const char *const wrong[] = {"{\"t\": \"2024-03-01\"}", "{\"u\": -1}", "{\"v\": [1, 2]}", "{\"o\": 1}",
                                        "{\"t\": 1}"};
    assert_int_equal(schema_learn(&schema, &test_arena, span_str(good), &scratch, &error), DP_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(schema_learn(&schema, &test_arena, span_str(wrong[i]), &scratch, &error), DP_INVALID);
    arena_deinit(&scratch);
}

/* object, document; or for a refusal words after a '!' */
static void test_schema_rows_become_documents(void **state)
{
    (void)state;
    static const struct {
        const char *object, *wanted;
        bool patch;
    } rows[] = {
        {"{}", "{}", false},
        {"{\"n\": 1, \"s\": \"\\u0061\", \"gone\": null, \"e\": [] }", "{\"n\":1,\"s\":\"a\"}", false},
        {"{\"n\": null, \"s\": null, \"new\": null, \"o\": null}", "{}", false},
        {"{\"n\": null, \"s\": \"x\", \"new\": null, \"o\": null}", "{\"n\":null,\"s\":\"x\"}", true},
        {"{\"t\": \"2024-03-01\", \"u\": 18446744073709551615}",
         "{\"t\":\"2024-03-01T00:00:00.000000000Z\",\"u\":18446744073709551615}", false},
        {"{\"v\": [1, 65504]}", "{\"v\":\"ADz/ew==\"}", false},
        {"{\"v\": [1, 65504]}", "!\"v\": a patch cannot change a vector", true},
        {"{\"v\": null}", "!\"v\": a patch cannot change a vector", true},
        {"{\"f\": 1}", "{\"f\":1}", false},
        {"{\"f\": 1.5}", "{\"f\":1.5}", false}, /* f is learned here, and widens */
        {"{\"g\": [1, 2.5]}", "{\"g\":[1,2.5]}", false},
        {"{\"f\": \"x\"}", "!\"f\" has type float, but the value is a string", false},
        {"{\"u\": -1}", "!\"u\" has type uint", false},
        {"{\"d\": 1.5}", "!\"d\" has type int, but the value is a number with a fraction", false},
        {"{\"n\": 1, \"n\": 1}", "!\"n\" occurs twice", false},
        {"{\"y\": null, \"y\": 1}", "!\"y\" occurs twice", false},
        {"{\"y\": 1, \"y\": null}", "!\"y\" occurs twice", false},
        {"{\"o\": 1}", "!\"o\" was dropped", false},
        {"{\"o\": 1}", "!\"o\" was dropped", true},
        {"{\"h\": 9223372036854775808}", "!\"h\" is an integer beyond int64", false},
        {"{\"h\": [1.5, 9223372036854775808]}", "!\"h\" is an integer beyond int64", false},
        {"{\"h\": {\"deep\": 1}}", "!\"h\" must be", false},
        {"{\"h\": [1, \"x\"]}", "!\"h\" must be", false},
        {"{\"h\": [1, null]}", "!\"h\" must be", false},
        {"{\"h\": \"\\ud800\"}", "!lone surrogate", false},
        {"{\"h\": NaN}", "!\"h\" must be", false},
        {"{\"id\": 1}", "!reserved", false},
        {"{\"vector\": null}", "!reserved", false},
        {"{\"$x\": null}", "!reserved", false},
        {"{\"\": null}", "!1 to 128 bytes", false},
        {"{\"n\": 1", "!byte", false},
        {"{\"n\": 1}]", "!a row's attributes", false},
        {"[1]", "!a row's attributes: expected an object", false},
    };
    struct schema schema = {0};
    struct schema_changes changes;
    declare(&schema, "{\"t\": \"datetime\", \"u\": \"uint\", \"v\": \"[2]f16\", \"o\": \"int\", \"d\": \"int\"}",
            &changes);
    declare(&schema, "{\"o\": {\"drop\": true}}", &changes);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dp_error error = {0};
        struct span document = {0};
        const char *wanted = rows[i].wanted;
        enum dp_status status =
            schema_normalize(&schema, &test_arena, span_str(rows[i].object), rows[i].patch, &document, &error);
        bool good = *wanted == '!' ? status == DP_INVALID && strstr(error.message, wanted + 1)
                                   : status == DP_OK && span_equal_str(document, wanted);
        if (!good)
            fail_msg("%s: %d %s %.*s, not %s", rows[i].object, status, error.message, SPAN_FMT(document), wanted);
    }
    struct span shown;
    struct dp_error error;
    assert_int_equal(
        schema_show(&schema, &test_arena, span_str("{\"a\":1,\"o\":2,\"v\":\"ADz/ew==\"}"), false, &shown, &error),
        DP_OK);
    assert_true(span_equal_str(shown, "{\"a\":1,\"v\":[1,65504]}"));
    assert_int_equal(schema_show(&schema, &test_arena, span_str("{\"v\":\"ADz/ew==\"}"), true, &shown, &error),
                     DP_OK);
    assert_true(span_equal_str(shown, "{\"v\":\"AACAPwDgf0c=\"}")); /* 1 and 65504 as float32 */
}

static void test_schema_documents_have_a_maximum(void **state)
{
    (void)state;
    struct schema schema = {0};
    struct dp_error error = {0};
    struct buffer row;
    struct span document;
    buffer_init(&row, (size_t)16 << 20);
    buffer_append_str(&row, "{\"a\":\"");
    while (row.len < INDEX_DOCUMENT_MAX - 100)
        buffer_u8(&row, 'a');
    buffer_append_str(&row, "\",\"b\":\"");
    while (row.len < INDEX_DOCUMENT_MAX - 2)
        buffer_u8(&row, 'b');
    buffer_append_str(&row, "\"}");
    assert_int_equal(schema_normalize(&schema, &test_arena, buffer_span(&row), false, &document, &error), DP_OK);
    assert_int_equal(document.len, INDEX_DOCUMENT_MAX);
    row.len -= 2;
    buffer_append_str(&row, "b\"}");
    assert_int_equal(schema_normalize(&schema, &test_arena, buffer_span(&row), false, &document, &error),
                     DP_TOO_LARGE);
    buffer_deinit(&row);
}

static enum dp_status drop_title(void *context, struct schema *schema, struct arena *arena, struct dp_error *error)
{
    struct schema_changes changes;
    (void)context;
    return schema_declare(schema, NULL, arena, span_str("{\"title\": {\"drop\": true}}"), &changes, error);
}

/* Old documents still hold the values; no answer shows them. */
static void test_schema_dropped_attributes_leave_answers(void **state)
{
    struct world *w = *state;
    const struct index_alteration change = {.edit_schema = drop_title};
    static const struct span names[] = {{(const uint8_t *)"title", 5}, {(const uint8_t *)"edition", 7}};
    struct index_answer answer;
    float vector[FIXTURE_DIM];
    fixture_must_load(w, "rows", 0, 20, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    fixture_query(w, 0, vector);
    for (int dropped = 0; dropped <= 1; dropped++) {
        if (dropped)
            assert_int_equal(index_alter(&w->call, w->store, span_str("rows"), &change), DP_OK);
        for (int all = 0; all <= 1; all++) {
            const struct index_query q = {.vector = vector,
                                          .dim = FIXTURE_DIM,
                                          .top_k = 5,
                                          .all_attributes = all,
                                          .attributes = names,
                                          .attribute_count = 2};
            const struct index_scan scan = {.query = q, .order_by = span_str("id")};
            for (int scans = 0; scans <= 1; scans++) {
                enum dp_status status = scans ? index_scan(&w->call, reader, &scan, &answer)
                                              : index_query(&w->call, reader, &q, &answer);
                assert_int_equal(status, DP_OK);
                assert_int_equal(answer.count, 5);
                const struct span shown = answer.hits[0].attributes;
                assert_int_equal(memmem(shown.data, shown.len, "\"title\"", 7) != NULL, !dropped);
                assert_non_null(memmem(shown.data, shown.len, "\"edition\"", 9));
            }
        }
    }
    index_close(reader);
}

static void test_id_keys_come_back_and_sort(void **state)
{
    (void)state;
    static const struct index_id ids[] = {
        {.number = 0},
        {.number = 255},
        {.number = 256},
        {.number = UINT64_MAX},
        {.is_string = true, .text = {(const uint8_t *)"0", 1}},
        {.is_string = true, .text = {(const uint8_t *)"769c134d-07b8-4225-954a-b6cc5ffc320c", 36}},
        {.is_string = true,
         .is_uuid = true,
         .text = {(const uint8_t *)"00000000-07b8-4225-954a-b6cc5ffc320c", 36}},
        {.is_string = true,
         .is_uuid = true,
         .text = {(const uint8_t *)"769c134d-07b8-4225-954a-b6cc5ffc320c", 36}},
    };
    static const enum id_kind kinds[] = {ID_UINT,   ID_UINT,   ID_UINT, ID_UINT,
                                         ID_STRING, ID_STRING, ID_UUID, ID_UUID};
    struct id_key before = {0};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct id_key key;
        struct index_id back;
        struct dp_error error;
        char uuid[UUID_TEXT_LEN];
        assert_int_equal(id_encode(ids[i], &key, &error), DP_OK);
        assert_true(span_compare(id_key_span(&before), id_key_span(&key)) < 0);
        assert_true(id_key_valid(id_key_span(&key)) && id_decode(id_key_span(&key), uuid, &back));
        assert_int_equal(id_key_kind(id_key_span(&key)), kinds[i]);
        assert_true(back.is_string == ids[i].is_string && back.is_uuid == ids[i].is_uuid);
        assert_true(back.number == ids[i].number && span_equal(back.text, ids[i].text));
        before = key;
    }
    struct id_key key;
    struct dp_error error;
    const struct index_id wrong = {.is_string = true, .is_uuid = true, .text = span_str("769c134d")};
    assert_int_equal(id_encode(wrong, &key, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "\"769c134d\" is not a UUID"));
    assert_false(id_key_valid(span_str("\3too short")));
    assert_false(id_key_valid(span_str("")));
    assert_false(id_key_valid(span_str("\4x")));
    enum id_kind kind = ID_ANY;
    id_encode(ids[0], &key, &error);
    assert_int_equal(id_kind_join(&kind, id_key_span(&key), &error), DP_OK);
    assert_int_equal(kind, ID_UINT);
    id_encode(ids[5], &key, &error);
    assert_int_equal(id_kind_join(&kind, id_key_span(&key), &error), DP_INVALID);
    assert_non_null(strstr(error.message, "has type string, but the others have type uint"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_schema_declares_attributes, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_schema_changes_in_place, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_schema_refuses_by_name, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_schema_vectors_cannot_change, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_schema_has_room_for_1024_attributes, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_schema_joins_kinds_and_types, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_schema_loads_obey_declarations, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_schema_rows_become_documents, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_schema_documents_have_a_maximum, begin_arena, end_arena),
        cmocka_unit_test_setup_teardown(test_schema_dropped_attributes_leave_answers, world_in_memory,
                                        world_close),
        cmocka_unit_test(test_id_keys_come_back_and_sort),
    };
    return test_run(tests);
}
