/* test_write.c: service_write() among other writers: who may write, who creates, whose types count. */
#include "service_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/gate.h"
#include "service/service_impl.h"
#include "service/write.h"
#include "store/store_memory.h"
#include "test_store.h"

static const float UNIT[2] = {0.6f, 0.8f};

/* A write of one row with at most one attribute. */
struct one_row {
    struct write_request request;
    struct write_row row;
    struct write_value value;
    struct span attribute;
};

static const struct write_request *upsert(struct one_row *w, const char *namespace, uint64_t id,
                                          const char *attribute, const char *json)
{
    *w = (struct one_row){.row = {.kind = WRITE_UPSERT,
                                  .id = {.number = id},
                                  .vector = UNIT,
                                  .dim = 2,
                                  .value_count = attribute ? 1 : 0}};
    w->attribute = span_str(attribute ? attribute : "");
    if (attribute)
        w->value = (struct write_value){(const uint8_t *)json, (uint32_t)strlen(json), 0};
    w->request = (struct write_request){.namespace = span_str(namespace),
                                        .rows = &w->row,
                                        .row_count = 1,
                                        .values = &w->value,
                                        .attributes = &w->attribute,
                                        .attribute_count = attribute ? 1 : 0,
                                        .has_metric = true,
                                        .metric = INDEX_COSINE};
    return &w->request;
}

static enum dp_status write_one(struct call *call, struct service *s, const struct write_request *request)
{
    struct write_response response;
    return service_write(call, s, request, &response);
}

static void must_write(struct service *s, const struct write_request *request)
{
    struct call *call = fixture_call();
    if (write_one(call, s, request) != DP_OK)
        fail_msg("%s", call->error.message);
}

static uint64_t rows_of(struct service *s, const char *namespace)
{
    struct namespace_info info;
    struct call *call = fixture_call();
    if (service_namespace_info(call, s, GATE_READ, span_str(namespace), &info) != DP_OK)
        fail_msg("%s", call->error.message);
    return info.stats.rows;
}

/* ---- rights ------------------------------------------------------------------------------------------- */

/* A gate that permits one use of the namespace "mine", and counts texts. */
struct narrow_gate {
    enum gate_use use;
    size_t texts;
};

static enum gate_answer narrow_enter(void *ctx, enum gate_use use, struct span name)
{
    const struct narrow_gate *g = ctx;
    return use == g->use && span_equal_str(name, "mine") ? GATE_GRANTED : GATE_REFUSED;
}

static bool narrow_sees(void *ctx, struct span name)
{
    (void)ctx;
    (void)name;
    return false;
}

static enum gate_answer narrow_spend(void *ctx, struct call *call, size_t texts)
{
    struct narrow_gate *g = ctx;
    (void)call;
    g->texts += texts;
    return GATE_GRANTED;
}

static void test_write_needs_the_right_to_write(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct narrow_gate narrow = {.use = GATE_WRITE};
    const struct gate gate = {.enter = narrow_enter, .sees = narrow_sees, .spend = narrow_spend, .ctx = &narrow};
    struct namespace_info info;
    struct one_row w;
    must_write(s, upsert(&w, "others", 1, NULL, NULL));
    struct call *call = fixture_call();
    call->gate = &gate;
    assert_int_equal(write_one(call, s, upsert(&w, "others", 2, NULL, NULL)), DP_DENIED);
    assert_int_equal(service_delete_namespace(call, s, span_str("others")), DP_DENIED);
    assert_int_equal(service_set_read_only(call, s, span_str("others"), true), DP_DENIED);
    assert_int_equal(write_one(call, s, upsert(&w, "mine", 1, NULL, NULL)), DP_OK);
    assert_int_equal(service_namespace_info(call, s, GATE_READ, span_str("mine"), &info), DP_DENIED);
    assert_int_equal(service_namespace_info(call, s, GATE_WRITE, span_str("mine"), &info), DP_OK);
    narrow.use = GATE_READ;
    assert_int_equal(write_one(call, s, upsert(&w, "mine", 2, NULL, NULL)), DP_DENIED);
    assert_int_equal(service_namespace_info(call, s, GATE_READ, span_str("mine"), &info), DP_OK);
    assert_int_equal(info.stats.rows, 1);
    service_free(s);
}

static void test_write_counts_the_texts_that_it_embeds(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct narrow_gate narrow = {.use = GATE_WRITE};
    const struct gate gate = {.enter = narrow_enter, .sees = narrow_sees, .spend = narrow_spend, .ctx = &narrow};
    struct one_row w;
    struct call *call = fixture_call();
    call->gate = &gate;
    upsert(&w, "mine", 1, "t", "7"); /* not a text */
    w.row.vector = NULL;
    w.request.schema = span_str("{\"t\":{\"type\":\"string\",\"embed\":\"tiny\"}}");
    assert_int_equal(write_one(call, s, &w.request), DP_INVALID);
    assert_int_equal(narrow.texts, 0); /* a refused write costs nothing */
    upsert(&w, "mine", 1, "t", "\"cat dog\"");
    w.row.vector = NULL;
    w.request.schema = span_str("{\"t\":{\"type\":\"string\",\"embed\":\"tiny\"}}");
    assert_int_equal(write_one(call, s, &w.request), DP_OK);
    assert_int_equal(narrow.texts, 1);
    assert_int_equal(call->cost.texts, 1);
    service_free(s);
}

/* Two texts of 7 MiB fit into a write, three do not. */
static void test_write_that_embeds_too_much_is_refused_first(void **state)
{
    (void)state;
    enum { TEXT = 7 << 20, ROWS = 2 };
    struct service *s = fixture_service(NULL, true);
    struct narrow_gate narrow = {.use = GATE_WRITE};
    const struct gate gate = {.enter = narrow_enter, .sees = narrow_sees, .spend = narrow_spend, .ctx = &narrow};
    static char text[TEXT];
    struct write_row rows[ROWS + 1];
    struct write_value values[ROWS + 1];
    struct one_row w;
    memset(text, 'a', sizeof text);
    text[0] = text[TEXT - 1] = '"';
    upsert(&w, "mine", 1, "t", "\"cat\"");
    for (size_t i = 0; i <= ROWS; i++) {
        rows[i] = w.row;
        rows[i].id.number = i;
        rows[i].vector = NULL;
        rows[i].first_value = i;
        values[i] = (struct write_value){(const uint8_t *)text, TEXT, 0};
    }
    w.request.rows = rows;
    w.request.row_count = ROWS + 1;
    w.request.values = values;
    w.request.schema = span_str("{\"t\":{\"type\":\"string\",\"embed\":\"tiny\"}}");
    struct call *call = fixture_call();
    call->gate = &gate;
    assert_int_equal(write_one(call, s, &w.request), DP_TOO_LARGE);
    assert_int_equal(narrow.texts, 0);
    w.request.row_count = ROWS;
    assert_int_equal(write_one(call, s, &w.request), DP_OK);
    assert_int_equal(narrow.texts, ROWS);
    service_free(s);
}

static void test_write_without_a_store_or_model_says_so(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, false);
    struct one_row w;
    struct call *call = fixture_call();
    upsert(&w, "texts", 1, "t", "\"cat\"");
    w.row.vector = NULL;
    w.request.schema = span_str("{\"t\":{\"type\":\"string\",\"embed\":\"tiny\"}}");
    assert_int_equal(write_one(call, s, &w.request), DP_UNSUPPORTED);
    assert_non_null(strstr(call->error.message, "has not loaded"));
    must_write(s, upsert(&w, "vectors", 1, NULL, NULL));
    service_free(s);
    struct service_options options = {.threads = 1};
    struct dp_error error;
    assert_int_equal(service_new(&options, &s, &error), DP_OK);
    call = fixture_call();
    assert_int_equal(write_one(call, s, upsert(&w, "vectors", 1, NULL, NULL)), DP_UNSUPPORTED);
    assert_int_equal(service_delete_namespace(call, s, span_str("vectors")), DP_UNSUPPORTED);
    assert_int_equal(service_set_read_only(call, s, span_str("vectors"), true), DP_UNSUPPORTED);
    service_free(s);
}

/* ---- other writers ------------------------------------------------------------------------------------ */

enum { CREATORS = 6 };

struct creator {
    struct service *service;
    uint64_t id;
    enum dp_status status;
    char message[200];
};

static void *create_and_write(void *ctx)
{
    struct creator *c = ctx;
    struct one_row w;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 26);
    call_init(&call, &arena);
    c->status = write_one(&call, c->service, upsert(&w, "new", c->id, "n", "1"));
    snprintf(c->message, sizeof c->message, "%.150s", call.error.message);
    arena_deinit(&arena);
    return NULL;
}

static void test_write_many_create_one_namespace(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    struct service *one = fixture_service(root, false), *two = fixture_service(root, false);
    struct creator creators[CREATORS];
    pthread_t threads[CREATORS];
    for (size_t i = 0; i < CREATORS; i++) {
        creators[i] = (struct creator){.service = i % 2 ? two : one, .id = i};
        assert_int_equal(pthread_create(&threads[i], NULL, create_and_write, &creators[i]), 0);
    }
    for (size_t i = 0; i < CREATORS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < CREATORS; i++)
        if (creators[i].status != DP_OK)
            fail_msg("writer %zu: %s", i, creators[i].message);
    assert_int_equal(rows_of(one, "new"), CREATORS);
    assert_int_equal(rows_of(two, "new"), CREATORS);
    service_free(one);
    service_free(two);
}

/* Both servers have the namespace open. `two` writes an attribute that has a type already, which `two` has not seen. */
static void test_write_the_first_type_of_an_attribute_counts(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    struct service *one = fixture_service(root, false), *two = fixture_service(root, false);
    struct one_row w;
    must_write(one, upsert(&w, "types", 1, NULL, NULL));
    must_write(two, upsert(&w, "types", 2, NULL, NULL));
    must_write(one, upsert(&w, "types", 3, "a", "\"text\""));
    struct call *call = fixture_call();
    assert_int_equal(write_one(call, two, upsert(&w, "types", 4, "a", "5")), DP_INVALID);
    assert_non_null(strstr(call->error.message, "row 4: attribute \"a\""));
    must_write(two, upsert(&w, "types", 4, "a", "\"other\""));
    assert_int_equal(rows_of(one, "types"), 4);
    service_free(one);
    service_free(two);
}

static void test_write_respects_read_only_of_another_server(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    struct service *one = fixture_service(root, false), *two = fixture_service(root, false);
    struct one_row w;
    must_write(one, upsert(&w, "fixed", 1, NULL, NULL));
    must_write(two, upsert(&w, "fixed", 2, NULL, NULL));
    struct call *call = fixture_call();
    assert_int_equal(service_set_read_only(call, one, span_str("fixed"), true), DP_OK);
    assert_int_equal(write_one(call, one, upsert(&w, "fixed", 4, NULL, NULL)), DP_DENIED);
    /* `two` has not read the manifest since then. It reads the manifest when it acknowledges a write, so one write
     * succeeds. */
    assert_int_equal(write_one(call, two, upsert(&w, "fixed", 4, NULL, NULL)), DP_OK);
    assert_int_equal(write_one(call, two, upsert(&w, "fixed", 5, NULL, NULL)), DP_DENIED);
    assert_int_equal(service_set_read_only(call, one, span_str("fixed"), false), DP_OK);
    dp_error_clear(&call->error);
    must_write(two, upsert(&w, "fixed", 5, NULL, NULL));
    assert_int_equal(rows_of(one, "fixed"), 4);
    service_free(one);
    service_free(two);
}

/* Deletes the namespace "fleeting" before reads, as another server does. */
struct deleter {
    struct store *store;
    size_t most, done;
};

static void delete_before_reads(void *ctx, const struct test_store_op *op)
{
    struct deleter *d = ctx;
    struct arena arena;
    struct call call;
    if (op->kind != TEST_STORE_READ || d->done == d->most)
        return;
    arena_init(&arena, 1 << 24);
    call_init(&call, &arena);
    if (index_delete(&call, d->store, span_str("fleeting")) == DP_OK)
        d->done++;
    arena_deinit(&arena);
}

/* A write that may create the namespace never fails with DP_NOT_FOUND, however often others delete the namespace. */
static void test_write_creates_anew_what_others_delete(void **state)
{
    (void)state;
    static const size_t times[] = {0, 1, 2, 3, 4, 1000};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct service *s;
        struct dp_error error;
        struct one_row w;
        struct store *memory;
        assert_int_equal(store_memory_open(fixture_call(), &memory), DP_OK);
        struct store *store = test_store_wrap(memory);
        struct service_options options = {.threads = 1, .store = store};
        struct deleter d = {.store = memory, .most = times[i]};
        assert_int_equal(service_new(&options, &s, &error), DP_OK);
        test_store_hook(store, delete_before_reads, &d);
        struct call *call = fixture_call();
        enum dp_status status = write_one(call, s, upsert(&w, "fleeting", 1, "n", "1"));
        test_store_hook(store, NULL, NULL);
        if (status != DP_OK && (status != DP_CONFLICT || times[i] < 2))
            fail_msg("%zu deletions: status %d, %s", times[i], status, call->error.message);
        assert_true(status == DP_CONFLICT || d.done == times[i]);
        if (status == DP_OK)
            assert_int_equal(rows_of(s, "fleeting"), 1);
        service_free(s);
    }
}

/* `two` has the namespace open while `one` deletes it. If `two` has not seen the namespace for long, its write
 * asks first whether the namespace exists, and creates it anew. */
static void test_write_asks_whether_an_idle_namespace_is_there(void **state)
{
    (void)state;
    for (int idle = 0; idle < 2; idle++) {
        const char *root = test_tmpdir();
        struct service *one = fixture_service(root, false), *two = fixture_service(root, false);
        struct one_row w;
        two->readers.trust_ns = idle ? 0 : READERS_TRUST_NS;
        must_write(one, upsert(&w, "idle", 1, NULL, NULL));
        must_write(two, upsert(&w, "idle", 2, NULL, NULL));
        assert_int_equal(rows_of(two, "idle"), 2);
        struct call *call = fixture_call();
        assert_int_equal(service_delete_namespace(call, one, span_str("idle")), DP_OK);
        call = fixture_call();
        const enum dp_status status = write_one(call, two, upsert(&w, "idle", 3, NULL, NULL));
        assert_int_equal(status, idle ? DP_OK : DP_CONFLICT);
        if (idle) {
            assert_int_equal(rows_of(one, "idle"), 1);
            call = fixture_call();
            assert_int_equal(service_delete_namespace(call, one, span_str("idle")), DP_OK);
            upsert(&w, "idle", 3, NULL, NULL);
            w.request.create = CREATE_NEVER;
            call = fixture_call();
            assert_int_equal(write_one(call, two, &w.request), DP_NOT_FOUND);
        }
        service_free(two);
        service_free(one);
    }
    fixture_call_end();
}

/* A write that is refused changes neither rows nor schema. */
static void test_write_that_is_refused_changes_nothing(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, false);
    struct namespace_info info;
    struct one_row w;
    must_write(s, upsert(&w, "calm", 1, "a", "1"));
    upsert(&w, "calm", 2, "b", "2");
    w.request.upsert_condition = span_str("[\"a\",\"Nothing\",1]");
    struct call *call = fixture_call();
    assert_int_equal(write_one(call, s, &w.request), DP_INVALID);
    assert_int_equal(write_one(call, s, upsert(&w, "calm", 2, "b", "{}")), DP_INVALID);
    dp_error_clear(&call->error);
    assert_int_equal(service_namespace_info(call, s, GATE_READ, span_str("calm"), &info), DP_OK);
    assert_int_equal(info.stats.rows, 1);
    assert_null(memmem(info.schema.data, info.schema.len, "\"b\"", 3));
    service_free(s);
}

/* ---- deletion meanwhile --------------------------------------------------------------------------------- */

/* Deletes a namespace, and perhaps makes it anew with row 2, between a write's put and the read that acknowledges
 * it. */
struct late_deleter {
    struct service *other;
    bool anew, sent, done;
};

static void delete_after_put(void *ctx, const struct test_store_op *op)
{
    struct late_deleter *d = ctx;
    struct one_row w;
    struct arena arena;
    struct call call;
    d->sent = d->sent || (op->kind == TEST_STORE_PUT && strstr(op->key, "/wal/"));
    if (!d->sent || d->done || op->kind != TEST_STORE_READ || !strstr(op->key, "manifest.json"))
        return;
    d->done = true;
    arena_init(&arena, 1 << 26);
    call_init(&call, &arena);
    assert_int_equal(service_delete_namespace(&call, d->other, span_str("short")), DP_OK);
    if (d->anew)
        assert_int_equal(write_one(&call, d->other, upsert(&w, "short", 2, NULL, NULL)), DP_OK);
    arena_deinit(&arena);
}

static void test_write_that_was_sent_is_not_made_again_in_the_next_life(void **state)
{
    (void)state;
    for (int anew = 0; anew < 2; anew++) {
        const char *root = test_tmpdir();
        struct service *other = fixture_service(root, false), *s;
        struct service_options options = {.threads = 1};
        struct late_deleter d = {.other = other, .anew = anew};
        struct write_response response;
        struct namespace_info info;
        struct one_row w;
        struct call *call = fixture_call();
        assert_int_equal(store_open(call, span_str(root), true, &options.store), DP_OK);
        struct store *store = options.store = test_store_wrap(options.store);
        assert_int_equal(service_new(&options, &s, &call->error), DP_OK);
        must_write(s, upsert(&w, "short", 1, NULL, NULL));
        test_store_hook(store, delete_after_put, &d);
        call = fixture_call();
        assert_int_equal(service_write(call, s, upsert(&w, "short", 1, NULL, NULL), &response), DP_CONFLICT);
        assert_true(d.done && response.rows.ended);
        assert_non_null(strstr(call->error.message, "deleted"));
        call = fixture_call();
        assert_int_equal(service_namespace_info(call, other, GATE_READ, span_str("short"), &info),
                         anew ? DP_OK : DP_NOT_FOUND);
        if (anew)
            assert_int_equal(info.stats.rows, 1);
        must_write(s, upsert(&w, "short", 3, NULL, NULL)); /* a new write creates a missing namespace */
        assert_int_equal(rows_of(s, "short"), anew ? 2 : 1);
        service_free(s);
        service_free(other);
    }
}

/* Deletes the namespace "lives" before the read number `read` of its manifest. */
struct life_ender {
    struct service *other;
    size_t read, reads;
};

static void end_life(void *ctx, const struct test_store_op *op)
{
    struct life_ender *d = ctx;
    struct arena arena;
    struct call call;
    if (op->kind != TEST_STORE_READ || !strstr(op->key, "manifest.json") || d->reads++ != d->read)
        return;
    arena_init(&arena, 1 << 26);
    call_init(&call, &arena);
    assert_int_equal(service_delete_namespace(&call, d->other, span_str("lives")), DP_OK);
    arena_deinit(&arena);
}

/* Writes a row with these texts in "a" and "b", and the attribute "n" if `count` is 3. */
static enum dp_status write_texts(struct call *call, struct service *s, uint64_t id, uint32_t count,
                                  const char *schema)
{
    static const char *const texts[] = {"\"cat\"", "\"dog wind\"", "1"};
    const struct span attributes[] = {span_str("a"), span_str("b"), span_str("n")};
    struct write_value values[3];
    const struct write_row row = {.kind = WRITE_UPSERT, .id = {.number = id}, .value_count = count};
    for (uint32_t i = 0; i < 3; i++)
        values[i] = (struct write_value){(const uint8_t *)texts[i], (uint32_t)strlen(texts[i]), i};
    const struct write_request request = {.namespace = span_str("lives"),
                                          .rows = &row,
                                          .row_count = 1,
                                          .values = values,
                                          .attributes = attributes,
                                          .attribute_count = count,
                                          .schema = span_str(schema),
                                          .has_metric = true,
                                          .metric = INDEX_COSINE};
    return write_one(call, s, &request);
}

/* A write whose namespace is deleted after its texts were embedded begins again in the next life. There other
 * attributes may be embedded: in the first life "b" is, too. */
static void test_write_embeds_anew_for_the_next_life(void **state)
{
    (void)state;
    static const char both[] = "{\"b\":{\"type\":\"string\",\"embed\":{\"model\":\"tiny\",\"attribute\":\"w\"}},"
                               "\"a\":{\"type\":\"string\",\"embed\":\"tiny\"}}",
                      one[] = "{\"a\":{\"type\":\"string\",\"embed\":\"tiny\"}}";
    for (size_t read = 0; read < 3; read++) { /* later reads come after the put */
        const char *root = test_tmpdir();
        struct service *other = fixture_service(root, true), *s;
        struct service_options options = {.threads = 1};
        struct life_ender ender = {.other = other, .read = read};
        struct query_request query = {
            .namespace = span_str("lives"), .text = span_str("cat"), .rows = {.top_k = 9}};
        struct query_response answer;
        struct call *call = fixture_call();
        assert_int_equal(store_open(call, span_str(root), true, &options.store), DP_OK);
        struct store *store = options.store = test_store_wrap(options.store);
        assert_int_equal(model_open_dir(fixture_model(), MODEL_INT8, &options.model, &call->error), DP_OK);
        assert_int_equal(service_new(&options, &s, &call->error), DP_OK);
        if (write_texts(call, s, 1, 2, both) != DP_OK)
            fail_msg("%s", call->error.message);
        test_store_hook(store, end_life, &ender);
        call = fixture_call();
        if (write_texts(call, s, 2, 3, one) != DP_OK)
            fail_msg("deleted before read %zu: %s", read, call->error.message);
        test_store_hook(store, NULL, NULL);
        if (write_texts(call, other, 3, 3, one) != DP_OK)
            fail_msg("%s", call->error.message);
        call = fixture_call();
        if (service_query(call, s, &query, &answer) != DP_OK)
            fail_msg("%s", call->error.message);
        assert_true(answer.answer.count >= 2);
        for (size_t i = 1; i < answer.answer.count; i++)
            assert_true(answer.answer.hits[i].dist == answer.answer.hits[0].dist);
        service_free(s);
        service_free(other);
    }
}

/* `two` saw the namespace before its deletion, when the namespace had no log. */
static void test_write_brings_no_deleted_namespace_back(void **state)
{
    (void)state;
    static const enum write_kind kinds[] = {WRITE_DELETE, WRITE_PATCH, WRITE_UPSERT};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *root = test_tmpdir();
        struct service *one = fixture_service(root, false), *two = fixture_service(root, false);
        struct namespace_info info;
        struct one_row w;
        fixture_index(one, "loaded", "{\"id\":1,\"vector\":[1,0]}\n{\"id\":2,\"vector\":[0,1]}\n");
        assert_int_equal(rows_of(two, "loaded"), 2);
        struct call *call = fixture_call();
        assert_int_equal(service_delete_namespace(call, one, span_str("loaded")), DP_OK);
        upsert(&w, "loaded", 1, NULL, NULL);
        w.row.kind = kinds[i];
        if (kinds[i] != WRITE_UPSERT) {
            w.row.vector = NULL;
            w.row.dim = 0;
            w.request.has_metric = false;
        }
        w.request.create = kinds[i] == WRITE_UPSERT ? CREATE_NEVER : CREATE_FOR_ROWS;
        assert_int_equal(write_one(call, two, &w.request), DP_NOT_FOUND);
        call = fixture_call();
        assert_int_equal(service_namespace_info(call, one, GATE_READ, span_str("loaded"), &info), DP_NOT_FOUND);
        service_free(one);
        service_free(two);
    }
}

/* `two` still has the previous life of the namespace open, which had another metric. */
static void test_write_is_found_by_a_server_that_saw_another_metric(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    struct service *one = fixture_service(root, false), *two = fixture_service(root, false);
    struct query_request query = {.namespace = span_str("metric"),
                                  .rows = {.vector = UNIT, .dim = 2, .top_k = 3},
                                  .check_metric = true,
                                  .metric = INDEX_EUCLIDEAN_SQUARED};
    struct query_response answer;
    struct one_row w;
    must_write(one, upsert(&w, "metric", 1, NULL, NULL));
    assert_int_equal(rows_of(two, "metric"), 1);
    struct call *call = fixture_call();
    assert_int_equal(service_delete_namespace(call, one, span_str("metric")), DP_OK);
    upsert(&w, "metric", 1, NULL, NULL);
    w.request.metric = INDEX_EUCLIDEAN_SQUARED;
    must_write(one, &w.request);
    call = fixture_call();
    query.rows.eventual = true;
    assert_int_equal(service_query(call, two, &query, &answer), DP_INVALID);
    query.rows.eventual = false;
    call = fixture_call();
    assert_int_equal(service_query(call, two, &query, &answer), DP_OK);
    assert_int_equal(answer.answer.count, 1);
    query.metric = INDEX_COSINE;
    assert_int_equal(service_query(call, two, &query, &answer), DP_INVALID);
    service_free(one);
    service_free(two);
}

/* Rows that exceed one entry of the log become a load. A load cannot keep a key, so such a request with a key
 * fails. */
static void test_write_with_a_key_never_becomes_a_load(void **state)
{
    (void)state;
    enum { ROWS = 3, TEXT = 7 << 20 };
    struct service *s = fixture_service(NULL, true);
    struct write_row rows[ROWS];
    struct one_row w;
    char *text = malloc(TEXT);
    memset(text, 'a', TEXT);
    text[0] = text[TEXT - 1] = '"';
    upsert(&w, "bulk", 0, "text", "");
    w.value = (struct write_value){(const uint8_t *)text, TEXT, 0};
    for (size_t i = 0; i < ROWS; i++) {
        rows[i] = w.row;
        rows[i].id.number = i;
    }
    w.request.rows = rows;
    w.request.row_count = ROWS;
    w.request.schema = span_str("{\"text\": {\"type\": \"string\", \"filterable\": false}}");
    w.request.key = span_str("once");
    struct call *call = fixture_call();
    assert_int_equal(write_one(call, s, &w.request), DP_TOO_LARGE);
    assert_non_null(strstr(call->error.message, "key"));
    w.request.key = (struct span){0};
    must_write(s, &w.request);
    assert_int_equal(rows_of(s, "bulk"), ROWS);
    service_free(s);
    free(text);
}

static int tear_down(void **state)
{
    (void)state;
    fixture_call_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_needs_the_right_to_write),
        cmocka_unit_test(test_write_counts_the_texts_that_it_embeds),
        cmocka_unit_test(test_write_that_embeds_too_much_is_refused_first),
        cmocka_unit_test(test_write_without_a_store_or_model_says_so),
        cmocka_unit_test(test_write_many_create_one_namespace),
        cmocka_unit_test(test_write_the_first_type_of_an_attribute_counts),
        cmocka_unit_test(test_write_respects_read_only_of_another_server),
        cmocka_unit_test(test_write_creates_anew_what_others_delete),
        cmocka_unit_test(test_write_asks_whether_an_idle_namespace_is_there),
        cmocka_unit_test(test_write_that_is_refused_changes_nothing),
        cmocka_unit_test(test_write_that_was_sent_is_not_made_again_in_the_next_life),
        cmocka_unit_test(test_write_embeds_anew_for_the_next_life),
        cmocka_unit_test(test_write_brings_no_deleted_namespace_back),
        cmocka_unit_test(test_write_is_found_by_a_server_that_saw_another_metric),
        cmocka_unit_test(test_write_with_a_key_never_becomes_a_load),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, NULL, tear_down));
}
