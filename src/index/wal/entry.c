/* wal/entry.c: encodes and parses log entries; entry.h has their grammar. */
#include "index/wal/entry.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "index/id.h"
#include "index/wal/write_key.h"

enum { VARINT_MAX = 10 };

uint64_t wal_chain_start(const struct ulid *incarnation)
{
    return checksum64(ulid_span(incarnation));
}

struct wal_entry *wal_entry_retain(struct wal_entry *entry)
{
    atomic_fetch_add(&entry->references, 1);
    return entry;
}

void wal_entry_release(struct wal_entry *entry)
{
    if (!entry || atomic_fetch_sub(&entry->references, 1) != 1)
        return;
    mem_free(entry->records);
    mem_free(entry->vectors);
    wal_codes_deinit(&entry->codes);
    mem_free(entry->owners);
    mem_free(entry->text);
    mem_free(entry);
}

/* ---- parsing ------------------------------------------------------------------------------------------ */

static enum dp_status check_wal_frame(struct span bytes, struct dp_error *error)
{
    if (bytes.len < WAL_HEAD_LEN + WAL_CHECKSUM_LEN)
        return dp_fail(error, DP_CORRUPT, "%zu bytes are too few for a log entry", bytes.len);
    if (bytes.len > WAL_ENTRY_MAX)
        return dp_fail(error, DP_CORRUPT, "%zu bytes are too many for a log entry", bytes.len);
    struct span covered = span_of(bytes.data, bytes.len - WAL_CHECKSUM_LEN);
    struct cursor sum = cursor_over(span_of(bytes.data + covered.len, WAL_CHECKSUM_LEN));
    if (!span_starts_with(bytes, span_str(WAL_MAGIC)))
        return dp_fail(error, DP_CORRUPT, "it does not begin with the magic bytes of a log entry");
    if (cursor_u64(&sum) != checksum64(covered))
        return dp_fail(error, DP_CORRUPT, "its checksum does not fit");
    return DP_OK;
}

static enum dp_status parse_wal_head(struct cursor *c, struct wal_entry *entry, uint32_t *count,
                                     struct dp_error *error)
{
    struct wal_head *head = &entry->head;
    cursor_bytes(c, sizeof WAL_MAGIC - 1);
    uint32_t version = cursor_u32(c), flags = cursor_u32(c);
    if (version != WAL_VERSION || flags != 0)
        return dp_fail(error, DP_UNSUPPORTED,
                       "it has format version %" PRIu32 " and flags %" PRIu32
                       "; this build reads version %d, flags 0",
                       version, flags, WAL_VERSION);
    bool good = ulid_parse(cursor_bytes(c, ULID_LEN), &head->incarnation);
    good = ulid_parse(cursor_bytes(c, ULID_LEN), &head->id) && good;
    head->number = cursor_u64(c);
    head->chain = cursor_u64(c);
    head->dim = cursor_u32(c);
    *count = cursor_u32(c);
    /* Each record has at least 2 bytes. */
    if (c->failed || !good || head->number == 0 || head->dim > INDEX_DIM_MAX || *count > WAL_RECORDS_MAX ||
        *count > c->rest.len / 2)
        return dp_fail(error, DP_CORRUPT, "its head is malformed");
    return DP_OK;
}

static struct span parse_wal_key(struct cursor *c)
{
    struct span key = cursor_bytes(c, cursor_varint(c));
    c->failed = c->failed || !id_key_valid(key);
    return key;
}

/* Reads a row. *floats: the bytes of its vectors. */
static void parse_wal_row(struct cursor *c, uint32_t dim, struct wal_record *out, struct span *floats)
{
    out->key = parse_wal_key(c);
    uint64_t windows = cursor_varint(c), len = cursor_varint(c);
    c->failed = c->failed || windows > INDEX_WINDOWS_MAX || (windows > 0 && dim == 0) || len > INDEX_DOCUMENT_MAX;
    if (c->failed)
        return;
    out->windows = (uint32_t)windows;
    *floats = cursor_bytes(c, windows * dim * sizeof(float));
    out->document = cursor_bytes(c, len);
}

static void parse_write_key(struct cursor *c, struct wal_record *out)
{
    struct write_key key;
    out->document = cursor_bytes(c, WAL_KEY_LEN);
    c->failed = c->failed || !write_key_get(out->document, &key);
    if (!c->failed)
        out->key = span_of(out->document.data, WAL_KEY_ID_LEN);
}

static bool parse_wal_record(struct cursor *c, uint32_t dim, struct wal_record *out, struct span *floats)
{
    uint8_t kind = cursor_u8(c);
    *out = (struct wal_record){.kind = (enum wal_kind)kind};
    *floats = (struct span){0};
    switch (kind) {
    case WAL_ROW: parse_wal_row(c, dim, out, floats); break;
    case WAL_DELETED: out->key = parse_wal_key(c); break;
    case WAL_ATTACH:
    case WAL_VOID: c->failed = c->failed || !ulid_parse(cursor_bytes(c, ULID_LEN), &out->load); break;
    case WAL_KEY: parse_write_key(c, out); break;
    default: return false;
    }
    return !c->failed;
}

/* Copies floats, which are little endian as this machine's are. Returns false when one is not finite. */
static bool take_wal_floats(struct span bytes, float *to)
{
    size_t count = bytes.len / sizeof(float), finite = 0;
    if (count)
        memcpy(to, bytes.data, bytes.len);
    for (size_t i = 0; i < count; i++)
        finite += to[i] - to[i] == 0.0F; /* for an infinity or a NaN the difference is a NaN */
    return finite == count;
}

/* Parses the records. Their spans point into the object, and vectors[i] are the bytes of record i's vectors there. */
static enum dp_status parse_wal_records(struct cursor *c, struct wal_entry *entry, struct span *vectors,
                                        struct dp_error *error)
{
    for (size_t i = 0; i < entry->count; i++) {
        if (!parse_wal_record(c, entry->head.dim, &entry->records[i], &vectors[i]))
            return dp_fail(error, DP_CORRUPT, "record %zu is malformed", i);
    }
    if (c->rest.len != 0)
        return dp_fail(error, DP_CORRUPT, "%zu bytes follow its records", c->rest.len);
    return DP_OK;
}

static struct span take_wal_text(uint8_t **next, struct span from)
{
    uint8_t *to = *next;
    if (from.len)
        memcpy(to, from.data, from.len);
    *next += from.len;
    return span_of(to, from.len);
}

/* Codes the `count` vectors, and notes which row has which. */
static enum dp_status code_wal_vectors(struct wal_entry *entry, size_t count, struct dp_error *error)
{
    entry->owners = mem_alloc((count + 1) * sizeof *entry->owners);
    if (!entry->owners)
        return dp_fail_nomem(error, "a log entry");
    uint32_t *next = entry->owners;
    for (size_t i = 0; i < entry->count; i++) {
        const struct wal_record *record = &entry->records[i];
        for (uint32_t k = 0; k < record->windows; k++)
            *next++ = (uint32_t)entry->rows;
        entry->rows += record->kind == WAL_ROW || record->kind == WAL_DELETED;
    }
    return wal_codes_init(&entry->codes, entry->vectors, count, entry->head.dim, error);
}

/* Copies keys, documents and vectors out of the object, whose bytes are not kept. The copied floats are
 * aligned. */
static enum dp_status take_wal_contents(struct wal_entry *entry, const struct span *vectors,
                                        struct dp_error *error)
{
    size_t text = 0, floats = 0;
    for (size_t i = 0; i < entry->count; i++) {
        text += entry->records[i].key.len + entry->records[i].document.len;
        floats += vectors[i].len;
    }
    entry->text = mem_alloc(text + 1);
    entry->vectors = mem_alloc(floats + sizeof(float));
    if (!entry->text || !entry->vectors)
        return dp_fail_nomem(error, "a log entry");
    uint8_t *next_text = entry->text;
    float *next = entry->vectors;
    for (size_t i = 0; i < entry->count; i++) {
        struct wal_record *record = &entry->records[i];
        record->key = take_wal_text(&next_text, record->key);
        record->document = take_wal_text(&next_text, record->document);
        if (!take_wal_floats(vectors[i], next))
            return dp_fail(error, DP_CORRUPT, "record %zu has a component that is not finite", i);
        if (record->windows)
            record->vectors = next;
        next += vectors[i].len / sizeof(float);
    }
    uint32_t dim = entry->head.dim;
    return code_wal_vectors(entry, dim ? (size_t)(next - entry->vectors) / dim : 0, error);
}

/* Parses what follows the head. */
static enum dp_status parse_wal_body(struct cursor *c, struct wal_entry *entry, struct dp_error *error)
{
    struct span *vectors = mem_calloc(entry->count + 1, sizeof *vectors); /* of each record, in the object */
    entry->records = mem_calloc(entry->count + 1, sizeof *entry->records);
    enum dp_status status = vectors && entry->records ? DP_OK : dp_fail_nomem(error, "a log entry");
    if (status == DP_OK)
        status = parse_wal_records(c, entry, vectors, error);
    if (status == DP_OK)
        status = take_wal_contents(entry, vectors, error);
    mem_free(vectors);
    return status;
}

enum dp_status wal_entry_parse(struct span bytes, struct wal_entry **out, struct dp_error *error)
{
    uint32_t count = 0;
    *out = NULL;
    enum dp_status status = check_wal_frame(bytes, error);
    if (status)
        return status;
    struct wal_entry *entry = mem_calloc(1, sizeof *entry);
    if (!entry)
        return dp_fail_nomem(error, "a log entry");
    atomic_init(&entry->references, 1);
    entry->object_size = bytes.len;
    struct cursor c = cursor_over(span_of(bytes.data, bytes.len - WAL_CHECKSUM_LEN));
    struct cursor sum = cursor_over(span_of(bytes.data + bytes.len - WAL_CHECKSUM_LEN, WAL_CHECKSUM_LEN));
    entry->hash = cursor_u64(&sum);
    status = parse_wal_head(&c, entry, &count, error);
    if (status == DP_OK) {
        entry->count = count;
        status = parse_wal_body(&c, entry, error);
    }
    if (status)
        wal_entry_release(entry);
    else
        *out = entry;
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

void wal_encoder_init(struct wal_encoder *e)
{
    *e = (struct wal_encoder){0};
    buffer_init(&e->out, WAL_ENTRY_MAX);
}

void wal_encoder_deinit(struct wal_encoder *e)
{
    buffer_deinit(&e->out);
}

void wal_encode_begin(struct wal_encoder *e, const struct wal_head *head)
{
    buffer_clear(&e->out);
    e->dim = head->dim;
    e->count = 0;
    buffer_append_str(&e->out, WAL_MAGIC);
    buffer_u32(&e->out, WAL_VERSION);
    buffer_u32(&e->out, 0);
    buffer_append(&e->out, ulid_span(&head->incarnation));
    buffer_append(&e->out, ulid_span(&head->id));
    buffer_u64(&e->out, head->number);
    buffer_u64(&e->out, head->chain);
    buffer_u32(&e->out, head->dim);
    buffer_u32(&e->out, 0); /* wal_encode_end() sets the count */
}

static void encode_wal_key(struct wal_encoder *e, enum wal_kind kind, struct span key)
{
    buffer_u8(&e->out, (uint8_t)kind);
    buffer_varint(&e->out, key.len);
    buffer_append(&e->out, key);
    e->count++;
}

void wal_encode_row(struct wal_encoder *e, struct span key, const float *vectors, uint32_t windows,
                    struct span document)
{
    encode_wal_key(e, WAL_ROW, key);
    buffer_varint(&e->out, windows);
    buffer_varint(&e->out, document.len);
    buffer_append(&e->out, span_of(vectors, (size_t)windows * e->dim * sizeof(float))); /* little endian */
    buffer_append(&e->out, document);
}

void wal_encode_deleted(struct wal_encoder *e, struct span key)
{
    encode_wal_key(e, WAL_DELETED, key);
}

void wal_encode_load(struct wal_encoder *e, enum wal_kind kind, const struct ulid *load)
{
    buffer_u8(&e->out, (uint8_t)kind);
    buffer_append(&e->out, ulid_span(load));
    e->count++;
}

size_t wal_row_bytes(struct span key, uint32_t windows, uint32_t dim, struct span document)
{
    return 1 + 3 * VARINT_MAX + key.len + (size_t)windows * dim * sizeof(float) + document.len;
}

void wal_encode_write_key(struct wal_encoder *e, struct span bytes)
{
    buffer_u8(&e->out, WAL_KEY);
    buffer_append(&e->out, bytes);
    e->count++;
}

size_t wal_deleted_bytes(struct span key)
{
    return 1 + 2 + key.len; /* an id key has less than 2^14 bytes */
}

enum dp_status wal_encode_end(struct wal_encoder *e, struct span *bytes, struct dp_error *error)
{
    if (e->count > WAL_RECORDS_MAX)
        return dp_fail(error, DP_TOO_LARGE, "a log entry has %" PRIu32 " records, more than %d", e->count,
                       WAL_RECORDS_MAX);
    for (int i = 0; e->out.status == DP_OK && i < 4; i++)
        e->out.data[WAL_COUNT_AT + i] = (uint8_t)(e->count >> (8 * i));
    if (e->out.status == DP_OK)
        buffer_u64(&e->out, checksum64(buffer_span(&e->out)));
    enum dp_status status = buffer_check(&e->out, "a log entry", error);
    *bytes = status == DP_OK ? buffer_span(&e->out) : (struct span){0};
    return status;
}
