/* manifest/parse.c: parses a manifest, and refuses one whose numbers contradict each other.
 *
 * It verifies the checksum first. Fields may come in any order. It refuses an unknown, missing or repeated field:
 * a program that does not know a field would drop it at its next swap.
 */
#include "index/manifest/parse_branches.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/array.h"
#include "index/schema_options.h"
#include "index/wal/entry.h"

enum { MODEL_NAME_MAX = 256, FINGERPRINT_MAX = 128 };

/* ---- fields ------------------------------------------------------------------------------------------ */

static int64_t read_time(struct manifest_parser *p)
{
    uint64_t ms = parser_number(p);
    if (ms > INT64_MAX)
        json_reject(&p->r, DP_CORRUPT, "a time is out of range");
    return ms > INT64_MAX ? 0 : (int64_t)ms;
}

/* Reads one of `count` names. Rejects another as unsupported. Returns its position, or 0. */
static int read_name(struct manifest_parser *p, const char *what, const char *const *names, int count)
{
    struct span name = {0};
    if (!json_read_string(&p->r, p->arena, &name))
        return 0;
    for (int i = 0; i < count; i++) {
        if (span_equal_str(name, names[i]))
            return i;
    }
    json_reject(&p->r, DP_UNSUPPORTED, "the %s \"%.*s\" is unknown: written by a newer version?", what,
                (int)(name.len > 40 ? 40 : name.len), (const char *)name.data);
    return 0;
}

static void read_features(struct manifest_parser *p)
{
    json_enter_array(&p->r);
    while (json_next_item(&p->r)) {
        uint32_t feature = 1u << read_name(p, "feature", manifest_feature_names, MANIFEST_FEATURES);
        if (!json_failed(&p->r) && (p->m->features & feature))
            json_reject(&p->r, DP_CORRUPT, "a feature occurs twice");
        p->m->features |= feature;
    }
}

static uint64_t read_hash(struct manifest_parser *p)
{
    struct span text = {0};
    uint64_t hash = 0;
    static const char digits[] = "0123456789abcdef";
    if (!json_read_string(&p->r, p->arena, &text))
        return 0;
    for (size_t i = 0; i < text.len && i < 16; i++) {
        const char *digit = memchr(digits, text.data[i], 16);
        if (!digit)
            text.len = 0;
        else
            hash = hash << 4 | (uint64_t)(digit - digits);
    }
    if (text.len != 16)
        json_reject(&p->r, DP_CORRUPT, "a hash is not 16 lower-case hexadecimal digits");
    return hash;
}

enum { NO_TIME = -1 };

/* Reads a writer: a JSON object, or in format version 1 a ULID. Early manifests of version 2 have no sequence: it stays
 * 0. */
static void read_writer(struct manifest_parser *p, struct manifest_writer *w)
{
    struct span key;
    unsigned seen = 0;
    *w = (struct manifest_writer){.at_ms = NO_TIME};
    if (json_peek(&p->r) == JSON_STRING) {
        parser_ulid(p, &w->id);
        return;
    }
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (parser_field(p, key, manifest_writer_fields, WRITER_FIELDS, &seen)) {
        case WRITER_ID: parser_ulid(p, &w->id); break;
        case WRITER_SEQUENCE: w->sequence = parser_number(p); break;
        case WRITER_AT: w->at_ms = read_time(p); break;
        default: return;
        }
    }
    parser_all_seen(p, manifest_writer_fields, WRITER_FIELDS, seen, 1u << WRITER_SEQUENCE);
    if (!json_failed(&p->r) && (seen & 1u << WRITER_SEQUENCE) && w->sequence == 0)
        json_reject(&p->r, DP_CORRUPT, "a writer's sequence is 0");
}

static void read_writers(struct manifest_parser *p)
{
    size_t room = 0;
    json_enter_array(&p->r);
    while (json_next_item(&p->r)) {
        struct manifest *m = p->m;
        if (m->writer_count == MANIFEST_WRITERS_MAX) {
            json_reject(&p->r, DP_CORRUPT, "more than %d writers", MANIFEST_WRITERS_MAX);
            return;
        }
        struct manifest_writer *writers =
            arena_reserve(p->arena, m->writers, m->writer_count, &room, sizeof *writers, MANIFEST_WRITERS_MIN);
        if (!writers) {
            p->nomem = true;
            return;
        }
        m->writers = writers;
        read_writer(p, &m->writers[m->writer_count]);
        if (json_failed(&p->r))
            return;
        m->writer_count++;
    }
}

/* Completes writers without a sequence: each made one of the latest swaps, and no swap has another writer. */
static void complete_writers(struct manifest *m)
{
    size_t n = m->writer_count;
    for (size_t i = 0; i < n; i++)
        m->writers[i].sequence = m->sequence - n + i + 1;
    m->writers_gone = m->sequence - n;
}

/* Rejects writers whose times or sequences do not rise or are after the manifest's. A writer without a time gets
 * updated_ms. */
static void check_writers(struct manifest_parser *p)
{
    struct manifest *m = p->m;
    const char *wrong = NULL;
    int64_t time = 0;
    uint64_t sequence = m->writers_gone;
    bool old = m->writer_count && m->writers[0].sequence == 0;
    if (sequence > m->sequence || (old && m->writer_count > m->sequence))
        wrong = "sequences";
    for (size_t i = 0; i < m->writer_count && !wrong; i++) {
        struct manifest_writer *w = &m->writers[i];
        w->at_ms = w->at_ms == NO_TIME ? m->updated_ms : w->at_ms;
        if (w->at_ms < time || w->at_ms > m->updated_ms)
            wrong = "times";
        if (old ? w->sequence != 0 : w->sequence <= sequence || w->sequence > m->sequence)
            wrong = "sequences";
        time = w->at_ms;
        sequence = w->sequence;
    }
    if (wrong)
        json_reject(&p->r, DP_CORRUPT, "its writers' %s are not in order", wrong);
    else if (old)
        complete_writers(m);
}

/* Reads the type of the elements of "vector": "f16" or "i8". */
static void read_element(struct manifest_parser *p)
{
    struct span text = parser_short_text(p, 8);
    if (span_equal_str(text, "f16"))
        p->m->schema.vector_element = ELEMENT_F16;
    else if (span_equal_str(text, "i8"))
        p->m->schema.vector_element = ELEMENT_I8;
    else
        json_reject(&p->r, DP_UNSUPPORTED, "unknown element \"%.*s\"", SPAN_FMT(text));
}

/* Returns the metric of this name. Rejects an unknown name. */
static enum index_metric metric_of(struct manifest_parser *p, struct span name)
{
    if (span_equal_str(name, manifest_metric_name(INDEX_EUCLIDEAN_SQUARED)))
        return INDEX_EUCLIDEAN_SQUARED;
    if (!span_equal_str(name, manifest_metric_name(INDEX_COSINE)))
        json_reject(&p->r, DP_UNSUPPORTED, "unknown metric \"%.*s\"", SPAN_FMT(name));
    return INDEX_COSINE;
}

static void read_vector_spec(struct manifest_parser *p)
{
    struct span key, metric = {0};
    unsigned seen = 0;
    uint64_t dim = 0, attribute = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (parser_field(p, key, manifest_vector_fields, VECTOR_FIELDS, &seen)) {
        case VECTOR_NUMBER: attribute = parser_number(p); break;
        case VECTOR_DIM: dim = parser_number(p); break;
        case VECTOR_METRIC: metric = parser_short_text(p, 64); break;
        case VECTOR_MODEL: p->m->vectors.model = parser_short_text(p, MODEL_NAME_MAX); break;
        case VECTOR_FINGERPRINT: p->m->vectors.fingerprint = parser_short_text(p, FINGERPRINT_MAX); break;
        case VECTOR_ELEMENT: read_element(p); break;
        default: return;
        }
    }
    parser_all_seen(p, manifest_vector_fields, VECTOR_FIELDS, seen, 1u << VECTOR_ELEMENT);
    if (json_failed(&p->r))
        return;
    if (attribute != VECTOR_ATTRIBUTE)
        json_reject(&p->r, DP_UNSUPPORTED, "the vector attribute has number %" PRIu64 ", not %d", attribute,
                    VECTOR_ATTRIBUTE);
    if (dim > INDEX_DIM_MAX)
        json_reject(&p->r, DP_CORRUPT, "dim %" PRIu64 " is outside 0..%d", dim, INDEX_DIM_MAX);
    else
        p->m->vectors.dim = (uint32_t)dim;
    p->m->vectors.metric = metric_of(p, metric);
}

static void read_external(struct manifest_parser *p)
{
    struct index_external *x = &p->m->external;
    struct span key, metric = {0};
    uint64_t dim = 0;
    unsigned seen = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (parser_field(p, key, manifest_external_fields, EXTERNAL_FIELDS, &seen)) {
        case EXTERNAL_URL: x->url = parser_short_text(p, INDEX_URL_MAX); break;
        case EXTERNAL_VERSION: x->version = parser_short_text(p, STORE_VERSION_MAX); break;
        case EXTERNAL_SIZE: x->size = parser_number(p); break;
        case EXTERNAL_VECTORS: x->vectors = parser_number(p); break;
        case EXTERNAL_DIM: dim = parser_number(p); break;
        case EXTERNAL_METRIC: metric = parser_short_text(p, 64); break;
        default: return;
        }
    }
    parser_all_seen(p, manifest_external_fields, EXTERNAL_FIELDS, seen, 0);
    if (json_failed(&p->r))
        return;
    if (dim == 0 || dim > INDEX_DIM_MAX || x->url.len == 0)
        json_reject(&p->r, DP_CORRUPT, "the external file has no URL, or %" PRIu64 " dimensions", dim);
    x->dim = (uint32_t)dim;
    x->metric = metric_of(p, metric);
}

static void read_attribute(struct manifest_parser *p)
{
    struct schema *schema = &p->m->schema;
    struct attribute a = {0};
    struct span key, type = {0}, options = {0};
    unsigned seen = 0;
    uint64_t number = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (parser_field(p, key, manifest_attribute_fields, ATTRIBUTE_FIELDS, &seen)) {
        case ATTRIBUTE_NUMBER: number = parser_number(p); break;
        case ATTRIBUTE_NAME: a.name = parser_short_text(p, SCHEMA_NAME_MAX); break;
        case ATTRIBUTE_TYPE: type = parser_short_text(p, 64); break;
        case ATTRIBUTE_OPTIONS: json_read_raw(&p->r, &options); break;
        case ATTRIBUTE_FINGERPRINT: a.fingerprint = parser_short_text(p, FINGERPRINT_MAX); break;
        case ATTRIBUTE_DROPPED: json_read_bool(&p->r, &a.dropped); break;
        default: return;
        }
    }
    parser_all_seen(p, manifest_attribute_fields, ATTRIBUTE_FIELDS, seen,
                    1u << ATTRIBUTE_OPTIONS | 1u << ATTRIBUTE_FINGERPRINT | 1u << ATTRIBUTE_DROPPED);
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
        json_reject(&p->r, DP_CORRUPT, "attribute \"%.*s\" occurs twice", SPAN_FMT(a.name));
    else if (!attribute_type_parse(type, &a))
        json_reject(&p->r, DP_UNSUPPORTED, "attribute type \"%.*s\" is unknown", SPAN_FMT(type));
    else {
        enum dp_status status =
            schema_set_options(&a, options.len ? options : span_str("{}"), false, p->arena, &error);
        if (status == DP_OK)
            status = schema_add(schema, p->arena, &a, &error);
        if (status == DP_OK)
            schema->attributes[schema->count - 1].number = (uint32_t)number;
        else if (status == DP_NOMEM)
            p->nomem = true;
        else
            json_reject(&p->r, DP_UNSUPPORTED, "%.100s", error.message);
    }
}

/* Reads the kind of the ids. */
static void read_id_type(struct manifest_parser *p)
{
    struct span text = parser_short_text(p, 16);
    if (!id_kind_parse(text, &p->m->schema.id_kind))
        json_reject(&p->r, DP_UNSUPPORTED, "unknown type of ids \"%.*s\"", SPAN_FMT(text));
}

/* Reads a JSON object whose fields are all numbers: field i into *out[i]. */
static void read_numbers(struct manifest_parser *p, const char *const *fields, int count, uint64_t *const *out)
{
    struct span key;
    unsigned seen = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        int field = parser_field(p, key, fields, count, &seen);
        if (field < 0)
            return;
        *out[field] = parser_number(p);
    }
    parser_all_seen(p, fields, count, seen, 0);
}

static void read_deleted(struct manifest_parser *p, struct manifest_segment *s)
{
    struct span key;
    unsigned seen = 0;
    s->has_deleted = true;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (parser_field(p, key, manifest_deleted_fields, DELETED_FIELDS, &seen)) {
        case DELETED_ID: parser_ulid(p, &s->deletion); break;
        case DELETED_ROWS: s->deleted_rows = parser_number(p); break;
        case DELETED_SIZE: s->deleted_size = parser_number(p); break;
        case DELETED_OWNER: s->deleted_owner = parser_owner_place(p); break;
        default: return;
        }
    }
    parser_all_seen(p, manifest_deleted_fields, DELETED_FIELDS, seen, 1u << DELETED_OWNER);
}

static void read_segment(struct manifest_parser *p, struct manifest_segment *s)
{
    uint64_t *const ivf[IVF_FIELDS] = {&s->ivf_size, &s->ivf_head};
    uint64_t *const dpr[DPR_FIELDS] = {&s->dpr_size, &s->hot_offset, &s->hot_len};
    struct span key;
    unsigned seen = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (parser_field(p, key, manifest_segment_fields, SEGMENT_FIELDS, &seen)) {
        case SEGMENT_ID: parser_ulid(p, &s->id); break;
        case SEGMENT_ROWS: s->rows = parser_number(p); break;
        case SEGMENT_VECTORS: s->vectors = parser_number(p); break;
        case SEGMENT_IVF: read_numbers(p, manifest_ivf_fields, IVF_FIELDS, ivf); break;
        case SEGMENT_DPR: read_numbers(p, manifest_dpr_fields, DPR_FIELDS, dpr); break;
        case SEGMENT_DELETED: read_deleted(p, s); break;
        case SEGMENT_OWNER: s->owner = parser_owner_place(p); break;
        case SEGMENT_CENTROIDS: json_read_bool(&p->r, &s->centroids); break;
        case SEGMENT_FULL: json_read_bool(&p->r, &s->full); break;
        default: return;
        }
    }
    parser_all_seen(p, manifest_segment_fields, SEGMENT_FIELDS, seen, SEGMENT_OPTIONAL);
}

/* Reads an array of segments. */
static void read_segments(struct manifest_parser *p, struct manifest_segment **out, size_t *out_count)
{
    struct manifest_segment *list = NULL;
    size_t count = 0, room = 0;
    json_enter_array(&p->r);
    while (json_next_item(&p->r)) {
        struct manifest_segment *grown = arena_reserve(p->arena, list, count, &room, sizeof *grown, 8);
        if (!grown || count == 2 * MANIFEST_SEGMENTS_MAX) {
            p->nomem = true;
            return;
        }
        list = grown;
        list[count] = (struct manifest_segment){0};
        read_segment(p, &list[count]);
        if (json_failed(&p->r))
            return;
        count++;
    }
    *out = list;
    *out_count = count;
}

static void read_claim(struct manifest_parser *p)
{
    struct manifest_claim claim = {0};
    struct span key;
    unsigned seen = 0;
    int kind = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (parser_field(p, key, manifest_claim_fields, CLAIM_FIELDS, &seen)) {
        case CLAIM_FIELD_KIND: kind = read_name(p, "claim", manifest_claim_kinds, CLAIM_KINDS); break;
        case CLAIM_FIELD_NODE: parser_ulid(p, &claim.node); break;
        case CLAIM_FIELD_UNTIL: claim.until_ms = read_time(p); break;
        default: return;
        }
    }
    parser_all_seen(p, manifest_claim_fields, CLAIM_FIELDS, seen, 0);
    if (!json_failed(&p->r) && (claim.until_ms == 0 || p->m->claims[kind].until_ms))
        json_reject(&p->r, DP_CORRUPT, "two claims to %s, or one without an end", manifest_claim_kinds[kind]);
    p->m->claims[kind] = claim;
}

static void read_pending_load(struct manifest_parser *p, struct manifest_pending *load)
{
    struct span key;
    unsigned seen = 0;
    json_enter_object(&p->r);
    while (!p->nomem && json_next_key(&p->r, p->arena, &key)) {
        switch (parser_field(p, key, manifest_pending_fields, PENDING_FIELDS, &seen)) {
        case PENDING_LOAD: parser_ulid(p, &load->load); break;
        case PENDING_AT: load->at_ms = read_time(p); break;
        case PENDING_SEGMENTS: read_segments(p, &load->segments, &load->segment_count); break;
        default: return;
        }
    }
    parser_all_seen(p, manifest_pending_fields, PENDING_FIELDS, seen, 0);
}

static void read_pending(struct manifest_parser *p)
{
    struct manifest *m = p->m;
    size_t room = 0;
    json_enter_array(&p->r);
    while (!p->nomem && json_next_item(&p->r)) {
        struct manifest_pending *grown =
            arena_reserve(p->arena, m->pending, m->pending_count, &room, sizeof *grown, 4);
        if (!grown) {
            p->nomem = true;
            return;
        }
        m->pending = grown;
        if (m->pending_count == MANIFEST_PENDING_MAX) {
            json_reject(&p->r, DP_CORRUPT, "more than %d pending loads", MANIFEST_PENDING_MAX);
            return;
        }
        m->pending[m->pending_count] = (struct manifest_pending){0};
        read_pending_load(p, &m->pending[m->pending_count]);
        if (json_failed(&p->r))
            return;
        m->pending_count++;
    }
}

static void read_keys(struct manifest_parser *p)
{
    struct manifest_keys *keys = &p->m->keys;
    struct span key;
    unsigned seen = 0;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (parser_field(p, key, manifest_keys_fields, KEYS_FIELDS, &seen)) {
        case KEYS_ID: parser_ulid(p, &keys->id); break;
        case KEYS_SIZE: keys->size = parser_number(p); break;
        case KEYS_COUNT: keys->count = parser_number(p); break;
        default: return;
        }
    }
    parser_all_seen(p, manifest_keys_fields, KEYS_FIELDS, seen, 0);
    if (!json_failed(&p->r) && keys->size == 0)
        json_reject(&p->r, DP_CORRUPT, "an object of keys has no bytes");
}

/* The fields whose values read_top() judges when it has seen all. */
struct top_values {
    struct span format;
    uint64_t version, shards;
    bool has_chain;
};

static void read_version(struct manifest_parser *p, struct top_values *v)
{
    v->version = parser_number(p);
    if (!json_failed(&p->r) && (v->version < MANIFEST_VERSION_OLDEST || v->version > MANIFEST_VERSION))
        json_reject(&p->r, DP_UNSUPPORTED, "it has format version %" PRIu64 "; this build reads %d to %d",
                    v->version, MANIFEST_VERSION_OLDEST, MANIFEST_VERSION);
}

static void read_top_value(struct manifest_parser *p, enum top_field field, struct top_values *v)
{
    struct manifest *m = p->m;
    switch (field) {
    case TOP_FORMAT: v->format = parser_short_text(p, 64); break;
    case TOP_VERSION: read_version(p, v); break;
    case TOP_STATE:
        m->state = (enum namespace_state)read_name(p, "state", manifest_state_names, NAMESPACE_STATES);
        break;
    case TOP_FEATURES: read_features(p); break;
    case TOP_SEQUENCE: m->sequence = parser_number(p); break;
    case TOP_INCARNATION: parser_ulid(p, &m->incarnation); break;
    case TOP_WRITERS: read_writers(p); break;
    case TOP_WRITERS_GONE: m->writers_gone = parser_number(p); break;
    case TOP_CREATED: m->created_ms = read_time(p); break;
    case TOP_UPDATED: m->updated_ms = read_time(p); break;
    case TOP_WAL_FLOOR: m->wal_floor = parser_number(p); break;
    case TOP_WAL_GONE: m->wal_gone = parser_number(p); break;
    case TOP_WAL_CHAIN:
        m->wal_chain = read_hash(p);
        v->has_chain = true;
        break;
    case TOP_HORIZON: parser_ulid(p, &m->horizon); break;
    case TOP_CLAIMS:
        json_enter_array(&p->r);
        while (json_next_item(&p->r))
            read_claim(p);
        break;
    case TOP_PINS: parser_pins(p); break;
    case TOP_OWNERS: parser_owners(p); break;
    case TOP_READ_ONLY: json_read_bool(&p->r, &m->read_only); break;
    case TOP_NUM_SHARDS: v->shards = parser_number(p); break;
    case TOP_VECTOR: read_vector_spec(p); break;
    case TOP_ID_TYPE: read_id_type(p); break;
    case TOP_SCHEMA:
        json_enter_array(&p->r);
        while (!p->nomem && json_next_item(&p->r))
            read_attribute(p);
        break;
    case TOP_SEGMENTS: read_segments(p, &m->segments, &m->segment_count); break;
    case TOP_PENDING: read_pending(p); break;
    case TOP_KEYS: read_keys(p); break;
    case TOP_EXTERNAL: read_external(p); break;
    case TOP_FIELDS: break;
    }
}

static void read_top(struct manifest_parser *p)
{
    struct manifest *m = p->m;
    struct top_values v = {0};
    struct span key;
    unsigned seen = 0;
    json_enter_object(&p->r);
    while (!p->nomem && json_next_key(&p->r, p->arena, &key)) {
        int field = parser_field(p, key, manifest_top_fields, TOP_FIELDS, &seen);
        if (field < 0)
            return;
        read_top_value(p, (enum top_field)field, &v);
    }
    parser_all_seen(p, manifest_top_fields, TOP_FIELDS, seen, TOP_OPTIONAL);
    json_end(&p->r);
    if (json_failed(&p->r) || p->nomem)
        return;
    if (!span_equal_str(v.format, MANIFEST_FORMAT))
        json_reject(&p->r, DP_CORRUPT, "\"format\" is not \"%s\"", MANIFEST_FORMAT);
    if (v.shards != 1)
        json_reject(&p->r, DP_UNSUPPORTED, "it has %" PRIu64 " shards; this build reads 1", v.shards);
    if (m->updated_ms < m->created_ms)
        json_reject(&p->r, DP_CORRUPT, "its times are not in order");
    if (!v.has_chain)
        m->wal_chain = wal_chain_start(&m->incarnation);
    if (!json_failed(&p->r))
        check_writers(p);
}

/* ---- the whole --------------------------------------------------------------------------------------- */

enum dp_status manifest_parse(struct span bytes, struct manifest *out, struct dp_error *error)
{
    if (bytes.len > MANIFEST_BYTES_MAX)
        return dp_fail(error, DP_CORRUPT, "%zu bytes are more than a manifest's %d", bytes.len,
                       MANIFEST_BYTES_MAX);
    if (!manifest_checksum_fits(bytes))
        return dp_fail(error, DP_CORRUPT, "its checksum does not fit its %zu bytes", bytes.len);
    manifest_init(out);
    /* The bytes before the tail are a JSON object without its closing brace. The copy gets the brace. */
    size_t covered = bytes.len - MANIFEST_TAIL_LEN;
    uint8_t *text = mem_alloc(covered + 1);
    enum dp_status status = DP_OK;
    if (!text) {
        status = dp_fail_nomem(error, "a manifest");
        goto out;
    }
    memcpy(text, bytes.data, covered);
    text[covered] = '}';
    struct manifest_parser p = {.m = out, .arena = &out->arena};
    json_reader_init(&p.r, span_of(text, covered + 1));
    read_top(&p);
    if (p.nomem)
        status = dp_fail_nomem(error, "a manifest");
    else if (json_failed(&p.r)) {
        status = json_error(&p.r, error);
        if (status == DP_INVALID) /* the JSON reader's status for text that is not JSON */
            status = dp_restatus(error, DP_CORRUPT);
    } else
        status = manifest_check(out, error);
out:
    mem_free(text);
    if (status)
        manifest_deinit(out);
    return status;
}
