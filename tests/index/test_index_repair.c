/* test_index_repair.c: whatever object of a namespace is lost or damaged, a repair makes the rest readable, and says
 * what is lost. */
#include "log_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "index/load/load.h"
#include "index/transfer.h"
#include "index/upkeep.h"
#include "index/verify.h"

enum { ROWS = 140, OBJECTS_MAX = 64 };

/* A set of rows: the present ones, or the lost ones. */
struct row_list {
    bool has[ROWS];
    uint64_t count;
};

/* A repair that a test watches. */
struct watched {
    struct row_list lost;
    uint64_t faults;
    bool refuses;
};

static void note_fault(void *context, const char *object, const char *fault)
{
    struct watched *watched = context;
    (void)object, (void)fault;
    watched->faults++;
}

static void note_lost(void *context, const struct index_id *id)
{
    struct watched *watched = context;
    uint64_t row = fixture_row_of(*id);
    assert_true(row < ROWS && !watched->lost.has[row]);
    watched->lost.has[row] = true;
    watched->lost.count++;
}

static bool agree(void *context, const struct index_repair_result *plan)
{
    const struct watched *watched = context;
    (void)plan;
    return !watched->refuses;
}

static struct index_repair_result repair(struct world *w, struct watched *watched)
{
    const struct index_repair_options options = {
        .fault = note_fault, .lost = note_lost, .agree = agree, .context = watched};
    struct index_repair_result result;
    world_reset(w);
    if (index_repair(&w->call, w->store, span_str("rows"), &options, &result) != DP_OK)
        fail_msg("repairing: %s", w->call.error.message);
    return result;
}

static uint64_t count_faults(struct world *w)
{
    struct watched watched = {.faults = 0};
    struct index_verify_result result;
    world_reset(w);
    if (index_verify(&w->call, w->store, span_str("rows"), note_fault, &watched, &result) != DP_OK)
        fail_msg("verifying: %s", w->call.error.message);
    assert_int_equal(result.faults, watched.faults);
    return watched.faults;
}

static enum dp_status ignore_head(struct call *call, void *context, const struct index_transfer_head *head)
{
    (void)call, (void)context, (void)head;
    return DP_OK;
}

static enum dp_status note_row(struct call *call, void *context, const struct index_transfer_row *row)
{
    struct row_list *rows = context;
    uint64_t number = fixture_row_of(row->id);
    (void)call;
    assert_true(number < ROWS && !rows->has[number]);
    rows->has[number] = true;
    rows->count++;
    return DP_OK;
}

static struct row_list read_rows(struct world *w)
{
    struct row_list rows = {.count = 0};
    const struct index_export_sink sink = {ignore_head, note_row, &rows};
    struct index_reader *reader = fixture_open(w, "rows");
    world_reset(w);
    if (index_export(&w->call, reader, &sink) != DP_OK)
        fail_msg("reading: %s", w->call.error.message);
    index_close(reader);
    return rows;
}

/* Two segments, one of them with deleted rows, and five log entries. Row 90 + i is in entry i + 1 alone. */
static void make_namespace(struct world *w)
{
    struct fixture_log log;
    fixture_must_load(w, "rows", 0, 60, 1);
    fixture_must_load(w, "rows", 50, 90, 2);
    log_init(&log, w, "rows");
    for (uint64_t i = 0; i < 5; i++) {
        log_entry(&log);
        log_row(&log, 90 + i, 3);
        log_row(&log, 10 * i, 4 + (unsigned)i);
        if (i == 2)
            log_deleted(&log, 5);
        log_put(&log);
    }
    log_deinit(&log);
}

static size_t list_objects(struct world *w, char keys[][512])
{
    struct store_listing page;
    size_t count = 0;
    assert_int_equal(store_list(&w->call, w->store, span_str("rows/"), (struct span){0}, false, 1000, &page),
                     DP_OK);
    for (size_t i = 0; i < page.count; i++) {
        struct span key = page.entries[i].key;
        if (memcmp(key.data + key.len - 4, "json", 4) == 0)
            continue;
        assert_true(count < OBJECTS_MAX);
        snprintf(keys[count++], 512, "%.*s", SPAN_FMT(key));
    }
    return count;
}

/* damage 0: removes the object; 1: cuts its last byte; 2: adds a byte; 3 to 18: flips a bit, in ever later bytes. */
static void damage_object(struct world *w, const char *key, unsigned damage)
{
    struct store_read_req req = {.key = span_str(key), .len = STORE_TO_END};
    assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
    size_t len = req.bytes.span.len;
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    memcpy(bytes, req.bytes.span.data, len);
    bytes[len] = 'x';
    store_read_release(&req, 1);
    assert_int_equal(store_remove(&w->call, w->store, span_str(key)), DP_OK);
    if (damage > 2)
        bytes[len * (damage - 3) / 16] ^= 1;
    if (damage > 0) {
        struct store_put put = {.key = span_str(key),
                                .body = span_of(bytes, damage == 1   ? len - 1
                                                       : damage == 2 ? len + 1
                                                                     : len)};
        assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
    }
    free(bytes);
}

/* Checks which rows a repair of one damaged object has left: those that were there before, except the lost
 * ones. */
static void check_left(struct world *w, const char *key, const struct row_list *before,
                       const struct watched *watched, const struct index_repair_result *result)
{
    struct row_list after = read_rows(w);
    uint64_t missing = 0, back = 0;
    for (uint64_t row = 0; row < ROWS; row++) {
        bool lost = watched->lost.has[row];
        assert_false(lost && after.has[row]);
        missing += before->has[row] && !after.has[row] && !lost;
        back += after.has[row] && !before->has[row];
    }
    if (strstr(key, ".ivf") || strstr(key, ".del")) {
        assert_int_equal(result->lost, 0);
        assert_int_equal(missing, 0);
    }
    if (strstr(key, "/wal/")) {
        assert_int_equal(result->entries, 1);
        assert_int_equal(missing, 1); /* its own row */
        assert_true(back <= 1);       /* row 5, if the entry that deletes it is lost */
    } else {
        assert_true(missing <= result->unnamed);
        assert_int_equal(result->segments, 1);
        assert_true(back <= result->back);
    }
    assert_int_equal(result->lost, watched->lost.count + result->unnamed);
}

static void test_each_lost_or_damaged_object_is_taken_out(void **state)
{
    struct world *w = *state;
    static char keys[OBJECTS_MAX][512];
    w->windows = true;
    make_namespace(w);
    struct store *whole = w->store;
    struct row_list before = read_rows(w);
    assert_int_equal(before.count, 94);
    size_t count = list_objects(w, keys);
    assert_int_equal(count, 5 + 5);
    for (size_t i = 0; i < count; i++) {
        for (unsigned damage = 0; damage < 19; damage++) {
            struct watched watched = {.faults = 0};
            world_reset(w);
            w->store = test_store_wrap(fixture_memory(w));
            fixture_copy(w, whole, w->store);
            damage_object(w, keys[i], damage);
            if (damage == 0 && strstr(keys[i], "/wal/00000000000000000005")) {
                assert_int_equal(count_faults(w), 0); /* nobody can see that the last entry is missing */
            } else {
                if (count_faults(w) == 0)
                    fail_msg("%s, damage %u: no fault is found", keys[i], damage);
                struct index_repair_result result = repair(w, &watched);
                assert_true(result.done && watched.faults > 0);
                assert_int_equal(count_faults(w), 0);
                check_left(w, keys[i], &before, &watched, &result);
            }
            store_free(w->store);
            w->store = whole;
        }
    }
}

/* Later writes go on behind the repaired log, and the old manifest stays. */
static void test_a_repair_asks_first_and_keeps_the_old_manifest(void **state)
{
    struct world *w = *state;
    static char keys[OBJECTS_MAX][512];
    struct watched no = {.refuses = true}, yes = {.refuses = false};
    make_namespace(w);
    size_t count = list_objects(w, keys);
    for (size_t i = 0; i < count; i++) {
        if (strstr(keys[i], "00000003") || strstr(keys[i], "00000005") || strstr(keys[i], ".ivf"))
            damage_object(w, keys[i], 9);
    }
    test_store_reset(w->store);
    struct index_repair_result result = repair(w, &no);
    assert_false(result.done);
    assert_int_equal(test_store_counts(w->store).writes, 0);
    assert_int_equal(result.entries, 2);
    assert_int_equal(result.segments, 2);
    result = repair(w, &yes);
    assert_true(result.done);
    assert_int_equal(count_faults(w), 0);
    struct store_listing page;
    assert_int_equal(store_list(&w->call, w->store, span_str("rows/manifest.before-repair-"), (struct span){0},
                                false, 10, &page),
                     DP_OK);
    assert_int_equal(page.count, 1);
    struct index_reader *reader = fixture_open(w, "rows");
    float x[FIXTURE_DIM];
    fixture_vector(w, 139, 0, 1, x);
    const struct index_write_row row = {
        .kind = INDEX_UPSERT, .id = {.number = 139}, .vectors = x, .windows = 1, .attributes = span_str("{}")};
    const struct index_write write = {.rows = &row, .count = 1, .dim = w->dim};
    struct index_write_result written;
    if (index_write(&w->call, reader, &write, &written) != DP_OK)
        fail_msg("%s", w->call.error.message);
    assert_int_equal(written.number, 6);
    index_close(reader);
    assert_int_equal(count_faults(w), 0);
}

static enum dp_status write_row(struct world *w, struct index_reader *reader, uint64_t number)
{
    float x[FIXTURE_DIM];
    struct index_write_result written;
    fixture_vector(w, number, 0, 1, x);
    const struct index_write_row row = {
        .kind = INDEX_UPSERT, .id = {.number = number}, .vectors = x, .windows = 1, .attributes = span_str("{}")};
    const struct index_write write = {.rows = &row, .count = 1, .dim = w->dim};
    dp_error_clear(&w->call.error);
    return index_write(&w->call, reader, &write, &written);
}

/* A writer that knows only the entries before a gap finds its number taken, and writes behind the repaired log. */
static void test_a_late_entry_comes_behind_the_gap(void **state)
{
    struct world *w = *state;
    struct watched watched = {.refuses = false};
    make_namespace(w);
    struct index_reader *late = fixture_open(w, "rows"), *reader = fixture_open(w, "rows");
    assert_int_equal(write_row(w, reader, 130), DP_OK);
    assert_int_equal(write_row(w, reader, 131), DP_OK);
    index_close(reader);
    struct object_key sixth;
    struct manifest m;
    assert_int_equal(manifest_load(&w->call, w->store, span_str("rows"), &m, NULL), DP_OK);
    key_of_wal(&sixth, span_str("rows"), &m.incarnation, 6);
    manifest_deinit(&m);
    assert_int_equal(store_remove(&w->call, w->store, object_key_span(&sixth)), DP_OK);
    struct index_repair_result result = repair(w, &watched);
    assert_true(result.done && result.entries == 1);
    assert_int_equal(write_row(w, late, 133), DP_OK);
    index_close(late);
    struct row_list rows = read_rows(w);
    assert_true(!rows.has[130] && rows.has[131] && rows.has[133]);
}

/* A writer whose entry comes into the gap between the verification and the repair. */
struct late_writer {
    struct watched watched;
    struct world *w;
    struct index_reader *reader;
    enum dp_status status;
};

static bool write_before_agreeing(void *context, const struct index_repair_result *plan)
{
    struct late_writer *late = context;
    (void)plan;
    late->status = write_row(late->w, late->reader, 133);
    return true;
}

/* An acknowledged entry in the gap stays: the repair does not pass it. The entry behind it carries the hash of
 * another entry, and is the lost one. */
static void test_a_repair_passes_no_entry_that_came_meanwhile(void **state)
{
    struct world *w = *state;
    make_namespace(w);
    struct late_writer late = {.w = w, .reader = fixture_open(w, "rows")};
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(write_row(w, reader, 130), DP_OK);
    assert_int_equal(write_row(w, reader, 131), DP_OK);
    index_close(reader);
    struct object_key sixth;
    struct manifest m;
    assert_int_equal(manifest_load(&w->call, w->store, span_str("rows"), &m, NULL), DP_OK);
    key_of_wal(&sixth, span_str("rows"), &m.incarnation, 6);
    manifest_deinit(&m);
    assert_int_equal(store_remove(&w->call, w->store, object_key_span(&sixth)), DP_OK);
    const struct index_repair_options options = {
        .fault = note_fault, .lost = note_lost, .agree = write_before_agreeing, .context = &late};
    struct index_repair_result result;
    world_reset(w);
    assert_int_equal(index_repair(&w->call, w->store, span_str("rows"), &options, &result), DP_CONFLICT);
    assert_int_equal(late.status, DP_OK);
    index_close(late.reader);
    result = repair(w, &late.watched);
    assert_true(result.done && result.entries == 1);
    assert_int_equal(count_faults(w), 0);
    struct row_list rows = read_rows(w);
    assert_true(rows.has[133] && !rows.has[130] && !rows.has[131]);
}

/* Rows 40 to 80 are a load that waits, in three segments. Entry 2 attaches it, or no entry does. Entry 3 changes
 * one of its rows. */
static void make_waiting_load(struct world *w, bool attached)
{
    struct fixture_log log;
    struct index_load_summary summary;
    fixture_must_load(w, "rows", 0, 60, 1);
    log_init(&log, w, "rows");
    log_entry(&log);
    log_row(&log, 50, 2);
    log_put(&log);
    log_deinit(&log);
    struct index_loader *loader = fixture_begin(w, "rows");
    loader->segment_rows = 15;
    loader->leaves_fold = true;
    assert_int_equal(fixture_add(w, loader, 40, 80, 3), DP_OK);
    assert_int_equal(load_build_segment(&w->call, loader), DP_OK);
    if (!attached)
        test_store_kill_at(w->store, 2); /* the first write is that of the manifest */
    enum dp_status status = index_load_commit(&w->call, loader, &summary);
    test_store_kill_at(w->store, 0);
    assert_true(attached == (status == DP_OK));
    world_reset(w);
    struct index_reader *reader = fixture_open(w, "rows");
    float x[FIXTURE_DIM];
    fixture_vector(w, 46, 0, 4, x);
    const struct index_write_row row = {
        .kind = INDEX_UPSERT, .id = {.number = 46}, .vectors = x, .windows = 1, .attributes = span_str("{}")};
    const struct index_write write = {.rows = &row, .count = 1, .dim = w->dim};
    struct index_write_result written;
    if (index_write(&w->call, reader, &write, &written) != DP_OK)
        fail_msg("%s", w->call.error.message);
    index_close(reader);
}

/* Folds, and gives up loads that wait. */
static void fold_all(struct world *w)
{
    const struct index_fold_options options = {.load_ms = 1};
    struct index_fold_result result;
    struct index_reader *reader = fixture_open(w, "rows");
    if (index_fold(&w->call, reader, &options, &result) != DP_OK)
        fail_msg("folding: %s", w->call.error.message);
    index_close(reader);
}

static void check_waiting_load(struct world *w, const char *key, unsigned damage, const struct row_list *before)
{
    struct watched no = {.refuses = true}, watched = {.faults = 0};
    damage_object(w, key, damage);
    if (count_faults(w) == 0)
        fail_msg("%s, damage %u: no fault is found", key, damage);
    assert_false(repair(w, &no).done);
    struct index_repair_result result = repair(w, &watched);
    assert_true(result.done && result.pending == 1 && result.segments == 0 && result.entries == 0);
    assert_int_equal(result.lost, watched.lost.count + result.unnamed);
    assert_int_equal(count_faults(w), 0);
    for (int folded = 0; folded < 2; folded++) {
        struct row_list after = read_rows(w);
        uint64_t missing = 0;
        for (uint64_t row = 0; row < ROWS; row++) {
            assert_false(after.has[row] && !before->has[row]);
            missing += before->has[row] && !after.has[row] && !watched.lost.has[row];
        }
        assert_true(after.has[46]);
        assert_true(missing <= result.unnamed);
        if (before->count < 70) /* the load does not count */
            assert_int_equal(after.count, before->count);
        else if (strstr(key, ".ivf"))
            assert_int_equal(after.count, before->count);
        fold_all(w);
        assert_int_equal(count_faults(w), 0);
    }
}

/* A damaged segment of a load that waits makes the namespace unreadable. A repair replaces it; the load keeps its
 * place in the log, or stays without one. */
static void test_a_damaged_segment_of_a_waiting_load_is_taken_out(void **state)
{
    struct world *w = *state;
    static char keys[OBJECTS_MAX][512], listed[OBJECTS_MAX][512];
    struct store *empty = w->store;
    for (int attached = 0; attached < 2; attached++) {
        world_reset(w);
        w->store = test_store_wrap(fixture_memory(w));
        make_waiting_load(w, attached);
        struct store *whole = w->store;
        struct row_list before = read_rows(w);
        assert_int_equal(before.count, attached ? 80 : 60);
        size_t count = list_objects(w, keys), loads = 0;
        for (size_t i = 0; i < count; i++) {
            if (strstr(keys[i], "/seg/"))
                memcpy(listed[loads++], keys[i], sizeof listed[0]);
        }
        assert_int_equal(loads, 2 + 2 * 3); /* the first two belong to the listed segment, which is older */
        for (size_t i = 2; i < loads; i++) {
            for (unsigned damage = 0; damage < 19; damage += 3) {
                world_reset(w);
                w->store = test_store_wrap(fixture_memory(w));
                fixture_copy(w, whole, w->store);
                check_waiting_load(w, listed[i], damage, &before);
                store_free(w->store);
                w->store = whole;
            }
        }
        store_free(whole);
        w->store = empty;
    }
}

/* A load of which all rows are lost has no segment any more. The load still waits for the fold that passes its
 * entry. */
static void test_a_waiting_load_may_lose_all_rows(void **state)
{
    struct world *w = *state;
    static char keys[OBJECTS_MAX][512];
    struct watched watched = {.faults = 0};
    make_waiting_load(w, true);
    size_t count = list_objects(w, keys), segments = 0;
    for (size_t i = 0; i < count; i++) {
        if (strstr(keys[i], "/seg/") && segments++ >= 2)
            damage_object(w, keys[i], 0);
    }
    struct index_repair_result result = repair(w, &watched);
    assert_true(result.done);
    assert_int_equal(result.pending, 3);
    assert_int_equal(result.unnamed, 40);
    assert_int_equal(count_faults(w), 0);
    assert_int_equal(read_rows(w).count, 60);
    fold_all(w);
    assert_int_equal(count_faults(w), 0);
    assert_int_equal(read_rows(w).count, 60);
}

/* A repair between the two steps of a load. */
struct repair_between {
    struct world *world;
    bool seen, done;
    enum test_store_op_kind before; /* it comes before such an operation on the manifest */
};

static void repair_load_between(void *ctx, const struct test_store_op *op)
{
    struct repair_between *b = ctx;
    struct world *w = b->world;
    struct object_key key;
    struct manifest m;
    struct watched watched = {.faults = 0};
    bool manifest = strstr(op->key, "manifest.json") != NULL;
    b->seen = b->seen || (manifest && op->kind == TEST_STORE_PUT);
    if (b->done || !b->seen || !manifest || op->kind != b->before)
        return;
    struct call call = w->call;
    struct arena outer = w->arena;
    b->done = true;
    arena_init(&w->arena, 256 << 20);
    call_init(&w->call, &w->arena);
    assert_int_equal(manifest_load(&w->call, w->store, span_str("rows"), &m, NULL), DP_OK);
    key_of_dpr(&key, span_str("rows"), &m.incarnation, &m.pending[0].segments[0].id);
    manifest_deinit(&m);
    damage_object(w, key.text, 0);
    assert_int_equal(repair(w, &watched).pending, 1);
    arena_deinit(&w->arena);
    w->arena = outer;
    w->call = call;
}

/* A repair has taken rows out of a load that waits: its loader does not attach what is left. */
static void test_a_repaired_load_is_not_attached(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct index_load_summary summary;
    struct repair_between between = {.world = w, .before = TEST_STORE_READ};
    fixture_must_load(w, "rows", 0, 60, 1);
    log_init(&log, w, "rows");
    log_deinit(&log);
    struct index_loader *loader = fixture_begin(w, "rows");
    loader->segment_rows = 15;
    assert_int_equal(fixture_add(w, loader, 40, 80, 3), DP_OK);
    assert_int_equal(load_build_segment(&w->call, loader), DP_OK);
    test_store_hook(w->store, repair_load_between, &between);
    enum dp_status status = index_load_commit(&w->call, loader, &summary);
    test_store_hook(w->store, NULL, NULL);
    assert_true(between.done);
    assert_int_equal(status, DP_CONFLICT);
    assert_non_null(strstr(w->call.error.message, "repair"));
    assert_int_equal(count_faults(w), 0);
    assert_int_equal(read_rows(w).count, 60);
    fold_all(w);
    assert_int_equal(count_faults(w), 0);
    assert_int_equal(read_rows(w).count, 60);
}

/* A repair has taken a segment out of an attached load before the swap of a fold, which begins again. */
static void test_a_fold_begins_again_over_a_repaired_load(void **state)
{
    struct world *w = *state;
    struct index_fold_result result;
    struct repair_between between = {.world = w, .before = TEST_STORE_PUT};
    make_waiting_load(w, true);
    struct index_reader *reader = fixture_open(w, "rows");
    world_reset(w);
    test_store_hook(w->store, repair_load_between, &between);
    if (index_fold(&w->call, reader, NULL, &result) != DP_OK)
        fail_msg("folding: %s", w->call.error.message);
    test_store_hook(w->store, NULL, NULL);
    index_close(reader);
    assert_true(between.done && result.entries == 3);
    assert_int_equal(count_faults(w), 0);
    assert_int_equal(read_rows(w).count, 80); /* of the lost rows, 40 to 54, the older ones count again */
}

/* Makes the last segment one of a load that waits. */
static void make_pending(void *context, struct manifest *m)
{
    struct manifest_pending *pending = arena_calloc(&m->arena, 1, sizeof *pending);
    (void)context;
    assert_non_null(pending);
    *pending = (struct manifest_pending){.load = m->incarnation,
                                         .at_ms = m->updated_ms,
                                         .segments = &m->segments[--m->segment_count],
                                         .segment_count = 1};
    m->pending = pending;
    m->pending_count = 1;
}

static void make_pending_long_ago(void *context, struct manifest *m)
{
    make_pending(context, m);
    m->pending->at_ms -= INT64_C(3) * 24 * 3600 * 1000;
}

/* A repair puts no entry: a void of an abandoned load would stand in the gap, and the entries behind it would not
 * follow it. */
static void test_a_repair_of_the_log_leaves_abandoned_loads_alone(void **state)
{
    struct world *w = *state;
    static char keys[OBJECTS_MAX][512];
    for (unsigned damage = 0; damage < 2; damage++) { /* entry 3 is missing, or cut */
        struct watched watched = {.refuses = false};
        if (damage)
            assert_int_equal(index_delete(&w->call, w->store, span_str("rows")), DP_OK);
        make_namespace(w);
        log_change_manifest(w, "rows", make_pending_long_ago, NULL);
        struct row_list before = read_rows(w);
        assert_int_equal(count_faults(w), 0);
        size_t count = list_objects(w, keys);
        struct manifest m;
        assert_int_equal(manifest_load(&w->call, w->store, span_str("rows"), &m, NULL), DP_OK);
        for (size_t i = 0; i < count; i++) {
            if (strstr(keys[i], m.incarnation.text) && strstr(keys[i], "/wal/00000000000000000003"))
                damage_object(w, keys[i], damage);
        }
        manifest_deinit(&m);
        struct index_repair_result result = repair(w, &watched);
        assert_true(result.done);
        assert_int_equal(result.entries, 1);
        assert_int_equal(count_faults(w), 0);
        assert_true(read_rows(w).count + 1 >= before.count);
    }
}

/* Segments of loads that wait are verified; a repair that is refused leaves them alone. */
static void test_a_damaged_segment_of_a_waiting_load_is_named(void **state)
{
    struct world *w = *state;
    static char keys[OBJECTS_MAX][512];
    struct watched watched = {.refuses = true};
    fixture_must_load(w, "rows", 0, 60, 1);
    fixture_must_load(w, "rows", 60, 90, 2);
    size_t count = list_objects(w, keys);
    log_change_manifest(w, "rows", make_pending, NULL);
    assert_int_equal(count_faults(w), 0);
    for (size_t i = 2; i < count; i++)
        damage_object(w, keys[i], 9);
    assert_true(count_faults(w) > 0);
    struct index_repair_result result = repair(w, &watched);
    assert_true(result.found.faults > 0 && result.segments == 0 && !result.done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_lost_or_damaged_object_is_taken_out, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_a_late_entry_comes_behind_the_gap, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_a_repair_passes_no_entry_that_came_meanwhile, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_a_repair_of_the_log_leaves_abandoned_loads_alone, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_a_damaged_segment_of_a_waiting_load_is_taken_out, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_a_damaged_segment_of_a_waiting_load_is_named, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_a_repaired_load_is_not_attached, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_a_fold_begins_again_over_a_repaired_load, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_a_waiting_load_may_lose_all_rows, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_a_repair_asks_first_and_keeps_the_old_manifest, world_in_memory,
                                        world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
