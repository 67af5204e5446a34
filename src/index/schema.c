/* schema.c: learns attribute types from rows, joins two schemas, and prints one. */
#include "index/schema.h"

#include "base/array.h"
#include "base/utf8.h"
#include "filter/value.h"
#include "index/object_name.h"

enum dp_status schema_check_name(struct span name, struct dp_error *error)
{
    if (name.len == 0 || name.len > SCHEMA_NAME_MAX)
        return dp_fail(error, DP_INVALID, "an attribute's name has 1 to %d bytes, not %zu", SCHEMA_NAME_MAX,
                       name.len);
    if (!utf8_valid(name))
        return dp_fail(error, DP_INVALID, "an attribute's name is not valid UTF-8");
    if (name.data[0] == '$')
        return dp_fail(error, DP_INVALID, "attribute \"%.*s\": names that begin with '$' are reserved",
                       SPAN_FMT(name));
    if (span_equal_str(name, "id") || span_equal_str(name, "vector"))
        return dp_fail(error, DP_INVALID, "attribute \"%.*s\": this name is reserved", SPAN_FMT(name));
    return DP_OK;
}

/* Counts the vector attributes that have not been dropped. */
static size_t count_vectors(const struct schema *schema)
{
    size_t count = 0;
    for (size_t i = 0; i < schema->count; i++)
        count += schema->attributes[i].type == ATTRIBUTE_VECTOR && !schema->attributes[i].dropped;
    return count;
}

enum dp_status schema_add(struct schema *schema, struct arena *arena, const struct attribute *attribute,
                          struct dp_error *error)
{
    enum dp_status status = schema_check_name(attribute->name, error);
    if (status)
        return status;
    if (schema->count == SCHEMA_ATTRIBUTES_MAX)
        return dp_fail(error, DP_TOO_LARGE, "attribute \"%.*s\": a namespace has at most %d attributes",
                       SPAN_FMT(attribute->name), SCHEMA_ATTRIBUTES_MAX);
    if (attribute->type == ATTRIBUTE_VECTOR && !attribute->dropped && count_vectors(schema) == SCHEMA_VECTORS_MAX)
        return dp_fail(error, DP_TOO_LARGE,
                       "attribute \"%.*s\": a namespace has at most %d vector attributes beside \"vector\"",
                       SPAN_FMT(attribute->name), SCHEMA_VECTORS_MAX);
    struct attribute *list =
        arena_reserve(arena, schema->attributes, schema->count, &schema->room, sizeof *list, 16);
    if (!list)
        return dp_fail_nomem(error, "a schema");
    schema->attributes = list;
    struct attribute *a = &list[schema->count];
    *a = *attribute;
    a->number = schema->count ? list[schema->count - 1].number + 1 : VECTOR_ATTRIBUTE + 1;
    a->name = arena_copy(arena, attribute->name);
    a->options = arena_copy(arena, attribute->options);
    a->fingerprint = arena_copy(arena, attribute->fingerprint);
    if (!a->name.data || !a->options.data || !a->fingerprint.data)
        return dp_fail_nomem(error, "an attribute's name");
    schema->count++;
    return DP_OK;
}

enum dp_status schema_copy(const struct schema *from, struct arena *arena, struct schema *out,
                           struct dp_error *error)
{
    enum dp_status status = DP_OK;
    *out = (struct schema){.id_kind = from->id_kind, .vector_element = from->vector_element};
    for (size_t i = 0; i < from->count && status == DP_OK; i++) {
        status = schema_add(out, arena, &from->attributes[i], error);
        if (status == DP_OK) {
            out->attributes[i].number = from->attributes[i].number;
            out->attributes[i].learned = false;
        }
    }
    return status;
}

static bool is_wider(enum attribute_type type, enum attribute_type than)
{
    return (type == ATTRIBUTE_FLOAT && than == ATTRIBUTE_INT) ||
           (type == ATTRIBUTE_FLOATS && than == ATTRIBUTE_INTS);
}

enum dp_status schema_widen(struct attribute *known, enum attribute_type seen, bool may_widen,
                            struct dp_error *error)
{
    char type[ATTRIBUTE_TYPE_ROOM], other[ATTRIBUTE_TYPE_ROOM];
    if (known->type == seen || is_wider(known->type, seen))
        return DP_OK;
    if (may_widen && is_wider(seen, known->type)) {
        known->type = seen;
        return DP_OK;
    }
    return dp_fail(error, DP_INVALID, "attribute \"%.*s\" has type %s, but a row's value is %s",
                   SPAN_FMT(known->name), attribute_type_print(known, type),
                   attribute_type_print(&(struct attribute){.type = seen}, other));
}

static enum dp_status fail_dropped(struct span name, struct dp_error *error)
{
    return dp_fail(error, DP_INVALID, "attribute \"%.*s\" was dropped: use another name", SPAN_FMT(name));
}

/* Returns whether a load can learn this type from values. */
static bool is_shown(enum attribute_type type)
{
    enum attribute_type item = attribute_item_type(type);
    return item == ATTRIBUTE_STRING || item == ATTRIBUTE_INT || item == ATTRIBUTE_FLOAT || item == ATTRIBUTE_BOOL;
}

/* Joins the next value of a row to the schema. */
static enum dp_status learn_value(struct schema *schema, struct arena *arena, struct span name,
                                  struct json_reader *r, struct arena *scratch, struct dp_error *error)
{
    struct attribute *known = schema_find(schema, name);
    enum attribute_type type;
    bool typed;
    char text[ATTRIBUTE_TYPE_ROOM];
    if (known && !known->dropped && !is_shown(known->type)) {
        struct span raw;
        if (!json_read_raw(r, &raw))
            return DP_INVALID; /* the caller reports the reader's failure */
        if (value_is_normal(known, raw, scratch))
            return DP_OK;
        return dp_fail(error, DP_INVALID,
                       "attribute \"%.*s\" has type %s, and a load takes its values only in normal form",
                       SPAN_FMT(name), attribute_type_print(known, text));
    }
    if (!value_infer(r, &type, &typed)) {
        if (json_failed(r))
            return DP_INVALID;
        return dp_fail(error, DP_INVALID,
                       "attribute \"%.*s\" must be a string, a number, true, false, null, or an array of strings, "
                       "numbers or booleans",
                       SPAN_FMT(name));
    }
    if (!typed)
        return known ? DP_OK : schema_check_name(name, error);
    if (known && known->dropped)
        return fail_dropped(name, error);
    if (known)
        return schema_widen(known, type, true, error);
    return schema_add(schema, arena, &(struct attribute){.type = type, .name = name}, error);
}

/* Notes a name of a row in `seen`. Fails when it is there already. */
static enum dp_status note_name(struct span **seen, size_t *count, size_t *room, struct span name,
                                struct arena *scratch, struct dp_error *error)
{
    for (size_t i = 0; i < *count; i++) {
        if (span_equal((*seen)[i], name))
            return dp_fail(error, DP_INVALID, "attribute \"%.*s\" occurs twice in one row", SPAN_FMT(name));
    }
    if (*count == SCHEMA_ATTRIBUTES_MAX)
        return dp_fail(error, DP_TOO_LARGE, "a row has more than %d attributes", SCHEMA_ATTRIBUTES_MAX);
    struct span *grown = arena_reserve(scratch, *seen, *count, room, sizeof *grown, 16);
    if (!grown)
        return dp_fail_nomem(error, "a row's attributes");
    *seen = grown;
    grown[(*count)++] = name;
    return DP_OK;
}

static enum dp_status learn_object(struct schema *schema, struct arena *arena, struct span object,
                                   struct arena *scratch, struct dp_error *error)
{
    struct json_reader r;
    struct span key, *seen = NULL;
    size_t count = 0, room = 0;
    enum dp_status status = DP_OK;
    json_reader_init(&r, object);
    json_enter_object(&r);
    while (status == DP_OK && json_next_key(&r, scratch, &key)) {
        status = note_name(&seen, &count, &room, key, scratch, error);
        if (status == DP_OK)
            status = learn_value(schema, arena, key, &r, scratch, error);
    }
    if (status == DP_OK)
        json_end(&r);
    if (json_failed(&r)) {
        status = json_error(&r, error);
        dp_error_prefix(error, "a row's attributes");
    }
    return status;
}

enum dp_status schema_learn(struct schema *schema, struct arena *arena, struct span object, struct arena *scratch,
                            struct dp_error *error)
{
    enum attribute_type types[SCHEMA_ATTRIBUTES_MAX];
    size_t count = schema->count;
    for (size_t i = 0; i < count; i++)
        types[i] = schema->attributes[i].type;
    enum dp_status status = learn_object(schema, arena, object, scratch, error);
    if (status) {
        schema->count = count;
        for (size_t i = 0; i < count; i++)
            schema->attributes[i].type = types[i];
    }
    return status;
}

static enum dp_status join_attribute(struct schema *into, struct arena *arena, const struct attribute *from,
                                     struct dp_error *error)
{
    struct attribute *known = schema_find(into, from->name), added = *from;
    added.learned = false;
    if (!known)
        return schema_add(into, arena, &added, error);
    if (from->dropped)
        return DP_OK;
    if (known->dropped)
        return fail_dropped(from->name, error);
    if (known->type == ATTRIBUTE_VECTOR && from->type == ATTRIBUTE_VECTOR &&
        (known->dim != from->dim || known->element != from->element)) {
        char type[ATTRIBUTE_TYPE_ROOM], other[ATTRIBUTE_TYPE_ROOM];
        return dp_fail(error, DP_INVALID, "attribute \"%.*s\" has type %s, not %s", SPAN_FMT(from->name),
                       attribute_type_print(known, type), attribute_type_print(from, other));
    }
    if (from->fingerprint.len && known->fingerprint.len == 0) {
        known->fingerprint = arena_copy(arena, from->fingerprint);
        if (!known->fingerprint.data)
            return dp_fail_nomem(error, "a schema");
    } else if (from->fingerprint.len && !span_equal(known->fingerprint, from->fingerprint)) {
        return dp_fail(error, DP_INVALID, "attribute \"%.*s\" holds vectors of another model",
                       SPAN_FMT(from->name));
    }
    return schema_widen(known, from->type, true, error);
}

enum dp_status schema_join(struct schema *into, struct arena *arena, const struct schema *from,
                           struct dp_error *error)
{
    enum dp_status status = DP_OK;
    if (into->id_kind != ID_ANY && from->id_kind != ID_ANY && into->id_kind != from->id_kind)
        return dp_fail(error, DP_INVALID, "the namespace's ids have type %s, not %s", id_kind_name(into->id_kind),
                       id_kind_name(from->id_kind));
    for (size_t i = 0; i < from->count && status == DP_OK; i++)
        status = join_attribute(into, arena, &from->attributes[i], error);
    if (status == DP_OK && into->id_kind == ID_ANY)
        into->id_kind = from->id_kind;
    if (status == DP_OK && into->vector_element == ELEMENT_F32)
        into->vector_element = from->vector_element;
    return status;
}

static void print_attribute(const struct attribute *a, struct json_writer *w)
{
    char type[ATTRIBUTE_TYPE_ROOM];
    struct json_reader r;
    struct span key, value;
    json_key_span(w, a->name);
    json_begin_object(w);
    json_field_str(w, "type", attribute_type_print(a, type));
    if (a->type != ATTRIBUTE_VECTOR)
        json_field_bool(w, "filterable", !a->unfiltered);
    json_reader_init(&r, a->options.len ? a->options : span_str("{}"));
    json_enter_object(&r);
    while (json_next_key(&r, NULL, &key) && json_read_raw(&r, &value)) {
        if (!span_equal_str(key, "filterable")) {
            json_key_span(w, key);
            json_raw(w, value);
        }
    }
    json_end_object(w);
}

void schema_print(const struct schema *schema, const struct index_vectors *vectors, struct json_writer *w)
{
    char type[ATTRIBUTE_TYPE_ROOM];
    json_begin_object(w);
    if (schema->id_kind != ID_ANY) {
        json_field_object(w, "id");
        json_field_str(w, "type", id_kind_name(schema->id_kind));
        json_end_object(w);
    }
    if (vectors && vectors->dim) {
        const struct attribute a = {
            .type = ATTRIBUTE_VECTOR, .dim = vectors->dim, .element = schema->vector_element};
        json_field_object(w, "vector");
        json_field_str(w, "type", attribute_type_print(&a, type));
        json_field_object(w, "ann");
        json_field_str(w, "distance_metric",
                       vectors->metric == INDEX_COSINE ? "cosine_distance" : "euclidean_squared");
        json_end_object(w);
        json_end_object(w);
    }
    for (size_t i = 0; i < schema->count; i++) {
        if (!schema->attributes[i].dropped)
            print_attribute(&schema->attributes[i], w);
    }
    json_end_object(w);
}
