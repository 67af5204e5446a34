/* contract_fixture.c: the state, puts and reads that the files of the contract suite share. */
#include "contract_fixture.h"

#include <stdio.h>
#include <stdlib.h>

const struct contract_store *contract_subject;

int contract_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    arena_init(&f->arena, 64 << 20);
    call_init(&f->call, &f->arena);
    f->store = contract_subject->open();
    assert_non_null(f->store);
    *state = f;
    return 0;
}

int contract_tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    arena_deinit(&f->arena);
    free(f);
    return 0;
}

enum dp_status contract_put(struct fixture *f, const char *key, const char *body, enum store_condition condition,
                            const struct store_version *expected, struct store_version *version)
{
    struct store_put put = {
        .key = span_str(key), .body = span_str(body), .condition = condition, .expected = expected};
    enum dp_status status = store_put(&f->call, f->store, &put);
    if (version)
        *version = put.version;
    return status;
}

struct store_version contract_must_put(struct fixture *f, const char *key, const char *body)
{
    struct store_version version;
    assert_int_equal(contract_put(f, key, body, STORE_ANY, NULL, &version), DP_OK);
    assert_true(version.len > 0);
    return version;
}

void contract_expect_content(struct fixture *f, const char *key, const char *body)
{
    struct store_read_req req = {.key = span_str(key), .len = STORE_TO_END};
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
    assert_int_equal(req.bytes.span.len, strlen(body));
    assert_memory_equal(req.bytes.span.data ? (const char *)req.bytes.span.data : "", body, strlen(body));
    assert_int_equal(req.size, strlen(body));
    store_read_release(&req, 1);
}

enum dp_status contract_read_status(struct fixture *f, const char *key)
{
    struct store_read_req req = {.key = span_str(key), .len = STORE_TO_END};
    enum dp_status status = store_read(&f->call, f->store, &req, 1);
    assert_int_equal(status, req.status);
    if (status != DP_OK) {
        assert_int_equal(req.bytes.span.len, 0);
        assert_null(req.bytes.block);
        assert_true(req.error.message[0] != '\0');
        assert_string_equal(req.error.message, f->call.error.message);
    }
    store_read_release(&req, 1);
    return status;
}

/* Returns `len` pseudo-random bytes, which have no short period. The caller frees them. */
uint8_t *contract_pattern(size_t len, uint64_t seed)
{
    uint8_t *bytes = malloc(len ? len : 1);
    assert_non_null(bytes);
    uint64_t x = seed * 2 + 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)(x >> 56);
    }
    return bytes;
}

/* Returns the listing as "key key/ key …", for comparison. */
const char *contract_list(struct fixture *f, const char *prefix, const char *after, bool folders, size_t max,
                          bool *truncated)
{
    static char text[4096];
    struct store_listing listing;
    assert_int_equal(store_list(&f->call, f->store, span_str(prefix), span_str(after), folders, max, &listing),
                     DP_OK);
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < listing.count; i++) {
        const struct store_entry *e = &listing.entries[i];
        assert_int_equal(e->is_prefix, e->key.data[e->key.len - 1] == '/');
        if (e->is_prefix)
            assert_int_equal(e->size, 0);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", i ? " " : "", SPAN_FMT(e->key));
    }
    if (truncated)
        *truncated = listing.truncated;
    else
        assert_false(listing.truncated);
    return text;
}

int contract_run(const struct contract_store *which)
{
    contract_subject = which;
    return contract_run_objects() + contract_run_lists() + contract_run_races();
}
