/* manifest/write.c: prints a manifest. The grammar, in the order of the fields:
 *
 * {
 *   "format": "dipper-namespace",
 *   "version": 2,
 *   "state": "live",                     or "deleted": a tombstone, without schema, segments and pending loads
 *   "features": [],                      names of features ("log", "external"); a parser refuses a manifest with an unknown one
 *   "sequence": 3,                       swaps so far
 *   "incarnation": ULID,                 one life of the namespace; folder of its objects
 *   "writers": [                         writers and their latest swaps, newest last; at most 256
 *     {"id": ULID, "sequence": 3, "at_ms": 1700000000000}, …
 *   ],
 *   "writers_gone": 0,                   sequence of the latest swap whose writer was dropped
 *   "created_ms": 1700000000000,         Unix time in ms
 *   "updated_ms": 1700000000000,
 *   "wal_floor": 0,
 *   "wal_gone": 0,                       ≤ wal_floor
 *   "wal_chain": "0123456789abcdef",     hash of log entry wal_floor; 0: of the incarnation
 *   "horizon": ULID,
 *   "claims": [                          at most one of each kind ("fold", "merge", "gc")
 *     {"kind": "fold", "node": ULID, "until_ms": 1700000000000}, …
 *   ],
 *   "pins": [                            branches that list objects of this namespace; at most 64
 *     {"id": ULID, "incarnation": ULID, "size": 1, "branch": "…", "branch_incarnation": ULID}, …
 *   ],
 *   "owners": [                          left out when empty: other namespaces whose objects this one lists
 *     {"name": "…", "incarnation": ULID}, …
 *   ],
 *   "read_only": false,
 *   "num_shards": 1,
 *   "vector": {"attribute": 1, "dim": 384, "metric": "cosine_distance", "model": "…", "fingerprint": "…"},
 *                                        "element": "f16" or "i8" only if declared so
 *   "id_type": "uint",                   "string" or "uuid"; left out while the ids may be of several kinds
 *   "schema": [
 *     {"number": 2, "name": "section", "type": "string",
 *      "options": {"filterable":false},                          only if declared (index/schema_options.h)
 *      "dropped": true}, …                                       only of a dropped attribute
 *   ],
 *   "segments": [
 *     {"id": ULID, "rows": 10, "vectors": 12, "ivf": {"size": 1, "head": 1},
 *      "dpr": {"size": 1, "hot_offset": 1, "hot_length": 1},
 *      "deleted": {"id": ULID, "rows": 1, "size": 1},           only with deleted rows
 *      "owner": 1}, …                      only of another namespace's: its place in "owners", from 1; "deleted" may
 *                                          have an "owner", too
 *   ],
 *   "pending": [
 *     {"load": ULID, "at_ms": 1700000000000, "segments": […]}, …     segments as above
 *   ],
 *   "keys": {"id": ULID, "size": 121, "count": 1},               only with a .keys object (wal/write_key.h)
 *   "external": {"url": "s3://…", "version": "…", "size": 1, "vectors": 1, "dim": 384,
 *                "metric": "cosine_distance"},                 only if a FAISS file has the vectors
 *   "checksum": "0123456789abcdef"
 * }
 *
 * The checksum is XXH3-64 of all bytes before `,\n  "checksum"`, as 16 lower-case hexadecimal digits. The bytes
 * from there to the end must be exactly as printed above. So a reader verifies every byte of the file: these bytes by
 * comparing, all others by the checksum.
 */
#include "index/manifest/format.h"

#include <inttypes.h>

#include "base/json.h"

static void put_text(struct buffer *out, struct span text)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_string(&w, text);
}

static void put_ulid(struct buffer *out, const struct ulid *id)
{
    put_text(out, ulid_span(id));
}

static void put_number(struct buffer *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    buffer_append(out, span_of(digits + at, sizeof digits - at));
}

/* Appends the name of a field of the manifest, at the start of a line. */
static void put_top(struct buffer *out, enum top_field field)
{
    buffer_append_str(out, field == 0 ? "{\n  \"" : ",\n  \"");
    buffer_append_str(out, manifest_top_fields[field]);
    buffer_append_str(out, "\": ");
}

/* Appends the name of a field of a JSON object that has one line. */
static void put_field(struct buffer *out, const char *const *fields, int field)
{
    buffer_append_str(out, field == 0 ? "{\"" : ", \"");
    buffer_append_str(out, fields[field]);
    buffer_append_str(out, "\": ");
}

static void put_numbers(struct buffer *out, const char *const *fields, int count, const uint64_t *numbers)
{
    for (int i = 0; i < count; i++) {
        put_field(out, fields, i);
        put_number(out, numbers[i]);
    }
    buffer_append_str(out, "}");
}

static void put_writers(struct buffer *out, const struct manifest *m)
{
    const char *const *fields = manifest_writer_fields;
    buffer_append_str(out, "[");
    for (size_t i = 0; i < m->writer_count; i++) {
        buffer_append_str(out, i ? ",\n    " : "\n    ");
        put_field(out, fields, WRITER_ID);
        put_ulid(out, &m->writers[i].id);
        put_field(out, fields, WRITER_SEQUENCE);
        put_number(out, m->writers[i].sequence);
        put_field(out, fields, WRITER_AT);
        put_number(out, (uint64_t)m->writers[i].at_ms);
        buffer_append_str(out, "}");
    }
    buffer_append_str(out, m->writer_count ? "\n  ]" : "]");
}

static void put_vector(struct buffer *out, const struct manifest *m)
{
    const char *const *fields = manifest_vector_fields;
    put_field(out, fields, VECTOR_NUMBER);
    put_number(out, VECTOR_ATTRIBUTE);
    put_field(out, fields, VECTOR_DIM);
    put_number(out, m->vectors.dim);
    put_field(out, fields, VECTOR_METRIC);
    put_text(out, span_str(manifest_metric_name(m->vectors.metric)));
    put_field(out, fields, VECTOR_MODEL);
    put_text(out, m->vectors.model);
    put_field(out, fields, VECTOR_FINGERPRINT);
    put_text(out, m->vectors.fingerprint);
    if (m->schema.vector_element != ELEMENT_F32) {
        put_field(out, fields, VECTOR_ELEMENT);
        put_text(out, span_str(m->schema.vector_element == ELEMENT_F16 ? "f16" : "i8"));
    }
    buffer_append_str(out, "}");
}

static void put_schema(struct buffer *out, const struct schema *schema)
{
    const char *const *fields = manifest_attribute_fields;
    char type[ATTRIBUTE_TYPE_ROOM];
    buffer_append_str(out, "[");
    for (size_t i = 0; i < schema->count; i++) {
        const struct attribute *a = &schema->attributes[i];
        buffer_append_str(out, i ? ",\n    " : "\n    ");
        put_field(out, fields, ATTRIBUTE_NUMBER);
        put_number(out, a->number);
        put_field(out, fields, ATTRIBUTE_NAME);
        put_text(out, a->name);
        put_field(out, fields, ATTRIBUTE_TYPE);
        put_text(out, span_str(attribute_type_print(a, type)));
        if (a->options.len) {
            put_field(out, fields, ATTRIBUTE_OPTIONS);
            buffer_append(out, a->options);
        }
        if (a->fingerprint.len) {
            put_field(out, fields, ATTRIBUTE_FINGERPRINT);
            put_text(out, a->fingerprint);
        }
        if (a->dropped) {
            put_field(out, fields, ATTRIBUTE_DROPPED);
            buffer_append_str(out, "true");
        }
        buffer_append_str(out, "}");
    }
    buffer_append_str(out, schema->count ? "\n  ]" : "]");
}

static void put_deleted(struct buffer *out, const struct manifest_segment *s)
{
    const char *const *fields = manifest_deleted_fields;
    put_field(out, fields, DELETED_ID);
    put_ulid(out, &s->deletion);
    put_field(out, fields, DELETED_ROWS);
    put_number(out, s->deleted_rows);
    put_field(out, fields, DELETED_SIZE);
    put_number(out, s->deleted_size);
    if (s->deleted_owner) {
        put_field(out, fields, DELETED_OWNER);
        put_number(out, s->deleted_owner);
    }
    buffer_append_str(out, "}");
}

static void put_segment(struct buffer *out, const struct manifest_segment *s)
{
    const char *const *fields = manifest_segment_fields;
    const uint64_t ivf[IVF_FIELDS] = {s->ivf_size, s->ivf_head};
    const uint64_t dpr[DPR_FIELDS] = {s->dpr_size, s->hot_offset, s->hot_len};
    put_field(out, fields, SEGMENT_ID);
    put_ulid(out, &s->id);
    put_field(out, fields, SEGMENT_ROWS);
    put_number(out, s->rows);
    put_field(out, fields, SEGMENT_VECTORS);
    put_number(out, s->vectors);
    put_field(out, fields, SEGMENT_IVF);
    put_numbers(out, manifest_ivf_fields, IVF_FIELDS, ivf);
    put_field(out, fields, SEGMENT_DPR);
    put_numbers(out, manifest_dpr_fields, DPR_FIELDS, dpr);
    if (s->centroids) {
        put_field(out, fields, SEGMENT_CENTROIDS);
        buffer_append_str(out, "true");
    }
    if (s->full) {
        put_field(out, fields, SEGMENT_FULL);
        buffer_append_str(out, "true");
    }
    if (s->has_deleted) {
        put_field(out, fields, SEGMENT_DELETED);
        put_deleted(out, s);
    }
    if (s->owner) {
        put_field(out, fields, SEGMENT_OWNER);
        put_number(out, s->owner);
    }
    buffer_append_str(out, "}");
}

static void put_segments(struct buffer *out, const struct manifest_segment *list, size_t count)
{
    buffer_append_str(out, "[");
    for (size_t i = 0; i < count; i++) {
        buffer_append_str(out, i ? ",\n    " : "\n    ");
        put_segment(out, &list[i]);
    }
    buffer_append_str(out, count ? "\n  ]" : "]");
}

static void put_pending(struct buffer *out, const struct manifest *m)
{
    const char *const *fields = manifest_pending_fields;
    buffer_append_str(out, "[");
    for (size_t i = 0; i < m->pending_count; i++) {
        const struct manifest_pending *load = &m->pending[i];
        buffer_append_str(out, i ? ",\n    " : "\n    ");
        put_field(out, fields, PENDING_LOAD);
        put_ulid(out, &load->load);
        put_field(out, fields, PENDING_AT);
        put_number(out, (uint64_t)load->at_ms);
        put_field(out, fields, PENDING_SEGMENTS);
        put_segments(out, load->segments, load->segment_count);
        buffer_append_str(out, "}");
    }
    buffer_append_str(out, m->pending_count ? "\n  ]" : "]");
}

static void put_pins(struct buffer *out, const struct manifest *m)
{
    const char *const *fields = manifest_pin_fields;
    buffer_append_str(out, "[");
    for (size_t i = 0; i < m->pin_count; i++) {
        const struct manifest_pin *pin = &m->pins[i];
        buffer_append_str(out, i ? ",\n    " : "\n    ");
        put_field(out, fields, PIN_ID);
        put_ulid(out, &pin->id);
        put_field(out, fields, PIN_INCARNATION);
        put_ulid(out, &pin->incarnation);
        put_field(out, fields, PIN_SIZE);
        put_number(out, pin->size);
        put_field(out, fields, PIN_BRANCH);
        put_text(out, pin->branch);
        put_field(out, fields, PIN_BRANCH_INCARNATION);
        put_ulid(out, &pin->branch_incarnation);
        buffer_append_str(out, "}");
    }
    buffer_append_str(out, m->pin_count ? "\n  ]" : "]");
}

static void put_owners(struct buffer *out, const struct manifest *m)
{
    buffer_append_str(out, "[");
    for (size_t i = 0; i < m->owner_count; i++) {
        buffer_append_str(out, i ? ",\n    " : "\n    ");
        put_field(out, manifest_owner_fields, OWNER_NAME);
        put_text(out, m->owners[i].name);
        put_field(out, manifest_owner_fields, OWNER_INCARNATION);
        put_ulid(out, &m->owners[i].incarnation);
        buffer_append_str(out, "}");
    }
    buffer_append_str(out, m->owner_count ? "\n  ]" : "]");
}

static void put_features(struct buffer *out, uint32_t features)
{
    const char *comma = "";
    buffer_append_str(out, "[");
    for (int i = 0; i < MANIFEST_FEATURES; i++) {
        if (features & 1u << i) {
            buffer_append_str(out, comma);
            put_text(out, span_str(manifest_feature_names[i]));
            comma = ", ";
        }
    }
    buffer_append_str(out, "]");
}

static void put_claims(struct buffer *out, const struct manifest *m)
{
    const char *const *fields = manifest_claim_fields;
    const char *separator = "\n    ", *end = "]";
    buffer_append_str(out, "[");
    for (enum claim_kind kind = 0; kind < CLAIM_KINDS; kind++) {
        if (m->claims[kind].until_ms == 0)
            continue;
        buffer_append_str(out, separator);
        put_field(out, fields, CLAIM_FIELD_KIND);
        put_text(out, span_str(manifest_claim_kinds[kind]));
        put_field(out, fields, CLAIM_FIELD_NODE);
        put_ulid(out, &m->claims[kind].node);
        put_field(out, fields, CLAIM_FIELD_UNTIL);
        put_number(out, (uint64_t)m->claims[kind].until_ms);
        buffer_append_str(out, "}");
        separator = ",\n    ";
        end = "\n  ]";
    }
    buffer_append_str(out, end);
}

static void put_keys(struct buffer *out, const struct manifest_keys *keys)
{
    const char *const *fields = manifest_keys_fields;
    put_field(out, fields, KEYS_ID);
    put_ulid(out, &keys->id);
    put_field(out, fields, KEYS_SIZE);
    put_number(out, keys->size);
    put_field(out, fields, KEYS_COUNT);
    put_number(out, keys->count);
    buffer_append_str(out, "}");
}

static void put_external(struct buffer *out, const struct index_external *x)
{
    const char *const *fields = manifest_external_fields;
    put_field(out, fields, EXTERNAL_URL);
    put_text(out, x->url);
    put_field(out, fields, EXTERNAL_VERSION);
    put_text(out, x->version);
    put_field(out, fields, EXTERNAL_SIZE);
    put_number(out, x->size);
    put_field(out, fields, EXTERNAL_VECTORS);
    put_number(out, x->vectors);
    put_field(out, fields, EXTERNAL_DIM);
    put_number(out, x->dim);
    put_field(out, fields, EXTERNAL_METRIC);
    put_text(out, span_str(manifest_metric_name(x->metric)));
    buffer_append_str(out, "}");
}

static void put_value(struct buffer *out, const struct manifest *m, enum top_field field)
{
    switch (field) {
    case TOP_FORMAT: put_text(out, span_str(MANIFEST_FORMAT)); break;
    case TOP_VERSION: put_number(out, MANIFEST_VERSION); break;
    case TOP_STATE: put_text(out, span_str(manifest_state_names[m->state])); break;
    case TOP_FEATURES: put_features(out, m->features); break;
    case TOP_SEQUENCE: put_number(out, m->sequence); break;
    case TOP_INCARNATION: put_ulid(out, &m->incarnation); break;
    case TOP_WRITERS: put_writers(out, m); break;
    case TOP_WRITERS_GONE: put_number(out, m->writers_gone); break;
    case TOP_CREATED: put_number(out, (uint64_t)m->created_ms); break;
    case TOP_UPDATED: put_number(out, (uint64_t)m->updated_ms); break;
    case TOP_WAL_FLOOR: put_number(out, m->wal_floor); break;
    case TOP_WAL_GONE: put_number(out, m->wal_gone); break;
    case TOP_WAL_CHAIN: buffer_printf(out, "\"%016" PRIx64 "\"", m->wal_chain); break;
    case TOP_HORIZON: put_ulid(out, &m->horizon); break;
    case TOP_CLAIMS: put_claims(out, m); break;
    case TOP_PINS: put_pins(out, m); break;
    case TOP_OWNERS: put_owners(out, m); break;
    case TOP_READ_ONLY: buffer_append_str(out, m->read_only ? "true" : "false"); break;
    case TOP_NUM_SHARDS: put_number(out, m->num_shards); break;
    case TOP_VECTOR: put_vector(out, m); break;
    case TOP_ID_TYPE: put_text(out, span_str(id_kind_name(m->schema.id_kind))); break;
    case TOP_SCHEMA: put_schema(out, &m->schema); break;
    case TOP_SEGMENTS: put_segments(out, m->segments, m->segment_count); break;
    case TOP_PENDING: put_pending(out, m); break;
    case TOP_KEYS: put_keys(out, &m->keys); break;
    case TOP_EXTERNAL: put_external(out, &m->external); break;
    case TOP_FIELDS: break;
    }
}

enum dp_status manifest_write(const struct manifest *m, struct buffer *out, struct dp_error *error)
{
    size_t start = out->len;
    for (enum top_field field = 0; field < TOP_FIELDS; field++) {
        if ((field == TOP_ID_TYPE && m->schema.id_kind == ID_ANY) ||
            (field == TOP_OWNERS && m->owner_count == 0) || (field == TOP_KEYS && m->keys.size == 0) ||
            (field == TOP_EXTERNAL && m->external.url.len == 0))
            continue;
        put_top(out, field);
        put_value(out, m, field);
    }
    enum dp_status status = buffer_check(out, "a manifest", error);
    if (status)
        return status;
    manifest_put_checksum(out, start);
    status = buffer_check(out, "a manifest", error);
    if (status == DP_OK && out->len - start > MANIFEST_BYTES_MAX)
        status =
            dp_fail(error, DP_TOO_LARGE,
                    "the manifest would have %zu bytes, more than %d: the namespace has too many segments (%zu)",
                    out->len - start, MANIFEST_BYTES_MAX, m->segment_count);
    return status;
}
