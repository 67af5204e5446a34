/* test_index_write_many.c: several nodes with several threads each write to one namespace, over a store that loses
 * answers and carries out puts late or twice. In the end the log is read entry by entry, and each write is looked for.
 */
#include "index_fixture.h"

#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/id.h"
#include "index/query/lookup.h"
#include "index/query/reader.h"
#include "index/wal/patch.h"

enum {
    NODES = 3,
    THREADS = 2, /* of each node */
    WRITES = 60, /* of each thread */
    ALL_WRITES = NODES * THREADS * WRITES,
    ROWS_MAX = 3, /* of one write */
    IDS = 30,     /* rows 0 … LOADED - 1 are in a segment */
    LOADED = 15,
    DOCUMENT_ROOM = 256
};

/* ---- a store that loses answers ------------------------------------------------------------------------------- */

static uint64_t draw_below(_Atomic uint64_t *state, uint64_t below)
{
    uint64_t z = atomic_fetch_add(state, UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

struct weather {
    struct store *store;
    _Atomic uint64_t random;
    struct call call; /* delivers late puts */
    struct arena arena;
    pthread_mutex_t lock; /* guards `call` */
    size_t late, delivered;
    size_t outage; /* puts that are still to be swallowed */
};

/* Before some operations, decides at random how the next put of a log entry fails. */
static void change_weather(void *ctx, const struct test_store_op *op)
{
    struct weather *r = ctx;
    uint64_t fate = draw_below(&r->random, 24);
    pthread_mutex_lock(&r->lock);
    if (r->outage > 0 && op->kind == TEST_STORE_PUT) {
        r->outage--;
        test_store_fail_at(r->store, TEST_STORE_PUT, 1, DP_UNAVAILABLE, false);
    } else if (r->outage == 0 && draw_below(&r->random, 500) == 0)
        r->outage = 20;
    else if (fate == 0)
        test_store_fail_at(r->store, TEST_STORE_PUT, 1, DP_UNKNOWN, true);
    else if (fate == 1)
        test_store_fail_at(r->store, TEST_STORE_PUT, 1, DP_UNAVAILABLE, false);
    else if (fate == 2)
        test_store_fate_at(r->store, "", 1, TEST_STORE_TWICE, DP_OK);
    else if (fate == 3)
        test_store_fail_at(r->store, TEST_STORE_READ, 1, DP_UNAVAILABLE, false);
    else if (fate == 4 && op->kind == TEST_STORE_PUT && r->late == r->delivered) {
        r->late++;
        test_store_fate_at(r->store, "", 1, TEST_STORE_LATE, DP_UNKNOWN);
    } else if (fate == 5 && r->late != r->delivered && test_store_deliver(r->store, &r->call) != DP_NOT_FOUND)
        r->delivered++;
    pthread_mutex_unlock(&r->lock);
}

/* ---- writes --------------------------------------------------------------------------------------------------- */

/* One row of a write. Its mark is the value of "mark" in the document, different for each row. */
struct marked_row {
    enum index_write_kind kind;
    uint64_t id, mark;
    char document[DOCUMENT_ROOM];
    bool applied;
    size_t seen; /* records of the log that this row made */
};

struct marked_write {
    struct marked_row rows[ROWS_MAX];
    size_t count;
    enum dp_status status;
    uint64_t number; /* of the entry; 0: none */
};

struct nodes {
    struct world *w;
    struct index_reader *readers[NODES];
    _Atomic uint64_t random;
    _Atomic size_t next;
    struct marked_write writes[ALL_WRITES];
};

static int64_t node_now(void *ctx)
{
    (void)ctx;
    return index_now_ns(NULL);
}

static int64_t node_wall(void *ctx)
{
    (void)ctx;
    return index_wall_ms(NULL);
}

static enum dp_status node_wait(void *ctx, struct call *call, int64_t ms)
{
    (void)ctx, (void)ms;
    sched_yield();
    return call_check(call);
}

static enum dp_status node_random(void *ctx, void *out, size_t len, struct dp_error *error)
{
    (void)ctx;
    return index_random(NULL, out, len, error);
}

static const struct index_clock node_clock = {
    .now_ns = node_now, .wall_ms = node_wall, .wait = node_wait, .random = node_random};

static void draw_write(struct nodes *n, size_t at, struct marked_write *out)
{
    *out = (struct marked_write){.count = 1 + draw_below(&n->random, ROWS_MAX)};
    uint64_t first = draw_below(&n->random, IDS);
    for (size_t i = 0; i < out->count; i++) {
        struct marked_row *row = &out->rows[i];
        uint64_t kind = draw_below(&n->random, 10);
        row->kind = kind < 4 ? INDEX_UPSERT : kind < 8 ? INDEX_PATCH : INDEX_DELETE;
        row->id = (first + i * 7) % IDS;
        row->mark = at * ROWS_MAX + i + 1;
        /* Some attributes are new to the manifest. */
        snprintf(row->document, sizeof row->document, "{\"mark\":%" PRIu64 ",\"n%" PRIu64 "\":%s}", row->mark,
                 draw_below(&n->random, 12),
                 row->kind == INDEX_PATCH && draw_below(&n->random, 3) == 0 ? "null" : "\"x\"");
    }
}

static void send_write(struct nodes *n, struct index_reader *reader, struct marked_write *m)
{
    struct arena arena;
    struct call call;
    float vectors[ROWS_MAX][FIXTURE_DIM];
    struct index_write_row rows[ROWS_MAX];
    struct index_write_result result;
    arena_init(&arena, 64 << 20);
    call_init(&call, &arena);
    if (draw_below(&n->random, 8) == 0)
        call_limit_ms(&call, (int64_t)draw_below(&n->random, 2));
    for (size_t i = 0; i < m->count; i++) {
        struct marked_row *row = &m->rows[i];
        bool whole = row->kind == INDEX_UPSERT;
        fixture_vector(n->w, row->id, 0, 0, vectors[i]);
        rows[i] = (struct index_write_row){.kind = row->kind,
                                           .id = {.number = row->id},
                                           .vectors = whole ? vectors[i] : NULL,
                                           .windows = whole,
                                           .attributes = span_str(row->document)};
    }
    const struct index_write write = {.rows = rows, .count = m->count, .dim = n->w->dim};
    m->status = index_write(&call, reader, &write, &result);
    m->number = result.number;
    for (size_t i = 0; i < m->count && m->status == DP_OK; i++)
        m->rows[i].applied = result.applied[i];
    arena_deinit(&arena);
}

static void *run_node(void *ctx)
{
    struct nodes *n = ctx;
    for (size_t at; (at = atomic_fetch_add(&n->next, 1)) < ALL_WRITES;) {
        draw_write(n, at, &n->writes[at]);
        send_write(n, n->readers[at % NODES], &n->writes[at]);
    }
    return NULL;
}

/* ---- the log, read by a model --------------------------------------------------------------------------------- */

/* The rows after some entries; an empty document: there is no row. */
struct log_model {
    struct arena arena;
    struct span documents[IDS];
    uint64_t last, chain;
    size_t deletions;
};

static uint64_t id_of(struct span key)
{
    struct index_id id;
    assert_true(id_decode(key, NULL, &id));
    assert_true(!id.is_string && id.number < IDS);
    return id.number;
}

static uint64_t mark_of(struct span document)
{
    char text[1024];
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(document));
    const char *mark = strstr(text, "\"mark\":");
    return mark ? strtoull(mark + 7, NULL, 10) : 0;
}

/* Checks that the record holds the row as its write changed it. */
static void check_record(struct nodes *n, struct log_model *m, uint64_t number, const struct wal_record *record)
{
    uint64_t id = id_of(record->key);
    if (record->kind == WAL_DELETED) {
        m->documents[id] = (struct span){0};
        m->deletions++;
        return;
    }
    uint64_t mark = mark_of(record->document);
    assert_true(mark > 0 && mark <= ALL_WRITES * ROWS_MAX);
    struct marked_write *write = &n->writes[(mark - 1) / ROWS_MAX];
    struct marked_row *row = &write->rows[(mark - 1) % ROWS_MAX];
    struct span expected = span_str(row->document);
    assert_int_equal(row->id, id);
    if (row->kind == INDEX_PATCH) {
        assert_true(m->documents[id].len > 0);
        assert_int_equal(document_patch(m->documents[id], span_str(row->document), &m->arena, &expected, NULL),
                         DP_OK);
    }
    if (!span_equal(record->document, expected))
        fail_msg("entry %" PRIu64 " has %.*s for row %" PRIu64 ", not %.*s", number, SPAN_FMT(record->document),
                 id, SPAN_FMT(expected));
    assert_int_equal(record->windows, 1);
    row->seen++;
    if (write->status == DP_OK)
        assert_int_equal(write->number, number);
    m->documents[id] = arena_copy(&m->arena, record->document);
}

static bool read_entry(struct nodes *n, const struct ulid *incarnation, struct log_model *m)
{
    struct object_key key;
    struct wal_entry *entry;
    key_of_wal(&key, span_str("rows"), incarnation, m->last + 1);
    struct store_read_req req = {.key = object_key_span(&key), .len = STORE_TO_END};
    if (store_read(&n->w->call, n->w->store, &req, 1) == DP_NOT_FOUND)
        return false;
    assert_int_equal(wal_entry_parse(req.bytes.span, &entry, NULL), DP_OK);
    store_read_release(&req, 1);
    assert_int_equal(entry->head.number, m->last + 1);
    assert_int_equal(entry->head.chain, m->chain);
    m->last++;
    m->chain = entry->hash;
    for (size_t i = 0; i < entry->count; i++)
        check_record(n, m, m->last, &entry->records[i]);
    wal_entry_release(entry);
    return true;
}

static void replay(struct nodes *n, struct log_model *m)
{
    struct manifest manifest;
    char text[256];
    *m = (struct log_model){0};
    arena_init(&m->arena, 64 << 20);
    assert_int_equal(manifest_load(&n->w->call, n->w->store, span_str("rows"), &manifest, NULL), DP_OK);
    m->chain = wal_chain_start(&manifest.incarnation);
    for (uint64_t id = 0; id < LOADED; id++)
        m->documents[id] =
            id % 3 ? arena_copy(&m->arena, span_str(fixture_attributes(id, 0, text))) : (struct span){0};
    while (read_entry(n, &manifest.incarnation, m))
        ;
    manifest_deinit(&manifest);
}

/* ---- what must hold ------------------------------------------------------------------------------------------- */

/* Each acknowledged row is in the log once; a refused one never; an unknown one at most once. */
static size_t check_writes(struct nodes *n, size_t *unknown)
{
    size_t deletions = 0;
    for (size_t at = 0; at < ALL_WRITES; at++) {
        struct marked_write *w = &n->writes[at];
        *unknown += w->status == DP_UNKNOWN;
        for (size_t i = 0; i < w->count; i++) {
            struct marked_row *row = &w->rows[i];
            size_t most = w->status == DP_UNKNOWN || (w->status == DP_OK && row->applied);
            size_t least = w->status == DP_OK && row->applied;
            if (row->kind == INDEX_DELETE)
                deletions += least;
            else if (row->seen > most || row->seen < least)
                fail_msg("a row of a write that ended as %s is %zu times in the log", dp_status_name(w->status),
                         row->seen);
        }
    }
    return deletions;
}

/* Checks that a reader that was open all the time and a fresh one have the rows of the log. */
static void check_rows(struct nodes *n, struct index_reader *reader, const struct log_model *m)
{
    struct view *old = reader_view(reader), *view;
    struct call *call = &n->w->call;
    assert_int_equal(view_refresh(call, reader, old, &view), DP_OK);
    assert_int_equal(view_position(view).last, m->last);
    for (uint64_t id = 0; id < IDS; id++) {
        struct id_key key;
        struct found_row found;
        struct view_position at;
        assert_int_equal(id_encode((struct index_id){.number = id}, &key, NULL), DP_OK);
        const struct span keys[] = {id_key_span(&key)};
        assert_int_equal(index_lookup(call, view, keys, 1, LOOKUP_DOCUMENTS, &found, &at), DP_OK);
        assert_int_equal(found.where != ROW_NONE, m->documents[id].len > 0);
        assert_true(found.where == ROW_NONE || span_equal(found.document, m->documents[id]));
    }
    view_release(view);
    view_release(old);
}

static void run_nodes(struct world *w, uint64_t seed)
{
    struct nodes *n = calloc(1, sizeof *n);
    struct weather r = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[NODES * THREADS];
    struct log_model m;
    size_t unknown = 0;
    assert_non_null(n);
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    fixture_must_load(w, "rows", 0, LOADED, 0);
    n->w = w;
    atomic_init(&n->random, seed);
    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(reader_open(&w->call, w->store, span_str("rows"), 0, &node_clock, &n->readers[i]), DP_OK);
    r.store = w->store;
    atomic_init(&r.random, seed * 7919);
    arena_init(&r.arena, 64 << 20);
    call_init(&r.call, &r.arena);
    test_store_hook(w->store, change_weather, &r);
    for (size_t i = 0; i < NODES * THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_node, n), 0);
    for (size_t i = 0; i < NODES * THREADS; i++)
        pthread_join(threads[i], NULL);
    test_store_hook(w->store, NULL, NULL);
    test_store_fail_at(w->store, TEST_STORE_READ, 0, DP_OK, false);
    test_store_deliver(w->store, &r.call);
    replay(n, &m);
    size_t deletions = check_writes(n, &unknown);
    assert_true(m.deletions >= deletions);
    assert_true(unknown > 0 || m.deletions == deletions);
    struct index_reader *cold = fixture_open(w, "rows");
    check_rows(n, cold, &m);
    for (size_t i = 0; i < NODES; i++)
        check_rows(n, n->readers[i], &m);
    printf("seed %" PRIu64 ": %d writes, %" PRIu64 " entries, %zu unknown\n", seed, ALL_WRITES, m.last, unknown);
    index_close(cold);
    for (size_t i = 0; i < NODES; i++)
        index_close(n->readers[i]);
    arena_deinit(&m.arena);
    arena_deinit(&r.arena);
    free(n);
}

static void test_index_writes_of_many_nodes_are_in_the_log_once(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        run_nodes(*state, seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_index_writes_of_many_nodes_are_in_the_log_once, world_in_memory,
                                        world_close),
    };
    return test_run(tests);
}
