/* test_service.c: embedding and querying through the service, without HTTP. */
#include "service_fixture.h"

#include <math.h>
#include <stdio.h>

#include "os/clock.h"
#include "os/gate.h"
#include "service/hit_json.h"

static struct embed_response embed(struct call *call, struct service *s, const struct embed_input *inputs,
                                   size_t count, struct embed_request request)
{
    struct embed_response answer;
    request.inputs = inputs;
    request.count = count;
    if (service_embed(call, s, &request, &answer) != DP_OK)
        fail_msg("%s", call->error.message);
    return answer;
}

static struct embed_response embed_text(struct call *call, struct service *s, const char *text,
                                        struct embed_request request)
{
    struct embed_input input = {.text = span_str(text)};
    return embed(call, s, &input, 1, request);
}

static double norm(const float *v, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)v[i] * (double)v[i];
    return sqrt(sum);
}

static void test_service_knows_its_model(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct service_model model;
    struct arena *arena = fixture_call()->arena;
    assert_true(service_model(s, arena, &model));
    assert_true(span_equal_str(model.name, "tiny"));
    assert_int_equal(model.dim, TINY_DIM);
    assert_int_equal(model.max_tokens, TINY_TOKENS);
    assert_int_equal(model.fingerprint.len, 64);
    assert_true(service_model_named(s, span_str("tiny"), arena, &model));
    assert_true(service_model_named(s, span_str("sentence-transformers/tiny"), arena, &model));
    assert_false(service_model_named(s, span_str("tin"), arena, &model));
    fixture_call_end();
    service_free(s);
}

static void test_service_embeds_alone_as_in_a_batch(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct call *call = fixture_call();
    struct embed_input three[] = {
        {.text = span_str("cat")}, {.text = span_str("wing and wind")}, {.text = span_str("cat")}};
    struct embed_response many = embed(call, s, three, 3, (struct embed_request){.normalize = true});
    struct embed_response one = embed_text(call, s, "wing and wind", (struct embed_request){.normalize = true});
    assert_int_equal(many.dim, TINY_DIM);
    assert_memory_equal(many.vectors, many.vectors + 2 * TINY_DIM, TINY_DIM * sizeof(float));
    assert_memory_equal(one.vectors, many.vectors + TINY_DIM, TINY_DIM * sizeof(float));
    assert_int_equal(many.items[0].tokens, 3); /* [CLS] cat [SEP] */
    assert_int_equal(many.tokens, 3 + many.items[1].tokens + 3);
    assert_true(fabs(norm(one.vectors, TINY_DIM) - 1) < 1e-5);
    assert_true(call->cost.embed_ns > 0);
    fixture_call_end();
    service_free(s);
}

static void test_service_embeds_tokens_as_their_text(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct call *call = fixture_call();
    static const int32_t bare[] = {TINY_CAT}, framed[] = {TINY_CLS, TINY_CAT, TINY_SEP};
    struct embed_input inputs[] = {
        {.text = span_str("cat")}, {.ids = bare, .id_count = 1}, {.ids = framed, .id_count = 3}};
    struct embed_response a = embed(call, s, inputs, 3, (struct embed_request){.normalize = false});
    assert_memory_equal(a.vectors, a.vectors + TINY_DIM, TINY_DIM * sizeof(float));
    assert_memory_equal(a.vectors, a.vectors + 2 * TINY_DIM, TINY_DIM * sizeof(float));
    assert_int_equal(a.items[1].tokens, 3);
    fixture_call_end();
    service_free(s);
}

static void test_service_cuts_long_texts_and_says_so(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct call *call = fixture_call();
    char text[400] = "";
    int32_t ids[60];
    for (int i = 0; i < 60; i++) {
        strcat(text, "cat ");
        ids[i] = TINY_CAT;
    }
    struct embed_input inputs[] = {{.text = span_str(text)}, {.ids = ids, .id_count = 60}};
    struct embed_response a = embed(call, s, inputs, 2, (struct embed_request){.normalize = true});
    assert_int_equal(a.truncated, 2);
    assert_int_equal(a.items[0].tokens, TINY_TOKENS);
    assert_int_equal(a.items[0].total, 62);
    assert_int_equal(a.items[1].total, 62);
    assert_memory_equal(a.vectors, a.vectors + TINY_DIM, TINY_DIM * sizeof(float));
    struct embed_request strict = {.inputs = inputs, .count = 1, .refuse_long = true};
    struct embed_response none;
    assert_int_equal(service_embed(call, s, &strict, &none), DP_TOO_LARGE);
    assert_non_null(strstr(call->error.message, "62 tokens"));
    fixture_call_end();
    service_free(s);
}

static void test_service_shortens_vectors(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct call *call = fixture_call();
    struct embed_response whole = embed_text(call, s, "cat", (struct embed_request){.normalize = false});
    struct embed_response four = embed_text(call, s, "cat", (struct embed_request){.dimensions = 4});
    struct embed_response unit =
        embed_text(call, s, "cat", (struct embed_request){.dimensions = 4, .normalize = true});
    assert_int_equal(four.dim, 4);
    assert_memory_equal(whole.vectors, four.vectors, 4 * sizeof(float));
    assert_true(fabs(norm(unit.vectors, 4) - 1) < 1e-5);
    fixture_call_end();
    service_free(s);
}

static void test_service_refuses_what_cannot_be_embedded(void **state)
{
    (void)state;
    static const int32_t unknown[] = {TINY_VOCAB}, negative[] = {-1};
    static const int32_t none[1];
    struct {
        struct embed_input input;
        uint32_t dimensions;
        size_t count;
        const char *says;
    } cases[] = {
        {{.text = span_str("")}, 0, 1, "empty"},
        {{.ids = none, .id_count = 0}, 0, 1, "empty"},
        {{.ids = unknown, .id_count = 1}, 0, 1, "69 is not a token"},
        {{.ids = negative, .id_count = 1}, 0, 1, "-1 is not a token"},
        {{.text = span_str("cat")}, TINY_DIM + 1, 1, "17 dimensions"},
        {{.text = span_str("cat")}, 0, 0, "1 to 2048"},
        {{.text = span_str("cat")}, 0, SERVICE_BATCH_MAX + 1, "1 to 2048"},
    };
    struct service *s = fixture_service(NULL, true);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct call *call = fixture_call();
        struct embed_request request = {
            .inputs = &cases[i].input, .count = cases[i].count, .dimensions = cases[i].dimensions};
        struct embed_response answer;
        assert_int_equal(service_embed(call, s, &request, &answer), DP_INVALID);
        if (!strstr(call->error.message, cases[i].says))
            fail_msg("case %zu: %s", i, call->error.message);
    }
    fixture_call_end();
    service_free(s);
}

static void test_service_without_model_or_store_says_so(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, false);
    struct service_options nothing = {.threads = 1};
    struct service *bare;
    struct dp_error error;
    struct call *call = fixture_call();
    struct embed_input input = {.text = span_str("cat")};
    struct embed_request request = {.inputs = &input, .count = 1};
    struct embed_response answer;
    struct index_names names;
    struct service_model model;
    assert_false(service_model(s, call->arena, &model));
    assert_false(service_model_named(s, span_str("tiny"), call->arena, &model));
    assert_int_equal(service_embed(call, s, &request, &answer), DP_UNSUPPORTED);
    assert_int_equal(service_new(&nothing, &bare, &error), DP_OK);
    assert_int_equal(service_namespaces(call, bare, span_str(""), span_str(""), 10, &names), DP_UNSUPPORTED);
    assert_non_null(strstr(call->error.message, "--root"));
    service_free(bare);
    fixture_call_end();
    service_free(s);
}

static enum dp_status query(struct call *call, struct service *s, const char *namespace, const char *text,
                            struct query_request request, struct query_response *answer)
{
    request.namespace = span_str(namespace);
    if (text)
        request.text = span_str(text);
    if (request.rows.top_k == 0)
        request.rows.top_k = 3;
    return service_query(call, s, &request, answer);
}

static void test_service_finds_rows_by_text_and_by_vector(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct query_response answer;
    fixture_index(s, "things", FIXTURE_ROWS);
    struct call *call = fixture_call();
    assert_int_equal(
        query(call, s, "things", "wing wind sail", (struct query_request){.rows.all_attributes = true}, &answer),
        DP_OK);
    assert_int_equal(answer.answer.count, 3);
    assert_int_equal(answer.answer.approx_rows, 3);
    assert_true(answer.answer.hits[0].id.is_string);
    assert_true(span_equal_str(answer.answer.hits[0].id.text, "two"));
    assert_true(fabsf(answer.answer.hits[0].dist) < 1e-4F);
    assert_true(
        span_equal_str(answer.answer.hits[0].attributes, "{\"text\":\"wing wind sail\",\"kind\":\"air\"}"));
    assert_true(answer.total_ns > 0);
    assert_true(call->cost.rounds > 0 && call->cost.tokens > 0);
    assert_false(answer.answer.from_cache); /* the query opened the namespace */

    struct embed_response embedded = embed_text(call, s, "cat dog", (struct embed_request){.normalize = true});
    assert_int_equal(
        query(call, s, "things", NULL,
              (struct query_request){.rows.vector = embedded.vectors, .rows.dim = embedded.dim, .rows.top_k = 1},
              &answer),
        DP_OK);
    assert_int_equal(answer.answer.count, 1);
    assert_true(answer.answer.from_cache);
    assert_int_equal(answer.answer.hits[0].id.number, 1);
    assert_int_equal(
        answer.answer.hits[0].attributes.len == 0 || span_equal_str(answer.answer.hits[0].attributes, "{}"), 1);
    fixture_call_end();
    service_free(s);
}

static void test_service_refuses_bad_queries(void **state)
{
    (void)state;
    static const float short_vector[4] = {1, 0, 0, 0};
    struct service *s = fixture_service(NULL, true);
    struct query_response answer;
    fixture_index(s, "things", FIXTURE_ROWS);
    struct call *call = fixture_call();
    assert_int_equal(query(call, s, "nowhere", "cat", (struct query_request){.rows.top_k = 1}, &answer),
                     DP_NOT_FOUND);
    assert_non_null(strstr(call->error.message, "nowhere"));
    assert_int_equal(query(call, s, "../up", "cat", (struct query_request){.rows.top_k = 1}, &answer), DP_INVALID);
    assert_int_equal(query(call, s, "things", "", (struct query_request){.rows.top_k = 1}, &answer), DP_INVALID);
    assert_int_equal(
        query(call, s, "things", "cat", (struct query_request){.rows.top_k = INDEX_TOP_K_MAX + 1}, &answer),
        DP_INVALID);
    assert_int_equal(query(call, s, "things", NULL,
                           (struct query_request){.rows.vector = short_vector, .rows.dim = 4}, &answer),
                     DP_INVALID);
    assert_int_equal(query(call, s, "things", "cat",
                           (struct query_request){.check_metric = true, .metric = INDEX_EUCLIDEAN_SQUARED},
                           &answer),
                     DP_INVALID);
    assert_non_null(strstr(call->error.message, "cosine_distance"));
    fixture_call_end();
    service_free(s);
}

static void test_service_eventual_queries_send_no_requests(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct query_response answer;
    fixture_index(s, "things", FIXTURE_ROWS);
    struct call *call = fixture_call();
    assert_int_equal(query(call, s, "things", "cat", (struct query_request){.rows.eventual = true}, &answer),
                     DP_OK);
    fixture_index(s, "things", "{\"id\":9,\"text\":\"star\"}\n");
    call = fixture_call();
    assert_int_equal(query(call, s, "things", "star", (struct query_request){.rows.eventual = true}, &answer),
                     DP_OK);
    assert_int_equal(answer.answer.count, 3); /* the cached state */
    call = fixture_call();
    assert_int_equal(query(call, s, "things", "star", (struct query_request){.rows.top_k = 5}, &answer), DP_OK);
    assert_int_equal(answer.answer.count, 4); /* a strong query sees the newest state */
    assert_int_equal(answer.answer.hits[0].id.number, 9);
    fixture_call_end();
    service_free(s);
}

/* Queries five namespaces in turn, twice, with room for two open ones. */
static void test_service_keeps_few_namespaces_open(void **state)
{
    (void)state;
    struct service_options options = {.threads = 1, .readers_max = 2};
    const char *root = test_tmpdir();
    struct service *s = fixture_service(root, true);
    char name[8];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "n%d", i);
        fixture_index(s, name, FIXTURE_ROWS);
    }
    struct index_names names;
    struct call *call = fixture_call();
    assert_int_equal(service_namespaces(call, s, span_str("n"), span_str("n1"), 2, &names), DP_OK);
    assert_int_equal(names.count, 2);
    assert_true(names.truncated);
    assert_true(span_equal_str(names.names[0], "n2"));
    service_free(s);

    struct service *small;
    call = fixture_call();
    assert_int_equal(store_open(call, span_str(root), false, &options.store), DP_OK);
    assert_int_equal(service_new(&options, &small, &call->error), DP_OK);
    for (int i = 0; i < 15; i++) {
        struct namespace_info info;
        snprintf(name, sizeof name, "n%d", i % 5);
        call = fixture_call();
        assert_int_equal(service_warm(call, small, span_str(name)), DP_OK);
        assert_int_equal(service_namespace_info(call, small, GATE_READ, span_str(name), &info), DP_OK);
        assert_int_equal(info.stats.rows, 3);
        assert_true(span_equal_str(info.stats.vectors.model, "tiny"));
        assert_non_null(memchr(info.schema.data, '{', info.schema.len));
    }
    fixture_call_end();
    service_free(small);
}

static void test_service_hits_are_flat_objects_or_errors(void **state)
{
    (void)state;
    const struct span excluded = span_str("b");
    struct index_hit hit = {.id = {.number = 7}, .dist = 0.5F};
    static const struct {
        const char *attributes, *expected;
    } cases[] = {
        {"", "{\"id\":7,\"$dist\":0.5}"},
        {"{\"a\":[1, 2],\"b\":3,\"c\\n\":\"x\"}", "{\"id\":7,\"$dist\":0.5,\"a\":[1, 2],\"c\\n\":\"x\"}"},
        {"{\"a\":1", NULL},
        {"[1]", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        struct call call;
        struct buffer out;
        struct json_writer w;
        arena_init(&arena, 1 << 20);
        call_init(&call, &arena);
        buffer_init(&out, 1000);
        json_writer_init(&w, &out);
        hit.attributes = span_str(cases[i].attributes);
        const struct hit_format format = {.excluded = &excluded, .excluded_count = 1};
        enum dp_status status = hit_write_json(&w, &call, &hit, &format);
        assert_int_equal(status, cases[i].expected ? DP_OK : DP_CORRUPT);
        assert_int_equal(status, call.error.status);
        if (cases[i].expected)
            assert_true(span_equal_str(buffer_span(&out), cases[i].expected));
        buffer_deinit(&out);
        arena_deinit(&arena);
    }
    /* Decoding an attribute's name needs memory. Without memory the row becomes an error, not a shorter row. */
    struct arena none;
    struct call call;
    struct buffer out;
    struct json_writer w;
    arena_init(&none, 0);
    call_init(&call, &none);
    buffer_init(&out, 1000);
    json_writer_init(&w, &out);
    hit.attributes = span_str("{\"c\\n\":\"x\"}");
    assert_int_equal(hit_write_json(&w, &call, &hit, &(struct hit_format){.dim = 0}), DP_NOMEM);
    buffer_deinit(&out);
    arena_deinit(&none);
}

static void test_service_survives_every_failed_allocation(void **state)
{
    (void)state;
    fixture_threads = 1;
    const char *root = test_tmpdir();
    struct service *s = fixture_service(root, true);
    fixture_index(s, "things", FIXTURE_ROWS);
    size_t before = test_alloc_live();
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct query_response answer;
        struct call *call = fixture_call();
        test_alloc_fail_at(n);
        enum dp_status status =
            query(call, s, "things", "cat dog", (struct query_request){.rows.all_attributes = true}, &answer);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        fixture_call_end();
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        assert_int_equal(status, DP_NOMEM);
    }
    /* Only the open namespace is left. */
    assert_true(test_alloc_live() >= before);
    service_free(s);
}

static int64_t counted(struct service *s, const char *name, const char *labels)
{
    for (const struct metric *m = service_metrics(s)->first; m; m = m->next)
        if (strcmp(m->name, name) == 0 && strcmp(m->labels, labels) == 0)
            return atomic_load(&m->value);
    fail_msg("there is no metric %s{%s}", name, labels);
    return 0;
}

static void test_service_answers_from_its_cache_bit_by_bit(void **state)
{
    (void)state;
    struct service *s = fixture_cached_service(100), *plain = fixture_service(NULL, true);
    struct arena kept;
    struct call call;
    arena_init(&kept, 1 << 24);
    call_init(&call, &kept);
    char text[400] = "";
    for (int i = 0; i < 60; i++)
        strcat(text, "cat ");
    struct embed_input inputs[] = {
        {.text = span_str("cat dog")}, {.text = span_str(text)}, {.text = span_str("dog")}};
    static const struct embed_request ways[] = {
        {.normalize = false}, {.normalize = true}, {.dimensions = 4}, {.dimensions = 4, .normalize = true}};
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        struct embed_response expected = embed(&call, plain, inputs, 3, ways[way]);
        for (int again = 0; again < 3; again++) {
            struct embed_response got = embed(&call, s, inputs, 3, ways[way]);
            assert_int_equal(got.dim, expected.dim);
            assert_memory_equal(got.vectors, expected.vectors, 3 * got.dim * sizeof(float));
            assert_int_equal(got.tokens, expected.tokens);
            assert_int_equal(got.truncated, 1);
            for (size_t i = 0; i < 3; i++) {
                assert_int_equal(got.items[i].total, expected.items[i].total);
                assert_int_equal(got.items[i].cached, again > 0);
            }
        }
    }
    assert_int_equal(counted(s, "dipper_embed_cache_misses_total", ""), 12);
    assert_int_equal(counted(s, "dipper_embed_cache_hits_total", "cache_level=\"l1\""), 24);
    assert_int_equal(counted(s, "dipper_embed_cache_entries", ""), 12);
    /* With refuse_long, a text that was cut is refused even if its vector is cached. */
    struct embed_request strict = {.inputs = &inputs[1], .count = 1, .refuse_long = true};
    struct embed_response none;
    assert_int_equal(service_embed(&call, s, &strict, &none), DP_TOO_LARGE);
    assert_non_null(strstr(call.error.message, "62 tokens"));
    assert_int_equal(service_embed_cached(&call, s, &strict, &none), EMBED_NOT_CACHED);
    arena_deinit(&kept);
    service_free(plain);
    service_free(s);
}

static void test_service_computes_repeated_texts_once(void **state)
{
    (void)state;
    struct service *s = fixture_cached_service(0); /* no cache: only the request itself is searched for repeats */
    struct call *call = fixture_call();
    static const int32_t ids[] = {TINY_CAT};
    struct embed_input inputs[] = {{.text = span_str("cat")},
                                   {.text = span_str("dog")},
                                   {.text = span_str("cat")},
                                   {.ids = ids, .id_count = 1},
                                   {.text = span_str("cat")}};
    struct embed_response a = embed(call, s, inputs, 5, (struct embed_request){.normalize = true});
    assert_memory_equal(a.vectors, a.vectors + 2 * TINY_DIM, TINY_DIM * sizeof(float));
    assert_memory_equal(a.vectors, a.vectors + 4 * TINY_DIM, TINY_DIM * sizeof(float));
    assert_int_equal(a.tokens, 15);
    assert_int_equal(counted(s, "dipper_embed_cache_misses_total", ""), 3); /* "cat", "dog", and the token id */
    assert_int_equal(counted(s, "dipper_embed_cache_waits_total", ""), 2);
    fixture_call_end();
    service_free(s);
}

static void test_service_answers_cached_texts_at_once(void **state)
{
    (void)state;
    struct service *s = fixture_cached_service(100);
    struct call *call = fixture_call();
    struct embed_input inputs[] = {{.text = span_str("cat")}, {.text = span_str("dog")}, {.text = span_str("")}};
    struct embed_request one = {.inputs = inputs, .count = 1}, two = {.inputs = inputs, .count = 2},
                         empty = {.inputs = &inputs[2], .count = 1};
    struct embed_response a;
    assert_int_equal(service_embed_cached(call, s, &one, &a), EMBED_NOT_CACHED);
    embed_text(call, s, "cat", (struct embed_request){.normalize = false});
    assert_int_equal(service_embed_cached(call, s, &one, &a), EMBED_CACHED);
    assert_true(a.items[0].cached);
    assert_int_equal(service_embed_cached(call, s, &two, &a), EMBED_NOT_CACHED);
    assert_int_equal(service_embed_cached(call, s, &empty, &a), EMBED_NOT_CACHED);
    one.normalize = true;
    assert_int_equal(service_embed_cached(call, s, &one, &a), EMBED_NOT_CACHED);
    /* As JSON: the text printed for the second reader is kept for the third. */
    one.normalize = false;
    one.form = VECTOR_JSON;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(service_embed_cached(call, s, &one, &a), EMBED_CACHED);
        assert_int_equal(a.texts[0].data[0], '[');
        assert_int_equal(a.texts[0].data[a.texts[0].len - 1], ']');
    }
    fixture_call_end();
    service_free(s);
}

static void test_service_with_a_cache_survives_every_failed_allocation(void **state)
{
    (void)state;
    struct embed_input inputs[] = {
        {.text = span_str("cat")}, {.text = span_str("dog")}, {.text = span_str("cat")}};
    struct service *s = fixture_cached_service(100);
    for (int warm = 0; warm < 2; warm++)
        for (size_t n = 1;; n = test_alloc_next(n)) {
            struct embed_response answer;
            struct embed_request request = {.inputs = inputs, .count = 3, .form = VECTOR_BASE64};
            struct call *call = fixture_call();
            test_alloc_fail_at(n);
            enum dp_status status = service_embed(call, s, &request, &answer);
            bool fired = test_alloc_fired();
            test_alloc_fail_at(0);
            fixture_call_end();
            assert_true(status == DP_OK || status == DP_NOMEM);
            if (!fired) {
                assert_int_equal(status, DP_OK);
                break;
            }
        }
    service_free(s);
}

/* A gate that shows only names that begin with "th", and allows everything. */
static bool sees_some(void *ctx, struct span name)
{
    (void)ctx;
    return span_starts_with(name, span_str("th"));
}

static enum gate_answer enter_any(void *ctx, enum gate_use use, struct span name)
{
    (void)ctx, (void)use, (void)name;
    return GATE_GRANTED;
}

static const char *missing(struct call *call, struct service *s, const struct gate *gate)
{
    call->gate = gate;
    assert_int_equal(service_warm(call, s, span_str("nope")), DP_NOT_FOUND);
    assert_int_equal(call->error.status, DP_NOT_FOUND);
    return call->error.message;
}

static void test_service_names_the_namespaces_when_one_is_missing(void **state)
{
    (void)state;
    static const struct gate some = {.enter = enter_any, .sees = sees_some};
    struct service *s = fixture_service(NULL, true);
    assert_string_equal(missing(fixture_call(), s, NULL), "there is no namespace \"nope\"");
    service_free(s);

    s = fixture_service(NULL, true);
    fixture_index(s, "things", FIXTURE_ROWS);
    fixture_index(s, "that", FIXTURE_ROWS);
    fixture_index(s, "other", FIXTURE_ROWS);
    struct call *call = fixture_call();
    assert_string_equal(missing(call, s, NULL), "there is no namespace \"nope\"; there are other, that, things");
    const uint64_t first = call->cost.requests;
    call = fixture_call();
    assert_string_equal(missing(call, s, &some), "there is no namespace \"nope\"; there are that, things");
    /* the service lists the names from time to time, not for each error */
    assert_true(call->cost.requests < first);
    service_free(s);

    s = fixture_service(NULL, true);
    char name[20];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "th%d", i);
        fixture_index(s, name, FIXTURE_ROWS);
    }
    assert_non_null(
        strstr(missing(fixture_call(), s, NULL), "there are th0, th1, th2, th3, th4, th5, th6, th7, …"));
    /* A client that may not see all names does not learn that there are more. */
    assert_null(strstr(missing(fixture_call(), s, &some), "…"));
    fixture_call_end();
    service_free(s);
}

/* The error of a query to a namespace of another model names that model, not only a dimension. Where no model has a
 * part, it speaks of none. */
static void test_service_names_the_other_model_of_a_namespace(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    fixture_index(s, "own", "{\"id\":1,\"vector\":[1,0]}\n");
    fixture_index(s, "things", FIXTURE_ROWS);
    static const float vector[2] = {1, 0};
    struct query_request request = {.namespace = span_str("own"), .text = span_str("cat"), .rows.top_k = 1};
    struct query_response answer;
    struct call *call = fixture_call();
    assert_int_equal(service_query(call, s, &request, &answer), DP_INVALID);
    assert_non_null(strstr(call->error.message, "the namespace's have 2: it holds vectors of another model"));
    static const float long_vector[3] = {1, 0, 0};
    request = (struct query_request){
        .namespace = span_str("own"), .rows.vector = long_vector, .rows.dim = 3, .rows.top_k = 1};
    call = fixture_call();
    assert_int_equal(service_query(call, s, &request, &answer), DP_INVALID);
    assert_null(strstr(call->error.message, "model"));
    request = (struct query_request){
        .namespace = span_str("things"), .rows.vector = vector, .rows.dim = 2, .rows.top_k = 1};
    call = fixture_call();
    assert_int_equal(service_query(call, s, &request, &answer), DP_INVALID);
    assert_non_null(strstr(call->error.message, "it holds vectors of another model, \"tiny\""));
    fixture_call_end();
    service_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service_knows_its_model),
        cmocka_unit_test(test_service_names_the_namespaces_when_one_is_missing),
        cmocka_unit_test(test_service_names_the_other_model_of_a_namespace),
        cmocka_unit_test(test_service_embeds_alone_as_in_a_batch),
        cmocka_unit_test(test_service_embeds_tokens_as_their_text),
        cmocka_unit_test(test_service_cuts_long_texts_and_says_so),
        cmocka_unit_test(test_service_shortens_vectors),
        cmocka_unit_test(test_service_refuses_what_cannot_be_embedded),
        cmocka_unit_test(test_service_without_model_or_store_says_so),
        cmocka_unit_test(test_service_finds_rows_by_text_and_by_vector),
        cmocka_unit_test(test_service_refuses_bad_queries),
        cmocka_unit_test(test_service_eventual_queries_send_no_requests),
        cmocka_unit_test(test_service_keeps_few_namespaces_open),
        cmocka_unit_test(test_service_hits_are_flat_objects_or_errors),
        cmocka_unit_test(test_service_survives_every_failed_allocation),
        cmocka_unit_test(test_service_answers_from_its_cache_bit_by_bit),
        cmocka_unit_test(test_service_computes_repeated_texts_once),
        cmocka_unit_test(test_service_answers_cached_texts_at_once),
        cmocka_unit_test(test_service_with_a_cache_survives_every_failed_allocation),
    };
    fixture_token_input = true;
    return test_run(tests);
}
