/* test_turbopuffer_write.c: bodies of turbopuffer writes, as the public clients send them, and what is wrong with
 * others. */
#include "test_support.h"

#include <math.h>
#include <stdio.h>

#include "api/turbopuffer_rows.h"
#include "api/turbopuffer_write.h"

static struct arena arena;
static struct call call;
static struct turbopuffer_write parsed;
static bool malformed;

static enum dp_status parse(const char *body)
{
    arena_deinit(&arena);
    arena_init(&arena, 1 << 28);
    call_init(&call, &arena);
    return turbopuffer_parse_write(&call, span_str(body), &parsed, &malformed);
}

static const struct write_request *parse_good(const char *body)
{
    if (parse(body) != DP_OK)
        fail_msg("%s\nis refused: %s", body, call.error.message);
    return &parsed.write;
}

static void assert_span(struct span got, const char *expected)
{
    if (!span_equal_str(got, expected))
        fail_msg("expected %s, got %.*s", expected, SPAN_FMT(got));
}

static void assert_number_id(const struct write_row *row, uint64_t id)
{
    assert_false(row->id.is_string);
    assert_int_equal(row->id.number, id);
}

static void assert_string_id(const struct write_row *row, const char *id)
{
    assert_true(row->id.is_string);
    assert_span(row->id.text, id);
}

/* Fails the test unless the row's values, in their order, are `expected`: name=raw;name=raw */
static void assert_values(const struct write_row *row, const char *expected)
{
    char text[400] = "";
    size_t len = 0;
    for (size_t i = 0; i < row->value_count; i++) {
        const struct write_value *v = &parsed.write.values[row->first_value + i];
        len +=
            (size_t)snprintf(text + len, sizeof text - len, "%s%.*s=%.*s", i ? ";" : "",
                             SPAN_FMT(parsed.write.attributes[v->attribute]), (int)v->len, (const char *)v->raw);
    }
    assert_string_equal(text, expected);
}

static void assert_vector(const struct write_row *row, size_t dim, float first, float second)
{
    assert_int_equal(row->dim, dim);
    assert_non_null(row->vector);
    assert_true(fabsf(row->vector[0] - first) < 1e-6f && (dim == 1 || fabsf(row->vector[1] - second) < 1e-6f));
}

/* Recorded from turbopuffer's Python client. */
static void test_turbopuffer_write_reads_rows_of_the_python_client(void **state)
{
    (void)state;
    const struct write_request *w = parse_good(
        "{\"distance_metric\":\"cosine_distance\",\"schema\":{\"u\":\"uuid\",\"text\":{\"type\":\"string\","
        "\"full_text_search\":true}},\"upsert_condition\":[\"v\",\"Lt\",{\"$ref_new\":\"v\"}],"
        "\"upsert_rows\":[{\"id\":1,\"vector\":\"zczMPc3MTD4=\",\"t\":\"2024-03-01T01:02:03.456789\","
        "\"tz\":\"2024-03-01T00:00:00+00:00\",\"u\":\"769c134d-07b8-4225-954a-b6cc5ffc320c\",\"n\":null}]}");
    assert_int_equal(w->row_count, 1);
    assert_number_id(&w->rows[0], 1);
    assert_vector(&w->rows[0], 2, 0.1f, 0.2f);
    assert_values(&w->rows[0], "t=\"2024-03-01T01:02:03.456789\";tz=\"2024-03-01T00:00:00+00:00\";"
                               "u=\"769c134d-07b8-4225-954a-b6cc5ffc320c\";n=null");
    assert_span(w->upsert_condition, "[\"v\",\"Lt\",{\"$ref_new\":\"v\"}]");
    assert_span(w->schema, "{\"u\":\"uuid\",\"text\":{\"type\":\"string\",\"full_text_search\":true}}");
    assert_true(w->has_metric && w->metric == INDEX_COSINE);
    assert_true(parsed.upserts && !parsed.patches && !parsed.deletes && !parsed.return_affected_ids);
    assert_int_equal(w->patch_condition.len, 0);
}

/* Recorded from turbopuffer's Python client, as the rows above. */
static void test_turbopuffer_write_reads_columns_of_the_python_client(void **state)
{
    (void)state;
    const struct write_request *w = parse_good(
        "{\"delete_by_filter\":[\"x\",\"Eq\",null],\"deletes\":[4,\"s\"],\"patch_rows\":[{\"id\":3,\"x\":1}],"
        "\"return_affected_ids\":true,"
        "\"upsert_columns\":{\"id\":[1,2],\"vector\":[\"zczMPc3MTD4=\",\"mpmZPs3MzD4=\"],\"name\":[\"a\",null]}}");
    assert_int_equal(w->row_count, 5);
    assert_span(w->delete_filter, "[\"x\",\"Eq\",null]");
    assert_true(w->wants_ids);
    assert_int_equal(w->rows[0].kind, WRITE_DELETE);
    assert_number_id(&w->rows[0], 4);
    assert_string_id(&w->rows[1], "s");
    assert_int_equal(w->rows[2].kind, WRITE_PATCH);
    assert_values(&w->rows[2], "x=1");
    assert_int_equal(w->rows[3].kind, WRITE_UPSERT);
    assert_vector(&w->rows[3], 2, 0.1f, 0.2f);
    assert_values(&w->rows[3], "name=\"a\"");
    assert_number_id(&w->rows[4], 2);
    assert_vector(&w->rows[4], 2, 0.3f, 0.4f);
    assert_values(&w->rows[4], "name=null");
    assert_true(parsed.upserts && parsed.patches && parsed.deletes && parsed.return_affected_ids);
}

static void test_turbopuffer_write_reads_a_patch_by_filter(void **state)
{
    (void)state;
    const struct write_request *w =
        parse_good("{\"patch_rows\":[{\"id\":1,\"a\":1}],\"patch_by_filter\":{\"patch\":{\"a\":2,\"b\":null},"
                   "\"filters\":[\"a\",\"Lt\",3]},"
                   "\"patch_by_filter_allow_partial\":true,\"upsert_rows\":[{\"id\":2,\"a\":4}]}");
    assert_span(w->patch_filter, "[\"a\",\"Lt\",3]");
    assert_values(&w->patch, "a=2;b=null");
    assert_int_equal(w->patch.kind, WRITE_PATCH);
    assert_int_equal(w->row_count, 2);
    assert_values(&w->rows[1], "a=4");
    assert_true(w->patch_partial && !w->delete_partial && parsed.patches && !parsed.deletes);
}

/* Recorded from the Node client, whose keys keep the caller's order. */
static void test_turbopuffer_write_reads_rows_of_the_node_client(void **state)
{
    (void)state;
    const struct write_request *w =
        parse_good("{\"upsert_rows\":[{\"id\":1,\"vector\":[0.1,0.2],\"f\":{\"0\":0.10000000149011612},"
                   "\"t\":\"1970-01-01T00:00:00.000Z\",\"n\":null,\"big\":1152921504606847000}],"
                   "\"distance_metric\":\"euclidean_squared\"}");
    assert_vector(&w->rows[0], 2, 0.1f, 0.2f);
    assert_values(&w->rows[0], "f={\"0\":0.10000000149011612};t=\"1970-01-01T00:00:00.000Z\";n=null;"
                               "big=1152921504606847000");
    assert_true(w->has_metric && w->metric == INDEX_EUCLIDEAN_SQUARED);
}

static void test_turbopuffer_write_takes_four_shapes_of_a_vector_column(void **state)
{
    (void)state;
    static const char *const shapes[] = {
        "[[0.1,0.2],[0.3,0.4]]", "[\"zczMPc3MTD4=\",\"mpmZPs3MzD4=\"]", "[[0.1,0.2],\"mpmZPs3MzD4=\"]",
        "[0.1,0.2,0.3,0.4]",     "\"zczMPc3MTD6amZk+zczMPg==\"",
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        char body[200];
        snprintf(body, sizeof body, "{\"upsert_columns\":{\"vector\":%s,\"a\":[5,6],\"id\":[7,8]}}", shapes[i]);
        const struct write_request *w = parse_good(body);
        assert_int_equal(w->row_count, 2);
        assert_vector(&w->rows[0], 2, 0.1f, 0.2f);
        assert_vector(&w->rows[1], 2, 0.3f, 0.4f);
        assert_number_id(&w->rows[1], 8);
        assert_values(&w->rows[1], "a=6");
    }
    const struct write_request *w =
        parse_good("{\"upsert_columns\":{\"id\":[1,2],\"vector\":[null,[1]]},\"upsert_rows\":"
                   "[{\"id\":3,\"vector\":null},{\"id\":4,\"vector\":[2,2]}]}");
    assert_null(w->rows[0].vector);
    assert_vector(&w->rows[1], 1, 1, 0);
    assert_null(w->rows[2].vector);
    assert_vector(&w->rows[3], 2, 2, 2);
}

static void test_turbopuffer_write_names_each_attribute_once(void **state)
{
    (void)state;
    const struct write_request *w = parse_good("{\"upsert_rows\":[{\"id\":1,\"a\":1,\"b\":2},{\"b\":3,\"id\":2,"
                                               "\"a\":4},{\"c\":5,\"\\u0061\":6,\"id\":3}],"
                                               "\"patch_columns\":{\"id\":[9],\"c\":[7],\"d\":[[]]}}");
    assert_int_equal(w->attribute_count, 4);
    assert_values(&w->rows[1], "b=3;a=4");
    assert_values(&w->rows[2], "c=5;a=6");
    assert_values(&w->rows[3], "c=7;d=[]");
    w = parse_good("{\"upsert_columns\":{\"id\":[]},\"upsert_rows\":[],\"deletes\":[]}");
    assert_int_equal(w->row_count, 0);
    assert_true(parsed.upserts && parsed.deletes);
}

static void test_turbopuffer_write_keeps_ids_whole(void **state)
{
    (void)state;
    const struct write_request *w =
        parse_good("{\"deletes\":[18446744073709551615,\"769c134d-07b8-4225-954a-b6cc5ffc320c\",\"7\",7]}");
    assert_number_id(&w->rows[0], UINT64_MAX);
    assert_string_id(&w->rows[1], "769c134d-07b8-4225-954a-b6cc5ffc320c");
    assert_string_id(&w->rows[2], "7");
    assert_number_id(&w->rows[3], 7);
}

static void test_turbopuffer_write_takes_options(void **state)
{
    (void)state;
    const struct write_request *w = parse_good(
        "{\"create_namespace\":true,\"disable_backpressure\":true,\"encryption\":{\"mode\":\"default\"},"
        "\"patch_condition\":[\"a\",\"Eq\",1],\"delete_condition\":[\"b\",\"Eq\",2],\"sharding\":null,"
        "\"delete_by_filter\":null,\"patch_by_filter_allow_partial\":false}");
    assert_int_equal(w->create, CREATE_ALWAYS);
    assert_true(w->disable_backpressure);
    assert_span(w->patch_condition, "[\"a\",\"Eq\",1]");
    assert_span(w->delete_condition, "[\"b\",\"Eq\",2]");
    assert_int_equal(parse_good("{\"create_namespace\":false}")->create, CREATE_NEVER);
    assert_int_equal(parse_good("{\"create_namespace\":null}")->create, CREATE_FOR_ROWS);
    assert_false(parse_good("{}")->has_metric);
}

static void test_turbopuffer_write_refuses_what_is_no_write(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"", "expected an object"},
        {"[]", "the request must be an object"},
        {"{\"upsert_rows\":[{\"id\":1}]", "at byte"},
        {"{\"upsert_rows\":{}}",
         "upsert_rows must be an array, not an object (invalid type: map, expected a sequence)"},
        {"{\"upsert_rows\":[7]}", "each of upsert_rows must be an object"},
        {"{\"upsert_rows\":[{\"a\":7}]}", "a row of upsert_rows lacks its id"},
        {"{\"patch_rows\":[{\"id\":null}]}", "an id must be an unsigned integer, a UUID or a string, not null"},
        {"{\"upsert_rows\":[{\"id\":-1}]}", "below 2^64"},
        {"{\"upsert_rows\":[{\"id\":1.5}]}", "below 2^64"},
        {"{\"upsert_rows\":[{\"id\":18446744073709551616}]}", "below 2^64"},
        {"{\"upsert_rows\":[{\"id\":\"\\ud800\"}]}", "at byte"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":[1,NaN]}]}", "at byte"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":[1,\"2\"]}]}", "a component of \"vector\" must be a number"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":[[1]]}]}", "a component of \"vector\" must be a number"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":1}]}", "\"vector\" must be an array"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":[1e39]}]}", "at byte"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":\"AAA*\"}]}", "not base 64"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":\"AAAAAAA=\"}]}", "not base 64 of float32"},
        {"{\"upsert_columns\":[]}", "upsert_columns must be an object"},
        {"{\"upsert_columns\":{\"a\":[1]}}", "lacks the column \"id\""},
        {"{\"upsert_columns\":{\"id\":7}}", "the column \"id\" must be an array"},
        {"{\"upsert_columns\":{\"id\":[true]}}", "an id must be"},
        {"{\"upsert_columns\":{\"id\":[1],\"a\":\"x\"}}", "a column must be an array"},
        {"{\"upsert_columns\":{\"id\":[1],\"vector\":7}}", "the column \"vector\" must be an array"},
        {"{\"upsert_columns\":{\"id\":[1],\"vector\":[true]}}", "\"vector\" must be an array"},
        {"{\"deletes\":7}", "deletes must be an array"},
        {"{\"delete_by_filter\":{}}", "delete_by_filter must be an array"},
        {"{\"patch_by_filter\":[]}", "patch_by_filter must be an object"},
        {"{\"patch_by_filter\":{\"patch\":{}}}", "patch_by_filter needs"},
        {"{\"patch_by_filter\":{\"filters\":[]}}", "patch_by_filter needs"},
        {"{\"patch_by_filter\":{\"filters\":{},\"patch\":{}}}", "patch_by_filter.filters must be an array"},
        {"{\"patch_by_filter\":{\"filters\":[],\"patch\":[]}}", "patch_by_filter.patch must be an object"},
        {"{\"delete_by_filter_allow_partial\":1}", "must be a boolean"},
        {"{\"deletes\":[[1]]}", "an id must be"},
        {"{\"schema\":[]}", "schema must be an object"},
        {"{\"upsert_condition\":{}}", "upsert_condition must be an array"},
        {"{\"return_affected_ids\":1}", "return_affected_ids must be a boolean"},
        {"{\"create_namespace\":\"yes\"}", "create_namespace must be a boolean"},
        {"{\"distance_metric\":\"dot\"}", "distance_metric must be"},
        {"{\"encryption\":true}", "encryption must be an object"},
        {"{\"upserts\":[]}", "unknown field \"upserts\""},
        {"{\"deletes\":[],\"deletes\":[]}", "given twice"},
        {"{\"deletes\":[1]} x", "at byte"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i].body), DP_INVALID);
        if (!strstr(call.error.message, cases[i].says) || !malformed)
            fail_msg("%s\nmust be no write because \"%s\", but: %s", cases[i].body, cases[i].says,
                     call.error.message);
    }
}

static void test_turbopuffer_write_refuses_broken_rules(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum dp_status status;
        const char *says;
    } cases[] = {
        {"{\"upsert_columns\":{\"id\":[1,2],\"a\":[1]}}", DP_INVALID,
         "column \"a\" has 1 values, but \"id\" has 2"},
        {"{\"upsert_columns\":{\"id\":[1],\"a\":[1,2]}}", DP_INVALID, "column \"a\" has 2 values"},
        {"{\"upsert_columns\":{\"id\":[1],\"vector\":[[1],[2]]}}", DP_INVALID, "column \"vector\" has 2 values"},
        {"{\"upsert_columns\":{\"id\":[1,2],\"vector\":[1,2,3]}}", DP_INVALID, "has 3 numbers for 2 rows"},
        {"{\"upsert_columns\":{\"id\":[1,2],\"vector\":\"AAAAAA==\"}}", DP_INVALID, "has 1 numbers for 2 rows"},
        {"{\"upsert_columns\":{\"id\":[1],\"a\":[1],\"a\":[1]}}", DP_INVALID, "the column \"a\" is given twice"},
        {"{\"upsert_rows\":[{\"id\":1,\"id\":1}]}", DP_INVALID, "\"id\" is given twice in one row"},
        {"{\"upsert_rows\":[{\"id\":1,\"a\":1},{\"id\":2,\"a\":1,\"a\":1}]}", DP_INVALID, "\"a\" is given twice"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":[]}]}", DP_INVALID, "1 to 16384 numbers, not 0"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":\"AADAfw==\"}]}", DP_INVALID, "NaN or an infinite number"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":\"AACAfw==\"}]}", DP_INVALID, "NaN or an infinite number"},
        {"{\"patch_rows\":[{\"id\":1,\"vector\":[1]}]}", DP_INVALID, "a patch cannot change \"vector\""},
        {"{\"patch_columns\":{\"vector\":[[1]],\"id\":[1]}}", DP_INVALID, "a patch cannot change \"vector\""},
        {"{\"patch_by_filter\":{\"filters\":[],\"patch\":{\"vector\":[1]}}}", DP_INVALID, "a patch cannot change"},
        {"{\"patch_by_filter\":{\"filters\":[],\"patch\":{\"id\":1}}}", DP_INVALID, "cannot change \"id\""},
        {"{\"patch_by_filter\":{\"filters\":[],\"patch\":{\"a\":1,\"a\":1}}}", DP_INVALID, "\"a\" is given twice"},
        {"{\"copy_from_namespace\":{\"source_namespace\":\"a\",\"source_region\":\"aws\"}}", DP_UNSUPPORTED,
         "a source of another server"},
        {"{\"copy_from_namespace\":{\"source_namespace\":\"a\",\"dest_encryption\":{\"mode\":\"other\"}}}",
         DP_UNSUPPORTED, "encryption other"},
        {"{\"branch_from_namespace\":\"a\",\"deletes\":[1]}", DP_INVALID, "stands alone"},
        {"{\"branch_from_namespace\":\"a\",\"copy_from_namespace\":\"a\"}", DP_INVALID, "stands alone"},
        {"{\"sharding\":{\"num_shards\":2}}", DP_UNSUPPORTED, "sharding is not supported yet"},
        {"{\"encryption\":{\"mode\":\"customer-managed\",\"key_name\":\"k\"}}", DP_UNSUPPORTED,
         "encryption other"},
        {"{\"encryption\":{\"cmek\":{\"key_name\":\"k\"}}}", DP_UNSUPPORTED, "encryption other than"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i].body), cases[i].status);
        if (!strstr(call.error.message, cases[i].says) || malformed)
            fail_msg("%s\nmust be refused because \"%s\", but: %s", cases[i].body, cases[i].says,
                     call.error.message);
    }
}

static void test_turbopuffer_write_bounds_vectors_and_attributes(void **state)
{
    (void)state;
    static char body[1 << 17];
    size_t len = (size_t)snprintf(body, sizeof body, "{\"upsert_rows\":[{\"id\":1,\"vector\":[1");
    for (size_t i = 1; i < INDEX_DIM_MAX; i++)
        len += (size_t)snprintf(body + len, sizeof body - len, ",1");
    snprintf(body + len, sizeof body - len, "]}]}");
    assert_int_equal(parse_good(body)->rows[0].dim, INDEX_DIM_MAX);
    snprintf(body + len, sizeof body - len, ",1]}]}");
    assert_int_equal(parse(body), DP_INVALID);
    assert_non_null(strstr(call.error.message, "1 to 16384 numbers, not 16385"));
    len = (size_t)snprintf(body, sizeof body, "{\"upsert_rows\":[{\"id\":1");
    for (size_t i = 0; i < WRITE_ATTRIBUTES_MAX; i++)
        len += (size_t)snprintf(body + len, sizeof body - len, ",\"a%zu\":1", i);
    snprintf(body + len, sizeof body - len, "}]}");
    assert_int_equal(parse_good(body)->attribute_count, WRITE_ATTRIBUTES_MAX);
    snprintf(body + len, sizeof body - len, ",\"b\":1}]}");
    assert_int_equal(parse(body), DP_INVALID);
    assert_non_null(strstr(call.error.message, "more than 1024 different attributes"));
}

/* Fills `body` with upsert_columns of `rows` ids and `columns` columns of 0, and then the text `more`. */
static void columns_body(struct buffer *body, size_t rows, size_t columns, const char *more)
{
    buffer_clear(body);
    buffer_append_str(body, "{\"upsert_columns\":{\"id\":[");
    for (size_t i = 0; i < rows; i++)
        buffer_printf(body, i ? ",%zu" : "%zu", i);
    for (size_t c = 0; c < columns; c++) {
        buffer_printf(body, "],\"c%zu\":[0", c);
        for (size_t i = 1; i < rows; i++)
            buffer_append_str(body, ",0");
    }
    buffer_printf(body, "]}%s}", more);
    buffer_u8(body, 0);
}

static void test_turbopuffer_write_bounds_rows_and_values(void **state)
{
    (void)state;
    struct buffer body;
    buffer_init(&body, (size_t)64 << 20);
    columns_body(&body, TURBOPUFFER_ROWS_MAX, 0, "");
    assert_int_equal(parse_good((const char *)body.data)->row_count, TURBOPUFFER_ROWS_MAX);
    static const char *const more[] = {",\"deletes\":[\"x\"]", ",\"patch_rows\":[{\"id\":\"x\"}]",
                                       ",\"patch_columns\":{\"id\":[\"x\"]}"};
    for (size_t i = 0; i < 3; i++) {
        columns_body(&body, TURBOPUFFER_ROWS_MAX, 0, more[i]);
        assert_int_equal(parse((const char *)body.data), DP_TOO_LARGE);
        assert_non_null(strstr(call.error.message, "more than 131072 rows"));
        columns_body(&body, TURBOPUFFER_ROWS_MAX - 1, 0, more[i]);
        assert_int_equal(parse((const char *)body.data), DP_OK);
    }
    const char *eight = "\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0";
    for (size_t beyond = 0; beyond < 2; beyond++) {
        char rest[200];
        snprintf(rest, sizeof rest, ",\"upsert_rows\":[{\"id\":\"x\",%s%s}]", eight, beyond ? ",\"i\":0" : "");
        columns_body(&body, TURBOPUFFER_ROWS_MAX - 1, 8, rest);
        assert_int_equal(parse((const char *)body.data), beyond ? DP_TOO_LARGE : DP_OK);
    }
    assert_non_null(strstr(call.error.message, "more than 1048576 values"));
    columns_body(&body, TURBOPUFFER_ROWS_MAX, 9, "");
    assert_int_equal(parse((const char *)body.data), DP_TOO_LARGE);
    buffer_deinit(&body);
}

/* Fills `body` with a column of vectors, in one text: an array of numbers, or base 64. */
static void flat_body(struct buffer *body, size_t rows, size_t numbers, bool base64)
{
    buffer_clear(body);
    buffer_append_str(body, "{\"upsert_columns\":{\"id\":[");
    for (size_t i = 0; i < rows; i++)
        buffer_printf(body, i ? ",%zu" : "%zu", i);
    buffer_append_str(body, base64 ? "],\"vector\":\"" : "],\"vector\":[0");
    const size_t bytes = numbers * sizeof(float);
    for (size_t i = base64 ? 0 : 1; i < (base64 ? bytes / 3 * 4 : numbers); i++)
        buffer_append_str(body, base64 ? "A" : ",0");
    if (base64)
        buffer_append_str(body, bytes % 3 == 1 ? "AA==\"" : bytes % 3 == 2 ? "AAA=\"" : "\"");
    buffer_append_str(body, base64 ? "}}" : "]}}");
    buffer_u8(body, 0);
}

static void test_turbopuffer_write_bounds_the_bytes_of_vectors(void **state)
{
    (void)state;
    enum { NUMBERS = TURBOPUFFER_VECTORS_MAX / 4 };
    struct buffer body;
    buffer_init(&body, (size_t)64 << 20);
    for (int base64 = 0; base64 < 2; base64++) {
        flat_body(&body, 256, NUMBERS, base64);
        assert_int_equal(parse_good((const char *)body.data)->rows[255].dim, NUMBERS / 256);
        flat_body(&body, 257, NUMBERS + 1, base64);
        assert_int_equal(parse((const char *)body.data), DP_TOO_LARGE);
        assert_non_null(strstr(call.error.message, "more than 16777216 bytes as float32"));
    }
    /* After a full column, one more vector stays as text. */
    flat_body(&body, 256, NUMBERS, true);
    body.len -= 2; /* the last brace, and the NUL */
    buffer_append_str(&body, ",\"upsert_rows\":[{\"id\":\"x\",\"vector\":[1]}]}");
    buffer_u8(&body, 0);
    const struct write_request *request = parse_good((const char *)body.data);
    struct write_row row = request->rows[256];
    assert_true(!row.vector && span_equal_str(row.raw_vector, "[1]"));
    assert_int_equal(request->read_vector(&call, &row), DP_OK);
    assert_true(row.dim == 1 && row.vector[0] == 1.0F);
    row.raw_vector = span_str("[1,\"x\"]");
    assert_int_equal(request->read_vector(&call, &row), DP_INVALID);
    buffer_deinit(&body);
}

static void test_turbopuffer_write_survives_every_failed_allocation(void **state)
{
    (void)state;
    const char *body = "{\"upsert_rows\":[{\"id\":\"\\u0061\",\"vector\":[1,2],\"b\":1}],\"upsert_columns\":"
                       "{\"id\":[1,2],\"vector\":\"zczMPc3MTD6amZk+zczMPg==\",\"c\":[1,2]},\"deletes\":[7]}";
    for (size_t n = 1;; n++) {
        test_alloc_fail_at(n);
        enum dp_status status = parse(body);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        assert_int_equal(status, DP_NOMEM);
        assert_false(malformed);
    }
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turbopuffer_write_reads_rows_of_the_python_client),
        cmocka_unit_test(test_turbopuffer_write_reads_columns_of_the_python_client),
        cmocka_unit_test(test_turbopuffer_write_reads_a_patch_by_filter),
        cmocka_unit_test(test_turbopuffer_write_reads_rows_of_the_node_client),
        cmocka_unit_test(test_turbopuffer_write_takes_four_shapes_of_a_vector_column),
        cmocka_unit_test(test_turbopuffer_write_names_each_attribute_once),
        cmocka_unit_test(test_turbopuffer_write_keeps_ids_whole),
        cmocka_unit_test(test_turbopuffer_write_takes_options),
        cmocka_unit_test(test_turbopuffer_write_refuses_what_is_no_write),
        cmocka_unit_test(test_turbopuffer_write_refuses_broken_rules),
        cmocka_unit_test(test_turbopuffer_write_bounds_vectors_and_attributes),
        cmocka_unit_test(test_turbopuffer_write_bounds_rows_and_values),
        cmocka_unit_test(test_turbopuffer_write_bounds_the_bytes_of_vectors),
        cmocka_unit_test(test_turbopuffer_write_survives_every_failed_allocation),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, NULL, tear_down));
}
