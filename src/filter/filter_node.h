/* filter/filter_node.h: a parsed filter, as filter_parse.c makes it and filter_match.c walks it. */
#ifndef FILTER_FILTER_NODE_H
#define FILTER_FILTER_NODE_H

#include "filter/filter.h"
#include "filter/scalar.h"
#include "filter/text_condition.h"

enum filter_operator {
    FILTER_AND,
    FILTER_OR,
    FILTER_NOT,
    FILTER_EQ,
    FILTER_IN, /* also ContainsAny; for an array attribute: some element is in the list */
    FILTER_LT,
    FILTER_LTE,
    FILTER_GT,
    FILTER_GTE,
    FILTER_CONTAINS,
    FILTER_ANY_LT,
    FILTER_ANY_LTE,
    FILTER_ANY_GT,
    FILTER_ANY_GTE,
    FILTER_TEXT /* an operator of text_condition.h */
};

/* An attribute that the filter names. */
struct filter_slot {
    struct span name;
    enum attribute_type type;
    bool known; /* whether the schema has the attribute, and it was not dropped; else it is null in every row */
    bool is_id;
};

/* The operand of a comparison. */
struct filter_operand {
    enum { OPERAND_SCALAR, OPERAND_LIST, OPERAND_NEW, OPERAND_TEXT } kind;
    struct scalar scalar;
    struct scalar *list; /* [count]: sorted; for Eq, in the order of the array */
    size_t count;
    const struct filter_slot **news; /* [new_count]: {"$ref_new": …} among the elements of the list */
    size_t new_count;
    const struct filter_slot *new_value; /* of OPERAND_NEW */
    struct text_condition *text;         /* of OPERAND_TEXT */
};

struct filter_node {
    enum filter_operator op;
    bool negated;
    const struct filter_slot *slot;
    struct filter_operand operand;
    struct filter_node **children; /* [count], of And, Or, Not */
    size_t count;
};

struct filter {
    struct filter_node *root;
    struct filter_slot *slots; /* [FILTER_ATTRIBUTES_MAX], of which slot_count are used */
    size_t slot_count, node_count;
};

/* Returns whether a value fits a comparison of order or equality. order: of scalar_compare(value, operand). */
bool filter_order_fits(enum filter_operator op, int order);
/* Returns whether the operand's list has the scalar. */
bool filter_list_has(const struct filter_operand *o, const struct scalar *scalar);
/* Returns whether the row matches one node of the filter; watch as of filter_match(). */
bool filter_node_match(const struct filter *filter, const struct filter_node *node, const struct filter_row *row,
                       struct filter_watch *watch);

#endif
