/* manifest/parse.c: reads a manifest and refuses what does not fit together.
 *
 * The checksum is verified before anything is believed. Fields may come in any order; an unknown, missing or
 * repeated one is refused, because a writer that did not know a field would drop it at its next swap.
 */
#include "index/manifest/format.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "base/json.h"
#include "index/segment/deleted.h"

enum {
    ARENA_MAX = 16 * 1024 * 1024,
    MODEL_NAME_MAX = 256,
    FINGERPRINT_MAX = 128,
    DEL_SIZE_MAX = 64 + 5 * SEGMENT_ROWS_MAX
};

const char *manifest_metric_name(enum index_metric metric)
{
    return metric == INDEX_COSINE ? "cosine_distance" : "euclidean_squared";
}

void manifest_init(struct manifest *m)
{
    *m = (struct manifest){.num_shards = 1};
    arena_init(&m->arena, ARENA_MAX);
    memset(m->horizon.text, '0', ULID_LEN);
    memset(m->incarnation.text, '0', ULID_LEN);
}

void manifest_deinit(struct manifest *m)
{
    arena_deinit(&m->arena);
    *m = (struct manifest){0};
}

uint64_t manifest_rows(const struct manifest *m)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < m->segment_count; i++)
        rows += m->segments[i].rows - m->segments[i].deleted_rows;
    return rows;
}

bool manifest_has_writer(const struct manifest *m, const struct ulid *writer)
{
    for (size_t i = 0; i < m->writer_count; i++) {
        if (ulid_equal(&m->writers[i].id, writer))
            return true;
    }
    return false;
}

enum dp_status manifest_add_writer(struct manifest *m, const struct ulid *writer, struct dp_error *error)
{
    size_t first = 0, kept = m->writer_count;
    while (kept >= MANIFEST_WRITERS_MIN &&
           (kept >= MANIFEST_WRITERS_MAX || m->updated_ms - m->writers[first].at_ms >= MANIFEST_WRITERS_MS)) {
        first++;
        kept--;
    }
    struct manifest_writer *writers = arena_array(&m->arena, kept + 1, sizeof *writers);
    if (!writers)
        return dp_fail_nomem(error, "a manifest's writers");
    if (kept)
        memcpy(writers, m->writers + first, kept * sizeof *writers);
    writers[kept] = (struct manifest_writer){*writer, m->updated_ms};
    m->writers = writers;
    m->writer_count = kept + 1;
    return DP_OK;
}

bool manifest_covers(const struct manifest *m, uint64_t sequence)
{
    return m->sequence <= sequence || m->sequence - sequence <= m->writer_count;
}

/* ---- fields ------------------------------------------------------------------------------------------ */

struct parser {
    struct json_reader r;
    struct manifest *m;
    struct arena *arena;
    bool nomem;
};

static const char *const top_fields[] = {"format",     "version",    "features",   "sequence",  "incarnation",
                                         "writers",    "created_ms", "updated_ms", "wal_floor", "horizon",
                                         "num_shards", "vector",     "schema",     "segments"};
enum { TOP_FIELDS = sizeof top_fields / sizeof *top_fields };

/* Which of `fields` the key is; rejects an unknown or repeated one. */
static int field_of(struct parser *p, struct span key, const char *const *fields, int count, unsigned *seen)
{
    for (int i = 0; i < count; i++) {
        if (!span_equal_str(key, fields[i]))
            continue;
        if (*seen & 1u << i)
            json_reject(&p->r, DP_CORRUPT, "\"%s\" is there twice", fields[i]);
        *seen |= 1u << i;
        return i;
    }
    json_reject(&p->r, DP_UNSUPPORTED, "unknown field \"%.*s\": written by a newer version?",
                (int)(key.len > 40 ? 40 : key.len), (const char *)key.data);
    return -1;
}

/* Rejects an object in which a field is missing, but those of the mask `optional`. */
static void all_seen(struct parser *p, const char *const *fields, int count, unsigned seen, unsigned optional)
{
    for (int i = 0; i < count; i++) {
        if (!(((seen | optional) >> i) & 1u))
            json_reject(&p->r, DP_CORRUPT, "\"%s\" is missing", fields[i]);
    }
}

static uint64_t read_u64(struct parser *p)
{
    uint64_t v = 0;
    json_read_u64(&p->r, &v);
    return v;
}

/* Text copied to the manifest's arena. */
static struct span read_text(struct parser *p, size_t max)
{
    struct span text = {0};
    if (!json_read_string(&p->r, p->arena, &text))
        return (struct span){0};
    if (text.len > max) {
        json_reject(&p->r, DP_CORRUPT, "a text of %zu bytes is longer than %zu", text.len, max);
        return (struct span){0};
    }
    struct span copy = arena_copy(p->arena, text);
    if (!copy.data)
        p->nomem = true;
    return copy;
}

static void read_ulid(struct parser *p, struct ulid *out)
{
    struct span text = {0};
    if (json_read_string(&p->r, p->arena, &text) && !ulid_parse(text, out))
        json_reject(&p->r, DP_CORRUPT, "\"%.*s\" is no ULID", (int)(text.len > 40 ? 40 : text.len),
                    (const char *)text.data);
}

static void read_features(struct parser *p)
{
    struct span name = {0};
    json_enter_array(&p->r);
    while (json_next_item(&p->r)) {
        if (json_read_string(&p->r, p->arena, &name))
            json_reject(&p->r, DP_UNSUPPORTED, "needs the feature \"%.*s\", which this version does not have",
                        (int)(name.len > 40 ? 40 : name.len), (const char *)name.data);
    }
}

enum { NO_TIME = -1 };

/* An object, or (version 1) a ULID alone. */
static void read_writer(struct parser *p, struct manifest_writer *w)
{
    static const char *const fields[] = {"id", "at_ms"};
    struct span key;
    unsigned seen = 0;
    uint64_t at = 0;
    w->at_ms = NO_TIME;
    if (json_peek(&p->r) == JSON_STRING) {
        read_ulid(p, &w->id);
        return;
    }
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (field_of(p, key, fields, 2, &seen)) {
        case 0: read_ulid(p, &w->id); break;
        case 1: at = read_u64(p); break;
        default: return;
        }
    }
    all_seen(p, fields, 2, seen, 0);
    if (at > INT64_MAX)
        json_reject(&p->r, DP_CORRUPT, "a writer's time is out of range");
    else
        w->at_ms = (int64_t)at;
}

static void read_writers(struct parser *p)
{
    size_t room = 0;
    json_enter_array(&p->r);
    while (json_next_item(&p->r)) {
        struct manifest *m = p->m;
        if (m->writer_count == MANIFEST_WRITERS_MAX) {
            json_reject(&p->r, DP_CORRUPT, "more than %d writers", MANIFEST_WRITERS_MAX);
            return;
        }
        if (m->writer_count == room) {
            size_t more = room ? room * 2 : MANIFEST_WRITERS_MIN;
            struct manifest_writer *grown = arena_array(p->arena, more, sizeof *grown);
            if (!grown) {
                p->nomem = true;
                return;
            }
            if (room)
                memcpy(grown, m->writers, room * sizeof *grown);
            m->writers = grown;
            room = more;
        }
        read_writer(p, &m->writers[m->writer_count]);
        if (json_failed(&p->r))
            return;
        m->writer_count++;
    }
}

/* Writers without a time are taken for as young as can be. */
static void check_writers(struct parser *p)
{
    struct manifest *m = p->m;
    int64_t before = 0;
    for (size_t i = 0; i < m->writer_count; i++) {
        if (m->writers[i].at_ms == NO_TIME)
            m->writers[i].at_ms = m->updated_ms;
        if (m->writers[i].at_ms < before || m->writers[i].at_ms > m->updated_ms) {
            json_reject(&p->r, DP_CORRUPT, "its writers' times are not in order");
            return;
        }
        before = m->writers[i].at_ms;
    }
}

static void read_vector(struct parser *p)
{
    static const char *const fields[] = {"attribute", "dim", "metric", "model", "fingerprint"};
    struct span key, metric = {0};
    unsigned seen = 0;
    uint64_t dim = 0, attribute = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (field_of(p, key, fields, 5, &seen)) {
        case 0: attribute = read_u64(p); break;
        case 1: dim = read_u64(p); break;
        case 2: metric = read_text(p, 64); break;
        case 3: p->m->model = read_text(p, MODEL_NAME_MAX); break;
        case 4: p->m->fingerprint = read_text(p, FINGERPRINT_MAX); break;
        default: return;
        }
    }
    all_seen(p, fields, 5, seen, 0);
    if (json_failed(&p->r))
        return;
    if (attribute != VECTOR_ATTRIBUTE)
        json_reject(&p->r, DP_UNSUPPORTED, "the vector attribute has number %" PRIu64 ", not %d", attribute,
                    VECTOR_ATTRIBUTE);
    if (dim == 0 || dim > INDEX_DIM_MAX)
        json_reject(&p->r, DP_CORRUPT, "dim %" PRIu64 " is outside 1..%d", dim, INDEX_DIM_MAX);
    else
        p->m->dim = (uint32_t)dim;
    if (span_equal_str(metric, manifest_metric_name(INDEX_COSINE)))
        p->m->metric = INDEX_COSINE;
    else if (span_equal_str(metric, manifest_metric_name(INDEX_EUCLIDEAN_SQUARED)))
        p->m->metric = INDEX_EUCLIDEAN_SQUARED;
    else
        json_reject(&p->r, DP_UNSUPPORTED, "unknown metric \"%.*s\"", SPAN_FMT(metric));
}

static void read_attribute(struct parser *p)
{
    static const char *const fields[] = {"number", "name", "type"};
    struct schema *schema = &p->m->schema;
    struct attribute a = {0};
    struct span key, type = {0};
    unsigned seen = 0;
    uint64_t number = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (field_of(p, key, fields, 3, &seen)) {
        case 0: number = read_u64(p); break;
        case 1: a.name = read_text(p, SCHEMA_NAME_MAX); break;
        case 2: type = read_text(p, 64); break;
        default: return;
        }
    }
    all_seen(p, fields, 3, seen, 0);
    if (json_failed(&p->r) || p->nomem)
        return;
    struct dp_error error = {0};
    uint32_t before = schema->count ? schema->attributes[schema->count - 1].number : VECTOR_ATTRIBUTE;
    if (number <= before || number > UINT32_MAX / 2)
        json_reject(&p->r, DP_CORRUPT, "attribute number %" PRIu64 " does not come after %" PRIu32, number,
                    before);
    else if (schema->count == SCHEMA_ATTRIBUTES_MAX)
        json_reject(&p->r, DP_CORRUPT, "more than %d attributes", SCHEMA_ATTRIBUTES_MAX);
    else if (schema_check_name(a.name, &error))
        json_reject(&p->r, DP_CORRUPT, "an attribute's name is not allowed");
    else if (schema_find(schema, a.name))
        json_reject(&p->r, DP_CORRUPT, "attribute \"%.*s\" is there twice", SPAN_FMT(a.name));
    else if (!attribute_type_parse(type, &a.type))
        json_reject(&p->r, DP_UNSUPPORTED, "attribute type \"%.*s\" is unknown", SPAN_FMT(type));
    else {
        a.number = (uint32_t)number;
        schema->attributes[schema->count++] = a;
    }
}

static void read_ivf(struct parser *p, struct manifest_segment *s)
{
    static const char *const fields[] = {"size", "head"};
    struct span key;
    unsigned seen = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (field_of(p, key, fields, 2, &seen)) {
        case 0: s->ivf_size = read_u64(p); break;
        case 1: s->ivf_head = read_u64(p); break;
        default: return;
        }
    }
    all_seen(p, fields, 2, seen, 0);
}

static void read_dpr(struct parser *p, struct manifest_segment *s)
{
    static const char *const fields[] = {"size", "hot_offset", "hot_length"};
    struct span key;
    unsigned seen = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (field_of(p, key, fields, 3, &seen)) {
        case 0: s->dpr_size = read_u64(p); break;
        case 1: s->hot_offset = read_u64(p); break;
        case 2: s->hot_len = read_u64(p); break;
        default: return;
        }
    }
    all_seen(p, fields, 3, seen, 0);
}

static void read_deleted(struct parser *p, struct manifest_segment *s)
{
    static const char *const fields[] = {"id", "rows", "size"};
    struct span key;
    unsigned seen = 0;
    s->has_deleted = true;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (field_of(p, key, fields, 3, &seen)) {
        case 0: read_ulid(p, &s->deletion); break;
        case 1: s->deleted_rows = read_u64(p); break;
        case 2: s->deleted_size = read_u64(p); break;
        default: return;
        }
    }
    all_seen(p, fields, 3, seen, 0);
}

static void read_segment(struct parser *p, struct manifest_segment *s)
{
    static const char *const fields[] = {"id", "rows", "vectors", "ivf", "dpr", "deleted"};
    struct span key;
    unsigned seen = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (field_of(p, key, fields, 6, &seen)) {
        case 0: read_ulid(p, &s->id); break;
        case 1: s->rows = read_u64(p); break;
        case 2: s->vectors = read_u64(p); break;
        case 3: read_ivf(p, s); break;
        case 4: read_dpr(p, s); break;
        case 5: read_deleted(p, s); break;
        default: return;
        }
    }
    all_seen(p, fields, 6, seen, 1u << 5);
}

static void read_segments(struct parser *p)
{
    struct manifest_segment *list = NULL;
    size_t count = 0, room = 0;
    json_enter_array(&p->r);
    while (json_next_item(&p->r)) {
        if (count == room) {
            size_t more = room ? room * 2 : 8;
            struct manifest_segment *grown = arena_array(p->arena, more, sizeof *grown);
            if (!grown || more > 2 * MANIFEST_SEGMENTS_MAX) {
                p->nomem = true;
                return;
            }
            if (count)
                memcpy(grown, list, count * sizeof *grown);
            list = grown;
            room = more;
        }
        list[count] = (struct manifest_segment){0};
        read_segment(p, &list[count]);
        if (json_failed(&p->r))
            return;
        count++;
    }
    p->m->segments = list;
    p->m->segment_count = count;
}

static void read_top(struct parser *p)
{
    struct manifest *m = p->m;
    struct span key, format = {0};
    unsigned seen = 0;
    uint64_t version = 0, shards = 0, created = 0, updated = 0;
    json_enter_object(&p->r);
    while (!p->nomem && json_next_key(&p->r, p->arena, &key)) {
        switch (field_of(p, key, top_fields, TOP_FIELDS, &seen)) {
        case 0: format = read_text(p, 64); break;
        case 1:
            version = read_u64(p);
            if (!json_failed(&p->r) && (version < MANIFEST_VERSION_OLDEST || version > MANIFEST_VERSION))
                json_reject(&p->r, DP_UNSUPPORTED, "has format version %" PRIu64 "; this build reads %d to %d",
                            version, MANIFEST_VERSION_OLDEST, MANIFEST_VERSION);
            break;
        case 2: read_features(p); break;
        case 3: m->sequence = read_u64(p); break;
        case 4: read_ulid(p, &m->incarnation); break;
        case 5: read_writers(p); break;
        case 6: created = read_u64(p); break;
        case 7: updated = read_u64(p); break;
        case 8: m->wal_floor = read_u64(p); break;
        case 9: read_ulid(p, &m->horizon); break;
        case 10: shards = read_u64(p); break;
        case 11: read_vector(p); break;
        case 12:
            json_enter_array(&p->r);
            while (!p->nomem && json_next_item(&p->r))
                read_attribute(p);
            break;
        case 13: read_segments(p); break;
        default: return;
        }
    }
    all_seen(p, top_fields, TOP_FIELDS, seen, 0);
    json_end(&p->r);
    if (json_failed(&p->r) || p->nomem)
        return;
    if (!span_equal_str(format, MANIFEST_FORMAT))
        json_reject(&p->r, DP_CORRUPT, "\"format\" is not \"%s\"", MANIFEST_FORMAT);
    if (shards != 1)
        json_reject(&p->r, DP_UNSUPPORTED, "has %" PRIu64 " shards; this build reads 1", shards);
    if (created > INT64_MAX || updated > INT64_MAX || updated < created)
        json_reject(&p->r, DP_CORRUPT, "its times are not in order");
    m->created_ms = (int64_t)created;
    m->updated_ms = (int64_t)updated;
    if (!json_failed(&p->r))
        check_writers(p);
}

/* ---- the whole --------------------------------------------------------------------------------------- */

/* Whether the tail has its form and its checksum is that of the rest. */
static bool checksum_fits(struct span bytes)
{
    if (bytes.len < MANIFEST_TAIL_LEN)
        return false;
    size_t covered = bytes.len - MANIFEST_TAIL_LEN;
    char tail[MANIFEST_TAIL_LEN + 1];
    int len = snprintf(tail, sizeof tail, MANIFEST_TAIL_BEFORE "%016" PRIx64 MANIFEST_TAIL_AFTER,
                       checksum64(span_of(bytes.data, covered)));
    return len == MANIFEST_TAIL_LEN && memcmp(bytes.data + covered, tail, MANIFEST_TAIL_LEN) == 0;
}

enum dp_status manifest_parse(struct span bytes, struct manifest *out, struct dp_error *error)
{
    if (bytes.len > MANIFEST_BYTES_MAX)
        return dp_fail(error, DP_CORRUPT, "%zu bytes are more than a manifest's %d", bytes.len,
                       MANIFEST_BYTES_MAX);
    if (!checksum_fits(bytes))
        return dp_fail(error, DP_CORRUPT, "its checksum does not fit its %zu bytes", bytes.len);
    manifest_init(out);
    /* The covered bytes are the object but for its closing brace: parse them with one. */
    size_t covered = bytes.len - MANIFEST_TAIL_LEN;
    uint8_t *text = mem_alloc(covered + 1);
    enum dp_status status = DP_OK;
    if (!text) {
        status = dp_fail_nomem(error, "a manifest");
        goto out;
    }
    memcpy(text, bytes.data, covered);
    text[covered] = '}';
    struct parser p = {.m = out, .arena = &out->arena};
    json_reader_init(&p.r, span_of(text, covered + 1));
    read_top(&p);
    if (p.nomem)
        status = dp_fail_nomem(error, "a manifest");
    else if (json_failed(&p.r)) {
        status = json_error(&p.r, error);
        if (status == DP_INVALID) /* the JSON reader's word for text that is no JSON */
            status = error ? (error->status = DP_CORRUPT) : DP_CORRUPT;
    } else
        status = manifest_check(out, error);
out:
    mem_free(text);
    if (status)
        manifest_deinit(out);
    return status;
}

static enum dp_status check_segment(const struct manifest *m, const struct manifest_segment *s,
                                    struct dp_error *error)
{
    const char *why = NULL;
    /* The sizes are below 2^48 first, so that sums and products below cannot overflow. */
    const uint64_t vectors_max = (uint64_t)SEGMENT_ROWS_MAX * 64, size_max = UINT64_C(1) << 48;
    if (s->rows == 0 || s->rows > SEGMENT_ROWS_MAX)
        why = "rows";
    else if (s->vectors < s->rows || s->vectors > vectors_max)
        why = "vectors";
    else if (s->ivf_size > size_max || s->ivf_head > s->ivf_size ||
             s->ivf_size - s->ivf_head != s->vectors * manifest_code_len(m))
        why = "ivf";
    else if (s->dpr_size > size_max || s->hot_len > SEGMENT_HOT_MAX || s->hot_offset > s->dpr_size ||
             s->dpr_size - s->hot_offset != s->hot_len ||
             s->hot_offset < SEGMENT_HEAD_LEN + s->vectors * manifest_vector_len(m))
        why = "dpr";
    else if (s->has_deleted &&
             (s->deleted_rows == 0 || s->deleted_rows >= s->rows || s->deleted_size > DEL_SIZE_MAX ||
              s->deleted_size < DELETED_FIXED_LEN + s->deleted_rows))
        why = "deleted";
    if (why)
        return dp_fail(error, DP_CORRUPT, "segment %s: the numbers of \"%s\" do not fit together", s->id.text,
                       why);
    return DP_OK;
}

enum dp_status manifest_check(const struct manifest *m, struct dp_error *error)
{
    uint64_t rows = 0;
    if (m->sequence == 0)
        return dp_fail(error, DP_CORRUPT, "\"sequence\" is 0");
    if (m->dim == 0 || m->dim > INDEX_DIM_MAX)
        return dp_fail(error, DP_CORRUPT, "dim %" PRIu32 " is outside 1..%d", m->dim, INDEX_DIM_MAX);
    for (size_t i = 0; i < m->segment_count; i++) {
        enum dp_status status = check_segment(m, &m->segments[i], error);
        if (status)
            return status;
        if (i && span_compare(ulid_span(&m->segments[i - 1].id), ulid_span(&m->segments[i].id)) >= 0)
            return dp_fail(error, DP_CORRUPT, "segment %s is not in order", m->segments[i].id.text);
        rows += m->segments[i].rows;
    }
    if (rows > NAMESPACE_ROWS_MAX)
        return dp_fail(error, DP_CORRUPT, "%" PRIu64 " rows are more than a namespace's %d", rows,
                       NAMESPACE_ROWS_MAX);
    return DP_OK;
}

enum dp_status manifest_load(struct call *call, struct store *store, struct span name, struct manifest *out,
                             struct store_version *version)
{
    struct object_key key;
    key_of_manifest(&key, name);
    struct store_read_req req = {.key = object_key_span(&key), .len = STORE_TO_END};
    enum dp_status status = store_read(call, store, &req, 1);
    if (status == DP_NOT_FOUND)
        return call_fail(call, DP_NOT_FOUND, "there is no namespace \"%.*s\"", SPAN_FMT(name));
    if (status)
        return status;
    status = manifest_parse(req.bytes.span, out, &call->error);
    if (status)
        dp_error_prefix(&call->error, "%s", key.text);
    else if (version)
        *version = req.version;
    store_read_release(&req, 1);
    return status;
}
