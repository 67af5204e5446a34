/* transfer_parse.c: parses the lines of an exported namespace. */
#include "base/array.h"
#include "base/base64.h"
#include "base/json.h"
#include "index/id.h"
#include "index/schema_declare.h"
#include "service/transfer_line.h"

static const char *const metric_names[] = {
    [INDEX_COSINE] = "cosine_distance", [INDEX_EUCLIDEAN_SQUARED] = "euclidean_squared"};

/* ---- the head ------------------------------------------------------------------------------------------ */

enum transfer_field {
    HEAD_VERSION,
    HEAD_NAMESPACE,
    HEAD_ROWS,
    HEAD_METRIC,
    HEAD_MODEL,
    HEAD_FINGERPRINT,
    HEAD_FILE,
    HEAD_SCHEMA,
    HEAD_FIELDS
};

enum { FINGERPRINT_LEN = 64 };

static const char *const head_names[HEAD_FIELDS] = {
    "dipper_export", "namespace", "rows", "distance_metric", "model", "fingerprint", "faiss_file", "schema"};

enum file_field { FILE_URL, FILE_VERSION, FILE_SIZE, FILE_VECTORS, FILE_DIM, FILE_FIELDS };

static const char *const file_names[FILE_FIELDS] = {"url", "version", "size", "vectors", "dim"};

struct head_parse {
    struct json_reader r;
    struct arena *arena;
    struct transfer_head *head;
    bool seen[HEAD_FIELDS];
    struct span schema;
};

static void read_version(struct head_parse *p)
{
    struct json_reader before = p->r;
    uint64_t version;
    if (json_read_u64(&p->r, &version) && version == TRANSFER_VERSION)
        return;
    p->r = before;
    json_reject(&p->r, DP_UNSUPPORTED, "this version reads exports of format %d only", TRANSFER_VERSION);
}

static void read_metric(struct head_parse *p)
{
    struct json_reader before = p->r;
    struct span name;
    if (!json_read_string(&p->r, p->arena, &name))
        return;
    for (int i = 0; i < 2; i++) {
        if (span_equal_str(name, metric_names[i])) {
            p->head->vectors.metric = (enum index_metric)i;
            return;
        }
    }
    p->r = before;
    json_reject(&p->r, DP_INVALID, "\"distance_metric\" must be \"%s\" or \"%s\"", metric_names[0],
                metric_names[1]);
}

static void read_file_field(struct head_parse *p, enum file_field field)
{
    struct index_external *x = &p->head->external;
    uint64_t dim = 0;
    switch (field) {
    case FILE_URL: json_read_string(&p->r, p->arena, &x->url); break;
    case FILE_VERSION: json_read_string(&p->r, p->arena, &x->version); break;
    case FILE_SIZE: json_read_u64(&p->r, &x->size); break;
    case FILE_VECTORS: json_read_u64(&p->r, &x->vectors); break;
    case FILE_DIM:
        if (json_read_u64(&p->r, &dim) && (dim == 0 || dim > INDEX_DIM_MAX))
            json_reject(&p->r, DP_INVALID, "\"dim\" must be 1 to %d", INDEX_DIM_MAX);
        x->dim = (uint32_t)dim;
        break;
    case FILE_FIELDS: json_reject(&p->r, DP_UNSUPPORTED, "this version does not know the field"); break;
    }
}

static void read_file(struct head_parse *p)
{
    bool seen[FILE_FIELDS] = {false};
    struct span name;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &name)) {
        enum file_field field = 0;
        while (field < FILE_FIELDS && !span_equal_str(name, file_names[field]))
            field++;
        read_file_field(p, field);
        if (field < FILE_FIELDS)
            seen[field] = true;
    }
    for (enum file_field field = 0; field < FILE_FIELDS; field++) {
        if (!seen[field] && !json_failed(&p->r))
            json_reject(&p->r, DP_INVALID, "\"faiss_file\" lacks \"%s\"", file_names[field]);
    }
    const struct index_external *x = &p->head->external;
    if (!json_failed(&p->r) &&
        (x->url.len == 0 || x->url.len > INDEX_URL_MAX || x->version.len > STORE_VERSION_MAX))
        json_reject(&p->r, DP_INVALID, "the URL of the FAISS file has 1 to %d bytes, its version at most %d",
                    INDEX_URL_MAX, STORE_VERSION_MAX);
}

static void read_head_field(struct head_parse *p, enum transfer_field field)
{
    struct transfer_head *head = p->head;
    switch (field) {
    case HEAD_VERSION: read_version(p); break;
    case HEAD_NAMESPACE: json_read_string(&p->r, p->arena, &head->namespace); break;
    case HEAD_ROWS: head->has_rows = json_read_u64(&p->r, &head->rows); break;
    case HEAD_METRIC: read_metric(p); break;
    case HEAD_MODEL: json_read_string(&p->r, p->arena, &head->vectors.model); break;
    case HEAD_FINGERPRINT: json_read_string(&p->r, p->arena, &head->vectors.fingerprint); break;
    case HEAD_FILE: read_file(p); break;
    case HEAD_SCHEMA: json_read_raw(&p->r, &p->schema); break;
    case HEAD_FIELDS: break;
    }
}

static enum transfer_field find_head_field(struct span name)
{
    enum transfer_field field = 0;
    while (field < HEAD_FIELDS && !span_equal_str(name, head_names[field]))
        field++;
    return field;
}

static void read_head(struct head_parse *p)
{
    struct span name;
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &name)) {
        enum transfer_field field = find_head_field(name);
        if (field == HEAD_FIELDS)
            json_reject(&p->r, DP_UNSUPPORTED, "the head has a field that this version does not know");
        else if (p->seen[field])
            json_reject(&p->r, DP_INVALID, "the head has \"%s\" twice", head_names[field]);
        else {
            p->seen[field] = true;
            read_head_field(p, field);
        }
    }
    json_end(&p->r);
}

static enum dp_status declare_schema(struct head_parse *p, struct dp_error *error)
{
    const struct index_vectors none = {0};
    struct schema_changes changes;
    enum dp_status status = schema_declare(&p->head->schema, &none, p->arena, p->schema, &changes, error);
    p->head->vectors.dim = status == DP_OK ? changes.dim : 0;
    return status;
}

static bool is_fingerprint(struct span text)
{
    bool is = text.len == FINGERPRINT_LEN;
    for (size_t i = 0; i < text.len && is; i++)
        is = (text.data[i] >= '0' && text.data[i] <= '9') || (text.data[i] >= 'a' && text.data[i] <= 'f');
    return is;
}

/* Checks that the head names a model as an export does: with its fingerprint, and only where rows have vectors. */
static enum dp_status check_model(const struct head_parse *p, struct dp_error *error)
{
    const struct index_vectors *v = &p->head->vectors;
    if (!p->seen[HEAD_MODEL] && !p->seen[HEAD_FINGERPRINT])
        return DP_OK;
    if (v->model.len == 0 || !is_fingerprint(v->fingerprint))
        return dp_fail(
            error, DP_INVALID,
            "the head must have both \"model\" and \"fingerprint\", %d hexadecimal digits in lower case, or "
            "neither",
            FINGERPRINT_LEN);
    if (v->dim == 0)
        return dp_fail(error, DP_INVALID, "the head names a model, but the schema has no \"vector\"");
    return DP_OK;
}

enum dp_status transfer_parse_head(struct span line, struct arena *arena, struct transfer_head *head,
                                   struct dp_error *error)
{
    struct head_parse p = {.arena = arena, .head = head};
    *head = (struct transfer_head){.has_rows = false};
    json_reader_init(&p.r, line);
    if (json_peek(&p.r) == JSON_OBJECT)
        read_head(&p);
    if (!p.seen[HEAD_VERSION])
        return dp_fail(
            error, DP_INVALID,
            "the first line is not the head of an export, {\"dipper_export\": 1, …}; `dipper index` loads "
            "a file of rows without a head");
    if (json_failed(&p.r))
        return json_error(&p.r, error);
    if (!p.seen[HEAD_SCHEMA] || !p.seen[HEAD_METRIC])
        return dp_fail(error, DP_INVALID, "the head lacks \"%s\"",
                       p.seen[HEAD_SCHEMA] ? "distance_metric" : "schema");
    head->external.metric = head->vectors.metric;
    enum dp_status status = declare_schema(&p, error);
    if (status == DP_OK && head->external.url.len && head->vectors.dim)
        return dp_fail(error, DP_INVALID, "the head has \"faiss_file\", and the schema has \"vector\"");
    return status == DP_OK ? check_model(&p, error) : status;
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

struct row_parse {
    struct json_reader r;
    struct json_writer w; /* the attributes */
    const struct transfer_head *head;
    struct arena *arena;
    struct index_transfer_row *row;
    float *vectors; /* float[room][dim] */
    size_t room;
    bool has_id, has_vector;
};

/* Reads {"uuid": "…"}. */
static void read_uuid_id(struct row_parse *p)
{
    struct span name;
    bool fits = json_enter_object(&p->r) && json_next_key(&p->r, p->arena, &name) &&
                span_equal_str(name, "uuid") && json_read_string(&p->r, p->arena, &p->row->id.text) &&
                !json_next_key(&p->r, p->arena, &name);
    if (!fits)
        json_reject(&p->r, DP_INVALID, "an \"id\" that is an object has one field, \"uuid\", a string");
    p->row->id.is_string = p->row->id.is_uuid = true;
}

static void read_transfer_id(struct row_parse *p)
{
    struct index_id *id = &p->row->id;
    if (p->has_id)
        json_reject(&p->r, DP_INVALID, "\"id\" occurs twice");
    p->has_id = true;
    switch (json_peek(&p->r)) {
    case JSON_NUMBER: json_read_u64(&p->r, &id->number); break;
    case JSON_OBJECT: read_uuid_id(p); break;
    default:
        id->is_string = true;
        id->is_uuid = p->head->schema.id_kind == ID_UUID;
        json_read_string(&p->r, p->arena, &id->text);
    }
}

/* Makes room for one more vector. Returns NULL, and the reader fails, if there is none. */
static float *add_vector(struct row_parse *p)
{
    const uint32_t dim = p->head->vectors.dim;
    struct index_transfer_row *row = p->row;
    if (dim == 0)
        json_reject(&p->r, DP_INVALID, "the row has a \"vector\", but the head's schema has none");
    else if (row->windows == INDEX_WINDOWS_MAX)
        json_reject(&p->r, DP_INVALID, "a row has at most %d vectors", INDEX_WINDOWS_MAX);
    if (json_failed(&p->r))
        return NULL;
    float *vectors = arena_reserve(p->arena, p->vectors, row->windows, &p->room, (size_t)dim * sizeof *vectors, 1);
    if (!vectors) {
        json_reject(&p->r, DP_NOMEM, "a vector");
        return NULL;
    }
    p->vectors = vectors;
    row->vectors = vectors;
    return vectors + (size_t)dim * row->windows++;
}

static void read_base64(struct row_parse *p)
{
    const size_t bytes = (size_t)p->head->vectors.dim * sizeof(float);
    struct json_reader before = p->r;
    struct span text;
    size_t len = 0;
    float *to = add_vector(p);
    if (!to || !json_read_string(&p->r, p->arena, &text))
        return;
    uint8_t *decoded = arena_alloc(p->arena, text.len / 4 * 3 + 3);
    if (decoded && base64_decode(text, decoded, &len) && len == bytes) {
        memcpy(to, decoded, bytes);
        return;
    }
    p->r = before;
    if (!decoded)
        json_reject(&p->r, DP_NOMEM, "a vector");
    else
        json_reject(&p->r, DP_INVALID, "\"vector\" must be base 64 of %u float32 numbers", p->head->vectors.dim);
}

/* Reads the numbers of an array that is open, up to its end. */
static void read_numbers(struct row_parse *p)
{
    const uint32_t dim = p->head->vectors.dim;
    float *to = add_vector(p);
    uint32_t count = 0;
    if (!to)
        return;
    do {
        if (count == dim || !json_read_float(&p->r, &to[count])) {
            json_reject(&p->r, DP_INVALID, "\"vector\" must have %u numbers", dim);
            return;
        }
        count++;
    } while (json_next_item(&p->r));
    if (count != dim)
        json_reject(&p->r, DP_INVALID, "\"vector\" must have %u numbers, not %u", dim, count);
}

/* Reads one vector of several: base 64, or an array of numbers. */
static void read_window(struct row_parse *p)
{
    if (json_peek(&p->r) == JSON_STRING)
        read_base64(p);
    else if (json_enter_array(&p->r) && json_next_item(&p->r))
        read_numbers(p);
    else
        json_reject(&p->r, DP_INVALID, "a vector has no numbers");
}

static void read_transfer_vector(struct row_parse *p)
{
    if (p->has_vector)
        json_reject(&p->r, DP_INVALID, "\"vector\" occurs twice");
    p->has_vector = true;
    if (json_peek(&p->r) == JSON_NULL) {
        json_read_null(&p->r);
        return;
    }
    if (json_peek(&p->r) == JSON_STRING) {
        read_base64(p);
        return;
    }
    if (!json_enter_array(&p->r) || !json_next_item(&p->r))
        return; /* [] is no vector */
    if (json_peek(&p->r) == JSON_NUMBER) {
        read_numbers(p);
        return;
    }
    do
        read_window(p);
    while (json_next_item(&p->r));
}

enum dp_status transfer_parse_row(struct span line, const struct transfer_head *head, struct arena *arena,
                                  struct buffer *document, struct index_transfer_row *row, struct dp_error *error)
{
    struct row_parse p = {.head = head, .arena = arena, .row = row};
    struct span name, value;
    *row = (struct index_transfer_row){.windows = 0};
    buffer_clear(document);
    json_reader_init(&p.r, line);
    json_writer_init(&p.w, document);
    json_begin_object(&p.w);
    json_enter_object(&p.r);
    while (json_next_key(&p.r, arena, &name)) {
        if (span_equal_str(name, "id")) {
            read_transfer_id(&p);
        } else if (span_equal_str(name, "vector")) {
            read_transfer_vector(&p);
        } else if (json_read_raw(&p.r, &value)) {
            json_key_span(&p.w, name);
            json_raw(&p.w, value);
        }
    }
    json_end(&p.r);
    if (json_failed(&p.r))
        return json_error(&p.r, error);
    if (!p.has_id)
        return dp_fail(error, DP_INVALID, "\"id\" is missing");
    json_end_object(&p.w);
    row->document = buffer_span(document);
    return buffer_check(document, "the attributes of a row", error);
}
