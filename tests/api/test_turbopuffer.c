/* test_turbopuffer.c: requests, answers and errors of the turbopuffer dialect. */
#include "api_fixture.h"

#include <stdio.h>

#include "base/base64.h"

#define EMBED(text) "\"rank_by\":[\"vector\",\"ANN\",[\"Embed\",\"" text "\"]]"

#define TWO "{\"rank_by\":[\"id\",\"asc\"]},{\"rank_by\":[\"name\",\"desc\"],\"limit\":1}"

static int set_up(void **state)
{
    api_set_up(state);
    fixture_index(api_service, "things", FIXTURE_ROWS);
    fixture_index(api_service, "own",
                  "{\"id\":1,\"vector\":[3,4],\"name\":\"a\"}\n{\"id\":18446744073709551615,"
                  "\"vector\":[-4,3],\"name\":\"b\"}\n");
    return 0;
}

static void test_turbopuffer_ranks_by_text(void **state)
{
    (void)state;
    const struct answer *a = ask(api_service, turbopuffer_query, "things",
                                 "{" EMBED("wing wind sail") ",\"top_k\":2,\"include_attributes\":[\"kind\"]}");
    assert_answer(a, 200, "{\"rows\":[{\"id\":\"two\",\"$dist\":");
    assert_answer(a, 200, ",\"kind\":\"air\"},{\"id\":");
    assert_answer(a, 200, "\"billing\":{\"billable_logical_bytes_queried\":");
    assert_answer(a, 200, "\"performance\":{\"cache_hit_ratio\":");
    static const char *const fields[] = {"cache_temperature",
                                         "server_total_ms",
                                         "query_execution_ms",
                                         "exhaustive_search_count",
                                         "embedding_ms",
                                         "embedding_tokens",
                                         "rounds",
                                         "requests",
                                         "bytes",
                                         "ms",
                                         "stages_ms"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\":", fields[i]);
        assert_answer(a, 200, quoted);
    }
    assert_answer(a, 200, "\"approx_namespace_size\":3");
    assert_null(strstr(a->body, "text"));
}

static void test_turbopuffer_ranks_by_vector(void **state)
{
    (void)state;
    static const float v[2] = {-4, 3};
    struct buffer text;
    char body[200];
    const struct answer *a = ask(api_service, turbopuffer_query, "own",
                                 "{\"rank_by\":[\"vector\",\"ANN\",[-4,3.0]],\"limit\":1,"
                                 "\"distance_metric\":\"cosine_distance\",\"vector_encoding\":\"base64\"}");
    assert_answer(a, 200, "\"rows\":[{\"id\":18446744073709551615,\"$dist\":0}]");
    assert_answer(a, 200, "\"billable_logical_bytes_returned\":12}"); /* an id and a float32 */
    assert_null(strstr(a->body, "embedding_ms"));
    buffer_init(&text, 100);
    base64_encode(span_of(v, sizeof v), &text);
    snprintf(body, sizeof body, "{\"rank_by\":[\"vector\",\"ANN\",\"%.*s\"],\"limit\":{\"total\":1}}",
             (int)text.len, (const char *)text.data);
    assert_answer(ask(api_service, turbopuffer_query, "own", body), 200,
                  "{\"id\":18446744073709551615,\"$dist\":0}");
    buffer_deinit(&text);
}

static void test_turbopuffer_filters_and_orders(void **state)
{
    (void)state;
    static const struct {
        const char *query, *rows;
    } cases[] = {
        {"{" EMBED("cat dog") ",\"filters\":[\"legs\",\"Eq\",4]}", "\"rows\":[{\"id\":1,\"$dist\":"},
        {"{" EMBED("cat dog") ",\"filters\":[\"legs\",\"Eq\",5]}", "\"rows\":[]"},
        {"{" EMBED("wing wind sail") ",\"filters\":[\"Not\",[\"kind\",\"In\",[\"air\",\"spice\"]]]}",
         "\"rows\":[{\"id\":1,\"$dist\":"},
        {"{\"rank_by\":[\"vector\",\"kNN\",[\"Embed\",\"cat dog\"]],\"limit\":1}",
         "\"rows\":[{\"id\":1,\"$dist\":"},
        {"{\"rank_by\":[\"kind\",\"asc\"]}", "\"rows\":[{\"id\":\"two\"},{\"id\":1},{\"id\":3}]"},
        {"{\"rank_by\":[\"kind\",\"desc\"],\"limit\":2,\"include_attributes\":[\"kind\"]}",
         "\"rows\":[{\"id\":3,\"kind\":\"spice\"},{\"id\":1,\"kind\":\"animal\"}]"},
        {"{\"rank_by\":[\"legs\",\"asc\"]}", "\"rows\":[{\"id\":3},{\"id\":\"two\"},{\"id\":1}]"},
        {"{\"rank_by\":[[\"legs\",\"desc\"]],\"offset\":1}", "\"rows\":["},
        {"{\"rank_by\":[\"id\",\"asc\"],\"filters\":[\"id\",\"Gt\",1]}", "\"rows\":[{\"id\":3}"},
        {"{\"rank_by\":[\"id\",\"asc\"],\"filters\":[\"tags\",\"Contains\",\"white\"]}", "\"rows\":[{\"id\":3}]"},
        {"{\"rank_by\":[\"id\",\"asc\"],\"limit\":1}", "\"rows\":[{\"id\":1}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct answer *a = ask(api_service, turbopuffer_query, "things", cases[i].query);
        assert_answer(a, 200, cases[i].rows);
        assert_answer(a, 200, "\"exhaustive_search_count\":3");
    }
    /* without rank_by: the rows that the filter chooses, by id */
    assert_answer(
        ask(api_service, turbopuffer_query, "own", "{\"filters\":[\"name\",\"In\",[\"a\",\"b\"]],\"limit\":5}"),
        200, "\"rows\":[{\"id\":1},{\"id\":18446744073709551615}]");
    assert_answer(ask(api_service, turbopuffer_query, "own",
                      "{\"rank_by\":[\"id\",\"desc\"],\"limit\":1,\"include_attributes\":[\"vector\"]}"),
                  200, "\"rows\":[{\"id\":18446744073709551615,\"vector\":[-4,3]}]");
}

static void test_turbopuffer_returns_vectors(void **state)
{
    (void)state;
    const char *head = "{\"rank_by\":[\"vector\",\"ANN\",[3,4]],\"limit\":1,";
    static const struct {
        const char *more, *row;
    } cases[] = {
        {"\"include_attributes\":[\"vector\"]", "{\"id\":1,\"$dist\":0,\"vector\":[3,4]}]"},
        {"\"include_attributes\":true", "{\"id\":1,\"$dist\":0,\"vector\":[3,4],\"name\":\"a\"}]"},
        {"\"exclude_attributes\":[\"name\"]", "{\"id\":1,\"$dist\":0,\"vector\":[3,4]}]"},
        {"\"exclude_attributes\":[\"vector\"]", "{\"id\":1,\"$dist\":0,\"name\":\"a\"}]"},
        {"\"include_attributes\":[\"name\",\"vector\"],\"vector_encoding\":\"base64\"",
         "{\"id\":1,\"$dist\":0,\"vector\":\"AABAQAAAgEA=\",\"name\":\"a\"}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[300];
        snprintf(body, sizeof body, "%s%s}", head, cases[i].more);
        assert_answer(ask(api_service, turbopuffer_query, "own", body), 200, cases[i].row);
    }
}

static void test_turbopuffer_chooses_attributes(void **state)
{
    (void)state;
    const char *head = "{" EMBED("cat dog") ",\"top_k\":1,";
    static const struct {
        const char *more, *row;
    } cases[] = {
        {"\"include_attributes\":true", ",\"text\":\"cat dog\",\"kind\":\"animal\",\"legs\":4}]"},
        {"\"include_attributes\":false", "}]"},
        {"\"include_attributes\":null", "}]"},
        {"\"include_attributes\":[\"legs\",\"wings\"]", ",\"legs\":4}]"},
        {"\"exclude_attributes\":[\"text\",\"legs\"]", ",\"kind\":\"animal\"}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[300];
        snprintf(body, sizeof body, "%s%s}", head, cases[i].more);
        const struct answer *a = ask(api_service, turbopuffer_query, "things", body);
        assert_answer(a, 200, "{\"rows\":[{\"id\":1,\"$dist\":");
        assert_answer(a, 200, cases[i].row);
    }
}

static void test_turbopuffer_skips_and_limits(void **state)
{
    (void)state;
    const struct answer *a = ask(api_service, turbopuffer_query, "things",
                                 "{" EMBED("cat dog") ",\"offset\":1,\"consistency\":{\"level\":\"eventual\","
                                                      "\"max_staleness_seconds\":5}}");
    assert_answer(a, 200, "\"rows\":[");
    assert_null(strstr(a->body, "{\"id\":1,"));
    assert_non_null(strstr(a->body, "{\"id\":3,"));
    assert_answer(ask(api_service, turbopuffer_query, "things", "{" EMBED("cat") ",\"offset\":3}"), 200,
                  "\"rows\":[]");
}

static void test_turbopuffer_answers_several_queries(void **state)
{
    (void)state;
    char body[4000] = "{\"vector_encoding\":\"float\",\"queries\":[{" EMBED("cat dog") ",\"limit\":1}";
    const struct answer *a =
        ask(api_service, turbopuffer_query, "things",
            "{\"queries\":[{" EMBED("cat dog") ",\"limit\":1},{" EMBED(
                "wing wind sail") ",\"limit\":2,\"offset\":1,\"include_attributes\":[\"kind\"]}],"
                                  "\"consistency\":{\"level\":\"eventual\"}}");
    assert_answer(a, 200, "{\"results\":[{\"rows\":[{\"id\":1,\"$dist\":");
    assert_answer(a, 200, "]},{\"rows\":[{\"id\":");
    assert_answer(a, 200, "\"kind\":");
    assert_answer(a, 200, "]}],\"billing\":{");
    assert_answer(a, 200, "\"embedding_tokens\":");
    for (size_t i = 1; i < 16; i++)
        strcat(body, ",{" EMBED("cat") "}");
    size_t len = strlen(body);
    strcat(body, "]}");
    assert_answer(ask(api_service, turbopuffer_query, "things", body), 200, "{\"results\":[");
    strcpy(body + len, ",{" EMBED("cat") "}]}");
    assert_answer(ask(api_service, turbopuffer_query, "things", body), 400, "1 to 16 elements, not 17");
}

static void test_turbopuffer_refuses_bad_queries(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"", 422, "{\"status\":\"error\",\"error\":\"expected an object"},
        {"{}", 400, "rank_by is missing"},
        {"{\"rank_by\":null}", 400, "rank_by is missing"},
        {"{\"limit\":3}", 400, "rank_by is missing"},
        {"{\"filters\":7,\"limit\":3}", 422, "filters must be an array"},
        {"{\"rank_by\":\"vector\"}", 422, "rank_by must be an array"},
        {"{\"rank_by\":[]}", 422, "rank_by must be ["},
        {"{\"rank_by\":[\"vector\"]}", 400, "this rank_by is not supported yet"},
        {"{\"rank_by\":[]}", 422, "[name, \\\"BM25\\\", text] or a score at byte"},
        {"{\"rank_by\":[\"vector\",\"ANN\"]}", 422, "rank_by must be ["},
        {"{\"rank_by\":[\"vector\",\"ANN\",[1,2],3]}", 422, "rank_by must be ["},
        {"{\"rank_by\":[\"vector\",\"ANN\",7]}", 422, "the third element of rank_by must be an array"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[]]}", 400, "a vector has 1 to 16384 numbers, not 0"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[1,\"x\"]]}", 422, "the vector of rank_by must be a number"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[1,1e99]]}", 422, "at byte"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[1,NaN]]}", 422, "at byte"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[[1,2]]]}", 400, "several vectors is not supported yet"},
        {"{\"rank_by\":[\"vector\",\"ANN\",\"AAA\"]}", 422, "not base 64"},
        {"{\"rank_by\":[\"vector\",\"ANN\",\"\"]}", 400, "not 0"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[\"Embed\"]]}", 422, "needs a text"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[\"Embed\",7]]}", 422, "the text of \\\"Embed\\\" must be a string"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[\"Embed\",\"\"]]}", 400, "the text is empty"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[\"Embed\",\"cat\",{\"model\":\"none\"}]]}", 400, "there is no model"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[\"Embed\",\"cat\",{\"model\":7}]]}", 422, "must be a string"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[\"Embed\",\"cat\",{\"kind\":\"x\"}]]}", 422, "kind"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[\"Embed\",\"cat\",\"tiny\"]]}", 422, "object"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[\"Embed\",\"cat\",{},1]]}", 422, "nothing more"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[\"Other\",\"cat\"]]}", 422, "expected a vector or"},
        {"{\"rank_by\":[\"vector\",\"kNN\",[1]]}", 400, "has 1 dimensions"},
        {"{\"rank_by\":[\"vector\",\"kNN\"]}", 422, "rank_by must be ["},
        {"{\"rank_by\":[\"kind\",\"BM25\",\"cat\"]}", 400,
         "BM25 needs full_text_search on attribute \\\"kind\\\""},
        {"{\"rank_by\":[\"text\",\"SparseKNN\",{}]}", 400, "\\\"SparseKNN\\\" is not supported yet"},
        {"{\"rank_by\":[\"wings\",\"desc\"]}", 400, "no attribute \\\"wings\\\""},
        {"{\"rank_by\":[\"tags\",\"asc\"]}", 400, "of type []string cannot order rows"},
        {"{\"rank_by\":[\"legs\",\"desc\",1]}", 422, "rank_by must be ["},
        {"{\"rank_by\":[\"legs\",\"down\"]}", 400, "rank_by: "},
        {"{\"rank_by\":[[\"legs\",\"desc\"],[\"x\",\"asc\"]]}", 400, "no attribute \\\"x\\\""},
        {"{\"rank_by\":[[\"legs\",\"down\"],[\"x\",\"asc\"]]}", 400, "a direction is"},
        {"{\"rank_by\":[[\"legs\",\"desc\"],[\"x\"]]}", 422, "rank_by must be ["},
        {"{\"rank_by\":[\"text\",\"ANN\",[1]]}", 400, "attribute \\\"text\\\" of type string has no distance"},
        {"{" EMBED("cat") ",\"top_k\":0}", 400, "top_k must be an integer from 1 to 10000"},
        {"{" EMBED("cat") ",\"top_k\":10001}", 400, "top_k must be an integer"},
        {"{" EMBED("cat") ",\"top_k\":\"9\"}", 422, "top_k must be a number"},
        {"{" EMBED("cat") ",\"top_k\":1,\"limit\":1}", 400, "top_k and limit exclude"},
        {"{" EMBED("cat") ",\"limit\":{}}", 422, "limit.total is missing"},
        {"{" EMBED("cat") ",\"limit\":{\"total\":1,\"per\":{}}}", 422, "limit.per needs"},
        {"{" EMBED("cat") ",\"limit\":{\"total\":1,\"per\":{\"attributes\":[],\"limit\":1}}}", 400,
         "1 to 8 names"},
        {"{" EMBED("cat") ",\"limit\":{\"total\":1,\"per\":{\"attributes\":[\"wings\"],\"limit\":1}}}", 400,
         "no attribute \\\"wings\\\""},
        {"{" EMBED("cat") ",\"limit\":10000,\"offset\":9}", 400, "offset and limit together"},
        {"{" EMBED("cat") ",\"filters\":[\"legs\",\"Eq\",\"4\"]}", 400, "filters: "},
        {"{" EMBED("cat") ",\"filters\":[\"legs\",\"Is\",4]}", 400, "filters: "},
        {"{" EMBED("cat") ",\"filters\":[\"kind\",\"Glob\",\"a[\"]}", 400, "filters: "},
        {"{" EMBED("cat") ",\"filters\":[\"legs\",\"Eq\",{\"$ref_new\":\"legs\"}]}", 400, "filters: "},
        {"{" EMBED("cat") ",\"filters\":{}}", 422, "filters must be an array"},
        {"{\"aggregate_by\":{}}", 400, "aggregate_by is empty"},
        {"{\"aggregate_by\":{\"n\":7}}", 422, "each of aggregate_by must be an array"},
        {"{\"aggregate_by\":{\"n\":[]}}", 422, "expected [\\\"Count\\\"]"},
        {"{\"aggregate_by\":{\"n\":[\"Mean\"]}}", 400, "unknown \\\"Mean\\\""},
        {"{\"aggregate_by\":{\"n\":[\"Sum\"]}}", 400, "needs an attribute"},
        {"{\"aggregate_by\":{\"n\":[\"Sum\",\"legs\",1]}}", 422, "expected [\\\"Count\\\"]"},
        {"{\"aggregate_by\":{\"n\":[\"Sum\",\"kind\"]}}", 400, "of type string has no sum"},
        {"{\"aggregate_by\":{\"n\":[\"Count\",\"wings\"]}}", 400, "no attribute \\\"wings\\\""},
        {"{\"aggregate_by\":{\"n\":[\"Count\"]},\"group_by\":[]}", 400, "group_by is empty"},
        {"{\"aggregate_by\":{\"n\":[\"Count\"]},\"group_by\":[\"wings\"]}", 400, "no attribute \\\"wings\\\""},
        {"{\"aggregate_by\":{\"n\":[\"Count\"]},\"group_by\":[{\"t\":[\"ForEachUnique\",\"kind\"]}]}", 400,
         "ForEachUnique needs an array"},
        {"{\"aggregate_by\":{\"n\":[\"Count\"]},\"group_by\":[{\"t\":[\"Each\",\"tags\"]}]}", 422,
         "group_by: expected"},
        {"{" EMBED("cat") ",\"aggregate_by\":{\"n\":[\"Count\"]}}", 400, "aggregate_by and rank_by exclude"},
        {"{" EMBED("cat") ",\"group_by\":[\"kind\"]}", 400, "group_by needs aggregate_by"},
        {"{\"queries\":[" TWO ",{\"aggregate_by\":{\"n\":[\"Count\"]}}],\"rerank_by\":[\"RRF\"]}", 400,
         "not with aggregate_by"},
        {"{" EMBED("cat") ",\"compute_attributes\":[]}", 422, "compute_attributes"},
        {"{" EMBED("cat") ",\"compute_attributes\":{\"\":1}}", 400, "cannot be a label"},
        {"{" EMBED("cat") ",\"compute_attributes\":{\"a\":1,\"a\":2}}", 422, "a label twice"},
        {"{" EMBED("cat") ",\"rerank_by\":[]}", 422, "rerank_by must be ["},
        {"{" EMBED("cat") ",\"rerank_by\":[\"RRF\"]}", 400, "rerank_by belongs beside \\\"queries\\\""},
        {"{" EMBED("cat") ",\"rerank_by\":{\"model\":\"m\"}}", 400, "this rerank_by is not supported yet"},
        {"{" EMBED("cat") ",\"queries\":[{" EMBED("dog") "}]}", 400, "belongs into an element of \\\"queries\\\""},
        {"{" EMBED("cat") ",\"vector\":[1]}", 400,
         "vector is not supported yet by this server: give the vector in rank_by"},
        {"{" EMBED("cat") ",\"fliters\":1}", 422, "unknown field \\\"fliters\\\""},
        {"{\"rank_by\":[\"vector\" 3]}", 422, "at byte"},
        {"{" EMBED("cat") ",\"include_attributes\":7}", 422, "include_attributes must be"},
        {"{" EMBED("cat") ",\"include_attributes\":[7]}", 422, "a name of an attribute must be a string"},
        {"{\"queries\":[]}", 400, "queries has 1 to 16 elements, not 0"},
        {"{\"queries\":[{" EMBED("cat") "},7]}", 422, "each of queries must be an object"},
        {"{\"queries\":[{\"top_k\":1}]}", 400, "rank_by is missing"},
        {"{\"queries\":[{\"queries\":[]}]}", 422, "in one of"},
        {"{\"queries\":[{" EMBED("cat") ",\"consistency\":{\"level\":\"strong\"}}]}", 400, "beside"},
        {"{\"queries\":[{" EMBED("cat") "}],\"rerank_by\":[\"RRF\"]}", 400, "at least two queries"},
        {"{\"queries\":[" TWO "],\"rerank_by\":[\"Sum\"]}", 400, "unknown \\\"Sum\\\""},
        {"{\"queries\":[" TWO "],\"rerank_by\":[\"RRF\",{\"weights\":[1]}]}", 400, "1 weights for 2 queries"},
        {"{\"queries\":[" TWO "],\"rerank_by\":[\"RRF\",{\"weights\":[1,0]}]}", 400, "a number above 0"},
        {"{\"queries\":[" TWO "],\"rerank_by\":[\"RRF\",{\"weights\":[]}]}", 400, "a number above 0"},
        {"{\"queries\":[" TWO "],\"rerank_by\":[\"RRF\",{\"rank_constant\":0}]}", 400, "rank_constant must be"},
        {"{\"queries\":[" TWO "],\"rerank_by\":[\"RRF\",{},1]}", 422, "rerank_by must be ["},
        {"{\"queries\":[" TWO "],\"rerank_by\":[\"RRF\",7]}", 422, "must be an object"},
        {"{\"queries\":[" TWO "],\"limit\":1}", 400, "need rerank_by"},
        {"{\"queries\":[" TWO "],\"rerank_by\":[\"RRF\"],\"offset\":1}", 400, "offset needs a limit"},
        {"{" EMBED("cat") ",\"include_attributes\":true,\"exclude_attributes\":[]}", 400, "exclude each other"},
        {"{" EMBED("cat") ",\"consistency\":\"strong\"}", 422, "expected struct Consistency"},
        {"{" EMBED("cat") ",\"consistency\":{\"level\":\"weak\"}}", 422,
         "unknown variant `weak`, expected `strong` or `eventual`"},
        {"{" EMBED("cat") ",\"distance_metric\":\"dot\"}", 422, "distance_metric must be"},
        {"{" EMBED("cat") ",\"distance_metric\":\"euclidean_squared\"}", 400, "which is cosine_distance"},
        {"{" EMBED("cat") ",\"vector_encoding\":\"hex\"}", 422, "vector_encoding must be"},
        {"{" EMBED("cat") ",\"colour\":1}", 422, "unknown field \\\"colour\\\""},
        {"{\"rank_by\":[\"vector\",\"ANN\",[1,2,3]]}", 400, "3"},
    };
    assert_refusals(api_service, turbopuffer_query, "things", refusals, sizeof refusals / sizeof refusals[0]);
    assert_answer(ask(api_service, turbopuffer_query, "nowhere", "{" EMBED("cat") "}"), 404, "nowhere");
    assert_answer(ask(api_service, turbopuffer_query, "..", "{" EMBED("cat") "}"), 400, "\"status\":\"error\"");
}

static void test_turbopuffer_fuses_answers(void **state)
{
    (void)state;
    const char *id = "18446744073709551615"; /* the row of the text "b" */
    char rows[200];
    /* 1/61 + 1/62 of the row that both queries have, and 1/61 of the other. */
    snprintf(rows, sizeof rows,
             "{\"results\":[{\"rows\":[{\"id\":%s,\"$dist\":0.032522473},{\"id\":1,\"$dist\":0.016393442}]}]", id);
    assert_answer(ask(api_service, turbopuffer_query, "own", "{\"queries\":[" TWO "],\"rerank_by\":[\"RRF\"]}"),
                  200, rows);
    /* 3/2 of row 1, and as much, 3/3 + 1/2, of the other, which its id puts behind it. */
    snprintf(rows, sizeof rows, "{\"results\":[{\"rows\":[{\"id\":%s,\"$dist\":1.5}]}]", id);
    assert_answer(ask(api_service, turbopuffer_query, "own",
                      "{\"queries\":[" TWO
                      "],\"limit\":{\"total\":1},\"offset\":1,\"rerank_by\":[\"RRF\",{\"rank_constant\":1,"
                      "\"weights\":[3,1]}]}"),
                  200, rows);
}

static void test_turbopuffer_aggregates(void **state)
{
    (void)state;
    static const struct {
        const char *query, *answer;
    } cases[] = {
        {"{\"aggregate_by\":{\"n\":[\"Count\"],\"with\":[\"Count\",\"kind\"],\"legs\":[\"Sum\",\"legs\"]}}",
         "{\"aggregations\":{\"n\":3,\"with\":3,\"legs\":4},\"billing\""},
        {"{\"aggregate_by\":{\"n\":[\"Count\"]},\"filters\":[\"legs\",\"Eq\",5]}", "{\"aggregations\":{\"n\":0},"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_answer(ask(api_service, turbopuffer_query, "things", cases[i].query), 200, cases[i].answer);
}

static void test_turbopuffer_explains_queries(void **state)
{
    (void)state;
    static const struct {
        const char *query, *plan;
    } cases[] = {
        {"{" EMBED("cat") "}", "{\"plan_text\":\"in each of 1 segments, read the lists nearest to the vector"},
        {"{\"rank_by\":[\"kind\",\"desc\"],\"limit\":2,\"offset\":1,\"filters\":[\"legs\",\"Eq\",4]}",
         "look at all 3 rows and keep those that pass the filter; order them by \\\"kind\\\", the largest first; "
         "answer 2 "
         "rows after the first 1\"}"},
        {"{" EMBED("cat") ",\"filters\":[\"legs\",\"Eq\",4]}",
         "find the rows that match the filter: 1 of 3; rank all of them by exact distance, about 1 kB (the "
         "nearest lists: 1 kB); answer 10 rows"},
        {"{" EMBED("cat") ",\"filters\":[\"legs\",\"Eq\",77]}",
         "match the filter: 0 of 3; rank all of them by exact distance; answer"},
        {"{\"queries\":[{\"rank_by\":[\"vector\",\"kNN\",[1]]},{\"rank_by\":[\"id\",\"asc\"]}]}",
         "look at all 3 rows; rank them by exact distance; answer 10 rows\\nlook at"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_answer(ask(api_service, turbopuffer_explain, "things", cases[i].query), 200, cases[i].plan);
    assert_answer(ask(api_service, turbopuffer_explain, "things", "{}"), 400, "rank_by is missing");
    assert_answer(ask(api_service, turbopuffer_explain, "things", "[]"), 422, "the request must be an object");
    assert_answer(ask(api_service, turbopuffer_explain, "nowhere", "{" EMBED("cat") "}"), 404, "nowhere");
}

static void test_turbopuffer_measures_recall(void **state)
{
    (void)state;
    assert_answer(ask(api_service, turbopuffer_recall, "things", ""), 200,
                  "{\"avg_recall\":1,\"avg_exhaustive_count\":3,\"avg_ann_count\":3}");
    assert_answer(ask(api_service, turbopuffer_recall, "things", "{\"num\":1000}"), 200, "{\"avg_recall\":1,");
    assert_answer(ask(api_service, turbopuffer_recall, "things", "{\"num\":2,\"top_k\":1,\"rank_by\":null}"), 200,
                  "{\"avg_recall\":1,\"avg_exhaustive_count\":1,\"avg_ann_count\":1}");
    assert_answer(ask(api_service, turbopuffer_recall, "own",
                      "{\"num\":1,\"include_ground_truth\":true,\"filters\":[\"name\",\"Eq\",\"a\"]}"),
                  200,
                  ",\"ground_truth\":[{\"query_vector\":[3,4],\"nearest_neighbors\":[{\"id\":1,\"$dist\":0}]}]}");
    static const struct refusal refusals[] = {
        {"{\"num\":0}", 400, "num must be an integer from 1 to 1000"},
        {"{\"num\":1001}", 400, "num must be an integer from 1 to 1000"},
        {"{\"top_k\":\"x\"}", 422, "top_k must be a number"},
        {"{\"rank_by\":[\"vector\",\"ANN\",[1]]}", 400, "rank_by of a measurement"},
        {"{\"filters\":[\"name\"]}", 400, "filters: "},
        {"[]", 422, "the request must be an object"},
    };
    assert_refusals(api_service, turbopuffer_recall, "own", refusals, sizeof refusals / sizeof refusals[0]);
    assert_answer(ask(api_service, turbopuffer_recall, "nowhere", "{}"), 404, "nowhere");
}

static void test_turbopuffer_lists_namespaces(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        unsigned status;
        const char *body;
    } cases[] = {
        {"", 200, "{\"namespaces\":[{\"id\":\"own\"},{\"id\":\"things\"}]}"},
        {"prefix=th", 200, "{\"namespaces\":[{\"id\":\"things\"}]}"},
        {"prefix=x%2Fy&cursor=", 200, "{\"namespaces\":[]}"},
        {"page_size=1", 200, "{\"namespaces\":[{\"id\":\"own\"}],\"next_cursor\":\"own\"}"},
        {"page_size=1&cursor=own", 200, "{\"namespaces\":[{\"id\":\"things\"}]}"},
        {"page_size=0", 400, "page_size must be a number from 1 to 1000"},
        {"page_size=x", 400, "page_size"},
        {"page_size=", 400, "page_size"},
        {"prefix=%zz", 400, "badly encoded"},
        {"prefix=a&prefix=b", 400, "given twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct answer *a =
            ask_bytes(api_service, turbopuffer_namespaces, NULL, cases[i].query, span_str(""));
        assert_answer(a, cases[i].status, cases[i].body);
    }
}

/* Begins a body with `count` names. */
static char *body_of_names(const char *field, size_t count)
{
    static char body[20000];
    size_t len = (size_t)snprintf(body, sizeof body, "{" EMBED("cat") ",\"%s\":[\"a0\"", field);
    for (size_t i = 1; i < count; i++)
        len += (size_t)snprintf(body + len, sizeof body - len, ",\"a%zu\"", i);
    snprintf(body + len, sizeof body - len, "]}");
    return body;
}

/* docs/limits.md lists these limits. */
static void test_turbopuffer_limits_of_queries(void **state)
{
    (void)state;
    static const struct {
        const char *most, *beyond, *says;
    } cases[] = {
        {"\"top_k\":10000", "\"top_k\":10001", "top_k must be an integer from 1 to 10000"},
        {"\"limit\":10000", "\"limit\":10001", "limit must be an integer from 1 to 10000"},
        {"\"limit\":{\"total\":10000}", "\"limit\":{\"total\":10001}",
         "limit.total must be an integer from 1 to 10000"},
        {"\"limit\":1,\"offset\":9999", "\"limit\":1,\"offset\":10000",
         "offset must be an integer from 0 to 9999"},
        {"\"limit\":9000,\"offset\":1000", "\"limit\":9000,\"offset\":1001",
         "offset and limit together exceed 10000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[300];
        snprintf(body, sizeof body, "{" EMBED("cat") ",%s}", cases[i].most);
        assert_answer(ask(api_service, turbopuffer_query, "things", body), 200, "\"rows\":[");
        snprintf(body, sizeof body, "{" EMBED("cat") ",%s}", cases[i].beyond);
        assert_answer(ask(api_service, turbopuffer_query, "things", body), 400, cases[i].says);
    }
    static const char *const fields[] = {"include_attributes", "exclude_attributes"};
    for (size_t i = 0; i < 2; i++) {
        assert_answer(ask(api_service, turbopuffer_query, "things", body_of_names(fields[i], 1024)), 200,
                      "\"rows\":[");
        assert_answer(ask(api_service, turbopuffer_query, "things", body_of_names(fields[i], 1025)), 400,
                      "more than 1024 names");
    }
    assert_answer(ask_bytes(api_service, turbopuffer_namespaces, NULL, "page_size=1000", span_str("")), 200,
                  "things");
    assert_answer(ask_bytes(api_service, turbopuffer_namespaces, NULL, "page_size=1001", span_str("")), 400,
                  "page_size must be a number from 1 to 1000");
    assert_answer(ask(api_service, turbopuffer_recall, "things", "{\"num\":1000}"), 200, "avg_recall");
    assert_answer(ask(api_service, turbopuffer_recall, "things", "{\"num\":1001}"), 400,
                  "num must be an integer from 1 to 1000");
}

static void test_turbopuffer_describes_a_namespace(void **state)
{
    (void)state;
    const struct answer *a = ask(api_service, turbopuffer_metadata, "things", "");
    assert_answer(a, 200, "\"approx_row_count\":3");
    assert_answer(a, 200, "\"schema\":{");
    assert_answer(a, 200, "\"index\":{\"status\":\"up-to-date\"}");
    assert_answer(a, 200, "\"encryption\":{\"mode\":\"default\"}");
    assert_answer(a, 200, "\"dimensions\":16,\"distance_metric\":\"cosine_distance\",\"model\":\"tiny\"");
    assert_answer(a, 200, "\"created_at\":\"20");
    assert_answer(ask(api_service, turbopuffer_metadata, "own", ""), 200, "\"model\":null");
    assert_answer(ask(api_service, turbopuffer_schema, "things", ""), 200, "\"legs\":{\"type\":");
    assert_answer(ask(api_service, turbopuffer_warm, "things", ""), 200, "\"status\":\"ACCEPTED\"");
    assert_answer(ask(api_service, turbopuffer_metadata, "nowhere", ""), 404, "{\"status\":\"error\"");
    assert_answer(ask(api_service, turbopuffer_schema, "nowhere", ""), 404, "{\"status\":\"error\"");
    assert_answer(ask(api_service, turbopuffer_warm, "nowhere", ""), 404, "{\"status\":\"error\"");
}

static void test_turbopuffer_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_survives_failed_allocations(api_service, turbopuffer_query, "things",
                                       "{" EMBED("c\\u0061t") ",\"exclude_attributes\":[\"x\"],\"top_k\":3}");
    assert_survives_failed_allocations(api_service, turbopuffer_query, "things",
                                       "{\"queries\":[{" EMBED("cat") "},{" EMBED("dog") "}]}");
    assert_survives_failed_allocations(api_service, turbopuffer_query, "own",
                                       "{\"queries\":[" TWO "],\"rerank_by\":[\"RRF\"]}");
    assert_survives_failed_allocations(api_service, turbopuffer_metadata, "things", "");
    assert_survives_failed_allocations(api_service, turbopuffer_namespaces, NULL, "");
    assert_survives_failed_allocations(api_service, turbopuffer_explain, "things", "{" EMBED("cat") "}");
    assert_survives_failed_allocations(api_service, turbopuffer_recall, "own", "{\"num\":1}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turbopuffer_ranks_by_text),
        cmocka_unit_test(test_turbopuffer_ranks_by_vector),
        cmocka_unit_test(test_turbopuffer_filters_and_orders),
        cmocka_unit_test(test_turbopuffer_returns_vectors),
        cmocka_unit_test(test_turbopuffer_chooses_attributes),
        cmocka_unit_test(test_turbopuffer_skips_and_limits),
        cmocka_unit_test(test_turbopuffer_answers_several_queries),
        cmocka_unit_test(test_turbopuffer_refuses_bad_queries),
        cmocka_unit_test(test_turbopuffer_fuses_answers),
        cmocka_unit_test(test_turbopuffer_aggregates),
        cmocka_unit_test(test_turbopuffer_explains_queries),
        cmocka_unit_test(test_turbopuffer_measures_recall),
        cmocka_unit_test(test_turbopuffer_lists_namespaces),
        cmocka_unit_test(test_turbopuffer_limits_of_queries),
        cmocka_unit_test(test_turbopuffer_describes_a_namespace),
        cmocka_unit_test(test_turbopuffer_survives_every_failed_allocation),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, set_up, api_tear_down));
}
