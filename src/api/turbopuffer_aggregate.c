/* turbopuffer_aggregate.c: reads "aggregate_by" and "group_by", and prints aggregates. */
#include "api/turbopuffer_parse.h"

#include "api/fields.h"
#include "api/turbopuffer_handlers.h"

/* Reads ["Count"], ["Count", attribute] or ["Sum", attribute]. */
static void read_aggregate(struct query_parse *p, struct aggregate *out)
{
    struct span word;
    if (!fields_expect(p->r, JSON_ARRAY, "each of aggregate_by") || !json_enter_array(p->r) ||
        !json_next_item(p->r) || !fields_string(p->r, p->arena, "an operator of aggregate_by", &word)) {
        json_reject(p->r, DP_INVALID, "aggregate_by: expected [\"Count\"] or [\"Sum\", attribute]");
        return;
    }
    bool sum = span_equal_str(word, "Sum");
    out->kind = sum ? AGGREGATE_SUM : AGGREGATE_COUNT;
    if (!sum && !span_equal_str(word, "Count"))
        body_refuse(p->body, DP_INVALID, "aggregate_by: unknown \"%.*s\": there are \"Count\" and \"Sum\"",
                    word.len < WORD_SHOWN ? (int)word.len : 0, (const char *)word.data);
    if (!json_failed(p->r) && json_next_item(p->r)) {
        fields_string(p->r, p->arena, "an attribute of aggregate_by", &out->attribute);
        if (!json_failed(p->r) && json_next_item(p->r))
            json_reject(p->r, DP_INVALID, "aggregate_by: expected [\"Count\"] or [\"Sum\", attribute]");
    }
    if (sum && out->attribute.len == 0)
        body_refuse(p->body, DP_INVALID, "aggregate_by: \"Sum\" needs an attribute");
}

void turbopuffer_take_aggregate_by(struct query_parse *p)
{
    struct aggregate_request *request = &p->query->aggregate;
    struct aggregate *aggregates = arena_calloc(p->arena, AGGREGATES_MAX, sizeof *aggregates);
    struct span label;
    if (!aggregates) {
        json_reject(p->r, DP_NOMEM, "aggregate_by");
        return;
    }
    if (!fields_expect(p->r, JSON_OBJECT, "aggregate_by") || !json_enter_object(p->r))
        return;
    request->aggregates = aggregates;
    while (json_next_key(p->r, p->arena, &label)) {
        if (request->count == AGGREGATES_MAX) {
            body_refuse(p->body, DP_INVALID, "aggregate_by has at most %d labels", AGGREGATES_MAX);
            return;
        }
        aggregates[request->count].label = label;
        read_aggregate(p, &aggregates[request->count++]);
    }
    if (!json_failed(p->r) && request->count == 0)
        body_refuse(p->body, DP_INVALID, "aggregate_by is empty");
}

/* Reads {label: ["ForEachUnique", attribute]}. */
static void read_each(struct query_parse *p, struct grouped_by *out)
{
    struct span word;
    json_enter_object(p->r);
    bool good = json_next_key(p->r, p->arena, &out->label) && json_enter_array(p->r) && json_next_item(p->r) &&
                json_read_string(p->r, p->arena, &word) && span_equal_str(word, "ForEachUnique") &&
                json_next_item(p->r) && json_read_string(p->r, p->arena, &out->attribute) &&
                !json_next_item(p->r) && !json_failed(p->r);
    struct span more;
    out->each = true;
    if (!good || json_next_key(p->r, p->arena, &more))
        json_reject(p->r, DP_INVALID, "group_by: expected {label: [\"ForEachUnique\", attribute]}");
}

void turbopuffer_take_group_by(struct query_parse *p)
{
    struct aggregate_request *request = &p->query->aggregate;
    struct grouped_by *grouped = arena_calloc(p->arena, AGGREGATE_GROUPED_MAX, sizeof *grouped);
    if (!grouped) {
        json_reject(p->r, DP_NOMEM, "group_by");
        return;
    }
    if (!fields_expect(p->r, JSON_ARRAY, "group_by") || !json_enter_array(p->r))
        return;
    request->grouped = grouped;
    while (json_next_item(p->r)) {
        if (request->grouped_count == AGGREGATE_GROUPED_MAX) {
            body_refuse(p->body, DP_INVALID, "group_by has at most %d elements", AGGREGATE_GROUPED_MAX);
            return;
        }
        struct grouped_by *group = &grouped[request->grouped_count++];
        if (json_peek(p->r) == JSON_OBJECT) {
            read_each(p, group);
        } else if (fields_string(p->r, p->arena, "an attribute of group_by", &group->attribute)) {
            group->label = group->attribute;
        }
    }
    if (!json_failed(p->r) && request->grouped_count == 0)
        body_refuse(p->body, DP_INVALID, "group_by is empty");
}

void turbopuffer_print_aggregates(struct json_writer *w, const struct aggregate_request *request,
                                  const struct aggregate_answer *answer)
{
    const bool grouped = request->grouped_count > 0;
    if (grouped)
        json_field_array(w, "aggregation_groups");
    for (size_t i = 0; i < answer->count; i++) {
        const struct aggregate_group *group = &answer->groups[i];
        if (grouped)
            json_begin_object(w);
        else
            json_field_object(w, "aggregations");
        for (size_t g = 0; g < request->grouped_count; g++) {
            json_key_span(w, request->grouped[g].label);
            json_raw(w, group->labels[g]);
        }
        for (size_t v = 0; v < request->count; v++) {
            json_key_span(w, request->aggregates[v].label);
            aggregate_write(w, &group->values[v]);
        }
        json_end_object(w);
    }
    if (grouped)
        json_end_array(w);
}
