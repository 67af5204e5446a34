/* schema_declare.c: reads declarations of attributes. */
#include "index/schema_declare.h"

#include "base/utf8.h"
#include "index/schema_options.h"

/* One declaration on its way into the schema. */
struct declaration {
    struct schema *schema; /* a copy, until all declarations are in */
    const struct index_vectors *vectors;
    struct arena *arena;
    struct schema_changes *changes;
    struct span name;
    struct span config; /* an object; {} for a type alone */
    struct attribute wanted;
    bool drop;
    struct dp_error *error;
};

static enum dp_status fail_declaration(struct declaration *d, enum dp_status status, const char *why)
{
    return dp_fail(d->error, status, "attribute \"%.*s\": %s", SPAN_FMT(d->name), why);
}

/* Fails with the error of a declaration's reader. */
static enum dp_status fail_text(struct declaration *d, const struct json_reader *r)
{
    enum dp_status status = json_error(r, d->error);
    dp_error_prefix(d->error, "attribute \"%.*s\"", SPAN_FMT(d->name));
    return status;
}

static enum dp_status parse_type(struct declaration *d, struct span type)
{
    if (attribute_type_parse(type, &d->wanted))
        return DP_OK;
    if (span_starts_with(type, span_str("{}")))
        return fail_declaration(d, DP_UNSUPPORTED, "sparse vectors are not supported");
    if (span_starts_with(type, span_str("[][")))
        return fail_declaration(d, DP_UNSUPPORTED,
                                "an attribute has one vector: types such as [][N]f32 are not supported");
    return dp_fail(
        d->error, DP_INVALID,
        "attribute \"%.*s\": \"%.*s\" is not a type: string, int, uint, float, bool, uuid, datetime, bytes, "
        "an array such as []string (not of bytes), or a vector: [N]f32, [N]f16 or [N]i8",
        SPAN_FMT(d->name), type.len > 40 ? 40 : (int)type.len, (const char *)type.data);
}

/* Reads "string" or {"type": "string", …} or {"drop": true} into d->wanted, config and drop. */
static enum dp_status read_declaration(struct declaration *d, struct json_reader *r)
{
    struct json_reader fields;
    struct span key, value, type = {0};
    size_t others = 0;
    d->config = span_str("{}");
    d->drop = false;
    d->wanted = (struct attribute){.name = d->name};
    if (json_peek(r) == JSON_STRING)
        return json_read_string(r, d->arena, &type) ? parse_type(d, type) : fail_text(d, r);
    if (json_peek(r) != JSON_OBJECT)
        return json_failed(r) || !json_skip(r)
                   ? fail_text(d, r)
                   : fail_declaration(d, DP_INVALID, "a declaration is a type or an object with a \"type\"");
    if (!json_read_raw(r, &d->config))
        return fail_text(d, r);
    json_reader_init(&fields, d->config);
    json_enter_object(&fields);
    while (json_next_key(&fields, d->arena, &key)) {
        bool is_type = span_equal_str(key, "type"), is_drop = span_equal_str(key, "drop");
        others += !is_drop;
        if (is_type && type.data)
            return fail_declaration(d, DP_INVALID, "\"type\" occurs twice");
        if (is_type   ? !json_read_string(&fields, d->arena, &type)
            : is_drop ? !json_read_bool(&fields, &d->drop)
                      : !json_read_raw(&fields, &value))
            return fail_text(d, &fields);
        if (is_drop && !d->drop)
            return fail_declaration(d, DP_INVALID, "\"drop\" can only be true");
    }
    if (json_failed(&fields))
        return fail_text(d, &fields);
    if (d->drop)
        return others ? fail_declaration(d, DP_INVALID, "\"drop\" allows no other field beside it") : DP_OK;
    if (!type.data)
        return fail_declaration(d, DP_INVALID, "\"type\" is missing");
    return parse_type(d, type);
}

static enum dp_status fail_type_change(struct declaration *d, const struct attribute *known)
{
    char before[ATTRIBUTE_TYPE_ROOM], after[ATTRIBUTE_TYPE_ROOM];
    return dp_fail(d->error, DP_INVALID, "attribute \"%.*s\" has type %s, which cannot become %s",
                   SPAN_FMT(d->name), attribute_type_print(known, before),
                   attribute_type_print(&d->wanted, after));
}

static enum dp_status declare_id(struct declaration *d)
{
    static const enum id_kind kinds[ATTRIBUTE_VECTOR + 1] = {
        [ATTRIBUTE_UINT] = ID_UINT, [ATTRIBUTE_STRING] = ID_STRING, [ATTRIBUTE_UUID] = ID_UUID};
    if (d->drop)
        return fail_declaration(d, DP_INVALID, "it cannot be dropped");
    enum id_kind kind = kinds[d->wanted.type];
    if (kind == ID_ANY)
        return fail_declaration(d, DP_INVALID, "ids have type uint, string or uuid");
    if (d->schema->id_kind != ID_ANY && d->schema->id_kind != kind)
        return dp_fail(d->error, DP_INVALID, "attribute \"id\" has type %s, which cannot become %s",
                       id_kind_name(d->schema->id_kind), id_kind_name(kind));
    d->changes->changed |= d->schema->id_kind != kind;
    d->schema->id_kind = kind;
    return schema_set_options(&d->wanted, d->config, false, d->arena, d->error);
}

static enum dp_status declare_vector(struct declaration *d)
{
    const struct attribute known = {
        .type = ATTRIBUTE_VECTOR, .dim = d->vectors ? d->vectors->dim : 0, .element = d->schema->vector_element};
    if (d->drop)
        return fail_declaration(d, DP_INVALID, "it cannot be dropped");
    if (d->wanted.type != ATTRIBUTE_VECTOR)
        return fail_declaration(d, DP_INVALID, "its type is [N]f32, [N]f16 or [N]i8");
    if (known.dim && (known.dim != d->wanted.dim || known.element != d->wanted.element))
        return fail_type_change(d, &known);
    enum dp_status status = schema_set_options(&d->wanted, d->config, false, d->arena, d->error);
    if (status)
        return status;
    d->changes->dim = d->wanted.dim;
    d->changes->changed |= d->schema->vector_element != d->wanted.element;
    d->schema->vector_element = d->wanted.element;
    d->changes->has_metric |= schema_ann_metric(&d->wanted, &d->changes->metric);
    if (known.dim && d->changes->has_metric && d->changes->metric != d->vectors->metric)
        return fail_declaration(d, DP_INVALID, "the distance metric cannot change");
    return DP_OK;
}

static enum dp_status declare_known(struct declaration *d, struct attribute *known)
{
    struct span before = known->options;
    if (d->drop) {
        d->changes->changed = d->changes->dropped = true;
        known->dropped = true;
        return DP_OK;
    }
    if (known->type != d->wanted.type || known->dim != d->wanted.dim || known->element != d->wanted.element)
        return fail_type_change(d, known);
    enum dp_status status = schema_set_options(known, d->config, true, d->arena, d->error);
    d->changes->changed |= !span_equal(before, known->options);
    return status;
}

static enum dp_status declare_one(struct declaration *d)
{
    struct attribute *known = schema_find(d->schema, d->name);
    if (span_equal_str(d->name, "id"))
        return declare_id(d);
    if (span_equal_str(d->name, "vector"))
        return declare_vector(d);
    if (known && known->dropped)
        return d->drop ? DP_OK : fail_declaration(d, DP_INVALID, "it was dropped: use another name");
    if (known)
        return declare_known(d, known);
    if (d->drop)
        return fail_declaration(d, DP_INVALID, "there is no such attribute to drop");
    enum dp_status status = schema_set_options(&d->wanted, d->config, false, d->arena, d->error);
    if (status == DP_OK)
        status = schema_add(d->schema, d->arena, &d->wanted, d->error);
    d->changes->changed = true;
    return status;
}

/* Reads the declarations one by one. Refuses a name that occurs twice: the second declaration would replace the
 * first. */
static enum dp_status declare_all(struct declaration *d, struct span json)
{
    struct json_reader r;
    struct schema seen = {0}; /* the names so far */
    enum dp_status status = DP_OK;
    bool has_id = false, has_vector = false;
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (status == DP_OK && json_next_key(&r, d->arena, &d->name)) {
        bool is_id = span_equal_str(d->name, "id"), is_vector = span_equal_str(d->name, "vector");
        if ((is_id && has_id) || (is_vector && has_vector) || schema_find(&seen, d->name))
            status = fail_declaration(d, DP_INVALID, "it is declared twice");
        has_id |= is_id;
        has_vector |= is_vector;
        if (status == DP_OK && !is_id && !is_vector)
            status = schema_add(&seen, d->arena, &(struct attribute){.name = d->name}, d->error);
        if (status == DP_OK)
            status = read_declaration(d, &r);
        if (status == DP_OK)
            status = declare_one(d);
    }
    if (status == DP_OK)
        json_end(&r);
    if (status == DP_OK && json_failed(&r)) {
        status = json_error(&r, d->error);
        dp_error_prefix(d->error, "a schema");
    }
    return status;
}

enum dp_status schema_declare(struct schema *schema, const struct index_vectors *vectors, struct arena *arena,
                              struct span json, struct schema_changes *changes, struct dp_error *error)
{
    struct schema edited;
    *changes = (struct schema_changes){0};
    enum dp_status status = schema_copy(schema, arena, &edited, error);
    struct declaration d = {
        .schema = &edited, .vectors = vectors, .arena = arena, .changes = changes, .error = error};
    if (status == DP_OK)
        status = declare_all(&d, json);
    if (status == DP_OK)
        *schema = edited;
    return status;
}
