/* test_search.c: searches by words, by meaning and by both. */
#include "service_fixture.h"

#include <math.h>

#include "service/search.h"

static struct query_request question(const char *text)
{
    return (struct query_request){
        .namespace = span_str("things"), .text = span_str(text), .rows = {.top_k = 2, .all_attributes = true}};
}

static enum dp_status search(struct call *call, struct service *s, const struct query_request *request,
                             enum search_rank rank, struct query_response *response)
{
    struct search_options how = {.rank = rank};
    return service_search(call, s, request, &how, response);
}

/* Searches a namespace that this service has not opened before; *rounds: those of the store. */
static struct query_response search_cold(const char *root, const struct query_request *request,
                                         enum search_rank rank, uint64_t *rounds)
{
    struct service *s = fixture_service(root, true);
    struct query_response response;
    struct call *call = fixture_call();
    if (search(call, s, request, rank, &response) != DP_OK)
        fail_msg("%s", call->error.message);
    *rounds = call->cost.rounds;
    service_free(s);
    return response;
}

static void test_service_searches_by_words_and_by_both(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    fixture_index(s, "things", FIXTURE_ROWS);
    struct query_request request = question("pepper");
    struct query_response found;
    struct call *call = fixture_call();
    assert_int_equal(search(call, s, &request, SEARCH_WORDS, &found), DP_OK);
    assert_int_equal(found.answer.count, 1); /* rows without the word are left out */
    assert_int_equal(found.answer.hits[0].id.number, 3);
    assert_true(found.answer.hits[0].dist > 0);
    call = fixture_call();
    assert_int_equal(search(call, s, &request, SEARCH_HYBRID, &found), DP_OK);
    assert_int_equal(found.answer.count, 2);
    assert_int_equal(found.answer.hits[0].id.number, 3);
    fixture_call_end();
    service_free(s);
}

static void test_service_fuses_by_scores(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct query_request request = question("pepper");
    struct search_options how = {.rank = SEARCH_HYBRID, .fusion = FUSION_CONVEX, .words_share = 0.25};
    struct query_response meaning, found;
    fixture_index(s, "things", FIXTURE_ROWS);
    struct call *call = fixture_call();
    request.rows.top_k = 3;
    assert_int_equal(search(call, s, &request, SEARCH_MEANING, &meaning), DP_OK);
    assert_int_equal(service_search(call, s, &request, &how, &found), DP_OK);
    assert_int_equal(found.answer.count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct index_hit *hit = &found.answer.hits[i];
        for (size_t m = 0; m < 3; m++) {
            if (!span_equal(hit->attributes, meaning.answer.hits[m].attributes))
                continue;
            double cosine = 1 - (double)meaning.answer.hits[m].dist;
            double score =
                0.75 * (cosine > 0 ? cosine : 0) + (hit->id.number == 3 && !hit->id.is_string ? 0.25 : 0);
            assert_true(fabs((double)hit->dist - score) < 1e-6);
        }
        assert_true(i == 0 || hit->dist <= found.answer.hits[i - 1].dist);
    }
    static const double wrong[] = {-0.1, 1, 2};
    for (size_t i = 0; i < 3; i++) {
        how.words_share = wrong[i];
        assert_int_equal(service_search(call, s, &request, &how, &found), DP_INVALID);
        dp_error_clear(&call->error);
    }
    fixture_call_end();
    service_free(s);
}

static void test_service_weighs_the_words(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    const struct query_request request = question("pepper");
    struct search_options how = {.rank = SEARCH_HYBRID};
    struct query_response equal, heavy;
    fixture_index(s, "things", FIXTURE_ROWS);
    struct call *call = fixture_call();
    assert_int_equal(service_search(call, s, &request, &how, &equal), DP_OK);
    how.words_share = 0.75;
    assert_int_equal(service_search(call, s, &request, &how, &heavy), DP_OK);
    assert_int_equal(heavy.answer.hits[0].id.number, 3); /* the first row by both */
    assert_true(fabs((double)equal.answer.hits[0].dist - 2.0 / 61) < 1e-6);
    assert_true(fabs((double)heavy.answer.hits[0].dist - 2.0 / 61) < 1e-6);
    assert_true(fabs((double)heavy.answer.hits[1].dist - 0.5 / 62) < 1e-6);
    fixture_call_end();
    service_free(s);
}

static void test_service_searches_by_both_in_the_rounds_of_one(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    struct service *s = fixture_service(root, true);
    fixture_index(s, "things", FIXTURE_ROWS);
    service_free(s);
    const struct query_request request = question("pepper");
    uint64_t meaning, words, both;
    search_cold(root, &request, SEARCH_MEANING, &meaning);
    search_cold(root, &request, SEARCH_WORDS, &words);
    search_cold(root, &request, SEARCH_HYBRID, &both);
    assert_int_equal(meaning, 4); /* the manifest; the hot parts; lists, or pieces of the text index; documents */
    assert_int_equal(words, 4);
    assert_int_equal(both, 4);
    s = fixture_service(root, true);
    for (enum search_rank rank = SEARCH_DEFAULT; rank <= SEARCH_HYBRID; rank++) {
        struct query_response found;
        struct call *call = fixture_call();
        assert_int_equal(search(call, s, &request, SEARCH_HYBRID, &found), DP_OK);
        call = fixture_call();
        assert_int_equal(search(call, s, &request, rank, &found), DP_OK);
        assert_int_equal(call->cost.rounds, 2); /* the first also asks for the newest state */
    }
    fixture_call_end();
    service_free(s);
}

static void test_service_searches_by_what_the_namespace_has(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct search_options how = {.rank = SEARCH_DEFAULT};
    struct query_request request = question("pepper");
    struct query_response found;
    bool meaning, words;
    fixture_index(s, "things", FIXTURE_ROWS);
    struct call *call = fixture_call();
    assert_int_equal(service_lanes_of(call, s, span_str("things"), &meaning, &words), DP_OK);
    assert_true(meaning && words);
    assert_int_equal(service_search(call, s, &request, &how, &found), DP_OK);
    assert_int_equal(how.rank, SEARCH_HYBRID);
    assert_int_equal(found.answer.hits[0].id.number, 3);
    request.namespace = span_str("vectors"); /* no text in it */
    fixture_index(s, "vectors", "{\"id\":1,\"vector\":[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}\n");
    how.rank = SEARCH_DEFAULT;
    request.rows.dim = TINY_DIM;
    request.rows.vector = (const float[TINY_DIM]){1};
    call = fixture_call();
    assert_int_equal(service_search(call, s, &request, &how, &found), DP_OK);
    assert_int_equal(how.rank, SEARCH_MEANING);
    request.namespace = span_str("nowhere");
    how.rank = SEARCH_DEFAULT;
    assert_int_equal(service_search(call, s, &request, &how, &found), DP_NOT_FOUND);
    fixture_call_end();
    service_free(s);
}

static void test_service_answers_queries_in_the_rounds_of_one(void **state)
{
    (void)state;
    enum { QUERIES = 6 };
    struct service *s = fixture_service(NULL, true);
    struct query_request requests[QUERIES];
    struct query_response responses[QUERIES], alone[2];
    fixture_index(s, "things", FIXTURE_ROWS);
    for (size_t i = 0; i < QUERIES; i++)
        requests[i] = question(i % 2 ? "cat" : "salt");
    struct call *call = fixture_call();
    assert_int_equal(service_queries(call, s, requests, 3, responses), DP_OK);
    uint64_t cold = call->cost.rounds;
    call = fixture_call();
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(service_query(call, s, &requests[i], &alone[i]), DP_OK);
    assert_int_equal(service_queries(call, s, requests, QUERIES, responses), DP_OK);
    for (size_t i = 0; i < QUERIES; i++) {
        assert_int_equal(responses[i].answer.count, 2);
        assert_true(span_equal(responses[i].answer.hits[0].attributes, alone[i % 2].answer.hits[0].attributes));
    }
    assert_int_equal(cold, 4); /* the manifest; the hot parts; lists; documents */
    fixture_call_end();
    service_free(s);
}

static void test_service_reports_the_first_query_that_fails(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct query_request requests[3];
    struct query_response responses[3];
    fixture_index(s, "things", FIXTURE_ROWS);
    for (size_t i = 0; i < 3; i++)
        requests[i] = question("cat");
    requests[1].filters = span_str("[\"legs\", \"Near\", 4]");
    requests[2].filters = span_str("[\"legs\", \"Close\", 4]");
    struct call *call = fixture_call();
    assert_int_equal(service_queries(call, s, requests, 3, responses), DP_INVALID);
    assert_non_null(strstr(call->error.message, "filters: "));
    fixture_call_end();
    service_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service_searches_by_words_and_by_both),
        cmocka_unit_test(test_service_fuses_by_scores),
        cmocka_unit_test(test_service_weighs_the_words),
        cmocka_unit_test(test_service_searches_by_both_in_the_rounds_of_one),
        cmocka_unit_test(test_service_searches_by_what_the_namespace_has),
        cmocka_unit_test(test_service_answers_queries_in_the_rounds_of_one),
        cmocka_unit_test(test_service_reports_the_first_query_that_fails),
    };
    return test_run(tests);
}
