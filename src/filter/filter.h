/* filter/filter.h: filter expressions over one row, in turbopuffer's grammar.
 *
 *   filter  := ["And", [filter, …]] | ["Or", [filter, …]] | ["Not", filter] | [attribute, operator, operand]
 *            | [attribute, operator, operand, options]    of Fuzzy and those over tokens
 *   operand := a value or null | [value, …] | {"$ref_new": attribute}
 *
 *   Eq NotEq             a value or null (no value); for an array attribute, an array, compared element by element
 *   In NotIn             an array of values; for an array attribute: some element is one of them
 *   Lt Lte Gt Gte        null is the smallest value: Lt and Lte match rows without one; Lt null matches none
 *   Contains NotContains, ContainsAny NotContainsAny, AnyLt AnyLte AnyGt AnyGte    of array attributes
 *   Glob NotGlob IGlob NotIGlob    a glob (filter/pattern.h) over strings; of an array: over some element. They need
 *                        the option "glob" or a filterable attribute.
 *   Regex                a regular expression (filter/pattern.h), found anywhere in a string or in some element of
 *                        an array. It needs the option "regex".
 *   Fuzzy                a text with a few errors (filter/fuzzy.h), found anywhere in a string or in some element of an
 *                        array. It needs the option "fuzzy".
 *   ContainsAllTokens ContainsAnyToken ContainsTokenSequence    tokens of a string or an array (filter/tokens.h). They
 *                        need the option "full_text_search".
 *
 * The Not* operators are plain negation, so they match rows without a value. Operands become normal forms of
 * the attribute's type. Numbers compare by their exact values, whatever their types; a float attribute compares
 * as doubles. An attribute that the schema lacks, or that was dropped, is null in every row. "id" is an
 * attribute.
 */
#ifndef FILTER_FILTER_H
#define FILTER_FILTER_H

#include "base/arena.h"
#include "base/error.h"
#include "filter/attribute.h"
#include "filter/watch.h"

enum {
    FILTER_NODES_MAX = 4096,
    FILTER_LIST_MAX = 10000,     /* elements of one array operand */
    FILTER_ATTRIBUTES_MAX = 256, /* different attributes of one filter */
    FILTER_TEXT_MAX = 8192       /* bytes of a pattern, or of the texts of another operator over texts */
};

struct filter;

/* A row to match. */
struct filter_row {
    struct span id;       /* the row's id key; empty: there is no row, and every attribute is null */
    struct span document; /* a JSON object, or empty */
};

/* Parses a filter into `arena`. The filter may point into `json`, which must live as long as the filter.
 * `allow_new`: operands may be {"$ref_new": attribute}, the attribute of the incoming row. The schema is needed
 * while parsing only. Fails with DP_INVALID (no filter, an operand of another type, an attribute that is not
 * filterable) or DP_NOMEM. */
enum dp_status filter_parse(struct arena *arena, struct span json, const struct schema *schema, bool allow_new,
                            struct filter **out, struct dp_error *error);
/* Returns whether the schema had every attribute that the filter names. If it had not, a newer schema may have the
 * missing attribute, and rows may have values of it. */
bool filter_knows_all(const struct filter *filter);
/* Returns whether the row matches. `incoming` NULL: each {"$ref_new": …} is null. A match that fails, and each one
 * after it, is false and says in watch->status why. Thread-safe, if each thread has its own watch. */
bool filter_match(const struct filter *filter, const struct filter_row *row, const struct filter_row *incoming,
                  struct filter_watch *watch);

#endif
