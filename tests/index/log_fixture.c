/* log_fixture.c: encodes log entries of fixture rows. */
#include "log_fixture.h"

#include <stdlib.h>

#include "index/id.h"

void log_change_manifest(struct world *w, const char *name, void (*change)(void *context, struct manifest *m),
                         void *context)
{
    struct manifest m;
    struct object_key key;
    struct buffer bytes;
    assert_int_equal(manifest_load(&w->call, w->store, span_str(name), &m, NULL), DP_OK);
    change(context, &m);
    m.sequence++;
    buffer_init(&bytes, MANIFEST_BYTES_MAX);
    assert_int_equal(manifest_write(&m, &bytes, &w->call.error), DP_OK);
    key_of_manifest(&key, span_str(name));
    struct store_put put = {.key = object_key_span(&key), .body = buffer_span(&bytes)};
    assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
    buffer_deinit(&bytes);
    manifest_deinit(&m);
}

static void add_log(void *context, struct manifest *m)
{
    struct fixture_log *log = context;
    m->features |= MANIFEST_FEATURE_LOG;
    log->incarnation = m->incarnation;
    log->next = m->wal_floor + 1;
    log->chain = m->wal_chain;
}

void log_init(struct fixture_log *log, struct world *w, const char *name)
{
    *log = (struct fixture_log){.world = w, .name = name};
    log_change_manifest(w, name, add_log, log);
    wal_encoder_init(&log->encoder);
}

void log_deinit(struct fixture_log *log)
{
    wal_encoder_deinit(&log->encoder);
}

void log_entry(struct fixture_log *log)
{
    struct wal_head head = {
        .incarnation = log->incarnation, .number = log->next, .chain = log->chain, .dim = log->world->dim};
    assert_int_equal(os_ulid(head.id.text, NULL), DP_OK);
    wal_encode_begin(&log->encoder, &head);
}

static struct id_key key_of_row(uint64_t row)
{
    char text[32];
    struct id_key key;
    assert_int_equal(id_encode(fixture_id(row, text), &key, NULL), DP_OK);
    return key;
}

void log_row(struct fixture_log *log, uint64_t row, unsigned edition)
{
    const struct world *w = log->world;
    char attributes[256];
    struct id_key key = key_of_row(row);
    size_t windows = fixture_windows(w, row);
    float *x = malloc(windows * w->dim * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < windows; i++)
        fixture_vector(w, row, i, edition, x + i * w->dim);
    wal_encode_row(&log->encoder, id_key_span(&key), x, (uint32_t)windows,
                   span_str(fixture_attributes(row, edition, attributes)));
    free(x);
}

void log_vectorless_row(struct fixture_log *log, uint64_t row, unsigned edition)
{
    char attributes[256];
    struct id_key key = key_of_row(row);
    wal_encode_row(&log->encoder, id_key_span(&key), NULL, 0,
                   span_str(fixture_attributes(row, edition, attributes)));
}

void log_deleted(struct fixture_log *log, uint64_t row)
{
    struct id_key key = key_of_row(row);
    wal_encode_deleted(&log->encoder, id_key_span(&key));
}

struct span log_end(struct fixture_log *log)
{
    struct wal_entry *entry;
    struct span bytes;
    assert_int_equal(wal_encode_end(&log->encoder, &bytes, NULL), DP_OK);
    assert_int_equal(wal_entry_parse(bytes, &entry, NULL), DP_OK);
    log->chain = entry->hash;
    log->next++;
    wal_entry_release(entry);
    return bytes;
}

void log_put(struct fixture_log *log)
{
    uint64_t number = log->next;
    log_put_bytes(log, number, log_end(log));
}

void log_put_bytes(struct fixture_log *log, uint64_t number, struct span bytes)
{
    struct object_key key;
    key_of_wal(&key, span_str(log->name), &log->incarnation, number);
    struct store_put put = {.key = object_key_span(&key), .body = bytes};
    assert_int_equal(store_put(&log->world->call, log->world->store, &put), DP_OK);
}
