/* test_indexes.c: FAISS files that clients open by name: their descriptions, their limits, and the URLs that
 * clients may open. */
#include "service_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "http_server.h"
#include "service/service_impl.h"
#include "store/store_cache.h"

enum { DIM = 16, LISTS = 8 };

struct fixture {
    struct http_server *server;
    struct service *service;
    char rules[256];
};

/* Opens a service whose clients may open URLs by the rules. NULL allows the server's /open/. */
static void open_service_with(struct fixture *f, const char *rules, struct indexes_options options)
{
    snprintf(f->rules, sizeof f->rules, "%s", rules ? rules : http_server_url(f->server, "/open"));
    options.allow_urls = span_str(f->rules);
    fixture_indexes = &options;
    f->service = fixture_service(NULL, true);
    fixture_indexes = NULL;
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.server = http_server_start(NULL)};
    http_server_put(f.server, "/open/a.ivf", test_data("faiss/flat-l2-d16.ivf"));
    http_server_put(f.server, "/open/b.ivf", test_data("faiss/sq8-ip-d48.ivf"));
    http_server_put(f.server, "/shut/a.ivf", test_data("faiss/flat-l2-d16.ivf"));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fixture_call_end();
    service_free(f->service);
    http_server_stop(f->server);
    return 0;
}

/* Opens an index at a path of the server or at a URL. The error is in *call. */
static enum dp_status try_open(struct fixture *f, struct call **call, const char *name, const char *where,
                               struct index_description *out)
{
    const char *url = *where == '/' ? http_server_url(f->server, where) : where;
    const struct index_source source = {.name = span_str(name), .url = span_str(url)};
    *call = fixture_call();
    return service_index_open(*call, f->service, &source, out);
}

static void must_open(struct fixture *f, const char *name, const char *where)
{
    struct index_description opened;
    struct call *call;
    if (try_open(f, &call, name, where, &opened) != DP_OK)
        fail_msg("%s", call->error.message);
    assert_true(span_equal_str(opened.name, name));
}

static enum dp_status search(struct call *call, struct fixture *f, const char *name, size_t nprobe,
                             struct index_hits *hits)
{
    static const float queries[2][DIM] = {{1.0f}, {0.0f, 1.0f}};
    const struct index_search search = {
        .name = span_str(name), .vectors = &queries[0][0], .count = 2, .dim = DIM, .k = 3, .nprobe = nprobe};
    return service_index_search(call, f->service, &search, hits);
}

/* ---- opening and searching ----------------------------------------------------------------------------- */

static void test_service_index_is_opened_described_searched_and_closed(void **state)
{
    struct fixture *f = *state;
    struct index_description d, *all;
    struct index_hits hits;
    struct call *call;
    size_t count;
    open_service_with(f, NULL, (struct indexes_options){.max = 0});
    assert_int_equal(try_open(f, &call, "my-index_1.x", "/open/a.ivf?X-Amz-Signature=secret", &d), DP_OK);
    assert_string_equal(d.kind, "IwFl");
    assert_string_equal(d.codes, "Flat");
    assert_null(strstr(d.url, "secret"));
    assert_non_null(strstr(d.url, "/open/a.ivf?…"));
    assert_int_equal(d.dim, DIM);
    assert_int_equal(d.nlist, LISTS);
    assert_int_equal(d.open_requests, 1);
    assert_int_equal(d.open_rounds, 1);
    assert_int_equal(d.memory_bytes, 4 * DIM * LISTS + 8 * (LISTS + 1));
    must_open(f, "another", "/open/b.ivf");
    call = fixture_call();
    assert_int_equal(service_index_list(call, f->service, span_str(""), &all, &count), DP_OK);
    assert_int_equal(count, 2);
    assert_true(span_equal_str(all[0].name, "another") && span_equal_str(all[1].name, "my-index_1.x"));
    call = fixture_call();
    assert_int_equal(service_index_describe(call, f->service, span_str("another"), &d), DP_OK);
    assert_string_equal(d.kind, "IwSq");
    call = fixture_call();
    assert_int_equal(search(call, f, "my-index_1.x", 4, &hits), DP_OK);
    for (size_t q = 0; q < 2; q++) {
        assert_int_equal(hits.costs[q].rounds, 1);
        assert_true(hits.costs[q].requests >= 1 && hits.costs[q].bytes > 0);
        assert_true(hits.ids[3 * q] >= 0 && hits.distances[3 * q] <= hits.distances[3 * q + 1]);
    }
    call = fixture_call();
    assert_int_equal(service_index_close(call, f->service, span_str("my-index_1.x")), DP_OK);
    call = fixture_call();
    assert_int_equal(search(call, f, "my-index_1.x", 4, &hits), DP_NOT_FOUND);
    assert_int_equal(service_index_close(call, f->service, span_str("my-index_1.x")), DP_NOT_FOUND);
    assert_int_equal(service_index_describe(call, f->service, span_str("my-index_1.x"), &d), DP_NOT_FOUND);
    assert_non_null(strstr(call->error.message, "my-index_1.x"));
    must_open(f, "my-index_1.x", "/open/b.ivf"); /* the name is free again */
}

static void test_service_index_search_filters_and_embeds(void **state)
{
    struct fixture *f = *state;
    struct index_hits hits;
    struct embed_input text = {.text = span_str("cat dog")};
    static const float query[DIM] = {1.0f};
    open_service_with(f, NULL, (struct indexes_options){.max = 0});
    must_open(f, "a", "/open/a.ivf");
    must_open(f, "b", "/open/b.ivf");
    struct index_search s = {
        .name = span_str("a"), .vectors = query, .count = 1, .dim = DIM, .k = 5, .nprobe = LISTS};
    assert_int_equal(service_index_search(fixture_call(), f->service, &s, &hits), DP_OK);
    int64_t best[5];
    memcpy(best, hits.ids, sizeof best);
    s.skip = best;
    s.skip_count = 2;
    assert_int_equal(service_index_search(fixture_call(), f->service, &s, &hits), DP_OK);
    assert_memory_equal(hits.ids, best + 2, 3 * sizeof *best);
    s.keep = best;
    s.keep_count = 3;
    assert_int_equal(service_index_search(fixture_call(), f->service, &s, &hits), DP_OK);
    assert_true(hits.ids[0] == best[2] && hits.ids[1] == -1);
    s = (struct index_search){.name = span_str("a"), .texts = &text, .count = 1, .k = 5};
    assert_int_equal(service_index_search(fixture_call(), f->service, &s, &hits), DP_OK);
    assert_true(hits.ids[0] >= 0);
    s.model = span_str("nobody");
    assert_int_equal(service_index_search(fixture_call(), f->service, &s, &hits), DP_NOT_FOUND);
    s.model = span_of(NULL, 0);
    s.name = span_str("b");
    struct call *call = fixture_call();
    assert_int_equal(service_index_search(call, f->service, &s, &hits), DP_INVALID);
    assert_non_null(strstr(call->error.message, "16 dimensions, but the index has 48 dimensions"));
    static const struct index_search wrong[] = {
        {.count = 0, .k = 1, .dim = DIM, .vectors = query},
        {.count = 1, .k = 0, .dim = DIM, .vectors = query},
        {.count = 1, .k = INDEX_SEARCH_HITS_MAX + 1, .dim = DIM, .vectors = query},
        {.count = 1, .k = 1, .dim = DIM - 1, .vectors = query},
        {.count = INDEX_SEARCH_QUERIES_MAX + 1, .k = 1, .dim = DIM, .vectors = query},
        {.count = 1, .k = 1, .dim = DIM, .vectors = query, .keep_count = INDEX_SEARCH_IDS_MAX + 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        s = wrong[i];
        s.name = span_str("a");
        assert_int_equal(service_index_search(fixture_call(), f->service, &s, &hits), DP_INVALID);
    }
}

static void test_service_index_searches_share_a_cache(void **state)
{
    struct fixture *f = *state;
    struct store_cache *cache;
    struct index_hits hits;
    struct dp_error error;
    assert_int_equal(store_cache_make(&(struct store_cache_options){.bytes = 1 << 20}, &cache, &error), DP_OK);
    open_service_with(f, NULL, (struct indexes_options){.store.cache = cache});
    store_cache_release(cache);
    must_open(f, "a", "/open/a.ivf");
    assert_int_equal(search(fixture_call(), f, "a", LISTS, &hits), DP_OK);
    assert_true(hits.costs[0].requests > 0);
    unsigned asked = http_server_count(f->server);
    assert_int_equal(search(fixture_call(), f, "a", LISTS, &hits), DP_OK);
    assert_int_equal(hits.costs[0].requests + hits.costs[0].rounds + hits.costs[0].bytes, 0);
    assert_int_equal(http_server_count(f->server), asked);
}

/* ---- URLs that clients may open ------------------------------------------------------------------------ */

static void refused(struct fixture *f, const char *where, enum dp_status expected, const char *says)
{
    struct index_description d;
    struct call *call;
    unsigned asked = http_server_count(f->server);
    enum dp_status status = try_open(f, &call, "x", where, &d);
    if (status != expected || !strstr(call->error.message, says) || strstr(call->error.message, "secret"))
        fail_msg("%s: %d, %s", where, (int)status, call->error.message);
    assert_int_equal(http_server_count(f->server), asked); /* no request was sent */
    assert_int_equal(service_index_describe(fixture_call(), f->service, span_str("x"), &d), DP_NOT_FOUND);
}

static void test_service_index_opens_only_permitted_urls(void **state)
{
    struct fixture *f = *state;
    open_service_with(f, "", (struct indexes_options){.max = 0});
    refused(f, "/open/a.ivf", DP_DENIED, "--allow-index-url");
    service_free(f->service);
    open_service_with(f, NULL, (struct indexes_options){.max = 0});
    refused(f, "/shut/a.ivf?sig=secret", DP_DENIED, "/shut/a.ivf: this server may not open that URL");
    refused(f, "/openx/a.ivf", DP_DENIED, "--allow-index-url");
    refused(f, "/open/../shut/a.ivf", DP_INVALID, "'..'");
    refused(f, "/open/%2e%2e/shut/a.ivf", DP_INVALID, "'..'");
    refused(f, "file:///etc/passwd", DP_DENIED, "--allow-index-url");
    refused(f, "/etc/passwd", DP_DENIED, "--allow-index-url");
    refused(f, "http://user:secret@127.0.0.1/open/a.ivf", DP_INVALID, "user or password");
    refused(f, "s3://bucket/a.ivf", DP_DENIED, "--allow-index-url");
}

/* A host that only a wildcard allows may not have a private address, given as a number or by a name. */
static void test_service_index_behind_a_wildcard_is_public(void **state)
{
    struct fixture *f = *state;
    struct index_description d;
    struct call *call;
    char rules[128], url[128];
    const char *port = strrchr(http_server_url(f->server, ""), ':');
    snprintf(rules, sizeof rules, "http://*%s/ http://*.localhost%s/", port, port);
    open_service_with(f, rules, (struct indexes_options){.max = 0});
    refused(f, "/open/a.ivf", DP_DENIED, "public");
    static const char *const hosts[] = {"localhost", "a.localhost", "[::1]",
                                        "0.0.0.0",   "127.1",       "[::ffff:127.0.0.1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        snprintf(url, sizeof url, "http://%s%s/open/a.ivf", hosts[i], port);
        unsigned asked = http_server_count(f->server);
        assert_true(try_open(f, &call, "x", url, &d) != DP_OK);
        assert_int_equal(http_server_count(f->server), asked);
    }
    service_free(f->service);
    /* With private+, the operator permits private addresses. */
    snprintf(rules, sizeof rules, "private+http://*%s/open/", port);
    open_service_with(f, rules, (struct indexes_options){.max = 0});
    must_open(f, "x", "/open/a.ivf");
}

static void test_service_index_follows_no_redirect(void **state)
{
    struct fixture *f = *state;
    struct index_description d;
    struct call *call;
    char lines[256];
    open_service_with(f, NULL, (struct indexes_options){.max = 0});
    snprintf(lines, sizeof lines, "Location: %s?sig=secret\r\n", http_server_url(f->server, "/shut/a.ivf"));
    static const int codes[] = {301, 302, 303, 307, 308};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        http_server_reset(f->server);
        http_server_script(f->server,
                           (struct http_act){.kind = HTTP_ACT_STATUS, .code = codes[i], .lines = lines});
        assert_int_equal(try_open(f, &call, "x", "/open/a.ivf", &d), DP_UNSUPPORTED);
        assert_non_null(strstr(call->error.message, "redirect"));
        assert_null(strstr(call->error.message, "secret"));
        assert_int_equal(http_server_count(f->server), 1);
    }
}

static void test_service_index_may_be_a_local_file(void **state)
{
    struct fixture *f = *state;
    char rules[4200], url[4400];
    char *folder = realpath(test_data_path("faiss"), NULL);
    struct index_description d;
    struct call *call;
    struct index_hits hits;
    assert_non_null(folder);
    snprintf(rules, sizeof rules, "file://%s", folder);
    struct indexes_options options = {.allow_urls = span_str(rules)};
    fixture_indexes = &options;
    f->service = fixture_service(NULL, true);
    fixture_indexes = NULL;
    snprintf(url, sizeof url, "file://%s/flat-l2-d16.ivf", folder);
    must_open(f, "a", url);
    assert_int_equal(search(fixture_call(), f, "a", 2, &hits), DP_OK);
    snprintf(url, sizeof url, "file://%s/README.md", folder);
    assert_int_equal(try_open(f, &call, "x", url, &d), DP_NOT_FOUND);
    snprintf(url, sizeof url, "file://%s/hnsw.refused", folder);
    assert_int_equal(try_open(f, &call, "x", url, &d), DP_UNSUPPORTED);
    snprintf(url, sizeof url, "%s/flat-l2-d16.ivf", folder); /* a path is not a URL */
    const struct index_source source = {.name = span_str("x"), .url = span_str(url)};
    assert_int_equal(service_index_open(fixture_call(), f->service, &source, &d), DP_INVALID);
    free(folder);
}

/* ---- limits -------------------------------------------------------------------------------------------- */

static void test_service_index_names_are_checked_and_taken_once(void **state)
{
    struct fixture *f = *state;
    struct index_description d;
    struct call *call;
    char longest[130];
    memset(longest, 'a', 129);
    longest[129] = 0;
    const char *const wrong[] = {"", ".a", "_a", "a/b", "a b", "\xc3\xa4", longest};
    open_service_with(f, NULL, (struct indexes_options){.max = 0});
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(try_open(f, &call, wrong[i], "/open/a.ivf", &d), DP_INVALID);
    must_open(f, longest + 1, "/open/a.ivf");
    assert_int_equal(try_open(f, &call, longest + 1, "/open/b.ivf", &d), DP_EXISTS);
    /* After a failure, the name is free. */
    assert_int_equal(try_open(f, &call, "a", "/open/none.ivf", &d), DP_NOT_FOUND);
    must_open(f, "a", "/open/a.ivf");
}

static void test_service_index_count_and_memory_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct index_description d;
    struct call *call;
    const uint64_t head = 4 * DIM * LISTS + 8 * (LISTS + 1);
    open_service_with(f, NULL, (struct indexes_options){.max = 2});
    must_open(f, "a", "/open/a.ivf");
    must_open(f, "b", "/open/a.ivf");
    assert_int_equal(try_open(f, &call, "c", "/open/a.ivf", &d), DP_CONFLICT);
    assert_non_null(strstr(call->error.message, "2 indexes are open"));
    assert_int_equal(service_index_close(fixture_call(), f->service, span_str("a")), DP_OK);
    must_open(f, "c", "/open/a.ivf");
    service_free(f->service);
    open_service_with(f, NULL, (struct indexes_options){.memory_max = 2 * head + head / 2});
    must_open(f, "a", "/open/a.ivf");
    must_open(f, "b", "/open/a.ivf");
    for (int i = 0; i < 3; i++)
        assert_int_equal(try_open(f, &call, "c", "/open/a.ivf", &d), DP_TOO_LARGE);
    assert_non_null(strstr(call->error.message, "memory"));
    assert_int_equal(service_index_close(fixture_call(), f->service, span_str("a")), DP_OK);
    must_open(f, "c", "/open/a.ivf");
    assert_int_equal(service_index_close(fixture_call(), f->service, span_str("b")), DP_OK);
    assert_int_equal(service_index_close(fixture_call(), f->service, span_str("c")), DP_OK);
    assert_int_equal(f->service->indexes.memory.used, 0);
}

static void test_service_index_of_a_bad_or_changed_file_says_so(void **state)
{
    struct fixture *f = *state;
    struct index_description d;
    struct index_hits hits;
    struct call *call;
    open_service_with(f, NULL, (struct indexes_options){.max = 0});
    struct span bytes = test_data("faiss/flat-l2-d16.ivf");
    http_server_put(f->server, "/open/cut.ivf", span_of(bytes.data, bytes.len / 2));
    assert_int_equal(try_open(f, &call, "x", "/open/cut.ivf", &d), DP_INVALID);
    http_server_put(f->server, "/open/text.ivf", span_str("neither FAISS nor long"));
    assert_int_equal(try_open(f, &call, "x", "/open/text.ivf", &d), DP_UNSUPPORTED);
    must_open(f, "a", "/open/a.ivf");
    http_server_put(f->server, "/open/a.ivf", test_data("faiss/sq8-l2-d16.ivf"));
    call = fixture_call();
    assert_int_equal(search(call, f, "a", 2, &hits), DP_CONFLICT);
    assert_non_null(strstr(call->error.message, "open it anew"));
}

static void test_service_index_survives_failed_allocations(void **state)
{
    struct fixture *f = *state;
    struct embed_input text = {.text = span_str("cat dog")};
    static const int64_t skip[] = {1, INT64_MAX};
    fixture_threads = 1;
    open_service_with(f, NULL, (struct indexes_options){.max = 0});
    fixture_threads = 2;
    const char *url = http_server_url(f->server, "/open/a.ivf");
    const struct index_source source = {.name = span_str("a"), .url = span_str(url)};
    const struct index_search s = {
        .name = span_str("a"), .texts = &text, .count = 1, .k = 5, .skip = skip, .skip_count = 2};
    bool fired = true;
    for (size_t n = 1; fired; n = test_alloc_next(n)) {
        struct index_description d, *all;
        struct index_hits hits;
        size_t count;
        struct call *call = fixture_call();
        test_alloc_fail_at(n);
        enum dp_status status = service_index_open(call, f->service, &source, &d);
        if (status == DP_OK)
            status = service_index_list(call, f->service, span_str(""), &all, &count);
        if (status == DP_OK)
            status = service_index_search(call, f->service, &s, &hits);
        fired = test_alloc_fired();
        test_alloc_fail_at(0);
        if (status != DP_OK)
            assert_int_equal(status, DP_NOMEM);
        assert_true(fired || status == DP_OK);
        service_index_close(fixture_call(), f->service, span_str("a"));
        assert_int_equal(f->service->indexes.slots.locked.count, 0);
        assert_int_equal(f->service->indexes.memory.used, 0);
    }
}

/* ---- many at once -------------------------------------------------------------------------------------- */

enum { THREADS = 8, ROUNDS = 40 };

struct racer {
    struct fixture *f;
    size_t number, searched;
    char url[128];
};

/* Opens, searches and closes a few names, which all threads share. */
static void *race(void *arg)
{
    struct racer *r = arg;
    static const float query[DIM] = {1.0f};
    for (size_t i = 0; i < ROUNDS; i++) {
        struct arena arena;
        struct call call;
        struct index_description d;
        struct index_hits hits;
        const struct span name = span_str(&"abc"[(r->number + i) % 3]);
        const struct span one = span_of(name.data, 1);
        arena_init(&arena, 1 << 24);
        call_init(&call, &arena);
        const struct index_source source = {.name = one, .url = span_str(r->url)};
        const struct index_search s = {.name = one, .vectors = query, .count = 1, .dim = DIM, .k = 3, .nprobe = 4};
        enum dp_status status = service_index_open(&call, r->f->service, &source, &d);
        assert_true(status == DP_OK || status == DP_EXISTS);
        status = service_index_search(&call, r->f->service, &s, &hits);
        assert_true(status == DP_OK || status == DP_NOT_FOUND);
        r->searched += status == DP_OK;
        if (r->number % 2) {
            status = service_index_close(&call, r->f->service, one);
            assert_true(status == DP_OK || status == DP_NOT_FOUND);
        }
        arena_deinit(&arena);
    }
    return NULL;
}

static void test_service_index_may_be_closed_while_others_search_it(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    struct racer racers[THREADS];
    size_t searched = 0;
    open_service_with(f, NULL, (struct indexes_options){.max = 0});
    for (size_t i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.f = f, .number = i};
        snprintf(racers[i].url, sizeof racers[i].url, "%s", http_server_url(f->server, "/open/a.ivf"));
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        searched += racers[i].searched;
    }
    assert_true(searched > 0);
    for (size_t i = 0; i < 3; i++)
        service_index_close(fixture_call(), f->service, span_of(&"abc"[i], 1));
    assert_int_equal(f->service->indexes.memory.used, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_service_index_is_opened_described_searched_and_closed),
        CASE(test_service_index_search_filters_and_embeds),
        CASE(test_service_index_searches_share_a_cache),
        CASE(test_service_index_opens_only_permitted_urls),
        CASE(test_service_index_behind_a_wildcard_is_public),
        CASE(test_service_index_follows_no_redirect),
        CASE(test_service_index_may_be_a_local_file),
        CASE(test_service_index_names_are_checked_and_taken_once),
        CASE(test_service_index_count_and_memory_are_bounded),
        CASE(test_service_index_of_a_bad_or_changed_file_says_so),
        CASE(test_service_index_survives_failed_allocations),
        CASE(test_service_index_may_be_closed_while_others_search_it),
    };
    return test_run(tests);
}
