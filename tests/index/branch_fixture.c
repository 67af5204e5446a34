/* branch_fixture.c: makes, changes, checks and collects namespaces and their branches. */
#include "branch_fixture.h"

#include <stdio.h>

#include "index/branch.h"
#include "index/lives.h"
#include "index/query/reader.h"
#include "index/upkeep.h"
#include "index/verify.h"

void branch_begin(struct branch_space *s, struct world *w)
{
    *s = (struct branch_space){.world = w, .name = "rows", .edition = 10, .random = 7};
    model_load(w, &s->model, 0, 120, 0);
    model_load(w, &s->model, 100, 160, 1);
    log_init(&s->log, w, s->name);
    branch_write(s, 3);
    branch_fold(w, s->name);
    branch_write(s, 2);
}

void branch_end(struct branch_space *s)
{
    log_deinit(&s->log);
}

void branch_write(struct branch_space *s, int entries)
{
    for (int i = 0; i < entries; i++)
        model_put_entry(&s->log, &s->model, &s->random, &s->edition);
}

static struct index_reader *open_now(struct world *w, const char *name)
{
    struct index_reader *reader;
    world_reset(w);
    if (reader_open(&w->call, w->store, span_str(name), 0, &test_time.clock, &reader) != DP_OK)
        fail_msg("opening %s: %s", name, w->call.error.message);
    return reader;
}

void branch_fold(struct world *w, const char *name)
{
    struct index_reader *reader = open_now(w, name);
    struct index_fold_result result;
    if (index_fold(&w->call, reader, NULL, &result) != DP_OK)
        fail_msg("folding %s: %s", name, w->call.error.message);
    index_close(reader);
}

void branch_merge(struct world *w, const char *name)
{
    const struct index_merge_options options = {.everything = true, .clock = &test_time.clock};
    struct index_merge_result result = {.inputs = 1};
    world_reset(w);
    while (result.inputs) {
        if (index_merge(&w->call, w->store, span_str(name), &options, &result) != DP_OK)
            fail_msg("merging %s: %s", name, w->call.error.message);
    }
}

enum dp_status branch_try(struct world *w, const char *source, const char *name)
{
    const struct index_branch_options options = {.clock = &test_time.clock};
    struct index_branch_result result;
    world_reset(w);
    return index_branch(&w->call, w->store, span_str(source), span_str(name), &options, &result);
}

void branch_make(struct branch_space *branch, const struct branch_space *from, const char *name)
{
    if (branch_try(from->world, from->name, name) != DP_OK)
        fail_msg("%s as a branch of %s: %s", name, from->name, from->world->call.error.message);
    *branch = *from;
    branch->name = name;
    branch->random += 1000;
    branch->edition += 1000;
    log_init(&branch->log, from->world, name);
}

static void refuse_fault(void *context, const char *object, const char *fault)
{
    (void)context;
    fail_msg("%s: %s", object, fault);
}

void branch_check(struct branch_space *s)
{
    struct world *w = s->world;
    struct index_verify_result result;
    struct index_reader *reader = open_now(w, s->name);
    model_check_stats(w, reader, &s->model);
    for (int i = 0; i < 3; i++)
        model_ask(w, reader, &s->model, &s->random);
    index_close(reader);
    world_reset(w);
    if (index_verify(&w->call, w->store, span_str(s->name), refuse_fault, NULL, &result) != DP_OK)
        fail_msg("verifying %s: %s", s->name, w->call.error.message);
}

void branch_delete(struct world *w, const char *name)
{
    world_reset(w);
    assert_int_equal(lives_delete(&w->call, w->store, span_str(name), &test_time.clock), DP_OK);
}

void branch_collect(struct world *w, const char *const *names)
{
    const struct index_collect_options options = {.clock = &test_time.clock, .at_once = true};
    struct index_collector *collectors[8];
    struct index_collect_result result;
    size_t count = 0;
    for (; names[count]; count++) {
        assert_true(count < 8);
        assert_int_equal(index_collector_new(w->store, span_str(names[count]), &collectors[count], NULL), DP_OK);
    }
    for (int step = 0; step < 12; step++) {
        time_pass(step % 2 ? INDEX_GRACE_MS + MINUTE_MS : 25 * HOUR_MS);
        for (size_t i = 0; i < count; i++) {
            world_reset(w);
            if (index_collect(&w->call, collectors[i], &options, &result) != DP_OK)
                fail_msg("collecting %s: %s", names[i], w->call.error.message);
        }
    }
    for (size_t i = 0; i < count; i++)
        index_collector_free(collectors[i]);
}

size_t branch_objects(struct world *w, const char *name)
{
    char prefix[INDEX_NAME_MAX + 2];
    struct store_listing page;
    snprintf(prefix, sizeof prefix, "%s/", name);
    world_reset(w);
    assert_int_equal(store_list(&w->call, w->store, span_str(prefix), span_str(""), false, 1000, &page), DP_OK);
    return page.count;
}

size_t branch_pins(struct world *w, const char *name)
{
    struct manifest m;
    world_reset(w);
    assert_int_equal(manifest_load_any(&w->call, w->store, span_str(name), &m, NULL), DP_OK);
    size_t pins = m.pin_count;
    manifest_deinit(&m);
    return pins;
}
