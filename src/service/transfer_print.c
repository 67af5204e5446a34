/* transfer_print.c: makes the lines of an exported namespace. */
#include "service/hit_json.h"
#include "service/transfer_line.h"

/* ---- the head ------------------------------------------------------------------------------------------ */

/* Writes the type and the declared options. Leaves out defaults, so that the copy does not take a default for a
 * declared option. */
static void print_attribute(const struct attribute *a, struct json_writer *w)
{
    char type[ATTRIBUTE_TYPE_ROOM];
    struct json_reader r;
    struct span key, value;
    json_key_span(w, a->name);
    json_begin_object(w);
    json_field_str(w, "type", attribute_type_print(a, type));
    json_reader_init(&r, a->options.len ? a->options : span_str("{}"));
    json_enter_object(&r);
    while (json_next_key(&r, NULL, &key) && json_read_raw(&r, &value)) {
        json_key_span(w, key);
        json_raw(w, value);
    }
    json_end_object(w);
}

static void print_schema(const struct index_transfer_head *head, struct json_writer *w)
{
    const struct schema *schema = head->schema;
    char type[ATTRIBUTE_TYPE_ROOM];
    json_field_object(w, "schema");
    if (schema->id_kind != ID_ANY)
        json_field_str(w, "id", id_kind_name(schema->id_kind));
    if (head->vectors.dim) {
        const struct attribute vector = {
            .type = ATTRIBUTE_VECTOR, .dim = head->vectors.dim, .element = schema->vector_element};
        json_field_str(w, "vector", attribute_type_print(&vector, type));
    }
    for (size_t i = 0; i < schema->count; i++) {
        if (!schema->attributes[i].dropped)
            print_attribute(&schema->attributes[i], w);
    }
    json_end_object(w);
}

/* Names the file that has the vectors. Its metric is that of the head. */
static void print_file(const struct index_external *x, struct json_writer *w)
{
    json_field_object(w, "faiss_file");
    json_field_span(w, "url", x->url);
    json_field_span(w, "version", x->version);
    json_field_u64(w, "size", x->size);
    json_field_u64(w, "vectors", x->vectors);
    json_field_u64(w, "dim", x->dim);
    json_end_object(w);
}

void transfer_print_head(struct span namespace, const struct index_transfer_head *head, struct buffer *out)
{
    const struct index_vectors *v = &head->vectors;
    const enum index_metric metric = head->external.url.len ? head->external.metric : v->metric;
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_field_u64(&w, "dipper_export", TRANSFER_VERSION);
    json_field_span(&w, "namespace", namespace);
    json_field_u64(&w, "rows", head->rows);
    json_field_str(&w, "distance_metric", metric == INDEX_COSINE ? "cosine_distance" : "euclidean_squared");
    if (v->model.len)
        json_field_span(&w, "model", v->model);
    if (v->fingerprint.len)
        json_field_span(&w, "fingerprint", v->fingerprint);
    if (head->external.url.len)
        print_file(&head->external, &w);
    print_schema(head, &w);
    json_end_object(&w);
    buffer_append_str(out, "\n");
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

/* Writes an id. A UUID in a namespace with ids of several kinds becomes an object, because as text it would look
 * like a string. */
static void print_id(const struct schema *schema, const struct index_id *id, struct json_writer *w)
{
    json_key(w, "id");
    if (id->is_string && id->is_uuid && schema->id_kind != ID_UUID) {
        json_begin_object(w);
        json_field_span(w, "uuid", id->text);
        json_end_object(w);
    } else {
        hit_write_id(w, id);
    }
}

static void print_vectors(const struct index_transfer_row *row, uint32_t dim, struct json_writer *w)
{
    if (row->windows == 0)
        return;
    json_key(w, "vector");
    if (row->windows > 1)
        json_begin_array(w);
    for (uint32_t i = 0; i < row->windows; i++)
        json_base64(w, span_of(row->vectors + (size_t)i * dim, (size_t)dim * sizeof(float)));
    if (row->windows > 1)
        json_end_array(w);
}

/* Writes a value as the row has it. White space outside strings may break lines, and becomes blanks. */
static void print_value(struct span value, struct json_writer *w, struct buffer *out)
{
    size_t from = out->len;
    json_raw(w, value);
    for (size_t i = from; i < out->len; i++) {
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
    }
}

enum dp_status transfer_print_row(const struct schema *schema, uint32_t dim, const struct index_transfer_row *row,
                                  struct arena *scratch, struct buffer *out, struct dp_error *error)
{
    struct json_writer w;
    struct json_reader r;
    struct span name, value;
    json_writer_init(&w, out);
    json_begin_object(&w);
    print_id(schema, &row->id, &w);
    print_vectors(row, dim, &w);
    json_reader_init(&r, row->document);
    json_enter_object(&r);
    while (json_next_key(&r, scratch, &name) && json_read_raw(&r, &value)) {
        const struct attribute *known = schema_find(schema, name);
        if (known && known->dropped)
            continue;
        json_key_span(&w, name);
        print_value(value, &w, out);
    }
    json_end_object(&w);
    buffer_append_str(out, "\n");
    if (json_failed(&r)) {
        json_error(&r, error);
        dp_error_prefix(error, "the attributes of a row");
        error->status = DP_CORRUPT; /* the document is the namespace's own */
        return error->status;
    }
    return buffer_check(out, "a row", error);
}
