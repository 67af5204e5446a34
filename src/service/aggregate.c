/* aggregate.c: walks over all rows that match, and adds up. */
#include "service/aggregate.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/map.h"
#include "filter/document.h"
#include "filter/order_key.h"

enum { TUPLE_BYTES_MAX = 64 * 1024 * 1024, SCRATCH_BYTES_MAX = 64 * 1024 * 1024 };

/* A group while it grows. */
struct growing_group {
    struct aggregate_group group;
    struct span order; /* bytes that order the groups */
};

/* The state of one aggregate_scan(). */
struct aggregation {
    struct call *call;
    const struct aggregate_request *request;
    const struct attribute *summed[AGGREGATES_MAX]; /* NULL: rows */
    const struct attribute *grouped[AGGREGATE_GROUPED_MAX];
    struct attribute items[AGGREGATE_GROUPED_MAX]; /* the attribute of one value of the group */
    struct map places;                             /* of the groups by their order bytes */
    struct growing_group *groups;                  /* [room], in the call's arena */
    size_t count, room;
    struct span values[AGGREGATE_GROUPED_MAX]; /* of the present row */
    struct span document;
    struct buffer order;
    struct arena scratch;
};

/* ---- values --------------------------------------------------------------------------------------------- */

static void make_real(struct aggregate_value *v)
{
    if (!v->is_real)
        v->real = (double)v->over - (double)v->under;
    v->is_real = true;
}

static void add_whole(struct aggregate_value *v, uint64_t magnitude, bool negative)
{
    uint64_t *sum = negative ? &v->under : &v->over;
    if (!v->is_real && magnitude <= UINT64_MAX - *sum) {
        *sum += magnitude;
        return;
    }
    make_real(v);
    v->real += negative ? -(double)magnitude : (double)magnitude;
}

static void add_row(struct aggregation *a, struct aggregate_group *group)
{
    for (size_t i = 0; i < a->request->count; i++) {
        struct aggregate_value *v = &group->values[i];
        const struct attribute *attribute = a->summed[i];
        if (a->request->aggregates[i].kind == AGGREGATE_COUNT) {
            struct span value;
            v->over += !attribute ||
                       (document_find(a->document, attribute->name, &value) && !span_equal_str(value, "null"));
            continue;
        }
        const struct scalar value = scalar_of_document(attribute, a->document);
        if (value.kind != SCALAR_NUMBER)
            continue;
        if (value.whole) {
            add_whole(v, value.magnitude, value.negative);
        } else {
            make_real(v);
            v->real += value.real;
        }
    }
}

void aggregate_write(struct json_writer *w, const struct aggregate_value *value)
{
    const uint64_t size = value->over >= value->under ? value->over - value->under : value->under - value->over;
    if (value->is_real)
        json_double(w, value->real);
    else if (value->over >= value->under)
        json_u64(w, size);
    else if (size <= (uint64_t)INT64_MAX)
        json_i64(w, -(int64_t)size);
    else
        json_double(w, -(double)size);
}

/* ---- groups --------------------------------------------------------------------------------------------- */

/* Adds the group of the present row's values. */
static enum dp_status add_group(struct aggregation *a, struct span order, struct growing_group **out)
{
    struct arena *arena = a->call->arena;
    const size_t values = a->request->grouped_count;
    if (a->count == AGGREGATE_GROUPS_MAX)
        return call_fail(a->call, DP_INVALID, "group_by makes more than %d groups; choose fewer rows by filters",
                         AGGREGATE_GROUPS_MAX);
    struct growing_group *groups = arena_reserve(arena, a->groups, a->count, &a->room, sizeof *groups, 64);
    if (!groups)
        return call_nomem(a->call, "groups");
    a->groups = groups;
    struct span *labels = arena_array(arena, values + 1, sizeof *labels);
    struct span copy = arena_copy(arena, order);
    bool good = labels && copy.data;
    for (size_t i = 0; i < values && good; i++) {
        labels[i] = arena_copy(arena, a->values[i]);
        good = labels[i].data != NULL;
    }
    if (!good)
        return call_nomem(a->call, "groups");
    *out = &a->groups[a->count];
    **out = (struct growing_group){.group.labels = labels, .order = copy};
    return map_put(&a->places, copy, a->count++, NULL, NULL, &a->call->error);
}

/* Adds the present row to the group of its values. */
static enum dp_status add_to_group(struct aggregation *a)
{
    struct growing_group *group;
    const uint64_t *place = map_find(&a->places, buffer_span(&a->order));
    enum dp_status status = DP_OK;
    if (place)
        group = &a->groups[*place];
    else
        status = add_group(a, buffer_span(&a->order), &group);
    if (status == DP_OK)
        add_row(a, &group->group);
    return status;
}

static enum dp_status add_values(struct aggregation *a, size_t number);

/* Takes `value` as value number `number` of the row's group, and goes on with the next. */
static enum dp_status with_value(struct aggregation *a, size_t number, struct span value)
{
    const struct attribute *item = &a->items[number];
    const size_t len = a->order.len;
    const struct scalar scalar = scalar_of_json(item->type, value);
    enum dp_status status = DP_OK;
    a->values[number] = value;
    if (attribute_is_array(item->type)) { /* an array as a whole: in the order of its bytes */
        const struct scalar text = scalar_of_text(value);
        status = order_key_put(&text, false, &a->scratch, &a->order, &a->call->error);
    } else {
        status = order_key_put(&scalar, false, &a->scratch, &a->order, &a->call->error);
    }
    if (status == DP_OK)
        status = add_values(a, number + 1);
    a->order.len = len;
    return status;
}

/* Whether an element of the array before `item` equals it: a row is once in each group. */
static bool came_before(struct span array, struct span item)
{
    struct document_walk walk = document_begin(array);
    struct span other;
    while (document_next_item(&walk, &other) && other.data < item.data)
        if (span_equal(other, item))
            return true;
    return false;
}

/* Adds the present row to the groups of its values from number `number` on. */
static enum dp_status add_values(struct aggregation *a, size_t number)
{
    struct span value, item;
    enum dp_status status = DP_OK;
    if (number == a->request->grouped_count)
        return add_to_group(a);
    const bool found = document_find(a->document, a->grouped[number]->name, &value);
    if (!a->request->grouped[number].each)
        return with_value(a, number, found ? value : span_str("null"));
    struct document_walk walk = document_begin(found ? value : (struct span){0});
    while (status == DP_OK && document_next_item(&walk, &item))
        if (!came_before(value, item))
            status = with_value(a, number, item);
    return status;
}

static enum dp_status take_row(void *ctx, struct span key, struct span document)
{
    struct aggregation *a = ctx;
    (void)key;
    a->document = document;
    buffer_clear(&a->order);
    arena_reset(&a->scratch);
    return add_values(a, 0);
}

static int compare_groups(const void *a, const void *b)
{
    const struct growing_group *left = a, *right = b;
    return span_compare(left->order, right->order);
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static enum dp_status find_attribute(struct call *call, const struct schema *schema, const char *field,
                                     struct span name, const struct attribute **out)
{
    const struct attribute *a = schema_find(schema, name);
    if (!a || a->dropped)
        return call_fail(call, DP_INVALID, "%s: the namespace has no attribute \"%.*s\"", field, SPAN_FMT(name));
    *out = a;
    return DP_OK;
}

static enum dp_status find_summed(struct aggregation *a, const struct schema *schema, size_t i)
{
    const struct aggregate *wanted = &a->request->aggregates[i];
    char type[ATTRIBUTE_TYPE_ROOM];
    if (wanted->attribute.len == 0 || (wanted->kind == AGGREGATE_COUNT && span_equal_str(wanted->attribute, "id")))
        return DP_OK;
    enum dp_status status = find_attribute(a->call, schema, "aggregate_by", wanted->attribute, &a->summed[i]);
    if (status != DP_OK || wanted->kind == AGGREGATE_COUNT)
        return status;
    const enum attribute_type t = a->summed[i]->type;
    return t == ATTRIBUTE_INT || t == ATTRIBUTE_UINT || t == ATTRIBUTE_FLOAT
               ? DP_OK
               : call_fail(a->call, DP_INVALID, "aggregate_by: attribute \"%.*s\" of type %s has no sum",
                           SPAN_FMT(wanted->attribute), attribute_type_print(a->summed[i], type));
}

static enum dp_status find_grouped(struct aggregation *a, const struct schema *schema, size_t i)
{
    const struct grouped_by *wanted = &a->request->grouped[i];
    enum dp_status status = find_attribute(a->call, schema, "group_by", wanted->attribute, &a->grouped[i]);
    char type[ATTRIBUTE_TYPE_ROOM];
    if (status)
        return status;
    const struct attribute *found = a->grouped[i];
    a->items[i] = *found;
    if (wanted->each)
        a->items[i].type = attribute_item_type(found->type);
    if (found->unfiltered || found->type == ATTRIBUTE_VECTOR || found->type == ATTRIBUTE_BYTES)
        return call_fail(a->call, DP_INVALID, "group_by: attribute \"%.*s\" of type %s cannot group rows%s",
                         SPAN_FMT(wanted->attribute), attribute_type_print(found, type),
                         found->unfiltered ? ": it is not filterable" : "");
    if (wanted->each && !attribute_is_array(found->type))
        return call_fail(a->call, DP_INVALID,
                         "group_by: ForEachUnique needs an array; attribute \"%.*s\" has type %s",
                         SPAN_FMT(wanted->attribute), attribute_type_print(found, type));
    return DP_OK;
}

/* Sorts the groups and copies the first to the answer. Without groups there is one of all rows, even of none. */
static enum dp_status answer_groups(struct aggregation *a, struct aggregate_answer *out)
{
    if (a->request->grouped_count == 0 && a->count == 0) {
        struct growing_group *group;
        enum dp_status status = add_group(a, (struct span){0}, &group);
        if (status)
            return status;
    }
    if (a->count)
        qsort(a->groups, a->count, sizeof *a->groups, compare_groups);
    out->count = a->count < a->request->limit ? a->count : a->request->limit;
    out->groups = arena_array(a->call->arena, out->count + 1, sizeof *out->groups);
    if (!out->groups)
        return call_nomem(a->call, "groups");
    for (size_t i = 0; i < out->count; i++)
        out->groups[i] = a->groups[i].group;
    return DP_OK;
}

/* For index_scan: forgets all rows, because the scan begins, maybe again. */
static void begin_rows(void *ctx)
{
    struct aggregation *a = ctx;
    map_deinit(&a->places);
    map_init(&a->places, AGGREGATE_GROUPS_MAX);
    a->count = 0;
}

/* Whether the answer is the number of rows alone. */
static bool counts_rows_alone(const struct aggregation *a)
{
    for (size_t i = 0; i < a->request->count; i++) {
        if (a->request->aggregates[i].kind != AGGREGATE_COUNT || a->summed[i])
            return false;
    }
    return a->request->grouped_count == 0;
}

/* Scans for the number of rows alone. */
static enum dp_status count_rows(struct aggregation *a, struct index_reader *reader, struct index_scan *scan,
                                 struct index_answer *answer)
{
    struct growing_group *group;
    uint64_t rows = 0;
    scan->count = &rows;
    enum dp_status status = index_scan(a->call, reader, scan, answer);
    if (status == DP_OK)
        status = add_group(a, (struct span){0}, &group);
    for (size_t i = 0; i < a->request->count && status == DP_OK; i++)
        group->group.values[i].over = rows;
    return status;
}

enum dp_status aggregate_scan(struct call *call, struct index_reader *reader, const struct schema *schema,
                              const struct aggregate_request *request, struct index_scan *scan,
                              struct query_response *out)
{
    struct aggregation a = {.call = call, .request = request};
    enum dp_status status = DP_OK;
    out->aggregates = arena_calloc(call->arena, 1, sizeof *out->aggregates);
    if (!out->aggregates)
        return call_nomem(call, "groups");
    for (size_t i = 0; i < request->count && status == DP_OK; i++)
        status = find_summed(&a, schema, i);
    for (size_t i = 0; i < request->grouped_count && status == DP_OK; i++)
        status = find_grouped(&a, schema, i);
    if (status)
        return status;
    map_init(&a.places, AGGREGATE_GROUPS_MAX);
    buffer_init(&a.order, TUPLE_BYTES_MAX);
    arena_init(&a.scratch, SCRATCH_BYTES_MAX);
    if (counts_rows_alone(&a)) {
        status = count_rows(&a, reader, scan, &out->answer);
    } else {
        scan->visit = take_row;
        scan->visit_ctx = &a;
        scan->begin = begin_rows;
        status = index_scan(call, reader, scan, &out->answer);
    }
    if (status == DP_OK)
        status = answer_groups(&a, out->aggregates);
    map_deinit(&a.places);
    buffer_deinit(&a.order);
    arena_deinit(&a.scratch);
    return status;
}
