/* test_models.c: the models of a service: opened on first use, closed to free memory, reloaded while they serve. */
#include "service_fixture.h"

#include <pthread.h>

#include "service/service_impl.h"

enum { MODELS = 3 };

/* What the sources of these tests do. Model number i is the tiny model with the prompt "prompt i" before documents, so
 * the models have different fingerprints. */
static struct {
    unsigned opened[MODELS];
    int broken;   /* number of the model that cannot be opened; -1: none */
    int revision; /* of model 0; becomes a part of its prompt */
} files = {.broken = -1};

static enum dp_status open_tiny(void *context, size_t place, struct model **out, struct dp_error *error)
{
    static const char *const prompts[] = {"dog ", "cat ", "wind ", "sail cat ", "boat dog "};
    struct span of[TEXT_KINDS] = {{NULL, 0}};
    (void)context;
    files.opened[place]++;
    if ((int)place == files.broken)
        return dp_fail(error, DP_CORRUPT, "the weights are damaged");
    of[TEXT_DOCUMENT] = span_str(prompts[place == 0 ? (size_t)files.revision * 3 : place]);
    enum dp_status status = model_open_dir(fixture_model(), MODEL_INT8, out, error);
    if (status == DP_OK)
        status = model_set_prompts(*out, of, error);
    if (status != DP_OK) {
        model_free(*out);
        *out = NULL;
    }
    return status;
}

static struct service *open_models(const char *root, size_t count, uint64_t memory_max)
{
    static struct span names[MODELS];
    struct call *call = fixture_call();
    struct service *s;
    names[0] = span_str("first");
    names[1] = span_str("second");
    names[2] = span_str("org/third");
    struct service_options options = {
        .threads = 1, .sources = {.count = count, .names = names, .open = open_tiny, .memory_max = memory_max}};
    memset(files.opened, 0, sizeof files.opened);
    if (root)
        assert_int_equal(store_open(call, span_str(root), true, &options.store), DP_OK);
    if (service_new(&options, &s, &call->error) != DP_OK)
        fail_msg("%s", call->error.message);
    return s;
}

/* Embeds "cat" by the model with this name. */
static enum dp_status embed_by(struct service *s, const char *name, struct embed_response *answer)
{
    const struct embed_input input = {.text = span_str("cat")};
    const struct embed_request request = {
        .model = span_str(name), .inputs = &input, .count = 1, .kind = TEXT_DOCUMENT, .normalize = true};
    return service_embed(fixture_call(), s, &request, answer);
}

static void assert_embeds(struct service *s, const char *name, const char *expected)
{
    struct embed_response answer;
    assert_int_equal(embed_by(s, name, &answer), DP_OK);
    assert_true(span_equal_str(answer.model, expected));
}

static void test_models_open_on_first_use(void **state)
{
    (void)state;
    struct service *s = open_models(NULL, MODELS, 0);
    struct embed_response answer;
    assert_int_equal(files.opened[0], 1);
    assert_int_equal(files.opened[1] + files.opened[2], 0);
    assert_embeds(s, "", "first");
    assert_embeds(s, "second", "second");
    assert_embeds(s, "third", "org/third");
    assert_embeds(s, "second", "second");
    for (size_t i = 0; i < MODELS; i++)
        assert_int_equal(files.opened[i], 1);
    assert_int_equal(embed_by(s, "fourth", &answer), DP_NOT_FOUND);
    service_free(s);
    fixture_call_end();
}

static void test_models_unknown_name_lists_the_known_ones(void **state)
{
    (void)state;
    struct service *s = open_models(NULL, MODELS, 0);
    struct call *call = fixture_call();
    struct served_model *m;
    assert_int_equal(models_borrow(call, &s->models, span_str("nobody"), &m), DP_NOT_FOUND);
    assert_string_equal(call->error.message,
                        "there is no model \"nobody\" here; there are: first, second, org/third");
    assert_null(m);
    service_free(s);
    fixture_call_end();
}

static void test_models_close_the_one_that_was_unused_for_longest(void **state)
{
    (void)state;
    struct service *s = open_models(NULL, MODELS, 1); /* less than any model */
    struct service_model model;
    assert_embeds(s, "second", "second");
    assert_embeds(s, "third", "org/third");
    assert_true(service_model_at(s, 1, fixture_call()->arena, &model));
    assert_int_equal(model.loaded_s, 0);
    assert_true(span_equal_str(model.name, "second"));
    assert_true(service_model_at(s, 0, fixture_call()->arena, &model));
    assert_true(model.loaded_s > 0 && model.memory > 0);
    assert_embeds(s, "second", "second");
    assert_int_equal(files.opened[0], 1);
    assert_int_equal(files.opened[1], 2);
    service_free(s);
    fixture_call_end();
}

static void test_models_try_a_broken_one_only_now_and_then(void **state)
{
    (void)state;
    struct service *s = open_models(NULL, MODELS, 0);
    struct embed_response answer;
    files.broken = 1;
    for (int i = 0; i < 3; i++) {
        const struct embed_input input = {.text = span_str("cat")};
        const struct embed_request request = {.model = span_str("second"), .inputs = &input, .count = 1};
        struct call *call = fixture_call();
        assert_int_equal(service_embed(call, s, &request, &answer), DP_UNAVAILABLE);
        assert_true(call->retry_ns > 0); /* the time until the next try */
    }
    assert_int_equal(files.opened[1], 1);
    files.broken = -1;
    s->models.slots[1].retry_ns = 0; /* as if the time had passed */
    assert_embeds(s, "second", "second");
    service_free(s);
    fixture_call_end();
}

static void *use_third(void *service)
{
    struct arena arena;
    struct call call;
    struct served_model *m;
    arena_init(&arena, 1 << 24);
    call_init(&call, &arena);
    enum dp_status status = models_borrow(&call, &((struct service *)service)->models, span_str("third"), &m);
    served_model_release(m);
    arena_deinit(&arena);
    return status == DP_OK ? service : NULL;
}

static void test_models_open_once_for_all_who_ask_at_once(void **state)
{
    (void)state;
    struct service *s = open_models(NULL, MODELS, 0);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_third, s), 0);
    for (size_t i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, s);
    }
    assert_int_equal(files.opened[2], 1);
    service_free(s);
    fixture_call_end();
}

/* ---- reloading ---------------------------------------------------------------------------------------- */

static void test_models_reload_swaps_between_requests(void **state)
{
    (void)state;
    files.revision = 0;
    struct service *s = open_models(NULL, 2, 0);
    struct served_model *old = models_try(&s->models, span_of(NULL, 0));
    struct model_change *changes;
    size_t count;
    files.revision = 1;
    struct call *call = fixture_call();
    assert_int_equal(service_reload_models(call, s, span_of(NULL, 0), &changes, &count), DP_OK);
    assert_int_equal(count, 1); /* the other model is not open */
    assert_true(span_equal_str(changes->after.name, "first"));
    assert_true(span_equal(changes->before, old->facts.fingerprint));
    assert_false(span_equal(changes->before, changes->after.fingerprint));
    struct served_model *now = models_try(&s->models, span_of(NULL, 0));
    assert_ptr_not_equal(now, old);
    assert_int_equal(served_model_test(call, old), DP_OK); /* a request in progress keeps its version */
    served_model_release(now);
    served_model_release(old);
    files.revision = 0;
    service_free(s);
    fixture_call_end();
}

static void test_models_reload_refuses_a_broken_version(void **state)
{
    (void)state;
    struct service *s = open_models(NULL, 2, 0);
    struct served_model *old = models_try(&s->models, span_of(NULL, 0)), *now;
    struct model_change *changes;
    struct call *call = fixture_call();
    size_t count;
    files.broken = 0;
    assert_int_equal(service_reload_models(call, s, span_of(NULL, 0), &changes, &count), DP_CONFLICT);
    assert_string_equal(call->error.message,
                        "model first was not reloaded, its old version goes on serving: the weights are damaged");
    files.broken = -1;
    now = models_try(&s->models, span_of(NULL, 0));
    assert_ptr_equal(now, old);
    served_model_release(now);
    served_model_release(old);
    assert_int_equal(service_reload_models(fixture_call(), s, span_str("nobody"), &changes, &count), DP_NOT_FOUND);
    service_free(s);
    s = fixture_service(NULL, true); /* its model came without files */
    assert_int_equal(service_reload_models(fixture_call(), s, span_of(NULL, 0), &changes, &count), DP_UNSUPPORTED);
    service_free(s);
    fixture_call_end();
}

static void *reload_all(void *service)
{
    struct model_change *changes;
    struct arena arena;
    struct call call;
    size_t count;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    const enum dp_status status = service_reload_models(&call, service, span_of(NULL, 0), &changes, &count);
    arena_deinit(&arena);
    return (void *)(intptr_t)status;
}

/* Another thread opens a model, and reloads wait for it. */
static void test_models_reloads_give_up_when_the_server_ends(void **state)
{
    (void)state;
    enum { WAITING = 4 };
    struct service *s = open_models(NULL, 2, 0);
    pthread_t threads[WAITING];
    s->models.opening = true;
    for (size_t i = 0; i < WAITING; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reload_all, s), 0);
    service_end_reloads(s);
    for (size_t i = 0; i < WAITING; i++) {
        void *status;
        pthread_join(threads[i], &status);
        assert_int_equal((intptr_t)status, DP_UNAVAILABLE);
    }
    assert_int_equal(files.opened[0], 1);
    s->models.opening = false;
    assert_embeds(s, "second", "second"); /* requests in progress still open models */
    assert_int_equal((intptr_t)reload_all(s), DP_UNAVAILABLE);
    service_free(s);
    fixture_call_end();
}

static void test_models_reload_opens_a_closed_model_by_name(void **state)
{
    (void)state;
    struct service *s = open_models(NULL, 2, 0);
    struct model_change *changes;
    size_t count;
    assert_int_equal(service_reload_models(fixture_call(), s, span_str("second"), &changes, &count), DP_OK);
    assert_int_equal(count, 1);
    assert_int_equal(changes->before.len, 0);
    assert_int_equal(files.opened[0], 1);
    service_free(s);
    fixture_call_end();
}

/* Opens a service, opens a second model and reloads the first. */
static enum dp_status use_all(struct call *call, struct service **out)
{
    static const struct span names[] = {{(const uint8_t *)"first", 5}, {(const uint8_t *)"second", 6}};
    const struct service_options options = {.threads = 1,
                                            .sources = {.count = 2, .names = names, .open = open_tiny}};
    struct model_change *changes;
    struct served_model *m;
    size_t count;
    enum dp_status status = service_new(&options, out, &call->error);
    if (status == DP_OK)
        status = models_borrow(call, &(*out)->models, names[1], &m);
    if (status == DP_OK)
        served_model_release(m);
    return status == DP_OK ? service_reload_models(call, *out, span_of(NULL, 0), &changes, &count) : status;
}

static void test_models_survive_failing_allocations(void **state)
{
    (void)state;
    enum dp_status status = DP_NOMEM;
    for (size_t n = 1; status != DP_OK; n += 1 + n / 40) {
        struct call *call = fixture_call();
        struct service *s = NULL;
        test_alloc_fail_at(n);
        status = use_all(call, &s);
        test_alloc_fail_at(0);
        if (status != DP_OK && call->error.status == DP_OK)
            fail_msg("allocation %zu failed without an error", n);
        service_free(s);
    }
    fixture_call_end();
}

/* ---- namespaces --------------------------------------------------------------------------------------- */

/* Asks a namespace for the row nearest to a text. */
static enum dp_status ask(struct service *s, const char *namespace, const char *text, struct query_response *out)
{
    const struct query_request request = {
        .namespace = span_str(namespace), .rows = {.top_k = 1}, .text = span_str(text)};
    return service_query(fixture_call(), s, &request, out);
}

static void test_models_a_query_uses_the_one_of_its_namespace(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    struct query_response answer;
    struct service *s = open_models(root, MODELS, 0);
    fixture_index(s, "rows", FIXTURE_ROWS);
    assert_int_equal(ask(s, "rows", "salt pepper", &answer), DP_OK);
    service_free(s);

    /* Another default, and another name: only the fingerprint tells which model made the vectors. */
    files.revision = 1;
    s = open_models(root, MODELS, 0);
    assert_int_equal(ask(s, "rows", "salt pepper", &answer), DP_INVALID);
    assert_int_equal(files.opened[1], 1); /* it was tried */
    fixture_index(s, "others", FIXTURE_ROWS);
    service_free(s);
    files.revision = 0;

    s = open_models(root, MODELS, 0);
    assert_int_equal(ask(s, "rows", "salt pepper", &answer), DP_OK);
    assert_int_equal(answer.answer.count, 1);
    assert_int_equal(files.opened[1] + files.opened[2], 0);
    assert_int_equal(ask(s, "others", "salt pepper", &answer), DP_INVALID);
    service_free(s);
    fixture_call_end();
}

/* The namespace's model changes while the service has it open: another process deletes the namespace and fills it anew
 * by another model. */
static void test_models_a_query_follows_a_namespace_to_another_model(void **state)
{
    (void)state;
    const char *root = test_tmpdir();
    struct query_response answer;
    struct service *s = open_models(root, MODELS, 0);
    fixture_index(s, "moves", FIXTURE_ROWS);
    assert_int_equal(ask(s, "moves", "salt pepper", &answer), DP_OK);

    /* The other process has the second model as its default. */
    struct call *call = fixture_call();
    struct service_options options = {.threads = 1};
    struct service *other;
    assert_int_equal(open_tiny(NULL, 1, &options.model, &call->error), DP_OK);
    assert_int_equal(store_open(call, span_str(root), true, &options.store), DP_OK);
    assert_int_equal(service_new(&options, &other, &call->error), DP_OK);
    assert_int_equal(index_delete(fixture_call(), service_store(other), span_str("moves")), DP_OK);
    fixture_index(other, "moves", FIXTURE_ROWS);
    service_free(other);

    assert_int_equal(ask(s, "moves", "salt pepper", &answer), DP_OK);
    assert_int_equal(answer.answer.count, 1);
    service_free(s);
    fixture_call_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models_open_on_first_use),
        cmocka_unit_test(test_models_unknown_name_lists_the_known_ones),
        cmocka_unit_test(test_models_close_the_one_that_was_unused_for_longest),
        cmocka_unit_test(test_models_try_a_broken_one_only_now_and_then),
        cmocka_unit_test(test_models_open_once_for_all_who_ask_at_once),
        cmocka_unit_test(test_models_reload_swaps_between_requests),
        cmocka_unit_test(test_models_reload_refuses_a_broken_version),
        cmocka_unit_test(test_models_reloads_give_up_when_the_server_ends),
        cmocka_unit_test(test_models_reload_opens_a_closed_model_by_name),
        cmocka_unit_test(test_models_survive_failing_allocations),
        cmocka_unit_test(test_models_a_query_uses_the_one_of_its_namespace),
        cmocka_unit_test(test_models_a_query_follows_a_namespace_to_another_model),
    };
    return test_run(tests);
}
