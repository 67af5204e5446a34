/* test_indexes_api.c: requests, answers and errors of /v1/indexes. tests/service tests the service behind it. */
#include "api_fixture.h"

#include <stdio.h>

#include "http_server.h"

static struct http_server *server;

static int set_up(void **state)
{
    static char rules[256];
    server = http_server_start(NULL);
    http_server_put(server, "/a.ivf", test_data("faiss/flat-l2-d16.ivf"));
    http_server_put(server, "/tiny.ivf", test_data("faiss/flat-l2-d1.ivf"));
    snprintf(rules, sizeof rules, "%s", http_server_url(server, "/"));
    const struct indexes_options options = {.allow_urls = span_str(rules)};
    fixture_threads = 1;
    fixture_indexes = &options;
    api_set_up(state);
    fixture_indexes = NULL;
    return 0;
}

static int tear_down(void **state)
{
    api_tear_down(state);
    http_server_stop(server);
    return 0;
}

/* Sends POST /v1/indexes for a path of the server. */
static const struct answer *open_index(const char *name, const char *path)
{
    char body[512];
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"url\":\"%s\"}", name, http_server_url(server, path));
    return ask(api_service, faiss_open, NULL, body);
}

static void test_faiss_open_describes_the_index(void **state)
{
    (void)state;
    const struct answer *a = open_index("a", "/a.ivf?X-Amz-Signature=secret");
    assert_answer(a, 201, "{\"name\":\"a\",\"url\":\"http://127.0.0.1:");
    assert_answer(a, 201,
                  "/a.ivf?…\",\"kind\":\"IwFl\",\"codes\":\"Flat\",\"d\":16,\"metric\":\"l2\",\"vectors\":");
    assert_answer(a, 201, "\"nlist\":8,\"nprobe\":");
    assert_answer(a, 201, "\"open\":{\"rounds\":1,\"requests\":1,\"bytes\":");
    assert_null(strstr(a->body, "secret"));
    a = ask(api_service, faiss_describe, "a", "");
    assert_answer(a, 200, "{\"name\":\"a\",");
    assert_null(strstr(a->body, "secret"));
    a = ask(api_service, faiss_list, NULL, "");
    assert_answer(a, 200, "{\"indexes\":[{\"name\":\"a\",");
    assert_null(strstr(a->body, "secret"));
    assert_answer(open_index("a", "/a.ivf"), 409,
                  "{\"error\":\"conflict\",\"message\":\"there is already an index \\\"a\\\"");
    assert_answer(ask(api_service, faiss_close, "a", ""), 200, "{\"name\":\"a\",\"status\":\"closed\"}");
    assert_answer(ask(api_service, faiss_close, "a", ""), 404,
                  "{\"error\":\"not_found\",\"message\":\"there is no index");
    assert_answer(ask(api_service, faiss_describe, "a", ""), 404, "not_found");
    assert_answer(ask(api_service, faiss_list, NULL, ""), 200, "{\"indexes\":[]}");
}

static void test_faiss_open_refuses(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"", 400, "invalid_request"},
        {"[]", 400, "must be an object"},
        {"{}", 400, "name is missing"},
        {"{\"name\":\"a\"}", 400, "url is missing"},
        {"{\"url\":\"https://x/\"}", 400, "name is missing"},
        {"{\"name\":1,\"url\":\"https://x/\"}", 400, "name must be a string"},
        {"{\"name\":\"a\",\"url\":[]}", 400, "url must be a string"},
        {"{\"name\":\"_a\",\"url\":\"https://x/\"}", 400, "an index's name"},
        {"{\"name\":\"a\",\"url\":\"https://x/\"}", 403, "permission_denied"},
        {"{\"name\":\"a\",\"url\":\"file:///etc/passwd\"}", 403, "--allow-index-url"},
        {"{\"name\":\"a\",\"url\":\"x\"}", 400, "url: it must begin with"},
        {"{\"name\":\"a\",\"url\":\"https://x/\\u0000\"}", 400, "0x00"},
        {"{\"name\":\"a\",\"url\":\"https://x/\",\"n_clusters\":-1}", 400, "n_clusters"},
        {"{\"name\":\"a\",\"url\":\"https://x/\",\"cluster_data_offset\":\"9\"}", 400, "cluster_data_offset"},
        {"{\"name\":\"a\",\"url\":\"https://x/\",\"headers\":{}}", 400, "unknown field"},
        {"{\"name\":\"a\",\"name\":\"b\",\"url\":\"https://x/\"}", 400, "given twice"},
    };
    assert_refusals(api_service, faiss_open, NULL, refusals, sizeof refusals / sizeof *refusals);
    assert_answer(open_index("a", "/none.ivf"), 404, "not_found");
}

/* A failure of the other server is a 502: neither an error of ours (500) nor overload (503). */
static void test_faiss_open_at_a_server_that_fails(void **state)
{
    (void)state;
    static const struct http_act acts[] = {
        {.kind = HTTP_ACT_SHIFT, .at = 3},
        {.kind = HTTP_ACT_RAW, .text = "no HTTP\r\n\r\n"},
        {.kind = HTTP_ACT_STATUS, .code = 418},
    };
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        http_server_script(server, acts[i]);
        assert_answer(open_index("a", "/a.ivf"), 502,
                      "{\"error\":\"bad_gateway\",\"message\":\"http://127.0.0.1:");
    }
    /* Nothing listens on its port any more. */
    char rules[256], body[512];
    struct http_server *gone = http_server_start(NULL);
    snprintf(rules, sizeof rules, "%s private+http://nowhere.invalid/", http_server_url(gone, "/"));
    snprintf(body, sizeof body, "{\"name\":\"a\",\"url\":\"%s\"}", http_server_url(gone, "/a.ivf"));
    http_server_stop(gone);
    const struct indexes_options options = {.allow_urls = span_str(rules)};
    fixture_indexes = &options;
    struct service *other = fixture_service(NULL, true);
    fixture_indexes = NULL;
    assert_answer(ask(other, faiss_open, NULL, body), 502, "bad_gateway");
    assert_answer(ask(other, faiss_open, NULL, "{\"name\":\"a\",\"url\":\"http://nowhere.invalid/a.ivf\"}"), 502,
                  "nowhere.invalid");
    service_free(other);
}

static void test_faiss_open_takes_hints(void **state)
{
    (void)state;
    char body[512];
    const char *url = http_server_url(server, "/a.ivf");
    snprintf(body, sizeof body, "{\"name\":\"a\",\"url\":\"%s\",\"n_clusters\":9}", url);
    assert_answer(ask(api_service, faiss_open, NULL, body), 400, "8 lists, not 9");
    snprintf(body, sizeof body, "{\"name\":\"a\",\"url\":\"%s\",\"n_clusters\":8,\"cluster_data_offset\":715}",
             url);
    assert_answer(ask(api_service, faiss_open, NULL, body), 201, "\"requests\":1,");
    ask(api_service, faiss_close, "a", "");
}

/* Each body means the same two vectors. */
static void test_faiss_search_takes_vectors_and_texts(void **state)
{
    (void)state;
    assert_answer(open_index("t", "/tiny.ivf"), 201, "\"d\":1,");
    static const struct {
        const char *body;
        size_t queries;
    } bodies[] = {
        {"{\"vectors\":[[0.5],[2]],\"k\":2,\"nprobe\":99}", 2},
        {"{\"vectors\":[\"AAAAPw==\",\"AAAAQA==\"],\"k\":2,\"nprobe\":99}", 2},
        {"{\"vectors\":[\"AAAAPw\",[2.0]],\"k\":2,\"nprobe\":99,\"skip\":null,\"keep\":null,\"texts\":null}", 2},
        {"{\"vectors\":[0.5],\"k\":2,\"nprobe\":99}", 1},
        {"{\"vectors\":\"AAAAPw==\",\"k\":2,\"nprobe\":99,\"skip\":[]}", 1},
    };
    float first[2], second[2];
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        const struct answer *a = ask(api_service, faiss_search_index, "t", bodies[i].body);
        float now[2];
        size_t results = 0;
        assert_answer(a, 200, "{\"results\":[{\"ids\":[");
        assert_answer(a, 200, "\"rounds\":1,\"requests\":1,\"bytes\":");
        for (const char *at = a->body; (at = strstr(at, "\"distances\":[")) != NULL; at++)
            results++;
        assert_int_equal(results, bodies[i].queries);
        assert_int_equal(answer_floats(a, "distances", i == 0 ? first : now, 2), 2);
        assert_int_equal(answer_floats(a, "ids", i == 0 ? second : now, 2), 2);
        if (i > 0)
            assert_memory_equal(now, second, sizeof now);
    }
    assert_answer(open_index("a", "/a.ivf"), 201, "\"d\":16,");
    const struct answer *a = ask(api_service, faiss_search_index, "a", "{\"texts\":[\"cat\",\"dog\"]}");
    assert_answer(a, 200, "}],\"embedding_ms\":");
    assert_answer(ask(api_service, faiss_search_index, "a", "{\"texts\":\"cat\",\"k\":1}"), 200, "\"ids\":[");
    float id;
    char body[128];
    answer_floats(ask(api_service, faiss_search_index, "a", "{\"texts\":\"cat\",\"k\":1}"), "ids", &id, 1);
    snprintf(body, sizeof body, "{\"texts\":\"cat\",\"k\":2,\"keep\":[9000000000000000000,%d]}", (int)id);
    a = ask(api_service, faiss_search_index, "a", body);
    snprintf(body, sizeof body, "\"ids\":[%d,-1],", (int)id);
    assert_answer(a, 200, body);
    assert_answer(ask(api_service, faiss_search_index, "a", "{\"texts\":\"cat\",\"k\":1,\"keep\":[]}"), 200,
                  "\"ids\":[-1],");
    ask(api_service, faiss_close, "a", "");
    ask(api_service, faiss_close, "t", "");
}

static void test_faiss_search_refuses(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"", 400, "invalid_request"},
        {"{}", 400, "give either vectors or texts"},
        {"{\"vectors\":[1],\"texts\":\"x\"}", 400, "give either vectors or texts"},
        {"{\"vectors\":[]}", 400, "vectors must be 1 to 1024, not 0"},
        {"{\"vectors\":[[]]}", 400, "a vector is empty"},
        {"{\"vectors\":\"\"}", 400, "a vector is empty"},
        {"{\"vectors\":[[1],[1,2]]}", 400, "one has 2 numbers, the first 1"},
        {"{\"vectors\":[[1],\"AAA\"]}", 400, "not base 64"},
        {"{\"vectors\":[[1],{}]}", 400, "must be an array"},
        {"{\"vectors\":7}", 400, "vectors must be an array"},
        {"{\"vectors\":[1,\"x\"]}", 400, "must be a number"},
        {"{\"vectors\":[1e39]}", 400, "invalid_request"},
        {"{\"vectors\":[1,2]}", 400, "queries have 2 dimensions, its vectors 16"},
        {"{\"texts\":[]}", 400, "texts must be 1 to 1024, not 0"},
        {"{\"texts\":[\"a\",1]}", 400, "must be a string"},
        {"{\"texts\":[\"\"]}", 400, "invalid_request"},
        {"{\"texts\":\"a\",\"k\":0}", 400, "k must be an integer from 1"},
        {"{\"texts\":\"a\",\"k\":1048577}", 400, "k must be an integer from 1"},
        {"{\"texts\":[\"a\",\"b\"],\"k\":1048576}", 400, "1 to 524288 neighbours"},
        {"{\"texts\":\"a\",\"nprobe\":-1}", 400, "nprobe must be an integer"},
        {"{\"texts\":\"a\",\"keep\":7}", 400, "keep must be an array"},
        {"{\"texts\":\"a\",\"keep\":[\"7\"]}", 400, "an id must be a number"},
        {"{\"texts\":\"a\",\"skip\":[0.5]}", 400, "invalid_request"},
        {"{\"texts\":\"a\",\"skip\":[9223372036854775808]}", 400, "invalid_request"},
        {"{\"texts\":\"a\",\"filter\":[]}", 400, "unknown field"},
    };
    assert_answer(open_index("a", "/a.ivf"), 201, "\"d\":16,");
    assert_refusals(api_service, faiss_search_index, "a", refusals, sizeof refusals / sizeof *refusals);
    assert_answer(ask(api_service, faiss_search_index, "b", "{\"texts\":\"a\"}"), 404,
                  "there is no index \\\"b\\\"");
    ask(api_service, faiss_close, "a", "");
}

static void test_faiss_without_rules_opens_nothing(void **state)
{
    (void)state;
    struct service *plain = fixture_service(NULL, false);
    assert_answer(ask(plain, faiss_open, NULL, "{\"name\":\"a\",\"url\":\"https://x/\"}"), 403, "opens no URLs");
    assert_answer(ask(plain, faiss_list, NULL, ""), 200, "{\"indexes\":[]}");
    assert_answer(ask(plain, faiss_search_index, "a", "{\"texts\":\"a\"}"), 404, "there is no index");
    ask_end();
    service_free(plain);
}

static void test_faiss_survives_failed_allocations(void **state)
{
    (void)state;
    assert_answer(open_index("a", "/a.ivf"), 201, "\"d\":16,");
    assert_survives_failed_allocations(api_service, faiss_search_index, "a",
                                       "{\"texts\":[\"cat\",\"dog\"],\"k\":3,\"keep\":[1,2,3],\"skip\":[4]}");
    assert_survives_failed_allocations(api_service, faiss_list, NULL, "");
    assert_survives_failed_allocations(api_service, faiss_describe, "a", "");
    assert_survives_failed_allocations(api_service, faiss_open, NULL, "{\"name\":\"b\",\"url\":\"https://x/\"}");
    ask(api_service, faiss_close, "a", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faiss_open_describes_the_index),
        cmocka_unit_test(test_faiss_open_refuses),
        cmocka_unit_test(test_faiss_open_at_a_server_that_fails),
        cmocka_unit_test(test_faiss_open_takes_hints),
        cmocka_unit_test(test_faiss_search_takes_vectors_and_texts),
        cmocka_unit_test(test_faiss_search_refuses),
        cmocka_unit_test(test_faiss_without_rules_opens_nothing),
        cmocka_unit_test(test_faiss_survives_failed_allocations),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down));
}
