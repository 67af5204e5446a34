/* query_scan.c: gives a scan the filter, the order and the groups that a query asks for. */
#include "service/query_scan.h"

#include <string.h>

#include "base/json.h"
#include "filter/filter.h"
#include "filter/order_key.h"
#include "filter/scalar.h"
#include "index/rank.h"
#include "index/schema_options.h"
#include "service/aggregate.h"

/* Returns the attribute with "embed" that a query names: by its own name, or by a name for its vectors:
 * "$embed_NAME" (turbopuffer's) or "embed_NAME". */
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
    const bool other = query_has_vector(request) && !span_equal_str(request->rank_attribute, "vector");
    return other ? request->rank_attribute : (struct span){0};
}

bool query_needs_scan(const struct query_request *request)
{
    return request->rank != QUERY_NEAREST || request->filters.len > 0 || query_near(request).len > 0 ||
           request->per_count > 0;
}

/* For index_scan: whether the row matches the filter. */
static bool match_filter(void *ctx, struct span key, struct span document)
{
    struct scan_filter *f = ctx;
    const struct filter_row row = {.id = key, .document = document};
    return filter_match(f->filter, &row, NULL, &f->watch);
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

/* ---- several attributes --------------------------------------------------------------------------------- */

/* What a tuple of values is made of. */
struct tuple_part {
    const struct attribute *attribute; /* NULL: the id */
    bool descending;
};

/* For index_scan: tuples of a row's values as bytes. */
struct tuple {
    struct tuple_part *parts; /* [count] */
    size_t count;
    struct arena scratch; /* of one row */
    struct dp_error *error;
};

enum { TUPLE_SCRATCH_MAX = 64 * 1024 * 1024 };

static enum dp_status put_tuple(void *ctx, struct span key, struct span document, struct buffer *out)
{
    struct tuple *t = ctx;
    enum dp_status status = DP_OK;
    arena_reset(&t->scratch);
    for (size_t i = 0; i < t->count && status == DP_OK; i++) {
        const struct attribute *a = t->parts[i].attribute;
        const struct scalar value = a ? scalar_of_document(a, document) : scalar_of_text(key);
        status = order_key_put(&value, t->parts[i].descending, &t->scratch, out, t->error);
    }
    return status;
}

/* Makes a tuple of `count` attributes: those of `orders`, or else `names`. */
static enum dp_status make_tuple(struct call *call, const struct schema *schema, const struct query_order *orders,
                                 const struct span *names, size_t count, struct tuple *out)
{
    enum dp_status status = DP_OK;
    *out =
        (struct tuple){.parts = arena_calloc(call->arena, count + 1, sizeof *out->parts), .error = &call->error};
    arena_init(&out->scratch, TUPLE_SCRATCH_MAX);
    if (!out->parts)
        return call_nomem(call, "a query");
    for (; out->count < count && status == DP_OK; out->count++) {
        const struct span name = orders ? orders[out->count].attribute : names[out->count];
        struct attribute *attribute;
        status = find_order(call, schema, name, &attribute);
        out->parts[out->count] = (struct tuple_part){attribute, orders && orders[out->count].descending};
    }
    return status;
}

/* ---- the scan ------------------------------------------------------------------------------------------- */

/* What a scan needs while it runs. */
struct scan_tools {
    struct schema schema;
    struct scan_filter filter;
    struct attribute *order;
    struct tuple orders, groups;
    struct rank *rank;
};

enum dp_status query_parse_filter(struct call *call, struct span json, const struct schema *schema,
                                  struct scan_filter *filter, struct index_scan *scan)
{
    enum dp_status status = filter_parse(call->arena, json, schema, false, &filter->filter, &call->error);
    if (status != DP_OK)
        dp_error_prefix(&call->error, "filters");
    filter->watch = (struct filter_watch){.call = call};
    scan->match = match_filter;
    scan->match_ctx = filter;
    scan->filter = filter->filter;
    return status;
}

/* Sets what orders the rows, unless a vector does. */
static enum dp_status set_order(struct call *call, const struct query_request *request, struct scan_tools *tools,
                                struct index_scan *scan)
{
    enum dp_status status = DP_OK;
    if (query_has_vector(request))
        return DP_OK;
    scan->query.vector = NULL;
    if (request->rank == QUERY_SCORED) {
        status = rank_parse(call->arena, request->score, &tools->schema, &tools->rank, &call->error);
        if (status != DP_OK)
            dp_error_prefix(&call->error, "rank_by");
        if (tools->rank)
            rank_set_call(tools->rank, call);
        scan->rank = tools->rank;
    } else if (request->order_count) {
        status = make_tuple(call, &tools->schema, request->orders, NULL, request->order_count, &tools->orders);
        scan->order = put_tuple;
        scan->order_ctx = &tools->orders;
    } else if (request->rank == QUERY_ORDERED) {
        status = find_order(call, &tools->schema, request->rank_attribute, &tools->order);
        scan->order_by = request->rank_attribute;
        scan->descending = request->descending;
        scan->compare = compare_values;
        scan->compare_ctx = tools->order;
    }
    return status;
}

static enum dp_status set_groups(struct call *call, const struct query_request *request, struct scan_tools *tools,
                                 struct index_scan *scan)
{
    if (!request->per_count)
        return DP_OK;
    scan->group = put_tuple;
    scan->group_ctx = &tools->groups;
    scan->group_limit = request->per_limit;
    return make_tuple(call, &tools->schema, NULL, request->per, request->per_count, &tools->groups);
}

enum dp_status query_words(struct call *call, struct index_reader *reader, const struct query_request *request,
                           const struct index_query *query, bool *answered, struct query_response *out)
{
    struct index_scan scan = {.query = *query};
    struct schema schema;
    *answered = false;
    if (request->rank != QUERY_SCORED || request->filters.len || request->per_count)
        return DP_OK;
    enum dp_status status = index_schema(call, reader, &schema);
    if (status != DP_OK)
        return status;
    if (rank_parse(call->arena, request->score, &schema, &scan.rank, &call->error) != DP_OK) {
        dp_error_clear(&call->error); /* this schema may be old, so query_scan() judges the ranking again */
        return DP_OK;
    }
    status = index_words(call, reader, &scan, answered, &out->answer);
    rank_free(scan.rank);
    return status;
}

enum dp_status query_scan(struct call *call, struct index_reader *reader, const struct query_request *request,
                          const struct index_query *query, struct query_response *out)
{
    struct index_scan scan = {.query = *query, .exact = request->rank == QUERY_EXACT, .near = query_near(request)};
    struct scan_tools tools = {.rank = NULL};
    enum dp_status status = index_schema(call, reader, &tools.schema);
    arena_init(&tools.orders.scratch, TUPLE_SCRATCH_MAX);
    arena_init(&tools.groups.scratch, TUPLE_SCRATCH_MAX);
    if (status == DP_OK && request->filters.len)
        status = query_parse_filter(call, request->filters, &tools.schema, &tools.filter, &scan);
    if (status == DP_OK)
        status = set_order(call, request, &tools, &scan);
    if (status == DP_OK)
        status = set_groups(call, request, &tools, &scan);
    if (status == DP_OK)
        status = request->rank == QUERY_AGGREGATED
                     ? aggregate_scan(call, reader, &tools.schema, request->aggregate, &scan, out)
                     : index_scan(call, reader, &scan, &out->answer);
    if (status == DP_OK)
        status = tools.filter.watch.status;
    rank_free(tools.rank);
    arena_deinit(&tools.orders.scratch);
    arena_deinit(&tools.groups.scratch);
    return status;
}
