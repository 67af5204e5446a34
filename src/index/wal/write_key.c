/* wal/write_key.c: writes, reads and searches keys of writes; write_key.h has their grammar. */
#include "index/wal/write_key.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checksum.h"

/* ---- one key ------------------------------------------------------------------------------------------- */

void write_key_identify(struct span key, struct write_key *out)
{
    uint8_t digest[32];
    sha256(key, digest);
    memcpy(out->id, digest, sizeof out->id);
}

static uint8_t *put_little(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *to++ = (uint8_t)(value >> (8 * i));
    return to;
}

void write_key_put(const struct write_key *key, uint8_t out[WAL_KEY_LEN])
{
    memcpy(out, key->id, WAL_KEY_ID_LEN);
    uint8_t *to = put_little(out + WAL_KEY_ID_LEN, key->request, 8);
    to = put_little(to, (uint64_t)key->at_ms, 8);
    to = put_little(to, key->upserted, 4);
    to = put_little(to, key->patched, 4);
    to = put_little(to, key->deleted, 4);
    *to = key->remaining;
}

bool write_key_get(struct span bytes, struct write_key *out)
{
    struct cursor c = cursor_over(bytes);
    struct span id = cursor_bytes(&c, WAL_KEY_ID_LEN);
    uint64_t request = cursor_u64(&c), at_ms = cursor_u64(&c);
    uint32_t upserted = cursor_u32(&c), patched = cursor_u32(&c), deleted = cursor_u32(&c);
    uint8_t remaining = cursor_u8(&c);
    if (c.failed || c.rest.len || at_ms > INT64_MAX / 2 || remaining > 1)
        return false;
    *out = (struct write_key){.request = request,
                              .at_ms = (int64_t)at_ms,
                              .upserted = upserted,
                              .patched = patched,
                              .deleted = deleted,
                              .remaining = remaining};
    memcpy(out->id, id.data, WAL_KEY_ID_LEN);
    return true;
}

struct write_key write_key_of(const struct wal_record *record)
{
    struct write_key key = {.request = 0};
    write_key_get(record->document, &key); /* the entry's parser has checked it */
    return key;
}

/* ---- sets ---------------------------------------------------------------------------------------------- */

void key_set_deinit(struct key_set *set)
{
    mem_free(set->keys);
    *set = (struct key_set){0};
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, WAL_KEY_ID_LEN); /* the id is the first member */
}

const struct write_key *key_set_find(const struct key_set *set, const uint8_t id[WAL_KEY_ID_LEN])
{
    return set->count ? bsearch(id, set->keys, set->count, sizeof *set->keys, compare_ids) : NULL;
}

/* Sorts by id, then the newest first. */
static int compare_keys(const void *a, const void *b)
{
    const struct write_key *left = a, *right = b;
    int order = compare_ids(a, b);
    return order ? order : (left->at_ms < right->at_ms) - (left->at_ms > right->at_ms);
}

static int compare_ages(const void *a, const void *b)
{
    const struct write_key *left = a, *right = b;
    int order = (left->at_ms < right->at_ms) - (left->at_ms > right->at_ms);
    return order ? order : compare_ids(a, b);
}

size_t key_set_settle(struct write_key *keys, size_t count, int64_t now_ms, size_t most)
{
    size_t kept = 0;
    if (count)
        qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 0; i < count; i++) {
        bool again = kept && compare_ids(&keys[kept - 1], &keys[i]) == 0;
        if (!again && now_ms - keys[i].at_ms < WRITE_KEY_MS)
            keys[kept++] = keys[i];
    }
    if (kept > most) {
        qsort(keys, kept, sizeof *keys, compare_ages);
        qsort(keys, most, sizeof *keys, compare_keys);
        kept = most;
    }
    return kept;
}

/* ---- objects ------------------------------------------------------------------------------------------- */

void key_set_write(const struct key_set *set, const struct ulid *id, const struct ulid *incarnation,
                   struct buffer *out)
{
    size_t start = out->len;
    uint8_t bytes[WAL_KEY_LEN];
    buffer_append_str(out, WRITE_KEYS_MAGIC);
    buffer_u32(out, WRITE_KEYS_VERSION);
    buffer_u32(out, (uint32_t)set->count);
    buffer_append(out, ulid_span(id));
    buffer_append(out, ulid_span(incarnation));
    for (size_t i = 0; i < set->count; i++) {
        write_key_put(&set->keys[i], bytes);
        buffer_append(out, span_of(bytes, sizeof bytes));
    }
    if (out->status == DP_OK)
        buffer_u64(out, checksum64(span_of(out->data + start, out->len - start)));
}

static enum dp_status parse_keys(struct cursor *c, struct key_set *set, struct dp_error *error)
{
    for (size_t i = 0; i < set->count; i++) {
        if (!write_key_get(cursor_bytes(c, WAL_KEY_LEN), &set->keys[i]) ||
            (i && compare_ids(&set->keys[i - 1], &set->keys[i]) >= 0))
            return dp_fail(error, DP_CORRUPT, "key number %zu is malformed or not in order", i);
    }
    return DP_OK;
}

/* Checks all of an object but its keys. */
static enum dp_status parse_keys_head(struct span bytes, const struct manifest *m, struct cursor *c, size_t *count,
                                      struct dp_error *error)
{
    if (bytes.len < WRITE_KEYS_FIXED_LEN)
        return dp_fail(error, DP_CORRUPT, "%zu bytes are too few for keys of writes", bytes.len);
    struct cursor tail = cursor_over(span_of(bytes.data + bytes.len - 8, 8));
    struct span covered = span_of(bytes.data, bytes.len - 8);
    if (cursor_u64(&tail) != checksum64(covered))
        return dp_fail(error, DP_CORRUPT, "its checksum does not fit");
    *c = cursor_over(covered);
    if (!span_equal_str(cursor_bytes(c, sizeof WRITE_KEYS_MAGIC - 1), WRITE_KEYS_MAGIC))
        return dp_fail(error, DP_CORRUPT, "it does not begin with the magic bytes of keys of writes");
    uint32_t version = cursor_u32(c);
    if (version != WRITE_KEYS_VERSION)
        return dp_fail(error, DP_UNSUPPORTED, "it has format version %" PRIu32 "; this build reads %d", version,
                       WRITE_KEYS_VERSION);
    *count = cursor_u32(c);
    if (!span_equal(cursor_bytes(c, ULID_LEN), ulid_span(&m->keys.id)) ||
        !span_equal(cursor_bytes(c, ULID_LEN), ulid_span(&m->incarnation)) || *count != m->keys.count)
        return dp_fail(error, DP_CORRUPT, "it is not the object that the manifest lists");
    if (*count > WRITE_KEYS_MAX || c->rest.len != *count * WAL_KEY_LEN)
        return dp_fail(error, DP_CORRUPT, "it does not have the length of %zu keys", *count);
    return DP_OK;
}

enum dp_status key_set_parse(struct span bytes, const struct manifest *m, struct key_set *out,
                             struct dp_error *error)
{
    struct cursor c;
    size_t count = 0;
    *out = (struct key_set){0};
    enum dp_status status = parse_keys_head(bytes, m, &c, &count, error);
    if (status)
        return status;
    out->keys = mem_calloc(count + 1, sizeof *out->keys);
    if (!out->keys)
        return dp_fail_nomem(error, "keys of writes");
    out->count = count;
    status = parse_keys(&c, out, error);
    if (status)
        key_set_deinit(out);
    return status;
}

enum dp_status key_set_read(struct call *call, struct store *store, struct span name, const struct manifest *m,
                            struct key_set *out)
{
    struct object_key key;
    *out = (struct key_set){0};
    if (m->keys.size == 0)
        return DP_OK;
    key_of_keys(&key, name, &m->incarnation, &m->keys.id);
    struct store_read_req read = {.key = object_key_span(&key), .len = STORE_TO_END};
    store_read(call, store, &read, 1); /* the read has its own status */
    enum dp_status status = call_check(call);
    if (status == DP_OK)
        dp_error_clear(&call->error);
    if (status == DP_OK && store_read_missing(&read))
        status = call_fail(call, DP_STALE, "the manifest lists these keys of writes, but the object is missing");
    else if (status == DP_OK && read.status) {
        call->error = read.error;
        status = read.status;
    }
    if (status == DP_OK)
        status = key_set_parse(read.bytes.span, m, out, &call->error);
    if (status)
        dp_error_prefix(&call->error, "%s", key.text);
    store_read_release(&read, 1);
    return status;
}
