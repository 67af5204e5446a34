/* filter/attribute.c: names of types, and the search for an attribute by its name. */
#include "filter/attribute.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const type_names[ATTRIBUTE_VECTOR] = {
    [ATTRIBUTE_STRING] = "string",     [ATTRIBUTE_INT] = "int",        [ATTRIBUTE_FLOAT] = "float",
    [ATTRIBUTE_BOOL] = "bool",         [ATTRIBUTE_UINT] = "uint",      [ATTRIBUTE_UUID] = "uuid",
    [ATTRIBUTE_DATETIME] = "datetime", [ATTRIBUTE_BYTES] = "bytes",    [ATTRIBUTE_STRINGS] = "[]string",
    [ATTRIBUTE_INTS] = "[]int",        [ATTRIBUTE_FLOATS] = "[]float", [ATTRIBUTE_BOOLS] = "[]bool",
    [ATTRIBUTE_UINTS] = "[]uint",      [ATTRIBUTE_UUIDS] = "[]uuid",   [ATTRIBUTE_DATETIMES] = "[]datetime",
};
static const char *const element_names[] = {[ELEMENT_F32] = "f32", [ELEMENT_F16] = "f16", [ELEMENT_I8] = "i8"};
static const char *const id_kind_names[] = {
    [ID_ANY] = "any", [ID_UINT] = "uint", [ID_STRING] = "string", [ID_UUID] = "uuid"};

enum {
    FIRST_ARRAY = ATTRIBUTE_STRINGS,
    ELEMENT_COUNT = sizeof element_names / sizeof *element_names,
    ID_KIND_COUNT = sizeof id_kind_names / sizeof *id_kind_names
};

const char *attribute_type_print(const struct attribute *attribute, char out[ATTRIBUTE_TYPE_ROOM])
{
    if (attribute->type == ATTRIBUTE_VECTOR)
        snprintf(out, ATTRIBUTE_TYPE_ROOM, "[%" PRIu32 "]%s", attribute->dim % 100000,
                 element_names[attribute->element]);
    else
        snprintf(out, ATTRIBUTE_TYPE_ROOM, "%s", type_names[attribute->type]);
    return out;
}

/* Parses "[384]f32". */
static bool parse_vector_type(struct span name, struct attribute *out)
{
    uint32_t dim = 0;
    size_t at = 1;
    if (name.len < 4 || name.data[0] != '[' || name.data[1] == '0')
        return false;
    while (at < name.len && name.data[at] >= '0' && name.data[at] <= '9' && dim <= ATTRIBUTE_DIM_MAX)
        dim = dim * 10 + (uint32_t)(name.data[at++] - '0');
    if (dim == 0 || dim > ATTRIBUTE_DIM_MAX || at == name.len || name.data[at] != ']')
        return false;
    struct span element = span_of(name.data + at + 1, name.len - at - 1);
    for (int i = 0; i < ELEMENT_COUNT; i++) {
        if (span_equal_str(element, element_names[i])) {
            out->type = ATTRIBUTE_VECTOR;
            out->dim = dim;
            out->element = (enum vector_element)i;
            return true;
        }
    }
    return false;
}

bool attribute_type_parse(struct span name, struct attribute *out)
{
    for (int i = 0; i < ATTRIBUTE_VECTOR; i++) {
        if (span_equal_str(name, type_names[i])) {
            out->type = (enum attribute_type)i;
            out->dim = 0;
            out->element = ELEMENT_F32;
            return true;
        }
    }
    return parse_vector_type(name, out);
}

enum attribute_type attribute_item_type(enum attribute_type type)
{
    return attribute_is_array(type) ? (enum attribute_type)(type - FIRST_ARRAY) : type;
}

enum attribute_type attribute_array_type(enum attribute_type item)
{
    return item < ATTRIBUTE_BYTES ? (enum attribute_type)(item + FIRST_ARRAY) : item;
}

const char *id_kind_name(enum id_kind kind)
{
    return id_kind_names[kind];
}

bool id_kind_parse(struct span name, enum id_kind *out)
{
    for (int i = 0; i < ID_KIND_COUNT; i++) {
        if (span_equal_str(name, id_kind_names[i])) {
            *out = (enum id_kind)i;
            return true;
        }
    }
    return false;
}

struct attribute *schema_find(const struct schema *schema, struct span name)
{
    for (size_t i = 0; i < schema->count; i++) {
        if (span_equal(schema->attributes[i].name, name))
            return &schema->attributes[i];
    }
    return NULL;
}
