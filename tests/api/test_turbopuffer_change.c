/* test_turbopuffer_change.c: writes, deletions, metadata and schemas over turbopuffer's API, against a folder. */
#include "api_fixture.h"

#include <stdio.h>

#define NEAR(vector) "{\"rank_by\":[\"vector\",\"ANN\"," vector "],\"limit\":9,\"include_attributes\":true}"
#define COSINE       ",\"distance_metric\":\"cosine_distance\"}"

/* Writes, and fails the test unless the answer holds the text. */
static void write_rows(const char *namespace, const char *body, const char *holds)
{
    assert_answer(ask(api_service, turbopuffer_write, namespace, body), 200, holds);
}

static void assert_rows(const char *namespace, const char *query, const char *holds)
{
    assert_answer(ask(api_service, turbopuffer_query, namespace, query), 200, holds);
}

static void test_turbopuffer_writes_are_read_back_at_once(void **state)
{
    (void)state;
    write_rows("first",
               "{\"upsert_rows\":[{\"id\":1,\"vector\":[3,4],\"n\":9223372036854775807,\"tags\":[\"a\"]},"
               "{\"id\":2,\"vector\":[4,-3],\"n\":null}]" COSINE,
               "{\"status\":\"OK\",\"message\":");
    assert_rows("first", NEAR("[3,4]"),
                "\"rows\":[{\"id\":1,\"$dist\":0,\"vector\":[3,4],\"n\":9223372036854775807,\"tags\":[\"a\"]},"
                "{\"id\":2,\"$dist\":1,\"vector\":[4,-3]}]");
    write_rows(
        "first",
        "{\"upsert_columns\":{\"id\":[2],\"vector\":\"AAAAAAAAgD8=\",\"tags\":[[]]},\"patch_rows\":"
        "[{\"id\":1,\"n\":null,\"s\":\"x\"},{\"id\":7,\"s\":\"y\"}],\"return_affected_ids\":true}",
        "\"rows_affected\":2,\"rows_upserted\":1,\"rows_patched\":1,\"upserted_ids\":[2],\"patched_ids\":[1],"
        "\"billing\":{\"billable_logical_bytes_written\":");
    assert_rows("first", NEAR("[0,1]"),
                "\"rows\":[{\"id\":2,\"$dist\":0,\"vector\":[0,1],\"tags\":[]},{\"id\":1,\"$dist\":");
    assert_rows("first", NEAR("[0,1]"), "\"tags\":[\"a\"],\"s\":\"x\"}]");
    write_rows("first", "{\"deletes\":[1]}", "\"rows_affected\":1,\"rows_deleted\":1,\"billing\"");
    assert_rows("first", NEAR("[3,4]"), "\"rows\":[{\"id\":2,");
    write_rows("first", "{\"patch_rows\":[{\"id\":8,\"s\":\"y\"}],\"return_affected_ids\":true}",
               "\"rows_affected\":0,\"rows_patched\":0,\"billing\"");
}

static void test_turbopuffer_values_are_kept_faithfully(void **state)
{
    (void)state;
    write_rows(
        "values",
        "{\"schema\":{\"id\":\"uuid\",\"u\":\"uint\",\"when\":\"datetime\",\"b\":\"bytes\",\"us\":\"[]uint\","
        "\"who\":\"uuid\",\"f\":\"float\",\"half\":{\"type\":\"[2]f16\",\"ann\":true}},\"upsert_rows\":"
        "[{\"id\":\"769C134D-07B8-4225-954A-B6CC5FFC320C\",\"vector\":[1,0],\"u\":18446744073709551615,"
        "\"when\":\"2024-03-01T02:00:00+02:00\",\"b\":\"aGk=\",\"us\":[1,2],\"f\":1,\"half\":[1,2],"
        "\"who\":\"769C134D07B84225954AB6CC5FFC320C\",\"i\":-5,\"s\":\"\\u00e4\",\"ok\":true}]" COSINE,
        "\"rows_upserted\":1");
    assert_rows("values", NEAR("[1,0]"), "{\"id\":\"769c134d-07b8-4225-954a-b6cc5ffc320c\",\"$dist\":0,");
    assert_rows("values", NEAR("[1,0]"), "\"u\":18446744073709551615,\"when\":\"2024-03-01T00:00:00.000000000Z\"");
    assert_rows("values", NEAR("[1,0]"), "\"b\":\"aGk=\",\"us\":[1,2],\"f\":1,\"half\":[1,2]");
    assert_rows("values", NEAR("[1,0]"), "\"i\":-5,\"s\":\"\xc3\xa4\",\"ok\":true}");
    const struct answer *a = ask(api_service, turbopuffer_schema, "values", "");
    assert_answer(a, 200, "\"id\":{\"type\":\"uuid\"}");
    assert_answer(a, 200, "\"vector\":{\"type\":\"[2]f32\",\"ann\":{\"distance_metric\":\"cosine_distance\"}}");
    assert_answer(a, 200, "\"when\":{\"type\":\"datetime\",\"filterable\":true}");
    assert_answer(a, 200, "\"i\":{\"type\":\"int\"");
    static const struct refusal refusals[] = {
        {"{\"deletes\":[\"769c134d-07b8-4225-954a-b6cc5ffc320\"]}", 400, "UUID"},
        {"{\"deletes\":[7]}", 400, "row 7: "},
        {"{\"deletes\":[\"769c134d-07b8-4225-954a-b6cc5ffc320c\",\"769C134D-07B8-4225-954A-B6CC5FFC320C\"]}", 400,
         "occurs twice"},
        {"{\"patch_rows\":[{\"id\":\"769c134d-07b8-4225-954a-b6cc5ffc320c\",\"half\":[1,2]}]}", 400,
         "a patch cannot change a vector"},
    };
    assert_refusals(api_service, turbopuffer_write, "values", refusals, sizeof refusals / sizeof refusals[0]);
}

static void test_turbopuffer_refuses_rows_that_do_not_fit(void **state)
{
    (void)state;
    write_rows("fit",
               "{\"upsert_rows\":[{\"id\":1,\"vector\":[1,0],\"n\":1,\"s\":\"x\"}],\"schema\":{\"when\":"
               "\"datetime\"}" COSINE,
               "");
    static const struct refusal refusals[] = {
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0]},{\"id\":2,\"vector\":[1,0]}]}", 400, "occurs twice"},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0]}],\"deletes\":[2]}", 400, "the id 2 occurs twice"},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0]}],\"patch_rows\":[{\"id\":2}]}", 400, "occurs twice"},
        {"{\"upsert_rows\":[{\"id\":\"2\",\"vector\":[1,0]}]}", 400,
         "row \\\"2\\\": the id \\\"2\\\" is not of type"},
        {"{\"upsert_rows\":[{\"id\":2}]}", 400, "row 2: \\\"vector\\\" is missing"},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1]}]}", 400, "has 1 dimensions; those of the namespace have 2"},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[0,0]}]}", 400, "length zero"},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0],\"n\":1.5}]}", 400, "row 2: attribute \\\"n\\\""},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0],\"n\":\"1\"}]}", 400, "attribute \\\"n\\\""},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0],\"n\":9223372036854775808}]}", 400, "attribute \\\"n\\\""},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0],\"s\":{}}]}", 400, "attribute \\\"s\\\""},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0],\"new\":{}}]}", 400, "attribute \\\"new\\\""},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0],\"new\":[1,null]}]}", 400, "attribute \\\"new\\\""},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0],\"$new\":1}]}", 400, "reserved"},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0],\"when\":\"2024-02-30\"}]}", 400, "attribute \\\"when\\\""},
        {"{\"patch_rows\":[{\"id\":1,\"when\":\"yesterday\"}]}", 400, "attribute \\\"when\\\""},
        {"{\"schema\":{\"n\":\"string\"}}", 400, "\\\"n\\\""},
        {"{\"schema\":{\"n\":\"complex\"}}", 400, "\\\"n\\\""},
        {"{\"schema\":{\"id\":\"string\"}}", 400, "id"},
        {"{\"deletes\":[\"\"]}", 400, "1 to"},
        {"{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0]}],\"distance_metric\":\"euclidean_squared\"}", 400,
         "differs from that of the namespace, which is cosine_distance"},
        {"{\"upsert_rows\":{}}", 422, "upsert_rows must be an array"},
        {"{\"delete_by_filter\":[\"n\",\"Eq\",\"x\"]}", 400, "delete_by_filter: attribute \\\"n\\\""},
        {"{\"delete_by_filter\":[]}", 400, "delete_by_filter: a filter"},
        {"{\"delete_by_filter\":[\"n\",\"Lt\",{\"$ref_new\":\"n\"}]}", 400, "delete_by_filter:"},
        {"{\"patch_by_filter\":{\"filters\":[\"n\",\"Eq\",1],\"patch\":{\"n\":\"x\"}}}", 400,
         "patch_by_filter: attribute \\\"n\\\""},
    };
    assert_refusals(api_service, turbopuffer_write, "fit", refusals, sizeof refusals / sizeof refusals[0]);
    assert_rows("fit", NEAR("[1,0]"), "\"rows\":[{\"id\":1,\"$dist\":0,\"vector\":[1,0],\"n\":1,\"s\":\"x\"}]");
    assert_answer(ask(api_service, turbopuffer_schema, "fit", ""), 200, "\"s\":{\"type\":\"string\"");
    assert_null(strstr(ask(api_service, turbopuffer_schema, "fit", "")->body, "new"));
}

static void test_turbopuffer_creates_namespaces_when_it_may(void **state)
{
    (void)state;
    static const struct refusal missing[] = {
        {"{}", 404, "there is no namespace"},
        {"{\"deletes\":[1]}", 404, "there is no namespace"},
        {"{\"patch_rows\":[{\"id\":1}]}", 404, "there is no namespace"},
        {"{\"schema\":{\"a\":\"int\"}}", 404, "there is no namespace"},
        {"{\"upsert_rows\":[{\"id\":1}],\"create_namespace\":false}", 404, "there is no namespace"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":[1]}]}", 400, "distance_metric is missing"},
        {"{\"create_namespace\":true}", 400, "the type of \\\"id\\\""},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":[1]},{\"id\":2,\"vector\":[1,2]}]" COSINE, 400, "2 dimensions"},
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":[1]},{\"id\":2}]" COSINE, 400, "\\\"vector\\\" is missing"},
    };
    assert_refusals(api_service, turbopuffer_write, "made", missing, sizeof missing / sizeof missing[0]);
    assert_answer(ask(api_service, turbopuffer_schema, "made", ""), 404, "");
    write_rows("made", "{\"create_namespace\":true,\"schema\":{\"id\":\"string\",\"a\":\"uint\"}}",
               "\"rows_affected\":0,\"billing\"");
    assert_answer(ask(api_service, turbopuffer_metadata, "made", ""), 200, "\"approx_row_count\":0");
    assert_answer(ask(api_service, turbopuffer_metadata, "made", ""), 200,
                  "\"index\":{\"status\":\"up-to-date\"}");
    write_rows("made", "{\"upsert_rows\":[{\"id\":\"x\",\"a\":7}]}", "\"rows_upserted\":1");
    assert_answer(ask(api_service, turbopuffer_metadata, "made", ""), 200,
                  "\"index\":{\"status\":\"updating\",\"unindexed_bytes\":");
    assert_answer(ask(api_service, turbopuffer_write, "..", "{}"), 400, "\"status\":\"error\"");
}

static void test_turbopuffer_writes_join_rows_of_loads(void **state)
{
    (void)state;
    fixture_index(api_service, "loaded",
                  "{\"id\":1,\"vector\":[3,4],\"text\":\"a\"}\n{\"id\":\"two\",\"vector\":[-4,3]}\n");
    write_rows("loaded",
               "{\"patch_rows\":[{\"id\":1,\"more\":1}],\"deletes\":[\"two\"],\"upsert_rows\":"
               "[{\"id\":3,\"vector\":[4,3]}]}",
               "\"rows_affected\":3");
    assert_rows("loaded", NEAR("[3,4]"),
                "\"rows\":[{\"id\":1,\"$dist\":0,\"vector\":[3,4],\"text\":\"a\",\"more\":1},{\"id\":3,");
    assert_answer(ask(api_service, turbopuffer_metadata, "loaded", ""), 200, "\"approx_row_count\":2");
}

static void test_turbopuffer_deletes_and_recreates_namespaces(void **state)
{
    (void)state;
    for (int life = 0; life < 3; life++) {
        write_rows("lives", "{\"upsert_rows\":[{\"id\":1,\"vector\":[1,0],\"a\":1}]" COSINE, "");
        assert_answer(ask(api_service, turbopuffer_delete, "lives", ""), 200, "{\"status\":\"OK\"}");
        assert_answer(ask(api_service, turbopuffer_query, "lives", NEAR("[1,0]")), 404, "no namespace");
        assert_answer(ask(api_service, turbopuffer_delete, "lives", ""), 404, "no namespace");
        assert_answer(ask(api_service, turbopuffer_metadata, "lives", ""), 404, "no namespace");
    }
    write_rows("lives",
               "{\"upsert_rows\":[{\"id\":\"a\",\"vector\":[1,0,0],\"a\":\"x\"}],"
               "\"distance_metric\":\"euclidean_squared\"}",
               "");
    assert_rows("lives", NEAR("[1,0,1]"), "\"rows\":[{\"id\":\"a\",\"$dist\":1,");
}

/* Two servers share only the root: each sees what the other did, at once. */
static void test_turbopuffer_two_servers_share_a_root(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    struct service *one = fixture_service(root, true), *other = fixture_service(root, true);
    assert_answer(ask(one, turbopuffer_write, "shared", "{\"upsert_rows\":[{\"id\":1,\"vector\":[1,0]}]" COSINE),
                  200, "");
    assert_answer(
        ask(other, turbopuffer_write, "shared", "{\"upsert_rows\":[{\"id\":2,\"vector\":[0,1],\"t\":true}]}"), 200,
        "");
    assert_answer(ask(one, turbopuffer_query, "shared", NEAR("[0,1]")), 200, "\"rows\":[{\"id\":2,");
    /* `one` has not seen that the schema makes "when" a datetime. */
    assert_answer(ask(other, turbopuffer_change_schema, "shared", "{\"when\":\"datetime\"}"), 200,
                  "\"when\":{\"type\":\"datetime\"");
    assert_answer(ask(one, turbopuffer_write, "shared",
                      "{\"upsert_rows\":[{\"id\":3,\"vector\":[1,1],\"when\":\"2024-03-01\"}]}"),
                  200, "");
    assert_answer(ask(other, turbopuffer_query, "shared", NEAR("[1,1]")), 200,
                  "\"when\":\"2024-03-01T00:00:00.000000000Z\"");
    assert_answer(ask(one, turbopuffer_delete, "shared", ""), 200, "OK");
    assert_answer(ask(other, turbopuffer_metadata, "shared", ""), 404, "");
    assert_answer(
        ask(one, turbopuffer_write, "shared",
            "{\"upsert_rows\":[{\"id\":\"x\",\"vector\":[1]}],\"distance_metric\":\"euclidean_squared\"}"),
        200, "");
    assert_answer(ask(other, turbopuffer_write, "shared", "{\"upsert_rows\":[{\"id\":\"y\",\"vector\":[2]}]}"),
                  200, "\"rows_upserted\":1");
    assert_answer(ask(one, turbopuffer_query, "shared", NEAR("[2]")), 200, "\"rows\":[{\"id\":\"y\",");
    ask_end();
    service_free(one);
    service_free(other);
}

static void test_turbopuffer_changes_metadata(void **state)
{
    (void)state;
    write_rows("settings", "{\"upsert_rows\":[{\"id\":1,\"vector\":[1,0]}]" COSINE, "");
    assert_answer(
        ask(api_service, turbopuffer_change_metadata, "settings", "{\"read_only\":true,\"pinning\":null}"), 200,
        "\"read_only\":true");
    assert_answer(ask(api_service, turbopuffer_write, "settings", "{\"deletes\":[1]}"), 403, "read-only");
    assert_answer(ask(api_service, turbopuffer_change_schema, "settings", "{\"a\":\"int\"}"), 403, "read-only");
    assert_answer(ask(api_service, turbopuffer_change_metadata, "settings", "{\"pinning\":false}"), 200,
                  "\"read_only\":true");
    const struct answer *a = ask(api_service, turbopuffer_change_metadata, "settings", "{\"read_only\":false}");
    assert_answer(a, 200, "\"approx_row_count\":1");
    assert_null(strstr(a->body, "read_only"));
    write_rows("settings", "{\"deletes\":[1]}", "");
    static const struct refusal refusals[] = {
        {"{\"pinning\":true}", 400, "pinning is not supported yet"},
        {"{\"pinning\":{\"replicas\":2}}", 400, "pinning is not supported yet"},
        {"{\"pinning\":7}", 422, "pinning must be an object"},
        {"{\"read_only\":\"yes\"}", 422, "read_only must be a boolean"},
        {"{\"colour\":1}", 422, "unknown field"},
        {"", 422, ""},
    };
    assert_refusals(api_service, turbopuffer_change_metadata, "settings", refusals,
                    sizeof refusals / sizeof refusals[0]);
    assert_answer(ask(api_service, turbopuffer_change_metadata, "nowhere", "{\"read_only\":true}"), 404, "");
}

static void test_turbopuffer_changes_schemas(void **state)
{
    (void)state;
    write_rows("schemas", "{\"upsert_rows\":[{\"id\":1,\"vector\":[1,0],\"a\":1,\"b\":2}]" COSINE, "");
    const struct answer *a = ask(api_service, turbopuffer_change_schema, "schemas",
                                 "{\"x\":{\"type\":\"string\",\"filterable\":false},\"a\":{\"drop\":true}}");
    assert_answer(a, 200, "\"x\":{\"type\":\"string\",\"filterable\":false}");
    assert_null(strstr(a->body, "\"a\""));
    assert_rows("schemas", NEAR("[1,0]"), "\"rows\":[{\"id\":1,\"$dist\":0,\"vector\":[1,0],\"b\":2}]");
    assert_answer(ask(api_service, turbopuffer_write, "schemas", "{\"patch_rows\":[{\"id\":1,\"a\":3}]}"), 400,
                  "dropped");
    static const struct refusal refusals[] = {
        {"[]", 422, "the request must be an object"}, {"", 422, ""},
        {"{\"x\":\"int\"}", 400, "\\\"x\\\""},        {"{\"y\":\"{}f16\"}", 400, "\\\"y\\\""},
        {"{\"y\":\"string\"", 422, "at byte"},
    };
    assert_refusals(api_service, turbopuffer_change_schema, "schemas", refusals,
                    sizeof refusals / sizeof refusals[0]);
    assert_answer(ask(api_service, turbopuffer_change_schema, "nowhere", "{\"x\":\"int\"}"), 404, "no namespace");
}

static void test_turbopuffer_writes_embed_texts(void **state)
{
    (void)state;
    write_rows(
        "texts",
        "{\"upsert_rows\":[{\"id\":1,\"body\":\"cat dog\"},{\"id\":2,\"body\":\"wing wind sail\"}],\"schema\":"
        "{\"body\":{\"type\":\"string\",\"embed\":{\"model\":\"tiny\"}}}}",
        "\"embedding_tokens\":");
    static const char cat[] =
        "{\"rank_by\":[\"vector\",\"ANN\",[\"Embed\",\"cat dog\"]],\"limit\":1,\"include_attributes\":[\"body\"]}";
    assert_rows("texts", cat, "\"rows\":[{\"id\":1,");
    write_rows("texts", "{\"patch_rows\":[{\"id\":2,\"body\":\"cat dog\"},{\"id\":1,\"body\":\"salt pepper\"}]}",
               "\"rows_patched\":2");
    assert_rows("texts", cat, "\"rows\":[{\"id\":2,");
    write_rows("texts", "{\"patch_rows\":[{\"id\":2,\"other\":1}]}", "\"rows_patched\":1");
    assert_answer(ask(api_service, turbopuffer_metadata, "texts", ""), 200, "\"model\":\"tiny\"");
    static const struct refusal refusals[] = {
        {"{\"upsert_rows\":[{\"id\":3}]}", 400, "\\\"vector\\\" is missing"},
        {"{\"upsert_rows\":[{\"id\":3,\"body\":null}]}", 400, "\\\"vector\\\" is missing"},
        {"{\"upsert_rows\":[{\"id\":3,\"body\":\"\"}]}", 400, "a text that is embedded is empty"},
        {"{\"upsert_rows\":[{\"id\":3,\"body\":7}]}", 400, "row 3: attribute \\\"body\\\""},
        {"{\"upsert_rows\":[{\"id\":3,\"body\":\"a\",\"vector\":[1]}]}", 400, "is embedded from"},
    };
    assert_refusals(api_service, turbopuffer_write, "texts", refusals, sizeof refusals / sizeof refusals[0]);
    static const struct refusal others[] = {
        {"{\"upsert_rows\":[{\"id\":3,\"b\":\"a\"}],\"schema\":{\"b\":{\"type\":\"string\",\"embed\":\"huge\"}}}",
         400, "model \\\"huge\\\", which this server has not loaded"},
        {"{\"upsert_rows\":[{\"id\":3,\"b\":\"a\"}],\"schema\":{\"b\":{\"type\":\"string\",\"embed\":{\"model\":"
         "\"tiny\","
         "\"dims\":3}}}}",
         400, "dimensions of type f32"},
        {"{\"upsert_rows\":[{\"id\":3,\"b\":\"a\"}],\"schema\":{\"b\":{\"type\":\"string\",\"embed\":\"tiny\"},"
         "\"c\":{\"type\":\"string\",\"embed\":\"tiny\"}}}",
         400, "another attribute is embedded into \\\"vector\\\" already"},
    };
    assert_refusals(api_service, turbopuffer_write, "more-texts", others, sizeof others / sizeof others[0]);
    assert_answer(ask(api_service, turbopuffer_schema, "more-texts", ""), 404, "");
}

static void test_turbopuffer_conditions_skip_rows(void **state)
{
    (void)state;
    write_rows("cond", "{\"upsert_rows\":[{\"id\":1,\"vector\":[1,0],\"v\":5},{\"id\":2,\"vector\":[1,0]}]" COSINE,
               "");
    write_rows("cond",
               "{\"upsert_rows\":[{\"id\":1,\"vector\":[0,1],\"v\":4},{\"id\":2,\"vector\":[0,1],\"v\":1},"
               "{\"id\":3,\"vector\":[0,1],\"v\":1}],\"upsert_condition\":[\"v\",\"Lt\",{\"$ref_new\":\"v\"}],"
               "\"return_affected_ids\":true}",
               "\"rows_affected\":2,\"rows_upserted\":2,\"upserted_ids\":[2,3],");
    write_rows("cond",
               "{\"upsert_rows\":[{\"id\":2,\"vector\":[1,1]},{\"id\":4,\"vector\":[1,1]}],\"upsert_condition\":"
               "[\"id\",\"Eq\",null],\"return_affected_ids\":true}",
               "\"upserted_ids\":[4],");
    write_rows(
        "cond",
        "{\"patch_rows\":[{\"id\":1,\"v\":6},{\"id\":3,\"v\":6},{\"id\":9,\"v\":6}],\"patch_condition\":"
        "[\"v\",\"Gt\",4],\"deletes\":[2,4,8],\"delete_condition\":[\"v\",\"Eq\",null],"
        "\"return_affected_ids\":true}",
        "\"rows_affected\":2,\"rows_patched\":1,\"rows_deleted\":1,\"patched_ids\":[1],\"deleted_ids\":[4],");
    assert_rows("cond", "{\"rank_by\":[\"id\",\"asc\"],\"include_attributes\":[\"v\"]}",
                "\"rows\":[{\"id\":1,\"v\":6},{\"id\":2,\"v\":1},{\"id\":3,\"v\":1}]");
    static const struct refusal refusals[] = {
        {"{\"deletes\":[1],\"delete_condition\":[\"v\",\"Eq\",\"x\"]}", 400, "delete_condition: "},
        {"{\"deletes\":[1],\"delete_condition\":[\"v\"]}", 400, "delete_condition: "},
        {"{\"patch_rows\":[{\"id\":1}],\"patch_condition\":[\"v\",\"Glob\",\"x\"]}", 400, "patch_condition: "},
        {"{\"upsert_rows\":[],\"upsert_condition\":[\"v\",\"Is\",1]}", 400, "upsert_condition: "},
    };
    assert_refusals(api_service, turbopuffer_write, "cond", refusals, sizeof refusals / sizeof refusals[0]);
}

static void test_turbopuffer_changes_survive_every_failed_allocation(void **state)
{
    (void)state;
    write_rows("memory", "{\"upsert_rows\":[{\"id\":1,\"vector\":[1,0],\"a\":\"x\"}]" COSINE, "");
    assert_survives_failed_allocations(api_service, turbopuffer_write, "memory",
                                       "{\"upsert_rows\":[{\"id\":2,\"vector\":[1,0],\"a\":\"y\"}],\"patch_rows\":"
                                       "[{\"id\":1,\"a\":\"z\"}],\"deletes\":[3]}");
    assert_survives_failed_allocations(api_service, turbopuffer_change_metadata, "memory", "{\"pinning\":null}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turbopuffer_writes_are_read_back_at_once),
        cmocka_unit_test(test_turbopuffer_values_are_kept_faithfully),
        cmocka_unit_test(test_turbopuffer_refuses_rows_that_do_not_fit),
        cmocka_unit_test(test_turbopuffer_creates_namespaces_when_it_may),
        cmocka_unit_test(test_turbopuffer_writes_join_rows_of_loads),
        cmocka_unit_test(test_turbopuffer_deletes_and_recreates_namespaces),
        cmocka_unit_test(test_turbopuffer_two_servers_share_a_root),
        cmocka_unit_test(test_turbopuffer_changes_metadata),
        cmocka_unit_test(test_turbopuffer_changes_schemas),
        cmocka_unit_test(test_turbopuffer_writes_embed_texts),
        cmocka_unit_test(test_turbopuffer_conditions_skip_rows),
        cmocka_unit_test(test_turbopuffer_changes_survive_every_failed_allocation),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, api_set_up, api_tear_down));
}
