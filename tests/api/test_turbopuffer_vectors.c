/* test_turbopuffer_vectors.c: vector attributes beside "vector": queries that rank by them, and texts that are embedded
 * into them, over turbopuffer's API.
 */
#include "api_fixture.h"

#define COSINE                          ",\"distance_metric\":\"cosine_distance\"}"
#define BY(attribute, operator, vector) "{\"rank_by\":[\"" attribute "\",\"" operator"\"," vector "],\"limit\":9"

static void write_rows(const char *namespace, const char *body, const char *holds)
{
    assert_answer(ask(api_service, turbopuffer_write, namespace, body), 200, holds);
}

static void assert_rows(const char *namespace, const char *query, const char *holds)
{
    assert_answer(ask(api_service, turbopuffer_query, namespace, query), 200, holds);
}

static void test_turbopuffer_ranks_by_another_vector_attribute(void **state)
{
    (void)state;
    write_rows(
        "images",
        "{\"schema\":{\"img\":{\"type\":\"[2]f32\",\"ann\":true},\"half\":\"[2]f16\",\"small\":\"[2]i8\",\"far\":"
        "{\"type\":\"[2]f32\",\"ann\":{\"distance_metric\":\"euclidean_squared\"}}},\"upsert_rows\":["
        "{\"id\":1,\"vector\":[1,0],\"img\":[0,2],\"half\":[1,1],\"small\":[-3,4],\"far\":[0,3],\"n\":1},"
        "{\"id\":2,\"vector\":[1,0],\"img\":[2,0],\"half\":[0,1],\"small\":[4,3],\"far\":[0,1],\"n\":2},"
        "{\"id\":3,\"vector\":[1,0],\"img\":[0,0],\"n\":3},{\"id\":4,\"vector\":[1,0],\"n\":4}]" COSINE,
        "\"rows_upserted\":4");
    /* Row 3 has no direction, and row 4 no value. */
    assert_rows("images", BY("img", "ANN", "[1,0]") "}",
                "\"rows\":[{\"id\":2,\"$dist\":0},{\"id\":1,\"$dist\":1}],");
    assert_rows("images", BY("img", "kNN", "\"AAAAAAAAgD8=\"") ",\"filters\":[\"n\",\"Lt\",3]}",
                "\"rows\":[{\"id\":1,\"$dist\":0},{\"id\":2,\"$dist\":1}],");
    assert_rows("images", BY("img", "ANN", "[1,0]") ",\"filters\":[\"n\",\"Eq\",1]}",
                "\"rows\":[{\"id\":1,\"$dist\":1}],");
    assert_rows("images", BY("half", "ANN", "[0,1]") ",\"include_attributes\":[\"vector\",\"half\"]}",
                "\"rows\":[{\"id\":2,\"$dist\":0,\"vector\":[1,0],\"half\":[0,1]},{\"id\":1,\"$dist\":0.29289");
    assert_rows("images", BY("small", "ANN", "[4,3]") "}",
                "\"rows\":[{\"id\":2,\"$dist\":0},{\"id\":1,\"$dist\":1}],");
    assert_rows("images", BY("far", "ANN", "[0,0]") "}", /* its own metric; a zero vector has distances */
                "\"rows\":[{\"id\":2,\"$dist\":1},{\"id\":1,\"$dist\":9}],");
    assert_rows("images", "{\"rank_by\":[\"img\",\"ANN\",[1,0]],\"limit\":1,\"offset\":1}",
                "\"rows\":[{\"id\":1,\"$dist\":1}],");
    assert_answer(ask(api_service, turbopuffer_explain, "images", BY("img", "ANN", "[1,0]") "}"), 200,
                  "look at all 4 rows");
    static const struct refusal refusals[] = {
        {BY("img", "ANN", "[1,0,0]") "}", 400, "has 3 dimensions; attribute \\\"img\\\" has type [2]f32"},
        {BY("img", "ANN", "[0,0]") "}", 400, "no direction"},
        {BY("n", "ANN", "[1,0]") "}", 400, "attribute \\\"n\\\" of type int has no distance"},
        {BY("none", "ANN", "[1,0]") "}", 400, "no attribute \\\"none\\\""},
        {BY("far", "ANN", "[1e20,0]") "}", 400, "component 0"},
    };
    assert_refusals(api_service, turbopuffer_query, "images", refusals, sizeof refusals / sizeof refusals[0]);
}

/* Without "vector", the metric is that of the write that declares the attribute. */
static void test_turbopuffer_vector_attributes_have_a_metric(void **state)
{
    (void)state;
    static const char declare[] =
        "{\"schema\":{\"img\":{\"type\":\"[2]f32\",\"ann\":true}},\"upsert_rows\":[{\"id\":1,"
        "\"img\":[0,2]},{\"id\":2,\"img\":[2,0]}],\"distance_metric\":\"euclidean_squared\"}";
    write_rows("squared", declare, "");
    assert_rows("squared", BY("img", "ANN", "[1,0]") "}",
                "\"rows\":[{\"id\":2,\"$dist\":1},{\"id\":1,\"$dist\":5}],");
    write_rows("later", "{\"upsert_rows\":[{\"id\":9}]}", "");
    write_rows("later", declare, "");
    write_rows("later", declare, ""); /* "ann": true again changes nothing */
    assert_rows("later", BY("img", "ANN", "[1,0]") "}",
                "\"rows\":[{\"id\":2,\"$dist\":1},{\"id\":1,\"$dist\":5}],");
    write_rows("angles", "{\"schema\":{\"img\":\"[2]f32\"},\"upsert_rows\":[{\"id\":1,\"img\":[0,2]}]}", "");
    assert_rows("angles", BY("img", "ANN", "[1,0]") "}", "\"rows\":[{\"id\":1,\"$dist\":1}],");
    static const struct refusal refusals[] = {
        {"{\"upsert_rows\":[{\"id\":1,\"vector\":[1],\"img\":[1,0]}],\"distance_metric\":\"euclidean_squared\"}",
         400, "differs from that of attribute \\\"img\\\""},
    };
    assert_refusals(api_service, turbopuffer_write, "angles", refusals, sizeof refusals / sizeof refusals[0]);
}

static void test_turbopuffer_embeds_into_any_attribute(void **state)
{
    (void)state;
#define DECLARE                                                                                                  \
    "\"schema\":{\"title\":{\"type\":\"string\",\"embed\":{\"model\":\"tiny\",\"attribute\":\"title_vector\"}}," \
    "\"body\":{\"type\":\"string\",\"embed\":{\"model\":\"tiny\",\"attribute\":\"body_vector\"}}}"
    write_rows(
        "two",
        "{\"upsert_rows\":[{\"id\":1,\"title\":\"cat dog\",\"body\":\"wing wind sail\"},{\"id\":2,\"title\":"
        "\"wing wind sail\",\"body\":\"cat dog\"},{\"id\":3}]," DECLARE "}",
        "\"embedding_tokens\":");
#define CAT "[\"Embed\",\"cat dog\"]"
    assert_rows("two", BY("title_vector", "ANN", CAT) "}", "\"rows\":[{\"id\":1,\"$dist\":");
    assert_rows("two", BY("body_vector", "kNN", CAT) "}", "\"rows\":[{\"id\":2,\"$dist\":");
    assert_rows("two", BY("body", "ANN", CAT) "}", "\"rows\":[{\"id\":2,\"$dist\":");
    assert_rows("two", BY("$embed_title", "ANN", CAT) "}", "\"rows\":[{\"id\":1,\"$dist\":");
    /* A patch embeds the new text. A patch that clears the text clears the vector. */
    write_rows("two", "{\"patch_rows\":[{\"id\":2,\"title\":\"cat dog\"},{\"id\":1,\"title\":null}]}",
               "\"rows_patched\":2");
    assert_rows("two", BY("title_vector", "ANN", CAT) "}", "\"rows\":[{\"id\":2,\"$dist\":");
    assert_null(
        strstr(ask(api_service, turbopuffer_query, "two", BY("title_vector", "ANN", CAT) "}")->body, "\"id\":1"));
    write_rows("two", "{\"patch_by_filter\":{\"filters\":[\"id\",\"Eq\",3],\"patch\":{\"body\":\"salt pepper\"}}}",
               "\"rows_patched\":1");
    assert_rows("two", BY("body_vector", "ANN", "[\"Embed\",\"salt pepper\"]") "}",
                "\"rows\":[{\"id\":3,\"$dist\":");
    write_rows("two", "{\"upsert_rows\":[{\"id\":4,\"title\":\"cat dog\"}]," DECLARE "}", "\"rows_upserted\":1");
    static const struct refusal refusals[] = {
        {"{\"upsert_rows\":[{\"id\":5,\"title\":\"a\",\"title_vector\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}]}", 400,
         "\\\"title_vector\\\" is given, but it is embedded from \\\"title\\\""},
        {"{\"upsert_rows\":[{\"id\":5,\"title\":\"\"}]}", 400, "a text that is embedded is empty"},
        {"{\"schema\":{\"c\":{\"type\":\"string\",\"embed\":{\"model\":\"tiny\",\"attribute\":\"body_vector\"}}}}",
         400, "another attribute is embedded into \\\"body_vector\\\""},
        {"{\"schema\":{\"c\":{\"type\":\"string\",\"embed\":{\"model\":\"tiny\",\"attribute\":\"title\"}}}}", 400,
         "has type string"},
        {"{\"schema\":{\"c\":{\"type\":\"string\",\"embed\":{\"model\":\"tiny\",\"attribute\":\"$c\"}}}}", 400,
         "reserved"},
    };
    assert_refusals(api_service, turbopuffer_write, "two", refusals, sizeof refusals / sizeof refusals[0]);
    /* An attribute that has the client's own vectors. */
    write_rows("own", "{\"schema\":{\"v\":\"[2]f32\"},\"upsert_rows\":[{\"id\":1,\"v\":[1,0]}]}", "");
    static const struct refusal own[] = {
        {"{\"schema\":{\"t\":{\"type\":\"string\",\"embed\":{\"model\":\"tiny\",\"attribute\":\"v\"}}}}", 400,
         "cannot take the model's vectors"},
    };
    assert_refusals(api_service, turbopuffer_write, "own", own, sizeof own / sizeof own[0]);
}

static void test_turbopuffer_ranking_by_an_attribute_survives_failed_allocations(void **state)
{
    (void)state;
    write_rows("memory", "{\"schema\":{\"v\":\"[2]f32\"},\"upsert_rows\":[{\"id\":1,\"v\":[1,0]}]}", "");
    assert_survives_failed_allocations(api_service, turbopuffer_query, "memory", BY("v", "ANN", "[1,0]") "}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turbopuffer_ranks_by_another_vector_attribute),
        cmocka_unit_test(test_turbopuffer_vector_attributes_have_a_metric),
        cmocka_unit_test(test_turbopuffer_embeds_into_any_attribute),
        cmocka_unit_test(test_turbopuffer_ranking_by_an_attribute_survives_failed_allocations),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, api_set_up, api_tear_down));
}
