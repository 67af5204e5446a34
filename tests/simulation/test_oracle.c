/* test_oracle.c: the oracle of the simulation knows which writes a log entry holds. */
#include "test_support.h"

#include <stdio.h>

#include "index/wal/entry.h"
#include "sim_truth.h"

/* A namespace in the oracle's eyes, and entries for its log. */
struct watched {
    struct sim sim;
    struct sim_store store;
    struct sim_truth truth;
    struct wal_encoder encoder;
    struct wal_head head;
};

static void watched_init(struct watched *w)
{
    *w = (struct watched){.head = {.number = 1, .dim = SIM_DIM}};
    sim_init(&w->sim, 1);
    sim_store_init(&w->store, &w->sim);
    truth_init(&w->truth, &w->store, "ns");
    wal_encoder_init(&w->encoder);
    assert_true(ulid_parse(span_str("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &w->head.incarnation));
    w->head.id = w->truth.incarnation = w->head.incarnation;
    w->truth.states[0].live = true;
    wal_encode_begin(&w->encoder, &w->head);
}

static void watched_deinit(struct watched *w)
{
    wal_encoder_deinit(&w->encoder);
    truth_deinit(&w->truth);
    sim_store_deinit(&w->store);
    sim_deinit(&w->sim);
}

/* Begins a write of one request. `value` 0: it deletes the row. */
static struct sim_op *begin_write(struct watched *w, const char *who, unsigned id, uint32_t value)
{
    struct sim_op *op = truth_begin(&w->truth, SIM_WRITE, who);
    op->incarnation = w->head.incarnation;
    op->count = 1;
    op->requests[0] = (struct sim_request){.kind = value ? SIM_UPSERT : SIM_DELETE, .id = id, .value = value};
    return op;
}

static void group_of(struct sim_op *leader, struct sim_op *second)
{
    struct sim_group *group = sim_group_add(leader);
    group->members[group->count++] = leader;
    if (second)
        group->members[group->count++] = second;
}

static void add_record(struct watched *w, unsigned id, uint32_t value)
{
    const struct span key = id_key_span(&w->truth.keys[id]);
    float vector[SIM_DIM];
    char document[32];
    sim_vector(value, vector);
    snprintf(document, sizeof document, "{\"v\":%u}", (unsigned)value);
    if (value)
        wal_encode_row(&w->encoder, key, vector, 1, span_str(document));
    else
        wal_encode_deleted(&w->encoder, key);
}

/* Lets the oracle see the entry's put, and begins the next entry. */
static void put_entry(struct watched *w, struct sim_op *leader)
{
    struct object_key key;
    struct span bytes;
    assert_int_equal(wal_encode_end(&w->encoder, &bytes, NULL), DP_OK);
    key_of_wal(&key, span_str("ns"), &w->head.incarnation, w->head.number++);
    w->store.putting(w->store.watcher, leader, object_key_span(&key), bytes);
    wal_encode_begin(&w->encoder, &w->head);
}

/* Two writes that are on their way delete the same row. The one that began first comes last. */
static void test_oracle_knows_which_of_two_deletions_an_entry_holds(void **state)
{
    (void)state;
    struct watched w;
    watched_init(&w);
    struct sim_op *early = begin_write(&w, "early", 2, 0), *late = begin_write(&w, "late", 2, 0);
    struct sim_op *leader = begin_write(&w, "leader", 7, 57);
    group_of(leader, late);
    add_record(&w, 7, 57);
    add_record(&w, 2, 0);
    put_entry(&w, leader);
    truth_check_write(&w.truth, late, 1, late->applied, 0);
    assert_int_equal(early->landed, 0);
    group_of(early, NULL);
    add_record(&w, 2, 0);
    put_entry(&w, early);
    truth_check_write(&w.truth, early, 2, early->applied, 0);
    assert_false(w.sim.failed);
    watched_deinit(&w);
}

static void test_oracle_refuses_the_writes_of_a_group_in_another_order(void **state)
{
    (void)state;
    struct watched w;
    watched_init(&w);
    struct sim_op *first = begin_write(&w, "first", 2, 5), *second = begin_write(&w, "second", 3, 6);
    group_of(first, second);
    add_record(&w, 3, 6);
    add_record(&w, 2, 5);
    put_entry(&w, first);
    assert_true(w.sim.failed);
    watched_deinit(&w);
}

static void test_oracle_refuses_an_entry_that_lacks_a_write_of_its_group(void **state)
{
    (void)state;
    struct watched w;
    watched_init(&w);
    struct sim_op *first = begin_write(&w, "first", 2, 5), *second = begin_write(&w, "second", 2, 6);
    group_of(first, second);
    add_record(&w, 2, 6); /* it makes the same rows as both */
    put_entry(&w, first);
    assert_true(w.sim.failed);
    watched_deinit(&w);
}

/* A write that was checked for another life of the namespace is refused, though its group has an entry. */
static void test_oracle_leaves_out_writes_of_another_life(void **state)
{
    (void)state;
    struct watched w;
    watched_init(&w);
    struct sim_op *old = begin_write(&w, "old", 2, 0), *young = begin_write(&w, "young", 2, 0);
    assert_true(ulid_parse(span_str("01ARZ3NDEKTSV4RRFFQ69G5FAA"), &old->incarnation));
    group_of(old, young);
    add_record(&w, 2, 0);
    put_entry(&w, old);
    assert_false(w.sim.failed);
    assert_int_equal(old->landed, 0);
    assert_int_equal(young->landed, 1);
    watched_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oracle_knows_which_of_two_deletions_an_entry_holds),
        cmocka_unit_test(test_oracle_refuses_the_writes_of_a_group_in_another_order),
        cmocka_unit_test(test_oracle_refuses_an_entry_that_lacks_a_write_of_its_group),
        cmocka_unit_test(test_oracle_leaves_out_writes_of_another_life),
    };
    return test_run(tests);
}
