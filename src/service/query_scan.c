/* query_scan.c: gives a scan the filter and the order that a query asks for. */
#include "service/query_scan.h"

#include <string.h>

#include "base/json.h"
#include "filter/filter.h"
#include "filter/scalar.h"
#include "index/schema_options.h"

/* Returns the attribute with "embed" that a query names: by its own name, or by turbopuffer's name for its vectors
 * ("$embed_NAME"). */
static const struct attribute *find_source(const struct schema *schema, struct span name)
{
    static const char *const prefixes[] = {"", "$embed_", "embed_"};
    struct span option;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        const size_t len = strlen(prefixes[i]);
        if (!span_starts_with(name, span_str(prefixes[i])))
            continue;
        const struct attribute *a = schema_find(schema, span_of(name.data + len, name.len - len));
        if (a && !a->dropped && a->type != ATTRIBUTE_VECTOR && schema_option(a, "embed", &option))
            return a;
    }
    return NULL;
}

enum dp_status query_find_target(struct call *call, struct index_reader *reader, struct query_request *request)
{
    struct schema schema;
    struct span option, key;
    struct json_reader r;
    if (query_near(request).len == 0)
        return DP_OK;
    enum dp_status status = index_schema(call, reader, &schema);
    const struct attribute *known = status == DP_OK ? schema_find(&schema, request->rank_attribute) : NULL;
    if (status != DP_OK || (known && known->type == ATTRIBUTE_VECTOR))
        return status;
    const struct attribute *source = find_source(&schema, request->rank_attribute);
    if (!source || !schema_option(source, "embed", &option))
        return DP_OK; /* the scan says what is wrong */
    request->rank_attribute = span_str("vector");
    json_reader_init(&r, option);
    if (json_peek(&r) == JSON_OBJECT && json_enter_object(&r)) {
        while (json_next_key(&r, call->arena, &key)) {
            if (span_equal_str(key, "attribute"))
                json_read_string(&r, call->arena, &request->rank_attribute);
            else
                json_skip(&r);
        }
    }
    return json_failed(&r) ? json_error(&r, &call->error) : DP_OK;
}

struct span query_near(const struct query_request *request)
{
    const bool other = request->rank != QUERY_ORDERED && !span_equal_str(request->rank_attribute, "vector");
    return other ? request->rank_attribute : (struct span){0};
}

bool query_needs_scan(const struct query_request *request)
{
    return request->rank != QUERY_NEAREST || request->filters.len > 0 || query_near(request).len > 0;
}

/* For index_scan: whether the row matches the filter `ctx`. */
static bool match_filter(void *ctx, struct span key, struct span document)
{
    const struct filter_row row = {.id = key, .document = document};
    return filter_match(ctx, &row, NULL);
}

/* For index_scan: compares two values of the attribute `ctx`. */
static int compare_values(void *ctx, struct span a, struct span b)
{
    const struct attribute *attribute = ctx;
    struct scalar x = scalar_of_json(attribute->type, a), y = scalar_of_json(attribute->type, b);
    return scalar_compare(&x, &y);
}

/* Finds the attribute that orders the rows. *out is NULL for "id". */
static enum dp_status find_order(struct call *call, const struct schema *schema, struct span name,
                                 struct attribute **out)
{
    *out = NULL;
    if (span_equal_str(name, "id"))
        return DP_OK;
    struct attribute *attribute = schema_find(schema, name);
    if (!attribute || attribute->dropped)
        return call_fail(call, DP_INVALID, "rank_by: the namespace has no attribute \"%.*s\"", SPAN_FMT(name));
    if (attribute_is_array(attribute->type) || attribute->type == ATTRIBUTE_VECTOR || attribute->unfiltered) {
        char type[ATTRIBUTE_TYPE_ROOM];
        return call_fail(call, DP_INVALID, "rank_by: attribute \"%.*s\" of type %s cannot order rows%s",
                         SPAN_FMT(name), attribute_type_print(attribute, type),
                         attribute->unfiltered ? ": it is not filterable" : "");
    }
    *out = attribute;
    return DP_OK;
}

enum dp_status query_scan(struct call *call, struct index_reader *reader, const struct query_request *request,
                          const struct index_query *query, struct index_answer *out)
{
    struct index_scan scan = {.query = *query, .near = query_near(request)};
    struct schema schema;
    struct filter *filter = NULL;
    struct attribute *order = NULL;
    enum dp_status status = index_schema(call, reader, &schema);
    if (status == DP_OK && request->filters.len) {
        status = filter_parse(call->arena, request->filters, &schema, false, &filter, &call->error);
        if (status != DP_OK)
            dp_error_prefix(&call->error, "filters");
    }
    if (status == DP_OK && request->rank == QUERY_ORDERED) {
        status = find_order(call, &schema, request->rank_attribute, &order);
        scan.query.vector = NULL;
        scan.order_by = request->rank_attribute;
        scan.descending = request->descending;
        scan.compare = compare_values;
        scan.compare_ctx = order;
    }
    if (status != DP_OK)
        return status;
    if (filter) {
        scan.match = match_filter;
        scan.match_ctx = filter;
    }
    return index_scan(call, reader, &scan, out);
}
