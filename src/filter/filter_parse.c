/* filter/filter_parse.c: parses filters, and checks their operands against the schema. */
#include <stdlib.h>

#include "base/array.h"
#include "base/json.h"
#include "filter/document.h"
#include "filter/filter_node.h"
#include "filter/uuid.h"
#include "filter/value.h"

enum operand_shape { ONE_VALUE, VALUE_OR_NULL, LIST_OF_VALUES, A_TEXT };

static const struct operator_row {
    const char *name;
    enum filter_operator op;
    bool negated;
    enum operand_shape shape;
    enum { OF_ANY, OF_SCALARS, OF_ARRAYS, OF_TEXTS } attributes;
    const char *option; /* the option that allows the operator, also if the attribute is not filterable */
    bool needs_option;  /* a filterable attribute is not enough */
    enum text_condition_kind text;
} operators[] = {
    {"Eq", FILTER_EQ, false, VALUE_OR_NULL, OF_ANY, NULL, false, 0},
    {"NotEq", FILTER_EQ, true, VALUE_OR_NULL, OF_ANY, NULL, false, 0},
    {"In", FILTER_IN, false, LIST_OF_VALUES, OF_ANY, NULL, false, 0},
    {"NotIn", FILTER_IN, true, LIST_OF_VALUES, OF_ANY, NULL, false, 0},
    {"Lt", FILTER_LT, false, VALUE_OR_NULL, OF_SCALARS, NULL, false, 0},
    {"Lte", FILTER_LTE, false, VALUE_OR_NULL, OF_SCALARS, NULL, false, 0},
    {"Gt", FILTER_GT, false, VALUE_OR_NULL, OF_SCALARS, NULL, false, 0},
    {"Gte", FILTER_GTE, false, VALUE_OR_NULL, OF_SCALARS, NULL, false, 0},
    {"Contains", FILTER_CONTAINS, false, ONE_VALUE, OF_ARRAYS, NULL, false, 0},
    {"NotContains", FILTER_CONTAINS, true, ONE_VALUE, OF_ARRAYS, NULL, false, 0},
    {"ContainsAny", FILTER_IN, false, LIST_OF_VALUES, OF_ARRAYS, NULL, false, 0},
    {"NotContainsAny", FILTER_IN, true, LIST_OF_VALUES, OF_ARRAYS, NULL, false, 0},
    {"AnyLt", FILTER_ANY_LT, false, ONE_VALUE, OF_ARRAYS, NULL, false, 0},
    {"AnyLte", FILTER_ANY_LTE, false, ONE_VALUE, OF_ARRAYS, NULL, false, 0},
    {"AnyGt", FILTER_ANY_GT, false, ONE_VALUE, OF_ARRAYS, NULL, false, 0},
    {"AnyGte", FILTER_ANY_GTE, false, ONE_VALUE, OF_ARRAYS, NULL, false, 0},
    {"Glob", FILTER_TEXT, false, A_TEXT, OF_TEXTS, "glob", false, TEXT_GLOB},
    {"NotGlob", FILTER_TEXT, true, A_TEXT, OF_TEXTS, "glob", false, TEXT_GLOB},
    {"IGlob", FILTER_TEXT, false, A_TEXT, OF_TEXTS, "glob", false, TEXT_GLOB_WITHOUT_CASE},
    {"NotIGlob", FILTER_TEXT, true, A_TEXT, OF_TEXTS, "glob", false, TEXT_GLOB_WITHOUT_CASE},
    {"Regex", FILTER_TEXT, false, A_TEXT, OF_TEXTS, "regex", true, TEXT_REGEX},
    {"Fuzzy", FILTER_TEXT, false, A_TEXT, OF_TEXTS, "fuzzy", true, TEXT_FUZZY},
    {"ContainsAllTokens", FILTER_TEXT, false, A_TEXT, OF_TEXTS, "full_text_search", true, TEXT_ALL_TOKENS},
    {"ContainsAnyToken", FILTER_TEXT, false, A_TEXT, OF_TEXTS, "full_text_search", true, TEXT_ANY_TOKEN},
    {"ContainsTokenSequence", FILTER_TEXT, false, A_TEXT, OF_TEXTS, "full_text_search", true, TEXT_TOKEN_SEQUENCE},
};

enum { OPERATOR_COUNT = sizeof operators / sizeof *operators };

struct filter_parser {
    struct json_reader r;
    struct arena *arena;
    const struct schema *schema;
    bool allow_new;
    struct filter *filter;
    struct dp_error *error;
};

static enum dp_status parse_node(struct filter_parser *p, struct filter_node **out);

static enum dp_status fail_text(struct filter_parser *p, const struct json_reader *r)
{
    enum dp_status status = json_error(r, p->error);
    dp_error_prefix(p->error, "a filter");
    return status;
}

/* ---- attributes ---------------------------------------------------------------------------------------- */

/* Returns the place of an attribute in the filter, or NULL if there are too many. */
static struct filter_slot *slot_of(struct filter_parser *p, struct span name)
{
    struct filter *f = p->filter;
    for (size_t i = 0; i < f->slot_count; i++) {
        if (span_equal(f->slots[i].name, name))
            return &f->slots[i];
    }
    if (f->slot_count == FILTER_ATTRIBUTES_MAX)
        return NULL;
    struct filter_slot *slot = &f->slots[f->slot_count++];
    const struct attribute *a = schema_find(p->schema, name);
    *slot = (struct filter_slot){.name = name, .is_id = span_equal_str(name, "id")};
    if (a && !a->dropped) {
        slot->known = true;
        slot->type = a->type;
    }
    return slot;
}

static bool has_option(const struct attribute *a, const char *option)
{
    struct span value;
    return option && document_find(a->options, span_str(option), &value);
}

/* Finds the attribute of a filter, and checks that filters may use it. `option` allows the use of an attribute that
 * is not filterable; it may be NULL. `needed`: without the option, a filterable one is refused too. */
static enum dp_status use_attribute(struct filter_parser *p, struct span name, const char *option, bool needed,
                                    const struct filter_slot **out)
{
    const struct attribute *a = schema_find(p->schema, name);
    char type[ATTRIBUTE_TYPE_ROOM];
    if (span_equal_str(name, "vector"))
        return dp_fail(p->error, DP_INVALID, "attribute \"vector\": vectors cannot be filtered");
    if (a && !a->dropped && (a->type == ATTRIBUTE_VECTOR || a->type == ATTRIBUTE_BYTES))
        return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\": values of type %s cannot be filtered",
                       SPAN_FMT(name), attribute_type_print(a, type));
    if (a && !a->dropped && needed && !has_option(a, option))
        return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\": declare it with \"%s\": true first",
                       SPAN_FMT(name), option);
    if (a && !a->dropped && a->unfiltered && !has_option(a, option))
        return dp_fail(p->error, DP_INVALID,
                       "attribute \"%.*s\" is not filterable: declare it with \"filterable\": true",
                       SPAN_FMT(name));
    *out = slot_of(p, name);
    if (!*out)
        return dp_fail(p->error, DP_INVALID, "a filter has at most %d different attributes",
                       FILTER_ATTRIBUTES_MAX);
    return DP_OK;
}

static bool is_number(enum attribute_type type)
{
    return type == ATTRIBUTE_INT || type == ATTRIBUTE_UINT || type == ATTRIBUTE_FLOAT;
}

/* ---- operands ------------------------------------------------------------------------------------------ */

/* Reads a value of "id" as an id key. */
static enum dp_status read_id(struct filter_parser *p, struct json_reader *r, struct scalar *out)
{
    enum id_kind kind = p->schema->id_kind;
    uint8_t *key;
    if (json_peek(r) == JSON_NUMBER && kind != ID_STRING && kind != ID_UUID) {
        uint64_t number = 0;
        if (!json_read_u64(r, &number))
            return fail_text(p, r);
        key = arena_alloc(p->arena, 9);
        if (!key)
            return dp_fail_nomem(p->error, "a filter");
        key[0] = ID_UINT;
        for (int i = 0; i < 8; i++)
            key[1 + i] = (uint8_t)(number >> (56 - 8 * i));
        *out = scalar_of_text(span_of(key, 9));
        return DP_OK;
    }
    struct span text;
    if (json_peek(r) != JSON_STRING || kind == ID_UINT)
        return dp_fail(p->error, DP_INVALID, "attribute \"id\" has type %s, but a filter compares it with %s",
                       kind == ID_ANY ? "uint or string" : id_kind_name(kind), json_type_name(json_peek(r)));
    if (!json_read_string(r, p->arena, &text))
        return fail_text(p, r);
    key = arena_alloc(p->arena, 1 + UUID_BYTES + text.len);
    if (!key)
        return dp_fail_nomem(p->error, "a filter");
    key[0] = (uint8_t)(kind == ID_UUID ? ID_UUID : ID_STRING);
    if (kind == ID_UUID && !uuid_parse(text, key + 1))
        return dp_fail(p->error, DP_INVALID, "attribute \"id\" has type uuid, but \"%.*s\" is not a UUID",
                       text.len > 64 ? 64 : (int)text.len, (const char *)text.data);
    if (kind != ID_UUID)
        memcpy(key + 1, text.data, text.len);
    *out = scalar_of_text(span_of(key, 1 + (kind == ID_UUID ? (size_t)UUID_BYTES : text.len)));
    return DP_OK;
}

/* Reads a number that is compared with an attribute of numbers. */
static enum dp_status read_number(struct filter_parser *p, struct json_reader *r, enum attribute_type type,
                                  struct scalar *out)
{
    struct json_reader before = *r;
    struct span raw;
    double number;
    if (!json_read_double(r, &number) || !json_read_raw(&before, &raw))
        return fail_text(p, r);
    *out = scalar_of_json(type, raw);
    return DP_OK;
}

/* Reads one value in the normal form of the attribute, or of its elements. */
static enum dp_status read_value(struct filter_parser *p, struct json_reader *r, const struct filter_slot *slot,
                                 struct scalar *out)
{
    const struct attribute wanted = {.name = slot->name, .type = attribute_item_type(slot->type)};
    enum json_type type = json_peek(r);
    struct span raw, normal;
    if (type == JSON_NULL) {
        *out = (struct scalar){.kind = SCALAR_NULL};
        return json_read_null(r) ? DP_OK : fail_text(p, r);
    }
    if (slot->is_id)
        return read_id(p, r, out);
    if (type == JSON_NUMBER && (!slot->known || is_number(wanted.type)))
        return read_number(p, r, slot->known ? wanted.type : ATTRIBUTE_INT, out);
    if (!json_read_raw(r, &raw))
        return fail_text(p, r);
    if (!slot->known && (type == JSON_OBJECT || type == JSON_ARRAY))
        return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\" is compared with %s", SPAN_FMT(slot->name),
                       json_type_name(type));
    normal = raw;
    if (slot->known) {
        enum dp_status status = value_normalize(&wanted, raw, p->arena, &normal, p->error);
        if (status)
            return status;
    }
    *out = scalar_of_json(wanted.type, normal);
    return DP_OK;
}

/* Reads {"$ref_new": attribute}. */
static enum dp_status read_new(struct filter_parser *p, struct json_reader *r, const struct filter_slot *slot,
                               const struct filter_slot **out)
{
    struct span key = {0}, name = {0};
    json_enter_object(r);
    bool is_ref = json_next_key(r, p->arena, &key) && span_equal_str(key, "$ref_new");
    if (!is_ref && !json_failed(r))
        return dp_fail(p->error, DP_INVALID,
                       "attribute \"%.*s\" is compared with an object, which is not {\"$ref_new\": …}",
                       SPAN_FMT(slot->name));
    if (is_ref && !p->allow_new)
        return dp_fail(p->error, DP_INVALID, "{\"$ref_new\": …} stands only in the conditions of a write");
    if (!is_ref || !json_read_string(r, p->arena, &name) || json_next_key(r, p->arena, &key)) {
        if (json_failed(r))
            return fail_text(p, r);
        return dp_fail(p->error, DP_INVALID, "{\"$ref_new\": …} has one field");
    }
    enum dp_status status = use_attribute(p, name, NULL, false, out);
    if (status)
        return status;
    const struct filter_slot *other = *out;
    enum attribute_type one = attribute_item_type(slot->type), two = attribute_item_type(other->type);
    bool comparable = one == two || (is_number(one) && is_number(two));
    if ((slot->known && other->known && !comparable) || slot->is_id != other->is_id)
        return dp_fail(p->error, DP_INVALID, "attributes \"%.*s\" and \"%.*s\" have types that do not compare",
                       SPAN_FMT(slot->name), SPAN_FMT(other->name));
    return DP_OK;
}

/* Fails if {"$ref_new": …} names an array attribute where the operator takes one value, or an attribute of single
 * values where it takes an array. */
static enum dp_status check_new_shape(struct filter_parser *p, const struct operator_row *row,
                                      const struct filter_slot *slot, const struct filter_slot *other)
{
    bool array = attribute_is_array(slot->type), other_array = attribute_is_array(other->type), fits;
    if (row->shape == LIST_OF_VALUES)
        fits = array || other_array;
    else
        fits = row->op == FILTER_EQ ? array == other_array : !other_array;
    if (fits || (!slot->known && !slot->is_id) || (!other->known && !other->is_id))
        return DP_OK;
    return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\": %s cannot take \"%.*s\", which is %s",
                   SPAN_FMT(slot->name), row->name, SPAN_FMT(other->name), other_array ? "an array" : "no array");
}

static int sort_scalars(const void *a, const void *b)
{
    return scalar_compare(a, b);
}

/* Reads an array of values. `sorted`: the operator is In, so the list is sorted and may hold {"$ref_new": …}. */
static enum dp_status read_list(struct filter_parser *p, struct filter_node *node, bool sorted)
{
    struct filter_operand *o = &node->operand;
    struct json_reader *r = &p->r;
    size_t room = 0, new_room = 0;
    o->kind = OPERAND_LIST;
    if (!json_enter_array(r))
        return fail_text(p, r);
    while (json_next_item(r)) {
        enum dp_status status;
        if (o->count + o->new_count == FILTER_LIST_MAX)
            return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\": a list of a filter has at most %d values",
                           SPAN_FMT(node->slot->name), FILTER_LIST_MAX);
        if (json_peek(r) == JSON_OBJECT && sorted) {
            const struct filter_slot **news =
                arena_reserve(p->arena, o->news, o->new_count, &new_room, sizeof(void *), 4);
            if (!news)
                return dp_fail_nomem(p->error, "a filter");
            o->news = news;
            status = read_new(p, r, node->slot, &news[o->new_count]);
            if (status == DP_OK && attribute_is_array(news[o->new_count]->type))
                status =
                    dp_fail(p->error, DP_INVALID, "attribute \"%.*s\" is an array, and cannot be one of a list",
                            SPAN_FMT(news[o->new_count]->name));
            o->new_count += status == DP_OK;
        } else {
            struct scalar *list = arena_reserve(p->arena, o->list, o->count, &room, sizeof *list, 8);
            if (!list)
                return dp_fail_nomem(p->error, "a filter");
            o->list = list;
            status = read_value(p, r, node->slot, &list[o->count]);
            o->count += status == DP_OK;
        }
        if (status)
            return status;
    }
    if (json_failed(r))
        return fail_text(p, r);
    if (sorted && o->count)
        qsort(o->list, o->count, sizeof *o->list, sort_scalars);
    return DP_OK;
}

/* Reads the operand of an operator over texts, and the end of the condition. */
static enum dp_status read_text_operand(struct filter_parser *p, const struct operator_row *row,
                                        struct filter_node *node)
{
    const struct attribute *a = schema_find(p->schema, node->slot->name);
    struct text_condition_place place = {.attribute = node->slot->name, .operator= row->name, .kind = row->text};
    if (a)
        document_find(a->options, span_str("full_text_search"), &place.full_text_search);
    node->operand.kind = OPERAND_TEXT;
    return text_condition_read(&p->r, p->arena, &place, &node->operand.text, p->error);
}

static enum dp_status read_operand(struct filter_parser *p, const struct operator_row *row,
                                   struct filter_node *node)
{
    const struct filter_slot *slot = node->slot;
    struct json_reader *r = &p->r;
    enum json_type type = json_peek(r);
    bool array = slot->known && attribute_is_array(slot->type);
    if (row->attributes == OF_TEXTS)
        return read_text_operand(p, row, node);
    if (type == JSON_OBJECT) {
        node->operand.kind = OPERAND_NEW;
        enum dp_status status = read_new(p, r, slot, &node->operand.new_value);
        return status == DP_OK ? check_new_shape(p, row, slot, node->operand.new_value) : status;
    }
    if (type == JSON_NOTHING) {
        json_skip(r); /* this makes the reader fail, with a message */
        return fail_text(p, r);
    }
    if (type == JSON_ARRAY && (row->shape == LIST_OF_VALUES || (row->op == FILTER_EQ && array)))
        return read_list(p, node, row->op == FILTER_IN);
    if (row->shape == LIST_OF_VALUES && !array)
        return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\": %s takes an array, not %s", SPAN_FMT(slot->name),
                       row->name, json_type_name(type));
    if (row->shape != VALUE_OR_NULL && type == JSON_NULL)
        return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\": %s does not take null", SPAN_FMT(slot->name),
                       row->name);
    if (row->op == FILTER_EQ && array && type != JSON_NULL)
        return dp_fail(p->error, DP_INVALID,
                       "attribute \"%.*s\" holds arrays: %s takes an array or null; use Contains for one element",
                       SPAN_FMT(slot->name), row->name);
    node->operand.kind = OPERAND_SCALAR;
    return read_value(p, r, slot, &node->operand.scalar);
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

static enum dp_status find_operator(struct filter_parser *p, struct span name, struct span op,
                                    const struct operator_row **out)
{
    for (int i = 0; i < OPERATOR_COUNT; i++) {
        if (span_equal_str(op, operators[i].name)) {
            *out = &operators[i];
            return DP_OK;
        }
    }
    return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\": there is no filter operator \"%.*s\"",
                   SPAN_FMT(name), op.len > 40 ? 40 : (int)op.len, (const char *)op.data);
}

/* Fails unless the array of the present filter ends here. */
static enum dp_status end_node(struct filter_parser *p, const char *what)
{
    bool more = json_next_item(&p->r);
    if (json_failed(&p->r))
        return fail_text(p, &p->r);
    return more ? dp_fail(p->error, DP_INVALID, "a filter: %s has too many elements", what) : DP_OK;
}

/* Reads operator and operand of [attribute, operator, operand]. */
static enum dp_status parse_comparison(struct filter_parser *p, struct span name, struct filter_node *node)
{
    struct span op = {0};
    const struct operator_row *row = NULL;
    if (!json_read_string(&p->r, p->arena, &op))
        return fail_text(p, &p->r);
    enum dp_status status = find_operator(p, name, op, &row);
    if (status == DP_OK)
        status = use_attribute(p, name, row->option, row->needs_option, &node->slot);
    if (status)
        return status;
    bool array = attribute_is_array(node->slot->type), known = node->slot->known || node->slot->is_id;
    if (known && ((row->attributes == OF_ARRAYS && !array) || (row->attributes == OF_SCALARS && array)))
        return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\": %s is for attributes %s arrays", SPAN_FMT(name),
                       row->name, row->attributes == OF_ARRAYS ? "of" : "without");
    if (row->attributes == OF_TEXTS &&
        (node->slot->is_id || (known && attribute_item_type(node->slot->type) != ATTRIBUTE_STRING)))
        return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\": %s is for attributes of strings", SPAN_FMT(name),
                       row->name);
    node->op = row->op;
    node->negated = row->negated;
    if (!json_next_item(&p->r))
        return json_failed(&p->r) ? fail_text(p, &p->r)
                                  : dp_fail(p->error, DP_INVALID, "attribute \"%.*s\": %s has no operand",
                                            SPAN_FMT(name), row->name);
    status = read_operand(p, row, node);
    return status == DP_OK && row->shape != A_TEXT ? end_node(p, row->name) : status;
}

static enum dp_status add_child(struct filter_parser *p, struct filter_node *node, size_t *room)
{
    struct filter_node **children = arena_reserve(p->arena, node->children, node->count, room, sizeof(void *), 4);
    if (!children)
        return dp_fail_nomem(p->error, "a filter");
    node->children = children;
    enum dp_status status = parse_node(p, &children[node->count]);
    node->count += status == DP_OK;
    return status;
}

/* Reads the list of And or Or, or the one filter of Not. */
static enum dp_status parse_logic(struct filter_parser *p, struct filter_node *node, const char *name)
{
    size_t room = 0;
    enum dp_status status = DP_OK;
    if (node->op == FILTER_NOT) {
        status = add_child(p, node, &room);
        return status == DP_OK ? end_node(p, name) : status;
    }
    if (!json_enter_array(&p->r))
        return fail_text(p, &p->r);
    while (status == DP_OK && json_next_item(&p->r))
        status = add_child(p, node, &room);
    return status == DP_OK ? end_node(p, name) : status;
}

static enum dp_status parse_node(struct filter_parser *p, struct filter_node **out)
{
    struct span name = {0};
    if (p->filter->node_count++ == FILTER_NODES_MAX)
        return dp_fail(p->error, DP_INVALID, "a filter has at most %d conditions", FILTER_NODES_MAX);
    struct filter_node *node = arena_calloc(p->arena, 1, sizeof *node);
    *out = node;
    if (!node)
        return dp_fail_nomem(p->error, "a filter");
    if (!json_enter_array(&p->r))
        return fail_text(p, &p->r);
    if (!json_next_item(&p->r) || !json_read_string(&p->r, p->arena, &name) || !json_next_item(&p->r))
        return json_failed(&p->r)
                   ? fail_text(p, &p->r)
                   : dp_fail(p->error, DP_INVALID, "a filter: [attribute, operator, value] is cut short");
    bool logic = json_peek(&p->r) == JSON_ARRAY;
    node->op = span_equal_str(name, "And") ? FILTER_AND : span_equal_str(name, "Or") ? FILTER_OR : FILTER_NOT;
    if (logic && span_equal_str(name, "And"))
        return parse_logic(p, node, "And");
    if (logic && span_equal_str(name, "Or"))
        return parse_logic(p, node, "Or");
    if (logic && span_equal_str(name, "Not"))
        return parse_logic(p, node, "Not");
    return parse_comparison(p, name, node);
}

enum dp_status filter_parse(struct arena *arena, struct span json, const struct schema *schema, bool allow_new,
                            struct filter **out, struct dp_error *error)
{
    struct filter_parser p = {.arena = arena, .schema = schema, .allow_new = allow_new, .error = error};
    p.filter = arena_calloc(arena, 1, sizeof *p.filter);
    *out = p.filter;
    if (!p.filter)
        return dp_fail_nomem(error, "a filter");
    p.filter->slots = arena_array(arena, FILTER_ATTRIBUTES_MAX, sizeof *p.filter->slots);
    if (!p.filter->slots)
        return dp_fail_nomem(error, "a filter");
    json_reader_init(&p.r, json);
    enum dp_status status = parse_node(&p, &p.filter->root);
    if (status == DP_OK && !json_end(&p.r))
        status = fail_text(&p, &p.r);
    return status;
}

bool filter_knows_all(const struct filter *filter)
{
    for (size_t i = 0; i < filter->slot_count; i++) {
        if (!filter->slots[i].known && !filter->slots[i].is_id)
            return false;
    }
    return true;
}
