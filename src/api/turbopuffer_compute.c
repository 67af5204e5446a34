/* turbopuffer_compute.c: reads "compute_attributes". */
#include "api/fields.h"
#include "api/turbopuffer_parse.h"

/* Returns whether a label of this name would be taken for something else of a row. */
static bool is_reserved(struct span label)
{
    return label.len == 0 || label.data[0] == '$' || span_equal_str(label, "id") ||
           span_equal_str(label, "vector");
}

/* Reads {label: expression, …}. The expressions stay raw JSON until the namespace's schema is known. */
void turbopuffer_take_compute(struct query_parse *p)
{
    struct query_request *q = &p->query->query;
    struct query_compute *computes = arena_array(p->arena, QUERY_COMPUTES_MAX, sizeof *computes);
    struct span label;
    if (!computes) {
        json_reject(p->r, DP_NOMEM, "compute_attributes");
        return;
    }
    if (!fields_expect(p->r, JSON_OBJECT, "compute_attributes") || !json_enter_object(p->r))
        return;
    q->computes = computes;
    while (json_next_key(p->r, p->arena, &label)) {
        if (q->compute_count == QUERY_COMPUTES_MAX) {
            body_refuse(p->body, DP_INVALID, "compute_attributes has at most %d labels", QUERY_COMPUTES_MAX);
            return;
        }
        if (is_reserved(label)) {
            body_refuse(p->body, DP_INVALID, "compute_attributes: \"%.*s\" cannot be a label",
                        label.len < WORD_SHOWN ? (int)label.len : WORD_SHOWN, (const char *)label.data);
            return;
        }
        for (size_t i = 0; i < q->compute_count; i++) {
            if (span_equal(computes[i].label, label)) {
                json_reject(p->r, DP_INVALID, "compute_attributes has a label twice");
                return;
            }
        }
        computes[q->compute_count].label = label;
        if (!json_read_raw(p->r, &computes[q->compute_count].expression))
            return;
        q->compute_count++;
    }
}
