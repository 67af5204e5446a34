/* filter/filter_match.c: matches rows with a parsed filter.
 *
 * A match walks the document once and notes where the values of the filter's attributes are. It reads a value
 * only when a condition needs it. */
#include "filter/document.h"
#include "filter/filter_node.h"

/* The values of a filter's attributes in one row. */
struct slot_values {
    struct span values[FILTER_ATTRIBUTES_MAX]; /* JSON; empty: none. Of "id": the id key */
};

struct matching {
    const struct filter *filter;
    const struct slot_values *row, *incoming;
    struct filter_watch *watch;
};

static void find_values(const struct filter *f, const struct filter_row *row, struct slot_values *out)
{
    struct document_member m;
    struct document_walk w;
    size_t left = f->slot_count;
    for (size_t i = 0; i < f->slot_count; i++) {
        bool settled = f->slots[i].is_id || !f->slots[i].known;
        out->values[i] = row && f->slots[i].is_id ? row->id : (struct span){0};
        left -= settled;
    }
    if (!row || row->document.len == 0)
        return;
    w = document_begin(row->document);
    while (left && document_next(&w, &m)) {
        for (size_t i = 0; i < f->slot_count; i++) {
            if (!out->values[i].len && f->slots[i].known && !f->slots[i].is_id &&
                document_is_key(m.key, f->slots[i].name)) {
                out->values[i] = m.value;
                left--;
                break;
            }
        }
    }
}

static struct span value_of(const struct matching *m, const struct filter_slot *slot,
                            const struct slot_values *from)
{
    return from->values[slot - m->filter->slots];
}

/* Reads the value of an attribute as its type compares it. */
static struct scalar read_slot(const struct matching *m, const struct filter_slot *slot,
                               const struct slot_values *from)
{
    struct span value = value_of(m, slot, from);
    if (slot->is_id)
        return scalar_of_text(value);
    return scalar_of_json(slot->known ? attribute_item_type(slot->type) : ATTRIBUTE_INT, value);
}

static bool is_array(struct span value)
{
    return value.len && value.data[0] == '[';
}

/* Returns whether a sorted list has the scalar. */
bool filter_list_has(const struct filter_operand *o, const struct scalar *scalar)
{
    size_t low = 0, high = o->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = scalar_compare(&o->list[middle], scalar);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Returns whether an array of JSON has the scalar. */
static bool array_has(enum attribute_type item, struct span array, const struct scalar *scalar)
{
    struct document_walk w = document_begin(array);
    struct span value;
    while (document_next_item(&w, &value)) {
        struct scalar element = scalar_of_json(item, value);
        if (scalar_compare(&element, scalar) == 0)
            return true;
    }
    return false;
}

static enum attribute_type item_type(const struct filter_slot *slot)
{
    return slot->known ? attribute_item_type(slot->type) : ATTRIBUTE_INT;
}

/* Returns whether the operand of In, ContainsAny or Contains has the scalar. */
static bool operand_has(const struct matching *m, const struct filter_node *node, const struct scalar *scalar)
{
    const struct filter_operand *o = &node->operand;
    if (o->kind == OPERAND_SCALAR)
        return scalar_compare(&o->scalar, scalar) == 0;
    if (o->kind == OPERAND_NEW) {
        struct span value = value_of(m, o->new_value, m->incoming);
        if (is_array(value))
            return array_has(item_type(o->new_value), value, scalar);
        struct scalar other = read_slot(m, o->new_value, m->incoming);
        return other.kind != SCALAR_NULL && scalar_compare(&other, scalar) == 0;
    }
    for (size_t i = 0; i < o->new_count; i++) {
        struct scalar other = read_slot(m, o->news[i], m->incoming);
        if (scalar_compare(&other, scalar) == 0)
            return true;
    }
    return filter_list_has(o, scalar);
}

/* Returns the operand of a comparison with one value. */
static struct scalar operand_scalar(const struct matching *m, const struct filter_node *node)
{
    const struct filter_operand *o = &node->operand;
    return o->kind == OPERAND_NEW ? read_slot(m, o->new_value, m->incoming) : o->scalar;
}

bool filter_order_fits(enum filter_operator op, int order)
{
    switch (op) {
    case FILTER_LT:
    case FILTER_ANY_LT: return order < 0;
    case FILTER_LTE:
    case FILTER_ANY_LTE: return order <= 0;
    case FILTER_GT:
    case FILTER_ANY_GT: return order > 0;
    case FILTER_GTE:
    case FILTER_ANY_GTE: return order >= 0;
    case FILTER_AND:
    case FILTER_OR:
    case FILTER_NOT:
    case FILTER_EQ:
    case FILTER_IN:
    case FILTER_CONTAINS:
    case FILTER_TEXT:
    default: return order == 0;
    }
}

/* Returns whether two arrays of JSON have equal elements in the same order. */
static bool arrays_equal(enum attribute_type item, struct span a, enum attribute_type other_item, struct span b)
{
    struct document_walk x = document_begin(a), y = document_begin(b);
    struct span left, right;
    for (;;) {
        bool more = document_next_item(&x, &left);
        if (more != document_next_item(&y, &right))
            return false;
        if (!more)
            return true;
        struct scalar one = scalar_of_json(item, left), two = scalar_of_json(other_item, right);
        if (scalar_compare(&one, &two) != 0)
            return false;
    }
}

/* Returns whether an array of JSON has the elements of the operand's list, in its order. */
static bool array_is_list(enum attribute_type item, struct span array, const struct filter_operand *o)
{
    struct document_walk w = document_begin(array);
    struct span value;
    size_t count = 0;
    for (; document_next_item(&w, &value); count++) {
        struct scalar element = scalar_of_json(item, value);
        if (count == o->count || scalar_compare(&element, &o->list[count]) != 0)
            return false;
    }
    return count == o->count;
}

/* Eq of an array attribute: the arrays are equal, or both sides have no value. */
static bool match_equal_array(const struct matching *m, const struct filter_node *node)
{
    const struct filter_operand *o = &node->operand;
    struct span value = value_of(m, node->slot, m->row);
    enum attribute_type item = item_type(node->slot);
    if (o->kind == OPERAND_LIST)
        return is_array(value) && array_is_list(item, value, o);
    if (o->kind == OPERAND_SCALAR) /* null */
        return !is_array(value);
    struct span other = value_of(m, o->new_value, m->incoming);
    if (!is_array(value) || !is_array(other))
        return !is_array(value) && !is_array(other);
    return arrays_equal(item, value, item_type(o->new_value), other);
}

static bool match_equal(const struct matching *m, const struct filter_node *node)
{
    if (node->slot->known && attribute_is_array(node->slot->type))
        return match_equal_array(m, node);
    struct scalar scalar = read_slot(m, node->slot, m->row), wanted = operand_scalar(m, node);
    return scalar_compare(&scalar, &wanted) == 0;
}

/* In, for an attribute of single values; In, ContainsAny and Contains, for an array attribute. */
static bool match_member(const struct matching *m, const struct filter_node *node)
{
    struct span value = value_of(m, node->slot, m->row), element;
    if (!node->slot->known || !attribute_is_array(node->slot->type)) {
        struct scalar scalar = read_slot(m, node->slot, m->row);
        return node->op == FILTER_IN && operand_has(m, node, &scalar);
    }
    struct document_walk w = document_begin(value);
    while (is_array(value) && document_next_item(&w, &element)) {
        struct scalar scalar = scalar_of_json(item_type(node->slot), element);
        if (operand_has(m, node, &scalar))
            return true;
    }
    return false;
}

/* AnyLt, AnyLte, AnyGt and AnyGte. */
static bool match_any(const struct matching *m, const struct filter_node *node)
{
    struct span value = value_of(m, node->slot, m->row), element;
    struct scalar wanted = operand_scalar(m, node);
    if (!is_array(value) || wanted.kind == SCALAR_NULL)
        return false;
    struct document_walk w = document_begin(value);
    while (document_next_item(&w, &element)) {
        struct scalar scalar = scalar_of_json(item_type(node->slot), element);
        if (filter_order_fits(node->op, scalar_compare(&scalar, &wanted)))
            return true;
    }
    return false;
}

static bool match_comparison(const struct matching *m, const struct filter_node *node)
{
    switch (node->op) {
    case FILTER_EQ: return match_equal(m, node);
    case FILTER_IN:
    case FILTER_CONTAINS: return match_member(m, node);
    case FILTER_ANY_LT:
    case FILTER_ANY_LTE:
    case FILTER_ANY_GT:
    case FILTER_ANY_GTE: return match_any(m, node);
    case FILTER_TEXT:
        return node->slot->known &&
               text_condition_match(node->operand.text, value_of(m, node->slot, m->row), m->watch);
    case FILTER_AND:
    case FILTER_OR:
    case FILTER_NOT:
    case FILTER_LT:
    case FILTER_LTE:
    case FILTER_GT:
    case FILTER_GTE:
    default: {
        struct scalar scalar = read_slot(m, node->slot, m->row), wanted = operand_scalar(m, node);
        return filter_order_fits(node->op, scalar_compare(&scalar, &wanted));
    }
    }
}

static bool match_node(const struct matching *m, const struct filter_node *node)
{
    switch (node->op) {
    case FILTER_AND:
        for (size_t i = 0; i < node->count; i++) {
            if (!match_node(m, node->children[i]))
                return false;
        }
        return true;
    case FILTER_OR:
        for (size_t i = 0; i < node->count; i++) {
            if (match_node(m, node->children[i]))
                return true;
        }
        return false;
    case FILTER_NOT: return !match_node(m, node->children[0]);
    case FILTER_EQ:
    case FILTER_IN:
    case FILTER_LT:
    case FILTER_LTE:
    case FILTER_GT:
    case FILTER_GTE:
    case FILTER_CONTAINS:
    case FILTER_ANY_LT:
    case FILTER_ANY_LTE:
    case FILTER_ANY_GT:
    case FILTER_ANY_GTE:
    case FILTER_TEXT:
    default: return match_comparison(m, node) != node->negated;
    }
}

bool filter_match(const struct filter *filter, const struct filter_row *row, const struct filter_row *incoming,
                  struct filter_watch *watch)
{
    struct slot_values values, news;
    const struct matching m = {filter, &values, &news, watch};
    if (watch->status != DP_OK)
        return false;
    find_values(filter, row, &values);
    find_values(filter, incoming, &news);
    return match_node(&m, filter->root) && watch->status == DP_OK;
}

bool filter_node_match(const struct filter *filter, const struct filter_node *node, const struct filter_row *row,
                       struct filter_watch *watch)
{
    struct slot_values values, news;
    const struct matching m = {filter, &values, &news, watch};
    find_values(filter, row, &values);
    find_values(filter, NULL, &news);
    return match_node(&m, node) && watch->status == DP_OK;
}
