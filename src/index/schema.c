/* schema.c: learns attribute types from rows, and joins two schemas. */
#include "index/schema.h"

#include "base/json.h"
#include "base/utf8.h"
#include "index/object_name.h"

static const char *const type_names[] = {"string",   "int",   "float",   "bool",
                                         "[]string", "[]int", "[]float", "[]bool"};

enum { TYPE_COUNT = sizeof type_names / sizeof *type_names, FIRST_ARRAY = ATTRIBUTE_STRINGS };

const char *attribute_type_name(enum attribute_type type)
{
    return type_names[type];
}

bool attribute_type_parse(struct span name, enum attribute_type *out)
{
    for (int i = 0; i < TYPE_COUNT; i++) {
        if (span_equal_str(name, type_names[i])) {
            *out = (enum attribute_type)i;
            return true;
        }
    }
    return false;
}

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

struct attribute *schema_find(struct schema *schema, struct span name)
{
    for (size_t i = 0; i < schema->count; i++) {
        if (span_equal(schema->attributes[i].name, name))
            return &schema->attributes[i];
    }
    return NULL;
}

static bool widen_type(enum attribute_type *type, enum attribute_type seen)
{
    if (*type == seen)
        return true;
    if ((*type == ATTRIBUTE_FLOAT && seen == ATTRIBUTE_INT) ||
        (*type == ATTRIBUTE_FLOATS && seen == ATTRIBUTE_INTS))
        return true;
    if ((*type == ATTRIBUTE_INT && seen == ATTRIBUTE_FLOAT) ||
        (*type == ATTRIBUTE_INTS && seen == ATTRIBUTE_FLOATS)) {
        *type = seen;
        return true;
    }
    return false;
}

/* Joins one attribute to the schema. A new attribute gets the next number. */
static enum dp_status join_attribute(struct schema *schema, struct arena *arena, struct span name,
                                     enum attribute_type type, struct dp_error *error)
{
    struct attribute *known = schema_find(schema, name);
    if (known) {
        if (!widen_type(&known->type, type))
            return dp_fail(error, DP_INVALID, "attribute \"%.*s\" has type %s, but a row's value is %s",
                           SPAN_FMT(name), type_names[known->type], type_names[type]);
        return DP_OK;
    }
    enum dp_status status = schema_check_name(name, error);
    if (status)
        return status;
    if (schema->count == SCHEMA_ATTRIBUTES_MAX)
        return dp_fail(error, DP_TOO_LARGE, "attribute \"%.*s\": a namespace has at most %d attributes",
                       SPAN_FMT(name), SCHEMA_ATTRIBUTES_MAX);
    struct span copy = arena_copy(arena, name);
    if (!copy.data)
        return dp_fail_nomem(error, "an attribute's name");
    uint32_t number = schema->count ? schema->attributes[schema->count - 1].number + 1 : VECTOR_ATTRIBUTE + 1;
    schema->attributes[schema->count++] = (struct attribute){number, type, copy};
    return DP_OK;
}

/* Reads a number. Its type is int if the text is an integer that fits an int64, else float. Returns false for a
 * number beyond the range of a double. */
static bool read_number_type(struct json_reader *r, enum attribute_type *out)
{
    struct json_reader before = *r;
    int64_t whole;
    double number;
    *out = ATTRIBUTE_INT;
    if (json_read_i64(r, &whole))
        return true;
    *r = before;
    *out = ATTRIBUTE_FLOAT;
    return json_read_double(r, &number);
}

/* Reads a string, a number or a bool. Returns false for any other value. */
static bool read_scalar_type(struct json_reader *r, enum attribute_type *out)
{
    switch (json_peek(r)) {
    case JSON_STRING: *out = ATTRIBUTE_STRING; return json_skip(r);
    case JSON_BOOL: *out = ATTRIBUTE_BOOL; return json_skip(r);
    case JSON_NUMBER: return read_number_type(r, out);
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
    case JSON_NOTHING:
    default: return false;
    }
}

/* Reads one value. *known becomes false for null and [], which fit every type. Returns false for a value that no
 * type fits. */
static bool read_type(struct json_reader *r, enum attribute_type *out, bool *known)
{
    *known = false;
    if (json_peek(r) == JSON_NULL)
        return json_skip(r);
    if (json_peek(r) != JSON_ARRAY) {
        *known = true;
        return read_scalar_type(r, out);
    }
    if (!json_enter_array(r))
        return false;
    enum attribute_type type = ATTRIBUTE_STRING, item;
    while (json_next_item(r)) {
        if (!read_scalar_type(r, &item) || (*known && !widen_type(&type, item)))
            return false;
        if (!*known)
            type = item;
        *known = true;
    }
    *out = (enum attribute_type)(type + FIRST_ARRAY);
    return !json_failed(r);
}

static enum dp_status learn_object(struct schema *schema, struct arena *arena, struct span object,
                                   struct arena *scratch, struct dp_error *error)
{
    struct json_reader r;
    struct span key, seen[SCHEMA_ATTRIBUTES_MAX];
    size_t count = 0;
    json_reader_init(&r, object);
    json_enter_object(&r);
    while (json_next_key(&r, scratch, &key)) {
        enum attribute_type type;
        bool known;
        for (size_t i = 0; i < count; i++) {
            if (span_equal(seen[i], key))
                return dp_fail(error, DP_INVALID, "attribute \"%.*s\" occurs twice in one row", SPAN_FMT(key));
        }
        if (count == SCHEMA_ATTRIBUTES_MAX)
            return dp_fail(error, DP_TOO_LARGE, "a row has more than %d attributes", SCHEMA_ATTRIBUTES_MAX);
        seen[count++] = key;
        if (!read_type(&r, &type, &known)) {
            if (json_failed(&r))
                break;
            return dp_fail(
                error, DP_INVALID,
                "attribute \"%.*s\" must be a string, a number, true, false, null, or an array of strings, "
                "numbers or booleans",
                SPAN_FMT(key));
        }
        enum dp_status status =
            known ? join_attribute(schema, arena, key, type, error) : schema_check_name(key, error);
        if (status)
            return status;
    }
    json_end(&r);
    if (json_failed(&r)) {
        enum dp_status status = json_error(&r, error);
        dp_error_prefix(error, "a row's attributes");
        return status;
    }
    return DP_OK;
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

enum dp_status schema_join(struct schema *into, struct arena *arena, const struct schema *from,
                           struct dp_error *error)
{
    for (size_t i = 0; i < from->count; i++) {
        enum dp_status status =
            join_attribute(into, arena, from->attributes[i].name, from->attributes[i].type, error);
        if (status)
            return status;
    }
    return DP_OK;
}
